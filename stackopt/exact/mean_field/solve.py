r"""Leader's best decision over mean-field equilibria, or just an equilibrium, by the programs of theory D5.

- ``strong``: the leader's best equilibrium under its decision: one program over decisions and equilibria.
- ``weak``: its worst: a program for each point of a menu, minimised; the point whose worst equilibrium is best.
- ``fixed_point``: its best among pairs in which no other point of the menu would pay it more against the same population.
"""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stackopt.backends.highs import solve_milp
from stackopt.certificate import Bound
from stackopt.display import number
from stackopt.exact.guarded import Outcome, guarded_search
from stackopt.exact.mean_field.bilinear import needs_products, refuses_bilinear, run_bilinear
from stackopt.exact.mean_field.known import known_equilibria
from stackopt.exact.mean_field.multiplicity import DIFFERENT, difference, spread
from stackopt.exact.mean_field.patterns import equilibria, pattern_count
from stackopt.exact.mean_field.potential import run_potential, why_no_potential
from stackopt.exact.mean_field.value import EquilibriumValue
from stackopt.exact.searched import units_refusal
from stackopt.games.mean_field import operators
from stackopt.games.mean_field.game import MeanFieldStackelbergGame
from stackopt.games.mean_field.horizon import Finite
from stackopt.games.mean_field.leaders import Menu
from stackopt.games.mean_field.population import Population
from stackopt.games.mean_field.terms import LogCrowding
from stackopt.games.operators import Array
from stackopt.reformulations.mean_field_arrays import affine_followers, decision_range, refuses_affine
from stackopt.reformulations.mean_field_equilibrium import bilinear, equilibrium_program
from stackopt.reformulations.mean_field_program import PopulationProgram, population_program
from stackopt.solution import Progress, Refusal, Report, Run, Status

#: Programs with more non-zeros than this are refused.
NONZEROS = 1_000_000
#: Programs of at most so many binary columns are solved before equilibria have been guessed.
SMALL = 40
#: Populations with at most so many patterns of best answers have all their equilibria listed.
LISTED = 100
#: Masses at most, whatever the search.
MASSES = 20_000
#: Points of a menu at most, where each needs a program of its own.
POINTS = 500
#: What the bound of each search is a bound of.
OF = {
    "strong": "leader's value in its best equilibrium",
    "weak": "leader's value in the worst equilibrium under the best decision",
    "fixed_point": "leader's value in its best fixed point",
}


def refuses_mean_field(game: MeanFieldStackelbergGame, concept: str) -> Refusal | None:
    """Why the search is not mixed-integer linear, or too large, if so."""
    menu = isinstance(game.leader, Menu)
    if concept == "relaxed":
        law = {"method": "Exact(concept='relaxed')", "problem": type(game).__name__}
        return Refusal("wrong-problem", remedy='concept="strong", "weak" or "fixed_point"', law=law)
    if isinstance(game.reward, LogCrowding):
        why_not = why_no_potential(game)
        return Refusal("mean-field-arrays", because=f"LogCrowding: {why_not}") if why_not else None
    if where := needs_products(game, concept):
        return refuses_bilinear(game, concept, where)
    if concept != "strong" and not menu:
        return Refusal("mean-field-menu", because=f"the leader's set is {game.leader}", law={"concept": concept})
    if found := refuses_affine(game, at=menu):
        return found
    if game.objective is not None and not menu:
        return Refusal("mean-field-menu", because="`objective` is a callable", law={"concept": concept})
    if game.objective is not None and concept == "fixed_point":
        return Refusal("mean-field-arrays", because="`objective` is a callable")
    K, T, S, B = game.shape
    nonzeros = 2 * K * T * S * B * (S + game.statistics + game.parameters + 4) + K * T * S * B * (S + game.statistics)
    if nonzeros > NONZEROS and why_no_potential(game):
        return Refusal("mean-field-size", because=f"K, T, S, B = {K}, {T}, {S}, {B} need about {nonzeros:.2g} non-zeros; the limit is {NONZEROS:.2g}")
    followers = affine_followers(game)
    if where := bilinear(followers):
        return Refusal("mean-field-products", because=where)
    if _one_by_one(game, concept) and isinstance(game.leader, Menu) and len(game.leader) > POINTS:
        return Refusal("mean-field-size", because=f"{len(game.leader)} points, a program each; the limit is {POINTS}")
    paid = decision_range(game.leader, followers.leader_reward_leader) if game.parameters else (0.0, 0.0)
    return units_refusal(leader_reward=np.stack([followers.leader_reward + end for end in paid]))


def _one_by_one(game: MeanFieldStackelbergGame, concept: str) -> bool:
    """Whether each point of the menu is solved on its own."""
    return concept == "weak" or game.objective is not None or not game.kernel_is_fixed


