"""B6 and B10: figures worked out by hand first, then random populations, then what does not apply and why."""

import numpy as np
import pytest
from populations import random_game, sis

import stackopt as so
from stackopt.bounds import population as few
from stackopt.bounds.mean_field import CrowdConstants
from stackopt.games.mean_field.constants import crowd_constants
from stackopt.games.mean_field.soft_bounds import settle, weighted_distance

NOTHING = np.zeros(0)


def mixing_game(seed, K=2, S=3, B=2, moved=0.1, coupling=0.3, **rest):
    """A kernel that mixes and that the population moves a little."""
    rng = np.random.default_rng(seed)
    nu = rng.dirichlet(np.ones(S))
    base = (1 - moved) * (0.6 * nu + 0.4 * rng.dirichlet(np.ones(S), size=(K, 1, S, B)))
    return so.MeanFieldStackelbergGame(
        so.Stationary(0.8), rng.uniform(-1, 1, size=(K, 1, S, B)), base, reward_population=coupling * rng.uniform(-1, 1, size=(K, 1, S, B, S)),
        transition_population=moved * rng.dirichlet(np.ones(S), size=(S, S, B)), weights=rng.dirichlet(np.ones(K)), **rest,
    )  # fmt: skip


def test_constants_of_a_game_worked_out_by_hand():
    """Two places, an action leads to its place with probability 3/4, company costs 1 per head; followers are myopic.

    Rows differ by 1/2 in total variation, so does what the action moves. What b earns at s is -y_s, whatever b is: myopic followers never
    react, and those with discount g gain g/2 by moving to the emptier place per unit of difference.
    """
    stays, leaves = np.array([0.75, 0.25]), np.array([0.25, 0.75])
    kernel = np.stack([np.stack([stays, leaves])] * 2)
    myopic, patient = (
        so.MeanFieldStackelbergGame(so.Stationary(g), np.zeros((2, 2)), kernel, reward_population=-np.eye(2)[:, None].repeat(2, 1)) for g in (0.0, 0.5)
    )
    c = crowd_constants(myopic, NOTHING)
    assert c.mixing == (0.5,)
    assert (c.types[0].own_sway, c.types[0].opponent_sway, c.types[0].reward_interaction) == (0.5, 0.0, 0.0)
    assert (c.law_slope, c.response_slope) == (0.0, 0.0)
    assert c.residual(1.0, 0.1).value == 0.1
    c = crowd_constants(patient, NOTHING)
    # M = 1 (the opponent moves a reward by 1), c = 1/2 * g kappa_b M / (1 - g t) = 1/2 * (1/4) / (3/4)
    assert c.types[0].slope == pytest.approx(1 / 6)
    assert c.response_slope == pytest.approx(0.5 * (1 / 6) / 0.5)
    assert c.critical_temperature == pytest.approx(1 / 6)


def test_laws_of_their_own_leave_nothing_to_promise():
    """Whoever stays where it is has any law: rows do not overlap, although nothing the population does moves anybody."""
    game = so.MeanFieldStackelbergGame(so.Stationary(0.5), np.zeros((2, 1)), np.eye(2)[:, None])
    bound = crowd_constants(game, NOTHING).residual(1.0, 0.1)
    assert not bound.applies
    assert "overlap" in bound.because


def test_two_routes_to_the_constants_of_a_crowd():
    """A kernel moved by zero is a kernel that is not moved."""
    game = random_game(seed=3, S=3)
    again = so.MeanFieldStackelbergGame(
        game.horizon, game.reward, game.transition, reward_population=game.reward_population, weights=game.weights,
        transition_population=np.zeros((3, 3, 2, 3)),
    )  # fmt: skip
    one, other = crowd_constants(game, NOTHING), crowd_constants(again, NOTHING)
    assert one.mixing == pytest.approx(other.mixing)
    for a, b in zip(one.types, other.types, strict=True):
        for name in ("reward_span", "mixing", "opponent_sway", "own_sway", "reward_interaction", "transition_interaction", "slope"):
            assert getattr(a, name) == pytest.approx(getattr(b, name), abs=1e-12), name


