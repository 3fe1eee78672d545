"""Projection on the simplex, for policies and for leaders' decisions alike."""

from __future__ import annotations

import numpy as np

from stackopt.games.operators import Array


def project(points: Array) -> Array:
    """The nearest distribution (Euclidean) to each row of the last axis; [..., A] to [..., A]."""
    count = points.shape[-1]
    descending = -np.sort(-points, axis=-1)
    excess = np.cumsum(descending, -1) - 1.0
    support = (descending * np.arange(1, count + 1) > excess).sum(-1, keepdims=True)  # at least 1
    threshold = np.take_along_axis(excess, support - 1, -1) / support
    nearest: Array = np.maximum(points - threshold, 0.0)
    nearest /= nearest.sum(-1, keepdims=True)
    return nearest
