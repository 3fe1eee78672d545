"""Pigou's toll, with the travellers as a population.

The network of `pigou_toll`: a road that takes slope * x where a share x is on it, and a railway that takes `railway`. Everybody
minimises his time plus the toll; the leader maximises minus the total time,

    -(slope * x ** 2 + railway * (1 - x)).

With a toll T in use of both, slope * x + T = railway. The best x is railway / (2 slope) (if that is at most 1), at the toll
railway / 2: with the default figures x = 1/2, total time 3/4, toll 1/2. Without a toll all are on the road, time 1. The time of the
road rises with its use, so x is unique under every toll.

Source: A. C. Pigou, The Economics of Welfare (1920); normalisation of T. Roughgarden and E. Tardos, How bad is selfish routing?
(2002), from memory. The closed form is derived here.
"""

from __future__ import annotations

from stackopt import Box, Finite, MeanFieldStackelbergGame
from stackopt.catalog import recorded, require
from stackopt.games.mean_field.terms import QuadraticObjective

_GAME = recorded("pigou_population")

KNOWN: dict[str, object] = {**_GAME.known, "tolerance": _GAME.tolerance, "reference": _GAME.verification}


def build(*, slope: float = 1.0, railway: float = 1.0, cap: float = 1.0) -> MeanFieldStackelbergGame:
    """The game.

    Parameters
    ----------
    slope : float
        Time that the road takes when all are on it; positive.
    railway : float
        Time of the railway; positive.
    cap : float
        Highest toll; non-negative.
    """
    require("pigou_population", "slope", slope, slope > 0, "positive")
    require("pigou_population", "railway", railway, railway > 0, "positive")
    require("pigou_population", "cap", cap, cap >= 0, "non-negative")
    return MeanFieldStackelbergGame(
        Finite(1, [1.0]),
        reward=[[0.0, -railway]],
        reward_population=[[[-slope, 0.0], [0.0, 0.0]]],
        reward_leader=[[[-1.0], [0.0]]],
        transition=[[[1.0], [1.0]]],
        statistic="state-actions",
        leader=Box([0.0], [cap]),
        objective=QuadraticObjective([[-slope, 0.0], [0.0, 0.0]], [0.0, -railway]),
        states=["traveller"],
        actions=["road", "railway"],
        name="pigou_population",
    )
