"""A price for a good that is worth less the more people buy it.

Buyers value the good at v and lose c times the share d that buys: a buyer gains v - p - c d, others 0. The leader sets the price p and
earns p d. Without randomness buyers are indifferent, d = (v - p) / c, and the best price is v / 2 (if v <= 2 c), worth v ** 2 / (4 c).
With max-ent buyers of temperature tau

    d = 1 / (1 + exp(-(v - p - c d) / tau)),    so    p = v - c d - tau log(d / (1 - d)),

and the best commitment is the maximum of p(d) d in the one variable d, a concave function; d falls in p and is unique.

Source: logit demand, standard; congestion and closed form derived here.
"""

from __future__ import annotations

from stackopt import Box, Finite, MeanFieldStackelbergGame
from stackopt.catalog import recorded, require

_GAME = recorded("congested_logit")

#: Of the default parameters; `soft` by temperature.
KNOWN: dict[str, object] = {**_GAME.known, "tolerance": _GAME.tolerance, "reference": _GAME.verification}


def build(*, value: float = 2.0, congestion: float = 3.0, cap: float = 4.0) -> MeanFieldStackelbergGame:
    """The game.

    Parameters
    ----------
    value : float
        v, what the good is worth when nobody else buys; positive.
    congestion : float
        c, what it loses when all buy; non-negative.
    cap : float
        Highest price; positive.
    """
    require("congested_logit", "value", value, value > 0, "positive")
    require("congested_logit", "congestion", congestion, congestion >= 0, "non-negative")
    require("congested_logit", "cap", cap, cap > 0, "positive")
    buys = [[[1.0], [0.0]]]
    return MeanFieldStackelbergGame(
        Finite(1, [1.0]),
        reward=[[value, 0.0]],
        reward_population=[[[-congestion], [0.0]]],
        reward_leader=[[[-1.0], [0.0]]],
        transition=[[[1.0], [1.0]]],
        statistic=buys,
        leader=Box([0.0], [cap]),
        leader_reward_leader=buys,
        states=["buyer"],
        actions=["buy", "do not"],
        name="congested_logit",
    )
