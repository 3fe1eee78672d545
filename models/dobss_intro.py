"""DOBSS introduction game: commitment beats the simultaneous equilibrium.

One state, two actions each. The simultaneous equilibrium pays the leader 2, committing to the uniform mix 3.5, the best
commitment (2/3, 1/3) pays 11/3, because the follower, then indifferent, plays the leader's favourite.

Source: Paruchuri, Pearce, Marecki, Tambe, Ordonez, Kraus, AAMAS 2008, Table 1, from memory.
"""

from __future__ import annotations

from stackopt import StackelbergGame
from stackopt.catalog import recorded

_GAME = recorded("dobss_intro")

KNOWN: dict[str, object] = {**_GAME.known, "tolerance": _GAME.tolerance, "reference": _GAME.verification}


def build() -> StackelbergGame:
    """The game."""
    game: StackelbergGame = _GAME.problem
    return game
