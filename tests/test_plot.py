"""Figures: what is drawn equals what is stored; zeros, missing bounds and odd names are shown honestly; no global state."""

import copy
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

import stackopt
from stackopt.certificate import Certificate, Check
from stackopt.comparison.drawing import COLOURS, look, svg
from stackopt.errors import InvalidCandidate, InvalidGame, MissingPackage
from stackopt.games.profile import Profile
from stackopt.plot import error_figure, performance_figure, policy_figure, regret_figure, residual_figure, solution_figure
from stackopt.solution import Solution, Status


@pytest.fixture
def sample():
    return json.loads((Path(__file__).parent / "golden" / "comparison_sample.json").read_text())


def lines(ax):
    """Labelled lines of a panel: label -> (x, y) without gaps."""
    found = {}
    for line in ax.get_lines():
        if not line.get_label().startswith("_"):
            x, y = np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)
            found[line.get_label()] = (x[np.isfinite(y)], y[np.isfinite(y)])
    return found


def texts(figure):
    from matplotlib.text import Text

    return " ".join(t.get_text() for t in figure.findobj(Text))


# --- error against temperature ------------------------------------------------------------------------------------------


def test_error_figure_draws_the_stored_errors_and_bounds(sample):
    (ax,) = error_figure(sample).axes
    drawn = lines(ax)
    rows = [r for r in sample["rows"] if r["family"] == "softmax commitment max-ent"]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    x, y = drawn["softmax commitment, max-ent: measured"]
    assert list(x) == [r["temperature"] for r in rows]
    assert list(y) == [r["error"] for r in rows]
    assert list(drawn["softmax commitment, max-ent: proved bound"][1]) == [r["bound"] for r in rows]


def test_every_line_lies_below_its_bound_in_the_sample(sample):
    drawn = lines(error_figure(sample).axes[0])
    measured, bound = drawn["softmax commitment, max-ent: measured"][1], drawn["softmax commitment, max-ent: proved bound"][1]
    assert (measured <= bound).all()


def test_zero_error_is_an_open_mark_on_a_floor_below_everything(sample):
    row = next(r for r in sample["rows"] if r["temperature"] == 0.02)
    row["error"] = 0.0
    figure = error_figure(sample)
    (ax,) = figure.axes
    assert 0.02 not in lines(ax)["softmax commitment, max-ent: measured"][0]
    (mark,) = [line for line in ax.get_lines() if line.get_markerfacecolor() == "#ffffff"]
    assert list(mark.get_xdata()) == [0.02]
    positive = [r[k] for r in sample["rows"] for k in ("error", "bound") if r["temperature"] and r[k]]
    assert 0 < mark.get_ydata()[0] < min(positive)
    assert ax.get_ylim()[0] < mark.get_ydata()[0]
    assert "0 to rounding" in texts(figure)


def test_error_at_rounding_level_counts_as_zero_and_a_tiny_true_one_does_not(sample):
    row = next(r for r in sample["rows"] if r["temperature"] == 0.02)
    for error, zero in ((4e-10, True), (1e-6, False), (-1e-12, True)):
        row["error"] = error
        assert (0.02 not in lines(error_figure(sample).axes[0])["softmax commitment, max-ent: measured"][0]) is zero


def test_missing_bound_is_absent_and_named(sample):
    row = next(r for r in sample["rows"] if r["temperature"] == 0.1 and r["error"] is not None)
    row["bound"] = None
    figure = error_figure(sample)
    assert 0.1 not in lines(figure.axes[0])["softmax commitment, max-ent: proved bound"][0]
    assert "no bound applies to softmax commitment, max-ent at 0.1" in texts(figure)


def test_method_without_answer_is_named(sample):
    assert "no answer from softmax fixed point, max-ent at 0.1" in texts(error_figure(sample))


def test_point_without_certificate_is_crossed(sample):
    row = next(r for r in sample["rows"] if r["temperature"] == 0.1 and r["error"] is not None)
    row.update(status="LIMIT", certified=False)
    x, y = next(v for k, v in lines(error_figure(sample).axes[0]).items() if k.startswith("crossed: not certified"))
    assert (list(x), list(y)) == ([0.1], [row["error"]])


def test_gap_to_the_best_known_value_is_called_that(sample):
    assert "gap to the exact value" in texts(error_figure(sample))
    sample["problems"]["commit-2x2"]["closed"] = False
    assert "gap to the best known value" in texts(error_figure(sample))


def test_one_panel_per_problem_and_one_alone(sample):
    two = copy.deepcopy(sample)
    two["problems"]["other"] = two["problems"]["commit-2x2"]
    two["rows"] += [{**r, "problem": "other"} for r in sample["rows"]]
    two["cells"] += [{**c, "problem": "other"} for c in sample["cells"]]
    assert [ax.get_title(loc="left") for ax in error_figure(two).axes] == ["commit-2x2", "other"]
    assert len(error_figure(two, "other").axes) == 1


