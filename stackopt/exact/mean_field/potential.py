"""Exact equilibria of finite-horizon populations with a concave potential: a convex program, then a linear one over its maxima.

All equilibria under a decision are the maxima of the potential, a polytope: best answers are the same in all of them, and so is what
bends the potential. The leader's best, worst or fixed point among them is a linear program. Nothing of it is taken on trust: masses are
accepted only if the game finds that nobody gains by deviating.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from stackopt.backends.highs import solve_lp
from stackopt.certificate import Bound
from stackopt.display import number
from stackopt.exact.mean_field.multiplicity import DIFFERENT, difference
from stackopt.exact.mean_field.value import is_equilibrium
from stackopt.games.mean_field import operators
from stackopt.games.mean_field.dynamics import respond
from stackopt.games.mean_field.game import MeanFieldStackelbergGame
from stackopt.games.mean_field.leaders import Menu
from stackopt.games.mean_field.population import Population
from stackopt.games.mean_field.terms import LogCrowding
from stackopt.games.operators import Array
from stackopt.programs.milp import Milp, MilpBuilder
from stackopt.reformulations.mean_field_arrays import AffineFollowers, affine_followers
from stackopt.reformulations.mean_field_equilibrium import Masses
from stackopt.reformulations.mean_field_masses import EMPTY, as_population, refined
from stackopt.reformulations.mean_field_potential import Potential, maximum, potential_of
from stackopt.solution import Progress, Report, Run, Status

#: Gaps up to the first, relative to the values, are ties of the maximum, and what bends the potential is held to its value there up to the
#: second, in units of mass: in turn, until the game confirms what comes out. A convex solver's maximum is known no better.
CLOSENESS = ((1e-6, 1e-9), (1e-6, 1e-7), (1e-8, 1e-7), (1e-5, 1e-6))
#: Steps of Newton's method, where rewards are logarithms.
NEWTON = 5
#: Statistics whose range over the maxima is computed, by two linear programs each.
STATISTICS = 60


def why_no_potential(game: MeanFieldStackelbergGame) -> str:
    """Why the convex program does not stand for the equilibria of `game`, if so."""
    if not isinstance(game.leader, Menu):
        return f"the leader's set is {game.leader}"
    if not game.kernel_is_fixed or (callable(game.reward) and not isinstance(game.reward, LogCrowding)):
        return "rewards are a callable" if game.kernel_is_fixed else "transitions depend on the population or the leader"
    found = potential_of(affine_followers(game, game.leader.points[0]))  # the decision moves the linear part alone
    return found if isinstance(found, str) else ""


def run_potential(game: MeanFieldStackelbergGame, concept: str, of: str, time_limit: float, report: Report | None = None) -> Run[Population] | None:
    """Solve each point of the menu; None if some answer is not confirmed by the game.

    Parameters
    ----------
    game : MeanFieldStackelbergGame
        For which `why_no_potential` knows no reason.
    concept : str
        ``"strong"``, ``"weak"`` or ``"fixed_point"``.
    of : str
        What the bound is a bound of.
    time_limit : float
        Seconds.
    report : callable, optional
    """
    assert isinstance(game.leader, Menu)
    deadline = time.perf_counter() + time_limit
    best: _Found | None = None
    like: Potential | None = None
    for i, theta in enumerate(game.leader):
        if time.perf_counter() >= deadline:
            because = f"time limit after {i} of {len(game.leader)} points of the menu"
            return Run(Status.LIMIT, None if best is None else best.population, None, {"points": i}, because)
        if report:
            report(Progress("points of the menu", i, len(game.leader)))
        followers = affine_followers(game, theta)
        potential = potential_of(followers, like)
        assert not isinstance(potential, str)
        like, found = potential, _at(followers, potential, theta, concept)
        if found is None:
            return None
        if found.population is not None and (best is None or found.value > best.value):
            best = found
    stats: dict[str, Any] = {"points": len(game.leader), "formulation": "concave potential"}
    if best is None:
        return Run(Status.INFEASIBLE, None, None, stats, "no point of the menu is best against an equilibrium under it")
    assert best.population is not None
    leads = any(part is not None for part in (game.leader_reward, game.leader_reward_leader, game.objective))
    bound = Bound(best.upper, of, "concave potential") if leads else None
    if game.objective is not None and not best.spread <= DIFFERENT:
        because = f"`objective` is a callable and statistics of equilibria differ by up to {number(best.spread)}, so there may be better ones"
        return Run(Status.LIMIT, best.population, None, stats, because)
    apart = (Bound(best.spread, "difference between statistics of any two equilibria under this decision, largest", "concave potential"),)
    further = apart if np.isfinite(best.spread) else ()
    because = f"the potential's maximum is confirmed at {len(game.leader)} point{'s' if len(game.leader) != 1 else ''} of the menu"
    return Run(Status.OPTIMAL, replace(best.population, claim=best.value), bound, stats, because, further_bounds=further)


@dataclass(frozen=True, eq=False)
class _Found:
    """The leader's value at one decision, an upper bound on it, and how far statistics of equilibria lie apart."""

    population: Population | None
    value: float
    upper: float
    spread: float


