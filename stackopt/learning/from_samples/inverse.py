r"""What behaviour says about an objective: inverse soft responses, in closed form and by maximum likelihood.

A max-ent follower with known transitions, discount and monetary reward :math:`c_x` plays, under leader policy x,
:math:`y_x=\mathrm{softmax}(Q_x)`, :math:`Q_x=\kappa c_x+w+\gamma PV_x`, where :math:`\kappa=1/\tau` and
:math:`w=u/\tau` are unknown. One policy determines :math:`\kappa c_x+w` up to shaping :math:`\phi-\gamma P\phi`; two
determine :math:`\kappa` unless the difference of their monetary rewards is itself shaping. Then the response to any other
policy follows; u alone is not identified and not needed.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from stackopt.games.dynamic_programming import soft_optimal_value, solve_values
from stackopt.games.operators import Array, Mdp, follower_mdp, policy_kernel, softmax
from stackopt.games.responses import follower_response, leader_value
from stackopt.games.stackelberg import StackelbergGame

#: Standard deviations of the Gaussian prior on u/tau, of its mean in a group and action and of what a state adds to that,
#: and of log(1/tau). Weak: they decide what data leave open.
TASTE, OWN_TASTE, LOG_SHARPNESS = 5.0, 2.0, 2.0
#: The most iterations of L-BFGS.
ITERATIONS = 400
#: Leader policies whose values are computed at a time.
CHUNK = 64


@dataclass(frozen=True, eq=False)
class Tastes:
    """A soft follower as estimated: what it likes besides money, and how sharply it chooses.

    Attributes
    ----------
    taste : array [S, B]
        u in the units of the reward, one representative of its class up to shaping.
    temperature : float
    identified : bool
        Whether the temperature is identified by the policies tried (see `contrast`).
    """

    taste: Array
    temperature: float
    identified: bool = True

    def game(self, known: StackelbergGame) -> StackelbergGame:
        """The known game with this taste added to the follower's reward."""
        return with_taste(known, self.taste)

    def values(self, known: StackelbergGame, policies: Array) -> Array:
        """The leader's value of each policy [K, S, A] against the estimated follower, [K]."""
        return soft_values(self.game(known), policies, self.temperature)

    def response(self, known: StackelbergGame, policy: Array) -> Array:
        """The estimated response [..., S, B] to policies [..., S, A]."""
        return follower_response(self.game(known), policy, self.temperature).policy


def with_taste(game: StackelbergGame, taste: Array) -> StackelbergGame:
    """`game` with `taste` [S, B] added to the follower's reward; everything else is shared."""
    changed = copy.copy(game)  # valid already, and so is the sum
    object.__setattr__(changed, "follower_reward", game.follower_reward + np.asarray(taste, float)[:, None, :])
    return changed


def soft_values(game: StackelbergGame, policies: Array, temperature: float) -> Array:
    r""":math:`J_\tau` of every policy [K, S, A], exactly, [K]."""
    parts = []
    for begin in range(0, len(policies), CHUNK):
        some = policies[begin : begin + CHUNK]
        parts.append(leader_value(game, some, follower_response(game, some, temperature).policy))
    return np.concatenate(parts)


def contrast(game: StackelbergGame, policies: Array) -> float:
    r"""How much of the difference of monetary rewards between the policies tried is *not* shaping, relative to its size.

    0 means that no amount of data determines the temperature; a single policy always gives 0.
    """
    mdps = [follower_mdp(game, x) for x in policies]
    scale = max(float(np.ptp(m.reward)) for m in mdps) or 1.0
    if len(mdps) < 2:
        return 0.0
    rows, right, _ = _shaping_rows(game, mdps)
    fit, *_ = np.linalg.lstsq(rows, right, rcond=None)
    return float(np.abs(rows @ fit - right).max()) / scale


def _shaping_rows(game: StackelbergGame, mdps: list[Mdp]) -> tuple[Array, Array, list[Array]]:
    """Rows that say: c_i - c_0 = phi_i - discount P_i phi_i - (phi_0 - discount P_0 phi_0), the V of each policy unknown."""
    S, B = mdps[0].reward.shape
    eye = np.repeat(np.eye(S), B, 0)  # row (s, b) picks state s
    blocks = [eye - m.discount * m.transition.reshape(S * B, S) for m in mdps]
    rows = np.zeros(((len(mdps) - 1) * S * B, len(mdps) * S))
    right = np.zeros(len(rows))
    for i in range(1, len(mdps)):
        some = slice((i - 1) * S * B, i * S * B)
        rows[some, i * S : (i + 1) * S] = blocks[i]
        rows[some, :S] = -blocks[0]
        right[some] = (mdps[i].reward - mdps[0].reward).ravel()
    return rows, right, blocks


