"""Findings about who pays fixed costs: fixed charges against energy rates, and discounts on energy against graded charges."""

from __future__ import annotations

from typing import Any

import numpy as np

from stackopt.energy.benchmarks_named import CPUC, charges, tariff_at
from stackopt.energy.exhibits.table import Table
from stackopt.energy.findings.cases import COST, GAP, UNITS, Asked, Run, label, settings, with_tariff
from stackopt.energy.findings.counted import Finding, direction
from stackopt.energy.findings.prices import optimum_of
from stackopt.energy.static import StaticTown
from stackopt.energy.studies.study import Study
from stackopt.energy.tariff import DAYS_PER_MONTH

#: Shares of the requirement that fixed charges recover, and discounts to the two poorest groups.
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
DISCOUNTS = (0.0, 0.1, 0.2, 0.35, 0.5)
#: How energy is priced where fixed charges do not recover everything: name to what `OwnTariff` takes.
PRICED: dict[str, dict[str, Any]] = {
    "wholesale price and adder, net billing": {"buy": 0.1, "pass_buy": 1.0, "pass_sell": 1.0},
    "wholesale price and adder, net metering": {"buy": 0.1, "pass_buy": 1.0, "net_metering": True},
    "flat rate, net billing": {"buy": 0.3, "pass_sell": 1.0},
}


def fixed_charges(study: Study, *, quick: bool = False, run: Run | None = None) -> Finding:
    """The share of the requirement that fixed charges recover, from nothing to all, against what is lost.

    Parameters are those of `stackopt.energy.findings.prices.net_billing`.
    """
    shares = SHARES[::2] if quick else SHARES
    asked, cases = Asked(), settings(study, "elasticity", "slope", quick=quick)
    best = [optimum_of(changed) for _, changed in cases]
    weight = np.bincount(study.households.group_of, weights=study.households.share, minlength=len(study.households.groups))
    for k, (varied, changed) in enumerate(cases):
        asked.ask((k, "lmp"), changed, "lmp", label(varied, "lmp"))
        ratios = charges(changed.households, CPUC)
        mean = float(weight @ np.array(list(ratios.values())))
        for kind, rest in PRICED.items():
            for share in shares:
                if share < 1.0:
                    fixed = {g: share * changed.required * DAYS_PER_MONTH * r / mean for g, r in ratios.items()}
                    own = with_tariff(changed, kind, **rest, fixed=fixed)
                    asked.ask((k, kind, share), own, kind, label({**varied, "share": share}, kind))
    asked.answer(run)
    rows: list[tuple[Any, ...]] = []
    falls: dict[str, list[Any]] = {kind: [] for kind in PRICED}
    nothing: list[Any] = []
    for k, (varied, _) in enumerate(cases):
        least, free = best[k], asked[k, "lmp"]
        floor = least.bound if least is not None else None if free is None else free["cost"]
        for kind in PRICED:
            last: Any = None
            for share in shares:
                cell: Any = (k, kind, share) if share < 1.0 else (k, "lmp")
                if share == 1.0 and kind.startswith("flat"):
                    continue  # a flat rate of the average wholesale price is below the credit for exports in dear hours, which is refused
                cost = asked.figure(cell, "cost")
                loss = None if cost is None or floor is None else cost - floor
                rows.append((*varied.values(), kind, share, asked.status(cell), cost, loss, None))
                if last is not None:
                    falls[kind].append((label({**varied, "share": share}, kind), *asked.less(cell, last, "cost", COST)))
                last = cell
        if free is not None and least is not None:
            nothing.append((label(varied), free["exploitability"] + 2e-7 - (free["cost"] - least.bound), 0.0))
    exact = _one_hour(shares, rows, len(cases[0][0]))
    town = StaticTown()
    level = town.outcome(0.0, fixed=town.equal_incidence())
    apart = max(float(np.ptp(level.incidence)), level.loss / town.required, abs(level.collected / town.required - 1.0))
    columns = (
        *((name, UNITS[name]) for name in cases[0][0]), ("energy at", ""), ("share by fixed charges", ""), ("status", ""), ("cost", "$/day"), ("loss", "$/day"),
        ("loss in closed form", "$/day"),
    )  # fmt: skip
    directions = [
        direction("each further share recovered by fixed charges lowers the loss", [c for kind in PRICED if not kind.startswith("flat") for c in falls[kind]]),
        direction("in one hour the loss is that of the closed form, and 0 where fixed charges recover everything", exact),
    ]
    if nothing:
        directions.insert(1, direction("where they recover everything, no loss is left beyond the exploitability", nothing))
    return Finding(
        "fixed_charges", "Fixed charges for fixed costs",
        "fixed charges recover fixed costs at no loss, once energy is sold at the wholesale price; what energy rates recover is recovered at a loss",
        "Chen, Liu, Tanaka and Takashima, IEEE Trans. Energy Markets, Policy and Regulation 1(3):198-210, 2023 (direction); one hour: stackopt.energy.static",
        tuple(directions),
        (
            direction("the same with a flat rate for energy", falls["flat rate, net billing"]),
            direction("in one hour, fixed charges at no loss can have every group pay the same share of income", [("one hour", 1e-9 - apart, 0.0)]),
        ),
        asked.silent(),
        Table("fixed_charges", "Share of the requirement recovered by fixed charges", columns, tuple(rows),
              "Loss against the welfare optimum's bound, else against wholesale prices passed through; in one hour against no adder."),
        "Nobody leaves the grid, whatever the fixed charge. Charges are graded in the ratios of cpuc; who pays them moves burdens, not the loss.",
    )  # fmt: skip


