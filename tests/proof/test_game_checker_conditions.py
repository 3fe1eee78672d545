"""No condition of the checkers of games is there for nothing: without it something is accepted that the whole checker rejects.

For each `need` in their sources there is a forgery, made with the checker that lacks it.
"""

import ast
import functools
import json
import sys
import time
import types
from fractions import Fraction as Q
from pathlib import Path

import numpy as np
import pytest

import stackopt as so
from stackopt.proof import check_boxes, check_games, check_mean_field
from stackopt.proof.check import load
from stackopt.proof.games import game_text, prove_game
from stackopt.proof.games_boxes import prove_boxes, respond
from stackopt.proof.games_search import close
from stackopt.proof.games_values import bellman_vectors
from stackopt.proof.mean_field import mean_field_text, prove_mean_field, value_vectors

CHECKERS = {"check_games": check_games, "check_boxes": check_boxes, "check_mean_field": check_mean_field}


def conditions(name):
    """The calls of `need` of a checker, in order: (number, the reason they give)."""
    tree = ast.parse(Path(CHECKERS[name].__file__).read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "need"]
    return [(number, reason(call.value.args[1])) for number, call in enumerate(sorted(calls, key=lambda call: call.lineno))]


def reason(text):
    """What a rejection says; dots for what is filled in."""
    parts = text.values if isinstance(text, ast.JoinedStr) else [text]
    return "".join(part.value if isinstance(part, ast.Constant) else ".." for part in parts)


def without(name, number):
    """The checker with one condition deleted."""
    tree = ast.parse(Path(CHECKERS[name].__file__).read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "need"]
    gone = sorted(calls, key=lambda call: call.lineno)[number]
    gone.value = ast.Constant(None)
    module = types.ModuleType(f"{name}_without_{number}")
    module.__package__ = "stackopt.proof"
    sys.modules[module.__name__] = module  # dataclasses look their module up
    exec(compile(ast.fix_missing_locations(tree), module.__name__, "exec"), module.__dict__)
    return module


def game(leader_moves=False, S=2, seed=6, **rest):
    rng = np.random.default_rng(seed)
    rewards = rng.integers(0, 11, (2, S, 2, 2)).astype(float)
    transition = np.zeros((S, 2, 2, S))
    for s, a, b in np.ndindex(S, 2, 2):
        transition[s, a, b] = transition[s, 0, b] if a and not leader_moves else np.bincount(rng.integers(0, S, 4), minlength=S) / 4
    return so.StackelbergGame(*rewards, transition, initial=[0.75, 0.25], **({"discount": 0.75} | rest))


def population(**rest):
    rng = np.random.default_rng(0)
    transition = np.array([[[0.25, 0.75], [0.75, 0.25]], [[0.5, 0.5], [1.0, 0.0]]])
    return so.MeanFieldStackelbergGame(
        so.Stationary(0.75), reward=rng.integers(0, 9, (2, 2)).astype(float), transition=transition,
        **({"reward_population": -rng.integers(0, 9, (2, 2, 2)).astype(float), "leader_reward": rng.integers(0, 9, (2, 2)).astype(float),
            "reward_leader": rng.integers(-3, 4, (2, 2, 1)).astype(float), "leader": so.Menu([[0.0], [1.0]])} | rest),
    )  # fmt: skip


def changed(text, **changes):
    data = json.loads(text)
    data.update(changes)
    return json.dumps({key: value for key, value in data.items() if value is not None})


def game_proof(module, problem, kind, values=None):
    """A proof that the given checker accepts, whatever it has lost."""
    exact = module.read(problem)
    system = module.lower_game(exact, kind, values or {})
    closed = close(system, time.perf_counter() + 20)
    assert not isinstance(closed, str), closed
    head = [f"stackopt-game-proof 1 {kind}", *(f"{key} {' '.join(map(str, v))}" for key, v in (values or {}).items())]
    return problem, "\n".join([*head, *closed.body(system)]) + "\n"


def vectors(one, problem=None):
    return bellman_vectors(one, check_games.read(problem or game_text(one)), pure=False)


def moved(one, key, step):
    found = vectors(one)
    return {**found, key: [v + step for v in found[key]]}


def edited(proof, *pairs):
    text = proof.text
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new, 1)
    return proof.problem, text


def matrix(**changes):
    return changed(game_text(so.catalog.build("commitment_2x2")), **changes)


def observed(sees):
    one = game(follower_discount=0.0, leader_discount=0.75, discount=None)
    return changed(game_text(one), leader_observes=sees)


