"""`Exact`: the best commitment of a small game, by a mixed-integer program whose every claim is re-evaluated."""

from __future__ import annotations

import dataclasses
import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from stackopt.bilevel.program import BilevelProgram
from stackopt.certificate import Bound
from stackopt.errors import InvalidMethod
from stackopt.exact.bilevel import refuses_bilevel, route, run_bilevel
from stackopt.exact.bracket import upper_bracket
from stackopt.exact.commitment import CommitmentValue, program_for
from stackopt.exact.guarded import Outcome, guarded_search
from stackopt.exact.known_policies import local_search
from stackopt.exact.mean_field.solve import reformulate_mean_field, refuses_mean_field, run_mean_field
from stackopt.exact.occupancy import refuses_occupancy, run_occupancy
from stackopt.exact.proved import proved
from stackopt.exact.proved_bilevel import proved_bilevel
from stackopt.exact.proved_integer import proved_integer
from stackopt.exact.proved_population import proved_population
from stackopt.exact.relaxed import run_relaxed
from stackopt.exact.searched import Concept, Leader, check_settings, method_name, randomised_refusal, refusal, searched, stagewise
from stackopt.exact.shaped import run_shaped
from stackopt.exact.stagewise_iteration import TRIPLES, run_stagewise
from stackopt.exact.static_games import StaticGame, refuses_static, run_static
from stackopt.games.mean_field.game import MeanFieldStackelbergGame
from stackopt.games.profile import Profile
from stackopt.games.shaping import shaping
from stackopt.games.stackelberg import StackelbergGame
from stackopt.reformulations.formulation import grid_size, simplex_grid
from stackopt.reformulations.game_program import GameProgram, game_program
from stackopt.reformulations.mean_field_program import PopulationProgram
from stackopt.solution import Refusal, Report, Run, Status

#: Programs with more non-zeros than this are refused.
NONZEROS = 2_000_000


