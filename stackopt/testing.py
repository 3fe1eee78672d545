"""Conformance checks for what others add: problems, methods, learners, back ends.

Each function raises AssertionError with a sentence that says which promise was broken, and returns nothing. They are
meant for the tests of a new component::

    from stackopt.testing import check_learner
    def test_my_learner_keeps_the_promises():
        check_learner(MyLearner(temperature=0.1), commitment_value=3.5)
"""

from __future__ import annotations

import dataclasses
import json
import pickle
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from stackopt.certificate import Certificate
from stackopt.codes import CODES
from stackopt.errors import InvalidInput, Refused
from stackopt.games.profile import Profile
from stackopt.games.stackelberg import StackelbergGame, stay
from stackopt.solution import Refusal, Run, Status
from stackopt.solving import describe, solve

#: Largest difference between a batch and its games solved one by one, in values.
SAME_VALUE = 1e-9


def check_problem(problem: Any, candidate: Any) -> None:
    """Hold `problem` to the promises of `stackopt.solution.Problem`.

    Parameters
    ----------
    problem : Problem
    candidate : object
        A dataclass of arrays that `problem` certifies.

    Raises
    ------
    AssertionError
        If certification is not repeatable, changes its input, passes NaN, or the fingerprint does not identify the data.
    """
    assert isinstance(problem.name, str), "a problem has a name"
    assert problem.name, "a problem has a name"
    fingerprint = problem.fingerprint()
    assert fingerprint == problem.fingerprint(), "a fingerprint is the same every time"
    assert pickle.loads(pickle.dumps(problem)).fingerprint() == fingerprint, "a problem keeps its fingerprint when pickled"
    before = _arrays(candidate)
    certificate = problem.certify(candidate)
    assert isinstance(certificate, Certificate), "certify returns a Certificate"
    assert certificate.certified, f"the candidate is certified; failing: {[str(c.name) for c in certificate.failures]}"
    assert certificate.objective in certificate.values, "a certificate's objective is one of its values"
    assert _same(before, _arrays(candidate)), "certify does not change the candidate"
    again = problem.certify(candidate)
    assert [c.residual for c in again.checks] == [c.residual for c in certificate.checks], "certify gives the same residuals every time"
    assert problem.fingerprint() == fingerprint, "certify does not change the problem"
    for label, text in problem.summarize(candidate, certificate):
        assert isinstance(label, str), "summaries are pairs of strings"
        assert isinstance(text, str), "summaries are pairs of strings"
    assert str(problem.block().text()).strip(), "a problem prints"
    for name in (name for name, array in before.items() if array.size):  # a leader without parameters has nothing to spoil
        spoiled = dataclasses.replace(candidate, **{name: np.full_like(before[name], np.nan)})
        try:
            passed = problem.certify(spoiled).certified
        except InvalidInput:
            passed = False
        assert not passed, f"a candidate with NaN in {name} is never certified"


def check_method(method: Any, problem: Any) -> None:
    """Hold `method` to the promises of `stackopt.solution.Method`, on a problem it solves or refuses.

    Raises
    ------
    AssertionError
        If it is not a frozen dataclass of plain settings, refuses without a reason and a remedy, is not repeatable, changes
        the problem, or claims success for a candidate that the problem does not certify.
    """
    _check_settings(method)
    check_refusal(method.refuses(object()), "a problem of no known kind")
    fingerprint, settings = problem.fingerprint(), repr(method)
    refusal = method.refuses(problem)
    if refusal is not None:
        check_refusal(refusal, problem.name)
        try:
            solve(problem, method)
        except Refused:
            return
        raise AssertionError("solve raises Refused when the method refuses")
    first, second = solve(problem, method, seed=3), solve(problem, method, seed=3)
    assert problem.fingerprint() == fingerprint, "a method does not change the problem"
    assert repr(method) == settings, "a method does not change itself"
    assert first.status is second.status, "the same seed gives the same status"
    assert _same(_arrays(first.candidate), _arrays(second.candidate)), "the same seed gives the same candidate"
    assert first.because, "a run says why it stopped"
    assert first.certified or not first.status.success, "success means certified"
    assert not (first.status is Status.LIMIT and first.certified), "a limit is not success"


