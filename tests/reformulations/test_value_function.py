"""Value-function rows: they hold at every bilevel feasible point and cut off what a better answer beats."""

import numpy as np
import pytest

import stackopt as so
from stackopt.bilevel.follower import respond
from stackopt.bilevel.kkt import lower
from stackopt.reformulations.first_order import first_order
from stackopt.reformulations.value_function import value_cut


def knapsack():
    """An integer follower: max 2 y0 + 3 y1 over 3 y0 + 4 y1 <= 2 + x, y whole in [0, 2]; x whole in [0, 8]."""
    return so.BilevelProgram.from_matrices(
        leader_cost=([1.0], [1.0, -1.0]), leader_bounds=(0, 8), leader_integer=True, follower_cost=[2.0, 3.0], follower_bounds=(0, 2), follower_integer=True,
        follower_rows=([[-1.0]], [[3.0, 4.0]], [2.0]), follower_sense="max",
    )


def feasible(target, program, values):
    """Whether some setting of the further columns makes the point feasible."""
    n = len(lower(program).mpec.names)
    v = np.zeros(len(target.names))
    v[: len(values)] = values
    for at in range(len(target.row_names)):  # excesses are defined by rows of their own, in order
        if not target.row_names[at].startswith("excess"):
            continue
        column = target.names.index(target.row_names[at])
        v[column] = 0.0
        v[column] = target.activity(v)[at] - target.row_lower[at]
    cases = [j for j in range(n, len(target.names)) if target.names[j].startswith("case")]
    if not cases:
        return target.violation(v) <= 1e-9
    best = np.inf
    for j in cases:
        w = v.copy()
        w[j] = 1.0
        best = min(best, target.violation(w))
    return best <= 1e-9


@pytest.mark.parametrize("answer", [(0.0, 1.0), (2.0, 0.0), (2.0, 1.0)])
def test_rows_keep_exactly_what_the_answer_does_not_beat(answer):
    program = knapsack()
    target = value_cut(program, first_order(lower(program), without=[0]), 0, np.array(answer))
    for x in range(9):
        best = respond(program, 0, np.array([x, 0.0, 0.0]))
        for y0 in range(3):
            for y1 in range(3):
                point = np.array([x, y0, y1], float)
                if 3 * y0 + 4 * y1 > 2 + x:
                    continue
                value = 2 * y0 + 3 * y1
                possible = 3 * answer[0] + 4 * answer[1] <= 2 + x
                beaten = possible and 2 * answer[0] + 3 * answer[1] > value
                assert feasible(target, program, point) == (not beaten)
                if value == best.value:
                    assert feasible(target, program, point)


def test_whole_rows_are_broken_by_one_at_least():
    program = knapsack()
    target = value_cut(program, first_order(lower(program), without=[0]), 0, np.array([0.0, 1.0]))
    row = target.row_names.index("excess(rows[0] broken above)")
    assert target.matrix[[row]].toarray()[0, 0] == 1.0  # 4 - x <= 2 is kept; broken is x <= 1: x - 2 + 1 <= 0
    assert target.row_upper[row] == 1.0
