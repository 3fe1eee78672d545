r"""Predictions E13 to E17: what the methods must give, exact ones on tiny games and gradients against differences."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from stackopt.bounds import net
from stackopt.certificate import Assumption, Bound, Examination
from stackopt.exact import Enumeration, Exact
from stackopt.games.constants import both_constants
from stackopt.games.operators import Array
from stackopt.games.relaxations import upper_bounds
from stackopt.games.responses import commitment, follower_response, leader_value
from stackopt.games.stackelberg import StackelbergGame, stay
from stackopt.learning.hypergradient import HypergradientAscent, commitment_gradient
from stackopt.learning.naive_ascent import NaiveAscent
from stackopt.solution import STRONG_VALUE, Solution
from stackopt.solving import solve
from stackopt.verification.instances import adversarial_game, random_policy, random_temperature
from stackopt.verification.predictions import ROUNDING, Case, at_least
from stackopt.verification.predictions_of_commitment import tie_cost

#: Step of central differences.
STEP = 1e-5
#: Largest relative error of a gradient against central differences.
GRADIENT = 1e-4
#: Tolerance of exact values, relative: the integrality tolerance of the solver times the big-M of tiny games.
EXACT = 1e-5


def tiny(case: Case, kernel: str | None = None) -> StackelbergGame:
    """A game small enough to enumerate: two states, two actions each, a discount of at most 0.9."""
    shape = (int(case.rng.integers(1, 3)), 2, int(case.rng.integers(2, 4)))
    discount = float(case.rng.choice([0.0, 0.5, 0.9]))
    rewards = str(case.rng.choice(["uniform", "ties"]))
    return adversarial_game(case.rng, kernel=kernel, rewards=rewards, shape=shape, discounts=(discount, discount))


def solved(*solutions: Solution) -> Assumption:  # type: ignore[type-arg]
    """That every search closed its gap."""
    short = [f"{s.method.name}: {s.status}" for s in solutions if not s.status.success]
    return Assumption("every search ended with success", not short, "; ".join(short))


def bracket(on_net: Solution) -> tuple[Bound, ...]:  # type: ignore[type-arg]
    """What the search on a net proved about all leader policies; one bound that does not apply if nothing."""
    found = tuple(b for b in on_net.further_bounds if b.of == STRONG_VALUE)
    return found or (Bound(math.nan, STRONG_VALUE, "D4", (Assumption("the search on the net proved a bracket", False, str(on_net.status)),)),)


def e13(case: Case) -> Iterator[Examination]:
    """The exact value over pure leader policies is the one of enumeration, strong and weak  [D1, D2]."""
    game = tiny(case)
    for concept in ("strong", "weak"):
        exact = solve(game, Exact(concept=concept, leader="deterministic"))
        brute = solve(game, Enumeration(concept=concept, leader="deterministic"))
        found = solved(exact)
        value, slack = float(brute.value), EXACT * (1.0 + abs(float(brute.value)))
        yield Examination(float(exact.value), Bound(value, f"exact {concept} value", "D1, D2", (found,)), slack)
        yield Examination(float(exact.value), at_least(value, f"exact {concept} value", "D1, D2", found), slack)


def e14(case: Case) -> Iterator[Examination]:
    """The exact value over randomised leader policies is above every sampled commitment, within the net's bracket  [D3, D4]."""
    game = tiny(case, "leaderless")
    exact = solve(game, Exact(concept="strong", leader="randomised"))
    found, value = solved(exact), float(exact.value)
    slack = EXACT * (1.0 + abs(value)) + tie_cost(game)
    S, A, _ = game.shape
    for _ in range(10):
        sampled = float(commitment(game, random_policy(case.rng, S, A)).strong)
        yield Examination(value, at_least(sampled, "exact value over all leader policies", "D3", found), slack)
    highest = min(upper_bounds(game), key=lambda b: b.value)
    yield Examination(value, replace(highest, of="exact value over all leader policies", assumptions=(*highest.assumptions, found)), slack)
    coarse = solve(game, Exact(concept="strong", leader="net", grid=2))
    for bound in bracket(coarse):
        yield Examination(value, replace(bound, assumptions=(*bound.assumptions, solved(exact, coarse))), slack)
    yield Examination(float(coarse.value), Bound(value, "exact value on a net", "D4", (solved(exact, coarse),)), slack)


