"""Which tables there are, which tariffs they show, and what stands in none of them."""

from dataclasses import replace

import pytest
from outcomes import outcome
from towns import town

from stackopt.energy.benchmarks_named import Outcome
from stackopt.energy.exhibits.tables import exhibits, explained
from stackopt.energy.households import Weather
from stackopt.energy.market.supply import LinearSupply
from stackopt.energy.seasons import yearly
from stackopt.energy.tariff import Tariff
from stackopt.solution import Status

#: Every exhibit that analysts expect, and the table that has it.
EXPECTED = {
    "bills": ("before", "after", "change", "relative", "with rise > 5 %", "with burden > 6 %"),
    "winners": ("kind", "change from", "change to", "households"),
    "typical": ("fixed", "energy", "bill", "before", "average rate"),
    "equity": ("gap", "Gini of bills", "Suits index", "with burden > 6 %"),
    "lorenz": ("households", "income", "bills"),
    "revenue": ("fixed costs required", "energy bills", "fixed charges", "shortfall", "wholesale purchases", "congestion rent", "discounts given"),
    "cross_subsidy": tuple(f"over cost: fixed {way}" for way in ("per household", "per kWh", "by income")),
    "load": ("use", "roofs", "into batteries", "net of households", "system"),
    "prices": ("bus", "price"),
    "tariffs": ("what it is", "passed through buying", "passed through selling"),
    "rates": ("buy", "sell", "buy adder", "sell adder"),
    "fixed_charges": ("fixed", "discount"),
    "loss": ("triangle", "above pass-through"),
    "response": ("hour of rate", "hour of load", "change"),
    "summary": ("cost", "gap of burdens", "Suits index", "peak", "3 h ramp", "load factor", "price spread"),
    "convergence": ("price residual", "exploitability", "spectral radius", "monotonicity eigenvalue", "load by weather history", "at bounds"),
    "iterations": ("way", "step", "price residual"),
    "assumptions": ("value", "unit", "source", "status"),
}


@pytest.fixture(scope="module")
def outcomes():
    households, market = town(), LinearSupply()
    flat, through = Tariff("flat", buy=0.3, net_metering=True), Tariff("lmp", pass_buy=1.0, pass_sell=1.0)
    required = -outcome(flat, households, market).criteria.shortfall  # the flat tariff recovers this
    held = [outcome(t, households, market, required) for t in (flat, through, Tariff("cheap", buy=0.15, sell=0.05))]
    fixed = held[1].criteria.shortfall * 365 / 12
    held[1] = outcome(replace(through, fixed=fixed), households, market, required)
    return [*held, Outcome("dear", "", None, None, None, Status.INFEASIBLE, "no level recovers the requirement")]


def test_every_exhibit_has_its_table(outcomes):
    tables = {t.name: t for t in exhibits(outcomes, outcomes[0], ())}
    assert set(tables) == set(EXPECTED)
    for name, columns in EXPECTED.items():
        assert set(columns) <= {n for n, _ in tables[name].columns}, name
    for table in tables.values():
        units = dict(table.columns)
        assert all(units[n] for n in units if n in ("bill", "cost", "peak", "price", "gap", "change", "buy", "sell", "triangle", "income"))


def test_the_energy_rate_is_what_a_kwh_costs_on_average(outcomes):
    """Whatever the level of a tariff means: for one's own it is a factor, for pass-through a charge."""
    rows = {r[0]: r[2] for r in exhibits(outcomes, outcomes[0], ())[0].rows}
    price, shares = outcomes[1].equilibrium.price[0], outcomes[1].equilibrium.households.weather.shares
    assert rows == {"flat": pytest.approx(0.3), "lmp": pytest.approx(float((price @ shares).mean())), "cheap": pytest.approx(0.15), "dear": None}
    assert outcomes[0].level == 1.0


def test_names_are_explained_with_what_is_passed_through(outcomes):
    rows = {r[0]: r[1:] for r in explained([o for o in outcomes if o.tariff is not None]).rows}
    for o in outcomes[:3]:
        assert rows[o.name] == (o.text, o.tariff.pass_buy, o.tariff.pass_buy if o.tariff.net_metering else o.tariff.pass_sell)
    assert {r[1] for r in rows.values()} == {0.0, 1.0}
    settled_once = replace(outcomes[0], tariff=replace(outcomes[0].tariff, net_metering=True, true_up=0.04))
    assert explained([settled_once]).rows[0][1].endswith("worth 0.04 $/kWh")


def test_what_does_not_hold_is_in_two_tables_only(outcomes):
    for table in exhibits(outcomes, outcomes[0], ()):
        shown = "dear" in table.column("tariff") if table.name != "assumptions" else False
        assert shown == (table.name in ("summary", "convergence")), table.name
    without = {t.name for t in exhibits(outcomes, outcomes[3], ())}
    assert without == set(EXPECTED) - {"bills", "winners"}  # against what does not hold nothing is compared


def test_response_is_of_todays_tariff_and_the_one_that_counts(outcomes):
    """The cheapest is one that recovers the requirement, not one that falls short."""
    assert outcomes[2].criteria.cost < outcomes[0].criteria.cost
    assert abs(outcomes[2].criteria.shortfall) > 1e-2
    tables = {t.name: t for t in exhibits(outcomes, outcomes[0], ())}
    assert set(tables["response"].column("tariff")) == {"flat", "lmp"}
    assert set(tables["iterations"].column("tariff")) == {"lmp"}  # a flat rate needs no search
    asked = {t.name: t for t in exhibits(outcomes, outcomes[0], (), "cheap")}
    assert set(asked["response"].column("tariff")) == {"flat", "cheap"}
    assert set(asked["iterations"].column("tariff")) == {"lmp"}


def test_seasons_have_tables_of_their_own():
    year = town(weather=yearly(Weather()))
    held = [outcome(Tariff("flat", buy=0.3, net_metering=True), year, LinearSupply())]
    assert {t.name for t in exhibits(held, held[0], ())} == set(EXPECTED) | {"seasonal_bills", "seasonal_rates"}
