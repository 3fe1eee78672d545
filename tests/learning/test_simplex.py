"""Projections and first-order gaps on products of simplices."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import stackopt as so
from stackopt.games.simplex import project
from stackopt.learning.simplex import distance, first_order_gap, gather, spread

points = hnp.arrays(float, st.tuples(st.integers(1, 3), st.integers(1, 5)), elements=st.floats(-1e3, 1e3))


@settings(derandomize=True, max_examples=60, deadline=None)
@given(points)
def test_projection_is_the_nearest_distribution(z):
    p = project(z)
    assert np.allclose(p.sum(-1), 1.0, atol=1e-12)
    assert (p >= 0).all()
    # optimality: every vertex e_a satisfies <z - p, e_a - p> <= 0
    normal = z - p
    assert (normal - (normal * p).sum(-1, keepdims=True) <= 1e-6).all()
    assert np.allclose(project(p), p, atol=1e-12)


def test_gap_vanishes_exactly_at_first_order_points():
    gradient = np.array([[1.0, 3.0, 3.0]])
    assert first_order_gap(np.array([[0.0, 0.25, 0.75]]), gradient) == 0.0
    assert first_order_gap(np.array([[0.5, 0.5, 0.0]]), gradient) == 1.0


def test_classes_share_one_row_and_sum_their_gradients():
    game = so.StackelbergGame(np.zeros((3, 2, 1)), np.zeros((3, 2, 1)), so.stay, discount=0.5, leader_observes=["x", "y", "x"])
    z = np.array([[0.2, 0.8], [1.0, 0.0]])
    assert spread(game, z).tolist() == [[0.2, 0.8], [1.0, 0.0], [0.2, 0.8]]
    assert gather(game, np.array([[1.0, 2.0], [10.0, 20.0], [100.0, 200.0]])).tolist() == [[101.0, 202.0], [10.0, 20.0]]


def test_distance_is_the_largest_l1_over_states():
    x, z = np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([[0.0, 1.0], [0.5, 0.5]])
    assert distance(x, z) == 2.0