@pytest.mark.parametrize("seed", range(8))
def test_settling_moves_no_more_than_its_modulus(seed):
    game, rng = mixing_game(seed), np.random.default_rng(seed)
    one = rng.dirichlet(np.ones(3), size=(2, 1))
    other = rng.dirichlet(np.ones(3), size=(2, 1)) if seed % 2 else 0.99 * one + 0.01 * rng.dirichlet(np.ones(3), size=(2, 1))
    bound = crowd_constants(game, NOTHING).settling_change(0.5, weighted_distance(game, one, other))
    moved = weighted_distance(game, settle(game, one, NOTHING, 0.5), settle(game, other, NOTHING, 0.5))
    assert bound.applies
    assert moved <= bound.value + 1e-10


@pytest.mark.parametrize("seed", range(6))
def test_the_only_soft_equilibrium_is_as_near_as_promised(seed):
    game, rng = mixing_game(seed), np.random.default_rng(seed)
    c = crowd_constants(game, NOTHING)
    tau = 1.3 * c.critical_temperature
    start = rng.dirichlet(np.ones(3), size=(2, 1))
    at = start
    for _ in range(400):
        last, at = at, settle(game, at, NOTHING, tau)
    assert np.abs(at - last).max() <= 1e-13
    first = settle(game, start, NOTHING, tau)
    assert weighted_distance(game, start, at) <= c.residual(tau, weighted_distance(game, first, start)).value + 1e-10
    second = settle(game, first, NOTHING, tau)
    assert weighted_distance(game, second, at) <= c.a_posteriori(tau, weighted_distance(game, second, first)).value + 1e-10
    assert c.residual(tau, 0.0).applies
    assert not c.residual(0.5 * c.critical_temperature, 0.0).applies


@pytest.mark.parametrize("seed", range(4))
def test_soft_equilibria_move_with_the_decision_as_promised(seed):
    slopes = np.random.default_rng(seed).uniform(-1, 1, size=(2, 1, 3, 2, 1))
    game = mixing_game(seed, leader=so.Box([0.0], [1.0]), reward_leader=slopes)
    one, other = (crowd_constants(game, np.array([theta])) for theta in (0.2, 0.5))
    tau = 1.3 * max(one.critical_temperature, other.critical_temperature)
    found = []
    for theta in (0.2, 0.5):
        at = np.full((2, 1, 3), 1 / 3)
        for _ in range(400):
            at = settle(game, at, np.array([theta]), tau)
        found.append(at)
    bound = one.decision_change(tau, 0.3 * slopes[:, 0, :, :, 0], other)
    assert bound.applies
    assert weighted_distance(game, *found) <= bound.value + 1e-10


def test_a_certificate_says_that_there_is_one_soft_equilibrium():
    game = mixing_game(1)
    tau = 2.0 * crowd_constants(game, NOTHING).critical_temperature
    policy = game.uniform()
    for _ in range(200):
        law = game_law(game, policy)
        policy = so_response(game, law, policy, tau)
    population = so.Population(NOTHING, policy, game_law(game, policy), temperature=tau)
    certificate = game.certify(population)
    assert certificate.certified
    (unique,) = [b for b in certificate.bounds if b.reference == "B6.1"]
    assert unique.applies
    assert unique.value < 1e-8
    assert any("the only soft equilibrium is within" in text for _, text in game.summarize(population, certificate))
    verdicts = {(e.bound.reference, e.verdict) for e in game.examinations(population)}
    assert verdicts == {("B6.1", "holds"), ("B6.2", "holds"), ("B6.2 measured", "holds"), ("B6.4", "holds")}


def game_law(game, policy):
    from stackopt.games.mean_field.laws import law

    return law(game, policy, NOTHING).mean_field


def so_response(game, law, policy, tau):
    from stackopt.games.mean_field import operators
    from stackopt.games.mean_field.dynamics import respond

    return respond(game, game.aggregate(operators.flow(law, policy)), NOTHING, tau).policy


