"""Markets for tests: a day of the duck curve on PJM-5, and networks short of plants and lines."""

from dataclasses import replace

import numpy as np
from towns import LOAD, SUN

from stackopt.energy.market.cases import market_case
from stackopt.energy.market.network import Generator, Line, Market, Storage


def duck():
    """(market, net load [5, 24] MW), with a four-hour battery and slow plants: loads in the shape of a day, less 300 MW of panels at C."""
    case = market_case("pjm5")
    plants = [
        replace(g, ramp={"Brighton": 60.0, "Solitude": 80.0}.get(g.name, np.inf), cost=(g.linear, 0.01 if g.name == "Solitude" else 0.0))
        for g in case.market.generators
    ]
    load = case.load[:, None] * LOAD / LOAD.max()
    load[2] -= 300.0 * SUN / SUN.max()
    return replace(case.market, generators=tuple(plants), storages=(Storage("battery", "C", 50.0, 200.0, 0.85),)), load


def scarce(seed):
    """A meshed network with tight lines, too few plants and buses without load."""
    rng = np.random.default_rng(seed)
    ends = [(0, 1), (1, 2), (2, 3), (0, 3), (0, 2)]
    lines = [Line(f"l{k}", f"b{a}", f"b{b}", rng.uniform(0.05, 0.3), rng.choice([8.0, 20.0, np.inf])) for k, (a, b) in enumerate(ends)]
    plants = [Generator(f"g{k}", f"b{rng.integers(4)}", rng.uniform(10, 80), (rng.uniform(5, 60), 0.02)) for k in range(3)]
    market = Market([f"b{k}" for k in range(4)], lines, plants, voll=1000.0, spill=0.0)
    return market, rng.uniform(0, 70, 4) * (rng.random(4) < 0.6)
