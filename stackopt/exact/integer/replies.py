"""What the follower answers, remembered: its optimal value at every linking decision met, and its optima for reuse elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stackopt.bilevel.point import Array
from stackopt.exact.integer.form import OPTIMAL, Form, lattice_step
from stackopt.exact.integer.mip import Answer, WarmMip
from stackopt.solution import Status

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True, eq=False)
class Reply:
    """The follower's optimum at a linking decision: status as in `WarmMip`, its value (minimised) and variables [ny]."""

    status: Status
    value: float
    y: Array | None


class Replies:
    """The follower's value function, by the linking decision.

    Attributes
    ----------
    own : sparse [m_f, ny]
        Columns of the follower in its rows.
    seen : sparse [m_f, n_l]
        Linking columns in its rows.
    optima : list of (array [ny], float)
        Distinct optima met, with their values; a point feasible elsewhere bounds the follower's value there.
    """

    def __init__(self, form: Form) -> None:
        from scipy import sparse

        self.form = form
        rows = sparse.csr_array(form.matrix[: form.follower_rows])
        self.own: csr_array = sparse.csr_array(rows[:, form.mine])
        self.seen: csr_array = sparse.csr_array(rows[:, form.linking])
        self.row_lower, self.row_upper = form.row_lower[: form.follower_rows], form.row_upper[: form.follower_rows]
        whole = form.integer[form.mine]
        known = form.cross is None and np.isfinite(form.follower_unit) and not (form.d != 0)[~whole].any()
        step = lattice_step(form.d / form.follower_unit) * form.follower_unit if known else 0.0
        self.step = step if np.isfinite(step) else 1.0
        self.mip = WarmMip(
            form.d, self.own, self.row_lower, self.row_upper, form.lower[form.mine], form.upper[form.mine], whole, step=self.step
        )
        self.known: dict[bytes, Reply] = {}
        self.optima: list[tuple[Array, float]] = []
        self._met: set[bytes] = set()

    def __call__(self, z: Array, deadline: float) -> Reply:
        """The follower's optimum when the linking columns are as in `z` [n]."""
        x = z[self.form.linking] + 0.0
        key = x.tobytes()
        if key not in self.known:
            fixed = self.seen @ x
            cost = None if self.form.cross is None else self.form.follower_cost(z)
            answer: Answer = self.mip.solve(row_lower=self.row_lower - fixed, row_upper=self.row_upper - fixed, cost=cost, deadline=deadline)
            self.known[key] = Reply(answer.status, answer.value, answer.x)
            if answer.x is not None and answer.status is Status.OPTIMAL:
                y = answer.x + 0.0
                if y.tobytes() not in self._met:
                    self._met.add(y.tobytes())
                    self.optima.append((y, answer.value))
        return self.known[key]

    def optimal(self, z: Array, reply: Reply) -> bool:
        """Whether the follower's part of `z` is as good as its optimum: to half a step where values have one."""
        slack = OPTIMAL * (1.0 + abs(reply.value))
        return float(self.form.follower_cost(z) @ z[self.form.mine]) <= reply.value + (min(slack, 0.5 * self.step) if self.step else slack)
