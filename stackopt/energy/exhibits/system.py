"""What the system does: revenue, load and prices by hour, announced rates, what they lose, and how load answers to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackopt.energy.benchmarks_named import Outcome
from stackopt.energy.equilibrium import Equilibrium
from stackopt.energy.exhibits.payers import discounts
from stackopt.energy.exhibits.table import Table
from stackopt.energy.gradients import gradients
from stackopt.energy.households import HOURS
from stackopt.energy.market.supply import Congests
from stackopt.energy.tariff import DAYS_PER_MONTH

Array = NDArray[np.float64]


def revenue(outcomes: Sequence[Outcome]) -> Table:
    """What is required and what is collected, and what lines earn between their ends."""
    rows: list[tuple[Any, ...]] = []
    for o in outcomes:
        assert o.criteria is not None
        assert o.equilibrium is not None
        c = o.criteria
        given = float(c.households.share @ discounts(o.equilibrium))
        rows.append((o.name, c.required, c.wholesale, c.volumetric, c.fixed, c.shortfall, c.generation, congestion_rent(o.equilibrium), given))
    columns = tuple((n, "$/day and household" if n != "tariff" else "") for n in
                    ("tariff", "fixed costs required", "wholesale purchases", "energy bills", "fixed charges", "shortfall", "generation cost",
                     "congestion rent", "discounts given"))  # fmt: skip
    note = "shortfall = required + purchases - energy bills, after discounts, - fixed charges; congestion rent, of all loads together, is no part of it"
    return Table("revenue", "Revenue [adequacy]", columns, tuple(rows), note)


def congestion_rent(found: Equilibrium) -> float:
    """What all loads pay at their nodal prices less what plants are paid there, $/day and household; 0 on one bus."""
    if not isinstance(found.market, Congests):
        return 0.0
    return float((found.market.rent(found.response.load) * found.households.weather.shares).sum()) / found.households.count


def duck(outcomes: Sequence[Outcome]) -> Table:
    """Load of each hour and regime: use, generation on roofs, charging of batteries, net of households, and the system's."""
    rows: list[tuple[Any, ...]] = []
    for o in outcomes:
        assert o.equilibrium is not None
        h, found = o.equilibrium.households, o.equilibrium
        scale = h.count / 1000.0
        sun = np.einsum("i,ihw->hw", h.share, h.sun) * scale
        charging = _charging(found) * scale
        net = found.response.load.sum(0)
        total = found.market.total(found.response.load)
        for hour in range(HOURS):
            for w, regime in enumerate(h.weather.names):
                figures = (net + sun - charging, sun, charging, net, total)
                rows.append((o.name, hour, regime, *(float(f[hour, w]) for f in figures)))
    columns = (
        ("tariff", ""), ("hour", "h"), ("weather", ""), ("use", "MW"), ("roofs", "MW"), ("into batteries", "MW"), ("net of households", "MW"), ("system", "MW"),
    )  # fmt: skip
    return Table("load", "Load by hour and weather: net = use - roofs + into batteries [stability]", columns, tuple(rows))


def _charging(found: Equilibrium) -> Array:
    """What batteries take from the meters on average, given the regime [h, w], kWh per household."""
    h, total = found.households, np.zeros(found.price.shape[1:])
    for part in found.response.parts:
        if part.charging is not None:
            taken = (part.moves * part.charging.battery.metered).sum(-1)
            total += np.einsum("i,ihw->hw", h.share[part.members], taken) / h.weather.shares
    return total


def prices(outcomes: Sequence[Outcome]) -> Table:
    """Wholesale prices by bus, hour and regime."""
    rows: list[tuple[Any, ...]] = []
    for o in outcomes:
        assert o.equilibrium is not None
        h = o.equilibrium.households
        for n, bus in enumerate(h.buses):
            for hour in range(HOURS):
                for w, regime in enumerate(h.weather.names):
                    rows.append((o.name, bus or "one", hour, regime, 1000 * float(o.equilibrium.price[n, hour, w])))
    columns = (("tariff", ""), ("bus", ""), ("hour", "h"), ("weather", ""), ("price", "$/MWh"))
    return Table("prices", "Wholesale prices (LMP) by hour and weather", columns, tuple(rows))


def steps(outcomes: Sequence[Outcome]) -> Table:
    """Rates by hour, averaged over weather and buses, for households without a discount."""
    rows: list[tuple[Any, ...]] = []
    for o in outcomes:
        assert o.equilibrium is not None
        assert o.tariff is not None
        t, h = o.tariff, o.equilibrium.households
        wholesale = (o.equilibrium.price.mean(0) * h.weather.shares).sum(-1)
        buy_adder, sell_adder = (adder @ h.weather.shares for adder in t.adders(h))
        buy = buy_adder + t.pass_buy * wholesale
        sell = buy if t.net_metering else sell_adder + t.pass_sell * wholesale
        adder = np.zeros(HOURS) if t.net_metering else sell_adder
        rows += [(o.name, hour, *(float(rate[hour]) for rate in (buy, sell, buy_adder, adder))) for hour in range(HOURS)]
    columns = (("tariff", ""), ("hour", "h"), ("buy", "$/kWh"), ("sell", "$/kWh"), ("buy adder", "$/kWh"), ("sell adder", "$/kWh"))
    return Table("rates", "Rates by hour, wholesale prices that are passed through included", columns, tuple(rows))


