"""A reformulation handed to a solver, and what its answer is worth: re-solved, held against what is attained, or conditional."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from stackopt.backends import scip
from stackopt.backends.answer import Answer
from stackopt.bilevel.kkt import kkt_refusal
from stackopt.bilevel.point import Point
from stackopt.bilevel.program import BilevelProgram
from stackopt.certificate import Bound
from stackopt.display import number
from stackopt.errors import Refused
from stackopt.exact.attained import attained
from stackopt.exact.bilevel import explained
from stackopt.exact.diagnosis import unbounded_ray
from stackopt.exact.found import OPTIMISTIC_VALUE, Found
from stackopt.exact.polish import AGREEMENT, accurate
from stackopt.programs.quadratic import QuadraticProgram
from stackopt.reformulations.big_m import on_their_bound
from stackopt.reformulations.reduction import Reduction
from stackopt.solution import Progress, Refusal, Report, Run, Status


def missing(solver: str) -> Refusal | None:
    """Why SCIP cannot be used here, if it is asked for and absent."""
    if solver == "scip" and not scip.available():
        return Refusal("package", law={"feature": "SCIP", "package": "pyscipopt"})
    return None


def refuses(problem: Any, name: str, solver: str, reformulate: Callable[[BilevelProgram], Reduction]) -> Refusal | None:
    """Why a method does not solve a problem: another type, followers without optimality conditions, no proof, or a solver that cannot."""
    if not isinstance(problem, BilevelProgram):
        return Refusal("wrong-problem", law={"method": name, "problem": type(problem).__name__})
    found = kkt_refusal(problem)
    if found is not None:
        return found
    try:
        target = reformulate(problem).target
    except Refused as error:
        return Refusal(error.code, because=error.where, remedy=error.help, law=error.placeholders)
    return _solver_refuses(target, solver)


def _solver_refuses(target: QuadraticProgram, solver: str) -> Refusal | None:
    """Why a solver does not take a program."""
    solver = _chosen(target, solver)
    if solver == "highs":
        odd = "SOS1 sets" if target.sos1 else "implications" if target.implications else "" if target.linear_only else "quadratic terms beside integers"
        return Refusal("solver-features", law={"solver": "HiGHS", "what": odd}, remedy='solver="scip"') if odd else None
    if solver == "scip":
        return missing("scip")
    from stackopt.backends.pyomo_solver import refusal

    return refusal(target, solver)


def _chosen(target: QuadraticProgram, solver: str) -> str:
    if solver != "auto":
        return solver
    return "highs" if target.linear_only else "scip"


def _solved(target: QuadraticProgram, solver: str, time_limit: float, seed: int, feasibility: float = scip.FEASIBILITY) -> Answer:
    solver = _chosen(target, solver)
    if solver == "scip":
        return scip.solve_program(target, time_limit=time_limit, seed=seed, feasibility=feasibility)
    if solver == "highs":
        from stackopt.backends.highs_program import solve_program

        return solve_program(target, time_limit=time_limit, seed=seed)
    from stackopt.backends.pyomo_solver import solve_program as by_pyomo

    return by_pyomo(target, solver, time_limit=time_limit)


def run(
    problem: BilevelProgram,
    reformulate: Callable[[BilevelProgram], Reduction],
    solver: str,
    time_limit: float,
    seed: int,
    report: Report | None,
) -> Run[Point]:
    """Reformulate, solve, and say what was found; constants that are not proved make it conditional."""
    begun = time.perf_counter()
    if report:
        report(Progress("reformulating", 0))
    reduction = reformulate(problem)
    if report:
        report(Progress("solving", 1))
    target = reduction.target
    found = _solved(target, solver, time_limit - (time.perf_counter() - begun), seed)
    point = None if found.point is None else accurate(reduction.kkt, found.point)
    left = time_limit - (time.perf_counter() - begun)
    if point is not None and found.status is Status.OPTIMAL and _chosen(target, solver) == "scip" and left > 0 and _apart(point, found):
        finer = _solved(target, solver, left, seed, scip.FINE)
        found = finer if finer.status is Status.OPTIMAL else found
        point = point if found.point is None else accurate(reduction.kkt, found.point)
    stats: dict[str, Any] = {"nodes": found.nodes, "columns": len(target.names), "rows": len(target.row_names), "formulation": reduction.form}
    reference = f"{reduction.form}, {found.because.split(':')[0]}"
    known = attained(reduction.kkt)
    if not reduction.proved:
        return _conditional(problem, reduction, found, point, known, stats)
    if known is not None and _refutes(problem, known, found):
        because = f"solver fault: {found.because}, {found.status} {number(found.bound, 9)}, but {number(known.claim, 9)} is attained"
        return Found(Status.FAILED, known, np.nan, because, reference, stats).run(problem)
    if found.status is Status.UNBOUNDED and point is not None:
        shown = unbounded_ray(problem, point)
        status = Status.UNBOUNDED if shown.kind == "unbounded" else Status.LIMIT
        return Found(status, point, found.bound, f"{found.because}; {shown.because}", reference, stats).run(problem)
    if found.status is Status.LIMIT and point is None:
        point = known
    result = Found(found.status, point, found.bound, found.because, reference, stats).run(problem)
    return explained(result, problem, time_limit - (time.perf_counter() - begun))


def _apart(point: Point, found: Answer) -> bool:
    """Whether what SCIP's tolerance let through is worth something."""
    return bool(abs(point.claim - found.bound) > AGREEMENT * (1.0 + abs(found.bound)))


