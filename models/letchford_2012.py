"""Three values of one game: equilibrium 1, pure commitment 2, mixed commitment 2.5.

One state, two actions each; the first action of the leader is dominant and the best commitment plays it half the time.

Source: Letchford, MacDermed, Conitzer, Parr, Isbell, AAAI 2012, Example 1; Conitzer and Sandholm 2006, introduction.
"""

from __future__ import annotations

from stackopt import StackelbergGame
from stackopt.catalog import recorded

_GAME = recorded("letchford_2012")

KNOWN: dict[str, object] = {**_GAME.known, "tolerance": _GAME.tolerance, "reference": _GAME.verification}


def build() -> StackelbergGame:
    """The game."""
    game: StackelbergGame = _GAME.problem
    return game
