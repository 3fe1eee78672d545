"""What the report says, section by section: sentences, tables and figures made from the stored JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from stackopt.comparison import figures
from stackopt.comparison.figures import called, is_number
from stackopt.comparison.report_figures import GAP, performance_figure, residual_figures, second_view, span, temperature_figure
from stackopt.comparison.report_prose import WORDS, findings, headline, unit_of, violation
from stackopt.comparison.report_tables import Cell, Table, column, figure, heads, word
from stackopt.comparison.rows import slack
from stackopt.display import number

Json = Mapping[str, Any]


def context(comparison: Json) -> dict[str, Any]:
    """Everything the template prints."""
    problems = [_problem(comparison, name, i + 1) for i, name in enumerate(comparison["problems"])]
    packages = comparison["provenance"].get("packages") or {}
    first, tone = headline(comparison)
    return {
        "title": comparison["verdict"]["text"],
        "verdict": comparison["verdict"]["text"],
        "word": first,
        "tone": tone,
        "version": packages.get("stackopt", ""),
        "violations": [violation(v) for v in comparison["violations"]],
        "facts": _facts(comparison),
        "words": WORDS,
        "problems": problems,
        "performance_figure": performance_figure(comparison),
        "performance": _performance(comparison),
        "bounds": _bounds(comparison),
        "not_applicable": _not_applicable(comparison, with_remedy=True),
        "not_the_kind": _not_applicable(comparison, with_remedy=False),
        "failures": _failures(comparison),
        "provenance": _provenance(comparison),
        "methods": _methods(comparison),
        "cells": _cells(comparison),
    }


def _problem(comparison: Json, name: str, index: int) -> dict[str, Any]:
    problem = comparison["problems"][name]
    about = problem.get("about") or {}
    slug = f"{index}-" + (re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "problem")
    error_figure = temperature_figure(comparison, name, "error", f"error-{slug}")
    return {
        "name": name,
        "title": f"{about['title'].rstrip('.')} ({name})" if about.get("title") else name,
        "sentences": findings(comparison, name),
        "value_table": _values(comparison, name, f"values-{slug}"),
        "error_figure": error_figure,
        "first_figure": second_view(error_figure, f"found-{slug}"),
        "regret_figure": temperature_figure(comparison, name, "follower_regret", f"regret-{slug}"),
        "ladder": _ladder(comparison, name, f"temperature-{slug}"),
        "gaps": _gaps(comparison, name),
        "residual_figures": residual_figures(comparison, name, f"residual-{slug}"),
        "residuals": _residuals(comparison, name, f"residuals-{slug}"),
        "about": _about(comparison, name),
        "text": problem.get("text") or "",
        "inputs": _inputs(about.get("assumptions") or (), name, f"inputs-{slug}"),
    }


def _facts(comparison: Json) -> list[dict[str, Any]]:
    verdicts = [b["verdict"] for b in comparison["bounds"]]
    return [
        {"label": label, "value": value}
        for label, value in (
            ("problems", len(comparison["problems"])),
            ("methods", len(comparison["methods"])),
            ("runs", len(comparison["cells"])),
            ("runs certified", sum(bool(c["certified"]) for c in comparison["cells"])),
            ("bounds held", verdicts.count("holds")),
            ("bounds violated", verdicts.count("violated")),
            ("did not apply", verdicts.count("not applicable")),
        )
    ]


# --- tables -----------------------------------------------------------------------------------------------------------


def _rows(comparison: Json, name: str) -> list[Json]:
    return [r for r in comparison["rows"] if r["problem"] == name]


def _values(comparison: Json, name: str, id: str) -> Table:
    rows, unit = _rows(comparison, name), unit_of(comparison, name)
    zero = figures.rounding(comparison, name)
    errors = [_error_or_bracket(r, zero) for r in rows]
    certified, soft = column(r["value"] for r in rows), column(r["soft_value"] for r in rows)
    spread = [_spread(r, zero) for r in rows]
    references = {r["bound_reference"] for r in rows if is_number(r["bound"])}
    names = ["Method", "Status"] + (["Ties"] if len({r["target"] for r in rows}) > 1 else []) + ["#Certified value"]
    names += ["#Range over seeds"] if any(c.raw for c in spread) else []
    names += ["#Own soft follower", "#Error", "#Proved bound on the error"]
    names += ["#Follower's regret", "#Leader's regret", "#CPU s"]
    body = []
    for i, r in enumerate(rows):
        agreeing = r.get("agreeing", r["seeds"])
        line = [Cell(r["method"]), word(r["status"], f" ({agreeing} of {r['seeds']})" if agreeing < r["seeds"] else "")]
        line += [Cell(r["target"])] if "Ties" in names else []
        line += [certified[i]]
        line += [spread[i]] if "#Range over seeds" in names else []
        line += [soft[i], errors[i], _proved(r, len(references) > 1, zero)]
        line += [figure(r["follower_regret"]), figure(r["leader_regret"]), figure(r["cpu_seconds"], 3)]
        body.append(line)
    seeds = max((r["seeds"] for r in rows), default=0)
    over = f"means over {seeds} seeds, CPU seconds medians" if seeds > 1 else "one seed"
    caption = f"{name}: values and errors by method{', in' + unit if unit else ''}; {over}."
    caption += f" Reference: {comparison['problems'][name].get('reference') or 'none'}."
    caption += f" Bound on the error: [{references.pop()}]." if len(references) == 1 else ""
    if any(c.text[:1] in "≥≤" for c in errors if c.text):
        caption += " ≥: the exact value is open and this is the gap to the best value known; ≤: that best policy's gap to the proved upper bound."
    return Table(id, caption, heads(*names), body, flat=[dict(r) for r in rows])


def _error_or_bracket(row: Json, zero: float) -> Cell:
    """The error where the exact value is known; else what it is at least, or, for the best policy known, at most."""
    error, most = row["error"], row["error_at_most"]
    if not is_number(error) or (is_number(most) and most - error <= 2 * slack(row["value"])):
        return _error(error, zero)
    if error <= zero and is_number(most):
        return Cell(f"≤ {number(most, 4)}", "number", json.dumps(most))
    return Cell(f"≥ {number(error, 4)}", "number", json.dumps(error))


def _spread(row: Json, zero: float) -> Cell:
    low, high = row["value_low"], row["value_high"]
    if not (is_number(low) and is_number(high)) or high - low <= zero:
        return Cell("–", "number")
    return Cell(f"{number(low, 5)} to {number(high, 5)}", "number", json.dumps(high - low))


def _proved(row: Json, say_which: bool, zero: float) -> Cell:
    if is_number(row["bound"]):
        cell = _error(row["bound"], zero)
        return Cell(cell.text, "number", cell.raw, f"[{row['bound_reference']}]" if say_which else "")
    return Cell("none applies" if row["finished"] else "–", "number")


def _error(error: Any, zero: float) -> Cell:
    cell = figure(error)
    return Cell("0", "number", cell.raw) if is_number(error) and abs(error) <= zero else cell


def _ladder(comparison: Json, name: str, id: str) -> Table:
    zero = figures.rounding(comparison, name)
    body = []
    for family, rows in figures.ladder(comparison, name).items():
        for r in rows:
            regret_bound = figures.regret_bound(comparison, r)
            body.append([
                Cell(called(family)), figure(r["temperature"]), _error(r["error"], zero), figure(r["bound"]), figure(_ratio(r["error"], r["bound"], zero), 3),
                figure(r["follower_regret"]), figure(regret_bound), figure(_ratio(r["follower_regret"], regret_bound, 0.0), 3),
            ])  # fmt: skip
    error = "#Error" if comparison["problems"][name].get("closed") else "#Gap to the best known"
    names = ("Family", "#Temperature", error, "#Its bound", "#Ratio", "#Follower's regret", "#Its bound", "#Ratio")
    caption = f"{name}: the figures above as numbers. Ratio: measured over bound; 1 means the bound is attained."
    return Table(id, caption, heads(*names), body, empty="No method with a temperature.")


def _ratio(measured: Any, bound: Any, zero: float) -> float | None:
    return max(measured, 0.0) / bound if is_number(measured) and is_number(bound) and bound > zero else None


def _gaps(comparison: Json, name: str) -> list[str]:
    """Where the ladder has no answer or no bound, and why: one sentence per family and reason."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for family, rows in figures.ladder(comparison, name).items():
        for r in rows:
            if why := _why_none(comparison, r):
                reasons.setdefault((family, why), []).append(number(r["temperature"]))
    return [f"{called(family)} at temperature {', '.join(temperatures)}: {why}" for (family, why), temperatures in reasons.items()]


