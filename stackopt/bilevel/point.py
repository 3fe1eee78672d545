"""A candidate: what every variable is, and the follower multipliers that the leader uses."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Point:
    """Values of all symbols of a `BilevelProgram`.

    Attributes
    ----------
    values : array [n]
        Of the variables, leader's and followers', in the program's order.
    multipliers : array [d]
        Of the follower multipliers that the leader uses; empty if it uses none.
    claim : float
        The leader's value as the method sees it; NaN claims nothing.
    """

    values: Array
    multipliers: Array = field(default_factory=lambda: np.zeros(0))
    claim: float = math.nan

    @property
    def symbols(self) -> Array:
        """Variables, then multipliers; [n + d]."""
        return np.concatenate([self.values, self.multipliers])
