"""The table of convergence: one diagnosis for each tariff, failures as rows."""

import pytest
from outcomes import outcome
from towns import town

from stackopt.energy import benchmarks_named
from stackopt.energy.benchmarks_named import Outcome
from stackopt.energy.diagnosis import diagnose
from stackopt.energy.market.supply import LinearSupply
from stackopt.energy.tables_reliance import convergence
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
