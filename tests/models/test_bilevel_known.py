"""Every bilevel model of the catalogue: solved, and its known answers obtained by a second route that shares no code with the first."""

import itertools
from importlib import util

import networkx as nx
import numpy as np
import pytest
from scipy.optimize import minimize

import stackopt as so
from stackopt import catalog, networks
from tests.networks.enumerated import longest_shortest_path, smallest_maximum_flow
from tests.networks.routes import best_revenue

BILEVEL = [name for name in catalog.names() if "value" in catalog.model(name).known]


def known(name):
    return catalog.model(name).known


def close(name, value):
    return pytest.approx(value, abs=known(name)["tolerance"])


@pytest.fixture(scope="module")
def solved():
    found = {}

    def solve(name, **parameters):
        key = (name, *sorted(parameters.items()))
        if key not in found:
            found[key] = so.solve(catalog.build(name, **parameters))
        return found[key]

    return solve


@pytest.mark.parametrize("name", BILEVEL)
def test_known_value(name, solved):
    solution = solved(name)
    assert solution.status in (so.Status.PROVED, so.Status.OPTIMAL), solution
    assert solution.certified, solution
    assert solution.value == close(name, known(name)["value"])
    assert solution.bound.value == close(name, known(name)["value"])


def test_there_are_bilevel_models():
    assert {"pigou_toll", "braess_toll", "network_toll", "shortest_path_interdiction", "maximum_flow_interdiction"} <= set(BILEVEL)


# --- tolls ------------------------------------------------------------------------------------------------------------


def test_pigou_is_the_recorded_answer_and_the_closed_form(solved):
    recorded = catalog.recorded("pigou_population").known  # the same network, the travellers as a population
    found = networks.outcome(solved("pigou_toll"))
    assert found.value == close("pigou_toll", -recorded["leader_value"])
    assert found.tolls["s", "t", "road"] == pytest.approx(recorded["toll"], abs=1e-6)
    assert found.flows["s", "t", "road"] == pytest.approx(recorded["on_the_road"], abs=1e-6)
    assert solved("pigou_toll", toll_cap=0.0).value == close("pigou_toll", -recorded["leader_value_without_tolls"])
    for slope, railway in ((1.0, 1.0), (2.0, 3.0), (5.0, 0.5)):
        assert solved("pigou_toll", slope=slope, railway=railway).value == pytest.approx(railway - railway**2 / (4 * slope), abs=1e-6)


def test_braess_equilibria_by_frank_wolfe(solved):
    """Equilibria by an algorithm of their own: all-or-nothing steps with exact line search (conditional gradient)."""
    graph = four_cities()
    for toll, value in ((0.0, known("braess_toll")["value_without_tolls"]), (13.0, known("braess_toll")["value"])):
        assert total_time(graph, frank_wolfe(graph, toll)) == pytest.approx(value, rel=2e-3)
    assert solved("braess_toll", toll_cap=0.0).value == close("braess_toll", 552.0)
    assert solved("braess_toll", toll_cap=12.5).value > 498.05, "no toll below 13 removes the paradox"
    assert solved("braess_toll", toll_cap=13.0).value == close("braess_toll", 498.0)


def test_braess_optimum_is_the_least_total_time_over_flows():
    paths = (("s", "a", "t"), ("s", "b", "t"), ("s", "a", "b", "t"))
    graph = four_cities()

    def time(amounts):
        flow = dict.fromkeys(graph.edges, 0.0)
        for path, amount in zip(paths, amounts):
            for arc in itertools.pairwise(path):
                flow[arc] += amount
        return total_time(graph, flow)

    everybody = {"type": "eq", "fun": lambda x: x.sum() - 6}
    best = minimize(time, [2.0, 2.0, 2.0], bounds=[(0, 6)] * 3, constraints=everybody, method="SLSQP", options={"ftol": 1e-12})
    assert best.fun == pytest.approx(known("braess_toll")["value"], abs=1e-5)


def four_cities():
    graph = nx.DiGraph()
    for u, v, constant, slope in (("s", "a", 0, 10), ("s", "b", 50, 1), ("a", "b", 10, 1), ("a", "t", 50, 1), ("b", "t", 0, 10)):
        graph.add_edge(u, v, constant=constant, slope=slope)
    return graph


def total_time(graph, flow):
    return sum((data["constant"] + data["slope"] * flow[u, v]) * flow[u, v] for u, v, data in graph.edges(data=True))


def frank_wolfe(graph, toll, demand=6.0, steps=3000):
    flow = dict.fromkeys(graph.edges, 0.0)
    for step in range(steps):
        for u, v, data in graph.edges(data=True):
            data["now"] = data["constant"] + data["slope"] * flow[u, v] + (toll if (u, v) == ("a", "b") else 0.0)
        path = set(itertools.pairwise(nx.shortest_path(graph, "s", "t", weight="now")))
        weight = 2 / (step + 2)
        for arc in flow:
            flow[arc] += weight * (demand * (arc in path) - flow[arc])
    return flow


