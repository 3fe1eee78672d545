"""Multipliers of a follower at a given point: which values they can take, and whether claimed ones are among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from stackopt.backends.matrix import minimise
from stackopt.bilevel.point import Array, Point
from stackopt.display import number
from stackopt.errors import InvalidProgram
from stackopt.solution import Status

if TYPE_CHECKING:
    from stackopt.bilevel.program import BilevelProgram

#: Slacks below this, relative to the size of the point, count as zero: their multipliers may be positive.
ACTIVE = 1e-7


class Dual(float):
    """A follower's multiplier; prints the whole range if it is not unique.

    Attributes
    ----------
    low, high : float
        The range over all optimal multipliers of the follower.
    """

    low: float
    high: float
    because: str

    def __new__(cls, value: float, low: float, high: float, because: str = "") -> Dual:
        """A float that knows its range."""
        self = super().__new__(cls, value)
        self.low, self.high, self.because = low, high, because
        return self

    @property
    def unique(self) -> bool:
        """Whether there is only one optimal value."""
        return self.high - self.low <= 1e-7 * (1.0 + abs(float(self)))

    def __repr__(self) -> str:
        if self.unique:
            return number(float(self))
        left = f"[{number(self.low)}" if np.isfinite(self.low) else "(-inf"
        right = f"{number(self.high)}]" if np.isfinite(self.high) else "inf)"
        return f"{number(float(self))}   (not unique: any value in {left}, {right}{'; ' if self.because else ''}{self.because})"

    __str__ = __repr__

    def __reduce__(self) -> tuple[Any, ...]:
        return Dual, (float(self), self.low, self.high, self.because)


@dataclass(frozen=True, eq=False)
class DualFace:
    """The optimal multipliers of all followers at a point: stationarity, signs and complementarity.

    Attributes
    ----------
    matrix : sparse [n_Y, M]
        Stationarity in the multipliers.
    rhs : array [n_Y]
    lower, upper : array [M]
        Multipliers of slack constraints are fixed at zero.
    symbols : sparse [d, M]
        The leader's multiplier symbols.
    active : tuple of str
        The constraints without slack.
    residual : float
        By how much stationarity fails at best, in sum.
    """

    matrix: Any
    rhs: Array
    lower: Array
    upper: Array
    symbols: Any
    active: tuple[str, ...]
    residual: float

    def extreme(self, weights: Array, sense: float) -> float:
        """The smallest (`sense` 1) or largest (-1) value of ``weights @ mu`` over the face."""
        count, rows = self.matrix.shape[1], self.matrix.shape[0]
        wide, low, high = _elastic(self.matrix)
        budget = _budget_row(wide, count, self.residual + 1e-9 * (1.0 + np.abs(self.rhs).sum()))
        found = minimise(
            np.concatenate([sense * weights, np.zeros(2 * rows)]), budget[0], np.append(self.rhs, -np.inf), np.append(self.rhs, budget[1]),
            np.concatenate([self.lower, low]), np.concatenate([self.upper, high]),
        )
        if found.status is Status.UNBOUNDED:
            return -sense * np.inf
        return sense * found.value + 0.0

    def distance(self, claimed: Array) -> float:
        """By how much, in sum, stationarity and the claimed symbols [d] must fail together."""
        from scipy import sparse

        both = sparse.csr_array(sparse.vstack([self.matrix, self.symbols], format="csr"))
        wide, low, high = _elastic(both)
        target = np.concatenate([self.rhs, claimed])
        rows = both.shape[0]
        found = minimise(
            np.concatenate([np.zeros(both.shape[1]), np.ones(2 * rows)]), wide, target, target,
            np.concatenate([self.lower, low]), np.concatenate([self.upper, high]),
        )
        return found.value


def dual_face(program: BilevelProgram, values: Array) -> DualFace:
    """The optimal multipliers when the variables are at `values` [n].

    Raises
    ------
    Refused
        If a follower's optimality is not characterised by multipliers.
    """
    from scipy import sparse

    from stackopt.bilevel.kkt import kkt

    form = kkt(program)
    mpec, n = form.mpec, program.size
    slack = mpec.slack(values)
    scale = 1.0 + np.abs(values).max(initial=0.0)
    tight = slack <= ACTIVE * scale
    upper = mpec.upper[n:].copy()
    upper[: mpec.pairs][~tight] = 0.0
    matrix = sparse.csr_array(mpec.stationarity[:, n:])
    rhs = np.asarray(mpec.stationarity_rhs - mpec.stationarity[:, :n] @ values, float)
    lower = mpec.lower[n:]
    wide, low, high = _elastic(matrix)
    found = minimise(
        np.concatenate([np.zeros(matrix.shape[1]), np.ones(2 * len(rhs))]), wide, rhs, rhs, np.concatenate([lower, low]), np.concatenate([upper, high])
    )
    active = tuple(mpec.pair_label(p).rsplit(", ", 1)[0] for p in np.flatnonzero(tight).tolist())
    return DualFace(matrix, rhs, lower, upper, sparse.csr_array(form.symbol_of[n:, n:]), active, found.value)


def dual(program: BilevelProgram, values: Array, follower: str, constraint: str) -> Dual:
    """The multiplier of a follower's row, or of a variable's bounds, with its range over all optimal multipliers.

    The derivative of the follower's optimal value, in its own sense, with respect to the right-hand side.

    Raises
    ------
    InvalidProgram
        If the follower has no such row or variable.
    """
    import dataclasses

    from stackopt.bilevel.program import Multiplier

    symbol = Multiplier("the multiplier asked for", follower, constraint)
    followers = tuple(_narrowed(program, level) for level in program.followers)
    asked = dataclasses.replace(program, multipliers=(symbol,), leader=_without_multipliers(program), followers=followers, ties="optimistic")
    units = asked.normalised()
    face = dual_face(asked, values) if units is None else dual_face(units.program, values / units.columns)
    weights = face.symbols.toarray()[0]
    size = 1.0 if units is None else float(units.multipliers[0])
    low, high = face.extreme(weights, 1.0) / size, face.extreme(weights, -1.0) / size
    value = low if abs(low) <= abs(high) else high
    shown = list(dict.fromkeys(face.active))
    because = f"active together: {', '.join(shown[:4])}" if len(shown) > 1 else ""
    return Dual(value, low, high, because)


def dual_of(program: BilevelProgram, candidate: Point, key: Any) -> Any:
    """`dual` of a name or of an object of the user's model; an object array of them for one with several rows.

    A multiplier that the leader uses has the value that the leader counts on.
    """
    used = {(m.follower, m.constraint): float(value) for m, value in zip(program.multipliers, candidate.multipliers)}

    def one(follower: str, constraint: str) -> Dual:
        found = dual(program, candidate.values, follower, constraint)
        return Dual(used.get((follower, constraint), float(found)), found.low, found.high, found.because)

    found = None if isinstance(key, str) or program.origin is None else program.origin.row(key)
    if not isinstance(found, np.ndarray):
        return one(*row_of(program, key))
    duals = np.empty(found.shape, object)
    for position, (follower, constraint) in np.ndenumerate(found):
        duals[position] = one(follower, constraint)
    return duals


def _without_multipliers(program: BilevelProgram) -> Any:
    """A leader that wants nothing: multipliers of followers do not depend on it."""
    from scipy import sparse

    from stackopt.bilevel.program import Level, Objective, Rows

    width = program.size + 1
    return Level("leader", Objective("min", np.zeros(width)), Rows((), sparse.csr_array((0, width)), np.zeros(0), np.zeros(0)))


def _narrowed(program: BilevelProgram, level: Any) -> Any:
    """A follower's level over the variables and one symbol."""
    from scipy import sparse

    from stackopt.bilevel.program import Level, Objective, Rows

    n = program.size

    def square(form: Any) -> Any:
        if form is None:
            return None
        found = form.tocoo()
        return sparse.csr_array((found.data, found.coords), shape=(n + 1, n + 1))

    objective = Objective(level.objective.sense, np.append(level.objective.linear[:n], 0.0), square(level.objective.quadratic), level.objective.constant)
    matrix = sparse.csr_array(sparse.hstack([level.rows.matrix[:, :n], sparse.csr_array((len(level.rows), 1))], format="csr"))
    rows = Rows(level.rows.names, matrix, level.rows.lower, level.rows.upper, {i: square(f) for i, f in level.rows.quadratic.items()})
    return Level(level.name, objective, rows)


