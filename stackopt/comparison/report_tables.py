"""Tables of the report: cells that know their unrounded number, and the CSV behind each table."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from stackopt.comparison.figures import is_number
from stackopt.display import number

#: Statuses by how they are marked; colour only repeats what the word says.
TONES = {"PROVED": "good", "OPTIMAL": "good", "CONVERGED": "good", "FAILED": "bad"}


@dataclass(frozen=True)
class Cell:
    """One entry of a table.

    Attributes
    ----------
    text : str
        As printed.
    kind : str
        ``"text"``, ``"number"``, ``"word"`` (a marked status) or ``"code"``.
    raw : str or None
        The unrounded number, as JSON writes it.
    note : str
        Printed small behind a number.
    tone : str
        ``"good"``, ``"bad"`` or ``"wait"``, for words.
    """

    text: str
    kind: str = "text"
    raw: str | None = None
    note: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Head:
    """A column heading; `number` columns are set flush right."""

    text: str
    number: bool = False


@dataclass(frozen=True)
class Table:
    """A captioned table and the CSV of its unrounded figures (or of the longer list it condenses)."""

    id: str
    caption: str
    heads: Sequence[Head]
    rows: Sequence[Sequence[Cell]]
    empty: str = "Nothing to list."
    flat: Sequence[dict[str, Any]] = field(default=())

    @property
    def csv(self) -> str:
        """A ``data:`` link to the table as CSV."""
        out = io.StringIO()
        if self.flat:
            names = list(dict.fromkeys(k for row in self.flat for k in row))
            write = csv.DictWriter(out, names, restval="", lineterminator="\r\n")
            write.writeheader()
            write.writerows({k: _plain(v) for k, v in row.items()} for row in self.flat)
        else:
            lines = csv.writer(out, lineterminator="\r\n")
            lines.writerow([h.text for h in self.heads])
            lines.writerows([c.raw if c.raw is not None else ("" if c.kind == "number" else c.text) for c in row] for row in self.rows)
        return "data:text/csv;charset=utf-8," + quote(out.getvalue())


def _plain(value: Any) -> Any:
    if value is None:
        return ""
    return json.dumps(value) if isinstance(value, list | dict | float | bool) else value


def figure(value: Any, digits: int = 4, note: str = "") -> Cell:
    """A number at `digits` significant digits; a dash for what is not known."""
    if value is None:
        return Cell("–", "number", None, note)
    return Cell(_printed(value, digits), "number", json.dumps(value) if not isinstance(value, str) else None, note)


def _printed(value: Any, digits: int) -> str:
    return value if isinstance(value, str) else number(value, digits)


def column(values: Iterable[Any], digits: int = 7) -> list[Cell]:
    """Numbers of one column with equal decimals, so that they can be read down."""
    values = list(values)
    largest = max((abs(v) for v in values if is_number(v)), default=0.0)
    decimals = min(max(digits - 1 - math.floor(math.log10(largest)), 0), 9) if largest > 0 else 1
    return [Cell(f"{v:.{decimals}f}", "number", json.dumps(v)) if is_number(v) else figure(v) for v in values]


def word(status: str, note: str = "") -> Cell:
    """A status, marked, with a note behind it."""
    return Cell(status + note, "word", tone=TONES.get(status, "wait"))


def heads(*names: str) -> list[Head]:
    """Headings; a leading ``#`` marks a column of numbers."""
    return [Head(n.removeprefix("#"), n.startswith("#")) for n in names]
