"""The commitment programs admit every policy pair at its true value: no big-M and no tightening row cuts one off."""

import dataclasses
import itertools

import numpy as np
import pytest

import stackopt as so
from stackopt.backends.highs import solve_lp, solve_milp
from stackopt.games.dynamic_programming import discounted_visits, policy_value
from stackopt.games.operators import follower_mdp, leader_reward_mdp, one_hot
from stackopt.games.responses import commitment
from stackopt.reformulations.commitment_finite import strong_finite
from stackopt.reformulations.commitment_randomised import strong_randomised
from stackopt.reformulations.commitment_weak import weak_finite, weak_randomised
from stackopt.reformulations.formulation import choices_of, grid_size, simplex_grid
from stackopt.reformulations.ranges import value_ranges, visit_ranges
from stackopt.reformulations.stagewise import stagewise_program
from tests.exact.tiny import tiny_game

MARGIN = 1e-2


def weights_of(rng, game, points, mixed):
    """Random weights [classes, J] on the choices."""
    K, J = int(game.observations.max()) + 1, len(points)
    return rng.dirichlet(np.full(J, rng.choice([0.2, 1.0])), K) if mixed else np.eye(J)[rng.integers(J, size=K)]


def point_of(program, game, points, weights, follower, flags, loss=None):
    """The solution vector of a policy pair, filled in by column name, with everything recomputed from the game."""
    choices = choices_of(game, points).normalised()
    x = (weights @ points)[game.observations]
    pick = weights[game.observations]

    def normal(value, unit, discount):
        return (value - unit[1] / (1 - discount)) / unit[0]

    hard = commitment(game, x, MARGIN)
    value = hard.follower.value
    own = policy_value(follower_mdp(game, x), follower)
    leader = policy_value(leader_reward_mdp(game, x), follower) if flags is None else policy_value(leader_reward_mdp(game, x), hard.weak_response)
    joint = pick[:, :, None] * follower[:, None, :]
    visits = {
        name: discounted_visits(mdp, follower, game.initial)[:, None, None] * joint
        for name, mdp in (("m", leader_reward_mdp(game, x)), ("n", follower_mdp(game, x)))
    }
    parts = {
        "x": weights,
        "y": follower if flags is None else flags.astype(float),
        "a": follower,
        "z": joint,
        "F": normal(value, choices.follower_unit, game.follower_discount),
        "E": normal(own, choices.follower_unit, game.follower_discount),
        "L": normal(leader, choices.leader_unit, game.leader_discount),
        **visits,
    }
    point = np.array([parts[name.split("_")[0]][tuple(int(i) for i in name.split("_")[1:])] for name in program.milp.columns])
    return point, float(game.initial @ leader)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("shared", [False, True])
def test_every_strong_pair_is_admitted_at_its_value(seed, shared):
    rng = np.random.default_rng(seed)
    for mixed in (False, True):
        game = tiny_game(seed, (1 + seed % 4, 2 + seed % 2, 3), free=mixed, shared=shared)
        points = np.eye(game.shape[1]) if mixed or seed % 2 else simplex_grid(game.shape[1], 3)
        choices = choices_of(game, points)
        program = strong_randomised(choices) if mixed else strong_finite(choices)
        for _ in range(5):
            weights = weights_of(rng, game, points, mixed)
            response = one_hot(commitment(game, (weights @ points)[game.observations]).gaps.argmin(-1), game.shape[2])
            point, value = point_of(program, game, points, weights, response, None)
            assert program.milp.violation(point) <= 1e-8
            assert program.milp.value(point) == pytest.approx(value, abs=1e-7 * (1 + abs(value)))
            assert program.lift(point) == pytest.approx((weights @ points)[game.observations])


@pytest.mark.parametrize("seed", range(12))
def test_every_weak_pair_is_admitted_at_its_value(seed):
    rng = np.random.default_rng(seed)
    for mixed in (False, True):
        game = tiny_game(seed, (1 + seed % 3, 2, 3), free=mixed, shared=bool(seed % 2))
        points = np.eye(game.shape[1]) if mixed else simplex_grid(game.shape[1], 2)
        choices = choices_of(game, points)
        program = weak_randomised(choices, MARGIN) if mixed else weak_finite(choices, MARGIN)
        for _ in range(5):
            weights = weights_of(rng, game, points, mixed)
            hard = commitment(game, (weights @ points)[game.observations], MARGIN)
            attained = one_hot(hard.gaps.argmin(-1), game.shape[2])
            flags = hard.ties
            point, value = point_of(program, game, points, weights, attained, flags)
            assert program.milp.violation(point) <= 1e-8
            assert program.milp.value(point) == pytest.approx(value, abs=1e-7 * (1 + abs(value)))


