"""Dispatch against known answers, finite differences, another solver on another formulation, and honest refusals."""

from dataclasses import replace

import cvxpy as cp
import networkx as nx
import numpy as np
import pytest
from duck import duck, scarce
from hypothesis import given, settings
from hypothesis import strategies as st
from towns import LOAD

from stackopt.energy.market.cases import market_case, market_cases
from stackopt.energy.market.dispatch import dispatch
from stackopt.energy.market.network import Generator, Line, Market, Storage
from stackopt.errors import InvalidStudy


@pytest.mark.parametrize("name", market_cases())
def test_reference_markets(name):
    case = market_case(name)
    found = dispatch(case.market, case.load)
    assert found.cost == pytest.approx(case.cost, rel=1e-8)
    if case.price is not None:
        assert np.abs(found.price[:, 0] - case.price).max() <= 1e-5
    if not np.isnan(case.rent):
        assert found.rent[0] == pytest.approx(case.rent, abs=1e-3)
    assert found.rent[0] == pytest.approx(found.paid[0], abs=1e-6)  # what loads pay and plants are not paid, lines earn
    assert not found.degenerate.any()


def test_a_meshed_congested_case_has_prices_as_computed_elsewhere():
    case = market_case("case14_80")
    found = dispatch(case.market, case.load)
    assert np.allclose(found.price[:3, 0], [30.97, 42.78, 41.49], atol=0.005)
    assert found.congested.sum() == 1


@pytest.mark.parametrize("name", ["pjm5", "case14_80", "two_buses", "triangle"])
def test_prices_are_derivatives_of_the_cost(name):
    case = market_case(name)
    found = dispatch(case.market, case.load)
    for n in range(len(case.load)):
        step = np.zeros(len(case.load))
        step[n] = 0.05
        quotient = (dispatch(case.market, case.load + step).cost - dispatch(case.market, case.load - step).cost) / 0.1
        assert quotient == pytest.approx(found.price[n, 0], abs=2e-4)


def _random(seed, hours):
    """A meshed network with storage, ramps, shedding and spilling."""
    rng = np.random.default_rng(seed)
    buses = [f"b{k}" for k in range(4)]
    ends = [(0, 1), (1, 2), (2, 3), (0, 3), (0, 2)]
    lines = [
        Line(f"l{k}", buses[a], buses[b], rng.uniform(0.05, 0.3), rng.choice([30.0, 60.0, np.inf]), rng.choice([0, 0.02]))
        for k, (a, b) in enumerate(ends)
    ]
    plants = [
        Generator(f"g{k}", buses[rng.integers(4)], rng.uniform(40, 120), (rng.uniform(-5, 60), rng.choice([0, 0.05])), ramp=rng.choice([20.0, np.inf]))
        for k in range(4)
    ]
    stores = [Storage("s0", "b1", 15.0, 40.0, 0.85), Storage("s1", "b3", 10.0, 20.0, 0.9, initial=5.0)]
    return Market(buses, lines, plants, stores, voll=1000.0, spill=1.0), rng.uniform(-10, 60, (4, hours))