def check_learner(learner: Any, *, commitment_value: float | None = None) -> None:
    """Hold `learner` to the promises of `stackopt.learning.loop.Learner`.

    Pure steps, seeded starts, a batch equal to its games one by one, true residuals at return, a limit that is LIMIT, a
    refusal with a remedy; and, given what it should tend to, agreement as the temperature falls.

    Parameters
    ----------
    learner : Learner
        A frozen dataclass with a `temperature`, `iterations` and `tolerance`. It should converge on small random games.
    commitment_value : float, optional
        What the certified value of the game `two_by_two` should tend to as the temperature falls: 3.5 for the commitment
        concept, 2 for the fixed point.

    Raises
    ------
    AssertionError
    """
    games = random_games(5)
    _check_settings(learner)
    check_refusal(learner.refuses(object()), "a problem of no known kind")
    _check_pure(learner, games)
    runs = [learner.run(games[i]) for i in range(5)]
    for run in runs:
        _check_residual(learner, run)
    _check_batch(learner, games, runs)
    limited = dataclasses.replace(learner, iterations=1, tolerance=1e-300).run(games[0])
    assert limited.status is Status.LIMIT, f"running out of iterations is LIMIT, not {limited.status}"
    assert limited.candidate is not None, "a limit keeps its incumbent"
    if commitment_value is not None:
        _check_limit(learner, commitment_value)


def check_backend(solve_milp: Callable[..., Any]) -> None:
    """Hold ``solve_milp(milp, time_limit=...)`` to known answers: an optimum, infeasible, unbounded, a limit.

    Raises
    ------
    AssertionError
        If a status, a value or a bound is wrong, or a point breaks the program it is returned for.
    """
    from stackopt.programs.milp import MilpBuilder

    def knapsack(least: float) -> Any:
        builder = MilpBuilder("knapsack")
        take = builder.columns("take", (4,), 0, 1, integer=True, objective=[10.0, 13.0, 7.0, 8.0])
        builder.row("weight", take, [4.0, 6.0, 3.0, 5.0], upper=10.0)
        builder.row("least", take, [1.0] * 4, lower=least)
        return builder.build()

    program = knapsack(0.0)
    result = solve_milp(program, time_limit=60.0)
    assert result.status is Status.OPTIMAL, f"a small knapsack is solved to optimality, not {result.status}"
    assert abs(result.value - 23.0) <= 1e-6, f"its optimum is 23, not {result.value}"
    assert result.bound >= 23.0 - 1e-6, "an upper bound is not below the optimum"
    assert program.violation(result.point) <= 1e-6, "the point satisfies the program"
    assert solve_milp(knapsack(4.0), time_limit=60.0).status is Status.INFEASIBLE, "four items never fit: INFEASIBLE"
    builder = MilpBuilder("unbounded")
    x = builder.columns("x", (2,), 0.0, objective=[1.0, 0.0])
    builder.row("difference", x, [1.0, -1.0], upper=1.0)
    assert solve_milp(builder.build(), time_limit=60.0).status is Status.UNBOUNDED, "a ray of increase: UNBOUNDED"
    stopped = solve_milp(program, time_limit=0.0)
    assert stopped.status is Status.LIMIT, f"no time is LIMIT, not {stopped.status}"
    assert stopped.bound >= 23.0 - 1e-6, "what was proved by a limit still holds"


def check_refusal(refusal: Any, of: str) -> None:
    """A refusal has a registered code, and its error a law and a remedy.

    Raises
    ------
    AssertionError
    """
    assert isinstance(refusal, Refusal), f"{of} is refused with a Refusal, not {refusal!r}"
    assert refusal.code in CODES, f"{refusal.code} is a registered code"
    error = refusal.error()
    assert error.law, "a refusal states its law"
    assert error.help, "a refusal names a remedy"


# --- games to check on ------------------------------------------------------------------------------------------------


def two_by_two() -> StackelbergGame:
    """One state, follower myopic: best commitment 3.5, only fixed point 2 (theory A.5; Conitzer & Sandholm 2006)."""
    return StackelbergGame([[[2, 4], [1, 3]]], [[[1, 0], [0, 1]]], stay, discount=0.0, name="commit-2x2")


