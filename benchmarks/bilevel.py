"""Bilevel programs against peers, in one run: ``python -m benchmarks.bilevel`` (SCIP comes with the extra ``[scip]``).

Ours, SCIP with SOS1 pairs and HiGHS with a big-M of 1e4 on the same arrays, one thread and one process each, every cell in a fresh process,
one after the other. Every answer is checked by re-solving the follower; an
"optimal" whose follower could do better, or that another checked point beats, is counted as wrong. Where a solver reached the limit its
time counts as the limit, and the ratio is marked as a bound.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import platform
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from benchmarks.bilevel_instances import BEST_KNOWN, Instance, market, random_lp, random_qp, toll, transport
from benchmarks.bilevel_peers import ACCEPTED, SOLVERS, Answer, Checked, check, timed
from benchmarks.speed import table

#: Seconds at which incumbents and bounds of unfinished searches are compared.
MOMENTS = (2.0, 5.0, 10.0, 60.0)


def cell(solver: str, instance: Instance, limit: float, moments: Sequence[float] = ()) -> Answer:
    """One solver on one instance in this process, after a tiny instance that loads every library; errors become a status."""
    try:
        SOLVERS[solver](random_lp(3, 0), 5.0)
        return timed(SOLVERS[solver], instance, limit, moments)
    except ImportError as missing:
        return Answer(status=f"missing {missing.name}")
    except Exception as error:
        return Answer(status=f"{type(error).__name__}: {error}".splitlines()[0])


def _child(pipe: Any, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    pipe.send(work(*arguments))


def in_process(work: Callable[..., Any], arguments: tuple[Any, ...], patience: float) -> Any:
    """What `work` returns in a fresh process with one thread; a text if it had to be ended after `patience` seconds, or died."""
    fresh = multiprocessing.get_context("spawn")
    before = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    os.environ.update(dict.fromkeys(before, "1"))
    here, there = fresh.Pipe()
    process = fresh.Process(target=_child, args=(there, work, arguments))  # not a daemon: ours may have processes of its own
    process.start()
    there.close()
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value
    try:
        return here.recv() if here.poll(patience) else f"did not stop within {patience:g} s"
    except EOFError:
        process.join()
        return f"process died, exit code {process.exitcode}"
    finally:
        process.kill()
        process.join()


def isolated(solver: str, instance: Instance, limit: float, moments: Sequence[float] = ()) -> Answer:
    """`cell` in a fresh process, ended if it does not keep to its time."""
    patience = 60.0 + 2.0 * (limit + sum(m for m in moments if m < limit))
    found = in_process(cell, (solver, instance, limit, moments), patience)
    return Answer(status=found, seconds=patience) if isinstance(found, str) else found


def gap(value: float, bound: float) -> float:
    """Between incumbent and bound, in percent of the incumbent's size; infinite without either."""
    return 100.0 * max(value - bound, 0.0) / max(1.0, abs(value)) if math.isfinite(value) and math.isfinite(bound) else math.inf


def judge(answers: dict[str, Answer], checked: dict[str, Checked | None]) -> tuple[dict[str, str], float]:
    """A verdict for each solver, and the best checked value.

    ``proved``: optimal, checked, beaten by nobody. ``wrong``: optimal, but the follower could do better or another checked point is better;
    or a bound above another's checked point. ``limit``: an honest end. Anything else is passed on.
    """
    best = min((c.value for c in checked.values() if c is not None and c.right), default=math.inf)
    verdicts = {}
    for solver, answer in answers.items():
        c, room = checked[solver], ACCEPTED * max(1.0, abs(best)) if math.isfinite(best) else 0.0
        if answer.status == "optimal":
            good = c is not None and c.right and c.value <= best + room and abs(c.value - answer.value) <= room
            verdicts[solver] = "proved" if good else "wrong"
        elif answer.status == "infeasible" or (answer.status == "limit" and answer.bound > best + room):
            verdicts[solver] = "wrong" if math.isfinite(best) else answer.status
        elif answer.status == "limit" and c is not None and not c.right:
            verdicts[solver] = "limit, wrong incumbent"
        else:
            verdicts[solver] = answer.status
    return verdicts, best


