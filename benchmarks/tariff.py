"""The tariff study at its standard size, and far above: seconds and memory against targets: ``python -m benchmarks.tariff [--frontier]``.

45 types of households (income fifths x consumer, panels, panels and battery x load shapes), 24 hours, 2 weather regimes, 11 levels of charge,
in plain NumPy on one thread. Seconds are of the process (CPU) and of the wall, the smallest of a few repeats; on a busy machine only the
former mean something. Populations of many types run in processes of their own, whose peak memory is their own. `benchmarks.tariff_hard` has the
instances that are hard to settle, `benchmarks.tariff_designs` an independent look for better designs.
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
from stackopt.energy.designs.frontier import frontier
from stackopt.energy.designs.problem import DesignProblem
from stackopt.energy.designs.reach import smallest
from stackopt.energy.equilibrium import Equilibrium, equilibrium
from stackopt.energy.gradients import gradients
from stackopt.energy.households import Battery, Households
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
        ratio = "" if self.target is None else f"{self.measured / self.target:.2g}"
        return f"{self.what:56} {self.measured:10.3g} {wall:>8} {target:>8} {self.unit:6} {ratio:8} {self.note}"


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
    _, cpu, wall = timed(lambda: respond(households, tariff, found.price + 1e-3, 0.02, found.response), 20)
    rows.append(Row("response, warm", cpu, 0.003, wall=wall))
    gain, cpu, wall = timed(lambda: float(households.share @ replace(found.response).exploitability()))
    rows.append(Row("exploitability", cpu, 0.025, wall=wall, note=f"{gain:.2g} $ a day and household"))
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


def first() -> list[Row]:
    """A fresh process: what import and the first equilibrium take, nothing being compiled."""
    lines = (
        "import time; began = time.process_time()",
        "from stackopt.energy.equilibrium import equilibrium",
        "from stackopt.energy.market.supply import LinearSupply",
        "from stackopt.energy.standard import standard_households",
        "from stackopt.energy.tariff import Tariff",
        "equilibrium(standard_households(), LinearSupply(), Tariff('pass-through', pass_buy=1.0, pass_sell=1.0))",
        "print(time.process_time() - began)",
    )
    runs = [float(subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True).stdout) for _ in range(3)]
    return [Row("first equilibrium of a fresh process", min(runs), 3.0)]


def pjm() -> list[Row]:
    """45 types at B, C and D of PJM-5: 144 prices, passed through and under rates by time of use."""
    case, households = market_case("pjm5"), standard_households()
    place = {"ca": "B", "tx": "C", "vt": "D"}
    households = replace(households, types=[replace(t, bus=place[t.name.split()[-1]]) for t in households.types])
    rows = []
    peak = np.where((np.arange(24) >= 16) & (np.arange(24) < 21), 0.36, 0.28)
    for tariff in (Tariff("pass-through", pass_buy=1.0, pass_sell=1.0), Tariff("time of use, exports at wholesale", buy=peak, pass_sell=1.0)):
        supply = NetworkSupply(case.market, 0.1, households.buses, 0.3 * case.load)
        found, cpu, wall = timed(lambda tariff=tariff, supply=supply: equilibrium(households, supply, tariff), 1)
        rows.append(Row(f"PJM-5, 144 prices, {tariff.name}", cpu, 3.0, wall=wall, note=said(found)))
    return rows


def many(copies: int = COPIES, levels: int = 11, only_batteries: bool = False) -> Households:
    """The 45 types, or the 15 with a battery, copied, with loads and roofs scaled at random."""
    rest: dict[str, Any] = {"adoption": [1.0] * 5, "attachment": 1.0} if only_batteries else {}
    base, rng = standard_households(battery=Battery(levels=levels), **rest), np.random.default_rng(0)
    types = []
    for k in range(copies):
        for t in base.types:
            load, sun = t.load * rng.lognormal(0.0, 0.2) * rng.lognormal(0.0, 0.05, 24), t.sun * rng.lognormal(0.0, 0.2)
            types.append(replace(t, name=f"{t.name} {k}", share=t.share / copies, load=load, sun=sun))
    return Households(types, base.weather)


def child(copies: int, levels: int, only_batteries: bool) -> None:
    """Equilibrium and gradients of many types; prints seconds and the peak of this process, GB."""
    households = many(copies, levels, only_batteries)
    tariff = Tariff("pass-through", buy=0.05, pass_buy=1.0, pass_sell=1.0)
    found, cold, _ = timed(lambda: equilibrium(households, LinearSupply(), tariff), 1)
    _, warm, _ = timed(lambda: equilibrium(households, LinearSupply(), replace(tariff, buy=0.055), start=found), 1)
    _, answer, _ = timed(lambda: respond(households, tariff, found.price + 1e-3, 0.02, found.response), 1)
    _, slope, _ = timed(lambda: gradients(found, *directions()), 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(len(households.types), cold, warm, answer, slope, peak, said(found), sep="|")


def large(copies: int, levels: int = 11, only_batteries: bool = False, target: float | None = None) -> list[Row]:
    """Many types in a process of their own."""
    command = [sys.executable, "-m", "benchmarks.tariff", "--child", str(copies), str(levels), str(int(only_batteries))]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip().split("|")
    types, cold, warm, answer, slope, peak = (float(x) for x in found[:6])
    note = f"warm {warm:.3g}, response {answer:.3g}, gradients {slope:.3g} s; {found[6]}"
    who = f"{types:,.0f} types{', all with batteries' if only_batteries else ''}, {levels} levels"
    return [Row(f"equilibrium, {who}", cold, target, note=note), Row("   peak memory", peak, 0.5, "GB")]


def curve(points: int) -> list[Row]:
    """Frontiers between cost and the gap of incidence, and of fewer points between cost and the peak."""
    problem = DesignProblem(standard_households(), LinearSupply())
    rows = []
    least = smallest(problem, "peak")
    for over, limits in (("gap", np.linspace(0.075, 0.0625, points)), ("peak", np.linspace(1550.0, least.value + 20.0, max(2, points // 5)))):
        found, cpu, wall = timed(lambda over=over, limits=limits: frontier(problem, limits, over=over), 1)
        good, solved = sum(d.status.success for d in found), sum(d.equilibria for d in found)
        note = f"{good} of {len(limits)} converged, {solved} equilibria"
        rows.append(Row(f"frontier over the {over}, {len(limits)} points", cpu, 30.0 * points / 50 if over == "gap" else None, wall=wall, note=note))
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frontier", nargs="?", type=int, const=50, default=0, metavar="POINTS", help="with the frontier, of 50 points by default")
    parser.add_argument("--copies", type=int, default=COPIES, help="of the 45 types, in the largest run")
    parser.add_argument("--levels", action="store_true", help="with the runs of 50 levels of charge, which take minutes")
    parser.add_argument("--child", nargs=3, type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        child(asked.child[0], asked.child[1], bool(asked.child[2]))
        return
    print(f"load of the machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, NumPy {np.__version__}")
    print(f"{'':56} {'CPU':>10} {'wall':>8} {'target':>8} {'':6} ratio")
    parts: list[Callable[[], list[Row]]] = [standard, year, first, pjm, lambda: large(10, target=0.8)]
    if asked.copies >= 100:
        parts.append(lambda: large(100, target=6.4))
    parts.append(lambda: large(asked.copies, target=14.0 if asked.copies == COPIES else None))
    if asked.levels:
        parts += [lambda: large(10, 50, target=2.8), lambda: large(70, 50, True, target=22.0)]
    if asked.frontier:
        parts.append(lambda: curve(asked.frontier))
    for part in parts:
        for row in part():
            print(row, flush=True)
    print("compiled code: " + ("numba was loaded" if "numba" in sys.modules else "none, plain NumPy"))


if __name__ == "__main__":
    main()
