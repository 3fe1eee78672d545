"""What a study computes: tariffs compared at equal revenue, one against today's, a design with its frontier, and what moves the answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stackopt.display import number
from stackopt.energy.benchmarks_named import Outcome
from stackopt.energy.designs.design import Design, design, examine
from stackopt.energy.designs.frontier import frontier
from stackopt.energy.designs.reach import smallest_gap
from stackopt.energy.designs.unfinished import resumable
from stackopt.energy.exhibits.designs import frontier_table
from stackopt.energy.exhibits.tables import SAME_REVENUE, bills, exhibits
from stackopt.energy.studies.result import StudyResult
from stackopt.energy.studies.sensitivity import sensitivity
from stackopt.energy.studies.solve import all_hold, said, solve, solve_all
from stackopt.energy.studies.study import Study
from stackopt.solution import Report, Status

#: Bounds that are printed; all are in the table of convergence.
BOUNDS_SHOWN = 3
#: MW of load below which a difference is rounding.
NOTHING = 1e-6
#: Gaps of burdens, as shares of income, that are no trade-off.
ALIKE = 1e-6

__all__ = ["StudyResult", "compare", "design_study", "evaluate", "sensitivity", "solve"]


def _reliance(outcomes: Sequence[Outcome]) -> list[tuple[str, str]]:
    """How far equilibria are from exact, what prices by hour and weather leave out, and what stands at a bound, over all tariffs."""
    found = {o.name: d for o in outcomes if (d := o.diagnosis) is not None}
    if not found:
        return []
    residual, gain, load, price = (
        max(v) for v in zip(*((d.found.residual, d.exploitability, d.closure.load_deviation, d.closure.price_deviation) for d in found.values()), strict=True)
    )
    text = f"price residuals up to {number(residual, 2)} $/kWh; households could still gain {number(gain, 2)} $ a day on average"
    text += "; iterating prices without damping would cycle" if any(d.coupled and d.spectral_radius > 1.0 for d in found.values()) else ""
    said = [("accuracy", text)]
    missed = f"not its history: that misses up to {number(load, 2)} MW of load and {number(price, 2)} $/MWh (deviations)"
    said.append(("weather", "prices follow hour and weather, " + (missed if load > NOTHING else "and its history changes nothing")))
    at: dict[str, list[str]] = {}
    for name, d in found.items():
        for bound in d.bounds:
            at.setdefault(bound, []).append(name)
    shown = [("bounds", f"{', '.join(names)}: {bound}") for bound, names in at.items()][:BOUNDS_SHOWN]
    more = len(at) - len(shown)
    return said + shown + ([("bounds", f"and {more} more: see convergence")] if more else [])


def compare(study: Study, *, report: Report | None = None) -> StudyResult:
    """All tariffs that the study names, at equal revenue, against today's."""
    b = study.settings["benchmarks"]
    outcomes = solve_all(study, [b["before"], *b["names"]], report)
    before = outcomes[0]
    findings = [("before", f"{before.name}: {said(before)}")] + [("", f"{o.name}: {said(o, before)}") for o in outcomes[1:]]
    given = [o.name for o in outcomes if o.criteria is not None and abs(o.criteria.shortfall) > SAME_REVENUE]
    but = f" but {', '.join(given)}, as given" if given else ""
    findings.append(("revenue", f"{study.required:g} $ a day and household beyond wholesale purchases, by every tariff that holds{but}"))
    held = [o for o in outcomes if o.status.success]
    findings.append(("holds", f"{len(held)} of {len(outcomes)} tariffs"))
    status = all_hold([before, *(held[1:2] or outcomes[1:])])  # the others are rows of the tables, with their reasons
    if any(o.status is Status.LIMIT for o in outcomes):
        status = Status.LIMIT
    tables = exhibits(outcomes, before, study.assumptions)
    findings += _reliance(outcomes)
    return StudyResult(study, "compare", tuple(outcomes), tuple(tables), status, tuple(findings))