@pytest.mark.parametrize(("commodities", "key"), [(4, "value_4"), (7, "value"), (10, "value_10")])
def test_tolls_on_bridges_by_routes(commodities, key):
    spec = util.spec_from_file_location("bridges", catalog.folder("models") / "network_toll.py")
    model = util.module_from_spec(spec)
    spec.loader.exec_module(model)
    both = [*model.BRIDGES, *((v, u) for u, v in model.BRIDGES)]
    value, _ = best_revenue(networks.sioux_falls(), model.DEMANDS[:commodities], both, "time")
    assert value == close("network_toll", known("network_toll")[key])


def test_tolls_on_bridges_bring_in_what_travellers_pay(solved):
    solution = solved("network_toll")
    found = networks.outcome(solution)
    assert found.revenue == pytest.approx(solution.value, abs=1e-5)
    graph = networks.sioux_falls()
    for (s, t), flows in found.by_commodity.items():
        for u, v, data in graph.edges(data=True):
            data["paid"] = data["time"] + found.tolls.get((u, v), 0.0)
        cheapest = nx.shortest_path_length(graph, s, t, weight="paid")
        demand = sum(amount for (u, _), amount in flows.items() if u == s) - sum(amount for (_, v), amount in flows.items() if v == s)
        assert sum(graph.edges[arc]["paid"] * amount for arc, amount in flows.items()) == pytest.approx(demand * cheapest, abs=1e-5), (s, t)


# --- interdiction -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("budget", "key"), [(0, "value_0"), (1, "value_1"), (2, "value"), (3, "value_3")])
def test_shortest_path_interdiction_by_enumeration(budget, key, solved):
    name = "shortest_path_interdiction"
    assert longest_shortest_path(networks.sioux_falls(), 8, 22, budget, "time") == close(name, known(name)[key])
    solution = solved(name, budget=budget)
    assert solution.certified
    assert solution.value == close(name, known(name)[key])
    left = networks.sioux_falls()
    left.remove_edges_from(networks.outcome(solution).interdicted)
    assert nx.shortest_path_length(left, 8, 22, weight="time") == close(name, known(name)[key])


@pytest.mark.parametrize(("budget", "key"), [(0, "value_0"), (1, "value_1"), (2, "value")])
def test_maximum_flow_interdiction_by_enumeration(budget, key, solved):
    name = "maximum_flow_interdiction"
    assert smallest_maximum_flow(networks.sioux_falls(), 8, 22, budget) == close(name, known(name)[key])
    solution = solved(name, budget=budget)
    assert solution.certified
    assert solution.value == close(name, known(name)[key])
    left = networks.sioux_falls()
    left.remove_edges_from(networks.outcome(solution).interdicted)
    assert nx.maximum_flow_value(left, 8, 22) == close(name, known(name)[key])


# --- small programs ---------------------------------------------------------------------------------------------------


def test_storyboard_decisions(solved):
    solution = solved("toll_storyboard")
    assert solution.candidate.values == pytest.approx([known("toll_storyboard")["toll"], known("toll_storyboard")["flow"]], abs=1e-6)


def test_moore_and_bard_by_enumeration(solved):
    responses = {}
    for x, y in itertools.product(range(20), range(20)):
        if -25 * x + 20 * y <= 30 and x + 2 * y <= 10 and 2 * x - y <= 15 and 2 * x + 10 * y >= 15:
            responses[x] = min(y, responses.get(x, y))
    assert sorted(responses.items()) == [(1, 2), (2, 2), (3, 1), (4, 1), (5, 1), (6, 1), (7, 1), (8, 1)]
    assert min(-x - 10 * y for x, y in responses.items()) == known("moore_bard")["value"]
    continuous = solved("moore_bard", integer=False)
    assert continuous.value == close("moore_bard", known("moore_bard")["value_continuous"])
    grid = [(x, max((15 - 2 * x) / 10, 2 * x - 15, 0.0)) for x in np.linspace(0, 10, 2001)]
    feasible = [-x - 10 * y for x, y in grid if -25 * x + 20 * y <= 30 + 1e-9 and x + 2 * y <= 10 + 1e-9]
    assert min(feasible) == pytest.approx(known("moore_bard")["value_continuous"], abs=1e-6)


def test_the_investor_sets_the_price(solved):
    solution = solved("price_response")
    assert solution.candidate.values[0] == pytest.approx(known("price_response")["investment"], abs=1e-6)
    assert solution.candidate.multipliers == pytest.approx([known("price_response")["price"]], abs=1e-6)

    def profit(x, price):
        return (8760 * (price - 10) - 40000) * x

    assert max(profit(x, 15.0) for x in np.linspace(0, 50, 501)) == pytest.approx(190000.0)
    assert max(profit(x, 12.0) for x in np.linspace(50, 250, 501)) < -1e6
