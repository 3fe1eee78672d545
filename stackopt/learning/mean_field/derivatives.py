"""Derivatives of rewards and transitions in the statistics: by complex step where callables allow it, else by central differences.

A complex step, :math:`f'(y)v=\\operatorname{Im}f(y+ihv)/h` with h = 1e-20, has no cancellation and is exact to rounding. A callable that
drops imaginary parts, or cannot take them, is differenced instead. One that jumps (by rounding, say, or argmax) has derivatives that do
not add up to its changes; that is detected, since no method of Newton's kind can follow a jump.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from stackopt.errors import InvalidGame
from stackopt.games.operators import Array
from stackopt.learning.mean_field.followers import Followers

#: Of complex steps.
TINY = 1e-20
#: Of central differences, relative to 1.
STEP = 1e-6
#: Nodes on a segment along which derivatives are integrated.
NODES = 12
#: Integrals of derivatives may miss the change of a function by this much, relative to the change.
MISSED = 0.05
#: Complex numbers in one batch of perturbed evaluations, at most.
BATCH = 20_000_000


class Derivatives:
    """Of the followers' rewards and transitions at given statistics.

    Attributes
    ----------
    by : str
        ``"complex step"`` or ``"central differences"``.
    jumps : str
        What is discontinuous in the statistics: ``""``, ``"reward"``, ``"transition"`` or both.
    moving_kernel : bool
        Whether transitions depend on the statistics.
    """

    def __init__(self, followers: Followers) -> None:
        self.followers, game = followers, followers.game
        self.moving_kernel = not game.kernel_is_fixed and (callable(game.transition) or game.transition_population is not None)
        self.by = "complex step"
        self.jumps = ""
        self._coloured: tuple[Any, Any, Array] | None = None
        if callable(game.reward) or callable(game.transition):
            self._probe()

    # --- along one direction -------------------------------------------------------------------------------------------

    def along(self, y: Array, direction: Array) -> tuple[Array, Any]:
        """Derivatives of rewards [K, T, S, B] and of all transitions (None if fixed) at y along `direction`, both [T, J]."""
        if self.by == "complex step":
            reward, kernel = self._at(y + 1j * TINY * direction)
            return reward.imag / TINY, None if kernel is None else kernel.imag / TINY
        ahead, behind = self._at(y + STEP * direction), self._at(y - STEP * direction)
        change = (ahead[0] - behind[0]) / (2 * STEP)
        return change, None if ahead[1] is None else (ahead[1] - behind[1]) / (2 * STEP)

    def _at(self, y: Array) -> tuple[Array, Any]:
        game, theta = self.followers.game, self.followers.theta
        return game.rewards(y, theta), game.kernel(y, theta).dense() if self.moving_kernel else None

    def _probe(self) -> None:
        """Are complex steps right, and do derivatives add up to changes?"""
        rng = np.random.default_rng(0)
        game = self.followers.game
        K, T, S, B = game.shape

        def statistics() -> Array:
            flows = rng.dirichlet(np.ones(S * B), (K, T)).reshape(K, T, S, B)
            return game.aggregate(0.5 * flows + 0.5 / (S * B))

        y, to = statistics(), statistics()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # a dropped imaginary part is only warned of
                exact = self.along(y, to - y)
        except InvalidGame:
            raise
        except Exception:
            exact = None
        self.by = "central differences"
        differences = self.along(y, to - y)
        if exact is not None and all(_close(a, b) for a, b in zip(exact, differences, strict=True)):
            self.by = "complex step"
        self._look_for_jumps(y, to)

    def _look_for_jumps(self, y: Array, to: Array) -> None:
        nodes, weights = np.polynomial.legendre.leggauss(NODES)
        total: list[Any] = [0.0, 0.0]
        for node, weight in zip(0.5 * (nodes + 1.0), 0.5 * weights, strict=True):
            for n, part in enumerate(self.along(y + node * (to - y), to - y)):
                total[n] = total[n] + weight * part if part is not None else None
        changes = [None if b is None else a - b for a, b in zip(self._at(to), self._at(y), strict=True)]
        found = []
        for name, change, integral in zip(("reward", "transition"), changes, total, strict=True):
            if change is not None and np.abs(change - integral).max() > MISSED * (np.abs(change).max() + np.abs(integral).max()) + 1e-12:
                found.append(name)
        self.jumps = " and ".join(found)

    # --- all at once -----------------------------------------------------------------------------------------------------

    def rewards(self, y: Array) -> Array:
        """dr/dy [K, T, S, B, J], or [K or 1, T or 1, ...] where the game gives it as an array; zeros of the right shape if there is none."""
        game = self.followers.game
        K, _, S, B = game.shape
        if not callable(game.reward):
            return np.zeros((1, 1, S, B, game.statistics)) if game.reward_population is None else game.reward_population
        return self._perturbed(y, lambda rows, t: game.rewards(rows, self.followers.theta, t), K * S * B)

    def expectations(self, y: Array, values: Array) -> Array:
        r""":math:`\sum_{s'}\partial_{y_j}P(s'|s,b)V(s')` [K, T, S, B, J] of next values [K, T, S]."""
        game = self.followers.game
        K, _, S, B = game.shape
        return self._perturbed(y, lambda rows, t: game.kernel(rows, self.followers.theta, t).expect(values[:, t]), K * S * B * S)

    def pushes(self, y: Array, flows: Array) -> Array:
        r""":math:`\sum_{s,b}L(s,b)\,\partial_{y_j}P(s'|s,b)` [K, T, S, J] of masses [K, T, S, B]."""
        game = self.followers.game
        K, _, S, B = game.shape
        return self._perturbed(y, lambda rows, t: game.kernel(rows, self.followers.theta, t).push(flows[:, t]), K * S * B * S)

    def _perturbed(self, y: Array, function: Any, size: int) -> Array:
        """Derivatives in each statistic, on a last axis, of function(rows [n, J], stages [n]) -> [K, n, ...]; stages do not mix."""
        T, J = y.shape
        parts = []
        each = max(1, int(BATCH // max(1, 2 * size * T)))
        for start in range(0, J, each):
            js = np.arange(start, min(J, start + each))
            stages, hit = np.repeat(np.arange(T), len(js)), np.tile(js, T)
            direction = np.zeros((len(stages), J))
            direction[np.arange(len(stages)), hit] = 1.0
            if self.by == "complex step":
                found = np.imag(function(y[stages] + 1j * TINY * direction, stages)) / TINY
            else:
                found = (function(y[stages] + STEP * direction, stages) - function(y[stages] - STEP * direction, stages)) / (2 * STEP)
            found = np.broadcast_to(found, (found.shape[0], len(stages), *found.shape[2:]))
            parts.append(np.moveaxis(found.reshape(found.shape[0], T, len(js), *found.shape[2:]), 2, -1))
        return np.concatenate(parts, axis=-1)

    # --- sparse --------------------------------------------------------------------------------------------------------

    def sparse_rewards(self, y: Array) -> list[list[Any]]:
        """dr/dy as CSR arrays [S * B, J], by type and stage; columns that never meet in a row are perturbed together."""
        from scipy.sparse import csr_array

        game = self.followers.game
        K, T, S, B = game.shape
        if not callable(game.reward):
            dense = self.rewards(y)
            return [[csr_array(dense[k if len(dense) > 1 else 0, t if dense.shape[1] > 1 else 0].reshape(S * B, -1)) for t in range(T)] for k in range(K)]
        for _ in range(2):
            if self._coloured is None:
                self._coloured = self._colours(y)
            pattern, colour, probe = self._coloured
            row, column = pattern
            values = np.stack([self.along(y, np.broadcast_to(colour == c, y.shape).astype(float))[0].reshape(K, T, S * B) for c in range(colour.max() + 1)])
            entries = values[colour[column], :, :, row]  # [entries, K, T]
            whole = np.stack([csr_array((entries[:, k, t], (row, column)), shape=(S * B, y.shape[1])) @ probe for k in range(K) for t in range(T)])
            expected = self.along(y, np.broadcast_to(probe, y.shape))[0].reshape(K * T, S * B)
            if np.abs(whole - expected).max() <= 1e-6 * (1.0 + np.abs(expected).max()):
                break
            self._coloured = None  # a dependence that was not there before
        return [[csr_array((entries[:, k, t], (row, column)), shape=(S * B, y.shape[1])) for t in range(T)] for k in range(K)]

    def _colours(self, y: Array) -> tuple[Any, Any, Array]:
        """Where dr/dy has entries, and columns in groups whose entries never share a row."""
        _, _, S, B = self.followers.shape
        J = y.shape[1]
        hit = (self.rewards(y) != 0).any((0, 1)).reshape(S * B, J) | (self.rewards(0.5 * y + 0.5 / J) != 0).any((0, 1)).reshape(S * B, J)
        colour = np.full(J, -1)
        taken: list[Array] = []
        for j in range(J):
            for c, rows_ in enumerate(taken):
                if not (rows_ & hit[:, j]).any():
                    colour[j], taken[c] = c, rows_ | hit[:, j]
                    break
            else:
                colour[j] = len(taken)
                taken.append(hit[:, j].copy())
        probe: Any = np.random.default_rng(0).uniform(0.5, 1.5, J)
        return np.nonzero(hit), colour, probe


def _close(exact: Any, difference: Any) -> bool:
    if exact is None:
        return difference is None
    size = float(np.abs(difference).max(initial=0.0))
    return bool(np.abs(exact - difference).max(initial=0.0) <= 1e-3 * size + 1e-7)
