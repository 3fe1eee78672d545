"""SCIP through pyscipopt: known optima, infeasible, unbounded, limits, and what only a global solver finds."""

import numpy as np
import pytest
from scipy import sparse

from stackopt.errors import MissingPackage
from stackopt.programs.quadratic import Implication, QuadraticProgram
from stackopt.solution import Status

pytest.importorskip("pyscipopt")
from stackopt.backends import scip


def program(linear, lower, upper, rows=(), row_upper=(), **more):
    n = len(linear)
    return QuadraticProgram(
        tuple(f"x{j}" for j in range(n)), np.array(lower, float), np.array(upper, float), np.array(more.pop("integer", [False] * n)),
        np.array(linear, float), tuple(f"r{i}" for i in range(len(rows))), sparse.csr_array(np.array(rows, float).reshape(len(rows), n)),
        np.full(len(rows), -np.inf), np.array(row_upper, float), **more,
    )


@pytest.mark.parametrize(("sense", "value"), [("min", -3.0), ("max", 4.0)])
def test_a_mixed_integer_program_in_both_senses(sense, value):
    p = program([1.0, -1.0], [0, 0], [4, 3.5], [[1.0, 1.0]], [6.5], integer=[True, True], sense=sense, constant=0.0)
    found = scip.solve_program(p)
    assert (found.status, found.value, found.bound) == (Status.OPTIMAL, pytest.approx(value), pytest.approx(value))
    assert found.violation == 0.0


def test_a_concave_objective_is_solved_globally():
    p = program([0.0], [-1], [2], quadratic=sparse.csr_array([[-1.0]]))
    assert scip.solve_program(p).point == pytest.approx([2.0])


def test_a_quadratic_row():
    p = program([-1.0, -1.0], [0, 0], [9, 9], [[0.0, 0.0]], [2.0], row_quadratic={0: sparse.csr_array(np.eye(2))})
    assert scip.solve_program(p).value == pytest.approx(-2.0, abs=1e-6)


def test_sets_and_implications_are_kept():
    p = program([-1.0, -2.0, 0.0], [0, 0, 0], [5, 4, 1], integer=[False, False, True], sos1=(("s", np.array([0, 1])),))
    assert scip.solve_program(p).value == pytest.approx(-8.0)
    only_two = (Implication("i", 2, False, np.array([1]), np.ones(1), 2.0), Implication("j", 2, True, np.array([1]), np.ones(1), 1.0))
    p = program([-1.0, -2.0, 0.0], [0, 0, 0], [5, 4, 1], integer=[False, False, True], sos1=(("s", np.array([0, 1])),), implications=only_two)
    assert scip.solve_program(p).value == pytest.approx(-5.0)


def test_infeasible_unbounded_and_limit():
    assert scip.solve_program(program([1.0], [0], [1], [[1.0]], [-1.0])).status is Status.INFEASIBLE
    assert scip.solve_program(program([1.0], [0], [1], [[0.0]], [-1.0])).status is Status.INFEASIBLE  # an empty row
    assert scip.solve_program(program([-1.0], [0], [np.inf])).status is Status.UNBOUNDED
    nothing = scip.solve_program(program([1.0], [0], [1]), time_limit=0.0)
    assert (nothing.status, nothing.point, nothing.bound) == (Status.LIMIT, None, -np.inf)


def test_plain_arrays_with_symmetric_matrices():
    found = scip.solve_quadratic(
        np.array([0.0, -2.0]), sparse.csr_array((1, 2)), np.array([-np.inf]), np.array([1.0]), np.full(2, -5.0), np.full(2, 5.0),
        hessian=sparse.csr_array(np.diag([-2.0, 2.0])), quadratic={0: sparse.csr_array(np.diag([2.0, 0.0]))}, constant=3.0,
    )
    assert found.status is Status.OPTIMAL
    assert found.value == pytest.approx(3.0 - 1.0 - 1.0, abs=1e-6)  # x^2 <= 1, min -x^2 + y^2 - 2y + 3
    assert found.bound == pytest.approx(found.value, abs=1e-6)


def test_without_the_package_it_says_so(monkeypatch):
    monkeypatch.setattr(scip, "available", lambda: False)
    with pytest.raises(MissingPackage, match="pyscipopt"):
        scip.solve_program(program([1.0], [0], [1]))


def test_a_point_that_breaks_the_program_is_no_point():
    from stackopt.backends.answer import answer

    p = program([1.0], [0], [1], [[1.0]], [0.5])
    found = answer(p, Status.OPTIMAL, np.array([0.75]), 0.0, 0, 0.0, "said so")
    assert (found.status, found.point) == (Status.FAILED, None)
    assert "breaks the program by 0.25" in found.because
    assert answer(p, Status.OPTIMAL, None, 0.0, 0, 0.0, "said so").status is Status.FAILED
