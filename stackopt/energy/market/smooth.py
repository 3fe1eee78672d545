"""Networks and merit orders as supply curves without steps, for equilibria: smooth prices with exact slopes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackopt.energy.households import HOURS
from stackopt.energy.market.interior import Answer, Barrier, Cleared
from stackopt.energy.market.network import CREDIBLE, Generator, Market
from stackopt.errors import InvalidStudy

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class NetworkSupply:
    """A network that an equilibrium of households can be found on; load is shed at voll and surplus spilled.

    Parameters
    ----------
    market : Market
        Without storage and ramps. Without voll and spill 1000 and 0 $/MWh are used.
    barrier : float, $/h
        Weight of the barrier: prices are those of `dispatch` as it tends to 0, and smoother the larger it is.
    buses : sequence of str, optional
        Where the households are, in the order of their buses; by default all buses.
    base : float or array [n], [n, 24], MW
        Load at the market's buses that is not of households.

    Raises
    ------
    InvalidStudy
        ``setting-value`` for a barrier that is not positive or a market with storage or ramps, ``market-bus``, ``hours``.
    """

    market: Market
    barrier: float = 0.1
    buses: Any = None
    base: Any = 0.0

    def __post_init__(self) -> None:
        if not 1.0 / CREDIBLE <= self.barrier <= CREDIBLE:
            raise InvalidStudy("setting-value", name="barrier", law=f"from {1.0 / CREDIBLE:g} to {CREDIBLE:g}", got=str(self.barrier))
        slow = sum(np.isfinite(plant.ramp) for plant in self.market.generators)
        if self.market.storages or slow:
            law, got = "without storage and ramps, which would link its hours", f"{len(self.market.storages)} storages, {slow} plants with ramps"
            raise InvalidStudy("setting-value", name="market", law=law, got=got)
        _ = self._at, self._base

    @cached_property
    def _at(self) -> NDArray[np.int64]:
        chosen = self.market.buses if self.buses is None else self.buses
        found = np.array([self.market.at(bus) for bus in chosen], np.int64)
        if len(set(found.tolist())) < len(found):
            raise InvalidStudy("market-bus", where=f"buses of households {', '.join(map(str, chosen))}", law="appear once", got="used twice")
        return found

    @cached_property
    def _base(self) -> Array:
        base, N = np.asarray(self.base, float), len(self.market.buses)
        if base.shape not in ((), (N,), (N, HOURS)):
            raise InvalidStudy("hours", law=f"loads as [{N} buses] or [{N}, {HOURS}] MW", got=f"shape {base.shape}")
        if not np.isfinite(base).all():
            where = f"bus {self.market.buses[int(np.argwhere(~np.isfinite(base))[0][0])]!r}" if base.ndim else ""
            raise InvalidStudy("not-finite", name="base", where=where)
        return np.array(np.broadcast_to(base[:, None] if base.ndim == 1 else base, (N, HOURS)))

    @cached_property
    def _program(self) -> Barrier:
        market = self.market
        voll, spill = 1000.0 if market.voll is None else market.voll, 0.0 if market.spill is None else market.spill
        loaded = np.array((self._base > 0).any(1), bool)
        loaded[self._at] = True
        return Barrier(Market(market.buses, market.lines, market.generators, (), voll, spill, market.base), self.barrier, loaded)

    @cached_property
    def _latest(self) -> dict[bytes, Cleared]:
        return {}

    def load(self, net: Array) -> Array:
        """Loads of the network's buses [n, h, w], MW, with `net` of households; raises InvalidStudy ``hours`` for another shape."""
        if net.ndim != 3 or len(net) != len(self._at) or net.shape[1] != HOURS:
            raise InvalidStudy("hours", law=f"loads of households as [{len(self._at)} buses, {HOURS}, regimes]", got=f"shape {net.shape}")
        load = np.repeat(self._base[..., None], net.shape[2], 2)
        np.add.at(load, self._at, net)
        return load

    def solve(self, net: Array) -> Cleared:
        """Everything about the cleared markets, hour by hour and regime by regime [24 * w, ...]."""
        key = net.tobytes()
        if key not in self._latest:  # slopes, costs and prices are asked for one after another at the same loads
            self._latest.clear()
            load = self.load(net)
            self._latest[key] = self._program.solve(load.reshape(len(load), -1).T)
        return self._latest[key]

    @property
    def excess(self) -> float:
        """The most by which `cost` is above the least cost, $/h: the weight times the number of limits."""
        return self._program.limits * self.barrier

    def clear(self, net: Array) -> tuple[Array, Array]:
        """(prices [n, h, w] $/MWh, their derivatives in the loads [n, n, h, w]) at net loads of households [n, h, w] MW."""
        found = self.solve(net)
        price = found.price[:, self._at].T.reshape(net.shape)
        slope = found.slope[:, self._at[:, None], self._at].transpose(1, 2, 0).reshape(len(net), *net.shape)
        return price, slope

    def marginal(self, net: Array) -> Array:
        """Derivative of `cost` in the loads of households [n, h, w], $/MWh: the price up to what the barrier adds to it."""
        found: Array = self.solve(net).marginal[:, self._at].T.reshape(net.shape)
        return found

    def settle(self, net: Array, jacobian: Array, price: Array) -> Array:
        """Prices [n, h, w], $/kWh, at which the market clears loads that answer linearly to them.

        Parameters
        ----------
        net : array [n, h, w], MW
            At `price`.
        jacobian : array [n * h * w, n * h * w], MW per $/kWh
        price : array [n, h, w], $/kWh

        Notes
        -----
        One interior point over everything together: networks have nearly steps, on which Newton's method outside the market cycles.
        Where the jacobian is not monotone it may not find an answer and raises StackoptError ``market-failed``.
        """
        load = self.load(net)
        answer = Answer(self._at, jacobian / 1000.0, 1000.0 * price.reshape(len(net), -1))
        found = self._program.solve(load.reshape(len(load), -1).T, answer)
        settled: Array = found.price[:, self._at].T.reshape(net.shape) / 1000.0
        return settled

    def cost(self, net: Array) -> Array:
        """$/h [h, w]: generation, load not served at voll, surplus; without the barrier's term, so its derivative is the price only as that vanishes."""
        found, market, program = self.solve(net), self.market, self._program
        plants = market.column("generators", "linear") * found.generation + market.column("generators", "quadratic") * found.generation**2
        other = program.voll * found.unserved.sum(1) + float(market.spill or 0.0) * found.spilled.sum(1)
        total: Array = plants.sum(1) + market.column("generators", "constant").sum() + other
        return total.reshape(net.shape[1:])

    def unserved(self, net: Array) -> Array:
        """MW [h, w] that are shed; the barrier leaves a trace of about its weight over voll at each bus."""
        found: Array = self.solve(net).unserved.sum(1).reshape(net.shape[1:])
        return found

    def overshed(self, net: Array) -> Array:
        """MW [h, w] that `unserved` has beyond the loads of its buses, apart from the barrier's trace.

        Shedding has no upper limit here, which would move with the load and make prices jump. Where scarcity is so great that more is shed at a
        bus than there is, that is energy from nowhere, and costs and prices of the hour can be below those of `dispatch`.
        """
        load = self.load(net)
        beyond = self.solve(net).unserved - np.maximum(load.reshape(len(load), -1).T, 0.0)
        trace = 10.0 * self.barrier / self._program.voll
        found: Array = np.where(beyond > trace, beyond, 0.0).sum(1).reshape(net.shape[1:])
        return found

    def rent(self, net: Array) -> Array:
        """Congestion rent [h, w], $/h: what lines earn between their ends, which is what loads served and surplus pay less what plants are paid."""
        found, market = self.solve(net), self.market
        apart = found.price[:, market.bus_of("lines", "end")] - found.price[:, market.bus_of("lines", "start")]
        earned: Array = (found.flow * apart).sum(1).reshape(net.shape[1:])
        return earned

    def total(self, net: Array) -> Array:
        """MW [h, w]: all loads."""
        found: Array = self.load(net).sum(0)
        return found


