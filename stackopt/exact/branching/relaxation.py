r"""The linear relaxation of a cell, kept warm: complementarity dropped, decided pairs kept.

*Validity.* Every point of the cell that satisfies the `Mpec` satisfies the rows and bounds here, and the objective here is at most
the leader's there (tangents lie below a convex function). So the optimum here is a lower bound for the cell, and an infeasible
relaxation means an empty cell. Multipliers are never bounded from above.

If multipliers and variables share no row (linear followers whose objectives do not contain others' variables, no multipliers
in the leader), the multipliers are left out (`coupled` False): the two systems are then feasible or not each on its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from stackopt.backends.matrix import minimise
from stackopt.backends.warm import WarmLp
from stackopt.exact.branching.cell import ZERO, Array, Cell, Sides
from stackopt.exact.branching.tangents import Squares
from stackopt.programs.mpec import Mpec
from stackopt.solution import Status


def multipliers_in_leader(mpec: Mpec) -> bool:
    """Whether the leader's objective or rows contain multipliers."""
    n = mpec.variables
    return bool(mpec.linear[n:].any() or mpec.leader_rows[:, n:].nnz or mpec.hessian[:, n:].nnz)


def separable(mpec: Mpec) -> bool:
    """Whether multipliers and variables share no row, only complementarity."""
    return not multipliers_in_leader(mpec) and not mpec.stationarity[:, : mpec.variables].nnz


class Relaxation:
    """Columns: the variables, the multipliers if `coupled`, one per square of the objective.

    Attributes
    ----------
    lp : WarmLp
    width : int
        Columns without the squares: n, or n + M.
    """

    def __init__(self, mpec: Mpec, coupled: bool) -> None:
        from scipy import sparse

        self.mpec, self.coupled = mpec, coupled
        n, total = mpec.variables, len(mpec.names)
        self.width = total if coupled else n
        self.sides = Sides(mpec)
        self.squares = Squares(mpec.hessian, self.width)
        extra = len(self.squares)
        blocks = [mpec.leader_rows[:, : self.width], _widened(mpec.follower_rows, self.width)]
        lower, upper = [mpec.leader_lower, mpec.follower_lower], [mpec.leader_upper, mpec.follower_upper]
        if coupled:
            blocks.append(mpec.stationarity)
            lower.append(mpec.stationarity_rhs)
            upper.append(mpec.stationarity_rhs)
        matrix = _widened(sparse.csr_array(sparse.vstack(blocks, format="csr")), self.width + extra)
        self.linear = mpec.linear[: self.width]
        cost = np.concatenate([self.linear, self.squares.weight])
        self.lower = np.concatenate([mpec.lower[: self.width], np.zeros(extra)])
        self.upper = np.concatenate([mpec.upper[: self.width], np.full(extra, np.inf)])
        self.lp = WarmLp(cost, matrix, np.concatenate(lower), np.concatenate(upper), self.lower, self.upper)
        self.cost = cost
        self._columns = np.arange(self.width, dtype=np.int32)
        first = len(mpec.leader_lower)
        self._rows = np.arange(first, first + len(mpec.follower_lower), dtype=np.int32)

    def enter(self, cell: Cell, *, basis: bool = True) -> bool:
        """Impose the cell's decisions; False if they cross the bounds of a row or variable: the cell is empty."""
        lower, upper, row_lower, row_upper, crossed = self.sides.of(cell)
        if crossed:
            return False
        solver = self.lp.solver
        if self.coupled:
            n = self.mpec.variables
            zero = cell.decisions == ZERO
            high = self.upper[n : self.width].copy()
            high[: self.mpec.pairs][zero] = 0.0
            lower, upper = np.concatenate([lower, self.lower[n : self.width]]), np.concatenate([upper, high])
        solver.changeColsBounds(self.width, self._columns, lower, upper)
        if len(self._rows):
            solver.changeRowsBounds(len(self._rows), self._rows, row_lower, row_upper)
        if basis and cell.basis is not None:
            self.lp.restore(cell.basis)
        return True

    def solve(self, time_limit: float, *, accuracy: float = 1e-9, rounds: int = 60) -> Status:
        """The relaxation of the cell last entered; tangents are added until the squares are met to `accuracy`, relative."""
        status = self.lp.solve(time_limit)
        for _ in range(rounds if len(self.squares) else 0):
            if status is Status.UNBOUNDED:
                ray = self.ray()
                if ray is None or not self.squares.bend(self.lp, ray[: self.width], float(self.linear @ ray[: self.width])):
                    return status
            elif status is not Status.OPTIMAL or not self.squares.refine(self.lp, self.lp.x, self.width, accuracy):
                return status
            status = self.lp.solve(time_limit)
        return status

    @property
    def value(self) -> float:
        """The lower bound of the last solve."""
        return self.lp.value + self.mpec.constant

    @property
    def w(self) -> Array:
        """The last solution without the squares: [n + M], or [n] when not coupled."""
        return self.lp.x[: self.width]

    def ray(self) -> Array | None:
        """A direction of largest entry 1 along which the relaxation last solved falls for ever, or None.

        It is the optimum of another linear program: directions that keep every finite side, entries within 1, the steepest fall.
        """
        from scipy import sparse

        lp: Any = self.lp.solver.getLp()
        form = sparse.csr_array if str(lp.a_matrix_.format_).endswith("Rowwise") else sparse.csc_array
        shape = (lp.num_row_, lp.num_col_)
        matrix = sparse.csr_array(form((np.array(lp.a_matrix_.value_), np.array(lp.a_matrix_.index_), np.array(lp.a_matrix_.start_)), shape=shape))

        def recede(lower: Any, upper: Any, most: float) -> tuple[Array, Array]:
            return np.where(np.isfinite(lower), 0.0, -most), np.where(np.isfinite(upper), 0.0, most)

        found = minimise(
            self.cost, matrix, *recede(np.array(lp.row_lower_), np.array(lp.row_upper_), np.inf), *recede(np.array(lp.col_lower_), np.array(lp.col_upper_), 1.0)
        )
        if found.x is None or not found.value < -1e-9:
            return None
        ray = found.x[: self.width] / np.abs(found.x).max()
        ray[np.abs(ray) < 1e-10] = 0.0
        return np.asarray(ray, float)

    def anywhere(self, time_limit: float) -> Array | None:
        """Some point of the cell last entered, whatever its value."""
        columns = np.arange(len(self.cost))
        self.lp.costs(columns, 0.0)
        status = self.lp.solve(time_limit)
        point = self.w if status is Status.OPTIMAL else None
        self.lp.costs(columns, self.cost)
        return point


def _widened(matrix: Any, columns: int) -> Any:
    """The same rows with more, empty, columns."""
    from scipy import sparse

    return sparse.csr_array((matrix.data, matrix.indices, matrix.indptr), shape=(matrix.shape[0], columns))
