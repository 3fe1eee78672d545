"""Newton's equations of a smoothed equilibrium, condensed to the statistics: as small as the coupling, whatever the number of states.

Given changes of the statistics, changes of values follow by one backward sweep and changes of the population by one forward sweep.
Sending all unit vectors through at once gives a dense matrix [T J, T J], which is factorised; right-hand sides cost two sweeps each.
"""

from __future__ import annotations

import numpy as np

from stackopt.learning.mean_field.path_equations import Direction, Equations, Residuals, State, beta_change
from stackopt.learning.mean_field.sweeps import Constants, Sweeps


class Condensed:
    """The linear system at one state of the path, factorised.

    With d = p / z for every action and D = sum_b d, an action's probability moves by d (dQ - dV) and dV is the average of dQ with
    weights d / D.

    Attributes
    ----------
    sign : int
        Of the determinant: it changes where another branch is crossed.
    """

    def __init__(self, equations: Equations, state: State) -> None:
        from scipy.linalg import lu_factor

        self._state = state
        point, ratio = state.point, state.policy / state.slack
        args = (point.y, state.policy, ratio, point.mu, state.next_value, state.kernels, equations.scale)
        self._sweeps = Sweeps(equations.followers, equations.derivatives, *args)
        self._factors = lu_factor(self._sweeps.matrix(), check_finite=False)
        diagonal = np.diag(self._factors[0])
        swaps = int((self._factors[1] != np.arange(len(diagonal))).sum())
        self.sign = int(np.prod(np.sign(diagonal)) * (-1) ** swaps)

    def solve(self, right: Residuals | None, d_log_k: float) -> Direction:
        """The direction along which the equations change by `right` when log k changes by `d_log_k`."""
        from scipy.linalg import lu_solve

        state, sweeps = self._state, self._sweeps
        K, T, S, B = sweeps.game.shape
        J = sweeps.game.statistics
        dk = d_log_k * state.point.k
        slack = np.zeros((K, T, S, B)) if right is None else right.slack
        short = np.zeros((K, T, S)) if right is None else right.policy
        share = sweeps.ratio / sweeps.total[..., None]
        on_value = -(share * slack).sum(-1) + (dk * (1.0 / state.slack).sum(-1) - short) / sweeps.total
        on_policy = -sweeps.ratio * slack + dk / state.slack
        on_mu = np.zeros((K, T, S)) if right is None else right.law
        constants = [Constants(on_value[k][..., None], on_policy[k].reshape(T, S * B, 1), on_mu[k][..., None]) for k in range(K)]
        first = np.zeros((T, J)) if right is None else right.statistics.copy()
        for k in range(K):
            first += sweeps.along(k, None, constants[k])[0][..., 0]
        dy = lu_solve(self._factors, first.ravel(), check_finite=False).reshape(T, J)
        value, q, mu = np.empty((K, T, S)), np.empty((K, T, S, B)), np.empty((K, T, S))
        for k in range(K):
            _, dv, dq, dmu = sweeps.along(k, dy, constants[k])
            value[k], q[k], mu[k] = dv[..., 0], dq.reshape(T, S, B), dmu[..., 0]
        return Direction(beta_change(state, right, value, q, dk), value, mu, dy, d_log_k)
