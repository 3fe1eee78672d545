"""A tariff study as a value: read from a TOML file that is checked key by key, with everything the computation needs.

Errors name the file, the line, the key and its unit. Files that a study names are looked up beside it.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stackopt.energy.benchmarks_named import NAMES
from stackopt.energy.designs.problem import DesignProblem, Limits, seasonal
from stackopt.energy.households import Battery, Households, Weather
from stackopt.energy.market.network import CREDIBLE
from stackopt.energy.market.supply import LinearSupply, Supply
from stackopt.energy.own_tariff import OwnTariff
from stackopt.energy.seasons import InSeason, Season, check_year, yearly
from stackopt.energy.standard import Assumption, assumptions, standard_households
from stackopt.energy.studies.data import read_types
from stackopt.energy.studies.keys import KEYS, SECTIONS, Key, figures, keys_of
from stackopt.errors import InvalidStudy

#: Settings that only count for some kind of market or population.
_LINEAR, _BARRIER = ("intercept", "slope", "floor"), ("barrier", "voll")

#: How the basis of figures counts them, by the first word of their status.
_DOUBTS = (("reconstructed", "reconstructed"), ("recalled", "recalled"), ("assumed", "assumption"))


@dataclass(frozen=True, eq=False)
class Study:
    """Everything that defines a study.

    Attributes
    ----------
    name : str
    settings : mapping of section to key to value
        As in the file, defaults filled in.
    households : Households
    market : Supply
    own : mapping of name to OwnTariff
        Tariffs of the study's own.
    assumptions : tuple of Assumption
        Every figure with its source and status.
    folder : path
        Where files that it names are.
    given : frozenset of (section, key)
        What the file states.
    """

    name: str
    settings: Mapping[str, Mapping[str, Any]]
    households: Households
    market: Supply
    own: Mapping[str, OwnTariff]
    assumptions: tuple[Assumption, ...]
    folder: Path = field(default_factory=Path)
    given: frozenset[tuple[str, str]] = frozenset()

    def __getitem__(self, place: tuple[str, str]) -> Any:
        """The value of (section, key)."""
        return self.settings[place[0]][place[1]]

    @property
    def temperature(self) -> float:
        """Of batteries' choices, $."""
        return float(self["response", "temperature"])

    @property
    def required(self) -> float:
        """Fixed costs to recover, $/day and household."""
        return float(self["revenue", "required"])

    @property
    def doubtful(self) -> tuple[Assumption, ...]:
        """Figures that outputs must label: reconstructed, recalled, assumed."""
        return tuple(a for a in self.assumptions if a.doubtful)

    @property
    def basis(self) -> str:
        """One line on what the figures rest on, for every output."""
        words: dict[str, int] = {}
        for a in self.doubtful:
            kind = next((said for said, word in _DOUBTS if a.status.startswith(word)), "other")
            words[kind] = words.get(kind, 0) + 1
        said = ", ".join(f"{count} {word}" for word, count in words.items())
        return f"of {len(self.assumptions)} inputs, {said}: see assumptions" if said else f"{len(self.assumptions)} inputs, all seen: see assumptions"

    def problem(self, gap: float = math.inf) -> DesignProblem:
        """The leader's problem with a limit on the gap of burdens."""
        t, o = self.settings["tariff"], self.settings["objective"]
        groups = self.households.groups
        ratios = None if t["ratios"] is None else [float(t["ratios"][g]) for g in groups]
        hours: dict[str, Sequence[int]] = {name: range(*ends) for name, ends in t["periods"].items()}
        periods: Mapping[str, Sequence[int] | InSeason] = seasonal(hours, self.households) if t["seasonal"] else hours
        (buy_low, buy_high), (sell_low, sell_high) = t["buy"], t["sell"]
        return DesignProblem(
            self.households, self.market, self.required, periods, (float(buy_low), float(buy_high)), (float(sell_low), float(sell_high)), float(t["pass_buy"]),
            float(t["pass_sell"]), t["net_metering"], float(t["cap"]), ratios, dict(t["discount"]), Limits(gap, float(o["peak"]), float(o["price_spread"])),
            self.temperature, self["benchmarks", "true_up"] if t["net_metering"] else None,
        )  # fmt: skip

    def changed(self, **values: Any) -> Study:
        """The same study with settings changed: ``changed(population__elasticity=0.4)``."""
        settings = {section: dict(keys) for section, keys in self.settings.items()}
        for place, value in values.items():
            section, _, key = place.partition("__")
            settings[section][key] = value
        households, market = _population(settings, self.folder), None
        market = _market(settings, households, self.folder)
        return dataclasses.replace(self, settings=settings, households=households, market=market)


