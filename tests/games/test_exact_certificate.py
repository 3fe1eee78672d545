"""Certificates in rationals: against enumeration, at ties that floats get wrong, and rounding margins that contain the truth."""

import itertools
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from scipy import sparse

import stackopt as so
from stackopt.errors import InvalidGame
from stackopt.games import exact_certificate
from stackopt.games.exact_certificate import exact_commitment, why_not_exact
from stackopt.games.profile import Profile
from stackopt.games.rational import distribution, mixed, simplest, solve
from stackopt.games.rounding_margin import enclose, margin_notes
from stackopt.testing import random_games, two_by_two
from stackopt.verification.instances import instance, random_policy

HALF, THIRD = Fraction(1, 2), Fraction(1, 3)


def pure(policy, actions):
    return np.eye(actions)[np.asarray(policy)]


def tie_at_one_third():
    """The follower is indifferent where the leader plays its first action with probability 1/3."""
    leader, follower = np.array([[[4.0, 1.0], [3.0, 0.0]]]), np.array([[[2.0, 0.0], [0.0, 1.0]]])
    return so.StackelbergGame(leader, follower, so.stay, discount=0.0, name="third")


# --- rationals ----------------------------------------------------------------------------------------------------------


def test_elimination_is_exact_also_with_zero_pivots():
    rng = np.random.default_rng(0)
    for n in (1, 2, 5, 8):
        matrix = [[Fraction(int(v), int(d)) for v, d in zip(*rng.integers([[-3], [1]], [[4], [7]], (2, n)))] for _ in range(n)]
        if abs(np.linalg.det(np.array(matrix, float))) < 1e-9:
            continue
        x = [Fraction(int(v), 3) for v in rng.integers(-9, 9, n)]
        assert solve(matrix, [sum(a * b for a, b in zip(row, x)) for row in matrix]) == x
    assert solve([[Fraction(0), Fraction(2)], [Fraction(3), Fraction(0)]], [Fraction(2), Fraction(1)]) == [THIRD, Fraction(1)]
    with pytest.raises(ZeroDivisionError):
        solve([[Fraction(1), Fraction(2)], [Fraction(2), Fraction(4)]], [Fraction(1), Fraction(1)])


def test_rows_sum_to_one_and_stay_binary_fractions():
    row = distribution([0.1, 0.2, 0.7])
    assert sum(row) == 1
    assert [float(v) for v in row[:2]] == [0.1, 0.2]
    assert all(v.denominator & (v.denominator - 1) == 0 for v in row)
    assert simplest([1 / 3, 1 / 3, 1 / 3]) == [THIRD] * 3
    assert simplest([0.123456789, 0.876543211]) != [0, 1]
    irrational = [2**-0.5 / 3, 1 - 2**-0.5 / 3]
    assert sum(simplest(irrational, within=1e-17)) == 1


def test_values_are_those_of_enumeration():
    rng = np.random.default_rng(4)
    for _ in range(6):
        S, A, B = 3, 2, 2
        weights = rng.integers(1, 5, (S, A, B, S))
        weights[..., 0] += 16 - weights.sum(-1)
        game = so.StackelbergGame(
            rng.integers(-2, 3, (S, A, B)), rng.integers(0, 2, (S, A, B)), weights / 16, leader_discount=0.5, follower_discount=0.75, initial=[0.5, 0.25, 0.25]
        )
        x = [[Fraction(int(k), 4), 1 - Fraction(int(k), 4)] for k in rng.integers(0, 5, S)]
        exact = exact_commitment(game, x)
        follower, leader = (mixed(r, game.transition, x, d, axis=1) for r, d in ((game.follower_reward, 0.75), (game.leader_reward, 0.5)))
        policies = list(itertools.product(range(B), repeat=S))
        as_rows = [[[Fraction(b == c) for b in range(B)] for c in policy] for policy in policies]
        values = [follower.value(rows) for rows in as_rows]
        assert exact.best == [max(v[s] for v in values) for s in range(S)]
        weights = [HALF, HALF / 2, HALF / 2]
        worth = [sum(w * v for w, v in zip(weights, leader.value(rows))) for rows, v in zip(as_rows, values) if v == exact.best]
        assert (exact.strong, exact.weak) == (max(worth), min(worth))


# --- certificates -------------------------------------------------------------------------------------------------------


def test_the_two_by_two_game_in_rationals():
    game = two_by_two()
    candidate = so.solve(game, so.Exact()).candidate
    found = game.certify(candidate, exact=True)
    assert found.certified
    assert (found.values["exact_strong"], found.values["exact_weak"]) == (Fraction(7, 2), Fraction(3, 2))
    assert found.value == 3.5
    assert any(note.startswith("exact ties at") for note in found.notes)
    assert set(found.values) >= set(game.certify(candidate).values)
    assert [c.name for c in found.checks] == [c.name for c in game.certify(candidate).checks]


