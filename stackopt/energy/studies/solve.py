"""One tariff of a study at a time: solved, and said in a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from stackopt.display import number
from stackopt.energy.benchmarks_named import Outcome, benchmark, neutral
from stackopt.energy.criteria import criteria
from stackopt.energy.equilibrium import equilibrium
from stackopt.energy.exhibits.table import decimals
from stackopt.energy.exhibits.tables import SAME_REVENUE
from stackopt.energy.studies.study import Study
from stackopt.errors import InvalidStudy
from stackopt.solution import Progress, Report, Status


def solve(study: Study, name: str) -> Outcome:
    """One tariff of a study, named or its own; raises InvalidStudy ``study-tariff`` for another name."""
    b = study.settings["benchmarks"]
    rest: dict[str, Any] = {"temperature": study.temperature}
    if name not in study.own:
        return benchmark(
            name, study.households, study.market, study.required, season=study["population", "season"], care=float(b["care"]), fixed=b["fixed"],
            true_up=b["true_up"], **rest,
        )  # fmt: skip
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


def solve_all(study: Study, names: Sequence[str], report: Report | None) -> list[Outcome]:
    """Several, each once."""
    found = []
    each = dict.fromkeys(names)
    for k, name in enumerate(each):
        found.append(solve(study, name))
        if report is not None:
            report(Progress(f"tariff {name}", k + 1, len(each), None))
    return found


def all_hold(outcomes: Sequence[Outcome]) -> Status:
    """Of tariffs that must all hold."""
    words = {o.status for o in outcomes}
    if words == {Status.CONVERGED}:
        return Status.CONVERGED
    return Status.INFEASIBLE if words <= {Status.CONVERGED, Status.INFEASIBLE} else Status.LIMIT


def said(outcome: Outcome, before: Outcome | None = None) -> str:
    """One tariff in a line."""
    if not outcome.status.success or outcome.criteria is None:
        return f"{outcome.status}: {outcome.because}"
    c = outcome.criteria
    if abs(c.shortfall) > SAME_REVENUE:  # cheaper or dearer for all: a change against another tariff would say nothing
        missed = f"{number(abs(c.shortfall), 3)} $ a day and household {'less' if c.shortfall > 0 else 'more'} than required, so not compared"
        return f"as given, collects {missed}; gap {100 * c.gap:.2f} points, peak {c.peak:.{decimals(c.peak)}f} MW"
    old = before.criteria if before is not None and before.status.success else None
    old = None if old is None or abs(old.shortfall) > SAME_REVENUE else old
    if old is None or before is outcome:
        return f"cost {c.cost:.3f} $/day, gap {100 * c.gap:.2f} points, peak {c.peak:.{decimals(c.peak)}f} MW"
    few = decimals(old.peak)  # as in the line of today's tariff
    moved = f"({c.cost - old.cost:+.3f})", f"({100 * (c.gap - old.gap):+.2f})", f"({c.peak - old.peak:+.{few}f})"
    return f"cost {c.cost:.3f} {moved[0]}, gap {100 * c.gap:.2f} {moved[1]}, peak {c.peak:.{few}f} {moved[2]}"
