"""Batteries and populations: against value iteration, linear programs and difference quotients."""

import numpy as np
import pytest
from towns import town

import stackopt as so
from stackopt.energy.households import Battery, Households, HouseholdType, Weather
from stackopt.energy.response import respond, slopes
from stackopt.energy.standard import standard_households
from stackopt.energy.storage import Charging
from stackopt.energy.tariff import Tariff

PRICE = np.full((1, 24, 2), 0.06)
RATES = Tariff("tou", buy=np.where((np.arange(24) >= 16) & (np.arange(24) < 21), 0.40, 0.25), sell=0.05)


@pytest.mark.parametrize("temperature", [0.05, 2e-4])  # at the lower one odds underflow
@pytest.mark.parametrize("changes", ["daily", "hourly"])
def test_control_is_the_limit_of_value_iteration(changes, temperature):
    battery, weather = Battery(levels=6), Weather(changes=changes)
    rng = np.random.default_rng(0)
    worth = rng.normal(size=(2, 24, 2, len(battery.moves)))
    charging = Charging(battery, weather.hourly)
    control = charging.control(worth, temperature)
    value, gain = np.zeros((2, 2, 6)), None
    for _ in range(300):
        before = value.copy()
        for h in range(23, -1, -1):
            q = worth[:, h, :, None, :] + np.einsum("wv,ivc->iwc", weather.hourly[h], value)[..., charging.target]
            q = np.where(charging.possible, q, -np.inf)
            value = temperature * np.log(np.exp((q - q.max(-1, keepdims=True)) / temperature).sum(-1)) + q.max(-1)
        gain = value - before
        value = value - value.mean((1, 2), keepdims=True)
    assert np.ptp(gain, axis=(1, 2)).max() < 1e-9
    assert np.allclose(control.gain, gain.mean((1, 2)))
    assert np.allclose(control.value, value, atol=1e-8)
    assert np.allclose(control.occupancy.sum((2, 3)), 1.0)
    assert np.allclose(control.occupancy.sum(3), weather.shares)  # regimes rule as often as they do without batteries


def test_hard_control_is_the_linear_program_over_occupancies():
    from scipy.optimize import linprog

    battery = Battery(kwh=4.0, kw=2.0, levels=3)
    weather = Weather(names=("clear",), sun=(1.0,), stay=(1.0,))
    charging = Charging(battery, weather.hourly)
    worth = np.random.default_rng(1).normal(size=(1, 24, 1, len(battery.moves)))
    A, C = len(battery.moves), battery.levels
    index = np.arange(24 * C * A).reshape(24, C, A)
    rows, cost = [], np.zeros(index.size)
    for h in range(24):
        for c in range(C):
            row = np.zeros(index.size)
            row[index[h, c]] += 1.0
            for origin in range(C):
                for a in range(A):
                    if charging.possible[origin, a] and charging.target[origin, a] == c:
                        row[index[h - 1, origin, a]] -= 1.0
            rows.append(row)
        cost[index[h]] = -worth[0, h, 0]
    total = np.zeros(index.size)
    total[index[0]] = 1.0
    bounds = [(0, None if charging.possible.ravel()[j % (C * A)] else 0) for j in range(index.size)]
    found = linprog(cost, A_eq=np.array([*rows, total]), b_eq=np.array([0.0] * len(rows) + [1.0]), bounds=bounds)
    assert charging.control(worth, 0.0).gain[0] == pytest.approx(-found.fun)


@pytest.mark.parametrize("changes", ["daily", "hourly"])
def test_slopes_are_difference_quotients(changes):
    households = town(weather=Weather(changes=changes))
    response = respond(households, RATES, PRICE, 0.02)
    found = slopes(response, np.zeros(4, int))
    for hour in (3, 12, 18):
        for side in (0, 1):
            ends = []
            for step in (1e-5, -1e-5):
                buy, sell = np.array(RATES.buy), np.array(RATES.sell)
                (buy if side == 0 else sell)[hour] += step
                moved = respond(households, Tariff("moved", buy=buy, sell=sell), PRICE, 0.02)
                net = (households.share[:, None, None] * moved.net * households.weather.shares).sum(0).ravel()
                ends.append((net, households.share @ moved.utility, households.share @ moved.wear))
            quotient = (ends[0][0] - ends[1][0]) / 2e-5
            exact = found.net[:, 0, side].reshape(48, 24, 2)[:, hour].sum(-1)
            assert np.abs(quotient - exact).max() <= 1e-6 * max(1.0, np.abs(quotient).max())
            assert (ends[0][1] - ends[1][1]) / 2e-5 == pytest.approx(found.utility[0, side].reshape(24, 2)[hour].sum(), abs=1e-7)
            assert (ends[0][2] - ends[1][2]) / 2e-5 == pytest.approx(found.wear[0, side].reshape(24, 2)[hour].sum(), abs=1e-7)