def _why_none(comparison: Json, row: Json) -> str:
    if not row["finished"]:
        return f"no answer, {row['status']}" + (f": {row['note']}" if row["note"] else "")
    if is_number(row["bound"]):
        return ""
    failed = (b for b in comparison["bounds"] if (b["problem"], b["method"]) == (row["problem"], row["method"]) and not b["applies"] and "gap" in b["of"])
    return next((f"the bound on the error [{b['reference']}] does not apply because {b['because']}" for b in failed), "no bound on the error was computed")


def _performance(comparison: Json) -> Table:
    families: dict[str, list[Json]] = {}
    for c in comparison["cells"]:
        families.setdefault(c["family"], []).append(c)
    body = []
    for family in figures.families_of(comparison):
        cells = families[family]
        ran = [c for c in cells if c["status"] != "REFUSED"]
        seconds = [s for c in ran if is_number(s := (c["stats"] or {}).get("cpu_seconds"))]
        body.append([
            Cell(called(family)), figure(len(cells)), figure(len(cells) - len(ran)), figure(sum(bool(c["certified"]) for c in cells)),
            figure(sum(figures.within_gap(comparison, c, GAP) for c in ran)), figure(median(seconds) if seconds else None, 3),
            figure(max(seconds, default=None), 3), figure(sum(bool(c["cached"]) for c in cells)),
        ])  # fmt: skip
    caption = "CPU seconds per run, by family of methods."
    if comparison["provenance"].get("parallel"):
        caption += " Runs shared the machine with others, so seconds are not comparable with those of a quiet one."
    names = ("Family", "#Runs", "#Refused", "#Certified", f"#Within {100 * GAP:g} % of exact", "#Median CPU s", "#Largest CPU s", "#From the store")
    return Table("time-by-family", caption, heads(*names), body, empty="No run.")


