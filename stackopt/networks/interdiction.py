r"""Interdiction: the leader blocks or lengthens arcs within a budget; the follower finds the shortest path, or the maximum flow.

Both are games of opposed interests, so no tie can matter: the leader's value *is* the follower's optimal value. Both are stated
so that the follower's feasible set does not depend on the leader, and so that the leader's objective is linear in the
follower's multipliers. :math:`y_a \in \{0, 1\}`: arc a is interdicted; :math:`\sum_a r_a y_a \le R`.

**Shortest path.** :math:`y_a = 1` adds a delay :math:`d_a` to the length :math:`c_a`:

.. math:: \max_y\ \min_x \Bigl\{ \sum_a (c_a + d_a y_a) x_a : Nx = e_s - e_t,\ x \ge 0 \Bigr\} .

At an optimum the follower's value is :math:`\lambda_s`, the multiplier of the source's row (the target's row is left out), by
linear programming duality. The leader maximises ``length``, that multiplier.

*Removal* is a delay, too. Let U bound the length of the shortest path that is left, whatever the leader removes, and
:math:`\ell_a` be the length of the shortest walk through a. With :math:`d_a > U - \ell_a` a path over a removed arc is longer than U,
hence not shortest, and the follower avoids removed arcs. U comes from the data: if at most m arcs can be paid for, and m + 1
paths share no arc that can be removed, then one of them is left, and U is the longest of them; they are found as a cheapest
flow of m + 1 units. Where there are no such paths, U is the sum of the :math:`|V| - 1` largest lengths, as a simple path is left
unless the leader can cut s from t. Whether it can is decided first, by a minimum cut with the prices :math:`r` as capacities; then
there is no longest shortest path, and the error names the cut.

**Maximum flow.** :math:`y_a = 1` removes arc a with capacity :math:`u_a`. Instead of the capacity, the follower's objective loses
one for each unit over a removed arc:

.. math:: \min_y\ \max_x \Bigl\{ \text{flow out of } s - \sum_a y_a x_a : \text{balance at all other nodes but } t,\ 0 \le x \le u \Bigr\} .

This is the maximum flow of the network that is left. At least: such a flow is feasible and loses nothing. At most: split any
feasible flow into paths and cycles; a path over a removed arc gains at most 1 - 1 = 0 and a cycle at most 0, so leaving them
out loses nothing, and what remains uses no removed arc. (A follower indifferent between such a path and none may show flow on
a removed arc; `outcome` reports a maximum flow of what is left.) At an optimum the value is :math:`\sum_a u_a \pi_a` with
:math:`\pi_a` the multipliers of the capacities; the leader minimises that. Its relaxation is R. K. Wood's program.

An infinite capacity is replaced by 1 + the sum of the finite ones. If the leader can afford to cut all paths of infinite
capacity, its optimum lets through no more than the finite arcs carry, and the replacement changes nothing; if it cannot, the
maximum flow is infinite whatever it does, and that is an error.

Source: D. R. Fulkerson, G. C. Harding, Mathematical Programming 13 (1977); E. Israeli, R. K. Wood, Networks 40 (2002), shortest
paths; R. Wollmer, Operations Research 12 (1964); R. K. Wood, Mathematical and Computer Modelling 17 (1993), maximum flow;
the penalty instead of the capacity: K. J. Cormican, D. P. Morton, R. K. Wood, Operations Research 46 (1998).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from stackopt.bilevel.program import BilevelProgram, Level, Multiplier, Objective
from stackopt.errors import InvalidProgram
from stackopt.networks.assembly import NetworkOrigin, Triplets, balance, flow_name, form, vector
from stackopt.networks.graph import Array, Attribute, Commodity, Ints, Network, connected, read


def shortest_path_interdiction(
    graph: Any,
    source: Any,
    target: Any,
    budget: float = 1.0,
    length: Attribute = "length",
    *,
    delay: Attribute | None = None,
    price: Attribute = 1.0,
    interdictable: str | Iterable[Any] | None = None,
    name: str = "shortest_path_interdiction",
) -> BilevelProgram:
    """Which arcs to remove, or to delay, so that the shortest path becomes longest; see the module for the algebra.

    Parameters
    ----------
    graph : networkx DiGraph or MultiDiGraph
    source, target : node
    budget : float
        What the interdicted arcs may cost in all.
    length : str, number or mapping of arc to number
        Of the arcs; non-negative.
    delay : str, number or mapping, optional
        Added to the length of an interdicted arc; by default interdicted arcs are removed.
    price : str, number or mapping
        Of interdicting an arc; non-negative.
    interdictable : str or iterable of arcs, optional
        An edge attribute that is true on the arcs that can be interdicted, or a list of them; all by default.
    name : str

    Returns
    -------
    BilevelProgram
        Binary leader variables ``interdict[u->v]``; its value is the length of the shortest path that is left.

    Raises
    ------
    InvalidProgram
        If the graph is undirected or empty, a node unknown, the target out of reach, a length or price missing or negative, or the
        budget suffices to cut the target off.

    Examples
    --------
    >>> import networkx as nx
    >>> from stackopt import networks
    >>> graph = nx.DiGraph([("s", "a", {"length": 1}), ("a", "t", {"length": 1}), ("s", "t", {"length": 5})])
    >>> networks.shortest_path_interdiction(graph, "s", "t", budget=1).name
    'shortest_path_interdiction'
    """
    network = read(graph)
    lengths, prices = network.values(length, "length", "non-negative"), network.values(price, "price", "non-negative")
    route = _route(network, source, target)
    able = _interdictable(network, route, interdictable)
    if delay is None:
        _require_no_cut(network, route, able, prices, _budget(budget))
        delays = _removal(network, route, able, lengths, prices, _budget(budget))
    else:
        delays = network.values(delay, "delay", "non-negative")
    leader, mine = np.arange(len(able)), np.arange(len(able), len(able) + len(route.arcs))
    n = len(leader) + len(mine)
    place = {int(a): int(j) for a, j in zip(able, leader)}
    late = [(place[int(a)], int(j), float(delays[a])) for j, a in zip(mine, route.arcs) if int(a) in place]
    rows = balance(network, route, mine, False)
    at_source = next(row for row, demand in zip(rows.names, rows.lower) if demand)
    follower = Objective("min", vector(zip(mine.tolist(), lengths[route.arcs].tolist()), n + 1), form(late, n + 1))
    return BilevelProgram(
        names=(*(f"interdict[{network.label(a)}]" for a in able), *(flow_name(network, route, a, False) for a in route.arcs)),
        owner=np.repeat([-1, 0], [len(leader), len(mine)]),
        lower=np.zeros(n),
        upper=np.where(np.arange(n) < len(leader), 1.0, np.inf),
        integer=np.arange(n) < len(leader),
        leader=Level("leader", Objective("max", vector({n: 1.0}, n + 1)), _within(leader, prices[able], _budget(budget)).rows(n + 1)),
        followers=(Level("traveller", follower, rows.rows(n + 1)),),
        multipliers=(Multiplier("length", "traveller", at_source),),
        name=name,
        source=f"a network of {len(network.nodes)} nodes and {len(network.arcs)} arcs",
        origin=NetworkOrigin("shortest_path_interdiction", network, (route,), (mine,), place, {"length": lengths, "delay": delays, "price": prices}),
    )


def maximum_flow_interdiction(
    graph: Any,
    source: Any,
    target: Any,
    budget: float = 1.0,
    capacity: Attribute = "capacity",
    *,
    price: Attribute = 1.0,
    interdictable: str | Iterable[Any] | None = None,
    name: str = "maximum_flow_interdiction",
) -> BilevelProgram:
    """Which arcs to remove so that least can flow; see the module for the algebra.

    Parameters
    ----------
    graph : networkx DiGraph or MultiDiGraph
    source, target : node
    budget : float
        What the removed arcs may cost in all.
    capacity : str, number or mapping of arc to number
        Of the arcs; non-negative, infinite allowed.
    price : str, number or mapping
        Of removing an arc; non-negative.
    interdictable : str or iterable of arcs, optional
        An edge attribute that is true on the arcs that can be removed, or a list of them; all by default.
    name : str

    Returns
    -------
    BilevelProgram
        Binary leader variables ``interdict[u->v]``; its value is the maximum flow that is left.

    Raises
    ------
    InvalidProgram
        If the graph is undirected or empty, a node unknown, the target out of reach, a capacity or price missing or negative, or
        the flow infinite whatever is removed.
    """
    network = read(graph)
    capacities, prices = network.values(capacity, "capacity", "capacity"), network.values(price, "price", "non-negative")
    route = _route(network, source, target)
    able = _interdictable(network, route, interdictable)
    _require_finite_flow(network, route, able, prices, capacities, _budget(budget))
    finite = np.isfinite(capacities)
    capacities = np.where(finite, capacities, 1.0 + capacities[finite].sum())
    leader, mine = np.arange(len(able)), np.arange(len(able), len(able) + len(route.arcs))
    n, size = len(leader) + len(mine), len(leader) + 2 * len(mine)
    place = {int(a): int(j) for a, j in zip(able, leader)}
    lost = [(place[int(a)], int(j), -1.0) for j, a in zip(mine, route.arcs) if int(a) in place]
    out = [(int(j), 1.0) for j, a in zip(mine, route.arcs) if network.tail[a] == route.source]
    rows = _flow_rows(network, route, mine, capacities)
    least = vector(zip(range(n, size), capacities[route.arcs].tolist()), size)
    return BilevelProgram(
        names=(*(f"interdict[{network.label(a)}]" for a in able), *(flow_name(network, route, a, False) for a in route.arcs)),
        owner=np.repeat([-1, 0], [len(leader), len(mine)]),
        lower=np.zeros(n),
        upper=np.where(np.arange(n) < len(leader), 1.0, np.inf),
        integer=np.arange(n) < len(leader),
        leader=Level("leader", Objective("min", least), _within(leader, prices[able], _budget(budget)).rows(size)),
        followers=(Level("shipper", Objective("max", vector(out, size), form(lost, size)), rows.rows(size)),),
        multipliers=tuple(Multiplier(f"cut[{network.label(a)}]", "shipper", f"capacity[{network.label(a)}]") for a in route.arcs),
        name=name,
        source=f"a network of {len(network.nodes)} nodes and {len(network.arcs)} arcs",
        origin=NetworkOrigin("maximum_flow_interdiction", network, (route,), (mine,), place, {"capacity": capacities, "price": prices}),
    )


def _flow_rows(network: Network, route: Commodity, columns: Ints, capacities: Array) -> Triplets:
    """Balance at every node but source and target, then capacities."""
    whole, rows = balance(network, route, columns, False), Triplets()
    place = {i: rows.row(name, 0.0, 0.0) for i, (name, demand) in enumerate(zip(whole.names, whole.lower)) if not demand}
    for row, column, value in whole.entries:
        if row in place:
            rows.entry(place[row], column, value)
    for column, a in zip(columns, route.arcs):
        rows.entry(rows.row(f"capacity[{network.label(a)}]", -np.inf, float(capacities[a])), int(column), 1.0)
    return rows


def _route(network: Network, source: Any, target: Any) -> Commodity:
    s, t = connected(network, source, target)
    return Commodity(s, t, 1.0, f"{source} to {target}", (source, target), np.flatnonzero(network.between(s, t)))


def _interdictable(network: Network, route: Commodity, given: str | Iterable[Any] | None) -> Ints:
    mask = np.ones(len(network.arcs), bool) if given is None else network.chosen(given, "interdictable")
    able: Ints = route.arcs[mask[route.arcs]]
    if not len(able):
        raise InvalidProgram("network-arcs", name="interdictable", where=f"none of them is on a route from {route.ends[0]} to {route.ends[1]}")
    return able


def _budget(budget: float) -> float:
    if isinstance(budget, bool) or not isinstance(budget, int | float | np.integer | np.floating) or not 0 <= budget < np.inf:
        raise InvalidProgram("network-attribute", name="budget", law="a non-negative finite number", where=f"it is {budget!r}")
    return float(budget)


def _within(leader: Ints, prices: Array, budget: float) -> Triplets:
    rows = Triplets()
    rows.row("budget", -np.inf, budget)
    for column, price in zip(leader, prices):
        rows.entry(0, int(column), float(price))
    return rows


def _removal(network: Network, route: Commodity, able: Ints, lengths: Array, prices: Array, budget: float) -> Array:
    """Delays that are as good as removal, [A]; see the module."""
    most = int((np.cumsum(np.sort(prices[able])) <= budget).sum())
    longest = min(float(np.sort(lengths[route.arcs])[::-1][: len(network.nodes) - 1].sum()), _longest_of_disjoint(network, route, able, lengths, most + 1))
    through = network.distances(route.source, lengths)[network.tail] + lengths + network.distances(route.target, lengths, backwards=True)[network.head]
    return np.maximum(longest - through, 0.0) + 0.01 * longest + (longest == 0)


def _longest_of_disjoint(network: Network, route: Commodity, able: Ints, lengths: Array, count: int) -> float:
    """The longest of `count` paths that share no arc of `able` and are short together; infinite if there are not so many."""
    from scipy.optimize import linprog

    units = Commodity(route.source, route.target, float(count), route.name, route.ends, route.arcs)
    rows = balance(network, units, np.arange(len(route.arcs)), False).rows(len(route.arcs))
    capacity = np.where(np.isin(route.arcs, able), 1.0, np.inf)
    found = linprog(lengths[route.arcs], A_eq=rows.matrix, b_eq=rows.lower, bounds=np.column_stack([np.zeros(len(capacity)), capacity]), method="highs-ds")
    if found.status != 0 or np.abs(found.x - np.round(found.x)).max() > 1e-6:
        return np.inf
    left, longest = np.round(found.x), 0.0
    for _ in range(count):
        at, length = route.source, 0.0
        while at != route.target:
            i = int(np.flatnonzero((left > 0) & (network.tail[route.arcs] == at))[0])
            left[i] -= 1
            at, length = int(network.head[route.arcs[i]]), length + float(lengths[route.arcs[i]])
        longest = max(longest, length)
    return longest


def _require_no_cut(network: Network, route: Commodity, able: Ints, prices: Array, budget: float) -> None:
    barrier = np.full(len(network.arcs), np.inf)
    barrier[able] = prices[able]
    cost, cut = _cheapest_cut(network, route, barrier)
    if cost <= budget:
        where = f"removing {', '.join(network.label(a) for a in cut)} costs {cost:g} and cuts {route.ends[1]} off"
        raise InvalidProgram("network-unbounded", law="a budget too small to cut the target off", where=where,
                             help="lower the budget, or give a finite delay")  # fmt: skip


def _require_finite_flow(network: Network, route: Commodity, able: Ints, prices: Array, capacities: Array, budget: float) -> None:
    barrier = np.where(np.isfinite(capacities), 0.0, np.inf)
    for a in able:
        barrier[a] = min(barrier[a], prices[a])
    cost, _ = _cheapest_cut(network, route, barrier)
    if cost > budget:
        endless = [network.label(a) for a in route.arcs if np.isinf(capacities[a])]
        raise InvalidProgram("network-unbounded", law="a finite flow, or a budget that can make it finite", help="give these arcs a capacity",
                             where=f"from {route.ends[0]} to {route.ends[1]} over arcs of infinite capacity: {', '.join(endless[:6])}")  # fmt: skip


def _cheapest_cut(network: Network, route: Commodity, price: Array) -> tuple[float, list[int]]:
    """The cheapest set of arcs that cuts the target off, prices [A] infinite where an arc cannot be cut."""
    import networkx as nx

    graph = nx.DiGraph()
    graph.add_nodes_from((route.source, route.target))
    for a in route.arcs:
        u, v = int(network.tail[a]), int(network.head[a])
        graph.add_edge(u, v, capacity=price[a] + graph.get_edge_data(u, v, {"capacity": 0.0})["capacity"])
    try:
        cost, (near, far) = nx.minimum_cut(graph, route.source, route.target)
    except nx.NetworkXUnbounded:
        return np.inf, []
    return float(cost), [int(a) for a in route.arcs if int(network.tail[a]) in near and int(network.head[a]) in far]
