"""An epidemic in which everybody decides alone: go out, or keep a distance.

Everybody is susceptible or infected, and at every stage goes out or keeps a distance. A susceptible person who goes out is infected
with probability contagion * mu(infected), one who keeps a distance is not; an infected one recovers with probability `recovery`.
Distance costs `cost`, a stage of infection 1; rewards are summed over all stages, the last included. With D the value of being
susceptible less that of being infected at the next stage, the susceptible go out where

    contagion * mu * D < cost,

and the infected always (distance does nothing for them). mu then rises or falls by what they do, and so the equilibrium makes waves.

Nothing here is monotone (the crowd moves the transitions), and equilibria are many: with 7 stages there are three in which nobody
randomises, with 16 stages four (all 2 ** 16 policies tried), besides those in which somebody does. So policies are judged by their
exploitability, never by their distance to a known one; below are one equilibrium of the default horizon and the only pure one of
4 stages.

Source: payoffs of K. Cui and H. Koeppl, Approximately solving mean field games via entropy-regularized deep reinforcement learning,
AISTATS 2021; figures of MFGLib 0.3.0. The equilibria are computed here.
"""

from __future__ import annotations

import numpy as np

from stackopt import Finite, MeanFieldStackelbergGame
from stackopt.catalog import recorded, require

_GAME = recorded("sis_epidemic")

#: Of the default parameters but for the number of stages, which is said. `go_out`: by stage, 1 where the susceptible go out.
KNOWN: dict[str, object] = {**_GAME.known, "tolerance": _GAME.tolerance, "reference": _GAME.verification}


def build(*, stages: int = 51, infected: float = 0.6, contagion: float = 0.81, recovery: float = 0.3, cost: float = 0.5) -> MeanFieldStackelbergGame:
    """The game.

    Parameters
    ----------
    stages : int
        From 1.
    infected : float
        Share at stage 0, in [0, 1].
    contagion, recovery : float
        Probabilities, in [0, 1]: of infection where everybody is infected, and of recovering within a stage.
    cost : float
        Of a stage of distance; positive, in units of a stage of infection.
    """
    require("sis_epidemic", "stages", stages, stages >= 1, "from 1")
    for name, value in (("infected", infected), ("contagion", contagion), ("recovery", recovery)):
        require("sis_epidemic", name, value, 0 <= value <= 1, "in [0, 1]")
    require("sis_epidemic", "cost", cost, cost > 0, "positive")
    alone = np.zeros((2, 2, 2))  # [state, action, next state] where nobody is infected
    alone[0, :, 0] = 1.0
    alone[1] = [recovery, 1.0 - recovery]
    crowd = np.zeros((2, 2, 2, 2))  # [statistic, state, action, next state]: what each infected person adds
    crowd[1, 0, 0] = [-contagion, contagion]
    return MeanFieldStackelbergGame(
        Finite(stages, [1.0 - infected, infected]),
        reward=[[0.0, -cost], [-1.0, -1.0 - cost]],
        transition=alone,
        transition_population=crowd,
        states=["susceptible", "infected"],
        actions=["go out", "distance"],
        name="sis_epidemic",
    )
