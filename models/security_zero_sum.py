"""One guard, four targets, zero-sum: the coverage levels the attractive targets.

Values 8, 4, 2, 1 to the attacker when uncovered, 0 when covered. Covering the first with 2/3 and the second with 1/3 makes
both worth 8/3, more than the rest: v solves the sum of (R - v) / R over the covered targets = 1.

Source: derived; form of Kiekintveld, Jain, Tsai, Pita, Ordonez, Tambe, AAMAS 2009.
"""

from __future__ import annotations

from stackopt import SecurityGame
from stackopt.catalog import recorded

_GAME = recorded("security_zero_sum")

KNOWN: dict[str, object] = {**_GAME.known, "tolerance": _GAME.tolerance, "reference": _GAME.verification}


def build() -> SecurityGame:
    """The game."""
    game: SecurityGame = _GAME.problem
    return game
