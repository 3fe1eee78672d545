"""Mutants of the tree of cells, and of the file as a whole."""

from __future__ import annotations

from stackopt.verification.proof_draft import Draft, Kind, Random, kind, line_of

KINDS: dict[str, Kind] = {}


@kind(KINDS)
def forward_reference(rng: Random, draft: Draft) -> None:
    """A leaf refers to one that is not there yet."""
    draft.tree[line_of(rng, draft, "d", "f", "r")] = f"r {len(draft.tree)}"


@kind(KINDS)
def reference_to_another_leaf(rng: Random, draft: Draft) -> None:
    """A leaf borrows the multipliers of the first."""
    draft.tree[line_of(rng, draft, "d", "f", "r")] = "r 0"


@kind(KINDS)
def children_swapped(rng: Random, draft: Draft) -> None:
    """The two parts of a cell in the wrong order."""
    i = line_of(rng, draft, "b", "i")
    middle = draft.below(i + 1)
    last = draft.below(middle)
    draft.tree[i + 1 : last] = draft.tree[middle:last] + draft.tree[i + 1 : middle]


@kind(KINDS)
def branching_pair_changed(rng: Random, draft: Draft) -> None:
    """A cell is divided by another pair."""
    i = line_of(rng, draft, "b")
    p = int(draft.tree[i].split()[1])
    draft.tree[i] = f"b {p + 1 if p == 0 or rng.random() < 0.5 else p - 1}"


@kind(KINDS)
def branching_pair_out_of_range(rng: Random, draft: Draft) -> None:
    """A pair that does not exist."""
    draft.tree[line_of(rng, draft, "b")] = f"b {int(rng.choice([-1, 100_000]))}"


@kind(KINDS)
def integer_bound_changed(rng: Random, draft: Draft) -> None:
    """An integer is divided at another place."""
    i = line_of(rng, draft, "i")
    _, j, k = draft.tree[i].split()
    draft.tree[i] = f"i {j} {int(k) + int(rng.choice([-1, 1]))}"


@kind(KINDS)
def integer_branching_on_another_column(rng: Random, draft: Draft) -> None:
    """Integer branching on a column that may be continuous."""
    i = line_of(rng, draft, "i", "b")
    words = draft.tree[i].split()
    draft.tree[i] = f"i {int(words[1]) + 1} {words[2] if len(words) > 2 else 0}"


@kind(KINDS)
def integer_branching_at_a_fraction(rng: Random, draft: Draft) -> None:
    """Integer branching at a number that is not whole."""
    i = line_of(rng, draft, "i")
    draft.tree[i] += "/2"


@kind(KINDS)
def subtree_replaced_by_its_first_leaf(rng: Random, draft: Draft) -> None:
    """The first part's leaf stands for the whole cell."""
    i = line_of(rng, draft, "b", "i")
    last = draft.below(i)
    draft.tree[i:last] = [next(line for line in draft.tree[i:last] if line[0] not in "bi")]


@kind(KINDS)
def trailing_leaf(rng: Random, draft: Draft) -> None:
    """A leaf too many."""
    draft.tree.append("f 0:1")


@kind(KINDS)
def blank_line(rng: Random, draft: Draft) -> None:
    """A line of the tree is empty."""
    draft.tree.insert(int(rng.integers(len(draft.tree) + 1)), "")


@kind(KINDS)
def unknown_line(rng: Random, draft: Draft) -> None:
    """A leaf of a kind that does not exist."""
    draft.tree[line_of(rng, draft, "d", "f", "e", "r")] = "x 0"


@kind(KINDS)
def end_missing(rng: Random, draft: Draft) -> None:
    """No end."""
    draft.end = []


@kind(KINDS)
def text_after_the_end(rng: Random, draft: Draft) -> None:
    """Something follows the end."""
    draft.end.append("status optimal")


@kind(KINDS)
def file_cut_in_half(rng: Random, draft: Draft) -> None:
    """The second half of the lines is gone."""
    lines = [*draft.head, "tree", *draft.tree]
    kept = lines[: max(1, len(lines) // 2)]
    draft.head, draft.tree, draft.end = kept, [], []
