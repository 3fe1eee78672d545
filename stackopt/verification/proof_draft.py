"""A proof taken apart, to be changed and put together again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from stackopt.proof import check

Random = np.random.Generator


@dataclass
class Draft:
    """A proof taken apart: the problem's record, the lines up to ``tree``, the lines of the tree (without ``end``), the end."""

    record: Any
    head: list[str]
    tree: list[str]
    end: list[str]

    def proof(self) -> str:
        """The text."""
        return "\n".join([*self.head, "tree", *self.tree, *self.end]) + "\n" * bool(self.end)

    def place(self, key: str) -> int:
        """Where a field stands in the head; IndexError if it does not."""
        return [line.split()[0] for line in self.head].index(key)

    def lines(self, *ops: str) -> list[int]:
        """Which lines of the tree have one of these kinds."""
        return [i for i, line in enumerate(self.tree) if line.split()[0] in ops]

    def below(self, i: int) -> int:
        """One past the last line of the subtree that starts at line i."""
        still = 1
        while still:
            still += 1 if self.tree[i].split()[0] in "bi" else -1
            i += 1
        return i


class NotHere(Exception):
    """The proof has nothing that this kind could break."""


#: Breaks a draft in place.
Kind = Callable[[Random, Draft], None]


def kind(table: dict[str, Kind]) -> Callable[[Kind], Kind]:
    """Puts a function into a table of kinds, under its name."""

    def register(make: Kind) -> Kind:
        table[make.__name__] = make
        return make

    return register


def taken_apart(problem: str, proof: str) -> Draft:
    """A draft of a proof."""
    lines = proof.split("\n")
    at, stop = lines.index("tree"), lines.index("end")
    return Draft(json.loads(problem), lines[:at], lines[at + 1 : stop], ["end"])


def entries(line: str) -> list[tuple[int, str]]:
    """(place, word) of the entries of a sparse vector in a line."""
    return [(at, word) for at, word in enumerate(line.split()) if ":" in word]


def picked(rng: Random, line: str) -> tuple[list[str], int, str, Fraction]:
    """Words of the line, the place of one of its entries, and that entry; for a leaf, of one before ``at``."""
    words = line.split()
    found = [(at, word) for at, word in entries(line) if "at" not in words or at < words.index("at")]
    if not found:
        raise NotHere
    at, word = found[int(rng.integers(len(found)))]
    i, x = word.split(":")
    return words, at, i, Fraction(x)


def some(rng: Random, found: list[Any]) -> Any:
    """One of them; NotHere if there is none."""
    if not found:
        raise NotHere
    return found[int(rng.integers(len(found)))]


def lowered(draft: Draft) -> check.System:
    """The system of the draft's problem."""
    return check.lower(check.load(json.dumps(draft.record)))


def line_of(rng: Random, draft: Draft, *ops: str) -> int:
    """A line of the tree of one of these kinds; NotHere if there is none."""
    found = draft.lines(*ops)
    if not found:
        raise NotHere
    return found[int(rng.integers(len(found)))]
