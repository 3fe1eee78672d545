"""Programs with known answers, by every search that applies; what does not change an answer; how many nodes it takes."""

import numpy as np
import pytest
from exact.integer.whole_programs import assignment, coupled, feasible_points, general, knapsack, moore_bard, yue
from scipy import sparse

import stackopt as so
from stackopt.exact.integer import integer_followers
from stackopt.exact.integer.form import formed, linking_box
from stackopt.exact.integer.portfolio import fitting, searches
from stackopt.exact.integer.state import State
from stackopt.solution import Status

KNOWN = {
    "moore bard": (moore_bard, -22.0),
    "moore bard, continuous follower": (lambda: moore_bard(follower_integer=False), -18.0),
    "coupled": (coupled, -53.0),
    "yue 2": (lambda: yue(2), -20.0),
}


def applicable(program):
    form = formed(program)
    return list(searches(State(form, np.inf, None), *linking_box(form)))


@pytest.mark.parametrize("name", KNOWN)
def test_known_answers_by_every_search(name):
    make, value = KNOWN[name]
    program = make()
    for search in ("", *applicable(program)):
        found = integer_followers(program, time_limit=20.0, search=search)
        assert found.status is Status.OPTIMAL, (search, found.because)
        assert (found.point.claim, found.bound) == pytest.approx((value, value)), search
        assert all(check.passed for check in program.certify(found.point).checks), search


def test_solve_picks_the_search_and_certifies():
    solution = so.solve(moore_bard())
    assert solution.status is Status.OPTIMAL
    assert solution.value == pytest.approx(-22.0)
    assert solution["x"] == 2.0
    assert solution["y"] == 2.0
    assert "direction branching" in str(solution)


@pytest.mark.parametrize("seed", range(4))
def test_searches_agree_on_interdiction(seed):
    program = knapsack(8, seed)
    wanted = feasible_points_value(program)
    names = applicable(program)
    assert {"interdiction branch-and-cut", "covering branch-and-cut", "direction branching", "activity branching"} < set(names)
    for search in set(names) - {"value function by pieces"}:
        found = integer_followers(program, time_limit=20.0, search=search)
        assert (found.status, found.point.claim) == (Status.OPTIMAL, pytest.approx(wanted)), search


def feasible_points_value(program):
    points = feasible_points(program)
    return program.leader.objective.sign * (program.leader.objective.sign * points @ program.leader.objective.linear).min()


def test_senses_and_order_change_nothing():
    program = general(3, size=3)
    value = integer_followers(program, time_limit=20.0).point.claim
    assert value == feasible_points_value(program)
    c, d, q = program.leader.objective.linear[:3], program.leader.objective.linear[3:], program.followers[0].objective.linear[3:]
    a, g = program.followers[0].rows.matrix.toarray()[:, :3], program.followers[0].rows.matrix.toarray()[:, 3:]
    b = program.followers[0].rows.upper

    def other(order=(0, 1, 2), scale=1.0, **changes):
        order = list(order)
        settings = {
            "leader_cost": (c[order], d[order]), "follower_cost": q[order], "follower_rows": (scale * a[:, order], scale * g[:, order], scale * b),
            "leader_bounds": (0, 6), "follower_bounds": (0, 6), "leader_integer": True, "follower_integer": True,
        }
        return integer_followers(so.BilevelProgram.from_matrices(**settings | changes), time_limit=20.0).point.claim

    assert other((2, 0, 1)) == value
    assert other(scale=0.25) == value
    assert other(scale=1 / 7) == pytest.approx(value)
    assert other(follower_cost=-q, follower_sense="max") == value
    assert other(leader_cost=(-c, -d), leader_sense="max") == -value
    assert other(follower_equations=(np.zeros((1, 3)), np.zeros((1, 3)), [0.0])) == value


COUNTS = {
    "interdiction branch-and-cut": (lambda: knapsack(14, 1), 600),
    "covering branch-and-cut": (lambda: assignment(4, 1), 100),
    "direction branching": (lambda: general(5, size=5, most=8), 400),
}


@pytest.mark.parametrize("search", COUNTS)
def test_structure_is_found_and_nodes_stay_few(search):
    make, most = COUNTS[search]
    program = make()
    form = formed(program)
    assert fitting(State(form, np.inf, None)) == search
    first, second = (integer_followers(program, time_limit=30.0) for _ in range(2))
    assert first.status is Status.OPTIMAL
    assert first.stats == second.stats
    assert first.stats["nodes"] <= most
    assert np.array_equal(first.point.values, second.point.values)


@pytest.mark.parametrize("leader_unit", [1.0, 1e-7, 4e8])
@pytest.mark.parametrize("follower_unit", [1.0, 1e-7, 4e8])
def test_units_of_the_objectives_change_nothing_else(leader_unit, follower_unit):
    a, g = [[-25.0], [1.0], [2.0], [-2.0]], [[20.0], [2.0], [-1.0], [-10.0]]
    program = moore_bard(leader_cost=([-leader_unit], [-10.0 * leader_unit]), follower_cost=[follower_unit], follower_rows=(a, g, [30.0, 10.0, 15.0, -15.0]))
    for search in ("", *applicable(program)):
        found = integer_followers(program, time_limit=20.0, search=search)
        assert found.status is Status.OPTIMAL, search
        assert found.point.values.tolist() == [2.0, 2.0], search
        assert found.bound == pytest.approx(-22.0 * leader_unit, rel=1e-6), search


def test_each_follower_has_its_own_unit():
    """One follower counts in millionths and one in tens of millions; each is at its optimum."""
    def level(k, unit):
        cost = np.zeros(3)
        cost[k] = unit
        row = np.zeros((1, 3))
        row[0, [0, k]] = -1.0, 1.0
        return so.Level(f"f{k}", so.Objective("max", cost), so.Rows((f"room {k}",), sparse.csr_array(row), np.array([-np.inf]), np.array([1.0])))

    empty = so.Rows((), sparse.csr_array((0, 3)), np.zeros(0), np.zeros(0))
    program = so.BilevelProgram(
        names=("x", "y1", "y2"), owner=np.array([-1, 0, 1]), lower=np.zeros(3), upper=np.array([3.0, 9.0, 9.0]), integer=np.ones(3, bool),
        leader=so.Level("leader", so.Objective("min", np.array([-1.5, 1.0, 1.0])), empty), followers=(level(1, 3e-6), level(2, 5e7)), name="units",
    )
    found = integer_followers(program, time_limit=20.0)
    assert found.point.values.tolist() == [0.0, 1.0, 1.0]
    assert found.bound == pytest.approx(2.0)
