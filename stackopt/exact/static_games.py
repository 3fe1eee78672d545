"""Exact commitments of one-shot games: Bayesian games by DOBSS, security games by one linear program per attacked target."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from stackopt.backends.highs import solve_lp
from stackopt.certificate import Bound
from stackopt.display import number
from stackopt.exact.guarded import AGREEMENT, Outcome, Worth, guarded_search
from stackopt.exact.searched import Concept, Leader, searched, units_refusal
from stackopt.games.bayesian import BayesianGame
from stackopt.games.operators import Array, one_hot
from stackopt.games.profile import Profile
from stackopt.games.security import Coverage, SecurityGame
from stackopt.reformulations.dobss import dobss, dobss_weak
from stackopt.reformulations.security import attacked_targets, security_weak
from stackopt.solution import STRONG_VALUE, Progress, Refusal, Report, Run, Status

#: Programs with more binary columns than this are refused.
BINARIES = 5_000
#: Decisions evaluated before any solver runs, to refute bounds that are too low.
SAMPLES = 64
#: Ties up to this much, relative to the payoffs, are what a solver cannot see.
BLIND = 1e-7

StaticGame = BayesianGame | SecurityGame


def refuses_static(game: StaticGame, method: str, leader: Leader, concept: Concept = "strong") -> Refusal | None:
    """Why a one-shot game is not solved, if it is not: other concepts, restricted leaders, and sizes."""
    if concept not in ("strong", "weak"):
        return Refusal("wrong-problem", remedy='concept="strong" or "weak"', law={"method": method, "problem": type(game).__name__})
    if leader not in ("auto", "randomised"):
        remedy = 'leader="auto"; deterministic and net leaders are for StackelbergGame'
        return Refusal("wrong-problem", remedy=remedy, law={"method": method, "problem": type(game).__name__})
    binaries = game.shape[0] * game.shape[2] if isinstance(game, BayesianGame) else game.size
    if binaries > BINARIES:
        return Refusal("too-large", law={"what": f"{binaries} responses need as many binary columns or programs; the limit is {BINARIES}"})
    if isinstance(game, BayesianGame):
        return units_refusal(leader_payoff=game.leader_payoff, follower_payoff=game.follower_payoff)
    defender, attacker = (game.defender_covered, game.defender_uncovered), (game.attacker_covered, game.attacker_uncovered)
    return units_refusal(defender=np.array(defender), attacker=np.array(attacker))


def run_static(
    game: Any, *, concept: Concept, margin: float, time_limit: float, confirm: bool, seed: int = 0, report: Report | None = None
) -> Run[Any]:
    """Search for the best commitment of a `BayesianGame` (candidate `Profile`) or `SecurityGame` (candidate `Coverage`).

    Parameters
    ----------
    game : BayesianGame or SecurityGame
    concept : str
        ``"strong"`` or ``"weak"``.
    margin : float
        For the weak concept: responses worse by less than this count as ties.
    time_limit : float
        Seconds.
    confirm : bool
        Have a second run look for anything better (mixed-integer programs).
    seed : int
    report : callable, optional
    """
    rng = np.random.default_rng(seed)
    if isinstance(game, SecurityGame):
        if concept == "strong":
            return _security_strong(game, time_limit, report)
        known = list(np.minimum(game.resources * rng.dirichlet(np.ones(game.size), SAMPLES), 1.0))
        value: BayesianValue | SecurityValue = SecurityValue(game, concept, margin)
        program = security_weak(game, margin)
    else:
        A = game.shape[1]
        known = [*np.eye(A)[:SAMPLES, None], *rng.dirichlet(np.ones(A), (SAMPLES, 1))]
        value = BayesianValue(game, concept, margin)
        program = dobss(game) if concept == "strong" else dobss_weak(game, margin)
    outcome = guarded_search(program, value, known=known, time_limit=time_limit, confirm=confirm, seed=seed, report=report)
    return _run(outcome, value, program.tag)


@dataclass(frozen=True, eq=False)
class BayesianValue:
    """Evaluates mixed actions [1, A] of a Bayesian game; responses are policies [K, B]."""

    game: BayesianGame
    concept: Concept
    margin: float

    def worth(self, policy: Array) -> Worth:
        """The value, ties for or against the leader."""
        return self._worth(policy, self.margin if self.concept == "weak" else 0.0)

    def generous(self, policy: Array) -> tuple[float, float]:
        """The value with ties as wide as a solver is blind."""
        width = BLIND * (1.0 + float(np.abs(self.game.follower_payoff).max()))
        return self._worth(policy, width if self.concept == "strong" else max(self.margin - width, 0.0)).value, width

    def doubtful(self, policy: Array) -> str:
        """Actions counted as tied whose gap is more than rounding."""
        return _doubt(self.game.follower_values(policy), self.margin if self.concept == "weak" else 0.0)

    def _worth(self, policy: Array, margin: float) -> Worth:
        against = self.concept == "weak"
        value = self.game.value_against(policy, self.game.responses(policy, against=against, margin=margin))
        best = self.game.responses(policy, against=against)  # what only counts as a tie is not played
        return Worth(policy, one_hot(best, self.game.shape[2]), value)

    def candidate(self, worth: Worth) -> Profile:
        """What the game certifies."""
        return Profile(worth.policy, worth.response, concept=self.concept, margin=self.margin if self.concept == "weak" else 0.0, claim=worth.value)


@dataclass(frozen=True, eq=False)
class SecurityValue:
    """Evaluates coverages [T] of a security game; the response is the target attacked."""

    game: SecurityGame
    concept: Concept
    margin: float

    def worth(self, policy: Array) -> Worth:
        """The value, ties for or against the defender."""
        return self._worth(policy, self.margin if self.concept == "weak" else 0.0)

    def generous(self, policy: Array) -> tuple[float, float]:
        """The value with ties as wide as a solver is blind."""
        width = BLIND * (1.0 + float(np.abs(self.game.attacker_uncovered).max()))
        return self._worth(policy, width if self.concept == "strong" else max(self.margin - width, 0.0)).value, width

    def doubtful(self, policy: Array) -> str:
        """Targets counted as tied whose gap is more than rounding."""
        return _doubt(self.game.attacker_values(policy), self.margin if self.concept == "weak" else 0.0)

    def _worth(self, policy: Array, margin: float) -> Worth:
        against = self.concept == "weak"
        target = self.game.attacked(policy, against=against, margin=margin)
        best = self.game.attacked(policy, against=against)  # what only counts as a tie is not attacked
        return Worth(policy, best, float(self.game.defender_values(policy)[target]))

    def candidate(self, worth: Worth) -> Coverage:
        """What the game certifies."""
        return Coverage(worth.policy, int(worth.response), self.concept, self.margin if self.concept == "weak" else 0.0, worth.value)


def _doubt(values: Array, asked: float) -> str:
    """In words, the gaps [..., B] that are at the edge of counting as ties without being rounding; empty if none is."""
    gaps = values.max(-1, keepdims=True) - values
    size = 1.0 + float(np.abs(values).max())
    near = gaps[(np.abs(gaps - asked) <= 3e-9 * size) & (gaps > 1e-13 * size)]
    return f"counting actions that differ by {number(float(np.abs(near - asked).max()))} as tied" if near.size else ""


def _run(outcome: Outcome, value: BayesianValue | SecurityValue, tag: str) -> Run[Any]:
    candidate = None if outcome.best is None else value.candidate(outcome.best)
    bound = None
    if outcome.status is not Status.FAILED and np.isfinite(outcome.bound):
        bound = Bound(outcome.bound, searched(value.concept, "auto", 1, value.margin), tag)
    return Run(outcome.status, candidate, bound, outcome.stats, outcome.because)


def _security_strong(game: SecurityGame, time_limit: float, report: Report | None) -> Run[Coverage]:
    """One linear program per attacked target; each point is evaluated by the game, with slack if a tie was lost to rounding."""
    deadline = time.perf_counter() + time_limit
    value = SecurityValue(game, "strong", 0.0)
    best: Worth | None = None
    bound, solved = -np.inf, 0
    for program in attacked_targets(game):
        if report:
            report(Progress("attacked targets", program.target, game.size))
        result = solve_lp(program.milp, time_limit=deadline - time.perf_counter())
        if result.status is Status.LIMIT:
            candidate = None if best is None else value.candidate(best)
            return Run(Status.LIMIT, candidate, None, {"programs": solved}, f"time limit after {solved} of {game.size} targets")
        solved += 1
        if result.status is Status.INFEASIBLE:  # no coverage makes this target a best one
            continue
        if result.status is not Status.OPTIMAL or result.point is None:
            return Run(Status.FAILED, None, None, {"programs": solved}, f"target {program.target}: {result.because}")
        bound = max(bound, result.value)
        for found in _attempts(program.target, game, program.lift(result.point).coverage):
            worth = value.worth(found)
            best = worth if best is None or worth.value > best.value else best
            if best.value >= result.value - 0.1 * AGREEMENT * (1 + abs(result.value)):
                break
    if best is None or best.value < bound - AGREEMENT * max(1.0, abs(bound)):
        because = f"the optimum {number(bound, 9)} is not attained; found {'nothing' if best is None else number(best.value, 9)}"
        return Run(Status.FAILED, None if best is None else value.candidate(best), None, {"programs": solved}, because)
    stats: dict[str, Any] = {"programs": solved, "formulation": "one linear program per attacked target"}
    because = f"{solved} linear programs solved, best evaluated at its bound"
    return Run(Status.OPTIMAL, value.candidate(best), Bound(max(bound, best.value), STRONG_VALUE, "D7.2"), stats, because)


def _attempts(target: int, game: SecurityGame, coverage: Array) -> list[Array]:
    """The coverage, and ones that leave the attacked target a little barer so that it is surely a best one."""
    attempts = [coverage]
    for less in (1e-9, 1e-8, 1e-7):
        barer = coverage.copy()
        barer[target] = max(barer[target] - less * (1.0 + float(np.abs(game.attacker_uncovered).max())), 0.0)
        attempts.append(barer)
    return attempts

