"""A table of a study: plain rows under named columns with units, as CSV and as text.

Every table of the CSV form ends with the column `basis`: how many inputs are reconstructed, recalled or assumed.
"""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from typing import Any

from stackopt.errors import MissingPackage


def decimals(level: float) -> int:
    """Decimals of a figure such as a peak of so many MW, that a town's changes are not all printed as 0: none from 100 on, at most four."""
    size = abs(level)
    return 0 if size >= 100.0 or not math.isfinite(size) else min(4, 2 - math.floor(math.log10(size))) if size > 0.0 else 0


@dataclass(frozen=True)
class Table:
    """Rows under named columns.

    Attributes
    ----------
    name, title : str
        Of the file, and what it shows.
    columns : tuple of (name, unit)
    rows : tuple of tuples
        Numbers and texts; None where there is no value, also in place of NaN.
    note : str
    """

    name: str
    title: str
    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[Any, ...], ...]
    note: str = ""

    def __post_init__(self) -> None:
        known = tuple(tuple(None if isinstance(v, float) and math.isnan(v) else v for v in row) for row in self.rows)
        object.__setattr__(self, "rows", known)

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

    def to_parquet(self, basis: str = "") -> bytes:
        """As a Parquet file: a column for each, its unit in the metadata of its field; title, note and basis in those of the file.

        Numbers are doubles, columns with texts are strings, what has no value is null. With `basis` as last column, as in `to_csv`.

        Raises
        ------
        MissingPackage
            Without pyarrow, which the extra ``parquet`` brings.
        """
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError:
            raise MissingPackage("package", feature="Table.to_parquet", package="stackopt[parquet]") from None
        columns = [*self.columns, *([("basis", "")] if basis else [])]
        fields, arrays = [], []
        for at, (name, unit) in enumerate(columns):
            values = [row[at] for row in self.rows] if at < len(self.columns) else [basis] * len(self.rows)
            words = any(isinstance(v, str) for v in values) or (not unit and all(v is None for v in values))
            kept = [None if v is None else _cell(v) if words else float(v) for v in values]
            kind = pyarrow.string() if words else pyarrow.float64()
            fields.append(pyarrow.field(name, kind, metadata={"unit": unit}))
            arrays.append(pyarrow.array(kept, kind))
        about = {"name": self.name, "title": self.title, "note": self.note, "basis": basis}
        stream = io.BytesIO()
        parquet.write_table(pyarrow.Table.from_arrays(arrays, schema=pyarrow.schema(fields, metadata=about)), stream)
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
    if value is None:
        return ""
    return f"{value + 0.0:.{digits}g}" if isinstance(value, float) else str(value)
