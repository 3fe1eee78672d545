r"""What is known about the followers' multipliers when they do not depend on the variables: solutions and clauses.

:math:`\Lambda` is the set of multipliers that satisfy stationarity and signs. A *solution* is a member of it, kept as its support.
A *clause* is a set C of pairs such that every member is positive somewhere on C: by Farkas, some direction d has :math:`d^\top g_p > 0`
only for p in C, is zero on free multipliers, and :math:`d^\top\text{rhs} > 0`. At every bilevel-feasible point at least one pair of C is tight.

*Bottleneck bound.* Let z_p bound the leader's value from below in the part of a cell where pair p is tight. The multipliers of
a point of the cell have a support S, all of it tight, so its value is at least max of z_p over S; and S meets every clause, so
at least min of z_p over C. Hence the cell's value is at least

.. math:: \theta = \min_{S} \max_{p\in S} z_p \ \ge\ \max_C \min_{p\in C} z_p,

and both sides are equal over all of :math:`\Lambda` and all clauses. Solutions bound :math:`\theta` from above, clauses from below; linear
programs over :math:`\Lambda` are solved only where they differ.
"""

from __future__ import annotations

import numpy as np

from stackopt.exact.branching.cell import ZERO, Array, Flags
from stackopt.exact.branching.multipliers import Multipliers
from stackopt.programs.mpec import Mpec
from stackopt.solution import Status

#: Multipliers below this, relative to the largest, are zero in a support.
SUPPORT = 1e-9
#: How many solutions and clauses are kept.
KEPT = 3000


