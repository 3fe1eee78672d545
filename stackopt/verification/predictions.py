r"""Predictions E1 to E4 of the theory, each evaluated on one random game: a measurement held against its bound.

A prediction is a function from a `Case` to `Examination`s. Those that do not apply are yielded as such, never dropped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from stackopt.bounds import lipschitz, softmax
from stackopt.bounds.lipschitz import Constants
from stackopt.certificate import Assumption, Bound, Examination
from stackopt.games.constants import both_constants
from stackopt.games.dynamic_programming import Optimum, optimal_value, policy_value
from stackopt.games.operators import Array, Mdp, argmax_uniform, entropy, follower_mdp
from stackopt.games.operators import softmax as soft_policy
from stackopt.games.profile import Response
from stackopt.games.responses import SoftResponse, follower_response, leader_response, soft_response, tie_width
from stackopt.games.stackelberg import StackelbergGame
from stackopt.verification.instances import Instance, near_or_far, random_policy, random_temperature

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
        yield Examination(distance(one.policy, two.policy), bound, response_slack(case.follower_constants, tau, one, two))
    y = random_policy(case.rng, S, B)
    y2 = near_or_far(case.rng, y)
    one, two = leader_response(game, y, tau), leader_response(game, y2, tau)
    bound = lipschitz.response_change(case.leader_constants, tau, distance(y, y2))
    yield Examination(distance(one.policy, two.policy), bound, response_slack(case.leader_constants, tau, one, two))


def response_slack(c: Constants, temperature: float, *responses: SoftResponse) -> float:
    """What residuals and rounding of the values can do to soft responses."""
    return 1e-12 + sum(
        lipschitz.response_error(c, temperature, r.optimum.residual, float(np.abs(r.optimum.action_values).max())) for r in responses
    )
