"""Methods that restate the optimality conditions as one program and hand it to a solver: big-M, strong duality, SOS1, implications.

The bilevel problem certifies whatever comes back: each follower is solved again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stackopt.backends import scip
from stackopt.backends.answer import Answer
from stackopt.bilevel.kkt import Kkt, kkt, kkt_refusal
from stackopt.bilevel.point import Point
from stackopt.bilevel.program import BilevelProgram
from stackopt.certificate import Bound
from stackopt.display import number
from stackopt.errors import InvalidMethod, Refused
from stackopt.exact.attained import attained
from stackopt.exact.bilevel import OPTIMISTIC_VALUE, Found
from stackopt.exact.global_search import conditions, scip_global
from stackopt.exact.polish import polished
from stackopt.programs.quadratic import QuadraticProgram
from stackopt.reformulations.big_m import big_m, on_their_bound
from stackopt.reformulations.indicator import indicator
from stackopt.reformulations.reduction import Reduction
from stackopt.reformulations.sos1 import sos1
from stackopt.reformulations.strong_duality import strong_duality
from stackopt.solution import Progress, Refusal, Report, Run, Status

Bounds = Mapping[str, float] | tuple[tuple[str, float], ...] | None


@dataclass(frozen=True)
class BigM:
    """A mixed-integer program with constants that are proved, or declared.

    Parameters
    ----------
    bounds : mapping of str to float, optional
        Constants for the multipliers of a follower's rows, or of its variables' bounds, by name, where no smaller one is proved. They make
        the answer conditional: the status is LIMIT and the bound does not apply.
    slacks : mapping of str to float, optional
        The same for slacks.
    solver : str
        ``"auto"``: HiGHS, or SCIP where the leader's objective is quadratic; a name that Pyomo knows otherwise.
    time_limit : float
        Seconds.

    Notes
    -----
    Without a proof and without a constant it refuses, naming the row: no constant is used in silence. See
    `stackopt.reformulations.multiplier_bounds` for what is proved and how.

    Examples
    --------
    >>> import stackopt as so
    >>> program = so.BilevelProgram.from_matrices(
    ...     leader_cost=([1.0], [1.0]), leader_bounds=(0, 10), follower_cost=[-1.0], follower_bounds=(0, 10), follower_rows=([[1.0]], [[2.0]], [12.0])
    ... )
    >>> round(float(so.solve(program, so.BigM()).value), 6)
    6.0
    """

    bounds: Bounds = None
    slacks: Bounds = None
    solver: str = "auto"
    time_limit: float = 60.0

    def __post_init__(self) -> None:
        _check_time(self.time_limit)
        for field in ("bounds", "slacks"):
            given = getattr(self, field)
            if given is None:
                continue
            try:
                pairs = tuple((str(name), float(value)) for name, value in dict(given).items())
            except (TypeError, ValueError):
                raise InvalidMethod("setting", name=field, law="a mapping from rows or variables of followers to numbers", got=repr(given)) from None
            bad = next(((name, value) for name, value in pairs if not 0 <= value < np.inf), None)
            if bad is not None:
                raise InvalidMethod("setting", name=f"{field}[{bad[0]!r}]", law="a finite number, not negative", got=repr(bad[1]))
            object.__setattr__(self, field, pairs)

    @property
    def name(self) -> str:
        """How it is called in tables."""
        return "big-M" + (" with given constants" if self.bounds or self.slacks else "")

    def reformulate(self, problem: BilevelProgram) -> Reduction:
        """The mixed-integer program, to be read, written or edited.

        Raises
        ------
        Refused
            ``kkt-form`` or ``big-m-unproven``.
        """
        return big_m(kkt(problem), dict(self.bounds or ()), slacks=dict(self.slacks or ()))

    def refuses(self, problem: Any) -> Refusal | None:
        """Followers without optimality conditions, multipliers without a proved or given constant."""
        return _refuses(problem, self.name, self.solver, self.reformulate)

    def run(self, problem: Any, *, seed: int = 0, report: Report | None = None) -> Run[Point]:
        """Search; see the class for what each status means."""
        return _run(problem, self.reformulate, self.solver, self.time_limit, seed, report)


@dataclass(frozen=True)
class StrongDuality:
    """Each follower's complementarity as one row of strong duality, where its products are exact in linear rows.

    Parameters
    ----------
    solver : str
        ``"auto"``: HiGHS, or SCIP where anything is quadratic; a name that Pyomo knows otherwise.
    time_limit : float
        Seconds.

    Notes
    -----
    Refuses programs in which a continuous variable of others enters a follower's right-hand sides: see
    `stackopt.reformulations.strong_duality`.
    """

    solver: str = "auto"
    time_limit: float = 60.0

    def __post_init__(self) -> None:
        _check_time(self.time_limit)

    @property
    def name(self) -> str:
        """How it is called in tables."""
        return "strong duality"

    def reformulate(self, problem: BilevelProgram) -> Reduction:
        """The program, to be read, written or edited.

        Raises
        ------
        Refused
            ``kkt-form``, ``strong-duality-form`` or ``big-m-unproven``.
        """
        return strong_duality(kkt(problem))

    def refuses(self, problem: Any) -> Refusal | None:
        """Followers without optimality conditions, and products that are not exact in linear rows."""
        return _refuses(problem, self.name, self.solver, self.reformulate)

    def run(self, problem: Any, *, seed: int = 0, report: Report | None = None) -> Run[Point]:
        """Search; see the class for what each status means."""
        return _run(problem, self.reformulate, self.solver, self.time_limit, seed, report)


@dataclass(frozen=True)
class Sos1:
    """Complementarity by SOS1 sets; needs no constant, and a solver that takes them.

    Parameters
    ----------
    solver : str
        ``"scip"`` (pyscipopt), or a name that Pyomo knows, e.g. ``"gurobi"`` or ``"cplex"``.
    time_limit : float
        Seconds.
    """

    solver: str = "scip"
    time_limit: float = 60.0

    def __post_init__(self) -> None:
        _check_time(self.time_limit)

    @property
    def name(self) -> str:
        """How it is called in tables."""
        return f"SOS1 ({self.solver})"

    def reformulate(self, problem: BilevelProgram) -> Reduction:
        """The program, to be read, written or edited; raises Refused with ``kkt-form``."""
        return sos1(kkt(problem))

    def refuses(self, problem: Any) -> Refusal | None:
        """Followers without optimality conditions, and solvers that are absent or do not take SOS1 sets."""
        return _refuses(problem, self.name, self.solver, self.reformulate)

    def run(self, problem: Any, *, seed: int = 0, report: Report | None = None) -> Run[Point]:
        """Search; see the class for what each status means."""
        return _run(problem, self.reformulate, self.solver, self.time_limit, seed, report)


@dataclass(frozen=True)
class Indicator:
    """Complementarity by implications ``tight = 1 -> slack <= 0``; needs no constant, and a solver that takes them.

    Parameters
    ----------
    solver : str
        ``"scip"`` (pyscipopt).
    time_limit : float
        Seconds.
    """

    solver: str = "scip"
    time_limit: float = 60.0

    def __post_init__(self) -> None:
        _check_time(self.time_limit)

    @property
    def name(self) -> str:
        """How it is called in tables."""
        return f"indicator ({self.solver})"

    def reformulate(self, problem: BilevelProgram) -> Reduction:
        """The program, to be read, written or edited; raises Refused with ``kkt-form``."""
        return indicator(kkt(problem))

    def refuses(self, problem: Any) -> Refusal | None:
        """Followers without optimality conditions, and solvers that are absent or do not take implications."""
        return _refuses(problem, self.name, self.solver, self.reformulate)

    def run(self, problem: Any, *, seed: int = 0, report: Report | None = None) -> Run[Point]:
        """Search; see the class for what each status means."""
        return _run(problem, self.reformulate, self.solver, self.time_limit, seed, report)


@dataclass(frozen=True)
class Scip:
    """Global search through SCIP: leaders and followers need not be convex, rows may be quadratic, followers may be integer.

    Parameters
    ----------
    time_limit : float
        Seconds.

    Notes
    -----
    OPTIMAL means: SCIP closed its gap on a relaxation, and every follower, re-solved, confirms its answer there; see
    `stackopt.exact.global_search`.
    """

    time_limit: float = 60.0

    def __post_init__(self) -> None:
        _check_time(self.time_limit)

    @property
    def name(self) -> str:
        """How it is called in tables."""
        return "SCIP"

    def refuses(self, problem: Any) -> Refusal | None:
        """Pessimistic programs, multipliers of followers whose optimality they do not characterise, and a missing package."""
        if not isinstance(problem, BilevelProgram):
            return Refusal("wrong-problem", law={"method": self.name, "problem": type(problem).__name__})
        if problem.ties != "optimistic":
            return Refusal("kkt-form", law={"why": "the program is pessimistic, and optimality conditions leave ties to the leader"})
        used = {m.follower: m.name for m in problem.multipliers}
        for k, level in enumerate(problem.followers):
            if level.name in used and conditions(problem, k) != "exact":
                why = f"`{used[level.name]}` is a multiplier of `{level.name}`, whose optimality multipliers do not characterise"
                return Refusal("kkt-form", law={"why": why}, remedy="leave the multiplier out of the leader's program")
        return _missing("scip")

    def run(self, problem: Any, *, seed: int = 0, report: Report | None = None) -> Run[Point]:
        """Search; see the class for what each status means."""
        return scip_global(problem, time_limit=self.time_limit, seed=seed, report=report).run(problem)


# --- shared --------------------------------------------------------------------------------------------------------------


def _check_time(limit: float) -> None:
    if not limit >= 0:
        raise InvalidMethod("setting", name="time_limit", law="a number of seconds, not negative", got=repr(limit))


def _missing(solver: str) -> Refusal | None:
    if solver == "scip" and not scip.available():
        return Refusal("package", law={"feature": "SCIP", "package": "pyscipopt"})
    return None


def _refuses(problem: Any, name: str, solver: str, reformulate: Callable[[BilevelProgram], Reduction]) -> Refusal | None:
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
        return _missing("scip")
    from stackopt.backends.pyomo_solver import refusal

    return refusal(target, solver)


def _chosen(target: QuadraticProgram, solver: str) -> str:
    if solver != "auto":
        return solver
    return "highs" if target.linear_only else "scip"


def _solved(target: QuadraticProgram, solver: str, time_limit: float, seed: int) -> Answer:
    solver = _chosen(target, solver)
    if solver == "scip":
        return scip.solve_program(target, time_limit=time_limit, seed=seed)
    if solver == "highs":
        from stackopt.backends.highs_program import solve_program

        return solve_program(target, time_limit=time_limit, seed=seed)
    from stackopt.backends.pyomo_solver import solve_program as by_pyomo

    return by_pyomo(target, solver, time_limit=time_limit)


def _run(
    problem: BilevelProgram,
    reformulate: Callable[[BilevelProgram], Reduction],
    solver: str,
    time_limit: float,
    seed: int,
    report: Report | None,
) -> Run[Point]:
    begun = time.perf_counter()
    if report:
        report(Progress("reformulating", 0))
    reduction = reformulate(problem)
    if report:
        report(Progress("solving", 1))
    target = reduction.target
    found = _solved(target, solver, time_limit - (time.perf_counter() - begun), seed)
    point = None if found.point is None else accurate(reduction.kkt, found.point)
    stats: dict[str, Any] = {"nodes": found.nodes, "columns": len(target.names), "rows": len(target.row_names), "formulation": reduction.form}
    reference = f"{reduction.form}, {found.because.split(':')[0]}"
    known = attained(reduction.kkt) if reduction.proved else None
    if known is not None and _refutes(problem, known, found):
        because = f"solver fault: {found.because}, {found.status} {number(found.bound, 9)}, but {number(known.claim, 9)} is attained"
        return Found(Status.FAILED, known, np.nan, because, reference, stats).run(problem)
    if found.status is Status.LIMIT and point is None:
        point = known
    outcome = Found(found.status, point, found.bound, found.because, reference, stats).run(problem)
    return outcome if reduction.proved else _conditional(reduction, found, outcome, problem.maximises)


def _refutes(problem: BilevelProgram, known: Point, found: Answer) -> bool:
    """Whether a point that is attained contradicts a solver's bound."""
    if found.status is Status.INFEASIBLE:
        return True
    sign = problem.leader.objective.sign
    return bool(np.isfinite(found.bound) and sign * known.claim < sign * found.bound - 1e-6 * (1.0 + abs(found.bound)))


