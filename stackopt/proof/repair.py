"""From a solver's floating-point multipliers to rational ones that the checker accepts.

Nothing here is trusted: a certificate that comes out wrong is rejected. A rounded vector is tried first; any vector bounds the objective
where all columns are bounded (Neumaier and Shcherbina 2004). A column without a bound on one side needs the exact sign of its reduced
cost, so reduced costs that should vanish are set to zero as exact equations; with all of them, the vector is the exact basic solution.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import lcm

import numpy as np

from stackopt.proof.algebra import solve_near
from stackopt.proof.check import Decision, Row, System, restrict, tangent
from stackopt.proof.floats import Array, Floats
from stackopt.proof.tree import Leaf

#: Denominators of the first attempts.
DENOMINATORS = (1, 12, 720, 10**4, 10**6)
#: Reduced costs and multipliers below this, relative to the largest of the summed terms, are taken for zero.
ZERO = 1e-8


def leaf(f: Floats, cell: Sequence[Decision], t: int, y: Array, target: Fraction | None, at: Row | None = None) -> Leaf | None:
    """The best leaf that the multipliers lead to.

    Parameters
    ----------
    f : Floats
    cell : sequence of Decision
    t : int
        1: a bound on the objective. 0: the cell is empty.
    y : array [m]
        Multipliers of the scaled rows.
    target : Fraction or None
        A bound that is high enough, for t = 1.
    at : dict, optional
        Where a quadratic objective is replaced by its tangent.

    Returns
    -------
    Leaf or None
        With t = 1 its bound may lie below the target, if nothing better was found. None: no certificate.
    """
    if not np.isfinite(y).all():
        return None
    S, best = f.system, None
    sides = restrict(S, cell)
    cost, const = tangent(S, at or {}) if t else ({}, Fraction(0))
    for w in _attempts(f, f.cell(cell), t, y, cost, float(const), target):
        found = exact(S, cell, sides, t, w, target, at)
        if found is None:
            continue
        if t == 0 or target is None or (found.bound is not None and found.bound >= target):
            return found
        if best is None or (found.bound or 0) > (best.bound or 0):
            best = found
    return best


Sides = tuple[list[Fraction | None], list[Fraction | None], set[int]]


def exact(S: System, cell: Sequence[Decision], sides: Sides, t: int, w: Row, target: Fraction | None, at: Row | None = None) -> Leaf | None:
    """The leaf of rational multipliers, with the decisions that it uses; None if it closes nothing."""
    lb, ub, eq = sides
    w = {i: x for i, x in w.items() if x and (x > 0 or S.rows[i][1] or i in eq)}
    r, beta = reduced_costs(S, t, w, at)
    for j, x in r.items():
        side = lb[j] if x > 0 else ub[j]
        if side is None:
            return None
        if side:
            beta += x * side
    if t == 0 and beta <= 0:
        return None
    spare = max(beta - (target if t and target is not None else beta if t else 0), Fraction(0))
    uses = set[Decision]()
    for decision in cell:
        kind, p, b = decision
        lost: Fraction | None = Fraction(0)
        if kind == "M":
            lost = None if r.get(S.pairs[p][2], 0) < 0 else lost
        elif kind == "S":
            side_of, i, _ = S.pairs[p]
            if side_of == "row":
                lost = None if w.get(i, 0) < 0 else lost
            elif side_of == "lb":
                lost = _loss(r.get(i, Fraction(0)), S.ub[i], ub[i], -1)
            else:
                lost = _loss(r.get(i, Fraction(0)), S.lb[i], lb[i], 1)
        elif kind == "<" and ub[p] == b:
            lost = _loss(r.get(p, Fraction(0)), S.ub[p], ub[p], -1)
        elif kind == ">" and lb[p] == b:
            lost = _loss(r.get(p, Fraction(0)), S.lb[p], lb[p], 1)
        if lost is None or lost > spare or (t == 0 and lost and lost >= spare):
            uses.add(decision)
        else:
            spare -= lost
    return Leaf("d" if t else "f", w, at or {} if t else {}, beta if t else None, frozenset(uses))


def reduced_costs(S: System, t: int, w: Row, at: Row | None = None) -> tuple[Row, Fraction]:
    """Reduced costs that are not zero, and constant plus right-hand sides times multipliers; in integers until the end."""
    cost, const = tangent(S, at or {}) if t else ({}, Fraction(0))
    whole = integer_rows(S)
    D = lcm(const.denominator, *(x.denominator * whole[i][2] for i, x in w.items()), *(a.denominator for a in cost.values()))
    r = {j: int(a * D) for j, a in cost.items()}
    beta = int(const * D)
    for i, x in w.items():
        coef, b, scale = whole[i]
        times = x.numerator * (D // (x.denominator * scale))
        beta += times * b
        for j, a in coef.items():
            r[j] = r.get(j, 0) - times * a
    return {j: Fraction(x, D) for j, x in r.items() if x}, Fraction(beta, D)


@functools.lru_cache(maxsize=8)
def integer_rows(S: System) -> list[tuple[dict[int, int], int, int]]:
    """Each row as (integer coefficients, integer right-hand side, what it was multiplied by)."""
    found = []
    for coef, _, b in S.rows:
        scale = lcm(b.denominator, *(a.denominator for a in coef.values()))
        found.append(({j: int(a * scale) for j, a in coef.items()}, int(b * scale), scale))
    return found


def _loss(reduced: Fraction, before: Fraction | None, now: Fraction | None, sign: int) -> Fraction | None:
    """What the bound loses without a decision on a column's bound; None if it loses everything."""
    if reduced * sign <= 0 or now is None:
        return Fraction(0)
    return None if before is None else abs(reduced) * abs(now - before)


