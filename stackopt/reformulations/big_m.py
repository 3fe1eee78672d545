r"""Complementarity by a big-M: binaries and constants, a mixed-integer linear program if the leader's objective is linear.

For each pair a binary ``tight``: :math:`\mu_p \le M_p\,\text{tight}_p`, :math:`\text{slack}_p \le S_p\,(1 - \text{tight}_p)`. It is equivalent to the bilevel
program if every constant is a proved bound (`stackopt.reformulations.multiplier_bounds`). A constant that is too small cuts off
optima without a sign; so one without a proof makes the result conditional and is listed as such.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from stackopt.bilevel.duals import row_of
from stackopt.bilevel.kkt import Kkt
from stackopt.bilevel.point import Array
from stackopt.certificate import Assumption, Bound
from stackopt.display import number
from stackopt.errors import Refused
from stackopt.reformulations.first_order import first_order, multiplier_follower, slack_map, widened
from stackopt.reformulations.indicator import tight
from stackopt.reformulations.multiplier_bounds import Bounds, constraint_of, multiplier_bounds, multiplier_label
from stackopt.reformulations.reduction import Reduction


def big_m(
    kkt: Kkt, bounds: Mapping[str, float] | None = None, *, slacks: Mapping[str, float] | None = None, proved: Bounds | None = None
) -> Reduction:
    """The optimality conditions with binaries and constants.

    Parameters
    ----------
    kkt : Kkt
    bounds, slacks : mapping of str to float, optional
        Constants for the multipliers (the slacks) of rows, or of variables' bounds, by name. They are used where no smaller one is
        proved, and make the reduction conditional.
    proved : Bounds, optional
        From `multiplier_bounds`; computed if not given.

    Raises
    ------
    Refused
        ``big-m-unproven`` for the first multiplier or slack with neither a proof nor a given constant.
    InvalidProgram
        If a name belongs to no follower's row or variable.
    """
    proved = multiplier_bounds(kkt) if proved is None else proved
    mpec, n = kkt.mpec, kkt.mpec.variables
    found = list(proved.multipliers[: mpec.pairs])
    room = list(proved.slacks)
    for given, chosen, what in ((bounds, found, "multiplier"), (slacks, room, "slack")):
        for name, value in (given or {}).items():
            for p in _pairs_of(kkt, name):
                if not chosen[p].applies or value < chosen[p].value:
                    chosen[p] = _assumed(chosen[p].of, what, float(value))
    for p, bound in enumerate([*found, *room]):
        if math.isinf(bound.value) and not _settled(found, room, p % mpec.pairs):
            raise _unproved(kkt, bound, p % mpec.pairs, p >= mpec.pairs)
    program = first_order(kkt)
    first = len(program.names)
    program = widened(program, [f"tight({mpec.pair_label(p)})" for p in range(mpec.pairs)], 0.0, 1.0, integer=True)
    upper, lower = program.upper.copy(), program.lower.copy()
    slope, side = slack_map(mpec)
    labels, rows, right = list[str](), list[Array](), list[float]()
    for p in range(mpec.pairs):
        most, least = found[p].value, room[p].value
        if most == 0.0:  # never positive: nothing to decide
            upper[n + p] = upper[first + p] = 0.0
            continue
        if least == 0.0:  # always tight
            lower[first + p] = 1.0
            continue
        row = np.zeros(len(program.names))
        row[n + p], row[first + p] = 1.0, -most
        labels.append(f"big-M({mpec.names[n + p]})")
        rows.append(row)
        right.append(0.0)
        row = np.zeros(len(program.names))  # side + slope z <= least (1 - tight)
        part = slice(slope.indptr[p], slope.indptr[p + 1])
        row[slope.indices[part]] = slope.data[part]
        row[first + p] = least
        labels.append(f"big-M(slack of {mpec.pair_label(p)})")
        rows.append(row)
        right.append(least - float(side[p]))
    program = replace(program, upper=upper, lower=lower)
    if rows:
        program = program.with_rows(tuple(labels), np.array(rows), np.full(len(rows), -np.inf), np.array(right))
    used = tuple(b for b in (*found, *room) if np.isfinite(b.value))
    return Reduction("big-m", kkt, program, lambda w: _binaries(kkt, w, lower[first:], upper[first:]), used)


def on_their_bound(reduction: Reduction, w: Array) -> tuple[str, ...]:
    """Rows whose multiplier, or slack, sits on a constant that is not proved: then the constant may have cut off better points."""
    mpec, n = reduction.kkt.mpec, reduction.kkt.mpec.variables
    values = {multiplier_label(reduction.kkt, p): float(w[n + p]) for p in range(mpec.pairs)}
    values |= {f"slack of `{mpec.pair_label(p)}`": float(s) for p, s in enumerate(mpec.slack(w[:n]))}
    return tuple(b.of for b in reduction.bounds if not b.applies and values.get(b.of, 0.0) >= b.value * (1.0 - 1e-6))


def _pairs_of(kkt: Kkt, name: str) -> list[int]:
    """The pairs, one or both sides, of a follower's row or variable."""
    program, mpec = kkt.program, kkt.mpec
    follower, constraint = row_of(program, name)
    k = next(k for k, level in enumerate(program.followers) if level.name == follower)
    label = f"{follower}.{constraint}" if len(program.followers) > 1 and constraint in program.followers[k].rows.names else constraint
    whose = multiplier_follower(mpec)
    return [p for p in range(mpec.pairs) if whose[p] == k and constraint_of(kkt, p) == label]


def _assumed(of: str, what: str, value: float) -> Bound:
    return Bound(value, of, "given by the user", (Assumption(f"the {what} never exceeds {number(value)}", False, "given by the user, not proved"),))


def _settled(found: list[Bound], room: list[Bound], p: int) -> bool:
    """Whether one side of the pair is proved to be zero, so that the other needs no constant."""
    return found[p].value == 0.0 or room[p].value == 0.0


def _unproved(kkt: Kkt, bound: Bound, p: int, slack: bool) -> Refused:
    row = constraint_of(kkt, p)
    what = "slack" if slack else "multiplier"
    setting = "slacks" if slack else "bounds"
    return Refused(
        "big-m-unproven", what=what, row=row, where=bound.assumptions[0].because,
        help=f'so.Exact() needs none; or so.BigM({setting}={{"{row}": ...}}) makes the answer conditional',
    )


def _binaries(kkt: Kkt, w: Array, lower: Array, upper: Array) -> Array:
    return np.clip(tight(kkt, w), lower, upper)
