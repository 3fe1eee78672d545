"""The standalone checker: what it is allowed to be, known theorems with proofs by hand, and what each rule refuses."""

import ast
import json
import subprocess
import sys
from fractions import Fraction as Q
from pathlib import Path

import pytest

import stackopt as so
from stackopt.proof import check
from stackopt.proof.check import Rejected, leaf_bound, load, lower, statement, verify

SOURCE = Path(check.__file__)
#: The leader pays for distance from 3 with x in [0, 10]; the follower sets y = x by a row and its cost.
BASE = {
    "variables": [{"name": "x", "owner": "leader", "lb": 0, "ub": 10}, {"name": "y", "owner": "F", "lb": 0, "ub": 10}],
    "leader": {"objective": {"sense": "min", "linear": {"x": 1, "y": -2}}, "constraints": []},
    "followers": [
        {"name": "F", "objective": {"sense": "min", "linear": {"y": 1}}, "constraints": [{"name": "r", "linear": {"y": 1, "x": -1}, "op": ">=", "rhs": 0}]}
    ],
}


def problem(**changes):
    """The text of BASE with entries at dotted paths replaced."""
    record = json.loads(json.dumps(BASE))
    for path, value in changes.items():
        at = record
        *steps, last = path.split("__")
        for step in steps:
            at = at[int(step)] if step.isdigit() else at[step]
        at[int(last) if last.isdigit() else last] = value
    return json.dumps(record)


def proved(text, status, *lines):
    """Verify a proof given by its lines."""
    S = lower(load(text))
    return verify(S, "\n".join(["stackopt-proof 1", f"problem {S.digest()}", f"status {status}", *lines, ""]))


def refused(because, text, status, *lines):
    with pytest.raises(Exception, match=because):
        proved(text, status, *lines)


# columns: x, y, multiplier of r (2), of y >= 0 (3), of y <= 10 (4); rows: y - x >= 0, stationarity -m2 - m3 + m4 = -1
OPTIMAL = ("upper -10", "lower -10", "point 0:10 1:10 2:1", "tree", "b 0", "d 0:-2", "b 1", "d", "f 1:-1", "end")


# --- what the file is ------------------------------------------------------------------------------------------------------


def test_it_is_one_short_file_that_imports_the_standard_library_alone():
    tree = ast.parse(SOURCE.read_text())
    imported = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    imported |= {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert imported == {"hashlib", "json", "math", "sys", "collections.abc", "fractions", "typing"}
    assert {name.split(".")[0] for name in imported} <= set(sys.stdlib_module_names)
    assert len(SOURCE.read_text().splitlines()) <= 200


def test_nothing_in_it_rounds():
    """Floats are printed, never used: no float literal, and `float` only in a sentence."""
    tree = ast.parse(SOURCE.read_text())
    assert not [n for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, float)]
    printed = {id(n) for f in ast.walk(tree) if isinstance(f, ast.FormattedValue) for n in ast.walk(f)}
    assert not [n for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id == "float" and id(n) not in printed]


def test_alone_on_another_machine(tmp_path):
    """The file itself and two texts, in an interpreter without site packages."""
    alone = tmp_path / "check.py"
    alone.write_text(SOURCE.read_text())
    text = problem()
    (tmp_path / "problem.json").write_text(text)
    S = lower(load(text))
    (tmp_path / "proof.txt").write_text("\n".join(["stackopt-proof 1", f"problem {S.digest()}", "status optimal", *OPTIMAL, ""]))
    command = [sys.executable, "-I", "-S", str(alone), "problem.json", "proof.txt"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "VERIFIED: optimum = -10 exactly (5 nodes)\n")
    (tmp_path / "proof.txt").write_text((tmp_path / "proof.txt").read_text().replace("upper -10", "upper -11"))
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert found.stdout.startswith("REJECTED: Rejected point")
    assert subprocess.run(command[:-1], cwd=tmp_path, capture_output=True, check=False).returncode == 1


# --- theorems --------------------------------------------------------------------------------------------------------------


def test_an_optimum_by_hand():
    found = proved(problem(), "optimal", *OPTIMAL)
    assert (found["lower"], found["upper"], found["nodes"]) == (-10, -10, 5)
    assert statement(found) == "VERIFIED: optimum = -10 exactly (5 nodes)"


def test_a_maximum_is_stated_in_the_leader_s_sense():
    text = problem(leader__objective={"sense": "max", "linear": {"x": -1, "y": 2}})
    assert statement(proved(text, "optimal", *OPTIMAL)) == "VERIFIED: optimum = 10 exactly (5 nodes)"
    assert statement(proved(text, "bound", "lower -20", "tree", "d", "end")) == "VERIFIED: no feasible point has a value above 20 (1 node)"
    worse = ("upper 0", "lower -20", "point 2:1", "tree", "d", "end")
    assert statement(proved(text, "optimal", *worse)) == "VERIFIED: 0 <= optimum <= 20, width 20 (1 node)"


