"""Learning a commitment from how followers behave, their objective never read: the default learner.

Contrasting designs, each held until followers have settled; a follower fitted to what was seen; a shortlist by exact
evaluation on the model; a race of the shortlist on the real system; back to the first design to see whether followers
come back; values alone where the model does not explain them.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import get_args

import numpy as np

from stackopt.bounds.sampling import choice_frequency_error
from stackopt.certificate import Bound
from stackopt.errors import InvalidMethod
from stackopt.games.operators import Array
from stackopt.games.responses import leader_value
from stackopt.games.stackelberg import StackelbergGame
from stackopt.learning.from_samples.aggregates import fit_aggregates
from stackopt.learning.from_samples.estimators import sphere_direction
from stackopt.learning.from_samples.inverse import Tastes, fit
from stackopt.learning.from_samples.judgement import alignment, misfit, resampled_regret
from stackopt.learning.from_samples.learned import Learned, Outcome
from stackopt.learning.from_samples.levels import Levels
from stackopt.learning.from_samples.stationarity import FAR_VALUE, figures
from stackopt.learning.from_samples.system import LONGER as LONGER_BLOCK
from stackopt.learning.from_samples.system import OutOfDays, Record, Sees, System, Unsettled
from stackopt.learning.oracles import FollowerOracle, Observation
from stackopt.solution import Progress, Report

#: Contrasting designs; later ones are the model's favourites, where an error of the model matters.
CONTRASTING = 3
#: Policies raced, days measured of each in a stage.
STAGES = ((8, 2), (4, 4), (2, 8))
#: Races before the learner falls back on values alone.
ROUNDS = 3
#: From aggregates the race goes on between so many contenders, in blocks of so many days, until the leader is ahead by two standard
#: deviations of the difference or its rivals' values are known to this share of it.
CONTENDERS, DUEL, CLOSE = 4, 4, 0.005
#: A prediction may be off by so many standard deviations of the measurement.
OFF = 3.0
#: Two-point ascent: length of a probe and of the first step relative to the scale, and after how many steps it has shrunk by sqrt 2.
PROBE, STEP, SLOWING = 0.25, 0.2, 10
#: Without anything but values: corners of the box tried first, those of them measured longer, and how long.
CORNERS, LONGER, LONG = 16, 4, 3
#: Days left out of the first trial where values are compared: nothing is known of what was before.
BEGINNING = 3
#: Two-point steps between measurements of what they have reached, and the block of those.
CHECK, CHECK_BLOCK = 15, 3
#: Days of a block when the policy chosen is measured anew.
CONFIRM = 5
#: Choices farther than this (L1, beyond noise) from the fitted responses fit no soft follower at rest.
MISFIT = 0.03
#: Choices that a fitted response counts for when frequencies are completed by it.
COMPLETION = 5.0


def learn(
    game: StackelbergGame,
    oracle: FollowerOracle,
    observe: Sees = "counts",
    *,
    groups: Sequence[Hashable] | None = None,
    scale: Sequence[float] | None = None,
    meters: Array | None = None,
    steps_per_day: int = 1,
    days: int = 400,
    designs: int = 5,
    block: int = 2,
    patience: int = 60,
    guess: float | None = None,
    resamples: int = 0,
    seed: int = 0,
    report: Report | None = None,
) -> Learned:
    r"""The best leader policy of a menu, learned from what followers do.

    Parameters
    ----------
    game : StackelbergGame
        What the leader knows: its own reward, transitions, discounts, and the *monetary* part of the followers' reward. What
        followers like beyond money, and their temperature, are not known.
    oracle : FollowerOracle
        The real system, see `stackopt.learning.oracles`.
    observe : str
        What the leader sees of followers besides its own value. ``"counts"``: choices by state; a follower is fitted by
        maximum likelihood. ``"aggregate"``: meters; a small follower is fitted to their means, possibly misspecified, and
        the race decides. ``"value"``: nothing; two-point ascent [C3] on the levels.
    groups : sequence of S hashables, optional
        States that share a level of the leader's action, see `Levels`; what the leader observes by default. The leader's
        actions must be ordered, such as prices.
    scale : sequence of A increasing numbers, optional
        The level of each leader action, such as its price.
    meters : array [S, B, M], optional
        For ``"aggregate"``: what a follower in state s that plays b adds to each meter.
    steps_per_day : int
        Steps of the game in a day.
    days : int
        The budget.
    designs : int
        Policies tried first, at least 2: contrasting ones up to three, then what the fitted follower favours.
    block : int
        Days in each of the two blocks that must agree before a design counts as settled.
    patience : int
        The most days a policy is held; followers that still move are NONSTATIONARY.
    guess : float, optional
        A rough idea of the followers' temperature, the centre of a wide prior; a fiftieth of the span of the monetary
        reward by default.
    resamples : int
        Refits to resampled counts for the heuristic regret; 0 leaves it out.
    seed : int
        Of the two-point directions and resamples.
    report : callable, optional
        Progress, in days.

    Returns
    -------
    Learned
        SELECTED, LIMIT or NONSTATIONARY; never a claim of optimality over policies that were not measured.

    Raises
    ------
    InvalidMethod
        If a setting is out of range or the oracle does not give what `observe` needs.

    Notes
    -----
    What can be promised: the realised value within its interval, if followers are stationary (tested, not proved); the
    best of the whole menu only asymptotically, if followers are soft-rational at equilibrium; nothing against followers
    that never settle.

    Examples
    --------
    >>> import stackopt as so
    >>> from stackopt.learning.from_samples.learn import learn
    >>> from stackopt.learning.oracles import SoftPopulation
    >>> game = so.catalog.build("commitment_2x2")
    >>> found = learn(game, SoftPopulation(game, temperature=0.3, followers=500), "counts")
    >>> print(found.outcome, found.levels, abs(found.value - 2.93) < 4 * found.error)
    SELECTED [1.] True
    """
    if observe not in get_args(Sees):
        raise InvalidMethod("setting", name="observe", law="'counts', 'aggregate' or 'value'", got=repr(observe))
    for name, value, least in (("designs", designs, 2), ("block", block, 1), ("steps_per_day", steps_per_day, 1), ("days", days, 1)):
        if value < least:
            raise InvalidMethod("setting", name=name, law=f"at least {least}", got=repr(value))
    if game.batch or game.sparse:
        raise InvalidMethod("setting", name="game", law="a single dense game", got="a batch" if game.batch else "a sparse game")
    if observe == "aggregate" and meters is None:
        raise InvalidMethod("setting", name="meters", law="an array [S, B, M] when observe='aggregate'", got="None")
    levels = Levels(game, groups, scale)
    if len(levels.menu) < 2:
        raise InvalidMethod("setting", name="game", law="one with at least two leader actions", got="one")
    kept = min(days // 3, 2 + 6 * LONGER_BLOCK * block + 2 * CONFIRM)
    system = System(oracle, levels, observe, days - kept, patience, block)
    guess = guess or max(float(np.ptp(game.follower_reward)) / 50.0, 1e-9)
    task = _Task(game, system, levels, meters, steps_per_day, guess, block, np.random.default_rng(seed), report)
    settings = {"observe": observe, "days": days, "designs": designs, "block": block, "patience": patience, "guess": guess, "seed": seed}
    outcome, because = Outcome.SELECTED, ""
    try:
        try:
            because = task.by_values(levels.corners(CORNERS)) if observe == "value" else task.by_model(levels.designs(min(designs, CONTRASTING)), designs)
        except OutOfDays:
            outcome, because = Outcome.LIMIT, f"{days} days were not enough"
        system.budget = days  # what was kept back is for these
        task.confirm()
        because += task.back_to_baseline()
    except Unsettled as end:
        outcome, because = Outcome.NONSTATIONARY, end.because
    except OutOfDays:
        moving = bool(system.drifts) and system.drifts[-1][1].moved
        outcome = Outcome.NONSTATIONARY if moving else Outcome.LIMIT
        because = f"{days} days were not enough" + (" for followers to settle" if moving else " to return to the first policy")
    return replace(task.answer(outcome, because, resamples), settings=settings)


@dataclass(eq=False)
class _Task:
    """One run of `learn`."""

    game: StackelbergGame
    system: System
    levels: Levels
    meters: Array | None
    steps: int
    guess: float
    block: int
    rng: np.random.Generator
    report: Report | None
    tastes: Tastes | None = None
    best: Array = field(default_factory=lambda: np.zeros(0))
    predictions: Array = field(default_factory=lambda: np.zeros(0))
    history: list[tuple[int, Array]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    confirmed: Observation | None = None

    # --- stages --------------------------------------------------------------------------------------------------

    def by_model(self, designs: Array, count: int) -> str:
        """Designs, a fitted follower, a race of what it favours; values alone where it does not explain them."""
        self.recommend(designs[0])
        waiting = list(designs)
        for i in range(3 * count):
            if i >= count and not waiting:
                break
            at = waiting.pop(0) if waiting else self.best
            wary = self.system.wary
            # choices given the state do not carry over from day to day: no day is left out for them
            self.system.settle(at, self.block, skip=0 if self.system.sees == "counts" else 1 if i else BEGINNING)
            if self.system.wary > wary:  # slow followers: what was measured before in short blocks is not to be trusted
                waiting += [r.levels for r in self.system.records if not np.array_equal(r.levels, at)]
                self.system.records = [r for r in self.system.records if np.array_equal(r.levels, at)]
            if len(self.system.records) > 1:
                self.refit()
                self.recommend(self.favourites(1)[0])
        return self.race()

    def by_values(self, corners: Array) -> str:
        """Corners of the box, the best of them longer, then two-point ascent."""
        self.recommend(corners[0])

        def best() -> list[Record]:
            return sorted(self.system.records, key=lambda r: -float(r.seen.value.mean()))

        for i, at in enumerate(corners):
            self.system.settle(at, 1 if i else self.block, skip=1 if i else BEGINNING)
            self.recommend(best()[0].levels)
        for record in best()[:LONGER]:
            self.system.settle(record.levels, LONG)
            self.recommend(best()[0].levels)
        return self.two_point()

    def race(self) -> str:
        """The policies that look best by everything known, tried or not, measured longer and longer; again while one that was not tried leads."""
        for _ in range(ROUNDS):
            for keep, measured in STAGES:
                for at in self.favourites(keep):
                    self.system.settle(at, max(1, measured // 2))
                    self.recommend(self.favourites(1)[0])
                self.refit()
                self.recommend(self.favourites(1)[0])
            if self.system.record(self.best) is not None:
                break
            self.system.settle(self.best, STAGES[-1][1] // 2)
        off = abs(self.predicted(self.best) - self.realised(self.best))
        slack = OFF * self.error(self.best) + FAR_VALUE * abs(self.realised(self.best))
        if off > slack:
            self.notes.append(f"the fitted follower is off by {off:.3g} at its favourite: values alone decided from there")
            return self.two_point()
        close = self.race_on() if self.system.sees == "aggregate" else ""
        return f"the best of {len(self.system.records)} policies tried, its value explained by the fitted follower{close}"

    def race_on(self) -> str:
        """The leader of the race and those too close to tell measured in turn, as long as that tells something and days are left."""
        days = self.system.days
        try:
            while True:
                best, *others = self.favourites(CONTENDERS)
                lead = self.score(best)
                untold = [at for at in (best, *others) if self.system.record(at) is None]
                rivals = [at for at in others if not lead - self.score(at) > 2.0 * math.hypot(self.error(best), self.error(at))]
                unclear = untold or [at for at in (best, *rivals) if self.error(at) > CLOSE * abs(lead)]
                if not rivals or not unclear:
                    break
                for at in unclear:
                    self.system.settle(at, DUEL)
                    self.recommend(self.favourites(1)[0])
                self.refit()
                self.recommend(self.favourites(1)[0])
        except OutOfDays:
            return "; days ran out before the closest rivals were told apart"
        return f"; {self.system.days - days} more days told its closest rivals apart" if self.system.days > days else ""

    def two_point(self) -> str:
        """Projected two-point ascent on the levels [C3] with normalised steps, from the best so far.

        The mean of the late iterates is measured now and then, and is recommended only if it does better than the best so far.
        """
        at, size, k = np.array(self.best, float), 0.0, 0
        trail = [at]
        low, high = self.levels.low, self.levels.high
        probe = PROBE * (high - low)
        try:
            while True:
                u = sphere_direction(len(at), self.rng)
                centre = np.clip(at, low + probe * np.abs(u), high - probe * np.abs(u))
                up, down = centre + probe * u, centre - probe * u
                difference = self.system.settle(up, 1, skip=0).value.mean() - self.system.settle(down, 1, skip=0).value.mean()
                size += (difference**2 - size) / min(k + 1, 10)
                length = STEP * (high - low) * math.sqrt(len(at)) / math.sqrt(1.0 + k / SLOWING)
                at = np.clip(at + length * difference * u / math.sqrt(max(size, 1e-300)), low, high)
                trail.append(at)
                k += 1
                if k % CHECK == 0:
                    late = np.mean(trail[len(trail) // 2 :], 0)
                    self.system.settle(late, CHECK_BLOCK)
                    if self.realised(late) > self.realised(self.best) + self.error(self.best):
                        self.recommend(late)
        except OutOfDays:
            return f"{k} two-point steps used the days: at best a stationary point, up to the bias of the probes"

    def confirm(self) -> None:
        """Measure the policy chosen once more: days it was chosen by flatter it."""
        self.confirmed = self.system.settle(self.best, CONFIRM)

    def back_to_baseline(self) -> str:
        """Return to the first design: followers that have not come back carry their history with them."""
        first = self.system.records[0]
        drift = self.system.returned(first.levels, first.seen, self.block)
        if drift.moved:
            raise Unsettled(f"back under the first policy followers do not do what they did then: {drift.because}")
        far = 0.0
        if self.system.sees == "counts" and self.tastes is not None:
            far = misfit(self.game, self.tastes, *self.choices())
        if far > MISFIT:
            what = f"choices under the policies tried are {far:.2g} (L1, beyond noise) from any soft follower at rest"
            if self.system.wary:
                raise Unsettled(f"followers moved, and then rested where they carry their history: {what}")
            self.notes.append(f"{what}: they like something else, or are not all alike")
        return "; followers came back to the first policy's behaviour"

    # --- what is known -------------------------------------------------------------------------------------------

    def choices(self) -> tuple[Array, Array]:
        """The policies tried [D, S, A] and the choices seen under each [D, S, B]."""
        records = self.system.records
        return self.levels.policy(np.array([r.levels for r in records])), np.array([_counts(r) for r in records])

    def refit(self) -> None:
        """Fit a follower to everything seen."""
        groups = self.levels.of_state
        if self.system.sees == "counts":
            policies, counts = self.choices()
            self.tastes = fit(self.game, policies, counts, groups, self.guess, self.tastes)
        else:
            assert self.meters is not None
            records = self.system.records
            policies = self.levels.policy(np.array([r.levels for r in records]))
            means = np.array([figures(r.seen).mean(0) for r in records])
            errors = np.array([self.system.noise.of_mean(r.seen.days) for r in records])
            floor = 1e-3 * np.maximum(np.abs(means).max(0), 1e-12)  # a small model cannot explain more
            self.tastes = fit_aggregates(
                self.game, policies, means, np.maximum(errors, floor), meters=self.meters, steps=self.steps, groups=groups, guess=self.guess, start=self.tastes
            )
        self.predictions = self.tastes.values(self.game, self.levels.policy(self.levels.menu))

    def favourites(self, count: int) -> list[Array]:
        """The policies of the menu that look best by everything known, tried or not."""
        scores = self.predictions.copy()
        for r in self.system.records:
            scores[(self.levels.menu == r.levels).all(1)] = self.score(r.levels)
        return [self.levels.menu[i] for i in np.argsort(-scores, kind="stable")[:count]]

    def recommend(self, levels: Array) -> None:
        """Write down what would be deployed from this day on."""
        self.best = np.array(levels, float)
        self.history.append((self.system.days, self.best))
        if self.report is not None:
            self.report(Progress("learning from behaviour", self.system.days, self.system.budget))

    def realised(self, levels: Array) -> float:
        """The mean value measured, NaN if never."""
        record = self.system.record(levels)
        return math.nan if record is None else float(record.seen.value.mean())

    def error(self, levels: Array) -> float:
        """One standard deviation of `realised`."""
        record = self.system.record(levels)
        return math.nan if record is None else float(self.system.noise.of_mean(record.seen.days)[0])

    def predicted(self, levels: Array) -> float:
        """The fitted follower's value."""
        return math.nan if self.tastes is None else float(self.tastes.values(self.game, self.levels.policy(levels)[None])[0])

    def score(self, levels: Array) -> float:
        """The value by everything known: choices seen where there are any, the measured value, the model for the rest."""
        record = self.system.record(levels)
        model = self.predicted(levels)
        if record is None or self.tastes is None:
            return model
        if record.seen.counts is not None:
            counts, policy = _counts(record), self.levels.policy(levels)
            response = self.tastes.response(self.game, policy)
            completed = counts + COMPLETION * response
            return float(leader_value(self.game, policy, completed / completed.sum(-1, keepdims=True)))
        spread = self.model_variance()
        noise = self.error(levels) ** 2
        weight = spread / (spread + noise) if spread + noise > 0 else 1.0
        return float(weight * self.realised(levels) + (1.0 - weight) * model)

    def model_variance(self) -> float:
        """The variance of the model's error, from how far it is off where it was measured, beyond noise."""
        off = np.array([self.predicted(r.levels) - r.seen.value.mean() for r in self.system.records])
        noise = np.array([self.error(r.levels) ** 2 for r in self.system.records])
        return max(float((off**2 - noise).mean()), 0.0)

    # --- the answer ----------------------------------------------------------------------------------------------

    def answer(self, outcome: Outcome, because: str, resamples: int) -> Learned:
        """What `learn` returns."""
        policy = self.levels.policy(self.best)
        lost = outcome is Outcome.NONSTATIONARY
        bounds: list[Bound] = []
        regret = math.nan
        if resamples and self.tastes is not None and self.system.sees == "counts":
            regret = resampled_regret(self.game, self.tastes, self.levels, self.best, self.choices(), self.guess, resamples, self.rng)
        record = self.system.record(self.best)
        if record is not None and record.seen.counts is not None:
            bounds.append(choice_frequency_error(_counts(record).sum(1), self.game.shape[2], 0.05, independent=not lost))
        notes = list(self.notes)
        if self.tastes is not None and not self.tastes.identified:
            notes.append("the policies tried do not identify the temperature: predictions rest on the prior")
        if self.system.sees == "aggregate":
            notes.append("aggregates fit a small follower, possibly misspecified; the race is what counts")
        return Learned(
            outcome,
            because,
            self.best,
            policy,
            math.nan if lost or self.confirmed is None else float(self.confirmed.value.mean()),
            math.nan if lost or self.confirmed is None else float(self.system.noise.of_mean(self.confirmed.days)[0]),
            math.nan if lost else self.predicted(self.best),
            self.tastes,
            math.nan if self.tastes is None else alignment(self.game, self.tastes, self.levels, self.best),
            regret,
            self.system.days,
            tuple(self.history),
            tuple(self.system.drifts),
            tuple(bounds),
            tuple(notes),
        )


def _counts(record: Record) -> Array:
    """All choices seen under one policy, [S, B]."""
    assert record.seen.counts is not None
    total: Array = record.seen.counts.sum(0)
    return total
