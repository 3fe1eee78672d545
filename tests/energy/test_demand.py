"""The three zones of a prosumer's best use, against a fine search over what could be used."""

import numpy as np
import pytest

import stackopt as so
from stackopt.energy.demand import best_use


def utility(x, load, elasticity, reference):
    return reference * (x - load) - reference / (2 * elasticity * load) * (x - load) ** 2


@pytest.mark.parametrize("seed", range(20))
def test_best_use_beats_every_other(seed):
    rng = np.random.default_rng(seed)
    load, sun, charge = rng.uniform(0.3, 2), rng.uniform(0, 4), rng.uniform(-2, 2)
    sell = rng.uniform(-0.1, 0.4)
    buy = sell + rng.uniform(0, 0.3)
    hour = best_use(np.array([[[load]]]), np.array([[[sun]]]), np.array([charge]), np.array([[[buy]]]), np.array([[[sell]]]), 0.2, 0.3)
    use = np.linspace(0, 6, 200_001)
    net = use - sun + charge
    worth = utility(use, load, 0.2, 0.3) - np.where(net > 0, buy, sell) * net
    best = int(worth.argmax())
    assert hour.worth.item() >= worth[best] - 1e-9
    assert hour.net.item() == pytest.approx(net[best], abs=1e-4)


def test_use_falls_with_the_price_as_the_elasticity_says():
    """x(p) = l (1 - eps (p - p0) / p0): at the reference price the usual load."""
    def net(price):
        rate = np.full((1, 1, 1), price)
        return best_use(np.ones((1, 1, 1)), np.zeros((1, 1, 1)), np.zeros(1), rate, rate, 0.2, 0.3).net.item()

    assert net(0.3) == pytest.approx(1.0)
    assert net(0.6) == pytest.approx(0.8)
    assert (net(0.3 + 1e-6) - net(0.3)) / 1e-6 * 0.3 == pytest.approx(-0.2)


def test_selling_above_buying_has_no_best_use():
    one = np.ones((1, 1, 1))
    with pytest.raises(so.InvalidStudy, match="sell-above-buy"):
        best_use(np.ones((1, 1, 1)), one, np.zeros(1), 0.3 * one, 0.4 * one, 0.2, 0.3)
