"""A single-agent environment as an oracle: anything with Gymnasium's `reset` and `step`, the leader's policy as context.

Gymnasium is not needed: the two methods are called by their signatures. A follower acts in the environment, episode after
episode, and learns as it likes between them; a day is a number of episodes.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Protocol

import numpy as np

from stackopt.errors import InvalidMethod
from stackopt.games.operators import Array, soft_maximum
from stackopt.learning.oracles import Observation, checked


class Environment(Protocol):
    """The part of Gymnasium's interface that is used."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode; ``options["leader_policy"]`` is the leader's policy [S, A]. Returns (observation, info)."""
        ...

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Returns (observation, the follower's reward, terminated, truncated, info); ``info["leader_reward"]`` is the leader's."""
        ...


class Follower(Protocol):
    """Whoever acts in the environment."""

    def act(self, state: int) -> int:
        """Choose an action."""
        ...

    def learn(self, state: int, action: int, reward: float, after: int, ended: bool) -> None:
        """Take in a transition; `ended` when there is nothing after it."""
        ...


class SoftQFollower:
    r"""A follower that learns soft action values from its own transitions, starting from zero.

    Parameters
    ----------
    states, actions : int
    temperature, discount, rate : float
        :math:`Q(s,b)\leftarrow Q(s,b)+\eta\,[r+\gamma\tau\log\sum_{b'}e^{Q(s',b')/\tau}-Q(s,b)]`; nothing follows an end.
    seed : int
    """

    def __init__(self, states: int, actions: int, *, temperature: float, discount: float, rate: float = 0.1, seed: int = 0) -> None:
        self.temperature, self.discount, self.rate = temperature, discount, rate
        self.q = np.zeros((states, actions))
        self._rng = np.random.default_rng(seed)

    def act(self, state: int) -> int:
        """Draw from the softmax of the action values."""
        gumbel = -np.log(-np.log(self._rng.random(self.q.shape[1])))
        return int((self.q[state] / self.temperature + gumbel).argmax())

    def learn(self, state: int, action: int, reward: float, after: int, ended: bool) -> None:
        """One soft Q-learning step."""
        ahead = 0.0 if ended else float(soft_maximum(self.q[after], self.temperature))
        self.q[state, action] += self.rate * (reward + self.discount * ahead - self.q[state, action])


class EnvironmentOracle:
    r"""Episodes of an environment as days of an oracle.

    The value of a day is the mean over its episodes of the leader's discounted reward :math:`\sum_k\gamma^kr_k`.

    Parameters
    ----------
    environment : Environment
    follower : Follower
    states, actions : int
        Of the follower.
    discount : float
        The leader's.
    episodes_per_day : int
    steps : int
        An episode that has not ended by then is cut off; later rewards are missing from the value.
    state_of : callable, optional
        From an observation to a state number, ``int`` by default.
    meters : array [S, B, M], optional
        What is metered of a step, summed over an episode and averaged over a day.
    seed : int
        Passed to the first `reset`.

    Raises
    ------
    InvalidMethod
        While observing, if an observation is not a state or ``info`` has no ``leader_reward``.
    """

    def __init__(
        self,
        environment: Environment,
        follower: Follower,
        *,
        states: int,
        actions: int,
        discount: float,
        episodes_per_day: int = 20,
        steps: int = 1000,
        state_of: Callable[[Any], Hashable] | None = None,
        meters: Array | None = None,
        seed: int = 0,
    ) -> None:
        self.environment, self.follower = environment, follower
        self.shape, self.discount = (states, actions), discount
        self.episodes, self.steps = episodes_per_day, steps
        self._state_of = state_of or int
        self._meters = meters
        self._seed: int | None = seed

    def observe(self, leader_policy: Array, days: int) -> Observation:
        """Play the episodes of `days` days."""
        values, counts = np.zeros(days), np.zeros((days, *self.shape))
        for day in range(days):
            for _ in range(self.episodes):
                values[day] += self._episode(leader_policy, counts[day]) / self.episodes
        aggregate = None if self._meters is None else np.einsum("dsb,sbm->dm", counts, self._meters) / self.episodes
        return checked(Observation(values, counts, aggregate), days)

    def _episode(self, leader_policy: Array, counts: Array) -> float:
        """One episode; choices are added to `counts`. Returns the leader's discounted reward."""
        seen, _ = self.environment.reset(seed=self._seed, options={"leader_policy": leader_policy})
        self._seed = None  # Gymnasium's convention: seeded once
        state, total, weight = self._state(seen), 0.0, 1.0
        for _ in range(self.steps):
            action = self.follower.act(state)
            seen, reward, terminated, truncated, info = self.environment.step(action)
            if "leader_reward" not in info:
                raise InvalidMethod("oracle", what='info["leader_reward"] from `step`', where=f"info has {', '.join(sorted(info)) or 'nothing'}")
            after = self._state(seen)
            counts[state, action] += 1
            self.follower.learn(state, action, float(reward), after, bool(terminated))
            total, weight, state = total + weight * float(info["leader_reward"]), weight * self.discount, after
            if terminated or truncated:
                break
        return total

    def _state(self, seen: Any) -> int:
        state = self._state_of(seen)
        if not isinstance(state, int | np.integer) or not 0 <= state < self.shape[0]:
            raise InvalidMethod("oracle", what=f"observations that are states 0 to {self.shape[0] - 1}", where=f"got {seen!r}", help="give state_of")
        return int(state)
