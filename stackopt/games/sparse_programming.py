r"""Bellman fixed points of large sparse problems, soft or hard: span-stopped sweeps and inexact policy iteration.

One sweep costs one product with the kernel. Where sweeps contract fast (a mixing kernel) they are all that is needed:
the span of :math:`TV-V` encloses the answer (MacQueen bounds), a constant shift removes the slowest mode, and the stop
is proved. Where they do not, each step solves the policy's linear equation approximately by a Krylov method in single
precision, preconditioned where it stalls (inexact policy iteration); the sweep in double precision that follows measures what was gained, and a step
that gained nothing is undone and replaced by sweeps. Memory is proportional to the non-zeros.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from stackopt.games.krylov import LinearSolver
from stackopt.games.operators import Array, Mdp, action_values

#: Sweeps that shrink the span by less than this factor are worth replacing by linear solves.
SLOW = 0.75
#: Largest norm of a linear solve's residual relative to its right-hand side.
REDUCTION = 1e-2
#: The most sweeps in single precision before one in double precision.
NEARBY = 30
#: Probabilities below this are left out of the kernel of a linear solve (never of a sweep).
NEGLIGIBLE = 1e-7
#: Beyond this discount single precision is too coarse for the linear solves.
SINGLE_PRECISION = 0.9995


class Sweeps:
    """The Bellman operator of one sparse MDP with buffers, actions first: reductions over actions then vectorise over states.

    Parameters
    ----------
    mdp : Mdp
        With a CSR kernel.
    temperature : float
        0 for the unregularised operator.
    allowed : bool array [S, B], optional
        Actions to choose from.

    Attributes
    ----------
    action_values : array [B, S]
        Of the last sweep; -inf where not allowed. Overwritten by the next one.
    """

    def __init__(self, mdp: Mdp, temperature: float, allowed: np.ndarray | None = None) -> None:
        self.mdp, self.temperature = mdp, temperature
        self.states, self.actions = mdp.reward.shape
        reward = mdp.reward if allowed is None else np.where(allowed, mdp.reward, -np.inf)
        self._reward = np.ascontiguousarray(reward.T)  # [B, S]
        self.action_values = np.empty_like(self._reward)
        self._weights = np.empty_like(self._reward)
        self._total: Array = np.empty(self.states)
        self._single: Any = None

    def __call__(self, value: Array) -> Array:
        """One application: value [S] to [S]."""
        following = self.mdp.transition @ value
        np.multiply(following.reshape(self.states, self.actions).T, self.mdp.discount, out=self.action_values)
        self.action_values += self._reward
        top: Array = self.action_values.max(0)
        if self.temperature == 0.0:
            return top
        np.subtract(self.action_values, top, out=self._weights)
        self._weights *= 1.0 / self.temperature
        np.exp(self._weights, out=self._weights)
        self._total = self._weights.sum(0)
        new: Array = top + self.temperature * np.log(self._total)
        return new

    def nearby(self, change: Array, goal: float) -> tuple[Array, int]:
        r"""Many cheap sweeps in single precision, written as changes from the last sweep so that rounding stays relative.

        With :math:`y` the policy of the last sweep, :math:`V=V_0+\delta`:
        :math:`TV-V_0=(TV_0-V_0)+\tau\log\sum_by_b\,e^{\gamma(P\delta)_b/\tau}`. Constants are left out of
        :math:`\delta`; the next sweep in double precision measures where this led, whatever happened here.

        Parameters
        ----------
        change : array [S]
            TV_0 - V_0 of the last sweep.
        goal : float
            The span of TV - V to stop at.

        Returns
        -------
        step : array [S]
            The change to apply to V_0, up to a constant.
        sweeps : int
        """
        size = float(np.ptp(change))
        first = ((change - change.mean()) / size).astype(np.float32)
        policy = np.divide(self._weights, self._total, dtype=np.float32, casting="same_kind")  # [B, S]
        scale = np.float32(size * self.mdp.discount / self.temperature)
        kernel, power = self._single_kernel(), np.empty(policy.shape, np.float32)
        step, span, back = first, 1.0, np.float32(self.temperature / size)
        for sweep in range(1, NEARBY + 1):
            np.multiply((kernel @ step).reshape(self.states, self.actions).T, scale, out=power)
            with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
                np.expm1(power, out=power)
                new = first + back * np.log1p(np.einsum("bs,bs->s", policy, power))
            if not np.isfinite(new).all():  # too far from V_0 for so low a temperature
                return np.zeros_like(change), sweep
            new -= new.mean()
            previous, span = span, float(np.ptp(new - step))
            step = new
            if span <= max(1e-5, goal / size) or not span <= SLOW * previous:
                break
        return step.astype(np.float64) * size, sweep

    def kernel(self) -> Any:
        """The kernel of the policy that attained the last sweep, CSR [S, S], fit for an approximate linear solve."""
        from scipy import sparse

        P = self._single_kernel() if self.mdp.discount <= SINGLE_PRECISION else self.mdp.transition
        S, B = self.states, self.actions
        if self.temperature == 0.0:
            return P[np.arange(S) * B + self.action_values.argmax(0)]
        keep = (self._weights > NEGLIGIBLE * self._total).T
        policy = np.where(keep, self._weights.T, 0.0).astype(P.dtype)  # [S, B]
        policy /= policy.sum(1, keepdims=True)
        ends = np.concatenate([[0], np.cumsum(keep.sum(1))]).astype(np.int32)
        mixing = sparse.csr_matrix((policy[keep], np.flatnonzero(keep).astype(np.int32), ends), shape=(S, S * B))
        return mixing @ P

    def _single_kernel(self) -> Any:
        from scipy import sparse

        if self._single is None:
            P = self.mdp.transition
            self._single = sparse.csr_matrix((P.data.astype(np.float32), P.indices, P.indptr), shape=P.shape)
        return self._single


def solve_sparse(
    mdp: Mdp, temperature: float, tolerance: float, start: Array | None = None, allowed: np.ndarray | None = None, limit: int = 100_000
) -> tuple[Array, Array, float, int]:
    r"""Solve :math:`V=T_\tau V`, or :math:`V=TV` for temperature 0.

    Parameters
    ----------
    mdp : Mdp
        With a CSR kernel [S * B, S].
    temperature : float
        0 for the unregularised optimum.
    tolerance : float
        Relative: ends when ``max |T V - V| <= tolerance * (1 + max |V|)``, which the span of a sweep proves, or when rounding
        stops further progress.
    start : array [S], optional
    allowed : bool array [S, B], optional
        Actions to choose from; every state needs one.
    limit : int
        The most sweeps.

    Returns
    -------
    value : array [S]
    action_values : array [S, B]
        Of all actions, at `value`.
    residual : float
        ``max |T V - V|`` at `value`, measured.
    sweeps : int
    """
    sweep, discount = Sweeps(mdp, temperature, allowed), mdp.discount
    far, solver = discount / (1.0 - discount), LinearSolver(discount)
    value: Array = np.zeros(sweep.states) if start is None else start
    new = sweep(value)
    sweeps, last_span, patience, owed, best, stuck = 1, np.inf, 2, 2, np.inf, 0
    while True:
        change = new - value
        low, high = float(change.min()), float(change.max())
        span = high - low
        shifted = new + far * 0.5 * (low + high)  # T(V + c) = TV + discount * c: the best constant is known
        scale = 1.0 + max(float(shifted.max()), -float(shifted.min()))
        stuck = 0 if span < best else stuck + 1
        best = min(best, span)
        rounding = span <= 1e-14 * scale * sweep.actions or (stuck > 20 and span <= 1e-9 * scale)
        if 0.5 * discount * span <= tolerance * scale or rounding or sweeps >= limit or not np.isfinite(span):
            break
        fast = span <= SLOW * last_span and temperature > 0.0  # a hard policy's kernel is small: solving costs little
        if owed > 0 or fast:
            owed, last_span = owed - 1, span
            if fast and owed < 0 and span > 1e-12 * scale:
                step, more = sweep.nearby(change, tolerance * scale)
                value = value + step + 0.5 * (low + high) / (1.0 - discount) if step.any() else shifted
                sweeps += more
            else:
                value = shifted
            new = sweep(value)
            sweeps += 1
            continue
        # policy iteration: V + (I - discount P)^-1 (TV - V), the constant part exactly
        middle = 0.5 * (low + high)
        goal = 0.5 * tolerance * scale / span  # no need to solve further than the stop
        step, reduced = solver(sweep.kernel(), change - middle, max(REDUCTION, goal))
        trial = value + step + middle / (1.0 - discount)
        tried = sweep(trial)
        sweeps += 1
        moved = tried - trial
        # both measures bound the truth: the span from both sides, the mean of the lower MacQueen bound from below
        lower, raised = new.mean() + far * low, tried.mean() + far * float(moved.min())
        if np.ptp(moved) <= SLOW * span or (reduced and raised > lower + 1e-12 * scale):
            last_span, value, new, patience = 0.0, trial, tried, 2  # and solve again
        else:
            patience = min(2 * patience, 4096)
            owed, last_span, value = patience, span, shifted
            new = sweep(value)
            sweeps += 1
    attained = sweep(shifted)
    q = np.ascontiguousarray(sweep.action_values.T) if allowed is None else action_values(mdp, shifted)
    return shifted, q, float(np.abs(attained - shifted).max()), sweeps + 1
