"""`verify`: every prediction of the theory on many random games built to break it.

What is reported is how often each prediction was checked, how often its bound applied, why it did not, how tight it was, and
every violation with the one line that reproduces it. A NaN is a violation; so is a crash.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stackopt.certificate import Examination
from stackopt.display import Block, number
from stackopt.errors import InvalidMethod
from stackopt.solution import Progress, Report
from stackopt.verification import predictions as p
from stackopt.verification import predictions_of_commitment as c
from stackopt.verification import predictions_of_fixed_points as f
from stackopt.verification import predictions_of_methods as m
from stackopt.verification import predictions_of_populations as q
from stackopt.verification import predictions_of_routes as r
from stackopt.verification.instances import instance

SCHEMA = "stackopt.verification/1"


@dataclass(frozen=True)
class Prediction:
    """A prediction of the theory (section E).

    Attributes
    ----------
    tag : str
    evaluate : callable
        From a `Case` to examinations.
    every : int
        It is evaluated on every such instance; costly ones on a subsample.
    """

    tag: str
    evaluate: Callable[[p.Case], Iterator[Examination]]
    every: int = 1

    @property
    def says(self) -> str:
        """What it says: the first line of the function's docstring."""
        return " ".join(str(self.evaluate.__doc__).split("\n", maxsplit=1)[0].split())


PREDICTIONS = (
    Prediction("E1", p.e1),
    Prediction("E2", p.e2),
    Prediction("E3", p.e3),
    Prediction("E4", p.e4),
    Prediction("E5", f.e5, 2),
    Prediction("E6", f.e6, 2),
    Prediction("E7", f.e7, 2),
    Prediction("E8", f.e8),
    Prediction("E9", c.e9),
    Prediction("E10", c.e10),
    Prediction("E11", c.e11),
    Prediction("E12", c.e12, 2),
    Prediction("E13", m.e13, 20),
    Prediction("E14", m.e14, 20),
    Prediction("E15", m.e15, 40),
    Prediction("E16", m.e16, 2),
    Prediction("E17", m.e17, 2),
    Prediction("E18", q.e18),
    Prediction("E19", q.e19, 4),
    Prediction("E20", q.e20, 4),
    Prediction("E21", q.e21, 40),
    Prediction("E22", q.e22, 2),
    Prediction("E23", q.e23, 4),
    Prediction("E28", r.e28, 50),
    Prediction("E29", r.e29, 50),
    Prediction("E30", r.e30, 20),
)


@dataclass(frozen=True)
class Violation:
    """A measurement beyond its bound, a NaN, or a crash.

    Attributes
    ----------
    tag, of, reference : str
        The prediction, the quantity, the theory.
    measured, bound, slack : float
    reproduce : str
        A line of Python that evaluates it again.
    because : str
        The game, or the error of a crash.
    """

    tag: str
    of: str
    reference: str
    measured: float
    bound: float
    slack: float
    reproduce: str
    because: str


