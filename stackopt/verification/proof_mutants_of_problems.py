"""Mutants of the problem; the hash is put right again, so that only the mathematics can notice."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from stackopt.verification.proof_draft import Draft, Kind, NotHere, Random, entries, kind, some

KINDS: dict[str, Kind] = {}


def _level(rng: Random, draft: Draft) -> Any:
    followers = draft.record["followers"]
    return followers[int(rng.integers(len(followers)))]


def _moved(rng: Random, level: Any) -> None:
    row = some(rng, [row for row in level.get("constraints", []) if row.get("rhs") is not None])
    row["rhs"] += float(rng.choice([-1, 1, -0.001, 0.001]))


@kind(KINDS)
def tamper_leader_cost(rng: Random, draft: Draft) -> None:
    """The leader pays another price."""
    cost = draft.record["leader"]["objective"].get("linear") or {}
    cost[some(rng, sorted(cost))] += float(rng.choice([-1, 1, 0.001]))


@kind(KINDS)
def tamper_leader_constant(rng: Random, draft: Draft) -> None:
    """The leader's objective has another constant."""
    goal = draft.record["leader"]["objective"]
    goal["constant"] = goal.get("constant", 0) + 1


@kind(KINDS)
def tamper_leader_sense(rng: Random, draft: Draft) -> None:
    """The leader wants the opposite."""
    goal = draft.record["leader"]["objective"]
    goal["sense"] = "max" if goal["sense"] == "min" else "min"


@kind(KINDS)
def tamper_leader_rhs(rng: Random, draft: Draft) -> None:
    """A row of the leader moves."""
    _moved(rng, draft.record["leader"])


@kind(KINDS)
def tamper_follower_rhs(rng: Random, draft: Draft) -> None:
    """A row of a follower moves."""
    _moved(rng, _level(rng, draft))


@kind(KINDS)
def tamper_follower_sense(rng: Random, draft: Draft) -> None:
    """A follower wants the opposite."""
    goal = _level(rng, draft)["objective"]
    goal["sense"] = "max" if goal["sense"] == "min" else "min"


@kind(KINDS)
def tamper_follower_cost(rng: Random, draft: Draft) -> None:
    """A follower pays another price."""
    cost = _level(rng, draft)["objective"].get("linear") or {}
    cost[some(rng, sorted(cost))] += float(rng.choice([-1, 1, -0.001]))


@kind(KINDS)
def tamper_follower_product(rng: Random, draft: Draft) -> None:
    """A product in a follower's objective has another factor."""
    term = some(rng, _level(rng, draft)["objective"].get("quadratic") or [])
    term[2] = term[2] * float(rng.choice([-1, 2, 0.5]))


@kind(KINDS)
def tamper_coefficient(rng: Random, draft: Draft) -> None:
    """A row has another coefficient."""
    row = some(rng, [row for level in (draft.record["leader"], *draft.record["followers"]) for row in level.get("constraints", []) if row.get("linear")])
    row["linear"][some(rng, sorted(row["linear"]))] += float(rng.choice([-1, 1, 0.001]))


@kind(KINDS)
def tamper_operator(rng: Random, draft: Draft) -> None:
    """A row says the opposite, or is an equation."""
    row = some(rng, [row for level in (draft.record["leader"], *draft.record["followers"]) for row in level.get("constraints", []) if row.get("op")])
    row["op"] = str(rng.choice([op for op in ("<=", ">=", "==") if op != row["op"]]))


@kind(KINDS)
def tamper_bound(rng: Random, draft: Draft) -> None:
    """A bound moves, or a missing one appears."""
    variable = some(rng, [v for v in draft.record["variables"] if v.get("type", "continuous") != "binary"])
    side, way = ("lb", 1.0) if rng.random() < 0.5 else ("ub", -1.0)
    variable[side] = -way * 3.0 if variable.get(side) is None else variable[side] + way * float(rng.choice([-1, 0.5]))


@kind(KINDS)
def bound_cuts_off_the_point(rng: Random, draft: Draft) -> None:
    """A bound of the leader's moves past the point."""
    i = draft.place("point")
    j = int(rng.integers(len(draft.record["variables"])))
    variable, x = draft.record["variables"][j], dict(word.split(":") for _, word in entries(draft.head[i])).get(str(j), "0")
    if variable["owner"] != "leader":
        raise NotHere
    if rng.random() < 0.5:
        variable["lb"] = round(float(Fraction(x)) + 0.01, 6)
    else:
        variable["ub"] = round(float(Fraction(x)) - 0.01, 6)


@kind(KINDS)
def tamper_type(rng: Random, draft: Draft) -> None:
    """An integer becomes continuous, or a leader's continuous variable an integer."""
    whole = [v for v in draft.record["variables"] if v["owner"] == "leader" and v.get("lb") is not None and v.get("ub") is not None]
    variable = some(rng, whole)
    variable["type"] = "continuous" if variable.get("type", "continuous") != "continuous" else "integer"


@kind(KINDS)
def tamper_owner(rng: Random, draft: Draft) -> None:
    """A variable changes hands."""
    variable = some(rng, [v for v in draft.record["variables"] if v.get("type", "continuous") == "continuous"])
    players = ["leader", *(f["name"] for f in draft.record["followers"])]
    variable["owner"] = str(rng.choice([p for p in players if p != variable["owner"]]))
