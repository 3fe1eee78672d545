"""Random small programs: solved and proved, the proof checked against the text that was generated, and held against enumeration."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from stackopt.bilevel.json_file import from_record
from stackopt.exact.exact import Exact
from stackopt.proof import check
from stackopt.solving import solve
from stackopt.verification.proof_enumeration import Optimum, enumerated, objective_at, regret
from stackopt.verification.proof_instances import instance, traits
from stackopt.verification.proof_mutants import claims_truth

#: What a follower may gain at a proved point, for a linear program solved in floating point.
REGRET = 1e-6


@dataclass(frozen=True)
class Examined:
    """One instance.

    Attributes
    ----------
    index : int
    status : str
        What the solution says.
    proof : str
        Status of the proof, or ``none``.
    truth : str
        What enumeration says.
    wrong : str
        What disagrees; empty if nothing.
    width : Fraction or None
        Of the proved interval.
    because : str
        Why there is no proof.
    text : str
        The problem.
    proved : str
        The proof's text; empty if there is none.
    """

    index: int
    status: str
    proof: str
    truth: str
    wrong: str
    width: Fraction | None
    because: str
    text: str
    proved: str


def examined(seed: int, index: int, *, wide: bool = False, time_limit: float = 20.0) -> Examined:
    """Solve, prove, check and enumerate one instance."""
    text = instance(seed, index, wide=wide)
    record = json.loads(text)
    solution = solve(from_record(record, Path(f"instance {seed}/{index}")), Exact(proof=True, time_limit=time_limit))
    truth = enumerated(record)
    status = str(solution.status)
    if solution.proof is None:
        wrong = _word_disagrees(status, solution, truth)
        return Examined(index, status, "none", truth.status, wrong, None, str(solution.stats.get("unproved", solution.because)), text, "")
    try:
        found = check.check(text, solution.proof.text)
    except Exception as error:
        return Examined(index, status, "rejected", truth.status, f"the proof is rejected for the text as generated: {error}", None, "", text, "")
    wrong = "" if truth.status == "undecided" or claims_truth(found, truth) else f"{check.statement(found)}, but enumeration: {truth.status} {truth.value}"
    wrong = wrong or _word_disagrees(status, solution, truth) or (_point_disagrees(record, found, solution.proof.text) if found["status"] == "optimal" else "")
    width = found["upper"] - found["lower"] if found["status"] == "optimal" else None
    return Examined(index, status, found["status"], truth.status, wrong, width, "", text, solution.proof.text)


def _word_disagrees(status: str, solution: Any, truth: Optimum) -> str:
    """Whether the solution's own word, proved or not, contradicts enumeration."""
    said = {"PROVED": "optimal", "OPTIMAL": "optimal", "INFEASIBLE": "infeasible", "UNBOUNDED": "unbounded"}.get(status)
    if said is None or truth.status == "undecided":
        return ""
    if said != truth.status:
        return f"{status}, but enumeration: {truth.status}"
    if said == "optimal" and abs(float(solution.value) - truth.value) > 2 * truth.accuracy * (1 + abs(truth.value)):
        return f"{status} {solution.value}, but enumeration: {truth.value}"
    return ""


def _point_disagrees(record: Any, found: Any, proof: str) -> str:
    """Whether the point of a proof is not what it must be, by means that know of no multipliers: value, leader's rows, followers' slopes."""
    words = next(line for line in proof.split("\n") if line.startswith("point")).split()[1:]
    entries = {int(j): Fraction(x) for j, x in (word.split(":") for word in words)}
    point = {v["name"]: entries.get(j, Fraction(0)) for j, v in enumerate(record["variables"])}
    if not record.get("duals") and objective_at(record["leader"]["objective"], point) != found["sense"] * found["upper"]:
        return "the value of the proof's point is not the upper bound"
    gain = regret(record, point)
    return f"a follower gains {gain:.3g} at the proof's point" if gain > REGRET else ""


def fuzz(indices: Iterable[int], seed: int = 0, *, wide: bool = False) -> Iterator[Examined]:
    """Examine instances one after the other."""
    return (examined(seed, index, wide=wide) for index in indices)


def summary(results: Iterable[Examined]) -> dict[str, Any]:
    """Counts of a run."""
    table, kinds, reasons, wrong, exact, count = Counter[str](), Counter[str](), Counter[str](), list[str](), 0, 0
    for one in results:
        count += 1
        table[f"{one.truth}: {one.proof if one.proof != 'none' else f'no proof ({one.status})'}"] += 1
        kinds.update(traits(json.loads(one.text)))
        exact += one.width == 0
        if one.proof == "none":
            reasons[one.because] += 1
        if one.wrong:
            wrong.append(f"{one.index}: {one.wrong}")
    return {
        "instances": count, "disagreements": wrong, "outcomes": dict(sorted(table.items())), "with": dict(sorted(kinds.items())),
        "width 0": exact, "without proof because": dict(reasons.most_common()),
    }  # fmt: skip
