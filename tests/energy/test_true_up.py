"""The true-up of net metering: bills by month, best answers of a kinked bill by brute force, and what depends on them."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize
from towns import LOAD, SUN, town
from years import LIGHT, two_years, year_of

import stackopt as so
from stackopt.energy.benchmarks_named import benchmark, tariff_at
from stackopt.energy.bill import bill
from stackopt.energy.criteria import criteria
from stackopt.energy.designs.design import design
from stackopt.energy.designs.problem import DesignProblem
from stackopt.energy.diagnosis import bounds
from stackopt.energy.equilibrium import equilibrium
from stackopt.energy.gradients import gradients
from stackopt.energy.households import Battery, Households, HouseholdType, Weather
from stackopt.energy.market.supply import LinearSupply
from stackopt.energy.rates import Rates
from stackopt.energy.response import respond
from stackopt.energy.seasons import Season, yearly
from stackopt.energy.tariff import Tariff
from stackopt.solution import Status

QUIET = np.zeros((1, 24, 6))


def roofs(*sizes):
    """Households alike but for their roofs, kWh a day under a clear summer sky against a use of 18.4."""
    types = [HouseholdType(f"{k}", "Q", "PV", 1 / len(sizes), 5e4, LOAD, size / SUN.sum() * SUN) for k, size in enumerate(sizes)]
    return year_of(Households(types), np.ones(3), LIGHT)


def worth(households, tariff, i, use):
    """Utility less the year's bill of type i that uses `use` [24, w], $/day: from nothing but the definitions."""
    regime, load = households.weather.shares, households.load[i]
    p, eps = households.reference_price, households.elasticity
    net = use - households.sun[i]
    away = use - load
    charge = float((regime * tariff.adders(households)[0] * net).sum())
    taken = float((regime * net).sum())
    return float((regime * (p * away - p / (2 * eps * load) * away**2)).sum()) - max(charge, tariff.true_up * taken)


@pytest.mark.parametrize("rate", [0.0, 0.05])
@pytest.mark.parametrize("seasonal", [False, True])
def test_answers_are_best_for_the_bill_with_its_kink(rate, seasonal):
    """No other use does better: small and large roofs, and one between, for whom exactly nothing is left over."""
    households = roofs(15.0, 30.0, 60.0)
    buy = tariff_at("tou_nem", 0.4, households).buy if seasonal else 0.4
    tariff = Tariff("nem", buy=buy, net_metering=True, true_up=rate)
    response = respond(households, tariff, QUIET, 0.02)
    assert response.kept[0] == 1.0
    assert 0.0 < response.kept[1] < 1.0
    assert response.kept[2] == 0.0
    taken = (response.imports - response.exports).sum((1, 2))
    assert response.bills[1] == pytest.approx(rate * taken[1], abs=1e-8)
    assert response.bills[2] == pytest.approx(rate * taken[2])
    rng = np.random.default_rng(0)
    for i in range(3):
        use = response.net[i] + households.sun[i]
        best = worth(households, tariff, i, use)
        assert best == pytest.approx(response.utility[i] - response.bills[i], abs=1e-8)
        for size in (1e-3, 1e-2, 0.1):
            for _ in range(40):
                assert worth(households, tariff, i, np.maximum(use + size * rng.normal(size=use.shape), 0.0)) <= best + 1e-9
    between = minimize(lambda v: -worth(households, tariff, 1, v.reshape(24, 6)), households.load[1].ravel(), method="SLSQP", options={"maxiter": 50})
    assert -between.fun <= best_of(households, tariff, response, 1) + 1e-6


def best_of(households, tariff, response, i):
    """What type i gets for what it does."""
    return worth(households, tariff, i, response.net[i] + households.sun[i])


