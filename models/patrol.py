"""Patrol: a guard walks on a graph, an intruder watches where it is.

The state is the node at which the guard (leader) stands. In each period the guard stays or moves along an edge, and at the same
time the intruder (follower), who has seen where the guard stands and knows how it randomises, raids a node or waits. A raid
on the node where the guard ends the period is caught:

    rewards (leader, follower)      wait            raid node v, guard elsewhere    raid node v, guard there
                                    0, 0            -value[v], value[v]             reward, -fine

and the guard pays `travel` for a move. All states share one set of actions, "go to v" for every node v: a node that is not
next to the guard's is out of reach; the guard stays where it is and pays `travel` all the same, so that it never gains by such an order.

With `raid_ends` a raid ends the night, whatever comes of it, and the next period begins at the base. Both players then move the
state, and the intruder has to ask whether to strike now or when the guard is further away; the best randomised patrol is found by
branch and bound over occupancy measures (theory D8). Without it raids go on under the eyes of the guard; the response does not
move the state, and linear programs are enough, also on graphs with dozens of nodes (theory P1).

With the default figures the guard holds a post between a mill and a store, and the best patrol leaves the post just so often that
the intruder would rather wait there than strike: it raids the other house once the guard is away. That is worth -4.14, the
fixed point with the very same patrol -5.53, for there the intruder strikes at the post already, and the best deterministic patrol
-10.50. If raids go on under the guard's eyes, the best patrol is worth -5.74.

Your own graph, in Python and on the command line (names joined by a dash, values in the order in which the names appear first):

    graph = networkx.grid_2d_graph(3, 2)
    networkx.set_node_attributes(graph, {node: node[0] for node in graph}, "value")
    stackopt.catalog.build("patrol", graph=graph, raid_ends=False)

    stackopt solve patrol --set "edges=['hall-vault','hall-yard']" --set "values=[0,5,1]"

Source: constructed for this package. Patrols on graphs with an intruder who watches are those of N. Basilico, N. Gatti and F.
Amigoni, Leader-follower strategies for robotic patrolling in environments with arbitrary topologies (AAMAS 2009), and of Y.
Vorobeychik, B. An, M. Tambe and S. Singh, Computational solutions in infinite-horizon adversarial patrolling games (ICAPS 2014),
both from memory: there an attack ends the game, and in the first it takes several periods. The graph, the figures, nights
that begin again and the cost of moving are added here.
"""

from __future__ import annotations

from numbers import Real
from typing import Any

from stackopt import StackelbergGame
from stackopt.catalog import require

#: Of the default parameters; `strong_if_raids_go_on` with ``raid_ends=False``. The weak value is approached by leaving the post a little
#: more often, not attained. The fixed point is a mixed equilibrium with the patrol of the strong commitment; there may be others.
KNOWN: dict[str, object] = {
    "strong": -4.1413141679,
    "weak": -4.1413141679,
    "fixed_point": -5.5254900294,
    "strong_deterministic": -10.5,
    "strong_if_raids_go_on": -5.7353195164,
    "tolerance": 1e-6,
    "reference": "two indifference equations; sequential quadratic programming for each pure response; one linear program for each response if raids go on",
}


def build(
    *,
    edges: tuple[str, ...] = ("post-mill", "post-store"),
    values: tuple[float, ...] = (0.0, 2.0, 3.0),
    graph: Any = None,
    base: str = "",
    raid_ends: bool = True,
    fine: float = 3.0,
    reward: float = 0.5,
    travel: float = 0.1,
    discount: float = 0.8,
) -> StackelbergGame:
    """The patrol game.

    Parameters
    ----------
    edges : tuple of str
        Pairs of node names joined by a dash; moves go both ways. Nodes are in the order in which they appear.
    values : tuple of float
        What a raid on each node takes, non-negative, in the order of the nodes; 0 is a node that nobody raids.
    graph : networkx graph, optional
        Instead of `edges` and `values`: nodes with an attribute ``value`` (0 where there is none); moves go along the edges
        of a directed graph.
    base : str
        Where the night begins; the first node if empty.
    raid_ends : bool
        Whether a raid ends the night.
    fine : float
        What a caught intruder loses; positive.
    reward : float
        What the guard gets for a caught raid.
    travel : float
        Cost of a move; non-negative.
    discount : float
        Of both players, in [0, 1).
    """
    beside, worth = _read(edges, values) if graph is None else _of(graph)
    nodes = list(beside)
    base = base or nodes[0]
    require("patrol", "base", base, base in beside, f"one of {', '.join(nodes)}")
    require("patrol", "graph" if graph is not None else "values", worth, any(v > 0 for v in worth.values()), "with a positive value somewhere")
    require("patrol", "fine", fine, fine > 0, "positive")
    require("patrol", "travel", travel, travel >= 0, "non-negative")

    def arrives(node: str, order: str) -> str:
        return order if order in beside[node] else node

    def transition(node: str, order: str, raid: str) -> list[tuple[str, float]]:
        return [(base if raid_ends and raid != "wait" else arrives(node, order), 1.0)]

    def leader_reward(node: str, order: str, raid: str) -> float:
        gained = 0.0 if raid == "wait" else reward if raid == arrives(node, order) else -worth[raid]
        return gained - travel * (order != node)

    def follower_reward(node: str, order: str, raid: str) -> float:
        return 0.0 if raid == "wait" else -fine if raid == arrives(node, order) else worth[raid]

    return StackelbergGame.from_functions(
        states=nodes,
        leader_actions=nodes,
        follower_actions=["wait", *(node for node in nodes if worth[node] > 0)],
        transition=transition,
        leader_reward=leader_reward,
        follower_reward=follower_reward,
        initial=lambda node: float(node == base),
        discount=discount,
        name="patrol",
    )


def _read(edges: tuple[str, ...], values: tuple[float, ...]) -> tuple[dict[str, set[str]], dict[str, float]]:
    """Neighbours and values by node, from names joined by dashes."""
    require("patrol", "edges", edges, len(edges) > 0, "one or more pairs of names")
    beside: dict[str, set[str]] = {}
    for edge in edges:
        ends = [name.strip() for name in edge.split("-")]
        require("patrol", "edges", edge, len(ends) == 2 and all(ends) and "wait" not in ends, "two names joined by one dash, neither of them 'wait'")
        for one, other in (ends, ends[::-1]):
            beside.setdefault(one, set()).add(other)
    require("patrol", "values", values, len(values) == len(beside), f"one for each of {', '.join(beside)}")
    require("patrol", "values", values, min(values) >= 0, "non-negative")
    return beside, dict(zip(beside, values, strict=True))


def _of(graph: Any) -> tuple[dict[str, set[str]], dict[str, float]]:
    """Neighbours and values by node, from a networkx graph."""
    require("patrol", "graph", graph, hasattr(graph, "nodes") and hasattr(graph, "adj") and len(graph) > 0, "a networkx graph with nodes")
    beside = {str(node): {str(other) for other in graph.adj[node]} for node in graph.nodes}
    require("patrol", "graph", graph, len(beside) == len(graph) and "wait" not in beside, "with nodes of different names, none of them 'wait'")
    worth = {str(node): data.get("value", 0.0) for node, data in graph.nodes(data=True)}
    usable = all(isinstance(v, Real) and 0 <= float(v) < float("inf") for v in worth.values())
    require("patrol", "graph", worth, usable, "with values that are non-negative numbers")
    return beside, worth
