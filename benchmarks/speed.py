"""Speed and memory, as ratios from one run: ``python -m benchmarks.speed`` (QuantEcon comes with the extra ``[peers]``).

Every comparison first checks that both sides computed the same thing. Times are the best of a few alternating repeats, in
one process, single-threaded as far as the libraries go.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import stackopt as so
from benchmarks.kernels import small_games, sparse_game
from stackopt.games.dynamic_programming import optimal_value, soft_optimal_value
from stackopt.games.operators import Mdp, follower_mdp

#: Largest distance to the fixed point, for both packages.
ACCURACY = 1e-8
TEMPERATURE = 0.1


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds and result of one call."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def quantecon_solver(mdp: Mdp) -> Callable[[], np.ndarray]:
    """Modified policy iteration of QuantEcon's `DiscreteDP` on the same MDP, ready to run (construction not timed)."""
    from quantecon.markov import DiscreteDP

    S, B = mdp.reward.shape
    problem = DiscreteDP(mdp.reward.ravel(), mdp.transition, mdp.discount, np.repeat(np.arange(S), B), np.tile(np.arange(B), S))

    def solve() -> np.ndarray:
        solved: np.ndarray = problem.solve(method="modified_policy_iteration", epsilon=ACCURACY, max_iter=1_000_000).v
        return solved

    return solve


def tolerance_for(mdp: Mdp, size: float) -> float:
    """The residual tolerance that guarantees half of `ACCURACY` in the value, as QuantEcon's stopping rule does."""
    return 0.5 * ACCURACY * (1.0 - mdp.discount) / (mdp.discount * (1.0 + size))


def dynamic_programming(sizes: list[int], actions: int = 8, discounts: tuple[float, ...] = (0.95, 0.99), repeats: int = 3) -> list[dict[str, Any]]:
    """Soft and hard solves of induced follower MDPs against QuantEcon's hard solve of the same ones."""
    warm_up = follower_mdp(sparse_game("random", 50, 2, actions, 0.9), np.full((50, 2), 0.5))
    quantecon_solver(warm_up)()  # compile before anything is timed
    rows = []
    for states in sizes:
        for kind in ("random", "grid"):
            game = sparse_game(kind, states, actions, actions, discounts[0])
            policy = np.random.default_rng(1).dirichlet(np.ones(actions), game.shape[0])
            induction, induced = timed(lambda game=game, policy=policy: follower_mdp(game, policy))
            del game
            for discount in discounts:
                mdp = Mdp(induced.reward, induced.transition, discount)
                theirs = quantecon_solver(mdp)
                size = float(np.abs(theirs()).max())
                tolerance = tolerance_for(mdp, size)
                best = {"soft": np.inf, "hard": np.inf, "quantecon": np.inf}
                for _ in range(repeats):
                    for name, work in (
                        ("soft", lambda mdp=mdp, tolerance=tolerance: soft_optimal_value(mdp, TEMPERATURE, tolerance=tolerance)),
                        ("quantecon", theirs),
                        ("hard", lambda mdp=mdp, tolerance=tolerance: optimal_value(mdp, tolerance=tolerance)),
                    ):
                        seconds, result = timed(work)
                        best[name] = min(best[name], seconds)
                        if name == "soft":
                            soft = result
                        elif name == "hard":
                            hard = result
                        else:
                            reference = result
                entropy = TEMPERATURE * np.log(actions) / (1.0 - discount)
                above = soft.value - reference
                rows.append(
                    {
                        "states": mdp.reward.shape[0],
                        "kernel": kind,
                        "discount": discount,
                        "non_zeros": int(mdp.transition.nnz),
                        "induction_s": induction,
                        "soft_s": best["soft"],
                        "hard_s": best["hard"],
                        "quantecon_s": best["quantecon"],
                        "soft/quantecon": best["soft"] / best["quantecon"],
                        "hard/quantecon": best["hard"] / best["quantecon"],
                        "difference": float(np.abs(hard.value - reference).max()),
                        "soft_error": soft.residual / (1.0 - discount),
                        # V* <= V_tau <= V* + tau log B / (1 - discount)  [B2.1]
                        "in_bounds": bool(above.min() >= -2 * ACCURACY and above.max() <= entropy + 2 * ACCURACY),
                    }
                )
    return rows


