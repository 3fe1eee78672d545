"""Complementarity branching against brute force over patterns, known answers, and a solver that fails."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stackopt as so
from stackopt.backends.warm import WarmLp
from stackopt.bilevel.follower import respond
from stackopt.bilevel.kkt import kkt
from stackopt.errors import Refused
from stackopt.exact.branching import complementarity_branching
from stackopt.exact.branching import search as search_module
from stackopt.solution import Status

from .programs import by_patterns, random_bilevel_lp, random_program


def solved(program, **settings):
    return complementarity_branching(program, kkt(program), **{"time_limit": 60.0, **settings})


def agree(program, found, expected):
    status, value = expected
    assert found.status is status, found.because
    if status is Status.OPTIMAL:
        assert found.point.claim == pytest.approx(value, rel=2e-6, abs=2e-6)
        assert found.bound == pytest.approx(value, rel=2e-6, abs=2e-6)
        for k, level in enumerate(program.followers):
            best = respond(program, k, found.point.values).value
            assert level.objective.value(found.point.symbols) == pytest.approx(best, rel=1e-6, abs=1e-6)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**6), followers=st.integers(1, 2), curved=st.booleans(), coupling=st.booleans(), equation=st.booleans(),
    kind=st.sampled_from(["", "integer", "free", "curved_leader"]),
)
def test_agrees_with_brute_force(seed, followers, curved, coupling, equation, kind):
    options = {"curved": curved, "coupling": coupling, "equation": equation} | ({kind: True} if kind else {})
    program = random_program(np.random.default_rng(seed), followers=followers, **options)
    patterns = 2.0 ** kkt(program).mpec.pairs * np.prod([5.0 for _ in np.flatnonzero(program.integer)])
    if patterns <= 130:
        agree(program, solved(program), by_patterns(program))


@pytest.mark.parametrize("seed", range(4))
def test_the_general_search_and_the_one_for_linear_followers_agree(seed, monkeypatch):
    program = random_bilevel_lp(9, seed)
    quick = solved(program)
    monkeypatch.setattr("stackopt.exact.branching.solve.Decoupled", search_module.Search)
    plain = solved(program)
    assert plain.status is quick.status is Status.OPTIMAL
    assert plain.point.claim == pytest.approx(quick.point.claim, rel=1e-6)


@pytest.mark.parametrize(
    ("seed", "value", "cells"), [(0, -846.687222645, 60), (1, -763.671592193, 40), (2, -918.331781588, 150), (4, -732.571474422, 20)]
)
def test_twenty_variables_take_few_cells(seed, value, cells):
    found = solved(random_bilevel_lp(20, seed))
    assert found.status is Status.OPTIMAL
    assert found.point.claim == pytest.approx(value, rel=1e-9)
    assert found.stats["nodes"] <= cells


def test_the_answer_is_the_same_every_time():
    first, second = solved(random_bilevel_lp(12, 3), seed=1), solved(random_bilevel_lp(12, 3), seed=1)
    assert first.stats == second.stats
    assert first.point.values.tolist() == second.point.values.tolist()


def toll(**changes):
    given = {
        "leader_cost": ([1.0], [3.0]), "leader_bounds": (0, 8), "leader_rows": ([[0.0]], [[1.0]], [5.0]), "follower_cost": [-1.0],
        "follower_bounds": (None, None), "follower_rows": ([[-7.0], [-1.0], [1.0], [1.0]], [[2.0], [-4.0], [2.0], [1.0]], [0.0, -8.0, 13.0, 8.0]),
        "leader_names": ["toll"], "follower_names": ["flow"],
    }
    return so.BilevelProgram.from_matrices(**(given | changes))


def test_dempe_s_example_with_a_coupling_row():
    """Dempe (2002), chapter 3: the coupling row flow <= 5 moves the optimum to 92/15."""
    found = solved(toll())
    assert found.point.claim == pytest.approx(92 / 15, abs=1e-9)
    assert found.bound == pytest.approx(92 / 15, abs=1e-6)
    assert found.reference == "complementarity branching"


def test_both_bounds_of_a_follower_variable():
    """Follower min (y - x)^2, y in [0, 1]: y = min(x, 1). Leader min -x + 3y over [0, 3]: x = 3, y = 1, value 0; x = 0 also 0."""
    program = so.BilevelProgram.from_matrices(
        leader_cost=([-1.0], [2.5]), leader_bounds=(0, 3), follower_cost=[0.0], follower_bounds=(0, 1), follower_hessian=[[2.0]],
        follower_cross=[[-2.0]],
    )
    found = solved(program)
    assert found.status is Status.OPTIMAL
    assert found.point.claim == pytest.approx(-0.5, abs=1e-9)
    assert found.point.values == pytest.approx([3.0, 1.0], abs=1e-7)


def test_integer_leader():
    """Leader max y - x over whole x in [0, 5]; follower max y <= 0.7 x + 0.5, y <= 3: x = 0 gives 1/2."""
    program = so.BilevelProgram.from_matrices(
        leader_cost=([1.0], [-2.0]), leader_bounds=(0, 5), leader_integer=True, follower_cost=[-1.0], follower_bounds=(0, 3),
        follower_rows=([[-0.7]], [[1.0]], [0.5]),
    )
    found = solved(program)
    x, y = found.point.values
    assert (x, y) == pytest.approx((3.0, 2.6))
    assert found.point.claim == pytest.approx(3.0 - 5.2)


def test_quadratic_leader():
    """Leader min (x - 3)^2 + (y - 1)^2, follower min y >= x - 1: y = x - 1, so (x - 3)^2 + (x - 2)^2 is least at 5/2: 1/2."""
    program = so.BilevelProgram.from_matrices(
        leader_cost=([-6.0], [-2.0]), leader_hessian=[[2.0, 0.0], [0.0, 2.0]], leader_bounds=(0, 8), follower_cost=[1.0],
        follower_bounds=(None, None), follower_rows=([[1.0]], [[-1.0]], [1.0]),
    )
    found = solved(program)
    assert found.status is Status.OPTIMAL
    assert found.point.claim + 10.0 == pytest.approx(0.5, abs=1e-6)
    assert found.point.values == pytest.approx([2.5, 1.5], abs=1e-5)


def test_quadratic_leader_without_bounds_is_not_called_unbounded():
    """min x^2 - 40 x over free x: tangents at the start leave the linear program unbounded; the minimum is -400."""
    program = so.BilevelProgram.from_matrices(
        leader_cost=([-40.0], [0.0]), leader_hessian=[[2.0, 0.0], [0.0, 0.0]], leader_bounds=(None, None), follower_cost=[1.0], follower_bounds=(0, 1)
    )
    found = solved(program)
    assert found.status is Status.OPTIMAL
    assert found.point.claim == pytest.approx(-400.0, rel=1e-6)


def test_a_leader_that_is_not_convex_is_refused():
    with pytest.raises(Refused, match="not convex"):
        solved(toll(leader_hessian=[[-2.0, 0.0], [0.0, 0.0]]))


def test_infeasible():
    """The follower answers y = x + 1 at least; the leader insists on y <= x."""
    program = so.BilevelProgram.from_matrices(
        leader_cost=([1.0], [1.0]), leader_bounds=(0, 4), leader_rows=([[-1.0]], [[1.0]], [0.0]), follower_cost=[1.0], follower_bounds=(0, 9),
        follower_rows=([[1.0]], [[-1.0]], [-1.0]),
    )
    found = solved(program)
    assert found.status is Status.INFEASIBLE
    assert found.point is None


def test_a_follower_without_a_best_answer_is_infeasible_for_the_leader():
    program = so.BilevelProgram.from_matrices(leader_cost=([1.0], [0.0]), leader_bounds=(0, 4), follower_cost=[-1.0], follower_bounds=(0, None))
    assert solved(program).status is Status.INFEASIBLE


def test_unbounded_with_a_half_line():
    """Follower min y >= x: y = x. Leader min -x - y over x >= 0."""
    program = so.BilevelProgram.from_matrices(
        leader_cost=([-1.0], [-1.0]), follower_cost=[1.0], follower_bounds=(0, None), follower_rows=([[1.0]], [[-1.0]], [0.0])
    )
    found = solved(program)
    assert found.status is Status.UNBOUNDED
    assert found.bound == -np.inf
    assert "half-line" in found.because


def test_an_unbounded_relaxation_is_not_an_unbounded_program():
    """Without the follower's optimality y may grow for ever; the follower keeps it at 0."""
    program = so.BilevelProgram.from_matrices(leader_cost=([1.0], [-1.0]), leader_bounds=(0, 4), follower_cost=[1.0], follower_bounds=(0, None))
    found = solved(program)
    assert found.status is Status.OPTIMAL
    assert found.point.claim == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("every", [2, 3, 7])
