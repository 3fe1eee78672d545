"""The search itself: cells in order of their bounds, each relaxed, closed or branched on."""

from __future__ import annotations

import heapq
import itertools
import time
from typing import Any

import numpy as np

from stackopt.backends.matrix import minimise
from stackopt.exact.branching.cell import OPEN, TIGHT, ZERO, Array, Cell, root
from stackopt.exact.branching.incumbent import Incumbent
from stackopt.exact.branching.multipliers import Multipliers
from stackopt.exact.branching.relaxation import Relaxation, multipliers_in_leader, separable
from stackopt.programs.mpec import Mpec
from stackopt.solution import Progress, Report, Status

#: The search ends when bound and incumbent differ by at most this, relative to 1 + |value|.
CLOSED = 1e-7
#: Slacks and multipliers below this count as zero when a pair is chosen.
ZEROISH = 1e-9
#: With more open cells than this, the search goes depth first.
OPEN_CELLS = 100_000
#: Open cells that there must be before they are shared out.
SHARED = 16
#: Seconds between reports.
TELL = 0.2
#: How far integer columns may be from whole numbers.
INTEGRALITY = 1e-6


class Unbounded(Exception):
    """A half-line of bilevel-feasible points along which the leader improves for ever."""

    def __init__(self, point: Array, ray: Array) -> None:
        super().__init__()
        self.point, self.ray = point, ray


