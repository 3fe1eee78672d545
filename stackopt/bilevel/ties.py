r"""What the leader gets at a fixed decision when followers break their ties for it, and against it.

With the leader's decision fixed, the optimal responses of a follower are

* linear: the feasible y that keep every row and bound tight whose multiplier is not zero, for one optimal set of multipliers
  (complementary slackness; any optimal set of multipliers describes the same face);
* convex quadratic: the same, and :math:`Hy = Hy^*` (on the optimal set the gradient does not change);
* mixed-integer linear: the feasible y with value at most the optimum, up to a tolerance.

No value row is used where multipliers exist, so that nearly optimal responses do not pass for ties.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from stackopt.backends import scip
from stackopt.backends.matrix import Solved, minimise
from stackopt.backends.warm import WarmLp
from stackopt.bilevel.follower import FollowerProgram, follower_program
from stackopt.bilevel.point import Array
from stackopt.display import number
from stackopt.solution import Status

if TYPE_CHECKING:
    from stackopt.bilevel.program import BilevelProgram

#: A multiplier above this, relative to the largest cost of its follower, keeps its row tight.
POSITIVE = 1e-7
#: Rows of the leader hold to this, relative to one plus their size.
ROOM = 1e-6
#: Values of integer followers within this of the optimum, relative, are ties.
EQUAL = 1e-8
#: Seconds that one range may take.
SECONDS = 10.0
#: Variables of followers above which uniqueness is not looked at; for integer followers it would be two searches a variable.
MOST, MOST_INTEGER = 200, 4


@dataclass(frozen=True, eq=False)
class TieRange:
    """The leader's value over all optimal responses at its decision.

    Attributes
    ----------
    best, worst : float
        In the leader's own sense; NaN if not computed. `best` over responses that keep the leader's rows; `worst` over all of
        them, and infinitely bad if one of them breaks a row of the leader.
    unique : bool or None
        Whether every follower has one optimal response; None if not looked at.
    because : str
        What decides, or why there is no figure.
    best_response, worst_response : array [n] or None
        The variables with the responses that attain them.
    """

    best: float
    worst: float
    unique: bool | None
    because: str
    best_response: Array | None = None
    worst_response: Array | None = None


def tie_range(program: BilevelProgram, values: Array, multipliers: Array | None = None) -> TieRange:
    """The range of the leader's value over all optimal responses at the leader's decision in `values`.

    Parameters
    ----------
    program : BilevelProgram
    values : array [n]
        A candidate; the followers' part matters only where followers see each other.
    multipliers : array [d], optional
        Needed when the leader's objective or rows contain multipliers; they are kept as they are.
    """
    if program.multipliers and multipliers is None:
        return _unknown("the leader uses multipliers, which were not given")
    if any(level.rows.quadratic for level in (program.leader, *program.followers) if _products_of_responses(program, level.rows.quadratic)):
        return _unknown("rows with products of followers' variables")
    kinds = [program.kind(k) for k in range(len(program.followers))]
    odd = next((k for k, kind in enumerate(kinds) if kind not in ("LP", "QP", "MILP")), None)
    if odd is not None:
        return _unknown(f"the optimal responses of `{program.followers[odd].name}`, a {kinds[odd]}, are not known as a set")
    symbols = np.concatenate([np.asarray(values, float), np.zeros(0) if multipliers is None else np.asarray(multipliers, float)])
    if _same_interest(program):
        value = program.leader.objective.value(symbols)
        return TieRange(value, value, None, "the leader's value follows from the follower's", symbols[: program.size], symbols[: program.size])
    faces = []
    for k in range(len(program.followers)):
        face = _face(follower_program(program, k, symbols[: program.size]), kinds[k], symbols[: program.size])
        if face is None:
            return _unknown(f"follower `{program.followers[k].name}` has no optimal response at this decision")
        faces.append(face)
    joint = _Joint(program, symbols, faces)
    unique = joint.unique()
    if _see_each_other(program) and unique is not True:
        return _unknown("followers see each other: the range over their equilibria is not computed", unique)
    if _cycle(program):
        return _unknown("followers see each other: there may be other equilibria", unique)
    return joint.range(unique)


def _same_interest(program: BilevelProgram) -> bool:
    """Whether all optimal responses are worth the same to the leader without solving anything: one integer follower, whose objective in its own
    variables is the leader's up to a factor (zero-sum interdiction, say), and no row of the leader that contains them.
    """
    if len(program.followers) != 1 or program.kind(0) != "MILP" or program.multipliers:
        return False
    mine, leader, follower = program.owned(0), program.leader, program.followers[0].objective
    if leader.objective.quadratic is not None or follower.quadratic is not None or leader.rows.quadratic or abs(leader.rows.matrix[:, mine]).sum() > 0:
        return False
    ours, theirs = leader.objective.linear[mine], follower.linear[mine]
    size = float(theirs @ theirs)
    return size > 0 and bool(np.abs(ours - (ours @ theirs) / size * theirs).max() <= 1e-15 * np.abs(ours).max(initial=0.0))


def _unknown(because: str, unique: bool | None = None) -> TieRange:
    return TieRange(np.nan, np.nan, unique, because)


def _products_of_responses(program: BilevelProgram, forms: Any) -> bool:
    mine = program.owner >= 0
    for form in forms.values():
        i, j = form.tocoo().coords
        inside = (i < program.size) & (j < program.size)
        if (mine[i[inside]] & mine[j[inside]] & (form.tocoo().data[inside] != 0)).any():
            return True
    return False


def _seen_followers(program: BilevelProgram, k: int) -> set[int]:
    """The other followers whose variables follower `k`'s program contains."""
    level = program.followers[k]
    used = np.zeros(len(program.symbols), bool)
    entries = level.rows.matrix.tocoo()
    used[entries.coords[1][entries.data != 0]] = True
    for form in (level.objective.quadratic, *level.rows.quadratic.values()):
        if form is not None:
            used[np.concatenate(form.tocoo().coords)] = True
    return set(program.owner[used[: program.size]].tolist()) - {-1, k}


