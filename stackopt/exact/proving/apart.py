r"""The search for a proof where multipliers and variables share no row, with the inference of the first search.

Bounds :math:`z_p` on the part where pair p is tight come from probes, clauses from the first search and from here. A clause all of whose
members have :math:`z_p` at or above the cutoff closes a cell: in the proof its members are branched on one after the other, each tight part is
closed by its bound, and what is left by the clause's Farkas vector. A pair that a clause leaves alone below the cutoff is branched on first.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from stackopt.exact.branching.cell import OPEN, TIGHT, ZERO
from stackopt.exact.branching.clauses import Clauses
from stackopt.exact.branching.multipliers import Multipliers
from stackopt.exact.branching.tableau import Lines, probe, tableau
from stackopt.exact.proving.leaves import Certifying, Part, Unproved
from stackopt.programs.mpec import Mpec
from stackopt.proof.floats import Array, Floats
from stackopt.proof.linear import Block
from stackopt.proof.point import Exactly
from stackopt.proof.repair import crossing
from stackopt.proof.tree import Leaf, Node, on_pair
from stackopt.solution import Status

#: Slacks and multipliers below this count as zero when a pair is chosen.
ZEROISH = 1e-9
#: Dual simplex steps of a probe, and the largest tableau.
STEPS, ENTRIES = 12, 300_000


class NeedsMultipliers(Exception):
    """The relaxation over the variables alone is unbounded."""


class Apart(Certifying):
    """See the module.

    Parameters
    ----------
    f, best, deadline
        See `Certifying`.
    mpec : Mpec
        The first search's program.
    order : list of int
        Its pairs in the checker's numbers.
    clauses : Clauses or None
        What that search learnt.
    """

    def __init__(self, f: Floats, best: Exactly | None, deadline: float, mpec: Mpec, order: list[int], clauses: Clauses | None) -> None:
        n, N = f.variables, len(f.cost)
        of_variables = np.diff(f.matrix[:, n:].indptr) == 0
        super().__init__(f, best, deadline, Block(f, np.arange(n), np.flatnonzero(of_variables), cost=best is not None))
        self.multipliers = Block(f, np.arange(n, N), np.flatnonzero(~of_variables), cost=False)
        self.order = np.array(order, np.int64)
        place = {(int(i), int(j), int(s)): p for p, (i, j, s) in zip(order, zip(mpec.pair_row, mpec.pair_column, mpec.pair_side))}
        self.partner = [-1] * f.pairs
        for (i, j, s), p in place.items():
            self.partner[p] = place.get((i, j, -s), -1)
        self.clauses = Clauses(mpec, Multipliers(mpec)) if clauses is None else clauses
        self.lines = self._lines()

    def searched(self, part: Part) -> Node:
        """The tree of a part, by the inference of the decoupled search."""
        if part.seen is None:
            closed = self.relaxed(part)
            if closed is not None:
                return closed
        if part.seen is None:  # called empty, but no multipliers show it: smaller parts may be easier
            still = np.flatnonzero(part.decisions == OPEN)
            return self.on_pair(part, int(still[0])) if still.size else self.give_up(part)
        x, slack, value = part.seen
        cutoff = self.cutoff
        floor = np.where(part.decisions == ZERO, np.inf, np.where(part.decisions == TIGHT, value, part.floor))
        theta, mu = self.clauses.bottleneck(floor[self.order], value, cutoff, self.remaining())
        if theta >= cutoff:
            refuted = self.by_clause(part, floor < cutoff)
            if refuted is not None:
                return refuted
        column = self.fractional(x)
        if column >= 0:
            return self.on_integer(part, column, x[column])
        forced = self.clauses.forced(floor[self.order], cutoff, ((part.decisions == OPEN) & (slack > ZEROISH))[self.order])
        pair = int(self.order[forced[0]]) if forced else self.chosen(part, floor, slack, value, mu)
        if pair < 0:
            return self.complementary(part)
        return self.on_pair(part, pair)

    def on_pair(self, part: Part, pair: int) -> Node:
        """The tree of a part divided by a pair; of one side alone if that does not need the decision."""
        tight = self.prove(part.decided(pair, TIGHT, self.partner[pair]))
        if ("S", pair, Fraction(0)) not in tight.uses:
            return tight
        return on_pair(pair, tight, self.prove(part.decided(pair, ZERO)))

    def chosen(self, part: Part, floor: Array, slack: Array, value: float, mu: Array | None) -> int:
        """The pair to branch on: in the support of the bottleneck multipliers, with the largest bound on its tight part; -1 if none is open."""
        by_pair = np.zeros(self.f.pairs)
        if mu is not None:
            by_pair[self.order] = mu[: self.f.pairs]
        is_open = part.decisions == OPEN
        for able in (is_open & (by_pair > ZEROISH) & (slack > ZEROISH), is_open & (slack > ZEROISH), is_open):
            if able.any() and (mu is None or able is not is_open):
                score = np.where(able, np.minimum(floor, 1e300) - value + 1e-6 * slack * by_pair, -np.inf)
                return int(np.argmax(score))
        return int(np.flatnonzero(is_open)[0]) if is_open.any() else -1

    def relaxed(self, part: Part) -> Leaf | None:
        """Close a part by the linear program over the variables, or note its optimum and probe."""
        f, block = self.f, self.block
        lower, upper, high = f.cell(part.cell)
        if (lower > upper).any():
            return crossing(f, part.cell)
        block.enter(lower, upper, high)
        status = block.solve(self.remaining())
        if status is Status.INFEASIBLE:
            return self.empty(part.cell, block)
        if status is Status.UNBOUNDED:
            raise NeedsMultipliers
        if status is not Status.OPTIMAL:
            raise Unproved(f"a relaxation is {status}")
        value, x = float(block.cost @ block.lp.x) + self.constant, block.x
        if value >= self.cutoff:
            found = self.bounded_below(part.cell, block.y)
            if found is not None:
                return found
        slack = np.maximum(f.slack(x), 0.0)
        part.floor = np.maximum(part.floor, value)
        part.seen = (x, slack, value)
        self.probe(part, lower, upper, high)
        return None

    def probe(self, part: Part, lower: Array, upper: Array, high: Array) -> None:
        """Raise the bounds z_p by dual simplex steps on the tableau of the relaxation just solved."""
        assert part.seen is not None
        f, block = self.f, self.block
        x, slack, value = part.seen
        asked = np.flatnonzero((part.decisions == OPEN) & (slack > 1e-7) & (part.floor < self.cutoff))
        if not len(asked) or self.lines is None:
            return
        n = f.variables
        basic = block.lp.solver.getBasicVariables()[1]
        t = tableau(
            self.lines, np.asarray(basic, np.int64), x[:n], np.concatenate([lower[:n], f.rhs[block.rows]]),
            np.concatenate([upper[:n], high[block.rows]]), block.cost, value,
        )  # fmt: skip
        if t is not None:
            part.floor[asked] = np.maximum(part.floor[asked], probe(t, self.constraint[asked], self.cutoff, STEPS))

    def by_clause(self, part: Part, allowed: NDArray[np.bool_]) -> Node | None:
        """Close a part in which no multipliers vanish outside `allowed` pairs, each of the others being too costly to tighten."""
        f = self.f
        outside = [p for p in np.flatnonzero(~self.widened(part, allowed)).tolist() if part.decisions[p] != ZERO]
        cell = (*part.cell, *(("M", p, Fraction(0)) for p in outside))
        lower, upper, high = f.cell(cell)
        self.multipliers.enter(lower, upper, high)
        if self.multipliers.solve(self.remaining()) is not Status.INFEASIBLE:
            return None
        found: Node | None = self.empty(cell, self.multipliers)
        if found is None:
            return None
        for p in outside:
            if ("M", p, Fraction(0)) in found.uses:
                tight = self.prove(part.decided(p, TIGHT, self.partner[p]))
                found = on_pair(p, tight, found)
                if found is tight:
                    return tight
        return found

    def widened(self, part: Part, allowed: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """All pairs but those of one known clause, if one refutes `allowed`: the one with the fewest members still to be decided."""
        known = self.clauses.clauses[: self.clauses.clause_count]
        fits = np.flatnonzero((known @ allowed[self.order].astype(np.float32)) == 0.0)
        if not len(fits):
            return allowed
        cost = known[fits] @ (part.decisions != ZERO)[self.order].astype(np.float32)
        found: NDArray[np.bool_] = np.ones(len(allowed), bool)
        found[self.order] = known[fits[int(np.argmin(cost))]] == 0.0
        found &= part.decisions != ZERO
        return found

    def _lines(self) -> Lines | None:
        """The tableau's lines, and which of them tightens each pair."""
        f, block, n = self.f, self.block, self.f.variables
        if n * (n + len(block.rows)) > ENTRIES or not block.matrix.count_nonzero():
            return None
        high = np.where(f.equal, f.rhs, np.inf)[block.rows]
        lines = Lines(block.matrix, np.concatenate([f.lower[:n], f.rhs[block.rows]]), np.concatenate([f.upper[:n], high]))
        at = {int(i): k for k, i in enumerate(block.rows.tolist())}
        place = [n + at[i] if i >= 0 else j for i, j in zip(f.slack_row.tolist(), f.slack_column.tolist())]
        self.constraint = np.array([lines.place[i, int(s)] for i, s in zip(place, f.side)], np.int64)
        return lines
