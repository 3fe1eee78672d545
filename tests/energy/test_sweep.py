"""Sweeps: every cell once, whatever dies on the way."""

import dataclasses
import json
import os
import pickle
import signal
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
from studies import TOML, write

import stackopt as so
from stackopt.energy.studies.grid import grid
from stackopt.energy.studies.run import solve
from stackopt.energy.studies.study import read_study
from stackopt.energy.studies.sweep import SweepCell, sweep


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return read_study(write(tmp_path_factory.mktemp("town"), TOML + "[benchmarks.given]\nbuy = 0.25\nneutral = false\n"))


def cells(study, count):
    """`count` different cells of about a tenth of a second."""
    return [SweepCell(f"elasticity {0.1 + 0.02 * k:.2f}", study.changed(population__elasticity=0.1 + 0.02 * k), "flat_nb") for k in range(count)]


def figures(found):
    """Everything but what the computation took."""
    return {row[0]: row[3:] for row in found.table.rows}


class Dies:
    """A map whose workers finish some cells and are killed at the next one."""

    def __init__(self, after):
        self.after = after

    def __call__(self, function, todo):
        for k, cell in enumerate(todo):
            if k == self.after:
                raise ChildProcessError("killed")
            yield function(cell)


def test_a_sweep_says_what_single_runs_say(study, tmp_path):
    found = sweep([SweepCell("today", study, "flat_nem"), SweepCell("mine", study, "given"), SweepCell("best", study, starts=1)], tmp_path)
    alone = solve(study, "flat_nem")
    assert found.table.rows[0][3] == "CONVERGED"
    assert found.table.column("cost")[0] == alone.criteria.cost
    assert found.table.column("incidence Q1")[0] == alone.criteria.incidence[0]
    assert found.table.column("cost")[2] < alone.criteria.cost  # a design does better than today's rates
    assert "3 cells, 3 converged; 3 computed now" in str(found)


def test_content_makes_the_key(study):
    first = SweepCell("a", study, "flat_nb")
    assert first.key == SweepCell("b", pickle.loads(pickle.dumps(study)), "flat_nb").key == SweepCell("c", study.changed(), "flat_nb").key
    others = [
        SweepCell("a", study, "flat_nem"), SweepCell("a", study), SweepCell("a", study, gap=0.05), SweepCell("a", study, seed=1),
        SweepCell("a", study.changed(population__elasticity=0.21), "flat_nb"), SweepCell("a", study.changed(market__slope=0.05), "flat_nb"),
        SweepCell("a", study.changed(revenue__required=3.1), "flat_nb"), SweepCell("a", study.changed(response__temperature=0.01), "flat_nb"),
    ]  # fmt: skip
    keys = [first.key, *(c.key for c in others)]
    assert len(set(keys)) == len(keys)


def test_another_version_computes_its_own(study, tmp_path, monkeypatch):
    cell = SweepCell("a", study, "flat_nb")
    assert sweep([cell], tmp_path).computed == 1
    assert sweep([cell], tmp_path).computed == 0
    before = cell.key
    monkeypatch.setattr(so, "__version__", "0.1.1.dev0")
    assert cell.key != before
    assert sweep([cell], tmp_path).computed == 1


def test_what_is_varied_is_a_column_and_one_content_is_computed_once(study, tmp_path):
    seen = []
    some = [SweepCell(f"care {c}", study.changed(benchmarks__care=c), "flat_nb", varied={"care": c}) for c in (0.1, 0.2)]
    some = [dataclasses.replace(c, study=study) for c in some]  # what is varied has no part in the content here
    found = sweep([*some, some[0]], tmp_path, report=seen.append)
    assert found.computed == 1
    assert found.table.column("care") == [0.1, 0.2]
    assert len(set(found.table.column("key"))) == 1
    assert [(p.done, p.total) for p in seen] == [(1, 1)]


def test_what_is_there_is_not_computed_again(study, tmp_path):
    some = cells(study, 3)
    whole = sweep(some, tmp_path / "whole")
    cut = sweep(some, tmp_path / "cut", map=Dies(after=2))
    assert [label for label, _ in cut.missing] == [some[2].label]
    assert "ChildProcessError: killed" in cut.missing[0][1]
    assert "missing" in str(cut)
    before = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "cut").glob("*.json")}
    again = sweep([*some, *some], tmp_path / "cut")  # twice the same cells
    after = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "cut").glob("*.json")}
    assert again.computed == 1
    assert len(again.table.rows) == 3
    assert all(after[name] == at for name, at in before.items())  # immutable
    assert figures(again) == figures(whole)
    assert sweep(some, tmp_path / "cut").computed == 0


