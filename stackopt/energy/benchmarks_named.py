r"""Named tariffs that recover the same revenue: each has one level, of its energy rate or of its fixed charges, solved for.

What a rate collects beyond wholesale purchases, :math:`m(\ell)=\text{bills}(\ell)+\text{fixed}-\text{wholesale}(\ell)`, rises with its level
:math:`\ell` and falls again where sales shrink; the smallest level with :math:`m(\ell)=\text{required}` is bracketed and solved. Where the
largest m is below the requirement, no level recovers it, and that largest m is reported.
"""

from __future__ import annotations

import contextlib
import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackopt.energy.criteria import Criteria, criteria, fixed_for_revenue
from stackopt.energy.diagnosis import Diagnosis, diagnose
from stackopt.energy.equilibrium import Equilibrium, equilibrium
from stackopt.energy.households import HOURS, Households
from stackopt.energy.market.supply import Supply
from stackopt.energy.seasons import DAYS_OF_MONTH
from stackopt.energy.standard import _table
from stackopt.energy.tariff import DAYS_PER_MONTH, Tariff
from stackopt.errors import InfeasibleTariff, InvalidStudy
from stackopt.solution import Status

Array = NDArray[np.float64]

#: What each name means.
NAMES: Mapping[str, str] = {
    "flat_nem": "one rate, net metering",
    "flat_nb": "one rate, exports credited at the wholesale price",
    "tou_nem": "peak 16-21 h, and seasons, at the ratios of PG&E E-TOU-C, net metering",
    "tou_nb": "peak 16-21 h, and seasons, at the ratios of PG&E E-TOU-C, exports credited at the wholesale price",
    "care": "as flat_nb, the two poorest groups at a discount",
    "cpuc": "as flat_nb, with the fixed charges of 6 / 12.08 / 24.15 $/month that California adopted in 2024, by rank of income",
    "iou": "as flat_nb, with the fixed charges of 15 / 30 / 51 / 92 $/month that its utilities proposed in 2023, by rank of income",
    "lmp": "wholesale prices passed through, all fixed costs by fixed charges in the ratios of cpuc",
}
#: Schemes of fixed charges by income in data/energy/fixed_charges_california.csv, which has their sources and status.
CPUC, IOU = "CPUC adopted 2024", "Joint IOU proposal 2023"
#: Rates at which the level is looked for, $/kWh, and how exactly revenue is met, $/day and household.
STEP, HIGHEST, EXACT = 0.1, 2.0, 1e-6


@dataclass(frozen=True, eq=False)
class Outcome:
    """A tariff and what it leads to.

    Attributes
    ----------
    name, text : str
    tariff : Tariff or None
    equilibrium : Equilibrium or None
    criteria : Criteria or None
    status : Status
        CONVERGED: prices settled, and revenue is met where it was asked for. INFEASIBLE: no level recovers the requirement. LIMIT: neither.
    because : str
    level : float
        Of the energy rate, $/kWh (average over hours); for a tariff of one's own, what `buy` was scaled by. NaN where there is none.
    reach : float, $/day and household
        The largest revenue found, where the requirement is out of reach.
    equilibria : int
        Work done.
    """

    name: str
    text: str
    tariff: Tariff | None
    equilibrium: Equilibrium | None
    criteria: Criteria | None
    status: Status
    because: str
    level: float = math.nan
    reach: float = math.nan
    required: float = math.nan
    equilibria: int = 0

    @cached_property
    def diagnosis(self) -> Diagnosis | None:
        """How far its equilibrium can be relied on, computed once; None without one."""
        return None if self.equilibrium is None else diagnose(self.equilibrium)

    def require(self) -> Outcome:
        """Itself, if it holds.

        Raises
        ------
        InfeasibleTariff
            ``revenue`` with the largest revenue reachable.
        InvalidStudy
            ``study-tariff-limit`` if prices did not settle.
        """
        if self.status is Status.INFEASIBLE:
            raise InfeasibleTariff(
                "revenue", where=f"{self.name}: {self.text}", reach=f"{self.reach:.4g}", required=f"{self.required:.4g}", unit="$/day and household"
            )
        if not self.status.success:
            raise InvalidStudy("study-tariff-limit", where=self.because, name=self.name)
        return self


