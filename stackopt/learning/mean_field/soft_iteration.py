"""Softmax policy iteration of a population: everybody moves a fraction of the way to the soft response, again and again."""

from __future__ import annotations

from typing import Any

import numpy as np

from stackopt.games.mean_field.population import Population
from stackopt.learning.mean_field.followers import Followers
from stackopt.learning.mean_field.mirror_descent import span
from stackopt.learning.mean_field.search import Trail
from stackopt.learning.mean_field.settings import first_policy
from stackopt.learning.mean_field.soft_verdict import throttled, verdict
from stackopt.solution import Report, Run

#: On rungs of a ladder above the last: this distance, and at most so many rounds.
RUNG_TOLERANCE, RUNG_ROUNDS = 1e-4, 200


def softmax_policy_iteration(
    followers: Followers, temperature: float, *, damping: float, tolerance: float, iterations: int, rungs: int, seed: int, report: Report | None
) -> Run[Population]:
    r""":math:`y\leftarrow(1-d)\,\mathrm{softmax}(Q_\tau/\tau)+d\,y` with :math:`Q_\tau` of the population that y brings about, and d the damping.

    Parameters
    ----------
    rungs : int
        Temperatures above the one asked for, from half the span of action values down, each begun where the last ended.
    """
    announce = throttled(report)
    policy = first_policy(followers, seed)
    at = followers.evaluate(followers.game.uniform())
    heat = max(temperature, 0.5 * max(span(at.q), span(at.own_q)))
    history: dict[str, list[float]] = {"residual": []}
    mu, reason, done = None, "", 0
    stats: dict[str, Any] = {}
    for rung in range(rungs, -1, -1):
        tau = temperature * (heat / temperature) ** (rung / max(rungs, 1))
        goal, most = (tolerance, iterations) if rung == 0 else (RUNG_TOLERANCE, RUNG_ROUNDS)
        trail, value = Trail(), None
        history["residual"].clear()  # of the last rung alone
        for done in range(most + 1):
            mu, y = followers.law(policy, mu)
            answer = followers.respond(y, tau, value)
            value = answer.value
            distance = float(np.abs(answer.policy - policy).sum(-1).max())
            history["residual"].append(distance)
            if announce is not None:
                announce(f"softmax policy iteration, temperature {tau:g}", done, distance)
            if not distance > goal:
                reason = ""
                break
            period = trail.period(policy)
            if period and rung == 0:
                stats["period"] = period
            if period:
                reason = f"the iterates cycle with period {period}; damping may break it, so.QuasiNewton({temperature:g}) does not need any"
                break
            reason = f"{iterations} iterations ran out"
            policy = (1.0 - damping) * answer.policy + damping * policy
    assert mu is not None
    stats |= {"iterations": done, "residual": history["residual"][-1]}
    return verdict(followers, policy, mu, temperature, tolerance, reason, stats, history)
