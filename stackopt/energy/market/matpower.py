"""Networks in MATPOWER's case format, version 2: the columns that a DC optimal power flow uses; the rest is read and ignored.

Format: MATPOWER User's Manual, appendix B. Text is parsed, never executed; a file that computes its data is refused.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackopt.energy.market.network import CREDIBLE, Generator, Line, Market
from stackopt.errors import InvalidStudy

Array = NDArray[np.float64]

#: Column names and units, in order, as far as they are used.
COLUMNS = {
    "bus": (("bus_i", ""), ("type", ""), ("Pd", "MW"), ("Qd", "MVAr"), ("Gs", "MW")),
    "gen": (("bus", ""), ("Pg", "MW"), ("Qg", "MVAr"), ("Qmax", "MVAr"), ("Qmin", "MVAr"), ("Vg", "p.u."), ("mBase", "MVA"), ("status", ""), ("Pmax", "MW"),
            ("Pmin", "MW")),
    "branch": (("fbus", ""), ("tbus", ""), ("r", "p.u."), ("x", "p.u."), ("b", "p.u."), ("rateA", "MVA"), ("rateB", "MVA"), ("rateC", "MVA"), ("ratio", ""),
               ("angle", "deg"), ("status", "")),
    "gencost": (("model", ""), ("startup", "$"), ("shutdown", "$"), ("n", "")),
}  # fmt: skip
ISOLATED, POLYNOMIAL, CIRCLE = 4, 2, 360.0
#: What a case may hold that changes the optimum and is not supported.
FOREIGN = {
    "dcline": "lines of direct current", "if": "limits on interfaces", "reserves": "reserves", "A": "constraints of the user's own",
    "N": "costs of the user's own", "softlims": "soft limits",
}  # fmt: skip
#: Columns in which Inf stands for no limit.
LIMITS = ("rateA", "rateB", "rateC", "Qmax", "Qmin")


def _code(lines: list[str]) -> list[str]:
    """Lines without comments: from % on, texts in quotes apart, and blocks between lines of %{ and %}."""
    found, depth = [], 0
    for line in lines:
        mark = line.strip()
        depth += (mark == "%{") - (mark == "%}" and depth > 0)
        text = re.sub(r"'[^']*'|\"[^\"]*\"", lambda quoted: quoted.group().replace("%", " "), line)
        found.append("" if depth or mark in ("%{", "%}") else text.split("%")[0])
    return found


def _joined(rows: list[tuple[int, list[str]]]) -> list[tuple[int, list[str]]]:
    """Rows that end in three dots go on in the next."""
    found: list[tuple[int, list[str]]] = []
    open_ = False
    for number, cells in rows:
        dots = next((k for k, cell in enumerate(cells) if cell.startswith("...")), None)
        kept = cells[:dots]
        if open_ and found:
            found[-1][1].extend(kept)
        else:
            found.append((number, kept))
        open_ = dots is not None
    return [row for row in found if row[1]]


class _Case:
    """The matrices of a file, each row with its line number."""

    def __init__(self, path: Path) -> None:
        self.file = str(path)
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError as wrong:
            raise self.wrong(str(wrong.strerror)) from None
        text = "\n".join(_code(text.splitlines()))
        self.matrices: dict[str, list[tuple[int, list[str]]]] = {}
        for found in re.finditer(r"\bmpc\.(\w+)\s*=\s*\[([^\]]*)\]([^;\n]*)", text):
            first = text.count("\n", 0, found.start(2)) + 1
            if found.group(1) in COLUMNS and (more := found.group(3).strip(" \t,")):
                last = text.count("\n", 0, found.start(3)) + 1
                raise self.wrong(f"it computes its data: {more!r} after the matrix", row=last, column=found.group(1))
            rows = []
            for offset, line in enumerate(found.group(2).split("\n")):
                rows += [(first + offset, cells) for part in line.split(";") if (cells := part.replace(",", " ").split())]
            rows = _joined(rows)
            self.matrices[found.group(1)] = rows
        computed = re.search(r"\bmpc\.(bus|gen|branch|gencost)\s*\(", text) or re.search(r"\bmpc\.(bus|gen|branch|gencost)\s*=\s*[^\[\s]", text)
        if computed:
            row = text.count("\n", 0, computed.start()) + 1
            raise self.wrong("it computes its data; save the result with MATPOWER's savecase and read that", row=row, column=computed.group(1))
        version = re.search(r"\bmpc\.version\s*=\s*['\"]?([^'\";\s]*)", text)
        if version and version.group(1) != "2":
            row = text.count("\n", 0, version.start()) + 1
            raise self.wrong(f"version 2 of the format is read, not {version.group(1)!r}", row=row, column="version")
        base = re.search(r"\bmpc\.baseMVA\s*=\s*([^;\s]+)", text)
        if not base:
            raise self.wrong("mpc.baseMVA is missing", column="baseMVA", unit="MVA")
        row = text.count("\n", 0, base.start()) + 1
        self.base = self.number(base.group(1), row, "baseMVA", "MVA")
        if self.base <= 0:
            raise self.wrong(f"baseMVA is positive; got {base.group(1)}", row=row, column="baseMVA", unit="MVA")
        for foreign in re.finditer(rf"\bmpc\.({'|'.join(FOREIGN)})\b(\s*=\s*\[\s*\])?", text):
            if not foreign.group(2):
                row = text.count("\n", 0, foreign.start()) + 1
                raise self.wrong(f"{FOREIGN[foreign.group(1)]} are not supported", row=row, column=foreign.group(1))

    def wrong(self, law: str, *, row: int = 0, column: str = "", unit: str = "") -> InvalidStudy:
        parts = (f'file "{self.file}"', f"row {row}" if row else "", f'column "{column}"' if column else "", f"unit {unit}" if unit else "")
        return InvalidStudy("market-file", where=", ".join(part for part in parts if part), law=law)

    def number(self, text: str, row: int, column: str, unit: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = np.nan
        if not np.isfinite(value) and not (np.isinf(value) and column.rpartition(".")[2] in LIMITS):
            raise self.wrong(f"{text!r} is not a number" if np.isnan(value) else f"{text!r} is not finite", row=row, column=column, unit=unit)
        if np.isfinite(value) and abs(value) > CREDIBLE:
            raise self.wrong(f"{text!r} is not credible", row=row, column=column, unit=unit)
        return value

    def bus(self, number: float, row: int, column: str) -> str:
        """A bus by its number."""
        if number != int(number) or number < 1:
            raise self.wrong(f"buses have whole numbers from 1; got {number:g}", row=row, column=column)
        return f"{number:.0f}"

    def table(self, name: str) -> list[tuple[int, dict[str, float]]]:
        """(line, values by column) of a matrix."""
        if name not in self.matrices:
            raise self.wrong(f"mpc.{name} is missing", column=f"mpc.{name}")
        found = []
        for row, cells in self.matrices[name]:
            if len(cells) < len(COLUMNS[name]):
                missing, unit = COLUMNS[name][len(cells)]
                raise self.wrong(f"mpc.{name} has {len(cells)} columns, {len(COLUMNS[name])} are needed", row=row, column=missing, unit=unit)
            if name != "gencost" and len(cells) != len(self.matrices[name][0][1]):
                law = f"rows of a matrix are equally long: this one has {len(cells)} columns, the first {len(self.matrices[name][0][1])}"
                raise self.wrong(law, row=row, column=f"mpc.{name}")
            values = {column: self.number(cell, row, f"{name}.{column}", unit) for cell, (column, unit) in zip(cells, COLUMNS[name], strict=False)}
            found.append((row, values))
        return found

    def cost(self, row: int, cells: list[str]) -> tuple[float, float, float]:
        """(constant, linear, quadratic) of a row of gencost."""
        if self.number(cells[0], row, "gencost.model", "") != POLYNOMIAL:
            raise self.wrong("only polynomial costs (model 2) are read; give pieces as plants of their own", row=row, column="gencost.model")
        count = int(announced) if (announced := self.number(cells[3], row, "gencost.n", "")) >= 1 else 0
        if count != announced or not count:
            raise self.wrong(f"the number of coefficients is whole and at least 1; got {cells[3]}", row=row, column="gencost.n")
        if len(cells) < 4 + count:
            raise self.wrong(f"{count} coefficients are announced, {len(cells) - 4} given", row=row, column="gencost.n")
        terms = [self.number(cell, row, f"gencost.c{count - 1 - k}", "$/h") for k, cell in enumerate(cells[4 : 4 + count])][::-1]
        if any(terms[3:]):
            raise self.wrong("costs are at most quadratic", row=row, column="gencost.c3", unit="$/MW3h")
        constant, linear, quadratic = (*terms[:3], 0.0, 0.0, 0.0)[:3]
        return constant, linear, quadratic


def read_matpower(path: str | Path, **rest: Any) -> tuple[Market, Array]:
    """Read a MATPOWER case file (.m).

    Parameters
    ----------
    path : path
    **rest
        Of `Market`: voll, spill.

    Returns
    -------
    (Market, array [n] MW)
        The network in service, buses named by their numbers, plants ``"G1"``..., lines ``"L1"``... by their rows; and the load of each
        bus, shunt conductance at nominal voltage included. Taps scale reactances, a rating of 0 is none, and symmetric limits on angles
        become limits on flows, as in a DC optimal power flow.

    Raises
    ------
    InvalidStudy
        ``market-file`` with file, row, column and unit: for what is missing, not a number, computed, or not supported (piecewise costs,
        lines of direct current, limits on interfaces, reserves, constraints of one's own, one-sided limits on angles). ``market-value``,
        ``market-bus`` for data that break a law.
    """
    case = _Case(Path(path))

    def named(row: int, make: Any, *data: Any, **more: Any) -> Any:
        try:
            return make(*data, **more)
        except InvalidStudy as wrong:
            raise InvalidStudy(wrong.code, where=f'file "{path}", row {row}: {wrong.where}', help=wrong.help, **wrong.placeholders) from None

    buses, load = [], []
    known: set[str] = set()
    for row, bus in case.table("bus"):
        name = case.bus(bus["bus_i"], row, "bus.bus_i")
        if name in known:
            raise case.wrong(f"bus {name} appears twice", row=row, column="bus.bus_i")
        known.add(name)
        if bus["type"] != ISOLATED:
            buses.append(name)
            load.append(bus["Pd"] + bus["Gs"])
    present = set(buses)

    def end(values: dict[str, float], row: int, matrix: str, column: str) -> str:
        found = case.bus(values[column], row, f"{matrix}.{column}")
        if found not in known:
            raise case.wrong(f"there is no bus {found}", row=row, column=f"{matrix}.{column}")
        return found

    plants, prices = [], case.matrices.get("gencost", [])
    case.table("gencost")
    gens = case.table("gen")
    if len(prices) not in (len(gens), 2 * len(gens)):
        raise case.wrong(f"mpc.gencost has {len(prices)} rows for {len(gens)} generators", row=prices[0][0] if prices else 0, column="gencost")
    for k, (row, gen) in enumerate(gens):
        at = end(gen, row, "gen", "bus")
        if gen["status"] > 0 and at in present:
            constant, linear, quadratic = case.cost(*prices[k])
            plants.append(named(row, Generator, f"G{k + 1}", at, gen["Pmax"], (linear, quadratic), gen["Pmin"], constant=constant))
    lines = []
    for k, (row, branch) in enumerate(case.table("branch")):
        ends = end(branch, row, "branch", "fbus"), end(branch, row, "branch", "tbus")
        if branch["status"] > 0 and present.issuperset(ends):
            reactance = branch["x"] * (branch["ratio"] or 1.0)
            capacity = _limit(case, row, branch, reactance, case.matrices["branch"][k][1])
            lines.append(named(row, Line, f"L{k + 1}", *ends, reactance, capacity, float(np.deg2rad(branch["angle"]))))
    return Market(buses, lines, plants, (), base=case.base, **rest), np.array(load)


def _limit(case: _Case, row: int, branch: dict[str, float], reactance: float, cells: list[str]) -> float:
    """MW that a branch carries: its rating, or what its limit on the difference of angles allows."""
    capacity = branch["rateA"] or np.inf
    low, high = (case.number(cells[k], row, f"branch.{name}", "deg") if len(cells) > k else 0.0 for k, name in ((11, "angmin"), (12, "angmax")))
    if (low == 0 or low <= -CIRCLE) and (high == 0 or high >= CIRCLE):
        return capacity
    if low != -high or branch["angle"] or not reactance:
        raise case.wrong("limits on angles are read where they are symmetric and the branch shifts no phase", row=row, column="branch.angmin", unit="deg")
    return float(min(capacity, case.base * np.deg2rad(high) / abs(reactance)))
