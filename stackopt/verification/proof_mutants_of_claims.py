"""Mutants of what a proof claims: its status, its bounds, its point."""

from __future__ import annotations

from fractions import Fraction

from stackopt.verification.proof_draft import Draft, Kind, NotHere, Random, entries, kind, lowered, picked

KINDS: dict[str, Kind] = {}


def _number(draft: Draft, key: str) -> Fraction:
    return Fraction(draft.head[draft.place(key)].split()[1])


def _say(draft: Draft, key: str, number: Fraction) -> None:
    draft.head[draft.place(key)] = f"{key} {number}"


def _shift(draft: Draft, by: Fraction) -> None:
    for key in ("upper", "lower"):
        _say(draft, key, _number(draft, key) + by)


@kind(KINDS)
def upper_and_lower_better_by_1e6th(rng: Random, draft: Draft) -> None:
    """The optimum claimed is a little better than it is."""
    _shift(draft, -(1 + abs(_number(draft, "upper"))) / 10**6)


@kind(KINDS)
def upper_and_lower_worse_by_1(rng: Random, draft: Draft) -> None:
    """The optimum claimed is worse than it is."""
    _shift(draft, Fraction(1))


@kind(KINDS)
def lower_raised(rng: Random, draft: Draft) -> None:
    """The lower bound stands above the upper."""
    _say(draft, "lower", _number(draft, "lower") + Fraction(1, 10**9))


@kind(KINDS)
def upper_lowered(rng: Random, draft: Draft) -> None:
    """The value of the point is said to be better than it is, and the lower bound gives way."""
    _say(draft, "upper", _number(draft, "upper") - 1)
    _say(draft, "lower", _number(draft, "lower") - 2)


@kind(KINDS)
def bound_raised(rng: Random, draft: Draft) -> None:
    """Only a bound is claimed, and it is too good."""
    _only_bound(draft, Fraction(1, 1000))


def _only_bound(draft: Draft, by: Fraction) -> None:
    low = _number(draft, "lower") + by
    draft.head = [line for line in draft.head if line.split()[0] not in ("status", "upper", "lower", "point")]
    draft.head += ["status bound", f"lower {low}"]


@kind(KINDS)
def claims_infeasible(rng: Random, draft: Draft) -> None:
    """No feasible point, says the head."""
    draft.head = [*(line for line in draft.head if line.split()[0] not in ("status", "upper", "lower", "point", "ray")), "status infeasible"]


@kind(KINDS)
def claims_optimal(rng: Random, draft: Draft) -> None:
    """An infeasible problem is said to have an optimum, at zero."""
    i = draft.place("status")
    if draft.head[i] != "status infeasible":
        raise NotHere
    draft.head[i:] = ["status optimal", "upper 0", "lower 0", "point "]


@kind(KINDS)
def claims_unbounded(rng: Random, draft: Draft) -> None:
    """The objective is said to fall along a direction."""
    words = draft.head[draft.place("point")].split()[1:]
    j = int(words[rng.integers(len(words))].split(":")[0]) if words else 0
    draft.head = [line for line in draft.head if line.split()[0] not in ("upper", "lower")]
    draft.head[draft.place("status")] = "status unbounded"
    draft.head.append(f"ray {j}:{int(rng.choice([-1, 1]))}")
    draft.tree = []


@kind(KINDS)
def other_status(rng: Random, draft: Draft) -> None:
    """A status that does not exist."""
    draft.head[draft.place("status")] = "status proved"


@kind(KINDS)
def other_version(rng: Random, draft: Draft) -> None:
    """Another version of the format."""
    draft.head[0] = "stackopt-proof 2"


@kind(KINDS)
def other_problem(rng: Random, draft: Draft) -> None:
    """The hash of another problem."""
    i = draft.place("problem")
    digit = draft.head[i][-1]
    draft.head[i] = draft.head[i][:-1] + ("0" if digit != "0" else "1")


@kind(KINDS)
def field_missing(rng: Random, draft: Draft) -> None:
    """A line of the head is gone."""
    del draft.head[int(rng.integers(len(draft.head)))]


@kind(KINDS)
def fields_exchanged(rng: Random, draft: Draft) -> None:
    """Two lines of the head in the other order."""
    i = int(rng.integers(len(draft.head) - 1))
    draft.head[i], draft.head[i + 1] = draft.head[i + 1], draft.head[i]


@kind(KINDS)
def point_moved_by_1e_minus_12(rng: Random, draft: Draft) -> None:
    """One coordinate is off by far less than any tolerance."""
    i = draft.place("point")
    words, at, j, x = picked(rng, draft.head[i])
    words[at] = f"{j}:{x + Fraction(1, 10**12)}"
    draft.head[i] = " ".join(words)


@kind(KINDS)
def point_entry_dropped(rng: Random, draft: Draft) -> None:
    """One coordinate or multiplier of the point is gone."""
    i = draft.place("point")
    words, at, _, _ = picked(rng, draft.head[i])
    del words[at]
    draft.head[i] = " ".join(words)


@kind(KINDS)
def point_entry_negated(rng: Random, draft: Draft) -> None:
    """One coordinate or multiplier of the point has the other sign."""
    i = draft.place("point")
    words, at, j, x = picked(rng, draft.head[i])
    words[at] = f"{j}:{-x}"
    draft.head[i] = " ".join(words)


@kind(KINDS)
def point_entry_appended(rng: Random, draft: Draft) -> None:
    """A column that is zero becomes one."""
    i = draft.place("point")
    used = {int(word.split(":")[0]) for _, word in entries(draft.head[i])}
    columns = [j for j in range(len(lowered(draft).lb)) if j not in used]
    if not columns:
        raise NotHere
    draft.head[i] += f" {columns[int(rng.integers(len(columns)))]}:1"


@kind(KINDS)
def ray_turned(rng: Random, draft: Draft) -> None:
    """The direction of an unbounded problem points the other way."""
    i = draft.place("ray")
    words, at, j, x = picked(rng, draft.head[i])
    words[at] = f"{j}:{-x}"
    draft.head[i] = " ".join(words)


@kind(KINDS)
def ray_entry_dropped(rng: Random, draft: Draft) -> None:
    """The direction of an unbounded problem lacks an entry."""
    i = draft.place("ray")
    words, at, _, _ = picked(rng, draft.head[i])
    del words[at]
    draft.head[i] = " ".join(words)
