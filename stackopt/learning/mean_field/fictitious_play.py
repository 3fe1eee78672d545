"""Fictitious play: followers answer the average of what all have done so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from stackopt.games.mean_field.game import MeanFieldStackelbergGame
from stackopt.games.mean_field.population import Population
from stackopt.games.operators import Array
from stackopt.learning.mean_field.gauss_seidel import best_actions
from stackopt.learning.mean_field.search import Search, Trail
from stackopt.learning.mean_field.settings import TIME_LIMIT, AtDecision, first_policy, followers_at
from stackopt.solution import Report, Run


@dataclass(frozen=True)
class FictitiousPlay(AtDecision):
    r"""Fictitious play: the average policy moves by 1/(n+1) towards the best response of round n (Brown 1951; mean-field form: Cardaliaguet
    and Hadikhanloo 2017).

    Averages are by mass, so that the average policy brings about the average population where transitions are fixed.
    Exploitability falls like 1/n in potential and monotone games and need not fall elsewhere.

    Parameters
    ----------
    theta : array [D], optional
        The leader's decision; needed where it has a choice.
    step : float, optional
        A constant weight of the best response, in (0, 1], in place of 1/(n+1); 1 is best-response iteration, which may cycle.
    tolerance : float
        On the exploitability, relative to that of uniform policies.
    iterations : int
        The most rounds.
    time_limit : float
        Seconds.

    Examples
    --------
    >>> import stackopt as so
    >>> so.FictitiousPlay(tolerance=1e-3).name
    'fictitious play'
    """

    theta: Any = None
    step: float | None = None
    tolerance: float = 1e-6
    iterations: int = 10_000
    time_limit: float = TIME_LIMIT

    @property
    def name(self) -> str:
        """How it is called in tables."""
        return "fictitious play" + ("" if self.step is None else f" step={self.step:g}")

    def run(self, problem: MeanFieldStackelbergGame, *, seed: int = 0, report: Report | None = None) -> Run[Population]:
        """Average until the true exploitability is within the tolerance."""
        followers = followers_at(self, problem)
        search = Search(followers, self.tolerance, self.time_limit, report)
        search.stage = "fictitious play"
        at = search.best if seed == 0 else search.offer(first_policy(followers, seed))
        trail, reason = Trail(), f"{self.iterations} iterations ran out"
        for n in range(1, self.iterations + 1):
            if search.over:
                break
            period = trail.period(at.policy)
            if period:
                search.stats["period"] = period
                reason = f"the policies cycle with period {period}"
                break
            weight = 1.0 / (n + 1.0) if self.step is None else min(self.step, 1.0)
            best = best_actions(at.q)
            at = search.offer(averaged(at.policy, at.mean_field, best, followers.law(best)[0], weight))
        return search.run(reason)


def averaged(policy: Array, mu: Array, other: Array, other_mu: Array, weight: float) -> Array:
    """The policy of masses averaged with `weight` on the other; where neither goes, the policies are averaged."""
    old, new = (1.0 - weight) * mu[..., None], weight * other_mu[..., None]
    mass = old + new
    empty = mass <= 1e-300
    found: Array = np.where(empty, (1.0 - weight) * policy + weight * other, (old * policy + new * other) / np.where(empty, 1.0, mass))
    found /= found.sum(-1, keepdims=True)
    return found
