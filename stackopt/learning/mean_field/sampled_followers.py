r"""Followers who learn from what happens to them: N of each type, soft Q-learning on their own samples, and a leader who only sees results.

A day is a pass through all stages. At each stage followers act by :math:`\mathrm{softmax}(Q/\tau)`, move at random, and the table of their
type learns :math:`Q(s,b)\leftarrow(1-\alpha)Q(s,b)+\alpha\,(r+\gamma\hat V(s'))` from the moves that were made; :math:`\hat V` is the soft value of the
next stage's table. Followers of a type share their experience, so a day costs the same for any N: counts are multinomial.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from stackopt.errors import InvalidMethod
from stackopt.games.mean_field import operators
from stackopt.games.mean_field.game import MeanFieldStackelbergGame
from stackopt.games.mean_field.memory import require
from stackopt.games.operators import Array


class SampledFollowers:
    """A finite population that learns, under whatever decision is in force.

    Parameters
    ----------
    game : MeanFieldStackelbergGame
        Followers' rewards and transitions; they are experienced, not known to the learners.
    temperature : float
        Of the followers' choices and values, in the units of their rewards.
    followers : int
        N of each type.
    rate : float
        :math:`\\alpha` in (0, 1].
    seed : int

    Attributes
    ----------
    table : array [K, T, S, B]
        Q, from which followers act.
    counts : int array [K, S]
        Where they stand before the next day (finite horizons begin anew each day).
    days : int
    """

    def __init__(self, game: MeanFieldStackelbergGame, temperature: float, followers: int = 1000, rate: float = 0.2, seed: int = 0) -> None:
        if not 0.0 < rate <= 1.0:
            raise InvalidMethod("setting", name="rate", law="in (0, 1]", got=repr(rate))
        if isinstance(followers, bool) or not isinstance(followers, int | np.integer) or followers < 1:
            raise InvalidMethod("setting", name="followers", law="a whole number of at least 1", got=repr(followers))
        K, T, S, B = game.shape
        require(8 * K * S * B * S * 2, "the transitions of a stage", where=f"K * S * B * S = {K} * {S} * {B} * {S}")
        self.game, self.temperature, self.followers, self.rate = game, temperature, int(followers), rate
        self.rng = np.random.default_rng(seed)
        self.table = np.zeros((K, T, S, B))
        first = np.full((K, S), 1.0 / S) if game.initial is None else game.initial
        self.counts = np.stack([self.rng.multinomial(self.followers, first[k]) for k in range(K)])
        self.days = 0

    @property
    def policy(self) -> Array:
        """How followers act now [K, T, S, B]."""
        policy: Array = operators.soft_policy(self.table, self.temperature)
        return policy

    def day(self, theta: Array) -> float:
        """Live through one day under theta [D], and return what the leader earned of it."""
        game = self.game
        K, T, S, B = game.shape
        if not game.cyclic:
            self.counts = np.stack([self.rng.multinomial(self.followers, game.initial[k]) for k in range(K)])
        flows, y = np.empty((K, T, S, B)), np.empty((T, game.statistics))
        moves = []
        for t in range(T):
            stage = np.array([t])
            acted = self.rng.multinomial(self.counts, operators.soft_policy(self.table[:, t], self.temperature))  # [K, S, B]
            flows[:, t] = acted / self.followers
            statistic = game.statistic if isinstance(game.statistic, str) or game.statistic.shape[1] == 1 else game.statistic[:, t : t + 1]
            y[t] = operators.aggregate(flows[:, t : t + 1], game.weights, statistic)[0]
            chances = np.broadcast_to(game.kernel(y[t : t + 1], theta, stage).dense(), (K, 1, S, B, S))[:, 0]
            moved = self.rng.multinomial(acted, chances / chances.sum(-1, keepdims=True))  # [K, S, B, S]
            self.counts = moved.sum((1, 2))
            moves.append((acted, moved, game.rewards(y[t : t + 1], theta, stage)[:, 0]))
        for t in range(T - 1, -1, -1):  # evening: the day is gone over from its end
            self._learn(t, *moves[t])
        self.days += 1
        return game.leader_value(flows, y, theta)

    def _learn(self, t: int, acted: Any, moved: Any, reward: Array) -> None:
        """Move the table of stage t towards what was experienced there."""
        game = self.game
        last = t + 1 == game.shape[1]
        if last and not game.cyclic:
            after = np.zeros(acted.shape)
        else:
            value = operators.soft_value(self.table[:, 0 if last else t + 1], self.temperature)  # [K, S]
            after = (moved * value[:, None, None, :]).sum(-1) / np.maximum(acted, 1)
        target = reward + game.discount * after
        tried = acted > 0
        self.table[:, t] = np.where(tried, (1.0 - self.rate) * self.table[:, t] + self.rate * target, self.table[:, t])
