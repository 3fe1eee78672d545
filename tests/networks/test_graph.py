"""What a graph must be: every law with its first witness, named as the user has it."""

import networkx as nx
import numpy as np
import pytest

from stackopt import networks
from stackopt.errors import InvalidProgram
from stackopt.networks.graph import read
from tests.networks.random_graphs import random_graph


def roads():
    graph = nx.DiGraph()
    graph.add_edge("home", "work", cost=10.0, capacity=3.0, constant=1.0, slope=1.0)
    graph.add_edge("home", "bridge", cost=2.0, capacity=5.0, constant=1.0, slope=1.0)
    graph.add_edge("bridge", "work", cost=3.0, capacity=5.0, constant=1.0, slope=1.0, toll=True)
    graph.add_node("island")
    return graph


def build(question, graph, source="home", target="work", **changed):
    if question == "toll_setting":
        return networks.toll_setting(graph, [(source, target)], **changed)
    if question == "congestion_tolls":
        return networks.congestion_tolls(graph, [(source, target)], **changed)
    if question == "shortest":
        return networks.shortest_path_interdiction(graph, source, target, length="cost", **changed)
    return networks.maximum_flow_interdiction(graph, source, target, **changed)


EVERY = ("toll_setting", "congestion_tolls", "shortest", "maximum")


@pytest.mark.parametrize("question", EVERY)
@pytest.mark.parametrize("graph", [nx.Graph([(0, 1)]), nx.DiGraph(), {"home": ["work"]}], ids=["undirected", "empty", "no graph"])
def test_only_directed_graphs_with_arcs(question, graph):
    with pytest.raises(InvalidProgram, match=r"\[network-graph\]"):
        build(question, graph)


def test_an_undirected_graph_has_its_own_remedy():
    with pytest.raises(InvalidProgram, match=r"to_directed\(\)"):
        build("shortest", nx.Graph([(0, 1)]))


@pytest.mark.parametrize("question", EVERY)
@pytest.mark.parametrize(("ends", "role"), [(("hom", "work"), "source"), (("home", "wrk"), "target")])
def test_unknown_nodes_are_named(question, ends, role):
    with pytest.raises(InvalidProgram, match=r"\[network-node\]") as error:
        build(question, roads(), *ends)
    assert f"`{role}`" in error.value.law
    assert repr(ends[0] if role == "source" else ends[1]) in error.value.where


@pytest.mark.parametrize("question", EVERY)
def test_targets_out_of_reach_are_named(question):
    with pytest.raises(InvalidProgram, match=r"\[network-path\]") as error:
        build(question, roads(), "home", "island")
    assert error.value.law == "there must be a path from home to island"
    assert error.value.where == "from 'home' one reaches only 'home', 'work', 'bridge'"
    with pytest.raises(InvalidProgram, match=r"\[network-path\]"):
        build(question, roads(), "home", "home")


@pytest.mark.parametrize(
    ("question", "name", "attribute"),
    [("toll_setting", "cost", "cost"), ("congestion_tolls", "slope", "slope"), ("shortest", "length", "cost"), ("maximum", "capacity", "capacity")],
)
@pytest.mark.parametrize("value", [None, -1.0, "3", float("nan"), True], ids=str)
def test_attributes_that_are_missing_or_bad_are_named_with_their_arc(question, name, attribute, value):
    graph = roads()
    if value is None:
        del graph.edges["home", "bridge"][attribute]
    else:
        graph.edges["home", "bridge"][attribute] = value
    with pytest.raises(InvalidProgram, match=r"\[network-attribute\]") as error:
        build(question, graph)
    assert f"`{name}`" in error.value.law
    assert "home->bridge" in error.value.where
    assert repr(attribute) in error.value.where


def test_infinity_is_a_capacity_and_no_length():
    graph = roads()
    graph.edges["home", "bridge"].update(capacity=np.inf, cost=np.inf)
    assert build("maximum", graph).size == 6
    with pytest.raises(InvalidProgram, match=r"\[network-attribute\]"):
        build("shortest", graph)


