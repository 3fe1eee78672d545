"""The store: whole files or none, resume without recomputing, every unreadable file named."""

import json
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

import stackopt as so
from stackopt.comparison import store as store_module
from stackopt.comparison.cells import Cell, evaluate
from stackopt.comparison.files import write_file
from stackopt.comparison.store import Store
from stackopt.errors import InvalidStore
from tests.comparison.toys import BEST, Fixed, game


def calls(log):
    return log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def methods(tmp_path):
    log = str(tmp_path / "log")
    return {"exact": Fixed(0.5, bound=BEST, log=log), "near": Fixed(0.4, log=log), "refused": Fixed(fault="refuse", log=log),
            "broken": Fixed(0.1, fault="raise", log=log), "limit": Fixed(0.3, fault="limit", log=log)}


def test_a_second_run_computes_nothing(tmp_path, methods):
    first = so.compare([game()], methods, seeds=(0, 1), store=tmp_path / "runs")
    done = calls(tmp_path / "log")
    assert len(done) == 8  # the refused ones never run
    second = so.compare([game()], methods, seeds=(0, 1), store=tmp_path / "runs")
    assert calls(tmp_path / "log") == done
    assert all(c["cached"] for c in second.cells)
    assert [{**c, "cached": False} for c in second.cells] == list(first.cells)
    assert second.to_json()["provenance"]["started"] is None or second.to_json()["provenance"]["started"] >= first.to_json()["provenance"]["started"]
    assert "10 cells cached" in str(second)


def test_only_what_changed_is_computed(tmp_path, methods):
    so.compare([game()], methods, store=tmp_path / "runs")
    done = len(calls(tmp_path / "log"))
    changed = {**methods, "near": Fixed(0.45, log=methods["near"].log)}
    so.compare([game()], changed, store=tmp_path / "runs")
    assert calls(tmp_path / "log")[done:] == ["0.45 0"]


def test_stored_answers_carry_the_names_of_the_new_comparison(tmp_path):
    so.compare({"old": game()}, {"old label": Fixed(0.4)}, store=tmp_path)
    again = so.compare({"new": game("x")}, {"new label": Fixed(0.4)}, store=tmp_path)
    assert (again.cells[0]["problem"], again.cells[0]["method"], again.cells[0]["cached"]) == ("new", "new label", True)


def test_interrupt_keeps_what_is_finished_and_the_next_call_continues(tmp_path, methods):
    stopped = {"exact": methods["exact"], "near": methods["near"], "stop": Fixed(0.2, fault="interrupt")}
    with pytest.raises(so.Interrupted, match=rf"2 of 3 cells stored in {tmp_path}/runs/\. Run the same call again to continue\."):
        so.compare([game()], stopped, store=tmp_path / "runs")
    assert isinstance(so.Interrupted("x"), KeyboardInterrupt)
    assert len(list((tmp_path / "runs").glob("*.json"))) == 2
    before = calls(tmp_path / "log")
    comparison = so.compare([game()], {**stopped, "stop": Fixed(0.2)}, store=tmp_path / "runs")
    assert calls(tmp_path / "log") == before
    assert [c["cached"] for c in comparison.cells] == [True, True, False]


def test_retry_failed_computes_failures_and_limits_again(tmp_path, methods):
    so.compare([game()], methods, store=tmp_path / "runs")
    done = len(calls(tmp_path / "log"))
    again = so.compare([game()], methods, store=tmp_path / "runs", retry="failed")
    assert sorted(calls(tmp_path / "log")[done:]) == ["0.1 0", "0.3 0"]
    assert {c["method"]: c["cached"] for c in again.cells}["refused"] is True
    so.compare([game()], methods, store=tmp_path / "runs", retry="all")
    assert len(calls(tmp_path / "log")) == done + 2 + 4


FOREIGN = (b'{"schema": "someone-else/3"}', b'{"schema": "stackopt.cell/1", "cell": {"key": "other"}, "problem": {}}')


@pytest.mark.parametrize("content", [b"{ not json", b"", b"[]", *FOREIGN])
def test_an_unreadable_cell_is_named_and_never_dropped(tmp_path, methods, content):
    so.compare([game()], methods, store=tmp_path / "runs")
    victim = Store(tmp_path / "runs").path(Cell("p", "m", game(), methods["near"], 0).key)
    victim.write_bytes(content)
    with pytest.raises(InvalidStore, match=r"\[store\]") as caught:
        so.compare([game()], methods, store=tmp_path / "runs")
    assert victim.name in str(caught.value)
    assert 'retry="failed"' in str(caught.value)
    with pytest.raises(InvalidStore):
        so.Comparison.open(tmp_path / "runs")
    done = len(calls(tmp_path / "log"))
    repaired = so.compare([game()], methods, store=tmp_path / "runs", retry="failed")
    assert "0.4 0" in calls(tmp_path / "log")[done:]
    assert repaired.rows()[1]["status"] == "CONVERGED"
    assert json.loads(victim.read_bytes())["cell"]["key"] == victim.stem


@pytest.mark.parametrize(("part", "name"), [("cell", "values"), ("cell", "status"), ("cell", "provenance"), ("problem", "fingerprint")])
def test_a_cell_that_lacks_something_is_named(tmp_path, part, name):
    so.compare([game()], {"near": Fixed(0.4)}, store=tmp_path)
    (file,) = tmp_path.glob("*.json")
    whole = json.loads(file.read_text())
    for damaged in ({k: v for k, v in whole[part].items() if k != name}, {**whole[part], name: 5}):
        file.write_text(json.dumps({**whole, part: damaged}))
        for use in (lambda: so.compare([game()], {"near": Fixed(0.4)}, store=tmp_path), lambda: so.Comparison.open(tmp_path)):
            with pytest.raises(InvalidStore, match=rf"{file.name}: its .*{name} is missing or damaged"):
                use()


