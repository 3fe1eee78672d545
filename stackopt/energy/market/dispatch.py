r"""Economic dispatch and DC optimal power flow over hours: the cheapest way to serve a load, and what one more MW costs where.

The program, hours t, buses n; flows follow from angles, one reference in each island:

.. math:: \min\sum_t\sum_g c_g(p_{gt})+\mathrm{voll}\sum u_{nt}+\mathrm{spill}\sum w_{nt},\qquad
   \sum_{g\in n}p_{gt}+u_{nt}-w_{nt}+\text{storage}-\sum_l K_{ln}f_{lt}=\text{load}_{nt}.

Prices are the multipliers of the balance with the load alone on its right-hand side, which makes them derivatives of the cost in the load
whatever sign a solver gives its rows. The cost is a convex function of the load; where it has a kink the price is not unique (`Dispatch.range`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stackopt.backends.matrix import minimise
from stackopt.display import Block, number
from stackopt.energy.market.network import Market, hours_of
from stackopt.errors import InvalidStudy, StackoptError
from stackopt.solution import Status

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Array = NDArray[np.float64]

#: MW below which a quantity counts as none.
NONE = 1e-6


@dataclass(frozen=True, eq=False)
class Program:
    """The dispatch in plain arrays. Columns: generation, angles, charge, discharge, state, unserved, spilled; each [item, hour]."""

    linear: Array
    hessian: csr_array
    matrix: csr_array
    row_lower: Array
    row_upper: Array
    lower: Array
    upper: Array
    parts: dict[str, slice]
    shapes: dict[str, tuple[int, int]]

    def of(self, x: Array, part: str) -> Array:
        """One part of a point as [item, hour]."""
        return x[self.parts[part]].reshape(self.shapes[part])


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
        from stackopt.energy.market.kinks import multiplier_range

        low, high = multiplier_range(self.program, self.point, self.multipliers, self.load.size)
        return low.reshape(self.load.shape), high.reshape(self.load.shape)

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
    x, part = found.x, program.of
    angle = part(x, "angle")
    start, end = market.bus_of("lines", "start"), market.bus_of("lines", "end")
    flow = market.susceptance[:, None] * ((angle[start] - angle[end]) / market.base - market.column("lines", "shift")[:, None])
    return Dispatch(
        market, demand, found.value, max(found.value - found.bound, 0.0), part(x, "generation"), flow, angle / market.base,
        found.row_dual[: demand.size].reshape(demand.shape), part(x, "charge"), part(x, "discharge"), part(x, "state"),
        part(x, "unserved"), part(x, "spilled"), cyclic, program, x, found.row_dual,
    )  # fmt: skip


def _supplied(market: Market, load: Array) -> None:
    """An island that cannot be served whatever happens elsewhere is named as such, rather than by a solver's verdict on everything."""
    if market.voll is not None:
        return
    reach = np.zeros(len(market.buses))
    np.add.at(reach, market.bus_of("generators"), market.column("generators", "capacity"))
    np.add.at(reach, market.bus_of("storages"), market.column("storages", "power"))
    for island in market.islands:
        peak, most = load[list(island)].sum(0).max(), reach[list(island)].sum()
        if len(market.islands) > 1 and peak > most * (1 + 1e-9) + NONE:
            names = [market.buses[n] for n in island]
            listed = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            raise InvalidStudy("market-island", island=listed, load=f"{peak:g}", capacity=f"{most:g}")


def _where(market: Market, load: Array) -> str:
    total, capacity = load.sum(0), market.column("generators", "capacity").sum()
    least = market.column("generators", "minimum").sum()
    worst = int(total.argmax())
    if total[worst] > capacity:
        return f"hour {worst}: {total[worst]:g} MW of load, {capacity:g} MW of plants"
    if total.min() < least:
        return f"hour {int(total.argmin())}: {total.min():g} MW of load, plants run at {least:g} MW at least"
    return f"loads from {total.min():g} to {total.max():g} MW, {capacity:g} MW of plants: lines, ramps or storage stand in the way"


