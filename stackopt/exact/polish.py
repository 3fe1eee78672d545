"""A solver's point made accurate: its complementarity pattern and whole numbers kept, the rest solved again as a linear or quadratic program."""

from __future__ import annotations

import numpy as np

from stackopt.bilevel.kkt import Kkt
from stackopt.bilevel.point import Array
from stackopt.bilevel.program import convex
from stackopt.reformulations.first_order import first_order, slack_map


def polished(kkt: Kkt, w: Array) -> Array | None:
    """The best point with the pattern of `w` [n + M]: for each pair the smaller of slack and multiplier is fixed at zero.

    Returns
    -------
    array [n + M] or None
        None where that program is not convex or has no solution.
    """
    from scipy import sparse

    from stackopt.backends.matrix import minimise

    program, mpec, n = kkt.program, kkt.mpec, kkt.mpec.variables
    everything = np.arange(len(program.symbols))
    if mpec.leader_quadratic or any(level.rows.quadratic for level in program.followers) or not convex(program.leader.objective, everything):
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
    found = minimise(
        mpec.linear,
        sparse.csr_array(sparse.vstack([base.matrix, wide], format="csr")),
        np.concatenate([base.row_lower, -side[at]]),
        np.concatenate([base.row_upper, -side[at]]),
        lower,
        upper,
        hessian=mpec.hessian if mpec.curved else None,
        constant=mpec.constant,
        time_limit=10.0,
    )
    return found.x
