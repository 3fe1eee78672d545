"""Mean-field games of other libraries in plain form: arrays and small picklable functions, float64, none of those libraries.

Finite horizon, rewards at every stage, nothing after the last; types, if there are several, are equally many. Functions of (stages [n],
statistics [n, J], theta) have the layout [K, T, S, B] of `stackopt.MeanFieldStackelbergGame`; `as_game` makes one. `exploitability` is
an evaluator of its own, so that nobody's word is taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    import stackopt as so

Array = np.ndarray
NO_THETA = np.zeros(0)


@dataclass(frozen=True, eq=False)
class Environment:
    """A finite-horizon mean-field game.

    Attributes
    ----------
    name : str
        As the library calls it, with what differs from its defaults in brackets.
    stages, states, actions : int
        T stages (the library's horizon plus one), S, B.
    initial : array [S] or [K, S]
        The population at stage 0.
    reward : callable
        reward(t [n], y [n, J], theta) -> broadcastable to [K, n, S, B]; y may be complex.
    transition : array [S, B, S], sparse array [S * B, S] or callable
        The callable is transition(t [n], y [n, J], theta) -> [n, S, B, S].
    statistic : ``"states"``, ``"state-actions"`` or array [S, B, J] or [K, 1, S, B, J]
        What of the population the players see: averages over all types.
    types : int
        K.
    """

    name: str
    stages: int
    states: int
    actions: int
    initial: Array
    reward: Callable[[Array, Array, Array], Array]
    transition: Any
    statistic: Any = "states"
    types: int = 1

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(K, T, S, B)."""
        return self.types, self.stages, self.states, self.actions

    @property
    def uniform(self) -> Array:
        """The policy that draws every action alike.  [K, T, S, B]"""
        return np.full(self.shape, 1.0 / self.actions)


def as_game(environment: Environment) -> so.MeanFieldStackelbergGame:
    """The environment as the package's own type."""
    import stackopt as so

    return so.MeanFieldStackelbergGame(
        so.Finite(environment.stages, environment.initial),
        reward=environment.reward,
        transition=environment.transition,
        statistic=environment.statistic,
        sizes=(environment.types, environment.states, environment.actions),
        name=environment.name,
    )


# --- an evaluator of its own -------------------------------------------------------------------------------------------


def exploitability(environment: Environment, policy: Array) -> float:
    """What one player gains by the best response to everybody's `policy` [K, T, S, B], from the initial population; the types' average."""
    K, T, S, B = environment.shape
    start = np.broadcast_to(environment.initial, (K, S))
    mass, kernels, rewards = start, [], []
    for t in range(T):
        flow = mass[:, :, None] * policy[:, t]
        stage, y = np.array([t]), _statistic(environment.statistic, flow)[None]
        kernels.append(_rows(environment.transition, stage, y))
        rewards.append(np.broadcast_to(environment.reward(stage, y, NO_THETA), (K, 1, S, B))[:, 0])
        mass = np.stack([kernels[-1].T @ flow[k].ravel() for k in range(K)])
    gain = 0.0
    for k in range(K):
        best = own = np.zeros(S)
        for t in reversed(range(T)):
            best = (rewards[t][k] + (kernels[t] @ best).reshape(S, B)).max(-1)
            own = (policy[k, t] * (rewards[t][k] + (kernels[t] @ own).reshape(S, B))).sum(-1)
        gain += float(start[k] @ (best - own)) / K
    return gain


def _statistic(statistic: Any, flow: Array) -> Array:
    """Averages over all types of flows [K, S, B]: [J]."""
    if isinstance(statistic, str):
        mean = flow.mean(0)
        return mean.sum(-1) if statistic == "states" else mean.ravel()
    if statistic.ndim == 3:
        return np.tensordot(flow.mean(0), statistic, 2)
    return np.tensordot(flow, statistic[:, 0], 3) / len(flow)


def _rows(transition: Any, stage: Array, y: Array) -> Any:
    """The kernel of one stage as a matrix [S * B, S]."""
    if sparse.issparse(transition):
        return transition
    kernel = transition(stage, y, NO_THETA)[0] if callable(transition) else transition
    return kernel.reshape(-1, kernel.shape[-1])


# --- building blocks ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Crowding:
    """base [T or 1, S, B] - weight * log(y_s), with y_s kept away from 0: by adding `epsilon`, or where it is less (`clamped`)."""

    base: Array
    weight: float
    epsilon: float
    clamped: bool = False

    def __call__(self, t: Array, y: Array, theta: Array) -> Array:
        """At stages t [n] and statistics y [n, J]."""
        inside = np.where(y.real < self.epsilon, self.epsilon, y) if self.clamped else y + self.epsilon
        return self.base[t if len(self.base) > 1 else np.zeros_like(t)] - self.weight * np.log(inside)[:, :, None]


def moves(targets: list[tuple[float, Array]], states: int, actions: int) -> sparse.csr_array:
    """A kernel from (probability, next state [S, B]) pairs.  [S * B, S]"""
    rows = np.tile(np.arange(states * actions), len(targets))
    columns = np.concatenate([target.ravel() for _, target in targets])
    return sparse.csr_array((np.repeat([p for p, _ in targets], states * actions), (rows, columns)), shape=(states * actions, states))


def random_bits(seed: int) -> Callable[[int], Array]:
    """Draws of PyTorch's generator after ``manual_seed(seed)``: whole 32-bit words."""
    state = np.random.RandomState(seed)
    return lambda size: state.randint(0, 2**32, size, dtype=np.uint32).astype(np.uint64)


def random_uniform(bits: Callable[[int], Array], *shape: int) -> Array:
    """``torch.rand`` in float64: 53 bits of two words, high word first."""
    words = bits(2 * math.prod(shape)).reshape(-1, 2)
    whole = (words[:, 0] << np.uint64(32)) | words[:, 1]
    return ((whole & np.uint64(2**53 - 1)) * 2.0**-53).reshape(shape)
