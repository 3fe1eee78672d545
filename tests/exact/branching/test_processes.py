"""Several processes prove what one proves; a process that dies leaves its part to the others; limits are limits."""

import os

import numpy as np
import pytest

import stackopt as so
from stackopt.exact.branching import processes, search
from stackopt.solution import Status

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs fork")


def program(seed, n=10):
    """A random bilevel LP with enough open cells to share."""
    rng = np.random.default_rng(seed)

    def matrix():
        return np.where(rng.random((n, n)) < 0.4, rng.integers(-10, 11, (n, n)), 0).astype(float)

    A, B = matrix(), matrix()
    b = np.round(A @ rng.uniform(0, 10, n) + B @ rng.uniform(0, 10, n) + rng.uniform(0, 20, n))
    c, d, q = (rng.integers(-10, 11, n).astype(float) for _ in range(3))
    return so.BilevelProgram.from_matrices(
        leader_cost=(c, d), leader_bounds=(0, 10), follower_cost=q, follower_bounds=(0, 10), follower_rows=(A, B, b), name=f"random {seed}"
    )


@pytest.fixture(autouse=True)
def _shared_early(monkeypatch):
    monkeypatch.setattr(processes, "FIRST", 2)
    monkeypatch.setattr(search, "SHARED", 0)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("count", [2, 3])
def test_several_prove_what_one_proves(seed, count):
    one, several = so.solve(program(seed), so.Exact(proof=False)), so.solve(program(seed), so.Exact(processes=count, proof=False))
    assert several.status == one.status
    if one.certified:
        assert several.certified
        assert several.value == pytest.approx(one.value, rel=1e-6)
        assert several.bound.value <= one.value + 1e-6 * abs(one.value)


def test_followers_that_see_the_leader_in_their_objective():
    base = program(1, 6)
    cross = np.random.default_rng(0).integers(-2, 3, (6, 6)).astype(float)
    from dataclasses import replace

    from scipy import sparse

    level = base.followers[0]
    form = sparse.csr_array(np.block([[np.zeros((6, 6)), cross], [np.zeros((6, 12))]]))
    mixed = replace(base, followers=(replace(level, objective=replace(level.objective, quadratic=form)),))
    one, several = so.solve(mixed, so.Exact(proof=False)), so.solve(mixed, so.Exact(processes=2, proof=False))
    assert several.status == one.status
    if one.certified:
        assert several.value == pytest.approx(one.value, rel=1e-6, abs=1e-6)


def test_a_process_that_dies_leaves_its_part_to_the_first(monkeypatch):
    def dies(connection, search, part, number):
        connection.close()

    monkeypatch.setattr(processes, "_work", dies)
    one, several = so.solve(program(2), so.Exact(proof=False)), so.solve(program(2), so.Exact(processes=2, proof=False))
    assert several.status == one.status
    if one.certified:
        assert several.value == pytest.approx(one.value, rel=1e-6)


def test_what_other_processes_leave_open_is_a_limit(monkeypatch):
    def slow(connection, search, part, number):
        connection.send((None, np.inf, min(cell.bound for _, _, cell in part), len(part), 0, 0))

    monkeypatch.setattr(processes, "_work", slow)
    for seed in range(6):
        one, several = so.solve(program(seed), so.Exact(proof=False)), so.solve(program(seed), so.Exact(processes=2, proof=False))
        if several.status is Status.LIMIT:
            assert several.bound.value <= one.value + 1e-6 * abs(one.value)
            assert "open" in several.because
            return
    pytest.fail("no program had open cells to share")


def test_the_number_of_processes_is_a_whole_one():
    for wrong in (0, 1.5):
        with pytest.raises(so.InvalidMethod, match="processes"):
            so.Exact(processes=wrong)
