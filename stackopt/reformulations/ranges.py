"""Proven ranges of values and visits, the only source of big-M constants in the commitment programs.

Each range is a fixed point of a monotone operator that dominates (or is dominated by) every operator the range is about, so
it holds for every leader policy of the search, not for a sample of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from stackopt.games.dynamic_programming import optimal_value
from stackopt.games.operators import Array, Mdp

#: Ranges are widened by this much, relative: rounding in their computation cannot cut a policy off, and no range is so narrow
#: that a solver's tolerance matters.
WIDENING = 1e-6
#: Sweeps of the follower's lower range at most; fewer leave it valid, only wider.
SWEEPS = 3000
#: Up to this many states visits are bounded by two MDPs each.
VISITED_STATES = 100


@dataclass(frozen=True, eq=False)
class Choices:
    """A game whose leader picks from J mixed actions, the same list in every state.

    Attributes
    ----------
    points : array [J, A]
        The mixed actions: unit vectors for pure ones.
    leader_reward, follower_reward : array [S, J, B]
    transition : array [S, J, B, S]
    leader_discount, follower_discount : float
    initial : array [S]
    observations : int array [S]
        The leader's pick is constant on states of one class.
    leader_unit, follower_unit : (scale, shift)
        The game's own rewards are ``shift + scale * reward``.
    """

    points: Array
    leader_reward: Array
    follower_reward: Array
    transition: Array
    leader_discount: float
    follower_discount: float
    initial: Array
    observations: np.ndarray
    leader_unit: tuple[float, float] = (1.0, 0.0)
    follower_unit: tuple[float, float] = (1.0, 0.0)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(S, J, B)."""
        S, J, B = self.leader_reward.shape
        return S, J, B

    @property
    def classes(self) -> int:
        """Number of observation classes."""
        return int(self.observations.max()) + 1

    def normalised(self) -> Choices:
        """The same game with both rewards in [1, 2]: responses and optima are those of the game.

        Tolerances of a solver then mean the same in every game, and no coefficient is tiny: with rewards of 1e-7 among larger
        ones a presolve was seen to return wrong optima.
        """
        scaled = {}
        for player in ("leader", "follower"):
            reward = getattr(self, f"{player}_reward")
            span = float(np.ptp(reward)) or 1.0
            low = float(reward.min())
            scaled[f"{player}_reward"] = 1.0 + (reward - low) / span
            scaled[f"{player}_unit"] = (span, low - span)
        return replace(self, **scaled)

    @property
    def leader_offset(self) -> float:
        """The game's leader value is ``leader_offset + scale * value``."""
        return self.leader_unit[1] / (1.0 - self.leader_discount)


@dataclass(frozen=True, eq=False)
class Ranges:
    r"""Ranges of the values over every policy of the search.

    Attributes
    ----------
    follower_lower, follower_upper : array [S]
        Of the follower's *optimal* value :math:`V_F^{x,*}`.
    leader_lower, leader_upper : array [S]
        Of the leader's value :math:`V_L^{x,y}` under any response.
    """

    follower_lower: Array
    follower_upper: Array
    leader_lower: Array
    leader_upper: Array


def value_ranges(choices: Choices, *, mixed: bool) -> Ranges:
    r"""The ranges, by four MDPs.

    Upper: one controller picks (j, b) in the player's favour; that MDP dominates every pair of policies [B8.1].
    Leader, lower: the same controller works against it. Follower, lower: its optimal value solves
    :math:`V=T^xV` with :math:`T^xV(s)=\max_b\sum_jx(j|s)Q(s,j,b)`, and :math:`T^x\ge T` for the monotone contraction

    - :math:`TV(s)=\min_j\max_bQ(s,j,b)` if the leader picks one j (``mixed=False``),
    - :math:`TV(s)=\max_b\min_jQ(s,j,b)` if it may mix (``mixed=True``),

    so the fixed point of :math:`T` lies below every :math:`V_F^{x,*}`.
    """
    S, J, B = choices.shape
    kernel = choices.transition.reshape(S, J * B, S)

    def extreme(reward: Array, discount: float, minimise: bool) -> Array:
        return optimal_value(Mdp(reward.reshape(S, J * B), kernel, discount), minimise=minimise).value

    lower = extreme(choices.follower_reward, choices.follower_discount, True)  # below every value: T is monotone, so sweeps rise
    gamma = choices.follower_discount
    for _ in range(SWEEPS):
        q = choices.follower_reward + gamma * choices.transition @ lower
        new = q.min(1).max(-1) if mixed else q.max(-1).min(-1)
        moved = float(np.abs(new - lower).max())
        lower = np.maximum(lower, new)  # every sweep from below stays below the fixed point
        if moved <= 1e-7 * (1.0 + float(np.abs(lower).max())):
            break
    upper = extreme(choices.follower_reward, gamma, False)
    leader = (extreme(choices.leader_reward, choices.leader_discount, True), extreme(choices.leader_reward, choices.leader_discount, False))
    return Ranges(_down(lower), _up(upper), _down(leader[0]), _up(leader[1]))


def visit_ranges(choices: Choices, initial: Array, discount: float) -> tuple[Array, Array]:
    """Least and greatest expected discounted visits of each state over every pair of policies, [S] each.

    One MDP per state and side, in which visiting that state earns 1. Above `VISITED_STATES` states the crude range from the
    initial mass to 1 / (1 - discount), which needs no MDP.
    """
    S, J, B = choices.shape
    if S > VISITED_STATES:
        return initial * (1 - WIDENING), np.full(S, (1 + WIDENING) / (1.0 - discount))
    kernel = choices.transition.reshape(S, J * B, S)
    low, high = np.zeros(S), np.zeros(S)
    for s in range(S):
        mdp = Mdp(np.broadcast_to((np.arange(S) == s)[:, None].astype(float), (S, J * B)), kernel, discount)
        low[s] = initial @ optimal_value(mdp, minimise=True).value
        high[s] = initial @ optimal_value(mdp).value
    return np.maximum(low * (1 - WIDENING) - WIDENING, 0.0), high * (1 + WIDENING) + WIDENING


def advantage_of(choices: Choices, s: int, j: int, b: int, discount: float) -> Array:
    """Coefficients of V(s) - discount P(s, j, b) V."""
    c: Array = -discount * choices.transition[s, j, b]
    c[s] += 1.0
    return c


def largest(coefficients: Array, lower: Array, upper: Array) -> Array:
    """The largest value of ``coefficients @ v`` over lower <= v <= upper; [..., S] to [...]."""
    worst: Array = np.maximum(coefficients * lower, coefficients * upper).sum(-1)
    return worst


def _down(value: Array) -> Array:
    return value - WIDENING * (1.0 + np.abs(value))


def _up(value: Array) -> Array:
    return value + WIDENING * (1.0 + np.abs(value))
