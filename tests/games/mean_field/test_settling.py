"""Repeated sweeps with extrapolation, on linear maps whose fixed points are known."""

import numpy as np
import pytest

from stackopt.games.mean_field.chunked_settling import settle

SHAPE = (2, 3, 4)  # signals, own parts, types


def chains(rng, slow):
    """Of each type, a transition matrix [6, 6] with a second eigenvalue near `slow`."""
    found = []
    for _ in range(SHAPE[2]):
        mixing, block = rng.dirichlet(np.ones(6), 6), np.kron(np.eye(2), np.full((3, 3), 1 / 3))
        found.append(slow * block + (1 - slow) * mixing)
    return np.array(found)


def stationary(matrix):
    values, vectors = np.linalg.eig(matrix.T)
    law = np.real(vectors[:, np.argmax(np.real(values))])
    return law / law.sum()


@pytest.mark.parametrize("slow", [0.0, 0.5, 0.95])
def test_laws_settle_at_the_stationary_one(slow):
    rng = np.random.default_rng(3)
    matrices = chains(rng, slow)

    def sweep(x):
        x[:] = np.einsum("lij,il->jl", matrices, x.reshape(6, -1)).reshape(SHAPE)

    x = np.zeros(SHAPE)
    x[0, 0] = 1.0
    settled = settle(sweep, x, tolerance=1e-12, limit=500, up_to_a_constant=False)
    exact = np.array([stationary(m) for m in matrices]).T.reshape(SHAPE)
    assert np.abs(x - exact).sum((0, 1)).max() < 1e-11
    assert settled.distance <= 1e-12
    assert settled.sweeps < (40 if slow == 0.95 else 25)  # 0.95 ** 540 = 1e-12: extrapolation saves hundreds of sweeps


def test_values_settle_up_to_a_constant_within_the_bound():
    rng = np.random.default_rng(4)
    matrices, pay = 0.9 * chains(rng, 0.8), rng.normal(size=(6, SHAPE[2]))

    def sweep(x):
        x[:] = (pay + np.einsum("lij,jl->il", matrices, x.reshape(6, -1))).reshape(SHAPE)

    x = np.zeros(SHAPE)
    settled = settle(sweep, x, tolerance=1e-10, limit=500, up_to_a_constant=True, contraction=0.9)
    exact = np.stack([np.linalg.solve(np.eye(6) - m, p) for m, p in zip(matrices, pay.T)], -1).reshape(SHAPE)
    error = x - exact
    assert (error.max((0, 1)) - error.min((0, 1))).max() <= settled.distance + 1e-13
    assert settled.distance <= 1e-10


def test_the_limit_is_reported_as_a_distance():
    def sweep(x):
        x *= 0.99

    x = np.ones(SHAPE)
    settled = settle(sweep, x, tolerance=1e-12, limit=3, up_to_a_constant=False, contraction=0.99)
    assert settled.sweeps == 3
    assert settled.distance > 1.0


def test_what_does_not_contract_is_never_near():
    def sweep(x):
        x[:] = x[::-1].copy()  # for ever there and back

    x = np.zeros(SHAPE)
    x[0] = 1.0
    assert settle(sweep, x.copy(), tolerance=1e-9, limit=4, up_to_a_constant=False).distance == np.inf


def test_a_jump_that_does_not_pay_is_taken_back():
    calls = []

    def sweep(x):
        """A contraction whose rate depends on where it is: extrapolation overshoots."""
        calls.append(x.copy())
        x[:] = 0.5 * x * np.tanh(np.abs(x) + 0.2)

    x = np.full(SHAPE, 50.0)
    settled = settle(sweep, x, tolerance=1e-12, limit=300, up_to_a_constant=False, contraction=0.8)
    assert np.abs(x).sum((0, 1)).max() < 1e-11
    assert settled.sweeps == len(calls)
