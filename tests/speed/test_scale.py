"""The scale benchmark on small sizes: equal answers, limits that are said. No times are asserted."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2]))  # behind the installed package: only `benchmarks` is found here

from benchmarks import scale


@pytest.mark.parametrize("kind", ["random", "grid", "chain"])
def test_every_task_is_solved_to_its_accuracy(kind):
    rows = list(scale.measure("stackopt", kind, 150, 0.99))
    assert [row["task"] for row in rows] == list(scale.TASKS)
    assert all(row["error"] <= 1e-8 for row in rows)
    assert all(row["non_zeros"] > 3 * 100 for row in rows)


@pytest.mark.parametrize(("tool", "module"), [("quantecon", "quantecon"), ("pymdptoolbox", "mdptoolbox")])
def test_peers_solve_the_same_problem(tool, module):
    pytest.importorskip(module, reason="the peer comparison needs the extra [peers]")
    problem = scale.problem("grid", 121, 0.9)
    for task in scale.OFFERS[tool]:
        theirs, ours = (scale.work(name, task, *problem)() for name in (tool, "stackopt"))
        assert abs(theirs - ours).max() <= 2e-8
        assert scale.error(task, *problem, theirs) <= 1e-7


def test_a_process_that_runs_out_of_time_says_so():
    rows, why = scale.run("stackopt", "random", 100, 0.9, seconds=0.01, gib=8.0, tasks=("soft",))
    assert (rows, why) == ([], "more than 0.01 s")


def test_growth_and_ratios_come_from_rows_that_finished():
    def row(tool, states, seconds):
        return {"task": "soft", "kernel": "grid", "tool": tool, "states": states, "seconds": seconds, "mib": 2.0}

    rows = [row("stackopt", 10, 1.0), row("stackopt", 100, 10.0), row("stackopt", 1000, 1000.0), row("quantecon", 10, 3.0)]
    assert scale.growth(rows) == [{"task": "soft", "kernel": "grid", "tool": "stackopt", "from": 100, "to": 1000, "exponent": pytest.approx(2.0)}]
    (ratio,) = scale.compared(rows)
    assert (ratio["tool"], ratio["time/ours"], ratio["memory/ours"]) == ("quantecon", 3.0, 1.0)
