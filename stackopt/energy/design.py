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
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stackopt.display import Block, number
from stackopt.energy.criteria import Criteria, criteria
from stackopt.energy.design_problem import DesignProblem
from stackopt.energy.design_program import Search
from stackopt.energy.equilibrium import Equilibrium, equilibrium
from stackopt.energy.tariff import DAYS_PER_MONTH, Tariff
from stackopt.solution import Progress, Report, Status

Array = NDArray[np.float64]

#: How far limits may be missed: $/day, shares of income, relative to MW.
FEASIBLE = 1e-6
#: First-order residual, relative to the size of the gradient, that is called stationary.
STATIONARY = 1e-3


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


def starting_points(search: Search, starts: int, seed: int) -> list[Array]:
    """Rates all alike at levels spread over their range, then random ones; fixed charges in the middle."""
    rng = np.random.default_rng(seed)
    P = search.P
    points = []
    for k in range(starts):
        z = np.zeros(search.n)
        level = (k + 1) / (starts + 1)
        z[:P] = search.low[:P] + (0.1 + 0.5 * level) * (search.high[:P] - search.low[:P]) * (1.0 if k < 2 else rng.uniform(0.5, 1.5, P))
        room = np.minimum(search.high[P : 2 * P], z[:P]) - search.low[P : 2 * P]
        z[P : 2 * P] = search.low[P : 2 * P] + np.maximum(room, 0.0) * (0.5 if k < 2 else rng.uniform(0.0, 0.9, P))
        z[2 * P : 2 * P + search.G] = 0.5 * search.high[2 * P : 2 * P + search.G] if np.isfinite(search.problem.cap) else 0.5
        z[-2], z[-1] = 0.2, 0.0
        points.append(z)
    return points


def design(
    problem: DesignProblem, *, starts: int = 4, seed: int = 0, begin: Sequence[Array] = (), report: Report | None = None, time_limit: float = 600.0
) -> Design:
    """Search from several starts and keep the best end that passes examination.

    Parameters
    ----------
    starts : int
        At least 4 are advised: SLSQP also ends, with success, far from the best.
    begin : sequence of arrays, optional
        Further starts, e.g. designs of neighbouring problems (`Design.z`).

    Returns
    -------
    Design
        CONVERGED means a point that satisfies the limits and the first-order conditions: a local optimum, the best of those found.
    """
    search = Search(problem)
    began, ends, best = time.monotonic(), [], None
    points = [*begin, *starting_points(search, starts, seed)]
    for k, point in enumerate(points):
        if time.monotonic() - began > time_limit:
            break
        search.evaluation._warm = None
        z, success, message = search.minimise(point)
        miss = search.violation(z)
        value = search.cost(z) if np.isfinite(miss) else math.inf
        slope = search.stationarity(z) if miss <= FEASIBLE else math.inf
        word = "local optimum" if miss <= FEASIBLE and slope <= STATIONARY else "feasible, not stationary" if miss <= FEASIBLE else "infeasible"
        ends.append((value, word))
        if miss <= FEASIBLE and (best is None or (slope <= STATIONARY, -value) > (best[3] <= STATIONARY, -best[1])):
            best = (z, value, miss, slope, message if not success else "")
        if report is not None:
            report(Progress("design", k + 1, len(points), miss))
    if best is None:
        reach = largest_revenue(problem)
        if reach < problem.required:
            because = f"no rates recover the requirement: at most {number(reach, 5)} of {number(problem.required, 5)} $ a day and household can be collected"
            return Design(problem, None, None, None, Status.INFEASIBLE, because, math.nan, math.nan, tuple(ends), search.evaluation.count)
        because = f"no start ended within the limits; up to {number(reach, 5)} $ a day and household can be collected"
        if math.isfinite(problem.limits.gap) and points:
            because += f", the smallest gap found is {number(smallest_gap(problem, points[0]), 4)}, asked {number(problem.limits.gap, 4)}"
        return Design(problem, None, None, None, Status.LIMIT, because, math.nan, math.nan, tuple(ends), search.evaluation.count)
    z, value, miss, slope, message = best
    tariff = problem.tariff(z)
    found = equilibrium(problem.households, problem.market, tariff, temperature=problem.temperature, start=None)
    seen = criteria(found, problem.required)
    agrees = found.converged and abs(seen.cost - value) <= 1e-5 * (1.0 + abs(value))
    good = agrees and slope <= STATIONARY
    because = f"limits missed by {number(miss, 2)}, first-order residual {number(slope, 2)}"
    because += "; best of the local optima found" if good else (f"; {message}" if message else "") + ("" if agrees else "; a fresh equilibrium disagrees")
    status = Status.CONVERGED if good else Status.LIMIT
    return Design(problem, tariff, found, seen, status, because, miss, slope, tuple(ends), search.evaluation.count, search.at_bounds(z), z)


