"""Clarabel, an interior-point method, for convex quadratic programs that HiGHS's active-set method does not finish."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Array = NDArray[np.float64]


def interior_point(
    linear: Array, matrix: csr_array, row_lower: Array, row_upper: Array, lower: Array, upper: Array, hessian: csr_array, *, time_limit: float = 60.0
) -> tuple[Array, Array] | None:
    """(x [n], row multipliers [m]) of a minimum of c'x + 1/2 x'Hx, or None; Clarabel comes with CVXPY.

    Nothing is trusted: the caller holds the point and the multipliers to its own proof.
    """
    try:
        import clarabel
    except ImportError:  # the active-set answer has to do
        return None
    from scipy import sparse

    n, m = len(linear), matrix.shape[0]
    every = sparse.csr_array(sparse.vstack([matrix, sparse.eye_array(n, format="csr")], format="csr"))
    low, high = np.concatenate([row_lower, lower]), np.concatenate([row_upper, upper])
    equal = np.flatnonzero(low == high)
    above, below = np.flatnonzero(np.isfinite(high) & (low != high)), np.flatnonzero(np.isfinite(low) & (low != high))
    stacked = sparse.csc_matrix(sparse.vstack([every[equal], every[above], -every[below]], format="csc"))
    sides = np.concatenate([high[equal], high[above], -low[below]])
    settings = clarabel.DefaultSettings()
    settings.verbose, settings.time_limit, settings.max_threads = False, max(time_limit, 0.0), 1
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = 1e-10
    cones = [clarabel.ZeroConeT(len(equal)), clarabel.NonnegativeConeT(len(above) + len(below))]
    solved = clarabel.DefaultSolver(sparse.triu(sparse.csc_matrix(hessian), format="csc"), linear, stacked, sides, cones, settings).solve()
    if str(solved.status) not in ("Solved", "AlmostSolved"):
        return None
    z = np.array(solved.z)
    duals = np.zeros(m + n)
    duals[equal] = -z[: len(equal)]
    duals[above] -= z[len(equal) : len(equal) + len(above)]
    duals[below] += z[len(equal) + len(above) :]
    return np.array(solved.x), duals[:m]
