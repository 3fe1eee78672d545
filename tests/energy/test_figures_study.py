"""The figures of a tariff study against the stored tables: every bar, line and cell is a stored number."""


import pytest

from stackopt.energy.figures_axes import day
from stackopt.energy.figures_system import day_figure, rates_figure
from stackopt.energy.figures_trade import envelope, trade_off_figure
from stackopt.energy.report_data import Stored


@pytest.fixture(scope="module")
def data(stored_town):
    return stored_town


def test_a_day_ends_at_hour_24_where_it_began():
    assert day(list(range(24))) == (list(range(25)), [*range(24), 0])


def test_lines_of_the_day_are_the_stored_load(data):
    stored = Stored(data)
    line = day_figure(stored).axes[0].get_lines()[0]
    assert list(line.get_xdata()) == list(range(25))
    load = [r["system"] for r in stored.rows("load", tariff=stored.before, weather="clear")]
    assert list(line.get_ydata()) == [*load, load[0]]


def test_steps_of_rates_are_the_stored_rates(data):
    stored = Stored(data)
    panels = {ax.get_title(loc="left"): ax for ax in rates_figure(stored).axes}
    values, edges, _ = panels["flat_nb"].patches[0].get_data()
    assert list(edges) == list(range(25))
    assert list(values) == [r["buy"] for r in stored.rows("rates", tariff="flat_nb")]


def test_envelope_keeps_what_nothing_beats():
    assert envelope([(3.0, 1.0), (1.0, 5.0), (2.0, 6.0), (2.5, 4.0), (3.5, 1.0)]) == [(1.0, 5.0), (2.5, 4.0), (3.0, 1.0)]


def test_frontier_is_drawn_where_it_holds(data):
    stored = Stored(data)
    held = [r for r in stored.rows("frontier") if r["point"].startswith(("designed", "frontier"))]
    assert len(held) == 4
    points = next(line for line in trade_off_figure(stored).axes[0].get_lines() if line.get_label().startswith("designed"))
    assert sorted(zip(points.get_xdata(), points.get_ydata(), strict=True)) == sorted((r["gap"], r["cost"]) for r in held)
