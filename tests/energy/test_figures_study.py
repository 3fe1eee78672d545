"""The figures of a tariff study against the stored tables: every bar, line and cell is a stored number."""

import copy
import math

import pytest
from stored import broken, with_column

from stackopt.comparison.drawing import ABOVE, BELOW, pdf_file, svg_file
from stackopt.energy.reports.axes import PAGE, across, day
from stackopt.energy.reports.figures import figures
from stackopt.energy.reports.found import finding
from stackopt.energy.reports.payers import burdens_figure, winners_figure
from stackopt.energy.reports.stored import Stored
from stackopt.energy.reports.system import buses_figure, day_figure, duck_figure, rates_figure, response_figure, seasonal_figure, shown_buses, steps_of
from stackopt.energy.reports.trade import convergence_figure, envelope, iterations_figure, loss_figure, lossy, revenue_figure, trade_off_figure


@pytest.fixture(scope="module")
def data(stored_town):
    return stored_town


@pytest.fixture(scope="module")
def drawn(data):
    return {name: draw(Stored(data)) for name, draw in figures(Stored(data)).items()}


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


def test_bars_of_winners_are_the_stored_shares(data):
    stored = Stored(data)
    axes = {"".join(ax.get_title(loc="left").split()).partition(":")[0]: ax for ax in winners_figure(stored).axes}
    assert set(axes) == set(stored.others)
    for name, ax in axes.items():
        rows = [r for r in stored.rows("winners", tariff=name) if r["households"] > 0]
        drawn = {}
        for bar in ax.patches:
            drawn[bar.get_x(), bar.get_x() + bar.get_width()] = drawn.get((bar.get_x(), bar.get_x() + bar.get_width()), 0.0) + bar.get_height()
        for r in rows:
            drawn[r["change from"], r["change to"]] -= r["households"]
        assert max(map(abs, drawn.values())) < 1e-9
        less = sum(r["households"] for r in rows if r["change from"] < 0)
        assert "".join(ax.get_title(loc="left").split()) == f"{name}:{less:.0f}%less"
        assert [line.get_xdata()[0] for line in ax.get_lines()] == [0.0]


def test_cells_of_the_response_stand_where_the_stored_changes_are(data):
    stored = Stored(data)
    rows = [r for r in stored.rows("response") if r["tariff"] == stored.before]
    figure = response_figure(stored)
    ax = next(ax for ax in figure.axes if ax.get_title(loc="left") == stored.before)
    limits, colours = steps_of([r["change"] for r in stored.rows("response")])
    for patch in ax.patches:
        corners = {(int(x), int(y)) for (x, y), code in zip(patch.get_path().vertices, patch.get_path().codes, strict=True) if code == 1}
        step = colours.index("#" + "".join(f"{round(255 * v):02x}" for v in patch.get_facecolor()[:3]))
        for r in rows:
            inside = limits[step] <= r["change"] < limits[step + 1] or r["change"] == limits[-1] == limits[step + 1]
            assert ((r["hour of rate"], r["hour of load"]) in corners) == inside
    assert len(ax.get_lines()) == 2  # the stairs along the own hours
    assert figure.axes[-1].get_ylabel() == "MW per cent/kWh"  # one scale for all


