r"""Interdiction branch-and-cut: zero-sum interdiction of a packing follower.

With the follower's optimal value :math:`\theta(x) = \max\{py : y \in Y, y_j \le u_j(1 - x_{k(j)})\}` the leader minimises
:math:`fx + \theta(x)`. For **any** packing :math:`\hat y \in Y`, blocked or not,

.. math:: \theta(x) \ge \sum_j p_j \hat y_j (1 - x_{k(j)}),

because :math:`\hat y` without the items that x blocks stays in Y, which is downward closed. The cut holds for every binary x, hence
may be added anywhere, also from a packing that is optimal for prices :math:`p_j(1 - x_{k(j)})` at a fractional x. Adding items to
:math:`\hat y` adds :math:`p_j(1 - x_{k(j)}) \ge 0` to the right-hand side, so maximal packings give the strongest cuts.

Branching is by gains measured on both children of a column, then averaged. Cuts come from the root's fractional points and from whole
points; below the root there are many cheap nodes instead. A tree that is still open after `NODES` nodes is handed, with cuts and
incumbent, to direction branching where that applies.
"""

from __future__ import annotations

import heapq
import itertools

import numpy as np

from stackopt.backends.warm import WarmLp
from stackopt.bilevel.point import Array
from stackopt.exact.integer.directions import DirectionBranching
from stackopt.exact.integer.form import Mask
from stackopt.exact.integer.knapsack import Packing
from stackopt.exact.integer.mip import WHOLE
from stackopt.exact.integer.pool import Sides
from stackopt.exact.integer.replies import Reply
from stackopt.exact.integer.state import OutOfTime, SolverFault, State
from stackopt.exact.integer.structure import Interdiction
from stackopt.solution import Status

#: Rounds of cuts at the root.
ROOT_ROUNDS = 120
#: A column's gain is trusted after this many measurements; until then up to `PROBED` columns of a node are measured.
RELIABLE, PROBED = 2, 8
#: Nodes before direction branching takes over.
NODES = 4_000

Node = tuple[Array, Array]


