r"""Predictions E1 to E12 of the theory, each evaluated on one random game: a measurement held against its bound.

A prediction is a function from a `Case` to `Examination`s. Those that do not apply are yielded as such, never dropped.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from stackopt.bounds import fixed_point, lipschitz, relaxation, sandwich, softmax
from stackopt.bounds.contraction import Contraction, Local, local_certificate
from stackopt.bounds.lipschitz import Constants
from stackopt.certificate import Assumption, Bound, Examination
from stackopt.comparison.instances import Instance, near_or_far, random_policy, random_temperature
from stackopt.games.constants import both_constants
from stackopt.games.dynamic_programming import Optimum, discounted_visits, optimal_value, policy_value
from stackopt.games.operators import Array, Mdp, argmax_uniform, entropy, follower_mdp, leader_mdp, leader_reward_mdp
from stackopt.games.operators import softmax as soft_policy
from stackopt.games.profile import Response
from stackopt.games.relaxations import actions_within, strong_within, upper_bounds, weak_within
from stackopt.games.responses import SoftResponse, commitment, follower_response, leader_response, leader_value, soft_response, tie_width
from stackopt.games.stackelberg import StackelbergGame

#: Rounding allowance relative to the size of the values compared.
ROUNDING = 1e-8


@dataclass(eq=False)
class Case:
    """An instance, a leader policy, a temperature, and what several predictions share.

    Attributes
    ----------
    instance : Instance
    stream : int
        Of random draws beyond the instance's own; one per prediction.
    """

    instance: Instance
    stream: int = 0

    @cached_property
    def rng(self) -> np.random.Generator:
        """Draws of this prediction only."""
        return self.instance.rng(self.stream)

    @property
    def game(self) -> StackelbergGame:
        """The random game."""
        return self.instance.game

    @cached_property
    def x(self) -> Array:
        """A random leader policy [S, A]."""
        S, A, _ = self.game.shape
        return random_policy(self.rng, S, A)

    @cached_property
    def temperature(self) -> float:
        """Between 0.01 and 10."""
        return random_temperature(self.rng)

    @cached_property
    def follower(self) -> Mdp:
        """What the follower faces."""
        return follower_mdp(self.game, self.x)

    @cached_property
    def best(self) -> Optimum:
        """The follower's unregularised optimum."""
        return optimal_value(self.follower)

    @cached_property
    def soft(self) -> SoftResponse:
        """The max-ent response at `temperature`."""
        return soft_response(self.follower, self.temperature)

    @cached_property
    def constants(self) -> tuple[Constants, Constants]:
        """B3 for the leader and the follower."""
        return both_constants(self.game)

    @property
    def leader_constants(self) -> Constants:
        """B3 for the leader."""
        return self.constants[0]

    @property
    def follower_constants(self) -> Constants:
        """B3 for the follower."""
        return self.constants[1]

    def slack(self, *values: Array | float) -> float:
        """Rounding allowance for values of this size."""
        return ROUNDING * (1.0 + max(float(np.abs(v).max()) for v in values))

    def loss(self, policy: Array) -> float:
        """The follower's loss from the initial distribution."""
        return float(self.game.initial @ (self.best.value - policy_value(self.follower, policy)))

    def entropy_visits(self, policy: Array) -> float:
        """Discounted entropy from the initial distribution."""
        mdp = Mdp(np.zeros_like(policy), self.follower.transition, self.follower.discount)
        return float(self.game.initial @ policy_value(mdp, policy, entropy(policy)))


def distance(x: Array, other: Array) -> float:
    """D: the largest L1 distance over states."""
    return float(np.abs(x - other).sum(-1).max())


def at_least(value: float, of: str, reference: str, *assumptions: Assumption) -> Bound:
    """A lower bound."""
    return Bound(value, of, reference, assumptions, sense="lower")


# --- one player ---------------------------------------------------------------------------------------------------------


def e1(case: Case) -> Iterator[Examination]:
    """0 <= loss of the max-ent follower <= discounted entropy <= log m / (1 - discount), in temperatures  [B2.1]."""
    y, optimum, tau, B = case.soft.policy, case.soft.optimum, case.temperature, case.game.shape[2]
    size, discount = float(np.abs(optimum.value).max()), case.game.follower_discount
    loss, slack = case.loss(y), case.slack(optimum.value) + optimum.residual / (1.0 - discount)
    measured = softmax.max_ent_loss_measured(case.entropy_visits(y), tau, residual=optimum.residual, size=size)
    total = softmax.max_ent_loss(B, tau, discount, residual=optimum.residual, size=size)
    yield Examination(loss, at_least(0.0, "follower's loss", "B2.1"), slack)
    yield Examination(loss, measured, slack)
    yield Examination(loss, total, slack)
    yield Examination(measured.value, total, slack)
    for sense, gap in (("upper", optimum.value - case.best.value), ("lower", case.best.value - optimum.value)):
        most = replace(total, value=total.value if sense == "upper" else 0.0, of=f"soft-optimal less optimal value, {sense}")
        yield Examination(float(gap.max()), most, slack)


