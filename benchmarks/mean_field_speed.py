"""The fast layer of mean-field games, as ratios from one run: ``python -m benchmarks.mean_field_speed`` (Numba: extra ``[fast]``).

The population is the battery model: 24 hours x 50 charge levels x 3 kinds of weather = 3600 states, 11 actions, K types, one price
coupling. An *iteration* is one sweep over the day backward (soft values) and one forward (law and purchases). Its floor is the
exponentials alone: NumPy's ``exp`` of one number per state and action, 39,600 a type, in the cache. All routes are first checked to
give the same purchases. Times are CPU seconds of this process unless said otherwise, the median of a few repeats.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from models import battery
from stackopt.comparison.progress import Bar
from stackopt.games.mean_field import operators
from stackopt.games.mean_field.chunked import PeriodicResponse
from stackopt.games.mean_field.kernels import Dense, Kernel, Sparse
from stackopt.games.mean_field.machine import default_threads
from stackopt.games.mean_field.priced import PricedPopulation, by_state
from stackopt.learning.mean_field.fast import price_equilibrium
from stackopt.learning.mean_field.fast_gradient import leader_gradient
from stackopt.solution import Progress

TEMPERATURE = 0.02
TARIFF = 0.2


def cpu(work: Callable[[], Any], repeats: int) -> float:
    """Median CPU seconds of a call, after one that does not count."""
    work()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return statistics.median(times)


def wall(work: Callable[[], Any], repeats: int) -> float:
    """Least wall seconds of a call, after one that does not count; on a shared machine it says little."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def floor(count: int, repeats: int = 200) -> float:
    """Seconds that NumPy takes for so many exponentials: one per state and action of one type."""
    x = np.random.default_rng(0).uniform(-50.0, 0.0, count)
    out = np.empty_like(x)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()  # one call is too short for the clock of the process
        np.exp(x, out=out)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def generic_iteration(
    population: PricedPopulation, kernel: Kernel, prices: np.ndarray, values: np.ndarray, mass: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same iteration by the operators of a general game, whatever the kernel; all types at once, policies stored.

    Values [K, S] and laws [K, S] of stage 0 go in; purchases [T, L], values and laws come out.
    """
    K, T, S, B = population.shape
    reward = by_state(population, population.rows(prices))
    policy = np.empty((K, T, S, B))
    following = values[:, None]
    stages = [kernel.stages(np.array([t])) for t in range(T)]
    for t in range(T - 1, -1, -1):
        q = operators.q_values(reward[:, t : t + 1], stages[t].expect(following), population.discount)
        following = operators.soft_value(q, TEMPERATURE)
        policy[:, t : t + 1] = operators.soft_policy(q, TEMPERATURE)
    here = mass[:, None]
    bought = np.zeros(prices.shape)
    for t in range(T):
        flow = operators.flow(here, policy[:, t : t + 1])
        net = by_state(population, population.bought()[:, t : t + 1])
        bought[t] = operators.aggregate(flow, population.weights, net)[0]
        here = stages[t].push(flow)
    return bought, following[:, 0], here[:, 0]


def dense_kernel(population: PricedPopulation) -> Dense:
    """All probabilities; day and night differ only where the weather changes, but this layout does not know it."""
    return Dense(population.kernel().dense(), checked=False)


def csr_kernel(population: PricedPopulation) -> Sparse:
    """Compressed rows of every stage."""
    factored = population.kernel()
    _, T, S, B = factored.shape
    return Sparse([[sparse.csr_matrix(factored.stages(np.array([t])).dense()[0, 0].reshape(S * B, S)) for t in range(T)]], checked=False)


def routes(types: int, repeats: int) -> dict[str, Any]:
    """Microseconds per type and iteration of every route, and the largest difference of their purchases."""
    population = battery.population(types=types)
    prices = battery.prices().at(np.zeros((24, 2)), np.full(24, TARIFF))
    _, T, S, B = population.shape
    compiled, plain = (PeriodicResponse(population, TEMPERATURE, compiled=c) for c in (True, False))
    start = compiled.solve(prices)
    values, mass = (compiled.by_type(a).reshape(types, S) for a in (TEMPERATURE * start.values, start.mass))
    found: dict[str, Any] = {"floor": 1e6 * floor(T * S * B)}
    bought = compiled.iterate(prices, start.values.copy(), start.mass.copy())
    few = min(types, 32)  # the general routes store policies and, dense, every probability
    small = battery.population(types=few)
    reference = PeriodicResponse(small, TEMPERATURE, compiled=True).solve(prices)
    expected = PeriodicResponse(small, TEMPERATURE, compiled=True).iterate(prices, reference.values.copy(), reference.mass.copy())
    difference = 0.0
    for name, kernel in (("dense", dense_kernel(small)), ("csr", csr_kernel(small)), ("factored", small.kernel())):
        y, v, _ = generic_iteration(small, kernel, prices, values[:few], mass[:few])
        difference = max(difference, float(np.abs(y - expected).max()))
        assert np.abs(v - values[:few]).max() < 1e-7, "a fixed point of one route is one of the other"
        once = cpu(lambda kernel=kernel: generic_iteration(small, kernel, prices, values[:few], mass[:few]), 1 if name == "dense" else repeats)
        found[name] = 1e6 / few * once
    for name, response in (("structured", plain), ("compiled", compiled)):
        v, m = start.values, start.mass
        if name == "structured":
            own = plain.solve(prices)
            v, m = own.values, own.mass
        difference = max(difference, float(np.abs(response.iterate(prices, v.copy(), m.copy()) - bought).max()))
        work_v, work_m = v.copy(), m.copy()
        found[name] = 1e6 / types * cpu(lambda r=response, a=work_v, b=work_m: r.iterate(prices, a, b), repeats)
    return found | {"types": types, "difference": difference}


def thousand(repeats: int, threads: int) -> dict[str, float]:
    """Seconds of one iteration of a thousand types on one core, and of a solve and a gradient at fixed prices; walls of one and more threads."""
    population = battery.population(types=1000)
    prices = battery.prices().at(np.zeros((24, 2)), np.full(24, TARIFF))
    response = PeriodicResponse(population, TEMPERATURE, compiled=True)
    values, mass = response.start()
    iteration = cpu(lambda: response.iterate(prices, values, mass), repeats)
    walls = []
    for count in (1, threads):
        shared = PeriodicResponse(population, TEMPERATURE, compiled=True, threads=count)
        walls.append(wall(lambda shared=shared: shared.iterate(prices, values, mass), repeats))
    start = time.process_time()
    answer = response.solve(prices)
    solve = time.process_time() - start
    payoff = np.random.default_rng(0).normal(size=(24, 2))
    response.gradient(answer, payoff)
    start = time.process_time()
    slope = response.gradient(answer, payoff)
    gradient = time.process_time() - start
    direction, h = np.random.default_rng(1).normal(size=(24, 2)), 2e-5
    few = PeriodicResponse(battery.population(types=32), TEMPERATURE, compiled=True, tolerance=1e-12)
    at = few.solve(prices)

    def along(s: float) -> float:
        return float((few.solve(prices + s * h * direction, at).bought * payoff).sum())

    differences = (8 * (along(1) - along(-1)) - (along(2) - along(-2))) / (12 * h)
    exact = float((few.gradient(at, payoff) * direction).sum())
    assert np.isfinite(slope).all()
    sweeps = float(sum(answer.sweeps))
    return {
        "iteration": iteration, "wall_one": walls[0], "wall_all": walls[1], "threads": threads, "solve": solve, "gradient": gradient, "sweeps": sweeps,
        "finite_differences": abs(exact / differences - 1),
    }  # fmt: skip


def million(types: int, threads: int, folder: Path, bar: bool) -> dict[str, Any]:
    """Equilibrium prices and the leader's gradient of types x multiplicity households, with a checkpoint."""
    population, prices = battery.population(types=types), battery.prices()
    theta = np.full(24, TARIFF)

    wall, own = time.perf_counter(), time.process_time()
    with Bar("response") if bar else contextlib.nullcontext() as report:
        found = price_equilibrium(population, prices, theta, TEMPERATURE, compiled=True, threads=threads, checkpoint=folder / "million.npz", report=report)
    solved = (time.perf_counter() - wall, time.process_time() - own)
    wall, own = time.perf_counter(), time.process_time()
    slope = leader_gradient(population, prices, found, battery.utility(), compiled=True, threads=threads)
    derived = (time.perf_counter() - wall, time.process_time() - own)
    return {
        "types": types, "threads": threads, "outcome": found.outcome, "residual": found.residual, "evaluations": found.evaluations,
        "exploitability": found.exploitability,
        "spectral_radius": found.spectral_radius, "wall": solved[0], "cpu": solved[1], "gradient_wall": derived[0], "gradient_cpu": derived[1],
        "adjoints": slope.adjoints, "gradient_converged": slope.converged, "gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }  # fmt: skip


def interrupted(folder: Path, types: int = 200) -> dict[str, Any]:
    """A run that is interrupted twice and goes on, against one that is not: the largest difference of its numbers."""
    population, prices, theta = battery.population(types=types), battery.prices(), np.full(24, TARIFF)
    whole = price_equilibrium(population, prices, theta, TEMPERATURE, compiled=True)
    file = folder / "interrupted.npz"

    class Stop(Exception):
        pass

    stops = 0
    for after in (2, 2, 10**6):
        seen = 0

        def stop(progress: Progress, after: int = after) -> None:
            nonlocal seen
            seen += progress.stage == "prices"
            if seen >= after:
                raise Stop

        try:
            found = price_equilibrium(population, prices, theta, TEMPERATURE, compiled=True, checkpoint=file, report=stop)
        except Stop:
            stops += 1
    difference = max(float(np.abs(found.prices - whole.prices).max()), float(np.abs(found.response.values - whole.response.values).max()))
    return {"types": types, "interruptions": stops, "difference": difference}


def measured(quick: bool, threads: int) -> dict[str, Any]:
    """Everything, as data."""
    bar = sys.stderr.isatty()
    with tempfile.TemporaryDirectory() as folder:
        found: dict[str, Any] = {"routes": routes(64 if quick else 256, 3 if quick else 7), "thousand": thousand(3 if quick else 9, threads)}
        found["interrupted"] = interrupted(Path(folder))
        command = [sys.executable, "-m", "benchmarks.mean_field_speed", "--million", str(1000 if quick else 10_000), "--threads", str(threads)]
        process = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, stderr=None if bar else subprocess.DEVNULL)
        found["million"] = json.loads(process.stdout)
    return found


def table(found: dict[str, Any]) -> str:
    """The figures for people."""
    r, k, m, i = found["routes"], found["thousand"], found["million"], found["interrupted"]
    lines = [
        f"Battery: 24 x 50 x 3 = 3600 states, 11 actions; {platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}",
        "",
        f"One iteration, CPU microseconds per type, one thread ({r['types']} types; general routes 32)     us     x floor",
    ]
    names = {
        "floor": "floor: NumPy's exponential alone, 39,600 numbers",
        "compiled": "compiled, chunks of 64 types (extra [fast])",
        "structured": "the same steps in NumPy, chunks of 64",
        "factored": "general operators, factored kernel",
        "csr": "general operators, SciPy CSR",
        "dense": "general operators, dense probabilities",
    }
    lines += [f"  {label:<74}{r[key]:>10,.1f}{r[key] / r['floor']:>10.2f}" for key, label in names.items()]
    lines += [
        f"  largest difference of purchases between routes: {r['difference']:.1e} kWh",
        "",
        f"1000 types, one core: {k['iteration']:.3f} s an iteration (least wall: {k['wall_one']:.3f} s; {k['threads']} threads: {k['wall_all']:.3f} s);",
        f"  response at given prices {k['solve']:.2f} s ({k['sweeps']:.0f} sweeps),",
        f"  its gradient (48 prices at once) {k['gradient']:.2f} s = {k['gradient'] / k['solve']:.2f} responses; "
        f"against central differences: {k['finite_differences']:.1e}",
        "",
        f"{m['types'] * 100:,} households = {m['types']:,} types x 100, {m['threads']} threads: {m['outcome']}, residual {m['residual']:.1e} $/kWh",
        f"  equilibrium {m['wall']:.0f} s wall, {m['cpu']:.0f} s CPU, {m['evaluations']} responses of all; "
        f"spectral radius {m['spectral_radius']:.2f} (undamped iteration diverges above 1)",
        f"  leader's gradient (24 tariffs) {m['gradient_wall']:.0f} s wall, {m['gradient_cpu']:.0f} s CPU = "
        f"{m['gradient_cpu'] / m['cpu']:.2f} forward solves, {m['adjoints']} adjoints",
        f"  softness costs a household {m['exploitability']:.5f} $ an hour (exploitability; at most temperature x log 11 = {TEMPERATURE * np.log(11):.5f})",
        f"  peak memory {m['gigabytes']:.2f} GB",
        f"interrupted {i['interruptions']} times and resumed ({i['types']} types): differs from the uninterrupted run by {i['difference']:g}",
    ]
    return "\n".join(lines)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="1000 types instead of 10,000, fewer repeats")
    parser.add_argument("--threads", type=int, default=default_threads())
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--million", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.million:
        with tempfile.TemporaryDirectory() as folder:
            json.dump(million(options.million, options.threads, Path(folder), sys.stderr.isatty()), sys.stdout)
        return
    found = measured(options.quick, options.threads)
    print(table(found))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