def _by_cycles(market, load, cyclic):
    """The cost by flows and Kirchhoff's law around the cycles of the network instead of angles, in Clarabel."""
    N, T = load.shape
    G, L, S = len(market.generators), len(market.lines), len(market.storages)
    p, f, u, w = cp.Variable((G, T)), cp.Variable((L, T)), cp.Variable((N, T), nonneg=True), cp.Variable((N, T), nonneg=True)
    c, d, e = cp.Variable((S, T), nonneg=True), cp.Variable((S, T), nonneg=True), cp.Variable((S, T), nonneg=True)
    K = np.zeros((N, L))
    for k, line in enumerate(market.lines):
        K[market.at(line.start), k], K[market.at(line.end), k] = 1, -1
    place = lambda things: np.array([[float(x.bus == b) for x in things] for b in market.buses])  # noqa: E731
    rules = [place(market.generators) @ p + place(market.storages) @ (d - c) + u - w - K @ f == load, u <= np.maximum(load, 0)]
    tree = nx.Graph([(line.start, line.end) for line in market.lines])
    index = {frozenset((line.start, line.end)): k for k, line in enumerate(market.lines)}
    for cycle in nx.cycle_basis(tree):
        drop = 0
        for a, b in zip(cycle, cycle[1:] + cycle[:1], strict=True):
            k = index[frozenset((a, b))]
            sign = 1 if market.lines[k].start == a else -1
            drop = drop + sign * (market.lines[k].reactance / market.base * f[k] + market.lines[k].shift)
        rules.append(drop == 0)
    for k, line in enumerate(market.lines):
        rules += [cp.abs(f[k]) <= line.capacity] if np.isfinite(line.capacity) else []
    cost = market.voll * cp.sum(u) + market.spill * cp.sum(w)
    for k, g in enumerate(market.generators):
        rules += [p[k] >= g.minimum, p[k] <= g.capacity]
        cost += g.linear * cp.sum(p[k]) + g.quadratic * cp.sum_squares(p[k])
        for t in range(0 if cyclic else 1, T):
            rules += [cp.abs(p[k, t] - p[k, t - 1]) <= g.ramp] if np.isfinite(g.ramp) else []
    for k, s in enumerate(market.storages):
        loss = np.sqrt(s.efficiency)
        rules += [c[k] <= s.power, d[k] <= s.power, e[k] <= s.energy]
        for t in range(T):
            before = e[k, t - 1] if t or cyclic else (s.initial or 0.0)
            rules.append(e[k, t] == before + loss * c[k, t] - d[k, t] / loss)
        rules += [e[k, T - 1] == s.initial] if cyclic and s.initial is not None else []
    problem = cp.Problem(cp.Minimize(cost), rules)
    problem.solve(solver=cp.CLARABEL)
    return problem.value


@pytest.mark.parametrize(("seed", "cyclic"), [(0, False), (1, True), (2, True), (3, False), (4, True)])
def test_days_with_storage_and_ramps_cost_what_another_formulation_says(seed, cyclic):
    market, load = _random(seed, 24)
    found = dispatch(market, load, cyclic=cyclic)
    assert found.cost == pytest.approx(_by_cycles(market, load, cyclic), rel=1e-6, abs=1e-3)
    assert np.abs(found.rent - found.paid).max() <= 1e-5 * max(1.0, found.cost)
    assert found.gap <= 1e-6 * (1 + abs(found.cost))


@settings(max_examples=12, deadline=None, derandomize=True)
@given(st.integers(10, 10_000), st.booleans())
def test_left_and_right_derivatives_are_those_of_the_cost(seed, cyclic):
    market, load = _random(seed, 3)
    tens = [replace(g, capacity=round(g.capacity, -1), ramp=np.inf, cost=(round(g.linear, -1), 0.0)) for g in market.generators]
    lines = [replace(line, reactance=0.1, shift=0.0) for line in market.lines]
    market, load = replace(market, generators=tens, lines=lines, storages=market.storages[1:]), np.round(load, -1)  # on purpose: kinks
    found = dispatch(market, load, cyclic=cyclic)
    low, high = found.range
    assert (low <= high + 1e-6).all()
    for n, t in [(0, 0), (1, 1), (3, 2)]:
        step = np.zeros_like(load)
        step[n, t] = 1e-3
        right = (dispatch(market, load + step, cyclic=cyclic).cost - found.cost) / 1e-3
        left = (found.cost - dispatch(market, load - step, cyclic=cyclic).cost) / 1e-3
        assert right == pytest.approx(high[n, t], abs=2e-2)
        assert left == pytest.approx(low[n, t], abs=2e-2)
        assert left - 2e-2 <= found.price[n, t] <= right + 2e-2


