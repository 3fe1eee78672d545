"""Policy iteration on P1 equals the linear program P1; ties, responses that are never best, sparse and large games."""

import numpy as np
import pytest
from scipy import sparse

import stackopt as so
from stackopt.exact.stagewise_iteration import run_stagewise
from stackopt.games.responses import commitment
from stackopt.solution import Status

from .tiny import tiny_game


def random_game(seed, shape, *, discounts=(0.9, 0.0), still=False):
    rng = np.random.default_rng(seed)
    kernel = rng.dirichlet(np.ones(shape[0]), shape)
    if still:
        kernel = np.repeat(kernel[:, :, :1], shape[2], axis=2)
    return so.StackelbergGame(
        leader_reward=rng.uniform(size=shape), follower_reward=rng.uniform(size=shape), transition=kernel,
        leader_discount=discounts[0], follower_discount=discounts[1],
    )


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", ["myopic", "cannot move the state", "one state", "ties"])
def test_equals_the_linear_program(seed, kind):
    game = {
        "myopic": lambda: random_game(seed, (4, 3, 3)),
        "cannot move the state": lambda: random_game(seed, (4, 3, 3), discounts=(0.9, 0.8), still=True),
        "one state": lambda: random_game(seed, (1, 4, 4), discounts=(0.5, 0.5)),
        "ties": lambda: tiny_game(seed, (4, 2, 3), discounts=(0.8, 0.0)),
    }[kind]()
    exact = so.solve(game, so.Exact())
    assert exact.certified
    assert exact.bound.reference in ("P1", "D3", "D9")
    run = run_stagewise(game)
    assert run is not None
    assert run.status is Status.OPTIMAL
    assert run.candidate.claim == pytest.approx(exact.value, abs=1e-6)
    assert run.bound.value >= exact.value - 1e-9
    assert commitment(game, run.candidate.leader_policy).strong == pytest.approx(run.candidate.claim, abs=1e-10)


def test_three_hundred_states_dense_and_sparse():
    game = random_game(0, (300, 4, 4))
    solution = so.solve(game, so.Exact())
    assert solution.certified
    assert "policy improvements" in solution.because
    rng = np.random.default_rng(1)
    for _ in range(20):
        assert commitment(game, rng.dirichlet(np.ones(4), 300)).strong <= solution.bound.value + 1e-9
    thin = so.StackelbergGame(
        leader_reward=game.leader_reward, follower_reward=game.follower_reward, transition=sparse.csr_matrix(game.transition.reshape(-1, 300)),
        leader_discount=0.9, follower_discount=0.0,
    )
    assert so.solve(thin, so.Exact()).value == pytest.approx(solution.value, abs=1e-8)


def test_responses_that_are_never_best_are_left_out():
    game = random_game(2, (30, 3, 4))
    reward = game.follower_reward.copy()
    reward[..., 3] = reward[..., :3].min(-1) - 0.1
    worse = so.StackelbergGame(
        leader_reward=game.leader_reward, follower_reward=reward, transition=game.transition, leader_discount=0.9, follower_discount=0.0
    )
    solution = so.solve(worse, so.Exact())
    assert solution.certified
    assert not solution.candidate.follower_policy[:, 3].any()
