"""Corrupted proofs: each kind breaks a proof, or the problem under it, in one way; none may make the checker accept something false.

A mutant that is still accepted is no fault if what it claims is true: the damaged leaf had room to spare, or the changed problem has the
same optimum. `claims_truth` decides that from the optimum, found afresh.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from stackopt.proof import check
from stackopt.verification import proof_mutants_of_claims, proof_mutants_of_leaves, proof_mutants_of_problems, proof_mutants_of_trees
from stackopt.verification.proof_draft import Kind, NotHere, Random, taken_apart
from stackopt.verification.proof_enumeration import Optimum

#: All kinds by name.
KINDS: dict[str, Kind] = (
    proof_mutants_of_claims.KINDS | proof_mutants_of_leaves.KINDS | proof_mutants_of_trees.KINDS | proof_mutants_of_problems.KINDS
)


def mutants(problem: str, proof: str, rng: Random, each: int = 1) -> Iterator[tuple[str, str, str]]:
    """(kind, problem text, proof text) of up to `each` mutants of every kind that applies; never the proof itself."""
    before, original = taken_apart(problem, proof), json.loads(problem)
    for name, make in KINDS.items():
        for _ in range(each):
            draft = copy.deepcopy(before)
            try:
                make(rng, draft)
                text = problem
                if draft.record != original:
                    text = json.dumps(draft.record)
                    draft.head[draft.place("problem")] = f"problem {check.lower(check.load(text)).digest()}"
            except (NotHere, ValueError, LookupError, check.Rejected):
                break
            if draft.proof() != before.proof() or draft.record != original:
                yield name, text, draft.proof()


def claims_truth(found: dict[str, Any], truth: Optimum) -> bool:
    """Whether what a checker verified is true of a problem with this optimum (known to its accuracy)."""
    assert truth.status != "undecided"
    if found["status"] == "unbounded":
        return truth.status == "unbounded"
    if found["status"] == "infeasible":
        return truth.status == "infeasible"
    if truth.status == "infeasible":
        return bool(found["status"] == "bound")
    if truth.status != "optimal":
        return False
    value = found["sense"] * truth.value  # minimised
    room = truth.accuracy * (1 + abs(value))
    return bool(float(found["lower"]) <= value + room and (found["status"] == "bound" or value - room <= float(found["upper"])))
