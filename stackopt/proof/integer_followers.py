"""Proofs for bilevel programs with one integer follower: the tree that `check_integer` reads, found in floating point, put into rationals.

Depth first over the linear relaxation of both players' rows. A relaxed point whose integers are whole shows the follower its x: if it has
a better answer, that reply is stored, and branching on the leader's integers reaches cells in which every x allows it.
"""

from __future__ import annotations

import copy
import dataclasses
import time
from collections.abc import Sequence
from fractions import Fraction
from math import ceil, floor
from typing import TYPE_CHECKING

import numpy as np

from stackopt.proof.basic import basic_leaf
from stackopt.proof.check import Decision, Rejected, Row, System, dot, load, restrict
from stackopt.proof.check_integer import Bilevel
from stackopt.proof.floats import Array, floats
from stackopt.proof.linear import Block
from stackopt.proof.point import Exactly, exact_point
from stackopt.proof.proof import Proof, checked
from stackopt.proof.repair import crossing, leaf
from stackopt.proof.tree import Leaf, Node, bound, lines, nodes, on_integer
from stackopt.solution import Status

if TYPE_CHECKING:
    from stackopt.bilevel.program import BilevelProgram

#: A leaf may miss the target by this much, relative to 1 + its size.
NEAR = 1e-7
#: Whole to a linear program.
WHOLE = 1e-6
#: A reply that improves on less than this, relative to 1 + the follower's value, is none.
BETTER = 1e-7
#: Cells at most, and how deep: the search is recursive, six calls a level.
CELLS, DEPTH = 20_000, 100


class Unproved(Exception):
    """No proof was found, in words."""


class Improved(Exception):
    """A bilevel feasible point is better than the one to be proved: the floating-point search was wrong."""

    def __init__(self, values: Array) -> None:
        super().__init__("there is a better point than the one to be proved")
        self.values = values


@dataclasses.dataclass(frozen=True)
class IntegerProof:
    """A proof that the checker accepted, and the point in it, one value for each variable."""

    proof: Proof
    point: list[float]


def prove_integer(program: BilevelProgram, values: Array, seconds: float = 60.0) -> IntegerProof | str:
    """A proof of the optimum near a point, or why there is none.

    Parameters
    ----------
    program : BilevelProgram
        One mixed-integer linear follower, linear leader, optimistic ties; leader columns in follower rows are integers.
    values : array [n]
        The optimum of a floating-point search. If a better point turns up, that one is proved.
    seconds : float

    Returns
    -------
    IntegerProof or str
    """
    from stackopt.bilevel.json_file import text, to_record
    from stackopt.errors import InvalidProgram

    begun = time.perf_counter()
    try:
        written = text(to_record(program))
        posed = Bilevel(load(written))
        proof, v = _proved(posed, program, written, np.asarray(values, float), begun, seconds)
    except Rejected as why:
        return f"the checker does not accept it: {why}"
    except InvalidProgram:
        return "it has no JSON form"
    except Unproved as why:
        return str(why)
    except ValueError as why:  # Python writes no integers of more digits than sys.get_int_max_str_digits()
        return f"a number cannot be written: {why}"
    return IntegerProof(proof, [float(x) for x in v])


def _proved(posed: Bilevel, program: BilevelProgram, written: str, values: Array, begun: float, seconds: float) -> tuple[Proof, list[Fraction]]:
    deadline = begun + seconds
    mine = set(posed.mine)
    seen = {j for coef, _, _ in posed.own.rows for j, a in coef.items() if a} - mine
    if seen - set(posed.joint.ints):
        raise Unproved("a continuous leader variable enters the follower's rows")
    best, search, tree = searched(posed, program, values, deadline)
    own = posed.reacting(best.v)
    least = dot(own.cost, best.v) + own.const
    answer = Cells(own, least, deadline).tree()
    found = bound(answer)
    if found is None or found < least:
        raise Unproved("the follower's optimum was not proved exactly")
    low = bound(tree)
    text = "\n".join([
        "stackopt-integer-proof 1", f"problem {posed.digest()}", f"upper {best.value}", f"lower {best.value if low is None else min(low, best.value)}",
        _vector("point", dict(enumerate(best.v))), f"replies {len(search.replies)}", *(_vector("reply", y) for y in search.replies), "follower",
        "stackopt-proof 1", f"problem {own.digest()}", "status bound", f"lower {least}", "tree", *lines(answer), "end",
        "tree", *(node.line() if isinstance(node, Leaf) else node.word for node in nodes(tree)), "end", "",
    ])  # fmt: skip
    emitted = time.perf_counter()
    proof = checked(written, text)
    return dataclasses.replace(proof, seconds={"search": emitted - begun, "check": time.perf_counter() - emitted}), best.v


