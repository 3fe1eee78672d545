"""Price equilibria: residuals, the published hard instance, decoupling, honest failures, and the welfare optimum as an exact test."""

import numpy as np
import pytest
from towns import town

import stackopt as so
from stackopt.energy.criteria import concentration, criteria, fixed_for_revenue
from stackopt.energy.equilibrium import equilibrium, monotonicity, spectral_radius
from stackopt.energy.market.supply import LinearSupply
from stackopt.energy.price_search import demand_jacobian, lawful_prices
from stackopt.energy.response import respond
from stackopt.energy.standard import standard_households
from stackopt.energy.tariff import Tariff
from stackopt.solution import Status

PASS = Tariff("pass-through", pass_buy=1.0, pass_sell=1.0)


@pytest.mark.parametrize(("slope", "temperature"), [(0.045, 0.02), (0.2, 0.02), (0.2, 0.005)])
def test_prices_clear_the_market(slope, temperature):
    households, market = town(), LinearSupply(slope=slope)
    found = equilibrium(households, market, PASS, temperature=temperature)
    assert found.converged
    again = respond(households, PASS, found.price, temperature)  # from nothing but the prices
    assert np.abs(market.clear(again.load)[0] / 1000 - found.price).max() <= 1e-8
    assert monotonicity(found) <= 1e-9  # equal pass-through on both sides: locally one equilibrium


def test_undamped_iteration_cycles_where_the_radius_says_so():
    households, market = town(), LinearSupply(slope=0.6)
    found = equilibrium(households, market, PASS, temperature=0.005)
    assert found.converged
    assert spectral_radius(found) > 1.0
    price = found.price + 1e-4
    for _ in range(30):
        price = market.clear(respond(households, PASS, price, 0.005).load)[0] / 1000
    assert np.abs(price - found.price).max() > 1e-3


def test_jacobian_is_the_difference_quotient():
    households = town()
    price = np.full((1, 24, 2), 0.07) + 0.01 * np.random.default_rng(0).normal(size=(1, 24, 2))
    response = respond(households, PASS, price, 0.02)
    jacobian = demand_jacobian(response)
    for cell in (0, 25, 37):
        moved = []
        for step in (1e-6, -1e-6):
            p = price.copy()
            p.reshape(-1)[cell] += step
            moved.append(respond(households, PASS, p, 0.02).load.ravel())
        quotient = (moved[0] - moved[1]) / 2e-6
        assert np.abs(quotient - jacobian[:, cell]).max() <= 1e-5 * np.abs(quotient).max()
    assert np.allclose(jacobian * np.tile(households.weather.shares, 24)[:, None], (jacobian * np.tile(households.weather.shares, 24)[:, None]).T)


def test_announced_tariffs_decouple():
    found = equilibrium(town(), LinearSupply(slope=0.6), Tariff("flat", buy=0.3, net_metering=True))
    assert found.converged
    assert found.responses == 1
    assert "decouple" in found.because


def test_warm_starts_agree_with_cold_ones():
    households, market = town(), LinearSupply()
    near = equilibrium(households, market, PASS)
    warm = equilibrium(households, market, Tariff("adder", buy=0.02, pass_buy=1.0, pass_sell=1.0), start=near)
    cold = equilibrium(households, market, Tariff("adder", buy=0.02, pass_buy=1.0, pass_sell=1.0))
    assert np.abs(warm.price - cold.price).max() <= 2e-8
    assert warm.responses < cold.responses


def test_what_does_not_settle_is_not_called_an_equilibrium():
    found = equilibrium(town(), LinearSupply(slope=0.2), PASS, temperature=0.005, time_limit=0.0)
    assert not found.converged
    assert "time" in found.because
    assert "LIMIT" in str(found)


def test_under_equal_pass_through_the_equilibrium_is_the_welfare_optimum():
    """Generation - utility + wear of any other prices' response is higher, up to what soft choice costs; it shrinks with the temperature."""
    households, market = town(), LinearSupply(slope=0.1)
    losses = []
    best = None
    for temperature in (0.001, 0.005, 0.02):
        found = equilibrium(households, market, PASS, temperature=temperature)
        gain = float(households.share @ found.response.exploitability())
        cost = criteria(found).cost
        best = cost if best is None else best
        losses.append(cost - best)
        assert cost - best <= gain + 1e-9
        for seed in range(3):
            bent = found.price + 0.02 * np.random.default_rng(seed).normal(size=found.price.shape)
            other = respond(households, PASS, bent, temperature)
            worse = (market.cost(other.load) * households.weather.shares).sum() / households.count
            worse += float(households.share @ (other.wear - other.utility))
            assert worse > cost - gain
    assert losses[1] < losses[2]


