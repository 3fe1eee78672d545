"""Who gains and who loses: histograms against changes known one by one."""

from dataclasses import replace

import numpy as np
import pytest
from outcomes import outcome
from towns import LOAD, town

from stackopt.energy.households import Households, HouseholdType
from stackopt.energy.market.supply import LinearSupply
from stackopt.energy.tables_payers import winners
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
    assert held == pytest.approx({("C", 0, 2): 40, ("PV", 12, 14): 30, ("C", -10, -8): 10, ("PVB", 6, 8): 20})
    edges = sorted({r[2] for r in table.rows} | {r[3] for r in table.rows})
    assert edges == list(range(-10, 16, 2))  # 22 over 20 bins: a width of 2


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
        assert len({r[2] for r in table.rows}) <= 22
        assert 0.0 in {r[2] for r in table.rows}
