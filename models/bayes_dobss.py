"""A leader that does not know which of three followers it meets.

Two leader actions, three follower actions, three types with probabilities 0.5, 0.3, 0.2. One mixed action against all types;
solved by DOBSS, and by its Harsanyi transform with 27 follower actions.

Source: form of Paruchuri et al., AAMAS 2008; instance numpy default_rng(2008).
"""

from __future__ import annotations

from stackopt import BayesianGame
from stackopt.catalog import recorded

_GAME = recorded("bayes_dobss")

KNOWN: dict[str, object] = {**_GAME.known, "tolerance": _GAME.tolerance, "reference": _GAME.verification}


def build() -> BayesianGame:
    """The game."""
    game: BayesianGame = _GAME.problem
    return game
