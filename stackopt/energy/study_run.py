"""What a study computes: tariffs compared at equal revenue, one against today's, a design with its frontier, and what moves the answer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stackopt.display import Block, number
from stackopt.energy.benchmarks_named import Outcome, benchmark, neutral
from stackopt.energy.criteria import criteria
from stackopt.energy.design import Design, design, frontier, smallest_gap
from stackopt.energy.equilibrium import equilibrium
from stackopt.energy.study import Study
from stackopt.energy.table import Table
from stackopt.energy.tables import bills, exhibits
from stackopt.energy.tariff import DAYS_PER_MONTH
from stackopt.errors import InvalidStudy
from stackopt.solution import Progress, Report, Status

#: Of the stored JSON form.
SCHEMA = "stackopt.tariff-study/1"


@dataclass(frozen=True, eq=False)
class StudyResult:
    """What was computed, as tables.

    Attributes
    ----------
    study : Study
    command : str
        ``"compare"``, ``"evaluate"``, ``"design"`` or ``"sensitivity"``.
    outcomes : tuple of Outcome
    tables : tuple of Table
    status : Status
        CONVERGED if everything that was asked for holds; INFEASIBLE if a requirement is out of reach; LIMIT otherwise.
    findings : tuple of (label, text)
    designs : tuple of Design
        The free one first, then the frontier.
    """

    study: Study
    command: str
    outcomes: tuple[Outcome, ...]
    tables: tuple[Table, ...]
    status: Status
    findings: tuple[tuple[str, str], ...]
    designs: tuple[Design, ...] = ()

    def __getitem__(self, name: str) -> Table:
        """A table by name."""
        return {table.name: table for table in self.tables}[name]

    def block(self) -> Block:
        """The printed form, verdict first."""
        h = self.study.households
        rows = (*self.findings, ("population", f"{len(h.types)} types, {h.count:,} households"), ("assumptions", self.study.basis))
        return Block(f'Tariff study "{self.study.name}", {self.command}: {self.status}', rows, good=self.status.success)

    def __str__(self) -> str:
        return self.block().text()

    __repr__ = __str__

    def to_json(self) -> dict[str, Any]:
        """Everything as plain JSON data."""
        from stackopt.comparison.plain import plain

        tables = {t.name: {"title": t.title, "columns": [{"name": n, "unit": u} for n, u in t.columns], "rows": t.rows, "note": t.note} for t in self.tables}
        data = {
            "schema": SCHEMA, "study": self.study.name, "command": self.command, "status": str(self.status), "findings": [list(pair) for pair in self.findings],
            "basis": self.study.basis, "settings": {s: dict(k) for s, k in self.study.settings.items()}, "tables": tables,
        }  # fmt: skip
        found: dict[str, Any] = plain(data)
        return found


def solve(study: Study, name: str) -> Outcome:
    """One tariff of a study, named or its own; raises InvalidStudy ``study-tariff`` for another name."""
    b = study.settings["benchmarks"]
    rest: dict[str, Any] = {"temperature": study.temperature}
    if name not in study.own:
        return benchmark(
            name, study.households, study.market, study.required, season=study["population", "season"], care=float(b["care"]), fixed=b["fixed"], **rest
        )
    own = study.own[name]
    if own.neutral:
        mean = float(np.abs(own.buy).mean())
        if mean == 0.0:
            raise InvalidStudy("setting-value", where=f"[benchmarks.{name}] buy", name="buy", law="not 0 where it is scaled; or neutral = false", got="0")
        found = neutral(
            name, own.tariff, study.households, study.market, study.required, text="of the study's own, scaled to recover the requirement",
            step=0.1 / mean, highest=2.0 / mean, **rest,
        )  # fmt: skip
        return found
    answer = equilibrium(study.households, study.market, own.tariff(), tolerance=1e-9, **rest)
    if not answer.converged:
        return Outcome(name, "of the study's own, as given", None, None, None, Status.LIMIT, answer.because, required=study.required, equilibria=1)
    seen = criteria(answer, study.required)
    because = f"as given, not made to recover the requirement: shortfall {number(seen.shortfall, 4)} $ a day and household"
    return Outcome(name, "of the study's own, as given", own.tariff(), answer, seen, Status.CONVERGED, because, 1.0, required=study.required, equilibria=1)


def _solved(study: Study, names: Sequence[str], report: Report | None) -> list[Outcome]:
    found = []
    for k, name in enumerate(dict.fromkeys(names)):
        found.append(solve(study, name))
        if report is not None:
            report(Progress(f"tariff {name}", k + 1, len(names), None))
    return found


def _status(outcomes: Sequence[Outcome]) -> Status:
    """Of tariffs that must all hold."""
    words = {o.status for o in outcomes}
    if words == {Status.CONVERGED}:
        return Status.CONVERGED
    return Status.INFEASIBLE if words <= {Status.CONVERGED, Status.INFEASIBLE} else Status.LIMIT


def _said(outcome: Outcome, before: Outcome | None = None) -> str:
    """One tariff in a line."""
    if not outcome.status.success or outcome.criteria is None:
        return f"{outcome.status}: {outcome.because}"
    c = outcome.criteria
    old = before.criteria if before is not None and before.status.success else None
    if old is None or before is outcome:
        return f"cost {c.cost:.3f} $/day, gap {100 * c.gap:.2f} points, peak {c.peak:.0f} MW"
    moved = f"({c.cost - old.cost:+.3f})", f"({100 * (c.gap - old.gap):+.2f})", f"({c.peak - old.peak:+.0f})"
    return f"cost {c.cost:.3f} {moved[0]}, gap {100 * c.gap:.2f} {moved[1]}, peak {c.peak:.0f} {moved[2]}"


def _accuracy(tables: Sequence[Table]) -> tuple[str, str]:
    """How far the equilibria are from exact, over all tariffs."""
    found = next(t for t in tables if t.name == "convergence")
    worst = {name: max((v for v in found.column(name) if v is not None), default=math.nan) for name in ("price residual", "exploitability", "spectral radius")}
    text = f"price residuals up to {number(worst['price residual'], 2)} $/kWh; "
    text += f"households could still gain {number(worst['exploitability'], 2)} $ a day on average"
    return "accuracy", text + ("; iterating prices without damping would cycle" if worst["spectral radius"] > 1.0 else "")


def compare(study: Study, *, report: Report | None = None) -> StudyResult:
    """All tariffs that the study names, at equal revenue, against today's."""
    b = study.settings["benchmarks"]
    outcomes = _solved(study, [b["before"], *b["names"]], report)
    before = outcomes[0]
    findings = [("before", f"{before.name}: {_said(before)}")] + [("", f"{o.name}: {_said(o, before)}") for o in outcomes[1:]]
    findings.append(("revenue", f"{study.required:g} $ a day and household beyond wholesale purchases, by every tariff that holds"))
    held = [o for o in outcomes if o.status.success]
    findings.append(("holds", f"{len(held)} of {len(outcomes)} tariffs"))
    status = _status([before, *(held[1:2] or outcomes[1:])])  # the others are rows of the tables, with their reasons
    if any(o.status is Status.LIMIT for o in outcomes):
        status = Status.LIMIT
    tables = exhibits(outcomes, before, study.assumptions)
    findings.append(_accuracy(tables))
    return StudyResult(study, "compare", tuple(outcomes), tuple(tables), status, tuple(findings))


