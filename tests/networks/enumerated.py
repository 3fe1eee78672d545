"""Interdiction by enumeration, on networkx alone: no program, no multipliers.

A set of removed arcs that changes the shortest path (the maximum flow) contains an arc of any one shortest path (maximum flow) of
the network before: otherwise that path (flow) is still there. So it is enough to try the arcs of one, and to go on from each.
"""

import itertools

import networkx as nx


def longest_shortest_path(graph, s, t, budget, weight):
    path = nx.shortest_path(graph, s, t, weight=weight)
    best = nx.path_weight(graph, path, weight)
    if budget == 0:
        return best
    for u, v in itertools.pairwise(path):
        left = graph.copy()
        left.remove_edge(u, v)
        if nx.has_path(left, s, t):
            best = max(best, longest_shortest_path(left, s, t, budget - 1, weight))
    return best


def smallest_maximum_flow(graph, s, t, budget):
    best, flow = nx.maximum_flow(graph, s, t)
    if budget == 0:
        return best
    for u in flow:
        for v, amount in flow[u].items():
            if amount > 0:
                left = graph.copy()
                left.remove_edge(u, v)
                best = min(best, smallest_maximum_flow(left, s, t, budget - 1))
    return best