def test_infeasible_by_hand():
    text = problem(leader__constraints=[{"linear": {"y": 1}, "op": ">=", "rhs": 11}])
    assert statement(proved(text, "infeasible", "tree", "f 2:1", "end")) == "VERIFIED: the problem has no feasible point (1 node)"
    refused("Farkas", text, "infeasible", "tree", "f 2:-0", "end")
    refused("below", text, "infeasible", "tree", "d 2:1", "end")  # a bound says nothing about emptiness


def test_integer_columns():
    text = problem(variables__0={"name": "x", "owner": "leader", "lb": 0, "ub": "2.5", "type": "integer"}).replace('"2.5"', "2.5")
    lines = ("upper -2", "lower -2", "point 0:2 1:2 2:1", "tree", "b 0", "i 0 2", "d 0:-2", "e 0", "b 1", "d", "f 1:-1", "end")
    assert proved(text, "optimal", *lines)["upper"] == -2
    refused("Farkas", text, "optimal", *("f" if line == "e 0" else line for line in lines))
    refused("column is not empty", text.replace("2.5", "3"), "optimal", *lines)
    refused("bound below", text, "optimal", *("d 0:-2" if line == "e 0" else "i 0 1" if line == "i 0 2" else line for line in lines))
    refused("not an integer", text, "optimal", "upper -1/2", *lines[1:2], "point 0:1/2 1:1/2 2:1", *lines[3:])
    refused("not an integer", problem(), "optimal", *OPTIMAL[:4], "i 0 2", "d", "d", "end")


def test_a_quadratic_leader_has_tangents():
    """Minimise (x - 3)^2 + y with y = x: at x = 5/2, value 11/4."""
    objective = {"sense": "min", "linear": {"x": -6, "y": 1}, "quadratic": [["x", "x", 1]], "constant": 9}
    text = problem(leader__objective=objective)
    lines = ("upper 11/4", "lower 11/4", "point 0:5/2 1:5/2 2:1", "tree", "d 0:1 at 0:5/2", "end")
    assert statement(proved(text, "optimal", *lines)) == "VERIFIED: optimum = 11/4 exactly (1 node)"
    refused("bound below", text, "optimal", *lines[:4], "d 0:1 at 0:2", "end")
    refused("more nodes", text, "optimal", *lines[:5], "d 0:1 at 0:5/2", "end")
    refused("not convex", problem(leader__objective={**objective, "quadratic": [["x", "x", -1]]}), "optimal", *lines)
    refused("not convex", problem(leader__objective={**objective, "quadratic": [["x", "y", 1]]}), "optimal", *lines)


def test_a_multiplier_in_the_leader_s_objective():
    """The marginal value of r's right-hand side is 1 wherever y > 0: paying for it costs 1 there."""
    text = json.dumps({**json.loads(problem()), "duals": [{"name": "price", "follower": "F", "constraint": "r"}]})
    record = json.loads(text)
    record["leader"]["objective"]["linear"] = {"price": 1, "x": 1}
    S = lower(load(json.dumps(record)))
    assert S.cost == {2: 1, 0: 1}
    maximised = json.loads(json.dumps(record))
    maximised["followers"][0]["objective"] = {"sense": "max", "linear": {"y": -1}}
    assert lower(load(json.dumps(maximised))).cost == {2: -1, 0: 1}  # a derivative of the follower's own objective
    record["followers"][0]["constraints"][0] = {"name": "r", "linear": {"y": -1, "x": 1}, "op": "<=", "rhs": 0}
    assert lower(load(json.dumps(record))).cost == {2: -1, 0: 1}
    record["duals"][0]["constraint"] = "y"
    assert lower(load(json.dumps(record))).cost == {3: 1, 4: -1, 0: 1}
    record["followers"][0]["constraints"][0]["name"] = "y"  # a row's name comes before a variable's
    assert lower(load(json.dumps(record))).cost == {2: -1, 0: 1}


def test_unbounded_by_hand():
    text = problem(variables__0={"name": "x", "owner": "leader", "lb": 0}, variables__1={"name": "y", "owner": "F", "lb": 0})
    lines = ("point 2:1", "ray 0:1 1:1", "tree", "end")
    assert statement(proved(text, "unbounded", *lines)) == "VERIFIED: the problem is unbounded, along a half-line of feasible points"
    refused("does not fall", text, "unbounded", "point 2:1", "ray", "tree", "end")
    refused("row 0", text, "unbounded", "point 2:1", "ray 0:1", "tree", "end")
    refused("pair 0", text, "unbounded", "point 2:1", "ray 1:1", "tree", "end")  # y rises above x: no longer the follower's choice
    refused("bound of column 0", problem(), "unbounded", *lines)
    refused("point", text, "unbounded", "point", "ray 0:1 1:1", "tree", "end")
    refused("more nodes", text, "unbounded", *lines[:3], "d", "end")