def _residuals(comparison: Json, name: str, id: str) -> Table:
    body = []
    for method in comparison["methods"]:
        cells = [c for c in comparison["cells"] if (c["problem"], c["method"]) == (name, method)]
        found = [(c, h) for c in cells if (h := figures.residual_history(c))]
        if found:
            last = [h[1][-1] for _, h in found]
            iterations = [(len(h[1]) - 1) * float(c.get("history_step") or 1) for c, h in found]
            body.append([
                Cell(method), Cell(found[0][1][0]), figure(len(found)), figure(median(iterations)), figure(median(h[1][0] for _, h in found), 3),
                figure(median(last), 3), Cell(span(last), "number"), Cell(found[0][0]["because"]),
            ])  # fmt: skip
    names = ("Method", "Residual", "#Seeds", "#Iterations recorded", "#First", "#Last, median", "#least to greatest", "Stopped because (first seed)")
    return Table(id, f"{name}: first and last residual of each method, over its seeds.", heads(*names), body)


def _bounds(comparison: Json) -> Table:
    groups: dict[tuple[str, str, str], list[Json]] = {}
    for b in comparison["bounds"]:
        groups.setdefault((b["reference"], b["of"], b["sense"]), []).append(b)
    body = []
    for (reference, of, sense), bounds in sorted(groups.items(), key=lambda item: _natural(item[0][0])):
        count = [b["verdict"] for b in bounds].count
        tight = [b["tightness"] for b in bounds if is_number(b["tightness"])]
        violated = count("violated")
        body.append([
            Cell(reference), Cell(of), Cell("at most" if sense == "upper" else "at least"), Cell(_named(comparison, bounds)), figure(count("holds")),
            Cell(str(violated), "number", str(violated), "✗" if violated else ""), figure(count("not applicable")), figure(count("not measured")),
            figure(median(tight) if tight else None, 3), Cell(span(tight), "number"),
        ])  # fmt: skip
    names = ("Proof", "Quantity bounded", "Sense", "Problems", "#Holds", "#Violated", "#Not applicable", "#Not measured", "#Tightness, median",
             "#least to greatest")  # fmt: skip
    flat = [{k: v for k, v in b.items() if k != "assumptions"} for b in comparison["bounds"]]
    caption = "Bounds by kind, counted over runs. The link below has every single one."
    return Table("bounds-by-kind", caption, heads(*names), body, empty="No bound was computed.", flat=flat)


