"""A lying LP solver never leads to a false claim that is verified; and it does lie."""

import json

import numpy as np
import pytest
from scipy import sparse

from stackopt.backends.matrix import minimise
from stackopt.backends.warm import WarmLp
from stackopt.solution import Status
from stackopt.verification.proof_enumeration import enumerated
from stackopt.verification.proof_instances import instance
from stackopt.verification.proof_liar import LIES, lying, under_lies


@pytest.mark.parametrize("lie", LIES)
def test_nothing_false_is_verified(lie):
    outcomes = []
    for index in (0, 3):
        text = instance(1, index)
        outcome, detail = under_lies(text, enumerated(json.loads(text)), lie, np.random.default_rng([index, LIES.index(lie)]))
        outcomes.append(outcome)
        assert outcome in ("verified", "no proof", "no proof, search wrong"), detail
    assert lie.startswith(("feasible", "optimum", "bound", "point")) or "verified" in outcomes


def test_a_cell_that_is_called_empty_and_is_not_is_divided():
    """Found by the liar: the prover held that a relaxation is solved or refuted."""
    for index in (0, 5, 9):
        text = instance(1, index)
        outcome, detail = under_lies(text, enumerated(json.loads(text)), LIES[0], np.random.default_rng([index, 0]))
        assert outcome != "error", detail


def test_the_liar_lies_and_stops():
    one = sparse.csr_array(np.ones((1, 1)))

    def lp():
        return WarmLp([1.0], one, [2.0], [np.inf], [0.0], [5.0])

    rng = np.random.default_rng(0)
    with lying("feasible called infeasible", rng, share=1.0) as told:
        assert lp().solve() is Status.INFEASIBLE
        assert minimise(np.ones(1), one, np.array([2.0]), np.array([np.inf]), np.zeros(1), np.full(1, 5.0)).status is Status.INFEASIBLE
    assert told["lies"] == 2
    with lying("bound + 1", rng, share=1.0):
        a = lp()
        a.solve()
        assert a.value == pytest.approx(3.0)
    with lying("multipliers NaN", rng, share=1.0):
        a = lp()
        a.solve()
        assert np.isnan(a.row_dual).all()
        assert np.isnan(a.col_dual).all()
    a = lp()
    assert a.solve() is Status.OPTIMAL
    assert (a.value, a.row_dual.tolist()) == (pytest.approx(2.0), [1.0])
