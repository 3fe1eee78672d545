"""The conformance checks accept what keeps the promises and reject what does not."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

import stackopt as so
from stackopt.backends.highs import solve_milp
from stackopt.solution import Status
from stackopt.testing import check_backend, check_learner, check_method, check_problem, check_refusal, random_games, two_by_two


def test_games_are_problems():
    for game in (two_by_two(), random_games(2)):
        check_problem(game, so.solve(game, so.HypergradientAscent(0.3, starts=1)).candidate)


def test_highs_is_a_back_end():
    check_backend(solve_milp)


def test_an_exact_method_is_a_method():
    check_method(so.Exact(), two_by_two())
    check_method(so.Exact(), random_games(2))  # refuses a batch, with a remedy


def test_a_back_end_that_calls_a_limit_optimal_is_found_out():
    def boastful(milp, **settings):
        result = solve_milp(milp, **{**settings, "time_limit": 60.0})
        return replace(result, status=Status.OPTIMAL)

    with pytest.raises(AssertionError, match="INFEASIBLE"):
        check_backend(boastful)


@dataclass(frozen=True)
class Impure(so.SoftmaxPolicyIteration):
    def step(self, game, state):
        state.leader_policy.flags.writeable = True
        state.leader_policy[...] = state.target
        return super().step(game, state)


@dataclass(frozen=True)
class Boastful(so.SoftmaxPolicyIteration):
    def run(self, problem, *, seed=0, report=None):
        return replace(super().run(problem, seed=seed, report=report), status=Status.CONVERGED)


@dataclass(frozen=True)
class Forgetful(so.SoftmaxPolicyIteration):
    def init(self, game, seed):
        return super().init(game, int(np.random.default_rng().integers(2, 10**6)))


@dataclass(frozen=True)
class Silent(so.SoftmaxPolicyIteration):
    def refuses(self, problem):
        return False


@pytest.mark.parametrize(
    ("kind", "promise"),
    [(Impure, "does not change the state"), (Boastful, "LIMIT"), (Forgetful, "same first state"), (Silent, "refused with a Refusal")],
)
def test_learners_that_break_a_promise_are_found_out(kind, promise):
    with pytest.raises(AssertionError, match=promise):
        check_learner(kind(1.0, concept="fixed_point"))


class Gullible(so.StackelbergGame):
    """Certifies anything, NaN included."""

    def certify(self, candidate):
        return so.Certificate((so.Check("nothing", 0.0, 1.0, "not looked at"),), {"value": 1.0}, objective="value")

    def summarize(self, candidate, certificate):
        return []


def test_a_problem_that_certifies_nan_is_found_out():
    game = two_by_two()
    gullible = Gullible(game.leader_reward, game.follower_reward, game.transition, discount=0.0)
    candidate = so.solve(game, so.HypergradientAscent(0.3, starts=1)).candidate
    with pytest.raises(AssertionError, match="NaN in leader_policy"):
        check_problem(gullible, candidate)


def test_a_refusal_has_a_registered_code():
    with pytest.raises(AssertionError, match="registered"):
        check_refusal(so.Refusal("no-such-code"), "it")
