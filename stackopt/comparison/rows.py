"""From finished cells to the table: exact values per problem, errors against them, bounds on the errors, violations.

Pure functions of plain JSON data. The exact value of a problem is bracketed by what the cells themselves established: on one
side the best value that any cell attained and its problem verified, on the other the sharpest applicable bound that a search proved
on all leader decisions. An error is measured against that bracket; it is exact when the bracket is closed. The leader of a game
maximises; that of a bilevel program may minimise (`sense` of its cells), and then the attained value is the upper side.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from stackopt.comparison.plain import figure
from stackopt.display import number
from stackopt.solution import STRONG_VALUE

#: Relative rounding allowance when two values, or a value and a bound, are compared.
TOLERANCE = 1e-6
#: From good to bad; a row over several seeds shows the worst.
STATUSES = ("PROVED", "OPTIMAL", "CONVERGED", "LIMIT", "INFEASIBLE", "UNBOUNDED", "NOT ATTAINED", "REFUSED", "FAILED")

Record = dict[str, Any]


def slack(*values: float) -> float:
    """The rounding allowance for a comparison of these values."""
    return TOLERANCE * max(1.0, *(abs(v) for v in values))


def trusted(cell: Mapping[str, Any]) -> bool:
    """Whether the values of a cell may serve as reference: all checks passed, and it did not fail."""
    return bool(cell["verified"]) and cell["status"] not in ("FAILED", "REFUSED")


def value_of(cell: Mapping[str, Any], target: str) -> float | None:
    """The certified leader value of a cell: what its policy is worth against a best-responding follower."""
    value = cell["values"].get(target, cell["values"].get(cell["objective"]))
    return None if value is None or cell["status"] in ("FAILED", "REFUSED") else figure(value)


def target_of(cell: Mapping[str, Any]) -> str:
    """Whether a cell aims at the weak (pessimistic) or the strong exact value."""
    return "weak" if cell["concept"] == "weak" else "strong"


def reference(cells: Sequence[Record]) -> Record:
    """The bracket of the exact strong and weak values of one problem, and who established it.

    Returns
    -------
    dict
        `lower`, `upper` (None if nothing was proved), `closed`, the same with prefix ``weak_``; which of the two was `attained`, by
        what method (`lower_by`), and which `proved`, by what (`upper_reference`); `sense`; and one sentence, `reference`.
    """
    usable = [c for c in cells if trusted(c)]
    strong, weak, sign = _best(usable, "strong"), _best(usable, "weak"), _sign(cells[0])
    proved = min((pair for c in usable for pair in _proved(c)), key=lambda pair: (sign * pair[0], pair[1]), default=(None, ""))
    found: Record = {"sense": "max" if sign > 0 else "min", "quantity": _quantity(cells[0]), "attained": strong[0], "lower_by": strong[1],
                     "proved": proved[0], "upper_reference": proved[1], "weak_attained": weak[0]}  # fmt: skip
    below, above = ("attained", "proved") if sign > 0 else ("proved", "attained")
    found |= {"lower": found[below], "upper": found[above]}
    sides = (weak[0], proved[0])  # a weak value is no better than the strong one
    found["weak_lower"], found["weak_upper"] = sides if sign > 0 else sides[::-1]
    found["closed"] = _closed(strong[0], proved[0])
    found["weak_closed"] = _closed(weak[0], proved[0])
    found["reference"] = _sentence(found)
    return found


def _sign(cell: Mapping[str, Any]) -> float:
    """+1 where the leader maximises, -1 where it minimises."""
    return -1.0 if cell.get("sense") == "min" else 1.0


def _quantity(cell: Mapping[str, Any]) -> str:
    """What a bound on the exact value is a bound of, in the words of `Bound.of`."""
    return str(cell.get("quantity", STRONG_VALUE))


def _proved(cell: Mapping[str, Any]) -> list[tuple[float, str]]:
    """Bounds on the exact value: of the search, and value plus gap of the certificate  [B8]."""
    strong = value_of(cell, "strong")
    found = [(figure(b["value"]), b["reference"]) for b in cell["bounds"] if b["applies"] and b["of"] == _quantity(cell)]
    if strong is not None:
        found += [(strong + figure(b["value"]), b["reference"]) for b in cell["bounds"] if b["applies"] and _is_gap(b)]
    return found


def _is_gap(bound: Mapping[str, Any]) -> bool:
    """Whether a bound is the certificate's, on the gap between a commitment and the best one."""
    return bool(bound["origin"] == "certificate" and bound["of"].startswith("gap"))