def e15(case: Case) -> Iterator[Examination]:
    """The value on a finer net lies within the bracket of the coarser one; soft values within theirs  [D4]."""
    game = tiny(case)
    coarse, fine = (solve(game, Exact(concept="strong", leader="net", grid=n)) for n in (2, 4))
    found = solved(coarse, fine)
    value = float(fine.value)
    slack = EXACT * (1.0 + abs(value)) + tie_cost(game)
    yield Examination(value, at_least(float(coarse.value), "exact value on a finer net", "D4", found), slack)
    for bound in bracket(coarse):
        yield Examination(value, replace(bound, assumptions=(*bound.assumptions, found)), slack)
    # the soft value needs no solver: every policy of the net is tried
    leader, follower = both_constants(game)
    S, A, _ = game.shape
    tau, points = random_temperature(case.rng, 0.1, 2.0), choices(A, 3)
    best = max(soft_value(game, np.array(x), tau) for x in itertools.product(points, repeat=S))
    bound = net.soft_value(best, leader, follower, tau, net.radius(A, 3))
    sampled = max(soft_value(game, random_policy(case.rng, S, A), tau) for _ in range(10))
    yield Examination(sampled, bound, ROUNDING * (1.0 + abs(best)))


def choices(actions: int, grid: int) -> list[tuple[float, ...]]:
    """All mixed actions in multiples of 1 / grid."""
    return [tuple(k / grid for k in counts) for counts in itertools.product(range(grid + 1), repeat=actions) if sum(counts) == grid]


def soft_value(game: StackelbergGame, x: Array, temperature: float) -> float:
    """J_tau(x) of a max-ent follower."""
    return float(leader_value(game, x, follower_response(game, x, temperature).policy))


def e16(case: Case) -> Iterator[Examination]:
    """The gradient of the soft commitment value agrees with central differences  [C1]."""
    game, x, tau, direction = _interior(case)
    gradient = commitment_gradient(game, x, tau)
    slope = float(((gradient.direct + gradient.response) * direction).sum())
    values = [float(commitment_gradient(game, x + step * direction, tau).value) for step in (STEP, -STEP)]
    terms = float((np.abs(gradient.direct * direction) + np.abs(gradient.response * direction)).sum())
    yield _gradient_error(game, slope, values, terms, "C1")


def e17(case: Case) -> Iterator[Examination]:
    """The naive gradient is the direct term, the follower frozen; on A.5 it climbs to 2.00 where the total reaches 3.4  [C4]."""
    game, x, tau, direction = _interior(case)
    gradient = commitment_gradient(game, x, tau)
    frozen = follower_response(game, x, tau).policy
    slope = float((gradient.direct * direction).sum())
    values = [float(leader_value(game, x + step * direction, frozen)) for step in (STEP, -STEP)]
    yield _gradient_error(game, slope, values, float(np.abs(gradient.direct * direction).sum()), "C4")
    if case.instance.index % 500 == 0:
        total, naive = (solve(commit_2x2(), method) for method in (HypergradientAscent(0.03), NaiveAscent(0.03)))
        yield Examination(float(total.certificate.values["own_follower"]), at_least(3.40, "value of ascent by the total gradient", "A.5"))
        yield Examination(float(naive.certificate.values["own_follower"]), Bound(2.01, "value of ascent by the naive gradient", "A.5"))


def commit_2x2() -> StackelbergGame:
    """The game of theory A.5 (Conitzer and Sandholm 2006): fixed point 2, strong commitment 3.5."""
    return StackelbergGame([[[2, 4], [1, 3]]], [[[1, 0], [0, 1]]], stay, discount=0.0, name="commit-2x2")


def _interior(case: Case) -> tuple[StackelbergGame, Array, float, Array]:
    """The game, a leader policy inside the simplex, a temperature at which differences see the curvature, a tangent."""
    game = case.game
    S, A, _ = game.shape
    x = 0.5 * case.rng.dirichlet(np.ones(A), S) + 0.5 / A
    tau = random_temperature(case.rng, 0.3, 3.0) * max(float(np.ptp(game.follower_reward)), 0.1)
    direction = case.rng.standard_normal((S, A))
    return game, x, tau, direction - direction.mean(-1, keepdims=True)


def _gradient_error(game: StackelbergGame, slope: float, values: list[float], terms: float, reference: str) -> Examination:
    """Relative error of `slope` against the central difference of two values; guarded by what rounding leaves of it."""
    difference = (values[0] - values[1]) / (2.0 * STEP)
    horizon = 1.0 / (1.0 - game.leader_discount) + 1.0 / (1.0 - game.follower_discount)
    noise = 1e-15 * (1.0 + max(abs(v) for v in values)) * horizon / STEP
    scale = max(terms, abs(difference))
    visible = Assumption("differences resolve the gradient", noise <= 0.1 * GRADIENT * scale or scale == 0.0, "rounding exceeds it")
    error = abs(slope - difference) / scale if scale > 0.0 else abs(slope - difference)
    return Examination(error if not math.isnan(slope) else math.nan, Bound(GRADIENT, "relative error of the gradient", reference, (visible,)))
