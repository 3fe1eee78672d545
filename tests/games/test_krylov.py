"""Preconditioned solves of slow chains against dense ones; no preconditioner where it does not pay."""

import numpy as np
import pytest
from scipy import sparse

from stackopt.games import dynamic_programming as dp
from stackopt.games import krylov as k
from stackopt.games.operators import Mdp

DISCOUNT = 0.9999


def walk(states, actions, seed=0):
    """A chain whose actions drift left or right at random: information travels one state at a time."""
    rng = np.random.default_rng(seed)
    i = np.arange(states)
    targets = np.stack([i, np.maximum(i - 1, 0), np.minimum(i + 1, states - 1)], 1)
    mass = rng.dirichlet(np.ones(3), (states, actions))
    columns = np.repeat(targets[:, None], actions, 1).ravel()
    thin = sparse.csr_matrix((mass.ravel(), columns, np.arange(states * actions + 1) * 3), shape=(states * actions, states))
    return Mdp(rng.uniform(0, 1, (states, actions)), thin, DISCOUNT)


def grid(side):
    """Uniform moves on a square: incomplete factors of the fill allowed lose most of it."""
    line = sparse.diags([np.ones(side - 1), np.ones(side - 1)], [-1, 1])
    moves = (sparse.kron(line, sparse.identity(side)) + sparse.kron(sparse.identity(side), line)).tocsr()
    return sparse.csr_matrix(sparse.diags(1.0 / np.asarray(moves.sum(1)).ravel()) @ moves)


def dense(mdp):
    states, actions = mdp.reward.shape
    return Mdp(mdp.reward, mdp.transition.toarray().reshape(states, actions, states), mdp.discount)


def test_a_long_chain_with_a_discount_near_1_agrees_with_dense_solves():
    mdp = walk(600, 3)
    thick, size = dense(mdp), 1.0 / (1.0 - DISCOUNT)
    policy = np.random.default_rng(1).dirichlet(np.ones(3), 600)
    assert np.abs(dp.policy_value(mdp, policy) - dp.policy_value(thick, policy)).max() <= 1e-9 * size
    visits = np.full(600, 1 / 600)
    assert np.abs(dp.discounted_visits(mdp, policy, visits) - dp.discounted_visits(thick, policy, visits)).max() <= 1e-9 * size
    for ours, theirs in ((dp.optimal_value(mdp), dp.optimal_value(thick)), (dp.soft_optimal_value(mdp, 0.05), dp.soft_optimal_value(thick, 0.05))):
        assert np.abs(ours.value - theirs.value).max() <= 1e-8 * size
        assert ours.iterations < 100  # sweeps alone need 1e5


def test_factors_are_built_only_for_what_is_slow():
    mdp, right = walk(2000, 1), np.random.default_rng(2).standard_normal(2000)
    fast, slow = k.LinearSolver(0.5), k.LinearSolver(DISCOUNT)
    assert fast(mdp.transition, right, 1e-8)[1]
    assert not fast.slow
    solution, reached = slow(mdp.transition, right, 1e-8)
    assert (slow.slow, slow.helps, reached) == (True, True, True)
    assert np.abs(right + DISCOUNT * (mdp.transition @ solution) - solution).max() <= 1e-8 * np.abs(right).max()


def test_poor_factors_are_dropped_and_the_system_is_solved_without():
    kernel = grid(40)
    assert k.incomplete_factors(kernel, DISCOUNT) is None
    right = np.random.default_rng(3).standard_normal(kernel.shape[0])
    solver = k.LinearSolver(DISCOUNT)
    solution, reached = solver(kernel, right, 1e-8)
    assert reached == (np.abs(right + DISCOUNT * (kernel @ solution) - solution).max() <= 1.1e-8 * np.abs(right).max())
    assert np.abs(dp.solve_values(kernel, right, DISCOUNT) - np.linalg.solve(np.eye(1600) - DISCOUNT * kernel.toarray(), right)).max() <= 1e-8


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_kernel_of_either_precision(dtype):
    mdp, right = walk(1500, 1, seed=4), np.random.default_rng(5).standard_normal(1500)
    solver = k.LinearSolver(0.999)
    solution, reached = solver(mdp.transition.astype(dtype), right, 1e-3)
    assert reached
    assert np.abs(right + 0.999 * (mdp.transition @ solution) - solution).max() <= 2e-3 * np.abs(right).max()
