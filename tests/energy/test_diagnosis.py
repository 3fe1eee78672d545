"""Diagnoses of equilibria: cases without error, simulation against an independent one, and what must be said."""

import numpy as np
import pytest
from towns import LOAD, SUN, town

from stackopt.energy.diagnosis import closure, diagnose, histories, loads_along
from stackopt.energy.equilibrium import equilibrium, monotonicity, spectral_radius
from stackopt.energy.households import Battery, Households, HouseholdType, Weather
from stackopt.energy.market.network import Generator, Market
from stackopt.energy.market.smooth import NetworkSupply
from stackopt.energy.market.supply import LinearSupply
from stackopt.energy.tariff import Tariff

PASS = Tariff("pass-through", pass_buy=1.0, pass_sell=1.0)


def test_without_memory_there_is_no_closure_error():
    no_battery = Households([HouseholdType("c", "Q1", "C", 0.5, 1e4, LOAD), HouseholdType("pv", "Q5", "PV", 0.5, 1e5, LOAD, SUN)])
    one_regime = town(weather=Weather(names=("clear",), sun=(1.0,), stay=(1.0,)))
    for households in (no_battery, one_regime):
        found = closure(equilibrium(households, LinearSupply(), PASS), paths=2, days=3)
        assert found.load_worst <= 1e-6  # MW
        assert found.price_worst <= 1e-4


def test_markets_that_optimise_are_priced_on_some_days(monkeypatch):
    """Each at its own hour and weather: without memory a network has no error either, on any of the days."""
    plants = [Generator("a", "b", 900.0, (20.0, 0.02)), Generator("c", "b", 3000.0, (60.0, 0.01))]
    supply = NetworkSupply(Market(["b"], [], plants, (), 1000.0, 0.0), 1.0, base=300.0)
    monkeypatch.setattr("stackopt.energy.diagnosis.PRICED", 7)
    no_battery = Households([HouseholdType("c", "Q1", "C", 0.5, 1e4, LOAD), HouseholdType("pv", "Q5", "PV", 0.5, 1e5, LOAD, 0.5 * SUN)])
    found = equilibrium(no_battery, supply, Tariff("flat", buy=0.3))
    assert np.ptp(found.cleared, axis=1).min() > 0.005  # hours differ
    still = closure(found, paths=3, days=5)
    assert (still.days, still.priced) == (15, 7)
    assert still.price_worst <= 1e-5
    moving = equilibrium(town(), supply, PASS, temperature=0.05)
    few = closure(moving, paths=3, days=5)
    monkeypatch.setattr("stackopt.energy.diagnosis.PRICED", 100)
    every = closure(moving, paths=3, days=5)
    assert every.priced == 15
    assert few.load_deviation == every.load_deviation > 0.1
    assert 0 < few.price_worst <= every.price_worst


def test_histories_have_the_chances_of_the_weather():
    for changes in ("daily", "hourly"):
        weather = Weather(names=("clear", "haze", "cloudy"), sun=(1.0, 0.7, 0.3), stay=(0.8, 0.5, 0.6), changes=changes)
        regimes = histories(weather, 400, 24 * 10, 0)
        assert np.abs(np.bincount(regimes.ravel(), minlength=3) / regimes.size - weather.shares).max() < 0.05
        for h in (3, 23):
            before, after = regimes[:, h::24][:, :9], regimes[:, h + 1 :: 24][:, :9]
            for w in range(3):
                seen = np.bincount(after[before == w], minlength=3) / (before == w).sum()
                assert np.abs(seen - weather.hourly[h][w]).max() < 0.08


