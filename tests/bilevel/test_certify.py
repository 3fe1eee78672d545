"""The program judges candidates: rows, whole numbers, follower optimality, multipliers, ties; and says what a multiplier is."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from stackopt import InvalidCandidate, InvalidProgram, Level, Multiplier, Objective, Point, Rows
from stackopt.bilevel.follower import respond
from stackopt.solution import Status

from .programs import duopoly, toll

OPTIMUM = Point(np.array([8 / 15, 28 / 15]), claim=92 / 15)


def failing(program, values, **more):
    return [c.name for c in program.certify(Point(np.asarray(values, float), **more)).failures]


def test_the_optimum_is_certified():
    certificate = toll().certify(OPTIMUM)
    assert certificate.certified
    assert [c.name for c in certificate.checks] == ["leader rows", "follower rows", "follower optimal", "value restated"]
    assert certificate.value == pytest.approx(92 / 15, abs=1e-12)
    assert certificate.values["follower"] == pytest.approx(-28 / 15)


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([9.0, 0.0], ["leader rows", "follower rows", "follower optimal"]),  # toll above its bound; the follower has no answer
        ([4.0, 5.0], ["follower rows"]),
        ([4.0, 3.0], ["follower optimal"]),
        ([3.0, 5.2], ["leader rows", "follower rows"]),
        ([np.nan, 1.0], ["finite"]),
    ],
)
def test_what_is_wrong_is_named(values, names):
    assert failing(toll(), values) == names


def test_a_wrong_claim_and_a_broken_integer_fail():
    assert failing(toll(), [8 / 15, 28 / 15], claim=6.0) == ["value restated"]
    assert "whole numbers" in failing(toll(leader_integer=True), [8 / 15, 28 / 15])


def test_a_candidate_of_the_wrong_size_is_refused():
    with pytest.raises(InvalidCandidate, match="candidate"):
        toll().certify(Point(np.zeros(3)))


def test_responses():
    assert respond(toll(), 0, np.array([1.0, 0.0])).variables == pytest.approx([3.5])
    assert respond(toll(), 0, np.array([0.0, 0.0])).status is Status.INFEASIBLE
    free = respond(toll(follower_rows=None, leader_rows=None), 0, np.array([1.0, 0.0]))
    assert free.status is Status.UNBOUNDED
    assert free.ray == pytest.approx([1.0])
    whole = respond(toll(follower_integer=True), 0, np.array([1.0, 0.0]))
    assert (whole.value, whole.variables) == (pytest.approx(-3.0), pytest.approx([3.0]))
    curved = respond(toll(follower_hessian=[[1.0]]), 0, np.array([1.0, 0.0]))
    assert (curved.value, curved.variables) == (pytest.approx(-0.21875), pytest.approx([1.75]))


def test_a_maximising_follower_reports_in_its_own_sense():
    program = toll(follower_cost=[1.0], follower_sense="max")
    assert respond(program, 0, np.array([1.0, 0.0])).value == pytest.approx(3.5)
    assert program.certify(OPTIMUM).certified


def test_an_unbounded_follower_is_never_optimal():
    assert failing(toll(follower_rows=None, leader_rows=None), [1.0, 2.0]) == ["follower optimal"]


def test_followers_in_equilibrium():
    program = duopoly()
    best = np.array([0.0, 3.0, 3.0])
    assert program.certify(Point(best)).certified
    assert failing(program, [0.0, 3.0, 3.1]) == ["followers optimal", "follower's slope"]
    assert "`firm 1` re-solved" in str(program.certify(Point(np.array([0.0, 2.5, 3.0]))))


def test_multipliers_have_ranges():
    program = toll()
    road = program.dual(OPTIMUM, "rows[0]")
    assert (float(road), road.low, road.high, road.unique) == (pytest.approx(-0.5), -np.inf, pytest.approx(-0.5), False)
    assert str(road).startswith("-0.5   (not unique: any value in (-inf, -0.5]; active together: rows[0], rows[1]")
    inside = Point(np.array([1.0, 3.5]))
    assert program.dual(inside, "rows[0]").unique
    assert str(program.dual(inside, "follower.rows[2]")) == "0"
    with pytest.raises(InvalidProgram, match="no follower has it"):
        program.dual(inside, "rows[7]")


@pytest.mark.parametrize("sense", ["min", "max"])
def test_a_multiplier_is_the_derivative_of_the_followers_value(sense):
    """Finite differences of the follower's optimal value, in its own sense, against the rhs of each row and its bounds."""
    sign = 1.0 if sense == "min" else -1.0
    step = 1e-4

    def program(rhs=(6.0, 2.0, 1.5), bound=1.0):
        return toll(
            leader_rows=None, follower_cost=sign * np.array([-2.0, -3.0]), leader_cost=([1.0], [0.0, 0.0]), follower_sense=sense, follower_names=["u", "v"],
            follower_rows=([[0.0], [0.0]], [[2.0, 1.0], [-1.0, 1.0]], list(rhs[:2])), follower_equations=None,
            follower_bounds=([0.0, 0.0], [bound, np.inf]), follower_hessian=sign * np.diag([0.0, 0.4]),
        )

    def value(**change):
        return respond(program(**change), 0, np.zeros(3)).value

    base = program()
    at = Point(np.concatenate([[0.0], respond(base, 0, np.zeros(3)).variables]))
    for i, name in enumerate(("rows[0]", "rows[1]")):
        moved = [[6.0, 2.0, 1.5] for _ in range(2)]
        moved[0][i] += step
        moved[1][i] -= step
        derivative = (value(rhs=moved[0]) - value(rhs=moved[1])) / (2 * step)
        assert float(base.dual(at, name)) == pytest.approx(derivative, abs=1e-5), name
    derivative = (value(bound=1 + step) - value(bound=1 - step)) / (2 * step)
    assert float(base.dual(at, "u")) == pytest.approx(derivative, abs=1e-5)
    assert abs(derivative) > 0.1


