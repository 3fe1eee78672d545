"""A day of the duck curve on PJM-5, for tests: sun at noon, a four-hour battery, slow plants."""

from dataclasses import replace

import numpy as np
from towns import LOAD, SUN

from stackopt.energy.market.cases import market_case
from stackopt.energy.market.network import Storage


def duck():
    """(market, net load [5, 24] MW): the case's loads in the shape of a day, less 300 MW of panels at C."""
    case = market_case("pjm5")
    plants = [
        replace(g, ramp={"Brighton": 60.0, "Solitude": 80.0}.get(g.name, np.inf), cost=(g.linear, 0.01 if g.name == "Solitude" else 0.0))
        for g in case.market.generators
    ]
    load = case.load[:, None] * LOAD / LOAD.max()
    load[2] -= 300.0 * SUN / SUN.max()
    return replace(case.market, generators=tuple(plants), storages=(Storage("battery", "C", 50.0, 200.0, 0.85),)), load
