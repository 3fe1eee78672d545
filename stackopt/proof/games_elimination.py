"""Exact vertices and exact dual solutions beside those that a simplex method found in floating point.

Which rows hold with equality and which columns are at a bound is what the simplex method's basis says; the numbers follow by
elimination in rationals. Nothing here is trusted: the checker judges what comes out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stackopt.proof.check import System

Row = dict[int, Fraction]
#: Unknowns that the equations leave free become fractions with at most this denominator.
SIMPLE = 10**6


@dataclass(frozen=True)
class Basis:
    """What a simplex method ended with.

    Attributes
    ----------
    columns : list of int
        Of each column: 0 in the basis, -1 at its lower bound, 1 at its upper one.
    tight : list of int
        Rows outside the basis.
    point, multipliers : list of float
    """

    columns: list[int]
    tight: list[int]
    point: list[float]
    multipliers: list[float]


def eliminate(equations: Iterable[tuple[Mapping[int, Fraction], Fraction]], nearly: Mapping[int, float]) -> Row | None:
    """A solution of sparse equations, near the given floats; None if they contradict each other.

    Parameters
    ----------
    equations : iterable of (coefficients, right-hand side)
    nearly : mapping from unknown to float
        All unknowns; those that remain free are rounded to simple fractions.
    """
    rows = [({j: a for j, a in c.items() if a}, b) for c, b in equations]
    where: dict[int, set[int]] = {}
    for i, (c, _) in enumerate(rows):
        for j in c:
            where.setdefault(j, set()).add(i)
    pivots: dict[int, int] = {}
    open_rows = set(range(len(rows)))
    while open_rows:
        i = min(open_rows, key=lambda i: len(rows[i][0]))
        open_rows.discard(i)
        coefficients, right = rows[i]
        if not coefficients:
            if right:
                return None
            continue
        pivot = min(coefficients, key=lambda j: (len(where[j]), j))
        scale = coefficients[pivot]
        mine = {j: a / scale for j, a in coefficients.items()}
        right /= scale
        rows[i] = (mine, right)
        pivots[pivot] = i
        for k in list(where[pivot]):
            if k == i:
                continue
            other, b = rows[k]
            factor = other[pivot]
            for j, a in mine.items():
                new = other.get(j, Fraction(0)) - factor * a
                if new:
                    other[j] = new
                    where[j].add(k)
                else:
                    other.pop(j, None)
                    where[j].discard(k)
            rows[k] = (other, b - factor * right)
    found = {j: Fraction(v).limit_denominator(SIMPLE) for j, v in nearly.items() if j not in pivots}
    for j, i in pivots.items():
        coefficients, right = rows[i]
        found[j] = right - sum((a * found[k] for k, a in coefficients.items() if k != j), Fraction(0))
    return found


def vertex(S: System, lower: list[Fraction], upper: list[Fraction], basis: Basis) -> list[Fraction] | None:
    """The exact point of a basis: columns outside it are at a bound, rows outside it hold with equality."""
    known = {j: upper[j] if at > 0 else lower[j] for j, at in enumerate(basis.columns) if at}
    equations = []
    for i in basis.tight:
        coefficients, _, right = S.rows[i]
        rest = {j: a for j, a in coefficients.items() if j not in known}
        equations.append((rest, right - sum((a * known[j] for j, a in coefficients.items() if j in known), Fraction(0))))
    found = eliminate(equations, {j: basis.point[j] for j in range(len(lower)) if j not in known})
    return None if found is None else [known[j] if j in known else found[j] for j in range(len(lower))]


def dual(S: System, basis: Basis) -> Row | None:
    """The exact row multipliers of a basis: its columns have no reduced cost."""
    columns: dict[int, Row] = {j: {} for j, at in enumerate(basis.columns) if not at}
    for i in basis.tight:
        for j, a in S.rows[i][0].items():
            if j in columns:
                columns[j][i] = a
    found = eliminate(((c, S.cost.get(j, Fraction(0))) for j, c in columns.items()), {i: basis.multipliers[i] for i in basis.tight})
    return None if found is None else {i: w for i, w in found.items() if w and (S.rows[i][1] or w > 0)}
