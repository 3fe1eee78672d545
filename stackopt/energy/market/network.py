"""Networks of buses, lines, generators and storage: the market as data. MW, MWh, $/MWh; reactances in per unit on `base`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stackopt.display import Block
from stackopt.errors import InvalidStudy

if TYPE_CHECKING:
    import networkx

Array = NDArray[np.float64]
Index = NDArray[np.int64]

#: Beyond this no figure of a network is believed, in any of the units here.
CREDIBLE = 1e9


@dataclass(frozen=True)
class Generator:
    """A plant: ``linear * p + quadratic * p**2 + constant`` $/h at an output of p MW.

    Parameters
    ----------
    name, bus : str
    capacity : float, MW
    cost : (linear, quadratic)
        $/MWh, which may be negative, and $/MW2h, which may not. A single number is linear.
    minimum : float, MW
        Negative for a load that can be bid down.
    ramp : float, MW
        The most that the output changes from one hour to the next.
    constant : float, $/h

    Raises
    ------
    InvalidStudy
        ``market-value``: capacity below the minimum (or negative), a concave cost, a negative ramp, not a number.
    """

    name: str
    bus: str
    capacity: float
    cost: tuple[float, float] | float = (0.0, 0.0)
    minimum: float = 0.0
    ramp: float = np.inf
    constant: float = 0.0

    def __post_init__(self) -> None:
        cost = (self.cost, 0.0) if isinstance(self.cost, (int, float)) else tuple(self.cost)
        if len(cost) != 2:
            _refuse("generator", self.name, "cost", "(linear, quadratic)", "$/MWh, $/MW2h", self.cost)
        object.__setattr__(self, "cost", (float(cost[0]), float(cost[1])))
        if not (self.capacity <= CREDIBLE and self.capacity >= min(self.minimum, 0.0)):
            _refuse("generator", self.name, "capacity", f"at least 0 and at most {CREDIBLE:g}", "MW", self.capacity)
        if not -CREDIBLE <= self.minimum <= self.capacity:
            _refuse("generator", self.name, "minimum", f"finite and at most the capacity, {self.capacity:g}", "MW", self.minimum)
        if not (np.abs(self.cost).max() <= CREDIBLE and self.quadratic >= 0):
            _refuse("generator", self.name, "cost", f"at most {CREDIBLE:g} with a quadratic part of at least 0", "$/MWh, $/MW2h", self.cost)
        if not self.ramp >= 0:
            _refuse("generator", self.name, "ramp", "at least 0", "MW/h", self.ramp)
        if not np.isfinite(self.constant):
            _refuse("generator", self.name, "constant", "finite", "$/h", self.constant)

    @property
    def linear(self) -> float:
        """$/MWh at no output."""
        return float(self.cost[0])  # type: ignore[index]

    @property
    def quadratic(self) -> float:
        """$/MW2h."""
        return float(self.cost[1])  # type: ignore[index]


@dataclass(frozen=True)
class Line:
    """A line or transformer; its flow, from `start` to `end`, is ``base * (angle[start] - angle[end] - shift) / reactance`` MW.

    Parameters
    ----------
    name, start, end : str
    reactance : float, per unit
        Of a transformer times its tap ratio. Negative for series compensation; never 0.
    capacity : float, MW
        In both directions; by default there is no limit. Not 0, which some formats write for no limit and others for an open line.
    shift : float, radian
        Of a phase shifter.

    Raises
    ------
    InvalidStudy
        ``market-value``: zero or missing reactance, a capacity that is not positive, both ends on one bus.
    """

    name: str
    start: str
    end: str
    reactance: float
    capacity: float = np.inf
    shift: float = 0.0

    def __post_init__(self) -> None:
        if not np.isfinite(self.reactance) or self.reactance == 0:
            _refuse("line", self.name, "reactance", "finite and not 0", "per unit", self.reactance)
        if not self.capacity > 0:
            law = "positive: a line that is open is left out, one without a limit has no capacity"
            _refuse("line", self.name, "capacity", law, "MW", self.capacity)
        if not np.isfinite(self.shift):
            _refuse("line", self.name, "shift", "finite", "radian", self.shift)
        if self.start == self.end:
            _refuse("line", self.name, "end", "another bus than its start", "bus", self.end)


@dataclass(frozen=True)
class Storage:
    """A battery or reservoir of the system.

    Parameters
    ----------
    name, bus : str
    power : float, MW
        The most it takes from, and gives to, the bus.
    energy : float, MWh
    efficiency : float
        Round trip, in (0, 1]; half of the loss on each way.
    initial : float, MWh, optional
        Held before the first hour. By default 0, and free where the day repeats.

    Raises
    ------
    InvalidStudy
        ``battery`` for one that cannot charge; ``market-value`` for an initial content it cannot hold.
    """

    name: str
    bus: str
    power: float
    energy: float
    efficiency: float = 0.89
    initial: float | None = None

    def __post_init__(self) -> None:
        if not (0 < self.power < np.inf and 0 < self.energy < np.inf and 0 < self.efficiency <= 1):
            where = f"storage {self.name!r}: power {self.power:g} MW, energy {self.energy:g} MWh, efficiency {self.efficiency:g}"
            raise InvalidStudy("battery", where=where, law="positive energy and power, an efficiency in (0, 1]", help="remove it, or give it what it lacks")
        if self.initial is not None and not 0 <= self.initial <= self.energy:
            _refuse("storage", self.name, "initial", f"from 0 to {self.energy:g}", "MWh", self.initial)


def _refuse(kind: str, name: str, column: str, law: str, unit: str, got: object) -> None:
    raise InvalidStudy("market-value", where=f"{kind} {name!r}", name=column, law=law, got=got, unit=unit)


@dataclass(frozen=True)
class Market:
    """Everything that clears: who can produce what at which bus, and what the lines between carry.

    Parameters
    ----------
    buses : sequence of str
        Their order is that of loads and prices. Numbers become text.
    lines : sequence of Line
    generators : sequence of Generator
    storages : sequence of Storage
    voll : float, $/MWh, optional
        Value of lost load: at this price load is shed. By default it never is, and a load that cannot be served is an error.
    spill : float, $/MWh, optional
        What giving away surplus electricity costs; at 0 prices do not fall below 0. By default it must be used up.
    base : float, MVA
        On which the reactances are per unit.

    Raises
    ------
    InvalidStudy
        ``market-bus`` for a name that is used twice or a bus that is not there, ``market-value`` for voll, spill or base.
    """

    buses: Sequence[str]
    lines: Sequence[Line] = ()
    generators: Sequence[Generator] = ()
    storages: Sequence[Storage] = ()
    voll: float | None = None
    spill: float | None = None
    base: float = 100.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "buses", tuple(str(bus) for bus in self.buses))
        for kind in ("lines", "generators", "storages"):
            object.__setattr__(self, kind, tuple(getattr(self, kind)))
        for kind, names in (
            ("bus", self.buses), ("line", [x.name for x in self.lines]), ("generator", [x.name for x in self.generators]),
            ("storage", [x.name for x in self.storages]),
        ):
            twice = [name for name, times in Counter(names).items() if times > 1]
            if twice:
                raise InvalidStudy("market-bus", where=f"{kind} {twice[0]!r}", law="appear once", got="used twice", help="rename one of the two")
        if not self.buses:
            raise InvalidStudy("market-bus", where="a market without buses", law="exist", got="missing")
        known = set(self.buses)
        for kind, name, bus in self._places():
            if bus not in known:
                raise InvalidStudy("market-bus", where=f"{kind} {name!r} at bus {bus!r}", law="exist", got=f"not among {len(known)} buses")
        if self.voll is not None and not 0 < self.voll <= CREDIBLE:
            _refuse("market", "", "voll", f"positive and at most {CREDIBLE:g}", "$/MWh", self.voll)
        if self.spill is not None and not (np.isfinite(self.spill) and self.spill >= -(self.voll or np.inf)):
            _refuse("market", "", "spill", "finite, and at least -voll", "$/MWh", self.spill)
        if not 0 < self.base < np.inf:
            _refuse("market", "", "base", "positive and finite", "MVA", self.base)

    def _places(self) -> Iterable[tuple[str, str, str]]:
        for line in self.lines:
            yield from (("line", line.name, line.start), ("line", line.name, line.end))
        yield from (("generator", plant.name, plant.bus) for plant in self.generators)
        yield from (("storage", store.name, store.bus) for store in self.storages)

    @classmethod
    def from_graph(
        cls, graph: networkx.Graph, generators: Sequence[Generator], storages: Sequence[Storage] = (), *,
        voll: float | None = None, spill: float | None = None, base: float = 100.0,
    ) -> Market:
        """A market on a networkx graph: nodes are buses; edges have `reactance`, and may have `capacity`, `shift` and `name`.

        Raises
        ------
        InvalidStudy
            ``market-value`` for an edge without a reactance.
        """
        lines = []
        for number, (start, end, data) in enumerate(graph.edges(data=True)):
            name = str(data.get("name", f"{start}-{end}" if not graph.is_multigraph() else f"{start}-{end}-{number}"))
            if "reactance" not in data:
                _refuse("line", name, "reactance", "an attribute of the edge", "per unit", "nothing")
            lines.append(Line(name, str(start), str(end), data["reactance"], data.get("capacity", np.inf), data.get("shift", 0.0)))
        return cls(tuple(map(str, graph)), lines, generators, storages, voll, spill, base)

    @cached_property
    def graph(self) -> networkx.MultiGraph:
        """The network as networkx has it: parallel lines are parallel edges."""
        import networkx

        graph: networkx.MultiGraph = networkx.MultiGraph()
        graph.add_nodes_from(self.buses)
        for line in self.lines:
            graph.add_edge(line.start, line.end, key=line.name, name=line.name, reactance=line.reactance, capacity=line.capacity, shift=line.shift)
        return graph

    @cached_property
    def islands(self) -> tuple[tuple[int, ...], ...]:
        """Buses that lines connect, as indices; the first of each is the angle's reference."""
        import networkx

        found = [tuple(sorted(self.at(bus) for bus in part)) for part in networkx.connected_components(self.graph)]
        return tuple(sorted(found))

    @cached_property
    def _index(self) -> dict[str, int]:
        return {bus: k for k, bus in enumerate(self.buses)}

    def at(self, bus: str) -> int:
        """Index of a bus; raises InvalidStudy ``market-bus`` for one that is not there."""
        if str(bus) not in self._index:
            raise InvalidStudy("market-bus", where=f"bus {bus!r}", law="exist", got=f"not among {len(self.buses)} buses")
        return self._index[str(bus)]

    def column(self, kind: str, what: str) -> Array:
        """One attribute of all ``"generators"``, ``"lines"`` or ``"storages"``."""
        return np.array([getattr(x, what) for x in getattr(self, kind)], float)

    def bus_of(self, kind: str, what: str = "bus") -> Index:
        """Index of the bus of all ``"generators"`` or ``"storages"``, or of lines' `what`: ``"start"`` or ``"end"``."""
        return np.array([self._index[getattr(x, what)] for x in getattr(self, kind)], np.int64)

    @property
    def susceptance(self) -> Array:
        """MW per radian of each line [L]."""
        return self.base / self.column("lines", "reactance")

    def block(self) -> Block:
        """The printed form."""
        capacity = self.column("generators", "capacity").sum()
        rows: list[tuple[str, str]] = [
            ("buses", f"{len(self.buses)}" + (f" in {len(self.islands)} islands" if len(self.islands) > 1 else "")),
            ("lines", f"{len(self.lines)}, {int(np.isfinite(self.column('lines', 'capacity')).sum())} with a limit"),
            ("plants", f"{len(self.generators)}, {capacity:g} MW"),
        ]
        rows += [("storage", f"{len(self.storages)}, {self.column('storages', 'energy').sum():g} MWh")] if self.storages else []
        rows += [("load", f"shed at {self.voll:g} $/MWh" if self.voll is not None else "never shed")]
        return Block("Market", tuple(rows))

    def __str__(self) -> str:
        return self.block().text()


def hours_of(market: Market, load: Any) -> Array:
    """Loads as [n, T] MW; a single hour may be [n].

    Raises
    ------
    InvalidStudy
        ``hours`` for another shape, ``not-finite`` for gaps, named by bus and hour.
    """
    found = np.asarray(load, float)
    found = found[:, None] if found.ndim == 1 else found
    if found.ndim != 2 or len(found) != len(market.buses) or found.shape[1] == 0:
        raise InvalidStudy("hours", law=f"loads as [{len(market.buses)} buses, hours] MW", got=f"shape {np.shape(load)}")
    if not np.isfinite(found).all():
        n, t = np.argwhere(~np.isfinite(found))[0]
        raise InvalidStudy("not-finite", name="load", where=f"bus {market.buses[n]!r}, hour {t}: {found[n, t]} MW")
    return found
