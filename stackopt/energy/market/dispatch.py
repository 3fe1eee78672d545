r"""Economic dispatch and DC optimal power flow over hours: the cheapest way to serve a load, and what one more MW costs where.

The program, hours t, buses n; flows follow from angles, one reference in each island:

.. math:: \min\sum_t\sum_g c_g(p_{gt})+\mathrm{voll}\sum u_{nt}+\mathrm{spill}\sum w_{nt},\qquad
   \sum_{g\in n}p_{gt}+u_{nt}-w_{nt}+\text{storage}-\sum_l K_{ln}f_{lt}=\text{load}_{nt}.

Prices are the multipliers of the balance with the load alone on its right-hand side, which makes them derivatives of the cost in the load
whatever sign a solver gives its rows. Where the cost has a kink the price is not unique (`Dispatch.range`). Only load that is there can be shed, so
the multiplier of a bus whose load is shed whole can exceed voll: a MW put in there would relieve lines besides. One MW of load more is shed like
the rest, at voll, and that is the price.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackopt.backends.matrix import duality_gap, minimise
from stackopt.display import Block, number
from stackopt.energy.market.kinks import multiplier_range
from stackopt.energy.market.network import Market, hours_of
from stackopt.energy.market.program import Program, build
from stackopt.errors import InvalidStudy, StackoptError
from stackopt.solution import Status

Array = NDArray[np.float64]

#: MW below which a quantity counts as none.
NONE = 1e-6


@dataclass(frozen=True, eq=False)
class Dispatch:
    """The cheapest dispatch, proved by its multipliers. Axes: g generators, l lines, s storages, n buses, t hours of one hour each.

    Attributes
    ----------
    market : Market
    load : array [n, t], MW
    cost : float, $
        Of all hours: generation, load not served and surplus given away.
    gap : float, $
        The most by which another dispatch could be cheaper, by the multipliers.
    generation : array [g, t], MW
    flow : array [l, t], MW
        From a line's start to its end.
    angle : array [n, t], radian
    price : array [n, t], $/MWh
        Derivative of `cost` in the load; one of several where `degenerate`.
    charge, discharge : array [s, t], MW
        At the bus.
    state : array [s, t], MWh
        At the end of each hour.
    unserved, spilled : array [n, t], MW
    cyclic : bool
    """

    market: Market
    load: Array
    cost: float
    gap: float
    generation: Array
    flow: Array
    angle: Array
    price: Array
    charge: Array
    discharge: Array
    state: Array
    unserved: Array
    spilled: Array
    cyclic: bool
    program: Program
    point: Array
    multipliers: Array

    @property
    def rent(self) -> Array:
        """Congestion rent [t], $/h: what loads pay less what plants and storage are paid, which is what lines earn between their ends."""
        start, end = self.market.bus_of("lines", "start"), self.market.bus_of("lines", "end")
        found: Array = ((self.price[end] - self.price[start]) * self.flow).sum(0)
        return found

    @property
    def paid(self) -> Array:
        """What loads served and surplus pay less what plants and storage are paid [t], $/h: equals `rent`."""
        market = self.market
        taken = self.load - self.unserved + self.spilled
        plants = (self.price[market.bus_of("generators")] * self.generation).sum(0)
        stores = (self.price[market.bus_of("storages")] * (self.discharge - self.charge)).sum(0)
        found: Array = (self.price * taken).sum(0) - plants - stores
        return found

    @property
    def congested(self) -> NDArray[np.bool_]:
        """Lines at a limit [l, t]."""
        capacity = self.market.column("lines", "capacity")[:, None]
        found: NDArray[np.bool_] = np.abs(self.flow) >= capacity - NONE * np.where(np.isfinite(capacity), 1.0 + capacity, 1.0)
        return found

    @property
    def burning(self) -> NDArray[np.bool_]:
        """Storage that charges and discharges in one hour [s, t]: below price 0 losses pay, which real devices cannot do."""
        found: NDArray[np.bool_] = np.minimum(self.charge, self.discharge) > NONE
        return found

    @cached_property
    def range(self) -> tuple[Array, Array]:
        """(lowest, highest) price [n, t], $/MWh: the left and the right derivative of the cost in the load; infinite where the load
        cannot fall or rise.
        """
        low, high = multiplier_range(self.program, self.point, self.multipliers, self.load.size)
        return _of_load(self.market, self.load, low), _of_load(self.market, self.load, high)

    @property
    def degenerate(self) -> NDArray[np.bool_]:
        """Where the price is not unique [n, t]."""
        low, high = self.range
        found: NDArray[np.bool_] = high - low > 1e-6 * (1.0 + np.abs(self.price))
        return found

    def block(self) -> Block:
        """The printed form."""
        hours = self.load.shape[1]
        rows = [
            ("cost", f"{number(self.cost, 9)} $, proved to {number(self.gap, 2)} $"),
            ("load", f"{number(self.load.sum())} MWh in {hours} hours" if hours > 1 else f"{number(self.load.sum())} MW"),
            ("prices", f"{number(self.price)} $/MWh"),
            ("congestion", f"{int(self.congested.sum())} lines and hours at a limit, rent {number(self.rent.sum())} $"),
        ]
        rows += [("unserved", f"{number(self.unserved.sum())} MWh at {number(self.market.voll)} $/MWh")] if self.unserved.sum() > NONE else []
        rows += [("spilled", f"{number(self.spilled.sum())} MWh")] if self.spilled.sum() > NONE else []
        rows += [("not physical", f"{int(self.burning.sum())} hours in which storage charges and discharges at once")] if self.burning.any() else []
        return Block("Dispatch", tuple(rows), good=not (self.unserved.sum() > NONE or self.burning.any()))

    def __str__(self) -> str:
        return self.block().text()

    __repr__ = __str__


def dispatch(market: Market, load: Any, *, cyclic: bool = False, time_limit: float = 60.0) -> Dispatch:
    """Serve a load at the least cost.

    Parameters
    ----------
    market : Market
    load : array [n, t] or [n], MW
        Net of what households generate; negative where they export more than is used. Hours are consecutive.
    cyclic : bool
        Whether the last hour is followed by the first: storage ends as it begins and ramps hold overnight.
    time_limit : float
        Seconds.

    Returns
    -------
    Dispatch
        Optimal to the gap it states.

    Raises
    ------
    InvalidStudy
        ``hours``, ``not-finite``, ``market-island``, ``market-infeasible``; ``market-failed`` where nothing was proved.
    """
    demand = hours_of(market, load)
    _supplied(market, demand)
    program = build(market, demand, cyclic)
    constant = float(market.column("generators", "constant").sum()) * demand.shape[1]
    given = (program.linear, program.matrix, program.row_lower, program.row_upper, program.lower, program.upper)
    found = minimise(*given, hessian=program.hessian, constant=constant, time_limit=time_limit, interior=True)
    if found.status is Status.INFEASIBLE:
        raise InvalidStudy("market-infeasible", where=_where(market, demand))
    if found.status is not Status.OPTIMAL or found.x is None or found.row_dual is None:
        raise StackoptError("market-failed", got=f"{found.status}, {found.because}")
    x, gap, part = found.x, found.value - found.bound, program.of
    if np.minimum(part(x, "charge"), part(x, "discharge")).max(initial=0.0) > NONE:
        x, gap = _physical(program, x, found.row_dual, gap, time_limit)
    value = constant + float(program.linear @ x) + 0.5 * float(x @ (program.hessian @ x))
    angle = part(x, "angle")
    start, end = market.bus_of("lines", "start"), market.bus_of("lines", "end")
    flow = market.susceptance[:, None] * ((angle[start] - angle[end]) / market.base - market.column("lines", "shift")[:, None])
    return Dispatch(
        market, demand, value, max(gap, 0.0), part(x, "generation"), flow, angle / market.base,
        _of_load(market, demand, found.row_dual[: demand.size]), part(x, "charge"), part(x, "discharge"), part(x, "state"),
        part(x, "unserved"), part(x, "spilled"), cyclic, program, x, found.row_dual,
    )  # fmt: skip


def _of_load(market: Market, load: Array, multipliers: Array) -> Array:
    """Prices [n, t] of multipliers: where there is load, or could be, one MW more costs voll at most."""
    found = multipliers.reshape(load.shape)
    return found if market.voll is None else np.where(load >= 0.0, np.minimum(found, market.voll), found)


def _physical(program: Program, x: Array, y: Array, gap: float, time_limit: float) -> tuple[Array, float]:
    """(point, gap): at a price of 0 storage may burn energy at no cost; a point that burns less and that the same multipliers prove is taken.

    Any optimal point goes with any optimal multipliers, so the search may change the costs: the gap is measured in the unchanged ones.
    """
    costs = program.linear.copy()
    costs[program.parts["charge"]] += 1e-4 * max(1.0, np.abs(y).max())
    sides = program.matrix, program.row_lower, program.row_upper, program.lower, program.upper
    found = minimise(costs, *sides, hessian=program.hessian, time_limit=time_limit, interior=True)
    if found.status is not Status.OPTIMAL or found.x is None:
        return x, gap
    reduced = np.asarray(program.linear + program.hessian @ found.x - program.matrix.T @ y, float)
    other = duality_gap(found.x, y, reduced, *sides)
    value = float(program.linear @ found.x) + 0.5 * float(found.x @ (program.hessian @ found.x))
    return (found.x, other) if other <= max(gap, 1e-7 * (1.0 + abs(value))) else (x, gap)


def _supplied(market: Market, load: Array) -> None:
    """An island that cannot be served whatever happens elsewhere is named as such, rather than by a solver's verdict on everything."""
    if len(market.islands) < 2:
        return
    most, least = np.zeros((2, len(market.buses)))
    np.add.at(most, market.bus_of("generators"), market.column("generators", "capacity"))
    np.add.at(least, market.bus_of("generators"), market.column("generators", "minimum"))
    np.add.at(most, market.bus_of("storages"), market.column("storages", "power"))
    np.add.at(least, market.bus_of("storages"), -market.column("storages", "power"))
    for island in market.islands:
        own = list(island)
        loads, high, low = load[own].sum(0), most[own].sum(), least[own].sum()
        names = [market.buses[n] for n in island]
        listed = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        if market.voll is None and loads.max() > high + 1e-9 * abs(high) + NONE:
            raise InvalidStudy("market-island", island=listed, load=f"{loads.max():g}", capacity=f"{high:g}")
        if market.spill is None and loads.min() < low - 1e-9 * abs(low) - NONE:
            where = f"buses {listed}, hour {int(loads.argmin())}: {loads.min():g} MW of load, plants and storage put in {low:g} MW at least"
            raise InvalidStudy("market-infeasible", where=where)


def _where(market: Market, load: Array) -> str:
    total, capacity = load.sum(0), market.column("generators", "capacity").sum()
    least = market.column("generators", "minimum").sum()
    worst = int(total.argmax())
    if total[worst] > capacity:
        return f"hour {worst}: {total[worst]:g} MW of load, {capacity:g} MW of plants"
    if total.min() < least:
        return f"hour {int(total.argmin())}: {total.min():g} MW of load, plants run at {least:g} MW at least"
    return f"loads from {total.min():g} to {total.max():g} MW, {capacity:g} MW of plants: lines, ramps or storage stand in the way"
