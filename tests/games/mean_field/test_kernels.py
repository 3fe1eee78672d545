"""Kernels: every layout gives the numbers of the dense one, says where it is wrong, and refuses what would not fit."""

import numpy as np
import pytest
from scipy import sparse

from stackopt.errors import InvalidGame, Refused
from stackopt.games.mean_field import memory
from stackopt.games.mean_field.kernels import Dense, Factored, Sparse, as_kernel, policy_matrix

R, C, B, T, K = 3, 4, 2, 5, 3
S = R * C


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def rows(rng, *shape):
    return rng.dirichlet(np.ones(shape[-1]), shape[:-1])


def by_hand(move, signal, probability=None):
    """Factored probabilities written out entry by entry, for one type and stage."""
    dense = np.zeros((S, B, S))
    outcomes = move[..., None] if probability is None else move
    chance = np.ones(outcomes.shape) if probability is None else probability
    for r in range(R):
        for c in range(C):
            for b in range(B):
                for m in range(outcomes.shape[-1]):
                    for r2 in range(R):
                        dense[r * C + c, b, r2 * C + outcomes[c, b, m]] += signal[r, r2] * chance[c, b, m]
    return dense


def agree(kernel, dense, rng):
    """expect and push are the two products with the probabilities [K, T, S, B, S]."""
    values, flow = rng.normal(size=(K, T, S)), rng.random((K, T, S, B))
    np.testing.assert_allclose(kernel.expect(values), np.einsum("ktsbz,ktz->ktsb", dense, values), atol=1e-14)
    np.testing.assert_allclose(kernel.push(flow), np.einsum("ktsbz,ktsb->ktz", dense, flow), atol=1e-14)
    step = values + 1j * rng.normal(size=values.shape)
    np.testing.assert_allclose(kernel.expect(step), np.einsum("ktsbz,ktz->ktsb", dense, step), atol=1e-14)
    np.testing.assert_allclose(kernel.push(flow * 1j), 1j * np.einsum("ktsbz,ktsb->ktz", dense, flow), atol=1e-14)
    np.testing.assert_allclose(np.broadcast_to(kernel.dense(), dense.shape), dense, atol=1e-15)
    t = np.array([4, 0, 0])
    np.testing.assert_allclose(kernel.stages(t).expect(values[:, t]), np.einsum("ktsbz,ktz->ktsb", dense[:, t], values[:, t]), atol=1e-14)
    k = np.array([2, 1])
    np.testing.assert_allclose(kernel.types(k).push(flow[k]), np.einsum("ktsbz,ktsb->ktz", dense[k], flow[k]), atol=1e-14)
    np.testing.assert_allclose(kernel.types(slice(1, 2)).push(flow[1:2]), np.einsum("ktsbz,ktsb->ktz", dense[1:2], flow[1:2]), atol=1e-14)


@pytest.mark.parametrize("lead", [(), (T,), (1, T), (K, 1), (K, T)])
def test_dense_and_sparse_are_the_products(rng, lead):
    array = rows(rng, *lead, S, B, S)
    dense = np.broadcast_to(array, (K, T, S, B, S)) if len(lead) != 1 else np.broadcast_to(array[None], (K, T, S, B, S))
    agree(Dense(array), dense, rng)
    full = np.broadcast_to(array, ((1, 1)[: 2 - len(lead)] + lead + (S, B, S)))
    agree(Sparse([[sparse.csr_matrix(m.reshape(S * B, S)) for m in row] for row in full]), dense, rng)


@pytest.mark.parametrize("lead", [(), (T,), (K, 1), (K, T)])
@pytest.mark.parametrize("outcomes", [None, 2])
def test_factored_is_the_product_of_its_parts(rng, lead, outcomes):
    tail = (C, B) if outcomes is None else (C, B, outcomes)
    move = rng.integers(0, C, (*lead, *tail))
    signal = rows(rng, T, R, R)
    probability = None if outcomes is None else rows(rng, C, B, outcomes)
    moves = np.broadcast_to(move, (K, T, *tail))
    dense = np.array([[by_hand(moves[k, t], signal[t], probability) for t in range(T)] for k in range(K)])
    agree(Factored(move, signal, probability), dense, rng)


def test_shapes_have_ones_where_nothing_differs(rng):
    assert Dense(rows(rng, S, B, S)).shape == (1, 1, S, B)
    assert Sparse(sparse.csr_matrix(rows(rng, S * B, S))).shape == (1, 1, S, B)
    assert Factored(rng.integers(0, C, (C, B)), rows(rng, T, R, R)).shape == (1, T, S, B)
    assert Factored(rng.integers(0, C, (K, 1, C, B)), rows(rng, T, R, R)).shape == (K, T, S, B)


def test_mass_is_kept(rng):
    kernel = Factored(rng.integers(0, C, (K, 1, C, B)), rows(rng, T, R, R))
    flow = rng.random((K, T, S, B))
    np.testing.assert_allclose(kernel.push(flow).sum(-1), flow.sum((-1, -2)), rtol=1e-14)
    np.testing.assert_allclose(kernel.expect(np.ones((K, T, S))), 1.0, rtol=1e-14)


def test_as_kernel_knows_what_it_is_given(rng):
    array = rows(rng, T, S, B, S)
    matrices = [sparse.csr_matrix(m.reshape(S * B, S)) for m in array]
    assert isinstance(as_kernel(array), Dense)
    assert isinstance(as_kernel(array.tolist()), Dense)
    assert isinstance(as_kernel(matrices), Sparse)
    assert isinstance(as_kernel([matrices]), Sparse)
    kernel = as_kernel(matrices[0])
    assert isinstance(kernel, Sparse)
    assert as_kernel(kernel) is kernel


