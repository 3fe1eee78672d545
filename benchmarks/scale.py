"""How time and memory grow with the number of states: ``python -m benchmarks.scale`` (peers come with the extra ``[peers]``).

Sparse games of 10^3 to 10^6 states; the follower's problem against a mixed leader, three tasks: the value of a pure policy,
the optimal value, a soft response (which the peers do not have). Every tool runs in a process of its own under a time and a
memory limit, one at a time; what it did not finish is said, and larger sizes are then not tried. Compilation and building the
game are not timed. Memory is what the task added to the process at its peak. The error of every answer is measured the same
way, from its Bellman residual: a time without it means nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import math
import os
import platform
import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.kernels import sparse_game
from benchmarks.speed import ACCURACY, quantecon_solver, table, timed, tolerance_for
from stackopt.games.dynamic_programming import optimal_value, policy_value, soft_optimal_value
from stackopt.games.operators import Mdp, bellman, follower_mdp, one_hot, policy_kernel, policy_reward, soft_bellman

TEMPERATURE = 0.1
LEADER_ACTIONS, ACTIONS = 2, 3
TASKS = ("policy", "optimal", "soft")
TOOLS = ("stackopt", "quantecon", "pymdptoolbox")
#: What each peer offers: no peer has soft responses, and pymdptoolbox evaluates policies with a dense matrix only.
OFFERS = {"stackopt": TASKS, "quantecon": TASKS[:2], "pymdptoolbox": TASKS[1:2]}


def problem(kind: str, states: int, discount: float) -> tuple[Mdp, np.ndarray]:
    """The follower's problem against a mixed leader, and a pure policy of the follower."""
    game = sparse_game(kind, states, LEADER_ACTIONS, ACTIONS, discount)
    rng = np.random.default_rng(1)
    mdp = follower_mdp(game, rng.dirichlet(np.ones(LEADER_ACTIONS), game.shape[0]))
    return mdp, rng.integers(0, ACTIONS, game.shape[0])


def work(tool: str, task: str, mdp: Mdp, chosen: np.ndarray) -> Callable[[], np.ndarray]:
    """A solve by one tool, built and ready to be timed; returns the value [S]."""
    if tool == "quantecon":
        if task == "optimal":
            return quantecon_solver(mdp)
        from quantecon.markov import DiscreteDP

        S, B = mdp.reward.shape
        ddp = DiscreteDP(mdp.reward.ravel(), mdp.transition, mdp.discount, np.repeat(np.arange(S), B), np.tile(np.arange(B), S))
        return lambda: np.asarray(ddp.evaluate_policy(chosen))
    if tool == "pymdptoolbox":
        return _toolbox(mdp)
    tolerance = tolerance_for(mdp, float(np.abs(mdp.reward).max()) / (1.0 - mdp.discount))
    solves: dict[str, Callable[[], np.ndarray]] = {
        "policy": lambda: policy_value(mdp, one_hot(chosen, ACTIONS)),
        "optimal": lambda: optimal_value(mdp, tolerance=tolerance).value,
        "soft": lambda: soft_optimal_value(mdp, TEMPERATURE, tolerance=tolerance).value,
    }
    return solves[task]


def _toolbox(mdp: Mdp) -> Callable[[], np.ndarray]:
    """Its value iteration. Its policy iterations fill a dense [S, S] matrix. It stops on the span and does not correct the level; that is done here."""
    import warnings

    from mdptoolbox.mdp import ValueIteration

    warnings.simplefilter("ignore")  # SciPy on how it compares sparse matrices
    kernels = [mdp.transition[b::ACTIONS] for b in range(ACTIONS)]

    def solve() -> np.ndarray:
        solver = ValueIteration(kernels, mdp.reward, mdp.discount, epsilon=ACCURACY)  # the constructor is part of its work
        solver.run()
        value = np.asarray(solver.V)
        change = bellman(mdp, value) - value
        corrected: np.ndarray = value + 0.5 * (change.max() + change.min()) / (1.0 - mdp.discount)
        return corrected

    return solve


