"""What the report says, section by section: sentences, tables and figures made from the stored JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

from stackopt.comparison import figures
from stackopt.comparison.drawing import svg
from stackopt.comparison.figures import is_number
from stackopt.comparison.report_tables import Cell, Table, column, figure, heads, word
from stackopt.display import number

Json = Mapping[str, Any]

#: Runs count as answered in section 4 when certified within this share of the exact value.
GAP = 0.01

WORDS = (
    ("Leader and follower", "The leader commits to a policy and announces it; the follower sees it and answers with what is best for itself."),
    ("Strong and weak", "When several answers are equally good for the follower, the strong value gives the leader the best of them, the weak "
                        "value the worst."),
    ("Certified value", "The leader's value when the follower truly best-responds, recomputed from the problem's own data."),
    ("Own soft follower", "The leader's value if the follower were as soft as the method assumes. Another follower, so another question: "
                                    "it may lie above or below the certified value."),
    ("Error", "The exact value less the certified value: what the leader gives up by using this policy."),
    ("Bound on the error", "The most that can be given up, proved for this very policy without knowing the exact answer."),
    ("Regret", "What a player could still gain by changing its policy while the other's stays as it is. No regret on both sides is an equilibrium "
               "of simultaneous moves; it says nothing about the best commitment."),
    ("Commitment and fixed point", "In a commitment the leader takes the follower's reaction into account. In a fixed point each answers the "
                                   "other's policy as given, so the leader does not anticipate, and its value can stay lower at every temperature."),
    ("Temperature", "How soft a follower is, in units of its reward. max-ent and Boltzmann are two different soft followers."),
    ("Status", "OPTIMAL: the search closed its gap and the problem confirmed the value. CONVERGED: the stopping rule was met. LIMIT: it was not; "
               "never a success. REFUSED: the method does not solve this problem."),
)  # fmt: skip


class Drawn(NamedTuple):
    """A figure of the page."""

    id: str
    svg: Any
    caption: str


def context(comparison: Json) -> dict[str, Any]:
    """Everything the template prints."""
    problems = [_problem(comparison, name, i + 1) for i, name in enumerate(comparison["problems"])]
    packages = comparison["provenance"].get("packages") or {}
    return {
        "title": comparison["verdict"]["text"],
        "verdict": comparison["verdict"]["text"],
        "good": bool(comparison["verdict"]["good"]) and not comparison["violations"],
        "version": packages.get("stackopt", ""),
        "violations": [_violation(v) for v in comparison["violations"]],
        "facts": _facts(comparison),
        "words": WORDS,
        "problems": problems,
        "performance_figure": _performance_figure(comparison),
        "performance": _performance(comparison),
        "bounds": _bounds(comparison),
        "not_applicable": _not_applicable(comparison),
        "failures": _failures(comparison),
        "provenance": _provenance(comparison),
        "methods": _methods(comparison),
        "cells": _cells(comparison),
    }


def _problem(comparison: Json, name: str, index: int) -> dict[str, Any]:
    problem = comparison["problems"][name]
    about = problem.get("about") or {}
    slug = f"{index}-" + (re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "problem")
    return {
        "name": name,
        "title": f"{name}: {about['title']}" if about.get("title") else name,
        "sentences": _findings(comparison, name),
        "value_table": _values(comparison, name, f"values-{slug}"),
        "error_figure": _temperature_figure(comparison, name, "error", f"error-{slug}"),
        "regret_figure": _temperature_figure(comparison, name, "follower_regret", f"regret-{slug}"),
        "ladder": _ladder(comparison, name, f"temperature-{slug}"),
        "gaps": _gaps(comparison, name),
        "residual_figures": _residual_figures(comparison, name, f"residual-{slug}"),
        "residuals": _residuals(comparison, name, f"residuals-{slug}"),
        "about": _about(comparison, name),
        "text": problem.get("text") or "",
    }


# --- sentences --------------------------------------------------------------------------------------------------------


def _unit(comparison: Json, name: str) -> str:
    unit = (comparison["problems"][name].get("about") or {}).get("unit") or ""
    return f" {unit}" if unit else ""


def _share(error: float, exact: Any) -> str:
    return f" ({number(100 * error / abs(exact), 3)} % of the exact value)" if is_number(exact) and exact else ""


def _findings(comparison: Json, name: str) -> list[str]:
    p, unit = comparison["problems"][name], _unit(comparison, name)
    lower, upper = p.get("lower"), p.get("upper")
    sentences = []
    if p.get("closed") and is_number(lower):
        sentences.append(
            f"The exact strong commitment value is {number(lower, 7)}{unit}: {p.get('lower_by') or 'a method'} attains it, and a proved "
            f"upper bound [{p.get('upper_reference')}] meets it."
        )
    elif is_number(lower):
        proved = f", and no leader policy can exceed {number(upper, 7)}{unit} [{p.get('upper_reference')}]" if is_number(upper) else ""
        sentences.append(
            f"The exact value is not known. The best policy found attains {number(lower, 7)}{unit} ({p.get('lower_by')}){proved}. "
            "Errors below are gaps to the value attained."
        )
    else:
        sentences.append("No method gave a value here, so there is nothing to compare with.")
    if is_number(p.get("weak_lower")):
        how = "exactly" if p.get("weak_closed") else "at least"
        sentences.append(f"If ties go against the leader (weak), its best value is {how} {number(p['weak_lower'], 7)}{unit}.")
    zero = figures.rounding(comparison, name)
    for family, rows in figures.ladder(comparison, name).items():
        answered = [r for r in rows if is_number(r["error"])]
        if not answered:
            reason = next((r["note"] for r in rows if r["note"]), "")
            sentences.append(f"{family} gave no answer: {reason}." if reason else f"{family} gave no answer; see section 7.")
            continue
        best = min(answered, key=lambda r: r["error"])
        text = f"{family}: the smallest error is {_error_words(best['error'], lower, zero)}, at temperature {number(best['temperature'])}"
        if len(answered) > 1:
            first = answered[0]
            text += f"; at temperature {number(first['temperature'])} it is {_error_words(first['error'], lower, zero)}"
        if is_number(best["soft_value"]):
            text += f". There the leader gets {number(best['value'], 7)}{unit} certified, {number(best['soft_value'], 7)}{unit} under its own soft follower"
        sentences.append(text + ".")
    return sentences


def _error_words(error: float, exact: Any, zero: float) -> str:
    if abs(error) <= zero:
        return "zero to rounding"
    return number(error, 3) + _share(error, exact)


def _violation(v: Json) -> str:
    text = v.get("text") or f"{v['of']}: measured {number(v['measured'])}, proved {number(v['bound'])} [{v['reference']}]"
    return f"{v['problem']}, {v['method']}, seed {v['seed']}: {text}"


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
            ("not applicable", verdicts.count("not applicable")),
        )
    ]


# --- tables -----------------------------------------------------------------------------------------------------------


def _rows(comparison: Json, name: str) -> list[Json]:
    return [r for r in comparison["rows"] if r["problem"] == name]


def _values(comparison: Json, name: str, id: str) -> Table:
    rows, unit = _rows(comparison, name), _unit(comparison, name)
    zero = figures.rounding(comparison, name)
    certified, soft = column(r["value"] for r in rows), column(r["soft_value"] for r in rows)
    spread = [_spread(r, zero) for r in rows]
    references = {r["bound_reference"] for r in rows if is_number(r["bound"])}
    names = ["Method", "Status"] + (["Ties"] if len({r["target"] for r in rows}) > 1 else []) + ["#Certified value"]
    names += ["#Range over seeds"] if any(c.raw for c in spread) else []
    names += ["#Own soft follower", "#Error", "#Proved bound on the error", "#Follower's regret", "#Leader's regret", "#CPU s"]
    body = []
    for i, r in enumerate(rows):
        line = [Cell(r["method"]), word(r["status"])]
        line += [Cell(r["target"])] if "Ties" in names else []
        line += [certified[i]]
        line += [spread[i]] if "#Range over seeds" in names else []
        line += [soft[i], _error(r["error"], zero), _proved(r, len(references) > 1)]
        line += [figure(r["follower_regret"]), figure(r["leader_regret"]), figure(r["cpu_seconds"], 3)]
        body.append(line)
    seeds = max((r["seeds"] for r in rows), default=0)
    over = f"means over {seeds} seeds, CPU seconds medians" if seeds > 1 else "one seed"
    caption = f"{name}: values and errors by method{', in' + unit if unit else ''}; {over}."
    caption += f" Reference: {comparison['problems'][name].get('reference') or 'none'}."
    caption += f" Bound on the error: [{references.pop()}]." if len(references) == 1 else ""
    return Table(id, caption, heads(*names), body, flat=[dict(r) for r in rows])


def _spread(row: Json, zero: float) -> Cell:
    low, high = row["value_low"], row["value_high"]
    if not (is_number(low) and is_number(high)) or high - low <= zero:
        return Cell("–", "number")
    return Cell(f"{number(low, 5)} to {number(high, 5)}", "number", json.dumps(high - low))


def _proved(row: Json, say_which: bool) -> Cell:
    if is_number(row["bound"]):
        return figure(row["bound"], note=f"[{row['bound_reference']}]" if say_which else "")
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
                Cell(family), figure(r["temperature"]), _error(r["error"], zero), figure(r["bound"]), figure(_ratio(r["error"], r["bound"], zero), 3),
                figure(r["follower_regret"]), figure(regret_bound), figure(_ratio(r["follower_regret"], regret_bound, 0.0), 3),
            ])  # fmt: skip
    names = ("Family", "#Temperature", "#Error", "#Its bound", "#Error / bound", "#Follower's regret", "#Its bound", "#Regret / bound")
    caption = f"{name}: the figures above as numbers. A ratio of 1 means the bound is attained."
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
    return [f"{family} at temperature {', '.join(temperatures)}: {why}" for (family, why), temperatures in reasons.items()]


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
            Cell(family), figure(len(cells)), figure(len(cells) - len(ran)), figure(sum(bool(c["certified"]) for c in cells)),
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
                figure(median(last), 3), Cell(_range(last), "number"), Cell(found[0][0]["because"]),
            ])  # fmt: skip
    names = ("Method", "Residual", "#Seeds", "#Iterations recorded", "#First", "#Last, median", "#least to greatest", "Stopped because (first seed)")
    return Table(id, f"{name}: first and last residual of each method, over its seeds.", heads(*names), body)


def _bounds(comparison: Json) -> Table:
    groups: dict[tuple[str, str, str, str], list[Json]] = {}
    for b in comparison["bounds"]:
        groups.setdefault((b["problem"], b["reference"], b["of"], b["sense"]), []).append(b)
    body = []
    for (problem, reference, of, sense), bounds in groups.items():
        count = [b["verdict"] for b in bounds].count
        tight = [b["tightness"] for b in bounds if is_number(b["tightness"])]
        violated = count("violated")
        body.append([
            Cell(of), Cell(problem), Cell(reference), Cell("at most" if sense == "upper" else "at least"), figure(count("holds")),
            Cell(str(violated), "number", str(violated), "✗" if violated else ""), figure(count("not applicable")), figure(count("not measured")),
            figure(median(tight) if tight else None, 3), Cell(_range(tight), "number"),
        ])  # fmt: skip
    names = ("Quantity bounded", "Problem", "Proof", "Sense", "#Holds", "#Violated", "#Not applicable", "#Not measured", "#Tightness, median",
             "#least to greatest")  # fmt: skip
    flat = [{k: v for k, v in b.items() if k != "assumptions"} for b in comparison["bounds"]]
    caption = "Bounds by kind, counted over runs. The link below has every single one."
    return Table("bounds-by-kind", caption, heads(*names), body, empty="No bound was computed.", flat=flat)


def _range(values: Sequence[float]) -> str:
    return f"{number(min(values), 3)} to {number(max(values), 3)}" if values else "–"


def _not_applicable(comparison: Json) -> Table:
    groups: dict[tuple[str, str, str, str], list[tuple[str, Json]]] = {}
    for b in comparison["bounds"]:
        if b["verdict"] == "not applicable":
            failed = next((a for a in b.get("assumptions") or () if not a["holds"]), None)
            statement, figure_ = (failed["statement"], failed["because"]) if failed else (b["because"], "")
            groups.setdefault((b["problem"], b["reference"], b["of"], statement), []).append((figure_, b))
    body = [
        [Cell(of), Cell(problem), Cell(reference), figure(len(found)), Cell(statement), Cell(_examples(found)), Cell(found[0][1]["remedy"] or "–")]
        for (problem, reference, of, statement), found in groups.items()
    ]
    names = ("Quantity bounded", "Problem", "Proof", "#Runs", "Failed assumption", "Here", "What would make it apply")
    return Table("not-applicable", "Bounds that do not apply, by failed assumption.", heads(*names), body, empty="Every bound applies to every run.")


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
            Cell(problem), Cell(named), figure(len(found)), Cell(seeds), word(status), Cell(f"{reason} [{code}]" if code else reason or "–"),
            Cell(found[0]["remedy"] or "–"), Cell(found[0]["command"] or found[0]["python"] or "–", "code"),
        ])  # fmt: skip
    names = ("Problem", "Methods", "#Runs", "Seeds", "Status", "Reason", "Remedy", "Reproduce the first")
    return Table("failures-by-reason", "Runs without a certified answer, by reason. The link below has every single one with its own line.",
                 heads(*names), body, empty="None: every run gave a certified answer.", flat=[dict(f) for f in comparison["failures"]])  # fmt: skip


def _about(comparison: Json, name: str) -> list[tuple[str, str]]:
    p = comparison["problems"][name]
    about = p.get("about") or {}
    pairs = [("what", about.get("title")), ("source", about.get("source")), ("unit of values", about.get("unit"))]
    if about.get("model"):
        given = ", ".join(f"{k}={v}" for k, v in (about.get("parameters") or {}).items())
        pairs.append(("model", about["model"] + (f" with {given}" if given else "")))
    pairs.append(("reference", p.get("reference")))
    for key, value in (about.get("known") or {}).items():
        found = p.get("weak_lower" if key.startswith("weak") else "lower") if key in ("strong", "weak", "value") else None
        agrees = f"; found here {number(found, 9)}" if is_number(found) else ""
        pairs.append((f"known {key}", f"{number(value, 9) if is_number(value) else value}{agrees}"))
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


# --- figures ----------------------------------------------------------------------------------------------------------


def _markup(text: str) -> Any:
    from markupsafe import Markup

    return Markup(text)  # made by `drawing.svg`, which escapes what it is given


def _temperature_figure(comparison: Json, name: str, quantity: str, id: str) -> Drawn | None:
    families = figures.ladder(comparison, name)
    if not any(is_number(r[quantity]) for rows in families.values() for r in rows):
        return None
    draw, what = {
        "error": (figures.error_figure, "error of the certified value"),
        "follower_regret": (figures.regret_figure, "follower's regret"),
    }[quantity]
    parts = []
    for family, rows in families.items():
        answered = [r for r in rows if is_number(r[quantity])]
        if answered:
            high, low = answered[0], answered[-1]
            first, last = (f"{number(r[quantity], 3)} at temperature {number(r['temperature'])}" for r in (high, low))
            parts.append(f"{family}, {first} and {last}")
    finding = f"{name}, {what} against temperature: " + "; ".join(parts)
    caption = f"{what[0].upper()}{what[1:]} against temperature, with the bound proved for it. Both axes are logarithmic; open marks are zeros to rounding."
    return Drawn(id, _markup(svg(draw(comparison, name), id, finding)), caption)


def _residual_figures(comparison: Json, name: str, id: str) -> list[Drawn]:
    drawn = []
    for i, family in enumerate(figures.families_of(comparison)):
        found = [h[1][-1] for c in comparison["cells"] if (c["problem"], c["family"]) == (name, family) and (h := figures.residual_history(c))]
        if found:
            finding = f"{name}, {family}, residual by iteration: the last residuals of {len(found)} runs range over {_range(found)}"
            caption = f"{family}: residual by iteration, median over seeds, range shaded where there are several."
            drawn.append(Drawn(f"{id}-{i}", _markup(svg(figures.residual_figure(comparison, name, family), f"{id}-{i}", finding)), caption))
    return drawn


def _performance_figure(comparison: Json) -> Drawn | None:
    ran = [c for c in comparison["cells"] if c["status"] != "REFUSED" and is_number((c["stats"] or {}).get("cpu_seconds"))]
    if not ran:
        return None
    good = sum(figures.within_gap(comparison, c, GAP) for c in ran)
    finding = f"Share of runs by CPU time: {good} of {len(ran)} runs gave a certified answer within {100 * GAP:g} percent of the exact value"
    caption = (
        f"Share of runs certified within {100 * GAP:g} % of the exact value, by CPU time. A temperature is part of a run: high ones cannot come close. "
        "Open marks are runs that ended without such an answer."
    )
    return Drawn("time-figure", _markup(svg(figures.performance_figure(comparison, GAP), "time-figure", finding)), caption)
