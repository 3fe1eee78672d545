"""Words of a study where they would be false: every verdict is made to face a case that does not deserve it."""

from dataclasses import replace

import numpy as np
import pytest
from towns import LOAD, SUN, town

import stackopt as so
from stackopt.energy import storage
from stackopt.energy.benchmarks_named import Outcome, benchmark, neutral
from stackopt.energy.criteria import criteria
from stackopt.energy.designs.curvature import downhill
from stackopt.energy.designs.design import design, examine
from stackopt.energy.designs.problem import DesignProblem
from stackopt.energy.designs.program import Search
from stackopt.energy.designs.reach import largest_revenue
from stackopt.energy.diagnosis import diagnose
from stackopt.energy.equilibrium import equilibrium
from stackopt.energy.exhibits.payers import discounts
from stackopt.energy.exhibits.reliance import convergence
from stackopt.energy.gradients import gradients
from stackopt.energy.households import Battery, Households, HouseholdType, Weather
from stackopt.energy.market.supply import LinearSupply
from stackopt.energy.seasons import yearly
from stackopt.energy.storage import Charging
from stackopt.energy.tariff import Tariff
from stackopt.solution import Status

WHOLESALE = LinearSupply(50.0, 0.0, 0.0)  # $/MWh, whatever the load
USUAL = LOAD.sum()


def alike(elasticity=0.2, reference=0.3, sun=None):
    """Households that are all alike, 18.3 kWh a day at the reference price."""
    kind = "C" if sun is None else "PV"
    return Households([HouseholdType("all", "all", kind, 1.0, 5e4, LOAD, sun)], Weather(["clear"], [1.0], [1.0]), 1000, elasticity, reference)


def flat(level):
    return Tariff("flat", level)


def collected(level, elasticity, reference):
    """Beyond wholesale purchases, $/day."""
    return (level - 0.05) * max(USUAL * (1.0 - elasticity * (level - reference) / reference), 0.0)


@pytest.mark.parametrize(("elasticity", "reference"), [(0.2, 0.3), (3.0, 0.1), (5.0, 0.1), (2.0, 0.05)])
@pytest.mark.parametrize("part", [0.3, 0.9, 0.999, 1.0, 1.01])
def test_two_levels_recover_a_requirement_or_none(elasticity, reference, part):
    """The smaller of the two roots of a parabola, wherever it lies; nothing above its top, and the top itself is reached."""
    choke = reference * (1.0 + 1.0 / elasticity)
    top = 0.5 * (0.05 + choke)
    most = collected(top, elasticity, reference)
    found = neutral("flat", flat, alike(elasticity, reference), WHOLESALE, part * most)
    if part > 1.0:
        assert found.status is Status.INFEASIBLE
        assert found.reach == pytest.approx(most, rel=1e-6)
        assert "no level recovers the requirement" in found.because
        return
    assert found.status is Status.CONVERGED
    smaller = top - np.sqrt(max(1.0 - part, 0.0)) * (top - 0.05)
    assert found.level == pytest.approx(smaller, abs=1e-3 if part == 1.0 else 1e-6)


def test_revenue_that_still_rises_at_the_highest_level_is_not_out_of_reach():
    """At an elasticity of 0.01 three dollars a kWh would recover it; levels are tried up to two."""
    assert collected(3.1, 0.01, 0.3) > 50.0
    found = neutral("flat", flat, alike(0.01), WHOLESALE, 50.0)
    assert found.status is Status.LIMIT
    assert "no level up to 2" in found.because
    assert "still rises" in found.because
    assert found.reach == pytest.approx(collected(2.0, 0.01, 0.3))


