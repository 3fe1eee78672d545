"""Why a program has no solution: each reason by a program made for it, and that what is named is to blame."""

from dataclasses import replace

import numpy as np
import pytest
from bilevel_programs import CONTINUOUS, bilevel_programs
from hypothesis import HealthCheck, given, settings
from scipy import sparse

import stackopt as so
from stackopt.bilevel.point import Point
from stackopt.exact.diagnosis import diagnose, unbounded_ray
from stackopt.exact.diagnosis.coupling import coupling
from stackopt.verification.bilevel_instances import instance

ROAD = ([[-7.0], [-1.0], [1.0], [1.0]], [[2.0], [-4.0], [2.0], [1.0]], [0.0, -8.0, 13.0, 8.0])


def toll(**changes):
    settings_ = {
        "leader_cost": ([1.0], [3.0]), "leader_bounds": (0, 8), "follower_cost": [-1.0], "follower_bounds": (None, None), "follower_rows": ROAD,
        "leader_names": ["toll"], "follower_names": ["flow"], "name": "toll",
    }  # fmt: skip
    return so.BilevelProgram.from_matrices(**settings_ | changes)


def test_a_coupling_row_that_excludes_every_response_and_how_near_they_come():
    solution = so.solve(toll(leader_rows=([[0.0]], [[-1.0]], [-6.0])))
    assert solution.status is so.Status.INFEASIBLE
    lines = str(solution).splitlines()
    assert lines[0] == 'Solution of "toll" by exact: INFEASIBLE, proved'
    assert lines[1:3] == [
        "  why      leader row `rows[0]` (-flow <= -6) excludes every optimal response",
        "  nearest  largest response is flow = 5.6875, at toll = 1.625",
    ]
    assert "  note     as a row of the follower it would be a different problem" in lines


def test_a_row_that_only_optimal_responses_break():
    """At toll 6.5 the follower could do with less, but takes all the room there is; higher tolls leave it nothing."""
    found = diagnose(toll(leader_bounds=(0, 6.5), leader_rows=([[0.0]], [[1.0]], [1.0])))
    assert (found.kind, found.rows, found.proof) == ("coupling rows", ("rows[0]",), "")
    assert found.nearest == "smallest response is flow = 1.5, at toll = 6.5"
    assert found.nearest_point.values == pytest.approx([6.5, 1.5])


def test_two_rows_that_exclude_every_response_only_together():
    program = toll(leader_rows=([[0.0], [1.0], [1.0]], [[1.0], [0.0], [1.0]], [2.5, 9.0, 2.4]), leader_equations=([[0.0]], [[1.0]], [2.2]))
    found = diagnose(program)
    assert found.kind == "coupling rows"
    assert set(found.rows) == {"rows[2]", "equations[0]"}
    assert "together exclude every optimal response" in found.because
    kept = [i for i in range(4) if program.leader.rows.names[i] != "rows[2]"]
    old = program.leader.rows
    fewer = so.Rows(tuple(old.names[i] for i in kept), sparse.csr_array(old.matrix[kept]), old.lower[kept], old.upper[kept])
    assert so.solve(replace(program, leader=replace(program.leader, rows=fewer))).certified


def test_an_equation_between_what_responses_reach():
    """Responses are 0 (toll at most 1) or 1 (toll at least 1 decides for the other end): an equation at 1/2 is met by neither."""
    program = so.BilevelProgram.from_matrices(
        leader_cost=([1.0], [0.0]), leader_bounds=(0, 2), leader_integer=True, follower_cost=[1.0], follower_cross=[[-2.0]], follower_bounds=(0, 1),
        leader_equations=([[0.0]], [[1.0]], [0.25]), leader_names=["toll"], follower_names=["flow"],
    )  # fmt: skip
    assert diagnose(program).nearest == "largest response is flow = 0, at toll = 0"
    high = replace(program.leader.rows, lower=np.array([0.75]), upper=np.array([0.75]))
    assert diagnose(replace(program, leader=replace(program.leader, rows=high))).nearest == "smallest response is flow = 1, at toll = 1"


def test_the_leaders_own_rows():
    found = diagnose(toll(leader_rows=([[1.0], [-1.0], [1.0]], [[0.0]] * 3, [3.0, -4.0, 7.0])))
    assert (found.kind, found.rows) == ("leader rows", ("rows[0]", "rows[1]"))
    assert found.because == "leader rows `rows[0]` (toll <= 3) and `rows[1]` (-toll <= -4) cannot hold together within the bounds"


def test_a_follower_without_a_feasible_answer():
    found = diagnose(toll(follower_rows=(ROAD[0] + [[0.0]], ROAD[1] + [[1.0]], ROAD[2] + [-20.0])))
    assert found.kind == "follower rows"
    assert found.because.startswith("follower `follower` has no feasible answer whatever others decide: ")
    assert "rows[4]" in found.rows


def test_a_follower_whom_the_leaders_rows_leave_nothing():
    found = diagnose(toll(leader_rows=([[1.0]], [[0.0]], [0.1])))
    assert found.kind == "follower rows"
    assert "no decision that keeps the leader's rows leaves follower `follower` a feasible answer" in found.because
    assert "`rows[0]` of the leader (toll <= 0.1)" in found.because


def test_a_follower_that_improves_for_ever():
    found = diagnose(toll(follower_rows=([[1.0]], [[-1.0]], [8.0])))
    assert (found.kind, found.ray) == ("follower unbounded", {"flow": 1.0})
    assert found.because == "follower `follower` has no best answer whatever the leader decides: along (+1 flow) its objective improves for ever"