def test_a_load_on_a_kink_has_two_prices():
    market = Market(["A"], [], [Generator("cheap", "A", 100, 20.0), Generator("dear", "A", 100, 40.0)])
    found = dispatch(market, [[100.0, 150.0, 200.0]])
    low, high = found.range
    assert found.degenerate.tolist() == [[True, False, True]]
    assert low.tolist() == [[20.0, 40.0, 40.0]]
    assert high[0, 0] == 40.0
    assert high[0, 2] == np.inf  # nothing serves one MW more


def test_bad_data_are_refused_by_name():
    for make, code in [
        (lambda: Generator("g", "A", -5.0), "market-value"),
        (lambda: Generator("g", "A", 5.0, (10.0, -1.0)), "market-value"),
        (lambda: Line("l", "A", "B", 0.0), "market-value"),
        (lambda: Storage("s", "A", 0.0, 10.0), "battery"),
        (lambda: Storage("s", "A", 5.0, 10.0, 0.0), "battery"),
        (lambda: Market(["A", "A"]), "market-bus"),
        (lambda: Market(["A"], [], [Generator("g", "B", 5.0)]), "market-bus"),
        (lambda: dispatch(Market(["A"], [], [Generator("g", "A", 5.0)]), np.ones((2, 24))), "hours"),
        (lambda: dispatch(Market(["A"], [], [Generator("g", "A", 5.0)]), [np.nan]), "not-finite"),
    ]:
        with pytest.raises(InvalidStudy) as caught:
            make()
        assert caught.value.code == code
    with pytest.raises(InvalidStudy, match=r"\(MW\)[\s\S]*generator 'old'") as caught:
        Generator("old", "A", -5.0)
    assert "capacity" in str(caught.value)


def test_a_network_in_two_parts_serves_each_or_names_the_one_it_cannot():
    plants = [Generator("g", "A", 100, 20.0), Generator("h", "C", 50, 30.0)]
    whole = Market(["A", "B", "C", "D"], [Line("ab", "A", "B", 0.1), Line("cd", "C", "D", 0.1)], plants)
    found = dispatch(whole, [0, 80, 0, 40])
    assert found.price[:, 0].tolist() == [20, 20, 30, 30]
    assert len(whole.islands) == 2
    with pytest.raises(InvalidStudy, match="C, D have 60 MW of load and 50 MW"):
        dispatch(whole, [0, 80, 0, 60])
    lonely = Market(["A", "B"], [], plants[:1])
    with pytest.raises(InvalidStudy) as caught:
        dispatch(lonely, [0, 10])
    assert caught.value.code == "market-island"


def test_load_is_shed_only_at_a_stated_value():
    plants = [Generator("g", "A", 100, 20.0)]
    with pytest.raises(InvalidStudy, match="120 MW of load, 100 MW of plants") as caught:
        dispatch(Market(["A"], [], plants), [120.0])
    assert caught.value.code == "market-infeasible"
    found = dispatch(Market(["A"], [], plants, voll=1000.0), [120.0])
    assert found.unserved[0, 0] == pytest.approx(20.0)
    assert found.price[0, 0] == pytest.approx(1000.0)
    assert "unserved" in str(found)


def test_surplus_lowers_prices_below_zero_unless_it_can_be_spilled():
    must_run = [Generator("nuclear", "A", 100, 10.0, minimum=80.0), Generator("wind", "A", 50, -15.0)]
    assert dispatch(Market(["A"], [], must_run), [110.0]).price[0, 0] == pytest.approx(-15.0)
    with pytest.raises(InvalidStudy, match="at least"):
        dispatch(Market(["A"], [], must_run), [60.0])
    found = dispatch(Market(["A"], [], must_run, spill=0.0), [60.0])
    assert found.price[0, 0] == pytest.approx(0.0, abs=1e-9)
    assert found.spilled[0, 0] == pytest.approx(70.0)  # wind is paid for running


