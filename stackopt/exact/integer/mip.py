"""Small mixed-integer programs with the same rows, solved again and again: depth first over one warm linear program."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stackopt.backends.matrix import minimise, violation
from stackopt.backends.warm import WarmLp
from stackopt.bilevel.point import Array
from stackopt.exact.integer.form import Mask
from stackopt.solution import Status

if TYPE_CHECKING:
    from scipy.sparse import csr_array

#: A column this close to a whole number is rounded; the rounded point is checked against the rows.
WHOLE = 1e-6
#: A rounded point may break a row by this, relative to its largest entry.
ROWS = 1e-7
#: Nodes before the program is handed to HiGHS's own search.
NODES = 300


@dataclass(frozen=True, eq=False)
class Answer:
    """OPTIMAL with the optimum; INFEASIBLE if no point is better than the cutoff; UNBOUNDED, LIMIT or FAILED."""

    status: Status
    x: Array | None
    value: float


class WarmMip:
    """Minimise ``cost @ x`` over rows, bounds and whole columns, for changing bounds, sides and costs.

    Depth-first branch-and-bound on the most fractional column, nearer side first. Every point is rounded and checked. A search
    that takes more than `NODES` nodes, has no bounded relaxation, or whose rounded point fails the check, is done by HiGHS
    instead, without presolve, with which it was seen to fail; its point is checked too.

    Parameters
    ----------
    cost : array [n]
    matrix : sparse [m, n]
    row_lower, row_upper : array [m]
    lower, upper : array [n]
    integer : bool array [n]
    step : float
        All attainable values are multiples of it away from each other; 0 if unknown.
    """

    def __init__(
        self, cost: Array, matrix: csr_array, row_lower: Array, row_upper: Array, lower: Array, upper: Array, integer: Mask, *, step: float = 0.0
    ) -> None:
        self.cost, self.matrix, self.integer, self.step = np.array(cost, float), matrix, integer, step
        self.row_lower, self.row_upper, self.lower, self.upper = row_lower, row_upper, lower, upper
        self.lp = WarmLp(cost, matrix, row_lower, row_upper, lower, upper)
        self._columns = np.arange(len(cost), dtype=np.int32)
        self._rows = np.arange(matrix.shape[0], dtype=np.int32)
        self._whole = np.flatnonzero(integer)

    def solve(
        self, *, lower: Array | None = None, upper: Array | None = None, row_lower: Array | None = None, row_upper: Array | None = None,
        cost: Array | None = None, cutoff: float = np.inf, deadline: float = np.inf,
    ) -> Answer:
        """The optimum for these bounds, sides and costs, what is not given as at the start; only points better than `cutoff`, which is an
        attainable value or infinite."""
        low = self.lower if lower is None else lower
        high = self.upper if upper is None else upper
        sides = (self.row_lower if row_lower is None else row_lower, self.row_upper if row_upper is None else row_upper)
        solver = self.lp.solver
        solver.changeRowsBounds(len(self._rows), self._rows, *sides)
        costs = self.cost if cost is None else cost
        solver.changeColsCost(len(self._columns), self._columns, np.ascontiguousarray(costs, float))
        best, found = cutoff, None
        stack, nodes = [(low, high)], 0
        while stack:
            a, b = stack.pop()
            nodes += 1
            if nodes > NODES:
                return self._cold(costs, low, high, sides, cutoff, deadline)
            if (nodes & 15) == 0 and time.perf_counter() > deadline:
                return Answer(Status.LIMIT, found, best)
            solver.changeColsBounds(len(self._columns), self._columns, a, b)
            status = self.lp.solve()
            if status is Status.INFEASIBLE:
                continue
            if status is not Status.OPTIMAL:
                return self._cold(costs, low, high, sides, cutoff, deadline)
            margin = self.step - WHOLE if self.step else 1e-9 * (1.0 + abs(best))
            if np.isfinite(best) and self.lp.value > best - margin:
                continue
            x = self.lp.x
            away = np.abs(x - np.round(x))[self._whole]
            if away.max(initial=0.0) > WHOLE:
                at = int(self._whole[away.argmax()])
                down, up = b.copy(), a.copy()
                down[at], up[at] = np.floor(x[at]), np.floor(x[at]) + 1.0
                children = [(a, down), (up, b)]
                stack += children if x[at] - np.floor(x[at]) > 0.5 else children[::-1]
                continue
            z = self._rounded(x, a, b, sides)
            if z is None:
                return self._cold(costs, low, high, sides, cutoff, deadline)
            value = float(costs @ z)
            if value < best:
                best, found = value, z
        return Answer(Status.OPTIMAL if found is not None else Status.INFEASIBLE, found, best if found is not None else np.nan)

    def _rounded(self, x: Array, lower: Array, upper: Array, sides: tuple[Array, Array]) -> Array | None:
        """The relaxation's point with whole columns rounded and the rest optimised again; None if that breaks a row."""
        z = np.where(self.integer, np.round(x), x)
        if not self.integer.all() and (z != x).any():
            low, high = np.where(self.integer, z, lower), np.where(self.integer, z, upper)
            self.lp.solver.changeColsBounds(len(self._columns), self._columns, low, high)
            if self.lp.solve() is not Status.OPTIMAL:
                return None
            z = np.where(self.integer, z, self.lp.x)
        broken = violation(z, self.matrix, *sides, lower, upper)
        return z if broken <= ROWS * (1.0 + np.abs(z).max(initial=0.0)) else None

    def _cold(self, cost: Array, lower: Array, upper: Array, sides: tuple[Array, Array], cutoff: float, deadline: float) -> Answer:
        for presolve in (False, True):
            left = max(min(deadline - time.perf_counter(), 1e6), 0.0)
            solved = minimise(cost, self.matrix, *sides, lower, upper, integer=self.integer, time_limit=left, presolve=presolve)
            if solved.status is not Status.FAILED:
                break
        if solved.status is Status.OPTIMAL and solved.x is not None:
            z = np.where(self.integer, np.round(solved.x), solved.x)
            value = float(cost @ z)
            return Answer(Status.OPTIMAL, z, value) if value < cutoff else Answer(Status.INFEASIBLE, None, np.nan)
        return Answer(solved.status, None, np.nan)
