"""Markets against PyPSA with HiGHS and PYPOWER (``pip install stackopt[peers-energy]``): costs, dispatch, flows and prices.

Networks and loads are ours (data/energy/market), costs those of MATPOWER's files since 2014. PYPOWER's own copies of cases 14, 57 and 118 carry
them rounded to six digits; both versions are solved. HiGHS is used by PyPSA on quadratic programs to about 1e-4 $/MWh, which sets tolerances.
"""

import contextlib
import io
import logging
import warnings
from dataclasses import replace

import networkx as nx
import numpy as np
import pytest
from duck import duck
from towns import LOAD

from stackopt.energy.market.cases import market_case
from stackopt.energy.market.dispatch import dispatch
from stackopt.energy.market.network import Market, Storage

IEEE = ["case14", "case30", "case57", "case118"]
#: PYPOWER's own copies of the cases, $/h: with rounded costs, and not.
ROUNDED = {"case14": 7642.593735, "case30": 565.205966, "case39": 41263.940786, "case57": 41006.735279, "case118": 125947.872678}


def congested(name):
    """(market, load) of a reference case whose five most used lines carry 85 % of what they would; lines without a way around are left alone."""
    case = market_case(name)
    flow = np.abs(dispatch(case.market, case.load).flow[:, 0])
    alone = {frozenset(ends) for ends in nx.bridges(nx.Graph(case.market.graph))}
    tight = [k for k in np.argsort(flow) if frozenset((case.market.lines[k].start, case.market.lines[k].end)) not in alone][-5:]
    lines = [replace(line, capacity=0.85 * flow[k]) if k in tight else line for k, line in enumerate(case.market.lines)]
    return replace(case.market, lines=tuple(lines)), case.load


@contextlib.contextmanager
def quiet():
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def by_pypsa(market, load, *, cyclic=False):
    """The market as a PyPSA network, solved."""
    with quiet():
        pypsa = pytest.importorskip("pypsa")
        peer = pypsa.Network()
        peer.set_snapshots(range(load.shape[1]))
        plants, stores, buses = market.generators, market.storages, list(market.buses)
        peer.add("Bus", buses, v_nom=1.0)
        peer.add("Load", [f"load {bus}" for bus in buses], bus=buses, p_set=load.T)
        lines = [line.name for line in market.lines]
        ends = {f"bus{k}": [getattr(line, end) for line in market.lines] for k, end in enumerate(("start", "end"))}
        peer.add("Line", lines, **ends, x=market.column("lines", "reactance"), s_nom=np.minimum(market.column("lines", "capacity"), 1e5))
        capacity, ramp = market.column("generators", "capacity"), market.column("generators", "ramp")
        limit = np.where(np.isfinite(ramp), ramp / capacity, np.nan)
        costs = {"marginal_cost": market.column("generators", "linear"), "marginal_cost_quadratic": market.column("generators", "quadratic")}
        limits = {"p_min_pu": market.column("generators", "minimum") / capacity, "ramp_limit_up": limit, "ramp_limit_down": limit}
        peer.add("Generator", [g.name for g in plants], bus=[g.bus for g in plants], p_nom=capacity, **limits, **costs)
        for store in stores:
            each = {f"efficiency_{way}": np.sqrt(store.efficiency) for way in ("store", "dispatch")}
            size = {"p_nom": store.power, "max_hours": store.energy / store.power}
            peer.add("StorageUnit", store.name, bus=store.bus, cyclic_state_of_charge=cyclic, **size, **each)
        status, condition = peer.optimize(solver_name="highs", log_to_console=False)
    assert (status, condition) == ("ok", "optimal")
    return peer


def by_pypower(market, load):
    """The market as a PYPOWER case, solved: (case, result)."""
    with quiet():
        api = pytest.importorskip("pypower.api")
        bus = np.zeros((len(market.buses), 13))
        bus[:, 0], bus[:, 1], bus[:, 2] = 1 + np.arange(len(market.buses)), 1, load
        bus[[island[0] for island in market.islands], 1] = 3
        bus[:, [7, 9, 11, 12]] = [1.0, 1.0, 1.1, 0.9]
        gen = np.zeros((len(market.generators), 21))
        gen[:, 0], gen[:, 7], gen[:, 5], gen[:, 6] = 1 + market.bus_of("generators"), 1, 1.0, market.base
        gen[:, 8], gen[:, 9] = market.column("generators", "capacity"), market.column("generators", "minimum")
        branch = np.zeros((len(market.lines), 13))
        branch[:, 0], branch[:, 1] = 1 + market.bus_of("lines", "start"), 1 + market.bus_of("lines", "end")
        branch[:, 3], branch[:, 10], branch[:, 11], branch[:, 12] = market.column("lines", "reactance"), 1, -360, 360
        capacity = market.column("lines", "capacity")
        branch[:, 5] = np.where(np.isfinite(capacity), capacity, 0.0)
        branch[:, 9] = np.rad2deg(market.column("lines", "shift"))
        cost = np.array([[2, 0, 0, 3, g.quadratic, g.linear, g.constant] for g in market.generators], float)
        case = {"version": "2", "baseMVA": market.base, "bus": bus, "gen": gen, "branch": branch, "gencost": cost, "areas": np.array([[1, 1]])}
        found = api.rundcopf(case, api.ppoption(VERBOSE=0, OUT_ALL=0))
    assert found["success"]
    return found


