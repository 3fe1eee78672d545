"""Measured quantities of a population against the bounds proved for them."""

from __future__ import annotations

import math

from stackopt.certificate import Assumption, Bound, Examination
from stackopt.display import number
from stackopt.games.mean_field.certify import parts
from stackopt.games.mean_field.dynamics import exploitability
from stackopt.games.mean_field.game import MeanFieldStackelbergGame
from stackopt.games.mean_field.population import Population


def examinations(game: MeanFieldStackelbergGame, population: Population, best_commitment: float | None = None) -> tuple[Examination, ...]:
    """The exploitability of a soft equilibrium against its bound  [B6.2]."""
    theta, policy, mu = parts(game, population)
    if population.temperature <= 0.0:
        return ()
    measured = exploitability(game, policy, theta, mu).total
    return (Examination(measured, soft_exploitability(game, population.temperature, game.certify(population).values["soft_distance"]), 1e-12),)


def soft_exploitability(game: MeanFieldStackelbergGame, temperature: float, distance: float) -> Bound:
    r"""Hard exploitability of a max-ent equilibrium: at most :math:`\tau\log|B|` per stage  [B6.2]."""
    _, T, _, B = game.shape
    stages = 1.0 if game.cyclic else sum(game.discount**t for t in range(T))
    soft = Assumption("followers play their soft response", distance <= 1e-6, f"largest L1 distance {number(distance)}")
    return Bound(temperature * math.log(B) * stages, "exploitability of the soft equilibrium", "B6.2", (soft,))
