r"""Activity branching: the follower's optimal value bounded over boxes of what the follower sees.

A node bounds columns and activities (see `activities`), and holds the follower's value to the least bound known for it. At a point
that is not follower-optimal, with the follower's optimum :math:`\hat y`: either all activities allow :math:`\hat y`, and its value
bounds the child; or some activity i is the first that does not, :math:`a_i \ge need_i + step_i`, where step is that of the lattice of
whole combinations of row i's coefficients. The children partition the node.

Where that does not apply (a row without a common measure, or products of leader and follower variables in the follower's objective, so
that its costs change with x) the linking decision is completed, all its remaining columns optimised, and split off the box.

Finite when the linking columns are integer and bounded: every split removes a lattice point of activities or of the box.
Continuous variables of both levels may be there, other than continuous linking ones.
"""

from __future__ import annotations

import heapq
import itertools

import numpy as np

from stackopt.backends.warm import WarmLp
from stackopt.bilevel.point import Array
from stackopt.exact.integer.activities import Activities
from stackopt.exact.integer.form import SLIGHT
from stackopt.exact.integer.mip import WHOLE
from stackopt.exact.integer.state import SolverFault, State
from stackopt.solution import Status

Node = tuple[Array, Array, Array, Array]


class ActivityBranching:
    """The search; `run` raises what `State` raises, and returns when the tree is empty.

    Parameters
    ----------
    state : State
    lower, upper : array [n]
        Bounds, finite on the linking columns.
    """

    def __init__(self, state: State, lower: Array, upper: Array) -> None:
        from scipy import sparse

        form = state.form
        self.state, self.form = state, form
        self.activities = Activities(state.replies)
        self.box = (lower, upper)
        n, L = len(form.cost), len(self.activities.rhs)
        activity = sparse.csr_array(self.activities.wide())
        value = np.zeros((1, n))
        value[0, form.mine] = form.d
        matrix = sparse.csr_array(sparse.vstack([form.matrix, activity, sparse.csr_array(value)], format="csr"))
        free = np.full(L + 1, np.inf)
        self.lp = WarmLp(form.cost, matrix, np.concatenate([form.row_lower, -free]), np.concatenate([form.row_upper, free]), lower, upper)
        self.columns = np.arange(n, dtype=np.int32)
        self.rows = np.arange(len(form.row_lower), matrix.shape[0], dtype=np.int32)
        self.whole = np.flatnonzero(form.integer)
        self.bound = -np.inf

    def run(self) -> None:
        """Search until nothing is left that could be better than the incumbent."""
        state, order = self.state, itertools.count()
        none = np.full(len(self.activities.rhs), np.inf)
        heap: list[tuple[float, int, int, Node]] = [(-np.inf, 0, next(order), (*self.box, -none, none))]
        while heap:
            bound, depth, _, node = heapq.heappop(heap)
            self.bound = bound
            if state.closes(bound):
                break
            state.tick("activity branching", bound)
            for child_bound, child in self.children(bound, node):
                if not state.closes(child_bound):
                    heapq.heappush(heap, (child_bound, depth - 1, next(order), child))
        self.bound = np.inf

    def children(self, bound: float, node: Node) -> list[tuple[float, Node]]:
        """What a node leaves to be searched."""
        state, form = self.state, self.form
        low, high, _, _ = node
        solver = self.lp.solver
        most = np.minimum(self.activities.most(low, high), node[3])
        limit = np.inf if form.cross is not None else self.activities.bound(most)
        solver.changeColsBounds(len(self.columns), self.columns, low, high)
        solver.changeRowsBounds(
            len(self.rows), self.rows, np.append(node[2], -np.inf), np.append(node[3], limit + SLIGHT * (1.0 + abs(limit)) if np.isfinite(limit) else np.inf)
        )
        status = self.lp.solve()
        if status is Status.INFEASIBLE:
            return []
        if status is Status.UNBOUNDED:
            return self.unbounded(bound, node)
        if status is not Status.OPTIMAL:
            raise SolverFault("HiGHS did not solve a relaxation")
        value = self.lp.value
        if state.closes(value):
            return []
        x = self.lp.x
        away = np.abs(x - np.round(x))[self.whole]
        if away.max(initial=0.0) > WHOLE:
            j = int(self.whole[away.argmax()])
            return [(value, changed(node, 1, j, np.floor(x[j]))), (value, changed(node, 0, j, np.floor(x[j]) + 1.0))]
        z = np.where(form.integer, np.round(x), x)
        reply = state.reply(z)
        if reply.status is Status.OPTIMAL:
            if state.offer(z, reply) and float(form.cost @ z) <= value + 1e-7 * (1.0 + abs(value)):
                return []
            state.complete(z, reply)
        if (low[form.linking] == high[form.linking]).all():
            return []
        if reply.y is None or form.cross is not None:
            return self.split_off(value, node, z)
        need, short = self.activities.short(reply.y, most)
        if not short or (self.activities.steps[short] == 0).any():
            return self.split_off(value, node, z)
        return self.first_short(value, node, need, short)

    def first_short(self, value: float, node: Node, need: Array, short: list[int]) -> list[tuple[float, Node]]:
        """Children by the first activity that does not allow the response, and the one in which all do."""
        found, rest = list[tuple[float, Node]](), node
        for i in short:
            found.append((value, changed(rest, 2, i, need[i] + self.activities.steps[i] * (1.0 - WHOLE))))
            rest = changed(rest, 3, i, need[i])
        return [*found, (value, rest)]

    def split_off(self, value: float, node: Node, z: Array) -> list[tuple[float, Node]]:
        """The node without the linking decision of `z`, as boxes."""
        found, rest = list[tuple[float, Node]](), node
        for j in self.form.linking.tolist():
            if z[j] > rest[0][j]:
                found.append((value, changed(rest, 1, j, z[j] - 1.0)))
            if z[j] < rest[1][j]:
                found.append((value, changed(rest, 0, j, z[j] + 1.0)))
            rest = changed(changed(rest, 0, j, z[j]), 1, j, z[j])
        return found

    def unbounded(self, bound: float, node: Node) -> list[tuple[float, Node]]:
        """A node whose relaxation is unbounded: halved until its linking decision is fixed, then completed."""
        low, high = node[0], node[1]
        width = (high - low)[self.form.linking]
        if width.max(initial=0.0) > 0:
            j = int(self.form.linking[width.argmax()])
            middle = np.floor(0.5 * (low[j] + high[j]))
            return [(bound, changed(node, 1, j, middle)), (bound, changed(node, 0, j, middle + 1.0))]
        reply = self.state.reply(low)
        if reply.status is Status.OPTIMAL:
            self.state.complete(low, reply)
        return []


def changed(node: Node, which: int, at: int, to: float) -> Node:
    """A node with one entry replaced."""
    parts = list(node)
    parts[which] = parts[which].copy()
    parts[which][at] = to
    return (parts[0], parts[1], parts[2], parts[3])
