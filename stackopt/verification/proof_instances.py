"""Random small bilevel programs as JSON texts, for tests of proofs: everything that a proof covers, in tiny sizes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

#: Pairs of slack and multiplier that an instance has at most, so that all 2**PAIRS patterns can be tried.
PAIRS = 9


def instance(seed: int, index: int, *, wide: bool = False) -> str:
    """The JSON text of a program: 1-3 leader variables, 1-2 followers with 1-3 variables in all.

    Equations, ranges, free and fixed variables, both senses, coupling rows, decimals, integer leaders, convex quadratic and
    bilinear followers' objectives, followers that see each other. Whether it has a solution is left to chance. With `wide`, the leader's
    objective is convex quadratic, or has a multiplier of a follower in it, or both.
    """
    rng = np.random.default_rng([8 if wide else 7, seed, index])
    while True:
        record = _record(rng)
        if pairs(record) <= PAIRS:
            if wide:
                _widen(rng, record)
            return json.dumps(record)


def _widen(rng: np.random.Generator, record: dict[str, Any]) -> None:
    """A quadratic objective of the leader, or a multiplier in it."""
    goal, way = record["leader"]["objective"], rng.random()
    if way < 0.6:
        products: dict[tuple[str, str], float] = {}
        names = [v["name"] for v in record["variables"]]
        sign = 1 if goal["sense"] == "min" else -1
        for _ in range(int(rng.integers(1, 3))):
            form = {v: int(rng.integers(-1, 2)) for v in names}
            for i, v in enumerate(names):
                for w in names[i:]:
                    products[v, w] = products.get((v, w), 0) + sign * form[v] * form[w] * (1 if v == w else 2)
        goal["quadratic"] = [[v, w, _written(0.5 * a)] for (v, w), a in products.items() if a]
    if way > 0.4:
        follower = record["followers"][int(rng.integers(len(record["followers"])))]
        for i, row in enumerate(follower["constraints"]):
            row["name"] = f"row {i}"
        own = [v["name"] for v in record["variables"] if v["owner"] == follower["name"]]
        of = str(rng.choice([*(row["name"] for row in follower["constraints"]), own[0]]))
        record["duals"] = [{"name": "price", "follower": follower["name"], "constraint": of}]
        goal["linear"]["price"] = int(rng.choice([-2, -1, 1, 2]))


def pairs(record: dict[str, Any]) -> int:
    """How many complementarity pairs a program has."""
    total = 0
    for follower in record["followers"]:
        for row in follower["constraints"]:
            sides = (row.get("lower"), row.get("upper"))
            total += row["op"] != "==" if "op" in row else 0 if sides[0] == sides[1] else sum(side is not None for side in sides)
    for variable in record["variables"]:
        if variable["owner"] != "leader" and (variable["lb"] is None or variable["lb"] != variable["ub"]):
            total += sum(variable[side] is not None for side in ("lb", "ub"))
    return total


def traits(record: dict[str, Any]) -> set[str]:
    """What of the format an instance has in it."""
    found = {f"{len(record['followers'])} follower{'s' * (len(record['followers']) > 1)}"}
    levels = [record["leader"], *record["followers"]]
    followers = {follower["name"] for follower in record["followers"]}
    for level in levels:
        for row in level["constraints"]:
            found |= {"equation"} if row.get("op") == "==" else {"range"} if "op" not in row else set()
        found |= {"max"} if level["objective"]["sense"] == "max" else set()
    for row in record["leader"]["constraints"]:
        owners = {v["owner"] for v in record["variables"] if v["name"] in row["linear"]}
        found |= {"coupling row"} if owners & followers else set()
    for variable in record["variables"]:
        found |= {"integer leader"} if variable["type"] != "continuous" else set()
        found |= {"free variable"} if variable["lb"] is None else set()
    found |= {"multiplier in the leader"} if record.get("duals") else set()
    found |= {"quadratic leader"} if record["leader"]["objective"]["quadratic"] else set()
    found |= {"quadratic follower"} if any(follower["objective"]["quadratic"] for follower in record["followers"]) else set()
    return found


def _record(rng: np.random.Generator) -> dict[str, Any]:
    leaders, teams = int(rng.integers(1, 4)), 1 + int(rng.random() < 0.35)
    owners = ["leader"] * leaders + [f"follower {k + 1}" for k in range(teams) for _ in range(int(rng.integers(1, 4 - teams + 1)))]
    order = rng.permutation(len(owners)) if rng.random() < 0.2 else np.arange(len(owners))
    owners = [owners[i] for i in order]
    unit = float(rng.choice([1, 1, 1, 0.5, 0.1, 0.25, 0.01]))
    variables = [_variable(rng, f"v{j}", owner) for j, owner in enumerate(owners)]
    inside = [int(rng.integers(0, 4)) for _ in owners]
    curved = rng.random() < 0.3
    followers = [_follower(rng, variables, f"follower {k + 1}", unit, inside, curved) for k in range(teams)]
    every = [v["name"] for v in variables]
    own = [v["name"] for v in variables if v["owner"] == "leader"]
    rows = [_row(rng, own, unit, inside) for _ in range(int(rng.integers(0, 2)))]
    if rng.random() < 0.35:
        rows.append(_row(rng, every, unit, inside))
    leader = {"objective": _objective(rng, every, unit), "constraints": rows}
    return {"optimistic": True, "variables": variables, "leader": leader, "followers": followers}


def _variable(rng: np.random.Generator, name: str, owner: str) -> dict[str, Any]:
    low: float | None = float(rng.choice([0, 0, 0, -1, -2, 0.5]))
    up: float | None = None if rng.random() < 0.4 else float(rng.choice([1, 2, 3, 4, 2.75]))
    kind = "continuous"
    if owner == "leader" and rng.random() < 0.2:
        kind, low, up = ("binary", None, None) if rng.random() < 0.4 else ("integer", 0.0, float(rng.integers(1, 4)))
    elif rng.random() < 0.15:
        low = None
    elif rng.random() < 0.04:
        up = low
    return {"name": name, "owner": owner, "lb": _written(low), "ub": _written(up), "type": kind}


def _follower(rng: np.random.Generator, variables: list[dict[str, Any]], name: str, unit: float, inside: list[int], curved: bool) -> dict[str, Any]:
    own = [v["name"] for v in variables if v["owner"] == name]
    leaders = [v["name"] for v in variables if v["owner"] == "leader"]
    others = [v["name"] for v in variables if v["owner"] not in ("leader", name) and rng.random() < 0.5]
    seen = own + leaders + others
    rows = [_row(rng, [v["name"] for v in variables if v["name"] in seen], unit, inside) for _ in range(int(rng.integers(1, 4)))]
    goal = _objective(rng, own, unit, density=0.9)
    sign = 1 if goal["sense"] == "min" else -1
    products: dict[tuple[str, str], float] = {}
    if curved:
        for _ in range(int(rng.integers(1, len(own) + 1))):  # squares of linear forms: convex, often singular
            form = {v: int(rng.integers(-2, 3)) for v in own}
            for i, v in enumerate(own):
                for w in own[i:]:
                    products[v, w] = products.get((v, w), 0) + form[v] * form[w] * (1 if v == w else 2)
    if rng.random() < 0.25:
        products[own[0], str(rng.choice(leaders + others))] = float(rng.integers(-2, 3))
    goal["quadratic"] = [[v, w, _written(sign * a * unit)] for (v, w), a in products.items() if a]
    return {"name": name, "objective": goal, "constraints": rows}


def _objective(rng: np.random.Generator, names: list[str], unit: float, density: float = 0.8) -> dict[str, Any]:
    linear = {v: _written(a * unit) for v in names if (a := int(rng.integers(-4, 5))) and rng.random() < density}
    return {"sense": "min" if rng.random() < 0.6 else "max", "constant": _written(float(rng.choice([0, 0, 1, -2.5]))), "linear": linear, "quadratic": []}


def _row(rng: np.random.Generator, names: list[str], unit: float, inside: list[int]) -> dict[str, Any]:
    linear = {v: a for v in names if (a := int(rng.integers(-3, 5))) and rng.random() < 0.8}
    at = sum(a * inside[int(v[1:])] for v, a in linear.items())
    row: dict[str, Any] = {"linear": {v: _written(a * unit) for v, a in linear.items()}}
    room, way = int(rng.integers(0, 4)) if rng.random() < 0.95 else -1, rng.random()
    if way < 0.1:
        return {**row, "op": "==", "rhs": _written(at * unit)}
    if way < 0.2:
        return {**row, "lower": _written((at - abs(room) - 1) * unit), "upper": _written((at + abs(room)) * unit)}
    return {**row, **({"op": "<=", "rhs": _written((at + room) * unit)} if way < 0.7 else {"op": ">=", "rhs": _written((at - room) * unit)})}


def _written(value: float | None) -> float | int | None:
    """A number with a short decimal: what is written is what is meant."""
    if value is None:
        return None
    short = round(float(value), 6)
    return int(short) if short.is_integer() else short
