"""Strong values of games as rationals with a proof: known answers, enumeration in rationals, other routes, the standalone checker."""

import itertools
import json
import shutil
import subprocess
import sys
from fractions import Fraction as Q
from pathlib import Path

import numpy as np
import pytest

import stackopt as so
from stackopt.exact.proved import proved
from stackopt.games.exact_certificate import exact_commitment
from stackopt.games.file import load_game
from stackopt.games.profile import Profile
from stackopt.games.rational import solve
from stackopt.proof import check_games
from stackopt.proof.check import Rejected
from stackopt.proof.games import game_text, proof_kind, prove_game
from stackopt.solution import Run

PACKAGE = Path(check_games.__file__).parent


def random_game(seed, S, A, B, *, leader_moves=False, follower_moves=True, discount=0.75, follower_discount=None, **rest):
    """Rewards 0..10; kernels and the initial distribution in quarters, so that floats hold every number exactly."""
    rng = np.random.default_rng(seed)
    rewards = rng.integers(0, 11, (2, S, A, B)).astype(float)
    transition = np.zeros((S, A, B, S))
    for s, a, b in np.ndindex(S, A, B):
        if (a and not leader_moves) or (b and not follower_moves):
            transition[s, a, b] = transition[s, a if leader_moves else 0, b if follower_moves else 0]
        else:
            np.add.at(transition[s, a, b], rng.integers(0, S, 4), 0.25)
    follower = discount if follower_discount is None else follower_discount
    rest.setdefault("initial", [1.0 - 0.25 * (S - 1), *[0.25] * (S - 1)])
    return so.StackelbergGame(*rewards, transition, leader_discount=discount, follower_discount=follower, **rest)


def best_pure(game):
    """The strong value over pure leader policies: every pair of pure policies, in rationals, sharing no code with the proof's lowering."""
    S, A, B = game.shape
    rows = [[[[Q(v) for v in row] for row in m] for m in array] for array in game.transition.tolist()]
    rewards = {"L": game.leader_reward.tolist(), "F": game.follower_reward.tolist()}
    gammas = {"L": Q(game.leader_discount), "F": Q(game.follower_discount)}

    def value(who, x, y):
        matrix = [[Q(s == t) - gammas[who] * rows[s][x[s]][y[s]][t] for t in range(S)] for s in range(S)]
        return solve(matrix, [Q(rewards[who][s][x[s]][y[s]]) for s in range(S)])

    best = None
    for picks in itertools.product(range(A), repeat=int(game.observations.max()) + 1):
        x = [picks[o] for o in game.observations]
        responses = list(itertools.product(range(B), repeat=S))
        values = [value("F", x, y) for y in responses]
        top = [max(v[s] for v in values) for s in range(S)]
        for y, v in zip(responses, values):
            if v == top:
                worth = sum((Q(p) * u for p, u in zip(game.initial.tolist(), value("L", x, y))), Q(0))
                best = worth if best is None else max(best, worth)
    return best


@pytest.mark.parametrize("kind", ["stagewise", "randomised"])
def test_conitzer_and_sandholms_example_is_worth_seven_halves(kind):
    proof = prove_game(so.catalog.build("commitment_2x2"), kind=kind)
    assert (proof.lower, proof.upper, proof.nodes) == (Q(7, 2), Q(7, 2), 1)
    assert proof.statement == "VERIFIED: strong Stackelberg value over randomised leader policies = 7/2 exactly (1 node)"


def test_pure_commitment_there_is_worth_three():
    proof = prove_game(so.catalog.build("commitment_2x2"), "deterministic")
    assert proof.lower == proof.upper == 3
    assert "deterministic" in proof.statement


