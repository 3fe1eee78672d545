"""The polynomial exponential and logarithm, against NumPy's and against decimals of many digits."""

import math
from decimal import Decimal, getcontext

import numpy as np
import pytest

pytest.importorskip("numba")
from stackopt.games.mean_field import compiling


def applied(function, x):
    out = np.empty_like(x)
    function(x, out)
    return out


def test_exponential_is_within_1e_14_of_the_exact_value():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.uniform(-708, 709, 200_000), rng.uniform(-1, 1, 200_000), [0.0, -0.0, 1e-300, math.log(2) / 2, -math.log(2) / 2]])
    np.testing.assert_allclose(applied(compiling.exponential, x), np.exp(x), rtol=1e-15)
    getcontext().prec = 40
    few = x[:: len(x) // 300]
    exact = np.array([float(Decimal(float(v)).exp()) for v in few])
    assert np.abs(applied(compiling.exponential, few) / exact - 1).max() < 1e-15


def test_exponential_of_what_underflows_is_too_small_to_matter():
    assert (applied(compiling.exponential, np.array([-709.0, -1e4, -1e300, -np.inf])) < 1e-307).all()
    assert applied(compiling.exponential, np.array([0.0]))[0] == 1.0


def test_logarithm_is_within_1e_14_of_the_exact_value():
    rng = np.random.default_rng(1)
    edges = [1.0, 2.0, 0.5, math.sqrt(2), math.sqrt(0.5), 1 - 1e-16, 1 + 3e-16]
    x = np.concatenate([np.exp(rng.uniform(-480, 480, 200_000)), rng.uniform(0.5, 2.0, 200_000), edges])
    found, exact = applied(compiling.logarithm, x), np.log(x)
    assert (np.abs(found - exact) <= 1e-15 * np.maximum(np.abs(exact), 1e-1)).all()
    assert applied(compiling.logarithm, np.array([1.0]))[0] == 0.0
    near = 1.0 + rng.uniform(-1e-6, 1e-6, 1000)
    np.testing.assert_allclose(applied(compiling.logarithm, near), np.log(near), rtol=1e-14)


def test_without_a_place_to_keep_functions_they_are_compiled_anyway(monkeypatch):
    real = compiling.njit

    def nowhere(*args, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return real(*args, **options)

    monkeypatch.setattr(compiling, "njit", nowhere)
    assert compiling.compiled(lambda x: x + 1.0)(1.0) == 2.0
