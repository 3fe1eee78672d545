"""Proofs for programs with an integer follower: known answers, enumeration in rationals, corrupted proofs, each condition of the checker."""

import ast
import itertools
import json
import re
import shutil
import subprocess
import sys
import types
from fractions import Fraction as Q
from pathlib import Path

import numpy as np
import pytest
from exact.integer.whole_programs import moore_bard

import stackopt as so
from stackopt.bilevel.point import Point
from stackopt.errors import InvalidProgram
from stackopt.exact.integer import integer_followers
from stackopt.exact.proved_integer import proved_integer
from stackopt.proof import check_integer
from stackopt.proof.check import Rejected, load
from stackopt.proof.integer_followers import prove_integer
from stackopt.solution import Run, Status

SOURCE = Path(check_integer.__file__)


def recorded(name):
    return so.read(so.catalog.data_file("bilevel", f"{name}.json"))


def random_program(seed, top=4, adverse=False):
    """One or two variables each; the leader's integers, the follower's last one continuous in some; a leader row in half of them."""
    rng = np.random.default_rng(seed)
    n_x, n_y, m = int(rng.integers(1, 3)), int(rng.integers(1, 3)), int(rng.integers(1, 4))
    rows = rng.integers(-4, 5, (m, n_x)).astype(float), rng.integers(-4, 5, (m, n_y)).astype(float), rng.integers(0, 12, m).astype(float)
    leader_rows = None
    if rng.random() < 0.5:
        leader_rows = rng.integers(-3, 4, (1, n_x)).astype(float), rng.integers(-3, 4, (1, n_y)).astype(float), [float(rng.integers(1, 9))]
    cost = rng.integers(-5, 6, n_y).astype(float)
    return so.BilevelProgram.from_matrices(
        leader_cost=(rng.integers(-5, 6, n_x).astype(float), -cost if adverse else rng.integers(-5, 6, n_y).astype(float)), follower_cost=cost,
        follower_rows=rows, leader_rows=leader_rows, leader_bounds=(0, top), follower_bounds=(0, top), leader_integer=True,
        follower_integer=[True, bool(rng.random() < 0.6)][:n_y], leader_sense="max" if not adverse and seed % 3 == 0 else "min", name=f"random {seed}",
    )  # fmt: skip


def enumerated(program):
    """The optimum over all whole points, in rationals, in the leader's sense; None if nothing is feasible. At most the last column is continuous."""
    n, mine = program.size, program.owned(0).tolist()
    loose = n - 1 if not program.integer[n - 1] else None
    top = int(program.upper[0])

    def sides(level):
        """Rows as (coefficients, b) with coefficients . z <= b."""
        for row, low, up in zip(level.rows.matrix.toarray().tolist(), level.rows.lower, level.rows.upper):
            if np.isfinite(up):
                yield [Q(a) for a in row], Q(float(up))
            if np.isfinite(low):
                yield [-Q(a) for a in row], -Q(float(low))

    def span(z, rows):
        """Where the last column may be; z has 0 there."""
        low, up = (Q(0), Q(top)) if loose is not None else (Q(0), Q(0))
        for row, b in rows:
            left = b - sum(a * x for a, x in zip(row, z))
            a = row[loose] if loose is not None else 0
            if a == 0:
                if left < 0:
                    return None
            elif a > 0:
                up = min(up, left / a)
            else:
                low = max(low, left / a)
        return (low, up) if low <= up else None

    own, both = list(sides(program.followers[0])), [*sides(program.followers[0]), *sides(program.leader)]
    costs = [[int(objective.sign) * Q(float(a)) for a in objective.linear[:n]] for objective in (program.leader.objective, program.followers[0].objective)]
    whole = [j for j in mine if j != loose]

    def worth(cost, z, end):
        return sum(a * x for a, x in zip(cost, z)) + (cost[loose] * end if loose is not None else 0)

    best = None
    for x in itertools.product(range(top + 1), repeat=n - len(mine)):
        answers = [[*map(Q, x), *map(Q, y), *([Q(0)] if loose is not None else [])] for y in itertools.product(range(top + 1), repeat=len(whole))]
        values = [worth([0] * (n - len(mine)) + costs[1][n - len(mine) :], z, end) for z in answers for end in span(z, own) or ()]
        if not values:
            continue
        limit = [0] * (n - len(mine)) + costs[1][n - len(mine) :], min(values)
        found = [worth(costs[0], z, end) for z in answers for end in span(z, [*both, limit]) or ()]
        best = min([*found, *([] if best is None else [best])], default=None)
    return None if best is None else int(program.leader.objective.sign) * best