def searched(posed: Bilevel, program: BilevelProgram, values: Array, deadline: float) -> tuple[Exactly, WithReplies, Node]:
    """The best point that was found, from `values` on, and the tree that shows that there is no better one."""
    best: Exactly | None = None
    while True:
        found = attained(posed, values)
        if found is None:
            raise Unproved("no exact point near the optimum was found")
        if best is not None and found.value >= best.value:
            raise Unproved("there seems to be a better point than the one to be proved, but not in exact arithmetic")
        best, search = found, WithReplies(posed, program, found.value, deadline)
        try:
            return best, search, search.tree()
        except Improved as better:
            values = better.values


def attained(posed: Bilevel, values: Array) -> Exactly | None:
    """The exact bilevel feasible point of least value with the integers of `values` and the follower's value there, or None."""
    x = [Fraction(round(a)) if j in posed.joint.ints else Fraction(a) for j, a in enumerate(values.tolist())]
    mine = set(posed.mine)
    answer = exact_reply(posed, x, values)
    if answer is None:
        return None
    rows = [*posed.joint.rows, ({j: -a for j, a in posed.cost.items()}, False, -dot(posed.cost, answer))]
    system = with_rows(posed.joint, rows)
    for j in range(len(x)):
        if j in posed.joint.ints and j not in mine:
            system.lb[j] = system.ub[j] = x[j]
    return exact_point(floats(system), values)


def exact_reply(posed: Bilevel, x: Sequence[Fraction], values: Array) -> list[Fraction] | None:
    """The exact optimum of the follower's program at x, with its integers as in `values`."""
    system = posed.reacting(x)
    found = exact_point(floats(system), values)
    return None if found is None else found.v


def with_rows(S: System, rows: list[tuple[Row, bool, Fraction]]) -> System:
    """The system with other rows, and bounds of its own."""
    found = copy.copy(S)
    found.rows, found.lb, found.ub = rows, list(S.lb), list(S.ub)
    return found


def whole(system: System) -> Block:
    """The relaxation over all columns and rows of a system, kept warm."""
    f = floats(system)
    return Block(f, np.arange(len(f.cost)), np.arange(len(f.rhs)))


