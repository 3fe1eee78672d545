r"""What players who move batteries meet: wholesale prices, rates and what a move is worth, out of the shares of moves, with derivatives.

The statistics are :math:`y_h(k,w,a)=w_k\,m_k(h,w,a)`, how many are in regime w and make move a. They are *linear* in the players' flow; net loads
are not, since what is used within the hour answers to the price. The price of every hour and regime is therefore implicit,

.. math:: P=S\Big(\frac{\text{count}}{\Pr(w)}\sum_{k,a}m_k(h,w,a)\,n_k(h,w,a;P)\Big),

one equation for each cell, solved by linearising demand and clearing the market exactly (Josephy and Newton); as demand falls and supply rises
with the price it has one solution. Households without a battery stand in the same sum: they decide nothing but their use.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackopt.energy.criteria import Criteria, criteria
from stackopt.energy.demand import Hour, best_use
from stackopt.energy.equilibrium import Equilibrium
from stackopt.energy.games.moves import Moves
from stackopt.energy.households import HOURS, Households
from stackopt.energy.market.supply import Marginal, Settles, Supply
from stackopt.energy.response import Part, Response
from stackopt.energy.storage import Charging
from stackopt.energy.tariff import Tariff
from stackopt.errors import StackoptError
from stackopt.solution import Status

Array = NDArray[np.float64]

#: Of implicit prices, $/kWh, and the most steps to them.
CLEARED, STEPS = 1e-13, 60


@dataclass(frozen=True, eq=False)
class Announced:
    """A tariff and how its adders move with the leader's decision.

    Attributes
    ----------
    tariff : Tariff
    buy, sell : arrays [24, D]
        Derivatives of the adders of each hour.
    fixed : array [g, D]
        Of fixed charges, $/day.
    """

    tariff: Tariff
    buy: Array
    sell: Array
    fixed: Array


@dataclass(frozen=True, eq=False)
class Met:
    """Everything about one point (shares of moves, decision).

    Attributes
    ----------
    announced : Announced
    price : array [n, 24, w], $/kWh
    load : array [n, 24, w], MW
    buy, sell : arrays [i, 24, w], $/kWh
    parts : list of (members, Hour, mass [i, 24, w, a], worn [i, 1, 1, a])
        Mass is the share of all households times the joint share of regime and move.
    response : array [n, 24, w]
        Derivative of the load in the price of its own cell at given moves, MW per $/kWh.
    """

    announced: Announced
    price: Array
    load: Array
    buy: Array
    sell: Array
    parts: list[tuple[NDArray[np.int64], Hour, Array, Array]]
    response: Array


class MoveMarket:
    """A market as players with batteries meet it.

    Parameters
    ----------
    households, market
    moves : Moves
    announce : callable
        From theta [D] to `Announced`.

    Attributes
    ----------
    owners : float
        Share of all households that the players are: what the statistics' weights stand for.
    at_rest : array [24, J]
        The statistics while all batteries are left alone.
    """

    def __init__(self, households: Households, market: Supply, moves: Moves, announce: Callable[[Array], Announced]) -> None:
        self.households, self.market, self.moves, self.announce = replace(households), market, moves, announce
        self.members = moves.members
        self.rest = np.setdiff1d(np.arange(len(households.types)), moves.members)
        self.owners = float(households.share[moves.players].sum())
        self.regimes = len(households.weather.names)
        self.shape = (len(self.members), self.regimes, moves.actions)
        self._met: tuple[bytes, Met] | None = None
        idle = np.zeros((HOURS, *self.shape))
        idle[..., moves.idle] = (households.share[self.members] / self.owners)[:, None] * households.weather.shares
        self.at_rest: Array = idle.reshape(HOURS, -1)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_met": None, "households": replace(self.households)}  # nothing that was only kept for later

    # --- a point ---------------------------------------------------------------------------------------------------------

    def at(self, y: Array, theta: Array) -> Met:
        """Prices and hours at shares of moves y [24, J] under theta [D], both real; the last point is kept.

        Raises
        ------
        InvalidStudy
            ``sell-above-buy``.
        StackoptError
            ``market-failed`` where prices are not found.
        """
        key = y.tobytes() + b"|" + theta.tobytes()
        if self._met is None or self._met[0] != key:
            self._met = (key, self._solve(y, theta))
        return self._met[1]

    def _solve(self, y: Array, theta: Array) -> Met:
        announced, h = self.announce(theta), self.households
        mass = self.owners * np.moveaxis(y.reshape(HOURS, *self.shape), 1, 0)
        still = (h.share[self.rest, None, None] * np.broadcast_to(h.weather.shares, (HOURS, self.regimes)))[..., None]
        shape = (len(h.buses), HOURS, self.regimes)
        usual = np.zeros(shape)
        np.add.at(usual, h.bus_of, h.share[:, None, None] * h.load * h.count / 1000.0)
        price: Array = self.market.clear(usual)[0] / 1000.0
        length, before, last = 1.0, np.inf, price
        for _ in range(STEPS):
            met = self._met_at(price, announced, mass, still)
            error = float(np.abs(self.market.clear(met.load)[0] / 1000.0 - price).max())
            if error <= CLEARED * (1.0 + float(np.abs(price).max())):
                return met
            if error >= before:  # between two kinks: halfway
                length *= 0.5
                price = last + length * (price - last)
                continue
            length, before, last = 1.0, error, price
            price = self._step(met)
        if before <= 1e-9:  # the last digits
            return self._met_at(last, announced, mass, still)
        raise StackoptError("market-failed", where=f"implicit prices of an hour: {error:.2g} $/kWh off after {STEPS} steps")

    def _step(self, met: Met) -> Array:
        """Prices at which the market clears loads that answer linearly, each to the price of its own hour and regime."""
        if isinstance(self.market, Settles):
            return self.market.settle(met.load, np.diag(met.response.ravel()), met.price)
        price = met.price
        for _ in range(STEPS):
            load = met.load + met.response * (price - met.price)
            cleared, slope = self.market.clear(load)
            error = _cells(cleared / 1000.0 - price)
            if np.abs(error).max() <= CLEARED:
                break
            supply = np.moveaxis(slope / 1000.0, (0, 1), (2, 3))
            system = np.eye(len(load)) - supply * _cells(met.response)[..., None, :]
            price = price + np.moveaxis(np.linalg.solve(system, error[..., None])[..., 0], -1, 0)
        return price

    def _met_at(self, price: Array, announced: Announced, mass: Array, still: Array) -> Met:
        h = self.households
        buy, sell = announced.tariff.rates(h, price)
        parts = []
        for members, charge, share, worn in (
            (self.members, self.moves.charge[:, None, None, :], mass, self.moves.worn[:, None, None, :]),
            (self.rest, np.zeros(1), still, np.zeros((1, 1, 1, 1))),
        ):
            if len(members):
                hour = best_use(h.load[members], h.sun[members], charge, buy[members], sell[members], h.elasticity, h.reference_price)
                parts.append((members, hour, share, worn))
        met = Met(announced, price, np.empty(0), buy, sell, parts, np.empty(0))
        passed = announced.tariff.passed(h)
        joint, slope = np.zeros((2, *price.shape))
        for members, hour, share, _ in parts:
            through = [p[members][:, None, None] * (share * np.where(zone, hour.slope, 0.0)).sum(-1) for p, zone in zip(passed, (hour.buying, hour.selling))]
            np.add.at(joint, h.bus_of[members], (share * hour.net).sum(-1))
            np.add.at(slope, h.bus_of[members], through[0] + through[1])
        to_load = self.to_load
        return replace(met, load=joint * to_load, response=slope * to_load)

    @property
    def to_load(self) -> Array:
        """From kWh per household, joint with the regime, to MW given the regime [w]."""
        scale: Array = self.households.count / 1000.0 / self.households.weather.shares
        return scale

    # --- derivatives -----------------------------------------------------------------------------------------------------

    def moved(self, y: Any, theta: Any) -> tuple[Met, Array, Array]:
        """(the point, changes of buy and of sell rates [i, 24, w]) along the imaginary parts of y and theta, market re-cleared."""
        met, h = self.at(y.real.copy(), theta.real.copy()), self.households
        by_theta = [jacobian @ theta.imag for jacobian in (met.announced.buy, met.announced.sell)]
        mass = self.owners * np.moveaxis(y.imag.reshape(HOURS, *self.shape), 1, 0)
        keep = 1.0 - met.announced.tariff.discounts(h)[:, None, None]
        direct = (keep * by_theta[0][:, None], np.broadcast_to(by_theta[1][:, None], met.buy.shape))
        load = np.zeros(met.load.shape)
        for members, hour, share, _ in met.parts:
            zones = ((hour.buying, direct[0]), (hour.selling, direct[1]))
            change = sum((share * np.where(zone, hour.slope, 0.0)).sum(-1) * rate[members] for zone, rate in zones)
            if members is self.members:
                change = change + (mass * hour.net).sum(-1)
            np.add.at(load, h.bus_of[members], change)
        supply, system = self._system(met)
        price = np.moveaxis(np.linalg.solve(system, supply @ _cells(load * self.to_load)[..., None])[..., 0], -1, 0)
        through = met.announced.tariff.passed(h)
        own = price[h.bus_of]
        return met, direct[0] + through[0][:, None, None] * own, direct[1] + through[1][:, None, None] * own

    def pulled(self, met: Met, of_buy: Array, of_sell: Array, of_price: Array | float = 0.0) -> tuple[Array, Array]:
        """What cotangents on rates [i, 24, w] and prices [n, 24, w] put on net use (per joint kWh) [n, 24, w] and on theta [D]."""
        h, through = self.households, met.announced.tariff.passed(self.households)
        total = np.zeros(met.load.shape) + of_price
        np.add.at(total, h.bus_of, through[0][:, None, None] * of_buy + through[1][:, None, None] * of_sell)
        supply, system = self._system(met)
        back = np.swapaxes(supply, -1, -2) @ np.linalg.solve(np.swapaxes(system, -1, -2), _cells(total)[..., None])
        of_net: Array = np.moveaxis(back[..., 0], -1, 0) * self.to_load
        rates = [of_buy.copy(), of_sell.copy()]
        for members, hour, share, _ in met.parts:
            for rate, zone in zip(rates, (hour.buying, hour.selling)):
                rate[members] += of_net[h.bus_of[members]] * (share * np.where(zone, hour.slope, 0.0)).sum(-1)
        rates[0] *= 1.0 - met.announced.tariff.discounts(h)[:, None, None]
        of_theta: Array = rates[0].sum((0, 2)) @ met.announced.buy + rates[1].sum((0, 2)) @ met.announced.sell
        return of_net, of_theta

    def _system(self, met: Met) -> tuple[Array, Array]:
        """(S' [24, w, n, n] in $/kWh per MW, I - S' N_P) cell by cell."""
        supply = np.moveaxis(self.market.clear(met.load)[1] / 1000.0, (0, 1), (2, 3))
        system: Array = np.eye(len(met.load)) - supply * _cells(met.response)[..., None, :]
        return supply, system

    # --- read by the tariff study ------------------------------------------------------------------------------------------

    def equilibrium(self, met: Met, temperature: float | None = None) -> Equilibrium:
        """The point as the study's own functions read it. It is no equilibrium by its own word: LIMIT until something shows more.

        With a temperature, batteries know their values, so that `Response.exploitability` measures what these moves leave to gain.
        """
        share = self.households.share
        parts: list[Part] = []
        for members, hour, mass, worn in met.parts:
            held = share[members][:, None, None, None]
            moves = np.divide(mass, held, out=np.zeros(mass.shape), where=held > 0)
            if temperature is None or members is not self.members:
                parts.append(Part(members, hour, moves, np.broadcast_to(worn, hour.net.shape)))
            else:
                parts += self._by_battery(hour, moves, temperature)
        response = Response(self.households, met.announced.tariff, met.price, float("nan") if temperature is None else temperature, tuple(parts))
        because = "moves of a population, whose certificate tells how good they are"
        return Equilibrium(response, self.market, met.price, met.price, float("nan"), Status.LIMIT, because, 0, 0)

    def _by_battery(self, hour: Hour, moves: Array, temperature: float) -> list[Part]:
        """Parts of one battery each, with its own moves; moves that it does not have were idle."""
        parts, middle = [], self.moves.idle
        for battery, members in self.households.batteries.items():
            rows = np.searchsorted(self.members, members)
            own = slice(middle - battery.reach, middle + battery.reach + 1)
            mine = moves[rows][..., own].copy()
            mine[..., battery.reach] += moves[rows].sum(-1) - mine.sum(-1)
            use = replace(hour, **{f.name: getattr(hour, f.name)[rows][..., own] for f in fields(Hour) if f.name != "bound"})
            charging = Charging(battery, self.households.weather.hourly)
            values = charging.control(use.worth - battery.worn, temperature)
            parts.append(Part(members, use, mine, battery.worn, charging, replace(values, moves=mine)))
        return parts

    def criteria(self, met: Met, required: float) -> Criteria:
        """What a commission looks at."""
        return criteria(self.equilibrium(met), required)

    def marginal(self, met: Met) -> Array:
        """Derivative of the cost of generation in the load [n, 24, w], $/MWh."""
        return self.market.marginal(met.load) if isinstance(self.market, Marginal) else 1000.0 * met.price


def _cells(values: Array) -> Array:
    """[n, 24, w] as [24, w, n]."""
    return np.moveaxis(values, 0, -1)

