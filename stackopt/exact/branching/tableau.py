r"""The simplex tableau at the optimum of a relaxation, and what tightening each pair costs at least.

*Lines* are the columns and rows of the linear program: each has an activity with a lower and an upper side. At a basis, every
activity is affine in the non-basic slacks :math:`t \ge 0`: activity = activity at the optimum + W t, and the objective is z + r t
with reduced costs :math:`r \ge 0`.

*Probing* (`probe`): to make the slack of a pair zero, :math:`\sum_j a_j t_j = \delta` must hold with :math:`\delta` its slack now. One dual simplex
step gives the lower bound :math:`z + \delta \min_{a_j>0} r_j/a_j` (Driebeek's penalty) on the program with that pair tight; further
steps on the rows that become violated raise it. All pairs are probed together, each with its own sequence of steps
(product form over the one shared tableau).

*Validity.* After any number of steps the reduced costs R and the row multipliers behind them bound the program from below by
weak duality: value + :math:`\sum_j \min(R_j, 0) T_j`, where :math:`T_j` is the range of the j-th slack. The sum is the price of rounding, and
it is charged. A pair that no step can tighten is called impossible only if what its row can still move, :math:`\sum |a_j| T_j` over
entries of the right sign however small, is less than half of its slack.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackopt.exact.branching.cell import Array

Ints = NDArray[np.int64]
#: Entries below this, relative to the largest of their row, are not pivoted on.
PIVOT = 1e-9
#: Rows violated by less than this are satisfied.
SATISFIED = 1e-8


class Lines:
    """Columns and rows of a linear program, dense, with the finite sides of each.

    Attributes
    ----------
    matrix : array [m, n]
    line, sign : array [K]
        The constraints: which line, +1 for its lower and -1 for its upper side.
    """

    def __init__(self, matrix: Any, lower: Array, upper: Array) -> None:
        self.matrix = matrix.toarray()
        m, n = self.matrix.shape
        self.m, self.n = m, n
        low, high = np.flatnonzero(np.isfinite(lower)), np.flatnonzero(np.isfinite(upper))
        self.line = np.concatenate([low, high])
        self.sign = np.concatenate([np.ones(len(low)), -np.ones(len(high))])
        self.place = {(int(i), int(s)): k for k, (i, s) in enumerate(zip(self.line, self.sign))}
        reach_low, reach_high = self._reach(lower[:n], upper[:n])
        self.range = np.minimum(np.concatenate([upper[:n] - lower[:n], reach_high - reach_low]), upper - lower)
        one_sided = np.concatenate([np.full(n, np.inf), np.where(np.isfinite(lower[n:]), reach_high - lower[n:], upper[n:] - reach_low)])
        self.range = np.minimum(self.range, np.maximum(one_sided, 0.0))

    def _reach(self, lower: Array, upper: Array) -> tuple[Array, Array]:
        """The least and largest activity that the bounds of the columns allow each row."""
        positive, negative = np.maximum(self.matrix, 0.0), np.minimum(self.matrix, 0.0)
        with np.errstate(invalid="ignore"):
            low = np.where(positive > 0, positive * lower, 0.0).sum(1) + np.where(negative < 0, negative * upper, 0.0).sum(1)
            high = np.where(positive > 0, positive * upper, 0.0).sum(1) + np.where(negative < 0, negative * lower, 0.0).sum(1)
        return low, high


@dataclass(eq=False)
class Tableau:
    """The tableau of one basis.

    Attributes
    ----------
    rates : array [K, c]
        Slack of each constraint per unit of each non-basic slack.
    slack : array [K]
    reduced : array [c]
        Reduced costs.
    range : array [c]
        How far each non-basic slack can move.
    reach : array [K]
        The same for each constraint.
    value : float
    """

    rates: Array
    slack: Array
    reduced: Array
    range: Array
    reach: Array
    value: float


def tableau(lines: Lines, basic: Ints, x: Array, lower: Array, upper: Array, cost: Array, value: float) -> Tableau | None:
    """The tableau of a basis, or None if it is too ill-conditioned to trust.

    Parameters
    ----------
    basic : int array [m]
        Basic variables as HiGHS names them: columns, or -1 - row.
    x : array [n]
        The optimum.
    lower, upper : array [n + m]
        Sides of the lines in this cell.
    """
    n, m = lines.n, lines.m
    is_basic = np.zeros(n + m, bool)
    is_basic[np.where(basic >= 0, basic, n - 1 - basic)] = True
    in_columns, out_columns = np.flatnonzero(is_basic[:n]), np.flatnonzero(~is_basic[:n])
    out_rows = np.flatnonzero(~is_basic[n:])
    if len(in_columns) != len(out_rows):
        return None
    activity = np.concatenate([x, lines.matrix @ x])
    out = np.concatenate([out_columns, n + out_rows])
    free = np.isinf(lower[out]) & np.isinf(upper[out])
    at_upper = upper[out] - activity[out] < activity[out] - lower[out]
    sign = np.where(at_upper, -1.0, 1.0)
    moves = np.zeros((n, n))  # columns per unit of each non-basic line's activity
    moves[out_columns, np.arange(len(out_columns))] = 1.0
    if len(in_columns):
        core = lines.matrix[np.ix_(out_rows, in_columns)]
        right = np.concatenate([-lines.matrix[np.ix_(out_rows, out_columns)], np.eye(len(out_rows))], axis=1)
        try:
            solved = np.linalg.solve(core, right)
        except np.linalg.LinAlgError:
            return None
        if not np.isfinite(solved).all() or np.abs(core @ solved - right).max(initial=0.0) > 1e-8 * (1.0 + np.abs(solved).max(initial=0.0)):
            return None
        moves[in_columns] = solved
    moves *= sign
    fixed = lower[out] >= upper[out]
    keep = np.flatnonzero(~fixed)
    both = np.flatnonzero(free & ~fixed)
    moves, width = np.concatenate([moves[:, keep], -moves[:, both]], axis=1), lines.range[np.concatenate([out[keep], out[both]])]
    all_moves = np.concatenate([moves, lines.matrix @ moves], axis=0)
    rates = all_moves[lines.line] * lines.sign[:, None]
    side = np.where(lines.sign > 0, lower[lines.line], upper[lines.line])
    slack = np.maximum((activity[lines.line] - side) * lines.sign, 0.0)
    return Tableau(rates, slack, np.asarray(cost @ moves), width, lines.range[lines.line], value)


def probe(t: Tableau, asked: Ints, cutoff: float, steps: int) -> Array:
    """Lower bounds [C] on the program with each asked constraint tight.

    Parameters
    ----------
    asked : int array [C]
        Constraints whose slack is positive.
    cutoff : float
        A bound this high is high enough.
    steps : int
        Dual simplex steps at most.
    """
    bounds = np.full(len(asked), t.value)
    if not len(asked) or not t.rates.shape[1]:
        return bounds
    probes = _Probes(t, asked)
    for step in range(steps):
        going = probes.step(bounds, first=step == 0)
        if not going or step == steps - 1:
            break
        if not probes.next_row(cutoff):
            break
    return bounds


class _Probes:
    """One dual simplex run per asked constraint; arrays are [C, ...] over those still running."""

    def __init__(self, t: Tableau, asked: Ints) -> None:
        self.t = t
        self.columns = np.ascontiguousarray(t.rates.T)
        self.live = np.arange(len(asked))
        self.row, self.deficit = -t.rates[asked], t.slack[asked].copy()  # row @ t must rise by the deficit
        self.reduced = np.broadcast_to(np.maximum(t.reduced, 0.0), self.row.shape).copy()
        self.slack = np.broadcast_to(t.slack, (len(asked), len(t.slack))).copy()
        self.width = np.broadcast_to(t.range, self.row.shape).copy()
        self.value = np.full(len(asked), t.value)
        self.leaving = np.asarray(asked)
        self.scale = 1.0 + np.abs(t.rates).max(1)
        self.done = list[tuple[Array, Ints, Array]]()  # pivot rows, columns and pivots of the steps so far
        self.column, self.pivot = np.zeros(len(asked), np.int64), np.ones(len(asked))

    def keep(self, which: NDArray[np.bool_]) -> None:
        """Go on with some only."""
        self.live, self.leaving, self.column = self.live[which], self.leaving[which], self.column[which]
        self.row, self.reduced, self.slack, self.width = self.row[which], self.reduced[which], self.slack[which], self.width[which]
        self.deficit, self.value, self.pivot = self.deficit[which], self.value[which], self.pivot[which]
        self.done = [(a[which], j[which], p[which]) for a, j, p in self.done]

    def step(self, bounds: Array, *, first: bool) -> bool:
        """The dual ratio test and its bound; False if none is left running."""
        eligible = self.row > PIVOT * np.abs(self.row).max(1)[:, None]
        ratio = np.where(eligible, self.reduced / np.where(eligible, self.row, 1.0), np.inf)
        self.column = np.argmin(ratio, axis=1)
        stuck = np.isinf(ratio[np.arange(len(self.live)), self.column])
        if stuck.any():
            self._impossible(np.flatnonzero(stuck), bounds)
            ratio = ratio[~stuck]
            self.keep(~stuck)
            if not len(self.live):
                return False
        few = np.arange(len(self.live))
        theta = ratio[few, self.column]
        self.pivot = self.row[few, self.column]
        self.value = self.value + theta * self.deficit
        self.reduced = self.reduced - theta[:, None] * self.row
        self.reduced[few, self.column] = np.inf if first else theta  # the pair itself stays tight: its column is gone
        self.width[few, self.column] = self.t.reach[self.leaving]
        below = np.minimum(self.reduced, 0.0)
        with np.errstate(invalid="ignore"):
            charge = np.where(below < 0, below * self.width, 0.0).sum(1)
        bounds[self.live] = np.maximum(bounds[self.live], self.value + charge)
        return True

    def _impossible(self, stuck: Ints, bounds: Array) -> None:
        for i in stuck:
            positive = np.maximum(self.row[i], 0.0)
            with np.errstate(invalid="ignore"):
                most = np.where(positive > 0, positive * self.width[i], 0.0).sum()
            if most < 0.5 * self.deficit[i]:
                bounds[self.live[i]] = np.inf

    def next_row(self, cutoff: float) -> bool:
        """Move to the new basis and pick the row violated most; False if none is left running."""
        few = np.arange(len(self.live))
        unit = np.zeros_like(self.row)  # how the non-basic slacks of the shared tableau move with the entering one
        unit[few, self.column] = 1.0
        for k in range(len(self.done) - 1, -1, -1):
            a, j, p = self.done[k]
            own = unit[few, j] if k else 0.0
            unit[few, j] = 0.0
            unit[few, j] = (own - np.einsum("cj,cj->c", a, unit)) / p
        unit *= (self.deficit / self.pivot)[:, None]
        if 12 * (len(self.done) + 1) < unit.shape[1]:  # few of its entries are not zero
            for j in (self.column, *(j for _, j, _ in self.done)):
                self.slack += unit[few, j][:, None] * self.columns[j]
                unit[few, j] = 0.0
        else:
            self.slack += unit @ self.columns
        self.done.append((self.row, self.column, self.pivot))
        self.leaving = np.argmin(self.slack / self.scale, axis=1)
        self.deficit = -self.slack[few, self.leaving]
        self.keep((self.deficit > SATISFIED * (1.0 + np.abs(self.slack).max(1))) & (self.value < cutoff))
        if not len(self.live):
            return False
        few, row = np.arange(len(self.live)), self.t.rates[self.leaving]
        for k, (a, j, p) in enumerate(self.done):
            at = row[few, j] / p
            row = row - at[:, None] * a
            row[few, j] = at if k else 0.0
        self.row = row
        return True
