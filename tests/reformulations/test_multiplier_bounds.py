"""Proved bounds of multipliers: each kind of proof by hand, and none is ever exceeded."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stackopt as so
from stackopt.bilevel.follower import respond
from stackopt.bilevel.kkt import kkt
from stackopt.bilevel.point import Point
from stackopt.reformulations.big_m import big_m
from stackopt.reformulations.multiplier_bounds import basic_solutions, hadamard, multiplier_bounds, totally_unimodular
from stackopt.reformulations.reduction import multipliers_at
from stackopt.reformulations.response_box import response_box
from stackopt.solution import Status

from .storyboard import boxed, toll


def values(bounds):
    return [b.value for b in bounds]


def test_the_toll_program():
    """Every multiplier of road may be as large as it likes, yet one of at most 1/2 answers every toll."""
    found = multiplier_bounds(kkt(toll()))
    assert values(found.multipliers) == pytest.approx([0.5, 0.0, 0.5, 1.0])
    assert found.multipliers[0].reference == "one multiplier for each answer: largest over 4 bases of its stationarity rows"
    assert values(found.slacks) == pytest.approx([56.0, 15.0, 8.733333, 5.6], abs=1e-5)


def test_a_leader_that_uses_a_multiplier_counts_all_of_them():
    found = multiplier_bounds(kkt(toll(price_of_road=0.1)))
    road, least, time, _ = found.multipliers
    assert not road.applies
    assert "the leader uses multipliers of this follower" in road.because
    assert not least.applies
    assert not time.applies


def test_a_penalty_bounds_every_multiplier():
    """Unserved demand at price 9 bounds the price of energy: a statement about every multiplier, so it may be used by the leader."""
    program = so.BilevelProgram.from_matrices(
        leader_cost=([1.0], [0.0, 0.0]), leader_bounds=(0, 10), follower_cost=[2.0, 9.0],
        follower_bounds=([-np.inf, 0.0], None), follower_rows=([[-1.0]], [[1.0, 0.0]], [0.0]), follower_equations=(None, [[1.0, 1.0]], [4.0]),
    )
    found = multiplier_bounds(kkt(program))
    names = kkt(program).mpec.names[3:]
    bound = dict(zip(names, found.multipliers))
    assert bound["mult(rows[0], upper)"].value == pytest.approx(7.0)
    assert bound["mult(rows[0], upper)"].reference.startswith("every multiplier")


def test_bases_by_hand():
    """Columns (1, 0), (0, 1), (1, 1) and right-hand side (2, 3): solutions (2, 3, -), (-, 1, 2), and one of wrong sign."""
    found, how = basic_solutions(np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]]), np.array([2.0, 3.0]), np.array([2.0, 3.0]), np.zeros(3, bool))
    assert found == pytest.approx([2.0, 3.0, 2.0])
    assert how == "largest over 3 bases of its stationarity rows"
    free, _ = basic_solutions(np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]]), np.array([2.0, 3.0]), np.array([2.0, 3.0]), np.ones(3, bool))
    assert free == pytest.approx([2.0, 3.0, 3.0])


def test_what_bases_cannot_decide():
    wide = np.ones((12, 40)) + np.eye(12, 40)
    found, how = basic_solutions(wide, np.ones(12), np.ones(12), np.zeros(40, bool))
    assert found is None
    assert "too many" in how
    doubtful = np.array([[1.0, 1.0], [1.0, 1.0 + 1e-10]])
    assert basic_solutions(doubtful, np.ones(2), np.ones(2), np.zeros(2, bool))[1] == "a basis cannot be told from singular"


def test_units_do_not_make_a_basis_singular():
    found, _ = basic_solutions(np.diag([1.0, 1e13]), np.array([2.0, 3e13]), np.array([2.0, 3e13]), np.zeros(2, bool))
    assert found == pytest.approx([2.0, 3.0])


def test_dependent_rows_are_left_out():
    twice = np.array([[1.0, -1.0], [2.0, -2.0]])
    found, _ = basic_solutions(twice, np.array([3.0, 6.0]), np.array([3.0, 6.0]), np.zeros(2, bool))
    assert found == pytest.approx([3.0, 0.0])


@pytest.mark.parametrize(
    ("matrix", "holds"),
    [
        (np.array([[1.0, 1, 0], [-1, 0, 1], [0, -1, -1]]), True),  # arcs of a triangle
        (np.array([[1.0, 1, 0], [-1, 0, 1], [0, -1, -1]]).T, True),
        (np.array([[1.0, 1, 0], [1, 0, 1], [0, 1, 1]]), False),  # an odd cycle: determinant -2
        (np.array([[1.0, 0, 1], [1, 1, 1], [0, 1, 1]]), True),  # consecutive ones
        (np.array([[1.0, 0.0, 1.0, -1.0], [0.0, 1.0, 1.0, -1.0]]), True),  # bounds and both sides of a row
        (np.array([[2.0]]), False),
    ],
)
def test_total_unimodularity(matrix, holds):
    assert totally_unimodular(matrix) == holds


@settings(derandomize=True, max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_unimodular_means_unimodular_and_hadamard_bounds_inverses(seed):
    rng = np.random.default_rng(seed)
    matrix = rng.integers(-1, 2, (3, 5)).astype(float)
    import itertools

    unimodular, most = totally_unimodular(matrix), hadamard(matrix)
    for columns in itertools.combinations(range(5), 3):
        block = matrix[:, columns]
        if abs(np.linalg.det(block)) < 1e-9:
            continue
        inverse = np.abs(np.linalg.inv(block))
        if np.linalg.matrix_rank(matrix) == 3:
            assert inverse.max() <= most + 1e-9
        if unimodular:
            assert np.abs(inverse - np.round(inverse)).max() <= 1e-9
            assert inverse.max() <= 1.0 + 1e-9


def test_unimodular_rows_bound_a_large_follower():
    """A transport follower with 6 * 8 routes: far too many bases."""
    rng = np.random.default_rng(0)
    m, n = 6, 8
    cost = rng.integers(1, 9, m * n).astype(float)
    leave = np.kron(np.eye(m), np.ones(n))
    arrive = np.kron(np.ones(m), np.eye(n))
    program = so.BilevelProgram.from_matrices(
        leader_cost=(np.zeros(m), -cost), leader_bounds=(0, 5), follower_cost=cost, follower_bounds=(0, None),
        follower_rows=(np.vstack([-np.eye(m), np.zeros((n, m))]), np.vstack([leave, -arrive]), np.concatenate([np.full(m, 20.0), np.full(n, -3.0)])),
    )
    found = multiplier_bounds(kkt(program))
    assert all(b.applies for b in found.multipliers)
    assert "totally unimodular" in found.multipliers[0].reference


def test_a_derivative_without_bounds_is_said():
    program = so.BilevelProgram.from_matrices(
        leader_cost=([1.0], [1.0]), leader_bounds=(0, None), follower_cost=[0.0], follower_bounds=(None, 5), follower_cross=[[-1.0]], follower_hessian=[[2.0]],
        follower_rows=([[1.0]], [[2.0]], [9.0]),
    )
    assert any("is not bounded" in b.because for b in multiplier_bounds(kkt(program)).multipliers)


def test_no_time_means_no_proof():
    found = multiplier_bounds(kkt(boxed(0)), time_limit=0.0)
    assert not any(b.applies for b in found.slacks)


@settings(derandomize=True, max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), quadratic=st.booleans())
def test_some_optimal_multiplier_keeps_every_bound(seed, quadratic):
    """At random decisions: the follower's answer goes into the big-M form, so multipliers and slacks within all bounds exist there."""
    program = boxed(seed, quadratic=quadratic)
    form = kkt(program)
    found = multiplier_bounds(form)
    if not all(b.applies for b in (*found.multipliers, *found.slacks)):
        return
    reduction = big_m(form, proved=found)
    rng = np.random.default_rng(seed)
    for x in rng.uniform(0, 3, (5, 2)):
        point = np.concatenate([x, np.zeros(2)])
        response = respond(program, 0, point)
        if response.status is not Status.OPTIMAL:
            continue
        point[2:] = response.variables
        mu = multipliers_at(form, Point(point), reduction.target)
        assert (mu <= np.array(values(found.multipliers)) + 1e-7).all()
        assert (form.mpec.slack(point) <= np.array(values(found.slacks)) + 1e-7).all()


