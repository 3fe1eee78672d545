r"""Covering branch-and-cut: interdiction of any follower, zero-sum or nearly so, without big constants.

At x the leader pays :math:`-\varphi(x) + ey` with the follower's optimal value :math:`\varphi` and a rest e that is zero in a
zero-sum program; :math:`ey \ge e_{min}` over the bounds. Let :math:`\hat y` be optimal for the follower at some :math:`\hat x`. If x
blocks no item that :math:`\hat y` uses, then :math:`\hat y` is feasible at x, :math:`\varphi(x) \le d\hat y`, and x costs the leader
at least :math:`-d\hat y + e_{min}`. If the incumbent costs no more than that, every better decision satisfies

.. math:: \sum_{j : \hat y_j > 0} x_{k(j)} \ge 1 .

In a zero-sum program the incumbent always does, once :math:`\hat x` has been evaluated. Otherwise, and where the follower has no
answer, the linking decision :math:`\hat x` is completed and excluded by itself. Every decision met is cut off, so the search is
finite. The relaxation is the high-point relaxation with these rows; branching is on the leader's decision alone.
"""

from __future__ import annotations

import heapq
import itertools

import numpy as np

from stackopt.backends.warm import WarmLp
from stackopt.bilevel.point import Array
from stackopt.exact.integer.mip import WHOLE
from stackopt.exact.integer.state import SolverFault, State
from stackopt.exact.integer.structure import Interdiction
from stackopt.solution import Status

Node = tuple[Array, Array]


class CoveringInterdiction:
    """The search; `run` raises what `State` raises, and returns when the tree is empty.

    Parameters
    ----------
    state : State
    structure : Interdiction
        The leader's own costs must be zero.
    """

    def __init__(self, state: State, structure: Interdiction) -> None:
        form = state.form
        self.state, self.form, self.structure = state, form, structure
        self.others = np.setdiff1d(np.arange(len(form.cost)), form.mine)
        self.lp = WarmLp(form.cost, form.matrix, form.row_lower, form.row_upper, form.lower, form.upper)
        self.columns = self.others.astype(np.int32)
        ends = structure.rest * form.lower[form.mine], structure.rest * form.upper[form.mine]
        used = structure.rest != 0
        self.least_rest = float(np.minimum(*ends)[used].sum())
        self.exhausted = False
        self.bound = -np.inf

    @staticmethod
    def usable(state: State, structure: Interdiction) -> bool:
        """Whether decisions cost the leader nothing by themselves, and no relaxation is unbounded."""
        form = state.form
        others = np.setdiff1d(np.arange(len(form.cost)), form.mine)
        paid = form.mine[(form.d != 0) | (structure.rest != 0)]
        return not form.cost[others].any() and bool(np.isfinite(form.lower[paid]).all() and np.isfinite(form.upper[paid]).all())

    def run(self) -> None:
        """Search until nothing is left that could be better than the incumbent."""
        state, order = self.state, itertools.count()
        heap: list[tuple[float, int, int, Node]] = [(-np.inf, 0, next(order), (np.zeros(len(self.others)), np.ones(len(self.others))))]
        while heap:
            bound, depth, _, node = heapq.heappop(heap)
            self.bound = bound
            if self.exhausted or state.closes(bound):
                break
            state.tick("covering branch-and-cut", bound)
            solved = self.solve(node)
            if solved is None:
                continue
            value, j, split = solved
            down, up = node[1].copy(), node[0].copy()
            down[j], up[j] = 0.0, 1.0
            children = [(up, node[1]), (node[0], down)]
            for child in children if split >= 0.0 else children[::-1]:
                heapq.heappush(heap, (value, depth - 1, next(order), child))
        self.bound = np.inf

    def solve(self, node: Node) -> tuple[float, int, float] | None:
        """(value, column to branch on, its value); None if the node is closed."""
        state, lp = self.state, self.lp
        lp.solver.changeColsBounds(len(self.columns), self.columns, node[0], node[1])
        while True:
            status = lp.solve()
            if status is Status.INFEASIBLE:
                return None
            if status is not Status.OPTIMAL:
                raise SolverFault(f"HiGHS answered {status} to a relaxation")
            if state.closes(lp.value):
                return None
            x = lp.x[self.others]
            away = np.abs(x - np.round(x))
            if away.max() > WHOLE:
                j = int(away.argmax())
                return lp.value, j, float(x[j])
            if not self.cut(np.round(x)):
                return None

    def cut(self, x: Array) -> bool:
        """Evaluate a whole decision, and exclude it and all that block none of the items it leaves in use.

        False if nothing can be blocked: then no decision is better than the incumbent.
        """
        state, form = self.state, self.form
        z = np.zeros(len(form.cost))
        z[self.others] = x
        reply = state.reply(z)
        state.cuts += 1
        if reply.y is not None:
            z[form.mine] = reply.y
            if self.structure.rest.any() or not state.offer(z, reply):
                state.complete(z, reply)
            paid = -form.in_leader_units(reply.value)
            if state.value <= paid + self.least_rest + 1e-7 * (1.0 + abs(paid)):
                used = np.unique(self.structure.blocker[(reply.y > 1e-9) & (self.structure.blocker >= 0)])
                self.exhausted = not len(used)
                if not self.exhausted:
                    self.lp.add_row(used, np.ones(len(used)), 1.0, np.inf)
                return not self.exhausted
        seen = form.linking
        self.lp.add_row(seen, np.where(z[seen] > 0.5, -1.0, 1.0), 1.0 - z[seen].sum(), np.inf)
        return True
