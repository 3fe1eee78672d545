"""Braess's paradox: a toll closes the bridge that slows everybody down.

Six travellers go from s to t. Times in minutes at f travellers:

    s->a  10 f      s->b  50 + f      a->b  10 + f (the bridge)      a->t  50 + f      b->t  10 f

With the bridge the equilibrium puts 2 travellers on each of s-a-t, s-b-t and s-a-b-t; each needs 92 minutes, 552 in all.
Without it there are 3 on s-a-t and 3 on s-b-t: 83 minutes each, 498 in all, and that is the least total time there is. A toll
on the bridge makes it as good as closed: with 3 and 3, crossing costs 30 + 10 + 30 + toll against 83, so any toll from 13
minutes on removes the paradox, and none below does.

The leader sets the toll that makes the total time least (`stackopt.networks.congestion`); `toll_cap` = 0 gives the equilibrium
without tolls. Its optimal toll is not unique; its value is.

Source: D. Braess, Über ein Paradoxon aus der Verkehrsplanung, Unternehmensforschung 12 (1968); the figures are his.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stackopt.bilevel.program import BilevelProgram
from stackopt.catalog import require
from stackopt.networks import congestion_tolls

if TYPE_CHECKING:
    import networkx as nx

KNOWN: dict[str, object] = {
    "value": 498.0,
    "value_without_tolls": 552.0,
    "least_toll": 13.0,
    "tolerance": 1e-4,
    "reference": "the equilibria above, by hand; the least total time as a convex quadratic program over flows",
}


def four_cities() -> nx.DiGraph:
    """The graph: ``constant`` and ``slope`` of the travel time, ``toll`` on the bridge."""
    import networkx

    graph = networkx.DiGraph()
    for node, pos in (("s", (0.0, 0.0)), ("a", (1.0, 0.6)), ("b", (1.0, -0.6)), ("t", (2.0, 0.0))):
        graph.add_node(node, pos=pos)
    for u, v, constant, slope in (("s", "a", 0, 10), ("s", "b", 50, 1), ("a", "b", 10, 1), ("a", "t", 50, 1), ("b", "t", 0, 10)):
        graph.add_edge(u, v, constant=constant, slope=slope, toll=(u, v) == ("a", "b"))
    return graph


def build(*, travellers: float = 6.0, toll_cap: float | None = None) -> BilevelProgram:
    """The congestion-toll program; its value is the total time in minutes.

    Parameters
    ----------
    travellers : float
        From s to t; positive.
    toll_cap : float, optional
        Highest toll on the bridge; 0 computes the equilibrium without tolls.
    """
    require("braess_toll", "travellers", travellers, travellers > 0, "positive")
    require("braess_toll", "toll_cap", toll_cap, toll_cap is None or toll_cap >= 0, "non-negative, or none")
    return congestion_tolls(four_cities(), [("s", "t", travellers)], max_toll=toll_cap, name="braess_toll")