def tiers(scheme: str) -> list[tuple[float, float]]:
    """(share of customers, $/month) of the tiers of `CPUC` or `IOU`, poorest first."""
    rows = [row for row in _table("fixed_charges_california.csv") if row["scheme"] == scheme and row["share of customers"]]
    return [(float(row["share of customers"]), float(row["value"])) for row in rows]


def charges(households: Households, scheme: str) -> dict[str, float]:
    """Fixed charge of each group, $/month: the mean of the tiers of `CPUC` or `IOU` over the ranks of income that the group holds."""
    steps = tiers(scheme)
    weight = np.bincount(households.group_of, weights=households.share, minlength=len(households.groups))
    income = np.array([np.mean([t.income for t in households.types if t.group == g]) for g in households.groups])
    income = np.where(weight > 0.0, households.by_group(households.income), income)
    edges = np.concatenate([[0.0], np.cumsum([share for share, _ in steps])])
    edges[-1] = 1.0 + 1e-9
    found, start = {}, 0.0
    for g in np.argsort(income, kind="stable"):
        end = start + weight[g]
        overlap = np.clip(np.minimum(end, edges[1:]) - np.maximum(start, edges[:-1]), 0.0, None)
        if not overlap.sum() > 0.0:  # a group without households: the tier that its rank is in
            overlap = (np.arange(len(steps)) == np.searchsorted(edges, start, side="right") - 1).astype(float)
        found[households.groups[g]] = float(overlap @ [price for _, price in steps] / overlap.sum())
        start = end
    return {g: found[g] for g in households.groups}


def peak_ratio(season: str) -> float:
    """Peak over off-peak rate of PG&E E-TOU-C in a season."""
    rates = {(row["season"].split("(")[0], row["period"]): float(row["value"]) for row in _table("rates_pge_e_tou_c.csv")}
    named = "summer" if season == "summer" else "winter"
    return rates[(named, "peak")] / rates[(named, "off_peak")]


def tou_shape(households: Households, season: str = "summer") -> Array:
    """Rates of PG&E E-TOU-C over their average [24], or [24, w] where households have a year: each season at the rates of its months."""
    hours = np.arange(HOURS)
    peak = (hours >= 16) & (hours < 21)
    weather = households.weather
    if not weather.seasons:
        shape = np.where(peak, peak_ratio(season), 1.0)
        single: Array = shape / shape.mean()
        return single
    rates = {(row["season"].split("(")[0], row["period"]): float(row["value"]) for row in _table("rates_pge_e_tou_c.csv")}
    days = np.zeros((HOURS, len(weather.seasons)))
    for w, season_ in enumerate(weather.seasons):
        for month in season_.months:
            named = "summer" if 6 <= month <= 9 else "winter"
            days[:, w] += np.where(peak, rates[named, "peak"], rates[named, "off_peak"]) * DAYS_OF_MONTH[month - 1] / season_.days
    average: Array = days / float((days @ weather.shares).mean())
    return average


def tariff_at(
    name: str, level: float, households: Households, *, season: str = "summer", care: float = 0.35, fixed: Any = 0.0, true_up: float | None = None
) -> Tariff:
    """A named tariff at a level: average energy rate over the hours, $/kWh; for ``lmp`` the mean fixed charge, $/month.

    Raises
    ------
    InvalidStudy
        ``study-tariff`` for another name.
    """
    if name not in NAMES:
        close = difflib.get_close_matches(name, list(NAMES), n=1, cutoff=0.5)
        raise InvalidStudy("study-tariff", name=name, close=f"did you mean `{close[0]}`?" if close else f"there are {', '.join(NAMES)}")
    if name == "lmp":
        ratios = charges(households, CPUC)
        weight = np.bincount(households.group_of, weights=households.share, minlength=len(households.groups))
        mean = float(weight @ np.array(list(ratios.values())))
        return Tariff(name, 0.0, 0.0, 1.0, 1.0, {g: level * r / mean for g, r in ratios.items()})
    buy = np.full(HOURS, level)
    if name.startswith("tou"):
        buy = level * tou_shape(households, season)
    if name in ("cpuc", "iou"):
        fixed = charges(households, CPUC if name == "cpuc" else IOU)
    poorest = [households.groups[g] for g in np.argsort(households.by_group(households.income), kind="stable")[:2]]
    discount = dict.fromkeys(poorest, care) if name == "care" else {}
    net_metering = name.endswith("nem")
    return Tariff(name, buy, 0.0, 0.0, 0.0 if net_metering else 1.0, fixed, discount, net_metering, true_up if net_metering else None)


