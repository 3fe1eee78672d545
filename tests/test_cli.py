"""The command line: every command, every exit code, errors as text, interrupts that resume, pipes that close."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from typer.testing import CliRunner

import stackopt
from stackopt.cli import app

SMALL = ["compare", "commitment_2x2", "--method", "exact", "--method", "softmax", "--temperatures", "0.5,0.1"]


def run(*words):
    return CliRunner().invoke(app, [str(w) for w in words])


def shell(*words, **options):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "80"}
    return subprocess.Popen([sys.executable, "-m", "stackopt", *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env=environment, **options)


@pytest.fixture
def game_file(tmp_path):
    path = tmp_path / "mine.npz"
    np.savez(path, leader_reward=[[[2.0, 4.0], [1.0, 3.0]]], follower_reward=[[[1.0, 0.0], [0.0, 1.0]]], leader_actions=["up", "down"])
    return path


# --- the program -------------------------------------------------------------------------------------------------------


def test_version_and_help():
    assert run("--version").stdout == f"stackopt {stackopt.__version__}\n"
    helped = run("--help").stdout
    for command in ("compare", "solve", "models", "verify", "report", "demo", "doctor"):
        assert command in helped
    assert "Exit codes" in helped
    assert run().exit_code == 2


def test_a_mistyped_command_is_answered_with_the_nearest():
    result = run("solv")
    assert result.exit_code == 2
    assert "Did you mean 'solve'" in result.stderr


def test_models():
    listed = run("models")
    assert listed.exit_code == 0
    assert "tariff" in listed.stdout
    assert max(map(len, listed.stdout.splitlines())) <= 81
    shown = run("models", "tariff")
    assert "bill_weight" in shown.stdout
    assert "Source:" in shown.stdout
    unknown = run("models", "tarif")
    assert unknown.exit_code == 2
    assert "UnknownModel[model]" in unknown.stderr
    assert "did you mean 'tariff'" in unknown.stderr
    assert unknown.stdout == ""


def test_demo_shows_both_answers():
    result = run("demo")
    assert result.exit_code == 0
    assert "exact strong: PROVED, certified" in result.stdout
    assert "under its own max-ent follower" in result.stdout
    assert "stackopt compare" in result.stdout


def test_doctor():
    result = run("doctor")
    assert result.exit_code == 0
    assert result.stdout.startswith("stackopt works here")
    assert "known 3.5" in result.stdout
    assert json.loads(run("doctor", "--json").stdout)["verdict"].startswith("stackopt works here")


def test_doctor_reports_what_is_broken(monkeypatch):
    from stackopt import doctor

    monkeypatch.setattr(doctor, "installed", lambda package: None if package in ("highspy", "pandas") else "1.0")
    result = run("doctor")
    assert result.exit_code == 1
    assert result.stdout.startswith("stackopt does not work here: highspy")
    assert "pip install highspy" in result.stdout
    assert 'pip install "stackopt[report]"' in result.stdout


def test_verify():
    result = run("verify", "--instances", 2, "--seed", 3)
    assert result.exit_code == 0
    assert "0 violations" in result.stdout.splitlines()[0]
    assert json.loads(run("verify", "--instances", 1, "--json").stdout)["violations"] == []


# --- solve -------------------------------------------------------------------------------------------------------------


def test_solve_a_model():
    result = run("solve", "commitment_2x2")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0].endswith("by exact strong: PROVED, certified")
    learned = run("solve", "commitment_2x2", "--method", "softmax", "--temperature", 0.1)
    assert "under its own max-ent follower" in learned.stdout


def test_solve_as_json_has_nothing_else_on_standard_output(game_file):
    found = json.loads(run("solve", game_file, "--json").stdout)
    assert found["solution"]["values"]["strong"] == pytest.approx(3.5)
    np.testing.assert_allclose(found["policies"]["leader_policy"], [[0.5, 0.5]], atol=1e-6)


def test_solve_a_file_and_save_its_policies(game_file, tmp_path):
    result = run("solve", game_file, "--policies", tmp_path / "found.npz")
    assert 'Solution of "mine"' in result.stdout
    with np.load(tmp_path / "found.npz") as found:
        np.testing.assert_allclose(found["leader_policy"], [[0.5, 0.5]], atol=1e-6)


def test_solve_a_json_file(tmp_path):
    path = tmp_path / "mine.json"
    data = {"leader_reward": [[[2, 4], [1, 3]]], "follower_reward": [[[1, 0], [0, 1]]], "transition": [[[[1], [1]], [[1], [1]]]], "discount": 0.5}
    path.write_text(json.dumps(data))
    assert json.loads(run("solve", path, "--json").stdout)["solution"]["values"]["strong"] == pytest.approx(7.0)


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", "[game-file]"), (b"{ no", "[game-file]"), (b"[]", "not an object"), (b'{"leader_reward": [[[1]]]}', "follower_reward"),
     (b'{"leader_reward": [[[1]]], "follower_reward": [[[1]]], "discont": 0}', "discont"),
     (b'{"leader_reward": [[[1]]], "follower_reward": [[[1]]], "transition": [[[[0.9]]]], "discount": 0.5}', "[transition-mass]"),
     (b'{"leader_reward": [[[1]]], "follower_reward": [[[1]]], "discount": 1}', "[discount]")],
)
def test_bad_game_files(tmp_path, content, told):
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    result = run("solve", path)
    assert result.exit_code == 2
    assert told in result.stderr
    assert result.stdout == ""


def test_missing_and_pickled_game_files(tmp_path):
    assert "No such file" in run("solve", tmp_path / "absent.npz").stderr
    np.savez(tmp_path / "pickled.npz", leader_reward=np.array([object()], dtype=object))
    result = run("solve", tmp_path / "pickled.npz")
    assert result.exit_code == 2
    assert "InvalidGame[game-file]" in result.stderr


def test_a_refusal_is_exit_code_4_with_the_reason_and_a_remedy():
    result = run("solve", "tariff", "--method", "softmax", "--concept", "fixed_point")
    assert result.exit_code == 4
    assert "Refused[observation-fixed-point]" in result.stderr
    assert "help:" in result.stderr
    assert "Traceback" not in result.stderr


def test_not_converged_is_exit_code_1():
    result = run("solve", "inspection", "--method", "softmax", "--concept", "fixed_point", "--temperature", 0.05)
    assert result.exit_code == 1
    assert "LIMIT, not certified" in result.stdout.splitlines()[0]


def test_infeasible_is_exit_code_3(monkeypatch):
    from stackopt.solution import Run, Status

    exact = stackopt.Exact
    monkeypatch.setattr(exact, "run", lambda self, problem, **_: Run(Status.INFEASIBLE, None, because="nothing satisfies the rows"))
    assert run("solve", "commitment_2x2").exit_code == 3


@pytest.mark.parametrize(
    ("words", "told"),
    [(["solve", "tarif"], "[model]"), (["solve", "tariff", "--set", "bill_weigth=0.3"], "did you mean 'bill_weight'"),
     (["solve", "tariff", "--set", "bill_weight"], "NAME=VALUE"), (["solve", "tariff", "--set", "bill_weight=high"], "[model-value]"),
     (["solve", "tariff", "--method", "magic"], "[setting]"), (["solve", "tariff", "--method", "softmax", "--temperature", "0"], "[temperature]"),
     (["solve", "tariff", "--method", "softmax", "--temperature", "nan"], "[temperature]"), (["compare", "nowhere"], "[model]"),
     (["compare", "tariff", "--temperatures", "0.1,x"], "list of numbers"), (["compare", "tariff", "--seeds", "0"], "--seeds"),
     (["compare", "tariff", "--method", "magic"], "[setting]"), (["report", "absent"], "[store]"), (["verify", "--instances", "0"], "--instances")],
)
def test_bad_input_is_exit_code_2_and_says_why(words, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(*words)
    assert result.exit_code == 2
    assert told in result.stderr
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []  # nothing half-written


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One comparison that several tests look at: what it printed, and its folder."""
    folder = tmp_path_factory.mktemp("finished") / "out"
    return run(*SMALL, "--out", folder), folder


