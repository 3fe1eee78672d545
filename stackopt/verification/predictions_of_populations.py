"""Predictions E18 to E23: populations. Laws and their sensitivity, soft equilibria, exact equilibria, N followers.

Every case draws its own population: `case.rng` is a function of the instance's seed and index alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from stackopt.bounds import occupancy
from stackopt.bounds.lipschitz import dobrushin
from stackopt.certificate import Assumption, Bound, Examination
from stackopt.exact import Enumeration, Exact
from stackopt.exact.searched import Concept
from stackopt.games.mean_field import operators
from stackopt.games.mean_field.constants import crowd_constants
from stackopt.games.mean_field.dynamics import exploitability, respond
from stackopt.games.mean_field.finite_population import finite_population
from stackopt.games.mean_field.game import MeanFieldStackelbergGame
from stackopt.games.mean_field.laws import law
from stackopt.games.mean_field.population import Population
from stackopt.games.mean_field.soft_bounds import settle, soft_bounds, weighted_distance
from stackopt.games.operators import Array
from stackopt.solution import Status
from stackopt.solving import solve
from stackopt.verification.instances import near_or_far, random_policy
from stackopt.verification.populations import KERNELS, adversarial_population, tiny_population
from stackopt.verification.predictions import Case, distance

NOTHING = np.zeros(0)
#: Applications of a settling map at most; what has not settled then is not applicable.
ITERATIONS = 3_000
#: Values of two exact routes agree to this much.
EXACT = 1e-6
#: Standard errors of a simulated mean that count as rounding: six, since one violation in millions of checks would be one too many.
ERRORS = 6.0


def e18(case: Case) -> Iterator[Examination]:
    """Laws of two policies, and any law against the one of a policy, are as near as the chain's sensitivity says  [B5.2, B5.4]."""
    rng, kind = case.rng, str(case.rng.choice(KERNELS))
    game = adversarial_population(rng, kernel=kind)
    _, _, S, B = game.shape
    kernel = game.kernel(np.zeros((1, S)), NOTHING).dense()[0, 0]
    one = random_policy(rng, S, B)
    other = near_or_far(rng, one)
    chains = [(policy[..., None] * kernel).sum(1) for policy in (one, other)]
    single = occupancy.one_class(chains[1])
    laws = [occupancy.stationary_law(chain) for chain in chains]
    nu = rng.dirichlet(np.ones(S))
    residual = occupancy.law_residual(nu, chains[1])
    slack = 1e-8 * (1.0 + (occupancy.sensitivity(chains[1], laws[1]) if single.holds else 0.0))
    yield Examination(float(np.abs(nu - laws[1]).sum()), residual, slack)
    # of a chain with two classes the least-norm solution is one of its laws, or none at all: the bound checks which
    yield Examination(float(np.abs(laws[0] - laws[1]).sum()), occupancy.law_change(laws[0], *chains), slack)
    if single.holds:
        mixing = occupancy.sensitivity_by_mixing(chains[1])
        yield Examination(occupancy.sensitivity(chains[1], laws[1]), mixing, slack)
    sway = max((0.5 * float(np.abs(kernel[:, i] - kernel[:, j]).sum(-1).max()) for i in range(B) for j in range(i)), default=0.0)
    uniform = occupancy.law_change_uniform(sway, dobrushin(kernel.reshape(-1, S)), distance(one, other))
    yield Examination(float(np.abs(laws[0] - laws[1]).sum()), replace(uniform, assumptions=(*uniform.assumptions, single)), slack)


def e19(case: Case) -> Iterator[Examination]:
    """Soft answers settle within the modulus of each other, and as near the only soft equilibrium as the residual says  [B6.1, B6.3]."""
    rng = case.rng
    game = adversarial_population(rng, moved=bool(rng.random() < 0.7), kernel=str(rng.choice(["dirichlet", "deterministic", "mixing"])))
    K, _, S, _ = game.shape
    c = crowd_constants(game, NOTHING)
    critical = c.critical_temperature
    tau = max(critical * rng.uniform(0.7, 2.5), 1e-2) if math.isfinite(critical) else float(rng.uniform(0.1, 10.0))
    start = rng.dirichlet(np.ones(S), (K, 1))
    other = rng.dirichlet(np.ones(S), (K, 1)) if rng.random() < 0.5 else 0.95 * start + 0.05 * rng.dirichlet(np.ones(S), (K, 1))
    first = settle(game, start, NOTHING, tau)
    slack = 1e-8 * (1.0 + 1.0 / tau)
    moved = weighted_distance(game, first, settle(game, other, NOTHING, tau))
    yield Examination(moved, c.settling_change(tau, weighted_distance(game, start, other)), slack)
    residual = c.residual(tau, weighted_distance(game, first, start))
    if not residual.applies:
        yield Examination(math.nan, residual)
        return
    fixed, step = _settled(game, first, tau)
    slack = slack + step / (1.0 - c.modulus(tau))
    yield Examination(weighted_distance(game, start, fixed), residual, slack)
    second = settle(game, first, NOTHING, tau)
    yield Examination(weighted_distance(game, second, fixed), c.a_posteriori(tau, weighted_distance(game, second, first)), slack)
    change = 0.3 * rng.uniform(-1.0, 1.0, (K, 1, S, game.shape[3]))
    there = replace(game, reward=game.reward + change)
    of_there = crowd_constants(there, NOTHING)
    bound = c.decision_change(tau, change[:, 0], of_there)
    if bound.applies:
        end, last = _settled(there, fixed, tau)
        slack += last / (1.0 - of_there.modulus(tau))
        yield Examination(weighted_distance(game, fixed, end), bound, slack)
    else:
        yield Examination(math.nan, bound)


