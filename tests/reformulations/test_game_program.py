"""The program of a game, solved elsewhere: HiGHS on the file, a Pyomo model, a CVXPY problem; and the way back."""

import numpy as np
import pytest

import stackopt as so
from stackopt import catalog
from stackopt.exact.exact import Exact

from ..exact.tiny import tiny_game

METHODS = [Exact(leader="deterministic"), Exact(leader="net", grid=2), Exact(concept="weak", leader="deterministic", margin=1e-3), Exact()]


def from_file(path):
    import highspy

    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("presolve", "off")
    solver.readModel(str(path))
    solver.run()
    names = [solver.getColName(j)[1] for j in range(solver.getNumCol())]
    return solver.getInfo().objective_function_value, dict(zip(names, solver.getSolution().col_value))


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
@pytest.mark.parametrize("ending", [".lp", ".mps"])
def test_a_file_has_the_optimum_and_its_solution_comes_back(tmp_path, method, ending):
    game = tiny_game(3, (2, 2, 2), free=True, discounts=(0.8, 0.8))
    stated, exact = method.reformulate(game), so.solve(game, method)
    assert exact.certified
    value, found = from_file(stated.write(tmp_path / f"game{ending}"))
    assert value == pytest.approx(exact.value, abs=1e-5)
    profile = stated.lift(np.array([found[name] for name in stated.target.names]))
    assert game.certify(profile).certified
    assert profile.claim == pytest.approx(exact.value, abs=1e-5)
    assert stated.formulation.tag in str(stated)


def test_as_a_pyomo_model_and_a_cvxpy_problem():
    import pyomo.environ as pyo

    game = catalog.build("commitment_2x2")
    stated = Exact(leader="deterministic").reformulate(game)
    model = stated.pyomo()
    pyo.SolverFactory("appsi_highs").solve(model)
    objective = next(model.component_data_objects(pyo.Objective, active=True))
    assert pyo.value(objective) == pytest.approx(so.solve(game, Exact(leader="deterministic")).value, abs=1e-6)
    linear = Exact().reformulate(tiny_game(1, (2, 2, 2), discounts=(0.8, 0.0)))
    problem = linear.cvxpy()
    problem.solve()
    assert problem.value == pytest.approx(so.solve(linear.game, Exact()).value, abs=1e-5)


def test_what_is_not_one_program_is_refused():
    with pytest.raises(so.Refused, match="leader-moves-state"):
        Exact().reformulate(catalog.build("inspection"))