def test_attributes_as_numbers_and_as_mappings():
    program = build("toll_setting", roads(), cost=4)
    assert sorted(set(program.followers[0].objective.linear)) == [0.0, 4.0]
    program = build("toll_setting", roads(), cost={("home", "work"): 1, ("home", "bridge"): 2, ("bridge", "work"): 3})
    assert program.followers[0].objective.linear.max() == 1.0, "the bridge cannot be on a cheapest route"
    with pytest.raises(InvalidProgram, match=r"no entry in the mapping"):
        build("toll_setting", roads(), cost={("home", "work"): 1})


@pytest.mark.parametrize("tolled", ["tol", [], [("home", "wrok")], ["home"]], ids=str)
def test_tolled_arcs_must_be_arcs(tolled):
    with pytest.raises(InvalidProgram, match=r"\[network-arcs\]"):
        networks.toll_setting(roads(), [("home", "work")], tolled=tolled)


def test_interdictable_arcs_must_be_on_a_route():
    graph = roads()
    graph.add_edge("work", "island", cost=1.0, capacity=1.0)
    with pytest.raises(InvalidProgram, match=r"\[network-arcs\]"):
        build("shortest", graph, interdictable=[("work", "island")])


@pytest.mark.parametrize(
    ("commodities", "witness"),
    [
        ([], "empty"),
        ([("home",)], "('home',)"),
        (["home"], "'home'"),
        ([("home", "work", 0.0)], "0.0"),
        ([("home", "work", float("inf"))], "inf"),
        ([("home", "work", True)], "True"),
        ([("home", "work", 1), ("home", "work", 2)], "twice"),
    ],
    ids=str,
)
@pytest.mark.parametrize("question", [networks.toll_setting, networks.congestion_tolls])
def test_commodities_are_checked(question, commodities, witness):
    with pytest.raises(InvalidProgram, match=r"\[network-commodity\]") as error:
        question(roads(), commodities)
    assert witness in error.value.where


@pytest.mark.parametrize("budget", [-1, float("nan"), float("inf"), "2", True])
@pytest.mark.parametrize("question", ["shortest", "maximum"])
def test_budgets_are_checked(question, budget):
    with pytest.raises(InvalidProgram, match=r"\[network-attribute\].*\n.*" + str(budget)) as error:
        build(question, roads(), budget=budget)
    assert "`budget`" in error.value.law


def test_arcs_are_called_as_the_user_calls_them():
    graph = nx.MultiDiGraph()
    graph.add_edge("s", "t", "road", constant=0, slope=1, toll=True)
    graph.add_edge("s", "t", "rail", constant=1, slope=0)
    graph.add_edge("t", "u", constant=1, slope=0)
    program = networks.congestion_tolls(graph, [("s", "t", 1), ("s", "u", 2)])
    assert program.names == ("toll[s->t road]", "flow[s to t, s->t road]", "flow[s to t, s->t rail]",
                             "flow[s to u, s->t road]", "flow[s to u, s->t rail]", "flow[s to u, t->u]")  # fmt: skip
    assert program.index(("s", "t", "road")) == 0


@pytest.mark.parametrize("seed", range(8))
def test_distances_reach_and_routes_are_those_of_networkx(seed):
    graph = random_graph(seed, nodes=7, arcs=14)
    network = read(graph)
    cost = network.values("cost", "cost")
    lengths = dict(nx.all_pairs_dijkstra_path_length(graph, weight="cost"))
    for s in range(7):
        assert {v: d for v, d in enumerate(network.distances(s, cost)) if np.isfinite(d)} == lengths[s]
        found, last = network.tree(s, cost)
        assert np.array_equal(found, network.distances(s, cost))
        assert all(last[v] == -1 or found[network.tail[last[v]]] + cost[last[v]] == found[v] for v in range(7))
        back = network.distances(s, cost, backwards=True)
        assert {v: back[v] for v in range(7) if np.isfinite(back[v])} == {v: lengths[v][s] for v in lengths if s in lengths[v]}
    on_a_path = {arc for path in nx.all_simple_edge_paths(graph, 0, 6) for arc in path}
    assert on_a_path <= {network.arcs[a] for a in np.flatnonzero(network.between(0, 6))}
