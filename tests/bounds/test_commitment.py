"""Sandwich [B7], relaxations [B8] and the fixed-point theorem [B11] as bounds on numbers."""

import math

import numpy as np
import pytest

import stackopt as so
from stackopt.bounds import fixed_point, relaxation, sandwich
from stackopt.bounds.lipschitz import constants
from stackopt.games.responses import commitment, follower_response, leader_value
from stackopt.solution import STRONG_VALUE


def test_unequal_discounts_give_no_value_sandwich():
    for bound in sandwich.value_sandwich(0.0, 1.0, 0.1, 0.05, 0.9, 0.5):
        assert not bound.applies
        assert bound.because == "both players discount alike: no, leader 0.9, follower 0.5"
        assert "B7.2" in bound.remedy
    assert not sandwich.linear_rate(1.0, 2.0, 0.1, 0.9, 0.5).applies
    assert not relaxation.individually_rational(1.0, 0.9, 0.5).applies
    assert not sandwich.tail_a_priori(3, 0.1, 0.5, leader_discount=0.9, follower_discount=0.5, model="max-ent").applies


def test_value_sandwich_senses():
    lower, upper = sandwich.value_sandwich(0.0, 1.0, 0.1, 0.05, 0.9, 0.9)
    assert (lower.sense, upper.sense) == ("lower", "upper")
    assert so.Examination(0.5, lower).verdict == so.Examination(0.5, upper).verdict == "holds"
    assert so.Examination(-0.5, lower).verdict == "violated"
    assert not sandwich.value_sandwich(0.0, 1.0, math.nan, 0.05, 0.9, 0.9)[1].applies


def test_a_follower_that_loses_more_than_epsilon_is_not_in_the_sandwich():
    for bound in sandwich.value_sandwich(0.0, 1.0, 0.1, 0.2, 0.9, 0.9):
        assert not bound.applies
        assert bound.because == "the follower loses at most epsilon: no, loss 0.2, epsilon 0.1"


def test_loss_a_priori():
    assert sandwich.loss_a_priori(2, 0.1, 0.9, "max-ent") == pytest.approx(math.log(2))
    assert sandwich.loss_a_priori(2, 0.1, 0.9, "boltzmann") == pytest.approx(0.27846, abs=1e-5)
    assert sandwich.loss_a_priori(2, 0.1, 0.9, "best") == 0.0
    assert sandwich.loss_a_priori(1, 0.1, 0.999, "max-ent") == 0.0


def test_without_the_tail_the_action_sandwich_is_false():
    """A soft follower uses every action, so it can leave the best and worst over good actions."""
    game = so.StackelbergGame([[[0.0, 1.0]]], [[[1.0, 0.0]]], so.stay, discount=0.0)
    x = np.ones((1, 1))
    y = follower_response(game, x, 1.0).policy
    value = float(leader_value(game, x, y))
    assert value > float(commitment(game, x).strong)
    lower, upper = sandwich.action_sandwich(0.0, 0.0, float(y[0, 1]), own_span=1.0, gap=0.0)
    assert so.Examination(value, upper, 1e-12).verdict == "holds"
    assert so.Examination(value, lower).verdict == "holds"
    assert so.Examination(value, sandwich.action_sandwich(0.0, 0.0, 0.0, own_span=1.0, gap=0.0)[1]).verdict == "violated"


@pytest.mark.parametrize("xi", [1e-1, 1e-3, 1e-6])
def test_there_is_no_rate_in_the_temperature_alone(xi):
    """Theory B7.4: strong = weak = 0, yet J = 1/(1+e) at temperature xi, for every xi."""
    game = so.StackelbergGame([[[0.0, 1.0]]], [[[xi, 0.0]]], so.stay, discount=0.0)
    x = np.ones((1, 1))
    worth = commitment(game, x)
    assert worth.strong == worth.weak == 0.0
    y = follower_response(game, x, xi).policy
    assert float(leader_value(game, x, y)) == pytest.approx(1 / (1 + math.e), abs=1e-12)


