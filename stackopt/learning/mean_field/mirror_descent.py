"""Mirror descent: policies are softmaxes of the sum of all action values met so far (online mirror descent)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from stackopt.games.mean_field import operators
from stackopt.games.mean_field.game import MeanFieldStackelbergGame
from stackopt.games.mean_field.population import Population
from stackopt.games.operators import Array
from stackopt.learning.mean_field.followers import Evaluated
from stackopt.learning.mean_field.search import Search
from stackopt.learning.mean_field.settings import TIME_LIMIT, AtDecision, first_policy, followers_at
from stackopt.solution import Report, Run

#: Steps that are tried, from a game's scale.
STEPS = (10.0, 1.0, 100.0)
#: Probabilities that a descent begins with.
FLOOR = 1e-12


class Descent:
    """A mirror descent that can be continued.

    Parameters
    ----------
    search : Search
    step : float
        Weight of each round's action values, once they are divided by their span at uniform policies.
    start : Evaluated
    """

    def __init__(self, search: Search, step: float, start: Evaluated) -> None:
        self.search, self.at = search, start
        self.rate = step / (span(search.first.own_q) or 1.0)
        self.total: Array = np.log(np.maximum(start.policy, FLOOR))
        self.lowest = self.at.exploitability

    def go(self, rounds: int) -> float:
        """Some rounds; returns by which factor the lowest exploitability on this descent fell."""
        before = self.lowest
        for _ in range(rounds):
            self.total = self.total + self.rate * (self.at.own_q - self.at.own_q.max(-1, keepdims=True))
            self.total -= self.total.max(-1, keepdims=True)
            self.at = self.search.offer(operators.soft_policy(self.total, 1.0))
            self.lowest = min(self.lowest, self.at.exploitability)
            if self.search.over:
                break
        return self.lowest / before if before > 0 else 1.0


def span(q: Array) -> float:
    """The largest difference between two actions' values in a state."""
    return float((q.max(-1) - q.min(-1)).max(initial=0.0))


def mirror_descent(
    search: Search, steps: tuple[float, ...], *, start: Evaluated, first: int = 15, block: int = 25, gain: float = 0.8, rounds: int = 100_000
) -> str:
    """Try some steps for `first` rounds each; go on with the best in blocks while each reduces the exploitability to `gain`."""
    search.stage = "mirror descent"
    tried = []
    for step in steps:
        descent = Descent(search, step, start)
        descent.go(first)
        if search.over:
            return "solved" if search.solved else "time"
        tried.append(descent)
    best = min(tried, key=lambda d: d.lowest)
    done = first
    while done < rounds:
        factor = best.go(min(block, rounds - done))
        done += block
        if search.over:
            return "solved" if search.solved else "time"
        if not factor < gain:
            return f"{block} rounds of mirror descent reduce the exploitability only to {factor:.3g} of what it was"
    return f"{rounds} rounds ran out"


@dataclass(frozen=True)
class MirrorDescent(AtDecision):
    r"""Online mirror descent with entropy: the policy is the softmax of the sum of its own action values so far (Perolat et al. 2022).

    Converges in monotone games at a step that is small enough; elsewhere it may circle.

    Parameters
    ----------
    theta : array [D], optional
        The leader's decision; needed where it has a choice.
    step : float, optional
        Weight of each round's action values, in units of 1 over their span at uniform policies. By default 1, 10 and 100 are tried and
        the best goes on.
    tolerance : float
        On the exploitability, relative to that of uniform policies.
    iterations : int
        The most rounds.
    time_limit : float
        Seconds.

    Examples
    --------
    >>> import stackopt as so
    >>> so.MirrorDescent(step=3).name
    'mirror descent step=3'
    """

    theta: Any = None
    step: float | None = None
    tolerance: float = 1e-6
    iterations: int = 10_000
    time_limit: float = TIME_LIMIT

    @property
    def name(self) -> str:
        """How it is called in tables."""
        return "mirror descent" + ("" if self.step is None else f" step={self.step:g}")

    def run(self, problem: MeanFieldStackelbergGame, *, seed: int = 0, report: Report | None = None) -> Run[Population]:
        """Descend until the true exploitability is within the tolerance."""
        followers = followers_at(self, problem)
        search = Search(followers, self.tolerance, self.time_limit, report)
        start = search.best if seed == 0 else search.offer(first_policy(followers, seed))
        steps = STEPS if self.step is None else (float(self.step),)
        return search.run(mirror_descent(search, steps, start=start, first=min(15, self.iterations), gain=np.inf, rounds=self.iterations))
