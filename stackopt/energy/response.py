"""How a population of households answers a tariff at given wholesale prices: loads, bills, and how they move with prices."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from stackopt.energy.demand import Hour, best_use
from stackopt.energy.households import HOURS, Households
from stackopt.energy.storage import Charging, Control
from stackopt.energy.tariff import Tariff

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Part:
    """Types that are computed together: those of one battery, or those without.

    Attributes
    ----------
    members : int array
        Their numbers.
    hour : Hour
        Best use by move; one move, of nothing, without a battery.
    moves : array [i, 24, w, a]
        Joint shares of regime and move.
    worn : array [a], $
    charging, control : Charging and Control, or None
    """

    members: NDArray[np.int64]
    hour: Hour
    moves: Array
    worn: Array
    charging: Charging | None = None
    control: Control | None = None


@dataclass(frozen=True, eq=False)
class Response:
    """What households do. Averages are over the long run; ``joint`` quantities are weighted by how often a regime rules.

    Attributes
    ----------
    households, tariff
    price : array [n, 24, w], $/kWh
        Wholesale.
    temperature : float, $
    parts : tuple of Part
    """

    households: Households
    tariff: Tariff
    price: Array
    temperature: float
    parts: tuple[Part, ...]

    def _by_type(self, values: list[Array], shape: tuple[int, ...]) -> Array:
        out = np.empty((len(self.households.types), *shape))
        for part, found in zip(self.parts, values, strict=True):
            out[part.members] = found
        return out

    @cached_property
    def net(self) -> Array:
        """Average meter reading in each hour and regime [i, 24, w], kWh, given the regime."""
        joint = self._by_type([(p.moves * p.hour.net).sum(-1) for p in self.parts], self.price.shape[1:])
        return joint / self.households.weather.shares

    @cached_property
    def imports(self) -> Array:
        """What is bought [i, 24, w], kWh, joint with the regime."""
        return self._by_type([(p.moves * np.where(p.hour.buying, p.hour.net, 0.0)).sum(-1) for p in self.parts], self.price.shape[1:])

    @cached_property
    def exports(self) -> Array:
        """What is sold [i, 24, w], kWh, joint with the regime."""
        return self._by_type([-(p.moves * np.where(p.hour.selling, p.hour.net, 0.0)).sum(-1) for p in self.parts], self.price.shape[1:])

    @cached_property
    def bills(self) -> Array:
        """Energy bill of each type [i], $/day, without fixed charges."""
        buy, sell = self.tariff.rates(self.households, self.price)
        total: Array = (buy * self.imports - sell * self.exports).sum((1, 2))
        return total

    @cached_property
    def utility(self) -> Array:
        """Of use, less that of the usual load at the reference price, [i], $/day."""
        return self._by_type([(p.moves * p.hour.utility).sum((1, 2, 3)) for p in self.parts], ())

    @cached_property
    def wear(self) -> Array:
        """Of batteries [i], $/day."""
        return self._by_type([(p.moves * p.worn).sum((1, 2, 3)) for p in self.parts], ())

    @cached_property
    def load(self) -> Array:
        """Net load of all households on each bus [n, 24, w], MW."""
        h = self.households
        megawatts = np.zeros(self.price.shape)
        np.add.at(megawatts, h.bus_of, h.share[:, None, None] * self.net)
        return megawatts * h.count / 1000.0

    @property
    def bound(self) -> bool:
        """Whether somebody's use is at its lower bound of nothing in some hour."""
        return any(p.hour.bound for p in self.parts)

    def exploitability(self) -> Array:
        """What each type would gain by moving its battery optimally [i], $/day; 0 without a battery."""
        gains = []
        for part in self.parts:
            if part.charging is None or part.control is None:
                gains.append(np.zeros(len(part.members)))
                continue
            worth = part.hour.worth - part.worn
            best = part.charging.control(worth, 0.0, part.control.value).gain
            gains.append(best - (part.moves * worth).sum((1, 2, 3)))
        return self._by_type(gains, ())


