"""The settings of a study file: one table of keys from which reading, the documented example and the assumption sheet follow."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stackopt.energy.seasons import SEASONS
from stackopt.energy.standard import Assumption

Accepts = Callable[[Any], bool]


@dataclass(frozen=True)
class Key:
    """One setting.

    Attributes
    ----------
    section, name : str
    default : object
        As TOML; None: absent unless given.
    unit : str
    law : str
        What is accepted, in words.
    accepts : function
    meaning, source : str
    status : str
        As of `Assumption`; empty for choices, which are no figures.
    sample : str
        What the example shows, commented out, for a key without default.
    """

    section: str
    name: str
    default: Any
    unit: str
    law: str
    accepts: Accepts
    meaning: str
    source: str = ""
    status: str = ""
    sample: str = ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)


def _number(low: float = -math.inf, high: float = math.inf, above: float = -math.inf) -> Accepts:
    return lambda value: _is_number(value) and math.isfinite(value) and low <= value <= high and value > above


def _limit(value: Any) -> bool:
    return _is_number(value) and value > 0


def _whole(low: int) -> Accepts:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= low


def _one_of(*words: str) -> Accepts:
    return lambda value: value in words


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(_text(v) for v in value) and len(set(value)) == len(value)


def _numbers(low: float, high: float) -> Accepts:
    return lambda value: isinstance(value, list) and bool(value) and all(_is_number(v) and low <= v <= high for v in value)


def _by_season(each: Accepts) -> Accepts:
    return lambda value: all(map(each, value.values())) and bool(value) if isinstance(value, dict) else each(value)


def _range(low: float, high: float) -> Accepts:
    return lambda value: isinstance(value, list) and len(value) == 2 and all(_is_number(v) and low <= v <= high for v in value) and value[0] <= value[1]


def _shares(value: Any) -> bool:
    return isinstance(value, dict) and all(_is_number(v) and 0 <= v < 1 for v in value.values())


def _charges(value: Any) -> bool:
    return (_is_number(value) and value >= 0) or (isinstance(value, dict) and bool(value) and all(_is_number(v) and v >= 0 for v in value.values()))


def _positive_by_group(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and all(_is_number(v) and v > 0 for v in value.values())


def _periods(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and all(_period(v) for v in value.values())


def _period(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(v, int) for v in value) and 0 <= value[0] < value[1] <= 24


def _months(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and all(isinstance(months, list) and months and all(map(_month, months)) for months in value.values())


def _month(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 12


def _blocks(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(b, list) and len(b) == 2 and all(_is_number(v) for v in b) and b[0] > 0 for b in value)


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


RECONSTRUCTED, RECALLED, ASSUMED, SEEN = "reconstructed", "recalled, unverified", "assumption", "seen"

KEYS: tuple[Key, ...] = (
    Key("population", "households", 1_000_000, "households", "a whole number of at least 1", _whole(1),
        "How many there are: types times multiplicity.", "order of a large utility's area", ASSUMED),
    Key("population", "shapes", ["ca", "tx", "vt"], "", 'a list out of "ca", "tx", "vt"', _texts,
        "Load shapes of average households, equally frequent.", "NREL ResStock/EULP by way of CityLearn: Alameda, Travis, Chittenden county", SEEN),
    Key("population", "season", "summer", "", '"summer", "winter", "shoulder" or "year"', _one_of("summer", "winter", "shoulder", "year"),
        "Whose average day is studied. One season's bills are not a year's: \"year\" has a day for each season and weather."),
    Key("population", "seasons", {s.name: list(s.months) for s in SEASONS}, "months", "a list of months, 1 to 12, for each season", _months,
        "Of the year, in order; each month once. Names are those of the load shapes, or free with `types`, whose tables then have 8760 hours.",
        "summer as PG&E's rates have it, the rest of the year in two halves", ASSUMED),
    Key("population", "adoption", [0.0525, 0.09, 0.1575, 0.21, 0.24], "share of a fifth", "five shares from 0 to 1", _numbers(0, 1),
        "Households with panels, by income fifth.", "15 % on average, consistent with LBNL's income brackets", RECONSTRUCTED),
    Key("population", "attachment", 0.30, "share", "a share from 0 to 1", _number(0, 1),
        "Of those with panels: with a battery.", "between California 2023 (.14) and net-billing systems (.60), LBNL Tracking the Sun", RECONSTRUCTED),
    Key("population", "elasticity", 0.2, "1", "a number above 0 and at most 2", _number(0, 2, above=0),
        "Of demand at the reference price; hourly and yearly alike.", "between short and long run of Labandeira et al. 2017", RECALLED),
    Key("population", "reference_price", 0.30, "$/kWh", "a number above 0 and at most 10", _number(0, 10, above=0),
        "At which households use their usual load.", "Californian average revenue 2023, EIA, rounded", "seen, rounded"),
    Key("population", "types", None, "", "the name of a CSV file", _text,
        "Households of one's own, instead of shapes, adoption and attachment.", sample='"types.csv"'),
    Key("population", "load", None, "kWh", "the name of a CSV file", _text, "Their hourly loads; needs `types`.", sample='"load.csv"'),
    Key("population", "pv", None, "kWh", "the name of a CSV file", _text, "Their hourly generation under a clear sky; needs `types`.", sample='"pv.csv"'),
    Key("storage", "kwh", 13.5, "kWh", "a positive number", _number(above=0), "Usable energy of a home battery.", "Powerwall 2 class", SEEN),
    Key("storage", "kw", 5.0, "kW", "a positive number", _number(above=0), "Its power.", "Powerwall 2 class", SEEN),
    Key("storage", "efficiency", 0.89, "1", "a number above 0 and at most 1", _number(0, 1, above=0), "Round trip.", "Powerwall 3 data sheet", RECALLED),
    Key("storage", "levels", 11, "levels", "a whole number of at least 2", _whole(2),
        "Of charge: a computation's grid. 50 move the costs of flat_nb and lmp by 0.003 and 0.004 $/day."),
    Key("storage", "wear", 0.05, "$/kWh", "a number of at least 0", _number(0), "Per kWh discharged.",
        "installed price, half replaced after 10,000 cycles", RECONSTRUCTED),
    Key("weather", "regimes", ["clear", "cloudy"], "", "a list of different names", _texts, "Weather that all households share."),
    Key("weather", "pv", [1.0, 0.35], "1", "a factor of at least 0 for each regime, or such a list for each season of a year", _by_season(_numbers(0, 10)),
        "Factors on clear-sky generation.", "", ASSUMED),
    Key("weather", "stay", [0.8, 0.6], "chance", "a chance from 0 to 1 for each regime, or such a list for each season of a year", _by_season(_numbers(0, 1)),
        "That a regime lasts another day.", "", ASSUMED),
    Key("response", "temperature", 0.005, "$", "a positive number, at most 1", _number(0, 1, above=0),
        "Of batteries' choices: how sharply they maximise. One for all tariffs; exploitability is printed.", "", ASSUMED),
    Key("market", "kind", "linear", "", '"linear", "merit" or "network"', _one_of("linear", "merit", "network"), "How wholesale prices form."),
    Key("market", "base", 700.0, "MW", "a number", _number(), "Load that is not of households, in every hour.", "", RECONSTRUCTED),
    Key("market", "intercept", 18.0, "$/MWh", "a number", _number(), "linear: price without load.", "", RECONSTRUCTED),
    Key("market", "slope", 0.045, "$/MWh per MW", "a number of at least 0", _number(0), "linear: rise of the price with load.", "", RECONSTRUCTED),
    Key("market", "floor", 0.0, "$/MWh", "a number", _number(), "linear: below which generation is curtailed instead.", "", ASSUMED),
    Key("market", "blocks", None, "[MW, $/MWh]", "a list of [capacity, cost]", _blocks, "merit: plants in order of cost.",
        sample="[[800, 20], [700, 45], [600, 90]]"),
    Key("market", "network", None, "", "a MATPOWER file or a folder of tables", _text, "network: buses, lines and plants.", sample='"grid"'),
    Key("market", "placement", None, "", "a bus for each load shape", lambda v: isinstance(v, dict) and all(_text(b) for b in v.values()),
        "network: where households of each shape are; `types` has a column instead.", sample='{ ca = "B", tx = "C", vt = "D" }'),
    Key("market", "barrier", 0.1, "$/h", "a positive number", _number(above=0), "merit, network: how much steps of supply are rounded."),
    Key("market", "voll", 1000.0, "$/MWh", "a positive number", _number(above=0), "merit, network: value of lost load.", "", ASSUMED),
    Key("tariff", "periods", {"off": [0, 10], "midday": [10, 16], "peak": [16, 21], "night": [21, 24]}, "hour",
        "for each name [from, to) between 0 and 24", _periods, "Hours with a rate of their own.", "peak as in PG&E E-TOU-C", SEEN),
    Key("tariff", "seasonal", False, "", "true or false", _flag, 'With season = "year": each period has a rate of its own in each season.'),
    Key("tariff", "buy", [0.0, 0.8], "$/kWh", "[lowest, highest] between -10 and 10", _range(-10, 10), "Range of the adders on what is bought."),
    Key("tariff", "sell", [0.0, 0.8], "$/kWh", "[lowest, highest] between -10 and 10", _range(-10, 10),
        "Range of the adders on what is sold; no hour's sell rate exceeds its buy rate."),
    Key("tariff", "pass_buy", 1.0, "1", "a share from 0 to 1", _number(0, 1), "Of the wholesale price, added to the buy adder."),
    Key("tariff", "pass_sell", 1.0, "1", "a share from 0 to 1", _number(0, 1), "Of the wholesale price, added to the sell adder."),
    Key("tariff", "net_metering", False, "", "true or false", _flag, "The sell rate is the buy rate."),
    Key("tariff", "cap", 24.15, "$/month", "a number of at least 0", _number(0), "On fixed charges.", "CPUC D.24-05-028, adopted 2024 (number recalled)", SEEN),
    Key("tariff", "ratios", None, "1", "a positive number for each group", _positive_by_group, "Of fixed charges; free without.",
        sample="{ Q1 = 6, Q2 = 12.08, Q3 = 24.15, Q4 = 24.15, Q5 = 24.15 }"),
    Key("tariff", "discount", {}, "share", "shares from 0 to below 1 by group", _shares, "On what groups buy, as CARE's 35 %.",
        sample="{ Q1 = 0.35, Q2 = 0.35 }"),
    Key("revenue", "required", 3.6, "$/day and household", "a number", _number(),
        "Fixed costs to recover beyond wholesale purchases, by equality.", "Californian bill of 145 $/month less energy", RECONSTRUCTED),
    Key("objective", "points", 4, "tariffs", "a whole number of at least 0", _whole(0), "On the frontier of cost against the gap of burdens; 0: none."),
    Key("objective", "gap", None, "share of income", "[lowest, highest] limit between 0 and 1", _range(0, 1),
        "Of burdens between groups, on the frontier; by default from the smallest found to that of the free design.", sample="[0.03, 0.06]"),
    Key("objective", "peak", math.inf, "MW", "a positive number", _limit, "Limit on the peak; inf: none."),
    Key("objective", "price_spread", math.inf, "$/MWh", "a positive number", _limit, "Limit on the standard deviation of wholesale prices; inf: none."),
    Key("objective", "starts", 4, "starts", "a whole number of at least 1", _whole(1), "Of the search; at least 4 are advised."),
    Key("objective", "seed", 0, "", "a whole number of at least 0", _whole(0), "Of random starts."),
    Key("benchmarks", "names", ["flat_nem", "flat_nb", "tou_nem", "tou_nb", "care", "cpuc", "iou", "lmp"], "", "a list of names", _texts,
        "Tariffs to compare, all made to recover the same revenue."),
    Key("benchmarks", "before", "flat_nem", "", "a name", _text, "Today's tariff, against which bills are compared."),
    Key("benchmarks", "fixed", 0.0, "$/month", "a charge of at least 0, or one for each group", _charges, "Fixed charge of flat_*, tou_* and care."),
    Key("benchmarks", "true_up", None, "$/kWh", "a rate of 0 to 10", _number(0, 10),
        'Net metering, season = "year": what credits left over at the end of a year are worth per net kWh. Without it: the retail rate.', sample="0.05"),
    Key("benchmarks", "care", 0.35, "share", "a share from 0 to below 1", _number(0, 0.999), "Discount of care to the two poorest groups.",
        "CARE programme, California", SEEN),
)  # fmt: skip

SECTIONS: tuple[str, ...] = tuple(dict.fromkeys(key.section for key in KEYS))


def keys_of(section: str) -> dict[str, Key]:
    """Keys of one section by name."""
    return {key.name: key for key in KEYS if key.section == section}


def toml(value: Any) -> str:
    """A value as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list):
        return "[" + ", ".join(toml(v) for v in value) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {toml(v)}" for k, v in value.items()) + " }" if value else "{}"
    if isinstance(value, int):
        return f"{value:_}"
    return f"{value!r}"


