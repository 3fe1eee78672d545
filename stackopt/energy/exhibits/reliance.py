"""Whether the figures can be relied on: residuals, what households could still gain, uniqueness, closure by weather, bounds, and assumptions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from stackopt.energy.benchmarks_named import Outcome
from stackopt.energy.equilibrium import Equilibrium, equilibrium
from stackopt.energy.exhibits.table import Table
from stackopt.energy.response import respond
from stackopt.energy.standard import Assumption
from stackopt.errors import InvalidStudy

#: Residual at which prices count as settled, $/kWh, and steps of undamped iteration that are shown.
SETTLED, UNDAMPED = 1e-8, 20
#: Seconds that a search from nothing may take to be shown.
PATIENCE = 10.0


def convergence(outcomes: Sequence[Outcome]) -> Table:
    """Of every tariff, failures included: residuals, what households could still gain, whether iteration would cycle, uniqueness, closure, bounds."""
    rows: list[tuple[Any, ...]] = []
    for o in outcomes:
        d = o.diagnosis
        if d is None:
            rows.append((o.name, str(o.status), *(None,) * 6, o.equilibria, None, None, "", o.because))
            continue
        one = "yes" if d.alone else "not shown"
        own = 0.0 if math.isnan(d.of_owners) else d.of_owners
        left = d.closure.load_deviation, d.closure.price_deviation, "; ".join(d.bounds)
        rows.append((o.name, str(o.status), d.found.residual, d.exploitability, own, d.spectral_radius, d.monotonicity, one, o.equilibria, *left, o.because))
    columns = (
        ("tariff", ""), ("status", ""), ("price residual", "$/kWh"), ("exploitability", "$/day"), ("exploitability of battery owners", "$/day"),
        ("spectral radius", ""), ("monotonicity eigenvalue", "kWh per $/kWh"), ("locally one equilibrium", ""), ("equilibria solved", ""),
        ("load by weather history", "MW std"), ("price by weather history", "$/MWh std"), ("at bounds", ""), ("because", ""),
    )  # fmt: skip
    note = "A spectral radius above 1: iterating prices without damping cycles. By weather history: what prices by hour and weather alone leave out, simulated."
    return Table("convergence", "Convergence and exploitability", columns, tuple(rows), note)


def iterations(outcomes: Sequence[Outcome]) -> Table:
    """How prices settle from nothing known: the search, and beside it undamped iteration, which takes what the market makes of each response.

    Only for tariffs that pass a wholesale price on; others need no search.
    """
    rows: list[tuple[Any, ...]] = []
    for o in outcomes:
        e = o.equilibrium
        if e is None or o.diagnosis is None or not o.diagnosis.coupled:
            continue
        cold = equilibrium(e.households, e.market, e.tariff, temperature=e.response.temperature, tolerance=SETTLED, time_limit=PATIENCE)
        rows += [(o.name, "search", k, *step) for k, step in enumerate(cold.history)]
        rows += [(o.name, "undamped", k, e.response.temperature, residual) for k, residual in enumerate(undamped(e))]
    columns = (("tariff", ""), ("way", ""), ("step", ""), ("temperature", "$"), ("price residual", "$/kWh"))
    note = "Each step is one response of all households; the search may begin at a higher temperature."
    return Table("iterations", "How prices settle: the search, and undamped iteration for comparison", columns, tuple(rows), note)


def undamped(found: Equilibrium, steps: int = UNDAMPED) -> list[float]:
    """Residuals, $/kWh, of iterating prices without damping, from what the usual load costs; shorter where rates stop being lawful."""
    h, market, response = found.households, found.market, None
    usual = np.zeros(found.price.shape)
    np.add.at(usual, h.bus_of, h.share[:, None, None] * h.load * h.count / 1000.0)
    price, residuals = market.clear(usual)[0] / 1000.0, []
    for _ in range(steps):
        try:
            response = respond(h, found.tariff, price, found.response.temperature, response)
        except InvalidStudy as wrong:
            if wrong.code != "sell-above-buy":
                raise
            break
        cleared = market.clear(response.load)[0] / 1000.0
        residuals.append(float(np.abs(cleared - price).max()))
        if residuals[-1] <= SETTLED:
            break
        price = cleared
    return residuals


def assumption_sheet(found: Sequence[Assumption]) -> Table:
    """Every figure with its source and status."""
    columns = (("item", ""), ("value", ""), ("unit", ""), ("source", ""), ("status", ""), ("label", ""))
    rows = tuple((a.item, a.value, a.unit, a.source, a.status, "not verified" if a.doubtful else "") for a in found)
    return Table("assumptions", "Assumptions", columns, rows)