@dataclass(frozen=True, eq=False)
class MeritOrder:
    """One bus, whose plants run in the order of their costs; the barrier rounds the steps off.

    Parameters
    ----------
    blocks : sequence of (capacity MW, cost $/MWh)
    barrier : float, $/h
    base : float or array [24], MW
        Load that is not of households.
    voll, spill : float, $/MWh
        At which load is shed and surplus given away.

    Raises
    ------
    InvalidStudy
        As `Generator`, `Market` and `NetworkSupply` do.
    """

    blocks: Sequence[tuple[float, float]]
    barrier: float = 0.1
    base: Any = 0.0
    voll: float = 1000.0
    spill: float = 0.0

    def __post_init__(self) -> None:
        if not self.blocks:
            raise InvalidStudy("setting-value", name="blocks", law="at least one block of plants", got="none")
        _ = self.network

    @cached_property
    def network(self) -> NetworkSupply:
        """The same as a network of one bus."""
        plants = [Generator(f"block {k + 1}", "system", float(capacity), float(cost)) for k, (capacity, cost) in enumerate(self.blocks)]
        load = np.asarray(self.base, float)
        return NetworkSupply(Market(["system"], [], plants, (), self.voll, self.spill), self.barrier, None, load[None] if load.ndim else load)

    def clear(self, net: Array) -> tuple[Array, Array]:
        """(prices [1, h, w] $/MWh, slopes [1, 1, h, w])."""
        return self.network.clear(net)

    def marginal(self, net: Array) -> Array:
        """As `NetworkSupply.marginal`."""
        return self.network.marginal(net)

    def settle(self, net: Array, jacobian: Array, price: Array) -> Array:
        """As `NetworkSupply.settle`."""
        return self.network.settle(net, jacobian, price)

    def cost(self, net: Array) -> Array:
        """$/h [h, w]."""
        return self.network.cost(net)

    def total(self, net: Array) -> Array:
        """MW [h, w]."""
        return self.network.total(net)

    def unserved(self, net: Array) -> Array:
        """MW [h, w] that are shed; as `NetworkSupply.unserved`."""
        return self.network.unserved(net)
