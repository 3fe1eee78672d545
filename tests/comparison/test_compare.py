"""Cells, rows, errors against the exact value, bounds, violations; nothing is lost, whatever happens in a cell."""

import json
import math
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

import stackopt as so
from stackopt.comparison import cells, plain
from stackopt.comparison.cells import Cell, evaluate
from stackopt.errors import InvalidGame, InvalidMethod, InvalidOutput, InvalidStore
from tests.comparison.toys import BEST, Fixed, examined, game, value

METHODS = {
    "exact": Fixed(0.5, bound=BEST),
    "near": Fixed(0.4, temperature=0.1),
    "refused": Fixed(fault="refuse"),
    "broken": Fixed(fault="raise"),
    "limit": Fixed(0.3, fault="limit"),
    "none": Fixed(fault="infeasible"),
    "liar": Fixed(0.2, fault="lie"),
}


@pytest.fixture(scope="module")
def comparison():
    return so.compare([game()], METHODS, seeds=(0, 1))


def row(comparison, method):
    return next(r for r in comparison.rows() if r["method"] == method)


def test_every_cell_is_a_row_whatever_happened(comparison):
    assert len(comparison.cells) == 2 * len(METHODS)
    found = {r["method"]: r["status"] for r in comparison.rows()}
    assert found == {"exact": "OPTIMAL", "near": "CONVERGED", "refused": "REFUSED", "broken": "FAILED", "limit": "LIMIT", "none": "INFEASIBLE",
                     "liar": "FAILED"}


def test_errors_are_gaps_to_the_exact_value(comparison):
    near = row(comparison, "near")
    assert near["value"] == pytest.approx(value(0.4))
    assert near["error"] == pytest.approx(BEST - value(0.4))
    assert near["error_at_most"] == pytest.approx(BEST - value(0.4))
    assert row(comparison, "exact")["error"] == 0.0
    assert row(comparison, "limit")["error"] == pytest.approx(BEST - value(0.3))


def test_the_proved_bound_on_the_gap_does_not_look_at_other_methods(comparison):
    near = row(comparison, "near")
    assert near["error"] <= near["bound"] <= 4.0 - value(0.4) + 1e-9  # at worst the joint optimum, 4  [B8.1]
    alone = so.compare([game()], {"near": METHODS["near"]})
    assert row(alone, "near")["bound"] == near["bound"]
    assert row(comparison, "exact")["bound"] == pytest.approx(0.0, abs=1e-9)  # its own search proved it


def test_the_certificate_alone_bounds_the_exact_value():
    found = so.compare([game()], {"near": Fixed(0.4)}).to_json()["problems"]["commit-2x2"]
    assert found["lower"] == pytest.approx(value(0.4))
    assert BEST - 1e-9 <= found["upper"] <= 4.0 + 1e-9  # value plus proved gap  [B8]


def test_an_uncertified_answer_is_no_reference(comparison):
    assert comparison.to_json()["problems"]["commit-2x2"]["lower"] == pytest.approx(BEST)
    assert row(comparison, "liar")["value"] is None
    only_liar = so.compare([game()], {"liar": Fixed(0.2, fault="lie", bound=9.0)})
    assert only_liar.to_json()["problems"]["commit-2x2"]["lower"] is None
    assert only_liar.to_json()["problems"]["commit-2x2"]["upper"] is None


def test_an_open_bracket_gives_an_interval_for_the_error():
    comparison = so.compare([game()], {"a": Fixed(0.2), "open": Fixed(0.4, bound=3.45, fault="limit")})
    found = row(comparison, "a")
    assert found["error"] == pytest.approx(0.2)  # a better policy is known
    assert found["error_at_most"] == pytest.approx(0.25)  # and no better one is possible than this
    assert ">=0.2000" in str(comparison)
    assert "<=0.0500" in str(comparison)  # the best policy known
    assert "between 3.4" in comparison.to_json()["problems"]["commit-2x2"]["reference"]


