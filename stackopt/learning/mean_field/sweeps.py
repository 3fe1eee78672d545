"""What changes of the statistics do to a population: changes of values by one backward sweep, of masses by one forward sweep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from stackopt.games.operators import Array
from stackopt.learning.mean_field.derivatives import Derivatives
from stackopt.learning.mean_field.followers import Followers


class Sweeps:
    r"""The linear response of followers whose policy p moves by dp = d (dQ - dV), with dV the average of dQ with weights proportional to d.

    Two kinds of followers answer in this way: those on a smoothed path, with d = p / z, and max-ent ones, with d = p / temperature.

    Parameters
    ----------
    followers : Followers
    derivatives : Derivatives
    y : array [T, J]
    policy, ratio : arrays [K, T, S, B]
        p and d.
    mu : array [K, T, S]
    next_value : array [K, T, S]
        Values at the next stage, in scaled rewards.
    kernels : list of T kernels
    scale : float
        Of rewards.
    """

    def __init__(
        self,
        followers: Followers,
        derivatives: Derivatives,
        y: Array,
        policy: Array,
        ratio: Array,
        mu: Array,
        next_value: Array,
        kernels: list[Any],
        scale: float = 1.0,
    ) -> None:
        game = followers.game
        self.game, self.policy, self.ratio, self.mu = game, policy, ratio, mu
        self.total = ratio.sum(-1)
        self.rows = followers.matrices(kernels)
        self.on_q: Array = scale * derivatives.rewards(y)  # [K or 1, T or 1, S, B, J]
        self.on_mass: Array | None = None
        if derivatives.moving_kernel:
            self.on_q = self.on_q + game.discount * derivatives.expectations(y, next_value)
            self.on_mass = derivatives.pushes(y, mu[..., None] * policy)

    def matrix(self) -> Array:
        r""":math:`I-\Psi'` [T J, T J], where :math:`\Psi` sends statistics to those that come about."""
        K, T, _, _ = self.game.shape
        n = T * self.game.statistics
        matrix = np.eye(n)
        for k in range(K):
            matrix -= self.sweep(k, n, NONE, self._unit_q(k), self._unit_mass(k))[0].reshape(n, n)
        return matrix

    def moved(self, dy: Array) -> Array:
        r""":math:`\Psi'dy` [T, J]."""
        total = np.zeros_like(dy)
        for k in range(self.game.shape[0]):
            total += self.along(k, dy, NONE)[0][..., 0]
        return total

    def along(self, k: int, dy: Array | None, constants: Constants) -> tuple[Array, Array, Array, Array]:
        """One change of the statistics, and constants, through type k; see `sweep`."""
        return self.sweep(k, 1, constants, self._moved(self.on_q, k, dy), self._moved(self.on_mass, k, dy))

    # --- sources of a sweep: what statistics do to action values and to masses, stage by stage --------------------------

    def _unit_q(self, k: int) -> Callable[[int], tuple[Array, slice]]:
        _, _, S, B = self.game.shape
        J = self.game.statistics
        own = self.on_q[k if len(self.on_q) > 1 else 0]
        return lambda t: (own[t if len(own) > 1 else 0].reshape(S * B, J), slice(t * J, (t + 1) * J))

    def _unit_mass(self, k: int) -> Callable[[int], tuple[Array, slice]] | None:
        if self.on_mass is None:
            return None
        J, own = self.game.statistics, self.on_mass[k if len(self.on_mass) > 1 else 0]
        return lambda t: (own[t], slice(t * J, (t + 1) * J))

    @staticmethod
    def _moved(array: Array | None, k: int, dy: Array | None) -> Any:
        if array is None or dy is None:
            return None
        own = array[k if len(array) > 1 else 0]
        J = dy.shape[1]
        return lambda t: own[t if len(own) > 1 else 0].reshape(-1, J) @ dy[t][:, None]

    def sweep(self, k: int, n: int, constants: Constants, on_q: Any, on_mass: Any) -> tuple[Array, Array, Array, Array]:
        """n columns of changes through one type: its part in dy [T, J, n], then dV [T, S, n], dQ [T, S B, n], dmu [T, S, n]."""
        game = self.game
        _, T, S, B = game.shape
        ratio = self.ratio[k].reshape(T, S * B, 1)
        share = ratio / np.repeat(self.total[k], B, axis=-1)[..., None]
        gamma, weight = game.discount, game.weights[k]
        value, q = np.empty((T, S, n)), np.empty((T, S * B, n))

        def back(following: Array) -> Array:
            for t in range(T - 1, -1, -1):
                q[t] = gamma * (self.rows[k][t][0] @ following)
                if on_q is not None:
                    _add(q[t], on_q(t))
                value[t] = (share[t] * q[t]).reshape(S, B, n).sum(1)
                if constants.value is not None:
                    value[t] += constants.value[t]
                following = value[t]
            return following

        zeros = np.zeros((S, n))
        if game.cyclic:
            offset = back(zeros).copy()
            first: Any = np.linalg.solve(np.eye(S) - self._period(k, share, gamma), offset)
            back(first)
        else:
            back(zeros)
        policy = ratio * (q.reshape(T, S, B, n) - value[:, :, None]).reshape(T, S * B, n)
        if constants.policy is not None:
            policy += constants.policy
        own, mass = self.policy[k].reshape(T, S * B, 1), np.repeat(self.mu[k], B, axis=-1)[..., None]
        mu, dy = np.empty((T, S, n)), np.empty((T, game.statistics, n))

        def forth(here: Array) -> Array:
            for t in range(T):
                mu[t] = here
                flow = np.repeat(here, B, axis=0) * own[t] + mass[t] * policy[t]
                dy[t] = weight * self._measure(k, t, flow)
                here = self.rows[k][t][1] @ flow
                if on_mass is not None:
                    _add(here, on_mass(t))
                if constants.mu is not None:
                    here = here + constants.mu[(t + 1) % T]
            return here

        if game.cyclic:
            # the population's total is kept: what a period leaves over is spread by the law itself
            offset = forth(zeros)
            u = self.mu[k, 0][:, None]
            system = np.eye(S) - self._period(k, own, 1.0).T + u
            left = offset - u * offset.sum(0)
            if constants.mu is not None:
                left = left + u * (1.0 - self.mu[k, 0].sum())
            begun: Any = np.linalg.solve(system, left)
            forth(begun)
        else:
            forth(zeros if constants.mu is None else constants.mu[0])
        return dy, value, q, mu

    def _period(self, k: int, share: Array, gamma: float) -> Array:
        """What a whole period does to next values under the given weights of actions [T, S B, 1], [S, S]."""
        _, T, S, B = self.game.shape
        total = np.eye(S)
        for t in range(T - 1, -1, -1):
            total = gamma * (share[t] * (self.rows[k][t][0] @ total)).reshape(S, B, S).sum(1)
        return total

    def _measure(self, k: int, t: int, flow: Array) -> Array:
        """The statistics [J, n] of changes of masses [S B, n]."""
        game = self.game
        _, _, S, B = game.shape
        if isinstance(game.statistic, str):
            return flow.reshape(S, B, -1).sum(1) if game.statistic == "states" else flow
        H = game.statistic
        found: Array = H[k if len(H) > 1 else 0, t if H.shape[1] > 1 else 0].reshape(S * B, -1).T @ flow
        return found


class Constants:
    """What right-hand sides add to the changes of values [T, S, n], policies [T, S B, n] and masses [T, S, n] of one type."""

    def __init__(self, value: Array | None, policy: Array | None, mu: Array | None) -> None:
        self.value, self.policy, self.mu = value, policy, mu


NONE = Constants(None, None, None)


def _add(target: Array, source: Any) -> None:
    """Add a whole column block, or a block to the columns that are its own."""
    if isinstance(source, tuple):
        block, columns = source
        target[:, columns] += block
    else:
        target += source
