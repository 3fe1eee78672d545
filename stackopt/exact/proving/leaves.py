"""What every search for a proof does: close cells by certificates, branch on integers, give up in an orderly way."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from stackopt.exact.branching.cell import OPEN, TIGHT, ZERO
from stackopt.proof.basic import basic_leaf
from stackopt.proof.check import Decision
from stackopt.proof.floats import Array, Floats
from stackopt.proof.linear import Block
from stackopt.proof.point import Exactly, best_of_piece
from stackopt.proof.repair import crossing, leaf
from stackopt.proof.tree import Leaf, Node, bound, on_integer
from stackopt.solution import Status

#: A relaxation within this of the cutoff, relative to 1 + |cutoff|, is asked for a certificate of the cutoff.
NEAR = 1e-9
#: A leaf whose bound is below the optimum by at most this, relative to 1 + |optimum|, may stay: the proof then states a width.
WIDTH = 1e-7
#: Where the whole gap cannot be closed: these shares of it are left, one after the other.
SHARES = (1 / 8, 1 / 4, 1 / 2)
#: Cells deeper than this are left to their bound.
DEPTH = 300


class Unproved(Exception):
    """No proof was found; the message says why."""


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


class Certifying(ABC):
    """A search for the tree of a proof.

    Parameters
    ----------
    f : Floats
        The checker's system.
    best : Exactly or None
        The exact incumbent; None to prove that there is no feasible point.
    deadline : float
        By `time.perf_counter`.
    block : Block
        The linear program that bounds a cell.
    """

    def __init__(self, f: Floats, best: Exactly | None, deadline: float, block: Block) -> None:
        self.f, self.best, self.deadline, self.block = f, best, deadline, block
        self.out_of_time = False
        self.nodes = 0
        self.cells: int | None = None
        self.known: dict[Decision, list[Leaf]] = {}
        self.give = Fraction(0)
        self.whole = np.array(f.system.ints, np.int64)

    def tree(self, cells: int | None = None) -> Node:
        """The tree of the whole space; after so many cells, what is left is closed by what bound it has.

        Raises
        ------
        Unproved
            If a cell can be closed by no bound at all.
        """
        P = self.f.pairs
        self.cells = cells
        return self.prove(Part((), np.zeros(P, np.int8), np.full(P, -np.inf)))

    def prove(self, part: Part) -> Node:
        """The tree of a part."""
        self.out_of_time = self.out_of_time or self.remaining() <= 0 or (self.cells is not None and self.nodes >= self.cells)
        if self.out_of_time or len(part.cell) > DEPTH:
            return self.give_up(part)
        found: Node | None = self.recalled(part.cell)
        if found is None:
            self.nodes += 1
            found = self.searched(part)
            if isinstance(found, Leaf):
                for decision in found.uses:
                    self.known.setdefault(decision, []).append(found)
        return found

    def short_of(self, tree: Node, cells: int | None, seconds: float) -> Node:
        """A better tree than one that was cut short, by lower targets, which close cells sooner; what was learnt is kept.

        Parameters
        ----------
        tree : Leaf or Branch
        cells, seconds : int or None, float
            For each of the targets `SHARES`.
        """
        assert self.best is not None
        least = bound(tree)
        gap = Fraction(0) if least is None else self.best.value - least
        for share in SHARES:
            if not self.out_of_time or gap <= 0:
                break
            self.give = Fraction(float(gap) * share).limit_denominator(10**6)
            self.deadline, self.out_of_time = time.perf_counter() + seconds, False
            other = self.tree(None if cells is None else self.nodes + cells)
            if _better(other, tree):
                tree = other
        return tree

    @abstractmethod
    def searched(self, part: Part) -> Node:
        """The tree of a part that nothing known closes."""

    def recalled(self, cell: tuple[Decision, ...]) -> Leaf | None:
        """A leaf of another cell that uses no decision which this one lacks; the cell around this one had none, so it uses the last."""
        here = set(cell)
        return next((one for one in self.known.get(cell[-1], ()) if one.uses <= here), None) if cell else None

    @property
    def cutoff(self) -> float:
        """What is to be proved, in the units of the search, less what rounding may hide; infinite if there is no point."""
        if self.target is None:
            return np.inf
        value = float(self.target) * self.f.unit
        return value - NEAR * (1.0 + abs(value))

    @property
    def constant(self) -> float:
        """The objective's constant, where there is an objective."""
        return self.f.constant if self.best is not None else 0.0

    def on_integer(self, part: Part, column: int, at: float) -> Node:
        """Branch on an integer column."""
        k = int(np.floor(at))
        word: Decision = ("<", column, Fraction(k))
        below = self.prove(part.bounded(word))
        if word not in below.uses:
            return below
        return on_integer(column, k, below, self.prove(part.bounded((">", column, Fraction(k + 1)))))

    # --- leaves ----------------------------------------------------------------------------------------------------

    @property
    def target(self) -> Fraction | None:
        """What every leaf should prove: the optimum, less what is given away."""
        return None if self.best is None else self.best.value - self.give

    def accepted(self, found: Leaf) -> bool:
        """Whether a leaf's bound is at the optimum, or so close below that the width is worth stating."""
        if found.bound is None or self.target is None:
            return True
        return float(self.target - found.bound) <= WIDTH * (1.0 + abs(float(self.target)))

    def bounded_below(self, cell: tuple[Decision, ...], y: Array) -> Leaf | None:
        """A leaf by weak duality, if one reaches the target or nearly so."""
        found = leaf(self.f, cell, 1, y, self.target)
        if found is None or found.bound is None or self.target is None or found.bound < self.target:
            other = basic_leaf(self.f.system, cell, 1, self.target)
            found = other if found is None or (other is not None and _better(other, found)) else found
        return found if found is not None and self.accepted(found) else None

    def empty(self, cell: tuple[Decision, ...], block: Block) -> Leaf | None:
        """A leaf by Farkas for a block that was found infeasible."""
        y = block.ray()
        found = None if y is None else leaf(self.f, cell, 0, y, None)
        if found is None:
            y = block.elastic()
            found = None if y is None else leaf(self.f, cell, 0, y, None)
        return basic_leaf(self.f.system, cell, 0, None) if found is None else found

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
        f, block = self.f, self.block
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
            raise Unproved("its share of time ran out" if self.out_of_time else "a cell could not be shown to be empty")
        else:
            closed = self.bound_of(part.cell, status)
        if closed is None:
            raise Unproved("its share of time ran out at a cell without a bound" if self.out_of_time else "a cell has no exact bound")
        return closed

    def bound_of(self, cell: tuple[Decision, ...], status: Status) -> Leaf | None:
        """A leaf with whatever bound the program just solved has."""
        return leaf(self.f, cell, 1, self.block.y, self.target) if status is Status.OPTIMAL else None

    # --- figures ---------------------------------------------------------------------------------------------------

    def remaining(self) -> float:
        """Seconds left."""
        return self.deadline - time.perf_counter()

    def fractional(self, x: Array) -> int:
        """The integer column farthest from a whole number, or -1."""
        if not len(self.whole):
            return -1
        away = np.abs(x[self.whole] - np.round(x[self.whole]))
        return int(self.whole[np.argmax(away)]) if away.max() > 1e-6 else -1


def _better(one: Node, other: Node) -> bool:
    """Whether a tree proves more."""
    first, second = bound(one), bound(other)
    return first is None or (second is not None and first > second)