class Clauses:
    """Solutions and clauses found so far."""

    def __init__(self, mpec: Mpec, multipliers: Multipliers) -> None:
        self.mpec, self.multipliers = mpec, multipliers
        n, P = mpec.variables, mpec.pairs
        dense = mpec.stationarity[:, n:].toarray()
        self.of_pairs, self.of_free = dense[:, :P], dense[:, P:]
        self.solutions = np.zeros((64, P), np.float32)  # 0 and 1: products with masks are what is asked of them
        self.values = np.zeros((64, dense.shape[1]))
        self.count = 0
        self.clauses = np.zeros((64, P), np.float32)
        self.clause_count = 0
        self.programs = 0
        self._nothing = np.zeros(P)

    def bottleneck(self, z: Array, least: float, cutoff: float, time_limit: float) -> tuple[float, Array | None]:
        r""":math:`\theta` for the bounds `z` [P] (infinite: multiplier zero), at least `least`, and the multipliers [M] that attain it.

        Infinite, without multipliers, once it is known to be at least `cutoff`.
        """
        low, improved = max(least, self._from_clauses(z)), False
        for _ in range(200):
            if low >= cutoff:
                return np.inf, None
            high, which = self._from_solutions(z, least)
            if high <= low:
                return low, self.values[which]
            top = min(high, cutoff)
            between = np.unique(z[(z > low) & (z < top)])
            at = float(between[len(between) // 2]) if improved and len(between) else top  # halve once the best solution known was not best
            below = z <= at if at < top else z < top
            found = self.supported(below, time_limit)
            if found is None:
                return low, None if which < 0 else self.values[which]
            improved = True
            if not found:
                low = max(low, float(z[~below].min(initial=np.inf)))
        return low, None if which < 0 else self.values[which]

    def supported(self, allowed: Flags, time_limit: float) -> bool | None:
        """Whether multipliers exist that vanish outside `allowed`; None if HiGHS does not say."""
        self.programs += 1
        self.multipliers.enter(np.where(allowed, 0, ZERO).astype(np.int8))
        status = self.multipliers.fit(self._nothing, self._nothing, time_limit)
        if status is Status.OPTIMAL:
            self.remember(self.multipliers.mu)
            return True
        if status is Status.INFEASIBLE:
            self._learn(allowed)
            return False
        return None

    def forced(self, z: Array, cutoff: float, asked: Flags) -> list[int]:
        """Pairs among `asked` that some clause leaves alone below the cutoff: they are tight at every better point of the cell.

        Asking linear programs for more of them was measured: fewer cells, more time.
        """
        clauses = self.clauses[: self.clause_count]
        alone = (clauses @ (z < cutoff).astype(np.float32)) == 1.0
        return [int(p) for p in np.flatnonzero((clauses[alone] > 0).any(0) & asked & (z < cutoff))]

    def known(self, allowed: Flags) -> Array | None:
        """Multipliers [M] found before that vanish outside `allowed`."""
        fits = np.flatnonzero((self.solutions[: self.count] @ (~allowed).astype(np.float32)) == 0.0)
        return self.values[fits[-1]] if len(fits) else None

    def refuted(self, allowed: Flags) -> bool:
        """Whether a clause says that none exist."""
        return bool(((self.clauses[: self.clause_count] @ allowed.astype(np.float32)) == 0.0).any())

    @property
    def latest(self) -> Array:
        """The solution found last [M]."""
        found: Array = self.values[self.count - 1]
        return found

    def remember(self, mu: Array) -> None:
        """Keep a solution."""
        P = self.mpec.pairs
        if self.count == len(self.solutions):
            if self.count >= KEPT:  # the older half goes
                half = self.count // 2
                self.solutions[:half], self.values[:half] = self.solutions[half : 2 * half].copy(), self.values[half : 2 * half].copy()
                self.count = half
            else:
                self.solutions = np.concatenate([self.solutions, np.zeros_like(self.solutions)])
                self.values = np.concatenate([self.values, np.zeros_like(self.values)])
        self.solutions[self.count] = mu[:P] > SUPPORT * max(1e-300, np.abs(mu).max(initial=0.0))
        self.values[self.count] = mu
        self.count += 1

    def _learn(self, allowed: Flags) -> None:
        """Keep the clause behind an infeasible program, if its direction proves it."""
        found = self.multipliers.lp.solver.getDualRay()
        if not found[1]:
            return
        ray = np.array(found[2], float)
        ray /= max(1e-300, np.abs(ray).max(initial=0.0))
        if ray @ self.mpec.stationarity_rhs < 0:
            ray = -ray
        along = ray @ self.of_pairs
        scale = 1e-9 * (1.0 + np.abs(self.of_pairs).max(initial=0.0))
        if not ray @ self.mpec.stationarity_rhs > 1e-7 or np.abs(ray @ self.of_free).max(initial=0.0) > scale or (along[allowed] > scale).any():
            return
        if self.clause_count == len(self.clauses):
            if self.clause_count >= KEPT:
                half = self.clause_count // 2
                self.clauses[:half] = self.clauses[half : 2 * half].copy()
                self.clause_count = half
            else:
                self.clauses = np.concatenate([self.clauses, np.zeros_like(self.clauses)])
        self.clauses[self.clause_count] = along > scale
        self.clause_count += 1

    def _from_clauses(self, z: Array) -> float:
        """The largest value of min of z_p over a clause: bisection over the values of z, whether some clause has all of its z_p at least that."""
        if not self.clause_count:
            return -np.inf
        clauses, values = self.clauses[: self.clause_count], np.unique(z)
        low, high = 0, len(values)  # a clause exists with all z >= values[low]; none with all z >= values[high]
        while high - low > 1:
            middle = (low + high) // 2
            if (clauses @ (z < values[middle]).astype(np.float32)).min() == 0.0:
                low = middle
            else:
                high = middle
        return float(values[low])

    def _from_solutions(self, z: Array, least: float) -> tuple[float, int]:
        """The smallest value of max of z_p over a solution, at least `least`, and which attains it; (infinity, -1) without one."""
        if not self.count:
            return np.inf, -1
        solutions, values = self.solutions[: self.count], np.unique(z[np.isfinite(z)])
        low, high, which = -1, len(values), -1  # no solution has all z <= values[low]; one has all z <= values[high], unless high is the end
        while high - low > 1:
            middle = (low + high) // 2
            outside = solutions @ (z > values[middle]).astype(np.float32)
            best = int(np.argmin(outside))
            if outside[best] == 0.0:
                high, which = middle, best
            else:
                low = middle
        return (max(least, float(values[high])), which) if which >= 0 else (np.inf, -1)
