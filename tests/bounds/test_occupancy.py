import numpy as np
import pytest
from hypothesis import given, settings

from stackopt.bounds import occupancy
from stackopt.bounds.lipschitz import dobrushin
from stackopt.games.constants import follower_constants
from stackopt.games.dynamic_programming import discounted_visits
from stackopt.games.operators import follower_mdp, policy_kernel
from stackopt.verification.instances import near_or_far, random_policy
from tests.strategies import games, seeds

some = settings(max_examples=100, derandomize=True, deadline=None, database=None)


@some
@given(games(), seeds)
def test_visits_and_stationary_laws(game, seed):
    rng = np.random.default_rng(seed)
    S, A, B = game.shape
    mdp, gamma = follower_mdp(game, np.full((S, A), 1 / A)), game.follower_discount
    y = random_policy(rng, S, B)
    z = near_or_far(rng, y)
    K, L = policy_kernel(mdp, y), policy_kernel(mdp, z)
    d, e = ((1 - gamma) * discounted_visits(mdp, p, game.initial) for p in (y, z))
    c, D = follower_constants(game), float(np.abs(y - z).sum(-1).max())
    measured = np.abs(d - e).sum()
    assert measured <= occupancy.visits_change(d, K, L, gamma).value + 1e-9
    assert measured <= occupancy.visits_change_a_priori(c.own_sway, c.mixing, gamma, D).value + 1e-9
    pairs = np.abs(d[:, None] * y - e[:, None] * z).sum()
    assert pairs <= occupancy.visits_change_a_priori(c.own_sway, c.mixing, gamma, D, actions=True).value + 1e-9

    law, other = occupancy.stationary_law(K), occupancy.stationary_law(L)
    change = occupancy.law_change(law, K, L)
    if change.applies:
        assert np.abs(law - other).sum() <= change.value + 1e-7
        nu = rng.dirichlet(np.ones(S))
        assert np.abs(nu - other).sum() <= occupancy.law_residual(nu, L).value + 1e-7
        mixed = occupancy.sensitivity_by_mixing(L)
        assert not mixed.applies or occupancy.sensitivity(L, other) <= mixed.value + 1e-7
    uniform = occupancy.law_change_uniform(c.own_sway, c.mixing, D)
    if uniform.applies and c.mixing < 1 - 1e-9:
        assert np.abs(law - other).sum() <= uniform.value + 1e-7


def test_two_recurrent_classes_have_no_bound():
    two = np.eye(2)
    assert occupancy.recurrent_classes(two) == 2
    bound = occupancy.law_change(np.array([0.5, 0.5]), np.array([[0.5, 0.5], [0.5, 0.5]]), two)
    assert not bound.applies
    assert bound.because == "one recurrent class: no, 2 of them: rank of I - P is 0 of 2"
    assert not occupancy.law_residual(np.array([0.5, 0.5]), two).applies


def test_periodic_chains_are_fine_but_do_not_mix():
    cycle = np.roll(np.eye(3), 1, axis=1)
    law = occupancy.stationary_law(cycle)
    assert law == pytest.approx(np.full(3, 1 / 3))
    slower = 0.9 * cycle + 0.1 * np.eye(3)
    assert occupancy.law_change(law, cycle, slower).applies
    bound = occupancy.sensitivity_by_mixing(cycle)
    assert not bound.applies
    assert "t_1 is 1 after 8 steps" in bound.because


def test_a_law_that_is_not_stationary_is_refused():
    kernel = np.array([[0.9, 0.1], [0.5, 0.5]])
    bound = occupancy.law_change(np.array([0.1, 0.9]), kernel, kernel)
    assert not bound.applies
    assert "the law is stationary" in bound.because


def test_uniform_bound_needs_overlap():
    assert dobrushin(np.eye(2)) == 1.0
    bound = occupancy.law_change_uniform(0.5, 1.0, 0.1)
    assert not bound.applies
    assert "Dobrushin coefficient is 1" in bound.because


def test_discount_zero_moves_no_visits():
    assert occupancy.visits_change(np.array([0.5, 0.5]), np.eye(2), np.array([[0.0, 1.0], [1.0, 0.0]]), 0.0).value == 0.0
