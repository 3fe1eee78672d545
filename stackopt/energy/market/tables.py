"""Markets from tables: buses, lines, generators, storage and loads in CSV files whose headers carry the units.

    buses.csv        bus, load [MW]
    lines.csv        line, start, end, reactance [p.u.], capacity [MW]; optional: shift [deg]
    generators.csv   generator, bus, capacity [MW], cost [$/MWh]; optional: quadratic [$/MW2h], minimum [MW], ramp [MW/h], constant [$/h]
    storages.csv     storage, bus, power [MW], energy [MWh], efficiency; optional: initial [MWh]
    load.csv         hour, then a column of MW for each bus, e.g. "A [MW]"

An empty capacity of a line, or ramp of a generator, is none.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackopt.energy.market.network import CREDIBLE, Generator, Line, Market, Storage
from stackopt.errors import InvalidStudy

Array = NDArray[np.float64]
Rows = list[tuple[int, dict[str, str]]]

_NAMES = {"buses": ("bus",), "lines": ("line", "start", "end"), "generators": ("generator", "bus"), "storages": ("storage", "bus"), "load": ("hour",)}
#: Unit of each number, and what an empty cell means; None: it must be given.
_NUMBERS: dict[str, dict[str, tuple[str, float | None]]] = {
    "buses": {"load": ("MW", 0.0)},
    "lines": {"reactance": ("p.u.", None), "capacity": ("MW", np.inf), "shift": ("deg", 0.0)},
    "generators": {
        "capacity": ("MW", None), "cost": ("$/MWh", None), "quadratic": ("$/MW2h", 0.0), "minimum": ("MW", 0.0), "ramp": ("MW/h", np.inf),
        "constant": ("$/h", 0.0),
    },
    "storages": {"power": ("MW", None), "energy": ("MWh", None), "efficiency": ("", None), "initial": ("MWh", np.nan)},
}
#: Columns that a table may lack.
_OPTIONAL = {"shift", "quadratic", "minimum", "ramp", "constant", "initial"}


def _refuse(file: str, law: str, *, row: int = 0, column: str = "", unit: str = "") -> InvalidStudy:
    parts = (f'file "{file}"', f"row {row}" if row else "", f'column "{column}"' if column else "", f"unit {unit}" if unit else "")
    where = ", ".join(part for part in parts if part)
    return InvalidStudy("market-file", where=where, law=law)


class Table:
    """Rows of one kind, each number checked against the unit that the header states.

    Parameters
    ----------
    kind : str
        ``"buses"``, ``"lines"``, ``"generators"`` or ``"storages"``.
    file : str
        Named in errors.
    header : sequence of str
    rows : list of (row number in the file, cells)
    ignored : sequence of str
        Columns that are the caller's business.
    """

    def __init__(self, kind: str, file: str, header: Sequence[str], rows: Rows, ignored: Sequence[str] = ()) -> None:
        self.kind, self.file, self.rows = kind, file, rows
        units = _NUMBERS[kind]
        self.columns: dict[str, str] = {}
        for column in header:
            name, _, rest = column.partition("[")
            name, unit = name.strip(), rest.rstrip("] ").strip()
            if column in ignored:
                continue
            if name not in units and name not in _NAMES[kind]:
                known = ", ".join([*_NAMES[kind], *(f"{n} [{u}]" if u else n for n, (u, _) in units.items())])
                raise _refuse(file, f"unknown column; {kind} have {known}", row=1, column=column)
            if name in units and unit != units[name][0]:
                raise _refuse(file, f"the header must state the unit: {name} [{units[name][0]}]", row=1, column=column, unit=unit or "missing")
            if name in self.columns:
                raise _refuse(file, "the column appears twice", row=1, column=column)
            self.columns[name] = column
        for name in (*_NAMES[kind], *units):
            if name not in self.columns and name not in _OPTIONAL:
                raise _refuse(file, f"the column {name!r} is missing", row=1, column=name)

    def number(self, row: int, cells: dict[str, str], name: str) -> float:
        """One cell as a number."""
        unit, default = _NUMBERS[self.kind][name]
        column = self.columns.get(name)
        text = (cells.get(column) or "").strip() if column else ""
        if not text:
            if default is None:
                raise _refuse(self.file, "a value is missing", row=row, column=column or name, unit=unit)
            return default
        try:
            value = float(text)
        except ValueError:
            raise _refuse(self.file, f"{text!r} is not a number", row=row, column=str(column), unit=unit) from None
        if not np.isfinite(value) and not (value > 0 and default == np.inf):
            raise _refuse(self.file, f"{text!r} is not finite", row=row, column=str(column), unit=unit)
        if np.isfinite(value) and abs(value) > CREDIBLE:
            raise _refuse(self.file, f"{text!r} is not credible", row=row, column=str(column), unit=unit)
        return value

    def each(self, make: Callable[[list[str], dict[str, float]], Any]) -> list[Any]:
        """What `make` returns for the names and numbers of each row; its errors gain file and row."""
        found: list[Any] = []
        used: set[str] = set()
        for row, cells in self.rows:
            names: list[str] = []
            for name in _NAMES[self.kind]:
                names.append((cells.get(self.columns[name]) or "").strip())
                if not names[-1]:
                    raise _refuse(self.file, "a name is missing", row=row, column=self.columns[name])
            if names[0] in used:
                raise _refuse(self.file, f"{names[0]!r} appears twice", row=row, column=self.columns[_NAMES[self.kind][0]])
            used.add(names[0])
            values = {name: self.number(row, cells, name) for name in _NUMBERS[self.kind]}
            try:
                found.append(make(names, values))
            except InvalidStudy as wrong:
                raise InvalidStudy(wrong.code, where=f'file "{self.file}", row {row}: {wrong.where}', help=wrong.help, **wrong.placeholders) from None
        return found


def read_rows(path: Path) -> tuple[list[str], Rows]:
    """(header, rows numbered as an editor does) of a CSV file; raises InvalidStudy ``market-file``."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as wrong:
        raise _refuse(str(path), f"{wrong.strerror if isinstance(wrong, OSError) else 'not UTF-8 text'}") from None
    reader = csv.reader(text.splitlines(), skipinitialspace=True)
    rows = []
    try:
        header = [column.strip() for column in next(reader, [])]
        if not any(header):
            raise _refuse(str(path), "the file is empty; its first row has the names of columns", row=1)
        for mark, name in ((";", "semicolons"), ("\t", "tabs")):
            if mark in header[0] and len(header) == 1:
                raise _refuse(str(path), f"cells are separated by {name}; separate them by commas, with points in decimals", row=1)
        for column in header:
            if not column:
                raise _refuse(str(path), "a column has no name", row=1, column=f"number {header.index(column) + 1}")
            if header.count(column) > 1:
                raise _refuse(str(path), "the column appears twice", row=1, column=column)
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                raise _refuse(str(path), f"{len(cells)} cells under {len(header)} columns", row=reader.line_num)
            rows.append((reader.line_num, dict(zip(header, cells, strict=True))))
    except csv.Error as wrong:
        raise _refuse(str(path), f"not CSV: {wrong}", row=reader.line_num) from None
    return header, rows


