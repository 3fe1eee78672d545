"""What a back end returns for a `QuadraticProgram`: its claim, and the point re-checked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stackopt.programs.milp import Array
from stackopt.programs.quadratic import QuadraticProgram
from stackopt.solution import Status

#: A returned point that breaks the program by more than this, relative to its largest entry, is not accepted.
ACCEPTED = 1e-5


@dataclass(frozen=True, eq=False)
class Answer:
    """A solver's word on a program. Only feasibility was re-checked; optimality remains for the caller to check.

    Attributes
    ----------
    status : Status
        OPTIMAL, LIMIT, INFEASIBLE, UNBOUNDED or FAILED.
    point : array [n] or None
    value : float
        The objective at `point`, recomputed; NaN without a point.
    bound : float
        The solver's bound on the optimum in the program's own sense: lower if it is minimised; infinite if it has none.
    violation : float
        How far the point breaks the program.
    nodes : int
        Branch-and-bound nodes.
    seconds : float
    because : str
        The solver's own word for why it stopped.
    """

    status: Status
    point: Array | None
    value: float
    bound: float
    violation: float
    nodes: int
    seconds: float
    because: str


def answer(
    program: QuadraticProgram, status: Status, point: Array | None, bound: float, nodes: int, seconds: float, because: str
) -> Answer:
    """Re-check what a solver returned: integer columns rounded, then every row, set and implication re-evaluated."""
    none = -np.inf if program.sense == "min" else np.inf
    if point is None:
        if status is Status.OPTIMAL:
            status, because = Status.FAILED, f"{because}, but no point was returned"
        worst = -none if status is Status.INFEASIBLE else none
        return Answer(status, None, np.nan, worst if status is not Status.LIMIT else bound, np.nan, nodes, seconds, because)
    rounded = np.where(program.integer, np.round(point), point)
    violation = program.violation(rounded)
    if not violation <= ACCEPTED * (1.0 + float(np.abs(rounded).max(initial=0.0))):
        return Answer(Status.FAILED, None, np.nan, none, violation, nodes, seconds, f"{because}, but the point breaks the program by {violation:.3g}")
    return Answer(status, rounded, program.value(rounded), bound, violation, nodes, seconds, because)
