r"""The operators of a mean-field game: pure functions of arrays, one equation each.

Axes are `K` types, `T` stages (or `n` of them), `S` states, `B` actions, `J` statistics, `D` leader parameters; every array of the
followers is [K, T, S, B] or broadcasts to it. Only functions of the array API standard are used and the namespace is that of the
arrays, so NumPy, JAX and torch arrays and `array_api_strict` all pass through. Nothing here iterates.
"""

from __future__ import annotations

from typing import Any

from stackopt.games.mean_field.namespace import namespace


def flow(mean_field: Any, policy: Any) -> Any:
    r""":math:`L_k(s,b)=\mu_k(s)\,y_k(b|s)`: mass of states and actions [K, T, S, B]."""
    return mean_field[..., None] * policy


def aggregate(flows: Any, weights: Any, statistic: Any) -> Any:
    r""":math:`y_{tj}=\sum_k w_k\sum_{s,b}L_{kt}(s,b)\,H_{kt}(s,b,j)`: what couples the followers [T, J].

    Parameters
    ----------
    flows : array [K, T, S, B]
    weights : array [K]
        Shares of the types.
    statistic : array [K or 1, T or 1, S, B, J], ``"states"`` or ``"state-actions"``
        H; the names stand for the distribution of states (J = S) and of states and actions (J = S * B) of all types together.
    """
    xp = namespace(flows)
    K, T, S, B = flows.shape
    if isinstance(statistic, str):
        together = xp.sum(weights[:, None, None, None] * flows, axis=0)
        return xp.sum(together, axis=-1) if statistic == "states" else xp.reshape(together, (T, S * B))
    J = statistic.shape[-1]
    rows = xp.reshape(flows, (K, T, 1, S * B))
    measured = xp.matmul(rows, xp.reshape(statistic, (*statistic.shape[:2], S * B, J)))  # [K, T, 1, J]
    return xp.sum(weights[:, None, None] * measured[:, :, 0, :], axis=0)


def affine(constant: Any, on_population: Any, y: Any, on_leader: Any, theta: Any) -> Any:
    r""":math:`r_0+R_1y_t+R_2\theta`: rewards [K, n, S, B] out of arrays whose last axis is J or D (or None)."""
    xp = namespace(constant)
    total = constant
    if on_population is not None:
        total = total + xp.matmul(on_population, y[None, :, None, :, None])[..., 0]
    if on_leader is not None:
        total = total + xp.matmul(on_leader, theta[:, None])[..., 0]
    return total


def affine_kernel(constant: Any, on_population: Any, y: Any, on_leader: Any, theta: Any) -> Any:
    r""":math:`P_0+\sum_jy_{tj}P_{1j}+\sum_d\theta_dP_{2d}`: transitions [K, n, S, B, S]; axis J or D stands before S, B, S."""
    xp = namespace(constant)
    total = constant
    if on_population is not None:
        total = total + _weighted(xp, on_population, y[None, :, None, :])
    if on_leader is not None:
        total = total + _weighted(xp, on_leader, theta[None, None, None, :])
    return total


def _weighted(xp: Any, terms: Any, factors: Any) -> Any:
    """The sum of terms [k, n, J, S, B, S] with factors [1, n, 1, J]."""
    rows = xp.reshape(terms, (*terms.shape[:3], -1))
    total = xp.matmul(factors, rows)  # [k, n, 1, S * B * S]
    return xp.reshape(total, (total.shape[0], total.shape[1], *terms.shape[3:]))


def q_values(reward: Any, expected: Any, discount: float) -> Any:
    r""":math:`Q(s,b)=r(s,b)+\gamma\sum_tP(t|s,b)V(t)` [K, n, S, B], given the expectation of the next value."""
    return reward + discount * expected


def best_value(q: Any) -> Any:
    r""":math:`\max_bQ(s,b)` [..., S]."""
    return namespace(q).max(q, axis=-1)


def soft_value(q: Any, temperature: float) -> Any:
    r""":math:`\tau\log\sum_be^{Q(s,b)/\tau}` [..., S]  (max-ent, theory A.4)."""
    xp = namespace(q)
    top = xp.max(q, axis=-1, keepdims=True)
    return top[..., 0] + temperature * xp.log(xp.sum(xp.exp((q - top) / temperature), axis=-1))


def soft_policy(q: Any, temperature: float) -> Any:
    r""":math:`e^{Q(s,b)/\tau}/\sum_{b'}e^{Q(s,b')/\tau}` [..., S, B]."""
    xp = namespace(q)
    weights = xp.exp((q - xp.max(q, axis=-1, keepdims=True)) / temperature)
    return weights / xp.sum(weights, axis=-1, keepdims=True)


def greedy_policy(q: Any, tolerance: float = 0.0) -> Any:
    r"""Uniform over the actions within `tolerance` of the best [..., S, B]."""
    xp = namespace(q)
    best = xp.where(q >= xp.max(q, axis=-1, keepdims=True) - tolerance, xp.ones_like(q), xp.zeros_like(q))
    return best / xp.sum(best, axis=-1, keepdims=True)


def policy_average(policy: Any, values: Any) -> Any:
    r""":math:`\sum_by(b|s)\,q(s,b)` [..., S]."""
    return namespace(policy).sum(policy * values, axis=-1)


def entropy(policy: Any) -> Any:
    r""":math:`-\sum_by(b|s)\log y(b|s)` [..., S], with 0 log 0 = 0."""
    xp = namespace(policy)
    positive = xp.where(policy > 0, policy, xp.ones_like(policy))
    return -xp.sum(policy * xp.log(positive), axis=-1)
