"""The last repair: the exact dual solution of a basis, and other bases until its signs hold.

A solver accepts reduced costs that are wrong by 1e-9. The multipliers of its basis are solved for in rationals; where a sign is wrong, the
objective is replaced by their exact reduced costs, which changes it by a constant on the equations of the program, magnified so that the
violation is as large as one, and the simplex method goes on (after Gleixner, Steffy and Wolter 2016: refinement of the dual alone).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from stackopt.proof.algebra import solve_near
from stackopt.proof.check import Decision, Row, System, restrict
from stackopt.proof.floats import floats
from stackopt.proof.linear import Block
from stackopt.proof.repair import exact, reduced_costs, vanishing
from stackopt.proof.tree import Leaf
from stackopt.solution import Status

#: How often the objective is replaced.
ROUNDS = 6
#: HiGHS's word for a basic column or row.
BASIC = 1


def basic_leaf(S: System, cell: Sequence[Decision], t: int, target: Fraction | None) -> Leaf | None:
    """The leaf of an exactly optimal basis, or None if none was reached.

    Parameters
    ----------
    S : System
        Without a quadratic objective.
    cell : sequence of Decision
    t : int
        1: a bound on the objective. 0: the cell is empty; then it is the least total violation of rows that has a positive bound.
    target : Fraction or None
        A bound that is high enough, for t = 1.
    """
    program = with_slacks(S, restrict(S, cell)[2], elastic=not t)
    f = floats(program)
    block = Block(f, np.arange(len(f.cost)), np.arange(len(f.rhs)))
    sides = f.cell(cell)
    if (sides[0] > sides[1]).any():
        return None
    block.enter(*sides)
    lb, ub, _ = exactly = restrict(program, cell)
    best = None
    for _ in range(ROUNDS):
        if block.solve(10.0) is not Status.OPTIMAL:
            break
        w = _multipliers(program, block)
        if w is None:
            break
        found = exact(program, cell, exactly, 1, w, target)
        if found is not None and (best is None or (found.bound or 0) > (best.bound or 0)):
            best = found
        wrong = {j: x for j, x in reduced_costs(program, 1, w)[0].items() if (lb[j] if x > 0 else ub[j]) is None}
        if not wrong:
            break
        magnified = 1 / max(abs(x) for x in wrong.values())
        costs = np.zeros(len(f.cost))
        for j, x in reduced_costs(program, 1, w)[0].items():
            costs[j] = float(min(max(x * magnified, Fraction(-(10**9))), Fraction(10**9)))
        block.lp.costs(np.arange(len(costs)), costs * f.column)
    if best is None or (not t and not (best.bound and best.bound > 0)):
        return None
    return exact(S, cell, restrict(S, cell), t, best.weights, target)


def with_slacks(S: System, tight: set[int], *, elastic: bool) -> System:
    """The same program with its rows as equations, each with a slack column, which is zero where the row is one of the `tight`.

    If `elastic`, every row may be broken, up and down, at a price of one a unit, and nothing else costs anything.
    """
    found = copy.copy(S)
    n, m, zero, one = len(S.lb), len(S.rows), Fraction(0), Fraction(1)
    closed = [equal or i in tight for i, (_, equal, _) in enumerate(S.rows)]
    found.lb, found.ub = [*S.lb, *[zero] * m], [*S.ub, *(zero if c else None for c in closed)]
    found.rows = [({**coef, n + i: -one}, True, b) for i, (coef, _, b) in enumerate(S.rows)]
    if elastic:
        found.lb, found.ub = [*found.lb, *[zero] * (2 * m)], [*found.ub, *[None] * (2 * m)]
        found.rows = [({**coef, n + m + i: one, n + 2 * m + i: -one}, True, b) for i, (coef, _, b) in enumerate(found.rows)]
        found.cost, found.const, found.quad = {n + m + i: one for i in range(2 * m)}, zero, {}
    return found


def _multipliers(S: System, block: Block) -> Row | None:
    """The exact multipliers of the basis that the simplex method ended with."""
    basis: Any = block.lp.basis()
    columns = [j for j, s in enumerate(basis.col_status) if int(s) == BASIC]
    f = block.f
    y = block.y * f.row / f.unit
    guess = {i: float(y[i]) for i, s in enumerate(basis.row_status) if int(s) != BASIC}
    return solve_near(vanishing(S, columns, S.cost), guess, 12)
