r"""What restricting the leader to a net of mixed actions costs (theory D4).

The net of one state holds all mixed actions in multiples of 1/N; every mixed action is within `radius` of it in L1.
"""

from __future__ import annotations

from stackopt.bounds.lipschitz import Constants, soft_commitment_change
from stackopt.certificate import Bound
from stackopt.solution import STRONG_VALUE


def radius(actions: int, grid: int) -> float:
    r""":math:`\varepsilon_N=\frac{2\lfloor m/2\rfloor\lceil m/2\rceil}{mN}\le\frac{m}{2N}`: largest distance to the net  [D4]."""
    return 2.0 * (actions // 2) * ((actions + 1) // 2) / (actions * grid)


def follower_loss(follower: Constants, distance: float) -> Bound:
    r"""What a best response loses, at any state, when the leader moves by `distance`: :math:`\frac{M_F}{1-\gamma_F}D`  [D4, B3.5].

    Loose when the reply stays best under both policies: then nothing is lost.
    """
    return Bound(follower.opponent_span / (1.0 - follower.discount) * distance, "loss of a best response when the leader moves", "D4")


def strong_value(relaxed: float, leader: Constants, distance: float) -> Bound:
    r""":math:`v^S\le\max_{net}S^{det}_{\epsilon'}+\frac{\varepsilon_NM_L^a}{2(1-\gamma_L)}`  [D4].

    Loose for coarse nets and discounts near 1, where the loss granted to the follower exceeds its gaps.

    Parameters
    ----------
    relaxed : float
        The best leader value over the net when the follower may lose :math:`\epsilon'` of `follower_loss` in every state.
    leader : Constants
    distance : float
        The radius of the net.
    """
    return Bound(relaxed + distance * leader.own_span / (2.0 * (1.0 - leader.discount)), STRONG_VALUE, "D4")


def soft_value(best: float, leader: Constants, follower: Constants, temperature: float, distance: float) -> Bound:
    r""":math:`\sup_xJ_\tau\le\max_{net}J_\tau+L_J\varepsilon_N`  [D4, B3.6]. Loose at low temperature, where :math:`L_J` grows as 1/temperature."""
    moved = soft_commitment_change(leader, follower, temperature, distance).value
    return Bound(best + moved, "soft commitment value over all leader policies", "D4")
