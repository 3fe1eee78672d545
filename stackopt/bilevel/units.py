"""Objectives in units so small that absolute tolerances would call every point optimal: multiplied by powers of two, and back.

Optima do not depend on the units of an objective; a follower's multipliers are in the units of its objective, so the leader's
coefficients of them are divided by the same factor. Powers of two change no digit.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from stackopt.bilevel.point import Array, Point
from stackopt.bilevel.program import BilevelProgram, Level, Objective, Rows
from stackopt.certificate import Bound, Certificate, Check
from stackopt.solution import Run

if TYPE_CHECKING:
    from scipy.sparse import csr_array

#: Objectives whose largest coefficient is below this are multiplied.
SMALL = 1e-3


@dataclass(frozen=True, eq=False)
class Units:
    """A program whose objectives have coefficients of about one, and the way back.

    Attributes
    ----------
    program : BilevelProgram
    leader : float
        What the leader's objective was multiplied by.
    multipliers : array [d]
        What each multiplier that the leader uses was multiplied by.
    """

    program: BilevelProgram
    leader: float
    multipliers: Array

    def forth(self, point: Point) -> Point:
        """A candidate in the new units."""
        return Point(point.values, point.multipliers * self.multipliers, point.claim * self.leader)

    def back(self, run: Run[Point]) -> Run[Point]:
        """What a method found, in the user's units."""
        candidate, bound = run.candidate, run.bound
        if candidate is not None:
            candidate = Point(candidate.values, candidate.multipliers / self.multipliers, candidate.claim / self.leader)
        if bound is not None:
            bound = dataclasses.replace(bound, value=bound.value / self.leader)
        further = tuple(dataclasses.replace(b, value=b.value / self.leader) for b in run.further_bounds)
        return dataclasses.replace(run, candidate=candidate, bound=bound, further_bounds=further)

    def certificate(self, found: Certificate, program: BilevelProgram, point: Point) -> Certificate:
        """A certificate of the new program as one of the user's: its values restated, its checks in units of the objectives."""
        values: dict[str, Any] = dict(found.values)
        for name in ("leader", "optimistic", "pessimistic"):
            if name in values:
                values[name] = values[name] / self.leader
        several = len(program.followers) > 1
        for level in program.followers:
            values[f"follower {level.name}" if several else "follower"] = level.objective.value(point.symbols)
        note = "an objective has tiny coefficients: checks are in units of its largest one"
        bounds: tuple[Bound, ...] = found.bounds
        checks: tuple[Check, ...] = found.checks
        return Certificate(checks, values, bounds, found.objective, (*found.notes, note))


def unit(objective: Objective) -> float:
    """The largest coefficient of an objective, in size; 1 without any."""
    sizes = [np.abs(objective.linear).max(initial=0.0)]
    if objective.quadratic is not None and objective.quadratic.nnz:
        sizes.append(np.abs(objective.quadratic.data).max())
    largest = float(max(sizes))
    return largest if largest > 0.0 else 1.0


def normalised(program: BilevelProgram) -> Units | None:
    """The program in units of its objectives, or None if they need no other ones."""
    factors = [_factor(level.objective) for level in (program.leader, *program.followers)]
    if all(factor == 1.0 for factor in factors):
        return None
    of_follower = {level.name: factor for level, factor in zip(program.followers, factors[1:])}
    symbols = np.array([of_follower[m.follower] for m in program.multipliers], float)
    width = np.concatenate([np.ones(program.size), 1.0 / symbols])
    leader = _scaled(program.leader, factors[0], width)
    followers = tuple(_scaled(level, factor, width) for level, factor in zip(program.followers, factors[1:]))
    return Units(dataclasses.replace(program, leader=leader, followers=followers), factors[0], symbols)


def _factor(objective: Objective) -> float:
    size = unit(objective)
    return 1.0 if size >= SMALL else 2.0 ** round(-math.log2(size))


def _scaled(level: Level, factor: float, width: Array) -> Level:
    """The objective times `factor`, every symbol's coefficients times `width` [N]."""
    from scipy import sparse

    def form(quadratic: csr_array | None, by: float = 1.0) -> csr_array | None:
        if quadratic is None:
            return None
        sides = sparse.diags_array(width)
        return sparse.csr_array(by * (sides @ quadratic @ sides))

    objective, rows = level.objective, level.rows
    wide = Rows(
        rows.names, sparse.csr_array(rows.matrix @ sparse.diags_array(width)), rows.lower, rows.upper,
        {i: sparse.csr_array(form(f)) for i, f in rows.quadratic.items()},
    )
    new = Objective(objective.sense, factor * objective.linear * width, form(objective.quadratic, factor), factor * objective.constant)
    return Level(level.name, new, wide)
