"""Smooth networks: known prices as the barrier falls, exact slopes, shortage and surplus, and equilibria of households on PJM-5."""

from dataclasses import replace

import numpy as np
import pytest
from duck import scarce
from towns import town

from stackopt.energy.criteria import criteria
from stackopt.energy.equilibrium import equilibrium, monotonicity
from stackopt.energy.gradients import gradients
from stackopt.energy.households import Households, HouseholdType
from stackopt.energy.market.cases import market_case
from stackopt.energy.market.dispatch import dispatch
from stackopt.energy.market.network import Generator, Line, Market, Storage
from stackopt.energy.market.smooth import MeritOrder, NetworkSupply
from stackopt.energy.market.supply import Marginal, Settles
from stackopt.energy.response import respond
from stackopt.energy.tariff import Tariff
from stackopt.errors import InvalidStudy, StackoptError

PASS = Tariff("pass-through", pass_buy=1.0, pass_sell=1.0)


@pytest.mark.parametrize("name", ["pjm5", "triangle", "case14_80", "three_buses", "two_buses", "case9"])
def test_prices_tend_to_those_of_the_dispatch(name):
    case = market_case(name)
    nothing = np.zeros((len(case.load), 24, 1))
    exact = dispatch(case.market, case.load).price[:, 0]
    errors = []
    for barrier in (1.0, 1e-2, 1e-4):
        supply = NetworkSupply(case.market, barrier, base=case.load)
        price, _ = supply.clear(nothing)
        assert np.ptp(price, axis=1).max() <= 1e-8 * (1 + np.abs(price).max())  # every hour is the same
        errors.append(np.abs(price[:, 0, 0] - exact).max())
        assert supply.cost(nothing)[0, 0] == pytest.approx(case.cost, abs=supply.excess + 1e-3)
    assert errors[2] <= 1e-4
    assert errors[0] > errors[1] > errors[2]


def _loads(case, seed=1):
    """From surplus everywhere to shortage everywhere, different in every cell."""
    rng = np.random.default_rng(seed)
    return rng.uniform(-0.6, 1.0, (len(case.load), 24, 2)) * 4.0 * case.load.sum() / len(case.load)


@pytest.mark.parametrize("name", ["pjm5", "triangle", "case14_80"])
@pytest.mark.parametrize("barrier", [10.0, 0.1])
def test_slopes_are_difference_quotients(name, barrier):
    case = market_case(name)
    supply, net = NetworkSupply(case.market, barrier), _loads(case)
    direction = np.random.default_rng(2).normal(size=net.shape)
    slope = supply.clear(net)[1]
    expected = np.einsum("nmhw,mhw->nhw", slope, direction)
    h = 1e-4
    quotient = (supply.clear(net + h * direction)[0] - supply.clear(net - h * direction)[0]) / (2 * h)
    assert np.abs(quotient - expected).max() <= 1e-4 * (np.abs(expected).max() + 1e-3)
    marginal = (supply.marginal(net) * direction).sum(0)
    difference = (supply.cost(net + h * direction) - supply.cost(net - h * direction)) / (2 * h)
    assert np.abs(marginal - difference).max() <= 1e-5 * np.abs(difference).max()
    assert np.allclose(slope, slope.transpose(1, 0, 2, 3))
    assert np.linalg.eigvalsh(slope.transpose(2, 3, 0, 1)).min() >= -1e-9 * np.abs(slope).max()  # prices rise with loads


def test_shortage_and_surplus_have_the_stated_prices():
    case = market_case("pjm5")
    market = replace(case.market, voll=500.0, spill=2.0)
    supply = NetworkSupply(market, 1e-4)
    net = np.zeros((5, 24, 1))
    net[:, 0], net[:, 1] = 1000.0, -50.0
    price, _ = supply.clear(net)
    assert np.abs(price[1:4, 0, 0] - 500.0).max() <= 1e-2
    assert np.abs(price[:, 1, 0] + 2.0).max() <= 1e-2
    found, exact = supply.solve(net), dispatch(market, net[:, 0])
    assert found.unserved[0].sum() == pytest.approx(exact.unserved.sum(), abs=1e-2)
    assert supply.unserved(net)[0, 0] == pytest.approx(found.unserved[0].sum())
    assert np.abs(found.price[0] - exact.price[:, 0]).max() <= 1e-2
    assert found.generation[0] == pytest.approx(exact.generation[:, 0], abs=1e-2)


