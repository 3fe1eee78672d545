r"""The tariff study as a mean-field game: the same households and market, in the hands of the package's own learners and certificates.

`as_game` makes a `MeanFieldStackelbergGame` of it. What carries over exactly, what is approximate, and what the general machinery cannot say:

* **Players** are the types with a battery: state (weather, charge), action a move. What a household uses within the hour has a
  closed form (`stackopt.energy.demand`) and is no action; a household without a battery has a single action, so it is no player: it stands in
  the market the players meet. With ``everyone=True`` such types are players all the same, with moves that are worth nothing.
* **Coupling.** Statistics of a game are linear in its flow. Net load is not, as use answers to the price; shares of moves
  :math:`m(h,w,a)` by type are. The price follows from them implicitly, hour by hour: see `MoveMarket`. So there are types x regimes x moves statistics
  an hour (210 at the standard size), and prices are exact. The array that takes them grows with the square of the types: hundreds with a
  battery are too many for this form, and refused with the memory it would need.
* **Weather** rules for all households at once, and a mean-field game of this package has no shock that all share. Here it is a signal of each
  household with the same law; what is shared enters through the statistics *given the regime*, :math:`m(h,w,a)/\Pr(w)`, linear in the flow. That is
  precisely the closure of `stackopt.energy.equilibrium`: the load in a regime is the long-run mean over histories that end in it (`diagnose`
  measures what this leaves out). Samples (`so.SampledFollowers`) draw the weather of every household by itself.
* **Time** is `Periodic(24, discount)`: the package has no average reward, which the study uses. At the default of 1 - 1e-6 an hour
  prices differ by 2e-8 $/kWh at the standard size and by 2e-6 in the hard instance, in proportion to what is missing to 1; spec 5.1's 0.995 an hour
  is another model, and offered.
* **Moves that a charge level does not allow** cost `IMPOSSIBLE` $ and are idling otherwise, since a game offers every action in
  every state: hard players never take them, soft ones of temperature tau with odds of about exp(-IMPOSSIBLE / tau).
* **Rewards** are what a move earns over leaving the battery alone; the rest does not depend on what a household does.

The literal model of spec 5.2, whose demand is an action too, is ``demand="factors"``: see `stackopt.energy.games.factors`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from stackopt.energy.criteria import Criteria
from stackopt.energy.designs.problem import DesignProblem
from stackopt.energy.equilibrium import Equilibrium
from stackopt.energy.games.factors import FactorReward, factors_game
from stackopt.energy.games.market import Announced, MoveMarket
from stackopt.energy.games.moves import DISCOUNT, Moves
from stackopt.energy.games.objective import TariffValue, Weights
from stackopt.energy.households import HOURS, Households
from stackopt.energy.market.supply import Supply
from stackopt.energy.tariff import DAYS_PER_MONTH, Tariff
from stackopt.errors import InvalidStudy
from stackopt.games.mean_field import dynamics, memory
from stackopt.games.mean_field.factored import Factored
from stackopt.games.mean_field.game import MeanFieldStackelbergGame
from stackopt.games.mean_field.horizon import Periodic
from stackopt.games.mean_field.leaders import Box
from stackopt.games.mean_field.population import Population

Array = NDArray[np.float64]
Demand = Literal["continuous", "factors"]

@dataclass(frozen=True, eq=False)
class FixedTariff:
    """A tariff that is announced to `groups` income groups; theta [0] says nothing."""

    tariff: Tariff
    groups: int

    def __call__(self, theta: Array) -> Announced:
        """The tariff."""
        none = np.zeros((HOURS, 0))
        return Announced(self.tariff, none, none, np.zeros((self.groups, 0)))


@dataclass(frozen=True, eq=False)
class DesignedTariff:
    """The rates of a design problem: theta is (buy by period, sell by period, fixed by group in $/day), without sell under net metering.

    A sell adder above the buy adder of its hour counts as equal to it, so that every member of the box is a tariff.
    """

    problem: DesignProblem

    @property
    def box(self) -> Box:
        """Bounds of the rates and of the fixed charges."""
        problem = self.problem
        P, G = len(problem.periods), len(problem.households.groups)
        sides = []
        for side in (0, 1):
            sell = [] if problem.net_metering else [problem.sell[side]] * P
            sides.append([problem.buy[side]] * P + sell + [side * problem.cap / DAYS_PER_MONTH] * G)
        return Box(*sides)

    def __call__(self, theta: Array) -> Announced:
        """The tariff of theta [D], and how its adders move."""
        problem = self.problem
        P, G, D = len(problem.periods), len(problem.households.groups), len(theta)
        chosen = problem.selection
        buy, sell = np.zeros((HOURS, D)), np.zeros((HOURS, D))
        buy[:, :P] = chosen
        asked = theta[:P] if problem.net_metering else theta[P : 2 * P]
        paid = np.minimum(asked, theta[:P])
        if problem.net_metering:
            sell[:, :P] = chosen
        else:
            below = (asked <= theta[:P]).astype(float)
            sell[:, P : 2 * P], sell[:, :P] = chosen * below, chosen * (1.0 - below)
        fixed = np.zeros((G, D))
        fixed[:, D - G :] = np.eye(G)
        return Announced(problem.tariff(np.concatenate([theta[:P], paid, theta[D - G :]])), buy, sell, fixed)


@dataclass(frozen=True, eq=False)
class MoveReward:
    """What moves earn over leaving the battery alone: ``reward(t, y, theta)`` [K, n, S, B], with its own products of derivatives."""

    market: MoveMarket
    players: int

    def __call__(self, t: Array, y: Array, theta: Array) -> Array:
        """Rewards at stages t [n] with shares of moves y [n, J]; complex y and theta give the derivative along their imaginary parts."""
        market = self.market
        complex_ = np.iscomplexobj(y) or np.iscomplexobj(theta)
        k, W, A = market.shape
        worth = np.empty((k, len(t), W, A), complex if complex_ else float)
        left = np.arange(len(t))
        while len(left):  # a market clears whole days: rows of different hours at a time
            _, first = np.unique(t[left], return_index=True)
            rows = left[first]
            day = market.at_rest.astype(y.dtype)
            day[t[rows]] = y[rows]
            worth[:, rows] = self._day(day, theta, complex_)[:, t[rows]]
            left = np.delete(left, first)
        possible, cost = market.moves.possible[:, None, None], market.moves.cost[:, None, None]
        every = (np.where(possible, worth[:, :, :, None], 0.0) + cost).reshape(k, len(t), -1, A)
        if self.players == k:
            return every
        rewards = np.zeros((self.players, *every.shape[1:]), every.dtype)
        rewards[market.members] = every
        return rewards

    def _day(self, y: Array, theta: Array, complex_: bool) -> Array:
        market = self.market
        if not complex_:
            met = market.at(np.ascontiguousarray(y), np.ascontiguousarray(theta))
            moved: Any = 0.0
        else:
            met, buy, sell = market.moved(np.asarray(y), np.asarray(theta))
        _, hour, _, worn = met.parts[0]
        if complex_:
            mine = market.members
            moved = -1j * hour.net * (np.where(hour.buying, buy[mine][..., None], 0.0) + np.where(hour.selling, sell[mine][..., None], 0.0))
        worth: Array = hour.worth - worn + moved
        return worth - worth[..., market.moves.idle, None]

    def in_statistics(self, y: Array, theta: Array, cotangent: Array) -> Array:
        """Sum of a cotangent [K, T, S, B] times the derivative of rewards in y: [T, J]."""
        market, (met, of_buy, of_sell) = self.market, self._on_rates(y, theta, cotangent)
        of_net, _ = market.pulled(met, of_buy, of_sell)
        members, hour, _, _ = met.parts[0]
        each = market.owners * of_net[market.households.bus_of[members]][..., None] * hour.net
        pulled: Array = np.moveaxis(each, 0, 1).reshape(y.shape)
        return pulled

    def in_decision(self, y: Array, theta: Array, cotangent: Array) -> Array:
        """The same in theta: [D]."""
        met, of_buy, of_sell = self._on_rates(y, theta, cotangent)
        return self.market.pulled(met, of_buy, of_sell)[1]

    def _on_rates(self, y: Array, theta: Array, cotangent: Array) -> tuple[Any, Array, Array]:
        market = self.market
        k, W, A = market.shape
        own = cotangent if self.players == k else cotangent[market.members]
        each = (own.reshape(k, HOURS, W, -1, A) * market.moves.possible[:, None, None]).sum(3)
        each[..., market.moves.idle] -= each.sum(-1)
        met = market.at(np.ascontiguousarray(y), np.ascontiguousarray(theta))
        of_buy, of_sell = np.zeros((2, *met.buy.shape))
        members, hour, _, _ = met.parts[0]
        of_buy[members] = -(each * np.where(hour.buying, hour.net, 0.0)).sum(-1)
        of_sell[members] = -(each * np.where(hour.selling, hour.net, 0.0)).sum(-1)
        return met, of_buy, of_sell


def as_game(
    households: Households,
    market: Supply,
    tariff: Tariff | DesignProblem,
    *,
    demand: Demand = "continuous",
    discount: float = DISCOUNT,
    everyone: bool = False,
    weights: Weights | None = None,
    required: float = 3.6,
) -> MeanFieldStackelbergGame:
    """A tariff study as a mean-field game.

    Parameters
    ----------
    households, market
    tariff : Tariff or DesignProblem
        One tariff: the leader has no choice. A design problem: the leader chooses rates and fixed charges in its box, for the value of
        `TariffValue`; limits of the problem other than its bounds are not part of a box and are left to the weights, and so are ratios of fixed charges.
    demand : str
        ``"continuous"``: the best use within the hour, in closed form. ``"factors"``: an action, for a given tariff; everyone plays, and there is no
        value of the leader.
    discount : float
        Per hour, in [0, 1).
    everyone : bool
        Types without a battery are players too, with moves that do nothing.
    weights : Weights, optional
        Of the leader's criteria.
    required : float, $/day and household
        Fixed costs to recover; of a design problem, its own.

    Returns
    -------
    MeanFieldStackelbergGame
        Weights of types are shares of the players, so values are per player and hour: see `per_day`.

    Raises
    ------
    InvalidStudy
        ``setting-value`` without a battery anywhere, or for a tariff with a true-up; ``sell-above-buy`` where rates that are passed through
        differ so that selling pays more.
    Refused
        ``memory``.
    """
    problem = tariff if isinstance(tariff, DesignProblem) else None
    if tariff.true_up is not None or (problem is not None and problem.selection.ndim == 3):
        law = "without a true-up, whose bills are of a year, and without periods of single seasons"
        raise InvalidStudy("setting-value", name="tariff", law=law, got="one with them")
    if demand not in ("continuous", "factors"):
        raise InvalidStudy("setting-value", name="demand", law="'continuous' or 'factors'", got=repr(demand))
    if isinstance(tariff, Tariff) and tariff.true_up is not None:
        law = "a tariff without a true-up: what a kWh is worth then depends on a household's whole year, which its state does not hold"
        raise InvalidStudy("setting-value", name="tariff", law=law, got=f"{tariff.name!r}, true_up = {tariff.true_up:g}")
    if demand == "factors":
        if not isinstance(tariff, Tariff):
            law = "a Tariff where demand is an action: the leader's criteria are no functions of net load alone"
            raise InvalidStudy("setting-value", name="tariff", law=law, got="a DesignProblem")
        return factors_game(households, market, tariff, discount=discount)
    announce = FixedTariff(tariff, len(households.groups)) if isinstance(tariff, Tariff) else DesignedTariff(tariff)
    moves = Moves.of(households, everyone)
    met = MoveMarket(households, market, moves, announce)
    (k, W, A), K, C = met.shape, len(moves.players), moves.levels
    target = moves.target_of_all(K) if everyone else moves.target
    need = f"K * S * B * J = {K} * {W * C} * {A} * {k * W * A} float64"
    memory.require(2 * 8 * K * W * C * A * k * W * A, f"the tariff game of {k} types with a battery", where=need)
    statistic = np.zeros((K, 1, W, C, A, k, W, A))
    counted = np.where(moves.possible, np.arange(A), moves.idle)  # what cannot be made is idling, to the meter
    level, move = np.arange(C)[:, None], np.arange(A)
    for own, player in enumerate(moves.members if everyone else range(k)):
        for w in range(W):
            statistic[player, 0, w, level, move, own, w, counted[own % len(counted)]] = 1.0
    share = households.share[moves.players]
    return MeanFieldStackelbergGame(
        Periodic(HOURS, discount),
        reward=MoveReward(met, K),
        transition=Factored(target[:, None], households.weather.hourly),
        weights=share / share.sum(),
        statistic=statistic.reshape(K, 1, W * C, A, k * W * A),
        leader=None if problem is None else DesignedTariff(problem).box,
        objective=TariffValue(met, required if problem is None else problem.required, weights or Weights()),
        sizes=(K, W * C, A),
        types=[households.types[i].name for i in moves.players],
        states=moves.states(households),
        actions=moves.names,
        name=f"tariff {tariff.name}" if isinstance(tariff, Tariff) else "tariff design",
    )


# --- read back ------------------------------------------------------------------------------------------------------------


def _market(game: MeanFieldStackelbergGame) -> MoveMarket:
    if not isinstance(game.reward, MoveReward):
        raise InvalidStudy("setting-value", name="game", law="one of continuous demand that `as_game` made", got=game.name)
    return game.reward.market


def _point(game: MeanFieldStackelbergGame, population: Population) -> tuple[Array, Array]:
    """(statistics, theta) that a policy brings about; nothing else of the population is trusted."""
    theta = np.asarray(population.theta, float)
    return dynamics.mean_field(game, population.policy, theta, population.mean_field).y, theta


def per_day(game: MeanFieldStackelbergGame, value: float) -> float:
    """A value per player and hour, like the exploitability of a certificate, in $ per day and household."""
    share = 1.0 if isinstance(game.reward, FactorReward) else _market(game).owners
    return HOURS * share * value


def prices_of(game: MeanFieldStackelbergGame, population: Population) -> Array:
    """Wholesale prices [n, 24, w] that the policy of a population brings about, $/kWh."""
    y, theta = _point(game, population)
    return game.reward.prices(y) if isinstance(game.reward, FactorReward) else _market(game).at(y, theta).price


def outcome(game: MeanFieldStackelbergGame, population: Population) -> Equilibrium:
    """Prices, loads and bills that the policy of a population brings about, as the study's tables and criteria read them.

    How near it is to an equilibrium is what the game's certificate says: the status here is LIMIT.
    """
    market = _market(game)
    return market.equilibrium(market.at(*_point(game, population)), population.temperature)


def criteria_of(game: MeanFieldStackelbergGame, population: Population) -> Criteria:
    """Each criterion of the leader on its own, of what the policy of a population brings about."""
    objective: TariffValue = game.objective  # type: ignore[assignment]
    _market(game)
    return objective.criteria(*_point(game, population))
