"""Congestion rent, response and loss: by hand, by finite differences of equilibria, and in closed form."""

import numpy as np
import pytest
from outcomes import outcome
from towns import LOAD, town

from stackopt.energy.equilibrium import equilibrium
from stackopt.energy.exhibits.system import congestion_rent, loss, response, revenue
from stackopt.energy.households import Households, HouseholdType, Weather
from stackopt.energy.market.dispatch import dispatch
from stackopt.energy.market.network import Generator, Line, Market
from stackopt.energy.market.smooth import MeritOrder, NetworkSupply
from stackopt.energy.market.supply import LinearSupply
from stackopt.energy.tariff import Tariff

PASS = Tariff("lmp", pass_buy=1.0, pass_sell=1.0)
COUNT = 1_000_000


def people(bus="", weather=None):
    """Consumers on one bus, by whom a flat rate of 0.30 $/kWh is met with exactly LOAD."""
    types = [HouseholdType("one", "Q1", "C", 0.6, 2e4, LOAD, bus=bus), HouseholdType("two", "Q5", "C", 0.4, 2e5, LOAD, bus=bus)]
    return Households(types, weather or Weather(("clear",), (1.0,), (1.0,)), COUNT)


# --- congestion rent ----------------------------------------------------------------------------------------------------


def test_rent_of_two_buses_by_hand():
    """A line of 100 MW from 20 to 50 $/MWh earns 3000 $/h, whoever uses how much behind it."""
    market = Market(["cheap", "dear"], [Line("tie", "cheap", "dear", 0.1, 100.0)], [Generator("a", "cheap", 9e3, 20.0), Generator("b", "dear", 9e3, 50.0)])
    found = outcome(Tariff("flat", buy=0.30), people("dear"), NetworkSupply(market, 1e-4, ["dear"]))
    assert found.equilibrium.price == pytest.approx(0.05, abs=1e-6)
    assert congestion_rent(found.equilibrium) == pytest.approx(24 * 3000.0 / COUNT, rel=1e-5)
    assert revenue([found]).column("congestion rent") == [congestion_rent(found.equilibrium)]


def test_rent_is_what_loads_pay_less_what_plants_are_paid():
    """Households and other load on a congested triangle with two regimes of weather: from prices and outputs, and by `dispatch`."""
    market = Market(
        ["a", "b", "c"], [Line("ab", "a", "b", 0.1, 150.0), Line("bc", "b", "c", 0.1), Line("ac", "a", "c", 0.2)],
        [Generator("g", "a", 3000.0, (15.0, 0.004)), Generator("k", "c", 3000.0, (40.0, 0.01))], voll=1000.0, spill=0.0,
    )  # fmt: skip
    base = np.array([57.0, 303.0, 21.0])
    types = [HouseholdType("x", "Q1", "C", 0.5, 2e4, LOAD, bus="b"), HouseholdType("y", "Q5", "PV", 0.5, 2e5, LOAD, 2.0 * LOAD[::-1].clip(0, 1), bus="c")]
    households, supply = Households(types, count=COUNT), NetworkSupply(market, 1e-3, ["b", "c"], base)
    e = outcome(PASS, households, supply).equilibrium
    cleared, loads = supply.solve(e.response.load), supply.load(e.response.load)  # [24 * w, .], [n, 24, w]
    flat = loads.reshape(3, -1).T
    paid = (cleared.price * (flat - cleared.unserved + cleared.spilled)).sum(1) - (cleared.price[:, [0, 2]] * cleared.generation).sum(1)
    by_hour = paid.reshape(24, 2)
    assert supply.rent(e.response.load) == pytest.approx(by_hour, abs=1e-4)
    assert congestion_rent(e) == pytest.approx(float((by_hour * households.weather.shares).sum()) / COUNT, abs=1e-9)
    assert congestion_rent(e) > 1e-3
    given = outcome(Tariff("flat", buy=0.3), households, supply).equilibrium.response.load  # equilibria settle on kinks
    for w in range(2):
        assert supply.rent(given)[:, w] == pytest.approx(dispatch(market, supply.load(given)[:, :, w]).rent, abs=5.0)


