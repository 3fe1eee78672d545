"""`stackopt tariff learn`: its tables, its exit codes, and what Ctrl-C leaves."""

import csv

import pytest
from studies import write
from typer.testing import CliRunner

import stackopt as so
from stackopt.cli import app
from stackopt.energy.metering import study as metered_study
from stackopt.energy.metering.meter import EquilibriumMeter
from stackopt.energy.reports import report


def run(*words):
    return CliRunner().invoke(app, ["tariff", "learn", *(str(w) for w in words), "--figures", "none"])


@pytest.fixture
def no_page(monkeypatch):
    """Pages are tested elsewhere, and take time."""

    def missing(*_, **__):
        raise so.MissingPackage("package", feature="report", package="stackopt[report]")

    monkeypatch.setattr(report, "report", missing)


def table(folder):
    return list(csv.DictReader((folder / "tables" / "trials.csv").read_text().splitlines()))


def test_it_learns_and_says_what_the_model_would_have_added(tmp_path):
    found = run(write(tmp_path), "--out", tmp_path / "out")
    assert found.exit_code == 0, found.output
    assert found.stdout.startswith('Tariff study "town", learn: CONVERGED')
    for word in ("full information", "billing periods", "of what it gains over flat_nem", "trials.csv"):
        assert word in " ".join(found.stdout.split())
    rows = table(tmp_path / "out")
    assert rows[0]["purpose"] == "begin"
    assert len(rows) == len(list((tmp_path / "out" / "readings").glob("*.npz"))) - 1  # today's is read, and no trial
    assert "recalled" in rows[0]["basis"]
    summary = {r["tariff"]: r for r in csv.DictReader((tmp_path / "out" / "tables" / "summary.csv").read_text().splitlines())}
    costs = {name: float(summary[name]["cost [$/day]"]) for name in ("flat_nem", "learned", "designed")}
    assert costs["designed"] - 1e-3 <= costs["learned"] < costs["flat_nem"]
    assert "learn: CONVERGED" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_too_few_trials_are_a_limit_and_exit_code_1(tmp_path, no_page):
    found = run(write(tmp_path), "--out", tmp_path / "out", "--trials", 4)
    assert found.exit_code == 1
    assert "learn: LIMIT" in found.stdout
    assert len(table(tmp_path / "out")) == 4


def test_ctrl_c_keeps_and_shows_trials_and_the_same_command_goes_on(tmp_path, monkeypatch, no_page):
    study, read = write(tmp_path), EquilibriumMeter.read
    asked = []

    def interrupted(self, tariff):
        asked.append(tariff)
        if len(asked) == 5:
            raise KeyboardInterrupt
        return read(self, tariff)

    monkeypatch.setattr(metered_study.EquilibriumMeter, "read", interrupted)
    found = run(study, "--out", tmp_path / "out")
    assert found.exit_code == 130
    assert "goes on from there" in " ".join(found.stdout.split())
    assert len(table(tmp_path / "out")) == 3
    first = [(tmp_path / "out" / "readings" / f"000{k}.npz").read_bytes() for k in (1, 2, 3, 4)]
    resumed = run(study, "--out", tmp_path / "out")
    assert resumed.exit_code == 0, resumed.output
    assert [(tmp_path / "out" / "readings" / f"000{k}.npz").read_bytes() for k in (1, 2, 3, 4)] == first
    fresh = run(study, "--out", tmp_path / "fresh")
    assert table(tmp_path / "out") == table(tmp_path / "fresh"), fresh.output


def test_a_sample_is_read_and_its_error_said(tmp_path, no_page):
    found = run(write(tmp_path), "--out", tmp_path / "out", "--sampled", 2000, "--trials", 6, "--seed", 3)
    assert found.exit_code == 1
    assert "+-" in found.stdout


@pytest.mark.parametrize("option", [("--trials", 3), ("--sampled", -1), ("--days", 0)])
def test_bad_options(tmp_path, option):
    assert run(write(tmp_path), *option).exit_code == 2
