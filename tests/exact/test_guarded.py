"""No solver is believed: back ends that lie end in FAILED, or are corrected, never in OPTIMAL."""

import dataclasses

import numpy as np
import pytest

import stackopt as so
from stackopt.backends.highs import MilpResult, solve_milp
from stackopt.exact.commitment import CommitmentValue, program_for
from stackopt.exact.guarded import guarded_search
from stackopt.solution import Status
from tests.exact.tiny import commit_2x2, tiny_game


def search(solve, game=None, leader="auto", **rest):
    game = game or tiny_game(1, (3, 2, 2), free=True, discounts=(0.9, 0.9))
    points = np.eye(game.shape[1])
    return guarded_search(program_for(game, "strong", leader, points, 0.0), CommitmentValue(game, "strong"), solve=solve, **rest)


def truth():
    return search(solve_milp)


def lying(change):
    """The real back end, its result changed."""

    def solve(milp, **settings):
        return change(solve_milp(milp, **settings), milp)

    return solve


def claim(value):
    return lambda result, milp: dataclasses.replace(result, bound=value, value=value) if result.status is Status.OPTIMAL else result


def test_the_honest_back_end_is_believed_after_a_second_run():
    outcome = truth()
    assert outcome.status is Status.OPTIMAL
    assert outcome.stats["solver_runs"] == 2
    assert outcome.best.value == pytest.approx(outcome.bound, abs=1e-7)
    assert "second run" in outcome.because


@pytest.mark.parametrize("shift", [-1.0, -1e-3, 1e-3, 1.0])
@pytest.mark.parametrize("confirm", [False, True])
def test_a_wrong_bound_fails(shift, confirm):
    best = truth().best.value
    outcome = search(lying(claim(best + shift)), confirm=confirm)
    assert outcome.status is Status.FAILED
    assert outcome.because.startswith("solver fault")
    assert outcome.bound == np.inf
    assert outcome.best.value <= best + 1e-9


@pytest.mark.parametrize("status", [Status.INFEASIBLE, Status.UNBOUNDED, Status.FAILED])
def test_a_commitment_always_exists(status):
    bound = -np.inf if status is Status.INFEASIBLE else np.inf
    outcome = search(lambda milp, **_: MilpResult(status, None, np.nan, bound, np.nan, 0, 0.0, "said so"))
    assert outcome.status is Status.FAILED
    assert str(status) in outcome.because


def test_an_infeasible_point_is_replaced_by_what_the_game_evaluates():
    def shifted(result, milp):
        return result if result.point is None else dataclasses.replace(result, point=result.point + 0.3)

    outcome = search(lying(shifted))
    # the rounded pattern is polished and evaluated: whatever is returned is attained, and OPTIMAL only with the true value
    assert outcome.status is not Status.OPTIMAL or outcome.best.value == pytest.approx(truth().best.value, abs=1e-6)


def test_a_point_that_attains_less_than_claimed_fails():
    game = commit_2x2()

    def worst(milp, **_):
        point = np.zeros(len(milp.columns))
        point[[0, 2]] = 1.0  # the leader plays T, the follower l: worth 2
        return MilpResult(Status.OPTIMAL, point, 9.0, 9.0, 0.0, 1, 0.0, "Optimal")

    outcome = search(worst, game)
    assert outcome.status is Status.FAILED
    assert "not attained" in outcome.because
    assert outcome.best.value <= 3.5 + 1e-9


def test_one_bad_run_is_corrected_by_the_next_setting():
    calls = []

    def solve(milp, **settings):
        calls.append(settings)
        result = solve_milp(milp, **settings)
        return dataclasses.replace(result, bound=result.bound - 1.0) if len(calls) == 1 else result

    outcome = search(solve)
    assert outcome.status is Status.OPTIMAL
    assert outcome.best.value == pytest.approx(truth().best.value, abs=1e-7)
    assert "below" in outcome.stats["faults"]


def test_the_confirming_run_differs_and_can_refute():
    game, seen = tiny_game(1, (3, 2, 2), free=True, discounts=(0.9, 0.9)), []
    best = truth().best.value

    def solve(milp, **settings):
        seen.append(settings)
        result = solve_milp(milp, **settings)
        if settings["cutoff"] is not None:  # the second run claims to have found more
            return MilpResult(Status.OPTIMAL, result.point, best + 1, best + 1, 0.0, 1, 0.0, "Optimal")
        return result

    outcome = search(solve, game)
    assert outcome.status is Status.FAILED
    assert "second run" in outcome.because
    first, second = seen[:2]
    assert first["presolve"] != second["presolve"]
    assert first["seed"] != second["seed"]
    assert first["cutoff"] is None
    assert second["cutoff"] > best


def test_a_known_policy_refutes_a_bound_that_the_search_alone_would_believe():
    game = tiny_game(2, (2, 2, 2), discounts=(0.5, 0.5))
    honest = search(solve_milp, game, "deterministic")
    low = honest.best.value - 1.0

    def solve(milp, **settings):
        return MilpResult(Status.OPTIMAL, None, low, low, 0.0, 1, 0.0, "Optimal")

    refuted = search(solve, game, "deterministic", known=[honest.best.policy])
    assert refuted.status is Status.FAILED
    assert "which a policy attains" in refuted.because
    assert search(solve, game, "deterministic").status is Status.FAILED  # nothing attains the claim


def test_a_limit_is_never_an_optimum():
    def limited(result, milp):
        return dataclasses.replace(result, status=Status.LIMIT, bound=result.bound + 0.1)

    outcome = search(lying(limited))
    assert outcome.status is Status.LIMIT
    assert outcome.bound == pytest.approx(truth().best.value + 0.1)
    low = search(lying(lambda r, m: dataclasses.replace(r, status=Status.LIMIT, bound=-1e9)), known=[np.full((3, 2), 0.5)])
    assert low.status is Status.FAILED


@pytest.mark.parametrize("gap", [1e-12, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6])
def test_near_ties_are_decided_by_the_game_or_not_at_all(gap):
    """The follower loses `gap` by the action the leader would love: worth 1 if it counts as a tie, 0 if not."""
    big = 100.0  # another state's reward, which makes the big-M large
    game = so.StackelbergGame(
        leader_reward=[[[0.0, 1.0]], [[0.0, 0.0]]], follower_reward=[[[gap, 0.0]], [[0.0, big]]], transition=so.stay, discount=0.9, initial=[1.0, 0.0]
    )
    solution = so.solve(game, so.Exact(leader="deterministic"))
    assert solution.status in (Status.PROVED, Status.OPTIMAL, Status.LIMIT)
    if solution.status.success:
        assert solution.certified
        assert solution.bound.value == pytest.approx(solution.value, abs=1e-5)
    else:
        assert "near-tie" in solution.because
        assert not solution.certified