def neutral(
    name: str, make: Callable[[float], Tariff], households: Households, market: Supply, required: float, *, text: str = "", temperature: float = 0.02,
    step: float = STEP, highest: float = HIGHEST,
) -> Outcome:  # fmt: skip
    """The smallest level at which a tariff recovers the requirement.

    Parameters
    ----------
    make : function
        From a level, e.g. $/kWh, to the tariff.
    required : float, $/day and household
    step, highest : float
        Levels that are tried on the way to a bracket.
    """
    from scipy.optimize import brentq, minimize_scalar

    seen: dict[float, tuple[Equilibrium, float]] = {}
    unlawful: list[str] = []
    unsettled: list[str] = []

    def missing(level: float) -> float:
        """Requirement less what the level collects; NaN where prices do not settle or selling would pay more than buying."""
        near = min(seen, key=lambda k: abs(k - level), default=None)
        try:
            found = equilibrium(
                households, market, make(level), temperature=temperature, tolerance=1e-10, start=None if near is None else seen[near][0], time_limit=30.0
            )
        except InvalidStudy as wrong:
            if wrong.code != "sell-above-buy":
                raise
            unlawful.append(wrong.where)
            return math.nan
        if not found.residual <= 1e-7:
            unsettled.append(found.because)
            return math.nan
        seen[level] = (found, criteria(found, required).shortfall)
        return seen[level][1]

    def ended(level: float) -> Outcome:
        found, short = seen[level]
        good = found.residual <= 1e-8 and abs(short) <= EXACT
        because = f"revenue met to {abs(short):.1g} $ a day and household, price residual {found.residual:.1g} $/kWh"
        status = Status.CONVERGED if good else Status.LIMIT
        return Outcome(name, text, make(level), found, criteria(found, required), status, because, level, math.nan, required, len(seen))

    def failed(because: str, status: Status = Status.LIMIT, reach: float = math.nan) -> Outcome:
        return Outcome(name, text, None, None, None, status, because, math.nan, reach, required, len(seen))

    def root(low: float, high: float) -> Outcome:
        """From a level that collects too little and one above it that collects enough."""
        with contextlib.suppress(ValueError, RuntimeError):  # what was seen is judged, whatever the search says
            brentq(missing, low, high, xtol=1e-12, rtol=1e-12, maxiter=60)
        return ended(min((level for level in seen if low <= level <= high), key=lambda level: abs(seen[level][1])))

    def below(high: float) -> Outcome:
        """From a level that collects enough, and none below it that is known to collect too little."""
        low = _below(missing, high, step)
        if low is not None:
            return root(low, high)
        least = min(seen)
        why = "the lowest at which selling pays no more than buying costs" if unlawful else "the lowest that is tried"
        return failed(f"at the level of {least:.4g}, {why}, {required - seen[least][1]:.4g} of {required:.4g} $ a day and household is collected, too much")

    before: list[float] = []  # levels that collect too little, in order
    for level in map(float, np.arange(step, highest + step / 2, step)):
        short = missing(level)
        if math.isnan(short):
            continue
        if short <= 0.0:
            return root(before[-1], level) if before else below(level)
        if before and (short >= seen[before[0]][1] if len(before) == 1 else seen[before[-2]][1] >= seen[before[-1]][1] < short):  # past a largest revenue
            tried = np.linspace(before[0] - step, level, 21) if len(before) == 1 else np.array([before[-2], before[-1], level])
            at = int(np.nanargmin([missing(float(x)) if float(x) not in seen else seen[float(x)][1] for x in tried]))
            left, right = float(tried[max(at - 1, 0)]), float(tried[min(at + 1, len(tried) - 1)])
            top = minimize_scalar(lambda x: float(np.nan_to_num(missing(x), nan=1e9)), bounds=(left, right), method="bounded", options={"xatol": 1e-6})
            if top.fun <= EXACT:
                return ended(float(top.x)) if top.fun > 0.0 else root(left, float(top.x)) if left in seen else below(float(top.x))
        before.append(level)
    if not seen:
        return failed(f"prices settle at no level: {[*unsettled, *unlawful, 'no level was tried'][0]}")
    best = min(seen, key=lambda level: seen[level][1])
    reach = required - seen[best][1]
    digits = 4 if f"{reach:.4g}" != f"{required:.4g}" else 9
    most = f"the most that any collects is {reach:.{digits}g} of {required:.{digits}g} $ a day and household"
    if best >= highest - step / 2:
        return failed(f"no level up to {best:.4g} recovers the requirement, and revenue still rises there: {most}", reach=reach)
    if unsettled:
        return failed(f"no level at which prices settle recovers the requirement, and at some they do not: {most}; {unsettled[0]}", reach=reach)
    return failed(f"no level recovers the requirement: {most}", Status.INFEASIBLE, reach)