def random_games(count: int, states: int = 4, actions: int = 3, discount: float = 0.7, seed: int = 0) -> StackelbergGame:
    """A batch of random games [count], rewards in [-1, 1]."""
    rng = np.random.default_rng(seed)
    shape = (count, states, actions, actions)
    return StackelbergGame(
        rng.uniform(-1, 1, shape), rng.uniform(-1, 1, shape), rng.dirichlet(np.ones(states), shape), discount=discount, name="random"
    )


# --- parts of the checks ----------------------------------------------------------------------------------------------


def _check_settings(method: Any) -> None:
    parameters = getattr(method, "__dataclass_params__", None)
    assert parameters is not None, "a method is a dataclass: its fields are its settings"
    assert parameters.frozen, "a method is frozen"
    assert isinstance(method.name, str), "a method has a name"
    assert method.name, "a method has a name"
    json.dumps(describe(method))  # settings are plain data
    assert pickle.loads(pickle.dumps(method)) == method, "a method survives a process boundary"


def _check_pure(learner: Any, game: StackelbergGame) -> None:
    fingerprint = game.fingerprint()
    state = learner.init(game, 1)
    assert _same(_arrays(state), _arrays(learner.init(game, 1))), "the same seed gives the same first state"
    before = _arrays(state)
    once, twice = learner.step(game, state), learner.step(game, state)
    assert _same(before, _arrays(state)), "a step does not change the state it is given"
    assert _same(_arrays(once), _arrays(twice)), "a step is a function of its arguments"
    assert game.fingerprint() == fingerprint, "a step does not change the game"
    residual = np.asarray(learner.residual(game, state))
    assert residual.shape == game.batch, "one residual for each game of the batch"
    assert (residual >= 0.0).all(), "residuals are not negative"


def _check_residual(learner: Any, run: Run[Profile]) -> None:
    assert run.status in (Status.CONVERGED, Status.LIMIT), f"unexpected status {run.status}: {run.because}"
    converged = run.stats["residual"] <= learner.tolerance
    assert converged == (run.status is Status.CONVERGED), f"CONVERGED means a residual within the tolerance: {run.because}"
    assert run.history["residual"][-1] == run.stats["residual"], "the last residual is that of the candidate returned"
    assert len(run.history["residual"]) == run.stats["iterations"] + 1, "one residual for each iteration"


def _check_batch(learner: Any, games: StackelbergGame, runs: list[Run[Profile]]) -> None:
    together = learner.run(games)
    statuses = {run.status for run in runs}
    expected = Status.CONVERGED if statuses == {Status.CONVERGED} else Status.LIMIT
    assert together.status is expected, f"a batch converges when all its games do: {together.because}"
    assert together.candidate is not None, "a batch has a candidate"
    for i, run in enumerate(runs):
        assert run.candidate is not None, "a game has a candidate"
        if run.status is Status.CONVERGED:
            difference = abs(float(run.candidate.claim) - float(together.candidate.claim[i]))
            assert difference <= SAME_VALUE, f"game {i} has the same value in the batch and alone; differs by {difference:.3g}"


def _check_limit(learner: Any, commitment_value: float) -> None:
    errors = []
    for temperature in (0.1, 0.01, 0.002):
        solution = solve(two_by_two(), dataclasses.replace(learner, temperature=temperature))
        assert solution.certified, f"{solution.status} at temperature {temperature}: {solution.because}"
        errors.append(abs(float(solution.value) - commitment_value))
    assert errors[-1] <= max(0.5 * errors[0], 1e-6), f"errors fall with the temperature: {errors}"
    assert errors[-1] <= 0.02, f"at temperature 0.002 the value is near {commitment_value}: off by {errors[-1]:.3g}"


def _arrays(holder: Any) -> dict[str, np.ndarray]:
    """Copies of the floating-point arrays among the fields of a dataclass."""
    if holder is None or not dataclasses.is_dataclass(holder):
        return {}
    fields = {f.name: getattr(holder, f.name) for f in dataclasses.fields(holder)}
    return {name: np.array(value) for name, value in fields.items() if isinstance(value, np.ndarray) and value.dtype.kind == "f"}


def _same(first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray]) -> bool:
    return first.keys() == second.keys() and all(np.array_equal(first[name], second[name], equal_nan=True) for name in first)
