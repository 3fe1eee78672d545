r"""Directions in which a follower would improve, and what stops it: the disjunctions that direction branching uses.

For a vector w with :math:`dw < 0` that is whole in the follower's integer columns, every bilevel-feasible point satisfies at least one of

.. math:: s_i(x, y) \le (Gw)_i - step_i \quad\text{over the rows and bounds i of the follower with } (Gw)_i > 0,

where :math:`s_i` is the slack of side i: otherwise y + w is feasible for the follower at x and better. If every column of row i is integer,
its activities form a lattice with step :math:`step_i`; the side is rounded to it, the slack is a multiple of it, and
:math:`s_i < (Gw)_i` means :math:`s_i \le (Gw)_i - step_i`. Otherwise :math:`step_i = 0`: the closed condition, weaker but valid.

If w moves continuous columns only, every small multiple of it would do, so some side with :math:`(Gw)_i > 0` has no slack:
:math:`s_i \le 0`. That is complementarity, without multipliers.
"""

from __future__ import annotations

import itertools

import numpy as np

from stackopt.bilevel.point import Array
from stackopt.exact.integer.form import Form, Indices, lattice_step
from stackopt.exact.integer.replies import Replies

#: Largest difference that is rounding, in steps.
ROUNDING = 1e-6
#: A direction improves if its value is below minus this times one plus the largest cost: more than what passes for optimal.
IMPROVES = 1e-6


class Sides:
    """The follower's bounds and rows as quantities with two sides each, rounded to their lattices.

    Quantities are the n columns, the m_f rows of the follower and, where asked for, the L activities of `activities`. Doubled, a
    quantity q is "at least t" as q, and "at most -t" as q + count: values, upper and lower bounds of doubled quantities come from
    those of the quantities by negation.

    Attributes
    ----------
    lower, upper : array [count]
    step : array [count]
    rows : array [m_f + L, n]
        Of the quantities that are not columns.
    whole : bool
        Whether the follower is integer, sees only integers, and each of its rows has a lattice.
    """

    def __init__(self, form: Form, replies: Replies, lower: Array, upper: Array) -> None:
        self.form = form
        self.rows: Array = form.matrix[: form.follower_rows].toarray()
        self.own: Array = replies.own.toarray()
        n, columns = len(form.cost), np.abs(self.rows) > 0
        steps = np.array([0.0 if (used & ~form.integer).any() else lattice_step(row) for row, used in zip(self.rows, columns)])
        steps = np.where(np.isfinite(steps), steps, 1.0)
        low, high = replies.row_lower.copy(), replies.row_upper.copy()
        has = steps > 0
        high[has] = steps[has] * np.floor(high[has] / steps[has] + ROUNDING)
        low[has] = steps[has] * np.ceil(low[has] / steps[has] - ROUNDING)
        self.step = np.concatenate([np.where(form.integer, 1.0, 0.0), steps])
        self.lower, self.upper = np.concatenate([lower, low]), np.concatenate([upper, high])
        self.whole = bool(form.integer[form.mine].all() and has.all())
        #: Bounds of the leader's columns stop nobody: only the follower's own sides do.
        mine = np.zeros(n + len(steps), bool)
        mine[form.mine] = True
        mine[n:] = True
        own_lower, own_upper = np.concatenate([form.lower, low]), np.concatenate([form.upper, high])
        self.side = np.concatenate([np.where(mine, own_upper, np.inf), np.where(mine, -own_lower, np.inf)])

    def watch(self, rows: Array) -> None:
        """Add quantities that bound nodes but stop nobody; rows [L, n]."""
        free = np.full(len(rows), np.inf)
        above, below = np.split(self.side, 2)
        self.side = np.concatenate([above, free, below, free])
        self.rows = np.vstack([self.rows, rows])
        self.own = np.vstack([self.own, np.zeros((len(rows), self.own.shape[1]))])
        self.step = np.append(self.step, np.ones(len(rows)))
        self.lower, self.upper = np.append(self.lower, -free), np.append(self.upper, free)

    @property
    def count(self) -> int:
        """How many quantities there are."""
        return len(self.lower)

    @property
    def tolerance(self) -> Array:
        """How far a doubled quantity may be from a threshold that it meets; [2 count]."""
        found = ROUNDING * np.where(self.step > 0, self.step, 0.1)
        return np.concatenate([found, found])

    @staticmethod
    def usable(form: Form) -> bool:
        """Whether the follower's costs do not depend on x and what it sees is integer."""
        return form.cross is None and bool(form.integer[form.linking].all())

    def values(self, z: Array) -> Array:
        """All doubled quantities at `z` [n]; [2 count]."""
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
        self.slack: Array = np.zeros((0, 1))
        self._met: set[bytes] = set()
        self.norms = np.append(sides.norms(), 1.0)
        self.tolerance = np.append(sides.tolerance, 0.0)
        self.steps = np.append(np.concatenate([sides.step, sides.step]), 1.0)

    def add(self, w: Array) -> int | None:
        """Add one improving direction [ny]; its number, or None if it is known or never possible."""
        before = len(self.at)
        self.extend(np.asarray(w)[None])
        return before if len(self.at) > before else None

    def extend(self, directions: Array) -> None:
        """Add improving directions [k, ny] that are new and that some point allows."""
        sides, form = self.sides, self.sides.form
        directions = np.asarray(directions, float) + 0.0
        fresh = [w for w in directions if w.tobytes() not in self._met]
        if not fresh:
            return
        self._met.update(w.tobytes() for w in fresh)
        w = np.array(fresh, float)
        n, count = len(form.cost), sides.count
        small = (w[:, form.integer[form.mine]] == 0).all(1)
        w[small] /= np.abs(w[small]).max(1, keepdims=True)  # every small multiple would do: the effect of one must not look like rounding
        effect = np.zeros((len(w), count))
        effect[:, form.mine] = w
        effect[:, n:] = w @ sides.own.T
        both = np.concatenate([effect, -effect], 1)
        stops = (both > ROUNDING * (1.0 + np.abs(w).max(1))[:, None]) & np.isfinite(sides.side)
        steps = np.concatenate([sides.step, sides.step])
        to = np.where(small[:, None], sides.side, sides.side - both + steps)
        # an alternative that holds at every point of the box makes the direction useless
        always = (stops & (to <= np.concatenate([sides.lower, -sides.upper]) + sides.tolerance)).any(1)
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
        self.slack = self.to - self.tolerance[self.at]