def evaluate(study: Study, name: str, *, report: Report | None = None) -> StudyResult:
    """One tariff against today's: who pays more and less."""
    before = study.settings["benchmarks"]["before"]
    outcomes = solve_all(study, [before, name, "lmp"], report)
    old, new = outcomes[0], next(o for o in outcomes if o.name == name)
    tables = exhibits(outcomes, old, study.assumptions, name)
    findings = [("before", f"{old.name}: {said(old)}"), ("after", f"{new.name}: {said(new, old)}")]
    if old.status.success and new.status.success and old is not new:
        everyone = {row[1]: row for row in bills(old, [new]).rows if row[2] == "all"}
        findings.append(("bills", "  ".join(f"{g} {row[6]:+.2f}" for g, row in everyone.items()) + " $/month"))
        findings.append(("rises", f"{everyone['all'][10]:.1f} % of households pay over 5 % more"))
    findings += _reliance(outcomes)
    return StudyResult(study, "evaluate", tuple(outcomes), tuple(tables), all_hold([old, new]), tuple(findings))


def _designed(found: Design, name: str) -> Outcome:
    h = found.problem.households
    level = float((found.tariff.adders(h)[0] @ h.weather.shares).mean()) if found.tariff is not None else math.nan
    return Outcome(name, "the least cost found within the study's limits", found.tariff, found.equilibrium, found.criteria, found.status, found.because, level,
                   required=found.problem.required, equilibria=found.equilibria)  # fmt: skip


def design_study(study: Study, *, points: Path | None = None, report: Report | None = None) -> StudyResult:
    """The tariff of least cost within the study's limits, the frontier of cost against the gap of burdens, and the named tariffs beside them.

    Parameters
    ----------
    points : path, optional
        File that keeps each design as it is found, until all are; a run that was stopped goes on from it.

    Raises
    ------
    Interrupted
        On Ctrl-C, where `points` keeps designs.
    """
    b, o = study.settings["benchmarks"], study.settings["objective"]
    with resumable(points) as run:
        free = examine(study.problem(), run.known[math.inf]) if math.inf in run.known else None
        if free is None or not free.status.success:
            free = design(study.problem(), starts=o["starts"], seed=o["seed"], report=report)
            run.keep(math.inf, free)
        designs = [free]
        limits = _gaps(study, free)
        if limits and free.z is not None:
            designs += frontier(study.problem(), limits, starts=1, seed=o["seed"], begin=[free.z], known=run.known, keep=run.keep, report=report)
    named = solve_all(study, [b["before"], *b["names"]], report)
    best = _designed(free, "designed")
    outcomes = [named[0], best, *named[1:]]
    tables = [*exhibits(outcomes, named[0], study.assumptions, "designed"), frontier_table(designs, named)]
    findings = [("designed", said(best, named[0]))]
    if free.tariff is not None and free.status.success:
        t = free.tariff
        for word, side in zip(("buy", "sell"), free.problem.rates_of(t), strict=True):
            if word == "buy" or not t.net_metering:
                findings.append((f"{word} adders", "  ".join(f"{p} {v:.3f}" for p, v in zip(free.problem.periods, side, strict=True)) + " $/kWh"))
        findings.append(("fixed", "  ".join(f"{g} {float(f):.2f}" for g, f in t.fixed.items()) + " $/month"))
        if free.at_bounds:
            findings.append(("at bounds", ", ".join(free.at_bounds)))
    many = "one start" if len(free.starts) == 1 else f"{len(free.starts)} starts"
    findings.append(("search", f"{free.because}; {many} ended at {', '.join(f'{c:.4f} ({word})' for c, word in free.starts)}"))
    findings.append(("before", f"{named[0].name}: {said(named[0])}"))
    if limits:
        held = sum(d.status.success for d in designs[1:])
        findings.append(("frontier", f"{held} of {len(designs) - 1} points hold, at limits from {100 * max(limits):.2f} to {100 * min(limits):.2f} points"))
    elif o["points"] and free.status.success:
        findings.append(("frontier", "none: no smaller gap than the design's was found"))
    findings += _reliance(outcomes)
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
        if not math.isfinite(least) or high - least <= ALIKE:
            return []
        low = least + 0.1 * (high - least)  # next to the smallest gap costs rise steeply
        return [float(v) for v in np.linspace(high, low, o["points"] + 1)[1:]]
    return [float(v) for v in np.linspace(high, low, o["points"])]
