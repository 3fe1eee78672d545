"""SCIP, called through pyscipopt: quadratic programs, convex or not, with integers, SOS1 sets and implications, globally.

An optional package. A solver's word is not taken: the point is re-checked here, and the bilevel problem re-solves followers.
"""

from __future__ import annotations

import importlib.util
import math
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from stackopt.backends.answer import Answer, answer
from stackopt.backends.matrix import Solved, minimise
from stackopt.errors import MissingPackage
from stackopt.programs.milp import Array
from stackopt.programs.quadratic import QuadraticProgram, upper_triangle
from stackopt.solution import Status

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

#: Requested accuracy of rows and bounds, relative to their sides. Smaller ones are beyond SCIP's LP solver in double precision.
FEASIBILITY = 1e-7
#: For programs in which that tolerance is worth something. SCIP's LP solver then says on stderr that it cannot follow all the way.
FINE = 1e-9
#: Where nothing bounds the objective, better values than this times its largest coefficient are not asked for.
CAP = 1e6


def available() -> bool:
    """Whether pyscipopt is installed."""
    return importlib.util.find_spec("pyscipopt") is not None


def require(feature: str) -> None:
    """Raises MissingPackage if pyscipopt is not installed."""
    if not available():
        raise MissingPackage("package", feature=feature, package="pyscipopt")


def solve_program(program: QuadraticProgram, *, time_limit: float = 60.0, seed: int = 0, feasibility: float = FEASIBILITY) -> Answer:
    """Optimise `program` globally.

    Parameters
    ----------
    program : QuadraticProgram
        Not necessarily convex; SOS1 sets and implications are passed as such, no constant is invented.
    time_limit : float
        Seconds. At 0 nothing is searched: LIMIT without a point.
    seed : int
        Of SCIP's randomness.
    feasibility : float
        SCIP's feasibility tolerance.

    Returns
    -------
    Answer
        OPTIMAL is SCIP's claim; only feasibility was re-checked. UNBOUNDED with a point: it reaches `CAP`, which is no proof.

    Notes
    -----
    SCIP 10 was seen to call programs with SOS1 sets optimal, or infeasible, whose objective improves for ever: cells whose linear relaxation
    is unbounded got lost. So where a direction of the relaxation improves for ever, the objective is kept within `CAP`.

    Raises
    ------
    MissingPackage
        If pyscipopt is not installed.
    """
    require("this method")
    begun = time.perf_counter()
    none = -np.inf if program.sense == "min" else np.inf
    if time_limit <= 0:
        return Answer(Status.LIMIT, None, np.nan, none, np.nan, 0, 0.0, "time limit 0")
    import pyscipopt

    model = pyscipopt.Model(program.name)
    model.hideOutput()
    # SCIP 10 was seen to lose the optimum of small programs with implications by strong dual reductions (tests/reformulations/test_forms.py)
    settings = [("misc/allowstrongdualreds", False)] if program.implications or program.sos1 else []
    for option, value in (
        *settings,
        ("limits/time", float(time_limit)), ("limits/gap", 0.0), ("limits/absgap", 0.0),
        ("numerics/feastol", feasibility), ("numerics/dualfeastol", feasibility),
        ("randomization/randomseedshift", int(seed) % (2**31)), ("parallel/maxnthreads", 1),
    ):
        model.setParam(option, value)
    cap = CAP * (1.0 + np.abs(program.linear).max(initial=0.0)) if _falls(program) else math.inf
    columns = _columns(model, program, cap)
    _rows(model, program, columns, feasibility)
    fault = _run(model)
    if fault:
        return Answer(Status.FAILED, None, np.nan, none, np.nan, 0, time.perf_counter() - begun, fault)
    status = _STATUSES.get(model.getStatus(), Status.FAILED)
    point: Array | None = None
    if status in (Status.OPTIMAL, Status.LIMIT) and model.getNSols() > 0:
        best: Any = model.getBestSol()
        point = np.array([float(best[column]) for column in columns])
    bound = float(model.getDualbound())
    bound = none if abs(bound) >= model.infinity() else bound
    found = answer(program, status, point, bound, int(model.getNNodes()), time.perf_counter() - begun, f"SCIP: {model.getStatus()}")
    model.freeProb()
    sign = 1.0 if program.sense == "min" else -1.0
    if found.status is Status.OPTIMAL and sign * found.value <= 1e-3 * cap - cap:
        said = f"SCIP: a point worth {found.value:.3g}, and a direction of the relaxation that improves for ever"
        return replace(found, status=Status.UNBOUNDED, bound=none, because=said)
    return replace(found, bound=none) if sign * found.bound <= -cap else found


