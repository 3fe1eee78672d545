"""HiGHS on a `QuadraticProgram` that is a mixed-integer linear program, run twice.

One run is not enough: on small programs with proved big-M constants HiGHS 1.16 claimed wrong optima in 3 of 450 cases with presolve and
tolerances of 1e-9, and in 1 of 600 without presolve at that tolerance. So tolerances are 1e-7 here, a second run with the other presolve
setting and another seed has to agree, and where the two differ a third decides; a point that was found refutes whoever claims that there is
nothing as good.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from stackopt.backends.answer import Answer, answer
from stackopt.backends.warm import linear_model, quiet
from stackopt.programs.quadratic import QuadraticProgram
from stackopt.solution import Status

#: Requested accuracy of rows, bounds and whole numbers; the caller makes accurate points of what comes back.
FEASIBILITY = 1e-7
#: Two optima agree to this, relative to one plus their size.
AGREEMENT = 1e-6


def solve_program(program: QuadraticProgram, *, time_limit: float = 60.0, seed: int = 0) -> Answer:
    """Optimise a mixed-integer linear program.

    Parameters
    ----------
    program : QuadraticProgram
        Without products, SOS1 sets and implications.
    time_limit : float
        Seconds, all runs together. At 0 nothing is searched: LIMIT without a point.
    seed : int

    Returns
    -------
    Answer
        OPTIMAL or INFEASIBLE only if two runs agree, or time ran out before the second (`because` says so); FAILED if no two of three do.
    """
    assert program.linear_only
    deadline = time.perf_counter() + time_limit
    if time_limit <= 0:
        none = -np.inf if program.sense == "min" else np.inf
        return Answer(Status.LIMIT, None, np.nan, none, np.nan, 0, 0.0, "time limit 0")
    runs = [_once(program, False, seed, time_limit)]
    for presolve, shift in ((True, 1), (False, 2)):
        left = deadline - time.perf_counter()
        if runs[0].status not in (Status.OPTIMAL, Status.INFEASIBLE, Status.FAILED):
            return runs[0]
        if left <= 0:
            return _noted(runs[0], "not confirmed, no time left")
        runs.append(_once(program, presolve, seed + shift, left))
        found = _agreed(program, runs)
        if found is not None:
            return found
    none = -np.inf if program.sense == "min" else np.inf
    said = "; ".join(f"{run.status} {run.value:.9g}" for run in runs)
    return Answer(Status.FAILED, None, np.nan, none, np.nan, sum(r.nodes for r in runs), sum(r.seconds for r in runs), f"HiGHS contradicts itself: {said}")


def _agreed(program: QuadraticProgram, runs: list[Answer]) -> Answer | None:
    """The best of two runs that agree, the last among them, unless another found something better."""
    last = runs[-1]
    if last.status is Status.LIMIT:
        return _noted(runs[0], "the confirming run did not finish") if runs[0].status is not Status.FAILED else last
    sign = 1.0 if program.sense == "min" else -1.0
    best = min((sign * run.value for run in runs if run.point is not None), default=np.inf)
    for run in runs[:-1]:
        same = run.status is last.status is Status.INFEASIBLE or (
            run.status is last.status is Status.OPTIMAL and abs(run.value - last.value) <= AGREEMENT * (1.0 + abs(last.value))
        )
        refuted = best < sign * last.value - AGREEMENT * (1.0 + abs(best)) if last.point is not None else np.isfinite(best)
        if same and not refuted:
            return _noted(run, "confirmed by a second run")
    return None


def _noted(run: Answer, note: str) -> Answer:
    return Answer(run.status, run.point, run.value, run.bound, run.violation, run.nodes, run.seconds, f"{run.because}, {note}")


def _once(program: QuadraticProgram, presolve: bool, seed: int, time_limit: float) -> Answer:
    import highspy

    begun = time.perf_counter()
    sign = 1.0 if program.sense == "min" else -1.0
    solver = quiet(highspy)
    for option, value in (
        ("time_limit", float(time_limit)), ("presolve", "on" if presolve else "off"), ("random_seed", int(seed) % (2**31)), ("mip_rel_gap", 0.0),
        ("mip_abs_gap", 1e-9), ("mip_feasibility_tolerance", FEASIBILITY), ("primal_feasibility_tolerance", FEASIBILITY),
        ("dual_feasibility_tolerance", FEASIBILITY),
    ):
        solver.setOptionValue(option, value)
    model = linear_model(
        highspy, sign * program.linear, program.matrix.tocsr(), program.row_lower, program.row_upper, program.lower, program.upper, program.integer
    )
    solver.passModel(model)
    solver.run()
    return _answer(highspy, solver, program, sign, time.perf_counter() - begun)


def _answer(highspy: Any, solver: Any, program: QuadraticProgram, sign: float, seconds: float) -> Answer:
    of = highspy.HighsModelStatus
    model_status = solver.getModelStatus()
    because = f"HiGHS: {solver.modelStatusToString(model_status)}"
    if model_status == of.kUnboundedOrInfeasible:
        solver.setOptionValue("presolve", "off")  # presolve alone cannot tell which
        solver.run()
        model_status = solver.getModelStatus()
    limits = (of.kTimeLimit, of.kIterationLimit, of.kSolutionLimit, of.kInterrupt, of.kHighsInterrupt, of.kMemoryLimit)
    statuses = {of.kOptimal: Status.OPTIMAL, of.kInfeasible: Status.INFEASIBLE, of.kUnbounded: Status.UNBOUNDED} | dict.fromkeys(limits, Status.LIMIT)
    status = statuses.get(model_status, Status.FAILED)
    info = solver.getInfo()
    found = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible and status in (Status.OPTIMAL, Status.LIMIT)
    point = np.array(solver.getSolution().col_value, float) if found else None
    whole = bool(program.integer.any())
    bound = float(info.mip_dual_bound) if whole else float(info.objective_function_value) if status is Status.OPTIMAL else -np.inf
    return answer(program, status, point, sign * bound + program.constant, max(int(info.mip_node_count), 0), seconds, because)
