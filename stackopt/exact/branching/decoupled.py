r"""The search when multipliers and variables share no row: everything that can be inferred in a cell is, before it is split.

In a cell, with z its relaxation's optimum and U the incumbent's value:

* *Probing.* z_p is a lower bound on the part where pair p is tight (`tableau.probe`). It stays valid in every subcell, which has
  fewer points. If z_p >= U, the multiplier of p is zero in every better point of the cell: p becomes ZERO.
* *Other sides.* If a side of a row or variable is tight, its other side is not, and the multiplier there is zero.
* *Bottleneck.* The cell's value is at least theta (`clauses`); if theta >= U it is closed.
* *Forced.* If only one pair of a clause has z_p < U, it is tight in every better point: it becomes TIGHT, and the relaxation is
  solved again.

These rules only discard points whose value is at least a z_p >= U; the least such z_p is remembered in the final bound.

Then the cell is split on a pair in the support of the bottleneck multipliers. The part with that pair ZERO has the same
relaxation, optimum and z_p: only its multipliers change, so no linear program over the variables is solved for it.
"""

from __future__ import annotations

import numpy as np

from stackopt.exact.branching.cell import OPEN, TIGHT, ZERO, Array, Cell, root
from stackopt.exact.branching.clauses import Clauses
from stackopt.exact.branching.climbing import Climbing
from stackopt.exact.branching.descent import Descent
from stackopt.exact.branching.multipliers import Multipliers
from stackopt.exact.branching.search import CLOSED, ZEROISH, NeedsCoupling, Search, violation
from stackopt.exact.branching.tableau import Lines, probe, tableau
from stackopt.programs.mpec import Mpec
from stackopt.solution import Report, Status

#: Dual simplex steps of a probe.
STEPS = 12
#: Largest tableau that is made, in entries: it is dense, and beyond this a cell spends its time on it. Larger programs are branched without probes.
ENTRIES = 300_000
#: Spread of the random weights of a penalty path.
SPREAD = 0.7
#: Penalty paths at the root: one for so many pairs, two at least; around the ends of climbs, one for so many with MANY pairs.
PER_PATH, PER_NEIGHBOUR = 36, 12
#: Share of the work spent on looking for points, with fewer pairs than MANY and with more (which are seldom proved).
LOOKING, LOOKING_MORE, MANY = 0.25, 0.5, 150
#: The same when nothing better was found in two thirds of the work, and this much more.
STALE, PATIENCE = 0.1, 3000.0


