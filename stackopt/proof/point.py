"""The exact point behind a floating-point optimum."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from stackopt.backends.matrix import minimise
from stackopt.proof.algebra import solve_near
from stackopt.proof.check import Decision, Rejected, Row, check_point, check_ray, dot, restrict
from stackopt.proof.floats import Array, Floats, floats
from stackopt.proof.linear import Block
from stackopt.solution import Status

#: Slacks below this, relative to the size of the point, are tight in the piece that is tried.
TIGHT = 1e-6
#: Sides within this of the solution of a linear program are met exactly.
MET = 1e-7
#: How often a program is magnified, and distances beyond this are infinite then.
ROUNDS, FAR = 4, 10**9
#: HiGHS's words for where a column or row stands in a basis.
BASIC, AT_UPPER = 1, 2


@dataclass(frozen=True, eq=False)
class Exactly:
    """A bilevel feasible point in rationals.

    Attributes
    ----------
    v : list of Fraction [n]
    value : Fraction
        The minimised objective.
    """

    v: list[Fraction]
    value: Fraction


def exact_point(f: Floats, values: Array) -> Exactly | None:
    """A bilevel feasible point at least as good, up to rounding, as the variables `values` [variables], in the user's units.

    The piece in which every pair whose slack vanishes there is tight, and the others have multiplier zero, is optimised by the simplex
    method; its basis names equations whose exact solution the checker judges.
    """
    if not len(f.cost):
        return _judged(f, [])
    v = np.zeros(len(f.cost))
    v[: f.variables] = values / f.column[: f.variables]
    slack = f.slack(v)
    size = 1.0 + np.abs(v).max(initial=0.0)
    for tolerance in (TIGHT, 1e-9, 1e-4):
        tight = slack <= tolerance * size
        cell: list[Decision] = [("S" if t else "M", p, Fraction(0)) for p, t in enumerate(tight.tolist())]
        cell += _whole(f, v)
        for piece in (cell, None):
            found = best_of_piece(f, with_fewer_tight(f, cell) if piece is None else piece)
            if found is not None:
                return found
    return None


def best_of_piece(f: Floats, cell: Sequence[Decision]) -> Exactly | None:
    """The exact optimum over a cell in which every pair is decided, or None if that is not found."""
    lower, upper, high = f.cell(cell)
    if (lower > upper).any():
        return None
    if f.hessian is not None:
        return _curved(f, cell, lower, upper, high)
    found = (_judged(f, v) for v in vertices(f, cell))
    return next((one for one in found if one is not None), None)


def with_fewer_tight(f: Floats, cell: Sequence[Decision]) -> list[Decision]:
    """The same cell with those pairs alone tight whose multiplier is positive at its optimum; the other slacks may move again.

    Rows that met in one point may not quite do so once their coefficients are rounded to decimals.
    """
    everything = Block(f, np.arange(len(f.cost)), np.arange(len(f.rhs)))
    everything.enter(*f.cell(cell))
    if everything.solve(10.0) is not Status.OPTIMAL:
        return list(cell)
    mu = everything.x[f.multiplier]
    needed = mu > MET * (1.0 + np.abs(mu).max(initial=0.0))
    return [d if d[0] != "S" or needed[d[1]] else ("M", d[1], d[2]) for d in cell]


def vertices(f: Floats, cell: Sequence[Decision]) -> Iterator[list[Fraction]]:
    """Exact basic solutions behind the optimum over a cell: by HiGHS's basis, then by the sides that its solution meets.

    Where an exact solution breaks a side by less than the solver can see, the program is moved there and magnified, and solved again.
    """
    everything = Block(f, np.arange(len(f.cost)), np.arange(len(f.rhs)))
    everything.enter(*f.cell(cell))
    lb, ub, eq = restrict(f.system, cell)
    guess: Array | None = None
    for _ in range(ROUNDS):
        if everything.solve(10.0) is not Status.OPTIMAL:
            break
        guess = everything.x if guess is None else guess
        basis: Any = everything.lp.basis()
        rows = [i for i, s in enumerate(basis.row_status) if int(s) != BASIC]
        fixed: dict[int, Fraction | None] = {}
        for j, s in enumerate(int(s) for s in basis.col_status):
            if s != BASIC:
                side = ub[j] if s == AT_UPPER else lb[j]
                fixed[j] = Fraction(0) if side is None else side
        v = _solved(f, guess, fixed, rows)
        if v is None:
            break
        yield v
        if not _magnified(everything, v, lb, ub, eq):
            break
        guess = np.array([float(x) for x in v]) / f.column
    if guess is not None:
        by_sides = _by_sides(f, guess, lb, ub, eq)
        if by_sides is not None:
            yield by_sides


def _magnified(block: Block, v: list[Fraction], lb: list[Fraction | None], ub: list[Fraction | None], eq: set[int]) -> bool:
    """Put a program around v, in units of the largest side that v breaks; False if it breaks none."""
    f = block.f
    left = [(c, equal or i in eq, b - dot(c, v)) for i, (c, equal, b) in enumerate(f.system.rows)]
    broken = [low - x for low, x in zip(lb, v) if low is not None] + [x - up for up, x in zip(ub, v) if up is not None]
    broken += [abs(gap) if equal else gap for _, equal, gap in left]
    worst = max(broken, default=Fraction(0))
    if worst <= 0:
        return False

    def apart(distance: Fraction | None, unit: float) -> float:
        """A side's distance in the new units; infinite where it is far out."""
        if distance is None or abs(distance) > FAR * worst:
            return np.inf if distance is None or distance > 0 else -np.inf
        return float(distance / worst) * unit

    low = [apart(None if b is None else x - b, 1.0 / u) for b, x, u in zip(lb, v, f.column.tolist())]
    up = [apart(None if b is None else b - x, 1.0 / u) for b, x, u in zip(ub, v, f.column.tolist())]
    block.lp.bounds(np.arange(len(v)), -np.array(low), np.array(up))
    rows = [apart(gap, u) for (_, _, gap), u in zip(left, f.row.tolist())]
    tops = [r if equal else np.inf for r, (_, equal, _) in zip(rows, left)]
    block.lp.row_bounds(np.arange(len(rows)), np.array(rows), np.array(tops))
    return True


