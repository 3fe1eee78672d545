"""What the leader of a population chooses from: a box, a simplex, a menu, or policies over a state of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from stackopt.errors import InvalidGame
from stackopt.games import validation
from stackopt.games.operators import Array
from stackopt.games.simplex import project


@dataclass(frozen=True, eq=False)
class Box:
    """Parameters between bounds, each on its own: ``lower <= theta <= upper``, arrays [D]."""

    lower: Any
    upper: Any

    def __post_init__(self) -> None:
        lower, upper = (np.atleast_1d(validation.as_float(name, getattr(self, name), "[D]")) for name in ("lower", "upper"))
        if lower.ndim != 1 or lower.shape != upper.shape:
            raise InvalidGame("leader-set", law="`lower` and `upper` of equal length", got=f"shapes {lower.shape} and {upper.shape}")
        bad = ~(np.isfinite(lower) & np.isfinite(upper) & (lower <= upper))
        if bad.any():
            d = int(bad.argmax())
            raise InvalidGame("leader-set", law="finite bounds, lower <= upper", got=f"parameter {d} in [{lower[d]:.6g}, {upper[d]:.6g}]")
        object.__setattr__(self, "lower", validation.freeze(lower))
        object.__setattr__(self, "upper", validation.freeze(upper))

    @property
    def size(self) -> int:
        """D."""
        return len(self.lower)

    def project(self, theta: Array) -> Array:
        """The nearest member to theta [..., D]."""
        nearest: Array = np.clip(theta, self.lower, self.upper)
        return nearest

    def center(self) -> Array:
        """A member in the middle [D]."""
        middle: Array = 0.5 * (self.lower + self.upper)
        return middle

    def sample(self, rng: np.random.Generator) -> Array:
        """A random member [D]."""
        drawn: Array = rng.uniform(self.lower, self.upper)
        return drawn

    def best_linear(self, gradient: Array) -> Array:
        """A member [D] with the largest inner product with `gradient` [D]."""
        vertex: Array = np.where(gradient > 0, self.upper, self.lower)
        return vertex

    def __str__(self) -> str:
        return f"{self.size} parameter{'s' if self.size != 1 else ''} in a box"


@dataclass(frozen=True)
class Policies:
    """A mixed action of the leader in each state of its own: theta is [states * actions], row by row on simplices.

    The leader's state moves by itself; followers see it as part of their state, and their rewards and transitions, affine or
    callable in theta, read the row that belongs to it.
    """

    states: int
    actions: int

    def __post_init__(self) -> None:
        for name in ("states", "actions"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
                raise InvalidGame("leader-set", law=f"a whole number of {name}, at least 1", got=repr(value))

    @property
    def size(self) -> int:
        """D = states * actions."""
        return int(self.states * self.actions)

    def rows(self, theta: Array) -> Array:
        """theta [..., D] as policies [..., states, actions]."""
        return theta.reshape(*theta.shape[:-1], self.states, self.actions)

    def project(self, theta: Array) -> Array:
        """The nearest member to theta [..., D]."""
        return project(self.rows(theta)).reshape(theta.shape)

    def center(self) -> Array:
        """The uniform policy [D]."""
        return np.full(self.size, 1.0 / self.actions)

    def sample(self, rng: np.random.Generator) -> Array:
        """A random policy [D], uniform on the simplices."""
        return rng.dirichlet(np.ones(self.actions), self.states).ravel()

    def best_linear(self, gradient: Array) -> Array:
        """A member [D] with the largest inner product with `gradient` [D]."""
        rows = self.rows(gradient)
        vertex: Array = (np.arange(self.actions) == rows.argmax(-1)[:, None]).astype(float).ravel()
        return vertex

    def __str__(self) -> str:
        return f"policies over {self.states} state{'s' if self.states != 1 else ''} and {self.actions} actions"


def Simplex(size: int) -> Policies:  # reads as the set it makes
    """Weights [size] that are non-negative and sum to 1: the leader's policies in a single state."""
    return Policies(1, size)


@dataclass(frozen=True, eq=False)
class Menu:
    """A finite list of choices: `points` [G, D]."""

    points: Any

    def __post_init__(self) -> None:
        points = validation.as_float("points", self.points, "[G, D]")
        if points.ndim == 1:
            points = points[:, None]
        if points.ndim != 2 or len(points) == 0:
            raise InvalidGame("leader-set", law="`points` [G, D] with at least one row", got=f"shape {points.shape}")
        validation.require_finite("points", points, "g d")
        object.__setattr__(self, "points", validation.freeze(points))

    @property
    def size(self) -> int:
        """D."""
        return int(self.points.shape[1])

    def project(self, theta: Array) -> Array:
        """The nearest point to theta [..., D]."""
        away = ((theta[..., None, :] - self.points) ** 2).sum(-1)
        nearest: Array = self.points[away.argmin(-1)]
        return nearest

    def center(self) -> Array:
        """The point nearest to the mean of all [D]."""
        return self.project(self.points.mean(0))

    def sample(self, rng: np.random.Generator) -> Array:
        """A random point [D]."""
        chosen: Array = self.points[rng.integers(len(self.points))]
        return chosen

    def best_linear(self, gradient: Array) -> Array:
        """The point [D] with the largest inner product with `gradient` [D]."""
        chosen: Array = self.points[int((self.points @ gradient).argmax())]
        return chosen

    def __iter__(self) -> Iterator[Array]:
        return iter(self.points)

    def __len__(self) -> int:
        return len(self.points)

    def __str__(self) -> str:
        return "no choice" if self.points.size == 0 else f"a menu of {len(self.points)} point{'s' if len(self.points) != 1 else ''}"


LeaderSet = Box | Policies | Menu


def distance(chosen: LeaderSet, theta: Array) -> float:
    """How far theta [D] is from the set, in the largest coordinate; NaN if it is not finite."""
    return float(np.abs(theta - chosen.project(theta)).max(initial=0.0)) if np.isfinite(theta).all() else float("nan")
