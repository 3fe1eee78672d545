r"""The literal household of the study's specification (5.2): what it uses is an action too, one of a few factors on its usual load.

Action (move a, factor d), meter reading :math:`n=d\,l-g+c_a`, reward

.. math:: u(d\,l)-\text{buy}\,n^+-\text{sell}\,n^--\text{wear}(a),\qquad u(x)=p_0(x-l)-\tfrac{p_0}{2\varepsilon l}(x-l)^2 .

Net load is linear in the flow here, so it is the statistic itself: buses x regimes of them an hour, and every type is a player, with or without a
battery. It is a coarser household than that of `as_game`: use moves in steps, and soft players use at random around the best factor, which
costs them utility and the market nothing in return.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stackopt.energy.games.moves import DISCOUNT, Moves
from stackopt.energy.households import HOURS, Households
from stackopt.energy.market.supply import Supply
from stackopt.energy.tariff import Tariff
from stackopt.errors import InvalidStudy
from stackopt.games.mean_field.factored import Factored
from stackopt.games.mean_field.game import MeanFieldStackelbergGame
from stackopt.games.mean_field.horizon import Periodic

Array = NDArray[np.float64]

#: On the usual load.
FACTORS = (0.8, 0.9, 1.0, 1.1, 1.2)


@dataclass(frozen=True, eq=False)
class FactorReward:
    """Rewards of (move, factor) over idling at the usual load: ``reward(t, y, theta)`` [K, n, S, B].

    Attributes
    ----------
    net : array [i, 24, w, a, d], kWh
    worth : array [i, 24, w, a, d], $
        Utility less wear: what does not depend on prices.
    cost : array [i or 1, c, a]
        Of moves that cannot be made, negative.
    """

    households: Households
    market: Supply
    tariff: Tariff
    net: Array
    worth: Array
    cost: Array
    plain: tuple[int, int]

    def prices(self, y: Array) -> Array:
        """Wholesale prices [n, 24, w], $/kWh, of net use y [24, n * w], kWh per household and joint with the regime."""
        return self.market.clear(self._load(y))[0] / 1000.0

    def _load(self, y: Array) -> Array:
        h = self.households
        joint = np.moveaxis(y.reshape(HOURS, len(h.buses), -1), 0, 1)
        load: Array = joint * (h.count / 1000.0 / h.weather.shares)
        return load

    def __call__(self, t: Array, y: Array, theta: Array) -> Array:
        """Rewards at stages t [n]; a complex y gives the derivative along its imaginary part."""
        left, found = np.arange(len(t)), np.empty((len(self.net), len(t), *self.net.shape[2:]), y.dtype)
        while len(left):  # a market clears whole days: rows of different hours at a time
            _, first = np.unique(t[left], return_index=True)
            rows = left[first]
            day = np.zeros((HOURS, y.shape[1]), y.dtype)
            day[t[rows]] = y[rows]
            found[:, rows] = self._day(day)[:, t[rows]]
            left = np.delete(left, first)
        found = found - found[..., self.plain[0], self.plain[1], None, None]
        every: Array = found[:, :, :, None] + self.cost[:, None, None, :, :, None]
        return every.reshape(*every.shape[:2], every.shape[2] * every.shape[3], -1)

    def _day(self, y: Array) -> Array:
        """What moves and factors earn in every hour and regime [i, 24, w, a, d]."""
        h, load = self.households, self._load(y)
        cleared, slope = self.market.clear(np.ascontiguousarray(load.real))
        buy, sell = self.tariff.rates(h, cleared / 1000.0)
        if (sell > buy + 1e-9).any():
            i, hour, w = (int(n) for n in np.argwhere(sell > buy + 1e-9)[0])
            raise InvalidStudy("sell-above-buy", where=f"type {i}, hour {hour}, regime {w}: sell {sell[i, hour, w]:.6g}, buy {buy[i, hour, w]:.6g} $/kWh")
        earned: Array = self.worth - self.net * np.where(self.net > 0, buy[..., None, None], sell[..., None, None])
        if not np.iscomplexobj(y):
            return earned
        change = (np.moveaxis(slope, (0, 1), (2, 3)) / 1000.0 @ np.moveaxis(load.imag, 0, -1)[..., None])[..., 0]
        own = np.moveaxis(change, -1, 0)[h.bus_of]
        through = [p[:, None, None] * own for p in self.tariff.passed(h)]
        return earned - 1j * self.net * np.where(self.net > 0, through[0][..., None, None], through[1][..., None, None])


def factors_game(
    households: Households, market: Supply, tariff: Tariff, *, factors: Sequence[float] = FACTORS, discount: float = DISCOUNT
) -> MeanFieldStackelbergGame:
    """The tariff study of literal households as a mean-field game; the leader has no choice.

    Parameters
    ----------
    factors : sequence of float
        On the usual load; 1 among them.
    discount : float
        Per hour, in [0, 1).

    Raises
    ------
    InvalidStudy
        ``setting-value``, ``sell-above-buy``.
    """
    chosen = np.array(factors, float)
    if chosen.ndim != 1 or not np.isfinite(chosen).all() or (chosen < 0).any() or 1.0 not in chosen:
        raise InvalidStudy("setting-value", name="factors", law="factors of at least 0 with 1 among them", got=repr(factors))
    moves = Moves.of(households, everyone=True)
    h, K, W, A, D = replace(households), len(households.types), len(households.weather.names), moves.actions, len(chosen)
    use = h.load[..., None] * chosen  # [i, 24, w, d]
    charge = np.zeros((K, A))
    worn = np.zeros((K, A))
    charge[moves.members], worn[moves.members] = moves.charge, moves.worn
    away = use - h.load[..., None]
    utility = h.reference_price * away - away**2 * (h.reference_price / (2.0 * h.elasticity)) / h.load[..., None]
    net = use[:, :, :, None, :] - h.sun[..., None, None] + charge[:, None, None, :, None]
    worth = utility[:, :, :, None, :] - worn[:, None, None, :, None]
    cost = moves.cost_of_all(K)
    reward = FactorReward(h, market, tariff, net, np.broadcast_to(worth, net.shape), cost, (moves.idle, int(np.flatnonzero(chosen == 1.0)[0])))
    C, N = moves.levels, len(h.buses)
    statistic = np.zeros((K, HOURS, W, C, A * D, N, W))
    flat = net.reshape(K, HOURS, W, 1, A * D)
    for w in range(W):
        statistic[np.arange(K), :, w, :, :, h.bus_of, w] = flat[:, :, w]
    names = [f"{move}, {d:g} x usual" for move in moves.names for d in chosen]
    return MeanFieldStackelbergGame(
        Periodic(HOURS, discount),
        reward=reward,
        transition=Factored(np.repeat(moves.target_of_all(K), D, -1)[:, None], h.weather.hourly),
        weights=h.share / h.share.sum(),
        statistic=statistic.reshape(K, HOURS, W * C, A * D, N * W),
        sizes=(K, W * C, A * D),
        types=[t.name for t in h.types],
        states=moves.states(h),
        actions=names,
        name=f"tariff {tariff.name}, factors of use",
    )
