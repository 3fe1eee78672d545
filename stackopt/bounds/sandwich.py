r"""The soft commitment value between the weak and the strong one (theory B7).

:math:`S_\epsilon(x),W_\epsilon(x)` are the best and worst leader values over followers that lose at most :math:`\epsilon` from the initial
distribution; `games.relaxations` computes them.
"""

from __future__ import annotations

import math

from stackopt.bounds.softmax import lambert_constant
from stackopt.certificate import Assumption, Bound
from stackopt.display import number

LEADER_VALUE = "leader's value under the candidate's follower"


def loss_a_priori(actions: int, temperature: float, discount: float, model: str) -> float:
    r""":math:`\epsilon` of B7.1 before anything is solved: :math:`\frac{\tau\log|B|}{1-\gamma}`, or with :math:`W_0` for Boltzmann, 0 hard."""
    factor = {"max-ent": math.log(actions), "boltzmann": lambert_constant(actions), "best": 0.0}[model]
    return temperature * factor / (1.0 - discount)


def same_discount(leader: float, follower: float) -> Assumption:
    """That both players discount alike, without which one law of visits does not serve both values."""
    return Assumption("both players discount alike", leader == follower, f"leader {number(leader)}, follower {number(follower)}")


def value_sandwich(
    weak: float, strong: float, epsilon: float, loss: float, leader_discount: float, follower_discount: float, rounding: float = 0.0
) -> tuple[Bound, Bound]:
    r""":math:`W_\epsilon(x)\le\rho^\top V_L^{x,y}\le S_\epsilon(x)` for a follower y that loses at most :math:`\epsilon`  [B7.1].

    Loose when near-ties of the follower matter to the leader; tight at small temperature otherwise.

    Parameters
    ----------
    weak, strong : float
        :math:`W_\epsilon(x)` and :math:`S_\epsilon(x)` (or anything below and above them).
    epsilon : float
        What the follower may lose, e.g. what B2 proves that it loses at most.
    loss : float
        What it loses: :math:`\rho^\top(V_F^{x,*}-V_F^{x,y})`, measured.
    leader_discount, follower_discount : float
    rounding : float
        Of the measured loss.

    Returns
    -------
    lower, upper : Bound
        Tight at small temperature unless the follower has near-ties that the leader cares about.
    """
    allowed = Assumption("the follower loses at most epsilon", loss <= epsilon + rounding, f"loss {number(loss)}, epsilon {number(epsilon)}")
    given = (same_discount(leader_discount, follower_discount), allowed)
    remedy = "equal discounts, or the action-gap version B7.2"
    return (
        Bound(weak, LEADER_VALUE, "B7.1", given, sense="lower", remedy=remedy),
        Bound(strong, LEADER_VALUE, "B7.1", given, remedy=remedy),
    )


def action_sandwich(weak: float, strong: float, tail: float, own_span: float, gap: float) -> tuple[Bound, Bound]:
    r""":math:`W^{act}_\epsilon(x)-\mathcal T\le\rho^\top V_L^{x,y}\le S^{act}_\epsilon(x)+\mathcal T`, any follower, any discounts  [B7.2].

    Loose when gaps are small against the temperature: the tail is then paid for at the full span.

    Parameters
    ----------
    weak, strong : float
        Worst and best leader value when the follower uses only actions with a gap of at most :math:`\epsilon`.
    tail : float
        :math:`\rho^\top(I-\gamma_LP^{x,y})^{-1}\eta`: discounted visits of all other actions.
    own_span : float
        :math:`M_L^b`: what one action of the follower can move the leader's value.
    gap : float
        :math:`\epsilon`, for the record.

    Returns
    -------
    lower, upper : Bound
        Without the tail term they would be false: a soft policy uses every action.
    """
    cost = own_span * tail
    given = (Assumption("the tail is paid for", tail >= 0.0, f"gap {number(gap)}, tail term {number(cost)}"),)
    return (
        Bound(weak - cost, LEADER_VALUE, "B7.2", given, sense="lower"),
        Bound(strong + cost, LEADER_VALUE, "B7.2", given),
    )


def tail_a_priori(actions: int, temperature: float, gap: float, *, leader_discount: float, follower_discount: float, model: str) -> Bound:
    r"""Discounted visits of actions with a gap above `gap`  [B7.2].

    Loose for max-ent, whose tail is bounded by its loss over the gap.

    Boltzmann: :math:`\min(1,(|B|-1)e^{-\epsilon/\tau})/(1-\gamma_L)`. Max-ent with equal discounts:
    :math:`\min\{\frac1{1-\gamma},\frac{\tau\log|B|}{(1-\gamma)\epsilon}\}`.
    """
    horizon = 1.0 / (1.0 - leader_discount)
    if model == "boltzmann":
        return Bound(min(1.0, (actions - 1) * math.exp(-gap / temperature)) * horizon, "discounted visits of actions worse than the gap", "B7.2")
    value = horizon * min(1.0, temperature * math.log(actions) / gap if gap > 0 else math.inf)
    given = (same_discount(leader_discount, follower_discount),)
    return Bound(value, "discounted visits of actions worse than the gap", "B7.2", given, remedy="the tail of the policy itself")


def linear_rate(base: float, multiplier: float, loss: float, leader_discount: float, follower_discount: float, *, strong: bool = True) -> Bound:
    r""":math:`W_0-\lambda_W\epsilon\le J_\tau(x)\le S_0+\lambda_S\epsilon` with a multiplier of the follower-value row  [B7.3].

    Loose beyond the first change of basis of the linear program.

    Parameters
    ----------
    base : float
        :math:`S_0(x)` or :math:`W_0(x)`, the linear program's value at no loss.
    multiplier : float
        :math:`\lambda\ge0`: how much leader value one unit of follower loss buys.
    loss : float
        :math:`\epsilon`, the follower's loss from the initial distribution.
    strong : bool
        The upper bound; otherwise the lower.
    """
    given = (
        same_discount(leader_discount, follower_discount),
        Assumption("the multiplier is finite and not negative", 0.0 <= multiplier < math.inf, f"multiplier {number(multiplier)}"),
    )
    value = base + multiplier * loss if strong else base - multiplier * loss
    return Bound(value, LEADER_VALUE, "B7.3", given, sense="upper" if strong else "lower")
