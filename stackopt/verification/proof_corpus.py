"""The corpus of proofs: what every checker of the format must say, in ``data/proofs/corpus.jsonl``. ``python -m benchmarks.proof_corpus`` makes it.

Small proofs of every kind, mutants of them, and problems that a checker must refuse with proofs that only the refusal stops. Kept is what
is needed to notice every mutant of the checker, and some more of each kind.
"""

from __future__ import annotations

import ast
import json
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from stackopt.catalog import data_file
from stackopt.proof import check
from stackopt.verification.proof_checker_mutants import Case, killed, verdict
from stackopt.verification.proof_checker_mutants import mutants as mutants_of_checker
from stackopt.verification.proof_instances import instance
from stackopt.verification.proof_mutants import mutants
from stackopt.verification.proof_small import NoProof, proof

#: A follower who keeps x + y at 3 or more with the least y, and a leader who minimises -x - 2y: -6 at x = 0, y = 3.
BASE: dict[str, Any] = {
    "optimistic": True,
    "variables": [
        {"name": "x", "owner": "leader", "lb": 0, "ub": 4, "type": "continuous"},
        {"name": "y", "owner": "follower", "lb": 0, "ub": 5, "type": "continuous"},
    ],
    "leader": {"objective": {"sense": "min", "constant": 0, "linear": {"x": -1, "y": -2}}, "constraints": [{"linear": {"x": 1}, "op": "<=", "rhs": 3.5}]},
    "followers": [
        {"name": "follower", "objective": {"sense": "min", "linear": {"y": 1}},
         "constraints": [{"name": "least", "linear": {"x": 1, "y": 1}, "op": ">=", "rhs": 3}]},
    ],
}  # fmt: skip


def corpus() -> list[Case]:
    """The cases that ship with the package."""
    return [Case(**json.loads(line)) for line in data_file("proofs", "corpus.jsonl").read_text(encoding="utf-8").splitlines()]


def changed(**parts: Any) -> dict[str, Any]:
    """`BASE` with other top-level parts."""
    return {**json.loads(json.dumps(BASE)), **parts}


def permissive() -> Any:
    """The checker's reader without its refusals: it lowers what the checker must not."""
    tree = ast.parse(Path(check.__file__).read_text())
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef) and function.name in ("number", "load", "only", "lower", "convex"):
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "need":
                    call.args[0] = ast.Constant(True)
    module = types.ModuleType("permissive")
    exec(compile(ast.fix_missing_locations(tree), "permissive", "exec"), module.__dict__)
    return module


