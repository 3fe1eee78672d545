r"""Every way in which followers' optimality conditions can hold, one after another: linear and convex quadratic followers.

A feasible answer y of follower k is optimal exactly when minus the gradient of its objective is a non-negative combination
of the gradients of its tight inequalities, plus any combination of those of its equations. By Carathéodory's theorem a
linearly independent choice of tight inequalities is enough, so that sets of at most n_k - (rank of the equations) of them
cover every optimal answer. With the set fixed, everything left is linear, and the leader's program an ordinary one.
When the leader uses multipliers, any of them may matter, not only those of independent sets: then all sets are tried.

This shares no code with the branching and none with the reformulations that it is there to check.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from stackopt.backends.matrix import Array, minimise
from stackopt.backends.warm import WarmLp
from stackopt.bilevel.point import Point
from stackopt.solution import Progress, Report, Status

if TYPE_CHECKING:
    from stackopt.bilevel.program import BilevelProgram, Objective

#: A pair: which follower, which row (or -1), which variable (or -1), side +1 upper or -1 lower.
Pair = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Conditions:
    """The program over columns (variables [n], multipliers of the pairs [P], free multipliers [E]), leader minimised.

    Attributes
    ----------
    linear : array [n + P + E]
    hessian : sparse, symmetric, or None
    matrix, row_lower, row_upper : the leader's rows, then followers' rows, then stationarity
    lower, upper, integer : of the columns; multipliers of pairs are 0 unless their set says otherwise
    pairs : tuple of Pair
    tight_row : int array [P]
        Row of the matrix of each pair, -1 for bounds.
    tight_at : array [P]
        The side's value.
    """

    linear: Array
    hessian: Any
    constant: float
    matrix: Any
    row_lower: Array
    row_upper: Array
    lower: Array
    upper: Array
    integer: Any
    pairs: tuple[Pair, ...]
    tight_row: Any
    tight_at: Array
    size: int
    meaning: Any  # [d, n + P + E]: the multiplier symbols from the columns


def hessian_of(objective: Objective) -> Any:
    """The symmetric matrix H of an objective c'v + v'Hv/2; dense [N, N]."""
    total = len(objective.linear)
    if objective.quadratic is None:
        return np.zeros((total, total))
    form = objective.quadratic.toarray()
    return form + form.T


def patterns(program: BilevelProgram) -> tuple[list[list[tuple[Pair, ...]]], int]:
    """For each follower the sets of inequalities to try as tight, and how many combinations there are."""
    sets = [_sets(program, k) for k in range(len(program.followers))]
    count = 1
    for found in sets:
        count *= len(found)
    return sets, count


def pattern_count(program: BilevelProgram) -> float:
    """How many combinations there are, without listing them."""
    from math import comb, prod

    def of(k: int) -> float:
        pairs, most = len(_pairs(program, k)), _most(program, k)
        return float(sum(comb(pairs, size) for size in range(min(pairs, most) + 1)))

    return prod(of(k) for k in range(len(program.followers)))


def _pairs(program: BilevelProgram, k: int) -> list[Pair]:
    rows, found = program.followers[k].rows, list[Pair]()
    for i in range(len(rows)):
        if rows.lower[i] < rows.upper[i]:
            found += [(k, i, -1, -1)] * bool(np.isfinite(rows.lower[i])) + [(k, i, -1, 1)] * bool(np.isfinite(rows.upper[i]))
    for j in program.owned(k):
        if program.lower[j] < program.upper[j]:
            found += [(k, -1, int(j), -1)] * bool(np.isfinite(program.lower[j])) + [(k, -1, int(j), 1)] * bool(np.isfinite(program.upper[j]))
    return found


def _equations(program: BilevelProgram, k: int) -> list[tuple[int, int]]:
    rows = program.followers[k].rows
    found = [(i, -1) for i in range(len(rows)) if rows.lower[i] == rows.upper[i]]
    return found + [(-1, int(j)) for j in program.owned(k) if program.lower[j] == program.upper[j]]


def _most(program: BilevelProgram, k: int) -> int:
    """Size of the largest linearly independent set of inequality gradients, modulo equations."""
    mine = program.owned(k)
    if any(m.follower == program.followers[k].name for m in program.multipliers):
        return len(_pairs(program, k))
    dense = program.followers[k].rows.matrix.toarray()[:, mine]
    gradients = [dense[i] if i >= 0 else (mine == j).astype(float) for i, j in _equations(program, k)]
    return len(mine) - (int(np.linalg.matrix_rank(np.array(gradients))) if gradients else 0)


def _sets(program: BilevelProgram, k: int) -> list[tuple[Pair, ...]]:
    pairs, most = _pairs(program, k), _most(program, k)
    chosen = (s for size in range(min(most, len(pairs)) + 1) for s in itertools.combinations(pairs, size))
    return [s for s in chosen if len({p[:3] for p in s}) == len(s)]  # both sides of one row are never tight together


def conditions(program: BilevelProgram) -> Conditions:
    """Set up the rows and columns once; sets then only change bounds."""
    from scipy import sparse

    n, d, total = program.size, len(program.multipliers), len(program.symbols)
    followers = range(len(program.followers))
    pairs = [p for k in followers for p in _pairs(program, k)]
    equations = [(k, i, j) for k in followers for i, j in _equations(program, k)]
    width = n + len(pairs) + len(equations)
    meaning = np.zeros((d, width))
    stationarity, rhs = list[Array](), list[float]()
    for k in followers:
        level = program.followers[k]
        hessian, dense, sign = hessian_of(level.objective), level.rows.matrix.toarray(), level.objective.sign
        for j in program.owned(k):
            row = np.zeros(width)
            row[:n] = sign * hessian[j, :n]
            for at, (owner, i, column, side) in enumerate(pairs):
                row[n + at] = side * (dense[i, j] if i >= 0 else float(column == j)) if owner == k else 0.0
            for at, (owner, i, column) in enumerate(equations):
                row[n + len(pairs) + at] = (dense[i, j] if i >= 0 else float(column == j)) if owner == k else 0.0
            stationarity.append(row)
            rhs.append(-sign * float(level.objective.linear[j]))
        for m, symbol in enumerate(program.multipliers):
            if symbol.follower == level.name:
                of_row = symbol.constraint in level.rows.names
                constraint = (level.rows.names.index(symbol.constraint), -1) if of_row else (-1, program.names.index(symbol.constraint))
                for at, (owner, i, column, side) in enumerate(pairs):
                    meaning[m, n + at] = -side * sign * float(owner == k and (i, column) == constraint)
                for at, (owner, i, column) in enumerate(equations):
                    meaning[m, n + len(pairs) + at] = -sign * float(owner == k and (i, column) == constraint)
    to_symbols = np.vstack([np.eye(n, width), meaning]) if d else np.eye(n, width)
    objective, sign = program.leader.objective, program.leader.objective.sign
    curved = sign * to_symbols.T @ hessian_of(objective) @ to_symbols
    leader = program.leader.rows
    blocks = [leader.matrix.toarray() @ to_symbols]
    blocks += [program.followers[k].rows.matrix.toarray()[:, :total] @ to_symbols for k in followers]
    starts = np.cumsum([len(b) for b in blocks])
    tight_row = np.array([starts[k] + i if i >= 0 else -1 for k, i, _, _ in pairs], int)
    rows = [leader, *(level.rows for level in program.followers)]
    sides = [(rows[k + 1].lower[i], rows[k + 1].upper[i]) if i >= 0 else (program.lower[j], program.upper[j]) for k, i, j, _ in pairs]
    return Conditions(
        linear=sign * (objective.linear @ to_symbols),
        hessian=sparse.csr_array(curved) if np.abs(curved).max(initial=0.0) > 0 else None,
        constant=sign * objective.constant,
        matrix=sparse.csr_array(np.vstack([*blocks, np.array(stationarity).reshape(-1, width)])),
        row_lower=np.concatenate([*(r.lower for r in rows), rhs]),
        row_upper=np.concatenate([*(r.upper for r in rows), rhs]),
        lower=np.concatenate([program.lower, np.zeros(len(pairs)), np.full(len(equations), -np.inf)]),
        upper=np.concatenate([program.upper, np.zeros(len(pairs)), np.full(len(equations), np.inf)]),
        integer=np.concatenate([program.integer, np.zeros(width - n, bool)]),
        pairs=tuple(pairs),
        tight_row=tight_row,
        tight_at=np.array([side[int(p[3] > 0)] for side, p in zip(sides, pairs)], float),
        size=n,
        meaning=meaning,
    )


@dataclass(frozen=True, eq=False)
class Tried:
    """What trying everything gave: the leader's value in its own sense, a point, and how many cases remained undecided."""

    status: Status
    point: Point | None
    value: float
    tried: int
    undecided: int
    because: str = ""


