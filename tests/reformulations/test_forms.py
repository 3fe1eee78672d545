"""Reformulations of the optimality conditions: their texts, and that all of them have the same optima as the bilevel program."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stackopt as so
from stackopt.backends import scip
from stackopt.backends.highs_program import solve_program as by_highs
from stackopt.bilevel.kkt import kkt
from stackopt.bilevel.point import Point
from stackopt.errors import InvalidCandidate, InvalidMethod, InvalidOutput, Refused
from stackopt.reformulations.big_m import big_m
from stackopt.reformulations.indicator import indicator
from stackopt.reformulations.products import products
from stackopt.reformulations.sos1 import sos1
from stackopt.reformulations.strong_duality import strong_duality

from .storyboard import binary_toll, boxed, toll, two_followers

GOLDEN = Path(__file__).parent.parent / "golden"
FORMS = {"sos1": sos1, "indicator": indicator, "products": products, "big_m": big_m}
OPTIMUM = 92 / 15


def searched(solution):
    """The word of the search: a proof adds to it that the checker accepted."""
    return so.Status.OPTIMAL if solution.status is so.Status.PROVED else solution.status


def golden(name, text):
    path = GOLDEN / f"{name}.txt"
    assert text == path.read_text(), f"the text of {path.name} has changed; if it should, write the new one there"


def test_the_optimality_conditions_as_text():
    golden("toll_kkt", kkt(toll()).algebra())


@pytest.mark.parametrize("form", FORMS)
def test_every_form_as_text(form):
    golden(f"toll_{form}", FORMS[form](kkt(toll())).target.algebra())


def test_strong_duality_as_text():
    golden("binary_toll_strong_duality", strong_duality(kkt(binary_toll())).target.algebra())


def test_the_lp_text_of_the_big_m_form():
    golden("toll_big_m_lp", big_m(kkt(toll())).target.lp())


def test_a_reduction_prints_its_constants_with_their_proofs():
    text = str(big_m(kkt(toll())))
    assert text.splitlines()[0] == 'Reduction of "toll" to its big-m form'
    assert "multiplier of `road`, upper side at most 0.5 [one multiplier for each" in text


@pytest.mark.parametrize("form", FORMS)
def test_there_and_back(form):
    """The optimum goes into every form as a feasible point of the same value, and comes back as itself."""
    reduction = FORMS[form](kkt(toll()))
    point = Point(np.array([8 / 15, 28 / 15]))
    v = reduction.embed(point)
    assert reduction.target.violation(v) <= 1e-6
    assert reduction.target.value(v) == pytest.approx(OPTIMUM)
    assert reduction.lift(v).values == pytest.approx(point.values)


@pytest.mark.parametrize("form", FORMS)
def test_an_answer_that_is_not_optimal_has_no_place_in_any_form(form):
    with pytest.raises(InvalidCandidate, match=r"\[not-a-response\]"):
        FORMS[form](kkt(toll())).embed(Point(np.array([4.0, 1.5])))


@pytest.mark.parametrize("form", ["sos1", "indicator", "products"])
def test_scip_solves_the_forms_without_constants(form):
    pytest.importorskip("pyscipopt")
    from stackopt.backends.scip import solve_program

    assert solve_program(FORMS[form](kkt(toll())).target).value == pytest.approx(OPTIMUM, abs=1e-6)


def test_a_lower_bound_of_zero_is_its_own_slack():
    target = sos1(kkt(boxed(1))).target
    members = dict(target.sos1)
    assert {target.names[j] for j in members["complementarity(y[0], lower)"]} == {"y[0]", "mult(y[0], lower)"}
    assert "slack(y[0], lower)" not in target.names


# --- strong duality ------------------------------------------------------------------------------------------------------


def test_a_binary_leader_makes_the_products_exact():
    reduction = strong_duality(kkt(binary_toll()))
    assert reduction.target.linear_only
    assert reduction.proved
    found = by_highs(reduction.target)
    assert found.value == pytest.approx(-5.5)  # opens: 2.5 - 8
    assert reduction.lift(found.point).values == pytest.approx([1.0, 8.0])


def test_whole_numbers_are_written_in_binaries():
    program = boxed(4, integer=True)
    reduction = strong_duality(kkt(program))
    assert "bit(x[0], 2)" in reduction.target.names
    found = by_highs(reduction.target)
    exact = so.solve(program)
    assert found.value == pytest.approx(float(exact.value), abs=1e-6)
    assert reduction.target.violation(reduction.embed(exact.candidate)) <= 1e-6


def test_without_products_there_is_nothing_to_refuse():
    """The leader's variable does not enter the follower: no product, no bound, no binary."""
    program = so.BilevelProgram.from_matrices(
        leader_cost=([1.0], [1.0, -1.0]), leader_bounds=(0, 1), follower_cost=[-1.0, -1.0], follower_bounds=(0, None),
        follower_rows=(None, [[1.0, 1.0]], [2.0]),
    )
    reduction = strong_duality(kkt(program))
    assert not reduction.target.integer.any()
    assert by_highs(reduction.target).value == pytest.approx(-2.0)  # the tie goes to the leader


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "row `rows\\[0\\]` contains `x\\[0\\]`, which is continuous"),
        ({"leader_integer": True, "leader_bounds": (0, None)}, "more than 65536 values"),
    ],
)
def test_inexact_products_are_refused(changes, said):
    settings_ = {
        "leader_cost": ([1.0], [1.0]), "leader_bounds": (0, 1), "follower_cost": [-1.0], "follower_bounds": (0, 5), "follower_rows": ([[1.0]], [[1.0]], [3.0])
    }
    with pytest.raises(Refused, match=r"\[strong-duality-form\]") as error:
        strong_duality(kkt(so.BilevelProgram.from_matrices(**settings_ | changes)))
    import re

    assert re.search(said, error.value.where)


