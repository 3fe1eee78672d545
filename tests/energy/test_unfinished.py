"""Ctrl-C during a frontier: what was found stays, the same call goes on from there, and nothing in the file is believed."""

import json
import math

import numpy as np
import pytest
from studies import TOML, write

from stackopt.comparison.compare import Interrupted
from stackopt.energy.designs import frontier as module
from stackopt.energy.designs.unfinished import Unfinished, resumable
from stackopt.energy.studies.run import design_study
from stackopt.energy.studies.study import read_study


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return read_study(write(tmp_path_factory.mktemp("town"), TOML)).changed(objective__points=3, objective__starts=1, benchmarks__names=["flat_nb"])


@pytest.fixture(scope="module")
def whole(study):
    return design_study(study)


def test_a_design_study_that_was_stopped_goes_on(study, whole, tmp_path, monkeypatch):
    path, searched = tmp_path / "points.json", []
    search = module.design

    def stopping(problem, **rest):
        searched.append(problem.limits.gap)
        if len(searched) == 2:
            raise KeyboardInterrupt
        return search(problem, **rest)

    monkeypatch.setattr(module, "design", stopping)
    with pytest.raises(Interrupted, match=r"2 designs are kept in .*points\.json"):
        design_study(study, points=path)
    stored = json.loads(path.read_text())
    assert [p["limit"] is None for p in stored["points"]] == [True, False]

    def counting(problem, **rest):
        searched.append(problem.limits.gap)
        return search(problem, **rest)

    searched.clear()
    monkeypatch.setattr(module, "design", counting)
    again = design_study(study, points=path)
    assert not path.exists()
    assert stored["points"][1]["limit"] not in searched[:2]
    figures = [[row[k] for row in found["frontier"].rows[:4] for k in (1, 4)] for found in (whole, again)]
    assert figures[0][::2] == figures[1][::2] == ["CONVERGED"] * 4
    assert figures[0][1::2] == pytest.approx(figures[1][1::2], abs=1e-6)


def test_a_file_of_another_study_costs_time_and_never_truth(study, whole, tmp_path):
    path = tmp_path / "points.json"
    other = Unfinished(path)
    for k, found in enumerate(whole.designs):
        other.keep(math.inf if k == 0 else found.problem.limits.gap, found)
    dearer = study.changed(revenue__required=study.required + 0.3, objective__points=0)
    fresh, stale = design_study(dearer), design_study(dearer, points=path)
    assert fresh.designs[0].criteria.cost == pytest.approx(stale.designs[0].criteria.cost, abs=1e-6)
    assert fresh.designs[0].criteria.cost > whole.designs[0].criteria.cost + 1e-3


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": "another/1", "points": []}', '{"schema": "stackopt.design-points/1", "points": [{"z": "x"}]}'])
def test_what_cannot_be_read_is_left_aside(text, tmp_path):
    path = tmp_path / "points.json"
    path.write_text(text)
    assert Unfinished(path).known == {}


def test_points_come_back_to_the_last_digit(whole, tmp_path):
    path = tmp_path / "points.json"
    Unfinished(path).keep(0.1, whole.designs[0])
    assert np.array_equal(Unfinished(path).known[0.1], whole.designs[0].z)


def test_without_a_file_an_interrupt_is_an_interrupt():
    with pytest.raises(KeyboardInterrupt) as caught, resumable(None):
        raise KeyboardInterrupt
    assert not isinstance(caught.value, Interrupted)
