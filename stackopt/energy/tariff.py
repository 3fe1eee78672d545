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
    buy, sell : array [24] or number, $/kWh
        Adders.
    pass_buy, pass_sell : float
        Shares of the wholesale price passed through.
    fixed : mapping of group to $/month, or number
    discount : mapping of group to share
        On what is bought.
    net_metering : bool
    """

    name: str
    buy: Any = 0.0
    sell: Any = 0.0
    pass_buy: float = 0.0
    pass_sell: float = 0.0
    fixed: Any = 0.0
    discount: Mapping[str, float] = field(default_factory=dict)
    net_metering: bool = False

    def __post_init__(self) -> None:
        for key in ("buy", "sell"):
            array = np.asarray(getattr(self, key), float)
            if array.shape not in ((), (HOURS,)) or not np.isfinite(array).all():
                raise InvalidStudy("hours", law=f"`{key}` of tariff {self.name!r} as one finite number or 24", got=f"{getattr(self, key)!r}")
            if (np.abs(array) > 10.0).any():
                raise InvalidStudy("rate-units", where=f"tariff {self.name!r}, {key} = {np.abs(array).max():g}", got=f"{np.abs(array).max():g}", unit="$/kWh")
            object.__setattr__(self, key, np.broadcast_to(array, (HOURS,)))

    def rates(self, households: Households, price: Array) -> tuple[Array, Array]:
        """(buy, sell) by type [i, h, w], $/kWh, at wholesale prices [n, h, w] in $/kWh."""
        wholesale = price[households.bus_of]
        buy = self.buy[None, :, None] + self.pass_buy * wholesale
        sell = buy if self.net_metering else self.sell[None, :, None] + self.pass_sell * wholesale
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