def refused() -> Iterator[tuple[str, str]]:
    """(name, JSON text) of problems that are not in the format or not covered by proofs."""
    x, y = BASE["variables"]
    leader, (follower,) = BASE["leader"], BASE["followers"]
    (row,) = follower["constraints"]

    def following(**parts: Any) -> dict[str, Any]:
        return changed(followers=[{**follower, **parts}])

    def goal(**parts: Any) -> dict[str, Any]:
        return following(objective={**follower["objective"], **parts})

    def rows(**parts: Any) -> dict[str, Any]:
        return following(constraints=[{**row, **parts}])

    def variables(**parts: Any) -> dict[str, Any]:
        return changed(variables=[{**x, **parts}, y])

    problems: dict[str, dict[str, Any]] = {
        "pessimistic": changed(optimistic=False),
        "optimistic, but not true": changed(optimistic="yes"),
        "a key at the top that means something elsewhere": changed(sos1=[["x", "y"]]),
        "an unknown key of a variable": variables(start=1),
        "an unknown key of a constraint": rows(indicator="x"),
        "an unknown key of an objective": goal(scale=2),
        "an unknown key of the leader": changed(leader={**leader, "sos1": []}),
        "an unknown key of a follower": following(sos1=[]),
        "a variable twice": changed(variables=[x, y, {**x, "lb": 1}]),
        "an owner who does not exist": changed(variables=[x, y, {**x, "name": "z", "owner": "nobody"}]),
        "a follower called leader": changed(followers=[follower, {**follower, "name": "leader", "constraints": []}]),
        "two followers of one name": changed(followers=[follower, {**follower, "constraints": []}]),
        "a type that does not exist": variables(type="semicontinuous"),
        "an integer follower": changed(variables=[x, {**y, "type": "integer"}]),
        "a binary follower": changed(variables=[x, {**y, "type": "binary"}]),
        "a quadratic constraint": rows(quadratic=[["x", "y", 1]]),
        "a strict inequality": rows(op=">"),
        "a right-hand side without an operator": rows(op=None),
        "an operator and two sides": rows(lower=0),
        "an operator and another side": rows(upper=9),
        "a follower that is not convex": goal(quadratic=[["y", "y", -1]]),
        "a saddle": changed(
            variables=[x, y, {**y, "name": "z"}],
            followers=[{**follower, "objective": {"sense": "min", "linear": {"y": 1, "z": 1}, "quadratic": [["y", "z", 1]]}}],
        ),
        "a saddle with squares": changed(
            variables=[x, y, {**y, "name": "z"}],
            followers=[{**follower, "objective": {"sense": "min", "linear": {"y": 1, "z": 1}, "quadratic": [["y", "y", 1], ["y", "z", 4], ["z", "z", 1]]}}],
        ),
        "a dual of a name in use": changed(duals=[{"name": "x", "follower": "follower", "constraint": "least"}]),
        "two duals of one name": changed(duals=[{"name": "p", "follower": "follower", "constraint": "least"}] * 2),
    }
    for name, record in problems.items():
        yield name, json.dumps(record)
    text = json.dumps(BASE)
    yield "bounds that are texts, and cross as such", text.replace('"lb": 0, "ub": 5', '"lb": "9", "ub": "10"', 1)
    yield "a bound that is a truth", text.replace('"ub": 5', '"ub": true', 1)
    yield "a key twice", text.replace('"lb": 0', '"lb": 1, "lb": 0', 1)
    for number in ("NaN", "Infinity", "-Infinity"):
        yield f"the number {number}", text.replace('"ub": 5', f'"ub": {number}', 1)
    yield "a number of ten thousand digits", text.replace('"rhs": 3}', '"rhs": 3e00000}', 1)
    yield "an exponent of four digits", text.replace('"rhs": 3}', '"rhs": 3e-0000}', 1)
    yield "an exponent of five digits", text.replace('"rhs": 3}', '"rhs": 3e-1000}', 1)


