r"""The search for prices behind `equilibrium`: Newton steps on demand, a market that clears exactly, temperatures that fall as fast as they can.

A step linearises demand only, :math:`P'=S(n_0+J(P'-P))` (Josephy and Newton). J comes from adjoints where a step failed and from Broyden's formula
otherwise. A step of an exact J that does not reduce the residual is halved; where that ends, the search returns to the last temperature that it
solved and takes a smaller way down. Prices stay where every household's sell rate is at most its buy rate.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stackopt.energy.households import Households
from stackopt.energy.market.supply import Settles, Supply
from stackopt.energy.response import Response, Slopes, respond, slopes
from stackopt.energy.tariff import Tariff
from stackopt.errors import InvalidStudy, StackoptError

Array = NDArray[np.float64]

#: Where a cold start begins, or higher if that is asked for, $; and the highest from which the way down may begin, where this fails.
BEGIN, HIGHEST = 0.02, 3.0
#: Residual at which a temperature above the one asked for is left, $/kWh.
RUNG = 1e-2
#: The largest change of a price in one step, $/kWh, or a quarter of the largest price.
CAP = 0.05
#: Length of the shortest part of a step that is tried, and how many steps in a row may fail to halve the residual.
SHORTEST, POOR = 1.0 / 16.0, 12
#: Steps of one attempt that may increase the residual, its most responses, and responses that are averaged between two attempts.
DARING, PATIENCE, AVERAGED = 6, 60, 20
#: Ratio of two temperatures that are too close for another one between them.
NARROW = 1.05
BUDGET, TIME = "the most responses", "time"


@dataclass(frozen=True, eq=False)
class Point:
    """Prices, and what follows from them.

    Attributes
    ----------
    response : Response
    cleared : array [n, 24, w], $/kWh
        What the market makes of it.
    residual : float, $/kWh
        Largest distance between the two.
    apart : float, $/kWh
        The same, with what is cleared moved to where no sell rate is above a buy rate: what steps reduce.
    pinned : bool array [n, 24, w]
        Prices at that edge which the market would take beyond it.
    """

    response: Response
    cleared: Array
    residual: float
    apart: float
    pinned: NDArray[np.bool_]

    @property
    def price(self) -> Array:
        """[n, 24, w], $/kWh."""
        return self.response.price


class PriceSearch:
    """One search: its counts, its history and the demand Jacobian that it has at the moment.

    Attributes
    ----------
    responses, jacobians : int
    history : list of (temperature, residual)
        One for each response.
    jacobian : array [n * 24 * w, n * 24 * w] or None
    """

    def __init__(self, households: Households, market: Supply, tariff: Tariff, deadline: float, most: int) -> None:
        self.households, self.market, self.tariff, self.deadline, self.most = households, market, tariff, deadline, most
        self.responses = self.jacobians = 0
        self.history: list[tuple[float, float]] = []
        self.jacobian: Array | None = None
        self.low, self.high = lawful_prices(households, tariff)

    def at(self, price: Array, temperature: float, start: Response | None) -> Point:
        """Response and market at prices [n, 24, w], $/kWh."""
        response = respond(self.households, self.tariff, price, temperature, start)
        cleared = self.market.clear(response.load)[0] / 1000.0
        self.responses += 1
        residual = float(np.abs(cleared - price).max())
        self.history.append((temperature, residual))
        lawful = self.within(cleared)
        return Point(response, cleared, residual, float(np.abs(lawful - price).max()), (lawful == price) & (cleared != price))

    def within(self, price: Array) -> Array:
        """Prices moved to where no household is paid more for an export than an import costs."""
        moved: Array = np.clip(price, self.low, self.high)
        return moved

    def refuse(self, point: Point, tolerance: float) -> None:
        """Raise InvalidStudy ``sell-above-buy`` where prices are settled but for those that the market would take beyond the lawful ones."""
        if point.apart > tolerance or not point.residual > tolerance:
            return
        n, h, w = (int(k) for k in np.argwhere(point.pinned & (np.abs(point.cleared - point.price) > tolerance))[0])
        place = f"bus {self.households.buses[n]}, " if len(point.price) > 1 else ""
        edge, asked = 1000.0 * point.price[n, h, w], 1000.0 * point.cleared[n, h, w]
        where = f"{place}hour {h}, {self.households.weather.names[w]}: at a wholesale price of {edge:.6g} $/MWh sell rates reach buy rates"
        raise InvalidStudy("sell-above-buy", where=where + f", and the market asks for {asked:.6g}")

    def descend(self, point: Point, temperature: float, tolerance: float) -> tuple[Point, str]:
        """From a point at any temperature to one within the tolerance at the one asked for: (best point, "" or why it stopped)."""
        solved: Point | None = None
        averaged = False
        while True:
            goal = point.response.temperature
            last = goal == temperature
            found, reason = self.newton(point, tolerance if last else max(tolerance, RUNG))
            if (last and not reason) or reason in (BUDGET, TIME):
                return found, reason
            if not reason:
                solved, goal = found, temperature
            elif solved is None and goal < HIGHEST:  # begin where responses are smoother
                goal = min(3.0 * goal, HIGHEST)
            elif solved is not None and solved.response.temperature > NARROW * goal:
                goal = float(np.sqrt(solved.response.temperature * goal))
            elif averaged:
                return found, reason
            else:
                averaged, goal = True, temperature
                solved = self.average(self.at(found.price, goal, found.response))
            base = point if solved is None else solved
            self.jacobian = None
            point = self.at(base.price, goal, base.response)

    def newton(self, point: Point, tolerance: float) -> tuple[Point, str]:
        """Steps at one temperature until the residual is within the tolerance: (best point, "" or why it stopped)."""
        best, poor, fresh, daring, most = point, 0, False, DARING, self.responses + PATIENCE
        steps = isinstance(self.market, Settles)  # supply in steps: the residual falls only where all prices are right, so parts of a step lead nowhere
        while point.apart > tolerance:
            if self.responses >= most:
                return best, f"{PATIENCE} responses at one temperature"
            if self.responses >= self.most:
                return best, BUDGET
            if time.monotonic() > self.deadline:
                return best, TIME
            if self.jacobian is None:
                self.jacobian, fresh = demand_jacobian(point.response), True
                self.jacobians += 1
            free = np.where(point.pinned.ravel(), 0.0, self.jacobian) if point.pinned.any() else self.jacobian  # a price that is pinned moves no load
            wanted = market_step(self.market, point.response.load, free, point.price) - point.price
            cap = max(CAP, 0.25 * float(np.abs(point.price).max()))
            step = np.clip(wanted, -cap, cap)
            after = full = self._move(point, step)
            length = 1.0
            while fresh and not steps and not after.apart < (1.0 - 0.1 * length) * point.apart and length > SHORTEST:
                length /= 2.0
                after = self._move(point, length * step)
            if after.apart < best.apart:
                best = after
            if not np.isfinite(after.residual):
                return best, "prices are not finite"
            if after.apart < point.apart:
                if after.apart <= 0.5 * point.apart or np.abs(wanted[~point.pinned]).max(initial=0.0) > cap:  # capped steps have far to go
                    poor = 0
                else:
                    poor += 1
                    if poor >= POOR:
                        return best, "steps no longer reduce the residual"
                    if poor >= 2:
                        self.jacobian = None
                point = after
                fresh = False
            elif fresh and daring == 0 and not steps:
                return best, "no step reduces the residual"
            elif fresh:  # where demand is not monotone the way may lead uphill
                point, daring, self.jacobian = full, daring - 1, None
            else:
                self.jacobian = None
        return point, ""

    def average(self, point: Point) -> Point:
        """Prices that follow what is cleared more and more slowly: to where that is stable, should Newton's steps stop elsewhere."""
        self.jacobian = None
        for k in range(AVERAGED):
            if point.apart <= RUNG:
                break
            price = point.price + (self.within(point.cleared) - point.price) / (k + 2.0)
            point = self.at(price, point.response.temperature, point.response)
        return point

    def _move(self, point: Point, step: Array) -> Point:
        """The point a step away; the Jacobian learns from it."""
        price = self.within(point.price + step)
        after = self.at(price, point.response.temperature, point.response)
        moved, change = (price - point.price).ravel(), (after.response.load - point.response.load).ravel()
        length = float(moved @ moved)
        if length > 0.0:
            assert self.jacobian is not None
            self.jacobian = self.jacobian + np.outer(change - self.jacobian @ moved, moved) / length
        return after


