"""Edges of complementarity branching: followers with bounds and no rows, half-lines in a multiplier."""

import pytest

import stackopt as so


def test_a_coupling_row_over_a_follower_with_bounds_only():
    program = so.BilevelProgram.from_matrices(
        leader_cost=([0.0], [0.0]), leader_rows=([[3.0]], [[1.0]], [4.0]), leader_bounds=(0, 3), follower_cost=[-3.0], follower_bounds=(0, 8)
    )
    solution = so.solve(program)
    assert solution.status == so.Status.INFEASIBLE
    assert "`rows[0]`" in str(solution)


@pytest.mark.parametrize("row", [None, ([[0.0]], [[0.0, 0.0]], [1.0])], ids=["no rows", "a row without variables"])
def test_no_rows_at_all(row):
    program = so.BilevelProgram.from_matrices(
        leader_cost=([1.0], [-1.0, 1.0]), leader_bounds=(-1, 1), leader_rows=row, follower_cost=[0.0, 0.0], follower_cross=[[1.0, -1.0]], follower_bounds=(0, 2)
    )
    solution = so.solve(program)
    assert solution.certified
    assert solution.value == pytest.approx(-3.0)  # x = -1: the follower's costs are (-1, 1)


def test_a_half_line_in_a_multiplier_is_named():
    pyo = pytest.importorskip("pyomo.environ")
    m = pyo.ConcreteModel(name="steep")
    m.x = pyo.Var(bounds=(0, 1))
    m.follower = pyo.Block()
    m.follower.y = pyo.Var(bounds=(0, 4))
    m.follower.cost = pyo.Objective(expr=m.follower.y)
    m.follower.least = pyo.Constraint(expr=m.follower.y >= 1)
    m.follower.most = pyo.Constraint(expr=m.follower.y <= 1)
    m.goal = pyo.Objective(expr=m.x + so.dual(m.follower.most))
    solution = so.solve(so.from_pyomo(m, follower=m.follower))
    assert solution.status == so.Status.UNBOUNDED
    assert "along (-1 dual(most))" in solution.because
