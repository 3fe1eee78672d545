"""`Exact` on a bilevel program: the search that fits its followers, and what it found as a `Run`."""

from __future__ import annotations

import dataclasses
import time

import numpy as np

from stackopt.bilevel.kkt import kkt, kkt_refusal
from stackopt.bilevel.point import Point
from stackopt.bilevel.program import BilevelProgram, convex
from stackopt.reformulations.pessimistic import pessimistic, pessimistic_refusal
from stackopt.solution import Refusal, Report, Run, Status

#: Seconds at most for finding out why a program is infeasible.
EXPLAINED = 10.0


def refuses_bilevel(program: BilevelProgram) -> Refusal | None:
    """Why no exact search solves the program, if none does."""
    if program.ties == "pessimistic":
        return pessimistic_refusal(program) or refuses_bilevel(pessimistic(program).target)
    if route(program) == "integer":
        from stackopt.exact.integer import refuses

        return refuses(program)
    if route(program) != "scip":
        return None
    from stackopt.exact.reformulated import multipliers_of_others

    return multipliers_of_others(program) or (None if _scip_available() else _no_scip(program))


def route(program: BilevelProgram) -> str:
    """Which search fits: ``pessimistic``, ``branching``, ``integer`` or ``scip``."""
    if program.ties == "pessimistic":
        return "pessimistic"
    kinds = {program.kind(k) for k in range(len(program.followers))}
    leader = program.leader
    linear_rows = not leader.rows.quadratic
    whole = np.arange(len(program.symbols))
    if kkt_refusal(program) is None and linear_rows and convex(leader.objective, whole):
        return "branching"
    if "MILP" in kinds and kinds <= {"LP", "MILP"} and linear_rows and leader.objective.quadratic is None and not any(
        level.rows.quadratic for level in program.followers
    ):
        return "integer"
    return "scip"


def run_bilevel(program: BilevelProgram, *, time_limit: float, seed: int, report: Report | None, processes: int = 1) -> Run[Point]:
    """Search by the route that fits, and say why if there is no solution; see `Exact`."""
    begun = time.perf_counter()
    run = search_bilevel(program, time_limit=time_limit, seed=seed, report=report, processes=processes)
    return explained(run, program, time_limit - (time.perf_counter() - begun))


def explained(run: Run[Point], program: BilevelProgram, left: float) -> Run[Point]:
    """`run`, and if it proved the program infeasible why that is so, as far as `left` seconds allow."""
    if run.status is not Status.INFEASIBLE:
        return run
    from stackopt.exact.diagnosis import diagnose

    return dataclasses.replace(run, explanation=diagnose(program, time_limit=max(min(left, EXPLAINED), 0.0)).lines)


def search_bilevel(program: BilevelProgram, *, time_limit: float, seed: int = 0, report: Report | None = None, processes: int = 1) -> Run[Point]:
    """Search by the route that fits."""
    chosen = route(program)
    if chosen == "pessimistic":
        reduction = pessimistic(program)
        run = search_bilevel(reduction.target, time_limit=time_limit, seed=seed, report=report, processes=processes)
        candidate = None if run.candidate is None else reduction.lift(run.candidate)
        return Run(run.status, candidate, run.bound, run.stats, run.because)
    if chosen == "branching":
        from stackopt.exact.branching import complementarity_branching

        return complementarity_branching(program, kkt(program), time_limit=time_limit, seed=seed, report=report, processes=processes).run(program)
    if chosen == "integer":
        from stackopt.exact.integer import integer_followers

        return integer_followers(program, time_limit=time_limit, seed=seed, report=report).run(program)
    from stackopt.exact.global_search import scip_global

    return scip_global(program, time_limit=time_limit).run(program)


def _scip_available() -> bool:
    from importlib.util import find_spec

    return find_spec("pyscipopt") is not None


def _no_scip(program: BilevelProgram) -> Refusal:
    """Names what keeps the program from the searches that need no optional package."""
    leader, reasons = program.leader, list[str]()
    form = kkt_refusal(program)
    if form is not None:
        reasons.append(str(form.law["why"]))
    if leader.rows.quadratic:
        reasons.append(f"leader row `{leader.rows.names[next(iter(leader.rows.quadratic))]}` is quadratic")
    if not convex(leader.objective, np.arange(len(program.symbols))):
        reasons.append("the leader's objective is not convex")
    elif leader.objective.quadratic is not None and any(program.kind(k) == "MILP" for k in range(len(program.followers))):
        reasons.append("the leader's objective is quadratic")
    return Refusal("needs-scip", law={"what": "; ".join(reasons)})
