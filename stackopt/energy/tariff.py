"""An announced tariff: what is added to, or passed through of, the wholesale price, and fixed charges by income group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackopt.energy.households import HOURS, Households
from stackopt.errors import InvalidStudy

Array = NDArray[np.float64]
#: Days of a month, on average.
DAYS_PER_MONTH = 365.0 / 12.0


@dataclass(frozen=True, eq=False)
class Tariff:
    """Energy rates by hour, and fixed charges.

    ``buy = (buy adder + pass_buy * wholesale) * (1 - discount of the group)``, ``sell = sell adder + pass_sell * wholesale``; with
    `net_metering` the sell rate is the undiscounted buy rate.

    Parameters
    ----------
    name : str
    buy, sell : number, array [24] or [24, w], $/kWh
        Adders; by regime where rates differ by season. Kept as [24] or [24, w]; `adders` gives both by regime.
    pass_buy, pass_sell : float
        Shares of the wholesale price passed through.
    fixed : mapping of group to $/month, or number
    discount : mapping of group to share
        On what is bought.
    net_metering : bool
    true_up : float, $/kWh, optional
        Under net metering: a year's energy bill is no less than its net use at this rate, so that credits left over are not paid at retail.
        The average over regimes is the year; see `stackopt.energy.true_up`. Without it they are.

    Raises
    ------
    InvalidStudy
        ``hours`` and ``rate-units`` for rates, ``setting-value`` for what is passed through, fixed charges and discounts, ``true-up`` for one
        without net metering or with wholesale prices passed through.
    """

    name: str
    buy: Any = 0.0
    sell: Any = 0.0
    pass_buy: float = 0.0
    pass_sell: float = 0.0
    fixed: Any = 0.0
    discount: Mapping[str, float] = field(default_factory=dict)
    net_metering: bool = False
    true_up: float | None = None

    def __post_init__(self) -> None:
        if self.true_up is not None and not (self.net_metering and self.pass_buy == 0.0 and 0.0 <= self.true_up < 10.0):
            raise InvalidStudy("true-up", where=f"tariff {self.name!r}, true_up = {self.true_up!r}")
        for key in ("buy", "sell"):
            array = np.asarray(getattr(self, key), float)
            if not (array.ndim == 0 or (array.shape[0] == HOURS and array.ndim <= 2)) or not np.isfinite(array).all():
                raise InvalidStudy("hours", law=f"`{key}` of tariff {self.name!r}, finite: a number, [24], or [24, regimes]", got=f"{getattr(self, key)!r}")
            if (np.abs(array) > 10.0).any():
                raise InvalidStudy("rate-units", where=f"tariff {self.name!r}, {key} = {np.abs(array).max():g}", got=f"{np.abs(array).max():g}", unit="$/kWh")
            object.__setattr__(self, key, array if array.ndim == 2 else np.broadcast_to(array, (HOURS,)))
        fixed = self.fixed if isinstance(self.fixed, Mapping) else {"all": self.fixed}
        for name, value, law in (
            ("pass_buy", self.pass_buy, "finite"), ("pass_sell", self.pass_sell, "finite"),
            *((f"fixed of {group}", charge, "finite, $/month") for group, charge in fixed.items()),
            *((f"discount of {group}", share, "a share from 0 to 1") for group, share in self.discount.items()),
        ):  # fmt: skip
            if not abs(value) < 1e9 or (name.startswith("discount") and not 0.0 <= value <= 1.0):
                raise InvalidStudy("setting-value", where=f"tariff {self.name!r}", name=name, law=law, got=repr(value))

    def adders(self, households: Households) -> tuple[Array, Array]:
        """(buy, sell) adders by hour and regime [24, w], $/kWh; under net metering the buy adder is both.

        Raises
        ------
        InvalidStudy
            ``hours`` for rates by regime that are not those of the households' weather.
        """
        W = len(households.weather.names)
        found = []
        for key in ("buy", "buy" if self.net_metering else "sell"):
            array = getattr(self, key)
            if array.ndim == 2 and array.shape[1] != W:
                raise InvalidStudy("hours", law=f"`{key}` of tariff {self.name!r} as [24] or [24, {W}], a day for each regime", got=f"shape {array.shape}")
            found.append(np.broadcast_to(array if array.ndim == 2 else array[:, None], (HOURS, W)))
        return found[0], found[1]

    def rates(self, households: Households, price: Array) -> tuple[Array, Array]:
        """(buy, sell) by type [i, h, w], $/kWh, at wholesale prices [n, h, w] in $/kWh."""
        wholesale = price[households.bus_of]
        buy_adder, sell_adder = self.adders(households)
        buy = buy_adder + self.pass_buy * wholesale
        sell = buy if self.net_metering else sell_adder + self.pass_sell * wholesale
        return buy * (1.0 - self.discounts(households))[:, None, None], np.array(np.broadcast_to(sell, buy.shape))

    def passed(self, households: Households) -> tuple[Array, Array]:
        """Derivatives of each type's buy and sell rate in the wholesale price of its bus [i]."""
        buy = np.full(len(households.types), self.pass_buy)
        sell = buy if self.net_metering else np.full(len(households.types), self.pass_sell)
        return buy * (1.0 - self.discounts(households)), sell

    def discounts(self, households: Households) -> Array:
        """Share taken off what is bought, by type [i]."""
        for group in self.discount:
            if group not in households.groups:
                raise InvalidStudy("group", group=group, known=", ".join(households.groups))
        return np.array([self.discount.get(t.group, 0.0) for t in households.types])

    def fixed_per_day(self, households: Households) -> Array:
        """Fixed charge of each group [g], $/day."""
        if not isinstance(self.fixed, Mapping):
            return np.full(len(households.groups), float(self.fixed) / DAYS_PER_MONTH)
        for group in households.groups:
            if group not in self.fixed and "other" not in self.fixed:
                raise InvalidStudy("group", group=group, known=", ".join(self.fixed))
        return np.array([float(self.fixed.get(g, self.fixed.get("other", 0.0))) / DAYS_PER_MONTH for g in households.groups])
