"""Predictions E9 to E12 of the theory: what a commitment is worth, soft and hard, and how much better one could be."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from stackopt.bounds import relaxation, sandwich
from stackopt.certificate import Assumption, Bound, Examination
from stackopt.games.dynamic_programming import discounted_visits
from stackopt.games.operators import Array, follower_mdp, leader_mdp, leader_reward_mdp
from stackopt.games.operators import softmax as soft_policy
from stackopt.games.relaxations import actions_within, strong_within, upper_bounds, weak_within
from stackopt.games.responses import commitment, follower_response, leader_value, soft_response, tie_width
from stackopt.games.stackelberg import StackelbergGame
from stackopt.verification.predictions import ROUNDING, Case
from stackopt.verification.predictions_of_fixed_points import converge


def e9(case: Case) -> Iterator[Examination]:
    """The leader's value under a soft follower lies between W_epsilon and S_epsilon  [B7.1]; linear rate  [B7.3]."""
    game, x, tau = case.game, case.x, case.temperature
    gammas = game.leader_discount, game.follower_discount
    if gammas[0] != gammas[1]:
        for bound in sandwich.value_sandwich(math.nan, math.nan, 0.0, 0.0, *gammas):
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
        for bound in sandwich.value_sandwich(weak.value, strong.value, epsilon, case.loss(y), *gammas, rounding=slack):
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
    soft = converge(game, case.x, case.temperature, steps=10).x
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
