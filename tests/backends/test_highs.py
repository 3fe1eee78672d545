"""The HiGHS back end: every status with its meaning, the point re-checked."""

import numpy as np
import pytest

import stackopt as so
from stackopt.backends import highs
from stackopt.backends.highs import solve_lp, solve_milp
from stackopt.programs.milp import MilpBuilder


def program(rows=(), upper=(10.0, 10.0), objective=(1.0, 1.0), integer=True):
    b = MilpBuilder()
    x = b.columns("x", (2,), 0.0, upper, integer=integer, objective=objective)
    for i, (coefficients, low, high) in enumerate(rows):
        b.row(f"r_{i}", x, coefficients, low, high)
    return b.build()


HALF = [((2.0, 2.0), -np.inf, 5.0)]  # x + y <= 2.5


@pytest.mark.parametrize("presolve", [False, True])
def test_optimal(presolve):
    result = solve_milp(program(HALF), presolve=presolve)
    assert result.status is so.Status.OPTIMAL
    assert result.value == pytest.approx(2.0)
    assert result.bound == pytest.approx(2.0)
    assert result.violation <= 1e-9
    assert result.because == "Optimal"


def test_relaxation():
    result = solve_lp(program(HALF))
    assert result.status is so.Status.OPTIMAL
    assert result.value == pytest.approx(2.5)
    assert result.bound == pytest.approx(2.5)


@pytest.mark.parametrize("integer", [False, True])
@pytest.mark.parametrize("presolve", [False, True])
def test_infeasible_and_unbounded(integer, presolve):
    infeasible = solve_milp(program([((1.0, 1.0), 30.0, np.inf)], integer=integer), presolve=presolve)
    assert infeasible.status is so.Status.INFEASIBLE
    assert infeasible.point is None
    assert infeasible.bound == -np.inf
    unbounded = solve_milp(program([((1.0, -1.0), 0.0, 1.0)], upper=(np.inf, np.inf), integer=integer), presolve=presolve)
    assert unbounded.status is so.Status.UNBOUNDED
    assert unbounded.point is None
    assert unbounded.bound == np.inf


def hard(n=40, seed=0):
    """A market-split problem: no solver closes it in seconds."""
    rng = np.random.default_rng(seed)
    b = MilpBuilder()
    x = b.columns("x", (n,), 0, 1, integer=True)
    weights = rng.integers(0, 100, (5, n)).astype(float)
    s = b.columns("s", (5, 2), 0, np.inf, objective=-1.0)
    for i, w in enumerate(weights):
        b.row(f"r_{i}", [*x, *s[i]], [*w, 1.0, -1.0], w.sum() // 2, w.sum() // 2)
    return b.build()


def test_limits_are_limits():
    nothing = solve_milp(hard(), time_limit=0)
    assert nothing.status is so.Status.LIMIT
    assert nothing.point is None
    assert nothing.bound == np.inf
    some = solve_milp(hard(), time_limit=0.5)
    assert some.status is so.Status.LIMIT
    assert some.point is not None
    assert some.value < 0
    assert some.bound >= some.value
    assert some.violation <= 1e-6


def test_cutoff_asks_for_something_better():
    assert solve_milp(program(HALF), cutoff=1.5).value == pytest.approx(2.0)
    assert solve_milp(program(HALF), cutoff=2.1).status is so.Status.INFEASIBLE


def test_start_is_used_as_an_incumbent():
    milp = hard()
    first = solve_milp(milp, time_limit=1.0)
    again = solve_milp(milp, time_limit=1.0, start=first.point)
    assert again.value >= first.value - 1e-6


def test_a_point_that_breaks_the_program_is_no_point(monkeypatch):
    monkeypatch.setattr(highs, "ACCEPTED", -1.0)
    result = solve_milp(program(HALF))
    assert result.status is so.Status.FAILED
    assert result.point is None
    assert "breaks the program" in result.because


def test_every_status_of_the_solver_is_listed_or_failed():
    import highspy

    table = highs._statuses(highspy)
    of = highspy.HighsModelStatus
    assert table[of.kOptimal] is so.Status.OPTIMAL
    assert [k for k, v in table.items() if v is so.Status.OPTIMAL] == [of.kOptimal]
    assert all(table[k] is so.Status.LIMIT for k in (of.kTimeLimit, of.kIterationLimit, of.kSolutionLimit, of.kInterrupt))
    assert of.kUnknown not in table
    assert of.kSolveError not in table
    assert of.kObjectiveBound not in table


def test_a_program_without_columns():
    assert solve_milp(MilpBuilder(offset=3.0).build()).value == 3.0
