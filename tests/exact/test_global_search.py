"""Global search through SCIP: followers that are not convex, with curved rows, with whole numbers; confirmed by re-solving them."""

import numpy as np
import pytest
from scipy import sparse

import stackopt as so
from stackopt import BilevelProgram, Level, Multiplier, Objective, Rows
from stackopt.exact.reformulated import Scip
from stackopt.solution import Status

pytest.importorskip("pyscipopt")
from stackopt.exact import global_search
from stackopt.exact.global_search import conditions, scip_global


def program(leader, follower, *, leader_rows=None, follower_rows=None, lower=(-1.0, -1.0), upper=(1.0, 1.0), integer=(False, False), multipliers=(), **more):
    """One leader variable x, one follower variable y; objectives as (sense, linear, {(i, j): coefficient})."""
    width = 2 + len(multipliers)

    def form(entries):
        if not entries:
            return None
        i, j = zip(*entries)
        return sparse.csr_array((list(entries.values()), (i, j)), shape=(width, width))

    def objective(sense, linear, entries=None):
        return Objective(sense, np.array([*linear, *[0.0] * (width - len(linear))], float), form(entries))

    def rows(given):
        given = given or []
        matrix = np.zeros((len(given), width))
        for i, (_, linear, _, _) in enumerate(given):
            matrix[i, :2] = linear
        quadratic = {i: form(entries) for i, (_, _, entries, _) in enumerate(given) if entries}
        return Rows(tuple(g[0] for g in given), sparse.csr_array(matrix), np.full(len(given), -np.inf), np.array([g[3] for g in given], float), quadratic)

    return BilevelProgram(
        names=("x", "y"), owner=np.array([-1, 0]), lower=np.array(lower), upper=np.array(upper), integer=np.array(integer),
        leader=Level("leader", objective(*leader), rows(leader_rows)), followers=(Level("follower", objective(*follower), rows(follower_rows)),),
        multipliers=multipliers, **more,
    )


def solved(p):
    solution = so.solve(p, Scip(time_limit=20.0))
    assert solution.certified, str(solution)
    return float(solution.value)


def test_a_concave_follower():
    """min y over max y^2 + x y, y in [-1, 1]: y = sign(x); at x = 0 both ends, and the leader may choose -1. min x + y = -2 at x = -1."""
    p = program(("min", [1.0, 1.0]), ("max", [0.0, 0.0], {(1, 1): 1.0, (0, 1): 1.0}))
    assert conditions(p, 0) == "necessary"
    assert solved(p) == pytest.approx(-2.0)


def test_conditions_are_not_enough_and_value_rows_are():
    """The stationary y = 0 of max y^2 + x y / 10 is the worst answer; the leader would like it: min y^2. Without it, y = +-1."""
    p = program(("min", [0.1, 0.0], {(1, 1): 1.0}), ("max", [0.0, 0.0], {(1, 1): 1.0, (0, 1): 0.1}))
    found = scip_global(p, time_limit=20.0)
    assert found.status is Status.OPTIMAL
    assert found.stats["value_rows"] >= 1
    assert solved(p) == pytest.approx(-0.1 + 1.0)


def test_curved_rows_without_a_constraint_qualification():
    """y^2 <= 0 has no multipliers at y = 0, its only point: optimality conditions in the form of Karush, Kuhn and Tucker would find nothing."""
    p = program(("min", [1.0, 0.0], {(0, 0): 1.0}), ("min", [0.0, 1.0]), follower_rows=[("flat", [0.0, 0.0], {(1, 1): 1.0}, 0.0)])
    assert conditions(p, 0) == "fritz john"
    assert solved(p) == pytest.approx(-0.25, abs=1e-5)


def test_a_disc_that_moves():
    """max y over y^2 + x^2 <= 1: y = sqrt(1 - x^2); the leader's max of x + y is sqrt 2."""
    p = program(("max", [1.0, 1.0]), ("max", [0.0, 1.0]), follower_rows=[("disc", [0.0, 0.0], {(0, 0): 1.0, (1, 1): 1.0}, 1.0)])
    assert solved(p) == pytest.approx(np.sqrt(2.0), abs=1e-5)