def _falls(program: QuadraticProgram) -> bool:
    """Whether a direction keeps rows and bounds, SOS1 sets and implications aside, and improves the objective for ever, as far as linear
    rows and an objective without curvature along it show."""
    from scipy import sparse

    sign = 1.0 if program.sense == "min" else -1.0
    low, high = np.where(np.isfinite(program.row_lower), 0.0, -np.inf), np.where(np.isfinite(program.row_upper), 0.0, np.inf)
    curved = list(program.row_quadratic)
    low[curved], high[curved] = -np.inf, np.inf
    matrix = program.matrix
    if program.quadratic is not None:
        matrix = sparse.vstack([matrix, program.quadratic + program.quadratic.T], format="csr")
        low, high = np.append(low, np.zeros(len(program.names))), np.append(high, np.zeros(len(program.names)))
    left, right = np.where(np.isfinite(program.lower), 0.0, -1.0), np.where(np.isfinite(program.upper), 0.0, 1.0)
    found = minimise(sign * program.linear, sparse.csr_array(matrix), low, high, left, right)
    return found.status is Status.OPTIMAL and found.value < -1e-9


def solve_quadratic(
    linear: Array,
    matrix: csr_array,
    row_lower: Array,
    row_upper: Array,
    lower: Array,
    upper: Array,
    *,
    hessian: csr_array | None = None,
    quadratic: Mapping[int, csr_array] | None = None,
    integer: NDArray[np.bool_] | None = None,
    constant: float = 0.0,
    time_limit: float = 60.0,
) -> Solved:
    r"""Minimise :math:`c_0 + c^\top x + \tfrac12 x^\top Hx` globally in plain arrays: nothing has to be convex.

    Parameters
    ----------
    linear : array [n]
    matrix : sparse [m, n]
    row_lower, row_upper : array [m]
    lower, upper : array [n]
    hessian : sparse [n, n], symmetric, optional
    quadratic : mapping of int to sparse [n, n], symmetric, optional
        Matrices F of rows that have a term 1/2 x'Fx.
    integer : bool array [n], optional
    constant, time_limit : float

    Returns
    -------
    Solved
        Without multipliers.

    Raises
    ------
    MissingPackage
        If pyscipopt is not installed.
    """
    n, m = len(linear), matrix.shape[0]
    program = QuadraticProgram(
        tuple(f"x{j}" for j in range(n)), lower, upper, np.zeros(n, bool) if integer is None else integer, linear, tuple(f"r{i}" for i in range(m)),
        matrix, row_lower, row_upper, None if hessian is None else upper_triangle(hessian), constant, "min",
        {i: upper_triangle(form) for i, form in (quadratic or {}).items()},
    )
    found = solve_program(program, time_limit=time_limit)
    return Solved(found.status, found.point, found.value, found.bound, None, None, found.because)


# --- the model -------------------------------------------------------------------------------------------------------


