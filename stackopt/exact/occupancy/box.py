r"""A part of the leader's policies, with ranges of the follower's value and of the leader's visits that hold for all of it.

A box holds lower and upper bounds on x, the responses that are still allowed, and four ranges. Each range is moved by monotone
operators that dominate the true one (interval dynamic programming), so it may start from the parent's range and any number of
sweeps is valid:

- :math:`V_F^x\le T^+V`, :math:`T^+V(s)=\max_{b\ \text{allowed}}\max_{x\in\text{box}}\sum_a x\,Q(s,a,b)`: the follower's best response is one of the allowed;
- :math:`V_F^x\ge T^-V`, :math:`T^-V(s)=\max_{b}\min_{x\in\text{box}}\sum_a x\,Q(s,a,b)`, over *all* b: it may play any;
- the same with reward 1 in one state for the visits to it, over allowed responses.

A response is dropped where another one is better for every x of the box and every value in the range.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackopt.games.operators import Array
from stackopt.reformulations.ranges import Choices

#: Ranges are widened by this, relative: rounding cannot cut a policy off.
WIDENING = 1e-9
#: Sweeps per box.
SWEEPS = 12


@dataclass(frozen=True, eq=False)
class Box:
    """See the module.

    Attributes
    ----------
    lower, upper : array [C, A]
        Of the leader's probabilities in each observation class.
    allowed : bool array [S, B]
    value_low, value_high : array [S]
        Of the follower's optimal value.
    visits_low, visits_high : array [S, S]
        Of the leader-discounted visits to the second state from the first.
    """

    lower: Array
    upper: Array
    allowed: NDArray[np.bool_]
    value_low: Array
    value_high: Array
    visits_low: Array
    visits_high: Array

    @property
    def empty(self) -> bool:
        """Whether no policy is left."""
        return bool(
            (self.lower > self.upper + 1e-12).any() or (self.lower.sum(1) > 1 + 1e-9).any() or (self.upper.sum(1) < 1 - 1e-9).any()
            or not self.allowed.any(1).all() or (self.value_low > self.value_high + WIDENING * (1 + np.abs(self.value_high))).any()
        )


def extreme(q: Array, lower: Array, upper: Array, sign: float) -> Array:
    """The largest (sign 1) or smallest (-1) of ``x @ q`` over lower <= x <= upper, sum x = 1; axes [..., A]."""
    order = np.argsort(-sign * q, axis=-1)
    room = np.take_along_axis(np.broadcast_to(upper - lower, q.shape), order, -1)
    left = 1.0 - lower.sum(-1)
    given = np.clip(left[..., None] - (np.cumsum(room, -1) - room), 0.0, room)
    best: Array = (lower * q).sum(-1) + (given * np.take_along_axis(q, order, -1)).sum(-1)
    return best


def tighten(game: Choices, box: Box, sweeps: int = SWEEPS) -> Box:
    """The box with every range moved inwards; `Box.empty` if nothing is left."""
    lower, upper = box.lower, box.upper
    for _ in range(2):
        upper = np.minimum(upper, 1.0 - (lower.sum(1, keepdims=True) - lower))
        lower = np.maximum(lower, 1.0 - (upper.sum(1, keepdims=True) - upper))
    if (lower > upper + 1e-12).any():
        return replace(box, lower=lower, upper=upper)
    lower = np.minimum(lower, upper)
    at_low, at_high = lower[game.observations], upper[game.observations]  # [S, A]
    P, r, gamma = game.transition, game.follower_reward, game.follower_discount
    low, high, allowed = box.value_low, box.value_high, box.allowed
    closer = 1e-3 * float((high - low).max())
    for sweep in range(sweeps):
        q = r + gamma * np.moveaxis(P @ np.stack([high, low], 1), -1, 0)  # [2, S, A, B]
        q[1] = -q[1]
        reached = extreme(np.swapaxes(q, 2, 3), at_low[:, None], at_high[:, None], 1.0)  # over x: the best at `high`, minus the worst at `low`
        new_high = np.minimum(high, widened(np.where(allowed, reached[0], -np.inf).max(1), 1.0))
        new_low = np.maximum(low, widened((-reached[1]).max(1), -1.0))
        moved = max(float((high - new_high).max()), float((new_low - low).max()))
        low, high = new_low, new_high
        last = moved <= closer or sweep == sweeps - 1
        if sweep == 0 or last:
            allowed = allowed & ~dominated(game, at_low, at_high, low, high)
            if not allowed.any(1).all():
                return replace(box, lower=lower, upper=upper, allowed=allowed)
        if last:
            break
    ends = np.concatenate([box.visits_high, -box.visits_low], 1)  # minus the least visits: both ends are largest values
    fixed, gamma_leader = np.concatenate([np.eye(len(low)), -np.eye(len(low))], 1), game.leader_discount
    for _ in range(sweeps):
        future = np.moveaxis(P @ ends, -1, 0)  # [2 targets, S, A, B]
        found = extreme(np.swapaxes(future, 2, 3), at_low[None, :, None], at_high[None, :, None], 1.0)
        new = np.minimum(ends, widened(fixed + gamma_leader * np.where(allowed, found, -np.inf).max(-1).T, 1.0))
        moved = float((ends - new).max())
        ends = new
        if moved <= 1e-3:
            break
    most, least = np.split(ends, 2, 1)
    return Box(lower, upper, allowed, low, high, -least, most)


def dominated(game: Choices, at_low: Array, at_high: Array, low: Array, high: Array) -> NDArray[np.bool_]:
    """Responses [S, B] that lose to some other one for every x of the box and every value in the range."""
    gain = follower_gain(game, low, high)  # [S, A, B, B]
    best = extreme(np.moveaxis(gain, 1, -1), at_low[:, None, None], at_high[:, None, None], 1.0)
    scale = 1.0 + np.abs(high).max()
    lost: NDArray[np.bool_] = (best < -1e-9 * scale).any(-1)
    return lost


def follower_gain(game: Choices, low: Array, high: Array) -> Array:
    """At most what b earns the follower more than b', by leader action, over all values in the range; [S, A, B, B]."""
    reward = game.follower_reward[..., :, None] - game.follower_reward[..., None, :]
    moved = game.transition[:, :, :, None] - game.transition[:, :, None]
    middle, radius = (low + high) / 2, (high - low) / 2
    gain: Array = reward + game.follower_discount * (moved @ middle + np.abs(moved) @ radius)
    return gain


def widened(bound: Any, sign: float) -> Any:
    """A range end moved outwards (upwards for a positive sign) by rounding."""
    return bound + sign * WIDENING * (1.0 + np.abs(bound))
