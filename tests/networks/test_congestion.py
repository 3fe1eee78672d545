"""Congestion tolls: equilibria are Wardrop's, the first best is the least total time, a second best is no better and no worse than no toll."""

import itertools

import networkx as nx
import numpy as np
import pytest
from scipy.optimize import minimize

import stackopt as so
from stackopt import networks
from stackopt.errors import InvalidProgram
from tests.networks.random_graphs import random_graph

COMMODITIES = [(0, 4, 2.0), (1, 4, 1.0)]


def times(graph, flows):
    return {(u, v): data["constant"] + data["slope"] * flows.get((u, v), 0.0) for u, v, data in graph.edges(data=True)}


def total(graph, flows):
    return sum(time * flows.get(arc, 0.0) for arc, time in times(graph, flows).items())


def least_total_time(graph, commodities):
    """Over flows on simple paths, by sequential quadratic programming."""
    paths = [(k, path) for k, (s, t, _) in enumerate(commodities) for path in nx.all_simple_paths(graph, s, t)]

    def value(x):
        flows = {}
        for amount, (_, path) in zip(x, paths):
            for arc in itertools.pairwise(path):
                flows[arc] = flows.get(arc, 0.0) + amount
        return total(graph, flows)

    demand = [{"type": "eq", "fun": lambda x, k=k, n=n: sum(a for a, (j, _) in zip(x, paths) if j == k) - n} for k, (_, _, n) in enumerate(commodities)]
    begin = np.array([commodities[k][2] / sum(j == k for j, _ in paths) for k, _ in paths])
    found = minimize(value, begin, bounds=[(0, None)] * len(paths), constraints=demand, method="SLSQP", options={"ftol": 1e-13, "maxiter": 500})
    return found.fun


def assert_wardrop(graph, outcome):
    """Every commodity's flow costs what its cheapest route costs, times and tolls together."""
    cost = {arc: time + outcome.tolls.get(arc, 0.0) for arc, time in times(graph, outcome.flows).items()}
    nx.set_edge_attributes(graph, {arc: {"now": value} for arc, value in cost.items()})
    for (s, t), flows in outcome.by_commodity.items():
        demand = next(n for a, b, n in COMMODITIES if (a, b) == (s, t))
        cheapest = nx.shortest_path_length(graph, s, t, weight="now")
        assert sum(cost[arc] * amount for arc, amount in flows.items()) == pytest.approx(demand * cheapest, rel=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_first_best_second_best_and_none(seed):
    graph = random_graph(seed, nodes=5, arcs=8)
    every = networks.congestion_tolls(graph, COMMODITIES, tolled=list(graph.edges))
    one = networks.congestion_tolls(graph, COMMODITIES, tolled=[max(graph.edges, key=lambda e: graph.edges[e]["slope"])], max_toll=50)
    none = networks.congestion_tolls(graph, COMMODITIES, tolled=list(graph.edges), max_toll=0)
    found = {}
    for name, program in (("every", every), ("one", one), ("none", none)):
        solution = so.solve(program)
        assert solution.certified, solution
        outcome = networks.outcome(solution)
        assert outcome.value == pytest.approx(total(graph, outcome.flows), rel=1e-6)
        assert_wardrop(graph, outcome)
        found[name] = float(solution.value)
    assert found["every"] == pytest.approx(least_total_time(graph, COMMODITIES), rel=1e-6)
    assert found["every"] <= found["one"] + 1e-6 <= found["none"] + 2e-6


def test_tolls_need_a_cap_when_nothing_bounds_them():
    graph = nx.DiGraph([("s", "a", {"constant": 1, "slope": 1, "toll": True}), ("a", "t", {"constant": 1, "slope": 1})])
    with pytest.raises(InvalidProgram, match=r"\[network-unbounded\]") as error:
        networks.congestion_tolls(graph, [("s", "t")])
    assert "s->a" in error.value.where


def test_all_arcs_tolled_are_bounded_by_marginal_cost():
    graph = nx.DiGraph([("s", "a", {"constant": 1, "slope": 2}), ("a", "t", {"constant": 1, "slope": 3})])
    program = networks.congestion_tolls(graph, [("s", "t", 4.0)], tolled=list(graph.edges))
    assert program.upper[:2].tolist() == [8.0, 12.0]
