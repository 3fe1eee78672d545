"""The sweep holds every bound against what it measures, and the figure draws what the sweep found."""

import math
from dataclasses import replace

import numpy as np
import pytest

from stackopt.verification.drawing import PANELS, bounds_figure
from stackopt.verification.sweep import AXES, FOLLOWED, Reading, game_at, sweep


@pytest.fixture(scope="module")
def readings():
    return sweep(games=1, seed=3)


def test_nothing_is_violated_and_everything_followed_is_read(readings):
    assert not any(r.violated for r in readings)
    assert {r.reference for r in readings} == set(FOLLOWED) == {reference for _, references in PANELS for reference in references}
    for axis, values in AXES.items():
        assert {r.at for r in readings if r.axis == axis} == set(values)
    assert all(math.isnan(r.predicted) != r.applies for r in readings)
    assert any(r.applies for r in readings if r.reference == "B4.4")


def test_games_depend_on_their_number_and_share_a_law_as_asked():
    one, again, other = game_at(0.9, 1.0, 2, 5), game_at(0.5, 1.0, 2, 5), game_at(0.9, 1.0, 3, 5)
    assert np.array_equal(one.transition, again.transition)
    assert not np.array_equal(one.leader_reward, other.leader_reward)
    assert np.ptp(one.transition, axis=(0, 1, 2)).max() <= 1e-15


def test_a_nan_or_too_large_a_measurement_is_a_violation():
    fine = Reading("discount", 0.5, 0, "B3.4", "change of the soft response", 1.0, 1.0, 0.0, True)
    assert not fine.violated
    assert replace(fine, measured=1.1).violated
    assert not replace(fine, measured=1.1, slack=0.2).violated
    assert replace(fine, measured=math.nan).violated
    assert not replace(fine, measured=math.nan, predicted=math.nan, applies=False).violated


def test_the_command_writes_the_figure(readings, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    from typer.testing import CliRunner

    from stackopt.cli import app
    from stackopt.verification import sweep as module
    from stackopt.verification import verify

    monkeypatch.setattr(verify, "PREDICTIONS", verify.PREDICTIONS[:1])
    monkeypatch.setattr(module, "sweep", lambda **settings: readings)
    result = CliRunner().invoke(app, ["verify", "--instances", "1", "--plot", str(tmp_path / "bounds.svg")])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "bounds.svg").read_bytes().startswith(b"<?xml")


def test_the_figure_draws_medians_counts_and_violations(readings):
    pytest.importorskip("matplotlib")
    figure = bounds_figure(readings)
    assert len(figure.axes) == len(PANELS) * len(AXES)
    loss = figure.axes[0]
    measured, predicted = loss.lines[0], loss.lines[1]
    assert list(measured.get_xdata()) == sorted(AXES["temperature"])
    drawn = dict(zip(predicted.get_xdata(), predicted.get_ydata()))
    for r in readings:
        if r.axis == "temperature" and r.reference == "B2.1":
            assert drawn[r.at] == pytest.approx(r.predicted)
    assert "VIOLATED" not in {line.get_label() for ax in figure.axes for line in ax.lines}
    broken = [replace(r, measured=10.0 * r.predicted) if r.reference == "B3.4" and r.axis == "mixing" else r for r in readings]
    assert "VIOLATED" in {line.get_label() for ax in bounds_figure(broken).axes for line in ax.lines}
