"""The report of a tariff study: one static HTML file, a pure function of the stored ``data.json`` (schema ``stackopt.tariff-study/1``).

It opens without a network and reads without its script, which only sorts tables. Efficiency, fairness and stability are shown side by
side and never added up; inputs that nobody has verified are marked; what does not hold is a row of a table and in no figure.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stackopt.comparison.drawing import inline, pdf_file, svg_file
from stackopt.comparison.files import output
from stackopt.comparison.report_figures import Drawn, markup
from stackopt.comparison.report_page import page
from stackopt.comparison.report_tables import Table
from stackopt.energy.reports import found as report_findings
from stackopt.energy.reports import prose as report_prose
from stackopt.energy.reports.figures import figures
from stackopt.energy.reports.layout import BESIDE, FOLDED, PLACED, READ, SECTIONS, numbering
from stackopt.energy.reports.stored import SCHEMA, Stored
from stackopt.energy.reports.tables import table
from stackopt.errors import InvalidStore

#: Sections that say something without a table.
_COMPLETE = ("found", "reliance", "trade-off", "provenance")
#: What entries of the provenance are called where their names do not say it.
_ORIGIN = {"settings_sha256": "SHA-256 of the settings", "data_sha256": "SHA-256 of data files", "cpu": "processor", "commit": "git commit"}


def report(
    results: Mapping[str, Any], path: str | os.PathLike[str], *, figures_in: str | os.PathLike[str] | None = None, formats: Sequence[str] = ("svg",)
) -> Path:
    """Write the report of a stored study to `path`, whole or not at all, and on request its figures as files.

    Parameters
    ----------
    results : mapping
        What `StudyResult.to_json` returns, or ``data.json`` read back.
    path : path-like
        The HTML file; its folder is created if need be.
    figures_in : path-like, optional
        Folder for every figure as a file of its own, without finding and date: for a journal. Files of earlier runs under other names stay.
    formats : sequence of str
        Of these files: ``"svg"``, letters as outlines; ``"pdf"``, fonts embedded.

    Returns
    -------
    Path
        Of the HTML file.

    Raises
    ------
    InvalidOutput
        If the file cannot be written.
    InvalidStore
        If the JSON has another schema.
    MissingPackage
        If jinja2 or Matplotlib is not installed.
    """
    stored = _stored(results)
    plots = _plots(stored)
    written = output(Path(path), _page(stored, plots).encode(errors="backslashreplace"))
    if figures_in is not None:
        for name, text in plots.items():
            if "svg" in formats:
                output(Path(figures_in) / f"{name}.svg", text.encode())
        for name, draw in figures(stored).items() if "pdf" in formats else ():
            output(Path(figures_in) / f"{name}.pdf", pdf_file(draw(stored)))
    return written


def render(results: Mapping[str, Any]) -> str:
    """The page as text; see `report`."""
    stored = _stored(results)
    return _page(stored, _plots(stored))


def _plots(stored: Stored) -> dict[str, str]:
    """Every figure as SVG, by name."""
    return {name: svg_file(draw(stored), _id(name)) for name, draw in figures(stored).items()}


def _id(name: str) -> str:
    return f"figure-{name.replace('_', '-')}"


def _page(stored: Stored, plots: Mapping[str, str]) -> str:
    word, verdict, tone = report_prose.headline(stored)
    made = {name: table for name, table in _tables(stored).items() if table is not None}
    further = [name for name in made if name not in PLACED]
    numbers, of_tables = numbering(plots, made, further)
    tables = {name: dataclasses.replace(table, caption=f"Table {of_tables[name]}. {table.caption}") for name, table in made.items()}
    drawn = {}
    for name, plot in plots.items():
        finding = report_findings.finding(stored, name)
        beside = of_tables.get(BESIDE.get(name, name))
        caption = f"Figure {numbers[name]}. {READ[name]}" + (f" Numbers: Table {beside}." if beside else "")
        drawn[name] = (Drawn(_id(name), markup(inline(plot, _id(name), finding)), caption), finding)
    context = {
        "title": verdict, "word": word, "verdict": verdict, "tone": tone, "study": stored, "found": report_prose.found(stored), "drawn": drawn,
        "reliance": report_prose.reliance(stored), "words": report_prose.WORDS, "tables": tables, "of_tables": of_tables, "further": further,
        "provenance": _provenance(stored), "settings": _settings(stored), "sections": SECTIONS, "folded": FOLDED, "schema": SCHEMA,
        "lacking": [s.id for s in SECTIONS if s.id not in _COMPLETE and not {part.lstrip("+") for part in s.parts} & set(tables)],
        "exhibit": {"number": "", "witness": "", **(stored.data.get("exhibit") or {})},
        "version": (stored.data.get("provenance") or {}).get("packages", {}).get("stackopt", ""),
    }  # fmt: skip
    return page("report.html.j2", context, package="stackopt.energy.reports")


def _stored(results: Mapping[str, Any]) -> Stored:
    if results.get("schema") != SCHEMA:
        raise InvalidStore("store", path="given", verb="read", where=f"schema {results.get('schema')!r}; this report reads {SCHEMA!r}")
    return Stored(results)


def _tables(stored: Stored) -> dict[str, Table | None]:
    """By name; None where the study has no such table."""
    found = {name: table(stored, name) for name in stored.data["tables"]}
    found["summary"] = table(stored, "summary", drop=("because",))
    found["assumptions"] = table(stored, "assumptions", drop=("label",))  # its status says it, marked
    found["convergence"] = table(stored, "convergence", drop=("because",))
    found["frontier"] = table(stored, "frontier", drop=("because",))
    found["fixed_charges"] = table(stored, "fixed_charges", keep=lambda r: bool(r["fixed"] or r["discount"]), more="Groups without either are left out")
    together = "All kinds of household together; the average bill of all may change at equal revenue, with what wholesale purchases cost"
    found["bills"] = table(stored, "bills", keep=lambda r: r["kind"] == "all", drop=("kind",), more=together)
    found["bills_by_kind"] = table(stored, "bills", id="table-bills-by-kind", keep=lambda r: r["kind"] != "all")
    return found


def _provenance(stored: Stored) -> list[tuple[str, str]]:
    data = stored.data
    kept = dict(data.get("provenance") or {})
    command = kept.pop("command", "") or f"stackopt tariff {data['command']}"
    pairs: list[tuple[str, str]] = [("study", data["study"]), ("command", command), ("inputs", data["basis"])]
    pairs += [(_ORIGIN.get(str(k), str(k)), ", ".join(f"{a} {b}" for a, b in v.items()) if isinstance(v, Mapping) else str(v)) for k, v in kept.items() if v]
    return [*pairs, ("schema", SCHEMA)]


def _settings(stored: Stored) -> list[tuple[str, str]]:
    """Every setting of the study file, defaults filled in."""
    return [(f"[{section}] {key}", _shown(value)) for section, keys in stored.data["settings"].items() for key, value in keys.items()]


def _shown(value: Any) -> str:
    if value is None:
        return "not given"
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {_shown(v)}" for k, v in value.items()) or "none"
    return ", ".join(map(_shown, value)) if isinstance(value, list | tuple) else str(value)
