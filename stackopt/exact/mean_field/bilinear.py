"""Exact equilibria whose program has products of unknowns: SCIP's global search, an optional package, re-evaluated by the game  [D5].

A solver's tolerances are coarse here: what it returns is refined by Newton's method on the equations of its support, and counts only if the
game finds that nobody gains by deviating. The bound stays the solver's.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np

from stackopt.backends.scip import FEASIBILITY, FINE, available, solve_program
from stackopt.certificate import Bound
from stackopt.display import number
from stackopt.exact.guarded import AGREEMENT
from stackopt.exact.mean_field.multiplicity import DIFFERENT, difference
from stackopt.exact.mean_field.value import EquilibriumValue
from stackopt.games.mean_field.game import MeanFieldStackelbergGame
from stackopt.games.mean_field.leaders import Menu
from stackopt.games.mean_field.population import Population
from stackopt.games.mean_field.terms import QuadraticObjective
from stackopt.games.operators import Array
from stackopt.programs.quadratic import QuadraticProgram
from stackopt.reformulations.mean_field_arrays import AffineFollowers, affine_followers
from stackopt.reformulations.mean_field_bilinear import bilinear_program, with_leader
from stackopt.reformulations.mean_field_equilibrium import EquilibriumProgram, bilinear, equilibrium_program
from stackopt.solution import Progress, Refusal, Report, Run, Status

#: Binary columns at most.
BINARIES = 400
#: Statistics that are pushed up and down to look for further equilibria, at most.
STATISTICS = 8
#: Agreement of the value attained with the solver's bound, relative: its tolerances on products allow no better.
CLOSE = 2.0 * AGREEMENT


def needs_products(game: MeanFieldStackelbergGame, concept: str) -> str:
    """Where the program of the search multiplies unknowns; empty if it does not."""
    if callable(game.reward) or callable(game.transition):
        return ""
    if game.transition_population is not None:
        return "`transition_population` is given"
    menu = isinstance(game.leader, Menu)
    if game.transition_leader is not None and not menu:
        return "`transition_leader` is given"
    if isinstance(game.objective, QuadraticObjective) and not menu and concept == "strong":
        return "`objective` is quadratic"
    return bilinear(affine_followers(game)) if not menu else ""


def refuses_bilinear(game: MeanFieldStackelbergGame, concept: str, where: str) -> Refusal | None:
    """Why the global search does not cover the game, if so."""
    code = "mean-field-products" if where.startswith("leader_reward_leader") or where.startswith("`objective`") else "mean-field-kernel"
    if not available():
        return Refusal(code, because=where, remedy='pip install "stackopt[scip]" searches products globally; or see `stackopt errors` for what needs none')
    if concept != "strong" and not isinstance(game.leader, Menu):
        return Refusal("mean-field-menu", because=f"the leader's set is {game.leader}", law={"concept": concept})
    if game.objective is not None and not isinstance(game.objective, QuadraticObjective):
        return Refusal("mean-field-arrays", because="`objective` is a callable that is not a QuadraticObjective")
    if game.objective is not None and concept == "fixed_point":
        return Refusal("mean-field-arrays", because="`objective` is a callable")
    binaries = int(np.prod(game.shape))
    if binaries > BINARIES:
        return Refusal("mean-field-size", because=f"{binaries} binary columns beside products of unknowns; the limit is {BINARIES}")
    return None


def run_bilinear(
    game: MeanFieldStackelbergGame, concept: str, of: str, *, time_limit: float, seed: int = 0, report: Report | None = None
) -> Run[Population]:
    """The leader's best decision over equilibria (weak: by its worst ones, point by point), or just an equilibrium.

    Parameters
    ----------
    game : MeanFieldStackelbergGame
        That `needs_products` and `refuses_bilinear` does not refuse.
    concept : str
        ``"strong"``, ``"weak"`` or ``"fixed_point"``.
    of : str
        What the bound is a bound of.
    time_limit : float
        Seconds.
    seed : int
    report : callable, optional
    """
    return _Search(game, concept, of, time.perf_counter() + time_limit, seed, report).run()


class _Search:
    def __init__(self, game: MeanFieldStackelbergGame, concept: str, of: str, deadline: float, seed: int, report: Report | None) -> None:
        self.game, self.concept, self.of, self.deadline, self.seed, self.report = game, concept, of, deadline, seed, report
        self.programs, self.nodes = 0, 0

    def run(self) -> Run[Population]:
        begun = time.perf_counter()
        run = self.by_point() if self.concept == "weak" else self.together(affine_followers(self.game))
        if run.candidate is None or not run.status.success:
            return run
        return self.with_others(run, max(time.perf_counter() - begun, 2.0))

    def remaining(self) -> float:
        return max(self.deadline - time.perf_counter(), 0.0)

    def together(self, followers: AffineFollowers, sign: float = 1.0) -> Run[Population]:
        fixed = self.concept == "fixed_point"
        program = equilibrium_program(followers, sign=sign, fixed_point=fixed)
        target = with_leader(program, bilinear_program(program))
        value = EquilibriumValue(followers, sign, concept="fixed_point" if fixed else "commitment")
        status, population, attained, bound, because = self.solved(program, target, value)
        stats = {"solver_runs": self.programs, "nodes": self.nodes, "formulation": "D5 with products"}
        if population is None:
            return Run(status, None, None, stats, because)
        leads = any(part is not None for part in (self.game.leader_reward, self.game.leader_reward_leader, self.game.objective))
        proved = Bound(sign * max(bound, attained), self.of, "D5", sense="upper" if sign > 0 else "lower") if leads and np.isfinite(bound) else None
        return Run(status, replace(population, claim=sign * attained), proved, stats, because)

    def solved(
        self, program: EquilibriumProgram, target: QuadraticProgram, value: EquilibriumValue, limit: float | None = None
    ) -> tuple[Status, Population | None, float, float, str]:
        """(status, equilibrium, its value, bound, because) of one program; a second seed is asked where the game refutes the first."""
        because, best = "no time left", None
        for attempt in range(2):
            seconds = min(self.remaining(), np.inf if limit is None else limit)
            # the finer tolerance makes SCIP complain on stderr; Newton's method gets there as well
            found = solve_program(target, time_limit=seconds, seed=self.seed + attempt, feasibility=(FEASIBILITY, FINE)[attempt])
            self.programs, self.nodes = self.programs + 1, self.nodes + found.nodes
            because = found.because
            if found.point is not None:
                worth = value.worth(program.lift(found.point))
                if np.isfinite(worth.value) and (best is None or worth.value > best.value):
                    best = worth
            if best is not None and found.status is Status.OPTIMAL:
                gap = found.bound - best.value
                if abs(gap) <= CLOSE * max(1.0, abs(best.value)):
                    return Status.OPTIMAL, best.response, best.value, found.bound, f"{because}, gap {max(gap, 0.0):.2g} after {self.nodes} nodes"
                because = f"the claimed optimum {number(found.bound, 9)} is not what the game finds, {number(best.value, 9)}"
            elif found.status is Status.LIMIT:
                population = None if best is None else best.response
                return Status.LIMIT, population, -np.inf if best is None else best.value, found.bound, because
            elif found.status is Status.INFEASIBLE and self.concept == "fixed_point" and attempt == 1:
                return Status.INFEASIBLE, None, -np.inf, -np.inf, "no point of the menu is best against an equilibrium under it, two runs"
            elif found.point is not None:
                because = "the game does not confirm what the solver calls an equilibrium"
        return Status.FAILED, None if best is None else best.response, -np.inf if best is None else best.value, np.inf, f"solver fault: {because}"

    def by_point(self) -> Run[Population]:
        """The worst equilibrium under each point of the menu; the best of these."""
        assert isinstance(self.game.leader, Menu)
        runs: list[Run[Population]] = []
        for i, theta in enumerate(self.game.leader):
            if self.report:
                self.report(Progress("points of the menu", i, len(self.game.leader)))
            runs.append(self.together(affine_followers(self.game, theta), sign=-1.0))
            if not runs[-1].status.success:
                return replace(runs[-1], bound=None, because=f"point {i} of the menu: {runs[-1].because}")
        best = max(runs, key=lambda run: run.candidate.claim if run.candidate is not None else -np.inf)
        bound = None if best.bound is None else Bound(float(best.candidate.claim), self.of, "D5")  # type: ignore[union-attr]
        return replace(best, bound=bound, because=f"{len(runs)} points of the menu solved; {best.because}")

    def with_others(self, run: Run[Population], seconds: float) -> Run[Population]:
        """Push every statistic up and down under the decision found; what differs is kept, and the range is a bound if all ended."""
        assert run.candidate is not None
        followers = affine_followers(self.game, run.candidate.theta)
        program = equilibrium_program(followers)
        T, J = program.statistics.shape
        found: list[Population] = [run.candidate]
        size, proved, until = 0.0, T * J <= STATISTICS, time.perf_counter() + seconds
        directions: Array = np.eye(T * J).reshape(-1, T, J)[:STATISTICS]
        for direction in directions:
            ends = []
            for sign in (1.0, -1.0):
                left = until - time.perf_counter()
                if left <= 0:
                    proved = False
                    break
                towards = program.towards(sign * direction)
                value = EquilibriumValue(followers, direction=sign * direction)
                status, population, _, bound, _ = self.solved(towards, bilinear_program(towards), value, left)
                proved = proved and status is Status.OPTIMAL
                ends.append(bound)
                if population is not None and all(difference(population, p) > DIFFERENT for p in found):
                    found.append(population)
            size = max(size, float(sum(ends)))
        stats: dict[str, Any] = {**run.stats, "solver_runs": self.programs, "nodes": self.nodes}
        apart = (Bound(size, "difference between statistics of any two equilibria under this decision, largest", "D5"),) if proved else ()
        others = tuple(replace(p, claim=None, concept="commitment") for p in found[1:])
        return replace(run, candidate=replace(run.candidate, others=others), stats=stats, further_bounds=(*run.further_bounds, *apart))
