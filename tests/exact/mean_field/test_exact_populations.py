"""Exact mean-field equilibria: closed forms first, then support patterns as an independent route, then what is refused."""

import numpy as np
import pytest
from populations import branching, random_game, sis

import stackopt as so
from stackopt.exact.mean_field.patterns import equilibria
from stackopt.games.mean_field import operators
from stackopt.games.mean_field.dynamics import exploitability

NOTHING = np.zeros(0)


def routes(rewards, on_own, **rest):
    """One state, an action per route; a route's reward falls with the mass on it."""
    B = len(rewards)
    return so.MeanFieldStackelbergGame(
        so.Stationary(0.0), np.array([rewards], float), np.ones((1, B, 1)), statistic="state-actions",
        reward_population=np.diag(np.asarray(on_own, float))[None], **rest,
    )  # fmt: skip


def menu_game(seed, shape, horizon, sharp=False):
    """Random affine game with a menu of three decisions; sharp: 0-1 rewards and deterministic moves, so ties abound."""
    rng = np.random.default_rng(seed)
    K, T, S, B = shape
    kernel = np.eye(S)[rng.integers(S, size=(K, T, S, B))] if sharp else rng.dirichlet(np.ones(S), size=(K, T, S, B))
    return so.MeanFieldStackelbergGame(
        horizon, rng.integers(0, 2, size=shape).astype(float) if sharp else rng.normal(size=shape), kernel,
        reward_population=2.0 * rng.normal(size=(*shape, S)), weights=rng.dirichlet(np.ones(K)), leader=so.Menu([[0.0], [0.7], [1.0]]),
        reward_leader=rng.normal(size=(*shape, 1)), leader_reward=rng.normal(size=shape), leader_reward_leader=rng.normal(size=(*shape, 1)),
    )  # fmt: skip


# --- known answers ----------------------------------------------------------------------------------------------------------


def test_left_right():
    """Cui and Koeppl 2021: two thirds go left, value -2/3; a uniform population is exploitable by 1/4."""
    game = branching(np.diag([-1.0, -2.0]), "left-right")
    solution = so.solve(game, so.Exact())
    assert solution.certified
    assert solution.candidate.policy[0, 0, 0] == pytest.approx([2 / 3, 1 / 3], abs=1e-9)
    assert exploitability(game, solution.candidate.policy, NOTHING).value[0, 0, 0] == pytest.approx(-2 / 3, abs=1e-9)
    assert solution.certificate.values["uniform"] == pytest.approx(0.25)
    assert solution.further_bounds[0].value <= 1e-8  # all equilibria have these masses


def test_rock_paper_scissors():
    """Generalised payoffs of Cui and Koeppl 2021, after Shapley 1964: the indifference system."""
    game = branching([[0.0, -1.0, 2.0], [4.0, 0.0, -2.0], [-3.0, 6.0, 0.0]], "rock-paper-scissors")
    solution = so.solve(game, so.Exact())
    assert solution.certified
    assert solution.candidate.mean_field[0, 1, 1:] == pytest.approx([0.33766233766233766, 0.25974025974025977, 0.4025974025974026], abs=1e-9)
    assert exploitability(game, solution.candidate.policy, NOTHING).value[0, 0, 0] == pytest.approx(0.5454545454545454, abs=1e-9)
    assert solution.certificate.values["uniform"] == pytest.approx(1 / 3)


def test_pigou_toll():
    """Pigou 1920: without a toll all take the congestible link and total latency is 1; a toll of 1/2 brings it to 3/4."""
    pigou = routes(
        [-1.0, 0.0], [0.0, -1.0], leader=so.Menu([[0.0], [0.25], [0.5], [0.75]]), reward_leader=np.array([[[0.0], [-1.0]]]),
        objective=lambda y, theta: -(y[0, 0] + y[0, 1] ** 2), name="Pigou",
    )  # fmt: skip
    solution = so.solve(pigou, so.Exact())
    assert solution.certified
    assert (solution.candidate.theta[0], solution.value) == (0.5, pytest.approx(-0.75))
    assert so.solve(pigou.at([0.0]), so.Exact()).value == pytest.approx(-1.0)


