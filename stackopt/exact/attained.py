"""Bilevel feasible points that cost next to nothing: a solver's claim below (or above) what they attain is refuted."""

from __future__ import annotations

import numpy as np

from stackopt.backends.matrix import minimise
from stackopt.bilevel.certify import FEASIBLE, relative_residuals
from stackopt.bilevel.follower import respond
from stackopt.bilevel.kkt import Kkt
from stackopt.bilevel.point import Point
from stackopt.bilevel.program import convex
from stackopt.reformulations.first_order import first_order
from stackopt.solution import Status


def attained(kkt: Kkt) -> Point | None:
    """The best point of one follower's answers at two decisions of the leader: the optimum over all rows, with and without stationarity.

    Returns
    -------
    Point or None
        With its value as claim. None if there is more than one follower, the leader uses multipliers, its objective or rows are not convex,
        or no such answer keeps the leader's rows.
    """
    program, mpec = kkt.program, kkt.mpec
    curved = mpec.curved and (program.integer.any() or not convex(program.leader.objective, np.arange(len(program.symbols))))
    if len(program.followers) > 1 or program.multipliers or curved or mpec.leader_quadratic or program.followers[0].rows.quadratic:
        return None
    sign, best = program.leader.objective.sign, None
    for base in (first_order(kkt), first_order(kkt, without=[0])):
        found = minimise(
            mpec.linear, base.matrix.tocsr(), base.row_lower, base.row_upper, base.lower, base.upper,
            hessian=mpec.hessian if mpec.curved else None, integer=base.integer, time_limit=2.0,
        )
        if found.x is None:
            continue
        point = _answered(kkt, found.x[: program.size])
        if point is not None and (best is None or sign * point.claim < sign * best.claim):
            best = point
    return best


def _answered(kkt: Kkt, values: np.ndarray) -> Point | None:
    """The follower's answer at the leader's decision in `values`, if the leader's rows hold with it."""
    program = kkt.program
    values = np.where(program.integer, np.round(values), values)
    response = respond(program, 0, values, time_limit=2.0)
    if response.status is not Status.OPTIMAL or response.variables is None:
        return None
    values = np.clip(values, program.lower, program.upper)
    values[program.owned(0)] = response.variables
    if relative_residuals(program.leader.rows, values).max(initial=0.0) > FEASIBLE:
        return None
    return Point(values, claim=program.leader.objective.value(values))
