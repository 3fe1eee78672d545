"""Milp: what it refuses, how it measures violation, and that its text is the same program."""

import dataclasses

import numpy as np
import pytest

import stackopt as so
from stackopt.backends.highs import solve_milp
from stackopt.programs.milp import MilpBuilder


def knapsack():
    b = MilpBuilder("knapsack", offset=2.5)
    take = b.columns("take", (3,), 0, 1, integer=True, objective=[3.0, 4.0, 5.0])
    rest = b.columns("rest", (), -np.inf, 10.0, objective=-0.125)
    assert b.row("weight", take, [2.0, 3.0, 4.0], upper=5.5) == 0
    b.row("both", [take[0], take[0], rest], [0.5, 0.5, 1.0], lower=-1.0, upper=4.0)  # the same column twice adds up
    b.row("equal", [rest], [1.0], 0.75, 0.75)
    return b.build()


def test_value_and_violation():
    milp = knapsack()
    x = np.array([1.0, 1.0, 0.0, 0.75])
    assert milp.value(x) == pytest.approx(2.5 + 7 - 0.09375)
    assert milp.violation(x) == 0.0
    assert milp.violation(np.array([1.0, 1.0, 1.0, 0.75])) == pytest.approx(3.5)  # weight
    assert milp.violation(np.array([0.5, 0.0, 0.0, 0.75])) == pytest.approx(0.5)
    assert milp.violation(np.array([0.5, 0.0, 0.0, 0.75]), integrality=False) == 0.0
    assert milp.violation(np.array([1.0, -0.25, 0.0, 0.75])) == pytest.approx(0.25)
    assert milp.violation(np.array([1.0, 0.0, 0.0, 0.5])) == pytest.approx(0.25)
    assert milp.violation(np.array([np.nan, 0, 0, 0.75])) == np.inf
    assert milp.violation(np.zeros(2)) == np.inf


def test_fixed_with_row_plus():
    milp = knapsack()
    fixed = milp.fixed(np.array([0, 1]), np.array([1.0, 0.0]))
    assert fixed.integer.tolist() == [False, False, True, False]
    assert fixed.lower[0] == fixed.upper[0] == 1.0
    assert milp.lower[0] == 0.0  # the original is not touched
    more = milp.with_row("cut", np.array([1.0, 0, 0, 0]), upper=0.0)
    assert more.violation(np.array([1.0, 0, 0, 0.75])) == 1.0
    assert milp.violation(np.array([1.0, 0, 0, 0.75])) == 0.0
    dearer = milp.plus(0, np.array([0, 1]), 1.0)
    assert dearer.activity(np.ones(4))[0] == 11.0
    assert len(dearer.entry_value) == len(milp.entry_value)


def test_text_is_the_same_program(tmp_path):
    import highspy

    milp = knapsack()
    text = milp.lp()
    path = tmp_path / "p.lp"
    path.write_text(text)
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    assert solver.readModel(str(path)) == highspy.HighsStatus.kOk
    solver.run()
    ours = solve_milp(milp)
    assert solver.getInfo().objective_function_value == pytest.approx(ours.value, abs=1e-9)
    assert text.startswith("\\ knapsack")
    assert "General" in text
    assert " 0.75" in text
    assert str(milp).startswith('Milp "knapsack"')


def test_an_empty_objective_and_row_print():
    b = MilpBuilder()
    b.columns("x", (1,), 0, 1)
    b.row("nothing", [0], [0.0], upper=1.0)
    assert "0 x_0 <= 1" in b.build().lp()


BROKEN = {
    "objective": {"objective": np.array([1.0, np.nan, 0, 0])},
    "one entry": {"lower": np.zeros(3)},
    "bounds in order": {"lower": np.full(4, 20.0)},
    "bounds in order, nan": {"upper": np.full(4, np.nan)},
    "row bounds": {"row_lower": np.full(3, 9e9)},
    "distinct column": {"columns": ("a", "a", "b", "c")},
    "letters": {"columns": ("a b", "x", "y", "z")},
    "inside": {"entry_column": np.array([0, 1, 2, 9, 3, 3])},
    "sorted": {"entry_row": np.array([2, 1, 0, 0, 0, 0])},
    "a row, a column": {"entry_row": np.array([0])},
    "entry_value": {"entry_value": np.full(6, np.inf)},
}


@pytest.mark.parametrize("law", BROKEN)
def test_malformed_programs_are_refused(law):
    milp = knapsack()
    assert len(milp.entry_value) == 6
    with pytest.raises(so.InvalidProgram, match=law.split(",")[0] if "a row" not in law else law) as raised:
        dataclasses.replace(milp, **BROKEN[law])
    assert raised.value.code == "program"


def test_arrays_are_frozen():
    with pytest.raises(ValueError, match="read-only"):
        knapsack().objective[0] = 9.0
