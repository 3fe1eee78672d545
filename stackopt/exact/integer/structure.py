"""Whether a program is zero-sum interdiction, and of which kind: read off the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stackopt.bilevel.point import Array
from stackopt.exact.integer.form import Form, Indices

#: At most this share of the items may be worth different amounts to leader and follower.
DIFFERENT = 0.2


@dataclass(frozen=True, eq=False)
class Interdiction:
    r"""min f x + (e - d) y: the leader spends binary x so that the follower, who minimises d y, attains little.

    The follower sees x only in rows :math:`y_j + u_j x_{k(j)} \le u_j` with :math:`y_j \ge 0`, one per item j at most: an item
    is out of reach or untouched. The leader's rows contain no y.

    Attributes
    ----------
    blocker : int array [ny]
        The column of x that blocks item j; -1 if none does.
    prices : array [ny]
        -d in the leader's unit, what the follower maximises.
    rest : array [ny]
        e, by which the leader's costs differ from the follower's prices; zero in a zero-sum program.
    leader_rows : int array
        Rows of `form` that are the leader's.
    other_rows : int array
        Rows of the follower that do not block.
    packing : bool
        The program is zero-sum, all these rows have non-negative coefficients and only an upper side, and y >= 0: with y
        feasible, so is everything below it that is whole where it must be.
    """

    blocker: Indices
    prices: Array
    rest: Array
    leader_rows: Indices
    other_rows: Indices
    packing: bool


def interdiction(form: Form) -> Interdiction | None:
    """The structure, or None if the program is not of this kind."""
    others = np.setdiff1d(np.arange(len(form.cost)), form.mine)
    if not np.isfinite(form.follower_unit):
        return None
    d = form.in_leader_units(form.d)
    rest_of_cost = form.cost[form.mine] + d
    if form.cross is not None or np.count_nonzero(rest_of_cost) > DIFFERENT * len(form.mine):
        return None
    if not form.integer[others].all() or (form.lower[others] != 0).any() or (form.upper[others] != 1).any():
        return None
    matrix, place = form.matrix, np.full(len(form.cost), -1)
    place[form.mine] = np.arange(len(form.mine))
    leader_rows = np.arange(form.follower_rows, matrix.shape[0])
    if (place[matrix.indices[matrix.indptr[form.follower_rows] :]] >= 0).any():
        return None
    blocker = np.full(len(form.mine), -1)
    rest, packing = list[int](), bool((form.lower[form.mine] == 0).all() and not rest_of_cost.any())
    for i in range(form.follower_rows):
        part = slice(matrix.indptr[i], matrix.indptr[i + 1])
        columns, values = matrix.indices[part], matrix.data[part]
        if (place[columns] >= 0).all():
            rest.append(i)
            packing &= bool((values >= 0).all()) and form.row_lower[i] == -np.inf
            continue
        if len(columns) != 2 or form.row_lower[i] != -np.inf or (place[columns] >= 0).sum() != 1:
            return None
        at = int((place[columns] < 0).argmax())
        x, y, u, own, side = int(columns[at]), int(columns[1 - at]), float(values[at]), float(values[1 - at]), float(form.row_upper[i])
        j = place[y]
        # y <= (side - u x) / own: at most 0 when blocked, and no tighter than the bound of y otherwise
        if own <= 0 or blocker[j] >= 0 or u != side or form.lower[y] != 0 or side / own < form.upper[y]:
            return None
        blocker[j] = x
    if (blocker < 0).all():
        return None
    return Interdiction(blocker, -d, rest_of_cost, leader_rows, np.array(rest, np.int64), packing)
