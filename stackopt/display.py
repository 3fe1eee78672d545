"""One list of (label, value) pairs feeds the text, the notebook and the report, so they cannot disagree."""

from __future__ import annotations

import html as _html
import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

WIDTH = 79
#: Of the notebook form; where a page strips it, the tables are plain but complete.
STYLE = (
    ".stackopt th,.stackopt td{text-align:left;white-space:pre-wrap;font-variant-numeric:tabular-nums}"
    ".stackopt th{font-weight:normal;opacity:.7;padding-right:1em}.stackopt details{padding-left:.8em}"
)


def number(value: Any, digits: int = 6) -> str:
    """A figure for people: `digits` significant digits, exact zeros and integers short, a dash for None.

    An array prints as its range.
    """
    if value is None:
        return "-"
    if hasattr(value, "shape") and getattr(value, "shape", ()) != ():
        low, high = float(value.min()), float(value.max())
        return number(low, digits) if low == high else f"{number(low, digits)} .. {number(high, digits)}"
    value = float(value) + 0.0  # no minus sign before a zero
    if math.isnan(value):
        return "nan"
    return f"{value:.{digits}g}"


@dataclass(frozen=True)
class Block:
    """A verdict and the facts below it.

    Attributes
    ----------
    title : str
        The verdict; the first line of everything printed.
    rows : tuple of (label, value)
        Facts, in order. A label may be empty: the value continues the row above.
    details : tuple of Block
        Blocks folded away in a notebook and printed indented as text.
    good : bool
        Whether the verdict is favourable; a notebook shows it as a mark *and* a colour.
    """

    title: str
    rows: tuple[tuple[str, str], ...]
    details: tuple[Block, ...] = ()
    good: bool = True

    def text(self) -> str:
        """Plain text of at most `WIDTH` columns where words allow."""
        margin = max((len(label) for label, _ in self.rows), default=0) + 4
        lines = [self.title]
        for label, value in self.rows:
            for i, line in enumerate(_wrap(value, WIDTH - margin)):
                lines.append(f"  {label if i == 0 else '':<{margin - 4}}  {line}".rstrip())
        for block in self.details:
            lines.append(textwrap.indent(block.text(), "  "))
        return "\n".join(lines)

    def html(self) -> str:
        """A small group of tables without script; colours are inherited so that dark themes work."""
        _, colour = self._mark()
        return (
            f"<style>{STYLE}</style>"
            f'<div role="group" class="stackopt" aria-label="{_html.escape(self.title)}" style="border-left:4px solid {colour};padding-left:.8em">'
            f"<strong>{self._heading()}</strong>{self._body()}</div>"
        )

    def _mark(self) -> tuple[str, str]:
        return ("✓", "#009e73") if self.good else ("!", "#d55e00")

    def _heading(self) -> str:
        return f"{self._mark()[0]} {_html.escape(self.title)}"

    def _body(self) -> str:
        rows = "".join(f'<tr><th scope="row">{_html.escape(label)}</th><td>{_html.escape(value)}</td></tr>' for label, value in self.rows)
        folded = "".join(f"<details><summary>{b._heading()}</summary>{b._body()}</details>" for b in self.details)
        return f'<table style="color:inherit;font:inherit;background:none">{rows}</table>{folded}'


def _wrap(value: str, width: int) -> Sequence[str]:
    """Wrap long prose, never a value with its own layout (two spaces in a row)."""
    if len(value) <= width or "  " in value or "\n" in value:
        return value.split("\n")
    return textwrap.wrap(value, width, break_long_words=False, break_on_hyphens=False)