def e2(case: Case) -> Iterator[Examination]:
    """Loss of the softmax of Q* <= W0((m-1)/e) / (1 - discount), in temperatures; the same with errors in Q  [B2.2]."""
    tau, discount, B = case.temperature, case.game.follower_discount, case.game.shape[2]
    size, residual = float(np.abs(case.best.value).max()), case.best.residual
    slack = case.slack(case.best.value)
    error = float(10.0 ** case.rng.uniform(-3, 0))
    for wrong in (0.0, error):
        q = case.best.action_values + wrong * case.rng.uniform(-1.0, 1.0, case.best.action_values.shape)
        y = soft_policy(q, tau)
        bound = softmax.boltzmann_loss(B, tau, discount, action_value_error=wrong, residual=residual, size=size)
        yield Examination(case.loss(y), bound, slack)
    # the max-ent response may exceed this constant: there the bound must say that it is not for it
    yield Examination(case.loss(case.soft.policy), softmax.boltzmann_loss(B, tau, discount, model="max-ent"), slack)


def e3(case: Case) -> Iterator[Examination]:
    """Softmax to argmax-e: the exact distance and its bound by the gap  [B1.1]; change and expected gap  [B1.2, B1.4]."""
    q, tau = case.best.action_values, case.temperature
    p = soft_policy(q, tau)
    exact = distance(p, argmax_uniform(q))
    equal = Bound(softmax.softmax_mass_off_best(q, tau), "distance of the softmax to the best actions", "B1.1")
    yield Examination(exact, equal, 1e-12)
    yield Examination(exact, replace(equal, sense="lower"), 1e-12)
    yield Examination(exact, softmax.softmax_to_argmax(q, tau), 1e-12)
    width = tie_width(q)
    yield Examination(distance(p, argmax_uniform(q, width)), softmax.softmax_to_argmax(q, tau, width), width / tau + 1e-12)
    other = q + case.rng.standard_normal(q.shape) * 10.0 ** case.rng.uniform(-3, 1)
    span = float(np.ptp(other - q, axis=-1).max())
    yield Examination(distance(p, soft_policy(other, tau)), softmax.softmax_change(span, tau), 1e-13 * (1.0 + float(np.abs(q).max())) / tau + 1e-12)
    gaps = q.max(-1, keepdims=True) - q
    expected, nats = (p * gaps).sum(-1), entropy(p)
    s = int(expected.argmax())
    yield Examination(float(expected[s]), softmax.softmax_gap(q.shape[-1], tau), 1e-12 * (1.0 + tau))
    yield Examination(float(expected[s]), softmax.softmax_gap(q.shape[-1], tau, float(nats[s])), 1e-12 * (1.0 + tau))


def e4(case: Case) -> Iterator[Examination]:
    """Soft responses move at most c / temperature times the opponent, hard-Q and max-ent, both players  [B3.4]."""
    game, tau, x = case.game, case.temperature, case.x
    S, _, B = game.shape
    other = near_or_far(case.rng, x)
    models: tuple[Response, ...] = ("max-ent", "boltzmann")
    for model in models:
        one, two = follower_response(game, x, tau, model), follower_response(game, other, tau, model)
        bound = lipschitz.response_change(case.follower_constants, tau, distance(x, other))
        yield Examination(distance(one.policy, two.policy), bound, _response_slack(game.follower_discount, tau, one, two))
    y = random_policy(case.rng, S, B)
    y2 = near_or_far(case.rng, y)
    one, two = leader_response(game, y, tau), leader_response(game, y2, tau)
    bound = lipschitz.response_change(case.leader_constants, tau, distance(y, y2))
    yield Examination(distance(one.policy, two.policy), bound, _response_slack(game.leader_discount, tau, one, two))


def _response_slack(discount: float, temperature: float, *responses: SoftResponse) -> float:
    """What residuals and rounding of the values can do to soft responses."""
    residual = sum(r.optimum.residual for r in responses)
    size = max(float(np.abs(r.optimum.value).max()) for r in responses)
    return (residual / (1.0 - discount) + 1e-12 * (1.0 + size)) / temperature + 1e-9


# --- the fixed point ----------------------------------------------------------------------------------------------------


def phi(game: StackelbergGame, x: Array, tau: float) -> tuple[Array, SoftResponse, SoftResponse]:
    """One step of the soft fixed-point map: the new leader policy, the follower's and the leader's response."""
    y = follower_response(game, x, tau)
    answer = leader_response(game, y.policy, tau)
    return answer.policy, y, answer


