"""Probes of pairs are lower bounds, whatever the number of steps, and the optimum if there are enough."""

import numpy as np
import pytest

from stackopt.bilevel.kkt import kkt
from stackopt.exact.branching.cell import TIGHT, root
from stackopt.exact.branching.decoupled import Decoupled
from stackopt.exact.branching.tableau import Tableau, probe, tableau
from stackopt.solution import Status

from .programs import random_bilevel_lp


def at_root(program, tightened=()):
    """A search whose relaxation is solved in a cell, the cell, and the tableau there."""
    search = Decoupled(kkt(program).mpec, time_limit=60.0)
    cell = root(search.mpec)
    for p in tightened:
        search.tighten(cell, p)
    assert search.relaxation.enter(cell)
    assert search.relaxation.solve(60.0) is Status.OPTIMAL
    lower, upper, row_lower, row_upper, _ = search.relaxation.sides.of(cell)
    basic = search.relaxation.lp.solver.getBasicVariables()[1]
    t = tableau(
        search.lines, np.asarray(basic, np.int64), search.relaxation.w, np.concatenate([lower, search.mpec.leader_lower, row_lower]),
        np.concatenate([upper, search.mpec.leader_upper, row_upper]), search.relaxation.linear, search.relaxation.value,
    )
    assert t is not None
    return search, cell, t


def with_each_tight(search, cell, pairs):
    values = []
    for p in pairs:
        solved = search.relaxation.enter(cell.decided(p, TIGHT)) and search.relaxation.solve(60.0) is Status.OPTIMAL
        values.append(search.relaxation.value if solved else np.inf)
    return np.array(values)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("steps", [1, 3, 12])
def test_probes_are_lower_bounds(seed, steps):
    search, cell, t = at_root(random_bilevel_lp(8, seed))
    pairs = np.flatnonzero(search.mpec.slack(search.relaxation.w) > 1e-7)
    found = probe(t, search.constraint[pairs], np.inf, steps)
    truth = with_each_tight(search, cell, pairs)
    assert (found >= t.value - 1e-9).all()
    assert (found <= truth + 1e-6).all()


@pytest.mark.parametrize("seed", range(4))
def test_enough_steps_reach_the_optimum(seed):
    search, cell, t = at_root(random_bilevel_lp(8, seed))
    pairs = np.flatnonzero(search.mpec.slack(search.relaxation.w) > 1e-7)
    found = probe(t, search.constraint[pairs], np.inf, 200)
    truth = with_each_tight(search, cell, pairs)
    finite = np.isfinite(truth)
    np.testing.assert_allclose(found[finite], truth[finite], rtol=1e-7, atol=1e-6)


def test_probes_start_from_the_value_of_the_cells_own_relaxation():
    """A bound inherited from elsewhere may be higher than the relaxation; adding penalties to it would prune wrongly."""
    search, cell, t = at_root(random_bilevel_lp(8, 0))
    assert t.value == search.relaxation.value
    cell.bound = t.value + 1000.0
    asked = np.flatnonzero(search.mpec.slack(search.relaxation.w) > 1e-7)
    floor = search.probed(cell, np.full(search.mpec.pairs, t.value), search.mpec.slack(search.relaxation.w), search.relaxation.w, t.value)
    assert (floor[asked] <= with_each_tight(search, cell, asked) + 1e-6).all()


def test_a_slack_of_1e_minus_6_gives_a_small_bound_not_a_wild_one():
    """min x0 + x1 with slack 1e-6 - ... : the pair is tight after a step of 1e-6, which costs 1e-6."""
    t = Tableau(
        rates=np.array([[-1.0, 1e-13], [1.0, 0.0], [0.0, 1.0]]), slack=np.array([1e-6, 0.0, 0.0]), reduced=np.array([1.0, 0.0]),
        range=np.array([10.0, 10.0]), reach=np.full(3, 10.0), value=5.0,
    )
    assert probe(t, np.array([0]), np.inf, 1)[0] == pytest.approx(5.000001, abs=1e-9)


def test_rounding_is_charged_to_the_bound():
    """The second entry is too small to pivot on, and the dual step makes its reduced cost negative: -1e-10 * range."""
    t = Tableau(
        rates=np.array([[-1.0, -1e-10], [1.0, 0.0], [0.0, 1.0]]), slack=np.array([1.0, 0.0, 0.0]), reduced=np.array([1.0, 0.0]),
        range=np.array([10.0, 1e9]), reach=np.full(3, 10.0), value=0.0,
    )
    assert probe(t, np.array([0]), np.inf, 1)[0] == pytest.approx(0.9, abs=1e-9)


def test_a_tiny_entry_with_a_large_range_is_no_proof_of_impossibility():
    """The row has one entry that can lower the slack: 1e-10 times a range of 1e12 moves it by 100, more than its slack."""
    rates = np.array([[1.0, -1e-10], [1.0, 0.0], [0.0, 1.0]])
    common = {"rates": rates, "slack": np.array([1.0, 0.0, 0.0]), "reduced": np.array([1.0, 1.0]), "reach": np.full(3, 10.0), "value": 0.0}
    assert probe(Tableau(range=np.array([10.0, 1e12]), **common), np.array([0]), np.inf, 1)[0] == 0.0
    assert probe(Tableau(range=np.array([10.0, 1e3]), **common), np.array([0]), np.inf, 1)[0] == np.inf


def test_probes_hold_below_the_root_as_well():
    program = random_bilevel_lp(8, 2)
    search, _, t = at_root(program)
    first = int(np.argmax(search.mpec.slack(search.relaxation.w)))
    assert search.relaxation.enter(root(search.mpec).decided(first, TIGHT))
    assert search.relaxation.solve(60.0) is Status.OPTIMAL, "choose another program: that part is empty"
    search, cell, t = at_root(program, (first,))
    pairs = np.flatnonzero((search.mpec.slack(search.relaxation.w) > 1e-7) & (cell.decisions == 0))
    assert (probe(t, search.constraint[pairs], np.inf, 12) <= with_each_tight(search, cell, pairs) + 1e-6).all()
