"""Oracles: days mean what they say, followers do what they are said to do, and what an oracle says is checked."""

import numpy as np
import pytest

import stackopt as so
from benchmarks.tariff_truths import KNOWN, MENU, load_meters, truth
from stackopt.errors import InvalidMethod
from stackopt.games.responses import follower_response
from stackopt.learning.environment import EnvironmentOracle, SoftQFollower
from stackopt.learning.from_samples.inverse import soft_values
from stackopt.learning.oracles import Asked, KnownModel, QLearners, SoftPopulation, joined

SMALL = so.catalog.build("commitment_2x2")


def moving_game(seed=0, discount=0.8):
    """Three states, leader and follower both move them."""
    rng = np.random.default_rng(seed)
    shape = (3, 2, 2)
    return so.StackelbergGame(rng.uniform(-1, 1, shape), rng.uniform(-1, 1, shape), rng.dirichlet(np.ones(3), shape), discount=discount)


@pytest.mark.parametrize("steps", [1, 3])
def test_the_mean_day_is_the_discounted_value(steps):
    game, x = moving_game(), np.full((3, 2), 0.5)
    expected = float(soft_values(game, x[None], 0.2)[0])
    seen = SoftPopulation(game, 0.2, followers=2000, steps_per_day=steps, seed=1).observe(x, 600)
    settled = seen.value[50:]
    assert settled.mean() == pytest.approx(expected, abs=6 * settled.std() / len(settled) ** 0.5)


@pytest.mark.parametrize("steps", [1, 4])
def test_the_known_model_expects_what_the_population_does(steps):
    game, tau = truth(0)
    exact = KnownModel(game, tau, followers=500, steps_per_day=steps, meters=load_meters()).observe(MENU[37], 1)
    seen = SoftPopulation(game, tau, followers=500, steps_per_day=steps, meters=load_meters(), seed=2).observe(MENU[37], 200)
    assert exact.counts.sum() == pytest.approx(500 * steps)
    assert np.abs(seen.counts[20:].mean(0) - exact.counts[0]).sum() < 0.03 * 500 * steps
    assert seen.aggregate[20:].mean(0) == pytest.approx(exact.aggregate[0], rel=0.05)
    assert seen.value[20:].mean() == pytest.approx(exact.value[0], rel=0.05)


def test_inertia_moves_a_tenth_of_the_way_each_day():
    game, tau = truth(1)
    population = SoftPopulation(game, tau, adaptation=0.1, steps_per_day=4)
    target = follower_response(game, MENU[0], tau).policy
    before = np.abs(population.policy - target).sum()
    population.observe(MENU[0], 5)
    assert np.abs(population.policy - target).sum() == pytest.approx(0.9**5 * before)


def test_days_go_on_between_calls_and_seeds_repeat():
    game, tau = truth(1)
    one, two = (SoftPopulation(game, tau, adaptation=0.2, seed=5) for _ in range(2))
    whole = one.observe(MENU[3], 6)
    parts = joined(two.observe(MENU[3], 2), two.observe(MENU[3], 4))
    assert np.array_equal(whole.value, parts.value)
    assert np.array_equal(whole.counts, parts.counts)
    assert whole.last(2).days == 2


def test_q_learners_learn_where_they_explore():
    """At a high temperature every action is tried, and soft Q-learning finds the soft response."""
    game, x = moving_game(), np.full((3, 2), 0.5)
    learners = QLearners(game, 1.0, rate=0.2, followers=400, seed=0)
    seen = learners.observe(x, 800)
    target = follower_response(game, x, 1.0).policy
    assert np.abs(learners.policy - target).sum(-1).max() < 0.05
    assert seen.counts.sum() == 400 * 800


def test_q_learners_forget_to_come_back_at_low_temperature():
    game, tau = truth(0)
    learners = QLearners(game, tau, rate=0.5, steps_per_day=4, start=MENU[0])
    first = learners.policy
    learners.observe(MENU[-1], 40)
    learners.observe(MENU[0], 40)
    assert np.abs(learners.policy - first).sum(-1).mean() > 0.1