def test_a_tie_that_no_float_can_play_is_not_one_and_the_fraction_nearby_is_examined():
    game = tie_at_one_third()
    x = np.array([[1 / 3, 2 / 3]])
    lax = game.certify(Profile(x, pure([0], 2), claim=10 / 3))
    assert lax.certified
    assert lax.values["strong"] == pytest.approx(10 / 3)
    assert lax.values["weak"] == pytest.approx(1 / 3)
    exact = game.certify(Profile(x, pure([0], 2), claim=10 / 3), exact=True)
    assert exact.values["strong"] == exact.values["weak"]
    assert any("near-ties that are none" in note for note in exact.notes)
    assert any("rounded to (1/3, 2/3)" in note and "10/3 strong, 1/3 weak" in note for note in exact.notes)
    fractions = np.array([[THIRD, 1 - THIRD]], dtype=object)
    given = game.certify(Profile(fractions, pure([0], 2), claim=10 / 3), exact=True)
    assert given.certified
    assert (given.values["exact_strong"], given.values["exact_weak"]) == (Fraction(10, 3), THIRD)


def test_a_loss_below_every_tolerance_is_a_loss():
    follower = np.array([[[1.0, 1.0 + 2.0**-50]]])
    game = so.StackelbergGame(np.array([[[1.0, 0.0]]]), follower, so.stay, discount=0.0)
    candidate = Profile(np.ones((1, 1)), pure([0], 2), claim=1.0)
    assert game.certify(candidate).certified
    exact = game.certify(candidate, exact=True)
    assert not exact.certified
    assert {c.name: c.residual for c in exact.failures} == {"follower optimal": 2.0**-50, "value restated": 1.0}
    assert exact.values["exact_strong"] == 0


def test_a_mixed_fixed_point_in_rationals():
    """Matching pennies: both play one half; a little off, both lose exactly that."""
    pennies = np.array([[[1.0, -1.0], [-1.0, 1.0]]])
    game = so.StackelbergGame(pennies, -pennies, so.stay, discount=0.0)
    even = np.array([[0.5, 0.5]])
    found = game.certify(Profile(even, even, "fixed_point", claim=0.0), exact=True)
    assert found.certified
    assert {c.name for c in found.checks} >= {"follower optimal", "leader optimal"}
    off = game.certify(Profile(np.array([[0.5 + 2.0**-40, 0.5 - 2.0**-40]]), even, "fixed_point", claim=0.0), exact=True)
    assert [c.name for c in off.failures] == ["follower optimal"]
    assert off.values["exact_follower_regret"] == Fraction(1, 2**39)


def test_soft_checks_and_batches_and_what_is_no_policy():
    games = random_games(2, states=4, discount=0.8, seed=3)
    with pytest.raises(InvalidGame, match="exact certificates"):
        games.certify(so.SoftmaxPolicyIteration(1.0).run(games).candidate, exact=True)
    solution = so.solve(games[0], so.SoftmaxPolicyIteration(1.0, "fixed_point"))
    exact = games[0].certify(solution.candidate, exact=True)
    assert exact.certified == solution.certified
    for name, value in solution.certificate.values.items():
        assert exact.values[name] == pytest.approx(value, abs=1e-9)
    wrong = replace(solution.candidate, leader_policy=2 * solution.candidate.leader_policy)
    assert not games[0].certify(wrong, exact=True).certified


def test_larger_games_are_refused_with_the_figure_and_get_a_margin():
    game = random_games(1, states=40, discount=0.9, seed=5)[0]
    assert why_not_exact(game) == "40 states, more than 30"
    assert "20000" in why_not_exact(random_games(1, states=30, actions=6)[0])
    solution = so.solve(game, so.SoftmaxPolicyIteration(1.0, "fixed_point"))
    notes = game.certify(solution.candidate, exact=True).notes
    assert any("not decided in rationals: 40 states" in note for note in notes)
    assert any("unique whatever the rounding" in note for note in notes)


# --- rounding margins ---------------------------------------------------------------------------------------------------


def test_margins_contain_the_exact_values_of_adversarial_games():
    decided = 0
    for index in range(60):
        case = instance(11, index)
        game, (S, A, _) = case.game, case.game.shape
        x = random_policy(case.rng(1), S, A)
        exact = exact_commitment(game, [distribution(row) for row in x])
        thin = so.StackelbergGame(
            game.leader_reward, game.follower_reward, sparse.csr_matrix(game.transition.reshape(-1, S)), initial=game.initial,
            leader_discount=game.leader_discount, follower_discount=game.follower_discount,
        )  # fmt: skip
        for one in (game, thin):
            found = enclose(one, x)
            assert found.low <= exact.weak <= exact.strong <= found.high, index
            for s, tied in enumerate(exact.ties):
                assert len(tied) == 1 or found.undecided[s][tied].all()
            if not found.undecided.any():
                decided += 1
                assert found.high - found.low <= 1e-6 * (1 + abs(found.high))
    assert decided > 20


def test_margins_contain_policies_that_do_not_quite_sum_to_one():
    game = random_games(1, states=5, discount=0.9, seed=8)[0]
    x = np.full((5, 3), 1 / 3) + 2e-10
    exact = exact_commitment(game, [distribution(row) for row in x])
    found = enclose(game, x)
    assert found.low <= exact.weak <= exact.strong <= found.high
    assert found.high - found.low <= 1e-5
    assert "possible ties" in margin_notes(two_by_two(), np.array([[0.5, 0.5]]))[0]


def test_fractions_are_written_short_or_as_floats():
    assert exact_certificate._written(Fraction(7, 2)) == "7/2"
    assert exact_certificate._written(Fraction(0.1) / 3) == repr(0.1 / 3)
