"""Random games made to break bounds: ties, near-ties, periodic and absorbing kernels, discounts 0 and 0.999, single actions.

An instance is a function of (seed, index) alone, so one line reproduces it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stackopt.games.operators import Array
from stackopt.games.stackelberg import StackelbergGame

KERNELS = ("dirichlet", "sparse", "deterministic", "periodic", "near-periodic", "mixing", "absorbing", "leaderless")
REWARDS = ("uniform", "ties", "near-ties", "large", "constant", "zero")
DISCOUNTS = (0.0, 0.3, 0.9, 0.99, 0.999)
#: Size of the perturbation in near-ties.
NEAR = 1e-7


@dataclass(frozen=True, eq=False)
class Instance:
    """A random game and where it came from.

    Attributes
    ----------
    seed, index : int
    game : StackelbergGame
        Named after its kernel and rewards.
    """

    seed: int
    index: int
    game: StackelbergGame

    def rng(self, stream: int) -> np.random.Generator:
        """A generator for one purpose, independent of what else was drawn."""
        return np.random.default_rng([self.seed, self.index, stream])


def instance(seed: int, index: int) -> Instance:
    """The instance with this seed and index."""
    return Instance(seed, index, adversarial_game(np.random.default_rng([seed, index])))


def adversarial_game(
    rng: np.random.Generator,
    *,
    kernel: str | None = None,
    rewards: str | None = None,
    shape: tuple[int, int, int] | None = None,
    discounts: tuple[float, float] | None = None,
) -> StackelbergGame:
    """A small random game; whatever is not given is drawn.

    Parameters
    ----------
    rng : numpy Generator
    kernel : str, optional
        One of `KERNELS`; ``"leaderless"`` transitions do not depend on the leader.
    rewards : str, optional
        One of `REWARDS`.
    shape : (S, A, B), optional
        Up to (4, 3, 4).
    discounts : (leader, follower), optional
        Two of `DISCOUNTS`, equal half of the time.
    """
    kernel = kernel or str(rng.choice(KERNELS))
    rewards = rewards or str(rng.choice(REWARDS, p=(0.4, 0.2, 0.2, 0.1, 0.05, 0.05)))
    # a player with one action makes most bounds trivial: some of those, not many
    S, A, B = shape or (int(rng.integers(1, 5)), int(rng.choice(3, p=(0.15, 0.45, 0.4))) + 1, int(rng.choice(4, p=(0.1, 0.3, 0.3, 0.3))) + 1)
    if discounts is None:
        leader, follower = (float(g) for g in rng.choice(DISCOUNTS, 2))
        discounts = (follower, follower) if rng.random() < 0.5 else (leader, follower)
    return StackelbergGame(
        leader_reward=_rewards(rng, (S, A, B), rewards),
        follower_reward=_rewards(rng, (S, A, B), rewards),
        transition=random_kernel(rng, (S, A, B), kernel),
        leader_discount=discounts[0],
        follower_discount=discounts[1],
        initial=rng.dirichlet(np.ones(S)) if rng.random() < 0.8 else np.eye(S)[0],
        name=f"{kernel} kernel, {rewards} rewards",
    )


def random_kernel(rng: np.random.Generator, shape: tuple[int, int, int], kind: str) -> Array:
    """Transitions [S, A, B, S] of a kind of `KERNELS`."""
    S, A, B = shape
    if kind == "leaderless":
        return np.repeat(rng.dirichlet(np.ones(S), (S, 1, B)), A, axis=1)
    if kind == "dirichlet":
        return rng.dirichlet(np.ones(S), shape)
    if kind == "sparse":
        return rng.dirichlet(np.full(S, 0.15), shape)
    if kind == "deterministic":
        identity: Array = np.eye(S)[rng.integers(S, size=shape)]
        return identity
    if kind == "mixing":
        return 0.8 * rng.dirichlet(np.ones(S)) + 0.2 * rng.dirichlet(np.ones(S), shape)
    if kind == "absorbing":
        kernel = rng.dirichlet(np.ones(S), shape)
        kernel[0], kernel[-1] = np.eye(S)[0], np.eye(S)[-1]
        return kernel
    cycle = np.broadcast_to(np.roll(np.eye(S), 1, axis=1)[:, None, None, :], (*shape, S)).copy()
    return cycle if kind == "periodic" else 0.98 * cycle + 0.02 * rng.dirichlet(np.ones(S), shape)


def _rewards(rng: np.random.Generator, shape: tuple[int, int, int], kind: str) -> Array:
    coins = rng.integers(0, 2, shape).astype(float)
    kinds = {
        "uniform": rng.uniform(-1.0, 1.0, shape),
        "ties": coins,
        "near-ties": coins + NEAR * rng.standard_normal(shape),
        "large": 10.0 * rng.standard_normal(shape),
        "constant": np.full(shape, rng.standard_normal()),
        "zero": np.zeros(shape),
    }
    return kinds[kind]


def random_policy(rng: np.random.Generator, states: int, actions: int) -> Array:
    """A policy [S, actions]: mixed, pure, or nearly pure."""
    kind = rng.integers(3)
    if kind == 0:
        return rng.dirichlet(np.ones(actions), states)
    pure: Array = np.eye(actions)[rng.integers(actions, size=states)]
    return pure if kind == 1 else 0.999 * pure + 0.001 / actions


def near_or_far(rng: np.random.Generator, policy: Array) -> Array:
    """Another policy: unrelated, or one hundredth of the way to one."""
    other = random_policy(rng, *policy.shape)
    return other if rng.random() < 0.5 else 0.99 * policy + 0.01 * other


def random_temperature(rng: np.random.Generator, low: float = 0.01, high: float = 10.0) -> float:
    """Log-uniform between `low` and `high`."""
    return float(low * (high / low) ** rng.random())
