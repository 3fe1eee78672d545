"""The adjoint gradient against central differences of the leader's value at re-solved equilibria  [E16]."""

import numpy as np
import pytest
from populations import random_game, sis

import stackopt as so
from stackopt.games.mean_field.derivatives import Partials, along
from stackopt.games.mean_field.dynamics import respond
from stackopt.games.mean_field.laws import law
from stackopt.learning.mean_field.leader_gradient import leader_gradient

THETA = np.array([0.1, 0.2, -0.3])


def settled(game, theta, temperature, policy=None):
    """The soft equilibrium by plain damped iteration: slow, and independent of every solver of the package."""
    policy = game.uniform() if policy is None else policy
    for _ in range(4000):
        answer = respond(game, law(game, policy, theta).y, theta, temperature)
        change = np.abs(answer.policy - policy).max()
        policy = 0.5 * policy + 0.5 * answer.policy
        if change < 1e-14:
            break
    assert change < 1e-12
    return policy, law(game, policy, theta).mean_field


def by_differences(game, theta, temperature, policy, step=1e-5):
    slopes = []
    for e in np.eye(len(theta)):
        values = []
        for moved in (theta + step * e, theta - step * e):
            y, mu = settled(game, moved, temperature, policy)
            flows = mu[..., None] * y
            values.append(game.leader_value(flows, game.aggregate(flows), moved))
        slopes.append((values[0] - values[1]) / (2 * step))
    return np.array(slopes)


def leader(rng, S=3, B=2, D=3):
    return {
        "leader": so.Box([-1.0] * D, [1.0] * D),
        "leader_reward": rng.normal(size=(S, B)),
        "leader_reward_leader": rng.normal(size=(S, B, D)),
        "objective": lambda y, theta: (y**2).sum() * theta[0] + np.sin(y[0, 1]),
    }


HORIZONS = [so.Stationary(0.9), so.Periodic(4, 0.95), so.Finite(4, [1.0, 0.0, 0.0])]


@pytest.mark.parametrize("horizon", HORIZONS, ids=str)
@pytest.mark.parametrize("kernel", ["fixed", "moved"])
def test_gradient_is_the_difference_quotient(horizon, kernel):
    rng = np.random.default_rng(0)
    T, S, B = horizon.stages, 3, 2
    rest = leader(rng) | {"reward_leader": rng.normal(size=(S, B, 3))}
    if kernel == "moved":
        shift = 0.05 * (np.eye(S)[0] - np.eye(S)[1]) * np.arange(3)[:, None, None, None]
        game = so.MeanFieldStackelbergGame(
            horizon, rng.normal(size=(2, T, S, B)), 0.5 * rng.dirichlet(np.ones(S), size=(2, T, S, B)), statistic="state-actions",
            reward_population=0.5 * rng.normal(size=(S, B, S * B)), transition_population=0.5 * rng.dirichlet(np.ones(S), size=(S * B, S, B)),
            transition_leader=np.zeros((3, S, B, S)) + shift, **rest,
        )  # fmt: skip
    else:
        game = random_game(T=T, horizon=horizon, coupling=0.5, **rest)
    policy, mu = settled(game, THETA, 0.5)
    found = leader_gradient(game, policy, mu, THETA, 0.5)
    expected = by_differences(game, THETA, 0.5, policy)
    assert np.abs(found.gradient - expected).max() <= 1e-7 * np.abs(expected).max()
    assert found.residual <= 1e-9
    assert np.abs(found.direct - found.gradient).max() > 1e-2  # the response matters


def test_callables_are_differentiated_by_complex_steps():
    game = sis(so.Finite(10, [0.4, 0.6]), leader=so.Box([0.0], [0.49]), objective=lambda y, theta: -y[:, 1].sum() - theta[0] * y[0, 0])
    theta = np.array([0.2])
    policy, mu = settled(game, theta, 0.1)
    found = leader_gradient(game, policy, mu, theta, 0.1)
    assert found.gradient == pytest.approx(by_differences(game, theta, 0.1, policy), rel=1e-7)


def test_large_chains_take_the_krylov_route(monkeypatch):
    rng = np.random.default_rng(1)
    game = random_game(T=4, horizon=so.Periodic(4, 0.95), coupling=0.5, **leader(rng))
    policy, mu = settled(game, THETA, 0.5)
    direct = leader_gradient(game, policy, mu, THETA, 0.5)
    monkeypatch.setattr("stackopt.learning.mean_field.leader_gradient.DIRECT_STATES", 0)
    assert np.allclose(leader_gradient(game, policy, mu, THETA, 0.5).gradient, direct.gradient, rtol=1e-9)


