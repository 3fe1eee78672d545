"""Large sparse games for the benchmarks: a mixing kernel and two that mix slowly.

In all, a leader action changes the probabilities of a row's successors and not which they are, as a price or a service
rate does, so the follower's problem keeps about `successors` non-zeros in each of its S * B rows.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

import stackopt as so

SUCCESSORS = 5


def random_targets(rng: np.random.Generator, states: int, follower_actions: int) -> np.ndarray:
    """Successors drawn uniformly: the chain forgets its state within a few steps.  [S, B, successors]"""
    return rng.integers(0, states, (states, follower_actions, SUCCESSORS))


def grid_targets(rng: np.random.Generator, states: int, follower_actions: int) -> np.ndarray:
    """A square grid, stay or move to one of four neighbours: information travels one cell a step.  [S, B, successors]"""
    side = round(states**0.5)
    i, j = np.divmod(np.arange(side * side), side)
    neighbours = [(i, j), (np.minimum(i + 1, side - 1), j), (np.maximum(i - 1, 0), j), (i, np.minimum(j + 1, side - 1)), (i, np.maximum(j - 1, 0))]
    targets = np.stack([a * side + b for a, b in neighbours], 1)
    return np.repeat(targets[:, None, :], follower_actions, 1)


def chain_targets(rng: np.random.Generator, states: int, follower_actions: int) -> np.ndarray:
    """A line, moves of at most two states: the longest way for information to go.  [S, B, successors]"""
    line = np.arange(states)
    moves = np.stack([np.clip(line + step, 0, states - 1) for step in (0, 1, -1, 2, -2)], 1)
    return np.repeat(moves[:, None, :], follower_actions, 1)


TARGETS = {"random": random_targets, "grid": grid_targets, "chain": chain_targets}


def sparse_game(kind: str, states: int, leader_actions: int, follower_actions: int, discount: float, seed: int = 0) -> so.StackelbergGame:
    """A game with CSR transitions; ``"grid"`` rounds `states` to a square. Rewards lie in [0, 1]."""
    rng = np.random.default_rng(seed)
    targets = TARGETS[kind](rng, states, follower_actions)
    S, A, B = len(targets), leader_actions, follower_actions
    mass = rng.random((S, A, B, SUCCESSORS))
    if kind != "random":  # each follower action pushes its own way
        for b in range(B):
            mass[:, :, b, b % SUCCESSORS] += 2.5
    mass /= mass.sum(-1, keepdims=True)
    columns = np.broadcast_to(targets[:, None], mass.shape).astype(np.int32)
    ends = np.arange(S * A * B + 1, dtype=np.int32) * SUCCESSORS
    transition = sparse.csr_matrix((mass.ravel(), columns.ravel(), ends), shape=(S * A * B, S))
    reward = rng.random((S, A, B))
    if kind == "grid":  # a smooth hill, so that the value has structure at every scale
        side = round(S**0.5)
        i, j = np.divmod(np.arange(S), side)
        hill = np.exp(-8.0 * ((i / side - 0.7) ** 2 + (j / side - 0.7) ** 2))
        reward = 0.9 * hill[:, None, None] + 0.1 * reward
    return so.StackelbergGame(rng.random((S, A, B)), reward, transition, discount=discount, name=f"{kind} {S}")


def small_games(count: int, states: int = 8, actions: int = 3, discount: float = 0.9, seed: int = 0) -> so.StackelbergGame:
    """A batch of random dense games."""
    rng = np.random.default_rng(seed)
    shape = (count, states, actions, actions)
    transition = rng.dirichlet(np.full(states, 0.3), shape)
    return so.StackelbergGame(rng.uniform(-1, 1, shape), rng.uniform(-1, 1, shape), transition, discount=discount, name=f"{count} games")
