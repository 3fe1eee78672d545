"""Half-lines of bilevel feasible points along which the leader improves for ever."""

from __future__ import annotations

from typing import Any

import numpy as np

from stackopt.backends.matrix import Array, minimise
from stackopt.bilevel.point import Point
from stackopt.bilevel.program import BilevelProgram
from stackopt.exact.diagnosis.reason import Diagnosis, ray_shown
from stackopt.exact.response_patterns import conditions, direction


def unbounded_ray(program: BilevelProgram, point: Point) -> Diagnosis:
    """The half-line from `point` along which followers stay optimal and the leader improves for ever, if one starts there.

    Followers must be linear or convex quadratic. Multipliers at `point` decide which rows stay tight; stationarity is kept along
    the half-line by moving multipliers with it.
    """
    from scipy import sparse

    if any(level.rows.quadratic for level in (program.leader, *program.followers)):
        return Diagnosis("unknown", "half-lines were not looked for: rows have products")
    form = conditions(program)
    n, pairs = form.size, len(form.pairs)
    w = np.concatenate([point.values, np.zeros(len(form.linear) - n)])
    slack = np.array([side * (at - value) for at, value, side in zip(form.tight_at, _at(form, w), (p[3] for p in form.pairs))])
    tight = slack <= 1e-7 * (1.0 + np.abs(form.tight_at))
    lower, upper = form.lower.copy(), form.upper.copy()
    lower[:n] = upper[:n] = point.values
    upper[n : n + pairs][tight] = np.inf
    rows = slice(form.matrix.shape[0] - int((program.owner >= 0).sum()), form.matrix.shape[0])
    cost = np.where(np.arange(len(w)) >= n, 1.0, 0.0) * (np.arange(len(w)) < n + pairs)
    room = 1e-7
    found = minimise(cost, sparse.csr_array(form.matrix[rows]), form.row_lower[rows] - room, form.row_upper[rows] + room, lower, upper)
    if found.x is None:
        return Diagnosis("unknown", "the point is not optimal for the followers")
    for held in (found.x[n : n + pairs] > 1e-6, tight):
        ray = direction(form, held)
        if ray is not None:
            moved = np.concatenate([ray[:n], form.meaning @ ray])
            along = {name: float(d) for name, d in zip(program.symbols, moved) if abs(d) > 1e-9}
            because = f"along {ray_shown(along)} the leader improves for ever and every follower stays optimal"
            return Diagnosis("unbounded", because, ray=along, nearest_point=point)
    return Diagnosis("unknown", "no half-line starts at this point")


def _at(form: Any, w: Array) -> Array:
    activity = form.matrix @ w
    return np.array([activity[row] if row >= 0 else w[pair[2]] for row, pair in zip(form.tight_row, form.pairs)])
