"""The learner that takes followers as frozen, kept so that it can be seen to fail  [C4].

It differentiates its own reward while the followers' behaviour, as just observed, stays what it is. A price acts *through* the
response, which this gradient does not contain; `alignment` on a fitted follower says how much that matters.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from stackopt.games.dynamic_programming import discounted_visits, policy_value
from stackopt.games.operators import Array, leader_reward_mdp
from stackopt.games.stackelberg import StackelbergGame
from stackopt.learning.from_samples.levels import Levels
from stackopt.learning.from_samples.system import System
from stackopt.learning.oracles import FollowerOracle


def semi_gradient(
    game: StackelbergGame,
    oracle: FollowerOracle,
    *,
    groups: Sequence[Hashable] | None = None,
    scale: Sequence[float] | None = None,
    days: int = 200,
    hold: int = 2,
    step: float = 0.15,
) -> tuple[tuple[int, Array], ...]:
    r"""Ascent along the direct term :math:`d(s)\sum_by(b|s)q_L(s,a,b)` with choice frequencies in place of the response.

    Parameters
    ----------
    game : StackelbergGame
        The leader's reward and transitions; the followers' reward is not used.
    oracle : FollowerOracle
        Must count choices.
    groups, scale
        See `Levels`. The start is the middle of the box.
    days, hold : int
        The budget, and days between steps.
    step : float
        Length of the first step relative to the scale; it falls with the square root of their number.

    Returns
    -------
    tuple of (int, array [G])
        After so many days, the levels. Not an outcome to act on: its stationary points are those of the fixed-point
        concept, where the leader does not anticipate the response.
    """
    levels = Levels(game, groups, scale)
    system = System(oracle, levels, "counts", days, days, 1)
    at = np.full(levels.size, 0.5 * (levels.low + levels.high))
    trail = [(0, at)]
    B = game.shape[2]
    total = np.zeros((game.shape[0], B))
    while system.days + hold <= days:
        seen = system.observe(at, hold).counts
        assert seen is not None
        total = 0.5 * total + seen.sum(0)  # recent behaviour, smoothed
        response = (total + 1.0 / B) / (total + 1.0 / B).sum(-1, keepdims=True)
        direct = frozen_gradient(game, levels.policy(at), response)
        slope = levels.gradient(at, direct)
        length = float(np.abs(slope).max())
        if length > 0:
            at = np.clip(at + step * (levels.high - levels.low) / np.sqrt(len(trail)) * slope / length, levels.low, levels.high)
        trail.append((system.days, at))
    return tuple(trail)


def frozen_gradient(game: StackelbergGame, leader_policy: Array, follower_policy: Array) -> Array:
    r"""The direct term of C1 at any pair of policies: the derivative of :math:`\rho^\top V_L^{x,y}` along x with y held, [S, A]."""
    mdp = leader_reward_mdp(game, leader_policy)
    value = policy_value(mdp, follower_policy)
    visits = discounted_visits(mdp, follower_policy, game.initial)
    q = game.leader_reward + game.leader_discount * (game.transition @ value)
    direct: Array = visits[:, None] * np.einsum("sb,sab->sa", follower_policy, q)
    return direct
