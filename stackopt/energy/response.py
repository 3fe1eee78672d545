"""How a population of households answers a tariff at given wholesale prices: loads, bills, and how they move with prices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from stackopt.energy.demand import Hour, best_use
from stackopt.energy.households import HOURS, Households
from stackopt.energy.storage import SETTLED_SHARP, Charging, Control
from stackopt.energy.tariff import Tariff

Array = NDArray[np.float64]

#: Types that are computed at a time: what they need fits a cache, and memory does not grow with the population.
TOGETHER = 64


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
    kept : array [i], or None
        How far announced rates count at the margin: 1 (None: of all), or less where a true-up leaves credits worth only its own rate.
    """

    members: NDArray[np.int64]
    hour: Hour
    moves: Array
    worn: Array
    charging: Charging | None = None
    control: Control | None = None
    kept: Array | None = None

    @property
    def net(self) -> Array:
        """Average meter reading [i, 24, w], kWh, joint with the regime."""
        reading: Array = (self.moves * self.hour.net).sum(-1)
        return reading


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
        joint = self._by_type([p.net for p in self.parts], self.price.shape[1:])
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
    def kept(self) -> Array:
        """How far announced rates count at the margin of each type [i]: 1 but where a true-up binds."""
        return self._by_type([np.ones(len(p.members)) if p.kept is None else p.kept for p in self.parts], ())

    @cached_property
    def rates(self) -> tuple[Array, Array]:
        """(buy, sell) that each type answers to [i, 24, w], $/kWh: those announced, but where a true-up binds."""
        return at_margin(self.tariff, *self.tariff.rates(self.households, self.price), self.kept)

    @cached_property
    def bills(self) -> Array:
        """Energy bill of each type [i], $/day, without fixed charges."""
        buy, sell = self.tariff.rates(self.households, self.price)
        total: Array = (buy * self.imports - sell * self.exports).sum((1, 2))
        return total if self.tariff.true_up is None else np.maximum(total, self.tariff.true_up * (self.imports - self.exports).sum((1, 2)))

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

    @property
    def unsettled(self) -> float:
        """Largest relative change of batteries' values in their last sweep: above `stackopt.energy.storage.SETTLED` their moves are no answer."""
        return max((p.control.residual for p in self.parts if p.control is not None), default=0.0)

    @cached_property
    def beyond(self) -> Array:
        """By how much each type's bill exceeds that of the rates that count at its margin [i], $/day: 0 but where a true-up did not settle."""
        rate = self.tariff.true_up
        if rate is None:
            return np.zeros(len(self.kept))
        buy, sell = self.tariff.rates(self.households, self.price)
        charged, used = (buy * self.imports - sell * self.exports).sum((1, 2)), rate * (self.imports - self.exports).sum((1, 2))
        over: Array = np.maximum(charged, used) - (self.kept * charged + (1.0 - self.kept) * used)
        return over

    def exploitability(self) -> Array:
        """What each type would gain by moving its battery optimally [i], $/day; 0 without a battery.

        Where a true-up binds it is at the rates that count at the margin, and what the bill itself is beyond them: at least what is gained, by convexity.
        """
        gains = []
        for part in self.parts:
            if part.charging is None or part.control is None:
                gains.append(np.zeros(len(part.members)))
                continue
            worth = part.hour.worth - part.worn
            best = part.charging.control(worth, 0.0, part.control.value)
            reached = best.gain if best.residual <= SETTLED_SHARP else best.highest  # a bound, where the optimum is not found
            gains.append(reached - (part.moves * worth).sum((1, 2, 3)))
        return self._by_type(gains, ()) + self.beyond


def respond(households: Households, tariff: Tariff, price: Array, temperature: float, start: Response | None = None) -> Response:
    """The population's answer to a tariff at wholesale prices [n, 24, w] in $/kWh; `start` is an answer nearby.

    Raises
    ------
    InvalidStudy
        ``sell-above-buy`` where exports would be paid more than imports cost.
    """
    everyone = np.arange(len(households.types))
    announced = tariff.rates(households, price)
    before = _controls(start.parts) if start is not None else {}
    parts = answers(households, everyone, *announced, np.ones(len(everyone)), temperature, before)
    if tariff.true_up is not None:
        from stackopt.energy.true_up import settle

        kept = settle(households, tariff, announced, parts, temperature)
        if (kept < 1.0).any():
            parts = answers(households, everyone, *at_margin(tariff, *announced, kept), kept, temperature, _controls(parts))
    return Response(households, tariff, price, temperature, parts)


