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
    residual = float(np.abs(np.asarray(claim) - value).max())
    because = f"{number(claim, 9)} claimed, {number(value, 9)} recomputed"
    return Check("value restated", residual, VALUE_TOLERANCE * (1.0 + float(np.abs(value).max())), because)
