"""B9 and C3: bounds hold as often as they say, apply only when they may, and are as loose as theory says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackopt.bounds import sampling
from stackopt.bounds.lipschitz import constants
from stackopt.games.dynamic_programming import optimal_value
from stackopt.games.operators import Mdp, follower_mdp, soft_maximum
from stackopt.games.responses import soft_response
from stackopt.learning.from_samples.estimators import gaussian_gradient, two_point_gradient
from stackopt.learning.from_samples.kernels import kernel_from_counts, sample_next, sampled_response
from tests.strategies import games, seeds

few = settings(max_examples=60, derandomize=True, deadline=None, database=None)
TAU, FAILURE = 0.3, 0.1


def random_mdp(rng, states=4, actions=3, discount=0.8):
    return Mdp(rng.uniform(-1, 1, (states, actions)), rng.dirichlet(np.full(states, 0.4), (states, actions)), discount)


@few
@given(games(), seeds)
def test_sampled_action_values_are_within_both_bounds(game, seed):
    """Hardly ever violated: over these games at a failure probability of 1e-6, never."""
    rng = np.random.default_rng(seed)
    S, A, _ = game.shape
    mdp = follower_mdp(game, rng.dirichlet(np.ones(A), S))
    first, second = sample_next(mdp, 25, rng), sample_next(mdp, 25, rng)
    span = constants(mdp.transition[:, None], mdp.reward[:, None], mdp.discount).value_span
    found = sampled_response(mdp.reward, mdp.discount, first, second, TAU, 1e-6, span)
    true = soft_response(mdp, TAU)
    error = np.abs(found.response.optimum.action_values - true.optimum.action_values).max()
    scale = 1e-9 * (1 + np.abs(true.optimum.action_values).max())
    assert found.a_priori.applies
    assert found.measured.applies
    assert error <= found.a_priori.value + scale
    assert error <= found.measured.value + scale
    assert np.abs(found.response.policy - true.policy).sum(-1).max() <= found.policy.value + 1e-9


def test_failures_are_no_more_frequent_than_promised():
    """E24: 200 seeds at failure probability 0.1; the bounds are loose, so that failures are rarer still."""
    failures = np.zeros(2)
    for seed in range(200):
        rng = np.random.default_rng(seed)
        mdp = random_mdp(rng)
        true = optimal_value(mdp)
        first, second = sample_next(mdp, 40, rng), sample_next(mdp, 40, rng)
        counts = np.stack([(first == s).sum(-1) for s in range(4)], -1).astype(float)
        found = optimal_value(Mdp(mdp.reward, kernel_from_counts(counts), mdp.discount))
        error = np.abs(found.action_values - true.action_values).max()
        failures += error > sampling.action_value_error(np.ptp(true.value), 0.8, 4, 3, 40, FAILURE).value
        failures[1] += error > sampling.action_value_error_measured(mdp.reward, 0.8, found.action_values, found.value, second, FAILURE).value
    assert (failures <= 200 * FAILURE).all()


def test_a_wrong_estimate_is_caught_by_the_second_batch():
    rng = np.random.default_rng(0)
    mdp = random_mdp(rng)
    wrong = soft_response(mdp, TAU).optimum.action_values + 5.0
    bound = sampling.action_value_error_measured(mdp.reward, 0.8, wrong, soft_maximum(wrong, TAU), sample_next(mdp, 2000, rng), FAILURE)
    assert 5.0 <= bound.value < 10.0


def test_the_a_priori_bound_asks_for_absurdly_many_samples():
    """What it costs at a discount of .95 and temperature .05 to have a policy error of .04 with a value span of 40 dollars."""
    needed = sampling.samples_needed(0.04 * 0.05, 40.0, 0.95, 24, 3, 0.05)
    assert needed > 1e8
    assert sampling.action_value_error(40.0, 0.95, 24, 3, needed, 0.05).value <= 0.002
    assert sampling.action_value_error(40.0, 0.95, 24, 3, needed - 1, 0.05).value > 0.002


def measured_of_one(samples, **rest):
    zero = np.zeros((1, 1))
    return sampling.action_value_error_measured(zero, 0.9, zero, np.zeros(1), np.zeros((1, 1, samples), int), 0.1, **rest)


@pytest.mark.parametrize(
    ("bound", "word"),
    [
        (sampling.action_value_error(1.0, 0.9, 3, 2, 10, 0.0), "probability"),
        (sampling.action_value_error(1.0, 0.9, 3, 2, 10, 0.1, independent=False), "independent"),
        (sampling.action_value_error(1.0, 0.9, 3, 2, 0, 0.1), "one sample"),
        (measured_of_one(samples=1), "samples"),
        (measured_of_one(samples=9, second_batch=False), "second"),
        (sampling.choice_frequency_error(np.array([5.0]), 2, 1.5), "probability"),
        (sampling.choice_frequency_error(np.array([5.0]), 2, 0.1, independent=False), "independent"),
        (sampling.two_point_bias(1.0, 0.1, 2, analytic=False), "derived"),
        (sampling.gaussian_bias(1.0, 0.1, 2, analytic=False), "derived"),
        (sampling.two_point_second_moment(1.0, 2, analytic=False), "derived"),
        (sampling.reward_radius(0.0, 1.0, 2, 2, 0, 0.1), "one sample"),
    ],
)
def test_guards(bound, word):
    assert not bound.applies
    assert word in bound.because


def test_a_failed_guard_is_inherited_by_the_policy_error():
    assert not sampling.policy_error(sampling.action_value_error(1.0, 0.9, 3, 2, 10, 0.1, independent=False), 0.1).applies


@pytest.mark.parametrize("actions", [2, 3, 6])
def test_choice_frequencies_stay_within_their_radius(actions):
    rng = np.random.default_rng(actions)
    visits = np.array([20, 50, 400])
    bound = sampling.choice_frequency_error(visits, actions, FAILURE)
    failures = 0
    for _ in range(400):
        y = rng.dirichlet(np.ones(actions), 3)
        seen = rng.multinomial(visits, y) / visits[:, None]
        failures += np.abs(seen - y).sum(1).max() > bound.value
    assert failures <= 400 * FAILURE


def test_choice_frequency_extremes():
    assert sampling.choice_frequency_error(np.array([5.0]), 1, 0.1).value == 0.0
    assert sampling.choice_frequency_error(np.array([0.0, 9.0]), 2, 0.1).value == 2.0
    few_seen, many = (sampling.choice_frequency_error(np.array([n]), 3, 0.1).value for n in (1e3, 1e5))
    assert many == pytest.approx(few_seen / 10, rel=1e-12)


def test_reward_radius_covers_mean_rewards():
    rng = np.random.default_rng(3)
    radius = sampling.reward_radius(0.0, 1.0, 5, 2, 30, FAILURE).value
    off = [np.abs(rng.binomial(1, p, (30, 10)).mean(0) - p).max() > radius for p in rng.uniform(0, 1, 300)]
    assert np.mean(off) <= FAILURE


@few
@given(seeds, st.integers(1, 5), st.floats(0.05, 1.0), st.floats(0.0, 0.2))
def test_zeroth_order_bias_of_quadratics_with_adversarial_errors(seed, size, length, error):
    """On a quadratic both estimators are unbiased, so all bias comes from errors of the values, at most its term."""
    rng = np.random.default_rng(seed)
    shape = rng.standard_normal((size, size))
    shape = shape + shape.T
    slope, point = rng.standard_normal(size), rng.standard_normal(size)
    ahead = rng.standard_normal(size)

    def objective(x):
        return float(slope @ x + 0.5 * x @ shape @ x + error * np.sign(ahead @ (x - point)))

    true = slope + shape @ point
    beta = float(np.abs(np.linalg.eigvalsh(shape)).max())
    for estimate, bias in ((two_point_gradient, sampling.two_point_bias), (gaussian_gradient, sampling.gaussian_bias)):
        draws = np.array([estimate(objective, point, length, rng) for _ in range(400)])
        noise = 5 * np.sqrt((draws.var(0) / 400).sum())
        assert np.linalg.norm(draws.mean(0) - true) <= bias(beta, length, size, error).value + noise + 1e-9


def test_zeroth_order_bias_of_a_curved_function():
    """sin: beta is 1, the bias of the one-dimensional two-point estimate is |sin d / d - 1|, below its bound d/2."""
    rng = np.random.default_rng(0)
    for length in (0.1, 0.5, 1.0):
        g = two_point_gradient(lambda x: float(np.sin(x[0])), np.zeros(1), length, rng)[0]
        assert g == pytest.approx(np.sin(length) / length)
        assert 1 - g <= sampling.two_point_bias(1.0, length, 1).value


def test_second_moment_and_best_length():
    rng = np.random.default_rng(1)
    slope = np.array([3.0, 4.0])
    squares = [float((two_point_gradient(lambda x: float(slope @ x), np.zeros(2), 0.1, rng) ** 2).sum()) for _ in range(2000)]
    assert np.mean(squares) <= sampling.two_point_second_moment(5.0, 2).value
    best = sampling.best_length(2.0, 4, 0.01)
    least = sampling.two_point_bias(2.0, best, 4, 0.01).value
    assert least <= min(sampling.two_point_bias(2.0, best * f, 4, 0.01).value for f in (0.8, 0.95, 1.05, 1.2))
