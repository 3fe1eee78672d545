"""Toll setting: against a program over routes, the bounds that come from the data, and the identity behind the linear revenue."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stackopt as so
from stackopt import networks
from stackopt.errors import InvalidProgram
from tests.networks.random_graphs import random_graph
from tests.networks.routes import best_revenue


def instance(seed, tolled=3):
    """A random graph whose tolled arcs leave a toll-free path for two commodities."""
    graph = random_graph(seed, nodes=6, arcs=13)
    rng = np.random.default_rng(seed)
    arcs = [(u, v) for u, v in graph.edges if v != u + 1]  # the path 0 .. 5 stays free
    chosen = [arcs[i] for i in rng.choice(len(arcs), tolled, replace=False)]
    return graph, chosen, [(0, 5, 3.0), (1, 4, 2.0), (0, 3, 1.0)]


@settings(derandomize=True, max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_revenue_is_that_of_a_program_over_routes(seed):
    """There tolls go up to the dearest toll-free route of all, here to the bound of each arc: the bounds lose nothing."""
    graph, tolled, commodities = instance(seed)
    solution = so.solve(networks.toll_setting(graph, commodities, tolled))
    assert solution.certified, solution
    expected, _ = best_revenue(graph, commodities, tolled, "cost")
    assert solution.value == pytest.approx(expected, abs=1e-5)
    found = networks.outcome(solution)
    assert found.revenue == pytest.approx(solution.value, abs=1e-5), "tolls times flows is what the multipliers say"
    for (s, t), flows in found.by_commodity.items():
        paid = {arc: data["cost"] + found.tolls.get(arc, 0.0) for *arc, data in graph.edges(data=True) for arc in [tuple(arc)]}
        nx.set_edge_attributes(graph, {arc: {"paid": value} for arc, value in paid.items()})
        demand = next(n for a, b, n in commodities if (a, b) == (s, t))
        cheapest = nx.shortest_path_length(graph, s, t, weight="paid")
        assert sum(paid[arc] * amount for arc, amount in flows.items()) == pytest.approx(demand * cheapest, abs=1e-5)


def test_a_single_toll_takes_the_whole_difference():
    graph = nx.DiGraph([("s", "m", {"cost": 1, "toll": True}), ("m", "t", {"cost": 1}), ("s", "t", {"cost": 7})])
    program = networks.toll_setting(graph, [("s", "t", 10)])
    assert program.upper[0] == 5.0
    solution = so.solve(program)
    assert solution.value == pytest.approx(50.0)
    assert solution[("s", "m")] == pytest.approx(5.0)
    assert solution["price[s to t]"] == pytest.approx(7.0)
    capped = so.solve(networks.toll_setting(graph, [("s", "t", 10)], max_toll=2))
    assert capped.value == pytest.approx(20.0)


def test_without_a_free_route_tolls_need_a_cap():
    graph = nx.DiGraph([("s", "m", {"cost": 1, "toll": True}), ("m", "t", {"cost": 1})])
    with pytest.raises(InvalidProgram, match=r"\[network-unbounded\]") as error:
        networks.toll_setting(graph, [("s", "t", 10)])
    assert error.value.where == "every route from s to t has a toll without a cap, e.g. on s->m"
    assert "max_toll" in error.value.help
    assert so.solve(networks.toll_setting(graph, [("s", "t", 10)], max_toll=4)).value == pytest.approx(40.0)


def test_a_capped_route_bounds_the_others():
    """No toll-free route, but one whose tolls have caps: the other toll is bounded by it."""
    graph = nx.DiGraph([("s", "t", {"cost": 1, "toll": True}), ("s", "m", {"cost": 1}), ("m", "t", {"cost": 1, "toll": True})])
    program = networks.toll_setting(graph, [("s", "t", 1)], max_toll={("m", "t"): 3.0, ("s", "t"): np.inf})
    assert float(program.upper[program.index(("s", "t"))]) == 4.0
    assert so.solve(program).value == pytest.approx(4.0)


def test_arcs_off_every_cheapest_route_are_left_out():
    graph = nx.DiGraph([("s", "t", {"cost": 3}), ("s", "m", {"cost": 1, "toll": True}), ("m", "t", {"cost": 1})])
    graph.add_edges_from([("s", "far"), ("far", "t")], cost=5)
    names = networks.toll_setting(graph, [("s", "t")]).names
    assert not any("far" in name for name in names)


def test_free_cycles_are_no_revenue():
    graph = nx.DiGraph([("s", "a", {"cost": 0, "toll": True}), ("a", "b", {"cost": 0, "toll": True}), ("b", "a", {"cost": 0, "toll": True}),
                        ("a", "t", {"cost": 0}), ("b", "t", {"cost": 1}), ("s", "t", {"cost": 4})])  # fmt: skip
    solution = so.solve(networks.toll_setting(graph, [("s", "t", 1)]))
    assert solution.certified
    assert solution.value == pytest.approx(4.0)


def test_only_the_cheapest_way_between_tolls_is_in_the_program():
    """Two equally cheap toll-free ways from a to b and a third that is dearer: one arc; its flow is shown on the user's arcs."""
    graph = nx.DiGraph([("s", "a", {"cost": 1, "toll": True}), ("b", "t", {"cost": 1, "toll": True}), ("s", "t", {"cost": 20})])
    for way, cost in (("c", 2), ("d", 2), ("e", 5)):
        graph.add_edge("a", way, cost=cost)
        graph.add_edge(way, "b", cost=cost)
    program = networks.toll_setting(graph, [("s", "t", 2)])
    assert [name for name in program.names if name.startswith("flow")] == ["flow[s->a]", "flow[b->t]", "flow[s..t]", "flow[a..b]"]
    solution = so.solve(program)
    assert solution.value == pytest.approx(2 * (20 - 6))
    flows = networks.outcome(solution).flows
    assert flows[("s", "a")] == pytest.approx(2.0)
    assert len(flows) == 4
    assert flows.get(("a", "c"), flows.get(("a", "d"))) == pytest.approx(2.0)
