import math

import numpy as np
import pytest
from hypothesis import given, settings
from scipy.special import lambertw

from stackopt.bounds import softmax as bounds
from stackopt.games.dynamic_programming import optimal_value, policy_value, soft_optimal_value
from stackopt.games.operators import Mdp, argmax_uniform, entropy, softmax
from tests.strategies import action_values, temperatures

thorough = settings(max_examples=200, derandomize=True, deadline=None, database=None)


@pytest.mark.parametrize(("actions", "known"), [(1, 0.0), (2, 0.278), (5, 0.718), (20, 1.523)])
def test_lambert_constant_known_values(actions, known):
    assert bounds.lambert_constant(actions) == pytest.approx(known, abs=5e-4)


@pytest.mark.parametrize("actions", [2, 3, 7, 100, 10**6, 10**12])
def test_lambert_constant_solves_its_equation(actions):
    assert bounds.lambert_constant(actions) == pytest.approx(float(lambertw((actions - 1) / math.e).real), rel=1e-13)
    assert bounds.lambert_constant(actions) < math.log(actions)


@pytest.mark.parametrize("actions", [2, 5, 20])
def test_expected_gap_attains_its_bound(actions):
    w = bounds.lambert_constant(actions)
    q = np.append(0.0, np.full(actions - 1, -(1.0 + w) * 0.7))
    expected = float(softmax(q, 0.7) @ -q)
    assert expected == pytest.approx(bounds.softmax_gap(actions, 0.7).value, rel=1e-12)


@thorough
@given(action_values(), temperatures)
def test_distance_to_argmax(q, tau):
    p = softmax(q, tau)
    distance = float(np.abs(p - argmax_uniform(q)).sum())
    assert distance == pytest.approx(bounds.softmax_mass_off_best(q, tau), abs=1e-12)
    bound = bounds.softmax_to_argmax(q, tau)
    assert bound.applies
    assert distance <= bound.value + 1e-12
    # never looser than the usual 2 m exp(-gap / temperature)
    gaps = q.max() - q
    if (gaps > 0).any():
        assert bound.value <= 2 * len(q) * math.exp(-gaps[gaps > 0].min() / tau) + 1e-15


def test_distance_to_argmax_is_zero_when_all_tie_and_sharp_for_equal_gaps():
    assert bounds.softmax_to_argmax(np.ones(4), 0.1).value == 0.0
    q = np.array([0.0, -1.0, -1.0])
    assert bounds.softmax_to_argmax(q, 0.5).value == pytest.approx(bounds.softmax_mass_off_best(q, 0.5), rel=1e-14)


def test_distance_to_argmax_does_not_apply_to_unclear_ties():
    bound = bounds.softmax_to_argmax(np.array([0.0, -1e-9, -5e-9]), 1.0, tie=2e-9)
    assert not bound.applies
    assert "ties are told apart" in bound.because
    assert "5e-09" in bound.because


def test_nothing_overflows():
    q = np.array([1e6, 0.0, -1e6])
    assert bounds.softmax_to_argmax(q, 1e-3).value == 0.0
    assert bounds.softmax_change(1e9, 1e-3).value == 2.0
    assert bounds.max_ent_tail(1e9, 1e-3, 4, 0.999).value == 0.0
    assert bounds.boltzmann_tail(1e9, 1e-6).value == 0.0


@thorough
@given(action_values(), action_values(), temperatures)
def test_change_of_softmax(q, other, tau):
    m = min(len(q), len(other))
    q, other = q[:m], other[:m]
    span = float(np.ptp(q - other))
    distance = float(np.abs(softmax(q, tau) - softmax(other, tau)).sum())
    bound = bounds.softmax_change(span, tau).value
    assert distance <= bound + 1e-11
    assert bound <= span / tau / 2 + 1e-15


@thorough
@given(action_values(), temperatures)
def test_local_modulus_bounds_the_mean_absolute_deviation(q, tau):
    p = softmax(q, tau)
    h = np.random.default_rng(0).standard_normal(len(q))
    assert float(p @ np.abs(h - p @ h)) <= bounds.local_modulus(p.max()) * np.ptp(h) + 1e-12


