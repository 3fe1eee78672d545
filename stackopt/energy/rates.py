"""A retail rate: what a household pays for what it takes from the grid, and gets for what it puts in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from stackopt.errors import InvalidStudy

Array = NDArray[np.float64]
Metering = Literal["net metering", "net billing", "buy all, sell all"]

#: Rates beyond this are taken for cents.
CREDIBLE = 10.0  # $/kWh


@dataclass(frozen=True)
class Tier:
    """A price that holds beyond a quantity: `adder` $/kWh on the month's consumption above `above` kWh per day."""

    above: float
    adder: float


@dataclass(frozen=True, eq=False)
class Rates:
    """A tariff of energy rates, credits and charges.

    Parameters
    ----------
    name : str
    buy : array, $/kWh
        [24] by hour, [2, 24] also by weekday and weekend, [12, 2, 24] also by month; or one number.
    sell : array, $/kWh, optional
        For exports (net billing, and for all generation under "buy all, sell all"), and for what a period of a month puts in beyond what it
        takes (net metering with ``"$"`` rollover); same shapes. By default the buy rate, so that "net billing" without `sell` credits
        retail hour by hour.
    metering : str
        ``"net metering"``: what a month takes and puts in within one period of the rate is netted; ``"net billing"``: every
        hour's export is credited at `sell`; ``"buy all, sell all"``: the load is bought and the generation sold.
    rollover : str
        ``"kWh"``: under net metering a month's surplus of a period is carried as energy; net billing carries nothing, and a month's credits may
        exceed its charges. ``"$"``: credits are carried as money to later months and never exceed a month's charges for energy.
    surplus : float, $/kWh
        Under net metering with ``"kWh"`` rollover, for what is left over at the end of all periods together.
    tiers : sequence of Tier
        On net consumption of the month.
    baseline : array [12] or number, kWh per day, and baseline_credit, $/kWh
        The credit is given on the month's net consumption within the allowance.
    fixed : mapping of group to $/day, or number
        Every group without an entry pays that of ``"other"``.
    discount : mapping of group to share
        Of the whole bill before taxes (CARE-like), 0 to 1.
    minimum : float, $/day
        The least a household pays, fixed charges included.
    per : str
        ``"day"``, or ``"month"``: then `fixed` and `minimum` are $/month, in full for every month that is billed.
    arbitrage : bool
        Whether a sell rate above the buy rate is billed all the same.

    Raises
    ------
    InvalidStudy
        ``rate-units`` for rates that are not credible, ``hours`` for wrong shapes, ``sell-above-buy`` where an hour's export would be
        paid more than it costs, so that storing and reselling pays without end, ``setting-value`` for the rest.
    """

    name: str
    buy: Any
    sell: Any = None
    metering: Metering = "net billing"
    rollover: Literal["kWh", "$"] = "kWh"
    surplus: float = 0.0
    tiers: tuple[Tier, ...] = ()
    baseline: Any = 0.0
    baseline_credit: float = 0.0
    fixed: Any = 0.0
    discount: Mapping[str, float] = field(default_factory=dict)
    minimum: float = 0.0
    per: Literal["day", "month"] = "day"
    arbitrage: bool = False

    def __post_init__(self) -> None:
        def set_(key: str, value: Any) -> None:
            object.__setattr__(self, key, value)

        set_("buy", hourly("buy", self.buy, self.name))
        set_("sell", self.buy if self.sell is None else hourly("sell", self.sell, self.name))
        if self.metering not in ("net metering", "net billing", "buy all, sell all"):
            raise InvalidStudy("setting-value", name="metering", law="'net metering', 'net billing' or 'buy all, sell all'", got=repr(self.metering))
        if self.rollover not in ("kWh", "$"):
            raise InvalidStudy("setting-value", name="rollover", law="'kWh' or '$'", got=repr(self.rollover))
        if self.metering == "net metering" and self.rollover == "kWh" and not np.array_equal(self.sell, self.buy):
            law, help = "the buy rate, or left out, under net metering that carries kWh", "rollover='$' pays it; surplus= is paid at the end"
            raise InvalidStudy("setting-value", where=f"tariff {self.name!r}", name="sell", law=law, got="another rate", help=help)
        if self.per not in ("day", "month"):
            raise InvalidStudy("setting-value", name="per", law="'day' or 'month'", got=repr(self.per))
        if self.metering != "buy all, sell all" and not self.arbitrage and (self.sell > self.buy + 1e-12).any():
            month, weekend, hour = (int(i) for i in np.argwhere(self.sell > self.buy + 1e-12)[0])
            where = f"tariff {self.name!r}, month {month + 1}, {'weekend' if weekend else 'weekday'}, hour {hour}: "
            where += f"sell {self.sell[month, weekend, hour]:.6g}, buy {self.buy[month, weekend, hour]:.6g} $/kWh"
            raise InvalidStudy("sell-above-buy", where=where)
        baseline = np.asarray(self.baseline, float)
        if baseline.shape not in ((), (12,)):
            raise InvalidStudy("hours", law=f"`baseline` of tariff {self.name!r} as one number or 12", got=f"shape {baseline.shape}")
        set_("baseline", np.broadcast_to(baseline, (12,)))
        fixed = self.fixed if isinstance(self.fixed, Mapping) else {"other": float(self.fixed)}
        set_("fixed", dict(fixed))
        for name, value, unit in (
            *((f"fixed of {group}", charge, f"$/{self.per}") for group, charge in fixed.items()),
            *((f"baseline of month {month + 1}", kwh, "kWh/day") for month, kwh in enumerate(self.baseline)),
            *((f"above of tier {k + 1}", tier.above, "kWh/day") for k, tier in enumerate(self.tiers)), ("minimum", self.minimum, f"$/{self.per}"),
        ):  # fmt: skip
            if not 0.0 <= value < np.inf:
                raise InvalidStudy("setting-value", where=f"tariff {self.name!r}, unit {unit}", name=name, law="finite and at least 0", got=repr(float(value)))
        for name, value in (*((f"adder of tier {k + 1}", t.adder) for k, t in enumerate(self.tiers)), ("baseline_credit", self.baseline_credit),
                            ("surplus", self.surplus)):  # fmt: skip
            if not abs(value) <= CREDIBLE:
                raise InvalidStudy("rate-units", where=f"tariff {self.name!r}, {name} = {value:g}", got=f"{value:g}", unit="$/kWh")
        for group, share in self.discount.items():
            if not 0.0 <= share <= 1.0:
                raise InvalidStudy("setting-value", name=f"discount of {group}", law="a share from 0 to 1", got=repr(share))

    def fixed_of(self, group: str) -> float:
        """Fixed charge of a group, $ `per` day or month.

        Raises
        ------
        InvalidStudy
            ``group`` if neither it nor ``"other"`` has a charge.
        """
        charge = self.fixed.get(group, self.fixed.get("other"))
        if charge is None:
            raise InvalidStudy("group", group=group, known=", ".join(self.fixed))
        return float(charge)


def hourly(name: str, values: Any, tariff: str) -> Array:
    """Rates as [12, 2, 24]: month, weekday or weekend, hour."""
    array = np.asarray(values, float)
    if array.shape not in ((), (24,), (2, 24), (12, 2, 24)):
        raise InvalidStudy("hours", law=f"`{name}` of tariff {tariff!r} as one number, [24], [2, 24] or [12, 2, 24]", got=f"shape {array.shape}")
    if not np.isfinite(array).all() or (np.abs(array) > CREDIBLE).any():
        worst = float(array.flat[int(np.argmax(np.where(np.isfinite(array), np.abs(array), np.inf)))])
        raise InvalidStudy("rate-units", where=f"tariff {tariff!r}, {name} = {worst:g}", got=f"{worst:g}", unit="$/kWh")
    whole: Array = np.broadcast_to(array, (12, 2, 24)).copy()
    whole.flags.writeable = False
    return whole


def time_of_use(peak: float, off_peak: float, hours: range = range(16, 21)) -> Array:
    """Rates [24] with a peak, 16 to 21 o'clock by default."""
    return np.array([peak if h in hours else off_peak for h in range(24)])
