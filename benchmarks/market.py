"""Market clearing: DC optimal power flows against PYPOWER, and equilibria of households on PJM-5: ``python -m benchmarks.market``.

Both sides solve the same cases in this process; objectives are compared before times are. Times are wall seconds, the median of a few repeats,
reading left out on both sides. PYPOWER is skipped where it is not installed.
"""

from __future__ import annotations

import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from stackopt.energy.equilibrium import equilibrium
from stackopt.energy.market.cases import market_case
from stackopt.energy.market.dispatch import dispatch
from stackopt.energy.market.matpower import read_matpower
from stackopt.energy.market.smooth import NetworkSupply
from stackopt.energy.standard import standard_households
from stackopt.energy.tariff import Tariff

CASES = ("case14", "case30", "case57", "case118")


def timed(run: Callable[[], Any], repeats: int = 5) -> tuple[Any, float]:
    """(what it returns, median seconds)."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        found = run()
        seconds.append(time.perf_counter() - start)
    return found, statistics.median(seconds)


def written(path: Path, case: dict[str, Any]) -> Path:
    """A PYPOWER case as a MATPOWER file."""
    text = ["function mpc = peer", f"mpc.baseMVA = {case['baseMVA']};"]
    for name in ("bus", "gen", "branch", "gencost"):
        text += [f"mpc.{name} = [", *("\t".join(repr(float(x)) for x in row) + ";" for row in case[name]), "];"]
    path.write_text("\n".join(text))
    return path


def networks() -> None:
    """IEEE cases: objectives, seconds, ratio."""
    try:
        from pypower import api
    except ImportError:
        print("PYPOWER is not installed: pip install pypower")
        return
    quiet = api.ppoption(VERBOSE=0, OUT_ALL=0)
    print(f"{'case':8} {'cost, $/h':>15} {'difference':>11} {'ours, s':>9} {'PYPOWER, s':>11} {'ratio':>6}")
    for name in CASES:
        with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
            warnings.simplefilter("ignore")
            market, load = read_matpower(written(Path(folder) / "peer.m", getattr(api, name)()))
            found, ours = timed(lambda market=market, load=load: dispatch(market, load))
            peer, theirs = timed(lambda name=name: api.rundcopf(getattr(api, name)(), quiet))
        print(f"{name:8} {found.cost:15.6f} {found.cost - peer['f']:11.1e} {ours:9.4f} {theirs:11.4f} {ours / theirs:6.2f}")


def equilibria() -> None:
    """45 types of households at B, C and D of PJM-5, wholesale prices passed through: 144 prices."""
    case, households = market_case("pjm5"), standard_households()
    place = {"ca": "B", "tx": "C", "vt": "D"}
    households = replace(households, types=[replace(t, bus=place[t.name.split()[-1]]) for t in households.types])
    tariff = Tariff("pass-through", pass_buy=1.0, pass_sell=1.0)
    print("\nPJM-5, 144 prices, base load 0.3 of the case's")
    print(f"{'barrier':>8} {'temperature':>12} {'status':>10} {'residual, $/kWh':>16} {'responses':>10} {'seconds':>8}")
    for barrier in (10.0, 1.0, 0.1):
        for temperature in (0.02, 0.005):
            supply = NetworkSupply(case.market, barrier, households.buses, 0.3 * case.load)
            found, seconds = timed(lambda s=supply, t=temperature: equilibrium(households, s, tariff, temperature=t), 1)
            print(f"{barrier:8g} {temperature:12g} {found.status!s:>10} {found.residual:16.1e} {found.responses:10d} {seconds:8.2f}")


if __name__ == "__main__":
    networks()
    equilibria()
