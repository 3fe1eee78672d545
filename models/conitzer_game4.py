"""A game in which commitment does not help.

One state, two actions each; the follower has a dominant action, so the best commitment is the simultaneous equilibrium.

Source: repository GlcBrero/StackelbergPOMDP, env_setups.py, game_4.
"""

from __future__ import annotations

from stackopt import StackelbergGame
from stackopt.catalog import recorded

_GAME = recorded("conitzer_game4")

KNOWN: dict[str, object] = {**_GAME.known, "tolerance": _GAME.tolerance, "reference": _GAME.verification}


def build() -> StackelbergGame:
    """The game."""
    game: StackelbergGame = _GAME.problem
    return game
