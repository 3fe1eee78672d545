"""HiGHS on a program in plain arrays: linear, convex quadratic or mixed-integer linear; the answer re-checked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stackopt.backends.highs import run_interruptibly
from stackopt.backends.warm import FEASIBILITY, linear_model, quiet
from stackopt.solution import Status

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Array = NDArray[np.float64]
#: Accuracy asked of integer programs: at 1e-9 HiGHS was seen to claim wrong optima, with presolve more often than without.
INTEGER_FEASIBILITY = 1e-7
#: A point that breaks a row or bound by more than this, relative to the entries of the point, is not accepted.
ACCEPTED = 1e-6
#: HiGHS adds this to the diagonal of a Hessian. Its default 1e-7 leaves multipliers of the wrong sign: one in three of 120 random
#: semidefinite programs was then refused here; 1 at this value; 0 makes singular Hessians fail.
REGULARISATION = 1e-10


@dataclass(frozen=True, eq=False)
class Solved:
    """What HiGHS returned.

    Attributes
    ----------
    status : Status
        OPTIMAL, INFEASIBLE, UNBOUNDED, LIMIT or FAILED.
    x : array [n] or None
    value : float
        Recomputed at `x`; NaN without a point.
    bound : float
        Lower bound on the minimum: from the multipliers for a linear or quadratic program, from the search for an integer one.
    row_dual, col_dual : array [m], [n] or None
        Derivatives of the minimum with respect to the active sides; None for integer programs.
    because : str
    """

    status: Status
    x: Array | None
    value: float
    bound: float
    row_dual: Array | None
    col_dual: Array | None
    because: str


def minimise(
    linear: Array,
    matrix: csr_array,
    row_lower: Array,
    row_upper: Array,
    lower: Array,
    upper: Array,
    *,
    hessian: csr_array | None = None,
    integer: NDArray[np.bool_] | None = None,
    constant: float = 0.0,
    time_limit: float = 60.0,
    presolve: bool = False,
    interior: bool = False,
) -> Solved:
    r"""Minimise :math:`c_0 + c^\top x + \tfrac12 x^\top Hx` over rows and bounds.

    Parameters
    ----------
    linear : array [n]
    matrix : sparse [m, n]
    row_lower, row_upper : array [m]
    lower, upper : array [n]
    hessian : sparse [n, n], symmetric positive semidefinite, optional
        Not together with integer columns, which HiGHS does not take.
    integer : bool array [n], optional
    constant, time_limit : float
    presolve : bool
    interior : bool
        Whether a quadratic program is given to the interior-point method first: on long ones, such as days of a network, the active-set
        method can cycle at the optimum until its time is over.

    Returns
    -------
    Solved
        A quadratic optimum is accepted only if its multipliers prove it to 1e-6: HiGHS's active-set method can stop early.
    """
    whole = integer is not None and bool(integer.any())
    curved = hessian is not None and hessian.nnz > 0
    assert not (whole and curved)
    given = (linear, matrix, row_lower, row_upper, lower, upper, hessian if curved else None, integer if whole else None, constant)
    if curved and interior:
        nothing = Solved(Status.FAILED, None, np.nan, -np.inf, None, None, "")
        found = _by_interior_point(nothing, given, time_limit)
        if found.status is Status.OPTIMAL:
            return found
    found = _solved(*given, time_limit, presolve, REGULARISATION)
    if curved and _doubtful(found, given):  # it cycled, stopped early, or saw a ray that is none: more regularisation, held to the same proof
        found = _solved(*given, time_limit, presolve, 1e-7)
        if _doubtful(found, given):
            found = _by_interior_point(found, given, time_limit)
    return found


def _by_interior_point(found: Solved, given: tuple[Any, ...], time_limit: float) -> Solved:
    """Another method's answer, accepted if its multipliers prove it; else the failure."""
    from stackopt.backends.interior_point import interior_point

    linear, matrix, row_lower, row_upper, lower, upper, hessian, _, constant = given
    answer = interior_point(linear, matrix, row_lower, row_upper, lower, upper, hessian, time_limit=time_limit)
    failed = replace(found, status=Status.FAILED, x=None, value=np.nan, bound=-np.inf)
    if answer is None:
        return failed
    x, duals = np.clip(answer[0], lower, upper), answer[1]
    broken = violation(x, matrix, row_lower, row_upper, lower, upper)
    value = constant + float(linear @ x) + 0.5 * float(x @ (hessian @ x))
    # multipliers of sides that are missing are rounding; what they stand for is in the gap of the reduced costs
    duals = np.where((duals > 0) & np.isinf(row_lower), 0.0, np.where((duals < 0) & np.isinf(row_upper), 0.0, duals))
    reduced = np.asarray(linear + hessian @ x - matrix.T @ duals, float)
    gap = duality_gap(x, duals, reduced, matrix, row_lower, row_upper, lower, upper)
    if not (broken <= ACCEPTED * (1.0 + np.abs(x).max(initial=0.0)) and gap <= ACCEPTED * (1.0 + abs(value))):
        return failed
    return Solved(Status.OPTIMAL, x, value, value - gap, duals, reduced, "interior point, proved by its multipliers")


