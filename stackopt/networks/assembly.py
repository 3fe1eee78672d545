"""From lists of entries to the levels of a `BilevelProgram`; what every program on a network shares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from stackopt.bilevel.program import Rows
from stackopt.networks.graph import Array, Commodity, Ints, Network

if TYPE_CHECKING:
    from scipy.sparse import csr_array

#: Which question a program on a network asks.
Question = Literal["toll_setting", "congestion_tolls", "shortest_path_interdiction", "maximum_flow_interdiction"]


@dataclass(frozen=True, eq=False)
class NetworkOrigin:
    """Where the variables of a program stand in its network: what `outcome` and `draw` read.

    Attributes
    ----------
    question : str
    network : Network
    commodities : tuple of Commodity
    flow : tuple of int arrays
        For each commodity, the variables of its arcs, in the order of ``commodity.arcs``.
    stretches : tuple of tuple of int
        The arcs of the network that each arc of the commodities stands for; empty where they are arcs of the network themselves.
    leader : mapping of int to int
        From arcs the leader decides about (toll, interdiction) to variables.
    data : mapping of str to array [A]
        Attributes of the arcs that the program uses.
    """

    question: Question
    network: Network
    commodities: tuple[Commodity, ...]
    flow: tuple[Ints, ...]
    leader: Mapping[int, int]
    data: Mapping[str, Array] = field(default_factory=dict)
    stretches: tuple[tuple[int, ...], ...] = ()

    def find(self, key: Any) -> int | None:
        """The leader's variable of an arc ``(u, v)`` or ``(u, v, key)``; None if it has none there."""
        if isinstance(key, tuple):
            for arc, variable in self.leader.items():
                if key in (self.network.arcs[arc], self.network.arcs[arc][:2]):
                    return variable
        return None

    def row(self, key: Any) -> None:
        """No rows are found by keys; they have names."""


def flow_name(network: Network, commodity: Commodity, arc: int, several: bool, what: str = "flow") -> str:
    """``flow[a->b]``, or ``flow[s to t, a->b]`` among several commodities."""
    return f"{what}[{commodity.name}, {network.label(arc)}]" if several else f"{what}[{network.label(arc)}]"


def balance(network: Network, commodity: Commodity, columns: Ints, several: bool) -> Triplets:
    """Conservation of a commodity's flow: what leaves a node less what enters it is the demand at the source and zero
    elsewhere. The target's row is left out: it is minus the sum of the others, and without it multipliers are unique
    up to what the flow leaves open, and measured from the target.

    Parameters
    ----------
    columns : int array
        The variables of ``commodity.arcs``.
    """
    triplets = Triplets()
    tail, head = network.tail[commodity.arcs], network.head[commodity.arcs]
    inside = [v for v in range(len(network.nodes)) if v != commodity.target and (v in tail or v in head)]
    place = {v: i for i, v in enumerate(inside)}
    for column, u, v in zip(columns, tail, head):
        if int(u) in place:
            triplets.entry(place[int(u)], int(column), 1.0)
        if int(v) in place:
            triplets.entry(place[int(v)], int(column), -1.0)
    for v in inside:
        demand = commodity.demand if v == commodity.source else 0.0
        at = f"{commodity.name}, {network.nodes[v]}" if several else f"{network.nodes[v]}"
        triplets.row(f"balance[{at}]", demand, demand)
    return triplets


class Triplets:
    """Rows under construction."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.lower: list[float] = []
        self.upper: list[float] = []
        self.entries: list[tuple[int, int, float]] = []

    def row(self, name: str, lower: float, upper: float) -> int:
        """Add the bounds of a row; its number."""
        self.names.append(name)
        self.lower.append(lower)
        self.upper.append(upper)
        return len(self.names) - 1

    def entry(self, row: int, column: int, value: float) -> None:
        """Add a coefficient."""
        self.entries.append((row, column, value))

    def fill(self, row: int, entries: Iterable[tuple[int, float]]) -> None:
        """Add coefficients by column."""
        self.entries += [(row, column, value) for column, value in entries]

    def rows(self, size: int) -> Rows:
        """The rows over `size` symbols."""
        return Rows(tuple(self.names), matrix(self.entries, (len(self.names), size)), np.array(self.lower), np.array(self.upper))


def matrix(entries: Iterable[tuple[int, int, float]], shape: tuple[int, int]) -> csr_array:
    """A sparse matrix from (row, column, value) entries; equal places add up."""
    from scipy import sparse

    found = list(entries)
    rows, columns, values = ([entry[i] for entry in found] for i in range(3))
    return sparse.csr_array((np.array(values, float), (np.array(rows, int), np.array(columns, int))), shape=shape)


def form(entries: Sequence[tuple[int, int, float]], size: int) -> csr_array | None:
    """The upper triangle of a quadratic form from coefficients of products, or None without any."""
    return matrix([(min(i, j), max(i, j), value) for i, j, value in entries], (size, size)) if entries else None


def vector(entries: Mapping[int, float] | Iterable[tuple[int, float]], size: int) -> Array:
    """A linear form; equal places add up."""
    found = np.zeros(size)
    for column, value in entries.items() if isinstance(entries, Mapping) else entries:
        found[column] += value
    return found
