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
        For what is taken from the grid (net metering: net of what is put in within a period of the rate, where that is positive).
    credit : array
        For what is put in; negative. With ``"$"`` rollover, what of it is used in the month, money from earlier months included.
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
        Left at the end and neither used nor paid: kWh by period of the rate, or $ with ``"$"`` rollover.
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
        ``hours`` if the lengths differ or the calendar comes back to a month, ``not-finite`` for NaN, ``negative-load`` under "buy all,
        sell all".
    """
    load = np.asarray(load, float)
    generation = np.zeros(len(calendar)) if generation is None else np.asarray(generation, float)
    for name, array in (("load", load), ("generation", generation)):
        if array.shape != (len(calendar),):
            raise InvalidStudy("hours", law=f"`{name}` for each of the {len(calendar)} intervals", got=f"shape {array.shape}")
        if not np.isfinite(array).all():
            raise InvalidStudy("not-finite", name=name, where=f"interval {int((~np.isfinite(array)).argmax())}")
    months = _months(calendar)
    index = (calendar.month, calendar.weekend, calendar.hour)
    buy, sell = rates.buy[index], rates.sell[index]
    days = calendar.days
    units = days if rates.per == "day" else (days > 0).astype(float)
    if rates.metering == "buy all, sell all":
        taken, put = load, generation
        for name, array in (("load", load), ("generation", generation)):
            if (array < 0).any():
                at = int((array < 0).argmax())
                raise InvalidStudy("negative-load", name=name, where=f"tariff {rates.name!r}, interval {at}: {array[at]:g} kWh")
    else:
        net = load - generation
        taken, put = np.maximum(net, 0.0), np.maximum(-net, 0.0)

    def monthly(values: Array) -> Array:
        return np.asarray(np.bincount(calendar.month, weights=values, minlength=12), float)

    imports, exports = monthly(taken), monthly(put)
    consumed = imports.copy()
    if rates.metering == "net metering":
        energy, credit, consumed, carried = _netted(rates, calendar, taken - put, np.stack([buy, sell]), months)
    else:
        energy, credit, carried = monthly(taken * buy), -monthly(put * sell), 0.0
        if rates.metering == "net billing" and rates.rollover == "$":
            credit, carried = _saved(energy, -credit, months)
    tiers = sum((tier.adder * np.maximum(consumed - tier.above * days, 0.0) for tier in rates.tiers), np.zeros(12))
    within = np.minimum(np.maximum(consumed, 0.0), rates.baseline * days)
    baseline = -rates.baseline_credit * within
    fixed = rates.fixed_of(group) * units
    before = energy + credit + tiers + baseline + fixed
    discount = -rates.discount.get(group, 0.0) * np.maximum(before, 0.0)
    minimum = np.maximum(rates.minimum * units - before - discount, 0.0) if rates.minimum else np.zeros(12)
    return Bill(energy, credit, tiers, baseline, fixed, discount, minimum, imports, exports, carried)


def _months(calendar: Calendar) -> list[int]:
    """Months in the order in which they are billed."""
    starts = np.flatnonzero(np.diff(calendar.month, prepend=-1))
    months = [int(month) for month in calendar.month[starts]]
    for k, month in enumerate(months):
        if month in months[:k]:
            where = f"interval {int(starts[k])}"
            raise InvalidStudy("hours", where=where, law="each month in one piece: a bill is of at most a year", got=f"month {month + 1} again")
    return months


def _saved(charges: Array, earned: Array, months: list[int]) -> tuple[Array, float]:
    """(credits used [12], money left): credits pay for energy only, what they exceed it by is carried to later months."""
    credit, saved = np.zeros(12), 0.0
    for month in months:
        saved += float(earned[month])
        used = min(saved, max(float(charges[month]), 0.0))
        credit[month] = -used
        saved -= used
    return credit, saved


def _netted(rates: Rates, calendar: Calendar, net: Array, prices: Array, months: list[int]) -> tuple[Array, Array, Array, float]:
    """Net metering: (energy charges, credits, net consumption) by month, and what is left at the end.

    A period of the rate is all hours of a month with the same price. Carried energy belongs to the period of the same rank, the
    cheapest first, and to the dearest if the next month has fewer. What is left at the end is paid for as far as all periods together
    have put in more than they took: else somebody would be paid for energy that was bought back at another hour.
    """
    energy, earned, consumed = np.zeros(12), np.zeros(12), np.zeros(12)
    bank, excess = np.zeros(0), 0.0  # kWh by rank, and of all periods together
    for month in months:
        here = calendar.month == month
        pairs, period = np.unique(np.round(prices[:, here], 9), axis=1, return_inverse=True)
        buy, sell = pairs
        balance = np.bincount(np.ravel(period), weights=net[here], minlength=len(buy))
        consumed[month] = balance.sum()
        if rates.rollover == "kWh":
            excess = max(excess - float(balance.sum()), 0.0)
            for rank, kwh in enumerate(bank):
                balance[min(rank, len(buy) - 1)] -= kwh
            bank = np.maximum(-balance, 0.0)
        energy[month] = float(np.maximum(balance, 0.0) @ buy)
        earned[month] = float(np.maximum(-balance, 0.0) @ sell)
    if rates.rollover == "$":
        credit, left = _saved(energy, earned, months)
        return energy, credit, consumed, left
    credit, left = np.zeros(12), float(bank.sum())
    if rates.surplus:
        credit[months[-1]] -= rates.surplus * excess
        left = 0.0
    return energy, credit, consumed, left