def example() -> str:
    """The documented study file, with every default, its unit, its source and its status."""
    lines = [
        "# A tariff study: `stackopt tariff compare study.toml`. Every value is the default; keys that are left out keep it.",
        "# Status of figures: seen in the source; assumption; reconstructed (the published study's own parameters are not public);",
        "# recalled, unverified (from memory: check before publishing). All outputs repeat them.",
        'name = "example"',
    ]
    for section in SECTIONS:
        lines += ["", f"[{section}]"]
        for key in keys_of(section).values():
            origin = "; ".join(part for part in (key.source, key.status) if part)
            unit = f" Unit: {key.unit}." if key.unit else ""
            lines.append(f"# {key.meaning}{unit}" + (f" Source: {origin}." if key.source else f" Status: {origin}." if origin else ""))
            lines.append(f"{key.name} = {toml(key.default)}" if key.default is not None else f"# {key.name} = {key.sample}")
    lines += [
        "",
        "# A tariff of one's own: rates in $/kWh as one number, 24, or one for each period; `neutral` scales `buy` to recover the requirement.",
        "# [benchmarks.mine]",
        "# buy = { off = 0.36, midday = 0.30, peak = 0.52, night = 0.36 }",
        "# sell = 0.05",
        "# fixed = 10        # $/month, or { Q1 = 6, other = 24.15 }",
        '# true_up = 0.05    # $/kWh, with net_metering = true and season = "year"',
        '# With season = "year", `buy` and `sell` may also be given by season: buy = { summer = 0.45, winter = 0.35, shoulder = 0.35 }',
        "# neutral = true",
    ]
    return "\n".join(lines) + "\n"


def figures(settings: dict[str, dict[str, Any]], given: set[tuple[str, str]], unused: set[tuple[str, str]]) -> list[Assumption]:
    """The sheet of settings: defaults with their source, given ones as the study file's.

    Parameters
    ----------
    settings : section to key to value
    given, unused : sets of (section, key)
        Those that the file states, and those that have no part in it.
    """
    found = []
    for key in KEYS:
        value, place = settings[key.section][key.name], (key.section, key.name)
        if value is None or place in unused or not (key.status or place in given):
            continue
        same = value == key.default
        source = key.source if same else "study file"
        status = key.status if same and key.status else "assumption of the study file" if key.status else "definition of the study"
        found.append(Assumption(f"[{key.section}] {key.name}", toml(value), key.unit, source, status))
    return found