def test_a_smaller_share_counts_the_larger_the_roof():
    households = roofs(*np.linspace(15.0, 60.0, 12))
    response = respond(households, Tariff("nem", buy=0.4, net_metering=True, true_up=0.05), QUIET, 0.02)
    assert (np.diff(response.kept) <= 0).all()
    assert response.kept[0] == 1.0
    assert response.kept[-1] == 0.0
    inside = (response.kept > 0.0) & (response.kept < 1.0)
    assert inside.sum() >= 2
    use = ((response.net + households.sun) * households.weather.shares).sum((1, 2))
    assert (np.diff(use) >= -1e-9).all()  # what is worth less is used more


def test_a_year_billed_month_by_month_leaves_over_what_the_average_does():
    """Sunny months first, so that credits are there to be used: dollars carried over, and lost at the end, against max(E, 0)."""
    seasons = (Season("sunny", (1, 2, 3, 4)), Season("dark", (5, 6, 7, 8, 9, 10, 11, 12)))
    weather = yearly(Weather(stay=(0.5, 0.5)), seasons)
    use = np.stack([LOAD] * 4, 1)
    light = np.array([1.0, 1.0, 0.3, 0.3])
    types = [HouseholdType(f"{k}", "Q", "PV", 0.25, 5e4, use, SUN[:, None] * light * size) for k, size in enumerate((0.3, 0.9, 1.3, 3.0))]
    households = Households(types, weather)
    response = respond(households, Tariff("nem", buy=0.4, net_metering=True, true_up=0.0), np.zeros((1, 24, 4)), 0.02)
    rates = Rates("nem", 0.4, None, "net metering", rollover="$")
    assert sorted(response.kept)[0] < 1.0 == response.kept[0]
    left = 0.0
    for i in range(4):
        calendar, hours = two_years(response.net[i] + households.sun[i], weather)
        billed = bill(rates, calendar, hours, two_years(households.sun[i], weather)[1])
        assert billed.total / 730 == pytest.approx(response.bills[i], abs=2e-8)
        left += billed.carried
    assert left > 100.0


def test_batteries_answer_to_the_rate_that_counts():
    """A battery that pays at retail rates stands still where credits are worth the true-up's rate in every hour."""
    households = year_of(town(Battery(levels=6, wear=0.01)), np.ones(3), 3.0 * LIGHT)
    shaped = tariff_at("tou_nem", 0.4, households).buy
    moved = {}
    for rate in (None, 0.02):
        response = respond(households, Tariff("nem", buy=shaped, net_metering=True, true_up=rate), QUIET, 1e-3)
        part = next(p for p in response.parts if p.control is not None)
        moved[rate] = float((part.moves * np.abs(Battery(levels=6).moves)).sum())
        assert (response.exploitability() >= -1e-9).all()
        assert response.exploitability().max() < 0.02
    assert response.kept[3] == 0.0
    assert moved[0.02] < 0.05 * moved[None]


def test_nothing_changes_where_nothing_is_left_over():
    households = roofs(2.0, 10.0)
    plain, bound = (respond(households, Tariff("nem", buy=0.4, net_metering=True, true_up=rate), QUIET, 0.02) for rate in (None, 0.05))
    assert np.array_equal(plain.net, bound.net)
    assert np.array_equal(plain.bills, bound.bills)
    assert np.array_equal(bound.kept, np.ones(2))


def test_outputs_say_where_it_binds():
    households, market = roofs(15.0, 30.0, 60.0), LinearSupply()
    tariff = tariff_at("flat_nem", 0.4, households, true_up=0.05)
    found = equilibrium(households, market, tariff)
    assert found.converged
    said = " ".join(bounds(found))
    assert "33.3 % of households have credits left over" in said
    assert "0.05 $" in said
    assert "33.3 % use more until nothing is left over" in said
    free = equilibrium(households, market, replace(tariff, true_up=None))
    assert "true-up" not in " ".join(bounds(free))
    assert criteria(free).volumetric < criteria(found).volumetric - 0.5


