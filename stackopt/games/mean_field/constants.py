"""The constants of a population's soft answers, read off the arrays of an affine game (theory B6)."""

from __future__ import annotations

import numpy as np

from stackopt.bounds.lipschitz import Constants, constants, dobrushin, of_opponent, work
from stackopt.bounds.mean_field import CrowdConstants
from stackopt.games.mean_field.game import MeanFieldStackelbergGame
from stackopt.games.mean_field.horizon import Stationary
from stackopt.games.operators import Array

#: Constants are computed up to this many multiplications (seconds).
WORK = 2e9


def not_covered(game: MeanFieldStackelbergGame) -> str:
    """Why theory B6 does not cover the game: its horizon, callables, its statistic; empty if it does."""
    if not isinstance(game.horizon, Stationary):
        return f"the horizon is {game.horizon}"
    if not game.affine:
        return "rewards or transitions are callables"
    statistic = game.statistic
    if isinstance(statistic, str):
        return "" if statistic == "states" else "the statistic is the distribution of states and actions"
    per_state = statistic.shape[0] == 1 and bool((statistic == statistic[:, :, :, :1]).all())
    return "" if per_state else "the statistic depends on types or actions"


def too_large(game: MeanFieldStackelbergGame, limit: float = WORK) -> str:
    """Why the constants are not computed although the game is covered; empty if they are."""
    K, _, S, B = game.shape
    moved = S if game.transition_population is not None else 1
    needed = K * (work(S, moved, B) + S**2 * B**2)
    return f"comparing rows takes {needed:.2g} operations, more than {limit:.2g}" if needed > limit else ""


def crowd_constants(game: MeanFieldStackelbergGame, theta: Array, limit: float = WORK) -> CrowdConstants:
    """The constants of `game` under theta [D]; of a game that is not covered or too large, only why not."""
    why_not = not_covered(game) or too_large(game, limit)
    if why_not:
        return CrowdConstants((), (), (), why_not)
    K = game.shape[0]
    found = [_of_type(game, theta, k) for k in range(K)]
    return CrowdConstants(tuple(float(w) for w in game.weights), tuple(c for c, _ in found), tuple(t for _, t in found))


def _of_type(game: MeanFieldStackelbergGame, theta: Array, k: int) -> tuple[Constants, float]:
    """(constants of type k against the distribution of states, largest Dobrushin coefficient in a population that sits in one state)."""
    _, _, S, B = game.shape
    at = np.eye(S) if isinstance(game.statistic, str) else game.statistic[0, 0, :, 0]  # [S', J]: statistics of a population in state s'
    slopes = _type(game.reward_population, k)
    fixed = game.rewards(np.zeros((1, game.statistics)), theta)[k, 0]
    reward = np.broadcast_to(fixed[:, None, :], (S, S, B)) if slopes is None else fixed[:, None, :] + np.moveaxis(slopes @ at.T, -1, 1)
    moved = _type(game.transition_population, k)
    base = np.broadcast_to(game.kernel(np.zeros((1, game.statistics)), theta).dense(), (game.shape[0], 1, S, B, S))[k, 0]
    if moved is None:
        c = constants(base[:, None], fixed[:, None], game.discount)
        return of_opponent(of_opponent(c, fixed[:, None], game.discount), reward, game.discount), dobrushin(base.reshape(-1, S))
    kernel = base[:, None] + np.moveaxis(np.tensordot(at, moved, axes=1), 0, 1)  # [S, S', B, S]
    mixing = max(dobrushin(kernel[:, j].reshape(-1, S)) for j in range(S))
    return constants(kernel, reward, game.discount), mixing


def _type(array: Array | None, k: int) -> Array | None:
    """The part of a compact array [K or 1, 1, ...] that belongs to type k."""
    return None if array is None else array[min(k, len(array) - 1), 0]
