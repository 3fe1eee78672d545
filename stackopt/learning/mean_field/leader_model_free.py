r"""A leader who knows neither the followers' objective nor their dynamics: it announces a decision, waits, and sees what it earned.

Gradients are estimated from values on either side of the decision [C3]; followers learn from their own samples meanwhile
(`SampledFollowers`). Nothing of the model reaches the leader; the model only certifies the end.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from stackopt.display import number
from stackopt.errors import InvalidMethod
from stackopt.games.mean_field.game import MeanFieldStackelbergGame
from stackopt.games.mean_field.leaders import Box
from stackopt.games.mean_field.population import Population
from stackopt.games.operators import Array
from stackopt.learning.from_samples.estimators import gaussian_gradient, two_point_gradient
from stackopt.learning.mean_field.sampled_followers import SampledFollowers
from stackopt.learning.mean_field.settling import settle_soft
from stackopt.solution import Progress, Refusal, Report, Run, Status

#: Estimates, in the last half of the steps, below which two standard errors say nothing.
ESTIMATES = 10


@dataclass(frozen=True)
class ModelFreeAscent:
    r"""Ascent on measured values: two-point or Gaussian-smoothing estimates, against followers who learn.

    Parameters
    ----------
    temperature : float
        Of the followers' choices, in the units of their rewards.
    estimator : str
        ``"two-point"`` or ``"gaussian"``  [C3].
    probe : float
        How far from the decision the leader asks, as a fraction of the range of each parameter.
    steps : int
        Gradient estimates; each takes two probes.
    settle, measure : int
        Days that a probe is in force before it is measured, and for which it is measured. Followers that lag put their lag over
        the probe's length into the gradient: then longer `settle` or `probe`, not shorter.
    length : float
        Of the first step, as a fraction of the range; later ones shrink as the estimates add up (AdaGrad).
    followers : int
        N of each type.
    rate : float
        At which followers' tables learn, in (0, 1].

    Notes
    -----
    CONVERGED means: over the last half of the steps no parameter's mean slope can be told from zero (two standard errors), or it
    points out of the box at a bound, and the standard errors are small: a move across the box would change the leader's value by less than
    `resolution` of it, over at least 10 estimates. That is a statement about the smoothed objective of theory C3 as these followers
    play it, not about a global maximum. The decision returned is the mean over the last half.
    """

    temperature: float
    estimator: Literal["two-point", "gaussian"] = "two-point"
    probe: float = 0.05
    steps: int = 150
    settle: int = 10
    measure: int = 5
    length: float = 0.2
    followers: int = 10_000
    rate: float = 0.3
    resolution: float = 0.25

    def __post_init__(self) -> None:
        if not isinstance(self.temperature, int | float) or not 0.0 < self.temperature < math.inf:
            raise InvalidMethod("temperature", got=self.temperature, where=f"temperature = {self.temperature!r}")
        laws: tuple[tuple[str, str, bool], ...] = (
            ("estimator", "'two-point' or 'gaussian'", self.estimator in ("two-point", "gaussian")),
            ("probe", "in (0, 0.5)", 0.0 < self.probe < 0.5),
            ("steps", "a whole number of at least 4", isinstance(self.steps, int) and self.steps >= 4),
            ("settle", "a whole number, not negative", isinstance(self.settle, int) and self.settle >= 0),
            ("measure", "a whole number of at least 1", isinstance(self.measure, int) and self.measure >= 1),
            ("length", "a positive number", 0.0 < self.length < math.inf),
            ("resolution", "a positive number", 0.0 < self.resolution < math.inf),
        )
        for name, law, holds in laws:
            if not holds:
                raise InvalidMethod("setting", name=name, law=law, got=repr(getattr(self, name)))

    @property
    def name(self) -> str:
        """How it is called in tables."""
        return f"model-free {self.estimator} tau={self.temperature:g}"

    def refuses(self, problem: Any) -> Refusal | None:
        """Problems other than populations, and leaders whose set is not a box."""
        if not isinstance(problem, MeanFieldStackelbergGame):
            return Refusal("wrong-problem", law={"method": type(self).__name__, "problem": type(problem).__name__})
        if not isinstance(problem.leader, Box):
            return Refusal("leader-set", law={"law": "a Box for probes on either side", "got": str(problem.leader)}, remedy="HypergradientAscent, or a Box")
        return None

    def run(self, problem: MeanFieldStackelbergGame, *, seed: int = 0, report: Report | None = None) -> Run[Population]:
        """Probe, step, and have the model certify the end."""
        box = problem.leader
        assert isinstance(box, Box)
        span = box.upper - box.lower
        system = SampledFollowers(problem, self.temperature, self.followers, self.rate, seed)
        rng = np.random.default_rng([seed, 1])
        history: dict[str, list[float]] = {"value": []}

        def measured(z: Array) -> float:
            """What the leader sees at z in [0, 1]^D: the mean of some days after the followers had time."""
            theta = box.lower + np.clip(z, 0.0, 1.0) * span
            for _ in range(self.settle):
                system.day(theta)
            value = float(np.mean([system.day(theta) for _ in range(self.measure)]))
            history["value"].append(value)
            return value

        estimate: Callable[..., Array] = two_point_gradient if self.estimator == "two-point" else gaussian_gradient
        z, squares, told = np.full(box.size, 0.5), 0.0, -math.inf
        decisions, slopes = np.empty((self.steps, box.size)), np.empty((self.steps, box.size))
        for step in range(self.steps):
            slopes[step] = estimate(measured, z, self.probe, rng)
            squares += float(slopes[step] @ slopes[step])
            z = np.clip(z + self.length * slopes[step] / max(math.sqrt(squares), 1e-300), self.probe, 1.0 - self.probe)
            decisions[step] = z
            if report is not None and time.monotonic() - told >= 0.1:
                told = time.monotonic()
                report(Progress(self.name, step + 1, self.steps, float(np.abs(slopes[step]).max())))
        return self._end(problem, box, decisions, slopes, system, history)

    def _end(
        self, game: MeanFieldStackelbergGame, box: Box, decisions: Array, slopes: Array, system: SampledFollowers, history: dict[str, list[float]]
    ) -> Run[Population]:
        half = self.steps // 2
        z, slope = decisions[half:].mean(0), slopes[half:].mean(0)
        error = slopes[half:].std(0, ddof=1) / math.sqrt(self.steps - half)
        theta = box.lower + z * (box.upper - box.lower)
        values = np.array(history["value"][-2 * (self.steps - half) :])
        size = max(float(np.abs(values).mean()), 1e-300)
        outwards = ((z >= 1.0 - 1.5 * self.probe) & (slope > 0)) | ((z <= 1.5 * self.probe) & (slope < 0))
        flat = bool(((np.abs(slope) <= 2.0 * error) | outwards).all())
        precise = bool((error <= self.resolution * size).all())
        stats: dict[str, Any] = {
            "days": system.days,
            "household_days": system.days * self.followers * game.shape[0],
            "slope": slope.tolist(),
            "standard_error": error.tolist(),
            "measured": float(values.mean()),
        }
        settled = settle_soft(game, theta, self.temperature)
        candidate = Population(theta, settled.policy, settled.mean_field, self.temperature, "commitment", 1e-6)
        seen = f"{system.days} days: slopes at most {number(np.abs(slope).max(), 2)}, standard errors at most {number(error.max(), 2)}"
        if not settled.settled:
            return Run(Status.LIMIT, candidate, stats=stats, because=f"{seen}; followers of the model do not settle: {settled.because}", history=history)
        if self.steps - half < ESTIMATES:
            because = f"{seen}; {self.steps - half} estimates are too few to tell a slope from zero"
            return Run(Status.LIMIT, candidate, stats=stats, because=because, history=history)
        if flat and precise:
            return Run(Status.CONVERGED, candidate, stats=stats, because=f"{seen}; none told from zero", history=history)
        why = "some slope is told from zero" if not flat else f"standard errors above {self.resolution:g} of the value"
        return Run(Status.LIMIT, candidate, stats=stats, because=f"{seen}; {why}: more steps", history=history)