def test_a_value_above_a_proved_bound_turns_the_verdict():
    wrong = so.compare([game()], {"best": Fixed(0.5), "wrong": Fixed(0.4, bound=value(0.4))})
    assert not wrong.good
    assert "VIOLATED" in wrong.verdict
    (violation,) = wrong.violations()
    assert violation["method"] == "wrong"
    assert violation["measured"] == pytest.approx(BEST)
    assert row(wrong, "wrong")["violations"] == 1
    assert "VIOLATED commit-2x2, wrong" in str(wrong)
    assert wrong.to_json()["verdict"]["good"] is False


@pytest.mark.parametrize(("measured", "good"), [(0.5, True), (1.5, False), (math.nan, False)])
def test_examinations_are_held_against_their_bounds(measured, good):
    comparison = so.compare([examined(measured=measured)], {"exact": Fixed(0.5, bound=BEST)})
    assert comparison.good is good
    found = {b["reference"]: b for b in comparison.bounds()}
    assert found["B2.1"]["verdict"] == ("holds" if good else "violated")
    assert found["B4.2"]["verdict"] == "not applicable"
    assert found["B4.2"]["because"] == "modulus < 1: no, it is 3.42"
    assert found["B4.2"]["remedy"] == "a higher temperature"
    json.dumps(comparison.to_json(), allow_nan=False)


def test_failures_say_why_what_helps_and_how_to_repeat(comparison):
    found = {f["method"]: f for f in comparison.failures() if f["seed"] == 1}
    assert set(found) == {"refused", "broken", "limit", "none", "liar"}
    assert found["refused"]["code"] == "leader-moves-state"
    assert "Exact(leader=" in found["refused"]["remedy"]
    assert "(s, b) = (0, 0)" in found["refused"]["reason"]
    assert "boom" in found["broken"]["reason"]
    assert found["broken"]["python"] == "import stackopt; print(stackopt.solve(problems['commit-2x2'], Fixed(fault='raise'), seed=1))"
    assert "not confirm" in found["liar"]["reason"]
    traced = next(c for c in comparison.cells if c["method"] == "broken")["failure"]["traceback"]
    assert traced[-1].startswith("toys.py:")


def test_weak_rows_compare_with_the_weak_exact_value():
    comparison = so.compare([game()], {"strong": Fixed(0.5, bound=BEST), "weak": Fixed(0.4, concept="weak")})
    found = row(comparison, "weak")
    assert found["target"] == "weak"
    assert found["value"] == pytest.approx(value(0.4))
    # at one half the follower is indifferent: its weak value is 1.5, so the best weak value known is that of 0.4
    assert comparison.to_json()["problems"]["commit-2x2"]["weak_lower"] == pytest.approx(value(0.4))
    assert found["error_at_most"] == pytest.approx(BEST - value(0.4))


def test_seeds_are_summarised(comparison):
    assert row(comparison, "near")["seeds"] == row(comparison, "near")["agreeing"] == 2
    assert row(comparison, "near")["value_low"] == row(comparison, "near")["value_high"] == pytest.approx(value(0.4))
    assert row(comparison, "broken")["finished"] == 0


def test_the_first_line_is_the_verdict(comparison):
    lines = str(comparison).splitlines()
    assert lines[0] == comparison.verdict
    assert lines[0] == "Comparison: 1 problem, 7 methods, 2 seeds: 4 of 14 cells certified, no bound violated"
    assert max(map(len, lines[1:])) <= 81
    assert any(line.split()[:3] == ["refused", "REFUSED", "-"] for line in lines)
    assert "every measured error is within its bound" in str(comparison)


def test_long_names_are_cut_to_the_width():
    methods = {"a method with a name that goes on and on for much longer than a terminal is wide " * 2: Fixed()}
    assert max(map(len, str(so.compare([game()], methods)).splitlines()[1:])) <= 81


def test_html_for_a_notebook():
    html5lib = pytest.importorskip("html5lib")
    comparison = so.compare({"<script>": game()}, {"exact": Fixed(0.5, bound=BEST), "a & b": Fixed(0.4, temperature=0.1)})
    text = comparison._repr_html_()
    html5lib.HTMLParser(strict=True).parse("<!doctype html><title>x</title>" + text)
    assert "<script>" not in text
    assert "a &amp; b" in text
    assert f"✓ {comparison.verdict}" in text
    many = so.compare([game()], {f"m{i}": Fixed(0.4) for i in range(60)})
    assert "10 more rows" in many._repr_html_()