def _natural(reference: str) -> list[tuple[str, int]]:
    """Sort B2.1 before B11.3."""
    return [(letters, int(digits or 0)) for letters, digits in re.findall(r"([^0-9]*)([0-9]*)", reference)]


def _named(comparison: Json, bounds: Iterable[Json]) -> str:
    names = dict.fromkeys(b["problem"] for b in bounds)
    return "all" if len(names) == len(comparison["problems"]) > 1 else ", ".join(names)


def _not_applicable(comparison: Json, with_remedy: bool) -> Table:
    """Bounds that failed on the instance (and what would mend it), or that are about another kind of answer (no remedy)."""
    groups: dict[tuple[str, str, str], list[tuple[str, Json]]] = {}
    for b in comparison["bounds"]:
        if b["verdict"] == "not applicable" and bool(b["remedy"]) is with_remedy:
            failed = next((a for a in b.get("assumptions") or () if not a["holds"]), None)
            statement, detail = (failed["statement"], failed["because"]) if failed else (b["because"], "")
            groups.setdefault((b["reference"], b["of"], statement), []).append((detail, b))
    body = []
    for (reference, of, statement), found in sorted(groups.items(), key=lambda item: _natural(item[0][0])):
        line = [Cell(reference), Cell(of), Cell(_named(comparison, (b for _, b in found))), figure(len(found)), Cell(statement), Cell(_examples(found))]
        body.append([*line, Cell(found[0][1]["remedy"])] if with_remedy else line)
    names = ("Proof", "Quantity bounded", "Problems", "#Runs", "Assumption", "Here it fails because")
    if with_remedy:
        caption = "An assumption fails on the instance."
        return Table("not-applicable", caption, heads(*names, "What would make it apply"), body, empty="Every bound of the kind applies to every run.")
    return Table("not-the-kind", "The bound is about another kind of answer.", heads(*names), body, empty="None.")


def _examples(found: Sequence[tuple[str, Json]]) -> str:
    distinct = list(dict.fromkeys(text for text, _ in found if text))
    return " … ".join(dict.fromkeys((distinct[0], distinct[-1]))) if distinct else "not verified"


def _failures(comparison: Json) -> Table:
    groups: dict[tuple[str, str, str, str], list[Json]] = {}
    for f in comparison["failures"]:
        groups.setdefault((f["problem"], f["status"], f["code"] or "", f["reason"] or ""), []).append(f)
    body = []
    for (problem, status, code, reason), found in groups.items():
        methods = list(dict.fromkeys(f["method"] for f in found))
        named = ", ".join(methods[:3]) + (f" and {len(methods) - 3} more" if len(methods) > 3 else "")
        seeds = ", ".join(str(s) for s in sorted({f["seed"] for f in found}))
        body.append([
            Cell(named), Cell(problem), word(status), Cell(seeds), Cell(f"{reason} [{code}]" if code else reason or "–"),
            Cell(found[0]["remedy"] or "–"), Cell(found[0]["command"] or found[0]["python"] or "–", "code"),
        ])  # fmt: skip
    names = ("Methods", "Problem", "Status", "Seeds", "Reason", "Remedy", "Reproduce the first")
    return Table("failures-by-reason", "Runs without a certified answer, by reason. The link below has every single one with its own line.",
                 heads(*names), body, empty="None: every run gave a certified answer.", flat=[dict(f) for f in comparison["failures"]])  # fmt: skip