def compare(instances: Sequence[Instance], solvers: Sequence[str], limit: float, *, apart: bool = True) -> list[dict[str, Any]]:
    """One row per instance and solver."""
    run = isolated if apart else cell
    rows = []
    for instance in instances:
        answers = {solver: run(solver, instance, limit) for solver in solvers}
        checked = {s: check(instance, a.x, a.y) if a.x is not None and a.y is not None else None for s, a in answers.items()}
        verdicts, best = judge(answers, checked)
        for solver, answer in answers.items():
            rows.append(
                {
                    "instance": instance.name,
                    "pairs": instance.pairs,
                    "solver": solver,
                    "verdict": verdicts[solver],
                    "value": answer.value,
                    "gap_%": gap(answer.value, answer.bound) if verdicts[solver] != "proved" else 0.0,
                    "over_best_%": gap(answer.value, best),
                    "seconds": answer.seconds,
                    "cpu_s": answer.cpu,
                    "nodes": answer.nodes,
                }
            )
    return rows


def ratios(rows: Sequence[dict[str, Any]], limit: float) -> list[dict[str, Any]]:
    """Geometric mean of our time over each peer's, over the instances that at least one of the two proved.

    ``processor`` is the same in processor seconds, which a loaded machine stretches less; less than 0.01 s counts as 0.01.
    """
    found = []
    ours = {row["instance"]: row for row in rows if row["solver"] == "ours"}
    for peer in dict.fromkeys(row["solver"] for row in rows if row["solver"] != "ours"):
        theirs = {row["instance"]: row for row in rows if row["solver"] == peer}
        logs, cpu_logs, we_only, they_only = list[float](), list[float](), 0, 0
        for name, mine in ours.items():
            done = mine["verdict"] == "proved", theirs[name]["verdict"] == "proved"
            if any(done):
                seconds = [max(row["seconds"], 1e-4) if d else max(limit, row["seconds"]) for row, d in zip((mine, theirs[name]), done)]
                logs.append(math.log(seconds[0] / seconds[1]))
                cpu_logs.append(math.log(max(mine["cpu_s"], 0.01) / max(theirs[name]["cpu_s"], 0.01)))
                we_only, they_only = we_only + (not done[1]), they_only + (not done[0])
        mean, cpu_mean = (math.exp(sum(some) / len(some)) if some else math.nan for some in (logs, cpu_logs))
        mark = "=" if we_only == they_only == 0 else "<=" if they_only == 0 else ">=" if we_only == 0 else "~"
        found.append(
            {
                "peer": peer,
                "instances": len(ours),
                "ours_proved": sum(row["verdict"] == "proved" for row in ours.values()),
                "peer_proved": sum(row["verdict"] == "proved" for row in theirs.values()),
                "ours_wrong": sum(row["verdict"] == "wrong" for row in ours.values()),
                "peer_wrong": sum(row["verdict"] == "wrong" for row in theirs.values()),
                "mean": mark,
                "ours/peer": mean,
                "processor": cpu_mean,
            }
        )
    return found


def traces(instances: Sequence[Instance], solvers: Sequence[str], moments: Sequence[float], *, apart: bool = True) -> list[dict[str, Any]]:
    """Incumbent over the best known and gap at each moment, one row per instance and solver; a search that ended early stays there."""
    run = isolated if apart else cell
    rows = []
    for instance in instances:
        answers = {solver: run(solver, instance, max(moments), moments) for solver in solvers}
        checked = {s: check(instance, a.x, a.y) if a.x is not None and a.y is not None else None for s, a in answers.items()}
        verdicts, best = judge(answers, checked)
        best = min(best, BEST_KNOWN.get(instance.name, math.inf))
        for solver, answer in answers.items():
            row: dict[str, Any] = {"instance": instance.name, "best": best, "solver": solver, "verdict": verdicts[solver]}
            for moment, value, bound in answer.trace:
                row[f"U@{moment:g}"] = value
                row[f"over_best_%@{moment:g}"] = gap(value, best)
                row[f"gap_%@{moment:g}"] = gap(value, bound)
                row[f"bound_under_best_%@{moment:g}"] = gap(best, bound)
            rows.append(row)
    return rows


def summary(rows: Sequence[dict[str, Any]], moments: Sequence[float]) -> list[dict[str, Any]]:
    """By solver, at each moment: incumbents found, how far the worst is over the best known, mean gap, mean distance of the bound from the best."""
    found = []
    for moment in moments:
        for solver in dict.fromkeys(row["solver"] for row in rows):
            over, gaps, under = (
                [row.get(f"{what}_%@{moment:g}", math.inf) for row in rows if row["solver"] == solver] for what in ("over_best", "gap", "bound_under_best")
            )
            found.append(
                {
                    "seconds": moment,
                    "solver": solver,
                    "instances": len(over),
                    "incumbents": sum(math.isfinite(value) for value in over),
                    "worst_over_best_%": max(over),
                    "mean_gap_%": sum(gaps) / len(gaps),
                    "mean_bound_under_best_%": sum(under) / len(under),
                }
            )
    return found


