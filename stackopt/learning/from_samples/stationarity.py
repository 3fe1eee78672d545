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

#: Two blocks differ when chance alone would make them differ as much with at most this probability: anyhow, or in the
#: direction from the policy before to this one, in which followers move when they lag behind.
LEVEL, TOWARDS = 0.01, 0.02
#: A return differs when, beyond that, choices are this far apart (L1, 0 to 2, averaged over states by visits) ...
FAR = 0.1
#: ... or values are (relative).
FAR_VALUE = 0.02
#: Expected counts below which a cell is pooled with the rest of its state.
SMALL = 5.0
#: The correlation of successive days assumed before any is seen, and the days it counts for.
CORRELATION, PRIOR_DAYS = 0.3, 20


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


@dataclass(frozen=True, eq=False)
class Noise:
    """The day-to-day noise of the leader's value and of aggregates, pooled over everything seen under constant policies.

    Differences of successive days estimate the variance, unharmed by slow drift; their correlation widens intervals of
    means, because weather and batteries carry over from day to day.
    """

    runs: tuple[Array, ...] = field(default_factory=tuple)  # each [days, 1 + M]

    def with_run(self, seen: Observation) -> Noise:
        """And a run of days under one policy."""
        return Noise((*self.runs, figures(seen))) if seen.days > 2 else self

    @property
    def freedom(self) -> int:
        """Degrees of freedom of the variance."""
        return sum(len(run) - 1 for run in self.runs)

    def of_mean(self, days: int, weights: Array | None = None) -> Array:
        """Standard deviations of means over `days` days of each figure [1 + M], or of one weighted sum [1]; infinite before any was seen."""
        if not self.runs:
            return np.array([np.inf])
        runs = self.runs if weights is None else [run @ weights[:, None] for run in self.runs]
        variance = (np.concatenate([np.diff(run, axis=0) for run in runs]) ** 2).mean(0) / 2.0
        longer = [run[2:] - run[:-2] for run in runs]
        count = sum(map(len, longer))
        wide = (np.concatenate(longer) ** 2).mean(0) / 2.0
        # for an AR(1) with correlation c: the two are v(1-c) and v(1-c^2), so their ratio is 1 + c
        seen = np.where(variance > 0, wide / np.where(variance > 0, variance, 1.0) - 1.0, 0.0)
        c = np.clip((count * seen + PRIOR_DAYS * CORRELATION) / (count + PRIOR_DAYS), 0.0, 0.8)
        inflated: Array = np.sqrt(variance / (1.0 - c) * (1.0 + c) / (1.0 - c) / days)
        return inflated


def figures(seen: Observation) -> Array:
    """The value and the aggregates of each day, [days, 1 + M]."""
    columns = [seen.value[:, None]] + ([] if seen.aggregate is None else [seen.aggregate])
    return np.concatenate(columns, 1)


def compare(before: Observation, after: Observation, noise: Noise, *, origin: Observation | None = None, returned: bool = False) -> Drift:
    """Whether two periods under one policy differ.

    Parameters
    ----------
    before, after : Observation
    noise : Noise
    origin : Observation, optional
        The policy before this one. Followers that lag behind come from there, and one direction is tested more sharply
        than all of them.
    returned : bool
        A return to a policy after others: with much data chance alone is too strict, so the difference must also be far.

    Notes
    -----
    Choices: likelihood-ratio test of homogeneity by state, conditional on visits (chi-square, small cells pooled), and a
    one-sided test along the direction of lag; they decide alone where they are seen. Otherwise values and aggregates:
    Student tests of means, Bonferroni over figures, and along the direction of lag.
    """
    from scipy.stats import chi2, norm, t

    mean_before, mean_after = figures(before).mean(0), figures(after).mean(0)
    change = float(mean_after[0] - mean_before[0])
    z = _standardised(mean_before - mean_after, noise, before.days, after.days)
    freedom = max(noise.freedom, 1)
    chance = min(1.0, len(mean_before) * 2.0 * float(t.sf(z, freedom)))
    because = f"values and aggregates differ by {z:.1f} standard deviations"
    towards = 1.0
    if origin is not None:
        start = figures(origin).mean(0) - 0.5 * (mean_before + mean_after)
        towards = float(t.sf(_along(start, mean_before - mean_after, noise, before.days, after.days), freedom))
    distance = math.nan
    far = abs(change) > FAR_VALUE * max(abs(float(mean_before[0])), 1e-12)
    if before.counts is not None and after.counts is not None:  # choices by state decide: values also move with what followers own
        statistic, degrees, distance = _homogeneity(before.counts.sum(0), after.counts.sum(0))
        chance = float(chi2.sf(statistic, degrees)) if degrees else 1.0
        because = f"choices by state: chi-square {statistic:.0f} with {degrees} degrees of freedom"
        far = distance > FAR
        if origin is not None and origin.counts is not None:
            towards = float(norm.sf(_choices_along(origin.counts.sum(0), before.counts.sum(0), after.counts.sum(0))))
    moved = chance < LEVEL and (far or not returned)
    if not moved and towards < TOWARDS:
        moved, chance, because = True, towards, f"they still move from the policy before to this one (chance {towards:.2g})"
    return Drift(moved, chance, distance, change, because)


