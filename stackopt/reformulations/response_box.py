r"""How far a strongly convex follower's answer can be from a point that is feasible whatever the others do.

Let :math:`f(x, \cdot)` be quadratic with smallest own curvature :math:`\sigma > 0` and :math:`\hat y` feasible for every x in a box. At the optimum y,
:math:`\nabla f(x, y)^\top (\hat y - y) \ge 0`, and by strong monotonicity
:math:`(\nabla f(x, y) - \nabla f(x, \hat y))^\top (y - \hat y) \ge \sigma \|y - \hat y\|^2`. Adding both, with the inequality of Cauchy and Schwarz,

.. math:: \|y - \hat y\| \le \|\nabla_y f(x, \hat y)\| / \sigma \quad\text{for every x in the box.}
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from stackopt.backends.matrix import minimise
from stackopt.bilevel.kkt import Kkt
from stackopt.bilevel.point import Array
from stackopt.programs.quadratic import QuadraticProgram
from stackopt.solution import Status

#: Curvature below this, relative to the largest, counts as none.
CURVATURE = 1e-7


def with_response_boxes(kkt: Kkt, program: QuadraticProgram, box: tuple[Array, Array]) -> QuadraticProgram:
    """`program` with bounds on the variables of strongly convex followers.

    Parameters
    ----------
    kkt : Kkt
    program : QuadraticProgram
        Its first n columns are the variables.
    box : (lower, upper), arrays [n]
        Valid bounds of all variables, e.g. from `maxima`.
    """
    n, lower, upper = kkt.mpec.variables, program.lower.copy(), program.upper.copy()
    for k in range(len(kkt.program.followers)):
        found = response_box(kkt, k, box)
        if found is not None:
            mine = kkt.program.owned(k)
            lower[:n][mine] = np.maximum(lower[:n][mine], found[0])
            upper[:n][mine] = np.minimum(upper[:n][mine], found[1])
    return replace(program, lower=lower, upper=np.maximum(upper, lower))


def response_box(kkt: Kkt, k: int, box: tuple[Array, Array]) -> tuple[Array, Array] | None:
    """Bounds [n_k], [n_k] of follower k's answers, or None if it is not strongly convex, or no point is feasible for the whole box."""
    program, mpec, n = kkt.program, kkt.mpec, kkt.mpec.variables
    mine, others = program.owned(k), program.owner != k
    rows = np.flatnonzero(mpec.owner[mpec.stationarity_column] == k)
    second = mpec.stationarity[rows][:, :n].toarray()  # rows in the order of `mine`
    own = second[:, mine]
    values = np.linalg.eigvalsh(0.5 * (own + own.T))
    if not values[0] > CURVATURE * max(1.0, values[-1]):
        return None
    point = _always_feasible(kkt, k, box)
    if point is None:
        return None
    cross = second * others
    if np.isinf(np.where(cross != 0, box[0], 0.0)).any() or np.isinf(np.where(cross != 0, box[1], 0.0)).any():
        return None
    fixed = own @ point - mpec.stationarity_rhs[rows]
    ends = np.stack([_extreme(cross, box, low=True), _extreme(cross, box, low=False)]) + fixed
    radius = float(np.linalg.norm(np.abs(ends).max(axis=0)) / values[0]) * (1.0 + 1e-9) + 1e-9
    return point - radius, point + radius


def _always_feasible(kkt: Kkt, k: int, box: tuple[Array, Array]) -> Array | None:
    """A point of follower k that keeps its rows and bounds whatever the others choose in the box."""
    from scipy import sparse

    program, mpec = kkt.program, kkt.mpec
    mine, others = program.owned(k), program.owner != k
    rows = np.flatnonzero(mpec.follower_of_row == k)
    matrix = mpec.follower_rows[rows].toarray()
    foreign = matrix * others
    least, most = _extreme(foreign, box, low=True), _extreme(foreign, box, low=False)
    below, above = np.isfinite(mpec.follower_lower[rows]), np.isfinite(mpec.follower_upper[rows])
    if np.isinf(least[below]).any() or np.isinf(most[above]).any():
        return None
    low, high = np.full(len(rows), -np.inf), np.full(len(rows), np.inf)
    low[below] = mpec.follower_lower[rows][below] - least[below]
    high[above] = mpec.follower_upper[rows][above] - most[above]
    if (low > high).any():
        return None
    found = minimise(np.zeros(len(mine)), sparse.csr_array(matrix[:, mine]), low, high, program.lower[mine], program.upper[mine], time_limit=5.0)
    return found.x if found.status is Status.OPTIMAL else None


def _extreme(matrix: Array, box: tuple[Array, Array], *, low: bool) -> Array:
    """The smallest (largest) value of ``matrix @ x`` over the box; [m]."""
    first, second = box if low else box[::-1]
    parts: Any = np.where(matrix > 0, matrix, 0.0), np.where(matrix < 0, matrix, 0.0)
    total = np.zeros(len(matrix))
    for part, end in zip(parts, (first, second)):
        total += np.where(part != 0, part * np.where(part != 0, end, 0.0), 0.0).sum(axis=1)
    return total
