"""The operators against their equations written as sums, dense, sparse and batched."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

import stackopt as so
from stackopt.games import operators as op

quick = settings(derandomize=True, max_examples=30, deadline=None)
sizes = st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 4))


def drawn(seed, shape, batch=()):
    rng = np.random.default_rng(seed)
    full = (*batch, *shape)
    game = so.StackelbergGame(
        rng.uniform(-1, 1, full), rng.uniform(-1, 1, full), rng.dirichlet(np.full(shape[0], 0.4), full), leader_discount=0.8, follower_discount=0.6
    )
    x = rng.dirichlet(np.ones(shape[1]), (*batch, shape[0]))
    y = rng.dirichlet(np.ones(shape[2]), (*batch, shape[0]))
    return game, x, y, rng.uniform(-1, 1, (*batch, shape[0]))


def as_sparse(game):
    S = game.shape[0]
    return so.StackelbergGame(
        game.leader_reward, game.follower_reward, sparse.csr_matrix(game.transition.reshape(-1, S)),
        leader_discount=game.leader_discount, follower_discount=game.follower_discount,
    )


@quick
@given(st.integers(0, 10**6), sizes)
def test_induced_problems_are_the_sums_of_a1(seed, shape):
    game, x, y, v = drawn(seed, shape)
    P = game.transition
    follower = op.follower_mdp(game, x)
    assert np.allclose(follower.reward, np.einsum("sa,sab->sb", x, game.follower_reward))
    assert np.allclose(follower.transition, np.einsum("sa,sabt->sbt", x, P))
    assert follower.discount == 0.6
    leader = op.leader_mdp(game, y)
    assert np.allclose(leader.reward, np.einsum("sb,sab->sa", y, game.leader_reward))
    assert np.allclose(leader.transition, np.einsum("sb,sabt->sat", y, P))
    assert leader.discount == 0.8
    valued = op.leader_reward_mdp(game, x)
    assert np.allclose(valued.reward, np.einsum("sa,sab->sb", x, game.leader_reward))
    assert valued.discount == 0.8
    assert np.allclose(op.action_values(follower, v), follower.reward + 0.6 * np.einsum("sbt,t->sb", follower.transition, v))
    assert np.allclose(op.policy_kernel(follower, y), np.einsum("sb,sbt->st", y, follower.transition))
    assert np.allclose(op.policy_reward(follower, y), (y * follower.reward).sum(-1))


@quick
@given(st.integers(0, 10**6), sizes)
def test_sparse_equals_dense(seed, shape):
    game, x, y, v = drawn(seed, shape)
    twin = as_sparse(game)
    S, A, B = shape
    for of, policy, count, reply in ((op.follower_mdp, x, B, y), (op.leader_mdp, y, A, x)):
        dense, thin = of(game, policy), of(twin, policy)
        assert thin.sparse
        assert not dense.sparse
        assert np.allclose(thin.transition.toarray().reshape(S, count, S), dense.transition)
        assert np.allclose(thin.reward, dense.reward)
        assert np.allclose(op.expected_next(thin, v), op.expected_next(dense, v))
        assert np.allclose(op.policy_kernel(thin, reply).toarray(), op.policy_kernel(dense, reply))
    joint, thin = (op.joint_mdp(g, g.leader_reward, 0.8) for g in (game, twin))
    assert np.allclose(op.action_values(joint, v), op.action_values(thin, v))


def test_leading_axes_are_batch():
    games, x, y, v = drawn(3, (3, 2, 4), batch=(2, 5))
    together = (
        op.follower_mdp(games, x).transition,
        op.leader_mdp(games, y).transition,
        op.action_values(op.follower_mdp(games, x), v),
        op.soft_bellman(op.follower_mdp(games, x), v, 0.3),
        op.policy_kernel(op.follower_mdp(games, x), y),
    )
    for i in np.ndindex(2, 5):
        one = games[i]
        alone = (
            op.follower_mdp(one, x[i]).transition,
            op.leader_mdp(one, y[i]).transition,
            op.action_values(op.follower_mdp(one, x[i]), v[i]),
            op.soft_bellman(op.follower_mdp(one, x[i]), v[i], 0.3),
            op.policy_kernel(op.follower_mdp(one, x[i]), y[i]),
        )
        for a, b in zip(together, alone):
            assert np.allclose(a[i], b, rtol=1e-13, atol=1e-13)


def test_policies_in_front_of_one_game_broadcast():
    game, _, _, _ = drawn(5, (3, 2, 4))
    x = np.random.default_rng(0).dirichlet(np.ones(2), (6, 3))
    together = op.follower_mdp(game, x)
    assert together.transition.shape == (6, 3, 4, 3)
    assert np.allclose(together.transition[4], op.follower_mdp(game, x[4]).transition)


@quick
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=6), st.floats(1e-3, 1e3))
def test_soft_maximum_is_safe_and_bracketed(values, temperature):
    q = np.array(values)
    soft = op.soft_maximum(q, temperature)
    assert q.max() <= soft <= q.max() + temperature * np.log(len(q)) + 1e-9 * (1 + abs(q.max()))
    p = op.softmax(q, temperature)
    assert p.sum() == pytest.approx(1.0)
    # the soft maximum is the best trade of value for entropy, attained by softmax
    assert p @ q + temperature * op.entropy(p) == pytest.approx(float(soft), rel=1e-9, abs=1e-9)


def test_argmax_uniform_splits_ties():
    assert op.argmax_uniform(np.array([[1.0, 1.0 - 1e-12, 0.0]]), 1e-9).tolist() == [[0.5, 0.5, 0.0]]
    assert op.argmax_uniform(np.array([[1.0, 1.0 - 1e-12, 0.0]])).tolist() == [[1.0, 0.0, 0.0]]


def test_entropy_of_pure_policies_is_zero():
    assert op.entropy(np.array([[1.0, 0.0], [0.5, 0.5]])).tolist() == [0.0, pytest.approx(np.log(2))]


def test_one_hot():
    assert op.one_hot(np.array([2, 0]), 3).tolist() == [[0, 0, 1], [1, 0, 0]]


def test_operators_leave_their_arguments_alone():
    game, x, y, v = drawn(9, (3, 2, 2))
    kept = [a.copy() for a in (x, y, v)]
    mdp = op.follower_mdp(as_sparse(game), x)
    op.policy_kernel(mdp, y)
    op.soft_bellman(mdp, v, 0.1)
    assert all(np.array_equal(a, b) for a, b in zip((x, y, v), kept))