def test_tails_a_priori():
    rest = {"leader_discount": 0.9, "follower_discount": 0.9}
    assert sandwich.tail_a_priori(3, 0.1, 0.0, model="boltzmann", **rest).value == pytest.approx(10.0)
    assert sandwich.tail_a_priori(3, 0.1, 1.0, model="boltzmann", **rest).value == pytest.approx(20 * math.exp(-10))
    assert sandwich.tail_a_priori(3, 0.1, 0.0, model="max-ent", **rest).value == pytest.approx(10.0)
    assert sandwich.tail_a_priori(3, 0.1, 1.0, model="max-ent", **rest).value == pytest.approx(math.log(3))


def test_linear_rate_needs_a_multiplier():
    assert sandwich.linear_rate(1.0, 2.0, 0.1, 0.9, 0.9).value == pytest.approx(1.2)
    assert sandwich.linear_rate(1.0, 2.0, 0.1, 0.9, 0.9, strong=False).value == pytest.approx(0.8)
    assert not sandwich.linear_rate(1.0, math.inf, 0.1, 0.9, 0.9).applies


def test_gap_of_a_commitment():
    upper = relaxation.high_point(4.0)
    assert upper.of == STRONG_VALUE
    gap = relaxation.commitment_gap(upper, 3.5)
    assert (gap.value, gap.reference) == (0.5, "B8.1, B8.5")
    assert relaxation.commitment_gap(upper, 4.0 + 1e-12).value == 0.0
    assert not relaxation.commitment_gap(relaxation.individually_rational(4.0, 0.9, 0.5), 3.5).applies
    assert relaxation.eliminated(upper, 0).reference == "B8.1"
    assert "B8.3" in relaxation.eliminated(upper, 2).reference


def test_the_papers_theorem_is_never_assumed():
    rest = {"net": 0.01, "gap": 0.1, "temperature": 0.02}
    bound = fixed_point.net_iteration(0.5, 1.0, 3, 3, 10, **rest)
    assert not bound.applies
    assert "B11.2" in bound.because
    assert "B11.3" in bound.remedy
    granted = fixed_point.net_iteration(0.5, 1.0, 3, 3, 10, lipschitz=True, **rest)
    assert granted.applies
    assert granted.value == pytest.approx(2 * 0.5**10 + (0.01 + 4 / (math.exp(5) + 2)) * 2 / 0.5)
    assert not fixed_point.net_iteration(1.0, 1.0, 3, 3, 10, lipschitz=True, **rest).applies
    assert not fixed_point.net_iteration(0.5, 1.0, 3, 3, 10, lipschitz=True, net=0.01, gap=0.0, temperature=0.02).applies


def test_the_papers_choice_of_temperature():
    """Theory B11.1: with temperature = gap / log(1/net), the error is at most [((2A-1) + (2B-1) d_L)/(1-q) + 1] net."""
    net, gap, q, d_l, A, B = 1e-3, 0.2, 0.6, 1.5, 3, 4
    steps = math.ceil(math.log(2 / net) / math.log(1 / q))
    bound = fixed_point.net_iteration(q, d_l, A, B, steps, net=net, gap=gap, temperature=gap / math.log(1 / net), lipschitz=True)
    assert bound.value <= (((2 * A - 1) + (2 * B - 1) * d_l) / (1 - q) + 1) * net


def test_regret_bounds():
    assert fixed_point.follower_regret(3, 0.1, 0.9).value == pytest.approx(math.log(3))
    assert fixed_point.follower_regret(2, 0.1, 0.9, "boltzmann").value == pytest.approx(0.27846, abs=1e-5)
    c = constants(np.ones((1, 2, 2, 1)), np.array([[[0.0, 3.0], [0.0, 3.0]]]), 0.5)
    assert fixed_point.leader_regret(c, 2, 0.1, 0.0).value == pytest.approx(0.2 * math.log(2))
    assert fixed_point.leader_regret(c, 2, 0.1, 0.2).value == pytest.approx(0.2 * math.log(2) + 3.0 * 0.2)


def test_a_tail_that_is_not_a_number_has_no_force():
    for bound in sandwich.action_sandwich(0.0, 1.0, math.nan, own_span=1.0, gap=0.1):
        assert not bound.applies
        assert "the tail is paid for" in bound.because
