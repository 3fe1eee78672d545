"""Maximum-flow interdiction: which arcs to remove so that least gets through.

The Sioux Falls test network, 24 nodes and 76 arcs, with its practical capacities in vehicles per day. The leader removes `budget`
arcs, any of them; the follower sends as much as it can from `source` to `target` over what is left. Interests are opposed, so
the leader's value is the follower's optimal value, linear in the multipliers of the capacities (`stackopt.networks.interdiction`).

From 8 to 22 the four arcs out of 8 bind: 7,842 to 7, 5,050 to 9, 5,046 to 16 and 4,899 to 6, together 22,836. The best two to remove are the
first two.

Source: problem of R. Wollmer, Operations Research 12 (1964), and R. K. Wood, Mathematical and Computer Modelling 17 (1993); network
L. J. LeBlanc, E. K. Morlok, W. P. Pierskalla, Transportation Research 9 (1975), see data/networks.
"""

from __future__ import annotations

from stackopt.bilevel.program import BilevelProgram
from stackopt.catalog import require
from stackopt.networks import maximum_flow_interdiction, sioux_falls

#: `value_0`, `value_1`: with that many removals.
KNOWN: dict[str, object] = {
    "value": 9944.410229,
    "value_0": 22836.414695,
    "value_1": 14994.603385,
    "tolerance": 1e-4,
    "reference": "enumeration: removing an arc of a maximum flow, then of the next",
}


def build(*, source: int = 8, target: int = 22, budget: int = 2) -> BilevelProgram:
    """The interdiction program; its value is the maximum flow that is left, in vehicles per day.

    Parameters
    ----------
    source, target : int
        Nodes of the network, 1 to 24.
    budget : int
        How many arcs are removed, from 0.
    """
    require("maximum_flow_interdiction", "budget", budget, budget >= 0, "from 0")
    return maximum_flow_interdiction(sioux_falls(), source, target, budget)
