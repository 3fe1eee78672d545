r"""Accuracy of soft policy iteration for the fixed-point concept (theory B11).

None of this says anything about the best commitment: a fixed point with no regret can be far below it (theory A.5).
"""

from __future__ import annotations

import math

from stackopt.bounds.lipschitz import Constants
from stackopt.bounds.softmax import lambert_constant
from stackopt.certificate import Assumption, Bound
from stackopt.display import number


def net_iteration(
    modulus: float,
    leader_slope: float,
    leader_actions: int,
    follower_actions: int,
    steps: int,
    *,
    net: float,
    gap: float,
    temperature: float,
    leader_error: float = 0.0,
    follower_error: float = 0.0,
    lipschitz: bool = False,
) -> Bound:
    r"""Distance to the hard fixed point after `steps` iterations on a net of policies, the paper's setting  [B11.1].

    Loose by orders of magnitude where it applies at all.

    :math:`D(x_K,x^\star)\le2q^K+\frac{e_L+d_Le_F}{1-q}`, :math:`e_F=\varepsilon+\frac{2(|B|-1)}{e^{\varphi/\tau}+|B|-1}+\epsilon_{Q,F}/\tau`, the leader alike.

    Parameters
    ----------
    modulus, leader_slope : float
        :math:`q=d_Ld_F` and :math:`d_L` of the *hard* responses on the policies visited.
    leader_actions, follower_actions, steps : int
    net : float
        :math:`\varepsilon`, distance of any policy to the net.
    gap : float
        :math:`\varphi`, smallest action gap on the net.
    temperature : float
        Of the softmax used instead of the hard response.
    leader_error, follower_error : float
        Errors of the action values.
    lipschitz : bool
        Whether the hard responses were *verified* to be Lipschitz with these constants. In a finite game that holds only
        if they do not react at all (theory B11.2), so it is never assumed.
    """
    e_f = net + _wrong(gap, temperature, follower_actions) + follower_error / temperature
    e_l = net + _wrong(gap, temperature, leader_actions) + leader_error / temperature
    q = modulus
    return Bound(
        2.0 * q**steps + (e_l + leader_slope * e_f) / (1.0 - q) if q < 1.0 else math.nan,
        "distance to the hard fixed point",
        "B11.1",
        (
            Assumption("the hard responses are Lipschitz", lipschitz, "not verified; in a finite game only a response that never reacts is (B11.2)"),
            Assumption("modulus < 1", q < 1.0, f"modulus is {number(q, 3)}"),
            Assumption("no ties on the net", gap > 0.0, f"smallest gap {number(gap)}"),
        ),
        remedy="soft responses on both sides, B11.3",
    )


def _wrong(gap: float, temperature: float, actions: int) -> float:
    decay = math.exp(-max(gap, 0.0) / temperature)
    return 2.0 * (actions - 1) * decay / (1.0 + (actions - 1) * decay)


def follower_regret(actions: int, temperature: float, discount: float, model: str = "max-ent") -> Bound:
    r""":math:`\mathrm{reg}_F\le\frac{\tau_F\log|B|}{1-\gamma_F}` at every iterate and temperature  [B11.3]; :math:`W_0` for Boltzmann, B2.2.

    Loose when the policy is nearly pure: its entropy, not log m, is what the follower gives up.
    """
    return Bound(_floor(actions, temperature, discount, model), "follower's regret", "B11.3")


def leader_regret(leader: Constants, actions: int, temperature: float, step: float, model: str = "max-ent") -> Bound:
    r""":math:`\mathrm{reg}_L(x_k,y_k)\le\frac{\tau_L\log|A|}{1-\gamma_L}+\frac{M_L^a}{2(1-\gamma_L)}D(x_k,x_{k+1})`  [B11.3].

    Loose as the first term is, and in the second when few states move.

    Parameters
    ----------
    leader : Constants
    actions : int
        Of the leader.
    temperature : float
    step : float
        :math:`D(x_k,x_{k+1})`, where :math:`x_{k+1}` is the leader's exact soft response to :math:`y_k`.
    """
    moved = leader.own_span / (2.0 * (1.0 - leader.discount)) * step
    return Bound(_floor(actions, temperature, leader.discount, model) + moved, "leader's regret", "B11.3")


def _floor(actions: int, temperature: float, discount: float, model: str) -> float:
    factor = lambert_constant(actions) if model == "boltzmann" else math.log(actions)
    return temperature * factor / (1.0 - discount)