def test_json_round_trip(comparison):
    data = json.loads(json.dumps(comparison.to_json(), allow_nan=False))
    again = so.Comparison.from_json(data)
    assert again.to_json() == comparison.to_json()
    assert str(again) == str(comparison)
    with pytest.raises(InvalidStore, match=r"\[store\]"):
        so.Comparison.from_json({"schema": "other/1"})
    with pytest.raises(InvalidStore, match="problems"):
        so.Comparison.from_json({"schema": data["schema"]})
    with pytest.raises(InvalidStore, match="is missing in it"):
        so.Comparison.from_json({**data, "cells": [{"problem": "x"}]})


def test_the_sample_of_the_schema_has_the_keys_of_the_real_thing(comparison):
    from pathlib import Path

    sample = json.loads((Path(__file__).parents[1] / "golden" / "comparison_sample.json").read_text())
    real = json.loads(json.dumps(comparison.to_json()))
    assert set(sample) == set(real)
    for part in ("rows", "bounds", "failures", "cells"):
        assert set(sample[part][0]) == set(real[part][0]), part
    assert set(sample["problems"]["commit-2x2"]) == set(real["problems"]["commit-2x2"])
    assert set(sample["provenance"]) == set(real["provenance"])


def test_save_writes_tables_and_json(comparison, tmp_path):
    written = comparison.save(tmp_path / "new" / "folder")
    names = {p.name for p in written}
    assert {"results.csv", "bounds.csv", "comparison.json"} <= names
    lines = (tmp_path / "new" / "folder" / "results.csv").read_text().splitlines()
    assert lines[0].startswith("problem,method,status,agreeing,certified")
    assert len(lines) == 1 + len(METHODS)
    assert so.Comparison.open(tmp_path / "new" / "folder").to_json() == comparison.to_json()
    assert not list((tmp_path / "new" / "folder").glob(".*"))


def test_unwritable_output(comparison, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InvalidOutput, match=r"\[output\]"):
        comparison.save(tmp_path / "file")


def test_unreadable_comparison(tmp_path):
    with pytest.raises(InvalidStore, match="absent"):
        so.Comparison.open(tmp_path / "absent")
    (tmp_path / "comparison.json").write_text("{ no json")
    with pytest.raises(InvalidStore, match=r"comparison\.json"):
        so.Comparison.open(tmp_path)


def test_frame(comparison):
    pytest.importorskip("pandas")
    frame = comparison.frame()
    assert list(frame["method"]) == list(METHODS)


