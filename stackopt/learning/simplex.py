"""Geometry of a product of simplices: projection, first-order gap, policies that are constant on observation classes."""

from __future__ import annotations

import numpy as np

from stackopt.games.operators import Array
from stackopt.games.stackelberg import StackelbergGame


def first_order_gap(policy: Array, gradient: Array) -> Array:
    r"""The most a linear model of the objective promises: :math:`\max_{z}\langle g,z-x\rangle=\sum_o(\max_a g_{oa}-\langle x_o,g_o\rangle)`.

    [..., O, A] to [...]. Non-negative, in the units of the objective, and zero exactly at points that satisfy the
    first-order (KKT) conditions over the product of simplices.
    """
    gap: Array = (gradient.max(-1) - (policy * gradient).sum(-1)).sum(-1)
    return gap


def distance(policy: Array, other: Array) -> Array:
    r""":math:`D(x,x')=\max_s\|x(\cdot|s)-x'(\cdot|s)\|_1\in[0,2]`; [..., S, A] to [...]."""
    farthest: Array = np.abs(policy - other).sum(-1).max(-1)
    return farthest


def spread(game: StackelbergGame, by_observation: Array) -> Array:
    """A policy on observations [..., O, A] as a policy on states [..., S, A]."""
    return by_observation if game.leader_sees_state else np.take(by_observation, game.observations, axis=-2)


def gather(game: StackelbergGame, by_state: Array) -> Array:
    """The sum over each observation class: a gradient on states [..., S, A] as one on observations [..., O, A]."""
    if game.leader_sees_state:
        return by_state
    classes = np.arange(int(game.observations.max()) + 1)
    member = (classes[:, None] == game.observations).astype(np.float64)  # [O, S]
    total: Array = np.matmul(member, by_state)
    return total
