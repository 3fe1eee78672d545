"""Beach bar: be near the bar, and not where everybody is.

A beach of `places`, a bar at one of them. Everybody walks one place left, right or not at all, and a gust moves him one further to
either side with probability (1 - still) / 2 each; the beach ends at both ends. At every stage a place s and step a earn

    -distance(s, bar) - |a| / places - log(share of the people at s),

with the distance counted around, as if the beach were a ring (so it is in the source). The crowding term has a potential and nothing
else depends on the crowd, so the equilibria are the maxima of

    sum over stages of <flow, -distance - |a| / places> - sum over places of (mu log(mu) - mu),

whose derivative is the reward: a concave program in the flows, so all equilibria have the same distributions mu. Its maximum
(`potential`) is everybody's value plus 1 for each stage.

Source: S. Perrin, J. Perolat, M. Laurière, M. Geist, R. Elie, O. Pietquin, Fictitious play for mean field games, NeurIPS 2020; figures
of MFGLib 0.3.0.
"""

from __future__ import annotations

import numpy as np

from stackopt import Finite, MeanFieldStackelbergGame
from stackopt.catalog import recorded, require
from stackopt.games.mean_field.terms import LogCrowding

_GAME = recorded("beach_bar")

#: Of the default parameters.
KNOWN: dict[str, object] = {**_GAME.known, "tolerance": _GAME.tolerance, "reference": _GAME.verification}


def build(*, horizon: int = 2, places: int = 4, bar: int = 2, still: float = 0.5) -> MeanFieldStackelbergGame:
    """The game.

    Parameters
    ----------
    horizon : int
        Last stage; there are horizon + 1 of them. From 1.
    places : int
        At least 2.
    bar : int
        Where the bar is, 0 to places - 1.
    still : float
        Probability that no gust comes, in [0, 1].
    """
    require("beach_bar", "horizon", horizon, horizon >= 1, "from 1")
    require("beach_bar", "places", places, places >= 2, "at least 2")
    require("beach_bar", "bar", bar, 0 <= bar < places, f"from 0 to {places - 1}")
    require("beach_bar", "still", still, 0 <= still <= 1, "in [0, 1]")
    s, a = np.arange(places)[:, None], np.arange(-1, 2)[None, :]
    away = np.abs(s - bar)
    transition = np.zeros((places, 3, places))
    for chance, gust in ((0.5 * (1 - still), -1), (still, 0), (0.5 * (1 - still), 1)):
        transition[s, np.arange(3), np.clip(s + a + gust, 0, places - 1)] += chance
    return MeanFieldStackelbergGame(
        Finite(horizon + 1, np.full(places, 1 / places)),
        reward=LogCrowding(-np.minimum(away, places - away) - np.abs(a) / places),
        transition=transition,
        states=[f"place {i}" + (" (bar)" if i == bar else "") for i in range(places)],
        actions=["left", "stay", "right"],
        name="beach_bar",
    )
