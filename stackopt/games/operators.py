r"""The operators of a Stackelberg Markov game: pure functions, one equation each, axes written down.

Axes are `S` states, `A` leader actions, `B` follower actions; leading axes `...` are batch. A Markov decision process
(`Mdp`) has one deciding player with actions `B`. Transitions are dense arrays, or, for a single large game, a CSR matrix
with one row per (s, a, b) or (s, b) in C order.

Nothing here iterates: fixed points are in `dynamic_programming`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from stackopt.games.stackelberg import StackelbergGame

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Mdp:
    """A Markov decision process: what one player faces when the other's policy is fixed.

    Attributes
    ----------
    reward : array [..., S, B]
    transition : array [..., S, B, S], or CSR matrix [S * B, S]
    discount : float
        In [0, 1).
    """

    reward: Array
    transition: Any
    discount: float

    @property
    def sparse(self) -> bool:
        """Whether the transitions are a CSR matrix."""
        return not isinstance(self.transition, np.ndarray)


# --- what each player faces -------------------------------------------------------------------------------------------


def follower_mdp(game: StackelbergGame, leader_policy: Array) -> Mdp:
    r""":math:`r_F^x(s,b)=\sum_a x(a|s)\,r_F(s,a,b)`, :math:`P^x(t|s,b)=\sum_a x(a|s)\,P(t|s,a,b)`  [A.1]."""
    return Mdp(_average_leader(leader_policy, game.follower_reward), _kernel_of_leader(game, leader_policy), game.follower_discount)


def leader_mdp(game: StackelbergGame, follower_policy: Array) -> Mdp:
    r""":math:`r_L^y(s,a)=\sum_b y(b|s)\,r_L(s,a,b)`, :math:`P^y(t|s,a)=\sum_b y(b|s)\,P(t|s,a,b)`  [A.1]."""
    reward = np.einsum("...sb,...sab->...sa", follower_policy, game.leader_reward)
    if game.sparse:
        return Mdp(reward, _mix_rows(game, _weights_of_follower(game, follower_policy)), game.leader_discount)
    transition = np.matmul(follower_policy[..., :, None, None, :], game.transition)[..., 0, :]
    return Mdp(reward, transition, game.leader_discount)


def leader_reward_mdp(game: StackelbergGame, leader_policy: Array) -> Mdp:
    r"""The follower's decisions valued by the leader: :math:`r_L^x(s,b)`, :math:`P^x`, discount :math:`\gamma_L`  [A1]."""
    return Mdp(_average_leader(leader_policy, game.leader_reward), _kernel_of_leader(game, leader_policy), game.leader_discount)


def joint_mdp(game: StackelbergGame, reward: Array, discount: float) -> Mdp:
    """One controller picks (a, b): reward [..., S, A * B]  [B8.1]."""
    *batch, S, A, B = reward.shape
    transition = game.transition if game.sparse else game.transition.reshape(*batch, S, A * B, S)
    return Mdp(reward.reshape(*batch, S, A * B), transition, discount)


def _average_leader(x: Array, reward: Array) -> Array:
    averaged: Array = np.matmul(x[..., :, None, :], reward)[..., 0, :]
    return averaged


def _kernel_of_leader(game: StackelbergGame, x: Array) -> Any:
    S, A, B = game.shape
    if game.sparse:
        # row (s, b) of the mixing matrix has x[s, a] in column (s, a, b)
        s, b, a = np.meshgrid(np.arange(S), np.arange(B), np.arange(A), indexing="ij")
        weights = np.broadcast_to(x[:, None, :], (S, B, A)).ravel()
        return _mixing(weights, ((s * A + a) * B + b).ravel(), A) @ game.transition
    P = game.transition
    return np.matmul(x[..., :, None, :], P.reshape(*P.shape[:-2], B * S))[..., 0, :].reshape(*x.shape[:-1], B, S)


def _weights_of_follower(game: StackelbergGame, y: Array) -> Array:
    S, A, B = game.shape
    weights: Array = np.broadcast_to(y[:, None, :], (S, A, B)).reshape(-1)
    return weights


def _mix_rows(game: StackelbergGame, weights: Array) -> Any:
    """Sum the rows (s, a, b) of a sparse kernel over b with the given weights."""
    S, A, B = game.shape
    return _mixing(weights, np.arange(S * A * B), B) @ game.transition


