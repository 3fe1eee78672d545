"""Fixed points: known answers, the equations they solve, sparse against dense, and residuals that are true."""

import numpy as np
import pytest
from scipy import sparse

from stackopt.games import dynamic_programming as dp
from stackopt.games.krylov import krylov
from stackopt.games.operators import Mdp, action_values, entropy, policy_kernel, policy_reward, soft_bellman, softmax
from stackopt.games.sparse_programming import solve_sparse

KERNELS = ("random", "deterministic", "cycle", "two periodic classes", "lazy walk")
DISCOUNTS = (0.0, 0.5, 0.95, 0.999)


def kernel(kind, S, B, rng):
    P = np.zeros((S, B, S))
    for s in range(S):
        for b in range(B):
            if kind == "random":
                P[s, b, rng.choice(S, 3, replace=False)] = rng.dirichlet(np.ones(3))
            elif kind == "deterministic":
                P[s, b, rng.integers(S)] = 1.0
            elif kind == "cycle":
                P[s, b, (s + 1) % S] = 1.0
            elif kind == "two periodic classes":
                half = S // 2
                P[s, b, (half if s < half else 0) + rng.integers(half)] = 1.0
            else:
                P[s, b, max(s - 1, 0)] += 0.5
                P[s, b, min(s + 1, S - 1) if b else s] += 0.5
    return P


def pair(kind, S, discount, seed=0, B=3):
    rng = np.random.default_rng(seed)
    P, reward = kernel(kind, S, B, rng), rng.uniform(-1, 1, (S, B))
    reward[0] += 10.0  # one state worth going to: values have structure
    return Mdp(reward, P, discount), Mdp(reward, sparse.csr_matrix(P.reshape(-1, S)), discount), rng


@pytest.mark.parametrize(("temperature", "value"), [(1.0, 16.45911365367054), (0.1, 10.006721451560551), (0.01, 10.000000000000002)])
def test_soft_bandit(temperature, value):
    """One state, rewards (1, 0.5, -0.2), discount 0.9: tau log(sum exp(r / tau)) / (1 - gamma)."""
    reward = np.array([[1.0, 0.5, -0.2]])
    for transition in (np.ones((1, 3, 1)), sparse.csr_matrix(np.ones((3, 1)))):
        optimum = dp.soft_optimal_value(Mdp(reward, transition, 0.9), temperature)
        assert optimum.value[0] == pytest.approx(value, abs=1e-10)


@pytest.mark.parametrize("kind", KERNELS)
@pytest.mark.parametrize("discount", DISCOUNTS)
def test_sparse_equals_dense(kind, discount, monkeypatch):
    monkeypatch.setattr(dp, "DIRECT_STATES", 0)  # the iterative solvers also on small systems
    for S in (8, 60):
        dense, thin, rng = pair(kind, S, discount, seed=S)
        scale = 1.0 + 10.0 / (1.0 - discount)
        for temperature in (1.0, 0.03):
            a, b = dp.soft_optimal_value(dense, temperature), dp.soft_optimal_value(thin, temperature)
            assert np.abs(a.value - b.value).max() <= 1e-8 * scale
            assert np.abs(a.action_values - b.action_values).max() <= 1e-8 * scale
        allowed = rng.random((S, 3)) < 0.6
        allowed[:, 0] = True
        for mask in (None, allowed):
            for minimise in (False, True):
                a, b = (dp.optimal_value(m, mask, minimise=minimise) for m in (dense, thin))
                assert np.abs(a.value - b.value).max() <= 1e-8 * scale
                assert np.abs(a.action_values - b.action_values).max() <= 1e-8 * scale
        y, start = rng.dirichlet(np.ones(3), S), rng.dirichlet(np.ones(S))
        assert np.abs(dp.policy_value(dense, y) - dp.policy_value(thin, y)).max() <= 1e-10 * scale
        assert np.abs(dp.discounted_visits(dense, y, start) - dp.discounted_visits(thin, y, start)).max() <= 1e-10 * scale


@pytest.mark.parametrize("kind", KERNELS)
@pytest.mark.parametrize("discount", DISCOUNTS)
def test_soft_values_solve_their_equation_and_residuals_are_true(kind, discount):
    for mdp in pair(kind, 30, discount, seed=1)[:2]:
        for temperature in (3.0, 0.1, 1e-3):
            optimum = dp.soft_optimal_value(mdp, temperature)
            measured = np.abs(soft_bellman(mdp, optimum.value, temperature) - optimum.value).max()
            scale = 1.0 + np.abs(optimum.value).max()
            assert measured <= 1e-11 * scale
            assert optimum.residual == pytest.approx(measured, abs=1e-12 * scale)
            assert np.allclose(optimum.action_values, action_values(mdp, optimum.value), rtol=0, atol=1e-12 * scale)