def half_line(f: Floats, cell: Sequence[Decision]) -> tuple[list[Fraction], list[Fraction]] | None:
    """A point and a direction of a cell in which every pair is decided, along which the objective falls by 1 a step; None if none is found.

    The point is a vertex of the cell, the direction one of its recession cone: the same rows and bounds with zeros on the right.
    """
    S = f.system
    flat, cone = copy.copy(S), copy.copy(S)
    flat.cost, flat.quad = {}, {}
    cone.lb, cone.ub = ([None if b is None else Fraction(0) for b in side] for side in (S.lb, S.ub))
    bends = [(c, True, Fraction(0)) for c in S.quad.values()]
    cone.rows = [*((c, equal, Fraction(0)) for c, equal, _ in S.rows), *bends, ({j: -a for j, a in S.cost.items()}, False, Fraction(1))]
    cone.cost, cone.quad, cone.ints = {}, {}, []
    fixed = [d for d in cell if d[0] in "SM"]
    for v in vertices(floats(flat), cell):
        for d in vertices(floats(cone), fixed):
            try:
                check_point(S, v)
                check_ray(S, v, d)
            except Rejected:
                continue
            return v, d
    return None


def _by_sides(f: Floats, x: Array, lb: list[Fraction | None], ub: list[Fraction | None], eq: set[int]) -> list[Fraction] | None:
    """The same from the sides that the solution meets."""
    size = 1.0 + np.abs(x).max(initial=0.0)
    fixed: dict[int, Fraction | None] = {}
    true = x * f.column
    for j, (low, up) in enumerate(zip(lb, ub)):
        near = MET * size * f.column[j]
        if low is not None and abs(true[j] - float(low)) <= near:
            fixed[j] = low
        elif up is not None and abs(true[j] - float(up)) <= near:
            fixed[j] = up
    activity = f.matrix @ x - f.rhs
    rows = [i for i in range(len(f.rhs)) if f.equal[i] or i in eq or activity[i] <= MET * size]
    return _solved(f, x, fixed, rows)