def error(task: str, mdp: Mdp, chosen: np.ndarray, value: np.ndarray) -> float:
    """How far `value` can be from the true one: its Bellman residual over 1 - discount, relative to the largest value."""
    if task == "policy":
        policy = one_hot(chosen, ACTIONS)
        once = policy_reward(mdp, policy) + mdp.discount * (policy_kernel(mdp, policy) @ value)
    else:
        once = bellman(mdp, value) if task == "optimal" else soft_bellman(mdp, value, TEMPERATURE)
    return float(np.abs(once - value).max()) / (1.0 - mdp.discount) / (1.0 + float(np.abs(value).max()))


# --- one process ------------------------------------------------------------------------------------------------------


def measure(tool: str, kind: str, states: int, discount: float, tasks: tuple[str, ...] = TASKS) -> Iterator[dict[str, Any]]:
    """The rows of one tool on one game, in this process."""
    small = problem(kind, 150, discount)
    for task in set(tasks) & set(OFFERS[tool]):
        work(tool, task, *small)()  # imported and compiled before anything is timed
    mdp, chosen = problem(kind, states, discount)
    for task in tasks:
        if task not in OFFERS[tool]:
            continue
        with Peak() as peak:
            seconds, value = timed(work(tool, task, mdp, chosen))
        yield {
            "task": task, "kernel": kind, "discount": discount, "states": mdp.reward.shape[0], "non_zeros": int(mdp.transition.nnz), "tool": tool,
            "seconds": seconds, "mib": peak.mib, "bytes/nz": peak.mib * 2**20 / mdp.transition.nnz, "error": error(task, mdp, chosen, value),
        }  # fmt: skip


class Peak:
    """Resident memory added at its peak, in MiB: sampled, so that it needs no privileges; short peaks may be missed."""

    def __enter__(self) -> Peak:
        with contextlib.suppress(AttributeError, OSError):  # give back what building the game left free, or its reuse would hide what is needed
            ctypes.CDLL(None).malloc_trim(0)
        self.mib, self._start, self._done = 0.0, resident(), threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._done.wait(0.005):
            self.mib = max(self.mib, resident() - self._start)

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self.mib = max(self.mib, resident() - self._start)


def resident() -> float:
    """Resident memory of this process now, in MiB; 0 where the system does not say."""
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[1]) * resource.getpagesize() / 2**20 if status.exists() else 0.0


def child(tool: str, kind: str, states: int, discount: float, gib: float, tasks: tuple[str, ...]) -> None:
    """What a process of its own prints: one line of JSON per task."""
    limit = int(gib * 2**30)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    try:
        for row in measure(tool, kind, states, discount, tasks):
            print(json.dumps(row), flush=True)
    except MemoryError:
        print(json.dumps({"stopped": f"more than {gib:g} GiB"}), flush=True)


# --- all of them ------------------------------------------------------------------------------------------------------


def run(tool: str, kind: str, states: int, discount: float, *, seconds: float, gib: float, tasks: tuple[str, ...]) -> tuple[list[dict[str, Any]], str]:
    """Rows of one tool on one game from a process of its own, and why it stopped before the last task; empty if it did not."""
    arguments = json.dumps([tool, kind, states, discount, gib, tasks])
    code = f"import json; from benchmarks.scale import child; child(*json.loads({arguments!r}))"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        out, err = process.communicate(timeout=seconds)
        why = "" if process.returncode == 0 else (err.strip().splitlines() or ["killed"])[-1]
    except subprocess.TimeoutExpired:
        process.kill()
        out, _ = process.communicate()
        why = f"more than {seconds:g} s"
    rows = [json.loads(line) for line in out.splitlines()]
    why = next((row["stopped"] for row in rows if "stopped" in row), why)
    return [row for row in rows if "stopped" not in row], why