def test_frame_without_pandas(comparison, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(so.errors.MissingPackage, match=r"\[package\].*pandas"):
        comparison.frame()


def test_map_is_the_whole_distribution_interface(comparison):
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        parallel = so.compare([game()], METHODS, seeds=(0, 1), map=pool.map)
    timings = ("cpu_seconds", "seconds")
    for a, b in zip(parallel.rows(), comparison.rows()):
        assert {k: v for k, v in a.items() if k not in timings} == {k: v for k, v in b.items() if k not in timings}
    assert parallel.to_json()["provenance"]["parallel"] is True


def test_a_killed_worker_costs_its_cells_only():
    methods = {"first": Fixed(0.5, bound=BEST), "killed": Fixed(fault="die"), "after": Fixed(0.4)}
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        comparison = so.compare([game()], methods, map=pool.map)
    assert [c["status"] for c in comparison.cells][:2] == ["OPTIMAL", "FAILED"]
    assert "terminated" in comparison.failures()[0]["reason"]


def test_a_map_that_returns_too_little_is_noticed():
    comparison = so.compare([game()], METHODS, map=lambda f, cells: [f(c) for c in list(cells)[:2]])
    assert [c["status"] for c in comparison.cells].count("FAILED") == len(METHODS) - 2


def test_methods_can_differ_by_problem():
    games = [game("a"), game("b", shift=1.0)]
    by_name = so.compare(games, {"a": {"x": Fixed(0.5)}, "b": {"y": Fixed(0.4), "z": Fixed(0.3)}})
    assert [(c["problem"], c["method"]) for c in by_name.cells] == [("a", "x"), ("b", "y"), ("b", "z")]
    by_call = so.compare(games, lambda problem: {problem.name: Fixed()})
    assert [c["method"] for c in by_call.cells] == ["a", "b"]


def test_problems_need_distinct_names_and_no_batch():
    with pytest.raises(InvalidGame, match=r"\[labels\].*problems"):
        so.compare([game(), game()], METHODS)
    with pytest.raises(InvalidGame, match=r"\[batch\]"):
        so.compare([so.StackelbergGame.stack([game(), game()])], METHODS)
    with pytest.raises(InvalidMethod, match=r"\[setting\].*retry"):
        so.compare([game()], METHODS, retry="some")


def test_progress_reaches_the_callback():
    seen = []
    so.compare([game()], {"a": Fixed(), "b": Fixed(0.4)}, report=seen.append)
    outer = [p for p in seen if p.stage.startswith("cells")]
    assert [(p.done, p.total) for p in outer] == [(0, 2), (1, 2), (2, 2)]
    assert [p.stage for p in seen].count("toy") == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(["/usr/bin/stackopt", "compare", "--out", "/home/me/x"], "stackopt compare --out x"),
     (["/x/ipykernel_launcher.py", "-f", "/home/me/k.json"], ""), ([], "")],
)
def test_the_command_is_kept_without_folders(arguments, told, monkeypatch):
    import sys

    monkeypatch.setattr(sys, "argv", arguments)
    assert so.compare([game()], {"a": Fixed()}).provenance["command"] == told


def test_interrupt_without_a_store_says_so():
    with pytest.raises(so.Interrupted, match="1 of 3 cells were finished and are lost"):
        so.compare([game()], {"a": Fixed(), "stop": Fixed(fault="interrupt"), "c": Fixed(0.4)})


def test_keys_tell_problem_method_and_seed_apart():
    base = Cell("n", "m", game(), Fixed(), 0)
    keys = {base.key, Cell("n", "m", game(shift=1.0), Fixed(), 0).key, Cell("n", "m", game(), Fixed(0.4), 0).key, Cell("n", "m", game(), Fixed(), 1).key}
    assert len(keys) == 4
    assert Cell("other", "label", game("another name"), Fixed(), 0).key == base.key


def test_a_change_of_the_code_is_another_key(monkeypatch):
    key = Cell("n", "m", game(), Fixed(), 0).key
    monkeypatch.setattr(cells, "code_digest", lambda: "changed")
    assert Cell("n", "m", game(), Fixed(), 0).key != key


def test_methods_that_cannot_be_named_are_refused():
    class Opaque:
        def __init__(self):
            self.secret = object()

    with pytest.raises(InvalidMethod, match=r"\[setting\].*secret"):
        plain.settings(Opaque())


def test_plain_data():
    found = plain.plain({"a": np.float64(1.5), "n": math.nan, "i": math.inf, "m": -math.inf, "x": np.arange(2), "t": (1, np.int64(2)), "b": np.True_})
    assert found == {"a": 1.5, "n": None, "i": "inf", "m": "-inf", "x": [0, 1], "t": [1, 2], "b": True}
    json.dumps(found, allow_nan=False)


def test_history_is_thinned_with_both_ends():
    kept, step = plain.thinned({"r": np.arange(1000.0), "matrix": np.zeros((2, 2))})
    assert list(kept) == ["r"]
    assert step == 3
    assert kept["r"][0] == 0.0
    assert kept["r"][-1] == 999.0
    assert len(kept["r"]) <= plain.HISTORY_POINTS


def test_call_leaves_out_defaults():
    assert plain.call(Fixed(0.25, fault="limit")) == "Fixed(up=0.25, fault='limit')"


def test_evaluate_returns_policies():
    record, policies = evaluate(Cell("n", "m", game(), Fixed(0.25), 0))
    assert record["values"]["strong"] == pytest.approx(value(0.25))
    np.testing.assert_allclose(policies["leader_policy"], [[0.25, 0.75]])
