"""A table of a study: plain rows under named columns with units, as CSV and as text.

Every table of the CSV form ends with the column `basis`: how many inputs are reconstructed, recalled or assumed.
"""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Table:
    """Rows under named columns.

    Attributes
    ----------
    name, title : str
        Of the file, and what it shows.
    columns : tuple of (name, unit)
    rows : tuple of tuples
        Numbers and texts; None where there is no value.
    note : str
    """

    name: str
    title: str
    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[Any, ...], ...]
    note: str = ""

    @property
    def header(self) -> list[str]:
        """Names with units."""
        return [f"{name} [{unit}]" if unit else name for name, unit in self.columns]

    def column(self, name: str) -> list[Any]:
        """Values of one column."""
        at = [n for n, _ in self.columns].index(name)
        return [row[at] for row in self.rows]

    def to_csv(self, basis: str = "") -> str:
        """As CSV with a heading row; with `basis` as last column, so that no row is read without it."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(self.header + (["basis"] if basis else []))
        for row in self.rows:
            writer.writerow([_cell(v) for v in row] + ([basis] if basis else []))
        return stream.getvalue()

    def text(self, digits: int = 4) -> str:
        """As aligned text."""
        cells = [self.header, *([_cell(v, digits) for v in row] for row in self.rows)]
        widths = [max(len(row[c]) for row in cells) for c in range(len(self.columns))]
        numeric = [all(not isinstance(row[c], str) for row in self.rows) for c in range(len(self.columns))]
        lines = [self.title]
        for row in cells:
            lines.append("  " + "  ".join(v.rjust(w) if n else v.ljust(w) for v, w, n in zip(row, widths, numeric, strict=True)).rstrip())
        return "\n".join([*lines, *([f"  {self.note}"] if self.note else [])])


def _cell(value: Any, digits: int = 10) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value + 0.0:.{digits}g}" if isinstance(value, float) else str(value)
