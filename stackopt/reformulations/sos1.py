"""Complementarity by SOS1 sets: of a multiplier and its slack at most one is not zero. Needs no constant at all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from stackopt.bilevel.kkt import Kkt
from stackopt.programs.quadratic import QuadraticProgram
from stackopt.reformulations.first_order import curvature, first_order, slack_map, widened
from stackopt.reformulations.reduction import Reduction


def sos1(kkt: Kkt) -> Reduction:
    """The optimality conditions with one SOS1 set for each pair; equivalent to the bilevel program.

    A slack becomes a column of its own unless it is a variable already (a lower bound of 0).
    """
    target, members = with_slacks(kkt, first_order(kkt))
    mpec, n = kkt.mpec, kkt.mpec.variables
    own = [p for p in range(mpec.pairs) if members[p] >= n]
    sets = tuple((f"complementarity({mpec.pair_label(p)})", np.array([members[p], n + p])) for p in range(mpec.pairs))
    return Reduction("sos1", kkt, replace(target, sos1=sets), lambda w: mpec.slack(w[:n])[own])


def with_slacks(kkt: Kkt, program: QuadraticProgram) -> tuple[QuadraticProgram, Any]:
    """The program with a column for each slack, and where each slack stands; [P]."""
    from scipy import sparse

    mpec = kkt.mpec
    slope, side = slack_map(mpec)
    quadratic, _ = curvature(kkt)
    is_variable = (mpec.pair_row < 0) & (mpec.pair_side < 0) & (side == 0.0)
    first, own = len(program.names), np.flatnonzero(~is_variable)
    members = np.where(is_variable, mpec.pair_column, 0)
    members[own] = first + np.arange(len(own))
    labels = [f"slack({mpec.pair_label(int(p))})" for p in own]
    program = widened(program, labels, 0.0, np.inf)
    wide = sparse.csr_array((len(own), first - mpec.variables))
    matrix = sparse.hstack([-slope[own], wide, sparse.eye_array(len(own))], format="csr")
    before = len(program.row_names)
    program = program.with_rows(tuple(labels), matrix, side[own], side[own])
    forms = dict(program.row_quadratic)
    for i, p in enumerate(own.tolist()):
        form = quadratic.get(int(mpec.pair_row[p])) if mpec.pair_row[p] >= 0 else None
        if form is not None:  # upper side: slack = upper - row; lower side: slack = row - lower
            found = form.tocoo()
            sign = 1.0 if mpec.pair_side[p] > 0 else -1.0
            forms[before + i] = sparse.csr_array((sign * found.data, found.coords), shape=(len(program.names),) * 2)
    return replace(program, row_quadratic=forms), members
