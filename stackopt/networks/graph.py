"""A networkx graph read once, at the door: nodes and arcs in order, attributes as arrays, commodities, and every law they keep."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackopt.errors import InvalidProgram

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
#: What an attribute may be given as: the name of an edge attribute, a number for every arc, or a number by arc.
Attribute = str | float | Mapping[Any, float]


@dataclass(frozen=True, eq=False)
class Network:
    """A directed graph in arrays; arc a leads from node ``tail[a]`` to node ``head[a]``.

    Attributes
    ----------
    nodes : tuple
        As the user has them.
    arcs : tuple of (u, v) or (u, v, key)
        As ``graph.edges`` lists them; with keys for a multigraph.
    data : tuple of mapping
        The attributes of each arc.
    tail, head : int array [A]
    names : tuple of str
        What to call the arcs; by default after their nodes.
    """

    nodes: tuple[Any, ...]
    arcs: tuple[Any, ...]
    data: tuple[Mapping[str, Any], ...]
    tail: Ints
    head: Ints
    names: tuple[str, ...] = ()

    def label(self, arc: int) -> str:
        """How an arc is called in names of variables: ``a->b``, with the key where arcs are parallel."""
        if self.names:
            return self.names[arc]
        u, v = self.arcs[arc][:2]
        parallel = len(self.arcs[arc]) > 2 and ((self.tail == self.tail[arc]) & (self.head == self.head[arc])).sum() > 1
        return f"{u}->{v}" + (f" {self.arcs[arc][2]}" if parallel else "")

    def node(self, node: Any, role: str) -> int:
        """The number of a node, or InvalidProgram that names it."""
        try:
            return self.nodes.index(node)
        except ValueError:
            raise InvalidProgram("network-node", what=role, where=f"{node!r} is not in the graph of {len(self.nodes)} nodes, {_few(self.nodes)}") from None

    def values(self, given: Attribute, name: str, law: str = "finite", missing: float | None = None) -> Array:
        """An attribute of all arcs, [A].

        Parameters
        ----------
        given : str, float or mapping of arc to float
        name : str
            Of the parameter, for errors.
        law : str
            ``"finite"``, ``"non-negative"`` (and finite), or ``"capacity"`` (non-negative, infinity allowed).
        missing : float, optional
            Stands in where an arc has no such attribute; without it that is an error.

        Raises
        ------
        InvalidProgram
            With the first arc that has none, or breaks the law.
        """
        found = np.empty(len(self.arcs))
        for a, arc in enumerate(self.arcs):
            if isinstance(given, str):
                value: Any = self.data[a].get(given, missing)
                has = ", ".join(map(str, self.data[a])) or "no attributes"
            elif isinstance(given, Mapping):
                value, has = given.get(arc, given.get(arc[:2], missing)), "no entry in the mapping"
            else:
                value, has = given, ""
            what = repr(given) if isinstance(given, str) else name
            if value is None:
                raise InvalidProgram("network-attribute", name=name, law="a number", where=f"arc {self.label(a)} has no {what}; it has {has}")
            number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool) and not math.isnan(value)
            fits = number and (law == "finite" or value >= 0) and (law == "capacity" or math.isfinite(value))
            if not fits:
                wanted = {"finite": "a finite number", "non-negative": "a non-negative finite number", "capacity": "a non-negative number"}[law]
                raise InvalidProgram("network-attribute", name=name, law=wanted, where=f"arc {self.label(a)} has {what} = {value!r}")
            found[a] = value
        return found

    def chosen(self, given: str | Iterable[Any], name: str) -> NDArray[np.bool_]:
        """Which arcs are meant by an attribute that is true on them, or by a list of arcs; [A].

        Raises
        ------
        InvalidProgram
            If there is none, or one of the list is not an arc.
        """
        if isinstance(given, str):
            mask = np.array([bool(data.get(given, False)) for data in self.data])
            if not mask.any():
                raise InvalidProgram("network-arcs", name=name, where=f"no arc has a true attribute {given!r}")
            return mask
        mask = np.zeros(len(self.arcs), bool)
        for arc in given:
            key = tuple(arc) if isinstance(arc, Sequence) and not isinstance(arc, str) else arc
            meant = [a for a, mine in enumerate(self.arcs) if key in (mine, mine[:2])]
            if not meant:
                raise InvalidProgram("network-arcs", name=name, where=f"{arc!r} is not an arc of the graph")
            mask[meant] = True
        if not mask.any():
            raise InvalidProgram("network-arcs", name=name, where="the list is empty")
        return mask

    def reached(self, start: int, usable: NDArray[np.bool_], *, backwards: bool = False) -> NDArray[np.bool_]:
        """Nodes that can be reached from `start` over `usable` arcs (that reach it, if `backwards`); [nodes]."""
        tail, head = (self.head, self.tail) if backwards else (self.tail, self.head)
        seen = np.zeros(len(self.nodes), bool)
        seen[start] = True
        while True:
            new = usable & seen[tail] & ~seen[head]
            if not new.any():
                return seen
            seen[head[new]] = True

    def between(self, source: int, target: int) -> NDArray[np.bool_]:
        """Arcs that can lie on a route from `source` to `target` without a cycle; [A].

        Others carry nothing in some optimal flow, and their nodes would leave multipliers undetermined.
        """
        usable = (self.head != source) & (self.tail != target) & (self.tail != self.head)
        ahead, behind = self.reached(source, usable), self.reached(target, usable, backwards=True)
        found: NDArray[np.bool_] = usable & ahead[self.tail] & behind[self.head]
        return found

    def distances(self, start: int, cost: Array, *, backwards: bool = False) -> Array:
        """Least cost from `start` to every node (to it, if `backwards`), infinite where there is no path; [nodes]. Costs are
        non-negative, or infinite for arcs that must not be used."""
        tail, head = (self.head, self.tail) if backwards else (self.tail, self.head)
        found = np.full(len(self.nodes), np.inf)
        found[start] = 0.0
        for _ in range(len(self.nodes)):
            offered = found[tail] + cost
            better = found.copy()
            np.minimum.at(better, head, offered)
            if np.array_equal(better, found):
                break
            found = better
        return found

    def tree(self, start: int, cost: Array) -> tuple[Array, Ints]:
        """Least costs from `start`, and the last arc of a cheapest path to each node, -1 where there is none; [nodes] each."""
        leaving: list[list[int]] = [[] for _ in self.nodes]
        for a in np.flatnonzero(np.isfinite(cost)):
            leaving[self.tail[a]].append(int(a))
        found, last = np.full(len(self.nodes), np.inf), np.full(len(self.nodes), -1)
        found[start] = 0.0
        heap = [(0.0, start)]
        while heap:
            at, u = heapq.heappop(heap)
            for arc in leaving[u] if at <= found[u] else ():
                v, reached = int(self.head[arc]), at + float(cost[arc])
                if reached < found[v]:
                    found[v], last[v] = reached, arc
                    heapq.heappush(heap, (reached, v))
        return found, last


@dataclass(frozen=True, eq=False)
class Commodity:
    """Demand from one node to another, and the arcs its travellers can use.

    Attributes
    ----------
    source, target : int
        Numbers of nodes.
    demand : float
    name : str
        ``"home to work"``.
    ends : tuple
        Both nodes as the user has them.
    arcs : int array
        Numbers of arcs on routes from source to target.
    """

    source: int
    target: int
    demand: float
    name: str
    ends: tuple[Any, Any]
    arcs: Ints


def read(graph: Any) -> Network:
    """A networkx DiGraph or MultiDiGraph as a `Network`; raises InvalidProgram for anything else."""
    if not all(hasattr(graph, name) for name in ("nodes", "edges", "is_directed", "is_multigraph")):
        raise InvalidProgram("network-graph", where=f"got a {type(graph).__name__}")
    if not graph.is_directed():
        raise InvalidProgram("network-graph", where=f"this {type(graph).__name__} is undirected", help="graph.to_directed() makes two arcs of every edge")
    nodes = tuple(graph.nodes)
    edges = list(graph.edges(keys=True, data=True) if graph.is_multigraph() else graph.edges(data=True))
    if not edges:
        raise InvalidProgram("network-graph", where=f"it has {len(nodes)} nodes and no arc")
    number = {node: i for i, node in enumerate(nodes)}
    return Network(
        nodes=nodes,
        arcs=tuple(tuple(edge[:-1]) for edge in edges),
        data=tuple(edge[-1] for edge in edges),
        tail=np.array([number[edge[0]] for edge in edges]),
        head=np.array([number[edge[1]] for edge in edges]),
    )


def read_commodities(network: Network, given: Iterable[Any]) -> tuple[Commodity, ...]:
    """Read ``(source, target)`` or ``(source, target, demand)`` entries; the demand is 1 if not given.

    Raises
    ------
    InvalidProgram
        If a node is not in the graph, no path leads from source to target, a demand is not positive, or a pair comes twice.
    """
    found: list[Commodity] = []
    for entry in given:
        if not isinstance(entry, Sequence) or isinstance(entry, str) or len(entry) not in (2, 3):
            raise InvalidProgram("network-commodity", law="(source, target, demand)", where=f"got {entry!r}")
        demand = entry[2] if len(entry) == 3 else 1.0
        source, target = connected(network, entry[0], entry[1])
        if isinstance(demand, bool) or not isinstance(demand, int | float | np.integer | np.floating) or not 0 < demand < math.inf:
            raise InvalidProgram("network-commodity", law="a positive finite demand", where=f"{entry[0]} to {entry[1]} has {demand!r}")
        if any((c.source, c.target) == (source, target) for c in found):
            raise InvalidProgram("network-commodity", law="each pair once", where=f"{entry[0]} to {entry[1]} comes twice", help="add their demands up")
        arcs = np.flatnonzero(network.between(source, target))
        found.append(Commodity(source, target, float(demand), f"{entry[0]} to {entry[1]}", (entry[0], entry[1]), arcs))
    if not found:
        raise InvalidProgram("network-commodity", law="at least one commodity", where="the list is empty")
    return tuple(found)


def connected(network: Network, source: Any, target: Any) -> tuple[int, int]:
    """Numbers of both nodes; raises InvalidProgram if one is unknown, both are the same, or no path connects them."""
    s, t = network.node(source, "source"), network.node(target, "target")
    if s == t:
        raise InvalidProgram("network-path", source=source, target=target, where="source and target are the same node")
    ahead = network.reached(s, np.ones(len(network.arcs), bool))
    if not ahead[t]:
        reached = [node for node, there in zip(network.nodes, ahead) if there]
        raise InvalidProgram("network-path", source=source, target=target, where=f"from {source!r} one reaches only {_few(reached)}")
    return s, t


def _few(nodes: Sequence[Any]) -> str:
    return ", ".join(repr(node) for node in nodes[:6]) + (", ..." if len(nodes) > 6 else "")
