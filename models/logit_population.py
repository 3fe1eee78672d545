"""A price against a population of logit buyers: the softmax error of a leader's value in closed form.

Everybody values the good at v and buys at the price p with probability 1 / (1 + exp((p - v) / tau)); the leader earns p for each who
buys. The best price is p = tau (1 + W), worth tau W, where W exp(W) = exp(v / tau - 1) (Lambert's function); the share that buys is
W / (1 + W). As tau falls to 0 the value rises to v, which is what buyers without randomness pay if they buy when indifferent. So
v - tau W is exactly what softmax followers cost this leader, of order tau log(v / tau), and any bound on it can be held against this.

The buyers do not meet: each is alone with the price. `logit_price` is the same market with one buyer and a mixed price.

Source: logit monopoly, standard.
"""

from __future__ import annotations

from stackopt import Box, Finite, MeanFieldStackelbergGame
from stackopt.catalog import recorded, require

_GAME = recorded("logit_population")

#: With value 2; `soft` by temperature.
KNOWN: dict[str, object] = {**_GAME.known, "tolerance": _GAME.tolerance, "reference": _GAME.verification}


def build(*, value: float = 2.0, cap: float = 4.0) -> MeanFieldStackelbergGame:
    """The game.

    Parameters
    ----------
    value : float
        v; positive.
    cap : float
        Highest price; positive.
    """
    require("logit_population", "value", value, value > 0, "positive")
    require("logit_population", "cap", cap, cap > 0, "positive")
    buys = [[[1.0], [0.0]]]
    return MeanFieldStackelbergGame(
        Finite(1, [1.0]),
        reward=[[value, 0.0]],
        reward_leader=[[[-1.0], [0.0]]],
        transition=[[[1.0], [1.0]]],
        statistic=buys,
        leader=Box([0.0], [cap]),
        leader_reward_leader=buys,
        states=["buyer"],
        actions=["buy", "do not"],
        name="logit_population",
    )