def _columns(model: Any, program: QuadraticProgram, cap: float) -> list[Any]:
    """Variables in order. SCIP's objective is linear, so a curved one becomes a variable held above (below) it by a row; so does one that
    must stay within `cap`."""
    curved = program.curved or math.isfinite(cap)
    columns = []
    for j in range(len(program.names)):
        low, high = float(program.lower[j]), float(program.upper[j])
        binary = program.integer[j] and low == 0.0 and high == 1.0
        columns.append(model.addVar(
            name=f"v{j}", vtype="B" if binary else "I" if program.integer[j] else "C", lb=None if math.isinf(low) else low,
            ub=None if math.isinf(high) else high, obj=0.0 if curved else float(program.linear[j]),
        ))
    model.addObjoffset(program.constant)
    if curved:
        least, most = (None if math.isinf(cap) else side * cap for side in (-1.0, 1.0))
        goal = model.addVar(name="objective", vtype="C", lb=least if program.sense == "min" else None, ub=None if program.sense == "min" else most, obj=1.0)
        value = _expression(columns, np.flatnonzero(program.linear), program.linear[np.flatnonzero(program.linear)], program.quadratic)
        model.addCons(goal >= value if program.sense == "min" else goal <= value)
    (model.setMinimize if program.sense == "min" else model.setMaximize)()
    return columns


def _rows(model: Any, program: QuadraticProgram, columns: list[Any], feasibility: float) -> None:
    matrix = program.matrix.tocsr()
    for i in range(len(program.row_names)):
        low, high = float(program.row_lower[i]), float(program.row_upper[i])
        part = slice(matrix.indptr[i], matrix.indptr[i + 1])
        where, values = matrix.indices[part], matrix.data[part]
        left = _expression(columns, where, values, program.row_quadratic.get(i))
        if isinstance(left, float | int):  # an empty row: a statement about 0
            if not low - feasibility <= 0.0 <= high + feasibility:
                impossible = model.addVar(name=f"row{i}", lb=0.0, ub=0.0)
                model.addCons(impossible >= 1.0)
            continue
        if low == high:
            model.addCons(left == low)
            continue
        if math.isfinite(low):
            model.addCons(left >= low)
        if math.isfinite(high):
            model.addCons(left <= high)
    for _, members in program.sos1:
        model.addConsSOS1([columns[j] for j in members], [float(weight) for weight in range(1, len(members) + 1)])
    for implication in program.implications:
        left = _expression(columns, implication.columns, implication.values, None)
        if isinstance(left, float | int):  # an empty row: it holds, or the binary is off
            if not implication.upper >= -feasibility:
                model.addCons(columns[implication.binary] == (0.0 if implication.active else 1.0))
            continue
        model.addConsIndicator(left <= implication.upper, columns[implication.binary], activeone=implication.active)


def _expression(columns: list[Any], where: Any, values: Any, form: Any) -> Any:
    from pyscipopt import quicksum

    parts = [float(a) * columns[j] for j, a in zip(where, values) if a]
    if form is not None:
        found = form.tocoo()
        parts += [float(a) * columns[i] * columns[j] for i, j, a in zip(*found.coords, found.data) if a]
    return quicksum(parts) if parts else 0.0


def _run(model: Any) -> str:
    """Search in the caller's thread: in a thread of its own, SCIP 10 was seen to crash after a few dozen programs.

    SCIP catches Ctrl-C itself; the interrupt goes on to the caller. Returns what went wrong inside SCIP, in words; empty if nothing did.
    """
    try:
        model.optimizeNogil()
    except Exception as error:
        return str(error)
    if model.getStatus() == "userinterrupt":
        raise KeyboardInterrupt
    return ""


#: Where SCIP stopped early. Every status that stands neither here nor below is FAILED: "inforunbd" says that SCIP cannot tell which.
_LIMITS = (
    "timelimit", "nodelimit", "totalnodelimit", "stallnodelimit", "memlimit", "gaplimit", "sollimit", "primallimit", "duallimit",
)  # fmt: skip
_STATUSES = {"optimal": Status.OPTIMAL, "infeasible": Status.INFEASIBLE, "unbounded": Status.UNBOUNDED} | dict.fromkeys(_LIMITS, Status.LIMIT)
