"""The tables of a study as plain rows: what the exhibits of a rate case show, each with units, each as CSV.

Every table of the CSV form ends with the column `basis`: how many inputs are reconstructed, recalled or assumed.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackopt.energy.benchmarks_named import Outcome
from stackopt.energy.criteria import DAYS
from stackopt.energy.equilibrium import Equilibrium, monotonicity, spectral_radius
from stackopt.energy.households import HOURS
from stackopt.energy.standard import Assumption
from stackopt.energy.tariff import DAYS_PER_MONTH

Array = NDArray[np.float64]

#: A bill that rises by more counts as a rise; a burden above counts as high.
RISE, HIGH = 0.05, 0.06


@dataclass(frozen=True)
class Table:
    """Rows under named columns.

    Attributes
    ----------
    name, title : str
        Of the file, and what it shows.
    columns : tuple of (name, unit)
    rows : tuple of tuples
        Numbers and texts; None where there is no value.
    note : str
    """

    name: str
    title: str
    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[Any, ...], ...]
    note: str = ""

    @property
    def header(self) -> list[str]:
        """Names with units."""
        return [f"{name} [{unit}]" if unit else name for name, unit in self.columns]

    def column(self, name: str) -> list[Any]:
        """Values of one column."""
        at = [n for n, _ in self.columns].index(name)
        return [row[at] for row in self.rows]

    def to_csv(self, basis: str = "") -> str:
        """As CSV with a heading row; with `basis` as last column, so that no row is read without it."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(self.header + (["basis"] if basis else []))
        for row in self.rows:
            writer.writerow([_cell(v) for v in row] + ([basis] if basis else []))
        return stream.getvalue()

    def text(self, digits: int = 4) -> str:
        """As aligned text."""
        cells = [self.header, *([_cell(v, digits) for v in row] for row in self.rows)]
        widths = [max(len(row[c]) for row in cells) for c in range(len(self.columns))]
        numeric = [all(not isinstance(row[c], str) for row in self.rows) for c in range(len(self.columns))]
        lines = [self.title]
        for row in cells:
            lines.append("  " + "  ".join(v.rjust(w) if n else v.ljust(w) for v, w, n in zip(row, widths, numeric, strict=True)).rstrip())
        return "\n".join([*lines, *([f"  {self.note}"] if self.note else [])])


def _cell(value: Any, digits: int = 10) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value + 0.0:.{digits}g}" if isinstance(value, float) else str(value)


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
        rows.append((o.name, str(o.status), o.level, *figures, o.because))
    note = "Only differences of costs mean anything; cost, burden and stability are never added up."
    return Table("summary", "Criteria by tariff, all at equal revenue", columns, tuple(rows), note)


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


def revenue(outcomes: Sequence[Outcome]) -> Table:
    """What is required and what is collected."""
    rows: list[tuple[Any, ...]] = []
    for o in outcomes:
        assert o.criteria is not None
        c = o.criteria
        rows.append((o.name, c.required, c.wholesale, c.volumetric, c.fixed, c.shortfall, c.generation))
    columns = tuple((n, "$/day and household" if n != "tariff" else "") for n in
                    ("tariff", "fixed costs required", "wholesale purchases", "energy bills", "fixed charges", "shortfall", "generation cost"))  # fmt: skip
    return Table("revenue", "Revenue [adequacy]", columns, tuple(rows), "shortfall = required + purchases - energy bills - fixed charges")


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


def duck(outcomes: Sequence[Outcome]) -> Table:
    """Load of each hour and regime: use, generation on roofs, charging of batteries, net of households, and the system's."""
    rows: list[tuple[Any, ...]] = []
    for o in outcomes:
        assert o.equilibrium is not None
        h, found = o.equilibrium.households, o.equilibrium
        scale = h.count / 1000.0
        sun = np.einsum("i,ihw->hw", h.share, h.sun) * scale
        charging = _charging(found) * scale
        net = found.response.load.sum(0)
        total = found.market.total(found.response.load)
        for hour in range(HOURS):
            for w, regime in enumerate(h.weather.names):
                figures = (net + sun - charging, sun, charging, net, total)
                rows.append((o.name, hour, regime, *(float(f[hour, w]) for f in figures)))
    columns = (
        ("tariff", ""), ("hour", "h"), ("weather", ""), ("use", "MW"), ("roofs", "MW"), ("into batteries", "MW"), ("net of households", "MW"), ("system", "MW"),
    )  # fmt: skip
    return Table("load", "Load by hour and weather: net = use - roofs + into batteries", columns, tuple(rows))


def _charging(found: Equilibrium) -> Array:
    """What batteries take from the meters on average, given the regime [h, w], kWh per household."""
    h, total = found.households, np.zeros(found.price.shape[1:])
    for part in found.response.parts:
        if part.charging is not None:
            taken = (part.moves * part.charging.battery.metered).sum(-1)
            total += np.einsum("i,ihw->hw", h.share[part.members], taken) / h.weather.shares
    return total


