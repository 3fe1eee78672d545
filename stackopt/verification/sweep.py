"""Predicted against measured: what the bounds say and what is, over temperature, discount and mixing.

One family of random games is varied in one figure at a time. The candidate of every game is the second iterate of softmax
policy iteration, not its limit, so that there are distances to measure.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from stackopt.games.stackelberg import StackelbergGame
from stackopt.learning.softmax_policy_iteration import SoftmaxPolicyIteration
from stackopt.solution import Progress, Report

#: What is varied and where; the others stay at `BASE`.
AXES: dict[str, tuple[float, ...]] = {
    "temperature": (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0),
    "discount": (0.0, 0.3, 0.6, 0.8, 0.9, 0.97, 0.99),
    "mixing": (0.0, 0.25, 0.5, 0.75, 0.9, 0.97, 1.0),
}
BASE = {"temperature": 2.0, "discount": 0.8, "mixing": 0.75}
#: The bounds that are followed, by reference, and what each is about.
FOLLOWED = {
    "B2.1": "follower's loss",
    "B2.1 a posteriori": "follower's loss",
    "B3.4": "change of the soft response",
    "B4.2": "distance to the soft fixed point",
    "B4.4": "distance to the only soft fixed point nearby",
    "B11.3": "leader's regret",
}
STATES, ACTIONS, ROUNDS = 4, 3, 2


@dataclass(frozen=True)
class Reading:
    """One bound on one game.

    Attributes
    ----------
    axis : str
        What was varied: a key of `AXES`.
    at : float
        Its value.
    game : int
        Number of the game.
    reference, of : str
        The bound.
    measured, predicted : float
        The quantity and its bound; NaN where not measured or not applicable.
    slack : float
        Rounding allowance.
    applies : bool
    """

    axis: str
    at: float
    game: int
    reference: str
    of: str
    measured: float
    predicted: float
    slack: float
    applies: bool

    @property
    def violated(self) -> bool:
        """Whether the bound applies and is not kept; NaN is a violation."""
        return self.applies and not self.measured <= self.predicted + self.slack


def sweep(games: int = 8, seed: int = 0, report: Report | None = None) -> tuple[Reading, ...]:
    """Readings of `FOLLOWED` along every axis.

    Parameters
    ----------
    games : int
        Per point.
    seed : int
    report : callable, optional
        Receives `Progress`; its residual is the number of violations so far.
    """
    found: list[Reading] = []
    points = [(axis, at) for axis, values in AXES.items() for at in values]
    for done, (axis, at) in enumerate(points):
        for game in range(games):
            found += _readings(axis, at, game, seed)
        if report is not None:
            report(Progress("sweep", done + 1, len(points), float(sum(r.violated for r in found))))
    return tuple(found)


def game_at(discount: float, mixing: float, index: int, seed: int) -> StackelbergGame:
    """A random game: rewards in [-1, 1]; transitions part `mixing` of one common law, the rest sparse rows of their own."""
    rng = np.random.default_rng([seed, index])
    shape = (STATES, ACTIONS, ACTIONS)
    leader, follower = rng.uniform(-1.0, 1.0, (2, *shape))
    own, common = rng.dirichlet(np.full(STATES, 0.3), shape), rng.dirichlet(np.ones(STATES))
    return StackelbergGame(leader, follower, mixing * common + (1.0 - mixing) * own, discount=discount, name=f"sweep {index}")


def _readings(axis: str, at: float, index: int, seed: int) -> Iterator[Reading]:
    point = {**BASE, axis: at}
    game = game_at(point["discount"], point["mixing"], index, seed)
    method = SoftmaxPolicyIteration(point["temperature"], "fixed_point")
    state = method.init(game, seed + 1)  # a random start
    for _ in range(ROUNDS):
        state = method.step(game, state)
    for e in game.examinations(method.candidate(state)):
        if FOLLOWED.get(e.bound.reference) == e.bound.of:
            applies = e.bound.applies
            predicted = e.bound.value if applies else math.nan
            yield Reading(axis, at, index, e.bound.reference, e.bound.of, e.measured, predicted, e.slack, applies)
