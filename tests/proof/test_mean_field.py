"""Leaders' values over all mean-field equilibria: known answers, the search in floats, damaged proofs, the standalone files."""

import json
import shutil
import subprocess
import sys
from fractions import Fraction as Q
from pathlib import Path

import numpy as np
import pytest

import stackopt as so
from stackopt.proof import check_mean_field
from stackopt.proof.check import Rejected
from stackopt.proof.mean_field import mean_field_text, prove_mean_field, why_not
from stackopt.proof.proof import checked

PACKAGE = Path(check_mean_field.__file__).parent


def places(**rest):
    """Two places to go to each day; being there with everybody costs 1 more than being alone."""
    go = np.zeros((2, 2, 2))
    go[:, 0, 0] = go[:, 1, 1] = 1.0
    return so.MeanFieldStackelbergGame(
        so.Stationary(discount=0.5), reward=np.zeros((2, 2)), transition=go, reward_population=-np.eye(2)[:, None].repeat(2, 1), **rest
    )


def coordinated(leader_reward):
    """Two places, and everybody likes company: three equilibria in which all stay where they are best off."""
    go = np.zeros((2, 2, 2))
    go[:, 0, 0] = go[:, 1, 1] = 1.0
    return so.MeanFieldStackelbergGame(
        so.Stationary(discount=0.5), reward=np.zeros((2, 2)), transition=go, reward_population=np.eye(2)[:, None].repeat(2, 1), leader_reward=leader_reward
    )


def random_game(seed, K=1, T=1, S=2, B=2, *, finite=False, menu=3):
    rng = np.random.default_rng(seed)
    transition = np.zeros((K, T, S, B, S))
    for i in np.ndindex(K, T, S, B):
        np.add.at(transition[i], rng.integers(0, S, 4), 0.25)
    horizon = so.Finite(stages=T, initial=np.full(S, 1 / S)) if finite else so.Stationary(0.75) if T == 1 else so.Periodic(stages=T, discount=0.75)
    leader = so.Menu(np.arange(menu)[:, None].astype(float)) if menu else so.Box([0.0], [2.0])
    return so.MeanFieldStackelbergGame(
        horizon, reward=rng.integers(0, 9, (K, T, S, B)).astype(float), transition=transition,
        reward_population=-rng.integers(0, 9, (K, T, S, B, S)).astype(float), reward_leader=rng.integers(-3, 4, (K, T, S, B, 1)).astype(float),
        leader=leader, leader_reward=rng.integers(0, 9, (K, T, S, B)).astype(float),
        leader_reward_leader=rng.integers(-2, 3, (K, T, S, B, 1)).astype(float) if menu else None,
    )  # fmt: skip


def test_nobody_likes_company_so_half_go_to_either_place():
    proof = prove_mean_field(places(leader_reward=[[1.0, 1.0], [0.0, 0.0]]))
    assert (proof.lower, proof.upper) == (Q(1, 2), Q(1, 2))
    assert proof.statement.startswith("VERIFIED: mean-field equilibria exist, and the leader's best value over all of them = 1/2 exactly")


def test_without_a_leader_the_proof_is_of_existence():
    proof = prove_mean_field(places())
    assert proof.lower == proof.upper == 0
    assert sum(proof.mass.values()) == 1


def test_everybody_likes_company_so_the_best_and_the_worst_equilibrium_differ():
    game = coordinated([[1.0, 1.0], [0.0, 0.0]])
    best, worst = prove_mean_field(game), prove_mean_field(game, "worst")
    assert (best.lower, best.upper) == (1, 1)
    assert (worst.lower, worst.upper) == (0, 0)
    assert "worst" in worst.statement


def test_a_subsidy_from_a_menu_is_chosen():
    """Place 0 is worth theta to a follower and 1 to the leader, who pays theta: mu = (1 + theta) / 2 go there, and mu (1 - theta) is earned."""
    theta = np.array([[[1.0], [1.0]], [[0.0], [0.0]]])
    game = places(
        reward_leader=theta, leader=so.Menu([[0.0], [0.25], [0.5]]), leader_reward=[[1.0, 1.0], [0.0, 0.0]], leader_reward_leader=-theta
    )
    proof = prove_mean_field(game)
    assert proof.lower == proof.upper == Q(1, 2)
    assert proof.theta == (0,)
    dearer = places(
        reward_leader=theta, leader=so.Menu([[0.0], [0.25], [0.5]]), leader_reward=[[4.0, 4.0], [0.0, 0.0]], leader_reward_leader=-theta
    )
    proof = prove_mean_field(dearer)
    assert proof.lower == proof.upper == max(Q(1 + t, 2) * (4 - t) for t in (Q(0), Q(1, 4), Q(1, 2)))
    assert proof.theta == (Q(1, 2),)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("sizes", [{}, {"K": 2}, {"S": 3}, {"T": 2}, {"T": 3, "finite": True}, {"menu": 0}, {"S": 3, "B": 3}], ids=str)
def test_values_agree_with_the_search_in_floats(sizes, seed):
    game = random_game(seed, **sizes)
    assert why_not(game) == ""
    proof = prove_mean_field(game)
    assert proof.lower == proof.upper
    assert float(proof.lower) == pytest.approx(float(so.solve(game, so.Exact(proof=False)).value), rel=1e-6, abs=1e-6)