def scale(
    sizes: list[int], kinds: tuple[str, ...], discount: float, *, tools: tuple[str, ...] = TOOLS, seconds: float = 120.0, gib: float = 8.0,
    tell: Callable[[dict[str, Any]], None] = lambda row: None,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:  # fmt: skip
    """Rows of all tools at all sizes, and what stopped."""
    rows: list[dict[str, Any]] = []
    stops: list[dict[str, Any]] = []
    for kind in kinds:
        pending = {tool: list(OFFERS[tool]) for tool in tools}
        for states in sizes:
            for tool in tools:
                if not pending[tool]:
                    continue
                # each task of a peer on its own, so that one that runs out of time does not hide the next
                for group in ([tuple(pending[tool])] if tool == "stackopt" else [(task,) for task in pending[tool]]):
                    found, why = run(tool, kind, states, discount, seconds=seconds, gib=gib, tasks=group)
                    for row in found:
                        tell(row)
                    rows += found
                    if why:
                        unfinished = [task for task in group if task not in {row["task"] for row in found}]
                        stops.append({"kernel": kind, "states": states, "tool": tool, "task": unfinished[0], "why": why})
                        pending[tool] = [task for task in pending[tool] if task not in unfinished]
    return rows, stops


def compared(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Time and memory of the peers as multiples of ours, where both finished."""
    ours = {(r["task"], r["kernel"], r["states"]): r for r in rows if r["tool"] == "stackopt"}
    found = []
    for row in rows:
        mine = ours.get((row["task"], row["kernel"], row["states"]))
        if row["tool"] != "stackopt" and mine:
            times, memory = row["seconds"] / mine["seconds"], row["mib"] / mine["mib"] if mine["mib"] >= 1 else math.nan
            found.append({**{k: row[k] for k in ("task", "kernel", "states", "tool")}, "time/ours": times, "memory/ours": memory})
    return found


def growth(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The exponent p of time ~ states^p between the two largest sizes finished (start-up hides it at small ones)."""
    series: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in rows:
        series.setdefault((row["task"], row["kernel"], row["tool"]), []).append(row)
    found = []
    for (task, kernel, tool), members in series.items():
        small, large = sorted(members, key=lambda r: r["states"])[-2:] if len(members) > 1 else (members[0], members[0])
        if large["states"] > small["states"]:
            exponent = math.log(large["seconds"] / small["seconds"]) / math.log(large["states"] / small["states"])
            found.append({"task": task, "kernel": kernel, "tool": tool, "from": small["states"], "to": large["states"], "exponent": exponent})
    return found


def main() -> None:
    """Print every table of one run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000], help="states")
    parser.add_argument("--kernels", nargs="+", choices=("random", "grid", "chain"), default=("random", "grid", "chain"))
    parser.add_argument("--discount", type=float, default=0.99)
    parser.add_argument("--tools", nargs="+", choices=TOOLS, default=TOOLS)
    parser.add_argument("--seconds", type=float, default=120.0, help="the most a process may take, building the game included")
    parser.add_argument("--memory", type=float, default=8.0, help="GiB a process may use")
    parser.add_argument("--json", help="also write the rows to this file")
    chosen = parser.parse_args()
    print(f"Python {platform.python_version()}, numpy {np.__version__}, {os.cpu_count()} CPUs, {platform.machine()}, discount {chosen.discount:g}\n")
    tools = []
    for tool in chosen.tools:
        _, why = run(tool, "random", 100, 0.9, seconds=chosen.seconds, gib=chosen.memory, tasks=OFFERS[tool])
        if why:
            print(f"{tool} skipped: {why} (pip install 'stackopt[peers]')", flush=True)
        else:
            tools.append(tool)

    def tell(row: dict[str, Any]) -> None:
        print(f"  {row['tool']:12} {row['task']:8} {row['kernel']:7} {row['states']:>8} states  {row['seconds']:9.3f} s", file=sys.stderr, flush=True)

    rows, stops = scale(chosen.sizes, tuple(chosen.kernels), chosen.discount, tools=tuple(tools), seconds=chosen.seconds, gib=chosen.memory, tell=tell)
    title = f"follower's problem, {ACTIONS} actions, 5 successors; error: Bellman residual / (1 - discount), relative"
    results = {title: sorted(rows, key=lambda r: (r["task"], r["kernel"], r["states"])), "peers as multiples of ours": compared(rows)}
    results |= {"growth: time ~ states ^ exponent": growth(rows), "not finished": stops}
    for name, found in results.items():
        print(table(name, found), flush=True)
    if chosen.json:
        Path(chosen.json).write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