@pytest.mark.parametrize("changes", ["daily", "hourly"])
def test_loads_along_a_history_are_those_of_single_batteries(changes):
    """Against thousands of batteries moved one by one."""
    households = town(Battery(levels=5, kw=3.5), weather=Weather(changes=changes))
    found = equilibrium(households, LinearSupply(), PASS, temperature=0.05)
    regimes = histories(households.weather, 1, 48, 3)
    loads = loads_along(found, regimes)[0, 0]
    part = next(p for p in found.response.parts if p.control is not None)
    policy, rng, many = part.control.policy[0], np.random.default_rng(0), 40_000
    charge = rng.choice(5, many, p=part.control.occupancy[0, 0, regimes[0, 0]] / households.weather.shares[regimes[0, 0]])
    rest = [i for i in range(4) if i not in part.members]
    for t in range(48):
        h, w = t % 24, regimes[0, t]
        move = (rng.random(many)[:, None] > policy[h, w][charge].cumsum(-1)).sum(-1).clip(0, policy.shape[-1] - 1)
        mine = part.hour.net[0, h, w][move]
        others = households.share[rest] @ found.response.net[rest, h, w]
        expected = 1000.0 * (others + households.share[part.members[0]] * mine.mean())
        assert loads[t] == pytest.approx(expected, abs=5.0 * 1000.0 * households.share[part.members[0]] * mine.std() / np.sqrt(many) + 1e-6)
        charge = charge + Battery(levels=5, kw=3.5).moves[move]
    assert charge.min() >= 0
    assert charge.max() <= 4


def test_the_closure_error_averages_out_and_is_printed():
    found = equilibrium(town(), LinearSupply(slope=0.02), PASS)
    seen = diagnose(found, paths=40, days=30)
    assert seen.closure.load_deviation > 0.1  # batteries do remember
    assert abs(seen.closure.load_bias) < 0.2 * seen.closure.load_deviation
    assert seen.closure.load_worst >= seen.closure.load_deviation
    assert seen.closure.price_deviation == pytest.approx(0.02 * seen.closure.load_deviation, rel=1e-4)  # a linear market
    assert seen.spectral_radius == spectral_radius(found)
    assert seen.monotonicity == monotonicity(found) <= 1e-9
    assert seen.exploitability == pytest.approx(0.2 * seen.of_owners)  # a fifth have batteries
    text = str(seen)
    for word in ("exploitability", "spectral radius", "one, locally", "load by history", "1,200 days", "CONVERGED"):
        assert word in text
    assert seen.warnings == ()


def test_what_must_be_known_is_said():
    cycling = diagnose(equilibrium(town(), LinearSupply(slope=0.6), PASS, temperature=0.005), paths=1, days=1)
    assert any("would cycle" in w for w in cycling.warnings)
    cut = diagnose(equilibrium(town(), LinearSupply(slope=0.2), PASS, temperature=0.005, time_limit=0.0), paths=1, days=1)
    assert any(w.startswith("not an equilibrium") for w in cut.warnings)
    assert "CONVERGED" not in str(cut)
    apart = diagnose(equilibrium(town(), LinearSupply(), Tariff("flat", buy=0.3, net_metering=True)), paths=1, days=1)
    assert "decouple" in str(apart)
    inverse = Tariff("inverse", buy=0.4, sell=0.0, pass_buy=-1.0, pass_sell=-0.5)
    assert any("not monotone" in w for w in diagnose(equilibrium(town(), LinearSupply(), inverse), paths=1, days=1).warnings)


def test_bounds_that_bind_are_named():
    dear = equilibrium(town(), LinearSupply(), Tariff("dear", buy=2.0, sell=0.0))  # use falls to 0 at 1.80 $/kWh
    assert any("lower bound of nothing" in w and "hour 0" in w for w in diagnose(dear, paths=1, days=1).bounds)
    sunny = equilibrium(town(), LinearSupply(intercept=-20.0, slope=0.02, base=0.0, floor=-10.0), Tariff("flat", buy=0.3))
    said = diagnose(sunny, paths=1, days=1).bounds
    assert any("negative" in w for w in said)
    assert any("floor of -10 $/MWh" in w for w in said)
    scarce = NetworkSupply(Market(["b"], [], [Generator("g", "b", 300.0, 20.0)], (), 1000.0, 0.0), 0.1)
    short = diagnose(equilibrium(town(), scarce, Tariff("flat", buy=0.3)), paths=1, days=1).bounds
    assert any("load is shed" in w for w in short)
