"""Leader policies by level: one number per group of states, between the first and the last of the leader's actions."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Sequence

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

    Attributes
    ----------
    size : int
        Number of groups G; a policy is a point of the box :math:`[0,A-1]^G`.
    menu : int array [A ** G, G]
        All whole levels.
    """

    def __init__(self, game: StackelbergGame, groups: Sequence[Hashable] | None = None) -> None:
        S, A, _ = game.shape
        self.of_state = np.asarray(observation_classes(groups, S)) if groups is not None else game.observations
        for k in range(int(game.observations.max()) + 1):
            if len(set(self.of_state[game.observations == k])) > 1:
                raise InvalidMethod("setting", name="groups", law="constant on what the leader cannot tell apart", got=f"two groups in observation {k}")
        self.size, self.actions = int(self.of_state.max()) + 1, A
        if A**self.size > MENU:
            raise InvalidMethod("setting", name="groups", law=f"few enough for a menu of {MENU} policies", got=f"{A} ** {self.size}")
        self.menu = np.array(list(itertools.product(range(A), repeat=self.size)))

    def policy(self, levels: Array) -> Array:
        """Levels [..., G] to policies [..., S, A]; levels outside the box are cut off."""
        levels = np.clip(np.asarray(levels, float), 0.0, self.actions - 1.0)[..., self.of_state]
        weights: Array = np.maximum(1.0 - np.abs(levels[..., None] - np.arange(self.actions)), 0.0)
        return weights

    def gradient(self, levels: Array, by_policy: Array) -> Array:
        """The derivative along each level [G] of an objective whose derivative along the policy is [S, A]; the one-sided one at a kink."""
        levels = np.clip(np.asarray(levels, float), 0.0, self.actions - 1.0)
        below = np.minimum(np.floor(levels).astype(int), max(self.actions - 2, 0))[self.of_state]
        states = np.arange(len(self.of_state))
        slope = by_policy[states, np.minimum(below + 1, self.actions - 1)] - by_policy[states, below]
        return np.bincount(self.of_state, slope, self.size)

    def designs(self, count: int) -> Array:
        """Contrasting policies [count, G]: all low, then each next one as far from those before as a menu allows.

        Distances are the smallest sum of differences to an earlier one, ties to the one nearest a change of sign
        between neighbouring groups: a level that moves alone tells more than all that move together.
        """
        chosen = [np.zeros(self.size, int)]
        rough = np.abs(np.diff(self.menu, axis=1)).sum(1) if self.size > 1 else np.zeros(len(self.menu))
        while len(chosen) < min(count, len(self.menu)):
            far = np.min([np.abs(self.menu - c).sum(1) for c in chosen], 0)
            chosen.append(self.menu[np.lexsort((rough, far))[-1]])
        return np.array(chosen)
