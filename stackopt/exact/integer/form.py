"""A bilevel program with an integer follower in plain arrays: both levels minimised, all rows together, the follower's first."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stackopt.bilevel.point import Array, Point
from stackopt.bilevel.program import BilevelProgram
from stackopt.solution import Refusal

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]
#: The follower's value is optimal to this, relative to one plus its size.
OPTIMAL = 1e-7
#: A row that holds the follower to its optimal value leaves this much room, relative to one plus the value.
SLIGHT = 1e-11
#: Objectives whose largest coefficient lies between these are left as they are.
ORDINARY = (1e-2, 1e6)
#: Rows are scaled to whole numbers by at most this.
LARGEST_SCALE = 10_000
#: Entries up to this are exact enough as floats for sums of them to be compared as whole numbers.
LARGEST_WHOLE = 2.0**40


@dataclass(frozen=True, eq=False)
class Form:
    r"""min cost z over rows and bounds, where the columns `mine` of z minimise d y + x C y given the others.

    Followers that see nothing of each other are one follower that minimises the sum of their objectives: the sum is minimal
    over the product of their sets if and only if each term is, whatever positive factors the terms have.

    Attributes
    ----------
    program : BilevelProgram
    sign : float
        -1 if the leader maximises; `cost` is then negated.
    cost : array [n]
        Times `unit`.
    lower, upper : array [n]
    integer : bool array [n]
        Columns that must be whole.
    mine : int array [ny]
        The follower's columns.
    d : array [ny]
        Times `follower_unit`.
    cross : sparse [n, ny] or None
        Products of others' columns with the follower's, in its objective.
    matrix : sparse [m, n]
        Rows of the high-point relaxation.
    row_lower, row_upper : array [m]
    follower_rows : int
        The first of them belong to the follower.
    linking : int array
        Columns of others that the follower sees.
    unit, follower_unit : float
        Powers of two by which objectives were multiplied, exactly, so that tolerances fit their size; NaN if those of followers differ.
    """

    program: BilevelProgram
    sign: float
    cost: Array
    lower: Array
    upper: Array
    integer: Mask
    mine: Indices
    d: Array
    cross: csr_array | None
    matrix: csr_array
    row_lower: Array
    row_upper: Array
    follower_rows: int
    linking: Indices
    unit: float = 1.0
    follower_unit: float = 1.0

    def follower_cost(self, z: Array) -> Array:
        """The follower's costs [ny] when the others are at `z` [n]."""
        return self.d if self.cross is None else np.asarray(self.d + self.cross.T @ z, float)

    def leader_value(self, value: float) -> float:
        """A value of `cost` in the leader's own sense, with its constant."""
        return self.sign * value / self.unit + self.program.leader.objective.constant

    def in_leader_units(self, value: Any) -> Any:
        """A follower's value or costs in the unit of `cost`."""
        return value / self.follower_unit * self.unit

    def point(self, z: Array) -> Point:
        """The candidate at `z` [n]; whole columns rounded."""
        values = np.where(self.integer, np.round(z), z) + 0.0
        return Point(values, claim=self.leader_value(float(self.cost @ values)))


def refusal(program: BilevelProgram) -> Refusal | None:
    """Why the searches of this package do not cover a program, if they do not."""
    why = ""
    levels = (program.leader, *program.followers)
    if program.ties != "optimistic":
        why = "it is pessimistic, and the searches leave ties to the leader"
    elif program.multipliers:
        why = f"the leader uses the multiplier `{program.multipliers[0].name}`, and an integer follower has none"
    elif program.leader.objective.quadratic is not None and program.leader.objective.quadratic.nnz:
        why = "the leader's objective is quadratic"
    elif any(level.rows.quadratic for level in levels):
        level = next(level for level in levels if level.rows.quadratic)
        why = f"row `{level.rows.names[next(iter(level.rows.quadratic))]}` is quadratic"
    else:
        for k, level in enumerate(program.followers):
            if program.kind(k) not in ("LP", "MILP"):
                why = f"follower `{level.name}` is a {program.kind(k)}"
            elif other := _sees(program, k):
                why = f"follower `{level.name}` sees `{other}`, which another follower decides"
    return Refusal("integer-follower", law={"why": why}) if why else None


def _sees(program: BilevelProgram, k: int) -> str:
    """A variable of another follower that follower `k` sees; empty if there is none."""
    level, n = program.followers[k], program.size
    used = np.zeros(n, bool)
    rows = level.rows.matrix.tocoo()
    used[rows.coords[1][rows.data != 0]] = True
    if level.objective.quadratic is not None:
        mine = program.owner == k
        products = level.objective.quadratic[:n][:, :n].tocoo()
        for i, j, value in zip(*products.coords, products.data):
            if value and mine[i] != mine[j]:
                used[[i, j]] = True
    seen = np.flatnonzero(used & (program.owner >= 0) & (program.owner != k))
    return program.names[int(seen[0])] if len(seen) else ""