class PackingInterdiction:
    """The search; `run` raises what `State` raises, and returns when the tree is empty.

    Parameters
    ----------
    state : State
    structure : Interdiction
        With packing rows.
    lower, upper : array [n]
    """

    def __init__(self, state: State, structure: Interdiction, lower: Array, upper: Array) -> None:
        from scipy import sparse

        form = state.form
        self.box = (lower, upper)
        self.packings = list[Array]()
        self.state, self.form, self.structure = state, form, structure
        self.packing = Packing(form, structure)
        self.others = np.setdiff1d(np.arange(len(form.cost)), form.mine)
        nx = len(self.others)
        place = np.full(len(form.cost), -1)
        place[self.others] = np.arange(nx)
        self.blocker = np.where(structure.blocker >= 0, place[structure.blocker], -1)
        self.prices = np.maximum(structure.prices, 0.0)
        rows = sparse.csr_array(form.matrix[structure.leader_rows][:, self.others])
        matrix = sparse.csr_array(sparse.hstack([rows, sparse.csr_array((rows.shape[0], 1))], format="csr"))
        self.f = form.cost[self.others]
        self.lp = WarmLp(
            np.append(self.f, 1.0), matrix, form.row_lower[structure.leader_rows], form.row_upper[structure.leader_rows],
            np.zeros(nx + 1), np.append(np.ones(nx), np.inf),
        )
        self.columns = np.arange(nx, dtype=np.int32)
        self.gains = np.zeros((2, nx))
        self.times = np.zeros((2, nx))
        self.upper = np.inf
        self.decided: tuple[Array, Array] | None = None
        self.known: dict[bytes, Array] = {}
        self.bound = -np.inf

    def run(self) -> None:
        """Search until nothing is left that could be better than the incumbent; then hand it to `State`."""
        try:
            self.search()
        except OutOfTime:
            self.hand_over()
            raise

    def search(self) -> None:
        """The tree."""
        if (self.packing.room < 0).any():
            return
        state, order, nx = self.state, itertools.count(), len(self.columns)
        heap: list[tuple[float, int, Node]] = []
        node: Node | None = (np.zeros(nx), np.ones(nx))
        parent, root = -np.inf, True
        branched: tuple[int, int, float] | None = None
        while True:
            if node is None:
                if not heap:
                    break
                parent, _, node = heapq.heappop(heap)
                branched = None
                self.bound = parent
                if self.closes(parent):
                    break
            if state.nodes >= NODES and Sides.usable(self.form):
                self.hand_over()
                self.go_on()
                return
            state.tick("interdiction branch-and-cut", parent if np.isfinite(parent) else np.nan)
            solved = self.solve(node, root)
            root = False
            if solved is None:
                node = None
                continue
            value, x = solved
            if branched is not None and np.isfinite(parent):
                j, up, distance = branched
                self.gains[up, j] += (value - parent) / distance
                self.times[up, j] += 1
            node = self.fixed(node, value, x)
            self.probe(node, value, x)
            j = self.branch_on(x)
            zero, one = node[1].copy(), node[0].copy()
            zero[j], one[j] = 0.0, 1.0
            heapq.heappush(heap, (value, next(order), (node[0], zero)))
            node, parent, branched = (one, node[1]), value, (j, 1, 1.0 - x[j])
        self.bound = np.inf
        self.hand_over()

    def closes(self, bound: float) -> bool:
        """Whether a node of this bound holds nothing better."""
        step = self.state.step
        return bool(bound > self.upper - (step - 1e-6 if step > 1e-5 else 1e-9 * (1.0 + abs(self.upper))))

    def solve(self, node: Node, root: bool) -> tuple[float, Array] | None:
        """The node's value and fractional point; None if it is closed."""
        lp, nx = self.lp, len(self.columns)
        lp.solver.changeColsBounds(nx, self.columns, node[0], node[1])
        rounds = 0
        while True:
            status = lp.solve()
            if status is Status.INFEASIBLE:
                return None
            if status is not Status.OPTIMAL:
                raise SolverFault(f"HiGHS answered {status} to a relaxation")
            value = lp.value
            if self.closes(value):
                return None
            point = lp.x
            x, theta = point[:nx], float(point[nx])
            if np.abs(x - np.round(x)).max() <= WHOLE:
                if not self.decide(np.round(x), theta):
                    return None
                continue
            if not root or rounds >= ROOT_ROUNDS:
                return value, x
            rounds += 1
            weights = self.prices * (1.0 - self.blocked(x))
            y = self.best(weights, np.zeros(len(weights), bool))
            if float(weights @ y) <= theta + 1e-6 * (1.0 + abs(theta)):
                return value, x
            self.cut(y)

    def fixed(self, node: Node, value: float, x: Array) -> Node:
        """The node with columns fixed whose reduced cost takes any other value of theirs past the incumbent."""
        if not np.isfinite(self.upper):
            return node
        reduced = self.lp.col_dual[: len(x)]
        room = self.upper - (self.state.step - 1e-6 if self.state.step > 1e-5 else 0.0) - value + 1e-7 * (1.0 + abs(value))
        zero, one = (x < WHOLE) & (reduced > room), (x > 1 - WHOLE) & (-reduced > room)
        if not (zero.any() or one.any()):
            return node
        return np.where(one, 1.0, node[0]), np.where(zero, 0.0, node[1])

    def blocked(self, x: Array) -> Array:
        """How much of each item is blocked."""
        return np.where(self.blocker >= 0, x[self.blocker], 0.0)

    def best(self, prices: Array, blocked: Mask) -> Array:
        """The packing's optimum."""
        y = self.packing.best(prices, blocked, self.state.deadline)
        if y is None:
            raise OutOfTime
        return y

    def decide(self, x: Array, theta: float) -> bool:
        """Evaluate a whole decision; True if a cut was added that it breaks."""
        key = x.tobytes()
        if key not in self.known:
            self.known[key] = self.best(self.prices, self.blocked(x) > 0.5)
        y = self.known[key]
        value = float(self.prices @ y)
        if float(self.f @ x) + value < self.upper:
            self.upper, self.decided = float(self.f @ x) + value, (x, y)
        if value <= theta + 1e-6 * (1.0 + abs(value)):
            return False
        self.cut(y)
        return True

    def cut(self, y: Array) -> None:
        """Add the cut of a packing, made maximal."""
        y = self.packing.extended(y, self.prices)
        self.packings.append(y)
        worth = self.prices * y
        row = np.zeros(len(self.columns) + 1)
        has = self.blocker >= 0
        np.add.at(row, self.blocker[has], worth[has])
        row[-1] = 1.0
        used = np.flatnonzero(row)
        self.lp.add_row(used, row[used], float(worth.sum()), np.inf)
        self.state.cuts += 1

    def probe(self, node: Node, value: float, x: Array) -> None:
        """Solve both children of the most fractional columns whose gains are not known well."""
        inside = np.flatnonzero((x > WHOLE) & (x < 1 - WHOLE))
        unsure = inside[self.times[:, inside].min(0) < RELIABLE]
        if not len(unsure):
            return
        solver, basis = self.lp.solver, self.lp.basis()
        for j in unsure[np.argsort(np.abs(x[unsure] - 0.5), kind="stable")][:PROBED].tolist():
            for up in (0, 1):
                if self.times[up, j] >= RELIABLE:
                    continue
                solver.changeColBounds(j, float(up), float(up))
                status = self.lp.solve()
                gain = self.lp.value - value if status is Status.OPTIMAL else self.upper - value if np.isfinite(self.upper) else 0.0
                self.gains[up, j] += max(gain, 0.0) / (1.0 - x[j] if up else x[j])
                self.times[up, j] += 1
            solver.changeColBounds(j, float(node[0][j]), float(node[1][j]))
            self.lp.restore(basis)

    def branch_on(self, x: Array) -> int:
        """The fractional column with the largest product of expected gains."""
        inside = np.flatnonzero((x > WHOLE) & (x < 1 - WHOLE))
        with np.errstate(invalid="ignore"):
            mean = self.gains.sum(1) / np.maximum(self.times.sum(1), 1)
            gains = np.where(self.times > 0, self.gains / np.maximum(self.times, 1), np.maximum(mean, 1e-6)[:, None])[:, inside]
        score = np.maximum(gains[0] * x[inside], 1e-6) * np.maximum(gains[1] * (1 - x[inside]), 1e-6)
        return int(inside[score.argmax()])

    def go_on(self) -> None:
        """Finish by direction branching, with the cuts as rows p y + sum p_j yhat_j x_k(j) >= p yhat."""
        from scipy import sparse

        form, has = self.form, self.structure.blocker >= 0
        rows = np.zeros((len(self.packings), len(form.cost)))
        rows[:, form.mine] = self.structure.prices
        for row, y in zip(rows, self.packings):
            np.add.at(row, self.structure.blocker[has], (self.prices * y)[has])
        sides = np.array([float(self.prices @ y) for y in self.packings])
        search = DirectionBranching(self.state, *self.box, rows=(sparse.csr_array(rows), sides), bound=self.bound)
        try:
            search.run()
        finally:
            self.bound = max(self.bound, search.bound)

    def hand_over(self) -> None:
        """The incumbent to `State`, which solves the follower again if there is time."""
        if self.decided is None:
            return
        x, y = self.decided
        z = np.zeros(len(self.form.cost))
        z[self.others], z[self.form.mine] = x, y
        try:
            reply = self.state.reply(z)
        except OutOfTime:
            reply = Reply(Status.OPTIMAL, float(self.form.d @ y), y)
        if not self.state.offer(z, reply):
            raise SolverFault("the follower's re-solved answer contradicts the search")
