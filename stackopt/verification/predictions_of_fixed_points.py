"""Predictions E5 to E8 of the theory: the soft fixed point, its contraction, its local certificate, its regrets."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from stackopt.bounds import fixed_point, lipschitz
from stackopt.bounds.contraction import Contraction, Local, local_certificate
from stackopt.certificate import Examination
from stackopt.games.dynamic_programming import optimal_value, policy_value
from stackopt.games.operators import Array, follower_mdp, leader_mdp
from stackopt.games.responses import SoftResponse, follower_response, leader_response
from stackopt.games.stackelberg import StackelbergGame
from stackopt.verification.instances import random_policy, random_temperature
from stackopt.verification.predictions import Case, distance, response_slack


def phi(game: StackelbergGame, x: Array, tau: float) -> tuple[Array, SoftResponse, SoftResponse]:
    """One step of the soft fixed-point map: the new leader policy, the follower's and the leader's response."""
    y = follower_response(game, x, tau)
    answer = leader_response(game, y.policy, tau)
    return answer.policy, y, answer


@dataclass(frozen=True, eq=False)
class Limit:
    """Where iterating the map ended.

    Attributes
    ----------
    x : array [S, A]
    step : float
        The last step.
    follower, leader : SoftResponse
        The last responses, whose residuals limit what can be said about `x`.
    """

    x: Array
    step: float
    follower: SoftResponse
    leader: SoftResponse

    def error(self, case: Case, tau: float, leader_slope: float) -> float:
        """How inexact the last step was: the errors of both responses  [B4.3]."""
        return response_slack(case.leader_constants, tau, self.leader) + leader_slope * response_slack(case.follower_constants, tau, self.follower)


def converge(game: StackelbergGame, x: Array, tau: float, steps: int = 200) -> Limit:
    """Iterate the map until it stands still."""
    y = answer = None
    for _ in range(steps):
        y = follower_response(game, x, tau, start=None if y is None else y.optimum.value)
        answer = leader_response(game, y.policy, tau, start=None if answer is None else answer.optimum.value)
        step, x = distance(answer.policy, x), answer.policy
        if step <= 1e-12:
            break
    assert y is not None
    assert answer is not None
    return Limit(x, step, y, answer)


def contracting(case: Case) -> tuple[Contraction, float]:
    """A contraction at a temperature from half to three times the critical one."""
    critical = lipschitz.critical_temperature(case.leader_constants, case.follower_constants)
    tau = max(critical * case.rng.uniform(0.6, 3.0), 1e-2)
    return Contraction(case.leader_constants, case.follower_constants, tau, tau), tau


def e5(case: Case) -> Iterator[Examination]:
    """Distance to the soft fixed point after k steps, a priori, a posteriori and by the residual  [B4.2]."""
    contraction, tau = contracting(case)
    iterates = [case.x]
    if contraction.modulus >= 1.0:
        yield Examination(math.nan, contraction.a_posteriori(math.nan))
        return
    for _ in range(4):
        iterates.append(phi(case.game, iterates[-1], tau)[0])
    limit = converge(case.game, iterates[-1], tau)
    fixed = limit.x
    # once for the limit, once for the iterate itself
    slack = 2.0 * (limit.step + limit.error(case, tau, contraction.leader_slope)) / (1.0 - contraction.modulus)
    first = distance(iterates[1], iterates[0])
    yield Examination(distance(iterates[0], fixed), contraction.residual(first), slack)
    for k in range(1, len(iterates)):
        yield Examination(distance(iterates[k], fixed), contraction.a_posteriori(distance(iterates[k], iterates[k - 1])), slack)
        yield Examination(distance(iterates[k], fixed), contraction.a_priori(k, first), slack)
    there = follower_response(case.game, fixed, tau)
    reached = follower_response(case.game, iterates[1], tau)
    follower = contraction.follower_distance(contraction.a_posteriori(first).value)
    rounding = contraction.follower_slope * slack + response_slack(case.follower_constants, tau, there, reached)
    yield Examination(distance(reached.policy, there.policy), follower, rounding)


def e6(case: Case) -> Iterator[Examination]:
    """Iterates from two starts are within the sum of their bounds of each other  [B4.1, B4.2]."""
    contraction, tau = contracting(case)
    of = "distance of iterates from two starts"
    if contraction.modulus >= 1.0:
        yield Examination(math.nan, contraction.bound(math.nan, of, "B4.1, B4.2"))
        return
    starts = case.x, random_policy(case.rng, *case.x.shape)
    ends = [converge(case.game, start, tau, steps=2) for start in starts]
    total = sum(contraction.a_posteriori(end.step).value for end in ends)
    slack = sum(end.error(case, tau, contraction.leader_slope) for end in ends) / (1.0 - contraction.modulus)
    yield Examination(distance(ends[0].x, ends[1].x), contraction.bound(total, of, "B4.1, B4.2"), slack)


def local_at(case: Case, x: Array, tau: float) -> tuple[Local, float]:
    """The local certificate at `x` and the residual there."""
    contraction = Contraction(case.leader_constants, case.follower_constants, tau, tau)
    answer, y, leader = phi(case.game, x, tau)
    residual = distance(answer, x)
    return local_certificate(contraction, y.optimum.action_values, leader.optimum.action_values, residual), residual


def e7(case: Case) -> Iterator[Examination]:
    """The local certificate: the fixed point is as near as it says, and a restart in the ball finds the same one  [B4.4]."""
    tau = random_temperature(case.rng, 0.003, 0.5)
    x = converge(case.game, case.x, tau, steps=15).x
    if case.rng.random() < 0.5:  # not only at the fixed point itself
        x = (1.0 - 1e-4) * x + 1e-4 / x.shape[-1]
    local, _ = local_at(case, x, tau)
    if not local.bound.applies:
        yield Examination(math.nan, local.bound)
        return
    limit = converge(case.game, x, tau)
    off = 1.0 / (1.0 - local.modulus)
    slack = off * limit.error(case, tau, local.leader_slope)
    yield Examination(distance(x, limit.x), local.bound, off * limit.step + 2.0 * slack)
    inside = x + min(1.0, local.radius / 2.0) * case.rng.random() * (random_policy(case.rng, *x.shape) - x)
    again = converge(case.game, inside, tau)
    same = replace(local.bound, value=off * (limit.step + again.step), of="distance of a restart in the ball")
    yield Examination(distance(again.x, limit.x), same, slack + off * again.error(case, tau, local.leader_slope))


def e8(case: Case) -> Iterator[Examination]:
    """Both regrets are bounded at every iterate, whatever the temperature  [B11.3]."""
    game, tau, x = case.game, case.temperature, case.x
    _, A, B = game.shape
    for _ in range(3):
        new, y, answer = phi(game, x, tau)
        mdp = follower_mdp(game, x)
        best = optimal_value(mdp).value
        regret = float((best - policy_value(mdp, y.policy)).max())
        bound = fixed_point.follower_regret(B, tau, game.follower_discount)
        yield Examination(regret, bound, case.slack(best) + y.optimum.residual / (1.0 - game.follower_discount))
        mdp = leader_mdp(game, y.policy)
        best = optimal_value(mdp).value
        regret = float((best - policy_value(mdp, x)).max())
        bound = fixed_point.leader_regret(case.leader_constants, A, tau, distance(new, x))
        yield Examination(regret, bound, case.slack(best) + answer.optimum.residual / (1.0 - game.leader_discount))
        x = new