def average_rate(o: Outcome) -> float:
    """What a kWh costs a household without a discount, $/kWh: the average over hours, weather and buses."""
    assert o.equilibrium is not None
    assert o.tariff is not None
    shares = o.equilibrium.households.weather.shares
    adder = o.tariff.adders(o.equilibrium.households)[0] @ shares
    return float((adder + o.tariff.pass_buy * (o.equilibrium.price.mean(0) @ shares)).mean())


def seasonal_rates(outcomes: Sequence[Outcome]) -> Table:
    """Rates by season and hour in a study of a year, averaged over skies and buses, for households without a discount."""
    rows: list[tuple[Any, ...]] = []
    for o in outcomes:
        assert o.equilibrium is not None
        assert o.tariff is not None
        t, h = o.tariff, o.equilibrium.households
        adders = t.adders(h)
        buy = (adders[0] + t.pass_buy * o.equilibrium.price.mean(0)) @ h.weather.within  # [h, s]
        sell = buy if t.net_metering else (adders[1] + t.pass_sell * o.equilibrium.price.mean(0)) @ h.weather.within
        for s, season in enumerate(dict.fromkeys(h.weather.seasons)):
            rows += [(o.name, season.name, hour, float(buy[hour, s]), float(sell[hour, s])) for hour in range(HOURS)]
    columns = (("tariff", ""), ("season", ""), ("hour", "h"), ("buy", "$/kWh"), ("sell", "$/kWh"))
    return Table("seasonal_rates", "Rates by season and hour, wholesale prices that are passed through included", columns, tuple(rows))


def charges_table(outcomes: Sequence[Outcome]) -> Table:
    """Fixed charges and discounts by group."""
    rows: list[tuple[Any, ...]] = []
    for o in outcomes:
        assert o.equilibrium is not None
        assert o.tariff is not None
        h = o.equilibrium.households
        for group, charge in zip(h.groups, o.tariff.fixed_per_day(h), strict=True):
            rows.append((o.name, group, float(charge) * DAYS_PER_MONTH, 100 * float(o.tariff.discount.get(group, 0.0))))
    return Table("fixed_charges", "Fixed charges and discounts", (("tariff", ""), ("group", ""), ("fixed", "$/month"), ("discount", "%")), tuple(rows))


def loss(outcomes: Sequence[Outcome]) -> Table:
    """Harberger's triangle of every tariff: what is not used, or used too much, because its marginal rate is not the wholesale price.

    Use answers linearly, so each household's loss of surplus at a given wholesale price is the triangle between its marginal rate and that
    price, exactly; batteries keep their moves, and the market its prices. The measured cost above that of `lmp` counts both.
    """
    best = next((o.criteria.cost for o in outcomes if o.name == "lmp" and o.criteria), None)
    rows: list[tuple[Any, ...]] = []
    for o in outcomes:
        assert o.criteria is not None
        assert o.equilibrium is not None
        h, response, sums = o.equilibrium.households, o.equilibrium.response, np.zeros(5)
        for part in response.parts:
            usual = h.load[part.members].reshape(len(part.members), HOURS, -1, 1)
            steep = usual * (h.elasticity / h.reference_price)
            charge = np.zeros(1) if part.charging is None else part.charging.battery.metered
            use = part.hour.net - charge + h.sun[part.members][..., None]
            price = response.price[h.bus_of[part.members]][..., None]
            right = np.maximum(usual - steep * (price - h.reference_price), 0.0)
            rate, at_right = (h.reference_price - (x - usual) / steep for x in (use, right))  # what one more kWh is worth there
            weight = h.share[part.members][:, None, None, None] * part.moves
            sums += [float((weight * v).sum()) for v in (use, right, rate * use, price * use, (right - use) * (0.5 * (rate + at_right) - price))]
        used, wanted, paid, spent, triangle = sums.tolist()
        rates = (paid / used, spent / used) if used else (None, None)
        rows.append((o.name, *rates, used, wanted, triangle, None if best is None else o.criteria.cost - best))
    columns = (
        ("tariff", ""), ("rate", "$/kWh"), ("wholesale price", "$/kWh"), ("use at the rate", "kWh/day"), ("use at the wholesale price", "kWh/day"),
        ("triangle", "$/day"), ("above pass-through", "$/day"),
    )  # fmt: skip
    note = "A household on average; rates are marginal, by kWh used. The triangle holds batteries and wholesale prices; cost above pass-through does not."
    return Table("loss", "What rates apart from the wholesale price lose [efficiency]", columns, tuple(rows), note)


def response(outcomes: Sequence[Outcome]) -> Table:
    """How the system's load in one hour moves when the energy rate of another rises, households and market settling anew."""
    rows: list[tuple[Any, ...]] = []
    for o in outcomes:
        assert o.equilibrium is not None
        moved = gradients(o.equilibrium, np.eye(HOURS), np.zeros((HOURS, HOURS))).load
        by_hour = np.einsum("jwk,w->kj", moved, o.equilibrium.households.weather.shares) / 100.0
        rows += [(o.name, k, j, float(by_hour[k, j])) for k in range(HOURS) for j in range(HOURS)]
    columns = (("tariff", ""), ("hour of rate", "h"), ("hour of load", "h"), ("change", "MW per cent/kWh"))
    note = "Derivatives, fixed charges held; under net metering exports earn the higher rate too."
    return Table("response", "How load answers: change of an hour's load for one cent on the buy rate of an hour", columns, tuple(rows), note)
