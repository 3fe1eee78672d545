r"""Wholesale prices at which the market clears what households then do: a mean-field equilibrium in the space of prices.

The unknown is the price P of every bus, hour and regime; :math:`F(P)=S(n(P))-P=0` with n what households take at P and S what that costs at the
margin. It is found in the space of prices (`stackopt.energy.price_search`) by Newton steps on demand alone, at temperatures that fall only where they
must. Undamped iteration, :math:`P'=S(n(P))`, cycles wherever the spectral radius of :math:`S'J` exceeds 1; the radius is reported.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stackopt.display import Block, number
from stackopt.energy.households import Households
from stackopt.energy.market.supply import Supply
from stackopt.energy.price_search import BEGIN, PriceSearch, demand_jacobian
from stackopt.energy.response import Response
from stackopt.energy.storage import SETTLED
from stackopt.energy.tariff import Tariff
from stackopt.errors import InvalidStudy
from stackopt.solution import Status

Array = NDArray[np.float64]

#: Responses, in all, after which a search is given up.
RESPONSES = 300
#: How much of a bill may be beyond the rates that a household answers to, $/day.
LEFT = 1e-8


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
    history : tuple of (temperature in $, residual in $/kWh)
        Of each response, in order. Only those at the temperature asked for, the last, are about the answer.
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
    history: tuple[tuple[float, float], ...] = ()

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
        ``sell-above-buy`` where exports would be paid more than imports cost, ``setting-value`` for a temperature that is not positive.
    """
    if not 0.0 < temperature < np.inf:
        raise InvalidStudy("setting-value", where="unit $", name="temperature", law="positive and finite", got=repr(temperature))
    search = PriceSearch(households, market, tariff, time.monotonic() + time_limit, RESPONSES)
    shape = (len(households.buses), *households.sun.shape[1:])
    passed = np.stack(tariff.passed(households))
    if not passed.any():
        response = search.at(np.zeros(shape), temperature, start.response if start else None).response
        cleared = market.clear(response.load)[0] / 1000.0
        settled = Response(households, tariff, cleared, temperature, response.parts)
        why = "no price is passed on: households decouple"
        status, because = _answered(response, Status.CONVERGED, why)
        return Equilibrium(settled, market, cleared, cleared, 0.0, status, because, 1, 0, history=((temperature, 0.0),))
    if start is not None and start.price.shape == shape:
        if start.response.temperature == temperature and np.array_equal(passed, np.stack(start.tariff.passed(start.households))):
            search.jacobian = start.jacobian
        point = search.at(search.within(start.price), temperature, start.response)
    else:
        usual = np.zeros(shape)
        np.add.at(usual, households.bus_of, households.share[:, None, None] * households.load)
        price = market.clear(usual * households.count / 1000.0)[0] / 1000.0
        point = search.at(search.within(price), max(temperature, BEGIN), None)
    point, reason = search.descend(point, temperature, tolerance)
    search.refuse(point, tolerance)
    good = point.residual <= tolerance and point.response.temperature == temperature
    status = Status.CONVERGED if good else Status.LIMIT
    because = f"residual {number(point.residual, 2)} {'<=' if point.residual <= tolerance else '>'} {number(tolerance, 2)} $/kWh"
    if not good:
        because += ("" if point.response.temperature == temperature else f" at temperature {point.response.temperature:.3g} $") + f": {reason}"
    status, because = _answered(point.response, status, because)
    return Equilibrium(
        point.response, market, point.price, point.cleared, point.residual, status, because, search.responses, search.jacobians, search.jacobian,
        tuple(search.history),
    )  # fmt: skip


def _answered(response: Response, status: Status, because: str) -> tuple[Status, str]:
    """The verdict on prices, unless households have no answer to them."""
    beyond = float(response.beyond.max())
    if beyond > LEFT:
        return Status.LIMIT, f"the true-up did not settle: up to {number(beyond, 2)} $ a day are charged beyond what is answered to; {because}"
    if response.unsettled <= SETTLED:
        return status, because
    return Status.LIMIT, f"values of batteries did not settle: they still change by {number(response.unsettled, 2)} of their size a day; {because}"


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