def _at(followers: AffineFollowers, potential: Potential, theta: Array, concept: str) -> _Found | None:
    """What one decision is worth; None if the game does not confirm the maximum."""
    game = followers.game
    masses, _ = maximum(game, followers.transition, potential)
    if masses is None:
        return None
    sign = -1.0 if concept == "weak" else 1.0
    weights = game.weights[:, None, None, None]
    for width, held in CLOSENESS:
        maxima = _Maxima(followers, potential, masses, theta, width, held)
        rivals = maxima.rivals() if concept == "fixed_point" else None
        point, upper, status = maxima.best((sign * weights * followers.leader_reward).ravel(), rivals)
        if point is None and status is Status.INFEASIBLE and rivals is not None and maxima.best(np.zeros(masses.size))[0] is not None:
            return _Found(None, -np.inf, -np.inf, 0.0)
        if point is None:
            continue
        population = _population(followers, Masses(theta, point, maxima.tied), concept)
        if population is None:
            continue
        flow = operators.flow(population.mean_field, population.policy)
        y = game.aggregate(flow)
        value = game.leader_value(flow, y, theta)
        added = float(np.real(game.objective_value(y, theta)))
        others, spread = maxima.others(population)
        population = replace(population, others=others)
        return _Found(population, value, value if concept == "weak" else max(sign * upper + added, value), spread)
    return None


def _population(followers: AffineFollowers, masses: Masses, concept: str) -> Population | None:
    """The masses as an equilibrium, if the game confirms them."""
    called: Any = "fixed_point" if concept == "fixed_point" else "commitment"
    sharper = _newton(followers, masses) if isinstance(followers.game.reward, LogCrowding) else refined(followers, masses)
    for attempt in (sharper, masses):
        population = as_population(followers, attempt, called)
        if is_equilibrium(followers.game, population):
            return population
    return None


def _newton(followers: AffineFollowers, masses: Masses) -> Masses:
    """Newton's method for the equations of the support: each step refines the masses for rewards that are affine near the last ones."""
    game, theta = followers.game, masses.theta
    K, T, S, B = game.shape
    assert isinstance(game.reward, LogCrowding)
    for _ in range(NEWTON):
        y = game.aggregate(masses.flow)
        slope = np.where(y > EMPTY, -game.reward.weight / np.maximum(y, EMPTY), 0.0)  # of an empty place nothing is known
        slopes = np.broadcast_to(np.eye(S)[:, None, :] * slope[:, :, None, None], (K, T, S, B, S))
        base = game.rewards(y, theta) - (slopes * y[None, :, None, None, :]).sum(-1)
        masses = refined(replace(followers, reward=base, reward_population=slopes), masses)
    return masses


