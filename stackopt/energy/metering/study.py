"""A study's tariff learned from meters: its world hidden behind them, the trials as a table, and the model asked only afterwards how good it is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stackopt.display import number
from stackopt.energy.benchmarks_named import Outcome
from stackopt.energy.criteria import criteria
from stackopt.energy.designs.design import Design, design
from stackopt.energy.equilibrium import equilibrium
from stackopt.energy.exhibits.table import Table
from stackopt.energy.exhibits.tables import exhibits
from stackopt.energy.metering.files import Readings
from stackopt.energy.metering.leader import learn
from stackopt.energy.metering.meter import EquilibriumMeter, Meter
from stackopt.energy.metering.result import Learned
from stackopt.energy.metering.sampled import SampledMeter
from stackopt.energy.studies.result import StudyResult
from stackopt.energy.studies.solve import said, solve
from stackopt.energy.studies.study import Study
from stackopt.energy.tariff import DAYS_PER_MONTH
from stackopt.solution import Report, Status


@dataclass(frozen=True)
class Trials:
    """How a study's tariff is learned.

    Parameters
    ----------
    trials : int
        The most billing periods, today's not counted.
    metered : int
        Households whose meters are read; 0: everyone's, in the long run.
    days : int
        Of a billing period, where households are sampled.
    seed : int
    """

    trials: int = 40
    metered: int = 0
    days: int = 30
    seed: int = 0


def learn_study(study: Study, asked: Trials, folder: Path | None = None, *, report: Report | None = None) -> tuple[Learned, Outcome]:
    """(what was learned, today's tariff) of a study.

    Parameters
    ----------
    folder : Path, optional
        Where readings are kept: those of an interrupted run with the same settings are used.
    """
    problem = study.problem()
    before = solve(study, study.settings["benchmarks"]["before"])
    known = before.status is Status.CONVERGED and before.tariff is not None and before.tariff.true_up is None
    today = before.tariff if known else None
    kept = None if folder is None else Readings(folder, _settings(study, asked))
    earlier = [] if kept is None else kept.kept()
    meter: Meter
    if asked.metered:
        meter = SampledMeter(
            study.households, study.market, asked.metered, days=asked.days, temperature=study.temperature, seed=asked.seed, periods=len(earlier)
        )
    else:
        meter = EquilibriumMeter(study.households, study.market, temperature=study.temperature)
    found = learn(
        problem, meter, trials=asked.trials, seed=asked.seed, today=today, report=report, earlier=earlier, keep=None if kept is None else kept.add
    )
    return found, before


def _settings(study: Study, asked: Trials) -> dict[str, Any]:
    """What readings depend on."""
    from stackopt.energy.studies.provenance import provenance

    origin = provenance(study)
    keys = ("settings_sha256", "data_sha256")
    return {**{k: origin[k] for k in keys}, "metered": asked.metered, "days": asked.days, "seed": asked.seed, "trials": asked.trials}


def examined(study: Study, learned: Learned, before: Outcome, *, report: Report | None = None) -> StudyResult:
    """The learned tariff as the model sees it, beside today's and the design that knows the model."""
    problem, o = learned.problem, study.settings["objective"]
    full = design(problem, starts=o["starts"], seed=o["seed"], report=report)
    outcomes = [before, _outcome(learned), _design_outcome(full)]
    tables = [*exhibits(outcomes, before, study.assumptions, "learned"), trials_table(learned)]
    own, best = outcomes[1], full.criteria
    findings = [("learned", f"{said(own, before)}; {learned.learned_by} billing periods")]
    findings += [(label, text) for label, text in learned.block().rows if label in ("rates", "fixed", "cost", "missed", "promise", "stopped")]
    if own.criteria is not None and best is not None and full.status.success:
        loss = own.criteria.cost - best.cost
        old = before.criteria.cost - best.cost if before.criteria is not None and before.status.success else math.nan
        share = f", {100 * loss / old:.2f} % of what it gains over {before.name}" if old > 0 else ""
        findings.append(("full information", f"designed with the model: cost {best.cost:.4f} $/day; the learned tariff costs {loss:+.4f}{share}; "
                                             f"by the model it misses the requirement by {number(own.criteria.shortfall, 2)} $/day"))  # fmt: skip
    else:
        findings.append(("full information", f"designed with the model: {full.status}: {full.because}"))
    findings.append(("before", f"{before.name}: {said(before)}"))
    return StudyResult(study, "learn", tuple(outcomes), tuple(tables), learned.status, tuple(findings))


def _outcome(learned: Learned) -> Outcome:
    """The learned tariff in the model's equilibrium."""
    problem, tariff = learned.problem, learned.tariff
    if tariff is None:
        return Outcome("learned", "learned from meters", None, None, None, Status.LIMIT, learned.because, required=problem.required)
    found = equilibrium(problem.households, problem.market, tariff, temperature=problem.temperature, tolerance=1e-9)
    seen = criteria(found, problem.required) if found.converged else None
    because = f"search {learned.status}: {learned.because}" if found.converged else found.because
    status = Status.CONVERGED if found.converged else Status.LIMIT
    h = problem.households
    level = float((tariff.adders(h)[0] @ h.weather.shares).mean())
    return Outcome("learned", "learned from meters", tariff, found, seen, status, because, level, required=problem.required, equilibria=1)


def _design_outcome(found: Design) -> Outcome:
    h = found.problem.households
    level = float((found.tariff.adders(h)[0] @ h.weather.shares).mean()) if found.tariff is not None else math.nan
    return Outcome("designed", "designed with full information", found.tariff, found.equilibrium, found.criteria, found.status, found.because, level,
                   required=found.problem.required, equilibria=found.equilibria)  # fmt: skip


def trials_table(learned: Learned) -> Table:
    """Every tariff that was announced and what meters said of it."""
    problem = learned.problem
    groups = problem.households.groups
    columns = (
        ("trial", ""), ("purpose", ""), ("best so far", ""), *((f"buy adder {p}", "$/kWh") for p in problem.periods),
        *((f"sell adder {p}", "$/kWh") for p in problem.periods), *((f"fixed {g}", "$/month") for g in groups), ("measured change of cost", "$/day"),
        ("missed revenue", "$/day"), ("missed gap", "% of income"), ("missed peak", "share"), ("missed price spread", "share"),
        ("promised change of merit", "$/day"), ("measured change of merit", "$/day"), ("trust region", "$/kWh"),
    )  # fmt: skip
    rows = []
    for k, t in enumerate(learned.trials):
        missed = tuple(t.missed.get(name) for name in ("revenue", "gap", "peak", "price spread"))
        fixed = tuple(float(f) * DAYS_PER_MONTH for f in t.fixed)
        rows.append((k + 1, t.purpose, "yes" if t.accepted else "no", *map(float, t.x), *fixed, t.cost, *missed, t.promised, t.got, t.radius))
    against = "today's tariff" if learned.today is not None else "the first trial"
    note = f"Changes of cost are against {against}, measured by the envelope theorem; fixed charges are those that close the books as measured."
    return Table("trials", "Tariffs that were announced, and what meters said", columns, tuple(rows), note)
