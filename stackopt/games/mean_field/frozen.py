"""The leader's best decision against a population that is held still: what the fixed-point concept compares with (theory A.4)."""

from __future__ import annotations

import numpy as np

from stackopt.games.mean_field.derivatives import Partials
from stackopt.games.mean_field.game import MeanFieldStackelbergGame
from stackopt.games.mean_field.leaders import Menu
from stackopt.games.operators import Array

#: Starts and steps of the search where the value is not affine in theta.
STARTS, STEPS = 6, 400


def direct_gradient(game: MeanFieldStackelbergGame, flows: Array, y: Array, theta: Array) -> Array:
    r""":math:`F_\theta` [D] at masses [K, T, S, B] and statistics [T, J] that do not move."""
    gradient = Partials(game, y, theta).objective()[1]
    if game.leader_reward_leader is not None:
        gradient = gradient + (game.weights[:, None, None, None, None] * flows[..., None] * game.leader_reward_leader).sum((0, 1, 2, 3))
    return gradient


def best_decision(game: MeanFieldStackelbergGame, flows: Array, y: Array, theta: Array) -> tuple[Array, float, bool]:
    """The best decision found, the leader's value of it, and whether the search is exhaustive.

    A menu is enumerated and an affine value is best at a vertex. Otherwise projected gradient ascent from `theta` and other members
    of the set: exhaustive only if the value is concave, which is not checked.
    """
    chosen = game.leader
    assert chosen is not None

    def value(point: Array) -> float:
        return game.leader_value(flows, y, point)

    if isinstance(chosen, Menu):
        values = [value(point) for point in chosen]
        at = int(np.argmax(values))
        return chosen.points[at], values[at], True
    if game.objective is None:
        vertex = chosen.best_linear(direct_gradient(game, flows, y, theta))
        return (vertex, value(vertex), True) if value(vertex) > value(theta) else (theta, value(theta), True)
    rng = np.random.default_rng(0)
    ends = [_climb(game, flows, y, start) for start in (theta, chosen.center(), *(chosen.sample(rng) for _ in range(STARTS - 2)))]
    best = max(ends, key=value)
    return best, value(best), False


def _climb(game: MeanFieldStackelbergGame, flows: Array, y: Array, theta: Array) -> Array:
    """Projected gradient ascent with backtracking."""
    assert game.leader is not None
    here, length = game.leader_value(flows, y, theta), 1.0
    for _ in range(STEPS):
        gradient = direct_gradient(game, flows, y, theta)
        for _ in range(60):
            after = game.leader.project(theta + length * gradient)
            gained = game.leader_value(flows, y, after) - here
            if gained >= 1e-4 * float(gradient @ (after - theta)):
                break
            length *= 0.4
        else:
            break
        moved = float(np.abs(after - theta).max(initial=0.0))
        theta, here, length = after, here + gained, 2.5 * length
        if moved <= 1e-12:
            break
    return theta
