"""Bills to the cent: a published one, formulas by hand, and what must not be billed."""

import csv
import datetime

import numpy as np
import pytest

import stackopt as so
from stackopt.catalog import data_file
from stackopt.energy.bill import bill
from stackopt.energy.calendar import Calendar
from stackopt.energy.rates import Rates, Tier, time_of_use

#: PG&E E-TOU-C from 2026-06-01; hand results of a published bill explainer, tier 3, 30 days.
PUBLISHED = [("summer", 600, 195, 262.3299), ("summer", 1000, 195, 431.9299), ("winter", 600, 225, 229.6299)]


def e_tou_c(baseline):
    with data_file("energy", "rates_pge_e_tou_c.csv").open(newline="", encoding="utf-8") as file:
        found = {(row["season"].split("(")[0], row["period"]): float(row["value"]) for row in csv.DictReader(file)}
    seasons = ["summer" if 5 <= m <= 8 else "winter" for m in range(12)]
    buy = np.stack([np.broadcast_to(time_of_use(found[s, "peak"], found[s, "off_peak"]), (2, 24)) for s in seasons])
    fixed = {p.split("_")[-1]: value for (_, p), value in found.items() if p.startswith("base_services_charge")}
    return Rates("E-TOU-C", buy, baseline=baseline, baseline_credit=-found["all", "baseline_credit"], fixed=fixed)


def thirty_days(month):
    return Calendar.of_days([datetime.date(2026, month, d) for d in range(1, 31)])


@pytest.mark.parametrize(("season", "kwh", "baseline", "expected"), PUBLISHED)
def test_a_published_bill(season, kwh, baseline, expected):
    calendar = thirty_days(6 if season == "summer" else 11)
    peak = (calendar.hour >= 16) & (calendar.hour < 21)
    load = np.where(peak, 0.2 * kwh / peak.sum(), 0.8 * kwh / (~peak).sum())
    assert bill(e_tou_c(baseline / 30), calendar, load).total == pytest.approx(expected, abs=5e-5)


def twice_january():
    return Calendar.of_days([datetime.date(2026, 1, 1), datetime.date(2026, 2, 1), datetime.date(2027, 1, 1)])


def household(seed=0, year=2025):
    rng = np.random.default_rng(seed)
    calendar = Calendar.year(year)
    sun = np.maximum(np.sin((calendar.hour - 6) / 12 * np.pi), 0.0) * ((calendar.hour >= 6) & (calendar.hour < 18))
    return calendar, rng.uniform(0.2, 1.5, len(calendar)), 4.0 * sun * rng.uniform(0.3, 1.0, len(calendar))


BUY = np.stack([np.broadcast_to(time_of_use(0.5 if 5 <= m <= 8 else 0.4, 0.3), (2, 24)) for m in range(12)])


def test_net_billing_and_buy_all_are_sums_over_hours():
    calendar, load, sun = household()
    price, net = BUY[calendar.month, calendar.weekend, calendar.hour], load - sun
    billed = bill(Rates("nb", BUY, 0.06), calendar, load, sun)
    assert billed.total == pytest.approx((np.maximum(net, 0) * price).sum() - 0.06 * np.maximum(-net, 0).sum())
    both = bill(Rates("basa", BUY, 0.06, "buy all, sell all"), calendar, load, sun)
    assert both.total == pytest.approx((load * price).sum() - 0.06 * sun.sum())
    assert billed.imports.sum() - billed.exports.sum() == pytest.approx(load.sum() - sun.sum())


def test_net_metering_carries_energy_from_month_to_month():
    calendar, load, sun = household()
    net = load - sun
    flat = bill(Rates("nem", 0.3, metering="net metering"), calendar, load, sun)
    bank, owed = 0.0, 0.0  # by hand, month by month
    for month in range(12):
        balance = net[calendar.month == month].sum() - bank
        owed += 0.3 * max(balance, 0.0)
        bank = max(-balance, 0.0)
    assert flat.total == pytest.approx(owed)
    assert flat.carried == pytest.approx(bank)