def build(market: Market, load: Array, cyclic: bool) -> Program:
    """The linear or quadratic program; rows begin with the balance of each bus and hour, the load on the right-hand side."""
    from scipy import sparse

    N, T = load.shape
    G, L, S = len(market.generators), len(market.lines), len(market.storages)
    counts = {"generation": G, "angle": N, "charge": S, "discharge": S, "state": S, "unserved": N, "spilled": N}
    parts, at = {}, 0
    for name, items in counts.items():
        parts[name], at = slice(at, at + items * T), at + items * T
    linear, curved, lower, upper = np.zeros(at), np.zeros(at), np.zeros(at), np.full(at, np.inf)

    def every(values: Array) -> Array:
        return np.repeat(values, T)

    plants = parts["generation"]
    linear[plants], curved[plants] = every(market.column("generators", "linear")), 2.0 * every(market.column("generators", "quadratic"))
    lower[plants], upper[plants] = every(market.column("generators", "minimum")), every(market.column("generators", "capacity"))
    reference = np.zeros(N, bool)
    reference[[island[0] for island in market.islands]] = True
    lower[parts["angle"]] = every(np.where(reference, 0.0, -np.inf))
    upper[parts["angle"]] = every(np.where(reference, 0.0, np.inf))
    for part in ("charge", "discharge"):
        upper[parts[part]] = every(market.column("storages", "power"))
    upper[parts["state"]] = every(market.column("storages", "energy"))
    linear[parts["unserved"]] = market.voll or 0.0
    upper[parts["unserved"]] = np.maximum(load, 0.0).ravel() if market.voll is not None else 0.0
    linear[parts["spilled"]] = market.spill or 0.0
    upper[parts["spilled"]] = np.inf if market.spill is not None else 0.0

    eye = sparse.eye_array(T, format="csr")
    before = sparse.csr_array(np.roll(np.eye(T), 1, axis=0)) if cyclic and T > 1 else sparse.csr_array(np.eye(T, k=-1))
    if cyclic and T == 1:
        before = eye

    def placed(buses: NDArray[np.int64], sign: float = 1.0) -> Any:
        return sparse.kron(sparse.csr_array((np.full(len(buses), sign), (buses, np.arange(len(buses)))), shape=(N, len(buses))), eye)

    ends = np.zeros((L, N))
    ends[np.arange(L), market.bus_of("lines", "start")] += 1.0
    ends[np.arange(L), market.bus_of("lines", "end")] -= 1.0
    incidence = sparse.csr_array(ends)
    flows = sparse.csr_array(sparse.diags_array(market.susceptance / market.base) @ incidence)  # of angles in units of base
    shifted = market.susceptance * market.column("lines", "shift")
    balance = [
        placed(market.bus_of("generators")), sparse.kron(-(incidence.T @ flows), eye), placed(market.bus_of("storages"), -1.0),
        placed(market.bus_of("storages")), sparse.csr_array((N * T, S * T)), sparse.eye_array(N * T), -sparse.eye_array(N * T),
    ]  # fmt: skip
    right = load - (incidence.T @ shifted)[:, None]
    rows, low, high = [sparse.hstack(balance)], [right.ravel()], [right.ravel()]

    def add(blocks: dict[str, Any], least: Array, most: Array) -> None:
        height = len(least)
        rows.append(sparse.hstack([blocks.get(name, sparse.csr_array((height, items * T))) for name, items in counts.items()]))
        low.append(least)
        high.append(most)

    limited = np.isfinite(market.column("lines", "capacity"))
    if limited.any():
        capacity, offset = every(market.column("lines", "capacity")[limited]), every(shifted[limited])
        add({"angle": sparse.kron(flows[limited], eye)}, offset - capacity, offset + capacity)
    if S:
        each, loss = sparse.eye_array(S), np.sqrt(market.column("storages", "efficiency"))
        initial = np.zeros((S, T))
        fixed = np.array([store.initial is not None for store in market.storages])
        if not cyclic:
            initial[:, 0] = [store.initial or 0.0 for store in market.storages]
        elif fixed.any():  # a day that repeats ends as it begins: with what is said to be held
            held = lower[parts["state"]].reshape(S, T), upper[parts["state"]].reshape(S, T)
            for s in map(int, np.flatnonzero(fixed)):
                held[0][s, -1] = held[1][s, -1] = float(market.storages[s].initial or 0.0)
        kept = sparse.kron(each, eye - before)
        taken, given = sparse.kron(sparse.diags_array(-loss), eye), sparse.kron(sparse.diags_array(1.0 / loss), eye)
        add({"charge": taken, "discharge": given, "state": kept}, initial.ravel(), initial.ravel())
    ramp = market.column("generators", "ramp")
    slow = np.isfinite(ramp)
    if slow.any() and T > 1:
        changes = sparse.csr_array(eye - before)[(0 if cyclic else 1) :]
        chosen = sparse.csr_array(np.eye(G)[slow])
        most = np.repeat(ramp[slow], changes.shape[0])
        add({"generation": sparse.kron(chosen, changes)}, -most, most)
    matrix = sparse.csr_array(sparse.vstack(rows, format="csr"))
    hessian = sparse.csr_array(sparse.diags_array(curved, format="csr"))
    hessian.eliminate_zeros()
    shapes = {name: (items, T) for name, items in counts.items()}
    return Program(linear, hessian, matrix, np.concatenate(low), np.concatenate(high), lower, upper, parts, shapes)
