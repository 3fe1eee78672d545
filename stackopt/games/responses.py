"""Responses: what a follower (or a leader) does against a fixed policy, hard and soft, and what a commitment is worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import overload

import numpy as np

from stackopt.games.dynamic_programming import Optimum, optimal_value, policy_value, soft_optimal_value
from stackopt.games.operators import (
    Array,
    Mdp,
    argmax_uniform,
    follower_mdp,
    leader_mdp,
    leader_reward_mdp,
    one_hot,
    softmax,
)
from stackopt.games.profile import Response
from stackopt.games.stackelberg import StackelbergGame

#: Actions within this relative distance of the best are ties. Ten to a hundred times the rounding of the values (discounts up
#: to 0.999); wider, and actions that floating point does tell apart would be counted as tied.
TIE_TOLERANCE = 1e-11


@dataclass(frozen=True, eq=False)
class SoftResponse:
    """A soft response and the optimum it comes from.

    Attributes
    ----------
    policy : array [..., S, B]
    optimum : Optimum
        Soft-optimal (max-ent) or unregularised optimal (Boltzmann) values.
    """

    policy: Array
    optimum: Optimum


def soft_response(mdp: Mdp, temperature: float, model: Response = "max-ent", start: Array | None = None) -> SoftResponse:
    """The soft response in `mdp` (theory A.4).

    ``"max-ent"``: softmax of the soft-optimal Q; smooth in the data. ``"boltzmann"``: softmax of the unregularised
    optimal Q; only Lipschitz. ``"best"``: uniform over the maximisers of the optimal Q (argmax-e); temperature ignored.
    """
    if model == "max-ent":
        optimum = soft_optimal_value(mdp, temperature, start)
        return SoftResponse(softmax(optimum.action_values, temperature), optimum)
    optimum = optimal_value(mdp)
    if model == "boltzmann":
        return SoftResponse(softmax(optimum.action_values, temperature), optimum)
    return SoftResponse(argmax_uniform(optimum.action_values, tie_width(optimum.action_values, (-2, -1))), optimum)


def follower_response(
    game: StackelbergGame, leader_policy: Array, temperature: float, model: Response = "max-ent", start: Array | None = None
) -> SoftResponse:
    """The follower's response [..., S, B] to a leader policy [..., S, A]."""
    return soft_response(follower_mdp(game, leader_policy), temperature, model, start)


def leader_response(
    game: StackelbergGame, follower_policy: Array, temperature: float, model: Response = "max-ent", start: Array | None = None
) -> SoftResponse:
    """The leader's response [..., S, A] to a follower policy held fixed [..., S, B] (the fixed-point concept, A.3)."""
    return soft_response(leader_mdp(game, follower_policy), temperature, model, start)


@overload
def tie_width(q: Array) -> float: ...
@overload
def tie_width(q: Array, axis: int | tuple[int, ...]) -> Array: ...
def tie_width(q: Array, axis: int | tuple[int, ...] | None = None) -> float | Array:
    """The gap below which two actions of `q` count as tied: `TIE_TOLERANCE` relative to its size.

    With `axis`, one width for each slice along the other axes, which are kept: what shares no unit has sizes of its own.
    """
    if axis is None:
        return TIE_TOLERANCE * (1.0 + float(np.abs(q).max()))
    widths: Array = TIE_TOLERANCE * (1.0 + np.abs(q).max(axis, keepdims=True))
    return widths


@dataclass(frozen=True, eq=False)
class Commitment:
    """What a leader policy is worth when the follower best-responds (theory A.2, [A1]).

    Attributes
    ----------
    strong, weak : array [...]
        S_0(x) and W_0(x): ties for and against the leader, from the initial distribution.
    strong_response, weak_response : array [..., S, B]
        Deterministic responses that attain them.
    gaps : array [..., S, B]
        The follower's action gaps V*(s) - Q*(s, b) >= 0.
    ties : bool array [..., S, B]
        The actions counted as best responses.
    follower : Optimum
        The follower's optimal values.
    """

    strong: Array
    weak: Array
    strong_response: Array
    weak_response: Array
    gaps: Array
    ties: np.ndarray
    follower: Optimum

    @property
    def smallest_gap(self) -> float:
        """The smallest gap that is not a tie; infinity if all actions tie everywhere."""
        rest = self.gaps[~self.ties]
        return float(rest.min()) if rest.size else np.inf


def commitment(game: StackelbergGame, leader_policy: Array, margin: float = 0.0) -> Commitment:
    """S_0(x) and W_0(x) by two MDPs on the follower's best responses  [A1].

    Parameters
    ----------
    leader_policy : array [..., S, A]
    margin : float
        Also count actions whose gap is *below* `margin` as responses (theory D2). The comparison is strict, up to the
        width of a tie: an action exactly at the margin is not a response.
    """
    follower = optimal_value(follower_mdp(game, leader_policy))
    gaps = np.maximum(follower.action_values.max(-1, keepdims=True) - follower.action_values, 0.0)
    error = follower.residuals[..., None, None] / (1.0 - game.follower_discount)
    width = np.maximum(tie_width(follower.action_values, (-2, -1)), 4.0 * error)
    ties = gaps <= np.maximum(width, margin - width)
    mdp = leader_reward_mdp(game, leader_policy)
    values, responses = [], []
    for minimise in (False, True):
        optimum = optimal_value(mdp, ties, minimise=minimise)
        allowed = np.where(ties, optimum.action_values, np.inf if minimise else -np.inf)
        responses.append(one_hot(allowed.argmin(-1) if minimise else allowed.argmax(-1), game.shape[2]))
        values.append(np.einsum("...s,...s->...", game.initial, optimum.value))
    return Commitment(values[0], values[1], responses[0], responses[1], gaps, ties, follower)


def leader_value(game: StackelbergGame, leader_policy: Array, follower_policy: Array) -> Array:
    r""":math:`\rho^\top V_L^{x,y}`, shape [...]."""
    value = policy_value(leader_reward_mdp(game, leader_policy), follower_policy)
    total: Array = np.einsum("...s,...s->...", game.initial, value)
    return total