def market_of(name, tight):
    if tight:
        return congested(name)
    case = market_case(name)
    return case.market, case.load


@pytest.mark.parametrize("tight", [False, True], ids=["free", "congested"])
@pytest.mark.parametrize("name", IEEE)
def test_ieee_networks_as_pypsa_solves_them(name, tight):
    market, load = market_of(name, tight)
    peer, found = by_pypsa(market, load[:, None]), dispatch(market, load)
    assert found.congested.any() == tight
    assert found.cost - sum(g.constant for g in market.generators) == pytest.approx(peer.objective, rel=1e-6)
    prices = peer.buses_t.marginal_price[list(market.buses)].to_numpy().T
    assert np.abs(found.price - prices).max() <= 5e-4
    assert np.ptp(found.price) > 1.0 or not tight
    output = peer.generators_t.p[[g.name for g in market.generators]].to_numpy().T
    assert np.abs(found.generation - output).max() <= 5e-3
    flow = peer.lines_t.p0[[line.name for line in market.lines]].to_numpy().T
    assert np.abs(found.flow - flow).max() <= 5e-3


@pytest.mark.parametrize(("name", "tight"), [*((name, tight) for name in IEEE for tight in (False, True)), ("case39", False)])
def test_ieee_networks_as_pypower_solves_them(name, tight):
    market, load = market_of(name, tight)
    peer, found = by_pypower(market, load), dispatch(market, load)
    assert found.cost == pytest.approx(peer["f"], rel=1e-8)
    assert np.abs(found.price[:, 0] - peer["bus"][:, 13]).max() <= 2e-5
    assert np.abs(found.generation[:, 0] - peer["gen"][:, 1]).max() <= 2e-5
    assert np.abs(found.flow[:, 0] - peer["branch"][:, 13]).max() <= 2e-5


@pytest.mark.parametrize("name", list(ROUNDED))
def test_rounded_costs_move_the_optimum_in_the_seventh_digit(name):
    """Ours with the costs of PYPOWER's copy costs what PYPOWER says of that copy, not what MATPOWER's costs give."""
    api = pytest.importorskip("pypower.api")
    case, costs = market_case(name), getattr(api, name)()["gencost"]
    plants = [replace(g, cost=(c[5], c[4]), constant=c[6]) for g, c in zip(case.market.generators, costs, strict=True)]
    assert dispatch(replace(case.market, generators=tuple(plants)), case.load).cost == pytest.approx(ROUNDED[name], abs=2e-4)
    assert abs(case.cost - ROUNDED[name]) <= 1e-6 * case.cost


def test_phase_shifters_as_pypower_solves_them():
    market, load = congested("case14")
    lines = [replace(line, shift=0.03 * (-1) ** k) if k % 4 == 0 else line for k, line in enumerate(market.lines)]
    market = replace(market, lines=tuple(lines))
    peer, found = by_pypower(market, load), dispatch(market, load)
    assert found.cost == pytest.approx(peer["f"], rel=1e-8)
    assert np.abs(found.price[:, 0] - peer["bus"][:, 13]).max() <= 1e-4


def _agrees(market, load, *, cyclic):
    peer, found = by_pypsa(market, load, cyclic=cyclic), dispatch(market, load, cyclic=cyclic)
    assert found.cost == pytest.approx(peer.objective, rel=1e-6)
    low, high = found.range
    prices = peer.buses_t.marginal_price[list(market.buses)].to_numpy().T
    assert (prices >= low - 1e-3).all()
    assert (prices <= high + 1e-3).all()
    return found


@pytest.mark.parametrize("cyclic", [False, True])
def test_the_duck_day_costs_what_pypsa_says(cyclic):
    market, load = duck()
    if cyclic:  # PyPSA's ramps do not hold overnight
        market = replace(market, generators=tuple(replace(g, ramp=np.inf) for g in market.generators))
    found = _agrees(market, load, cyclic=cyclic)
    if not cyclic:
        brighton = found.generation[4]
        assert np.isclose(np.abs(np.diff(brighton)), 60.0, atol=1e-4).any()  # a ramp binds


def test_a_day_of_a_congested_mesh_with_two_storages_costs_what_pypsa_says():
    market, load = congested("case30")
    stores = (Storage("north", "8", 5.0, 20.0, 0.85), Storage("south", "21", 4.0, 8.0, 0.9))
    plants = tuple(replace(g, ramp=6.0) for g in market.generators)
    market = Market(market.buses, market.lines, plants, stores, base=market.base)
    found = _agrees(market, load[:, None] * (0.5 + 0.5 * LOAD / LOAD.max()), cyclic=False)
    assert found.congested.any()
    assert found.discharge.sum() > 1.0
    assert np.isclose(np.abs(np.diff(found.generation)), 6.0, atol=1e-4).any()