def test_with_one_price_money_and_energy_carry_the_same():
    calendar, load, sun = household(1)
    kwh = bill(Rates("nem", 0.3, metering="net metering"), calendar, load, sun)
    money = bill(Rates("nem", 0.3, metering="net metering", rollover="$"), calendar, load, sun)
    assert kwh.total == pytest.approx(money.total)
    assert kwh.carried * 0.3 == pytest.approx(money.carried)


def test_metering_rules_are_ordered_where_selling_pays_less():
    """Net metering nets over months, net billing within hours, and buying all nets nothing."""
    calendar, load, sun = household(2)
    rules = [("net metering", None), ("net billing", 0.06), ("buy all, sell all", 0.06)]
    totals = [bill(Rates("r", BUY, sell, metering), calendar, load, sun).total for metering, sell in rules]
    assert totals[0] < totals[1] < totals[2]


def test_leftover_energy_is_paid_at_the_surplus_rate():
    calendar, load, sun = household(3)
    none = bill(Rates("nem", 0.3, metering="net metering"), calendar, load, 3 * sun)
    paid = bill(Rates("nem", 0.3, metering="net metering", surplus=0.04), calendar, load, 3 * sun)
    assert none.carried > 0
    assert none.total - paid.total == pytest.approx(0.04 * none.carried)


def test_tiers_baseline_discount_and_minimum():
    calendar = thirty_days(6)
    load = np.full(len(calendar), 1.0)  # 720 kWh
    rates = Rates(
        "all", 0.30, tiers=(Tier(10.0, 0.05), Tier(20.0, 0.10)), baseline=5.0, baseline_credit=0.02, fixed={"low": 0.2, "other": 0.8},
        discount={"low": 0.35},
    )  # fmt: skip
    before = 216.0 + 0.05 * 420 + 0.10 * 120 - 0.02 * 150
    assert bill(rates, calendar, load).total == pytest.approx(before + 24.0)
    assert bill(rates, calendar, load, group="low").total == pytest.approx(0.65 * (before + 6.0))
    assert bill(Rates("least", 0.1, minimum=1.0), calendar, np.zeros(720)).total == pytest.approx(30.0)
    assert "Bill: " in str(bill(rates, calendar, load))


@pytest.mark.parametrize(
    ("code", "make"),
    [
        ("hours", lambda: Rates("r", np.ones(23))),
        ("rate-units", lambda: Rates("flat", 38)),
        ("rate-units", lambda: Rates("flat", [np.nan] * 24)),
        ("sell-above-buy", lambda: Rates("r", 0.3, 0.4)),
        ("setting-value", lambda: Rates("r", 0.3, metering="netto")),
        ("setting-value", lambda: Rates("r", 0.3, rollover="never")),
        ("setting-value", lambda: Rates("r", 0.3, discount={"Q1": 1.5})),
        ("hours", lambda: bill(Rates("r", 0.3), thirty_days(6), np.ones(24))),
        ("not-finite", lambda: bill(Rates("r", 0.3), thirty_days(6), np.full(720, np.nan))),
        ("setting-value", lambda: Rates("r", 0.3, 0.06, "net metering")),
        ("sell-above-buy", lambda: Rates("r", 0.3, 0.31, "net metering", "$")),
        ("setting-value", lambda: Rates("r", 0.3, per="year")),
        ("setting-value", lambda: Rates("r", 0.3, fixed=np.nan)),
        ("setting-value", lambda: Rates("r", 0.3, fixed={"low": np.inf})),
        ("setting-value", lambda: Rates("r", 0.3, minimum=-1.0)),
        ("setting-value", lambda: Rates("r", 0.3, baseline=np.nan)),
        ("hours", lambda: Rates("r", 0.3, baseline=[1.0, 2.0])),
        ("setting-value", lambda: Rates("r", 0.3, tiers=(Tier(-1.0, 0.1),))),
        ("rate-units", lambda: Rates("r", 0.3, tiers=(Tier(1.0, np.nan),))),
        ("rate-units", lambda: Rates("r", 0.3, baseline_credit=8.0e2)),
        ("setting-value", lambda: Rates("r", 0.3, discount={"Q1": np.nan})),
        ("rate-units", lambda: Rates("r", np.inf)),
        ("negative-load", lambda: bill(Rates("r", 0.3, 0.1, "buy all, sell all"), thirty_days(6), np.full(720, -1.0))),
        ("negative-load", lambda: bill(Rates("r", 0.3, 0.1, "buy all, sell all"), thirty_days(6), np.ones(720), np.full(720, -0.1))),
        ("hours", lambda: bill(Rates("r", 0.3), twice_january(), np.ones(72))),
        ("hours", lambda: bill(Rates("r", 0.3), Calendar.year(2024), np.ones(8760))),
        ("group", lambda: bill(Rates("r", 0.3, fixed={"low": 1.0}), thirty_days(6), np.ones(720), group="high")),
        ("hours", lambda: Calendar(np.array([0]), np.array([0]), np.array([24]))),
    ],
)
def test_what_cannot_be_billed(code, make):
    with pytest.raises(so.InvalidStudy) as caught:
        make()
    assert caught.value.code == code


