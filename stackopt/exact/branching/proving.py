r"""A second search whose every closed cell has a certificate in rational arithmetic, with the first one's optimum as cutoff.

It works on the checker's own system (`stackopt.proof.floats`), depth first, and returns a tree. Two things keep the tree small:

* Each leaf knows which decisions it uses. If the first part of a branching never uses its decision, that part is the tree of the whole
  cell and the second part is never searched.
* Where multipliers and variables share no row, the first search's inference is used (`decoupled`): bounds :math:`z_p` on the part where pair p is
  tight, and clauses. A clause all of whose members have :math:`z_p` at or above the cutoff closes a cell: in the proof its members are branched on
  one after the other, each tight part is closed by its bound, and what is left by the clause's Farkas vector.

What has no certificate when time is up is closed by the best bound there is, and the proof states an interval.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from stackopt.backends.matrix import minimise
from stackopt.exact.branching.cell import OPEN, TIGHT, ZERO
from stackopt.exact.branching.clauses import Clauses
from stackopt.exact.branching.multipliers import Multipliers
from stackopt.exact.branching.tableau import Lines, probe, tableau
from stackopt.programs.mpec import Mpec
from stackopt.proof.check import Decision, Row
from stackopt.proof.floats import Array, Floats
from stackopt.proof.linear import Block
from stackopt.proof.point import Exactly, best_of_piece
from stackopt.proof.repair import crossing, leaf
from stackopt.proof.tree import Leaf, Node, on_integer, on_pair
from stackopt.solution import Status

#: A relaxation within this of the cutoff, relative to 1 + |cutoff|, is asked for a certificate of the cutoff.
NEAR = 1e-9
#: A leaf whose bound is below the optimum by at most this, relative to 1 + |optimum|, may stay: the proof then states a width.
WIDTH = 1e-7
#: Slacks and multipliers below this count as zero when a pair is chosen.
ZEROISH = 1e-9
#: Dual simplex steps of a probe, and the largest tableau.
STEPS, ENTRIES = 12, 300_000
#: How far out along a ray pairs are looked at, relative to a point.
FAR = 1e3
#: Cells deeper than this are left to their bound.
DEPTH = 300


class Unproved(Exception):
    """No proof was found; the message says why."""


class NeedsMultipliers(Exception):
    """The relaxation over the variables alone is unbounded."""


@dataclass(eq=False)
class Part:
    """A cell: its decisions in order and by pair, the bounds z_p that hold in it, and the optimum of its relaxation where it is known."""

    cell: tuple[Decision, ...]
    decisions: NDArray[np.int8]
    floor: Array
    seen: tuple[Array, Array, float] | None = None

    def decided(self, p: int, how: int, partner: int = -1) -> Part:
        """The part in which pair p is TIGHT or ZERO; the latter has the same relaxation over the variables.

        Where one side is tight, the other side, `partner`, is not.
        """
        decisions, floor = self.decisions.copy(), self.floor.copy()
        decisions[p] = how
        if how == TIGHT and partner >= 0:
            floor[partner] = np.inf
        word: Decision = ("S" if how == TIGHT else "M", p, Fraction(0))
        return Part((*self.cell, word), decisions, floor, self.seen if how == ZERO else None)

    def bounded(self, word: Decision) -> Part:
        """The part with one more bound on an integer column."""
        return Part((*self.cell, word), self.decisions, self.floor.copy())


class Proving:
    """One run; `tree` is the proof's tree.

    Parameters
    ----------
    f : Floats
        The checker's system.
    best : Exactly or None
        The exact incumbent; None to prove that there is no feasible point.
    time_limit : float
        Seconds.
    mpec, order, clauses
        Where the first search was decoupled: its program, its pairs in the checker's numbers, and what it learnt.
    """

    def __init__(
        self, f: Floats, best: Exactly | None, time_limit: float, *, mpec: Mpec | None = None, order: list[int] | None = None, clauses: Clauses | None = None
    ) -> None:
        self.f, self.best = f, best
        self.deadline = time.perf_counter() + time_limit
        self.out_of_time = False
        self.nodes = self.repaired = 0
        self.split = f.separable and mpec is not None
        n, N = f.variables, len(f.cost)
        self.whole = np.array(f.system.ints, np.int64)
        if self.split:
            of_variables = np.diff(f.matrix[:, n:].indptr) == 0
            self.variables = Block(f, np.arange(n), np.flatnonzero(of_variables), cost=best is not None)
            self.multipliers = Block(f, np.arange(n, N), np.flatnonzero(~of_variables), cost=False)
            assert mpec is not None
            assert order is not None
            self.order = np.array(order, np.int64)
            place = {(int(i), int(j), int(s)): p for p, (i, j, s) in zip(order, zip(mpec.pair_row, mpec.pair_column, mpec.pair_side))}
            self.partner = [-1] * f.pairs
            for (i, j, s), p in place.items():
                self.partner[p] = place.get((i, j, -s), -1)
            self.clauses = Clauses(mpec, Multipliers(mpec)) if clauses is None else clauses
            self.lines = self._lines()
        else:
            self.variables = Block(f, np.arange(N), np.arange(len(f.rhs)), cost=best is not None)

    # --- the tree --------------------------------------------------------------------------------------------------

    def tree(self) -> Node:
        """The tree of the whole space.

        Raises
        ------
        Unproved
            If a cell can be closed by no bound at all.
        """
        P, n = self.f.pairs, len(self.f.cost)
        if self.split:
            try:
                return self.prove(Part((), np.zeros(P, np.int8), np.full(P, -np.inf)))
            except NeedsMultipliers:
                self.split, self.variables = False, Block(self.f, np.arange(n), np.arange(len(self.f.rhs)), cost=self.best is not None)
        return self.prove_coupled(Part((), np.zeros(P, np.int8), np.full(P, -np.inf)))

    @property
    def cutoff(self) -> float:
        """The optimum in the units of the search, less what rounding may hide; infinite if there is none."""
        if self.best is None:
            return np.inf
        value = float(self.best.value) * self.f.unit
        return value - NEAR * (1.0 + abs(value))

    def prove(self, part: Part) -> Node:
        """The tree of a part, by the inference of the decoupled search."""
        if self.stopped(part):
            return self.give_up(part)
        self.nodes += 1
        if part.seen is None:
            closed = self.relaxed(part)
            if closed is not None:
                return closed
        assert part.seen is not None
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

    def on_integer(self, part: Part, column: int, at: float) -> Node:
        """Branch on an integer column."""
        k = int(np.floor(at))
        search = self.prove if self.split else self.prove_coupled
        word: Decision = ("<", column, Fraction(k))
        below = search(part.bounded(word))
        if word not in below.uses:
            return below
        return on_integer(column, k, below, search(part.bounded((">", column, Fraction(k + 1)))))

    def relaxed(self, part: Part) -> Leaf | None:
        """Close a part by the linear program over the variables, or note its optimum and probe."""
        f, block = self.f, self.variables
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

    @property
    def constant(self) -> float:
        """The objective's constant, where there is an objective."""
        return self.f.constant if self.best is not None else 0.0

    def probe(self, part: Part, lower: Array, upper: Array, high: Array) -> None:
        """Raise the bounds z_p by dual simplex steps on the tableau of the relaxation just solved."""
        assert part.seen is not None
        f, block = self.f, self.variables
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

    # --- multipliers and variables together ----------------------------------------------------------------------------

    def prove_coupled(self, part: Part) -> Node:
        """The tree of a part, by the linear program over all columns."""
        if self.stopped(part):
            return self.give_up(part)
        self.nodes += 1
        f = self.f
        lower, upper, high = f.cell(part.cell)
        if (lower > upper).any():
            found = crossing(f, part.cell)
            assert found is not None
            return found
        status, x = self.solved_together(part, lower, upper, high)
        if isinstance(status, Leaf):
            return status
        slack, mu = np.maximum(f.slack(x), 0.0), np.maximum(x[f.multiplier], 0.0)
        column = self.fractional(x)
        product = slack * mu
        product[(part.decisions != OPEN) | (slack <= ZEROISH) | (mu <= ZEROISH)] = 0.0
        if not product.max(initial=0.0) > 0.0:
            if column >= 0:
                return self.on_integer(part, column, x[column])
            if not (part.decisions == OPEN).any():
                return self.complementary(part)
            product = np.where(part.decisions == OPEN, 1.0 + np.maximum(slack, mu), 0.0)
        pair = int(np.argmax(product))
        tight = self.prove_coupled(part.decided(pair, TIGHT))
        if ("S", pair, Fraction(0)) not in tight.uses:
            return tight
        return on_pair(pair, tight, self.prove_coupled(part.decided(pair, ZERO)))

    def solved_together(self, part: Part, lower: Array, upper: Array, high: Array) -> tuple[Leaf | Status, Array]:
        """A leaf, or the status and solution [n] of the relaxation over all columns; of a ray where that is unbounded."""
        f, block = self.f, self.variables
        block.enter(lower, upper, high)
        status = block.solve(self.remaining())
        if status is Status.INFEASIBLE:
            found = self.empty(part.cell, block)
            if found is None:
                raise Unproved("an empty cell has no exact certificate")
            return found, np.zeros(0)
        if f.hessian is not None and self.best is not None:
            return self.curved(part, lower, upper, high)
        if status is not Status.OPTIMAL:
            if not (part.decisions == OPEN).any():
                raise Unproved(f"a relaxation is {status}")
            return status, self.along_ray()
        if float(block.cost @ block.lp.x) + self.constant >= self.cutoff:
            closed = self.bounded_below(part.cell, block.y)
            if closed is not None:
                return closed, np.zeros(0)
        return status, block.x

    def along_ray(self) -> Array:
        """A point far out in the direction in which the relaxation falls, to see which pairs that violates."""
        w, ray = self.variables.anywhere(self.remaining()), self.variables.recession()
        return np.zeros(len(self.f.cost)) if w is None or ray is None else w + FAR * (1.0 + np.abs(w).max(initial=0.0)) * ray

    def curved(self, part: Part, lower: Array, upper: Array, high: Array) -> tuple[Leaf | Status, Array]:
        """The same with a convex quadratic objective: a leaf by the tangent at the relaxation's optimum."""
        f = self.f
        found = minimise(f.cost, f.matrix, f.rhs, high, lower, upper, hessian=f.hessian, constant=f.constant, time_limit=max(self.remaining(), 0.05))
        if found.x is None or found.row_dual is None:
            if not (part.decisions == OPEN).any():
                raise Unproved(f"a quadratic relaxation is {found.status}")
            return Status.FAILED, self.variables.x if self.variables.lp.value < np.inf else np.zeros(len(f.cost))
        if found.value >= self.cutoff - 1e-7 * (1.0 + abs(self.cutoff)):
            closed = self.by_tangent(part.cell, found.x, found.row_dual, self.target)
            if closed is not None:
                return closed, np.zeros(0)
        return Status.OPTIMAL, found.x

    def by_tangent(self, cell: tuple[Decision, ...], x: Array, y: Array, target: Fraction | None) -> Leaf | None:
        """The best leaf of several tangents; one that reaches the target, or is near it."""
        best = None
        for u in self.tangents(x):
            found = leaf(self.f, cell, 1, y, target, u)
            if found is not None and found.bound is not None and (best is None or best.bound is None or found.bound > best.bound):
                best = found
                if target is not None and found.bound >= target:
                    break
        return best if best is None or target is None or self.accepted(best) else None

    def tangents(self, x: Array) -> list[Row]:
        """Where to put a tangent near x [n]: at the incumbent, and at x rounded."""
        f, found = self.f, list[Row]()
        curved = sorted(f.system.quad)
        true = x * f.column
        if self.best is not None and all(abs(float(self.best.v[j]) - true[j]) <= 1e-5 * (1.0 + abs(true[j])) for j in curved):
            found.append({j: self.best.v[j] for j in curved})
        found += [{j: Fraction(float(true[j])).limit_denominator(most) for j in curved} for most in (10, 1000, 10**6, 10**10)]
        return found

    # --- leaves ----------------------------------------------------------------------------------------------------

    @property
    def target(self) -> Fraction | None:
        """What every leaf should prove."""
        return None if self.best is None else self.best.value

    def accepted(self, found: Leaf) -> bool:
        """Whether a leaf's bound is at the optimum, or so close below that the width is worth stating."""
        if found.bound is None or self.best is None:
            return True
        return float(self.best.value - found.bound) <= WIDTH * (1.0 + abs(float(self.best.value)))

    def bounded_below(self, cell: tuple[Decision, ...], y: Array) -> Leaf | None:
        """A leaf by weak duality, if one reaches the target or nearly so."""
        self.repaired += 1
        found = leaf(self.f, cell, 1, y, self.target)
        return found if found is not None and self.accepted(found) else None

    def empty(self, cell: tuple[Decision, ...], block: Block) -> Leaf | None:
        """A leaf by Farkas for a block that was found infeasible."""
        self.repaired += 1
        y = block.ray()
        found = None if y is None else leaf(self.f, cell, 0, y, None)
        if found is None:
            y = block.elastic()
            found = None if y is None else leaf(self.f, cell, 0, y, None)
        return found

    def complementary(self, part: Part) -> Node:
        """A part with nothing left to decide whose optimum is better than the incumbent: take that one, and the bound it has."""
        better = best_of_piece(self.f, (*part.cell, *self.settled(part)))
        if better is not None and (self.best is None or better.value < self.best.value):
            if self.best is None:
                raise Unproved("there is a feasible point after all")
            self.best = better
        return self.give_up(part)

    def settled(self, part: Part) -> tuple[Decision, ...]:
        """Decisions on the pairs and integers that are open, by the relaxation's optimum."""
        if part.seen is None:
            return ()
        x, slack, _ = part.seen
        found: list[Decision] = [("S" if slack[p] <= 1e-7 else "M", p, Fraction(0)) for p in np.flatnonzero(part.decisions == OPEN).tolist()]
        for j in self.whole.tolist():
            k = Fraction(round(float(x[j])))
            found += [("<", j, k), (">", j, k)]
        return tuple(found)

    def give_up(self, part: Part) -> Leaf:
        """Close a part by whatever its relaxation proves."""
        f, block = self.f, self.variables
        lower, upper, high = f.cell(part.cell)
        if (lower > upper).any():
            found = crossing(f, part.cell)
            assert found is not None
            return found
        block.enter(lower, upper, high)
        status = block.solve(1.0)
        closed = None
        if status is Status.INFEASIBLE:
            closed = self.empty(part.cell, block)
        elif self.best is None:
            raise Unproved("time ran out" if self.out_of_time else "a cell could not be shown to be empty")
        elif f.hessian is not None:
            answer = minimise(f.cost, f.matrix, f.rhs, high, lower, upper, hessian=f.hessian, constant=f.constant, time_limit=1.0)
            if answer.x is not None and answer.row_dual is not None:
                closed = self.by_tangent(part.cell, answer.x, answer.row_dual, None)
        elif status is Status.OPTIMAL:
            closed = leaf(f, part.cell, 1, block.y, None)
        if closed is None:
            raise Unproved("time ran out at a cell without a bound" if self.out_of_time else "a cell has no exact bound")
        return closed

    # --- figures ---------------------------------------------------------------------------------------------------

    def stopped(self, part: Part) -> bool:
        """Whether time is up or the part is too deep."""
        self.out_of_time = self.out_of_time or self.remaining() <= 0
        return self.out_of_time or len(part.cell) > DEPTH

    def remaining(self) -> float:
        """Seconds left."""
        return self.deadline - time.perf_counter()

    def fractional(self, x: Array) -> int:
        """The integer column farthest from a whole number, or -1."""
        if not len(self.whole):
            return -1
        away = np.abs(x[self.whole] - np.round(x[self.whole]))
        return int(self.whole[np.argmax(away)]) if away.max() > 1e-6 else -1

    def _lines(self) -> Lines | None:
        """The tableau's lines, and which of them tightens each pair."""
        f, block, n = self.f, self.variables, self.f.variables
        if n * (n + len(block.rows)) > ENTRIES or not block.matrix.count_nonzero():
            return None
        high = np.where(f.equal, f.rhs, np.inf)[block.rows]
        lines = Lines(block.matrix, np.concatenate([f.lower[:n], f.rhs[block.rows]]), np.concatenate([f.upper[:n], high]))
        at = {int(i): k for k, i in enumerate(block.rows.tolist())}
        place = [n + at[i] if i >= 0 else j for i, j in zip(f.slack_row.tolist(), f.slack_column.tolist())]
        self.constraint = np.array([lines.place[i, int(s)] for i, s in zip(place, f.side)], np.int64)
        return lines