def test_price_against_a_congested_crowd():
    """Hard followers buy while v - p - c d >= 0; with v = 2, c = 3 the price 1 sells a third."""
    crowd = routes(
        [2.0, 0.0], [-3.0, 0.0], leader=so.Menu(np.arange(0.0, 2.01, 0.25)), reward_leader=np.array([[[-1.0], [0.0]]]),
        leader_reward_leader=np.array([[[1.0], [0.0]]]), name="congested demand",
    )  # fmt: skip
    for concept in ("strong", "weak"):
        solution = so.solve(crowd, so.Exact(concept=concept))
        assert solution.certified
        assert (solution.candidate.theta[0], solution.value) == (1.0, pytest.approx(1 / 3))
    # held fixed, the crowd buys at any price: the dearest is best, and nobody is there to pay it
    fixed = so.solve(crowd, so.Exact(concept="fixed_point"))
    assert fixed.certified
    assert (fixed.candidate.theta[0], fixed.value) == (2.0, pytest.approx(0.0, abs=1e-9))


def test_company_has_three_equilibria():
    together = routes([0.0, 0.0], [1.0, 2.0], leader_reward=np.array([[1.0, 0.0]]), name="company")
    listed = equilibria(together)
    assert [round(operators.flow(p.mean_field, p.policy)[0, 0, 0, 0], 9) for p in listed.populations] == [1.0, pytest.approx(2 / 3), 0.0]
    assert listed.complete
    assert so.solve(together, so.Exact()).value == pytest.approx(1.0)
    assert so.solve(together, so.Exact(concept="weak")).value == pytest.approx(0.0, abs=1e-9)
    found = so.solve(together, so.Exact())
    assert len(found.candidate.others) >= 1
    assert found.further_bounds[0].value == pytest.approx(1.0)
    assert "multiplicity found" in str(found)


def test_ties_leave_a_continuum():
    indifferent = routes([1.0, 1.0], [0.0, 0.0], leader_reward=np.array([[1.0, 0.0]]), name="indifferent")
    assert not equilibria(indifferent).complete
    assert so.solve(indifferent, so.Exact()).value == pytest.approx(1.0)
    assert so.solve(indifferent, so.Exact(concept="weak")).value == pytest.approx(0.0, abs=1e-9)


# --- against support patterns -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("concept", ["strong", "weak", "fixed_point"])
@pytest.mark.parametrize(
    ("seed", "shape", "horizon", "sharp"),
    [
        (2, (2, 1, 2, 2), so.Stationary(0.9), False), (3, (1, 1, 2, 2), so.Stationary(0.99), True), (11, (1, 1, 2, 3), so.Stationary(0.5), True),
        (7, (1, 2, 2, 2), so.Periodic(2, 0.9), False), (8, (1, 2, 2, 2), so.Finite(2, [0.3, 0.7]), True),
    ],
)  # fmt: skip
def test_program_and_patterns_agree(seed, shape, horizon, sharp, concept):
    game = menu_game(seed, shape, horizon, sharp)
    program, patterns = so.solve(game, so.Exact(concept=concept, proof=False)), so.solve(game, so.Enumeration(concept=concept))
    assert program.status.success == patterns.status.success
    if program.candidate is not None:
        assert program.certified
        assert patterns.certified
        assert program.value == pytest.approx(patterns.value, abs=1e-7)


