"""What ties cost: against enumeration with the decision fixed, and on programs with known answers."""

from dataclasses import replace

import numpy as np
import pytest
from bilevel_programs import bilevel_programs
from hypothesis import HealthCheck, given, settings
from scipy import sparse

import stackopt as so
from stackopt.bilevel.ties import tie_range
from stackopt.verification.bilevel_instances import flipped, instance


def indifferent(**changes):
    """The follower does not care about y in [0, x]; the leader minimises y - x."""
    settings_ = {
        "leader_cost": ([-1.0], [1.0]), "leader_bounds": (0, 3), "follower_cost": [0.0], "follower_bounds": (0, None),
        "follower_rows": ([[-1.0]], [[1.0]], [0.0]),
    }  # fmt: skip
    return so.BilevelProgram.from_matrices(**settings_ | changes)


def test_an_indifferent_follower_leaves_a_range():
    found = tie_range(indifferent(), np.array([3.0, 0.0]))
    assert (found.best, found.worst, found.unique) == (-3.0, 0.0, False)
    assert found.best_response.tolist() == [3.0, 0.0]
    assert found.worst_response.tolist() == [3.0, 3.0]
    assert found.because == "from -3 to 0 over all optimal responses"


def test_a_leader_that_maximises_has_its_worst_below():
    found = tie_range(flipped(indifferent(), -1), np.array([3.0, 0.0]))
    assert (found.best, found.worst) == (3.0, 0.0)


def test_one_optimal_response_has_no_ties():
    found = tie_range(indifferent(follower_cost=[1.0]), np.array([3.0, 0.0]))
    assert (found.best, found.worst, found.unique) == (-3.0, -3.0, True)
    assert found.because == "one optimal response"


def test_nearly_tied_responses_are_not_ties():
    """A cost of 1e-5 decides, although every response is within 1e-4 of the best."""
    found = tie_range(indifferent(follower_cost=[1e-5]), np.array([3.0, 0.0]))
    assert found.unique is True


def test_an_optimal_response_that_breaks_a_row_of_the_leader_is_infinitely_bad():
    found = tie_range(indifferent(leader_rows=([[0.0]], [[1.0]], [2.0])), np.array([3.0, 0.0]))
    assert found.best == -3.0
    assert found.worst == np.inf
    assert found.because == "an optimal response breaks leader row `rows[0]`"
    assert found.worst_response.tolist() == [3.0, 3.0]


def test_ties_without_end():
    found = tie_range(indifferent(follower_rows=None), np.array([3.0, 0.0]))
    assert found.worst == np.inf
    assert "unbounded" in found.because


def test_quadratic_followers_tie_where_their_gradient_vanishes():
    """min (y1 + y2 - 1)^2: any split of 1; the leader minimises y1."""
    program = so.BilevelProgram.from_matrices(
        leader_cost=([0.0], [1.0, 0.0]), leader_bounds=(0, 1), follower_cost=[-2.0, -2.0], follower_hessian=[[2.0, 2.0], [2.0, 2.0]]
    )
    found = tie_range(program, np.array([0.0, 0.5, 0.5]))
    assert (found.best, found.worst) == (pytest.approx(0.0, abs=1e-7), pytest.approx(1.0, abs=1e-7))


def test_integer_followers_tie_between_points():
    program = so.BilevelProgram.from_matrices(
        leader_cost=([0.0], [1.0, 3.0]), leader_bounds=(0, 1), leader_integer=True, follower_cost=[-1.0, -1.0], follower_bounds=(0, 1),
        follower_integer=True, follower_rows=([[0.0]], [[1.0, 1.0]], [1.0]),
    )  # fmt: skip
    found = tie_range(program, np.zeros(3))
    assert (found.best, found.worst, found.unique) == (1.0, 3.0, False)


@pytest.mark.parametrize("installed", [True, False])
def test_the_worst_of_a_quadratic_leader_is_not_convex(monkeypatch, installed):
    """(y - 1)^2 over y in [0, 3] is worst at 3; finding it is a global problem."""
    if installed:
        pytest.importorskip("pyscipopt")
    else:
        monkeypatch.setattr("stackopt.backends.scip.available", lambda: False)
    program = indifferent(leader_cost=([0.0], [-2.0]), leader_hessian=[[0.0, 0.0], [0.0, 2.0]])
    found = tie_range(program, np.array([3.0, 1.0]))
    assert found.best == pytest.approx(-1.0)
    if installed:
        assert found.worst == pytest.approx(3.0, abs=1e-6)
    else:
        assert np.isnan(found.worst)
        assert "SCIP, which finds its worst, is not installed" in found.because


def test_what_is_not_known_is_said():
    coupled = next(p for p in (instance("two coupled followers", 0, i) for i in range(40)) if so.Enumeration().run(p).candidate is not None)
    found = tie_range(coupled, so.Enumeration().run(coupled).candidate.values)
    assert np.isnan(found.best) == ("followers see each other" in found.because)
    priced = instance("prices", 0, 0)
    assert "multipliers" in tie_range(priced, np.zeros(priced.size)).because
    curved = so.BilevelProgram.from_matrices(leader_cost=([0.0], [1.0]), follower_cost=[0.0], follower_bounds=(-1, 1), follower_hessian=[[-2.0]])
    assert "nonconvex QP" in tie_range(curved, np.zeros(2)).because
    never = so.BilevelProgram.from_matrices(leader_cost=([0.0], [1.0]), follower_cost=[-1.0])
    assert "no optimal response" in tie_range(never, np.zeros(2)).because


@settings(max_examples=25, derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(bilevel_programs(["linear", "products", "quadratic followers", "integer leader", "integer follower"]))
def test_best_and_worst_are_those_of_enumeration_at_the_same_decision(program):
    run = so.Enumeration().run(program)
    if run.candidate is None:
        return
    leads = program.owner < 0
    at = np.where(leads, np.round(run.candidate.values, 9), 0.0)
    fixed = replace(program, lower=np.where(leads, at, program.lower), upper=np.where(leads, at, program.upper))
    found = tie_range(program, run.candidate.values)
    sign = program.leader.objective.sign
    assert found.best == pytest.approx(run.candidate.claim, rel=1e-6, abs=1e-6)
    rows = so.Rows((), sparse.csr_array((0, program.size)), np.zeros(0), np.zeros(0))
    against = replace(program.leader.objective, sense="max" if sign > 0 else "min")
    worst = so.Enumeration().run(replace(fixed, leader=replace(program.leader, objective=against, rows=rows)))
    if np.isinf(found.worst):
        assert found.worst * sign > 0
        assert worst.status is so.Status.UNBOUNDED or len(program.leader.rows)
    else:
        assert worst.candidate.claim == pytest.approx(found.worst, rel=1e-6, abs=1e-6)
