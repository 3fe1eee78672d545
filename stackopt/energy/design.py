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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from stackopt.display import Block, number
from stackopt.energy.criteria import DAYS, Criteria, criteria
from stackopt.energy.equilibrium import Equilibrium, equilibrium
from stackopt.energy.gradients import Gradients, gradients
from stackopt.energy.households import HOURS, Households
from stackopt.energy.market.supply import Supply
from stackopt.energy.tariff import DAYS_PER_MONTH, Tariff
from stackopt.errors import InvalidStudy
from stackopt.solution import Progress, Report, Status

Array = NDArray[np.float64]

#: The hours of the usual four periods.
PERIODS: Mapping[str, Sequence[int]] = {"off": range(10), "midday": range(10, 16), "peak": range(16, 21), "night": range(21, 24)}
#: How far limits may be missed: $/day, shares of income, relative to MW.
FEASIBLE = 1e-6
#: First-order residual, relative to the size of the gradient, that is called stationary.
STATIONARY = 1e-3


@dataclass(frozen=True)
class Limits:
    """What a design must respect.

    Attributes
    ----------
    gap : float
        Of incidence between income groups, as a share of income.
    peak : float, MW
    price_spread : float, $/MWh
        Standard deviation of wholesale prices.
    """

    gap: float = math.inf
    peak: float = math.inf
    price_spread: float = math.inf


@dataclass(frozen=True, eq=False)
class DesignProblem:
    """What the leader may choose.

    Parameters
    ----------
    households, market
    required : float, $/day and household
        Fixed costs to recover. The default is reconstructed: a Californian bill of 145 $/month less energy.
    periods : mapping of name to hours
        Cover each hour of the day once.
    buy : (float, float), $/kWh
        Bounds of the buy adders.
    sell : (float, float), $/kWh
        Bounds of the sell adders; besides, no hour's sell rate exceeds its buy rate.
    pass_buy, pass_sell : float
        Shares of the wholesale price passed through.
    net_metering : bool
        The sell rate is the buy rate.
    cap : float, $/month
        On fixed charges.
    ratios : sequence [g], optional
        Fixed charges in given ratios; by default each group's is free.
    discount : mapping of group to share
    limits : Limits
    temperature : float, $
    """

    households: Households
    market: Supply
    required: float = 3.6
    periods: Mapping[str, Sequence[int]] = field(default_factory=lambda: PERIODS)
    buy: tuple[float, float] = (0.0, 0.8)
    sell: tuple[float, float] = (0.0, 0.8)
    pass_buy: float = 1.0
    pass_sell: float = 1.0
    net_metering: bool = False
    cap: float = 24.15
    ratios: Sequence[float] | None = None
    discount: Mapping[str, float] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    temperature: float = 0.02

    def __post_init__(self) -> None:
        hours = sorted(h for period in self.periods.values() for h in period)
        if hours != list(range(HOURS)):
            wrong = next(h for h in range(HOURS + 1) if hours.count(h) != 1)
            raise InvalidStudy("hours", law="periods that cover each of the 24 hours once", got=f"hour {wrong} {hours.count(wrong)} times")
        for name in ("buy", "sell"):
            low, high = getattr(self, name)
            if not low <= high:
                raise InvalidStudy("setting-value", name=name, law="bounds in order", got=f"{low}, {high}")
        if not self.cap >= 0 or not math.isfinite(self.required):
            raise InvalidStudy("setting-value", name="cap", law="at least 0, and a finite requirement", got=f"{self.cap}, {self.required}")

    @property
    def selection(self) -> Array:
        """Which period each hour belongs to [24, p]."""
        chosen = np.zeros((HOURS, len(self.periods)))
        for p, hours in enumerate(self.periods.values()):
            chosen[list(hours), p] = 1.0
        return chosen

    def tariff(self, z: Array, name: str = "designed") -> Tariff:
        """The tariff of rates z = (buy by period, sell by period, fixed by group in $/day)."""
        P, groups = len(self.periods), self.households.groups
        fixed = {g: float(f) * DAYS_PER_MONTH for g, f in zip(groups, z[2 * P : 2 * P + len(groups)], strict=True)}
        chosen = self.selection
        return Tariff(name, chosen @ z[:P], chosen @ z[P : 2 * P], self.pass_buy, self.pass_sell, fixed, self.discount, self.net_metering)


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
            chosen = {name: next(iter(hours)) for name, hours in self.problem.periods.items()}
            rates = "  ".join(f"{n} {self.tariff.buy[h]:.4f}/{self.tariff.sell[h]:.4f}" for n, h in chosen.items())
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


