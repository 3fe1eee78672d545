"""Each rule against all bilevel-feasible points of small programs: none is cut off."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from exact.integer.whole_programs import assignment, feasible_points, general, interdicted, knapsack

from stackopt.exact.integer.activities import Activities
from stackopt.exact.integer.form import formed, lattice_step, linking_box, objective_step, whole_scale
from stackopt.exact.integer.high_point import HighPoint
from stackopt.exact.integer.knapsack import Packing
from stackopt.exact.integer.mip import WarmMip
from stackopt.exact.integer.pool import Pool, Sides, exchanges, pairs, triples
from stackopt.exact.integer.state import State
from stackopt.exact.integer.structure import interdiction
from stackopt.exact.integer.value_pieces import Pieces
from stackopt.solution import Status

FAR = np.inf


def state_of(program):
    form = formed(program)
    return State(form, FAR, None), linking_box(form)


@pytest.mark.parametrize("seed", range(6))
def test_directions_hold_at_every_feasible_point(seed):
    program = general(seed, size=3, most=4)
    state, box = state_of(program)
    sides = Sides(state.form, state.replies, *box)
    pool = Pool(sides)
    pool.extend(pairs(state.form, largest=3))
    pool.extend(triples(state.form))
    assert len(pool.at) > 10
    for point in feasible_points(program):
        at = np.append(sides.values(point), -np.inf)[pool.at]
        assert (at >= pool.slack).any(1).all()


@pytest.mark.parametrize("seed", range(6))
def test_directions_of_continuous_columns_hold_at_every_optimal_answer(seed):
    program = general(seed, size=4, most=2)
    program = replace(program, integer=program.integer & (np.arange(8) < 6))
    state, box = state_of(program)
    sides = Sides(state.form, state.replies, *box)
    sides.watch(Activities(state.replies).wide())
    pool = Pool(sides)
    pool.extend(pairs(state.form, largest=3))
    pool.extend(exchanges(state.form, state.replies.own.toarray()))
    assert len(pool.at) > 10
    answers = 0
    for x in itertools.product(range(3), repeat=4):
        z = np.array([*x, 0, 0, 0, 0], float)
        reply = state.reply(z)
        if reply.y is not None:
            z[4:] = reply.y
            at = np.append(sides.values(z), -np.inf)[pool.at]
            assert (at >= pool.slack).any(1).all()
            answers += 1
    assert answers > 5


def test_directions_cut_off_what_is_not_optimal():
    program = general(1, size=3, most=4)
    state, box = state_of(program)
    sides = Sides(state.form, state.replies, *box)
    z = np.zeros(6)
    reply = state.reply(z)
    w = np.round(reply.y).astype(int)
    assert w.any(), "y = 0 is not optimal at x = 0"
    pool = Pool(sides)
    k = pool.add(w)
    at = np.append(sides.values(z), -np.inf)[pool.at[k]]
    assert not (at >= pool.slack[k]).any()


@pytest.mark.parametrize("seed", range(6))
def test_values_over_boxes_bound_the_follower(seed):
    program = general(seed, size=3, most=3)
    state, _ = state_of(program)
    search = Activities(state.replies)
    points = feasible_points(program)
    for point in points[:: max(1, len(points) // 20)]:
        state.reply(point)
    rng, finite = np.random.default_rng(seed), 0
    for _ in range(20):
        low, high = np.sort(rng.integers(0, 4, (2, 6)), axis=0).astype(float)
        bound = search.bound(search.most(low, high))
        inside = points[((points[:, :3] >= low[:3]) & (points[:, :3] <= high[:3])).all(1)]
        finite += np.isfinite(bound)
        assert not len(inside) or (inside[:, 3:] @ state.form.d).max() <= bound + 1e-9
    assert finite


@pytest.mark.parametrize("seed", range(4))
def test_no_goods_hold_at_every_feasible_point(seed):
    program = knapsack(5, seed)
    state, box = state_of(program)
    probe = HighPoint(state, *box)
    points = feasible_points(program)
    rng = np.random.default_rng(seed)
    for point in points[rng.integers(0, len(points), 6)]:
        reply = state.reply(point)
        assert probe.learn(point, reply.y, reply.value)
    matrix, sides = probe.cuts()
    assert (points @ matrix.toarray().T >= sides - 1e-9).all()
    wrong = points[0].copy()
    wrong[5:] = 0.0
    assert (matrix @ wrong < sides - 1e-9).any(), "doing nothing with items in reach is cut off somewhere"


@pytest.mark.parametrize("seed", range(4))
def test_packings_are_optimal_and_their_extensions_maximal(seed):
    rng = np.random.default_rng(seed)
    program = knapsack(7, seed, spread=12)
    state, _ = state_of(program)
    packing = Packing(state.form, interdiction(state.form))
    assert packing.table
    prices, blocked = rng.random(7) * 5, rng.random(7) < 0.3
    y = packing.best(prices, blocked, FAR)
    mip = WarmMip(-prices, *rows_of(packing), np.zeros(7), np.where(blocked, 0.0, 1.0), np.ones(7, bool)).solve()
    assert float(prices @ y) == pytest.approx(-mip.value)
    more = packing.extended(y, prices)
    left = packing.room - packing.rows @ more
    assert (more >= y).all()
    assert (left >= 0).all()
    assert all(packing.rows[0, j] > left[0] for j in np.flatnonzero(more == 0))


def rows_of(packing):
    from scipy import sparse

    return sparse.csr_array(packing.rows), np.full(len(packing.room), -np.inf), packing.room


@pytest.mark.parametrize("seed", range(5))
def test_pieces_are_the_value_function(seed):
    program = general(seed, size=2, most=3)
    state, box = state_of(program)
    pieces = Pieces(state.form, *box)
    for point in feasible_points(program):
        assert pieces.values(point).min() == pytest.approx(state.reply(point).value)


def test_structure_is_read_off_the_data():
    def structure(program):
        return interdiction(formed(program))

    assert structure(knapsack(5, 0)).packing
    found = structure(assignment(3, 0))
    assert not found.packing
    assert (found.blocker >= 0).all()
    assert structure(general(0)) is None
    prices, rows, costs = np.array([3.0, 2.0, 4.0]), np.array([[1.0, 2.0, 2.0]]), np.ones(3)
    assert structure(interdicted(prices, rows, [3.0], costs, 1.0)).packing
    assert not structure(interdicted(prices, -rows, [3.0], costs, 1.0)).packing
    assert structure(interdicted(prices, rows, [3.0], costs, 1.0, leader_bounds=(0, 2))) is None
    assert structure(interdicted(prices, rows, [3.0], costs, 1.0, leader_cost=(np.zeros(3), 2 * prices))) is None
    half = np.vstack([np.zeros((1, 3)), 0.5 * np.eye(3)]), np.vstack([rows, np.eye(3)]), [3.0, 1.0, 1.0, 1.0]
    assert structure(interdicted(prices, rows, [3.0], costs, 1.0, follower_rows=half)) is None, "blocking leaves half of the item"


def test_lattices():
    assert whole_scale(np.array([0.5, 1.25])) == 4
    assert whole_scale(np.array([1 / 3, 2.0])) == 3
    assert whole_scale(np.array([np.pi])) == 0
    assert lattice_step(np.array([4.0, -6.0])) == 2.0
    assert lattice_step(np.array([0.5, 0.75])) == 0.25
    assert lattice_step(np.array([0.0])) == np.inf
    assert lattice_step(np.array([np.sqrt(2), 1.0])) == 0.0
    assert objective_step(formed(knapsack(4, 0))) >= 1.0


def test_small_programs_are_solved_and_hard_ones_handed_over():
    from scipy import sparse

    rng = np.random.default_rng(0)
    rows = rng.integers(1, 30, (3, 12)).astype(float)
    cost = -rng.integers(1, 30, 12).astype(float)
    mip = WarmMip(cost, sparse.csr_array(rows), np.full(3, -np.inf), rows.sum(1) // 2, np.zeros(12), np.ones(12), np.ones(12, bool), step=1.0)
    best = mip.solve()
    assert best.status is Status.OPTIMAL
    assert (rows @ best.x <= rows.sum(1) // 2).all()
    assert mip.solve(cutoff=best.value).status is Status.INFEASIBLE
    assert mip.solve(cutoff=best.value + 1.0).value == best.value
    free = WarmMip(cost, sparse.csr_array(rows[:, :]), np.full(3, -np.inf), np.full(3, np.inf), np.zeros(12), np.full(12, np.inf), np.ones(12, bool))
    assert free.solve().status is Status.UNBOUNDED
