r"""The tariff problem in one hour, with closed forms: where fixed costs are recovered by energy rates, and what that costs.

Group i has n households with demand :math:`q=(a_i-p_i)/b_i` and generation k; net load :math:`Q=\sum n_i(q_i-k_i)` costs
:math:`w=c+dQ` a kWh at the margin. The leader adds :math:`\tau_i` to the wholesale price and takes fixed charges :math:`f_i`. With
:math:`B_i=n_i/b_i`, :math:`B=\sum B_i`, the dead-weight loss of adders under net metering is

.. math:: \tfrac12\Big(\sum_iB_i\tau_i^2-\frac{d\,(\sum_iB_i\tau_i)^2}{1+dB}\Big),

zero only without adders; all charges can then be set so that every group pays the same share of its income.

Reconstructed from the qualitative model of Chen, Liu, Tanaka and Takashima (IEEE TEMPR 1(3), 2023); parameters are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackopt.bilevel.program import BilevelProgram
from stackopt.errors import InvalidStudy

Array = NDArray[np.float64]
HOURS_PER_YEAR = 8760.0


@dataclass(frozen=True, eq=False)
class StaticTown:
    """Groups of households, a supply curve and fixed costs.

    Parameters
    ----------
    count : array [i]
        Households.
    income : array [i], $/year
    usual : array [i], kW
        Demand at the price `reference`.
    sun : array [i], kW
    elasticity : float
    reference : float, $/kWh
    intercept, slope : float
        Of the wholesale price, $/kWh and $/kWh per kW.
    required : float, $/h
        Fixed costs.
    """

    count: Any = (400.0, 400.0, 200.0)
    income: Any = (30_000.0, 75_000.0, 200_000.0)
    usual: Any = (0.75, 0.95, 1.25)
    sun: Any = (0.0, 0.0, 1.8)
    elasticity: float = 0.25
    reference: float = 0.15
    intercept: float = 0.02
    slope: float = 4e-5
    required: float = 25.0

    def __post_init__(self) -> None:
        for name in ("count", "income", "usual", "sun"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), float))
        if len({len(self.count), len(self.income), len(self.usual), len(self.sun)}) != 1:
            raise InvalidStudy("setting-value", name="groups", law="lists of equal length", got=f"{self}")
        for name, least in (("count", 0.0), ("income", 0.0), ("usual", 0.0), ("elasticity", 0.0), ("reference", 0.0), ("sun", -1.0), ("slope", -1.0),
                            ("intercept", -np.inf), ("required", -np.inf)):  # fmt: skip
            value = np.asarray(getattr(self, name), float)
            if not (np.isfinite(value) & (value > least)).all() or (least == -1.0 and (value < 0).any()):
                law = "finite" if least == -np.inf else "finite and at least 0" if least == -1.0 else "finite and positive"
                raise InvalidStudy("setting-value", name=name, law=law, got=f"{value.tolist()}")

    @property
    def choke(self) -> float:
        """a: the price at which nobody uses anything, $/kWh."""
        return self.reference * (1.0 + 1.0 / self.elasticity)

    @property
    def steepness(self) -> Array:
        """b: of each inverse demand, $/kWh per kW [i]."""
        steep: Array = self.reference / (self.elasticity * self.usual)
        return steep

    def outcome(self, adders: Any, *, net_billing: bool = False, discount: Any = 0.0, fixed: Any = 0.0) -> Outcome:
        """What follows from adders [i], $/kWh, by bisection on the wholesale price.

        Parameters
        ----------
        net_billing : bool
            Exports are paid the wholesale price; else (net metering) the retail price.
        discount : array [i]
            Share off the retail price.
        fixed : array [i], $/h

        Raises
        ------
        InvalidStudy
            ``setting-value`` for what is not one finite number for each group.
        """
        tau, off, charge = self._each("adders", adders), self._each("discount", discount), self._each("fixed", fixed)

        def use(wholesale: float) -> tuple[Array, Array]:
            retail = (wholesale + tau) * (1.0 - off)
            buying = np.maximum((self.choke - retail) / self.steepness, 0.0)
            if not net_billing:
                return buying, retail
            selling = np.maximum((self.choke - wholesale) / self.steepness, 0.0)
            kept = np.where(buying > self.sun, buying, np.where(selling < self.sun, selling, self.sun))
            return kept, np.where(kept > self.sun, retail, wholesale)

        low, high = -10.0, 10.0
        for _ in range(200):
            wholesale = 0.5 * (low + high)
            if wholesale in (low, high):  # no number lies between
                break
            cleared = self.intercept + self.slope * float(self.count @ (use(wholesale)[0] - self.sun))
            low, high = (wholesale, high) if cleared > wholesale else (low, wholesale)
        used, price = use(wholesale)
        return Outcome(self, wholesale, used, price, charge)

    def _each(self, name: str, values: Any) -> Array:
        """One finite number for each group."""
        found = np.asarray(values, float)
        if found.shape not in ((), self.count.shape) or not np.isfinite(found).all():
            raise InvalidStudy("setting-value", name=name, law=f"one finite number, or one for each of {len(self.count)} groups", got=f"{found.tolist()}")
        return np.broadcast_to(found, self.count.shape)

    def dead_weight_loss(self, adders: Any) -> float:
        """Of adders [i] under net metering, $/h, in closed form."""
        tau = np.broadcast_to(np.asarray(adders, float), self.count.shape)
        response = self.count / self.steepness
        return 0.5 * float((response * tau**2).sum() - self.slope * (response @ tau) ** 2 / (1.0 + self.slope * response.sum()))

    def equal_incidence(self) -> Array:
        """Fixed charges [i], $/h, under which every group pays the same share of income and no adder is needed."""
        paid = self.outcome(0.0).bills
        share = (float(self.count @ paid) + self.required) / float(self.count @ self.income)
        charges: Array = share * self.income - paid
        return charges

    def recovering(self, *, net_billing: bool = False, discount: Any = 0.0, fixed: Any = 0.0) -> Outcome:
        """The smallest adder for all that recovers the fixed costs.

        Raises
        ------
        InvalidStudy
            ``revenue`` with the most that adders can collect.
        """
        def collected(tau: float) -> float:
            return self.outcome(tau, net_billing=net_billing, discount=discount, fixed=fixed).collected

        grid = np.linspace(0.0, self.choke, 400)
        revenue = np.array([collected(t) for t in grid])
        enough = np.flatnonzero(revenue >= self.required)
        if not len(enough):
            raise InvalidStudy("revenue", reach=f"{revenue.max():.4g}", required=f"{self.required:.4g}", unit="$/h")
        if enough[0] == 0:
            return self.outcome(0.0, net_billing=net_billing, discount=discount, fixed=fixed)
        low, high = grid[enough[0] - 1], grid[enough[0]]
        for _ in range(100):
            middle = 0.5 * (low + high)
            if middle in (low, high):
                break
            low, high = (low, middle) if collected(middle) >= self.required else (middle, high)
        return self.outcome(high, net_billing=net_billing, discount=discount, fixed=fixed)

    def program(self) -> BilevelProgram:
        """Welfare over adders, households and market answering by the optimum of their potential: a `BilevelProgram`.

        Leader and follower are convex quadratic; fixed charges close the budget afterwards, so they need not appear.
        """
        steep, count, groups = self.steepness, self.count, len(self.count)
        level = self.intercept * count - self.slope * count * float(count @ self.sun)  # w of net load, per unit of each group's use
        coupling = self.slope * np.outer(count, count)
        cost = -self.choke * count + level
        hessian = np.diag(count * steep) + coupling
        whole = np.zeros((2 * groups, 2 * groups))
        whole[groups:, groups:] = hessian
        return BilevelProgram.from_matrices(
            leader_cost=(np.zeros(groups), cost), follower_cost=cost, leader_bounds=(np.full(groups, -0.5), np.full(groups, 0.5)),
            follower_bounds=(np.zeros(groups), np.full(groups, np.inf)), leader_hessian=whole, follower_hessian=hessian, follower_cross=np.diag(count),
            leader_names=[f"adder[{i}]" for i in range(groups)], follower_names=[f"use[{i}]" for i in range(groups)], name="retail adders",
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Outcome:
    """Prices and what is used, paid and lost.

    Attributes
    ----------
    town : StaticTown
    wholesale : float, $/kWh
    use : array [i], kW
    price : array [i], $/kWh
        At each group's meter.
    fixed : array [i], $/h
    """

    town: StaticTown
    wholesale: float
    use: Array
    price: Array
    fixed: Array

    @property
    def net(self) -> Array:
        """kW at the meter [i]."""
        net: Array = self.use - self.town.sun
        return net

    @property
    def bills(self) -> Array:
        """$/h of a household [i], fixed charges included."""
        bills: Array = self.price * self.net + self.fixed
        return bills

    @property
    def collected(self) -> float:
        """Towards fixed costs, $/h."""
        return float(self.town.count @ ((self.price - self.wholesale) * self.net + self.fixed))

    @property
    def welfare(self) -> float:
        """$/h: utility of use less cost of supply."""
        town = self.town
        utility = town.choke * self.use - 0.5 * town.steepness * self.use**2
        load = float(town.count @ self.net)
        return float(town.count @ utility) - town.intercept * load - 0.5 * town.slope * load**2

    @property
    def loss(self) -> float:
        """Welfare lost against no adders, $/h."""
        return self.town.outcome(0.0).welfare - self.welfare

    @property
    def incidence(self) -> Array:
        """Share of income [i]."""
        share: Array = HOURS_PER_YEAR * self.bills / self.town.income
        return share