def shown(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows for printing: values with seven digits, and without the percentages of each moment, which `summary` has."""
    return [{k: f"{v:.7g}" if k in ("value", "best") or k.startswith("U@") else v for k, v in row.items() if "%@" not in k} for row in rows]


def about() -> str:
    """Versions and the machine's load, which is part of any measurement."""
    known = []
    for package in ("stackopt", "highspy", "pyscipopt", "numpy"):
        try:
            known.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            known.append(f"no {package}")
    load = f"load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "load unknown"
    return f"Python {platform.python_version()}, {', '.join(known)}, {os.cpu_count()} CPUs, {load}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print every table of one run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bilevel", description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[20, 30, 40, 60, 100], help="n of the random LPs; above 40: incumbents and gaps over time")
    parser.add_argument("--seeds", type=int, default=5, help="seeds per size (3 at most above 40)")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for each search")
    parser.add_argument("--families", nargs="+", default=["random", "structured", "qp"], choices=["random", "structured", "qp"])
    parser.add_argument("--solvers", nargs="+", default=["ours", "scip", "big-M"], choices=list(SOLVERS), help="ours-2: in two processes")
    parser.add_argument("--quick", action="store_true", help="one seed of the small sizes, 5 s")
    parser.add_argument("--json", metavar="FILE", help="also write the rows to this file")
    chosen = parser.parse_args(arguments)
    if chosen.quick:
        chosen.sizes, chosen.seeds, chosen.limit = [10, 20], 1, min(chosen.limit, 5.0)
    results: dict[str, Any] = {"about": about(), "limit": chosen.limit}
    print(results["about"], flush=True)
    each = f"one process (ours-2: two) and one thread each, {chosen.limit:g} s a search; relative gap asked 1e-6"
    print(f"{each}; times exclude imports and include building\n", flush=True)
    sections: dict[str, list[Instance]] = {}
    seeds = range(chosen.seeds)
    if "random" in chosen.families:
        for n in (n for n in chosen.sizes if n <= 40):
            sections[f"random LPs, n = {n}"] = [random_lp(n, seed) for seed in seeds]
    if "structured" in chosen.families:
        some = seeds[:2]
        small = [[transport(6, 10, s), market(12, 10, s), toll(3, 3, 3, s)] for s in some]
        large = [[transport(8, 20, s), market(20, 20, s), market(30, 40, s), toll(5, 5, 6, s), toll(5, 5, 20, s)] for s in some]
        for index, family in enumerate(("transport", "market", "toll")):
            grown = [group[0:1] if index == 0 else group[1:3] if index == 1 else group[3:] for group in large] if not chosen.quick else []
            sections[family] = [group[index] for group in small] + [made for group in grown for made in group]
    if "qp" in chosen.families:
        for n in (10,) if chosen.quick else (10, 20, 30):
            sections[f"convex-QP followers, n = {n}"] = [random_qp(n, seed) for seed in seeds]
    for title, instances in sections.items():
        rows = compare(instances, chosen.solvers, chosen.limit)
        results[title] = rows
        print(table(title, shown(rows)), flush=True)
        if "ours" in chosen.solvers:
            results[f"{title}: ratios"] = ratios(rows, chosen.limit)
            print(table("  geometric mean of ours / peer, seconds (<=: the peer did not finish all, >=: we did not)", results[f"{title}: ratios"]), flush=True)
    for n in (n for n in chosen.sizes if n > 40 and "random" in chosen.families):
        moments = [m for m in MOMENTS if m < chosen.limit] + [chosen.limit]
        rows = traces([random_lp(n, seed) for seed in seeds[:3]], chosen.solvers, moments)
        results[f"random LPs over time, n = {n}"] = rows
        print(table(f"random LPs, n = {n}: incumbents U", shown(rows)), flush=True)
        print(table("  by solver and moment; infinite where some instance has no incumbent or no bound", summary(rows, moments)), flush=True)
    results["about_end"] = about()
    print(results["about_end"])
    if chosen.json:
        with open(chosen.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1, default=float)


if __name__ == "__main__":
    main()