def evaluate(study: Study, name: str, *, report: Report | None = None) -> StudyResult:
    """One tariff against today's: who pays more and less."""
    before = study.settings["benchmarks"]["before"]
    outcomes = _solved(study, [before, name, "lmp"], report)
    old, new = outcomes[0], next(o for o in outcomes if o.name == name)
    tables = exhibits(outcomes, old, study.assumptions, name)
    findings = [("before", f"{old.name}: {_said(old)}"), ("after", f"{new.name}: {_said(new, old)}")]
    if old.status.success and new.status.success and old is not new:
        everyone = {row[1]: row for row in bills(old, [new]).rows if row[2] == "all"}
        findings.append(("bills", "  ".join(f"{g} {row[6]:+.2f}" for g, row in everyone.items()) + " $/month"))
        findings.append(("rises", f"{everyone['all'][10]:.1f} % of households pay over 5 % more"))
    findings.append(_accuracy(tables))
    return StudyResult(study, "evaluate", tuple(outcomes), tuple(tables), _status([old, new]), tuple(findings))


def _designed(found: Design, name: str) -> Outcome:
    level = float(found.tariff.buy.mean()) if found.tariff is not None else math.nan
    return Outcome(name, "designed", found.tariff, found.equilibrium, found.criteria, found.status, found.because, level,
                   required=found.problem.required, equilibria=found.equilibria)  # fmt: skip


