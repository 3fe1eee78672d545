"""A random stochastic game whose best leader randomises and moves the state.

Two states, two actions each, discount 0.8. The optimum 2.629034 is over randomised policies and interior in state 0, where the
leader's action moves the state: deterministic policies and nets of mixed actions only bracket it (theory D4).

Source: class of Vorobeychik and Singh 2012, Letchford et al. 2012; instance numpy default_rng(3).
"""

from __future__ import annotations

from stackopt import StackelbergGame
from stackopt.catalog import recorded

_GAME = recorded("vorobeychik_random")

KNOWN: dict[str, object] = {**_GAME.known, "tolerance": _GAME.tolerance, "reference": _GAME.verification}


def build() -> StackelbergGame:
    """The game."""
    game: StackelbergGame = _GAME.problem
    return game
