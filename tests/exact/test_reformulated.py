"""Methods that hand a reformulation to a solver: certified, conditional, or refused with the reason."""

import dataclasses

import numpy as np
import pytest
from reformulations.storyboard import binary_toll, boxed, toll

import stackopt as so
from stackopt.backends import highs_program, scip
from stackopt.errors import InvalidMethod, InvalidProgram, Refused
from stackopt.exact import handed_over
from stackopt.exact.reformulated import BigM, Indicator, Scip, Sos1, StrongDuality
from stackopt.solution import Status

OPTIMUM = 92 / 15
WITH_SCIP = [Sos1(), Indicator(), Scip()] if scip.available() else []


@pytest.mark.parametrize("method", [BigM(), *WITH_SCIP], ids=lambda m: m.name)
def test_the_toll_program_is_certified(method):
    solution = so.solve(toll(), method)
    assert solution.certified
    assert float(solution.value) == pytest.approx(OPTIMUM, abs=1e-9)
    assert solution.bound.value == pytest.approx(OPTIMUM, abs=1e-6)
    assert solution.bound.sense == "lower"


def test_strong_duality_is_certified():
    solution = so.solve(binary_toll(), StrongDuality())
    assert solution.certified
    assert float(solution.value) == pytest.approx(-5.5)


def test_a_leader_that_maximises_gets_an_upper_bound():
    program = toll()
    leader = dataclasses.replace(program.leader, objective=so.Objective("max", np.array([-1.0, -3.0])))
    solution = so.solve(dataclasses.replace(program, leader=leader), BigM())
    assert solution.certified
    assert float(solution.value) == pytest.approx(-OPTIMUM)
    assert solution.bound.sense == "upper"


# --- what is not proved ------------------------------------------------------------------------------------------------


def test_a_multiplier_without_a_proof_is_refused_by_name():
    with pytest.raises(Refused) as error:
        so.solve(toll(price_of_road=0.1), BigM())
    lines = str(error.value).splitlines()
    assert lines[0] == "Refused[big-m-unproven]: multiplier of `road` has no finite bound that is proved"
    assert lines[2] == '  help:   so.Exact() needs none; or so.BigM(bounds={"road": ...}) makes the answer conditional'


def test_given_constants_make_the_answer_conditional():
    solution = so.solve(toll(price_of_road=0.1), BigM(bounds={"road": 5.0, "least": 5.0, "time": 5.0, "room": 5.0}))
    assert solution.status is Status.LIMIT
    assert not solution.certified
    assert not solution.bound.applies
    assert solution.because.startswith("optimal if the multiplier of `road`, upper side never exceeds 5 and the multiplier of `least`")
    assert "does not apply" in str(solution)


def test_a_constant_that_is_reached_is_said():
    """The leader earns 3 for each unit of price: the multiplier of road runs into any constant."""
    solution = so.solve(toll(price_of_road=3.0), BigM(bounds=dict.fromkeys(("road", "least", "time", "room"), 7.0)))
    assert solution.status is Status.LIMIT
    assert "sits on its constant" in solution.because
    assert "road" in solution.stats["on_their_bound"]


def test_a_constant_that_is_too_small_is_no_optimum():
    """One fifth cuts off the optimum, where the multiplier is a half; the leader's value there is attained all the same."""
    solution = so.solve(toll(), BigM(bounds={"road": 0.2}))
    assert solution.status is Status.LIMIT
    assert float(solution.value) == pytest.approx(OPTIMUM)
    assert solution.because == "the given constants are too small: with them the program is optimal at 8, but 6.13333 is attained"


def test_a_constant_that_is_too_small_unnoticed_stays_conditional(monkeypatch):
    monkeypatch.setattr(handed_over, "attained", lambda form: None)
    solution = so.solve(toll(), BigM(bounds={"road": 0.2}))
    assert solution.status is Status.LIMIT
    assert float(solution.value) == pytest.approx(8.0)
    assert not solution.bound.applies
    assert "none of them is reached here" in solution.because


def test_a_proof_beats_a_given_constant():
    solution = so.solve(toll(), BigM(bounds={"road": 1e5}))
    assert solution.certified
    assert solution.bound.applies


def test_slacks_without_bounds_are_refused_and_can_be_given():
    program = so.BilevelProgram.from_matrices(
        leader_cost=([1.0], [1.0]), leader_bounds=(None, None), leader_rows=([[1.0]], [[1.0]], [9.0]), leader_equations=([[1.0]], [[0.0]], [2.0]),
        follower_cost=[1.0], follower_bounds=(0, None), follower_rows=([[-1.0]], [[-1.0]], [1.0]),
    )
    free = dataclasses.replace(program, leader=dataclasses.replace(program.leader, rows=so.Rows((), program.leader.rows.matrix[:0], np.zeros(0), np.zeros(0))))
    with pytest.raises(Refused, match=r"slack of `.*` has no finite bound"):
        so.solve(free, BigM())
    assert so.solve(program, BigM()).certified
    given = so.solve(free, BigM(slacks={"rows[0]": 50.0, "y[0]": 50.0}))
    assert given.status is Status.LIMIT