def test_a_second_and_higher_top_of_revenue_is_found():
    """Households without a discount stop using; those with one go on paying more."""
    types = [HouseholdType(g, g, "C", share, 5e4, LOAD) for g, share in (("full", 0.15), ("less", 0.85))]
    people = Households(types, Weather(["clear"], [1.0], [1.0]), 1000)

    def discounted(level):
        return Tariff("two tops", level, discount={"less": 0.6})

    def sum_of(level):
        return 0.15 * collected(level, 0.2, 0.3) + 0.85 * collected(0.4 * level, 0.2, 0.3)

    first = max(sum_of(level) for level in np.linspace(0.1, 1.7, 1601))
    between = 0.5 * (first + sum_of(2.0))
    assert first < between
    assert sum_of(1.8) < first
    found = neutral("two tops", discounted, people, WHOLESALE, between)
    assert found.status is Status.CONVERGED
    assert sum_of(found.level) == pytest.approx(between)
    assert 1.8 < found.level < 2.0


def test_a_level_just_above_where_selling_would_pay_more_than_buying():
    """Exports earn five cents: a requirement of a cent a day is recovered just above a buy rate of five."""
    people = alike(sun=0.5 * SUN)
    found = benchmark("flat_nb", people, WHOLESALE, 0.01)
    assert found.status is Status.CONVERGED
    assert 0.05 < found.level < 0.052
    below = benchmark("flat_nb", people, WHOLESALE, -0.01)
    assert below.status is Status.LIMIT
    assert "too much" in below.because
    assert "selling pays no more than buying" in below.because


def test_a_negative_requirement_gives_money_back():
    found = neutral("flat", flat, alike(), WHOLESALE, -1.0)
    assert found.status is Status.CONVERGED
    assert collected(found.level, 0.2, 0.3) == pytest.approx(-1.0)
    far = neutral("flat", flat, alike(), WHOLESALE, -100.0)
    assert far.status is Status.LIMIT
    assert "too much" in far.because


def test_where_prices_settle_only_at_some_levels_nothing_is_out_of_reach(monkeypatch):
    from stackopt.energy import benchmarks_named

    def lame(households, market, tariff, **rest):
        found = equilibrium(households, market, tariff, **rest)
        return found if tariff.buy[0] < 0.85 else replace(found, residual=1.0, status=Status.LIMIT, because="it cycles")

    monkeypatch.setattr(benchmarks_named, "equilibrium", lame)
    found = neutral("flat", flat, alike(3.0, 0.2), WHOLESALE, 5.0)
    assert found.status is Status.LIMIT
    assert "it cycles" in found.because


def test_prices_that_are_no_equilibrium_are_not_the_only_one():
    """Almost without noise, and exports credited at the wholesale price: no search settles, and demand there does not move at all."""
    found = equilibrium(town(), LinearSupply(), Tariff("nb", 0.4, 0.0, 0.0, 1.0), temperature=1e-8, time_limit=3.0)
    assert found.status is Status.LIMIT
    seen = diagnose(found, paths=2, days=2)
    assert seen.monotonicity <= 1e-9
    assert not seen.alone
    assert "one, locally" not in str(seen)
    assert "not an equilibrium" in str(seen)
    table = convergence([Outcome("nb", "", found.tariff, found, None, found.status, found.because)])
    assert table.column("locally one equilibrium") == ["not shown"]


def test_batteries_whose_values_did_not_settle_are_no_equilibrium(monkeypatch):
    for tariff in (Tariff("nem", 0.3 + 0.2 * (np.arange(24) > 16), net_metering=True), Tariff("rtp", 0.1, 0.0, 1.0, 1.0)):
        assert equilibrium(town(), LinearSupply(), tariff).converged
        with monkeypatch.context() as patch:
            patch.setattr(storage, "ROUNDS", 1)
            found = equilibrium(town(), LinearSupply(), tariff, time_limit=2.0)
        assert found.response.unsettled > storage.SETTLED
        assert found.status is Status.LIMIT
        assert "batteries did not settle" in found.because


