"""Fixed points of the operators: the value of a policy, the optimal value, the soft-optimal value, discounted visits.

Every function states the residual it stops at and what that guarantees. Dense problems (batched) are solved by policy
iteration with direct linear solves; sparse ones by span-stopped sweeps and Krylov solves, in memory proportional to the
non-zeros.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from stackopt.games.operators import (
    Array,
    Mdp,
    action_values,
    entropy,
    one_hot,
    policy_kernel,
    policy_reward,
    soft_maximum,
    softmax,
)

#: Sparse systems of at most this many states are solved directly.
DIRECT_STATES = 1500


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


def policy_value(mdp: Mdp, policy: Array, extra: Array | float = 0.0) -> Array:
    r""":math:`V=(I-\gamma P^y)^{-1}(r^y+\text{extra})`, [..., S].

    `extra` [..., S] is added to the policy's reward (an entropy bonus, say).
    """
    return solve_values(policy_kernel(mdp, policy), policy_reward(mdp, policy) + extra, mdp.discount)


def discounted_visits(mdp: Mdp, policy: Array, initial: Array) -> Array:
    r""":math:`d=(I-\gamma P^y)^{-\top}\rho`, [..., S]: expected discounted visits, total mass :math:`1/(1-\gamma)`."""
    return solve_values(policy_kernel(mdp, policy), initial, mdp.discount, transpose=True)


def solve_values(kernel: Any, right: Array, discount: float, *, transpose: bool = False) -> Array:
    r"""Solve :math:`(I-\gamma P)v=r` (or its transpose) for a dense batch [..., S, S] or a CSR matrix [S, S]."""
    if isinstance(kernel, np.ndarray):
        matrix = np.eye(kernel.shape[-1]) - discount * (np.swapaxes(kernel, -1, -2) if transpose else kernel)
        right = np.broadcast_to(right, matrix.shape[:-1])
        dense: Array = np.linalg.solve(matrix, right[..., None])[..., 0]
        return dense
    from scipy import sparse
    from scipy.sparse import linalg

    matrix = sparse.identity(kernel.shape[0], format="csr") - discount * (kernel.T.tocsr() if transpose else kernel)
    right = np.broadcast_to(right, kernel.shape[:1]).astype(np.float64)
    if kernel.shape[0] <= DIRECT_STATES:
        direct: Array = linalg.spsolve(matrix.tocsc(), right)
        return direct
    scale = max(float(np.abs(right).max()), 1e-300)
    value: Array = np.zeros_like(right)
    for _ in range(20):  # restarts: the true residual decides, not the solver's recurrence
        defect = right - matrix @ value
        if np.abs(defect).max() <= 1e-13 * scale:
            break
        step, _info = linalg.bicgstab(matrix, defect, rtol=1e-8, atol=0.0, maxiter=2000)
        value = value + step
    return value


def optimal_value(mdp: Mdp, allowed: np.ndarray | None = None, *, minimise: bool = False) -> Optimum:
    """The optimal value over the allowed actions, by policy iteration.

    Parameters
    ----------
    mdp : Mdp
    allowed : bool array [..., S, B], optional
        Restrict the actions; every state needs at least one.
    minimise : bool
        Solve for the least instead of the greatest value.

    Returns
    -------
    Optimum
        Policy iteration ends when no action improves by more than rounding (1e-11 relative), so the value is within
        ``residual / (1 - discount)`` of the optimum with a residual of that order. Ties keep the current action, so it
        cannot cycle.
    """
    sign = -1.0 if minimise else 1.0
    signed = Mdp(sign * mdp.reward, mdp.transition, mdp.discount)
    mask = np.ones(mdp.reward.shape, bool) if allowed is None else allowed
    value = _sparse_start(signed, mask) if mdp.sparse else np.zeros(mdp.reward.shape[:-1])
    q = np.where(mask, action_values(signed, value), -np.inf)
    chosen = q.argmax(-1)
    improvements = 0
    for _ in range(1000):
        policy = one_hot(chosen, mdp.reward.shape[-1])
        value = policy_value(signed, policy)
        q = np.where(mask, action_values(signed, value), -np.inf)
        current = np.take_along_axis(q, chosen[..., None], -1)[..., 0]
        better = q.max(-1) > current + 1e-11 * (1.0 + np.abs(current))
        if not better.any():
            break
        chosen = np.where(better, q.argmax(-1), chosen)
        improvements += 1
    residual = float(np.abs(q.max(-1) - value).max())
    return Optimum(sign * value, action_values(mdp, sign * value), residual, improvements)


def _sparse_start(mdp: Mdp, mask: np.ndarray) -> Array:
    """A few dozen value sweeps: policy iteration then needs few linear solves."""
    value: Array = np.zeros(mdp.reward.shape[:-1])
    for _ in range(60):
        new = np.where(mask, action_values(mdp, value), -np.inf).max(-1)
        change = new - value
        value = new + mdp.discount / (1 - mdp.discount) * 0.5 * (change.max() + change.min())
        if np.ptp(change) <= 1e-9:
            break
    return value


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
    value = np.zeros(mdp.reward.shape[:-1]) if start is None else start
    best = np.inf
    for iteration in range(1, 501):
        q = action_values(mdp, value)
        new = soft_maximum(q, temperature)
        residual = float(np.abs(new - value).max()) if iteration > 1 or start is not None else np.inf
        if residual <= tolerance * (1.0 + float(np.abs(new).max())) or (residual >= 0.5 * best and residual <= 1e-9 * (1.0 + float(np.abs(new).max()))):
            return Optimum(new, action_values(mdp, new), residual, iteration)
        best = min(best, residual)
        policy = softmax(q, temperature)
        value = policy_value(mdp, policy, temperature * entropy(policy))
    return Optimum(value, action_values(mdp, value), best, iteration)