GAMES = {
    "keys of a game": lambda m: game_proof(m, matrix(gamma=1), "stagewise"),
    "the shape of an array": lambda m: game_proof(m, matrix(leader_reward=[[[2.0, 4.0], [1.0, 3.0, 9.0]]]), "stagewise"),
    "a discount in [0, 1)": lambda m: game_proof(m, matrix(leader_discount=-0.5), "stagewise"),
    "a distribution": lambda m: game_proof(m, matrix(initial=[3.0]), "stagewise"),
    "the follower is not myopic and moves the state": lambda m: game_proof(m, game_text(game()), "stagewise"),
    "the leader does not see the state": lambda m: game_proof(m, observed([0, 0]), "stagewise"),
    "the leader's action moves the state": lambda m: game_proof(m, game_text(game(True)), "randomised", vectors(game(True))),
    "a value for each state": lambda m: game_proof(m, game_text(game()), "randomised", {k: [*v, Q(0)] for k, v in vectors(game()).items()}),
    "upper value of state ..": lambda m: game_proof(m, game_text(game()), "randomised", moved(game(), "leader-upper", -4)),
    "lower value of state ..": lambda m: game_proof(m, game_text(game()), "randomised", moved(game(), "leader-lower", 1)),
    "a recorded game of this kind": lambda m: game_proof(
        m, json.dumps({"kind": "bayesian", "game": {"leader_reward": [[2, 4], [1, 3]], "follower_reward": [[1, 0], [0, 1]]}}), "stagewise"
    ),
    "first line": lambda m: edited(prove_game(game()), ("proof 1 ", "proof 2 ")),
    "expected ..": lambda m: edited(prove_game(game()), ("leader-upper", "leader-most")),
    "a commitment always exists": lambda m: bound_alone(prove_game(game())),
}


def bound_alone(proof):
    head, mark, rest = proof.text.replace("status optimal", "status bound").partition("stackopt-proof 1")
    return proof.problem, head + mark + "\n".join(line for line in rest.split("\n") if not line.startswith(("upper ", "point ")))


# --- boxes -----------------------------------------------------------------------------------------------------------------


@functools.cache
def boxed():
    """A proof by boxes that is a range and a leaf."""
    for seed in range(40):
        one = game(True, seed=seed)
        proof = prove_boxes(one, so.solve(one, so.Exact(proof=False)).candidate.leader_policy, seconds=1.0)
        if not isinstance(proof, str) and [line[:2] for line in proof.text.partition("tree\n")[2].split("\n")] == ["v ", "d ", "en", ""]:
            return proof
    raise AssertionError("no game with so short a proof")


def tree(*lines, upper=None):
    """Another tree, and another upper end; `V` and `D` stand for the range and the leaf of the proof."""
    proof = boxed()
    head, _, body = proof.text.partition("tree\n")
    known = dict(zip("VD", body.split("\n")))
    head = head if upper is None else head.replace(f"upper {proof.upper}", f"upper {upper}")
    return proof.problem, head + "\n".join(["tree", *(known.get(line, line) for line in lines), "end"]) + "\n"


def crossed(side):
    """A range that is empty because one of its ends is wrong."""
    exact = check_games.read(boxed().problem)
    whole = check_boxes.whole(exact)
    ends = [(low, low - 1) if side > 0 else (up + 1, up) for low, up in zip(whole.low, whole.up)]
    return tree("v " + " ".join(f"{a} {b}" for a, b in ends), "e 0", upper=boxed().lower)


def other_policy():
    """Weights that sum to less than 1, with values that fit them."""
    proof = boxed()
    lines = respond(check_games.read(proof.problem), [[Q(1, 2), Q(1, 4)]] * 2).lines()
    kept = [line for line in proof.text.split("\n") if not line.startswith(("policy", "response", "follower-value", "leader-value"))]
    return proof.problem, "\n".join(kept[:3] + lines + kept[3:])


def without_line(start):
    return boxed().problem, "\n".join(line for line in boxed().text.split("\n") if not line.startswith(start))


def longer(start, more):
    return boxed().problem, "\n".join(line + (more if line.startswith(start) else "") for line in boxed().text.split("\n"))


def cheaper_leader():
    lines = boxed().text.split("\n")
    at = next(i for i, line in enumerate(lines) if line.startswith("leader-value"))
    key, first, *rest = lines[at].split()
    return boxed().problem, "\n".join([*lines[:at], " ".join([key, str(Q(first) - 1), *rest]), *lines[at + 1 :]])


#: Rows of the first cell of `game`: S = K = A = 2; "weights of class 0 sum to 1" and "responses in state 0 sum to 1".
WEIGHTS, RESPONSES = 2, 2 + 2 * (1 + 2 * (1 + 4 * 2))

BOXES = {
    "a range for each state": lambda m: longer("v ", " 0 1"),
    "upper value of state ..": lambda m: crossed(1),
    "lower value of state ..": lambda m: crossed(-1),
    "policy: lengths": lambda m: longer("response", " 0"),
    "policy: not a distribution": lambda m: other_policy(),
    "policy: values of state ..": lambda m: cheaper_leader(),
    "expected ..": lambda m: edited(boxed(), ("leader-value", "leader-worth")),
    "version": lambda m: without_line("stackopt-box-proof"),
    "the proof is of another problem": lambda m: without_line("problem"),
    "lower above upper": lambda m: without_line("tree"),
    "a response that is decided": lambda m: tree("y 0 0", "V", "D", "y 0 0", "V", "D", "V", "D"),
    "a cut outside the box": lambda m: tree("x 0 0 2", "V", "D", f"f {WEIGHTS}:-1"),
    "the range is not empty": lambda m: tree("e 0", upper=boxed().lower),
    "unknown line": lambda m: tree("y 0 0", "y 0 1", f"g {RESPONSES}:1", "V", "D", "V", "D"),
    "leaf: bound above the claim, or not a Farkas vector": lambda m: tree("d", upper=boxed().lower),
    "no end": lambda m: (boxed().problem, boxed().text.removesuffix("\nend\n")),
    "cells left uncovered, or text after end": lambda m: tree(upper=boxed().lower),
}


