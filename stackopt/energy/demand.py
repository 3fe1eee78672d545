r"""What a household uses within an hour, given what its battery does: buying, selling, or neither.

With the utility :math:`u(x)=p_0(x-l)-\frac{p_0}{2\varepsilon l}(x-l)^2` of using x where l is usual, a household that faces the price p uses
:math:`x(p)=l\,(1-\varepsilon(p-p_0)/p_0)`. Its meter reads :math:`n=x-g+c`, with g from the roof and c into the battery; it pays `buy` for n > 0 and gets
`sell` for n < 0. As buy >= sell its best answer has three zones (Alahmed and Tong's net-consuming, net-zero and net-producing):
x(buy) while that leaves the meter positive, x(sell) while that leaves it negative, and between them exactly what is there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stackopt.errors import InvalidStudy

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Hour:
    """Best use in every hour, regime and move, all arrays [i, h, w, a].

    Attributes
    ----------
    worth : array, $
        Utility less payments.
    net : array, kWh
        At the meter.
    utility : array, $
    buying, selling : bool arrays
        Zones.
    slope : array [i, h, w, a], kWh per $/kWh
        How the net moves with the price of its zone; 0 between the zones and where a bound binds.
    bound : bool
        Whether some use is at its lower bound of nothing.
    """

    worth: Array
    net: Array
    utility: Array
    buying: NDArray[np.bool_]
    selling: NDArray[np.bool_]
    slope: Array
    bound: bool


def best_use(load: Array, sun: Array, charge: Array, buy: Array, sell: Array, elasticity: float, reference: float) -> Hour:
    """The best use of an hour.

    Parameters
    ----------
    load : array [i, h, w], kWh at the reference price
    sun : array [i, h, w], kWh
    charge : array [a], kWh from the meter into the battery
    buy, sell : arrays [i, h, w], $/kWh
    elasticity, reference : float

    Raises
    ------
    InvalidStudy
        ``sell-above-buy`` if selling pays more than buying costs somewhere: then there is no best use.
    """
    if (sell > buy + 1e-9).any():
        i, h, w = (int(n) for n in np.argwhere(sell > buy + 1e-9)[0])
        raise InvalidStudy("sell-above-buy", where=f"type {i}, hour {h}, regime {w}: sell {sell[i, h, w]:.6g}, buy {buy[i, h, w]:.6g} $/kWh")
    steep = load * (elasticity / reference)  # kWh per $/kWh
    at_buy, at_sell = (np.maximum(load - steep * (price - reference), 0.0) for price in (buy, sell))
    given = charge - sun[..., None]  # what the meter reads before any use
    net_buying, net_selling = at_buy[..., None] + given, at_sell[..., None] + given
    buying, selling = net_buying > 0.0, net_selling < 0.0
    use = np.where(buying, at_buy[..., None], np.where(selling, at_sell[..., None], np.maximum(-given, 0.0)))
    net = np.where(buying, net_buying, np.where(selling, net_selling, 0.0))
    away = use - load[..., None]
    utility = reference * away - away**2 / (2.0 * steep[..., None])
    worth = utility - np.where(buying, buy[..., None], sell[..., None]) * net
    free = use > 0.0
    slope = -np.where((buying | selling) & free, steep[..., None], 0.0)
    return Hour(worth, net, utility, buying, selling, slope, bool(not free.all()))