def test_missing_policies_are_noticed(tmp_path):
    so.compare([game()], {"near": Fixed(0.4)}, store=tmp_path)
    (npz,) = tmp_path.glob("*.npz")
    npz.unlink()
    with pytest.raises(InvalidStore, match=npz.name):
        so.compare([game()], {"near": Fixed(0.4)}, store=tmp_path)


def test_policies_come_back(tmp_path):
    comparison = so.compare([game()], {"near": Fixed(0.4)}, store=tmp_path)
    policies = Store(tmp_path).policies(comparison.cells[0]["key"])
    np.testing.assert_allclose(policies["leader_policy"], [[0.4, 0.6]])
    for content in (b"no archive", b""):
        (tmp_path / "bad.npz").write_bytes(content)
        with pytest.raises(InvalidStore, match=r"bad\.npz"):
            Store(tmp_path).policies("bad")


def test_a_folder_that_cannot_be_written_is_noticed_before_any_work(tmp_path, methods):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InvalidStore, match="written"):
        so.compare([game()], methods, store=tmp_path / "file")
    assert not calls(tmp_path / "log")


def test_a_read_only_store_can_still_be_read(tmp_path, methods, monkeypatch):
    so.compare([game()], methods, store=tmp_path / "runs")

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(store_module, "write_file", refuse)
    monkeypatch.setattr(Store, "require_writable", lambda self: refuse())
    again = so.compare([game()], methods, store=tmp_path / "runs")
    assert all(c["cached"] for c in again.cells)


def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InvalidStore, match="No space left") as caught:
        so.compare([game()], {"near": Fixed(0.4)}, store=tmp_path / "runs")
    assert "has room" in str(caught.value)
    assert list((tmp_path / "runs").iterdir()) == []


def test_an_interrupt_while_writing_leaves_nothing_half_written(tmp_path, monkeypatch):
    def stop(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", stop)
    with pytest.raises(KeyboardInterrupt):
        write_file(tmp_path / "x.json", b"{}")
    assert list(tmp_path.iterdir()) == []


def _write_many(folder):
    for _ in range(20):
        evaluate(Cell("p", "m", game(), Fixed(0.4), 0, store=folder))
    return True


def test_two_processes_may_finish_the_same_cell(tmp_path):
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        assert all(pool.map(_write_many, [str(tmp_path)] * 2))
    assert len(list(Store(tmp_path))) == 1
    assert {p.suffix for p in tmp_path.iterdir()} == {".json", ".npz"}


def test_workers_write_their_own_cells(tmp_path, methods):
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        so.compare([game()], methods, map=pool.map, store=tmp_path / "runs")
    assert len(Store(tmp_path / "runs").files()) == len(methods)


def test_cells_of_a_worker_with_another_disk_are_stored_here(tmp_path):
    def elsewhere(function, cells):
        return [function(Cell(c.problem_name, c.method_label, c.problem, c.method, c.seed, c.about, None)) for c in cells]

    so.compare([game()], {"near": Fixed(0.4)}, map=elsewhere, store=tmp_path)
    ((cell, _),) = list(Store(tmp_path))
    assert cell["values"]["strong"] == pytest.approx(3.4)


def test_a_comparison_is_rebuilt_from_its_store(tmp_path, methods):
    comparison = so.compare([game(), game("b", shift=1.0)], methods, store=tmp_path)
    again = so.Comparison.open(tmp_path)
    timings = ("cached",)
    assert [{k: v for k, v in r.items() if k not in timings} for r in again.rows()] == [
        {k: v for k, v in r.items() if k not in timings} for r in comparison.rows()
    ]
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidStore, match="holds no finished cell"):
        so.Comparison.open(tmp_path / "empty")


def test_problems_of_one_name_are_kept_apart(tmp_path):
    so.compare([game()], {"near": Fixed(0.4)}, store=tmp_path)
    so.compare([game(shift=1.0)], {"near": Fixed(0.4)}, store=tmp_path)
    rows = so.Comparison.open(tmp_path).rows()
    assert len(rows) == 2
    assert rows[0]["problem"] == "commit-2x2"
    assert rows[1]["problem"].startswith("commit-2x2 ")


def test_the_index_is_rebuilt_from_the_files(tmp_path, methods):
    so.compare([game()], methods, store=tmp_path / "runs")
    lines = (tmp_path / "runs" / "index.csv").read_text().splitlines()
    assert lines[0] == "key,problem,method,seed,status,certified,value,cpu_seconds"
    assert len(lines) == 1 + len(methods)
    (tmp_path / "runs" / ("0" * 64 + ".json")).write_text("garbage")
    Store(tmp_path / "runs").write_index()
    assert "UNREADABLE" in (tmp_path / "runs" / "index.csv").read_text()


def test_temporary_files_of_the_dead_are_swept(tmp_path):
    left, fresh = tmp_path / ".x.json.1.abcd.tmp", tmp_path / ".y.json.2.abcd.tmp"
    left.write_text("")
    fresh.write_text("")
    os.utime(left, (0, 0))
    Store(tmp_path).require_writable()
    assert [p.name for p in tmp_path.iterdir()] == [fresh.name]
