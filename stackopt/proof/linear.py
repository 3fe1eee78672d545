"""Linear programs over the columns and rows of a checker's system, or over a block of them, kept warm."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stackopt.backends.warm import WarmLp
from stackopt.proof.floats import Array, Floats
from stackopt.solution import Status

Ints = NDArray[np.int64]


class Block:
    """The program over some columns and the rows that hold no others.

    Attributes
    ----------
    columns, rows : int array
    lp : WarmLp
    """

    def __init__(self, f: Floats, columns: Ints, rows: Ints, *, cost: bool = True) -> None:
        self.f, self.columns, self.rows = f, columns, rows
        self.matrix = f.matrix[rows][:, columns]
        self.cost = f.cost[columns] if cost else np.zeros(len(columns))
        high = np.where(f.equal, f.rhs, np.inf)
        self.lp = WarmLp(self.cost, self.matrix, f.rhs[rows], high[rows], f.lower[columns], f.upper[columns])
        self._columns, self._rows = np.arange(len(columns), dtype=np.int32), np.arange(len(rows), dtype=np.int32)
        self.sides = (f.lower[columns], f.upper[columns], high[rows])

    def enter(self, lower: Array, upper: Array, high: Array) -> None:
        """Impose the bounds [n] and upper sides [m] of a cell."""
        self.sides = low, up, top = lower[self.columns], upper[self.columns], high[self.rows]
        solver = self.lp.solver
        solver.changeColsBounds(len(self._columns), self._columns, low, up)
        if len(self._rows):
            solver.changeRowsBounds(len(self._rows), self._rows, self.f.rhs[self.rows], top)

    def solve(self, time_limit: float) -> Status:
        """OPTIMAL, INFEASIBLE, UNBOUNDED, LIMIT or FAILED."""
        return self.lp.solve(max(time_limit, 1e-3))

    @property
    def x(self) -> Array:
        """The last solution, zero in other columns; [n]."""
        found = np.zeros(len(self.f.cost))
        found[self.columns] = self.lp.x
        return found

    @property
    def y(self) -> Array:
        """The multipliers of the last solution, zero for other rows; [m]."""
        return self._spread(self.lp.row_dual)

    def ray(self) -> Array | None:
        """Multipliers [m] that refute the cell last entered: HiGHS's ray, or from the least total violation of rows."""
        _, has, values = self.lp.solver.getDualRay()
        if has:
            found = self._directed(np.array(values, float))
            if found is not None:
                return found
        return self.elastic()

    def elastic(self) -> Array | None:
        """Multipliers of the least total violation of the rows, where that is positive."""
        from scipy import sparse

        from stackopt.backends.matrix import minimise

        low, up, top = self.sides
        m, n = self.matrix.shape
        eye = sparse.eye_array(m, format="csr")
        wide = sparse.csr_array(sparse.hstack([self.matrix, eye, -eye], format="csr"))
        found = minimise(
            np.concatenate([np.zeros(n), np.ones(2 * m)]), wide, self.f.rhs[self.rows], top,
            np.concatenate([low, np.zeros(2 * m)]), np.concatenate([up, np.full(2 * m, np.inf)]),
        )  # fmt: skip
        if found.row_dual is None or not found.value > 0:
            return None
        return self._spread(found.row_dual)

    def anywhere(self, time_limit: float) -> Array | None:
        """A point of the cell last entered, whatever its cost; [n]."""
        columns = np.arange(len(self.columns))
        self.lp.costs(columns, 0.0)
        found = self.x if self.solve(time_limit) is Status.OPTIMAL else None
        self.lp.costs(columns, self.cost)
        return found

    def recession(self) -> Array | None:
        """A direction [n] of entries within 1 along which the program last solved falls for ever, or None."""
        from stackopt.backends.matrix import minimise

        low, up, top = self.sides
        found = minimise(
            self.cost, self.matrix, np.zeros(len(self.rows)), np.where(np.isfinite(top), 0.0, np.inf),
            np.where(np.isfinite(low), 0.0, -1.0), np.where(np.isfinite(up), 0.0, 1.0),
        )  # fmt: skip
        if found.x is None or not found.value < -1e-9:
            return None
        ray = np.zeros(len(self.f.cost))
        ray[self.columns] = np.where(np.abs(found.x) < 1e-10, 0.0, found.x)
        return ray

    def _directed(self, ray: Array) -> Array | None:
        """The ray, or its negative, whichever proves something."""
        low, up, top = self.sides
        size = np.abs(ray).max(initial=0.0)
        if not size > 0 or not np.isfinite(size):
            return None
        ray = ray / size
        best, chosen = 0.0, None
        for sign in (1.0, -1.0):
            y = sign * ray
            reduced = -(self.matrix.T @ y)
            reduced[np.abs(reduced) <= 1e-9 * (1.0 + np.abs(self.matrix).max())] = 0.0
            with np.errstate(invalid="ignore"):
                rows = np.where(y > 0, y * self.f.rhs[self.rows], np.where(y < -1e-9, y * top, 0.0)).sum()
                value = rows + np.where(reduced > 0, reduced * low, np.where(reduced < 0, reduced * up, 0.0)).sum()
            if value > best:
                best, chosen = value, y
        return None if chosen is None else self._spread(chosen)

    def _spread(self, values: Array) -> Array:
        found = np.zeros(len(self.f.rhs))
        found[self.rows] = values
        return found
