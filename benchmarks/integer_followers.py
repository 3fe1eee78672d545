"""Integer followers against the seconds recorded with the instances: ``python -m benchmarks.integer_followers --instances DIR``.

DIR holds pairs of MPS and AUX files and ``index.csv`` with the columns name, optimum (or best_found) and mibs_seconds: MibS 1.2, one
thread. Reading the files and importing is not timed, everything after the program is in memory is. Processor seconds are shown too: on a
busy machine they are what a quiet one would need.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.speed import table
from stackopt.bilevel.files import read
from stackopt.exact.integer import integer_followers
from stackopt.solution import Status


def row(directory: Path, entry: dict[str, str], time_limit: float, repeats: int) -> dict[str, Any]:
    """One instance: value, bound, nodes, the best of some repeats, and the ratio to the index."""
    program = read(directory / f"{entry['name']}.mps")
    seconds, processor = math.inf, math.inf
    for _ in range(repeats):
        begun, at = time.perf_counter(), time.process_time()
        found = integer_followers(program, time_limit=time_limit)
        seconds, processor = min(seconds, time.perf_counter() - begun), min(processor, time.process_time() - at)
        if seconds > 2.0:
            break
    wanted = float(entry["optimum"] or entry["best_found"])
    value = math.nan if found.point is None else found.point.claim
    index = float(entry["mibs_seconds"])
    proved = found.status is Status.OPTIMAL and abs(found.bound - value) <= 1e-6 * (1.0 + abs(value))
    return {
        "instance": entry["name"], "method": found.reference, "value": f"{value:g}", "bound": f"{found.bound:g}", "expected": f"{wanted:g}",
        "right": "yes" if proved and abs(value - wanted) <= 1e-6 * (1.0 + abs(wanted)) else "NO", "nodes": found.stats.get("nodes", 0),
        "seconds": seconds, "processor_s": processor, "index_s": index, "ratio": seconds / index, "processor/index": processor / index,
    }  # fmt: skip


def mean(values: list[float]) -> float:
    """Geometric mean."""
    return math.exp(sum(map(math.log, values)) / len(values))


def main() -> None:
    """Print the table and its geometric means; exit with 1 if an instance is not proved at the expected value."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.integer_followers", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--instances", type=Path, required=True, help="directory of MPS and AUX files with index.csv")
    parser.add_argument("--time-limit", type=float, default=60.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=[], help="instances whose names contain one of these")
    chosen = parser.parse_args()
    with open(chosen.instances / "index.csv", newline="", encoding="utf-8") as file:
        entries = [entry for entry in csv.DictReader(file) if not chosen.only or any(part in entry["name"] for part in chosen.only)]
    print(f"Python {platform.python_version()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}, {platform.machine()}\n")
    row(chosen.instances, entries[0], chosen.time_limit, 1)  # imports
    rows = [row(chosen.instances, entry, chosen.time_limit, chosen.repeats) for entry in entries]
    print(table("integer followers, against the index's seconds of MibS", rows))
    for name in ("ratio", "processor/index"):
        print(f"geometric mean of {name}: {mean([r[name] for r in rows]):.2f}")
    sys.exit(0 if all(r["right"] == "yes" for r in rows) else 1)


if __name__ == "__main__":
    main()
