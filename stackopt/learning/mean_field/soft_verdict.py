"""The verdict on a soft equilibrium: CONVERGED on the residual that the game certifies, with the true exploitability beside it."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from stackopt.display import number
from stackopt.games.mean_field.population import Population
from stackopt.games.operators import Array
from stackopt.learning.mean_field.followers import Followers
from stackopt.learning.mean_field.multiplicity import apart
from stackopt.learning.mean_field.search import REPORT_EVERY
from stackopt.learning.mean_field.settings import first_policy
from stackopt.learning.mean_field.soft import SoftSearch
from stackopt.solution import Progress, Report, Run, Status

#: Types times stages, states and actions up to which further starts are cheap.
CHEAP = 20_000


def find(
    followers: Followers, temperature: float, tolerance: float, time_limit: float, seed: int, report: Report | None, starts: int = 1
) -> Run[Population]:
    """Search by `SoftSearch` from one start, then look from `starts` - 1 random ones for equilibria with another mean field."""
    search = SoftSearch(followers, tolerance, time_limit, throttled(report))
    mu, y = followers.law(first_policy(followers, seed))
    point, why = search.solve(temperature, y, mu)
    history = {"gap": list(search.gaps), "temperature": list(search.temperatures)}
    stats = {"responses": search.responses, "jacobians": search.jacobians}
    others = []
    if not why and math.prod(followers.shape) <= CHEAP:
        rng = np.random.default_rng(seed + 1)
        K, T, S, B = followers.shape
        known = [point.brought]
        for _ in range(starts - 1):
            mu, y = followers.law(rng.dirichlet(np.full(B, 0.3), (K, T, S)))
            other, failed = search.solve(temperature, y, mu)
            if not failed and all(apart(other.brought, y, tolerance) for y in known):
                known.append(other.brought)
                others.append(population(followers, other.answer.policy, other.mu, temperature, tolerance))
    return verdict(followers, point.answer.policy, point.mu, temperature, tolerance, why, stats, history, tuple(others))


def population(
    followers: Followers, policy: Array, mu: Array, temperature: float, tolerance: float, others: tuple[Population, ...] = ()
) -> Population:
    """The candidate of a soft policy; its law is recomputed from `mu` on."""
    game, theta = followers.game, followers.theta
    mu, y = followers.law(policy, mu)
    claim = game.leader_value(mu[..., None] * policy, y, theta)
    return Population(theta, policy, mu, temperature, tolerance=tolerance, claim=claim, others=others)


def verdict(
    followers: Followers,
    policy: Array,
    mu: Array,
    temperature: float,
    tolerance: float,
    reason: str,
    stats: Mapping[str, Any],
    history: Mapping[str, Any],
    others: tuple[Population, ...] = (),
) -> Run[Population]:
    """CONVERGED where the policy is within `tolerance` of the soft response to the population that it brings about, else LIMIT.

    Both residuals are recomputed here from the policy alone: the soft one (largest L1 distance) and the true exploitability.
    """
    candidate = population(followers, policy, mu, temperature, tolerance, others)
    hard = followers.evaluate(policy, candidate.mean_field)
    soft = followers.respond(hard.y, temperature)
    distance = float(np.abs(soft.policy - policy).sum(-1).max())
    uniform = followers.evaluate(followers.game.uniform()).exploitability
    relative = hard.exploitability / uniform if uniform > 0 else hard.exploitability
    stats = {
        "soft_distance": distance,
        "exploitability": hard.exploitability,
        "relative": relative,
        "uniform": uniform,
        "multiplicity": f"found: {len(others) + 1} equilibria" if others else "not detected",
        **stats,
    }
    measured = f"within {number(distance)} of the soft response (true exploitability {number(relative, 3)} of uniform policies')"
    if not np.isfinite(distance):
        return Run(Status.FAILED, candidate, stats=stats, because="values are not finite", history=history)
    if distance <= tolerance:
        return Run(Status.CONVERGED, candidate, stats=stats, because=f"{measured}, tolerance {number(tolerance)}", history=history)
    because = f"{measured}, tolerance {number(tolerance)}: {reason or 'the last digits are lost'}"
    return Run(Status.LIMIT, candidate, stats=stats, because=because, history=history)


def throttled(report: Report | None) -> Any:
    """A report of (stage, done, residual) at most every 0.1 s."""
    if report is None:
        return None
    last = [-np.inf]

    def announce(stage: str, done: int, residual: float) -> None:
        now = time.monotonic()
        if now - last[0] >= REPORT_EVERY:
            last[0] = now
            report(Progress(stage, done, None, residual))

    return announce
