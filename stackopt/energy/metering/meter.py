"""What the world shows a utility that announces a tariff for a billing period: meters, money and prices, and nothing of why.

A utility sees what each income group imports and exports by hour and weather, what it collects, wholesale prices, the load on the system and what
generation costs. It sees neither what a kWh is worth to a household, nor how demand answers, nor batteries, nor who else is in a group.
`EquilibriumMeter` reads long-run averages of the mean field; `SampledMeter` (in `meter_sampled`) those of some households on some days.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stackopt.energy.equilibrium import Equilibrium, equilibrium
from stackopt.energy.households import HOURS, Households
from stackopt.energy.market.supply import Supply
from stackopt.energy.tariff import Tariff
from stackopt.errors import InvalidStudy

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Reading:
    """One billing period. Plain numbers: no household, type or model is reachable from it.

    Meters are read in `b` random groups of households of equal size, so that the spread of whatever is computed from them shows its error; a
    reading of everyone has one. Energy is in kWh a day and household of the income group, weighted by how often a regime rules (a
    cloudy hour counts by the share of cloudy days); money in $ a day and household.

    Attributes
    ----------
    tariff : Tariff
        As announced.
    groups : tuple of str
        Income groups.
    share : array [g]
        Of all households: customers are counted.
    regime : array [w]
        How often each weather rules: the climate is public.
    imports, exports : arrays [b, g, n, 24, w], kWh
        At each bus; NaN in an hour and weather that the period did not see.
    days : array [24, w]
        On which an hour and weather were seen; infinite for long-run averages.
    price : array [n, 24, w], $/kWh
        Wholesale.
    system : array [24, w], MW
        Load on the system, everyone else included.
    generation : array [b], $
        Cost of serving the system.
    """

    tariff: Tariff
    groups: tuple[str, ...]
    share: Array
    regime: Array
    imports: Array
    exports: Array
    days: Array
    price: Array
    system: Array
    generation: Array

    @property
    def exact(self) -> bool:
        """Whether it is of everyone, in the long run."""
        return len(self.imports) == 1 and bool(np.isinf(self.days).all())

    @property
    def rates(self) -> tuple[Array, Array]:
        """(buy, sell) [g, n, 24, w], $/kWh: what was announced, at the wholesale prices that came of it."""
        return announced(self.tariff, self.groups, self.price)

    @property
    def collected(self) -> Array:
        """Energy bills of each income group [b, g], $, without fixed charges."""
        buy, sell = self.rates
        bills: Array = (buy * self.imports - sell * self.exports).sum((2, 3, 4))
        return bills

    @property
    def purchases(self) -> Array:
        """Cost of what households take, at wholesale prices [b], $."""
        spent: Array = ((self.imports - self.exports) * self.price).sum((2, 3, 4)) @ self.share
        return spent

    def without(self, group: int) -> Reading:
        """With one random group left out."""
        kept = np.arange(len(self.imports)) != group
        return replace(self, imports=self.imports[kept], exports=self.exports[kept], generation=self.generation[kept])


def average(readings: Sequence[Reading]) -> Reading:
    """The average of readings of the same rates, each weighted alike."""
    if len(readings) == 1:
        return readings[0]
    imports, exports, generated = (np.mean([getattr(r, k) for r in readings], 0) for k in ("imports", "exports", "generation"))
    days = np.sum([r.days for r in readings], 0)
    return replace(readings[0], imports=imports, exports=exports, days=days, generation=generated)


class Meter(Protocol):
    """The world, as a utility meets it."""

    def read(self, tariff: Tariff) -> Reading:
        """Announce a tariff for a billing period and read the meters after it.

        Raises
        ------
        InvalidStudy
            ``sell-above-buy`` for a tariff under which exports are paid more than imports cost, ``study-tariff-limit`` where prices do not settle,
            ``meter-true-up`` for one whose bills are not rates times readings.
        """
        ...


def announced(tariff: Tariff, groups: tuple[str, ...], price: Array) -> tuple[Array, Array]:
    """(buy, sell) [g, n, 24, w], $/kWh, of each income group at wholesale prices [n, 24, w] in $/kWh."""
    adders = [hourly(a, price.shape[2]) for a in (tariff.buy, tariff.sell)]
    buy = adders[0] + tariff.pass_buy * price
    sell = buy if tariff.net_metering else adders[1] + tariff.pass_sell * price
    kept = 1.0 - np.array([tariff.discount.get(g, 0.0) for g in groups])
    return kept[:, None, None, None] * buy, np.broadcast_to(sell, (len(groups), *price.shape))


def hourly(adder: Array, regimes: int) -> Array:
    """An adder by hour, or by hour and weather, as [24, w]."""
    values = np.asarray(adder, float)
    whole: Array = np.broadcast_to(values[:, None] if values.ndim == 1 else values, (HOURS, regimes))
    return whole


class EquilibriumMeter:
    """Everyone's meters in the long run, in the mean-field equilibrium under the tariff: exact to the tolerance.

    Parameters
    ----------
    households, market
        Of the world; a `Reading` shows neither.
    temperature : float, $
        Of batteries' moves.
    tolerance : float, $/kWh
        On wholesale prices.
    """

    def __init__(self, households: Households, market: Supply, *, temperature: float = 0.02, tolerance: float = 1e-9) -> None:
        self._world, self._market, self._temperature, self._tolerance = households, market, temperature, tolerance

    def read(self, tariff: Tariff) -> Reading:
        """Long-run averages under the tariff; raises as `Meter.read`."""
        found = settled(self._world, self._market, tariff, self._temperature, self._tolerance)
        imports, exports = (by_group(self._world, values) for values in (found.response.imports, found.response.exports))
        always = np.full(found.price.shape[1:], np.inf)
        return shown(found, imports[None], exports[None], always, np.array([generation(found)]))


def settled(households: Households, market: Supply, tariff: Tariff, temperature: float, tolerance: float) -> Equilibrium:
    """The equilibrium that a meter reads: always from scratch, so that a reading does not depend on what was read before.

    Raises InvalidStudy ``study-tariff-limit`` where there is none to the tolerance, and ``meter-true-up``.
    """
    if tariff.true_up is not None:
        raise InvalidStudy("meter-true-up", where=f"tariff {tariff.name!r}, true_up = {tariff.true_up:g}")
    found = equilibrium(households, market, tariff, temperature=temperature, tolerance=tolerance)
    if not found.converged:
        raise InvalidStudy("study-tariff-limit", where=found.because, name=tariff.name)
    return found


def by_group(households: Households, values: Array) -> Array:
    """Averages over the households of each income group, at each bus [g, n, 24, w], of values by type [i, 24, w]."""
    total = np.zeros((len(households.groups), len(households.buses), *values.shape[1:]))
    np.add.at(total, (households.group_of, households.bus_of), households.share[:, None, None] * values)
    weight = np.bincount(households.group_of, weights=households.share, minlength=len(households.groups))
    means: Array = total / np.maximum(weight, 1e-300)[:, None, None, None]
    return means


def generation(found: Equilibrium) -> float:
    """Cost of serving the system, $ a day and household."""
    return float((found.market.cost(found.response.load) * found.households.weather.shares).sum()) / found.households.count


def shown(found: Equilibrium, imports: Array, exports: Array, days: Array, generated: Array) -> Reading:
    """A reading with what is public of an equilibrium."""
    households = found.households
    weight: Array = np.bincount(households.group_of, weights=households.share, minlength=len(households.groups)).astype(float)
    system = found.market.total(found.response.load)
    return Reading(
        found.tariff, households.groups, weight, households.weather.shares.copy(), imports, exports, days, found.price.copy(), system, generated
    )
