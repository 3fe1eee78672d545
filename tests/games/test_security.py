"""Security games: validation, certificates, the compact programs against water filling and against the written-out game."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from stackopt import Coverage, SecurityGame
from stackopt.backends.highs import solve_milp
from stackopt.errors import InvalidCandidate, InvalidGame, Refused
from stackopt.games.responses import commitment
from stackopt.reformulations.security import attacked_target, attacked_targets
from stackopt.solution import Status


def random_game(seed: int, T: int = 5, m: int = 2, whole: bool = False) -> SecurityGame:
    rng = np.random.default_rng(seed)
    draw = (lambda low, high: rng.integers(low, high, T).astype(float)) if whole else (lambda low, high: rng.uniform(low, high, T))
    return SecurityGame(m, draw(0, 4), -draw(1, 6), -draw(0, 4), draw(1, 6), name=f"random {seed}")


def solved(game: SecurityGame, margin: float = 0.0) -> Coverage:
    """The best of the programs, one per attacked target."""
    best = None
    for program in attacked_targets(game, margin):
        result = solve_milp(program.milp)
        assert result.status in (Status.OPTIMAL, Status.INFEASIBLE)
        if result.point is not None and (best is None or result.value > best.claim):
            best = program.lift(result.point)
    assert best is not None
    return best


def water_filling(game: SecurityGame) -> float:
    """ORIGAMI by bisection: lower the attacker's best value until the resources are used, then take the defender's best tie.

    Needs strictly helpful coverage. At the lowest value v, every target worth more than v uncovered is covered down to v; the
    others may be attacked only if they are worth exactly v.
    """
    fall = game.attacker_uncovered - game.attacker_covered

    def needed(v: float) -> np.ndarray:
        return np.maximum(game.attacker_uncovered - v, 0.0) / fall

    low, high = float(game.attacker_covered.max()), float(game.attacker_uncovered.max())
    for _ in range(200):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if needed(middle).sum() > game.resources else (low, middle)
    c = np.clip(needed(high), 0.0, 1.0)
    ties = game.attacker_values(c) >= game.attacker_values(c).max() - 1e-9
    return float(game.defender_values(c)[ties].max())


@settings(max_examples=25, derandomize=True, deadline=None)
@given(seed=st.integers(0, 10_000), m=st.integers(0, 3))
def test_programs_equal_water_filling(seed, m):
    game = random_game(seed, m=m)
    candidate = solved(game)
    certificate = game.certify(candidate)
    assert certificate.certified, certificate
    assert certificate.value == pytest.approx(water_filling(game), abs=1e-6)


@pytest.mark.parametrize("resources", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("whole", [False, True])
def test_programs_equal_the_game_written_out(resources, whole):
    game = random_game(resources, T=4, m=resources, whole=whole)
    expanded = game.expand()
    R, U = expanded.leader_reward[0], expanded.follower_reward[0]
    best, policy = -np.inf, None
    for t in range(4):  # multiple linear programs on the bimatrix game
        result = linprog(-R[:, t], A_ub=(U - U[:, t : t + 1]).T, b_ub=np.zeros(4), A_eq=np.ones((1, len(R))), b_eq=[1.0])
        if result.status == 0 and -result.fun > best:
            best, policy = -result.fun, result.x
    assert solved(game).claim == pytest.approx(best, abs=1e-7)
    assert float(commitment(expanded, policy[None]).strong) == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_a_margin_makes_the_value_hold_against_ties(seed):
    game = random_game(seed)
    strong, weak = solved(game), solved(game, margin=1e-4)
    certificate = game.certify(weak)
    assert certificate.certified
    assert certificate.values["weak"] == certificate.values["strong"]
    assert game.certify(strong).values["strong"] - 1e-2 < certificate.value <= game.certify(strong).values["strong"] + 1e-9


def test_no_coverage_can_make_a_worthless_target_the_best():
    game = SecurityGame(1, [0, 0, 0], [-1, -1, -1], [0, 0, 0], [9, 9, 1])
    assert solve_milp(attacked_target(game, 2).milp).status is Status.INFEASIBLE


def test_certificates_fail_what_is_wrong():
    game = SecurityGame(1, [0, 0], [-8, -4], [0, 0], [8, 4])
    assert game.certify(Coverage(np.array([2 / 3, 1 / 3]), 0, claim=-8 / 3)).certified
    assert [c.name for c in game.certify(Coverage(np.array([1.0, 1.0]), 0)).failures] == ["resources suffice"]
    assert "coverage in [0, 1]" in [c.name for c in game.certify(Coverage(np.array([-0.5, 1.0]), 0)).failures]
    assert [c.name for c in game.certify(Coverage(np.array([1.0, 0.0]), 0)).failures] == ["attacker optimal"]
    assert [c.name for c in game.certify(Coverage(np.array([0.0, 0.0]), 0, claim=0.0)).failures] == ["value restated"]
    assert not game.certify(Coverage(np.array([np.nan, 0.0]), 0)).certified
    tied = game.certify(Coverage(np.array([0.5, 0.0]), 0))
    assert (tied.values["strong"], tied.values["weak"]) == (-4.0, -4.0)
    near = Coverage(np.array([0.5, 0.001]), 0, concept="weak", margin=0.1)
    assert game.certify(near).value == pytest.approx(-4.0, abs=0.01)


@pytest.mark.parametrize(
    ("change", "code", "witness"),
    [
        ({"resources": 3}, "security", "resources = 3"),
        ({"resources": -1}, "security", "resources = -1"),
        ({"resources": 0.5}, "security", "resources = 0.5"),
        ({"defender_covered": [0, -9]}, "security", "target 1"),
        ({"attacker_covered": [9, 0]}, "security", "target 0"),
        ({"attacker_covered": [0]}, "security", "attacker_covered has 1"),
        ({"attacker_covered": [[0, 0]]}, "security", "(1, 2)"),
        ({"attacker_covered": ["a", "b"]}, "security", "could not convert"),
        ({"attacker_uncovered": [1, np.nan]}, "finite", "(t) = (1)"),
        ({"targets": ["x", "x"]}, "labels", ""),
    ],
)
def test_bad_input_is_named(change, code, witness):
    arguments = {"resources": 1, "defender_covered": [0, 0], "defender_uncovered": [-1, -1], "attacker_covered": [0, 0], "attacker_uncovered": [1, 1]} | change
    with pytest.raises(InvalidGame) as error:
        SecurityGame(**arguments)
    assert error.value.code == code
    assert witness in error.value.where


def test_candidates_that_do_not_fit_are_refused():
    game = random_game(0)
    with pytest.raises(InvalidCandidate, match=r"\[candidate\]"):
        game.certify(Coverage(np.zeros(4), 0))
    with pytest.raises(InvalidCandidate, match=r"\[candidate\]"):
        game.certify(Coverage(np.zeros(5), 5))


def test_a_large_expansion_is_refused():
    game = random_game(0, T=30, m=10)
    with pytest.raises(Refused, match=r"\[too-large\]"):
        game.expand()


def test_printing_and_fingerprint():
    game = SecurityGame(1, [0, 0], [-8, -4], [0, 0], [8, 4], targets=["bank", "shop"], name="town")
    assert str(game).splitlines()[0] == 'SecurityGame "town": 2 targets, 1 resource'
    assert "zero-sum" in str(game)
    assert "<table" in game._repr_html_()
    same = SecurityGame(1, [0, 0], [-8, -4], [0, 0], [8, 4])
    assert game.fingerprint() == same.fingerprint() != SecurityGame(2, [0, 0], [-8, -4], [0, 0], [8, 4]).fingerprint()
    candidate = Coverage(np.array([2 / 3, 1 / 3]), 0)
    rows = dict(game.summarize(candidate, game.certify(candidate)))
    assert rows["coverage"] == "bank: 0.6667  shop: 0.3333"
    assert rows["attacked"].startswith("bank")