def test_cost_does_not_grow_with_the_number_of_parameters():
    counts = []
    for D in (1, 40):
        rng = np.random.default_rng(2)
        game = random_game(
            coupling=0.5, leader=so.Box(np.zeros(D), np.ones(D)), reward_leader=rng.normal(size=(3, 2, D)), leader_reward=np.arange(6.0).reshape(3, 2)
        )
        theta = np.zeros(D)
        policy, mu = settled(game, theta, 0.5)
        counts.append(leader_gradient(game, policy, mu, theta, 0.5).products)
    assert counts[0] == counts[1]


def test_an_objective_may_bring_its_own_gradient():
    class Objective:
        def __call__(self, y, theta):
            return float((y**2).sum() + theta[0])

        def gradient(self, y, theta):
            return 2 * y, np.ones(1)

    game = random_game(leader=so.Box([0.0], [1.0]), objective=Objective())
    y, theta = np.full((1, 3), 1 / 3), np.zeros(1)
    own = Partials(game, y, theta).objective()
    assert np.allclose(own[0], 2 / 3)
    assert own[1].tolist() == [1.0]


def test_rewards_may_bring_their_own_products():
    """What a callable says of itself is what a difference quotient says, and what the gradient is made of."""

    class Reward:
        calls = 0

        def __call__(self, t, y, theta):
            return np.sin(y)[None, :, :, None] * np.array([1.0, 2.0]) + theta[0] * np.array([0.0, 1.0])

        def in_statistics(self, y, theta, cotangent):
            Reward.calls += 1
            return np.cos(y) * (cotangent * np.array([1.0, 2.0])).sum((0, 3))

        def in_decision(self, y, theta, cotangent):
            return np.array([cotangent[..., 1].sum()])

    class Plain(Reward):
        in_statistics = in_decision = None

    kernel = np.random.default_rng(0).dirichlet(np.ones(3), size=(3, 2))
    rest = {"leader": so.Box([0.0], [1.0]), "objective": lambda y, theta: (y**2).sum() - theta[0] ** 2, "sizes": (1, 3, 2)}
    own, plain = (so.MeanFieldStackelbergGame(so.Periodic(4, 0.9), reward, kernel, **rest) for reward in (Reward(), Plain()))
    theta = np.array([0.3])
    policy, mu = settled(own, theta, 0.5)
    found, expected = (leader_gradient(game, policy, mu, theta, 0.5).gradient for game in (own, plain))
    assert Reward.calls > 0
    assert np.abs(found - expected).max() <= 1e-10 * np.abs(expected).max()


def test_adjoints_near_a_discount_of_one_keep_their_digits():
    game = random_game(T=4, horizon=so.Periodic(4, 1 - 1e-7), coupling=0.5, **leader(np.random.default_rng(0)))
    policy, mu = settled_by(game, so.MeanFieldEquilibrium(theta=THETA, temperature=0.5, tolerance=1e-5))
    near = random_game(T=4, horizon=so.Periodic(4, 1 - 1e-5), coupling=0.5, **leader(np.random.default_rng(0)))
    other = settled_by(near, so.MeanFieldEquilibrium(theta=THETA, temperature=0.5, tolerance=1e-8))
    found, expected = leader_gradient(game, policy, mu, THETA, 0.5), leader_gradient(near, *other, THETA, 0.5)
    assert np.abs(found.gradient - expected.gradient).max() <= 1e-3 * np.abs(expected.gradient).max()
    assert found.products < 40


def settled_by(game, method):
    population = so.solve(game, method).require()
    return population.policy, population.mean_field


def test_what_drops_the_imaginary_part_is_differenced():
    def rounds(x):
        values = np.zeros(3)
        values[:] = x**2  # a real array: numpy warns that it discards the imaginary part
        return values

    derivative = along(rounds, np.arange(3.0), np.ones(3))
    assert np.allclose(derivative, 2 * np.arange(3.0), atol=1e-8)
    assert np.allclose(along(lambda x: x**2, np.arange(3.0), np.ones(3)), 2 * np.arange(3.0), atol=0)
    assert np.allclose(along(lambda x: np.ones(3), np.arange(3.0), np.ones(3)), 0.0)
