r"""A small follower's value function in closed form: one convex piece per assignment of its integer variables.

With the integer variables at :math:`\eta` and :math:`r(x) = b - Ax - G_I\eta`, the continuous ones solve a linear program whose dual
does not depend on x. So

- :math:`\eta` is infeasible at x if and only if :math:`u\,r(x) < 0` for an extreme ray u of :math:`\{u \ge 0, G_C^\top u = 0\}`,
- otherwise its value is :math:`d_I\eta + \max_v(-v\,r(x))` over the vertices v of :math:`\{u \ge 0, G_C^\top u = -d_C\}`,

and the follower's optimal value is the least over the feasible :math:`\eta`. Without continuous variables the rays are the rows.
"""

from __future__ import annotations

import itertools
from math import comb, prod

import numpy as np

from stackopt.backends.matrix import minimise
from stackopt.bilevel.point import Array
from stackopt.exact.integer.form import Form, Indices
from stackopt.solution import Status

#: Assignments of the follower's integer variables, and subsets of rows looked at for rays and vertices.
ASSIGNMENTS, SUBSETS = 3_000, 20_000
#: Rows and values within this of each other, relative to their size, are equal.
EQUAL = 1e-9


class Pieces:
    """The pieces.

    Attributes
    ----------
    seen : array [m, n]
        A: coefficients of others' columns in the follower's sides, each as activity <= b.
    eta : array [E, n_I]
        Assignments of the integer variables.
    rest : array [E, m]
        b - G_I eta.
    rays, vertices : array [K, m], [J, m]
    prices : array [E]
        d_I eta.
    """

    def __init__(self, form: Form, lower: Array, upper: Array) -> None:
        mine, count = form.mine, form.follower_rows
        rows = form.matrix[:count].toarray()
        continuous = mine[~form.integer[mine]]
        whole = mine[form.integer[mine]]
        unit = np.eye(len(form.cost))
        sides = [
            (rows, form.row_upper[:count]), (-rows, -form.row_lower[:count]),
            (unit[continuous], form.upper[continuous]), (-unit[continuous], -form.lower[continuous]),
        ]
        matrix, b = np.vstack([m for m, _ in sides]), np.concatenate([s for _, s in sides])
        kept = np.isfinite(b)
        matrix, b = matrix[kept], b[kept]
        self.form, self.whole = form, whole
        self.seen = matrix.copy()
        self.seen[:, mine] = 0.0
        places = {int(j): i for i, j in enumerate(mine)}
        d_c = form.d[[places[int(j)] for j in continuous]]
        d_i = form.d[[places[int(j)] for j in whole]]
        self.rays = rays(matrix[:, continuous])
        self.vertices = vertices(matrix[:, continuous], -d_c)
        self.eta = self._assignments(lower, upper)
        self.rest = b - self.eta @ matrix[:, whole].T
        self.prices = self.eta @ d_i
        # rays that do not see x decide alone whether an assignment is ever feasible
        blind = np.abs(self.rays @ self.seen).max(1, initial=0.0) <= EQUAL
        possible = (self.rest @ self.rays[blind].T >= -EQUAL * (1.0 + np.abs(b).max(initial=0.0))).all(1)
        self.eta, self.rest, self.prices = self.eta[possible], self.rest[possible], self.prices[possible]
        self.rays = self.rays[~blind]

    @staticmethod
    def fit(form: Form) -> str:
        """Why a program is too large or of another kind; empty if it is not."""
        if form.cross is not None:
            return "its objective multiplies the follower's variables by others'"
        mine = form.mine
        continuous = int((~form.integer[mine]).sum())
        m = 2 * form.follower_rows + 2 * continuous
        if sum(comb(m, s) for s in range(continuous + 2)) > SUBSETS:
            return "the follower is too large for its infimum to be proved"
        return ""

    def _assignments(self, lower: Array, upper: Array) -> Array:
        """All whole values of the integer variables that the follower's rows leave in the box of what it sees."""
        form, spans = self.form, list[Indices]()
        seen_rows = form.matrix[: form.follower_rows]
        for j in self.whole.tolist():
            ends = [form.lower[j], form.upper[j]]
            for side, sign in ((0, 1.0), (1, -1.0)):
                if np.isfinite(ends[side]):
                    continue
                cost = np.zeros(len(form.cost))
                cost[j] = sign
                solved = minimise(cost, seen_rows, form.row_lower[: form.follower_rows], form.row_upper[: form.follower_rows], lower, upper)
                if solved.status is Status.INFEASIBLE:
                    return np.zeros((0, len(self.whole)))
                if solved.status is not Status.OPTIMAL:
                    raise TooLarge(f"`{form.program.names[j]}` takes infinitely many values")
                ends[side] = sign * solved.bound
            spans.append(np.arange(np.ceil(ends[0] - 1e-6), np.floor(ends[1] + 1e-6) + 1.0))
        count = prod(len(s) for s in spans)
        if count > ASSIGNMENTS:
            raise TooLarge("the follower has too many integer points for its infimum to be proved")
        return np.array(list(itertools.product(*spans)), float).reshape(count, len(self.whole))

    def values(self, z: Array) -> Array:
        """The follower's value at z [n] with each assignment; infinity where it is infeasible; [E]."""
        left = self.rest - self.seen @ z
        scale = 1.0 + np.abs(self.rest).max(1, initial=0.0)
        feasible = (left @ self.rays.T >= -1e-8 * scale[:, None]).all(1)
        worth = self.prices + (-(left @ self.vertices.T)).max(1, initial=-np.inf)
        return np.where(feasible, worth, np.inf)


class TooLarge(Exception):
    """The closed form would be too large, in words."""


def rays(columns: Array) -> Array:
    """Extreme rays of {u >= 0, columns' u = 0}, scaled to largest entry 1; [K, m]."""
    m, width = columns.shape
    found = list[Array]()
    for size in range(1, width + 2):
        for chosen in itertools.combinations(range(m), size):
            part = columns[list(chosen)]
            if size == 1:
                if np.abs(part).max(initial=0.0) <= EQUAL:
                    found.append(_spread(m, chosen, np.ones(1)))
                continue
            _, values, right = np.linalg.svd(part.T)
            rank = int((values > 1e-10 * max(1.0, values.max(initial=0.0))).sum())
            if rank != size - 1:
                continue
            u = right[-1]
            u = u / u[np.abs(u).argmax()]
            if (u > 1e-10).all():
                found.append(_spread(m, chosen, u))
    return np.array(found).reshape(-1, m)


def vertices(columns: Array, rhs: Array) -> Array:
    """Vertices of {u >= 0, columns' u = rhs}; [J, m]."""
    m, width = columns.shape
    scale = 1.0 + np.abs(rhs).max(initial=0.0)
    found = list[Array]()
    if np.abs(rhs).max(initial=0.0) <= EQUAL:
        found.append(np.zeros(m))
    for size in range(1, width + 1):
        for chosen in itertools.combinations(range(m), size):
            part = columns[list(chosen)].T
            u, _, rank, _ = np.linalg.lstsq(part, rhs, rcond=None)
            if rank == size and (u > 1e-10).all() and np.abs(part @ u - rhs).max(initial=0.0) <= EQUAL * scale:
                found.append(_spread(m, chosen, np.asarray(u, float)))
    return np.array(found).reshape(-1, m)


def _spread(m: int, chosen: tuple[int, ...], values: Array) -> Array:
    wide = np.zeros(m)
    wide[list(chosen)] = values
    return wide
