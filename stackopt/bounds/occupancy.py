r"""How far visits and stationary laws move when a policy does (theory B5).

Discounted visits :math:`d_y=(1-\gamma)\rho^\top(I-\gamma P^y)^{-1}` have mass 1. Distances of laws are L1.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from stackopt.bounds.lipschitz import dobrushin
from stackopt.certificate import Assumption, Bound
from stackopt.display import number

Array = NDArray[np.float64]

#: Singular values below this count as zero when recurrent classes are counted.
RANK_TOLERANCE = 1e-9
#: Largest residual at which a law counts as stationary.
STATIONARY = 1e-9


def visits_change(visits: Array, kernel: Array, other: Array, discount: float) -> Bound:
    r""":math:`\|d_y-d_{y'}\|_1\le\frac{\gamma}{1-\gamma t_1(P^{y'})}\sum_sd_y(s)\|P^y(s)-P^{y'}(s)\|_1`  [B5.1].

    Parameters
    ----------
    visits : array [S]
        :math:`d_y`, mass 1.
    kernel, other : array [S, S]
        :math:`P^y` and :math:`P^{y'}`.
    discount : float

    Notes
    -----
    Loose by :math:`1/(1-\gamma)` at most, when the kernels differ where it does not matter.
    """
    moved = float(visits @ np.abs(kernel - other).sum(-1))
    return Bound(discount / (1.0 - discount * dobrushin(other)) * moved, "change of the discounted visits", "B5.1")


def visits_change_a_priori(own_sway: float, mixing: float, discount: float, distance: float, *, actions: bool = False) -> Bound:
    r""":math:`\|d_y-d_{y'}\|_1\le\frac{\gamma\kappa_b}{1-\gamma\bar t}D(y,y')`; with `actions`, of state-action visits, one more D  [B5.1].

    Loose for slowly mixing kernels, and when the policies differ where nobody goes.
    """
    factor = discount * own_sway / (1.0 - discount * mixing)
    if actions:
        return Bound((1.0 + factor) * distance, "change of the discounted state-action visits", "B5.1")
    return Bound(factor * distance, "change of the discounted visits", "B5.1 a priori")


def recurrent_classes(kernel: Array) -> int:
    """How many recurrent classes a stochastic matrix [S, S] has: the rank defect of I - P."""
    singular = np.linalg.svd(np.eye(len(kernel)) - kernel, compute_uv=False)
    return int((singular <= RANK_TOLERANCE).sum())


def stationary_law(kernel: Array) -> Array:
    """The stationary law [S] of a matrix with one recurrent class (with more, the least-norm one)."""
    n = len(kernel)
    system = np.vstack([kernel.T - np.eye(n), np.ones(n)])
    law: Array = np.linalg.lstsq(system, np.append(np.zeros(n), 1.0), rcond=None)[0]
    return law


def one_class(kernel: Array) -> Assumption:
    """That a stochastic matrix has one recurrent class; without it no Lipschitz bound exists."""
    classes = recurrent_classes(kernel)
    return Assumption("one recurrent class", classes == 1, f"{classes} of them: rank of I - P is {len(kernel) - classes} of {len(kernel)}")


def sensitivity(kernel: Array, law: Array) -> float:
    r""":math:`\Lambda'=\max_{i,j}\frac12\|Z_i-Z_j\|_1`, :math:`Z=(I-P'+\mathbf1\mu'^\top)^{-1}`; also for periodic chains  [B5.2]."""
    Z = np.linalg.inv(np.eye(len(kernel)) - kernel + law)
    return 0.5 * float(np.abs(Z[:, None] - Z).sum(-1).max())


def law_change(law: Array, kernel: Array, other: Array) -> Bound:
    r""":math:`\|\mu-\mu'\|_1\le\Lambda'\|\mu(P'-P)\|_1`, any stationary :math:`\mu` of P, P' with one recurrent class  [B5.2].

    Loose by what cancels between states: the largest sensitivity stands for all.

    Parameters
    ----------
    law : array [S]
        A stationary law of `kernel`; checked.
    kernel, other : array [S, S]
        P and P'.
    """
    single = one_class(other)
    residual = float(np.abs(law @ kernel - law).sum())
    stationary = Assumption("the law is stationary", residual <= STATIONARY and float(law.min()) >= -STATIONARY, f"residual {number(residual, 2)}")
    value = sensitivity(other, stationary_law(other)) * float(np.abs(law @ (other - kernel)).sum()) if single.holds else math.nan
    return Bound(value, "change of the stationary law", "B5.2", (single, stationary), remedy="a kernel with one recurrent class")


def law_residual(candidate: Array, kernel: Array) -> Bound:
    r""":math:`\|\nu-\mu'\|_1\le\Lambda'\|\nu-\nu P'\|_1` for any distribution :math:`\nu`  [B5.4].

    Loose by what cancels between states.
    """
    single = one_class(kernel)
    value = sensitivity(kernel, stationary_law(kernel)) * float(np.abs(candidate - candidate @ kernel).sum()) if single.holds else math.nan
    return Bound(value, "distance to the stationary law", "B5.4", (single,), remedy="a kernel with one recurrent class")


def sensitivity_by_mixing(kernel: Array, steps: int = 8) -> Bound:
    r""":math:`\Lambda'\le\sum_{j<m}t_1(P'^j)/(1-t_1(P'^m))` for the first m up to `steps` with :math:`t_1(P'^m)<1`  [B5.3].

    Loose for slowly mixing kernels; attained by two states that do not alternate.
    """
    power, total, t = np.eye(len(kernel)), 0.0, 1.0
    for _ in range(steps):
        total += dobrushin(power)
        power = power @ kernel
        t = dobrushin(power)
        if t < 1.0 - 1e-9:
            break
    mixes = Assumption("some power of the kernel mixes", t < 1.0 - 1e-9, f"t_1 is {number(t)} after {steps} steps")
    return Bound(
        total / (1.0 - t) if mixes.holds else math.nan, "sensitivity of the stationary law", "B5.3", (mixes,), remedy="the exact sensitivity of B5.2"
    )


def law_change_uniform(own_sway: float, mixing: float, distance: float) -> Bound:
    r""":math:`\|\mu_y-\mu_{y'}\|_1\le\frac{\kappa_b}{1-\bar t}D(y,y')`  [B5.5].

    Loose for slowly mixing kernels: it takes the worst pair of rows.
    """
    mixes = Assumption("every pair of rows overlaps", mixing < 1.0, f"Dobrushin coefficient is {number(mixing)}")
    value = own_sway / (1.0 - mixing) * distance if mixes.holds else math.nan
    return Bound(value, "change of the stationary law", "B5.5", (mixes,), remedy="the sensitivity of one kernel, B5.2")