class Decoupled(Search):
    """See the module."""

    def __init__(self, mpec: Mpec, *, time_limit: float, report: Report | None = None, seed: int = 0) -> None:
        super().__init__(mpec, time_limit=time_limit, report=report, seed=seed, coupled=False)
        from scipy import sparse

        n, first = mpec.variables, len(mpec.leader_lower)
        matrix = sparse.csr_array(sparse.vstack([mpec.leader_rows[:, :n], mpec.follower_rows], format="csr"))
        self.coefficients = int(matrix.count_nonzero())
        line = np.where(mpec.pair_row >= 0, n + first + mpec.pair_row, mpec.pair_column)
        self.lines: Lines | None = None
        if matrix.shape[1] * sum(matrix.shape) <= ENTRIES:
            self.lines = Lines(
                matrix, np.concatenate([mpec.lower[:n], mpec.leader_lower, mpec.follower_lower]),
                np.concatenate([mpec.upper[:n], mpec.leader_upper, mpec.follower_upper]),
            )
            self.constraint = np.array([self.lines.place[int(i), -int(s)] for i, s in zip(line, mpec.pair_side)], dtype=np.int64)
        other = {(int(i), int(s)): p for p, (i, s) in enumerate(zip(line, mpec.pair_side))}
        self.partner = np.array([other.get((int(i), -int(s)), -1) for i, s in zip(line, mpec.pair_side)], dtype=np.int64)
        assert self.multipliers is not None
        self.clauses = Clauses(mpec, Multipliers(mpec))
        self.climbing = Climbing(mpec, self.clauses, self.incumbent)
        self.descent = Descent(mpec, seed)
        self.probes = 0
        self.whole_set = root(mpec)
        self.looked = self.improved = 0.0

    def reseed(self, number: int) -> None:
        """Other penalty paths in another process."""
        self.descent.generator = np.random.default_rng([number, len(self.heap)])

    def examine(self, cell: Cell) -> Cell | None:
        """Close the cell or split it; see the module."""
        if cell.bound >= self.cutoff():
            self.close(cell.bound)
            return None
        self.nodes += 1
        while True:
            if cell.seen is None:
                closed = self.relax(cell)
                if closed is not None:
                    return None if closed else self.other
            assert cell.seen is not None
            assert cell.floor is not None
            slack, value = cell.seen[1], cell.seen[2]
            cutoff = self.cutoff()
            out = (cell.decisions == OPEN) & (cell.floor >= cutoff)
            if out.any():
                self.close(float(cell.floor[out].min()))
                cell.decisions = np.where(out, ZERO, cell.decisions).astype(np.int8)
            floor = np.where(cell.decisions == ZERO, np.inf, np.where(cell.decisions == TIGHT, value, cell.floor))
            theta, mu = self.clauses.bottleneck(floor, max(value, cell.bound), cutoff, self.remaining())
            if theta >= cutoff:
                self.close(cutoff)
                return None
            cell.bound = max(cell.bound, theta)
            forced = self.clauses.forced(floor, cutoff, (cell.decisions == OPEN) & (slack > ZEROISH))
            if not forced:
                return self.split(cell, floor, mu)
            for p in forced:
                self.tighten(cell, p)
            cell.seen = None

    other: Cell | None = None

    def tighten(self, cell: Cell, pair: int) -> None:
        """Decide a pair TIGHT, and the other side of its row or variable ZERO."""
        cell.decisions = cell.decisions.copy()
        cell.decisions[pair] = TIGHT
        if self.partner[pair] >= 0 and cell.decisions[self.partner[pair]] == OPEN:
            cell.decisions[self.partner[pair]] = ZERO

    def relax(self, cell: Cell) -> bool | None:
        """Solve the relaxation and probe; True if the cell is closed, False if `other` is to be examined in its place."""
        if not self.relaxation.enter(cell):
            return True
        status = self.relaxation.solve(self.remaining())
        if status is Status.INFEASIBLE:
            return True
        if status is Status.UNBOUNDED:
            raise NeedsCoupling
        if status is not Status.OPTIMAL:
            self.other = self.unsolved(cell, status)
            return self.other is None
        value, x = self.relaxation.value, self.relaxation.w
        cell.bound = max(cell.bound, value)
        if value >= self.cutoff():
            self.close(value)
            return True
        cell.basis = self.relaxation.lp.basis()
        slack = np.maximum(self.mpec.slack(x), 0.0)
        floor = np.full(self.mpec.pairs, value) if cell.floor is None else np.maximum(cell.floor, value)
        cell.seen = (x, slack, value)
        cell.floor = self.probed(cell, floor, slack, x, value)
        return None

    def look_around(self, cell: Cell, x: Array, value: float, mu: Array) -> None:
        """Look for points within a share of the work: from this cell's multipliers, along penalty paths, and around the best ends of climbs."""
        first, before, left = self.nodes == 1, self.work(), self.remaining()
        stale = before > 3.0 * self.improved + PATIENCE
        share = STALE if stale else LOOKING if self.mpec.pairs < MANY else LOOKING_MORE
        if not first and self.looked > share * before:
            return
        known, P = self.incumbent.value, self.mpec.pairs
        paths = max(2, P // PER_PATH)
        self.climbing.from_multipliers(mu, self.rounded(x), left)
        for i in range(paths if first else 1):
            self.climb_from(self.descent.run(cell, x, value, 0.0 if first and i == 0 else SPREAD, left))
        for i in range(4 if not first else P // PER_NEIGHBOUR if P >= MANY else paths):
            ends = self.climbing.best
            if ends:
                tight = ends[int(self.descent.generator.integers(len(ends))) if i % 2 else 0][1]  # the best, and any of them
                self.climb_from(self.descent.around(self.whole_set, tight, SPREAD, left))
        self.looked += self.work() - before
        if self.incumbent.value < known:
            self.improved = self.work()

    def climb_from(self, end: tuple[Array, Array] | None) -> None:
        """Climb from the end of a path, if it has one."""
        if end is not None:
            self.climbing.from_multipliers(end[1], self.rounded(end[0]), self.remaining())

    def rounded(self, x: Array) -> Array:
        """Whole numbers for the integer columns [I], within their ranges."""
        found: Array = np.clip(np.round(x[self.whole]), self.whole_set.lower, self.whole_set.upper)
        return found

    def work(self) -> float:
        """Linear programs solved so far; four probes count as one."""
        assert self.multipliers is not None
        return self.relaxation.lp.solves + self.multipliers.lp.solves + self.clauses.programs + self.climbing.solves + self.descent.programs + self.probes / 4

    def probed(self, cell: Cell, floor: Array, slack: Array, x: Array, value: float) -> Array:
        """Lower bounds z_p from the tableau of the relaxation just solved, where they improve on `floor`."""
        asked = np.flatnonzero((cell.decisions == OPEN) & (slack > 1e-7) & (floor < self.cutoff()))
        if not len(asked):
            return floor
        if self.lines is None or not self.coefficients:  # without coefficients HiGHS factorises nothing, and asking for its basis would crash
            return floor
        lower, upper, row_lower, row_upper, _ = self.relaxation.sides.of(cell)
        basic = self.relaxation.lp.solver.getBasicVariables()[1]
        t = tableau(
            self.lines, np.asarray(basic, np.int64), x, np.concatenate([lower, self.mpec.leader_lower, row_lower]),
            np.concatenate([upper, self.mpec.leader_upper, row_upper]), self.relaxation.linear, value,
        )
        if t is None:
            return floor
        self.probes += len(asked)
        bounds = probe(t, self.constraint[asked], self.cutoff(), STEPS)
        floor[asked] = np.maximum(floor[asked], bounds)
        return floor

    def split(self, cell: Cell, floor: Array, mu: Array | None) -> Cell | None:
        """Offer points, close a cell whose optimum is bilevel feasible, or branch."""
        assert cell.seen is not None
        assert self.multipliers is not None
        x, slack, value = cell.seen
        slack = np.where(cell.decisions == TIGHT, 0.0, slack)
        column = self.fractional(x)
        if cell.bound <= value + CLOSED * (1.0 + abs(value)) or mu is None:
            self.multipliers.enter(cell.decisions)
            status = self.multipliers.fit(x, slack, self.remaining())
            if status is Status.INFEASIBLE:
                return None
            if status is not Status.OPTIMAL:
                return self.unsolved(cell, status)
            mu = self.multipliers.mu
            self.clauses.remember(mu)
            product = violation(cell, slack, mu[: self.mpec.pairs])
            if column < 0 and not product.max(initial=0.0) > 0.0:
                found = self.settle(cell, x, mu, product)
                if self.settled(cell, found):
                    return None
        self.look_around(cell, x, value, mu)
        if column >= 0:
            first, second = cell.split(column, float(x[self.whole[column]]))
            for part in (first, second):
                part.floor = cell.floor
            self.push(first)
            self.push(second)
            return None
        P = self.mpec.pairs
        able = (cell.decisions == OPEN) & (mu[:P] > ZEROISH) & (slack > ZEROISH)
        if not able.any():
            able = (cell.decisions == OPEN) & (mu[:P] > 0.0)
        if not able.any():
            able = cell.decisions == OPEN
        score = np.where(able, floor - value + 1e-6 * slack * mu[:P], -np.inf)
        pair = int(np.argmax(score))
        tight, zero = cell.decided(pair, TIGHT), cell.decided(pair, ZERO)
        self.tighten(tight, pair)
        tight.floor, zero.floor, zero.seen = cell.floor, cell.floor, cell.seen
        assert cell.floor is not None
        tight.bound = max(cell.bound, float(cell.floor[pair]))
        self.push(zero)
        if self.crowded():
            zero.seen = None
            return tight
        self.push(tight)
        return None
