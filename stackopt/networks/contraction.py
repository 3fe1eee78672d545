"""What matters of a network between tolls: a route is tolled arcs and cheapest toll-free stretches between them.

`stackopt.networks.tolls` says why nothing is lost: at any tolls a cheapest route has cheapest stretches, and all of these cost
and pay the same.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from stackopt.networks.graph import Array, Commodity, Ints, Network

#: Routes whose costs differ by at most this share of them cost the same.
SAME = 1e-9


def same(cost: float) -> float:
    """Up to where a cost counts as equal to `cost`."""
    return float(cost) + SAME * max(1.0, float(cost))


def cost_through(network: Network, k: Commodity, cost: Array) -> Array:
    """What the cheapest route of a commodity through each arc costs, [A]; infinite where there is none."""
    return network.distances(k.source, cost)[network.tail] + cost + network.distances(k.target, cost, backwards=True)[network.head]


def contracted(
    network: Network, travellers: tuple[Commodity, ...], tolled: NDArray[np.bool_], costs: Array, dearest: Array
) -> tuple[Network, tuple[Commodity, ...], Array, tuple[tuple[int, ...], ...]]:
    """The network of tolled arcs and cheapest toll-free stretches.

    Parameters
    ----------
    network : Network
    travellers : tuple of Commodity
        With the arcs that can be on a cheapest route.
    tolled : bool array [A]
    costs : array [A]
        Without tolls.
    dearest : array [K]
        No commodity pays more for a unit; stretches on dearer routes are left out.

    Returns
    -------
    short : Network
        On the same nodes. Its first arcs are the tolled ones, in order; the others are called ``u..v``.
    travellers : tuple of Commodity
        With arcs of `short`.
    costs : array
        Of the arcs of `short`.
    stretches : tuple of tuple of int
        The arcs of `network` that each arc of `short` stands for.
    """
    priced = np.flatnonzero(tolled)
    short = _Arcs(network, np.where(tolled, np.inf, costs))
    for a in priced:
        short.add(int(network.tail[a]), int(network.head[a]), float(costs[a]), (int(a),), network.label(int(a)))
    number = {int(a): i for i, a in enumerate(priced)}
    kept = []
    for k, limit in zip(travellers, dearest):
        mine = [int(a) for a in k.arcs if tolled[a]]
        ahead, behind = network.distances(k.source, costs), network.distances(k.target, costs, backwards=True)
        arcs = [number[a] for a in mine]
        starts = {k.source, *(int(network.head[a]) for a in mine)} - {k.target}
        ends = {k.target, *(int(network.tail[a]) for a in mine)} - {k.source}
        for u in sorted(starts):
            for v in sorted(ends - {u}):
                if ahead[u] + short.distance(u, v) + behind[v] <= same(limit) and not short.passes(u, v, starts & ends):
                    arcs.append(short.stretch(u, v))
        kept.append(dataclasses.replace(k, arcs=np.array(sorted(arcs), int)))
    return short.network(), tuple(kept), np.array(short.costs), tuple(short.stretches)


class _Arcs:
    """Arcs under construction, and cheapest toll-free paths, each tree computed once."""

    def __init__(self, network: Network, free: Array) -> None:
        self.whole, self.free = network, free
        self.tail: list[int] = []
        self.head: list[int] = []
        self.costs: list[float] = []
        self.stretches: list[tuple[int, ...]] = []
        self.names: list[str] = []
        self.number: dict[tuple[int, int], int] = {}
        self.trees: dict[int, tuple[Array, Ints]] = {}

    def add(self, u: int, v: int, cost: float, arcs: tuple[int, ...], name: str) -> int:
        self.tail.append(u)
        self.head.append(v)
        self.costs.append(cost)
        self.stretches.append(arcs)
        self.names.append(name)
        return len(self.tail) - 1

    def tree(self, u: int) -> tuple[Array, Ints]:
        if u not in self.trees:
            self.trees[u] = self.whole.tree(u, self.free)
        return self.trees[u]

    def distance(self, u: int, v: int) -> float:
        """Of the cheapest toll-free path; infinite without one."""
        return float(self.tree(u)[0][v])

    def passes(self, u: int, v: int, middle: set[int]) -> bool:
        """Whether two stretches over a node of `middle` do as well as one: then the one is left out, or ties would be counted twice."""
        parts = ((self.distance(u, w), self.distance(w, v)) for w in middle - {u, v})
        return any(first > 0 and second > 0 and first + second <= self.distance(u, v) for first, second in parts)

    def stretch(self, u: int, v: int) -> int:
        """The arc for the cheapest toll-free path from u to v."""
        if (u, v) not in self.number:
            last, at, path = self.tree(u)[1], v, []
            while at != u:
                path.append(int(last[at]))
                at = int(self.whole.tail[path[-1]])
            name = f"{self.whole.nodes[u]}..{self.whole.nodes[v]}"
            self.number[u, v] = self.add(u, v, self.distance(u, v), tuple(reversed(path)), name)
        return self.number[u, v]

    def network(self) -> Network:
        """As a `Network`."""
        count = len(self.tail)
        return Network(self.whole.nodes, tuple(range(count)), ({},) * count, np.array(self.tail), np.array(self.head), tuple(self.names))
