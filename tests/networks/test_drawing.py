"""Outcomes and pictures of networks: what is drawn is what was found, and only of the graph it was found on."""

import networkx as nx
import numpy as np
import pytest

import stackopt as so
from stackopt import networks
from stackopt.errors import InvalidProgram


def roads(**positions):
    graph = nx.DiGraph()
    graph.add_edge("home", "work", cost=10.0, length=5.0, capacity=3.0)
    graph.add_edge("home", "bridge", cost=2.0, length=1.0, capacity=5.0)
    graph.add_edge("bridge", "work", cost=3.0, length=1.0, capacity=5.0, toll=True)
    graph.add_edge("work", "home", cost=1.0, length=1.0, capacity=1.0)
    nx.set_node_attributes(graph, positions, "pos")
    return graph


@pytest.fixture(scope="module")
def tolled():
    return so.solve(networks.toll_setting(roads(), [("home", "work", 100)]))


def texts(figure):
    from matplotlib.text import Text

    return [t.get_text() for t in figure.findobj(Text) if t.get_text()]


def arrows(figure):
    from matplotlib.patches import FancyArrowPatch

    return figure.findobj(FancyArrowPatch)


def test_the_outcome_is_in_the_users_words(tolled):
    found = networks.outcome(tolled)
    assert found.tolls == {("bridge", "work"): pytest.approx(5.0)}
    assert found.flows == {("home", "bridge"): pytest.approx(100.0), ("bridge", "work"): pytest.approx(100.0)}
    assert found.by_commodity["home", "work"] == found.flows
    assert str(found) == (
        "Outcome of toll setting\n"
        "  value      500\n"
        "  from - to  home to work\n"
        "  tolls      bridge->work 5\n"
        "  revenue    500\n"
        "  flows      home->bridge 100, bridge->work 100"
    )
    assert "<table" in found._repr_html_()


def test_interdicted_arcs_are_listed():
    found = networks.outcome(so.solve(networks.shortest_path_interdiction(roads(), "home", "work", 1)))
    assert found.interdicted in [(("home", "bridge"),), (("bridge", "work"),)]
    assert "interdicted" in str(found)
    assert found.tolls == {}
    none = networks.outcome(so.solve(networks.maximum_flow_interdiction(roads(), "home", "work", 0)))
    assert "interdicted  none" in str(none)
    assert none.value == pytest.approx(8.0)


def test_tolls_flows_and_nodes_are_drawn(tolled):
    figure = networks.draw(roads(), tolled)
    assert {"home", "work", "bridge", "tolls bring in 500", "100  +5", "100"} <= set(texts(figure))
    assert len(arrows(figure)) == 4
    widths = sorted(arrow.get_linewidth() for arrow in arrows(figure))
    assert widths[0] == widths[1] < widths[2] == widths[3], "two arcs carry everything, two nothing"


def test_interdicted_arcs_are_crossed_out():
    graph = roads()
    solution = so.solve(networks.maximum_flow_interdiction(graph, "home", "work", 1))
    figure = networks.draw(graph, solution)
    (ax,) = figure.axes
    assert [line.get_marker() for line in ax.get_lines()] == ["X"]
    assert "at most 3 can flow" in texts(figure)
    assert "interdicted" in texts(figure)


def test_congestion_shows_the_toll_of_an_empty_arc():
    solution = so.solve(so.catalog.build("braess_toll"))
    graph = nx.DiGraph([("s", "a"), ("s", "b"), ("a", "b"), ("a", "t"), ("b", "t")])
    drawn = texts(networks.draw(graph, solution))
    assert f"+{networks.outcome(solution).tolls['a', 'b']:.4g}" in drawn
    assert "total travel time 498 with these tolls" in drawn


def test_positions_are_those_given_those_of_the_graph_or_laid_out(tolled):
    from matplotlib.text import Annotation

    given = {"home": (0.0, 0.0), "work": (4.0, 0.0), "bridge": (2.0, 1.0)}
    for figure in (networks.draw(roads(), tolled, given), networks.draw(roads(**given), tolled)):
        drawn = {t.get_text(): tuple(t.xy) for t in figure.findobj(Annotation)}
        assert {node: drawn[node] for node in given} == given
    laid_out = {t.get_text(): np.array(t.xy) for t in networks.draw(roads(), tolled).findobj(Annotation)}
    along = laid_out["work"] - laid_out["home"]
    assert along[0] > 0
    assert along[1] == pytest.approx(0.0, abs=1e-9), "from left to right"
    with pytest.raises(InvalidProgram, match=r"\[network-node\].*\n.*'bridge' has none"):
        networks.draw(roads(), tolled, {"home": (0, 0), "work": (1, 0)})


def test_large_networks_name_only_sources_and_targets():
    graph = nx.grid_2d_graph(10, 10).to_directed()
    nx.set_edge_attributes(graph, 1, "cost")
    solution = so.solve(networks.toll_setting(graph, [((0, 0), (9, 9), 1)], [((4, j), (5, j)) for j in range(9)]))
    figure = networks.draw(graph, solution)
    assert {text for text in texts(figure) if text.startswith("(")} == {"(0, 0)", "(9, 9)"}
    assert len(arrows(figure)) == len(graph.edges)


def test_parallel_arcs_are_drawn_apart():
    solution = so.solve(so.catalog.build("pigou_toll"))
    graph = nx.MultiDiGraph()
    graph.add_edge("s", "t", "road")
    graph.add_edge("s", "t", "railway")
    figure = networks.draw(graph, solution)
    assert {"0.5  +0.5", "0.5"} <= set(texts(figure))
    styles = {str(arrow.get_connectionstyle().rad) for arrow in arrows(figure)}
    assert styles == {"0.5", "-0.5"}


def test_other_graphs_and_other_programs_are_refused(tolled):
    other = roads()
    other.add_edge("home", "shop")
    with pytest.raises(InvalidProgram, match=r"\[network-outcome\]"):
        networks.draw(other, tolled)
    storyboard = so.solve(so.catalog.build("toll_storyboard"))
    with pytest.raises(InvalidProgram, match=r'\[network-outcome\].*\n.*"toll_storyboard" was not'):
        networks.outcome(storyboard)


def test_nothing_is_read_from_nothing(tolled):
    import dataclasses

    empty = dataclasses.replace(tolled, candidate=None, status=so.Status.LIMIT, because="no time")
    with pytest.raises(InvalidProgram, match=r"\[network-outcome\].*\n.*LIMIT: no time"):
        networks.outcome(empty)


def test_sioux_falls_is_what_was_published():
    graph = networks.sioux_falls()
    assert (len(graph.nodes), len(graph.edges)) == (24, 76)
    assert all(graph.edges[u, v] == graph.edges[v, u] for u, v in graph.edges), "symmetric"
    assert graph.edges[8, 9]["time"] == 10
    assert graph.edges[1, 2]["capacity"] == 25900.20064
    assert sum(data["time"] for _, _, data in graph.edges(data=True)) == pytest.approx(314)
    assert all("pos" in data for _, data in graph.nodes(data=True))