@dataclass
class Tally:
    """Counts of one prediction.

    Attributes
    ----------
    instances, checked, applied, violated : int
        Games it was evaluated on; measurements; those whose bound applied; those beyond it.
    reasons : Counter
        Failed assumptions of the bounds that did not apply.
    tightness : list of float
        Measured over bound, where that means something.
    """

    instances: int = 0
    checked: int = 0
    applied: int = 0
    violated: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    tightness: list[float] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Verification:
    """The result of `verify`.

    Attributes
    ----------
    seed, instances : int
    tallies : dict of str to Tally
        By prediction tag, in order.
    violations : tuple of Violation
    """

    seed: int
    instances: int
    tallies: dict[str, Tally]
    violations: tuple[Violation, ...]

    @property
    def good(self) -> bool:
        """Whether nothing was violated."""
        return not self.violations

    def rows(self) -> list[dict[str, Any]]:
        """One flat dict per prediction."""
        said = {prediction.tag: prediction.says for prediction in PREDICTIONS}
        return [
            {
                "prediction": tag,
                "says": said[tag],
                "instances": t.instances,
                "checked": t.checked,
                "applied": t.applied,
                "not_applicable": t.checked - t.applied,
                "why_not": t.reasons.most_common(1)[0][0] if t.reasons else "",
                "violated": t.violated,
                "tightness_mean": float(np.mean(t.tightness)) if t.tightness else math.nan,
                "tightness_max": max(t.tightness) if t.tightness else math.nan,
            }
            for tag, t in self.tallies.items()
        ]

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data, NaN as None: `SCHEMA`."""
        plain: dict[str, Any] = _without_nan({
            "schema": SCHEMA,
            "seed": self.seed,
            "instances": self.instances,
            "predictions": self.rows(),
            "violations": [vars(v) for v in self.violations],
        })
        return plain

    def json(self) -> str:
        """`to_json` as text."""
        return json.dumps(self.to_json(), indent=1, allow_nan=False)

    def block(self) -> Block:
        """The printed form: the verdict, one row per prediction, violations with how to reproduce them."""
        checked = sum(t.checked for t in self.tallies.values())
        title = f"Verification: {len(self.violations)} violations in {checked} checks on {self.instances} random games, seed {self.seed}"
        rows = [("", f"{'checked':>8} {'applied':>8} {'n/a':>7} {'violated':>9}   tightness mean, max")]
        for row in self.rows():
            counts = f"{row['checked']:>8} {row['applied']:>8} {row['not_applicable']:>7} {row['violated']:>9}"
            tight = "" if math.isnan(row["tightness_mean"]) else f"   {row['tightness_mean']:.3f}, {row['tightness_max']:.3f}"
            rows.append((row["prediction"], counts + tight))
        for row in self.rows():
            rows.append((row["prediction"], row["says"]))
            if row["why_not"]:
                rows.append(("", f"not applicable {row['not_applicable']} times, mostly for want of: {row['why_not']}"))
        for v in self.violations[:20]:
            figures = f"{number(v.measured, 9)} against {number(v.bound, 9)}"
            rows.append(("VIOLATED", f"{v.tag} [{v.reference}] {v.of}: {figures}  {v.because}\n{v.reproduce}"))
        return Block(title, tuple(rows), good=self.good)

    def __str__(self) -> str:
        return self.block().text()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.block().html()


def verify(instances: int = 200, seed: int = 0, report: Report | None = None, only: Collection[str] = ()) -> Verification:
    """Evaluate predictions E1 to E23 and E28 to E30 on random adversarial games and populations.

    Parameters
    ----------
    instances : int
        How many games; costly predictions see every second, 20th or 40th of them.
    seed : int
        With the index of a game it determines everything about it.
    report : callable, optional
        Receives `Progress`; its residual is the number of violations so far.
    only : collection of str, optional
        Tags of the predictions to evaluate; all by default. What they see does not depend on the others.

    Returns
    -------
    Verification

    Raises
    ------
    InvalidMethod
        If there is nothing to examine, the seed is negative, or a tag is unknown.
    """
    for name, value, least in (("instances", instances, 1), ("seed", seed, 0)):
        if value < least:
            raise InvalidMethod("setting", name=name, law=f"an integer of at least {least}", got=value)
    known = [prediction.tag for prediction in PREDICTIONS]
    unknown = [tag for tag in only if tag not in known]
    if unknown:
        raise InvalidMethod("setting", name="only", law=f"tags among {', '.join(known)}", got=unknown[0])
    chosen = [prediction for prediction in PREDICTIONS if not only or prediction.tag in only]
    tallies = {prediction.tag: Tally() for prediction in chosen}
    violations: list[Violation] = []
    for index in range(instances):
        for prediction in chosen:
            if index % prediction.every == 0:
                _evaluate(prediction, seed, index, tallies[prediction.tag], violations)
        if report is not None:
            report(Progress("verify", index + 1, instances, float(len(violations))))
    return Verification(seed, instances, tallies, tuple(violations))


def reproduce(tag: str, seed: int, index: int) -> tuple[Examination, ...]:
    """The examinations of one prediction on one random game, exactly as `verify` saw them.

    Raises
    ------
    KeyError
        If there is no prediction of that tag.
    """
    stream, prediction = {known.tag: (i, known) for i, known in enumerate(PREDICTIONS)}[tag]
    return tuple(prediction.evaluate(p.Case(instance(seed, index), stream)))


def _evaluate(prediction: Prediction, seed: int, index: int, tally: Tally, violations: list[Violation]) -> None:
    line = f"from stackopt.verification.verify import reproduce; print(reproduce({prediction.tag!r}, seed={seed}, index={index}))"
    tally.instances += 1
    try:
        found = reproduce(prediction.tag, seed, index)
    except Exception as error:  # a crash is counted and shown, not allowed to hide the other predictions
        tally.checked += 1
        tally.violated += 1
        violations.append(Violation(prediction.tag, "a crash", "", math.nan, math.nan, 0.0, line, f"{type(error).__name__}: {error}"))
        return
    for e in found:
        tally.checked += 1
        failed = next((a.statement for a in e.bound.assumptions if not a.holds), None)
        if failed is not None:
            tally.reasons[failed] += 1
            continue
        tally.applied += 1
        if e.verdict != "holds":  # a bound that is NaN although every assumption holds is a violation too
            tally.violated += 1
            game = instance(seed, index).game.name
            violations.append(Violation(prediction.tag, e.bound.of, e.bound.reference, e.measured, e.bound.value, e.slack, line, game))
        elif e.bound.value > 10.0 * e.slack and not math.isnan(e.tightness):  # below that, rounding is all there is to see
            tally.tightness.append(e.tightness)


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_nan(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_without_nan(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
