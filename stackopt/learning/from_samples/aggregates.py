"""Tastes from aggregates alone: a taste per group and action, fitted to what meters read. Possibly misspecified.

Means of a few meters cannot tell apart everything a follower may like in every state. What does not fit this small
model stays wrong however many days are seen, so the race on the real system is part of the method, not an option.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from stackopt.games.operators import Array
from stackopt.games.responses import leader_value
from stackopt.games.stackelberg import StackelbergGame
from stackopt.learning.from_samples.inverse import LOG_SHARPNESS, Tastes, contrast
from stackopt.learning.oracles import day_visits, metered

#: Standard deviation of the prior on the taste of a group and action, in temperatures: wide, a few meters must decide.
TASTE = 5.0
#: Starting points for the temperature, relative to the guess.
STARTS = (1.0, 0.3)
#: The most evaluations of a fit; later ones start from the last.
TRIALS = 20


def expected(game: StackelbergGame, tastes: Tastes, policies: Array, meters: Array, steps: int) -> Array:
    """The leader's value and what meters read on a settled day under each policy [D, S, A], [D, 1 + M]."""
    response = tastes.response(game, policies)
    visits = day_visits(game, policies, response, steps)
    reading = metered(meters, visits[..., None] * response, 1.0)
    assert reading is not None
    return np.concatenate([leader_value(game, policies, response)[:, None], reading], 1)


def fit_aggregates(
    game: StackelbergGame, policies: Array, means: Array, errors: Array, *, meters: Array, steps: int, groups: Any, guess: float, start: Tastes | None = None
) -> Tastes:
    """The taste per group and action, and the temperature, that explain the meters best.

    Parameters
    ----------
    game : StackelbergGame
        With the known part of the follower's reward.
    policies : array [D, S, A]
    means, errors : array [D, 1 + M]
        Means over days of the leader's value and of each meter, and their standard deviations.
    meters : array [S, B, M]
    steps : int
        Steps of a day.
    groups : int array [S]
    guess : float
        The centre of the prior on the temperature.
    start : Tastes, optional
        An earlier estimate.
    """
    from scipy.optimize import least_squares

    B = game.shape[2]
    G = int(groups.max()) + 1

    def tastes(z: Array) -> Tastes:
        temperature = float(np.exp(np.clip(-z[-1], -20.0, 20.0)))
        shared = np.concatenate([np.zeros((G, 1)), z[:-1].reshape(G, B - 1)], 1)
        return Tastes(shared[groups] * temperature, temperature)

    def residuals(z: Array) -> Array:
        off = (expected(game, tastes(z), policies, meters, steps) - means) / errors
        return np.concatenate([off.ravel(), z[:-1] / TASTE, [(z[-1] + np.log(guess)) / LOG_SHARPNESS]])

    begins = [np.append(np.zeros(G * (B - 1)), -np.log(guess * factor)) for factor in STARTS]
    if start is not None:
        w = (start.taste - start.taste[:, :1]) / start.temperature
        begins = [np.append(np.array([w[groups == g, 1:].mean(0) for g in range(G)]).ravel(), -np.log(start.temperature))]
    found = min((least_squares(residuals, z, max_nfev=TRIALS, x_scale="jac") for z in begins), key=lambda f: float(f.cost))
    best = tastes(found.x)
    return Tastes(best.taste, best.temperature, contrast(game, policies) > 1e-8)
