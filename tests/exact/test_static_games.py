"""Exact on one-shot games: strong and weak values against enumeration; refusals, limits."""

import itertools

import numpy as np
import pytest
from scipy.optimize import linprog

import stackopt as so
from stackopt.exact.static_games import BayesianValue, SecurityValue, run_static


def bayesian(seed, K=2, A=3, B=2, whole=False):
    rng = np.random.default_rng(seed)
    draw = (lambda: rng.integers(0, 4, (K, A, B))) if whole else (lambda: rng.normal(size=(K, A, B)))
    return so.BayesianGame(draw(), draw(), rng.dirichlet(np.ones(K)), name=f"random {seed}")


def security(seed, T=4, m=2, whole=False):
    rng = np.random.default_rng(seed)
    draw = (lambda low, high: rng.integers(low, high, T).astype(float)) if whole else (lambda low, high: rng.uniform(low, high, T))
    return so.SecurityGame(m, draw(0, 4), -draw(1, 6), -draw(0, 4), draw(1, 6), name=f"random {seed}")


def weak_by_enumeration(leader, follower, weights, equal, bounded, margin):
    """The weak value with a margin: one linear program for every choice, by type, of the actions that may be played and the best.

    leader, follower: [K, B, n + 1], affine in the decision (last entry the constant). equal, bounded: rows on the decision.
    """
    K, B, n = leader.shape
    n -= 1
    sets = [s for r in range(1, B + 1) for s in itertools.combinations(range(B), r)]
    best = -np.inf
    for chosen in itertools.product([(s, t) for s in sets for t in s], repeat=K):
        rows, right = list(bounded[0]), list(bounded[1])
        rows = [[*row, *np.zeros(K)] for row in rows]
        for k, (playable, top) in enumerate(chosen):
            U, R = follower[k], leader[k]
            for b in range(B):
                gap = 0.0 if b in playable else margin
                rows.append([*(U[b, :n] - U[top, :n]), *np.zeros(K)])
                right.append(U[top, n] - U[b, n] - gap)
            for b in playable:
                rows.append([*-R[b, :n], *np.eye(K)[k]])
                right.append(R[b, n])
        objective = [*np.zeros(n), *-np.asarray(weights)]
        left = None if equal is None else [[*equal, *np.zeros(K)]]
        result = linprog(objective, A_ub=rows, b_ub=right, A_eq=left, b_eq=None if equal is None else [1.0], bounds=[(0, 1)] * n + [(None, None)] * K)
        best = max(best, -result.fun) if result.status == 0 else best
    return best


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("whole", [False, True])
def test_weak_bayesian_value(seed, whole):
    game = bayesian(seed, whole=whole)
    solution = so.solve(game, so.Exact(concept="weak", margin=1e-3))
    assert solution.certified, solution
    affine = [np.concatenate([p.transpose(0, 2, 1), np.zeros((2, 2, 1))], -1) for p in (game.leader_payoff, game.follower_payoff)]
    assert solution.value == pytest.approx(weak_by_enumeration(*affine, game.probabilities, np.ones(3), ([], []), 1e-3), abs=1e-6)
    assert solution.value <= so.solve(game, so.Exact()).value + 1e-9


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("whole", [False, True])
def test_weak_security_value(seed, whole):
    game = security(seed, whole=whole)
    solution = so.solve(game, so.Exact(concept="weak", margin=1e-3))
    assert solution.certified, solution
    affine = [
        np.concatenate([np.diag(covered - bare), bare[:, None]], -1)[None]
        for covered, bare in ((game.defender_covered, game.defender_uncovered), (game.attacker_covered, game.attacker_uncovered))
    ]
    assert solution.value == pytest.approx(weak_by_enumeration(*affine, [1.0], None, ([np.ones(4)], [2.0]), 1e-3), abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_strong_values_agree_with_the_other_forms(seed):
    game = bayesian(seed, whole=seed % 2 == 1)
    one, other = so.solve(game, so.Exact()), so.solve(game.harsanyi(), so.Exact())
    assert one.certified
    assert one.bound.of == so.solution.STRONG_VALUE
    assert one.value == pytest.approx(other.value, abs=1e-7)
    guarded = security(seed)
    one, other = so.solve(guarded, so.Exact()), so.solve(guarded.expand(), so.Exact())
    assert one.certified
    assert one.value == pytest.approx(other.value, abs=1e-7)


def test_targets_that_cannot_be_told_apart_have_a_weak_value_all_the_same():
    """Coverage does not change what the attacker gets: every target ties always, and the worst one counts."""
    game = so.SecurityGame(1, [0.0, 0.0], [-4.0, -2.0], [1.0, 1.0], [1.0, 1.0])
    assert so.solve(game, so.Exact()).value == pytest.approx(0.0, abs=1e-9)
    weak = so.solve(game, so.Exact(concept="weak"))
    assert weak.certified
    assert weak.value == pytest.approx(-4 / 3, abs=1e-6)  # the dear one is covered with 2/3: both cost 4/3


def test_restricted_leaders_and_large_games_are_refused():
    for game in (bayesian(0), security(0)):
        with pytest.raises(so.Refused, match=r"\[wrong-problem\]"):
            so.solve(game, so.Exact(leader="deterministic"))
    with pytest.raises(so.Refused, match=r"\[too-large\]"):
        so.solve(security(0, T=6000, m=2), so.Exact())


def test_a_limit_is_a_limit():
    for game in (bayesian(0), security(0)):
        solution = so.solve(game, so.Exact(time_limit=0.0))
        assert solution.status is so.Status.LIMIT
        assert not solution.certified


def test_runs_repeat():
    game = bayesian(3)
    settings = {"concept": "strong", "margin": 1e-4, "time_limit": 30.0, "confirm": True}
    one, two = (run_static(game, **settings, seed=4) for _ in range(2))
    assert np.array_equal(one.candidate.leader_policy, two.candidate.leader_policy)
    assert one.candidate.claim == two.candidate.claim


def test_generous_ties_are_wider():
    game = so.BayesianGame([[[0.0, 1.0]]], [[[1.0, 1.0 - 1e-8]]], [1.0])
    x = np.array([[1.0]])
    value = BayesianValue(game, "strong", 0.0)
    assert value.worth(x).value == 0.0
    assert value.generous(x)[0] == 1.0
    targets = so.SecurityGame(0, [0, 0], [-1, -5], [0, 0], [1.0 - 1e-8, 1.0])
    c = np.zeros(2)
    assert SecurityValue(targets, "strong", 0.0).worth(c).value == -5.0
    assert SecurityValue(targets, "strong", 0.0).generous(c)[0] == -1.0


def test_a_response_that_only_counts_as_a_tie_is_not_played():
    """The worst response within the margin sets the weak value; what the candidate plays is a best response."""
    game = so.BayesianGame([[[1.0, 0.0]]], [[[1.0, 0.9]]], [1.0])
    solution = so.solve(game, so.Exact(concept="weak", margin=0.25))
    assert solution.certified, solution
    assert solution.value == 0.0
    assert solution.candidate.follower_policy.tolist() == [[1.0, 0.0]]
    targets = so.SecurityGame(0, [0, 0], [-1, -5], [0, 0], [1.0, 0.9])
    solution = so.solve(targets, so.Exact(concept="weak", margin=0.25))
    assert solution.certified, solution
    assert solution.value == -5.0
    assert solution.candidate.attacked == 0