def test_islands_and_phase_shifters():
    lines = [Line("ab", "A", "B", 0.1, 30.0, 0.02), Line("ab2", "A", "B", 0.2), Line("cd", "C", "D", 0.1)]
    plants = [Generator("a", "A", 100, (20.0, 0.1)), Generator("b", "B", 100, 50.0), Generator("c", "C", 100, 30.0), Generator("r", "D", 10, 0.0, minimum=10)]
    market = Market(["A", "B", "C", "D"], lines, plants)
    load = np.array([10.0, 60.0, 10.0, 30.0])
    exact = dispatch(market, load)
    found = NetworkSupply(market, 1e-5, base=load).solve(np.zeros((4, 24, 1)))
    assert np.abs(found.price[0] - exact.price[:, 0]).max() <= 1e-4
    assert np.abs(found.flow[0] - exact.flow[:, 0]).max() <= 1e-3


def test_a_merit_order_is_a_staircase_rounded_off():
    supply = MeritOrder([(100.0, 20.0), (50.0, 40.0), (100.0, 90.0)], barrier=1e-3, base=20.0)
    net = np.broadcast_to(np.linspace(0.0, 215.0, 24)[None, :, None], (1, 24, 1)).copy()
    price, slope = supply.clear(net)
    total = supply.total(net)[:, 0]
    steps = np.select([total < 99, (total > 101) & (total < 149), total > 151], [20.0, 40.0, 90.0], np.nan)
    clear = ~np.isnan(steps)
    assert np.abs(price[0, :, 0] - steps)[clear].max() <= 0.01
    assert (np.diff(price[0, :, 0]) >= 0).all()
    assert (slope >= 0).all()
    assert supply.cost(net)[0, 0] == pytest.approx(400.0, abs=0.1)
    assert isinstance(supply, Settles)
    assert isinstance(supply, Marginal)


def _on_three_buses():
    """The town of the tests in B, C and D of the PJM network, with as much load again that is not of households."""
    types = [
        HouseholdType(f"{t.name} {bus}", t.group, t.kind, t.share / 3, t.income, weight * t.load, weight * t.sun, t.battery, bus)
        for bus, weight in (("B", 0.8), ("C", 1.0), ("D", 1.2))
        for t in town().types
    ]
    households, case = Households(types, weather=town().weather, count=600_000), market_case("pjm5")
    return households, case.market, 0.3 * case.load


@pytest.mark.parametrize(("barrier", "temperature"), [(0.1, 0.02), (0.1, 0.005), (10.0, 0.02)])
def test_households_on_three_buses_find_an_equilibrium(barrier, temperature):
    households, market, base = _on_three_buses()
    supply = NetworkSupply(market, barrier, households.buses, base)
    found = equilibrium(households, supply, PASS, temperature=temperature)
    assert found.price.size == 144
    assert found.converged, found.because
    assert np.ptp(found.price, axis=0).max() > 1e-3  # the line from D to E binds in some hour
    again = respond(households, PASS, found.price, temperature)
    assert np.abs(supply.clear(again.load)[0] / 1000 - found.price).max() <= 1e-7
    assert monotonicity(found) <= 1e-9
    load = supply.load(again.load)[:, :, 0]  # and the dispatch, another program, costs as much up to what the barrier can add
    exact = dispatch(replace(market, voll=1000.0, spill=0.0), load)
    extra = supply.cost(again.load)[:, 0].sum() - exact.cost
    assert -1e-3 <= extra <= 24 * supply.excess + 1e-3