def test_policy_matrix_is_the_chain_under_a_policy(rng):
    kernel = Factored(rng.integers(0, C, (C, B)), rows(rng, T, R, R))
    policy = rows(rng, K, T, S, B)
    mass = rng.random((K, T, S))
    chain = policy_matrix(kernel, policy)
    np.testing.assert_allclose((mass[..., None, :] @ chain)[..., 0, :], kernel.push(mass[..., None] * policy), atol=1e-14)


@pytest.mark.parametrize("front", [(1, 1), (K, 1), (1, T), (K, T)])
@pytest.mark.parametrize("outcomes", [None, 2])
def test_policy_matrix_of_a_factored_kernel_needs_no_dense_one(rng, front, outcomes):
    if outcomes is None:
        kernel = Factored(rng.integers(0, C, (*front, C, B)), rows(rng, 1, front[1], R, R))
    else:
        kernel = Factored(rng.integers(0, C, (*front, C, B, outcomes)), rows(rng, 1, front[1], R, R), rows(rng, *front, C, B, outcomes))
    policy = rows(rng, K, T, S, B)
    np.testing.assert_allclose(policy_matrix(kernel, policy), policy_matrix(Dense(kernel.dense()), policy), atol=1e-14)


def test_almost_distributions_are_normalised(rng):
    array = rows(rng, S, B, S) * (1 + 1e-10)
    np.testing.assert_allclose(Dense(array).array.sum(-1), 1.0, atol=1e-15)


@pytest.mark.parametrize(
    ("build", "code", "said"),
    [
        (lambda: Dense(np.full((2, 1, 2), 0.4)), "kernel-rows", "(s, b) = (0, 0) sums to 0.8; 1 more rows"),
        (lambda: Dense([[[1.5, -0.5]], [[0.0, 1.0]]]), "kernel-rows", "(s, b) = (0, 0) holds -0.5"),
        (lambda: Dense([[[np.nan, 1.0]], [[0.0, 1.0]]]), "kernel-rows", "holds nan"),
        (lambda: Dense(np.ones((2, 3))), "kernel-axes", ""),
        (lambda: Dense(np.ones((2, 1, 3))), "kernel-axes", ""),
        (lambda: Dense([["a", "b"]]), "kernel-axes", ""),
        (lambda: Sparse(sparse.csr_matrix(np.full((4, 2), 0.4))), "kernel-rows", "row s * B + b = 0 sums to 0.8; 3 more rows"),
        (lambda: Sparse(sparse.csr_matrix([[1.5, -0.5], [0.0, 1.0]])), "kernel-rows", "holds -0.5"),
        (lambda: Sparse(sparse.csr_matrix(np.full((3, 2), 0.5))), "kernel-axes", ""),
        (lambda: Sparse([]), "kernel-axes", ""),
        (lambda: Factored([[0, 2], [1, 0]], np.eye(3)), "kernel-move", "(k, t, c, b) = (0, 0, 0, 1) is 2"),
        (lambda: Factored([[0, -1], [1, 0]], np.eye(3)), "kernel-move", "is -1"),
        (lambda: Factored([[0.0, 1.0], [1.0, 0.0]], np.eye(3)), "kernel-move", "is 0.0"),
        (lambda: Factored([[0, 1], [1, 0]], np.full((2, 2), 0.4)), "kernel-rows", "(r) = (0,) sums to 0.8"),
        (lambda: Factored([[0, 1], [1, 0]], np.ones((2, 3))), "kernel-axes", "signal"),
        (lambda: Factored([0, 1], np.eye(3)), "kernel-axes", "move"),
        (lambda: Factored([[[0, 1]], [[1, 0]]], np.eye(3), np.ones((2, 1, 3)) / 3), "kernel-axes", "probability"),
        (lambda: Factored(np.zeros((2, 1, 2, 1), int), np.ones((3, 1, 1, 1))), "kernel-axes", "types and stages"),
    ],
)
def test_a_wrong_kernel_names_its_first_wrong_entry(build, code, said):
    with pytest.raises(InvalidGame) as caught:
        build()
    assert caught.value.code == code
    assert said in str(caught.value)


def test_what_would_not_fit_is_refused_with_the_estimate(monkeypatch):
    kernel = Factored(np.zeros((1000, 11), int), np.eye(30))
    monkeypatch.setattr(memory, "available", lambda: 10**9)
    with pytest.raises(Refused, match=r"\[memory\]") as caught:
        kernel.dense()
    assert "would need 79.2 GB; 1 GB are available" in str(caught.value)
    assert "30000 * 11 * 30000" in str(caught.value)
    with pytest.raises(Refused, match=r"\[memory\]"):
        policy_matrix(kernel, np.broadcast_to(1.0, (1, 1, 30000, 11)))
    with pytest.raises(Refused, match=r"\[memory\]"):
        Sparse(sparse.identity(40000, format="csr")).dense()


def test_available_memory_is_a_plausible_number():
    found = memory.available()
    assert found is None or 10**7 < found < 10**15


def test_a_control_group_limits_what_is_available(tmp_path):
    assert memory._control_group(tmp_path) is None
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("7\n")
    assert memory._control_group(tmp_path) is None
    (tmp_path / "memory.max").write_text("1000\n")
    assert memory._control_group(tmp_path) == 993


def test_sizes_in_words():
    assert [memory.size(n) for n in (12, 3400, 5_600_000, 1_310_000_000)] == ["12 bytes", "3.4 kB", "5.6 MB", "1.31 GB"]
