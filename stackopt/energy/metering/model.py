r"""What a leader can know of how use answers its rates: a local linear model of meter readings, learned from trials around a textbook guess.

Everything but the response is bookkeeping: with rates x, metered use :math:`y(x)\approx y_0+J(x-x_0)` and the wholesale price, bills and purchases are
exact sums, and the marginal cost to society is :math:`\sum(P-\text{buy})\,dI-(P-\text{sell})\,dE`. J is what must be learned. The guess: each hour's
imports answer its own buy rate, and its exports the sell rate, with one elasticity. Then Bayes' rule for linear models: deviations of every entry from the
guess are independent, a reading errs by its noise, and the linear model by a quadratic in the distance. Without noise and close by this is the
smallest change of the guess that explains the trials (Broyden's, over many secants at once); far or noisy trials count less.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stackopt.energy.designs.problem import DesignProblem
from stackopt.energy.households import HOURS
from stackopt.energy.metering.meter import Reading, announced
from stackopt.energy.tariff import DAYS_PER_MONTH, Tariff

Array = NDArray[np.float64]

#: The textbook guess of the elasticity of use, with no sides taken; what trials say of it replaces it.
ELASTICITY = 0.1
#: How much an entry of J may deviate, relative to use per $/kWh at the average rate: only its ratio to noise matters.
DEVIATION = 0.1
#: How soon the linear model is doubted: 1 / ($/kWh) at which its error is as large as what it may say. Batteries answer within a few cents.
CURVATURE = 5.0


class Accounts:
    """What the leader knows without asking anybody: its own limits, who its customers are by income group, the climate.

    Of the problem's households only income groups, their shares and incomes, buses, their number and the weather's frequencies are read.
    """

    def __init__(self, problem: DesignProblem) -> None:
        households = problem.households
        self.tariff, self.limits, self.required = problem.tariff, problem.limits, problem.required
        self.pass_buy, self.pass_sell = problem.pass_buy, problem.pass_sell
        self.groups: tuple[str, ...] = households.groups
        self.share = np.bincount(households.group_of, weights=households.share, minlength=len(self.groups))
        self.income = households.by_group(households.income)
        self.regime, self.buses, self.count = households.weather.shares, len(households.buses), households.count
        self.present = np.flatnonzero(self.share > 0)
        self.cap = problem.cap / DAYS_PER_MONTH
        self.ratios = None if problem.ratios is None else np.asarray(problem.ratios, float)
        P, self.names = len(problem.periods), [f"{side} {p}" for side in ("buy", "sell") for p in problem.periods]
        self.low = np.array([problem.buy[0]] * P + [problem.sell[0]] * P)
        self.high = np.array([problem.buy[1]] * P + [problem.sell[1]] * P)
        if problem.net_metering:
            self.low[P:] = self.high[P:] = 0.0
        self.free = np.flatnonzero(self.low < self.high)
        nothing = np.zeros((self.buses, HOURS, len(self.regime)))
        zero = announced(self.with_fixed(np.zeros(2 * P)), self.groups, nothing)
        moved = [announced(self.with_fixed(e), self.groups, nothing) for e in np.eye(2 * P)]
        #: Rates without the wholesale price, and how they move with x: [g, n, 24, w], [g, n, 24, w, D].
        self.base = zero
        self.moves = tuple(np.stack([m[side] - zero[side] for m in moved], -1) for side in (0, 1))
        one = announced(self.with_fixed(np.zeros(2 * P)), self.groups, nothing + 1.0)
        #: Shares of the wholesale price in them [g, n, 24, w].
        self.passed = tuple(one[side] - zero[side] for side in (0, 1))

    def with_fixed(self, x: Array, fixed: Array | None = None, name: str = "trial") -> Tariff:
        """The tariff of rates x [D] and fixed charges [g] in $/day."""
        return self.tariff(np.concatenate([x, np.zeros(len(self.groups)) if fixed is None else fixed]), name)

    def order(self) -> tuple[Array, Array]:
        """Sell rates stay below buy rates: rows and price coefficients of ``rows @ x + coefficient * price >= -base``, price left out where it cancels.

        Returns
        -------
        (array [r, D + 1], array [r])
            The last column is the base; the coefficient is of the price of the cell, by cell [g, n, 24, w] flattened where prices count.
        """
        gap = np.concatenate([self.moves[0] - self.moves[1], (self.base[0] - self.base[1])[..., None]], -1)
        passed = self.passed[0] - self.passed[1]
        if not passed.any():
            rows = np.unique(gap.reshape(-1, gap.shape[-1]), axis=0)
            rows = rows[np.abs(rows[:, :-1]).max(-1) > 0]
            return rows, np.zeros(len(rows))
        return gap.reshape(-1, gap.shape[-1]), passed.ravel()


@dataclass(frozen=True, eq=False)
class Fitted:
    """A local linear model of a reading.

    Attributes
    ----------
    accounts : Accounts
    at : array [D]
        Rates around which it is linear.
    imports, exports : arrays [g, n, 24, w]
    price : array [n, 24, w]
    system : array [24, w]
    slopes : the same four with a last axis D
    beyond : array [D], $ a day and household per $/kWh
        Slope of the cost of generation beyond prices times loads: 0 where prices are marginal costs.
    unknown : array [D, D]
        Variance of what is left to learn of J, relative to what there was at first.
    noise : float, $/kWh
        A move of rates at which what the noise of a reading leaves open is as large as what is to be learned.
    """

    accounts: Accounts
    at: Array
    imports: Array
    exports: Array
    price: Array
    system: Array
    slopes: tuple[Array, Array, Array, Array]
    beyond: Array
    unknown: Array
    noise: float

    def predict(self, x: Array) -> tuple[Array, Array, Array, Array]:
        """(imports, exports, price, system) at rates x."""
        d = x - self.at
        i, e, p, s = self.slopes
        return self.imports + i @ d, self.exports + e @ d, self.price + p @ d, self.system + s @ d


def metered(reading: Reading) -> tuple[Array, Array]:
    """(imports, exports) [g, n, 24, w], averaged over random groups."""
    return reading.imports.mean(0), reading.exports.mean(0)


def _flat(reading: Reading) -> Array:
    """Metered quantities, then public ones."""
    imports, exports = metered(reading)
    return np.concatenate([imports.ravel(), exports.ravel(), reading.price.ravel(), reading.system.ravel()])


def repeatability(readings: Sequence[Reading], xs: Array) -> Array:
    """Noise of a reading in differences from others: variance of the average over random groups in each regime [w], kWh^2; 0 for exact ones.

    The larger of two estimates. Random groups that keep their households differ always alike; what is left of their readings after averages by reading
    and by group have been taken out is noise of households (analysis of variance with two ways). What moves all households alike, as the weather
    of the days before does, shows only between readings of the same rates `xs` [k, D].
    """
    W = len(readings[0].regime)
    if readings[0].exact or len(readings) < 2:
        return np.zeros(W)
    stacked = np.stack([np.stack([r.imports, r.exports]) for r in readings])  # [k, 2, b, g, n, 24, w]
    K, B = stacked.shape[0], stacked.shape[2]
    average = stacked.mean(2)
    left = stacked - average[:, :, None]
    seen = np.isfinite(left)
    left -= np.where(seen, left, 0.0).sum(0) / np.maximum(seen.sum(0), 1)
    own = _mean_square(left) * K / (K - 1) / (B - 1)
    same = [np.flatnonzero((xs == x).all(-1)) for x in np.unique(xs, axis=0)]
    common = np.zeros(W)
    degrees = sum(len(k) - 1 for k in same)
    for k in same:
        if len(k) > 1:
            common += _mean_square(average[k] - average[k].mean(0)) * len(k) / degrees
    noise: Array = np.maximum(own, common)
    return noise


def _mean_square(values: Array) -> Array:
    """Over all axes but the last, of what was seen."""
    seen = np.isfinite(values)
    axes = tuple(range(values.ndim - 1))
    square: Array = (np.where(seen, values, 0.0) ** 2).sum(axes) / np.maximum(seen.sum(axes), 1)
    return square


def fit(accounts: Accounts, xs: Array, readings: Sequence[Reading], anchor: int) -> Fitted:
    """The model around trial `anchor`.

    Parameters
    ----------
    xs : array [k, D]
        Rates of the trials.
    readings : sequence of Reading
        Without gaps; an hour and weather with few days counts less.
    """
    G, N, W = len(accounts.groups), accounts.buses, len(accounts.regime)
    ys = np.stack([_flat(r) for r in readings])
    cells = G * N * HOURS * W
    here = xs[anchor]
    imports, exports = ys[anchor, :cells].reshape(G, N, HOURS, W), ys[anchor, cells : 2 * cells].reshape(G, N, HOURS, W)
    price, system = readings[anchor].price, readings[anchor].system
    guess, scale = _guess(accounts, imports, exports, price, system, accounts.moves[0] @ here + accounts.base[0] + accounts.passed[0] * price)
    D = len(here)
    away = np.zeros_like(xs)
    away[:, accounts.free] = xs[:, accounts.free] - here[accounts.free]
    # Columns of one weather share their noise; what is public has none.
    of_cell = np.tile(np.arange(W), 2 * G * N * HOURS)
    classes = np.concatenate([of_cell, np.full(ys.shape[1] - 2 * cells, W)])
    noise = repeatability(readings, xs)
    seen = np.stack([r.days.mean(0) for r in readings])  # [k, w], days
    unknown = np.zeros((D, D))
    level, slope = ys[anchor].copy(), np.zeros((ys.shape[1], D))
    raw = ys - ys[anchor]
    ratios = []
    for w in range(W + 1):
        ratio = np.zeros(len(ys))
        if w < W and noise[w] > 0:
            days = np.where(np.isfinite(seen[:, w]), seen[:, w], 1.0)
            ratio = noise[w] / np.mean(scale[: 2 * cells] ** 2) * days.mean() / np.maximum(days, 1e-3)
        ratios.append(ratio)
    learned = _elasticity(guess, raw, scale, away, ratios, classes, cells)
    guess[:cells] *= learned[0]
    guess[cells : 2 * cells] *= learned[1]
    _market(accounts, guess, price, system, cells)
    for w in range(W + 1):
        columns = classes == w
        weight, gain, left = _inverse(away, ratios[w])
        rest = raw[:, columns] - away @ guess[columns].T
        slope[columns] = guess[columns] + (gain @ rest).T
        level[columns] += weight @ rest
        unknown = left if np.trace(left) > np.trace(unknown) else unknown
    parts = np.split(slope, [cells, 2 * cells, 2 * cells + price.size])
    return Fitted(
        accounts, here, level[:cells].reshape(imports.shape), level[cells : 2 * cells].reshape(imports.shape), price, system,
        (parts[0].reshape(*imports.shape, D), parts[1].reshape(*imports.shape, D), parts[2].reshape(*price.shape, D), parts[3].reshape(*system.shape, D)),
        _inverse(away, ratios[W])[1] @ _beyond(accounts, readings, anchor), unknown, math.sqrt(max(float(r.mean()) for r in ratios)),
    )  # fmt: skip


def _beyond(accounts: Accounts, readings: Sequence[Reading], anchor: int) -> Array:
    """By how much the cost of generation of each reading differs from the anchor's beyond average prices times the change of loads [k], $."""
    here = readings[anchor]
    found = np.zeros(len(readings))
    for k, r in enumerate(readings):
        more = (r.imports - r.exports - here.imports + here.exports).mean(0)
        found[k] = float((r.generation - here.generation).mean() - accounts.share @ (0.5 * (r.price + here.price) * more).sum((1, 2, 3)))
    return found


