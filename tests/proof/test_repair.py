"""From floats to rationals: linear equations near a guess, certificates with the decisions they use, trees and their text."""

import json
from fractions import Fraction as Q
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stackopt as so
from stackopt.bilevel.json_file import from_record
from stackopt.proof.algebra import solve_near
from stackopt.proof.basic import basic_leaf
from stackopt.proof.check import check_point, leaf_bound, load, lower
from stackopt.proof.floats import floats
from stackopt.proof.linear import Block
from stackopt.proof.point import exact_point
from stackopt.proof.repair import leaf
from stackopt.proof.tree import Branch, Leaf, bound, lines, on_integer, on_pair
from stackopt.solution import Status
from stackopt.verification.proof_enumeration import enumerated
from stackopt.verification.proof_instances import instance

EXAMPLES = settings(max_examples=40, derandomize=True, deadline=None, database=None)


# --- equations -------------------------------------------------------------------------------------------------------------


def test_a_known_system():
    """3 x + y = 1, x - y = 1/3: x = 1/3, y = 0."""
    found = solve_near([({0: Q(3), 1: Q(1)}, Q(1)), ({0: Q(1), 1: Q(-1)}, Q(1, 3))], {0: 0.3, 1: 0.01}, 4)
    assert found == {0: Q(1, 3), 1: 0}


def test_unknowns_that_nothing_determines_keep_the_guess():
    assert solve_near([({0: Q(1), 1: Q(1)}, Q(1))], {0: 0.9, 1: 0.1234567, 2: -2.5}, 3) == {0: 1 - Q("0.123"), 1: Q("0.123"), 2: Q(-5, 2)}


def test_contradictions_and_repetitions():
    assert solve_near([({0: Q(1)}, Q(1)), ({0: Q(2)}, Q(3))], {0: 1.0}, 3) is None
    assert solve_near([({0: Q(1)}, Q(1)), ({0: Q(2)}, Q(2)), ({}, Q(0))], {0: 5.0}, 3) == {0: 1}
    assert solve_near([({1: Q(1)}, Q(1))], {0: 1.0}, 3) is None  # an unknown without a guess is zero


@EXAMPLES
@given(st.integers(0, 10**6), st.integers(1, 8), st.integers(1, 8))
def test_solutions_solve(seed, m, n):
    rng = np.random.default_rng(seed)
    A, x = rng.integers(-4, 5, (m, n)), rng.integers(-5, 6, n)
    equations = [({j: Q(int(a), 3) for j, a in enumerate(row) if a}, Q(int(row @ x), 3)) for row in A]
    found = solve_near(equations, {j: x[j] + 1e-7 * rng.normal() for j in range(n)}, 4)
    assert found is not None
    assert all(sum((a * found[j] for j, a in coef.items()), Q(0)) == b for coef, b in equations)
    assert max(abs(float(found[j]) - x[j]) for j in found) < 1e-2


# --- leaves ----------------------------------------------------------------------------------------------------------------


def relaxed(seed):
    """A random program, and the linear program over all of its columns, solved in a cell of two decisions."""
    text = instance(21, seed)
    f = floats(lower(load(text)))
    block = Block(f, np.arange(len(f.cost)), np.arange(len(f.rhs)))
    cell = tuple(("SM"[(seed + p) % 2], p, Q(0)) for p in range(min(2, f.pairs)))
    block.enter(*f.cell(cell))
    return f, block, cell, block.solve(10.0)


@pytest.mark.parametrize("seed", range(30))
def test_leaves_hold_and_use_what_they_say(seed):
    f, block, cell, status = relaxed(seed)
    if f.hessian is not None or status not in (Status.OPTIMAL, Status.INFEASIBLE):
        return
    if status is Status.OPTIMAL:
        found = leaf(f, cell, 1, block.y, Q(block.lp.value + f.constant) / Q(f.unit) - Q(1, 10**9))
        assert found is not None
        assert float(found.bound) * f.unit == pytest.approx(block.lp.value + f.constant, abs=1e-8)
        used = tuple(d for d in cell if d in found.uses)
        assert leaf_bound(f.system, cell, 1, found.weights) == found.bound
        assert float(leaf_bound(f.system, used, 1, found.weights)) * f.unit >= block.lp.value + f.constant - 1e-8
    else:
        y = block.ray()
        found = leaf(f, cell, 0, y, None)
        assert found is not None
        used = tuple(d for d in cell if d in found.uses)
        assert leaf_bound(f.system, used, 0, found.weights) > 0


def test_both_ends_are_seen():
    assert {relaxed(seed)[3] for seed in range(30)} >= {Status.OPTIMAL, Status.INFEASIBLE}


@pytest.mark.parametrize("seed", range(12))
def test_multipliers_that_are_not_numbers_or_wrong_prove_nothing_false(seed):
    f, block, cell, status = relaxed(seed)
    if f.hessian is not None or status is not Status.OPTIMAL:
        return
    rng = np.random.default_rng(seed)
    for y in (np.full(len(f.rhs), np.nan), np.full(len(f.rhs), np.inf), rng.normal(size=len(f.rhs)), -block.y):
        for t in (0, 1):
            found = leaf(f, cell, t, y, None)
            if found is not None and t:
                assert float(found.bound) * f.unit <= block.lp.value + f.constant + 1e-9
            assert t or found is None


