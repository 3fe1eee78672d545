"""The JSON schema: every key, and every way to break it, by the place in the file."""

import copy
import json
from dataclasses import replace

import numpy as np
import pytest

import stackopt as so
from stackopt import catalog
from stackopt.bilevel.json_file import SCHEMA, is_bilevel
from stackopt.errors import InvalidProgram

PROGRAM = {
    "schema": SCHEMA,
    "name": "mine",
    "optimistic": False,
    "variables": [
        {"name": "x", "owner": "leader", "lb": 0, "ub": 8},
        {"name": "open", "owner": "leader", "type": "binary"},
        {"name": "y", "owner": "firm", "type": "continuous"},
        {"name": "z", "owner": "other", "lb": None, "ub": 3.5, "type": "integer"},
    ],
    "duals": [{"name": "price", "follower": "firm", "constraint": "balance"}],
    "leader": {
        "objective": {"sense": "max", "constant": 1.5, "linear": {"x": 1, "price": 2}, "quadratic": [["y", "x", -3]]},
        "constraints": [{"name": "cap", "linear": {"y": 1}, "quadratic": [["x", "x", 2]], "lower": -1, "upper": 4}],
    },
    "followers": [
        {
            "name": "firm", "objective": {"sense": "min", "linear": {"y": 1}},
            "constraints": [{"name": "balance", "linear": {"y": 1, "x": -1}, "op": "==", "rhs": 2}],
        },
        {"name": "other", "objective": {"sense": "max", "linear": {"z": 1}, "quadratic": []}},
    ],
}  # fmt: skip


def read(tmp_path, record):
    path = tmp_path / "mine.json"
    path.write_text(record if isinstance(record, str) else json.dumps(record))
    return so.read(path)


def test_every_key(tmp_path):
    program = read(tmp_path, PROGRAM)
    assert program.symbols == ("x", "open", "y", "z", "price")
    assert program.owner.tolist() == [-1, -1, 0, 1]
    assert program.lower.tolist() == [0, 0, -np.inf, -np.inf]
    assert program.upper.tolist() == [8, 1, np.inf, 3.5]
    assert program.integer.tolist() == [False, True, False, True]
    assert (program.ties, program.name) == ("pessimistic", "mine")
    assert program.multipliers == (so.Multiplier("price", "firm", "balance"),)
    goal = program.leader.objective
    assert (goal.sense, goal.constant, goal.linear.tolist()) == ("max", 1.5, [1, 0, 0, 0, 2])
    assert goal.quadratic.toarray()[0].tolist() == [0, 0, -3, 0, 0]  # in the upper triangle, whatever the order in the file
    cap = program.leader.rows
    assert (cap.lower.tolist(), cap.upper.tolist()) == ([-1], [4])
    assert cap.quadratic[0].toarray()[0, 0] == 2
    assert program.followers[0].rows.lower.tolist() == program.followers[0].rows.upper.tolist() == [2]
    assert [level.objective.sense for level in program.followers] == ["min", "max"]
    assert so.read(so.write(program, tmp_path / "again.json")[0]).fingerprint() == program.fingerprint()


def test_the_leader_may_have_a_name_of_its_own(tmp_path):
    program = read(tmp_path, change("leader", "name", value="state"))
    assert program.leader.name == "state"
    assert so.read(so.write(program, tmp_path / "again.json")[0]).leader.name == "state"
    follower = replace(program.followers[1], name="leader")
    with pytest.raises(InvalidProgram, match=r"\[not-writable\].*a follower called leader"):
        so.write(replace(program, followers=(program.followers[0], follower)), tmp_path / "again.json")


def test_what_is_written_can_be_read_by_people(tmp_path):
    (path,) = so.write(read(tmp_path, PROGRAM), tmp_path / "again.json")
    text = path.read_text()
    assert ' {"name": "x", "owner": "leader", "lb": 0, "ub": 8, "type": "continuous"},\n' in text
    assert max(map(len, text.splitlines())) <= 160
    assert list(json.loads(text)) == ["schema", "name", "optimistic", "variables", "duals", "leader", "followers"]


def test_the_schema_key_may_be_left_out(tmp_path):
    record = {key: value for key, value in PROGRAM.items() if key not in ("schema", "name", "optimistic")}
    program = read(tmp_path, record)
    assert (program.name, program.ties) == ("mine", "optimistic")  # the name of the file
    assert is_bilevel(record)
    assert is_bilevel({"schema": "stackopt.bilevel/2"})  # of another version, which the reader says
    assert not is_bilevel({"schema": "stackopt.game/1", **record})
    assert not is_bilevel({"leader_reward": [], "follower_reward": []})


def change(*path, value=None, drop=False):
    """PROGRAM with one entry changed, added or dropped."""
    record = copy.deepcopy(PROGRAM)
    at = record
    for key in path[:-1]:
        at = at[key]
    if drop:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return record


