"""Leaders above populations: closed forms reached, both concepts side by side, values without a model, honest endings."""

import numpy as np
import pytest
from populations import random_game, sis

import stackopt as so
from stackopt.games.mean_field.leaders import distance
from stackopt.learning.mean_field.sampled_followers import SampledFollowers
from stackopt.learning.mean_field.settling import settle_soft

#: Logit monopoly: the buyer values the good at 2, temperature 0.1; p = tau (1 + W(e^{v / tau - 1})), worth tau W.
PRICE, VALUE = 1.7214117675794922, 1.6214117675794921


def logit(congestion=0.0):
    return so.MeanFieldStackelbergGame(
        so.Stationary(0.0), [[2.0, 0.0]], np.ones((1, 2, 1)), statistic="state-actions", reward_population=[[[-congestion, 0.0], [0.0, 0.0]]],
        reward_leader=[[[-1.0], [0.0]]], leader=so.Box([0.0], [2.5]), leader_reward_leader=[[[1.0], [0.0]]], name="logit",
    )  # fmt: skip


def test_hypergradient_ascent_reaches_the_closed_form():
    solution = so.solve(logit(), so.HypergradientAscent(temperature=0.1))
    assert solution.status is so.Status.CONVERGED
    assert solution.certified
    assert solution.candidate.theta[0] == pytest.approx(PRICE, abs=1e-6)
    assert solution.value == pytest.approx(VALUE, abs=1e-10)


@pytest.mark.parametrize(("temperature", "price", "value"), [(1.0, 2.1816558066156277, 0.5898489699876901), (0.1, 1.1110669528103232, 0.3569258802275303)])
def test_crowding_in_the_buyers_utility(temperature, price, value):
    solution = so.solve(logit(congestion=3.0), so.HypergradientAscent(temperature=temperature))
    assert solution.candidate.theta[0] == pytest.approx(price, abs=1e-6)
    assert solution.value == pytest.approx(value, abs=1e-9)


def leader_game(**rest):
    rng = np.random.default_rng(0)
    return random_game(
        T=4, coupling=0.5, reward_leader=rng.normal(size=(3, 2, 3)), leader_reward=rng.normal(size=(3, 2)),
        objective=lambda y, theta: (y**2).sum() * theta[0] - theta @ theta, **({"leader": so.Box([-1.0] * 3, [1.0] * 3)} | rest),
    )  # fmt: skip


def test_commitment_and_fixed_point_side_by_side():
    game = leader_game()
    committed, fixed = so.solve(game, so.HypergradientAscent(0.5)), so.solve(game, so.NaiveAscent(0.5))
    assert committed.certified
    assert fixed.certified
    assert fixed.candidate.concept == "fixed_point"
    assert fixed.certificate.values["leader_regret"] <= 1e-6
    assert committed.value > fixed.value + 1e-3


def test_no_decision_nearby_is_better():
    game = leader_game()
    found = so.solve(game, so.HypergradientAscent(0.5))
    rng = np.random.default_rng(1)
    for _ in range(10):
        theta = game.leader.project(found.candidate.theta + 0.05 * rng.normal(size=3))
        settled = settle_soft(game, theta, 0.5)
        flows = settled.mean_field[..., None] * settled.policy
        assert settled.settled
        assert game.leader_value(flows, game.aggregate(flows), theta) <= found.value + 1e-9


@pytest.mark.parametrize("chosen", [so.Simplex(3), so.Menu(np.eye(3))], ids=str)
def test_other_sets_of_decisions(chosen):
    game = leader_game(leader=chosen)
    found = so.solve(game, so.HypergradientAscent(0.5))
    assert found.certified
    assert distance(chosen, found.candidate.theta) <= 1e-9
    if isinstance(chosen, so.Menu):
        assert found.value == pytest.approx(max(found.stats["values"]))


def test_followers_that_do_not_settle_are_no_equilibrium():
    """The epidemic at a temperature so low that 1e-10 is below rounding, with no time at all."""
    game = sis(leader=so.Box([0.0], [0.49]), objective=lambda y, theta: -y[0, 1])
    settled = settle_soft(game, np.array([0.2]), 0.05, time_limit=0.0)
    assert not settled.settled
    assert settled.because


