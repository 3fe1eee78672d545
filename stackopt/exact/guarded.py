"""A mixed-integer search that trusts no solver: polish, re-evaluate, compare with what is attained, confirm, or fail.

A solver can be wrong in three ways, and each has its answer here.

- *The point does not attain the value.* Integrality tolerance times big-M hides broken optimality rows. The integer columns
  are rounded and the rest is solved again as an LP; the policy that comes out is evaluated by the game [A1].
- *The bound is too low.* Some policy attains more, found by this run, by the local search, or by the confirming run.
- *It finds nothing, or claims infeasibility.* A commitment always exists.

In each case the next setting (presolve, seed) is tried; what persists is reported as a fault, never as an optimum.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from stackopt.backends.highs import INTEGRALITY, MilpResult, solve_lp, solve_milp
from stackopt.display import number
from stackopt.games.operators import Array
from stackopt.games.responses import commitment
from stackopt.games.stackelberg import StackelbergGame
from stackopt.programs.milp import Milp
from stackopt.reformulations.formulation import Formulation
from stackopt.solution import Progress, Report, Status

#: A bound below an attained value, or above the value attained at the claimed optimum, by more than this (relative) is a fault.
AGREEMENT = 5e-7

Solver = Callable[..., MilpResult]


@dataclass(frozen=True, eq=False)
class Worth:
    """A leader policy with its value, by two MDPs [A1]."""

    policy: Array
    response: Array
    value: float


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


def worth(game: StackelbergGame, policy: Array, concept: str, margin: float = 0.0) -> Worth:
    """The value of a leader policy under the strong concept, or the weak one with its margin  [A1]."""
    if concept == "strong":
        found = commitment(game, policy)
        return Worth(policy, found.strong_response, float(found.strong))
    found = commitment(game, policy, margin)
    return Worth(policy, found.weak_response, float(found.weak))


def guarded_search(
    game: StackelbergGame,
    formulation: Formulation,
    *,
    concept: str = "strong",
    margin: float = 0.0,
    known: Iterable[Array] = (),
    time_limit: float = 60.0,
    confirm: bool = True,
    seed: int = 0,
    solve: Solver = solve_milp,
    report: Report | None = None,
) -> Outcome:
    """Maximise the formulation and establish what can be said about its optimum.

    Parameters
    ----------
    game : StackelbergGame
        Evaluates every policy; the formulation is never trusted for a value.
    formulation : Formulation
    concept, margin
        What the formulation maximises.
    known : iterable of array [S, A]
        Leader policies of the search space; their values refute bounds that are too low.
    time_limit : float
        Seconds for all runs together.
    confirm : bool
        Ask a second run, with presolve off and another seed, for anything better than the optimum.
    seed : int
    solve : callable
        The back end.
    report : callable, optional
    """
    return _Search(game, formulation, concept, margin, solve, seed, time.perf_counter() + time_limit, report).run(known, confirm)


class _Search:
    def __init__(
        self, game: StackelbergGame, formulation: Formulation, concept: str, margin: float, solve: Solver, seed: int, deadline: float,
        report: Report | None,
    ) -> None:
        self.game, self.formulation, self.concept, self.margin = game, formulation, concept, margin
        self.solve, self.seed, self.deadline, self.report = solve, seed, deadline, report
        self.best: Worth | None = None
        self.runs, self.nodes, self.faults = 0, 0, list[str]()

    def run(self, known: Iterable[Array], confirm: bool) -> Outcome:
        for policy in known:
            self.offer(policy)
        if self.best is not None and self.formulation.tag == "D3":
            self.climb()
        remark, claimed = "", np.inf
        for presolve, shift in ((True, 0), (False, 1), (True, 2)):
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
            return self.outcome(Status.LIMIT, claimed, near)
        return self.outcome(Status.FAILED, np.inf, "solver fault: " + "; then ".join(dict.fromkeys(self.faults)))

    # --- one run ---------------------------------------------------------------------------------------------------

    def search(self, presolve: bool, seed: int, cutoff: float | None = None) -> MilpResult:
        self.runs += 1
        if self.report:
            self.report(Progress("confirming" if cutoff is not None else "searching", self.runs))
        result = self.solve(self.formulation.milp, time_limit=self.remaining(), presolve=presolve, seed=seed, cutoff=cutoff)
        self.nodes += result.nodes
        if result.point is not None:
            self.offer(self.formulation.lift(result.point))
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

    def offer(self, policy: Array) -> Worth:
        candidate = worth(self.game, policy, self.concept, self.margin)
        if self.best is None or candidate.value > self.best.value:
            self.best = candidate
        return candidate

    def polish(self, point: Array) -> None:
        """Round the integer columns and solve for the rest exactly; if a tie is lost to rounding, ask for a little slack."""
        milp = self.formulation.milp
        whole = np.flatnonzero(milp.integer)
        rounded = milp.fixed(whole, np.round(point[whole]))
        for slack in (0.0, 1e-9, 1e-8, 1e-7):
            result = solve_lp(self.strict(rounded, point, slack), time_limit=max(self.remaining(), 1.0))
            if result.status is not Status.OPTIMAL or result.point is None:
                return
            found = self.offer(self.formulation.lift(result.point))
            if self.formulation.pure or found.value >= result.value - 0.1 * self.tolerance():
                return

    def strict(self, rounded: Milp, point: Array, slack: float) -> Milp:
        """Ask unplayed actions to be worse by `slack`, so that rounding cannot turn the follower to them."""
        rows = self.formulation.optimality
        if not slack or rows is None:
            return rounded
        scale = 1.0 + float(np.abs(self.game.follower_reward).max())
        lower = rounded.row_lower.copy()
        lower[rows[~self.formulation.pattern(point)]] += slack * scale
        return dataclasses.replace(rounded, row_lower=lower)

    def climb(self) -> None:
        """Alternate between the follower's response and the best policy that keeps it, while that improves."""
        milp = self.formulation.milp
        for _ in range(20):
            before = self.value()
            assert self.best is not None
            columns = self.formulation.response.ravel()
            result = solve_lp(milp.fixed(columns, self.best.response.ravel()), time_limit=max(self.remaining(), 0.0))
            if result.point is None:
                return
            point = result.point.copy()
            self.polish(point)
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

    def near_tie(self, bound: float) -> str:
        """Whether the disagreement is explained by follower actions that are worse by less than the solver can see."""
        if self.best is None or self.concept != "strong":
            return ""
        reward = self.game.follower_reward
        M = float(np.ptp(reward)) / (1.0 - self.game.follower_discount)
        blind = 100 * M * max(INTEGRALITY, 1e-9) / (1.0 - self.game.follower_discount)
        if float(commitment(self.game, self.best.policy, blind).strong) < bound - self.tolerance():
            return ""
        return (
            f"near-tie: the claimed optimum {number(bound, 9)} needs an action that is worse for the follower by less than {blind:.2g}, which the "
            f"solver cannot see; {self.shown(9)} is attained"
        )

    def outcome(self, status: Status, bound: float, because: str) -> Outcome:
        stats: dict[str, float | int | str] = {
            "solver_runs": self.runs, "nodes": self.nodes, "columns": len(self.formulation.milp.columns), "rows": len(self.formulation.milp.rows),
            "formulation": self.formulation.tag,
        }
        if self.faults:
            stats["faults"] = "; ".join(self.faults)
        return Outcome(status, self.best, float(bound), because, stats)
