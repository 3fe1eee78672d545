"""Measured quantities of a population against the bounds proved for them."""

from __future__ import annotations

import numpy as np

from stackopt.bounds import mean_field as bounds
from stackopt.certificate import Assumption, Bound, Examination
from stackopt.games.mean_field import operators
from stackopt.games.mean_field.certify import parts
from stackopt.games.mean_field.constants import crowd_constants
from stackopt.games.mean_field.dynamics import exploitability, product, stage_matrices
from stackopt.games.mean_field.game import MeanFieldStackelbergGame
from stackopt.games.mean_field.laws import stationary
from stackopt.games.mean_field.population import Population
from stackopt.games.mean_field.soft_bounds import settle, soft_bounds, soft_residual_bound, weighted_distance
from stackopt.games.operators import Array

#: Applications of the settling map at most, to measure the distance to its fixed point.
ITERATIONS = 2_000
#: Rounding allowance of a comparison, relative.
ROUNDING = 1e-9
#: Laws of chains with more states are not held against their sensitivity.
STATES = 400


def examinations(game: MeanFieldStackelbergGame, population: Population, best_commitment: float | None = None) -> tuple[Examination, ...]:
    """A law against the one of its policy [B6.4], a soft equilibrium's exploitability [B6.2], and its distance to the only one there is [B6.1]."""
    theta, policy, mu = parts(game, population)
    found = list(_laws(game, policy, mu, theta)) if game.cyclic else []
    if population.temperature <= 0.0:
        return tuple(found)
    distance = game.certify(population).values["soft_distance"]
    measured = exploitability(game, policy, theta, mu).total
    found += [Examination(measured, bound, 1e-12) for bound in soft_bounds(game, population, distance)]
    constants = crowd_constants(game, theta)
    residual = soft_residual_bound(game, population, constants)
    if residual.applies:
        settled = _settled(game, mu, theta, population.temperature)
        found.append(Examination(weighted_distance(game, mu, settled), residual, ROUNDING))
    else:
        found.append(Examination(float("nan"), residual))
    return tuple(found)


def _settled(game: MeanFieldStackelbergGame, mean_field: Array, theta: Array, temperature: float) -> Array:
    """The fixed point of the settling map; the last iterate if it does not settle."""
    for _ in range(ITERATIONS):
        moved = settle(game, mean_field, theta, temperature)
        if np.abs(moved - mean_field).max() <= 1e-13:
            return moved
        mean_field = moved
    return mean_field


def _laws(game: MeanFieldStackelbergGame, policy: Array, mu: Array, theta: Array) -> list[Examination]:
    """The law at stage 0 of each type against that of its policy, transitions frozen  [B6.4]."""
    K, _, S, _ = game.shape
    if S > STATES:
        size = Assumption("the chain is small enough", False, f"{S} states, more than {STATES}")
        return [Examination(float("nan"), Bound(float("nan"), "distance to the law of the policy", "B6.4", (size,)))]
    y = game.aggregate(operators.flow(mu, policy))
    matrices = product(stage_matrices(game.kernel(y, theta), policy))
    law, _ = stationary(game.kernel(y, theta), policy, mu[:, 0])
    return [
        Examination(float(np.abs(mu[k, 0] - law[k, 0]).sum()), bounds.law_consistency(mu[k, 0], matrices[min(k, len(matrices) - 1)]), ROUNDING)
        for k in range(K)
    ]

