"""Complementarity path following as a method: from the best policy so far or from afar, and once more with care."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stackopt.games.mean_field.game import MeanFieldStackelbergGame
from stackopt.games.mean_field.population import Population
from stackopt.learning.mean_field.mirror_descent import span
from stackopt.learning.mean_field.path import Path
from stackopt.learning.mean_field.path_equations import Equations
from stackopt.learning.mean_field.search import Search
from stackopt.learning.mean_field.settings import TIME_LIMIT, AtDecision, first_policy, followers_at
from stackopt.solution import Refusal, Report, Run

#: Relative exploitability from which a path begins at the best policy so far.
WARM = 0.05
#: Smoothing of a path that begins far away.
COLD = 0.1
#: The largest systems that are tried: unknowns (sparse), statistics over all stages (dense), entries of a sweep, states of a period.
LARGEST_SPARSE = 20_000
LARGEST_DENSE = 2_000
LARGEST_SWEEP = 100_000_000
LARGEST_PERIOD = 1_500


@dataclass(frozen=True)
class PathFollowing(AtDecision):
    """Complementarity path following: equilibria of a smoothed game are followed until the smoothing is gone.

    Policy p and slack z of every action satisfy p z = k (Chen, Harker, Kanzow and Smale). First k is divided again and again, with
    damped Newton steps at each; where that fails the curve is followed by arclength, past its turning points. The exploitability on
    it is at most T B k in units of the span of action values, discounted B k / (1 - discount).

    Parameters
    ----------
    theta : array [D], optional
        The leader's decision; needed where it has a choice.
    tolerance : float
        On the exploitability, relative to that of uniform policies.
    time_limit : float
        Seconds.

    Examples
    --------
    >>> import stackopt as so
    >>> so.PathFollowing().name
    'path following'
    """

    theta: Any = None
    tolerance: float = 1e-6
    time_limit: float = TIME_LIMIT

    @property
    def name(self) -> str:
        """How it is called in tables."""
        return "path following"

    def refuses(self, problem: Any) -> Refusal | None:
        """Other problems, a leader's choice that was not told, and games too large to be factorised."""
        refusal = super().refuses(problem)
        if refusal is None and not within_reach(problem):
            return Refusal("path-too-large", because=f"(K, T, S, B) = {problem.shape}, {problem.statistics} statistics")
        return refusal

    def run(self, problem: MeanFieldStackelbergGame, *, seed: int = 0, report: Report | None = None) -> Run[Population]:
        """Follow the path until the true exploitability is within the tolerance."""
        followers = followers_at(self, problem)
        search = Search(followers, self.tolerance, self.time_limit, report)
        if seed != 0:
            search.offer(first_policy(followers, seed))
        tried: list[str] = []

        def note(stage: str, reason: str) -> bool:
            tried.append(f"{stage}: {reason}")
            return search.over

        search.stats["stages"] = tried
        if not search.over:
            follow_paths(search, note)
        return search.run("; ".join(tried), suspected=suspicion(search))


def follow_paths(search: Search, note: Callable[[str, str], bool]) -> None:
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


def suspicion(search: Search) -> str:
    """Why there may be several equilibria, from the shape of the paths; empty if nothing says so (which proves nothing)."""
    folds, turns = int(search.stats.get("folds", 0)), int(search.stats.get("turns", 0))
    found = [f"{folds} turning points"] * bool(folds) + [f"the Jacobian changed sign {turns} times"] * bool(turns)
    return " and ".join(found)


def reward_scale(search: Search) -> float:
    """1 over the span of action values at uniform policies."""
    width = max(span(search.first.q), span(search.first.own_q))
    return 1.0 / width if width > 0 else 1.0


def within_reach(game: MeanFieldStackelbergGame) -> bool:
    """Whether Newton's equations of a game are small enough to be factorised."""
    K, T, S, B = game.shape
    columns = T * game.statistics
    if not game.cyclic and game.kernel_is_fixed and str(game.statistic) == "states":
        return K * T * S <= LARGEST_SPARSE
    cyclic = S <= LARGEST_PERIOD if game.cyclic else True
    return columns <= LARGEST_DENSE and T * S * B * columns <= LARGEST_SWEEP and cyclic