def formed(program: BilevelProgram) -> Form:
    """The arrays of a program that `refusal` has nothing against."""
    from scipy import sparse

    n = program.size
    mine = np.flatnonzero(program.owner >= 0)
    costs, cross, units = np.zeros(n), None, set[float]()
    for k, level in enumerate(program.followers):
        owned, form = program.owned(k), level.objective.quadratic
        unit = power_of_two(np.concatenate([level.objective.linear[owned], [] if form is None else form.data]))
        units.add(unit)
        costs[owned] = unit * level.objective.sign * level.objective.linear[owned]
        if form is not None and form.nnz:
            both = sparse.csr_array((form + form.T)[:n][:, :n]) * (unit * level.objective.sign)
            keep = sparse.diags_array(np.where(program.owner == k, 1.0, 0.0))
            rest = sparse.diags_array(np.where(program.owner == k, 0.0, 1.0))
            part = rest @ both @ keep
            cross = part if cross is None else cross + part
    parts = [level.rows for level in (*program.followers, program.leader)]
    matrix = sparse.csr_array(sparse.vstack([rows.matrix[:, :n] for rows in parts], format="csr"))
    matrix.eliminate_zeros()
    matrix.sort_indices()
    count = sum(len(rows) for rows in parts[:-1])
    seen = np.zeros(n, bool)
    seen[matrix.indices[: matrix.indptr[count]]] = True
    if cross is not None:
        cross = sparse.csr_array(sparse.csr_array(cross)[:, mine])
        cross.eliminate_zeros()
        cross = cross if cross.nnz else None
    if cross is not None:
        seen[np.flatnonzero(np.diff(cross.indptr))] = True
    seen[mine] = False
    objective = program.leader.objective
    unit = power_of_two(objective.linear)
    follower_unit = units.pop() if len(units) == 1 else math.nan
    lower, upper = program.lower.copy(), program.upper.copy()
    lower[program.integer] = np.ceil(lower[program.integer] - 1e-9)
    upper[program.integer] = np.floor(upper[program.integer] + 1e-9)
    return Form(
        program, objective.sign, objective.sign * unit * objective.linear[:n], lower, upper, program.integer, mine, costs[mine], cross, matrix,
        np.concatenate([rows.lower for rows in parts]), np.concatenate([rows.upper for rows in parts]), count, np.flatnonzero(seen), unit, follower_unit,
    )


def power_of_two(costs: Array) -> float:
    """What brings the largest of `costs` near one, if it is far from that."""
    largest = float(np.abs(costs).max(initial=0.0))
    return 1.0 if largest == 0 or ORDINARY[0] <= largest <= ORDINARY[1] else 2.0 ** -round(math.log2(largest))


def whole_scale(values: Array) -> int:
    """The least positive whole number, up to `LARGEST_SCALE`, that makes all `values` whole; 0 if there is none."""
    if not len(values):
        return 1
    if not np.isfinite(values).all() or np.abs(values).max() > LARGEST_WHOLE:
        return 0
    if (values == np.round(values)).all():
        return 1
    scale = 1
    for value in values.tolist():
        near = Fraction(value).limit_denominator(LARGEST_SCALE)
        if abs(float(near) - value) > 1e-15 * max(1.0, abs(value)):
            return 0
        scale = math.lcm(scale, near.denominator)
        if scale > LARGEST_SCALE:
            return 0
    return scale


def lattice_step(values: Array) -> float:
    """The step of the lattice of all whole combinations of `values`; 0 if they have no common measure, infinity if all vanish."""
    used = values[values != 0]
    if not len(used):
        return math.inf
    scale = whole_scale(used)
    if not scale:
        return 0.0
    return math.gcd(*(round(abs(v) * scale) for v in used.tolist())) / scale


def objective_step(form: Form) -> float:
    """The step between attainable values of the leader's cost; 0 if unknown."""
    used = form.cost != 0
    if (used & ~form.integer).any():
        return 0.0
    return lattice_step(form.cost[used] / form.unit) * form.unit


def linking_box(form: Form, limit: Any = None) -> tuple[Array, Array] | None:
    """Finite bounds of the linking columns where the data has none: their ranges over the linear high-point relaxation.

    Returns
    -------
    (lower [n], upper [n]) or None if the relaxation is empty. Columns that it leaves unbounded stay infinite.
    """
    from stackopt.backends.warm import WarmLp
    from stackopt.solution import Status

    lower, upper = form.lower.copy(), form.upper.copy()
    open_columns = [int(j) for j in form.linking if not np.isfinite([lower[j], upper[j]]).all()]
    if not open_columns:
        return lower, upper
    lp = WarmLp(np.zeros(len(lower)), form.matrix, form.row_lower, form.row_upper, lower, upper)
    for j in open_columns:
        for sign, array in ((1.0, lower), (-1.0, upper)):
            if np.isfinite(array[j]):
                continue
            lp.costs([j], [sign])
            status = lp.solve(limit)
            if status is Status.INFEASIBLE:
                return None
            if status is Status.OPTIMAL:
                end = sign * lp.value
                slack = 1e-6 * (1.0 + abs(end))
                if form.integer[j]:
                    end = math.ceil(end - slack) if sign > 0 else math.floor(end + slack)
                array[j] = end
            lp.costs([j], [0.0])
    return lower, upper
