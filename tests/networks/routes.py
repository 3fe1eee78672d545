"""Toll setting by routes: a second program, written apart from `stackopt.networks` and solved by another interface.

Every commodity takes one of its routes (all simple paths that can be optimal for some tolls: cheapest for their set of tolled arcs).
``z[k, r]`` says which; the toll paid on a route is split off as ``p[k, r] = z[k, r] * (tolls on r)`` by McCormick's inequalities, exact for
binary z and bounded tolls.
"""

import itertools

import networkx as nx
import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp


def routes(graph, s, t, tolled, cost):
    """(cost, tolled arcs used) of the cheapest simple path for each set of tolled arcs, supersets that cost more left out."""
    free = graph.copy()
    free.remove_edges_from(tolled)
    limit = nx.shortest_path_length(free, s, t, weight=cost)
    best = {}
    for path in paths_up_to(graph, s, t, cost, limit):
        arcs = list(itertools.pairwise(path))
        used = frozenset(a for a in arcs if a in tolled)
        length = sum(graph.edges[a][cost] for a in arcs)
        best[used] = min(best.get(used, np.inf), length)
    return [(c, used) for used, c in best.items() if not any(other < used and d <= c for other, d in best.items())]


def paths_up_to(graph, s, t, cost, limit):
    for path in nx.shortest_simple_paths(graph, s, t, weight=cost):
        if sum(graph.edges[a][cost] for a in itertools.pairwise(path)) > limit + 1e-9:
            return
        yield path


def best_revenue(graph, commodities, tolled, cost):
    tolled = list(tolled)
    choices = [(k, c, used, n) for k, (s, t, n) in enumerate(commodities) for c, used in routes(graph, s, t, set(tolled), cost)]
    limit = [max(c for j, c, used, _ in choices if j == k) for k in range(len(commodities))]
    A, Z = len(tolled), len(choices)
    top = max(limit)  # no toll above the dearest toll-free route is paid
    width = A + 2 * Z  # tolls, z, p
    rows, low, high = [], [], []

    def row(entries, lower, upper):
        line = np.zeros(width)
        for j, v in entries:
            line[j] += v
        rows.append(line)
        low.append(lower)
        high.append(upper)

    for k in range(len(commodities)):
        row([(A + r, 1.0) for r, (j, *_) in enumerate(choices) if j == k], 1.0, 1.0)
        chosen = [(A + r, c) for r, (j, c, _, _) in enumerate(choices) if j == k] + [(A + Z + r, 1.0) for r, (j, *_) in enumerate(choices) if j == k]
        for j, c, used, _ in choices:
            if j == k:  # what k pays is at most what this route would cost
                row(chosen + [(tolled.index(a), -1.0) for a in used], -np.inf, c)
    for r, (_, _, used, _) in enumerate(choices):
        M = top * len(used)
        on = [(tolled.index(a), -1.0) for a in used]
        row([(A + Z + r, 1.0), *on], -np.inf, 0.0)
        row([(A + Z + r, 1.0), (A + r, -M)], -np.inf, 0.0)
        row([(A + Z + r, 1.0), *on, (A + r, -M)], -M, np.inf)
    gain = np.zeros(width)
    for r, (_, _, _, n) in enumerate(choices):
        gain[A + Z + r] = -n
    integrality = np.r_[np.zeros(A), np.ones(Z), np.zeros(Z)]
    bounds = Bounds(np.zeros(width), np.r_[np.full(A, top), np.ones(Z), np.full(Z, np.inf)])
    found = milp(gain, constraints=LinearConstraint(np.array(rows), low, high), integrality=integrality, bounds=bounds, options={"mip_rel_gap": 1e-9})
    assert found.status == 0, found.message
    return -found.fun, dict(zip(tolled, found.x[:A]))