def test_a_range_is_two_rows_and_a_fixed_variable_has_no_pair():
    text = problem(followers__0__constraints__0={"linear": {"y": 1, "x": -1}, "lower": 0, "upper": 4})
    S = lower(load(text))
    assert [b for _, _, b in S.rows[:2]] == [0, -4]
    assert [p[0] for p in S.pairs] == ["row", "row", "lb", "ub"]
    fixed = lower(load(problem(variables__1={"name": "y", "owner": "F", "lb": 2, "ub": 2})))
    assert [p[0] for p in fixed.pairs] == ["row"]
    assert fixed.lb[-1] is fixed.ub[-1] is None


def test_decimals_are_read_as_they_are_written():
    assert lower(load(problem(leader__objective__linear={"x": "0.1"}).replace('"0.1"', "0.1"))).cost == {0: Q(1, 10)}
    for bad in ("NaN", "Infinity", "-Infinity", "1e99999"):
        with pytest.raises(Rejected):
            load('{"x": ' + bad + "}")


def test_the_name_of_a_problem_is_its_numbers():
    digest = lower(load(problem())).digest()
    spaced = json.dumps(json.loads(problem()), indent=3).replace("10", "10.0")
    assert lower(load(spaced)).digest() == digest
    assert lower(load(problem(variables__0__ub=9))).digest() != digest
    assert lower(load(problem(leader__objective__constant=1))).digest() != digest


# --- what is refused -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("because", "changes"), [
    ("ties", {"optimistic": False}),
    ("players", {"variables__0__owner": "nobody"}),
    ("players", {"followers__0__name": "leader"}),
    ("integer follower", {"variables__1__type": "integer"}),
    ("variable name", {"variables__1__name": "x"}),
    ("no operator", {"followers__0__constraints__0": {"linear": {"y": 1}, "rhs": 1}}),
    ("no operator", {"followers__0__constraints__0": {"linear": {"y": 1}, "op": "<", "rhs": 1}}),
    ("quadratic constraint", {"leader__constraints": [{"quadratic": [["x", "x", 1]], "op": "<=", "rhs": 1}]}),
    ("two right-hand sides", {"leader__constraints": [{"linear": {"x": 1}, "op": "<=", "rhs": 1, "lower": 0}]}),
    ("a key other", {"leader__constraints": [{"linaer": {"x": 1}, "op": "<=", "rhs": 1}]}),
    ("not convex", {"followers__0__objective": {"sense": "min", "linear": {}, "quadratic": [["y", "y", -1]]}}),
])  # fmt: skip
def test_problems_that_it_does_not_cover(because, changes):
    with pytest.raises(Rejected, match=because):
        lower(load(problem(**changes)))


@pytest.mark.parametrize(("because", "place", "line"), [
    ("version", 0, "stackopt-proof 2"), ("another problem", 1, "problem 0"), ("status", 2, "status best"),
    ("upper", 3, "upper -10.0000001"), ("lower", 4, "lower -9"), ("point", 5, "point 0:10 1:10"), ("sparse", 5, "point 0:10 0:10"),
    ("sparse", 5, "point -1:10"), ("expected tree", 6, "trees"), ("no such pair", 7, "b 3"), ("wrong sign", 10, "d 0:-2"), ("on the side", 8, "d 1:1"),
    ("no such leaf", 10, "r 9"), ("unknown line", 10, "g"), ("Farkas", 11, "f 1:-0"), ("more nodes", 12, ""), ("no end", 12, None),
])  # fmt: skip
def test_a_line_changed(because, place, line):
    S = lower(load(problem()))
    lines = ["stackopt-proof 1", f"problem {S.digest()}", "status optimal", *OPTIMAL]
    lines[place : place + 1] = [] if line is None else [line]
    with pytest.raises(Rejected, match=because):
        verify(S, "\n".join(lines))


def test_cells_left_over_and_text_behind_the_end():
    refused("uncovered", problem(), "optimal", *OPTIMAL[:5], "d 0:-2", "end")
    refused("after end", problem(), "optimal", *OPTIMAL, "more")
    assert proved(problem(), "optimal", *OPTIMAL, "", "")["upper"] == -10


def test_a_leaf_s_bound_is_a_lower_bound_in_its_cell():
    S = lower(load(problem()))
    cell = (("M", 0, Q(0)),)
    assert leaf_bound(S, cell, 1, {}) == -20  # y = 10, x = 0
    assert leaf_bound(S, (("S", 0, Q(0)),), 1, {0: Q(-2)}) == -10
    with pytest.raises(Rejected, match="sign"):
        leaf_bound(S, cell, 1, {0: Q(-2)})


def test_from_python():
    program = so.read(so.catalog.data_file("bilevel", "bjm_jump_06_bard_5_1_1.json"))
    solution = so.solve(program)
    assert solution.status is so.Status.PROVED
    assert check.check(solution.proof.problem, solution.proof.text)["upper"] == -12
