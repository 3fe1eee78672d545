r"""What a commission looks at: efficiency, equity, revenue and stability of a tariff, each on its own, never one score.

Efficiency (Bonbright): cost of serving, :math:`\text{generation}-\text{utility}+\text{wear}`, $ per day and household; only differences mean anything.
Equity: energy expenditure incidence of each income group, the share of income that electricity takes, and its gap, Gini and Suits
indices. Revenue: what is collected against fixed costs and wholesale purchases. Stability: peak, steepest three-hour ramp, spread of prices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stackopt.display import Block, number
from stackopt.energy.equilibrium import Equilibrium
from stackopt.energy.households import Households

Array = NDArray[np.float64]
DAYS = 365.0


@dataclass(frozen=True, eq=False)
class Criteria:
    """Of one tariff in equilibrium.

    Attributes
    ----------
    cost : float, $/day and household
    generation, utility, wear : float, $/day and household
    bills : array [i], $/day
        Fixed charges included.
    incidence : array [g]
        Yearly bill over income.
    gap : float
        Largest less smallest incidence.
    gini, suits : float
        Of expenditure over households ordered by income: Gini's concentration of bills, and Suits' index of bills against income
        (-1 regressive, 1 progressive).
    volumetric, fixed, wholesale, required : float, $/day and household
        Energy bills, fixed charges, cost of what households take at wholesale prices, and fixed costs to recover.
    shortfall : float, $/day and household
        ``required + wholesale - volumetric - fixed``; negative where more is collected.
    peak, ramp, valley : float, MW
        Of total load, averaged hour by hour over the regimes of each season: highest, steepest rise over three hours, lowest.
    price_spread : float, $/MWh
        Standard deviation of wholesale prices over hours and regimes.
    load_factor : float
        Of the average load to the peak; NaN where there is no load.
    """

    households: Households
    cost: float
    generation: float
    utility: float
    wear: float
    bills: Array
    incidence: Array
    gap: float
    gini: float
    suits: float
    volumetric: float
    fixed: float
    wholesale: float
    required: float
    shortfall: float
    peak: float
    ramp: float
    valley: float
    price_spread: float
    load_factor: float

    def block(self) -> Block:
        """The printed form."""
        groups = "  ".join(f"{g} {100 * e:.2f} %" for g, e in zip(self.households.groups, self.incidence, strict=True))
        rows = (
            ("efficiency", f"cost {self.cost:.4f} $ a day and household"),
            ("equity", f"{groups};  gap {100 * self.gap:.2f} points, Suits {self.suits:.3f}"),
            ("revenue", f"required {self.required:.3f} + wholesale {self.wholesale:.3f}, collected {self.volumetric:.3f} by energy and {self.fixed:.3f} fixed"),
            ("stability", f"peak {number(self.peak)} MW, 3 h ramp {number(self.ramp)} MW, prices +- {number(self.price_spread, 3)} $/MWh"),
        )
        return Block("Criteria", rows)

    def __str__(self) -> str:
        return self.block().text()

    __repr__ = __str__


def criteria(found: Equilibrium, required: float = 3.6, fixed: Array | None = None) -> Criteria:
    """Evaluate an equilibrium.

    Parameters
    ----------
    required : float, $/day and household
        Fixed costs that retail revenue must recover beyond wholesale purchases.
    fixed : array [g], $/day, optional
        Fixed charge of each group; those of the tariff by default.
    """
    households, response = found.households, found.response
    share = households.share
    charge = found.tariff.fixed_per_day(households) if fixed is None else np.asarray(fixed, float)
    bills = response.bills + charge[households.group_of]
    regime = households.weather.shares
    generation = float((found.market.cost(response.load) * regime).sum()) / households.count
    utility, wear = float(share @ response.utility), float(share @ response.wear)
    wholesale = float((response.price[households.bus_of] * response.net * regime * share[:, None, None]).sum())
    volumetric, collected = float(share @ response.bills), float(share @ charge[households.group_of])
    incidence = DAYS * households.by_group(bills) / households.by_group(households.income)
    each = found.market.total(response.load)
    total = each @ households.weather.within  # [h, s]
    ramp = float((np.roll(total, -3, 0) - total).max())
    prices = 1000.0 * found.price
    weight = np.broadcast_to(regime / (prices.shape[0] * prices.shape[1]), prices.shape)
    mean = float((weight * prices).sum())
    known = incidence[np.isfinite(incidence)]
    gini, suits = concentration(share, households.income, bills)
    load_factor = float((each @ regime).mean() / total.max()) if total.max() != 0.0 else float("nan")
    return Criteria(
        households, generation - utility + wear, generation, utility, wear, bills, incidence, float(known.max() - known.min()), gini, suits,
        volumetric, collected, wholesale, required, required + wholesale - volumetric - collected, float(total.max()), ramp, float(total.min()),
        float(np.sqrt((weight * (prices - mean) ** 2).sum())), load_factor,
    )  # fmt: skip


def concentration(share: Array, income: Array, bills: Array) -> tuple[float, float]:
    """(concentration of bills, Suits index): one less twice the areas under the curves of accumulated bills.

    Both curves run over households ordered by income; the first against the share of households, the second against the share of
    income. A bill proportional to income has Suits index 0, one that weighs more on the poor a negative one.
    """
    people, earned, paid = accumulated(share, income, bills)
    if paid[-1] == 0 or earned[-1] == 0:
        return float("nan"), float("nan")
    people, earned, paid = people / people[-1], earned / earned[-1], paid / paid[-1]
    return 1.0 - 2.0 * float(np.trapezoid(paid, people)), 1.0 - 2.0 * float(np.trapezoid(paid, earned))


def accumulated(share: Array, income: Array, bills: Array) -> tuple[Array, Array, Array]:
    """Households, income and bills of all up to each income, poorest first, from 0: those of equal income come in together, however listed."""
    levels, level = np.unique(income, return_inverse=True)
    each = (np.bincount(level, weights=v, minlength=len(levels)) for v in (share, share * income, share * bills))
    people, earned, paid = (np.concatenate([[0.0], np.cumsum(v)]) for v in each)
    return people, earned, paid


def fixed_for_revenue(found: Equilibrium, required: float, ratios: Array) -> Array:
    """Fixed charges [g], $/day, in given ratios, that collect exactly what energy bills leave to be recovered; negative where they return money."""
    households, response = found.households, found.response
    regime = households.weather.shares
    wholesale = float((response.price[households.bus_of] * response.net * regime * households.share[:, None, None]).sum())
    residual = required + wholesale - float(households.share @ response.bills)
    weight = np.bincount(households.group_of, weights=households.share, minlength=len(households.groups))
    charge: Array = np.asarray(ratios, float) * residual / float(weight @ ratios)
    return charge
