"""The leader's problem on what it has learned: least cost within its limits, as a local model of meter readings predicts them.

Costs and bills follow from predicted readings by bookkeeping, so that with a linear response they are exactly quadratic in the rates. Limits are
elastic: what they are missed by is charged for, in one merit that measured tariffs are compared by as well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stackopt.energy.criteria import DAYS
from stackopt.energy.metering.meter import Reading
from stackopt.energy.metering.model import Accounts, Fitted, metered

Array = NDArray[np.float64]

#: What a miss costs in the merit at first, in the units of `misses`; raised where the best tariff of a model would rather pay than keep to a limit. Much
#: more than a limit's shadow price makes every step along a curved limit look bad (Maratos).
PENALTIES: Mapping[str, float] = {"revenue": 1.0, "gap": 0.2, "peak": 10.0, "price spread": 10.0}


@dataclass(frozen=True, eq=False)
class Books:
    """What is collected and missed under a tariff, by metered or predicted use; fixed charges aside.

    Attributes
    ----------
    bills : array [g], $ a day and household
        For energy.
    short : float, $ a day and household
        Requirement and purchases less energy bills: what fixed charges must collect.
    peak : array [24], MW
    variance : float, ($/MWh)^2
        Of wholesale prices.
    """

    bills: Array
    short: float
    peak: Array
    variance: float


def books(accounts: Accounts, imports: Array, exports: Array, price: Array, system: Array, buy: Array, sell: Array) -> Books:
    """Of readings [g, n, 24, w] at rates of the same shape."""
    bills = (buy * imports - sell * exports).sum((1, 2, 3))
    purchases = float(accounts.share @ ((imports - exports) * price).sum((1, 2, 3)))
    prices = 1000.0 * price
    weight = np.broadcast_to(accounts.regime / (price.shape[0] * price.shape[1]), price.shape)
    variance = float((weight * (prices - (weight * prices).sum()) ** 2).sum())
    return Books(bills, accounts.required + purchases - float(accounts.share @ bills), system @ accounts.regime, variance)


def books_of(accounts: Accounts, reading: Reading, group: int | None = None) -> Books:
    """Of a reading, or of one of its random groups."""
    imports, exports = metered(reading) if group is None else (reading.imports[group], reading.exports[group])
    return books(accounts, imports, exports, reading.price, reading.system, *reading.rates)


def misses(accounts: Accounts, found: Books, fixed: Array) -> dict[str, float]:
    """By how much each limit is missed under fixed charges [g] in $/day: revenue in $, gap in points, peak and spread as shares of the limit."""
    limits = accounts.limits
    here = DAYS * (found.bills + fixed)[accounts.present] / accounts.income[accounts.present]
    missed = {"revenue": abs(found.short - float(accounts.share @ fixed))}
    if math.isfinite(limits.gap):
        missed["gap"] = 100.0 * max(float(np.ptp(here)) - limits.gap, 0.0)
    if math.isfinite(limits.peak):
        missed["peak"] = max(float(found.peak.max()) / limits.peak - 1.0, 0.0)
    if math.isfinite(limits.price_spread):
        missed["price spread"] = max(math.sqrt(found.variance) / limits.price_spread - 1.0, 0.0)
    return missed


def charges(accounts: Accounts, found: Books, near: Array, penalties: Mapping[str, float] = PENALTIES) -> Array:
    """Fixed charges [g], $/day, under which revenue and gap are missed least, as `penalties` weigh them.

    With room left, those of the smallest gap, then the nearest to `near`.
    """
    from scipy.optimize import linprog

    G = len(accounts.groups)
    # f [g], t1, t2, missing, too much, gap excess, |f - near| [g]
    n = 2 * G + 5
    cost = np.zeros(n)
    cost[G : G + 2] = 1e-4, -1e-4
    cost[G + 2 : G + 5] = penalties["revenue"], penalties["revenue"], 100.0 * penalties["gap"]
    cost[G + 5 :] = 1e-7
    per, here = DAYS / accounts.income, DAYS * found.bills / accounts.income
    equal = np.zeros((1, n))
    equal[0, :G], equal[0, G + 2], equal[0, G + 3] = accounts.share, 1.0, -1.0
    level = [found.short]
    if accounts.ratios is not None:
        rows = np.zeros((G - 1, n))
        for g in range(1, G):
            rows[g - 1, 0], rows[g - 1, g] = accounts.ratios[g], -accounts.ratios[0]
        equal, level = np.vstack([equal, rows]), level + [0.0] * (G - 1)
    upper, most = [], []
    for g in range(G):
        for sign in (1.0, -1.0):
            row = np.zeros(n)
            if g in accounts.present:
                row[g], row[G if sign > 0 else G + 1] = sign * per[g], -sign
                upper.append(row)
                most.append(-sign * here[g])
            row = np.zeros(n)
            row[g], row[G + 5 + g] = sign, -1.0
            upper.append(row)
            most.append(sign * near[g])
    if math.isfinite(accounts.limits.gap):
        row = np.zeros(n)
        row[G], row[G + 1], row[G + 4] = 1.0, -1.0, -1.0
        upper.append(row)
        most.append(accounts.limits.gap)
    cap = accounts.cap if math.isfinite(accounts.cap) else None
    bounds = [(0.0, cap)] * G + [(None, None)] * 2 + [(0.0, None)] * (3 + G)
    answer = linprog(cost, np.array(upper), np.array(most), equal, np.array(level), bounds, method="highs")
    if answer.x is None:
        return near
    closed: Array = np.clip(answer.x[:G], 0.0, accounts.cap)
    return closed

#: Runs of SLSQP in a subproblem; linear programs after them; a gain that is nothing, $/day; and a box in which none is left, $/kWh.
RESTARTS, LINEAR, SMALL, NARROW = 2, 60, 1e-6, 1e-6
#: Rates nearer to a bound stand at it, $/kWh.
SNAP = 1e-9


def charged(missed: Mapping[str, float], penalties: Mapping[str, float]) -> float:
    """What misses cost in the merit."""
    return sum(penalties[k] * v for k, v in missed.items())


class Model:
    """Merit of rates and fixed charges as a fitted response predicts it, with derivatives."""

    def __init__(self, fitted: Fitted, penalties: Mapping[str, float] = PENALTIES) -> None:
        self.fitted, self.accounts, self.penalties = fitted, fitted.accounts, penalties
        a, (di, de, dp, _) = self.accounts, fitted.slopes
        self.d_buy, self.d_sell = (a.moves[s] + a.passed[s][..., None] * dp for s in (0, 1))
        share = a.share
        # How the slope of cost moves with the rates [D of the slope, D]
        self.bend = np.einsum("gnhwd,gnhwe,g->de", di, dp[None] - self.d_buy, share) - np.einsum("gnhwd,gnhwe,g->de", de, dp[None] - self.d_sell, share)
        self.slope_here = self._slope(fitted.at, fitted.price) + fitted.beyond

    def _rates(self, x: Array, price: Array) -> tuple[Array, Array]:
        a = self.accounts
        buy, sell = (a.base[s] + a.moves[s] @ x + a.passed[s] * price for s in (0, 1))
        return buy, sell

    def _slope(self, x: Array, price: Array) -> Array:
        buy, sell = self._rates(x, price)
        di, de = self.fitted.slopes[:2]
        slope: Array = np.einsum("gnhw,gnhwd,g->d", price - buy, di, self.accounts.share) - np.einsum("gnhw,gnhwd,g->d", price - sell, de, self.accounts.share)
        return slope

    def cost(self, x: Array) -> tuple[float, Array]:
        """Change of cost against the fitted point, and its derivative."""
        d = x - self.fitted.at
        slope = self.slope_here + self.bend @ d
        return 0.5 * float((self.slope_here + slope) @ d), 0.5 * (self.slope_here + slope + self.bend.T @ d)

    def books(self, x: Array) -> Books:
        """Predicted."""
        imports, exports, price, system = self.fitted.predict(x)
        return books(self.accounts, imports, exports, price, system, *self._rates(x, price))

    def slopes(self, x: Array) -> tuple[Array, Array, Array, Array]:
        """Derivatives of (bills [g, D], short [D], peak [24, D], variance [D])."""
        a, (di, de, dp, ds) = self.accounts, self.fitted.slopes
        imports, exports, price, _ = self.fitted.predict(x)
        buy, sell = self._rates(x, price)
        bills = (self.d_buy * imports[..., None] + buy[..., None] * di - self.d_sell * exports[..., None] - sell[..., None] * de).sum((1, 2, 3))
        purchases = a.share @ ((di - de) * price[..., None] + (imports - exports)[..., None] * dp).sum((1, 2, 3))
        prices = 1000.0 * price
        weight = np.broadcast_to(a.regime / (price.shape[0] * price.shape[1]), price.shape)
        variance = 2000.0 * np.tensordot(weight * (prices - (weight * prices).sum()), dp, 3)
        return bills, purchases - a.share @ bills, np.einsum("hwd,w->hd", ds, a.regime), variance

    def merit(self, x: Array, fixed: Array) -> float:
        """Change of cost, and what misses are charged."""
        return self.cost(x)[0] + charged(misses(self.accounts, self.books(x), fixed), self.penalties)

    def best(self, fixed: Array, radius: float) -> tuple[Array, Array, float, bool]:
        """(rates, fixed charges, merit, whether the search settled) of the smallest merit within `radius` of the fitted point, by SLSQP and linear programs.

        At worst the point itself; that says nothing where the search did not settle.
        """
        from scipy.optimize import linprog, minimize

        a, here = self.accounts, self.fitted.at
        D, G, limits = len(here), len(fixed), a.limits
        low, high = np.maximum(a.low, here - radius), np.minimum(a.high, here + radius)
        capped, peaked, spread = (math.isfinite(v) for v in (limits.gap, limits.peak, limits.price_spread))
        rows, coefficient = a.order()
        weights = np.array([self.penalties[k] for k in ("revenue", "revenue", "gap", "peak", "price spread")])
        n = D + G + 7  # rates, charges, t1, t2, missing, too much, excesses of gap, peak, spread
        x_, f_, t1, t2, sm, sp, sg, sk, sv = slice(0, D), slice(D, D + G), *range(D + G, D + G + 7)
        per = DAYS / a.income

        def objective(v: Array) -> tuple[float, Array]:
            value, slope = self.cost(v[x_])
            gradient = np.zeros(n)
            gradient[x_], gradient[sm:] = slope, weights
            return value + float(weights @ v[sm:]), gradient

        def equal(v: Array) -> Array:
            found = self.books(v[x_])
            kept = [float(a.share @ v[f_]) - found.short + v[sm] - v[sp]]
            if a.ratios is not None:
                kept += [float(a.ratios[g] * v[D] - a.ratios[0] * v[D + g]) for g in range(1, G)]
            return np.array(kept)

        def equal_slope(v: Array) -> Array:
            kept = np.zeros((1 if a.ratios is None else G, n))
            kept[0, x_], kept[0, f_], kept[0, sm], kept[0, sp] = -self.slopes(v[x_])[1], a.share, 1.0, -1.0
            for g in range(1, len(kept)):
                assert a.ratios is not None
                kept[g, D], kept[g, D + g] = a.ratios[g], -a.ratios[0]
            return kept

        def above(v: Array) -> Array:
            found = self.books(v[x_])
            kept = [rows[:, :D] @ v[x_] + rows[:, D] + (coefficient * self._cells(v[x_]) if coefficient.any() else 0.0)]
            if capped:
                here_ = (per * (found.bills + v[f_]))[a.present]
                kept += [v[t1] - here_, here_ - v[t2], np.array([limits.gap + 0.01 * v[sg] - v[t1] + v[t2]])]
            if peaked:
                kept.append(1.0 + v[sk] - found.peak / limits.peak)
            if spread:
                kept.append(np.array([1.0 + v[sv] - found.variance / limits.price_spread**2]))
            return np.concatenate(kept)

        def above_slope(v: Array) -> Array:
            bills, _, peak, variance = self.slopes(v[x_])
            first = np.zeros((len(rows), n))
            first[:, x_] = rows[:, :D]
            if coefficient.any():
                dp = np.broadcast_to(self.fitted.slopes[2], (G, *self.fitted.slopes[2].shape)).reshape(-1, D)
                first[:, x_] += coefficient[:, None] * dp
            kept = [first]
            if capped:
                slope = np.zeros((G, n))
                slope[:, x_], slope[np.arange(G), D + np.arange(G)] = per[:, None] * bills, per
                up, down, width = -slope[a.present], slope[a.present], np.zeros((1, n))
                up[:, t1], down[:, t2] = 1.0, -1.0
                width[0, t1], width[0, t2], width[0, sg] = -1.0, 1.0, 0.01
                kept += [up, down, width]
            if peaked:
                slope = np.zeros((len(peak), n))
                slope[:, x_], slope[:, sk] = -peak / limits.peak, 1.0
                kept.append(slope)
            if spread:
                slope = np.zeros((1, n))
                slope[0, x_], slope[0, sv] = -variance / limits.price_spread**2, 1.0
                kept.append(slope)
            return np.concatenate(kept)

        def begun(x: Array, f: Array) -> Array:
            """All variables at given rates and charges: slack as large as misses are."""
            v, found = np.zeros(n), self.books(x)
            incidence = (per * (found.bills + f))[a.present]
            left, missed = found.short - float(a.share @ f), misses(a, found, f)
            v[x_], v[f_], v[t1], v[t2], v[sm], v[sp] = x, f, incidence.max(), incidence.min(), max(left, 0.0), max(-left, 0.0)
            v[sg], v[sk], v[sv] = missed.get("gap", 0.0), missed.get("peak", 0.0), missed.get("price spread", 0.0) * 3.0
            return v

        top = 1e3 if not math.isfinite(a.cap) else a.cap
        bounds = [*zip(low, high, strict=True), *[(0.0, top)] * G, (-2.0, 2.0), (-2.0, 2.0), *[(0.0, None)] * 5]
        def closed(v: Array) -> tuple[Array, Array, float]:
            """Rates within their bounds, charges that close the books, and the merit; infinite where sell rates pass buy rates."""
            x = np.clip(v[x_], low, high)
            x = np.where(x - low < SNAP, low, np.where(high - x < SNAP, high, x))
            f = charges(a, self.books(x), np.clip(v[f_], 0.0, top), self.penalties)
            order = rows[:, :D] @ x + rows[:, D] + (coefficient * self._cells(x) if coefficient.any() else 0.0)
            return x, f, self.merit(x, f) if order.min(initial=0.0) >= -1e-9 else math.inf

        best = (here.copy(), fixed.copy(), self.merit(here, fixed))
        for _ in range(RESTARTS):
            answer = minimize(
                objective, begun(*best[:2]), jac=True, method="SLSQP", bounds=bounds, options={"maxiter": 100, "ftol": 1e-9},
                constraints=[{"type": "eq", "fun": equal, "jac": equal_slope}, {"type": "ineq", "fun": above, "jac": above_slope}],
            )  # fmt: skip
            if not np.isfinite(answer.x).all():
                break
            found, before = closed(answer.x), best[2]
            best = found if found[2] < before else best
            if found[2] > before - SMALL:
                break
        # At kinks of the limits SLSQP takes any point for an optimum; linear programs in shrinking boxes do not (Fletcher and Sainz de la Maza).
        width = min(radius, 0.02)
        for _ in range(LINEAR):
            v = begun(*best[:2])
            slope = above_slope(v)
            edge = [(max(lo - z, -width), min(hi - z, width)) for lo, hi, z in zip(low, high, v[x_], strict=True)]
            edge += [(None if lo is None else lo - z, None if hi is None else hi - z) for (lo, hi), z in zip(bounds[D:], v[D:], strict=True)]
            step = linprog(objective(v)[1], -slope, above(v), equal_slope(v), -equal(v), edge, method="highs")
            if step.x is None:
                return (*best, False)
            promised = -float(step.fun)
            if promised <= SMALL:
                return (*best, True)
            found = closed(v + step.x)
            gained = best[2] - found[2]
            best = found if gained > 0.0 else best
            width = min(2.0 * width, radius) if gained > 0.75 * promised else width if gained > 0.1 * promised else 0.4 * float(np.abs(step.x[x_]).max())
            if width <= NARROW:
                return (*best, True)
        return (*best, False)

    def _cells(self, x: Array) -> Array:
        price = self.fitted.predict(x)[2]
        return np.broadcast_to(price, (len(self.accounts.groups), *price.shape)).ravel()