def test_one_bus_has_no_rent():
    for market in (LinearSupply(), MeritOrder([(1000.0, 20.0), (5000.0, 60.0)])):
        assert congestion_rent(equilibrium(people(), market, PASS)) == 0.0


# --- response -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tariff", [Tariff("through", buy=0.1, pass_buy=1.0, pass_sell=1.0), Tariff("metering", buy=0.3, net_metering=True)])
def test_responses_are_differences_of_equilibria(tariff):
    """Prices pass through in the first, so the market answers too; in the second exports earn the higher rate."""
    households, market = town(), LinearSupply(slope=0.1)
    table = response([outcome(tariff, households, market)])
    assert len(table.rows) == 24 * 24
    found = {(r[1], r[2]): r[3] for r in table.rows}
    for k in (3, 12, 18):
        ends = []
        for sign in (1, -1):
            buy = tariff.buy + sign * 1e-5 * np.eye(24)[k].reshape((24,) + (1,) * (np.ndim(tariff.buy) - 1))
            moved = Tariff("moved", buy, tariff.sell, tariff.pass_buy, tariff.pass_sell, net_metering=tariff.net_metering)
            e = outcome(moved, households, market).equilibrium
            ends.append((market.total(e.response.load) * households.weather.shares).sum(-1))
        quotient = (ends[0] - ends[1]) / (2 * 1e-3)  # MW per cent
        row = np.array([found[k, j] for j in range(24)])
        assert np.abs(row - quotient).max() <= 1e-4 * np.abs(quotient).max()
        assert row[k] < 0  # a dearer hour is used less


# --- loss ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slope", [0.0, 0.0005, 0.02])
def test_triangle_of_a_flat_adder_is_half_b_tau_squared(slope):
    """And the measured loss is that over 1 + dB hour by hour, as `StaticTown.dead_weight_loss` has it for one hour."""
    households, tau = people(), 0.12
    market = LinearSupply(slope=slope)
    through, adder = outcome(PASS, households, market), outcome(Tariff("adder", buy=tau, pass_buy=1.0, pass_sell=1.0), households, market)
    rows = {r[0]: r for r in loss([through, adder]).rows}
    steep = LOAD * 0.2 / 0.30  # kWh per $/kWh of a household
    assert rows["adder"][5] == pytest.approx(0.5 * steep.sum() * tau**2, rel=1e-9)
    falls = slope / 1000.0 * steep * COUNT / 1000.0  # dB of each hour
    assert rows["adder"][6] == pytest.approx(float((0.5 * steep * tau**2 / (1.0 + falls)).sum()), rel=1e-6)
    assert rows["adder"][4] - rows["adder"][3] == pytest.approx(steep.sum() * tau, rel=1e-9)
    assert rows["adder"][1] - rows["adder"][2] == pytest.approx(tau, rel=1e-9)
    assert rows["lmp"][5:] == (pytest.approx(0.0, abs=1e-12), 0.0)
    if slope <= 0.0005:
        assert rows["adder"][5] == pytest.approx(rows["adder"][6], rel=0.02)


def test_triangle_with_panels_counts_all_three_zones():
    """Buying, selling, and what a roof gives in between: against the surplus itself, hour by hour, in a market of one price."""
    types = [HouseholdType("c", "Q1", "C", 0.5, 2e4, LOAD), HouseholdType("pv", "Q5", "PV", 0.5, 2e5, LOAD, np.linspace(0.5, 1.5, 24) * LOAD)]
    households, market = Households(types), LinearSupply(intercept=60.0, slope=0.0)
    through, billing = outcome(PASS, households, market), outcome(Tariff("billing", buy=0.40, sell=0.02), households, market)
    rows = {r[0]: r for r in loss([through, billing]).rows}
    assert rows["billing"][5] == pytest.approx(rows["billing"][6], rel=1e-9)
    assert rows["billing"][5] > 0.01
    assert (billing.equilibrium.response.net[1] == 0).any()  # some hours are between the zones


def test_without_the_pass_through_tariff_there_is_nothing_to_measure_against():
    assert loss([outcome(Tariff("flat", buy=0.3), people(), LinearSupply())]).rows[0][6] is None
