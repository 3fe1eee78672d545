"""What a search over a bilevel program established, before the program has certified it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stackopt.bilevel.point import Point
from stackopt.bilevel.program import BilevelProgram
from stackopt.certificate import Bound
from stackopt.solution import Run, Status

#: What the bound of a search over a bilevel program is a bound of.
OPTIMISTIC_VALUE = "leader's optimal value"


@dataclass(frozen=True, eq=False)
class Found:
    """What a search over a bilevel program established.

    Attributes
    ----------
    status : Status
    point : Point or None
    bound : float
        On the leader's optimum, in the leader's own sense: from below if it minimises. NaN or infinite if none.
    because : str
    reference : str
        What proved the bound, in words.
    stats : dict
    trace : object
        What a proof can start from.
    """

    status: Status
    point: Point | None
    bound: float
    because: str
    reference: str
    stats: dict[str, Any] = field(default_factory=dict)
    trace: Any = None

    def run(self, program: BilevelProgram) -> Run[Point]:
        """As the result of a method."""
        bound = None
        if np.isfinite(self.bound) and self.status is not Status.FAILED:
            bound = Bound(float(self.bound), OPTIMISTIC_VALUE, self.reference, sense="upper" if program.maximises else "lower")
        return Run(self.status, self.point, bound, self.stats, self.because, trace=self.trace)