def at_margin(tariff: Tariff, buy: Array, sell: Array, kept: Array) -> tuple[Array, Array]:
    """Rates [i, 24, w] of which only a share [i] counts, and otherwise the true-up's."""
    if tariff.true_up is None:
        return buy, sell
    own, other = kept[:, None, None], (1.0 - kept[:, None, None]) * tariff.true_up
    return own * buy + other, own * sell + other


def _controls(parts: Sequence[Part]) -> Mapping[tuple[int, ...], Control | None]:
    return {(id(p.charging.battery), *p.members): p.control for p in parts if p.charging is not None}


def answers(
    households: Households, chosen: NDArray[np.int64], buy: Array, sell: Array, kept: Array, temperature: float,
    before: Mapping[tuple[int, ...], Control | None] | None = None,
) -> tuple[Part, ...]:  # fmt: skip
    """What the chosen types do at rates [i, 24, w] of all types; `before` are controls of the same blocks nearby."""
    weather, parts, asked = households.weather, [], set(chosen.tolist())
    having: set[int] = set()
    for battery, owners in households.batteries.items():
        everyone = owners if len(asked) == len(households.types) else np.array([i for i in owners if i in asked], int)
        having |= set(everyone.tolist())
        charging = Charging(battery, weather.hourly)
        for first in range(0, len(everyone), TOGETHER):
            members = everyone[first : first + TOGETHER]
            hour = _hour(households, members, battery.metered, buy, sell)
            near = (before or {}).get((id(battery), *members))
            control = charging.control(hour.worth - battery.worn, temperature, None if near is None else near.value)
            parts.append(Part(members, hour, control.moves, battery.worn, charging, control, kept[members]))
    rest = np.array([i for i in chosen if i not in having], int)
    if len(rest):
        hour = _hour(households, rest, np.zeros(1), buy, sell)
        moves = np.broadcast_to(weather.shares[:, None], hour.net.shape)
        parts.append(Part(rest, hour, moves, np.zeros(1), kept=kept[rest]))
    return tuple(parts)


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
    W = response.price.shape[2]
    N, X, cells = len(response.price), int(classes.max()) + 1, HOURS * W
    buy, sell = response.rates
    net = np.zeros((N, cells, X, 2, cells))
    utility, wear, paid = np.zeros((X, 2, cells)), np.zeros((X, 2, cells)), np.zeros((len(households.groups), X, 2, cells))
    cell = np.arange(cells)
    for part in response.parts:
        hour, members = part.hour, part.members
        count = len(members)
        rate = np.where(hour.buying, buy[members][..., None], np.where(hour.selling, sell[members][..., None], 0.0))  # what use is worth at the margin
        # Types of one bus, income group and class add up.
        keys, key = np.unique(np.stack([households.bus_of[members], households.group_of[members], classes[members]]), axis=1, return_inverse=True)
        weight = np.zeros((keys.shape[1], count))
        weight[key.ravel(), np.arange(count)] = households.share[members]
        by_use, by_value = np.empty((2, count, 2, cells))
        for side, zone in enumerate((hour.buying, hour.selling)):
            moved = part.moves * np.where(zone, hour.slope, 0.0)
            by_use[:, side], by_value[:, side] = moved.sum(-1).reshape(count, cells), (rate * moved).sum(-1).reshape(count, cells)
        by_use, by_value = np.tensordot(weight, by_use, 1), np.tensordot(weight, by_value, 1)  # [k, 2, cells]
        through = np.zeros((keys.shape[1], cells, 2, cells + 3))
        if part.charging is not None and part.control is not None:
            daily = np.stack([hour.utility, np.broadcast_to(part.worn, hour.net.shape), rate * hour.net], axis=-1)
            onto = np.stack([np.where(hour.buying, -hour.net, 0.0), np.where(hour.selling, -hour.net, 0.0)], axis=3)  # worths move with rates
            answer = part.charging.sensitivity(part.control, hour.net, daily, onto)
            through = np.tensordot(weight, answer.reshape(count, cells, 2, cells + 3), 1)
        for k, (n, g, x) in enumerate(keys.T):
            flat = np.moveaxis(through[k], (2, 1), (0, 1))  # [j, 2, cells]
            net[n, :, x] += flat[:cells]
            net[n, cell, x, :, cell] += by_use[k].T
            utility[x] += flat[cells] + by_value[k]
            wear[x] += flat[cells + 1]
            paid[g, x] += flat[cells + 2] + by_value[k]
    return Slopes(classes, net.reshape(N * cells, X, 2, cells), utility, wear, paid)
