"""The followers' game at one decision, as solvers see it: kernels of single stages at hand, and an evaluation that trusts only the policy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from stackopt.games.mean_field import dynamics, laws, operators
from stackopt.games.mean_field.game import MeanFieldStackelbergGame
from stackopt.games.operators import Array
from stackopt.learning.mean_field.kernel_rows import rows

#: A stationary law is solved to this 1-norm, optimal values to this residual relative to their size, or the exploitability is not known.
LAW_SOLVED, VALUES_SOLVED = 1e-9, 1e-8


@dataclass(frozen=True, eq=False)
class Evaluated:
    """A policy, the population that it brings about, and what followers could gain there.

    Attributes
    ----------
    policy : array [K, T, S, B]
    mean_field : array [K, T, S]
        The law of the policy, recomputed.
    y : array [T, J]
    q : array [K, T, S, B]
        Optimal values of actions in this population.
    value : array [K, T, S]
        Optimal values.
    own_q : array [K, T, S, B]
        Values of actions if the policy itself is played afterwards.
    exploitability : float
        Average gain of a (hard) best response; as in `stackopt.games.mean_field.dynamics.exploitability`.
    """

    policy: Array
    mean_field: Array
    y: Array
    q: Array
    value: Array
    own_q: Array
    exploitability: float


class Followers:
    """A game at one decision theta, with what solvers ask of it again and again.

    Attributes
    ----------
    game : MeanFieldStackelbergGame
    theta : array [D]
    evaluations : int
        Populations that were evaluated so far.
    """

    def __init__(self, game: MeanFieldStackelbergGame, theta: Array) -> None:
        self.game, self.theta = game, theta
        self.shape = game.shape
        self.evaluations = 0
        _, T, _, _ = game.shape
        self.ticks = [np.array([t]) for t in range(T)]
        self._warm: Array | None = None
        self._matrices: list[list[tuple[Any, Any]]] | None = None
        self._fixed: list[Any] | None = None
        if game.kernel_is_fixed:
            kernel = game.kernel(np.empty((T, 0)), theta)
            self._fixed = [kernel] * T if kernel.shape[1] == 1 else [kernel.stages(t) for t in self.ticks]

    def stage_kernels(self, y: Array) -> list[Any]:
        """One kernel for each stage, at statistics y [T, J]."""
        if self._fixed is not None:
            return self._fixed
        kernel = self.game.kernel(y, self.theta)
        return [kernel] * len(self.ticks) if kernel.shape[1] == 1 else [kernel.stages(t) for t in self.ticks]

    def stage_kernel(self, t: int, y: Array) -> Any:
        """The kernel of stage t at its statistics y [J]."""
        return self._fixed[t] if self._fixed is not None else self.game.kernel(y[None], self.theta, self.ticks[t])

    def stage_statistics(self, t: int, flows: Array) -> Array:
        """y [J] of stage t from its masses [K, 1, S, B]."""
        statistic = self.game.statistic
        if not isinstance(statistic, str) and statistic.shape[1] > 1:
            statistic = statistic[:, t : t + 1]
        y: Array = operators.aggregate(flows, self.game.weights, statistic)[0]
        return y

    def law(self, policy: Array, start: Array | None = None) -> tuple[Array, Array]:
        """The mean field [K, T, S] and statistics [T, J] of a policy; a stationary one is searched from `start`."""
        K, T, S, _ = self.shape
        if self.game.cyclic:
            found = laws.law(self.game, policy, self.theta, start)
            return found.mean_field, found.y
        mu = np.empty((K, T, S))
        mu[:, 0] = self.game.initial
        y = None if self._fixed is not None else np.empty((T, self.game.statistics))
        for t in range(T):
            flows = operators.flow(mu[:, t : t + 1], policy[:, t : t + 1])
            if y is not None:
                y[t] = self.stage_statistics(t, flows)
            if t + 1 < T:
                kernel = self._fixed[t] if self._fixed is not None else self.stage_kernel(t, y[t])  # type: ignore[index]
                mu[:, t + 1] = kernel.push(flows)[:, 0]
        return mu, self.game.aggregate(operators.flow(mu, policy)) if y is None else y

    def frozen_law(self, policy: Array, y: Array, start: Array | None = None) -> Array:
        """The law [K, T, S] of a policy under the transitions at statistics y [T, J], which need not be those of this law."""
        K, T, S, _ = self.shape
        if self.game.cyclic:
            begun = np.full((K, S), 1.0 / S) if start is None else start[:, 0]
            return laws.stationary(self.game.kernel(y, self.theta), policy, begun)[0]
        kernels = self.stage_kernels(y)
        mu = np.empty((K, T, S))
        mu[:, 0] = self.game.initial
        for t in range(T - 1):
            mu[:, t + 1] = kernels[t].push(operators.flow(mu[:, t : t + 1], policy[:, t : t + 1]))[:, 0]
        return mu

    def respond(self, y: Array, temperature: float = 0.0, start: Array | None = None) -> dynamics.Answer:
        """The best, or max-ent, answer to statistics y [T, J]."""
        if self.game.cyclic:
            return dynamics.respond(self.game, y, self.theta, temperature, start)
        return dynamics.answer(self.game.rewards(y, self.theta), _Stages(self.stage_kernels(y)), self.game.discount, cyclic=False, temperature=temperature)

    def evaluate(self, policy: Array, start: Array | None = None) -> Evaluated:
        """The population that `policy` [K, T, S, B] brings about and its exploitability there; nothing but the policy is trusted."""
        self.evaluations += 1
        if self.game.cyclic:
            return self._evaluate_cyclic(policy, start)
        K, T, S, B = self.shape
        mu, y = self.law(policy)
        rewards, kernels = self.game.rewards(y, self.theta), self.stage_kernels(y)
        q, own_q, value = np.empty((K, T, S, B)), np.empty((K, T, S, B)), np.empty((K, T, S))
        following = np.zeros((K, 2, S))  # optimal values, and those of the policy itself
        for t in range(T - 1, -1, -1):
            expected = kernels[t].expect(following) if t + 1 < T else np.zeros((K, 2, S, B))
            both = rewards[:, t : t + 1] + self.game.discount * expected
            q[:, t], own_q[:, t] = both[:, 0], both[:, 1]
            following = np.stack([both[:, 0].max(-1), (policy[:, t] * both[:, 1]).sum(-1)], axis=1)
            value[:, t] = following[:, 0]
        gain = self.game.weights @ (mu[:, 0] * (following[:, 0] - following[:, 1])).sum(-1)
        return Evaluated(policy, mu, y, q, value, own_q, float(gain))



    def _evaluate_cyclic(self, policy: Array, start: Array | None) -> Evaluated:
        """As `dynamics.exploitability`; policy iteration begins at the last optimal values, which are often near."""
        game = self.game
        induced = laws.law(game, policy, self.theta, start)
        rewards, kernel = game.rewards(induced.y, self.theta), game.kernel(induced.y, self.theta)
        best = dynamics.answer(rewards, kernel, game.discount, cyclic=True, start=self._warm)
        self._warm = best.value
        own = dynamics.policy_value(operators.policy_average(policy, rewards), kernel, policy, game.discount, cyclic=True, start=best.value)
        own_q = operators.q_values(rewards, kernel.expect(np.roll(own, -1, axis=1)), game.discount)
        by_type = (1.0 - game.discount) * (induced.mean_field * (best.value - own)).sum(-1).mean(-1)
        solved = induced.residual <= LAW_SOLVED and best.residual <= VALUES_SOLVED * (1.0 + float(np.abs(best.value).max()))
        gain = float(game.weights @ by_type) if solved else math.nan  # nothing unsolved is called an equilibrium
        return Evaluated(policy, induced.mean_field, induced.y, best.q, best.value, own_q, gain)

    def matrices(self, kernels: list[Any]) -> list[list[tuple[Any, Any]]]:
        """Transitions [S B, S] of every type and stage, and their transposes."""
        if self._matrices is not None:
            return self._matrices
        known: dict[tuple[int, int], tuple[Any, Any]] = {}

        def of(k: int, kernel: Any) -> tuple[Any, Any]:
            key = (k if kernel.shape[0] > 1 else 0, id(kernel))
            if key not in known:
                matrix = rows(kernel, k)
                known[key] = (matrix, matrix.T if isinstance(matrix, np.ndarray) else matrix.T.tocsr())
            return known[key]

        found = [[of(k, kernel) for kernel in kernels] for k in range(self.shape[0])]
        if self._fixed is not None:
            self._matrices = found
        return found


class _Stages:
    """A list of kernels, one for each stage, read as one kernel by backward induction."""

    def __init__(self, kernels: list[Any]) -> None:
        self._kernels = kernels

    def stages(self, t: Array) -> Any:
        return self._kernels[int(t[0])]