def _see_each_other(program: BilevelProgram) -> bool:
    return any(_seen_followers(program, k) for k in range(len(program.followers)))


def _cycle(program: BilevelProgram) -> bool:
    """Whether some follower sees itself through others."""
    left = {k: _seen_followers(program, k) for k in range(len(program.followers))}
    while left:
        first = next((k for k, seen in left.items() if not seen & left.keys()), None)
        if first is None:
            return True
        del left[first]
    return False


@dataclass(frozen=True, eq=False)
class _Face:
    """Rows and bounds that exactly the optimal responses satisfy; columns are the follower's variables."""

    columns: Any
    matrix: Any
    row_lower: Array
    row_upper: Array
    lower: Array
    upper: Array
    integer: Any
    y: Array


def _face(p: FollowerProgram, kind: str, values: Array) -> _Face | None:
    from scipy import sparse

    solved = minimise(p.linear, p.matrix, p.row_lower, p.row_upper, p.lower, p.upper, hessian=p.hessian, integer=p.integer, constant=p.constant)
    if solved.status is not Status.OPTIMAL or solved.x is None:
        return None
    y = solved.x
    if kind == "MILP":
        limit = solved.value - p.constant + EQUAL * (1.0 + abs(solved.value))
        matrix = sparse.csr_array(sparse.vstack([p.matrix, p.linear.reshape(1, -1)], format="csr"))
        return _Face(p.columns, matrix, np.append(p.row_lower, -np.inf), np.append(p.row_upper, limit), p.lower, p.upper, p.integer, y)
    row_lower, row_upper, lower, upper = _tightened(p, solved, y, values[p.columns])
    matrix = p.matrix
    if kind == "QP":
        matrix = sparse.csr_array(sparse.vstack([matrix, p.hessian], format="csr"))
        here, candidate = p.hessian @ y, p.hessian @ values[p.columns]
        candidate = np.where(np.abs(candidate - here) <= ROOM * (1.0 + np.abs(here)), candidate, here)
        row_lower, row_upper = np.append(row_lower, np.minimum(here, candidate)), np.append(row_upper, np.maximum(here, candidate))
    return _Face(p.columns, matrix, row_lower, row_upper, lower, upper, p.integer, y)


