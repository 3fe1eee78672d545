"""A follower that has bounds and no rows: relaxations without follower rows, or without any row."""

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
