"""Leader policies by level: one number per group of states, between the first and the last of the leader's actions."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from stackopt.errors import InvalidMethod
from stackopt.games.operators import Array
from stackopt.games.stackelberg import StackelbergGame
from stackopt.games.validation import observation_classes

#: The most entries of a menu.
MENU = 5000


class Levels:
    """Policies that hold one level in each group of states; a level between two actions mixes the neighbours.

    Where rewards are affine in the leader's action, as a price, a mixture *is* the price in between.

    Parameters
    ----------
    game : StackelbergGame
    groups : sequence of S hashables, optional
        States with equal entries share a level; by default what the leader observes. States that the leader cannot tell
        apart must be in one group.
    scale : sequence of A increasing numbers, optional
        The level of each leader action, such as its price; 0, 1, ..., A - 1 by default.

    Attributes
    ----------
    size : int
        Number of groups G; a policy is a point of the box of levels.
    low, high : float
        The ends of the scale.
    menu : array [A ** G, G]
        All policies without mixing.
    """

    def __init__(self, game: StackelbergGame, groups: Sequence[Hashable] | None = None, scale: Sequence[float] | None = None) -> None:
        S, A, _ = game.shape
        self.scale = np.arange(float(A)) if scale is None else np.asarray(scale, float)
        if self.scale.shape != (A,) or not (np.diff(self.scale) > 0).all():
            raise InvalidMethod("setting", name="scale", law=f"{A} increasing numbers, one for each leader action", got=str(scale))
        self.of_state = np.asarray(observation_classes(groups, S)) if groups is not None else game.observations
        for k in range(int(game.observations.max()) + 1):
            if len(set(self.of_state[game.observations == k])) > 1:
                raise InvalidMethod("setting", name="groups", law="constant on what the leader cannot tell apart", got=f"two groups in observation {k}")
        self.size, self.actions = int(self.of_state.max()) + 1, A
        if A**self.size > MENU:
            raise InvalidMethod("setting", name="groups", law=f"few enough for a menu of {MENU} policies", got=f"{A} ** {self.size}")
        self.menu = np.array(list(itertools.product(self.scale, repeat=self.size)))
        self.low, self.high = float(self.scale[0]), float(self.scale[-1])

    def policy(self, levels: Array) -> Array:
        """Levels [..., G] to policies [..., S, A]; levels outside the box are cut off."""
        below, part = self._between(levels)
        weights: Array = np.zeros((*below.shape, self.actions))
        np.put_along_axis(weights, below[..., None], 1.0 - part[..., None], -1)
        if self.actions > 1:
            np.put_along_axis(weights, below[..., None] + 1, part[..., None], -1)
        return weights

    def gradient(self, levels: Array, by_policy: Array) -> Array:
        """The derivative along each level [G] of an objective whose derivative along the policy is [S, A]; one-sided at a kink."""
        if self.actions == 1:
            return np.zeros(self.size)
        below, _ = self._between(levels)
        states = np.arange(len(below))
        slope = (by_policy[states, below + 1] - by_policy[states, below]) / np.diff(self.scale)[below]
        by_group: Array = np.bincount(self.of_state, slope, self.size).astype(float)
        return by_group

    def _between(self, levels: Array) -> tuple[Any, Array]:
        """Of each state the action below its level (at most the last but one) and how far beyond it the level is, in [0, 1]."""
        at = np.clip(np.asarray(levels, float), self.low, self.high)[..., self.of_state]
        if self.actions == 1:
            return np.zeros(at.shape, int), np.zeros(at.shape)
        below = np.clip(np.searchsorted(self.scale, at, side="right") - 1, 0, self.actions - 2)
        part: Array = (at - self.scale[below]) / np.diff(self.scale)[below]
        return below, part

    def designs(self, count: int) -> Array:
        """Contrasting policies [count, G]: all low, then each next one as far from those before as a menu allows.

        Distances are the smallest sum of differences to an earlier one, ties to the one nearest a change of sign
        between neighbouring groups: a level that moves alone tells more than all that move together.
        """
        chosen = [np.full(self.size, self.low)]
        rough = np.abs(np.diff(self.menu, axis=1)).sum(1) if self.size > 1 else np.zeros(len(self.menu))
        while len(chosen) < min(count, len(self.menu)):
            far = np.min([np.abs(self.menu - c).sum(1) for c in chosen], 0)
            chosen.append(self.menu[np.lexsort((rough, far))[-1]])
        return np.array(chosen)

    def corners(self, count: int) -> Array:
        """At most `count` policies at the ends of the scale, [count, G], all low first; evenly spread where there are more."""
        ends = np.array(list(itertools.product((self.low, self.high), repeat=min(self.size, 12))))
        ends = np.pad(ends, ((0, 0), (0, self.size - ends.shape[1])), constant_values=self.low)
        chosen: Array = ends[np.unique(np.linspace(0, len(ends) - 1, min(count, len(ends))).astype(int))]
        return chosen