class _Maxima:
    """The polytope of a potential's maxima, as a linear program."""

    def __init__(self, followers: AffineFollowers, potential: Potential, masses: Array, theta: Array, width: float, held: float) -> None:
        game = followers.game
        self.followers, self.theta = followers, theta
        K, T, S, B = game.shape
        best = respond(game, game.aggregate(masses), theta)
        gap = best.value[..., None] - best.q
        self.tied = gap <= width * (1.0 + float(np.abs(best.q).max()))
        m = MilpBuilder("maxima of a potential")
        self.mass = m.columns("m", (K, T, S, B), 0.0, np.where(self.tied, 1.0, 0.0))
        for k, t, s in np.ndindex(K, T, S):
            if t == 0:
                m.row(f"begin_{k}_{s}", self.mass[k, 0, s], 1.0, game.initial[k, s], game.initial[k, s])
            else:
                columns = np.concatenate([self.mass[k, t, s], self.mass[k, t - 1].ravel()])
                m.row(f"flow_{k}_{t}_{s}", columns, np.concatenate([np.ones(B), -followers.transition[k, t - 1, :, :, s].ravel()]), 0.0, 0.0)
        for t in range(T):
            rows = self._bends(potential, t)
            for i, row in enumerate(rows):
                size = float(np.abs(row).max()) or 1.0
                at = float(row @ masses[:, t].ravel())
                m.row(f"held_{t}_{i}", self.mass[:, t].ravel(), row, at - held * size, at + held * size)
        self.milp = m.build()

    def _bends(self, potential: Potential, t: int) -> Array:
        """Rows [r, K S B] whose products with the masses are the same in all maxima."""
        game = self.followers.game
        if potential.crowding is None:
            return potential.factors[t].T
        measured: Array = np.moveaxis(game.weights[:, None, None, None] * self.followers.statistic[:, t], -1, 0)
        return measured.reshape(game.statistics, -1)

    def rivals(self) -> Array:
        """Rows [G, K T S B] that are at most 0 where the decision is best in the menu."""
        game = self.followers.game
        assert isinstance(game.leader, Menu)
        paid = np.zeros((*game.shape, game.parameters)) if game.leader_reward_leader is None else game.leader_reward_leader
        weighted = game.weights[:, None, None, None, None] * np.broadcast_to(paid, (*game.shape, game.parameters))
        rows: Array = np.stack([(weighted @ (point - self.theta)).ravel() for point in game.leader])
        return rows

    def best(self, direction: Array, rivals: Array | None = None) -> tuple[Array | None, float, Status]:
        """(masses furthest in a direction [K T S B], the value there, how the linear program ended)."""
        milp: Milp = replace(self.milp, objective=direction.copy())
        for g, row in enumerate([] if rivals is None else rivals):
            milp = milp.with_row(f"rival_{g}", row, upper=0.0)
        found = solve_lp(milp)
        return (None if found.point is None else found.point[self.mass]), found.value, found.status

    def others(self, known: Population) -> tuple[tuple[Population, ...], float]:
        """(equilibria that differ from the known one, how far statistics lie apart over all: NaN if there are too many to say)."""
        game = self.followers.game
        T, J = game.shape[1], game.statistics
        found: list[Population] = [known]
        rng = np.random.default_rng(0)
        aside = rng.standard_normal(self.mass.size)
        for direction in (aside, -aside):
            flow, _, _ = self.best(direction)
            population = None if flow is None else _population(self.followers, Masses(self.theta, flow, self.tied), "strong")
            if population is not None and all(difference(population, p) > DIFFERENT for p in found):
                found.append(population)
        if T * J > STATISTICS:
            return tuple(found[1:]), float("nan")
        size = 0.0
        for t, j in np.ndindex(T, J):
            row = np.zeros(game.shape)
            row[:, t] = game.weights[:, None, None] * self.followers.statistic[:, t, ..., j]
            size = max(size, sum(self.best(sign * row.ravel())[1] for sign in (1.0, -1.0)))
        return tuple(found[1:]), size