def test_gradients_follow_how_far_rates_count():
    """Two roofs of which exactly nothing is left over, one of them with a battery; rates of evenings, and of winter."""
    households = roofs(15.0, 33.0, 34.0, 60.0)
    types = list(households.types)
    types[2] = replace(types[2], kind="PVB", battery=Battery(levels=6), group="P")
    households = replace(households, types=types)
    evening = ((np.arange(24) >= 16) & (np.arange(24) < 21)).astype(float)[:, None] * np.ones(6)
    winter = np.array([one.name == "winter" for one in households.weather.seasons], float) * np.ones((24, 1))
    buy, theta, market = np.stack([np.ones((24, 6)), evening, winter], -1), np.array([0.38, 0.05, 0.02]), LinearSupply(slope=0.1)

    def solved(at):
        return equilibrium(households, market, Tariff("nem", buy=buy @ at, net_metering=True, true_up=0.04), temperature=0.02)

    found = solved(theta)
    kept = found.response.kept
    assert [k in (0.0, 1.0) for k in kept] == [True, False, False, True]
    exact = gradients(found, buy, np.zeros_like(buy))
    for d, e in enumerate(np.eye(3)):
        ends = [solved(theta + s * 1e-5 * e) for s in (1, -1)]
        assert np.abs(ends[0].response.kept - kept)[1:3].min() > 1e-7  # the shares move
        first, second = map(criteria, ends)
        pairs = {
            "cost": (first.cost - second.cost, exact.cost),
            "volumetric": (first.volumetric - second.volumetric, exact.volumetric),
            "wholesale": (first.wholesale - second.wholesale, exact.wholesale),
            "incidence": (first.incidence - second.incidence, exact.incidence),
            "price": (ends[0].price - ends[1].price, exact.price),
            "load": ((ends[0].response.load - ends[1].response.load).sum(0), exact.load),
        }
        for name, (difference, slope) in pairs.items():
            assert np.abs(np.asarray(difference) / 2e-5 - slope[..., d]).max() <= 5e-5 * np.abs(slope).max(), name


def test_a_design_of_net_metering_may_have_one():
    households = year_of(town(Battery(levels=6)), light=2.0 * LIGHT)
    asked = DesignProblem(households, LinearSupply(), 2.0, {"all": range(24)}, pass_buy=0.0, pass_sell=0.0, net_metering=True, true_up=0.05, cap=20.0)
    found = design(asked, starts=1)
    assert found.status is Status.CONVERGED
    assert found.tariff.true_up == 0.05
    assert (found.equilibrium.response.kept < 1.0).any()
    level = found.tariff.buy[0]
    assert level == pytest.approx(benchmark("flat_nem", households, LinearSupply(), 2.0, fixed=20.0, true_up=0.05).level, abs=1e-5)
    with pytest.raises(so.InvalidStudy, match="true-up"):
        replace(asked, pass_buy=1.0)


def test_the_level_that_recovers_the_requirement_is_lower():
    households, market = year_of(town(Battery(levels=6))), LinearSupply()
    plain, bound = (benchmark("flat_nem", households, market, 2.0, true_up=rate) for rate in (None, 0.05))
    assert plain.status is bound.status is Status.CONVERGED
    assert bound.level < plain.level
    assert bound.tariff.true_up == 0.05
    assert benchmark("flat_nb", households, market, 2.0, true_up=0.05).tariff.true_up is None


@pytest.mark.parametrize(
    ("code", "make"),
    [
        ("true-up", lambda: Tariff("t", buy=0.3, true_up=0.05)),
        ("true-up", lambda: Tariff("t", buy=0.3, pass_buy=0.5, net_metering=True, true_up=0.05)),
        ("true-up", lambda: Tariff("t", buy=0.3, net_metering=True, true_up=-0.05)),
        ("true-up", lambda: Tariff("t", buy=0.3, net_metering=True, true_up=float("nan"))),
        ("sell-above-buy", lambda: respond(roofs(60.0), Tariff("t", buy=0.04, net_metering=True, true_up=0.05), QUIET, 0.02)),
    ],
)
def test_what_is_refused(code, make):
    with pytest.raises(so.InvalidStudy) as caught:
        make()
    assert caught.value.code == code
