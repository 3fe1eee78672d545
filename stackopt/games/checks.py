"""Checks that every family of games makes of a candidate."""

from __future__ import annotations

from typing import Any

import numpy as np

from stackopt.certificate import Check
from stackopt.display import number
from stackopt.games.operators import Array

#: Relative tolerance on values.
VALUE_TOLERANCE = 1e-6


def simplex(name: str, policy: Array) -> Check:
    """Rows [..., S, A] are distributions; NaN fails."""
    residual = np.maximum(np.abs(policy.sum(-1) - 1.0), np.maximum(-policy.min(-1), 0.0)).max()
    rows = policy.shape[-2]
    return Check(name, float(residual), 1e-9, f"{rows} row{'s' if rows != 1 else ''}, each non-negative with sum 1")


def restated(claim: Any, value: Any) -> Check:
    """What the method claims is what the game recomputes, up to `VALUE_TOLERANCE`; arrays for a batch."""
    off, allowed = _worst(np.abs(np.asarray(claim) - value), np.abs(value))
    return Check("value restated", off, allowed, f"{number(claim, 9)} claimed, {number(value, 9)} recomputed")


def largest_loss(loss: Array, size: Array, because: str, *, who: str = "follower") -> Check:
    """That a player loses at most `VALUE_TOLERANCE` of the size of its values: in every game of a batch, for every type."""
    return Check(f"{who} optimal", *_worst(loss, size), because)


def _worst(residual: Any, size: Any) -> tuple[float, float]:
    """The residual that is largest relative to 1 + its own size, NaN first, and what is allowed there."""
    residuals, allowed = np.broadcast_arrays(residual, VALUE_TOLERANCE * (1.0 + size))
    worst = int((residuals / allowed).argmax())
    return float(residuals.flat[worst]), float(allowed.flat[worst])
