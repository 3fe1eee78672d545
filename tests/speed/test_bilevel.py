"""The bilevel benchmarks compare equal things, and judge answers as they say. No times are asserted."""

import dataclasses
import hashlib
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[2]))  # behind the installed package: only `benchmarks` is found here

import stackopt as so
from benchmarks import bilevel, bilevel_integer, bilevel_pao
from benchmarks.bilevel_instances import market, random_data, random_lp, random_qp, toll, transport
from benchmarks.bilevel_peers import SOLVERS, Answer, at, check, kkt
from stackopt.bilevel.point import Point
from stackopt.catalog import data_file

SMALL = (random_lp(6, 0), random_qp(6, 1), transport(3, 4, 0), market(4, 3, 0), toll(2, 3, 2, 1))


def test_the_random_instances_are_the_same_everywhere():
    parts = random_data(20, 0)
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(parts[key]).tobytes() for key in ("A", "B", "b", "G", "g", "c", "d", "q")))
    assert digest.hexdigest()[:16] == "73593138cb5d29a5"


def test_sizes_are_those_printed():
    made = (random_lp(20, 0), random_qp(10, 0), transport(6, 10, 0), market(12, 10, 0), toll(3, 3, 3, 0))
    assert [i.pairs for i in made] == [len(kkt(i).pairs) for i in made] == [60, 30, 126, 56, 72]


@pytest.mark.parametrize("made", SMALL, ids=lambda i: i.name)
def test_everybody_solves_the_same_problem(made):
    pytest.importorskip("pyscipopt", reason="the peer comparison needs the extra [scip]")
    rows = bilevel.compare([made], list(SOLVERS), 20.0, apart=False)
    assert [row["verdict"] for row in rows] == ["proved"] * len(SOLVERS)
    values = [row["value"] for row in rows]
    assert max(values) - min(values) <= 1e-5 * max(1.0, abs(values[0]))


@pytest.mark.parametrize("made", SMALL, ids=lambda i: i.name)
def test_the_check_agrees_with_the_programs_own(made):
    answer = SOLVERS["ours"](made, 20.0)
    found = check(made, answer.x, answer.y)
    program = made.program()
    solution = so.solve(program)
    assert found.right
    assert found.value == pytest.approx(solution.value, rel=1e-6, abs=1e-6)
    worse = answer.y.copy()
    worse[np.flatnonzero(made.q)[0]] += 1.0  # dearer, or out of a row
    assert not check(made, answer.x, worse).right or not program.certify(Point(np.concatenate([answer.x, worse]), solution.candidate.multipliers)).certified


def test_a_wrong_optimum_is_called_wrong():
    made = random_lp(6, 0)
    answer = SOLVERS["ours"](made, 20.0)
    good = check(made, answer.x, answer.y)
    assert bilevel.judge({"a": answer}, {"a": good}) == ({"a": "proved"}, good.value)
    boast = dataclasses.replace(answer, value=answer.value - 1.0)
    assert bilevel.judge({"a": boast}, {"a": good})[0]["a"] == "wrong"
    beaten = dataclasses.replace(good, value=good.value + 1.0)
    assert bilevel.judge({"a": answer, "b": dataclasses.replace(answer, value=beaten.value)}, {"a": good, "b": beaten})[0] == {"a": "proved", "b": "wrong"}
    lazy = dataclasses.replace(good, gap=1e-3)
    assert bilevel.judge({"a": answer}, {"a": lazy})[0]["a"] == "wrong"
    assert bilevel.judge({"a": answer, "b": Answer("infeasible")}, {"a": good, "b": None})[0]["b"] == "wrong"
    too_high = Answer("limit", bound=good.value + 1.0)
    assert bilevel.judge({"a": answer, "b": too_high}, {"a": good, "b": None})[0]["b"] == "wrong"
    not_a_number = dataclasses.replace(good, gap=math.nan)
    assert not not_a_number.right


def test_ratios_say_when_they_are_bounds():
    def row(name, solver, verdict, seconds):
        return {"instance": name, "solver": solver, "verdict": verdict, "seconds": seconds, "cpu_s": seconds}

    rows = [row("a", "ours", "proved", 1.0), row("a", "peer", "proved", 4.0), row("b", "ours", "proved", 1.0), row("b", "peer", "limit", 9.0)]
    (found,) = bilevel.ratios(rows, 9.0)
    assert found["ours/peer"] == pytest.approx(1 / 6)
    assert (found["mean"], found["ours_proved"], found["peer_proved"]) == ("<=", 2, 1)
    (found,) = bilevel.ratios(rows[:2], 9.0)
    assert (found["mean"], found["ours/peer"]) == ("=", pytest.approx(0.25))
    swapped = [dict(r, solver={"ours": "peer", "peer": "ours"}[r["solver"]]) for r in rows]
    (found,) = bilevel.ratios(swapped, 9.0)
    assert (found["mean"], found["ours/peer"]) == (">=", pytest.approx(6.0))


