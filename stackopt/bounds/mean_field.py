r"""What a population's soft equilibrium is known to be near, and when it is the only one (theory B6).

Rewards and transitions affine in the distribution of states :math:`\bar\mu` make the population an opponent that plays a mixed action over
states, the same in every state of a follower; so the constants of B3 apply with "the opponent's action" read as "a state of the
population". :math:`\Psi_\tau(\mu)` is where soft best answers to :math:`\mu` settle. Distances are :math:`\|\mu-\mu'\|_w=\sum_kw_k\|\mu_k-\mu'_k\|_1`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stackopt.bounds.lipschitz import Constants
from stackopt.bounds.occupancy import law_residual
from stackopt.certificate import Assumption, Bound
from stackopt.display import number

Array = NDArray[np.float64]


@dataclass(frozen=True)
class CrowdConstants:
    r"""How much a population's settling moves with the population itself.

    Attributes
    ----------
    weights : tuple of float
        :math:`w_k`.
    types : tuple of Constants
        Of each type, the population being its opponent.
    mixing : tuple of float
        :math:`\bar t_k`: largest Dobrushin coefficient of a type's rows in a population that sits in one state.
    why_not : str
        Why the model is not covered, if so: then nothing applies.
    """

    weights: tuple[float, ...]
    types: tuple[Constants, ...]
    mixing: tuple[float, ...]
    why_not: str = ""

    @property
    def law_slope(self) -> float:
        r""":math:`\ell_0=\sum_kw_kc_{P,k}/(1-\bar t_k)`: what the population moves through transitions alone, at any temperature."""
        return self._sum(lambda c: c.opponent_sway)

    @property
    def response_slope(self) -> float:
        r""":math:`\ell_1=\sum_kw_k\kappa_{b,k}c_k/(1-\bar t_k)`: what it moves through soft answers, times the temperature."""
        return self._sum(lambda c: c.own_sway * c.slope)

    def _sum(self, of: Callable[[Constants], float]) -> float:
        terms = [(w * of(c), t) for w, c, t in zip(self.weights, self.types, self.mixing)]
        return sum(top / (1.0 - t) if t < 1.0 else math.inf for top, t in terms)  # at t = 1 there may be several laws, whatever moves

    def modulus(self, temperature: float) -> float:
        r""":math:`q=\ell_0+\ell_1/\tau`."""
        return self.law_slope + self.response_slope / temperature

    @property
    def critical_temperature(self) -> float:
        r""":math:`\tau_{\min}=\ell_1/(1-\ell_0)`; infinite if no temperature makes the map contract."""
        if not self.law_slope < 1.0:
            return math.inf
        return self.response_slope / (1.0 - self.law_slope)

    def _contracts(self, temperature: float) -> tuple[tuple[Assumption, ...], str]:
        """(assumptions, remedy) of every statement that needs a contraction."""
        q, slowest = self.modulus(temperature), max(self.mixing, default=0.0)
        assumptions = (
            Assumption("stationary, affine in the distribution of states", not self.why_not, self.why_not),
            Assumption("every type's rows overlap", slowest < 1.0, f"Dobrushin coefficient is {number(slowest)}"),
            Assumption("modulus < 1", q < 1.0, f"modulus is {number(q, 3)} at temperature {number(temperature)}"),
        )
        lowest = self.critical_temperature
        remedy = f"temperature > {number(lowest, 4)}" if math.isfinite(lowest) else "none: no temperature makes this map contract"
        return assumptions, remedy

    def residual(self, temperature: float, step: float) -> Bound:
        r""":math:`\|\mu-\mu^\star\|_w\le\|\Psi(\mu)-\mu\|_w/(1-q)`, and :math:`\mu^\star` is the only soft equilibrium  [B6.1].

        Loose where soft answers move less than their constants say; vacuous for slowly mixing kernels.

        Parameters
        ----------
        temperature : float
        step : float
            :math:`\|\Psi(\mu)-\mu\|_w`.
        """
        assumptions, remedy = self._contracts(temperature)
        q = self.modulus(temperature)
        return Bound(step / (1.0 - q) if q < 1.0 else math.nan, "distance to the only soft equilibrium", "B6.1", assumptions, remedy=remedy)

    def a_posteriori(self, temperature: float, last_step: float) -> Bound:
        r""":math:`\|\mu_n-\mu^\star\|_w\le\frac{q}{1-q}\|\mu_n-\mu_{n-1}\|_w` where :math:`\mu_n=\Psi(\mu_{n-1})`  [B6.1].

        Loose by the ratio of q to the true rate.
        """
        assumptions, remedy = self._contracts(temperature)
        q = self.modulus(temperature)
        return Bound(q / (1.0 - q) * last_step if q < 1.0 else math.nan, "distance to the only soft equilibrium", "B6.1", assumptions, remedy=remedy)

    def settling_change(self, temperature: float, distance: float) -> Bound:
        r""":math:`\|\Psi(\mu)-\Psi(\mu')\|_w\le\min\{2,q\|\mu-\mu'\|_w\}`, whether q < 1 or not  [B6.1].

        Loose at low temperature, where soft answers are nearly pure and hardly move.
        """
        q, slowest = self.modulus(temperature), max(self.mixing, default=0.0)
        assumptions = (
            Assumption("stationary, affine in the distribution of states", not self.why_not, self.why_not),
            Assumption("every type's rows overlap", slowest < 1.0, f"Dobrushin coefficient is {number(slowest)}"),
        )
        return Bound(min(2.0, q * distance) if math.isfinite(q) else math.nan, "change of where soft answers settle", "B6.1", assumptions)

    def decision_change(self, temperature: float, change: Array, other: CrowdConstants | None = None) -> Bound:
        r""":math:`\|\mu_\theta-\mu_{\theta'}\|_w\le\frac{1}{2\tau(1-q)}\sum_k\frac{w_k\kappa_{b,k}}{1-\bar t_k}
        (\max_s\mathrm{sp}_bf_k+\frac{\gamma\kappa_{b,k}\mathrm{sp}f_k}{1-\gamma\bar t})`  [B6.3].

        For decisions that only change rewards, by f. Loose as B6.1, and where f falls on states that are rarely visited.

        Parameters
        ----------
        temperature : float
        change : array [K, S, B]
            f: the rewards under one decision minus those under the other.
        other : CrowdConstants, optional
            Of the other decision; the larger modulus counts. By default rewards interact alike under both.
        """
        assumptions, remedy = self._contracts(temperature)
        q = max(self.modulus(temperature), other.modulus(temperature) if other is not None else 0.0)
        both = Assumption("modulus < 1 under both decisions", q < 1.0, f"the larger one is {number(q, 3)}")
        total = 0.0
        for w, c, t, f in zip(self.weights, self.types, self.mixing, change):
            carried = c.discount * c.own_sway * float(np.ptp(f)) / (1.0 - c.discount * c.mixing)
            moved = w * c.own_sway * (float(np.ptp(f, axis=-1).max()) + carried) / (2.0 * temperature)
            total += moved / (1.0 - t) if t < 1.0 else math.inf
        value = total / (1.0 - q) if q < 1.0 else math.nan
        return Bound(value, "distance between soft equilibria of two decisions", "B6.3", (*assumptions, both), remedy=remedy)


def soft_exploitability(temperature: float, actions: int, stages: float, distance: float) -> Bound:
    r"""Hard exploitability of a max-ent equilibrium: at most :math:`\tau\log|B|` per stage, discounted  [B6.2].

    Loose where one action is clearly best: there the soft answer is nearly pure.

    Parameters
    ----------
    temperature : float
    actions : int
        |B|.
    stages : float
        What one unit per stage adds up to in the exploitability: 1 for cyclic horizons (it is per stage), else the sum of
        discounts.
    distance : float
        Largest L1 distance of a policy to the soft answer.
    """
    soft = Assumption("followers play their soft response", distance <= 1e-6, f"largest L1 distance {number(distance)}")
    return Bound(temperature * math.log(actions) * stages, "exploitability of the soft equilibrium", "B6.2", (soft,))


def soft_exploitability_measured(temperature: float, entropy: float, distance: float) -> Bound:
    r"""The same with the population's own entropy in the place of :math:`\log|B|`  [B6.2].

    Loose by the entropy bonus that the best soft policy earns over the best hard one.

    Parameters
    ----------
    temperature : float
    entropy : float
        Of the policies, averaged over the population; for finite horizons, summed over stages with their discounts.
    distance : float
        Largest L1 distance of a policy to the soft answer.
    """
    soft = Assumption("followers play their soft response", distance <= 1e-6, f"largest L1 distance {number(distance)}")
    return Bound(temperature * entropy, "exploitability of the soft equilibrium", "B6.2 measured", (soft,))


def law_consistency(mean_field: Array, kernel: Array) -> Bound:
    r"""Distance of a type's law to the stationary one of its policy, transitions frozen: :math:`\Lambda\|\mu_k-\mu_kP^{y_k}_k(\mu)\|_1`  [B6.4].

    Loose by what cancels between states.

    Parameters
    ----------
    mean_field : array [S]
    kernel : array [S, S]
        Of one type's policy in this population, over a whole period.
    """
    found = law_residual(mean_field, kernel)
    return Bound(found.value, "distance to the law of the policy", "B6.4", found.assumptions, remedy=found.remedy)
