"""Priced populations: what a follower earns, the general game they stand for, and what is refused."""

import copy
import pickle

import numpy as np
import pytest

from stackopt import catalog
from stackopt.errors import InvalidGame, InvalidMethod, Refused
from stackopt.games.mean_field import Box, dynamics, memory
from stackopt.games.mean_field.priced import PricedPopulation, Prices, Supplier

battery = catalog.module("battery")

GOOD = {"move": [[0, 1], [1, 0]], "signal": [[1.0]], "base": [0.0, 1.0], "net": [[0.0], [1.0]], "discount": 0.9}


def random_population(seed=0, K=3, T=4, R=2, C=3, B=2, L=2, *, by_state=False):
    """Nothing in it has a structure that could be exploited."""
    rng = np.random.default_rng(seed)
    entries = C * B if by_state else B + 1
    return PricedPopulation(
        move=rng.integers(0, C, (C, B)),
        signal=rng.dirichlet(np.ones(R), (T, R)),
        base=rng.normal(size=(K, T, R, entries)),
        net=rng.normal(size=(K, T, R, entries, L)),
        discount=0.8,
        entry=np.arange(C * B).reshape(C, B) if by_state else rng.integers(0, entries, (C, B)),
        weights=rng.dirichlet(np.ones(K)),
    )


def random_prices(seed=1, T=4, L=2, D=3):
    rng = np.random.default_rng(seed)
    return Prices(rng.normal(size=(T, L)), 0.1 * rng.normal(size=(T, L, L)), rng.normal(size=(T, L, D)))


def test_rewards_and_purchases_of_the_game_are_those_of_the_entries():
    population, prices = random_population(), random_prices()
    game = population.game(prices, leader=Box(np.zeros(3), np.ones(3)))
    K, T, R, C, B, _, L = population.sizes
    rng = np.random.default_rng(2)
    y, theta, flow = rng.normal(size=(T, L)), rng.normal(size=3), rng.random((K, T, R * C, B))
    reward, bought = game.rewards(y, theta), np.zeros((T, L))
    for k in range(K):
        for t in range(T):
            p = prices.constant[t] + prices.slope[t] @ y[t] + prices.leader[t] @ theta
            for r in range(R):
                for c in range(C):
                    for b in range(B):
                        net = population.net[k, t, r, population.entry[c, b]]
                        assert reward[k, t, r * C + c, b] == pytest.approx(population.base[k, t, r, population.entry[c, b]] - p @ net, abs=1e-12)
                        bought[t] += population.weights[k] * flow[k, t, r * C + c, b] * net
    np.testing.assert_allclose(game.aggregate(flow), bought, atol=1e-12)
    np.testing.assert_allclose(game.rewards(y[[2]], theta, np.array([2])), reward[:, [2]], atol=1e-14)


def test_prices_accept_complex_steps():
    prices, h = random_prices(), 1e-30
    y, theta = np.zeros((4, 2), complex), np.zeros(3)
    y[1, 0] = 1j * h
    step = prices.at(y, theta).imag / h
    np.testing.assert_allclose(step[1], prices.slope[1, :, 0])
    assert np.abs(step[[0, 2, 3]]).max() == 0.0


def test_steps_of_entries_are_known_only_where_they_are_the_same_everywhere():
    assert battery.population(types=1, charge_levels=7, regimes=2).steps is not None
    assert random_population().steps is None
    np.testing.assert_array_equal(PricedPopulation(**GOOD | {"move": [[1, 0], [2, 1], [2, 2]], "entry": [[1, 0], [1, 0], [0, 0]]}).steps, [0, 1])


def test_types_that_are_alike_need_one_row():
    population = PricedPopulation(**GOOD, weights=[0.5, 0.25, 0.25])
    assert population.sizes == (3, 1, 1, 2, 2, 2, 1)
    assert population.rows(np.array([[0.5]])).tolist() == [[[[0.0, 0.5]]]] * 3
    assert population.bought(np.array([0, 2])).shape == (2, 1, 1, 2, 1)