def test_types_in_blocks_and_types_together_say_the_same(monkeypatch):
    battery, rng = Battery(), np.random.default_rng(0)
    types = [
        HouseholdType(f"{k}", f"Q{k % 3}", "PVB", 1 / 7, 1e4 * (k + 1), rng.uniform(0.3, 1.5, 24), rng.uniform(0.0, 3.0, 24), battery) for k in range(7)
    ]
    households, near = Households(types), Tariff("near", buy=np.array(RATES.buy) + 0.01, sell=0.05)
    answers = []
    for together in (64, 3):
        monkeypatch.setattr("stackopt.energy.response.TOGETHER", together)
        first = respond(households, RATES, PRICE, 0.02)
        second = respond(households, near, PRICE, 0.02, first)  # warm: each block begins where it ended
        assert len(second.parts) == -(-7 // together)
        found = slopes(second, np.arange(7) % 2)
        answers.append((second.net, second.bills, found.net, found.paid, second.exploitability()))
    for one, other in zip(*answers, strict=True):
        assert np.abs(one - other).max() <= 1e-9
    assert np.abs(respond(households, near, PRICE, 0.02).net - answers[0][0]).max() <= 1e-9  # and cold


def test_energy_is_accounted_for():
    """What a battery household takes in and gives out differs by its use, its roof and what the battery loses."""
    households = town()
    response = respond(households, RATES, PRICE, 0.02)
    part = next(p for p in response.parts if p.control is not None)
    use = (part.moves * (part.hour.net + households.sun[part.members][..., None] - Battery().metered)).sum()
    net = (response.imports - response.exports)[part.members].sum()
    losses = (part.moves * Battery().metered).sum() - 0.0
    sun = (households.sun[part.members] * households.weather.shares).sum()
    assert net == pytest.approx(use - sun + losses)
    assert losses > 0  # in the long run what is stored comes out, less the losses
    moved = (part.moves * Battery().moves).sum()
    assert moved == pytest.approx(0.0, abs=1e-9)


def test_exploitability_falls_with_the_temperature():
    households = town()
    gains = [float(households.share @ respond(households, RATES, PRICE, t).exploitability()) for t in (0.05, 0.01, 0.002)]
    assert gains[0] > gains[1] > gains[2] > 0


@pytest.mark.parametrize(
    ("code", "make"),
    [
        ("battery", lambda: Battery(kwh=-1)),
        ("battery", lambda: Battery(kw=0.5)),
        ("hours", lambda: HouseholdType("a", "Q1", "C", 1.0, 1e4, np.ones(23))),
        ("not-finite", lambda: HouseholdType("a", "Q1", "C", 1.0, 1e4, np.ones(24), np.full(24, np.nan))),
        ("setting-value", lambda: HouseholdType("a", "Q1", "C", 1.0, -5, np.ones(24))),
        ("setting-value", lambda: HouseholdType("a", "Q1", "C", 1.0, 1e4, np.zeros(24))),
        ("setting-value", lambda: Weather(stay=(0.5,))),
        ("setting-value", lambda: Weather(transition=[[0.5, 0.4], [0.5, 0.5]])),
        ("setting-value", lambda: town(elasticity=-0.2)),
        ("rate-units", lambda: Tariff("cents", buy=38)),
        ("hours", lambda: Tariff("short", buy=np.ones(23))),
        ("group", lambda: Tariff("x", discount={"Q9": 0.3}).rates(town(), PRICE)),
        ("group", lambda: Tariff("x", fixed={"Q1": 6.0}).fixed_per_day(town())),
    ],
)
def test_what_is_refused(code, make):
    with pytest.raises(so.InvalidStudy) as caught:
        make()
    assert caught.value.code == code


@pytest.mark.parametrize("temperature", [1e-2, 1e-4])
def test_batteries_that_never_move_have_values_and_derivatives_all_the_same(temperature):
    """Noise too small to ever leave a charge: days keep to each of them, and every linear system of a chain is singular."""
    charging = Charging(Battery(kwh=8.0, levels=5), Weather().hourly)
    worth = np.tile(-np.abs(charging.battery.moves).astype(float), (2, 24, 2, 1))
    control = charging.control(worth, temperature)
    assert np.allclose(control.moves[..., charging.reach].sum(-1), 1.0)  # the move of nothing
    assert np.allclose(control.gain, 0.0, atol=1e-12)
    slopes = charging.sensitivity(control, np.ones_like(worth), np.ones((*worth.shape, 1)), np.ones((*worth.shape[:3], 1, charging.actions)))
    assert np.abs(slopes).max() <= 1e-9


def test_values_of_another_temperature_are_no_worse_to_begin_from_than_none():
    """Idle batteries keep nearly to their charges: begun from values of much more noise, policy iteration led nowhere."""
    households = standard_households()
    price = np.linspace(0.055, 0.085, 24)[None, :, None] + np.array([0.0, 0.004])
    rates = Tariff("wholesale", pass_buy=1.0, pass_sell=1.0)
    noisy = respond(households, rates, price, 0.02)
    for temperature in (1e-3, 5e-4, 3e-4):
        begun, cold = respond(households, rates, price, temperature, noisy), respond(households, rates, price, temperature)
        assert max(p.control.residual for p in begun.parts if p.control is not None) < 1e-9
        assert np.allclose(begun.net, cold.net, atol=1e-9)
