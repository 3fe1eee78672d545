"""Newton's equations of a smoothed equilibrium as a sparse system, for many statistics: finite horizons, fixed transitions, states as statistics.

Unknowns are the values and masses of the stages 1 .. T-1; statistics are masses, values of the last stage follow from its masses, and
stage 0 has given masses and its values move nobody else: all of these are eliminated.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from stackopt.games.operators import Array
from stackopt.learning.mean_field.kernel_rows import rows
from stackopt.learning.mean_field.path_equations import Direction, Equations, Residuals, State, beta_change


def fits(equations: Equations) -> bool:
    """Whether a game has the form that this system needs."""
    game = equations.followers.game
    return not game.cyclic and not equations.derivatives.moving_kernel and str(game.statistic) == "states" and game.horizon.stages > 1


class SparseBlocks:
    """The linear system at one state of the path: matrices assembled, factorised by SuperLU.

    Parameters
    ----------
    equations : Equations
    state : State
    """

    def __init__(self, equations: Equations, state: State, transitions: list[list[Any]]) -> None:
        from scipy.sparse import block_array, csr_array, diags_array, eye_array, kron

        self._equations, self._state, self._rows = equations, state, transitions
        game = equations.followers.game
        K, T, S, B = game.shape
        self._ratio = state.policy / state.slack
        self._total = self._ratio.sum(-1)
        share = self._ratio / self._total[..., None]
        gamma, weights = game.discount, game.weights
        on_q = [[equations.scale * a for a in row] for row in equations.derivatives.sparse_rewards(state.point.y)]
        self._on_q = on_q
        spread = csr_array(kron(eye_array(S), np.ones((B, 1))))  # [S B, S]
        gather = csr_array(spread.T)
        self._mass_of_policy = state.policy.sum(-1)

        def diagonal(values: Array) -> Any:
            return diags_array(values.ravel()).tocsr()

        #: values at (k, t) as functions of next values and of the statistics
        self._back: list[list[Any]] = [[None] * T for _ in range(K)]
        self._felt: list[list[Any]] = [[None] * T for _ in range(K)]
        blocks: dict[tuple[Any, Any], Any] = {}

        def put(row: Any, column: Any, block: Any) -> None:
            blocks[row, column] = blocks[row, column] + block if (row, column) in blocks else block

        for k in range(K):
            for t in range(T):
                average = gather @ diagonal(share[k, t])
                P, A = transitions[k][t], on_q[k][t]
                self._back[k][t] = (gamma * (average @ P)).tocsr() if t + 1 < T else None
                self._felt[k][t] = (average @ A).tocsr()
        last = T - 1
        for k in range(K):
            for t in range(1, T):
                if t < last:  # dV_t - back dV_{t+1} - felt dy_t = ...
                    put(("v", k, t), ("v", k, t), eye_array(S, format="csr"))
                    self._put_value(put, ("v", k, t), k, t + 1, -self._back[k][t])
                    self._put_statistics(put, ("v", k, t), t, -self._felt[k][t], weights)
                s = t - 1  # dmu_t - own dmu_s - P' mu ratio (dQ_s - dV_s) = ...
                P, A = transitions[k][s], on_q[k][s]
                put(("m", k, t), ("m", k, t), eye_array(S, format="csr"))
                if s > 0:
                    put(("m", k, t), ("m", k, s), -(P.T @ diagonal(state.policy[k, s]) @ spread).tocsr())
                pushed = (P.T @ diagonal(state.point.mu[k, s][:, None] * self._ratio[k, s])).tocsr()
                self._put_value(put, ("m", k, t), k, t, -(pushed @ (gamma * P - spread @ self._back[k][s])).tocsr())
                if s > 0:
                    self._put_statistics(put, ("m", k, t), s, -(pushed @ (A - spread @ self._felt[k][s])).tocsr(), weights)
        self._names = [(kind, k, t) for k in range(K) for t in range(1, T) for kind in ("v", "m") if kind == "m" or t < last]
        grid = [[blocks.get((row, column)) for column in self._names] for row in self._names]
        self._matrix = block_array(grid, format="csc")
        self._lu: Any = None
        self.sign = 1

    def _put_value(self, put: Any, row: Any, k: int, t: int, block: Any) -> None:
        """A block on dV_t; values of the last stage are what its statistics make them."""
        game = self._equations.followers.game
        if t < game.shape[1] - 1:
            put(row, ("v", k, t), block)
        else:
            self._put_statistics(put, row, t, block @ self._felt[k][t], game.weights)

    def _put_statistics(self, put: Any, row: Any, t: int, block: Any, weights: Array) -> None:
        """A block on dy_t = sum_k w_k (sum_b p) dmu_kt + constants."""
        from scipy.sparse import diags_array

        if t == 0:
            return
        for k, weight in enumerate(weights):
            put(row, ("m", k, t), block @ diags_array(weight * self._mass_of_policy[k, t]).tocsr())

    # --- solving ---------------------------------------------------------------------------------------------------------

    def factorise(self) -> None:
        """SuperLU of the matrix."""
        from scipy.sparse.linalg import splu

        self._lu = splu(self._matrix, permc_spec="COLAMD")

    def solve(self, right: Residuals | None, d_log_k: float) -> Direction:
        """The direction along which the equations change by `right` when log k changes by `d_log_k`."""
        state, game = self._state, self._equations.followers.game
        K, T, S, B = game.shape
        gamma, on_q = game.discount, self._on_q
        dk = d_log_k * state.point.k
        zero = np.zeros((K, T, S))
        slack = np.zeros((K, T, S, B)) if right is None else right.slack
        short, law = (zero, zero) if right is None else (right.policy, right.law)
        statistics = np.zeros((T, S)) if right is None else right.statistics
        share = self._ratio / self._total[..., None]
        on_value = -(share * slack).sum(-1) + (dk * (1.0 / state.slack).sum(-1) - short) / self._total
        on_policy = -self._ratio * slack + dk / state.slack
        mu = state.point.mu
        # what constants do to statistics, values of the last stage included
        still = statistics + (game.weights[:, None, None] * mu * short).sum(0)
        base_value = np.zeros((K, T, S))
        right_side = []
        last = T - 1
        felt = [[self._felt[k][t] @ still[t] for t in range(T)] for k in range(K)]
        for k in range(K):
            base_value[k, last] = on_value[k, last] + felt[k][last]
        for kind, k, t in self._names:
            if kind == "v":
                total = on_value[k, t] + felt[k][t]
                if t + 1 == last:
                    total = total + self._back[k][t] @ base_value[k, last]
            else:
                s = t - 1
                dv = on_value[k, s] + felt[k][s]
                dq = on_q[k][s] @ still[s]
                if t == last:
                    dv = dv + self._back[k][s] @ base_value[k, last]
                    dq = dq + gamma * (self._rows[k][s] @ base_value[k, last])
                dp = self._ratio[k, s] * (dq.reshape(S, B) - dv[:, None]) + on_policy[k, s]
                flow = mu[k, s][:, None] * dp
                total = law[k, t] + self._rows[k][s].T @ flow.ravel()
            right_side.append(total)
        found = self._solve(np.concatenate(right_side)).reshape(-1, S)
        return self._recover(dict(zip(self._names, found, strict=True)), on_value, still, right, dk, d_log_k)

    def _solve(self, right: Array) -> Array:
        if self._lu is None:
            self.factorise()
        found: Array = self._lu.solve(right)
        return found

    def _recover(self, found: Any, on_value: Array, still: Array, right: Residuals | None, dk: float, d_log_k: float) -> Direction:
        """The whole direction from the unknowns that were solved for."""
        state, game = self._state, self._equations.followers.game
        K, T, S, B = game.shape
        dmu, dv, dq = np.zeros((K, T, S)), np.empty((K, T, S)), np.empty((K, T, S, B))
        for k in range(K):
            for t in range(1, T):
                dmu[k, t] = found["m", k, t]
        dy = still + (game.weights[:, None, None] * self._mass_of_policy * dmu).sum(0)
        for k in range(K):
            for t in range(T - 1, -1, -1):
                q = self._on_q[k][t] @ dy[t]
                if t + 1 < T:
                    q = q + game.discount * (self._rows[k][t] @ dv[k, t + 1])
                dq[k, t] = q.reshape(S, B)
                dv[k, t] = (self._ratio[k, t] / self._total[k, t][:, None] * dq[k, t]).sum(-1) + on_value[k, t]
        return Direction(beta_change(state, right, dv, dq, dk), dv, dmu, dy, d_log_k)


def transitions(equations: Equations, state: State) -> list[list[Any]]:
    """All stages' transitions as CSR arrays [S B, S], by type."""
    from scipy.sparse import csr_array

    K, T, _, _ = equations.followers.game.shape
    return [[csr_array(rows(state.kernels[t], k)) for t in range(T)] for k in range(K)]
