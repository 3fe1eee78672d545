"""Points made accurate, and points that cost nothing."""

import dataclasses

import numpy as np
import pytest
from reformulations.storyboard import boxed, toll, two_followers

import stackopt as so
from stackopt.bilevel.kkt import kkt
from stackopt.exact.attained import attained
from stackopt.exact.polish import accurate, polished
from stackopt.reformulations.reduction import multipliers_at

OPTIMUM = np.array([8 / 15, 28 / 15])


def perturbed(form, noise=1e-7):
    point = so.Point(OPTIMUM)
    w = np.concatenate([OPTIMUM, multipliers_at(form, point)])
    return w + noise * np.random.default_rng(0).uniform(-1, 1, len(w))


def test_the_pattern_is_kept_and_the_rest_is_accurate():
    form = kkt(toll())
    w = perturbed(form)
    assert np.abs(w[:2] - OPTIMUM).max() > 1e-9
    assert polished(form, w)[:2] == pytest.approx(OPTIMUM, abs=1e-12)
    assert accurate(form, w).claim == pytest.approx(92 / 15, abs=1e-12)


def test_a_leader_that_is_not_convex_is_polished_by_scip():
    pytest.importorskip("pyscipopt")
    from scipy import sparse

    program = toll()
    product = sparse.csr_array(([1.0], ([0], [1])), shape=(2, 2))
    program = dataclasses.replace(program, leader=dataclasses.replace(program.leader, objective=so.Objective("min", np.array([1.0, 3.0]), product)))
    form = kkt(program)
    assert polished(form, perturbed(form))[:2] == pytest.approx(OPTIMUM, abs=1e-6)


def test_what_is_attained_is_bilevel_feasible():
    for seed in range(20):
        program = boxed(seed)
        point = attained(kkt(program))
        if point is not None:
            certificate = program.certify(point)
            assert certificate.checks[0].passed
            assert float(certificate.value) == pytest.approx(point.claim)
            exact = so.solve(program)
            assert float(exact.value) <= point.claim + 1e-6


def test_equilibria_and_prices_are_not_guessed():
    assert attained(kkt(two_followers(0))) is None
    assert attained(kkt(toll(price_of_road=1.0))) is None