# --- known answers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("program", "value"), [
    (moore_bard(), -22), (recorded("mibs_generalExample"), -53), (recorded("mibs_pao_generalExample"), -41),
], ids=["moore_bard", "mibs", "pao"])  # fmt: skip
def test_known_optima_are_proved_exactly(program, value):
    solution = so.solve(program, so.Exact(proof=True))
    assert solution.status == "PROVED"
    assert solution.proof.lower == solution.proof.upper == value
    assert so.check(program, solution.proof).statement.startswith(f"VERIFIED: optimum = {value} exactly")


def test_without_being_asked_for_there_is_no_proof():
    solution = so.solve(moore_bard(), so.Exact())
    assert solution.status == "OPTIMAL"
    assert solution.proof is None


def test_the_proof_is_two_files_and_a_checker_beside_check(tmp_path):
    solution = so.solve(moore_bard(), so.Exact(proof=True))
    solution.proof.save_problem(tmp_path / "problem.json")
    solution.proof.save(tmp_path / "proof.txt")
    for name in ("check.py", "check_integer.py"):
        shutil.copy(SOURCE.parent / name, tmp_path)
    command = [sys.executable, "-S", "check_integer.py", "problem.json", "proof.txt"]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stdout) == (0, solution.proof.statement + "\n")
    (tmp_path / "proof.txt").write_text(solution.proof.text.replace("upper -22", "upper -23"))
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert "REJECTED" in told.stdout
    assert so.check(tmp_path / "problem.json", solution.proof).upper == -22


def test_the_checker_is_short_and_needs_the_standard_library():
    text = SOURCE.read_text()
    assert len(text.splitlines()) <= 150
    assert max(map(len, text.splitlines())) <= 160


# --- an independent route ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("adverse", [False, True])
def test_random_programs_have_the_enumerated_optimum(adverse):
    divided = with_cuts = none = 0
    for seed in range(30):
        program = random_program(seed, top=3, adverse=adverse)
        known = enumerated(program)
        solution = so.solve(program, so.Exact(proof=True))
        if known is None:
            none += 1
            assert solution.status == "INFEASIBLE"
            continue
        assert solution.status == "PROVED", (seed, solution.stats.get("unproved"))
        assert isinstance(known, Q)
        assert solution.proof.lower == solution.proof.upper == known, seed
        divided += solution.proof.nodes > 1
        with_cuts += "replies 0" not in solution.proof.text
    assert none <= 5
    assert not adverse or (divided >= 10 and with_cuts >= 15)


def test_a_search_that_was_wrong_is_put_right():
    """From (3, 1), with value -13, the proof finds (2, 2)."""
    run = so.solve(moore_bard(), so.Exact())
    wrong = Run(Status.OPTIMAL, Point(np.array([3.0, 1.0]), claim=-13.0), run.bound, {}, "for a test")
    right = proved_integer(moore_bard(), wrong, seconds=0.0, time_limit=60.0)
    assert (right.status, right.candidate.claim, right.candidate.values.tolist()) == (Status.PROVED, -22.0, [2.0, 2.0])
    assert right.bound.value == -22.0


def test_what_is_not_feasible_is_not_proved():
    assert isinstance(prove_integer(moore_bard(), np.array([0.0, 0.0])), str)


def test_a_program_whose_optimum_a_search_once_missed():
    """x = (0, 2, 6) with the answer (2, 0) is worth -16; direction branching took a difference of rounding for a direction that nothing stops."""
    program = so.BilevelProgram.from_matrices(
        leader_cost=([3, 2, -5], [5, -1]), follower_cost=[-5, 1], leader_bounds=(0, 6), follower_bounds=(0, 6), leader_integer=True,
        follower_rows=([[-1, 3, 1], [-3, 0, -1], [1, 1, 1], [1, 3, -1]], [[-4, 2], [2, 0], [3, -2], [2, 1]], [8, 15, 18, 5]), follower_integer=[True, False],
    )  # fmt: skip
    assert enumerated(program) == -16
    solution = so.solve(program, so.Exact(proof=True))
    assert (solution.status, solution.proof.lower, solution.value) == ("PROVED", -16, -16.0)
    for search in ("direction branching", "activity branching", "high-point relaxation", "value function by pieces"):
        assert integer_followers(program, time_limit=30, search=search).bound == pytest.approx(-16)


def test_a_continuous_leader_variable_in_the_followers_rows_is_left_alone():
    program = moore_bard(leader_integer=False, leader_bounds=(0, 10))
    assert prove_integer(program, np.array([2.0, 2.0])) == "a continuous leader variable enters the follower's rows"


def test_pessimistic_ties_are_refused():
    assert "ties" in prove_integer(moore_bard(ties="pessimistic"), np.array([2.0, 2.0]))


def test_a_time_limit_of_zero_leaves_the_word_optimal():
    assert prove_integer(moore_bard(), np.array([2.0, 2.0]), seconds=0.0) == "no proof within the time or the number of cells"


# --- corrupted proofs --------------------------------------------------------------------------------------------------


