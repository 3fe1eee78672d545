"""Price equilibria of large populations: closed forms, the general game's certificate, the leader's gradient, checkpoints."""

import numpy as np
import pytest

from stackopt import catalog
from stackopt.errors import InvalidGame, InvalidMethod, InvalidStore
from stackopt.games.mean_field import Population, chunked, dynamics, machine
from stackopt.games.mean_field.priced import PricedPopulation, Prices
from stackopt.learning.mean_field import fast
from stackopt.learning.mean_field.fast import price_equilibrium
from stackopt.learning.mean_field.fast_gradient import leader_gradient

battery = catalog.module("battery")
FLAT = np.full(24, 0.2)
COMPILED = machine.compiled_available()


def small(types=2, levels=7):
    return battery.population(types=types, charge_levels=levels, regimes=2)


def buyers(slope, D=0):
    """Buy one unit worth 1, or wait; the price rises with the share that buys."""
    population = PricedPopulation(move=[[0, 0]], signal=[[1.0]], base=[0.0, 1.0], net=[[0.0], [1.0]], discount=0.0)
    return population, Prices([[0.0]], [[slope]], np.ones((1, 1, D)))


@pytest.mark.parametrize(("slope", "temperature"), [(0.5, 1.0), (2.0, 0.1), (5.0, 0.01)])
def test_a_logit_market_clears(slope, temperature):
    population, prices = buyers(slope)
    found = price_equilibrium(population, prices, [], temperature, tolerance=1e-10)
    p = found.prices[0, 0]
    assert found.converged
    assert p == pytest.approx(slope / (1 + np.exp((p - 1) / temperature)), abs=1e-9)


def test_the_gradient_of_a_logit_market_is_that_of_the_implicit_function():
    population, prices = buyers(2.0, D=1)
    found = price_equilibrium(population, prices, [0.1], 0.3, tolerance=1e-12)
    y = found.response.bought[0, 0]
    slope = -y * (1 - y) / 0.3
    known = (2 * y * slope / (1 - 2.0 * slope)) + 0.5  # of y ** 2 + theta / 2, with dy = slope (2 dy + dtheta)
    gradient = leader_gradient(population, prices, found, lambda y, theta: (y**2).sum() + 0.5 * theta.sum())
    assert gradient.converged
    assert gradient.gradient == pytest.approx([known], rel=1e-7)
    assert gradient.value == pytest.approx(y**2 + 0.05)


def test_the_battery_has_its_known_value_and_the_game_certifies_the_population():
    game, population = battery.build(), small()
    found = price_equilibrium(population, battery.prices(), FLAT, 0.02, tolerance=1e-10)
    assert found.converged
    assert float(battery.utility()(found.response.bought, FLAT)) == pytest.approx(battery.KNOWN["value_at_flat_tariff"], abs=battery.KNOWN["tolerance"])
    answer = dynamics.respond(game, found.response.bought, FLAT, 0.02)
    law = dynamics.mean_field(game, answer.policy, FLAT)
    np.testing.assert_allclose(law.y, found.response.bought, atol=1e-8)
    certificate = game.certify(Population(FLAT, answer.policy, law.mean_field, temperature=0.02, tolerance=1e-4, claim=battery.KNOWN["value_at_flat_tariff"]))
    assert certificate.certified, str(certificate)
    assert found.exploitability == pytest.approx(dynamics.exploitability(game, answer.policy, FLAT).total, rel=1e-6)


def test_where_undamped_iteration_cycles_it_converges():
    """Supply slope 0.2, temperature 0.005: undamped iteration on prices goes round for ever, as the spectral radius says."""
    population, prices = small(types=8), battery.prices(slope=0.2)
    found = price_equilibrium(population, prices, FLAT, 0.005, compiled=COMPILED)
    assert found.converged
    assert found.spectral_radius > 5
    assert found.sample_evaluations + found.evaluations < 150
    response = chunked.PeriodicResponse(population, 0.005, compiled=COMPILED)
    p = found.prices + 1e-4
    gaps = []
    for _ in range(30):
        after = prices.at(response.solve(p).bought, FLAT)
        gaps.append(np.abs(after - p).max())
        p = after
    assert min(gaps[10:]) > 1e-3


