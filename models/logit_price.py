"""A price against a soft buyer: the softmax error of a leader's value in closed form.

One state. The leader mixes the prices 0 and v = 2, the buyer values the good at v and answers the mean price p: it buys with
probability 1 / (1 + exp((p - v) / tau)). The best soft commitment is p = tau (1 + W(exp(v / tau - 1))), worth tau W, with the
Lambert W function; the strong value is v, with a buyer that buys when indifferent. `soft_commitment` is at tau = 0.1.

Source: logit monopoly, standard.
"""

from __future__ import annotations

from stackopt import StackelbergGame
from stackopt.catalog import recorded

_GAME = recorded("logit_price")

KNOWN: dict[str, object] = {**_GAME.known, "tolerance": _GAME.tolerance, "reference": _GAME.verification}


def build() -> StackelbergGame:
    """The game."""
    game: StackelbergGame = _GAME.problem
    return game
