"""Who pays: histograms against changes known one by one, typical and seasonal bills by hand, discounts, and odd populations."""

from dataclasses import replace

import numpy as np
import pytest
from outcomes import outcome
from towns import LOAD, town

from stackopt.energy.exhibits.payers import bills, cross_subsidy, discounts, equity, lorenz, seasonal_bills, typical, winners
from stackopt.energy.exhibits.system import revenue
from stackopt.energy.households import Households, HouseholdType, Weather
from stackopt.energy.market.supply import LinearSupply
from stackopt.energy.seasons import yearly
from stackopt.energy.tariff import Tariff

MONTH = 365 / 12
FLAT = Tariff("today", buy=0.3, net_metering=True)


def billed(o, name, bills):
    """The same outcome with other bills, $/month."""
    return replace(o, name=name, criteria=replace(o.criteria, bills=np.asarray(bills, float) / MONTH))


@pytest.fixture(scope="module")
def today():
    return outcome(FLAT, town(), LinearSupply())


def test_changes_known_by_hand_fall_into_their_bins(today):
    """A change of 0 is no gain, a change on an edge belongs to the bin above it."""
    before = billed(today, "before", [100, 50, 200, -80])
    table = winners(before, [billed(today, "after", [100, 62, 190, -73.5])])  # changes 0, 12, -10, 6.5 for 40, 30, 10, 20 %
    held = {(kind, a, b): v for _, kind, a, b, v in table.rows if v}
    assert held == pytest.approx({("C", 0, 1): 40, ("PV", 12, 13): 30, ("C", -10, -9): 10, ("PVB", 6, 7): 20})
    edges = sorted({r[2] for r in table.rows} | {r[3] for r in table.rows})
    assert edges == list(range(-10, 14))  # 22 over 30 bins: a width of 1


def test_shares_add_to_everybody_and_match_changes_type_by_type(today):
    many = town()
    outcomes = [outcome(t, many, LinearSupply()) for t in (Tariff("billing", buy=0.24, pass_sell=1.0), Tariff("lmp", pass_buy=1, pass_sell=1, fixed=60.0))]
    table = winners(today, outcomes)
    for o in outcomes:
        rows = [r for r in table.rows if r[0] == o.name]
        assert sum(r[4] for r in rows) == pytest.approx(100)
        for kind in ("C", "PV", "PVB"):
            mine = [r for r in rows if r[1] == kind]
            assert [r[3] for r in mine[:-1]] == [r[2] for r in mine[1:]]  # without holes
            assert np.ptp([r[3] - r[2] for r in mine]) < 1e-9
            for a, b, v in (r[2:] for r in mine):
                expected = 0.0
                for t, old, new in zip(many.types, today.criteria.bills, o.criteria.bills, strict=True):
                    expected += 100 * t.share * (t.kind == kind and a <= (new - old) * MONTH < b)
                assert v == pytest.approx(expected)  # with shares of 10 % and more nobody is beyond the ends


def test_what_is_far_out_is_in_the_last_bins():
    """Two groups of 0.5 % do not widen the bins of all others."""
    types = [HouseholdType(str(k), "all", "C", share, 1e4, LOAD) for k, share in enumerate((0.005, 0.49, 0.5, 0.005))]
    o = outcome(FLAT, Households(types), LinearSupply())
    table = winners(billed(o, "before", np.zeros(4)), [billed(o, "after", [-900, 1, 9, 4000])])
    assert table.rows[0][2:] == pytest.approx((1, 1.5, 49.5))
    assert table.rows[-1][2:] == pytest.approx((9, 9.5, 50.5))
    assert "beyond" in table.note


def test_nobody_moves_or_nothing_to_compare(today):
    still = winners(today, [replace(today, name="same")])
    assert [r[4] for r in still.rows if r[2] <= 0 < r[3]] == pytest.approx([50, 30, 20])
    assert winners(today, []).rows == ()


def test_large_and_small_bills_have_round_edges(today):
    for factor in (1e-3, 1.0, 1e6):
        table = winners(billed(today, "before", np.zeros(4)), [billed(today, "after", factor * np.array([-3.3, 7.7, 1.1, 0.2]))])
        width = table.rows[0][3] - table.rows[0][2]
        assert f"{width:.0e}"[0] in "125"
        assert len({r[2] for r in table.rows}) <= 32
        assert 0.0 in {r[2] for r in table.rows}


# --- typical, seasonal and discounted bills -------------------------------------------------------------------------------


def test_the_typical_bill_by_hand(today):
    """A flat rate times 550 kWh, less the discount, and the fixed charge; by hour in the proportion of all use."""
    care = Tariff("care", buy=0.40, fixed={"Q1": 6.0, "other": 24.0}, discount={"Q1": 0.35})
    peak = np.where(np.arange(24) == 18, 1.0, 0.0)
    table = typical(today, [today, outcome(care, town(), LinearSupply()), outcome(Tariff("peak", buy=peak, sell=0.0), town(), LinearSupply())])
    rows = {(r[0], r[1]): r[2:] for r in table.rows}
    assert rows["today", "Q3"] == pytest.approx((0.0, 165.0, 165.0, 165.0, 0.0, 0.0, 0.3))
    assert rows["care", "Q1"] == pytest.approx((6.0, 143.0, 149.0, 165.0, -16.0, -1600 / 165, 149 / 550))
    assert rows["care", "Q5"] == pytest.approx((24.0, 220.0, 244.0, 165.0, 79.0, 7900 / 165, 244 / 550))
    assert rows["peak", "Q5"][1] == pytest.approx(550 * LOAD[18] / LOAD.sum())
    assert typical(None, [today]).rows[0][5:8] == (None, None, None)


