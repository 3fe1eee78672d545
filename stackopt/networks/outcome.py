"""What an answer says about the network: tolls, flows, interdicted arcs, by the user's own arcs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from stackopt.display import Block, number
from stackopt.errors import InvalidProgram
from stackopt.networks.graph import Array

if TYPE_CHECKING:
    from stackopt.networks.assembly import NetworkOrigin
    from stackopt.solution import Solution

#: Flows below this share of the largest are zero: the feasibility tolerance of the solvers, with room.
NOTHING = 1e-6


@dataclass(frozen=True)
class Outcome:
    """An answer in terms of the graph.

    Attributes
    ----------
    question : str
        What was asked, e.g. ``"toll_setting"``.
    flows : mapping of arc to float
        All commodities together, arcs without flow left out.
    by_commodity : mapping of (source, target) to mapping of arc to float
    tolls : mapping of arc to float
        Of every arc that may be tolled. On an arc without flow the toll means little: any larger one does as well.
    interdicted : tuple of arcs
    revenue : float
        Tolls times flows; zero where there are none.
    value : float
        The leader's, as certified.
    """

    question: str
    flows: Mapping[Any, float]
    by_commodity: Mapping[tuple[Any, Any], Mapping[Any, float]]
    tolls: Mapping[Any, float] = field(default_factory=dict)
    interdicted: tuple[Any, ...] = ()
    revenue: float = 0.0
    value: float = float("nan")

    def block(self) -> Block:
        """The printed form."""
        count, ends = len(self.by_commodity), "; ".join(f"{s} to {t}" for s, t in list(self.by_commodity)[:3])
        rows = [("value", number(self.value)), ("from - to", ends + (f" and {count - 3} more" if count > 3 else ""))]
        rows += [("tolls", _listed({arc: toll for arc, toll in self.tolls.items() if toll > NOTHING}))] if self.tolls else []
        rows += [("revenue", number(self.revenue))] if self.tolls else []
        rows += [("interdicted", ", ".join(map(_arc, self.interdicted)) or "none")] if "interdiction" in self.question else []
        rows.append(("flows", _listed(self.flows)))
        return Block(f"Outcome of {self.question.replace('_', ' ')}", tuple(rows))

    def __str__(self) -> str:
        return self.block().text()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.block().html()


def _arc(arc: Any) -> str:
    return f"{arc[0]}->{arc[1]}" + (f" {arc[2]}" if len(arc) > 2 else "")


def _listed(values: Mapping[Any, float]) -> str:
    shown = [f"{_arc(arc)} {number(value)}" for arc, value in list(values.items())[:12]]
    return ", ".join(shown) + (f" and {len(values) - 12} more" if len(values) > 12 else "") or "none"


def outcome(solution: Solution[Any]) -> Outcome:
    """Read a solution of a program on a network.

    Parameters
    ----------
    solution : Solution
        Of a program that `toll_setting`, `congestion_tolls` or an interdiction made. A limit's incumbent is read like an answer.

    Raises
    ------
    InvalidProgram
        If the solution is of another program, or has no candidate.
    """
    origin = origin_of(solution)
    if solution.candidate is None:
        raise InvalidProgram("network-outcome", law="a solution with a candidate", where=f"{solution.status}: {solution.because}")
    values = np.asarray(solution.candidate.values, float)
    chosen = {a: float(values[j]) for a, j in origin.leader.items()}
    interdicted = [a for a, value in chosen.items() if value > 0.5] if "interdiction" in origin.question else []
    flows = [_spread(origin, k, values) for k in range(len(origin.commodities))]
    if origin.question == "maximum_flow_interdiction":
        flows = [_largest_flow(origin, interdicted)]
    total = np.sum(flows, axis=0)
    smallest = NOTHING * max(1e-300, float(total.max(initial=0.0)))
    tolls = {} if interdicted or "interdiction" in origin.question else chosen
    arcs = origin.network.arcs
    return Outcome(
        question=origin.question,
        flows=_by_arc(arcs, total, smallest),
        by_commodity={k.ends: _by_arc(arcs, flow, smallest) for k, flow in zip(origin.commodities, flows)},
        tolls={arcs[a]: toll for a, toll in tolls.items()},
        interdicted=tuple(arcs[a] for a in interdicted),
        revenue=float(sum(toll * total[a] for a, toll in tolls.items())),
        value=float(solution.value),
    )


def origin_of(solution: Solution[Any]) -> NetworkOrigin:
    """What the program remembers of its network; raises InvalidProgram if it is of no network."""
    from stackopt.networks.assembly import NetworkOrigin

    origin = getattr(solution.problem, "origin", None)
    if not isinstance(origin, NetworkOrigin):
        raise InvalidProgram("network-outcome", law="a program made by stackopt.networks", where=f'"{solution.problem.name}" was not')
    return origin


def _spread(origin: NetworkOrigin, k: int, values: Array) -> Array:
    flow = np.zeros(len(origin.network.arcs))
    for arc, amount in zip(origin.commodities[k].arcs, values[origin.flow[k]]):
        flow[list(origin.stretches[arc]) if origin.stretches else arc] += amount
    return flow


def _largest_flow(origin: NetworkOrigin, interdicted: list[int]) -> Array:
    """A maximum flow over the arcs that are left; [A]."""
    import networkx as nx
    from networkx.algorithms.flow import edmonds_karp

    route, capacity, flow = origin.commodities[0], origin.data["capacity"], np.zeros(len(origin.network.arcs))
    left = [int(a) for a in route.arcs if a not in interdicted and capacity[a] > 0]
    graph = nx.DiGraph()
    graph.add_nodes_from(((0, route.source), (0, route.target)))
    for a in left:  # each arc by a node of its own, so that parallel arcs stay apart
        graph.add_edge((0, int(origin.network.tail[a])), (1, a), capacity=float(capacity[a]))
        graph.add_edge((1, a), (0, int(origin.network.head[a])), capacity=float(capacity[a]))
    _, sent = nx.maximum_flow(graph, (0, route.source), (0, route.target), flow_func=edmonds_karp)  # by augmenting paths: no idle cycles
    for a in left:
        flow[a] = sent[1, a][0, int(origin.network.head[a])]
    return flow


def _by_arc(arcs: tuple[Any, ...], flow: Array, smallest: float) -> dict[Any, float]:
    return {arcs[a]: float(flow[a]) for a in np.flatnonzero(flow > smallest)}