def smallest_gap(problem: DesignProblem, begin: Array | None = None) -> float:
    """The smallest gap of incidence between groups that a local search finds under the other limits; NaN if it finds no point."""
    search = Search(replace(problem, limits=replace(problem.limits, gap=2.0)), least_gap=True)
    z, _, _ = search.minimise(starting_points(search, 1, 0)[0] if begin is None else begin)
    return float(z[-2] - z[-1]) if search.violation(z) <= FEASIBLE else math.nan


def largest_revenue(problem: DesignProblem, levels: int = 25) -> float:
    """The most that can be collected beyond wholesale purchases, $/day and household: all buy adders alike, over their range, and the highest fixed charges."""
    search = Search(problem)
    highest = -math.inf
    cap = problem.cap / DAYS_PER_MONTH if math.isfinite(problem.cap) else 1e3
    for level in np.linspace(*problem.buy, levels):
        z = np.zeros(search.n)
        z[: search.P], z[search.P : 2 * search.P] = level, min(max(problem.sell[0], 0.0), level)
        if search.evaluation.at(z):
            assert search.evaluation.seen is not None
            ratios = np.ones(search.G) if problem.ratios is None else np.asarray(problem.ratios, float) / max(problem.ratios)
            fixed = cap * float(search.evaluation.weight @ ratios)
            highest = max(highest, search.evaluation.seen.volumetric - search.evaluation.seen.wholesale + fixed)
    return highest


def frontier(
    problem: DesignProblem, gaps: Sequence[float], *, starts: int = 4, seed: int = 0, begin: Sequence[Array] = (), report: Report | None = None
) -> list[Design]:
    """The least cost at each limit on the equity gap: widest first, each begun where its neighbours ended, then once more from the other side.

    `begin` are further starts of the first, e.g. of a design without the limit (`Design.z`).

    Points that fail examination are returned as they are, with their status, and belong in no picture.
    """
    order = sorted(range(len(gaps)), key=lambda k: -gaps[k])
    found: dict[int, Design] = {}
    before: list[Array] = list(begin)
    for rank, k in enumerate(order):
        limited = replace(problem, limits=replace(problem.limits, gap=float(gaps[k])))
        found[k] = design(limited, starts=starts if rank == 0 else 0, seed=seed, begin=before, report=report)
        z = found[k].z
        before = [z] if z is not None else before
    for rank in range(len(order) - 2, -1, -1):  # a wider limit can do at least as well as the narrower one did
        wide, narrow = order[rank], order[rank + 1]
        z, own = found[narrow].z, found[wide].criteria
        other = found[narrow].criteria
        if z is not None and other is not None and (own is None or other.cost < own.cost - 1e-7):
            again = design(found[wide].problem, starts=0, seed=seed, begin=[z], report=report)
            if again.status.success and (own is None or (again.criteria is not None and again.criteria.cost < own.cost)):
                found[wide] = again
    return [found[k] for k in range(len(gaps))]
