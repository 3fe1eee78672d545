"""The commitment gradient against differences (E16), its naive half (E17), and ascent."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

import stackopt as so
from stackopt.errors import InvalidMethod
from stackopt.learning.hypergradient import commitment_gradient
from stackopt.learning.simplex import gather, spread
from stackopt.solution import Status
from stackopt.testing import check_learner, check_method, random_games, two_by_two


def some_game(rng, shape, discounts, deterministic=False, observes=None):
    S = shape[0]
    P = np.eye(S)[rng.integers(0, S, shape)] if deterministic else rng.dirichlet(np.ones(S), shape)
    leader, follower = discounts
    return so.StackelbergGame(
        rng.uniform(-1, 1, shape), rng.integers(-1, 2, shape), P, leader_discount=leader, follower_discount=follower, leader_observes=observes
    )


@settings(derandomize=True, max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    shape=st.tuples(st.integers(1, 4), st.integers(2, 3), st.integers(1, 4)),
    discounts=st.tuples(st.sampled_from([0.0, 0.5, 0.9, 0.99]), st.sampled_from([0.0, 0.5, 0.9, 0.99])),
    temperature=st.floats(0.2, 10.0),
    deterministic=st.booleans(),
    blind=st.booleans(),
)
def test_e16_gradient_equals_central_differences(seed, shape, discounts, temperature, deterministic, blind):
    rng = np.random.default_rng(seed)
    observes = rng.integers(0, 2, shape[0]).tolist() if blind else None
    game = some_game(rng, shape, discounts, deterministic, observes)
    classes = int(game.observations.max()) + 1
    z = 0.9 * rng.dirichlet(np.ones(shape[1]), classes) + 0.1 / shape[1]
    direction = rng.standard_normal(z.shape)
    direction /= np.abs(direction).max()
    step = 1e-5

    def value(w):
        return commitment_gradient(game, spread(game, w), temperature).value

    g = commitment_gradient(game, spread(game, z), temperature)
    slope = (gather(game, g.direct + g.response) * direction).sum()
    difference = (value(z + step * direction) - value(z - step * direction)) / (2 * step)
    assert abs(difference - slope) <= 1e-4 * (1.0 + abs(slope) + np.abs(g.direct).max())


def test_boltzmann_gradient_where_it_exists():
    rng = np.random.default_rng(4)
    for discounts in ((0.0, 0.9), (0.9, 0.5), (0.95, 0.95)):
        shape = (4, 3, 3)
        game = so.StackelbergGame(
            rng.uniform(-1, 1, shape), rng.uniform(-1, 1, shape), rng.dirichlet(np.ones(4), shape),
            leader_discount=discounts[0], follower_discount=discounts[1],
        )
        x = 0.9 * rng.dirichlet(np.ones(3), 4) + 0.1 / 3
        direction = rng.standard_normal(x.shape)
        g = commitment_gradient(game, x, 0.4, "boltzmann")
        values = [commitment_gradient(game, x + h * direction, 0.4, "boltzmann").value for h in (1e-6, -1e-6)]
        assert (values[0] - values[1]) / 2e-6 == pytest.approx(((g.direct + g.response) * direction).sum(), rel=1e-5)


def test_e17_direct_term_is_the_gradient_with_the_follower_frozen():
    rng = np.random.default_rng(1)
    game = some_game(rng, (3, 2, 3), (0.9, 0.9))
    x = rng.dirichlet(np.ones(2), 3)
    g = commitment_gradient(game, x, 0.5)
    direction = rng.standard_normal(x.shape)

    def frozen(h):
        from stackopt.games.responses import leader_value

        return leader_value(game, x + h * direction, g.follower_policy)

    assert (frozen(1e-6) - frozen(-1e-6)) / 2e-6 == pytest.approx((g.direct * direction).sum(), rel=1e-6)
    assert np.abs(g.response).max() > 1e-2 * np.abs(g.direct).max()  # what is left out matters


@pytest.mark.parametrize(("temperature", "total", "naive"), [(0.3, 2.97, 2.07), (0.1, 3.27, 2.00), (0.03, 3.41, 2.00)])
def test_known_values_of_the_two_by_two_game(temperature, total, naive):
    ascent = so.solve(two_by_two(), so.HypergradientAscent(temperature))
    assert ascent.certified
    assert float(ascent.candidate.claim) == pytest.approx(total, abs=5e-3)
    frozen = so.solve(two_by_two(), so.NaiveAscent(temperature))
    assert float(frozen.candidate.claim) == pytest.approx(naive, abs=5e-3)


def test_certified_value_of_the_two_by_two_game():
    solution = so.solve(two_by_two(), so.HypergradientAscent(0.1))
    assert solution.value == pytest.approx(3.318156, abs=1e-6)


def test_sparse_and_dense_ascend_alike():
    game = random_games(1, states=6, seed=3)[0]
    twin = so.StackelbergGame(
        game.leader_reward, game.follower_reward, sparse.csr_matrix(game.transition.reshape(-1, 6)), discount=0.7
    )
    ascent = so.HypergradientAscent(0.5, starts=2)
    first, second = so.solve(game, ascent), so.solve(twin, ascent)
    assert first.certified
    assert second.certified
    assert first.value == pytest.approx(second.value, abs=1e-8)


def test_more_starts_never_lower_the_value_of_the_first_search():
    game = random_games(1, states=5, actions=4, discount=0.9, seed=11)[0]
    one = so.solve(game, so.HypergradientAscent(0.05, starts=1)).candidate.claim
    many = so.solve(game, so.HypergradientAscent(0.05, starts=8)).candidate.claim
    assert many >= one - 1e-6


def test_iteration_limit_is_a_limit():
    game = random_games(1, states=5, discount=0.95, seed=2)[0]
    solution = so.solve(game, so.HypergradientAscent(0.02, iterations=1, tolerance=1e-300))
    assert solution.status is Status.LIMIT
    assert not solution.certified
    assert solution.candidate is not None


@pytest.mark.parametrize("response", ["max-ent", "boltzmann"])
def test_ascent_is_a_learner(response):
    check_learner(so.HypergradientAscent(0.3, response=response, starts=4), commitment_value=3.5)


def test_naive_ascent_is_a_learner_of_the_wrong_thing():
    check_learner(so.NaiveAscent(0.3, tolerance=1e-4), commitment_value=2.0)
    with pytest.raises(AssertionError, match="fall with the temperature"):
        check_learner(so.NaiveAscent(0.3, tolerance=1e-4), commitment_value=3.5)


def test_methods_keep_their_promises():
    for problem in (two_by_two(), random_games(2)):
        check_method(so.HypergradientAscent(0.3, starts=2), problem)
    check_method(so.NaiveAscent(0.3), two_by_two())


@pytest.mark.parametrize("bad", [0.0, -1.0, np.inf, np.nan, "hot"])
def test_temperature_is_positive_and_finite(bad):
    with pytest.raises(InvalidMethod, match=r"\[temperature\]"):
        so.HypergradientAscent(bad)


@pytest.mark.parametrize("setting", [{"iterations": 0}, {"starts": 0}, {"tolerance": -1.0}, {"response": "best"}])
def test_settings_have_laws(setting):
    with pytest.raises(InvalidMethod, match=r"\[setting\]"):
        so.HypergradientAscent(0.1, **setting)
    with pytest.raises(InvalidMethod, match=r"\[setting\]"):
        so.NaiveAscent(0.1, length=0.0)