def converge(game: StackelbergGame, x: Array, tau: float, steps: int = 200) -> tuple[Array, float]:
    """Iterate the map; the last policy and the last step."""
    step, v_f, v_l = math.inf, None, None
    for _ in range(steps):
        y = follower_response(game, x, tau, start=v_f)
        answer = leader_response(game, y.policy, tau, start=v_l)
        v_f, v_l = y.optimum.value, answer.optimum.value
        step, x = distance(answer.policy, x), answer.policy
        if step <= 1e-12:
            break
    return x, step


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
    fixed, left = converge(case.game, iterates[-1], tau)
    slack = left / (1.0 - contraction.modulus) + 1e-9
    first = distance(iterates[1], iterates[0])
    yield Examination(distance(iterates[0], fixed), contraction.residual(first), slack)
    for k in range(1, len(iterates)):
        yield Examination(distance(iterates[k], fixed), contraction.a_posteriori(distance(iterates[k], iterates[k - 1])), slack)
        yield Examination(distance(iterates[k], fixed), contraction.a_priori(k, first), slack)
    limit = follower_response(case.game, fixed, tau).policy
    reached = follower_response(case.game, iterates[1], tau).policy
    follower = contraction.follower_distance(contraction.a_posteriori(first).value)
    yield Examination(distance(reached, limit), follower, slack * (1.0 + contraction.follower_slope))


def e6(case: Case) -> Iterator[Examination]:
    """Iterates from two starts are within the sum of their bounds of each other  [B4.1, B4.2]."""
    contraction, tau = contracting(case)
    of = "distance of iterates from two starts"
    if contraction.modulus >= 1.0:
        yield Examination(math.nan, contraction.bound(math.nan, of, "B4.1, B4.2"))
        return
    ends, total = [], 0.0
    for start in (case.x, random_policy(case.rng, *case.x.shape)):
        before = phi(case.game, start, tau)[0]
        end = phi(case.game, before, tau)[0]
        total += contraction.a_posteriori(distance(end, before)).value
        ends.append(end)
    yield Examination(distance(*ends), contraction.bound(total, of, "B4.1, B4.2"), 1e-9)


def local_at(case: Case, x: Array, tau: float) -> tuple[Local, float]:
    """The local certificate at `x` and the residual there."""
    contraction = Contraction(case.leader_constants, case.follower_constants, tau, tau)
    answer, y, leader = phi(case.game, x, tau)
    residual = distance(answer, x)
    return local_certificate(contraction, y.optimum.action_values, leader.optimum.action_values, residual), residual


def e7(case: Case) -> Iterator[Examination]:
    """The local certificate: the fixed point is as near as it says, and a restart in the ball finds the same one  [B4.4]."""
    tau = random_temperature(case.rng, 0.003, 0.5)
    x, _ = converge(case.game, case.x, tau, steps=15)
    if case.rng.random() < 0.5:  # not only at the fixed point itself
        x = (1.0 - 1e-4) * x + 1e-4 / x.shape[-1]
    local, _ = local_at(case, x, tau)
    if not local.bound.applies:
        yield Examination(math.nan, local.bound)
        return
    fixed, left = converge(case.game, x, tau)
    slack = left / (1.0 - local.modulus) + 1e-9
    yield Examination(distance(x, fixed), local.bound, slack)
    inside = x + min(1.0, local.radius / 2.0) * case.rng.random() * (random_policy(case.rng, *x.shape) - x)
    again, left_again = converge(case.game, inside, tau)
    same = replace(local.bound, value=(left + left_again) / (1.0 - local.modulus), of="distance of a restart in the ball")
    yield Examination(distance(again, fixed), same, 1e-9)


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


# --- commitment ---------------------------------------------------------------------------------------------------------


def e9(case: Case) -> Iterator[Examination]:
    """The leader's value under a soft follower lies between W_epsilon and S_epsilon  [B7.1]; linear rate  [B7.3]."""
    game, x, tau = case.game, case.x, case.temperature
    gammas = game.leader_discount, game.follower_discount
    if gammas[0] != gammas[1]:
        for bound in sandwich.value_sandwich(math.nan, math.nan, 0.0, *gammas):
            yield Examination(math.nan, bound)
        return
    best = float(game.initial @ case.best.value)
    boltzmann = soft_policy(case.best.action_values, tau)
    followers = (
        (case.soft.policy, max(tau * case.entropy_visits(case.soft.policy), 0.0)),
        (boltzmann, sandwich.loss_a_priori(game.shape[2], tau, gammas[1], "boltzmann")),
    )
    for y, epsilon in followers:
        value = float(leader_value(game, x, y))
        weak, strong = weak_within(game, x, epsilon, best), strong_within(game, x, epsilon, best)
        slack = case.slack(value, best)
        for bound in sandwich.value_sandwich(weak.value, strong.value, epsilon, *gammas):
            yield Examination(value, bound, slack)
    value, loss = float(leader_value(game, x, case.soft.policy)), max(case.loss(case.soft.policy), 0.0)
    for strong_side in (True, False):
        base = (strong_within if strong_side else weak_within)(game, x, 0.0, best)
        rounding = (1.0 + base.multiplier) * case.slack(value, best)
        yield Examination(value, sandwich.linear_rate(base.value, base.multiplier, loss, *gammas, strong=strong_side), rounding)


