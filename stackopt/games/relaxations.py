r"""Upper bounds on the best commitment and the values S_epsilon, W_epsilon, by duality (theory B7.1, B7.2, B8.1-B8.3).

Both are linear programs over laws of visits with *one* row beyond the flow: the follower gets at least a level. So their
optimum is :math:`\min_{\lambda\ge0}\rho^\top V^*_{r_L+\lambda r_F}-\lambda\cdot\text{level}`, one convex function of one number, each evaluation of
which is a Markov decision process. Every :math:`\lambda` gives a valid upper bound, so no tolerance of a solver enters: what is
returned is the smallest one seen, with the residual of its own Bellman equation added.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stackopt.bounds import relaxation
from stackopt.certificate import Bound
from stackopt.games.dynamic_programming import optimal_value, policy_value
from stackopt.games.operators import Array, Mdp, action_values, follower_mdp, joint_mdp, leader_reward_mdp, one_hot
from stackopt.games.responses import tie_width
from stackopt.games.stackelberg import StackelbergGame

#: Relative slack on the level: rounding may only loosen a bound.
LEVEL = 1e-9
#: The follower's guarantee is computed up to this many entries of the matrix games.
GUARANTEE_ENTRIES = 20_000
#: The joint MDP is solved up to this many (state, action, action) triples.
JOINT_TRIPLES = 2_000_000


@dataclass(frozen=True)
class Priced:
    """An upper bound on a leader value subject to a level of the follower's, by pricing the level.

    Attributes
    ----------
    value : float
        Valid whatever the multiplier.
    multiplier : float
        The price at which `value` is attained: leader value per unit of follower value.
    """

    value: float
    multiplier: float


def priced_optimum(leader: Mdp, follower_reward: Array, level: float, initial: Array, allowed: np.ndarray | None = None) -> Priced:
    r"""Upper bound on :math:`\max\rho^\top V_L` over policies whose follower value :math:`\rho^\top V_F` is at least `level`.

    Parameters
    ----------
    leader : Mdp
        Rewards of the maximising leader over the joint actions; also the follower's discount, which must be equal.
    follower_reward : array [S, B]
    level : float
    initial : array [S]
    allowed : bool array [S, B], optional

    Returns
    -------
    Priced
        The smallest value over the multipliers visited by cutting planes; equal to the linear program's optimum up to
        rounding when the level can be exceeded, else within what a multiplier of about 10^6 gives.
    """
    scale = (1.0 + float(np.ptp(leader.reward))) / max(float(np.ptp(follower_reward)), 1e-12)
    highest = 1e6 * scale

    def cut(price: float) -> tuple[float, float]:
        """The dual function at `price` (an upper bound) and the slope of its tangent there."""
        mdp = Mdp(leader.reward + price * follower_reward, leader.transition, leader.discount)
        best = optimal_value(mdp, allowed)
        q = best.action_values if allowed is None else np.where(allowed, best.action_values, -np.inf)
        policy = one_hot(q.argmax(-1), q.shape[-1])
        slope = float(initial @ policy_value(Mdp(follower_reward, leader.transition, leader.discount), policy)) - level
        return float(initial @ best.value) + best.residual / (1.0 - leader.discount) - price * level, slope

    low, high = 0.0, highest
    value_low, slope_low = cut(low)
    best = Priced(value_low, low)
    if slope_low >= 0.0:  # the level does not bind
        return best
    high = scale
    while True:
        value_high, slope_high = cut(high)
        if value_high < best.value:
            best = Priced(value_high, high)
        if slope_high >= 0.0 or high >= highest:
            break
        low, value_low, slope_low, high = high, value_high, slope_high, 10.0 * high
    for _ in range(60):  # tangents at low and high cross below the minimum
        if slope_high - slope_low <= 0.0 or slope_high < 0.0:
            break
        price = ((value_low - slope_low * low) - (value_high - slope_high * high)) / (slope_high - slope_low)
        if not low < price < high:
            break
        floor = value_low + slope_low * (price - low)
        value, slope = cut(price)
        if value < best.value:
            best = Priced(value, price)
        if value - floor <= 1e-10 * (1.0 + abs(value)):
            break
        if slope < 0.0:
            low, value_low, slope_low = price, value, slope
        else:
            high, value_high, slope_high = price, value, slope
    return best


# --- values of nearly optimal responses: B7 -----------------------------------------------------------------------------


def strong_within(game: StackelbergGame, leader_policy: Array, epsilon: float, follower_value: float | None = None) -> Priced:
    r""":math:`S_\epsilon(x)`: best leader value over followers that lose at most `epsilon`  [B7.1]. Needs equal discounts.

    Returns
    -------
    Priced
        An upper bound on :math:`S_\epsilon(x)`, and its multiplier :math:`\lambda_S` of B7.3.
    """
    return _within(game, leader_policy, epsilon, follower_value, 1.0)


def weak_within(game: StackelbergGame, leader_policy: Array, epsilon: float, follower_value: float | None = None) -> Priced:
    r""":math:`W_\epsilon(x)`: worst leader value over the same followers; a lower bound on it  [B7.1]."""
    negative = _within(game, leader_policy, epsilon, follower_value, -1.0)
    return Priced(-negative.value, negative.multiplier)


def _within(game: StackelbergGame, x: Array, epsilon: float, follower_value: float | None, sign: float) -> Priced:
    follower = follower_mdp(game, x)
    if follower_value is None:
        follower_value = float(game.initial @ optimal_value(follower).value)
    level = follower_value - epsilon - LEVEL * (1.0 + abs(follower_value))
    leader = leader_reward_mdp(game, x)
    return priced_optimum(Mdp(sign * leader.reward, leader.transition, leader.discount), follower.reward, level, game.initial)


def actions_within(game: StackelbergGame, leader_policy: Array, gaps: Array, epsilon: float) -> tuple[float, float]:
    r""":math:`(W^{act}_\epsilon(x),S^{act}_\epsilon(x))`: worst and best leader value over actions with a gap of at most `epsilon`  [B7.2].

    Parameters
    ----------
    gaps : array [S, B]
        :math:`V^*-Q^*\ge0` of the follower.
    """
    mdp, allowed = leader_reward_mdp(game, leader_policy), gaps <= epsilon
    weak, strong = optimal_value(mdp, allowed, minimise=True), optimal_value(mdp, allowed)
    off = 1.0 / (1.0 - game.leader_discount)
    return float(game.initial @ weak.value) - off * weak.residual, float(game.initial @ strong.value) + off * strong.residual


# --- upper bounds on the best commitment: B8 ----------------------------------------------------------------------------


def guarantee(game: StackelbergGame) -> Array:
    r"""A lower bound [S] on :math:`V_F^{x,*}` for every leader policy: the follower's value if the leader only harms it  [B8.2]."""
    return hold_down(game)[1]


