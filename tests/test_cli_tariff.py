"""`stackopt tariff`: verdict first, files, exit codes."""

import csv
import json
import re
import shlex
from pathlib import Path

import pytest
from studies import TOML, write
from typer.testing import CliRunner

from stackopt.cli import app
from stackopt.energy.studies.study import study_of


def run(*words):
    return CliRunner().invoke(app, ["tariff", *(str(w) for w in words)])


def test_the_example_is_a_study():
    printed = run("--example")
    assert printed.exit_code == 0
    assert study_of(printed.stdout).name == "example"
    assert run().exit_code == 2


def test_compare_writes_tables_and_data(tmp_path):
    study = write(tmp_path, TOML + '[benchmarks]\nnames = ["flat_nb", "lmp"]\n')
    found = run("compare", study, "--out", tmp_path / "out")
    assert found.exit_code == 0, found.output
    assert found.stdout.startswith('Tariff study "town", compare: CONVERGED')
    rows = list(csv.DictReader((tmp_path / "out" / "tables" / "summary.csv").read_text().splitlines()))
    assert [r["tariff"] for r in rows] == ["flat_nem", "flat_nb", "lmp"]
    assert "recalled" in rows[0]["basis"]
    data = json.loads((tmp_path / "out" / "data.json").read_text())
    assert float(rows[1]["cost [$/day]"]) == pytest.approx(data["tables"]["summary"]["rows"][1][3])
    assert not [p.name for p in (tmp_path / "out").rglob("*.tmp")]


def test_evaluate_prints_json_and_says_who_pays(tmp_path):
    study = write(tmp_path)
    found = run("evaluate", study, "--tariff", "care", "--out", tmp_path / "out", "--json")
    assert found.exit_code == 0
    data = json.loads(found.stdout)
    assert data["command"] == "evaluate"
    assert "% of households pay over 5 % more" in dict(data["findings"])["rises"]


def test_a_requirement_out_of_reach_ends_with_3(tmp_path):
    study = write(tmp_path, TOML.replace("required = 3.0", "required = 30.0"))
    found = run("evaluate", study, "--out", tmp_path / "out")
    assert found.exit_code == 3
    assert "evaluate: INFEASIBLE" in found.stdout
    assert "the most that any collects" in " ".join(found.stdout.split())


@pytest.mark.parametrize("words", [["compare"], ["design"], ["learn"], ["findings"], ["sweep", "--tariff", "flat_nb", "--vary", "market.slope=.1,.2"]])
def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_computed(tmp_path, monkeypatch, words):
    (tmp_path / "taken").write_text("")
    monkeypatch.setattr("stackopt.energy.studies.study.read_study", lambda *a: pytest.fail("computed first"))
    found = run(words[0], write(tmp_path), *words[1:], "--out", tmp_path / "taken" / "out")
    assert found.exit_code == 2, found.output
    assert "taken is no folder" in found.stderr


def test_what_an_earlier_run_left_is_not_taken_for_this_ones(tmp_path):
    study, out = write(tmp_path), tmp_path / "out"
    assert run("evaluate", study, "--out", out, "--figures", "svg,pdf").exit_code == 0
    (out / "tables" / "mine.csv").write_text("kept\n")
    assert (out / "figures" / "bills.pdf").exists()
    study.write_text(TOML.replace("required = 3.0", "required = 30.0"))
    found = run("evaluate", study, "--out", out)
    assert found.exit_code == 3
    assert {p.stem for p in (out / "tables").glob("*.csv")} == {*json.loads((out / "data.json").read_text())["tables"], "mine"}
    assert not (out / "tables" / "bills.csv").exists()  # no bills before: flat_nem does not hold
    assert not list((out / "figures").glob("*.pdf"))
    assert not (out / "figures" / "bills.svg").exists()
    (out / "data.json").write_text("[]")
    assert run("evaluate", study, "--out", out).exit_code == 3


def test_a_mistyped_command_is_named(tmp_path):
    found = run("comprae", write(tmp_path))
    assert found.exit_code == 2
    assert "compare" in found.output
    assert run("--json", write(tmp_path), "--out", tmp_path / "out").exit_code == 0  # options may come first


def test_design_alone(tmp_path):
    study = write(tmp_path, TOML + '[tariff]\nperiods = { day = [0, 24] }\n[benchmarks]\nnames = ["cpuc"]\n')
    found = run("design", study, "--points", 0, "--starts", 1, "--out", tmp_path / "out")
    assert found.exit_code == 0, found.output
    assert "design: CONVERGED" in found.stdout
    assert (tmp_path / "out" / "tables" / "frontier.csv").exists()


def test_ctrl_c_keeps_designs_and_the_same_command_goes_on(tmp_path, monkeypatch):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    study = write(tmp_path, TOML + '[tariff]\nperiods = { day = [0, 24] }\ncap = 40\n[benchmarks]\nnames = ["cpuc"]\n')
    command = ("design", study, "--points", 1, "--starts", 1, "--out", tmp_path / "out")
    with monkeypatch.context() as patch:
        patch.setattr("stackopt.energy.designs.frontier.design", stopped)
        found = run(*command)
    assert found.exit_code == 130, found.output
    assert "one design is kept in" in found.stderr
    assert (tmp_path / "out" / "points.json").exists()
    monkeypatch.setattr("stackopt.energy.studies.run.design", stopped)  # the one that is kept is not searched for again
    found = run(*command)
    assert found.exit_code == 0, found.output
    assert not (tmp_path / "out" / "points.json").exists()


def test_bad_studies_end_with_2_and_their_place(tmp_path):
    study = write(tmp_path, TOML.replace("required = 3.0", 'requird = "much"'))
    for command in ("design", "evaluate", "compare", "sensitivity"):
        found = run(command, study)
        assert found.exit_code == 2
        assert "did you mean `required`?" in found.stderr
        assert "study.toml line" in found.stderr
    assert run("compare", tmp_path / "no.toml").exit_code == 2
    assert "svg,pdf or none" in run("compare", tmp_path / "no.toml", "--figures", "png").stderr  # said before anything else is read
    assert run("evaluate", write(tmp_path), "--tariff", "flat").exit_code == 2


def test_the_commands_of_the_tutorial_run_on_its_files(tmp_path, monkeypatch):
    """In order, in one folder, as a reader does; shortened: the frontier is in the page's own snippets, and one assumption moves."""
    monkeypatch.setattr("stackopt.energy.studies.sensitivity.VARIATIONS", {("storage", "wear"): (0.0, 0.1)})
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parent.parent / "docs" / "tariff-study.md").read_text()
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", page, re.M | re.S)
    exec(next(text for kind, text in blocks if kind == "python"), {})
    lines = [line for kind, text in blocks if kind == "sh" for line in text.splitlines() if line.startswith("stackopt tariff ") and ">" not in line]
    assert [line.split()[2] for line in lines] == ["compare", "evaluate", "design", "sensitivity"]
    for line in lines:
        words = shlex.split(line, comments=True)[2:]
        found = run(*words, *(["--points", 0, "--starts", 1] if words[0] == "design" else []))
        assert found.exit_code == 0, found.output
    written = {p.stem for p in Path("tariff-town").glob("*/tables/*.csv")}
    elsewhere = {"types", "load", "pv", "buses", "lines", "generators", "seasonal_bills", "seasonal_rates"}  # given, or of a study of a year
    assert written >= set(re.findall(r"`(\w+)\.csv`", page)) - elsewhere
