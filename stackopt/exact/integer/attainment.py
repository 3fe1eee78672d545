r"""Continuous variables that an integer follower sees: the infimum, proved, and whether a decision attains it.

The follower's optimal value jumps where an integer assignment becomes infeasible, so the bilevel-feasible set is not closed. For
each assignment :math:`\eta` (see `value_pieces`) every bilevel-feasible point satisfies

.. math:: u_k\,r_\eta(x) < 0 \text{ for some ray } k \quad\text{or}\quad dy \le d_I\eta - v_j\,r_\eta(x) \text{ for some vertex } j.

A node of the search has taken some alternatives; its relaxation has the strict ones closed and is a mixed-integer program. A point of
it that no assignment left open improves on is a *limit*: the node's bound. Then

- if the node has a point of that value with all strict alternatives strict (their least slack t is maximised), that point is
  feasible, or shows an assignment to branch on;
- if t cannot be positive at that value, no point of the node attains it. Moving from the limit into the interior, integers fixed, gives
  feasible decisions whose values approach it: both are checked, and the decisions are part of the answer.

Each branch settles an assignment or removes an integer point, so the search is finite.
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, field, replace

import numpy as np

from stackopt.bilevel.point import Array
from stackopt.exact.integer.form import OPTIMAL, Form
from stackopt.exact.integer.mip import Answer, WarmMip
from stackopt.exact.integer.state import OutOfTime, SolverFault, State
from stackopt.exact.integer.value_pieces import Pieces
from stackopt.solution import Status

#: A strict row counts as strict with this much slack, its coefficients being of length one.
STRICT = 1e-5
#: Steps from the limit towards the interior at which decisions are shown.
STEPS = (1e-1, 1e-2, 1e-3, 1e-4)
#: Slack with which a strict row is seen to hold when the follower is solved again.
VISIBLE = 9e-7


@dataclass(frozen=True, eq=False)
class Cell:
    """A node: rows (coefficients [n], side, strict) as coefficients @ z >= side, assignments settled, bounds."""

    lower: Array
    upper: Array
    rows: tuple[tuple[Array, float, bool], ...] = ()
    settled: frozenset[int] = field(default_factory=frozenset)


@dataclass(frozen=True, eq=False)
class Limit:
    """A value that decisions approach and none in its node attains.

    Attributes
    ----------
    value : float
        Of the leader's cost, minimised.
    z : array [n]
        The limit point, which is not follower-optimal.
    path : list of array [n]
        Bilevel-feasible points that approach it.
    """

    value: float
    z: Array
    path: list[Array]


class Attainment:
    """The search; `run` raises what `State` raises. Afterwards `limit` is the infimum if no decision attains it.

    Parameters
    ----------
    state : State
    lower, upper : array [n]
    pieces : Pieces
    """

    def __init__(self, state: State, lower: Array, upper: Array, pieces: Pieces) -> None:
        self.state, self.form, self.pieces = state, state.form, pieces
        self.root = Cell(lower, upper)
        rows = pieces.rays @ pieces.seen
        lengths = np.maximum(np.sqrt((rows**2).sum(1)), 1e-12)
        self.strict_rows = rows / lengths[:, None]
        self.strict_sides = pieces.rest @ (pieces.rays / lengths[:, None]).T
        with np.errstate(invalid="ignore"):
            ends = np.where(self.strict_rows > 0, self.strict_rows * upper, np.where(self.strict_rows < 0, self.strict_rows * lower, 0.0))
        self.most = ends.sum(1)
        self.limit: Limit | None = None
        self.bound = -np.inf

    def run(self) -> None:
        """Search until nothing is left below the incumbent or the limit."""
        state, order = self.state, itertools.count()
        heap: list[tuple[float, int, Cell]] = [(-np.inf, next(order), self.root)]
        while heap:
            bound, _, cell = heapq.heappop(heap)
            self.bound = bound
            if bound >= state.value - 1e-9 * (1.0 + abs(bound)) or (self.limit and bound > self.limit.value + self.near()):
                break
            state.tick("infimum", bound)
            solved = self.relaxed(cell)
            if solved.status is Status.INFEASIBLE:
                continue
            if solved.status is not Status.OPTIMAL or solved.x is None:
                raise SolverFault(f"a relaxation is {solved.status}")
            for child in self.children(cell, solved.x, solved.value):
                heapq.heappush(heap, (solved.value, next(order), child))
        if self.limit and state.value <= self.limit.value + self.near():
            self.limit = None
        if self.limit:
            self.bound = self.limit.value

    def near(self) -> float:
        """Values within this of the limit's are equal to it."""
        return 1e-7 * (1.0 + abs(self.limit.value)) if self.limit else 0.0

    def children(self, cell: Cell, z: Array, value: float) -> list[Cell]:
        """What a cell with relaxation optimum `z` leaves to be searched."""
        z = np.where(self.form.integer, np.round(z), z)
        if self.accept(z):
            return []
        worst = self.open(cell, z)
        if worst is not None:
            return self.settle(cell, worst)
        inside, slack = self.interior(cell, value)
        if inside is not None and slack > STRICT:
            if self.accept(inside):
                return []
            worst = self.open(cell, inside)
            if worst is None:
                raise SolverFault("a point strictly inside its node is not follower-optimal")
            return self.settle(cell, worst)
        whole = self.form.integer
        fixed = replace(cell, lower=np.where(whole, z, cell.lower), upper=np.where(whole, z, cell.upper))
        inside, slack = self.interior(fixed, np.inf)
        if inside is None or slack <= STRICT:
            return self.without(cell, z)
        path = [z + step * (inside - z) for step in STEPS]
        for point in path:
            worst = self.open(cell, point)
            if worst is not None:
                return self.settle(cell, worst)
        shown = [point for step, point in zip(STEPS, path) if step * slack > VISIBLE]
        if not all(self.feasible(point) for point in shown):
            raise SolverFault("decisions near a limit are not follower-optimal")
        if self.limit is None or value < self.limit.value - self.near():
            self.limit = Limit(value, z, shown)
        return []

    def accept(self, z: Array) -> bool:
        """Whether `z` is bilevel feasible; it is then offered."""
        return self.feasible(z) and self.state.offer(z, self.state.reply(z))

    def feasible(self, z: Array) -> bool:
        """Whether the follower's part of `z` is optimal, by the pieces."""
        best = float(self.pieces.values(z).min(initial=np.inf))
        return float(self.form.d @ z[self.form.mine]) <= best + OPTIMAL * (1.0 + abs(best)) if np.isfinite(best) else False

    def open(self, cell: Cell, z: Array) -> int | None:
        """The assignment, not settled in the cell, that improves most on the follower's part of `z`; None if none does."""
        values = self.pieces.values(z)
        values[list(cell.settled)] = np.inf
        if not len(values):
            return None
        best = int(values.argmin())
        now = float(self.form.d @ z[self.form.mine])
        return best if values[best] < now - OPTIMAL * (1.0 + abs(now)) else None

    def settle(self, cell: Cell, e: int) -> list[Cell]:
        """Children by the first alternative of assignment `e` that holds."""
        pieces, form = self.pieces, self.form
        found, rest = list[Cell](), replace(cell, settled=cell.settled | {e})
        for row, side, most in zip(self.strict_rows, self.strict_sides[e].tolist(), self.most.tolist()):
            if most <= side:  # nowhere in the box
                continue
            found.append(replace(rest, rows=(*rest.rows, (row, side, True))))
            rest = replace(rest, rows=(*rest.rows, (-row, -side, False)))
        for v in pieces.vertices:
            row = v @ pieces.seen
            row[form.mine] -= form.d
            found.append(replace(rest, rows=(*rest.rows, (row, float(v @ pieces.rest[e]) - float(pieces.prices[e]), False))))
        return found

    def without(self, cell: Cell, z: Array) -> list[Cell]:
        """The cell without the integer part of `z`."""
        found, rest = list[Cell](), cell
        for j in np.flatnonzero(self.form.integer).tolist():
            for side, to in (("upper", z[j] - 1.0), ("lower", z[j] + 1.0)):
                array = getattr(rest, side).copy()
                array[j] = to
                if (array[j] >= rest.lower[j]) if side == "upper" else (array[j] <= rest.upper[j]):
                    found.append(replace(rest, **{side: array}))
            low, high = rest.lower.copy(), rest.upper.copy()
            low[j] = high[j] = z[j]
            rest = replace(rest, lower=low, upper=high)
        return found

    def relaxed(self, cell: Cell) -> Answer:
        """The cell's relaxation with strict rows closed."""
        return self.minimised(cell, self.form.cost, 0.0, np.inf)

    def interior(self, cell: Cell, value: float) -> tuple[Array | None, float]:
        """(the point of the cell with the largest least slack of strict rows, at cost at most `value`; that slack, at most 1)."""
        solved = self.minimised(cell, np.zeros(len(self.form.cost)), -1.0, value)
        if solved.x is None or solved.status is not Status.OPTIMAL:
            return None, 0.0
        z = solved.x[:-1]
        return np.where(self.form.integer, np.round(z), z), float(solved.x[-1])

    def minimised(self, cell: Cell, cost: Array, slack_cost: float, value: float) -> Answer:
        """A mixed-integer program over the cell; with a slack cost, t is a last column: strict rows hold with slack t."""
        from scipy import sparse

        form, with_slack = self.form, slack_cost != 0.0
        rows = np.array([row for row, _, _ in cell.rows]).reshape(len(cell.rows), len(cost))
        sides = np.array([side for _, side, _ in cell.rows])
        blocks = [form.matrix, sparse.csr_array(rows)]
        low, high = [form.row_lower, sides], [form.row_upper, np.full(len(sides), np.inf)]
        if np.isfinite(value):
            blocks.append(sparse.csr_array(form.cost[None]))
            low.append(np.array([-np.inf]))
            high.append(np.array([value + 1e-9 * (1.0 + abs(value))]))
        matrix = sparse.csr_array(sparse.vstack(blocks, format="csr"))
        lower, upper, integer = cell.lower, cell.upper, form.integer
        if with_slack:
            t = np.zeros(matrix.shape[0])
            t[form.matrix.shape[0] : form.matrix.shape[0] + len(sides)] = [-1.0 if strict else 0.0 for _, _, strict in cell.rows]
            matrix = sparse.csr_array(sparse.hstack([matrix, sparse.csr_array(t[:, None])], format="csr"))
            cost, lower, upper, integer = np.append(cost, slack_cost), np.append(lower, 0.0), np.append(upper, 1.0), np.append(integer, False)
        mip = WarmMip(cost, matrix, np.concatenate(low), np.concatenate(high), lower, upper, integer)
        answer = mip.solve(deadline=self.state.deadline)
        if answer.status is Status.LIMIT:
            raise OutOfTime
        return answer


def usable(form: Form, lower: Array, upper: Array) -> tuple[Pieces | None, str]:
    """The follower's pieces, or why there are none."""
    from stackopt.exact.integer.value_pieces import TooLarge

    if why := Pieces.fit(form):
        return None, why
    try:
        return Pieces(form, lower, upper), ""
    except TooLarge as large:
        return None, str(large)
