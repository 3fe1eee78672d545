r"""Wholesale prices at which the market clears what households then do: a mean-field equilibrium in the space of prices.

The unknown is the price P of every bus, hour and regime; :math:`F(P)=S(n(P))-P=0` with n what households take at P and S what that costs at the
margin. A step linearises demand only and clears the market exactly, :math:`P'=S(n_0+J(P'-P))` (Josephy and Newton); J is exact where it is
computed (adjoints) and updated by Broyden's rank-one formula in between. Cold starts come down a ladder of temperatures. Undamped
iteration, :math:`P'=S(n(P))`, cycles wherever the spectral radius of :math:`S'J` exceeds 1; the radius is reported.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stackopt.display import Block, number
from stackopt.energy.households import HOURS, Households
from stackopt.energy.market.supply import Settles, Supply
from stackopt.energy.response import Response, Slopes, respond, slopes
from stackopt.energy.tariff import Tariff
from stackopt.errors import StackoptError
from stackopt.solution import Status

Array = NDArray[np.float64]

#: Temperatures of a cold start, above the one asked for.
LADDER = (0.1, 0.05, 0.02, 0.01)
#: Residual at which a rung of the ladder is left, $/kWh.
RUNG = 1e-4
#: The largest change of a price in one step, $/kWh.
CAP = 0.05
#: Responses, in all, after which it is given up.
RESPONSES = 200


@dataclass(frozen=True, eq=False)
class Equilibrium:
    """Prices, what households do at them, and how good the answer is.

    Attributes
    ----------
    response : Response
        At `price`.
    market : Supply
    price : array [n, 24, w], $/kWh
        Wholesale.
    cleared : array [n, 24, w], $/kWh
        What the market makes of the response: the residual is its distance from `price`.
    residual : float, $/kWh
        Largest distance.
    status : Status
        CONVERGED, or LIMIT with the reason.
    because : str
    responses, jacobians : int
        Work done.
    jacobian : array [n * 24 * w, n * 24 * w] or None
        Of demand in prices, MW per $/kWh, as the search last had it: a start for a tariff nearby.
    """

    response: Response
    market: Supply
    price: Array
    cleared: Array
    residual: float
    status: Status
    because: str
    responses: int
    jacobians: int
    jacobian: Array | None = None

    @property
    def converged(self) -> bool:
        """Whether it is an equilibrium to the tolerance asked for."""
        return self.status.success

    @property
    def households(self) -> Households:
        """Who answers."""
        return self.response.households

    @property
    def tariff(self) -> Tariff:
        """What they answer to."""
        return self.response.tariff

    def block(self) -> Block:
        """The printed form."""
        gain = float(self.households.share @ self.response.exploitability())
        rows = (
            ("prices", f"{number(1000 * self.price)} $/MWh, residual {number(self.residual, 2)} $/kWh"),
            ("exploitability", f"{number(gain, 3)} $ a day and household, temperature {self.response.temperature:g} $"),
            ("stopped", f"{self.because}; {self.responses} responses, {self.jacobians} Jacobians"),
        )
        return Block(f'Equilibrium under tariff "{self.tariff.name}": {self.status}', rows, good=self.converged)

    def __str__(self) -> str:
        return self.block().text()

    __repr__ = __str__


class _Search:
    """Counts and the state of one search."""

    def __init__(self, households: Households, market: Supply, tariff: Tariff, deadline: float) -> None:
        self.households, self.market, self.tariff, self.deadline = households, market, tariff, deadline
        self.responses = self.jacobians = 0
        self.jacobian: Array | None = None

    def at(self, price: Array, temperature: float, start: Response | None) -> tuple[Response, Array, float]:
        """(response, cleared prices, residual) at prices, $/kWh."""
        response = respond(self.households, self.tariff, price, temperature, start)
        self.responses += 1
        cleared = self.market.clear(response.load)[0] / 1000.0
        return response, cleared, float(np.abs(cleared - price).max())

    @property
    def coupled(self) -> bool:
        """Whether households see wholesale prices at all."""
        passed = self.tariff.passed(self.households)
        return bool(passed[0].any() or passed[1].any())


def demand_jacobian(response: Response) -> Array:
    """Derivatives of net loads, MW, in wholesale prices, $/kWh: [n * 24 * w, n * 24 * w]."""
    households, tariff = response.households, response.tariff
    passed = np.stack(tariff.passed(households), axis=1)  # [i, 2]
    rates, classes = np.unique(np.column_stack([households.bus_of, passed]), axis=0, return_inverse=True)
    found: Slopes = slopes(response, classes.ravel())
    N, (H, W) = len(response.price), response.price.shape[1:]
    cells = H * W
    jacobian = np.zeros((N * cells, N * cells))
    for x, (bus, buy, sell) in enumerate(rates):
        n = int(bus)
        jacobian[:, n * cells : (n + 1) * cells] += buy * found.net[:, x, 0] + sell * found.net[:, x, 1]
    regime = np.tile(np.repeat(households.weather.shares[None], H, 0).ravel(), N)
    scaled: Array = jacobian / regime[:, None] * households.count / 1000.0
    return scaled


def equilibrium(
    households: Households,
    market: Supply,
    tariff: Tariff,
    *,
    temperature: float = 0.02,
    tolerance: float = 1e-8,
    start: Equilibrium | None = None,
    time_limit: float = 60.0,
) -> Equilibrium:
    """Find prices at which the market clears what households do at them.

    Parameters
    ----------
    temperature : float, $
        Of batteries' moves.
    tolerance : float, $/kWh
        On the largest difference between a price and what the market makes of the response to it.
    start : Equilibrium, optional
        One nearby, e.g. of a similar tariff.
    time_limit : float
        Seconds.

    Returns
    -------
    Equilibrium
        CONVERGED within the tolerance, else LIMIT with the best prices found and the reason. Where the tariff passes no wholesale
        price on, households decouple and one response settles it.

    Raises
    ------
    InvalidStudy
        ``sell-above-buy`` where exports would be paid more than imports cost.
    """
    search = _Search(households, market, tariff, time.monotonic() + time_limit)
    shape = (len(households.buses), HOURS, len(households.weather.names))
    if not search.coupled:
        quiet = np.zeros(shape)
        response, cleared, _ = search.at(quiet, temperature, start.response if start else None)
        settled = Response(households, tariff, cleared, temperature, response.parts)
        return Equilibrium(settled, market, cleared, cleared, 0.0, Status.CONVERGED, "no price is passed on: households decouple", 1, 0)
    if start is not None and start.price.shape == shape:
        same = tariff.passed(households)[0].tolist() == start.tariff.passed(start.households)[0].tolist()
        search.jacobian = start.jacobian if same and start.response.temperature == temperature else None
        point = search.at(start.price, temperature, start.response)
        rungs = [temperature]
    else:
        usual = np.tensordot(households.share, households.load, 1) * households.count / 1000.0
        price = market.clear(np.broadcast_to(usual / shape[0], shape))[0] / 1000.0
        rungs = [t for t in LADDER if t > temperature] + [temperature]
        point = search.at(price, rungs[0], None)
    reason = ""
    for rung in rungs:
        last = rung == rungs[-1]
        if point[0].temperature != rung:
            point = search.at(point[0].price, rung, point[0])
        point, reason = _newton(search, point, rung, tolerance if last else RUNG)
        if reason and last:
            break
    response, cleared, residual = point
    status = Status.CONVERGED if residual <= tolerance and response.temperature == temperature else Status.LIMIT
    because = f"residual {number(residual, 2)} {'<=' if status.success else '>'} {number(tolerance, 2)} $/kWh" + (f": {reason}" if not status.success else "")
    return Equilibrium(response, market, response.price, cleared, residual, status, because, search.responses, search.jacobians, search.jacobian)


def _newton(search: _Search, point: tuple[Response, Array, float], temperature: float, tolerance: float) -> tuple[tuple[Response, Array, float], str]:
    """Steps until the residual is within the tolerance; the best point, and why it stopped short of it."""
    best, poor = point, 0
    fresh = search.jacobian is None
    if fresh:
        search.jacobian = demand_jacobian(point[0])
        search.jacobians += 1
    while point[2] > tolerance:
        if search.responses >= RESPONSES:
            return best, f"{RESPONSES} responses"
        if time.monotonic() > search.deadline:
            return best, "time"
        response, _, residual = point
        assert search.jacobian is not None
        wanted = _market_step(search.market, response.load, search.jacobian, response.price)
        step = np.clip(wanted - response.price, -CAP, CAP)
        after = search.at(response.price + step, temperature, response)
        moved = step.ravel()
        change = (after[0].load - response.load).ravel()
        if after[2] < best[2]:
            best = after
        if after[2] > 0.5 * residual:
            poor += 1
        if after[2] > 2.0 * residual and not fresh:
            search.jacobian, fresh = demand_jacobian(response), True
            search.jacobians += 1
            continue
        if poor >= 2 and not fresh:
            search.jacobian, fresh, poor = demand_jacobian(after[0]), True, 0
            search.jacobians += 1
        else:
            search.jacobian = search.jacobian + np.outer(change - search.jacobian @ moved, moved) / float(moved @ moved)
            fresh = False
        if poor >= 30:
            return best, "steps no longer reduce the residual"
        if not np.isfinite(after[2]):
            return best, "prices are not finite"
        point = after
    return point, ""


def _market_step(market: Supply, load: Array, jacobian: Array, price: Array) -> Array:
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


def spectral_radius(found: Equilibrium, jacobian: Array | None = None) -> float:
    """Of S'J at an equilibrium: above 1, iterating prices without damping does not settle. `jacobian` is that of demand, where it is at hand."""
    load = found.response.load
    slope = found.market.clear(load)[1] / 1000.0
    N, cells = len(load), load[0].size
    full = np.zeros((N, cells, N, cells))
    for n in range(N):
        for m in range(N):
            full[n, np.arange(cells), m, np.arange(cells)] = slope[n, m].ravel()
    jacobian = demand_jacobian(found.response) if jacobian is None else jacobian
    return float(np.abs(np.linalg.eigvals(full.reshape(N * cells, -1) @ jacobian)).max())


def monotonicity(found: Equilibrium, jacobian: Array | None = None) -> float:
    """The largest eigenvalue of the symmetric part of dn/dP, weighted by how often regimes rule; at most 0: locally one equilibrium."""
    jacobian = demand_jacobian(found.response) if jacobian is None else jacobian
    households = found.households
    W = len(households.weather.shares)
    regime = np.tile(households.weather.shares, jacobian.shape[0] // W)
    joint = regime[:, None] * jacobian / (households.count / 1000.0)
    return float(np.linalg.eigvalsh(0.5 * (joint + joint.T)).max())