class Cells:
    """Depth-first search for a tree that shows that a system has no value below `target`.

    Parameters
    ----------
    system : System
        Linear, without pairs.
    target : Fraction
    deadline : float
        On `time.perf_counter`.
    """

    def __init__(self, system: System, target: Fraction, deadline: float) -> None:
        self.target, self.deadline, self.count, self.depth = target, deadline, 0, 0
        self.system, self.block = system, whole(system)

    def tree(self, cell: tuple[Decision, ...] = ()) -> Node:
        """The tree of a cell.

        Raises
        ------
        Unproved
            If time, `CELLS` or `DEPTH` run out, or a cell cannot be closed.
        """
        self.count, self.depth = self.count + 1, self.depth + 1
        if time.perf_counter() > self.deadline or self.count > CELLS or self.depth > DEPTH:
            raise Unproved("no proof within the time or the number of cells")
        found = self.closed_or_divided(cell)
        self.depth -= 1
        return found

    def closed_or_divided(self, cell: tuple[Decision, ...]) -> Node:
        """The tree of a cell, its limits being kept."""
        lb, ub, _ = restrict(self.system, cell)
        if any(low is not None and up is not None and low > up for low, up in zip(lb, ub)):
            empty = crossing(self.block.f, cell)
            assert empty is not None
            return empty
        return self.open(cell, self.allowed(lb, ub))

    def allowed(self, lb: list[Fraction | None], ub: list[Fraction | None]) -> Block:
        """The program whose rows all hold in a cell with these bounds."""
        return self.block

    def open(self, cell: tuple[Decision, ...], block: Block) -> Node:
        """Close a cell by a leaf, or divide it."""
        f = block.f
        block.enter(*f.cell(cell))
        status = block.solve(max(self.deadline - time.perf_counter(), 1e-3))
        if status is Status.INFEASIBLE:
            found = self.empty(cell, block)
            if found is None:
                raise Unproved("a cell could not be shown to be empty")
            return found
        if status is not Status.OPTIMAL:
            raise Unproved(f"a relaxation is {status}")
        x = block.x * f.column
        value = (float(f.cost @ block.x) + f.constant) / f.unit
        goal = float(self.target)
        if value >= goal - NEAR * (1.0 + abs(goal)):
            closed = leaf(f, cell, 1, block.y, self.target)
            if closed is None or closed.bound is None or closed.bound < self.target:
                other = basic_leaf(f.system, cell, 1, self.target)
                closed = other if closed is None or (other is not None and (other.bound or 0) > (closed.bound or 0)) else closed
            if closed is not None and closed.bound is not None and float(self.target - closed.bound) <= NEAR * (1.0 + abs(goal)):
                return self.used(closed, cell)
        return self.divide(cell, x)

    def empty(self, cell: tuple[Decision, ...], block: Block) -> Leaf | None:
        """A Farkas leaf."""
        for multipliers in (block.ray, block.elastic):
            y = multipliers()
            found = None if y is None else leaf(block.f, cell, 0, y, None)
            if found is not None:
                return self.used(found, cell)
        found = basic_leaf(block.f.system, cell, 0, None)
        return None if found is None else self.used(found, cell)

    def used(self, found: Leaf, cell: tuple[Decision, ...]) -> Leaf:
        """The leaf as the file has it."""
        return found

    def divide(self, cell: tuple[Decision, ...], x: Array) -> Node:
        """The cell in two, by the integer column that is farthest from whole."""
        away = {j: abs(x[j] - round(x[j])) for j in self.system.ints}
        j = max(away, key=lambda j: away[j], default=-1)
        if j < 0 or away[j] <= WHOLE:
            return self.settled(cell, x)
        return self.at(cell, j, int(np.floor(x[j])))

    def at(self, cell: tuple[Decision, ...], j: int, k: int) -> Node:
        """The cell in two: column j at most k, and above."""
        below: Decision = ("<", j, Fraction(k))
        first = self.tree((*cell, below))
        if below not in first.uses:
            return first
        return on_integer(j, k, first, self.tree((*cell, (">", j, Fraction(k + 1)))))

    def settled(self, cell: tuple[Decision, ...], x: Array) -> Node:
        """What is done with a cell whose relaxed optimum is whole and better than the target."""
        raise Unproved("the follower has a better answer to the point than was claimed")


