r"""A convex quadratic objective as a sum of squares, each bounded from below by tangents.

:math:`\tfrac12 w^\top H w = \sum_i \tfrac{\sigma_i}{2} (v_i^\top w)^2` with eigenvalues :math:`\sigma_i > 0`. A column :math:`t_i \ge 0`
stands for each square, and for every a the row :math:`t_i \ge 2a\,v_i^\top w - a^2` holds (it says :math:`(v_i^\top w - a)^2 \ge 0`). So the linear
program stays below the quadratic one whatever tangents it has, and they are shared by all cells. One variable per square makes
them converge fast: each new tangent at least halves an interval.

Linear programs with tangents were chosen over HiGHS's quadratic solver at the nodes: it has no warm start, and its active-set
method can stop early without saying so.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from stackopt.backends.warm import WarmLp
from stackopt.errors import Refused
from stackopt.exact.branching.cell import Array

#: An eigenvalue below minus this, relative to the largest, makes the objective not convex.
CURVATURE = 1e-9


class Squares:
    """The squares of an objective.

    Attributes
    ----------
    weight : array [r]
        Half the eigenvalues.
    directions : array [r, n]
    """

    def __init__(self, hessian: Any, width: int) -> None:
        self.weight, self.directions = np.zeros(0), np.zeros((0, width))
        if hessian.nnz:
            self.weight, self.directions = _squares(hessian, width)

    def __len__(self) -> int:
        return len(self.weight)

    def value(self, w: Array) -> float:
        """The quadratic part of the objective."""
        return float(self.weight @ (self.directions @ w) ** 2)

    def refine(self, lp: WarmLp, x: Array, width: int, accuracy: float) -> bool:
        """Add tangents where the columns lie below the squares; whether any was added."""
        at = self.directions @ x[:width]
        short = self.weight * (at**2 - x[width:])
        allowed = accuracy * (1.0 + abs(lp.value))
        if not short.sum() > allowed:
            return False
        for i in np.flatnonzero(short > allowed / (2 * len(short))):
            self._add(lp, int(i), float(at[i]), width)
        return True

    def bend(self, lp: WarmLp, ray: Array, slope: float) -> bool:
        """Cut off a ray along which some square grows; whether any does.

        Along the ray, column i then rises at least by 2 a (v_i ray): enough to outweigh the fall `slope` of the rest.
        """
        along = self.directions @ ray
        i = int(np.argmax(self.weight * along**2)) if len(self) else -1
        if i < 0 or not self.weight[i] * along[i] ** 2 > 1e-12 * (1.0 + abs(slope)):
            return False
        self._add(lp, i, (1.0 + abs(slope)) / (self.weight[i] * along[i]), len(ray))
        return True

    def _add(self, lp: WarmLp, i: int, at: float, width: int) -> None:
        used = np.flatnonzero(self.directions[i])
        lp.add_row(np.append(used, width + i), np.append(-2.0 * at * self.directions[i, used], 1.0), -(at**2), np.inf)


def _squares(hessian: Any, width: int) -> tuple[Array, Array]:
    from scipy.sparse.csgraph import connected_components

    _, part = connected_components(hessian, directed=False)
    used = np.unique(hessian.nonzero()[0])
    weights, directions = [], []
    largest = float(np.abs(hessian.data).max())
    for label in np.unique(part[used]):
        columns = used[part[used] == label]
        values, vectors = np.linalg.eigh(hessian[columns][:, columns].toarray())
        if values[0] < -CURVATURE * largest:
            raise Refused("needs-scip", what="the leader's objective is not convex")
        for value, vector in zip(values, vectors.T):
            if value > CURVATURE * largest:
                direction = np.zeros(width)
                direction[columns] = vector
                weights.append(value / 2)
                directions.append(direction)
    return np.array(weights), np.array(directions).reshape(len(weights), width)