def _best(cells: Sequence[Record], target: str) -> tuple[float | None, str]:
    """The best certified value and the first method that attained it."""
    attained = [(v, c["method"]) for c in cells if (v := value_of(c, target)) is not None]
    sign = _sign(cells[0]) if cells else 1.0
    value = max((v for v, _ in attained), key=lambda v: sign * v, default=None)
    return value, next((method for v, method in attained if v == value), "")


def _closed(lower: float | None, upper: float | None) -> bool:
    return lower is not None and upper is not None and abs(upper - lower) <= 2 * slack(lower, upper)


def _sentence(found: Record) -> str:
    attained, proved = found["attained"], found["proved"]
    most, side = ("at most", "upper") if found["sense"] == "max" else ("at least", "lower")
    if found["closed"]:
        return f"exact value {number(attained, 7)}, attained by {found['lower_by']} and bounded [{found['upper_reference']}]"
    if attained is None:
        return "no value was attained" + ("" if proved is None else f"; {most} {number(proved, 7)} [{found['upper_reference']}]")
    if proved is None:
        return f"best value known {number(attained, 7)}, by {found['lower_by']}; no {side} bound was proved"
    return f"exact value between {number(attained, 7)} (by {found['lower_by']}) and {number(proved, 7)} [{found['upper_reference']}]"


def gap_bound(cell: Mapping[str, Any]) -> tuple[float | None, str]:
    """The least proved bound on how far a cell's certified value is below the exact one, and where it is proved.

    Uses only what the cell itself proved: the certificate's gap bound (theory B8.1, B8.5), stated for strong values and
    therefore shifted by strong less weak for a weak one, and the bound of its own search on all commitments.
    """
    target = target_of(cell)
    value, strong = value_of(cell, target), value_of(cell, "strong")
    if value is None or strong is None:
        return None, ""
    found = [(figure(b["value"]) + strong - value, b["reference"]) for b in cell["bounds"]
             if b["applies"] and _is_gap(b)]
    found += [(max(_sign(cell) * (figure(b["value"]) - value), 0.0), b["reference"]) for b in cell["bounds"]
              if b["applies"] and b["origin"] == "search" and b["of"] == _quantity(cell)]
    return min(found, default=(None, ""))


def rows(cells: Sequence[Record]) -> list[Record]:
    """One row per problem and method, over its seeds."""
    references = {name: reference(group) for name, group in grouped(cells, "problem").items()}
    broken = violations(cells)
    found = []
    for (problem, method), group in grouped(cells, "problem", "method").items():
        found.append(_row(problem, method, group, references[problem], broken))
    return found


def grouped(cells: Sequence[Record], *keys: str) -> dict[Any, list[Record]]:
    """Cells by the values of `keys`, in order of first appearance."""
    groups: dict[Any, list[Record]] = {}
    for cell in cells:
        groups.setdefault(cell[keys[0]] if len(keys) == 1 else tuple(cell[k] for k in keys), []).append(cell)
    return groups


def _row(problem: str, method: str, group: list[Record], exact: Record, broken: Sequence[Record]) -> Record:
    first, target = group[0], target_of(group[0])
    status = max((c["status"] for c in group), key=STATUSES.index)
    prefix = "weak_" if target == "weak" else ""
    answered = [c for c in group if value_of(c, target) is not None]
    values = [v for c in answered if (v := value_of(c, target)) is not None]
    mean = statistics.fmean(values) if values else None
    sign, attained, known = _sign(first), exact[prefix + "attained"], exact["proved"]
    above = None if mean is None or known is None else max(sign * (known - mean), 0.0)
    below = None if mean is None or attained is None else max(sign * (attained - mean), 0.0)
    bounds = [gap_bound(c) for c in group]
    proved = max(((v, tag) for v, tag in bounds if v is not None), default=(None, ""))
    error = above if exact[prefix + "closed"] else below
    soft = [c["values"].get("own_follower") for c in answered if c["response"] != "best"]
    return {
        "problem": problem,
        "method": method,
        **{k: first[k] for k in ("family", "concept", "response", "temperature")},
        "target": target,
        "status": status,
        "agreeing": sum(c["status"] == status for c in group),
        "certified": all(c["certified"] for c in group),
        "seeds": len(group),
        "finished": len(values),
        "value": mean,
        "value_low": min(values, default=None),
        "value_high": max(values, default=None),
        "soft_value": _mean(soft),
        "error": 0.0 if error is not None and mean is not None and error <= slack(mean) else error,
        "error_at_most": above,
        "bound": proved[0],
        "bound_reference": proved[1],
        "follower_regret": _mean([c["values"].get("follower_regret") for c in answered]),
        "leader_regret": _mean([c["values"].get("leader_regret") for c in answered]),
        "cpu_seconds": _median([c["stats"].get("cpu_seconds") for c in group]),
        "seconds": _median([c["stats"].get("seconds") for c in group]),
        "cached": sum(c["cached"] for c in group),
        "violations": sum(v["problem"] == problem and v["method"] == method for v in broken),
        "note": next((c["because"] for c in group if not c["certified"]), ""),
    }


