"""The real system as a learner uses it: policies held until followers have settled, every day counted, all data kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from stackopt.errors import InvalidMethod
from stackopt.games.operators import Array
from stackopt.learning.from_samples.levels import Levels
from stackopt.learning.from_samples.stationarity import Drift, Noise, compare
from stackopt.learning.oracles import FollowerOracle, Observation, checked, joined

#: Movement this clear (the probability of chance) makes every later block longer, so many times the first.
CLEAR, LONGER = 1e-3, 3

Sees = Literal["counts", "aggregate", "value"]


class Unsettled(Exception):
    """Followers kept moving for as long as a policy was held, or did not come back to a baseline."""

    def __init__(self, because: str) -> None:
        super().__init__(because)
        self.because = because


class OutOfDays(Exception):
    """The budget of days is spent."""


@dataclass(eq=False)
class Record:
    """What was seen of one policy after followers had settled."""

    levels: Array
    seen: Observation


@dataclass(eq=False)
class System:
    """An oracle behind which only what `sees` allows is read.

    Attributes
    ----------
    oracle : FollowerOracle
    levels : Levels
    sees : str
        ``"counts"``, ``"aggregate"`` or ``"value"``; the leader's own value is always seen.
    budget : int
        The most days.
    patience : int
        The most days a policy is held for followers to settle.
    block : int
        Days of a block; followers clearly seen to move are watched in longer ones from then on.
    days : int
        Spent so far.
    records : list of Record
        One for each policy tried, in order of the first trial.
    drifts : list of (day, Drift)
        Every comparison made.
    noise : Noise
    last : Record or None
        The policy settled last.
    wary : int
        The least block from now on.
    """

    oracle: FollowerOracle
    levels: Levels
    sees: Sees
    budget: int
    patience: int
    block: int
    days: int = 0
    records: list[Record] = field(default_factory=list)
    drifts: list[tuple[int, Drift]] = field(default_factory=list)
    noise: Noise = field(default_factory=Noise)
    last: Record | None = None
    wary: int = 0

    def observe(self, levels: Array, days: int) -> Observation:
        """Put a policy in force for `days`."""
        if self.days + days > self.budget:
            raise OutOfDays
        seen = checked(self.oracle.observe(self.levels.policy(levels), days), days)
        self.days += days
        for name in ("counts", "aggregate"):
            if self.sees == name and getattr(seen, name) is None:
                raise InvalidMethod("oracle", what=f"`{name}`, because observe={name!r}", where="the observation has none")
        return Observation(seen.value, seen.counts if self.sees == "counts" else None, seen.aggregate if self.sees == "aggregate" else None)

    def settle(self, levels: Array, block: int, *, skip: int = 1) -> Observation:
        """Hold a policy until two blocks of days agree; the days of both, also added to its record.

        Parameters
        ----------
        levels : array [G]
        block : int
            Days in a block.
        skip : int
            Days after the switch that are not compared: what followers own (a charged battery) carries over.

        Raises
        ------
        Unsettled
            If they do not agree within `patience` days.
        """
        origin = None if self.last is None or np.array_equal(self.last.levels, levels) else self.last.seen
        block = max(block, self.wary)
        if skip:
            self.observe(levels, skip)
        seen = self.observe(levels, 2 * block)
        while True:
            recent = seen.last(2 * block)
            drift = compare(first(recent, block), recent.last(block), self.noise.with_run(seen), origin=origin)
            self.drifts.append((self.days, drift))
            if not drift.moved:
                break
            if seen.days + block > self.patience:
                raise Unsettled(f"after {seen.days + skip} days of one policy followers still move: {drift.because}")
            seen = joined(seen, self.observe(levels, block))
            if drift.chance < CLEAR:
                block = self.wary = max(self.wary, min(LONGER * self.block, self.patience // 4))
            if seen.days < 2 * block:
                seen = joined(seen, self.observe(levels, 2 * block - seen.days))
        self.noise = self.noise.with_run(recent)
        self._keep(levels, recent)
        self.last = Record(np.array(levels, float), recent)
        return recent

    def record(self, levels: Array) -> Record | None:
        """What was seen of a policy, if it was tried."""
        return next((r for r in self.records if np.array_equal(r.levels, levels)), None)

    def returned(self, levels: Array, before: Observation, block: int) -> Drift:
        """Whether followers do again what they did `before` under a policy tried then."""
        drift = compare(before, self.settle(levels, block), self.noise, returned=True)
        self.drifts.append((self.days, drift))
        return drift

    def _keep(self, levels: Array, seen: Observation) -> None:
        old = self.record(levels)
        if old is None:
            self.records.append(Record(np.array(levels, float), seen))
        else:
            old.seen = joined(old.seen, seen)


def first(seen: Observation, days: int) -> Observation:
    """The first `days` of an observation."""
    return Observation(*(None if a is None else a[:days] for a in (seen.value, seen.counts, seen.aggregate)))  # type: ignore[arg-type]
