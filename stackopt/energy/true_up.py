r"""The annual true-up of net metering: what credits are worth that are left over at the end of a year, and what that does to incentives.

A year's energy bill is E, charges less credits at announced rates, but no less than the year's net use K at the true-up's rate s:

.. math:: \text{bill}=\max(E,\,sK)=\max_{0\le\lambda\le1}\ \lambda E+(1-\lambda)sK .

A household that would be left with credits therefore does not face announced rates at the margin. By convexity its best answer is the one to the mixed rates
:math:`\lambda\,\text{rate}+(1-\lambda)s` for one :math:`\lambda`: 1 where nothing is left over, 0 where it is left over even at s, and between them
where it uses more until exactly nothing is, :math:`E=sK`. E - sK falls as :math:`\lambda` rises, so a bracket closes on it. The year is the
long-run average over regimes; years do not differ.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stackopt.energy.households import Households
from stackopt.energy.response import Part, answers, at_margin
from stackopt.energy.tariff import Tariff
from stackopt.errors import InvalidStudy

Array = NDArray[np.float64]

#: How exactly nothing is left over, $/day, and the most answers on the way there.
EXACT, ROUNDS = 1e-10, 80


def settle(households: Households, tariff: Tariff, announced: tuple[Array, Array], parts: Sequence[Part], temperature: float) -> Array:
    """How far announced rates count at the margin of each type [i]; `parts` is what types do where they count in full.

    Raises
    ------
    InvalidStudy
        ``sell-above-buy`` where the true-up's rate is above an announced one.
    """
    rate = tariff.true_up
    assert rate is not None
    if (announced[1] < rate).any():
        i, h, w = (int(n) for n in np.argwhere(announced[1] < rate)[0])
        where = f"tariff {tariff.name!r}: what is left over of {households.types[i].name!r} at {rate:g} $/kWh, in hour {h} at {announced[1][i, h, w]:.4g}"
        raise InvalidStudy("sell-above-buy", where=where)
    kept = np.ones(len(households.types))
    over = _left(announced, rate, parts)
    chosen = np.flatnonzero(over < -EXACT)
    low, high = np.zeros(len(kept)), np.ones(len(kept))  # shares at which too little and too much is left over
    at_low, at_high = np.full(len(kept), np.nan), over.copy()
    trial = np.where(over < -EXACT, 0.0, 1.0)
    for _ in range(ROUNDS):
        if not len(chosen):
            break
        found = answers(households, chosen, *at_margin(tariff, *announced, trial), trial, temperature)
        left = _left(announced, rate, found)
        kept[chosen] = trial[chosen]
        enough, first = left >= 0.0, trial == 0.0  # Illinois: an end that stays counts for less
        at_high = np.where(enough & ~first, 0.5 * at_high, np.where(left < 0.0, left, at_high))
        at_low = np.where(enough, left, np.where(left < 0.0, 0.5 * at_low, at_low))
        low, high = np.where(enough, trial, low), np.where(left < 0.0, trial, high)
        settled = (np.abs(left) <= EXACT) | ((kept == 0.0) & (left <= 0.0)) | (high - low <= 1e-15)
        chosen = np.array([i for i in chosen if not settled[i]], int)
        trial[chosen] = low[chosen] + (high - low)[chosen] * at_low[chosen] / (at_low - at_high)[chosen]
    return kept


def _left(announced: tuple[Array, Array], rate: float, parts: Sequence[Part]) -> Array:
    """E - sK of the types of the parts [i], $/day: negative where credits are left over; NaN for others."""
    found = np.full(len(announced[0]), np.nan)
    for part in parts:
        taken = (part.moves * np.where(part.hour.buying, part.hour.net, 0.0)).sum(-1)
        given = -(part.moves * np.where(part.hour.selling, part.hour.net, 0.0)).sum(-1)
        buy, sell = announced[0][part.members], announced[1][part.members]
        found[part.members] = ((buy - rate) * taken - (sell - rate) * given).sum((1, 2))
    return found