@pytest.mark.parametrize("kind", KERNELS)
def test_hard_values_are_greedy_and_policies_no_better(kind):
    dense, thin, rng = pair(kind, 25, 0.95, seed=2)
    for mdp in (dense, thin):
        optimum = dp.optimal_value(mdp)
        assert np.abs(optimum.action_values.max(-1) - optimum.value).max() <= 1e-9
        for _ in range(5):
            y = rng.dirichlet(np.full(3, 0.3), 25)
            assert (dp.policy_value(mdp, y) <= optimum.value + 1e-9).all()


def test_soft_value_is_the_entropy_regularised_value_of_its_policy():
    mdp = pair("random", 12, 0.9)[0]
    optimum = dp.soft_optimal_value(mdp, 0.4)
    y = softmax(optimum.action_values, 0.4)
    assert np.allclose(dp.policy_value(mdp, y, 0.4 * entropy(y)), optimum.value, atol=1e-9)


def test_policy_value_and_visits_satisfy_their_equations():
    mdp, _, rng = pair("random", 9, 0.97)
    y, start = rng.dirichlet(np.ones(3), 9), rng.dirichlet(np.ones(9))
    v, d = dp.policy_value(mdp, y), dp.discounted_visits(mdp, y, start)
    P = policy_kernel(mdp, y)
    assert np.allclose(v, policy_reward(mdp, y) + 0.97 * P @ v)
    assert np.allclose(d, start + 0.97 * P.T @ d)
    assert d.sum() == pytest.approx(1 / 0.03)
    assert start @ v == pytest.approx(d @ policy_reward(mdp, y))


def test_a_batch_equals_its_parts():
    mdps = [pair(kind, 10, 0.95, seed=i)[0] for i, kind in enumerate(KERNELS)]
    batch = Mdp(np.stack([m.reward for m in mdps]), np.stack([m.transition for m in mdps]), 0.95)
    for solve in (lambda m: dp.soft_optimal_value(m, 0.2), dp.optimal_value, lambda m: dp.optimal_value(m, minimise=True)):
        together = solve(batch)
        for i, mdp in enumerate(mdps):
            assert np.allclose(together.value[i], solve(mdp).value, atol=1e-9)


def test_a_warm_start_saves_work_and_changes_nothing():
    for mdp in pair("random", 40, 0.99)[:2]:
        cold = dp.soft_optimal_value(mdp, 0.1)
        warm = dp.soft_optimal_value(mdp, 0.1, start=cold.value)
        assert warm.iterations < cold.iterations
        assert np.allclose(warm.value, cold.value, atol=1e-8)


def test_every_state_may_be_reduced_to_one_action():
    mdp, thin, _ = pair("lazy walk", 20, 0.9)
    only = np.zeros((20, 3), bool)
    only[:, 1] = True
    y = np.zeros((20, 3))
    y[:, 1] = 1.0
    for m in (mdp, thin):
        for minimise in (False, True):
            assert np.allclose(dp.optimal_value(m, only, minimise=minimise).value, dp.policy_value(m, y), atol=1e-8)


def test_a_limit_shows_in_the_residual():
    thin = pair("cycle", 40, 0.999)[1]
    value, _, residual, sweeps = solve_sparse(thin, 0.5, 1e-12, limit=3)
    assert sweeps <= 6
    assert residual > 1e-3
    assert np.isfinite(value).all()


def test_a_large_slowly_mixing_problem_is_solved_to_its_tolerance():
    rng = np.random.default_rng(3)
    S, B = 4000, 4
    neighbours = np.stack([np.arange(S), np.minimum(np.arange(S) + 1, S - 1), np.maximum(np.arange(S) - 1, 0)], 1)
    mass = rng.dirichlet(np.ones(3), (S, B))
    thin = sparse.csr_matrix((mass.ravel(), np.repeat(neighbours[:, None], B, 1).ravel(), np.arange(S * B + 1) * 3), shape=(S * B, S))
    mdp = Mdp(rng.uniform(0, 1, (S, B)), thin, 0.99)
    optimum = dp.soft_optimal_value(mdp, 0.1)
    assert np.abs(soft_bellman(mdp, optimum.value, 0.1) - optimum.value).max() <= 1e-10 * np.abs(optimum.value).max()


def test_a_linear_solve_that_overflows_in_single_precision_gives_its_best_iterate_without_a_warning():
    rng = np.random.default_rng(69)
    S = int(rng.choice([30, 100, 130]))
    rng.integers(3)
    kernel = sparse.csr_matrix((np.ones(S, np.float32), rng.permutation(S), np.arange(S + 1)), shape=(S, S))
    right = rng.integers(-2, 3, S).astype(float)
    with np.errstate(all="raise", under="ignore"):
        solution, reached = krylov(kernel, 0.999, right, 1e-8)
    assert not reached
    assert np.abs(right + 0.999 * (kernel @ solution) - solution).max() <= np.abs(right).max()
