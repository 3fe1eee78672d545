"""A stochastic game with a myopic follower: stage-wise optimisation is exact.

Three states, two actions each, leader's discount 0.9, follower's 0. The follower only sees the stage, so the stage-wise fixed
point of Bucarey et al. is the strong commitment; with a far-sighted follower it would be another concept (theory A.2).

Source: class of Bucarey, Della Vecchia, Jean-Marie, Ordonez, IEEE TAC 2022; instance numpy default_rng(5).
"""

from __future__ import annotations

from stackopt import StackelbergGame
from stackopt.catalog import recorded

_GAME = recorded("myopic_follower")

KNOWN: dict[str, object] = {**_GAME.known, "tolerance": _GAME.tolerance, "reference": _GAME.verification}


def build() -> StackelbergGame:
    """The game."""
    game: StackelbergGame = _GAME.problem
    return game