def design_study(study: Study, *, report: Report | None = None) -> StudyResult:
    """The tariff of least cost within the study's limits, the frontier of cost against the gap of burdens, and the named tariffs beside them."""
    b, o = study.settings["benchmarks"], study.settings["objective"]
    free = design(study.problem(), starts=o["starts"], seed=o["seed"], report=report)
    designs = [free]
    limits = _gaps(study, free)
    if limits and free.z is not None:
        designs += frontier(study.problem(), limits, starts=1, seed=o["seed"], begin=[free.z], report=report)
    named = _solved(study, [b["before"], *b["names"]], report)
    best = _designed(free, "designed")
    outcomes = [named[0], best, *named[1:]]
    tables = [*exhibits(outcomes, named[0], study.assumptions, "designed"), frontier_table(designs, named)]
    findings = [("designed", _said(best, named[0]))]
    if free.tariff is not None and free.status.success:
        t = free.tariff
        start = {name: hours[0] for name, hours in study["tariff", "periods"].items()}
        findings.append(("buy adders", "  ".join(f"{p} {t.buy[h]:.3f}" for p, h in start.items()) + " $/kWh"))
        if not t.net_metering:
            findings.append(("sell adders", "  ".join(f"{p} {t.sell[h]:.3f}" for p, h in start.items()) + " $/kWh"))
        findings.append(("fixed", "  ".join(f"{g} {float(f):.2f}" for g, f in t.fixed.items()) + " $/month"))
        if free.at_bounds:
            findings.append(("at bounds", ", ".join(free.at_bounds)))
    findings.append(("search", f"{free.because}; {len(free.starts)} starts ended at {', '.join(f'{c:.4f}' for c, _ in free.starts)}"))
    findings.append(("before", f"{named[0].name}: {_said(named[0])}"))
    if limits:
        held = sum(d.status.success for d in designs[1:])
        findings.append(("frontier", f"{held} of {len(designs) - 1} points hold, at limits from {100 * max(limits):.2f} to {100 * min(limits):.2f} points"))
    findings.append(_accuracy(tables))
    return StudyResult(study, "design", tuple(outcomes), tuple(tables), free.status, tuple(findings), tuple(designs))


def _gaps(study: Study, free: Design) -> list[float]:
    """Limits of the frontier, widest first: those of the study, or from the free design's gap to just above the smallest found."""
    o = study.settings["objective"]
    if o["points"] == 0 or free.criteria is None:
        return []
    if o["gap"] is not None:
        low, high = map(float, o["gap"])
    else:
        high = free.criteria.gap
        least = smallest_gap(study.problem(), free.z)
        if not math.isfinite(least) or least >= high:
            return []
        low = least + 0.1 * (high - least)  # next to the smallest gap costs rise steeply
        return [float(v) for v in np.linspace(high, low, o["points"] + 1)[1:]]
    return [float(v) for v in np.linspace(high, low, o["points"])]


def frontier_table(designs: Sequence[Design], named: Sequence[Outcome]) -> Table:
    """Least cost by limit on the gap, with rates and charges; named tariffs as further rows."""
    first = designs[0].problem
    periods = {name: next(iter(hours)) for name, hours in first.periods.items()}
    groups = first.households.groups
    columns = (
        ("point", ""), ("status", ""), ("limit on gap", "% of income"), ("gap", "% of income"), ("cost", "$/day"), ("peak", "MW"), ("price spread", "$/MWh"),
        *((f"buy adder {p}", "$/kWh") for p in periods), *((f"sell adder {p}", "$/kWh") for p in periods), *((f"fixed {g}", "$/month") for g in groups),
        ("because", ""),
    )  # fmt: skip
    entries = [("designed" if k == 0 else f"frontier {k}", d.problem.limits.gap, d.status, d.criteria, d.tariff, d.because) for k, d in enumerate(designs)]
    entries += [(o.name, math.inf, o.status, o.criteria, o.tariff, o.because) for o in named]
    rows: list[tuple[Any, ...]] = []
    for name, limit, status, c, t, because in entries:
        shown: tuple[Any, ...] = (None,) * (4 + 2 * len(periods) + len(groups))
        if status.success and c is not None and t is not None:
            fixed = t.fixed_per_day(first.households) * DAYS_PER_MONTH
            buy, sell = (adder @ first.households.weather.shares for adder in t.adders(first.households))  # rates of seasons: the year's average
            rates = [*(float(buy[h]) for h in periods.values()), *(float(sell[h]) for h in periods.values())]
            shown = (100 * c.gap, c.cost, c.peak, c.price_spread, *rates, *(float(f) for f in fixed))
        rows.append((name, str(status), 100 * limit if math.isfinite(limit) else None, *shown, because))
    note = "Local optima; points that are not CONVERGED have no figures and belong in no picture. Named tariffs need not keep to the design's limits."
    return Table("frontier", "Least cost at each limit on the gap of burdens, named tariffs beside it", columns, tuple(rows), note)


