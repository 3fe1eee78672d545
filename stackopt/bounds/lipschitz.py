r"""How far a player's values and soft response can move when the opponent's policy does (theory B3).

Everything follows from `Constants`, read off the tensors: axes are ``transition[S, O, B, S]``, ``reward[S, O, B]`` with the
*opponent's* action before the *own* one. For the leader of a game that means its tensors with the actions swapped.
Distances between policies are :math:`D(x,x')=\max_s\|x(\cdot|s)-x'(\cdot|s)\|_1\in[0,2]`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stackopt.certificate import Bound

Array = NDArray[np.float64]

#: Rows compared at a time: a block of distances holds at most this many numbers squared.
BLOCK = 1024


@dataclass(frozen=True)
class Constants:
    r"""What the tensors say about one player (theory B3).

    Attributes
    ----------
    discount : float
    reward_span : float
        :math:`R^{sp}`.
    mixing : float
        :math:`\bar t`, largest total variation between any two rows of the transitions; 1 if nothing mixes.
    opponent_sway, own_sway : float
        :math:`\kappa_a,\kappa_b`, largest total variation when only the opponent's / only the own action changes.
    reward_interaction, transition_interaction : float
        :math:`I_r,I_P`: how far rewards and transitions are from a sum of own and opponent's parts.
    opponent_reward_span, own_reward_span : float
        Largest span of the reward over the opponent's / the own action, the rest fixed.
    """

    discount: float
    reward_span: float
    mixing: float
    opponent_sway: float
    own_sway: float
    reward_interaction: float
    transition_interaction: float
    opponent_reward_span: float
    own_reward_span: float

    @property
    def value_span(self) -> float:
        r""":math:`\Sigma=R^{sp}/(1-\gamma\bar t)`: spans of hard and max-ent values are at most this  [B3.1]."""
        return self.reward_span / (1.0 - self.discount * self.mixing)

    @property
    def opponent_span(self) -> float:
        r""":math:`M=\max_{s,b}\mathrm{sp}_ar+\gamma\kappa_a\Sigma`: what the opponent's action can move."""
        return self.opponent_reward_span + self.discount * self.opponent_sway * self.value_span

    @property
    def own_span(self) -> float:
        r"""The same for the own action: :math:`\max\mathrm{sp}_br+\gamma\kappa_b\Sigma`."""
        return self.own_reward_span + self.discount * self.own_sway * self.value_span

    @property
    def interaction(self) -> float:
        r""":math:`I=\min(I_r+\gamma I_P\Sigma,2M)`."""
        return min(self.reward_interaction + self.discount * self.transition_interaction * self.value_span, 2.0 * self.opponent_span)

    @property
    def slope(self) -> float:
        r""":math:`c=\frac12(\frac12I+\frac{\gamma\kappa_bM}{1-\gamma\bar t})`: the soft response moves at most :math:`c/\tau` times the opponent  [B3.4]."""
        carried = self.discount * self.own_sway * self.opponent_span / (1.0 - self.discount * self.mixing)
        return 0.5 * (0.5 * self.interaction + carried)

    @property
    def crude_slope(self) -> float:
        r""":math:`M/2(1-\gamma)`, the common constant that ignores mixing; never below `slope`."""
        return 0.5 * self.opponent_span / (1.0 - self.discount)


def constants(transition: Array, reward: Array, discount: float) -> Constants:
    """The constants of one player.

    Parameters
    ----------
    transition : array [S, O, B, S]
        Opponent's action before the own one.
    reward : array [S, O, B]
    discount : float

    Notes
    -----
    Rows are compared in blocks after equal ones are merged, so memory stays near that of `transition`; time grows with the
    square of the number of distinct rows. `work` tells it beforehand.
    """
    _, opponent, own, _ = transition.shape
    by_opponent = [(i, j) for i in range(opponent) for j in range(i)]
    by_own = [(i, j) for i in range(own) for j in range(i)]
    return Constants(
        discount=float(discount),
        mixing=dobrushin(transition.reshape(-1, transition.shape[-1])),
        opponent_sway=max((_variation(transition[:, i] - transition[:, j]) for i, j in by_opponent), default=0.0),
        own_sway=max((_variation(transition[:, :, i] - transition[:, :, j]) for i, j in by_own), default=0.0),
        transition_interaction=max(
            (
                _variation(transition[:, i, k] - transition[:, i, m] - transition[:, j, k] + transition[:, j, m])
                for i, j in by_opponent
                for k, m in by_own
            ),
            default=0.0,
        ),
        **_of_reward(reward),
    )