def hold_down(game: StackelbergGame) -> tuple[Array, Array]:
    r"""The leader policy [S, A] that holds the follower's value lowest, and a lower bound [S] on what any can hold it to  [B8.2].

    Hoffman-Karp iteration on the zero-sum game: solve the matrix game of every state at once (one sparse linear program),
    let the follower answer optimally, repeat. The matrix games are bounded from below with the *dual* strategies of the
    program, and the remaining residual over :math:`1-\gamma` is subtracted, so the result is valid wherever it stops.
    """
    S, A, B = game.shape
    joint = joint_mdp(game, game.follower_reward, game.follower_discount)
    leader, best = np.full((S, A), 1.0 / A), np.full(S, -np.inf)
    lowest, least = leader, np.inf
    for _ in range(30):
        value = optimal_value(follower_mdp(game, leader)).value
        if float(value.sum()) < least:
            lowest, least = leader, float(value.sum())
        leader, lower = _matrix_games(action_values(joint, value).reshape(S, A, B))
        residual = max(float((value - lower).max()), 0.0)
        bound = value - residual / (1.0 - game.follower_discount)
        gained = float((bound - best).max())
        best = np.maximum(best, bound)
        if min(gained, residual) <= LEVEL * (1.0 + float(np.abs(value).max())):
            break
    guaranteed: Array = best - LEVEL * (1.0 + np.abs(best))
    return lowest, guaranteed