def market_of(tables: dict[str, Table], **rest: Any) -> tuple[Market, Array]:
    """(market, load [n] MW) of tables by kind; lines and storage may be missing. `rest` is passed to `Market`."""
    load: list[float] = []
    known: set[str] = set()

    def there(kind: str, name: str, *ends: str) -> None:
        for end in ends:
            if end not in known:
                raise InvalidStudy("market-bus", where=f"{kind} {name!r} at bus {end!r}", law="exist", got=f"not among {len(known)} buses")

    def bus(names: list[str], values: dict[str, float]) -> str:
        load.append(values["load"])
        known.add(names[0])
        return names[0]

    def line(names: list[str], v: dict[str, float]) -> Line:
        name, start, end = names
        there("line", name, start, end)
        return Line(name, start, end, v["reactance"], v["capacity"], float(np.deg2rad(v["shift"])))

    def plant(names: list[str], v: dict[str, float]) -> Generator:
        name, at = names
        there("generator", name, at)
        return Generator(name, at, v["capacity"], (v["cost"], v["quadratic"]), v["minimum"], v["ramp"], v["constant"])

    def store(names: list[str], v: dict[str, float]) -> Storage:
        name, at = names
        there("storage", name, at)
        return Storage(name, at, v["power"], v["energy"], v["efficiency"], None if np.isnan(v["initial"]) else v["initial"])

    for kind in ("buses", "generators"):
        if not tables[kind].rows:
            raise _refuse(tables[kind].file, "there are no rows")
    buses = tables["buses"].each(bus)
    lines = tables["lines"].each(line) if "lines" in tables else []
    plants = tables["generators"].each(plant)
    stores = tables["storages"].each(store) if "storages" in tables else []
    return Market(buses, lines, plants, stores, **rest), np.array(load)