def _refutes(problem: BilevelProgram, known: Point, found: Answer) -> bool:
    """Whether a point that is attained contradicts a solver's bound."""
    if found.status is Status.INFEASIBLE:
        return True
    sign = problem.leader.objective.sign
    return bool(np.isfinite(found.bound) and sign * known.claim < sign * found.bound - 1e-6 * (1.0 + abs(found.bound)))


def _conditional(
    problem: BilevelProgram, reduction: Reduction, found: Answer, point: Point | None, known: Point | None, stats: dict[str, Any]
) -> Run[Point]:
    """What a result with constants that are not proved is worth: an incumbent, and a bound that does not apply."""
    assumed = [bound for bound in reduction.bounds if not bound.applies]
    rest = f" and {len(assumed) - 3} more" if len(assumed) > 3 else ""
    condition = " and ".join(f"the {b.of} never exceeds {number(b.value)}" for b in assumed[:3]) + rest
    bound = None
    if np.isfinite(found.bound):
        assumptions = tuple(a for b in assumed for a in b.assumptions)
        sense = "upper" if problem.maximises else "lower"
        bound = Bound(found.bound, OPTIMISTIC_VALUE, f"{reduction.form} with given constants", assumptions, sense, "so.Exact() needs no constants")
    if known is not None and _refutes(problem, known, found):
        worth = "" if np.isnan(found.value) else f" at {number(found.value)}"
        said = f"the given constants are too small: with them the program is {found.status.lower()}{worth}, but {number(known.claim)} is attained"
        return Run(Status.LIMIT, known, bound, stats, said)
    word = {Status.OPTIMAL: "optimal", Status.LIMIT: "the incumbent"}.get(found.status, found.status.lower())
    if found.point is None:
        return Run(Status.FAILED if found.status is Status.FAILED else Status.LIMIT, known, bound, stats, f"{found.because}: {word} if {condition}")
    at = on_their_bound(reduction, found.point[: len(reduction.kkt.mpec.names)])
    said = f"; the {' and the '.join(at[:3])} sits on its constant, which is too small to tell" if at else "; none of them is reached here"
    return Run(Status.LIMIT, point, bound, {**stats, "on_their_bound": ", ".join(at)}, f"{word} if {condition}{said}")
