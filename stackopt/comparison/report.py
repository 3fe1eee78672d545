"""The report of a comparison: one static HTML file, a pure function of the stored JSON (schema ``stackopt.comparison/1``).

It opens without a network and reads without its script, which only sorts tables. The same JSON gives the same bytes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stackopt.comparison import report_sections
from stackopt.comparison.files import SCHEMA, output
from stackopt.comparison.report_page import page
from stackopt.errors import InvalidStore

SECTIONS = (
    ("found", "What was found"), ("values", "Values"), ("temperature", "Error and temperature"), ("time", "Time"),
    ("residuals", "Residuals"), ("bounds", "Bounds"), ("failures", "Refusals and failures"), ("problems", "Problems"),
    ("provenance", "Provenance"),
)  # fmt: skip


def write_report(comparison: Mapping[str, Any], path: str | os.PathLike[str]) -> Path:
    """Write the report of a stored comparison to `path`, whole or not at all.

    Parameters
    ----------
    comparison : mapping
        What `Comparison.to_json` returns.
    path : path-like
        The HTML file; its folder is created if need be.

    Returns
    -------
    Path
        Of the file written.

    Raises
    ------
    InvalidOutput
        If the file cannot be written.
    InvalidStore
        If the JSON has another schema.
    MissingPackage
        If jinja2 or Matplotlib is not installed.
    """
    return output(Path(path), render(comparison).encode(errors="backslashreplace"))


def render(comparison: Mapping[str, Any]) -> str:
    """The page as text; see `write_report`."""
    if comparison.get("schema") != SCHEMA:
        raise InvalidStore("store", path="given", verb="read", where=f"schema {comparison.get('schema')!r}; this report reads {SCHEMA!r}")
    return page("report.html.j2", {**report_sections.context(comparison), "sections": SECTIONS, "schema": SCHEMA})
