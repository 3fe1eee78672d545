"""Intervals for strong values where the randomised leader moves the state: other exact routes, sampling, damaged proofs, the standalone files."""

import json
import shutil
import subprocess
import sys
from fractions import Fraction as Q
from pathlib import Path

import numpy as np
import pytest

import stackopt as so
from stackopt.games.responses import commitment
from stackopt.proof import check_boxes, check_games
from stackopt.proof.check import Rejected
from stackopt.proof.games import game_text, prove_game
from stackopt.proof.games_boxes import prove_boxes, respond
from stackopt.proof.proof import checked

PACKAGE = Path(check_boxes.__file__).parent


def random_game(seed, S=2, A=2, B=2, *, leader_moves=True, follower_moves=True, discount=0.75, **rest):
    """Rewards 0..10; kernels and the initial distribution in quarters, so that floats hold every number exactly."""
    rng = np.random.default_rng(seed)
    rewards = rng.integers(0, 11, (2, S, A, B)).astype(float)
    transition = np.zeros((S, A, B, S))
    for s, a, b in np.ndindex(S, A, B):
        if (a and not leader_moves) or (b and not follower_moves):
            transition[s, a, b] = transition[s, a if leader_moves else 0, b if follower_moves else 0]
        else:
            np.add.at(transition[s, a, b], rng.integers(0, S, 4), 0.25)
    rest.setdefault("initial", [1.0 - 0.25 * (S - 1), *[0.25] * (S - 1)])
    return so.StackelbergGame(*rewards, transition, discount=discount, **rest)


def best_known(game):
    return so.solve(game, so.Exact(proof=False, time_limit=20.0)).candidate.leader_policy


def test_conitzer_and_sandholms_example():
    proof = prove_boxes(so.catalog.build("commitment_2x2"), np.array([[0.5, 0.5]]))
    assert proof.lower == Q(7, 2) <= proof.upper <= Q(7, 2) + Q(1, 10**5)
    assert proof.kind == "boxes"


@pytest.mark.parametrize("seed", [0, 1, 3])
@pytest.mark.parametrize("moves", [{"leader_moves": False}, {"follower_moves": False}], ids=["D3", "P1"])
def test_the_interval_contains_the_value_of_other_proofs(moves, seed):
    game = random_game(seed, **moves)
    value = prove_game(game)
    assert value.lower == value.upper
    proof = prove_boxes(game, best_known(game), seconds=10.0)
    assert proof.lower <= value.lower <= proof.upper
    assert proof.upper - proof.lower <= Q(1, 1000) * (1 + abs(value.lower))


@pytest.mark.parametrize("seed", [1, 3, 4])
def test_no_policy_is_worth_more_than_the_upper_end(seed):
    game = random_game(seed, 2 + seed % 2)
    proof = prove_boxes(game, best_known(game))
    assert proof.upper - proof.lower <= Q(1, 1000) * (1 + abs(proof.lower))
    rng = np.random.default_rng(seed)
    policies = [rng.dirichlet([0.5] * 2, game.shape[0]) for _ in range(200)]
    assert max(float(commitment(game, x).strong) for x in policies) <= float(proof.upper) + 1e-9
    assert float(commitment(game, np.array(proof.policy, float)).strong) == pytest.approx(float(proof.lower), abs=1e-6)


def test_different_discounts_and_a_leader_that_sees_nothing():
    game = random_game(3, 2, leader_observes=[0, 0])
    game = so.StackelbergGame(
        game.leader_reward, game.follower_reward, game.transition, leader_discount=0.5, follower_discount=0.75, leader_observes=[0, 0], initial=[0.75, 0.25]
    )
    proof = prove_boxes(game, best_known(game))
    best = max(float(commitment(game, np.array([[p, 1 - p]] * 2)).strong) for p in np.linspace(0, 1, 2001))
    assert best <= float(proof.upper) + 1e-9
    assert float(proof.lower) == pytest.approx(best, abs=1e-3)


def test_responses_are_best_and_break_ties_for_the_leader():
    exact = check_games.read(game_text(so.catalog.build("commitment_2x2")))
    found = respond(exact, [[Q(1, 2), Q(1, 2)]])
    assert (found.response, found.value) == ([1], Q(7, 2))


def test_exact_proves_games_whose_leader_moves_the_state():
    solution = so.solve(random_game(1), so.Exact(proof=True, time_limit=20.0))
    assert solution.status is so.Status.PROVED
    assert solution.proof.kind == "boxes"
    assert solution.certified


def test_no_time_no_proof():
    assert "time" in prove_boxes(random_game(0), np.array([[0.5, 0.5]] * 2), seconds=0.0)