def run_mean_field(
    game: MeanFieldStackelbergGame, *, concept: str = "strong", time_limit: float = 60.0, confirm: bool = True, seed: int = 0,
    report: Report | None = None,
) -> Run[Population]:
    """Search; see `Exact` for what each status means. Finite horizons with a concave potential are convex programs instead.

    The population's ``others`` are further equilibria under the same decision, found by programs that push its statistics apart, for
    as long as the search itself took, and by patterns of best answers where these are few. Where the programs end, ``further_bounds``
    says how far statistics of equilibria lie apart at most.
    """
    if needs_products(game, concept):
        return run_bilinear(game, concept, OF[concept], time_limit=time_limit, seed=seed, report=report)
    search = _Search(game, concept, time.perf_counter() + time_limit, confirm, seed, report)
    if isinstance(game.horizon, Finite) and not why_no_potential(game):
        convex = run_potential(game, concept, OF[concept], time_limit, report)
        if convex is not None:
            return convex
        if callable(game.reward):
            return Run(Status.FAILED, None, None, {"formulation": "concave potential"}, "the game does not confirm the potential's maximum")
    run = search.points() if _one_by_one(game, concept) else search.together()
    return search.with_others(run)


def reformulate_mean_field(game: MeanFieldStackelbergGame, concept: str) -> PopulationProgram:
    """The one program of the search, where there is one.

    Raises
    ------
    Refused
        As `refuses_mean_field`; and if the search solves a program for each point of the menu: ``game.at(theta)`` has one.
    """
    found = refuses_mean_field(game, concept)
    if found is None and _one_by_one(game, concept) and game.parameters:
        law = {"method": "reformulate", "problem": "search with a program for each point of the menu"}
        found = Refusal("wrong-problem", remedy="reformulate(game.at(theta)) gives the program of one point", law=law)
    if found is not None:
        raise found.error()
    fixed = concept == "fixed_point"
    program = equilibrium_program(affine_followers(game), fixed_point=fixed)
    return population_program(game, program, "fixed_point" if fixed else "commitment")


