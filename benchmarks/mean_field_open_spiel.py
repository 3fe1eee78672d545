"""Three crowd games of OpenSpiel 2.0 with their default parameters, written out again from their definitions.

In `crowd_modelling` and `crowd_modelling_2d` a move costs something, and the library pays that cost one stage later, in the state that
was reached. Its algorithms keep one value per place and stage, whatever the move was, so the cost that counts there is that of the move
by which a depth-first search reached the place first, for every player and policy (`first_reached`). The games below are the ones that
its algorithms solve and its NashConv evaluates; they agree with it to rounding. Costs of moves as written would be another game.

NashConv is the sum of the exploitabilities of all types, `exploitability` their average.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.mean_field_environments import Array, Crowding, Environment, moves

EPSILON = 1e-25


def first_reached(horizon: int, start: list[int], target: Array, cost: Array) -> Array:
    """The cost of the move by which each place was reached first, in the order in which the library visits.  [T, S]

    Parameters
    ----------
    start : list of int
        Places in the order in which games begin.
    target : array [S, B]
        Where a move leads; a gust of chance is one more move.
    cost : array [B]
    """
    S, B = target.shape
    found, moved = np.full((horizon, S), np.nan), np.zeros((horizon, S), bool)

    def visit(t: int, place: int, paid: float) -> None:
        if t == horizon or not np.isnan(found[t, place]):
            return
        found[t, place] = paid
        for b in range(B):
            there = target[place, b]
            if not moved[t, there]:
                moved[t, there] = True
                for gust in range(B):
                    visit(t + 1, target[there, gust], cost[b])

    for place in start:
        visit(0, place, 0.0)
    return np.nan_to_num(found)


def crowd(name: str, horizon: int, near: Array, start: list[int], target: Array, cost: Array) -> Environment:
    """Move, be moved once more by chance, be near the middle and away from others."""
    S, B = target.shape
    base = near - first_reached(horizon, start, target, cost)
    gusts = [(1 / B, target[target, gust]) for gust in range(B)]
    return Environment(name, horizon, S, B, np.full(S, 1 / S), Crowding(base[:, :, None], 1.0, EPSILON), moves(gusts, S, B))


def crowd_modelling(horizon: int = 10, size: int = 10) -> Environment:
    """A ring."""
    x, step = np.arange(size), np.arange(-1, 2)
    near = 1 - np.abs(x - size // 2) / (size // 2)
    return crowd("crowd_modelling", horizon, near, list(range(size)), (x[:, None] + step) % size, np.abs(step) / size)


def crowd_modelling_2d(horizon: int = 10, size: int = 10) -> Environment:
    """A torus; place x * size + y."""
    dx, dy = np.array([0, -1, 0, 1, 0]), np.array([-1, 0, 0, 0, 1])
    x, y = (a.ravel() for a in np.meshgrid(np.arange(size), np.arange(size), indexing="ij"))
    near = 2 - 2 * (np.abs(x - size // 2) + np.abs(y - size // 2)) / size
    target = (x[:, None] + dx) % size * size + (y[:, None] + dy) % size
    start = [i % size * size + i // size for i in range(size * size)]
    return crowd("crowd_modelling_2d", horizon, near, start, target, (np.abs(dx) + np.abs(dy)) / size)


@dataclass(frozen=True, eq=False)
class Pursuit:
    """Of type k at place s: -log(mass of k at s) + sum_j matrix[k, j] * mass of j at s; y holds the masses of all types."""

    matrix: Array

    def __call__(self, t: Array, y: Array, theta: Array) -> Array:
        """At stages t [n] and statistics y [n, J]."""
        mass = np.moveaxis(y.reshape(len(y), len(self.matrix), -1), 1, 0)  # [K, n, S]
        attracted = (self.matrix @ mass.reshape(len(self.matrix), -1)).reshape(mass.shape)
        return (attracted - np.log(mass + EPSILON))[..., None]


def predator_prey(horizon: int = 10, size: int = 5, noise: float = 0.8) -> Environment:
    """Three types on a square, each in a corner at first; each is drawn to one of the others and shuns the third; place x * size + y."""
    dx, dy = np.array([0, 1, 0, 0, -1]), np.array([0, 0, 1, -1, 0])
    x, y = (a.ravel() for a in np.meshgrid(np.arange(size), np.arange(size), indexing="ij"))
    K, S, B, last = 3, size * size, 5, size - 1
    target = np.clip(x[:, None] + dx, 0, last) * size + np.clip(y[:, None] + dy, 0, last)
    gusts = [(1 - noise if gust == 0 else noise / 4, target[target, gust]) for gust in range(B)]
    initial = np.zeros((K, S))
    initial[[0, 1, 2], [0, last * size, last]] = 1.0
    statistic = np.zeros((K, 1, S, B, K * S))
    for k in range(K):
        statistic[k, 0, np.arange(S), :, k * S + np.arange(S)] = K
    reward = Pursuit(np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]))
    return Environment("predator_prey", horizon, S, B, initial, reward, moves(gusts, S, B), statistic, K)


OPEN_SPIEL: dict[str, Callable[..., Environment]] = {make.__name__: make for make in (crowd_modelling, crowd_modelling_2d, predator_prey)}
