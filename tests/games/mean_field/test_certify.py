"""What a certificate accepts and what it refuses."""

import dataclasses

import numpy as np
import pytest
from populations import random_game, sis

import stackopt as so
from stackopt.games.mean_field.laws import law

NOTHING = np.zeros(0)


def crowd():
    """Two places, free to move, nobody likes company: half and half is the equilibrium."""
    return so.MeanFieldStackelbergGame(
        so.Stationary(0.9), np.zeros((2, 2)), np.eye(2)[None].repeat(2, 0), reward_population=-np.eye(2)[:, None].repeat(2, 1), name="crowd"
    )


def test_an_equilibrium_is_certified_and_a_deviation_is_not():
    game = crowd()
    half = so.Population(NOTHING, game.uniform(), np.full((1, 1, 2), 0.5), claim=0.0)
    assert game.certify(half).certified
    everybody = np.zeros(game.shape)
    everybody[..., 0] = 1.0
    certificate = game.certify(so.Population(NOTHING, everybody, np.array([[[1.0, 0.0]]])))
    assert [c.name for c in certificate.failures] == ["nobody gains by deviating"]
    assert certificate.values["exploitability"] == pytest.approx(0.9)  # (1 - .9) times .9 a stage for ever


def test_a_law_that_the_policies_do_not_bring_about_fails():
    game = crowd()
    certificate = game.certify(so.Population(NOTHING, game.uniform(), np.array([[[0.6, 0.4]]])))
    assert "policies bring the mean field about" in [c.name for c in certificate.failures]


def test_nan_and_wrong_shapes_are_not_certified():
    game = crowd()
    mu = np.full((1, 1, 2), 0.5)
    assert not game.certify(so.Population(NOTHING, np.full(game.shape, np.nan), mu)).certified
    with pytest.raises(so.InvalidCandidate):
        game.certify(so.Population(np.zeros(3), game.uniform(), mu))


def test_a_decision_outside_the_set_fails():
    game = sis(leader=so.Box([0.0], [0.4]))
    policy = game.uniform()
    outside = so.Population(np.array([0.5]), policy, law(game, policy, np.array([0.5])).mean_field)
    assert [c.name for c in game.certify(outside).failures] == ["decision is the leader's to take"]


def test_fixed_points_are_held_to_the_leaders_best_decision():
    game = random_game(coupling=0.0, leader=so.Menu([[0.0], [1.0]]), reward_leader=np.zeros((3, 2, 1)), leader_reward_leader=np.ones((3, 2, 1)))
    from stackopt.games.mean_field.dynamics import respond

    policy = respond(game, np.full((1, 3), 1 / 3), np.zeros(1)).policy
    mu = law(game, policy, np.zeros(1)).mean_field
    wrong = so.Population(np.zeros(1), policy, mu, concept="fixed_point")
    assert game.certify(wrong).values["leader_regret"] == pytest.approx(1.0)
    right = dataclasses.replace(wrong, theta=np.ones(1))
    assert game.certify(right).certified