@thorough
@given(action_values(), temperatures)
def test_expected_gap(q, tau):
    p = softmax(q, tau)
    expected = float(p @ (q.max() - q))
    assert expected <= bounds.softmax_gap(len(q), tau).value * (1 + 1e-12) + 1e-15
    assert expected <= bounds.softmax_gap(len(q), tau, float(entropy(p))).value * (1 + 1e-9) + 1e-12


def worse_region():
    """Theory X4b: four actions, discount 0.99; indifference here, one good action there, just below the entropy of the first."""
    reward, transition = np.zeros((3, 4)), np.zeros((3, 4, 3))
    reward[0] = [0.0, 0.0, -1e3, -1e3]
    reward[2] = [0.9 * math.log(4), -1e3, -1e3, -1e3]
    transition[0, 0, 1], transition[0, 1:, 2], transition[1, :, 1], transition[2, :, 2] = 1, 1, 1, 1
    return Mdp(reward, transition, 0.99)


def test_the_boltzmann_constant_is_false_for_max_ent():
    mdp = worse_region()
    best, soft = optimal_value(mdp), soft_optimal_value(mdp, 1.0)
    loss = float((best.value - policy_value(mdp, softmax(soft.action_values, 1.0)))[0])
    other = float((best.value - policy_value(mdp, softmax(best.action_values, 1.0)))[0])
    assert loss == pytest.approx(123.5, abs=0.1)
    boltzmann = bounds.boltzmann_loss(4, 1.0, 0.99)
    assert boltzmann.value == pytest.approx(60.4, abs=0.1)
    assert loss > 2 * boltzmann.value
    assert other <= boltzmann.value
    assert loss <= bounds.max_ent_loss(4, 1.0, 0.99).value == pytest.approx(138.6, abs=0.1)


def test_each_loss_bound_is_for_its_own_model():
    bound = bounds.boltzmann_loss(4, 1.0, 0.99, model="max-ent")
    assert not bound.applies
    assert bound.because == "the response is boltzmann: no, it is max-ent"
    bound = bounds.max_ent_loss(4, 1.0, 0.99, model="boltzmann")
    assert not bound.applies
    assert not bounds.max_ent_loss_measured(1.0, 1.0, model="best").applies


def test_loss_bounds_need_solved_values_and_the_right_policy():
    assert bounds.max_ent_loss(3, 0.1, 0.9, residual=1e-8, size=100.0).applies
    bound = bounds.max_ent_loss(3, 0.1, 0.9, residual=1e-3)
    assert not bound.applies
    assert "residual 0.001" in bound.because
    bound = bounds.boltzmann_loss(3, 0.1, 0.9, distance=0.01)
    assert not bound.applies
    assert "distance 0.01" in bound.because
    assert not bounds.max_ent_loss(3, 0.1, 0.9, residual=math.nan).applies


@pytest.mark.parametrize("discount", [0.0, 0.999])
def test_one_action_loses_nothing(discount):
    assert bounds.max_ent_loss(1, 5.0, discount).value == 0.0
    assert bounds.boltzmann_loss(1, 5.0, discount).value == 0.0


@thorough
@given(action_values(), temperatures)
def test_tails_of_one_choice(q, tau):
    for gap, p in zip(q.max() - q, softmax(q, tau), strict=True):
        assert p <= bounds.boltzmann_tail(float(gap), tau).value + 1e-15
        tail = bounds.max_ent_tail(float(gap), tau, len(q), 0.0)
        assert p <= tail.value + 1e-15 or not tail.applies


def test_max_ent_tail_says_when_it_is_vacuous():
    bound = bounds.max_ent_tail(0.5, 0.1, 3, 0.9)
    assert not bound.applies
    assert "the bound is below 1" in bound.because
    assert bounds.max_ent_tail(2.0, 0.1, 3, 0.9).applies


def test_visits_of_bad_actions():
    assert bounds.visits_of_bad_actions(0.3, 0.1).value == pytest.approx(3.0)
    assert not bounds.visits_of_bad_actions(0.3, 0.0).applies
