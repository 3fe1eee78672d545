r"""Sweeping until nothing moves, for many types at once, with extrapolation.

A sweep x -> Mx + c (or nearly so) is repeated; after every `CYCLE` sweeps each type jumps to the combination :math:`\sum_i\gamma_ix_i`,
:math:`\sum_i\gamma_i=1`, whose residual :math:`\sum_i\gamma_i(x_{i+1}-x_i)` is smallest (reduced rank extrapolation): the few slow modes, weather that lasts
for days among them, go at once. A jump that does not pay is taken back; a law then goes on from the mean of its last sweeps, which also ends
the cycles of a chain that returns to each state only every few days. Where sweeping stops, the residual is that of a plain sweep.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from stackopt.games.operators import Array

#: Sweeps between two extrapolations.
CYCLE = 5
#: Changes below this times the size of x are rounding: of values (their span), and of laws (their 1-norm).
ROUNDING_OF_VALUES, ROUNDING_OF_LAWS = 16 * np.finfo(float).eps, 64 * np.finfo(float).eps


@dataclass(frozen=True, eq=False)
class Settled:
    """Where sweeping stopped.

    Attributes
    ----------
    sweeps : int
    distance : float
        To the fixed point, of the worst type, at most (known contraction) or as estimated from the changes seen.
    change : array [R, C, lanes]
        Of the last sweep.
    done : bool
        Whether the distance is below the tolerance, or the change is rounding.
    """

    sweeps: int
    distance: float
    change: Array
    done: bool


def settle(sweep: Callable[[Array], object], x: Array, *, tolerance: float, limit: int, up_to_a_constant: bool, contraction: float | None = None) -> Settled:
    """Sweep x [R, C, lanes] in place until every type is within `tolerance` of its fixed point, or `limit` sweeps.

    Parameters
    ----------
    sweep : callable
        One sweep in place.
    tolerance : float
        Of the span of x (`up_to_a_constant`) or its 1-norm; not less than rounding of x allows.
    contraction : float, optional
        Of a sweep, where it is known; otherwise the slowest rate seen in the last two cycles.
    """
    before: list[Array] = [x.copy()]  # iterates of this cycle
    kept: tuple[Array, Array] | None = None  # where the last jump started from, and its change there
    rates: list[float] = []
    last: Any = None
    mean: Any = None
    swept, distance = 0, np.inf
    change = np.full_like(x, np.inf)
    while swept < limit:
        sweep(x)
        swept += 1
        change = x - before[-1]
        size = _size(change, up_to_a_constant)
        if kept is not None:
            start, worse = kept[0], size > kept[1]
            kept = None
            if worse.any():
                x[..., worse] = (start if up_to_a_constant else mean)[..., worse]
                before, last = [x.copy()], None
                continue
        if last is not None:
            moving = last > 0
            rates = [*rates[1 - 2 * CYCLE :], float((size[moving] / last[moving]).max(initial=0.0))]
        rate = contraction if contraction is not None else max(rates, default=1.0)
        distance = float(size.max()) * (rate / (1.0 - rate) if rate < 1.0 else np.inf)
        if float(size.max()) <= (ROUNDING_OF_VALUES * float(np.abs(x).max()) if up_to_a_constant else ROUNDING_OF_LAWS):
            return Settled(swept, min(distance, float(size.max())), change, True)
        if distance <= tolerance:
            return Settled(swept, distance, change, True)
        before.append(x.copy())
        last = size
        if len(before) > CYCLE and swept < limit:
            kept, mean = (before[-1], size), sum(before[1:]) / CYCLE
            x[:] = _extrapolated(before, up_to_a_constant)
            before, last = [x.copy()], None
    return Settled(swept, distance, change, False)


def _size(change: Array, up_to_a_constant: bool) -> Array:
    """Of a change of each type: its span or its 1-norm, [lanes]."""
    found: Array = change.max((0, 1)) - change.min((0, 1)) if up_to_a_constant else np.abs(change).sum((0, 1))
    return found


def _extrapolated(points: list[Array], up_to_a_constant: bool) -> Array:
    """The combination of the last points of each type whose residual is smallest, [R, C, lanes]."""
    stacked = np.stack(points)
    steps = np.diff(stacked, axis=0).reshape(len(points) - 1, -1, stacked.shape[-1])
    if up_to_a_constant:
        steps = steps - steps.mean(1, keepdims=True)
    largest = np.abs(steps).max((0, 1))
    steps = steps / np.where(largest > 0, largest, 1.0)
    gram = np.einsum("ixl,jxl->lij", steps, steps)
    count = gram.shape[-1]
    gram = gram + 1e-15 * (np.trace(gram, axis1=-2, axis2=-1)[:, None, None] + 1e-300) * np.eye(count)
    weights = np.linalg.solve(gram, np.ones((len(gram), count, 1)))[..., 0]
    weights = weights / weights.sum(-1, keepdims=True)
    good = np.isfinite(weights).all(-1) & (np.abs(weights).sum(-1) < 1e6)
    weights = np.where(good[:, None], weights, np.eye(count)[-1])
    found: Array = np.einsum("li,ircl->rcl", weights, stacked[1:])
    return found