def saved(folder):
    return json.loads((folder / "comparison.json").read_text())


# --- compare -----------------------------------------------------------------------------------------------------------


def test_compare_prints_saves_and_says_what_next(finished):
    result, folder = finished
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == "Comparison: 1 problem, 3 methods, 1 seed: 3 of 3 cells certified, no bound violated"
    assert "every measured error is within its bound" in result.stdout
    assert "  next   open" in result.stdout
    names = {p.name for p in folder.iterdir()}
    assert {"results.csv", "bounds.csv", "comparison.json", "errors.svg", "report.html", "runs"} <= names
    assert all(name in result.stdout for name in names)


def test_compare_a_game_file(game_file, tmp_path):
    found = json.loads(run("compare", game_file, "--method", "exact", "--out", tmp_path / "out", "--json").stdout)
    assert found["rows"][0]["problem"] == "mine"
    assert found["rows"][0]["value"] == pytest.approx(3.5)
    words = found["cells"][0]["reproduce"]["command"].split()
    assert json.loads(run(*words[1:], "--json").stdout)["solution"]["values"] == found["cells"][0]["values"]
    printed = subprocess.run([sys.executable, "-c", found["cells"][0]["reproduce"]["python"]], capture_output=True, text=True, check=True).stdout
    assert "PROVED, certified" in printed


