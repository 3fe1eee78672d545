"""Soft equilibria: an own fixed point written out, Newton's matrix against finite differences, and the instance where iteration cycles."""

import math

import numpy as np
import pytest
from populations import branching, random_game, sis

import stackopt as so
from stackopt.learning.mean_field.derivatives import Derivatives
from stackopt.learning.mean_field.followers import Followers
from stackopt.learning.mean_field.soft import SoftSearch
from stackopt.learning.mean_field.sweeps import Sweeps

NO_THETA = np.zeros(0)


def by_hand(reward, coupling, kernel, discount, temperature):
    """A stationary soft equilibrium of one type by heavily damped iteration in plain Python; shares no code with the package.

    reward [S][B], coupling [S][B][J = S], kernel [S][B][S].
    """
    S, B = len(reward), len(reward[0])
    mu, value = [1.0 / S] * S, [0.0] * S
    for _ in range(6000):
        r = [[reward[s][b] + sum(coupling[s][b][j] * mu[j] for j in range(S)) for b in range(B)] for s in range(S)]
        q = [[r[s][b] + discount * sum(kernel[s][b][t] * value[t] for t in range(S)) for b in range(B)] for s in range(S)]
        top = [max(row) for row in q]
        value = [top[s] + temperature * math.log(sum(math.exp((q[s][b] - top[s]) / temperature) for b in range(B))) for s in range(S)]
        policy = [[math.exp((q[s][b] - value[s]) / temperature) for b in range(B)] for s in range(S)]
        after = [sum(mu[s] * policy[s][b] * kernel[s][b][t] for s in range(S) for b in range(B)) for t in range(S)]
        mu = [0.9 * m + 0.1 * n for m, n in zip(mu, after, strict=True)]
    return mu, policy


@pytest.mark.parametrize("seed", range(4))
def test_a_fixed_point_written_out(seed):
    rng = np.random.default_rng(seed)
    reward, coupling = rng.normal(size=(2, 2)), 0.5 * rng.normal(size=(2, 2, 2))
    kernel = rng.dirichlet(np.ones(2), size=(2, 2))
    mu, policy = by_hand(reward.tolist(), coupling.tolist(), kernel.tolist(), 0.9, 0.5)
    game = so.MeanFieldStackelbergGame(so.Stationary(0.9), reward, kernel, reward_population=coupling)
    for method in (so.QuasiNewton(0.5), so.MeanFieldEquilibrium(temperature=0.5, tolerance=1e-9), so.SoftmaxPolicyIteration(0.5, damping=0.5)):
        solution = so.solve(game, method)
        assert solution.certified
        assert np.abs(solution.candidate.mean_field[0, 0] - mu).max() < 1e-8
        assert np.abs(solution.candidate.policy[0, 0] - policy).max() < 1e-7


@pytest.mark.parametrize(
    "game", [random_game(1, K=2, T=3, coupling=2.0), random_game(2, horizon=so.Finite(4, np.full(3, 1 / 3))), sis(), sis(so.Finite(6, [0.4, 0.6]))]
)
def test_newtons_matrix_is_that_of_finite_differences(game):
    followers = Followers(game, NO_THETA)
    search = SoftSearch(followers, 1e-8, 60.0)
    _, y = followers.law(game.uniform())
    point = search.at(y, 0.3, search.at(y, 0.3, None))
    policy, following = point.answer.policy, np.roll(point.answer.value, -1, axis=1)
    if not game.cyclic:
        following[:, -1] = 0.0
    sweeps = Sweeps(followers, Derivatives(followers), y, policy, policy / 0.3, point.mu, following, followers.stage_kernels(y))
    matrix, h = sweeps.matrix(), 1e-6
    for n in range(y.size):
        move = np.zeros(y.size)
        move[n] = h
        move = move.reshape(y.shape)
        ahead, behind = (search.at(y + sign * move, 0.3, point).brought for sign in (1, -1))
        column = np.eye(y.size)[n] - ((ahead - behind) / (2 * h)).ravel()
        assert np.abs(matrix[:, n] - column).max() < 1e-6
        assert np.abs(sweeps.moved(move / h) - (ahead - behind) / (2 * h)).max() < 1e-6