def crossing(f: Floats, cell: Sequence[Decision]) -> Leaf | None:
    """The leaf of a cell whose decisions leave a column no value."""
    lb, ub, _ = restrict(f.system, cell)
    for j, (low, up) in enumerate(zip(lb, ub)):
        if low is not None and up is not None and low > up:
            uses = frozenset(d for d in cell if d[0] != "M" and (d[1] == j if d[0] in "<>" else f.system.pairs[d[1]][:2] in (("lb", j), ("ub", j))))
            return Leaf("e", {j: Fraction(1)}, uses=uses)
    return None


def _attempts(
    f: Floats, sides: tuple[Array, Array, Array], t: int, y: Array, cost: Row, const: float, target: Fraction | None
) -> Iterator[Row]:
    """Rational multipliers, from short ones to exact basic ones."""
    S, lower, upper = f.system, sides[0], sides[1]
    unit = np.abs(y).max(initial=0.0)
    scale = f.row / (f.unit if t else 1.0)  # multipliers of the rows as they are written
    true = np.where(np.abs(y) <= ZERO * 1e-2 * unit, 0.0, y) * scale
    support = np.flatnonzero(true)
    if t == 0 and len(support):  # a ray has no length of its own: with the smallest entry 1 it is often whole
        true = true / np.abs(true[support]).min()
    guess = {int(i): float(true[i]) for i in support}
    low, up = np.isinf(lower), np.isinf(upper)
    linear = np.zeros(len(lower))
    for j, a in cost.items():
        linear[j] = float(a)
    linear *= f.column * f.unit
    reduced = linear - f.matrix.T @ y
    zero = np.abs(reduced) <= ZERO * (1e-3 + abs(f.matrix).T @ np.abs(y) + np.abs(linear))
    hard = (low & up) | (up & (zero | (reduced < 0))) | (low & (zero | (reduced > 0)))
    bounds = np.where(low, 0.0, lower * f.column), np.where(up, 0.0, upper * f.column)
    rhs = f.rhs / f.row
    wanted = 0.0 if target is None else float(target)
    for most in DENOMINATORS:  # one denominator for all: short, and quick to add up
        whole = np.round(true * most)
        r = linear / f.column / f.unit - (f.matrix.T @ (whole / most / f.row)) / f.column
        value = const * t + float(rhs @ whole) / most + float(np.where(r > 0, r * bounds[0], r * bounds[1]).sum())
        if t == 0 or target is None or value >= wanted - 1e-9 * (1.0 + abs(wanted)):
            yield {int(i): Fraction(int(whole[i]), most) for i in support.tolist()}
    if hard.any():
        for most in (12, 1000, 10**6):  # each its own: what is a short fraction is met exactly
            yield {i: Fraction(x).limit_denominator(most) for i, x in guess.items()}
    everything = {i: float(true[i]) for i in range(len(true))}
    for columns, digits in ((hard, 4), (hard, 8), (hard, 12), (hard | zero, 12), (hard | zero, 20)):
        equations = vanishing(S, np.flatnonzero(columns).tolist(), cost)
        found = solve_near(equations, guess, digits)
        if found is None and columns is not hard:
            found = solve_near(equations, everything, digits)
        if found is not None:
            yield found


def vanishing(S: System, columns: Sequence[int], cost: Row) -> list[tuple[Row, Fraction]]:
    """Vanishing reduced costs as equations in the multipliers of rows."""
    wanted = set(columns)
    found: dict[int, Row] = {j: {} for j in columns}
    for i, (coef, _, _) in enumerate(S.rows):
        for j in wanted & coef.keys():
            found[j][i] = coef[j]
    return [(found[j], cost.get(j, Fraction(0))) for j in columns]
