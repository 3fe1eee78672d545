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


def probe(t: Tableau, asked: Ints, cutoff: float, steps: int) -> tuple[Array, NDArray[np.bool_]]:
    """Lower bounds on the program with each asked constraint tight, and which of them are its optimum.

    Parameters
    ----------
    asked : int array [C]
        Constraints whose slack is positive.
    cutoff : float
        A bound this high is high enough.
    steps : int
        Dual simplex steps at most.

    Returns
    -------
    bounds : array [C]
    exact : bool array [C]
    """
    bounds = np.full(len(asked), t.value)
    exact = np.zeros(len(asked), bool)
    if not len(asked) or not t.rates.shape[1]:
        return bounds, exact
    live = np.arange(len(asked))
    row, deficit = -t.rates[asked], t.slack[asked].copy()
    reduced = np.broadcast_to(np.maximum(t.reduced, 0.0), row.shape).copy()
    slack = np.broadcast_to(t.slack, (len(asked), len(t.slack))).copy()
    value = np.full(len(asked), t.value)
    width = np.broadcast_to(t.range, row.shape).copy()
    leaving = asked
    scale = 1.0 + np.abs(t.rates).max(1)
    done = list[tuple[Array, Ints, Array]]()  # pivot rows [C, c], columns [C], pivots [C] of the steps so far
    for step in range(steps):
        few = np.arange(len(live))
        size = np.abs(row).max(1)
        eligible = row > PIVOT * size[:, None]
        ratio = np.where(eligible, reduced / np.where(eligible, row, 1.0), np.inf)
        column = np.argmin(ratio, axis=1)
        theta = ratio[few, column]
        stuck = np.isinf(theta)
        if stuck.any():
            for i in np.flatnonzero(stuck):
                tiny = np.maximum(row[i], 0.0)
                with np.errstate(invalid="ignore"):
                    reach = np.where(tiny > 0, tiny * width[i], 0.0).sum()
                if reach < 0.5 * deficit[i]:
                    bounds[live[i]] = np.inf
            keep = np.flatnonzero(~stuck)
            if not len(keep):
                break
            live, row, deficit, reduced, slack, value, column, theta, width, leaving = (
                a[keep] for a in (live, row, deficit, reduced, slack, value, column, theta, width, leaving)
            )
            done = [(a[keep], b[keep], c[keep]) for a, b, c in done]
            few = np.arange(len(live))
        pivot = row[few, column]
        value = value + theta * deficit
        reduced = reduced - theta[:, None] * row
        reduced[few, column] = theta if step else np.inf  # the pair itself stays tight: its column is gone
        width[few, column] = t.reach[leaving]
        charge = np.minimum(reduced, 0.0)
        with np.errstate(invalid="ignore"):
            charge = np.where(charge < 0, charge * width, 0.0).sum(1)
        bounds[live] = np.maximum(bounds[live], value + charge)
        if step == steps - 1:
            break
        unit = np.zeros_like(row)
        unit[few, column] = 1.0
        for a, j, p in reversed(done):
            at = unit[few, j]
            unit[few, j] = 0.0
            rest = np.einsum("cj,cj->c", a, unit)
            unit[few, j] = ((0.0 if a is done[0][0] else at) - rest) / p
        slack += (deficit / pivot)[:, None] * (unit @ t.rates.T)
        done.append((row, column, pivot))
        worst = np.argmin(slack / scale, axis=1)
        deficit = -slack[few, worst]
        finished = deficit <= SATISFIED * (1.0 + np.abs(slack).max(1))
        exact[live[finished]] = True
        keep = np.flatnonzero(~finished & (value < cutoff))
        if not len(keep):
            break
        live, deficit, reduced, slack, value, leaving, width = (a[keep] for a in (live, deficit, reduced, slack, value, worst, width))
        done = [(a[keep], b[keep], c[keep]) for a, b, c in done]
        few = np.arange(len(live))
        row = t.rates[leaving].copy()
        for k, (a, j, p) in enumerate(done):
            at = row[few, j] / p
            row = row - at[:, None] * a
            row[few, j] = at if k else 0.0
    return bounds, exact
