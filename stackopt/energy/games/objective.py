r"""The leader of the tariff game: one number out of criteria that stay readable one by one, with its gradient (spec 5.4 of the study).

.. math:: -\text{cost}-\lambda_E\,\text{gap}-\lambda_R\,[\text{shortfall}]_+^2-\lambda_S\,\text{peak}-\lambda_V\,\mathrm{var}(P),\qquad
   \text{cost}=\text{generation}-\text{utility}+\text{wear}.

The study's own designer never adds criteria up (`stackopt.energy.designs.design`): limits are limits there. A learner that sees one number needs this one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackopt.energy.criteria import DAYS, Criteria
from stackopt.energy.games.market import Met, MoveMarket
from stackopt.errors import InvalidStudy

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Weights:
    """What a unit of each criterion is worth to the leader, $ a day and household.

    Attributes
    ----------
    gap : float
        Of a difference of 1 (all of an income) between the incidence of the most and of the least burdened group.
    shortfall : float
        Of a shortfall of 1 $ a day and household, squared.
    peak : float
        Per MW of the highest load of the average day.
    variance : float
        Per ($/MWh)^2 of wholesale prices over hours and regimes.
    """

    gap: float = 0.0
    shortfall: float = 10.0
    peak: float = 0.0
    variance: float = 0.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0.0 <= value < math.inf:
                raise InvalidStudy("setting-value", name=name, law="a finite weight of at least 0", got=repr(value))


class TariffValue:
    """The leader's value as the objective of a mean-field game: ``objective(y, theta)``, with ``objective.gradient(y, theta)``.

    Complex arguments are taken as points with a direction: the imaginary part of the value is the derivative along theirs.
    """

    def __init__(self, market: MoveMarket, required: float, weights: Weights) -> None:
        self.market, self.required, self.weights = market, required, weights

    def __call__(self, y: Any, theta: Any) -> Any:
        """A number, $ a day and household, of shares of moves y [24, J] under theta [D]."""
        if np.iscomplexobj(y) or np.iscomplexobj(theta):
            point = np.ascontiguousarray(y.real), np.ascontiguousarray(theta.real)
            of_y, of_theta = self.gradient(*point)
            return self(*point) + 1j * float((of_y * y.imag).sum() + of_theta @ theta.imag)
        seen, weights = self.criteria(y, theta), self.weights
        short = max(seen.shortfall, 0.0)
        return -seen.cost - weights.gap * seen.gap - weights.shortfall * short**2 - weights.peak * seen.peak - weights.variance * seen.price_spread**2

    def criteria(self, y: Array, theta: Array) -> Criteria:
        """Each criterion on its own."""
        return self.market.criteria(self.market.at(y, theta), self.required)

    def gradient(self, y: Array, theta: Array) -> tuple[Array, Array]:
        """Derivatives in y [24, J] and theta [D], the market re-cleared; at a tie of groups or hours, those of the first."""
        market, met = self.market, self.market.at(y, theta)
        of_bill, of_net, of_price = self._prices(met)
        h = market.households
        of_buy, of_sell = np.zeros((2, *met.buy.shape))
        for members, hour, share, _ in met.parts:
            at = of_net[h.bus_of[members]][..., None]
            paid = of_bill[members][:, None, None, None]
            for rates, cotangent, zone in ((met.buy, of_buy, hour.buying), (met.sell, of_sell, hour.selling)):
                rate = rates[members][..., None]
                moved = paid * (hour.net + rate * hour.slope) + (rate + at) * hour.slope
                cotangent[members] = (share * np.where(zone, moved, 0.0)).sum(-1)
        through_market, of_theta = market.pulled(met, of_buy, of_sell, of_price)
        members, hour, share, worn = met.parts[0]
        rate = np.where(hour.buying, met.buy[members][..., None], np.where(hour.selling, met.sell[members][..., None], 0.0))
        each = of_bill[members][:, None, None, None] * rate * hour.net + hour.utility - worn
        each = each + (of_net + through_market)[h.bus_of[members]][..., None] * hour.net
        of_y: Array = market.owners * np.moveaxis(each, 0, 1).reshape(y.shape)
        return of_y, of_theta + self._fixed(of_bill) @ met.announced.fixed

    def _prices(self, met: Met) -> tuple[Array, Array, Array]:
        """Cotangents on a type's bill over its share [i], on joint net use [n, 24, w] and on prices [n, 24, w]."""
        market, weights, h = self.market, self.weights, self.market.households
        seen = market.criteria(met, self.required)
        short = 2.0 * weights.shortfall * max(seen.shortfall, 0.0)
        of_bill = np.full(len(h.types), short)
        if weights.gap:
            weight = np.bincount(h.group_of, weights=h.share, minlength=len(h.groups))
            income = h.by_group(h.income)
            known = np.where(np.isfinite(seen.incidence), seen.incidence, np.nan)
            for group, sign in ((int(np.nanargmax(known)), -1.0), (int(np.nanargmin(known)), 1.0)):
                of_bill[h.group_of == group] += sign * weights.gap * DAYS / (weight[group] * income[group])
        regime, joint = h.weather.shares, met.load / market.to_load
        of_net = -market.marginal(met) / 1000.0 - short * met.price
        of_price: Array = -short * joint
        if weights.peak:
            total = market.market.total(met.load) @ h.weather.within
            hour, season = divmod(int(total.argmax()), total.shape[1])
            of_net[:, hour] -= weights.peak * h.weather.within[:, season] * market.to_load
        if weights.variance:
            share = np.broadcast_to(regime / (met.price.shape[0] * met.price.shape[1]), met.price.shape)
            of_price = of_price - weights.variance * 2e6 * share * (met.price - (share * met.price).sum())
        return of_bill, of_net, of_price

    def _fixed(self, of_bill: Array) -> Array:
        """Cotangent on fixed charges [g], $/day."""
        h = self.market.households
        return np.bincount(h.group_of, weights=h.share * of_bill, minlength=len(h.groups)).astype(float, copy=False)