def _inputs(assumptions: Sequence[Sequence[str]], name: str, id: str) -> Table | None:
    """The figures a model is made of, and how each is known; None for a model without any."""
    if not assumptions:
        return None
    body = [[Cell(item), Cell(value), Cell(unit.rstrip(",")), Cell(source), Cell(status)] for item, value, unit, source, status in assumptions]
    return Table(id, f"{name}: the figures it is made of, and how each is known.", heads("Figure", "Value", "Unit", "Source", "Status"), body)


def _about(comparison: Json, name: str) -> list[tuple[str, str]]:
    p = comparison["problems"][name]
    about = p.get("about") or {}
    pairs = [("what", about.get("title")), ("source", about.get("source")), ("unit of values", about.get("unit"))]
    if about.get("model"):
        given = ", ".join(f"{k}={v}" for k, v in (about.get("parameters") or {}).items())
        pairs.append(("model", about["model"] + (f" with {given}" if given else "")))
    pairs.append(("reference", p.get("reference")))
    for key, value in (about.get("known") or {}).items():
        side = "upper" if p.get("sense") == "min" else "lower"
        found = p.get("weak_lower" if key.startswith("weak") else side) if key in ("strong", "weak", "value") else None
        agrees = f"; found here {number(found, 9)}" if is_number(found) else ""
        pairs.append((f"known {key.replace('_', ' ')}", f"{number(value, 9) if is_number(value) else value}{agrees}"))
    pairs.append(("fingerprint", f"SHA-256 {p['fingerprint']}"))
    return [(k, str(v)) for k, v in pairs if v]


def _provenance(comparison: Json) -> list[tuple[str, str]]:
    p = comparison["provenance"]
    pairs = [
        ("command", p.get("command")),
        ("started", p.get("started")),
        ("seeds", ", ".join(str(s) for s in comparison["seeds"])),
        ("packages", ", ".join(f"{k} {v}" for k, v in (p.get("packages") or {}).items())),
        ("Python", p.get("python")),
        ("machine", ", ".join(str(x) for x in (p.get("machine"), f"{p['cpu_count']} CPUs" if p.get("cpu_count") else None) if x)),
        ("runs in parallel", "yes" if p.get("parallel") else "no"),
    ]
    return [(k, str(v)) for k, v in pairs if v]


def _methods(comparison: Json) -> Table:
    body = [
        [Cell(label), Cell(str(m.get("class") or "–")), Cell(", ".join(f"{k}={v}" for k, v in m.items() if k not in ("name", "class")) or "–")]
        for label, m in comparison["methods"].items()
    ]
    return Table("method-settings", "Every method with all its settings.", heads("Method", "Class", "Settings"), body, empty="No method.")


def _cells(comparison: Json) -> Table:
    body = []
    for c in comparison["cells"]:
        values = c["values"] or {}
        body.append([
            Cell(c["method"]), Cell(c["problem"]), figure(c["seed"]), word(c["status"]), Cell("yes" if c["certified"] else "no"),
            figure(values.get("strong"), 9), figure(values.get("weak"), 9), figure((c["stats"] or {}).get("cpu_seconds"), 3),
            Cell("stored" if c["cached"] else "computed"), Cell(c["because"] or "–"), Cell(c["key"][:12], "code"),
        ])  # fmt: skip
    names = ("Method", "Problem", "#Seed", "Status", "Certified", "#Strong value", "#Weak value", "#CPU s", "Result", "Stopped because", "Key")
    return Table("runs", "Every run.", heads(*names), body, empty="No run.")