def test_the_leaders_gradient_is_that_of_the_equilibrium():
    population, prices, objective = small(types=5), battery.prices(), battery.utility()
    theta = FLAT + 0.05 * np.sin(np.arange(24))
    found = price_equilibrium(population, prices, theta, 0.02, tolerance=1e-11, compiled=COMPILED)
    gradient = leader_gradient(population, prices, found, objective, tolerance=1e-9, compiled=COMPILED)
    assert gradient.converged
    direction, h = np.random.default_rng(1).normal(size=24), 2e-4

    def along(s):
        at = theta + s * h * direction
        return float(objective(price_equilibrium(population, prices, at, 0.02, tolerance=1e-11, compiled=COMPILED).response.bought, at))

    differences = (8 * (along(1) - along(-1)) - (along(2) - along(-2))) / (12 * h)
    assert gradient.gradient @ direction == pytest.approx(differences, rel=1e-6)


def test_a_sample_steers_and_the_whole_population_decides():
    population, prices = small(types=80), battery.prices()
    few = fast.sample(population)
    assert len(few.weights) <= fast.SAMPLE
    assert few.weights.sum() == pytest.approx(1.0)
    assert fast.sample(small(types=3)).weights.size == 3
    found = price_equilibrium(population, prices, FLAT, 0.02, compiled=COMPILED)
    assert found.converged
    fresh = chunked.PeriodicResponse(population, 0.02, compiled=False).solve(found.prices)
    assert np.abs(prices.at(fresh.bought, FLAT) - found.prices).max() < 2e-8
    gradient = leader_gradient(population, prices, found, battery.utility(), compiled=COMPILED)
    assert gradient.converged
    assert gradient.adjoints <= 12


def test_an_equilibrium_begun_from_a_neighbour_is_the_same_and_sooner_there():
    population, prices = small(types=80), battery.prices()
    first = price_equilibrium(population, prices, FLAT, 0.02, compiled=COMPILED)
    theta = FLAT + 0.01 * np.cos(np.arange(24))
    cold, warm = (price_equilibrium(population, prices, theta, 0.02, compiled=COMPILED, start=s) for s in (None, first))
    assert warm.converged
    assert warm.sample_evaluations == 0
    assert warm.evaluations <= cold.evaluations
    np.testing.assert_allclose(warm.prices, cold.prices, atol=2e-8)
    cooler = price_equilibrium(population, prices, FLAT, 0.015, compiled=COMPILED, start=first)
    assert cooler.converged


def test_a_tariff_can_be_improved_by_any_gradient_method():
    from scipy.optimize import minimize

    population, prices, objective = small(types=3), battery.prices(), battery.utility()
    at = None

    def loss(theta):
        nonlocal at
        at = price_equilibrium(population, prices, theta, 0.05, start=at, compiled=COMPILED)
        slope = leader_gradient(population, prices, at, objective, compiled=COMPILED)
        return -slope.value, -slope.gradient

    before = -loss(FLAT)[0]
    found = minimize(loss, FLAT, jac=True, method="L-BFGS-B", bounds=[(0.0, 0.6)] * 24, options={"maxiter": 6})
    assert -found.fun > before + 1e-2
    fresh = price_equilibrium(population, prices, found.x, 0.05, compiled=COMPILED)
    assert objective(fresh.response.bought, found.x) == pytest.approx(-found.fun, abs=1e-6)


def test_feedback_is_the_derivative_of_what_prices_become():
    population, prices = small(types=2), battery.prices()
    response = chunked.PeriodicResponse(population, 0.05, compiled=False)
    p = prices.at(np.zeros((24, 2)), FLAT)
    at = response.solve(p)
    found = fast.feedback(response, at, prices).reshape(24, 2, 24, 2)
    for t, channel in ((3, 0), (18, 0), (12, 1)):
        move = np.zeros((24, 2))
        move[t, channel] = 1e-5
        change = prices.at(response.solve(p + move, at).bought, FLAT) - prices.at(response.solve(p - move, at).bought, FLAT)
        np.testing.assert_allclose(found[:, :, t, channel], change / 2e-5, atol=1e-5)


def test_a_limit_is_reported_as_one():
    found = price_equilibrium(small(types=80), battery.prices(), FLAT, 0.02, max_evaluations=1, compiled=COMPILED)
    assert (found.outcome, found.evaluations, found.converged) == ("limit", 1, False)
    assert found.residual > 1e-8
    assert not leader_gradient(small(types=80), battery.prices(), found, battery.utility(), compiled=COMPILED).converged


class Stop(Exception):
    pass


def stopped(after):
    """A callback that interrupts after so many responses of the whole population."""
    seen = []

    def report(progress):
        seen.append(progress)
        if sum(p.stage == "prices" for p in seen) >= after:
            raise Stop

    return report


