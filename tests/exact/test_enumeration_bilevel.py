"""Enumeration of bilevel programs: hand-made answers, statuses, and what it refuses."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

import stackopt as so
from stackopt.errors import Refused
from stackopt.exact.enumeration_bilevel import PATTERNS
from stackopt.exact.response_patterns import pattern_count, patterns
from stackopt.verification.bilevel_instances import instance


def toll(**changes):
    settings = {
        "leader_cost": ([1.0], [3.0]), "leader_bounds": (0, 8), "leader_rows": ([[0.0]], [[1.0]], [5.0]),
        "follower_cost": [-1.0], "follower_bounds": (None, None),
        "follower_rows": ([[-7.0], [-1.0], [1.0], [1.0]], [[2.0], [-4.0], [2.0], [1.0]], [0.0, -8.0, 13.0, 8.0]),
        "leader_names": ["toll"], "follower_names": ["flow"], "name": "toll",
    }  # fmt: skip
    return so.BilevelProgram.from_matrices(**settings | changes)


def test_one_variable_each_has_one_pattern_per_row_and_one_without():
    solution = so.solve(toll(), so.Enumeration())
    assert solution.certified
    assert solution.value == pytest.approx(92 / 15, abs=1e-9)
    assert solution.stats["tried"] == 5


def test_as_many_rows_are_tight_as_the_follower_has_variables_modulo_equations():
    program = so.BilevelProgram.from_matrices(
        leader_cost=([1.0], [0.0, 0.0]), leader_bounds=(0, 1), follower_cost=[1.0, 1.0], follower_bounds=(0, None),
        follower_rows=([[1.0], [0.0]], [[1.0, 2.0], [2.0, 1.0]], [4.0, 4.0]), follower_equations=([[0.0]], [[1.0, -1.0]], [0.0]),
    )  # fmt: skip
    sets, count = patterns(program)
    assert max(len(found) for found in sets[0]) == 1
    assert count == 5 == pattern_count(program)


def test_with_prices_all_sets_are_tried():
    program = instance("prices", 1, 3)
    sets, _ = patterns(program)
    assert max(len(found) for found in sets[0]) > int((program.owner == 0).sum())


def test_infeasible_and_unbounded_are_told_apart():
    infeasible = so.solve(toll(leader_rows=([[0.0]], [[-1.0]], [-6.0])), so.Enumeration())
    assert infeasible.status is so.Status.INFEASIBLE
    assert "none of which leaves a feasible point" in infeasible.because
    unbounded = so.solve(
        so.BilevelProgram.from_matrices(leader_cost=([-1.0], [0.0]), follower_cost=[1.0], follower_rows=([[1.0]], [[-1.0]], [0.0])), so.Enumeration()
    )
    assert unbounded.status is so.Status.UNBOUNDED
    assert "along (+1 x[0], +1 y[0])" in unbounded.because


def test_a_follower_without_a_best_answer_makes_no_point_feasible():
    program = so.BilevelProgram.from_matrices(leader_cost=([1.0], [0.0]), follower_cost=[-1.0])
    assert so.solve(program, so.Enumeration()).status is so.Status.INFEASIBLE


def test_an_integer_follower_is_not_its_relaxation():
    """max y with 2 y <= 2 x + 1 on whole numbers is y = x; relaxed y = x + 1/2."""
    program = so.BilevelProgram.from_matrices(
        leader_cost=([1.0], [-3.0]), leader_bounds=(0, 4), leader_integer=True, follower_cost=[-1.0], follower_bounds=(0, 9),
        follower_rows=([[-2.0]], [[2.0]], [1.0]), follower_integer=True,
    )  # fmt: skip
    solution = so.solve(program, so.Enumeration())
    assert solution.certified
    assert solution.value == -8.0
    assert so.solve(replace(program, integer=np.array([True, False])), so.Enumeration()).value == pytest.approx(-9.5)


def test_quadratic_leaders_over_patterns():
    """min (x - 1)^2 + (y - 1)^2 with y = argmin y^2 - x y = x / 2: x = 6/5."""
    program = so.BilevelProgram.from_matrices(
        leader_cost=([-2.0], [-2.0]), leader_bounds=(-5, 5), leader_hessian=[[2.0, 0.0], [0.0, 2.0]], follower_cost=[0.0], follower_bounds=(None, None),
        follower_hessian=[[2.0]], follower_cross=[[-1.0]],
    )  # fmt: skip
    solution = so.solve(program, so.Enumeration())
    assert solution.certified
    assert solution.value + 2.0 == pytest.approx(0.2, abs=1e-7)


def test_among_equilibria_of_two_followers_the_leader_picks():
    """Each wants to match the other's number, and the leader wants both large: every equal pair is an equilibrium."""
    rows = so.Rows((), sparse.csr_array((0, 3)), np.zeros(0), np.zeros(0))

    def level(mine, other):
        form = sparse.csr_array(([1.0, -2.0], ([mine, min(mine, other)], [mine, max(mine, other)])), shape=(3, 3))
        return so.Level(f"follower {mine}", so.Objective("min", np.zeros(3), form), rows)

    program = so.BilevelProgram(
        names=("x", "y1", "y2"), owner=np.array([-1, 0, 1]), lower=np.zeros(3), upper=np.array([1.0, 2.0, 2.0]), integer=np.array([True, False, False]),
        leader=so.Level("leader", so.Objective("max", np.array([0.0, 1.0, 1.0])), rows), followers=(level(1, 2), level(2, 1)),
    )  # fmt: skip
    assert so.Enumeration().run(program).candidate.claim == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"leader_integer": False, "follower_integer": True}, "sees `x[0]`, which is continuous"),
        ({"leader_hessian": [[-2.0, 0.0], [0.0, 0.0]]}, "not convex"),
        ({"follower_hessian": [[-2.0]]}, "is a nonconvex QP"),
    ],
)
def test_what_is_not_linear_case_by_case_is_refused(change, word):
    program = so.BilevelProgram.from_matrices(
        **{"leader_cost": ([1.0], [1.0]), "leader_bounds": (0, 3), "leader_integer": True, "follower_cost": [-1.0], "follower_bounds": (0, 3),
           "follower_rows": ([[1.0]], [[1.0]], [4.0])} | change
    )  # fmt: skip
    with pytest.raises(Refused, match=r"\[not-enumerable\]") as caught:
        so.solve(program, so.Enumeration())
    assert word in str(caught.value)


