"""What stands where on the page of a tariff study, and the numbers that tables and figures carry there."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple


class Section(NamedTuple):
    """One question of the page.

    Attributes
    ----------
    id, name : str
        Of the anchor, and in the list of sections.
    heading : str
        The question.
    parts : tuple of str
        In order: a figure as ``"/name"``, a table as ``"name"``, a table that is folded away as ``"+name"``.
    """

    id: str
    name: str
    heading: str
    parts: tuple[str, ...]


SECTIONS = (
    Section("found", "What was found", "What was found", ("summary",)),
    Section("reliance", "Can it be relied on?", "Can it be relied on?", ()),
    Section("tariffs", "The tariffs", "The tariffs", ("tariffs", "/rates", "/seasonal_rates", "fixed_charges", "+rates", "+seasonal_rates")),
    Section("bills", "Who pays more?", "Who pays more?", ("/winners", "typical", "/bills", "bills", "+bills_by_kind", "+seasonal_bills", "+winners")),
    Section("burden", "Burden", "Burden: is it fair?", ("/burden", "/burdens", "equity", "/lorenz", "+lorenz")),
    Section("revenue", "Revenue", "Revenue: is it adequate?", ("/revenue", "revenue")),
    Section("subsidy", "Cross-subsidy", "Who pays for whom?", ("/cross_subsidy", "+cross_subsidy")),
    Section("system", "System", "What does the system see?",
            ("/duck", "/day", "/buses", "+load", "+prices", "/response", "+response", "/loss", "loss")),
    Section("trade-off", "Trade-off", "What trades off against what?", ("/trade_off", "frontier", "/sensitivity", "sensitivity")),
    Section("convergence", "Convergence", "Did the computation converge?", ("/convergence", "convergence", "/iterations", "+iterations")),
    Section("provenance", "Provenance", "Where do the numbers come from?", ("assumptions",)),
)  # fmt: skip

#: Tables that have their place above; a study's further ones stand at the end of the section on convergence.
PLACED = tuple(part.lstrip("+") for section in SECTIONS for part in section.parts if not part.startswith("/"))

#: What a folded table is called while it is closed.
FOLDED = {
    "rates": "rates by hour", "seasonal_rates": "rates by season and hour", "seasonal_bills": "bills by season",
    "bills_by_kind": "bills by kind of household", "winners": "households by change of bill", "lorenz": "the curves as numbers",
    "cross_subsidy": "bill less cost of service, three ways to share fixed costs", "load": "load by hour", "prices": "wholesale prices by hour",
    "response": "how load answers, hour by hour", "iterations": "how prices settle, step by step",
}  # fmt: skip

#: The table that holds a figure's numbers, where it has another name.
BESIDE = {
    "burden": "bills", "burdens": "equity", "duck": "load", "day": "load", "buses": "prices", "trade_off": "summary", "bills": "bills_by_kind",
}  # fmt: skip

#: How to read each figure.
READ = {
    "rates": "One panel per tariff, same scale. A rate holds from the start of its hour to the end; wholesale prices that are passed through are included.",
    "seasonal_rates": "Price of a kWh bought, averaged over the skies of each season; wholesale prices that are passed through are included.",
    "winners": "Bars are households by the change of their monthly bill against today's tariff, at equal revenue; to the left of the line they pay less, "
               "and above each panel stands how many do. "
               "The first and the last bar also hold what is beyond them. Households of a type are alike, so bars move by type.",
    "bills": "Change of the average monthly bill against today's tariff, at equal revenue. Above the line households pay more.",
    "burden": "Change of bills as a share of income, against today's tariff at equal revenue. Hatched: the burden rises.",
    "burdens": "Bills as a share of income. Levels rest on the incomes in the list of assumptions; differences between tariffs rest on less.",
    "lorenz": "Households from the poorest to the richest. A curve of bills above that of income weighs on the poor; owners of panels may have negative bills.",
    "revenue": "What is collected, and, as a diamond, what must be covered: fixed costs and wholesale purchases. Congestion rent, where there is any, is "
               "earned between the ends of lines on all loads and is no part of the bars.",
    "cross_subsidy": "Bill less wholesale cost of energy and an equal share of fixed costs. Above the line a household pays for others. The table has "
                     "two other ways to share fixed costs.",
    "duck": "All households together. Grey: what batteries move, into the hours where the solid line is above the dashed one, out of those where it is below.",
    "day": "Load of the whole system and wholesale prices, averaged over buses, by hour and weather. At most four tariffs: today's and the extremes.",
    "buses": "Wholesale prices differ between buses where lines are full. At most four buses: the cheapest, the dearest, and those with extreme hours.",
    "response": "Every cell: what one cent more on the buy rate of one hour does to the load of another, households and market settling anew. Outlined: the "
                "hour's own. Steps of the scale are not equal.",
    "loss": "The triangle between what use is worth and its wholesale price, for averages over hours, weather and households; the table's figure is "
            "summed over them one by one and stands above each panel, in $ a day. Tariffs without a triangle to be seen are left out.",
    "trade_off": "Lower and further left is better. Numbered: tariffs at equal revenue; the diamond is today's. Steps, where drawn: the least cost "
                 "found within each gap; nothing between its points is known.",
    "sensitivity": "One assumption moved at a time; in each case tariffs recover the requirement anew, but those that are announced as given.",
    "convergence": "Tariffs that hold. Top left: zero in an exact equilibrium. Top right: beyond the dashed line undamped iteration cycles. Below: by how "
                   "much load and prices would still depend on yesterday's weather, which the equilibrium leaves out.",
    "iterations": "Both begin with the prices of usual loads. A residual rises where the search lowers the temperature of batteries' choices, as marked.",
}  # fmt: skip


def numbering(figures: Collection[str], tables: Collection[str], further: Collection[str] = ()) -> tuple[dict[str, int], dict[str, int]]:
    """Numbers of the figures and of the tables that are there, each in the order of the page.

    Parameters
    ----------
    figures, tables : collections of str
        Names of those that are there.
    further : collection of str
        Tables without a place of their own, behind those of the section on convergence.
    """
    drawn: dict[str, int] = {}
    listed: dict[str, int] = {}
    for section in SECTIONS:
        for part in (*section.parts, *(further if section.id == "convergence" else ())):
            name = part.lstrip("+/")
            if part.startswith("/") and name in figures:
                drawn[name] = len(drawn) + 1
            elif not part.startswith("/") and name in tables:
                listed[name] = len(listed) + 1
    return drawn, listed
