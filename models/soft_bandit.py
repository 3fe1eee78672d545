"""One state and a soft follower: the value in closed form.

The leader is passive and has the follower's reward. With rewards r, discount g and temperature tau the soft-optimal value is
tau log(sum exp(r / tau)) / (1 - g), at most tau log 3 / (1 - g) above the optimum.

Source: closed form.
"""

from __future__ import annotations

from stackopt import StackelbergGame
from stackopt.catalog import recorded

_GAME = recorded("soft_bandit")

KNOWN: dict[str, object] = {**_GAME.known, "tolerance": _GAME.tolerance, "reference": _GAME.verification}


def build() -> StackelbergGame:
    """The game."""
    game: StackelbergGame = _GAME.problem
    return game
