"""Reformulations as Pyomo models: editable, and solved by whatever Pyomo drives."""

import numpy as np
import pytest
from reformulations.storyboard import toll

from stackopt.backends.pyomo_solver import pyomo_model, refusal, solve_program
from stackopt.exact.reformulated import BigM, Indicator, Sos1
from stackopt.solution import Status

pyo = pytest.importorskip("pyomo.environ")


def test_the_model_has_the_names_of_the_user():
    model = pyomo_model(Sos1().reformulate(toll()).target)
    assert model.v["toll"].bounds == (0.0, 8.0)
    assert str(model.row["road"].expr) == "-7.0*v[toll] + 2.0*v[flow]  <=  0.0"
    assert {v.index() for v in model.sos1["complementarity(road, upper)"].variables} == {"slack(road, upper)", "mult(road, upper)"}


def test_the_model_can_be_edited_and_solved():
    model = pyomo_model(BigM().reformulate(toll()).target)
    model.v["toll"].setlb(1.0)
    pyo.SolverFactory("appsi_highs").solve(model)
    assert pyo.value(model.goal) == pytest.approx(8.0)  # toll 8 and no flow; toll 1 would cost 1 + 3 * 3.5


def test_implications_become_disjunctions():
    from stackopt.reformulations.multiplier_bounds import multiplier_bounds

    reduction = Indicator().reformulate(toll())
    model = pyomo_model(reduction.target)
    for p, bound in enumerate(multiplier_bounds(reduction.kkt).multipliers):
        model.v[reduction.kkt.mpec.names[2 + p]].setub(bound.value)
    model.v["flow"].setlb(-10.0)
    model.v["flow"].setub(10.0)
    pyo.TransformationFactory("gdp.bigm").apply_to(model)
    pyo.SolverFactory("appsi_highs").solve(model)
    assert pyo.value(model.goal) == pytest.approx(92 / 15)


def test_highs_solves_the_big_m_form():
    found = solve_program(BigM().reformulate(toll()).target, "appsi_highs")
    assert (found.status, found.value, found.bound) == (Status.OPTIMAL, pytest.approx(92 / 15), pytest.approx(92 / 15))


def test_a_solver_with_sets_solves_the_sos1_form():
    target = Sos1().reformulate(toll()).target
    if refusal(target, "scip_direct") is not None:
        pytest.skip("no solver with SOS1 sets that Pyomo drives")
    assert solve_program(target, "scip_direct").value == pytest.approx(92 / 15)


def test_solvers_that_cannot_are_refused():
    target = Sos1().reformulate(toll()).target
    found = refusal(target, "appsi_highs")
    assert (found.code, found.law["what"]) == ("solver-features", "SOS1 sets")
    assert refusal(target, "no-such-solver").code == "no-solver"
    assert "implications" in refusal(Indicator().reformulate(toll()).target, "appsi_highs").law["what"]


def test_infeasible_and_limit():
    import dataclasses

    target = BigM().reformulate(toll()).target
    broken = dataclasses.replace(target, lower=np.where(np.arange(len(target.lower)) == 1, 6.0, target.lower))
    assert solve_program(broken, "appsi_highs").status is Status.INFEASIBLE
    assert solve_program(target, "appsi_highs", time_limit=0.0).status is Status.LIMIT
