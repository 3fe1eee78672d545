"""What is measured, what is proved, and the certificate that lists both.

A `Check` is a residual *measured* on a candidate. A `Bound` is a number *proved* from stated assumptions, each of which is
verified on the instance or not; a bound with a failed assumption does not apply and has no force. An `Examination` holds
a measurement against the bound proved for it. They are different types because they are different kinds of statement.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stackopt.display import Block, number


@dataclass(frozen=True)
class Check:
    """A residual measured on a candidate against a tolerance.

    Attributes
    ----------
    name : str
        What was checked.
    residual : float
        How far the candidate is from satisfying it, in the units of the quantity; NaN counts as a failure.
    tolerance : float
        The largest residual accepted.
    because : str
        How the residual was computed, in words.
    """

    name: str
    residual: float
    tolerance: float
    because: str

    @property
    def passed(self) -> bool:
        """Whether the residual is within tolerance."""
        return self.residual <= self.tolerance


@dataclass(frozen=True)
class Assumption:
    """One hypothesis of a bound and whether it was verified on this instance.

    Attributes
    ----------
    statement : str
        The hypothesis, e.g. ``modulus < 1``.
    holds : bool
        Whether it was verified.
    because : str
        The figure that decides, e.g. ``modulus is 3.42 at temperature 0.02``.
    """

    statement: str
    holds: bool
    because: str = ""


@dataclass(frozen=True)
class Bound:
    """A proved inequality: `of` is at most (or at least) `value`, if every assumption holds.

    Attributes
    ----------
    value : float
        The bound, in the units of the quantity it bounds. Without force unless `applies`.
    of : str
        The quantity bounded, in words.
    reference : str
        Where it is proved: a tag of docs/theory.md such as ``B2.1``.
    assumptions : tuple of Assumption
        Hypotheses and whether each was verified here.
    sense : str
        ``"upper"`` (the quantity is at most `value`) or ``"lower"``.
    remedy : str
        What would make it apply.
    """

    value: float
    of: str
    reference: str
    assumptions: tuple[Assumption, ...] = ()
    sense: str = "upper"
    remedy: str = ""

    @property
    def applies(self) -> bool:
        """Whether every assumption was verified and the value is a number."""
        return all(a.holds for a in self.assumptions) and not math.isnan(self.value)

    @property
    def because(self) -> str:
        """Why it does not apply: the first failed assumption, with its figure; empty if it applies."""
        for a in self.assumptions:
            if not a.holds:
                return f"{a.statement}: no, {a.because}" if a.because else f"{a.statement}: not verified"
        return "no value could be computed" if math.isnan(self.value) else ""

    def block(self) -> Block:
        """The printed form."""
        if self.applies:
            title = f"Bound: {self.of} is at {'most' if self.sense == 'upper' else 'least'} {number(self.value)}"
            rows = [("theory", f"[{self.reference}]")]
            rows += [("given", a.statement + (f" ({a.because})" if a.because else "")) for a in self.assumptions]
            return Block(title, tuple(rows), good=True)
        rows = [("of", self.of), ("fails", self.because)]
        rows += [("remedy", self.remedy)] if self.remedy else []
        return Block("Bound: not applicable", (*rows, ("theory", f"[{self.reference}]")), good=False)

    def __str__(self) -> str:
        return self.block().text()

    def _repr_html_(self) -> str:
        return self.block().html()


@dataclass(frozen=True)
class Examination:
    """A measured quantity held against the bound proved for it.

    Attributes
    ----------
    measured : float
        The quantity, computed on the instance. NaN is a violation, never a pass.
    bound : Bound
        What was proved about it.
    slack : float
        Rounding allowance of the comparison, in the units of the quantity.
    """

    measured: float
    bound: Bound
    slack: float = 0.0

    @property
    def verdict(self) -> str:
        """``"holds"``, ``"violated"`` or ``"not applicable"``."""
        if not self.bound.applies:
            return "not applicable"
        margin = self.bound.value - self.measured
        margin = margin if self.bound.sense == "upper" else -margin
        return "holds" if margin >= -self.slack else "violated"

    @property
    def tightness(self) -> float:
        """Measured over bound (upper bounds), in [0, 1] when it holds and both are positive; NaN if meaningless.

        1 means the bound is attained, 0 that it says nothing sharp.
        """
        if not self.bound.applies or self.bound.sense != "upper" or self.bound.value <= 0 or math.isinf(self.bound.value):
            return math.nan
        return max(self.measured, 0.0) / self.bound.value


@dataclass(frozen=True)
class Certificate:
    """Everything a problem recomputed about a candidate, trusting no method.

    Attributes
    ----------
    checks : tuple of Check
        Residuals. The candidate is certified when all pass.
    values : mapping of str to float (or array, for a batch)
        Recomputed quantities, e.g. the leader's value under optimistic ties.
    bounds : tuple of Bound
        Bounds that follow from the problem alone, e.g. on the gap to the best commitment.
    objective : str
        The key of `values` that the candidate's concept asks to maximise.
    notes : tuple of str
        Remarks that are neither checks nor bounds, e.g. near-ties.
    """

    checks: tuple[Check, ...]
    values: Mapping[str, Any] = field(default_factory=dict)
    bounds: tuple[Bound, ...] = ()
    objective: str = ""
    notes: tuple[str, ...] = ()

    @property
    def certified(self) -> bool:
        """Whether there is at least one check and all pass."""
        return bool(self.checks) and all(c.passed for c in self.checks)

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that do not pass."""
        return tuple(c for c in self.checks if not c.passed)

    @property
    def value(self) -> Any:
        """The recomputed objective (float, or array for a batch); NaN if the candidate has none."""
        return self.values.get(self.objective, math.nan)

    def block(self) -> Block:
        """The printed form: one row per check."""
        passed = sum(c.passed for c in self.checks)
        title = f"Certificate: {passed} of {len(self.checks)} checks pass"
        width = max((len(c.name) for c in self.checks), default=0)
        rows = [
            ("ok" if c.passed else "FAILS", f"{c.name:<{width}}  {number(c.residual):>9} <= {number(c.tolerance):<6}  {c.because}")
            for c in self.checks
        ]
        return Block(title, (*rows, *(("note", n) for n in self.notes)), good=self.certified)

    def __str__(self) -> str:
        return self.block().text()

    def _repr_html_(self) -> str:
        return self.block().html()