# --- boxes that bound the rest ---------------------------------------------------------------------------------------------


def strongly_convex(seed):
    """A follower with free variables: min y'y + x'Cy + q'y over Ax + By <= b, with y = 0 feasible for all x in [0, 2]."""
    rng = np.random.default_rng(seed)
    A, B = rng.integers(-2, 3, (3, 2)).astype(float), rng.integers(-3, 4, (3, 2)).astype(float)
    return so.BilevelProgram.from_matrices(
        leader_cost=([1.0, -1.0], [1.0, 2.0]), leader_bounds=(0, 2), follower_cost=rng.integers(-4, 5, 2).astype(float), follower_bounds=(None, None),
        follower_rows=(A, B, np.maximum(A, 0.0).sum(axis=1) * 2.0 + 0.5), follower_hessian=[[3.0, 1.0], [1.0, 2.0]],
        follower_cross=rng.integers(-2, 3, (2, 2)).astype(float),
    )


@settings(derandomize=True, max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_answers_lie_in_the_response_box(seed):
    program = strongly_convex(seed)
    box = np.array([0.0, 0.0, -np.inf, -np.inf]), np.array([2.0, 2.0, np.inf, np.inf])
    found = response_box(kkt(program), 0, box)
    assert found is not None
    for x in np.random.default_rng(seed).uniform(0, 2, (5, 2)):
        y = respond(program, 0, np.concatenate([x, np.zeros(2)])).variables
        assert (found[0] - 1e-7 <= y).all()
        assert (y <= found[1] + 1e-7).all()
    assert all(b.applies for b in multiplier_bounds(kkt(program)).multipliers)


def test_no_response_box_without_its_assumptions():
    wide = np.array([-np.inf, -np.inf, -np.inf, -np.inf]), np.full(4, np.inf)
    assert response_box(kkt(strongly_convex(1)), 0, wide) is None  # the leader is not bounded
    assert response_box(kkt(toll()), 0, (np.array([0.0, -9.0]), np.array([8.0, 9.0]))) is None  # no curvature
    blocked = so.BilevelProgram.from_matrices(
        leader_cost=([1.0], [1.0]), leader_bounds=(0, 1), follower_cost=[1.0], follower_bounds=(None, None), follower_hessian=[[2.0]],
        follower_rows=([[1.0], [-1.0]], [[1.0], [-1.0]], [0.25, 0.25]),
    )
    assert response_box(kkt(blocked), 0, (np.array([0.0, -9.0]), np.array([1.0, 9.0]))) is None  # |x + y| <= 1/4: no y for all x


def test_a_quadratic_leader_bounds_what_it_attains():
    """min (x - 1)^2 + y^2 over y = argmin (y - x)^2: x and y stay within the level set of the attained value."""
    program = so.BilevelProgram.from_matrices(
        leader_cost=([-2.0], [0.0]), leader_hessian=[[2.0, 0.0], [0.0, 2.0]], leader_bounds=(None, None), follower_cost=[0.0], follower_bounds=(0, None),
        follower_hessian=[[2.0]], follower_cross=[[-2.0]],
    )
    free = multiplier_bounds(kkt(program))
    assert not free.multipliers[0].applies
    bounded = multiplier_bounds(kkt(program), cutoff=-0.5)
    assert bounded.multipliers[0].applies  # x is at least 1 - sqrt(1/2), y at most sqrt(1/2)
    assert bounded.multipliers[0].value <= 2.0 * np.sqrt(0.5) + 1e-3
    assert "among decisions at least as good as the attained -0.5" in bounded.multipliers[0].reference