def _mean(values: Sequence[Any]) -> float | None:
    numbers = [figure(v) for v in values if v is not None]
    return statistics.fmean(numbers) if numbers else None


def _median(values: Sequence[Any]) -> float | None:
    numbers = [figure(v) for v in values if v is not None]
    return statistics.median(numbers) if numbers else None


def bounds(cells: Sequence[Record]) -> list[Record]:
    """Every bound of every cell, each on its own line; gap bounds are held against the errors of this comparison."""
    references = {name: reference(group) for name, group in grouped(cells, "problem").items()}
    return [{**{k: c[k] for k in ("problem", "method", "seed", "status")}, **_measured(c, b, references[c["problem"]])}
            for c in cells for b in c["bounds"]]


def _measured(cell: Record, bound: Record, exact: Record) -> Record:
    """The least the bounded quantity can be, as far as the comparison knows, against a bound nobody has measured yet.

    For a gap that is the best value attained by any cell less this cell's; for a bound on the exact value, the best value.
    """
    strong, best = value_of(cell, "strong"), exact["attained"]
    if bound["verdict"] != "not measured" or not trusted(cell) or strong is None or best is None:
        return bound
    if bound["of"] == _quantity(cell):
        measured = best
    elif _is_gap(bound):
        measured = max(best - strong, 0.0)
    else:
        return bound
    limit = figure(bound["value"])
    sign = 1.0 if bound["sense"] == "upper" else -1.0
    holds = sign * (measured - limit) <= slack(best, strong, limit)  # false for NaN
    tightness = measured / limit if bound["of"] != _quantity(cell) and limit > 0 else None
    return {**bound, "measured": measured, "verdict": "holds" if holds else "violated", "tightness": tightness}


def violations(cells: Sequence[Record]) -> list[Record]:
    """What was measured above what was proved. There should be none; one turns the verdict."""
    found = []
    for b in bounds(cells):
        if b["verdict"] == "violated":
            measured, proved = number(figure(b["measured"])), number(figure(b["value"]))
            text = f"{b['of']}: {measured} measured, {proved} proved [{b['reference']}]"
            found.append({**{k: b[k] for k in ("problem", "method", "seed", "of", "reference", "measured")}, "bound": b["value"], "text": text})
    return found




def failures(cells: Sequence[Record]) -> list[Record]:
    """Every cell without a certified answer: refusals, limits and faults, with the reason, the remedy and how to repeat it."""
    found = []
    for c in cells:
        if c["certified"]:
            continue
        refusal, failure = c["refusal"] or {}, c["failure"] or {}
        reason = "; ".join(part for part in (refusal.get("text") or failure.get("text") or c["because"], refusal.get("where", "")) if part)
        found.append({
            **{k: c[k] for k in ("problem", "method", "seed", "status")},
            "code": refusal.get("code", ""),
            "reason": reason,
            "remedy": refusal.get("help") or _remedy(c["status"]),
            **c["reproduce"],
        })
    return found


def _remedy(status: str) -> str:
    if status == "LIMIT":
        return "more time or iterations; a limit reached is not success"
    if status in ("INFEASIBLE", "UNBOUNDED", "NOT ATTAINED"):
        return "this is an answer about the problem: check its constraints and rewards"
    return 'run the line below for the full message; compare(..., retry="failed") computes failed cells again'