def _below(missing: Callable[[float], float], high: float, step: float) -> float | None:
    """A level below `high`, which collects enough, that collects too little; as near to where selling would pay more than buying as it takes."""
    above, edge = high, math.nan
    for fraction in (0.8, 0.6, 0.4, 0.2, 0.05, 0.0, -0.5, -1.0):
        level = high - step * (1.0 - fraction)
        short = missing(level)
        if short > 0.0:
            return level
        if math.isnan(short):
            edge = level
            break
        above = level
    for _ in range(0 if math.isnan(edge) else 20):
        level = 0.5 * (edge + above)
        short = missing(level)
        if short > 0.0:
            return level
        above, edge = (above, level) if math.isnan(short) else (level, edge)
    return None


def benchmark(
    name: str, households: Households, market: Supply, required: float, *, season: str = "summer", care: float = 0.35, fixed: Any = 0.0,
    true_up: float | None = None, temperature: float = 0.02,
) -> Outcome:  # fmt: skip
    """A named tariff at the level that recovers the requirement.

    Parameters
    ----------
    name : str
        Of `NAMES`.
    required : float, $/day and household
        Fixed costs beyond wholesale purchases.
    season : str
        For the ratio of time-of-use rates, where households live in one season.
    care : float
        Discount of ``care``.
    fixed : float or mapping of group, $/month
        Of the tariffs whose definition leaves it open: ``flat_*``, ``tou_*``, ``care``.
    true_up : float, $/kWh, optional
        Of net metering: what credits left over at the end of a year are worth.
    """

    def make(level: float) -> Tariff:
        return tariff_at(name, level, households, season=season, care=care, fixed=fixed, true_up=true_up)

    if name != "lmp":
        tariff_at(name, STEP, households)  # an unknown name is refused before anything is computed
        return neutral(name, make, households, market, required, text=NAMES[name], temperature=temperature)
    found = equilibrium(households, market, make(0.0), temperature=temperature, tolerance=1e-10)
    if not found.residual <= 1e-8:
        return Outcome(name, NAMES[name], None, None, None, Status.LIMIT, found.because, required=required, equilibria=1)
    ratios = np.array(list(charges(households, CPUC).values()))
    fixed_daily = fixed_for_revenue(found, required, ratios)
    weight = np.bincount(households.group_of, weights=households.share, minlength=len(households.groups))
    tariff = make(float(weight @ fixed_daily) * DAYS_PER_MONTH)
    settled = replace(found, response=replace(found.response, tariff=tariff))
    good = abs(criteria(settled, required).shortfall) <= EXACT
    because = f"fixed charges take what energy leaves; price residual {found.residual:.1g} $/kWh"
    return Outcome(name, NAMES[name], tariff, settled, criteria(settled, required), Status.CONVERGED if good else Status.LIMIT, because, 0.0, math.nan,
                   required, 1)  # fmt: skip
