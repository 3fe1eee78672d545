"""The class: what it accepts, what it computes from arrays and callables, what it refuses."""

import functools
import pickle

import numpy as np
import pytest
from populations import random_game, sis, sis_reward, sis_transition

import stackopt as so

NOTHING = np.zeros(0)


def test_rewards_and_transitions_are_affine():
    rng = np.random.default_rng(1)
    K, T, S, B, D = 2, 4, 3, 2, 5
    r0, r1, r2 = rng.normal(size=(K, T, S, B)), rng.normal(size=(K, T, S, B, S)), rng.normal(size=(S, B, D))
    p0 = rng.dirichlet(np.ones(S), size=(K, T, S, B))
    game = so.MeanFieldStackelbergGame(
        so.Periodic(T, 0.9), r0, 0.5 * p0, reward_population=r1, reward_leader=r2,
        transition_population=0.5 * rng.dirichlet(np.ones(S), size=(S, S, B)), leader=so.Box(np.zeros(D), np.ones(D)),
    )  # fmt: skip
    y, theta = rng.dirichlet(np.ones(S), size=T), rng.uniform(size=D)
    by_hand = r0 + np.einsum("ktsbj,tj->ktsb", r1, y) + np.einsum("sbd,d->sb", r2, theta)
    assert np.allclose(game.rewards(y, theta), by_hand)
    assert np.allclose(game.rewards(y[2:3], theta, np.array([2])), by_hand[:, 2:3])
    kernel = 0.5 * p0 + np.einsum("jsbi,tj->tsbi", game.transition_population[0, 0], y)
    assert np.allclose(game.kernel(y, theta).array, kernel)
    assert np.allclose(game.kernel(y[1:2], theta, np.array([1])).array, kernel[:, 1:2])


@pytest.mark.parametrize("statistic", ["states", "state-actions", "averages"])
def test_statistics_are_averages_over_the_population(statistic):
    rng = np.random.default_rng(2)
    H = rng.normal(size=(2, 1, 3, 2, 4))
    game = random_game(statistic=H if statistic == "averages" else statistic, K=2) if statistic == "states" else so.MeanFieldStackelbergGame(
        so.Stationary(0.5), np.zeros((2, 1, 3, 2)), np.full((3, 2, 3), 1 / 3), weights=[0.25, 0.75], statistic=H if statistic == "averages" else statistic
    )
    flow = rng.dirichlet(np.ones(6), size=(2, 1)).reshape(2, 1, 3, 2)
    together = np.einsum("k,ktsb->tsb", game.weights, flow)
    expected = {
        "states": together.sum(-1),
        "state-actions": together.reshape(1, 6),
        "averages": np.einsum("k,ktsb,ktsbj->tj", game.weights, flow, H),
    }[statistic]
    assert np.allclose(game.aggregate(flow), expected)
    assert game.statistics == expected.shape[1]


def test_value_of_the_leader_is_an_average_plus_an_objective():
    rng = np.random.default_rng(3)
    l0, l1 = rng.normal(size=(3, 2)), rng.normal(size=(3, 2, 2))
    game = random_game(leader=so.Box([0, 0], [1, 1]), leader_reward=l0, leader_reward_leader=l1, objective=lambda y, theta: y[0, 0] * theta[1])
    flow, theta = rng.dirichlet(np.ones(6), size=(2, 1)).reshape(2, 1, 3, 2), np.array([0.3, 0.7])
    y = game.aggregate(flow)
    by_hand = np.einsum("k,ktsb,sb->", game.weights, flow, l0 + l1 @ theta) + y[0, 0] * 0.7
    assert game.leader_value(flow, y, theta) == pytest.approx(by_hand)


def test_numbers_of_types_come_from_any_array():
    S, B = 2, 2
    kernel = np.full((S, B, S), 0.5)
    assert so.MeanFieldStackelbergGame(so.Stationary(0.5), np.zeros((3, 1, S, B)), kernel).shape == (3, 1, 2, 2)
    assert so.MeanFieldStackelbergGame(so.Stationary(0.5), np.zeros((S, B)), kernel, weights=[0.1, 0.9]).shape == (2, 1, 2, 2)
    assert so.MeanFieldStackelbergGame(so.Periodic(4, 0.5), np.zeros((4, S, B)), kernel).shape == (1, 4, 2, 2)


def test_fingerprint_sees_what_defines_the_answer():
    game = random_game()
    assert game.fingerprint() == random_game(name="another").fingerprint()
    assert game.fingerprint() != random_game(seed=1).fingerprint()
    assert game.fingerprint() != random_game(horizon=so.Stationary(0.8)).fingerprint()
    sizes = (1, 2, 2)
    scaled = [
        so.MeanFieldStackelbergGame(so.Stationary(0.9), functools.partial(_scaled, factor=f), sis_transition, sizes=sizes).fingerprint() for f in (1, 2)
    ]
    assert scaled[0] != scaled[1]


