"""Supports and clauses of the multipliers against linear programs over all of them."""

import numpy as np
import pytest
from scipy.optimize import linprog

from stackopt.bilevel.kkt import kkt
from stackopt.exact.branching.clauses import Clauses
from stackopt.exact.branching.multipliers import Multipliers

from .programs import random_bilevel_lp


def supported(mpec, allowed):
    n = mpec.variables
    upper = np.where(allowed, np.inf, 0.0)
    found = linprog(np.zeros(mpec.pairs), A_eq=mpec.stationarity[:, n:], b_eq=mpec.stationarity_rhs, bounds=np.c_[np.zeros(mpec.pairs), upper], method="highs")
    return found.status == 0


def threshold(mpec, z):
    """The least value of max z_p over a support, by trying every value of z in turn."""
    for value in np.unique(z):
        if supported(mpec, z <= value):
            return value
    return np.inf


@pytest.mark.parametrize("seed", range(4))
def test_the_bottleneck_is_the_least_maximum_over_supports(seed):
    mpec = kkt(random_bilevel_lp(7, seed)).mpec
    clauses, rng = Clauses(mpec, Multipliers(mpec)), np.random.default_rng(seed)
    for _ in range(12):
        z = rng.integers(0, 12, mpec.pairs).astype(float)
        theta, mu = clauses.bottleneck(z, -np.inf, np.inf, 60.0)
        assert theta == threshold(mpec, z)
        assert z[mu[: mpec.pairs] > 1e-9].max(initial=-np.inf) == theta
        np.testing.assert_allclose(mpec.stationarity[:, mpec.variables :] @ mu, mpec.stationarity_rhs, atol=1e-7)


@pytest.mark.parametrize("seed", range(3))
def test_pairs_at_infinity_are_left_out_and_emptiness_is_found(seed):
    mpec = kkt(random_bilevel_lp(7, seed)).mpec
    clauses, rng = Clauses(mpec, Multipliers(mpec)), np.random.default_rng(seed)
    for _ in range(20):
        z = np.where(rng.random(mpec.pairs) < 0.6, np.inf, rng.integers(0, 5, mpec.pairs))
        theta, _ = clauses.bottleneck(z, -np.inf, np.inf, 60.0)
        assert np.isinf(theta) == (not supported(mpec, np.isfinite(z)))


def test_above_the_cutoff_it_says_infinity():
    mpec = kkt(random_bilevel_lp(7, 0)).mpec
    z = np.full(mpec.pairs, 3.0)
    assert Clauses(mpec, Multipliers(mpec)).bottleneck(z, -np.inf, 2.0, 60.0) == (np.inf, None)


@pytest.mark.parametrize("seed", range(3))
def test_every_clause_is_met_by_every_solution(seed):
    """A clause is valid for all multipliers: those found later must be positive somewhere on it."""
    mpec = kkt(random_bilevel_lp(7, seed)).mpec
    clauses, rng = Clauses(mpec, Multipliers(mpec)), np.random.default_rng(seed)
    for _ in range(60):
        clauses.supported(rng.random(mpec.pairs) < 0.7, 60.0)
    assert clauses.clause_count
    assert clauses.count
    assert (clauses.clauses[: clauses.clause_count] @ clauses.solutions[: clauses.count].T >= 1.0).all()
    for clause in clauses.clauses[: clauses.clause_count]:
        assert not supported(mpec, clause == 0.0)


def test_forced_pairs_cannot_be_avoided():
    mpec = kkt(random_bilevel_lp(7, 1)).mpec
    clauses, rng = Clauses(mpec, Multipliers(mpec)), np.random.default_rng(0)
    for _ in range(80):
        clauses.supported(rng.random(mpec.pairs) < 0.6, 60.0)
    seen = 0
    for _ in range(60):
        z = np.where(rng.random(mpec.pairs) < 0.5, 1.0, np.inf)
        for p in clauses.forced(z, 2.0, np.ones(mpec.pairs, bool)):
            without = z < 2.0
            without[p] = False
            assert not supported(mpec, without)
            seen += 1
    assert seen


def test_the_pools_forget_the_older_half(monkeypatch):
    monkeypatch.setattr("stackopt.exact.branching.clauses.KEPT", 64)
    mpec = kkt(random_bilevel_lp(7, 1)).mpec
    clauses = Clauses(mpec, Multipliers(mpec))
    for i in range(200):
        clauses.remember(np.full(mpec.pairs, float(i + 1)))
    assert clauses.count <= 64
    assert clauses.latest[0] == 200.0