def try_patterns(program: BilevelProgram, report: Report | None = None) -> Tried:
    """The leader's best over all sets; UNBOUNDED as soon as one set leaves it unbounded."""
    form = conditions(program)
    sets, count = patterns(program)
    solver = _Linear(form) if form.hessian is None and not form.integer.any() else _General(form)
    best, where, tried, undecided = np.inf, None, 0, 0
    for pattern in itertools.product(*sets):
        tight = np.isin(np.arange(len(form.pairs)), [form.pairs.index(p) for part in pattern for p in part])
        for status, value, w in solver.solve(tight):
            if status is Status.UNBOUNDED:
                return Tried(status, None, -np.inf * program.leader.objective.sign, tried + 1, undecided, _half_line(program, form, tight, pattern))
            undecided += status not in (Status.OPTIMAL, Status.INFEASIBLE)
            if status is Status.OPTIMAL and value < best:
                best, where = value, w
        tried += 1
        if report and tried % 200 == 0:
            report(Progress("enumerating responses", tried, count))
    if where is None:
        return Tried(Status.FAILED if undecided else Status.INFEASIBLE, None, np.nan, tried, undecided)
    value = program.leader.objective.sign * best
    return Tried(Status.FAILED if undecided else Status.OPTIMAL, Point(where[: form.size], form.meaning @ where, value), value, tried, undecided)


