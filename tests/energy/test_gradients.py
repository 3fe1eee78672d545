"""Gradients of every criterion against central differences of re-solved equilibria."""

import numpy as np
import pytest
from towns import town

from stackopt.energy.criteria import criteria
from stackopt.energy.equilibrium import equilibrium
from stackopt.energy.gradients import gradients
from stackopt.energy.market.supply import LinearSupply
from stackopt.energy.tariff import Tariff

PERIODS = np.array([(h >= 16) & (h < 21) for h in range(24)])
BUY = np.column_stack([PERIODS, ~PERIODS, np.zeros(24), np.zeros(24)]).astype(float)
SELL = np.column_stack([np.zeros(24), np.zeros(24), PERIODS, ~PERIODS]).astype(float)
THETA = np.array([0.15, 0.08, 0.0, -0.01])

KINDS = {
    "pass-through": {"pass_buy": 1.0, "pass_sell": 1.0},
    "net billing at wholesale": {"pass_buy": 0.0, "pass_sell": 0.5},
    "net metering of real-time rates": {"pass_buy": 1.0, "net_metering": True},
    "discounts": {"pass_buy": 1.0, "pass_sell": 0.5, "discount": {"Q1": 0.35}},
}


def solved(theta, kind, start=None):
    tariff = Tariff("t", buy=BUY @ theta, sell=SELL @ theta, **KINDS[kind])
    found = equilibrium(town(), LinearSupply(slope=0.1), tariff, tolerance=1e-11, start=start)
    assert found.converged
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_difference_quotients(kind):
    theta = THETA + (0.0 if kind != "net billing at wholesale" else np.array([0.2, 0.2, 0.0, 0.0]))
    found = solved(theta, kind)
    exact = gradients(found, BUY, SELL)
    for d, e in enumerate(np.eye(4)):
        up, down = (solved(theta + s * 1e-5 * e, kind, found) for s in (1, -1))
        first, second = criteria(up), criteria(down)
        pairs = {
            "cost": (first.cost - second.cost, exact.cost[d]),
            "volumetric": (first.volumetric - second.volumetric, exact.volumetric[d]),
            "wholesale": (first.wholesale - second.wholesale, exact.wholesale[d]),
            "incidence": (first.incidence - second.incidence, exact.incidence[:, d]),
            "price": (up.price - down.price, exact.price[..., d]),
            "load": ((up.response.load - down.response.load).sum(0), exact.load[..., d]),
            "variance": (first.price_spread**2 - second.price_spread**2, exact.price_variance[d]),
        }
        for name, (difference, slope) in pairs.items():
            quotient = np.asarray(difference) / 2e-5
            scale = max(np.abs(getattr(exact, "price_variance" if name == "variance" else name)).max(), 1e-9)
            assert np.abs(quotient - slope).max() <= 2e-5 * scale, name
