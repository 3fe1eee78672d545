"""An investor that sets the price: how much to build when the market price is the multiplier of the power balance.

An investor builds capacity x (MW, at 40,000 $/MW a year) of a technology that produces at 10 $/MWh. The market dispatches the
cheapest units for 8,760 hours:

    min  10 y1 + 12 y2 + 15 y3                      follower
    s.t. y1 + y2 + y3 = 200                         (balance), its multiplier is the price
         0 <= y1 <= x,  0 <= y2 <= 150,  0 <= y3 <= 100

    min  40000 x + 8760 * (10 y1 - price * y1)      leader, x in [0, 250]

With x < 50 unit 3 is needed and the price is 15: each MW earns 8,760 * 5 - 40,000 = 3,800. From x = 50 on unit 3 is idle and the price falls
to 12, where a MW loses 22,480. At x = 50 exactly the price is any number in [12, 15]; optimistic ties give the investor 15 and a
profit of 190,000. The leader's objective multiplies a follower's variable by a follower's multiplier. Ties matter here: at 12
the same investment loses 1,124,000, and no x is safe from that and as good; 190,000 is approached from below, x < 50.

Source: A. J. Conejo, L. Baringo, S. J. Kazempour, A. S. Siddiqui, Investment in Electricity Generation and Transmission (Springer, 2016),
as in the tests of BilevelJuMP.jl; the closed form is worked out here.
"""

from __future__ import annotations

import numpy as np

from stackopt.bilevel.program import BilevelProgram, Level, Multiplier, Objective, Rows
from stackopt.catalog import require

#: In $ a year; negative is profit.
UNIT = "$ a year"
KNOWN: dict[str, object] = {
    "value": -190000.0,
    "investment": 50.0,
    "price": 15.0,
    "tolerance": 0.2,
    "reference": "closed form above",
}


def build(*, demand: float = 200.0) -> BilevelProgram:
    """The program.

    Parameters
    ----------
    demand : float
        In MW, positive and at most 250: units 2 and 3 alone can serve it.
    """
    from scipy import sparse

    require("price_response", "demand", demand, 0 < demand <= 250, "in (0, 250]")
    # symbols: x, y1, y2, y3, price
    earned = sparse.csr_array(([-8760.0], ([1], [4])), shape=(5, 5))
    rows = sparse.csr_array(np.array([[0.0, 1.0, 1.0, 1.0, 0.0], [-1.0, 1.0, 0.0, 0.0, 0.0]]))
    served = Rows(("balance", "built"), rows, np.array([demand, -np.inf]), np.array([demand, 0.0]))
    none = Rows((), sparse.csr_array((0, 5)), np.zeros(0), np.zeros(0))
    return BilevelProgram(
        names=("x", "y1", "y2", "y3"),
        owner=np.array([-1, 0, 0, 0]),
        lower=np.zeros(4),
        upper=np.array([250.0, np.inf, 150.0, 100.0]),
        integer=np.zeros(4, bool),
        leader=Level("investor", Objective("min", np.array([40000.0, 87600.0, 0.0, 0.0, 0.0]), earned), none),
        followers=(Level("market", Objective("min", np.array([0.0, 10.0, 12.0, 15.0, 0.0])), served),),
        multipliers=(Multiplier("price", "market", "balance"),),
        name="price_response",
    )
