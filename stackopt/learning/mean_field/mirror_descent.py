"""Mirror descent: policies are softmaxes of the sum of all action values met so far (online mirror descent)."""

from __future__ import annotations

import numpy as np

from stackopt.games.mean_field import operators
from stackopt.games.operators import Array
from stackopt.learning.mean_field.followers import Evaluated
from stackopt.learning.mean_field.search import Search

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
            self.at = self.search.offer(operators.soft_policy(self.total, 1.0), self.at.mean_field)
            self.lowest = min(self.lowest, self.at.exploitability)
            if self.search.over:
                break
        return self.lowest / before if before > 0 else 1.0


def span(q: Array) -> float:
    """The largest difference between two actions' values in a state."""
    return float((q.max(-1) - q.min(-1)).max(initial=0.0))


def mirror_descent(search: Search, steps: tuple[float, ...], *, start: Evaluated, first: int = 15, block: int = 25, gain: float = 0.8, rounds: int = 100_000) -> str:
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
