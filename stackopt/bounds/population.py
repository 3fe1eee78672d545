r"""N followers in the place of a continuum: how far law, values and what a deviator gains are from the mean-field model (theory B10).

Transitions that the population does not move unless said otherwise, independent starts from the stationary law :math:`\mu`, all but one
follower playing the same policy. Rewards are :math:`r_0+R_1y` with y the followers' average of H(s, b), their own included.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from stackopt.certificate import Assumption, Bound
from stackopt.display import number

Array = NDArray[np.float64]
#: Laws whose residual is at most this count as stationary.
STATIONARY = 1e-8


def _stationary(residual: float) -> Assumption:
    return Assumption("followers start from the stationary law", residual <= STATIONARY, f"residual {number(residual, 2)}")


def _affine(why_not: str) -> Assumption:
    return Assumption("rewards affine in the population, transitions free of it", not why_not, why_not)


def law_error(mean_field: Array, followers: int) -> Bound:
    r""":math:`E\|\mu^N-\mu\|_1\le\sum_s\sqrt{\mu(s)(1-\mu(s))/N}\le\sqrt{(n-1)/N}` for independent followers  [B10.1].

    Loose by a fifth for many followers: the mean of :math:`|Z|` is :math:`\sqrt{2/\pi}` of its standard deviation.

    Parameters
    ----------
    mean_field : array [S]
    followers : int
        N.
    """
    counted = Assumption("at least one follower", followers >= 1, f"{followers}")
    value = float(np.sqrt(mean_field * (1.0 - mean_field) / max(followers, 1)).sum())
    return Bound(value, "mean distance of N followers' law to the mean field", "B10.1", (counted,))


def reward_change(slopes: Array, own: Array, y: Array, followers: int) -> float:
    r""":math:`\delta_N=\frac1N\max_{s,b}|R_1(s,b)\cdot(H(s,b)-y)|`: what a follower's own share of the population changes in its reward  [B10.2].

    Parameters
    ----------
    slopes : array [S, B, J]
        R_1.
    own : array [S, B, J]
        H.
    y : array [J]
    followers : int
        N.
    """
    return float(np.abs((slopes * (own - y)).sum(-1)).max()) / followers


def value_error(change: float, stages: float, *, residual: float = 0.0, why_not: str = "") -> Bound:
    r""":math:`|J_N-J_{MF}|\le\delta_N/(1-\gamma)` for any policy of one follower that sees its own state: O(1/N)  [B10.2].

    Loose where own shares help in some states and hurt in others.

    Parameters
    ----------
    change : float
        `reward_change`.
    stages : float
        What one unit per stage adds up to: :math:`1/(1-\gamma)` for discounted values, 1 for values per stage.
    residual : float
        Of the stationary law.
    why_not : str
        Why the model is not covered, if so.
    """
    return Bound(change * stages, "difference of a follower's value among N to the mean field's", "B10.2", (_affine(why_not), _stationary(residual)))


def exploitability(mean_field: float, change: float, stages: float, *, residual: float = 0.0, why_not: str = "") -> Bound:
    r""":math:`\mathrm{expl}_N\le\mathrm{expl}_{MF}+2\delta_N/(1-\gamma)`, for deviators that see their own state  [B10.2].

    Loose by a factor of two or more: best answer and policy rarely suffer opposite extremes.

    Parameters
    ----------
    mean_field : float
        Exploitability of the policy in the mean field, :math:`\mu\cdot(V^*-V^y)`.
    change, stages, residual, why_not
        As for `value_error`.
    """
    value = mean_field + 2.0 * change * stages
    return Bound(value, "gain of a deviator among N followers", "B10.2", (_affine(why_not), _stationary(residual)))


def informed_deviator(
    slopes: Array, best: float, discount: float, followers: int, *, residual: float = 0.0, states_only: bool = True, why_not: str = ""
) -> Bound:
    r""":math:`J^{dev}_N\le\mu\cdot V^*+\frac{c_r}{1-\gamma}(\frac2N+\frac{N-1}N\sqrt{\frac{n-1}{N-1}})`, a deviator that sees everybody: O(1/sqrt N)  [B10.3].

    Loose: such a deviator can rarely act on what it sees before it averages out.

    Parameters
    ----------
    slopes : array [S, B, S]
        R_1 on the distribution of states; :math:`c_r` is half of its largest span.
    best : float
        :math:`\mu\cdot V^*` in the mean field.
    discount : float
    followers : int
        N, at least 2.
    residual : float
        Of the stationary law.
    states_only : bool
        Whether the statistic is the distribution of states.
    why_not : str
        Why the model is not covered, if so.
    """
    N, n = max(followers, 2), slopes.shape[0]
    assumptions = (
        _affine(why_not), _stationary(residual), Assumption("the statistic is the distribution of states", states_only, "it is another one"),
        Assumption("at least two followers", followers >= 2, f"{followers}"),
    )  # fmt: skip
    noise = 0.5 * float(np.ptp(slopes, axis=-1).max()) / (1.0 - discount) * (2.0 / N + (N - 1) / N * math.sqrt((n - 1) / (N - 1)))
    return Bound(best + noise, "value of a deviator that sees all N followers", "B10.3", assumptions)


def propagation(mixing: float, sway: float, states: int, followers: int) -> Bound:
    r""":math:`\sup_tE\|\mu^N_t-\mu_t\|_1\le\frac1{1-\ell}\sqrt{\frac{n-1}N}`, :math:`\ell=\bar t+c_P<1`, for transitions that the population moves  [B10.4].

    Loose by the worst pair of rows at every step.

    Parameters
    ----------
    mixing : float
        :math:`\bar t`: largest Dobrushin coefficient of the policy's kernel in a population that sits in one state.
    sway : float
        :math:`c_P`: largest total variation by which the population moves a row.
    states : int
        n.
    followers : int
        N.
    """
    slope = mixing + sway
    contracts = Assumption("the law's own dynamics contract", slope < 1.0, f"slope is {number(slope, 3)}")
    value = math.sqrt((states - 1) / max(followers, 1)) / (1.0 - slope) if slope < 1.0 else math.nan
    return Bound(value, "mean distance of N followers' law to the mean field, at any time", "B10.4", (contracts,), remedy="a kernel that mixes faster")
