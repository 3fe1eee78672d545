"""Complementarity by implications: a binary says for each pair whether the slack or the multiplier is zero. Needs no constant."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stackopt.bilevel.kkt import Kkt
from stackopt.bilevel.point import Array
from stackopt.programs.quadratic import Implication
from stackopt.reformulations.first_order import first_order, slack_map, widened
from stackopt.reformulations.reduction import Reduction


def indicator(kkt: Kkt) -> Reduction:
    """The optimality conditions with ``tight = 1 -> slack <= 0`` and ``tight = 0 -> multiplier <= 0`` for each pair; equivalent
    to the bilevel program."""
    mpec, n = kkt.mpec, kkt.mpec.variables
    program = first_order(kkt)
    first = len(program.names)
    program = widened(program, [f"tight({mpec.pair_label(p)})" for p in range(mpec.pairs)], 0.0, 1.0, integer=True)
    slope, side = slack_map(mpec)
    implications = []
    for p in range(mpec.pairs):
        part = slice(slope.indptr[p], slope.indptr[p + 1])
        where, values = slope.indices[part].astype(np.int64), slope.data[part]
        implications.append(Implication(f"no slack({mpec.pair_label(p)})", first + p, True, where, values, -float(side[p])))
        implications.append(Implication(f"no multiplier({mpec.pair_label(p)})", first + p, False, np.array([n + p]), np.ones(1), 0.0))
    return Reduction("indicator", kkt, replace(program, implications=tuple(implications)), lambda w: tight(kkt, w))


def tight(kkt: Kkt, w: Array) -> Array:
    """1 for each pair whose slack is smaller than its multiplier, relative to the size of the point, else 0; [P]."""
    mpec, n = kkt.mpec, kkt.mpec.variables
    return np.where(mpec.slack(w[:n]) <= w[n : n + mpec.pairs], 1.0, 0.0)
