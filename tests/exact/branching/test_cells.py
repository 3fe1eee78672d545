"""What a cell decides about the bounds of its rows and variables."""

import numpy as np

import stackopt as so
from stackopt.bilevel.kkt import kkt
from stackopt.exact.branching.cell import OPEN, TIGHT, ZERO, Cell, Sides, root
from stackopt.exact.branching.search import violation


def boxed():
    """One follower variable in [0, 4] with a row 0 <= x + y <= 6, so that column and row have two sides each."""
    program = so.BilevelProgram.from_matrices(
        leader_cost=([1.0], [-1.0]), leader_bounds=(0, 4), follower_cost=[1.0], follower_bounds=(0, 4),
        follower_rows=([[1.0], [-1.0]], [[1.0], [-1.0]], [6.0, 0.0]),
    )
    return kkt(program).mpec


def with_decisions(mpec, **chosen):
    cell = root(mpec)
    for p in range(mpec.pairs):
        cell.decisions[p] = chosen.get(mpec.pair_label(p).replace(", ", "_").replace("[0]", ""), OPEN)
    return cell


def test_a_tight_upper_side_raises_the_lower_bound():
    mpec = boxed()
    lower, upper, _, _, crossed = Sides(mpec).of(with_decisions(mpec, y_upper=TIGHT))
    assert (lower[1], upper[1], crossed) == (4.0, 4.0, False)


def test_a_tight_lower_side_lowers_the_upper_bound():
    mpec = boxed()
    lower, upper, _, _, crossed = Sides(mpec).of(with_decisions(mpec, y_lower=TIGHT))
    assert (lower[1], upper[1], crossed) == (0.0, 0.0, False)


def test_both_sides_of_a_variable_tight_cross_instead_of_overwriting_each_other():
    mpec = boxed()
    *_, crossed = Sides(mpec).of(with_decisions(mpec, y_upper=TIGHT, y_lower=TIGHT))
    assert crossed


def test_zero_multipliers_leave_the_bounds_alone():
    mpec = boxed()
    lower, upper, *_ = Sides(mpec).of(with_decisions(mpec, y_upper=ZERO, y_lower=ZERO))
    assert (lower[1], upper[1]) == (0.0, 4.0)


def test_cells_do_not_share_their_decisions():
    cell = root(boxed())
    cell.decided(0, TIGHT)
    assert not cell.decisions.any()


def test_splitting_an_integer_covers_every_whole_number_once():
    cell = Cell(np.zeros(0, np.int8), np.array([0.0]), np.array([5.0]))
    below, above = cell.split(0, 2.4)
    assert (below.upper[0], above.lower[0]) == (2.0, 3.0)


def test_a_decided_pair_is_never_branched_on_again():
    """Rounding leaves slack and multiplier of decided pairs at 1e-7, whose product is not zero."""
    cell = Cell(np.array([TIGHT, ZERO, OPEN], np.int8), np.zeros(0), np.zeros(0))
    product = violation(cell, np.array([1e-7, 5.0, 1.0]), np.array([1e6, 1e-7, 1.0]))
    assert product.tolist() == [0.0, 0.0, 1.0]