def accepted() -> Iterator[tuple[str, str, str]]:
    """(name, problem, proof) of small proofs of every kind."""
    x, y = BASE["variables"]
    text = json.dumps(BASE)
    yield "the base", text, proof(text)
    lines = proof(text).split("\n")
    start, stop = lines.index("tree") + 1, lines.index("end")
    tree = lines[start:stop]  # proves the bound in every part of the space too
    yield "a column whose bounds cross", text, "\n".join([*lines[:start], "b 1", "b 2", "e 1", *tree, *tree, *lines[stop:]])
    yield "a column said to be empty that is not", text, "\n".join([*lines[:start], "b 1", "b 0", "e 1", *tree, *tree, *lines[stop:]])
    yield "a column without a bound said to be empty", text, "\n".join([*lines[:start], "b 1", "b 2", "e 2", *tree, *tree, *lines[stop:]])
    yield "a column that does not exist said to be empty", text, "\n".join([*lines[:start], "b 1", "b 2", "e 5", *tree, *tree, *lines[stop:]])
    longest = text.replace('"rhs": 3}', '"rhs": 3e-000}', 1)
    yield "an exponent of three digits", longest, proof(longest)
    written = changed(variables=[{"name": "x", "owner": "leader"}, y])
    yield "bounds and type left out", json.dumps(written), proof(json.dumps(written))
    against = changed()
    against["leader"]["constraints"] = [{"linear": {"x": 1, "y": 1}, "op": "<=", "rhs": 2}]  # the follower keeps it at 3
    yield "an infeasible problem", json.dumps(against), proof(json.dumps(against))
    halves = changed(variables=[{**x, "type": "integer"}, y])
    halves["leader"]["constraints"] = [{"linear": {"x": 2}, "op": "==", "rhs": 3}]
    text_, lines = json.dumps(halves), proof(json.dumps(halves)).split("\n")
    start = lines.index("tree") + 1
    (_, column, k), below, above, *rest = lines[start].split(), *lines[start + 1 :]
    for name, cover in {
        "no integer between": (f"i {column} {k}", below, above),
        "an integer bound after a tighter one": (f"i {column} {k}", f"i {column} {int(k) + 5}", below, f"e {column}", above),
        "an integer bound before a tighter one": (f"i {column} {k}", below, f"i {column} {int(k) - 5}", f"e {column}", above),
        "an integer left out": (f"i {column} {int(k) - 1}", below, above),
    }.items():
        yield name, text_, "\n".join([*lines[:start], *cover, *rest])
    endless = changed(variables=[{**x, "type": "integer", "lb": None, "ub": None}, y])
    endless["leader"] = {"objective": {"sense": "min", "linear": {"x": -2, "y": 1}}, "constraints": [{"linear": {"x": 2}, "op": "<=", "rhs": 7}]}
    yield "an integer without bounds", json.dumps(endless), proof(json.dumps(endless))
    endless["leader"] = {"objective": {"sense": "min", "linear": {"x": 2, "y": 1}}, "constraints": [{"linear": {"x": 2}, "op": ">=", "rhs": -3}]}
    endless["followers"][0]["constraints"] = [{"linear": {"x": -1, "y": 1}, "op": ">=", "rhs": 0}]
    yield "another integer without bounds", json.dumps(endless), proof(json.dumps(endless))
    under = changed(variables=[x, {**y, "lb": -5, "ub": 0}], leader={"objective": {"sense": "min", "linear": {"x": 1, "y": 1}}})
    under["followers"][0]["objective"]["sense"] = "max"
    yield "a bound of zero from above", json.dumps(under), proof(json.dumps(under))
    fixed = changed(variables=[x, y, {**y, "name": "z", "lb": 2, "ub": 2}])
    fixed["followers"][0]["constraints"][0]["linear"]["z"] = 0.5
    yield "a fixed variable of the follower", json.dumps(fixed), proof(json.dumps(fixed))
    two = changed(variables=[x, y, {**y, "name": "z", "owner": "other"}])
    limit = {"linear": {"z": 1, "y": 2}, "op": "<=", "rhs": 6}
    two["followers"].append({"name": "other", "objective": {"sense": "max", "linear": {"z": 1}}, "constraints": [limit]})
    yield "two followers, one sees the other", json.dumps(two), proof(json.dumps(two))
    singular = changed(
        variables=[x, y, {**y, "name": "z"}],
        followers=[{"name": "follower",
                    "objective": {"sense": "max", "linear": {"y": -2, "z": -2}, "quadratic": [["y", "y", -1], ["y", "z", -2], ["z", "z", -1]]},
                    "constraints": [{"linear": {"x": 1, "y": 1}, "lower": 3, "upper": 8}, {"linear": {"z": 1, "x": 1}, "op": "==", "rhs": 4}]}],
    )  # fmt: skip
    yield "a singular Hessian, a range, an equation", json.dumps(singular), proof(json.dumps(singular))
    priced = changed(
        duals=[{"name": "p", "follower": "follower", "constraint": "least"}, {"name": "q", "follower": "follower", "constraint": "y"}],
        leader={"objective": {"sense": "max", "linear": {"p": 2, "q": 1, "x": 1}}, "constraints": [{"linear": {"p": 1, "x": 1}, "op": "<=", "rhs": 3.25}]},
    )
    yield "multipliers in the leader", json.dumps(priced), proof(json.dumps(priced))
    for kind, bounds in (("binary", (None, None)), ("binary", (-1, 2)), ("integer", (0.5, 3))):
        whole = changed(variables=[{**x, "type": kind, "lb": bounds[0], "ub": bounds[1]}, y])
        whole["leader"]["objective"]["linear"] = {"x": 1, "y": 1.5}
        yield f"{kind} leader in {bounds}", json.dumps(whole), proof(json.dumps(whole))
    # min x^2 - 2x + y, y = max(0, x - 1): the tangent at x = 1 is y - 1, so one leaf shows -1
    curved = changed(
        leader={"objective": {"sense": "min", "constant": 0, "linear": {"x": -2, "y": 1}, "quadratic": [["x", "x", 1]]}},
        followers=[{**BASE["followers"][0], "constraints": [{"linear": {"y": 1, "x": -1}, "op": ">=", "rhs": -1}]}],
    )
    head = f"stackopt-proof 1\nproblem {check.lower(check.load(json.dumps(curved))).digest()}\n"
    point = "status optimal\nupper -1\nlower -1\npoint 0:1 2:1\ntree\n"
    yield "a tangent of a quadratic leader", json.dumps(curved), head + point + "d at 0:1\nend\n"
    yield "a tangent used twice", json.dumps(curved), head + point + "b 0\nd at 0:1\nr 0\nend\n"
    two = changed(
        variables=[x, {**x, "name": "w"}, y],
        leader={"objective": {"sense": "max", "linear": {"x": 2, "w": 2, "y": -1}, "quadratic": [["x", "x", -1], ["w", "w", -1]]}},
        followers=curved["followers"],
    )
    lowest = f"stackopt-proof 1\nproblem {check.lower(check.load(json.dumps(two))).digest()}\nstatus optimal\nupper -2\n"
    yield "a maximum with a width", json.dumps(two), lowest + "lower -9/4\npoint 0:1 1:1 3:1\ntree\nd 0:0 at 0:1 1:1\nend\n"
    yield "a tangent at a point that is too far away", json.dumps(two), lowest + "lower -2\npoint 0:1 1:1 3:1\ntree\nd 0:0 at 0:1\nend\n"
    square = changed(leader={"objective": {"sense": "min", "linear": {"y": 1}, "quadratic": [["x", "x", 1]]}})
    named = f"stackopt-proof 1\nproblem {check.lower(check.load(json.dumps(square))).digest()}\n"
    yield "a square without a slope", json.dumps(square), named + "status optimal\nupper 11/4\nlower 11/4\npoint 0:1/2 1:5/2 2:1\ntree\nd 0:1 at 0:1/2\nend\n"
    yield "a bound alone", json.dumps(curved), head + "status bound\nlower -3/2\ntree\nd at 0:1\nend\n"
    yield "an optimum with a width", json.dumps(curved), head + point.replace("lower -1", "lower -5/4") + "d at 0:1\nend\n"


