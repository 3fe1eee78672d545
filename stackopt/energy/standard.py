"""The built-in population: income fifths, with and without panels and batteries, on the load shapes of up to three places."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackopt.catalog import data_file
from stackopt.energy.households import HOURS, Battery, Households, HouseholdType, Weather
from stackopt.energy.seasons import SEASONS, Season, by_regime, shares, yearly
from stackopt.errors import InvalidStudy

Array = NDArray[np.float64]

#: Peak power of panels by group, kWdc.
PANELS = {"Q1": 5.0, "Q2": 5.6, "Q3": 6.2, "Q4": 6.9, "Q5": 7.5}
#: Mean use of a Californian household, kWh a year, to which national spending by fifth is scaled.
MEAN_USE = 6000.0


@dataclass(frozen=True)
class Assumption:
    """One figure of a study and where it is from.

    Attributes
    ----------
    item, value, unit, source : str
    status : str
        ``"seen"`` in the source, ``"computed"`` from seen ones, ``"definition"``, ``"reconstructed"``, ``"assumption"``, or
        ``"recalled, unverified"``: labelled in every output.
    """

    item: str
    value: str
    unit: str
    source: str
    status: str

    @property
    def doubtful(self) -> bool:
        """Whether outputs must say so."""
        return not self.status.startswith(("seen", "computed", "definition"))


def _table(name: str) -> list[dict[str, str]]:
    with data_file("energy", name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _hours(row: dict[str, str]) -> Array:
    return np.array([float(row[f"h{h:02d}"]) for h in range(HOURS)])


def load_shape(shape: str, season: str = "summer") -> Array:
    """kW of an average household [24]; raises InvalidStudy for an unknown shape or season."""
    for row in _table("load_shapes.csv"):
        if (row["shape"], row["season"]) == (shape, season):
            return _hours(row)
    known = sorted({r["shape"] for r in _table("load_shapes.csv")})
    raise InvalidStudy("setting-value", name="shapes", law=f"out of {', '.join(known)} in summer, winter or shoulder", got=f"{shape!r}, {season!r}")


def clear_sky(season: str = "summer") -> Array:
    """kW per kWdc under a clear sky at Oakland [24]; raises InvalidStudy for an unknown season."""
    for row in _table("pv_clear_sky_oakland.csv"):
        if row["season"] == season:
            return _hours(row)
    raise InvalidStudy("setting-value", name="season", law="out of summer, winter or shoulder for built-in load shapes", got=repr(season))


def income_groups() -> dict[str, dict[str, float]]:
    """Figures of each income fifth by name of the quantity."""
    groups: dict[str, dict[str, float]] = {}
    for row in _table("income_groups.csv"):
        groups.setdefault(row["group"], {})[row["quantity"]] = float(row["value"])
    return groups


def standard_households(
    *,
    shapes: Sequence[str] = ("ca", "tx", "vt"),
    season: str = "summer",
    seasons: Sequence[Season] = SEASONS,
    adoption: Sequence[float] | None = None,
    attachment: float = 0.3,
    battery: Battery | None = None,
    weather: Weather | Sequence[Weather] | None = None,
    **rest: Any,
) -> Households:
    """Five income fifths x consumer, panels, panels and battery x load shapes: 45 types with the defaults.

    Parameters
    ----------
    shapes : sequence of str
        Out of ``"ca"``, ``"tx"``, ``"vt"``, equally frequent.
    season : str
        ``"summer"``, ``"winter"`` or ``"shoulder"``: its average day stands for all; or ``"year"``: regimes are pairs of season and weather.
    seasons : sequence of Season
        Of the year.
    adoption : sequence of 5 shares, optional
        Households with panels, by fifth.
    attachment : float
        Share of them with a battery.
    battery : Battery, optional
    weather : Weather, optional
        Within a season; for a year also one for each season.
    **rest
        Of `Households`: count, elasticity, reference_price.
    """
    groups = income_groups()
    chosen = [groups[g]["PV adoption"] for g in groups] if adoption is None else [float(a) for a in adoption]
    if len(chosen) != len(groups) or not all(0.0 <= a <= 1.0 for a in (*chosen, attachment)):
        raise InvalidStudy("setting-value", name="adoption", law=f"{len(groups)} shares, and an attachment, from 0 to 1", got=f"{chosen}, {attachment}")
    spending = np.array([groups[g]["electricity bill 2022"] for g in groups])
    use = MEAN_USE * spending / spending.mean()
    device = Battery() if battery is None else battery
    sky = weather or Weather()
    names, weight = ([s.name for s in seasons], shares(seasons)) if season == "year" else ([season], np.ones(1))
    if season == "year":
        ruling = yearly(sky, seasons)
    elif isinstance(sky, Sequence):
        raise InvalidStudy("setting-value", name="weather", law="one where a single season is studied", got=f"{len(sky)}")
    else:
        ruling = sky

    def days(each: Array) -> Array:
        """A day for each season [24, s], as types have it."""
        return by_regime(each, ruling) if season == "year" else each[:, 0]

    types = []
    for (name, figures), annual, adopters in zip(groups.items(), use, chosen, strict=True):
        sun = days(np.column_stack([clear_sky(s) for s in names]) * PANELS[name])
        for shape in shapes:
            profile = np.column_stack([load_shape(shape, s) for s in names])
            load = days(profile / (profile.sum(0) @ weight) * annual / 365.0)
            each = figures["share of households"] / len(shapes)
            for kind, share in (("C", 1.0 - adopters), ("PV", adopters * (1.0 - attachment)), ("PVB", adopters * attachment)):
                if share > 0.0:
                    panels, own = (None if kind == "C" else sun), (device if kind == "PVB" else None)
                    types.append(HouseholdType(f"{name} {kind} {shape}", name, kind, each * share, figures["mean income 2022"], load, panels, own))
    return Households(types, ruling, **rest)


def assumptions(households: Households) -> tuple[Assumption, ...]:
    """Every figure behind `standard_households` with its source and status."""
    found = []
    for row in _table("income_groups.csv"):
        if row["quantity"] != "mean income 2012":
            found.append(Assumption(f"{row['group']} {row['quantity']}", row["value"], row["unit"], row["source"], row["status"]))
    for row in _table("load_shapes.csv"):
        found.append(Assumption(f"load shape {row['shape']} ({row['season']})", "24 values", row["unit"], row["source"], row["status"]))
    weather = households.weather
    found += [
        Assumption("mean use, to which spending by fifth is scaled", f"{MEAN_USE:g}", "kWh/year", "Californian average, rounded", "reconstructed"),
        Assumption("panels by fifth", ", ".join(f"{v:g}" for v in PANELS.values()), "kWdc", "around LBNL's median of 7.4", "reconstructed"),
        Assumption("clear-sky generation", "24 values", "kW/kWdc", "pvlib, Ineichen, Oakland", "computed; an upper bound on a real day"),
        Assumption("factors of generation by weather", ", ".join(f"{v:g}" for v in weather.sun), "", "", "assumption"),
        Assumption("chance that weather lasts a day", ", ".join(f"{v:g}" for v in np.diag(weather.transition)), "", "", "assumption"),
        Assumption("elasticity of demand", f"{households.elasticity:g}", "", "between short and long run of Labandeira et al. 2017", "recalled, unverified"),
        Assumption("reference price", f"{households.reference_price:g}", "$/kWh", "Californian average revenue 2023, EIA, rounded", "seen, rounded"),
        Assumption("the paper's own parameters", "unknown", "", "arXiv 2509.16296 publishes neither network nor rewards", "reconstructed"),
    ]  # fmt: skip
    if weather.seasons:
        lengths = ", ".join(f"{s.name} {s.days}" for s in dict.fromkeys(weather.seasons))
        found.append(Assumption("length of seasons", lengths, "days", "summer as in PG&E's rates, the rest in two halves", "assumption"))
    for battery in households.batteries:
        found.append(Assumption("battery", f"{battery.kwh:g} kWh, {battery.kw:g} kW", "", "Powerwall 2 class", "seen"))
        found.append(Assumption("round-trip efficiency", f"{battery.efficiency:g}", "", "Powerwall 3 data sheet", "recalled, unverified"))
        found.append(Assumption("wear", f"{battery.wear:g}", "$/kWh discharged", "installed price, half replaced after 10,000 cycles", "reconstructed"))
    return tuple(found)
