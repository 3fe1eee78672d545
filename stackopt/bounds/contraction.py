r"""Contraction of the soft fixed-point map and what follows from it (theory B4).

:math:`\Phi_\tau=\mathrm{BR}^\tau_L\circ\mathrm{BR}^\tau_F` moves distances by at most the modulus :math:`q=c_Lc_F/\tau_L\tau_F`. With q < 1 there is one
soft fixed point, and distances to it follow from steps. Distances are :math:`D`, the largest L1 distance over states.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stackopt.bounds.lipschitz import Constants, critical_temperature
from stackopt.bounds.softmax import local_modulus
from stackopt.certificate import Assumption, Bound
from stackopt.display import number

Array = NDArray[np.float64]

#: Radii tried for the local certificate, largest first.
RADII = (2.0, 1.0, 0.3, 0.1, 0.03, 0.01, 1e-3, 1e-4, 1e-5, 1e-6)


@dataclass(frozen=True)
class Contraction:
    """The modulus of the soft fixed-point map at two temperatures.

    Attributes
    ----------
    leader, follower : Constants
    leader_temperature, follower_temperature : float
    """

    leader: Constants
    follower: Constants
    leader_temperature: float
    follower_temperature: float

    @property
    def follower_slope(self) -> float:
        r""":math:`d_F=c_F/\tau_F`."""
        return self.follower.slope / self.follower_temperature

    @property
    def leader_slope(self) -> float:
        r""":math:`d_L=c_L/\tau_L`."""
        return self.leader.slope / self.leader_temperature

    @property
    def modulus(self) -> float:
        r""":math:`q=d_Ld_F`."""
        return self.leader_slope * self.follower_slope

    @property
    def critical_temperature(self) -> float:
        """Above it (both players), the modulus is below 1."""
        return critical_temperature(self.leader, self.follower)

    def bound(self, value: float, of: str, reference: str) -> Bound:
        """`value` as a bound that applies only under contraction."""
        q = self.modulus
        low, high = sorted((self.leader_temperature, self.follower_temperature))
        at = number(low) if low == high else f"{number(low)} and {number(high)}"
        return Bound(
            value if q < 1.0 else math.nan,
            of,
            reference,
            (Assumption("modulus < 1", q < 1.0, f"modulus is {number(q, 3)} at temperature {at}"),),
            remedy=f"temperature > {number(self.critical_temperature, 4)} would make it apply; or the local certificate B4.4, or the commitment gap B8.5",
        )

    def a_priori(self, steps: int, first_step: float = 2.0) -> Bound:
        r""":math:`D(x_k,x^\star)\le\min\{\frac{q^k}{1-q}D(x_1,x_0),2q^k\}`  [B4.2].

        Loose where the map contracts faster than its constants say: the true rate is that of the responses actually met.
        """
        q = self.modulus
        value = min(q**steps / (1.0 - q) * first_step, 2.0 * q**steps) if q < 1.0 else math.nan
        return self.bound(value, "distance to the soft fixed point", "B4.2")

    def a_posteriori(self, last_step: float) -> Bound:
        r""":math:`D(x_k,x^\star)\le\frac{q}{1-q}D(x_k,x_{k-1})`  [B4.2]. Loose by the ratio of q to the true rate."""
        q = self.modulus
        return self.bound(q / (1.0 - q) * last_step if q < 1.0 else math.nan, "distance to the soft fixed point", "B4.2")

    def residual(self, residual: float) -> Bound:
        r""":math:`D(x,x^\star)\le\frac{D(\Phi(x),x)}{1-q}` for any x, however it was found  [B4.2].

        Loose when q is near 1 although the map moves little.
        """
        q = self.modulus
        return self.bound(residual / (1.0 - q) if q < 1.0 else math.nan, "distance to the soft fixed point", "B4.2")

    def follower_distance(self, leader_distance: float) -> Bound:
        r""":math:`D(y_k,y^\star)\le d_FD(x_k,x^\star)` given a bound on the leader's distance  [B4.2].

        Loose at low temperature, as B3.4.
        """
        return self.bound(min(2.0, self.follower_slope * leader_distance), "distance of the follower to the soft fixed point", "B4.2")

    def inexact(self, last_step: float, follower_error: float, leader_error: float) -> Bound:
        r""":math:`D(\tilde x_K,x^\star)\le\frac{qD(\tilde x_K,\tilde x_{K-1})+e}{1-q}`, :math:`e=e_L+d_Le_F`, with responses only approximate  [B4.3].

        Loose when the errors of the steps cancel, which it does not count on.
        """
        q = self.modulus
        error = leader_error + self.leader_slope * follower_error
        return self.bound((q * last_step + error) / (1.0 - q) if q < 1.0 else math.nan, "distance to the soft fixed point", "B4.3")


@dataclass(frozen=True)
class Local:
    """The local certificate: one soft fixed point in a ball (theory B4.4).

    Attributes
    ----------
    radius : float
        Of the ball around the candidate.
    modulus : float
        Of the map on the ball.
    leader_slope : float
        Of the leader's response alone, on what the follower does there.
    bound : Bound
        On the distance from the candidate to the one soft fixed point in the ball.
    """

    radius: float
    modulus: float
    leader_slope: float
    bound: Bound


def local_certificate(contraction: Contraction, follower_values: Array, leader_values: Array, residual: float) -> Local:
    r"""Exactly one soft fixed point near a candidate, even where the map does not contract globally  [B4.4].

    Nearly pure responses hardly move, so at low temperature the modulus on a small ball around :math:`x_0` can be far below
    the global one. Applies if, for some radius r, :math:`q_{loc}<1` and :math:`D(\Phi(x_0),x_0)\le(1-q_{loc})r`.

    Parameters
    ----------
    contraction : Contraction
    follower_values : array [S, B]
        The follower's action values at the candidate (those its softmax is of).
    leader_values : array [S, A]
        The leader's action values at the follower's response.
    residual : float
        :math:`D(\Phi(x_0),x_0)`.

    Returns
    -------
    Local
        At the largest radius that works. Loose mostly through the constants :math:`c_F,c_L`.
    """
    c = contraction
    best, smallest = None, (math.inf, 0.0, 0.0)
    for radius in RADII:
        d_f = 2.0 * _sharpness(follower_values, c.follower_temperature, 2.0 * c.follower.slope * radius) * c.follower_slope
        reach = min(2.0, d_f * radius)
        d_l = 2.0 * _sharpness(leader_values, c.leader_temperature, 2.0 * c.leader.slope * reach) * c.leader_slope
        q = d_f * d_l
        smallest = min(smallest, (q, radius, d_l))
        if q < 1.0 and residual <= (1.0 - q) * radius:
            best = (q, radius, d_l)
            break
    q, radius, d_l = best or smallest
    maps = residual <= (1.0 - q) * radius
    bound = Bound(
        residual / (1.0 - q) if best else math.nan,
        "distance to the only soft fixed point nearby",
        "B4.4",
        (
            Assumption("local modulus < 1", q < 1.0, f"it is {number(q, 3)} on the ball of radius {number(radius)}"),
            Assumption("the map stays in the ball", q < 1.0 and maps, f"residual {number(residual, 3)} against {number(max(1.0 - q, 0.0) * radius, 3)}"),
        ),
        remedy="more iterations (a smaller residual), or a temperature further from a change of the response",
    )
    return Local(radius, q, d_l, bound)


def _sharpness(q: Array, temperature: float, move: float) -> float:
    r""":math:`\max_s\kappa` of a softmax whose gaps may shrink by `move`  [B4.4]."""
    if q.shape[-1] == 1:
        return 0.0
    gap = np.sort(q.max(-1, keepdims=True) - q, axis=-1)[..., 1:]
    exponent = (move - gap) / temperature
    rest = np.exp(np.minimum(exponent, 700.0)).sum(-1)  # a larger exponent only says that the likeliest action may be unlikely
    return float(local_modulus(1.0 / (1.0 + rest)).max())


def vacuity(contraction: Contraction, actions: int) -> Bound:
    r"""Follower's regret that contraction alone can promise: :math:`\tau_{\min}\log m/(1-\gamma)`  [B4.5].

    Loose whenever a follower at that temperature meets few near-indifferent states.

    At the smallest temperature with a contraction the regret bound beats the trivial :math:`R^{sp}/(1-\gamma)` only if
    :math:`\tau_{\min}\log m<R^{sp}`. Otherwise uniqueness is certified but says nothing about values: it is reported as not
    applicable. Typical of kernels that mix little and discounts near 1.

    Parameters
    ----------
    actions : int
        Of the follower.
    """
    lowest, c = contraction.critical_temperature, contraction.follower
    crude = math.sqrt(contraction.leader.crude_slope * c.crude_slope)
    ratio, crude_ratio = (_ratio(tau * math.log(actions), c.reward_span) for tau in (lowest, crude))
    floor = lowest * math.log(actions)
    figures = f"tau_min {number(lowest, 4)}: its regret bound is {number(ratio, 3)} times the trivial one ({number(crude_ratio, 3)} without mixing)"
    useful = Assumption("contraction says something about values", ratio < 1.0, figures)
    return Bound(
        floor / (1.0 - c.discount), "follower's regret at the smallest contracting temperature", "B4.5", (useful,),
        remedy="the local certificate B4.4 or the commitment gap B8.5, which need no contraction",
    )


def _ratio(floor: float, span: float) -> float:
    if span > 0.0:
        return floor / span
    return 0.0 if floor == 0.0 else math.inf