def test_too_many_patterns_are_counted_and_refused():
    rng = np.random.default_rng(0)
    program = so.BilevelProgram.from_matrices(
        leader_cost=([1.0], np.ones(12)), follower_cost=-np.ones(12), follower_rows=(np.ones((12, 1)), rng.random((12, 12)), np.ones(12))
    )
    assert pattern_count(program) > PATTERNS
    with pytest.raises(Refused, match=r"\[too-large\].*response patterns to try"):
        so.solve(program, so.Enumeration())


def test_integer_variables_without_bounds_are_refused():
    program = so.BilevelProgram.from_matrices(leader_cost=([1.0], [1.0]), leader_integer=True, follower_cost=[1.0], follower_integer=True)
    with pytest.raises(Refused, match=r"inf integer points"):
        so.solve(program, so.Enumeration())


def test_ties_against_the_leader_by_adversaries():
    """The follower is indifferent among y in [0, x]; the leader minimises 2 y - x."""
    program = so.BilevelProgram.from_matrices(
        leader_cost=([-1.0], [2.0]), leader_bounds=(0, 3), follower_cost=[0.0], follower_rows=([[-1.0]], [[1.0]], [0.0]), ties="pessimistic"
    )
    solution = so.solve(program, so.Enumeration())
    assert solution.certified
    assert solution.value == pytest.approx(0.0, abs=1e-9)
    moved = so.BilevelProgram.from_matrices(leader_cost=([1.0], [1.0]), leader_bounds=(0, 1), follower_cost=[1.0], follower_cross=[[1.0]], ties="pessimistic")
    with pytest.raises(Refused, match=r"\[pessimistic\]"):
        so.solve(moved, so.Enumeration())


def test_ties_against_the_leader_are_enumerated_for_whole_numbers():
    """y is indifferent among 0..x; the leader maximises y - x/4: optimistic x = 3, against it x = 0."""
    settings = {
        "leader_cost": ([-0.25], [1.0]), "leader_sense": "max", "leader_bounds": (0, 3), "leader_integer": True, "follower_cost": [0.0],
        "follower_bounds": (0, 3), "follower_integer": True, "follower_rows": ([[-1.0]], [[1.0]], [0.0]),
    }  # fmt: skip
    optimistic = so.solve(so.BilevelProgram.from_matrices(**settings), so.Enumeration())
    pessimistic = so.solve(so.BilevelProgram.from_matrices(**settings, ties="pessimistic"), so.Enumeration())
    assert optimistic.value == 2.25
    assert pessimistic.value == 0.0
    assert pessimistic.certified
