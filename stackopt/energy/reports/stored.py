"""The stored form of a study as the report reads it: rows by table, the tariffs that hold, and which few of them figures compare."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from stackopt.comparison.figures import is_number
from stackopt.solution import Status

Row = Mapping[str, Any]

#: Of the stored form that the report reads.
SCHEMA = "stackopt.tariff-study/1"

#: A tariff whose revenue misses the requirement by more, $/day and household, is not compared with others: it is cheaper or dearer for all.
SAME_REVENUE = 1e-3
#: Burdens above, % of income, count as high: the line that commissions use.
HIGH_BURDEN = 6.0

#: Commands that are about one tariff beside today's.
ONE = ("design", "evaluate", "learn")


class Stored:
    """A study's ``data.json``, schema ``stackopt.tariff-study/1``.

    Attributes
    ----------
    data : mapping
        As `StudyResult.to_json` returns it.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data = data
        self._rows: dict[str, list[Row]] = {}

    def has(self, table: str) -> bool:
        """Whether the study has this table, with rows."""
        return bool(self.data["tables"].get(table, {"rows": ()})["rows"])

    def rows(self, table: str, **where: Any) -> list[Row]:
        """Rows of a table as name to value, those whose columns have the values asked for; none for a table that is absent."""
        if table not in self._rows:
            stored = self.data["tables"].get(table, {"columns": (), "rows": ()})
            names = [c["name"] for c in stored["columns"]]
            self._rows[table] = [dict(zip(names, row, strict=True)) for row in stored["rows"]]
        return [row for row in self._rows[table] if all(row[key] == value for key, value in where.items())]

    def unit(self, table: str, column: str) -> str:
        """Of a column, as stored."""
        return str(next(c["unit"] for c in self.data["tables"][table]["columns"] if c["name"] == column))

    @cached_property
    def before(self) -> str:
        """Today's tariff, which all others are compared with."""
        return str(self.data["settings"]["benchmarks"]["before"])

    @cached_property
    def summary(self) -> dict[str, Row]:
        """Criteria of the tariffs that hold, by name: nothing else is drawn or compared."""
        return {row["tariff"]: row for row in self.rows("summary") if Status(row["status"]).success and is_number(row["cost"])}

    @cached_property
    def failed(self) -> list[Row]:
        """Rows of the tariffs that do not hold."""
        return [row for row in self.rows("summary") if row["tariff"] not in self.summary]

    @cached_property
    def equal(self) -> list[str]:
        """Tariffs that hold and recover the requirement, today's first."""
        held = [name for name, row in self.summary.items() if is_number(row["shortfall"]) and abs(row["shortfall"]) <= SAME_REVENUE]
        return sorted(held, key=lambda name: name != self.before)

    @cached_property
    def subject(self) -> str:
        """The tariff that the study is about: the learned or the designed one, or the first beside today's; "" if it does not hold."""
        names = [row["tariff"] for row in self.rows("summary")]
        asked = next((n for n in ("learned", "designed") if n in names), next((n for n in names if n != self.before), ""))
        return asked if asked in self.summary else ""

    @cached_property
    def others(self) -> list[str]:
        """Tariffs that are compared with today's: those at equal revenue beside it."""
        return [name for name in self.equal if name != self.before]

    @cached_property
    def focus(self) -> str:
        """The one tariff that a figure of a single tariff shows: the study's own, else the cheapest at equal revenue; "" without any."""
        return self.subject if self.data["command"] in ONE and self.subject in self.equal else self.least("cost")

    def least(self, column: str) -> str:
        """The tariff at equal revenue with the least figure in a column of the summary; "" without any."""
        return min(self.equal, key=lambda name: self.summary[name][column], default="")

    def chosen(self, most: int = 4) -> list[str]:
        """The few tariffs that one panel can show: today's, the study's own, the cheapest, the one with the least gap, the one with the least peak."""
        names = [self.before, self.subject if self.data["command"] in ONE else "",
                 *(self.least(c) for c in ("cost", "gap of burdens", "peak")), *self.equal]  # fmt: skip
        return list(dict.fromkeys(name for name in names if name in self.equal))[:most]

    @cached_property
    def curves(self) -> list[str]:
        """Tariffs whose Lorenz curves are drawn: today's, the study's own, the one with the least gap."""
        names = (self.before, self.subject if self.data["command"] in ONE else "", self.least("gap of burdens"))
        return list(dict.fromkeys(n for n in names if n in self.equal))

    @cached_property
    def groups(self) -> list[str]:
        """Income groups, in order."""
        return list(dict.fromkeys(row["group"] for row in self.rows("fixed_charges")))


def stored_studies(path: Path) -> list[Path]:
    """Files of stored tariff studies: `path` itself, ``data.json`` in it, or in its folders; none if it holds something else, or nothing."""
    found = [path] if path.is_file() else [path / "data.json"] if (path / "data.json").is_file() else sorted(path.glob("*/data.json"))
    return [file for file in found if _is_study(file)]


def _is_study(file: Path) -> bool:
    try:
        data = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(data, dict) and data.get("schema") == SCHEMA