def test_a_period_is_a_stationary_game_on_states_with_the_hour():
    game = menu_game(5, (1, 2, 2, 2), so.Periodic(2, 0.8)).at([0.7])
    kernel, slopes = np.zeros((4, 2, 4)), np.zeros((4, 2, 4))
    for t in range(2):
        kernel[2 * t : 2 * t + 2, :, 2 * (1 - t) : 2 * (1 - t) + 2] = game.transition[0, t]
        slopes[2 * t : 2 * t + 2, :, 2 * t : 2 * t + 2] = 2.0 * game.reward_population[0, t]  # each hour has half of the mass
    def written_out(array):
        return array.reshape(4, *array.shape[3:])
    flat = so.MeanFieldStackelbergGame(
        so.Stationary(0.8), written_out(game.reward + game.reward_leader[..., 0] * 0.7), kernel, reward_population=slopes,
        leader_reward=written_out(game.leader_reward + game.leader_reward_leader[..., 0] * 0.7),
    )  # fmt: skip
    for concept in ("strong", "weak"):
        method = so.Exact(concept=concept)
        assert so.solve(game, method).value == pytest.approx(2.0 * so.solve(flat, method).value, abs=1e-7)


def test_a_box_is_at_least_as_good_as_any_grid_of_it():
    for seed in range(3):
        rng = np.random.default_rng(seed)
        shape = (1, 1, 2, 2)
        parts = {
            "reward_population": rng.normal(size=(*shape, 2)), "reward_leader": rng.normal(size=(*shape, 1)), "leader_reward": rng.normal(size=shape),
            "leader_reward_leader": np.full((*shape, 1), 0.2 * rng.normal()),
        }  # fmt: skip
        data = rng.normal(size=shape), rng.dirichlet(np.ones(2), size=shape)
        box = so.solve(so.MeanFieldStackelbergGame(so.Stationary(0.5), *data, leader=so.Box([-1.0], [1.0]), **parts), so.Exact())
        points = np.append(np.linspace(-1, 1, 9), box.candidate.theta)
        menu = so.solve(so.MeanFieldStackelbergGame(so.Stationary(0.5), *data, leader=so.Menu(points), **parts), so.Exact())
        assert box.certified
        assert box.value == pytest.approx(menu.value, abs=1e-6)


def test_a_simplex_splits_a_subsidy():
    game = routes([0.0, 0.0, 0.0], [-1.0, -1.0, -1.0], leader=so.Simplex(3), reward_leader=np.eye(3)[None], leader_reward=np.array([[1.0, 0.0, 0.0]]))
    solution = so.solve(game, so.Exact())
    assert solution.certified
    assert solution.candidate.theta == pytest.approx([1.0, 0.0, 0.0], abs=1e-8)
    assert solution.value == pytest.approx(1.0)


def test_a_menu_may_have_no_fixed_point():
    game = so.MeanFieldStackelbergGame(
        so.Stationary(0.0), np.array([[0.0, 1.0]]), np.ones((1, 2, 1)), leader=so.Menu([[0.0], [1.0]]), reward_leader=np.array([[[1.0], [-1.0]]]),
        leader_reward_leader=np.array([[[-1.0], [1.0]]]), name="chase",
    )  # fmt: skip
    for method in (so.Exact(concept="fixed_point"), so.Enumeration(concept="fixed_point")):
        solution = so.solve(game, method)
        assert str(solution.status) == "INFEASIBLE"
        assert solution.candidate is None


def test_a_leader_that_moves_the_state_by_a_menu():
    rng = np.random.default_rng(4)
    shape = (1, 1, 2, 2)
    game = so.MeanFieldStackelbergGame(
        so.Stationary(0.8), rng.normal(size=shape), 0.5 * rng.dirichlet(np.ones(2), size=(2, 2)), reward_population=rng.normal(size=(*shape, 2)),
        transition_leader=0.5 * rng.dirichlet(np.ones(2), size=(2, 2, 2)), leader=so.Menu(np.eye(2)), leader_reward=rng.normal(size=shape),
    )  # fmt: skip
    program, patterns = so.solve(game, so.Exact()), so.solve(game, so.Enumeration())
    assert program.certified
    assert program.value == pytest.approx(patterns.value, abs=1e-8)


