"""The followers' soft equilibrium under one decision, as the leader's methods ask for it: warm, exact, and honest where there is none."""

from __future__ import annotations

import numpy as np

from stackopt.display import number
from stackopt.games.mean_field.game import MeanFieldStackelbergGame
from stackopt.games.operators import Array
from stackopt.learning.mean_field.followers import Followers
from stackopt.learning.mean_field.leader_ascent import Settle, Settled
from stackopt.learning.mean_field.soft import SoftSearch

#: L1 distance between the policy and its soft response, by which the value moves less than a line search can see.
TOLERANCE = 1e-10
#: The same relative to action values over the temperature, where rounding does not allow more.
ROUNDING = 1e-12
#: Seconds for one equilibrium.
TIME_LIMIT = 30.0


def settle_soft(
    game: MeanFieldStackelbergGame, theta: Array, temperature: float, warm: Array | None = None, *, tolerance: float = TOLERANCE, time_limit: float = TIME_LIMIT
) -> Settled:
    """The soft equilibrium under theta [D], begun at a policy [K, T, S, B] nearby or at uniform ones."""
    followers = Followers(game, theta)
    mu, y = followers.law(game.uniform() if warm is None else warm)
    search = SoftSearch(followers, tolerance, time_limit)
    point, why = search.solve(temperature, y, mu)
    policy = point.answer.policy
    mean_field, brought = followers.law(policy, point.mu)
    off = float(np.abs(followers.respond(brought, temperature, point.answer.value).policy - policy).sum(-1).max())
    # what is asked for may be below rounding at low temperatures
    allowed = max(tolerance, ROUNDING * (1.0 + float(np.abs(point.answer.q).max())) / temperature)
    if not off <= allowed:
        return Settled(policy, mean_field, False, f"soft distance {number(off, 2)} > {number(allowed, 2)}{': ' + why if why else ''}")
    return Settled(policy, mean_field, True)


def settling(temperature: float) -> Settle:
    """`settle_soft` at one temperature, as `ascend` wants it."""

    def settle(game: MeanFieldStackelbergGame, theta: Array, warm: Array | None) -> Settled:
        return settle_soft(game, theta, temperature, warm)

    return settle