def test_it_is_a_value():
    population = random_population()
    for twin in (copy.deepcopy(population), pickle.loads(pickle.dumps(population))):
        np.testing.assert_array_equal(twin.net, population.net)
        with pytest.raises(ValueError, match="read-only"):
            twin.base[0] = 1.0


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"base": np.zeros((1, 1, 1, 1, 2))}, "axes"),
        ({"base": np.zeros(3)}, "axes"),
        ({"net": np.zeros(2)}, "axes"),
        ({"base": [0.0, np.nan]}, "finite"),
        ({"net": [[0.0], [np.inf]]}, "finite"),
        ({"entry": [[0, 2], [0, 1]]}, "axes"),
        ({"entry": [[0, 1]]}, "axes"),
        ({"entry": [[0.0, 1.0], [0.0, 1.0]]}, "axes"),
        ({"move": [[0, 2], [1, 0]]}, "kernel-move"),
        ({"move": np.zeros((2, 1, 2, 2), int)}, "axes"),
        ({"signal": [[0.5]]}, "kernel-rows"),
        ({"weights": [0.5, 0.6]}, "types-weights"),
        ({"discount": 1.0}, "discount"),
        ({"actions": ["a", "a"]}, "labels"),
    ],
)
def test_what_is_wrong_is_named(change, code):
    with pytest.raises(InvalidGame) as caught:
        PricedPopulation(**GOOD | change)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"constant": np.zeros(2)}, "axes"),
        ({"slope": np.zeros((3, 3))}, "axes"),
        ({"leader": np.zeros((4, 3, 1))}, "axes"),
        ({"constant": np.full((4, 2), np.nan)}, "finite"),
    ],
)
def test_wrong_prices_are_named(change, code):
    with pytest.raises(InvalidGame) as caught:
        Prices(**{"constant": np.zeros((4, 2)), "slope": np.zeros((2, 2)), "leader": np.zeros((4, 2, 1))} | change)
    assert caught.value.code == code


def test_a_game_that_would_not_fit_is_refused_and_prices_must_fit_it(monkeypatch):
    with pytest.raises(InvalidGame, match=r"\[axes\]"):
        random_population().game(random_prices(T=3))
    population = battery.population(types=1000)
    monkeypatch.setattr(memory, "available", lambda: 10**9)
    with pytest.raises(Refused, match=r"\[memory\]"):
        population.game(battery.prices())


def test_best_answers_of_the_battery_are_found_though_the_residual_grows_on_the_way():
    """Policy iteration improves values in every round, not the Bellman residual."""
    game = battery.build()
    best = dynamics.respond(game, np.zeros((24, 2)), np.random.default_rng(0).uniform(0.1, 0.4, 24))
    assert best.residual < 1e-12


def test_the_battery_says_what_its_parameters_must_be():
    for wrong in ({"types": 0}, {"charge_levels": 1}, {"regimes": 4}, {"efficiency": 0.0}, {"wear": -1.0}, {"battery_kw": 0.0}, {"season": "autumn"}):
        with pytest.raises(InvalidMethod, match=r"\[model-value\]"):
            battery.population(**wrong)
    for build, name, value in (("prices", "slope", -1.0), ("prices", "share", 2.0), ("utility", "bill_weight", 1.0), ("build", "highest_tariff", 0.0)):
        with pytest.raises(InvalidMethod, match=r"\[model-value\]"):
            getattr(battery, build)(**{name: value})


def test_the_supplier_earns_margins_and_pays_rising_costs():
    prices = Prices(np.full((1, 2), 0.5), np.zeros((2, 2)), np.zeros((1, 2, 0)))
    earned = Supplier(prices, 0.1, 0.2, 0.75)(np.array([[3.0, -1.0]]), np.zeros(0))
    assert earned == pytest.approx(0.25 * (0.5 * 3 - 0.5) - (0.1 * 2 + 0.5 * 0.2 * 4))


def test_the_battery_can_be_sent_to_another_process():
    game = pickle.loads(pickle.dumps(battery.build()))
    assert game.fingerprint() == battery.build().fingerprint()
    y, theta = np.ones((24, 2)), np.full(24, 0.2)
    assert game.objective_value(y, theta) == battery.build().objective_value(y, theta)


def test_energy_is_conserved_by_the_battery():
    """Charging from one level to the next takes more than discharging gives back: the round trip."""
    population = battery.population(types=2, charge_levels=50, regimes=1, pv_kw=0.0)
    meter = population.bought()[..., 0] + population.bought()[..., 1]
    idle = battery.STEPS.index(0.0)
    taken, given = meter[..., -1] - meter[..., idle], meter[..., idle] - meter[..., 0]
    np.testing.assert_allclose(given / taken, 0.90, rtol=1e-12)
    winter = battery.population(types=1, charge_levels=3, regimes=1, season="winter")
    assert winter.sizes[3] == 3
