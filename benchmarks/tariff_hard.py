"""Price equilibria that are hard to settle: which converge, at what work, and why others do not: ``python -m benchmarks.tariff_hard [-v]``.

Populations from the standard one to batteries in half of all homes, five kinds of tariff, supply slopes up to .6 $/MWh per MW and temperatures down to
.0003 $. *Refused* are tariffs under which the market would take prices to where exports are paid more than imports cost. Equal pass-through on
both sides has one equilibrium; inverse pass-through, where rates fall as prices rise, may have none that is lawful, or several.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import time
from collections import Counter

import stackopt as so
from stackopt.energy.equilibrium import equilibrium
from stackopt.energy.market.supply import LinearSupply
from stackopt.energy.standard import standard_households
from stackopt.energy.tariff import Tariff

POPULATIONS = {
    "4 % of homes with batteries": standard_households(),
    "15 %, every panel": standard_households(attachment=1.0),
    "20 %": standard_households(adoption=[0.2] * 5, attachment=1.0),
    "50 %": standard_households(adoption=[0.5] * 5, attachment=1.0),
}
TARIFFS = (
    Tariff("pass-through", buy=0.05, pass_buy=1.0, pass_sell=1.0),
    Tariff("real-time imports", buy=0.1, sell=0.03, pass_buy=1.0),
    Tariff("exports at 1.5 wholesale", buy=0.2, pass_buy=1.0, pass_sell=1.5),
    Tariff("net billing", buy=0.3, pass_sell=1.0),
    Tariff("inverse pass-through", buy=0.6, sell=0.3, pass_buy=-1.0, pass_sell=-0.5),
)
SLOPES, TEMPERATURES = (0.045, 0.2, 0.6), (0.02, 0.005, 0.001, 0.0003)


def main() -> None:
    """Print a line for each population and tariff, and every instance that did not converge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-v", "--verbose", action="store_true", help="every instance")
    asked = parser.parse_args()
    print(f"{'batteries':28} {'tariff':26} {'converged':>9} {'refused':>8} {'limit':>6} {'responses':>10} {'most':>5} {'CPU s':>7}")
    whole: Counter[str] = Counter()
    for population, households in POPULATIONS.items():
        for tariff in TARIFFS:
            ends: Counter[str] = Counter()
            work, most, lines = 0, 0, []
            began = time.process_time()
            for slope in SLOPES:
                for temperature in TEMPERATURES:
                    try:
                        found = equilibrium(households, LinearSupply(slope=slope), tariff, temperature=temperature)
                    except so.InvalidStudy:
                        ends["refused"] += 1
                        continue
                    word = "converged" if found.converged else "limit"
                    ends[word], work, most = ends[word] + 1, work + found.responses, max(most, found.responses)
                    if asked.verbose or not found.converged:
                        lines.append(f"    slope {slope:g}, temperature {temperature:g}: {found.status}, {found.because}; {found.responses} responses")
            seconds = time.process_time() - began
            print(f"{population:28} {tariff.name:26} {ends['converged']:9} {ends['refused']:8} {ends['limit']:6} {work:10} {most:5} {seconds:7.2f}")
            print("\n".join(lines), end="\n" if lines else "", flush=True)
            whole.update(ends)
    print(f"{'all':55} {whole['converged']:9} {whole['refused']:8} {whole['limit']:6}")


if __name__ == "__main__":
    main()