def _solved(f: Floats, x: Array, fixed: dict[int, Fraction | None], rows: list[int]) -> list[Fraction] | None:
    """The solution with some columns fixed and some rows as equations."""
    true = x * f.column
    known = {j: b for j, b in fixed.items() if b is not None}
    equations = []
    for i in rows:
        coef, _, b = f.system.rows[i]
        equations.append(({j: a for j, a in coef.items() if j not in known}, b - sum((a * known[j] for j, a in coef.items() if j in known), Fraction(0))))
    found = solve_near(equations, {j: float(true[j]) for j in range(len(true)) if j not in known}, 12)
    return None if found is None else [known[j] if j in known else found[j] for j in range(len(true))]


def _judged(f: Floats, v: list[Fraction]) -> Exactly | None:
    try:
        return Exactly(v, check_point(f.system, v))
    except Rejected:
        return None


def _curved(f: Floats, cell: Sequence[Decision], lower: Array, upper: Array, high: Array) -> Exactly | None:
    """With a quadratic objective: the exact solution of the conditions of its optimum on the sides that it meets.

    Unknowns are the columns that are at no bound and the multipliers of tight rows.
    """
    found = minimise(f.cost, f.matrix, f.rhs, high, lower, upper, hessian=f.hessian, time_limit=10.0)
    if found.x is None or found.status is not Status.OPTIMAL:
        return None
    S, n = f.system, len(f.cost)
    lb, ub, eq = restrict(S, cell)
    x = found.x
    size = 1.0 + np.abs(x).max(initial=0.0)
    assert f.hessian is not None
    dual = np.zeros(len(f.rhs)) if found.row_dual is None else found.row_dual
    slope = f.cost + f.hessian @ x - f.matrix.T @ dual
    weak, idle = np.abs(slope) <= MET * (1.0 + np.abs(slope).max()), np.abs(dual) <= MET * (1.0 + np.abs(dual).max(initial=0.0))
    for near, needed in ((MET, False), (1e-5, False), (1e-9, False), (MET, True), (1e-5, True)):
        known: Row = {}
        for j, (low, up) in enumerate(zip(lb, ub)):
            for side in (low, up):
                if side is not None and abs(x[j] - float(side) / f.column[j]) <= near * size and not (needed and low != up and weak[j]):
                    known[j] = side
                    break
        activity = f.matrix @ x - f.rhs
        tight = [i for i in range(len(f.rhs)) if f.equal[i] or i in eq or activity[i] <= near * size]
        if needed:  # the sides that hold the optimum in place alone
            tight = [i for i in tight if f.equal[i] or i in eq or not idle[i]]
        true = x * f.column
        free = [j for j in range(n) if j not in known]
        guess = {j: float(true[j]) for j in free}
        y = dual * f.row / f.unit
        guess |= {n + i: float(y[i]) for i in tight}
        equations = []
        for i in tight:
            coef, _, b = S.rows[i]
            equations.append(_without(coef, b, known))
        across: dict[int, Row] = {j: {} for j in free}
        for i in tight:
            for j, a in S.rows[i][0].items():
                if j in across:
                    across[j][n + i] = -a
        for j in free:
            coef, b = _without(S.quad.get(j, {}), -S.cost.get(j, Fraction(0)), known)
            equations.append(({**coef, **across[j]}, b))
        solved = solve_near(equations, guess, 12)
        if solved is not None:
            exactly = _judged(f, [known[j] if j in known else solved[j] for j in range(n)])
            if exactly is not None:
                return exactly
    return None


def _without(coef: Row, b: Fraction, known: Row) -> tuple[Row, Fraction]:
    """An equation with the known columns moved to the right."""
    return {j: a for j, a in coef.items() if j not in known}, b - sum((a * known[j] for j, a in coef.items() if j in known), Fraction(0))


def _whole(f: Floats, v: Array) -> list[Decision]:
    """Integer columns fixed to the nearest whole numbers."""
    found: list[Decision] = []
    for j in f.system.ints:
        k = Fraction(round(float(v[j])))
        found += [("<", j, k), (">", j, k)]
    return found