def test_failures_are_rows_without_figures(study, tmp_path):
    poor = SweepCell("too much", study.changed(revenue__required=500.0), "flat_nb")
    bad = SweepCell("no such tariff", study, "flat_nowhere")
    found = sweep([poor, bad], tmp_path)
    assert found.table.rows[0][3] == "INFEASIBLE"
    assert found.table.column("cost") == [None]
    assert [label for label, _ in found.missing] == ["no such tariff"]
    assert "flat_nowhere" in found.missing[0][1]
    with pytest.raises(so.InvalidStudy) as caught:
        sweep([], tmp_path)
    assert caught.value.code == "setting-value"


def test_a_damaged_file_is_named(study, tmp_path):
    cell = cells(study, 1)
    sweep(cell, tmp_path)
    path = next(tmp_path.glob("*.json"))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(so.InvalidStore) as caught:
        sweep(cell, tmp_path)
    assert caught.value.code == "store"
    assert path.name in str(caught.value)


def test_a_grid_is_the_product_of_settings_and_tariffs(study):
    found = grid(study, {"population.elasticity": [0.1, 0.2], "market.slope": [0.05]}, ["flat_nb", "given"], design=True)
    assert [c.label for c in found[:3]] == [f"elasticity 0.1, slope 0.05: {what}" for what in ("flat_nb", "given", "designed")]
    assert [(c.study["population", "elasticity"], c.tariff) for c in found] == [(e, t) for e in (0.1, 0.2) for t in ("flat_nb", "given", None)]
    assert all(c.study.market.slope == 0.05 and c.varied["market.slope"] == 0.05 for c in found)
    assert len({c.key for c in found}) == 6
    assert grid(study, {}, ["flat_nb"])[0].key == SweepCell("a", study, "flat_nb").key
    assert ("market", "slope") in found[0].study.given


@pytest.mark.parametrize(
    ("vary", "code", "said"),
    [
        ({"market.slop": [1.0]}, "study-key", "did you mean `market.slope`?"),
        ({"nowhere.at_all": [1.0]}, "study-key", "prints every setting"),
        ({"market.slope": [0.05, -1.0]}, "setting-value", "a number of at least 0"),
        ({"market.voll": [500.0]}, "setting-value", "left out with kind = 'linear'"),
        ({"tariff.periods": [{"day": [0, 24]}]}, "setting-value", "tariffs of its own"),
    ],
)  # fmt: skip
def test_settings_of_a_grid_are_checked_as_those_of_a_file(study, vary, code, said):
    with pytest.raises(so.InvalidStudy) as caught:
        grid(study, vary, ["flat_nb"])
    assert caught.value.code == code
    assert said in str(caught.value)


def kill_one_when_some_are_done(folder, pids, done=1):
    """Kill the first of the processes as soon as some cells are finished; its number."""
    deadline = time.monotonic() + 60.0
    while time.monotonic() < deadline:
        if len(list(folder.glob("*.json"))) >= done:
            victim = pids()[0]
            os.kill(victim, signal.SIGKILL)
            return victim
        time.sleep(0.005)
    raise AssertionError("no cell finished within a minute")


def test_a_pool_with_a_killed_worker_loses_no_finished_cell(study, tmp_path):
    some = cells(study, 8)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:

        def through(function, todo):
            answers = pool.map(function, todo)
            kill_one_when_some_are_done(tmp_path, lambda: list(pool._processes))
            return answers

        broken = sweep(some, tmp_path, map=through)
    finished = {p.stem for p in tmp_path.glob("*.json")}
    assert broken.missing  # the pool does not recover
    assert len(broken.table.rows) == len(finished) >= 1
    assert "BrokenProcessPool" in broken.missing[0][1]
    again = sweep(some, tmp_path)
    assert again.computed == len(some) - len(finished)
    assert not again.missing
    assert figures(again) == figures(sweep(some, tmp_path / "alone"))


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_with_a_killed_worker_loses_nothing(study, tmp_path):
    distributed = pytest.importorskip("distributed")
    some = cells(study, 12)
    folder = tmp_path / "cluster"
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50) as cluster,
        distributed.Client(cluster) as client,
    ):
        killed = []

        def through(function, todo):
            futures = client.map(function, todo)
            first = client.run(os.getpid)

            def busy():
                return [first[address] for address, tasks in client.processing().items() if tasks and address in first] or list(first.values())

            killed.append(kill_one_when_some_are_done(folder, busy))
            return futures

        found = sweep(some, folder, map=through)
        workers = set(client.run(os.getpid).values())
    assert killed[0] not in workers
    assert not found.missing
    assert [row[0] for row in found.table.rows] == [c.label for c in some]
    assert len(list(folder.glob("*.json"))) == len(some) == found.computed
    writers = {json.loads(p.read_bytes())["cell"]["stats"]["process"] for p in folder.glob("*.json")}
    assert os.getpid() not in writers  # real worker processes did the work
    assert figures(found) == figures(sweep(some, tmp_path / "alone"))  # to the last digit
