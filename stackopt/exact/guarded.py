"""A mixed-integer search that trusts no solver: polish, re-evaluate, compare with what is attained, confirm, or fail.

A solver can be wrong in three ways, and each has its answer here.

- *The point does not attain the value.* Integrality tolerance times big-M hides broken optimality rows. The integer columns
  are rounded and the rest is solved again as an LP; the policy that comes out is evaluated by the game [A1].
- *The bound is too low.* Some policy attains more, found by this run, by the local search, or by the confirming run.
- *It finds nothing, or claims infeasibility.* A commitment always exists.

In each case the next setting (presolve, seed) is tried; what persists is reported as a fault, never as an optimum. Presolve is
off in the first run: with it, and tolerances tight enough for follower optimality, wrong optima were seen on tiny games.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from stackopt.backends.highs import MilpResult, solve_lp, solve_milp
from stackopt.display import number
from stackopt.games.operators import Array
from stackopt.programs.milp import Milp
from stackopt.solution import Progress, Report, Status

#: A bound below an attained value, or above the value attained at the claimed optimum, by more than this (relative) is a fault.
AGREEMENT = 5e-7
#: How much worse unplayed actions are asked to be, in turn, until the game confirms the value of a polished policy.
SLACKS = (0.0, 1e-9, 1e-8, 1e-7)

Solver = Callable[..., MilpResult]


class Program(Protocol):
    """A mixed-integer program with the way back to leader policies."""

    @property
    def milp(self) -> Milp:
        """What is maximised."""
        ...

    @property
    def tag(self) -> str:
        """Where it is proved that its optimum is the value searched for."""
        ...

    def lift(self, point: Array) -> Any:
        """The leader policy of a solution vector (of a population: its masses)."""
        ...

    def polished(self, point: Array, slack: float) -> Milp:
        """The program for the response pattern of `point` alone, unplayed actions worse by `slack`."""
        ...

    def answered(self, response: Any) -> Milp | None:
        """The program for a given response, if that leaves something to optimise."""
        ...


@dataclass(frozen=True, eq=False)
class Worth:
    """A leader policy with its value and the response that attains it, as the game evaluates them."""

    policy: Any
    response: Any
    value: float


class Evaluator(Protocol):
    """The game's own judgement of leader policies."""

    def worth(self, policy: Any) -> Worth:
        """The value of the policy."""
        ...

    def generous(self, policy: Any) -> tuple[float, float]:
        """(value, width): the value if actions worse by less than `width`, what a solver cannot see, count as ties."""
        ...

    def doubtful(self, policy: Any) -> str:
        """Ties of the evaluation that are not exact, in words; empty if there are none."""
        ...


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a guarded search established.

    Attributes
    ----------
    status : Status
        OPTIMAL, LIMIT or FAILED.
    best : Worth or None
        The best policy found, as the game evaluates it.
    bound : float
        Upper bound on the optimum of the program; infinity if none was proved.
    because : str
    stats : dict
    """

    status: Status
    best: Worth | None
    bound: float
    because: str
    stats: dict[str, float | int | str]


def guarded_search(
    program: Program,
    game: Evaluator,
    *,
    known: Iterable[Any] = (),
    time_limit: float = 60.0,
    confirm: bool = True,
    seed: int = 0,
    solve: Solver = solve_milp,
    report: Report | None = None,
) -> Outcome:
    """Maximise the program and establish what can be said about its optimum.

    Parameters
    ----------
    program : Program
        Never trusted for a value.
    game : Evaluator
        Evaluates every policy.
    known : iterable of array
        Leader policies of the search space; their values refute bounds that are too low.
    time_limit : float
        Seconds for all runs together.
    confirm : bool
        Ask a second run, with presolve and another seed, for anything better than the optimum.
    seed : int
    solve : callable
        The back end.
    report : callable, optional

    Returns
    -------
    Outcome
        OPTIMAL only if a policy is evaluated at the bound and nothing better was found; LIMIT with the incumbent and the
        bound; FAILED if every setting of the solver contradicted the game, itself, or the fact that a commitment exists.
    """
    return _Search(program, game, solve, seed, time.perf_counter() + time_limit, report).run(known, confirm)


class _Search:
    def __init__(self, program: Program, game: Evaluator, solve: Solver, seed: int, deadline: float, report: Report | None) -> None:
        self.program, self.game, self.solve, self.seed, self.deadline, self.report = program, game, solve, seed, deadline, report
        self.best: Worth | None = None
        self.runs, self.nodes, self.faults = 0, 0, list[str]()

    def run(self, known: Iterable[Any], confirm: bool) -> Outcome:
        for policy in known:
            self.offer(policy)
        self.climb()
        remark, claimed = "", np.inf
        for presolve, shift in ((False, 0), (False, 1), (True, 2)):
            result = self.search(presolve, self.seed + shift)
            fault = self.fault(result)
            if result.status is Status.LIMIT and not fault:
                return self.outcome(Status.LIMIT, result.bound, f"{result.because}: best {self.shown()}, bound {number(result.bound)}")
            if not fault and confirm:
                fault, remark = self.confirm(not presolve, self.seed + shift + 10)
            if not fault:
                gap = max(result.bound - self.value(), 0.0)
                return self.outcome(Status.OPTIMAL, max(result.bound, self.value()), f"gap {gap:.2g} after {self.nodes} nodes{remark}")
            self.faults.append(fault)
            claimed = result.bound if result.status is Status.OPTIMAL else claimed
            if self.remaining() <= 0:
                break
        near = self.near_tie(claimed) if np.isfinite(claimed) else ""
        if near:
            return self.outcome(Status.LIMIT, claimed if claimed >= self.value() else np.inf, near)
        return self.outcome(Status.FAILED, np.inf, "solver fault: " + "; then ".join(dict.fromkeys(self.faults)))

    # --- one run ---------------------------------------------------------------------------------------------------

    def search(self, presolve: bool, seed: int, cutoff: float | None = None) -> MilpResult:
        self.runs += 1
        if self.report:
            self.report(Progress("confirming" if cutoff is not None else "searching", self.runs))
        result = self.solve(self.program.milp, time_limit=self.remaining(), presolve=presolve, seed=seed, cutoff=cutoff)
        self.nodes += result.nodes
        if result.point is not None:
            self.offer(self.program.lift(result.point))
            self.polish(result.point)
        return result

    def fault(self, result: MilpResult) -> str:
        """What is wrong with a result, in words; empty if nothing is."""
        if result.status not in (Status.OPTIMAL, Status.LIMIT):
            return f"the solver says {result.status} ({result.because}) of a program that has a solution"
        if result.bound < self.value() - self.tolerance():
            return f"the bound {number(result.bound, 9)} is below {number(self.value(), 9)}, which a policy attains"
        if result.status is Status.OPTIMAL and not self.value() >= result.bound - self.tolerance():
            return f"the claimed optimum {number(result.bound, 9)} is not attained; the best policy found is worth {self.shown(9)}"
        return ""

    def confirm(self, presolve: bool, seed: int) -> tuple[str, str]:
        """Ask for anything better: (fault, remark)."""
        if self.remaining() <= 0:
            return "", "; not confirmed, no time left"
        before = self.value()
        result = self.search(presolve, seed, cutoff=before + self.tolerance())
        if self.value() > before + self.tolerance():
            return f"a second run attains {self.shown(9)}, above the claimed optimum {number(before, 9)}", ""
        if result.status is Status.INFEASIBLE:
            return "", "; a second run found nothing better"
        if result.status is Status.LIMIT:
            return "", "; the confirming run did not finish"
        if result.status is Status.OPTIMAL:
            return f"a second run claims {number(result.value, 9)}, which no policy found attains", ""
        return f"the confirming run ended {result.status} ({result.because})", ""

    # --- policies --------------------------------------------------------------------------------------------------

    def offer(self, policy: Any) -> Worth:
        candidate = self.game.worth(policy)
        if self.best is None or candidate.value > self.best.value:
            self.best = candidate
        return candidate

    def polish(self, point: Array) -> None:
        """Keep the rounded response pattern and solve for the rest; if rounding loses a tie, ask for a little slack."""
        for slack in SLACKS:
            result = solve_lp(self.program.polished(point, slack), time_limit=max(self.remaining(), 1.0))
            if result.status is not Status.OPTIMAL or result.point is None:
                return
            found = self.offer(self.program.lift(result.point))
            if found.value >= result.value - 0.1 * self.tolerance():
                return

    def climb(self) -> None:
        """Alternate between the follower's response and the best policy that keeps it, while that improves."""
        for _ in range(20):
            if self.best is None or self.remaining() <= 0:
                return
            before, milp = self.value(), self.program.answered(self.best.response)
            result = None if milp is None else solve_lp(milp, time_limit=self.remaining())
            if result is None or result.point is None:
                return
            self.polish(result.point)
            if self.value() <= before + self.tolerance():
                return

    # --- figures ---------------------------------------------------------------------------------------------------

    def value(self) -> float:
        return -np.inf if self.best is None else self.best.value

    def shown(self, digits: int = 6) -> str:
        return "nothing" if self.best is None else number(self.best.value, digits)

    def tolerance(self) -> float:
        value = self.value()
        return AGREEMENT * max(1.0, abs(value) if np.isfinite(value) else 1.0)

    def remaining(self) -> float:
        return self.deadline - time.perf_counter()

    def near_tie(self, claimed: float) -> str:
        """Whether the disagreement is explained by follower actions that are worse by less than floating point decides."""
        if self.best is None:
            return ""
        if claimed < self.value():
            tied = self.game.doubtful(self.best.policy)
            return tied and f"near-tie: {self.shown(9)} rests on {tied}; the solver, which tells them apart, claims {number(claimed, 9)}"
        value, width = self.game.generous(self.best.policy)
        if value < claimed - self.tolerance():
            return ""
        return (
            f"near-tie: the claimed optimum {number(claimed, 9)} needs an action that is worse for the follower by less than {width:.2g}, which "
            f"the solver cannot see; {self.shown(9)} is attained"
        )

    def outcome(self, status: Status, bound: float, because: str) -> Outcome:
        stats: dict[str, float | int | str] = {
            "solver_runs": self.runs, "nodes": self.nodes, "columns": len(self.program.milp.columns), "rows": len(self.program.milp.rows),
            "formulation": self.program.tag,
        }
        if self.faults:
            stats["faults"] = "; ".join(self.faults)
        return Outcome(status, self.best, float(bound), because, stats)