def test_fixed_charges_recover_the_revenue_exactly():
    households = town()
    found = equilibrium(households, LinearSupply(), PASS)
    charge = fixed_for_revenue(found, 3.6, np.array([6.0, 12.0, 24.0]))
    assert criteria(found, 3.6, charge).shortfall == pytest.approx(0.0, abs=1e-12)
    assert charge[2] / charge[0] == pytest.approx(4.0)


def test_indices_of_inequality():
    share, income = np.array([0.5, 0.5]), np.array([1.0, 3.0])
    assert concentration(share, income, income)[1] == pytest.approx(0.0)  # proportional
    assert concentration(share, income, np.ones(2))[1] < 0  # the same for all weighs on the poor
    assert concentration(share, income, np.ones(2))[0] == pytest.approx(0.0)
    assert concentration(share, income, np.array([0.0, 1.0]))[1] > 0


def test_prices_stop_at_their_floor_and_generation_is_curtailed():
    market = LinearSupply(intercept=-200.0, slope=0.1, base=0.0, floor=-10.0)
    price, slope = market.clear(np.array([[[100.0], [3000.0]]]))
    assert price.ravel().tolist() == [-10.0, 100.0]
    assert slope.ravel().tolist() == [0.0, 0.1]
    assert market.cost(np.array([[[100.0]]])) == market.cost(np.array([[[1900.0]]]))


@pytest.mark.parametrize(
    ("tariff", "slope", "temperature"),
    [
        (PASS, 0.2, 0.001),
        (PASS, 0.6, 0.001),
        (Tariff("exports at 1.5 of wholesale", buy=0.2, pass_buy=1.0, pass_sell=1.5), 0.2, 0.0003),
        (Tariff("inverse", buy=0.6, sell=0.3, pass_buy=-1.0, pass_sell=-0.5), 0.1, 0.001),
        (Tariff("inverse", buy=0.6, sell=0.3, pass_buy=-1.0, pass_sell=-0.5), 0.1, 0.0003),
    ],
)
def test_hard_instances_with_a_battery_in_a_third_of_all_homes(tariff, slope, temperature):
    households, market = town(), LinearSupply(slope=slope)
    found = equilibrium(households, market, tariff, temperature=temperature)
    assert found.converged, found.because
    again = respond(households, tariff, found.price, temperature)
    assert np.abs(market.clear(again.load)[0] / 1000 - found.price).max() <= 2e-8


def test_a_fifth_of_all_homes_with_batteries_that_follow_prices_closely():
    households = standard_households(adoption=[0.2] * 5, attachment=1.0, shapes=("ca",))
    found = equilibrium(households, LinearSupply(slope=0.2), PASS, temperature=0.001)
    assert found.converged, found.because
    assert spectral_radius(found) > 10.0


def test_what_feeds_on_itself_is_not_called_an_equilibrium_without_one():
    """Retail rates that fall with wholesale prices: no search is sure to end, and what did not end says so."""
    inverse = Tariff("inverse", buy=0.6, sell=0.3, pass_buy=-1.0, pass_sell=-0.5)
    found = equilibrium(town(), LinearSupply(slope=0.4), inverse, temperature=0.02)
    assert found.status is Status.LIMIT
    assert found.residual > 1e-3
    assert "most responses" in found.because


def test_the_history_tells_every_response_and_ends_at_the_answer():
    found = equilibrium(town(), LinearSupply(slope=0.2), PASS, temperature=0.001)
    assert len(found.history) == found.responses
    assert found.history[-1] == (0.001, found.residual)
    assert found.history[0][0] == 0.02  # where a cold start begins
    assert all(residual >= 0 for _, residual in found.history)


def test_prices_on_the_way_may_be_unlawful_but_not_those_found():
    """Exports at wholesale, imports at 0.45: refused only if the market goes there, not because a search starts there."""
    households, billing = town(), Tariff("net billing", buy=0.45, pass_sell=1.0)
    low, high = lawful_prices(households, billing)
    assert np.isneginf(low).all()
    assert np.allclose(high, 0.45)
    market = LinearSupply(intercept=-200.0, slope=0.3)
    usual = np.tensordot(households.share, households.load, 1)[None] * households.count / 1000.0
    assert market.clear(usual)[0].max() > 450.0  # where the search would start
    found = equilibrium(households, market, billing)
    assert found.converged
    assert found.price.max() < 0.45
    with pytest.raises(so.InvalidStudy) as caught:
        equilibrium(households, LinearSupply(slope=0.3), billing)
    assert caught.value.code == "sell-above-buy"
    assert "450 $/MWh" in str(caught.value)
