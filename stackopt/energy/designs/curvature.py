r"""Whether a design that satisfies the first-order conditions can be one of least cost: how the cost curves along the limits that bind.

Fixed charges and the bounds of burdens enter everything linearly, so that the Hessian of the Lagrangian is one of rates alone. It is taken by differences
of its gradient, multipliers held, on the rates of all directions along which no limit that binds moves. A direction in which it is negative leads, to
second order, to points within the limits that cost less: between two rates that are alike by symmetry a search may end on such a ridge.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stackopt.energy.designs.program import Search

Array = NDArray[np.float64]

#: Step of differences, $/kWh, and curvature, relative to the largest, that counts as negative.
STEP, NEGATIVE = 1e-4, 1e-3
#: How far from a ridge a search begins again, $/kWh.
AWAY = (0.03, 0.005)


def downhill(search: Search, z: Array) -> Array | None:
    """A direction [n], the largest change of a rate 1, along which limits hold and the cost curves down; None where there is none."""
    from scipy.linalg import null_space
    from scipy.optimize import nnls

    rates = 2 * search.P
    tight = search.inequalities(z) <= 1e-6
    bounds = [s * e for s, side in ((1.0, z - search.low), (-1.0, search.high - z)) for e, room in zip(np.eye(search.n), side, strict=True) if room <= 1e-7]
    limits = np.vstack([search.equality_slopes(z), search.inequality_slopes(z)[tight]])
    rows = np.vstack([limits, *bounds]) if bounds else limits
    equal = len(search.equality_slopes(z))
    weight = nnls(np.vstack([rows, -rows[:equal]]).T, search.cost_slope(z), maxiter=20 * (len(rows) + equal))[0]
    weight[:equal] -= weight[len(rows) :]
    free = null_space(rows, rcond=1e-9)
    if free.shape[1] == 0:
        return None
    left, size, _ = np.linalg.svd(free[:rates], full_matrices=False)
    basis = left[:, size > 1e-8]  # of the rates that may move

    def lagrangian(point: Array) -> Array | None:
        if not search.evaluation.at(point):
            return None
        active = np.vstack([search.equality_slopes(point), search.inequality_slopes(point)[tight]])
        slope: Array = (search.cost_slope(point) - weight[: len(active)] @ active)[:rates]
        return slope

    here, moved = lagrangian(z), []
    for direction in basis.T:
        point = z.copy()
        point[:rates] += STEP * direction
        there = lagrangian(point)
        if here is None or there is None:
            return None
        moved.append(basis.T @ (there - here) / STEP)
    if not moved:
        return None
    curves, vectors = np.linalg.eigh(0.5 * (np.array(moved) + np.array(moved).T))
    if not curves[0] < -NEGATIVE * max(1.0, float(np.abs(curves).max())):
        return None
    along: Array = free @ np.linalg.lstsq(free[:rates], basis @ vectors[:, 0], rcond=None)[0]
    return along / float(np.abs(along[:rates]).max())
