"""Smooth supply curves for equilibria: prices that rise with load, with their slopes.

Anything with `clear` and `cost` serves as a market of an equilibrium; loads are [n, h, w] MW: buses, hours, weather regimes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from stackopt.errors import InvalidStudy

Array = NDArray[np.float64]


class Supply(Protocol):
    """A market that an equilibrium can be found on."""

    def clear(self, net: Array) -> tuple[Array, Array]:
        """(prices [n, h, w] $/MWh, their derivatives in the loads [n, n, h, w]) at net loads of households [n, h, w] MW."""

    def cost(self, net: Array) -> Array:
        """Cost of generation [h, w], $/h, everything else that is connected included."""

    def total(self, net: Array) -> Array:
        """Load on the system [h, w], MW, everything else that is connected included."""


@runtime_checkable
class Settles(Protocol):
    """A market that can clear loads answering linearly to its prices by itself."""

    def settle(self, net: Array, jacobian: Array, price: Array) -> Array:
        """Prices [n, h, w] $/kWh at which it clears ``net + jacobian (prices - price)``; raises StackoptError ``market-failed``."""


@runtime_checkable
class Marginal(Protocol):
    """A market whose prices are not quite the derivatives of its cost, and that knows those."""

    def marginal(self, net: Array) -> Array:
        """Derivatives of the cost in the loads of households [n, h, w], $/MWh."""


@runtime_checkable
class Congests(Protocol):
    """A market with several prices at a time, between which lines earn."""

    def rent(self, net: Array) -> Array:
        """What all loads pay less what plants are paid [h, w], $/h, at net loads of households [n, h, w]."""


@dataclass(frozen=True)
class LinearSupply:
    """One bus with a price that rises with the load: ``intercept + slope * (base + net)``.

    Parameters
    ----------
    intercept : float, $/MWh
    slope : float, $/MWh per MW; not negative.
    base : float or array [24], MW
        Load that is not of households.
    floor : float, $/MWh, optional
        Below which the price does not fall: generation is then curtailed, at no cost or gain.
    """

    intercept: float = 18.0
    slope: float = 0.045
    base: Any = 700.0
    floor: float = -np.inf

    def __post_init__(self) -> None:
        if not 0 <= self.slope < np.inf or not np.isfinite(self.intercept) or not self.floor < np.inf:
            law, got = "a finite intercept, a slope of at least 0 and a floor below infinity", f"{self.intercept}, {self.slope}, {self.floor}"
            raise InvalidStudy("setting-value", name="supply", law=law, got=got)
        base = np.asarray(self.base, float)
        if base.shape not in ((), (24,)):
            raise InvalidStudy("hours", law="`base` as one number of MW, or one for each of the 24 hours", got=f"shape {base.shape}")
        if not np.isfinite(base).all():
            raise InvalidStudy("not-finite", name="base", where=f"hour {int((~np.isfinite(np.atleast_1d(base))).argmax())}")

    def total(self, net: Array) -> Array:
        """MW [h, w]."""
        load: Array = net.sum(0) + np.broadcast_to(np.asarray(self.base, float), (net.shape[1],))[:, None]
        return load

    def clear(self, net: Array) -> tuple[Array, Array]:
        """(prices [1, h, w] $/MWh, slopes [1, 1, h, w])."""
        if len(net) != 1:
            raise InvalidStudy("setting-value", name="supply", law="a network for households on several buses", got=f"one bus, {len(net)} in the types")
        price = self.intercept + self.slope * self.total(net)
        at_floor = price <= self.floor
        return np.where(at_floor, self.floor, price)[None], np.where(at_floor, 0.0, self.slope)[None, None]

    def marginal(self, net: Array) -> Array:
        """What one more MW costs [1, h, w], $/MWh: nothing where generation is curtailed, whatever the floor of prices."""
        price = self.intercept + self.slope * self.total(net)
        return np.where((price <= self.floor) & (self.slope > 0.0), 0.0, price)[None]

    def cost(self, net: Array) -> Array:
        """$/h [h, w]: the area under the supply curve up to what is generated."""
        load = self.total(net)
        generated = load if self.slope == 0 or not np.isfinite(self.floor) else np.maximum(load, (self.floor - self.intercept) / self.slope)
        area: Array = self.intercept * generated + 0.5 * self.slope * generated**2
        return area
