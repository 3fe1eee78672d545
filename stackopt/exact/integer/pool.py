r"""Directions in which an integer follower would improve, and what stops it: the disjunctions that direction branching uses.

For a whole vector w with :math:`dw < 0`, every bilevel-feasible point satisfies at least one of

.. math:: s_i(x, y) \le (Gw)_i - step_i \quad\text{over the rows and bounds i of the follower with } (Gw)_i > 0,

where :math:`s_i` is the slack of side i and :math:`step_i` the step of the lattice of its activities: otherwise y + w is feasible
for the follower at x and better. All data of a side are multiples of its step (sides are rounded to it), so the slack is one too,
and :math:`s_i < (Gw)_i` means :math:`s_i \le (Gw)_i - step_i`. Every column of the follower's rows must be integer.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from stackopt.bilevel.point import Array
from stackopt.exact.integer.form import Form, Indices, lattice_step
from stackopt.exact.integer.replies import Replies

#: Largest difference that is rounding, in steps.
ROUNDING = 1e-6


class Sides:
    """The follower's bounds and rows as quantities with two sides each, rounded to their lattices.

    Quantities are the n columns, then the m_f rows of the follower. Doubled, a quantity q is "at least t" as q, and "at most -t"
    as q + n + m_f: `values`, upper and lower bounds of doubled quantities come from those of the quantities by negation.

    Attributes
    ----------
    lower, upper : array [n + m_f]
        Of columns and rows.
    step : array [n + m_f]
    rows : array [m_f, n]
    """

    def __init__(self, form: Form, replies: Replies, lower: Array, upper: Array) -> None:
        self.form = form
        self.rows: Array = form.matrix[: form.follower_rows].toarray()
        self.own: Array = replies.own.toarray()
        steps = np.array([lattice_step(row) for row in self.rows])
        steps = np.where(np.isfinite(steps), steps, 1.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            high = steps * np.floor(replies.row_upper / steps + ROUNDING)
            low = steps * np.ceil(replies.row_lower / steps - ROUNDING)
        self.step = np.concatenate([np.ones(len(form.cost)), steps])
        self.lower, self.upper = np.concatenate([lower, low]), np.concatenate([upper, high])
        self.count = len(self.lower)
        #: Bounds of the leader's columns stop nobody: only the follower's own sides do.
        mine = np.zeros(self.count, bool)
        mine[form.mine] = True
        mine[len(form.cost) :] = True
        own_lower = np.concatenate([form.lower, low])
        own_upper = np.concatenate([form.upper, high])
        self.side = np.concatenate([np.where(mine, own_upper, np.inf), np.where(mine, -own_lower, np.inf)])

    @staticmethod
    def usable(form: Form, replies: Replies) -> bool:
        """Whether the follower is integer, sees only integers, and each of its rows has a lattice."""
        if form.cross is not None or not form.integer[form.mine].all() or not form.integer[form.linking].all():
            return False
        rows = form.matrix[: form.follower_rows].toarray()
        return bool(all(lattice_step(row) > 0 for row in rows))

    def values(self, z: Array) -> Array:
        """All doubled quantities at `z` [n]; [2 (n + m_f)]."""
        q = np.concatenate([z, self.rows @ z])
        return np.concatenate([q, -q])

    def norms(self) -> Array:
        """Euclidean lengths of the quantities' coefficients, doubled."""
        q = np.concatenate([np.ones(len(self.form.cost)), np.maximum(np.sqrt((self.rows**2).sum(1)), 1e-12)])
        return np.concatenate([q, q])


class Pool:
    """Directions and their disjunctions "doubled quantity `at` is at least `to`", padded to equal length.

    Attributes
    ----------
    at : int array [K, A]
        Doubled quantities; ``2 count`` pads.
    to : array [K, A]
    """

    def __init__(self, sides: Sides) -> None:
        self.sides = sides
        self.at: Indices = np.zeros((0, 1), np.int64)
        self.to: Array = np.zeros((0, 1))
        self._met: set[bytes] = set()
        self.norms = np.append(sides.norms(), 1.0)
        self.steps = np.append(np.concatenate([sides.step, sides.step]), 1.0)

    def add(self, w: NDArray[np.int64]) -> int | None:
        """Add one improving direction [ny]; its number, or None if it is known or never possible."""
        before = len(self.at)
        self.extend(np.asarray(w)[None])
        return before if len(self.at) > before else None

    def extend(self, directions: NDArray[np.int64]) -> None:
        """Add improving directions [k, ny] that are new and that some point allows."""
        sides, form = self.sides, self.sides.form
        fresh = [w for w in directions if w.astype(np.int64).tobytes() not in self._met]
        if not fresh:
            return
        self._met.update(w.astype(np.int64).tobytes() for w in fresh)
        w = np.array(fresh, float)
        n, count = len(form.cost), sides.count
        effect = np.zeros((len(w), count))
        effect[:, form.mine] = w
        effect[:, n:] = w @ sides.own.T
        both = np.concatenate([effect, -effect], 1)
        stops = (both > ROUNDING) & np.isfinite(sides.side)
        steps = np.concatenate([sides.step, sides.step])
        to = sides.side - both + steps
        # an alternative that holds at every point of the box makes the direction useless
        always = (stops & (to <= np.concatenate([sides.lower, -sides.upper]) + ROUNDING * steps)).any(1)
        stops, to = stops[~always], to[~always]
        if not len(stops):
            return
        width = max(int(stops.sum(1).max(initial=1)), self.at.shape[1])
        at = np.full((len(stops), width), 2 * count)
        thresholds = np.full((len(stops), width), np.inf)
        for k, row in enumerate(stops):
            used = np.flatnonzero(row)
            at[k, : len(used)] = used
            thresholds[k, : len(used)] = to[k, used]
        wide = width - self.at.shape[1]
        self.at = np.vstack([np.pad(self.at, ((0, 0), (0, wide)), constant_values=2 * count), at])
        self.to = np.vstack([np.pad(self.to, ((0, 0), (0, wide)), constant_values=np.inf), thresholds])
        self.slack = self.to - ROUNDING * self.steps[self.at]


def pairs(form: Form, *, largest: int = 1) -> NDArray[np.int64]:
    """Improving directions with one or two entries: +-e_j and c e_i +- e_j with whole c up to `largest`; [k, ny]."""
    ny = len(form.mine)
    found = list[NDArray[np.int64]]()
    for i in range(ny):
        for s in (1, -1):
            w = np.zeros(ny, np.int64)
            w[i] = s
            found.append(w)
    if ny <= 60:
        scales = range(1, largest + 1)
        for i, j in itertools.combinations(range(ny), 2):
            for a, b in {(p * s, q * t) for p in scales for q in scales if p == 1 or q == 1 for s in (1, -1) for t in (1, -1)}:
                w = np.zeros(ny, np.int64)
                w[i], w[j] = a, b
                found.append(w)
    return improving(form, np.array(found))


def triples(form: Form) -> NDArray[np.int64]:
    """Improving directions with three entries of plus or minus one; [k, ny]."""
    ny = len(form.mine)
    found = list[NDArray[np.int64]]()
    for chosen in itertools.combinations(range(ny), 3):
        for signs in itertools.product((1, -1), repeat=3):
            w = np.zeros(ny, np.int64)
            w[list(chosen)] = signs
            found.append(w)
    return improving(form, np.array(found).reshape(-1, ny))


def improving(form: Form, directions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Those with d w < 0, sorted so that the order does not depend on how they were made."""
    better = directions[directions @ form.d < -1e-9 * (1.0 + np.abs(form.d).max(initial=0.0))]
    return np.unique(better, axis=0)
