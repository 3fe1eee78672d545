r"""The leader: rates by period and fixed charges by income group that serve at least cost, within limits on equity and stability.

.. math:: \min\ \text{generation}-\text{utility}+\text{wear}\quad\text{s.t.}\quad \text{revenue}=\text{required}+\text{wholesale},\quad
   t_2\le \text{EEI}_g\le t_1,\ t_1-t_2\le\text{gap},\quad 0\le f_g\le\text{cap},\quad \text{sell}\le\text{buy},\ \ldots

over the equilibrium of the population at every point. Efficiency is the objective, everything else a limit: criteria are never added up.
The problem is not convex; SLSQP on this epigraph form runs from several starts, and what it calls a success is checked: the
equilibrium is solved anew, limits are evaluated, and the first-order conditions are measured.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stackopt.display import Block, number
from stackopt.energy.criteria import Criteria, criteria
from stackopt.energy.designs.curvature import AWAY, downhill
from stackopt.energy.designs.problem import DesignProblem
from stackopt.energy.designs.program import Search
from stackopt.energy.designs.reach import LIMITED, largest_revenue, smallest, told
from stackopt.energy.equilibrium import Equilibrium, equilibrium
from stackopt.energy.tariff import Tariff
from stackopt.solution import Progress, Report, Status

Array = NDArray[np.float64]
#: Where a start ended: point, cost, largest miss of a limit, first-order residual, and what the method said unless it called it a success.
_End = tuple[Array, float, float, float, str]

#: How far limits may be missed: $/day, shares of income, relative to MW.
FEASIBLE = 1e-6
#: First-order residual, relative to the size of the gradient, that is called stationary.
STATIONARY = 1e-3
#: $/day and household by which a design must cost less than a stationary point to show that this is no local optimum.
BETTER = 1e-7
#: How near a requirement may be to the most that can be collected, relative, without being called out of reach.
NEAR = 1e-4


@dataclass(frozen=True, eq=False)
class Design:
    """What a search found.

    Attributes
    ----------
    problem : DesignProblem
    tariff : Tariff or None
    equilibrium : Equilibrium or None
        Solved anew under `tariff`.
    criteria : Criteria or None
    status : Status
        CONVERGED: equilibrium, limits and first-order conditions hold. INFEASIBLE: the requirement cannot be recovered. LIMIT: neither.
    because : str
    violation : float
        Largest miss of a limit.
    stationarity : float
        First-order residual, relative.
    starts : tuple of (cost, status)
        Where each start ended.
    equilibria : int
        Work done.
    at_bounds : tuple of str
        Bounds of rates and charges that bind.
    """

    problem: DesignProblem
    tariff: Tariff | None
    equilibrium: Equilibrium | None
    criteria: Criteria | None
    status: Status
    because: str
    violation: float
    stationarity: float
    starts: tuple[tuple[float, str], ...]
    equilibria: int
    at_bounds: tuple[str, ...] = ()
    z: Array | None = None

    def block(self) -> Block:
        """The printed form."""
        rows = []
        if self.tariff is not None and self.criteria is not None:
            rates = "  ".join(f"{n} {b:.4f}/{s:.4f}" for n, b, s in zip(self.problem.periods, *self.problem.rates_of(self.tariff), strict=True))
            rows += [("rates", f"buy/sell adders {rates} $/kWh"), ("fixed", "  ".join(f"{g} {f:.2f}" for g, f in self.tariff.fixed.items()) + " $/month")]
            rows += list(self.criteria.block().rows)
        if self.at_bounds:
            rows.append(("at bounds", ", ".join(self.at_bounds)))
        rows.append(("starts", ", ".join(f"{c:.4f} ({s})" for c, s in self.starts)))
        rows.append(("stopped", f"{self.because}; {self.equilibria} equilibria"))
        return Block(f"Design: {self.status}", tuple(rows), good=self.status.success)

    def __str__(self) -> str:
        return self.block().text()

    __repr__ = __str__


def design(
    problem: DesignProblem,
    *,
    starts: int = 4,
    seed: int = 0,
    begin: Sequence[Array] = (),
    report: Report | None = None,
    time_limit: float = 600.0,
    iterations: int = 120,
    explain: bool = True,
) -> Design:
    """Search from several starts and keep the best end that passes examination.

    Parameters
    ----------
    starts : int
        At least 4 are advised: SLSQP also ends, with success, far from the best.
    begin : sequence of arrays, optional
        Further starts, e.g. designs of neighbouring problems (`Design.z`).
    iterations : int
        Of each start.
    explain : bool
        Whether to compute what can be reached, where nothing was found.

    Returns
    -------
    Design
        CONVERGED means a point that satisfies the limits and the first-order conditions, the best of those found. Where its cost curves down along
        the limits (`stackopt.energy.designs.curvature`) it is no local optimum, and the search goes on from either side.
    """
    search = Search(problem)
    began, ends = time.monotonic(), []
    best: _End | None = None
    points = [*begin, *search.starts(starts, seed)]
    for k, point in enumerate(points):
        if time.monotonic() - began > time_limit:
            break
        search.evaluation.forget()
        z, success, message = search.minimise(point, iterations)
        miss = search.violation(z)
        value = search.cost(z) if np.isfinite(miss) else math.inf
        slope = search.stationarity(z) if miss <= FEASIBLE else math.inf
        word = "stationary" if miss <= FEASIBLE and slope <= STATIONARY else "feasible, not stationary" if miss <= FEASIBLE else "infeasible"
        ends.append((value, word))
        if miss <= FEASIBLE and (best is None or (slope <= STATIONARY, -value) > (best[3] <= STATIONARY, -best[1])):
            best = (z, value, miss, slope, message if not success else "")
        if report is not None:
            report(Progress("design", k + 1, len(points), miss))
    if best is None:
        status, because = Status.LIMIT, "no start ended within the limits"
        if explain:
            reach = largest_revenue(problem)
            if reach < problem.required - NEAR * (1.0 + abs(problem.required)):
                status = Status.INFEASIBLE
                asked = number(problem.required, 5)
                because = f"no rates found recover the requirement: at most {number(reach, 5)} of {asked} $ a day and household can be collected"
            else:
                because += f"; up to {number(reach, 5)} $ a day and household can be collected"
                for over in LIMITED:
                    limit = getattr(problem.limits, over)
                    if math.isfinite(limit) and points:
                        because += ", " + told(over, smallest(problem, over, points[0]).value, limit)
        return Design(problem, None, None, None, status, because, math.nan, math.nan, tuple(ends), search.evaluation.count)
    ridge = False
    if explain and best[3] <= STATIONARY:
        best, ridge = _down(search, best, iterations)
    return _examined(search, *best, tuple(ends), ridge)


def examine(problem: DesignProblem, z: Array) -> Design:
    """A point that somebody else found, e.g. an earlier run, as a design: equilibrium from nothing, limits and first-order conditions.

    CONVERGED as `design`'s are, and LIMIT where it misses a limit or the conditions.
    """
    search = Search(problem)
    miss = search.violation(z) if len(z) == search.n else math.nan
    if not miss <= FEASIBLE:
        because = f"limits missed by {number(miss, 2)}" if len(z) == search.n else f"{len(z)} figures for {search.n} rates, charges and burdens"
        return Design(problem, None, None, None, Status.LIMIT, because, miss, math.nan, (), search.evaluation.count)
    here: _End = (z, search.cost(z), miss, search.stationarity(z), "")
    lower, ridge = _down(search, here, 30) if here[3] <= STATIONARY else (here, False)
    if lower is not here:
        because = f"limits missed by {number(miss, 2)}, first-order residual {number(here[3], 2)}; a design nearby costs {number(here[1] - lower[1], 2)} less"
        return Design(problem, None, None, None, Status.LIMIT, because, miss, here[3], (), search.evaluation.count)
    return _examined(search, *here, (), ridge)


def _down(search: Search, best: _End, iterations: int) -> tuple[_End, bool]:
    """From a stationary point where the cost curves down along the limits to a better one: (the last point, whether it still curves down there)."""
    for _ in range(3):
        along = downhill(search, best[0])
        if along is None:
            return best, False
        lower = best
        for away in (s * d for d in AWAY for s in (1.0, -1.0)):
            search.evaluation.forget()
            z, success, message = search.minimise(best[0] + away * along, iterations)
            miss = search.violation(z)
            if miss <= FEASIBLE and search.cost(z) < best[1] - BETTER:
                lower = (z, search.cost(z), miss, search.stationarity(z), message if not success else "")
                break
        if lower is best:
            return best, True
        best = lower
    return best, downhill(search, best[0]) is not None


def _examined(search: Search, z: Array, value: float, miss: float, slope: float, message: str, ends: tuple[tuple[float, str], ...], ridge: bool) -> Design:
    """A point within the limits, its equilibrium solved anew."""
    problem = search.problem
    tariff = problem.tariff(z)
    found = equilibrium(problem.households, problem.market, tariff, temperature=problem.temperature)
    seen = criteria(found, problem.required)
    agrees = found.converged and abs(seen.cost - value) <= 1e-5 * (1.0 + abs(value))
    good = agrees and slope <= STATIONARY
    because = f"limits missed by {number(miss, 2)}, first-order residual {number(slope, 2)}"
    best = "; best of the stationary points found, but its cost curves down along the limits" if ridge else "; best of the local optima found"
    because += best if good else (f"; {message}" if message else "") + ("" if agrees else "; a fresh equilibrium disagrees")
    status = Status.CONVERGED if good else Status.LIMIT
    return Design(problem, tariff, found, seen, status, because, miss, slope, ends, search.evaluation.count, search.at_bounds(z), z)
