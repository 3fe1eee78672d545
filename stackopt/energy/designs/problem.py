"""What a leader may choose of a tariff, and the limits that the choice must respect."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stackopt.energy.households import HOURS, Households
from stackopt.energy.market.supply import Supply
from stackopt.energy.seasons import InSeason
from stackopt.energy.tariff import DAYS_PER_MONTH, Tariff
from stackopt.errors import InvalidStudy

Array = NDArray[np.float64]

#: The hours of the usual four periods.
PERIODS: Mapping[str, Sequence[int]] = {"off": range(10), "midday": range(10, 16), "peak": range(16, 21), "night": range(21, 24)}


@dataclass(frozen=True)
class Limits:
    """What a design must respect.

    Attributes
    ----------
    gap : float
        Of incidence between income groups, as a share of income.
    peak : float, MW
    price_spread : float, $/MWh
        Standard deviation of wholesale prices.
    """

    gap: float = math.inf
    peak: float = math.inf
    price_spread: float = math.inf


@dataclass(frozen=True, eq=False)
class DesignProblem:
    """What the leader may choose.

    Parameters
    ----------
    households, market
    required : float, $/day and household
        Fixed costs to recover. The default is reconstructed: a Californian bill of 145 $/month less energy.
    periods : mapping of name to hours, or to InSeason
        Cover each hour of the day once, in each season; see `seasonal`.
    buy : (float, float), $/kWh
        Bounds of the buy adders.
    sell : (float, float), $/kWh
        Bounds of the sell adders; besides, no hour's sell rate exceeds its buy rate.
    pass_buy, pass_sell : float
        Shares of the wholesale price passed through.
    net_metering : bool
        The sell rate is the buy rate.
    cap : float, $/month
        On fixed charges.
    ratios : sequence [g], optional
        Fixed charges in given ratios; by default each group's is free.
    discount : mapping of group to share
    limits : Limits
    temperature : float, $
    true_up : float, $/kWh, optional
        Under net metering of announced rates, as of `Tariff`.
    """

    households: Households
    market: Supply
    required: float = 3.6
    periods: Mapping[str, Sequence[int] | InSeason] = field(default_factory=lambda: PERIODS)
    buy: tuple[float, float] = (0.0, 0.8)
    sell: tuple[float, float] = (0.0, 0.8)
    pass_buy: float = 1.0
    pass_sell: float = 1.0
    net_metering: bool = False
    cap: float = 24.15
    ratios: Sequence[float] | None = None
    discount: Mapping[str, float] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    temperature: float = 0.02
    true_up: float | None = None

    def __post_init__(self) -> None:
        known = {season.name for season in self.households.weather.seasons}
        for name, period in self.periods.items():
            hours = period.hours if isinstance(period, InSeason) else period
            if isinstance(period, InSeason) and period.season not in known:
                raise InvalidStudy("setting-value", name=f"season of {name}", law="one of the households' year", got=repr(period.season))
            if not all(0 <= h < HOURS for h in hours) or len(set(hours)) != len(hours):
                raise InvalidStudy("hours", law=f"hours of {name!r} from 0 to 23, each once", got=f"{list(hours)}")
        often = self.selection.sum(-1).reshape(HOURS, -1)
        if (often != 1.0).any():
            h, w = np.argwhere(often != 1.0)[0]
            when = f" in {self.households.weather.names[w]}" if known and often.shape[1] > 1 else ""
            raise InvalidStudy("hours", law="periods that cover each of the 24 hours once", got=f"hour {h} {often[h, w]:.0f} times{when}")
        for name in ("buy", "sell"):
            low, high = getattr(self, name)
            if not low <= high:
                raise InvalidStudy("setting-value", name=name, law="bounds in order", got=f"{low}, {high}")
        Tariff("designed", pass_buy=self.pass_buy, net_metering=self.net_metering, true_up=self.true_up)  # raises where they exclude each other
        if not self.cap >= 0 or not math.isfinite(self.required):
            raise InvalidStudy("setting-value", name="cap", law="at least 0, and a finite requirement", got=f"{self.cap}, {self.required}")

    @property
    def selection(self) -> Array:
        """Which period each hour belongs to [24, p]; each hour and regime [24, w, p] where periods are of seasons."""
        weather, periods = self.households.weather, list(self.periods.values())
        chosen = np.zeros((HOURS, len(weather.names), len(periods)))
        for p, period in enumerate(periods):
            if isinstance(period, InSeason):
                here = [w for w, season in enumerate(weather.seasons) if season.name == period.season]
                chosen[np.ix_(list(period.hours), here, [p])] = 1.0
            else:
                chosen[list(period), :, p] = 1.0
        return chosen if any(isinstance(period, InSeason) for period in periods) else chosen[:, 0]

    def rates_of(self, tariff: Tariff) -> tuple[Array, Array]:
        """(buy, sell) adders of any tariff by period [p], $/kWh: averages over the hours and regimes of each."""
        h = self.households
        chosen = self.selection
        weight = (chosen if chosen.ndim == 3 else chosen[:, None, :]) * h.weather.shares[:, None]
        buy, sell = (np.einsum("hw,hwp->p", adder, weight) / weight.sum((0, 1)) for adder in tariff.adders(h))
        return buy, sell

    def tariff(self, z: Array, name: str = "designed") -> Tariff:
        """The tariff of rates z = (buy by period, sell by period, fixed by group in $/day)."""
        P, groups = len(self.periods), self.households.groups
        fixed = {g: float(f) * DAYS_PER_MONTH for g, f in zip(groups, z[2 * P : 2 * P + len(groups)], strict=True)}
        chosen = self.selection
        return Tariff(name, chosen @ z[:P], chosen @ z[P : 2 * P], self.pass_buy, self.pass_sell, fixed, self.discount, self.net_metering, self.true_up)


def seasonal(periods: Mapping[str, Sequence[int]], households: Households) -> dict[str, InSeason]:
    """The periods of a day in each season of the households' year: "summer peak"."""
    names = dict.fromkeys(season.name for season in households.weather.seasons)
    return {f"{season} {name}": InSeason(season, hours) for season in names for name, hours in periods.items()}
