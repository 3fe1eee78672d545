"""PAO on the recorded cases, beside ours: ``python -m benchmarks.bilevel_pao``.

PAO 1.0.2 needs numpy below 2, so it gets an environment of its own: a temporary one, made with pip by package name (``--python DIR``
uses one that exists). Its big-M method (FA) and its column generation (PCCG) run with HiGHS, and with CBC where a ``cbc`` is on the
path (Debian: coinor-cbc), on every recorded case with one linear follower, a linear leader and no multipliers in it.

``correct``: the recorded optimum, and the follower cannot do better, or the word infeasible where nothing is feasible; ``wrong``: an
answer that is not; ``failed``: an error or nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import stackopt as so
from benchmarks.speed import table
from stackopt.bilevel.point import Point
from stackopt.bilevel.recorded import Case, read_case
from stackopt.catalog import data_file

PACKAGES = ("pao==1.0.2", "numpy<2", "pyutilib", "highspy")
#: Relative distance from the recorded optimum, and residual, that still count as correct: generous to every solver's own tolerance.
CLOSE = 1e-4


def cases(folder: Path) -> list[tuple[Path, Case]]:
    """The recorded cases that PAO's linear solvers are made for."""
    found = []
    for path in sorted(folder.glob("*.json")):
        case = read_case(path)
        program = case.program
        linear = case.kind in ("LP-LP", "MILP-LP") and not program.multipliers and len(program.followers) == 1
        if linear and case.status in ("optimal", "infeasible"):
            found.append((path, case))
    return found


def judge(case: Case, values: dict[str, float] | None, because: str = "") -> str:
    """``correct``, ``wrong`` or ``failed``, for variable values by name; None is an answer without a point."""
    if case.value is None:
        return "wrong" if values is not None else "correct" if "infeasible" in because.lower() else "failed"
    if values is None:
        return "wrong" if because == "INFEASIBLE" else "failed"
    point = Point(np.array([values[name] for name in case.program.names]))
    certificates = [program.certify(point) for program in (case.program, loosened(case.program))]
    close = abs(certificates[0].value - case.value) <= CLOSE * max(1.0, abs(case.value))
    return "correct" if close and any(all(check.residual <= CLOSE for check in c.checks) for c in certificates) else "wrong"


def loosened(program: so.BilevelProgram, by: float = 1e-6) -> so.BilevelProgram:
    """The followers' rows and bounds moved out by `by`, relative to one plus their size.

    An answer rounded to seven digits may leave the follower no feasible point at all; that is not what is meant by wrong.
    """

    def out(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        size = [np.where(np.isfinite(a), by * (1.0 + np.abs(a)), 0.0) for a in (low, high)]
        return low - size[0], high + size[1]

    def level(given: so.Level) -> so.Level:
        low, high = out(given.rows.lower, given.rows.upper)
        return dataclasses.replace(given, rows=dataclasses.replace(given.rows, lower=low, upper=high))

    low, high = out(program.lower, program.upper)
    theirs = (program.owner >= 0) & ~program.integer
    low, high = np.where(theirs, low, program.lower), np.where(theirs, high, program.upper)
    return dataclasses.replace(program, lower=low, upper=high, followers=tuple(map(level, program.followers)))


def environment(folder: Path) -> Path:
    """The Python of a fresh environment with PAO in it."""
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES], check=True, capture_output=True, text=True)
    return python


def pao(python: Path, solver: str, mip: str, paths: Sequence[Path]) -> list[dict[str, Any]]:
    """PAO's answers, one per case; the worker goes on with the next case if it has to be ended."""
    worker = Path(__file__).with_name("bilevel_pao_worker.py")
    answers: list[dict[str, Any]] = []
    while len(answers) < len(paths):
        rest = paths[len(answers) :]
        command = [str(python), "-W", "ignore", str(worker), solver, mip, *map(str, rest)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=tempfile.gettempdir()) as run:
            lines, ended = _lines(run, 60.0 + 10.0 * len(rest))
        answers += [json.loads(line) for line in lines if line.startswith("{")]
        if len(answers) < len(paths) and (ended or not lines):
            answers.append({"case": paths[len(answers)].stem, "status": "did not stop" if ended else "the process died", "values": {}, "seconds": 0.0})
    return answers


def _lines(run: subprocess.Popen[str], patience: float) -> tuple[list[str], bool]:
    try:
        out, _ = run.communicate(timeout=patience)
        return out.splitlines(), False
    except subprocess.TimeoutExpired:
        run.kill()
        out, _ = run.communicate()
        return out.splitlines(), True


def ours(found: Iterable[tuple[Path, Case]], limit: float) -> list[dict[str, Any]]:
    """Our answers in the worker's form."""
    answers = []
    for _, case in found:
        begun = time.perf_counter()
        try:
            solution = so.solve(case.program, so.Exact(time_limit=limit, proof=False))
            values = dict(zip(case.program.names, solution.candidate.values)) if solution.certified and solution.candidate is not None else {}
            status = "answered" if values else str(solution.status)
        except so.StackoptError as error:
            values, status = {}, error.code
        answers.append({"case": case.name, "status": status, "values": values, "seconds": time.perf_counter() - begun})
    return answers


def compare(found: Sequence[tuple[Path, Case]], columns: dict[str, list[dict[str, Any]]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Counts by solver, and the cases where somebody is not correct."""
    verdicts = {
        name: [judge(case, a["values"] if a["status"] == "answered" else None, a["status"]) for (_, case), a in zip(found, answers)]
        for name, answers in columns.items()
    }
    counts = []
    for name, answers in columns.items():
        count = Counter(verdicts[name])
        mean = sum(a["seconds"] for a in answers) / max(1, len(answers))
        counts.append({"solver": name, "cases": len(found)} | {v: count[v] for v in ("correct", "wrong", "failed")} | {"mean_s": mean})
    differ = [
        {"case": case.name, "optimum": "infeasible" if case.value is None else f"{case.value:g}"} | {name: verdicts[name][i] for name in columns}
        for i, (_, case) in enumerate(found)
        if any(verdicts[name][i] != "correct" for name in columns)
    ]
    return counts, differ


def main(arguments: Sequence[str] | None = None) -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bilevel_pao", description=__doc__.splitlines()[0])
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for each of our solves")
    parser.add_argument("--python", metavar="DIR", help="an environment that has PAO, instead of a temporary one")
    parser.add_argument("--json", metavar="FILE", help="also write everything to this file")
    chosen = parser.parse_args(arguments)
    found = cases(data_file("bilevel"))
    columns = {"ours": ours(found, chosen.limit)}
    with tempfile.TemporaryDirectory(prefix="pao-") as folder:
        try:
            python = Path(chosen.python) / "bin" / "python" if chosen.python else environment(Path(folder))
        except subprocess.CalledProcessError as error:
            sys.exit(f"no environment with PAO could be made: {error.stderr.strip().splitlines()[-1:]}")
        mips = ["appsi_highs"] + (["cbc"] if shutil.which("cbc") else [])
        for solver in ("FA", "PCCG"):
            for mip in mips:
                columns[f"PAO {solver}, {mip.removeprefix('appsi_')}"] = pao(python, solver, mip, [path for path, _ in found])
    counts, differ = compare(found, columns)
    print(table("recorded cases with one linear follower", counts))
    print(table("where somebody is not correct", differ))
    if chosen.json:
        with open(chosen.json, "w", encoding="utf-8") as file:
            json.dump({"counts": counts, "cases": differ, "answers": columns}, file, indent=1, default=float)


if __name__ == "__main__":
    main()