def _standardised(difference: Array, noise: Noise, before: int, after: int) -> float:
    """The largest difference in standard deviations; without any noise, infinite or zero."""
    spread = np.broadcast_to(np.hypot(noise.of_mean(before), noise.of_mean(after)), difference.shape)
    exact = spread <= 1e-12 * np.abs(difference).max(initial=1.0)
    z = np.abs(difference) / np.where(exact, 1.0, spread)
    return float(np.where(exact, np.where(np.abs(difference) > 1e-9, np.inf, 0.0), z).max())


def _along(start: Array, difference: Array, noise: Noise, before: int, after: int) -> float:
    """Movement along `start` in standard deviations, figures weighted by their precision."""
    scale = noise.of_mean(1)
    if not np.isfinite(scale).all() or (scale <= 0).any():
        return 0.0
    weights = start / scale**2
    spread = float(np.hypot(noise.of_mean(before, weights), noise.of_mean(after, weights))[0])
    return float(weights @ difference) / spread if spread > 0 else 0.0


def _choices_along(origin: Array, one: Array, two: Array) -> float:
    """Movement of choices from those of `origin` [S, B], in standard deviations: a score test with one degree of freedom."""
    visits = np.minimum(np.minimum(origin.sum(1), one.sum(1)), two.sum(1))
    s = visits >= SMALL
    if not s.any():
        return 0.0
    now = (one + two)[s] / (one + two)[s].sum(1, keepdims=True)
    direction = origin[s] / origin[s].sum(1, keepdims=True) - now
    n1, n2 = one[s].sum(1), two[s].sum(1)
    difference = one[s] / n1[:, None] - two[s] / n2[:, None]
    weight = n1 * n2 / (n1 + n2)
    variance = (now * direction**2).sum(1) - (now * direction).sum(1) ** 2
    total = float((weight * variance).sum())
    return float((weight * (direction * difference).sum(1)).sum()) / math.sqrt(total) if total > 0 else 0.0


def _homogeneity(one: Array, two: Array) -> tuple[float, int, float]:
    """Likelihood-ratio statistic of equal choices by state, its degrees of freedom, and the L1 distance beyond noise."""
    total = one.sum(1) + two.sum(1)
    share = np.minimum(one.sum(1), two.sum(1)) / np.maximum(total, 1.0)
    expected_cells = (one + two) * share[:, None]
    statistic, freedom, far, weight = 0.0, 0, 0.0, 0.0
    for s in range(len(one)):
        keep = expected_cells[s] >= SMALL
        table = np.array([np.append(c[s][keep], c[s][~keep].sum()) for c in (one, two)])
        if table[:, -1].sum() * share[s] < SMALL:  # the rest is too rare to count
            table = table[:, :-1]
        if table.shape[1] < 2:
            continue
        sums = table.sum(1, keepdims=True)
        mean = table.sum(0) / table.sum()
        positive = table > 0
        statistic += 2.0 * float((table[positive] * np.log(table[positive] / (sums * mean)[positive])).sum())
        freedom += table.shape[1] - 1
        # E|difference| of two equal rates is about sqrt(2/pi) of its standard deviation
        noise = math.sqrt(2.0 / math.pi) * float(np.sqrt(mean * (1.0 - mean) * (1.0 / sums).sum()).sum())
        far += float(total[s]) * (float(np.abs(table[0] / sums[0] - table[1] / sums[1]).sum()) - noise)
        weight += float(total[s])
    return statistic, freedom, max(far / weight, 0.0) if weight else 0.0
