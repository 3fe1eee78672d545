"""Have followers settled? Two blocks of days compared, and a return to the baseline. Tested, never proved.

Passing says that what is visible did not move by more than sampling noise. Slow hysteresis can hide in aggregates and in
values: only choices by state show it, or coming back to a policy tried before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from stackopt.games.operators import Array
from stackopt.learning.oracles import Observation

#: Two blocks differ when chance alone would make them differ this much with at most this probability ...
LEVEL = 0.01
#: ... and a return differs when, beyond that, choices are this far apart (L1, 0 to 2, averaged over states by visits) ...
FAR = 0.1
#: ... or values are (relative).
FAR_VALUE = 0.02
#: Expected counts below which a cell is pooled with the rest of its state.
SMALL = 5.0


@dataclass(frozen=True)
class Drift:
    """The comparison of two periods under the same policy.

    Attributes
    ----------
    moved : bool
        Whether they differ by more than chance.
    chance : float
        The probability of a difference this large if nothing moved (after correction for the number of tests).
    distance : float
        Of choices: L1 averaged over states, less what noise contributes on average; NaN when counts are not seen.
    change : float
        Of the leader's value.
    because : str
        The test that decides, with its figures.
    """

    moved: bool
    chance: float
    distance: float
    change: float
    because: str


@dataclass(eq=False)
class Noise:
    """The day-to-day noise of the leader's value and of aggregates, pooled over everything seen under constant policies.

    Differences of successive days estimate the variance, unharmed by slow drift; their correlation widens intervals of
    means, because weather and batteries carry over from day to day.
    """

    runs: list[Array] = field(default_factory=list)  # each [days, 1 + M]

    def add(self, seen: Observation) -> None:
        """Take in a run of days under one policy."""
        if seen.days > 2:
            self.runs.append(_figures(seen))

    def of_mean(self, days: int) -> Array:
        """Standard deviations of means over `days` days, [1 + M]; infinite before anything was seen."""
        if not self.runs:
            return np.array([np.inf])
        steps = [np.diff(run, axis=0) for run in self.runs]
        one = np.concatenate(steps)
        variance = (one**2).mean(0) / 2.0
        two = [run[2:] - run[:-2] for run in self.runs]
        wide = (np.concatenate(two) ** 2).mean(0) / 2.0
        # for an AR(1) with correlation c: the two are v(1-c) and v(1-c^2), so their ratio is 1 + c
        c = np.clip(np.where(variance > 0, wide / np.where(variance > 0, variance, 1.0) - 1.0, 0.0), 0.0, 0.8)
        inflated: Array = np.sqrt(variance / (1.0 - c) * (1.0 + c) / (1.0 - c) / days)
        return inflated


def _figures(seen: Observation) -> Array:
    columns = [seen.value[:, None]] + ([] if seen.aggregate is None else [seen.aggregate])
    return np.concatenate(columns, 1)


def compare(before: Observation, after: Observation, noise: Noise, *, returned: bool = False) -> Drift:
    """Whether two periods under one policy differ.

    Parameters
    ----------
    before, after : Observation
    noise : Noise
    returned : bool
        A return to a policy after others: with much data chance alone is too strict, so the difference must also be far.

    Notes
    -----
    Choices: likelihood-ratio test of homogeneity by state, conditional on visits (chi-square, small cells left out).
    Values and aggregates: difference of means in standard deviations, Bonferroni over figures.
    """
    from scipy.stats import chi2, norm

    figures = np.abs(_figures(before).mean(0) - _figures(after).mean(0))
    spread = np.hypot(noise.of_mean(before.days), noise.of_mean(after.days))
    spread = spread if len(spread) == len(figures) else np.full(len(figures), np.inf)
    exact = spread == 0.0  # an oracle without noise
    z = np.where(exact, np.where(figures > 1e-9 * (1 + np.abs(_figures(before).mean(0))), np.inf, 0.0), figures / np.where(exact, 1.0, spread))
    chance = min(1.0, len(z) * 2.0 * float(norm.sf(z.max())))
    change = float(after.value.mean() - before.value.mean())
    because = f"values and aggregates differ by {z.max():.1f} standard deviations at most"
    distance = math.nan
    far = abs(change) > FAR_VALUE * max(abs(float(before.value.mean())), 1e-12)
    if before.counts is not None and after.counts is not None:
        one, two = before.counts.sum(0), after.counts.sum(0)
        statistic, freedom, distance = _homogeneity(one, two)
        by_choice = float(chi2.sf(statistic, freedom)) if freedom else 1.0
        if by_choice <= chance:
            because = f"choices by state: chi-square {statistic:.0f} with {freedom} degrees of freedom"
            far = distance > FAR
        chance = min(1.0, 2.0 * min(chance, by_choice))
    moved = chance < LEVEL and (far or not returned)
    return Drift(moved, chance, distance, change, because)


def _homogeneity(one: Array, two: Array) -> tuple[float, int, float]:
    """Likelihood-ratio statistic of equal choices by state, its degrees of freedom, and the L1 distance beyond noise."""
    visits_one, visits_two = one.sum(1), two.sum(1)
    total = visits_one + visits_two
    pooled = (one + two) / np.maximum(total, 1.0)[:, None]
    share = np.minimum(visits_one, visits_two)
    cells = pooled * share[:, None] >= SMALL
    states = cells.sum(1) >= 2
    if not states.any():
        return 0.0, 0, 0.0
    statistic, freedom, far, weight = 0.0, 0, 0.0, 0.0
    for s in np.flatnonzero(states):
        keep = cells[s]
        table = np.array([np.append(c[s][keep], c[s][~keep].sum()) for c in (one, two)])
        if table[:, -1].sum() * share[s] / total[s] < SMALL:  # the rest is too rare to count
            table = table[:, :-1]
        sums = table.sum(1, keepdims=True)
        expected = sums * table.sum(0) / table.sum()
        positive = table > 0
        statistic += 2.0 * float((table[positive] * np.log(table[positive] / expected[positive])).sum())
        freedom += table.shape[1] - 1
        rates = table / sums
        mean = table.sum(0) / table.sum()
        # E|difference| of two equal rates is about sqrt(2/pi) of its standard deviation
        noise = math.sqrt(2.0 / math.pi) * float(np.sqrt(mean * (1 - mean) * (1 / sums).sum()).sum())
        far += total[s] * (float(np.abs(rates[0] - rates[1]).sum()) - noise)
        weight += total[s]
    return statistic, freedom, max(far / weight, 0.0)