def _one_hour(shares: tuple[float, ...], rows: list[tuple[Any, ...]], axes: int) -> list[tuple[str, float, float]]:
    """The static model under net metering: its loss by welfare against the closed form, $/day and household."""
    town, found = StaticTown(), []
    people = float(town.count.sum())
    for share in shares:
        outcome = town.recovering(fixed=share * town.required / people)
        adder = float((outcome.price - outcome.wholesale)[0])
        loss, closed = 24.0 * outcome.loss / people, 24.0 * town.dead_weight_loss(adder) / people
        rows.append((*(None,) * axes, "one hour, net metering", share, "exact", None, loss, closed))
        known = 0.0 if share == 1.0 else closed
        found.append((f"one hour: share {share:g}", 1e-9 - abs(loss - known), 0.0))
    return found


def discounts(study: Study, *, quick: bool = False, run: Run | None = None) -> Finding:
    """Discounts on energy to the two poorest groups, from none to half, at equal revenue.

    Parameters are those of `stackopt.energy.findings.prices.net_billing`.
    """
    levels = DISCOUNTS[::2] if quick else DISCOUNTS
    asked, cases = Asked(), settings(study, "elasticity", "slope", "required", quick=quick)
    order = np.argsort(study.households.by_group(study.households.income), kind="stable")
    poorest = [study.households.groups[g] for g in order[:2]]
    rates = {kind: tariff_at(f"{kind}_nb", 0.3, study.households, season=study["population", "season"]).buy for kind in ("flat", "tou")}
    for k, (varied, changed) in enumerate(cases):
        asked.ask((k, "cpuc"), changed, "cpuc", label(varied, "cpuc"))
        for kind, buy in rates.items():
            for level in levels:
                own = with_tariff(changed, f"{kind}, discount", buy, pass_sell=1.0, discount=dict.fromkeys(poorest, level))
                asked.ask((k, kind, level), own, f"{kind}, discount", label({**varied, "discount": level}, kind))
    asked.answer(run)
    rows: list[tuple[Any, ...]] = []
    gap, cost, graded_gap, graded_cost = [], [], [], []
    for k, (varied, _) in enumerate(cases):
        for kind in rates:
            none = asked[k, kind, levels[0]]
            for before, level in zip((None, *levels), levels, strict=False):
                row = asked[k, kind, level]
                figures: tuple[Any, ...] = (None, None, None)
                if row is not None:
                    price = None
                    if none is not None and level > levels[0] and none["gap"] - row["gap"] > GAP:
                        price = (row["cost"] - none["cost"]) / (100.0 * (none["gap"] - row["gap"]))
                    figures = (row["cost"], 100.0 * row["gap"], price)
                rows.append((*varied.values(), kind, level, asked.status((k, kind, level)), *figures))
                if before is not None:
                    said = label({**varied, "discount": level}, kind)
                    gap.append((said, *asked.less((k, kind, level), (k, kind, before), "gap", GAP)))
                    margin, accuracy = asked.less((k, kind, before), (k, kind, level), "cost", COST)
                    cost.append((said, margin, accuracy))
        row = asked[k, "cpuc"]
        graded = (row["cost"], 100.0 * row["gap"]) if row is not None else (None, None)
        rows.append((*varied.values(), "graded fixed charges (cpuc)", None, asked.status((k, "cpuc")), *graded, None))
        graded_gap.append((label(varied, "cpuc"), *asked.less((k, "cpuc"), (k, "flat", levels[0]), "gap", GAP)))
        graded_cost.append((label(varied, "cpuc"), *asked.less((k, "cpuc"), (k, "flat", levels[0]), "cost", COST)))
    columns = (
        *((name, UNITS[name]) for name in cases[0][0]), ("rate", ""), ("discount", "share"), ("status", ""), ("cost", "$/day"), ("gap", "% of income"),
        ("cost of a point of gap", "$/day"),
    )  # fmt: skip
    return Finding(
        "discounts", "Discounts on energy",
        "a discount on energy for the poorest groups narrows the gap of burdens and costs efficiency",
        "Chen, Liu, Tanaka and Takashima, IEEE Trans. Energy Markets, Policy and Regulation 1(3):198-210, 2023 (direction)",
        (direction("a larger discount narrows the gap", gap), direction("and costs more", cost)),
        (direction("graded fixed charges (cpuc) narrow the gap too", graded_gap), direction("and cost less than none", graded_cost)), asked.silent(),
        Table("discounts", "Discounts to the two poorest groups under net billing, and graded fixed charges", columns, tuple(rows)),
        "Net billing only: under net metering an export would earn the full rate while a purchase pays the discounted one, which the model refuses.",
    )  # fmt: skip
