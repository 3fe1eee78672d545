"""Codes of electricity studies: markets, bills, households, designs."""

from __future__ import annotations

from stackopt.codes.code import ErrorCode

CODES: dict[str, ErrorCode] = {
    "hours": ErrorCode(
        "hours need {law}; got {got}",
        "hourly values begin at midnight; a day has 24, a year 8760 or 8784",
        "Rates, loads and generation meet hour by hour. Series of different lengths would be shifted against each other silently.",
    ),
    "rate-units": ErrorCode(
        "a rate of {got} {unit} is not credible",
        "rates are $/kWh: 38 cents is 0.38",
        "Rates in cents give bills a hundred times too large, and every comparison of shares stays plausible.",
    ),
    "sell-above-buy": ErrorCode(
        "an export may not be paid more than an import costs in the same hour",
        "lower `sell`, or arbitrage=True to compute the bill all the same",
        "Where selling pays more than buying costs, a meter that turns both ways at once earns money without end, and no household's best answer exists.",
    ),
    "true-up": ErrorCode(
        "a true-up at a rate of at least 0 $/kWh belongs to net metering at announced rates",
        "net_metering = true, nothing of the wholesale price passed through; or leave `true_up` out",
        "It says what credits are worth that are left over at the end of a year. Without net metering there are none that retail rates would pay; "
        "with wholesale prices passed through, what households face would depend on what all of them leave over.",
    ),
    "setting-value": ErrorCode(
        "`{name}` must be {law}; got {got}",
        "`stackopt tariff --example` prints every setting with its unit",
        "A setting that is not understood would otherwise be ignored.",
    ),
    "group": ErrorCode(
        "group {group!r} has no fixed charge; there are {known}",
        "give it a charge, or one for \"other\"",
        "A group without an entry would be billed nothing, which nobody would see in an average.",
    ),
    "not-finite": ErrorCode(
        "`{name}` must be finite",
        "fill gaps in metered data before billing",
        "One missing hour would make a year's bill missing.",
    ),
    "negative-load": ErrorCode(
        "`{name}` must not be negative where all of it is bought or sold",
        "net billing or net metering, or a series without its negative values",
        "Under \"buy all, sell all\" two meters count load and generation; a negative value on one of them would be paid at the other's rate.",
    ),
    "battery": ErrorCode(
        "a battery needs {law}",
        "kwh and kw of the device, levels so fine that an hour moves at least one",
        "Charge lives on a grid. A battery that cannot move by one step in an hour would never move at all.",
    ),
    "market-value": ErrorCode(
        "`{name}` must be {law}; got {got} ({unit})",
        "correct the plant, line or storage that is named",
        "Prices of a market whose data break a law of physics or of units look plausible. Capacities are MW and not negative, costs convex.",
    ),
    "market-bus": ErrorCode(
        "a name in a market must {law}; this one is {got}",
        "check the spelling: buses are compared as text",
        "Plants, lines, storage and loads meet at buses by name. One misspelt would be connected to nothing.",
    ),
    "market-island": ErrorCode(
        "part of the network cannot be supplied: buses {island} have {load} MW of load and {capacity} MW of plants and storage",
        "connect it by a line, add a plant, or give the market a value of lost load: Market(..., voll=1000)",
        "Lines that are missing split a network into islands, each of which has to serve itself. An island without enough plants has no price.",
    ),
    "market-infeasible": ErrorCode(
        "no dispatch serves the load within the limits of plants, lines and storage",
        "give the market a value of lost load (voll=1000) to shed, or a cost of surplus (spill=0) to spill, and see where it does",
        "Without a value of lost load every MW must be served, and without a cost of surplus every MW used; then limits can contradict each other.",
    ),
    "market-failed": ErrorCode(
        "the dispatch was not solved: {got}",
        "scale the data (MW, $/MWh), or report the case",
        "A dispatch is only given out with multipliers that prove it: prices of a stopped solver are none.",
    ),
    "market-file": ErrorCode(
        "a network file cannot be read: {law}",
        "MATPOWER's case format, version 2, or the documented tables",
        "A value that is dropped or guessed would move prices silently.",
    ),
    "revenue": ErrorCode(
        "no adder recovers the requirement: at most {reach} of {required} {unit} can be collected",
        "allow a fixed charge, or lower the requirement",
        "Energy rates lose sales as they rise, so what they can collect has a maximum. Beyond it higher rates collect less.",
    ),
    "meter-weather": ErrorCode(
        "the first billing period did not see every hour under every weather",
        "read over more days: SampledMeter(..., days=90)",
        "Later readings fall back on what was learned where a weather did not occur; before the first, there is nothing to fall back on.",
    ),
    "meter-true-up": ErrorCode(
        "meters do not reveal what a tariff with an annual true-up is worth to households",
        "leave out true_up: credits left over are then paid at retail",
        "Changes of welfare follow from readings where a bill is rates times kWh. A true-up bills the larger of two such sums, by household and year.",
    ),
}
