"""Mutants of leaves: multipliers, rows, kinds."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from stackopt.verification.proof_draft import Draft, Kind, NotHere, Random, entries, kind, line_of, lowered, picked

KINDS: dict[str, Kind] = {}


def _changed(rng: Random, draft: Draft, change: Callable[[str, Fraction], str]) -> None:
    i = line_of(rng, draft, "d", "f")
    words, at, row, x = picked(rng, draft.tree[i])
    words[at] = change(row, x)
    draft.tree[i] = " ".join(word for word in words if word)


@kind(KINDS)
def leaf_multiplier_negated(rng: Random, draft: Draft) -> None:
    """A multiplier with the other sign."""
    _changed(rng, draft, lambda row, x: f"{row}:{-x}")


@kind(KINDS)
def leaf_multiplier_dropped(rng: Random, draft: Draft) -> None:
    """A multiplier is gone."""
    _changed(rng, draft, lambda row, x: "")


@kind(KINDS)
def leaf_multiplier_off_by_1e_minus_9(rng: Random, draft: Draft) -> None:
    """A multiplier is a little too small."""
    _changed(rng, draft, lambda row, x: f"{row}:{x - Fraction(1, 10**9)}")


@kind(KINDS)
def leaf_multiplier_of_another_row(rng: Random, draft: Draft) -> None:
    """A multiplier stands at the next row."""
    _changed(rng, draft, lambda row, x: f"{int(row) + 1}:{x}")


@kind(KINDS)
def nan(rng: Random, draft: Draft) -> None:
    """A multiplier is not a number."""
    _changed(rng, draft, lambda row, x: f"{row}:nan")


@kind(KINDS)
def infinite_multiplier(rng: Random, draft: Draft) -> None:
    """A multiplier is infinite."""
    _changed(rng, draft, lambda row, x: f"{row}:inf")


@kind(KINDS)
def zero_denominator(rng: Random, draft: Draft) -> None:
    """A multiplier is divided by zero."""
    _changed(rng, draft, lambda row, x: f"{row}:{x.numerator}/0")


@kind(KINDS)
def duplicate_index(rng: Random, draft: Draft) -> None:
    """A row has two multipliers."""
    _changed(rng, draft, lambda row, x: f"{row}:{x} {row}:{x}")


@kind(KINDS)
def negative_index(rng: Random, draft: Draft) -> None:
    """A row before the first."""
    _changed(rng, draft, lambda row, x: f"-1:{x}")


@kind(KINDS)
def index_out_of_range(rng: Random, draft: Draft) -> None:
    """A row after the last."""
    _changed(rng, draft, lambda row, x: f"1000000:{x}")


@kind(KINDS)
def row_counted_from_the_end(rng: Random, draft: Draft) -> None:
    """A row is named by a negative number, as Python's lists would have it."""
    size = len(lowered(draft).rows)
    _changed(rng, draft, lambda row, x: f"{int(row) - size}:{x}")


@kind(KINDS)
def pair_counted_from_the_end(rng: Random, draft: Draft) -> None:
    """A pair is named by a negative number."""
    i = line_of(rng, draft, "b")
    size = len(lowered(draft).pairs)
    draft.tree[i] = f"b {int(draft.tree[i].split()[1]) - size}"


@kind(KINDS)
def column_counted_from_the_end(rng: Random, draft: Draft) -> None:
    """The column of an empty cell is named by a negative number."""
    i = line_of(rng, draft, "e")
    size = len(lowered(draft).lb)
    draft.tree[i] = f"e {int(draft.tree[i].split()[1]) - size}"


@kind(KINDS)
def leaf_counted_from_the_end(rng: Random, draft: Draft) -> None:
    """A repeated leaf is named by a negative number."""
    later = draft.lines("d", "f", "r")[1:]
    if not later:
        raise NotHere
    i = later[int(rng.integers(len(later)))]
    draft.tree[i] = "r -1"


@kind(KINDS)
def zero_multiplier_added(rng: Random, draft: Draft) -> None:
    """A leaf mentions a row that it does not use: still a proof."""
    i = line_of(rng, draft, "d", "f")
    size = len(lowered(draft).rows)
    used = {int(word.split(":")[0]) for _, word in entries(draft.tree[i].split(" at ")[0])}
    rows = [row for row in range(size) if row not in used]
    if not rows:
        raise NotHere
    words = draft.tree[i].split()
    draft.tree[i] = " ".join([words[0], f"{rows[int(rng.integers(len(rows)))]}:0", *words[1:]])


@kind(KINDS)
def leaf_deleted(rng: Random, draft: Draft) -> None:
    """A cell is left uncovered."""
    del draft.tree[line_of(rng, draft, "d", "f", "e", "r")]


@kind(KINDS)
def bound_leaf_called_farkas(rng: Random, draft: Draft) -> None:
    """A cell with good points is said to be empty."""
    i = line_of(rng, draft, "d")
    draft.tree[i] = "f" + draft.tree[i][1:]


@kind(KINDS)
def farkas_called_bound(rng: Random, draft: Draft) -> None:
    """The multipliers of an empty cell as a bound."""
    i = line_of(rng, draft, "f")
    draft.tree[i] = "d" + draft.tree[i][1:]


@kind(KINDS)
def leaf_called_empty(rng: Random, draft: Draft) -> None:
    """A leaf becomes a column whose bounds are said to cross."""
    draft.tree[line_of(rng, draft, "d", "f")] = f"e {int(rng.integers(4))}"


@kind(KINDS)
def leaf_without_multipliers(rng: Random, draft: Draft) -> None:
    """A leaf that shows nothing."""
    i = line_of(rng, draft, "d", "f")
    draft.tree[i] = draft.tree[i][0]


@kind(KINDS)
def tangent_point_moved(rng: Random, draft: Draft) -> None:
    """The tangent of a quadratic objective is taken elsewhere."""
    found = [i for i in draft.lines("d") if " at " in draft.tree[i]]
    if not found:
        raise NotHere
    i = found[int(rng.integers(len(found)))]
    before, after = draft.tree[i].split(" at ")
    words = after.split()
    at = int(rng.integers(len(words)))
    j, x = words[at].split(":")
    words[at] = f"{j}:{Fraction(x) + 1}"
    draft.tree[i] = f"{before} at {' '.join(words)}"
