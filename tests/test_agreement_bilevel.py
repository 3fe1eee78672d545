"""Random bilevel programs by every method that claims to solve them, against enumeration, and stated in other ways.

`python -m benchmarks.bilevel_fuzz` does the same at length.
"""

import importlib.util

import numpy as np
import pytest
from bilevel_programs import CONTINUOUS, OPTIMISTIC, bilevel_programs, generators
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import stackopt as so
from stackopt.verification.bilevel_instances import flipped, in_units, instance, permuted, redundant, scaled

CONCLUSIVE = (so.Status.OPTIMAL, so.Status.INFEASIBLE, so.Status.UNBOUNDED)
SCIP = importlib.util.find_spec("pyscipopt") is not None
#: Methods beside Exact, and whether they must refuse what they cannot prove rather than answer.
OTHERS = {"big-M": so.BigM, "strong duality": so.StrongDuality} | ({"SOS1": so.Sos1} if SCIP else {})


def bounded(examples):
    """The same programs every time."""
    return settings(max_examples=examples, derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])


def said(solution):
    """The status; a proof of an optimum is another word for it here."""
    return so.Status.OPTIMAL if solution.status is so.Status.PROVED else solution.status


def same(one, other, factor=1.0):
    """Both conclusive, the same status, and the same certified value where there is one."""
    assert said(one) in CONCLUSIVE, one
    assert said(other) is said(one), f"{one}\n{other}"
    if said(one) is so.Status.OPTIMAL:
        assert one.certified, one
        assert other.certified, other
        assert factor * other.value == pytest.approx(one.value, rel=2e-6, abs=2e-6), f"{one}\n{other}"


@bounded(45)
@given(bilevel_programs())
def test_exact_agrees_with_enumeration(program):
    same(so.solve(program, so.Enumeration()), so.solve(program))


@pytest.mark.parametrize("method", OTHERS)
@bounded(15)
@given(program=bilevel_programs(CONTINUOUS))
def test_other_methods_agree_or_refuse(method, program):
    reference = so.solve(program, so.Enumeration())
    try:
        found = so.solve(program, OTHERS[method]())
    except so.errors.Refused:
        return
    if said(found) in CONCLUSIVE:  # a limit or a failure claims nothing
        same(reference, found)


@bounded(20)
@given(bilevel_programs(), st.integers(-1, 1))
def test_minimising_is_maximising_the_negative(program, player):
    player = min(player, len(program.followers) - 1)
    same(so.solve(program), so.solve(flipped(program, player)), -1.0 if player < 0 else 1.0)


@bounded(15)
@given(bilevel_programs(), generators())
def test_units_order_of_variables_and_repeated_rows_change_nothing(program, rng):
    reference = so.solve(program)
    same(reference, so.solve(scaled(program, rng)))
    same(reference, so.solve(in_units(program, 1e3, 1e-3)), 1e-3)
    same(reference, so.solve(permuted(program, rng.permutation(program.size))))
    same(reference, so.solve(redundant(program)))


@bounded(10)
@given(bilevel_programs(CONTINUOUS), generators())
def test_enumeration_itself_is_blind_to_how_a_program_is_stated(program, rng):
    reference = so.solve(program, so.Enumeration())
    same(reference, so.solve(flipped(scaled(program, rng), 0), so.Enumeration()))
    same(reference, so.solve(permuted(program, rng.permutation(program.size)), so.Enumeration()))


@bounded(10)
@given(bilevel_programs(["integer follower", "mixed follower"]))
def test_integer_points_and_patterns_are_two_ways_to_the_same_optimum(program):
    """Where the leader is integer and the follower's integer variables happen to be none, both enumerations apply."""
    from dataclasses import replace

    from stackopt.exact.integer_points import try_points
    from stackopt.exact.response_patterns import try_patterns

    relaxed = replace(program, integer=program.integer & (program.owner < 0))
    points, patterns = try_points(relaxed), try_patterns(relaxed)
    assert points.status is patterns.status
    if points.status is so.Status.OPTIMAL:
        assert points.value == pytest.approx(patterns.value, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("family", OPTIMISTIC)
def test_every_family_has_programs_with_an_optimum(family):
    assert any(so.Enumeration().run(instance(family, 1, index)).status is so.Status.OPTIMAL for index in range(5))


def test_the_linear_family_has_every_status():
    assert {so.Enumeration().run(instance("linear", 0, index)).status for index in range(20)} == set(CONCLUSIVE)


@pytest.mark.skipif(not SCIP, reason="needs pyscipopt")
@pytest.mark.parametrize(("family", "seed", "index"), [("products", 0, 44), ("two followers", 0, 4), ("prices", 7, 8), ("quadratic followers", 7, 8)])
def test_objectives_that_improve_for_ever_are_shown_to_where_scip_alone_calls_them_optimal_or_infeasible(family, seed, index):
    program = instance(family, seed, index)
    assert so.Enumeration().run(program).status is so.Status.UNBOUNDED
    for method in (so.Sos1(), so.Indicator(), so.Scip()):
        solution = so.solve(program, method)
        assert solution.status is so.Status.UNBOUNDED
        assert "the leader improves for ever and every follower stays optimal" in solution.because


def test_an_instance_is_a_function_of_its_name():
    one, other = instance("prices", 3, 4), instance("prices", 3, 4)
    assert one.fingerprint() == other.fingerprint()
    assert one.fingerprint() != instance("prices", 3, 5).fingerprint()
    assert np.array_equal(one.owner, other.owner)