def described(program: BilevelProgram, pattern: tuple[tuple[Pair, ...], ...]) -> str:
    """The tight inequalities of a case, in the user's names."""
    parts = []
    for k, i, j, side in (p for part in pattern for p in part):
        what = program.followers[k].rows.names[i] if i >= 0 else f"bound of {program.names[j]}"
        parts.append(f"{what} ({'upper' if side > 0 else 'lower'})")
    return "tight: " + (", ".join(parts) or "nothing")


def _half_line(program: BilevelProgram, form: Conditions, tight: Any, pattern: tuple[tuple[Pair, ...], ...]) -> str:
    ray = direction(form, tight)
    if ray is None:
        return described(program, pattern)
    symbols = np.concatenate([ray[: form.size], form.meaning @ ray])
    moved = ", ".join(f"{value:+.4g} {name}" for name, value in zip(program.symbols, symbols) if abs(value) > 1e-9)
    return f"along ({moved}), {described(program, pattern)}"


class _Linear:
    """A linear leader: one warm program whose bounds change."""

    def __init__(self, form: Conditions) -> None:
        self.form = form
        self.lp = WarmLp(form.linear, form.matrix, form.row_lower, form.row_upper, form.lower, form.upper)

    def solve(self, tight: Any) -> Iterator[tuple[Status, float, Array | None]]:
        row_lower, row_upper, lower, upper = pinned(self.form, tight)
        rows = np.unique(self.form.tight_row[self.form.tight_row >= 0])
        self.lp.row_bounds(rows, row_lower[rows], row_upper[rows])
        self.lp.bounds(np.arange(len(lower)), lower, upper)
        status = self.lp.solve()
        if status is Status.UNBOUNDED:  # only if there is a point at all
            status = _feasibility(self.form, tight)
        value = self.lp.value + self.form.constant if status is Status.OPTIMAL else np.nan
        yield status, value, self.lp.x if status is Status.OPTIMAL else None


