"""A linear program kept warm in HiGHS: bounds, costs and rows change in place, the simplex method goes on from its last basis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stackopt.solution import Status

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Array = NDArray[np.float64]
#: Requested accuracy of rows, bounds and reduced costs.
FEASIBILITY = 1e-9


class WarmLp:
    """Minimise ``cost @ x`` over ``row_lower <= matrix @ x <= row_upper`` and ``lower <= x <= upper``, again and again.

    Parameters
    ----------
    cost : array [n]
    matrix : sparse [m, n]
    row_lower, row_upper : array [m]
    lower, upper : array [n]
    strategy : int
        HiGHS's simplex_strategy: 1 dual simplex, 4 primal, 0 its choice.

    Attributes
    ----------
    solver : highspy.Highs
        For what is not offered here.
    solves : int
        How often `solve` ran.
    """

    def __init__(
        self, cost: ArrayLike, matrix: csr_array, row_lower: ArrayLike, row_upper: ArrayLike, lower: ArrayLike, upper: ArrayLike, *, strategy: int = 1
    ) -> None:
        import highspy

        self._h: Any = highspy
        self.solver: Any = quiet(highspy)
        self.solves = 0
        for option, value in (
            ("presolve", "off"), ("simplex_strategy", strategy), ("primal_feasibility_tolerance", FEASIBILITY), ("dual_feasibility_tolerance", FEASIBILITY),
        ):
            self.solver.setOptionValue(option, value)
        self.solver.passModel(linear_model(highspy, cost, matrix, row_lower, row_upper, lower, upper))
        self._statuses = _statuses(highspy)

    def bounds(self, columns: ArrayLike, lower: ArrayLike, upper: ArrayLike) -> None:
        """Change the bounds of some columns."""
        which = np.asarray(columns, np.int32)
        self.solver.changeColsBounds(len(which), which, _wide(lower, len(which)), _wide(upper, len(which)))

    def row_bounds(self, rows: ArrayLike, lower: ArrayLike, upper: ArrayLike) -> None:
        """Change the sides of some rows."""
        low, high = np.asarray(lower, float), np.asarray(upper, float)
        for row, a, b in zip(np.asarray(rows).tolist(), np.broadcast_to(low, np.shape(rows)).tolist(), np.broadcast_to(high, np.shape(rows)).tolist()):
            self.solver.changeRowBounds(row, a, b)

    def costs(self, columns: ArrayLike, costs: ArrayLike) -> None:
        """Change some costs."""
        which = np.asarray(columns, np.int32)
        self.solver.changeColsCost(len(which), which, _wide(costs, len(which)))

    def add_row(self, columns: ArrayLike, values: ArrayLike, lower: float, upper: float) -> None:
        """Append a row."""
        which = np.asarray(columns, np.int32)
        self.solver.addRow(float(lower), float(upper), len(which), which, _wide(values, len(which)))

    def solve(self, time_limit: float | None = None) -> Status:
        """Go on from the last basis; OPTIMAL, INFEASIBLE, UNBOUNDED, LIMIT or FAILED.

        A status that HiGHS does not know is asked for again from scratch; a second failure is FAILED, never infeasible.
        """
        if time_limit is not None:
            self.solver.setOptionValue("time_limit", float(self.solver.getRunTime() + max(time_limit, 0.0)))
        self.solves += 1
        self.solver.run()
        status = self._statuses.get(self.solver.getModelStatus(), Status.FAILED)
        if status is Status.FAILED:
            self.solver.clearSolver()
            self.solver.run()
            status = self._statuses.get(self.solver.getModelStatus(), Status.FAILED)
        return status

    @property
    def value(self) -> float:
        """The objective of the last solve."""
        return float(self.solver.getObjectiveValue())

    @property
    def x(self) -> Array:
        """The last solution [n]."""
        return np.array(self.solver.getSolution().col_value)

    @property
    def row_dual(self) -> Array:
        """Derivatives of the value with respect to the active sides of the rows [m]."""
        return np.array(self.solver.getSolution().row_dual)

    @property
    def col_dual(self) -> Array:
        """Reduced costs [n]."""
        return np.array(self.solver.getSolution().col_dual)

    def basis(self) -> Any:
        """The basis, to be restored later."""
        return self.solver.getBasis()

    def restore(self, basis: Any) -> None:
        """Go back to a basis."""
        self.solver.setBasis(basis)


def quiet(highspy: Any) -> Any:
    """A silent, single-threaded HiGHS."""

    class Quiet(highspy.Highs):  # type: ignore[misc]  # HiGHS prints its banner when callbacks are set, which its constructor does
        def enableCallbacks(self) -> None:
            self.setOptionValue("output_flag", False)
            super().enableCallbacks()

        def run(self) -> Any:
            status = super().run()
            if status == highspy.HighsStatus.kError:
                # HiGHS has one pool of threads for the process. Where someone started it with more, it refuses to run with one: work in it, serially.
                self.setOptionValue("threads", 0)
                self.setOptionValue("parallel", "off")
                status = super().run()
            return status

    solver = Quiet()
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("threads", 1)
    return solver


def linear_model(
    highspy: Any, cost: ArrayLike, matrix: csr_array, row_lower: ArrayLike, row_upper: ArrayLike, lower: ArrayLike, upper: ArrayLike,
    integer: Sequence[bool] | NDArray[np.bool_] | None = None,
) -> Any:
    """HiGHS's form of a linear program in arrays."""
    lp = highspy.HighsLp()
    lp.num_row_, lp.num_col_ = matrix.shape
    lp.col_cost_ = np.asarray(cost, float)
    lp.col_lower_, lp.col_upper_ = np.asarray(lower, float), np.asarray(upper, float)
    lp.row_lower_, lp.row_upper_ = np.asarray(row_lower, float), np.asarray(row_upper, float)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_ = matrix.indptr.astype(np.int32)
    lp.a_matrix_.index_ = matrix.indices.astype(np.int32)
    lp.a_matrix_.value_ = matrix.data.astype(float)
    if integer is not None and np.any(integer):
        kinds = highspy.HighsVarType
        lp.integrality_ = [kinds.kInteger if whole else kinds.kContinuous for whole in integer]
    return lp


def _statuses(highspy: Any) -> dict[Any, Status]:
    of = highspy.HighsModelStatus
    limits = (of.kTimeLimit, of.kIterationLimit, of.kInterrupt, of.kHighsInterrupt, of.kMemoryLimit, of.kObjectiveBound)
    known = {of.kOptimal: Status.OPTIMAL, of.kModelEmpty: Status.OPTIMAL, of.kInfeasible: Status.INFEASIBLE, of.kUnbounded: Status.UNBOUNDED}
    return known | dict.fromkeys(limits, Status.LIMIT)


def _wide(values: ArrayLike, count: int) -> Array:
    return np.ascontiguousarray(np.broadcast_to(np.asarray(values, float), (count,)))
