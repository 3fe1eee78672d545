"""Bayesian games: validation, certificates, the Harsanyi transform, DOBSS against enumeration."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from stackopt import BayesianGame, Profile
from stackopt.backends.highs import solve_milp
from stackopt.errors import InvalidCandidate, InvalidGame, Refused
from stackopt.games.operators import one_hot
from stackopt.games.responses import commitment
from stackopt.reformulations.dobss import dobss


def random_game(seed: int, K: int = 2, A: int = 3, B: int = 3, whole: bool = False) -> BayesianGame:
    rng = np.random.default_rng(seed)
    draw = (lambda: rng.integers(0, 4, (K, A, B))) if whole else (lambda: rng.normal(size=(K, A, B)))
    return BayesianGame(draw(), draw(), rng.dirichlet(np.ones(K)), name=f"random {seed}")


def by_enumeration(game: BayesianGame) -> float:
    """One linear program for every profile of responses."""
    K, A, B = game.shape
    best = -np.inf
    for plan in itertools.product(range(B), repeat=K):
        gain = np.concatenate([game.follower_payoff[k].T - game.follower_payoff[k][:, plan[k]] for k in range(K)])
        value = sum(game.probabilities[k] * game.leader_payoff[k][:, plan[k]] for k in range(K))
        result = linprog(-value, A_ub=gain, b_ub=np.zeros(len(gain)), A_eq=np.ones((1, A)), b_eq=[1.0])
        best = max(best, -result.fun) if result.status == 0 else best
    return best


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("whole", [False, True])
def test_dobss_is_the_best_over_all_response_profiles(seed, whole):
    game = random_game(seed, whole=whole)
    program = dobss(game)
    result = solve_milp(program.milp)
    x = program.lift(result.point)
    certificate = game.certify(Profile(x, one_hot(game.responses(x), game.shape[2]), claim=result.value))
    assert certificate.certified, certificate
    assert certificate.value == pytest.approx(by_enumeration(game), abs=1e-7)
    assert result.bound == pytest.approx(certificate.value, abs=1e-7)


@settings(max_examples=30, derandomize=True, deadline=None)
@given(seed=st.integers(0, 10_000), whole=st.booleans())
def test_harsanyi_has_the_same_values(seed, whole):
    game = random_game(seed, whole=whole)
    transformed = game.harsanyi()
    x = np.random.default_rng(seed).dirichlet(np.full(3, 0.5))[None]
    x = np.round(x * 2) / 2 if whole and np.round(x * 2).sum() == 2 else x  # ties are likely at halves
    values = game.certify(Profile(x, one_hot(game.responses(x), 3))).values
    static = commitment(transformed, x)
    assert values["strong"] == pytest.approx(float(static.strong), abs=1e-9)
    assert values["weak"] == pytest.approx(float(static.weak), abs=1e-9)
    assert values["weak"] <= values["strong"] + 1e-12


def test_one_type_is_a_matrix_game():
    game = BayesianGame([[[2, 4], [1, 3]]], [[[1, 0], [0, 1]]], [1.0])
    x = np.array([[0.5, 0.5]])
    strong = game.certify(Profile(x, np.array([[0.0, 1.0]]), claim=3.5))
    assert strong.certified
    assert strong.values["strong"] == 3.5
    assert strong.values["weak"] == 1.5
    program = dobss(game)
    assert solve_milp(program.milp).value == pytest.approx(3.5, abs=1e-9)


def test_a_wrong_response_fails_the_certificate():
    game = random_game(1)
    x = np.full((1, 3), 1 / 3)
    worst = game.follower_values(x).argmin(-1)
    certificate = game.certify(Profile(x, one_hot(worst, 3)))
    assert [c.name for c in certificate.failures] == ["follower optimal"]
    assert certificate.values["follower_regret"] > 0.1


def test_a_wrong_claim_and_a_wrong_policy_fail_the_certificate():
    game = random_game(2)
    x = np.full((1, 3), 1 / 3)
    y = one_hot(game.responses(x), 3)
    assert game.certify(Profile(x, y)).certified
    assert [c.name for c in game.certify(Profile(x, y, claim=99.0)).failures] == ["value restated"]
    assert "leader policy is a policy" in [c.name for c in game.certify(Profile(x * 1.01, y)).failures]
    assert not game.certify(Profile(np.full((1, 3), np.nan), y)).certified


def test_weak_with_margin_counts_near_ties():
    game = BayesianGame([[[0.0, 1.0]]], [[[1.0, 1.001]]], [1.0])
    x, y = np.array([[1.0]]), np.array([[0.0, 1.0]])
    assert game.certify(Profile(x, y, concept="weak")).value == 1.0
    assert game.certify(Profile(x, y, concept="weak", margin=0.01)).value == 0.0


@pytest.mark.parametrize(
    ("change", "code", "witness"),
    [
        ({"probabilities": [0.5, 0.6]}, "follower-types", "0.6"),
        ({"probabilities": [1.0]}, "follower-types", "for 2 types"),
        ({"probabilities": [1.5, -0.5]}, "follower-types", "-0.5"),
        ({"probabilities": [np.nan, 1.0]}, "follower-types", "nan"),
        ({"probabilities": ["a", "b"]}, "follower-types", "probabilities"),
        ({"leader_payoff": np.zeros((2, 3))}, "follower-types", "(2, 3)"),
        ({"leader_payoff": np.zeros((2, 2, 3))}, "follower-types", "(2, 2, 3)"),
        ({"leader_payoff": np.zeros((2, 3, 0)), "follower_payoff": np.zeros((2, 3, 0))}, "action-set", "(2, 3, 0)"),
        ({"follower_payoff": np.where(np.arange(18).reshape(2, 3, 3) == 4, np.inf, 0.0)}, "finite", "(k, a, b) = (0, 1, 1)"),
        ({"types": ["one"]}, "labels", ""),
        ({"follower_actions": ["x", "x", "y"]}, "labels", ""),
    ],
)
def test_bad_input_is_named(change, code, witness):
    arguments = {"leader_payoff": np.zeros((2, 3, 3)), "follower_payoff": np.zeros((2, 3, 3)), "probabilities": [0.5, 0.5]} | change
    with pytest.raises(InvalidGame) as error:
        BayesianGame(**arguments)
    assert error.value.code == code
    assert witness in error.value.where


def test_candidates_that_do_not_fit_are_refused():
    game = random_game(0)
    with pytest.raises(InvalidCandidate, match=r"\[candidate\]"):
        game.certify(Profile(np.ones(3) / 3, np.ones((2, 3)) / 3))
    with pytest.raises(InvalidCandidate, match=r"\[candidate\]"):
        game.certify(Profile(np.ones((1, 3)) / 3, np.ones((3, 3)) / 3))


def test_a_large_transform_is_refused():
    game = random_game(0, K=12, A=2, B=3)
    with pytest.raises(Refused, match=r"\[too-large\]"):
        game.harsanyi()


def test_printing_and_fingerprint():
    game = BayesianGame([[[1, 2]]], [[[3, 4]]], [1.0], types=["only"], follower_actions=["l", "r"], name="small")
    assert str(game).splitlines()[0] == 'BayesianGame "small": 1 type, 1 leader action, 2 follower actions'
    assert "<table" in game._repr_html_()
    assert "<script" not in game._repr_html_()
    same = BayesianGame([[[1, 2]]], [[[3, 4]]], [1.0], name="another name")
    other = BayesianGame([[[1, 2]]], [[[3, 5]]], [1.0])
    assert game.fingerprint() == same.fingerprint() != other.fingerprint()
    profile = Profile(np.array([[1.0]]), np.array([[0.0, 1.0]]))
    rows = dict(game.summarize(profile, game.certify(profile)))
    assert rows["types answer"] == "only: r"
    with pytest.raises(ValueError, match="read-only"):
        game.leader_payoff[0, 0, 0] = 5.0


def test_types_share_no_unit():
    """Payoffs of 1e7 for one type neither make ties nor excuse losses of another whose payoffs are 1."""
    R = [[[1.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]]
    large = [[1e7, 0.0], [0.0, 1e7]]
    game = BayesianGame(R, [large, [[1.0, 1.0 - 1e-5]] * 2], [0.5, 0.5])
    x = np.array([[1.0, 0.0]])
    assert game.responses(x).tolist() == [0, 0]
    wrong = BayesianGame(R, [large, [[1.0, 0.0]] * 2], [0.5, 0.5]).certify(Profile(x, np.array([[1.0, 0.0], [0.0, 1.0]])))
    assert [(c.name, c.residual) for c in wrong.failures] == [("follower optimal", 1.0)]
