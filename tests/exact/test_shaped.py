"""Teams and opponents up to shaping: detected from the tensors, solved by dynamic programming, equal to the other routes."""

from dataclasses import replace

import numpy as np
import pytest

import stackopt as so
from stackopt.exact.occupancy import occupancy_search
from stackopt.games.responses import commitment
from stackopt.games.shaping import shaping


def game(seed, factor, shape=(3, 2, 2), discount=0.8, error=0.0):
    """Random rewards and kernel, follower reward = factor * leader reward + shaping + error."""
    S = shape[0]
    rng = np.random.default_rng(seed)
    P, R, phi = rng.dirichlet(np.ones(S), shape), rng.uniform(size=shape), 3 * rng.normal(size=S)
    U = factor * R + phi[:, None, None] - discount * P @ phi + error * rng.normal(size=shape)
    return so.StackelbergGame(leader_reward=R, follower_reward=U, transition=P, discount=discount), phi


@pytest.mark.parametrize("factor", [-2.0, -0.3, 0.0, 0.5, 4.0])
@pytest.mark.parametrize("seed", range(3))
def test_detected_with_factor_and_potential(seed, factor):
    problem, phi = game(seed, factor)
    found = shaping(problem)
    assert found.factor == pytest.approx(factor, abs=1e-9)
    assert found.potential == pytest.approx(phi, abs=1e-8)
    assert found.kind == ("team" if factor > 0 else "zero-sum" if factor < 0 else "indifferent")


def test_others_are_not_detected():
    problem, _ = game(0, 1.0, error=1e-6)
    assert shaping(problem) is None
    shaped, _ = game(0, 1.0)
    assert shaping(replace(shaped, follower_discount=0.7)) is None
    assert shaping(so.StackelbergGame.stack([shaped, shaped])) is None


@pytest.mark.parametrize("factor", [-1.5, 0.0, 2.0])
@pytest.mark.parametrize("seed", range(3))
def test_value_is_that_of_branch_and_bound(seed, factor):
    problem, _ = game(seed, factor)
    solution = so.solve(problem, so.Exact())
    assert solution.certified, solution
    assert solution.bound.reference == "D9"
    other = occupancy_search(problem, time_limit=20)
    assert other.bound >= solution.value - 1e-7
    assert solution.bound.value >= other.best.value - 1e-7
    if factor:
        assert other.best.value == pytest.approx(solution.value, abs=2e-6)
        assert commitment(problem, solution.candidate.leader_policy).weak == pytest.approx(solution.value, abs=1e-6), "every best response is worth the same"


def test_three_hundred_states_with_a_leader_that_moves_them():
    for factor in (-1.0, 1.0):
        solution = so.solve(game(1, factor, (300, 3, 3), 0.9)[0], so.Exact())
        assert solution.certified, solution
        assert solution.stats["formulation"].endswith("up to shaping")


def test_a_leader_that_sees_less_goes_another_way():
    problem, _ = game(0, -1.0)
    blind = replace(problem, leader_observes=np.zeros(3, int))
    solution = so.solve(blind, so.Exact())
    assert solution.bound.reference == "D8"
    assert solution.value <= so.solve(problem, so.Exact()).value + 1e-6
