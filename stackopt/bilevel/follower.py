"""What a follower answers when everything that it does not decide is fixed: its own program, solved again on its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from stackopt.backends.matrix import Solved, descent, minimise
from stackopt.bilevel.point import Array
from stackopt.bilevel.program import BilevelProgram
from stackopt.errors import MissingPackage
from stackopt.solution import Status

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True, eq=False)
class Response:
    """A follower's answer.

    Attributes
    ----------
    status : Status
        OPTIMAL, INFEASIBLE (it has no answer), UNBOUNDED (no best answer), LIMIT or FAILED.
    value : float
        The follower's optimal value in its own sense; NaN without one.
    variables : array [n_k] or None
        One optimum, in the order of ``program.owned(k)``.
    because : str
    ray : array [n_k] or None
        For UNBOUNDED: a direction along which the follower improves for ever.
    """

    status: Status
    value: float
    variables: Array | None
    because: str
    ray: Array | None = None


@dataclass(frozen=True, eq=False)
class FollowerProgram:
    r"""Follower k's program with everything else fixed, minimised: :math:`c_0 + c^\top y + \tfrac12 y^\top Hy`.

    Attributes
    ----------
    columns : int array [n_k]
    linear : array [n_k]
    hessian : sparse [n_k, n_k], symmetric
    constant : float
    matrix : sparse [m_k, n_k]
    row_lower, row_upper : array [m_k]
    lower, upper : array [n_k]
    integer : bool array [n_k]
    quadratic : mapping of int to sparse [n_k, n_k]
        Symmetric matrices F of rows with a term 1/2 y'Fy.
    sign : float
        -1 if the follower maximises and its objective was negated.
    """

    columns: Any
    linear: Array
    hessian: csr_array
    constant: float
    matrix: csr_array
    row_lower: Array
    row_upper: Array
    lower: Array
    upper: Array
    integer: Any
    quadratic: dict[int, csr_array]
    sign: float

    def value(self, y: Array) -> float:
        """The objective at `y` [n_k], minimised."""
        return self.constant + float(self.linear @ y) + 0.5 * float(y @ (self.hessian @ y))


def follower_program(program: BilevelProgram, k: int, values: Array) -> FollowerProgram:
    """Follower `k`'s program when all variables it does not own are at `values` [n]."""
    from scipy import sparse

    n, mine, level = program.size, program.owned(k), program.followers[k]
    rest = np.array(values, float)
    rest[mine] = 0.0
    objective, sign = level.objective, level.objective.sign
    linear, hessian, constant = _restricted(objective.linear[:n], objective.quadratic, rest, mine)
    fixed = np.asarray(level.rows.matrix[:, :n] @ rest, float)
    matrix = sparse.csr_array(level.rows.matrix[:, mine])
    quadratic = {}
    for row, form in level.rows.quadratic.items():
        extra, second, shift = _restricted(np.zeros(n), form, rest, mine)
        fixed[row] += shift
        if extra.any():
            matrix = sparse.csr_array(matrix + sparse.csr_array((extra, (np.full(len(mine), row), np.arange(len(mine)))), shape=matrix.shape))
        if second.nnz:
            quadratic[row] = second
    return FollowerProgram(
        mine, sign * linear, sparse.csr_array(sign * hessian), sign * (objective.constant + constant), matrix,
        level.rows.lower - fixed, level.rows.upper - fixed, program.lower[mine], program.upper[mine], program.integer[mine], quadratic, sign,
    )


def _restricted(linear: Array, form: Any, rest: Array, mine: Any) -> tuple[Array, Any, float]:
    """A quadratic function of all variables as one of `mine`: (linear, symmetric hessian, constant)."""
    from scipy import sparse

    n = len(rest)
    if form is None:
        return linear[mine], sparse.csr_array((len(mine), len(mine))), float(linear @ rest)
    part = sparse.csr_array(form[:n][:, :n])
    both = sparse.csr_array(part + part.T)
    hessian = sparse.csr_array(both[mine][:, mine])
    hessian.eliminate_zeros()
    return linear[mine] + (both @ rest)[mine], hessian, float(linear @ rest) + float(rest @ (part @ rest))


