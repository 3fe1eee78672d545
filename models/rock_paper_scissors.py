"""Rock, paper, scissors against a crowd, with unequal prizes: most learning dynamics go round in circles.

At stage 0 everybody chooses one of three groups; at stage 1 a group earns by the shares of the other two,

    rock 2 scissors - paper,    paper 4 rock - 2 scissors,    scissors 6 paper - 3 rock.

In the one equilibrium all three earn 6/11: rock 26/77, paper 20/77, scissors 31/77. Fixed-point iteration, fixed-temperature
Boltzmann iteration and mirror descent with step 1 do not get there.

Source: K. Cui and H. Koeppl, Approximately solving mean field games via entropy-regularized deep reinforcement learning, AISTATS 2021,
after L. Shapley, Some topics in two-person games (1964); figures of MFGLib 0.3.0.
"""

from __future__ import annotations

from stackopt import MeanFieldStackelbergGame
from stackopt.catalog import recorded

_GAME = recorded("rock_paper_scissors")

KNOWN: dict[str, object] = {**_GAME.known, "tolerance": _GAME.tolerance, "reference": _GAME.verification}


def build() -> MeanFieldStackelbergGame:
    """The game."""
    game: MeanFieldStackelbergGame = _GAME.problem
    return game
