"""Finite-horizon populations with a concave potential: known answers, the mixed-integer program as another route, and what has none."""

import time
from dataclasses import replace

import numpy as np
import pytest
from populations import branching, random_game

import stackopt as so
from stackopt.exact.mean_field.potential import run_potential, why_no_potential
from stackopt.exact.mean_field.solve import _Search
from stackopt.games.mean_field.terms import LogCrowding
from stackopt.reformulations.mean_field_arrays import affine_followers
from stackopt.reformulations.mean_field_potential import potential_of

NOTHING = np.zeros(0)


def congested(seed, K=2, T=2, S=2, B=2, points=((0.0,), (0.6,), (1.0,)), sharp=False, **rest):
    """Every state is worse the fuller it is: a concave potential, whatever the transitions."""
    rng = np.random.default_rng(seed)
    shape = (K, T, S, B)
    slopes = -np.eye(S)[:, None, :] * rng.uniform(0.5, 2.0, size=(T, S))[:, :, None, None]
    return so.MeanFieldStackelbergGame(
        so.Finite(T, rng.dirichlet(np.ones(S)), 0.9), rng.integers(0, 2, size=shape).astype(float) if sharp else rng.normal(size=shape),
        rng.dirichlet(np.ones(S), size=shape), reward_population=np.broadcast_to(slopes, (T, S, B, S)), weights=rng.dirichlet(np.ones(K)),
        leader=so.Menu(points), reward_leader=rng.normal(size=(*shape, 1)), leader_reward=rng.normal(size=shape),
        leader_reward_leader=rng.normal(size=(*shape, 1)), **rest,
    )  # fmt: skip


@pytest.mark.parametrize("concept", ["strong", "weak", "fixed_point"])
@pytest.mark.parametrize(("seed", "sharp"), [(0, False), (3, False), (4, True)])
def test_convex_and_mixed_integer_programs_agree(seed, sharp, concept):
    game = congested(seed, sharp=sharp)
    convex = run_potential(game, concept, "", 60.0)
    search = _Search(game, concept, time.perf_counter() + 60.0, True, 0, None)
    program = search.points() if concept == "weak" else search.together()
    assert convex.status is program.status
    if convex.candidate is not None:
        assert convex.candidate.claim == pytest.approx(program.candidate.claim, abs=1e-7)
        assert so.solve(game, so.Exact(concept=concept)).certified


def test_beach_bar():
    """Perrin et al. 2020 with MFGLib's defaults, four places, two moves: laws by sequential quadratic programming on the potential."""
    known = [
        [0.25, 0.25, 0.25, 0.25],
        [0.08645567775354837, 0.28146476318811703, 0.35855340768102034, 0.2735261513773145],
        [0.10899423716982014, 0.26509150892388594, 0.33113128845305323, 0.2947829654532409],
    ]
    solution = so.solve(so.catalog.build("beach_bar"), so.Exact())
    assert solution.certified
    assert solution.candidate.mean_field[0] == pytest.approx(np.array(known), abs=1e-6)
    assert solution.certificate.values["relative"] <= 1e-12  # Newton's method after the convex program
    assert solution.further_bounds[0].value <= 1e-8


def test_left_right_is_a_potential_and_rock_paper_scissors_is_not():
    assert why_no_potential(branching(np.diag([-1.0, -2.0]), "left-right")) == ""
    cycle = branching([[0.0, -1.0, 2.0], [4.0, 0.0, -2.0], [-3.0, 6.0, 0.0]], "rock-paper-scissors")
    assert "do not affect each other's rewards alike" in why_no_potential(cycle)
    assert "stage 1" in why_no_potential(cycle)


def test_the_potential_has_the_rewards_as_its_gradient():
    game = congested(1, K=2, T=2, S=3, B=2).at([0.6])
    followers = affine_followers(game, np.array([0.6]))
    potential = potential_of(followers)
    rng = np.random.default_rng(0)
    m = rng.dirichlet(np.ones(6), size=(2, 2)).reshape(2, 2, 3, 2)
    change = rng.dirichlet(np.ones(6), size=(2, 2)).reshape(2, 2, 3, 2) - m  # leaves every type's total alone

    def value(masses):
        bends = sum(0.9**t * 0.5 * ((potential.factors[t].T @ masses[:, t].ravel()) ** 2).sum() for t in range(2))
        return (potential.linear * masses).sum() - bends

    y = game.aggregate(m)
    rewards = game.rewards(y, np.array([0.6]))
    expected = (game.weights[:, None, None, None] * 0.9 ** np.arange(2)[:, None, None] * rewards * change).sum()
    assert (value(m + 1e-5 * change) - value(m - 1e-5 * change)) / 2e-5 == pytest.approx(expected, abs=1e-8)


def test_a_population_too_large_for_binaries():
    game = congested(2, K=2, T=3, S=12, B=3, points=((0.0,), (1.0,)))
    solution = so.solve(game, so.Exact())
    assert solution.certified
    assert solution.certificate.values["relative"] <= 1e-7


def test_ties_leave_the_leader_a_polytope():
    game = so.MeanFieldStackelbergGame(
        so.Finite(1, [1.0]), np.zeros((1, 3)), np.ones((1, 3, 1)), statistic="state-actions", leader_reward=np.array([[1.0, 2.0, 3.0]]),
        reward_population=np.zeros((1, 3, 3)), name="indifferent",
    )  # fmt: skip
    best, worst = so.solve(game, so.Exact()), so.solve(game, so.Exact(concept="weak"))
    assert (best.value, worst.value) == (pytest.approx(3.0), pytest.approx(1.0))
    assert best.further_bounds[0].value == pytest.approx(1.0)
    assert best.candidate.others


@pytest.mark.parametrize(
    ("game", "why"),
    [
        (random_game(T=2), "periodic"), (congested(0, points=((0.0,),)), ""),
        (replace(congested(0, points=((0.0,),)), reward_population=np.broadcast_to(np.eye(2)[:, None], (2, 2, 2))), "not concave"),
        (congested(0, K=5, S=40, B=10), "masses"),
    ],
)  # fmt: skip
def test_why_there_is_no_potential(game, why):
    assert why in why_no_potential(game)
    assert bool(why) == bool(why_no_potential(game))


def test_a_crowded_population_that_is_not_convex_is_refused():
    game = so.MeanFieldStackelbergGame(so.Periodic(2, 0.9), LogCrowding(np.zeros((2, 2))), np.full((2, 2, 2), 0.5), sizes=(1, 2, 2))
    with pytest.raises(so.Refused, match="LogCrowding: the horizon is periodic") as caught:
        so.solve(game, so.Exact())
    assert caught.value.code == "mean-field-arrays"


def test_no_time_is_a_limit():
    solution = so.solve(congested(0), so.Exact(time_limit=0))
    assert str(solution.status) == "LIMIT"
    assert solution.candidate is None