def unbounded() -> Iterator[tuple[str, str, str]]:
    """(name, problem, proof) of problems without end, and of half-lines that are none."""
    x, y = BASE["variables"]
    free = changed(variables=[{**x, "ub": None}, {**y, "ub": None}], leader={"objective": {"sense": "min", "linear": {"x": -1, "y": -2}}})
    free["followers"][0]["constraints"] = [{"linear": {"x": -1, "y": 1}, "op": ">=", "rhs": -2}]  # y = max(0, x - 2)

    def text(record: dict[str, Any], point: str, ray: str) -> tuple[str, str]:
        lowered = check.lower(check.load(json.dumps(record)))
        lines = ("stackopt-proof 1", f"problem {lowered.digest()}", "status unbounded", f"point {point}", f"ray {ray}", "tree", "end", "")
        return json.dumps(record), "\n".join(lines)

    # columns x, y, the row's multiplier (1 where it is tight), the bound's
    yield "a half-line", *text(free, "0:3 1:1 2:1", "0:1 1:1")
    yield "a half-line that starts with the row slack", *text(free, "3:1", "0:1 1:1")
    yield "a half-line that is not complementary", *text(free, "0:1 3:1", "0:1")
    yield "a half-line along which a row breaks", *text(free, "0:3 1:1 2:1", "0:2 1:1")
    yield "a half-line that leaves the row", *text(free, "0:3 1:1 2:1", "0:1 1:2")
    yield "a half-line that leaves a bound", *text(free, "0:3 1:1 2:1", "0:-1 1:-1")
    yield "a half-line up to a bound", *text({**free, "variables": [{**x, "ub": 9}, free["variables"][1]]}, "0:3 1:1 2:1", "0:1 1:1")
    yield "a half-line along which nothing changes", *text(free, "0:3 1:1 2:1", "")
    yield "a half-line that does not stay on an equation", *text(free, "0:3 1:1 2:1", "0:1 1:1 2:1 3:1")
    yield "a half-line uphill", *text({**free, "leader": {"objective": {"sense": "max", "linear": {"x": -1, "y": -2}}}}, "0:3 1:1 2:1", "0:1 1:1")
    flat = {**free, "leader": {"objective": {"sense": "min", "linear": {"x": -1, "y": 1}}}}
    yield "a half-line along which the value stays", *text(flat, "0:3 1:1 2:1", "0:1 1:1")
    bent = {**free, "leader": {"objective": {"sense": "min", "linear": {"x": -9}, "quadratic": [["x", "x", 1]]}}}
    yield "a half-line that bends upwards", *text(bent, "0:3 1:1 2:1", "0:1 1:1")
    straight = {**free, "leader": {"objective": {"sense": "min", "linear": {"x": -9}, "quadratic": [["x", "x", 1], ["x", "y", -2], ["y", "y", 1]]}}}
    yield "a half-line along which a quadratic does not bend", *text(straight, "0:3 1:1 2:1", "0:1 1:1")
    down = {**free, "variables": [{**x, "lb": None, "ub": 4}, free["variables"][1]], "leader": {"objective": {"sense": "max", "linear": {"x": -1}}}}
    yield "a half-line downwards", *text(down, "3:1", "0:-1")
    both = {**free, "variables": [*free["variables"], {**x, "name": "z", "ub": 1}]}
    yield "a half-line beside a bounded variable", *text(both, "0:3 1:1 3:1", "0:1 1:1")
    yield "a half-line that reaches a bound", *text(both, "0:3 1:1 3:1", "0:1 1:1 2:1")
    # a follower's row and bound whose multipliers move along
    goal = {"sense": "min", "linear": {"y": 1}, "quadratic": [["y", "y", 1]]}
    lively = {**free, "followers": [{**free["followers"][0], "objective": goal}]}
    yield "a half-line along which a multiplier grows", *text(lively, "0:3 1:1 2:3", "0:1 1:1 2:2")
    yield "a half-line along which a multiplier should grow", *text(lively, "0:3 1:1 2:3", "0:1 1:1")
    slack = {"linear": {"x": -1, "y": 1}, "op": ">=", "rhs": -3}
    twice = {**lively, "followers": [{**lively["followers"][0], "constraints": [*free["followers"][0]["constraints"], slack]}]}
    yield "a half-line along which the multiplier of a slack row grows", *text(twice, "0:3 1:1 2:3", "0:1 1:1 3:2")
    apart = {"name": "follower", "objective": {"sense": "min", "quadratic": [["y", "y", 0.5], ["x", "y", -1]]}, "constraints": []}
    yield "a half-line along which slack and multiplier both grow", *text({**free, "followers": [apart]}, "", "0:1 1:2 2:1")
    yield "a half-line into a slack", *text({**free, "leader": {"objective": {"sense": "min", "linear": {"y": -1}}}}, "0:2 2:1", "1:1")
    yield "a ray of a longer vector", *text(free, "0:3 1:1 2:1", "0:1 1:1 9:1")