def e10(case: Case) -> Iterator[Examination]:
    """The same by action gaps, with the tail paid for; any discounts  [B7.2]."""
    game, x, tau = case.game, case.x, case.temperature
    gaps = np.maximum(case.best.value[:, None] - case.best.action_values, 0.0)
    gap = float(case.rng.choice([tie_width(case.best.action_values), 0.01, 0.3, 2.0]))
    gap = max(gap, tie_width(case.best.action_values))
    weak, strong = actions_within(game, x, gaps, gap)
    mdp = leader_reward_mdp(game, x)
    models: tuple[tuple[str, Array], ...] = (("max-ent", case.soft.policy), ("boltzmann", soft_policy(case.best.action_values, tau)))
    for model, y in models:
        value = float(leader_value(game, x, y))
        tail = float(discounted_visits(mdp, y, game.initial) @ np.where(gaps > gap, y, 0.0).sum(-1))
        slack = case.slack(value, strong, weak)
        for bound in sandwich.action_sandwich(weak, strong, max(tail, 0.0), case.leader_constants.opponent_span, gap):
            yield Examination(value, bound, slack)
        most = sandwich.tail_a_priori(
            game.shape[2], tau, gap, leader_discount=game.leader_discount, follower_discount=game.follower_discount, model=model
        )
        yield Examination(tail, most, 1e-9 / (1.0 - game.leader_discount) + case.slack(case.best.value) / gap * (model == "max-ent"))


def e11(case: Case) -> Iterator[Examination]:
    """At a fixed point the leader gets at most its commitment value there, and that at most U1  [A2, B8.1]."""
    game, x = case.game, case.x
    S, _, B = game.shape
    highest = min(upper_bounds(game, programs=False), key=lambda b: b.value)
    y, found = np.full((S, B), 1.0 / B), False
    for _ in range(20):
        y, before = soft_response(follower_mdp(game, x), 1.0, "best").policy, x
        x = soft_response(leader_mdp(game, y), 1.0, "best").policy
        found = bool(np.array_equal(x, before))
        if found:
            break
    fixed = Assumption("hard best responses reach a fixed point", found, "they still change after 20 rounds")
    strong = float(commitment(game, x).strong)
    slack = case.slack(strong, highest.value) + tie_cost(game)
    yield Examination(float(leader_value(game, x, y)), Bound(strong, "leader's value at a hard fixed point", "A2", (fixed,)), slack)
    yield Examination(strong, replace(highest, of="value of a commitment"), slack)
    soft, _ = converge(game, case.x, case.temperature, steps=10)
    value = leader_value(game, soft, follower_response(game, soft, case.temperature).policy)
    yield Examination(float(value), replace(highest, of="soft commitment value"), slack)


def tie_cost(game: StackelbergGame) -> float:
    """What counting near-ties as ties can add to a leader value."""
    size = float(np.abs(game.follower_reward).max()) / (1.0 - game.follower_discount)
    return ROUNDING * (1.0 + size)


def e12(case: Case) -> Iterator[Examination]:
    """Upper bounds hold for every commitment, and U2 is at most U1  [B8]."""
    bounds = upper_bounds(case.game)
    strong = float(commitment(case.game, case.x).strong)
    slack = case.slack(bounds[0].value, strong) + tie_cost(case.game)
    for bound in bounds:
        yield Examination(strong, replace(bound, of="value of a commitment"), slack)
    yield Examination(bounds[-1].value, replace(bounds[0], of="the sharpest upper bound"), slack)
    gap = relaxation.commitment_gap(bounds[-1], strong)
    pure = np.eye(case.game.shape[1])[case.rng.integers(case.game.shape[1], size=case.game.shape[0])]
    yield Examination(float(commitment(case.game, pure).strong) - strong, gap, slack)
    if case.game.leader_discount != case.game.follower_discount:
        yield Examination(math.nan, relaxation.individually_rational(math.nan, case.game.leader_discount, case.game.follower_discount))
