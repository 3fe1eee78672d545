"""Shortest-path interdiction: which streets to close so that the quickest way becomes slowest.

The Sioux Falls test network, 24 nodes and 76 arcs, lengths are free-flow times in minutes. The leader may close `budget` arcs, any
of them; the follower takes the shortest path from `source` to `target` over what is left. Interests are opposed, so the
leader's value is the follower's optimal value, a multiplier (`stackopt.networks.interdiction` has the algebra, and why a
removed arc is a delay whose size is no guess).

From 8 to 22 the undisturbed way takes 14 minutes; it takes 15 after one closure, 22 after two, 26 after three. Four closures cut
22 off, and that is an error, not an answer.

Source: problem of D. R. Fulkerson and G. C. Harding, Mathematical Programming 13 (1977), and E. Israeli and R. K. Wood, Networks
40 (2002); network L. J. LeBlanc, E. K. Morlok, W. P. Pierskalla, Transportation Research 9 (1975), see data/networks.
"""

from __future__ import annotations

from stackopt.bilevel.program import BilevelProgram
from stackopt.catalog import require
from stackopt.networks import shortest_path_interdiction, sioux_falls

#: `value_0`, `value_1`, `value_3`: with that many closures.
KNOWN: dict[str, object] = {
    "value": 22.0,
    "value_0": 14.0,
    "value_1": 15.0,
    "value_3": 26.0,
    "tolerance": 1e-6,
    "reference": "enumeration: closing an arc of the current shortest path, then of the next",
}


def build(*, source: int = 8, target: int = 22, budget: int = 2) -> BilevelProgram:
    """The interdiction program; its value is the length of the shortest path that is left, in minutes.

    Parameters
    ----------
    source, target : int
        Nodes of the network, 1 to 24.
    budget : int
        How many arcs are closed, from 0.
    """
    require("shortest_path_interdiction", "budget", budget, budget >= 0, "from 0")
    return shortest_path_interdiction(sioux_falls(), source, target, budget, length="time")
