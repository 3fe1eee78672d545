"""`docs/reliability.md` from the figures of ``python -m benchmarks.reliability``: no figure on the page is typed."""

from __future__ import annotations

from typing import Any

HEAD = """# Reliability of proofs

Every figure on this page is written by `python -m benchmarks.reliability --write`, which keeps them in `data/proofs/reliability.json`; the
tests run each part in a small size. [Proofs](proofs.md) says what a proof is and what has to be trusted.

Three words, from strongest to weakest: **PROVED**, the checker accepted a proof in exact arithmetic; **OPTIMAL**, a solver's gap is closed in
floating point and the program certified the point; **LIMIT**, the search ended early. Only the first is a theorem.
"""

FOUND = """## Found this way, and put right

No false claim has been verified so far. What these tests did find, each with a test of its own since:

* The checker passed over unknown keys of a problem, and compared bounds that were written as texts as texts: `"9"` is above `"10"`. Found by the
  corpus of problems that must be refused. Such a file is now rejected; the package's own reader always refused it.
* A cell that the solver called empty, without multipliers that show it, ended the search for a proof in an assertion instead of a lower word.
  Found by the lying solver.
* A relaxation that falls for ever only at a fraction of an integer column was given up. Found by the fuzz, once in ten thousand.
"""


def page(figures: dict[str, Any]) -> str:
    """The page."""
    parts = [HEAD, _summary(figures)]
    parts += [make(figures[name]) for name, make in SECTIONS.items() if name in figures]
    parts += [FOUND, _covers(figures)]
    return "\n".join(parts)


