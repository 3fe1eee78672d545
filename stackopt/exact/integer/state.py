"""The incumbent of a search over a bilevel program with an integer follower, its clock and its counters."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from stackopt.backends.matrix import violation
from stackopt.bilevel.point import Array
from stackopt.exact.integer.form import SLIGHT, Form, objective_step
from stackopt.exact.integer.mip import Answer, WarmMip
from stackopt.exact.integer.replies import Replies, Reply
from stackopt.solution import Progress, Report, Status

#: A point accepted as incumbent breaks no row by more than this, relative to its largest entry.
ACCEPTED = 1e-7
#: Nodes between two reports of progress.
REPORTED = 200


class OutOfTime(Exception):  # not an error: the search stops and says so
    """The deadline has passed."""


class FollowerUnbounded(Exception):
    """The follower improves for ever at some leader decision, hence at every one where it has an answer."""


class SolverFault(Exception):
    """A solver contradicted itself or did not answer; the search cannot go on."""


class RelaxationUnbounded(Exception):
    """The relaxation is unbounded, and the search cannot tell what of it is bilevel feasible."""


class LeaderUnbounded(Exception):
    """The leader improves for ever, with an optimal answer of the follower."""


class State:
    """What every search shares.

    Attributes
    ----------
    form : Form
    replies : Replies
    best : array [n] or None
        The incumbent; follower-optimal.
    value : float
        Its cost (minimised); infinity without one.
    step : float
        All attainable values are multiples of it apart; 0 if unknown.
    nodes : int
    """

    def __init__(self, form: Form, deadline: float, report: Report | None) -> None:
        self.form, self.deadline, self.report = form, deadline, report
        self.replies = Replies(form)
        self.best: Array | None = None
        self.value = np.inf
        self.step = objective_step(form)
        if not np.isfinite(self.step):
            self.step = 1.0
        self.nodes = 0
        self.cuts = 0
        self._completed: set[bytes] = set()
        self._completion: WarmMip | None = None

    def tick(self, stage: str, bound: float = np.nan) -> None:
        """Count a node; look at the clock; report."""
        self.nodes += 1
        if time.perf_counter() > self.deadline:
            raise OutOfTime
        if self.report and self.nodes % REPORTED == 0:
            gap = self.value - bound
            self.report(Progress(stage, self.nodes, residual=gap if np.isfinite(gap) else None))

    def closes(self, bound: float) -> bool:
        """Whether a subproblem of this bound holds nothing better than the incumbent."""
        if not np.isfinite(self.value):
            return False
        margin = self.step - 1e-6 if self.step > 1e-5 else 1e-9 * (1.0 + abs(self.value))
        return bound > self.value - margin

    def reply(self, z: Array) -> Reply:
        """The follower's optimum at `z`."""
        reply = self.replies(z, self.deadline)
        if reply.status is Status.UNBOUNDED:
            raise FollowerUnbounded
        if reply.status is Status.LIMIT:
            raise OutOfTime
        if reply.status is Status.FAILED:
            raise SolverFault("the follower could not be solved at a leader decision")
        return reply

    def offer(self, z: Array, reply: Reply) -> bool:
        """Take `z` as incumbent if it satisfies every row, is follower-optimal and better; True if it is feasible."""
        form = self.form
        z = np.where(form.integer, np.round(z), z)
        broken = violation(z, form.matrix, form.row_lower, form.row_upper, form.lower, form.upper)
        if not broken <= ACCEPTED * (1.0 + np.abs(z).max(initial=0.0)) or not self.replies.optimal(z, reply):
            return False
        value = float(form.cost @ z)
        if value < self.value:
            self.value, self.best = value, z
        return True

    def complete(self, z: Array, reply: Reply) -> Answer | None:
        """The leader's best at the linking decision of `z`: its other columns and the follower's ties optimised; once each.

        With the linking columns fixed, the bilevel-feasible points are those of the high-point relaxation with d y <= phi.
        """
        form = self.form
        key = (z[form.linking] + 0.0).tobytes()
        if key in self._completed or reply.status is not Status.OPTIMAL:
            return None
        self._completed.add(key)
        if self._completion is None:
            self._completion = self._completion_program()
        lower, upper = form.lower.copy(), form.upper.copy()
        lower[form.linking] = upper[form.linking] = z[form.linking]
        mip = self._completion
        side = reply.value + SLIGHT * (1.0 + abs(reply.value))
        if form.cross is None:
            row_upper = np.append(form.row_upper, side)
            answer = mip.solve(lower=lower, upper=upper, row_upper=row_upper, cutoff=self.value, deadline=self.deadline)
        else:
            answer = self._crossed(z, side).solve(lower=lower, upper=upper, cutoff=self.value, deadline=self.deadline)
        if answer.status is Status.UNBOUNDED:
            raise LeaderUnbounded
        if answer.status is Status.LIMIT:
            raise OutOfTime
        if answer.status is Status.FAILED:
            raise SolverFault("the leader's program at a fixed linking decision could not be solved")
        if answer.x is not None:
            self.offer(answer.x, reply)
        return answer

    def _completion_program(self) -> WarmMip:
        return self._with_value_row(self.form.d, np.inf)

    def _crossed(self, z: Array, side: float) -> WarmMip:
        return self._with_value_row(self.form.follower_cost(z), side)

    def _with_value_row(self, costs: Array, side: float) -> WarmMip:
        from scipy import sparse

        form = self.form
        row = np.zeros(len(form.cost))
        row[form.mine] = costs
        matrix = sparse.csr_array(sparse.vstack([form.matrix, sparse.csr_array(row[None])], format="csr"))
        return WarmMip(
            form.cost, matrix, np.append(form.row_lower, -np.inf), np.append(form.row_upper, side), form.lower, form.upper, form.integer,
            step=self.step if self.step > 1e-5 else 0.0,
        )

    def stats(self) -> dict[str, Any]:
        """Counters of the search."""
        return {"nodes": self.nodes, "cuts": self.cuts, "follower solves": len(self.replies.known)}