def test_years_have_their_days():
    assert len(Calendar.year(2025)) == 8760
    assert len(Calendar.year(2024)) == 8784
    assert Calendar.year(2025).days.tolist() == [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]


def test_a_year_may_begin_in_any_month():
    """Energy is carried in the order of the year that is billed, not of the months' names."""
    days = [datetime.date(2025, 7, 1) + datetime.timedelta(days=d) for d in range(365)]
    calendar = Calendar.of_days(days)
    net = np.where(calendar.month == 11, -1.0, np.where(calendar.month == 0, 1.0, 0.0))  # December gives, January takes
    load, sun = np.maximum(net, 0.0), np.maximum(-net, 0.0)
    assert bill(Rates("r", 0.3, metering="net metering"), calendar, load, sun).total == pytest.approx(0.0, abs=1e-9)
    assert bill(Rates("r", 0.3, 0.1, metering="net metering", rollover="$"), calendar, load, sun).total == pytest.approx(0.2 * 744)
    backwards = Calendar.year(2025)
    net = np.where(backwards.month == 11, -1.0, np.where(backwards.month == 0, 1.0, 0.0))
    late = bill(Rates("r", 0.3, metering="net metering"), backwards, np.maximum(net, 0.0), np.maximum(-net, 0.0))
    assert late.total == pytest.approx(0.3 * 744)
    assert late.carried == pytest.approx(744)


def test_a_leap_year_has_a_day_more_of_fixed_charges():
    bills = [bill(Rates("r", 0.2, fixed=0.5), Calendar.year(y), np.ones(len(Calendar.year(y)))) for y in (2024, 2025)]
    assert bills[0].fixed[1] - bills[1].fixed[1] == pytest.approx(0.5)
    assert bills[0].total - bills[1].total == pytest.approx(0.5 + 0.2 * 24)
    assert bill(Rates("r", 0.0, fixed=12.0, per="month"), Calendar.year(2024), np.ones(8784)).fixed.tolist() == [12.0] * 12


def test_negative_rates_pay_for_use():
    calendar = thirty_days(4)
    paid = bill(Rates("r", np.where(np.arange(24) == 13, -0.05, 0.2), -0.05), calendar, np.ones(720))
    assert paid.total == pytest.approx(30 * (23 * 0.2 - 0.05))
    exported = bill(Rates("r", 0.0, -0.02), calendar, np.zeros(720), np.ones(720))
    assert exported.total == pytest.approx(0.02 * 720)


def test_energy_bought_back_at_another_hour_is_not_paid_for_at_the_end():
    """Off-peak surplus of 100 kWh, peak use of 60: 40 kWh are left over, whatever was paid for the 60."""
    calendar = thirty_days(4)
    peak = (calendar.hour >= 16) & (calendar.hour < 21)
    net = np.where(peak, 60 / peak.sum(), -100 / (~peak).sum())
    rates = Rates("r", time_of_use(0.5, 0.3), metering="net metering", surplus=0.04)
    assert bill(rates, calendar, np.maximum(net, 0), np.maximum(-net, 0)).total == pytest.approx(0.5 * 60 - 0.04 * 40)