def test_rows_that_multiply_both_players():
    """x y <= 1/2 with y maximised: y = min(1, 1/(2x)); max x + 2 y over x in [1/4, 1] is 5/2 at x = 1/2, or 2 at x = 1."""
    p = program(("max", [1.0, 2.0]), ("max", [0.0, 1.0]), follower_rows=[("area", [0.0, 0.0], {(0, 1): 1.0}, 0.5)], lower=(0.25, 0.0))
    assert conditions(p, 0) == "exact"
    assert solved(p) == pytest.approx(2.5, abs=1e-6)


def test_an_integer_follower_with_a_quadratic_objective():
    """The whole number nearest to x, and the leader wants to be far from it: max (x - y)^2 is 1/4, at halves."""
    p = program(
        ("max", [0.0, 0.0], {(0, 0): 1.0, (0, 1): -2.0, (1, 1): 1.0}), ("min", [0.0, 0.0], {(0, 1): -2.0, (1, 1): 1.0}), lower=(0.0, -3.0), upper=(1.0, 3.0),
        integer=(False, True),
    )
    assert conditions(p, 0) == "none"
    assert solved(p) == pytest.approx(0.25, abs=1e-6)


def test_a_curved_leader_row():
    ring, cap = [("ring", [0.0, 0.0], {(0, 0): -1.0}, -0.25)], [("cap", [1.0, 1.0], None, 1.0)]
    p = program(("min", [0.0, 1.0]), ("max", [1.0, 1.0]), leader_rows=ring, follower_rows=cap)
    assert solved(p) == pytest.approx(0.0, abs=1e-6)  # y = min(1, 1 - x), |x| >= 1/2: x = 1


def test_infeasible_is_said():
    p = program(("min", [1.0, 0.0]), ("max", [0.0, 1.0]), leader_rows=[("low", [0.0, 1.0], None, 0.5)])
    assert so.solve(p, Scip()).status is Status.INFEASIBLE


def test_an_infimum_that_is_not_attained_is_no_optimum():
    """max y, y whole, y <= x: at x < 1 the answer is 0. The leader's max of x - y tends to 1 and never gets there."""
    under = [("under", [-1.0, 1.0], None, 0.0)]
    p = program(("max", [1.0, -1.0]), ("max", [0.0, 1.0]), follower_rows=under, lower=(0.0, 0.0), upper=(1.0, 1.0), integer=(False, True))
    solution = so.solve(p, Scip(time_limit=10.0))
    assert solution.status is Status.LIMIT
    assert "in the limit" in solution.because
    assert solution.bound.value == pytest.approx(1.0)


def test_multipliers_of_curved_followers_are_refused():
    disc = [("disc", [0.0, 0.0], {(0, 0): 1.0, (1, 1): 1.0}, 1.0)]
    p = program(("max", [1.0, 1.0]), ("max", [0.0, 1.0]), follower_rows=disc, multipliers=(Multiplier("price", "follower", "disc"),))
    assert Scip().refuses(p).code == "kkt-form"
    assert "the leader uses `price`" in Scip().refuses(p).law["why"]
    assert so.Exact().refuses(p).code == "kkt-form"


def test_a_limit_is_no_success():
    p = program(("min", [1.0, 1.0]), ("max", [0.0, 0.0], {(1, 1): 1.0, (0, 1): 1.0}))
    found = scip_global(p, time_limit=0.0)
    assert (found.status, found.point) == (Status.LIMIT, None)


def test_a_follower_that_scip_gets_wrong_is_a_fault(monkeypatch):
    """A linear follower has exact conditions: if re-solving it finds better, the solver was wrong."""
    from stackopt.bilevel.follower import Response

    p = program(("min", [1.0, 1.0]), ("max", [0.0, 1.0]))
    monkeypatch.setattr(global_search, "respond", lambda *_, **__: Response(Status.OPTIMAL, 5.0, np.array([0.0]), ""))
    assert scip_global(p, time_limit=5.0).status is Status.FAILED
