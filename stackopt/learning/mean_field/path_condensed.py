"""Newton's equations of a smoothed equilibrium, condensed to the statistics: as small as the coupling, whatever the number of states.

Given changes of the statistics, changes of values follow by one backward sweep and changes of the population by one forward sweep.
Sending all unit vectors through at once gives a dense matrix [T J, T J], which is factorised; right-hand sides cost two sweeps each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from stackopt.games.operators import Array
from stackopt.learning.mean_field.kernel_rows import rows
from stackopt.learning.mean_field.path_equations import Direction, Equations, Residuals, State, beta_change


class Condensed:
    """The linear system at one state of the path, factorised.

    With d = p / z for every action and D = sum_b d, an action's probability moves by d (dQ - dV) and dV is the average of dQ with
    weights d / D.
    """

    def __init__(self, equations: Equations, state: State) -> None:
        from scipy.linalg import lu_factor

        self._equations, self._state = equations, state
        game, derivatives = equations.followers.game, equations.derivatives
        K, T, S, B = game.shape
        J = game.statistics
        self._ratio = state.policy / state.slack
        self._total = self._ratio.sum(-1)
        self._rows = [[rows(state.kernels[t], k) for t in range(T)] for k in range(K)]
        y, flows = state.point.y, state.point.mu[..., None] * state.policy
        self._on_q: Array = equations.scale * derivatives.rewards(y)  # [K or 1, T or 1, S, B, J]
        self._on_mass: Array | None = None
        if derivatives.moving_kernel:
            self._on_q = self._on_q + game.discount * derivatives.expectations(y, state.next_value)
            self._on_mass = derivatives.pushes(y, flows)
        matrix = np.eye(T * J)
        nothing = _Constants(None, None, None)
        for k in range(K):
            matrix -= self._sweep(k, T * J, nothing, self._unit_q(k), self._unit_mass(k))[0].reshape(T * J, T * J)
        self._factors = lu_factor(matrix, check_finite=False)
        diagonal = np.diag(self._factors[0])
        swaps = int((self._factors[1] != np.arange(len(diagonal))).sum())
        #: Sign of the determinant: it changes where another branch is crossed.
        self.sign = int(np.prod(np.sign(diagonal)) * (-1) ** swaps)

    def solve(self, right: Residuals | None, d_log_k: float) -> Direction:
        """The direction along which the equations change by `right` when log k changes by `d_log_k`."""
        from scipy.linalg import lu_solve

        state, game = self._state, self._equations.followers.game
        K, T, S, B = game.shape
        J = game.statistics
        dk = d_log_k * state.point.k
        slack = np.zeros((K, T, S, B)) if right is None else right.slack
        short = np.zeros((K, T, S)) if right is None else right.policy
        share = self._ratio / self._total[..., None]
        on_value = -(share * slack).sum(-1) + (dk * (1.0 / state.slack).sum(-1) - short) / self._total
        on_policy = -self._ratio * slack + dk / state.slack
        on_mu = np.zeros((K, T, S)) if right is None else right.law
        constants = [_Constants(on_value[k][..., None], on_policy[k].reshape(T, S * B, 1), on_mu[k][..., None]) for k in range(K)]
        first = np.zeros((T, J)) if right is None else right.statistics.copy()
        for k in range(K):
            first += self._sweep(k, 1, constants[k], None, None)[0][..., 0]
        dy = lu_solve(self._factors, first.ravel(), check_finite=False).reshape(T, J)
        value, q, mu = np.empty((K, T, S)), np.empty((K, T, S, B)), np.empty((K, T, S))
        for k in range(K):
            _, dv, dq, dmu = self._sweep(k, 1, constants[k], self._moved(self._on_q, k, dy), self._moved(self._on_mass, k, dy))
            value[k], q[k], mu[k] = dv[..., 0], dq.reshape(T, S, B), dmu[..., 0]
        return Direction(beta_change(state, right, value, q, dk), value, mu, dy, d_log_k)

    # --- sources of a sweep: what statistics do to action values and to masses, stage by stage --------------------------

    def _unit_q(self, k: int) -> Callable[[int], tuple[Array, slice]]:
        _, T, S, B = self._equations.followers.game.shape
        J = self._equations.followers.game.statistics
        own = self._on_q[k if len(self._on_q) > 1 else 0]
        return lambda t: (own[t if len(own) > 1 else 0].reshape(S * B, J), slice(t * J, (t + 1) * J))

    def _unit_mass(self, k: int) -> Callable[[int], tuple[Array, slice]] | None:
        if self._on_mass is None:
            return None
        J, own = self._equations.followers.game.statistics, self._on_mass[k if len(self._on_mass) > 1 else 0]
        return lambda t: (own[t], slice(t * J, (t + 1) * J))

    @staticmethod
    def _moved(array: Array | None, k: int, dy: Array) -> Any:
        if array is None:
            return None
        own = array[k if len(array) > 1 else 0]
        J = dy.shape[1]
        return lambda t: own[t if len(own) > 1 else 0].reshape(-1, J) @ dy[t][:, None]

    def _sweep(self, k: int, n: int, constants: _Constants, on_q: Any, on_mass: Any) -> tuple[Array, Array, Array, Array]:
        """n columns of changes through one type: its part in dy [T, J, n], then dV [T, S, n], dQ [T, S B, n], dmu [T, S, n]."""
        state, game = self._state, self._equations.followers.game
        _, T, S, B = game.shape
        ratio = self._ratio[k].reshape(T, S * B, 1)
        share = ratio / np.repeat(self._total[k], B, axis=-1)[..., None]
        gamma, weight = game.discount, game.weights[k]
        value, q = np.empty((T, S, n)), np.empty((T, S * B, n))

        def back(following: Array) -> Array:
            for t in range(T - 1, -1, -1):
                q[t] = gamma * (self._rows[k][t] @ following)
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
            back(np.linalg.solve(np.eye(S) - self._period(k, share, gamma), offset))
        else:
            back(zeros)
        policy = ratio * (q.reshape(T, S, B, n) - value[:, :, None]).reshape(T, S * B, n)
        if constants.policy is not None:
            policy += constants.policy
        own, mass = state.policy[k].reshape(T, S * B, 1), np.repeat(state.point.mu[k], B, axis=-1)[..., None]
        mu, dy = np.empty((T, S, n)), np.empty((T, game.statistics, n))

        def forth(here: Array) -> Array:
            for t in range(T):
                mu[t] = here
                flow = np.repeat(here, B, axis=0) * own[t] + mass[t] * policy[t]
                dy[t] = weight * self._measure(k, t, flow)
                here = self._rows[k][t].T @ flow
                if on_mass is not None:
                    _add(here, on_mass(t))
                if constants.mu is not None:
                    here = here + constants.mu[(t + 1) % T]
            return here

        if game.cyclic:
            # the population's total is kept: what a period leaves over is spread by the law itself
            offset = forth(zeros)
            u = state.point.mu[k, 0][:, None]
            system = np.eye(S) - self._period(k, own, 1.0).T + u
            left = offset - u * offset.sum(0)
            if constants.mu is not None:
                left = left + u * (1.0 - state.point.mu[k, 0].sum())
            forth(np.linalg.solve(system, left))
        else:
            forth(zeros if constants.mu is None else constants.mu[0])
        return dy, value, q, mu

    def _period(self, k: int, share: Array, gamma: float) -> Array:
        """What a whole period does to next values under the given weights of actions [T, S B, 1], [S, S]."""
        _, T, S, B = self._equations.followers.game.shape
        total = np.eye(S)
        for t in range(T - 1, -1, -1):
            total = gamma * (share[t] * (self._rows[k][t] @ total)).reshape(S, B, S).sum(1)
        return total

    def _measure(self, k: int, t: int, flow: Array) -> Array:
        """The statistics [J, n] of changes of masses [S B, n]."""
        game = self._equations.followers.game
        _, _, S, B = game.shape
        if isinstance(game.statistic, str):
            return flow.reshape(S, B, -1).sum(1) if game.statistic == "states" else flow
        H = game.statistic
        found: Array = H[k if len(H) > 1 else 0, t if H.shape[1] > 1 else 0].reshape(S * B, -1).T @ flow
        return found


class _Constants:
    """What right-hand sides add to the changes of values [T, S, n], policies [T, S B, n] and masses [T, S, n] of one type."""

    def __init__(self, value: Array | None, policy: Array | None, mu: Array | None) -> None:
        self.value, self.policy, self.mu = value, policy, mu


def _add(target: Array, source: Any) -> None:
    """Add a whole column block, or a block to the columns that are its own."""
    if isinstance(source, tuple):
        block, columns = source
        target[:, columns] += block
    else:
        target += source
