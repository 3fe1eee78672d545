r"""What the follower sees of the leader, side by side: activities, and how far its value is bounded over boxes of them.

Let :math:`a = Ax` be the activities of the linking columns in the follower's rows :math:`Ax + Gy \le b`, one for every finite side that
sees a linking column, and :math:`\hat y` an optimal response met somewhere: it is feasible where :math:`a \le b - G\hat y`. If that
holds in a whole box, the follower's optimal value is at most :math:`d\hat y` there, and every bilevel-feasible point of the box satisfies
:math:`dy \le d\hat y`.
"""

from __future__ import annotations

import numpy as np

from stackopt.bilevel.point import Array
from stackopt.exact.integer.form import lattice_step
from stackopt.exact.integer.mip import WHOLE
from stackopt.exact.integer.replies import Replies


class Activities:
    """The sides that see linking columns, and the follower's optima met so far.

    Attributes
    ----------
    seen : array [L, n_l]
        A.
    own : array [L, ny]
        G.
    rhs : array [L]
    steps : array [L]
        Of the lattice of activities; 0 if there is none.
    """

    def __init__(self, replies: Replies) -> None:
        seen, own = replies.seen.toarray(), replies.own.toarray()
        sees = np.abs(seen).sum(1) > 0
        above, below = sees & np.isfinite(replies.row_upper), sees & np.isfinite(replies.row_lower)
        self.replies = replies
        self.seen: Array = np.vstack([seen[above], -seen[below]])
        self.own: Array = np.vstack([own[above], -own[below]])
        self.rhs = np.concatenate([replies.row_upper[above], -replies.row_lower[below]])
        self.steps = np.array([lattice_step(row) for row in self.seen])
        self.needs, self.values, self.pooled = np.zeros((0, len(self.rhs))), np.zeros(0), 0

    def wide(self) -> Array:
        """A over all columns [L, n]."""
        wide = np.zeros((len(self.rhs), len(self.replies.form.cost)))
        wide[:, self.replies.form.linking] = self.seen
        return wide

    def most(self, lower: Array, upper: Array) -> Array:
        """Largest activities [L] over bounds [n] of the columns."""
        seen = self.replies.form.linking
        return np.asarray(np.maximum(self.seen, 0.0) @ upper[seen] + np.minimum(self.seen, 0.0) @ lower[seen], float)

    def need(self, y: Array) -> Array:
        """The largest activities [L] of the lattice that leave `y` feasible."""
        room = self.rhs - self.own @ y
        room += 1e-9 * (1.0 + np.abs(self.rhs))
        whole = self.steps > 0
        room[whole] = self.steps[whole] * np.floor(room[whole] / self.steps[whole] + WHOLE)
        return np.asarray(room, float)

    def bound(self, most: Array) -> float:
        """What the follower's value is at most where no activity exceeds `most` [L]; infinity if no optimum met says."""
        optima = self.replies.optima
        if self.pooled < len(optima):
            new = optima[self.pooled :]
            self.needs = np.vstack([self.needs, *(self.need(y)[None] for y, _ in new)])
            self.values = np.append(self.values, [value for _, value in new])
            self.pooled = len(optima)
        fits = (self.needs >= most - 1e-9 * (1.0 + np.abs(most))).all(1)
        return float(self.values[fits].min(initial=np.inf))

    def short(self, y: Array, most: Array) -> tuple[Array, list[int]]:
        """(need of `y`, the activities that can exceed it)."""
        need = self.need(y)
        return need, np.flatnonzero(most > need + 1e-9 * (1.0 + np.abs(need))).tolist()
