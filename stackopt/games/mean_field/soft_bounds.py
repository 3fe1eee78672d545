"""What the theory says about soft populations: how exploitable they are, and how near the only soft equilibrium  [B6.1, B6.2]."""

from __future__ import annotations

import numpy as np

from stackopt.bounds import mean_field as bounds
from stackopt.bounds.mean_field import CrowdConstants
from stackopt.certificate import Bound
from stackopt.games.mean_field import operators
from stackopt.games.mean_field.dynamics import respond
from stackopt.games.mean_field.game import MeanFieldStackelbergGame
from stackopt.games.mean_field.laws import stationary
from stackopt.games.mean_field.population import Population
from stackopt.games.operators import Array


def soft_bounds(game: MeanFieldStackelbergGame, population: Population, distance: float) -> tuple[Bound, Bound]:
    """Hard exploitability of a soft equilibrium: a priori, and with its own entropy  [B6.2]."""
    _, T, _, B = game.shape
    by_stage = np.full(T, 1.0 / T) if game.cyclic else game.discount ** np.arange(T)
    entropy = (population.mean_field * operators.entropy(np.asarray(population.policy, float))).sum(-1)  # [K, T]
    average = float(game.weights @ entropy @ by_stage)
    return (
        bounds.soft_exploitability(population.temperature, B, float(by_stage.sum()), distance),
        bounds.soft_exploitability_measured(population.temperature, average, distance),
    )


def soft_residual_bound(game: MeanFieldStackelbergGame, population: Population, constants: CrowdConstants) -> Bound:
    """The distance of a population to the only soft equilibrium of its temperature  [B6.1]."""
    mu, theta = np.asarray(population.mean_field, float), np.asarray(population.theta, float)
    tau = population.temperature
    covered = not constants.why_not and constants.modulus(tau) < 1.0
    step = weighted_distance(game, settle(game, mu, theta, tau), mu) if covered else float("nan")
    return constants.residual(tau, step)


def settle(game: MeanFieldStackelbergGame, mean_field: Array, theta: Array, temperature: float) -> Array:
    r""":math:`\Psi_\tau(\mu)` [K, 1, S]: the stationary laws of soft-best answers to a population that keeps still.

    For statistics of the distribution of states, on a stationary horizon.
    """
    K, T, S, B = game.shape
    y = game.aggregate(operators.flow(mean_field, np.full((K, T, S, B), 1.0 / B)))
    answer = respond(game, y, theta, temperature)
    law, _ = stationary(game.kernel(y, theta), answer.policy, mean_field[:, 0])
    return law


def weighted_distance(game: MeanFieldStackelbergGame, one: Array, other: Array) -> float:
    r""":math:`\|\mu-\mu'\|_w` of laws [K, 1, S]."""
    return float(game.weights @ np.abs(one - other).sum((1, 2)))
