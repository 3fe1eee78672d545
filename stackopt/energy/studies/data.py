"""Households of one's own, from three tables whose headers carry the units.

    types.csv   type, group, kind, share, income [$/year]; optional: load, pv (columns of the other tables; by default the type's name),
                use [kWh/year] (scales the load's shape), panels [kW] (scales generation per kW), bus
    load.csv    hour, then a column for each load, e.g. "flats [kWh]"
    pv.csv      hour, then a column for each roof, clear sky, e.g. "south [kWh]"

Hours run from 0; 24 rows are an average day, more are averaged by hour of the day; where the study has seasons, a year of 8760 rows from 1 January is
averaged by season. `kind` is C, PV or PVB, share is of all households.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stackopt.energy.households import HOURS, Battery, HouseholdType, Weather
from stackopt.energy.market.tables import Rows, read_rows
from stackopt.energy.seasons import average_days, by_regime
from stackopt.errors import InvalidStudy

Array = NDArray[np.float64]

#: Columns of types.csv and their units; those after the fifth are optional.
COLUMNS = {"type": "", "group": "", "kind": "", "share": "", "income": "$/year", "load": "", "pv": "", "use": "kWh/year", "panels": "kW", "bus": ""}
REQUIRED = ("type", "group", "kind", "share", "income")
#: What a household uses in an hour on average, kWh, and earns in a year, $: beyond these, units have been mixed up.
USED, EARNED = (0.01, 100.0), 1000.0


def refuse(file: str | Path, law: str, *, row: int = 0, column: str = "", unit: str = "") -> InvalidStudy:
    """The error of a table: file, row, column and unit are its witness."""
    parts = (f'file "{file}"', f"row {row}" if row else "", f'column "{column}"' if column else "", f"unit {unit}" if unit else "")
    return InvalidStudy("study-file", where=", ".join(part for part in parts if part), law=law)


def rows_of(path: Path) -> tuple[list[str], Rows]:
    """(header, numbered rows) of a table; raises InvalidStudy ``study-file``."""
    try:
        header, rows = read_rows(path)
    except InvalidStudy as wrong:
        raise InvalidStudy("study-file", where=wrong.where, law=str(wrong.placeholders["law"])) from None
    for at, column in enumerate(header):
        if column in header[:at]:
            raise refuse(path, "the column appears twice", row=1, column=column)
    if not rows:
        raise refuse(path, "there are no rows")
    return header, rows


def _split(column: str) -> tuple[str, str]:
    name, _, rest = column.partition("[")
    return name.strip(), rest.rstrip("] ").strip()


def _value(path: Path, row: int, column: str, text: str, unit: str) -> float:
    try:
        value = float(text)
    except ValueError:
        law = f"{text!r} is not a number" + (": write 40 % as 0.4" if "%" in text else "") if text.strip() else "a value is missing"
        raise refuse(path, law, row=row, column=column, unit=unit) from None
    if not np.isfinite(value) or value < 0:
        raise refuse(path, f"{text!r} is not a finite number of at least 0", row=row, column=column, unit=unit)
    return value


def read_hours(path: Path, weather: Weather | None = None) -> dict[str, Array]:
    """Average days [24], kWh, by name of the column; days by regime [24, w] for a weather with seasons.

    Raises
    ------
    InvalidStudy
        ``study-file`` with file, row, column and unit: gaps, negative values, missing units, hours that do not make up days, or not a year where
        there are seasons.
    """
    header, rows = rows_of(path)
    if "hour" not in header:
        raise refuse(path, "the column 'hour' is missing", row=1)
    for at, (row, cells) in enumerate(rows):
        if cells["hour"].strip() != str(at):
            law = f"hours follow one another from 0: expected {at}, got {cells['hour']!r}; the column counts hours from midnight, without dates or clock times"
            raise refuse(path, law, row=row, column="hour")
    if len(rows) % HOURS:
        raise refuse(path, f"whole days of 24 hours are needed; there are {len(rows)} hours", row=rows[-1][0], column="hour")
    kinds = list(dict.fromkeys(weather.seasons)) if weather is not None else []
    if kinds and len(rows) not in (8760, 8784):
        raise refuse(path, f'season = "year" averages a year of 8760 hours, from 1 January, by season; there are {len(rows)}', row=rows[-1][0], column="hour")
    found = {}
    for column in header:
        if column == "hour":
            continue
        name, unit = _split(column)
        if unit != "kWh":
            law = f"hourly figures are in kWh: convert them, and state it: {name} [kWh]" if unit else f"the header must state the unit: {name} [kWh]"
            raise refuse(path, law, row=1, column=column, unit=unit or "missing")
        if name in found:
            raise refuse(path, f"{name!r} appears twice", row=1, column=column)
        values = np.array([_value(path, row, column, cells[column], "kWh") for row, cells in rows])
        if values.max() > 100.0 * USED[1]:
            at = int(values.argmax())
            law = f"{values[at]:g} kWh in an hour are not credible for a household"
            raise refuse(path, law, row=rows[at][0], column=column, unit="kWh")
        found[name] = by_regime(average_days(values, kinds), weather) if kinds and weather is not None else values.reshape(-1, HOURS).mean(0)
    return found


def read_types(types: Path, load: Path, pv: Path | None, battery: Battery, weather: Weather | None = None) -> list[HouseholdType]:
    """Household types from the three tables; `battery` is that of the kind PVB, and `weather` says whether there are seasons.

    Raises
    ------
    InvalidStudy
        ``study-file`` with file, row, column and unit.
    """
    header, rows = rows_of(types)
    columns: dict[str, str] = {}
    for column in header:
        name, unit = _split(column)
        if name not in COLUMNS:
            raise refuse(types, "unknown column; there are " + ", ".join(f"{n} [{u}]" if u else n for n, u in COLUMNS.items()), row=1, column=column)
        if unit != COLUMNS[name]:
            raise refuse(types, f"the header must state the unit: {name} [{COLUMNS[name]}]" if COLUMNS[name] else f"{name} has no unit", row=1, column=column,
                         unit=unit or "missing")  # fmt: skip
        if name in columns:
            raise refuse(types, "the column appears twice", row=1, column=column)
        columns[name] = column
    for name in REQUIRED:
        if name not in columns:
            raise refuse(types, f"the column {name!r} is missing", row=1)
    loads, roofs = read_hours(load, weather), read_hours(pv, weather) if pv is not None else {}
    shares = np.ones(1) if weather is None or not weather.seasons else weather.shares
    found: list[tuple[int, dict[str, str], float]] = []
    for row, cells in rows:
        mine = {name: cells[column].strip() for name, column in columns.items()}
        for name in REQUIRED[:3]:
            if not mine[name]:
                raise refuse(types, "a name is missing", row=row, column=columns[name])
        if mine["kind"] not in ("C", "PV", "PVB"):
            raise refuse(types, f"C, PV or PVB; got {mine['kind']!r}", row=row, column="kind")
        if any(mine["type"] == other["type"] for _, other, _ in found):
            raise refuse(types, f"the type {mine['type']!r} appears twice", row=row, column="type")
        found.append((row, mine, _value(types, row, "share", mine["share"], "share of all households")))
    total = sum(share for _, _, share in found)
    if abs(total - 1.0) > 1e-6:
        raise refuse(types, f"shares sum to 1; these sum to {total:.9g}", row=found[-1][0], column="share")
    return [_household(types, load, pv, columns, row, mine, share / total, loads, roofs, battery, shares) for row, mine, share in found]


def _household(
    types: Path, load: Path, pv: Path | None, columns: dict[str, str], row: int, mine: dict[str, str], share: float,
    loads: dict[str, Array], roofs: dict[str, Array], battery: Battery, shares: Array,
) -> HouseholdType:  # fmt: skip
    name, kind = mine["type"], mine["kind"]
    wanted = mine.get("load") or name
    if wanted not in loads:
        raise refuse(types, f'no column "{wanted} [kWh]" in {load.name}; there are {", ".join(loads)}', row=row, column="load" if "load" in columns else "type")
    usual = loads[wanted]
    if mine.get("use"):
        daily = float((usual.reshape(HOURS, -1) @ shares).sum())
        usual = usual / daily * _value(types, row, columns["use"], mine["use"], "kWh/year") / 365.0 if daily else usual
    if not (usual > 0).all():
        law = f"a usual load is positive in every hour of the day; that of {name!r} is 0 at {int(np.argwhere(usual <= 0)[0][0])} o'clock"
        raise refuse(load, law, column=f"{wanted} [kWh]", unit="kWh")
    if not USED[0] <= usual.mean() <= USED[1]:
        law = f"{name!r} would use {usual.mean():.4g} kWh an hour on average, which is not credible for a household: is this in MWh or Wh?"
        raise refuse(load, law, column=f"{wanted} [kWh]", unit="kWh")
    sun = None
    if kind == "C":
        for given in ("pv", "panels"):
            if mine.get(given):
                raise refuse(types, f"a consumer has no panels: leave it empty, or make the kind PV; got {mine[given]!r}", row=row, column=columns[given])
    else:
        roof = mine.get("pv") or name
        if pv is None or roof not in roofs:
            place = "`pv` is missing in the study file" if pv is None else f'no column "{roof} [kWh]" in {pv.name}; there are {", ".join(roofs)}'
            raise refuse(types, f"the kind {kind} generates: {place}", row=row, column="pv" if "pv" in columns else "kind")
        sun = roofs[roof] * (_value(types, row, columns["panels"], mine["panels"], "kW") if mine.get("panels") else 1.0)
    income = _value(types, row, columns["income"], mine["income"], "$/year")
    if not income > 0:
        raise refuse(types, "an income is positive", row=row, column=columns["income"], unit="$/year")
    if income < EARNED:
        raise refuse(types, f"an income of {income:g} $ a year is not credible: is this in thousands?", row=row, column=columns["income"], unit="$/year")
    return HouseholdType(name, mine["group"], kind, share, income, usual, sun, battery if kind == "PVB" else None, mine.get("bus", ""))
