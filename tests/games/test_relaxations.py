"""Upper bounds by pricing the follower's level, against linear programs and enumeration."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.sparse import csr_matrix

import stackopt as so
from stackopt.games.dynamic_programming import optimal_value
from stackopt.games.operators import follower_mdp, leader_reward_mdp
from stackopt.games.relaxations import guarantee, never_used, strong_within, upper_bounds, weak_within
from stackopt.games.responses import commitment
from stackopt.verification.instances import adversarial_game, random_policy
from tests.strategies import games, seeds

some = settings(max_examples=60, derandomize=True, deadline=None, database=None)


def program(rewards, transition, follower, level, discount, initial, sign):
    """The linear program over visits m[s, b] that `priced_optimum` solves by duality."""
    S, B = rewards.shape
    flow = np.zeros((S, S * B))
    for s, b in itertools.product(range(S), range(B)):
        flow[:, s * B + b] -= discount * transition[s, b]
        flow[s, s * B + b] += 1
    found = linprog(-sign * rewards.ravel(), A_ub=-follower.ravel()[None], b_ub=[-level], A_eq=flow, b_eq=initial, method="highs")
    return sign * -found.fun if found.status == 0 else None


@some
@given(games(equal_discounts=True, rewards="uniform"), seeds, st.floats(1e-3, 10.0))
def test_values_within_a_loss_are_the_linear_programs(game, seed, epsilon):
    x = random_policy(np.random.default_rng(seed), game.shape[0], game.shape[1])
    f, leader = follower_mdp(game, x), leader_reward_mdp(game, x)
    level = float(game.initial @ optimal_value(f).value) - epsilon
    for sign, within in ((1.0, strong_within), (-1.0, weak_within)):
        exact = program(leader.reward, f.transition, f.reward, level, f.discount, game.initial, sign)
        assert within(game, x, epsilon).value == pytest.approx(exact, abs=1e-5 * (1 + abs(exact)))


@some
@given(games(equal_discounts=True), seeds)
def test_values_without_loss_bracket_the_commitment(game, seed):
    x = random_policy(np.random.default_rng(seed), game.shape[0], game.shape[1])
    worth = commitment(game, x)
    slack = 1e-7 * (1 + abs(float(worth.strong)))
    assert weak_within(game, x, 0.0).value <= float(worth.weak) + slack
    assert strong_within(game, x, 0.0).value >= float(worth.strong) - slack
    values = [strong_within(game, x, e).value for e in (0.0, 0.1, 1.0, 1e3)]
    assert all(a <= b + slack for a, b in itertools.pairwise(values))


def test_near_ties_do_not_break_the_bound():
    """Level and reward almost parallel: the multiplier wants to be 10^7; any smaller one is still valid."""
    game = so.StackelbergGame([[[0.0, 1.0]]], [[[1e-7, 0.0]]], so.stay, discount=0.999)
    x = np.ones((1, 1))
    assert strong_within(game, x, 0.0).value >= 0.0
    assert strong_within(game, x, 1e-3).value == pytest.approx(1000.0)


@some
@given(games(), seeds)
def test_guarantee_is_below_every_best_value(game, seed):
    rng = np.random.default_rng(seed)
    lowest = guarantee(game)
    unused = never_used(game, lowest)
    assert not unused.all(-1).any()
    for _ in range(5):
        worth = commitment(game, random_policy(rng, game.shape[0], game.shape[1]))
        assert (lowest <= worth.follower.value + 1e-8 * (1 + np.abs(lowest))).all()
        assert not (unused & worth.ties).any()


def test_guarantee_of_matching_pennies():
    game = so.StackelbergGame(np.zeros((1, 2, 2)), [[[1.0, -1.0], [-1.0, 1.0]]], so.stay, discount=0.5)
    assert guarantee(game) == pytest.approx([0.0], abs=1e-7)


@some
@given(games(), seeds)
def test_upper_bounds_hold_and_improve(game, seed):
    rng = np.random.default_rng(seed)
    bounds = upper_bounds(game)
    assert bounds[0].reference == "B8.1"
    for _ in range(5):
        strong = float(commitment(game, random_policy(rng, game.shape[0], game.shape[1])).strong)
        for bound in bounds:
            assert bound.applies
            assert strong <= bound.value + 1e-7 * (1 + abs(bound.value))
    assert min(b.value for b in bounds[1:] or bounds) <= bounds[0].value + 1e-9 * (1 + abs(bounds[0].value))


def test_the_guarantee_sharpens_the_bound():
    """The leader would like the follower to play l, which costs it 1 whatever the leader does: U1 says 5, U2 and U3 say 0."""
    game = so.StackelbergGame([[[5.0, 0.0]]], [[[0.0, 1.0]]], so.stay, discount=0.9)
    u1, u3, u2 = upper_bounds(game)
    assert u1.value == pytest.approx(50.0)
    assert u3.value == pytest.approx(0.0)
    assert u2.value == pytest.approx(0.0, abs=1e-6)
    assert "B8.3" in u3.reference
    assert len(upper_bounds(game, programs=False)) == 1


def test_unequal_discounts_leave_u1_and_u3():
    game = so.StackelbergGame([[[5.0, 0.0]]], [[[0.0, 1.0]]], so.stay, leader_discount=0.9, follower_discount=0.5)
    assert [b.reference for b in upper_bounds(game)] == ["B8.1", "B8.1, B8.3"]


def test_bounds_of_the_2x2_game():
    """Theory A.5: v^S = 3.5; U1 = 4."""
    game = so.StackelbergGame([[[2, 4], [1, 3]]], [[[1, 0], [0, 1]]], so.stay, discount=0.0)
    u1, u2 = upper_bounds(game)
    assert u1.value == 4.0
    assert u2.value == pytest.approx(3.5, abs=1e-6)


def test_sparse_games_get_the_same_bounds():
    game = adversarial_game(np.random.default_rng(3), kernel="sparse", rewards="uniform", shape=(4, 2, 3), discounts=(0.9, 0.9))
    S, A, B = game.shape
    sparse = so.StackelbergGame(
        game.leader_reward, game.follower_reward, csr_matrix(game.transition.reshape(S * A * B, S)), discount=0.9, initial=game.initial
    )
    for one, two in zip(upper_bounds(game), upper_bounds(sparse), strict=True):
        assert one.value == pytest.approx(two.value, rel=1e-7)


def test_the_certificate_takes_the_least_bound():
    game = so.StackelbergGame([[[2, 4], [1, 3]]], [[[1, 0], [0, 1]]], so.stay, discount=0.0)
    profile = so.Profile(np.array([[0.5, 0.5]]), np.array([[0.0, 1.0]]))
    (gap,) = game.certify(profile).bounds
    assert gap.value == pytest.approx(0.0, abs=1e-6)
    assert "B8.2" in gap.reference
