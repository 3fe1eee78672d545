"""Who pays: bills and burdens by group and kind, who gains and who loses, their concentration, and bills less cost of service."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackopt.energy.benchmarks_named import Outcome
from stackopt.energy.criteria import DAYS
from stackopt.energy.table import Table
from stackopt.energy.tariff import DAYS_PER_MONTH

Array = NDArray[np.float64]

#: A bill that rises by more counts as a rise; a burden above counts as high.
RISE, HIGH = 0.05, 0.06
#: Bins of a histogram, at most but for one at either end, and the share of households beyond each end of them.
BINS, BEYOND = 20, 0.01


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
    """Points of the curves of accumulated households, income and bills, households in order of income."""
    rows: list[tuple[Any, ...]] = []
    for o in outcomes:
        assert o.criteria is not None
        h = o.criteria.households
        order = np.argsort(h.income, kind="stable")
        parts = [np.concatenate([[0.0], np.cumsum((h.share * v)[order])]) for v in (np.ones_like(h.share), h.income, o.criteria.bills)]
        for k in range(len(order) + 1):
            rows.append((o.name, *(100 * float(p[k] / p[-1]) if p[-1] else math.nan for p in parts)))
    columns = (("tariff", ""), ("households", "%"), ("income", "%"), ("bills", "%"))
    return Table("lorenz", "Accumulated bills against accumulated households and income", columns, tuple(rows))


def equity(outcomes: Sequence[Outcome]) -> Table:
    """Burden of each group, gap, concentration and Suits indices."""
    rows: list[tuple[Any, ...]] = []
    names: tuple[str, ...] = ()
    for o in outcomes:
        assert o.criteria is not None
        c, names = o.criteria, o.criteria.households.groups
        rows.append((o.name, *(100 * float(e) for e in c.incidence), 100 * c.gap, c.gini, c.suits))
    columns = (("tariff", ""), *((f"burden {g}", "% of income") for g in names), ("gap", "% of income"), ("Gini of bills", ""), ("Suits index", ""))
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
        rules = [c.required * base / (h.share @ base) for base in (np.ones_like(h.share), bought, h.income)]
        for group in h.groups:
            for kind in dict.fromkeys(t.kind for t in h.types):
                weight = h.share * np.array([t.group == group and t.kind == kind for t in h.types])
                total = weight.sum()
                if total > 0:
                    paid = [float(weight @ (c.bills - energy - rule) / total) * DAYS_PER_MONTH for rule in rules]
                    rows.append((o.name, group, kind, float(weight @ c.bills / total) * DAYS_PER_MONTH, float(weight @ energy / total) * DAYS_PER_MONTH, *paid))
    columns = (
        ("tariff", ""), ("group", ""), ("kind", ""), ("bill", "$/month"), ("energy at wholesale prices", "$/month"),
        ("over cost: fixed per household", "$/month"), ("over cost: fixed per kWh", "$/month"), ("over cost: fixed by income", "$/month"),
    )  # fmt: skip
    return Table("cross_subsidy", "Bill less cost of service, under three ways to share fixed costs", columns, tuple(rows),
                 "Positive: pays for others. Averages over all households are minus the shortfall.")  # fmt: skip
