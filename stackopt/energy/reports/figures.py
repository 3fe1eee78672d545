"""The figures of a tariff study, each a pure function of the stored tables. Only tariffs that hold are drawn.

Where figures of many tariffs would cover each other, each tariff has a panel, all on the same scale; where lines share a panel there are at most four.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from stackopt.comparison.figures import is_number
from stackopt.energy.reports.payers import bills_figure, burden_figure, burdens_figure, lorenz_figure, subsidy_figure, winners_figure
from stackopt.energy.reports.stored import Stored
from stackopt.energy.reports.system import buses_figure, day_figure, duck_figure, rates_figure, response_figure, seasonal_figure
from stackopt.energy.reports.trade import convergence_figure, iterations_figure, loss_figure, lossy, revenue_figure, sensitivity_figure, trade_off_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Draw = Callable[[Stored], "Figure"]


def figures(stored: Stored) -> dict[str, Draw]:
    """The figures for which the study has tables, by name."""
    has, held, changed = stored.has, bool(stored.summary), bool(stored.others) and stored.before in stored.equal
    wanted: dict[str, tuple[Draw, bool]] = {
        "rates": (rates_figure, held and has("rates")),
        "seasonal_rates": (seasonal_figure, bool(stored.equal) and has("seasonal_rates")),
        "winners": (winners_figure, changed and any(stored.rows("winners", tariff=n) for n in stored.others)),
        "bills": (bills_figure, changed and has("bills")),
        "burden": (burden_figure, changed and has("bills")),
        "burdens": (burdens_figure, bool(stored.equal) and has("equity")),
        "lorenz": (lorenz_figure, bool(stored.equal) and has("lorenz")),
        "revenue": (revenue_figure, held and has("revenue")),
        "cross_subsidy": (subsidy_figure, bool(stored.equal) and has("cross_subsidy")),
        "duck": (duck_figure, bool(stored.focus) and has("load")),
        "day": (day_figure, bool(stored.equal) and has("load") and has("prices")),
        "buses": (buses_figure, bool(stored.focus) and len({r["bus"] for r in stored.rows("prices")}) > 1),
        "response": (response_figure, any(r["tariff"] in stored.summary for r in stored.rows("response"))),
        "loss": (loss_figure, bool(lossy(stored))),
        "trade_off": (trade_off_figure, bool(stored.equal)),
        "sensitivity": (sensitivity_figure, any(is_number(r["change of cost"]) and r["assumption"] == "base" for r in stored.rows("sensitivity"))),
        "convergence": (convergence_figure, held and has("convergence")),
        "iterations": (iterations_figure, any(r["tariff"] in stored.summary for r in stored.rows("iterations"))),
    }
    return {name: draw for name, (draw, can) in wanted.items() if can}