def test_discounts_are_what_the_full_rate_would_have_brought():
    """The same use at the full rate costs what is paid plus the discount; revenue and cross-subsidies state the same sum."""
    o = outcome(Tariff("care", buy=0.40, sell=0.05, discount={"Q1": 0.35, "Q3": 0.1}), town(), LinearSupply())
    response, full = o.equilibrium.response, Tariff("full", buy=0.40, sell=0.05)
    buy, sell = full.rates(o.equilibrium.households, response.price)
    at_full = (buy * response.imports - sell * response.exports).sum((1, 2))
    given = discounts(o.equilibrium)
    assert at_full == pytest.approx(response.bills + given)
    assert given[2:] == pytest.approx([0, 0])
    total = revenue([o]).column("discounts given")[0]
    assert total == pytest.approx(float(o.equilibrium.households.share @ given))
    share = {("Q1", "C"): 0.4, ("Q3", "PV"): 0.3, ("Q5", "C"): 0.1, ("Q5", "PVB"): 0.2}
    table = cross_subsidy([o])
    assert sum(share[r[1], r[2]] * r[-1] for r in table.rows) == pytest.approx(total * MONTH)
    for r in table.rows:  # over cost = bill - energy - fixed costs, by every rule
        assert [r[3] - r[4] - fixed for fixed in r[8:11]] == pytest.approx(list(r[5:8]))


def test_seasonal_bills_average_to_the_bill_of_the_year():
    weather = yearly(Weather())
    households = town(weather=weather)
    tariff = Tariff("summer peak", buy=np.where([n.startswith("summer") for n in weather.names], 0.4, 0.2) * np.ones((24, 1)), sell=0.05, fixed=10.0)
    o = outcome(tariff, households, LinearSupply())
    rows = {(r[1], r[2], r[3]): r[4] for r in seasonal_bills([o]).rows}
    days = {season.name: season.days for season in weather.seasons}
    for t, bill in zip(households.types, o.criteria.bills, strict=True):
        assert sum(days[s] / 365 * rows[s, t.group, t.kind] for s in days) == pytest.approx(bill * MONTH)
    summer = (LOAD * 0.8 * (1 - 0.2 * (0.4 - 0.3) / 0.3)).sum() * 0.4  # the poor: no panels, one rate
    assert rows["summer", "Q1", "C"] == pytest.approx(summer * MONTH + 10.0)


# --- odd populations ------------------------------------------------------------------------------------------------------


def test_equity_counts_households_with_high_burdens(today):
    table = equity([billed(today, "odd", [101, 374, 1251, 5000])])  # 6 % of income is 100, 375, 1250 and 1250 $/month
    assert table.column("with burden > 6 %") == pytest.approx([70.0])


def odd(shares):
    types = [HouseholdType("a", "Q1", "C", shares[0], 2e4, LOAD), HouseholdType("b", "Q5", "PV", shares[1], 2e5, LOAD, 4 * LOAD)]
    return Households(types, Weather(("clear",), (1.0,), (1.0,)))


@pytest.mark.parametrize("shares", [(1.0, 0.0), (0.0, 1.0), (0.5, 0.5)])
def test_groups_without_households_have_no_rows_and_no_numbers(shares):
    """Nobody with panels, or nobody but those; everything is computed without a warning."""
    before, after = (outcome(t, odd(shares), LinearSupply(), 1.0) for t in (FLAT, Tariff("billing", buy=0.4, sell=0.0)))
    there = {g for g, s in zip(("Q1", "Q5"), shares, strict=True) if s}
    assert {r[1] for r in bills(before, [after]).rows} == there | {"all"}
    assert {r[1] for r in cross_subsidy([before, after]).rows} == there
    burdens = equity([after]).rows[0][1:3]
    assert [b is not None for b in burdens] == [g in there for g in ("Q1", "Q5")]
    assert sum(r[4] for r in winners(before, [after]).rows) == pytest.approx(100)
    assert len(typical(before, [after]).rows) == 2  # what a household of the group would pay
    assert all(b is None or np.isfinite(b) for r in lorenz([before, after]).rows for b in r[1:])


def test_bills_below_zero_have_shares_of_what_they_were():
    """A household that was paid 50 and is now paid 20 lost 60 % of it: a rise."""
    o = outcome(FLAT, odd((0.5, 0.5)), LinearSupply())
    rows = {(r[1], r[2]): r for r in bills(billed(o, "before", [100, -50]), [billed(o, "after", [104, -20])]).rows}
    assert rows["Q5", "PV"][6:8] == pytest.approx((30, 60))
    assert rows["Q5", "PV"][10] == pytest.approx(100)
    assert rows["Q1", "C"][10] == 0.0  # 4 %
    assert rows["all", "all"][10] == pytest.approx(50)
    assert rows["all", "all"][7] == pytest.approx(100 * 17 / 25)


def test_where_nobody_buys_there_is_no_share_per_kwh():
    """Roofs give all that is used in every hour: nothing is bought, and fixed costs per kWh bought mean nothing."""
    households = Households([HouseholdType("b", "all", "PV", 1.0, 2e5, LOAD, 4 * LOAD)], Weather(("clear",), (1.0,), (1.0,)))
    o = outcome(Tariff("billing", buy=0.3, sell=0.05), households, LinearSupply(), 1.0)
    row = dict(zip([n for n, _ in cross_subsidy([o]).columns], cross_subsidy([o]).rows[0], strict=True))
    assert row["over cost: fixed per kWh"] is None
    assert row["over cost: fixed per household"] is not None