def test_the_sis_subsidy_of_soft_followers_is_interior():
    game = so.catalog.build("sis_subsidy")
    found = so.solve(game, so.HypergradientAscent(temperature=0.02))
    assert found.certified
    assert 0.05 < found.candidate.theta[0] < 0.45


@pytest.mark.parametrize("estimator", ["two-point", "gaussian"])
def test_a_leader_without_a_model_comes_close(estimator):
    found = so.solve(logit(), so.ModelFreeAscent(0.1, estimator=estimator, steps=120), seed=1)
    assert found.status is so.Status.CONVERGED
    assert found.value >= 0.97 * VALUE
    assert found.stats["days"] == 120 * 2 * 15


def test_too_few_steps_are_a_limit():
    for seed in range(3):  # whatever two standard errors of two estimates say
        found = so.solve(logit(), so.ModelFreeAscent(0.1, steps=4, followers=10, resolution=1e9), seed=seed)
        assert found.status is so.Status.LIMIT
        assert "2 estimates are too few" in found.because


def test_learning_followers_settle_at_the_soft_equilibrium():
    game = leader_game()
    theta = np.array([0.1, 0.2, -0.3])
    crowd = SampledFollowers(game, 0.5, followers=20_000, rate=0.1, seed=0)
    for _ in range(300):
        crowd.day(theta)
    settled = settle_soft(game, theta, 0.5)
    assert np.abs(crowd.policy - settled.policy).sum(-1).max() < 0.05
    earned = np.mean([crowd.day(theta) for _ in range(50)])
    flows = settled.mean_field[..., None] * settled.policy
    assert earned == pytest.approx(game.leader_value(flows, game.aggregate(flows), theta), abs=0.02)


@pytest.mark.parametrize("change", [{"estimator": "spsa"}, {"probe": 0.6}, {"steps": 2}, {"settle": -1}, {"measure": 0}, {"length": 0.0}, {"resolution": 0.0}])
def test_settings_are_checked(change):
    with pytest.raises(so.InvalidMethod):
        so.ModelFreeAscent(0.1, **change)


def test_what_the_model_free_leader_refuses():
    with pytest.raises(so.Refused):
        so.solve(leader_game(leader=so.Simplex(3)), so.ModelFreeAscent(0.1))
    with pytest.raises(so.Refused):
        so.solve(so.catalog.build("commitment_2x2"), so.ModelFreeAscent(0.1))
    with pytest.raises(so.InvalidMethod):
        so.ModelFreeAscent(-1.0)
    with pytest.raises(so.InvalidMethod):
        SampledFollowers(logit(), 0.1, rate=2.0)
    with pytest.raises(so.InvalidMethod):
        SampledFollowers(logit(), 0.1, followers=0)


def test_a_policy_over_a_state_of_the_leaders_own():
    """The season moves by itself and changes what buyers value; the leader mixes two prices by season, so each season has its own optimum."""
    from scipy.special import lambertw

    values, temperature = np.array([1.0, 2.0]), 0.1
    prices = np.array([0.0, 2.5])
    paid = np.zeros((2, 2, 4))  # [season, action, (season', price)]
    for season in range(2):
        paid[season, 0, 2 * season : 2 * season + 2] = prices
    game = so.MeanFieldStackelbergGame(
        so.Stationary(0.0), np.column_stack([values, np.zeros(2)]), np.array([[0.7, 0.3], [0.4, 0.6]])[:, None].repeat(2, 1),
        reward_leader=-paid, leader=so.Policies(2, 2), leader_reward_leader=paid,
    )  # fmt: skip
    found = so.solve(game, so.HypergradientAscent(temperature=temperature))
    assert found.certified
    mean = game.leader.rows(found.candidate.theta) @ prices
    best = temperature * (1 + lambertw(np.exp(values / temperature - 1)).real)
    assert mean == pytest.approx(best, abs=1e-5)
