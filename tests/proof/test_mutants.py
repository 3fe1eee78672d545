"""Corrupted proofs: no false claim is accepted, by either checker; and the means that decide this can tell true from false."""

import json

import numpy as np
import pytest

from stackopt.proof import check
from stackopt.verification import proof_second
from stackopt.verification.proof_checker_mutants import verdict
from stackopt.verification.proof_enumeration import Optimum, enumerated
from stackopt.verification.proof_instances import instance
from stackopt.verification.proof_mutants import KINDS, claims_truth, mutants
from stackopt.verification.proof_small import proof


def test_no_false_claim_is_accepted():
    seen, accepted, cases, verdicts = set(), 0, [], []
    for index in (3, 5, 8, 11, 30):
        text = instance(0, index)
        original = proof(text)
        truth = enumerated(json.loads(text))
        assert claims_truth(check.check(text, original), truth)
        for kind, problem, broken in mutants(text, original, np.random.default_rng(index)):
            seen.add(kind)
            said, _ = verdict(check, problem, broken)
            cases.append((problem, broken))
            verdicts.append(said)
            if said == "REJECTED":
                continue
            accepted += 1
            now = truth if problem == text else enumerated(json.loads(problem))
            assert now.status == "undecided" or claims_truth(check.check(problem, broken), now), (index, kind, said, now)
    assert len(seen) > 45
    assert 10 < accepted < len(cases) / 3
    if proof_second.available():
        assert proof_second.disagreements(cases, verdicts) == []


def test_there_are_more_than_twenty_kinds_and_each_says_what_it_does():
    assert len(KINDS) >= 60
    assert all(make.__doc__ and make.__name__ == name for name, make in KINDS.items())


def test_a_claim_is_held_against_the_optimum():
    def optimal(low, up, sense=1):
        return {"status": "optimal", "sense": sense, "lower": low, "upper": up}

    two = Optimum("optimal", 2.0, 1)
    assert claims_truth(optimal(2, 2), two)
    assert claims_truth(optimal(1, 3), two)
    assert not claims_truth(optimal(2.1, 3), two)
    assert not claims_truth(optimal(1, 1.9), two)
    assert claims_truth(optimal(-2, -2, -1), two)
    assert not claims_truth(optimal(2, 2, -1), two)
    assert claims_truth({"status": "bound", "sense": 1, "lower": 1, "upper": None}, two)
    assert not claims_truth({"status": "bound", "sense": 1, "lower": 2.5, "upper": None}, two)
    for status in ("infeasible", "unbounded"):
        assert not claims_truth({"status": status, "sense": 1, "lower": None, "upper": None}, two)
        assert claims_truth({"status": status, "sense": 1, "lower": None, "upper": None}, Optimum(status, np.nan, 1))
        assert not claims_truth(optimal(2, 2), Optimum(status, np.nan, 1))


@pytest.mark.parametrize("index", [3, 30])
def test_every_byte_turned_once(index):
    from stackopt.verification.proof_faults import flipped_bytes

    text = instance(0, index)
    found = list(flipped_bytes(text, proof(text), enumerated(json.loads(text)), np.random.default_rng(0)))
    assert "FALSE" not in found
    assert found.count("rejected") > 0.9 * len(found)
