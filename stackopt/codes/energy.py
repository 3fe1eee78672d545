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
    "setting-value": ErrorCode(
        "`{name}` must be {law}; got {got}",
        "see the documented study file",
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
    "battery": ErrorCode(
        "a battery needs {law}",
        "kwh and kw of the device, levels so fine that an hour moves at least one",
        "Charge lives on a grid. A battery that cannot move by one step in an hour would never move at all.",
    ),
}
