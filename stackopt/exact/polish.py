"""A solver's point made accurate: its complementarity pattern and whole numbers kept, the rest solved again as a continuous program."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stackopt.backends import scip
from stackopt.backends.matrix import minimise
from stackopt.bilevel.kkt import Kkt
from stackopt.bilevel.point import Array, Point
from stackopt.bilevel.program import convex
from stackopt.reformulations.first_order import first_order, slack_map

#: Value and bound of a claimed optimum that differ by more, relative to one plus the bound, call for a finer tolerance.
AGREEMENT = 5e-7


def polished(kkt: Kkt, w: Array) -> Array | None:
    """The best point with the pattern of `w` [n + M]: for each pair the smaller of slack and multiplier is fixed at zero.

    Convex programs go to HiGHS, others to SCIP where it is installed. Followers' rows must be linear.

    Returns
    -------
    array [n + M] or None
        None where nobody solves that program, or it has no solution.
    """
    from scipy import sparse

    program, mpec, n = kkt.program, kkt.mpec, kkt.mpec.variables
    if any(level.rows.quadratic for level in program.followers):
        return None
    base = first_order(kkt)
    tight = mpec.slack(w[:n]) <= w[n : n + mpec.pairs]
    lower, upper = base.lower.copy(), base.upper.copy()
    upper[n : n + mpec.pairs][~tight] = 0.0
    whole = np.flatnonzero(base.integer)
    lower[whole] = upper[whole] = np.round(w[whole])
    slope, side = slack_map(mpec)
    at = np.flatnonzero(tight)
    wide = sparse.csr_array((slope[at].data, slope[at].indices, slope[at].indptr), shape=(len(at), len(base.names)))
    pattern = replace(base, lower=lower, upper=upper, integer=np.zeros(len(base.names), bool))
    pattern = pattern.with_rows(tuple(f"tight {p}" for p in at), wide, -side[at], -side[at])
    if not mpec.leader_quadratic and convex(program.leader.objective, np.arange(len(program.symbols))):
        return minimise(
            mpec.linear, pattern.matrix.tocsr(), pattern.row_lower, pattern.row_upper, lower, upper, hessian=mpec.hessian if mpec.curved else None,
            constant=mpec.constant, time_limit=10.0,
        ).x
    return scip.solve_program(pattern, time_limit=10.0).point if scip.available() else None


def accurate(form: Kkt, v: Array) -> Point:
    """The point of a solution vector, polished where that loses nothing."""
    w = v[: len(form.mpec.names)]
    better = polished(form, w)
    if better is not None and form.mpec.value(better) <= form.mpec.value(w) + 1e-6 * (1.0 + abs(form.mpec.value(w))):
        return form.lift(better)
    return form.lift(w)
