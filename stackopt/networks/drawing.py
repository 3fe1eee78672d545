"""A network and what an answer does to it, drawn: flows by width, tolls by label and colour, interdicted arcs crossed out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from stackopt.comparison.drawing import COLOURS, INK, SOFT, panels, plain, title
from stackopt.display import number
from stackopt.errors import InvalidProgram
from stackopt.networks.graph import Array, Network, read
from stackopt.networks.outcome import Outcome, origin_of, outcome

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from stackopt.networks.assembly import NetworkOrigin
    from stackopt.solution import Solution

#: Widths in points of an arc with the largest flow, of one with hardly any, and of one with none.
WIDEST, THIN, BARE = 5.0, 1.4, 0.9
#: Every flow is printed on up to this many arcs; above, only tolls and interdicted arcs have labels.
LABELLED = 30
#: Up to this many nodes are named; above, only sources and targets.
NAMED = 80


def draw(graph: Any, solution: Solution[Any], positions: Mapping[Any, tuple[float, float]] | None = None) -> Figure:
    """The graph with the tolls, flows and interdicted arcs of a solution.

    Parameters
    ----------
    graph : networkx DiGraph or MultiDiGraph
        The one that the program was made from.
    solution : Solution
    positions : mapping of node to (x, y), optional
        By default the node attribute ``pos``, where all nodes have one; else laid out, and turned so that the first source is on the left.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    InvalidProgram
        If the solution is of another program or graph, has no candidate, or a node has no position.
    MissingPackage
        If Matplotlib is not installed.

    Notes
    -----
    The wider a line, the more it carries; the thinnest carry nothing. Blue: an arc without toll; vermillion: an arc that may be
    tolled, ``10 +5`` its flow and its toll; grey, dashed and crossed: interdicted.
    """
    network, origin, result = read(graph), origin_of(solution), outcome(solution)
    if network.arcs != origin.network.arcs:
        where = f"it has {len(network.arcs)} arcs, the program's {len(origin.network.arcs)}"
        raise InvalidProgram("network-outcome", law="the graph that the program was made from", where=where)
    places = _places(graph, network, origin, positions)
    bends = _bends(network, places)
    shown = np.vstack([places, *(_middle(places[u], places[v], bend) for u, v, bend in zip(network.tail, network.head, bends))])
    low, high = shown.min(0), shown.max(0)
    span = float(max(*(high - low), 1e-9))
    width = 6.4 if len(network.nodes) <= 12 else 8.6
    across, down = (high - low) / span + (0.16, 0.12)
    figure, (ax,) = panels(1, feature="a figure", width=width, height=float(np.clip(width * down / across + 0.6, 0.3 * width, 1.2 * width)))
    ax.set_axis_off()
    ax.grid(False)
    ax.set_aspect("equal")
    ax.set_xlim(low[0] - 0.08 * span, high[0] + 0.08 * span)
    ax.set_ylim(low[1] - 0.06 * span, high[1] + 0.06 * span)
    _draw_arcs(ax, network, places, bends, result)
    _draw_nodes(ax, network, places, origin)
    title(ax, _finding(result))
    _legend(ax, result)
    return figure


def _finding(result: Outcome) -> str:
    value = number(result.value)
    return {
        "toll_setting": f"tolls bring in {value}",
        "congestion_tolls": f"total travel time {value} with these tolls",
        "shortest_path_interdiction": f"the shortest path left is {value} long",
        "maximum_flow_interdiction": f"at most {value} can flow",
    }[result.question]


def _places(graph: Any, network: Network, origin: NetworkOrigin, given: Mapping[Any, tuple[float, float]] | None) -> Array:
    """Coordinates of the nodes, [nodes, 2]."""
    if given is None:
        given = {node: data["pos"] for node, data in graph.nodes(data=True) if "pos" in data}
        if len(given) < len(network.nodes):
            return _laid_out(graph, network, origin)
    lost = next((node for node in network.nodes if node not in given), None)
    if lost is not None:
        raise InvalidProgram("network-node", what="positions", where=f"node {lost!r} has none")
    return np.array([given[node] for node in network.nodes], float)


def _laid_out(graph: Any, network: Network, origin: NetworkOrigin) -> Array:
    import networkx as nx

    plain_graph = nx.Graph(graph.edges())
    plain_graph.add_nodes_from(graph.nodes)
    # Kamada and Kawai's layout takes time cubic in the number of nodes
    found = nx.kamada_kawai_layout(plain_graph, weight=None) if len(network.nodes) <= NAMED else nx.spring_layout(plain_graph, seed=0)
    places = np.array([found[node] for node in network.nodes])
    first = origin.commodities[0]
    along = places[first.target] - places[first.source]
    length = float(np.hypot(*along))
    if length < 1e-9:
        return places
    c, s = along / length
    return np.asarray(places @ np.array([[c, -0.6 * s], [s, 0.6 * c]]), float)  # flatter than wide: what matters runs from left to right


def _bends(network: Network, places: Array) -> Array:
    """Curvature of each arc that keeps opposite and parallel arcs apart, about as far everywhere; [A]."""
    tail, head = network.tail, network.head
    span = float(max(*(places.max(0) - places.min(0)), 1e-9))
    found = np.zeros(len(network.arcs))
    for a in range(len(found)):
        length = max(float(np.hypot(*(places[head[a]] - places[tail[a]]))), 1e-9)
        parallel = np.flatnonzero((tail == tail[a]) & (head == head[a]))
        if len(parallel) > 1:
            found[a] = 0.5 * (2 * int(np.flatnonzero(parallel == a)[0]) / (len(parallel) - 1) - 1)
        elif ((tail == head[a]) & (head == tail[a])).any():
            found[a] = min(0.2, 0.032 * span / length)
    return found


def _middle(start: Array, end: Array, bend: float) -> Array:
    """The middle of the quadratic curve that Matplotlib's ``arc3`` draws, in data coordinates of equal aspect."""
    control = 0.5 * (start + end) + bend * np.array([end[1] - start[1], start[0] - end[0]])
    return np.asarray(0.25 * start + 0.5 * control + 0.25 * end, float)


