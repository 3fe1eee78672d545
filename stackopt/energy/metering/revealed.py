r"""What meters reveal of welfare: changes of cost between tariffs, without knowing what a kWh is worth to anybody.

What a household gets out of its electricity at rates r, :math:`V(r)=\max(\text{utility}-\text{wear}-\text{bill})`, moves with each rate by what
is metered under it (the envelope theorem; Roy): :math:`\partial V/\partial\text{buy}_h=-\text{imports}_h`,
:math:`\partial V/\partial\text{sell}_h=+\text{exports}_h`. A change of V is therefore a line integral of meter readings. From one tariff to another it is

* about the average of the two readings times the change of rates (trapezoid: the error is of third order in the change), and
* for sure between the two ends: V is convex in the rates, as a maximum of bills that are linear in them, so
  :math:`\nabla V(a)\cdot(b-a)\le V(b)-V(a)\le\nabla V(b)\cdot(b-a)`; many tariffs bound each other through chains (Afriat).

Cost to society is :math:`\text{generation}-(V+\text{bill})`. Batteries here choose softly: then V is the soft value, with the entropy of their moves in it
as the worth of what moved them at random (McFadden). `energy.criteria` counts that noise as a mistake instead; the two costs differ by
temperature times entropy. Fixed charges do not move use, so V does not know them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stackopt.energy.metering.meter import Reading

Array = NDArray[np.float64]


def value_change(before: Reading, after: Reading) -> tuple[Array, Array, Array]:
    """Change of what households of each group get out of electricity, bills paid: (trapezoid, least, most), each [b, g], $ a day and household.

    The bounds hold for long-run averages of everyone; readings of a sample have their noise on top.
    """
    (buy_a, sell_a), (buy_b, sell_b) = before.rates, after.rates
    ends = []
    for reading in (before, after):
        slope = -reading.imports * (buy_b - buy_a) + reading.exports * (sell_b - sell_a)
        ends.append(slope.sum((2, 3, 4)))
    return 0.5 * (ends[0] + ends[1]), ends[0], ends[1]


def cost_change(before: Reading, after: Reading) -> tuple[Array, Array, Array]:
    """Change of cost to society, generation less what households get out of electricity: (trapezoid, least, most), each [b], $ a day and household."""
    middle, least, most = value_change(before, after)
    share = before.share
    plain = after.generation - before.generation - (after.collected - before.collected) @ share
    return plain - middle @ share, plain - most @ share, plain - least @ share


def cost_bounds(readings: Sequence[Reading], first: int, last: int) -> tuple[float, float]:
    """The tightest (least, most) change of cost from one reading to another that all of them together allow, $ a day and household.

    Bounds of pairs add up along chains; the shortest chains are found by Floyd and Warshall's method. For exact readings only. Each
    is a bound: with V convex, no household that maximises could have gained or lost more.
    """
    n = len(readings)
    most = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            if i != j:
                most[i, j] = float(cost_change(readings[i], readings[j])[2].mean())
    for k in range(n):
        most = np.minimum(most, most[:, k, None] + most[None, k, :])
    return -float(most[last, first]), float(most[first, last])
