"""What tariffs can reach at all: the largest revenue, and the smallest gap, peak or price spread under the other limits."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stackopt.display import number
from stackopt.energy.designs.problem import DesignProblem, Limits
from stackopt.energy.designs.program import Search
from stackopt.energy.tariff import DAYS_PER_MONTH

Array = NDArray[np.float64]

#: How far limits may be missed, as in designs.
FEASIBLE = 1e-6
#: What limits can be on, as it is called in text, with its unit.
LIMITED = {"gap": ("gap", ""), "peak": ("peak", " MW"), "price_spread": ("price spread", " $/MWh")}


@dataclass(frozen=True, eq=False)
class Smallest:
    """The least of a criterion that a local search finds.

    Attributes
    ----------
    value : float
        Share of income, MW or $/MWh; NaN where no point within the limits was found.
    z : array or None
        Where, as `Design.z`.
    equilibria : int
    """

    value: float
    z: Array | None
    equilibria: int


def smallest(problem: DesignProblem, over: str, begin: Array | None = None) -> Smallest:
    """The smallest ``"gap"``, ``"peak"`` or ``"price_spread"`` under the other limits: the better of local searches from `begin` and from uniform rates."""
    search = Search(problem, least=over)
    best = Smallest(math.nan, None, 0)
    for near in (None,) if begin is None else (None, begin):
        point = search.starts(1, 0)[0]
        if near is not None:
            point[: len(near)] = near
        search.evaluation.forget()
        z, _, _ = search.minimise(point)
        if search.violation(z) <= FEASIBLE:
            seen = search.evaluation.seen
            assert seen is not None
            value = {"gap": float(z[search.t] - z[search.t + 1]), "peak": seen.peak, "price_spread": seen.price_spread}[over]
            if not value >= best.value:
                best = Smallest(value, z[: search.t + 2], 0)
    return replace(best, equilibria=search.evaluation.count)


def told(over: str, least: float, asked: float) -> str:
    """What is said of a limit that cannot be met."""
    name, unit = LIMITED[over]
    found = f"the smallest {name} found is {number(least, 4)}{unit}" if math.isfinite(least) else f"no {name} was found under the other limits"
    return f"{found}, asked {number(asked, 4)}{unit}"


def smallest_gap(problem: DesignProblem, begin: Array | None = None) -> float:
    """The smallest gap of incidence between groups that a local search finds under the other limits; NaN if it finds no point."""
    return smallest(problem, "gap", begin).value


def largest_revenue(problem: DesignProblem, levels: int = 25) -> float:
    """The most found that can be collected beyond wholesale purchases, $/day and household, whatever the limits on the gap and on stability.

    All buy adders alike, over their range; then all rates on their own, by a local search from the best of these. Fixed charges stand at their cap.
    """
    from scipy.optimize import minimize

    search = Search(replace(problem, limits=Limits()))
    cap = problem.cap / DAYS_PER_MONTH if math.isfinite(problem.cap) else 1e3
    ratios = np.ones(search.G) if problem.ratios is None else np.asarray(problem.ratios, float) / max(problem.ratios)
    fixed, rates = cap * float(search.evaluation.weight @ ratios), 2 * search.P

    def at(r: Array) -> Array:
        return np.concatenate([r, np.zeros(search.n - rates)])

    def lacking(r: Array) -> float:
        if not search.evaluation.at(at(r)):
            return 1e3
        assert search.evaluation.seen is not None
        return search.evaluation.seen.wholesale - search.evaluation.seen.volumetric

    def slope(r: Array) -> Array:
        if not search.evaluation.at(at(r)):
            return np.zeros(rates)
        return search.evaluation.gradient.wholesale - search.evaluation.gradient.volumetric

    alike = []
    for level in np.linspace(*problem.buy, levels):
        r = np.concatenate([np.full(search.P, level), np.full(search.P, min(max(problem.sell[0], 0.0), level))])
        alike.append((lacking(np.clip(r, search.low[:rates], search.high[:rates])), r))
    least, best = min(alike, key=lambda pair: pair[0])
    if least >= 1e3:
        return -math.inf
    found = minimize(
        lacking, np.clip(best, search.low[:rates], search.high[:rates]), jac=slope, method="SLSQP", options={"maxiter": 60, "ftol": 1e-10},
        bounds=list(zip(search.low[:rates], search.high[:rates], strict=True)),
        constraints=[{"type": "ineq", "fun": lambda r: search.inequalities(at(r)), "jac": lambda r: search.inequality_slopes(at(r))[:, :rates]}],
    )  # fmt: skip
    r = np.clip(found.x, search.low[:rates], search.high[:rates])
    if lacking(r) < least and search.inequalities(at(r)).min() >= -FEASIBLE:
        least = lacking(r)
    return fixed - least
