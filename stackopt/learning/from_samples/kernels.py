"""Transitions estimated from what was seen, for a leader that does not know them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from stackopt.bounds.sampling import action_value_error, action_value_error_measured, policy_error
from stackopt.certificate import Bound
from stackopt.games.operators import Array, Mdp, soft_maximum
from stackopt.games.responses import SoftResponse, soft_response


def kernel_from_counts(counts: Array, prior: float = 0.0) -> Array:
    """Next-state counts [..., S] to probabilities; rows never seen are uniform.

    Parameters
    ----------
    counts : array [..., S]
    prior : float
        Pseudo-counts for each next state.
    """
    total = counts + prior
    mass = total.sum(-1, keepdims=True)
    estimate: Array = np.where(mass > 0, total / np.where(mass > 0, mass, 1.0), 1.0 / counts.shape[-1])
    return estimate


def sample_next(mdp: Mdp, samples: int, rng: np.random.Generator) -> Any:
    """Independent next states of every (state, action): int [S, B, samples]."""
    law = np.cumsum(mdp.transition, -1)
    draws = rng.random((*law.shape[:-1], samples))
    return (draws[..., None] > law[..., None, :]).sum(-1).clip(max=law.shape[-1] - 1)


@dataclass(frozen=True, eq=False)
class SampledResponse:
    """A soft response on a sampled kernel with what is proved about it.

    Attributes
    ----------
    response : SoftResponse
        On the empirical kernel.
    a_priori, measured : Bound
        On the error of the action values [B9.1, B9.2]; `measured` uses the second batch.
    policy : Bound
        On the L1 error of the response, from the smaller of the two.
    """

    response: SoftResponse
    a_priori: Bound
    measured: Bound
    policy: Bound


def sampled_response(reward: Array, discount: float, first: Any, second: Any, temperature: float, failure: float, value_span: float) -> SampledResponse:
    r"""The soft response on an empirical kernel, and how far it can be from the true one  [B9].

    Parameters
    ----------
    reward : array [S, B]
    discount : float
    first, second : int array [S, B, N]
        Two independent batches of next states: one to estimate, one to judge.
    temperature : float
    failure : float
        Probability with which each bound may fail; the smaller of two fails with at most twice that.
    value_span : float
        A bound on the span of the true value, such as `Constants.value_span`.
    """
    S, B, N = first.shape
    counts = np.stack([(first == s).sum(-1) for s in range(S)], -1).astype(float)
    mdp = Mdp(reward, kernel_from_counts(counts), discount)
    response = soft_response(mdp, temperature)
    q = response.optimum.action_values
    a_priori = action_value_error(value_span, discount, S, B, N, failure)
    measured = action_value_error_measured(reward, discount, q, soft_maximum(q, temperature), second, failure)
    usable = [b for b in (a_priori, measured) if b.applies] or [a_priori]
    return SampledResponse(response, a_priori, measured, policy_error(min(usable, key=lambda b: b.value), temperature))
