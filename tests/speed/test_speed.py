"""The benchmark functions run on small sizes and compare equal answers. No times are asserted."""

import json
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2]))  # behind the installed package: only `benchmarks` is found here

from benchmarks import accuracy, speed


def test_both_packages_solve_the_same_problem():
    pytest.importorskip("quantecon", reason="the peer comparison needs the extra [peers]")
    rows = speed.dynamic_programming([100], actions=3, repeats=1)
    assert {row["kernel"] for row in rows} == {"random", "grid"}
    assert {row["discount"] for row in rows} == {0.95, 0.99}
    for row in rows:
        assert row["difference"] <= 1e-7
        assert row["soft_error"] <= speed.ACCURACY
        assert row["in_bounds"]


def test_batches_give_the_values_of_single_solves():
    for row in speed.batches(count=5, repeats=1):
        assert row["difference"] <= 1e-7
        assert row["singles/batch"] > 0


def test_memory_is_counted_per_non_zero():
    row = speed.memory_here("grid", 400, 3)
    assert row["non_zeros"] > 400 * 3 * 3
    assert row["solve_bytes_per_nz"] > 0
    assert row["error"] <= 1e-6


def test_rows_print_and_serialise():
    rows = [{"a": 1, "b": 0.25}]
    assert speed.table("title", rows).splitlines() == ["title", "  a     b", "  1  0.25"]
    assert json.loads(json.dumps(rows)) == rows
    assert "(none)" in speed.table("title", [])


def test_ascent_is_never_above_the_exact_value():
    (row,) = accuracy.accuracy(2, temperatures=(0.02,))
    assert row["games"] == 2
    assert -1e-6 <= row["median_%"] <= row["worst_%"] < 20