def test_seed_range_is_drawn(sample):
    row = next(r for r in sample["rows"] if r["temperature"] == 0.1 and r["error"] is not None)
    row.update(value_low=row["value"] - 0.05, value_high=row["value"] + 0.02)
    (bar,) = [c for c in error_figure(sample).axes[0].collections if c.get_segments()]
    (_, low), (_, high) = bar.get_segments()[0]
    assert (low, high) == pytest.approx((row["error"] - 0.02, row["error"] + 0.05))


def test_regret_figure_prefers_the_bound_known_beforehand(sample):
    for b in [b for b in sample["bounds"] if b["applies"] and b["method"] != "exact strong"]:
        common = {**b, "of": "follower's loss", "origin": "examination"}
        sample["bounds"] += [{**common, "reference": "B2.1", "value": 0.7}, {**common, "reference": "B2.1 a posteriori", "value": 0.2}]
    drawn = lines(regret_figure(sample).axes[0])
    assert set(drawn["softmax commitment, max-ent: proved bound"][1]) == {0.7}
    assert list(drawn["softmax commitment, max-ent: measured"][1]) == [0.1291, 0.009332, 0.0005]


def test_names_with_dollars_are_names(sample):
    odd = json.loads(json.dumps(sample).replace("softmax commitment max-ent", "cost in $x_$").replace('"unit": ""', '"unit": "$/day $_"'))
    for figure in (error_figure(odd), performance_figure(odd), residual_figure(odd)):
        assert "<svg" in svg(figure, "f", "a finding with a dollar: $x_$")


# --- the other comparison figures ---------------------------------------------------------------------------------------


def test_performance_counts_certified_answers_within_the_gap(sample):
    labels = performance_figure(sample, gap=0.06).get_axes()[0].get_legend_handles_labels()[1]
    # errors relative to 3.5: 0.126, 0.052, 0.015
    assert sorted(labels) == ["exact strong: 1 of 1 runs", "softmax commitment, max-ent: 2 of 3 runs"]
    sample["cells"][2]["certified"] = False
    labels = performance_figure(sample, gap=0.06).get_axes()[0].get_legend_handles_labels()[1]
    assert "softmax commitment, max-ent: 1 of 3 runs" in labels


def test_censored_runs_are_open_marks(sample):
    (ax,) = performance_figure(sample, gap=0.06).axes
    opened = [x for line in ax.get_lines() if line.get_markerfacecolor() == "#ffffff" for x in line.get_xdata()]
    assert opened == [0.02]


def test_residuals_show_median_and_range_over_seeds(sample):
    cell = sample["cells"][1]
    for factor in (3.0, 9.0):
        sample["cells"].append({**cell, "seed": int(factor), "history": {"residual": [factor * r for r in cell["history"]["residual"]]}})
    (ax,) = residual_figure(sample, "commit-2x2").axes
    x, y = lines(ax)["temperature 0.5"]
    assert list(x[:3]) == [0, 20, 40]  # history_step
    assert list(y) == pytest.approx([3 * r for r in cell["history"]["residual"]])
    assert len(ax.collections) == 1


def test_residual_figure_without_histories_says_so(sample):
    for cell in sample["cells"]:
        cell["history"] = {}
    assert "no method kept its residuals" in texts(residual_figure(sample))


def test_at_most_four_lines_from_highest_to_lowest_temperature(sample):
    cell = sample["cells"][1]
    sample["cells"] += [{**cell, "method": f"tau={t}", "temperature": t} for t in (3.0, 1.0, 0.3, 0.01)]
    figure = residual_figure(sample, "commit-2x2")
    drawn = list(lines(figure.axes[0]))
    assert len(drawn) == 4
    assert {"temperature 3", "temperature 0.01"} <= set(drawn)
    assert "3 more in the table" in texts(figure)


def test_empty_comparison_has_figures(sample):
    nothing = {**sample, "problems": {}, "rows": [], "cells": [], "bounds": []}
    for figure in (error_figure(nothing), performance_figure(nothing), residual_figure(nothing)):
        assert figure.axes


def test_seven_series_differ_without_colour():
    looks = [look(i) for i in range(7)]
    for key in ("marker", "linestyle"):
        assert len({str(entry[key]) for entry in looks}) == 7


def test_colour_is_never_alone(sample):
    two = copy.deepcopy(sample)
    two["rows"] += [{**r, "family": "softmax fixed_point max-ent"} for r in sample["rows"] if r["temperature"] and r["error"] is not None]
    measured = [line for line in error_figure(two).axes[0].get_lines() if line.get_label().endswith(": measured")]
    for looks in ([line.get_color() for line in measured], [line.get_marker() for line in measured], [str(line.get_linestyle()) for line in measured]):
        assert len(set(looks)) == len(looks) == 2
    assert {line.get_color() for line in measured} <= set(COLOURS)


@pytest.mark.parametrize("colour", COLOURS)
def test_palette_has_three_to_one_contrast_on_white(colour):
    def linear(c):
        return c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4

    r, g, b = (linear(int(colour[i : i + 2], 16) / 255) for i in (1, 3, 5))
    luminance = 0.2126 * r + 0.7152 * g + 0.0722 * b
    assert 1.05 / (luminance + 0.05) >= 3.0


