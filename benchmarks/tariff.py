"""The tariff study at its standard size, and far above: seconds and memory against targets: ``python -m benchmarks.tariff [--frontier]``.

45 types of households (income fifths x consumer, panels, panels and battery x load shapes), 24 hours, 2 weather regimes, 11 levels of charge,
in plain NumPy on one thread. Seconds are of the process (CPU) and of the wall, the smallest of a few repeats; on a busy machine only the
former mean something. The 10,035 types run in a process of their own, whose peak memory is its own.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from stackopt.energy.criteria import criteria
from stackopt.energy.design_problem import DesignProblem
from stackopt.energy.equilibrium import Equilibrium, equilibrium
from stackopt.energy.frontier import frontier
from stackopt.energy.gradients import gradients
from stackopt.energy.households import Households
from stackopt.energy.market.cases import market_case
from stackopt.energy.market.smooth import NetworkSupply
from stackopt.energy.market.supply import LinearSupply
from stackopt.energy.response import respond
from stackopt.energy.standard import standard_households
from stackopt.energy.tariff import Tariff

#: Copies of the 45 types, each with loads and roofs of its own.
COPIES = 223


@dataclass(frozen=True)
class Row:
    """One line of the table; a target of None is there to be read."""

    what: str
    measured: float
    target: float | None
    unit: str = "s"
    wall: float | None = None
    note: str = ""

    def __str__(self) -> str:
        wall = "" if self.wall is None else f"{self.wall:.3g}"
        target = "" if self.target is None else f"{self.target:g}"
        met = "" if self.target is None else "met" if self.measured <= self.target else f"{self.measured / self.target:.1f} x over"
        return f"{self.what:44} {self.measured:10.3g} {wall:>8} {target:>8} {self.unit:6} {met:12} {self.note}"


def timed(run: Callable[[], Any], repeats: int = 5) -> tuple[Any, float, float]:
    """(what it returns, CPU seconds, wall seconds), the smallest of repeats."""
    cpu, wall = [], []
    for _ in range(repeats):
        began = time.process_time(), time.perf_counter()
        found = run()
        cpu.append(time.process_time() - began[0])
        wall.append(time.perf_counter() - began[1])
    return found, min(cpu), min(wall)


def directions() -> tuple[np.ndarray, np.ndarray]:
    """Buy and sell adders by period, as directions [24, 8]."""
    chosen = np.zeros((24, 4))
    for p, (first, last) in enumerate(((0, 10), (10, 16), (16, 21), (21, 24))):
        chosen[first:last, p] = 1.0
    none = np.zeros_like(chosen)
    return np.hstack([chosen, none]), np.hstack([none, chosen])


def gradient_error(households: Households, market: LinearSupply, tariff: Tariff) -> float:
    """Largest difference between gradients and central differences of re-solved equilibria, relative to the largest entry of each criterion."""
    buy, sell = directions()
    found = equilibrium(households, market, tariff, tolerance=1e-11)
    exact, step, worst = gradients(found, buy, sell), 1e-4, 0.0
    pairs: dict[str, list[tuple[Any, Any]]] = {}
    for d in range(buy.shape[1]):
        ends = []
        for sign in (1.0, -1.0):
            moved = replace(tariff, buy=tariff.buy + sign * step * buy[:, d], sell=tariff.sell + sign * step * sell[:, d])
            ends.append(criteria(equilibrium(households, market, moved, tolerance=1e-11, start=found)))
        for name in ("cost", "volumetric", "wholesale", "incidence"):
            quotient = (np.asarray(getattr(ends[0], name)) - np.asarray(getattr(ends[1], name))) / (2.0 * step)
            pairs.setdefault(name, []).append((quotient, getattr(exact, name)[..., d]))
        quotient = (ends[0].price_spread ** 2 - ends[1].price_spread ** 2) / (2.0 * step)
        pairs.setdefault("spread", []).append((quotient, exact.price_variance[d]))
    for found_pairs in pairs.values():
        size = max(float(np.abs(q).max()) for q, _ in found_pairs)
        worst = max(worst, max(float(np.abs(q - e).max()) for q, e in found_pairs) / size)
    return worst


def said(found: Equilibrium) -> str:
    """Status and work of an equilibrium."""
    return f"{found.status}, residual {found.residual:.1e} $/kWh, {found.responses} responses, {found.jacobians} Jacobians"


def standard() -> list[Row]:
    """45 types."""
    households, market = standard_households(), LinearSupply()
    tariff = Tariff("pass-through", buy=0.05, pass_buy=1.0, pass_sell=1.0)
    found, cpu, wall = timed(lambda: equilibrium(households, market, tariff))
    rows = [Row(f"equilibrium, {len(households.types)} types, cold", cpu, 0.1, wall=wall, note=said(found))]
    near = replace(tariff, buy=0.055)
    again, warm, wall = timed(lambda: equilibrium(households, market, near, start=found))
    rows.append(Row("equilibrium, warm", warm, 0.04, wall=wall, note=said(again)))
    _, cpu, wall = timed(lambda: respond(households, tariff, found.price, 0.02))
    rows.append(Row("response, cold", cpu, 0.008, wall=wall))
    _, cpu, wall = timed(lambda: gradients(found, *directions()), 10)
    rows.append(Row("gradients of all criteria / warm equilibrium", cpu / warm, 1.0, "", note=f"{cpu:.3g} s, 8 rates"))
    rows.append(Row("gradients against central differences", gradient_error(households, market, tariff), 1e-5, ""))
    found, cpu, wall = timed(lambda: equilibrium(households, LinearSupply(slope=0.2), tariff, temperature=0.005), 3)
    rows.append(Row("hard equilibrium: slope .2, temperature .005", cpu, 0.3, wall=wall, note=said(found)))
    return rows


def year() -> list[Row]:
    """45 types over a year: three seasons under two skies, 144 prices."""
    households, market = standard_households(season="year"), LinearSupply()
    tariff = Tariff("pass-through", buy=0.05, pass_buy=1.0, pass_sell=1.0)
    found, cpu, wall = timed(lambda: equilibrium(households, market, tariff), 3)
    rows = [Row("equilibrium of a year, 6 regimes, cold", cpu, 1.0, wall=wall, note=said(found))]
    _, cpu, wall = timed(lambda: gradients(found, *directions()), 3)
    rows.append(Row("gradients of a year", cpu, None, wall=wall))
    rows.append(Row("gradients of a year against differences", gradient_error(households, market, tariff), 1e-5, ""))
    netted = Tariff("net metering", buy=0.35, net_metering=True, true_up=0.05)
    _, cpu, wall = timed(lambda: equilibrium(households, market, netted), 3)
    rows.append(Row("net metering with a true-up, a year", cpu, None, wall=wall))
    return rows


def pjm() -> list[Row]:
    """45 types at B, C and D of PJM-5, wholesale prices passed through: 144 prices."""
    case, households = market_case("pjm5"), standard_households()
    place = {"ca": "B", "tx": "C", "vt": "D"}
    households = replace(households, types=[replace(t, bus=place[t.name.split()[-1]]) for t in households.types])
    supply = NetworkSupply(case.market, 0.1, households.buses, 0.3 * case.load)
    found, cpu, wall = timed(lambda: equilibrium(households, supply, Tariff("pass-through", pass_buy=1.0, pass_sell=1.0)), 1)
    return [Row("PJM-5, 144 prices", cpu, 3.0, wall=wall, note=said(found))]


def many(copies: int = COPIES) -> Households:
    """The 45 types, copied, with loads and roofs scaled at random."""
    base, rng = standard_households(), np.random.default_rng(0)
    types = []
    for k in range(copies):
        for t in base.types:
            load, sun = t.load * rng.lognormal(0.0, 0.2) * rng.lognormal(0.0, 0.05, 24), t.sun * rng.lognormal(0.0, 0.2)
            types.append(replace(t, name=f"{t.name} {k}", share=t.share / copies, load=load, sun=sun))
    return Households(types, base.weather)


def child(copies: int) -> None:
    """Equilibrium and gradients of many types; prints seconds and the peak of this process, GB."""
    households = many(copies)
    tariff = Tariff("pass-through", buy=0.05, pass_buy=1.0, pass_sell=1.0)
    found, cpu, wall = timed(lambda: equilibrium(households, LinearSupply(), tariff), 1)
    _, slope, _ = timed(lambda: gradients(found, *directions()), 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(len(households.types), cpu, wall, slope, peak, said(found), sep="|")


def large(copies: int = COPIES) -> list[Row]:
    """10,035 types in a process of their own."""
    command = [sys.executable, "-m", "benchmarks.tariff", "--child", str(copies)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip().split("|")
    types, cpu, wall, slope, peak = (float(x) for x in answer[:5])
    return [
        Row(f"peak memory, {types:.0f} types", peak, 0.5, "GB"),
        Row(f"equilibrium, {types:.0f} types, cold", cpu, None, wall=wall, note=answer[5]),
        Row(f"gradients, {types:.0f} types", slope, None),
    ]


def curve(points: int) -> list[Row]:
    """The frontier between cost and the gap of incidence."""
    problem = DesignProblem(standard_households(), LinearSupply())
    found, cpu, wall = timed(lambda: frontier(problem, np.linspace(0.075, 0.0625, points)), 1)
    good, solved = sum(d.status.success for d in found), sum(d.equilibria for d in found)
    return [Row(f"frontier of {points} points", cpu, 30.0 * points / 50, wall=wall, note=f"{good} of {points} converged, {solved} equilibria")]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frontier", nargs="?", type=int, const=50, default=0, metavar="POINTS", help="with the frontier, of 50 points by default")
    parser.add_argument("--copies", type=int, default=COPIES, help="of the 45 types, in the large run")
    parser.add_argument("--child", type=int, default=0, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        child(asked.child)
        return
    print(f"load of the machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, NumPy {np.__version__}")
    print(f"{'':44} {'CPU':>10} {'wall':>8} {'target':>8}")
    parts = [standard, year, pjm, lambda: large(asked.copies)] + ([lambda: curve(asked.frontier)] if asked.frontier else [])
    for part in parts:
        for row in part():
            print(row, flush=True)
    print("compiled code: " + ("numba was loaded" if "numba" in sys.modules else "none, plain NumPy"))


if __name__ == "__main__":
    main()
