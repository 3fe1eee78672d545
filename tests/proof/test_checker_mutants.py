"""The corpus: every checker must decide it so; and it notices a checker that has lost a condition."""

import pytest

from stackopt.proof import check
from stackopt.verification.proof_checker_mutants import killed, mutants, verdict
from stackopt.verification.proof_corpus import corpus

CASES = corpus()


def test_the_checker_decides_the_corpus():
    wrong = [case.name for case in CASES if verdict(check, case.problem, case.proof) != (case.verdict, case.because)]
    assert wrong == [], "after a change of the format: python -m benchmarks.proof_corpus"


def test_the_corpus_holds_every_status_and_as_much_to_reject_as_to_accept():
    accepted = [case for case in CASES if case.verdict != "REJECTED"]
    for what in ("exactly", "width", "no feasible point has a value", "has no feasible point", "unbounded"):
        assert any(what in case.verdict for case in accepted), what
    assert len(CASES) - len(accepted) > len(accepted) > 20


@pytest.mark.parametrize("part", range(4))
def test_each_condition_deleted_negated_or_weakened_is_noticed(part):
    survivors = [m.change for m in mutants(first=part, every=4) if killed(m, CASES) == (None, None)]
    assert survivors == []


def test_most_mutants_decide_a_case_wrongly():
    found = [killed(m, CASES)[0] is not None for m in mutants(every=13)]
    assert sum(found) > 0.75 * len(found)


def test_a_mutant_that_changes_nothing_would_survive():
    unchanged = next(mutants())
    same = type(unchanged)(0, "nothing", lambda problem, proof: verdict(check, problem, proof))
    assert killed(same, CASES) == (None, None)