@pytest.mark.parametrize(
    ("game", "why"),
    [
        (random_game(T=2), "periodic"), (sis(), "callables"), (random_game(horizon=so.Finite(1, [1, 0, 0])), "finite"),
        (so.MeanFieldStackelbergGame(so.Stationary(0.5), np.zeros((2, 2)), np.full((2, 2, 2), 0.5), statistic="state-actions"), "states and actions"),
        (so.MeanFieldStackelbergGame(so.Stationary(0.5), np.zeros((2, 2)), np.full((2, 2, 2), 0.5), statistic=np.eye(2)[None].repeat(2, 0)), "depends on"),
    ],
)  # fmt: skip
def test_what_is_not_covered_says_why(game, why):
    bound = crowd_constants(game, NOTHING).residual(1.0, 0.1)
    assert not bound.applies
    assert why in bound.because


def test_no_temperature_helps_where_laws_move_too_much():
    c = CrowdConstants((1.0,), crowd_constants(mixing_game(0, K=1, moved=0.9), NOTHING).types, (0.99,))
    assert c.law_slope >= 1.0
    bound = c.residual(1e6, 0.1)
    assert not bound.applies
    assert "no temperature" in bound.remedy


# --- N followers -----------------------------------------------------------------------------------------------------------------


def test_law_of_few_followers():
    mu = np.array([0.5, 0.5])
    assert few.law_error(mu, 100).value == pytest.approx(0.1)
    exact = np.mean(np.abs(np.random.default_rng(0).multinomial(100, mu, size=40_000) / 100 - mu).sum(-1))
    assert exact == pytest.approx(0.1 * np.sqrt(2 / np.pi), rel=0.02)
    assert exact <= few.law_error(mu, 100).value


def test_own_share_changes_rewards_by_one_over_n():
    slopes, own, y = np.array([[[2.0, 0.0]], [[0.0, -1.0]]]), np.eye(2)[:, None], np.array([0.25, 0.75])
    assert few.reward_change(slopes, own, y, 10) == pytest.approx(0.15)
    assert few.value_error(0.15, 2.0).value == pytest.approx(0.3)
    assert few.exploitability(0.1, 0.15, 2.0).value == pytest.approx(0.7)
    assert few.exploitability(0.1, 0.075, 2.0).value - 0.1 == pytest.approx(0.3)  # twice as many followers: half
    assert not few.value_error(0.15, 2.0, residual=1e-3).applies
    assert not few.value_error(0.15, 2.0, why_not="two types").applies


def test_an_informed_deviator_among_three_followers():
    """The whole game of three followers, written out: joint states, one deviator that sees them all."""
    import itertools

    from stackopt.games.dynamic_programming import optimal_value
    from stackopt.games.operators import Mdp

    rng, N, n, discount = np.random.default_rng(2), 3, 2, 0.7
    kernel, r0, slopes = rng.dirichlet(np.ones(n), (n, 2)), rng.uniform(-1, 1, (n, 2)), rng.uniform(-1, 1, (n, 2, n))
    policy = rng.dirichlet(np.ones(2), n)
    moves = (policy[..., None] * kernel).sum(1)
    mu = np.linalg.matrix_power(moves, 500)[0]
    joint = list(itertools.product(range(n), repeat=N))
    reward = np.array([[r0[a[0], b] + slopes[a[0], b] @ (np.bincount(a, minlength=n) / N) for b in range(2)] for a in joint])
    transition = np.array([[[kernel[a[0], b, c[0]] * np.prod([moves[a[i], c[i]] for i in range(1, N)]) for c in joint] for b in range(2)] for a in joint])
    start = np.array([np.prod(mu[list(a)]) for a in joint])
    informed = start @ optimal_value(Mdp(reward, transition, discount)).value
    best = mu @ optimal_value(Mdp(r0 + slopes @ mu, kernel, discount)).value
    bound = few.informed_deviator(slopes, best, discount, N)
    assert bound.applies
    assert informed <= bound.value
    assert not few.informed_deviator(slopes, best, discount, 1).applies


def test_propagation_needs_a_contraction():
    assert few.propagation(0.5, 0.25, 3, 200).value == pytest.approx(np.sqrt(2 / 200) / 0.25)
    assert not few.propagation(0.9, 0.2, 3, 200).applies