def _inverse(away: Array, ratio: Array) -> tuple[Array, Array, Array]:
    """(level [k], slope [D, k], unknown [D, D]): what residuals of trials say of level and slope, of a column of one noise.

    `ratio` [k] is the variance of the noise over that of slopes.
    """
    distance = (away**2).sum(-1)
    error = ratio + CURVATURE**2 * distance**2
    D = away.shape[1]
    loose = 1e4 * float(ratio.max())  # of the level: a panel's is off for everyone alike
    used = np.arange(len(away)) if loose > 0 else np.flatnonzero(distance > 0)
    weight, gain = np.zeros(len(away)), np.zeros((D, len(away)))
    if not len(used):
        return weight, gain, np.eye(D)
    x = away[used]
    inner = x @ x.T + np.diag(error[used] + 1e-14) + loose
    solved = np.linalg.inv(inner)
    weight[used] = loose * solved.sum(0)
    gain[:, used] = x.T @ solved
    left: Array = np.eye(D) - gain[:, used] @ x
    return weight, gain, 0.5 * (left + left.T)


def _guess(accounts: Accounts, imports: Array, exports: Array, price: Array, system: Array, buy: Array) -> tuple[Array, Array]:
    """(J of the textbook [M, D], scale of its entries [M])."""
    share = accounts.share[:, None, None, None]
    rate = max(float((share * buy * imports).sum() / (share * imports).sum()), 0.02)
    D = accounts.moves[0].shape[-1]
    down = -ELASTICITY / rate * imports[..., None] * accounts.moves[0]
    up = ELASTICITY / rate * exports[..., None] * accounts.moves[1]
    guess = np.concatenate([down.reshape(-1, D), up.reshape(-1, D), np.zeros((price.size + system.size, D))])
    typical = DEVIATION / rate * (imports + exports).mean((1, 2, 3), keepdims=True)
    of_group = np.broadcast_to(np.maximum(typical, 1e-9), imports.shape).ravel()
    scale = np.concatenate([of_group, of_group, np.ones(price.size + system.size)])
    return guess, scale


