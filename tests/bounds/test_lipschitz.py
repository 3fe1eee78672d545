import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackopt.bounds import lipschitz
from stackopt.bounds.lipschitz import constants, dobrushin
from stackopt.games.constants import follower_constants, leader_constants
from stackopt.games.dynamic_programming import optimal_value, policy_value, soft_optimal_value
from stackopt.games.operators import Mdp, follower_mdp, leader_reward_mdp, softmax
from stackopt.games.responses import follower_response, leader_value
from stackopt.verification.instances import near_or_far, random_policy
from tests.strategies import games, seeds, temperatures

some = settings(max_examples=80, derandomize=True, deadline=None, database=None)


def distance(x, other):
    return float(np.abs(x - other).sum(-1).max())


def slow(transition, reward, discount):
    """Theory B3 by loops over single entries."""
    n, others, B, _ = transition.shape
    rows = transition.reshape(-1, n)
    tv = lambda p, q: 0.5 * np.abs(p - q).sum()  # noqa: E731
    t = max(tv(p, q) for p in rows for q in rows)
    ka = max(tv(transition[s, a, b], transition[s, c, b]) for s in range(n) for a in range(others) for c in range(others) for b in range(B))
    kb = max(tv(transition[s, a, b], transition[s, a, d]) for s in range(n) for a in range(others) for b in range(B) for d in range(B))
    cross = [(s, a, c, b, d) for s in range(n) for a in range(others) for c in range(others) for b in range(B) for d in range(B)]
    ir = max(abs(reward[s, a, b] - reward[s, c, b] - reward[s, a, d] + reward[s, c, d]) for s, a, c, b, d in cross)
    ip = max(0.5 * np.abs(transition[s, a, b] - transition[s, c, b] - transition[s, a, d] + transition[s, c, d]).sum() for s, a, c, b, d in cross)
    return t, ka, kb, ir, ip


@settings(some, max_examples=25)
@given(games(), st.booleans())
def test_constants_equal_their_definition(game, leaders):
    if leaders:
        c = leader_constants(game)
        direct = slow(np.swapaxes(game.transition, 1, 2), np.swapaxes(game.leader_reward, 1, 2), game.leader_discount)
    else:
        c, direct = follower_constants(game), slow(game.transition, game.follower_reward, game.follower_discount)
    fast = (c.mixing, c.opponent_sway, c.own_sway, c.reward_interaction, c.transition_interaction)
    assert fast == pytest.approx(direct, abs=1e-12)
    assert c.slope <= c.crude_slope * (1 + 1e-12) + 1e-15


def test_constants_do_not_depend_on_the_block(monkeypatch):
    rng = np.random.default_rng(0)
    transition, reward = rng.dirichlet(np.ones(5), (5, 2, 3)), rng.standard_normal((5, 2, 3))
    whole = constants(transition, reward, 0.9)
    monkeypatch.setattr(lipschitz, "BLOCK", 4)
    assert constants(transition, reward, 0.9) == whole


def test_dobrushin_known():
    assert dobrushin(np.eye(3)) == 1.0
    assert dobrushin(np.full((4, 4), 0.25)) == 0.0
    assert dobrushin(np.array([[0.9, 0.1], [0.5, 0.5]])) == pytest.approx(0.4)


def test_an_opponent_without_influence_has_no_slope():
    rng = np.random.default_rng(1)
    transition = np.repeat(rng.dirichlet(np.ones(3), (3, 1, 2)), 4, axis=1)
    reward = np.repeat(rng.standard_normal((3, 1, 2)), 4, axis=1)
    assert constants(transition, reward, 0.9).slope == pytest.approx(0.0, abs=1e-12)


def test_zero_rewards_and_single_actions():
    c = constants(np.ones((1, 1, 1, 1)), np.zeros((1, 1, 1)), 0.999)
    assert (c.value_span, c.slope, c.own_span) == (0.0, 0.0, 0.0)


@some
@given(games(), seeds, temperatures)
def test_values_and_responses_move_within_their_bounds(game, seed, tau):
    rng = np.random.default_rng(seed)
    S, A, B = game.shape
    x = random_policy(rng, S, A)
    other = near_or_far(rng, x)
    d, c = distance(x, other), follower_constants(game)
    for solve in (optimal_value, lambda mdp: soft_optimal_value(mdp, tau)):
        one, two = solve(follower_mdp(game, x)), solve(follower_mdp(game, other))
        slack = 1e-8 * (1 + np.abs(one.value).max())
        assert np.ptp(one.value) <= c.value_span + slack
        assert np.abs(one.action_values - two.action_values).max() <= lipschitz.action_value_change(c, d).value + slack
        seen = np.ptp(game.follower_reward + game.follower_discount * game.transition @ two.value, axis=1).max()
        assert np.abs(one.action_values - two.action_values).max() <= lipschitz.action_value_change(c, d, seen).value + slack
        assert seen <= c.opponent_span + slack
        assert np.ptp(one.value - two.value) <= lipschitz.value_span_change(c, d).value + slack
        moved = distance(softmax(one.action_values, tau), softmax(two.action_values, tau))
        assert moved <= lipschitz.response_change(c, tau, d).value + slack / tau
    y, z = random_policy(rng, S, B), random_policy(rng, S, B)
    values = [policy_value(leader_reward_mdp(game, p), q) for p, q in ((x, y), (other, z))]
    bound = lipschitz.leader_value_change(leader_constants(game), distance(y, z), d)
    assert np.abs(values[0] - values[1]).max() <= bound.value + 1e-8 * (1 + np.abs(values[0]).max())


@some
@given(games(), seeds, st.floats(0.05, 5.0))
def test_soft_commitment_value_moves_within_its_bound(game, seed, tau):
    rng = np.random.default_rng(seed)
    x = random_policy(rng, game.shape[0], game.shape[1])
    other = near_or_far(rng, x)
    values = [float(leader_value(game, z, follower_response(game, z, tau).policy)) for z in (x, other)]
    bound = lipschitz.soft_commitment_change(leader_constants(game), follower_constants(game), tau, distance(x, other))
    assert abs(values[0] - values[1]) <= bound.value + 1e-7 * (1 + abs(values[0])) / tau


@some
@given(games(), seeds, temperatures)
def test_perturbed_data(game, seed, tau):
    rng = np.random.default_rng(seed)
    S, A, B = game.shape
    mdp = follower_mdp(game, np.full((S, A), 1 / A))
    size = 10.0 ** rng.uniform(-3, 0)
    changed = Mdp(
        mdp.reward + size * rng.uniform(-1, 1, (S, B)), (1 - size) * mdp.transition + size * rng.dirichlet(np.ones(S), (S, B)), mdp.discount
    )
    for solve in (optimal_value, lambda m: soft_optimal_value(m, tau)):
        one, two = solve(mdp), solve(changed)
        h = mdp.reward - changed.reward + mdp.discount * (mdp.transition - changed.transition) @ two.value
        slack = 1e-7 * (1 + np.abs(one.value).max())
        difference = one.action_values - two.action_values
        assert np.ptp(difference, axis=1).max() <= lipschitz.perturbed_response(mdp.transition, mdp.discount, h).value + slack
        moved = distance(softmax(one.action_values, tau), softmax(two.action_values, tau))
        assert moved <= lipschitz.perturbed_response(mdp.transition, mdp.discount, h, tau).value + slack / tau