def test_an_interrupted_run_ends_with_the_same_numbers(tmp_path):
    population, prices, file = small(types=80), battery.prices(), tmp_path / "run" / "state.npz"
    whole = price_equilibrium(population, prices, FLAT, 0.02, compiled=COMPILED)
    assert whole.evaluations >= 3
    for _ in range(2):
        with pytest.raises(Stop):
            price_equilibrium(population, prices, FLAT, 0.02, compiled=COMPILED, checkpoint=file, report=stopped(2))
    resumed = price_equilibrium(population, prices, FLAT, 0.02, compiled=COMPILED, checkpoint=file)
    for name in ("prices", "residual", "evaluations", "sample_evaluations", "spectral_radius"):
        np.testing.assert_array_equal(getattr(resumed, name), getattr(whole, name))
    for name in ("bought", "bought_by_type", "values", "mass"):
        np.testing.assert_array_equal(getattr(resumed.response, name), getattr(whole.response, name))
    again = price_equilibrium(population, prices, FLAT, 0.02, compiled=COMPILED, checkpoint=file)  # nothing is left to do
    np.testing.assert_array_equal(again.prices, whole.prices)
    assert again.outcome == "converged"
    assert [p.name for p in file.parent.iterdir()] == ["state.npz"]


def test_an_interrupt_while_sampling_leaves_no_file(tmp_path):
    def report(progress):
        raise Stop

    with pytest.raises(Stop):
        price_equilibrium(small(), battery.prices(), FLAT, 0.02, checkpoint=tmp_path / "state.npz", report=report)
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_of_something_else_is_refused(tmp_path):
    file = tmp_path / "state.npz"
    price_equilibrium(*buyers(2.0), [], 0.1, checkpoint=file)
    for change in ({"temperature": 0.2}, {"tolerance": 1e-6}):
        with pytest.raises(InvalidStore, match=r"\[checkpoint\].*belongs to another"):
            price_equilibrium(*buyers(2.0), [], **{"temperature": 0.1} | change, checkpoint=file)
    with pytest.raises(InvalidStore, match="belongs to another"):
        price_equilibrium(*buyers(2.5), [], 0.1, checkpoint=file)
    for content in (b"", b"PK\x03\x04 broken", b"not an archive"):
        file.write_bytes(content)
        with pytest.raises(InvalidStore, match="cannot be read"):
            price_equilibrium(*buyers(2.0), [], 0.1, checkpoint=file)


def test_a_checkpoint_that_cannot_be_written_is_an_error_that_leaves_the_old_one(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(InvalidStore, match="cannot be written"):
        price_equilibrium(*buyers(2.0), [], 0.1, checkpoint=blocked / "state.npz")
    from stackopt.learning.mean_field import checkpoint

    file = tmp_path / "state.npz"
    checkpoint.save(file, "f", {"a": np.arange(3)})

    def broken(source, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint.os, "replace", broken)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(file, "f", {"a": np.zeros(3)})
    monkeypatch.undo()
    state = checkpoint.load(file, "f")
    assert state is not None
    assert state["a"].tolist() == [0, 1, 2]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "state.npz"]


def test_progress_names_its_stages():
    seen = []
    price_equilibrium(small(types=80), battery.prices(), FLAT, 0.02, compiled=COMPILED, report=seen.append)
    stages = [p.stage.split()[0] for p in seen]
    assert stages[0] == "sample"
    assert {"response", "prices", "exploitability"} <= set(stages)
    assert [p.residual for p in seen if p.stage == "prices"][-1] < 1e-8


def test_what_does_not_fit_is_named():
    population, prices = small(), battery.prices()
    for theta, code in ((np.zeros(3), "axes"), (np.full(24, np.nan), "finite")):
        with pytest.raises(InvalidGame) as caught:
            price_equilibrium(population, prices, theta, 0.02)
        assert caught.value.code == code
    with pytest.raises(InvalidGame, match=r"\[axes\]"):
        price_equilibrium(population, buyers(1.0)[1], [], 0.02)
    for settings, code in (({"tolerance": -1.0}, "setting"), ({"max_evaluations": 0}, "setting"), ({"temperature": 0.0}, "temperature")):
        with pytest.raises(InvalidMethod) as wrong:
            price_equilibrium(population, prices, FLAT, **{"temperature": 0.02} | settings)
        assert wrong.value.code == code
    found = price_equilibrium(*buyers(1.0), [], 0.5)
    with pytest.raises(InvalidGame, match=r"\[callable-finite\]"):
        leader_gradient(*buyers(1.0), found, lambda y, theta: np.inf)
