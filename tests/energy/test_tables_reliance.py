"""The table of convergence: one diagnosis for each tariff, failures as rows."""

from dataclasses import replace
from itertools import pairwise

import pytest
from outcomes import outcome
from towns import town

from stackopt.energy import benchmarks_named
from stackopt.energy.benchmarks_named import Outcome
from stackopt.energy.diagnosis import diagnose
from stackopt.energy.exhibits.reliance import SETTLED, convergence, iterations, undamped
from stackopt.energy.market.supply import LinearSupply
from stackopt.energy.tariff import Tariff
from stackopt.solution import Status

PASS = Tariff("lmp", pass_buy=1.0, pass_sell=1.0)


def test_each_tariff_is_diagnosed_once(monkeypatch):
    asked = []
    monkeypatch.setattr(benchmarks_named, "diagnose", lambda found: asked.append(found) or diagnose(found))
    held = outcome(PASS, town(), LinearSupply(slope=0.1))
    failed = Outcome("dear", "", None, None, None, Status.INFEASIBLE, "no level recovers the requirement", equilibria=7)
    first, again = convergence([held, failed]), convergence([held, failed])
    assert asked == [held.equilibrium]
    assert first == again
    row = dict(zip([n for n, _ in first.columns], first.rows[0], strict=True))
    d = diagnose(held.equilibrium)
    assert row["load by weather history"] == d.closure.load_deviation > 0.1
    assert row["price by weather history"] == pytest.approx(0.1 * d.closure.load_deviation, rel=1e-4)  # a linear market
    assert row["spectral radius"] == d.spectral_radius
    assert row["locally one equilibrium"] == "yes"
    assert row["at bounds"] == ""
    assert first.rows[1][:2] == ("dear", "INFEASIBLE")
    assert first.rows[1][-1] == "no level recovers the requirement"
    assert all(v in (None, "", 7) for v in first.rows[1][2:-1])


def test_bounds_that_bind_are_in_the_table():
    dear = outcome(Tariff("dear", buy=2.0, sell=0.0), town(), LinearSupply())
    assert "lower bound of nothing" in convergence([dear]).column("at bounds")[0]


# --- iterations ---------------------------------------------------------------------------------------------------------


def test_undamped_iteration_shrinks_by_the_spectral_radius_or_cycles():
    """Far down, residuals fall by the radius that the diagnosis computes from derivatives; above 1 they do not fall."""
    mild = outcome(PASS, town(), LinearSupply(slope=0.045), temperature=0.05)
    residuals = undamped(mild.equilibrium, 60)
    assert residuals[-1] <= SETTLED
    ratios = [b / a for a, b in pairwise(residuals)]
    assert ratios[-4:] == pytest.approx([mild.diagnosis.spectral_radius] * 4, rel=0.05)
    steep = outcome(PASS, town(), LinearSupply(slope=0.6), temperature=0.02)
    assert steep.diagnosis.spectral_radius > 1
    assert min(undamped(steep.equilibrium)[5:]) > 1e-3


def test_the_search_is_shown_to_its_end_and_only_where_prices_pass():
    steep = outcome(PASS, town(), LinearSupply(slope=0.6), temperature=0.02)
    flat = outcome(Tariff("flat", buy=0.3, net_metering=True), town(), LinearSupply(slope=0.6))
    table = iterations([flat, steep])
    assert set(table.column("tariff")) == {"lmp"}
    rows = [r for r in table.rows if r[1] == "search"]
    assert [r[2] for r in rows] == list(range(len(rows)))
    assert rows[-1][3] == 0.02
    assert min(r[4] for r in rows if r[3] == 0.02) <= SETTLED
    assert len([r for r in table.rows if r[1] == "undamped"]) == 20


def test_undamped_iteration_ends_where_rates_are_not_lawful():
    """Selling at 2 wholesale prices and buying at one and 0.10 $ is lawful to 100 $/MWh; in a dearer market the usual load costs more."""
    o = outcome(Tariff("double", buy=0.1, pass_buy=1.0, pass_sell=2.0), town(), LinearSupply(slope=0.02))
    assert undamped(o.equilibrium)
    assert undamped(replace(o.equilibrium, market=LinearSupply(slope=0.2))) == []
