"""The chunked response: against the general game's dynamics, against closed forms, and its derivative against differences."""

import dataclasses
import sys

import numpy as np
import pytest

from stackopt import catalog
from stackopt.errors import InvalidGame, InvalidMethod, MissingPackage, Refused
from stackopt.games.mean_field import chunked, chunked_numpy, dynamics, machine
from stackopt.games.mean_field.chunked import PeriodicResponse
from stackopt.games.mean_field.priced import PricedPopulation, Prices

battery = catalog.module("battery")


@pytest.fixture(params=[False, pytest.param(True, marks=pytest.mark.skipif(not machine.compiled_available(), reason="needs numba"))], ids=["numpy", "compiled"])
def compiled(request):
    return request.param


def small(levels=7, types=3):
    return battery.population(types=types, charge_levels=levels, regimes=2)


def tangled(seed=0, T=3, R=2, C=4, B=3, K=3):
    """Every state its own rewards, moves without order, signals that change at every stage."""
    rng = np.random.default_rng(seed)
    return PricedPopulation(
        move=rng.integers(0, C, (C, B)), signal=rng.dirichlet(np.ones(R), (T, R)), base=rng.normal(size=(K, T, R, C * B)),
        net=rng.normal(size=(K, T, R, C * B, 2)), discount=0.9, entry=np.arange(C * B).reshape(C, B), weights=rng.dirichlet(np.ones(K)),
    )  # fmt: skip


def day_prices(seed=0):
    theta = np.random.default_rng(seed).uniform(0.1, 0.4, 24)
    return battery.prices().at(np.zeros((24, 2)), theta)


def fixed(prices):
    """Prices that nothing moves."""
    T, L = prices.shape
    return Prices(prices, np.zeros((L, L)), np.zeros((T, L, 0)))


def reference(population, prices, temperature):
    """Values, law and purchases by the general game's dynamics: dense matrices, policy iteration, linear solves."""
    game = population.game(fixed(prices))
    y, theta = np.zeros(prices.shape), np.zeros(0)
    best = dynamics.respond(game, y, theta, temperature)
    assert best.residual < 1e-9
    return best, dynamics.mean_field(game, best.policy, theta)


