"""Integer followers on the instances of coin-or/MibS: ``python -m benchmarks.bilevel_integer FOLDER``.

FOLDER holds pairs of MPS and AUX files and an ``index.csv`` with a line for each: its name, its optimum and the seconds that MibS took on
one thread. Those seconds were measured before, on another day if not on another machine: the ratios are read with that in mind. Each
instance runs in a fresh process with one thread; reading the files, the certificate and the look at ties are counted, importing Python
packages is not; ``search_s`` is the search alone, and a loaded machine stretches processor seconds less. The folder can also be named by
the environment variable STACKOPT_MIBS_INSTANCES.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.bilevel import about, in_process
from benchmarks.speed import table

#: Values are integers in every instance; this is how far a computed one may be off.
CLOSE = 1e-6


def index(folder: Path) -> list[dict[str, str]]:
    """The lines of ``index.csv`` whose files are there."""
    with (folder / "index.csv").open(encoding="utf-8", newline="") as file:
        return [line for line in csv.DictReader(file) if (folder / f"{line['name']}.mps").exists()]


def solved(path: str, limit: float) -> dict[str, Any]:
    """Read and solve one instance in this process."""
    import stackopt as so

    so.solve(so.catalog.case("mibs_generalExample").program, so.Exact(time_limit=5.0))  # loads what is needed
    wall, cpu = time.perf_counter(), time.process_time()
    solution = so.solve(so.read(path), so.Exact(time_limit=limit))
    return {
        "status": str(solution.status).lower() if not solution.status.success or solution.certified else "not certified",
        "value": float(solution.value) if solution.candidate is not None else math.nan,
        "bound": float(solution.bound.value) if solution.bound is not None else math.nan,
        "by": solution.bound.reference if solution.bound is not None else "",
        "nodes": int(solution.stats.get("nodes", 0)),
        "search_s": float(solution.stats.get("seconds", math.nan)),
        "seconds": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
    }


def verdict(found: dict[str, Any], optimum: float) -> str:
    """``proved``, ``wrong`` or how it ended, against the optimum of the index."""
    value, bound = found.get("value", math.nan), found.get("bound", math.nan)
    room = CLOSE * max(1.0, abs(optimum))
    if found["status"] == "optimal":
        return "proved" if abs(value - optimum) <= room else "wrong"
    # the instances minimise: no checked point lies below the optimum, no bound above it
    if value < optimum - room or bound > optimum + room or found["status"] == "infeasible":
        return "wrong"
    return str(found["status"])


def family(name: str) -> str:
    """``K5020W01.KNP`` belongs to K5020, ``2AP05-1`` to 2AP05, ``int0sum_i0_60`` to int0sum; the rest to other."""
    found = re.match(r"(2AP05|[FK]50\d0|int0sum)", name)
    return found.group(1) if found else "other"


def compare(folder: Path, limit: float, names: Sequence[str] = (), *, apart: bool = True) -> list[dict[str, Any]]:
    """One row for each instance."""
    rows = []
    for line in index(folder):
        if names and not any(line["name"].startswith(name) for name in names):
            continue
        path, patience = str(folder / f"{line['name']}.mps"), 60.0 + 2.0 * limit
        found = in_process(solved, (path, limit), patience) if apart else solved(path, limit)
        if isinstance(found, str):
            found = {"status": found, "value": math.nan, "bound": math.nan, "by": "", "nodes": 0, "search_s": patience, "seconds": patience, "cpu_s": math.nan}
        optimum, theirs = float(line["optimum"]), float(line["mibs_seconds"])
        rows.append(
            {"instance": line["name"], "optimum": optimum, "verdict": verdict(found, optimum), "value": found["value"], "bound": found["bound"]}
            | {key: found[key] for key in ("by", "nodes", "search_s", "seconds", "cpu_s")}
            | {"mibs_s": theirs, "mibs_closed": line["status"] == "MibS optimal", "ours/mibs": found["seconds"] / max(theirs, 0.005)}
        )
    return rows


def means(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Geometric means by family, over the instances that MibS closed; a search that we did not finish counts with its time so far."""
    found = []
    for name in [*dict.fromkeys(family(row["instance"]) for row in rows), "all"]:
        of = [row for row in rows if name in ("all", family(row["instance"]))]
        closed = [row for row in of if row["mibs_closed"]]
        logs = [math.log(row["ours/mibs"]) for row in closed]
        searches = [math.log(max(row["search_s"], 1e-4) / max(row["mibs_s"], 0.005)) for row in closed]
        cpu = [math.log(max(row["cpu_s"], 1e-4) / max(row["mibs_s"], 0.005)) for row in closed if row["cpu_s"] > 0]
        found.append(
            {
                "family": name,
                "instances": len(of),
                "proved": sum(row["verdict"] == "proved" for row in of),
                "wrong": sum(row["verdict"] == "wrong" for row in of),
                "closed_by_mibs": len(closed),
                "ours/mibs": math.exp(sum(logs) / len(logs)) if logs else math.nan,
                "processor/mibs": math.exp(sum(cpu) / len(cpu)) if cpu else math.nan,
                "search/mibs": math.exp(sum(searches) / len(searches)) if searches else math.nan,
                "slowest_s": max((row["seconds"] for row in of), default=math.nan),
            }
        )
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bilevel_integer", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=os.environ.get("STACKOPT_MIBS_INSTANCES"), help="with MPS and AUX pairs and index.csv")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for each search")
    parser.add_argument("--names", nargs="+", default=[], help="only instances whose names begin so")
    parser.add_argument("--json", metavar="FILE", help="also write the rows to this file")
    chosen = parser.parse_args(arguments)
    if chosen.folder is None or not (Path(chosen.folder) / "index.csv").exists():
        parser.error("name the folder of the instances; it has an index.csv")
    print(about(), flush=True)
    rows = compare(Path(chosen.folder), chosen.limit, chosen.names)
    print(table("integer followers: our seconds over those of MibS 1.2 in the index (0.01 s is its least)", rows))
    print(table("geometric means over the instances that MibS closed", means(rows)))
    print(about())
    if chosen.json:
        with open(chosen.json, "w", encoding="utf-8") as file:
            json.dump({"instances": rows, "means": means(rows)}, file, indent=1, default=float)


if __name__ == "__main__":
    main()
