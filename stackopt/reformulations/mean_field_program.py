"""The equilibria of a population, and a leader's decision over them, as one program that can be read, edited and solved elsewhere  [D5]."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from stackopt.display import Block
from stackopt.games.mean_field import operators
from stackopt.games.mean_field.game import MeanFieldStackelbergGame
from stackopt.games.mean_field.population import Concept, Population
from stackopt.games.operators import Array
from stackopt.programs.quadratic import QuadraticProgram
from stackopt.reformulations.game_program import quadratic_program
from stackopt.reformulations.mean_field_equilibrium import EquilibriumProgram
from stackopt.reformulations.mean_field_masses import as_population, refined
from stackopt.reformulations.stated import Stated


@dataclass(frozen=True, eq=False, repr=False)
class PopulationProgram(Stated):
    """Equilibria as a program.

    Attributes
    ----------
    game : MeanFieldStackelbergGame
    target : QuadraticProgram
        Maximised; its optimum is the leader's value in its best equilibrium (0 where there is no leader), in the leader's own units.
    formulation : EquilibriumProgram
    concept : str
        Of the populations that `lift` returns.
    """

    game: MeanFieldStackelbergGame
    target: QuadraticProgram
    formulation: EquilibriumProgram
    concept: Concept = "commitment"

    def lift(self, v: Array) -> Population:
        """The population of a solution vector of `target`, with the law its policies bring about, to be certified by the game."""
        followers = self.formulation.followers
        population = as_population(followers, refined(followers, self.formulation.lift(np.asarray(v, float))), self.concept)
        flow = operators.flow(population.mean_field, population.policy)
        return replace(population, claim=self.game.leader_value(flow, self.game.aggregate(flow), population.theta))

    def block(self) -> Block:
        """The printed form."""
        title = f'equilibria of "{self.game.name}" as a program [{self.formulation.tag}]'
        return Block(title, (("target", self.target.block().title), ("more", ".target.algebra()  .write(path)  .pyomo()  .cvxpy()  .lift(v)")))

    def __repr__(self) -> str:
        return self.block().text()

    def _repr_html_(self) -> str:
        return self.block().html()


def population_program(game: MeanFieldStackelbergGame, formulation: EquilibriumProgram, concept: Concept) -> PopulationProgram:
    """The formulation of a population's equilibria as a `PopulationProgram`."""
    return PopulationProgram(game, quadratic_program(formulation.milp), formulation, concept)