def _scaled(t, y, theta, factor):
    return factor * sis_reward(t, y, theta)


def test_games_are_values():
    game = random_game()
    with pytest.raises(ValueError, match="read-only"):
        game.reward[0, 0, 0, 0] = 1.0
    again = pickle.loads(pickle.dumps(sis()))
    assert again.fingerprint() == sis().fingerprint()


def test_prints_its_shape_and_its_coupling():
    text = str(sis(leader=so.Box([0.0], [0.49])))
    assert text.startswith('MeanFieldStackelbergGame "sis": 1 type, 2 states, 2 actions')
    assert "stationary, discount 0.99" in text
    assert "callable" in text
    assert "1 parameter in a box" in text


GOOD = {"horizon": so.Stationary(0.5), "reward": np.zeros((2, 2)), "transition": np.full((2, 2, 2), 0.5)}
BROKEN = [
    ("horizon", {"horizon": 0.5}),
    ("leader-set", {"leader": [0, 1]}),
    ("axes", {"reward": np.zeros((2, 3)), "sizes": (1, 2, 2)}),
    ("axes", {"reward_population": np.zeros((2, 2, 5))}),
    ("axes", {"reward": lambda t, y, theta: "high", "sizes": (1, 2, 2)}),
    ("axes", {"reward": lambda t, y, theta: np.zeros((3, 3)), "sizes": (1, 2, 2)}),
    ("axes", {"objective": lambda y, theta: y}),
    ("finite", {"reward": np.array([[0, np.nan], [0, 0]])}),
    ("callable-finite", {"reward": lambda t, y, theta: np.full((2, 2), np.nan), "sizes": (1, 2, 2)}),
    ("callable-finite", {"objective": lambda y, theta: np.inf}),
    ("callable-and-array", {"reward": lambda t, y, theta: np.zeros((2, 2)), "reward_population": np.zeros((2, 2, 2)), "sizes": (1, 2, 2)}),
    ("kernel-rows", {"transition": np.full((2, 2, 2), 0.4)}),
    ("kernel-rows", {"transition": lambda t, y, theta: np.full((2, 2, 2), 0.4), "sizes": (1, 2, 2)}),
    ("types-weights", {"weights": [0.5, 0.6]}),
    ("mean-field-initial", {"horizon": so.Finite(2, [0.5, 0.6])}),
    ("sizes", {"reward": lambda t, y, theta: 0, "transition": lambda t, y, theta: 0}),
    ("sizes", {"sizes": (0, 2, 2)}),
    ("labels", {"states": ["a", "a"]}),
]


@pytest.mark.parametrize(("code", "change"), BROKEN, ids=lambda v: v if isinstance(v, str) else "-".join(v))
def test_what_breaks_a_law_is_refused(code, change):
    with pytest.raises(so.InvalidGame) as caught:
        so.MeanFieldStackelbergGame(**(GOOD | change))
    assert caught.value.code == code


@pytest.mark.parametrize("make", [lambda: so.Periodic(0, 0.9), lambda: so.Finite(3.5, [1.0]), lambda: so.Finite(3, [1.0], discount=1.5)])
def test_horizons_have_a_length(make):
    with pytest.raises(so.InvalidGame, match="horizon"):
        make()


def test_a_broken_callable_names_the_first_state():
    def reward(t, y, theta):
        values = np.zeros((1, len(t), 2, 2))
        values[0, :, 1, 0] = np.log(y[:, 0] - 0.6) if y[0, 0] > 0.6 else 0.0
        if y[0, 0] < 0.4:
            values[0, :, 1, 0] = np.nan
        return values

    game = so.MeanFieldStackelbergGame(so.Stationary(0.5), reward, np.full((2, 2, 2), 0.5), sizes=(1, 2, 2))
    with pytest.raises(so.InvalidGame) as caught:
        game.rewards(np.array([[0.1, 0.9]]), NOTHING)
    assert caught.value.code == "callable-finite"
    assert "(0, 0, 1, 0)" in str(caught.value)


def test_types_may_begin_in_different_states():
    first = np.array([[1.0, 0.0], [0.25, 0.75]])
    game = so.MeanFieldStackelbergGame(so.Finite(3, first), np.zeros((2, 1, 2, 1)), np.eye(2)[:, None])
    assert game.shape == (2, 3, 2, 1)
    assert game.initial.tolist() == first.tolist()
    with pytest.raises(so.InvalidGame):
        so.MeanFieldStackelbergGame(so.Finite(3, np.ones((3, 2)) / 2), np.zeros((2, 1, 2, 1)), np.eye(2)[:, None])


def test_a_discount_near_one_does_not_look_like_one():
    assert str(so.Periodic(24, 0.98)) == "periodic, 24 stages, discount 0.98 per stage"
    assert str(so.Periodic(24, 1 - 1e-6)) == "periodic, 24 stages, discount 0.999999 per stage"
    assert str(so.Stationary(1 - 1e-9)) == "stationary, discount 0.999999999"
