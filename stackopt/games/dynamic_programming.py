"""Fixed points of the operators: the value of a policy, the optimal value, the soft-optimal value, discounted visits.

Every function states the residual it stops at and what that guarantees. Dense problems (batched) are solved by policy
iteration with direct linear solves; sparse ones by span-stopped sweeps and Krylov solves, in memory proportional to the
non-zeros (`sparse_programming`). A fixed point carries its true residual, measured at the value returned.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from stackopt.games.krylov import LinearSolver
from stackopt.games.operators import Array, Mdp, action_values, policy_kernel, policy_reward, soft_maximum, softmax
from stackopt.games.sparse_programming import solve_sparse

#: Sparse systems of at most this many states are solved directly.
DIRECT_STATES = 100
#: Residual of a sparse linear solve, relative to its right-hand side, times 1 - discount.
RESIDUAL = 1e-14
#: The most improvements of a policy iteration; it needs a few dozen.
IMPROVEMENTS = 1000


@dataclass(frozen=True, eq=False)
class Optimum:
    """A fixed point of a Bellman operator.

    Attributes
    ----------
    value : array [..., S]
    action_values : array [..., S, B]
    residual : float
        ``max |T V - V|`` over everything; the distance to the fixed point is at most ``residual / (1 - discount)``.
    iterations : int
        Policy improvements made.
    """

    value: Array
    action_values: Array
    residual: float
    iterations: int

    @property
    def residuals(self) -> Array:
        """``max |T V - V|`` of each game of a batch, [...], where T maximises over all actions."""
        worst: Array = np.abs(self.action_values.max(-1) - self.value).max(-1)
        return worst


def policy_value(mdp: Mdp, policy: Array, extra: Array | float = 0.0) -> Array:
    r""":math:`V=(I-\gamma P^y)^{-1}(r^y+\text{extra})`, [..., S].

    `extra` [..., S] is added to the policy's reward (an entropy bonus, say).
    """
    return solve_values(policy_kernel(mdp, policy), policy_reward(mdp, policy) + extra, mdp.discount)


def discounted_visits(mdp: Mdp, policy: Array, initial: Array) -> Array:
    r""":math:`d=(I-\gamma P^y)^{-\top}\rho`, [..., S]: expected discounted visits, total mass :math:`1/(1-\gamma)`."""
    return solve_values(policy_kernel(mdp, policy), initial, mdp.discount, transpose=True)


def solve_values(kernel: Any, right: Array, discount: float, *, transpose: bool = False) -> Array:
    r"""Solve :math:`(I-\gamma P)v=r` (or its transpose) for a dense batch [..., S, S] or a CSR matrix [S, S].

    Small sparse systems are factorised. Large ones are solved by restarted Krylov iterations until the true residual is
    at rounding level, preconditioned by an incomplete factorisation of bounded fill where they are slow (see `krylov`), and
    should these stall, by plain sweeps, which contract at the rate of the discount on any kernel.
    """
    if isinstance(kernel, np.ndarray):
        matrix = np.eye(kernel.shape[-1]) - discount * (np.swapaxes(kernel, -1, -2) if transpose else kernel)
        right = np.broadcast_to(right, matrix.shape[:-1])
        dense: Array = np.linalg.solve(matrix, right[..., None])[..., 0].astype(np.float64, copy=False)
        return dense
    from scipy import sparse
    from scipy.sparse import linalg

    right = np.broadcast_to(right, kernel.shape[:1]).astype(np.float64)
    if discount == 0.0:
        return right
    kernel = kernel.T.tocsr() if transpose else kernel
    if kernel.shape[0] <= DIRECT_STATES:
        direct: Array = linalg.spsolve((sparse.identity(kernel.shape[0], format="csr") - discount * kernel).tocsc(), right)
        return direct
    goal = RESIDUAL * max(float(np.abs(right).max()), 1e-300) / (1.0 - discount)
    value: Array = np.zeros(right.shape)
    sweeps = math.ceil(math.log(RESIDUAL) / math.log(discount))  # as many as reach the goal from anywhere
    left, stalled, solver = np.inf, False, LinearSolver(discount)
    while sweeps > 0:
        defect = right + discount * (kernel @ value) - value
        last, left = left, float(np.abs(defect).max())
        if left <= goal:
            break
        if not np.isfinite(left):
            return np.full(right.shape, np.nan)
        stalled = stalled or left > 0.5 * last  # the true residual decides, not the solver's recurrence
        value = value + (defect if stalled else solver(kernel, defect, 1e-8)[0])
        sweeps -= stalled
    return value


def optimal_value(mdp: Mdp, allowed: np.ndarray | None = None, *, minimise: bool = False, tolerance: float = 1e-12) -> Optimum:
    """The optimal value over the allowed actions, by policy iteration.

    Parameters
    ----------
    mdp : Mdp
    allowed : bool array [..., S, B], optional
        Restrict the actions; every state needs at least one.
    minimise : bool
        Solve for the least instead of the greatest value.
    tolerance : float
        Of sparse problems: relative, on ``max |T V - V|``. Dense ones are solved to rounding.

    Returns
    -------
    Optimum
        Within ``residual / (1 - discount)`` of the optimum. Sparse problems: see `solve_sparse`. Dense ones: policy
        iteration, which ends when no action improves by more than rounding (1e-12 relative); ties keep the current
        action, so it cannot cycle.
    """
    sign = -1.0 if minimise else 1.0
    signed = Mdp(sign * mdp.reward, mdp.transition, mdp.discount)
    mask = np.ones(mdp.reward.shape, bool) if allowed is None else allowed
    if mdp.sparse:
        value, q, residual, sweeps = solve_sparse(signed, 0.0, tolerance, allowed=allowed)
        return Optimum(sign * value, sign * q, residual, sweeps)
    chosen = np.where(mask, signed.reward, -np.inf).argmax(-1)
    improvements = 0
    for _ in range(IMPROVEMENTS):
        kernel = np.take_along_axis(mdp.transition, chosen[..., None, None], -2)[..., 0, :]
        value = solve_values(kernel, np.take_along_axis(signed.reward, chosen[..., None], -1)[..., 0], mdp.discount)
        q = np.where(mask, action_values(signed, value), -np.inf)
        current = np.take_along_axis(q, chosen[..., None], -1)[..., 0]
        better = q.max(-1) > current + 1e-12 * (1.0 + np.abs(current))
        if not better.any():
            break
        chosen = np.where(better, q.argmax(-1), chosen)
        improvements += 1
    residual = float(np.abs(q.max(-1) - value).max())
    return Optimum(sign * value, action_values(mdp, sign * value), residual, improvements)


def soft_optimal_value(mdp: Mdp, temperature: float, start: Array | None = None, tolerance: float = 1e-12) -> Optimum:
    r"""The max-ent value :math:`V_\tau=T_\tau V_\tau`  [A.4], by soft policy iteration (Newton's method on it).

    Parameters
    ----------
    mdp : Mdp
    temperature : float
        In the units of the reward.
    start : array [..., S], optional
        A warm start for the value.
    tolerance : float
        Relative. Ends when ``max |T V - V| <= tolerance * (1 + max |V|)``, or when rounding stops further progress;
        the distance to the fixed point is at most ``residual / (1 - discount)``.
    """
    if mdp.sparse:
        found, at, left, sweeps = solve_sparse(mdp, temperature, tolerance, start)
        return Optimum(found, at, left, sweeps)
    value: Array = np.zeros(mdp.reward.shape[:-1]) if start is None else start
    best, iteration = np.inf, 0
    while True:
        q = action_values(mdp, value)
        new = soft_maximum(q, temperature)
        change = new - value
        residual = float(np.abs(change).max())
        scale = 1.0 + float(np.abs(new).max())
        if residual <= tolerance * scale or not np.isfinite(residual) or (residual >= 0.5 * best and residual <= 1e-9 * scale) or iteration == IMPROVEMENTS:
            break
        best, iteration = min(best, residual), iteration + 1
        # soft policy iteration is Newton's method: V + (I - discount P^y)^-1 (T V - V)
        value = value + solve_values(policy_kernel(mdp, softmax(q, temperature)), change, mdp.discount)
    return Optimum(value, q, residual, iteration)