@pytest.fixture(scope="module")
def accepted():
    """With cuts, responses, ranges and leaves."""
    for seed in range(40):
        game = random_game(seed, 3, discount=0.875)
        proof = prove_boxes(game, best_known(game), seconds=5.0)
        if not isinstance(proof, str) and {"x", "y", "v", "d"} <= {line[:1] for line in proof.text.split("tree\n")[1].split("\n")}:
            return proof
    raise AssertionError("no game with all kinds of lines")


def without_first(text, kind):
    lines = text.split("\n")
    at = next(i for i, line in enumerate(lines) if line.startswith(f"{kind} ") and i > lines.index("tree"))
    return "\n".join(lines[:at] + lines[at + 1 :])


MUTATIONS = {
    "a smaller upper end": lambda p: p.text.replace(f"upper {p.upper}", f"upper {p.lower - 1}"),
    "a leaf less": lambda p: without_first(p.text, "d"),
    "a range less": lambda p: without_first(p.text, "v"),
    "a cut less": lambda p: without_first(p.text, "x"),
    "a decision less": lambda p: without_first(p.text, "y"),
    "leaves without multipliers": lambda p: "\n".join("d" if line.startswith("d ") else line for line in p.text.split("\n")),
    "an empty range claimed": lambda p: p.text.replace("\nd ", "\ne 0 ", 1),
    "leaves called empty": lambda p: p.text.replace("\nd ", "\nf ", 1),
    "another response": lambda p: p.text.replace(*(("\nresponse 0", "\nresponse 1")[:: 1 if "\nresponse 0" in p.text else -1])),
    "a better leader value": lambda p: p.text.replace("\nleader-value ", "\nleader-value 100 "),
    "no end": lambda p: p.text.replace("\nend\n", "\n"),
    "cut in half": lambda p: p.text[: len(p.text) // 2],
    "text after the end": lambda p: p.text + "d\n",
    "not a number": lambda p: p.text.replace("\npolicy ", "\npolicy nan "),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_damaged_proofs_are_rejected(accepted, name):
    text = MUTATIONS[name](accepted)
    assert text != accepted.text
    with pytest.raises(Exception):  # noqa: B017  # of any kind: nothing is proved
        check_boxes.check(accepted.problem, text)


def test_ranges_must_satisfy_their_inequalities(accepted):
    lines = accepted.text.split("\n")
    at = next(i for i, line in enumerate(lines) if line.startswith("v "))
    for which, step, what in ((1, 50, "lower"), (2, -50, "upper")):
        words = lines[at].split()
        words[which] = str(Q(words[which]) + step)
        with pytest.raises(Rejected, match=f"{what} value of state 0"):
            check_boxes.check(accepted.problem, "\n".join([*lines[:at], " ".join(words), *lines[at + 1 :]]))


def test_policies_must_be_policies_and_answers_best(accepted):
    text = accepted.text
    policy = next(line for line in text.split("\n") if line.startswith("policy"))
    with pytest.raises(Rejected, match="policy"):
        check_boxes.check(accepted.problem, text.replace(policy, " ".join(["policy", "2", "-1", *policy.split()[3:]])))
    with pytest.raises(Rejected, match="policy"):
        check_boxes.check(accepted.problem, text.replace("follower-value ", "follower-value 1/7 ", 1))


def test_the_proof_is_of_one_game(accepted):
    data = json.loads(accepted.problem)
    data["follower_reward"][0][0][0] += 1
    with pytest.raises(Rejected, match="another problem"):
        check_boxes.check(json.dumps(data), accepted.text)


def test_three_files_and_nothing_but_python(accepted, tmp_path):
    for name in ("check.py", "check_games.py", "check_boxes.py"):
        shutil.copy(PACKAGE / name, tmp_path)
    (tmp_path / "game.json").write_text(accepted.problem)
    (tmp_path / "proof.txt").write_text(accepted.text)
    command = [sys.executable, "-S", "check_boxes.py", "game.json"]
    good = subprocess.run([*command, "proof.txt"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert good.returncode == 0
    assert good.stdout.strip() == accepted.statement
    (tmp_path / "proof.txt").write_text(accepted.text.replace("end", ""))
    bad = subprocess.run([*command, "proof.txt"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert bad.returncode == 1
    assert bad.stdout.startswith("REJECTED")


def test_the_package_checks_it_too(accepted):
    assert checked(accepted.problem, accepted.text).upper == accepted.upper


def test_the_checker_is_small_and_imports_the_standard_library_alone():
    text = (PACKAGE / "check_boxes.py").read_text()
    assert len(text.splitlines()) <= 200
    imports = {line.split()[1].removeprefix("stackopt.proof.") for line in text.splitlines() if line.strip().startswith(("import ", "from "))}
    assert imports == {"sys", "collections.abc", "dataclasses", "fractions", "typing", "check", "check_games"}
