"""Bills against PySAM's utility rate calculator (``pip install stackopt[peers-energy]``), month by month to a hundredth of a cent.

The same household, made here: 5387 kWh used and 3978 kWh generated in a year that begins on a Monday. Two definitions differ and are compared
as such. PySAM pays out at the end of the year what money is left; here it is stated as carried. PySAM's monthly minimum adds to a negative bill
what it adds to a bill of 0, and under "buy all, sell all" leaves credits out of it; here it is the least that is paid.
"""

import numpy as np
import pytest

from stackopt.energy.bill import bill
from stackopt.energy.calendar import Calendar
from stackopt.energy.rates import Rates, Tier

CALENDAR = Calendar.year(2018)
CENT = 1e-4  # $
BEYOND = 1e38
#: PySAM's numbers of metering rules.
RULES = {"kWh": 0, "$": 1, "net billing": 2, "net billing, carried": 3, "buy all, sell all": 4}


def household():
    rng = np.random.default_rng(0)
    hour, day = CALENDAR.hour, np.arange(8760) // 24
    season = np.cos(2 * np.pi * (day - 172) / 365)
    load = 0.5 + 0.6 * np.exp(-(((hour - 19) % 24) ** 2) / 8) + 0.4 * (season > 0.3) * (hour > 14) * (hour < 21) * rng.uniform(0.6, 1.4, 8760)
    sun = np.maximum(np.sin((hour - 6) / 12 * np.pi), 0) * (1 + 0.5 * season) * rng.uniform(0.3, 1, 8760) * 2.2
    return np.round(load, 3), np.round(sun, 3)


LOAD, SUN = household()


def sam(rule, matrix, periods, *, sun=SUN, fixed=0.0, minimum=0.0, surplus=0.0):
    """Monthly bills [12] of PySAM; `matrix` rows are period, tier, up to, unit, buy, sell."""
    rates = pytest.importorskip("PySAM.Utilityrate5").new()
    rates.Lifetime.analysis_period, rates.Lifetime.inflation_rate, rates.Lifetime.system_use_lifetime_output = 1, 0, 0
    rates.SystemOutput.degradation, rates.SystemOutput.gen = [0], sun.tolist()
    rates.Load.load, rates.Load.load_escalation = LOAD.tolist(), [0]
    e = rates.ElectricityRates
    e.en_electricity_rates, e.rate_escalation, e.ur_dc_enable, e.TOU_demand_single_peak = 1, [0], 0, 0
    e.ur_metering_option, e.ur_monthly_fixed_charge, e.ur_monthly_min_charge, e.ur_annual_min_charge = RULES[rule], fixed, minimum, 0
    e.ur_nm_yearend_sell_rate, e.ur_nm_credit_month, e.ur_nm_credit_rollover = surplus, 11, 0
    e.ur_sell_eq_buy, e.ur_en_ts_buy_rate, e.ur_en_ts_sell_rate = 0, 0, 0
    e.ur_nb_credit_expire, e.ur_nb_apply_credit_current_month = 0, 1
    e.ur_ec_sched_weekday, e.ur_ec_sched_weekend, e.ur_ec_tou_mat = periods[:, 0].tolist(), periods[:, 1].tolist(), matrix
    rates.execute(0)
    return np.array(rates.Outputs.utility_bill_w_sys_ym)[1]


def time_of_use(weekend):
    """(periods [12, 2, 24], buy, sell [12, 2, 24], matrix): off-peak and peak, dearer from June to September."""
    periods = np.ones((12, 2, 24))
    periods[:, :, 16:21] = 2
    periods[:, 1] = periods[:, 1] if weekend else 1
    periods[5:9] += 2
    prices = {1: (0.30, 0.06), 2: (0.40, 0.09), 3: (0.35, 0.07), 4: (0.52, 0.12)}
    buy, sell = (np.vectorize(lambda p, k=k: prices[p][k])(periods) for k in (0, 1))
    return periods, buy, sell, [[p, 1, BEYOND, 0, *price] for p, price in prices.items()]


