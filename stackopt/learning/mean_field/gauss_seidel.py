"""Stage-wise Gauss-Seidel: one stage after the other answers the population as it is now, and mixes where it would undo its own answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from stackopt.games.mean_field import operators
from stackopt.games.mean_field.game import MeanFieldStackelbergGame
from stackopt.games.mean_field.population import Population
from stackopt.games.operators import Array
from stackopt.learning.mean_field.followers import Evaluated, Followers
from stackopt.learning.mean_field.search import Search, Trail
from stackopt.learning.mean_field.settings import TIME_LIMIT, AtDecision, first_policy, followers_at
from stackopt.solution import Refusal, Report, Run

#: Changes of masses and values below this, relative to their size, are not carried further.
CARRIED = 1e-15
#: Halvings of a weight: to the last digit of a double.
BISECTIONS = 52
#: A sweep that does not reduce the best exploitability by this factor is the last.
GAIN = 0.5


class Current:
    """A policy of a finite horizon with its population and optimal values, kept up to date stage by stage.

    When one stage changes, masses are recomputed forward only as far as they change, and values backward only from there: a sweep costs
    stages times the length of a disturbance, not stages squared.
    """

    def __init__(self, followers: Followers, at: Evaluated) -> None:
        self.followers = followers
        self.policy, self.mu, self.y = at.policy.copy(), at.mean_field.copy(), at.y.copy()
        self.rewards = np.array(followers.game.rewards(self.y, followers.theta))
        self.kernels = list(followers.stage_kernels(self.y))
        self.q, self.value = at.q.copy(), at.value.copy()

    def play(self, t: int, policy: Array) -> Array:
        """Stage t plays policy [K, S, B]; returns the optimal values of its actions afterwards [K, S, B]."""
        if np.array_equal(policy, self.policy[:, t]):
            return self.q[:, t]
        followers, game = self.followers, self.followers.game
        T = self.mu.shape[1]
        self.policy[:, t] = policy
        last = t
        for u in range(t, T):
            last = u
            flows = operators.flow(self.mu[:, u : u + 1], self.policy[:, u : u + 1])
            self.y[u] = followers.stage_statistics(u, flows)
            if not game.kernel_is_fixed:
                self.kernels[u] = followers.stage_kernel(u, self.y[u])
            if u + 1 == T:
                break
            mass = self.kernels[u].push(flows)[:, 0]
            moved = np.abs(mass - self.mu[:, u + 1]).max()
            self.mu[:, u + 1] = mass
            if moved <= CARRIED:
                break
        stages: Any = np.arange(t, last + 1)
        self.rewards[:, t : last + 1] = game.rewards(self.y[t : last + 1], followers.theta, stages)
        for u in range(last, t - 1, -1):
            self._back(u)
        return self.q[:, t]

    def _back(self, u: int) -> None:
        q = self.rewards[:, u : u + 1]
        if u + 1 < self.mu.shape[1]:
            q = q + self.followers.game.discount * self.kernels[u].expect(self.value[:, u + 1 : u + 2])
        self.q[:, u], self.value[:, u] = q[:, 0], q[:, 0].max(-1)


def sweep(followers: Followers, at: Evaluated) -> Evaluated:
    """One sweep over all stages from a policy; it is finished even if time runs out, since half a sweep is worth little."""
    current = Current(followers, at)
    for t in range(current.mu.shape[1]):
        _stage(current, t)
    return followers.evaluate(current.policy)


def _stage(current: Current, t: int) -> None:
    """Stage t answers; if the answer changes what is best, it mixes both so that it is indifferent."""
    first = best_actions(current.q[:, t])
    second = best_actions(current.play(t, first))
    if np.array_equal(first, second):
        return
    mass = (current.followers.game.weights[:, None] * current.mu[:, t])[..., None]

    def undecided(weight: float) -> float:
        """How much better `first` is than `second` when all play first with the given weight."""
        q = current.play(t, weight * first + (1.0 - weight) * second)
        return float((mass * (first - second) * q).sum())

    if not (undecided(0.0) > 0.0 > undecided(1.0)):  # no mixture of the two is indifferent
        current.play(t, second)
        return
    low, high = 0.0, 1.0
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        if undecided(middle) > 0.0:
            low = middle
        else:
            high = middle
        if high - low <= 1e-16 * (1.0 + high):
            break


def best_actions(q: Array) -> Array:
    """The first best action of every state, as a policy."""
    found: Array = np.eye(q.shape[-1])[q.argmax(-1)]
    return found


def gauss_seidel(search: Search, at: Evaluated, sweeps: int, gain: float = GAIN) -> str:
    """Sweeps until solved, until one gains too little, or `sweeps` are done; returns why it stopped."""
    search.stage = "Gauss-Seidel"
    trail = Trail()
    for done in range(sweeps):
        before = search.best.exploitability
        at = search.take(sweep(search.followers, at))
        if search.over:
            return "solved" if search.solved else "time"
        period = trail.period(at.policy)
        if period:
            search.stats["period"] = period
            return f"sweeps cycle with period {period}"
        if not search.best.exploitability <= gain * before:
            return f"sweep {done + 1} does not reduce the exploitability to {gain:g} of what it was"
    return f"{sweeps} sweeps ran out"


def greedy(search: Search, at: Evaluated, rounds: int = 2) -> None:
    """Best responses to the population as it is: enough where followers hardly matter to each other."""
    search.stage = "best responses"
    for _ in range(rounds):
        at = search.offer(best_actions(at.q))
        if search.over:
            return


@dataclass(frozen=True)
class GaussSeidel(AtDecision):
    """Stage-wise Gauss-Seidel, for finite horizons: each stage in turn plays its best response to the population as it is now.

    Where the response would undo itself, the stage mixes so that it is indifferent between the two, by bisection. One scalar for each
    stage: exact where all states of a stage that are undecided tie together, as in epidemics with one susceptible state.

    Parameters
    ----------
    theta : array [D], optional
        The leader's decision; needed where it has a choice.
    sweeps : int
        The most sweeps.
    tolerance : float
        On the exploitability, relative to that of uniform policies.
    time_limit : float
        Seconds; a sweep that has begun is finished.

    Examples
    --------
    >>> import stackopt as so
    >>> so.GaussSeidel(sweeps=4).name
    'Gauss-Seidel'
    """

    theta: Any = None
    sweeps: int = 20
    tolerance: float = 1e-6
    time_limit: float = TIME_LIMIT

    @property
    def name(self) -> str:
        """How it is called in tables."""
        return "Gauss-Seidel"

    def refuses(self, problem: Any) -> Refusal | None:
        """Other problems, a leader's choice that was not told, and cyclic horizons."""
        refusal = super().refuses(problem)
        if refusal is None and problem.cyclic:
            return Refusal("no-last-stage", because=f"horizon: {problem.horizon}")
        return refusal

    def run(self, problem: MeanFieldStackelbergGame, *, seed: int = 0, report: Report | None = None) -> Run[Population]:
        """Sweep until the true exploitability is within the tolerance."""
        followers = followers_at(self, problem)
        search = Search(followers, self.tolerance, self.time_limit, report)
        start = search.best if seed == 0 else search.offer(first_policy(followers, seed))
        return search.run(gauss_seidel(search, start, self.sweeps, gain=np.inf))