def test_exact_proves_small_games(tmp_path):
    solution = so.solve(random_game(0), so.Exact())
    assert solution.status is so.Status.PROVED
    assert solution.certified
    assert float(solution.proof.lower) == pytest.approx(float(solution.value), abs=1e-6)
    text = solution.proof.save(tmp_path / "proof.txt")
    assert so.check(solution.proof.save_problem(tmp_path / "game.json"), text).statement == solution.proof.statement
    assert so.solve(random_game(0), so.Exact(proof=False)).status is so.Status.OPTIMAL


def test_what_is_out_of_scope_says_so():
    moved = places(transition_population=np.zeros((2, 2, 2, 2)))
    assert why_not(moved)
    assert prove_mean_field(moved) == why_not(moved)
    assert "one decision" in prove_mean_field(random_game(0), "worst")
    assert "proportion" in why_not(places(leader=so.Box([0.0], [1.0]), reward_leader=np.ones((2, 2, 1)), leader_reward_leader=np.ones((2, 2, 1))))
    assert "time" in prove_mean_field(random_game(0), seconds=0.0)


# --- proofs and games that are not what they claim -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def accepted():
    return prove_mean_field(random_game(0, K=2))


MUTATIONS = {
    "a better value": lambda p: p.text.replace(f"upper {-p.lower}\nlower {-p.lower}", f"upper {-p.lower - 1}\nlower {-p.lower - 1}"),
    "a worse value": lambda p: p.text.replace(f"upper {-p.lower}\nlower {-p.lower}", f"upper {-p.lower + 1}\nlower {-p.lower + 1}"),
    "the worst value": lambda p: p.text.replace("proof 1 best", "proof 1 worst"),
    "a leaf less": lambda p: p.text.replace("\nd ", "\n", 1),
    "no multipliers": lambda p: "\n".join("d" if line.startswith("d ") else line for line in p.text.split("\n")),
    "no end": lambda p: p.text.replace("\nend\n", "\n"),
    "cut in half": lambda p: p.text[: len(p.text) // 2],
    "no range": lambda p: "\n".join(p.text.split("\n")[:1] + p.text.split("\n")[2:]),
    "not a number": lambda p: p.text.replace("\nlower ", "\nlower nan ", 1),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_damaged_proofs_are_rejected(accepted, name):
    text = MUTATIONS[name](accepted)
    assert text != accepted.text
    with pytest.raises(Exception):  # noqa: B017  # of any kind: nothing is proved
        check_mean_field.check(accepted.problem, text)


@pytest.mark.parametrize(("line", "step", "what"), [(1, 50, "lower value"), (2, -50, "upper value")])
def test_ranges_must_satisfy_their_inequalities(accepted, line, step, what):
    lines = accepted.text.split("\n")
    key, first, *rest = lines[line].split()
    lines[line] = " ".join([key, str(Q(first) + step), *rest])
    with pytest.raises(Rejected, match=what):
        check_mean_field.check(accepted.problem, "\n".join(lines))


@pytest.mark.parametrize("key", ["reward", "reward_population", "reward_leader", "leader_reward", "leader_reward_leader", "transition", "menu", "weights"])
def test_the_proof_is_of_one_game(accepted, key):
    data = json.loads(accepted.problem)
    if key == "weights":
        data[key] = [0.25, 0.75]
    elif key == "transition":
        row = data[key][0][0][0][0]
        data[key][0][0][0][0] = [1.0, 0.0] if row != [1.0, 0.0] else [0.5, 0.5]
    elif key == "menu":
        data[key][2] = [7.0]
    else:
        place = data[key][0][0][0]
        place[0] = [v + 1 for v in place[0]] if isinstance(place[0], list) else place[0] + 1
    with pytest.raises(Rejected):
        check_mean_field.check(json.dumps(data), accepted.text)


@pytest.mark.parametrize(
    "change", [{"discount": 1}, {"menu": []}, {"box": [[0], [1]]}, {"weights": [0.5, 0.6]}, {"reward": [[[1]]]}, {"rewards": 1}, {"cyclic": False}]
)
def test_what_is_no_game_is_rejected(accepted, change):
    with pytest.raises(Exception):  # noqa: B017
        check_mean_field.check(json.dumps({**json.loads(accepted.problem), **change}), accepted.text)


def test_three_files_and_nothing_but_python(accepted, tmp_path):
    for name in ("check.py", "check_games.py", "check_mean_field.py"):
        shutil.copy(PACKAGE / name, tmp_path)
    (tmp_path / "game.json").write_text(accepted.problem)
    (tmp_path / "proof.txt").write_text(accepted.text)
    command = [sys.executable, "-S", "check_mean_field.py", "game.json"]
    good = subprocess.run([*command, "proof.txt"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert good.returncode == 0
    assert good.stdout.strip() == accepted.statement
    (tmp_path / "proof.txt").write_text(accepted.text.replace("end", ""))
    bad = subprocess.run([*command, "proof.txt"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert bad.returncode == 1
    assert bad.stdout.startswith("REJECTED")


def test_the_package_checks_it_too(accepted):
    assert (checked(accepted.problem, accepted.text).lower, checked(accepted.problem, accepted.text).upper) == (accepted.lower, accepted.upper)
    assert mean_field_text(random_game(0, K=2)) == accepted.problem


def test_the_checker_is_small_and_imports_the_standard_library_alone():
    text = (PACKAGE / "check_mean_field.py").read_text()
    assert len(text.splitlines()) <= 200
    imports = {line.split()[1].removeprefix("stackopt.proof.") for line in text.splitlines() if line.strip().startswith(("import ", "from "))}
    assert imports == {"itertools", "sys", "collections.abc", "fractions", "typing", "check", "check_games"}
