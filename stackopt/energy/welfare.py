r"""The welfare optimum of a population on one bus: a convex program over use and flows of charge, with a bound that is calculated again.

With the share :math:`s_i` of type i, utility :math:`u_i`, wear and the cost G of generation, households that did what is best for all would attain

.. math:: \min_{x,m}\ \sum_i s_i\big(\text{wear}(m_i)-u_i(x_i)\big)+G\big(\text{base}+N\textstyle\sum_is_i(x_i-g_i+c(m_i))\big)/N

over use :math:`x_i(h,w)\ge0` and joint laws :math:`m(h,w,c,a)` of regime, charge and move that the day carries over into themselves. Use is eliminated hour by
hour; what is left is linear but for one convex function of each hour and regime, which tangents approximate from below (Kelley): linear programs by HiGHS.

Duality turns prices P into a bound, for any P: the optimum is at least

.. math:: D(P)=\min_L\{G(L)/N-PL\}+\sum_is_i\min_x\{Px-u_i(x)\}-\sum_is_i\max_m\{-Pc(m)-\text{wear}(m)\},

and the last maximum is at most the largest rise :math:`\max_{w,c}(TV-V)` of any values V over a day T. So a pair (P, V) is a certificate, and `bound_at`
calculates it again without the program. At the prices of an equilibrium that passes wholesale prices through on both sides, D(P) is its cost less
its exploitability: the exploitability is a certificate of the welfare gap.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackopt.certificate import Certificate, Check
from stackopt.display import Block, number
from stackopt.energy.households import HOURS, Battery, Households
from stackopt.energy.market.supply import LinearSupply, Supply
from stackopt.energy.storage import Charging
from stackopt.errors import InvalidStudy
from stackopt.solution import Status

Array = NDArray[np.float64]

#: Tangents to begin with in each hour and regime, and rounds of further ones.
TANGENTS, ROUNDS = 9, 200
#: How far laws of charge may be from what the day makes of them.
CARRIED = 1e-7


@dataclass(frozen=True, eq=False)
class WelfareOptimum:
    """The least cost of serving a population, between two figures.

    Attributes
    ----------
    households : Households
    market : LinearSupply
    cost : float, $/day and household
        Of the plan: generation less utility plus wear, as in `Criteria`. An upper bound up to how well the plan carries over from day to day.
    bound : float, $/day and household
        No behaviour costs less: calculated from `price` and `values` alone.
    price : array [24, w], $/kWh
        NaN if the first linear program did not end.
    values : mapping of Battery to array [w, c], $
        Of charge at midnight.
    plan : mapping of Battery to array [24, w, c, a]
        Joint law of regime, charge and move, averaged over all households that have it.
    certificate : Certificate
    status : Status
        OPTIMAL if every check passes, else LIMIT with the reason.
    because : str
    rounds : int
        Linear programs solved.
    """

    households: Households
    market: LinearSupply
    cost: float
    bound: float
    price: Array
    values: Mapping[Battery, Array]
    plan: Mapping[Battery, Array]
    certificate: Certificate
    status: Status
    because: str
    rounds: int

    @property
    def bracket(self) -> float:
        """Distance of the two figures, $/day and household."""
        return self.cost - self.bound

    def block(self) -> Block:
        """The printed form."""
        rows = (
            ("cost", f"{self.cost:.9g} $ a day and household"),
            ("bound", f"{self.bound:.9g}, from prices and values of charge alone; bracket {number(self.bracket, 2)}"),
            ("prices", f"{number(1000 * self.price)} $/MWh"),
            ("stopped", f"{self.because}; {self.rounds} linear programs"),
        )
        return Block(f"Welfare optimum: {self.status}", rows, (self.certificate.block(),), good=self.status.success)

    def __str__(self) -> str:
        return self.block().text()

    __repr__ = __str__


def welfare_optimum(households: Households, market: Supply, *, tolerance: float = 1e-7, time_limit: float = 60.0) -> WelfareOptimum:
    """The least cost at which a population can be served.

    Parameters
    ----------
    households : Households
        On one bus.
    market : LinearSupply
        Whose prices are what a further kWh costs: with no floor, or a floor of 0.
    tolerance : float, $/day and household
        On the distance between the plan's cost and the bound.
    time_limit : float
        Seconds.

    Raises
    ------
    InvalidStudy
        ``setting-value`` for another market, or households on several buses.
    """
    town = _Town(households, _linear(households, market))
    program = _Program(town)
    deadline = time.monotonic() + time_limit
    for level in np.linspace(0.0, 1.0, TANGENTS):
        program.touch(program.least + level * (program.most - program.least))
    best: tuple[float, Array] = (math.inf, np.zeros(0))
    bound, price = -math.inf, np.full(town.regime.shape, np.nan)
    values: dict[Battery, Array] = {}
    because = f"{ROUNDS} linear programs"
    for _ in range(ROUNDS):
        status = program.lp.solve(deadline - time.monotonic())
        if status is not Status.OPTIMAL:
            because = "time" if status is Status.LIMIT else f"the linear program ended {status}"
            break
        charged = program.charged()
        worth, _ = town.served(charged / town.regime)
        cost = float((town.regime * worth).sum()) + program.wear()
        if cost < best[0]:
            best = cost, program.lp.x
        found = program.prices()
        certified = bound_at(households, market, found[0], found[1])
        if certified > bound:
            bound, (price, values) = certified, found
        if best[0] - bound <= tolerance:
            because = "bracket closed"
            break
        program.touch(charged)
    plan = {battery: program.law(battery, best[1]) for battery in households.batteries} if len(best[1]) else {}
    off = max((_carried(households, law, battery) for battery, law in plan.items()), default=0.0)
    checks = (
        Check("bracket", best[0] - bound, tolerance, "cost of the plan less the bound, both calculated again"),
        Check("bound <= cost", bound - best[0], 1e-9, f"{bound:.9g} <= {best[0]:.9g}"),
        Check("laws of charge", off, CARRIED, "joint laws against what a day makes of them, and weather's shares"),
    )
    certificate = Certificate(checks, {"cost": best[0]}, objective="cost")
    good = certificate.certified
    said = because if good else f"{because}: {', '.join(c.name for c in certificate.failures)} not within tolerance"
    return WelfareOptimum(households, town.market, best[0], bound, price, values, plan, certificate, Status.OPTIMAL if good else Status.LIMIT, said,
                          program.lp.solves)  # fmt: skip


def bound_at(households: Households, market: Supply, price: Array, values: Mapping[Battery, Array] | None = None) -> float:
    """A cost that no behaviour of the population undercuts, $/day and household: D(P) above, in a few sums and one sweep for each battery.

    Parameters
    ----------
    price : array [24, w], $/kWh
        Any; those below a floor of 0 count as 0, and for a flat supply its own price is taken.
    values : mapping of Battery to array [w, c], $, optional
        Of charge at midnight: any give a bound. By default those of the best control at these prices.

    Raises
    ------
    InvalidStudy
        As `welfare_optimum`.
    """
    town = _Town(households, _linear(households, market))
    m, regime = town.market, town.regime
    p = np.maximum(price, m.floor / 1000.0)
    if m.slope > 0:
        load = (1000.0 * p - m.intercept) / m.slope
    else:  # a flat supply: no other price gives a bound
        p, load = np.full_like(p, m.intercept / 1000.0), np.broadcast_to(town.base, p.shape)
    supply = m.cost((load - town.base)[None]) / households.count - p * (load - town.base) * 1000.0 / households.count
    use = np.maximum(town.load - town.steep * (p - households.reference_price), 0.0)
    demand = np.einsum("i,ihw->hw", households.share, p * (use - households.sun) - town.utility(use))
    total = float((regime * (supply + demand)).sum())
    for battery, members in households.batteries.items():
        worth = -p[..., None] * battery.metered - battery.worn
        held = Charging(battery, households.weather.hourly).control(worth[None], 0.0).value[0] if values is None else values[battery]
        total -= float(households.share[members].sum()) * float((_day(battery, households.weather.hourly, worth, held) - held).max())
    return total


def _linear(households: Households, market: Supply) -> LinearSupply:
    if not isinstance(market, LinearSupply) or market.floor not in (0.0, -math.inf) or len(households.buses) != 1:
        raise InvalidStudy("setting-value", name="market", law="one bus with a linear supply and a floor of 0 or none, for a welfare optimum", got=repr(market))
    return market


def _day(battery: Battery, weather: Array, worth: Array, values: Array) -> Array:
    """What charge is worth a day earlier [w, c], where every move is the best one; `worth` [24, w, a]."""
    now, levels = values, battery.levels
    for h in range(HOURS - 1, -1, -1):
        ahead = weather[h] @ now
        now = np.full_like(values, -np.inf)
        for a, move in enumerate(battery.moves):
            low, high = max(0, -move), min(levels, levels - move)
            now[:, low:high] = np.maximum(now[:, low:high], worth[h, :, a, None] + ahead[:, low + move : high + move])
    return now


def _carried(households: Households, law: Array, battery: Battery) -> float:
    """How far a joint law [24, w, c, a] is from one that the day carries over into itself, in which regimes rule as often as they do."""
    worst = float(max(-law.min(), np.abs(law.sum((2, 3)) - households.weather.shares).max()))
    for h in range(HOURS):
        after = np.zeros(law.shape[1:3])
        for a, move in enumerate(battery.moves):
            low, high = max(0, -move), min(battery.levels, battery.levels - move)
            after[:, low + move : high + move] += law[h, :, low:high, a]
        arriving = households.weather.hourly[h].T @ after
        worst = max(worst, float(np.abs(law[(h + 1) % HOURS].sum(-1) - arriving).max()))
    return worst


class _Town:
    """Demand and supply without batteries."""

    def __init__(self, households: Households, market: LinearSupply) -> None:
        self.households, self.market = households, market
        self.regime = np.repeat(households.weather.shares[None], HOURS, 0)  # [h, w]
        load = households.load
        self.load = load if load.ndim == 3 else load[:, :, None]
        self.steep = self.load * (households.elasticity / households.reference_price)
        self.base = np.broadcast_to(np.asarray(market.base, float), (HOURS,))[:, None]
        self.sun = np.einsum("i,ihw->hw", households.share, households.sun)

    def utility(self, use: Array) -> Array:
        """$ an hour [i, h, w]."""
        away = use - self.load
        found: Array = self.households.reference_price * away - away**2 / (2.0 * self.steep)
        return found

    def served(self, charged: Array) -> tuple[Array, Array]:
        """(least cost, its derivative in `charged`) [h, w], $ an hour and household and $/kWh, where batteries take `charged`, kWh per household.

        Use answers to the price at which the market clears, found by bisection: what is used falls with the price, and the price rises with use.
        """
        h, m = self.households, self.market

        def at(price: Array) -> tuple[Array, Array]:
            use = np.maximum(self.load - self.steep * (price - h.reference_price), 0.0)
            net = (np.einsum("i,ihw->hw", h.share, use) - self.sun + charged) * h.count / 1000.0
            return use, net

        def clears(price: Array) -> Array:
            found: Array = m.clear(at(price)[1][None])[0][0] / 1000.0
            return found

        low = clears(np.full_like(charged, np.inf))
        high = clears(low)
        for _ in range(60):
            middle = 0.5 * (low + high)
            above = clears(middle) > middle
            low, high = np.where(above, middle, low), np.where(above, high, middle)
        price = 0.5 * (low + high)
        use, net = at(price)
        cost: Array = m.cost(net[None]) / h.count - np.einsum("i,ihw->hw", h.share, self.utility(use))
        return cost, price


class _Program:
    """The linear program: laws of charge, what batteries take in each hour and regime, and costs above their tangents.

    Columns: for each battery the law of each possible (h, w, c, a); then z [h, w], kWh joint with the regime; then costs [h, w].
    Rows: for each battery what leaves (h, w, c) equals what arrives, and one law of midnight sums to 1; then the definition of z; then tangents.
    """

    def __init__(self, town: _Town) -> None:
        from scipy.sparse import coo_array

        from stackopt.backends.warm import WarmLp

        self.town, h = town, town.households
        W = len(h.weather.shares)
        self.cells = HOURS * W
        self.weight = {battery: float(h.share[members].sum()) for battery, members in h.batteries.items()}
        rows: list[Any] = []
        columns: list[Any] = []
        entries: list[Any] = []
        cost: list[Any] = []
        self.moves: dict[Battery, Any] = {}  # (first column, [h, w, c, a] of each column)
        self.first: dict[Battery, int] = {}  # row of (0, 0, 0)
        at = row = 0
        taken: list[tuple[Any, Any, Any]] = []
        lower: list[Any] = []
        for battery, weight in self.weight.items():
            C, moves = battery.levels, battery.moves
            where = np.array([(c, a) for c in range(C) for a, move in enumerate(moves) if 0 <= c + move < C])
            hour, regime, k = (v.ravel() for v in np.meshgrid(np.arange(HOURS), np.arange(W), np.arange(len(where)), indexing="ij"))
            level, move = where[k, 0], where[k, 1]
            column = at + np.arange(len(k))
            self.moves[battery], self.first[battery] = (at, (hour, regime, level, move)), row
            rows.append(row + (hour * W + regime) * C + level)
            columns.append(column)
            entries.append(np.ones(len(k)))
            after = (hour + 1) % HOURS
            for v in range(W):
                chance = h.weather.hourly[hour, regime, v]
                some = chance > 0.0
                rows.append(row + (after[some] * W + v) * C + level[some] + moves[move[some]])
                columns.append(column[some])
                entries.append(-chance[some])
            row += self.cells * C
            midnight = hour == 0
            rows.append(np.full(midnight.sum(), row))
            columns.append(column[midnight])
            entries.append(np.ones(midnight.sum()))
            lower += [np.zeros(self.cells * C), np.ones(1)]
            row += 1
            cost.append(weight * battery.worn[move])
            taken.append((hour * W + regime, column, -weight * battery.metered[move]))
            at += len(k)
        self.z, self.c, self.link = at, at + self.cells, row
        for cell, column, value in taken:
            rows.append(row + cell)
            columns.append(column)
            entries.append(value)
        each = np.arange(self.cells)
        rows.append(row + each)
        columns.append(self.z + each)
        entries.append(np.ones(self.cells))
        lower.append(np.zeros(self.cells))
        count = self.c + self.cells
        matrix = coo_array((np.concatenate(entries), (np.concatenate(rows), np.concatenate(columns))), shape=(row + self.cells, count)).tocsr()
        extremes = [sum(w * f(b.metered) for b, w in self.weight.items()) for f in (np.min, np.max)]
        self.least, self.most = (float(e) * town.regime for e in extremes)
        sides = np.concatenate(lower)
        free = np.full(2 * self.cells, np.inf)
        self.lp = WarmLp(
            np.concatenate([*cost, np.zeros(self.cells), np.ones(self.cells)]), matrix, sides, sides,
            np.concatenate([np.zeros(at), -free]), np.concatenate([np.full(at, np.inf), free]),
        )  # fmt: skip

    def touch(self, charged: Array) -> None:
        """Add the tangents at `charged` [h, w], joint with the regime."""
        cost, price = self.town.served(charged / self.town.regime)
        for k, (r, f, p, z) in enumerate(zip(self.town.regime.ravel(), cost.ravel(), price.ravel(), charged.ravel(), strict=True)):
            self.lp.add_row([self.c + k, self.z + k], [1.0, -p], r * f - p * z, np.inf)

    def charged(self) -> Array:
        """What batteries take [h, w] in the last solution, kWh per household, joint with the regime: from its laws, not from its own sums."""
        x, total = self.lp.x, np.zeros(self.cells)
        W = len(self.town.households.weather.shares)
        for battery, weight in self.weight.items():
            at, (hour, regime, _, move) = self.moves[battery]
            np.add.at(total, hour * W + regime, weight * battery.metered[move] * x[at : at + len(move)])
        return total.reshape(HOURS, W)

    def wear(self) -> float:
        """$ a day and household in the last solution."""
        x, total = self.lp.x, 0.0
        for battery, weight in self.weight.items():
            at, (*_, move) = self.moves[battery]
            total += weight * float(battery.worn[move] @ x[at : at + len(move)])
        return total

    def prices(self) -> tuple[Array, dict[Battery, Array]]:
        """(prices [h, w], values of charge at midnight [w, c]) of the last solution's multipliers."""
        dual = self.lp.row_dual
        W = len(self.town.households.weather.shares)
        price = dual[self.link : self.link + self.cells].reshape(HOURS, W)
        values = {}
        for battery, weight in self.weight.items():
            start, size = self.first[battery], W * battery.levels
            values[battery] = -dual[start : start + size].reshape(W, battery.levels) / weight
        return price, values

    def law(self, battery: Battery, x: Array) -> Array:
        """[24, w, c, a]."""
        at, where = self.moves[battery]
        W = len(self.town.households.weather.shares)
        law = np.zeros((HOURS, W, battery.levels, len(battery.moves)))
        law[where] = x[at : at + len(where[0])]
        return law
