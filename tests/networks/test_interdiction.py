"""Interdiction: against enumeration; removal as a delay without a guess; prices, parallel arcs, infinite capacities, budgets that suffice."""

import itertools

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stackopt as so
from stackopt import networks
from stackopt.errors import InvalidProgram
from tests.networks.enumerated import longest_shortest_path, smallest_maximum_flow
from tests.networks.random_graphs import random_graph


def affordable(graph, price, budget):
    """All sets of arcs within a budget."""
    for count in range(len(graph.edges) + 1):
        some = False
        for chosen in itertools.combinations(graph.edges, count):
            if sum(price[arc] for arc in chosen) <= budget:
                some = True
                yield chosen
        if not some:
            return


@settings(derandomize=True, max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 2))
def test_removal_is_that_of_enumeration(seed, budget):
    graph = random_graph(seed, nodes=6, arcs=15)
    if nx.edge_connectivity(graph, 0, 5) <= budget:
        with pytest.raises(InvalidProgram, match=r"\[network-unbounded\]") as error:
            networks.shortest_path_interdiction(graph, 0, 5, budget, "cost")
        named = [tuple(int(v) for v in arc.split("->")) for arc in error.value.where.removeprefix("removing ").split(" costs ")[0].split(", ")]
        graph.remove_edges_from(named)
        assert not nx.has_path(graph, 0, 5), "the cut that the error names is one"
        return
    solution = so.solve(networks.shortest_path_interdiction(graph, 0, 5, budget, "cost"))
    assert solution.certified, solution
    assert solution.value == pytest.approx(longest_shortest_path(graph, 0, 5, budget, "cost"), abs=1e-6)
    outcome = networks.outcome(solution)
    assert not set(outcome.interdicted) & set(outcome.flows), "the follower uses no removed arc"


@settings(derandomize=True, max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_delays_and_prices_are_those_of_enumeration(seed):
    graph = random_graph(seed, nodes=5, arcs=9)
    price, budget = nx.get_edge_attributes(graph, "capacity"), 9.0
    solution = so.solve(networks.shortest_path_interdiction(graph, 0, 4, budget, "cost", delay="constant", price="capacity"))
    best = 0.0
    for chosen in affordable(graph, price, budget):
        length = {(u, v): data["cost"] + data["constant"] * ((u, v) in chosen) for u, v, data in graph.edges(data=True)}
        nx.set_edge_attributes(graph, length, "now")
        best = max(best, nx.shortest_path_length(graph, 0, 4, weight="now"))
    assert solution.certified, solution
    assert solution.value == pytest.approx(best, abs=1e-6)
    assert sum(price[arc] for arc in networks.outcome(solution).interdicted) <= budget + 1e-6


@settings(derandomize=True, max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 3))
def test_flows_are_those_of_enumeration(seed, budget):
    graph = random_graph(seed, nodes=6, arcs=14)
    solution = so.solve(networks.maximum_flow_interdiction(graph, 0, 5, budget))
    assert solution.certified, solution
    assert solution.value == pytest.approx(smallest_maximum_flow(graph, 0, 5, budget), abs=1e-6)
    outcome = networks.outcome(solution)
    assert not set(outcome.interdicted) & set(outcome.flows)
    out, back = (sum(amount for arc, amount in outcome.flows.items() if arc[end] == 0) for end in (0, 1))
    assert out - back == pytest.approx(solution.value, abs=1e-6)


@settings(derandomize=True, max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_prices_of_removal_are_those_of_enumeration(seed):
    graph = random_graph(seed, nodes=5, arcs=9)
    price, budget = nx.get_edge_attributes(graph, "cost"), 7.5
    solution = so.solve(networks.maximum_flow_interdiction(graph, 0, 4, budget, price="cost"))
    best = np.inf
    for chosen in affordable(graph, price, budget):
        left = graph.copy()
        left.remove_edges_from(chosen)
        best = min(best, nx.maximum_flow_value(left, 0, 4))
    assert solution.value == pytest.approx(best, abs=1e-6)


def test_removed_arcs_may_be_limited():
    graph = nx.DiGraph([("s", "a", {"length": 1}), ("a", "t", {"length": 1}), ("s", "t", {"length": 5, "soft": True})])
    solution = so.solve(networks.shortest_path_interdiction(graph, "s", "t", 2, interdictable=[("s", "a")]))
    assert solution.value == pytest.approx(5.0)
    assert networks.outcome(solution).interdicted == (("s", "a"),)
    with pytest.raises(InvalidProgram, match=r"removing .* costs 2 and cuts t off"):
        networks.shortest_path_interdiction(graph, "s", "t", 2)


def test_removal_where_paths_are_not_disjoint():
    """Two closures affordable, one bridge that cannot be closed: the bound falls back on the longest simple path."""
    graph = nx.DiGraph([("s", "b", {"length": 1}), ("b", "t", {"length": 1}), ("b", "c", {"length": 3}), ("c", "t", {"length": 4})])
    solution = so.solve(networks.shortest_path_interdiction(graph, "s", "t", 2, interdictable=[("b", "t")]))
    assert solution.value == pytest.approx(8.0)


def test_zero_lengths():
    graph = nx.DiGraph([("s", "a", {"length": 0}), ("a", "t", {"length": 0}), ("s", "t", {"length": 0})])
    solution = so.solve(networks.shortest_path_interdiction(graph, "s", "t", 1))
    assert solution.certified
    assert solution.value == pytest.approx(0.0, abs=1e-9)


def test_parallel_arcs_are_removed_one_by_one():
    graph = nx.MultiDiGraph()
    for key, capacity in (("wide", 5), ("narrow", 2)):
        graph.add_edge("s", "t", key, capacity=capacity, length=1)
    solution = so.solve(networks.maximum_flow_interdiction(graph, "s", "t", 1))
    assert solution.value == pytest.approx(2.0)
    assert networks.outcome(solution).interdicted == (("s", "t", "wide"),)
    assert networks.outcome(solution).flows == {("s", "t", "narrow"): pytest.approx(2.0)}
    assert so.solve(networks.shortest_path_interdiction(graph, "s", "t", 1)).value == pytest.approx(1.0)


def test_infinite_capacities_are_finite_if_the_leader_can_cut_them():
    graph = nx.DiGraph([("s", "t", {"capacity": np.inf}), ("s", "a", {"capacity": 3}), ("a", "t", {"capacity": np.inf})])
    assert so.solve(networks.maximum_flow_interdiction(graph, "s", "t", 1)).value == pytest.approx(3.0)
    with pytest.raises(InvalidProgram, match=r"\[network-unbounded\]") as error:
        networks.maximum_flow_interdiction(graph, "s", "t", 0)
    assert "s->t" in error.value.where
