"""`Comparison`: finished cells and everything that follows from them."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stackopt.comparison import rows as _rows
from stackopt.comparison.bounds_table import bounds_text
from stackopt.comparison.files import SCHEMA, output
from stackopt.comparison.store import Store
from stackopt.comparison.table import markup, text, verdict
from stackopt.display import number
from stackopt.errors import InvalidStore, MissingPackage

#: Columns of results.csv and bounds.csv; seconds are seconds, everything else is in the units of the leader's reward.
RESULT_COLUMNS = (
    "problem", "method", "status", "agreeing", "certified", "seeds", "finished", "target", "value", "value_low", "value_high", "soft_value", "error",
    "error_at_most", "bound", "bound_reference", "follower_regret", "leader_regret", "cpu_seconds", "seconds", "cached", "violations",
    "family", "concept", "response", "temperature", "note",
)
BOUND_COLUMNS = ("problem", "method", "seed", "status", "of", "reference", "sense", "value", "applies", "measured", "verdict", "tightness",
                 "because", "remedy", "origin")

Record = dict[str, Any]


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Cells side by side; everything printed, drawn or saved is a pure function of them.

    Attributes
    ----------
    cells : tuple of dict
        Records of the schema documented in `stackopt.comparison.compare`.
    problems : mapping
        Name to ``{"name", "fingerprint", "text", "about"}``.
    provenance : mapping
        Versions, start, command, processors.
    """

    cells: tuple[Record, ...]
    problems: Mapping[str, Mapping[str, Any]]
    provenance: Mapping[str, Any]

    def rows(self) -> list[Record]:
        """One flat dict per problem and method: values, errors, bounds, regrets, times over its seeds."""
        return _rows.rows(self.cells)

    def bounds(self) -> list[Record]:
        """One flat dict per bound of each cell: value, what was measured, verdict, tightness, or why it does not apply."""
        return _rows.bounds(self.cells)

    def failures(self) -> list[Record]:
        """One flat dict per cell without a certified answer: reason, remedy, and the line that repeats it."""
        return _rows.failures(self.cells)

    def violations(self) -> list[Record]:
        """What was measured above what was proved: none, unless something is wrong."""
        return _rows.violations(self.cells)

    @property
    def verdict(self) -> str:
        """One sentence: the first line of everything printed."""
        return str(verdict(self.cells, self.rows(), self.violations())["text"])

    @property
    def good(self) -> bool:
        """Whether no bound is violated."""
        return not self.violations()

    def __str__(self) -> str:
        return self.text()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return markup(self.cells, self._problems(), self.rows(), self.violations())

    def text(self, width: int = 81) -> str:
        """The printed form for a terminal of `width` columns."""
        return text(self.cells, self._problems(), self.rows(), self.violations(), width)

    def bounds_text(self, width: int = 81) -> str:
        """Every kind of bound: how often it held, its value, its tightness, or why it does not apply; empty if there are none."""
        return bounds_text(self.bounds(), width)

    def _problems(self) -> dict[str, Record]:
        found = {}
        for name, group in _rows.grouped(self.cells, "problem").items():
            about = {k: v for k, v in self.problems.get(name, {}).items() if k != "name"}
            found[name] = {**about, **_rows.reference(group)}
            known = about.get("about", {}).get("known", {}).get("strong")
            if known is not None:
                found[name]["reference"] += f"; known answer {number(known, 7)}"
        return found

    def to_json(self) -> Record:
        """Everything, as plain data of schema ``stackopt.comparison/1``."""
        rows, violations = self.rows(), self.violations()
        return {
            "schema": SCHEMA,
            "verdict": verdict(self.cells, rows, violations),
            "seeds": list(_rows.grouped(self.cells, "seed")),
            "problems": self._problems(),
            "methods": {label: {"name": label, **group[0]["settings"]} for label, group in _rows.grouped(self.cells, "method").items()},
            "cells": list(self.cells),
            "rows": rows,
            "bounds": self.bounds(),
            "failures": self.failures(),
            "violations": violations,
            "provenance": dict(self.provenance),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], path: str | os.PathLike[str] = "comparison") -> Comparison:
        """The comparison that `to_json` described; errors name `path`.

        Raises
        ------
        InvalidStore
            If the data are not of schema ``stackopt.comparison/1``.
        """
        if data.get("schema") != SCHEMA:
            raise InvalidStore("store", path=path, verb="read", where=f"schema is {data.get('schema')!r}, not {SCHEMA!r}")
        kept = ("fingerprint", "text", "about")
        try:
            problems = {name: {"name": name, **{k: p[k] for k in kept if k in p}} for name, p in data["problems"].items()}
            comparison = cls(tuple(data["cells"]), problems, dict(data["provenance"]))
            comparison.rows()
        except KeyError as error:
            raise InvalidStore("store", path=path, verb="read", where=f"{error} is missing in it") from error
        except (TypeError, AttributeError, ValueError) as error:
            raise InvalidStore("store", path=path, verb="read", where=f"it is damaged: {error}") from error
        return comparison

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Comparison:
        """A comparison saved as comparison.json (or a folder with one), or all cells of a store.

        Raises
        ------
        InvalidStore
            If there is none, or it cannot be read.
        """
        path = Path(path)
        file = path / "comparison.json" if (path / "comparison.json").exists() else path
        if file.is_dir():
            return cls.from_store(file)
        try:
            data = json.loads(file.read_bytes())
        except (OSError, ValueError) as error:
            raise InvalidStore("store", path=path, verb="read", where=f"{file}: {getattr(error, 'strerror', None) or error}") from error
        return cls.from_json(data if isinstance(data, dict) else {}, file)

    @classmethod
    def from_store(cls, folder: str | os.PathLike[str]) -> Comparison:
        """All finished cells of a store; of cells that share problem, method and seed the latest counts.

        Raises
        ------
        InvalidStore
            If the folder holds no cell, or one of its cells cannot be read.
        """
        cells: dict[tuple[str, str, int], Record] = {}
        problems: dict[str, Record] = {}
        for cell, problem in Store(folder):
            name = problem["name"]
            if problems.get(name, problem)["fingerprint"] != problem["fingerprint"]:  # another problem of the same name
                name = f"{name} {problem['fingerprint'][:6]}"
            problems[name] = {**problem, "name": name}
            cells[name, cell["method"], cell["seed"]] = {**cell, "problem": name, "cached": True}
        if not cells:
            raise InvalidStore("store", path=folder, verb="read", where="it holds no finished cell")
        order = sorted(cells, key=lambda key: list(problems).index(key[0]))
        latest = list(cells.values())[-1]["provenance"]
        made = {k: latest.get(k) for k in ("python", "machine", "packages")}
        return cls(tuple(cells[k] for k in order), problems, {**made, "started": None, "command": "", "cpu_count": None, "parallel": False})

    def frame(self) -> Any:
        """The rows as a pandas DataFrame.

        Raises
        ------
        MissingPackage
            If pandas is not installed; `rows` works without it.
        """
        try:
            import pandas
        except ImportError as error:
            raise MissingPackage("package", feature="Comparison.frame", package="pandas") from error
        return pandas.DataFrame(self.rows(), columns=list(RESULT_COLUMNS))

    def save(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write results.csv, bounds.csv, comparison.json, and results.parquet where pyarrow is installed.

        Returns
        -------
        list of Path
            What was written.

        Raises
        ------
        InvalidOutput
            If the folder cannot be written to.
        """
        folder = Path(folder)
        files = {
            "results.csv": table(self.rows(), RESULT_COLUMNS),
            "bounds.csv": table(self.bounds(), BOUND_COLUMNS),
            "comparison.json": (json.dumps(self.to_json(), indent=1, allow_nan=False) + "\n").encode(),
        }
        parquet = self._parquet()
        if parquet is not None:
            files["results.parquet"] = parquet
        written = []
        for name, content in files.items():
            written.append(output(folder / name, content))
        return written

    def _parquet(self) -> bytes | None:
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            return None
        stream = io.BytesIO()
        try:
            self.frame().to_parquet(stream, index=False)
        except MissingPackage:
            return None
        return stream.getvalue()

    def report(self, path: str | os.PathLike[str]) -> Path:
        """Write a self-contained HTML report and return its path; needs the extra ``report``."""
        from stackopt.comparison.report import write_report

        write_report(self.to_json(), Path(path))
        return Path(path)

    def plot(self) -> Any:
        """Error and bound against temperature as a matplotlib Figure; needs the extra ``report``."""
        from stackopt.comparison.figures import error_figure

        return error_figure(self.to_json())


def table(records: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> bytes:
    """Records as CSV with a heading row."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return stream.getvalue().encode(errors="backslashreplace")