# --- agreement -----------------------------------------------------------------------------------------------------------


@settings(derandomize=True, max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), integer=st.booleans())
def test_forms_agree_with_each_other_and_with_the_search(seed, integer):
    """Big-M with proved constants, strong duality where exact, SOS1: one optimum, whatever the route."""
    program = boxed(seed, integer=integer)
    exact = so.solve(program)
    form = kkt(program)
    routes = {"big-M": by_highs(big_m(form).target)}
    if integer:
        routes["strong duality"] = by_highs(strong_duality(form).target)
    for name, found in routes.items():
        assert found.status == searched(exact), name
        if exact.candidate is not None:
            assert found.value == pytest.approx(float(exact.value), abs=1e-6), name


@settings(derandomize=True, max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), quadratic=st.booleans())
def test_scip_agrees_with_the_search(seed, quadratic):
    pytest.importorskip("pyscipopt")
    from stackopt.backends.scip import solve_program

    program = boxed(seed, quadratic=quadratic)
    exact = so.solve(program)
    for form in (sos1, indicator):
        found = solve_program(form(kkt(program)).target)
        assert found.status == searched(exact)
        if exact.candidate is not None:
            assert found.value == pytest.approx(float(exact.value), abs=1e-6)


# --- what a reduction offers ---------------------------------------------------------------------------------------------


def test_every_form_by_its_name():
    from stackopt.reformulations.forms import FORMS as named
    from stackopt.reformulations.forms import reformulate

    assert sorted(named) == ["big-m", "indicator", "products", "sos1", "strong-duality"]
    assert reformulate(toll()).target.algebra() == sos1(kkt(toll())).target.algebra()
    with pytest.raises(InvalidMethod, match="one of big-m, indicator"):
        reformulate(toll(), "fortran")


def test_files_that_solvers_read(tmp_path):
    reduction = big_m(kkt(toll()))
    assert reduction.write(tmp_path / "toll.lp").read_text() == reduction.target.lp()
    assert reduction.write(tmp_path / "toll.mps").read_text() == reduction.target.mps()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["toll.lp", "toll.mps"]
    with pytest.raises(InvalidOutput, match=r"ends in \.lp or \.mps"):
        reduction.write(tmp_path / "toll.xyz")
    with pytest.raises(InvalidOutput):
        reduction.write(tmp_path / "absent" / "toll.lp")


def test_cvxpy_solves_the_big_m_form():
    cp = pytest.importorskip("cvxpy")
    reduction = big_m(kkt(toll()))
    problem = reduction.cvxpy()
    assert problem.solve(solver=cp.HIGHS) == pytest.approx(OPTIMUM, abs=1e-6)
    assert reduction.lift(problem.variables()[0].value).values == pytest.approx([8 / 15, 28 / 15], abs=1e-6)


def test_cvxpy_does_not_state_sets():
    pytest.importorskip("cvxpy")
    with pytest.raises(Refused, match="CVXPY does not take SOS1 sets"):
        sos1(kkt(toll())).cvxpy()


def test_pyomo_has_the_same_program():
    pytest.importorskip("pyomo.environ")
    assert sorted(big_m(kkt(toll())).pyomo().v) == sorted(big_m(kkt(toll())).target.names)


@settings(derandomize=True, max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), integer=st.booleans())
def test_forms_agree_on_two_followers(seed, integer):
    """A Nash equilibrium of the followers, stacked: every form and the search find the same optimum, or none."""
    program = two_followers(seed, integer=integer)
    exact, form = so.solve(program), kkt(program)
    routes = {"big-M": by_highs(big_m(form).target)}
    if scip.available():
        routes["sos1"] = scip.solve_program(sos1(form).target)
    for name, found in routes.items():
        assert found.status == searched(exact), name
        if exact.candidate is not None:
            assert found.value == pytest.approx(float(exact.value), abs=1e-6), name


def test_rows_of_several_followers_are_told_apart():
    text = sos1(kkt(two_followers(0))).target.algebra()
    assert "one.r0" in text
    assert "two.r0" in text
    with pytest.raises(Refused, match=r"row `one\.r0` contains `x0`|contains"):
        strong_duality(kkt(two_followers(0)))