def test_where_the_best_moves_are_not_found_what_could_be_gained_is_bounded(monkeypatch):
    found = equilibrium(town(), LinearSupply(), Tariff("nem", 0.3 + 0.2 * (np.arange(24) > 16), net_metering=True)).response
    exact = found.exploitability()
    with monkeypatch.context() as patch:
        patch.setattr(storage, "ROUNDS", 1)
        rough = found.exploitability()
    assert (rough >= exact - 1e-9).all()
    assert rough.max() > exact.max() + 1e-6


@pytest.mark.parametrize("changes", ["daily", "hourly"])
def test_odd_batteries_settle(changes):
    """Capacity, power, losses, wear, noise and worths over many orders of magnitude."""
    rng = np.random.default_rng(1)
    for _ in range(150):
        levels = int(rng.integers(2, 24))
        step = 10 ** rng.uniform(-1, 3) / (levels - 1)
        battery = Battery(step * (levels - 1), step * rng.uniform(1, 4), rng.uniform(0.3, 1.0), levels, float(rng.choice([0.0, 0.05, 1.0])))
        weather = Weather(["a", "b"], [1.0, 0.3], rng.uniform(0.01, 0.99, 2), changes=changes)
        rates = rng.uniform(0.0, 0.5, (1, 24, 2, 1)) * -battery.metered - battery.worn
        worth = rates if rng.random() < 0.5 else 10 ** rng.uniform(-3, 1) * rng.normal(size=rates.shape)
        charging = Charging(battery, weather.hourly)
        soft = charging.control(worth, float(10 ** rng.uniform(-6, 0)))
        assert soft.residual <= storage.SETTLED
        best = charging.control(worth, 0.0, soft.value)
        assert best.residual <= storage.SETTLED_SHARP
        earned = float((soft.moves * worth).sum())
        assert earned - 1e-6 * (1 + abs(earned)) <= best.gain[0] <= best.highest[0] + 1e-6 * (1 + abs(earned))


def test_a_temperature_must_be_one():
    for temperature in (0.0, -0.1, float("nan")):
        with pytest.raises(so.InvalidStudy, match="temperature"):
            equilibrium(town(), LinearSupply(), Tariff("rtp", 0.1, 0.0, 1.0, 1.0), temperature=temperature)


@pytest.mark.parametrize("floor", [-20.0, 0.0, 30.0])
def test_at_the_floor_one_more_mw_costs_nothing(floor):
    """Gradients of the cost are its difference quotients where generation is curtailed, whatever the price is then."""
    market = LinearSupply(-60.0, 0.09, 600.0, floor)
    found = equilibrium(town(), market, Tariff("flat", 0.3, 0.05), tolerance=1e-12)
    at_floor = 1000.0 * found.price <= floor
    assert 0 < at_floor.sum() < at_floor.size
    exact = gradients(found, np.ones((24, 1)), np.zeros((24, 1)))
    ends = [criteria(equilibrium(town(), market, Tariff("flat", 0.3 + step, 0.05)), 3.0).cost for step in (1e-5, -1e-5)]
    assert exact.cost[0] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-5)


def test_a_system_without_load_has_no_load_factor():
    """Beyond the price at which use ends."""
    found = equilibrium(alike(), WHOLESALE, Tariff("dear", 2.0))
    seen = criteria(found, 3.0)
    assert np.isnan(seen.load_factor)
    assert seen.peak == 0.0
    assert any("nothing" in text for text in diagnose(found).bounds)


def halves(required, *, buy, market=WHOLESALE, cap=0.0):
    """Two rates, each for half of a day without a pattern; nothing but them recovers the requirement."""
    people = Households([HouseholdType("all", "all", "C", 1.0, 5e4, np.ones(24))], Weather(["clear"], [1.0], [1.0]), 1000)
    periods = {"one": range(12), "two": range(12, 24)}
    return DesignProblem(people, market, required=required, periods=periods, buy=buy, sell=(0.0, 0.0), pass_buy=0.0, pass_sell=0.0, cap=cap)


