"""`Enumeration` on a `BilevelProgram`: every response pattern, or every value of the integer variables."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from stackopt.bilevel.point import Point
from stackopt.certificate import Bound
from stackopt.exact.found import OPTIMISTIC_VALUE
from stackopt.exact.integer_points import enumerated, point_count, seen, try_points
from stackopt.exact.response_patterns import Tried, hessian_of, pattern_count, try_patterns
from stackopt.reformulations.pessimistic import pessimistic, pessimistic_refusal
from stackopt.solution import Refusal, Report, Run, Status

if TYPE_CHECKING:
    from stackopt.bilevel.program import BilevelProgram

#: Linear programs solved at most.
PATTERNS = 20_000
#: Assignments of integer variables at most.
POINTS = 200_000


def refuses_bilevel(program: BilevelProgram, name: str) -> Refusal | None:
    """Programs that are not linear case by case, and those with too many cases."""
    if _by_adversaries(program):
        return pessimistic_refusal(program) or refuses_bilevel(pessimistic(program).target, name)
    by_patterns = _by_patterns(program)
    where = _unlike(program) or (_unlike_patterns(program) if by_patterns else _unlike_points(program))
    if where:
        return Refusal("not-enumerable", because=where, law={"method": name})
    count, most, what = (pattern_count(program), PATTERNS, "response patterns") if by_patterns else (point_count(program), POINTS, "integer points")
    too_many = Refusal("too-large", remedy="so.Exact() searches instead of trying everything", law={"what": f"{count:.6g} {what} to try; the limit is {most}"})
    return too_many if count > most else None


def _by_adversaries(program: BilevelProgram) -> bool:
    """Ties against the leader, and not finitely many answers to compare: the optimistic program with adversaries is enumerated."""
    return program.ties == "pessimistic" and not program.integer[program.owner >= 0].all()


def _by_patterns(program: BilevelProgram) -> bool:
    return program.ties == "optimistic" and not program.integer[program.owner >= 0].any()


def _unlike(program: BilevelProgram) -> str:
    for k, level in enumerate(program.followers):
        if program.kind(k) not in ("LP", "QP", "MILP"):
            return f"follower `{level.name}` is a {program.kind(k)}"
    if program.leader.rows.quadratic:
        return f"leader row `{program.leader.rows.names[min(program.leader.rows.quadratic)]}` has quadratic terms"
    return ""


def _unlike_patterns(program: BilevelProgram) -> str:
    for k, level in enumerate(program.followers):
        if program.bilinear(k):
            return f"rows of follower `{level.name}` multiply its variables by others'"
    hessian = program.leader.objective.sign * hessian_of(program.leader.objective)
    used = np.flatnonzero(np.abs(hessian).sum(0))
    if not len(used):
        return ""
    values = np.linalg.eigvalsh(hessian[np.ix_(used, used)])
    if values[0] < -1e-9 * np.abs(values).max() or used.max() >= program.size:
        return "the leader's objective is not convex in all symbols together"
    ends = np.array([program.lower[program.integer], program.upper[program.integer]])
    return "" if np.isfinite(ends).all() else "an integer variable without bounds under a quadratic objective"


def _unlike_points(program: BilevelProgram) -> str:
    for k, level in enumerate(program.followers):
        continuous = seen(program, k)[~program.integer[seen(program, k)]]
        if len(continuous):
            return f"follower `{level.name}` sees `{program.names[continuous[0]]}`, which is continuous"
        if program.kind(k) == "QP":
            return f"follower `{level.name}` is a QP beside integer variables"
    if program.multipliers:
        return f"`{program.multipliers[0].name}` is a multiplier beside integer variables of followers"
    free = np.setdiff1d(np.arange(program.size), enumerated(program))
    curved = hessian_of(program.leader.objective)[np.ix_(free, free)]
    return "quadratic terms of variables that are not tried one by one" if np.abs(curved).max(initial=0.0) > 0 else ""


def run_bilevel(program: BilevelProgram, report: Report | None = None) -> Run[Point]:
    """Try everything."""
    if _by_adversaries(program):
        reduction = pessimistic(program)
        run = run_bilevel(reduction.target, report)
        return run if run.candidate is None else replace(run, candidate=reduction.lift(run.candidate))
    by_patterns = _by_patterns(program)
    found = try_patterns(program, report) if by_patterns else try_points(program, report)
    what = "response patterns" if by_patterns else "leader decisions"
    return _run(program, found, what)


def _run(program: BilevelProgram, found: Tried, what: str) -> Run[Point]:
    because = f"{found.tried} {what} tried"
    if found.status is Status.INFEASIBLE:
        because += ", none of which leaves a feasible point"
    if found.status is Status.UNBOUNDED:
        because = f"the leader's objective improves for ever {found.because}"
    if found.undecided:
        because += f"; the solver could not decide {found.undecided}"
    bound = None
    if found.status is Status.OPTIMAL:
        sense = "upper" if program.maximises else "lower"
        bound = Bound(found.value + 0.0, OPTIMISTIC_VALUE, "enumeration", sense=sense)
    return Run(found.status, found.point, bound, {"tried": found.tried}, because)
