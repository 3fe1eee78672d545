r"""The multipliers that fit a point best: a small linear program over them alone.

At variables z, :math:`\min \text{slack}(z)^\top\mu` over stationarity at z, :math:`\mu \ge 0`, and the zeros decided in a cell, is the followers'
duality gap at z. If it is zero, z is a point of the cell's bilevel set. If the program is infeasible and its right-hand side does
not depend on z, no multipliers exist in the cell at all, and the cell is empty (Farkas).
"""

from __future__ import annotations

import numpy as np

from stackopt.backends.warm import WarmLp
from stackopt.exact.branching.cell import ZERO, Array, Decisions
from stackopt.programs.mpec import Mpec
from stackopt.solution import Status


class Multipliers:
    """The linear program, kept warm.

    Attributes
    ----------
    lp : WarmLp
    moves : bool
        Whether its right-hand side depends on the variables.
    """

    def __init__(self, mpec: Mpec) -> None:
        from scipy import sparse

        n = mpec.variables
        self.mpec = mpec
        self.of_variables = sparse.csr_array(mpec.stationarity[:, :n])
        self.moves = bool(self.of_variables.nnz)
        self.lp = WarmLp(
            np.zeros(len(mpec.names) - n), sparse.csr_array(mpec.stationarity[:, n:]), mpec.stationarity_rhs, mpec.stationarity_rhs,
            mpec.lower[n:], mpec.upper[n:], strategy=0,
        )
        self._pairs = np.arange(mpec.pairs, dtype=np.int32)
        self._rows = np.arange(len(mpec.stationarity_rhs), dtype=np.int32)
        self._zeros, self._none = np.zeros(mpec.pairs), np.full(mpec.pairs, np.inf)

    def enter(self, decisions: Decisions) -> None:
        """Impose the zeros of a cell."""
        self.lp.solver.changeColsBounds(len(self._pairs), self._pairs, self._zeros, np.where(decisions == ZERO, 0.0, self._none))

    def fit(self, z: Array, slack: Array, time_limit: float) -> Status:
        """The multipliers of smallest gap at `z` [n] with slacks [P], in the cell last entered."""
        if self.moves:
            rhs = np.asarray(self.mpec.stationarity_rhs - self.of_variables @ z, float)
            self.lp.solver.changeRowsBounds(len(self._rows), self._rows, rhs, rhs)
        self.lp.solver.changeColsCost(len(self._pairs), self._pairs, slack)
        return self.lp.solve(time_limit)

    @property
    def mu(self) -> Array:
        """The last multipliers [M]."""
        return self.lp.x

    @property
    def gap(self) -> float:
        """The last sum of multiplier times slack."""
        return self.lp.value