class Search:
    """Branch and bound over complementarity pairs and integer leader variables.

    *Cover.* A cell is closed, or replaced by two that cover it: at a point of the `Mpec` every pair has slack 0 or multiplier 0,
    and an integer is at most k or at least k + 1. So open cells and closed cells together always cover the feasible set.

    *Closed* is a cell (a) whose bounds cross; (b) whose relaxation HiGHS confirms infeasible; (c) whose multipliers have no
    solution at all; (d) whose bound is within `CLOSED` of the incumbent; (e) whose relaxation's optimum is a bilevel-feasible
    point. In (d) and (e) the cell's bound is remembered, so that the final bound is what was proved, not the incumbent.
    """

    def __init__(self, mpec: Mpec, *, time_limit: float, report: Report | None = None, seed: int = 0, coupled: bool | None = None) -> None:
        self.mpec, self.report = mpec, report
        self.begun = time.perf_counter()
        self.deadline = self.begun + time_limit
        self.coupled = not separable(mpec) if coupled is None else coupled
        self.relaxation = Relaxation(mpec, self.coupled)
        self.multipliers = None if multipliers_in_leader(mpec) else Multipliers(mpec)
        self.incumbent = Incumbent(mpec)
        self.whole = np.flatnonzero(mpec.integer)
        self.heap = list[tuple[float, int, Cell]]()
        self.order = itertools.count()
        self.nodes = 0
        self.proved = np.inf  # the least bound among cells closed by (d) or (e)
        self.unresolved = 0
        self.reported = self.begun
        self.elsewhere: Any = None  # the best value of all processes, if there are several
        self.left_elsewhere = 0  # cells that other processes left open

    # --- the tree --------------------------------------------------------------------------------------------------

    def run(self) -> Status:
        """Search until nothing is open or time is up."""
        self.begin()
        self.explore()
        return self.verdict()

    def begin(self) -> None:
        """Open the cell that holds everything."""
        self.push(root(self.mpec))

    def explore(self, cells: int | None = None) -> None:
        """Take open cells until there are none, time is up, or `cells` were examined and several are open."""
        while self.heap:
            _, _, cell = heapq.heappop(self.heap)
            current: Cell | None = cell
            while current is not None:
                if self.remaining() <= 0 or (cells is not None and self.nodes >= cells and len(self.heap) > SHARED):
                    self.push(current)
                    return
                current = self.examine(current)
                self.exchange()
                self.tell()

    def exchange(self) -> None:
        """Tell other processes the value of the incumbent."""
        if self.elsewhere is not None and self.incumbent.value < self.elsewhere.value:
            self.elsewhere.value = self.incumbent.value

    def merge(self, answer: tuple[Array | None, float, float, int, int, int]) -> None:
        """Take in what another process found in its part: point, proved and open bounds, open cells, cells examined, cells undecided."""
        w, proved, still, left, nodes, unresolved = answer
        if w is not None:
            self.incumbent.offer(w)
        self.proved = min(self.proved, proved, still)
        self.left_elsewhere += left
        self.nodes += nodes
        self.unresolved += unresolved

    def reseed(self, number: int) -> None:
        """Go on with other random numbers, in another process."""

    def verdict(self) -> Status:
        """What exploring has established."""
        if self.heap or self.left_elsewhere:
            return Status.LIMIT
        if self.incumbent.w is None:
            return Status.LIMIT if self.unresolved else Status.INFEASIBLE
        return Status.LIMIT if self.bound < self.cutoff() - 1e-3 * CLOSED * (1.0 + abs(self.incumbent.value)) else Status.OPTIMAL

    def examine(self, cell: Cell) -> Cell | None:
        """Close the cell, or branch: one part is pushed and the other returned, to go on with."""
        if cell.bound >= self.cutoff():
            self.close(cell.bound)
            return None
        self.nodes += 1
        if not self.relaxation.enter(cell):
            return None
        status = self.relaxation.solve(self.remaining())
        if status is Status.INFEASIBLE:
            return None
        if status is Status.UNBOUNDED:
            return self.unbounded(cell)
        if status is not Status.OPTIMAL:
            return self.unsolved(cell, status)
        cell.bound = max(cell.bound, self.relaxation.value)
        if cell.bound >= self.cutoff():
            self.close(cell.bound)
            return None
        w = self.relaxation.w
        cell.basis = self.relaxation.lp.basis()
        return self.branch(cell, w)

    def branch(self, cell: Cell, w: Array) -> Cell | None:
        """Split a cell by what its relaxation's optimum violates most; close it if that is nothing."""
        n, P = self.mpec.variables, self.mpec.pairs
        z = w[:n]
        slack = np.maximum(self.mpec.slack(z), 0.0)
        mu = w[n:] if self.coupled else np.zeros(len(self.mpec.names) - n)
        if self.multipliers is not None:
            self.multipliers.enter(cell.decisions)
            status = self.multipliers.fit(z, slack, self.remaining())
            if status is Status.INFEASIBLE and not self.multipliers.moves:
                return None
            if status is Status.OPTIMAL:
                mu = self.multipliers.mu
            elif not self.coupled:
                return self.unsolved(cell, status)
        column = self.fractional(z)
        product = violation(cell, slack, mu[:P])
        if column < 0 and not product.max(initial=0.0) > 0.0:
            value = self.settle(cell, z, mu, product)
            if self.settled(cell, value):
                return None
            product = np.where(cell.decisions == OPEN, np.maximum(slack, mu[:P]), 0.0)
        elif self.nodes == 1 or self.nodes % 20 == 0:
            self.settle(cell, z, mu, product)
        if column >= 0 and not product.max(initial=0.0) > 0.0:
            below, above = cell.split(column, float(z[self.whole[column]]))
            fraction = z[self.whole[column]] % 1.0
            first, second = (below, above) if fraction < 0.5 else (above, below)
        else:
            pair = int(np.argmax(product))
            first, second = cell.decided(pair, TIGHT), cell.decided(pair, ZERO)
        self.push(second)
        return first

    # --- points ----------------------------------------------------------------------------------------------------

    def settle(self, cell: Cell, z: Array, mu: Array, product: Array) -> float:
        """The best point with the complementarity pattern of (z, mu): tight where the multiplier is positive."""
        P = self.mpec.pairs
        decisions = np.full(P, ZERO, np.int8)
        decisions[(mu[:P] > ZEROISH) & (cell.decisions != ZERO) | (cell.decisions == TIGHT)] = TIGHT
        at = np.clip(np.round(z[self.whole]), cell.lower, cell.upper)
        piece = Cell(decisions, at, at, basis=cell.basis)
        if not self.relaxation.enter(piece):
            return np.inf
        status = self.relaxation.solve(self.remaining(), accuracy=1e-10)
        if status is not Status.OPTIMAL:
            return np.inf
        w = self.relaxation.w
        if not self.coupled:
            w = np.concatenate([w, mu])
        return self.incumbent.offer(self.sharpened(piece, w))

    def settled(self, cell: Cell, value: float) -> bool:
        """Whether a cell whose optimum violates nothing is closed by the point made from it, of this value.

        If that point is worse than the cell's bound, or did not pass, the cell is branched on as far as there is something to
        decide; then it is closed with its bound, and counted as unresolved.
        """
        attained = value <= cell.bound + CLOSED * (1.0 + abs(value))
        if not attained and (cell.decisions == OPEN).any():
            return False
        self.unresolved += not attained
        self.close(cell.bound)
        return True

    def sharpened(self, piece: Cell, w: Array) -> Array:
        """With a quadratic objective, the optimum of the piece itself in place of the one over tangents."""
        if not len(self.relaxation.squares):
            return w
        mpec, n = self.mpec, self.mpec.variables
        from scipy import sparse

        lower, upper, row_lower, row_upper, _ = self.relaxation.sides.of(piece)
        high = mpec.upper[n:].copy()
        high[: mpec.pairs][piece.decisions == ZERO] = 0.0
        rows = sparse.csr_array(sparse.vstack([mpec.leader_rows, _with_columns(mpec.follower_rows, len(mpec.names)), mpec.stationarity], format="csr"))
        found = minimise(
            mpec.linear, rows, np.concatenate([mpec.leader_lower, row_lower, mpec.stationarity_rhs]),
            np.concatenate([mpec.leader_upper, row_upper, mpec.stationarity_rhs]), np.concatenate([lower, mpec.lower[n:]]), np.concatenate([upper, high]),
            hessian=mpec.hessian, time_limit=max(min(self.remaining(), 5.0), 0.01),
        )
        return found.x if found.status is Status.OPTIMAL and found.x is not None else w

    # --- cells that HiGHS does not solve -----------------------------------------------------------------------------

    def unbounded(self, cell: Cell) -> Cell | None:
        """Branch on a pair that the direction of unboundedness violates; without one the problem itself is unbounded.

        If (w, direction) violates no pair and no integer, the half-line w + s * direction lies in the feasible set of the
        `Mpec` for every s >= 0 and the leader's value falls along it.
        """
        ray = self.relaxation.ray()
        w = None if ray is None else self.relaxation.anywhere(self.remaining())
        if ray is None or w is None:
            return self.unsolved(cell, Status.UNBOUNDED)
        if not self.coupled:
            raise NeedsCoupling
        n, P = self.mpec.variables, self.mpec.pairs
        slack, mu = np.maximum(self.mpec.slack(w[:n]), 0.0), np.maximum(w[n : n + P], 0.0)
        slope = np.maximum(self.mpec.slack(w[:n] + ray[:n]) - self.mpec.slack(w[:n]), 0.0)
        rise = np.maximum(ray[n : n + P], 0.0)
        product = violation(cell, slack + slope, mu + rise)
        column = self.fractional(w[:n])
        if product.max(initial=0.0) > 0.0:
            pair = int(np.argmax(product))
            first, second = cell.decided(pair, TIGHT), cell.decided(pair, ZERO)
        elif column >= 0:
            first, second = cell.split(column, float(w[self.whole[column]]))
        elif self.whole.size and ray[self.whole].any():
            return self.unsolved(cell, Status.UNBOUNDED)
        else:
            raise Unbounded(w, ray)
        self.push(second)
        return first

    def unsolved(self, cell: Cell, status: Status) -> Cell | None:
        """A cell without a trusted answer is branched on, never closed as infeasible; with nothing left to decide it stays open."""
        if status is Status.LIMIT and self.remaining() <= 0:
            self.push(cell)
            return None
        undecided = np.flatnonzero(cell.decisions == OPEN)
        if not undecided.size:
            self.unresolved += 1
            self.close(cell.bound)
            return None
        self.push(cell.decided(int(undecided[0]), ZERO))
        return cell.decided(int(undecided[0]), TIGHT)

    # --- figures ---------------------------------------------------------------------------------------------------

    def push(self, cell: Cell) -> None:
        """Leave a cell open."""
        heapq.heappush(self.heap, (cell.bound, next(self.order), cell))

    def close(self, bound: float) -> None:
        """A cell was closed by its bound."""
        self.proved = min(self.proved, bound)

    def cutoff(self) -> float:
        """Cells with at least this bound cannot improve on the incumbent by more than `CLOSED`."""
        value = self.incumbent.value if self.elsewhere is None else min(self.incumbent.value, self.elsewhere.value)
        return value - CLOSED * (1.0 + abs(value)) if np.isfinite(value) else np.inf

    @property
    def bound(self) -> float:
        """The least bound of all cells: what is proved about the (minimised) leader's optimum."""
        still = min((cell.bound for _, _, cell in self.heap), default=np.inf)
        return min(still, self.proved, self.incumbent.value)

    def fractional(self, z: Array) -> int:
        """Which integer column is farthest from a whole number, or -1."""
        if not self.whole.size:
            return -1
        away = np.abs(z[self.whole] - np.round(z[self.whole]))
        return int(np.argmax(away)) if away.max() > INTEGRALITY else -1

    def remaining(self) -> float:
        """Seconds left."""
        return self.deadline - time.perf_counter()

    def crowded(self) -> bool:
        """Whether so many cells are open that the search goes depth first, to bound its memory."""
        return len(self.heap) > OPEN_CELLS

    def tell(self) -> None:
        """Report once in a while."""
        now = time.perf_counter()
        if self.report is None or now - self.reported < TELL:
            return
        self.reported = now
        value, bound = self.incumbent.value, self.bound
        self.report(Progress("complementarity branching", self.nodes, None, value - bound if np.isfinite(value - bound) else None))

    def stats(self) -> dict[str, Any]:
        """Work counters."""
        solves = self.relaxation.lp.solves + (self.multipliers.lp.solves if self.multipliers is not None else 0)
        return {"nodes": self.nodes, "linear_programs": solves, "pairs": self.mpec.pairs, "open": len(self.heap), "incumbents": self.incumbent.found}


class NeedsCoupling(Exception):
    """The relaxation over the variables alone is unbounded; the one with multipliers may tell more."""


def violation(cell: Cell, slack: Array, mu: Array) -> Array:
    """Slack times multiplier of the undecided pairs; zero where either is negligible (a decided pair is never chosen again)."""
    product = slack * mu
    product[(cell.decisions != OPEN) | (slack <= ZEROISH) | (mu <= ZEROISH)] = 0.0
    return product


def _with_columns(matrix: Any, columns: int) -> Any:
    from scipy import sparse

    return sparse.csr_array((matrix.data, matrix.indices, matrix.indptr), shape=(matrix.shape[0], columns))
