"""Left-right: two groups, and everybody loses what there is of his own.

At stage 0 everybody is at the start and goes left or right; at stage 1 those on the left earn minus their share, those on the right
minus twice theirs. Best responses overshoot: where most are on the left all want to go right. In the equilibrium both lose alike,
-p = -2 (1 - p), so p = 2/3 go left and everybody earns -2/3. It is the only one (the payoff of a group falls as it fills).

Source: K. Cui and H. Koeppl, Approximately solving mean field games via entropy-regularized deep reinforcement learning, AISTATS 2021;
figures of MFGLib 0.3.0.
"""

from __future__ import annotations

from stackopt import MeanFieldStackelbergGame
from stackopt.catalog import recorded

_GAME = recorded("left_right")

KNOWN: dict[str, object] = {**_GAME.known, "tolerance": _GAME.tolerance, "reference": _GAME.verification}


def build() -> MeanFieldStackelbergGame:
    """The game."""
    game: MeanFieldStackelbergGame = _GAME.problem
    return game
