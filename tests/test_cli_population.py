"""`stackopt population`: figures, JSON, the drawing, and bad input."""

import json

import pytest
from typer.testing import CliRunner

from stackopt.cli import app

run = CliRunner().invoke


def test_followers_of_a_model(tmp_path):
    picture = tmp_path / "population.svg"
    found = run(app, ["population", "left_right", "--followers", "100,1000", "--runs", "16", "--plot", str(picture)])
    assert found.exit_code == 0
    assert "0 bounds violated" in found.stdout
    assert picture.read_text().startswith("<?xml")


def test_json_has_measurements_and_bounds():
    found = run(app, ["population", "sis_subsidy", "--followers", "200", "--runs", "4", "--theta", "0.2", "--json"])
    record = json.loads(found.stdout)
    assert record["schema"] == "stackopt.population/1"
    assert record["theta"] == [0.2]
    assert len(record["examinations"]) == 3
    assert record["deviation"] == [None]  # the population moves its own transitions: there is no reduction


@pytest.mark.parametrize("words", [["inspection"], ["left_right", "--followers", "0"], ["left_right", "--runs", "1"]])
def test_bad_input_is_usage(words):
    assert run(app, ["population", *words]).exit_code == 2