def of_opponent(c: Constants, reward: Array, discount: float) -> Constants:
    """The constants of the opponent of `c`'s player: the same transitions seen from the other side.

    Parameters
    ----------
    c : Constants
    reward : array [S, O, B]
        The opponent's reward with *its* opponent's action first.
    discount : float
        The opponent's.
    """
    return Constants(
        discount=float(discount),
        mixing=c.mixing,
        opponent_sway=c.own_sway,
        own_sway=c.opponent_sway,
        transition_interaction=c.transition_interaction,
        **_of_reward(reward),
    )


def _of_reward(reward: Array) -> dict[str, float]:
    own = reward.shape[2]
    pairs = [(i, j) for i in range(own) for j in range(i)]
    return {
        "reward_span": float(np.ptp(reward)),
        "reward_interaction": max((float(np.ptp(reward[:, :, i] - reward[:, :, j], axis=1).max()) for i, j in pairs), default=0.0),
        "opponent_reward_span": float(np.ptp(reward, axis=1).max()),
        "own_reward_span": float(np.ptp(reward, axis=2).max()),
    }


def work(states: int, opponent: int, own: int) -> float:
    """Multiplications `constants` needs at most, to decide whether it is worth it."""
    rows = states * opponent * own
    return 0.5 * float(rows) ** 2 * states + 0.25 * float(opponent * own) ** 2 * states**2


def dobrushin(rows: Array) -> float:
    r""":math:`t_1=\max_{i,j}\mathrm{TV}(P_i,P_j)` over the rows [N, S] of a stochastic matrix; at most 1."""
    from scipy.spatial.distance import cdist

    distinct = np.unique(rows, axis=0)
    worst = 0.0
    for i in range(0, len(distinct), BLOCK):
        for j in range(0, i + 1, BLOCK):
            worst = max(worst, 0.5 * float(cdist(distinct[i : i + BLOCK], distinct[j : j + BLOCK], "cityblock").max()))
        if worst >= 1.0:  # two rows without a common target: it cannot grow
            break
    return min(worst, 1.0)


def _variation(difference: Array) -> float:
    return 0.5 * float(np.abs(difference).sum(-1).max())


# --- the bounds -------------------------------------------------------------------------------------------------------


def action_value_change(c: Constants, distance: float, opponent_span: float | None = None) -> Bound:
    r""":math:`\|Q^x-Q^{x'}\|_\infty\le\frac{M}{2(1-\gamma)}D(x,x')`, hard and max-ent, any temperature  [B3.2].

    Loose when the policies differ in few states, or in actions that pay alike; sharp for one state.

    `opponent_span` is a posteriori: :math:`\max_{s,b}\mathrm{sp}_a(r+\gamma PV^{x'})` in the place of M, once :math:`V^{x'}` is known.
    """
    span = c.opponent_span if opponent_span is None else opponent_span
    return Bound(0.5 * span / (1.0 - c.discount) * distance, "change of the action values", "B3.2")


def value_span_change(c: Constants, distance: float) -> Bound:
    r""":math:`\mathrm{sp}(V^x-V^{x'})\le\frac{M}{1-\gamma\bar t}D(x,x')`  [B3.3]. Stays bounded as the discount nears 1 if rows mix.

    Loose when the policies differ in few states.
    """
    return Bound(c.opponent_span / (1.0 - c.discount * c.mixing) * distance, "span of the change of the values", "B3.3")