def test_steps_of_a_map_are_on_one_side_of_zero_where_the_values_are():
    limits, colours = steps_of([0.0, 0.4, 3.9])
    assert limits[0] == 0.0
    assert limits[-1] >= 3.9
    assert set(colours) <= set(ABOVE)
    limits, colours = steps_of([-2.0, -0.1])
    assert limits[-1] == 0.0
    assert set(colours) <= set(BELOW)
    limits, colours = steps_of([-7.0, 0.001, 0.002, 3.0])
    assert limits == [-v for v in reversed(limits)]
    assert colours[len(colours) // 2] == "#ffffff"
    for values in ([0.0], [1e-7, -3e-9], [123456.0], [10.0], [1.0, -10.0]):
        limits, colours = steps_of(values)
        assert len(limits) == len(colours) + 1
        assert limits == sorted(set(limits))
        assert limits[0] <= min(values)
        assert max(values) <= limits[-1]


def test_lines_of_the_duck_are_use_less_roofs_with_batteries(data):
    stored = Stored(data)
    lines = {line.get_label(): list(line.get_ydata()) for line in duck_figure(stored).axes[0].get_lines()}
    rows = stored.rows("load", tariff="designed", weather="clear")
    assert lines["use"][:24] == [r["use"] for r in rows]
    assert lines["less roofs"][:24] == [r["use"] - r["roofs"] for r in rows]
    assert lines["less roofs, with batteries"][:24] == [r["net of households"] for r in rows]
    for before, after, row in zip(lines["less roofs"], lines["less roofs, with batteries"], rows, strict=False):
        assert after - before == pytest.approx(row["into batteries"], abs=1e-9)


def six_weathers(data):
    """Each weather three times under names of seasons."""
    left = copy.deepcopy(data)
    for table in ("load", "prices"):
        stored = left["tables"][table]
        at = [c["name"] for c in stored["columns"]].index("weather")
        stored["rows"] = [[*row[:at], f"{season}, {row[at]}", *row[at + 1 :]] for season in ("summer", "winter", "shoulder") for row in stored["rows"]]
    return left


def test_six_weathers_stand_three_in_a_row(data):
    stored = Stored(six_weathers(data))
    for draw, views in ((duck_figure, 1), (day_figure, 2)):
        figure = draw(stored)
        assert figure.get_figwidth() == PAGE
        seen = [ax for ax in figure.axes if ax.get_visible()]
        assert len(seen) == 6 * views
        assert max(ax.get_subplotspec().colspan.stop for ax in seen) == 3
        assert len({ax.get_ylim() for ax in seen}) == views  # one scale for each view
    assert "winter" in finding(stored, "duck") or "summer" in finding(stored, "duck") or "shoulder" in finding(stored, "duck")


def test_triangles_of_the_loss_join_use_and_price(data):
    stored = Stored(data)
    rows = lossy(stored)
    assert rows
    assert "lmp" not in [r["tariff"] for r in rows]  # it has none
    for row, ax in zip(rows, loss_figure(stored).axes, strict=False):
        corners = {tuple(map(float, xy)) for xy in ax.patches[0].get_xy()}
        used, wanted, rate, price = (row[c] for c in ("use at the rate", "use at the wholesale price", "rate", "wholesale price"))
        assert corners == {(used, rate), (wanted, price), (used, price)}
        assert f"{row['triangle']:.3f}" in ax.get_title(loc="left")
        (x0, x1), (y0, y1) = ax.get_lines()[0].get_data()
        slope = (y1 - y0) / (x1 - x0)
        assert slope == pytest.approx((price - rate) / (wanted - used))  # the line of demand goes through both


def test_burdens_stand_beside_the_line_of_six_per_cent(data):
    stored = Stored(data)
    lines = {line.get_label(): line for line in burdens_figure(stored).axes[0].get_lines()}
    assert list(lines["6 % of income"].get_ydata()) == [6.0, 6.0]
    row = stored.rows("equity", tariff=stored.before)[0]
    assert list(lines[stored.before].get_ydata()) == [row[f"burden {g}"] for g in stored.groups]


def test_congestion_rent_is_marked_where_there_is_any(data):
    assert not [line for line in revenue_figure(Stored(data)).axes[0].get_lines() if "congestion" in line.get_label()]
    stored = Stored(with_column(data, "revenue", "congestion rent", lambda row: 0.5))
    marks = next(line for line in revenue_figure(stored).axes[0].get_lines() if "congestion" in line.get_label())
    assert list(marks.get_xdata()) == [0.5] * len(stored.summary)
    assert "congestion rent is up to 0.50 $" in finding(stored, "revenue")


def test_buses_are_drawn_where_there_are_several(data):
    assert "buses" not in figures(Stored(data))
    left = copy.deepcopy(data)
    stored = left["tables"]["prices"]
    bus, price = (next(k for k, c in enumerate(stored["columns"]) if c["name"] == n) for n in ("bus", "price"))
    rows = stored["rows"]
    above = dict(zip("ABCDEF", (0, 5, 30, 6, 7, 8), strict=True))
    stored["rows"] = [[*row[:bus], name, *row[bus + 1 : price], row[price] + up] for name, up in above.items() for row in rows]
    several = Stored(left)
    assert "buses" in figures(several)
    assert set(shown_buses(several)) >= {"A", "C"}  # the cheapest and the dearest
    assert len(shown_buses(several)) == 4
    labels = {line.get_label() for line in buses_figure(several).axes[0].get_lines()}
    assert labels == {f"bus {b}" for b in shown_buses(several)}
    assert "30.00 $/MWh (bus C" in finding(several, "buses")


def test_convergence_shows_what_weather_leaves_out(data):
    stored = Stored(with_column(data, "convergence", "price by weather history", lambda row: 0.25 if row["tariff"] == "lmp" else 0.0))
    ax = next(ax for ax in convergence_figure(stored).axes if "price by weather history" in ax.get_xlabel())
    assert dict(zip(ax.get_lines()[0].get_ydata(), ax.get_lines()[0].get_xdata(), strict=True))[list(stored.summary).index("lmp")] == 0.25


def test_iterations_are_the_stored_residuals(data):
    stored = Stored(data)
    assert "iterations" in figures(stored)
    ax = iterations_figure(stored).axes[0]
    assert ax.get_yscale() == "log"
    rows = [r for r in stored.rows("iterations") if r["tariff"] == ax.get_title(loc="left") and r["way"] == "search"]
    line = next(line for line in ax.get_lines() if line.get_label() == "the search used here")
    assert list(line.get_ydata()) == [max(r["price residual"], 1e-16) for r in rows]


def test_the_frontier_has_a_panel_of_its_own(data):
    stored = Stored(data)
    whole, near, peak = trade_off_figure(stored).axes
    made = [r for r in stored.rows("frontier") if r["point"].startswith(("designed", "frontier"))]
    low, high = near.get_xlim()
    assert low < min(r["gap"] for r in made)
    assert max(r["gap"] for r in made) < high
    assert high - low <= whole.get_xlim()[1] - whole.get_xlim()[0]
    assert peak.get_xlabel() == "peak, MW"
    assert len(whole.texts) == len(stored.equal)  # every tariff has its number


def test_figures_fit_a_journal(drawn):
    """At the width of a page or less, no letter below 7 points, at most seven series in a panel."""
    from matplotlib.text import Text

    for name, figure in drawn.items():
        assert figure.get_figwidth() <= PAGE, name
        assert figure.get_figheight() <= 9.2, name
        sizes = [t.get_fontsize() for t in figure.findobj(Text) if t.get_text() and t.get_visible()]
        assert min(sizes) >= 7.0, name
        for ax in figure.axes:
            assert len([label for label in ax.get_legend_handles_labels()[1] if label]) <= 10, name


def test_labels_are_inside_and_apart(drawn):
    """Nothing is cut off, and titles of neighbouring panels do not run into each other."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    for name, figure in drawn.items():
        FigureCanvasAgg(figure).draw()
        used = figure.get_tightbbox()  # inches
        assert min(used.x0, used.y0) >= -0.02, name
        assert used.x1 <= figure.get_figwidth() + 0.02, name
        assert used.y1 <= figure.get_figheight() + 0.02, name
        titles = [ax._left_title.get_window_extent() for ax in figure.axes if ax.get_visible() and ax.get_title(loc="left")]
        for k, one in enumerate(titles):
            assert not any(one.overlaps(other) for other in titles[k + 1 :]), name


def test_files_are_the_same_every_time(data):
    draw = figures(Stored(data))["lorenz"]
    assert svg_file(draw(Stored(data)), "a") == svg_file(draw(Stored(data)), "a")
    one = pdf_file(draw(Stored(data)))
    assert one == pdf_file(draw(Stored(data)))
    assert one.startswith(b"%PDF")
    assert b"CreationDate" not in one
    assert b"/FontFile2" in one  # embedded


def test_rates_by_season_are_the_stored_ones(data):
    assert "seasonal_rates" not in figures(Stored(data))
    rows = [[n, s, h, buy + h / 100, 0.0] for n in Stored(data).equal for s, buy in (("summer", 0.3), ("winter", 0.2)) for h in range(24)]
    columns = [{"name": n, "unit": ""} for n in ("tariff", "season", "hour", "buy", "sell")]
    table = {"title": "Rates by season", "columns": columns, "rows": rows, "note": ""}
    stored = Stored({**data, "tables": {**data["tables"], "seasonal_rates": table}})
    for ax in seasonal_figure(stored).axes:
        assert [patch.get_label() for patch in ax.patches] == ["summer", "winter"]
        for patch, buy in zip(ax.patches, (0.3, 0.2), strict=True):
            assert list(patch.get_data()[0]) == [buy + h / 100 for h in range(24)]
    assert "summer 0.415, winter 0.315 $/kWh" in finding(stored, "seasonal_rates")


def test_panels_leave_little_empty():
    assert [across(n) for n in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)] == [1, 1, 2, 3, 2, 3, 3, 4, 4, 3, 4]
    for n in range(1, 40):
        assert math.ceil(n / across(n)) * across(n) - n <= 2 or n > 9


def test_a_tariff_that_does_not_hold_is_in_no_figure(data):
    stored = Stored(broken(data, "flat_nb"))
    for name, draw in figures(stored).items():
        figure = draw(stored)
        words = [t.get_text() for ax in figure.axes for t in [ax._left_title, *ax.get_yticklabels()]]
        words += [label for ax in figure.axes for label in ax.get_legend_handles_labels()[1]]
        assert not [w for w in words if w.startswith("flat_nb")], name
