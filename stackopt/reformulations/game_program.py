"""A Stackelberg Markov game as one mixed-integer program that can be read, edited and solved elsewhere  [D1-D3, P1]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from stackopt.display import Block
from stackopt.games.operators import Array, one_hot
from stackopt.games.profile import Profile
from stackopt.games.responses import commitment, leader_value
from stackopt.games.stackelberg import StackelbergGame
from stackopt.programs.milp import Milp
from stackopt.programs.quadratic import QuadraticProgram
from stackopt.reformulations.stated import Stated


class Lifting(Protocol):
    """A formulation: a program with the way back to leader policies."""

    @property
    def milp(self) -> Milp:
        """What is maximised."""
        ...

    @property
    def tag(self) -> str:
        """Where it is proved that its optimum is the value searched for."""
        ...

    def lift(self, point: Array) -> Array:
        """The leader policy of a solution vector."""
        ...


@dataclass(frozen=True, eq=False, repr=False)
class GameProgram(Stated):
    """A game's commitment problem as a program.

    Attributes
    ----------
    game : StackelbergGame
    target : QuadraticProgram
        Maximised; its optimum is the best leader value of the search, in the game's own units.
    formulation : Formulation or StagewiseProgram
    concept : str
        ``"strong"``, ``"weak"`` or ``"relaxed"``.
    margin : float
        For the weak and the relaxed concept.
    """

    game: StackelbergGame
    target: QuadraticProgram
    formulation: Any
    concept: Any
    margin: float = 0.0

    def lift(self, v: Array) -> Profile:
        """The leader policy of a solution vector of `target`, with the follower's exact response, to be certified by the game.

        Relaxed: with the response of the vector itself.
        """
        policy = self.formulation.lift(np.asarray(v, float))
        if self.concept == "relaxed":
            played = one_hot(np.asarray(v, float)[self.formulation.response].argmax(-1), self.game.shape[2])
            return Profile(policy, played, concept="relaxed", margin=self.margin, claim=float(leader_value(self.game, policy, played)))
        found = commitment(self.game, policy, self.margin)
        strong = self.concept == "strong"
        response = found.strong_response if strong else found.weak_response
        return Profile(policy, response, concept=self.concept, margin=self.margin, claim=float(found.strong if strong else found.weak))

    def block(self) -> Block:
        """The printed form."""
        title = f'{self.concept} commitment of "{self.game.name}" as a program [{self.formulation.tag}]'
        return Block(title, (("target", self.target.block().title), ("more", ".target.algebra()  .write(path)  .pyomo()  .cvxpy()  .lift(v)")))

    def __repr__(self) -> str:
        return self.block().text()

    def _repr_html_(self) -> str:
        return self.block().html()


def game_program(game: StackelbergGame, formulation: Lifting, concept: str, margin: float) -> GameProgram:
    """The formulation of a game as a `GameProgram`."""
    return GameProgram(game, quadratic_program(formulation.milp), formulation, concept, 0.0 if concept == "strong" else margin)


def quadratic_program(milp: Milp) -> QuadraticProgram:
    """The same program in the form that files and modelling languages are written from."""
    from scipy import sparse

    shape = (len(milp.rows), len(milp.columns))
    return QuadraticProgram(
        names=milp.columns, lower=milp.lower.copy(), upper=milp.upper.copy(), integer=milp.integer.copy(), linear=milp.objective.copy(),
        row_names=milp.rows, matrix=sparse.csr_array((milp.entry_value, (milp.entry_row, milp.entry_column)), shape=shape),
        row_lower=milp.row_lower.copy(), row_upper=milp.row_upper.copy(), constant=milp.offset, sense="max", name=milp.name,
    )