def test_a_proof_written_by_hand():
    """Two multipliers: of the flow of visits (7/2), and of "the follower is at least as content with r as with l" (1/2)."""
    text = game_text(so.catalog.build("commitment_2x2"))
    system = check_games.lower_game(check_games.read(text), "stagewise", {})
    proof = f"""stackopt-game-proof 1 stagewise
stackopt-proof 1
problem {system.digest()}
status optimal
upper -7/2
lower -7/2
point 1:1/2 3:1/2
tree
d 0:-7/2 2:1/2
end
"""
    assert check_games.check(text, proof)["upper"] == Q(-7, 2)
    with pytest.raises(Exception, match="bound below"):
        check_games.check(text, proof.replace("0:-7/2", "0:-71/20"))
    with pytest.raises(Exception, match="point"):
        check_games.check(text, proof.replace("upper -7/2", "upper -18/5").replace("lower -7/2", "lower -18/5"))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("sizes", [(2, 2, 2), (2, 3, 2), (3, 2, 2)])
def test_pure_values_are_those_of_enumeration(sizes, seed):
    game = random_game(seed, *sizes, leader_moves=True)
    proof = prove_game(game, "deterministic")
    assert proof.lower == proof.upper == best_pure(game)


@pytest.mark.parametrize("seed", range(3))
def test_different_discounts_and_a_leader_that_sees_little(seed):
    game = random_game(seed, 3, 2, 2, leader_moves=True, discount=0.5, follower_discount=0.75, leader_observes=["a", "b", "a"], initial=[0.5, 0.25, 0.25])
    proof = prove_game(game, "deterministic")
    assert proof.lower == proof.upper == best_pure(game)


@pytest.mark.parametrize("seed", range(6))
def test_randomised_values_agree_with_the_search_in_floats(seed):
    game = random_game(seed, 3, 2, 3)
    proof = prove_game(game)
    assert proof.kind == "randomised"
    assert proof.lower == proof.upper
    search = so.solve(game, so.Exact(confirm=False))
    assert float(proof.lower) == pytest.approx(float(search.value), rel=1e-6)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("leader", ["randomised", "deterministic"])
def test_the_policy_in_the_proof_is_worth_what_it_says(leader, seed):
    game = random_game(seed, 3, 2, 2, leader_moves=leader == "deterministic")
    proof = prove_game(game, leader)
    assert exact_commitment(game, [list(row) for row in proof.policy]).strong == proof.lower


@pytest.mark.parametrize("seed", range(5))
def test_two_lowerings_of_stagewise_games_agree(seed):
    game = random_game(seed, 3, 2, 2, follower_discount=0.0)
    one, other = prove_game(game, kind="stagewise"), prove_game(game, kind="randomised")
    assert one.lower == one.upper == other.lower == other.upper
    assert one.nodes == 1


@pytest.mark.parametrize("seed", range(4))
def test_a_stagewise_leader_may_move_the_state(seed):
    game = random_game(seed, 3, 2, 2, leader_moves=True, follower_moves=False)
    proof = prove_game(game)
    assert proof.kind == "stagewise"
    assert exact_commitment(game, [list(row) for row in proof.policy]).strong == proof.lower
    assert proof.lower == proof.upper >= best_pure(game)
    assert float(proof.lower) == pytest.approx(float(so.solve(game, so.Exact()).value), rel=1e-6)


def test_numbers_are_the_decimals_that_are_written():
    game = so.StackelbergGame([[[0.1], [0.3]]], [[[0.0], [0.0]]], so.stay, discount=0.9)
    assert prove_game(game).lower == 3


def test_thirds_in_a_distribution_are_thirds():
    """Decimals that sum to 1 but for rounding are divided by their sum."""
    game = so.StackelbergGame(np.array([[[3.0]], [[0.0]], [[0.0]]]), np.zeros((3, 1, 1)), np.full((3, 1, 1, 3), 1 / 3), discount=0.5, initial=[1.0, 0, 0])
    assert prove_game(game).lower == 4  # 3 now, and half of a third of 6 in all later on


def test_without_a_policy_there_is_no_proof_where_the_leader_moves_the_state():
    game = random_game(0, 2, 2, 2, leader_moves=True)
    assert proof_kind(check_games.read(game_text(game)), "randomised") == ""
    assert "moves the state" in prove_game(game)


