"""What a fitted follower says about itself: does it explain the choices, would a frozen gradient do, how much may be missed."""

from __future__ import annotations

import math

import numpy as np

from stackopt.games.operators import Array
from stackopt.games.stackelberg import StackelbergGame
from stackopt.learning.from_samples.inverse import Tastes, fit, soft_values
from stackopt.learning.from_samples.levels import Levels
from stackopt.learning.hypergradient import commitment_gradient


def misfit(game: StackelbergGame, tastes: Tastes, policies: Array, counts: Array) -> float:
    """How far choices are from the fitted responses: L1 beyond noise, averaged over states and policies by visits.

    Parameters
    ----------
    game : StackelbergGame
        With the known part of the followers' reward.
    tastes : Tastes
    policies : array [D, S, A]
    counts : array [D, S, B]
    """
    y = tastes.response(game, policies)
    visits = counts.sum(-1)
    some = np.maximum(visits, 1.0)[..., None]
    noise = math.sqrt(2.0 / math.pi) * np.sqrt(y * (1.0 - y) / some).sum(-1)
    distance = np.abs(counts / some - y).sum(-1) - noise
    return float((visits * distance).sum() / visits.sum())


def alignment(game: StackelbergGame, tastes: Tastes, levels: Levels, at: Array) -> float:
    """The cosine between the gradient with followers frozen and the full one, along the levels; NaN where one vanishes  [C1, C4]."""
    g = commitment_gradient(tastes.game(game), levels.policy(at), tastes.temperature)
    frozen, full = (levels.gradient(at, part) for part in (g.direct, g.direct + g.response))
    length = float(np.linalg.norm(frozen) * np.linalg.norm(full))
    return float(frozen @ full) / length if length > 0 else math.nan


def resampled_regret(
    game: StackelbergGame, tastes: Tastes, levels: Levels, at: Array, seen: tuple[Array, Array], guess: float, resamples: int, rng: np.random.Generator
) -> float:
    """The largest regret of `at` over refits to resampled counts. Heuristic: it ignores what is wrong with the model, and is no bound.

    `seen` are the policies tried [D, S, A] and the choices under each [D, S, B].
    """
    policies, counts = seen
    menu = levels.policy(np.concatenate([levels.menu, np.asarray(at, float)[None]]))
    worst = 0.0
    for _ in range(resamples):
        again = []
        for chosen in counts:
            total = chosen.sum(1)
            rates = np.where(total[:, None] > 0, chosen / np.maximum(total, 1e-300)[:, None], 1.0 / chosen.shape[1])
            again.append(rng.multinomial(np.rint(total).astype(int), rates))
        refitted = fit(game, policies, np.array(again, float), levels.of_state, guess, tastes)
        values = soft_values(refitted.game(game), menu, refitted.temperature)
        worst = max(worst, float(values.max() - values[-1]))
    return worst