def test_storage_that_burns_energy_below_zero_is_said_to():
    market = Market(["A"], [], [Generator("nuclear", "A", 100, 10.0, minimum=80.0)], [Storage("s", "A", 60.0, 100.0, 0.5)], spill=30.0)
    found = dispatch(market, [[70.0, 70.0]], cyclic=True)
    assert found.burning.any()
    assert "not physical" in str(found)


def test_storage_moves_cheap_energy_to_dear_hours():
    market = Market(["A"], [], [Generator("a", "A", 100, 20.0), Generator("b", "A", 100, 50.0)], [Storage("s", "A", 30.0, 100.0, 0.81)])
    found = dispatch(market, [[70.0, 120.0]])
    assert found.charge[0].tolist() == pytest.approx([20 / 0.81, 0.0])
    assert found.discharge[0].tolist() == pytest.approx([0.0, 20.0])
    assert found.cost == pytest.approx(20 * (70 + 20 / 0.81 + 100))
    assert found.price[0].tolist() == pytest.approx([20.0, 20 / 0.81])


def test_a_market_from_a_graph():
    case = market_case("pjm5")
    again = Market.from_graph(case.market.graph, case.market.generators)
    assert dispatch(again, case.load).cost == pytest.approx(case.cost, rel=1e-9)
    with pytest.raises(InvalidStudy, match="reactance"):
        Market.from_graph(nx.Graph([("A", "B")]), [])


def test_storage_does_not_burn_where_a_price_of_zero_would_let_it():
    """At a price of 0 losing energy costs nothing: of dispatches that cost the same, one that a device can do is given out."""
    market, load = duck()
    found = dispatch(market, load)
    assert found.price.min() < 1e-6  # a plant that cannot come down fast enough
    assert not found.burning.any()
    assert found.gap <= 1e-6 * found.cost
    flat = Market(["A"], [], [Generator("nuclear", "A", 100, 10.0, minimum=80.0)], [Storage("s", "A", 60.0, 100.0, 0.5)], spill=0.0)
    assert not dispatch(flat, [[70.0, 70.0, 90.0]], cyclic=True).burning.any()


def test_between_two_full_lines_in_series_the_price_is_anything_between():
    plants = [Generator("cheap", "A", 100, 20.0), Generator("dear", "C", 100, 50.0)]
    market = Market(["A", "B", "C"], [Line("ab", "A", "B", 0.1, 60.0), Line("bc", "B", "C", 0.2, 60.0)], plants)
    found = dispatch(market, [0.0, 0.0, 90.0])
    low, high = found.range
    assert (low[:, 0], high[:, 0]) == (pytest.approx([20.0, 20.0, 50.0]), pytest.approx([20.0, 50.0, 50.0]))
    assert found.degenerate[:, 0].tolist() == [False, True, False]
    assert found.rent[0] == pytest.approx(1800.0)  # whatever the price between


def test_parallel_lines_carry_as_their_reactances_say_and_are_one_line_together():
    plants = [Generator("cheap", "A", 500, 20.0), Generator("dear", "B", 500, 50.0)]
    twice = Market(["A", "B"], [Line("1", "A", "B", 0.1, 60.0), Line("2", "A", "B", 0.2, 60.0)], plants)
    found = dispatch(twice, [0.0, 200.0])
    assert found.flow[:, 0] == pytest.approx([60.0, 30.0])  # the second is not full: they share by reactance
    alike = Market(["A", "B"], [Line("1", "A", "B", 0.1, 60.0), Line("2", "A", "B", 0.1, 60.0)], plants)
    found = dispatch(alike, [0.0, 200.0])
    assert found.price[:, 0] == pytest.approx([20.0, 50.0])
    assert not found.degenerate.any()  # multipliers of the two limits are not unique, prices are
    assert found.rent[0] == pytest.approx(120 * 30.0)
    assert len(Market.from_graph(alike.graph, plants).lines) == 2