class WithReplies(Cells):
    """The search over both players' rows, with the cuts of stored replies."""

    def __init__(self, posed: Bilevel, program: BilevelProgram, target: Fraction, deadline: float) -> None:
        self.posed, self.program, self.replies, self.blocks = posed, program, list[Row](), dict[int, Block]()
        super().__init__(posed.joint, target, deadline)

    def allowed(self, lb: list[Fraction | None], ub: list[Fraction | None]) -> Block:
        """The joint rows, and the cut of the best reply that all x of the cell allow; 0 >= 0 in the place of others."""
        fitting = [k for k, y in enumerate(self.replies) if self.posed.fits(y, lb, ub)]
        best = min(fitting, key=lambda k: dot(self.posed.cost, self.dense(self.replies[k])), default=-1)
        if best < 0:
            return self.block
        if best not in self.blocks:
            base = self.posed.joint.rows
            cut = self.posed.with_cuts([self.replies[best]]).rows[-1]
            self.blocks[best] = whole(with_rows(self.posed.joint, [*base, *[(dict[int, Fraction](), False, Fraction(0))] * best, cut]))
        return self.blocks[best]

    def dense(self, y: Row) -> list[Fraction]:
        """A reply over all columns."""
        return [y.get(j, Fraction(0)) for j in range(len(self.posed.joint.lb))]

    def used(self, found: Leaf, cell: tuple[Decision, ...]) -> Leaf:
        """A leaf that gives a cut a weight needs every decision on the leader's columns: they let the reply fit."""
        base = len(self.posed.joint.rows)
        if not any(i >= base for i in found.weights) or found.kind == "e":
            return found
        mine = set(self.posed.mine)
        return dataclasses.replace(found, uses=found.uses | {d for d in cell if d[1] not in mine})

    def settled(self, cell: tuple[Decision, ...], x: Array) -> Node:
        """Ask the follower; store its reply; divide until the reply fits."""
        from stackopt.bilevel.follower import respond

        ints = set(self.system.ints)
        at = np.array([round(a) if j in ints else a for j, a in enumerate(x.tolist())], float)
        response = respond(self.program, 0, at, time_limit=max(self.deadline - time.perf_counter(), 0.1))
        if response.variables is None:
            raise Unproved(f"the follower's answer to a point is {response.status}")
        q = self.posed.cost
        guess = at.copy()
        guess[self.posed.mine] = response.variables
        answer = exact_reply(self.posed, [Fraction(a) for a in at.tolist()], guess)
        if answer is None:
            raise Unproved("no exact reply of the follower was found")
        value, here = float(dot(q, answer)), sum(float(a) * x[j] for j, a in q.items())
        if not value < here - BETTER * (1.0 + abs(value)):
            raise Improved(at)
        reply = {j: answer[j] for j in self.posed.mine if answer[j]}
        if reply not in self.replies:
            self.replies.append(reply)
        lb, ub, _ = restrict(self.system, cell)
        split = self.towards(reply, lb, ub, at)
        return self.tree(cell) if split is None else self.at(cell, *split)

    def towards(self, y: Row, lb: list[Fraction | None], ub: list[Fraction | None], at: Array) -> tuple[int, int] | None:
        """(leader column j, k) to divide by, so that the part with `at` [n] is nearer to allowing y throughout; None if all of it does."""
        mine, ends = set(self.posed.mine), (lb, ub)
        for i, (coef, _, _) in enumerate(self.posed.own.rows):
            for sign, slack in zip((1, -1), self.posed.least(i, y, lb, ub)):
                if slack is not None and slack >= 0:
                    continue
                gains = dict[int, float]()  # what a column takes from the slack by moving away from `at`
                for j, a in coef.items():
                    end = ends[sign * a < 0][j]
                    if a and j not in mine and end != int(at[j]):
                        gains[j] = np.inf if end is None else abs(float(a) * (float(end) - at[j]))
                if not gains:
                    raise Unproved("a reply breaks one of the follower's rows in exact arithmetic")
                j = max(gains, key=lambda j: gains[j])
                low, up = list(lb), list(ub)
                low[j] = up[j] = Fraction(0)
                rest = self.posed.least(i, y, low, up)[sign < 0]
                rising, k = sign * coef[j] > 0, int(at[j])
                if rest is not None:  # no tighter than what the row asks for with all others at their worst
                    needed = -rest / (sign * coef[j])
                    k = min(ceil(needed), k) if rising else max(floor(needed), k)
                return (j, k - 1) if rising else (j, k)
        return None


def _vector(word: str, v: Row) -> str:
    return " ".join([word, *(f"{j}:{x}" for j, x in sorted(v.items()) if x)])
