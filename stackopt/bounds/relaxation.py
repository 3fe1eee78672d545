r"""How far a commitment can be from the best one (theory B8).

An upper bound U on the strong commitment value over all leader policies, less what a commitment attains, is a certificate
that needs no contraction, no gap and no temperature.
"""

from __future__ import annotations

from dataclasses import replace

from stackopt.bounds.sandwich import same_discount
from stackopt.certificate import Bound
from stackopt.solution import STRONG_VALUE


def high_point(value: float) -> Bound:
    """U1: one controller picks both actions for the leader's reward  [B8.1].

    Bounds every pair of policies, soft followers included. Loose when the players' interests conflict.
    """
    return Bound(value, STRONG_VALUE, "B8.1")


def individually_rational(value: float, leader_discount: float, follower_discount: float) -> Bound:
    """U2: U1 among laws of visits that give the follower at least what it can guarantee itself  [B8.2].

    Loose when the follower's guarantee is far below what any good commitment must give it.

    Does not bound soft values: a soft follower may get less than its guarantee.
    """
    return Bound(value, STRONG_VALUE, "B8.2", (same_discount(leader_discount, follower_discount),), remedy="U1 [B8.1], which needs no equal discounts")


def eliminated(bound: Bound, actions: int) -> Bound:
    """The same bound after `actions` (state, action) pairs the follower never uses were removed  [B8.3].

    Loose as the bound it starts from.
    """
    return replace(bound, reference=f"{bound.reference}, B8.3") if actions else bound


def commitment_gap(upper: Bound, attained: float, what: str = "gap of this commitment to the best one") -> Bound:
    r""":math:`v^S-S_0(x)\le U-S_0(x)`, or :math:`v^S-W_0(x)\le U-W_0(x)`  [B8.5].

    Loose as U is: a relaxation of the follower, far from the best commitment in games of conflict.

    Parameters
    ----------
    upper : Bound
        On the strong commitment value.
    attained : float
        The commitment's own value. A negative difference within rounding is 0.
    """
    return replace(upper, value=max(upper.value - attained, 0.0), of=what, reference=f"{upper.reference}, B8.5")