def test_a_follower_that_improves_for_ever_at_some_decisions_only_is_not_blamed():
    """It maximises toll times flow: at toll = 0 it is indifferent, so the program is feasible."""
    program = toll(follower_cost=[0.0], follower_cross=[[-1.0]], follower_rows=None, follower_bounds=(0, None))
    assert so.solve(program).value == pytest.approx(0.0)
    never = replace(program, lower=np.array([1.0, 0.0]))
    found = diagnose(never)
    assert found.kind == "follower unbounded"
    assert found.because.endswith("(at toll = 1)")


def test_no_decision_at_which_followers_answer_each_other():
    """One wants the other's number plus one, the other wants to match: no equilibrium on a line without ends."""
    rows = so.Rows((), sparse.csr_array((0, 3)), np.zeros(0), np.zeros(0))

    def level(mine, other, ahead):
        form = sparse.csr_array(([1.0, -2.0], ([mine, min(mine, other)], [mine, max(mine, other)])), shape=(3, 3))
        return so.Level(f"follower {mine}", so.Objective("min", np.where(np.arange(3) == mine, -2.0 * ahead, 0.0), form), rows)

    program = so.BilevelProgram(
        names=("x", "y1", "y2"), owner=np.array([-1, 0, 1]), lower=np.array([0.0, -np.inf, -np.inf]), upper=np.array([1.0, np.inf, np.inf]),
        integer=np.zeros(3, bool), leader=so.Level("leader", so.Objective("min", np.ones(3)), rows), followers=(level(1, 2, 1.0), level(2, 1, 0.0)),
    )  # fmt: skip
    found = diagnose(program)
    assert (found.kind, found.because) == ("no response", "no leader decision within its own rows at which all followers have optimal responses to each other")


def test_ties_against_the_leader_break_a_row():
    program = so.BilevelProgram.from_matrices(
        leader_cost=([1.0], [0.0]), leader_bounds=(1, 3), leader_rows=([[0.0]], [[1.0]], [0.5]), follower_cost=[0.0], follower_bounds=(0, None),
        follower_rows=([[-1.0]], [[1.0]], [0.0]), ties="pessimistic", leader_names=["toll"], follower_names=["flow"],
    )  # fmt: skip
    assert so.solve(replace(program, ties="optimistic")).certified
    solution = so.solve(program)
    assert solution.status is so.Status.INFEASIBLE
    assert "at every decision some optimal response breaks it" in str(solution).replace("\n           ", " ")
    assert "smallest worst response is flow = 1, at toll = 1" in str(solution)


def test_a_feasible_program_is_not_explained():
    assert diagnose(toll()).kind == "unknown"
    found = diagnose(toll(leader_rows=([[0.0]], [[1.0]], [5.0])))
    assert (found.kind, found.because) == ("unknown", "no reason was found: optimal responses that keep `rows[0]` (flow <= 5) exist")


def test_no_time_means_no_claim():
    found = diagnose(toll(leader_rows=([[0.0], [0.0]], [[1.0], [1.0]], [1.5, 1.6])), time_limit=0.0)
    assert found.kind == "unknown"
    assert "could not be settled in the time" in found.because


def test_the_half_line_of_an_unbounded_program():
    program = so.BilevelProgram.from_matrices(leader_cost=([-1.0], [0.0]), follower_cost=[1.0], follower_rows=([[1.0]], [[-1.0]], [0.0]))
    found = unbounded_ray(program, Point(np.array([2.0, 2.0])))
    assert (found.kind, found.ray) == ("unbounded", {"x[0]": 1.0, "y[0]": 1.0})
    assert unbounded_ray(program, Point(np.array([2.0, 3.0]))).because == "the point is not optimal for the followers"
    assert unbounded_ray(toll(), Point(np.array([8 / 15, 28 / 15]))).because == "no half-line starts at this point"


@settings(max_examples=40, derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(bilevel_programs(CONTINUOUS))
def test_what_is_named_is_to_blame(program):
    run = so.Enumeration().run(program)
    if run.status is not so.Status.INFEASIBLE:
        return
    found = diagnose(program, search=so.Enumeration().run)
    assert found.kind != "unknown"
    if found.kind == "coupling rows":
        names = program.leader.rows.names
        assert set(found.rows) <= {names[i] for i in coupling(program)}
        without = [i for i in range(len(names)) if i not in coupling(program) or (names[i] in found.rows and names[i] != found.rows[0])]
        old = program.leader.rows
        fewer = so.Rows(tuple(names[i] for i in without), sparse.csr_array(old.matrix[without]), old.lower[without], old.upper[without])
        goal = so.Objective("min", np.zeros(len(program.symbols)))
        assert so.Enumeration().run(replace(program, leader=so.Level("leader", goal, fewer))).status is so.Status.OPTIMAL
        assert found.nearest


def test_every_kind_occurs_among_random_programs():
    kinds = set()
    for family, count in (("linear", 30), ("two coupled followers", 12)):
        for index in range(count):
            program = instance(family, 0, index)
            if so.Enumeration().run(program).status is so.Status.INFEASIBLE:
                kinds.add(diagnose(program).kind)
    assert {"leader rows", "follower rows", "follower unbounded", "coupling rows", "no response"} <= kinds


@pytest.mark.parametrize("method", [so.Exact, so.BigM, so.Sos1, so.Scip])
def test_every_method_that_proves_infeasibility_says_why(method):
    if method in (so.Sos1, so.Scip):
        pytest.importorskip("pyscipopt")
    solution = so.solve(toll(leader_rows=([[0.0]], [[-1.0]], [-6.0])), method())
    assert solution.status is so.Status.INFEASIBLE
    assert dict(solution.explanation)["nearest"] == "largest response is flow = 5.6875, at toll = 1.625"
