"""A Stackelberg Markov game as `guarded` sees it: which program to maximise, and the game's own evaluation of policies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stackopt.backends.highs import INTEGRALITY
from stackopt.display import number
from stackopt.exact.guarded import Program, Worth
from stackopt.exact.searched import Leader
from stackopt.games.operators import Array
from stackopt.games.responses import commitment, tie_width
from stackopt.games.stackelberg import StackelbergGame
from stackopt.reformulations.commitment_finite import strong_finite
from stackopt.reformulations.commitment_randomised import strong_randomised
from stackopt.reformulations.commitment_weak import weak_finite, weak_randomised
from stackopt.reformulations.formulation import choices_of
from stackopt.reformulations.stagewise import stagewise_program


@dataclass(frozen=True, eq=False)
class CommitmentValue:
    """Evaluates leader policies by two MDPs [A1].

    Attributes
    ----------
    game : StackelbergGame
    concept : str
    margin : float
        For the weak concept.
    """

    game: StackelbergGame
    concept: str
    margin: float = 0.0

    def worth(self, policy: Array) -> Worth:
        """The strong value, or the weak one in which responses within the margin count as ties.

        The response is an exact best response, ties for or against the leader.
        """
        exact = commitment(self.game, policy)
        if self.concept == "strong":
            return Worth(policy, exact.strong_response, float(exact.strong))
        return Worth(policy, exact.weak_response, float(commitment(self.game, policy, self.margin).weak))

    def generous(self, policy: Array) -> tuple[float, float]:
        """The value with ties as wide as integrality tolerance times the largest big-M, a hundred times over (theory E13)."""
        span = float(np.ptp(self.game.follower_reward)) / (1.0 - self.game.follower_discount)
        width = 100 * INTEGRALITY * span / (1.0 - self.game.follower_discount)
        if self.concept == "strong":
            return float(commitment(self.game, policy, width).strong), width
        return float(commitment(self.game, policy, max(self.margin - width, 0.0)).weak), width

    def doubtful(self, policy: Array) -> str:
        """Actions counted as tied whose gap is more than rounding."""
        asked = self.margin if self.concept == "weak" else 0.0
        found = commitment(self.game, policy, asked)
        width = tie_width(found.follower.action_values)
        distance = np.abs(found.gaps - asked)
        near = distance[(distance <= width) & (distance > 1e-2 * width)]
        return f"counting actions that differ by {number(float(near.max()))} as tied" if near.size else ""


def program_for(game: StackelbergGame, concept: str, leader: Leader, points: Array, margin: float) -> Program:
    """The program whose optimum is the value searched for.

    Parameters
    ----------
    game : StackelbergGame
    concept : str
    leader : str
    points : array [J, A]
        The leader's choices if it picks from a finite set.
    margin : float
        For the weak and the relaxed concept.
    """
    if concept == "relaxed":
        finite = leader in ("deterministic", "net")
        return strong_finite(choices_of(game, points), margin) if finite else strong_randomised(choices_of(game, np.eye(game.shape[1])), margin)
    if leader in ("deterministic", "net"):
        choices = choices_of(game, points)
        return strong_finite(choices) if concept == "strong" else weak_finite(choices, margin)
    if game.leader_moves_state():
        return stagewise_program(game)
    choices = choices_of(game, np.eye(game.shape[1]))
    return strong_randomised(choices) if concept == "strong" else weak_randomised(choices, margin)
