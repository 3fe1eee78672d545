"""Methods that restate the optimality conditions as one program and hand it to a solver: big-M, strong duality, SOS1, implications.

The bilevel problem certifies whatever comes back: each follower is solved again.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stackopt.bilevel.kkt import kkt, kkt_refusal
from stackopt.bilevel.point import Point
from stackopt.bilevel.program import BilevelProgram
from stackopt.errors import InvalidMethod, Refused
from stackopt.exact.attained import attained
from stackopt.exact.bilevel import explained
from stackopt.exact.global_search import scip_global
from stackopt.exact.handed_over import missing, refuses, run
from stackopt.exact.occupancy import refuses_occupancy, run_scip
from stackopt.exact.searched import refusal
from stackopt.games.stackelberg import StackelbergGame
from stackopt.reformulations.big_m import big_m
from stackopt.reformulations.indicator import indicator
from stackopt.reformulations.multiplier_bounds import multiplier_bounds
from stackopt.reformulations.reduction import Reduction
from stackopt.reformulations.sos1 import sos1
from stackopt.reformulations.strong_duality import strong_duality
from stackopt.solution import Refusal, Report, Run

Bounds = Mapping[str, float] | tuple[tuple[str, float], ...] | None


class HandedOver(ABC):
    """What methods have in common that hand one program to a solver."""

    solver: str
    time_limit: float

    def __post_init__(self) -> None:
        _check_time(self.time_limit)

    @property
    @abstractmethod
    def name(self) -> str:
        """How it is called in tables."""

    @abstractmethod
    def reformulate(self, problem: BilevelProgram) -> Reduction:
        """The program, to be read, written or edited."""

    def refuses(self, problem: Any) -> Refusal | None:
        """Followers without optimality conditions, constants without a proof, and solvers that are absent or do not take the form."""
        return refuses(problem, self.name, self.solver, self.reformulate)

    def run(self, problem: Any, *, seed: int = 0, report: Report | None = None) -> Run[Point]:
        """Search; see the class for what each status means."""
        return run(problem, self.reformulate, self.solver, self.time_limit, seed, report)


@dataclass(frozen=True)
class BigM(HandedOver):
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

        Constants hold for every decision of the leader where that can be proved, else for those at least as good as one that is attained:
        `Reduction.bounds` says so. The latter do not survive edits that make the optimum worse.

        Raises
        ------
        Refused
            ``kkt-form`` or ``big-m-unproven``.
        """
        form, given, slacks = kkt(problem), dict(self.bounds or ()), dict(self.slacks or ())
        try:
            return big_m(form, given, slacks=slacks)
        except Refused:
            known = attained(form)
            if known is None:
                raise
            return big_m(form, given, slacks=slacks, proved=multiplier_bounds(form, cutoff=known.claim))


@dataclass(frozen=True)
class StrongDuality(HandedOver):
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


@dataclass(frozen=True)
class Sos1(HandedOver):
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

    @property
    def name(self) -> str:
        """How it is called in tables."""
        return f"SOS1 ({self.solver})"

    def reformulate(self, problem: BilevelProgram) -> Reduction:
        """The program, to be read, written or edited; raises Refused with ``kkt-form``."""
        return sos1(kkt(problem))


@dataclass(frozen=True)
class Indicator(HandedOver):
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

    @property
    def name(self) -> str:
        """How it is called in tables."""
        return f"indicator ({self.solver})"

    def reformulate(self, problem: BilevelProgram) -> Reduction:
        """The program, to be read, written or edited; raises Refused with ``kkt-form``."""
        return indicator(kkt(problem))


@dataclass(frozen=True)
class Scip:
    """Global search through SCIP: leaders and followers need not be convex, rows may be quadratic, followers may be integer.

    Of a `StackelbergGame` it searches for the strong commitment over all randomised leader policies, by occupancy measures [D8].

    Parameters
    ----------
    time_limit : float
        Seconds.

    Notes
    -----
    OPTIMAL means: SCIP closed its gap on a relaxation, and every follower, re-solved, confirms its answer there; see
    `stackopt.exact.global_search`. Of a game: SCIP's policy is polished and evaluated by the game, and its value meets SCIP's bound; see
    `stackopt.exact.occupancy.by_scip`.
    """

    time_limit: float = 60.0

    def __post_init__(self) -> None:
        _check_time(self.time_limit)

    @property
    def name(self) -> str:
        """How it is called in tables."""
        return "SCIP"

    def refuses(self, problem: Any) -> Refusal | None:
        """Pessimistic programs, multipliers of followers whose optimality they do not characterise, batches and large games, a missing package."""
        if isinstance(problem, StackelbergGame):
            return refusal(problem, self.name, "strong", "deterministic") or refuses_occupancy(problem) or missing("scip")
        if not isinstance(problem, BilevelProgram):
            return Refusal("wrong-problem", law={"method": self.name, "problem": type(problem).__name__})
        if problem.ties != "optimistic":
            return Refusal("kkt-form", law={"why": "the program is pessimistic, and optimality conditions leave ties to the leader"})
        return multipliers_of_others(problem) or missing("scip")

    def run(self, problem: Any, *, seed: int = 0, report: Report | None = None) -> Run[Any]:
        """Search; see the class for what each status means."""
        if isinstance(problem, StackelbergGame):
            return run_scip(problem, time_limit=self.time_limit, seed=seed, report=report)
        begun = time.perf_counter()
        found = scip_global(problem, time_limit=self.time_limit, seed=seed, report=report).run(problem)
        return explained(found, problem, self.time_limit - (time.perf_counter() - begun))


def multipliers_of_others(problem: BilevelProgram) -> Refusal | None:
    """A leader may use multipliers only where they characterise the followers' optima: elsewhere nobody could certify them."""
    found = kkt_refusal(problem) if problem.multipliers else None
    if found is None:
        return None
    why = f"the leader uses `{problem.multipliers[0].name}`, and {found.law['why']}"
    return Refusal("kkt-form", law={"why": why}, remedy="leave the multiplier out of the leader's program")


def _check_time(limit: float) -> None:
    if not limit >= 0:
        raise InvalidMethod("setting", name="time_limit", law="a number of seconds, not negative", got=repr(limit))
