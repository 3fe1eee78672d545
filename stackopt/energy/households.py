"""Households of a tariff study: types that are many, what they use, what their roofs give and what their batteries can hold.

Axes: `i` types, `h` the 24 hours, `w` weather regimes, `a` moves of a battery. kWh are per hour and household, $ per day and household.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stackopt.errors import InvalidStudy

if TYPE_CHECKING:
    from stackopt.energy.seasons import Season

Array = NDArray[np.float64]
HOURS = 24


@dataclass(frozen=True)
class Battery:
    """A home battery on a grid of charge levels.

    Parameters
    ----------
    kwh : float
        Usable energy.
    kw : float
        The most it charges or discharges in an hour, at its own terminals.
    efficiency : float
        Round trip, in (0, 1]; half of the loss on each way.
    levels : int
        Of charge, from empty to full.
    wear : float, $/kWh
        Discharged.

    Raises
    ------
    InvalidStudy
        ``battery`` for one that cannot charge: less power than one step in an hour, or nothing to hold.
    """

    kwh: float = 13.5
    kw: float = 5.0
    efficiency: float = 0.89
    levels: int = 11
    wear: float = 0.05

    def __post_init__(self) -> None:
        if not (1e-6 <= self.kwh < np.inf and 1e-6 <= self.kw < np.inf and 0 < self.efficiency <= 1 and 0 <= self.wear < np.inf and 2 <= self.levels <= 1000):
            law = "positive energy and power, an efficiency in (0, 1], 2 to 1000 levels, wear of at least 0"
            raise InvalidStudy("battery", where=f"{self}", law=law)
        if self.reach < 1:
            where = f"a step is {self.step:.4g} kWh and an hour moves {self.kw:.4g}: it cannot reach the next level"
            raise InvalidStudy("battery", where=where, law=f"at least {int(np.ceil(self.kwh / self.kw)) + 1} levels")

    @property
    def step(self) -> float:
        """kWh between two levels."""
        return self.kwh / (self.levels - 1)

    @property
    def reach(self) -> int:
        """Levels that an hour can move."""
        return min(int(np.floor(self.kw / self.step + 1e-9)), self.levels - 1)

    @property
    def moves(self) -> NDArray[np.int64]:
        """Levels by which a move changes the charge [a]."""
        return np.arange(-self.reach, self.reach + 1)

    @property
    def metered(self) -> Array:
        """What a move takes from the meter [a], kWh: more than it stores, and gives less than it draws."""
        loss = np.sqrt(self.efficiency)
        taken: Array = np.where(self.moves > 0, self.moves * self.step / loss, self.moves * self.step * loss)
        return taken

    @property
    def worn(self) -> Array:
        """$ of wear of a move [a]."""
        return self.wear * np.maximum(-self.moves, 0) * self.step


@dataclass(frozen=True, eq=False)
class HouseholdType:
    """Households that are alike.

    Parameters
    ----------
    name : str
    group : str
        Income group.
    kind : str
        ``"C"`` consumer, ``"PV"`` with panels, ``"PVB"`` with panels and a battery.
    share : float
        Of all households.
    income : float, $/year
    load : array [24] or [24, w], kWh
        At the reference price; by regime where seasons differ.
    sun : array [24] or [24, w], kWh
        Of the panels under a clear sky, by regime where seasons differ; the weather's factors come on top.
    battery : Battery, optional
    bus : str
        Where it is connected, in a market with a network.
    """

    name: str
    group: str
    kind: str
    share: float
    income: float
    load: Any
    sun: Any = None
    battery: Battery | None = None
    bus: str = ""

    def __post_init__(self) -> None:
        for key in ("load", "sun"):
            value = np.zeros(HOURS) if getattr(self, key) is None else np.asarray(getattr(self, key), float)
            if value.shape[:1] != (HOURS,) or value.ndim > 2:
                raise InvalidStudy("hours", law=f"`{key}` of {self.name!r} for each of the 24 hours, [24] or [24, regimes]", got=f"shape {value.shape}")
            if not np.isfinite(value).all() or (value < 0).any():
                at = np.argwhere(~(value >= 0) | ~np.isfinite(value))[0]
                raise InvalidStudy("not-finite", name=f"{key} of {self.name}", where=f"hour {at[0]} has {value[tuple(at)]}")
            object.__setattr__(self, key, value)
        if not (self.load > 0).all():
            raise InvalidStudy("setting-value", name=f"load of {self.name}", law="positive in every hour", got=f"{self.load.min()}")
        if not (0 < self.income < np.inf and 0 <= self.share < np.inf):
            raise InvalidStudy("setting-value", name=self.name, law="a positive income and a share of at least 0", got=f"{self.income}, {self.share}")
        if self.kind not in ("C", "PV", "PVB"):
            raise InvalidStudy("setting-value", name=f"kind of {self.name}", law="'C', 'PV' or 'PVB'", got=repr(self.kind))


@dataclass(frozen=True, eq=False)
class Weather:
    """Regimes that all households share, for a day at a time.

    Parameters
    ----------
    names : sequence of str
    sun : array [w]
        Factors on clear-sky generation.
    stay : array [w], or transition : array [w, w]
        Chance that a regime lasts; otherwise another one, all alike.
    changes : str
        ``"daily"``: at midnight. ``"hourly"``: every hour.
    seasons : sequence of Season, [w]
        The season that each regime belongs to; by default all belong to one. See `stackopt.energy.seasons.yearly`.
    """

    names: Sequence[str] = ("clear", "cloudy")
    sun: Any = (1.0, 0.35)
    stay: Any = (0.8, 0.6)
    transition: Any = None
    changes: str = "daily"
    seasons: Sequence[Season] = ()

    def __post_init__(self) -> None:
        W = len(self.names)
        if self.seasons and len(self.seasons) != W:
            raise InvalidStudy("setting-value", name="seasons", law=f"a season for each of {W} regimes, or none", got=f"{len(self.seasons)}")
        sun = np.asarray(self.sun, float)
        if self.transition is None:
            stay = np.asarray(self.stay, float)
            if stay.shape != (W,):
                raise InvalidStudy("setting-value", name="stay", law=f"a chance for each of {W} regimes", got=repr(self.stay))
            chances = np.diag(stay) + (1.0 - stay)[:, None] * (1.0 - np.eye(W)) / max(W - 1, 1) if W > 1 else np.ones((1, 1))
        else:
            chances = np.asarray(self.transition, float)
        good = sun.shape == (W,) and chances.shape == (W, W) and (chances >= 0).all() and np.allclose(chances.sum(-1), 1.0) and (sun >= 0).all()
        if not good or self.changes not in ("daily", "hourly"):
            law = f"factors [{W}], chances [{W}, {W}] whose rows sum to 1, and changes 'daily' or 'hourly'"
            raise InvalidStudy("setting-value", name="weather", law=law, got=f"{sun.tolist()}, {chances.tolist()}, {self.changes!r}")
        if not np.isfinite(sun).all() or (np.linalg.matrix_power(np.eye(W) + chances, max(W - 1, 1)) <= 0).any():
            law = "finite factors, and chances by which every regime is reached from every other: one that lasts for ever is a study of its own"
            raise InvalidStudy("setting-value", name="weather", law=law, got=f"{sun.tolist()}, {chances.tolist()}")
        object.__setattr__(self, "sun", sun)
        object.__setattr__(self, "transition", chances)

    @cached_property
    def shares(self) -> Array:
        """How often each regime rules [w], in the long run."""
        W = len(self.names)
        system = np.eye(W) - self.transition + np.full((W, W), 1.0 / W)
        law: Array = np.linalg.solve(system.T, np.full(W, 1.0 / W))
        return law

    @cached_property
    def within(self) -> Array:
        """How often each regime rules within each season [w, s]: columns sum to 1; without seasons it is the one column `shares`."""
        if not self.seasons:
            return self.shares[:, None]
        kinds = list(dict.fromkeys(self.seasons))
        member = np.array([[season == kind for kind in kinds] for season in self.seasons], float)
        joint = self.shares[:, None] * member
        law: Array = joint / joint.sum(0)
        return law

    @property
    def hourly(self) -> Array:
        """Chances from each hour to the next [24, w, w]; the last row of hours leads to the next day."""
        still = np.broadcast_to(np.eye(len(self.names)), (HOURS, len(self.names), len(self.names))).copy()
        if self.changes == "hourly":
            still[:] = self.transition
        else:
            still[-1] = self.transition
        return still


@dataclass(frozen=True, eq=False)
class Households:
    """The population of a study.

    Parameters
    ----------
    types : sequence of HouseholdType
        Shares sum to 1.
    weather : Weather
    count : int
        Households: types times multiplicity. Results per household do not depend on it but through the market.
    elasticity : float
        Of demand, at the reference price; positive.
    reference_price : float, $/kWh
        At which a household uses its `load`.
    """

    types: Sequence[HouseholdType]
    weather: Weather = field(default_factory=Weather)
    count: int = 1_000_000
    elasticity: float = 0.2
    reference_price: float = 0.30

    def __post_init__(self) -> None:
        total = sum(t.share for t in self.types)
        if not self.types or abs(total - 1.0) > 1e-9:
            raise InvalidStudy("setting-value", name="shares", law="shares of all types that sum to 1", got=f"{total:.9g} over {len(self.types)} types")
        for name, value in (("count", self.count), ("elasticity", self.elasticity), ("reference_price", self.reference_price)):
            if not 0 < value < np.inf:
                raise InvalidStudy("setting-value", name=name, law="positive and finite", got=repr(value))
        names = [t.name for t in self.types]
        twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
        if twice is not None:
            raise InvalidStudy("setting-value", name="types", law="types whose names differ", got=f"{twice!r} twice")
        W = len(self.weather.names)
        for t in self.types:
            for key, array in (("load", t.load), ("sun", t.sun)):
                if array.ndim == 2 and array.shape[1] != W:
                    raise InvalidStudy("hours", law=f"`{key}` of {t.name!r} as [24] or [24, {W}], one day for each regime", got=f"shape {array.shape}")

    @cached_property
    def share(self) -> Array:
        """[i]."""
        return np.array([t.share for t in self.types])

    @cached_property
    def income(self) -> Array:
        """$/year [i]."""
        return np.array([t.income for t in self.types])

    @cached_property
    def load(self) -> Array:
        """kWh at the reference price [i, 24, w]."""
        return self._by_regime("load")

    @cached_property
    def sun(self) -> Array:
        """kWh [i, 24, w]: a clear sky's, times the factor of the regime."""
        sun: Array = self._by_regime("sun") * self.weather.sun
        return sun

    def _by_regime(self, key: str) -> Array:
        shape = (HOURS, len(self.weather.names))
        days = [getattr(t, key) for t in self.types]
        return np.stack([np.broadcast_to(day if day.ndim == 2 else day[:, None], shape) for day in days])

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """Income groups in order of appearance."""
        return tuple(dict.fromkeys(t.group for t in self.types))

    @cached_property
    def group_of(self) -> NDArray[np.int64]:
        """[i]."""
        return np.array([self.groups.index(t.group) for t in self.types])

    @cached_property
    def buses(self) -> tuple[str, ...]:
        """Buses in order of appearance."""
        return tuple(dict.fromkeys(t.bus for t in self.types))

    @cached_property
    def bus_of(self) -> NDArray[np.int64]:
        """[i]."""
        return np.array([self.buses.index(t.bus) for t in self.types])

    @cached_property
    def batteries(self) -> Mapping[Battery, NDArray[np.int64]]:
        """Which types have which battery: those of one kind are computed together."""
        found: dict[Battery, list[int]] = {}
        for i, t in enumerate(self.types):
            if t.battery is not None:
                found.setdefault(t.battery, []).append(i)
        return {battery: np.array(members) for battery, members in found.items()}

    def by_group(self, values: Array) -> Array:
        """Averages over the households of each group [g] of values [i]; NaN for a group without households."""
        with np.errstate(invalid="ignore"):
            weight = np.bincount(self.group_of, weights=self.share, minlength=len(self.groups))
            means: Array = np.bincount(self.group_of, weights=self.share * values, minlength=len(self.groups)) / weight
        return means
