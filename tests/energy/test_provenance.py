"""Where the figures come from: digests that move with what they cover, and nothing that differs between two runs but the time."""

import datetime
import hashlib
import json
import subprocess
from pathlib import Path

import pytest
from studies import TOML, write

import stackopt
from stackopt.energy.studies import provenance as module
from stackopt.energy.studies.provenance import data_files, provenance
from stackopt.energy.studies.study import read_study


@pytest.fixture
def study(tmp_path):
    return read_study(write(tmp_path))


def test_it_names_versions_machine_and_digests_as_plain_data(study):
    found = json.loads(json.dumps(provenance(study, command="stackopt tariff compare study.toml", seeds={"search": 3})))
    assert found["packages"]["stackopt"] == stackopt.__version__
    assert {"numpy", "scipy", "highspy"} <= set(found["packages"])
    assert found["seeds"] == {"search": 3}
    assert found["command"] == "stackopt tariff compare study.toml"
    assert found["cpu"]
    assert found["cores"] >= 1
    assert len(found["settings_sha256"]) == 64
    assert set(found["data_sha256"]) == {"types.csv", "load.csv", "pv.csv"}
    for name, digest in found["data_sha256"].items():
        assert digest == hashlib.sha256((study.folder / name).read_bytes()).hexdigest()


def test_only_the_time_differs_and_it_can_be_left_out(study, monkeypatch):
    when = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    assert provenance(study, started=when)["started"] == "2026-01-02T03:04:05+00:00"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    assert "started" not in provenance(study, started=when)
    assert provenance(study) == provenance(study, started=when)


def test_digests_move_with_what_they_cover(study, tmp_path):
    before = provenance(study)
    text = (tmp_path / "study.toml").read_text()
    (tmp_path / "same.toml").write_text("# another way to say the same\n" + text + "[market]\nslope = 0.045\n")
    same = provenance(read_study(tmp_path / "same.toml"))
    assert same["settings_sha256"] == before["settings_sha256"]
    assert provenance(study.changed(market__slope=0.05))["settings_sha256"] != before["settings_sha256"]
    (tmp_path / "own.toml").write_text(text + "[benchmarks.mine]\nbuy = 0.3\n")
    (tmp_path / "other.toml").write_text(text + "[benchmarks.mine]\nbuy = 0.4\n")
    assert len({provenance(read_study(tmp_path / f"{n}.toml"))["settings_sha256"] for n in ("own", "other", "study")}) == 3
    (tmp_path / "load.csv").write_text((tmp_path / "load.csv").read_text() + "\n")
    after = provenance(study)
    assert after["settings_sha256"] == before["settings_sha256"]
    assert [n for n in after["data_sha256"] if after["data_sha256"][n] != before["data_sha256"][n]] == ["load.csv"]


def test_tables_of_a_network_are_hashed_one_by_one(tmp_path):
    (tmp_path / "grid").mkdir()
    (tmp_path / "grid" / "buses.csv").write_text("bus,load [MW]\nA,300\nB,400\n")
    (tmp_path / "grid" / "lines.csv").write_text("line,start,end,reactance [p.u.],capacity [MW]\nAB,A,B,0.1,500\n")
    (tmp_path / "grid" / "generators.csv").write_text("generator,bus,capacity [MW],cost [$/MWh]\none,A,2000,20\n")
    types = "type,group,kind,share,income [$/year],load,pv,bus\nmost,Q1,C,0.9,20000,flat,,A\nsome,Q1,PV,0.1,20000,flat,roof,B\n"
    path = write(tmp_path, TOML + '[market]\nkind = "network"\nnetwork = "grid"\n', types)
    assert list(data_files(read_study(path))) == ["types.csv", "load.csv", "pv.csv", "grid/buses.csv", "grid/generators.csv", "grid/lines.csv"]


def test_the_commit_is_that_of_the_package_alone(study, monkeypatch, tmp_path):
    calls = {"rev-parse --show-toplevel": str(Path(module.__file__).resolve().parents[2]), "rev-parse HEAD": "abc", "status --porcelain -- stackopt data": ""}

    def git(words, **_):
        return subprocess.CompletedProcess(words, 0, calls[" ".join(words[3:])] + "\n", "")

    monkeypatch.setattr(module.subprocess, "run", git)
    assert provenance(study)["commit"] == "abc"
    calls["status --porcelain -- stackopt data"] = " M stackopt/x.py"
    assert provenance(study)["commit"] == "abc, with changes that are not committed"
    calls["rev-parse --show-toplevel"] = str(tmp_path)  # installed inside somebody else's checkout
    assert provenance(study)["commit"] is None

    def none(words, **_):
        raise FileNotFoundError("git")

    monkeypatch.setattr(module.subprocess, "run", none)
    assert provenance(study)["commit"] is None
