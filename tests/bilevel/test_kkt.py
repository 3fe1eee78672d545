"""The Mpec of a bilevel program: stationarity, slacks, pairs; by hand and against the followers themselves."""

import numpy as np
import pytest

from stackopt import Refused
from stackopt.bilevel.follower import respond
from stackopt.bilevel.kkt import kkt

from .programs import duopoly, toll


def test_the_toll_program_by_hand():
    mpec = kkt(toll()).mpec
    assert mpec.names[:2] == ("toll", "flow")
    assert mpec.names[2] == "mult(rows[0], upper)"
    assert mpec.stationarity.toarray() == pytest.approx(np.array([[0.0, 0.0, 2.0, -4.0, 2.0, 1.0]]))
    assert mpec.stationarity_rhs == pytest.approx([1.0])
    assert mpec.slack(np.array([1.0, 2.0])) == pytest.approx([3.0, 1.0, 8.0, 5.0])
    assert (mpec.pairs, mpec.variables) == (4, 2)
    assert "4 complementarity pairs" in str(mpec)


def test_ranges_bounds_and_equations_make_the_right_pairs():
    program = toll(
        follower_bounds=(0.0, 6.0), follower_equations=([[1.0]], [[0.0]], [1.0]), follower_rows=([[0.0]], [[1.0]], [5.0]), leader_rows=None
    )
    mpec = kkt(program).mpec
    assert [mpec.pair_label(p) for p in range(mpec.pairs)] == ["rows[0], upper", "flow, upper", "flow, lower"]
    assert mpec.slack(np.array([1.0, 2.0])) == pytest.approx([3.0, 4.0, 2.0])
    assert mpec.free_row.tolist() == [1]
    assert mpec.lower[2:].tolist() == [0.0, 0.0, 0.0, -np.inf]
    fixed = kkt(toll(follower_bounds=(3.0, 3.0))).mpec
    assert fixed.free_column.tolist() == [1], "a fixed variable has one free multiplier, not two that clash"


def test_followers_of_other_senses_and_owners_see_their_own_gradients():
    mpec = kkt(duopoly()).mpec
    assert mpec.sign == -1.0
    # firm 1 minimises q1^2 + q1 q2 - s q1 - 9 q1: 2 q1 + q2 - s - 9 - mult = 0
    assert mpec.stationarity.toarray()[:, :3] == pytest.approx(np.array([[-1.0, 2.0, 1.0], [-1.0, 1.0, 2.0]]))
    assert mpec.stationarity_rhs == pytest.approx([9.0, 9.0])
    w = np.concatenate([[0.0, 3.0, 3.0], np.zeros(len(mpec.names) - 3)])
    assert mpec.stationarity @ w == pytest.approx(mpec.stationarity_rhs)
    assert mpec.value(w) == pytest.approx(-6.0)
    assert kkt(duopoly()).lift(w).claim == pytest.approx(6.0)


@pytest.mark.parametrize("seed", range(8))
def test_conditions_hold_exactly_at_responses(seed):
    """At a follower optimum (another solver's word) some multipliers satisfy the conditions; at a worse point none do."""
    from scipy.optimize import linprog

    rng = np.random.default_rng(seed)
    nx, ny, m = 2, 3, 4
    A, B, b = rng.integers(-3, 4, (m, nx)).astype(float), rng.integers(-3, 4, (m, ny)).astype(float), rng.integers(4, 9, m).astype(float)
    program = toll(
        leader_cost=(np.zeros(nx), np.zeros(ny)), leader_rows=None, leader_names=None, follower_names=None, leader_bounds=(0, 1),
        follower_cost=rng.integers(-3, 4, ny).astype(float), follower_bounds=(0, 4), follower_rows=(A, B, b),
    )
    mpec, values = kkt(program).mpec, np.concatenate([rng.uniform(0, 1, nx), np.zeros(ny)])
    response = respond(program, 0, values)
    best = np.concatenate([values[:nx], response.variables])
    worse = np.concatenate([values[:nx], np.zeros(ny)])
    for point, optimal in ((best, True), (worse, response.value > -1e-9)):
        slack, n = mpec.slack(point), program.size
        upper = np.where(slack > 1e-7, 0.0, np.inf)
        found = linprog(
            np.zeros(mpec.pairs), A_eq=mpec.stationarity.toarray()[:, n:], b_eq=mpec.stationarity_rhs - mpec.stationarity[:, :n] @ point,
            bounds=list(zip(np.zeros(mpec.pairs), upper)),
        )
        assert (found.status == 0) == optimal


def test_followers_that_conditions_do_not_characterise_are_refused():
    for change in ({"follower_integer": True}, {"follower_hessian": [[-2.0]]}, {"ties": "pessimistic"}):
        with pytest.raises(Refused, match="kkt-form"):
            kkt(toll(**change))
