"""Further equilibria: found from other starts, or suspected from the shape of a path. Finding none proves nothing."""

from __future__ import annotations

import numpy as np

from stackopt.games.mean_field.population import Population
from stackopt.games.operators import Array
from stackopt.learning.mean_field.followers import Evaluated
from stackopt.learning.mean_field.gauss_seidel import best_actions, sweep
from stackopt.learning.mean_field.search import Search

#: Statistics of different equilibria differ by more than this times the tolerance.
APART = 100.0
#: Stages times states and actions up to which sweeps from other starts are cheap.
CHEAP = 500
#: Best responses and sweeps of Gauss-Seidel from each start.
ROUNDS, SWEEPS = 4, 4


def others(search: Search, starts: int, seed: int) -> tuple[Population, ...]:
    """Equilibria with another mean field, from `starts` - 1 further starts of pure policies and, where a population can be stuck, from corners."""
    game = search.followers.game
    K, T, S, B = game.shape
    found: list[Evaluated] = [search.best]
    for start, law in _starts(search, starts, seed):
        if search.late:
            break
        at = search.followers.evaluate(start, law)
        for _ in range(ROUNDS):
            if search.accepts(at) or not np.isfinite(at.exploitability):
                break
            at = search.followers.evaluate(best_actions(at.q), at.mean_field)
        sweeps = SWEEPS if not game.cyclic and K * T * S * B <= CHEAP else 0
        while sweeps and not search.accepts(at):
            before, sweeps = at.exploitability, sweeps - 1
            at = sweep(search.followers, at)
            if not at.exploitability < before:
                break
        if search.accepts(at) and all(apart(at.y, other.y, search.tolerance) for other in found):
            found.append(at)
    return tuple(_population(search, at) for at in found[1:])


def apart(y: Array, other: Array, tolerance: float) -> bool:
    """Whether statistics [T, J] differ by more than the tolerance of their equilibria explains."""
    return bool(np.abs(y - other).max(initial=0.0) > APART * tolerance * (1.0 + np.abs(y).max(initial=0.0)))


def _starts(search: Search, starts: int, seed: int) -> list[tuple[Array, Array | None]]:
    """Policies to begin from, with laws where a stationary one depends on where the population began."""
    game = search.followers.game
    K, T, S, B = game.shape
    rng = np.random.default_rng(seed)
    pure = [np.broadcast_to(np.eye(B)[b], (K, T, S, B)).copy() for b in range(min(B, starts - 1))]
    pure += [np.eye(B)[rng.integers(B, size=(K, T, S))] for _ in range(starts - 1 - len(pure))]
    found: list[tuple[Array, Array | None]] = [(policy, None) for policy in pure]
    if game.cyclic and not game.kernel_is_fixed:  # a corner may be closed: no infection without infected
        corners = range(S) if S <= 8 else rng.choice(S, 8, replace=False)
        found += [(search.best.policy, np.broadcast_to(np.eye(S)[s], (K, T, S)).copy()) for s in corners]
    return found


def _population(search: Search, at: Evaluated) -> Population:
    game, theta = search.followers.game, search.followers.theta
    claim = game.leader_value(at.mean_field[..., None] * at.policy, at.y, theta)
    return Population(theta, at.policy, at.mean_field, tolerance=search.tolerance, claim=claim)