def test_leaves_of_empty_cells():
    """The forgeries above fail for the reason they are made for: with a known word the cell is closed."""
    assert check_boxes.check(*tree("y 0 0", "y 0 1", f"f {RESPONSES}:1", "V", "D", "V", "D"))
    assert check_boxes.check(*tree("y 0 0", "V", "D", "V", "D"))


# --- populations -----------------------------------------------------------------------------------------------------------


def population_proof(module, problem, which="best", step=None):
    """A proof that the given checker accepts, whatever it has lost; `step` moves one end of a range."""
    exact = module.Followers(load(problem))
    ends = [value_vectors(exact, -1), value_vectors(exact, 1)]
    if step is not None:
        ends[int(step < 0)] = {at: v + step * (at == (0, 0, 0)) for at, v in ends[int(step < 0)].items()}
    system = module.lower_followers(exact, 1 if which == "best" else -1, *ends)
    closed = close(system, time.perf_counter() + 20)
    assert not isinstance(closed, str), closed
    head = [f"stackopt-mean-field-proof 1 {which}", *(" ".join([key, *map(str, end.values())]) for key, end in zip(("lower", "upper"), ends))]
    return problem, "\n".join([*head, *closed.body(system)]) + "\n"


def crowd(**changes):
    return changed(mean_field_text(population()), **changes)


def boxed_crowd(**changes):
    return changed(mean_field_text(population(leader=so.Box([0.0], [1.0]))), **changes)


def finite_crowd(**changes):
    one = population()
    finite = so.MeanFieldStackelbergGame(
        so.Finite(2, [0.5, 0.5]), reward=one.reward, transition=one.transition, reward_population=one.reward_population, leader_reward=one.leader_reward
    )
    return changed(mean_field_text(finite), **changes)


def ragged(problem, key):
    data = json.loads(problem)
    data[key][0][0][1] = [*data[key][0][0][1], 0]
    return json.dumps(data)


def empty_box(module):
    problem = boxed_crowd(box=[[1.0], [0.0]])
    exact = module.Followers(load(problem))
    ends = value_vectors(exact, -1), value_vectors(exact, 1)
    system = module.lower_followers(exact, 1, *ends)
    decision = 2 * len(exact.places) + 2
    head = ["stackopt-mean-field-proof 1 best", *(" ".join([key, *map(str, end.values())]) for key, end in zip(("lower", "upper"), ends))]
    return problem, "\n".join([*head, "stackopt-proof 1", f"problem {system.digest()}", "status infeasible", "tree", f"e {decision}", "end"]) + "\n"


POPULATIONS = {
    "the discount": lambda m: population_proof(m, finite_crowd(discount=1.5)),
    "a menu or a box": lambda m: population_proof(m, crowd(box=[[0.0], [1.0]])),
    "the shape of an array": lambda m: population_proof(m, ragged(crowd(), "reward")),
    "the shape of weights or of the first law": lambda m: population_proof(m, finite_crowd(initial=[[0.5, 0.5], [0.5, 0.5]])),
    "the box": empty_box,
    "a leader paid in proportion to a decision from a box": lambda m: population_proof(
        m, boxed_crowd(leader_reward_leader=[[[[[1.0], [1.0]], [[1.0], [1.0]]]]])
    ),
    "the menu": lambda m: population_proof(m, crowd(menu=[[0.0], [1.0, 5.0]])),
    ".. value of ..": lambda m: population_proof(m, crowd(), step=Q(-1, 10)),
    "first line": lambda m: edited(prove_mean_field(population()), ("proof 1 ", "proof 2 ")),
    "the worst equilibrium is that of one decision": lambda m: population_proof(m, crowd(), "worst"),
    "expected ..": lambda m: edited(prove_mean_field(population()), ("\nupper ", "\nmost ")),
    "a bound alone": lambda m: bound_alone(prove_mean_field(population())),
}

FORGERIES = {"check_games": GAMES, "check_boxes": BOXES, "check_mean_field": POPULATIONS}
CONDITIONS = [(name, number, said) for name in CHECKERS for number, said in conditions(name)]


@pytest.mark.parametrize("name", CHECKERS)
def test_there_is_a_forgery_for_each_condition(name):
    assert {said for _, said in conditions(name)} == set(FORGERIES[name])


@pytest.mark.parametrize(("name", "number", "said"), CONDITIONS, ids=[f"{name}-{said}" for name, _, said in CONDITIONS])
def test_each_condition_is_needed(name, number, said):
    """The whole checker rejects the forgery, for this reason; without the condition it is accepted."""
    module = without(name, number)
    problem, text = FORGERIES[name][said](module)
    with pytest.raises(Exception):  # noqa: B017
        CHECKERS[name].check(problem, text)
    assert module.check(problem, text)
