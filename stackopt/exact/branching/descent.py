r"""A penalty path from a relaxation's optimum to a bilevel-feasible point: the other source of pieces for the local search.

For multipliers that do not depend on the variables, the followers' duality gap :math:`g(z) = \min_{\mu\in\Lambda} \mu^\top \text{slack}(z)` is
concave. Minimising (leader's objective + :math:`\rho g`) by linearising g at the last point gives one linear program over the variables,
another over the multipliers, and a value that does not rise; :math:`\rho` grows by a factor each step until the gap is zero. The path
trades the leader's wishes against the followers' slowly, so it ends near where the relaxation is good. Random weights on the
multipliers give different ends. It only ever finds points; it proves nothing.
"""

from __future__ import annotations

import numpy as np

from stackopt.exact.branching.cell import OPEN, TIGHT, Array, Cell, Flags
from stackopt.exact.branching.multipliers import Multipliers
from stackopt.exact.branching.relaxation import Relaxation
from stackopt.programs.mpec import Mpec
from stackopt.solution import Status

#: How the weight of the gap grows from one step to the next.
GROWTH = 1.4
#: Steps at most.
PATH = 80
#: The least and largest share of a point's tight pairs that its neighbours keep.
KEPT = (0.2, 0.9)
#: A gap below this, relative to the first one, is zero.
CLOSED_GAP = 1e-9


class Descent:
    """The path, on linear programs of its own."""

    def __init__(self, mpec: Mpec, seed: int) -> None:
        from scipy import sparse

        self.mpec = mpec
        self.relaxation, self.multipliers = Relaxation(mpec, coupled=False), Multipliers(mpec)
        self.relaxation.lp.solver.setOptionValue("simplex_strategy", 4)  # costs change, bounds rarely: the basis stays primal feasible
        P, n, on_row = mpec.pairs, mpec.variables, mpec.pair_row >= 0
        rows, bounds = np.flatnonzero(on_row), np.flatnonzero(~on_row)
        side = -mpec.pair_side.astype(float)
        pick = sparse.csr_array((side[rows], (rows, mpec.pair_row[rows])), shape=(P, len(mpec.follower_names)))
        own = sparse.csr_array((side[bounds], (bounds, mpec.pair_column[bounds])), shape=(P, n))
        self.slopes = sparse.csr_array(pick @ mpec.follower_rows + own)  # of the slacks in the variables
        self.columns = np.arange(n)
        self.generator = np.random.default_rng(seed)

    @property
    def programs(self) -> int:
        """Linear programs solved so far."""
        return self.relaxation.lp.solves + self.multipliers.lp.solves

    def around(self, whole: Cell, tight: Flags, spread: float, time_limit: float) -> tuple[Array, Array] | None:
        """The end of a path that keeps a random share of the pairs `tight` [P] of a point tight: a neighbour of that point."""
        share = self.generator.uniform(*KEPT)
        kept = tight & (self.generator.random(len(tight)) < share)
        cell = Cell(np.where(kept, TIGHT, OPEN).astype(np.int8), whole.lower, whole.upper)
        if not self.relaxation.enter(cell, basis=False):
            return None
        self.relaxation.lp.costs(self.columns, self.mpec.linear[: self.mpec.variables])
        if self.relaxation.lp.solve(time_limit) is not Status.OPTIMAL:
            return None
        return self.run(cell, self.relaxation.w, self.relaxation.value, spread, time_limit)

    def run(self, cell: Cell, z: Array, value: float, spread: float, time_limit: float) -> tuple[Array, Array] | None:
        """(z, multipliers) at the end of a path that starts at the optimum `z` of the cell, of that `value`; None if there is none.

        `spread` is the standard deviation of the logarithms of the multipliers' random weights.
        """
        mpec, P = self.mpec, self.mpec.pairs
        if not self.relaxation.enter(cell, basis=False):
            return None
        self.multipliers.enter(cell.decisions)
        weights = np.exp(spread * self.generator.normal(size=P))
        first = None
        for _ in range(PATH):
            if self.multipliers.fit(z, np.maximum(mpec.slack(z), 0.0), time_limit) is not Status.OPTIMAL:
                return None
            gap, mu = self.multipliers.gap, self.multipliers.mu
            if first is None:
                first = max(gap, 1e-9)
                rho = 0.02 * (1.0 + abs(value)) / first * self.generator.uniform(0.5, 2.0)
            if gap <= CLOSED_GAP * (1.0 + first):
                return z, mu
            self.relaxation.lp.costs(self.columns, mpec.linear[: mpec.variables] + rho * (self.slopes.T @ (weights * mu[:P])))
            if self.relaxation.lp.solve(time_limit) is not Status.OPTIMAL:
                return None
            z = self.relaxation.w
            rho *= GROWTH
        return None
