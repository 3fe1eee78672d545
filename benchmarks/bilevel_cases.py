"""How each method ends on the 94 recorded bilevel programs; writes docs/bilevel-cases.md.

    python benchmarks/bilevel_cases.py

A few minutes on one core at most. The tests solve the same cases and hold the page to what they find.
"""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import stackopt as so
from stackopt import catalog
from stackopt.bilevel.recorded import Case
from stackopt.cli_bilevel import METHODS
from stackopt.errors import Refused

PAGE = Path(__file__).parent.parent / "docs" / "bilevel-cases.md"
#: Relative to max(1, |value|), for methods other than Exact: SCIP and HiGHS keep rows to 1e-6, and values move with them.
TOLERANCE = 1e-5
#: Seconds for each case.
LIMIT = 20.0
ENDS = ("correct", "refused", "open", "wrong")


def outcome(case: Case, method: str, limit: float = LIMIT) -> tuple[str, Any]:
    """How `method` (a name of the command line) ends on `case`, and its solution or refusal.

    ``correct``: certified at the known value, or proved infeasible where nothing is feasible. ``refused``: with a reason.
    ``open``: an answer that its own certificate or status does not call an optimum. ``wrong``: anything else.
    """
    kind = getattr(so, METHODS[method])
    limited = "time_limit" in kind.__dataclass_fields__
    try:
        solution = so.solve(case.program, kind(time_limit=limit) if limited else kind())
    except Refused as refused:
        return "refused", refused
    if case.value is None:
        return ("correct" if solution.status == "INFEASIBLE" else "wrong" if solution.certified else "open"), solution
    if solution.certified:
        allowed = (case.tolerance if method == "exact" else max(case.tolerance, TOLERANCE)) * max(1.0, abs(case.value))
        return ("correct" if abs(float(solution.value) - case.value) <= allowed else "wrong"), solution
    return ("wrong" if solution.status in ("INFEASIBLE", "UNBOUNDED") else "open"), solution


def page(ends: dict[tuple[str, str], str], kinds: dict[str, str]) -> str:
    """The page: ends by (case, method), and the class of each case."""
    methods = [name for name in METHODS if any(method == name for _, method in ends)]
    classes = sorted(set(kinds.values()), key=lambda kind: (-list(kinds.values()).count(kind), kind))
    lines = [
        "# Recorded bilevel programs, method by method",
        "",
        f"{len(kinds)} published programs with known answers lie in `data/bilevel`. A cell counts how a method ends on the cases of a class: a number",
        "alone is *correct*, which means certified at the known value (1e-6 relative for `exact`, 1e-5 for the others, whose solvers keep rows to",
        "1e-6), or proved infeasible. *Refused* comes with a reason and a remedy; *open* is an answer that is not called an optimum; *wrong*",
        "would be a certified answer that is not the known one. Written by `python benchmarks/bilevel_cases.py`, and held by the tests.",
        "",
        "| class (leader-follower) | cases | " + " | ".join(f"`{name}`" for name in methods) + " |",
        "| --- | --- | " + " | ".join("---" for _ in methods) + " |",
    ]
    for kind in [*classes, ""]:
        chosen = [case for case, its in kinds.items() if kind in ("", its)]
        cells = [_cell(Counter(ends[case, method] for case in chosen)) for method in methods]
        lines.append(f"| {kind or '**all**'} | {len(chosen)} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(count: Counter[str]) -> str:
    parts = [str(count["correct"])] if count["correct"] else []
    return ", ".join(parts + [f"{count[end]} {end}" for end in ENDS[1:] if count[end]])


def main() -> None:
    """Solve everything, print the totals and what is not as it should be, write the page."""
    cases = {name: catalog.case(name) for name in catalog.cases()}
    ends = {}
    for method in METHODS:
        began, slowest = time.perf_counter(), (0.0, "")
        for name, case in cases.items():
            start = time.perf_counter()
            ends[name, method], found = outcome(case, method)
            slowest = max(slowest, (time.perf_counter() - start, name))
            if ends[name, method] in ("open", "wrong"):
                print(f"{ends[name, method]}: {method} on {name}, known {case.value}\n{found}")
        total = Counter(ends[name, method] for name in cases)
        print(f"{method:<15} {_cell(total)}    {time.perf_counter() - began:.1f} s, slowest {slowest[1]} {slowest[0]:.1f} s", flush=True)
    PAGE.write_text(page(ends, {name: case.kind for name, case in cases.items()}))
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
