r"""What samples prove about a follower's action values and choices (theory B9), and about gradients from values (C3).

The a-priori bound prices an unknown transition kernel and is very loose: a useful policy error may ask for
a thousand million samples of every (state, action). Where transitions are known, the radius of choice frequencies is the
relevant one.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from stackopt.certificate import Assumption, Bound

Array = NDArray[np.float64]


def _probability(failure: float) -> Assumption:
    return Assumption("the probability of failure is in (0, 1)", 0.0 < failure < 1.0, f"it is {failure:.3g}")


def _independent(holds: bool, what: str) -> Assumption:
    return Assumption(what, holds, "" if holds else "the caller says they are not")


def action_value_error(value_span: float, discount: float, states: int, actions: int, samples: int, failure: float, *, independent: bool = True) -> Bound:
    r""":math:`\|\hat Q-Q\|_\infty\le\frac{\gamma\,\mathrm{sp}(V)}{1-\gamma}\sqrt{\frac{\log(2n|B|/\delta)}{2N}}`  [B9.1].

    Loose by the union over state-action pairs and by the span of V where few successors matter: failures are rarely seen.

    Parameters
    ----------
    value_span : float
        :math:`\mathrm{sp}(V)` of the *true* optimum, or a bound on it such as `Constants.value_span` [B3.1].
    discount : float
    states, actions : int
        n and |B|.
    samples : int
        N next states drawn for each (state, action).
    failure : float
        :math:`\delta`: the bound may fail with at most this probability.
    independent : bool
        Whether samples are independent draws from the kernel, as many for every (state, action); those of a followed path are not.

    Notes
    -----
    Proof: :math:`\|\hat Q-Q\|\le\|\hat TQ-TQ\|/(1-\gamma)`, V is not random: Hoeffding and a union over (s, b). Hard or soft alike.
    """
    known = (_probability(failure), _independent(independent, "N independent next states for each state and action"), _some(samples, 1))
    value = math.nan
    if all(a.holds for a in known):
        value = discount * value_span / (1.0 - discount) * math.sqrt(math.log(2.0 * states * actions / failure) / (2.0 * samples))
    return Bound(value, "error of action values from sampled transitions", "B9.1", known)


def samples_needed(error: float, value_span: float, discount: float, states: int, actions: int, failure: float) -> int:
    """The smallest N for each (state, action) at which `action_value_error` is at most `error`  [B9.1]."""
    root = discount * value_span / ((1.0 - discount) * error)
    return max(1, math.ceil(root**2 * math.log(2.0 * states * actions / failure) / 2.0))


def action_value_error_measured(
    reward: Array, discount: float, estimate: Array, value: Array, next_states: Array, failure: float, *, second_batch: bool = True, reward_radius: float = 0.0
) -> Bound:
    r"""The error of :math:`\hat Q` by a second batch of samples, nothing about the kernel assumed  [B9.2].

    Loose by the last term at few samples, and by taking the worst pair.

    .. math:: \|\hat Q-Q\|_\infty\le\frac1{1-\gamma}\max_{s,b}\Big\{|r+\gamma\hat P_2\hat V-\hat Q|
        +\gamma\sqrt{2\hat\sigma^2L/N}+\frac{7\gamma\,\mathrm{sp}(\hat V)L}{3(N-1)}\Big\},\quad L=\log(4n|B|/\delta).

    Parameters
    ----------
    reward : array [S, B]
        Known; if it was averaged from noisy rewards, give `reward_radius`.
    discount : float
    estimate, value : array [S, B], [S]
        :math:`\hat Q` and its value :math:`\hat V` (hard or soft maximum), from the first batch.
    next_states : int array [S, B, N]
        The second batch.
    failure : float
        :math:`\delta`.
    second_batch : bool
        Whether it is independent of what the estimate was made from.
    reward_radius : float
        A bound on the error of the rewards, holding with the rest of the probability.

    Notes
    -----
    The empirical Bernstein inequality (Maurer & Pontil 2009) for each (s, b), :math:`\hat\sigma^2` the unbiased sample variance.
    Two-sided, hence the 4.
    """
    S, B, N = next_states.shape
    known = (_probability(failure), _independent(second_batch, "the second batch is independent of the estimate"), _some(N, 2))
    bound = math.nan
    if all(a.holds for a in known):
        ahead = value[next_states]  # [S, B, N]
        log = math.log(4.0 * S * B / failure)
        defect = np.abs(reward + discount * ahead.mean(-1) - estimate)
        radius = discount * np.sqrt(2.0 * ahead.var(-1, ddof=1) * log / N) + 7.0 * discount * np.ptp(value) * log / (3.0 * (N - 1))
        bound = float((defect + radius).max() + reward_radius) / (1.0 - discount)
    return Bound(bound, "error of action values, measured on a second batch", "B9.2", known)


def reward_radius(low: float, high: float, states: int, actions: int, samples: int, failure: float) -> Bound:
    r"""Hoeffding: mean rewards of N samples each are within :math:`(r_{hi}-r_{lo})\sqrt{\log(2n|B|/\delta)/2N}` of the truth  [B9.2].

    Loose for rewards of small variance.
    """
    known = (_probability(failure), _some(samples, 1))
    value = (high - low) * math.sqrt(math.log(2.0 * states * actions / failure) / (2.0 * samples)) if all(a.holds for a in known) else math.nan
    return Bound(value, "error of mean rewards", "B9.2", known)


def policy_error(action_values: Bound, temperature: float) -> Bound:
    r""":math:`\|\hat y-y\|_1\le\min(2,\|\hat Q-Q\|_\infty/\tau)` from a bound on the action values  [B9.2, B1.2].

    Loose where the response is nearly pure.
    """
    return Bound(min(2.0, action_values.value / temperature), "error of a soft response from samples", "B9.2", action_values.assumptions)


def choice_frequency_error(visits: Array, actions: int, failure: float, *, independent: bool = True) -> Bound:
    r"""Choice frequencies in every state visited: :math:`\|\hat y(s)-y(s)\|_1\le\sqrt{2\log(n(2^{|B|}-2)/\delta)/N_s}`, the largest  [B9.3].

    Loose for nearly pure choices, whose frequencies hardly vary.

    Parameters
    ----------
    visits : array [S]
        :math:`N_s`, fixed in advance or conditioned on; states never visited make the bound 2.
    actions : int
    failure : float
    independent : bool
        Whether choices are independent given the states: followers of one policy, not of one that still moves.

    Notes
    -----
    The L1 deviation of an empirical distribution (Weissman, Ordentlich, Seroussi, Verdu & Weinberger 2003) and a union over states.
    This is what matters when transitions are known.
    """
    known = (_probability(failure), _independent(independent, "choices are independent given the states"))
    value = math.nan
    if all(a.holds for a in known):
        if actions == 1:
            value = 0.0
        else:
            log = math.log(len(visits)) + math.log(2.0**actions - 2.0) if actions < 1000 else math.log(len(visits)) + actions * math.log(2.0)
            few = float(np.min(visits))
            value = 2.0 if few <= 0 else min(2.0, math.sqrt(2.0 * (log - math.log(failure)) / few))
    return Bound(value, "error of choice frequencies in the state seen least", "B9.3", known)


def two_point_bias(smoothness: float, length: float, size: int, value_error: float = 0.0, *, analytic: bool = True) -> Bound:
    r""":math:`\|E\hat g-\nabla J\|\le\beta\delta\frac d{d+1}+\frac{de}\delta`  [C3].

    Loose where the curvature is small on average: it takes the largest.

    Parameters
    ----------
    smoothness : float
        :math:`\beta`: the gradient is :math:`\beta`-Lipschitz within :math:`\delta` of the point.
    length : float
        :math:`\delta`.
    size : int
        d.
    value_error : float
        e: values are this accurate, the followers' distance from their response included.
    analytic : bool
        Whether `smoothness` was derived. One estimated from finite differences is no guarantee, and the bound does not apply.
    """
    value = smoothness * length * size / (size + 1.0) + size * value_error / length
    return Bound(value, "bias of the two-point gradient", "C3", (_smooth(analytic),))


def gaussian_bias(smoothness: float, width: float, size: int, value_error: float = 0.0, *, analytic: bool = True) -> Bound:
    r""":math:`\|E\hat g-\nabla J\|\le\beta\sigma\sqrt d+\frac e\sigma\sqrt d` for the smoothed gradient  [C3]. Parameters as `two_point_bias`.

    Loose where the curvature is small on average: it takes the largest.
    """
    value = (smoothness * width + value_error / width) * math.sqrt(size)
    return Bound(value, "bias of the Gaussian-smoothing gradient", "C3", (_smooth(analytic),))


def two_point_second_moment(slope: float, size: int, *, analytic: bool = True) -> Bound:
    r""":math:`E\|\hat g\|^2\le d^2\,\mathrm{Lip}^2` with exact values  [C3]; `slope` is the Lipschitz constant of J near the point.

    Loose by up to the dimension when the gradient is nearly constant.
    """
    derived = Assumption("the Lipschitz constant is derived, not estimated", analytic, "estimated" if not analytic else "")
    return Bound((size * slope) ** 2, "second moment of the two-point gradient", "C3", (derived,))


def best_length(smoothness: float, size: int, value_error: float) -> float:
    r"""The probe :math:`\delta=\sqrt{e(d+1)/\beta}` at which `two_point_bias` is least  [C3]."""
    return math.sqrt(value_error * (size + 1.0) / smoothness)


def _some(samples: int, least: int) -> Assumption:
    return Assumption("at least one sample of each" if least == 1 else f"at least {least} samples of each", samples >= least, f"there are {samples}")


def _smooth(analytic: bool) -> Assumption:
    return Assumption("the smoothness constant is derived, not estimated", analytic, "estimated from finite differences" if not analytic else "")
