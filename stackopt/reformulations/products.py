"""Complementarity as products: multiplier times slack is zero. Not convex, needs no constant: for global and nonlinear solvers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stackopt.bilevel.kkt import Kkt
from stackopt.reformulations.first_order import first_order, slack_map
from stackopt.reformulations.reduction import Reduction


def products(kkt: Kkt) -> Reduction:
    """The optimality conditions with the row ``multiplier * slack <= 0`` for each pair; equivalent to the bilevel program."""
    from scipy import sparse

    mpec, n = kkt.mpec, kkt.mpec.variables
    program = first_order(kkt)
    width, before = len(program.names), len(program.row_names)
    slope, side = slack_map(mpec)
    matrix = sparse.csr_array((side, (np.arange(mpec.pairs), n + np.arange(mpec.pairs))), shape=(mpec.pairs, width))
    labels = tuple(f"complementarity({mpec.pair_label(p)})" for p in range(mpec.pairs))
    program = program.with_rows(labels, matrix, np.full(mpec.pairs, -np.inf), np.zeros(mpec.pairs))
    forms = dict(program.row_quadratic)
    for p in range(mpec.pairs):
        part = slice(slope.indptr[p], slope.indptr[p + 1])
        where = slope.indices[part]
        forms[before + p] = sparse.csr_array((slope.data[part], (where, np.full(len(where), n + p))), shape=(width, width))
    return Reduction("products", kkt, replace(program, row_quadratic=forms), lambda w: np.zeros(0))