CASES = {
    "battery": (small, day_prices, 0.02),
    "battery, warm": (small, day_prices, 1.0),
    "battery, cold": (small, day_prices, 0.0005),
    "tangled": (tangled, lambda: np.random.default_rng(5).normal(size=(3, 2)), 0.3),
    "tangled, cold": (tangled, lambda: np.random.default_rng(5).normal(size=(3, 2)), 0.004),  # weights underflow
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_the_response_of_the_general_game(case, compiled):
    build, prices_of, temperature = CASES[case]
    population, prices = build(), prices_of()
    K = population.shape[0]
    best, law = reference(population, prices, temperature)
    response = PeriodicResponse(population, temperature, compiled=compiled)
    found = response.solve(prices)
    assert found.converged
    np.testing.assert_allclose(found.bought, law.y, atol=1e-8)
    np.testing.assert_allclose(found.bought, np.tensordot(population.weights, found.bought_by_type, 1), atol=1e-14)
    np.testing.assert_allclose(temperature * response.by_type(found.values).reshape(K, -1), best.value[:, 0], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(response.by_type(found.mass).reshape(K, -1), law.mean_field[:, 0], atol=1e-8)


@pytest.mark.parametrize("case", CASES)
def test_exploitability_is_that_of_the_general_game(case, compiled):
    build, prices_of, temperature = CASES[case]
    population, prices = build(), prices_of()
    best, law = reference(population, prices, temperature)
    known = dynamics.exploitability(population.game(fixed(prices)), best.policy, np.zeros(0), law.mean_field)
    response = PeriodicResponse(population, temperature, compiled=compiled)
    gain = response.exploitability(response.solve(prices))
    np.testing.assert_allclose(gain, known.by_type, rtol=1e-6, atol=1e-8)
    assert (gain <= temperature * np.log(population.shape[3])).all()


def test_the_cold_case_really_underflows():
    """So the test above also covers the rows that get exponentials of their own."""
    build, prices_of, temperature = CASES["tangled, cold"]
    response = PeriodicResponse(build(), temperature, compiled=False)
    response.solve(prices_of())
    assert sum(len(rows) for rows in response._idle[0]._exact) > 3


def test_one_stage_one_state_is_the_logit_rule(compiled):
    population = PricedPopulation(move=[[0, 0]], signal=[[1.0]], base=[0.0, 1.0], net=[[0.0], [1.0]], discount=0.0)
    found = PeriodicResponse(population, 0.25, compiled=compiled).solve([[0.3]])
    assert found.bought[0, 0] == pytest.approx(1 / (1 + np.exp(-0.7 / 0.25)), rel=1e-12)
    response = PeriodicResponse(population, 0.25, compiled=compiled)
    p = found.bought[0, 0]
    assert response.gradient(found, [[2.0]])[0, 0] == pytest.approx(-2 * p * (1 - p) / 0.25, rel=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_the_adjoint_is_the_derivative(case, compiled):
    build, prices_of, temperature = CASES[case]
    population, prices = build(), prices_of()
    rng = np.random.default_rng(7)
    payoff, direction = rng.normal(size=prices.shape), rng.normal(size=prices.shape)
    response = PeriodicResponse(population, temperature, compiled=compiled, tolerance=1e-12)
    at = response.solve(prices)
    h = 2e-3 * temperature / np.abs(direction).max()

    def along(s):
        return (response.solve(prices + s * h * direction, at).bought * payoff).sum()

    differences = (8 * (along(1) - along(-1)) - (along(2) - along(-2))) / (12 * h)
    exact = (response.gradient(at, payoff) * direction).sum()
    assert exact == pytest.approx(differences, rel=2e-7, abs=1e-9)


def test_numpy_and_compiled_sweeps_do_the_same():
    pytest.importorskip("numba")
    population, prices = small(types=70), day_prices()  # more than one chunk
    plain, fast = (PeriodicResponse(population, 0.02, compiled=c) for c in (False, True))
    assert (plain.chunks, fast.chunks) == (2, 2)
    one, other = plain.solve(prices), fast.solve(prices)
    np.testing.assert_allclose(other.bought_by_type, one.bought_by_type, atol=1e-10)
    for response, found in ((plain, one), (fast, other)):
        v, m = found.values.copy(), found.mass.copy()
        np.testing.assert_allclose(response.iterate(prices, v, m), one.bought, atol=1e-9)  # a fixed point stays
        np.testing.assert_allclose(m, found.mass, atol=1e-9)


def test_types_are_independent_and_threads_change_nothing(compiled):
    population, prices = small(types=70), day_prices()
    response = PeriodicResponse(population, 0.02, compiled=compiled)
    found = response.solve(prices)
    for k in (0, 33, 69):
        alone = dataclasses.replace(population, base=population.base[[k]], net=population.net[[k]], weights=None, types=None)
        np.testing.assert_allclose(PeriodicResponse(alone, 0.02, compiled=compiled).solve(prices).bought, found.bought_by_type[k], atol=1e-9)
    two = PeriodicResponse(population, 0.02, compiled=compiled, threads=2)
    np.testing.assert_array_equal(two.solve(prices).bought, found.bought)
    np.testing.assert_array_equal(two.gradient(found, prices), response.gradient(found, prices))


def test_a_warm_start_needs_fewer_sweeps(compiled):
    response, prices = PeriodicResponse(small(), 0.02, compiled=compiled), day_prices()
    cold = response.solve(prices)
    warm = response.solve(prices + 1e-6, cold)
    assert sum(warm.sweeps) < sum(cold.sweeps)
    np.testing.assert_allclose(warm.bought, response.solve(prices + 1e-6).bought, atol=1e-9)


def test_a_limit_is_not_convergence(compiled):
    found = PeriodicResponse(small(), 0.02, compiled=compiled, max_sweeps=2).solve(day_prices())
    assert not found.converged
    assert found.residual > 1e-10


def test_derivatives_that_did_not_settle_are_nan(compiled):
    population, prices = small(), day_prices()
    found = PeriodicResponse(population, 0.02, compiled=compiled).solve(prices)
    hasty = PeriodicResponse(population, 0.02, compiled=compiled, max_sweeps=2)
    assert np.isnan(hasty.gradient(found, prices)).all()
    assert np.isnan(hasty.exploitability(found)).all()


def test_many_payoffs_at_once_are_one_at_a_time(compiled):
    population, prices = small(types=5), day_prices()
    response = PeriodicResponse(population, 0.02, compiled=compiled)
    found = response.solve(prices)
    payoffs = np.random.default_rng(3).normal(size=(20, 24, 2))
    together = response.gradient(found, payoffs)
    assert together.shape == payoffs.shape
    for m in (0, 7, 19):
        np.testing.assert_allclose(together[m], response.gradient(found, payoffs[m]), atol=1e-6)


def test_progress_counts_chunks(monkeypatch):
    monkeypatch.setattr(chunked_numpy, "LANES", 8)
    for threads in (1, 2):
        seen = []
        response = PeriodicResponse(small(types=20), 0.02, compiled=False, threads=threads)
        response.solve(day_prices(), report=seen.append)
        assert [(p.stage, p.done, p.total) for p in seen] == [("response", 1, 3), ("response", 2, 3), ("response", 3, 3)]


def test_an_interrupt_by_the_callback_ends_all_threads(monkeypatch):
    monkeypatch.setattr(chunked_numpy, "LANES", 4)

    def stop(progress):
        raise KeyboardInterrupt

    for threads in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            PeriodicResponse(small(types=20), 0.02, compiled=False, threads=threads).solve(day_prices(), report=stop)


def test_runs_cover_every_state_and_action_once():
    for population in (small(levels=50), tangled()):
        C, B = population.move.shape
        seen = np.zeros((C, B), int)
        runs = chunked_numpy.runs(population.move, population.entry)
        pairs = sorted((c, c + run.shift, run.entry) for run in runs for c in range(run.begin, run.end))
        assert pairs == sorted((c, int(population.move[c, b]), int(population.entry[c, b])) for c, b in np.ndindex(*seen.shape))
    assert len(chunked_numpy.runs(small(levels=50).move, small(levels=50).entry)) <= 2 * 11


def test_signals_without_one_long_run_share_start_evenly(compiled):
    population = dataclasses.replace(tangled(), signal=np.broadcast_to(np.eye(2), (3, 2, 2)))
    found = PeriodicResponse(population, 0.3, compiled=compiled).solve(np.zeros((3, 2)))
    response = PeriodicResponse(population, 0.3, compiled=compiled)
    np.testing.assert_allclose(response.by_type(found.mass).sum(-1), 0.5, atol=1e-12)


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"temperature": 0.0}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"tolerance": 0.0}, "setting"),
        ({"threads": 0}, "setting"),
        ({"threads": 1.5}, "setting"),
        ({"max_sweeps": 0}, "setting"),
    ],
)
def test_wrong_settings_are_named(settings, code):
    with pytest.raises(InvalidMethod) as caught:
        PeriodicResponse(**{"population": small(), "temperature": 0.1, "compiled": False} | settings)
    assert caught.value.code == code


