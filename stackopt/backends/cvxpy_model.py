"""A `QuadraticProgram` that is mixed-integer linear, or convex quadratic, as an ordinary CVXPY problem."""

from __future__ import annotations

from typing import Any

import numpy as np

from stackopt.errors import MissingPackage, Refused
from stackopt.programs.quadratic import QuadraticProgram

#: An eigenvalue below minus this, relative to the largest, is not convex.
CURVATURE = 1e-9


def cvxpy_problem(program: QuadraticProgram) -> Any:
    """The program as a `cvxpy.Problem` over one variable, named after the program, with the columns in order.

    Raises
    ------
    Refused
        ``solver-features`` for what CVXPY does not state: SOS1 sets, implications, quadratic rows, an objective that is not convex.
    MissingPackage
        If CVXPY is not installed.
    """
    try:
        import cvxpy as cp
        from cvxpy.atoms.quad_form import quad_form
    except ImportError:
        raise MissingPackage("package", feature="a CVXPY problem", package="cvxpy") from None
    odd = "SOS1 sets" if program.sos1 else "implications" if program.implications else "quadratic rows" if program.row_quadratic else ""
    hessian = None
    if program.curved:
        assert program.quadratic is not None
        full = program.quadratic.toarray()
        hessian = full + full.T
        values = np.linalg.eigvalsh(hessian if program.sense == "min" else -hessian)
        odd = odd or ("an objective that is not convex" if values[0] < -CURVATURE * np.abs(values).max() else "")
    if odd:
        raise Refused("solver-features", solver="CVXPY", what=odd, help="the form big-m or strong-duality, if the leader's objective is linear")
    v = cp.Variable(len(program.names), name=program.name, integer=np.nonzero(program.integer) if program.integer.any() else False)
    goal = program.linear @ v + program.constant
    if hessian is not None:
        goal = goal + 0.5 * quad_form(v, hessian, assume_PSD=True) if program.sense == "min" else goal - 0.5 * quad_form(v, -hessian, assume_PSD=True)
    rows = []
    activity = program.matrix @ v
    for left, low, high in ((activity, program.row_lower, program.row_upper), (v, program.lower, program.upper)):
        equal, below, above = low == high, np.isfinite(low) & (low != high), np.isfinite(high) & (low != high)
        rows += [left[equal] == low[equal]] if equal.any() else []
        rows += [left[below] >= low[below]] if below.any() else []
        rows += [left[above] <= high[above]] if above.any() else []
    return cp.Problem((cp.Minimize if program.sense == "min" else cp.Maximize)(goal), rows)