# --- the last repair -------------------------------------------------------------------------------------------------------


def near_tie(price, **changes):
    """Minimise x + price y over x + y >= 1, neither bounded from above: a price within 1e-12 of 1 is a tie to the simplex method."""
    variables = [{"name": "x", "owner": "leader", "lb": 0}, {"name": "y", "owner": "leader", "lb": 0}, {"name": "z", "owner": "F", "lb": 0, "ub": 1}]
    rows = [{"linear": {"x": 1, "y": 1}, "op": ">=", "rhs": 1}, *changes.get("rows", [])]
    leader = {"objective": {"sense": "min", "linear": {"x": 1, "y": float(price)}}, "constraints": rows}
    follower = {"name": "F", "objective": {"sense": "min", "linear": {"z": 1}}, "constraints": []}
    return lower(load(json.dumps({"variables": variables, "leader": leader, "followers": [follower]})))


@pytest.mark.parametrize(("price", "value"), [("0.999999999999", Q("0.999999999999")), ("1.000000000001", Q(1))])
def test_a_basis_that_is_optimal_to_the_solver_alone(price, value):
    S = near_tie(price)
    f = floats(S)
    block = Block(f, np.arange(len(f.cost)), np.arange(len(f.rhs)))
    assert block.solve(1.0) is Status.OPTIMAL
    found = basic_leaf(S, (), 1, value)
    assert leaf_bound(S, (), 1, found.weights) == found.bound == value
    assert basic_leaf(S, (), 0, None) is None  # the program is feasible


def test_a_contradiction_of_1e_minus_12():
    S = near_tie(1, rows=[{"linear": {"x": 1, "y": 1.000000000001}, "op": "<=", "rhs": 0.5}])
    found = basic_leaf(S, (), 0, None)
    assert found.kind == "f"
    assert leaf_bound(S, (), 0, found.weights) > 0


@pytest.mark.parametrize("seed", range(20))
def test_the_last_repair_alone_does_what_all_do(seed):
    f, block, cell, status = relaxed(seed)
    if f.hessian is not None or status not in (Status.OPTIMAL, Status.INFEASIBLE):
        return
    found = basic_leaf(f.system, cell, int(status is Status.OPTIMAL), None)
    if status is Status.OPTIMAL:
        assert float(found.bound) * f.unit == pytest.approx(block.lp.value + f.constant, abs=1e-8)
    assert found is not None


# --- trees -----------------------------------------------------------------------------------------------------------------

TIGHT, ZERO = ("S", 3, Q(0)), ("M", 3, Q(0))


def test_a_part_that_does_not_need_its_decision_is_the_whole():
    plain, tight, zero = (Leaf("d", {}, bound=Q(1), uses=frozenset(u)) for u in ((), (TIGHT,), (ZERO,)))
    assert on_pair(3, plain, zero) is plain
    assert on_pair(3, tight, plain) is plain
    both = on_pair(3, tight, zero)
    assert isinstance(both, Branch)
    assert (both.word, both.uses) == ("b 3", frozenset())
    low, high = (Leaf("f", {0: Q(1)}, uses=frozenset([d])) for d in (("<", 2, Q(5)), (">", 2, Q(6))))
    assert on_integer(2, 5, low, high).word == "i 2 5"
    assert on_integer(2, 4, low, high) is low  # it uses another branching's bound


def test_text_of_a_tree():
    """A leaf written before is named by its number among those written in full."""
    long = Leaf("d", {0: Q(1, 3), 2: Q(-5, 7)}, bound=Q(2), uses=frozenset([TIGHT]))
    other = Leaf("f", {1: Q(1)}, uses=frozenset([ZERO, ("S", 1, Q(0))]))
    again = Leaf("d", dict(long.weights), bound=Q(2), uses=frozenset([("M", 1, Q(0))]))
    tree = on_pair(1, on_pair(3, long, other), again)
    assert lines(tree) == ["b 1", "b 3", "d 0:1/3 2:-5/7", "f 1:1", "r 0"]
    assert bound(tree) == 2
    assert bound(other) is None
    assert Leaf("e", {4: Q(1)}).line() == "e 4"
    assert Leaf("d", {}, {2: Q(1, 2)}).line() == "d at 2:1/2"


# --- points ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
def test_an_exact_point_near_a_rounded_one(seed):
    """Where the search ends in floating point, off by 1e-9, leads to an exact point of the value that enumeration finds."""
    record = json.loads(instance(22, seed))
    best = enumerated(record)
    if best.status != "optimal":
        return
    solution = so.solve(from_record(record, Path("random.json")), so.Exact(proof=False))
    f = floats(lower(load(instance(22, seed))))
    found = exact_point(f, solution.candidate.values + 1e-9 * np.random.default_rng(seed).normal(size=f.variables))
    assert found is not None
    assert check_point(f.system, found.v) == found.value
    assert f.system.sense * float(found.value) == pytest.approx(best.value, rel=1e-6, abs=1e-6)