def _matrix_games(payoff: Array) -> tuple[Array, Array]:
    """Leader strategies [S, A] that hold the follower down in each matrix [S, A, B], and lower bounds [S] on the values."""
    from scipy import sparse
    from scipy.optimize import linprog

    S, A, B = payoff.shape
    if A == 1:
        return np.ones((S, 1)), payoff[:, 0].max(-1)
    if B == 1:
        least = payoff[..., 0].argmin(-1)
        return one_hot(least, A), payoff[..., 0].min(-1)
    # min sum_s v_s  s.t.  sum_a x[s,a] payoff[s,a,b] <= v_s,  sum_a x[s,a] = 1;  variables x[s,a] then v_s
    centre, size = payoff.mean((1, 2)), np.maximum(np.ptp(payoff, axis=(1, 2)), 1e-12)
    scaled = (payoff - centre[:, None, None]) / size[:, None, None]
    s, b, a = np.meshgrid(np.arange(S), np.arange(B), np.arange(A), indexing="ij")
    rows = sparse.csr_matrix((scaled[s, a, b].ravel(), ((s * B + b).ravel(), (s * A + a).ravel())), shape=(S * B, S * A))
    above = sparse.hstack([rows, -sparse.kron(sparse.identity(S), np.ones((B, 1)))], format="csr")
    sums = sparse.hstack([sparse.kron(sparse.identity(S), np.ones((1, A))), sparse.csr_matrix((S, S))], format="csr")
    cost = np.concatenate([np.zeros(S * A), np.ones(S)])
    bounds = [(0.0, None)] * (S * A) + [(None, None)] * S
    found = linprog(cost, A_ub=above, b_ub=np.zeros(S * B), A_eq=sums, b_eq=np.ones(S), bounds=bounds, method="highs")
    if found.status != 0:  # any strategies give valid bounds
        return np.full((S, A), 1.0 / A), payoff.min(1).max(-1)
    leader = np.maximum(found.x[: S * A].reshape(S, A), 0.0)
    answer = np.maximum(-found.ineqlin.marginals.reshape(S, B), 0.0) + 1e-300
    answer /= answer.sum(-1, keepdims=True)
    lower = np.einsum("sab,sb->sa", payoff, answer).min(-1)
    return leader / leader.sum(-1, keepdims=True), np.maximum(lower, payoff.min(1).max(-1))


def never_used(game: StackelbergGame, guaranteed: Array) -> np.ndarray:
    """The (state, action) pairs [S, B] that are no best response to any leader policy  [B8.3].

    Some other action is better even if it meets the worst future and the one in question the best.
    """
    S, A, B = game.shape
    joint = joint_mdp(game, game.follower_reward, game.follower_discount)
    most = optimal_value(joint)
    best = most.value + most.residual / (1.0 - game.follower_discount)
    low = action_values(joint, guaranteed).reshape(S, A, B)
    high = action_values(joint, best).reshape(S, A, B)
    clear = 10.0 * tie_width(high)  # actions that tie by tolerance stay
    return np.array((low[:, :, None, :] > high[:, :, :, None] + clear).all(1).any(-1))


def upper_bounds(game: StackelbergGame, *, programs: bool = True) -> tuple[Bound, ...]:
    """The applicable upper bounds on the strong commitment value over all leader policies: U1, U3 and U2.

    Parameters
    ----------
    programs : bool
        Also those that need the follower's guarantee (linear programs), when the game is small enough.

    Returns
    -------
    tuple of Bound
        Empty if the joint decision process is too large; otherwise U1 first. Bounds on one value: take the least.
    """
    S, A, B = game.shape
    if game.batch or S * A * B > JOINT_TRIPLES:
        return ()
    joint = joint_mdp(game, game.leader_reward, game.leader_discount)
    bounds = [relaxation.high_point(_value(game, joint))]
    if not programs or S * A * B > GUARANTEE_ENTRIES:
        return tuple(bounds)
    guaranteed = guarantee(game)
    unused = never_used(game, guaranteed)
    allowed = np.broadcast_to(~unused[:, None, :], (S, A, B)).reshape(S, A * B)
    if unused.any():
        bounds.append(relaxation.eliminated(relaxation.high_point(_value(game, joint, allowed)), int(unused.sum())))
    if game.leader_discount == game.follower_discount:
        # actions that tie by tolerance count as best responses, so the level falls by what they can lose
        level = float(game.initial @ guaranteed) - tie_width(guaranteed) / (1.0 - game.follower_discount)
        priced = priced_optimum(joint, game.follower_reward.reshape(S, A * B), level, game.initial, allowed)
        rational = relaxation.individually_rational(priced.value, game.leader_discount, game.follower_discount)
        bounds.append(relaxation.eliminated(rational, int(unused.sum())))
    return tuple(bounds)


def _value(game: StackelbergGame, joint: Mdp, allowed: np.ndarray | None = None) -> float:
    best = optimal_value(joint, allowed)
    return float(game.initial @ best.value) + best.residual / (1.0 - joint.discount)
