"""The nonlinear program of a design: objective, limits and their derivatives at the equilibrium of every point, for SLSQP."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stackopt.energy.criteria import DAYS, Criteria, criteria
from stackopt.energy.designs.problem import DesignProblem
from stackopt.energy.equilibrium import Equilibrium, equilibrium
from stackopt.energy.gradients import Gradients, gradients
from stackopt.energy.households import HOURS
from stackopt.energy.tariff import DAYS_PER_MONTH
from stackopt.errors import InvalidStudy

Array = NDArray[np.float64]

#: Size of a variance of prices, ($/MWh)^2, where it is minimised.
VARIANCE = 100.0


class _Evaluation:
    """One point of a search: equilibrium, criteria, gradients; the last is kept, and starts are where the last gradients point to."""

    def __init__(self, problem: DesignProblem, tolerance: float) -> None:
        self.problem, self.tolerance = problem, tolerance
        self.P, self.G = len(problem.periods), len(problem.households.groups)
        chosen = problem.selection
        none = np.zeros_like(chosen)
        self.buy, self.sell = np.concatenate([chosen, none], -1), np.concatenate([none, chosen], -1)
        self.count = 0
        self._z: Array | None = None
        self._base: tuple[Array, Equilibrium, Gradients] | None = None
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
            near, problem = self._near(rates), self.problem
            for start in (None,) if near is None else (near, None):
                self.count += 1
                try:
                    found = equilibrium(
                        problem.households, problem.market, problem.tariff(z), temperature=problem.temperature, tolerance=self.tolerance, start=start,
                        time_limit=20.0,
                    )  # fmt: skip
                except InvalidStudy:
                    return False
                if found.converged:
                    self.found, self.seen = found, criteria(found, problem.required, np.zeros(self.G))
                    break
        return self.found is not None

    @property
    def gradient(self) -> Gradients:
        """At the last point."""
        assert self.found is not None
        if self._gradients is None:
            assert self._z is not None
            self._gradients = gradients(self.found, self.buy, self.sell)
            self._base = self._z, self.found, self._gradients
        return self._gradients

    def forget(self) -> None:
        """Start cold next time."""
        self._base = None

    def _near(self, rates: Array) -> Equilibrium | None:
        """Where prices should be at other rates, to first order, with the demand Jacobian of the last gradients."""
        if self._base is None:
            return None
        at, found, moved = self._base
        return replace(found, price=found.price + moved.price @ (rates - at), jacobian=moved.jacobian)


class Search:
    """The nonlinear program in variables (buy [p], sell [p], fixed [g], t1, t2).

    Parameters
    ----------
    problem : DesignProblem
    tolerance : float, $/kWh
        Of equilibria.
    least : str, optional
        ``"gap"``, ``"peak"`` or ``"price_spread"``: what to minimise instead of the cost, under the other limits. The peak is a further variable.
    """

    def __init__(self, problem: DesignProblem, tolerance: float = 1e-10, least: str | None = None) -> None:
        if least is not None:
            problem = replace(problem, limits=replace(problem.limits, **{least: 2.0 if least == "gap" else math.inf}))
        self.problem, self.evaluation, self.least = problem, _Evaluation(problem, tolerance), least
        P, G = self.evaluation.P, self.evaluation.G
        self.P, self.G, self.t = P, G, 2 * P + G
        self.n = self.t + (3 if least == "peak" else 2)
        self.size = problem.households.count / 1000.0  # MW, a kW each
        cap = problem.cap / DAYS_PER_MONTH
        low = [problem.buy[0]] * P + [problem.sell[0]] * P + [0.0] * G + [-2.0, -2.0, -1e3][: self.n - self.t]
        high = [problem.buy[1]] * P + [problem.sell[1]] * P + [cap] * G + [2.0, 2.0, 1e3][: self.n - self.t]
        if problem.net_metering:
            low[P : 2 * P] = high[P : 2 * P] = [0.0] * P
        self.low, self.high = np.array(low), np.array(high)
        income = problem.households.by_group(problem.households.income)
        self.per_fixed = DAYS / income
        self.present = np.flatnonzero(self.evaluation.weight > 0)

    def cost(self, z: Array) -> float:
        """The objective; a wall where households do not settle, so that a line search turns back."""
        if not self.evaluation.at(z):
            return 1e3
        seen, t = self.evaluation.seen, self.t
        assert seen is not None
        return float({None: seen.cost, "gap": z[t] - z[t + 1], "peak": z[-1], "price_spread": seen.price_spread**2 / VARIANCE}[self.least])

    def cost_slope(self, z: Array) -> Array:
        """Its gradient."""
        gradient = np.zeros(self.n)
        if self.least == "gap":
            gradient[self.t : self.t + 2] = 1.0, -1.0
        elif self.least == "peak":
            gradient[-1] = 1.0
        elif self.evaluation.at(z):
            moved = self.evaluation.gradient
            gradient[: 2 * self.P] = moved.cost if self.least is None else moved.price_variance / VARIANCE
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
            highest, lowest = z[self.t], z[self.t + 1]
            rows += [highest - here, here - lowest, np.array([limits.gap - (highest - lowest)])]
        if not self.problem.net_metering:
            spread = (self.problem.selection @ (z[:P] - z[P : 2 * P])).reshape(HOURS, -1)  # [h, w], or one column for all
            passed = self.problem.pass_buy - self.problem.pass_sell
            if passed == 0.0:
                rows.append(spread.ravel())
            else:
                price = found.price if found is not None else np.full((len(self.problem.households.buses), HOURS, len(regime)), -1.0 / passed)
                rows.append((spread + passed * price).ravel())
        if math.isfinite(limits.peak) or self.least == "peak":
            within = self.problem.households.weather.within
            if found is None:
                rows.append(np.full(HOURS * within.shape[1], -1.0))
            else:
                total = (self.problem.market.total(found.response.load) @ within).ravel()  # [h * s]
                rows.append(z[-1] - total / self.size if self.least == "peak" else 1.0 - total / limits.peak)
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
            t = self.t
            above[:, t], below[:, t + 1], width[0, t : t + 2] = 1.0, -1.0, (-1.0, 1.0)
            slopes += [above, below, width]
        if not self.problem.net_metering:
            chosen = self.problem.selection
            chosen = chosen.reshape(HOURS, -1, P)
            slope = np.zeros((*chosen.shape[:2], self.n))
            slope[..., :P], slope[..., P : 2 * P] = chosen, -chosen
            passed = self.problem.pass_buy - self.problem.pass_sell
            if passed != 0.0:
                cells = np.broadcast_to(slope, (len(self.problem.households.buses), HOURS, len(regime), self.n)).copy()
                if moved is not None:
                    cells[..., : 2 * P] += passed * moved.price
                slope = cells
            slopes.append(slope.reshape(-1, self.n))
        if math.isfinite(limits.peak) or self.least == "peak":
            within = self.problem.households.weather.within
            slope = np.zeros((HOURS * within.shape[1], self.n))
            if moved is not None:
                load = np.einsum("hwd,ws->hsd", moved.load, within).reshape(-1, 2 * P)
                slope[:, : 2 * P] = -load / (self.size if self.least == "peak" else limits.peak)
            if self.least == "peak":
                slope[:, -1] = 1.0
            slopes.append(slope)
        if math.isfinite(limits.price_spread):
            slope = np.zeros((1, self.n))
            if moved is not None:
                slope[0, : 2 * P] = -moved.price_variance / limits.price_spread**2
            slopes.append(slope)
        return np.concatenate(slopes)

    def starts(self, count: int, seed: int) -> list[Array]:
        """Points [n]: rates all alike at levels spread over their range, then random ones; fixed charges in the middle."""
        rng = np.random.default_rng(seed)
        P, points = self.P, []
        for k in range(count):
            z = np.zeros(self.n)
            level = (k + 1) / (count + 1)
            z[:P] = self.low[:P] + (0.1 + 0.5 * level) * (self.high[:P] - self.low[:P]) * (1.0 if k < 2 else rng.uniform(0.5, 1.5, P))
            room = np.minimum(self.high[P : 2 * P], z[:P]) - self.low[P : 2 * P]
            z[P : 2 * P] = self.low[P : 2 * P] + np.maximum(room, 0.0) * (0.5 if k < 2 else rng.uniform(0.0, 0.9, P))
            z[2 * P : self.t] = 0.5 * self.high[2 * P : self.t] if np.isfinite(self.problem.cap) else 0.5
            z[self.t :] = (0.2, 0.0, 1.0)[: self.n - self.t]
            points.append(z)
        return points

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
        """Largest miss of any limit or bound; NaN where households do not settle."""
        if not self.evaluation.at(z):
            return float("nan")
        misses = (np.abs(self.equalities(z)), -self.inequalities(z), self.low - z, z - self.high)
        return max(0.0, *(float(miss.max()) for miss in misses))

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
