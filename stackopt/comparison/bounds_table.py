"""Every bound of a comparison as text: how often it held, its value, how tight it was, or why it did not apply."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Sequence
from typing import Any

from stackopt.comparison.rows import grouped

Record = dict[str, Any]

#: Quantities that may have either sign: measured over bound says nothing about them.
VALUES = ("leader's value", "value of", "strong commitment value", "weak commitment value", "soft commitment value")
HEADING = "bounds: held of applied, its value, tightness (measured over bound: mean, greatest)"


def bounds_text(bounds: Sequence[Record], width: int = 81) -> str:
    """The bounds of each problem, over its candidates.

    Parameters
    ----------
    bounds : sequence of dict
        As `Comparison.bounds` gives them.
    width : int
        Columns of the terminal.

    Returns
    -------
    str
        Per bound: tag and quantity, then how often it held, the range of its value and its tightness (1 when attained), then why it
        did not apply to some candidates and what would mend it. Bounds that are about another kind of answer altogether
        (a fixed point, the other follower model) are named in one line.
    """
    lines = []
    for name, group in grouped(list(bounds), "problem").items():
        body, elsewhere = _problem(group, width)
        if body:
            lines += [name, *body]
        if elsewhere:
            lines += textwrap.wrap(f"about another kind of answer: {', '.join(elsewhere)}", width, initial_indent="  ", subsequent_indent="    ")
    return "\n".join([HEADING, *lines]) if lines else ""


def _problem(bounds: Sequence[Record], width: int) -> tuple[list[str], list[str]]:
    kinds: dict[tuple[str, str], list[Record]] = {}
    for b in bounds:
        of = f"{b['of']}, from below" if b["sense"] == "lower" else str(b["of"])
        kinds.setdefault((str(b["reference"]), of), []).append(b)
    lines: list[str] = []
    elsewhere: list[str] = []
    for (reference, of), group in sorted(kinds.items(), key=lambda kind: _natural(kind[0][0])):
        verdicts = Counter(b["verdict"] for b in group)
        applied = verdicts["holds"] + verdicts["violated"]
        failed = [b for b in group if b["verdict"] == "not applicable" and b["remedy"]]
        if not applied and not failed:
            elsewhere += [reference] if verdicts["not applicable"] and reference not in elsewhere else []
            continue
        lines.append(f"  {reference}  {of}")
        if applied:
            lines.append(f"    {_held(of, group, verdicts)}")
        if failed:
            lines += textwrap.wrap(_reason(failed), width, initial_indent="    ", subsequent_indent="    ")
    return lines, elsewhere


def _held(of: str, bounds: Sequence[Record], verdicts: Counter[str]) -> str:
    words = [f"held {verdicts['holds']} of {verdicts['holds'] + verdicts['violated']}"]
    values = [b["value"] for b in bounds if b["verdict"] in ("holds", "violated") and isinstance(b["value"], int | float)]
    if values:
        low, high = min(values), max(values)
        words.append(f"value {low:.3g}" if f"{low:.3g}" == f"{high:.3g}" else f"value {low:.3g} to {high:.3g}")
    ratios = [b["tightness"] for b in bounds if b["tightness"] is not None]
    if ratios and not of.startswith(VALUES):
        words.append(f"tightness {sum(ratios) / len(ratios):.2f}, {max(ratios):.2f}")
    return ", ".join(words)


def _reason(failed: Sequence[Record]) -> str:
    because, count = Counter(str(b["because"]) for b in failed).most_common(1)[0]
    remedy = next(str(b["remedy"]) for b in failed if b["because"] == because)
    more = "" if count == len(failed) else f" (and {len(failed) - count} like it)"
    return f"not applicable to {len(failed)} because {because}{more}; remedy: {remedy}"


def _natural(reference: str) -> list[tuple[str, int]]:
    """B2.1 before B11.3."""
    return [(letters, int(digits or 0)) for letters, digits in re.findall(r"([^0-9]*)([0-9]*)", reference)]