class _General:
    """Quadratic leaders and integer variables; integer values are tried one by one where the objective is quadratic."""

    def __init__(self, form: Conditions) -> None:
        self.form = form
        self.whole = np.flatnonzero(form.integer) if form.hessian is not None else np.zeros(0, int)

    def solve(self, tight: Any) -> Iterator[tuple[Status, float, Array | None]]:
        form = self.form
        row_lower, row_upper, lower, upper = pinned(form, tight)
        for values in itertools.product(*(range(int(np.ceil(form.lower[j])), int(np.floor(form.upper[j])) + 1) for j in self.whole)):
            lower[self.whole], upper[self.whole] = values, values
            integer = form.integer if form.hessian is None else None
            found = minimise(form.linear, form.matrix, row_lower, row_upper, lower, upper, hessian=form.hessian, integer=integer, constant=form.constant)
            status = found.status
            if status in (Status.UNBOUNDED, Status.FAILED):  # HiGHS does not tell an unbounded quadratic program apart
                status = _feasibility(form, tight, lower, upper)
                if status is Status.UNBOUNDED and _recession(form, row_lower, row_upper, lower, upper) is None:
                    status = Status.FAILED
            yield status, found.value, found.x


def pinned(form: Conditions, tight: Any) -> tuple[Array, Array, Array, Array]:
    """Sides of rows and columns when exactly the pairs `tight` [P] may have multipliers, and have no slack."""
    row_lower, row_upper, lower, upper = form.row_lower.copy(), form.row_upper.copy(), form.lower.copy(), form.upper.copy()
    upper[form.size : form.size + len(form.pairs)][tight] = np.inf
    for at in np.flatnonzero(tight):
        row, side = form.tight_row[at], form.tight_at[at]
        if row >= 0:
            row_lower[row] = row_upper[row] = side
        else:
            column = form.pairs[at][2]
            lower[column] = upper[column] = side
    return row_lower, row_upper, lower, upper


def _feasibility(form: Conditions, tight: Any, lower: Array | None = None, upper: Array | None = None) -> Status:
    """UNBOUNDED if the case has a point (the caller found no finite optimum), else INFEASIBLE."""
    row_lower, row_upper, low, high = pinned(form, tight)
    low, high = (low if lower is None else lower), (high if upper is None else upper)
    found = minimise(0.0 * form.linear, form.matrix, row_lower, row_upper, low, high, integer=form.integer)
    return Status.UNBOUNDED if found.status is Status.OPTIMAL else found.status


def direction(form: Conditions, tight: Any) -> Array | None:
    """A direction [n + P + E] along which the case `tight` keeps all rows and bounds and the leader improves for ever, or None."""
    return _recession(form, *pinned(form, tight))


def _recession(form: Conditions, row_lower: Array, row_upper: Array, lower: Array, upper: Array) -> Array | None:
    """Whether a direction keeps all rows and bounds, has no curvature and improves the objective: with a point, a proof that it
    is unbounded (for rational data with integer columns too)."""
    from scipy import sparse

    flat = sparse.csr_array((0, len(form.linear))) if form.hessian is None else form.hessian
    matrix = sparse.csr_array(sparse.vstack([form.matrix, flat], format="csr"))
    low = np.concatenate([np.where(np.isfinite(row_lower), 0.0, -np.inf), np.zeros(flat.shape[0])])
    high = np.concatenate([np.where(np.isfinite(row_upper), 0.0, np.inf), np.zeros(flat.shape[0])])
    found = minimise(form.linear, matrix, low, high, np.where(np.isfinite(lower), 0.0, -1.0), np.where(np.isfinite(upper), 0.0, 1.0))
    return found.x if found.status is Status.OPTIMAL and found.value < -1e-9 else None
