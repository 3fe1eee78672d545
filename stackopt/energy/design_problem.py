"""What a leader may choose of a tariff, and the limits that the choice must respect."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stackopt.energy.households import HOURS, Households
from stackopt.energy.market.supply import Supply
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
    periods : mapping of name to hours
        Cover each hour of the day once.
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
    """

    households: Households
    market: Supply
    required: float = 3.6
    periods: Mapping[str, Sequence[int]] = field(default_factory=lambda: PERIODS)
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

    def __post_init__(self) -> None:
        hours = sorted(h for period in self.periods.values() for h in period)
        if hours != list(range(HOURS)):
            wrong = next(h for h in range(HOURS + 1) if hours.count(h) != 1)
            raise InvalidStudy("hours", law="periods that cover each of the 24 hours once", got=f"hour {wrong} {hours.count(wrong)} times")
        for name in ("buy", "sell"):
            low, high = getattr(self, name)
            if not low <= high:
                raise InvalidStudy("setting-value", name=name, law="bounds in order", got=f"{low}, {high}")
        if not self.cap >= 0 or not math.isfinite(self.required):
            raise InvalidStudy("setting-value", name="cap", law="at least 0, and a finite requirement", got=f"{self.cap}, {self.required}")

    @property
    def selection(self) -> Array:
        """Which period each hour belongs to [24, p]."""
        chosen = np.zeros((HOURS, len(self.periods)))
        for p, hours in enumerate(self.periods.values()):
            chosen[list(hours), p] = 1.0
        return chosen

    def tariff(self, z: Array, name: str = "designed") -> Tariff:
        """The tariff of rates z = (buy by period, sell by period, fixed by group in $/day)."""
        P, groups = len(self.periods), self.households.groups
        fixed = {g: float(f) * DAYS_PER_MONTH for g, f in zip(groups, z[2 * P : 2 * P + len(groups)], strict=True)}
        chosen = self.selection
        return Tariff(name, chosen @ z[:P], chosen @ z[P : 2 * P], self.pass_buy, self.pass_sell, fixed, self.discount, self.net_metering)
