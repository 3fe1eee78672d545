"""Which search `Exact` takes for a bilevel program, and what it says where there is none."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

import stackopt as so
from stackopt.exact import bilevel
from stackopt.exact.bilevel import route
from stackopt.exact.found import Found
from stackopt.solution import Status

from ..bilevel.programs import duopoly, toll


def quadratic_row():
    program = toll()
    square = sparse.csr_array(([1.0], ([0], [0])), shape=(2, 2))
    rows = replace(program.leader.rows, quadratic={0: square})
    return replace(program, leader=replace(program.leader, rows=rows))


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (toll, "branching"),
        (lambda: toll(leader_integer=True), "branching"),
        (lambda: toll(follower_hessian=[[1.0]]), "branching"),
        (lambda: toll(leader_hessian=np.eye(2)), "branching"),
        (duopoly, "branching"),
        (lambda: toll(follower_integer=True, leader_integer=True), "integer"),
        (lambda: toll(ties="pessimistic"), "pessimistic"),
        (lambda: toll(leader_hessian=-np.eye(2)), "scip"),
        (lambda: toll(follower_hessian=[[-1.0]]), "scip"),
        (lambda: toll(follower_hessian=[[1.0]], follower_integer=True), "scip"),
        (quadratic_row, "scip"),
    ],
)
def test_the_followers_decide_the_search(build, expected):
    assert route(build()) == expected


def test_what_needs_scip_is_refused_where_it_is_missing(monkeypatch):
    monkeypatch.setattr(bilevel, "_scip_available", lambda: False)
    for program, what in ((toll(follower_hessian=[[-1.0]]), "follower `follower` is a nonconvex QP"), (quadratic_row(), "leader")):
        with pytest.raises(so.Refused) as caught:
            so.solve(program)
        assert caught.value.code == "needs-scip"
        assert what in str(caught.value)
        assert 'pip install "stackopt[scip]"' in str(caught.value)
    assert so.Exact().refuses(toll()) is None


def test_ties_belong_to_the_program():
    refusal = so.Exact(concept="weak").refuses(toll())
    assert refusal.code == "wrong-problem"
    assert 'ties="pessimistic"' in refusal.remedy


def test_a_bound_has_the_leaders_sense():
    point = so.Point(np.array([8 / 15, 28 / 15]))
    found = Found(Status.OPTIMAL, point, 92 / 15, "", "a search")
    assert found.run(toll()).bound.sense == "lower"
    assert found.run(toll(leader_sense="max")).bound.sense == "upper"
    assert Found(Status.FAILED, None, 1.0, "", "a search").run(toll()).bound is None
    assert Found(Status.LIMIT, None, -np.inf, "", "a search").run(toll()).bound is None


@pytest.mark.parametrize("claimed", [6.0, 6.2])
def test_a_false_claim_is_a_failure(monkeypatch, claimed):
    """A search that claims a bound above the value, or an optimum away from its bound, is not believed."""

    def lying(program, form, **settings):
        return Found(Status.OPTIMAL, so.Point(np.array([8 / 15, 28 / 15])), claimed, "I say so", "a lie")

    from stackopt.exact import branching

    monkeypatch.setattr(branching, "complementarity_branching", lying)
    solution = so.solve(toll())
    assert solution.status is Status.FAILED
    assert not solution.certified


def test_equilibrium_among_followers():
    """State subsidy: maximise q1 + q2 - s over s in [0, 3]; both firms answer with (9 + s) / 3."""
    program = duopoly()
    solution = so.solve(program)
    assert solution.certified, solution
    assert solution.value == pytest.approx(6.0)
    assert (solution["s"], solution["q1"], solution["q2"]) == (pytest.approx(0.0), pytest.approx(3.0), pytest.approx(3.0))
    eager = replace(program, leader=replace(program.leader, objective=replace(program.leader.objective, linear=np.array([-0.5, 1.0, 1.0]))))
    assert so.solve(eager).value == pytest.approx(8.0 - 1.5)
