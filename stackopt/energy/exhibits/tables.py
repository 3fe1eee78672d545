"""The tables of a study: what the exhibits of a rate case show, each with units."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from stackopt.energy.benchmarks_named import Outcome
from stackopt.energy.exhibits.payers import bills, cross_subsidy, equity, lorenz, seasonal_bills, typical, winners
from stackopt.energy.exhibits.reliance import assumption_sheet, convergence, iterations
from stackopt.energy.exhibits.system import average_rate, charges_table, duck, loss, prices, response, revenue, seasonal_rates, steps
from stackopt.energy.exhibits.table import Table
from stackopt.energy.standard import Assumption

#: A tariff whose revenue misses the requirement by more, $/day and household, is not compared with others.
SAME_REVENUE = 1e-3
#: Tariffs whose search for prices is shown.
SHOWN = 2

__all__ = ["Table", "bills", "exhibits", "settled", "summary"]


def settled(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Those with an answer that holds: nothing else is computed from."""
    return [o for o in outcomes if o.status.success and o.equilibrium is not None]


def summary(outcomes: Sequence[Outcome]) -> Table:
    """Criteria of every tariff, failures included as rows."""
    columns = (
        ("tariff", ""), ("status", ""), ("energy rate", "$/kWh"), ("cost", "$/day"), ("above pass-through", "$/day"), ("gap of burdens", "% of income"),
        ("Suits index", ""), ("peak", "MW"), ("3 h ramp", "MW"), ("load factor", ""), ("price spread", "$/MWh"), ("shortfall", "$/day"), ("because", ""),
    )  # fmt: skip
    best = next((o.criteria.cost for o in settled(outcomes) if o.name == "lmp" and o.criteria), math.nan)
    rows = []
    for o in outcomes:
        c = o.criteria if o.status.success else None
        figures: tuple[Any, ...] = (None,) * 9
        if c is not None:
            figures = (c.cost, c.cost - best, 100 * c.gap, c.suits, c.peak, c.ramp, c.load_factor, c.price_spread, c.shortfall)
        rows.append((o.name, str(o.status), None if c is None else average_rate(o), *figures, o.because))
    note = "Energy rates are averages over hours with wholesale prices that are passed through. Only differences of costs mean anything; "
    note += "cost, burden and stability are never added up."
    return Table("summary", "Criteria by tariff, at equal revenue where the shortfall is 0", columns, tuple(rows), note)


def explained(outcomes: Sequence[Outcome]) -> Table:
    """What each name stands for, and how much of the wholesale price its rates pass through."""
    rows: list[tuple[Any, ...]] = []
    for o in outcomes:
        assert o.tariff is not None
        t = o.tariff
        left = "" if t.true_up is None else f"; credits left over at the end of a year are worth {t.true_up:g} $/kWh"
        rows.append((o.name, o.text + left, t.pass_buy, t.pass_buy if t.net_metering else t.pass_sell))
    share = "share of the wholesale price"
    columns = (("tariff", ""), ("what it is", ""), ("passed through buying", share), ("passed through selling", share))
    return Table("tariffs", "What the names of tariffs stand for", columns, tuple(rows), "Adders come on top of what is passed through.")


def exhibits(outcomes: Sequence[Outcome], before: Outcome | None, sheet: Sequence[Assumption], subject: str = "") -> list[Table]:
    """All tables; failures are rows of `summary` and `convergence`, and of nothing else.

    Parameters
    ----------
    outcomes : sequence of Outcome
    before : Outcome, optional
        Today's tariff.
    sheet : sequence of Assumption
    subject : str
        The tariff that the study is about; by default the one of least cost among those that recover the requirement.
    """
    good = settled(outcomes)
    found = [summary(outcomes)]
    if before is not None and before.status.success:
        others = [o for o in good if o.name != before.name]
        found += [bills(before, others), winners(before, others)]
    found.append(typical(before if before is not None and before.status.success else None, good))
    found += [make(good) for make in (equity, lorenz, revenue, cross_subsidy, loss, duck, prices, explained, steps, charges_table)]
    if good and good[0].equilibrium is not None and good[0].equilibrium.households.weather.seasons:
        found += [seasonal_bills(good), seasonal_rates(good)]
    chosen = _looked_at(good, before, subject)
    searched = [*(o for o in good if o in chosen or o.name == "lmp"), *good]
    passing = list(dict.fromkeys(o for o in searched if o.diagnosis is not None and o.diagnosis.coupled))[:SHOWN]
    return [*found, response(chosen), convergence(outcomes), iterations(passing), assumption_sheet(sheet)]


def _looked_at(good: Sequence[Outcome], before: Outcome | None, subject: str) -> list[Outcome]:
    """Today's tariff, and the one that the study is about or that is cheapest at equal revenue."""
    equal = [o for o in good if o.criteria is not None and abs(o.criteria.shortfall) <= SAME_REVENUE]
    cheapest = min(equal, key=lambda o: o.criteria.cost if o.criteria is not None else math.inf, default=None)
    asked = next((o for o in good if o.name == subject), cheapest)
    return [o for o in good if o is asked or (before is not None and o.name == before.name)]