def _draw_arcs(ax: Axes, network: Network, places: Array, bends: Array, result: Outcome) -> None:
    from matplotlib.patches import FancyArrowPatch

    largest = max(result.flows.values(), default=1.0)
    few, many = len(network.arcs) <= LABELLED, len(network.nodes) > NAMED
    for a, arc in enumerate(network.arcs):
        flow, toll, cut = result.flows.get(arc, 0.0), result.tolls.get(arc), arc in result.interdicted
        colour = COLOURS[1] if toll is not None else SOFT if cut or not flow else COLOURS[0]
        width = THIN + (WIDEST - THIN) * flow / largest if flow else BARE
        start, end = places[network.tail[a]], places[network.head[a]]
        ax.add_artist(FancyArrowPatch(
            tuple(start), tuple(end), connectionstyle=f"arc3,rad={bends[a]}", linewidth=width, color=colour,
            arrowstyle="-" if many and not flow else "-|>", mutation_scale=3 + 1.2 * width if many else 9 + 1.2 * width,
            linestyle=(0, (4, 2)) if cut else "-", shrinkA=_room(network, int(network.tail[a]), end - start), zorder=2 if flow else 1,
            shrinkB=_room(network, int(network.head[a]), end - start), alpha=1.0 if flow or cut or toll is not None else 0.55,
        ))  # fmt: skip
        middle = _middle(start, end, float(bends[a]))
        if cut:
            ax.plot(*middle, marker="X", markersize=9, color=COLOURS[1], markeredgecolor="#ffffff", zorder=4)
        text = [number(flow, 4)] if flow and (few or toll is not None) else []
        text += [f"+{number(toll, 4)}"] if toll is not None and toll > 1e-9 else []
        if text and not cut:
            ax.annotate(plain("  ".join(text)), tuple(middle), ha="center", va="center", fontsize=8, color=INK, zorder=5,
                        bbox={"boxstyle": "round,pad=0.15", "facecolor": "#ffffff", "edgecolor": "none", "alpha": 0.9})  # fmt: skip


def _room(network: Network, node: int, along: Array) -> float:
    """Points from the middle of a node's box to its edge, in the direction of an arc."""
    if len(network.nodes) > NAMED:
        return 2.5
    wide, high = 5.0 + 2.9 * len(str(network.nodes[node])), 8.5
    x, y = np.abs(along) / max(float(np.hypot(*along)), 1e-12)
    return float(min(wide / max(x, 1e-9), high / max(y, 1e-9)))


def _draw_nodes(ax: Axes, network: Network, places: Array, origin: NetworkOrigin) -> None:
    ends = {k.source for k in origin.commodities} | {k.target for k in origin.commodities}
    if len(network.nodes) > NAMED:
        ax.plot(*places.T, linestyle="none", marker="o", markersize=3, color=SOFT, zorder=3)
    for v, node in enumerate(network.nodes):
        if len(network.nodes) > NAMED and v not in ends:
            continue
        edge = {"edgecolor": INK, "linewidth": 1.6} if v in ends else {"edgecolor": SOFT, "linewidth": 0.8}
        ax.annotate(plain(str(node)), tuple(places[v]), ha="center", va="center", fontsize=8.5, fontweight="bold" if v in ends else "normal", zorder=6,
                    color=INK, bbox={"boxstyle": "round,pad=0.3", "facecolor": "#ffffff", **edge})  # fmt: skip


def _legend(ax: Axes, result: Outcome) -> None:
    from matplotlib.lines import Line2D

    entries = [Line2D([], [], color=COLOURS[0], linewidth=3, label="flow (wider: more)")]
    if result.tolls:
        entries.append(Line2D([], [], color=COLOURS[1], linewidth=3, label="tolled arc, +toll"))
    if "interdiction" in result.question:
        cross: dict[str, Any] = {"marker": "X", "markersize": 8, "markerfacecolor": COLOURS[1], "markeredgecolor": "#ffffff"}
        entries.append(Line2D([], [], color=SOFT, linewidth=BARE, linestyle=(0, (4, 2)), label="interdicted", **cross))
    entries.append(Line2D([], [], color=SOFT, linewidth=BARE, label="no flow"))
    ax.legend(handles=entries, loc="upper center", bbox_to_anchor=(0.5, 0.01), ncols=len(entries), frameon=False, fontsize=8, labelcolor=INK)
