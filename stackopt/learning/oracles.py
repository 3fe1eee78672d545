"""What a leader may ask about followers whose objective it does not know: put this policy in force, tell me what was seen.

A `FollowerOracle` has one method, ``observe(leader_policy, days)``. It returns what the leader sees of each day and nothing
else: counts of (state, action), or aggregates of them such as the load of each period, and the leader's own value. Days
go on from where the last call left the followers: they move house, learn and remember.

    KnownModel        exact expectations of a game whose follower is known; no noise
    SoftPopulation    followers at their soft response, or moving a part of the way to it every day (inertia)
    QLearners         followers that learn soft Q-values from their own samples
    Asked             any function of the user's
    EnvironmentOracle a single-agent environment with Gymnasium's `reset` and `step`, see `environment`
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from stackopt.errors import InvalidMethod
from stackopt.games.dynamic_programming import solve_values
from stackopt.games.operators import Array, follower_mdp, leader_reward_mdp, policy_kernel, soft_maximum, softmax
from stackopt.games.responses import follower_response, leader_value
from stackopt.games.stackelberg import StackelbergGame


@dataclass(frozen=True, eq=False)
class Observation:
    """What the leader saw of some days under one policy; the first axis is the day.

    Attributes
    ----------
    value : array [days]
        The leader's own value of the day, an unbiased measurement of its objective once followers have settled.
    counts : array [days, S, B] or None
        How often followers in state s chose action b.
    aggregate : array [days, M] or None
        Means over followers of quantities the leader can meter, such as the load of each period.
    """

    value: Array
    counts: Array | None = None
    aggregate: Array | None = None

    @property
    def days(self) -> int:
        """How many days were seen."""
        return len(self.value)

    def last(self, days: int) -> Observation:
        """The last `days` of them."""
        return Observation(*(None if a is None else a[-days:] for a in (self.value, self.counts, self.aggregate)))  # type: ignore[arg-type]


def joined(*parts: Observation) -> Observation:
    """Several observations one after the other."""

    def join(arrays: list[Any]) -> Any:
        return None if any(a is None for a in arrays) else np.concatenate(arrays)

    return Observation(*(join([getattr(p, name) for p in parts]) for name in ("value", "counts", "aggregate")))


class FollowerOracle(Protocol):
    """The real system, or a stand-in for it."""

    def observe(self, leader_policy: Array, days: int) -> Observation:
        """Keep `leader_policy` [S, A] in force for `days` and return what was seen of each day."""
        ...


class KnownModel:
    r"""A follower whose objective is known, at its soft response: exact expectations instead of samples.

    Every day is the same: the value is :math:`J_\tau(x)`, counts are `followers` times the expected visits of a day.

    Parameters
    ----------
    game : StackelbergGame
        With the follower's true reward.
    temperature : float
    followers, steps_per_day : int
        Scale of the counts.
    meters : array [S, B, M], optional
        What is metered of a follower in state s that plays b.
    """

    def __init__(self, game: StackelbergGame, temperature: float, *, followers: int = 200, steps_per_day: int = 1, meters: Array | None = None) -> None:
        self.game, self.temperature = _dense(game), temperature
        self.followers, self.steps = followers, steps_per_day
        self._meters = _meters(game, meters)

    def observe(self, leader_policy: Array, days: int) -> Observation:
        """Expectations; nothing moves from day to day."""
        policy = follower_response(self.game, leader_policy, self.temperature).policy
        value = float(leader_value(self.game, leader_policy, policy))
        visits = self.followers * day_visits(self.game, leader_policy, policy, self.steps)
        counts = np.repeat((visits[:, None] * policy)[None], days, 0)
        return Observation(np.full(days, value), counts, metered(self._meters, counts, self.followers))


class SoftPopulation:
    r"""Followers who choose from a common policy that is, or moves towards, their soft response.

    A day is `steps_per_day` steps of the game. At its end each follower is replaced with probability
    :math:`1-\gamma_L^H`, H the steps of a day, by one that starts from the initial distribution: the discount read as
    turnover. The value of a day is :math:`\sum_{k<H}\gamma_L^k\bar r_k/(1-\gamma_L^H)`, whose mean, once followers have
    settled, is exactly the discounted objective :math:`\rho^\top V_L^{x,y}`.

    Parameters
    ----------
    game : StackelbergGame
        With the followers' true reward, which a learner never reads.
    temperature : float
        Of their soft (max-ent) response.
    followers, steps_per_day : int
        Followers in the same state are exchangeable, so a step costs the same for any number of them.
    adaptation : float
        In (0, 1]: the part of the way to the soft response that the policy moves in a day. 1: at equilibrium every day.
        Less: inertia; before the first day such followers are indifferent.
    meters : array [S, B, M], optional
    seed : int
    """

    def __init__(
        self,
        game: StackelbergGame,
        temperature: float,
        *,
        followers: int = 200,
        steps_per_day: int = 1,
        adaptation: float = 1.0,
        meters: Array | None = None,
        seed: int = 0,
    ) -> None:
        if not 0.0 < adaptation <= 1.0:
            raise InvalidMethod("setting", name="adaptation", law="in (0, 1]", got=repr(adaptation))
        S, _, B = _dense(game).shape
        self.game, self.temperature, self.adaptation = game, temperature, adaptation
        self.followers, self.steps = followers, steps_per_day
        self.policy: Array = np.full((S, B), 1.0 / B)  # what they play now: for tests, a learner does not see it
        self._meters = _meters(game, meters)
        self._rng = np.random.default_rng(seed)
        self._stock = self._rng.multinomial(followers, game.initial)  # followers in each state

    def observe(self, leader_policy: Array, days: int) -> Observation:
        """Simulate `days` more."""
        reward = leader_reward_mdp(self.game, leader_policy).reward
        arrive = follower_mdp(self.game, leader_policy).transition
        arrive = arrive / arrive.sum(-1, keepdims=True)
        target = follower_response(self.game, leader_policy, self.temperature).policy
        values, counts = np.zeros(days), np.zeros((days, *reward.shape))
        stays = self.game.leader_discount**self.steps
        for day in range(days):
            self.policy = self.policy + self.adaptation * (target - self.policy)
            for step in range(self.steps):
                chosen = self._rng.multinomial(self._stock, self.policy)  # [S, B]
                counts[day] += chosen
                values[day] += self.game.leader_discount**step * float((chosen * reward).sum()) / self.followers
                self._stock = self._rng.multinomial(chosen, arrive).sum((0, 1))
            stay = self._rng.binomial(self._stock, stays)
            self._stock = stay + self._rng.multinomial(self.followers - stay.sum(), self.game.initial)
            values[day] /= 1.0 - stays
        return Observation(values, counts, metered(self._meters, counts, self.followers))


class QLearners:
    r"""Followers who learn from their own samples: soft Q-learning with a table each.

    :math:`Q(s,b)\leftarrow Q(s,b)+\eta\,[r+\gamma_F\tau\log\sum_{b'}e^{Q(s',b')/\tau}-Q(s,b)]`, actions drawn from
    :math:`\mathrm{softmax}(Q/\tau)`. At low temperatures they stop trying what once looked bad, so they need not return
    to the response of a policy they have seen before: such followers are what NONSTATIONARY is for. Days and values are
    those of `SoftPopulation`; a newcomer takes over the table of whom it replaces.

    Parameters
    ----------
    rate : float
        :math:`\eta` in (0, 1].
    start : array [S, A], optional
        A leader policy to whose soft optimum their tables belong on the first day; zeros by default.
    """

    def __init__(
        self,
        game: StackelbergGame,
        temperature: float,
        *,
        rate: float = 0.5,
        start: Array | None = None,
        followers: int = 200,
        steps_per_day: int = 1,
        meters: Array | None = None,
        seed: int = 0,
    ) -> None:
        if not 0.0 < rate <= 1.0:
            raise InvalidMethod("setting", name="rate", law="in (0, 1]", got=repr(rate))
        S, _, B = _dense(game).shape
        self.game, self.temperature, self.rate = game, temperature, rate
        self.followers, self.steps = followers, steps_per_day
        q = np.zeros((S, B)) if start is None else follower_response(game, start, temperature).optimum.action_values
        self._q = np.repeat(q[None], followers, 0)
        self._everyone = np.arange(followers)
        self._meters = _meters(game, meters)
        self._rng = np.random.default_rng(seed)
        self._states = self._rng.choice(S, followers, p=game.initial)

    @property
    def policy(self) -> Array:
        """The mean of what followers would play in each state, [S, B]. For tests: a learner does not see it."""
        mean: Array = softmax(self._q, self.temperature).mean(0)
        return mean

    def observe(self, leader_policy: Array, days: int) -> Observation:
        """Simulate `days` more; followers learn at every step."""
        S, _, B = self.game.shape
        reward = leader_reward_mdp(self.game, leader_policy).reward
        mdp = follower_mdp(self.game, leader_policy)
        arrive = np.cumsum(mdp.transition, -1)
        values, counts = np.zeros(days), np.zeros((days, S, B))
        stays = self.game.leader_discount**self.steps
        for day in range(days):
            for step in range(self.steps):
                before = self._states
                gumbel = -np.log(-np.log(self._rng.random((self.followers, B))))  # the argmax of Q/tau + Gumbel is a softmax draw
                acts = (self._q[self._everyone, before] / self.temperature + gumbel).argmax(-1)
                after = (self._rng.random(self.followers)[:, None] > arrive[before, acts]).sum(-1).clip(max=S - 1)
                counts[day] += np.bincount(before * B + acts, minlength=S * B).reshape(S, B)
                values[day] += self.game.leader_discount**step * reward[before, acts].mean()
                goal = mdp.reward[before, acts] + mdp.discount * soft_maximum(self._q[self._everyone, after], self.temperature)
                self._q[self._everyone, before, acts] += self.rate * (goal - self._q[self._everyone, before, acts])
                self._states = after
            leave = self._rng.random(self.followers) >= stays
            self._states = np.where(leave, self._rng.choice(S, self.followers, p=self.game.initial), self._states)
            values[day] /= 1.0 - stays
        return Observation(values, counts, metered(self._meters, counts, self.followers))


def day_visits(game: StackelbergGame, leader_policy: Array, follower_policy: Array, steps: int) -> Array:
    r"""Expected visits to each state on a day of `steps` steps of one settled follower, [..., S], summing to `steps`.

    Followers leave at the end of a day with probability :math:`1-\gamma_L^H` and newcomers start from the initial
    distribution, so the mornings' law is :math:`(1-\gamma^H)\rho^\top(I-\gamma^HP^H)^{-1}`.
    """
    kernel = policy_kernel(leader_reward_mdp(game, leader_policy), follower_policy)
    stays = game.leader_discount**steps
    law = (1.0 - stays) * solve_values(np.linalg.matrix_power(kernel, steps), game.initial, stays, transpose=True)
    total = law
    for _ in range(steps - 1):
        law = np.matmul(law[..., None, :], kernel)[..., 0, :]
        total = total + law
    return total


def metered(meters: Array | None, counts: Array, followers: float) -> Array | None:
    """Counts [..., S, B] and meters [S, B, M] to means per follower, [..., M]."""
    return None if meters is None else np.einsum("...sb,sbm->...m", counts, meters) / followers


def _dense(game: StackelbergGame) -> StackelbergGame:
    if game.batch or game.sparse:
        raise InvalidMethod("setting", name="game", law="a single dense game", got="a batch" if game.batch else "a sparse game")
    return game


def _meters(game: StackelbergGame, meters: Array | None) -> Array | None:
    if meters is None:
        return None
    S, _, B = game.shape
    array = np.asarray(meters, float)
    if array.ndim != 3 or array.shape[:2] != (S, B):
        raise InvalidMethod("setting", name="meters", law=f"an array [{S}, {B}, M]", got=f"shape {array.shape}")
    return array


class Asked:
    """Any function as an oracle: ``ask(leader_policy, days)`` returns an `Observation`, or a mapping with its fields.

    Parameters
    ----------
    ask : callable
        Called with the leader's policy [S, A] and the number of days.

    Examples
    --------
    >>> import numpy as np
    >>> from stackopt.learning.oracles import Asked
    >>> meter = Asked(lambda policy, days: {"value": [float(policy[0, 0])] * days})
    >>> float(meter.observe(np.array([[0.25, 0.75]]), 2).value[1])
    0.25
    """

    def __init__(self, ask: Callable[[Array, int], Any]) -> None:
        self.ask = ask

    def observe(self, leader_policy: Array, days: int) -> Observation:
        """Call the function and check the shape of what it says.

        Raises
        ------
        InvalidMethod
            If days are missing or a figure is not finite.
        """
        said = self.ask(leader_policy, days)
        fields = {name: said.get(name) if hasattr(said, "get") else getattr(said, name, None) for name in ("value", "counts", "aggregate")}
        seen = Observation(*(None if a is None else np.asarray(a, float) for a in fields.values()))  # type: ignore[arg-type]
        return checked(seen, days)


def checked(seen: Observation, days: int) -> Observation:
    """`seen`, if it has a finite value for every one of `days`, and the same days everywhere.

    Raises
    ------
    InvalidMethod
        With what is wrong.
    """
    for name, axes in (("value", 1), ("counts", 3), ("aggregate", 2)):
        array = getattr(seen, name)
        if array is None and name != "value":
            continue
        if array is None or np.ndim(array) != axes or len(array) != days:
            raise InvalidMethod("oracle", what=f"`{name}` with {axes} axes, the first of length {days}", where=f"shape {np.shape(array)}")
        if not np.isfinite(array).all():
            raise InvalidMethod("oracle", what=f"finite numbers in `{name}`", where=f"day {int(np.argwhere(~np.isfinite(array))[0][0])} has none")
    return seen