# --- what comes with an answer, and what is refused -----------------------------------------------------------------------------


def test_the_program_can_be_read_and_solved_elsewhere():
    from stackopt.backends.pyomo_solver import solve_program

    game = menu_game(2, (2, 1, 2, 2), so.Stationary(0.9))
    stated = so.Exact().reformulate(game)
    assert "best_0_0_0_0" in stated.target.algebra()
    found = solve_program(stated.target, "appsi_highs")
    assert game.certify(stated.lift(found.point)).certified
    assert stated.lift(found.point).claim == pytest.approx(so.solve(game, so.Exact()).value, abs=1e-6)


def test_no_time_is_a_limit():
    solution = so.solve(menu_game(2, (2, 1, 2, 2), so.Stationary(0.9)), so.Exact(time_limit=0))
    assert str(solution.status) == "LIMIT"
    assert not solution.certified


def test_a_callable_objective_over_several_equilibria_is_a_limit():
    game = routes([0.0, 0.0], [1.0, 2.0], objective=lambda y, theta: y[0, 0] * y[0, 1], name="mixed company")
    solution = so.solve(game, so.Exact())
    assert str(solution.status) == "LIMIT"
    assert "callable" in solution.because


@pytest.mark.parametrize(
    ("code", "game", "method"),
    [
        ("mean-field-arrays", sis(), so.Exact()),
        ("mean-field-kernel", random_game(transition_population=np.zeros((3, 3, 2, 3))), so.Enumeration()),
        ("mean-field-menu", random_game(leader=so.Box([0], [1])), so.Exact(concept="weak")),
        ("mean-field-menu", random_game(leader=so.Box([0], [1])), so.Enumeration()),
        ("mean-field-menu", random_game(leader=so.Box([0], [1]), objective=lambda y, theta: y[0, 0]), so.Exact()),
        ("mean-field-size", random_game(S=60, B=40), so.Exact()),
        ("mean-field-size", random_game(S=6, B=3), so.Enumeration()),
        ("mean-field-size", random_game(K=1000, S=6, B=4, leader=so.Box([0], [1])), so.Exact()),
        ("wrong-problem", random_game(), so.Exact(concept="relaxed")),
        ("units", random_game(leader_reward=1e-6 * np.eye(3)[:, :2]), so.Exact()),
    ],
)  # fmt: skip
def test_refusals_name_what_stands_in_the_way(code, game, method):
    with pytest.raises(so.Refused) as caught:
        so.solve(game, method)
    assert caught.value.code == code


def test_other_problems_have_no_such_concept():
    with pytest.raises(so.Refused, match="fixed_points"):
        so.solve(so.catalog.build("commitment_2x2"), so.Exact(concept="fixed_point"))
    with pytest.raises(so.Refused):
        so.solve(so.catalog.build("bayes_dobss"), so.Exact(concept="fixed_point"))


def test_a_limit_comes_with_an_equilibrium():
    """Too many binaries for the time given: what averaging best answers found is returned, certified as an equilibrium, as no optimum."""
    rng = np.random.default_rng(1)
    solution = so.solve(random_game(1, K=1, S=25, B=4, leader_reward=rng.normal(size=(25, 4))), so.Exact(time_limit=2.0, proof=False))
    assert str(solution.status) == "LIMIT"
    assert solution.certificate.certified
    assert solution.value <= solution.bound.value


def test_averages_of_best_answers_are_equilibria_or_nothing():
    from stackopt.exact.mean_field.known import known_equilibria
    from stackopt.reformulations.mean_field_arrays import affine_followers
    from stackopt.reformulations.mean_field_masses import as_population

    found = 0
    for seed in range(2):
        game = menu_game(seed, (1, 1, 3, 2), so.Stationary(0.9))
        for masses in known_equilibria(affine_followers(game)):
            assert game.certify(as_population(affine_followers(game, masses.theta), masses)).certified
            found += 1
    assert found > 0
