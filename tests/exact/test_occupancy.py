"""Branch and bound over occupancy measures: known optima, other exact routes where they apply, bounds that nothing exceeds."""

import numpy as np
import pytest

import stackopt as so
from stackopt import catalog
from stackopt.exact.occupancy import occupancy_search
from stackopt.exact.occupancy.box import Box, extreme, tighten
from stackopt.exact.occupancy.polish import local, polished
from stackopt.exact.occupancy.relaxation import Relaxation
from stackopt.games.dynamic_programming import discounted_visits, optimal_value
from stackopt.games.operators import follower_mdp, leader_reward_mdp
from stackopt.games.responses import commitment
from stackopt.reformulations.formulation import choices_of
from stackopt.solution import STRONG_VALUE, Status

from .tiny import tiny_game


def test_the_inspection_game_has_its_closed_form():
    solution = so.solve(catalog.build("inspection"), so.Exact())
    assert (solution.status, solution.certified) == (Status.OPTIMAL, True)
    assert solution.value == pytest.approx(catalog.model("inspection").known["strong"], abs=2e-6)
    assert solution.bound.of == STRONG_VALUE


def test_an_interior_optimum_found_by_sequential_quadratic_programming_before():
    solution = so.solve(catalog.build("vorobeychik_random"), so.Exact())
    assert solution.certified
    assert solution.value == pytest.approx(2.629033942347247, abs=1e-6)
    assert solution.candidate.leader_policy[0, 0] == pytest.approx(0.10418544694949894, abs=1e-4)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", ["free", "myopic", "one state"])
def test_agrees_with_the_programs_where_these_are_exact(seed, kind):
    """The search does not know that D3, P1 or Conitzer-Sandholm apply; it has to find their values."""
    shape = {"free": (3, 2, 2), "myopic": (3, 2, 3), "one state": (1, 3, 3)}[kind]
    game = tiny_game(seed, shape, free=kind == "free", discounts=(0.8, 0.0 if kind == "myopic" else 0.8))
    exact = so.solve(game, so.Exact())
    assert exact.certified
    assert exact.bound.reference in ("D3", "P1")
    found = occupancy_search(game, time_limit=20)
    assert found.status is Status.OPTIMAL, found.because
    assert found.best.value == pytest.approx(exact.value, abs=2e-6 * (1 + abs(exact.value)))
    assert found.bound >= exact.value - 1e-9


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("shared", [False, True])
def test_no_policy_exceeds_the_bound(seed, shared):
    game = tiny_game(seed, (3, 2, 2), discounts=(0.7, 0.85), shared=shared)
    found = occupancy_search(game, time_limit=20)
    assert found.status is Status.OPTIMAL, found.because
    rng, classes = np.random.default_rng(seed), int(game.observations.max()) + 1
    for _ in range(200):
        policy = rng.dirichlet(np.full(2, 0.5), classes)[game.observations]
        assert commitment(game, policy).strong <= found.bound + 1e-9
    assert commitment(game, found.best.policy).strong == pytest.approx(found.best.value, abs=1e-10)
    assert np.ptp(found.best.policy[game.observations == 0], axis=0).max() == 0.0


def test_deterministic_policies_are_no_better():
    game = tiny_game(3, (4, 2, 2), discounts=(0.8, 0.8))
    pure = so.solve(game, so.Exact(leader="deterministic"))
    mixed = so.solve(game, so.Exact())
    assert pure.certified
    assert mixed.certified
    assert mixed.value >= pure.value - 1e-9


def test_no_time_is_a_limit_with_an_interval():
    rng = np.random.default_rng(0)
    game = so.StackelbergGame(
        leader_reward=rng.uniform(size=(6, 3, 3)), follower_reward=rng.uniform(size=(6, 3, 3)), transition=rng.dirichlet(np.ones(6), (6, 3, 3)), discount=0.95
    )
    solution = so.solve(game, so.Exact(time_limit=2.0))
    assert solution.status is Status.LIMIT
    assert "lies in [" in solution.because
    assert solution.bound.value >= solution.value
    assert so.solve(game, so.Exact(time_limit=0.0)).status is Status.LIMIT


def test_the_weak_value_is_certified_by_a_margin():
    game = catalog.build("inspection")
    solution = so.solve(game, so.Exact(concept="weak", margin=1e-4))
    assert solution.certificate.certified
    assert solution.candidate.margin == 1e-4
    best = catalog.model("inspection").known["strong"]
    assert best - 1e-2 <= solution.value <= best + 1e-6
    assert solution.status is Status.LIMIT, "the margin costs something, which stays in the gap"
    assert commitment(game, solution.candidate.leader_policy).weak == pytest.approx(solution.value, abs=1e-9)


def test_what_is_too_large_is_refused_with_a_remedy():
    big = tiny_game(0, (101, 2, 2), discounts=(0.5, 0.5))
    refusal = so.Exact().refuses(big)
    assert refusal.code == "too-large"
    assert "deterministic" in refusal.remedy


# --- the parts -------------------------------------------------------------------------------------------------------