def accurate(form: Kkt, v: Any) -> Point:
    """The point of a solution vector, polished where that loses nothing."""
    w = v[: len(form.mpec.names)]
    better = polished(form, w)
    if better is not None and form.mpec.value(better) <= form.mpec.value(w) + 1e-6 * (1.0 + abs(form.mpec.value(w))):
        return form.lift(better)
    return form.lift(w)


def _conditional(reduction: Reduction, found: Answer, run: Run[Point], maximises: bool) -> Run[Point]:
    """What a result with constants that are not proved is worth: an incumbent, and a bound that does not apply."""
    assumed = [bound for bound in reduction.bounds if not bound.applies]
    condition = " and ".join(f"the {b.of} never exceeds {number(b.value)}" for b in assumed[:3]) + (f" and {len(assumed) - 3} more" if len(assumed) > 3 else "")
    bound = None
    if np.isfinite(found.bound):
        assumptions = tuple(a for b in assumed for a in b.assumptions)
        sense = "upper" if maximises else "lower"
        bound = Bound(found.bound, OPTIMISTIC_VALUE, f"{reduction.form} with given constants", assumptions, sense, "so.Exact() needs no constants")
    status = Status.LIMIT if run.status.success or run.status in (Status.INFEASIBLE, Status.UNBOUNDED) else run.status
    if found.point is None:
        return Run(status, None, bound, run.stats, f"{found.because}, if {condition}")
    at = on_their_bound(reduction, found.point[: len(reduction.kkt.mpec.names)])
    word = "optimal" if found.status is Status.OPTIMAL else "the incumbent"
    said = f"; the {' and the '.join(at[:3])} sits on its constant, which is too small to tell" if at else "; none of them is reached here"
    return Run(status, run.candidate, bound, {**run.stats, "on_their_bound": ", ".join(at)}, f"{word} if {condition}{said}")
