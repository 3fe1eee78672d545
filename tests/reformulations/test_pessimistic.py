"""Ties against the leader: the reduction against hand-made answers, decision by decision, and against enumeration."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bilevel_programs import bilevel_programs
from hypothesis import HealthCheck, given, settings

import stackopt as so
from stackopt.bilevel.kkt import kkt
from stackopt.bilevel.ties import tie_range
from stackopt.errors import Refused
from stackopt.exact.enumeration_bilevel import refuses_bilevel, run_bilevel
from stackopt.reformulations.pessimistic import pessimistic, pessimistic_refusal
from stackopt.verification.bilevel_instances import instance


def bounded(examples):
    return settings(max_examples=examples, derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])


def indifferent(**changes):
    """The follower does not care about y in [0, x]; the leader minimises 2 y - x: optimistic -3 at x = 3, against it 0 at x = 0."""
    settings_ = {
        "leader_cost": ([-1.0], [2.0]), "leader_bounds": (0, 3), "follower_cost": [0.0], "follower_bounds": (0, None),
        "follower_rows": ([[-1.0]], [[1.0]], [0.0]), "ties": "pessimistic", "name": "indifferent",
    }  # fmt: skip
    return so.BilevelProgram.from_matrices(**settings_ | changes)


def test_the_leader_pays_for_the_worst_response():
    program = indifferent()
    solution = so.solve(program)
    assert solution.certified
    assert solution.value == pytest.approx(0.0, abs=1e-9)
    assert solution["x[0]"] == pytest.approx(0.0, abs=1e-9)
    assert so.solve(replace(program, ties="optimistic")).value == pytest.approx(-3.0)


def test_a_coupling_row_holds_for_every_optimal_response():
    """y <= 1 for every y in [0, x] leaves x <= 1."""
    program = indifferent(leader_cost=([-1.0], [0.0]), leader_rows=([[0.0]], [[1.0]], [1.0]))
    solution = so.solve(program)
    assert solution.certified
    assert solution.value == pytest.approx(-1.0)
    assert so.solve(replace(program, ties="optimistic")).value == pytest.approx(-3.0)


def test_both_sides_of_a_coupling_row_have_an_adversary_each():
    program = indifferent(leader_cost=([-1.0], [0.0]), leader_equations=([[0.0]], [[1.0]], [0.0]))
    reduction = pessimistic(program)
    assert reduction.adversaries == ("the objective", "equations[0], at most", "equations[0], at least")
    assert so.solve(program).value == pytest.approx(0.0, abs=1e-9)


def test_the_reduction_can_be_read():
    text = str(pessimistic(indifferent()).target)
    assert "3 variables" in text
    assert "y[0] (worst for the objective)" in text
    assert "y[0] (answer)" in text
    assert 'Pessimistic "indifferent"' in str(pessimistic(indifferent()))


def test_the_reduction_as_text():
    """A follower that fills toll with two flows as it likes; one of them costs the leader, the other has room for 2."""
    program = so.BilevelProgram.from_matrices(
        leader_cost=([-1.0], [2.0, 0.0]), leader_bounds=(0, 3), leader_rows=([[0.0]], [[0.0, 1.0]], [2.0]), follower_cost=[1.0, 1.0],
        follower_rows=([[-1.0]], [[1.0, 1.0]], [0.0]), follower_sense="max", ties="pessimistic", leader_names=["toll"],
        follower_names=["left", "right"], name="two flows",
    )  # fmt: skip
    reduction = pessimistic(program)
    path = Path(__file__).parent.parent / "golden" / "two_flows_pessimistic.txt"
    text = f"{reduction}\n\n{reduction.target}\n\n{kkt(reduction.target).algebra()}"
    assert text == path.read_text(), f"the text of {path.name} has changed; if it should, write the new one there"
    assert so.solve(program).value == pytest.approx(0.0, abs=1e-9)


def test_a_follower_with_one_response_needs_no_adversary():
    program = indifferent(follower_hessian=[[2.0]], follower_cross=[[-1.0]])
    assert pessimistic(program).adversaries == ()
    assert so.solve(program).value == pytest.approx(so.solve(replace(program, ties="optimistic")).value)


def test_quadratic_followers_that_tie():
    """min (y1 + y2 - 2)^2 with y1 <= x leaves y1 anywhere in [0, x]; the leader minimises 3 y1 - x over x in [0, 1]."""
    program = indifferent(
        leader_cost=([-1.0], [3.0, 0.0]), leader_bounds=(0, 1), follower_cost=[-4.0, -4.0], follower_hessian=[[2.0, 2.0], [2.0, 2.0]],
        follower_rows=([[-1.0]], [[1.0, 0.0]], [0.0]),
    )  # fmt: skip
    solution = so.solve(program)
    assert solution.certified
    assert solution.value == pytest.approx(0.0, abs=1e-6)
    assert so.solve(replace(program, ties="optimistic")).value == pytest.approx(-1.0, abs=1e-6)


def test_a_follower_without_a_best_answer_stays_without():
    """Its objective falls for ever; an adversary alone would find an answer no worse than the leader's."""
    program = indifferent(follower_cost=[-1.0], follower_rows=None)
    assert so.solve(program).status is so.Status.INFEASIBLE
    assert so.solve(replace(program, ties="optimistic")).status is so.Status.INFEASIBLE


