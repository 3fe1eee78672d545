"""A day of the duck curve on PJM-5: sun at noon, a four-hour battery, slow plants; against PyPSA where it is installed."""

import logging
import warnings
from dataclasses import replace

import numpy as np
import pytest
from towns import LOAD, SUN

from stackopt.energy.market.cases import market_case
from stackopt.energy.market.dispatch import dispatch
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


def test_storage_and_ramps_are_worth_what_they_save():
    market, load = duck()
    found = dispatch(market, load, cyclic=True)
    assert np.abs(np.diff(found.generation, axis=1, append=found.generation[:, :1])).max(1)[4] <= 60.0 + 1e-6
    assert found.state[0].max() <= 200.0 + 1e-6
    assert not found.burning.any()
    without = dispatch(replace(market, storages=()), load, cyclic=True)
    assert found.cost < without.cost
    assert np.abs(found.rent - found.paid).max() <= 1e-4
    charged, given = found.charge.sum(), found.discharge.sum()
    assert given == pytest.approx(0.85 * charged, rel=1e-6)
    step = np.zeros_like(load)
    step[3, 18] = 0.05
    quotient = (dispatch(market, load + step, cyclic=True).cost - dispatch(market, load - step, cyclic=True).cost) / 0.1
    low, high = found.range
    assert low[3, 18] - 1e-3 <= quotient <= high[3, 18] + 1e-3


def _peer(pypsa, market, load, cyclic):
    """The same day as a PyPSA network, solved."""
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _solved(pypsa, market, load, cyclic)
        finally:
            logging.disable(logging.NOTSET)


def _solved(pypsa, market, load, cyclic):
    peer = pypsa.Network()
    peer.set_snapshots(range(24))
    for n, bus in enumerate(market.buses):
        peer.add("Bus", bus, v_nom=1.0)
        peer.add("Load", f"load {bus}", bus=bus, p_set=load[n])
    for line in market.lines:
        peer.add("Line", line.name, bus0=line.start, bus1=line.end, x=line.reactance, s_nom=min(line.capacity, 1e5))
    for plant in market.generators:
        limit = plant.ramp / plant.capacity if np.isfinite(plant.ramp) else np.nan
        costs = {"marginal_cost": plant.linear, "marginal_cost_quadratic": plant.quadratic}
        peer.add("Generator", plant.name, bus=plant.bus, p_nom=plant.capacity, ramp_limit_up=limit, ramp_limit_down=limit, **costs)
    for store in market.storages:
        each = {f"efficiency_{way}": np.sqrt(store.efficiency) for way in ("store", "dispatch")}
        size = {"p_nom": store.power, "max_hours": store.energy / store.power}
        peer.add("StorageUnit", store.name, bus=store.bus, cyclic_state_of_charge=cyclic, **size, **each)
    peer.optimize(solver_name="highs", log_to_console=False)
    return peer


@pytest.mark.parametrize("cyclic", [False, True])
def test_the_day_costs_what_pypsa_says(cyclic):
    pypsa = pytest.importorskip("pypsa")
    market, load = duck()
    if cyclic:  # PyPSA's ramps do not hold overnight
        market = replace(market, generators=tuple(replace(g, ramp=np.inf) for g in market.generators))
    peer, found = _peer(pypsa, market, load, cyclic), dispatch(market, load, cyclic=cyclic)
    assert found.cost == pytest.approx(peer.objective, rel=1e-6)
    low, high = found.range
    prices = peer.buses_t.marginal_price[list(market.buses)].to_numpy().T
    assert (prices >= low - 1e-2).all()
    assert (prices <= high + 1e-2).all()