def test_a_solver_that_fails_never_closes_a_cell(every, monkeypatch):
    """Statuses that HiGHS does not know are branched on: the optimum stays the same, or the status is not OPTIMAL."""
    truth = solved(random_bilevel_lp(7, 1))
    calls, solve = [0], WarmLp.solve

    def failing(self, time_limit=None):
        status = solve(self, time_limit)
        calls[0] += 1
        return Status.FAILED if calls[0] % every == 0 else status

    monkeypatch.setattr(WarmLp, "solve", failing)
    found = solved(random_bilevel_lp(7, 1), time_limit=20.0)
    assert found.status in (Status.OPTIMAL, Status.LIMIT)
    if found.status is Status.OPTIMAL:
        assert found.point.claim == pytest.approx(truth.point.claim, rel=1e-6)
    assert found.bound <= truth.point.claim + 1e-4


def test_no_time_gives_a_limit_with_what_is_known():
    found = solved(random_bilevel_lp(20, 3), time_limit=0.0)
    assert found.status is Status.LIMIT
    assert found.point is None
    assert found.bound == -np.inf


def test_a_limit_keeps_bound_and_incumbent_apart():
    found = solved(random_bilevel_lp(40, 2), time_limit=0.5)
    assert found.status is Status.LIMIT
    assert found.bound <= (np.inf if found.point is None else found.point.claim)
    assert "time limit" in found.because


def test_maximising_leaders_have_an_upper_bound():
    program = toll(leader_cost=([-1.0], [-3.0]), leader_sense="max")
    found = solved(program)
    assert found.point.claim == pytest.approx(-92 / 15)
    assert found.bound >= found.point.claim - 1e-9


def test_progress_is_reported_and_an_interrupt_goes_through(monkeypatch):
    """The report is where a person's Ctrl-C arrives here; nothing swallows it."""
    monkeypatch.setattr(search_module, "TELL", 0.0)
    seen = []
    assert solved(random_bilevel_lp(12, 3), report=seen.append).status is Status.OPTIMAL
    assert seen[-1].stage == "complementarity branching"
    assert seen[-1].done >= 1

    def stop(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        solved(random_bilevel_lp(12, 3), report=stop)


def test_depth_first_when_too_many_cells_are_open(monkeypatch):
    monkeypatch.setattr(search_module, "OPEN_CELLS", 2)
    found = solved(random_bilevel_lp(20, 2))
    assert found.status is Status.OPTIMAL
    assert found.point.claim == pytest.approx(-918.331781588, rel=1e-9)
