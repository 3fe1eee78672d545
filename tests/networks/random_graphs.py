"""Small seeded digraphs in which the last node can be reached from the first."""

import networkx as nx
import numpy as np


def random_graph(seed, nodes=6, arcs=12, largest=9):
    """A directed path 0 .. nodes - 1 plus random arcs, with integer ``cost``, ``capacity``, ``constant`` and ``slope``."""
    rng = np.random.default_rng(seed)
    graph = nx.DiGraph()
    pairs = [(v, v + 1) for v in range(nodes - 1)]
    while len(pairs) < arcs:
        u, v = (int(x) for x in rng.choice(nodes, 2, replace=False))
        if (u, v) not in pairs:
            pairs.append((u, v))
    for u, v in pairs:
        cost, capacity, constant, slope = (int(x) for x in rng.integers(1, largest + 1, 4))
        graph.add_edge(u, v, cost=cost, capacity=capacity, constant=constant, slope=slope)
    return graph
