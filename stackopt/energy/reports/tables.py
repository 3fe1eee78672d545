"""The stored tables of a study as tables of the report: the same rows and headings as the CSV files, numbers rounded for reading only."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from stackopt.comparison.figures import ROUNDING, is_number
from stackopt.comparison.report_tables import Cell, Head, Table, column, figure, word
from stackopt.display import number
from stackopt.energy.reports.stored import Row, Stored

#: A column whose largest number is so many times its middle one has numbers written one by one, not with equal decimals.
_RANGE = 1e4
#: A page shows at most so many rows and cells of a table; all of them are in its CSV file beside the page.
_MOST, _CELLS = 1200, 6000
#: In these columns what is left of sums that cancel is no figure: the search for a tariff's level stops at 1e-6.
_SUMS, _NOTHING = ("shortfall",), 1e-6
_DOUBTFUL = ("reconstructed", "recalled", "assumption")


def table(stored: Stored, name: str, *, id: str = "", keep: Callable[[Row], bool] | None = None, drop: Sequence[str] = (), more: str = "") -> Table | None:
    """A stored table, or the rows of it that `keep` wants without the columns `drop`; None if the study has none of it.

    Parameters
    ----------
    stored : Stored
    name : str
        Of the stored table.
    id : str
        In the page; the name by default.
    keep : callable, optional
        Of a row as name to value.
    drop : sequence of str
        Columns to leave out.
    more : str
        A sentence behind the caption.
    """
    if not stored.has(name):
        return None
    source = stored.data["tables"][name]
    rows = [r for r in stored.rows(name) if keep is None or keep(r)]
    said = {c["name"] for c in source["columns"] if any(r[c["name"]] != "" for r in rows)}  # a column in which no row says anything is left out
    columns = [c for c in source["columns"] if c["name"] not in drop and (c["name"] in said or not rows)]
    if len(rows) > _MOST or len(rows) * len(columns) > _CELLS:
        few = stored.chosen(2)
        shown = [r for r in rows if r["tariff"] in few][:_MOST]
        kept = " and ".join(dict.fromkeys(r["tariff"] for r in shown))
        rows, more = shown, f"{more}. The {len(shown)} rows of {kept} out of {len(rows):,}: all are in tables/{name}.csv".lstrip(". ")
    cells = [_cells(c["name"], [r[c["name"]] for r in rows]) for c in columns]
    heads = [Head(f"{c['name']} [{c['unit']}]" if c["unit"] else c["name"], _numeric([r[c["name"]] for r in rows])) for c in columns]
    caption = " ".join(s.rstrip(".") + "." for s in (source["title"], source["note"], more) if s)
    return Table(id or f"table-{name.replace('_', '-')}", caption, heads, [list(line) for line in zip(*cells, strict=True)], empty="No row.")


def _numeric(values: Sequence[Any]) -> bool:
    return any(is_number(v) for v in values) and not any(isinstance(v, str) and v for v in values)


def _cells(name: str, values: Sequence[Any]) -> list[Cell]:
    if name == "status" and all(isinstance(v, str) for v in values):
        return [_status(v) for v in values]
    if not _numeric(values):
        return [Cell(number(v, 5), "number", json.dumps(v)) if is_number(v) else Cell("–" if v is None else str(v)) for v in values]
    if all(isinstance(v, int) for v in values):
        return [figure(v) for v in values]
    sizes = [abs(v) for v in values if is_number(v) and v]
    sizes = [s for s in sizes if s > ROUNDING * max(sizes)]
    if sizes and max(sizes) < _NOTHING and name in _SUMS:
        return [Cell("0", "number", json.dumps(v)) if is_number(v) else figure(None) for v in values]
    if not sizes or max(sizes) < 1e-3 or max(sizes) / median(sizes) > _RANGE:
        return [figure(v if is_number(v) else None, 3) for v in values]
    return [_no_minus_zero(c) for c in column(values, 5)]


def _no_minus_zero(cell: Cell) -> Cell:
    return Cell(cell.text[1:], cell.kind, cell.raw) if cell.text.startswith("-") and not cell.text.strip("-0.") else cell


def _status(text: str) -> Cell:
    """A status of a result, or of an input: what is not verified is marked."""
    if text.isupper():
        return word(text)
    return Cell(text, "word", tone="wait") if text.startswith(_DOUBTFUL) else Cell(text)
