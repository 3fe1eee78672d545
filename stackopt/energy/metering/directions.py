"""Where a metered leader begins, and where it goes only to learn how use answers."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from stackopt.energy.metering.meter import Reading
from stackopt.energy.metering.model import CURVATURE, Accounts, Fitted, metered
from stackopt.energy.metering.result import REACH

Array = NDArray[np.float64]


def beginning(accounts: Accounts, today: Reading | None) -> Array:
    """The first rates: nearest to today's where those were read, by what is bought and sold; else a quarter of the range, and the smallest sell rates."""
    from scipy.optimize import lsq_linear

    a = accounts
    P = len(a.low) // 2
    x: Array = np.where(np.arange(2 * P) < P, a.low + 0.25 * (a.high - a.low), np.maximum(a.low, np.minimum(a.high, 0.0)))
    if today is not None:
        weights = [np.sqrt(a.share[:, None, None, None] * k) for k in metered(today)]
        rows = np.concatenate([(w[..., None] * m).reshape(-1, 2 * P) for w, m in zip(weights, a.moves, strict=True)])
        left = [w * (r - b - k * today.price) for w, r, b, k in zip(weights, today.rates, a.base, a.passed, strict=True)]
        near = lsq_linear(rows[:, a.free], np.concatenate([v.ravel() for v in left]), (a.low[a.free], a.high[a.free])).x
        x[a.free] = np.clip(near, a.low[a.free], a.high[a.free])
    for _ in range(20):  # sell rates stay below buy rates
        over = [row for row in a.order()[0] if (row[:-1] @ x + row[-1]) < 0.0 and not a.order()[1].any()]
        if not over:
            break
        x[P:] = np.clip(x[P:] + min(0.0, float(over[0][:-1] @ x + over[0][-1])), a.low[P:], a.high[P:])
    return x


def direction(fitted: Fitted, here: Array, rng: np.random.Generator) -> tuple[Array, float]:
    """The way to go from rates `here` to learn most, within the bounds; and the share of the response there that is a guess."""
    a = fitted.accounts
    free = a.free
    vectors = np.linalg.eigh(fitted.unknown[np.ix_(free, free)])[1]
    length = max(REACH, min(math.sqrt(fitted.noise / CURVATURE), 0.2))  # where noise and curvature take equal parts of what is learned
    rows, coefficient = a.order()
    price = np.broadcast_to(fitted.price, (len(a.groups), *fitted.price.shape)).ravel() if coefficient.any() else 0.0
    most, chosen = 0.0, np.zeros(len(here))
    candidates = [*vectors.T[::-1], *np.eye(len(free)), rng.normal(size=len(free))]
    for way in candidates:
        for sign in (1.0, -1.0):
            d = np.zeros(len(here))
            d[free] = sign * length * way / max(np.abs(way).max(), 1e-12)
            d = np.clip(here + d, a.low, a.high) - here
            for _ in range(3):  # sell rates give way to buy rates
                low = rows[:, :-1] @ (here + d) + rows[:, -1] + coefficient * price
                if low.min(initial=0.0) >= 0.0:
                    break
                worst = rows[int(low.argmin()), :-1]
                d = np.clip(here + d - worst * low.min() / float(worst @ worst) * 1.0001, a.low, a.high) - here
            else:
                continue
            size = float(d @ d)
            if size < (0.3 * length) ** 2:
                continue
            share = float(d @ fitted.unknown @ d) / size
            if share > most + 1e-9:
                most, chosen = share, d
    return chosen, most
