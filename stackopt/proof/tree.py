"""Trees of proofs: leaves that close a cell, branchings, and their text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction

from stackopt.proof.check import Decision, Row


@dataclass(frozen=True, eq=False)
class Leaf:
    """One line that closes a cell.

    Attributes
    ----------
    kind : str
        "d": weak duality bounds the objective; "f": Farkas, the cell is empty; "e": a column's bounds cross.
    weights : dict
        Multipliers of rows; for "e" the column alone.
    at : dict
        Where a quadratic objective is replaced by its tangent.
    bound : Fraction or None
        What a "d" leaf proves; None for an empty cell.
    uses : frozenset of Decision
        The decisions without which it would prove less.
    """

    kind: str
    weights: Row
    at: Row = field(default_factory=dict)
    bound: Fraction | None = None
    uses: frozenset[Decision] = frozenset()

    def line(self) -> str:
        """Its text."""
        if self.kind == "e":
            return f"e {next(iter(self.weights))}"
        tail = " at " + _sparse(self.at) if self.at else ""
        return f"{self.kind} {_sparse(self.weights)}".rstrip() + tail


@dataclass(frozen=True, eq=False)
class Branch:
    """A cell in two parts.

    Attributes
    ----------
    word : str
        "b 3": pair 3 has slack 0, or multiplier 0; "i 2 5": column 2 is at most 5, or at least 6.
    first, second : Leaf or Branch
    uses : frozenset of Decision
    """

    word: str
    first: Leaf | Branch
    second: Leaf | Branch
    uses: frozenset[Decision]


Node = Leaf | Branch


def on_pair(p: int, tight: Node, zero: Node) -> Node:
    """The tree of a cell from those of its two parts; a part that never uses its decision is the tree of the whole cell."""
    slack, multiplier = ("S", p, Fraction(0)), ("M", p, Fraction(0))
    return _joined(f"b {p}", tight, zero, slack, multiplier)


def on_integer(j: int, k: int, below: Node, above: Node) -> Node:
    """The same for an integer column at most k, or at least k + 1."""
    return _joined(f"i {j} {k}", below, above, ("<", j, Fraction(k)), (">", j, Fraction(k + 1)))


def _joined(word: str, first: Node, second: Node, one: Decision, other: Decision) -> Node:
    if one not in first.uses:
        return first
    if other not in second.uses:
        return second
    return Branch(word, first, second, (first.uses - {one}) | (second.uses - {other}))


def nodes(tree: Node) -> Iterable[Node]:
    """All nodes in the order of the file: a branching, its first part, its second part."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, Branch):
            waiting += [node.second, node.first]


def lines(tree: Node) -> list[str]:
    """The text of a tree; a leaf whose multipliers were written before is named by its number there."""
    found, known, written = list[str](), dict[str, int](), 0
    for node in nodes(tree):
        if isinstance(node, Branch):
            found.append(node.word)
            continue
        text = node.line()
        if node.kind != "e":
            at = known.get(text)
            if at is not None and len(f"r {at}") < len(text):
                found.append(f"r {at}")
                continue
            known.setdefault(text, written)
            written += 1
        found.append(text)
    return found


def bound(tree: Node) -> Fraction | None:
    """The least bound of the leaves; None if all cells are empty."""
    return min((node.bound for node in nodes(tree) if isinstance(node, Leaf) and node.bound is not None), default=None)


def _sparse(row: Row) -> str:
    return " ".join(f"{j}:{x}" for j, x in sorted(row.items()) if x)
