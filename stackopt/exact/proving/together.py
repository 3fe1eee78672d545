"""The search for a proof by the linear (or quadratic) program over variables and multipliers together."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from stackopt.backends.matrix import minimise
from stackopt.exact.branching.cell import OPEN, TIGHT, ZERO
from stackopt.exact.proving.leaves import Certifying, Part, Unproved
from stackopt.proof.check import Decision, Row
from stackopt.proof.floats import Array, Floats
from stackopt.proof.linear import Block
from stackopt.proof.point import Exactly
from stackopt.proof.repair import crossing, leaf
from stackopt.proof.tree import Leaf, Node, on_pair
from stackopt.solution import Status

#: Slacks and multipliers below this count as zero when a pair is chosen.
ZEROISH = 1e-9
#: A tangent at the incumbent is tried where the relaxation's value is this close to it, relative to 1 + its size.
CLOSE = 1e-5
#: How far out along a ray pairs are looked at, relative to a point.
FAR = 1e3


class Together(Certifying):
    """See the module."""

    def __init__(self, f: Floats, best: Exactly | None, deadline: float) -> None:
        super().__init__(f, best, deadline, Block(f, np.arange(len(f.cost)), np.arange(len(f.rhs)), cost=best is not None))

    def searched(self, part: Part) -> Node:
        """The tree of a part, by the linear program over all columns."""
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
        tight = self.prove(part.decided(pair, TIGHT))
        if ("S", pair, Fraction(0)) not in tight.uses:
            return tight
        return on_pair(pair, tight, self.prove(part.decided(pair, ZERO)))

    def solved_together(self, part: Part, lower: Array, upper: Array, high: Array) -> tuple[Leaf | Status, Array]:
        """A leaf, or the status and solution [n] of the relaxation over all columns; of a ray where that is unbounded."""
        f, block = self.f, self.block
        block.enter(lower, upper, high)
        status = block.solve(self.remaining())
        if status is Status.INFEASIBLE:
            found = self.empty(part.cell, block)
            return (status if found is None else found), np.zeros(len(f.cost))  # called empty, but no multipliers show it: smaller parts may be easier
        if f.hessian is not None and self.best is not None:
            return self.curved(part, lower, upper, high)
        if status is not Status.OPTIMAL:
            far = self.along_ray()
            if not (part.decisions == OPEN).any() and self.fractional(far) < 0:
                raise Unproved(f"a relaxation is {status}")
            return status, far
        if float(block.cost @ block.lp.x) + self.constant >= self.cutoff:
            closed = self.bounded_below(part.cell, block.y)
            if closed is not None:
                return closed, np.zeros(0)
        return status, block.x

    def along_ray(self) -> Array:
        """A point far out in the direction in which the relaxation falls, to see which pairs that violates."""
        w, ray = self.block.anywhere(self.remaining()), self.block.recession()
        return np.zeros(len(self.f.cost)) if w is None or ray is None else w + FAR * (1.0 + np.abs(w).max(initial=0.0)) * ray

    def curved(self, part: Part, lower: Array, upper: Array, high: Array) -> tuple[Leaf | Status, Array]:
        """The same with a convex quadratic objective: a leaf by the tangent at the relaxation's optimum."""
        f = self.f
        found = minimise(f.cost, f.matrix, f.rhs, high, lower, upper, hessian=f.hessian, constant=f.constant, time_limit=max(self.remaining(), 0.05))
        if found.x is None or found.row_dual is None:
            if not (part.decisions == OPEN).any():
                raise Unproved(f"a quadratic relaxation is {found.status}")
            return Status.FAILED, self.block.x if self.block.lp.value < np.inf else np.zeros(len(f.cost))
        if found.value >= self.cutoff - 1e-7 * (1.0 + abs(self.cutoff)):
            closed = self.by_tangent(part.cell, found.x, found.row_dual)
            if closed is not None and self.accepted(closed):
                return closed, np.zeros(0)
        return Status.OPTIMAL, found.x

    def bound_of(self, cell: tuple[Decision, ...], status: Status) -> Leaf | None:
        """A leaf with whatever bound the quadratic program of a cell has."""
        f = self.f
        if f.hessian is None:
            return super().bound_of(cell, status)
        lower, upper, high = f.cell(cell)
        found = minimise(f.cost, f.matrix, f.rhs, high, lower, upper, hessian=f.hessian, constant=f.constant, time_limit=1.0)
        return None if found.x is None or found.row_dual is None else self.by_tangent(cell, found.x, found.row_dual)

    def by_tangent(self, cell: tuple[Decision, ...], x: Array, y: Array) -> Leaf | None:
        """The best leaf of several tangents, or the first that reaches the target."""
        best, target = None, self.target
        for u in self.tangents(x):
            found = leaf(self.f, cell, 1, y, target, u)
            if found is not None and found.bound is not None and (best is None or best.bound is None or found.bound > best.bound):
                best = found
                if target is not None and found.bound >= target:
                    break
        return best

    def tangents(self, x: Array) -> list[Row]:
        """Where to put a tangent for a relaxation with optimum x [n]: at the incumbent if that is as good, and at x rounded.

        The gradient of a convex function is the same on all of its optima, so the incumbent need not be near x.
        """
        f, found = self.f, list[Row]()
        curved = sorted(f.system.quad)
        true = x * f.column
        assert f.hessian is not None
        level = self.f.constant + float(f.cost @ x) + 0.5 * float(x @ (f.hessian @ x))
        if self.best is not None and abs(level - float(self.best.value) * f.unit) <= CLOSE * (1.0 + abs(level)):
            found.append({j: self.best.v[j] for j in curved})
        found += [{j: Fraction(float(true[j])).limit_denominator(most) for j in curved} for most in (10, 1000, 10**6, 10**10)]
        return found
