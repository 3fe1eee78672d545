r"""Derivatives of rewards, transitions and objectives in the population's statistics and in the leader's decision.

Of arrays they are the arrays. Of callables they are taken by complex steps, :math:`\partial f=\mathrm{Im}\,f(y+ihe_j)/h` with
:math:`h=10^{-30}`, which have no rounding error; a callable that does not pass complex numbers on is differenced instead.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from stackopt.games.mean_field.kernels import Dense
from stackopt.games.operators import Array

if TYPE_CHECKING:
    from stackopt.games.mean_field.game import MeanFieldStackelbergGame

#: Of a complex step.
STEP = 1e-30
#: Of a central difference, relative to the size of the argument.
DIFFERENCE = 6e-6


def along(function: Callable[[Any], Any], x: Array, direction: Array) -> Array:
    """The derivative of `function` at x in a direction: by a complex step, or by a central difference where that is lost.

    A function that returns real numbers for complex ones either does not depend on them or has dropped the imaginary part; the
    difference tells.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            moved = np.asarray(function(x + 1j * STEP * direction))
        if moved.dtype.kind == "c":
            derivative: Array = moved.imag / STEP
            return derivative
    except (TypeError, np.exceptions.ComplexWarning):
        pass
    h = DIFFERENCE * max(1.0, float(np.abs(x).max(initial=0.0)))
    difference: Array = (np.asarray(function(x + h * direction)) - np.asarray(function(x - h * direction))) / (2.0 * h)
    return difference


@dataclass(frozen=True, eq=False)
class Partials:
    """Everything that moves when the statistics y [T, J] or the decision theta [D] move, at one point.

    Attributes
    ----------
    game : MeanFieldStackelbergGame
    y, theta : arrays [T, J] and [D]
    """

    game: MeanFieldStackelbergGame
    y: Array
    theta: Array

    def reward_in_y(self, cotangent: Array) -> Array:
        r""":math:`\sum_{k,s,b}G\,\partial r/\partial y_{tj}` [T, J] for G [K, T, S, B].

        A callable may bring its own: ``reward.in_statistics(y, theta, G)`` returns it, at a cost that need not grow with J.
        """
        game = self.game
        T = game.shape[1]
        own = getattr(game.reward, "in_statistics", None)
        if own is not None:
            return np.asarray(own(self.y, self.theta, cotangent), float).reshape(self.y.shape)
        if not callable(game.reward):
            if game.reward_population is None:
                return np.zeros((T, game.statistics))
            return _contracted(cotangent, game.reward_population)
        total = np.empty((T, game.statistics))
        for j in range(game.statistics):  # stages do not meet: one step moves statistic j of all of them
            moved = along(lambda y: game.rewards(y, self.theta), self.y, _unit(self.y, j))
            total[:, j] = (cotangent * moved).sum((0, 2, 3))
        return total

    def reward_in_theta(self, cotangent: Array) -> Array:
        r""":math:`\sum_{k,t,s,b}G\,\partial r/\partial\theta_d` [D] for G [K, T, S, B]; a callable may bring ``reward.in_decision(y, theta, G)``."""
        game = self.game
        own = getattr(game.reward, "in_decision", None)
        if own is not None:
            return np.asarray(own(self.y, self.theta, cotangent), float).reshape(self.theta.shape)
        if not callable(game.reward):
            if game.reward_leader is None:
                return np.zeros(game.parameters)
            summed: Array = _contracted(cotangent, game.reward_leader).sum(0)
            return summed
        moved = (along(lambda th: game.rewards(self.y, th), self.theta, e) for e in np.eye(game.parameters))
        return np.array([float((cotangent * m).sum()) for m in moved])

    def kernel_in_y(self, pairs: list[tuple[Array, Array]]) -> Array:
        r""":math:`\sum_{k,s,b}\sum_iC_i(s,b)\,(\partial P/\partial y_{tj}\,v_i)(s,b)` [T, J] for pairs of C [K, T, S, B] and v [K, T, S]."""
        return self._kernel(pairs, self._kernels_in_y, self.game.statistics)

    def kernel_in_theta(self, pairs: list[tuple[Array, Array]]) -> Array:
        """The same for the decision, summed over stages [D]."""
        summed: Array = self._kernel(pairs, self._kernels_in_theta, self.game.parameters).sum(0)
        return summed

    def _kernel(self, pairs: list[tuple[Array, Array]], kernels: Callable[[], Iterator[tuple[int, Any]]], count: int) -> Array:
        total = np.zeros((self.game.shape[1], count))
        for j, moved in kernels():
            total[:, j] = sum((c * moved.expect(v)).sum((0, 2, 3)) for c, v in pairs)
        return total

    def _kernels_in_y(self) -> Iterator[tuple[int, Any]]:
        game = self.game
        if callable(game.transition):
            for j in range(game.statistics):
                yield j, self._differenced(lambda y: game.kernel(y, self.theta).array, self.y, _unit(self.y, j))
        elif game.transition_population is not None:
            for j in range(game.statistics):
                yield j, Dense(game.transition_population[:, :, j], checked=False)

    def _kernels_in_theta(self) -> Iterator[tuple[int, Any]]:
        game = self.game
        if callable(game.transition):
            for d, e in enumerate(np.eye(game.parameters)):
                yield d, self._differenced(lambda th: game.kernel(self.y, th).array, self.theta, e)
        elif game.transition_leader is not None:
            for d in range(game.parameters):
                yield d, Dense(game.transition_leader[:, :, d], checked=False)

    def _differenced(self, function: Callable[[Any], Any], x: Array, direction: Array) -> Dense:
        return Dense(along(function, x, direction), checked=False)

    def objective(self) -> tuple[Array, Array]:
        """Derivatives of the leader's objective in y [T, J] and theta [D]; zeros where there is none.

        An objective may bring its own: ``objective.gradient(y, theta)`` returns both, at a cost that does not grow with T * J.
        """
        game = self.game
        if game.objective is None:
            return np.zeros_like(self.y), np.zeros_like(self.theta)
        own = getattr(game.objective, "gradient", None)
        if own is not None:
            in_y, in_theta = own(self.y, self.theta)
            return np.asarray(in_y, float).reshape(self.y.shape), np.asarray(in_theta, float).reshape(self.theta.shape)
        in_y = np.empty_like(self.y)
        for index in np.ndindex(self.y.shape):
            direction = np.zeros_like(self.y)
            direction[index] = 1.0
            in_y[index] = along(lambda y: game.objective_value(y, self.theta), self.y, direction)
        in_theta = np.array([float(along(lambda th: game.objective_value(self.y, th), self.theta, e)) for e in np.eye(game.parameters)])
        return in_y, in_theta.reshape(self.theta.shape)


def _unit(y: Array, j: int) -> Array:
    """Statistic j of every stage."""
    direction = np.zeros_like(y)
    direction[:, j] = 1.0
    return direction


def _contracted(cotangent: Array, terms: Array) -> Array:
    """Sum over types, states and actions of [K, T, S, B] times [K or 1, T or 1, S, B, J]: [T, J]."""
    _, T, S, B = cotangent.shape
    together = cotangent.sum(0, keepdims=True) if terms.shape[0] == 1 else cotangent
    total: Array = (together.reshape(-1, T, 1, S * B) @ terms.reshape(*terms.shape[:2], S * B, -1)).sum(0)[:, 0]
    return total