def _market(accounts: Accounts, guess: Array, price: Array, system: Array, cells: int) -> None:
    """Fill in what loads and prices do under the guess: supply curves are read off the hours of one reading, in place."""
    G, N, W = len(accounts.groups), accounts.buses, len(accounts.regime)
    D = guess.shape[1]
    taken = (guess[:cells] - guess[cells : 2 * cells]).reshape(G, N, HOURS, W, D)
    load = np.einsum("gnhwd,g->nhwd", taken, accounts.share) * accounts.count / 1000.0 / accounts.regime[:, None]
    total = load.sum(0)
    away = system - system.mean()
    slopes = ((price - price.mean((1, 2), keepdims=True)) * away).sum((1, 2)) / max(float((away**2).sum()), 1e-300)
    guess[2 * cells : 2 * cells + price.size] = (slopes[:, None, None, None] * total).reshape(-1, D)
    guess[2 * cells + price.size :] = total.reshape(-1, D)


def _elasticity(guess: Array, raw: Array, scale: Array, away: Array, ratios: Sequence[Array], classes: NDArray[np.int64], cells: int) -> tuple[float, float]:
    """Factors on the guess for imports and for exports that trials call for; 1, give or take 1, before any. Entries stand apart, as they may deviate."""
    factors = []
    distance = (away**2).sum(-1)
    for first in (0, cells):
        above, below = 1.0, 1.0
        for w, ratio in enumerate(ratios[:-1]):
            columns = first + np.flatnonzero(classes[first : first + cells] == w)
            model, said = (away @ guess[columns].T) / scale[columns], raw[:, columns] / scale[columns]
            weight = 1.0 / np.maximum(distance + ratio, 1e-12)
            above += float((weight[:, None] * model * said).sum())
            below += float((weight[:, None] * model**2).sum())
        factors.append(max(above / below, 0.0))
    return factors[0], factors[1]