class _Evaluation:
    """One point of a search: equilibrium, criteria, gradients; the last is kept, starts are warm."""

    def __init__(self, problem: DesignProblem, tolerance: float) -> None:
        self.problem, self.tolerance = problem, tolerance
        self.P, self.G = len(problem.periods), len(problem.households.groups)
        chosen = problem.selection
        none = np.zeros_like(chosen)
        self.buy, self.sell = np.hstack([chosen, none]), np.hstack([none, chosen])
        self.count = 0
        self._z: Array | None = None
        self._warm: Equilibrium | None = None
        self.found: Equilibrium | None = None
        self.seen: Criteria | None = None
        self._gradients: Gradients | None = None
        weight = np.bincount(problem.households.group_of, weights=problem.households.share, minlength=self.G)
        self.weight = weight

    def at(self, z: Array) -> bool:
        """Solve at z (rates and fixed charges); False where households and market do not settle or selling would pay more than buying."""
        rates = z[: 2 * self.P]
        if self._z is None or not np.array_equal(rates, self._z):
            self._z, self._gradients, self.found = rates.copy(), None, None
            try:
                found = equilibrium(
                    self.problem.households, self.problem.market, self.problem.tariff(z), temperature=self.problem.temperature,
                    tolerance=self.tolerance, start=self._warm, time_limit=20.0,
                )  # fmt: skip
            except InvalidStudy:
                return False
            self.count += 1
            if found.converged:
                self.found = self._warm = found
                self.seen = criteria(found, self.problem.required, np.zeros(self.G))
        return self.found is not None

    @property
    def gradient(self) -> Gradients:
        """At the last point."""
        assert self.found is not None
        if self._gradients is None:
            self._gradients = gradients(self.found, self.buy, self.sell)
        return self._gradients