class _File:
    """Where keys are in the text, for errors."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.lines: dict[tuple[str, str], int] = {}
        section = ""
        for number, line in enumerate(text.splitlines(), 1):
            head = re.match(r"\s*\[+\s*([^\]]+?)\s*\]+", line)
            key = re.match(r"\s*([\w.\-\"']+)\s*=", line)
            if head and not key:
                section = head.group(1)
                self.lines.setdefault((section, ""), number)
            elif key:
                self.lines.setdefault((section, key.group(1).strip("\"'")), number)

    def at(self, section: str, key: str = "", unit: str = "") -> str:
        line = self.lines.get((section, key), self.lines.get((section, "")))
        return f"{self.name}{f' line {line}' if line else ''}{f', [{section}] {key}'.rstrip() if section else f', {key}'}{f', unit {unit}' if unit else ''}"


def read_study(path: str | Path) -> Study:
    """Read a study file.

    Raises
    ------
    InvalidStudy
        ``study-file`` for a file that is not there or not TOML, ``study-key`` for a key that no setting has, ``setting-value`` and
        ``rate-units`` for a value that is not accepted, and the errors of the tables it names; all with the place.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as wrong:
        law = (wrong.strerror or str(wrong)) if isinstance(wrong, OSError) else "not UTF-8 text"
        raise InvalidStudy("study-file", where=f'file "{path}"', law=law) from None
    return study_of(text, path.name, path.parent)


