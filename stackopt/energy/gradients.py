r"""How every criterion moves with the rates of a tariff, market and households re-equilibrating: one set of adjoints for all.

With averages as functions of the rates r of each class of households and wholesale prices :math:`P=S(N(r))`, :math:`r=r(\theta,P)`,

.. math:: (I-S'N_rr_P)\,P_\theta=S'N_rr_\theta,\qquad C_\theta=C_rr_\theta+(C_rr_P+C_P)\,P_\theta .
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stackopt.energy.criteria import DAYS
from stackopt.energy.equilibrium import Equilibrium
from stackopt.energy.households import HOURS, Households
from stackopt.energy.market.supply import Marginal
from stackopt.energy.response import slopes
from stackopt.energy.tariff import Tariff
from stackopt.errors import InvalidStudy

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Gradients:
    """Derivatives in the D parameters of a tariff, fixed charges held.

    Attributes
    ----------
    cost, volumetric, wholesale : arrays [D]
        $/day and household.
    bills : array [g, D]
        Average energy bill of each group, $/day.
    incidence : array [g, D]
    price : array [n, 24, w, D], $/kWh
    load : array [24, w, D], MW
        Total.
    price_variance : array [D], ($/MWh)^2
    jacobian : array [n * 24 * w, n * 24 * w], MW per $/kWh
        Of demand in wholesale prices, rates announced held.
    """

    cost: Array
    volumetric: Array
    wholesale: Array
    bills: Array
    incidence: Array
    price: Array
    load: Array
    price_variance: Array
    jacobian: Array


def rate_classes(households: Households, tariff: Tariff) -> tuple[Array, NDArray[np.int64]]:
    """Types that face the same rates: (bus and discount of each class [x, 2], the class of each type [i])."""
    rows, classes = np.unique(np.column_stack([households.bus_of, tariff.discounts(households)]), axis=0, return_inverse=True)
    return rows, classes.ravel()


def gradients(found: Equilibrium, buy: Array, sell: Array) -> Gradients:
    """Derivatives of all criteria.

    Parameters
    ----------
    found : Equilibrium
        Converged; the derivatives are as exact as it is.
    buy, sell : arrays [24, D] or [24, w, D]
        What each parameter adds to the buy and the sell adder of each hour, and regime. Under net metering `sell` is ignored.

    Raises
    ------
    InvalidStudy
        ``true-up-gradient`` where a true-up binds.
    """
    households, tariff, response = found.households, found.tariff, found.response
    bound = np.flatnonzero(response.kept < 1.0)
    if len(bound):
        raise InvalidStudy("true-up-gradient", count=len(bound), first=households.types[int(bound[0])].name)
    weather = households.weather.shares
    W, N = len(weather), len(found.price)
    cells, D = HOURS * W, buy.shape[-1]
    rows, classes = rate_classes(households, tariff)
    X = len(rows)
    moved = slopes(response, classes)
    buy, sell = (np.broadcast_to(d if d.ndim == 3 else d[:, None], (HOURS, W, D)).reshape(cells, D) for d in (buy, sell))
    direct = np.empty((X, 2, cells, D))  # r_theta
    direct[:, 0] = (1.0 - rows[:, 1])[:, None, None] * buy
    direct[:, 1] = buy if tariff.net_metering else sell
    through = np.zeros((X, 2, N))  # r_P, cell by cell
    for x, (bus, discount) in enumerate(rows):
        through[x, 0, int(bus)] = tariff.pass_buy * (1.0 - discount)
        through[x, 1, int(bus)] = tariff.pass_buy if tariff.net_metering else tariff.pass_sell

    def in_theta(per_rate: Array) -> Array:
        """[..., x, 2, cells] to [..., D]."""
        product: Array = np.tensordot(per_rate, direct, axes=3)
        return product

    def in_price(per_rate: Array) -> Array:
        """[..., x, 2, cells] to [..., n * cells]."""
        found_: Array = np.einsum("...xsc,xsn->...nc", per_rate, through)
        return found_.reshape((*found_.shape[:-2], N * cells))

    regime = np.tile(np.tile(weather, HOURS), N)
    to_load = households.count / 1000.0 / regime  # joint kWh per household to MW given the regime
    slope = found.market.clear(response.load)[1] / 1000.0
    blocks = np.zeros((N, cells, N, cells))
    for n in range(N):
        for m in range(N):
            blocks[n, np.arange(cells), m, np.arange(cells)] = slope[n, m].ravel()
    steep = blocks.reshape(N * cells, N * cells)
    load_theta, load_price = to_load[:, None] * in_theta(moved.net), to_load[:, None] * in_price(moved.net)
    price_theta: Array = np.linalg.solve(np.eye(N * cells) - steep @ load_price, steep @ load_theta).astype(float, copy=False)  # [n * cells, D]

    def total(per_rate: Array, per_price: Array | float = 0.0) -> Array:
        found_: Array = in_theta(per_rate) + (in_price(per_rate) + per_price) @ price_theta
        return found_

    marginal = (found.market.marginal(response.load) if isinstance(found.market, Marginal) else 1000.0 * found.cleared).reshape(-1)  # $/MWh
    generation = np.einsum("c,cxsd->xsd", marginal / 1000.0, moved.net)
    cost = total(generation - moved.utility + moved.wear)
    share = households.share
    imports, exports = response.imports.reshape(-1, cells), response.exports.reshape(-1, cells)
    groups = len(households.groups)
    paid = moved.paid.copy()  # [g, x, 2, cells]
    np.add.at(paid[:, :, 0], (households.group_of, classes), share[:, None] * imports)
    np.add.at(paid[:, :, 1], (households.group_of, classes), -share[:, None] * exports)
    of_groups = total(paid)
    weight = np.bincount(households.group_of, weights=share, minlength=groups)
    with np.errstate(invalid="ignore", divide="ignore"):
        bills = of_groups / weight[:, None]
        incidence = DAYS * bills / households.by_group(households.income)[:, None]
    joint = np.zeros((N, HOURS, W))
    np.add.at(joint, households.bus_of, share[:, None, None] * response.net * weather)
    wholesale = total(np.einsum("c,cxsd->xsd", found.price.reshape(-1), moved.net), joint.reshape(-1))
    load_total: Array = (load_theta + load_price @ price_theta).reshape(N, HOURS, W, D).sum(0)
    share_of = np.broadcast_to(weather / (N * HOURS), (N, HOURS, W)).reshape(-1)
    prices = 1000.0 * found.price.reshape(-1)
    variance = 2.0 * 1000.0 * ((share_of * (prices - share_of @ prices)) @ price_theta)
    return Gradients(cost, of_groups.sum(0), wholesale, bills, incidence, price_theta.reshape(N, HOURS, W, D), load_total, variance, load_price)