def mutants(text):
    """(kind, corrupted text)."""
    lines = text.splitlines()
    for at, line in enumerate(lines):
        def put(*new, at=at):
            return "\n".join([*lines[:at], *new, *lines[at + 1 :], ""])

        yield "line deleted", put()
        yield "line twice", put(line, line)
        if at + 1 < len(lines):
            yield "lines swapped", "\n".join([*lines[:at], lines[at + 1], line, *lines[at + 2 :], ""])
        word, *rest = line.split()
        if word in ("upper", "lower"):
            yield "bound better", put(f"{word} {Q(rest[0]) - 1}")
            yield "bound worse", put(f"{word} {Q(rest[0]) + 1}")
            yield "bound is nan", put(f"{word} nan")
        if word in ("d", "f", "point", "reply"):
            for k, entry in enumerate(rest):
                j, x = entry.split(":")
                for kind, new in (
                    ("entry dropped", []), ("entry negated", [f"{j}:{-Q(x)}"]), ("entry moved a little", [f"{j}:{Q(x) + Q(1, 10**9)}"]),
                    ("entry one less", [f"{j}:{Q(x) - 1}"]), ("entry elsewhere", [f"{int(j) + 1}:{x}"]), ("entry twice", [entry, entry]),
                    ("entry infinite", [f"{j}:inf"]), ("entry at a negative index", [f"-1:{x}"]), ("entry half", [f"{j}:{Q(x) / 2}"]),
                ):
                    yield kind, put(" ".join([word, *rest[:k], *new, *rest[k + 1 :]]))
        if word in "df":
            yield "leaf of the other kind", put(" ".join(["f" if word == "d" else "d", *rest]))
            yield "leaf called empty", put("e 0")
        if word == "i":
            yield "branching elsewhere", put(f"i {rest[0]} {int(rest[1]) + 1}")
            yield "branching on the other column", put(f"i {1 - int(rest[0])} {rest[1]}")
    yield "cut in half", text[: len(text) // 2]
    yield "no end", text.removesuffix("end\n")
    yield "more behind the end", text + "d\n"


def test_corrupted_proofs_are_rejected_or_still_true():
    programs = [moore_bard(), recorded("mibs_generalExample"), *(random_program(seed, top=3, adverse=True) for seed in range(12))]
    kinds, codes, accepted, count = set(), set(), 0, 0
    for program in programs:
        solution = so.solve(program, so.Exact(proof=True))
        if solution.proof is None:
            continue
        optimum = solution.proof.upper
        for kind, text in mutants(solution.proof.text):
            if text == solution.proof.text:
                continue
            count += 1
            kinds.add(kind)
            try:
                proof = so.check(program, types.SimpleNamespace(text=text))
            except InvalidProgram as error:
                codes.add(error.code)
                continue
            accepted += 1
            assert proof.lower <= optimum <= proof.upper, (kind, text)
    assert codes == {"proof-rejected"}
    assert len(kinds) >= 18
    assert accepted < count / 5


# --- each condition ----------------------------------------------------------------------------------------------------


def toy(**changes):
    """min x - 4 y over min y, 2 y >= x, both whole from 0 to 3: y is x / 2 rounded up, so the optimum is -5 at x = 3, y = 2."""
    variables = [{"name": "x", "owner": "leader", "lb": 0, "ub": 3, "type": "integer"}, {"name": "y", "owner": "f", "lb": 0, "ub": 3, "type": "integer"}]
    variables[1] |= changes.pop("y", {})
    variables[0] |= changes.pop("x", {})
    leader = {"objective": {"sense": "min", "linear": {"x": 1, "y": -4}, **changes.pop("leader", {})}}
    follower = {"name": "f", "objective": {"sense": "min", "linear": {"y": 1}}, "constraints": [{"linear": {"y": 2, "x": -1}, "op": ">=", "rhs": 0}]}
    return json.dumps({"variables": variables, "leader": leader, "followers": [follower, *changes.pop("more", [])]})


#: Trees of the follower's section at x = 3, 2, 1 and of the toy's optimum.
AT_3, AT_1 = ("i 1 1", "f 0:1", "d"), ("i 1 0", "f 0:1", "d")
TREE, REPLIES = ("i 0 2", "d 2:4", "d 1:4"), ("1:2", "1:1")


def stated(module, problem, value=-5, low=None, point=(3, 2), replies=REPLIES, section=AT_3, least=2, tree=TREE):
    """A proof as the given checker reads it."""
    posed = module.Bilevel(load(problem))
    own = posed.reacting([Q(x) for x in point])
    return problem, "\n".join([
        "stackopt-integer-proof 1", f"problem {posed.digest()}", f"upper {value}", f"lower {value if low is None else low}",
        "point " + " ".join(f"{j}:{x}" for j, x in enumerate(point)), f"replies {len(replies)}", *(f"reply {y}" for y in replies), "follower",
        "stackopt-proof 1", f"problem {own.digest()}", "status bound", f"lower {least}", "tree", *section, "end", "tree", *tree, "end", "",
    ])  # fmt: skip


def at_1(module, **rest):
    """A false claim, that the toy's optimum is -3 at x = 1, y = 1."""
    return stated(module, toy(), **{"value": -3, "point": (1, 1), "section": AT_1, "least": 1} | rest)


def edited(old, new):
    return lambda m: (toy(), stated(m, toy())[1].replace(old, new, 1))


FORGERIES = {
    "one follower, whose multipliers nobody uses": lambda m: stated(m, toy(more=[{"name": "g", "objective": {"sense": "min", "linear": {}}}])),
    "an owner that does not exist": lambda m: stated(m, toy(x={"owner": "nobody"})),
    "an objective that is not linear": lambda m: stated(
        m, toy(leader={"quadratic": [["x", "x", 1]]}), value=-2, low=-5, point=(1, 1), section=AT_1, least=1
    ),
    # y is 2 at least, so the optimum is -8 at x = 0
    "reply: bound of column ..": lambda m: stated(m, toy(y={"lb": 2}), section=("d",)),
    "reply: column .. is not an integer": lambda m: at_1(
        m, replies=("1:3/2", "1:1", "1:0"), tree=("i 0 2", "i 0 0", "d 3:4", "d 2:4", "d 1:4")
    ),
    "expected ..": edited("\nlower", "\nleast"),
    "version": edited("proof 1", "proof 2"),
    "the proof is of another problem": lambda m: (toy(), re.sub("problem .*", "problem 0", stated(m, toy())[1], count=1)),
    "point: its value is not the upper, or below the lower bound": lambda m: stated(m, toy(), value=-6),
    "the follower may have a better answer to the point": lambda m: stated(m, toy(), value=-9, point=(3, 3)),
    "expected tree": edited("end\ntree", "end\nforest"),
    # y may be any number, so the optimum is -3 at x = 3, y = 3/2, in the gap between y <= 1 and y >= 2
    "column is not an integer": lambda m: stated(
        m, toy(y={"type": "continuous"}), value=-2, point=(2, 1), section=("d 0:1/2",), least=1, replies=("1:1/2", "1:1", "1:3/2"),
        tree=("i 1 1", "i 0 1", "d 1:4", "i 0 2", "d 2:4", "f 0:1", "f 3:1"),
    ),
    "unknown line": lambda m: stated(m, toy(), tree=("i 1 3", *TREE, "g 1:1")),
    "column is not empty": lambda m: at_1(m, tree=("e 0",)),
    "leaf: a reply that some x of the cell does not allow": lambda m: at_1(m, replies=("1:0",), tree=("d 1:4",)),
    "leaf: bound below the lower one, or not a Farkas vector": lambda m: at_1(m, tree=("d",)),
    "cells left uncovered, or text after end": lambda m: at_1(m, tree=()),
}  # fmt: skip


def calls():
    """The checker's tree, and its calls of `need` in order with what they say; dots for what is filled in."""
    tree = ast.parse(SOURCE.read_text())
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "need"]
    found.sort(key=lambda node: node.lineno)
    texts = [node.value.args[1] for node in found]
    said = ["".join(p.value if isinstance(p, ast.Constant) else ".." for p in t.values) if isinstance(t, ast.JoinedStr) else t.value for t in texts]
    return tree, found, said


def test_the_toys_proof_is_accepted():
    assert check_integer.check(*stated(check_integer, toy()))["upper"] == -5
    assert check_integer.check(*stated(check_integer, toy(), tree=("i 1 3", *TREE, "f 1:1")))["nodes"] == 5
    assert check_integer.check(*stated(check_integer, toy(), tree=("i 1 3", *TREE, "e 1")))["nodes"] == 5


def test_there_is_a_forgery_for_each_condition():
    assert calls()[2] == list(FORGERIES)


@pytest.mark.parametrize("number", range(len(FORGERIES)), ids=list(FORGERIES))
def test_each_condition_is_needed(number):
    """The whole checker rejects the forgery, for this reason; without the condition it is accepted."""
    tree, found, said = calls()
    found[number].value = ast.Constant(None)
    module = types.ModuleType(f"without_{number}")
    module.__package__ = "stackopt.proof"
    exec(compile(ast.fix_missing_locations(tree), module.__name__, "exec"), module.__dict__)
    problem, text = FORGERIES[said[number]](module)
    with pytest.raises(Rejected) as caught:
        check_integer.check(problem, text)
    assert re.fullmatch(re.escape(said[number]).replace(re.escape(".."), ".*"), str(caught.value))
    assert module.check(problem, text)
