r"""The equations of an equilibrium, smoothed by Chen, Harker, Kanzow and Smale: a policy p and the slack z of every action with p z = k.

With rewards divided by their span at uniform policies, one variable :math:`\beta` for each action and :math:`w=\sqrt{\beta^2+4k}`,

    p = (w + \beta) / 2 >= 0,      z = (w - \beta) / 2 >= 0,      p z = k,

    F1 = z - V_t + r_t(y_t) + \gamma P_t(y_t) V_{t+1}       slack of each action           [K, T, S, B]
    F2 = sum_b p - 1                                        p is a policy                   [K, T, S]
    F3 = mu_{t+1} - P_t(y_t)'(mu_t p_t)                     the population moves by it      [K, T, S]
    F4 = y_t - H'(mu_t p_t)                                 statistics are the population's [T, J]

At k = 0 solutions are equilibria. At k > 0, V lies above the optimal values by at most k B per stage, so the exploitability of p is at most
T B k (discounted: B k / (1 - discount)): linear in k and without a logarithm.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from stackopt.errors import InvalidGame
from stackopt.games.mean_field import operators
from stackopt.games.operators import Array
from stackopt.learning.mean_field.derivatives import Derivatives
from stackopt.learning.mean_field.followers import Evaluated, Followers

#: Of a mass that a step would make negative or nearly so.
KEPT = 0.1


@dataclass(frozen=True, eq=False)
class Point:
    """Unknowns: beta [K, T, S, B], values V [K, T, S], mean field [K, T, S], statistics y [T, J] and the logarithm of k."""

    beta: Array
    value: Array
    mu: Array
    y: Array
    log_k: float
    masses: bool = False  # whether statistics are masses and cannot be negative

    def moved(self, step: Direction, length: float = 1.0) -> Point:
        """A step along a direction; masses stay positive, each keeping a tenth of what it was at least."""
        mu = np.maximum(self.mu + length * step.mu, KEPT * self.mu)
        y = self.y + length * step.y
        y = np.where(self.masses, np.maximum(y, KEPT * self.y), y)
        return Point(self.beta + length * step.beta, self.value + length * step.value, mu, y, self.log_k + length * step.log_k, self.masses)

    @property
    def k(self) -> float:
        """The smoothing."""
        return float(np.exp(min(self.log_k, 300.0)))


@dataclass(frozen=True, eq=False)
class Direction:
    """A change of a `Point`."""

    beta: Array
    value: Array
    mu: Array
    y: Array
    log_k: float

    def times(self, factor: float, plus: Direction | None = None) -> Direction:
        """factor * self, plus another direction."""
        fields = ("beta", "value", "mu", "y", "log_k")
        return Direction(*(factor * getattr(self, f) + (0.0 if plus is None else getattr(plus, f)) for f in fields))


@dataclass(frozen=True, eq=False)
class Residuals:
    """Right-hand sides of the four equations."""

    slack: Array
    policy: Array
    law: Array
    statistics: Array

    @property
    def size(self) -> float:
        """The largest entry; NaN if one is not finite."""
        return float(max(np.abs(part).max(initial=0.0) for part in (self.slack, self.policy, self.law, self.statistics)))


@dataclass(frozen=True, eq=False)
class State:
    """A point with all that its equations are made of."""

    point: Point
    policy: Array
    slack: Array
    kernels: list[Any]
    residuals: Residuals
    next_value: Array


class Equations:
    """Of one game at one decision, in scaled rewards.

    Parameters
    ----------
    followers : Followers
    scale : float
        Rewards are multiplied by it.
    """

    def __init__(self, followers: Followers, scale: float) -> None:
        self.followers, self.scale = followers, scale
        self.derivatives = Derivatives(followers)
        statistic = followers.game.statistic
        self._masses = isinstance(statistic, str) or bool((statistic >= 0).all())

    def state(self, point: Point) -> State:
        """The residuals at a point, and its parts; residuals are infinite where the point is none that a game can be evaluated at."""
        try:
            with np.errstate(all="ignore"):
                return self._state(point)
        except InvalidGame as error:
            if error.code != "callable-finite":
                raise
        nowhere = np.full(1, np.inf)  # statistics that no population has
        return State(point, nowhere, nowhere, [], Residuals(nowhere, nowhere, nowhere, nowhere), nowhere)

    def _state(self, point: Point) -> State:
        game, followers = self.followers.game, self.followers
        k = point.k
        w = np.sqrt(point.beta**2 + 4.0 * k)
        large = 0.5 * (w + np.abs(point.beta))
        small = k / large  # without cancellation
        positive = point.beta > 0
        policy, slack = np.where(positive, large, small), np.where(positive, small, large)
        kernels = followers.stage_kernels(point.y)
        T = point.value.shape[1]
        following = np.roll(point.value, -1, axis=1)
        if not game.cyclic:
            following[:, -1] = 0.0
        flows = operators.flow(point.mu, policy)
        expected, pushed = np.empty(policy.shape), np.empty(point.mu.shape)
        for t in range(T):
            expected[:, t] = kernels[t].expect(following[:, t : t + 1])[:, 0]
            pushed[:, (t + 1) % T] = kernels[t].push(flows[:, t : t + 1])[:, 0]
        if not game.cyclic:
            pushed[:, 0] = game.initial
        q = self.scale * game.rewards(point.y, followers.theta) + game.discount * expected
        residuals = Residuals(
            slack=slack - point.value[..., None] + q,
            policy=policy.sum(-1) - 1.0,
            law=point.mu - pushed,
            statistics=point.y - game.aggregate(flows),
        )
        return State(point, policy, slack, kernels, residuals, following)

    def around(self, at: Evaluated, k: float) -> Point:
        """A point near a policy, from which Newton's method looks for the path at smoothing k."""
        gap = self.scale * (at.value[..., None] - at.q)
        return Point(at.policy - gap, self.scale * at.value + k * at.policy.shape[-1], at.mean_field, at.y, float(np.log(k)), self._masses)

    def centre(self, at: Evaluated, k: float, sweeps: int = 50) -> Point:
        """A point for large k: the policy k / (V - Q) that answers the statistics of `at`, exactly."""
        game, followers = self.followers.game, self.followers
        rewards = self.scale * game.rewards(at.y, followers.theta)
        kernels = followers.stage_kernels(at.y)
        K, T, S, B = rewards.shape
        value, slack = np.zeros((K, T, S)), np.empty((K, T, S, B))
        following = np.zeros((K, 1, S))
        for _ in range(sweeps if game.cyclic else 1):
            before = value.copy()
            for t in range(T - 1, -1, -1):
                q = (rewards[:, t : t + 1] + game.discount * kernels[t].expect(following))[:, 0]
                value[:, t], slack[:, t] = barrier_value(q, k)
                following = value[:, t : t + 1]
            if np.abs(value - before).max() < 1e-10:
                break
        policy = k / slack
        policy /= policy.sum(-1, keepdims=True)
        mu, y = followers.law(policy, at.mean_field)
        return Point(policy - slack, value, mu, y, float(np.log(k)), self._masses)

    def at_k(self, point: Point, k: float) -> Point:
        """The same point at another smoothing."""
        return replace(point, log_k=float(np.log(k)))


