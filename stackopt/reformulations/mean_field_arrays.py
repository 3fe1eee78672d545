r"""A mean-field game with a fixed kernel and affine rewards, written out: what its equilibrium programs are made of, in units that suit a solver.

Axes are K types, T stages, S states, B actions, J statistics, D parameters of the leader.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stackopt.games.mean_field.dynamics import answer
from stackopt.games.mean_field.game import MeanFieldStackelbergGame
from stackopt.games.mean_field.kernels import Dense
from stackopt.games.mean_field.leaders import Box, LeaderSet, Menu, Policies
from stackopt.games.mean_field.terms import LogCrowding
from stackopt.games.operators import Array
from stackopt.solution import Refusal

#: Ranges are widened by this much, relative: rounding in their computation cannot cut an equilibrium off.
WIDENING = 1e-6


@dataclass(frozen=True, eq=False)
class AffineFollowers:
    r"""Followers who earn :math:`r_0+R_1y_t+R_2\theta` and move by a kernel that nothing changes.

    Attributes
    ----------
    game : MeanFieldStackelbergGame
    theta : array [D] or None
        The leader's decision if it is fixed; then it is part of the other arrays, and `parameters` is 0.
    reward, reward_population, reward_leader : array [K, T, S, B], [K, T, S, B, J], [K, T, S, B, D]
        In units in which rewards lie between 0 and 1 whatever the population and the leader do.
    statistic : array [K, T, S, B, J]
        H.
    transition : array [K, T, S, B, S]
    leader_reward, leader_reward_leader : array [K, T, S, B], [K, T, S, B, D]
        In the leader's own units.
    unit : float
        One unit of the rewards here, in the game's own.
    moved_population, moved_leader : array [K, T, J, S, B, S], [K, T, D, S, B, S] or None
        How statistics and the decision change the transitions, where they do; `transition` then is the constant part alone.
    """

    game: MeanFieldStackelbergGame
    theta: Array | None
    reward: Array
    reward_population: Array
    reward_leader: Array
    statistic: Array
    transition: Array
    leader_reward: Array
    leader_reward_leader: Array
    unit: float = 1.0
    moved_population: Array | None = None
    moved_leader: Array | None = None

    @property
    def parameters(self) -> int:
        """D, or 0 where the decision is fixed."""
        return int(self.reward_leader.shape[-1])

    @property
    def moved(self) -> bool:
        """Whether the population or a decision that is not fixed moves the transitions."""
        return self.moved_population is not None or self.moved_leader is not None

    def kernel(self, y: Array, theta: Array) -> Array:
        """Transitions [K, T, S, B, S] at statistics y [T, J] and, where it is not fixed, a decision [D]."""
        found = self.transition
        if self.moved_population is not None:
            found = found + (self.moved_population * y[None, :, :, None, None, None]).sum(2)
        if self.moved_leader is not None:
            found = found + (self.moved_leader * theta[None, None, :, None, None, None]).sum(2)
        return found

    def statistic_range(self) -> tuple[Array, Array]:
        """Least and largest statistics of any population, [T, J] each."""
        w = self.game.weights[:, None, None]
        return (w * self.statistic.min((2, 3))).sum(0), (w * self.statistic.max((2, 3))).sum(0)

    def reward_range(self) -> tuple[Array, Array]:
        """Least and largest reward of each action over all populations and decisions, [K, T, S, B] each."""
        reach = _population_range(self.reward_population, self.statistic, self.game.weights)
        moved = decision_range(self.game.leader, self.reward_leader) if self.parameters else (0.0, 0.0)
        return self.reward + reach[0] + moved[0], self.reward + reach[1] + moved[1]

    def value_range(self) -> tuple[Array, Array]:
        r"""Ranges of the followers' optimal values over all populations and decisions, [K, T, S] each.

        The optimal value is monotone in the rewards, so that of the least and of the largest rewards enclose it; theory D5 has the same
        with one pair of rewards for all states, which is wider, and is what is left where transitions are moved.
        """
        game = self.game
        if self.moved:
            K, T, S, _ = game.shape
            left = np.full(T, 1.0 / (1.0 - game.discount)) if game.cyclic else np.cumsum(np.power(game.discount, np.arange(T)))[::-1]
            least, most = (float(r) for r in (self.reward_range()[0].min(), self.reward_range()[1].max()))
            crude = np.broadcast_to(left[None, :, None], (K, T, S))
            return least * crude - WIDENING * (1.0 + crude), most * crude + WIDENING * (1.0 + crude)
        low, high = (answer(r, Dense(self.transition, checked=False), game.discount, cyclic=game.cyclic).value for r in self.reward_range())
        return low - WIDENING * (1.0 + np.abs(low)), high + WIDENING * (1.0 + np.abs(high))


def affine_followers(game: MeanFieldStackelbergGame, theta: Array | None = None) -> AffineFollowers:
    """The arrays of a game whose rewards and transitions are arrays; of a `LogCrowding` game, those of its base."""
    K, T, S, B = game.shape
    J, D = game.statistics, game.parameters

    def full(array: Array | None, tail: tuple[int, ...]) -> Array:
        return np.zeros((K, T, *tail)) if array is None else np.broadcast_to(array, (K, T, *tail))

    base = game.reward.base if isinstance(game.reward, LogCrowding) else game.reward
    reward, leader = full(base, (S, B)), full(game.leader_reward, (S, B))
    moved, paid = full(game.reward_leader, (S, B, D)), full(game.leader_reward_leader, (S, B, D))
    theta = np.zeros(0) if D == 0 else theta
    at = np.zeros(D) if theta is None else theta
    if theta is not None:
        reward, leader = reward + moved @ theta, leader + paid @ theta
        moved, paid = np.zeros((K, T, S, B, 0)), np.zeros((K, T, S, B, 0))
    by_population = None if game.transition_population is None else np.broadcast_to(game.transition_population, (K, T, J, S, B, S))
    by_leader = None if game.transition_leader is None or theta is not None else np.broadcast_to(game.transition_leader, (K, T, D, S, B, S))
    kernel = np.broadcast_to(game.kernel(np.zeros((T, J)), at).dense(), (K, T, S, B, S))
    raw = AffineFollowers(game, theta, reward, full(game.reward_population, (S, B, J)), moved, _statistic(game), kernel, leader, paid)
    low, high = (float(r) for r in (raw.reward_range()[0].min(), raw.reward_range()[1].max()))
    unit = (high - low) or 1.0
    return AffineFollowers(
        game, theta, (reward - low) / unit, raw.reward_population / unit, moved / unit, raw.statistic, kernel, leader, paid, unit, by_population, by_leader
    )  # fmt: skip


def refuses_affine(game: MeanFieldStackelbergGame, *, at: bool) -> Refusal | None:
    """Why the equilibria of `game` are not those of a mixed-integer linear program, if they are not.

    Parameters
    ----------
    at : bool
        Whether the program is for one decision of the leader, so that its part in the transitions is fixed.
    """
    if callable(game.reward):
        return Refusal("mean-field-arrays", because="rewards are a callable")
    if game.transition_population is not None or callable(game.transition):
        return Refusal("mean-field-kernel", because="`transition` is a callable" if callable(game.transition) else "`transition_population` is given")
    if game.transition_leader is not None and not at:
        return Refusal("mean-field-kernel", because="`transition_leader` is given", remedy="leader=Menu(points): one program for each point")
    return None


def decision_range(leader: LeaderSet | None, slopes: Array) -> tuple[Array, Array]:
    """Least and largest value of ``slopes @ theta`` over the leader's set; slopes [..., D] to [...] each."""
    if isinstance(leader, Menu):
        values = slopes @ leader.points.T
        return values.min(-1), values.max(-1)
    if isinstance(leader, Box):
        ends = slopes * leader.lower, slopes * leader.upper
        return np.minimum(*ends).sum(-1), np.maximum(*ends).sum(-1)
    assert isinstance(leader, Policies)
    rows = leader.rows(slopes)
    return rows.min(-1).sum(-1), rows.max(-1).sum(-1)


def _statistic(game: MeanFieldStackelbergGame) -> Array:
    """H [K, T, S, B, J]."""
    K, T, S, B = game.shape
    if isinstance(game.statistic, str) and game.statistic == "states":
        H = np.broadcast_to(np.eye(S)[:, None, :], (S, B, S))
    elif isinstance(game.statistic, str):
        H = np.eye(S * B).reshape(S, B, S * B)
    else:
        H = game.statistic
    return np.broadcast_to(H, (K, T, S, B, game.statistics))


def _population_range(slopes: Array, statistic: Array, weights: Array) -> tuple[Array, Array]:
    """Least and largest ``slopes @ y`` [K, T, S, B] over all populations: y is a weighted sum of one point of the hull of each type's H."""
    K, T, S, B, J = slopes.shape
    low, high = np.zeros((K, T, S, B)), np.zeros((K, T, S, B))
    for t in range(T):
        rows = slopes[:, t].reshape(K * S * B, J)
        for k in range(K):
            effect = rows @ statistic[k, t].reshape(S * B, J).T
            low[:, t] += weights[k] * effect.min(-1).reshape(K, S, B)
            high[:, t] += weights[k] * effect.max(-1).reshape(K, S, B)
    return low, high
