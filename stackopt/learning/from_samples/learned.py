"""What a learner from behaviour hands back: a policy, its realised value with an interval, and how far both can be trusted."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stackopt.certificate import Bound
from stackopt.display import Block, number
from stackopt.errors import NotCertified
from stackopt.games.operators import Array
from stackopt.learning.from_samples.inverse import Tastes
from stackopt.learning.from_samples.stationarity import Drift


class Outcome(enum.StrEnum):
    """How learning from behaviour ended. None of these is a proof of optimality."""

    SELECTED = "SELECTED"  # followers settled every time, came back to the baseline, and this policy did best where measured
    LIMIT = "LIMIT"  # the days ran out; the policy is the recommendation so far
    NONSTATIONARY = "NONSTATIONARY"  # followers did not settle or carry their history: no value is reported


@dataclass(frozen=True, eq=False)
class Learned:
    """The outcome of `learn`.

    Attributes
    ----------
    outcome : Outcome
    because : str
        The rule that ended it, with its figures.
    levels : array [G]
        The policy as levels.
    policy : array [S, A]
    value : float
        The leader's realised value: the mean of days measured after the policy was chosen, so that choosing does not
        flatter it. NaN if NONSTATIONARY, or if days ran out before.
    error : float
        One standard deviation of `value`, successive days taken as correlated. The interval is value ± 2 error, given
        that followers are stationary, which is tested and not proved.
    predicted : float
        The fitted model's value of the policy; NaN where none was fitted.
    tastes : Tastes or None
        The fitted follower: a model, not the truth.
    alignment : float
        Cosine between the frozen-response gradient and the full one at the policy, on the fitted model: what a learner
        that takes followers as frozen would see. NaN where none was fitted or the gradient vanishes.
    regret : float
        How much better another policy of the menu may be according to resampled models. Heuristic: not a bound.
    days : int
        Days spent.
    history : tuple of (int, array [G])
        After so many days, the recommendation.
    drifts : tuple of (int, Drift)
        Every stationarity test.
    bounds : tuple of Bound
        What is proved, with its assumptions.
    notes : tuple of str
        Remarks, such as a fall-back or a temperature that is not identified.
    """

    outcome: Outcome
    because: str
    levels: Array
    policy: Array
    value: float
    error: float
    predicted: float = math.nan
    tastes: Tastes | None = None
    alignment: float = math.nan
    regret: float = math.nan
    days: int = 0
    history: tuple[tuple[int, Array], ...] = ()
    drifts: tuple[tuple[int, Drift], ...] = ()
    bounds: tuple[Bound, ...] = ()
    notes: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    def require(self) -> Array:
        """The policy [S, A], if it was selected.

        Raises
        ------
        NotCertified
            If days ran out or followers are not stationary.
        """
        if self.outcome is Outcome.SELECTED:
            return self.policy
        raise NotCertified("not-learned", where=self.because, outcome=str(self.outcome))

    def block(self) -> Block:
        """The printed form."""
        rows = [("policy", "levels " + " ".join(number(x, 3) for x in self.levels))]
        if self.outcome is Outcome.NONSTATIONARY:
            rows.append(("value", "none: a mean over followers that do not settle says nothing about tomorrow"))
        else:
            rows.append(("value", f"{number(self.value)} +- {number(2 * self.error, 2)} realised (two standard deviations), if followers stay as they are"))
        if self.tastes is not None and self.outcome is not Outcome.NONSTATIONARY:
            rows.append(("predicted", f"{number(self.predicted)} by the fitted follower (a model)"))
            if math.isfinite(self.alignment):
                rows.append(("alignment", f"{number(self.alignment, 2)}: cosine of the frozen-response gradient with the full one"))
            if math.isfinite(self.regret):
                rows.append(("regret", f"{number(self.regret, 3)} on resampled models (heuristic, not a bound)"))
        moved = sum(d.moved for _, d in self.drifts)
        rows.append(("settling", f"{len(self.drifts)} tests, {moved} found movement and waited" if self.drifts else "not tested"))
        rows += [("note", n) for n in self.notes]
        rows += [("stopped", self.because), ("days", str(self.days))]
        return Block(f"Learned from {self.settings.get('observe', 'behaviour')}: {self.outcome}", tuple(rows), good=self.outcome is Outcome.SELECTED)

    def __str__(self) -> str:
        return self.block().text()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.block().html()