def respond(program: BilevelProgram, k: int, values: Array, *, time_limit: float = 10.0, relaxed: float = 0.0) -> Response:
    """Solve follower `k`'s program with every variable that it does not own fixed at `values` [n].

    Linear, convex quadratic and mixed-integer linear followers go to HiGHS, others to SCIP.

    Parameters
    ----------
    program : BilevelProgram
    k : int
    values : array [n]
    time_limit : float
        Seconds.
    relaxed : float
        Where nothing is feasible, solve again with every side moved so far that the follower's own part of `values` satisfies it,
        if that is at most this much (relative): at a corner rounding alone can leave a follower without an answer.

    Raises
    ------
    MissingPackage
        If the follower needs SCIP and pyscipopt is not installed.
    """
    p = follower_program(program, k, values)
    solved = _solve(program, k, p, time_limit)
    if solved.status is Status.INFEASIBLE and relaxed > 0.0:
        again = _containing(p, values[p.columns], relaxed)
        solved = solved if again is None else _solve(program, k, again, time_limit)
    ray = recession(p) if solved.status is Status.UNBOUNDED else None
    return Response(solved.status, p.sign * solved.value, solved.x, solved.because, ray)


def _containing(p: FollowerProgram, y: Array, most: float) -> FollowerProgram | None:
    """The program with its sides moved to contain `y`, or None if `y` breaks one by more than `most`."""
    activity = p.matrix @ y
    for row, form in p.quadratic.items():
        activity[row] += 0.5 * float(y @ (form @ y))
    broken = max(
        float(part.max(initial=0.0)) for part in (p.row_lower - activity, activity - p.row_upper, p.lower - y, y - p.upper)
    )
    if not 0.0 < broken <= most * (1.0 + np.abs(y).max(initial=0.0) + np.abs(activity).max(initial=0.0)):
        return None
    room = 2.0 * broken
    return replace(
        p, row_lower=np.minimum(p.row_lower, activity - room * (p.row_lower > activity - broken)),
        row_upper=np.maximum(p.row_upper, activity + room * (p.row_upper < activity + broken)),
        lower=np.minimum(p.lower, y), upper=np.maximum(p.upper, y),
    )


def _solve(program: BilevelProgram, k: int, p: FollowerProgram, time_limit: float) -> Solved:
    kind = program.kind(k)
    if kind in ("LP", "QP", "MILP") and not p.quadratic:
        solved = minimise(
            p.linear, p.matrix, p.row_lower, p.row_upper, p.lower, p.upper,
            hessian=p.hessian, integer=p.integer, constant=p.constant, time_limit=time_limit,
        )
        if kind == "MILP":
            solved = _better(solved, minimise(
                p.linear, p.matrix, p.row_lower, p.row_upper, p.lower, p.upper, integer=p.integer, constant=p.constant, time_limit=time_limit, presolve=True
            ))
        if solved.status is Status.FAILED and kind == "QP":
            solved = _by_scip(p, time_limit) or solved
    else:
        found = _by_scip(p, time_limit)
        if found is None:
            raise MissingPackage("package", feature=f"re-solving follower `{program.followers[k].name}` ({kind})", package="pyscipopt")
        solved = found
    return solved


def _better(one: Solved, other: Solved) -> Solved:
    """Of two runs of an integer program the one with the better point: a suboptimal answer must not make a follower look optimal."""
    if one.x is None or other.x is None:
        return other if one.x is None and other.x is not None else one
    return other if other.value < one.value else one


def _by_scip(p: FollowerProgram, time_limit: float) -> Solved | None:
    """The answer of SCIP, or None where it is not installed."""
    from stackopt.backends.scip import available, solve_quadratic

    if not available():
        return None
    return solve_quadratic(
        p.linear, p.matrix, p.row_lower, p.row_upper, p.lower, p.upper,
        hessian=p.hessian, quadratic=p.quadratic, integer=p.integer, constant=p.constant, time_limit=time_limit,
    )


def recession(p: FollowerProgram) -> Array | None:
    """A direction [n_k] of largest entry 1 along which the follower improves for ever, or None."""
    if p.quadratic:
        return None
    return descent(p.linear, p.matrix, p.row_lower, p.row_upper, p.lower, p.upper, p.hessian)