def root(choices):
    S, A, B = choices.shape
    worst = choices.follower_reward.min() / (1 - choices.follower_discount)
    best = choices.follower_reward.max() / (1 - choices.follower_discount)
    most = np.full((S, S), 1 / (1 - choices.leader_discount))
    return Box(np.zeros((choices.classes, A)), np.ones((choices.classes, A)), np.ones((S, B), bool), np.full(S, worst), np.full(S, best), np.eye(S), most)


def test_extremes_over_a_box_of_the_simplex():
    from scipy.optimize import linprog

    rng = np.random.default_rng(0)
    for _ in range(50):
        q, lower = rng.normal(size=4), rng.uniform(0, 0.2, 4)
        upper = lower + rng.uniform(0.2, 0.6, 4)
        for sign in (1.0, -1.0):
            other = linprog(-sign * q, A_eq=np.ones((1, 4)), b_eq=[1.0], bounds=list(zip(lower, upper)))
            assert extreme(q, lower, upper, sign) == pytest.approx(-sign * other.fun, abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_ranges_and_relaxations_hold_for_every_policy_of_a_box(seed):
    """Random boxes around random policies: values, visits, responses and leader values stay inside."""
    game = tiny_game(seed, (3, 3, 2), discounts=(0.8, 0.9))
    choices, rng = choices_of(game, np.eye(3)).normalised(), np.random.default_rng(seed)
    relaxation = Relaxation(choices)
    for _ in range(6):
        center = rng.dirichlet(np.ones(3), 3)
        box = root(choices)
        box = tighten(choices, Box(np.maximum(center - 0.2, 0), np.minimum(center + 0.2, 1), *list(vars(box).values())[2:]), 60)
        status, relaxed = relaxation.solve(box)
        assert status is Status.OPTIMAL
        for _ in range(10):
            policy = np.clip(center + rng.uniform(-0.1, 0.1, (3, 3)), 0, None)
            policy /= policy.sum(1, keepdims=True)
            if (policy < box.lower - 1e-12).any() or (policy > box.upper + 1e-12).any():
                continue
            mdp = follower_mdp(game, policy)
            value = (optimal_value(mdp).value / (1.0) - choices.follower_unit[1] / (1 - game.follower_discount)) / choices.follower_unit[0]
            assert (value >= box.value_low - 1e-7).all()
            assert (value <= box.value_high + 1e-7).all()
            found = commitment(game, policy)
            response = found.strong_response
            assert box.allowed[np.arange(3), response.argmax(1)].all()
            visits = discounted_visits(leader_reward_mdp(game, policy), response, game.initial)
            assert (visits <= game.initial @ box.visits_high + 1e-9).all()
            assert (visits >= game.initial @ box.visits_low - 1e-9).all()
            normalised = (found.strong - choices.leader_offset) / choices.leader_unit[0]
            assert normalised <= relaxed.bound + 1e-7


@pytest.mark.parametrize("shared", [False, True])
def test_local_derivatives_are_finite_differences(shared):
    game = tiny_game(2, (3, 3, 2), discounts=(0.8, 0.9), shared=shared)
    choices, rng = choices_of(game, np.eye(3)).normalised(), np.random.default_rng(5)
    policy, response = rng.dirichlet(np.ones(3), choices.classes), rng.integers(0, 2, 3)
    at = local(choices, policy, response)
    move, step = rng.normal(size=policy.shape), 1e-6
    up, down = local(choices, policy + step * move, response), local(choices, policy - step * move, response)
    assert (at.gradient * move).sum() == pytest.approx((up.value - down.value) / (2 * step), rel=1e-6)
    assert np.einsum("kca,ca->k", at.slope, move) == pytest.approx((up.loss - down.loss) / (2 * step), rel=1e-5, abs=1e-7)


def test_polishing_improves_and_keeps_the_response():
    game = catalog.build("vorobeychik_random")
    choices = choices_of(game, np.eye(2)).normalised()
    start = np.array([[0.5, 0.5], [0.9, 0.1]])
    better = polished(choices, start, np.array([0, 1]))
    assert better is not None
    assert commitment(game, better).strong == pytest.approx(2.629033942, abs=1e-6)
    other = polished(choices, start, np.array([1, 1]))
    assert other is None or local(choices, other, np.array([1, 1])).loss.max() <= 0


def test_the_interval_of_the_weak_value_shrinks_with_the_margin():
    """What a margin costs is about the margin times what the leader gains per unit of the follower's loss, 2.8 here."""
    rng = np.random.default_rng([6, 3, 2, 2])
    rewards = rng.normal(size=(2, 3, 2, 2))
    game = so.StackelbergGame(rewards[0], rewards[1], rng.dirichlet(np.ones(3), (3, 2, 2)), discount=0.8)
    for margin in (1e-2, 1e-4):
        solution = so.solve(game, so.Exact(concept="weak", margin=margin))
        assert solution.certificate.certified
        assert 0.0 <= solution.bound.value - solution.value <= 4.0 * margin
        assert commitment(game, solution.candidate.leader_policy, margin).weak == pytest.approx(solution.value, abs=1e-9)