def row_of(program: BilevelProgram, key: Any) -> tuple[str, str]:
    """(follower, row or variable) of a name such as ``road`` or ``follower.road``, or of an object of the user's model.

    Raises
    ------
    InvalidProgram
        If no follower, or more than one, has it.
    """
    if not isinstance(key, str):
        found = None if program.origin is None else program.origin.row(key)
        if found is not None:
            return found[0], found[1]
    matches = []
    for k, level in enumerate(program.followers):
        mine = [program.names[j] for j in program.owned(k)]
        for name in (*level.rows.names, *mine):
            if str(key) in (name, f"{level.name}.{name}"):
                matches.append((level.name, name))
    if len(matches) != 1:
        problem = "several followers have it" if matches else "no follower has it"
        remedy = "a row or variable of a follower; with several followers write `follower.row`"
        raise InvalidProgram("multiplier-place", where=f"`{key}`: {problem}", help=remedy)
    return matches[0]


def _elastic(matrix: Any) -> tuple[Any, Array, Array]:
    """The matrix with a surplus and a shortage for every row: (matrix, lower, upper of the new columns)."""
    from scipy import sparse

    rows = matrix.shape[0]
    eye = sparse.eye_array(rows, format="csr")
    return sparse.csr_array(sparse.hstack([matrix, eye, -eye], format="csr")), np.zeros(2 * rows), np.full(2 * rows, np.inf)


def _budget_row(wide: Any, count: int, budget: float) -> tuple[Any, float]:
    """One more row: all surplus and shortage together stay within the budget."""
    from scipy import sparse

    row = sparse.csr_array(np.concatenate([np.zeros(count), np.ones(wide.shape[1] - count)])[None])
    return sparse.csr_array(sparse.vstack([wide, row], format="csr")), budget