def test_an_adversary_without_end_excludes_the_decision():
    """With x = 0 the follower is indifferent on a half-line and the leader's loss unbounded; a cost on x > 0 cannot help: infeasible."""
    program = indifferent(follower_rows=None)
    assert so.solve(program).status is so.Status.INFEASIBLE
    assert so.solve(replace(program, ties="optimistic")).value == pytest.approx(-3.0)


@pytest.mark.parametrize(
    ("program", "word"),
    [
        (indifferent(follower_cross=[[1.0]]), "responses jump, and the optimum need not be attained"),
        (replace(instance("prices", 0, 0), ties="pessimistic"), "multipliers have ties of their own"),
        (indifferent(follower_hessian=[[-2.0]], follower_bounds=(0, 3)), "is a nonconvex QP"),
        (indifferent(leader_hessian=[[0.0, 0.0], [0.0, 2.0]]), "the objective of the leader multiplies"),
    ],
)
def test_what_it_does_not_hold_for_is_refused(program, word):
    with pytest.raises(Refused, match=r"\[pessimistic\]") as caught:
        pessimistic(program)
    assert word in str(caught.value)
    with pytest.raises(Refused, match=r"\[pessimistic\]"):
        so.solve(program)


def test_followers_that_see_each_other_are_refused():
    program = next(p for p in (instance("two coupled followers", 0, i) for i in range(20)) if pessimistic_refusal(p) is not None)
    assert any(word in pessimistic_refusal(program).law["why"] for word in ("of another follower", "multiplies its variables"))


def worst_case(program):
    """The least worst case over all integer decisions, decision by decision."""
    leads = np.flatnonzero(program.owner < 0)
    sign, best = program.leader.objective.sign, np.inf
    rows, follows = program.leader.rows, program.owner >= 0
    dense = rows.matrix.toarray()
    for decision in itertools.product(*(range(int(program.lower[j]), int(program.upper[j]) + 1) for j in leads)):
        values = np.zeros(program.size)
        values[leads] = decision
        own = ~dense[:, follows].any(1)
        activity = dense @ values
        if (own & ((activity > rows.upper + 1e-9) | (activity < rows.lower - 1e-9))).any():
            continue
        found = tie_range(program, values)
        if not np.isnan(found.worst):
            best = min(best, sign * found.worst)
    return sign * best


@bounded(12)
@given(bilevel_programs(["integer leader"]))
def test_it_is_the_least_worst_case_over_all_decisions(program):
    program = replace(program, ties="pessimistic")
    solution, expected = so.solve(program), worst_case(program)
    if np.isinf(expected):
        assert solution.status is so.Status.INFEASIBLE
    else:
        assert solution.certified, solution
        assert solution.value == pytest.approx(expected, rel=1e-6, abs=1e-6)


@bounded(8)
@given(bilevel_programs(["integer follower"]))
def test_integer_followers_by_the_reduction_and_directly(program):
    """The argument uses only the order of the follower's values, so it holds for whole numbers too."""
    program = replace(program, ties="pessimistic")
    direct, target = run_bilevel(program), pessimistic(program).target
    if refuses_bilevel(target, "enumeration") is not None:
        return
    reduced = run_bilevel(target)
    assert direct.status is reduced.status
    if direct.candidate is not None:
        assert reduced.candidate.claim == pytest.approx(direct.candidate.claim, abs=1e-7)
        assert program.certify(pessimistic(program).lift(reduced.candidate)).certified


@bounded(12)
@given(bilevel_programs(["linear", "linear, boxed"]))
def test_no_decision_is_better_than_the_optimum(program):
    program = replace(program, ties="pessimistic")
    solution = so.solve(program)
    assert solution.status in (so.Status.OPTIMAL, so.Status.INFEASIBLE, so.Status.UNBOUNDED)
    if solution.status is not so.Status.OPTIMAL:
        return
    assert solution.certified, solution
    sign, rows, follows = program.leader.objective.sign, program.leader.rows, program.owner >= 0
    dense, rng = rows.matrix.toarray(), np.random.default_rng(0)
    for _ in range(12):
        values = np.clip(rng.integers(-3, 6, program.size) + rng.choice([0.0, 0.5]), program.lower, program.upper)
        own, activity = ~dense[:, follows].any(1), dense @ values
        if (own & ((activity > rows.upper) | (activity < rows.lower))).any():
            continue
        found = tie_range(program, values)
        assert np.isnan(found.worst) or sign * found.worst >= sign * solution.value - 1e-6