def prices(outcomes: Sequence[Outcome]) -> Table:
    """Wholesale prices by bus, hour and regime."""
    rows: list[tuple[Any, ...]] = []
    for o in outcomes:
        assert o.equilibrium is not None
        h = o.equilibrium.households
        for n, bus in enumerate(h.buses):
            for hour in range(HOURS):
                for w, regime in enumerate(h.weather.names):
                    rows.append((o.name, bus or "one", hour, regime, 1000 * float(o.equilibrium.price[n, hour, w])))
    columns = (("tariff", ""), ("bus", ""), ("hour", "h"), ("weather", ""), ("price", "$/MWh"))
    return Table("prices", "Wholesale prices (LMP) by hour and weather", columns, tuple(rows))


def steps(outcomes: Sequence[Outcome]) -> Table:
    """Rates by hour, averaged over weather and buses, for households without a discount."""
    rows: list[tuple[Any, ...]] = []
    for o in outcomes:
        assert o.equilibrium is not None
        assert o.tariff is not None
        t, h = o.tariff, o.equilibrium.households
        wholesale = (o.equilibrium.price.mean(0) * h.weather.shares).sum(-1)
        buy = t.buy + t.pass_buy * wholesale
        sell = buy if t.net_metering else t.sell + t.pass_sell * wholesale
        adder = np.zeros(HOURS) if t.net_metering else t.sell
        rows += [(o.name, hour, *(float(rate[hour]) for rate in (buy, sell, t.buy, adder))) for hour in range(HOURS)]
    columns = (("tariff", ""), ("hour", "h"), ("buy", "$/kWh"), ("sell", "$/kWh"), ("buy adder", "$/kWh"), ("sell adder", "$/kWh"))
    return Table("rates", "Rates by hour, wholesale prices that are passed through included", columns, tuple(rows))


def charges_table(outcomes: Sequence[Outcome]) -> Table:
    """Fixed charges and discounts by group."""
    rows: list[tuple[Any, ...]] = []
    for o in outcomes:
        assert o.equilibrium is not None
        assert o.tariff is not None
        h = o.equilibrium.households
        for group, charge in zip(h.groups, o.tariff.fixed_per_day(h), strict=True):
            rows.append((o.name, group, float(charge) * DAYS_PER_MONTH, 100 * float(o.tariff.discount.get(group, 0.0))))
    return Table("fixed_charges", "Fixed charges and discounts", (("tariff", ""), ("group", ""), ("fixed", "$/month"), ("discount", "%")), tuple(rows))


def convergence(outcomes: Sequence[Outcome]) -> Table:
    """Whether the figures can be relied on: residuals, what households could still gain, whether iteration would cycle, uniqueness."""
    rows: list[tuple[Any, ...]] = []
    for o in outcomes:
        if o.equilibrium is None:
            rows.append((o.name, str(o.status), *(None,) * 6, o.equilibria, o.because))
            continue
        e = o.equilibrium
        gain, owners = e.response.exploitability(), np.array([t.battery is not None for t in e.households.types])
        mean, weight = float(e.households.share @ gain), float(e.households.share @ owners)
        own = float((e.households.share * owners) @ gain) / weight if weight > 0 else 0.0
        worst = monotonicity(e)
        rows.append((o.name, str(o.status), e.residual, mean, own, spectral_radius(e), worst, "yes" if worst <= 1e-9 else "not shown", o.equilibria, o.because))
    columns = (
        ("tariff", ""), ("status", ""), ("price residual", "$/kWh"), ("exploitability", "$/day"), ("exploitability of battery owners", "$/day"),
        ("spectral radius", ""), ("monotonicity eigenvalue", "kWh per $/kWh"), ("locally one equilibrium", ""), ("equilibria solved", ""), ("because", ""),
    )  # fmt: skip
    return Table("convergence", "Convergence and exploitability", columns, tuple(rows),
                 "A spectral radius above 1: iterating prices without damping cycles.")  # fmt: skip


def assumption_sheet(found: Sequence[Assumption]) -> Table:
    """Every figure with its source and status."""
    columns = (("item", ""), ("value", ""), ("unit", ""), ("source", ""), ("status", ""), ("label", ""))
    rows = tuple((a.item, a.value, a.unit, a.source, a.status, "not verified" if a.doubtful else "") for a in found)
    return Table("assumptions", "Assumptions", columns, rows)


def exhibits(outcomes: Sequence[Outcome], before: Outcome | None, sheet: Sequence[Assumption]) -> list[Table]:
    """All tables; failures are rows of `summary` and `convergence`, and of nothing else."""
    good = settled(outcomes)
    found = [summary(outcomes)]
    if before is not None and before.status.success:
        found.append(bills(before, [o for o in good if o.name != before.name]))
    found += [make(good) for make in (equity, lorenz, revenue, cross_subsidy, duck, prices, steps, charges_table)]
    return [*found, convergence(outcomes), assumption_sheet(sheet)]
