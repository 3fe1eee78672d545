"""Products of unknowns: epidemics in closed form, roots of a polynomial, prices out of a box; the package is optional."""

from dataclasses import replace

import numpy as np
import pytest
from populations import random_game

import stackopt as so
from stackopt.backends import scip

NOTHING = np.zeros(0)
needs_scip = pytest.mark.skipif(not scip.available(), reason="pyscipopt is not installed")


@needs_scip
def test_an_epidemic_has_two_equilibria_and_both_are_found():
    """Closed form of the model: nobody infected, or as many as make the susceptible indifferent."""
    game = so.catalog.build("sis_subsidy").at([0.0])
    solution = so.solve(replace(game, leader_reward=None, leader_reward_leader=None, leader=so.Menu([[0.0]])), so.Exact())
    assert solution.certified
    infected = sorted(p.mean_field[0, 0, 1] for p in (solution.candidate, *solution.candidate.others))
    assert infected == pytest.approx([0.0, 0.3828407532111236], abs=1e-8)
    endemic = max((solution.candidate, *solution.candidate.others), key=lambda p: p.mean_field[0, 0, 1])
    assert endemic.policy[0, 0, 0, 0] == pytest.approx(0.6001212366134573, abs=1e-7)
    assert solution.further_bounds[0].value == pytest.approx(0.3828407532111236, abs=1e-6)


@needs_scip
def test_the_best_subsidy_against_the_worst_equilibrium():
    """The endemic equilibrium in closed form, and a scalar search over subsidies: s = 0.2531189, worth -0.2531045."""
    menu = replace(so.catalog.build("sis_subsidy"), leader=so.Menu([[0.0], [0.1], [0.2531189036306793], [0.4]]))
    solution = so.solve(menu, so.Exact(concept="weak"))
    assert solution.certified
    assert solution.candidate.theta[0] == 0.2531189036306793
    assert solution.value == pytest.approx(-0.25310446392014063, abs=1e-8)
    assert so.solve(menu, so.Exact()).value == pytest.approx(0.0, abs=1e-8)  # at best nobody is infected


@needs_scip
@pytest.mark.parametrize(("model", "value", "theta"), [("congested_logit", 1 / 3, 1.0), ("logit_population", 2.0, 2.0), ("pigou_population", -0.75, 0.5)])
def test_prices_and_tolls_out_of_a_box(model, value, theta):
    """Hard followers: the limits of the closed forms as the temperature goes to zero."""
    solution = so.solve(so.catalog.build(model), so.Exact())
    assert solution.certified
    assert solution.value == pytest.approx(value, abs=1e-6)
    assert solution.candidate.theta[0] == pytest.approx(theta, abs=1e-4)


@needs_scip
@pytest.mark.parametrize("seed", range(4))
def test_laws_that_move_their_own_chain_are_roots_of_a_polynomial(seed):
    """One action, two states: the share x of state 0 solves x = x p(x) + (1 - x) r(x) with p and r affine."""
    rng = np.random.default_rng(seed)
    p, r = rng.uniform(size=2), rng.uniform(size=2)  # chance of state 0 next, in a population all in state 0 or 1
    kernel = np.zeros((2, 2, 1, 2))  # [statistic, state, action, next]
    for j in range(2):
        kernel[j, 0, 0], kernel[j, 1, 0] = [p[j], 1 - p[j]], [r[j], 1 - r[j]]
    game = so.MeanFieldStackelbergGame(
        so.Stationary(0.5), np.zeros((2, 1)), np.zeros((2, 1, 2)), transition_population=kernel, leader_reward=np.array([[1.0], [0.0]]), sizes=(1, 2, 1)
    )
    # x (p1 + (p0 - p1) x) + (1 - x) (r1 + (r0 - r1) x) - x = 0
    roots = np.roots([(p[0] - p[1]) - (r[0] - r[1]), p[1] + (r[0] - r[1]) - r[1] - 1.0, r[1]])
    inside = sorted(x.real for x in roots if abs(x.imag) < 1e-9 and -1e-9 <= x.real <= 1 + 1e-9)
    assert so.solve(game, so.Exact()).value == pytest.approx(inside[-1], abs=1e-7)
    assert so.solve(game, so.Exact(concept="weak")).value == pytest.approx(inside[0], abs=1e-7)


@needs_scip
def test_transitions_moved_by_nothing_are_those_of_the_linear_program():
    rng = np.random.default_rng(3)
    plain = random_game(3, K=1, S=2, leader_reward=rng.normal(size=(2, 2)))
    moved = replace(plain, transition_population=np.zeros((2, 2, 2, 2)))
    for concept in ("strong", "weak"):
        assert so.solve(moved, so.Exact(concept=concept)).value == pytest.approx(so.solve(plain, so.Exact(concept=concept)).value, abs=1e-6)


@needs_scip
def test_a_box_that_moves_transitions():
    """One follower state too many to leave: the leader opens the door as far as it pays, and a menu with that point agrees."""
    rng = np.random.default_rng(5)
    shape = (1, 1, 2, 2)
    parts = {
        "reward": rng.normal(size=shape), "transition": 0.5 * rng.dirichlet(np.ones(2), size=(2, 2)) + 0.5 * np.eye(2)[[0, 0]][:, None],
        "transition_leader": 0.5 * (np.eye(2)[[1, 1]] - np.eye(2)[[0, 0]])[None, :, None].repeat(2, 2), "leader_reward": rng.normal(size=shape),
        "reward_population": rng.normal(size=(*shape, 2)),
    }  # fmt: skip
    box = so.solve(so.MeanFieldStackelbergGame(so.Stationary(0.8), leader=so.Box([0.0], [1.0]), **parts), so.Exact())
    assert box.certified
    points = np.append(np.linspace(0, 1, 11), box.candidate.theta)
    menu = so.solve(so.MeanFieldStackelbergGame(so.Stationary(0.8), leader=so.Menu(points), **parts), so.Exact())
    assert box.value == pytest.approx(menu.value, abs=2e-6)


@pytest.mark.parametrize(
    ("code", "game"),
    [
        ("mean-field-kernel", random_game(transition_population=np.zeros((3, 3, 2, 3)))),
        ("mean-field-kernel", random_game(leader=so.Box([0], [1]), transition_leader=np.zeros((1, 3, 2, 3)))),
        ("mean-field-products", random_game(leader=so.Box([0], [1]), leader_reward_leader=np.eye(3)[:, :2, None])),
    ],
)
def test_without_the_package_products_are_refused(code, game, monkeypatch):
    monkeypatch.setattr("stackopt.exact.mean_field.bilinear.available", lambda: False)
    with pytest.raises(so.Refused, match="scip") as caught:
        so.solve(game, so.Exact())
    assert caught.value.code == code


@needs_scip
def test_what_even_a_global_search_refuses():
    large = random_game(S=30, B=10, K=2, transition_population=np.zeros((30, 30, 10, 30)))
    other = random_game(transition_population=np.zeros((3, 3, 2, 3)), objective=lambda y, theta: y[0, 0])
    box = random_game(transition_population=np.zeros((3, 3, 2, 3)), leader=so.Box([0], [1]))
    for game, concept, code in ((large, "strong", "mean-field-size"), (other, "strong", "mean-field-arrays"), (box, "weak", "mean-field-menu")):
        with pytest.raises(so.Refused) as caught:
            so.solve(game, so.Exact(concept=concept))
        assert caught.value.code == code