def beta_change(state: State, right: Residuals | None, d_value: Array, d_q: Array, dk: float) -> Array:
    """d beta [K, T, S, B] from changes of values, action values and k; through the larger of p and z, which is the well-conditioned one."""
    change = d_value[..., None] - d_q  # of the slack
    if right is not None:
        change = change + right.slack
    w = state.policy + state.slack
    by_policy = (dk / state.slack - state.policy / state.slack * change - dk / w) * w / state.policy
    return np.where(state.policy > state.slack, by_policy, (dk / w - change) * w / state.slack)


def barrier_value(q: Array, k: float) -> tuple[Array, Array]:
    """V with sum_b k / (V - q_b) = 1, and the slacks V - q_b, for q [..., B]; Newton from above, where it is monotone."""
    B = q.shape[-1]
    top = q.max(-1, keepdims=True)
    gap = top - q
    low = np.full(top.shape, k)  # V - max q lies between k and k B
    for _ in range(60):
        slack = low + gap
        total = (k / slack).sum(-1, keepdims=True)
        step = (total - 1.0) / (k / slack**2).sum(-1, keepdims=True)
        low = np.clip(low + step, k, k * B)
        if np.abs(step).max() <= 1e-14 * k:
            break
    return (top + low)[..., 0], low + gap
