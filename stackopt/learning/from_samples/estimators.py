r"""Gradients from values alone: two-point and Gaussian smoothing  [C3].

Both ask for the objective on either side of a point. Their bias is the curvature over the probe (`bounds.sampling`) plus
the error of the values over its length: followers that lag behind make short probes worse, not better.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from stackopt.games.operators import Array

Objective = Callable[[Array], float]


def sphere_direction(size: int, rng: np.random.Generator) -> Array:
    """A direction uniform on the unit sphere."""
    draw: Array = rng.standard_normal(size)
    return draw / np.linalg.norm(draw)


def two_point_gradient(objective: Objective, point: Array, length: float, rng: np.random.Generator) -> Array:
    r""":math:`\hat g=\frac d{2\delta}(\hat J(\theta+\delta u)-\hat J(\theta-\delta u))\,u`, u uniform on the sphere  [C3].

    Its mean is the gradient of J averaged over the ball of radius :math:`\delta`.

    Parameters
    ----------
    objective : callable
        :math:`\hat J`, from an array [d] to a number.
    point : array [d]
    length : float
        :math:`\delta>0`.
    rng : numpy Generator
    """
    u = sphere_direction(len(point), rng)
    return len(point) / (2.0 * length) * (objective(point + length * u) - objective(point - length * u)) * u


def gaussian_gradient(objective: Objective, point: Array, width: float, rng: np.random.Generator) -> Array:
    r""":math:`\hat g=\frac1{2\sigma}(\hat J(\theta+\sigma z)-\hat J(\theta-\sigma z))\,z`, z standard normal  [C3].

    Its mean is the gradient of J smoothed by a Gaussian of width :math:`\sigma`. The score function of a Gaussian over
    policy parameters, in antithetic pairs.
    """
    z = rng.standard_normal(len(point))
    slope: Array = (objective(point + width * z) - objective(point - width * z)) / (2.0 * width) * z
    return slope
