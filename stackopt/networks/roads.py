"""A road network to try things on: the Sioux Falls test network that ships with the package."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from stackopt.catalog import data_file

if TYPE_CHECKING:
    import networkx as nx


def sioux_falls() -> nx.DiGraph:
    """The Sioux Falls test network: 24 nodes with ``pos``, 76 arcs with ``time`` (free flow, minutes) and ``capacity`` (vehicles per day).

    Returns
    -------
    networkx DiGraph
        Nodes are the integers 1 to 24. A new graph with every call; change it as you like.

    Notes
    -----
    L. J. LeBlanc, E. K. Morlok, W. P. Pierskalla, Transportation Research 9 (1975); ``data/networks/README.md`` says how it was read.
    """
    import networkx

    graph = networkx.DiGraph()
    with data_file("networks", "sioux_falls_nodes.csv").open(newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            graph.add_node(int(row["node"]), pos=(float(row["x"]), float(row["y"])))
    with data_file("networks", "sioux_falls_arcs.csv").open(newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            graph.add_edge(int(row["tail"]), int(row["head"]), time=float(row["time"]), capacity=float(row["capacity"]))
    return graph