def study_of(text: str, name: str = "study.toml", folder: str | Path = ".") -> Study:
    """The study that a TOML text describes; `name` is how errors call it, `folder` where its tables are."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as wrong:
        raise InvalidStudy("study-file", where=name, law=f"not TOML: {wrong}") from None
    file, folder = _File(name, text), Path(folder)
    title = raw.pop("name", Path(name).stem or "study")  # two files without a name must not write into one folder
    if not isinstance(title, str) or not title.strip():
        raise InvalidStudy("setting-value", where=file.at("", "name"), name="name", law="a text", got=repr(title))
    settings: dict[str, dict[str, Any]] = {section: {key.name: key.default for key in KEYS if key.section == section} for section in SECTIONS}
    given, tables = set(), {}
    for section, content in raw.items():
        if section not in SECTIONS or not isinstance(content, dict):
            where = file.at(section) if isinstance(content, dict) else file.at("", section)
            raise _unknown(section, "the file", list(SECTIONS), where)
        known = keys_of(section)
        for key, value in content.items():
            if section == "benchmarks" and isinstance(value, dict) and key not in known:
                tables[key] = value
                continue
            if key not in known:
                raise _unknown(key, f"[{section}]", list(known), file.at(section, key))
            _check(known[key], value, file)
            settings[section][key] = value
            given.add((section, key))
    _together(settings, file)
    try:
        households = _population(settings, folder)
    except InvalidStudy as wrong:
        raise _placed(wrong, file.name) from None
    try:
        market = _market(settings, households, folder)
    except InvalidStudy as wrong:
        raise _placed(wrong, file.at("market")) from None
    _groups(settings, households, file)
    own = {}
    for key, content in tables.items():
        try:
            own[key] = OwnTariff.of(key, content, settings["tariff"]["periods"], households.groups, households.weather)
        except InvalidStudy as wrong:
            raise _placed(wrong, file.at(f"benchmarks.{key}")) from None
    known_names = [*NAMES, *own]
    for place in ("names", "before"):
        value = settings["benchmarks"][place]
        for asked in value if isinstance(value, list) else [value]:
            if asked not in known_names:
                raise InvalidStudy("study-tariff", where=file.at("benchmarks", place), name=asked, close=_close(asked, known_names))
    study = Study(title, settings, households, market, own, (), folder, frozenset(given))
    study = dataclasses.replace(study, assumptions=_sheet(study))
    try:
        study.problem()
    except InvalidStudy as wrong:
        raise _placed(wrong, file.at("tariff")) from None
    return study


def _check(key: Key, value: Any, file: _File) -> None:
    where = file.at(key.section, key.name, key.unit)
    slip = next((v for v in _figures(value) if math.isfinite(v) and v and not 1.0 / CREDIBLE <= abs(v) <= CREDIBLE), None)
    if slip is not None:
        law = f"{key.law}, and not beyond {CREDIBLE:g} or nearer to 0 than {1.0 / CREDIBLE:g}"
        raise InvalidStudy("setting-value", where=where, name=key.name, law=law, got=f"{slip:g}")
    if key.accepts(value):
        return
    numbers = [v for v in (value if isinstance(value, list) else [value]) if isinstance(v, int | float) and not isinstance(v, bool)]
    if key.unit == "$/kWh" and numbers and max(map(abs, numbers)) > 10:
        worst = max(numbers, key=abs)
        raise InvalidStudy("rate-units", where=f"{where}: {value!r}", got=f"{worst:g}", unit="$/kWh")
    raise InvalidStudy("setting-value", where=where, name=key.name, law=key.law, got=repr(value))


def _figures(value: Any) -> list[float]:
    """Every number in a value of TOML."""
    if isinstance(value, dict | list):
        return [v for part in (value.values() if isinstance(value, dict) else value) for v in _figures(part)]
    if not isinstance(value, int | float) or isinstance(value, bool):
        return []
    return [float(value) if isinstance(value, float) else float(max(min(value, 10**300), -(10**300)))]


def _close(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"did you mean `{close[0]}`?" if close else f"there are {', '.join(known)}"


def _unknown(key: str, place: str, known: list[str], where: str) -> InvalidStudy:
    return InvalidStudy("study-key", where=where, key=key, place=place, close=_close(key, known))


def _placed(wrong: InvalidStudy, place: str) -> InvalidStudy:
    """The error with the place in the study file before its own witness."""
    return type(wrong)(wrong.code, where=f"{place}: {wrong.where}" if wrong.where else place, help=wrong.help, **wrong.placeholders)


def _together(settings: dict[str, dict[str, Any]], file: _File) -> None:
    """Settings that need or exclude each other."""

    def wrong(section: str, key: str, law: str, got: object) -> InvalidStudy:
        return InvalidStudy("setting-value", where=file.at(section, key), name=key, law=law, got=repr(got))

    population, weather, market = settings["population"], settings["weather"], settings["market"]
    if population["types"] is None:
        for key in ("load", "pv"):
            if population[key] is not None:
                raise wrong("population", key, "given together with `types`", population[key])
    else:
        if population["load"] is None:
            raise wrong("population", "types", "given together with `load`", population["types"])
        for key in ("shapes", "season", "adoption", "attachment"):
            if population[key] != keys_of("population")[key].default and population[key] != "year":
                raise wrong("population", key, "left out where `types` says who there is" + (', or "year"' if key == "season" else ""), population[key])
    if population["season"] == "year":
        try:
            check_year(_seasons(population))
        except InvalidStudy as bad:
            raise _placed(bad, file.at("population", "seasons")) from None
    elif population["seasons"] != keys_of("population")["seasons"].default:
        raise wrong("population", "seasons", 'left out unless season = "year"', population["seasons"])
    if settings["tariff"]["seasonal"] and population["season"] != "year":
        raise wrong("tariff", "seasonal", 'false unless season = "year"', True)
    if settings["benchmarks"]["true_up"] is not None and population["season"] != "year":
        raise wrong("benchmarks", "true_up", 'left out unless season = "year": one season has no end of the year', settings["benchmarks"]["true_up"])
    for key in ("pv", "stay"):
        given = weather[key]
        if isinstance(given, dict) and (population["season"] != "year" or set(given) != set(population["seasons"])):
            raise wrong("weather", key, f'a list, or with season = "year" one for each of {", ".join(population["seasons"])}', given)
        if any(len(one) != len(weather["regimes"]) for one in (given.values() if isinstance(given, dict) else [given])):
            raise wrong("weather", key, f"{len(weather['regimes'])} values, one for each of `regimes`", given)
    for kind, key in (("merit", "blocks"), ("network", "network")):
        if (market["kind"] == kind) != (market[key] is not None):
            raise wrong("market", key if market[key] is not None else "kind", f"given together with kind = {kind!r}", market[key] or market["kind"])
    for key in {"linear": _BARRIER, "merit": _LINEAR, "network": (*_LINEAR, "base")}[market["kind"]]:
        if market[key] != keys_of("market")[key].default:
            raise wrong("market", key, f"left out with kind = {market['kind']!r}, where it has no part", market[key])


def _seasons(population: Mapping[str, Any]) -> tuple[Season, ...]:
    return tuple(Season(name, tuple(months)) for name, months in population["seasons"].items())


def _population(settings: Mapping[str, Mapping[str, Any]], folder: Path) -> Households:
    p, s, w = settings["population"], settings["storage"], settings["weather"]
    battery = Battery(float(s["kwh"]), float(s["kw"]), float(s["efficiency"]), s["levels"], float(s["wear"]))
    days = [tuple(w[key][name] if isinstance(w[key], dict) else w[key] for key in ("pv", "stay")) for name in p["seasons"]]
    skies = [Weather(tuple(w["regimes"]), sun, stay) for sun, stay in days]
    weather: Weather | list[Weather] = skies if p["season"] == "year" else skies[0]
    rest = {"count": p["households"], "elasticity": float(p["elasticity"]), "reference_price": float(p["reference_price"])}
    if p["types"] is not None:
        ruling = yearly(skies, _seasons(p)) if p["season"] == "year" else skies[0]
        types = read_types(folder / p["types"], folder / p["load"], None if p["pv"] is None else folder / p["pv"], battery, ruling)
        return Households(types, ruling, **rest)
    built = standard_households(
        shapes=p["shapes"], season=p["season"], seasons=_seasons(p), adoption=p["adoption"], attachment=float(p["attachment"]), battery=battery,
        weather=weather, **rest,
    )  # fmt: skip
    placement = settings["market"]["placement"]
    if placement is None:
        if settings["market"]["kind"] == "network":
            law = "given with a network: where households of each shape are, as placement = { " + ", ".join(f'{s} = "BUS"' for s in p["shapes"]) + " }"
            raise InvalidStudy("setting-value", name="placement", law=law, got="none")
        return built
    for shape in p["shapes"]:
        if shape not in placement:
            raise InvalidStudy("setting-value", name="placement", law="a bus for each load shape", got=f"none for {shape!r}")
    return dataclasses.replace(built, types=[dataclasses.replace(t, bus=placement[t.name.split()[-1]]) for t in built.types])


def _market(settings: Mapping[str, Mapping[str, Any]], households: Households, folder: Path) -> Supply:
    m = settings["market"]
    if m["kind"] == "linear":
        return LinearSupply(float(m["intercept"]), float(m["slope"]), float(m["base"]), float(m["floor"]))
    if m["kind"] == "merit":
        from stackopt.energy.market.smooth import MeritOrder

        return MeritOrder([(float(c), float(v)) for c, v in m["blocks"]], float(m["barrier"]), float(m["base"]), float(m["voll"]))
    from stackopt.energy.market.matpower import read_matpower
    from stackopt.energy.market.smooth import NetworkSupply
    from stackopt.energy.market.tables import read_market

    path = folder / m["network"]
    market, load = read_matpower(path, voll=float(m["voll"])) if path.suffix == ".m" else read_market(path, voll=float(m["voll"]))
    return NetworkSupply(market, float(m["barrier"]), households.buses, load)


def _groups(settings: dict[str, dict[str, Any]], households: Households, file: _File) -> None:
    """Groups that settings name are those of the households."""
    for section, key in (("tariff", "discount"), ("tariff", "ratios"), ("benchmarks", "fixed")):
        value = settings[section][key]
        if not isinstance(value, dict):
            continue
        allowed = [*households.groups, *(["other"] if key == "fixed" else [])]
        for group in value:
            if group not in allowed:
                raise InvalidStudy("setting-value", where=file.at(section, key), name=key, law=f"for groups out of {', '.join(allowed)}", got=repr(group))
        missing = [g for g in households.groups if g not in value and "other" not in value]
        if key != "discount" and missing:
            raise InvalidStudy("setting-value", where=file.at(section, key), name=key, law="given for every group", got=f"none for {missing[0]!r}")


def _sheet(study: Study) -> tuple[Assumption, ...]:
    """Figures of the settings, then those behind the built-in population."""
    own, kind = study["population", "types"] is not None, study["market", "kind"]
    unused = {("market", key) for key in (_LINEAR if kind != "linear" else _BARRIER)}
    if kind == "network":
        unused.add(("market", "base"))
    if own:
        unused |= {("population", key) for key in ("shapes", "adoption", "attachment")}
    if study["population", "season"] != "year":
        unused |= {("population", "seasons"), *([("population", "season")] if own else [])}
    found = figures({s: dict(k) for s, k in study.settings.items()}, set(study.given), unused)
    if own:
        return (*found, *(Assumption(f"[population] {key}", str(study["population", key]), "", "study file", "definition: data of the study file")
                          for key in ("types", "load", "pv") if study["population", key]))  # fmt: skip
    season = study["population", "season"]
    for a in assumptions(study.households):
        settings = ("elasticity", "reference price", "battery", "round-trip", "wear", "factors of generation", "chance that", "length of seasons")
        repeated = a.item.startswith(settings)
        elsewhere = season != "year" and f"({season})" not in a.item
        foreign = a.item.startswith("load shape") and (elsewhere or a.item.split()[2] not in study["population", "shapes"])
        if not repeated and not foreign and not a.item.endswith("PV adoption"):
            found.append(a)
    return tuple(found)
