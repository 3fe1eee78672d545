"""A subsidy on keeping a distance in an epidemic that does not end.

The epidemic of `sis_epidemic` without an end and with a discount g: the population is at rest at mu, the share infected. The health
office (leader) pays s of the `cost` c of keeping a distance, and loses the infected and its expenses,

    -(mu + s * (share susceptible) * (probability that they keep a distance)).

In the endemic equilibrium the susceptible are indifferent. Keeping a distance for ever is worth V_S = -(c - s) / (1 - g); being
infected V_I = (-1 + g * recovery * V_S) / (1 - g (1 - recovery)); so the chance q of infection and everything else follow:

    q = (c - s) / (g (V_S - V_I)),    mu = q / contagion,    P(out) = recovery * mu / ((1 - mu) q).

A subsidy makes distance cheap, so that fewer infected people make the susceptible indifferent: mu falls with s, and the best s is interior.

There is another equilibrium under every s: nobody infected, and everybody goes out (`disease_free`; value 0). A solver must find both
or say that it has not looked; the leader's answers here are of the endemic one. Soft followers, of whom `soft_infected` says how many
are infected without a subsidy, come in two conventions: `entropy` values its entropy (log-sum-exp), `boltzmann` is the softmax of
the optimal action values.

Source: payoffs of K. Cui and H. Koeppl, Approximately solving mean field games via entropy-regularized deep reinforcement learning,
AISTATS 2021, made stationary; subsidy and closed form derived here.
"""

from __future__ import annotations

import numpy as np

from stackopt import Box, MeanFieldStackelbergGame, Stationary
from stackopt.catalog import recorded, require

_GAME = recorded("sis_subsidy")

#: Of the default parameters; `infected` and what follows without a subsidy, the rest at the best subsidy.
KNOWN: dict[str, object] = {**_GAME.known, "tolerance": _GAME.tolerance, "reference": _GAME.verification}


def build(*, discount: float = 0.99, contagion: float = 0.81, recovery: float = 0.3, cost: float = 0.5, cap: float = 0.49) -> MeanFieldStackelbergGame:
    """The game.

    Parameters
    ----------
    discount : float
        In (0, 1).
    contagion, recovery : float
        Probabilities, in (0, 1]: of infection where everybody is infected, and of recovering within a stage.
    cost : float
        Of a stage of distance; positive, in units of a stage of infection.
    cap : float
        Highest subsidy, in [0, cost).
    """
    require("sis_subsidy", "discount", discount, 0 < discount < 1, "in (0, 1)")
    for name, value in (("contagion", contagion), ("recovery", recovery)):
        require("sis_subsidy", name, value, 0 < value <= 1, "in (0, 1]")
    require("sis_subsidy", "cost", cost, cost > 0, "positive")
    require("sis_subsidy", "cap", cap, 0 <= cap < cost, f"in [0, {cost:g})")
    alone = np.zeros((2, 2, 2))  # [state, action, next state] where nobody is infected
    alone[0, :, 0] = 1.0
    alone[1] = [recovery, 1.0 - recovery]
    crowd = np.zeros((2, 2, 2, 2))  # [statistic, state, action, next state]: what each infected person adds
    crowd[1, 0, 0] = [-contagion, contagion]
    distance = np.array([[0.0, 1.0], [0.0, 0.0]])[:, :, None]  # of the susceptible  [state, action, subsidy]
    return MeanFieldStackelbergGame(
        Stationary(discount),
        reward=[[0.0, -cost], [-1.0, -1.0 - cost]],
        reward_leader=distance,
        transition=alone,
        transition_population=crowd,
        leader=Box([0.0], [cap]),
        leader_reward=[[0.0, 0.0], [-1.0, -1.0]],
        leader_reward_leader=-distance,
        states=["susceptible", "infected"],
        actions=["go out", "distance"],
        name="sis_subsidy",
    )