@pytest.mark.parametrize("seed", range(8))
def test_near_optimal_responses_are_admitted_with_epsilon(seed):
    game = tiny_game(seed, (2, 2, 2), discounts=(0.5, 0.9))
    points, epsilon = simplex_grid(2, 2), 0.5
    program = strong_finite(choices_of(game, points), epsilon)
    best = -np.inf
    for pick in itertools.product(range(3), repeat=2):
        weights = np.eye(3)[list(pick)]
        x = weights @ points
        optimum = commitment(game, x).follower.value
        for chosen in itertools.product(range(2), repeat=2):
            y = one_hot(np.array(chosen), 2)
            if (policy_value(follower_mdp(game, x), y) >= optimum - epsilon + 1e-9).all():
                point, value = point_of(program, game, points, weights, y, None)
                assert program.milp.violation(point) <= 1e-8
                best = max(best, value)
    result = solve_milp(program.milp, presolve=False)
    assert result.value == pytest.approx(best, abs=1e-6)  # and nothing else is admitted


@pytest.mark.parametrize("seed", range(10))
def test_ranges_hold_for_sampled_policies(seed):
    rng = np.random.default_rng(seed)
    game = tiny_game(seed, (3, 3, 2))
    for mixed in (False, True):
        choices = choices_of(game, np.eye(3))
        ranges = value_ranges(choices, mixed=mixed)
        low, high = visit_ranges(choices, game.initial, game.leader_discount)
        for _ in range(20):
            x = weights_of(rng, game, np.eye(3), mixed)[game.observations]
            hard, y = commitment(game, x), one_hot(rng.integers(2, size=3), 2)
            leader = policy_value(leader_reward_mdp(game, x), y)
            visits = discounted_visits(leader_reward_mdp(game, x), y, game.initial)
            for value, least, most in (
                (hard.follower.value, ranges.follower_lower, ranges.follower_upper),
                (leader, ranges.leader_lower, ranges.leader_upper),
                (visits, low, high),
            ):
                assert (least <= value).all()
                assert (value <= most).all()


def test_the_lower_range_of_the_follower_is_better_than_its_worst_value():
    game = tiny_game(3, (3, 2, 2), rewards="unit", discounts=(0.9, 0.9))
    ranges = value_ranges(choices_of(game, np.eye(2)), mixed=True)
    crude = game.follower_reward.min() / (1 - 0.9)
    assert (ranges.follower_lower > crude + 0.5).all()


@pytest.mark.parametrize("seed", range(6))
def test_stagewise_program_admits_every_pair(seed):
    rng = np.random.default_rng(seed)
    game = tiny_game(seed, (3, 2, 3), discounts=(0.9, 0.0))
    program = stagewise_program(game)
    for _ in range(10):
        x = rng.dirichlet(np.ones(2), 3)
        found = commitment(game, x)
        visits = discounted_visits(leader_reward_mdp(game, x), found.strong_response, game.initial)
        point = (visits[:, None, None] * x[:, :, None] * found.strong_response[:, None, :]).ravel()
        assert program.milp.violation(point) <= 1e-7
        assert program.milp.value(point) == pytest.approx(float(found.strong), abs=1e-8)
        assert program.lift(point) == pytest.approx(x)
    best = solve_lp(program.milp)
    kept, strict = (solve_lp(program.polished(best.point, slack)) for slack in (0.0, 1e-3))
    assert kept.value == pytest.approx(best.value, abs=1e-8)
    assert strict.status is so.Status.INFEASIBLE or strict.value <= best.value + 1e-9  # infeasible where actions tie whatever x is
    assert strict.status is so.Status.OPTIMAL or game.name != "tiny 0"


def test_relaxation_is_tighter_than_with_value_rows_alone():
    """The visits rows are what makes the program small: without them the bound at the root is that of the big-M rows."""
    game = tiny_game(1, (6, 3, 3), free=True, rewards="unit", discounts=(0.95, 0.95))
    milp = strong_randomised(choices_of(game, np.eye(3))).milp
    keep = np.array([not r.endswith("visits") for r in milp.rows])
    loose = dataclasses.replace(
        milp, row_lower=np.where(keep, milp.row_lower, -np.inf), row_upper=np.where(keep, milp.row_upper, np.inf)
    )
    tight_bound, loose_bound = solve_lp(milp).value, solve_lp(loose).value
    assert tight_bound < loose_bound - 0.1


def test_grids():
    assert grid_size(3, 4) == len(simplex_grid(3, 4)) == 15
    assert np.array_equal(simplex_grid(3, 1), np.eye(3))
    grid = simplex_grid(2, 4)
    assert sorted(grid[:, 0].tolist()) == [0, 0.25, 0.5, 0.75, 1]
    assert np.allclose(grid.sum(-1), 1)


def test_crude_visits_of_many_states_hold(monkeypatch):
    from stackopt.reformulations import ranges

    game = tiny_game(4, (3, 2, 2), discounts=(0.9, 0.9))
    choices = choices_of(game, np.eye(2))
    fine = visit_ranges(choices, game.initial, 0.9)
    monkeypatch.setattr(ranges, "VISITED_STATES", 2)
    crude = visit_ranges(choices, game.initial, 0.9)
    assert (crude[0] <= fine[0] + 1e-6).all()
    assert (crude[1] >= fine[1] - 1e-6).all()
    program = strong_finite(choices)  # still exact, only looser
    assert solve_milp(program.milp, presolve=False).bound == pytest.approx(
        max(float(commitment(game, np.eye(2)[list(pick)]).strong) for pick in itertools.product(range(2), repeat=3)), abs=1e-6
    )
