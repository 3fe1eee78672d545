r"""What a softmax choice loses and how far it is from the best one (theory B1, B2).

Arrays are action values ``q[..., m]`` of the actions a player has in a state; `temperature` is in the same units.
No exponential here can overflow: only :math:`e^{-\alpha g}` with :math:`\alpha g\ge0` is ever formed.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from stackopt.certificate import Assumption, Bound
from stackopt.display import number

Array = NDArray[np.float64]

#: Largest relative Bellman residual at which values count as a fixed point.
RESIDUAL = 1e-9
#: Largest L1 distance per state between a policy and the softmax it is said to be.
POLICY = 1e-6
#: Ties decided by a tolerance are trusted if the next gap is this many times larger.
TIE_MARGIN = 10.0


def lambert_constant(actions: int) -> float:
    r""":math:`W_0((m-1)/e)`: the largest expected gap of a softmax over `actions`, in temperatures  [B1.4].

    0 for one action; 0.278 for 2, 0.718 for 5, 1.523 for 20; always below :math:`\log m`, and attained.
    """
    w = math.log1p((actions - 1) / math.e)  # an upper start; Newton on a convex function comes down monotonically
    for _ in range(50):
        e = math.exp(-w)
        step = (w - (actions - 1) / math.e * e) / (1.0 + w)
        w -= step
        if abs(step) <= 1e-16 * (1.0 + w):
            break
    return max(w, 0.0)


# --- one state: B1 ----------------------------------------------------------------------------------------------------


def softmax_to_argmax(q: Array, temperature: float, tie: float = 0.0) -> Bound:
    r"""Distance of softmax to the uniform choice among the maximisers, largest over states  [B1.1].

    :math:`\|\mathrm{softmax}(q/\tau)-\text{argmax-e}(q)\|_1\le\frac{2(m-k)}{k e^{\delta/\tau}+m-k}` with k maximisers and smallest positive
    gap :math:`\delta`; 0 where all tie. Sharp when all other actions have the same gap; loose when only one is close.

    Parameters
    ----------
    q : array [..., m]
    temperature : float
    tie : float
        Actions within `tie` of the best count as maximisers. Then the next gap must exceed ten times `tie`.

    Returns
    -------
    Bound
        Assumes that ties are decided clearly.
    """
    gap = q.max(-1, keepdims=True) - q
    tied = gap <= tie
    k, m = tied.sum(-1), q.shape[-1]
    delta = np.where(tied, np.inf, gap).min(-1)
    decay = np.exp(-delta / temperature)
    value = float((2.0 * (m - k) * decay / (k + (m - k) * decay)).max())
    smallest = float(delta.min())
    clear = Assumption(
        "ties are told apart from near-ties", smallest > TIE_MARGIN * tie, f"smallest gap {number(smallest)}, ties within {number(tie)}"
    )
    return Bound(value, "distance of the softmax to the best actions", "B1.1", (clear,), remedy="a game whose near-ties are exact or wider")


def softmax_mass_off_best(q: Array, temperature: float) -> float:
    r"""The exact distance :math:`2T/(k+T)`, :math:`T=\sum_{g>0}e^{-g/\tau}`, largest over states: what B1.1 bounds."""
    gap = q.max(-1, keepdims=True) - q
    rest = np.where(gap > 0, np.exp(-gap / temperature), 0.0).sum(-1)
    return float((2.0 * rest / ((gap <= 0).sum(-1) + rest)).max())


def softmax_change(span: float, temperature: float) -> Bound:
    r"""How far softmax moves when the action values change by something of the given span  [B1.2].

    :math:`\|\mathrm{softmax}(q/\tau)-\mathrm{softmax}(q'/\tau)\|_1\le2\tanh(\mathrm{sp}(q-q')/4\tau)\le\mathrm{sp}/2\tau`. Only the span counts: what is
    common to all actions cancels. Sharp for two actions placed symmetrically; loose far from an even choice, see B1.3.
    """
    return Bound(2.0 * math.tanh(span / temperature / 4.0), "change of the softmax", "B1.2")


def local_modulus(likeliest: Array) -> Array:
    r""":math:`\kappa=2p(1-p)` where the likeliest action has :math:`p\ge\frac12`, else 1/2; [...]  [B1.3].

    Near p the softmax moves at most :math:`\kappa/\tau` times the span of a small change of the action values.
    """
    value: Array = np.where(likeliest >= 0.5, 2.0 * likeliest * (1.0 - likeliest), 0.5)
    return value


def softmax_gap(actions: int, temperature: float, entropy: float = math.inf) -> Bound:
    r"""Expected gap :math:`\sum_jp_jg_j\le\tau\min\{H(p),W_0((m-1)/e)\}` of one softmax choice  [B1.4].

    Parameters
    ----------
    actions : int
        m >= 1.
    temperature : float
    entropy : float, optional
        Of the choice, in nats. Sharp without it: attained when all other actions have gap :math:`(1+W_0)\tau`.
    """
    return Bound(temperature * min(entropy, lambert_constant(actions)), "expected gap of a softmax choice", "B1.4")


# --- a Markov decision process: B2 ------------------------------------------------------------------------------------


def _solved(residual: float, size: float) -> Assumption:
    return Assumption(
        "the action values solve their Bellman equation", residual <= RESIDUAL * (1.0 + size), f"residual {number(residual, 2)}, values up to {number(size)}"
    )


def _is_model(model: str, wanted: str, distance: float) -> tuple[Assumption, ...]:
    return (
        Assumption(f"the response is {wanted}", model == wanted, f"it is {model}"),
        Assumption("the policy is the softmax of its action values", distance <= POLICY, f"distance {number(distance, 2)}"),
    )


def max_ent_loss(
    actions: int, temperature: float, discount: float, *, model: str = "max-ent", distance: float = 0.0, residual: float = 0.0, size: float = 0.0
) -> Bound:
    r"""Loss of the max-ent response: :math:`V^*-V^{y_\tau}\le\frac{\tau\log m}{1-\gamma}` at every state  [B2.1].

    Parameters
    ----------
    actions : int
    temperature, discount : float
    model : str
        Of the response examined. Anything but ``"max-ent"`` makes the bound not applicable.
    distance : float
        L1 distance per state between the policy and the softmax of its action values.
    residual, size : float
        Bellman residual and largest absolute value of the soft-optimal values.

    Notes
    -----
    Needs no gap. Nearly attained when the entropy bonus pulls the follower into a region of indifference; typically three
    times too large. The a-posteriori form is tighter.
    """
    value = temperature * math.log(actions) / (1.0 - discount)
    return Bound(value, "follower's loss", "B2.1", (*_is_model(model, "max-ent", distance), _solved(residual, size)))


def max_ent_loss_measured(
    entropy_visits: float, temperature: float, *, model: str = "max-ent", distance: float = 0.0, residual: float = 0.0, size: float = 0.0
) -> Bound:
    r"""Loss of the max-ent response a posteriori: :math:`V^*-V^{y_\tau}\le\tau(I-\gamma P^{y_\tau})^{-1}H`  [B2.1].

    Loose when the entropy is spent on actions that cost nothing.

    `entropy_visits` is :math:`(I-\gamma P^{y})^{-1}H`: the discounted entropy of the policy, at a state or from an initial
    distribution. The other parameters are those of `max_ent_loss`.
    """
    assumptions = (*_is_model(model, "max-ent", distance), _solved(residual, size))
    return Bound(temperature * entropy_visits, "follower's loss", "B2.1 a posteriori", assumptions)


def boltzmann_loss(
    actions: int,
    temperature: float,
    discount: float,
    *,
    action_value_error: float = 0.0,
    model: str = "boltzmann",
    distance: float = 0.0,
    residual: float = 0.0,
    size: float = 0.0,
) -> Bound:
    r"""Loss of the softmax of :math:`Q^*`: :math:`V^*-V^{y}\le\frac{\tau W_0((m-1)/e)+2\epsilon_Q}{1-\gamma}`  [B2.2].

    Parameters
    ----------
    action_value_error : float
        :math:`\|\hat Q-Q^*\|_\infty` when the softmax is of approximate values.
    actions, temperature, discount, model, distance, residual, size
        As in `max_ent_loss`.

    Notes
    -----
    Not valid for the max-ent response, whose entropy bonus can lead it to a worse region; attained for discount 0.
    """
    value = (temperature * lambert_constant(actions) + 2.0 * action_value_error) / (1.0 - discount)
    return Bound(value, "follower's loss", "B2.2", (*_is_model(model, "boltzmann", distance), _solved(residual, size)))


def boltzmann_tail(gap: float, temperature: float) -> Bound:
    r"""Probability of an action with the given gap under softmax of :math:`Q^*`: :math:`e^{-g/\tau}`  [B2.3].

    Loose by the normalisation: the share of the best actions.
    """
    return Bound(math.exp(-max(gap, 0.0) / temperature), "probability of an action by its gap", "B2.3")


def max_ent_tail(gap: float, temperature: float, actions: int, discount: float) -> Bound:
    r"""Probability of an action under the max-ent response: :math:`m^{\gamma/(1-\gamma)}e^{-g/\tau}`  [B2.3].

    True but vacuous, and reported so, unless the gap exceeds :math:`\frac{\gamma}{1-\gamma}\tau\log m`.
    """
    exponent = discount / (1.0 - discount) * math.log(actions) - gap / temperature
    says = Assumption("the bound is below 1", exponent < 0.0, f"its logarithm is {number(exponent)} at gap {number(gap)}")
    return Bound(math.exp(min(exponent, 0.0)), "probability of an action by its gap", "B2.3", (says,), remedy="a lower temperature")


def visits_of_bad_actions(loss: float, gap: float) -> Bound:
    r"""Discounted visits, any policy, of actions with a gap above `gap`: at most :math:`\rho^\top(V^*-V^y)/\epsilon`  [B2.3].

    `loss` is the policy's exact loss from the initial distribution. Markov's inequality: loose when bad actions are much worse than `gap`.
    """
    positive = Assumption("gap > 0", gap > 0.0, f"gap is {number(gap)}")
    return Bound(max(loss, 0.0) / gap if gap > 0 else math.nan, "discounted visits of actions worse than the gap", "B2.3", (positive,))