def e20(case: Case) -> Iterator[Examination]:
    """A soft equilibrium's hard exploitability is at most the temperature times its entropy, or times log m  [B6.2]."""
    rng = case.rng
    game = adversarial_population(rng, moved=bool(rng.random() < 0.5))
    K, _, S, _ = game.shape
    tau = float(10.0 ** rng.uniform(-1.0, 1.0))
    at = rng.dirichlet(np.ones(S), (K, 1))
    for _ in range(ITERATIONS // 10):
        last, at = at, 0.5 * (at + settle(game, at, NOTHING, tau))
        if np.abs(at - last).max() <= 1e-14:
            break
    y = game.aggregate(operators.flow(at, game.uniform()))  # states only: any policy
    policy = respond(game, y, NOTHING, tau).policy
    induced = law(game, policy, NOTHING, at)
    soft = respond(game, induced.y, NOTHING, tau)
    population = Population(NOTHING, policy, induced.mean_field, temperature=tau)
    found = exploitability(game, policy, NOTHING, induced.mean_field)
    gap = float(np.abs(policy - soft.policy).sum(-1).max())
    # whoever plays a little beside the soft answer loses per stage at most that times the span of its action values
    slack = 1e-9 * (1.0 + float(np.abs(found.answer.value).max())) + gap * float(np.ptp(found.answer.q, axis=-1).max())
    stays = Assumption("the law stands still", induced.residual <= 1e-9, f"residual {induced.residual:.2g}")
    for bound in soft_bounds(game, population, gap):
        yield Examination(found.total, replace(bound, assumptions=(*bound.assumptions, stays)), slack)


def e21(case: Case) -> Iterator[Examination]:
    """The program's equilibria are what support patterns give, best, worst and fixed points, and nobody gains by deviating  [D5]."""
    game = tiny_population(case.rng)
    concepts: tuple[Concept, ...] = ("strong", "weak", "fixed_point")
    concept = concepts[int(case.rng.integers(3))]
    program, patterns = (solve(game, method(concept=concept)) for method in (Exact, Enumeration))
    ended = Assumption(
        "both routes ended", program.status is not Status.LIMIT and patterns.status is not Status.LIMIT, f"{program.status}, {patterns.status}"
    )
    same = 0.0 if program.status.success == patterns.status.success else 1.0  # PROVED or OPTIMAL
    yield Examination(same, Bound(0.0, "disagreement about whether there is one", "D5", (ended,)))
    both = Assumption("both routes found one", program.candidate is not None and patterns.candidate is not None, f"{program.status}, {patterns.status}")
    if not both.holds:
        return
    slack = EXACT * (1.0 + abs(float(patterns.value)))
    yield Examination(abs(float(program.value) - float(patterns.value)), Bound(0.0, "difference of the values of two routes", "D5", (ended, both)), slack)
    for found in (program, patterns):
        failed = 0.0 if found.certificate.certified else 1.0
        yield Examination(failed, Bound(0.0, "certificates that fail", "D5", (ended, both)))


def e22(case: Case) -> Iterator[Examination]:
    """A deviator among N gains at most 2 delta / N per stage beyond the mean field, half as much among twice as many  [B10.2]."""
    rng = case.rng
    game = adversarial_population(rng)
    N = int(rng.choice([20, 100, 1_000]))
    found = finite_population(game, _playing(game, rng), (N, 2 * N), runs=2, periods=1, seed=0)
    for i in range(2):
        beyond = found.deviation_bounds[i]
        allowed = replace(beyond, value=beyond.value - found.mean_field_deviation, of="a deviator's gain among N beyond the mean field's")
        slack = 1e-9 * (1.0 + abs(found.mean_field_deviation) / (1.0 - game.discount))
        yield Examination(float(found.deviation[i]) - found.mean_field_deviation, allowed, slack)
    if game.shape[0] == 1:  # shares of several types are rounded
        ratio = Bound(found.value_bounds[0].value / 2.0, "error of a value among 2 N, bounded by half of that among N", "B10.2")
        yield Examination(found.value_bounds[1].value, ratio, 1e-12)


def e23(case: Case) -> Iterator[Examination]:
    """The law of N followers and their average reward are as near the mean field as N says  [B10.1, B10.2, B10.4]."""
    rng = case.rng
    moved = bool(rng.random() < 0.5)
    shape = (1, int(rng.integers(2, 5)), int(rng.integers(1, 4))) if moved else None
    game = adversarial_population(rng, moved=moved, shape=shape, kernel=str(rng.choice(["mixing", "dirichlet"])))
    N = int(rng.choice([20, 200, 5_000]))
    found = finite_population(game, _playing(game, rng), (N,), runs=40, periods=8, seed=int(rng.integers(2**31)))
    yield Examination(float(found.law_error[0]), found.law_bounds[0], ERRORS * float(found.law_standard_error[0]))
    yield Examination(abs(float(found.value_error[0])), found.value_bounds[0], ERRORS * float(found.value_standard_error[0]) + 1e-12)


def _playing(game: MeanFieldStackelbergGame, rng: np.random.Generator) -> Population:
    """A random policy, pure or mixed, with its law."""
    K, _, S, B = game.shape
    policy = np.stack([random_policy(rng, S, B) for _ in range(K)])[:, None]
    return Population(NOTHING, policy, law(game, policy, NOTHING).mean_field)


def _settled(game: MeanFieldStackelbergGame, at: Array, tau: float) -> tuple[Array, float]:
    """(where the settling map ends, its last step)."""
    step = math.inf
    for _ in range(ITERATIONS):
        moved = settle(game, at, NOTHING, tau)
        step, at = weighted_distance(game, moved, at), moved
        if step <= 1e-13:
            break
    return at, step

