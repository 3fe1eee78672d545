"""What every command of `stackopt tariff` writes: the same bytes twice, pages rebuilt from data alone, exhibits, figures for journals."""

import json
from pathlib import Path

import pytest
import typer
from studies import TOML, write
from typer.testing import CliRunner

from stackopt.cli import app
from stackopt.cli_tariff_end import exhibit_of, exit_code, formats_of
from stackopt.energy.reports.figures import figures
from stackopt.energy.reports.stored import stored_studies

FEW = ("bills", "duck", "winners", "lorenz", "trade_off")
NAMES = '[benchmarks]\nnames = ["flat_nb"]\n'


def run(*words):
    return CliRunner().invoke(app, [str(w) for w in words])


@pytest.fixture(scope="module", autouse=True)
def few_figures():
    """Pages with a few figures: what all of them show is tested elsewhere, and drawing them is what takes long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stackopt.energy.reports.report.figures", lambda stored: {name: draw for name, draw in figures(stored).items() if name in FEW})
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two runs of one study file, alone on the command line, with nothing of the time in them."""
    folder = tmp_path_factory.mktemp("study")
    study = write(folder, TOML + NAMES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", "0")
        for name in ("one", "two"):
            found = run("tariff", study, "--out", folder / name / "compare", "--exhibit", "XYZ-01", "--witness", "A. Doe")
            assert found.exit_code == 0, found.output
    return folder, found.stdout


def files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_study_file_alone_is_compared(made):
    _, said = made
    assert said.startswith('Tariff study "town", compare: CONVERGED')
    assert "report.html" in said
    assert run("tariff", "absent.toml").exit_code == 2
    unknown = run("tariff", "study")
    assert unknown.exit_code == 2
    assert "No such command 'study'" in unknown.output


def test_two_runs_write_the_same_bytes(made):
    folder, _ = made
    one, two = files(folder / "one"), files(folder / "two")
    one_data, two_data = (json.loads(f.pop("compare/data.json")) for f in (one, two))
    for f, data in ((one, one_data), (two, two_data)):
        assert json.loads(f.pop("compare/provenance.json")) == data["provenance"]
        assert "started" not in data["provenance"]
    commands = [data["provenance"].pop("command") for data in (one_data, two_data)]
    assert commands[0] == "stackopt tariff compare study.toml --out compare --exhibit XYZ-01 --witness 'A. Doe'"
    assert one_data == two_data
    assert one == two
    assert {f"compare/figures/{n}.svg" for n in ("bills", "duck", "winners")} <= set(one)
    assert one_data["exhibit"] == {"number": "XYZ-01", "witness": "A. Doe"}
    assert b"Exhibit" in one["compare/report.html"]


def test_report_rebuilds_the_page_from_its_data(made):
    folder, _ = made
    page = folder / "one" / "compare" / "report.html"
    content = page.read_bytes()
    page.unlink()
    found = run("report", folder / "one", "--figures", "none")
    assert found.exit_code == 0, found.output
    assert found.stdout.startswith('Tariff study "town", compare: CONVERGED')
    assert page.read_bytes() == content


def test_report_takes_another_exhibit_and_place_and_writes_pdf(made):
    folder, _ = made
    data, other = folder / "small" / "data.json", folder / "other" / "page.html"
    data.parent.mkdir()
    stored = json.loads((folder / "one" / "compare" / "data.json").read_text())
    data.write_text(json.dumps({**stored, "tables": {name: stored["tables"][name] for name in ("summary", "lorenz", "fixed_charges")}}))
    for source in (data, data.parent):
        assert run("report", source, "--out", other, "--exhibit", "ABC-02", "--figures", "pdf").exit_code == 0
    assert b"ABC-02" in other.read_bytes()
    assert b"A. Doe" in other.read_bytes()  # what is not given anew stays
    assert {f.name for f in (other.parent / "figures").iterdir()} == {"lorenz.pdf", "trade_off.pdf"}
    assert (other.parent / "figures" / "lorenz.pdf").read_bytes().startswith(b"%PDF")
    assert not (data.parent / "report.html").exists()


def test_report_says_what_it_cannot_do(made, tmp_path):
    folder, _ = made
    (tmp_path / "pair" / "a").mkdir(parents=True)
    (tmp_path / "pair" / "b").mkdir()
    data = (folder / "one" / "compare" / "data.json").read_bytes()
    for name in ("a", "b"):
        (tmp_path / "pair" / name / "data.json").write_bytes(data)
    assert len(stored_studies(tmp_path / "pair")) == 2
    several = run("report", tmp_path / "pair", "--out", tmp_path / "page.html")
    assert several.exit_code == 2
    assert "holds 2 studies" in " ".join(several.output.split())
    (tmp_path / "data.json").write_text("{")
    assert stored_studies(tmp_path) == []
    assert run("report", tmp_path / "data.json").exit_code == 2
    assert run("report", tmp_path, "--exhibit", "X").exit_code == 2
    assert not (tmp_path / "page.html").exists()


def test_formats_and_exhibits_as_values():
    assert formats_of("svg") == ("svg",)
    assert formats_of("pdf, svg,pdf") == ("pdf", "svg")
    assert formats_of("none") == ()
    for wrong in ("png", "svg,none", ""):
        with pytest.raises(typer.BadParameter, match="svg, pdf"):
            formats_of(wrong)
    assert exhibit_of(" A ", "") == {"number": "A"}
    assert exhibit_of("", " ") == {}
    assert [exit_code(word) for word in ("CONVERGED", "PROVED", "LIMIT", "INFEASIBLE")] == [0, 0, 1, 3]


def test_a_wrong_format_is_said_before_the_figures(tmp_path):
    study = write(tmp_path, TOML + NAMES)
    found = run("tariff", "evaluate", study, "--figures", "png", "--out", tmp_path / "out")
    assert found.exit_code == 2
    assert not (tmp_path / "out").exists()


def test_every_command_on_a_study_takes_exhibit_witness_and_figures():
    for command in ("compare", "evaluate", "design", "sensitivity"):
        said = run("tariff", command, "--help").stdout
        assert "--exhibit" in said
        assert "--witness" in said
        assert "--figures" in said
    assert Path("tariff-town").exists() is False
