"""Random small programs: proofs against enumeration; and enumeration against known answers."""

import json
from fractions import Fraction

import pytest

from stackopt.proof import check
from stackopt.verification import proof_second
from stackopt.verification.proof_corpus import BASE, corpus
from stackopt.verification.proof_enumeration import enumerated, objective_at, regret, slope
from stackopt.verification.proof_fuzz import examined, summary
from stackopt.verification.proof_instances import PAIRS, instance, pairs, traits
from stackopt.verification.proof_small import NoProof, proof


def test_proofs_and_enumeration_agree():
    results = [examined(6, index) for index in range(40)]
    found = summary(results)
    assert found["disagreements"] == []
    assert found["instances"] == 40
    assert sum(one.proof != "none" for one in results) >= 38
    assert {"infeasible", "optimal", "unbounded"} <= {one.proof for one in results}
    if proof_second.available():
        cases = [(one.text, one.proved) for one in results if one.proved]
        assert proof_second.disagreements(cases, [check.statement(check.check(*case)) for case in cases]) == []


def test_an_unbounded_relaxation_between_integers_is_divided():
    """Found by the fuzz, the only one of ten thousand without a proof: all pairs decided, and the relaxation falls for ever at a fraction."""
    found = examined(0, 5010)
    assert (found.proof, found.width, found.wrong) == ("optimal", 0, "")


def test_quadratic_leaders_and_multipliers_in_the_leader_agree_with_enumeration():
    results = [examined(3, index, wide=True) for index in range(14)]
    assert summary(results)["disagreements"] == []
    assert {"quadratic leader", "multiplier in the leader"} <= set(summary(results)["with"])
    assert sum(one.proof != "none" for one in results) >= 12


def test_a_second_prover_comes_to_the_same():
    """The package's search and repair against the plainest ones: both proofs are of one optimum."""
    compared = 0
    for index in range(12):
        one = examined(8, index)
        try:
            other = check.check(one.text, proof(one.text, 400))
        except NoProof:
            continue
        found = check.check(one.text, one.proved)
        assert (found["status"], found["lower"], found["upper"]) == (other["status"], other["lower"], other["upper"])
        compared += 1
    assert compared >= 8


def test_instances_hold_everything_and_stay_small():
    seen = set()
    for index in range(200):
        record = json.loads(instance(0, index))
        assert pairs(record) <= PAIRS
        seen |= traits(record)
    assert seen == {
        "1 follower", "2 followers", "equation", "range", "max", "coupling row", "integer leader", "free variable", "quadratic follower",
    }  # fmt: skip
    assert instance(0, 7) == instance(0, 7) != instance(1, 7)


def test_enumeration_knows_what_is_known():
    found = enumerated(BASE)
    assert (found.status, found.value) == ("optimal", pytest.approx(-6.0))
    priced = next(case for case in corpus() if case.name == "multipliers in the leader")
    assert "17/4" in priced.verdict
    assert enumerated(json.loads(priced.problem)).value == pytest.approx(4.25)
    against = json.loads(json.dumps(BASE))
    against["leader"]["constraints"] += [{"linear": {"x": 1, "y": 1}, "op": "<=", "rhs": 2}]  # the follower keeps it at 3
    assert enumerated(against).status == "infeasible"
    free = json.loads(json.dumps(BASE))
    free["variables"][0]["ub"] = None
    free["leader"] = {"objective": {"sense": "min", "constant": 0, "linear": {"x": -1}}, "constraints": []}
    assert enumerated(free).status == "unbounded"


def test_slopes_are_exact_and_a_response_that_is_none_has_regret():
    objective = {"sense": "min", "linear": {"y": 0.1}, "quadratic": [["y", "y", 0.5], ["x", "y", -2]]}
    point = {"x": Fraction(1, 3), "y": Fraction(2)}
    assert slope(objective, "y", point) == Fraction(1, 10) + 2 - Fraction(2, 3)
    assert objective_at(objective, point) == Fraction(2, 10) + 2 - Fraction(4, 3)
    assert regret(BASE, {"x": Fraction(1), "y": Fraction(2)}) == pytest.approx(0.0, abs=1e-12)
    assert regret(BASE, {"x": Fraction(1), "y": Fraction(3)}) == pytest.approx(1.0)
