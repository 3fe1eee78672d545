"""Tolls on four bridges: which prices bring in most from traffic that may take another bridge, or the free one.

The Sioux Falls test network, 24 nodes and 76 arcs, free-flow times in minutes, no congestion. Five streets join its north to its
south. The leader tolls four of them in both directions; the fifth, 3 - 12 in the west, is free. Tolls are in minutes, too (money
over the value of time). Each commodity is a follower and takes its cheapest route, time and toll; among equally cheap ones the one
that pays more. A toll too high empties the bridge, one too low gives money away, and the bridges compete with each other for
commodities that stand differently close to leaving. The revenue is bilinear, toll times flow; `stackopt.networks.tolls` has the
algebra that makes it linear in the followers' multipliers.

Source: network L. J. LeBlanc, E. K. Morlok, W. P. Pierskalla, Transportation Research 9 (1975), see data/networks; tolled arcs
and demands constructed for this package. Problem of M. Labbé, P. Marcotte, G. Savard, Management Science 44 (1998).
"""

from __future__ import annotations

from stackopt.bilevel.program import BilevelProgram
from stackopt.catalog import require
from stackopt.networks import sioux_falls, toll_setting

#: One direction of each; both are tolled.
BRIDGES = ((4, 11), (9, 10), (8, 16), (7, 18))
#: From, to, hundreds of vehicles.
DEMANDS = ((2, 15, 6.0), (1, 17, 4.0), (5, 14, 5.0), (6, 20, 7.0), (8, 10, 9.0), (7, 21, 3.0), (4, 24, 5.0), (22, 6, 6.0), (16, 5, 8.0), (13, 8, 4.0))

#: `value_4`, `value_10`: with that many commodities.
KNOWN: dict[str, object] = {
    "value": 372.0,
    "value_4": 202.0,
    "value_10": 536.0,
    "tolerance": 1e-5,
    "reference": "a mixed-integer program over routes, written apart and solved by scipy.optimize.milp",
}


def build(*, commodities: int = 7) -> BilevelProgram:
    """The toll-setting program; its value is the revenue in hundreds of vehicles times minutes.

    Parameters
    ----------
    commodities : int
        How many of the ten demands travel, from 1.
    """
    require("network_toll", "commodities", commodities, 1 <= commodities <= len(DEMANDS), f"from 1 to {len(DEMANDS)}")
    both = [*BRIDGES, *((v, u) for u, v in BRIDGES)]
    return toll_setting(sioux_falls(), DEMANDS[:commodities], tolled=both, cost="time", name="network_toll")
