"""Whether the figures can be relied on: residuals, what households could still gain, uniqueness, closure by weather, bounds, and assumptions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from stackopt.energy.benchmarks_named import Outcome
from stackopt.energy.diagnosis import MONOTONE
from stackopt.energy.standard import Assumption
from stackopt.energy.table import Table


def convergence(outcomes: Sequence[Outcome]) -> Table:
    """Of every tariff, failures included: residuals, what households could still gain, whether iteration would cycle, uniqueness, closure, bounds."""
    rows: list[tuple[Any, ...]] = []
    for o in outcomes:
        d = o.diagnosis
        if d is None:
            rows.append((o.name, str(o.status), *(None,) * 6, o.equilibria, None, None, "", o.because))
            continue
        one = "yes" if d.monotonicity <= MONOTONE else "not shown"
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


def assumption_sheet(found: Sequence[Assumption]) -> Table:
    """Every figure with its source and status."""
    columns = (("item", ""), ("value", ""), ("unit", ""), ("source", ""), ("status", ""), ("label", ""))
    rows = tuple((a.item, a.value, a.unit, a.source, a.status, "not verified" if a.doubtful else "") for a in found)
    return Table("assumptions", "Assumptions", columns, rows)