def test_a_trace_holds_what_was_known_at_the_moment():
    seen = [(0.5, math.inf, -9.0), (1.5, 3.0, -4.0), (3.0, 2.0, 2.0)]
    assert [at(seen, t) for t in (0.1, 1.0, 2.0, 5.0)] == [(math.inf, -math.inf), (math.inf, -9.0), (3.0, -4.0), (2.0, 2.0)]
    rows = bilevel.traces([random_lp(4, 0)], ["ours", "big-M"], (1.0, 2.0), apart=False)
    for row in rows:
        assert row["over_best_%@2"] == pytest.approx(0.0, abs=1e-4)
        assert row["gap_%@2"] == pytest.approx(0.0, abs=1e-3)
    *_, ours, _ = bilevel.summary(rows, (1.0, 2.0))
    assert (ours["solver"], ours["seconds"], ours["incumbents"], ours["worst_over_best_%"]) == ("ours", 2.0, 1, rows[0]["over_best_%@2"])
    rows[0]["gap_%@2"] = math.inf
    assert bilevel.summary(rows, (2.0,))[0]["mean_gap_%"] == math.inf


def test_gaps():
    assert bilevel.gap(-100.0, -110.0) == pytest.approx(10.0)
    assert bilevel.gap(math.inf, 0.0) == math.inf
    assert bilevel.gap(1.0, 2.0) == 0.0


def test_errors_become_a_status():
    broken = dataclasses.replace(random_lp(4, 0), b=np.array([np.nan] * 4))
    assert bilevel.cell("ours", broken, 1.0).status.startswith("InvalidProgram")


def test_the_command_prints_and_writes(tmp_path, capsys):
    bilevel.main(["--sizes", "4", "--seeds", "1", "--limit", "5", "--families", "random", "--solvers", "ours", "big-M", "--json", str(tmp_path / "b.json")])
    printed = capsys.readouterr().out
    assert "random LPs, n = 4" in printed
    assert "geometric mean" in printed
    rows = json.loads((tmp_path / "b.json").read_text())["random LPs, n = 4"]
    assert [(row["solver"], row["verdict"]) for row in rows] == [("ours", "proved"), ("big-M", "proved")]


def recorded(name):
    return next(case for _, case in bilevel_pao.cases(data_file("bilevel")) if case.name == name)


def test_recorded_cases_are_judged_by_their_optimum():
    assert len(bilevel_pao.cases(data_file("bilevel"))) == 43
    case = recorded("bjm_jump_06_bard_5_1_1")
    assert bilevel_pao.judge(case, {"x": 4.0, "y": 4.0}) == "correct"
    assert bilevel_pao.judge(case, {"x": 4.0000002, "y": 4.0000003}) == "correct"  # rounded: no feasible response at all
    assert bilevel_pao.judge(case, {"x": 4.0, "y": 3.0}) == "wrong"
    assert bilevel_pao.judge(case, {"x": 3.0, "y": 6.0}) == "wrong"  # better for the leader, but no response
    assert bilevel_pao.judge(case, None, "ValueError: ...") == "failed"
    assert bilevel_pao.judge(case, None, "INFEASIBLE") == "wrong"
    impossible = recorded("bjm_jointc1_part1_infeasible")
    assert bilevel_pao.judge(impossible, None, "INFEASIBLE") == "correct"
    assert bilevel_pao.judge(impossible, dict.fromkeys(impossible.program.names, 0.0)) == "wrong"


def test_counts_stand_side_by_side():
    found = [(path, case) for path, case in bilevel_pao.cases(data_file("bilevel")) if case.name in ("bjm_jump_06_bard_5_1_1", "bjm_jointc1_part1_infeasible")]
    worker = bilevel_pao.pao(Path(sys.executable), "FA", "appsi_highs", [path for path, _ in found])  # PAO is not here: an answer of its own
    assert [a["status"].split(":")[0] for a in worker] == ["ModuleNotFoundError"] * 2
    counts, differ = bilevel_pao.compare(found, {"ours": bilevel_pao.ours(found, 10.0), "PAO": worker})
    assert [(c["correct"], c["wrong"], c["failed"]) for c in counts] == [(2, 0, 0), (0, 0, 2)]
    assert [row["case"] for row in differ] == ["bjm_jointc1_part1_infeasible", "bjm_jump_06_bard_5_1_1"]


def test_integer_followers_stand_beside_the_index(tmp_path):
    program = recorded_integer("mibs_generalExample")
    so.write(program, tmp_path / "small.mps")
    optimum = so.solve(program).value
    lines = ["name,optimum,status,mibs_seconds", f"small,{optimum:g},MibS optimal,0.5", f"absent,{optimum:g},MibS optimal,0.5"]
    (tmp_path / "index.csv").write_text("\n".join(lines) + "\n")
    (row,) = bilevel_integer.compare(tmp_path, 10.0, apart=False)
    assert (row["verdict"], row["value"]) == ("proved", optimum)
    (of_family, over_all) = bilevel_integer.means([row])
    assert of_family["ours/mibs"] == over_all["ours/mibs"] == pytest.approx(row["seconds"] / 0.5)
    assert bilevel_integer.compare(tmp_path, 10.0, ["other"], apart=False) == []


def recorded_integer(name):
    return so.catalog.case(name).program


def test_what_the_index_refutes_is_wrong():
    def ended(status, value, bound):
        return bilevel_integer.verdict({"status": status, "value": value, "bound": bound}, -10.0)

    assert ended("optimal", -10.0, -10.0) == "proved"
    assert ended("optimal", -9.0, -9.0) == "wrong"
    assert ended("limit", -9.0, -12.0) == "limit"
    assert ended("limit", -11.0, -12.0) == "wrong"
    assert ended("limit", math.nan, -9.0) == "wrong"
    assert ended("infeasible", math.nan, math.nan) == "wrong"
    assert [bilevel_integer.family(name) for name in ("K5020W01.KNP", "2AP05-3", "int0sum_i0_60", "moore90")] == ["K5020", "2AP05", "int0sum", "other"]