FLAT = np.ones((12, 2, 24)), np.full((12, 2, 24), 0.30), np.full((12, 2, 24), 0.06), [[1, 1, BEYOND, 0, 0.30, 0.06]]
SHAPES = {"flat": FLAT, "time of use": time_of_use(True), "weekdays": time_of_use(False)}


def rates(rule, buy, sell, **more):
    if rule in ("kWh", "$"):
        return Rates(rule, buy, sell if rule == "$" else None, "net metering", rule, **more)
    if rule == "net billing, carried":
        return Rates(rule, buy, sell, "net billing", "$", **more)
    return Rates(rule, buy, sell, rule, **more)


@pytest.mark.parametrize("size", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("shape", list(SHAPES))
@pytest.mark.parametrize("rule", list(RULES))
def test_every_metering_rule_to_the_cent(rule, shape, size):
    periods, buy, sell, matrix = SHAPES[shape]
    peer, ours = sam(rule, matrix, periods, sun=size * SUN), bill(rates(rule, buy, sell), CALENDAR, LOAD, size * SUN)
    if rule in ("$", "net billing, carried"):
        peer[11] += ours.carried
    assert np.abs(ours.monthly - peer).max() <= CENT
    assert ours.total == pytest.approx(peer.sum(), abs=CENT)


@pytest.mark.parametrize("shape", list(SHAPES))
def test_energy_left_over_at_the_end_of_the_year(shape):
    periods, buy, sell, matrix = SHAPES[shape]
    peer, ours = sam("kWh", matrix, periods, sun=2 * SUN, surplus=0.04), bill(rates("kWh", buy, sell, surplus=0.04), CALENDAR, LOAD, 2 * SUN)
    assert ours.credit.sum() < -50.0
    assert np.abs(ours.monthly - peer).max() <= CENT


@pytest.mark.parametrize("size", [0.0, 0.7])
@pytest.mark.parametrize("rule", ["kWh", "net billing", "buy all, sell all"])
def test_tiers(rule, size):
    """PySAM states the rate of each tier, here it is an adder; both have quantities per day."""
    matrix = [[1, 1, 6, 2, 0.30, 0.06], [1, 2, 9, 2, 0.35, 0.06], [1, 3, BEYOND, 2, 0.45, 0.06]]
    peer = sam(rule, matrix, FLAT[0], sun=size * SUN)
    ours = bill(rates(rule, 0.30, 0.06, tiers=(Tier(6, 0.05), Tier(9, 0.10))), CALENDAR, LOAD, size * SUN)
    assert ours.tiers.sum() > 5.0
    assert np.abs(ours.monthly - peer).max() <= CENT


@pytest.mark.parametrize("rule", list(RULES))
def test_fixed_charges(rule):
    periods, buy, sell, matrix = SHAPES["time of use"]
    peer, ours = sam(rule, matrix, periods, fixed=24.15), bill(rates(rule, buy, sell, fixed=24.15, per="month"), CALENDAR, LOAD, SUN)
    assert ours.carried == pytest.approx(0.0, abs=1e-9) or rule == "kWh"
    assert np.abs(ours.monthly - peer).max() <= CENT


@pytest.mark.parametrize(("rule", "fixed", "minimum"), [("kWh", 0.0, 45.0), ("kWh", 10.0, 55.0), ("net billing", 0.0, 90.0), ("net billing", 5.0, 90.0)])
def test_the_least_bill(rule, fixed, minimum):
    periods, buy, sell, matrix = SHAPES["time of use"]
    peer = sam(rule, matrix, periods, fixed=fixed, minimum=minimum)
    ours = bill(rates(rule, buy, sell, fixed=fixed, minimum=minimum, per="month"), CALENDAR, LOAD, SUN)
    assert 2 <= (ours.minimum > 0).sum() <= 11
    assert np.abs(ours.monthly - peer).max() <= CENT
