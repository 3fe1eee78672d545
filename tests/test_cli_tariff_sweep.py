"""`stackopt tariff sweep` and `findings`: tables, files, resumption, exit codes."""

import csv
import json

import pytest
from studies import TOML, write
from typer.testing import CliRunner

from stackopt import cli_tariff_sweep
from stackopt.cli import app


def run(*words):
    return CliRunner().invoke(app, ["tariff", *(str(w) for w in words)])


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write(tmp_path_factory.mktemp("town"))


def test_a_sweep_prints_and_writes_every_combination_and_resumes(study, tmp_path):
    words = ("sweep", study, "--vary", "population.elasticity=.1,.2", "--vary", "market.slope=.045,.1", "--tariff", "flat_nb", "--out", tmp_path)
    found = run(*words)
    assert found.exit_code == 0, found.output
    assert "finished  4 cells, 4 converged; 4 computed now" in found.stdout
    rows = list(csv.DictReader((tmp_path / "tables" / "sweep.csv").read_text().splitlines()))
    assert [(r["population.elasticity"], r["market.slope"]) for r in rows] == [("0.1", "0.045"), ("0.1", "0.1"), ("0.2", "0.045"), ("0.2", "0.1")]
    assert float(rows[0]["cost [$/day]"]) != float(rows[2]["cost [$/day]"])
    assert all("basis" in r for r in rows)
    head = found.stdout.splitlines()[1].split()
    assert head[:4] == ["elasticity", "slope", "tariff", "status"]
    next((tmp_path / "cells").glob("*.json")).unlink()
    assert "1 computed now" in run(*words).stdout


def test_designs_and_words_are_swept_too(tmp_path):
    study = write(tmp_path, TOML + '[tariff]\nperiods = { day = [0, 24] }\n')
    found = run("sweep", study, "--vary", "objective.peak=inf,2000.0", "--design", "--out", tmp_path / "out")
    assert found.exit_code == 0, found.output
    rows = list(csv.DictReader((tmp_path / "out" / "tables" / "sweep.csv").read_text().splitlines()))
    assert [r["objective.peak"] for r in rows] == ["inf", "2000"]
    assert {r["tariff"] for r in rows} == {"designed"}


def test_values_are_read_as_they_are_written():
    read = cli_tariff_sweep._varied
    assert read("population.elasticity=.1,.2") == ("population.elasticity", [0.1, 0.2])
    assert read("population.season=summer,winter") == ("population.season", ["summer", "winter"])
    assert read("objective.peak=1500,inf") == ("objective.peak", [1500, float("inf")])
    assert read("tariff.net_metering=true,false") == ("tariff.net_metering", [True, False])
    assert read("weather.pv=[1,.35],[1,.5]") == ("weather.pv", [[1, 0.35], [1, 0.5]])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--vary", "population.elasticty=.1", "--tariff", "flat_nb"), "did you mean `population.elasticity`?"),
        (("--vary", "elasticity=.1", "--tariff", "flat_nb"), "did you mean `population.elasticity`?"),
        (("--vary", "population.elasticity=-1", "--tariff", "flat_nb"), "a number above 0 and at most 2"),
        (("--vary", "population.attachment=.3,.6", "--tariff", "flat_nb"), "left out where `types` says who there is"),
        (("--tariff", "flat_nbb"), "did you mean `flat_nb`?"),
        (("--vary", "population.elasticity=.1",), "a tariff's name, or a design asked for"),
        (("--vary", "elasticity", "--tariff", "flat_nb"), "is not SECTION.KEY=V1,V2"),
        (("--tariff", "flat_nb", "--cluster", "tcp://127.0.0.1:9", "--workers", "2"), "the cluster has its own workers"),
    ],
)  # fmt: skip
def test_bad_words_end_with_2_and_say_what_was_meant(study, tmp_path, words, said):
    found = run("sweep", study, *words, "--out", tmp_path)
    assert found.exit_code == 2
    assert said in " ".join(found.output.replace("│", " ").split())
    assert not (tmp_path / "tables").exists()


def test_a_requirement_out_of_reach_is_a_row_and_ends_with_3(study, tmp_path):
    found = run("sweep", study, "--vary", "revenue.required=3.0,300.0", "--tariff", "flat_nb", "--out", tmp_path)
    assert found.exit_code == 3
    assert "INFEASIBLE" in found.stdout
    assert "2 cells, 1 converged" in found.stdout


@pytest.mark.filterwarnings("ignore")
def test_a_running_cluster_computes_the_sweep(study, tmp_path):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None, silence_logs=50) as cluster:
        found = run("sweep", study, "--tariff", "flat_nb", "--cluster", cluster.scheduler_address, "--out", tmp_path)
    assert found.exit_code == 0, found.output
    assert "1 cells, 1 converged; 1 computed now" in found.stdout
    gone = run("sweep", study, "--tariff", "flat_nb", "--cluster", "nowhere:1:1", "--out", tmp_path)
    assert gone.exit_code == 2
    assert "no Dask scheduler answers" in " ".join(gone.output.split())


def test_findings_of_a_study_are_written_and_judged(study, tmp_path):
    found = run("findings", study, "--quick", "--only", "welfare", "--out", tmp_path)
    assert found.exit_code == 0, found.output
    assert found.stdout.startswith('Findings in study "town": 1 of 1 hold')
    data = json.loads((tmp_path / "findings.json").read_text())
    assert [f["name"] for f in data["findings"]] == ["welfare"]
    assert data["provenance"]["command"].startswith("stackopt tariff findings")
    assert {p.name for p in (tmp_path / "figures").iterdir()} == {"welfare.svg"}
    rows = list(csv.DictReader((tmp_path / "tables" / "welfare.csv").read_text().splitlines()))
    assert len(rows) == len(data["findings"][0]["table"]["rows"])
    wrong = run("findings", study, "--only", "discount", "--out", tmp_path)
    assert wrong.exit_code == 2
    assert "did you mean `discounts`?" in wrong.output