def test_wrong_prices_are_named():
    response = PeriodicResponse(small(), 0.1, compiled=False)
    for wrong, code in ((np.zeros((24, 1)), "axes"), (np.full((24, 2), np.nan), "finite"), ("high", "axes")):
        with pytest.raises(InvalidGame) as caught:
            response.solve(wrong)
        assert caught.value.code == code


def test_what_would_not_fit_is_refused_before_it_is_allocated():
    response = PeriodicResponse(small(), 0.1, compiled=False)
    assert 10**5 < response.bytes_needed() < 10**8
    with pytest.raises(Refused, match=r"the response of 3 types would need .* MB; 1 kB are available"):
        PeriodicResponse(small(), 0.1, compiled=False, memory_limit=1000)


def test_without_numba_numpy_does_it(monkeypatch):
    monkeypatch.setattr(chunked, "compiled_available", lambda: False)
    assert PeriodicResponse(small(types=20), 0.1).compiled is False
    with pytest.raises(MissingPackage, match=r"stackopt\[fast\]"):
        PeriodicResponse(small(), 0.1, compiled=True)


def test_numba_is_imported_only_when_it_is_asked_for():
    import subprocess

    code = "import sys; import stackopt.games.mean_field.chunked, stackopt.learning.mean_field.fast; print('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"


def test_threads_by_default_are_those_of_the_process():
    assert machine.default_threads() >= 1