def priced_program(row):
    """The toll program with the multiplier of a row as a price in the leader's objective."""
    program = toll()

    def wide(level, linear=None):
        matrix = sparse.csr_array(sparse.hstack([level.rows.matrix, sparse.csr_array((len(level.rows), 1))]))
        objective = Objective("min", np.append(level.objective.linear, 0.0) if linear is None else linear)
        return Level(level.name, objective, Rows(level.rows.names, matrix, level.rows.lower, level.rows.upper))

    return replace(
        program, multipliers=(Multiplier("price", "follower", row),), leader=wide(program.leader, np.array([1.0, 0.0, 1.0])),
        followers=(wide(program.followers[0]),),
    )


def priced(value):
    return priced_program("rows[3]").certify(Point(np.array([4.0, 4.0]), np.array([value])))


def test_claimed_multipliers_are_checked():
    assert priced(-1.0).certified
    assert [c.name for c in priced(0.0).failures] == ["multipliers"]
    assert [c.name for c in priced(-0.6).failures] == ["multipliers"]


@pytest.mark.parametrize("error", [1e-12, 1e-10, 1e-8])
def test_rounding_at_a_corner_does_not_refute_an_optimum(error):
    """The follower's feasible set is a point at the optimum: a toll too low by `error` leaves it empty."""
    assert toll().certify(Point(np.array([8 / 15 - error, 28 / 15]))).certified
    assert failing(toll(), [8 / 15 - 1e-3, 28 / 15]) == ["follower rows", "follower optimal"]


def test_a_multiplier_that_the_leader_uses_has_the_leaders_value():
    program = priced_program("rows[0]")
    at = Point(np.array([8 / 15, 28 / 15]), np.array([-2.0]))
    assert program.certify(at).certified
    found = program.dual(at, "rows[0]")
    assert (float(found), found.high) == (-2.0, pytest.approx(-0.5))
    assert str(found).startswith("-2   (not unique")


def test_a_curved_follower_that_loses_next_to_nothing_is_not_its_optimum():
    """min (y - 1/2)^2 loses 2.5e-7 at y = 0.5005, which passes for optimal; the leader, who is paid by y, would gain 5e-4."""
    program = toll(
        leader_cost=([0.0], [-1.0]), leader_rows=None, follower_cost=[-1.0], follower_hessian=[[2.0]], follower_rows=None, follower_bounds=(0.0, 1.0)
    )
    assert program.certify(Point(np.array([0.0, 0.5]))).certified
    assert failing(program, [0.0, 0.5005]) == ["follower's slope"]