def invert(game: StackelbergGame, policies: Array, responses: Array, weights: Array | None = None) -> Tastes:
    r"""Taste and temperature from responses, in closed form: a linear least-squares problem.

    :math:`\log y_i=\kappa c_i+w-V_i+\gamma P_iV_i` for every policy i is linear in :math:`(\kappa,w,V_1,\dots)`. With
    exact responses and an identified temperature the answer is exact; the solution of least norm picks the
    representative.

    Parameters
    ----------
    game : StackelbergGame
        With the *known* part of the follower's reward.
    policies : array [D, S, A]
    responses : array [D, S, B]
        Positive.
    weights : array [D, S, B], optional
        Of each equation, such as the square roots of counts.
    """
    mdps = [follower_mdp(game, x) for x in policies]
    S, B = mdps[0].reward.shape
    D = len(mdps)
    columns = 1 + S * B + D * S
    rows, right = np.zeros((D * S * B, columns)), np.log(responses).ravel()
    eye = np.repeat(np.eye(S), B, 0)
    for i, m in enumerate(mdps):
        some = slice(i * S * B, (i + 1) * S * B)
        rows[some, 0] = m.reward.ravel()
        rows[some, 1 : 1 + S * B] = np.eye(S * B)
        rows[some, 1 + S * B + i * S : 1 + S * B + (i + 1) * S] = m.discount * m.transition.reshape(S * B, S) - eye
    if weights is not None:
        scale = weights.ravel()
        rows, right = rows * scale[:, None], right * scale
    found, *_ = np.linalg.lstsq(rows, right, rcond=None)
    sharpness = float(found[0])
    identified = contrast(game, policies) > 1e-8 and sharpness > 0.0
    sharpness = sharpness if sharpness > 0.0 else 1.0 / max(float(np.ptp(game.follower_reward)), 1e-12)
    return Tastes(found[1 : 1 + S * B].reshape(S, B) / sharpness, 1.0 / sharpness, identified)


def log_likelihood(game: StackelbergGame, policies: Array, counts: Array, taste: Array, sharpness: float) -> tuple[float, Array, float]:
    r"""The log-likelihood of choices and its gradient along :math:`w=u/\tau` [S, B] and along :math:`\kappa=1/\tau`.

    :math:`\ell=\sum_iN_i(s,b)\log y_i(b|s)`. With :math:`g=N_i-N_i(s)\,y_i` the derivative along Q,
    :math:`\lambda=(I-\gamma P_i^{y})^{-\top}\gamma P_i^\top g` carries it through the value: :math:`dw=g+\lambda y_i`.

    Parameters
    ----------
    policies : array [D, S, A]
    counts : array [D, S, B]
    taste : array [S, B]
        :math:`w=u/\tau`, no unit.
    sharpness : float
        :math:`\kappa=1/\tau`.
    """
    mdp = follower_mdp(game, policies)
    scaled = Mdp(sharpness * mdp.reward + taste, mdp.transition, mdp.discount)
    optimum = soft_optimal_value(scaled, 1.0)
    y = softmax(optimum.action_values, 1.0)
    shifted = optimum.action_values - optimum.action_values.max(-1, keepdims=True)
    log_y = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    g = counts - counts.sum(-1, keepdims=True) * y
    inflow = mdp.discount * np.einsum("isb,isbt->it", g, mdp.transition)
    carried = solve_values(policy_kernel(mdp, y), inflow, mdp.discount, transpose=True)
    g = g + carried[..., None] * y
    return float((counts * log_y).sum()), g.sum(0), float((g * mdp.reward).sum())


def fit(game: StackelbergGame, policies: Array, counts: Array, groups: Any, guess: float, start: Tastes | None = None) -> Tastes:
    r"""Maximum likelihood of :math:`(u/\tau,1/\tau)` under a weak Gaussian prior, by L-BFGS.

    Parameters
    ----------
    game : StackelbergGame
        With the known part of the follower's reward.
    policies : array [D, S, A]
        Different leader policies.
    counts : array [D, S, B]
        Choices under each.
    groups : int array [S]
        States whose tastes are alike a priori, such as those of one period.
    guess : float
        The centre of the prior on the temperature.
    start : Tastes, optional
        An earlier estimate to start from.

    Notes
    -----
    Asymptotically right if followers are soft-rational, at equilibrium, and visit every (state, action) that matters; the
    prior decides the rest. Taste and sharpness have different scales, so sharpness is searched on a logarithmic axis.
    """
    from scipy.optimize import minimize

    S, _, B = game.shape
    G = int(groups.max()) + 1
    member = (np.arange(G)[:, None] == groups).astype(float)  # [G, S]

    def parts(z: Array) -> tuple[Array, Array]:
        return z[: G * B].reshape(G, B), z[G * B : -1].reshape(S, B)

    def loss(z: Array) -> tuple[float, Array]:
        shared, own = parts(z)
        k = float(np.exp(np.clip(z[-1], -30.0, 30.0)))
        value, along_w, along_k = log_likelihood(game, policies, counts, shared[groups] + own, k)
        off = z[-1] + np.log(guess)
        prior = 0.5 * (float((shared**2).sum()) / TASTE**2 + float((own**2).sum()) / OWN_TASTE**2 + (off / LOG_SHARPNESS) ** 2)
        slopes = (shared / TASTE**2 - member @ along_w, own / OWN_TASTE**2 - along_w, off / LOG_SHARPNESS**2 - along_k * k)
        return prior - value, np.concatenate([np.ravel(part) for part in slopes])

    first = np.append(np.zeros((G + S) * B), -np.log(guess)) if start is None else _packed(start, groups)
    found = minimize(loss, first, jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS, "maxcor": 30})
    shared, own = parts(found.x)
    temperature = float(np.exp(-found.x[-1]))
    return Tastes((shared[groups] + own) * temperature, temperature, contrast(game, policies) > 1e-8)


def _packed(tastes: Tastes, groups: Any) -> Array:
    """Parameters of `fit` at an earlier estimate."""
    w = tastes.taste / tastes.temperature
    shared = np.array([w[groups == g].mean(0) for g in range(int(groups.max()) + 1)])
    return np.concatenate([shared.ravel(), (w - shared[groups]).ravel(), [-np.log(tastes.temperature)]])
