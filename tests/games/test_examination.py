"""Examinations of one candidate: which bounds apply to which, with what reason where they do not."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stackopt as so
from stackopt.games import constants as constants_of_games
from stackopt.games.constants import follower_constants, leader_constants, too_large
from stackopt.games.responses import commitment, follower_response, leader_response
from stackopt.verification.instances import adversarial_game, random_policy
from tests.strategies import games, seeds

some = settings(max_examples=60, derandomize=True, deadline=None, database=None)


def commit_2x2(**rest):
    return so.StackelbergGame([[[2, 4], [1, 3]]], [[[1, 0], [0, 1]]], so.stay, discount=0.0, **rest)


def candidate(game, x, *, concept="commitment", response="max-ent", tau=0.1):
    y = follower_response(game, x, tau, response).policy
    return so.Profile(x, y, concept, response, tau if response != "best" else 0.0, tau if concept == "fixed_point" else 0.0)


def fixed_point(game, tau, response="max-ent", steps=300):
    S, A, _ = game.shape
    x = np.full((S, A), 1.0 / A)
    for _ in range(steps):
        x = leader_response(game, follower_response(game, x, tau, response).policy, tau, response).policy
    return candidate(game, x, concept="fixed_point", response=response, tau=tau)


def by_tag(examinations, tag):
    found = [e for e in examinations if tag in e.bound.reference]
    assert found, f"no examination of {tag}"
    return found


@some
@given(games(), seeds, st.floats(0.01, 5.0), st.sampled_from(["commitment", "fixed_point"]), st.sampled_from(["max-ent", "boltzmann"]))
def test_no_bound_is_exceeded_by_soft_candidates(game, seed, tau, concept, response):
    x = random_policy(np.random.default_rng(seed), game.shape[0], game.shape[1])
    found = game.examinations(candidate(game, x, concept=concept, response=response, tau=tau))
    assert not [e for e in found if e.verdict == "violated"]
    assert sum(e.verdict == "holds" for e in found) >= 8
    assert all(e.bound.because for e in found if e.verdict == "not applicable")


@some
@given(games(), seeds)
def test_no_bound_is_exceeded_by_best_responses(game, seed):
    x = random_policy(np.random.default_rng(seed), game.shape[0], game.shape[1])
    worth = commitment(game, x)
    found = game.examinations(so.Profile(x, worth.strong_response), best_commitment=float(worth.strong))
    assert not [e for e in found if e.verdict == "violated"]


def test_the_model_of_the_response_decides_which_loss_bound_applies():
    game = adversarial_game(np.random.default_rng(0), rewards="uniform", shape=(3, 2, 3), discounts=(0.9, 0.9))
    x = np.full((3, 2), 0.5)
    soft = game.examinations(candidate(game, x))
    assert [e.verdict for e in by_tag(soft, "B2.1")] == ["holds", "holds"]
    (other,) = by_tag(soft, "B2.2")
    assert other.bound.because == "the response is boltzmann: no, it is max-ent"
    hard = game.examinations(candidate(game, x, response="boltzmann"))
    assert [e.verdict for e in by_tag(hard, "B2.2")] == ["holds"]
    assert {e.verdict for e in by_tag(hard, "B2.1")} == {"not applicable"}
    a_priori, a_posteriori = by_tag(soft, "B2.1")
    assert a_posteriori.bound.value < a_priori.bound.value


def test_a_follower_that_is_not_its_response_has_no_loss_bound():
    game = adversarial_game(np.random.default_rng(0), rewards="uniform", shape=(3, 2, 3), discounts=(0.9, 0.9))
    x, y = np.full((3, 2), 0.5), np.full((3, 3), 1 / 3)
    found = game.examinations(so.Profile(x, y, "commitment", "max-ent", 0.01))
    assert {e.verdict for e in by_tag(found, "B2.1")} == {"not applicable"}
    assert not [e for e in found if e.verdict == "violated"]


def test_the_fixed_point_of_the_2x2_game_has_no_regret_and_a_gap_of_one_and_a_half():
    """Theory A.5: regrets 0 say nothing about the best commitment."""
    game = commit_2x2()
    profile = fixed_point(game, 0.02)
    found = game.examinations(profile, best_commitment=3.5)
    assert max(e.measured for e in by_tag(found, "B11.3")) < 1e-3
    gap = by_tag(found, "B8.5")[0]
    assert gap.measured == pytest.approx(1.5, abs=1e-6)
    assert gap.bound.value >= 1.5 - 1e-9
    assert gap.verdict == "holds"


def test_contraction_applies_above_the_critical_temperature_only():
    rng = np.random.default_rng(5)
    game = adversarial_game(rng, kernel="mixing", rewards="uniform", shape=(3, 2, 3), discounts=(0.5, 0.5))
    critical = math.sqrt(leader_constants(game).slope * follower_constants(game).slope)
    warm, cold = (by_tag(game.examinations(fixed_point(game, t * critical)), "B4.2")[0] for t in (1.5, 0.5))
    assert warm.verdict == "holds"
    assert not cold.bound.applies
    assert cold.bound.because.startswith("modulus < 1: no, modulus is 4 at temperature")
    assert "would make it apply" in cold.bound.remedy


def test_distance_is_measured_away_from_the_fixed_point():
    game = adversarial_game(np.random.default_rng(5), kernel="mixing", rewards="uniform", shape=(3, 2, 3), discounts=(0.5, 0.5))
    critical = math.sqrt(leader_constants(game).slope * follower_constants(game).slope)
    off = candidate(game, np.eye(2)[[0, 1, 0]], concept="fixed_point", tau=1.2 * critical)
    (distance,) = by_tag(game.examinations(off), "B4.2")
    assert distance.verdict == "holds"
    assert 0.1 < distance.measured <= distance.bound.value


def test_the_local_certificate_works_where_the_global_one_does_not():
    game = commit_2x2()
    found = game.examinations(fixed_point(game, 0.02))
    (local,) = by_tag(found, "B4.4")
    assert local.verdict == "holds"
    # T dominates, so the leader's response never moves; make the leader react to see the global one fail
    game = so.StackelbergGame([[[2, 0], [0, 1]]], [[[2, 0], [0, 1]]], so.stay, discount=0.0)
    x = np.array([[0.9, 0.1]])
    for _ in range(50):
        x = leader_response(game, follower_response(game, x, 0.1).policy, 0.1).policy
    found = game.examinations(candidate(game, x, concept="fixed_point", tau=0.1))
    assert by_tag(found, "B4.2")[0].verdict == "not applicable"
    assert by_tag(found, "B4.4")[0].verdict == "holds"


def test_contraction_that_says_nothing_about_values_is_reported_so():
    game = adversarial_game(np.random.default_rng(1), kernel="deterministic", rewards="uniform", shape=(4, 3, 3), discounts=(0.99, 0.99))
    (vacuous,) = by_tag(game.examinations(fixed_point(game, 0.1, steps=3)), "B4.5")
    assert not vacuous.bound.applies
    assert "times the trivial one" in vacuous.bound.because


@pytest.mark.parametrize("tag", ["B4.2", "B4.4", "B11.3"])
def test_commitments_are_not_fixed_points(tag):
    game = commit_2x2()
    for e in by_tag(game.examinations(candidate(game, np.array([[0.5, 0.5]]))), tag):
        assert e.bound.because == "the candidate is meant as a fixed point: no, its concept is commitment"


@pytest.mark.parametrize("tag", ["B4.2", "B4.4", "B11.3"])
def test_a_leader_that_sees_less_has_no_best_response_to_examine(tag):
    game = adversarial_game(np.random.default_rng(2), rewards="uniform", shape=(3, 2, 2), discounts=(0.5, 0.5))
    blind = so.StackelbergGame(game.leader_reward, game.follower_reward, game.transition, discount=0.5, leader_observes=["a", "a", "b"])
    x = np.full((3, 2), 0.5)
    found = blind.examinations(candidate(blind, x, concept="fixed_point"))
    for e in by_tag(found, tag):
        assert "2 observations of 3 states" in e.bound.because
    assert by_tag(found, "B7.1")[0].verdict == "holds"
    assert by_tag(found, "B8")[0].verdict == "holds"


def test_unequal_discounts_use_the_action_gap_version():
    game = adversarial_game(np.random.default_rng(4), rewards="uniform", shape=(3, 2, 3), discounts=(0.9, 0.5))
    found = game.examinations(candidate(game, np.full((3, 2), 0.5)))
    assert {e.verdict for e in by_tag(found, "B7.1")} == {"not applicable"}
    assert {e.verdict for e in by_tag(found, "B7.2")} == {"holds"}


def test_the_sandwich_closes_as_the_temperature_falls():
    game = adversarial_game(np.random.default_rng(4), rewards="uniform", shape=(3, 2, 3), discounts=(0.9, 0.9))
    widths = []
    for tau in (1.0, 0.1, 0.01):
        lower, upper = by_tag(game.examinations(candidate(game, np.full((3, 2), 0.5), tau=tau)), "B7.1")
        widths.append(upper.bound.value - lower.bound.value)
    assert widths[0] > widths[1] > widths[2] >= 0


def test_large_games_say_what_was_too_large(monkeypatch):
    game = adversarial_game(np.random.default_rng(4), rewards="uniform", shape=(3, 2, 3), discounts=(0.9, 0.9))
    profile = fixed_point(game, 0.5, steps=2)
    monkeypatch.setattr(constants_of_games, "WORK", 10.0)
    assert "operations, more than" in too_large(game)
    with pytest.raises(ValueError, match="operations"):
        follower_constants(game)
    with pytest.raises(ValueError, match="operations"):
        leader_constants(game)
    found = game.examinations(profile)
    for tag in ("B3.4", "B4.2", "B4.4", "B5.1 a priori", "B7.2"):
        assert "small enough to compute: no" in by_tag(found, tag)[0].bound.because
    assert "leader's regret" in [e.bound.of for e in found if "small enough" in e.bound.because]
    monkeypatch.setattr(constants_of_games, "ENTRIES", 5)
    assert "entries, more than" in too_large(game)


def test_many_states_skip_dense_kernels(monkeypatch):
    import stackopt.games.examination as module

    game = adversarial_game(np.random.default_rng(4), rewards="uniform", shape=(3, 2, 3), discounts=(0.9, 0.9))
    monkeypatch.setattr(module, "STATES", 2)
    found = game.examinations(candidate(game, np.full((3, 2), 0.5)))
    assert "3 states, more than 2" in by_tag(found, "B5.1")[0].bound.because
    assert {e.verdict for e in by_tag(found, "B7")} == {"not applicable"}
    assert by_tag(found, "B2.1")[0].verdict == "holds"


def test_sparse_games_are_examined_too():
    from scipy.sparse import csr_matrix

    game = adversarial_game(np.random.default_rng(3), kernel="sparse", rewards="uniform", shape=(4, 2, 3), discounts=(0.9, 0.9))
    sparse = so.StackelbergGame(
        game.leader_reward, game.follower_reward, csr_matrix(game.transition.reshape(24, 4)), discount=0.9, initial=game.initial
    )
    x = np.full((4, 2), 0.5)
    dense_found, sparse_found = (g.examinations(candidate(g, x)) for g in (game, sparse))
    for one, two in zip(dense_found, sparse_found, strict=True):
        assert one.verdict == two.verdict
        assert one.measured == pytest.approx(two.measured, rel=1e-6, abs=1e-9, nan_ok=True)


def test_batches_are_examined_one_by_one():
    game = so.StackelbergGame.stack([commit_2x2(), commit_2x2()])
    x = np.full((2, 1, 2), 0.5)
    with pytest.raises(so.StackoptError, match="single game"):
        game.examinations(so.Profile(x, x))
    with pytest.raises(ValueError, match="batch"):
        follower_constants(game)


def test_policies_must_fit():
    with pytest.raises(so.StackoptError, match="leader_policy"):
        commit_2x2().examinations(so.Profile(np.ones((1, 3)) / 3, np.ones((1, 2)) / 2))


def test_best_responses_have_no_softmax_to_examine():
    game = commit_2x2()
    x = np.array([[0.4, 0.6]])
    found = game.examinations(so.Profile(x, np.array([[0.0, 1.0]])))
    (distance,) = by_tag(found, "B1.1")
    assert distance.bound.because == "the response is a softmax: no, it is a best response"
    assert {e.verdict for tag in ("B2.1", "B2.2", "B3.4") for e in by_tag(found, tag)} == {"not applicable"}


def test_regret_of_a_fixed_point_needs_the_soft_follower_itself():
    game = commit_2x2()
    profile = so.Profile(np.array([[0.5, 0.5]]), np.array([[1.0, 0.0]]), "fixed_point", "max-ent", 0.01, 0.01)
    follower, leader = by_tag(game.examinations(profile), "B11.3")
    assert "the follower plays its soft response: no" in follower.bound.because
    assert leader.verdict == "holds"  # the leader's is against whatever the follower plays


def test_a_fixed_point_of_best_responses_is_not_a_soft_one():
    game = commit_2x2()
    found = game.examinations(so.Profile(np.array([[1.0, 0.0]]), np.array([[1.0, 0.0]]), "fixed_point"))
    for tag in ("B4.2", "B4.4", "B11.3"):
        assert "both responses are soft: no" in by_tag(found, tag)[0].bound.because


def test_a_follower_within_rounding_of_its_response_does_not_break_the_sandwich():
    """Its own loss counts if it is larger than what is proved of the exact softmax."""
    game = so.StackelbergGame([[[1.0, 0.0]]], [[[1.0, 0.0]]], so.stay, discount=0.999)
    off = 4e-7
    found = game.examinations(so.Profile(np.ones((1, 1)), np.array([[1.0 - off, off]]), "commitment", "max-ent", 1e-3))
    assert [e.verdict for e in by_tag(found, "B7.1")] == ["holds", "holds"]


def test_certificates_of_fixed_points_say_whether_there_is_only_one():
    """Hot: one everywhere [B4.2]. Cold: one nearby [B4.4], near each of the two there are. Neither is claimed of a commitment."""
    leader, follower = np.array([[[3.0, 0.0], [0.0, 2.0]]]), np.array([[[2.0, 0.0], [0.0, 3.0]]])
    game = so.StackelbergGame(leader, follower, so.stay, discount=0.0, name="battle")
    hot = so.solve(game, so.SoftmaxPolicyIteration(3.0, "fixed_point")).certificate
    assert {b.reference for b in hot.bounds if b.applies} >= {"B4.2", "B4.4"}
    cold = [so.solve(game, so.SoftmaxPolicyIteration(0.2, "fixed_point"), seed=seed) for seed in range(6)]
    assert len({round(float(s.candidate.claim), 3) for s in cold}) == 2
    for solution in cold:
        bounds = {b.reference: b for b in solution.certificate.bounds}
        assert not bounds["B4.2"].applies
        assert "modulus" in bounds["B4.2"].because
        assert bounds["B4.4"].applies
        assert bounds["B4.4"].value <= 1e-8
        assert "only soft fixed point nearby" in str(solution)
    committed = so.solve(game, so.SoftmaxPolicyIteration(0.2)).certificate
    assert not {b.reference for b in committed.bounds} & {"B4.2", "B4.4"}