def test_what_is_attained_bounds_what_the_rows_leave_free():
    """The leader's variable has no upper bound, but costs: dearer than an attained decision it need not be."""
    program = so.BilevelProgram.from_matrices(
        leader_cost=([1.0], [-2.0]), leader_bounds=(0, None), follower_cost=[-1.0], follower_bounds=(0, 4), follower_rows=([[-1.0]], [[1.0]], [1.0])
    )
    reduction = BigM().reformulate(program)
    assert any("among decisions at least as good as the attained -5" in b.reference for b in reduction.bounds)
    solution = so.solve(program, BigM())
    assert solution.certified
    assert float(solution.value) == pytest.approx(-5.0)


def test_settings_are_checked():
    with pytest.raises(InvalidMethod, match="a mapping from rows"):
        BigM(bounds=5.0)
    with pytest.raises(InvalidMethod, match="not negative"):
        BigM(bounds={"road": -1.0})
    with pytest.raises(InvalidMethod, match="a number of seconds"):
        Scip(time_limit=-1.0)
    with pytest.raises(InvalidProgram, match="no follower has it"):
        so.solve(toll(), BigM(bounds={"rode": 1.0}))
    assert BigM(bounds={"road": 1.0}) == BigM(bounds={"road": 1.0})


# --- refusals -----------------------------------------------------------------------------------------------------------


def refusal(problem, method):
    found = method.refuses(problem)
    return "" if found is None else found.code


def test_who_refuses_what():
    assert refusal(toll(), StrongDuality()) == "strong-duality-form"
    assert refusal(toll(), Sos1(solver="highs")) == "solver-features"
    assert refusal(toll(), Indicator(solver="highs")) == "solver-features"
    assert refusal(toll(ties="pessimistic"), BigM()) == "kkt-form"
    assert refusal(toll(ties="pessimistic"), Scip()) == "kkt-form"
    for method in (BigM(), StrongDuality(), Sos1(), Indicator(), Scip()):
        assert refusal(object(), method) == "wrong-problem"
    pytest.importorskip("pyomo")
    assert refusal(toll(), Sos1(solver="no-such-solver")) == "no-solver"


def test_without_scip_the_package_is_named(monkeypatch):
    monkeypatch.setattr(scip, "available", lambda: False)
    for method in (Sos1(), Indicator(), Scip()):
        with pytest.raises(Refused, match="pyscipopt"):
            so.solve(toll(), method)


def test_no_time_is_a_limit_with_what_is_attained():
    solution = so.solve(toll(), BigM(time_limit=0.0))
    assert solution.status is Status.LIMIT
    assert not solution.certified


# --- solvers that are wrong -----------------------------------------------------------------------------------------------


def lying(answer):
    return lambda target, solver, time_limit, seed, feasibility=0.0: dataclasses.replace(answer, because="liar: optimal")


def test_a_claim_beaten_by_an_attained_value_is_a_solver_fault(monkeypatch):
    """SCIP 10 with strong dual reductions claimed 8/3 for this program, whose optimum is 0."""
    program = boxed(462)
    method = BigM()
    target = method.reformulate(program).target
    honest = highs_program.solve_program(target)
    worse = dataclasses.replace(honest, value=8 / 3, bound=8 / 3)
    monkeypatch.setattr(handed_over, "_solved", lying(worse))
    solution = so.solve(program, method)
    assert solution.status is Status.FAILED
    assert "0 is attained" in solution.because
    monkeypatch.setattr(handed_over, "_solved", lying(dataclasses.replace(honest, status=Status.INFEASIBLE, point=None, bound=np.inf)))
    assert so.solve(program, method).status is Status.FAILED


def test_a_bound_beyond_the_value_is_not_certified(monkeypatch):
    program, method = toll(), BigM()
    honest = highs_program.solve_program(method.reformulate(program).target)
    monkeypatch.setattr(handed_over, "_solved", lying(dataclasses.replace(honest, bound=honest.bound - 1.0)))
    assert so.solve(program, method).status is Status.FAILED


def test_two_runs_of_highs_have_to_agree(monkeypatch):
    target = BigM().reformulate(toll()).target
    once = highs_program._once
    calls = []

    def first_wrong(program, presolve, seed, limit):
        calls.append(presolve)
        found = once(program, presolve, seed, limit)
        return dataclasses.replace(found, value=found.value + 1.0) if len(calls) == 1 else found

    monkeypatch.setattr(highs_program, "_once", first_wrong)
    found = highs_program.solve_program(target)
    assert (found.status, found.value) == (Status.OPTIMAL, pytest.approx(OPTIMUM))
    assert calls == [False, True, False]
    calls.clear()

    def always_other(program, presolve, seed, limit):
        calls.append(presolve)
        found = once(program, presolve, seed, limit)
        return dataclasses.replace(found, value=found.value + len(calls))

    monkeypatch.setattr(highs_program, "_once", always_other)
    found = highs_program.solve_program(target)
    assert (found.status, found.point) == (Status.FAILED, None)
    assert "contradicts itself" in found.because