#: One assumption at a time: (section, key) to (low, high), or factors on what the study has.
VARIATIONS: Mapping[tuple[str, str], tuple[float, float]] = {
    ("population", "elasticity"): (0.1, 0.4),
    ("population", "reference_price"): (0.25, 0.35),
    ("population", "attachment"): (0.14, 0.60),
    ("revenue", "required"): (0.8, 1.2),
    ("market", "slope"): (0.5, 2.0),
    ("storage", "efficiency"): (0.85, 0.95),
    ("storage", "wear"): (0.0, 0.10),
}
FACTORS = {("revenue", "required"), ("market", "slope")}


def sensitivity(study: Study, name: str, *, report: Report | None = None) -> StudyResult:
    """How far one assumption at a time moves what a tariff changes against today's, both made revenue-neutral anew."""
    before = study.settings["benchmarks"]["before"]
    rows: list[tuple[Any, ...]] = []
    outcomes: list[Outcome] = []
    cases: list[tuple[str, str, Any, Study]] = [("base", "", "", study)]
    for (section, key), ends in VARIATIONS.items():
        if (key == "slope" and study["market", "kind"] != "linear") or (key == "attachment" and study["population", "types"] is not None):
            continue
        for word, end in zip(("low", "high"), ends, strict=True):
            value = end * study[section, key] if (section, key) in FACTORS else end
            cases.append((f"[{section}] {key}", word, value, study.changed(**{f"{section}__{key}": value})))
    moved: dict[str, list[float]] = {}
    base: tuple[float, float, float] | None = None
    for k, (item, word, value, changed) in enumerate(cases):
        pair = [solve(changed, before), solve(changed, name)]
        outcomes += pair
        if report is not None:
            report(Progress(f"{item} {word}", k + 1, len(cases), None))
        old, new = (o.criteria if o.status.success else None for o in pair)
        if old is None or new is None:
            said = "; ".join(f"{o.name} {o.status}: {o.because}" for o in pair if not o.status.success)
            rows.append((item, word, value, None, None, None, None, None, None, said))
            continue
        shift = (new.cost - old.cost, 100 * (new.gap - old.gap), new.peak - old.peak)
        base = base or shift
        rows.append((item, word, value, *shift, *(s - b for s, b in zip(shift, base, strict=True)), ""))
        if k:
            moved.setdefault(item, []).append(shift[0])
    columns = (
        ("assumption", ""), ("end", ""), ("value", ""), ("change of cost", "$/day"), ("change of gap", "% of income"), ("change of peak", "MW"),
        ("cost against base", "$/day"), ("gap against base", "% of income"), ("peak against base", "MW"), ("because", ""),
    )  # fmt: skip
    table = Table("sensitivity", f"What {name} changes against {before}, one assumption moved at a time", columns, tuple(rows))
    findings = []
    if base is not None:
        findings.append(("base", f"{name} against {before}: cost {base[0]:+.3f} $/day, gap {base[1]:+.2f} points, peak {base[2]:+.0f} MW"))
        ranked = sorted(moved, key=lambda item: -max(abs(v - base[0]) for v in moved[item]))
        for item in ranked[:3]:
            findings.append((item, f"cost {min(moved[item]):+.3f} to {max(moved[item]):+.3f} $/day"))
        signs = {v > 0 for row in rows if row[3] is not None for v in (row[3],)}
        held = sum(row[3] is not None for row in rows)
        word = "keeps its sign" if len(signs) == 1 else "does not keep its sign"
        findings.append(("sign", f"the change of cost {word} in the {held} of {len(rows)} cases where both tariffs hold"))
    sheet = exhibits(outcomes[:2], outcomes[0], study.assumptions)[-1]
    return StudyResult(study, "sensitivity", tuple(outcomes), (table, sheet), _status(outcomes[:2]), tuple(findings))