def test_many_statistics_use_products_with_the_matrix(monkeypatch):
    game = branching(-np.diag([1.0, 2.0, 3.0]), "three groups")
    expected = so.solve(game, so.QuasiNewton(0.02)).require()
    monkeypatch.setattr("stackopt.learning.mean_field.soft.DENSE", 1)
    solution = so.solve(game, so.QuasiNewton(0.02))
    assert solution.certified
    assert np.abs(solution.candidate.policy - expected.policy).max() < 1e-6


def test_many_statistics_are_accelerated_without_derivatives(monkeypatch):
    """Three groups where plain iteration does not contract: the same equilibrium, and no matrix of Newton's method."""
    game = branching(-np.diag([1.0, 2.0, 3.0]), "three groups")
    expected = so.solve(game, so.QuasiNewton(0.05)).require()
    monkeypatch.setattr("stackopt.learning.mean_field.soft.DENSE", 1)
    solution = so.solve(game, so.QuasiNewton(0.05))
    assert solution.certified
    assert solution.stats["jacobians"] == 0
    assert np.abs(solution.candidate.policy - expected.policy).max() < 1e-6
    monkeypatch.setattr("stackopt.learning.mean_field.soft.ROUNDS", 1)  # where it fails, Newton's method goes on
    slower = so.solve(game, so.QuasiNewton(0.05))
    assert slower.certified
    assert slower.stats["jacobians"] > 0


@pytest.fixture(scope="module")
def batteries():
    """Home batteries that meet a steep supply curve (slope 0.2 $/kWh per kWh and household): 24 hourly net purchases set 24 prices."""
    game = so.catalog.build("battery", types=2, charge_levels=7, slope=0.2)
    return game.at(np.full(game.parameters, 0.2))


def test_the_hard_energy_instance(batteries):
    """At 0.005 $ everybody moves to the cheapest hour at once: iteration cycles, quasi-Newton in the prices does not."""
    plain = so.solve(batteries, so.SoftmaxPolicyIteration(0.005, iterations=60))
    assert plain.status is so.Status.LIMIT
    assert "cycle with period 2" in plain.because
    solution = so.solve(batteries, so.QuasiNewton(0.005, tolerance=1e-6))
    assert solution.certified
    assert solution.stats["responses"] < 150
    temperatures = solution.history["temperature"]
    assert temperatures[-1] == 0.005
    assert max(temperatures) > 0.1  # a ladder led there


def test_soft_equilibria_of_the_hard_instance_agree_from_other_starts(batteries):
    game = batteries
    found = [so.solve(game, so.QuasiNewton(0.005, tolerance=1e-7), seed=seed).require() for seed in (0, 1)]
    y = [game.aggregate(p.mean_field[..., None] * p.policy) for p in found]
    assert np.abs(y[0] - y[1]).max() < 1e-6


def test_cold_equilibria_are_reached_from_hard_ones():
    """At 0.002 the ladder from hot temperatures ends at a fold; Gauss-Seidel's hard equilibrium is a start that works."""
    solution = so.solve(sis(so.Finite(51, [0.4, 0.6])), so.QuasiNewton(0.002, tolerance=1e-6))
    assert solution.certified
    assert solution.stats["relative"] < 1e-3


def test_what_is_out_of_reach_is_a_limit():
    """An epidemic over 51 stages at a temperature near 0: no step reduces the gap, and this is said."""
    solution = so.solve(sis(so.Finite(51, [0.4, 0.6])), so.QuasiNewton(0.01, time_limit=20.0))
    assert solution.status is so.Status.LIMIT
    assert "temperature" in solution.because or "time" in solution.because
    assert solution.candidate is not None
