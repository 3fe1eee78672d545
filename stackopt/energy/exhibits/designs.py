"""What a design found: the frontier of cost against the gap of burdens, named tariffs beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from stackopt.energy.benchmarks_named import Outcome
from stackopt.energy.designs.design import Design
from stackopt.energy.exhibits.table import Table
from stackopt.energy.tariff import DAYS_PER_MONTH


def frontier_table(designs: Sequence[Design], named: Sequence[Outcome]) -> Table:
    """Least cost by limit on the gap, with rates and charges; named tariffs as further rows."""
    first = designs[0].problem
    periods = list(first.periods)
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
            rates = [float(rate) for side in first.rates_of(t) for rate in side]
            shown = (100 * c.gap, c.cost, c.peak, c.price_spread, *rates, *(float(f) for f in fixed))
        rows.append((name, str(status), 100 * limit if math.isfinite(limit) else None, *shown, because))
    note = "Local optima; points that are not CONVERGED have no figures and belong in no picture. Named tariffs need not keep to the design's limits. "
    note += "Adders come on top of what of the wholesale price is passed through: see tariffs."
    return Table("frontier", "Least cost at each limit on the gap of burdens, named tariffs beside it", columns, tuple(rows), note)