def test_scarcity_is_priced_and_unequal_pass_through_is_solved():
    households, market, base = _on_three_buses()
    scarce = NetworkSupply(market, 0.1, households.buses, 3.2 * base)
    found = equilibrium(households, scarce, PASS)
    assert found.converged, found.because
    assert found.price.max() > 0.05  # above every plant's cost: demand sets the price
    half = Tariff("half of it for exports", buy=0.1, pass_buy=1.0, pass_sell=0.5)
    other = equilibrium(households, NetworkSupply(market, 0.1, households.buses, base), half)
    assert other.converged, other.because


def test_gradients_on_a_network_are_difference_quotients():
    households, market, base = _on_three_buses()
    supply = NetworkSupply(market, 1.0, households.buses, base)
    buy, sell = np.zeros((24, 2)), np.zeros((24, 2))
    buy[16:21, 0] = sell[10:15, 1] = 1.0

    def at(step):
        tariff = Tariff("r", buy=0.10 + buy @ step, sell=0.05 + sell @ step, pass_buy=1.0, pass_sell=1.0)
        found = equilibrium(households, supply, tariff, tolerance=1e-10 if not np.any(step) else 1e-9)
        return found, criteria(found)

    found, _ = at(np.zeros(2))
    exact = gradients(found, buy, sell)
    for d in range(2):
        step = np.zeros(2)
        step[d] = 2e-4
        quotient = (at(step)[1].cost - at(-step)[1].cost) / 4e-4
        assert quotient == pytest.approx(exact.cost[d], rel=1e-3, abs=1e-5)


def test_bad_settings_are_refused():
    case = market_case("pjm5")
    store = Storage("s", "A", 1.0, 1.0)
    for make, code in [
        (lambda: NetworkSupply(case.market, 0.0), "setting-value"),
        (lambda: NetworkSupply(replace(case.market, storages=(store,))), "setting-value"),
        (lambda: NetworkSupply(case.market, buses=["Z"]), "market-bus"),
        (lambda: NetworkSupply(case.market, buses=["A", "A"]), "market-bus"),
        (lambda: NetworkSupply(case.market, base=np.zeros((5, 23))), "hours"),
        (lambda: NetworkSupply(case.market, base=np.nan), "not-finite"),
        (lambda: NetworkSupply(case.market).clear(np.zeros((4, 24, 1))), "hours"),
        (lambda: MeritOrder([(-5.0, 20.0)]), "market-value"),
    ]:
        with pytest.raises(InvalidStudy) as caught:
            make()
        assert caught.value.code == code


def test_loads_that_rise_with_prices_are_not_given_an_answer_that_is_none():
    case = market_case("pjm5")
    supply = NetworkSupply(case.market, 1e-3, ["B"], 0.9 * case.load)
    net, price = np.zeros((1, 24, 1)), np.full((1, 24, 1), 0.02)
    rising = np.eye(24) * 1e6
    try:
        settled = supply.settle(net, rising, price)
    except StackoptError as wrong:
        assert wrong.code == "market-failed"  # noqa: PT017
    else:
        load = net + (rising @ (settled - price).ravel()).reshape(net.shape)
        assert np.abs(supply.clear(load)[0] / 1000 - settled).max() <= 1e-8


def test_load_is_shed_where_there_is_some_or_it_is_said_that_more_is_shed():
    """On networks that serve half of their load: as the dispatch, except where `overshed` says so."""
    agreed = said = 0
    for seed in range(60):
        market, load = scarce(seed)
        at = [bus for bus, mw in zip(market.buses, load, strict=True) if mw > 0] or ["b0"]
        supply, nothing = NetworkSupply(market, 1e-4, at, load), np.zeros((len(at), 24, 1))
        exact, cost = dispatch(market, load), supply.cost(nothing)[0, 0]
        shed = supply.solve(nothing).unserved[0]
        assert (shed[load == 0] == 0).all() or not (load > 0).any()
        if supply.overshed(nothing).max() > 0:
            assert cost <= exact.cost + 1.0
            said += cost < exact.cost - 1.0
        else:
            assert cost == pytest.approx(exact.cost, rel=1e-4, abs=1.0)
            agreed += exact.unserved.sum() > 1.0
    assert agreed > 20
    assert 1 <= said <= 5
