import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackopt.bounds import net
from stackopt.games.constants import both_constants
from stackopt.games.dynamic_programming import policy_value
from stackopt.games.operators import follower_mdp
from stackopt.games.responses import commitment, leader_value
from stackopt.verification.instances import near_or_far, random_policy
from tests.strategies import games, seeds

some = settings(max_examples=60, derandomize=True, deadline=None, database=None)


@some
@given(st.integers(1, 6), st.integers(1, 20), seeds)
def test_every_mixed_action_is_within_the_radius(actions, grid, seed):
    rng = np.random.default_rng(seed)
    x = rng.dirichlet(np.ones(actions) * rng.choice([0.3, 1.0, 5.0]))
    down = np.floor(x * grid)
    short = round(float(grid - down.sum()))
    down[np.argsort(down - x * grid)[:short]] += 1  # round up the largest remainders
    assert down.sum() == grid
    assert np.abs(x - down / grid).sum() <= net.radius(actions, grid) + 1e-12
    assert net.radius(actions, grid) <= actions / (2 * grid) + 1e-15


def test_radius_is_attained():
    assert net.radius(2, 1) == 1.0
    assert net.radius(1, 3) == 0.0


@some
@given(games(), seeds)
def test_best_responses_stay_nearly_best_when_the_leader_moves(game, seed):
    rng = np.random.default_rng(seed)
    x = random_policy(rng, game.shape[0], game.shape[1])
    other = near_or_far(rng, x)
    leader, follower = both_constants(game)
    distance = float(np.abs(x - other).sum(-1).max())
    y = commitment(game, x).strong_response
    there = commitment(game, other).follower.value
    loss = float((there - policy_value(follower_mdp(game, other), y)).max())
    assert loss <= net.follower_loss(follower, distance).value + 1e-7 * (1 + np.abs(there).max())
    moved = float(leader_value(game, x, y) - leader_value(game, other, y))
    assert moved <= net.strong_value(0.0, leader, distance).value + 1e-7 * (1 + abs(moved))


def test_bracket_adds_up():
    import stackopt as so

    game = so.StackelbergGame([[[2, 4], [1, 3]]], [[[1, 0], [0, 1]]], so.stay, discount=0.0)
    leader, follower = both_constants(game)
    assert net.follower_loss(follower, 1.0).value == pytest.approx(1.0)
    assert net.strong_value(4.0, leader, 1.0).value == pytest.approx(4.5)
    assert net.strong_value(4.0, leader, 1.0).value >= 3.5