def _doubtful(found: Solved, given: tuple[Any, ...]) -> bool:
    """Whether a quadratic answer is not to be believed: a failure, or "unbounded" without a direction that shows it."""
    return found.status is Status.FAILED or (found.status is Status.UNBOUNDED and descent(*given[:7]) is None)


def descent(
    linear: Array, matrix: csr_array, row_lower: Array, row_upper: Array, lower: Array, upper: Array, hessian: csr_array | None = None
) -> Array | None:
    """A direction [n] of largest entry 1 along which a feasible convex program falls for ever, or None: every finite side is kept, the
    objective falls linearly and has no curvature.
    """
    from scipy import sparse

    low, high = np.where(np.isfinite(row_lower), 0.0, -np.inf), np.where(np.isfinite(row_upper), 0.0, np.inf)
    if hessian is not None:
        flat = np.zeros(hessian.shape[0])
        matrix = sparse.csr_array(sparse.vstack([matrix, hessian], format="csr"))
        low, high = np.concatenate([low, flat]), np.concatenate([high, flat])
    found = minimise(linear, matrix, low, high, np.where(np.isfinite(lower), 0.0, -1.0), np.where(np.isfinite(upper), 0.0, 1.0))
    if found.x is None or not found.value < -1e-9 * max(1.0, float(np.abs(linear).max(initial=0.0))):
        return None
    return np.asarray(found.x / np.abs(found.x).max(), float)


def _solved(
    linear: Array, matrix: csr_array, row_lower: Array, row_upper: Array, lower: Array, upper: Array, hessian: csr_array | None,
    integer: NDArray[np.bool_] | None, constant: float, time_limit: float, presolve: bool, regularisation: float,
) -> Solved:
    import highspy

    whole, curved = integer is not None, hessian is not None
    iterations = 1000 + 50 * sum(matrix.shape)
    tolerance = INTEGER_FEASIBILITY if whole else FEASIBILITY
    solver = quiet(highspy)
    for option, value in (
        ("time_limit", float(max(time_limit, 0.0))), ("presolve", "on" if presolve else "off"), ("mip_rel_gap", 0.0), ("mip_abs_gap", 1e-9),
        ("mip_feasibility_tolerance", tolerance), ("primal_feasibility_tolerance", tolerance), ("dual_feasibility_tolerance", tolerance),
        ("qp_regularization_value", regularisation), ("qp_iteration_limit", iterations),
    ):
        solver.setOptionValue(option, value)
    model = linear_model(highspy, linear, matrix, row_lower, row_upper, lower, upper, integer if whole else None)
    if curved:
        full = highspy.HighsModel()
        full.lp_ = model
        full.hessian_ = _hessian(highspy, hessian)
        model = full
    solver.passModel(model)
    if whole:
        run_interruptibly(solver)
    else:
        solver.run()
    status, because = _status(highspy, solver)
    if curved and solver.getModelStatus() == highspy.HighsModelStatus.kIterationLimit:
        return Solved(Status.FAILED, None, np.nan, -np.inf, None, None, f"the active-set method cycled for {iterations} iterations")
    if status not in (Status.OPTIMAL, Status.LIMIT) or solver.getInfo().primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
        failed = status is Status.OPTIMAL
        return Solved(Status.FAILED if failed else status, None, np.nan, np.inf if status is Status.INFEASIBLE else -np.inf, None, None, because)
    found = solver.getSolution()
    x = np.array(found.col_value, float)
    if integer is not None:
        x = np.where(integer, np.round(x), x)
    broken = violation(x, matrix, row_lower, row_upper, lower, upper)
    if not broken <= ACCEPTED * (1.0 + np.abs(x).max(initial=0.0)):
        return Solved(Status.FAILED, None, np.nan, -np.inf, None, None, f"{because}, but the point breaks the program by {broken:.3g}")
    gradient = linear if not curved else linear + hessian @ x
    value = constant + float(linear @ x) + (0.5 * float(x @ (hessian @ x)) if curved else 0.0)
    if whole:
        return Solved(status, x, value, constant + float(solver.getInfo().mip_dual_bound), None, None, because)
    duals = np.array(found.row_dual, float)
    reduced = np.asarray(gradient - matrix.T @ duals, float)
    bound = value - duality_gap(x, duals, reduced, matrix, row_lower, row_upper, lower, upper)
    if status is Status.OPTIMAL and curved and not value - bound <= ACCEPTED * (1.0 + abs(value)):
        status, because = Status.FAILED, f"{because}, but the multipliers leave a gap of {value - bound:.3g}"
    return Solved(status, x, value, bound, duals, reduced, because)