def test_no_time_no_proof():
    assert "time" in prove_game(random_game(1, 4, 3, 3), seconds=0.0)


# --- proofs and games that are not what they claim -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def accepted():
    game = random_game(2, 3, 3, 3)
    proof = prove_game(game)
    assert proof.nodes > 3
    return proof


def lines_of(proof):
    lines = proof.text.split("\n")
    return lines, {line.split()[0]: i for i, line in enumerate(lines) if line}


MUTATIONS = {
    "a better value": lambda t, v: t.replace(f"upper {-v}", f"upper {-v - 1}").replace(f"lower {-v}", f"lower {-v - 1}"),
    "a worse value": lambda t, v: t.replace(f"upper {-v}", f"upper {-v + 1}").replace(f"lower {-v}", f"lower {-v + 1}"),
    "a smaller upper value": lambda t, v: t.replace("follower-upper ", "follower-upper 0/1 ", 1),
    "no upper value": lambda t, v: "\n".join(line for line in t.split("\n") if not line.startswith("leader-upper")),
    "a leaf less": lambda t, v: t.replace("\nd ", "\n", 1),
    "the first leaf deleted": lambda t, v: t.replace("\nd ", "\n\0", 1).partition("\0")[0] + t.replace("\nd ", "\n\0", 1).partition("\0")[2].partition("\n")[2],
    "cut in half": lambda t, v: t[: len(t) // 2],
    "no end": lambda t, v: t.replace("\nend\n", "\n"),
    "two ends": lambda t, v: t + "d\n",
    "another kind": lambda t, v: t.replace("1 randomised", "1 deterministic"),
    "stagewise": lambda t, v: t.replace("1 randomised", "1 stagewise"),
    "not a number": lambda t, v: t.replace("follower-lower ", "follower-lower nan "),
    "infeasible": lambda t, v: t.replace("status optimal", "status infeasible"),
    "only a bound": lambda t, v: t.replace("status optimal", "status bound"),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_damaged_proofs_are_rejected(accepted, name):
    text = MUTATIONS[name](accepted.text, accepted.lower)
    assert text != accepted.text
    with pytest.raises(Exception):  # noqa: B017  # of any kind: nothing is proved
        check_games.check(accepted.problem, text)


def test_ranges_of_values_must_satisfy_their_inequalities(accepted):
    lines, at = lines_of(accepted)
    for key, better in (("follower-lower", 1), ("follower-upper", -1), ("leader-lower", 1), ("leader-upper", -1)):
        key_, *values = lines[at[key]].split()
        changed = [*lines]
        changed[at[key]] = " ".join([key_, str(Q(values[0]) + 100 * better), *values[1:]])
        with pytest.raises(Rejected, match="value of state"):
            check_games.check(accepted.problem, "\n".join(changed))


@pytest.mark.parametrize("key", ["leader_reward", "follower_reward", "transition", "initial", "leader_discount"])
def test_the_proof_is_of_one_game(accepted, key):
    data = json.loads(accepted.problem)
    if key == "transition":
        data[key][0][0][0] = data[key][0][1][0] = data[key][1][0][0][::-1]
    elif key == "initial":
        data[key] = [0.25, 0.5, 0.25]
    elif key == "leader_discount":
        data[key] = 0.5
    else:
        data[key][0][0][0] += 1
    with pytest.raises(Rejected):
        check_games.check(json.dumps(data), accepted.text)


@pytest.mark.parametrize(
    "change", [{"discount": 1}, {"leader_discount": -0.5}, {"initial": [0.5, 0.6, 0]}, {"initial": [1, 1, -1]}, {"transitions": 1}, {"leader_reward": [[1]]}]
)
def test_what_is_no_game_is_rejected(accepted, change):
    data = {key: value for key, value in json.loads(accepted.problem).items() if not (key.endswith("discount") and "discount" in change)}
    with pytest.raises(Exception):  # noqa: B017
        check_games.check(json.dumps({**data, **change}), accepted.text)


def test_names_and_labels_do_not_matter(accepted):
    data = {**json.loads(accepted.problem), "name": "other", "states": ["x", "y", "z"]}
    assert check_games.check(json.dumps(data), accepted.text)["lower"] == -accepted.upper


def test_two_files_and_nothing_but_python(accepted, tmp_path):
    for name in ("check.py", "check_games.py"):
        shutil.copy(PACKAGE / name, tmp_path)
    (tmp_path / "game.json").write_text(accepted.problem)
    (tmp_path / "proof.txt").write_text(accepted.text)
    command = [sys.executable, "-S", "check_games.py", "game.json"]
    good = subprocess.run([*command, "proof.txt"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert good.returncode == 0
    assert good.stdout.strip() == accepted.statement
    (tmp_path / "proof.txt").write_text(accepted.text.replace("end", ""))
    bad = subprocess.run([*command, "proof.txt"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert bad.returncode == 1
    assert bad.stdout.startswith("REJECTED")


def test_the_checker_is_small_and_imports_the_standard_library_alone():
    text = (PACKAGE / "check_games.py").read_text()
    assert len(text.splitlines()) <= 200
    imports = {line.split()[1] for line in text.splitlines() if line.strip().startswith(("import ", "from "))}
    assert imports == {"sys", "collections.abc", "fractions", "typing", "stackopt.proof.check", "check"}


def test_files_of_recorded_games_are_proved_as_they_are():
    path = Path(__file__).parents[2] / "data" / "games" / "myopic_follower.json"
    proof = prove_game(load_game(path), problem=path.read_text())
    assert check_games.check(path.read_text(), proof.text)["lower"] == -proof.upper


# --- as solutions ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("leader", ["randomised", "deterministic"])
def test_exact_proves_small_games(leader, tmp_path):
    solution = so.solve(random_game(4, 3, 2, 2), so.Exact(leader=leader))
    assert solution.status is so.Status.PROVED
    assert solution.certified
    assert float(solution.proof.lower) == pytest.approx(float(solution.value), abs=1e-9)
    assert "proof" in str(solution)
    problem, text = solution.proof.save_problem(tmp_path / "game.json"), solution.proof.save(tmp_path / "proof.txt")
    assert so.check(problem, text).lower == solution.proof.lower
    assert so.check(solution.problem, solution.proof).statement == solution.proof.statement
    assert load_game(problem).shape == (3, 2, 2)


def test_proofs_can_be_declined_or_asked_for():
    game = random_game(4, 3, 2, 2)
    assert so.solve(game, so.Exact(proof=False)).status is so.Status.OPTIMAL
    assert so.solve(game, so.Exact(proof=True)).status is so.Status.PROVED
    with pytest.raises(so.errors.InvalidMethod, match="proof"):
        so.Exact(proof="always")


def test_what_cannot_be_proved_says_why(monkeypatch):
    monkeypatch.setattr("stackopt.exact.proved.prove_game", lambda *_, **__: "a cell could not be certified")
    solution = so.solve(random_game(4, 2, 2, 2), so.Exact())
    assert solution.proof is None
    assert solution.status is so.Status.OPTIMAL
    assert "none: a cell could not be certified" in str(solution)


def test_weak_values_and_nets_are_not_proved():
    game = random_game(4, 2, 2, 2)
    for method in (so.Exact("weak"), so.Exact(leader="net", grid=2)):
        solution = so.solve(game, method)
        assert (solution.proof, solution.status) == (None, so.Status.OPTIMAL)


def test_a_wrong_search_is_put_right_by_the_proof():
    """The status follows the proof, not the claim: here the candidate is worth less than the proved value."""
    game = so.catalog.build("commitment_2x2")
    worse = Profile(np.array([[0.0, 1.0]]), np.array([[0.0, 1.0]]), claim=3.0)
    run = proved(game, Run(so.Status.OPTIMAL, worse), leader="auto", proof=True, seconds=0.0, time_limit=5.0)
    assert run.status is so.Status.PROVED
    assert run.candidate.leader_policy.tolist() == [[0.5, 0.5]]
    assert run.bound.value == 3.5
