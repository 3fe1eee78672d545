"""Who pays: bills and burdens by group and kind, who gains and who loses, their concentration, and bills less cost of service."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackopt.energy.benchmarks_named import Outcome
from stackopt.energy.criteria import DAYS, accumulated
from stackopt.energy.equilibrium import Equilibrium
from stackopt.energy.exhibits.table import Table
from stackopt.energy.tariff import DAYS_PER_MONTH

Array = NDArray[np.float64]

#: A bill that rises by more counts as a rise; a burden above counts as high.
RISE, HIGH = 0.05, 0.06
#: What a typical customer of Californian rate cases buys, kWh a month.
TYPICAL = 550.0
#: Bins of a histogram, at most but for one at either end, and the share of households beyond each end of them.
BINS, BEYOND = 30, 0.01


def bills(before: Outcome, after: Sequence[Outcome]) -> Table:
    """Average bills and burdens by group and kind, before and after, with the share of households whose bill rises by more than 5 %."""
    columns = (
        ("tariff", ""), ("group", ""), ("kind", ""), ("households", "%"), ("before", "$/month"), ("after", "$/month"), ("change", "$/month"),
        ("relative", "%"), ("burden before", "% of income"), ("burden after", "% of income"), ("with rise > 5 %", "% of households"),
        ("with burden > 6 %", "% of households"),
    )  # fmt: skip
    rows: list[tuple[Any, ...]] = []
    assert before.criteria is not None
    h = before.criteria.households
    kinds = list(dict.fromkeys(t.kind for t in h.types))
    for o in after:
        assert o.criteria is not None
        for group in (*h.groups, "all"):
            for kind in (*kinds, "all"):
                chosen = np.array([(group in (t.group, "all")) and (kind in (t.kind, "all")) for t in h.types])
                weight = h.share * chosen
                if not weight.sum() > 0:
                    continue
                rows.append((o.name, group, kind, *_change(weight, h.income, before.criteria.bills, o.criteria.bills)))
    return Table("bills", f"Bills by income group and kind of household, {before.name} before", columns, tuple(rows))


def _change(weight: Array, income: Array, before: Array, after: Array) -> tuple[float, ...]:
    total = weight.sum()
    old, new, earned = (float(weight @ v / total) for v in (before, after, income))
    risen = after - before > RISE * np.abs(before)
    high = DAYS * after > HIGH * income
    relative = 100 * (new - old) / abs(old) if old else math.nan
    return (
        100 * float(total), old * DAYS_PER_MONTH, new * DAYS_PER_MONTH, (new - old) * DAYS_PER_MONTH, relative, 100 * DAYS * old / earned,
        100 * DAYS * new / earned, 100 * float(weight @ risen / total), 100 * float(weight @ high / total),
    )  # fmt: skip


def winners(before: Outcome, after: Sequence[Outcome]) -> Table:
    """How many households gain and lose how much: the change of their monthly bills, in equal bins common to all tariffs.

    Households of a type are alike, so shares move by type. A bin holds its lower edge; the first and the last also hold what is beyond them.
    """
    assert before.criteria is not None
    h, changes = before.criteria.households, []
    for o in after:
        assert o.criteria is not None
        changes.append(np.round((o.criteria.bills - before.criteria.bills) * DAYS_PER_MONTH, 6) + 0.0)  # equal bills are no gain
    edges = _edges(np.concatenate(changes), np.tile(h.share, len(changes))) if changes else np.zeros(1)
    kinds = list(dict.fromkeys(t.kind for t in h.types))
    rows: list[tuple[Any, ...]] = []
    for o, change in zip(after, changes, strict=True):
        bin_of = np.clip(np.searchsorted(edges, change, side="right") - 1, 0, len(edges) - 2)
        for kind in kinds:
            weight = h.share * np.array([t.kind == kind for t in h.types])
            held = np.bincount(bin_of, weights=weight, minlength=len(edges) - 1)
            rows += [(o.name, kind, float(a), float(b), 100 * float(v)) for a, b, v in zip(edges, edges[1:], held, strict=False)]
    columns = (("tariff", ""), ("kind", ""), ("change from", "$/month"), ("change to", "$/month"), ("households", "% of households"))
    return Table("winners", f"Households by the change of their monthly bill against {before.name}", columns, tuple(rows),
                 "Households of a type are alike; the first and the last bin also hold what is beyond them.")  # fmt: skip


def _edges(changes: Array, share: Array) -> Array:
    """Edges of equal bins at multiples of 1, 2 or 5 times a power of ten, 0 among the multiples, over all but a few of the changes."""
    order = np.argsort(changes, kind="stable")
    ranks = np.cumsum(share[order]) / share.sum()
    low, high = (float(changes[order][np.searchsorted(ranks, level)]) for level in (BEYOND, 1.0 - BEYOND))
    least = max((high - low) / BINS, 1e-3)
    width = next(m * 10.0**k for k in range(-3, 12) for m in (1, 2, 5) if m * 10.0**k >= least * (1 - 1e-12))
    first = math.floor(low / width + 1e-9)
    last = max(math.floor(high / width + 1e-9) + 1, first + 1)
    edges: Array = np.round(np.arange(first, last + 1) * width, 10) + 0.0
    return edges


def lorenz(outcomes: Sequence[Outcome]) -> Table:
    """Points of the curves of accumulated households, income and bills, households in order of income, those of equal income at once."""
    rows: list[tuple[Any, ...]] = []
    for o in outcomes:
        assert o.criteria is not None
        h = o.criteria.households
        parts = accumulated(h.share, h.income, o.criteria.bills)
        for k in range(len(parts[0])):
            rows.append((o.name, *(100 * float(p[k] / p[-1]) if p[-1] else math.nan for p in parts)))
    columns = (("tariff", ""), ("households", "%"), ("income", "%"), ("bills", "%"))
    return Table("lorenz", "Accumulated bills against accumulated households and income", columns, tuple(rows))


def equity(outcomes: Sequence[Outcome]) -> Table:
    """Burden of each group, gap, concentration and Suits indices, and how many households pay a high share of their income."""
    rows: list[tuple[Any, ...]] = []
    names: tuple[str, ...] = ()
    for o in outcomes:
        assert o.criteria is not None
        c, names = o.criteria, o.criteria.households.groups
        high = c.households.share @ (DAYS * c.bills > HIGH * c.households.income)
        rows.append((o.name, *(100 * float(e) for e in c.incidence), 100 * c.gap, c.gini, c.suits, 100 * float(high)))
    columns = (
        ("tariff", ""), *((f"burden {g}", "% of income") for g in names), ("gap", "% of income"), ("Gini of bills", ""), ("Suits index", ""),
        ("with burden > 6 %", "% of households"),
    )  # fmt: skip
    return Table("equity", "Burdens by income group [fairness]", columns, tuple(rows), "Suits: below 0 where bills weigh more on the poor.")


def cross_subsidy(outcomes: Sequence[Outcome]) -> Table:
    """Bill less cost of service by group and kind: energy at wholesale prices, and fixed costs per household, per kWh bought, or by income."""
    rows: list[tuple[Any, ...]] = []
    for o in outcomes:
        assert o.criteria is not None
        assert o.equilibrium is not None
        c, h, response = o.criteria, o.criteria.households, o.equilibrium.response
        energy = (response.price[h.bus_of] * response.net * h.weather.shares).sum((1, 2))  # $/day by type
        bought = response.imports.sum((1, 2))
        rules = [c.required * base / total if (total := float(h.share @ base)) > 0 else None for base in (np.ones_like(h.share), bought, h.income)]
        given = discounts(o.equilibrium)
        for group in h.groups:
            for kind in dict.fromkeys(t.kind for t in h.types):
                weight = h.share * np.array([t.group == group and t.kind == kind for t in h.types])
                if not weight.sum() > 0:
                    continue
                month = weight * DAYS_PER_MONTH / weight.sum()
                over = [None if rule is None else float(month @ (c.bills - energy - rule)) for rule in rules]
                fixed = [None if rule is None else float(month @ rule) for rule in rules]
                rows.append((o.name, group, kind, float(month @ c.bills), float(month @ energy), *over, *fixed, float(month @ given)))
    ways = ("per household", "per kWh", "by income")
    columns = (
        ("tariff", ""), ("group", ""), ("kind", ""), ("bill", "$/month"), ("energy at wholesale prices", "$/month"),
        *((f"over cost: fixed {way}", "$/month") for way in ways), *((f"fixed costs {way}", "$/month") for way in ways), ("discount received", "$/month"),
    )  # fmt: skip
    return Table("cross_subsidy", "Bill less cost of service, under three ways to share fixed costs", columns, tuple(rows),
                 "Positive: pays for others. Averages over all households are minus the shortfall.")  # fmt: skip


def discounts(found: Equilibrium) -> Array:
    """What each type is spared on what it buys [i], $/day."""
    households, response, tariff = found.households, found.response, found.tariff
    full = tariff.adders(households)[0] + tariff.pass_buy * response.price[households.bus_of]
    spared: Array = tariff.discounts(households) * (full * response.imports).sum((1, 2))
    return spared


def typical(before: Outcome | None, outcomes: Sequence[Outcome]) -> Table:
    """The monthly bill of a household that buys 550 kWh, spread over hours as all households use, before it answers to any rate."""
    rows: list[tuple[Any, ...]] = []
    old = None if before is None else _typical(before)
    for o in outcomes:
        assert o.equilibrium is not None
        h = o.equilibrium.households
        for g, (fixed, energy) in enumerate(_typical(o)):
            bill, was = fixed + energy, None if old is None else sum(old[g])
            change = (None, None) if was is None else (bill - was, 100 * (bill - was) / abs(was) if was else None)
            rows.append((o.name, h.groups[g], fixed, energy, bill, was, *change, bill / TYPICAL))
    columns = (
        ("tariff", ""), ("group", ""), ("fixed", "$/month"), ("energy", "$/month"), ("bill", "$/month"), ("before", "$/month"), ("change", "$/month"),
        ("relative", "%"), ("average rate", "$/kWh"),
    )  # fmt: skip
    note = "Without panels and with the same use under every tariff, as rate cases state it; all other tables let households answer."
    return Table("typical", f"Bill of a household that buys {TYPICAL:g} kWh a month", columns, tuple(rows), note)


def _typical(o: Outcome) -> list[tuple[float, float]]:
    """(fixed charge, energy bill) of each group, $/month."""
    assert o.equilibrium is not None
    assert o.tariff is not None
    h = o.equilibrium.households
    use = np.einsum("i,ihw,w->hw", h.share, h.load, h.weather.shares)
    use *= TYPICAL / use.sum()  # kWh a month
    buy = o.tariff.rates(h, o.equilibrium.price)[0]
    found = []
    for g, charge in enumerate(o.tariff.fixed_per_day(h)):
        mine = h.group_of == g
        weight = np.where(mine, h.share, 0.0) if h.share[mine].sum() > 0 else mine.astype(float)
        rate = np.einsum("i,ihw->hw", weight / weight.sum(), buy)
        found.append((float(charge) * DAYS_PER_MONTH, float((use * rate).sum())))
    return found


def seasonal_bills(outcomes: Sequence[Outcome]) -> Table:
    """Bills by season, group and kind, in a study of a year: what a month of each season costs."""
    rows: list[tuple[Any, ...]] = []
    for o in outcomes:
        assert o.equilibrium is not None
        assert o.tariff is not None
        response, h = o.equilibrium.response, o.equilibrium.households
        buy, sell = o.tariff.rates(h, response.price)
        joint = (buy * response.imports - sell * response.exports).sum(1)  # [i, w], $/day
        daily = joint / h.weather.shares @ h.weather.within + o.tariff.fixed_per_day(h)[h.group_of][:, None]  # [i, s]
        for s, season in enumerate(dict.fromkeys(h.weather.seasons)):
            for group in h.groups:
                for kind in dict.fromkeys(t.kind for t in h.types):
                    weight = h.share * np.array([t.group == group and t.kind == kind for t in h.types])
                    if weight.sum() > 0:
                        rows.append((o.name, season.name, group, kind, float(weight @ daily[:, s] / weight.sum()) * DAYS_PER_MONTH))
    columns = (("tariff", ""), ("season", ""), ("group", ""), ("kind", ""), ("bill", "$/month"))
    note = "Of an average month of 365/12 days in the season, before a year's true-up."
    return Table("seasonal_bills", "Bills by season, fixed charges included", columns, tuple(rows), note)
