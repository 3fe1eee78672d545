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


def rate_classes(households: Households, tariff: Tariff, kept: Array) -> tuple[Array, NDArray[np.int64]]:
    """Types that face the same rates: (bus, discount and share `kept` of announced rates of each class [x, 3], the class of each type [i]).

    Types for which a true-up binds in part are classes of their own.
    """
    own = np.where((kept > 0.0) & (kept < 1.0), np.arange(len(kept)), -1)
    rows, classes = np.unique(np.column_stack([households.bus_of, tariff.discounts(households), kept, own]), axis=0, return_inverse=True)
    return rows[:, :3], classes.ravel()


def true_up_directions(announced: Array, left: Array, gap: Array, own: Array, kept: float) -> Array:
    r"""How the rates move that count at the margin [2, cells, D], for a type of whose credits exactly nothing is left over.

    It faces :math:`\lambda r+(1-\lambda)s` with the :math:`\lambda` that keeps :math:`\varphi=(r-s)\cdot n=0`; along that,
    :math:`n\cdot dr+(r-s)\cdot N(\lambda\,dr+(r-s)\,d\lambda)=0`.

    Parameters
    ----------
    announced : array [2, cells, D]
        How announced rates r move.
    left : array [cells]
        Net use n.
    gap : array [cells]
        r - s.
    own : array [cells, 2, cells]
        N: how net use moves with the rates that count.
    kept : float
    """
    by_rate = np.tensordot(gap, own, 1)  # [2, cells]
    moved = left @ announced[0] + kept * np.tensordot(by_rate, announced, 2)
    steep = float(by_rate.sum(0) @ gap)
    direction: Array = kept * announced - gap[:, None] * (moved / steep if steep < 0.0 else 0.0 * moved)
    return direction


def gradients(found: Equilibrium, buy: Array, sell: Array) -> Gradients:
    """Derivatives of all criteria.

    Parameters
    ----------
    found : Equilibrium
        Converged; the derivatives are as exact as it is.
    buy, sell : arrays [24, D] or [24, w, D]
        What each parameter adds to the buy and the sell adder of each hour, and regime. Under net metering `sell` is ignored.
    """
    households, tariff, response = found.households, found.tariff, found.response
    weather = households.weather.shares
    W, N = len(weather), len(found.price)
    cells, D = HOURS * W, buy.shape[-1]
    rows, classes = rate_classes(households, tariff, response.kept)
    X = len(rows)
    moved = slopes(response, classes)
    buy, sell = (np.broadcast_to(d if d.ndim == 3 else d[:, None], (HOURS, W, D)).reshape(cells, D) for d in (buy, sell))
    announced = np.empty((X, 2, cells, D))  # r_theta
    announced[:, 0] = (1.0 - rows[:, 1])[:, None, None] * buy
    announced[:, 1] = buy if tariff.net_metering else sell
    share = households.share
    imports, exports = response.imports.reshape(-1, cells), response.exports.reshape(-1, cells)
    direct = rows[:, 2, None, None, None] * announced  # of the rates that count at the margin
    for i in np.flatnonzero((response.kept > 0.0) & (response.kept < 1.0)):
        assert tariff.true_up is not None
        x, here = classes[i], slice(int(households.bus_of[i]) * cells, (int(households.bus_of[i]) + 1) * cells)
        gap = tariff.adders(households)[0].ravel() - tariff.true_up
        direct[x] = true_up_directions(announced[x], share[i] * (imports[i] - exports[i]), gap, moved.net[here, x], float(response.kept[i]))
    through = np.zeros((X, 2, N))  # r_P, cell by cell
    for x, (bus, discount, _) in enumerate(rows):
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
    groups = len(households.groups)
    metered = np.zeros_like(moved.paid)  # [g, x, 2, cells]: what announced rates charge for, as far as they count
    np.add.at(metered[:, :, 0], (households.group_of, classes), (response.kept * share)[:, None] * imports)
    np.add.at(metered[:, :, 1], (households.group_of, classes), -(response.kept * share)[:, None] * exports)
    of_groups = total(moved.paid) + np.tensordot(metered, announced, axes=3) + in_price(metered) @ price_theta
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
