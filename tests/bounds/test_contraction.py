import math

import numpy as np
import pytest

from stackopt.bounds.contraction import Contraction, local_certificate, vacuity
from stackopt.bounds.lipschitz import Constants


def player(slope, *, discount=0.9, reward_span=1.0):
    """Constants whose slope is `slope`: only rewards interact."""
    return Constants(
        discount=discount, reward_span=reward_span, mixing=0.0, opponent_sway=0.0, own_sway=0.0, reward_interaction=4.0 * slope,
        transition_interaction=0.0, opponent_reward_span=10.0 * slope + 1.0, own_reward_span=1.0,
    )


def test_modulus_and_critical_temperature():
    c = Contraction(player(0.5), player(2.0), leader_temperature=2.0, follower_temperature=4.0)
    assert c.leader.slope == pytest.approx(0.5)
    assert c.modulus == pytest.approx(0.25 * 0.5)
    assert c.critical_temperature == pytest.approx(1.0)
    at = Contraction(player(0.5), player(2.0), 1.0, 1.0)
    assert at.modulus == pytest.approx(1.0)


def test_errors_of_an_affine_contraction():
    """Theory B4.2 and B4.3 on a scalar map of known modulus: attained where they should be."""
    c = Contraction(player(0.5), player(1.0), 1.0, 1.0)
    q = c.modulus
    x0, x1 = 1.0, q
    assert c.residual(abs(x1 - x0)).value == pytest.approx(abs(x0))
    assert c.a_posteriori(abs(x1 - x0)).value == pytest.approx(abs(x1))
    assert c.a_priori(3, abs(x1 - x0)).value == pytest.approx(q**3)
    assert c.a_priori(1, 100.0).value == pytest.approx(2 * q)
    assert c.follower_distance(0.1).value == pytest.approx(0.1)
    assert c.inexact(0.2, 0.01, 0.02).value == pytest.approx((q * 0.2 + 0.02 + 0.5 * 0.01) / (1 - q))


def test_inexact_steps_stay_within_their_bound():
    rng = np.random.default_rng(0)
    for _ in range(50):
        c = Contraction(player(rng.uniform(0.05, 0.9)), player(rng.uniform(0.1, 1.0)), 1.0, 1.0)
        x, e_f, e_l = rng.standard_normal(), *10.0 ** rng.uniform(-4, 0, 2)
        for _ in range(10):
            before = x
            y = c.follower_slope * x + rng.uniform(-e_f, e_f)
            x = -c.leader_slope * y + rng.uniform(-e_l, e_l)
            assert abs(x) <= c.inexact(abs(x - before), e_f, e_l).value + 1e-12


def test_no_contraction_does_not_apply_and_says_what_would_help():
    c = Contraction(player(1.0), player(3.42 * 0.02**2), 0.02, 0.02)
    for bound in (c.a_priori(3), c.a_posteriori(0.1), c.residual(0.1), c.follower_distance(0.1), c.inexact(0.1, 0.0, 0.0)):
        assert not bound.applies
        assert bound.because == "modulus < 1: no, modulus is 3.42 at temperature 0.02"
        assert "temperature > 0.03699" in bound.remedy


def test_local_certificate_where_the_global_one_fails():
    c = Contraction(player(1.0), player(1.0), 0.05, 0.05)
    assert c.modulus > 1
    clear = np.array([[0.0, -3.0], [0.0, -4.0]])
    local = local_certificate(c, clear, clear, residual=1e-6)
    assert local.bound.applies
    assert local.modulus < 1e-6
    assert local.bound.value == pytest.approx(1e-6, rel=1e-6)


def test_local_certificate_needs_clear_choices():
    c = Contraction(player(1.0), player(1.0), 0.05, 0.05)
    unclear = np.array([[0.0, -0.01]])
    bound = local_certificate(c, unclear, unclear, residual=1e-9).bound
    assert not bound.applies
    assert "local modulus < 1" in bound.because


def test_local_certificate_needs_a_small_residual():
    c = Contraction(player(1.0), player(1.0), 0.05, 0.05)
    clear = np.array([[0.0, -3.0]])
    bound = local_certificate(c, clear, clear, residual=2.0).bound
    assert not bound.applies
    assert "residual 2" in bound.because


def test_local_certificate_of_a_player_without_choice():
    c = Contraction(player(0.0), player(1.0), 0.05, 0.05)
    assert local_certificate(c, np.array([[0.0, 0.0]]), np.zeros((1, 1)), residual=0.0).bound.value == 0.0


def test_contraction_without_value():
    useful = vacuity(Contraction(player(0.3), player(0.3), 1.0, 1.0), 3)
    assert useful.applies
    assert useful.value == pytest.approx(0.3 * math.log(3) / 0.1)
    vacuous = vacuity(Contraction(player(9.0), player(9.0), 10.0, 10.0), 3)
    assert not vacuous.applies
    assert "9.89 times the trivial one" in vacuous.because
    assert "B4.4" in vacuous.remedy


def test_constant_rewards_are_never_vacuous():
    assert vacuity(Contraction(player(0.0), player(0.0, reward_span=0.0), 1.0, 1.0), 3).applies
