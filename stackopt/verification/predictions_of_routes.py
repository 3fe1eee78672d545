"""Predictions E28 to E30: what `Exact` must give where it leaves the mixed-integer program: occupancies, shaping, stage-wise iteration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from stackopt.certificate import Assumption, Bound, Examination
from stackopt.exact import Enumeration, Exact
from stackopt.exact.occupancy import run_occupancy
from stackopt.exact.shaped import run_shaped
from stackopt.exact.stagewise_iteration import run_stagewise
from stackopt.games.operators import action_values, joint_mdp
from stackopt.games.relaxations import upper_bounds
from stackopt.games.responses import commitment
from stackopt.games.stackelberg import StackelbergGame
from stackopt.solution import Run
from stackopt.solving import solve
from stackopt.verification.instances import adversarial_game, random_policy
from stackopt.verification.predictions import Case, at_least
from stackopt.verification.predictions_of_commitment import tie_cost
from stackopt.verification.predictions_of_methods import EXACT, tiny

#: Seconds of a search over occupancies; an interval is as good as an optimum here.
SECONDS = 3.0
#: Sampled leader policies.
SAMPLES = 10


def e28(case: Case) -> Iterator[Examination]:
    """The interval of the search over occupancies contains the best commitment: above every sampled and pure one, below U1  [D8]."""
    game = tiny(case)
    run = run_occupancy(game, concept="strong", margin=0.0, time_limit=SECONDS, seed=0, report=None)
    pure = float(solve(game, Enumeration(leader="deterministic")).value)
    yield from _against_samples(case, game, run, "D8", pure)


def e29(case: Case) -> Iterator[Examination]:
    """A team or zero-sum game up to shaping has the value dynamic programming gives it, as the search over occupancies finds  [D9]."""
    plain = tiny(case)
    if plain.leader_discount > 0.5:  # fits are accepted relative to the largest reward: keep the potential's part of it moderate
        plain = replace(plain, discount=None, leader_discount=0.5, follower_discount=0.5)
    factor = float(case.rng.choice([-1.0, -0.3, 0.5, 2.0]))
    potential = case.rng.uniform(-1.0, 1.0, plain.shape[0])
    joint = joint_mdp(plain, factor * plain.leader_reward, plain.leader_discount)
    # r_F = k r_L + phi - discount * P phi: the action values of -phi, plus phi
    shaped = action_values(joint, -potential) + potential[:, None]
    game = replace(plain, follower_reward=shaped.reshape(plain.shape), discount=None)
    run = run_shaped(game)
    if run is None:
        yield _nothing("value of a game up to shaping", "D9", "the game is recognised and its gap closes")
        return
    yield from _against_samples(case, game, run, "D9", None)
    search = run_occupancy(game, concept="strong", margin=0.0, time_limit=SECONDS, seed=0, report=None)
    yield from _agree(game, run, search, "D9")


def e30(case: Case) -> Iterator[Examination]:
    """Stage-wise iteration gives a myopic follower's game the value of the linear program  [P1]."""
    shape = (int(case.rng.integers(1, 4)), 2, int(case.rng.integers(2, 4)))
    leader = float(case.rng.choice([0.0, 0.5, 0.9]))
    game = adversarial_game(case.rng, shape=shape, discounts=(leader, 0.0), rewards=str(case.rng.choice(["uniform", "ties"])))
    run = run_stagewise(game)
    if run is None:
        yield _nothing("value of a game with a myopic follower", "P1", "the gap of stage-wise iteration closes")
        return
    yield from _against_samples(case, game, run, "P1", None)
    program = Exact().run(game)
    yield from _agree(game, run, program, "P1")


def _against_samples(case: Case, game: StackelbergGame, run: Run[Any], tag: str, pure: float | None) -> Iterator[Examination]:
    """A search's bound is above all commitments there are, its value below U1 and its own bound, and what the game says it is."""
    proved = Assumption("the search proved a bound", run.bound is not None, str(run.status))
    found = Assumption("the search found a policy", run.candidate is not None, str(run.status))
    bound = float(run.bound.value) if run.bound is not None else float("nan")
    value = float(run.candidate.claim) if run.candidate is not None else float("nan")
    slack = EXACT * (1.0 + abs(bound)) + tie_cost(game)
    S, A, _ = game.shape
    sampled = [float(commitment(game, random_policy(case.rng, S, A)).strong) for _ in range(SAMPLES)]
    for one in sampled + ([] if pure is None else [pure]):
        yield Examination(bound, at_least(one, "proved bound on the best commitment", tag, proved), slack)
    if pure is not None:
        yield Examination(value, at_least(pure, "value attained", tag, found, _closed(run)), slack)
    yield Examination(value, Bound(bound, "value attained", tag, (proved, found)), slack)
    highest = min(upper_bounds(game), key=lambda b: b.value)
    yield Examination(value, replace(highest, of="value attained", assumptions=(*highest.assumptions, found)), slack)
    if run.candidate is not None:
        again = float(commitment(game, run.candidate.leader_policy).strong)
        yield Examination(value, Bound(again, "claim", f"{tag}, A1", (found,)), slack)


def _agree(game: StackelbergGame, one: Run[Any], other: Run[Any], tag: str) -> Iterator[Examination]:
    """Two routes to one value: neither attains more than the other's bound."""
    for mine, theirs in ((one, other), (other, one)):
        known = Assumption("both routes found something", mine.candidate is not None and theirs.bound is not None, f"{mine.status}, {theirs.status}")
        value = float(mine.candidate.claim) if mine.candidate is not None else float("nan")
        bound = float(theirs.bound.value) if theirs.bound is not None else float("nan")
        yield Examination(value, Bound(bound, "value attained by another route", tag, (known,)), EXACT * (1.0 + abs(bound)) + tie_cost(game))


def _closed(run: Run[Any]) -> Assumption:
    return Assumption("the search ended with success", run.status.success, str(run.status))


def _nothing(of: str, tag: str, statement: str) -> Examination:
    return Examination(float("nan"), Bound(float("nan"), of, tag, (Assumption(statement, False, "it is left to another route"),)))
