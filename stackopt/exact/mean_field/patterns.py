r"""Every equilibrium of a tiny population, one pattern of best answers at a time: a route without binaries, big-M or search tree.

A pattern says which actions are best in each type, stage and state, at least one each. With it, masses only on these actions, values equal
to what these earn and at least what the others earn, and the law are linear: a polytope of equilibria, empty for most patterns.
Every equilibrium with its optimal values lies in the polytope of the actions it plays (and one best action where nobody is).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from stackopt.certificate import Bound
from stackopt.display import Block, number
from stackopt.exact.mean_field.multiplicity import DIFFERENT, difference
from stackopt.exact.mean_field.value import is_equilibrium
from stackopt.games.mean_field import operators
from stackopt.games.mean_field.game import MeanFieldStackelbergGame
from stackopt.games.mean_field.leaders import Menu
from stackopt.games.mean_field.population import Population
from stackopt.games.operators import Array
from stackopt.reformulations.mean_field_arrays import AffineFollowers, affine_followers, refuses_affine
from stackopt.reformulations.mean_field_equilibrium import Masses
from stackopt.reformulations.mean_field_masses import as_population, refined
from stackopt.solution import Progress, Refusal, Report, Run, Status

#: Patterns tried at most, over all points of a menu.
PATTERNS = 5_000
#: Equilibria of one polytope that differ by more than this in a random direction show a continuum.
WIDE = 1e-6


@dataclass(frozen=True, eq=False, repr=False)
class Equilibria:
    """All equilibria of a tiny population under one decision, or the ends of their continua.

    Attributes
    ----------
    game : MeanFieldStackelbergGame
    populations : tuple of Population
        Different masses; the leader's value as claim, best first.
    complete : bool
        Whether there are no others: no pattern leaves a continuum, and every polytope's point was confirmed by the game.
    because : str
    patterns : int
        Tried.
    """

    game: MeanFieldStackelbergGame
    populations: tuple[Population, ...]
    complete: bool
    because: str
    patterns: int

    def __len__(self) -> int:
        return len(self.populations)

    def block(self) -> Block:
        """The printed form: one row per equilibrium."""
        count, word = len(self), "all" if self.complete else "perhaps not all"
        title = f'{count} equilibri{"um" if count == 1 else "a"} of "{self.game.name}" ({word})'
        rows = []
        for i, p in enumerate(self.populations):
            y = self.game.aggregate(operators.flow(p.mean_field, p.policy))
            more = ", ..." if y.size > 6 else ""
            rows.append((str(i), f"leader {number(p.claimed)}, statistics {', '.join(number(v, 4) for v in y.ravel()[:6])}{more}"))
        return Block(title, (*rows, ("why", self.because)), good=self.complete)

    def __repr__(self) -> str:
        return self.block().text()

    def _repr_html_(self) -> str:
        return self.block().html()


def equilibria(game: MeanFieldStackelbergGame, theta: Any = None) -> Equilibria:
    """Every mean-field equilibrium of a tiny population under one decision of the leader.

    Parameters
    ----------
    game : MeanFieldStackelbergGame
        With rewards as arrays and transitions that the population does not move; at most `PATTERNS` patterns.
    theta : array [D], optional
        May be left out where the leader has no choice.

    Raises
    ------
    Refused
        ``mean-field-arrays``, ``mean-field-kernel`` or ``mean-field-size``.
    InvalidGame
        If theta does not fit.

    Examples
    --------
    >>> import numpy as np, stackopt as so
    >>> from stackopt.exact.mean_field.patterns import equilibria
    >>> together = so.MeanFieldStackelbergGame(                 # two places, and everybody likes company
    ...     so.Stationary(discount=0.5), reward=np.zeros((2, 2)), transition=np.stack([np.eye(2)] * 2), reward_population=np.eye(2)[:, None].repeat(2, 1))
    >>> len(equilibria(together)) >= 2
    True
    """
    chosen = game.require_theta(np.zeros(0) if theta is None and game.parameters == 0 else theta)
    if (found := refuses_affine(game, at=True) or _too_many(game, 1)) is not None:
        raise found.error()
    listed, continuum, doubts, tried = _all(affine_followers(game, chosen), None)
    kept: list[tuple[float, Population]] = []
    for population in listed:
        if all(difference(population, other) > DIFFERENT for _, other in kept):
            kept.append((_leader_value(game, population), population))
    kept.sort(key=lambda pair: -pair[0])
    complete = not continuum and not doubts
    because = (
        "a pattern leaves a continuum: its ends are listed" if continuum
        else f"{doubts} patterns have masses that the game does not confirm" if doubts
        else "every pattern leaves one point or none"
    )  # fmt: skip
    return Equilibria(game, tuple(replace(p, claim=v) for v, p in kept), complete, because, tried)


def refuses_patterns(game: MeanFieldStackelbergGame, concept: str) -> Refusal | None:
    """Why `run_patterns` does not try everything, if so."""
    if not isinstance(game.leader, Menu):
        return Refusal("mean-field-menu", because=f"the leader's set is {game.leader}", law={"concept": concept})
    return refuses_affine(game, at=True) or _too_many(game, len(game.leader))


def pattern_count(game: MeanFieldStackelbergGame) -> float:
    """Patterns of best answers under one decision."""
    K, T, S, B = game.shape
    return float(2**B - 1) ** (K * T * S)


def _too_many(game: MeanFieldStackelbergGame, points: int) -> Refusal | None:
    count = points * pattern_count(game)
    return Refusal("mean-field-size", because=f"{count:.3g} patterns to try; the limit is {PATTERNS}") if count > PATTERNS else None


def run_patterns(game: MeanFieldStackelbergGame, concept: str, report: Report | None = None) -> Run[Population]:
    """The leader's best decision by trying every pattern under every point of its menu; concepts as for `Exact`.

    The value under a point is the best (weak: worst) over its polytopes. Where `objective` is a callable and a polytope is more than a
    point, the answer is a LIMIT, as only its ends were evaluated.
    """
    assert isinstance(game.leader, Menu)
    best: tuple[float, Population, tuple[Population, ...]] | None = None
    tried, open_ended, doubtful = 0, False, 0
    for i, theta in enumerate(game.leader):
        if report:
            report(Progress("enumerating patterns", i, len(game.leader)))
        listed, continuum, doubts, count = _all(affine_followers(game, theta), game if concept == "fixed_point" else None)
        tried += count
        doubtful += doubts
        open_ended = open_ended or (continuum and game.objective is not None)
        if concept == "fixed_point":
            listed = [p for p in listed if _fixed(game, p)]
        values = [_leader_value(game, p) for p in listed]
        if not values:
            continue
        at = int(np.argmin(values) if concept == "weak" else np.argmax(values))
        if best is None or values[at] > best[0]:
            rest = [p for p in listed if difference(p, listed[at]) > DIFFERENT]
            distinct = [p for j, p in enumerate(rest) if all(difference(p, q) > DIFFERENT for q in rest[:j])]
            best = (values[at], listed[at], tuple(distinct))
    stats = {"tried": tried}
    if best is None:
        if concept == "fixed_point":
            return Run(Status.INFEASIBLE, None, stats=stats, because=f"no point of the menu is best against an equilibrium under it; {tried} patterns tried")
        return Run(Status.FAILED, None, stats=stats, because="no pattern has a solution, although an equilibrium always exists")
    value, population, others = best
    concept_of_candidate: Any = "fixed_point" if concept == "fixed_point" else "commitment"
    candidate = replace(population, claim=value, others=others, concept=concept_of_candidate)
    because = f"{tried} patterns tried"
    if open_ended or doubtful:
        because += "; `objective` was evaluated at the ends of a continuum only" if open_ended else f"; {doubtful} were not confirmed by the game"
        return Run(Status.LIMIT, candidate, None, stats, because)
    return Run(Status.OPTIMAL, candidate, Bound(value, f"leader's value, {concept}", "enumeration"), stats, because)


def _leader_value(game: MeanFieldStackelbergGame, population: Population) -> float:
    flow = operators.flow(population.mean_field, population.policy)
    return game.leader_value(flow, game.aggregate(flow), population.theta)


def _fixed(game: MeanFieldStackelbergGame, population: Population) -> bool:
    flow = operators.flow(population.mean_field, population.policy)
    y, value = game.aggregate(flow), _leader_value(game, population)
    assert isinstance(game.leader, Menu)
    return max(game.leader_value(flow, y, point) for point in game.leader) <= value + 1e-9 * (1.0 + abs(value))


# --- one pattern ----------------------------------------------------------------------------------------------------------


def _all(followers: AffineFollowers, rivals: MeanFieldStackelbergGame | None) -> tuple[list[Population], bool, int, int]:
    """(populations, whether a polytope is more than a point, polytopes the game does not confirm, patterns tried) under a fixed decision.

    Of each polytope the leader's best and worst point and two opposite ends; with `rivals`, also the leader's best among the points at
    which the decision is best in the menu.
    """
    system = _System(followers)
    found: list[Population] = []
    continuum, doubts, tried = False, 0, 0
    rng = np.random.default_rng(0)
    paid = (followers.game.weights[:, None, None, None] * followers.leader_reward).ravel()
    for pattern in _patterns(followers.game.shape):
        tried += 1
        first = system.solve(pattern, paid)
        if first is None:
            continue
        aside = rng.standard_normal(paid.size)
        ends = [system.solve(pattern, direction) for direction in (-paid, aside, -aside)]
        points = [p for p in (first, *ends) if p is not None]
        if max(np.abs(p - first).max() for p in points) > WIDE:
            continuum = True
        if rivals is not None:
            points += [p for p in (system.solve(pattern, paid, _rows_of_rivals(rivals, followers)),) if p is not None]
        for flow in points:
            masses = Masses(followers.theta if followers.theta is not None else np.zeros(0), flow, pattern)
            candidates = (as_population(followers, m) for m in (refined(followers, masses), masses))
            population = next((p for p in candidates if is_equilibrium(followers.game, p)), None)
            if population is None:
                doubts += 1
            else:
                found.append(population)
    return found, continuum, doubts, tried


def _patterns(shape: tuple[int, int, int, int]) -> Iterator[Array]:
    K, T, S, B = shape
    subsets = [np.array(bits, bool) for bits in itertools.product((False, True), repeat=B) if any(bits)]
    for pick in itertools.product(subsets, repeat=K * T * S):
        yield np.array(pick).reshape(K, T, S, B)


def _rows_of_rivals(game: MeanFieldStackelbergGame, followers: AffineFollowers) -> Array:
    """Rows [G, K T S B] that are at most 0 where the decision is best in the menu."""
    assert isinstance(game.leader, Menu)
    assert followers.theta is not None
    paid = np.zeros((*game.shape, game.parameters)) if game.leader_reward_leader is None else game.leader_reward_leader
    weighted = game.weights[:, None, None, None, None] * np.broadcast_to(paid, (*game.shape, game.parameters))
    rows: Array = np.stack([(weighted @ (point - followers.theta)).ravel() for point in game.leader])
    return rows


class _System:
    """The linear system of any pattern: unknowns are masses [K T S B], then values [K T S]."""

    def __init__(self, followers: AffineFollowers) -> None:
        game = followers.game
        K, T, S, B = game.shape
        n, states = K * T * S * B, K * T * S
        cyclic, P = game.cyclic, followers.transition
        law = np.zeros((states, n))
        right = np.zeros(states)
        at = np.arange(n).reshape(K, T, S, B)
        state = np.arange(states).reshape(K, T, S)
        for k, t, s in np.ndindex(K, T, S):
            law[state[k, t, s], at[k, t, s]] += 1.0
            if cyclic or t > 0:
                law[state[k, t, s], at[k, (t - 1) % T].ravel()] -= P[k, (t - 1) % T, :, :, s].ravel()
            else:
                right[state[k, t, s]] = game.initial[k, s]
        total = np.zeros((K * T, n))
        for k, t in np.ndindex(K, T):
            total[k * T + t, at[k, t].ravel()] = 1.0
        self.equalities = np.block([[law, np.zeros((states, states))], [total, np.zeros((K * T, states))]])
        self.right = np.concatenate([right, np.ones(K * T)])
        loss = np.zeros((n, n + states))  # V - what the action earns beyond its fixed part
        for k, t, s, b in np.ndindex(K, T, S, B):
            row = loss[at[k, t, s, b]]
            row[n + state[k, t, s]] += 1.0
            if cyclic or t + 1 < T:
                row[n + state[k, (t + 1) % T]] -= game.discount * P[k, t, s, b]
            for j in range(K):
                row[at[j, t].ravel()] -= game.weights[j] * (followers.statistic[j, t] @ followers.reward_population[k, t, s, b]).ravel()
        self.loss, self.reward, self.n, self.shape = loss, followers.reward.ravel(), n, (K, T, S, B)

    def solve(self, pattern: Array, direction: Array, rivals: Array | None = None) -> Array | None:
        """Masses [K, T, S, B] of the polytope furthest in `direction` [K T S B]; None if it is empty."""
        from scipy.optimize import linprog

        tight = pattern.ravel().astype(bool)
        total = self.loss.shape[1]
        equalities, right = np.concatenate([self.equalities, self.loss[tight]]), np.concatenate([self.right, self.reward[tight]])
        rows, upper = [-self.loss[~tight]], [-self.reward[~tight]]
        if rivals is not None:
            rows, upper = [*rows, np.pad(rivals, ((0, 0), (0, total - self.n)))], [*upper, np.zeros(len(rivals))]
        bounds = [(0.0, 1.0 if used else 0.0) for used in tight] + [(None, None)] * (total - self.n)
        cost = np.concatenate([-direction, np.zeros(total - self.n)])
        found = linprog(
            cost, np.concatenate(rows), np.concatenate(upper), equalities, right, bounds, method="highs",
            options={"primal_feasibility_tolerance": 1e-9, "dual_feasibility_tolerance": 1e-9},
        )
        return found.x[: self.n].reshape(self.shape) if found.status == 0 else None
