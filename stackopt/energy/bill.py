"""A household's bill, month by month, from its hourly load and generation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stackopt.display import Block, number
from stackopt.energy.calendar import Calendar
from stackopt.energy.rates import Rates
from stackopt.errors import InvalidStudy

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Bill:
    """What is paid, by month [12] in $; months without intervals are 0.

    Attributes
    ----------
    energy : array
        For what is taken from the grid (net metering: net of what is put in, where that is positive).
    credit : array
        For what is put in; negative. Under net metering with ``"$"`` rollover, money carried from earlier months.
    tiers, baseline : arrays
        Adders above quantities, and the (negative) credit within the allowance.
    fixed : array
    discount : array
        Negative.
    minimum : array
        What is added to reach the least bill.
    imports, exports : arrays, kWh
        Metered, hour by hour; under "buy all, sell all" the load and the generation.
    carried : float
        Left at the end: kWh, or $ under ``"$"`` rollover and net billing.
    """

    energy: Array
    credit: Array
    tiers: Array
    baseline: Array
    fixed: Array
    discount: Array
    minimum: Array
    imports: Array
    exports: Array
    carried: float

    @property
    def monthly(self) -> Array:
        """The bill of each month [12], $."""
        total: Array = self.energy + self.credit + self.tiers + self.baseline + self.fixed + self.discount + self.minimum
        return total

    @property
    def total(self) -> float:
        """$ over all months."""
        return float(self.monthly.sum())

    def block(self) -> Block:
        """The printed form."""
        parts = ("energy", "credit", "tiers", "baseline", "fixed", "discount", "minimum")
        rows = [(part, f"{getattr(self, part).sum():.2f} $") for part in parts if getattr(self, part).any()]
        rows.append(("metered", f"{number(self.imports.sum())} kWh taken, {number(self.exports.sum())} kWh put in"))
        return Block(f"Bill: {self.total:.2f} $", tuple(rows))

    def __str__(self) -> str:
        return self.block().text()

    __repr__ = __str__


def bill(rates: Rates, calendar: Calendar, load: Array, generation: Array | None = None, group: str = "other") -> Bill:
    """The bill of a household.

    Parameters
    ----------
    rates : Rates
    calendar : Calendar
        Of n hourly intervals.
    load, generation : arrays [n], kWh
        Behind the meter; what the battery does is part of the load.
    group : str
        Income group, for fixed charges and discounts.

    Raises
    ------
    InvalidStudy
        ``hours`` if the lengths differ, ``not-finite`` for NaN, ``negative-load`` under "buy all, sell all".
    """
    load = np.asarray(load, float)
    generation = np.zeros(len(calendar)) if generation is None else np.asarray(generation, float)
    for name, array in (("load", load), ("generation", generation)):
        if array.shape != (len(calendar),):
            raise InvalidStudy("hours", law=f"`{name}` for each of the {len(calendar)} intervals", got=f"shape {array.shape}")
        if not np.isfinite(array).all():
            raise InvalidStudy("not-finite", name=name, where=f"interval {int((~np.isfinite(array)).argmax())}")
    index = (calendar.month, calendar.weekend, calendar.hour)
    buy, sell = rates.buy[index], rates.sell[index]
    days = calendar.days
    if rates.metering == "buy all, sell all":
        taken, put = load, generation
    else:
        net = load - generation
        taken, put = np.maximum(net, 0.0), np.maximum(-net, 0.0)

    def monthly(values: Array) -> Array:
        return np.asarray(np.bincount(calendar.month, weights=values, minlength=12), float)

    imports, exports = monthly(taken), monthly(put)
    consumed = imports.copy()
    if rates.metering == "net metering":
        energy, credit, consumed, carried = _netted(rates, calendar, taken - put, buy)
    else:
        energy, credit = monthly(taken * buy), -monthly(put * sell)
        carried = 0.0
    tiers = sum((tier.adder * np.maximum(consumed - tier.above * days, 0.0) for tier in rates.tiers), np.zeros(12))
    within = np.minimum(np.maximum(consumed, 0.0), rates.baseline * days)
    baseline = -rates.baseline_credit * within
    fixed = rates.fixed_of(group) * days
    before = energy + credit + tiers + baseline + fixed
    discount = -rates.discount.get(group, 0.0) * np.maximum(before, 0.0)
    minimum = np.maximum(rates.minimum * days - before - discount, 0.0) if rates.minimum else np.zeros(12)
    return Bill(energy, credit, tiers, baseline, fixed, discount, minimum, imports, exports, carried)


def _netted(rates: Rates, calendar: Calendar, net: Array, buy: Array) -> tuple[Array, Array, Array, float]:
    """Net metering: (energy charges, credits, net consumption) by month, and what is left at the end.

    A period of the rate is all hours of a month with the same price. Carried energy belongs to the period of the same rank, the
    cheapest first, and to the dearest if the next month has fewer.
    """
    energy, credit, consumed = np.zeros(12), np.zeros(12), np.zeros(12)
    bank = np.zeros(0)  # kWh by rank, or one entry of $
    for month in range(12):
        here = calendar.month == month
        if not here.any():
            continue
        prices, period = np.unique(np.round(buy[here], 9), return_inverse=True)
        balance = np.bincount(period, weights=net[here], minlength=len(prices))
        consumed[month] = balance.sum()
        if rates.rollover == "$":
            owed = float(balance @ prices)
            energy[month] = max(owed, 0.0)
            saved = float(bank.sum())
            used = min(saved, energy[month])
            credit[month] = -used
            bank = np.array([saved - used + max(-owed, 0.0)])
            continue
        for rank, kwh in enumerate(bank):
            balance[min(rank, len(prices) - 1)] -= kwh
        energy[month] = float(np.maximum(balance, 0.0) @ prices)
        bank = np.maximum(-balance, 0.0)
    left = float(bank.sum())
    if rates.rollover == "kWh" and left and rates.surplus:
        last = int(calendar.month.max())
        credit[last] -= rates.surplus * left
    return energy, credit, consumed, left
