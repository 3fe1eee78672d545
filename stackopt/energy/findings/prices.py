"""Findings about what energy costs at the meter: net billing against net metering, wholesale prices passed through, and what steadies the system."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from stackopt.energy.exhibits.table import Table
from stackopt.energy.findings.cases import COST, GAP, LOAD, PRICE, UNITS, Asked, Run, label, settings, with_tariff
from stackopt.energy.findings.counted import Finding, direction
from stackopt.energy.households import HOURS
from stackopt.energy.market.supply import LinearSupply
from stackopt.energy.studies.study import Study
from stackopt.energy.welfare import WelfareOptimum, welfare_optimum

#: Peak over off-peak rates, temperatures of batteries' choices in $, and shares of panels with a battery that are swept.
RATIOS = (1.0, 1.15, 1.3, 1.6, 2.0, 3.0)
TEMPERATURES = (0.1, 0.05, 0.02, 0.01, 0.005, 0.002)
ATTACHMENTS = (0.0, 0.15, 0.3, 0.6, 1.0)


def net_billing(study: Study, *, quick: bool = False, run: Run | None = None) -> Finding:
    """Exports credited at the wholesale price against exports credited at the retail price, both recovering the same fixed costs.

    Parameters
    ----------
    study : Study
        Whose settings are the middle of the sweep.
    quick : bool
        Fewer cases.
    run : function, optional
        Computes cells; see `stackopt.energy.findings.finding.findings`.
    """
    asked, cases = Asked(), settings(study, "elasticity", "slope", "attachment", "required", quick=quick)
    for k, (varied, changed) in enumerate(cases):
        for rate in ("flat", "tou"):
            for kind in ("nem", "nb"):
                asked.ask((k, rate, kind), changed, f"{rate}_{kind}", label(varied, f"{rate}_{kind}"))
    asked.answer(run)
    rows, cost, gap, peak = [], [], [], []
    for k, (varied, _) in enumerate(cases):
        for rate in ("flat", "tou"):
            nem, nb = (k, rate, "nem"), (k, rate, "nb")
            said = label(varied, rate)
            cost.append((said, *asked.less(nb, nem, "cost", COST)))
            gap.append((said, *asked.less(nb, nem, "gap", GAP)))
            peak.append((said, *asked.less(nb, nem, "peak", LOAD)))
            figures = (_scaled(asked.figure(cell, key), factor) for key, factor in (("cost", 1), ("gap", 100), ("peak", 1)) for cell in (nem, nb))
            rows.append((*varied.values(), rate, asked.status(nem), asked.status(nb), *figures))
    columns = (
        *((name, UNITS[name]) for name in cases[0][0]), ("rate", ""), ("net metering", ""), ("net billing", ""), ("cost, net metering", "$/day"),
        ("cost, net billing", "$/day"), ("gap, net metering", "% of income"), ("gap, net billing", "% of income"), ("peak, net metering", "MW"),
        ("peak, net billing", "MW"),
    )  # fmt: skip
    return Finding(
        "net_billing", "Net billing against net metering",
        "at equal revenue, net billing costs less than net metering and leaves a narrower gap of burdens between income groups",
        "Chen, Tanaka and Takashima, IEEE Trans. Power Systems 37(2):1591-1600, 2022 (direction; model and figures here are reconstructed)",
        (direction("net billing costs less", cost), direction("its gap of burdens is narrower", gap)),
        (direction("its peak is lower", peak),), asked.silent(), Table("net_billing", "Net metering and net billing at equal revenue", columns, tuple(rows)),
        "Exports are credited at the wholesale price of their hour; adoption of panels does not answer to the tariff.",
    )  # fmt: skip


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else factor * value


def optimum_of(study: Study) -> WelfareOptimum | None:
    """The welfare optimum of a study, where its market allows one; None else."""
    market = study.market
    if not isinstance(market, LinearSupply) or market.floor not in (0.0, -math.inf) or len(study.households.buses) != 1:
        return None
    found = welfare_optimum(study.households, market)
    return found if found.status.success else None


def welfare(study: Study, *, quick: bool = False, run: Run | None = None) -> Finding:
    """Wholesale prices passed through on both sides against the least cost at which the population can be served, over temperature and slope.

    Parameters are those of `net_billing`.
    """
    title, claim = "Equal pass-through and the welfare optimum", (
        "where purchases and exports both settle at the wholesale price, the equilibrium misses the welfare optimum by no more than its exploitability"
    )  # fmt: skip
    source = "convex duality (stackopt.energy.welfare); setting of He, Liu and Chen, arXiv 2509.16296, reconstructed"
    columns = (
        ("slope", UNITS["slope"]), ("export credit", "of the wholesale price"), ("temperature", "$"), ("status", ""), ("cost", "$/day"),
        ("least cost, bound", "$/day"), ("bracket of the optimum", "$/day"), ("welfare gap", "$/day"), ("exploitability", "$/day"),
    )  # fmt: skip
    name = "Equal pass-through against the welfare program"
    cases = settings(study, "slope", quick=quick)
    best = [optimum_of(changed) for _, changed in cases]
    if any(b is None for b in best):
        note = "needs a linear supply on one bus, with a floor of 0 or none, and an optimum that is closed"
        return Finding("welfare", title, claim, source, (), (), (), Table("welfare", name, columns, ()), note)
    asked, temperatures = Asked(), TEMPERATURES[1::2] if quick else TEMPERATURES
    for k, (varied, changed) in enumerate(cases):
        for temperature in temperatures:
            at = changed.changed(response__temperature=temperature)
            said = label({**varied, "temperature": temperature})
            asked.ask((k, 1.0, temperature), at, "lmp", f"{said}: lmp")
            half = with_tariff(at, "half credit", 0.0, pass_buy=1.0, pass_sell=0.5, neutral=False)
            asked.ask((k, 0.5, temperature), half, "half credit", f"{said}: half credit")
    asked.answer(run)
    rows: list[tuple[Any, ...]] = []
    within, falls, beyond = [], [], []
    for k, (varied, _) in enumerate(cases):
        optimum = best[k]
        assert optimum is not None
        for credit in (1.0, 0.5):
            last: tuple[float, float] | None = None
            for temperature in temperatures:
                row = asked[k, credit, temperature]
                said = label({**varied, "temperature": temperature})
                if row is None:
                    rows.append((*_slope(varied, study), credit, temperature, asked.status((k, credit, temperature)), *(None,) * 5))
                    continue
                gap, gain = row["cost"] - optimum.bound, row["exploitability"]
                rows.append((*_slope(varied, study), credit, temperature, row["status"], row["cost"], optimum.bound, max(0.0, optimum.bracket), gap, gain))
                room = gain + 2e-7 - gap
                if credit == 1.0:
                    within.append((said, room, 0.0))
                    if last is not None:
                        falls.append((said, last[0] - gap, 2e-7))
                    last = gap, temperature
                else:
                    beyond.append((said, -room, 0.0))
    return Finding(
        "welfare", title, claim, source,
        (direction("the gap is at most the exploitability", within), direction("a lower temperature narrows the gap", falls)),
        (direction("with half the credit for exports the gap exceeds the exploitability", beyond),), asked.silent(),
        Table("welfare", name, columns, tuple(rows)),
        "Gaps are against a certified bound, to 2e-7 $; they are those of soft choices of batteries, and say nothing about unequal pass-through.",
    )  # fmt: skip


def _slope(varied: dict[str, float], study: Study) -> tuple[float]:
    return (varied.get("slope", float(study["market", "slope"])),)


def stability(study: Study, *, quick: bool = False, run: Run | None = None) -> Finding:
    """Cost against peak, ramp and spread of prices: wholesale prices passed through, dearer peaks, more batteries.

    Parameters are those of `net_billing`.
    """
    rivals = ("flat_nem", "flat_nb", "tou_nem", "tou_nb")
    ratios, shares = (RATIOS[::2], ATTACHMENTS[::2]) if quick else (RATIOS, ATTACHMENTS)
    asked, cases = Asked(), settings(study, "elasticity", "slope", quick=quick)
    batteries = [] if study["population", "types"] is not None else [(k, kind) for k in range(len(cases)) for kind in ("flat_nb", "tou_nb")]
    for k, (varied, changed) in enumerate(cases):
        for name in (*rivals, "lmp"):
            asked.ask((k, name), changed, name, label(varied, name))
        for kind, rest in (("net billing", {"pass_sell": 1.0}), ("net metering", {"net_metering": True})):
            for ratio in ratios:
                shape = np.array([ratio if 16 <= h < 21 else 1.0 for h in range(HOURS)])
                name = f"peak rate {kind}"
                own = with_tariff(changed, name, 0.3 * shape / shape.mean(), **rest)
                asked.ask((k, kind, ratio), own, name, label({**varied, "ratio": ratio}, kind))
    for k, kind in batteries:
        for share in shares:
            asked.ask((k, kind, share), cases[k][1].changed(population__attachment=share), kind, label({**cases[k][0], "attachment": share}, kind))
    asked.answer(run)
    keys = (("cost", COST), ("peak", LOAD), ("ramp", LOAD), ("price_spread", PRICE))
    rows: list[tuple[Any, ...]] = []

    def kept(part: str, k: int, name: str, value: float | None, cell: Any) -> None:
        rows.append((part, *cases[k][0].values(), name, value, asked.status(cell), *(asked.figure(cell, key) for key, _ in keys)))

    through: dict[str, list[Any]] = {"cost": [], "peak": []}
    for k, (varied, _) in enumerate(cases):
        for name in (*rivals, "lmp"):
            kept("tariffs", k, name, None, (k, name))
        for name in rivals:
            through["cost"].append((label(varied, name), *asked.less((k, "lmp"), (k, name), "cost", COST)))
            through["peak"].append((label(varied, name), *asked.less((k, name), (k, "lmp"), "peak", LOAD)))
    dearer: dict[tuple[str, str], list[Any]] = {}
    for kind in ("net billing", "net metering"):
        for k, (varied, _) in enumerate(cases):
            for ratio in ratios:
                kept("peak rate", k, kind, ratio, (k, kind, ratio))
            _steps(asked, dearer, kind, [(k, kind, r) for r in ratios], [label({**varied, "ratio": r}, kind) for r in ratios])
    more: dict[tuple[str, str], list[Any]] = {}
    for k, kind in batteries:
        for share in shares:
            kept("batteries", k, kind, share, (k, kind, share))
        _steps(asked, more, "nb", [(k, kind, s) for s in shares], [label({**cases[k][0], "attachment": s}, kind) for s in shares])
    said = "a dearer peak under net billing"
    directions = [
        direction("passing wholesale prices through costs less than a flat or time-of-use rate", through["cost"]),
        direction("and has the higher peak", through["peak"]),
        direction(f"{said} costs more", _against(dearer["net billing", "cost"])),
        direction("and narrows the spread of wholesale prices", dearer["net billing", "price_spread"]),
    ]
    also = [
        direction(f"{said} lowers the steepest ramp", dearer["net billing", "ramp"]), direction(f"{said} lowers the peak", dearer["net billing", "peak"]),
        direction("a dearer peak under net metering costs more", _against(dearer["net metering", "cost"])),
    ]  # fmt: skip
    if batteries:
        directions += [
            direction("more batteries under net billing cost more", _against(more["nb", "cost"])),
            direction("and narrow the spread of wholesale prices", more["nb", "price_spread"]),
        ]
        also.append(direction("more batteries under net billing lower the peak", more["nb", "peak"]))
    columns = (
        ("part", ""), *((name, UNITS[name]) for name in cases[0][0]), ("tariff", ""), ("ratio or share", ""), ("status", ""), ("cost", "$/day"), ("peak", "MW"),
        ("3 h ramp", "MW"), ("price spread", "$/MWh"),
    )  # fmt: skip
    return Finding(
        "stability", "Efficiency and stability",
        "what costs least does not keep the system steadiest: wholesale prices passed through have the highest peak, a dearer peak and more batteries "
        "steady prices at a higher cost",
        "measured here; stability is the third aim of He, Liu and Chen, arXiv 2509.16296, and is kept apart from cost as Bonbright does",
        tuple(directions), tuple(also), asked.silent(), Table("stability", "Cost and stability", columns, tuple(rows)),
        "Demand is linear in the price and extrapolated far below the reference price where wholesale prices are passed through: levels of peaks mean little.",
    )  # fmt: skip


def _steps(asked: Asked, into: dict[tuple[str, str], list[Any]], kind: str, cells: Sequence[Any], said: Sequence[str]) -> None:
    """What each step along a row of cells takes off each figure."""
    for key, accuracy in (("cost", COST), ("peak", LOAD), ("ramp", LOAD), ("price_spread", PRICE)):
        found = into.setdefault((kind, key), [])
        for before, after, words in zip(cells, cells[1:], said[1:], strict=False):
            found.append((words, *asked.less(after, before, key, accuracy)))


def _against(cases: Sequence[tuple[str, float | None, float]]) -> list[tuple[str, float | None, float]]:
    """The opposite direction."""
    return [(said, None if margin is None else -margin, accuracy) for said, margin, accuracy in cases]
