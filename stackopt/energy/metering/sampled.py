"""Meters of a sample: some households on some days, drawn from the laws of the equilibrium."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackopt.energy.equilibrium import Equilibrium
from stackopt.energy.households import HOURS, Households
from stackopt.energy.market.supply import Marginal, Supply
from stackopt.energy.metering.meter import Reading, generation, settled, shown
from stackopt.energy.response import Part
from stackopt.energy.tariff import Tariff
from stackopt.errors import InvalidStudy

Array = NDArray[np.float64]
Counts = NDArray[np.int64]


class SampledMeter:
    """A finite number of households on a finite number of days.

    Households are drawn by income group in proportion (a stratified sample, in random groups of equal size), weather by its chances, and moves of
    batteries by the equilibrium's; counts of households in the same position are drawn at once, so that work does not
    grow with their number. Readings are unbiased: averages given hour and weather, weighted by how often a weather rules in the long run.
    The market is that of everyone: prices do not depend on who is in the sample, and what it takes more or less is generated at the margin.

    Parameters
    ----------
    households, market
        Of the world; a `Reading` shows neither.
    metered : int
        Households in the sample.
    days : int
        Of a billing period.
    fresh : bool
        Whether every period draws other households. By default the same are read under every tariff: who they happen to be then
        drops out of differences between tariffs.
    random_groups : int
        Parts into which the sample falls at random.
    temperature, tolerance
        As of `EquilibriumMeter`.
    seed : int
    periods : int
        Billing periods that have passed already: readings depend on the seed and on their number.

    Raises
    ------
    InvalidStudy
        ``setting-value`` for a sample in which some group would have no household.
    """

    def __init__(
        self, households: Households, market: Supply, metered: int, *, days: int = 30, fresh: bool = False, random_groups: int = 8,
        temperature: float = 0.02, tolerance: float = 1e-9, seed: int = 0, periods: int = 0,
    ) -> None:  # fmt: skip
        self._world, self._market, self._temperature, self._tolerance = households, market, temperature, tolerance
        self._days, self._fresh, self._groups, self._seed, self._periods = days, fresh, random_groups, seed, periods
        weight = np.bincount(households.group_of, weights=households.share, minlength=len(households.groups))
        self._strata = np.rint(metered * weight / random_groups).astype(np.int64)
        if random_groups < 2 or days < 1 or ((self._strata < 1) & (weight > 0)).any():
            law = "at least one household of every income group in each of 2 random groups or more, for a day or more"
            raise InvalidStudy("setting-value", name="metered", law=law, got=f"{metered} households in {random_groups} random groups, {days} days")
        self._panel = self._drawn(np.random.default_rng([seed, 0]))

    def _drawn(self, rng: np.random.Generator) -> Counts:
        """How many households of each type are in each random group [b, i]."""
        households = self._world
        counts = np.zeros((self._groups, len(households.types)), np.int64)
        for g, size in enumerate(self._strata):
            members = np.flatnonzero((households.group_of == g) & (households.share > 0))
            if len(members):
                share = households.share[members]
                counts[:, members] = rng.multinomial(size, share / share.sum(), size=self._groups)
        return counts

    def read(self, tariff: Tariff) -> Reading:
        """A period's averages; raises as `Meter.read`."""
        self._periods += 1
        rng = np.random.default_rng([self._seed, self._periods])
        households = self._world
        found = settled(households, self._market, tariff, self._temperature, self._tolerance)
        count = self._drawn(rng) if self._fresh else self._panel
        weather = _weather(households.weather, self._days, rng)
        B, W = self._groups, len(households.weather.names)
        seen = np.zeros((HOURS, W))
        np.add.at(seen, (np.broadcast_to(np.arange(HOURS), weather.shape), weather), 1.0)
        shape = (B, len(households.groups), len(households.buses), HOURS, W)
        imports, exports = np.zeros(shape), np.zeros(shape)
        of_stratum = count / np.maximum(self._strata[households.group_of], 1)  # [b, i]
        for part in found.response.parts:
            made = _moves(part, count[:, part.members], weather, rng)  # [b, i, 24, w, a], averages over households of the type and days
            bought = (made * np.where(part.hour.buying, part.hour.net, 0.0)).sum(-1)
            sold = -(made * np.where(part.hour.selling, part.hour.net, 0.0)).sum(-1)
            for k, i in enumerate(part.members):
                place = (slice(None), households.group_of[i], households.bus_of[i])
                weight = of_stratum[:, i, None, None] * households.weather.shares
                imports[place] += weight * bought[:, k]
                exports[place] += weight * sold[:, k]
        imports[..., seen == 0], exports[..., seen == 0] = np.nan, np.nan
        return shown(found, imports, exports, seen, self._generated(found, imports - exports))

    def _generated(self, found: Equilibrium, taken: Array) -> Array:
        """Cost of generation [b], $ a day and household, with what the sample takes more or less than everyone at the margin."""
        market, households = found.market, found.households
        load = found.response.load  # MW, given the regime
        marginal = market.marginal(load) if isinstance(market, Marginal) else 1000.0 * found.price
        weight = np.bincount(households.group_of, weights=households.share, minlength=len(households.groups))
        sampled = np.einsum("bgnhw,g->bnhw", taken, weight)
        everyone = load * households.weather.shares * 1000.0 / households.count
        more: Array = generation(found) + np.nansum((sampled - everyone) * marginal / 1000.0, axis=(1, 2, 3))
        return more


def _weather(weather: Any, days: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Regimes [day, 24] of consecutive days."""
    W = len(weather.names)
    path = np.zeros((days, HOURS), np.int64)
    now = int(rng.choice(W, p=weather.shares))
    for d in range(days):
        for h in range(HOURS):
            path[d, h] = now
            chances = weather.hourly[h][now]
            if chances[now] < 1.0:
                now = int(rng.choice(W, p=chances))
    return path


def _moves(part: Part, count: Counts, weather: NDArray[np.int64], rng: np.random.Generator) -> Array:
    """Shares of moves that households of each type made [b, i, 24, w, a], averaged over the days of a regime; 0 where none was seen."""
    shape = (*count.shape, *part.hour.net.shape[1:])
    if part.charging is None or part.control is None:
        return np.ones(shape)
    control, moves = part.control, part.charging.battery.moves
    policy = np.clip(control.policy, 0.0, 1.0)  # [i, 24, w, c, a]
    policy /= policy.sum(-1, keepdims=True)
    C, W = part.charging.levels, policy.shape[2]
    law = control.occupancy[:, 0, weather[0, 0]]  # charges at the first midnight
    state = rng.multinomial(count, law / law.sum(-1, keepdims=True))  # [b, i, c]
    total = np.zeros(shape)
    days = np.zeros((HOURS, W))
    for today in weather:
        for h, w in enumerate(today):
            moved = rng.multinomial(state, policy[:, h, w])  # [b, i, c, a]
            total[:, :, h, w] += moved.sum(2)
            days[h, w] += 1.0
            state = np.zeros_like(state)
            for a, move in enumerate(moves):
                low, high = max(0, -int(move)), min(C, C - int(move))
                state[..., low + move : high + move] += moved[..., low:high, a]
    shares: Array = total / np.maximum(count[:, :, None, None, None] * days[..., None], 1.0)
    return shares