def batches(count: int = 256, repeats: int = 3) -> list[dict[str, Any]]:
    """A batch of small games against the same games one by one."""
    games = small_games(count)
    singles = [games[i] for i in range(count)]
    rows = []
    methods = (
        so.SoftmaxPolicyIteration(1.0, concept="fixed_point"),
        so.SoftmaxPolicyIteration(0.3, concept="commitment"),
    )
    for method in methods:
        together = min((timed(lambda method=method: method.run(games)) for _ in range(repeats)), key=lambda o: o[0])
        one_by_one = timed(lambda method=method: [method.run(game) for game in singles])
        values = np.array([run.candidate.claim for run in one_by_one[1]])
        rows.append(
            {
                "method": method.name,
                "games": count,
                "batch_s": together[0],
                "singles_s": one_by_one[0],
                "singles/batch": one_by_one[0] / together[0],
                "difference": float(np.abs(values - together[1].candidate.claim).max()),
            }
        )
    return rows


def import_time(processes: int = 7) -> list[dict[str, Any]]:
    """Seconds of ``import stackopt`` in fresh interpreters."""
    code = "import time; t = time.perf_counter(); import stackopt; print(time.perf_counter() - t)"
    seconds = sorted(float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout) for _ in range(processes))
    return [{"processes": processes, "best_s": seconds[0], "median_s": seconds[len(seconds) // 2]}]


def memory(states: int = 100_000, actions: int = 8) -> list[dict[str, Any]]:
    """What a soft solve allocates at its peak beyond the MDP itself, per non-zero, and the peak of a whole fresh process."""
    code = (
        "import sys, json; from benchmarks.speed import memory_here; "
        "print(json.dumps(memory_here(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))"
    )
    rows = []
    for kind in ("random", "grid"):
        command = [sys.executable, "-c", code, kind, str(states), str(actions)]
        rows.append(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
    return rows


def memory_here(kind: str, states: int, actions: int) -> dict[str, Any]:
    """One row of `memory`, measured in this process."""
    game = sparse_game(kind, states, 1, actions, 0.99)
    mdp = follower_mdp(game, np.ones((game.shape[0], 1)))
    del game
    tracemalloc.start()
    solved = soft_optimal_value(mdp, TEMPERATURE)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    kernel = sum(a.nbytes for a in (mdp.transition.data, mdp.transition.indices, mdp.transition.indptr))
    return {
        "kernel": kind,
        "states": mdp.reward.shape[0],
        "non_zeros": int(mdp.transition.nnz),
        "mdp_bytes_per_nz": (kernel + mdp.reward.nbytes) / mdp.transition.nnz,
        "solve_bytes_per_nz": peak / mdp.transition.nnz,
        "process_peak_mib": peak_resident(),
        "error": solved.residual / (1.0 - mdp.discount),
    }


def peak_resident() -> float:
    """Peak resident memory of this process, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count what the parent held when it forked
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def table(title: str, rows: list[dict[str, Any]]) -> str:
    """Rows as aligned text."""
    if not rows:
        return f"{title}\n  (none)\n"
    cells = [[_cell(v) for v in row.values()] for row in rows]
    heads = list(rows[0])
    widths = [max(len(h), *(len(c[i]) for c in cells)) for i, h in enumerate(heads)]
    lines = ["  ".join(h.rjust(w) for h, w in zip(heads, widths))]
    lines += ["  ".join(c.rjust(w) for c, w in zip(row, widths)) for row in cells]
    return title + "\n" + "\n".join("  " + line for line in lines) + "\n"


def _cell(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def main() -> None:
    """Print every table of one run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000], help="states of the sparse problems")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", help="also write the rows to this file")
    chosen = parser.parse_args()
    print(f"Python {platform.python_version()}, numpy {np.__version__}, {os.cpu_count()} CPUs, {platform.machine()}\n")
    results = {}
    sections: tuple[tuple[str, str, Callable[[], list[dict[str, Any]]]], ...] = (
        ("import", "import stackopt, fresh processes", import_time),
        ("batch", "a batch of small games (8 states, 3 x 3 actions) against one game at a time", lambda: batches(repeats=chosen.repeats)),
        (
            "dynamic_programming",
            f"follower MDP, 8 actions, about 5 successors, error at most {ACCURACY:g}: soft (temperature {TEMPERATURE:g}) and hard, against QuantEcon (hard)",
            lambda: dynamic_programming(chosen.sizes, repeats=chosen.repeats),
        ),
        ("memory", "peak memory of a soft solve at discount 0.99 beyond the MDP", lambda: memory(max(chosen.sizes))),
    )
    for name, title, run in sections:
        try:
            results[name] = run()
        except ImportError as missing:
            print(f"{title}\n  skipped: {missing} (pip install 'stackopt[peers]')\n", flush=True)
            continue
        print(table(title, results[name]), flush=True)
    if chosen.json:
        with open(chosen.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