@pytest.mark.parametrize(
    ("record", "where"),
    [
        (change("schema", value="stackopt.bilevel/2"), "schema is 'stackopt.bilevel/2'"),
        (change("followers", drop=True), "the file has no 'followers'"),
        (change("follower", value=[]), "the file has the unknown key 'follower'"),
        (change("variables", value={}), "variables is dict"),
        (change("variables", 0, value="x"), "variables[0] is str"),
        (change("variables", 0, "owner", drop=True), "variables[0] has no 'owner'"),
        (change("variables", 0, "upper", value=3), "variables[0] has the unknown key 'upper'"),
        (change("variables", 0, "owner", value="firms"), "variable `x` is owned by 'firms'"),
        (change("variables", 1, "type", value="bool"), "variable `open` has type 'bool'"),
        (change("variables", 0, "lb", value="0"), "lb of variable `x` is '0'"),
        (change("variables", 0, "ub", value=True), "ub of variable `x` is True"),
        (change("variables", 0, "name", value="price"), "two symbols are called 'price'"),
        (change("optimistic", value="yes"), "optimistic is 'yes'"),
        (change("leader", value=[]), "leader is list"),
        (change("leader", "objective", drop=True), "leader has no 'objective'"),
        (change("leader", "objective", "sense", drop=True), "leader.objective has no 'sense'"),
        (change("leader", "objective", "linear", value=[1]), "leader.objective.linear is list"),
        (change("leader", "objective", "linear", value={"w": 1}), "leader.objective has 'w'"),
        (change("leader", "objective", "linear", "x", value=None), "coefficient of `x` in leader.objective is None"),
        (change("leader", "objective", "constant", value="1"), "leader.objective.constant is '1'"),
        (change("leader", "objective", "quadratic", value=[["x", "y"]]), "leader.objective has the quadratic term ['x', 'y']"),
        (change("leader", "objective", "quadratic", value=[["x", "y", 1], ["y", "x", 1]]), "leader.objective has the product of `y` and `x` twice"),
        (change("leader", "objective", "quadratic", value=[["x", "w", 1]]), "leader.objective has 'w'"),
        (change("leader", "constraints", 0, "op", value="<"), "leader.constraints[0] `cap` has op '<' and no rhs"),
        (change("leader", "constraints", 0, "rhs", value=1), "leader.constraints[0] `cap` has no op"),
        (change("leader", "constraints", 0, "lower", value="-1"), "lower of leader.constraints[0] `cap` is '-1'"),
        (change("followers", 0, "constraints", 0, "op", value="="), "followers[0].constraints[0] `balance` has op '='"),
        (change("followers", 0, "constraints", 0, "op", drop=True), "followers[0].constraints[0] `balance` has no op"),
        (change("followers", 0, "constraints", 0, "rhs", value=None), "rhs of followers[0].constraints[0] `balance` is None"),
        (change("followers", 0, "name", drop=True), "followers[0] has no 'name'"),
        (change("followers", 1, "name", value="firm"), "followers[1] is called 'firm'"),
        (change("followers", 0, "name", value="leader"), "followers[0] is called 'leader'"),
        (change("followers", 0, "name", value=7), "followers[0] has the name 7"),
        (change("leader", "objective", "constant", value=10**400), "leader.objective.constant is 10000000000000000000..."),
        (change("followers", 0, "decides", value=["y"]), "followers[0] has the unknown key 'decides'"),
        (change("duals", 0, "constraint", drop=True), "duals[0] has no 'constraint'"),
        ("[1, 2]", "it is not an object with keys"),
        ('{"variables": [], "leader": {"objective": {"sense": "min", "constant": NaN}}, "followers": []}', "leader.objective.constant is nan"),
    ],
)
def test_what_breaks_the_schema_is_named_with_its_place(record, where, tmp_path):
    with pytest.raises(InvalidProgram, match=r"\[bilevel-json\]") as raised:
        read(tmp_path, record)
    assert raised.value.where == where


@pytest.mark.parametrize(
    ("record", "code"),
    [
        (change("followers", value=[]), "bilevel-json"),  # y belongs to nobody
        (change("leader", "objective", "sense", value="minimum"), "bilevel-data"),
        (change("duals", 0, "constraint", value="balances"), "multiplier-place"),
        (change("followers", 0, "objective", "linear", value={"price": 1}), "multiplier-place"),
        (change("variables", 0, "ub", value=-8), "bilevel-bounds"),
        (change("variables", 2, "owner", value="leader"), "variable-owner"),  # a follower that decides nothing
    ],
)
def test_laws_of_programs_hold_for_files_too(record, code, tmp_path):
    with pytest.raises(InvalidProgram) as raised:
        read(tmp_path, record)
    assert raised.value.code == code


@pytest.mark.parametrize("text", ["", "{", "{'a': 1}", "[" * 100_000])
def test_files_that_are_no_json(text, tmp_path):
    with pytest.raises(InvalidProgram, match=r"\[bilevel-file\]"):
        read(tmp_path, text)


def test_a_recorded_case_is_read_like_any_file():
    path = catalog.data_file("bilevel", "bjm_conejo2016_dual.json")
    assert so.read(path).fingerprint() == catalog.case("bjm_conejo2016_dual").program.fingerprint()