class _Search:
    """The nonlinear program in variables (buy [p], sell [p], fixed [g], t1, t2)."""

    def __init__(self, problem: DesignProblem, tolerance: float = 1e-10, least_gap: bool = False) -> None:
        self.problem, self.evaluation, self.least_gap = problem, _Evaluation(problem, tolerance), least_gap
        P, G = self.evaluation.P, self.evaluation.G
        self.P, self.G, self.n = P, G, 2 * P + G + 2
        cap = problem.cap / DAYS_PER_MONTH
        low = [problem.buy[0]] * P + [problem.sell[0]] * P + [0.0] * G + [-2.0, -2.0]
        high = [problem.buy[1]] * P + [problem.sell[1]] * P + [cap] * G + [2.0, 2.0]
        if problem.net_metering:
            low[P : 2 * P] = high[P : 2 * P] = [0.0] * P
        self.low, self.high = np.array(low), np.array(high)
        income = problem.households.by_group(problem.households.income)
        self.per_fixed = DAYS / income
        self.present = np.flatnonzero(self.evaluation.weight > 0)
        self.bad = 0

    def cost(self, z: Array) -> float:
        """The objective; a wall where households do not settle, so that a line search turns back."""
        if not self.evaluation.at(z):
            self.bad += 1
            return 1e3
        assert self.evaluation.seen is not None
        return float(z[-2] - z[-1]) if self.least_gap else self.evaluation.seen.cost

    def cost_slope(self, z: Array) -> Array:
        """Its gradient."""
        gradient = np.zeros(self.n)
        if self.least_gap:
            gradient[-2:] = 1.0, -1.0
        elif self.evaluation.at(z):
            gradient[: 2 * self.P] = self.evaluation.gradient.cost
        return gradient

    def equalities(self, z: Array) -> Array:
        """Revenue, and ratios of fixed charges where they are given."""
        P, G = self.P, self.G
        fixed = z[2 * P : 2 * P + G]
        rows = [1.0]
        if self.evaluation.at(z):
            assert self.evaluation.seen is not None
            rows = [float(self.evaluation.weight @ fixed) - self.evaluation.seen.shortfall]
        if self.problem.ratios is not None:
            rows += [float(self.problem.ratios[g] * fixed[0] - self.problem.ratios[0] * fixed[g]) for g in range(1, G)]
        return np.array(rows)

    def equality_slopes(self, z: Array) -> Array:
        """Derivatives of `equalities`."""
        P, G = self.P, self.G
        revenue = np.zeros(self.n)
        revenue[2 * P : 2 * P + G] = self.evaluation.weight
        if self.evaluation.at(z):
            moved = self.evaluation.gradient
            revenue[: 2 * P] = moved.volumetric - moved.wholesale
        slopes = [revenue]
        if self.problem.ratios is not None:
            for g in range(1, G):
                row = np.zeros(self.n)
                row[2 * P], row[2 * P + g] = self.problem.ratios[g], -self.problem.ratios[0]
                slopes.append(row)
        return np.array(slopes)

    def inequalities(self, z: Array) -> Array:
        """At least 0: incidence between t2 and t1, their difference, sell rates below buy rates, peak and price spread."""
        P, G, limits = self.P, self.G, self.problem.limits
        found, seen = (self.evaluation.found, self.evaluation.seen) if self.evaluation.at(z) else (None, None)
        regime = self.problem.households.weather.shares
        rows = [np.ones(1)]
        if math.isfinite(limits.gap):
            incidence = self.per_fixed * z[2 * P : 2 * P + G] + (seen.incidence if seen is not None else 0.0)
            here = incidence[self.present]
            rows += [z[-2] - here, here - z[-1], np.array([limits.gap - (z[-2] - z[-1])])]
        if not self.problem.net_metering:
            spread = self.problem.selection @ (z[:P] - z[P : 2 * P])
            passed = self.problem.pass_buy - self.problem.pass_sell
            if passed == 0.0:
                rows.append(spread)
            else:
                price = found.price if found is not None else np.full((len(self.problem.households.buses), HOURS, len(regime)), -1.0 / passed)
                rows.append((spread[None, :, None] + passed * price).ravel())
        if math.isfinite(limits.peak):
            rows.append(np.full(HOURS, -1.0) if found is None else 1.0 - (self.problem.market.total(found.response.load) * regime).sum(-1) / limits.peak)
        if math.isfinite(limits.price_spread):
            rows.append(np.array([-1.0 if seen is None else 1.0 - (seen.price_spread / limits.price_spread) ** 2]))
        return np.concatenate(rows)

    def inequality_slopes(self, z: Array) -> Array:
        """Derivatives of `inequalities`."""
        P, G, limits = self.P, self.G, self.problem.limits
        moved = self.evaluation.gradient if self.evaluation.at(z) else None
        regime = self.problem.households.weather.shares
        slopes = [np.zeros((1, self.n))]
        if math.isfinite(limits.gap):
            slope = np.zeros((G, self.n))
            slope[np.arange(G), 2 * P + np.arange(G)] = self.per_fixed
            if moved is not None:
                slope[:, : 2 * P] = moved.incidence
            above, below, width = -slope[self.present], slope[self.present], np.zeros((1, self.n))
            above[:, -2], below[:, -1], width[0, -2:] = 1.0, -1.0, (-1.0, 1.0)
            slopes += [above, below, width]
        if not self.problem.net_metering:
            chosen = self.problem.selection
            slope = np.zeros((HOURS, self.n))
            slope[:, :P], slope[:, P : 2 * P] = chosen, -chosen
            passed = self.problem.pass_buy - self.problem.pass_sell
            if passed != 0.0:
                cells = np.broadcast_to(slope[None, :, None], (len(self.problem.households.buses), HOURS, len(regime), self.n)).copy()
                if moved is not None:
                    cells[..., : 2 * P] += passed * moved.price
                slope = cells.reshape(-1, self.n)
            slopes.append(slope)
        if math.isfinite(limits.peak):
            slope = np.zeros((HOURS, self.n))
            if moved is not None:
                slope[:, : 2 * P] = -(moved.load * regime[:, None]).sum(1) / limits.peak
            slopes.append(slope)
        if math.isfinite(limits.price_spread):
            slope = np.zeros((1, self.n))
            if moved is not None:
                slope[0, : 2 * P] = -moved.price_variance / limits.price_spread**2
            slopes.append(slope)
        return np.concatenate(slopes)

    def minimise(self, z: Array, iterations: int = 120) -> tuple[Array, bool, str]:
        """SLSQP from z."""
        from scipy.optimize import minimize

        found = minimize(
            self.cost, np.clip(z, self.low, self.high), jac=self.cost_slope, method="SLSQP", bounds=list(zip(self.low, self.high, strict=True)),
            constraints=[
                {"type": "eq", "fun": self.equalities, "jac": self.equality_slopes},
                {"type": "ineq", "fun": self.inequalities, "jac": self.inequality_slopes},
            ],
            options={"maxiter": iterations, "ftol": 1e-8},
        )  # fmt: skip
        return np.clip(found.x, self.low, self.high), bool(found.success), str(found.message)

    def violation(self, z: Array) -> float:
        """Largest miss of any limit; NaN where households do not settle."""
        if not self.evaluation.at(z):
            return float("nan")
        return max(float(np.abs(self.equalities(z)).max()), float(np.maximum(-self.inequalities(z), 0.0).max()))

    def stationarity(self, z: Array) -> float:
        """How far the gradient is from the cone of active limits, relative to its size: by non-negative least squares."""
        from scipy.optimize import nnls

        gradient, equal = self.cost_slope(z), self.equality_slopes(z)
        active = self.inequality_slopes(z)[self.inequalities(z) <= 1e-6]
        bounds = [s * e for s, side in ((1.0, z - self.low), (-1.0, self.high - z)) for e, room in zip(np.eye(self.n), side, strict=True) if room <= 1e-7]
        cone = np.vstack([equal, -equal, active, *bounds]) if bounds else np.vstack([equal, -equal, active])
        size = float(np.linalg.norm(gradient))
        return float(nnls(cone.T, gradient, maxiter=20 * cone.shape[0])[1]) / size if size > 0 else 0.0

    def at_bounds(self, z: Array) -> tuple[str, ...]:
        """Names of rates and charges that stand at a bound."""
        periods, groups = list(self.problem.periods), self.problem.households.groups
        names = [f"buy {p}" for p in periods] + [f"sell {p}" for p in periods] + [f"fixed {g}" for g in groups]
        said = []
        for name, value, low, high in zip(names, z, self.low, self.high, strict=False):
            if low < high and value - low <= 1e-7:
                said.append(f"{name} lowest")
            elif low < high and high - value <= 1e-7:
                said.append(f"{name} highest")
        return tuple(said)


def starting_points(search: _Search, starts: int, seed: int) -> list[Array]:
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
    search = _Search(problem)
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
    search = _Search(replace(problem, limits=replace(problem.limits, gap=2.0)), least_gap=True)
    z, _, _ = search.minimise(starting_points(search, 1, 0)[0] if begin is None else begin)
    return float(z[-2] - z[-1]) if search.violation(z) <= FEASIBLE else math.nan


def largest_revenue(problem: DesignProblem, levels: int = 25) -> float:
    """The most that can be collected beyond wholesale purchases, $/day and household: all buy adders alike, over their range, and the highest fixed charges."""
    search = _Search(problem)
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


def frontier(problem: DesignProblem, gaps: Sequence[float], *, starts: int = 4, seed: int = 0, report: Report | None = None) -> list[Design]:
    """The least cost at each limit on the equity gap: widest first, each begun where its neighbours ended, then once more from the other side.

    Points that fail examination are returned as they are, with their status, and belong in no picture.
    """
    order = sorted(range(len(gaps)), key=lambda k: -gaps[k])
    found: dict[int, Design] = {}
    before: list[Array] = []
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
