"""`Enumeration`: every leader policy of a finite set, or every response pattern of the follower, one after another.

An independent check of `Exact` on tiny games and bilevel programs: no search tree, no big-M.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from stackopt.bilevel.program import BilevelProgram
from stackopt.certificate import Bound
from stackopt.display import number
from stackopt.exact.commitment import CommitmentValue
from stackopt.exact.enumeration_bilevel import refuses_bilevel, run_bilevel
from stackopt.exact.guarded import Worth
from stackopt.exact.mean_field.patterns import refuses_patterns, run_patterns
from stackopt.exact.searched import Concept, Leader, check_settings, method_name, refusal, searched
from stackopt.games.mean_field.game import MeanFieldStackelbergGame
from stackopt.games.operators import Array
from stackopt.games.profile import Profile
from stackopt.games.stackelberg import StackelbergGame
from stackopt.reformulations.formulation import choices_of, grid_size, simplex_grid
from stackopt.reformulations.ranges import Choices
from stackopt.solution import Progress, Refusal, Report, Run, Status

#: Leader policies evaluated at most.
POLICIES = 20_000
#: Linear programs solved at most.
PATTERNS = 5_000


@dataclass(frozen=True)
class Enumeration:
    """The best commitment, or the optimum of a `BilevelProgram`, by trying everything.

    A bilevel program: every set of tight inequalities that can make linear or convex quadratic followers optimal, or every value
    of the integer variables that followers decide or see. A game: over a finite set of leader policies each is evaluated by
    two MDPs [A1]; over randomised ones, each deterministic response of the follower (weak: each set of actions it may play, with
    one it plays) leaves a linear program for the leader. A population with a menu of decisions: each pattern of best answers leaves a
    polytope of equilibria.

    Parameters
    ----------
    concept, leader, grid, margin
        As for `Exact`; they concern games, and of populations only `concept` does.
    """

    concept: Concept = "strong"
    leader: Leader = "auto"
    grid: int = 4
    margin: float = 1e-4

    def __post_init__(self) -> None:
        check_settings(self.concept, self.leader, self.grid, self.margin)

    @property
    def name(self) -> str:
        """How it is called in tables."""
        return method_name("enumeration", self.concept, self.leader, self.grid)

    def name_for(self, problem: Any) -> str:
        """How it is called for one problem: a bilevel program says itself how ties are broken."""
        return "enumeration" if isinstance(problem, BilevelProgram) else self.name

    def refuses(self, problem: Any) -> Refusal | None:
        """Batches, more cases than can be tried, and searches that are not linear case by case."""
        if isinstance(problem, BilevelProgram):
            return refuses_bilevel(problem, self.name)
        if isinstance(problem, MeanFieldStackelbergGame):
            return refuses_patterns(problem, self.concept)
        if self.concept == "relaxed":
            return Refusal("wrong-problem", remedy='so.Exact(concept="relaxed")', law={"method": self.name, "problem": type(problem).__name__})
        if found := refusal(problem, self.name, self.concept, self.leader):
            return found
        count, most, what = self._count(problem)
        if count > most:
            return Refusal("too-large", law={"what": f"{count:.6g} {what} to try; the limit is {most}"})
        return None

    def _count(self, game: StackelbergGame) -> tuple[float, int, str]:
        S, A, B = game.shape
        classes = int(game.observations.max()) + 1
        if self.leader in ("deterministic", "net"):
            return float(grid_size(A, self._grid())) ** classes, POLICIES, "leader policies"
        per_state = B if self.concept == "strong" else B * 2 ** (B - 1)
        return float(per_state) ** S, PATTERNS, "response patterns"

    def _grid(self) -> int:
        return self.grid if self.leader == "net" else 1

    def run(self, problem: Any, *, seed: int = 0, report: Report | None = None) -> Run[Any]:
        """Try everything; deterministic, so `seed` has no effect."""
        if isinstance(problem, BilevelProgram):
            return run_bilevel(problem, report)
        if isinstance(problem, MeanFieldStackelbergGame):
            return run_patterns(problem, self.concept, report)
        randomised = self.leader not in ("deterministic", "net")
        best, bound, tried = self._patterns(problem, report) if randomised else self._policies(problem, report)
        of = searched(self.concept, self.leader, self.grid, self.margin)
        if best is None:
            return Run(Status.FAILED, None, stats={"tried": tried}, because="no case has a solution, although a commitment always exists")
        margin = self.margin if self.concept == "weak" else 0.0
        profile = Profile(best.policy, best.response, concept=self.concept, margin=margin, claim=best.value)
        agrees = abs(bound - best.value) <= 5e-7 * max(1.0, abs(bound))
        because = f"{tried} {self._count(problem)[2]} tried"
        if not agrees:
            because += f"; the best is said to be {number(bound, 9)}, evaluated {number(best.value, 9)}"
        return Run(Status.OPTIMAL if agrees else Status.FAILED, profile, Bound(bound, of, "enumeration") if agrees else None, {"tried": tried}, because)

    def _policies(self, game: StackelbergGame, report: Report | None) -> tuple[Worth | None, float, int]:
        points = simplex_grid(game.shape[1], self._grid())
        value, best, tried = CommitmentValue(game, self.concept, self.margin), None, 0
        for pick in itertools.product(range(len(points)), repeat=int(game.observations.max()) + 1):
            found = value.worth(points[list(pick)][game.observations])
            best = found if best is None or found.value > best.value else best
            tried += 1
            if report and tried % 500 == 0:
                report(Progress("enumerating policies", tried, int(self._count(game)[0])))
        return best, -np.inf if best is None else best.value, tried

    def _patterns(self, game: StackelbergGame, report: Report | None) -> tuple[Worth | None, float, int]:
        moved = bool(game.leader_moves_state())
        choices = choices_of(game, np.eye(game.shape[1]))
        cases, tried = list[tuple[float, Pattern]](), 0
        for pattern in _all_patterns(*game.shape[::2], weak=self.concept == "weak"):
            value, _ = _stagewise_lp(choices, pattern, 0.0) if moved else _pattern_lp(choices, pattern, self._asked(), 0.0)
            tried += 1
            if value > -np.inf:
                cases.append((value, pattern))
            if report and tried % 500 == 0:
                report(Progress("enumerating responses", tried, int(self._count(game)[0])))
        if not cases:
            return None, -np.inf, tried
        evaluator, best = CommitmentValue(game, self.concept, self.margin), None
        bound = max(value for value, _ in cases)
        for value, pattern in sorted(cases, key=lambda case: -case[0]):
            if best is not None and best.value >= value - 1e-9 * max(1.0, abs(value)):
                break
            for slack in (0.0, 1e-9, 1e-8, 1e-7):  # ties that rounding breaks are asked for with a little slack
                _, policy = _stagewise_lp(choices, pattern, slack) if moved else _pattern_lp(choices, pattern, self._asked(), slack)
                found = None if policy is None else evaluator.worth(policy)
                best = found if best is None or (found and found.value > best.value) else best
                if best is not None and best.value >= value - 1e-8 * max(1.0, abs(value)):
                    break
        return best, bound, tried

    def _asked(self) -> float:
        return self.margin if self.concept == "weak" else 0.0


Pattern = tuple[tuple[int, tuple[int, ...]], ...]


def _all_patterns(states: int, actions: int, *, weak: bool) -> Iterator[Pattern]:
    """For each state the action the follower plays, and the set of those it might: one (strong) or any set around it (weak)."""
    sets = [s for n in range(1, actions + 1) for s in itertools.combinations(range(actions), n)] if weak else [(b,) for b in range(actions)]
    yield from itertools.product([(b, s) for s in sets for b in s], repeat=states)


def _pattern_lp(choices: Choices, pattern: Pattern, margin: float, slack: float) -> tuple[float, Array | None]:
    """The leader's best policy among those with this response pattern; transitions are free of its action.

    The follower's value is linear in x: V_F = (I - gamma P_y)^{-1} r_F^x. Other actions are worse by at least `margin`.
    """
    S, A, B = choices.shape
    K, P = choices.classes, choices.transition[:, 0]
    y = np.array([b for b, _ in pattern])
    n = K * A
    place = np.zeros((S, A, n))
    for s in range(S):
        place[s, np.arange(A), choices.observations[s] * A + np.arange(A)] = 1.0
    reward = np.einsum("sab,san->sbn", choices.follower_reward, place)  # r_F^x(s, b) as a linear form of x
    value = np.linalg.solve(np.eye(S) - choices.follower_discount * P[np.arange(S), y], reward[np.arange(S), y])
    gap = value[:, None] - reward - choices.follower_discount * np.einsum("sbt,tn->sbn", P, value)
    above, least = [], []
    for s, (b, others) in enumerate(pattern):
        for c in range(B):
            if c != b:
                above.append(np.r_[-gap[s, c], np.zeros(S)])
                least.append(-(margin if c not in others else 0.0) - (slack if c not in others else 0.0))
        for c in others:  # the leader's value is the least over what the follower might do
            own = np.einsum("a,an->n", choices.leader_reward[s, :, c], place[s])
            above.append(np.r_[-own, (np.arange(S) == s) - choices.leader_discount * P[s, c]])
            least.append(0.0)
    equal = np.zeros((K, n + S))
    for o in range(K):
        equal[o, o * A : (o + 1) * A] = 1.0
    objective = np.r_[np.zeros(n), choices.initial]
    found, point = _linprog(objective, above, least, equal, np.ones(K), [(0.0, 1.0)] * n + [(None, None)] * S)
    if point is None:
        return -np.inf, None
    return found, _simplex(point[:n].reshape(K, A))[choices.observations]


def _stagewise_lp(choices: Choices, pattern: Pattern, slack: float) -> tuple[float, Array | None]:
    """The same when responses are stage-wise: visits m(s, a) with the response fixed, incentives state by state."""
    S, A, B = choices.shape
    y = np.array([b for b, _ in pattern])
    kernel, reward = choices.transition[np.arange(S), :, y], choices.leader_reward[np.arange(S), :, y]
    above = []
    for s in range(S):
        for c in range(B):
            if c != y[s]:
                row = np.zeros((S, A))
                row[s] = choices.follower_reward[s, :, c] - choices.follower_reward[s, :, y[s]] + slack
                above.append(row.ravel())
    equal = -choices.leader_discount * kernel.reshape(S * A, S).T
    equal += np.repeat(np.eye(S), A, axis=1)
    found, point = _linprog(reward.ravel(), above, [0.0] * len(above), equal, choices.initial, [(0.0, None)] * (S * A))
    if point is None:
        return -np.inf, None
    m = point.reshape(S, A)
    return found, _simplex(np.where(m.sum(-1, keepdims=True) > 1e-12, m, 1.0))


def _linprog(objective: Array, above: list[Array], least: list[float], equal: Array, right: Array, bounds: list[Any]) -> tuple[float, Array | None]:
    from scipy.optimize import linprog

    rows = {"A_ub": np.array(above), "b_ub": np.array(least)} if above else {}
    result = linprog(-objective, A_eq=equal, b_eq=right, bounds=bounds, method="highs", options={"primal_feasibility_tolerance": 1e-10}, **rows)
    return (-float(result.fun), np.asarray(result.x)) if result.status == 0 else (-np.inf, None)


def _simplex(weights: Array) -> Array:
    positive = np.clip(weights, 0.0, None)
    normal: Array = positive / positive.sum(-1, keepdims=True)
    return normal