def pairs(form: Form, *, largest: int = 1) -> Array:
    """Improving directions with one or two entries: +-e_j and c e_i +- e_j with whole c up to `largest`; [k, ny]."""
    ny = len(form.mine)
    found = list[Array]()
    for i in range(ny):
        for s in (1, -1):
            w = np.zeros(ny)
            w[i] = s
            found.append(w)
    if ny <= 60:
        scales = range(1, largest + 1)
        for i, j in itertools.combinations(range(ny), 2):
            for a, b in {(p * s, q * t) for p in scales for q in scales if p == 1 or q == 1 for s in (1, -1) for t in (1, -1)}:
                w = np.zeros(ny)
                w[i], w[j] = a, b
                found.append(w)
    return improving(form, np.array(found))


def triples(form: Form) -> Array:
    """Improving directions with three entries of plus or minus one; [k, ny]."""
    ny = len(form.mine)
    found = list[Array]()
    for chosen in itertools.combinations(range(ny), 3):
        for signs in itertools.product((1, -1), repeat=3):
            w = np.zeros(ny)
            w[list(chosen)] = signs
            found.append(w)
    return improving(form, np.array(found).reshape(-1, ny))


def exchanges(form: Form, own: Array) -> Array:
    """Improving directions that trade a continuous column for another column so that one row does not notice; [k, ny].

    Parameters
    ----------
    form : Form
    own : array [m_f, ny]
    """
    ny, whole = len(form.mine), form.integer[form.mine]
    found = [np.zeros(ny)]
    for j in np.flatnonzero(~whole).tolist():
        for row in own[own[:, j] != 0]:
            for i in np.flatnonzero(row).tolist():
                if i == j:
                    continue
                for sign in (1.0, -1.0):
                    w = np.zeros(ny)
                    w[i], w[j] = sign, -sign * row[i] / row[j]
                    found.append(w)
    return improving(form, np.array(found))


def improving(form: Form, directions: Array) -> Array:
    """Those with d w < 0, sorted so that the order does not depend on how they were made."""
    better = directions[directions @ form.d < -IMPROVES * (1.0 + np.abs(form.d).max(initial=0.0))]
    return np.unique(better, axis=0)