@dataclass(eq=False)
class _Search:
    game: MeanFieldStackelbergGame
    concept: str
    deadline: float
    confirm: bool
    seed: int
    report: Report | None
    begun: float = field(default_factory=time.perf_counter)

    @property
    def leads(self) -> bool:
        """Whether there is anything for the leader to gain."""
        g = self.game
        return any(part is not None for part in (g.leader_reward, g.leader_reward_leader, g.objective))

    def remaining(self) -> float:
        return max(self.deadline - time.perf_counter(), 0.0)

    # --- one program for all decisions --------------------------------------------------------------------------------

    def together(self) -> Run[Population]:
        fixed = self.concept == "fixed_point"
        followers = affine_followers(self.game)
        program = equilibrium_program(followers, fixed_point=fixed)
        value = EquilibriumValue(followers, concept="fixed_point" if fixed else "commitment")
        if fixed and (none := self.no_fixed_point(program)):
            return none
        return self.as_run(self.guarded(program, value))

    def guarded(self, program: Any, value: Any) -> Outcome:
        small = int(np.prod(self.game.shape)) <= SMALL or self.concept == "fixed_point"
        known = () if small else known_equilibria(program.followers)
        return guarded_search(
            program, value, known=known, time_limit=self.remaining(), confirm=self.confirm, seed=self.seed, report=self.report
        )

    def no_fixed_point(self, program: Any) -> Run[Population] | None:
        """INFEASIBLE if two differently configured runs say so: unlike an equilibrium, a fixed point over a menu need not exist."""
        for presolve in (False, True):
            found = solve_milp(program.milp, time_limit=self.remaining(), presolve=presolve, seed=self.seed)
            if found.status is not Status.INFEASIBLE:
                return None
        return Run(Status.INFEASIBLE, None, stats={"solver_runs": 2}, because="no point of the menu is best against an equilibrium under it, two runs")

    def as_run(self, outcome: Outcome, sign: float = 1.0) -> Run[Population]:
        if outcome.best is None or not np.isfinite(outcome.best.value):
            return Run(outcome.status if not outcome.status.success else Status.FAILED, None, None, outcome.stats, outcome.because)
        population = dataclasses.replace(outcome.best.response, claim=sign * outcome.best.value)
        return Run(outcome.status, population, self.bound(outcome.bound, outcome.status), outcome.stats, outcome.because)

    def bound(self, value: float, status: Status) -> Bound | None:
        if not self.leads or status is Status.FAILED or not np.isfinite(value):
            return None
        return Bound(float(value), OF[self.concept], "D5")

    # --- a program for each point of the menu ---------------------------------------------------------------------------

    def points(self) -> Run[Population]:
        assert isinstance(self.game.leader, Menu)
        tried: list[tuple[Array, _AtPoint]] = []
        for i, theta in enumerate(self.game.leader):
            if self.report:
                self.report(Progress("points of the menu", i, len(self.game.leader)))
            at = self.at(theta)
            tried.append((theta, at))
            if at.status is Status.FAILED:
                return Run(Status.FAILED, None, None, self.stats(tried), f"theta = {_shown(theta)}: {at.because}")
            if self.remaining() <= 0:
                break
        found = [at for _, at in tried if at.population is not None]
        if self.concept == "fixed_point" and not found and all(at.status is Status.INFEASIBLE for _, at in tried):
            return Run(Status.INFEASIBLE, None, None, self.stats(tried), f"no point of the menu is best against an equilibrium under it ({len(tried)} tried)")
        done = len(tried) == len(self.game.leader) and all(at.status in (Status.OPTIMAL, Status.INFEASIBLE) for _, at in tried)
        status = Status.OPTIMAL if done else Status.LIMIT
        limit = next((f"theta = {_shown(theta)}: {at.because}" for theta, at in tried if at.status is Status.LIMIT), "")
        because = f"{len(tried)} of {len(self.game.leader)} points of the menu solved" + (f"; {limit}" if limit else "")
        if not found:
            return Run(Status.LIMIT, None, None, self.stats(tried), because)
        best = max(found, key=lambda at: at.value)
        upper = max(at.upper for at in found) if done else np.inf
        assert best.population is not None
        return Run(status, dataclasses.replace(best.population, claim=best.value), self.bound(upper, status), self.stats(tried), because)

    def at(self, theta: Array) -> _AtPoint:
        """The leader's best (weak: worst) equilibrium at one decision."""
        followers = affine_followers(self.game, theta)
        weak, fixed = self.concept == "weak", self.concept == "fixed_point"
        sign = -1.0 if weak else 1.0
        assert isinstance(self.game.leader, Menu)
        program = equilibrium_program(followers, sign=sign, fixed_point=fixed, rivals=self.game.leader.points)
        if fixed and (none := self.no_fixed_point(program)):
            return _AtPoint(none.status, None, -np.inf, -np.inf, none.because, 2)
        outcome = self.guarded(program, _OfCalls(followers, sign, concept="fixed_point" if fixed else "commitment"))
        runs = int(outcome.stats["solver_runs"])
        if outcome.best is None or not np.isfinite(outcome.best.value):
            return _AtPoint(outcome.status, None, -np.inf, np.inf, outcome.because, runs)
        population: Population = outcome.best.response
        attained, status, because = sign * outcome.best.value, outcome.status, outcome.because
        upper = attained if weak else outcome.bound
        if self.game.objective is not None:
            flat = spread(followers, self.remaining(), self.seed, limit=None)
            runs += flat.programs
            if not flat.negligible:
                status = Status.LIMIT
                because = f"`objective` is a callable and statistics of equilibria differ by up to {number(flat.size)}, so there may be better ones"
            y = self.game.aggregate(operators.flow(population.mean_field, population.policy))
            added = float(np.real(self.game.objective_value(y, theta)))
            attained, upper = attained + added, upper + added
        return _AtPoint(status, population, attained, upper, because, runs)

    def stats(self, tried: list[tuple[Array, _AtPoint]]) -> dict[str, Any]:
        return {"points": len(tried), "solver_runs": sum(at.runs for _, at in tried), "formulation": "D5"}

    # --- multiplicity ----------------------------------------------------------------------------------------------------

    def with_others(self, run: Run[Population]) -> Run[Population]:
        """Look for further equilibria under the decision found."""
        population = run.candidate
        if population is None or not run.status.success:
            return run
        limit = max(time.perf_counter() - self.begun, 1.0)
        found = spread(affine_followers(self.game, population.theta), min(limit, self.remaining()), self.seed, known=population)
        stats = {**run.stats, "multiplicity_programs": found.programs}
        further = run.further_bounds
        if found.proved:
            further = (*further, Bound(found.size, "difference between statistics of any two equilibria under this decision, largest", "D5"))
        others, because = list(found.others), run.because
        if pattern_count(self.game) <= LISTED and self.remaining() > 0:
            listed = equilibria(self.game, population.theta)
            for other in listed.populations:
                if all(difference(other, known) > DIFFERENT for known in (population, *others)):
                    others.append(other)
            because += f"; {len(listed)} equilibri{'um' if len(listed) == 1 else 'a'} in all" if listed.complete else ""
        kept = tuple(dataclasses.replace(p, claim=None, concept="commitment") for p in others)
        candidate = dataclasses.replace(population, others=kept)
        return dataclasses.replace(run, candidate=candidate, stats=stats, further_bounds=further, because=because)


@dataclass(eq=False)
class _OfCalls(EquilibriumValue):
    """Without the part of the leader's value that is a callable: that part is not in the program."""

    def _value(self, population: Population) -> float:
        whole = super()._value(population)
        y = self.game.aggregate(operators.flow(population.mean_field, population.policy))
        return whole - self.sign * float(np.real(self.game.objective_value(y, population.theta)))


@dataclass(frozen=True, eq=False)
class _AtPoint:
    """What was found for one decision: the value attained, and an upper bound on what it is worth."""

    status: Status
    population: Population | None
    value: float
    upper: float
    because: str
    runs: int


def _shown(theta: Array) -> str:
    return ", ".join(number(x) for x in theta[:6]) or "nothing to decide"

