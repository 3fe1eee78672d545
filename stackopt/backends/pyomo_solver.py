"""A `QuadraticProgram` as an ordinary Pyomo model, to be edited or handed to any solver that Pyomo drives."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np

from stackopt.backends.answer import Answer, answer
from stackopt.errors import MissingPackage
from stackopt.programs.quadratic import QuadraticProgram
from stackopt.solution import Refusal, Status

#: What solvers take whose Pyomo interfaces do not say it. Others are asked with `has_capability`.
_FEATURES = {
    "highs": set[str](), "appsi_highs": set[str](),
    "scip_direct": {"sos1", "quadratic_objective", "quadratic_constraint"},
    "scip_persistent": {"sos1", "quadratic_objective", "quadratic_constraint"},
    "gurobi_direct": {"sos1", "quadratic_objective", "quadratic_constraint"},
    "gurobi_persistent": {"sos1", "quadratic_objective", "quadratic_constraint"},
}  # fmt: skip
#: Relative distance of value and bound at which a claimed optimum counts.
GAP = 1e-6
_WORDS = {"sos1": "SOS1 sets", "quadratic_objective": "a quadratic objective", "quadratic_constraint": "quadratic rows"}


def pyomo_model(program: QuadraticProgram) -> Any:
    """The program as a `pyomo.environ.ConcreteModel`.

    Parameters
    ----------
    program : QuadraticProgram

    Returns
    -------
    ConcreteModel
        `v`, a variable indexed by the columns' names; `goal`; `row`, constraints indexed by the rows' names; `sos1`, one set for
        each SOS1 set; `either`, a disjunction for each binary of implications (`pyomo.gdp` transformations restate them).

    Raises
    ------
    MissingPackage
        If Pyomo is not installed.
    """
    pyo = _pyomo("a Pyomo model")
    model = pyo.ConcreteModel(name=program.name)
    names = list(program.names)
    low = {name: None if math.isinf(a) else float(a) for name, a in zip(names, program.lower)}
    high = {name: None if math.isinf(b) else float(b) for name, b in zip(names, program.upper)}
    kind = {name: pyo.Integers if whole else pyo.Reals for name, whole in zip(names, program.integer)}
    for j, name in enumerate(names):
        if program.integer[j] and (program.lower[j], program.upper[j]) == (0.0, 1.0):
            kind[name] = pyo.Binary
    model.v = pyo.Var(names, bounds=lambda m, name: (low[name], high[name]), domain=lambda m, name: kind[name])
    columns = [model.v[name] for name in names]
    used = np.flatnonzero(program.linear)
    sense = pyo.minimize if program.sense == "min" else pyo.maximize
    model.goal = pyo.Objective(expr=program.constant + _expression(columns, used, program.linear[used], program.quadratic), sense=sense)
    model.row = pyo.Constraint(list(program.row_names))
    matrix = program.matrix.tocsr()
    for i, name in enumerate(program.row_names):
        part = slice(matrix.indptr[i], matrix.indptr[i + 1])
        a, b = float(program.row_lower[i]), float(program.row_upper[i])
        left = _expression(columns, matrix.indices[part], matrix.data[part], program.row_quadratic.get(i))
        if math.isinf(a) and math.isinf(b):
            continue
        if isinstance(left, int | float):  # an empty row says something about 0
            model.row[name] = pyo.Constraint.Feasible if a <= 0.0 <= b else pyo.Constraint.Infeasible
        else:
            model.row[name] = left == a if a == b else pyo.inequality(None if math.isinf(a) else a, left, None if math.isinf(b) else b)
    if program.sos1:
        members = {name: [names[j] for j in columns_of] for name, columns_of in program.sos1}
        model.sos1 = pyo.SOSConstraint(list(members), var=model.v, index=members, sos=1)
    if program.implications:
        _disjunctions(model, program, columns)
    return model


def solve_program(program: QuadraticProgram, solver: str, *, time_limit: float = 60.0) -> Answer:
    """Optimise `program` with a solver that Pyomo drives; see `refusal` for what it must take.

    Parameters
    ----------
    program : QuadraticProgram
    solver : str
        A name of `pyomo.environ.SolverFactory`.
    time_limit : float
        Seconds.

    Returns
    -------
    Answer
        OPTIMAL is the solver's claim, accepted if its own bound agrees to `GAP`; most solvers stop at a relative gap of 1e-4 unless told
        otherwise, and then it is LIMIT.
    """
    pyo = _pyomo("a solver driven by Pyomo")
    begun = time.perf_counter()
    none = -np.inf if program.sense == "min" else np.inf
    if time_limit <= 0:
        return Answer(Status.LIMIT, None, np.nan, none, np.nan, 0, 0.0, "time limit 0")
    model = pyomo_model(program)
    results = pyo.SolverFactory(solver).solve(model, load_solutions=False, timelimit=math.ceil(time_limit))
    word = str(results.solver.termination_condition)
    status = _STATUSES.get(word, Status.FAILED)
    point = None
    if status in (Status.OPTIMAL, Status.LIMIT) and len(results.solution):
        model.solutions.load_from(results)
        values = [model.v[name].value for name in program.names]
        lower = np.where(np.isfinite(program.lower), program.lower, 0.0)
        point = np.array([np.clip(lower[j], None, program.upper[j]) if a is None else a for j, a in enumerate(values)], float)
    bound = _number(results.problem.lower_bound if program.sense == "min" else results.problem.upper_bound, none)
    because = f"{solver}: {word}"
    if status is Status.OPTIMAL and point is not None:
        gap = abs(program.value(point) - bound)
        if not gap <= GAP * max(1.0, abs(bound) if np.isfinite(bound) else 1.0):
            status, because = Status.LIMIT, f"{because}, but " + (f"its bound leaves a gap of {gap:.3g}" if np.isfinite(bound) else "without a bound")
    return answer(program, status, point, bound, 0, time.perf_counter() - begun, because)


def refusal(program: QuadraticProgram, solver: str) -> Refusal | None:
    """Why `solver` does not solve `program`, if it does not: unknown, absent, or without something the program needs.

    Raises
    ------
    MissingPackage
        If Pyomo is not installed.
    """
    pyo = _pyomo("a solver driven by Pyomo")
    from pyomo.common.log import LoggingIntercept

    with LoggingIntercept(module="pyomo"):  # it logs a traceback for a name that it does not know
        found = pyo.SolverFactory(solver)
    try:
        present = type(found).__name__ != "UnknownSolver" and bool(found.available(exception_flag=False))
    except Exception:  # an interface that cannot even say so
        present = False
    if not present:
        return Refusal("no-solver", law={"solver": solver})
    if program.implications:
        return Refusal("solver-features", law={"solver": solver, "what": "implications through Pyomo"}, remedy='solver="scip"')
    needs = {"sos1": bool(program.sos1), "quadratic_objective": program.curved, "quadratic_constraint": bool(program.row_quadratic)}
    for feature, needed in needs.items():
        if needed and not _takes(found, solver, feature):
            return Refusal("solver-features", law={"solver": solver, "what": _WORDS[feature]}, remedy='solver="scip"')
    return None


def _takes(found: Any, solver: str, feature: str) -> bool:
    if solver in _FEATURES:
        return feature in _FEATURES[solver]
    ask = getattr(found, "has_capability", None)
    return bool(ask is not None and ask(feature))


def _pyomo(feature: str) -> Any:
    try:
        import pyomo.environ as pyo
    except ImportError:
        raise MissingPackage("package", feature=feature, package="pyomo") from None
    return pyo


def _expression(columns: list[Any], where: Any, values: Any, form: Any) -> Any:
    parts = [float(a) * columns[j] for j, a in zip(where, values) if a]
    if form is not None:
        found = form.tocoo()
        parts += [float(a) * columns[i] * columns[j] for i, j, a in zip(*found.coords, found.data) if a]
    return sum(parts) if parts else 0.0


def _disjunctions(model: Any, program: QuadraticProgram, columns: list[Any]) -> None:
    """``binary = 1 -> row`` and ``binary = 0 -> row`` as two disjuncts, tied to the binary."""
    import pyomo.environ as pyo
    from pyomo.gdp import Disjunct, Disjunction

    binaries = sorted({implication.binary for implication in program.implications})
    names = [program.names[j] for j in binaries]
    model.case = Disjunct(names, [0, 1])
    for j in binaries:
        for value in (0, 1):
            disjunct = model.case[program.names[j], value]
            disjunct.row = pyo.ConstraintList()
            disjunct.row.add(columns[j] == value)
            for implication in program.implications:
                if implication.binary == j and int(implication.active) == value:
                    disjunct.row.add(_expression(columns, implication.columns, implication.values, None) <= implication.upper)
    model.either = Disjunction(names, rule=lambda m, name: [m.case[name, 0], m.case[name, 1]])


def _number(value: Any, otherwise: float) -> float:
    try:
        found = float(value)
    except (TypeError, ValueError):
        return otherwise
    return otherwise if math.isnan(found) or abs(found) >= 1e20 else found


#: Every termination that is not listed here is FAILED.
_STATUSES = {
    "optimal": Status.OPTIMAL, "globallyOptimal": Status.OPTIMAL, "infeasible": Status.INFEASIBLE, "unbounded": Status.UNBOUNDED,
    "maxTimeLimit": Status.LIMIT, "maxIterations": Status.LIMIT, "maxEvaluations": Status.LIMIT, "userInterrupt": Status.LIMIT,
}  # fmt: skip
