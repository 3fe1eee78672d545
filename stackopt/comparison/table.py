"""A comparison as text: the verdict first, one table per problem, the exceptions last."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from stackopt.comparison.rows import grouped, slack

Record = dict[str, Any]

#: Column -> heading. On a narrow terminal columns move together; if that is not enough, the soft value is left out.
HEADINGS = {"method": "method", "status": "status", "value": "certified", "soft_value": "soft", "error": "error", "bound": "bound",
            "follower_regret": "regret", "cpu_seconds": "CPU s"}
#: Rows shown in a notebook.
LONGEST = 50
LEGEND, SOFT = "certified: the follower best-responds", "; soft: under the method's own follower"


def verdict(cells: Sequence[Record], rows: Sequence[Record], violations: Sequence[Record]) -> Record:
    """One sentence on the whole comparison, and whether it is good: no bound violated."""
    sizes = [_count(len(grouped(list(cells), key)), key) for key in ("problem", "method", "seed")]
    head = f"Comparison: {', '.join(sizes)}: {sum(c['certified'] for c in cells)} of {len(cells)} cells certified"
    if violations:
        return {"text": f"{head}, {_count(len(violations), 'bound')} VIOLATED", "good": False}
    examined = any(b["verdict"] == "holds" for c in cells for b in c["bounds"]) or any(r["bound"] is not None for r in rows)
    return {"text": head + (", no bound violated" if examined else ""), "good": True}


def text(cells: Sequence[Record], problems: Mapping[str, Record], rows: Sequence[Record], violations: Sequence[Record], width: int = 81) -> str:
    """The printed form, at most `width` columns wide where the names allow."""
    lines = [str(verdict(cells, rows, violations)["text"])]
    table = {name: [_line(row) for row in group] for name, group in grouped(list(rows), "problem").items()}
    soft = any(r["soft_value"] is not None for r in rows)
    layouts = [(list(HEADINGS), 2), (list(HEADINGS), 1)] if soft else []
    layouts.append(([c for c in HEADINGS if c != "soft_value"], 2))
    for shown, apart in layouts:  # the last one is taken when none fits
        widths = {c: max(len(HEADINGS[c]), *(len(line[c]) for body in table.values() for line in body)) for c in shown}
        excess = 2 + sum(widths.values()) + apart * (len(shown) - 1) - width
        if excess <= 0:
            break
    widths["method"] = max(widths["method"] - max(excess, 0), 16)
    lines.append(_joined({c: HEADINGS[c] for c in shown}, widths, apart))
    for name, body in table.items():
        lines += textwrap.wrap(f"{name}: {problems[name]['reference']}", width, subsequent_indent="  ")
        lines += [_joined(line, widths, apart) for line in body]
    return "\n".join([*lines, *_last(cells, rows, violations, width, "soft_value" in shown)])


def markup(cells: Sequence[Record], problems: Mapping[str, Record], rows: Sequence[Record], violations: Sequence[Record]) -> str:
    """The same as HTML for a notebook: no script, colours inherited, the verdict as a mark and as words."""
    told = verdict(cells, rows, violations)
    mark, colour = ("✓", "#009e73") if told["good"] else ("!", "#d55e00")
    heads = "".join(f'<th scope="col" style="text-align:{_side(c)}">{title}</th>' for c, title in HEADINGS.items())
    body = []
    for name, group in grouped(list(rows[:LONGEST]), "problem").items():
        sentence = html.escape(f"{name}: {problems[name]['reference']}")
        body.append(f'<tr><th scope="rowgroup" colspan="{len(HEADINGS)}" style="text-align:left">{sentence}</th></tr>')
        for line in map(_line, group):
            body.append("<tr>" + "".join(f'<td style="text-align:{_side(c)}">{html.escape(line[c])}</td>' for c in HEADINGS) + "</tr>")
    last = [line.strip() for line in _last(cells, rows, violations, 10_000, True)]
    last += [f"{len(rows) - LONGEST} more rows: see .rows() or .frame()"] if len(rows) > LONGEST else []
    return (
        f'<div role="group" aria-label="{html.escape(told["text"])}" style="border-left:4px solid {colour};padding-left:.8em">'
        f"<strong>{mark} {html.escape(told['text'])}</strong>"
        f'<table style="color:inherit;font:inherit;background:none;font-variant-numeric:tabular-nums"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table>{'<br>'.join(html.escape(line) for line in last)}</div>"
    )


def _side(column: str) -> str:
    return "left" if column in ("method", "status") else "right"


def _line(row: Record) -> dict[str, str]:
    part = "" if row["agreeing"] == row["seeds"] else f" {row['agreeing']}/{row['seeds']}"
    return {
        "method": row["method"],
        "status": row["status"] + part,
        "value": _value(row["value"]),
        "soft_value": _value(row["soft_value"]),
        "error": _error(row),
        "bound": _small(row["bound"]),
        "follower_regret": _small(row["follower_regret"]),
        "cpu_seconds": "-" if row["cpu_seconds"] is None else f"{row['cpu_seconds']:.2f}",
    }


def _joined(line: Mapping[str, str], widths: Mapping[str, int], apart: int) -> str:
    cells = []
    for column, width in widths.items():
        word = line[column] if len(line[column]) <= width else line[column][: width - 3] + "..."
        cells.append(f"{word:<{width}}" if column in ("method", "status") else f"{word:>{width}}")
    return ("  " + (" " * apart).join(cells)).rstrip()


def _value(value: float | None) -> str:
    return "-" if value is None else f"{value:.6f}" if 1e-3 <= abs(value) < 1e3 else f"{value:.7g}"


def _small(value: float | None) -> str:
    if value is None:
        return "-"
    if abs(value) <= slack(0.0) * 1e-3:
        return "0"
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e3 else f"{value:.1e}"


def _error(row: Record) -> str:
    """The error where the exact value is known; else what it is at least, or for the best policy known, at most."""
    if row["error"] is None or row["error_at_most"] is None or row["error_at_most"] - row["error"] <= 2 * slack(row["value"]):
        return _small(row["error"])
    return f"<={_small(row['error_at_most'])}" if row["error"] == 0.0 else f">={_small(row['error'])}"


def _last(cells: Sequence[Record], rows: Sequence[Record], violations: Sequence[Record], width: int, soft: bool) -> list[str]:
    lines = []
    if any(r["finished"] for r in rows):
        lines.append(LEGEND + SOFT if soft else LEGEND)
    for v in violations:
        lines.append(f"VIOLATED {v['problem']}, {v['method']}, seed {v['seed']}: {v['text']}")
    if not violations and any(r["bound"] is not None for r in rows):
        lines.append("every measured error is within its bound")
    words = {
        "REFUSED": "refusal", "LIMIT": "limit", "FAILED": "failure", "INFEASIBLE": "infeasible cell", "UNBOUNDED": "unbounded cell",
        "NOT ATTAINED": "infimum not attained",
    }
    counts = {word: sum(c["status"] == status for c in cells) for status, word in words.items()}
    told = [_count(n, word) for word, n in counts.items() if n]
    if told:
        lines.append(f"{', '.join(told)}: reasons and remedies in .failures() and in the report")
    cached = sum(c["cached"] for c in cells)
    if cached:
        lines.append(f"{_count(cached, 'cell')} cached: from the store, not computed again; times are those of the first run")
    for row in rows:
        if row["note"] and row["status"] in ("REFUSED", "FAILED"):
            lines.append(f"{row['problem']}, {row['method']}: {row['note']}")
    return [piece for line in lines for piece in textwrap.wrap(line, width, initial_indent="  ", subsequent_indent="    ")]


def _count(n: int, one: str, many: str = "") -> str:
    return f"{n} {one}" if n == 1 else f"{n} {many or one + 's'}"