def test_compare_as_json_has_nothing_else_on_standard_output(tmp_path):
    found = json.loads(run(*SMALL, "--out", tmp_path, "--json", "--seeds", 2).stdout)
    assert found["schema"] == "stackopt.comparison/1"
    assert len(found["cells"]) == 6
    errors = {r["method"]: r["error"] for r in found["rows"]}
    assert errors["exact strong"] == 0.0
    assert errors["softmax tau=0.5"] > errors["softmax tau=0.1"] > 0


def test_the_lines_that_reproduce_a_cell_do(finished):
    cell = saved(finished[1])["cells"][1]
    printed = subprocess.run([sys.executable, "-c", cell["reproduce"]["python"]], capture_output=True, text=True, check=True).stdout
    assert f"{cell['values']['strong']:.6g}" in printed
    words = cell["reproduce"]["command"].split()
    assert words[:3] == ["stackopt", "solve", "commitment_2x2"]
    assert json.loads(run(*words[1:], "--json").stdout)["solution"]["values"] == cell["values"]


def test_compare_with_jobs_gives_the_same(finished, tmp_path):
    assert run(*SMALL, "--out", tmp_path, "--jobs", 2).exit_code == 0
    timings = ("cpu_seconds", "seconds")
    one, two = ([{k: v for k, v in r.items() if k not in timings} for r in saved(folder)["rows"]] for folder in (finished[1], tmp_path))
    assert one == two


def test_an_unreadable_store_is_exit_code_2_and_retry_repairs_it(finished, tmp_path):
    shutil.copytree(finished[1] / "runs", tmp_path / "runs")
    victim = next(iter((tmp_path / "runs").glob("*.json")))
    victim.write_text("garbage")
    result = run(*SMALL, "--out", tmp_path)
    assert result.exit_code == 2
    assert "InvalidStore[store]" in result.stderr
    assert victim.name in result.stderr
    assert not (tmp_path / "results.csv").exists()
    repaired = run(*SMALL, "--out", tmp_path, "--retry", "failed")
    assert repaired.exit_code == 0
    assert "2 cells cached" in repaired.stdout


def test_an_output_folder_in_the_way(tmp_path):
    (tmp_path / "file").write_text("")
    result = run(*SMALL, "--out", tmp_path / "file")
    assert result.exit_code == 2
    assert "file" in result.stderr


def test_a_violated_bound_is_exit_code_1(tmp_path, monkeypatch):
    from stackopt.certificate import Bound, Examination

    broken = (Examination(2.0, Bound(1.0, "follower's loss", "B2.1")),)
    monkeypatch.setattr(stackopt.StackelbergGame, "examinations", lambda self, profile: broken)
    result = run(*SMALL, "--out", tmp_path)
    assert result.exit_code == 1
    assert "VIOLATED" in result.stdout.splitlines()[0]


def test_a_comparison_of_refusals_only_is_exit_code_4(tmp_path):
    result = run("compare", "tariff", "--method", "fixed-point", "--out", tmp_path)
    assert result.exit_code == 4
    assert "REFUSED" in result.stdout


def test_a_failed_cell_is_exit_code_1_and_the_others_stand(tmp_path, monkeypatch):
    def broken(self, problem, **_):
        raise RuntimeError("boom")

    monkeypatch.setattr(stackopt.Exact, "run", broken)
    result = run(*SMALL, "--out", tmp_path)
    assert result.exit_code == 1
    assert "RuntimeError: boom" in result.stdout
    assert result.stdout.count("CONVERGED") == 2


