"""How far one assumption at a time moves what a tariff changes against today's: named tariffs, one's own, or a design whose rates stay.

In every case today's tariff and one with a level are made to recover the requirement anew. A design's rates were announced: they stay, and
its fixed charges, in the ratios designed, recover what energy rates leave.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from stackopt.display import number
from stackopt.energy.benchmarks_named import EXACT, Outcome
from stackopt.energy.criteria import criteria, fixed_for_revenue
from stackopt.energy.designs.design import design
from stackopt.energy.equilibrium import equilibrium
from stackopt.energy.exhibits.reliance import assumption_sheet, convergence
from stackopt.energy.exhibits.table import Table, decimals
from stackopt.energy.exhibits.tables import SAME_REVENUE
from stackopt.energy.households import Households
from stackopt.energy.studies.result import StudyResult
from stackopt.energy.studies.solve import all_hold, solve
from stackopt.energy.studies.study import Study
from stackopt.energy.tariff import DAYS_PER_MONTH, Tariff
from stackopt.errors import InvalidStudy
from stackopt.solution import Progress, Report, Status

#: One assumption at a time: (section, key) to (low, high), or factors on what the study has.
VARIATIONS: Mapping[tuple[str, str], tuple[float, float]] = {
    ("population", "elasticity"): (0.1, 0.4),
    ("population", "reference_price"): (0.25, 0.35),
    ("population", "adoption"): (0.5, 1.5),
    ("population", "attachment"): (0.14, 0.60),
    ("revenue", "required"): (0.8, 1.2),
    ("market", "slope"): (0.5, 2.0),
    ("storage", "efficiency"): (0.85, 0.95),
    ("storage", "wear"): (0.0, 0.10),
}
FACTORS = {("revenue", "required"), ("market", "slope"), ("population", "adoption")}
#: Shares, which end at 1.
SHARES = {("population", "attachment"), ("storage", "efficiency")}
#: Changes that are nothing but rounding, $/day and points.
ROUNDING = 1e-6
#: What is said of the signs of the changes of cost and gap, by whether they are the same in all cases.
SIGNS = {
    (True, True): "the changes of cost and gap keep their signs", (True, False): "the change of cost keeps its sign, that of the gap does not,",
    (False, True): "the change of the gap keeps its sign, that of cost does not,",
    (False, False): "neither the change of cost nor that of the gap keeps its sign",
}  # fmt: skip


def sensitivity(study: Study, name: str, *, report: Report | None = None) -> StudyResult:
    """What a tariff changes against today's when one assumption at a time moves, both revenue-neutral in every case.

    Parameters
    ----------
    study : Study
    name : str
        A named tariff, one of the study's own, or ``"designed"``: the study's design, found once, whose rates then stay while its fixed
        charges are scaled to recover the requirement.

    Returns
    -------
    StudyResult
        A case in which a tariff does not hold is a row that says why.
    """
    before = study.settings["benchmarks"]["before"]
    announced: Outcome | None = None
    if name == "designed" and name not in study.own:
        o = study.settings["objective"]
        found = design(study.problem(), starts=o["starts"], seed=o["seed"], report=report)
        announced = Outcome(name, "designed", found.tariff, found.equilibrium, found.criteria, found.status, found.because, required=study.required)
    cases = list(_cases(study))
    rows: list[tuple[Any, ...]] = []
    outcomes: list[Outcome] = []
    moved: dict[str, list[float]] = {}
    base: tuple[float, float, float] | None = None
    for k, (item, word, value, changed) in enumerate(cases):
        pair = [solve(changed, before), solve(changed, name) if announced is None else frozen(announced, changed)]
        outcomes += pair
        if report is not None:
            report(Progress(f"{item} {word}", k + 1, len(cases), None))
        old, new = (o.criteria if o.status.success else None for o in pair)
        if old is None or new is None:
            said = "; ".join(f"{o.name} {o.status}: {o.because}" for o in pair if not o.status.success)
            rows.append((item, word, value, *(None,) * 6, said))
            continue
        shift = (new.cost - old.cost, 100 * (new.gap - old.gap), new.peak - old.peak)
        base = shift if k == 0 else base
        against = (None,) * 3 if base is None else tuple(s - b for s, b in zip(shift, base, strict=True))
        rows.append((item, word, value, *shift, *against, "" if announced is None else _above(pair[1], changed)))
        if k:
            moved.setdefault(item, []).append(shift[0])
    columns = (
        ("assumption", ""), ("end", ""), ("value", ""), ("change of cost", "$/day"), ("change of gap", "% of income"), ("change of peak", "MW"),
        ("cost against base", "$/day"), ("gap against base", "% of income"), ("peak against base", "MW"), ("because", ""),
    )  # fmt: skip
    note = "Designed rates stay in every case; fixed charges, in the ratios designed, recover the requirement." if announced is not None else ""
    given = [o.name for o in outcomes[:2] if o.criteria is not None and abs(o.criteria.shortfall) > SAME_REVENUE]
    unequal = f"{', '.join(given)}, as given, does not recover the requirement: not at equal revenue" if given else ""
    note = f"{note} {unequal[:1].upper()}{unequal[1:]}.".strip() if given else note
    table = Table("sensitivity", f"What {name} changes against {before}, one assumption moved at a time", columns, tuple(rows), note)
    findings = [*_findings(name, before, rows, moved, base), *([("revenue", unequal)] if given else [])]
    tables = (table, convergence(outcomes[:2]), assumption_sheet(study.assumptions))
    return StudyResult(study, "sensitivity", tuple(outcomes), tables, all_hold(outcomes[:2]), tuple(findings))


def _cases(study: Study) -> Iterator[tuple[str, str, float | None, Study]]:
    """(assumption, end, value, the study with it), the study as it is first."""
    yield "base", "", None, study
    for (section, key), ends in VARIATIONS.items():
        if (key == "slope" and study["market", "kind"] != "linear") or (key == "attachment" and study["population", "types"] is not None):
            continue
        for word, end in zip(("low", "high"), ends, strict=True):
            if key == "adoption":
                moved = dataclasses.replace(study, households=adopting(study.households, end))
                if np.allclose(moved.households.share, study.households.share):  # nobody who has panels, or nobody beside them who has none
                    continue
                yield "households with panels, %", word, 100 * with_panels(moved.households), moved
                continue
            value = end * study[section, key] if (section, key) in FACTORS else _around(word, end, (section, key), float(study[section, key]))
            yield f"[{section}] {key}", word, float(value), study.changed(**{f"{section}__{key}": value})


def _around(word: str, end: float, place: tuple[str, str], base: float) -> float:
    """The end of a range, moved beyond what the study has where that is not inside: half or twice."""
    if word == "low":
        return end if end < base or base == end == 0.0 else base / 2.0
    return end if end > base else min(2.0 * base, 1.0) if place in SHARES else 2.0 * base


def with_panels(households: Households) -> float:
    """Share of households that have panels."""
    return float(households.share @ np.array([t.sun.any() for t in households.types]))


def adopting(households: Households, factor: float) -> Households:
    """The population with so many times the households with panels in every income group, as far as there are households without; nothing else moves."""
    panels = np.array([t.sun.any() for t in households.types])
    share = households.share.copy()
    for g in range(len(households.groups)):
        mine, others = (households.group_of == g) & panels, (households.group_of == g) & ~panels
        having, rest = share[mine].sum(), share[others].sum()
        if having > 0 and rest > 0:
            more = min(factor * having, having + rest)
            share[mine] *= more / having
            share[others] *= (having + rest - more) / rest
    share /= share.sum()  # rounding
    return dataclasses.replace(households, types=[dataclasses.replace(t, share=float(s)) for t, s in zip(households.types, share, strict=True)])


def frozen(announced: Outcome, study: Study) -> Outcome:
    """A tariff whose energy rates stay, in a study: fixed charges, in the ratios that it has, recover what they leave.

    Parameters
    ----------
    announced : Outcome
        The tariff as it was designed; where it does not hold, neither does this.

    Returns
    -------
    Outcome
        INFEASIBLE without fixed charges that could be scaled, LIMIT where energy rates alone collect too much or prices do not settle.
    """
    tariff, required = announced.tariff, study.required
    if not announced.status.success or tariff is None:
        return dataclasses.replace(announced, tariff=None, equilibrium=None, criteria=None, required=required)
    try:
        found = equilibrium(study.households, study.market, tariff, temperature=study.temperature, tolerance=1e-10)
    except InvalidStudy as wrong:
        if wrong.code != "sell-above-buy":
            raise
        return Outcome(announced.name, announced.text, None, None, None, Status.LIMIT, f"sells above what buying costs: {wrong.where}", required=required)
    if not found.residual <= 1e-8:
        return Outcome(announced.name, announced.text, None, None, None, Status.LIMIT, found.because, required=required, equilibria=1)
    designed = tariff.fixed_per_day(study.households)
    short = criteria(found, required, np.zeros(len(designed))).shortfall  # what fixed charges must bring
    if not designed.any() and abs(short) > EXACT:
        because = f"designed without fixed charges that could be scaled: energy rates leave {number(short, 4)} $ a day and household"
        status = Status.INFEASIBLE if short > 0 else Status.LIMIT
        return Outcome(announced.name, announced.text, None, None, None, status, because, reach=required - short, required=required, equilibria=1)
    if short < 0:
        because = f"energy rates as designed collect {number(-short, 4)} $ a day and household more than is required; fixed charges do not fall below 0"
        return Outcome(announced.name, announced.text, None, None, None, Status.LIMIT, because, required=required, equilibria=1)
    fixed = fixed_for_revenue(found, required, designed) if designed.any() else designed
    scaled = dataclasses.replace(tariff, fixed={g: float(f) * DAYS_PER_MONTH for g, f in zip(study.households.groups, fixed, strict=True)})
    settled = dataclasses.replace(found, response=dataclasses.replace(found.response, tariff=scaled))
    seen = criteria(settled, required)
    good = abs(seen.shortfall) <= EXACT
    because = f"rates as designed; revenue met to {abs(seen.shortfall):.1g} $ a day and household, price residual {found.residual:.1g} $/kWh"
    return Outcome(announced.name, announced.text, scaled, settled, seen, Status.CONVERGED if good else Status.LIMIT, because, required=required, equilibria=1)


def _above(outcome: Outcome, study: Study) -> str:
    """That scaled charges are above what a design may use."""
    cap, highest = float(study["tariff", "cap"]), _highest(outcome.tariff)
    return f"fixed charges up to {highest:.2f} $/month, above the cap of {cap:g} that a design has" if highest > cap + 0.005 else ""


def _highest(tariff: Tariff | None) -> float:
    return max(map(float, tariff.fixed.values()), default=0.0) if tariff is not None and isinstance(tariff.fixed, Mapping) else 0.0


def _findings(
    name: str, before: str, rows: list[tuple[Any, ...]], moved: Mapping[str, list[float]], base: tuple[float, float, float] | None
) -> list[tuple[str, str]]:
    """What the printed form says."""
    if base is None:
        return [("base", f"{name} against {before}: {rows[0][-1]}")]
    findings = [("base", f"{name} against {before}: cost {base[0]:+.3f} $/day, gap {base[1]:+.2f} points, peak {base[2]:+.{decimals(10.0 * base[2])}f} MW")]
    ranked = sorted(moved, key=lambda item: -max(abs(v - base[0]) for v in moved[item]))
    findings += [(item, f"cost {min(moved[item]):+.3f} to {max(moved[item]):+.3f} $/day") for item in ranked[:3]]
    held = [row for row in rows if row[3] is not None]
    cost, gap = (len({row[at] > 0 for row in held if abs(row[at]) > ROUNDING}) <= 1 for at in (3, 4))
    findings.append(("signs", f"{SIGNS[cost, gap]} in the {len(held)} of {len(rows)} cases where both tariffs hold"))
    high = sum("above the cap" in row[-1] for row in rows if row[3] is not None)
    if high:
        findings.append(("cap", f"in {high} of these fixed charges rise above the design's cap"))
    return findings
