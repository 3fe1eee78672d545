"""HiGHS, called directly: a `Milp` or its linear relaxation in, a checked point with a bound out.

A solver's word is not taken: the point is re-checked against the program, and a point that breaks it is no point. What
remains the caller's to check is optimality; `stackopt.exact.guarded` does.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from stackopt.backends.warm import quiet
from stackopt.programs.milp import Array, Milp
from stackopt.solution import Status

#: Requested accuracy of rows, bounds and reduced costs.
FEASIBILITY = 1e-9
#: Requested distance of integer columns from whole numbers. With a big-M of 1e3 it hides a violation of 1e-6.
INTEGRALITY = 1e-9
#: A returned point that breaks the program by more than this, relative to its largest entry, is not accepted.
ACCEPTED = 1e-6


@dataclass(frozen=True, eq=False)
class MilpResult:
    """What a solver returned, after its point was re-checked.

    Attributes
    ----------
    status : Status
        OPTIMAL, LIMIT, INFEASIBLE, UNBOUNDED or FAILED. OPTIMAL is the solver's claim; only feasibility was re-checked.
    point : array [n] or None
        The solution or incumbent.
    value : float
        Its objective, recomputed; NaN without a point.
    bound : float
        The solver's upper bound on the optimum; infinity if it has none.
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


def solve_milp(
    milp: Milp,
    *,
    time_limit: float = 60.0,
    presolve: bool = True,
    seed: int = 0,
    start: Array | None = None,
    cutoff: float | None = None,
) -> MilpResult:
    """Maximise `milp` to a gap of zero, up to the tolerances above.

    Parameters
    ----------
    milp : Milp
    time_limit : float
        Seconds. At 0 nothing is searched: LIMIT without a point.
    presolve : bool
    seed : int
        Of the solver's own randomness.
    start : array [n], optional
        A feasible point to begin with.
    cutoff : float, optional
        Only look for points whose objective is at least this; INFEASIBLE then means that there is none.

    Returns
    -------
    MilpResult
    """
    begun = time.perf_counter()
    if time_limit <= 0:
        return MilpResult(Status.LIMIT, None, np.nan, np.inf, np.nan, 0, 0.0, "time limit 0")
    if cutoff is not None:
        milp = milp.with_row("cutoff_row", milp.objective, lower=cutoff - milp.offset)
    if not len(milp.columns):
        return MilpResult(Status.OPTIMAL, np.zeros(0), milp.offset, milp.offset, 0.0, 0, 0.0, "no columns")
    import highspy

    solver = _solver(highspy, time_limit, presolve, seed)
    solver.passModel(_model(highspy, milp))
    if start is not None and cutoff is None:
        begin = highspy.HighsSolution()
        begin.col_value = [float(v) for v in start]
        solver.setSolution(begin)
    run_interruptibly(solver)
    return _result(highspy, solver, milp, begun)


def solve_lp(milp: Milp, *, time_limit: float = 60.0, presolve: bool = True, seed: int = 0) -> MilpResult:
    """Maximise the program with integrality dropped; arguments and result as in `solve_milp`."""
    everything_continuous = np.zeros(len(milp.columns), bool)
    return solve_milp(dataclasses.replace(milp, integer=everything_continuous), time_limit=time_limit, presolve=presolve, seed=seed)


def _solver(highspy: Any, time_limit: float, presolve: bool, seed: int) -> Any:
    solver = quiet(highspy)
    for option, value in (
        ("time_limit", float(time_limit)),
        ("presolve", "on" if presolve else "off"),
        ("random_seed", int(seed) % (2**31)),
        ("mip_rel_gap", 0.0),
        ("mip_abs_gap", 1e-9),
        ("mip_feasibility_tolerance", INTEGRALITY),
        ("primal_feasibility_tolerance", FEASIBILITY),
        ("dual_feasibility_tolerance", FEASIBILITY),
    ):
        solver.setOptionValue(option, value)
    return solver


def run_interruptibly(solver: Any) -> None:
    """Search in a thread, so that Ctrl-C is noticed at once: HiGHS is told to stop and the interrupt goes on to the caller."""
    stopped, ended = threading.Event(), threading.Event()

    def ask(event: Any) -> None:
        if stopped.is_set():
            event.interrupt()

    def search() -> None:
        try:
            solver.run()
        finally:
            ended.set()

    solver.cbMipInterrupt += ask
    threading.Thread(target=search, daemon=True).start()
    try:
        while not ended.wait(0.1):  # not Thread.join: once interrupted, it takes the thread for ended
            pass
    except BaseException:
        stopped.set()
        ended.wait(5.0)
        raise


def _model(highspy: Any, milp: Milp) -> Any:
    """HiGHS minimises the negated objective: the form all our comparisons with enumeration were made in."""
    infinity = highspy.kHighsInf
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = len(milp.columns), len(milp.rows)
    lp.col_cost_ = -milp.objective
    lp.offset_ = -milp.offset
    lp.col_lower_, lp.col_upper_ = np.maximum(milp.lower, -infinity), np.minimum(milp.upper, infinity)
    lp.row_lower_, lp.row_upper_ = np.maximum(milp.row_lower, -infinity), np.minimum(milp.row_upper, infinity)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_ = np.searchsorted(milp.entry_row, np.arange(len(milp.rows) + 1)).astype(np.int32)
    lp.a_matrix_.index_ = milp.entry_column.astype(np.int32)
    lp.a_matrix_.value_ = milp.entry_value
    if milp.integer.any():
        kinds = highspy.HighsVarType
        lp.integrality_ = [kinds.kInteger if whole else kinds.kContinuous for whole in milp.integer]
    return lp


def _statuses(highspy: Any) -> dict[Any, Status]:
    """Every model status that is not listed here is FAILED."""
    of = highspy.HighsModelStatus
    limits = (of.kTimeLimit, of.kIterationLimit, of.kSolutionLimit, of.kInterrupt, of.kHighsInterrupt, of.kMemoryLimit)
    return {of.kOptimal: Status.OPTIMAL, of.kInfeasible: Status.INFEASIBLE, of.kUnbounded: Status.UNBOUNDED} | dict.fromkeys(limits, Status.LIMIT)


def _result(highspy: Any, solver: Any, milp: Milp, begun: float) -> MilpResult:
    model_status = solver.getModelStatus()
    because = solver.modelStatusToString(model_status)
    if model_status == highspy.HighsModelStatus.kUnboundedOrInfeasible:
        solver.setOptionValue("presolve", "off")  # presolve alone cannot tell which
        solver.run()
        model_status = solver.getModelStatus()
    status = _statuses(highspy).get(model_status, Status.FAILED)
    info = solver.getInfo()
    whole = bool(milp.integer.any())
    point, value, violation = None, np.nan, np.nan
    if info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible and status in (Status.OPTIMAL, Status.LIMIT):
        point = np.asarray(solver.getSolution().col_value, float)
        violation = milp.violation(point)
        value = milp.value(point)
        if not violation <= ACCEPTED * (1.0 + float(np.abs(point).max())):
            status, because, point, value = Status.FAILED, f"{because}, but the point breaks the program by {violation:.3g}", None, np.nan
    elif status is Status.OPTIMAL:
        status, because = Status.FAILED, f"{because}, but no point was returned"
    bound = -float(info.mip_dual_bound) if whole else (value if status is Status.OPTIMAL else np.inf)
    if status is Status.INFEASIBLE:
        bound = -np.inf
    if not whole and status is Status.LIMIT:
        bound = np.inf
    return MilpResult(status, point, value, bound, violation, max(int(info.mip_node_count), 0), time.perf_counter() - begun, because)