def duality_gap(
    x: Array, duals: Array, reduced: Array, matrix: csr_array, row_lower: Array, row_upper: Array, lower: Array, upper: Array
) -> float:
    """How far `x` is from the optimum at most, by the multipliers: sum of multiplier times slack; infinity if a multiplier
    has the wrong sign for a missing side.

    For convex f: f(z) >= f(x) + grad f(x)(z - x), and grad f(x) = A'duals + reduced, so f(z) >= f(x) - gap for every feasible z.
    """
    gap = 0.0
    for weights, at, low, high in ((duals, matrix @ x, row_lower, row_upper), (reduced, x, lower, upper)):
        for part, slack in ((np.maximum(weights, 0.0), at - low), (np.maximum(-weights, 0.0), high - at)):
            missing = np.isinf(slack)
            if part[missing].max(initial=0.0) > 1e-7 * (1.0 + np.abs(weights).max(initial=0.0)):
                return np.inf
            gap += float(part[~missing] @ np.maximum(slack[~missing], 0.0))
    return gap


def violation(x: Array, matrix: csr_array, row_lower: Array, row_upper: Array, lower: Array, upper: Array) -> float:
    """The largest amount by which `x` breaks a row or a bound; infinity if it is not finite."""
    if not np.isfinite(x).all():
        return np.inf
    activity = matrix @ x
    return float(max(part.max(initial=0.0) for part in (lower - x, x - upper, row_lower - activity, activity - row_upper)))


def _hessian(highspy: Any, hessian: Any) -> Any:
    """The lower triangle by columns: the layout that HiGHS takes."""
    from scipy import sparse

    triangle = sparse.csc_array(sparse.tril(hessian, format="csc"))
    triangle.sort_indices()
    found = highspy.HighsHessian()
    found.dim_ = hessian.shape[0]
    found.format_ = highspy.HessianFormat.kTriangular
    found.start_ = triangle.indptr.astype(np.int32)
    found.index_ = triangle.indices.astype(np.int32)
    found.value_ = triangle.data.astype(float)
    return found


def _status(highspy: Any, solver: Any) -> tuple[Status, str]:
    of = highspy.HighsModelStatus
    code = solver.getModelStatus()
    if code == of.kUnboundedOrInfeasible:
        solver.setOptionValue("presolve", "off")
        solver.run()
        code = solver.getModelStatus()
    limits = (of.kTimeLimit, of.kIterationLimit, of.kSolutionLimit, of.kInterrupt, of.kHighsInterrupt, of.kMemoryLimit)
    known = {of.kOptimal: Status.OPTIMAL, of.kModelEmpty: Status.OPTIMAL, of.kInfeasible: Status.INFEASIBLE, of.kUnbounded: Status.UNBOUNDED}
    return (known | dict.fromkeys(limits, Status.LIMIT)).get(code, Status.FAILED), solver.modelStatusToString(code)
