"""Pigou's network: a toll on the road that fills up.

Two links lead from s to t. The road takes as long as there are travellers on it (demand 1, time f), the railway takes 1. Every
traveller takes the road, which is never slower, so all lose the same 1 and nobody gains anything by the road. With a toll T on
the road, f + T = 1 at an equilibrium with both used, and the total time is

    f ** 2 + (1 - f),    least at f = 1/2: time 3/4, toll 1/2.

The leader sets the toll to make the total time least; tolls are transfers. The follower is the convex quadratic program whose
solutions are the Wardrop equilibria (`stackopt.networks.congestion`). With `toll_cap` = 0 the equilibrium without tolls is
computed: time 1. With `slope` b and `railway` c, and c <= 2 b, the optimum is c - c ** 2 / (4 b) at the toll c / 2.

Source: A. C. Pigou, The Economics of Welfare (1920); normalisation of T. Roughgarden and E. Tardos, How bad is selfish routing?
(2002), from memory. The closed form is derived here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from stackopt.bilevel.program import BilevelProgram
from stackopt.catalog import require
from stackopt.networks import congestion_tolls

if TYPE_CHECKING:
    import networkx as nx

KNOWN: dict[str, object] = {
    "value": 0.75,
    "toll": 0.5,
    "value_without_tolls": 1.0,
    "tolerance": 1e-6,
    "reference": "closed form above",
}


def two_links(slope: float = 1.0, railway: float = 1.0) -> nx.MultiDiGraph:
    """The graph: ``constant`` and ``slope`` of the travel time on each link."""
    import networkx

    graph = networkx.MultiDiGraph()
    graph.add_node("s", pos=(0.0, 0.0))
    graph.add_node("t", pos=(1.0, 0.0))
    graph.add_edge("s", "t", "road", constant=0.0, slope=slope, toll=True)
    graph.add_edge("s", "t", "railway", constant=railway, slope=0.0)
    return graph


def build(*, slope: float = 1.0, railway: float = 1.0, toll_cap: float | None = None) -> BilevelProgram:
    """The congestion-toll program; its value is the total time.

    Parameters
    ----------
    slope : float
        What each unit of flow adds to the time of the road; positive.
    railway : float
        Time of the railway; positive.
    toll_cap : float, optional
        Highest toll; 0 computes the equilibrium without tolls.
    """
    require("pigou_toll", "slope", slope, 0 < slope < math.inf, "positive")
    require("pigou_toll", "railway", railway, 0 < railway < math.inf, "positive")
    require("pigou_toll", "toll_cap", toll_cap, toll_cap is None or toll_cap >= 0, "non-negative, or none")
    return congestion_tolls(two_links(slope, railway), [("s", "t", 1.0)], max_toll=toll_cap, name="pigou_toll")
