r"""What floating point proves about a commitment: values with a rounding margin, ties that are certainly none.

A value :math:`\hat V` with :math:`\|T\hat V-\hat V\|_\infty\le e` is within :math:`e/(1-\gamma)` of the fixed point. Here e is the residual as computed
*plus* a bound on the rounding errors of computing it (each of n operations loses at most a unit roundoff: the mixture over
the leader's actions, the expectation, the sums) and on what distributions miss of a sum of 1. So the statement holds for
the exact process that the floats describe, whatever completes their rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from stackopt.display import number
from stackopt.games.dynamic_programming import optimal_value
from stackopt.games.operators import Array, Mdp, action_values, follower_mdp, leader_reward_mdp
from stackopt.games.stackelberg import StackelbergGame

#: The unit roundoff, doubled: room for the roundings of the margin itself.
UNIT = float(np.finfo(float).eps)


@dataclass(frozen=True, eq=False)
class Enclosure:
    """A commitment between bounds that rounding cannot move.

    Attributes
    ----------
    low, high : float
        Both W_0(x) and S_0(x) lie between them.
    follower_error : float
        How far the follower's computed values can be from the exact ones.
    undecided : bool array [S, B]
        Actions that may be best responses without being the only candidate of their state.
    """

    low: float
    high: float
    follower_error: float
    undecided: np.ndarray


def enclose(game: StackelbergGame, leader_policy: Array) -> Enclosure:
    """The enclosure of S_0(x) and W_0(x) in floating point; memory and work are those of a certificate.

    Parameters
    ----------
    game : StackelbergGame
        A single game.
    leader_policy : array [S, A]
    """
    follower = follower_mdp(game, leader_policy)
    best = optimal_value(follower)
    missing = float(np.abs(1.0 - leader_policy.sum(-1)).max())
    rounding = _rounding(game, follower, game.follower_reward, best.value, missing)
    error = _error(follower, best.value, rounding)
    gaps = best.action_values.max(-1, keepdims=True) - best.action_values
    # V* is within `error` of V; Q(V) is off by its own rounding and by discount times that
    possible = gaps <= 2.0 * (error * (1.0 + game.follower_discount) + rounding)
    mdp = leader_reward_mdp(game, leader_policy)
    ends = []
    for minimise in (True, False):
        found = optimal_value(mdp, possible, minimise=minimise)
        rounding = _rounding(game, mdp, game.leader_reward, found.value, missing)
        ends.append((float(game.initial @ found.value), _error(mdp, found.value, rounding, possible, minimise=minimise)))
    (low, low_error), (high, high_error) = ends
    unfinished = abs(1.0 - float(game.initial.sum())) + 2.0 * UNIT * game.shape[0]  # of the initial distribution and sums over it
    size = unfinished * max(float(np.abs(found.value).max()), abs(low), abs(high))
    return Enclosure(low - low_error - size, high + high_error + size, error, possible & (possible.sum(-1, keepdims=True) > 1))


def margin_notes(game: StackelbergGame, leader_policy: Array) -> tuple[str, ...]:
    """The enclosure in words."""
    found = enclose(game, leader_policy)
    low, high = found.low, found.high
    states = int(found.undecided.any(-1).sum())
    if not states:
        return (f"the follower's best response is unique whatever the rounding; the leader's value is {number(low, 9)} within {number(high - low, 2)}",)
    return (f"possible ties that floating point cannot decide in {states} state{'s' if states > 1 else ''}; strong and weak value lie in "
            f"[{number(low, 9)}, {number(high, 9)}]",)  # fmt: skip


def _error(mdp: Mdp, value: Array, rounding: float, allowed: Any = None, *, minimise: bool = False) -> float:
    """A bound on the distance of `value` to the optimum over the allowed actions, rounding included."""
    q = action_values(mdp, value)
    if allowed is not None:
        q = np.where(allowed, q, np.inf if minimise else -np.inf)
    top = q.min(-1) if minimise else q.max(-1)
    residual = float(np.abs(top - value).max()) * (1.0 + UNIT)
    return (residual + rounding) / (1.0 - mdp.discount) * (1.0 + 8.0 * UNIT)


def _rounding(game: StackelbergGame, mdp: Mdp, reward: Array, value: Array, missing: float) -> float:
    """A bound on how far any computed Q(s, b) is from that of the exact process whose rows sum to 1.

    `missing` is how far rows of the leader's policy are from a sum of 1.
    """
    _, A, _ = game.shape
    terms = int(np.diff(mdp.transition.indptr).max()) if mdp.sparse else mdp.transition.shape[-1]
    rows = np.asarray(mdp.transition.sum(-1))  # mixed: misses what the policy and the transitions miss
    size, most = float(np.abs(value).max()), float(np.abs(reward).max())
    unfinished = float(np.abs(1.0 - rows).max()) + 2.0 * missing + 2.0 * (A + terms) * UNIT
    return (A + terms + 8) * UNIT * (most + mdp.discount * size) + 2.0 * missing * most + 2.0 * mdp.discount * unfinished * size
