"""Programs in units in which absolute tolerances would not mean what they say: scaled by powers of two, and back.

A solver's tolerances are absolute. An objective with coefficients of 1e-9 makes every point optimal, a variable that moves by 1e-5 in all is
zero to it, a row with coefficients of 1e-6 is never broken. Optima do not depend on units, so the program is solved and certified in
better ones: columns with finite bounds by their size, then rows and tiny objectives by their largest coefficient. Only what is far out is
scaled, and powers of two change no digit. A follower's multiplier is a derivative of its objective by a right-hand side, and scales with both.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from stackopt.bilevel.point import Array, Point
from stackopt.bilevel.program import BilevelProgram, Level, Objective, Rows
from stackopt.certificate import Certificate
from stackopt.solution import Run

#: Objectives whose largest coefficient is below this are multiplied.
SMALL = 1e-3
#: Columns whose size by their bounds, and rows whose largest coefficient, lie outside are scaled; integer columns are not.
USUAL = (1e-2, 1e5)


@dataclass(frozen=True, eq=False)
class Units:
    """A program in better units, and the way back.

    Attributes
    ----------
    program : BilevelProgram
    leader : float
        What the leader's objective was multiplied by.
    columns : array [n]
        What each variable was divided by.
    multipliers : array [d]
        What each multiplier that the leader uses was multiplied by.
    """

    program: BilevelProgram
    leader: float
    columns: Array
    multipliers: Array

    def forth(self, point: Point) -> Point:
        """A candidate in the new units."""
        return Point(point.values / self.columns, point.multipliers * self.multipliers, point.claim * self.leader)

    def back(self, run: Run[Point]) -> Run[Point]:
        """What a method found, in the user's units."""
        candidate, bound = run.candidate, run.bound
        if candidate is not None:
            candidate = Point(candidate.values * self.columns, candidate.multipliers / self.multipliers, candidate.claim / self.leader)
        if bound is not None:
            bound = dataclasses.replace(bound, value=bound.value / self.leader)
        further = tuple(dataclasses.replace(b, value=b.value / self.leader) for b in run.further_bounds)
        return dataclasses.replace(run, candidate=candidate, bound=bound, further_bounds=further)

    def certificate(self, found: Certificate, program: BilevelProgram, point: Point) -> Certificate:
        """A certificate of the new program as one of the user's: its values restated, its checks in the new units."""
        values: dict[str, Any] = dict(found.values)
        for name in ("leader", "optimistic", "pessimistic"):
            if name in values:
                values[name] = values[name] / self.leader
        several = len(program.followers) > 1
        for level in program.followers:
            values[f"follower {level.name}" if several else "follower"] = level.objective.value(point.symbols)
        note = "badly scaled or with tiny coefficients in an objective: checks are in units in which coefficients are about one"
        return Certificate(found.checks, values, found.bounds, found.objective, (*found.notes, note))


def unit(objective: Objective) -> float:
    """The largest coefficient of an objective, in size; 1 without any."""
    sizes = [np.abs(objective.linear).max(initial=0.0)]
    if objective.quadratic is not None and objective.quadratic.nnz:
        sizes.append(np.abs(objective.quadratic.data).max())
    largest = float(max(sizes))
    return largest if largest > 0.0 else 1.0


def normalised(program: BilevelProgram) -> Units | None:
    """The program in better units, or None if it needs no other ones."""
    columns = _columns(program)
    levels = (program.leader, *program.followers)
    wide = np.concatenate([columns, np.ones(len(program.multipliers))])
    rows = [_row_factors(level.rows, wide) for level in levels]
    factors = [_factor(_with_columns(level.objective, wide)) for level in levels]
    if all(f == 1.0 for f in factors) and (columns == 1.0).all() and all((r == 1.0).all() for r in rows):
        return None
    symbols = np.array([_of_multiplier(program, m, factors, rows, columns) for m in program.multipliers], float)
    width = np.concatenate([columns, 1.0 / symbols])
    if len(symbols):  # the leader's objective and rows hold multipliers in their new units
        rows[0] = _row_factors(program.leader.rows, width)
        factors[0] = _factor(_with_columns(program.leader.objective, width))
    scaled = [_scaled(level, factor, width, row) for level, factor, row in zip(levels, factors, rows)]
    better = dataclasses.replace(
        program, lower=program.lower / columns, upper=program.upper / columns, leader=scaled[0], followers=tuple(scaled[1:])
    )
    return Units(better, factors[0], columns, symbols)


def _power(size: float) -> float:
    return float(2.0 ** round(math.log2(size)))


def _columns(program: BilevelProgram) -> Array:
    """What each variable is divided by: the size of its bounds, where that is far out."""
    size = np.maximum(np.abs(program.lower), np.abs(program.upper))
    out = np.isfinite(size) & (size > 0) & ((size < USUAL[0]) | (size > USUAL[1])) & ~program.integer
    return np.array([_power(s) if far else 1.0 for s, far in zip(size.tolist(), out.tolist())])


def _row_factors(rows: Rows, width: Array) -> Array:
    """What each row is multiplied by: one over its largest coefficient, where that is far out."""
    largest = np.zeros(len(rows))
    entries = rows.matrix.tocoo()
    np.maximum.at(largest, entries.coords[0], np.abs(entries.data) * width[entries.coords[1]])
    for i, form in rows.quadratic.items():
        found = form.tocoo()
        largest[i] = max(largest[i], np.abs(found.data * width[found.coords[0]] * width[found.coords[1]]).max(initial=0.0))
    out = (largest > 0) & ((largest < USUAL[0]) | (largest > USUAL[1]))
    return np.array([1.0 / _power(a) if far else 1.0 for a, far in zip(largest.tolist(), out.tolist())])


def _factor(objective: Objective) -> float:
    size = unit(objective)
    return 1.0 if size >= SMALL else 1.0 / _power(size)


def _of_multiplier(program: BilevelProgram, multiplier: Any, factors: list[float], rows: list[Array], columns: Array) -> float:
    """What a multiplier is multiplied by: it is a derivative of its follower's objective by a side of a row, or by a bound."""
    k = next(k for k, level in enumerate(program.followers) if level.name == multiplier.follower)
    names = program.followers[k].rows.names
    if multiplier.constraint in names:
        return float(factors[k + 1] / rows[k + 1][names.index(multiplier.constraint)])
    return float(factors[k + 1] * columns[program.names.index(multiplier.constraint)])


def _form(quadratic: Any, width: Array, by: float) -> Any:
    from scipy import sparse

    if quadratic is None:
        return None
    sides = sparse.diags_array(width)
    return sparse.csr_array(by * (sides @ quadratic @ sides))


def _with_columns(objective: Objective, width: Array, factor: float = 1.0) -> Objective:
    return Objective(objective.sense, factor * objective.linear * width, _form(objective.quadratic, width, factor), factor * objective.constant)


def _scaled(level: Level, factor: float, width: Array, by_row: Array) -> Level:
    """The objective times `factor`, every symbol's coefficients times `width` [N], rows times `by_row` [m]."""
    from scipy import sparse

    rows = level.rows
    matrix = sparse.csr_array(sparse.diags_array(by_row) @ rows.matrix @ sparse.diags_array(width)) if len(rows) else rows.matrix
    wide = Rows(
        rows.names, matrix, rows.lower * by_row, rows.upper * by_row, {i: _form(form, width, float(by_row[i])) for i, form in rows.quadratic.items()}
    )
    return Level(level.name, _with_columns(level.objective, width, factor), wide)