def table(header: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    """A Markdown table."""
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


def count(number: int) -> str:
    """A number with thin groups of three."""
    return f"{number:,}".replace(",", " ")


def _faults(values: list[str], nothing: str = "0") -> str:
    return nothing if not values else f"**{len(values)}**: " + "; ".join(values[:3])


def _summary(figures: dict[str, Any]) -> str:
    rows = list[tuple[str, str, str]]()
    if one := figures.get("library"):
        rows.append(("recorded cases that a proof covers", f"{one['in scope']} of {one['cases']}", f"{one['proved']} proved, {one['exact']} exactly (width 0)"))
    for name, what in (("fuzz", "fuzz against enumeration"), ("wide", "the same, quadratic leaders and multipliers in the leader")):
        if one := figures.get(name):
            rows.append((what, f"{count(one['instances'])} instances", f"{_faults(one['disagreements'])} disagreements"))
    if one := figures.get("mutants"):
        rows.append((f"corrupted proofs, {one['kinds']} kinds", f"{count(one['mutants'])} mutants", f"{_faults(one['wrong'])} false claims accepted"))
    if one := figures.get("checker"):
        rows.append(("conditions of the checker deleted, negated, weakened", f"{one['mutants']} mutants", f"{len(one['survive'])} unnoticed by the corpus"))
    if one := figures.get("liar"):
        rows.append((f"a lying LP solver, {len(one['by lie'])} ways", f"{count(one['runs'])} runs", f"{_faults(one['wrong'])} false claims verified"))
    if one := figures.get("faults"):
        runs = sum(sum(row.values()) for row in one["by fault"].values())
        rows.append(("signals, full disk, little memory, no time", f"{runs} runs", f"{_faults(one['wrong'])} half files or wrong words"))
    if one := figures.get("bytes"):
        rows.append(("one bit of every byte turned", f"{count(sum(one['outcomes'].values()))} files", f"{_faults(one['wrong'])} false claims accepted"))
    seconds = [figures[name].get("second checker", figures[name]) for name in ("library", "random", "fuzz", "wide", "mutants", "second") if name in figures]
    if seconds:
        asked, differ = sum(one.get("proofs", one.get("cases", 0)) for one in seconds), [case for one in seconds for case in one["differ"]]
        rows.append(("second checker, in Perl", f"{count(asked)} proofs and mutants", f"{_faults(differ)} disagreements"))
    if one := figures.get("same"):
        tried = f"{one['proofs']} proofs, {one['runs']} processes"
        rows.append(("the same proof again, hashes salted differently", tried, f"{_faults(one['wrong'])} differences"))
    return table(("what", "tried", "found"), rows)


def _library(one: dict[str, Any]) -> str:
    text = "## Recorded cases\n\n"
    text += f"{one['cases']} cases in `data/bilevel`, {one['in scope']} that a proof covers; {one['proved']} are proved, {one['exact']} with width 0: the\n"
    text += "optimum is an exact rational, or the program is proved infeasible or unbounded. Optima recorded by an independent solve are contradicted by "
    text += f"{_faults(one['wrong'])}.\n\n"
    if one["wide"]:
        text += "Proved with a width: " + ", ".join(f"`{name}` ({width})" for name, width in one["wide"].items()) + ".\n\n"
    if one["without"]:
        text += "No proof: " + "; ".join(f"`{name}` ({why})" for name, why in one["without"].items()) + ".\n\n"
    text += table(("refused by the checker because", "cases"), list(one["refused"].items()))
    return text + "\n" + _cost(one["cost"])


def _cost(costs: dict[str, Any]) -> str:
    def cell(key: str, form: str) -> tuple[str, str]:
        return tuple(form.format(costs[key][which]) for which in ("median", "worst"))  # type: ignore[return-value]

    if not costs:
        return ""
    rows = [
        ("search with a proof / search without", *cell("overhead", "{:.2f}")), ("seconds to check, in Python", *cell("check", "{:.2g}")),
        ("bytes", *cell("bytes", "{:.0f}")), ("lines of the tree", *cell("nodes", "{:.0f}")),
    ]  # fmt: skip
    return table(("cost", "median", "worst"), rows)


def _random(one: dict[str, Any]) -> str:
    text = "## Random bilevel LPs\n\n"
    text += f"{one['instances']} instances with 10 to 20 variables on each side and as many rows; {one['proved']} proved, {one['exact']} with width 0.\n\n"
    if one["without"]:
        text += "No proof: " + "; ".join(f"{name} ({why})" for name, why in one["without"].items()) + ".\n\n"
    forms = {"overhead": ".1f", "check": ".2g", "bytes": ".0f", "nodes": ".0f"}
    rows = [
        (n, *(f"{costs[key]['median']:{form}} / {costs[key]['worst']:{form}}" for key, form in forms.items())) for n, costs in one["by size"].items() if costs
    ]
    return text + table(("variables each", "overhead, median / worst", "seconds to check", "bytes", "lines"), rows)


def _wide(one: dict[str, Any]) -> str:
    text = "### Quadratic leaders, multipliers in the leader\n\n"
    text += f"The same instances with a convex quadratic objective of the leader, or a multiplier of a follower in it: {count(one['instances'])} instances,\n"
    text += f"{_faults(one['disagreements'])} disagreements, {one['width 0']} optima with width 0.\n\n"
    return text + table(("enumeration: proof", "instances"), [(what, count(n)) for what, n in one["outcomes"].items()])


def _fuzz(one: dict[str, Any]) -> str:
    text = "## Fuzz against enumeration\n\n"
    text += "1-3 leader variables, 1-2 followers with 1-3 variables in all; `stackopt.verification.proof_enumeration` tries every pattern of active rows in\n"
    text += "floating point and shares no lowering with the checker. At the point of each proof the value is recomputed exactly, and every follower is\n"
    text += f"solved again without multipliers. {count(one['instances'])} instances, {_faults(one['disagreements'])} disagreements,\n"
    text += f"{one['width 0']} optima with width 0.\n\n"
    text += table(("enumeration: proof", "instances"), [(what, count(n)) for what, n in one["outcomes"].items()])
    text += "\n" + table(("instances with", "number"), [(what, count(n)) for what, n in one["with"].items()])
    if one["without proof because"]:
        text += "\n" + table(("no proof because", "instances"), list(one["without proof because"].items()))
    return text


def _mutants(one: dict[str, Any]) -> str:
    rejected = sum(row.get("rejected", 0) for row in one["by kind"].values())
    true = sum(row.get("still true", 0) for row in one["by kind"].values())
    unknown = sum(row.get("undecided", 0) for row in one["by kind"].values())
    text = "## Corrupted proofs\n\n"
    text += f"{count(one['mutants'])} mutants of {one['kinds']} kinds: {count(rejected)} rejected, {count(true)} still prove something true (of the changed\n"
    text += f"problem, solved afresh by enumeration), {unknown} where enumeration did not decide, {_faults(one['wrong'])} false claims accepted.\n"
    text += "`tamper_*` and `bound_cuts_off_the_point` change the problem and put the hash right, so that only the mathematics can notice.\n\n"
    rows = [(f"`{kind}`", sum(row.values()), row.get("rejected", 0), row.get("still true", 0)) for kind, row in one["by kind"].items()]
    return text + table(("kind", "tried", "rejected", "still true"), rows)


def _checker(one: dict[str, Any]) -> str:
    text = "## Mutants of the checker\n\n"
    text += f"Each condition that the checker needs is deleted, negated, or loses a part or its boundary: {one['mutants']} mutants. The corpus\n"
    text += f"(`data/proofs/corpus.jsonl`, {one['cases']} cases) convicts {one['killed']}: they accept what is no proof, or reject what is one.\n"
    text += f"{len(one['redundant'])} reject the same files for another reason, because what the condition refuses is\n"
    text += "refused again later, or is impossible; the corpus notices the other\n"
    text += f"reason. {len(one['survive'])} go unnoticed.\n\n"
    other = one["elsewhere"]
    text += f"Of {other['mutants']} further mutants, of operators, comparisons and constants outside of conditions, {other['killed']} are noticed.\n"
    text += "The others concern what no proof can see: values that are overwritten, branches that cannot be reached,\n"
    text += "and the exit code, which has a test of its own.\n"
    return text


def _liar(one: dict[str, Any]) -> str:
    keys = ("verified", "no proof", "no proof, search wrong", "wrong word", "FALSE", "error")
    text = "## A lying solver\n\n"
    text += "Each answer of HiGHS, to the search and to the proof alike, is corrupted with probability 0.3. *No proof* is the honest end; *search wrong*\n"
    text += "counts those whose floating-point word was wrong, which is why such a word is not called proved.\n\n"
    return text + table(("lie", *keys), [(lie, *(row.get(key, 0) for key in keys)) for lie, row in one["by lie"].items()])


def _fault(one: dict[str, Any]) -> str:
    text = "## Faults\n\nA process solves, proves and saves, or saves over and over, while something goes wrong. What is on the disk afterwards is checked.\n\n"
    rows = [(fault, what, n) for fault, row in one["by fault"].items() for what, n in sorted(row.items())]
    return text + table(("fault", "how it ended, what was left", "runs"), rows)


def _bytes(one: dict[str, Any]) -> str:
    outcomes = ", ".join(f"{count(n)} {what}" for what, n in sorted(one["outcomes"].items()))
    return f"## Every byte\n\nOne bit of every byte of {one['proofs']} proofs and of their problems is turned: {outcomes}.\n"


def _covers(figures: dict[str, Any]) -> str:
    about = figures.get("environment", {})
    text = "## What this does not show\n\n"
    text += "Enumeration and the second checker share the format's reading of a problem with the first: optimality conditions of convex followers. The\n"
    text += "follower solved again at each proved point, and the recorded optima of the literature, do not. Python's integers, `json` and `hashlib` are\n"
    text += "trusted. The second checker covers problems, not games. A proof says nothing about whether the JSON is the problem you meant: print it.\n"
    if about:
        names = ("date", "python", "perl", "highspy", "numpy", "scipy")
        text += "\nMeasured: " + ", ".join(f"{name} {about[name]}" for name in names if name in about) + f"; the checker has {about['checker lines']} lines.\n"
    return text


SECTIONS = {
    "library": _library, "random": _random, "fuzz": _fuzz, "wide": _wide, "mutants": _mutants, "checker": _checker, "liar": _liar, "faults": _fault,
    "bytes": _bytes,
}  # fmt: skip
