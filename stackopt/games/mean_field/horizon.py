"""When followers act: for ever in a stationary or a periodic population, or over finitely many stages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from stackopt.errors import InvalidGame
from stackopt.games import validation


def _stages(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise InvalidGame("horizon", law="a whole number of stages, at least 1", got=repr(value))
    return int(value)


def _shown(discount: float) -> str:
    """A discount that is not 1 does not look like it."""
    return f"{discount:g}" if discount < 0.99999 else f"{discount:.12g}"


@dataclass(frozen=True)
class Stationary:
    """For ever, in a population that does not change: one stage that follows itself.

    Parameters
    ----------
    discount : float
        In [0, 1).
    """

    discount: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "discount", validation.discount("discount", self.discount, None))

    @property
    def stages(self) -> int:
        """1."""
        return 1

    @property
    def cyclic(self) -> bool:
        """True: the last stage is followed by the first."""
        return True

    def __str__(self) -> str:
        return f"stationary, discount {_shown(self.discount)}"


@dataclass(frozen=True)
class Periodic:
    """For ever, in a population that repeats itself: stage ``stages - 1`` is followed by stage 0, as hours are in a day.

    Parameters
    ----------
    stages : int
        Length of the period.
    discount : float
        Per stage, in [0, 1).
    """

    stages: int
    discount: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "stages", _stages(self.stages))
        object.__setattr__(self, "discount", validation.discount("discount", self.discount, None))

    @property
    def cyclic(self) -> bool:
        """True: the last stage is followed by the first."""
        return True

    def __str__(self) -> str:
        return f"periodic, {self.stages} stages, discount {_shown(self.discount)} per stage"


@dataclass(frozen=True, eq=False)
class Finite:
    """Stages 0 to ``stages - 1``, then nothing.

    Parameters
    ----------
    stages : int
        How many times followers act.
    initial : array [S] or [K, S]
        Distribution of the first state, of all types or of each.
    discount : float
        Per stage, in [0, 1]; 1 sums rewards.
    """

    stages: int
    initial: Any
    discount: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "stages", _stages(self.stages))
        try:
            within = 0.0 <= float(self.discount) <= 1.0
        except (TypeError, ValueError):
            within = False
        if not within:
            raise InvalidGame("horizon", law="a discount in [0, 1]", got=repr(self.discount))
        object.__setattr__(self, "discount", float(self.discount))

    @property
    def cyclic(self) -> bool:
        """False."""
        return False

    def __str__(self) -> str:
        return f"finite, {self.stages} stages" + ("" if self.discount == 1.0 else f", discount {self.discount:g}")


Horizon = Stationary | Periodic | Finite
