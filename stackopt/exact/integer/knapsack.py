"""Best packings: dynamic programming for one row of whole weights, a warm branch-and-bound otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from stackopt.bilevel.point import Array
from stackopt.exact.integer.form import Form, Mask
from stackopt.exact.integer.mip import WarmMip
from stackopt.exact.integer.structure import Interdiction
from stackopt.solution import Status

if TYPE_CHECKING:
    from scipy.sparse import csr_array

#: Largest table of the dynamic program, items times capacity.
TABLE = 3_000_000


class Packing:
    """maximise prices @ y over the follower's packing rows, without the blocked items.

    Attributes
    ----------
    rows : array [m, ny]
        Coefficients, all non-negative.
    room : array [m]
    most : array [ny]
        Upper bounds.
    """

    def __init__(self, form: Form, structure: Interdiction) -> None:
        from scipy import sparse

        own: csr_array = sparse.csr_array(form.matrix[structure.other_rows][:, form.mine])
        self.rows: Array = own.toarray()
        self.room = form.row_upper[structure.other_rows]
        self.most = form.upper[form.mine]
        self.integer = form.integer[form.mine]
        m = len(self.room)
        whole = m == 1 and bool((self.most == 1).all() and self.integer.all() and (self.rows == np.round(self.rows)).all())
        self.table = whole and 0 <= self.room[0] < np.inf and len(self.most) * self.room[0] <= TABLE
        self._mip: Any = None
        if not self.table:
            self._mip = WarmMip(np.zeros(len(self.most)), own, np.full(m, -np.inf), self.room, np.zeros(len(self.most)), self.most, self.integer)

    def best(self, prices: Array, blocked: Mask, deadline: float) -> Array | None:
        """An optimal y [ny]; None without one in time."""
        if self.table:
            return self._by_table(prices, blocked)
        answer = self._mip.solve(cost=-prices, upper=np.where(blocked, 0.0, self.most), deadline=deadline)
        return answer.x if answer.status is Status.OPTIMAL else None

    def _by_table(self, prices: Array, blocked: Mask) -> Array:
        capacity = int(self.room[0])
        weights = self.rows[0].astype(np.int64)
        y = np.zeros(len(prices))
        items = np.flatnonzero(~blocked & (prices > 0) & (weights <= capacity))
        free = weights[items] == 0
        y[items[free]] = 1.0
        items = items[~free]
        value = np.zeros(capacity + 1)
        taken = np.zeros((len(items), capacity + 1), bool)
        for i, j in enumerate(items.tolist()):
            w = int(weights[j])
            with_it = value[: capacity + 1 - w] + prices[j]
            better = with_it > value[w:]
            taken[i, w:] = better
            value[w:] = np.where(better, with_it, value[w:])
        left = capacity
        for i in range(len(items) - 1, -1, -1):
            if taken[i, left]:
                y[items[i]] = 1.0
                left -= int(weights[items[i]])
        return y

    def extended(self, y: Array, prices: Array) -> Array:
        """`y` with as much of every profitable item as still fits, in order of price per share of the room."""
        left = self.room - self.rows @ y
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.nan_to_num(self.rows / np.maximum(self.room, 1e-12)[:, None], nan=0.0).sum(0) if len(self.room) else np.zeros(len(y))
            order = np.argsort(-prices / np.maximum(share, 1e-12), kind="stable")
        found = y.copy()
        for j in order.tolist():
            if prices[j] <= 0 or found[j] >= self.most[j]:
                continue
            column = self.rows[:, j]
            used = column > 0
            fits = float((left[used] / column[used]).min(initial=np.inf))
            more = min(self.most[j] - found[j], fits)
            more = float(np.floor(more + 1e-9)) if self.integer[j] else more
            if more > 0 and np.isfinite(more):
                found[j] += more
                left = left - column * more
        return found