def test_a_ridge_is_no_local_optimum():
    """Of two levels that recover the same, the upper one is the dearest of its kind: first-order conditions hold, and moving the rates apart costs less."""
    level = 0.925 + np.sqrt((12.25 - 8.0) / 16.0)  # (r - 0.05) 24 (1 - 0.2 (r - 0.3) / 0.3) = 8
    problem = halves(8.0, buy=(0.0, 1.8))
    at = np.array([level, level, 0.0, 0.0, 0.0, 0.2, 0.0])
    search = Search(problem)
    assert search.violation(at) <= 1e-9
    assert search.stationarity(at) <= 1e-9
    along = downhill(search, at)
    assert along[0] == pytest.approx(-along[1])
    seen = examine(problem, at)
    assert seen.status is Status.LIMIT
    assert "nearby costs" in seen.because
    lower = 2 * 0.925 - level
    good = examine(problem, np.array([lower, lower, 0.0, 0.0, 0.0, 0.2, 0.0]))
    assert good.status is Status.CONVERGED
    assert "local optima" in good.because


@pytest.mark.parametrize(("required", "rates"), [(3.0, (1.670403, 1.7)), (12.0, (0.95, 1.1))])
def test_a_search_that_ends_on_a_ridge_goes_on(required, rates):
    """Only rates above the largest revenue are allowed, and a start whose rates are alike stays alike; the optimum has one at a bound, by the parabola."""
    found = design(halves(required, buy=(0.95, 1.7)), starts=1)
    assert found.status is Status.CONVERGED
    assert np.sort(found.z[:2]) == pytest.approx(rates, abs=1e-5)
    assert found.starts[0][1] == "stationary"
    assert found.starts[0][0] > found.criteria.cost + 1e-3


def test_the_largest_revenue_is_that_of_rates_apart():
    """Five cents in one half of the day and sixty in the other: rates alike collect 8.70, rates apart 9.005."""
    market = LinearSupply(-100.0, 1e-3, np.array([150e3] * 12 + [700e3] * 12))
    for required in (8.9, 9.1):
        assert largest_revenue(halves(required, buy=(0.0, 1.8), market=market)) == pytest.approx(9.005, abs=2e-4)
    found = design(halves(9.1, buy=(0.0, 1.8), market=market), starts=1)
    assert found.status is Status.INFEASIBLE
    assert "at most 9.005 of 9.1" in found.because


def test_a_discount_of_everything_is_counted():
    """Who pays nothing for energy is spared all of it, at the rate of the others."""
    found = equilibrium(town(), LinearSupply(), Tariff("gift", 0.4, 0.0, discount={"Q1": 1.0}))
    spared = discounts(found)
    assert spared[0] == pytest.approx(0.4 * found.response.imports[0].sum())
    assert spared[0] > 5.0
    assert (spared[1:] == 0.0).all()


def test_a_true_up_that_does_not_settle_is_no_equilibrium():
    """Without noise a battery's cycle pays from one share of the announced rates on, and what is left over jumps there past nothing."""
    day = 0.3 + 0.15 * ((np.arange(24) >= 16) & (np.arange(24) < 21))
    home = HouseholdType("all", "all", "PVB", 1.0, 5e4, LOAD, 0.875 * SUN, Battery(4.0, 2.0, 0.9, 5, 0.03))
    people = Households([home], yearly(Weather()), 1000, elasticity=0.02)
    tariff = Tariff("nem", day, net_metering=True, true_up=0.04)
    found = equilibrium(people, LinearSupply(), tariff, temperature=1e-13)
    response = found.response
    assert 0.0 < response.kept[0] < 1.0
    net = response.imports - response.exports
    mixed = response.kept[0] * float((tariff.adders(people)[0] * net).sum()) + (1 - response.kept[0]) * 0.04 * float(net.sum())
    assert response.bills[0] - mixed > 1e-3
    assert found.status is Status.LIMIT
    assert "true-up did not settle" in found.because
    assert response.exploitability()[0] > 1e-3
    assert equilibrium(people, LinearSupply(), tariff).converged