@dataclass(frozen=True)
class Exact:
    """The best commitment or leader decision, by mixed-integer programming and branch-and-bound.

    A `BilevelProgram` says itself how ties are broken, so only `time_limit` and `processes` apply to it. Its followers decide the search:
    complementarity branching for linear and convex quadratic ones, the integer portfolio for mixed-integer linear ones, SCIP's
    global search (an optional package) for the rest; no search needs a bound on multipliers.

    Of a `MeanFieldStackelbergGame` it finds the leader's decision over equilibria of the population (D5), or an equilibrium where there
    is nothing to decide; `concept`, `time_limit` and `confirm` apply. ``"strong"`` is the best equilibrium under a decision, ``"weak"``
    the worst, and ``"fixed_point"`` a decision that is best against a population held fixed.

    Parameters
    ----------
    concept : str
        ``"strong"``: the follower breaks ties for the leader. ``"weak"``: against it, and actions worse by less than
        `margin` count as ties; without a margin the weak value need not be attained (theory A.2, D2). ``"relaxed"``: the follower may lose
        up to `margin` in every state, and does so for the leader (D2, strong_epsilon); a leader that moves the state then needs a finite set.
    leader : str
        Which leader policies to search. ``"randomised"``: all; one mixed-integer program where the leader's action does not
        change the transitions [D3], one linear program where the follower is myopic or cannot change them [P1], else
        branch and bound over occupancy measures, for a few states, which returns an interval when time runs out [D8].
        ``"deterministic"``: pure ones [D1]. ``"net"``: mixed
        actions in multiples of ``1 / grid`` [D1]; ``Run.further_bounds`` then bounds the rest [D4]. ``"auto"``: randomised.
    grid : int
        For ``"net"``.
    margin : float
        For ``"weak"`` and ``"relaxed"``; in units of the follower's value.
    time_limit : float
        Seconds, all solver runs together. Reaching it is LIMIT, with the incumbent and the bound proved so far.
    confirm : bool
        Have a second, differently configured run look for anything better.
    processes : int
        For complementarity branching: so many share the open cells, on systems that can fork.
    proof : bool or ``"auto"``
        Whether to accompany the answer by a proof in rational arithmetic, `Solution.proof`. Auto: small problems, for as long as the search
        took. True: within the time limit. Bilevel programs: linear and convex quadratic followers under a linear or convex quadratic leader;
        with True also one integer follower that sees only integers of a linear leader. Games: strong values. Mean-field games: the best
        equilibrium over a menu or a box.

    Notes
    -----
    PROVED means: a checker that needs nothing but Python's standard library accepted a proof of the value.
    OPTIMAL means: the search closed its gap in floating point, the game evaluates the returned policy at the bound, no
    policy found attains more, and (with `confirm`) a second run does not disagree; `because` says whether it finished in the
    time left. A solver that contradicts itself or the game ends in FAILED.

    Examples
    --------
    >>> import stackopt as so
    >>> solution = so.solve(so.catalog.build("commitment_2x2"), so.Exact(concept="strong"))
    >>> abs(solution.candidate.leader_policy).round(3).tolist()
    [[0.5, 0.5]]
    """

    concept: Concept = "strong"
    leader: Leader = "auto"
    grid: int = 4
    margin: float = 1e-4
    time_limit: float = 60.0
    confirm: bool = True
    processes: int = 1
    proof: bool | str = "auto"

    def __post_init__(self) -> None:
        check_settings(self.concept, self.leader, self.grid, self.margin)
        if not isinstance(self.processes, int) or self.processes < 1:
            raise InvalidMethod("setting", name="processes", law="a whole number of at least 1", got=repr(self.processes))
        if self.proof not in (True, False, "auto"):
            raise InvalidMethod("setting", name="proof", law='True, False or "auto"', got=repr(self.proof))
        if not self.time_limit >= 0:
            raise InvalidMethod("setting", name="time_limit", law="a number of seconds, not negative", got=repr(self.time_limit))

    @property
    def name(self) -> str:
        """How it is called in tables."""
        return method_name("exact", self.concept, self.leader, self.grid)

    def name_for(self, problem: Any) -> str:
        """How it is called for one problem: a bilevel program says itself how ties are broken."""
        return "exact" if isinstance(problem, BilevelProgram) else self.name

    def refuses(self, problem: Any) -> Refusal | None:
        """Batches, programs that would not fit, and searches that are not mixed-integer linear."""
        if isinstance(problem, BilevelProgram):
            if self.concept != "strong":
                return Refusal("wrong-problem", remedy='ties="pessimistic" in the program itself', law={"method": self.name, "problem": "BilevelProgram"})
            return refuses_bilevel(problem)
        if isinstance(problem, MeanFieldStackelbergGame):
            return refuses_mean_field(problem, self.concept)
        if isinstance(problem, StaticGame):
            return refuses_static(problem, self.name, self.leader, self.concept)
        found = refusal(problem, self.name, self.concept, self.leader)
        if self._strong_over_all and (found is None or found.code == "leader-moves-state") and shaping(problem) is not None:
            return None
        if found is not None:
            moved = found.code == "leader-moves-state" and not problem.sparse and self.concept != "relaxed"
            return refuses_occupancy(problem) if moved else found
        if self._strong_over_all and self._is_long_stagewise(problem):
            return None
        S, A, B = problem.shape
        J = grid_size(A, self._grid())
        per_choice = J if self.leader in ("deterministic", "net") else 1
        nonzeros = 4 * S * S * per_choice * B + 6 * S * J * B
        if nonzeros > NONZEROS:
            what = f"{S} states x {J} leader choices x {B} follower actions need a program with about {nonzeros:.2g} non-zeros; the limit is {NONZEROS:.2g}"
            return Refusal("too-large", law={"what": what})
        return None

    @staticmethod
    def _is_long_stagewise(game: StackelbergGame) -> bool:
        return math.prod(game.shape) > TRIPLES and game.leader_sees_state and stagewise(game)

    @property
    def _strong_over_all(self) -> bool:
        return self.concept == "strong" and self.leader in ("auto", "randomised")

    def _grid(self) -> int:
        return self.grid if self.leader == "net" else 1

    def reformulate(self, problem: StackelbergGame | MeanFieldStackelbergGame) -> GameProgram | PopulationProgram:
        """The mixed-integer program of the search, to be read, written, edited or solved elsewhere.

        Raises
        ------
        Refused
            If the search is not one program: a randomised leader that moves the state, a batch, another kind of problem.

        Examples
        --------
        >>> import stackopt as so
        >>> stated = so.Exact(leader="deterministic").reformulate(so.catalog.build("commitment_2x2"))
        >>> stated.target.linear_only
        True
        """
        if isinstance(problem, MeanFieldStackelbergGame):
            return reformulate_mean_field(problem, self.concept)
        found = refusal(problem, self.name, self.concept, self.leader)
        if found is not None:
            raise found.error()
        points = simplex_grid(problem.shape[1], self._grid())
        return game_program(problem, program_for(problem, self.concept, self.leader, points, self.margin), self.concept, self.margin)

    def run(self, problem: Any, *, seed: int = 0, report: Report | None = None) -> Run[Any]:
        """Search; see the class for what each status means."""
        if isinstance(problem, BilevelProgram):
            return run_bilevel(problem, time_limit=self.time_limit, seed=seed, report=report, processes=self.processes)
        if isinstance(problem, MeanFieldStackelbergGame):
            return run_mean_field(
                problem, concept=self.concept, time_limit=self.time_limit, confirm=self.confirm, seed=seed, report=report
            )
        if isinstance(problem, StaticGame):
            return run_static(
                problem, concept=self.concept, margin=self.margin, time_limit=self.time_limit, confirm=self.confirm, seed=seed, report=report
            )
        return self._commitment(problem, seed, report)

    def prove(self, problem: Any, run: Run[Any], seconds: float) -> Run[Any]:
        """`run`, of `seconds`, with a proof in the user's units if there is one."""
        if isinstance(problem, BilevelProgram):
            if self.proof is True and route(problem) == "integer":
                return proved_integer(problem, run, seconds=seconds, time_limit=self.time_limit)
            return proved_bilevel(problem, run, proof=self.proof, seconds=seconds, time_limit=self.time_limit)
        if isinstance(problem, MeanFieldStackelbergGame):
            return proved_population(problem, run, concept=self.concept, proof=self.proof, seconds=seconds, time_limit=self.time_limit)
        if isinstance(problem, StackelbergGame) and self.concept == "strong":
            return proved(problem, run, leader=self.leader, proof=self.proof, seconds=seconds, time_limit=self.time_limit)
        return run

    def _commitment(self, problem: StackelbergGame, seed: int, report: Report | None) -> Run[Profile]:
        if self._strong_over_all and (run := run_shaped(problem)) is not None:
            return run
        if self._strong_over_all and self._is_long_stagewise(problem) and (run := run_stagewise(problem)) is not None:
            return run
        if self.leader in ("auto", "randomised") and randomised_refusal(problem, self.concept):
            return run_occupancy(problem, concept=self.concept, margin=self.margin, time_limit=self.time_limit, seed=seed, report=report)
        if self.concept == "relaxed":
            return run_relaxed(
                problem, leader=self.leader, grid=self._grid(), of=searched(self.concept, self.leader, self.grid, self.margin), margin=self.margin,
                time_limit=self.time_limit, confirm=self.confirm, seed=seed, report=report,
            )
        begun = time.perf_counter()
        points = simplex_grid(problem.shape[1], self._grid())
        value = CommitmentValue(problem, self.concept, self.margin)
        program = program_for(problem, self.concept, self.leader, points, self.margin)
        outcome = guarded_search(
            program,
            value,
            known=local_search(problem.observations, points, value, seed),
            time_limit=self.time_limit,
            confirm=self.confirm,
            seed=seed,
            report=report,
        )
        run = self._run(outcome, program.tag)
        if self.concept == "weak" or self.leader not in ("deterministic", "net") or outcome.best is None:
            return run
        left = self.time_limit - (time.perf_counter() - begun)
        further = upper_bracket(problem, points, self._grid(), outcome.best.value, max(left, 0.0), seed)
        return dataclasses.replace(run, further_bounds=(further,))

    def _run(self, outcome: Outcome, tag: str) -> Run[Profile]:
        profile = None
        if outcome.best is not None:
            best = outcome.best
            margin = self.margin if self.concept == "weak" else 0.0
            profile = Profile(best.policy, best.response, concept=self.concept, margin=margin, claim=best.value)
        bound = None
        if outcome.status is not Status.FAILED and np.isfinite(outcome.bound):
            bound = Bound(outcome.bound, searched(self.concept, self.leader, self.grid, self.margin), tag)
        return Run(outcome.status, profile, bound, outcome.stats, outcome.because)
