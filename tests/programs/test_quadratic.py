"""QuadraticProgram: evaluation, laws, and the texts that people and solvers read."""

import dataclasses

import numpy as np
import pytest
from scipy import sparse

from stackopt.errors import InvalidProgram
from stackopt.programs.quadratic import Implication, QuadraticProgram, distinct, upper_triangle
from stackopt.programs.quadratic_text import plain_names


def program(**changes):
    """min z - z^2 + a b + 1.5 with a range row that is quadratic, an SOS1 set and an implication; names that formats do not allow."""
    settings = {
        "names": ("a[1]", "e9", "z z"), "lower": np.array([-2.0, -3.0, 0.0]), "upper": np.array([2.0, 3.0, 5.0]),
        "integer": np.array([False, False, True]), "linear": np.array([0.0, 0.0, 1.0]), "row_names": ("r one", "r2"),
        "matrix": sparse.csr_array([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]]), "row_lower": np.array([-1.0, -np.inf]), "row_upper": np.array([2.0, 4.0]),
        "quadratic": sparse.csr_array(np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, -1.0]])), "constant": 1.5,
        "row_quadratic": {0: sparse.csr_array(np.diag([0.0, 0.0, 0.1]))}, "sos1": (("one of", np.array([0, 1])),),
        "implications": (Implication("when full", 2, True, np.array([0, 1]), np.array([1.0, 1.0]), 1.0),),
    }
    return QuadraticProgram(**settings | changes)


def linear(**changes):
    """The same without products, sets and implications."""
    return program(**{"quadratic": None, "row_quadratic": {}, "sos1": (), "implications": ()} | changes)


def test_evaluation_by_hand():
    v = np.array([1.0, 2.0, 3.0])
    assert program().value(v) == pytest.approx(3.0 - 9.0 + 2.0 + 1.5)
    assert program().activity(v) == pytest.approx([1.0 + 2.0 + 0.9, 5.0])


@pytest.mark.parametrize(
    ("v", "worst"),
    [
        ([0.0, 1.0, 3.0], 0.0),
        ([0.0, 1.0, 3.25], 0.25),  # not whole; row two is broken by as much
        ([1.0, 0.5, 2.0], 0.5),  # both members of the set
        ([3.0, 0.0, 0.0], 1.0),  # above its bound
        ([0.0, 2.5, 1.0], 1.0),  # the implication: nearer to being switched off than to being kept
        ([np.nan, 0.0, 0.0], np.inf),
    ],
)
def test_violation_is_the_worst_of_everything(v, worst):
    assert program(row_upper=np.array([9.0, 4.0])).violation(np.array(v)) == pytest.approx(worst)


def test_malformed_programs_are_refused():
    with pytest.raises(InvalidProgram, match=r"\[program\].*bounds in order"):
        program(lower=np.array([5.0, 0.0, 0.0]))
    with pytest.raises(InvalidProgram, match="distinct column names"):
        program(names=("a", "a", "b"))
    with pytest.raises(InvalidProgram, match="coefficient matrix"):
        program(matrix=sparse.csr_array((2, 2)))
    with pytest.raises(InvalidProgram, match="`linear`"):
        program(linear=np.zeros(2))


def test_what_it_is():
    assert linear().linear_only
    assert not program().linear_only
    assert program().curved
    assert "1 quadratic rows" in str(program())


def test_algebra_has_the_names_of_the_user():
    text = program().algebra()
    assert text.splitlines()[0] == "min  z z + a[1]*e9 - z z^2 + 1.5"
    assert "r one      -1 <= a[1] + e9 + 0.1 z z^2 <= 2" in text or "-1 <= a[1] + e9 + 0.1 z z^2 <= 2" in text
    assert "z z = 1 -> a[1] + e9 <= 1" in text
    assert "at most one of a[1], e9 is not 0" in text
    assert "z z   in [0, 5], integer" in text


def test_names_that_formats_do_not_allow_are_replaced_and_listed():
    assert plain_names(["flow", "e9", "energy", "x[1]", "x_1", "free", "3d", ""], "v") == ("flow", "v_e9", "energy", "x_1", "x_1_2", "v_free", "v_3d", "v_")
    assert "\\ column v_e9 is e9" in program().lp()
    assert "* column a_1 is a[1]" in program().mps()
    assert distinct(("a", "b", "a")) == ("a", "b", "a (2)")


def test_upper_triangle_restates_half_of_the_quadratic_form():
    F = np.array([[2.0, 3.0], [3.0, -4.0]])
    x = np.array([1.5, -2.0])
    assert x @ (upper_triangle(sparse.csr_array(F)) @ x) == pytest.approx(0.5 * x @ F @ x)


@pytest.mark.parametrize("ending", ["lp", "mps"])
@pytest.mark.parametrize("sense", ["min", "max"])
def test_highs_reads_the_linear_program_back(ending, sense, tmp_path):
    highspy = pytest.importorskip("highspy")
    p = linear(sense=sense, linear=np.array([1.0, -2.0, 0.5]))
    path = tmp_path / f"p.{ending}"
    path.write_text(getattr(p, ending)())
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.readModel(str(path))
    solver.run()
    from stackopt.backends.highs_program import solve_program

    assert solver.getObjectiveValue() == pytest.approx(solve_program(p).value)


@pytest.mark.parametrize("ending", ["lp", "mps"])
@pytest.mark.parametrize("part", ["whole", "binary implication"])
def test_scip_reads_everything_back(ending, part, tmp_path):
    pyscipopt = pytest.importorskip("pyscipopt")
    from stackopt.backends.scip import solve_program

    p = program(implications=())
    if part != "whole":
        p = dataclasses.replace(program(sos1=()), upper=np.array([2.0, 3.0, 1.0]))
    path = tmp_path / f"p.{ending}"
    path.write_text(getattr(p, ending)())
    model = pyscipopt.Model()
    model.hideOutput()
    model.readProblem(str(path))
    model.optimize()
    ours = solve_program(p)
    assert ours.status == "OPTIMAL"
    assert model.getObjVal() == pytest.approx(ours.value, abs=1e-6)