def respond(households: Households, tariff: Tariff, price: Array, temperature: float, start: Response | None = None) -> Response:
    """The population's answer to a tariff at wholesale prices [n, 24, w] in $/kWh; `start` is an answer nearby."""
    buy, sell = tariff.rates(households, price)
    weather = households.weather
    parts = []
    having: set[int] = set()
    warm = {id(p.charging.battery): p for p in start.parts if p.charging is not None} if start is not None else {}
    for battery, members in households.batteries.items():
        having |= set(members.tolist())
        hour = _hour(households, members, battery.metered, buy, sell)
        charging = Charging(battery, weather.hourly)
        before = warm.get(id(battery))
        values = before.control.value if before is not None and before.control is not None else None
        control = charging.control(hour.worth - battery.worn, temperature, values)
        parts.append(Part(members, hour, control.moves, battery.worn, charging, control))
    rest = np.array([i for i in range(len(households.types)) if i not in having], int)
    if len(rest):
        hour = _hour(households, rest, np.zeros(1), buy, sell)
        moves = np.broadcast_to(weather.shares[:, None], hour.net.shape)
        parts.append(Part(rest, hour, moves, np.zeros(1)))
    return Response(households, tariff, price, temperature, tuple(parts))


def _hour(households: Households, members: NDArray[np.int64], charge: Array, buy: Array, sell: Array) -> Hour:
    return best_use(
        households.load[members], households.sun[members], charge, buy[members], sell[members], households.elasticity, households.reference_price
    )


@dataclass(frozen=True, eq=False)
class Slopes:
    """How averages over all households move with the rates of each class of types [x] (those that face the same rates).

    The last two axes are the side, buy or sell, and the hour and regime of the rate.

    Attributes
    ----------
    classes : int array [i]
        The class of each type.
    net : array [n * 24 * w, x, 2, 24 * w]
        Of each bus's net load, joint with the regime, kWh.
    utility, wear : arrays [x, 2, 24 * w], $
    paid : array [g, x, 2, 24 * w], $
        Of what each income group pays, times its share, at rates that stay: through what households do.
    """

    classes: NDArray[np.int64]
    net: Array
    utility: Array
    wear: Array
    paid: Array


def slopes(response: Response, classes: NDArray[np.int64]) -> Slopes:
    """Derivatives by adjoints: one set of sweeps for all payoffs.

    Payoffs are the net loads of every hour and regime, utility, wear, and each type's payments at the rates in force.
    """
    households = response.households
    H, W = response.price.shape[1:]
    N, X, cells = len(response.price), int(classes.max()) + 1, HOURS * W
    buy, sell = response.tariff.rates(households, response.price)
    net = np.zeros((N, cells, X, 2, cells))
    utility, wear, paid = np.zeros((X, 2, cells)), np.zeros((X, 2, cells)), np.zeros((len(households.groups), X, 2, cells))
    for part in response.parts:
        hour, members = part.hour, part.members
        bought, sold = np.where(hour.buying, hour.net, 0.0), np.where(hour.selling, -hour.net, 0.0)
        rate = np.where(hour.buying, buy[members][..., None], np.where(hour.selling, sell[members][..., None], 0.0))
        marginal = rate  # of use: its utility moves with the rate times the change of use
        share = households.share[members]
        direct = []
        for zone in (hour.buying, hour.selling):
            moved = np.where(zone, hour.slope, 0.0)
            direct.append(((part.moves * moved).sum(-1), (part.moves * marginal * moved).sum(-1)))
        if part.charging is not None and part.control is not None:
            own = np.zeros((cells + 3, len(members), H, W, hour.net.shape[-1]))
            for cell in range(cells):
                own[cell, :, cell // W, cell % W] = hour.net[:, cell // W, cell % W]
            own[cells], own[cells + 1], own[cells + 2] = hour.utility, np.broadcast_to(part.worn, hour.net.shape), rate * hour.net
            moved_moves = part.charging.sensitivity(part.control, response.temperature, own)  # [j, i, h, w, a]
            through = np.stack([-(moved_moves * bought).sum(-1), (moved_moves * sold).sum(-1)], axis=2)  # [j, i, 2, h, w]
        else:
            through = np.zeros((cells + 3, len(members), 2, H, W))
        diagonal = np.arange(cells)
        for at, i in enumerate(members):
            x, n, g = classes[i], households.bus_of[i], households.group_of[i]
            flat = through[:, at].reshape(cells + 3, 2, cells)
            net[n, :, x] += share[at] * flat[:cells]
            utility[x] += share[at] * flat[cells]
            wear[x] += share[at] * flat[cells + 1]
            paid[g, x] += share[at] * flat[cells + 2]
            for side in (0, 1):
                by_use, by_value = (d[at].reshape(cells) for d in direct[side])
                net[n, diagonal, x, side, diagonal] += share[at] * by_use
                utility[x, side] += share[at] * by_value
                paid[g, x, side] += share[at] * by_value
    return Slopes(classes, net.reshape(N * cells, X, 2, cells), utility, wear, paid)