class Toll:
    """A road with a toll, Gymnasium's interface without Gymnasium: state 0 decides (0 drive, 1 stay), state 1 is the end."""

    def reset(self, *, seed=None, options=None):
        self.toll = float(options["leader_policy"][0, 1])
        return np.int64(0), {}

    def step(self, action):
        driven = action == 0
        return np.int64(1), 0.6 - self.toll if driven else 0.0, True, False, {"leader_reward": self.toll * driven}


def test_an_environment_is_an_oracle():
    follower = SoftQFollower(2, 2, temperature=0.1, discount=0.9, rate=0.1, seed=0)
    oracle = EnvironmentOracle(Toll(), follower, states=2, actions=2, discount=0.9, episodes_per_day=100, meters=np.ones((2, 2, 1)))
    policy = np.array([[0.5, 0.5], [1.0, 0.0]])
    oracle.observe(policy, 10)
    seen = oracle.observe(policy, 20)
    drive = 1 / (1 + np.exp(-0.1 / 0.1))  # softmax of (0.6 - 0.5, 0)
    assert seen.value.mean() == pytest.approx(0.5 * drive, abs=0.03)
    assert seen.counts[:, 0].sum(1) == pytest.approx(np.full(20, 100.0))
    assert seen.aggregate == pytest.approx(np.ones((20, 1)))


class Endless(Toll):
    def step(self, action):
        return 0, 0.0, False, False, {"leader_reward": 1.0}


def test_endless_episodes_are_cut_off():
    follower = SoftQFollower(2, 2, temperature=0.1, discount=0.9)
    oracle = EnvironmentOracle(Endless(), follower, states=2, actions=2, discount=0.5, episodes_per_day=1, steps=3)
    assert oracle.observe(np.full((2, 2), 0.5), 1).value == pytest.approx([1.75])


class Silent(Toll):
    def step(self, action):
        return 0, 0.0, True, False, {}


@pytest.mark.parametrize(("environment", "state_of"), [(Silent(), None), (Toll(), lambda seen: "home"), (Toll(), lambda seen: 7)])
def test_environments_that_say_too_little(environment, state_of):
    follower = SoftQFollower(2, 2, temperature=0.1, discount=0.9)
    oracle = EnvironmentOracle(environment, follower, states=2, actions=2, discount=0.9, state_of=state_of)
    with pytest.raises(InvalidMethod, match=r"\[oracle\]"):
        oracle.observe(np.full((2, 2), 0.5), 1)


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ({"value": [1.0]}, "length 2"),
        ({}, "value"),
        ({"value": [1.0, np.nan]}, "day 1"),
        ({"value": [1.0, 1.0], "counts": np.ones((2, 3))}, "counts"),
        ({"value": [1.0, 1.0], "aggregate": np.ones(2)}, "aggregate"),
    ],
)
def test_what_a_function_says_is_checked(said, word):
    with pytest.raises(InvalidMethod, match=word) as error:
        Asked(lambda policy, days: said).observe(np.ones((1, 1)), 2)
    assert error.value.code == "oracle"


def test_a_function_may_return_an_observation():
    model = KnownModel(SMALL, 0.1)
    x = np.array([[0.5, 0.5]])
    assert Asked(model.observe).observe(x, 2).value == pytest.approx(model.observe(x, 2).value)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: SoftPopulation(SMALL, 0.1, adaptation=0.0), "adaptation"),
        (lambda: QLearners(SMALL, 0.1, rate=2.0), "rate"),
        (lambda: KnownModel(KNOWN, 0.1, meters=np.ones((3, 3, 1))), "meters"),
    ],
)
def test_settings_are_checked(make, name):
    with pytest.raises(InvalidMethod, match=name):
        make()
