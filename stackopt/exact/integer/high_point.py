r"""The high-point probe: leader and follower as one integer program, and what a wrong answer of it teaches.

The high-point relaxation lets the leader choose y. If the follower would choose the same, relaxation and program have the same
optimum, and HiGHS's own search closes it; wide programs often end here. Otherwise, with binary linking columns, the follower's
optimum :math:`\hat y` at :math:`x^*` gives a strengthened no-good,

.. math:: dy \le d\hat y + M \sum_{j \notin S} |x_j - x^*_j|,

S a set of linking columns whose flips, all at once, leave :math:`\hat y` feasible: in each side i of the follower's rows the
increases :math:`\delta_{ij}` that flips of S can cause sum to no more than the slack of :math:`(x^*, \hat y)`. If only columns of S differ
from :math:`x^*`, :math:`\hat y` is feasible and the follower's value is at most :math:`d\hat y`; otherwise the right-hand side is at least
:math:`d\hat y + M \ge dy`, M being the range of dy over the linear relaxation. S contains the items that an interdiction leaves alone.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from stackopt.backends.matrix import Solved, minimise
from stackopt.bilevel.point import Array
from stackopt.exact.integer.state import State
from stackopt.solution import Status

if TYPE_CHECKING:
    from scipy.sparse import csr_array

#: Relaxations solved before the branching searches take over.
PROBES = 25
#: Share of the time that one relaxation may take.
SHARE = 0.6
#: A relaxation that took no more than this share of the time left is solved twice.
TWICE = 0.02


class HighPoint:
    """Solve the relaxation, add a no-good, again; `run` is True if that closed the program.

    Attributes
    ----------
    bound : float
        Lower bound on the optimum (minimised).
    rows : list of (array [n], float)
        No-goods, as row @ z >= side.
    """

    def __init__(self, state: State, lower: Array, upper: Array) -> None:
        form = state.form
        self.state, self.form, self.lower, self.upper = state, form, lower, upper
        self.bound = -np.inf
        self.rows = list[tuple[Array, float]]()
        seen = form.linking
        self.binary = form.cross is None and bool(len(seen) and (lower[seen] == 0).all() and (upper[seen] == 1).all())
        self.range = np.nan

    def run(self) -> bool:
        """Whether the incumbent is proved optimal, or the program infeasible."""
        state, form = self.state, self.form
        for _ in range(PROBES):
            state.tick("high-point probe", self.bound)
            solved = self.relaxed()
            if solved.status is Status.INFEASIBLE:
                self.bound = np.inf
                return True
            if solved.status in (Status.UNBOUNDED, Status.FAILED) or np.isnan(solved.bound):
                return False
            self.bound = max(self.bound, solved.bound - 1e-9 * (1.0 + abs(solved.bound)))
            if solved.x is None:
                return False
            z = np.where(form.integer, np.round(solved.x), solved.x)
            reply = state.reply(z)
            if not state.offer(z, reply):
                state.complete(z, reply)
            if state.closes(self.bound + 2e-9 * (1.0 + abs(self.bound))):
                return True
            if solved.status is not Status.OPTIMAL or not self.binary or reply.y is None or not self.learn(z, reply.y, reply.value):
                return False
        return False

    def relaxed(self) -> Solved:
        """The relaxation's optimum by HiGHS; where there is time for it, by two runs that differ, of which the worse bound counts."""
        matrix, low, high = self.program()
        begun = time.perf_counter()

        def run(presolve: bool) -> Solved:
            left = max(min(self.state.deadline - time.perf_counter(), 1e6), 0.0)
            return minimise(
                self.form.cost, matrix, low, high, self.lower, self.upper, integer=self.form.integer, time_limit=SHARE * left, presolve=presolve
            )

        first = run(False)
        now = time.perf_counter()
        if first.status is not Status.OPTIMAL or now - begun > TWICE * (self.state.deadline - now):
            return first
        second = run(True)
        if second.x is not None and second.value < first.value:
            first, second = second, first
        return first if second.status is not Status.OPTIMAL else replace(first, bound=min(first.bound, second.bound))

    def program(self) -> tuple[csr_array, Array, Array]:
        """The relaxation's rows with the no-goods."""
        from scipy import sparse

        form = self.form
        if not self.rows:
            return form.matrix, form.row_lower, form.row_upper
        extra, sides = self.cuts()
        matrix = sparse.csr_array(sparse.vstack([form.matrix, extra], format="csr"))
        return matrix, np.concatenate([form.row_lower, sides]), np.concatenate([form.row_upper, np.full(len(sides), np.inf)])

    def cuts(self) -> tuple[Any, Array]:
        """The no-goods as a sparse matrix [k, n] and its lower sides [k]."""
        from scipy import sparse

        rows = np.array([row for row, _ in self.rows]).reshape(len(self.rows), len(self.form.cost))
        return sparse.csr_array(rows), np.array([side for _, side in self.rows])

    def learn(self, z: Array, y: Array, value: float) -> bool:
        """Add the no-good of the follower's optimum `y` at `z`; False if M is not finite."""
        form = self.form
        if np.isnan(self.range):
            self.range = self.largest()
        if not np.isfinite(self.range):
            return False
        big = max(self.range - value, 0.0)
        row, side = np.zeros(len(form.cost)), -value
        row[form.mine] = -form.d
        for j in form.linking[~self.harmless(z, y)].tolist():
            if z[j] > 0.5:  # |x - 1| = 1 - x
                row[j] -= big
                side -= big
            else:
                row[j] += big
        self.rows.append((row, side - 1e-9 * (1.0 + abs(value))))
        self.state.cuts += 1
        return True

    def largest(self) -> float:
        """The largest value of d y over the linear relaxation."""
        form = self.form
        cost = np.zeros(len(form.cost))
        cost[form.mine] = -form.d
        solved = minimise(cost, form.matrix, form.row_lower, form.row_upper, self.lower, self.upper)
        return -solved.bound if solved.status is Status.OPTIMAL else np.inf

    def harmless(self, z: Array, y: Array) -> Any:
        """S: which linking columns may flip, all together, and leave `y` feasible; bool [n_l]."""
        replies, seen = self.state.replies, self.form.linking
        flips = np.where(z[seen] > 0.5, -1.0, 1.0) * replies.seen.toarray()
        at = replies.own @ y + replies.seen @ z[seen]
        above, below = np.isfinite(replies.row_upper), np.isfinite(replies.row_lower)
        rises = np.vstack([np.maximum(flips, 0.0)[above], np.maximum(-flips, 0.0)[below]])
        left = np.concatenate([(replies.row_upper - at)[above], (at - replies.row_lower)[below]])
        left = np.maximum(left, 0.0) + 1e-9
        chosen = np.zeros(len(seen), bool)
        for j in np.argsort((rises / (1e-6 + left)[:, None]).sum(0), kind="stable").tolist():
            if (rises[:, j] <= left).all():
                chosen[j] = True
                left = left - rises[:, j]
        return chosen