# --- policies and solutions ---------------------------------------------------------------------------------------------


@pytest.fixture
def game():
    return stackopt.StackelbergGame(
        leader_reward=np.zeros((3, 2, 2)), follower_reward=np.zeros((3, 2, 2)), transition=stackopt.stay, discount=0.5,
        leader_observes=["day", "day", "night"], states=["a", "b", "c"], leader_actions=["cheap", "dear"],
    )  # fmt: skip


def test_policy_figure_prints_the_probabilities(game):
    leader, follower = np.array([[0.25, 0.75], [0.25, 0.75], [1.0, 0.0]]), np.array([[0.5, 0.5], [0.0, 1.0], [0.124, 0.876]])
    figure = policy_figure(game, Profile(leader, follower))
    left, right = figure.axes
    assert [t.get_text() for t in left.texts] == [".25", ".75", "1", "0"]  # one row per observation
    assert [t.get_text() for t in left.get_yticklabels()] == ["a and 1 more", "c"]
    assert [t.get_text() for t in left.get_xticklabels()] == ["cheap", "dear"]
    assert [t.get_text() for t in right.texts] == [".50", ".50", "0", "1", ".12", ".88"]


def test_observations_are_named_by_what_their_states_share():
    game = stackopt.StackelbergGame(
        np.zeros((4, 1, 1)), np.zeros((4, 1, 1)), stackopt.stay, discount=0.0, leader_observes=[0, 1, 0, 1],
        states=["day, 0 kWh", "night, 0 kWh", "day, 5 kWh", "night, 5 kWh"], leader_actions=["0.4 $/kWh or 0.5 $/kWh"],
    )  # fmt: skip
    figure = policy_figure(game, Profile(np.ones((4, 1)), np.ones((4, 1))))
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["day, *", "night, *"]
    assert "<svg" in svg(figure, "f", "a label with two dollars is a label and no formula")


def test_policy_figure_refuses_what_it_cannot_show(game):
    batch = stackopt.StackelbergGame.stack([game, game])
    with pytest.raises(InvalidGame) as error:
        policy_figure(batch, Profile(np.zeros((2, 3, 2)), np.zeros((2, 3, 2))))
    assert error.value.code == "batch"
    large = stackopt.StackelbergGame(np.zeros((61, 1, 1)), np.zeros((61, 1, 1)), stackopt.stay, discount=0.0)
    with pytest.raises(InvalidGame, match="at most 60 states"):
        policy_figure(large, Profile(np.ones((61, 1)), np.ones((61, 1))))
    with pytest.raises(InvalidCandidate):
        policy_figure(game, Profile(np.ones((3, 1)), np.ones((3, 2))))


def solution(game, history):
    certificate = Certificate((Check("a", 0.0, 1.0, ""),), {"strong": 2.5}, objective="strong")
    return Solution(game, None, Status.CONVERGED, Profile(np.ones((3, 2)) / 2, np.ones((3, 2)) / 2), certificate, None, {}, {}, history=history)


def test_solution_figure_draws_residual_and_both_values(game):
    left, right = solution_figure(solution(game, {"residual": [1.0, 0.1, 0.0], "value": [1.0, 2.0, 2.25]})).axes
    assert left.get_yscale() == "log"
    assert list(lines(left)["residual"][1]) == [1.0, 0.1]  # a zero has no place on the axis
    assert list(lines(right)["under its own follower"][1]) == [1.0, 2.0, 2.25]
    assert set(lines(right)["certified: 2.5"][1]) == {2.5}


def test_solution_figure_without_history_says_so(game):
    assert "no residuals were kept" in texts(solution_figure(solution(game, {})))


# --- no side effects ----------------------------------------------------------------------------------------------------


def test_nothing_global_changes(sample):
    import matplotlib

    before = dict(matplotlib.rcParams)
    svg(error_figure(sample), "f", "nothing global changes when a figure is drawn")
    assert dict(matplotlib.rcParams) == before


def test_missing_matplotlib_names_the_extra(sample, monkeypatch):
    for name in [m for m in sys.modules if m.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingPackage) as error:
        error_figure(sample)
    assert error.value.code == "package"
    assert "stackopt[report]" in str(error.value)


def test_svg_identifiers_do_not_meet(sample):
    import re

    first, second = (svg(error_figure(sample), prefix, "the same figure twice in one page, apart") for prefix in ("one", "two"))
    ids = [set(re.findall(r'\bid="([^"]+)"', text)) for text in (first, second)]
    assert ids[0]
    assert not ids[0] & ids[1]
    assert svg(error_figure(sample), "one", "the same figure twice in one page, apart") == first


def test_only_finite_figures_are_numbers():
    from stackopt.comparison.figures import is_number

    assert [is_number(x) for x in (1, 0.5, math.inf, math.nan, None, "inf", True)] == [True, True, False, False, False, False, False]