def response_change(c: Constants, temperature: float, distance: float) -> Bound:
    r""":math:`D(\mathrm{BR}^\tau(x),\mathrm{BR}^\tau(x'))\le\min\{2,\frac{c}{\tau}D(x,x')\}`, max-ent and Boltzmann  [B3.4].

    Loose at low temperature, where a response is nearly pure and hardly moves: see the local certificate B4.4.
    """
    return Bound(min(2.0, c.slope / temperature * distance), "change of the soft response", "B3.4")


def leader_value_change(c: Constants, follower_distance: float, leader_distance: float = 0.0) -> Bound:
    r""":math:`\|V_L^{x,y}-V_L^{x',y'}\|_\infty\le\frac{M_L^bD(y,y')+M_L^aD(x,x')}{2(1-\gamma_L)}`  [B3.5].

    Loose when the states where the policies differ are rarely visited.

    `c` are the leader's constants: its opponent is the follower.
    """
    value = (c.opponent_span * follower_distance + c.own_span * leader_distance) / (2.0 * (1.0 - c.discount))
    return Bound(value, "change of the leader's value", "B3.5")


def soft_commitment_change(leader: Constants, follower: Constants, temperature: float, distance: float) -> Bound:
    r""":math:`|J_\tau(x)-J_\tau(x')|\le\frac{M_L^a+\frac{c_F}{\tau}M_L^b}{2(1-\gamma_L)}D(x,x')`  [B3.6].

    Loose at low temperature, except near a change of the best response.
    """
    slope = (leader.own_span + follower.slope / temperature * leader.opponent_span) / (2.0 * (1.0 - leader.discount))
    return Bound(slope * distance, "change of the soft commitment value", "B3.6")


def perturbed_response(
    transition: Array, discount: float, change: Array, temperature: float | None = None
) -> Bound:
    r"""Response of one Markov decision process when its data change  [B3.7].

    Loose when the change h falls on rarely visited states, or on actions that are hardly played.

    With :math:`h=(r-r')+\gamma(P-P')V'` and the changed process's value :math:`V'`: action values move in span by at most
    :math:`\max_s\mathrm{sp}_bh+\frac{\gamma\kappa_b}{1-\gamma\bar t}\mathrm{sp}(h)=:\beta_h`, the soft response by :math:`\min\{2,\beta_h/2\tau\}`.

    Parameters
    ----------
    transition : array [S, B, S]
        P, unchanged.
    discount : float
    change : array [S, B]
        h.
    temperature : float, optional
        With it the bound is on the response, without on the span of the action values.
    """
    own = transition.shape[1]
    sway = max((_variation(transition[:, i] - transition[:, j]) for i in range(own) for j in range(i)), default=0.0)
    mixing = dobrushin(transition.reshape(-1, transition.shape[-1]))
    beta = float(np.ptp(change, axis=1).max()) + discount * sway / (1.0 - discount * mixing) * float(np.ptp(change))
    if temperature is None:
        return Bound(beta, "span of the change of the action values", "B3.7")
    return Bound(min(2.0, beta / (2.0 * temperature)), "change of the soft response", "B3.7")


def response_error(c: Constants, temperature: float, residual: float, size: float) -> float:
    r"""How far a computed soft response can be from the exact one  [B3.7].

    A Bellman residual acts like a reward of that size that depends on the state only, so its direct part cancels within a
    state; what is left is carried by the values, plus the rounding of action values of the given size. A computed residual is itself
    only known up to that rounding, so the rounding is carried, too: by up to 1 / (1 - discount) where nothing mixes.
    """
    rounding = 8.0 * float(np.finfo(float).eps) * (1.0 + size)
    carried = c.discount * c.own_sway / (1.0 - c.discount * c.mixing) * (residual + rounding)
    return (carried + rounding) / temperature


def critical_temperature(leader: Constants, follower: Constants) -> float:
    r""":math:`\tau_{\min}=\sqrt{c_Lc_F}`: above it, the soft fixed-point map contracts  [B4.1]."""
    return math.sqrt(leader.slope * follower.slope)