def built(instances: int = 120, seed: int = 0) -> list[Case]:
    """Candidates for the corpus: everything above, and mutants of it and of random instances."""
    reader, rng = permissive(), np.random.default_rng(seed)
    found = list[tuple[str, str, str]]()
    for name, problem in refused():
        try:
            found.append((f"refuse: {name}", problem, proof(problem, checker=reader)))
        except Exception:  # not even a program
            digest = reader.lower(reader.load(problem)).digest()
            found.append((f"refuse: {name}", problem, f"stackopt-proof 1\nproblem {digest}\nstatus infeasible\ntree\ne 1\nend\n"))
    proved = [*accepted(), *unbounded()]
    for index in range(instances):
        problem = instance(seed, index)
        try:
            proved.append((f"random {index}", problem, proof(problem, 300)))
        except NoProof:
            continue
    for name, problem, text in proved:
        found.append((name, problem, text))
        found += [(f"{name}: {kind}", other, broken) for kind, other, broken in mutants(problem, text, rng)]
    return [Case(name, problem, text, *verdict(check, problem, text)) for name, problem, text in found if len(problem) + len(text) < 3500]


def needed(cases: list[Case]) -> list[Case]:
    """The cases that notice every mutant of the checker, every statement of its own, and one mutant of each kind."""
    kept = [case for case in cases if ": " not in case.name or case.name.startswith("refuse")]
    plain = [case for case in kept if case.name.startswith("random")]
    kept = [case for case in kept if case not in plain[20:]]
    kinds = {case.name.split(": ")[-1] for case in kept}
    for case in cases:
        if ": " in case.name and (one := case.name.split(": ")[-1]) not in kinds:
            kinds.add(one)
            kept.append(case)
    for mutant in mutants_of_checker():
        if killed(mutant, kept)[0] is None:
            found, other = killed(mutant, [case for case in cases if case not in kept])
            kept += [case for case in (found or other,) if case is not None]
    return kept
