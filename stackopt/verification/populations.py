"""Random populations made to break bounds: ties, periodic chains, two recurrent classes, discounts near 1, laws that move transitions.

A population is a function of (seed, index) alone, like the games of `instances`.
"""

from __future__ import annotations

import numpy as np

from stackopt.games.mean_field.game import MeanFieldStackelbergGame
from stackopt.games.mean_field.horizon import Finite, Horizon, Periodic, Stationary
from stackopt.games.mean_field.leaders import Menu
from stackopt.games.operators import Array
from stackopt.verification.instances import DISCOUNTS, NEAR

KERNELS = ("dirichlet", "deterministic", "periodic", "mixing", "two classes")
REWARDS = ("uniform", "ties", "near-ties")


def adversarial_population(
    rng: np.random.Generator, *, moved: bool = False, kernel: str | None = None, shape: tuple[int, int, int] | None = None
) -> MeanFieldStackelbergGame:
    """A small stationary population with affine rewards; whatever is not given is drawn.

    Parameters
    ----------
    rng : numpy Generator
    moved : bool
        Whether the population moves its own transitions; they mix then.
    kernel : str, optional
        One of `KERNELS`.
    shape : (K, S, B), optional
        Up to (3, 4, 3).
    """
    K, S, B = shape or (int(rng.integers(1, 4)), int(rng.integers(2, 5)), int(rng.integers(1, 4)))
    kind = kernel or str(rng.choice(KERNELS))
    base = population_kernel(rng, (K, S, B), kind)
    by_population = None
    if moved:
        overlap, share = float(rng.choice([0.1, 0.5, 0.9])), float(rng.choice([0.0, 0.05, 0.3]))
        base = (1.0 - share) * ((1.0 - overlap) * base + overlap * rng.dirichlet(np.ones(S)))
        by_population = share * ((1.0 - overlap) * rng.dirichlet(np.ones(S), (S, S, B)) + overlap * rng.dirichlet(np.ones(S)))
    return MeanFieldStackelbergGame(
        Stationary(float(rng.choice(DISCOUNTS))), _rewards(rng, (K, S, B))[:, None], base[:, None],
        reward_population=float(rng.choice([0.1, 1.0])) * rng.uniform(-1.0, 1.0, (K, 1, S, B, S)), transition_population=by_population,
        weights=rng.dirichlet(np.ones(K)), name=f"{kind} population",
    )  # fmt: skip


def population_kernel(rng: np.random.Generator, shape: tuple[int, int, int], kind: str) -> Array:
    """Transitions [K, S, B, S] of a kind of `KERNELS`."""
    K, S, B = shape
    if kind == "deterministic":
        sure: Array = np.eye(S)[rng.integers(S, size=(K, S, B))]
        return sure
    if kind == "periodic":
        return np.broadcast_to(np.roll(np.eye(S), 1, axis=1)[:, None], (K, S, B, S)).copy()
    found = rng.dirichlet(np.ones(S), (K, S, B))
    if kind == "mixing":
        return 0.8 * rng.dirichlet(np.ones(S)) + 0.2 * found
    if kind == "two classes":
        found[:, 0], found[:, -1] = np.eye(S)[0], np.eye(S)[-1]
    return found


def tiny_population(rng: np.random.Generator) -> MeanFieldStackelbergGame:
    """A population of few enough patterns to try them all, any horizon, with a menu of two decisions and a leader who pays."""
    K, T, S, B = ((1, 1, 2, 2), (2, 1, 2, 2), (1, 2, 2, 2), (1, 1, 3, 2), (1, 1, 2, 3))[int(rng.integers(5))]
    discount = float(rng.choice([0.0, 0.5, 0.9, 0.99]))
    horizon: Horizon = Stationary(discount) if T == 1 else Periodic(T, discount) if rng.random() < 0.5 else Finite(T, rng.dirichlet(np.ones(S)))
    kind = str(rng.choice(["dirichlet", "deterministic", "two classes"]))
    rewards = rng.uniform(-1.0, 1.0, (K, T, S, B)) if rng.random() < 0.5 else rng.integers(0, 2, (K, T, S, B)).astype(float)
    return MeanFieldStackelbergGame(
        horizon, rewards, np.stack([population_kernel(rng, (K, S, B), kind) for _ in range(T)], axis=1),
        reward_population=float(rng.choice([0.3, 2.0])) * rng.uniform(-1.0, 1.0, (K, T, S, B, S)), weights=rng.dirichlet(np.ones(K)),
        leader=Menu([[0.0], [1.0]]), reward_leader=rng.uniform(-1.0, 1.0, (K, T, S, B, 1)), leader_reward=rng.uniform(-1.0, 1.0, (K, T, S, B)),
        leader_reward_leader=rng.uniform(-1.0, 1.0, (K, T, S, B, 1)), name=f"{kind} population, {horizon}",
    )  # fmt: skip


def _rewards(rng: np.random.Generator, shape: tuple[int, int, int]) -> Array:
    kind = str(rng.choice(REWARDS))
    if kind == "uniform":
        return rng.uniform(-1.0, 1.0, shape)
    coins = rng.integers(0, 2, shape).astype(float)
    return coins + NEAR * rng.standard_normal(shape) if kind == "near-ties" else coins
