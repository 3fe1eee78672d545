"""One default for equilibria of populations: cheap methods first, path following last, and the verdict by true exploitability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stackopt.games.mean_field.game import MeanFieldStackelbergGame
from stackopt.games.mean_field.population import Population
from stackopt.learning.mean_field import multiplicity
from stackopt.learning.mean_field.gauss_seidel import gauss_seidel, greedy
from stackopt.learning.mean_field.mirror_descent import STEPS, mirror_descent
from stackopt.learning.mean_field.path import Path, reward_scale, within_reach
from stackopt.learning.mean_field.path_equations import Equations
from stackopt.learning.mean_field.search import Search
from stackopt.learning.mean_field.settings import TIME_LIMIT, check, first_policy, followers_at, refuses
from stackopt.solution import Refusal, Report, Run

#: Sweeps of Gauss-Seidel.
SWEEPS = 4
#: Relative exploitability from which path following begins at the best policy so far.
WARM = 0.05
#: Smoothing of a path that begins far away.
COLD = 0.1
#: Rounds of mirror descent once nothing else helps.
LAST_RESORT = 100_000


@dataclass(frozen=True)
class MeanFieldEquilibrium:
    r"""The equilibrium of a population at a given decision of the leader: one default that switches between methods by itself.

    Best responses; stage-wise Gauss-Seidel (finite horizons); mirror descent with a few steps; then complementarity path following,
    from the best policy so far and from afar. With a temperature, the max-ent soft equilibrium: see `QuasiNewton`.

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

    def __post_init__(self) -> None:
        check(self)

    @property
    def name(self) -> str:
        """How it is called in tables."""
        return "mean-field equilibrium" + (f" tau={self.temperature:g}" if self.temperature else "")

    def refuses(self, problem: Any) -> Refusal | None:
        """Other problems, and a leader's choice that was not told."""
        return refuses(self, problem)

    def run(self, problem: MeanFieldStackelbergGame, *, seed: int = 0, report: Report | None = None) -> Run[Population]:
        """Switch from method to method until the true exploitability is within the tolerance."""
        followers = followers_at(self, problem)
        search = Search(followers, self.tolerance, self.time_limit, report)
        reason = _solve(search, seed)
        others: tuple[Population, ...] = ()
        if search.solved and self.starts > 1:
            others = multiplicity.others(search, self.starts, seed)
        return search.run(reason, others)


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
    if note("mirror descent", mirror_descent(search, STEPS, start=start)):
        return tried[-1]
    if within_reach(search.followers):
        _paths(search, note)
        if search.over:
            return tried[-1]
    search.stage = "mirror descent"
    note("mirror descent", mirror_descent(search, STEPS, start=search.best, gain=1.0, rounds=LAST_RESORT))
    return "; ".join(tried)


def _paths(search: Search, note: Any) -> None:
    """Path following from the best policy, from afar, and once more with care."""
    equations = Equations(search.followers, reward_scale(search))
    if equations.derivatives.jumps:
        search.stats["jumps"] = equations.derivatives.jumps
    _, T, _, B = search.followers.shape
    end = max(1e-12, 0.05 * search.tolerance * equations.scale * max(search.uniform, 0.0) / (T * B))
    far = search.followers.evaluate(search.followers.game.uniform())
    folds = turns = factorisations = steps = 0
    for careful in (False, True):
        for start in ("warm", "cold"):
            if start == "warm" and not search.relative(search.best.exploitability) < WARM:
                continue
            path = Path(search, equations, careful)
            search.stage = f"{'careful ' if careful else ''}path following, {start}"
            if start == "warm":
                k = min(COLD, max(end, equations.scale * search.best.exploitability / (2.0 * T)))
                point = equations.around(search.best, k)
            else:
                point = equations.centre(far, COLD)
            followed = path.follow(point, end)
            folds, turns = folds + followed.folds, turns + followed.turns
            factorisations, steps = factorisations + followed.factorisations, steps + followed.steps
            search.stats.update(k=followed.k, folds=folds, turns=turns, factorisations=factorisations, path_steps=steps)
            why = followed.reason + (f" (the {equations.derivatives.jumps} jumps in the statistics)" if equations.derivatives.jumps else "")
            if note(search.stage, why):
                return