def test_report_from_a_store_and_from_json(finished, tmp_path):
    pytest.importorskip("jinja2")
    for source in (finished[1] / "runs", finished[1]):
        result = run("report", source, "--out", tmp_path / "again.html")
        assert result.exit_code == 0, result.stderr
        assert result.stdout.startswith("Comparison: 1 problem, 3 methods")
        assert (tmp_path / "again.html").stat().st_size > 1000


# --- a real terminal's behaviour -----------------------------------------------------------------------------------------


def test_python_dash_m_and_import_are_light():
    process = shell("--version")
    assert process.communicate(timeout=60)[0] == f"stackopt {stackopt.__version__}\n"
    assert process.returncode == 0


def test_a_closed_pipe_leaves_no_traceback():
    with shell("models", "tariff") as process:
        process.stdout.close()
        error = process.stderr.read()
    assert "Traceback" not in error
    assert "Exception ignored" not in error


def test_a_pipe_sees_no_progress(tmp_path):
    process = shell("compare", "commitment_2x2", "--method", "softmax", "--temperatures", "0.02", "--out", tmp_path)
    output, error = process.communicate(timeout=60)
    assert error == ""
    assert max(len(line) for line in output.splitlines() if str(tmp_path) not in line) <= 90  # a path is never broken


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
def test_a_terminal_sees_progress_on_standard_error(tmp_path):
    ours, theirs = os.openpty()
    words = ["compare", "commitment_2x2", "--method", "softmax", "--temperatures", ",".join(f"{0.01 + i / 1000:g}" for i in range(24)), "--out", str(tmp_path)]
    process = subprocess.Popen([sys.executable, "-m", "stackopt", *words], stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    seen = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux: the other end is closed
            break
        if not part:
            break
        seen += part
    os.close(ours)
    assert process.wait(timeout=60) == 0
    assert b"cells" in seen
    assert b"/24" in seen
    assert b"commitment_2x2: softmax tau=" in seen


@pytest.mark.skipif(os.name != "posix", reason="needs SIGINT")
def test_ctrl_c_stores_what_is_finished_and_the_same_line_resumes(tmp_path):
    words = ["compare", "commitment_2x2", "--method", "softmax", "--temperatures", ",".join(f"{0.5 + i / 100:g}" for i in range(20)), "--out", tmp_path]
    process = shell(*words, start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    deadline = time.monotonic() + 60
    while len(list((tmp_path / "runs").glob("*.json"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    output, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in error
    stored = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "runs").glob("*.json")}
    assert 3 <= len(stored) < 20
    assert f"Interrupted: {len(stored)} of 20 cells stored in {tmp_path}/runs/. Run the same call again to continue." in error
    assert output == ""
    assert not list((tmp_path / "runs").glob(".*"))
    again = shell(*words)
    assert f"{len(stored)} cells cached" in again.communicate(timeout=60)[0]
    assert again.returncode == 0
    assert {name: (tmp_path / "runs" / name).stat().st_mtime_ns for name in stored} == stored  # immutable


# --- solve: bilevel programs -------------------------------------------------------------------------------------------

BILEVEL = """\
NAME toll
ROWS
 N  cost
 L  cap
 L  road
 G  least
COLUMNS
    toll  cost  1  road  -7
    toll  least  1
    flow  cost  3  cap  1
    flow  road  2  least  4
RHS
    B  cap  5  least  8
BOUNDS
 UP B toll 8
 FR B flow
ENDATA
"""
FOLLOWER = "@NUMVARS\n1\n@NUMCONSTRS\n2\n@VARSBEGIN\nflow -1\n@VARSEND\n@CONSTRSBEGIN\nroad\nleast\n@CONSTRSEND\n"


@pytest.fixture
def bilevel_file(tmp_path):
    (tmp_path / "toll.mps").write_text(BILEVEL)
    (tmp_path / "toll.aux").write_text(FOLLOWER)
    return tmp_path / "toll.mps"


def test_solve_finds_the_aux_file_next_to_the_mps_file(bilevel_file):
    result = run("solve", bilevel_file)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0].startswith('Solution of "toll" by exact')
    assert "6.13333" in result.stdout
    assert "OPTIMAL, certified" in result.stdout or "PROVED, certified" in result.stdout
    assert run("solve", bilevel_file.with_suffix(".aux")).stdout.splitlines()[:4] == result.stdout.splitlines()[:4]


def test_solve_takes_the_aux_file_from_elsewhere(bilevel_file):
    elsewhere = bilevel_file.with_name("follower.txt")
    bilevel_file.with_suffix(".aux").rename(elsewhere)
    missing = run("solve", bilevel_file)
    assert missing.exit_code == 2
    assert "InvalidProgram[aux-missing]" in missing.stderr
    assert "--aux" in missing.stderr
    assert run("solve", bilevel_file, "--aux", elsewhere).exit_code == 0


def test_solve_tells_a_bilevel_file_from_a_game(bilevel_file, tmp_path):
    stackopt.write(stackopt.read(bilevel_file), tmp_path / "toll.json")
    found = json.loads(run("solve", tmp_path / "toll.json", "--json").stdout)
    assert found["schema"] == "stackopt.solution/1"
    assert found["solution"]["values"]["leader"] == pytest.approx(92 / 15)
    assert found["values"] == pytest.approx({"toll": 8 / 15, "flow": 28 / 15})
    assert found["solution"]["reproduce"]["command"] == f"stackopt solve {tmp_path / 'toll.json'} --method exact --time-limit 60 --seed 0"
    (tmp_path / "game.json").write_text(json.dumps({"leader_reward": [[[2, 4], [1, 3]]], "follower_reward": [[[1, 0], [0, 1]]]}))
    assert "policies" in json.loads(run("solve", tmp_path / "game.json", "--json").stdout)


def test_solve_a_recorded_bilevel_program():
    assert run("solve", "bjm_jump_01").exit_code == 0
    infeasible = run("solve", "bjm_jointc1_part1_infeasible", "--json")
    assert infeasible.exit_code == 3
    found = json.loads(infeasible.stdout)
    assert (found["solution"]["status"], found["values"]) == ("INFEASIBLE", {})
    near = run("solve", "bjm_jump_0")
    assert near.exit_code == 2
    assert "did you mean 'bjm_jump_01'" in near.stderr


def test_models_lists_and_shows_recorded_bilevel_programs():
    assert "and 94 recorded bilevel programs" in run("models").stdout.splitlines()[-1]
    listed = run("models", "--cases").stdout.splitlines()
    assert len(listed) == 95
    assert listed[1].split() == ["basblib_as_2013_01", "LP-LP", "0"]
    assert any(line.split() == ["bjm_jointc1_part1_infeasible", "LP-LP", "infeasible"] for line in listed)
    shown = run("models", "bjm_moshirvaziri1996").stdout
    assert shown.startswith("Case bjm_moshirvaziri1996")
    assert "known   15.40007129   (published: 15.4)" in shown
    assert 'BilevelProgram "bjm_moshirvaziri1996"' in shown
    assert str(stackopt.catalog.case("bjm_jump_01")) in repr(stackopt.catalog.case("bjm_jump_01"))
    assert "BilevelProgram" in stackopt.catalog.case("bjm_jump_01")._repr_html_()


def test_solve_refuses_with_its_own_exit_code():
    refused = run("solve", "bjm_conejo2016_dual", "--method", "big-m")
    assert refused.exit_code == 4
    assert refused.stderr.startswith("stackopt.Refused[")


def test_a_bilevel_limit_is_not_certified():
    """No time at all: no answer, or one without a proof."""
    assert run("solve", "bjm_3sat_dempe_3_7", "--time-limit", "0").exit_code == 1


@pytest.mark.parametrize("method", ["big-m", "strong-duality", "enumeration"])
def test_solve_by_other_methods(bilevel_file, method):
    result = run("solve", bilevel_file, "--method", method, "--json")
    assert result.exit_code in (0, 4)  # a refusal is an answer; a wrong value is not
    if result.exit_code == 0:
        assert json.loads(result.stdout)["solution"]["values"]["leader"] == pytest.approx(92 / 15, rel=1e-6)


def test_options_of_games_are_refused_for_bilevel_programs(bilevel_file):
    wrong = run("solve", bilevel_file, "--method", "softmax")
    assert wrong.exit_code == 2
    assert "InvalidMethod[setting]" in wrong.stderr
    assert "one of exact, big-m" in wrong.stderr
    for option, value in (("--concept", "weak"), ("--leader", "net"), ("--policies", "found.npz"), ("--set", "a=1")):
        result = run("solve", bilevel_file, option, value)
        assert result.exit_code == 2, option
        assert option in result.stderr
