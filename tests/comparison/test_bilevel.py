"""Bilevel programs in a comparison: who minimises is compared the right way round, refusals are rows, files are read."""

import json
import subprocess
import sys

import pytest

import stackopt as so
from stackopt import catalog
from stackopt.comparison import rows as table
from stackopt.comparison.suites import PROGRAM_KINDS, methods_for, suite


@pytest.fixture(scope="module")
def compared():
    study = suite(["pigou_toll", "moore_bard", "shortest_path_interdiction"], kinds=("exact", "strong-duality", "softmax", "weak"), time_limit=20)
    return so.compare(study.problems, study.methods, about=study.about)


def found(comparison, problem):
    return {row["method"]: row for row in comparison.rows() if row["problem"] == problem}


@pytest.mark.parametrize(("name", "sense"), [("pigou_toll", "min"), ("moore_bard", "min"), ("shortest_path_interdiction", "max")])
def test_the_exact_value_is_attained_and_proved(compared, name, sense):
    about = compared.to_json()["problems"][name]
    value = catalog.model(name).known["value"]
    assert about["sense"] == sense
    assert about["closed"]
    assert about["attained"] == pytest.approx(value, abs=1e-5)
    assert about["lower"] <= about["upper"] + 1e-6
    assert about["reference"].startswith(f"exact value {value:g}, attained by exact")
    row = found(compared, name)["exact"]
    assert (row["error"], row["status"]) == (0.0, "OPTIMAL" if name == "moore_bard" else "PROVED")  # its follower is integer
    assert row["bound"] == pytest.approx(0.0, abs=1e-5)
    assert compared.good


def test_methods_for_games_are_rows_that_say_why_not(compared):
    rows = found(compared, "pigou_toll")
    assert rows["softmax tau=0.5"]["status"] == "REFUSED"
    assert rows["weak"]["status"] == "REFUSED"
    reasons = {(f["method"], f["problem"]): f for f in compared.failures()}
    assert "does not solve a BilevelProgram" in reasons["softmax tau=0.5", "pigou_toll"]["reason"]
    assert "pessimistic" in reasons["weak", "pigou_toll"]["remedy"]


def test_a_minimising_leader_is_compared_the_right_way_round():
    def cell(method, value, bound):
        of = "leader's optimal value"
        proved = {"of": of, "applies": True, "value": bound, "reference": "r", "origin": "search", "sense": "lower", "verdict": "not measured"}
        return {"problem": "p", "method": method, "seed": 0, "status": "LIMIT", "verified": True, "certified": False, "values": {"leader": value},
                "objective": "leader", "concept": "", "bounds": [proved], "sense": "min", "quantity": of}  # fmt: skip

    cells = [cell("good", 3.0, 1.0), cell("bad", 5.0, 2.0)]
    exact = table.reference(cells)
    assert (exact["attained"], exact["proved"], exact["lower"], exact["upper"], exact["lower_by"]) == (3.0, 2.0, 2.0, 3.0, "good")
    assert not exact["closed"]
    assert exact["reference"] == "exact value between 3 (by good) and 2 [r]"
    assert table.gap_bound(cells[1]) == (3.0, "r")
    assert table.violations(cells) == []
    wrong = [cell("good", 3.0, 3.5), cells[1]]
    assert [v["method"] for v in table.violations(wrong)] == ["good"], "a lower bound above a value that was attained"


def test_the_report_speaks_of_lower_bounds(compared, tmp_path):
    text = compared.report(tmp_path / "report.html").read_text()
    assert "The optimal value of the leader is 0.75: exact attains it, and a proved lower bound [proof] meets it." in text
    assert "The optimal value of the leader is 22: exact attains it, and a proved upper bound [proof] meets it." in text
    assert "strong commitment value is" not in text


def test_by_default_bilevel_programs_get_the_methods_that_are_for_them():
    program = catalog.build("pigou_toll")
    assert len(methods_for(program)) == len(PROGRAM_KINDS)
    assert next(iter(methods_for(program))) == "exact"


def test_files_of_bilevel_programs(tmp_path):
    program = catalog.build("toll_storyboard")
    for name in ("toll.mps", "toll.json"):
        so.write(program, tmp_path / name)
        study = suite([str(tmp_path / name)], kinds=("exact",))
        comparison = so.compare(study.problems, study.methods, about=study.about)
        (row,) = comparison.rows()
        assert row["value"] == pytest.approx(92 / 15, abs=1e-6)
        assert "stackopt.read(" in comparison.cells[0]["reproduce"]["python"]


def test_recorded_programs_are_compared_by_name():
    study = suite(["bjm_jump_03_dempe_ch3_2"], kinds=("exact",))
    comparison = so.compare(study.problems, study.methods, about=study.about)
    (row,) = comparison.rows()
    assert row["value"] == pytest.approx(study.about["bjm_jump_03_dempe_ch3_2"]["known"]["value"], abs=1e-6)
    line = comparison.cells[0]["reproduce"]
    assert "stackopt.catalog.case('bjm_jump_03_dempe_ch3_2').program" in line["python"]
    assert line["command"].startswith("stackopt solve bjm_jump_03_dempe_ch3_2")
    with pytest.raises(so.InvalidMethod, match="a recorded program has no parameters"):
        suite(["bjm_jump_03_dempe_ch3_2"], {"cap": 1.0})


def test_the_command_compares_bilevel_models(tmp_path):
    code = "import sys; from stackopt.cli import main; sys.argv[0] = 'stackopt'; main()"
    command = [sys.executable, "-c", code, "compare", "toll_storyboard", "moore_bard", "--time-limit", "20", "--json"]
    run = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout)
    assert {name: p["attained"] for name, p in result["problems"].items()} == {"toll_storyboard": pytest.approx(92 / 15), "moore_bard": pytest.approx(-22)}
    assert result["violations"] == []