def test_two_storages_side_by_side_are_worth_what_one_of_both_sizes_is():
    plants = [Generator("a", "A", 100, (20.0, 0.05)), Generator("b", "A", 100, (50.0, 0.1), ramp=15.0)]
    load = [40 + 60 * LOAD / LOAD.max()]
    one = dispatch(Market(["A"], [], plants, [Storage("s", "A", 20.0, 60.0, 0.85)]), load, cyclic=True)
    two = dispatch(Market(["A"], [], plants, [Storage("s", "A", 10.0, 30.0, 0.85), Storage("t", "A", 10.0, 30.0, 0.85)]), load, cyclic=True)
    assert two.cost == pytest.approx(one.cost, rel=1e-8)
    assert np.allclose(two.range, one.range, atol=1e-4)  # the price of one hour is not unique
    assert one.degenerate.sum() == two.degenerate.sum() == 1
    assert np.abs(two.charge.sum(0) - one.charge.sum(0)).max() <= 1e-3


def test_ramps_hold_overnight_only_where_the_day_repeats():
    plants = [Generator("slow", "A", 100, 20.0, ramp=10.0), Generator("fast", "A", 100, 60.0)]
    load = [[90.0, 60.0, 70.0, 80.0]]
    once, daily = dispatch(Market(["A"], [], plants), load), dispatch(Market(["A"], [], plants), load, cyclic=True)
    assert np.abs(np.diff(once.generation[0])).max() <= 10.0 + 1e-6
    wrapped = np.diff(daily.generation[0], append=daily.generation[0, :1])
    assert np.abs(wrapped).max() <= 10.0 + 1e-6
    assert once.generation[0].tolist() == pytest.approx([70, 60, 70, 80])
    for found, cyclic in ((once, False), (daily, True)):  # what one MW more costs in each hour
        for t in range(4):
            step = np.zeros((1, 4))
            step[0, t] = 1e-3
            right = (dispatch(found.market, found.load + step, cyclic=cyclic).cost - found.cost) / 1e-3
            assert right == pytest.approx(found.range[1][0, t], abs=1e-4)


def test_an_island_with_more_plant_than_it_can_turn_down_is_named():
    plants = [Generator("g", "A", 100, 20.0), Generator("nuclear", "B", 80, 5.0, minimum=60.0)]
    market = Market(["A", "B"], [], plants)
    with pytest.raises(InvalidStudy, match="buses B, hour 1: 50 MW of load, plants and storage put in 60 MW at least") as caught:
        dispatch(market, [[10.0, 10.0], [70.0, 50.0]])
    assert caught.value.code == "market-infeasible"
    assert dispatch(replace(market, spill=0.0), [[10.0, 10.0], [70.0, 50.0]]).spilled[1].tolist() == pytest.approx([0.0, 10.0])


def test_a_line_that_carries_nothing_is_open_or_a_mistake():
    with pytest.raises(InvalidStudy, match="a line that is open is left out") as caught:
        Line("l", "A", "B", 0.1, 0.0)
    assert caught.value.code == "market-value"


@pytest.mark.parametrize("seed", [7, 14, 115, 194, 239])
def test_where_a_bus_is_shed_whole_one_more_mw_is_shed_too(seed):
    """The multiplier of such a bus is above voll, as a MW put in there relieves lines; the price of load is not."""
    market, load = scarce(seed)
    found = dispatch(market, load)
    assert (found.multipliers[:4] > 1000.0 + 1.0).any()
    for n in range(4):
        step = np.zeros(4)
        step[n] = 1e-3
        right = (dispatch(market, load + step).cost - found.cost) / 1e-3
        assert right == pytest.approx(found.range[1][n, 0], abs=0.1)
        if load[n] > 0:
            assert (found.cost - dispatch(market, load - step).cost) / 1e-3 == pytest.approx(found.range[0][n, 0], abs=0.1)
        assert found.price[n, 0] <= 1000.0 + 1e-6
    assert found.rent[0] == pytest.approx(found.paid[0], abs=1e-4)