def _mixing(weights: Array, columns: np.ndarray, per_row: int) -> Any:
    """CSR matrix with `per_row` weights in each row; zeros dropped, so that a pure policy costs what it uses."""
    from scipy import sparse

    rows = weights.size // per_row
    matrix = sparse.csr_matrix((weights.copy(), columns, np.arange(rows + 1) * per_row), shape=(rows, weights.size))
    matrix.eliminate_zeros()  # works in place: hence the copy above
    return matrix


# --- Bellman operators of an Mdp --------------------------------------------------------------------------------------


def action_values(mdp: Mdp, value: Array) -> Array:
    r""":math:`Q(s,b)=r(s,b)+\gamma\sum_t P(t|s,b)V(t)`; value [..., S] to [..., S, B]."""
    return mdp.reward + mdp.discount * expected_next(mdp, value)


def expected_next(mdp: Mdp, value: Array) -> Array:
    r""":math:`\sum_t P(t|s,b)V(t)`; value [..., S] to [..., S, B]."""
    if mdp.sparse:
        result: Array = (mdp.transition @ value).reshape(mdp.reward.shape)
        return result
    *lead, S, B, _ = mdp.transition.shape
    # one matrix-vector product per game, not one per state: several times faster on small games
    dense: Array = np.matmul(mdp.transition.reshape(*lead, S * B, S), value[..., None])[..., 0]
    return dense.reshape(*dense.shape[:-1], S, B)


def bellman(mdp: Mdp, value: Array) -> Array:
    r""":math:`(TV)(s)=\max_b Q(s,b)`."""
    best: Array = action_values(mdp, value).max(-1)
    return best


def soft_bellman(mdp: Mdp, value: Array, temperature: float) -> Array:
    r""":math:`(T_\tau V)(s)=\tau\log\sum_b e^{Q(s,b)/\tau}`  [A.4]."""
    return soft_maximum(action_values(mdp, value), temperature)


def soft_maximum(q: Array, temperature: float) -> Array:
    r""":math:`\tau\log\sum_b e^{q_b/\tau}` over the last axis, without overflow."""
    top = q.max(-1)
    value: Array = top + temperature * np.log(np.exp((q - top[..., None]) / temperature).sum(-1))
    return value


def softmax(q: Array, temperature: float) -> Array:
    r""":math:`p_b\propto e^{q_b/\tau}` over the last axis, without overflow."""
    policy: Array = np.exp((q - q.max(-1, keepdims=True)) / temperature)
    policy /= policy.sum(-1, keepdims=True)
    return policy


def argmax_uniform(q: Array, tolerance: float | Array = 0.0) -> Array:
    """argmax-e: the uniform distribution over the maximisers of the last axis, ties within `tolerance`  [A.3]."""
    policy: Array = (q >= q.max(-1, keepdims=True) - tolerance).astype(np.float64)
    policy /= policy.sum(-1, keepdims=True)
    return policy


def entropy(policy: Array) -> Array:
    r""":math:`H(s)=-\sum_b y(b|s)\log y(b|s)`, in nats, with 0 log 0 = 0; [..., S, B] to [..., S]."""
    positive = policy > 0
    nats: Array = -np.where(positive, policy * np.log(np.where(positive, policy, 1.0)), 0.0).sum(-1)
    return nats


def policy_reward(mdp: Mdp, policy: Array) -> Array:
    r""":math:`r^y(s)=\sum_b y(b|s)r(s,b)`."""
    reward: Array = np.einsum("...sb,...sb->...s", policy, mdp.reward)
    return reward


def policy_kernel(mdp: Mdp, policy: Array) -> Any:
    r""":math:`P^y(t|s)=\sum_b y(b|s)P(t|s,b)`; [..., S, S], or CSR [S, S]."""
    if mdp.sparse:
        return _mixing(policy.ravel(), np.arange(policy.size), policy.shape[-1]) @ mdp.transition
    return np.matmul(policy[..., :, None, :], mdp.transition)[..., 0, :]


def one_hot(chosen: np.ndarray, actions: int) -> Array:
    """The deterministic policy [..., S, B] that plays `chosen` [..., S]."""
    policy: Array = np.zeros((*chosen.shape, actions))
    np.put_along_axis(policy, chosen[..., None], 1.0, -1)
    return policy
