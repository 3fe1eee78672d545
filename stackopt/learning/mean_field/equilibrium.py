"""One default for equilibria of populations: cheap methods first, path following last, and the verdict by true exploitability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stackopt.games.mean_field.game import MeanFieldStackelbergGame
from stackopt.games.mean_field.population import Population
from stackopt.learning.mean_field import multiplicity
from stackopt.learning.mean_field.annealing import anneal
from stackopt.learning.mean_field.gauss_seidel import gauss_seidel, greedy
from stackopt.learning.mean_field.mirror_descent import STEPS, mirror_descent
from stackopt.learning.mean_field.path_following import follow_paths, suspicion, within_reach
from stackopt.learning.mean_field.search import Search
from stackopt.learning.mean_field.settings import TIME_LIMIT, AtDecision, first_policy, followers_at
from stackopt.learning.mean_field.soft_verdict import find
from stackopt.solution import Report, Run

#: Sweeps of Gauss-Seidel.
SWEEPS = 4
#: Rounds of mirror descent once nothing else helps.
LAST_RESORT = 100_000


@dataclass(frozen=True)
class MeanFieldEquilibrium(AtDecision):
    r"""The equilibrium of a population at a given decision of the leader: one default that switches between methods by itself.

    Best responses; stage-wise Gauss-Seidel (finite horizons); mirror descent with a few steps; then complementarity path following,
    from the best policy so far and from afar. Games too large for that are
    annealed, soft equilibria of ever lower temperature, before mirror descent goes on. With a temperature, the max-ent soft equilibrium: see `QuasiNewton`.

    Parameters
    ----------
    theta : array [D], optional
        The leader's decision; needed where it has a choice.
    temperature : float
        0: every follower's policy is optimal. Above 0: the max-ent soft response of this temperature, in units of reward (theory A.4).
    tolerance : float
        Hard: on the exploitability that followers have left, relative to that of uniform policies. Soft: on the largest L1 distance
        between a policy and the soft response to the population that it brings about.
    time_limit : float
        Seconds. A sweep of Gauss-Seidel that has begun is finished.
    starts : int
        Starts from which further equilibria are looked for once one is found; 1 looks for none.

    Notes
    -----
    CONVERGED is said only where the *true* exploitability (hard best responses against the population recomputed from the returned
    policy) is within the tolerance. Equilibria need not be unique: those with another mean field are listed in
    ``.candidate.others``, and finding none proves nothing.

    Examples
    --------
    >>> import numpy as np, stackopt as so
    >>> crowd = so.MeanFieldStackelbergGame(                      # go left or right; then be where few are, the right counts twice
    ...     so.Finite(2, initial=[1, 0, 0]), reward=np.zeros((2, 3, 2)),
    ...     transition=np.eye(3)[[[1, 2]] * 3], reward_population=np.diag([0, -1, -2])[:, None] * np.ones((3, 2, 1)))
    >>> solution = so.solve(crowd, so.MeanFieldEquilibrium())
    >>> str(solution.status), solution.candidate.policy[0, 0, 0].round(6).tolist()
    ('CONVERGED', [0.666667, 0.333333])
    """

    theta: Any = None
    temperature: float = 0.0
    tolerance: float = 1e-6
    time_limit: float = TIME_LIMIT
    starts: int = 3

    @property
    def name(self) -> str:
        """How it is called in tables."""
        return "mean-field equilibrium" + (f" tau={self.temperature:g}" if self.temperature else "")

    def run(self, problem: MeanFieldStackelbergGame, *, seed: int = 0, report: Report | None = None) -> Run[Population]:
        """Switch from method to method until the true exploitability is within the tolerance."""
        followers = followers_at(self, problem)
        if self.temperature > 0.0:
            return find(followers, self.temperature, self.tolerance, self.time_limit, seed, report, self.starts)
        search = Search(followers, self.tolerance, self.time_limit, report)
        reason = _solve(search, seed)
        others: tuple[Population, ...] = ()
        if search.solved and self.starts > 1:
            others = multiplicity.others(search, self.starts, seed)
        return search.run(reason, others, suspicion(search))


def _solve(search: Search, seed: int) -> str:
    """Stage after stage; returns why the last one stopped."""
    if search.over:
        return "time"
    tried: list[str] = []
    search.stats["stages"] = tried

    def note(stage: str, reason: str) -> bool:
        tried.append(f"{stage}: {reason}")
        return search.over

    start = search.best
    if seed != 0:
        search.stage = "a random start"
        start = search.offer(first_policy(search.followers, seed))
    greedy(search, start)
    if note("best responses", "solved" if search.solved else "followers matter to each other"):
        return tried[-1]
    if not search.followers.game.cyclic and note("Gauss-Seidel", gauss_seidel(search, search.best, SWEEPS)):
        return tried[-1]
    # a reward that brings its own products acts through few numbers, and is not to be differentiated statistic by statistic
    if within_reach(search.followers.game) and not hasattr(search.followers.game.reward, "in_statistics"):
        if note("mirror descent", mirror_descent(search, STEPS, start=start)):
            return tried[-1]
        follow_paths(search, note)
    else:
        note("annealing", anneal(search))
    if search.over:
        return tried[-1]
    search.stage = "mirror descent"
    note("mirror descent", mirror_descent(search, STEPS, start=search.best, gain=1.0, rounds=LAST_RESORT))
    return "; ".join(tried)