def read_market(folder: str | Path, **rest: Any) -> tuple[Market, Array]:
    """Read ``buses.csv``, ``generators.csv`` and, where they are there, ``lines.csv`` and ``storages.csv``.

    Parameters
    ----------
    folder : path
    **rest
        Of `Market`: voll, spill, base.

    Returns
    -------
    (Market, array [n] MW)
        The market and the load of its buses.

    Raises
    ------
    InvalidStudy
        ``market-file`` with file, row, column and unit; ``market-value``, ``market-bus`` and ``battery`` for data that break a law.
    """
    tables = {}
    for kind in ("buses", "generators", "lines", "storages"):
        path = Path(folder) / f"{kind}.csv"
        if path.exists() or kind in ("buses", "generators"):
            tables[kind] = Table(kind, str(path), *read_rows(path))
    return market_of(tables, **rest)


def read_load(path: str | Path, market: Market) -> Array:
    """Loads [n, t] MW from a table of hours (0, 1, ...) and buses; buses without a column have none.

    Raises
    ------
    InvalidStudy
        ``market-file`` with file, row, column and unit, e.g. for an hour that is missing; ``market-bus`` for an unknown bus.
    """
    header, rows = read_rows(Path(path))
    load = np.zeros((len(market.buses), len(rows)))
    if "hour" not in header:
        raise _refuse(str(path), "the column 'hour' is missing", row=1, column="hour")
    if not rows:
        raise _refuse(str(path), "there are no rows")
    seen: set[str] = set()
    for column in header:
        if column == "hour":
            continue
        bus, _, rest = column.partition("[")
        if rest.rstrip("] ").strip() != "MW":
            raise _refuse(str(path), f"the header must state the unit: {bus.strip()} [MW]", row=1, column=column, unit=rest.rstrip("] ") or "missing")
        if bus.strip() in seen:
            raise _refuse(str(path), f"bus {bus.strip()!r} appears twice", row=1, column=column)
        seen.add(bus.strip())
        try:
            at = market.at(bus.strip())
        except InvalidStudy as wrong:
            raise InvalidStudy(wrong.code, where=f'file "{path}", row 1: {wrong.where}', help=wrong.help, **wrong.placeholders) from None
        for t, (row, cells) in enumerate(rows):
            try:
                load[at, t] = float(cells[column])
            except ValueError:
                raise _refuse(str(path), f"{cells[column]!r} is not a number", row=row, column=column, unit="MW") from None
            if not abs(load[at, t]) <= CREDIBLE:
                law = "not credible" if np.isfinite(load[at, t]) else "not finite"
                raise _refuse(str(path), law, row=row, column=column, unit="MW")
    for t, (row, cells) in enumerate(rows):
        if cells["hour"].strip() != str(t):
            raise _refuse(str(path), f"hours follow one another from 0; expected {t}, got {cells['hour']!r}", row=row, column="hour")
    return load
