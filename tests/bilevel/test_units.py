"""Other units of an objective, the same optimum: from 1e-12 to 1e6, by every method that takes the program."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

import stackopt as so
from stackopt.bilevel.units import normalised

from .programs import duopoly, toll

METHODS = [so.Exact(), so.Enumeration(), so.BigM(), so.Sos1()]


def in_units(program, leader=1.0, follower=1.0):
    def scaled(level, factor):
        objective = level.objective
        quadratic = None if objective.quadratic is None else sparse.csr_array(factor * objective.quadratic)
        return replace(level, objective=replace(objective, linear=factor * objective.linear, quadratic=quadratic, constant=factor * objective.constant))

    return replace(program, leader=scaled(program.leader, leader), followers=tuple(scaled(level, follower) for level in program.followers))


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
@pytest.mark.parametrize("factor", [1e-12, 1e-9, 1e-6, 1e-4, 1e6])
def test_units_change_nothing_but_the_units(method, factor):
    if isinstance(method, so.Sos1):
        pytest.importorskip("pyscipopt")
    for program in (in_units(toll(), leader=factor), in_units(toll(), follower=factor), in_units(toll(), factor, factor)):
        scale = program.leader.objective.linear[0]
        solution = so.solve(program, method)
        assert solution.certified, solution
        assert solution.value == pytest.approx(scale * 92 / 15, rel=1e-6)
        assert solution.bound.value == pytest.approx(scale * 92 / 15, rel=1e-6)
        assert solution["flow"] == pytest.approx(28 / 15, abs=1e-6)
    assert so.solve(in_units(duopoly(), factor, factor)).value == pytest.approx(6 * factor, rel=1e-6)


@pytest.mark.parametrize("values", [[4.0, 4.0], [4.0, 3.0], [8 / 15, 28 / 15]])
@pytest.mark.parametrize("factor", [1e-9, 1e-5])
def test_a_certificate_says_the_same_in_any_units(values, factor):
    plain, tiny = toll(), in_units(toll(), factor, factor)
    one, other = plain.certify(so.Point(np.array(values))), tiny.certify(so.Point(np.array(values)))
    assert [(c.name, c.passed) for c in one.checks] == [(c.name, c.passed) for c in other.checks]
    assert other.value == pytest.approx(factor * one.value, rel=1e-12)
    assert other.values["follower"] == pytest.approx(factor * one.values["follower"], rel=1e-12)
    assert "tiny coefficients" in str(other)


def test_a_suboptimal_claim_in_tiny_units_is_refuted():
    tiny = in_units(toll(), 1e-9)
    point = so.Point(np.array([4.0, 4.0]))
    assert tiny.certify(point).certified, "feasible it is"

    class Lying:
        name = "lying"

        def refuses(self, problem):
            return None

        def run(self, problem, **settings):
            bound = so.Bound(92 / 15 * abs(problem.leader.objective.linear[0]), "value", "x", sense="lower")
            return so.Run(so.Status.OPTIMAL, point, bound)

    assert so.solve(tiny, Lying()).status is so.Status.FAILED


def test_a_dual_is_in_the_followers_units():
    tiny, point = in_units(toll(), follower=1e-9), so.Point(np.array([4.0, 4.0]))
    assert float(tiny.dual(point, "rows[3]")) == pytest.approx(-1e-9, rel=1e-6)


def test_multipliers_are_in_the_followers_units():
    program = toll()
    wide = lambda level: replace(  # noqa: E731
        level, objective=replace(level.objective, linear=np.append(level.objective.linear, 0.0)),
        rows=replace(level.rows, matrix=sparse.csr_array(sparse.hstack([level.rows.matrix, sparse.csr_array((len(level.rows), 1))]))),
    )
    priced = replace(
        program, multipliers=(so.Multiplier("price", "follower", "rows[3]"),), leader=wide(program.leader), followers=(wide(program.followers[0]),)
    )
    leader = replace(priced.leader, objective=replace(priced.leader.objective, linear=np.array([1.0, 0.0, 1e6])))
    tiny = in_units(replace(priced, leader=leader), follower=1e-6)
    units = normalised(tiny)
    assert units.multipliers == pytest.approx([2.0**20])
    ordinary = replace(priced.leader, objective=replace(priced.leader.objective, linear=np.array([1.0, 0.0, 1.0])))
    solution, plain = so.solve(tiny), so.solve(replace(priced, leader=ordinary))
    assert solution.status == plain.status
    if plain.certified:
        assert solution.value == pytest.approx(plain.value, rel=1e-5)
        assert solution["price"] == pytest.approx(1e-6 * plain["price"], rel=1e-5)
    assert normalised(toll()) is None


@pytest.mark.parametrize("seed", range(12))
def test_rows_and_columns_in_other_units(seed):
    """Columns, rows and objectives times random powers of ten: the same optimum, by methods that never see the scaling."""
    rng = np.random.default_rng(seed)
    nx, ny, m = 2, 2, 3
    c, d, q = (rng.integers(-3, 4, k).astype(float) for k in (nx, ny, ny))
    A, B, b = rng.integers(-3, 4, (m, nx)).astype(float), rng.integers(-3, 4, (m, ny)).astype(float), rng.integers(2, 7, m).astype(float)

    def build(sx, sy, sr, f, g):
        return so.BilevelProgram.from_matrices(
            leader_cost=(g * c * sx, g * d * sy), follower_cost=f * q * sy, leader_bounds=(0, 3 / sx), follower_bounds=(0, 3 / sy),
            follower_rows=(sr[:, None] * A * sx, sr[:, None] * B * sy, sr * b),
        )

    def power(k):
        return 10.0 ** rng.integers(-5, 6, k)

    plain = so.solve(build(np.ones(nx), np.ones(ny), np.ones(m), 1.0, 1.0))
    g = float(power(1)[0])
    odd = build(power(nx), power(ny), power(m), float(power(1)[0]), g)
    for method in (so.Exact(), so.Enumeration()):
        solution = so.solve(odd, method)
        assert solution.status == plain.status or (solution.status.success and plain.status.success), solution
        if plain.certified:
            assert solution.certified, solution.certificate
            assert solution.value == pytest.approx(g * plain.value, abs=1e-5 * g)


def test_ordinary_programs_are_left_alone():
    assert normalised(toll()) is None
    assert normalised(duopoly()) is None