def _tightened(p: FollowerProgram, solved: Solved, y: Array, candidate: Array) -> tuple[Array, Array, Array, Array]:
    """Sides that complementary slackness leaves; wide enough for the solver's point, and for a candidate that is as good."""
    assert solved.row_dual is not None
    assert solved.col_dual is not None
    large = POSITIVE * max(np.abs(p.linear + p.hessian @ y).max(initial=0.0), np.abs(p.linear).max(initial=0.0))
    sides = []
    for dual, low, high, at, other in (
        (solved.row_dual, p.row_lower, p.row_upper, p.matrix @ y, p.matrix @ candidate),
        (solved.col_dual, p.lower, p.upper, y, candidate),
    ):
        low, high = low.copy(), high.copy()
        other = np.where(np.abs(other - at) <= ROOM * (1.0 + np.abs(at)), other, at)
        up, down = (dual < -large) & np.isfinite(high), (dual > large) & np.isfinite(low)
        low[up] = np.minimum(high, np.minimum(at, other))[up]
        high[down] = np.maximum(low, np.maximum(at, other))[down]
        sides += [low, high]
    return sides[0], sides[1], sides[2], sides[3]


class _Joint:
    """All followers' faces together, with the leader's objective and rows in the followers' variables."""

    def __init__(self, program: BilevelProgram, symbols: Array, faces: list[_Face]) -> None:
        from scipy import sparse

        self.program, self.symbols = program, symbols
        self.columns = np.concatenate([f.columns for f in faces])
        self.matrix = sparse.csr_array(sparse.block_diag([f.matrix for f in faces], format="csr"))
        self.row_lower, self.row_upper = np.concatenate([f.row_lower for f in faces]), np.concatenate([f.row_upper for f in faces])
        self.lower, self.upper = np.concatenate([f.lower for f in faces]), np.concatenate([f.upper for f in faces])
        self.integer = np.concatenate([f.integer for f in faces])
        self.y = np.concatenate([f.y for f in faces])
        base = symbols.copy()
        base[self.columns] = 0.0
        objective = program.leader.objective
        self.sign = objective.sign
        self.linear, self.constant = self.sign * objective.gradient(base)[self.columns], self.sign * objective.value(base)
        form = objective.quadratic
        part = sparse.csr_array((len(self.columns), len(self.columns))) if form is None else (form + form.T)[self.columns][:, self.columns]
        self.hessian = sparse.csr_array(self.sign * part)
        self.hessian.eliminate_zeros()
        self.leader_rows, self.leader_constant = self._rows(base)

    def _rows(self, base: Array) -> tuple[Any, Array]:
        """The leader's rows in the followers' variables: matrix [m, n_Y] and the rest of their left-hand sides [m]."""
        rows = self.program.leader.rows
        matrix = rows.matrix[:, self.columns].toarray()
        for i, form in rows.quadratic.items():
            matrix[i] += ((form + form.T) @ base)[self.columns]
        return matrix, rows.activity(base)

    def unique(self) -> bool | None:
        """Whether every variable has one value on the faces."""
        if len(self.columns) > (MOST_INTEGER if self.integer.any() else MOST):
            return None
        warm = None if self.integer.any() else WarmLp(np.zeros(len(self.columns)), self.matrix, self.row_lower, self.row_upper, self.lower, self.upper)
        for j in range(len(self.columns)):
            ends = []
            for side in (1.0, -1.0):
                cost = np.where(np.arange(len(self.columns)) == j, side, 0.0)
                if warm is not None:
                    warm.costs(np.arange(len(cost)), cost)
                    status, value = warm.solve(), warm.value
                else:
                    solved = self._minimise(cost)
                    status, value = solved.status, solved.value
                if status is Status.UNBOUNDED:
                    return False
                if status is not Status.OPTIMAL:
                    return None
                ends.append(side * value)
            if ends[1] - ends[0] > ROOM * (1.0 + abs(ends[0])):
                return False
        return True

    def _minimise(self, cost: Array, hessian: Any = None, extra: tuple[Any, Array, Array] | None = None, constant: float = 0.0) -> Solved:
        matrix, low, high = self._with(extra)
        return minimise(cost, matrix, low, high, self.lower, self.upper, hessian=hessian, integer=self.integer, constant=constant, time_limit=SECONDS)

    def _with(self, extra: tuple[Any, Array, Array] | None) -> tuple[Any, Array, Array]:
        """The rows of the faces, and `extra` ones."""
        from scipy import sparse

        if extra is None:
            return self.matrix, self.row_lower, self.row_upper
        matrix = sparse.csr_array(sparse.vstack([self.matrix, sparse.csr_array(extra[0])], format="csr"))
        return matrix, np.append(self.row_lower, extra[1]), np.append(self.row_upper, extra[2])

    def range(self, unique: bool | None) -> TieRange:
        """The leader's best and worst."""
        best, best_response, why_best = self._best(unique)
        worst, worst_response, why_worst = self._worst(unique)
        if unique:
            because = "one optimal response" if len(self.program.followers) == 1 else "one optimal response each"
        else:
            because = why_worst or why_best or f"from {number(best, 7)} to {number(worst, 7)} over all optimal responses"
        return TieRange(best, worst, unique, because, best_response, worst_response)

    def _full(self, y: Array) -> Array:
        found = self.symbols[: self.program.size].copy()
        found[self.columns] = y
        return found

    def _value(self, y: Array) -> float:
        return self.sign * (self.constant + float(self.linear @ y) + 0.5 * float(y @ (self.hessian @ y)))

    def _best(self, unique: bool | None) -> tuple[float, Array | None, str]:
        rows = self.program.leader.rows
        at = self.leader_rows @ self.symbols[self.columns] + self.leader_constant
        room = ROOM * (1.0 + np.abs(at))
        low = np.where((at < rows.lower) & (at >= rows.lower - room), at, rows.lower) - self.leader_constant
        high = np.where((at > rows.upper) & (at <= rows.upper + room), at, rows.upper) - self.leader_constant
        if unique and (self.leader_rows @ self.y >= low - room).all() and (self.leader_rows @ self.y <= high + room).all():
            return self._value(self.y), self._full(self.y), ""
        solved = self._extreme(1.0, (self.leader_rows, low, high))
        if solved is None:
            return np.nan, None, "the leader's objective is not convex in the responses, and SCIP is not installed"
        return self._read(solved, "no optimal response keeps the leader's rows")

    def _worst(self, unique: bool | None) -> tuple[float, Array | None, str]:
        rows = self.program.leader.rows
        here = self.leader_rows @ self.y + self.leader_constant
        for i in range(len(rows)):
            for side, limit in ((-1.0, rows.upper[i]), (1.0, rows.lower[i])):
                if np.isinf(limit) or not self.leader_rows[i].any():
                    continue
                extreme: float = here[i]
                response: Array | None = self.y
                if not unique:
                    solved = self._minimise(side * self.leader_rows[i])
                    if solved.status not in (Status.OPTIMAL, Status.UNBOUNDED):
                        return np.nan, None, f"the range of leader row `{rows.names[i]}` is not known: {solved.because}"
                    extreme = side * solved.value + self.leader_constant[i] if solved.status is Status.OPTIMAL else -side * np.inf
                    response = solved.x
                if side * (limit - extreme) > ROOM * (1.0 + abs(limit)):
                    full = None if response is None else self._full(response)
                    return self.sign * np.inf, full, f"an optimal response breaks leader row `{rows.names[i]}`"
        if unique:
            return self._value(self.y), self._full(self.y), ""
        worst = self._extreme(-1.0)
        if worst is None:
            return np.nan, None, "the leader's objective is quadratic in the responses, and SCIP, which finds its worst, is not installed"
        if worst.status is Status.UNBOUNDED:
            return self.sign * np.inf, None, "the leader's loss is unbounded over the optimal responses"
        return self._read(worst, "no optimal response")

    def _extreme(self, side: float, extra: tuple[Any, Array, Array] | None = None) -> Solved | None:
        """The least of `side` times the leader's objective over the faces; by SCIP where that is not convex, None without it."""
        from scipy import sparse

        if not self.hessian.nnz:
            return self._minimise(side * self.linear, extra=extra, constant=side * self.constant)
        values = np.linalg.eigvalsh(side * self.hessian.toarray())
        if values[0] >= -1e-9 * np.abs(values).max() and not self.integer.any():
            return self._minimise(side * self.linear, side * self.hessian, extra, side * self.constant)
        if not scip.available():
            return None
        matrix, low, high = self._with(extra)
        return scip.solve_quadratic(
            side * self.linear, matrix, low, high, self.lower, self.upper, hessian=sparse.csr_array(side * self.hessian), integer=self.integer,
            constant=side * self.constant, time_limit=SECONDS,
        )

    def _read(self, solved: Solved, empty: str) -> tuple[float, Array | None, str]:
        if solved.status is Status.UNBOUNDED:
            return -self.sign * np.inf, None, "the leader's objective is unbounded over the optimal responses"
        if solved.status is Status.INFEASIBLE:
            return self.sign * np.inf, None, empty
        if solved.x is None or solved.status is not Status.OPTIMAL:
            return np.nan, None, solved.because
        return self._value(solved.x), self._full(solved.x), ""
