"""Inventory: a supplier posts a wholesale price, a retailer orders and keeps stock.

The state is the retailer's stock at the start of a week. The supplier (leader) names a wholesale price w from a menu, the retailer
(follower) orders, the delivery arrives at once and is cut to what the store room holds, then an uncertain demand is served from
stock; what is not served is lost. With q units delivered:

    supplier   (w - cost) * q - delivery * [q > 0]
    retailer   retail * sold - w * q - holding * left over

Prices do not move the state, so the best price policy is a mixed-integer linear program (theory D3), with randomisation or not: both
rewards are linear in w, a mixed price is an average price, and `menu` need only hold the lowest and the highest.

Why to commit: once the orders are given, nothing but the highest price is a best response of the supplier, and a retailer who
expects it buys little or nothing. That is the only fixed point up to ties: where the retailer buys, the supplier plays the
highest price, and where it does not, a higher price changes nothing. A supplier that commits sells more. With `sees_stock` its
price may depend on the stock: it takes the highest price from an empty store room and promises a cheap unit to a retailer whose
goods did not sell, who therefore orders more at the highest price. That is a promise it would rather not keep. Without, one
price holds for every week.

With the default figures the commitment is worth 35.62 to the supplier and the fixed point 25.55; together the two firms then make 45.72
and 35.65 of the 51.05 that one owner of both would make. One price for every stock is worth 34.83, and the two firms make 51.05 together:
seeing the stock helps the supplier to a larger share of a smaller sum.

Source: the wholesale price contract of J. Spengler, Vertical integration and antitrust policy, Journal of Political Economy 58
(1950), and M. Lariviere and E. Porteus, Selling to the newsvendor, M&SOM 3 (2001), from memory; both have one period. Stock that
stays, the discount, deliveries that cost and all figures are constructed here.
"""

from __future__ import annotations

import numpy as np

from stackopt import StackelbergGame
from stackopt.catalog import require

#: Of the default parameters; `strong_one_price` with ``sees_stock=False``. `one_owner` is the value of supplier and retailer together if one
#: person decides, `both_...` what they get together under commitment, one price, and at the fixed point.
KNOWN: dict[str, object] = {
    "strong": 35.6212461013,
    "weak": 35.6212461013,
    "fixed_point": 25.55,
    "strong_deterministic": 31.49921875,
    "strong_one_price": 34.8337837838,
    "one_owner": 51.05,
    "both_under_commitment": 45.7212461013,
    "both_under_one_price": 51.05,
    "both_at_fixed_point": 35.65,
    "tolerance": 1e-6,
    "reference": "one linear program for each pure response, here and with a margin that goes to 0; enumeration of price policies; value iteration",
}

#: Of a value: the discounted sum over weeks.
UNIT = "$"


def build(
    *,
    capacity: int = 3,
    menu: tuple[float, ...] = (4.0, 6.0, 8.0),
    demand: tuple[float, ...] = (0.3, 0.4, 0.3),
    retail: float = 10.0,
    cost: float = 3.0,
    delivery: float = 1.5,
    holding: float = 0.5,
    sees_stock: bool = True,
    discount: float = 0.9,
) -> StackelbergGame:
    """The inventory game.

    Parameters
    ----------
    capacity : int
        Of the store room, in units, 1 to 50.
    menu : tuple of float
        Wholesale prices, in $ per unit, different and non-negative.
    demand : tuple of float
        Probabilities of a demand of 0, 1, 2, ... units in a week; they sum to 1.
    retail : float
        Price to customers, $ per unit.
    cost, delivery : float
        Of the supplier: $ per unit and $ per delivery, non-negative.
    holding : float
        Of the retailer: $ per unit left over, non-negative.
    sees_stock : bool
        Whether the price may depend on the retailer's stock.
    discount : float
        Of both players and a week, in [0, 1).
    """
    require("inventory", "capacity", capacity, 1 <= capacity <= 50, "from 1 to 50")
    require("inventory", "menu", menu, len(menu) > 0 and len(set(menu)) == len(menu) and min(menu) >= 0, "one or more different, non-negative prices")
    require("inventory", "demand", demand, len(demand) > 0 and min(demand) >= 0 and abs(sum(demand) - 1) < 1e-9, "probabilities that sum to 1")
    for name, value in (("retail", retail), ("cost", cost), ("delivery", delivery), ("holding", holding)):
        require("inventory", name, value, value >= 0, "non-negative")

    units = range(capacity + 1)
    supplier, retailer = np.zeros((2, len(units), len(menu), len(units)))
    transition = np.zeros((len(units), len(menu), len(units), len(units)))
    price = np.asarray(menu)
    for stock, order in np.ndindex(len(units), len(units)):
        q = min(order, capacity - stock)
        sold = 0.0
        for wanted, mass in enumerate(demand):
            left = max(stock + q - wanted, 0)
            transition[stock, :, order, left] += mass
            sold += mass * (stock + q - left)
        supplier[stock, :, order] = (price - cost) * q - delivery * (q > 0)
        retailer[stock, :, order] = retail * sold - price * q - holding * (stock + q - sold)
    return StackelbergGame(
        supplier,
        retailer,
        transition,
        discount=discount,
        initial=np.eye(len(units))[0],
        leader_observes=None if sees_stock else ["any"] * len(units),
        states=[f"{stock} in stock" for stock in units],
        leader_actions=[f"{w:g} $/unit" for w in menu],
        follower_actions=[f"order {q}" for q in units],
        name="inventory",
    )
