"""What masses found by a program are worth: made consistent to rounding, and judged by the game from their policy alone."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from stackopt.backends.highs import INTEGRALITY
from stackopt.display import number
from stackopt.exact.guarded import Worth
from stackopt.games.mean_field import operators
from stackopt.games.mean_field.dynamics import exploitability
from stackopt.games.mean_field.game import MeanFieldStackelbergGame
from stackopt.games.mean_field.population import Concept, Population
from stackopt.games.operators import Array
from stackopt.reformulations.mean_field_arrays import AffineFollowers
from stackopt.reformulations.mean_field_equilibrium import Masses
from stackopt.reformulations.mean_field_masses import as_population, refined, tolerance

#: The same, of what a solver may take for one.
BLIND = 1e-5
#: Exploitability that rounding alone explains, relative to the size of the values.
ROUNDING = 1e-12


@dataclass(eq=False)
class EquilibriumValue:
    """Evaluates masses: the leader's value if nobody gains by deviating, minus infinity if somebody does.

    Attributes
    ----------
    followers : AffineFollowers
    sign : float
        -1 if the leader's value is minimised.
    direction : array [T, J] or None
        If given, the value is the statistics' inner product with it instead of the leader's.
    concept : str
        Of the populations.
    """

    followers: AffineFollowers
    sign: float = 1.0
    direction: Array | None = None
    concept: Concept = "commitment"
    nearly: float = field(default=-np.inf, init=False)

    @property
    def game(self) -> MeanFieldStackelbergGame:
        """Whose equilibria they are."""
        return self.followers.game

    def worth(self, policy: Masses) -> Worth:
        """The value of the masses, with the population they are (in ``response``)."""
        best: tuple[float, float, Population] | None = None
        for masses in (refined(self.followers, policy), policy):
            population = as_population(self.followers, masses, self.concept)
            gain = _gain(self.game, population)
            if best is None or gain[0] - gain[1] < best[0]:
                best = (gain[0] - gain[1], gain[2], population)
            if gain[0] <= gain[1]:
                break
        assert best is not None
        excess, relative, population = best
        value = self._value(population)
        if excess <= 0.0:
            return Worth(policy, population, value)
        if relative <= BLIND:
            self.nearly = max(self.nearly, value)
        return Worth(policy, population, -np.inf)

    def generous(self, policy: Masses) -> tuple[float, float]:
        """The best value met among masses that a solver's tolerances take for an equilibrium."""
        width = 100 * INTEGRALITY / (1.0 - self.game.discount if self.game.cyclic else 1.0)
        return max(self.worth(policy).value, self.nearly), width

    def doubtful(self, policy: Masses) -> str:
        """Exploitability that is more than rounding, in words."""
        population = self.worth(policy).response
        gain, allowed, _ = _gain(self.game, population)
        return f"an exploitability of {number(gain)}, which counts as none" if gain > 1e-3 * allowed else ""

    def _value(self, population: Population) -> float:
        flow = operators.flow(population.mean_field, population.policy)
        y = self.game.aggregate(flow)
        if self.direction is not None:
            return float((self.direction * y).sum())
        return self.sign * self.game.leader_value(flow, y, population.theta)


def is_equilibrium(game: MeanFieldStackelbergGame, population: Population) -> bool:
    """Whether nobody gains by deviating, up to `tolerance`."""
    gain, allowed, _ = _gain(game, population)
    return gain <= allowed


def _gain(game: MeanFieldStackelbergGame, population: Population) -> tuple[float, float, float]:
    """(exploitability, what is allowed, exploitability relative to uniform policies)."""
    found = exploitability(game, population.policy, population.theta, population.mean_field)
    uniform = exploitability(game, game.uniform(), population.theta).total
    allowed = tolerance(game) * max(uniform, 0.0) + ROUNDING * (1.0 + float(np.abs(found.answer.value).max()))
    return found.total, allowed, found.total / uniform if uniform > 0 else np.inf
