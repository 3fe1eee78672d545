"""What a metered leader did and found: its trials, the tariff it ends with, and how far measurements vouch for it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stackopt.display import Block, number
from stackopt.energy.designs.problem import DesignProblem
from stackopt.energy.metering.meter import Reading
from stackopt.energy.tariff import DAYS_PER_MONTH, Tariff
from stackopt.solution import Status

Array = NDArray[np.float64]

#: Half-width of the box around the final tariff in which nothing more may be promised, $/kWh.
REACH = 0.02
#: Share of the response in a direction of rates that may be left to a guess at the end.
UNKNOWN = 0.05
#: Misses of limits that are accepted, in the units of `metered_step.misses`; and where readings are noisy, two standard errors included.
MET, MET_NOISY = 1e-4, 0.02


@dataclass(frozen=True, eq=False)
class Trial:
    """One announced tariff and what was measured of it.

    Attributes
    ----------
    purpose : str
        ``"begin"``, ``"repeat"``, ``"step"``, ``"direction"`` (to learn how use answers), ``"confirm"`` or ``"refused"``.
    x : array [D], $/kWh
        Buy and sell adders by period.
    fixed : array [g], $/day
        Charges that close the books of this reading best within the limits.
    reading : Reading or None
    cost : float, $/day and household
        Measured change against the first tariff (of what is in force today, where that was read).
    missed : mapping of limit to miss
        Revenue in $ a day and household, gap in points, peak and price spread as shares of their limits.
    promised, got : float
        Change of merit against the best tariff before, predicted and measured.
    radius : float, $/kWh
    accepted : bool
    """

    purpose: str
    x: Array
    fixed: Array
    reading: Reading | None
    cost: float
    missed: dict[str, float]
    promised: float = math.nan
    got: float = math.nan
    radius: float = math.nan
    accepted: bool = False

    @property
    def miss(self) -> float:
        """All misses, in the units of `missed`."""
        return sum(self.missed.values()) if self.missed else math.nan


@dataclass(frozen=True, eq=False)
class Learned:
    """What was learned.

    Attributes
    ----------
    problem : DesignProblem
    today : Reading or None
        Of the tariff that was in force, where it was read.
    tariff : Tariff or None
        The best that was announced, its fixed charges closing the books as measured.
    status : Status
        CONVERGED: at the tariff itself limits are missed by at most `MET` as measured (`MET_NOISY`, two standard errors included, where readings
        are noisy); how use answers was measured, near it, in every direction in which rates may move (at most `UNKNOWN` of it is a guess);
        and by those measurements no tariff within `REACH` $/kWh promises more than `gain`, two standard errors included. A local statement
        about measurements. LIMIT: anything else, with the reason.
    because : str
    trials : tuple of Trial
    cost, cost_error : float, $/day and household
        Measured change of cost, against today's tariff if it was read, else against the first trial, and its standard error.
    cost_least, cost_most : float
        Between what all readings together force it (convexity; exact readings only, else NaN).
    missed, errors : mappings of limit to miss and to standard error
        Of the revenue, and of the gap where it is limited.
    promise, promise_error : float, $/day and household
        What could still be gained nearby, as far as measurements tell.
    unknown : float
        The largest share of the response left to a guess in a direction that rates can move in.
    x : array [D], $/kWh
        Buy and sell adders by period.
    fixed : array [g], $/day
    interrupted : bool
    """

    problem: DesignProblem
    tariff: Tariff | None
    status: Status
    because: str
    trials: tuple[Trial, ...]
    today: Reading | None
    cost: float
    cost_error: float
    cost_least: float
    cost_most: float
    missed: dict[str, float]
    errors: dict[str, float]
    promise: float
    promise_error: float
    unknown: float
    x: Array | None = None
    fixed: Array | None = None
    interrupted: bool = False

    @property
    def learned_by(self) -> int:
        """Billing periods: readings, today's included."""
        return len(self.trials) + (self.today is not None)

    def block(self) -> Block:
        """The printed form."""
        rows = []
        if self.tariff is not None and self.x is not None and self.fixed is not None:
            P = len(self.problem.periods)
            rates = "  ".join(f"{p} {b:.4f}/{s:.4f}" for p, b, s in zip(self.problem.periods, self.x[:P], self.x[P:], strict=True))
            rows.append(("rates", f"buy/sell adders {rates} $/kWh"))
            charged = zip(self.trials[0].reading.groups if self.trials[0].reading else (), self.fixed * DAYS_PER_MONTH, strict=False)
            rows.append(("fixed", "  ".join(f"{g} {f:.2f}" for g, f in charged) + " $/month"))
            against = "today's tariff" if self.today is not None else "the first trial"
            bounds = f", surely between {self.cost_least:+.4f} and {self.cost_most:+.4f}" if math.isfinite(self.cost_most) else ""
            error = f" +- {number(2 * self.cost_error, 2)}" if self.cost_error > 0 else ""
            rows.append(("cost", f"{self.cost:+.4f}{error} $ a day and household against {against}{bounds}"))
            units = {"revenue": "$ a day and household", "gap": "points", "peak": "of the limit", "price spread": "of the limit"}
            text = "; ".join(f"{k} by {number(v, 2)}" + (f" +- {number(2 * self.errors[k], 2)}" if self.errors.get(k) else "") + f" {units[k]}"
                             for k, v in self.missed.items())  # fmt: skip
            rows.append(("missed", text))
            error = f" +- {number(2 * self.promise_error, 2)}" if 0 < self.promise_error < math.inf else ""
            more = f"{number(self.promise, 2)}{error} $ a day within {REACH:g} $/kWh" if math.isfinite(self.promise) else "not known"
            text = f"{more}; up to {100 * self.unknown:.0f} % of a response assumed, not measured"
            rows.append(("promise", text))
        rows.append(("stopped", f"{self.because}; {self.learned_by} billing periods"))
        return Block(f"Learned tariff: {self.status}", tuple(rows), good=self.status.success)

    def __str__(self) -> str:
        return self.block().text()

    __repr__ = __str__