def lawful_prices(households: Households, tariff: Tariff) -> tuple[Array, Array]:
    """Lowest and highest wholesale prices [n, 24, w], $/kWh, at which no household is paid more for an export than an import costs.

    Raises
    ------
    InvalidStudy
        ``sell-above-buy`` where there are none.
    """
    shape = (len(households.buses), *households.sun.shape[1:])
    buy, sell = tariff.rates(households, np.zeros(shape))
    passed = np.subtract(*tariff.passed(households))[:, None, None]
    low, high = np.full(shape, -np.inf), np.full(shape, np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        edge = (sell - buy) / passed
    np.maximum.at(low, households.bus_of, np.where(passed > 0, edge, -np.inf))
    np.minimum.at(high, households.bus_of, np.where(passed < 0, edge, np.inf))
    wrong = (low > high)[households.bus_of] | ((passed == 0) & (sell > buy + 1e-9))
    if wrong.any():
        i, h, w = (int(n) for n in np.argwhere(wrong)[0])
        place = f"{households.types[i].name}, hour {h}, {households.weather.names[w]}"
        where = f"{place}: sell {sell[i, h, w]:.6g}, buy {buy[i, h, w]:.6g} $/kWh, wholesale prices aside"
        raise InvalidStudy("sell-above-buy", where=where)
    return low, high


def demand_jacobian(response: Response) -> Array:
    """Derivatives of net loads, MW, in wholesale prices, $/kWh: [n * 24 * w, n * 24 * w]."""
    households, tariff = response.households, response.tariff
    passed = np.stack(tariff.passed(households), axis=1)  # [i, 2]
    rates, classes = np.unique(np.column_stack([households.bus_of, passed]), axis=0, return_inverse=True)
    N, (H, W) = len(response.price), response.price.shape[1:]
    cells = H * W
    jacobian = np.zeros((N * cells, N * cells))
    if not passed.any():
        return jacobian
    found: Slopes = slopes(response, classes.ravel())
    for x, (bus, buy, sell) in enumerate(rates):
        n = int(bus)
        jacobian[:, n * cells : (n + 1) * cells] += buy * found.net[:, x, 0] + sell * found.net[:, x, 1]
    regime = np.tile(np.repeat(households.weather.shares[None], H, 0).ravel(), N)
    scaled: Array = jacobian / regime[:, None] * households.count / 1000.0
    return scaled


def market_step(market: Supply, load: Array, jacobian: Array, price: Array) -> Array:
    """Prices P' = S(load + J (P' - P)): by the market itself where it can, else by Newton's method on it."""
    if isinstance(market, Settles):
        try:
            return market.settle(load, jacobian, price)
        except StackoptError:  # an updated Jacobian need not be monotone
            pass
    shape, at = price.shape, price.copy()
    N, cells = shape[0], shape[1] * shape[2]
    for _ in range(50):
        moved = load + (jacobian @ (at - price).ravel()).reshape(shape)
        cleared, slope = market.clear(moved)
        error = cleared / 1000.0 - at
        if np.abs(error).max() <= 1e-14:
            break
        full = np.zeros((N, cells, N, cells))
        for n in range(N):
            for m in range(N):
                full[n, np.arange(cells), m, np.arange(cells)] = slope[n, m].ravel() / 1000.0
        system = np.eye(N * cells) - full.reshape(N * cells, N * cells) @ jacobian
        at = at + np.linalg.solve(system, error.ravel()).reshape(shape)
    return at
