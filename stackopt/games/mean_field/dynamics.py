r"""Fixed points of the operators: optimal and soft values, values of policies, the law a policy brings about, and exploitability.

A period of a cyclic horizon is one map of the values at stage 0 to themselves. Policies are evaluated by solving that linear map
(directly where it is small, by Krylov iterations where not), and optima are found by policy iteration, which is Newton's method
and does not slow down as the discount nears 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from stackopt.games.mean_field import operators
from stackopt.games.mean_field.laws import Law, law
from stackopt.games.operators import Array

if TYPE_CHECKING:
    from stackopt.games.mean_field.game import MeanFieldStackelbergGame

#: Cyclic horizons of at most this many states are solved directly.
DIRECT_STATES = 400
#: Of the values, relative to their size: where policy iteration stops.
VALUE_TOLERANCE = 1e-13
#: The most rounds of policy iteration.
ROUNDS = 200
#: Rounds without a smaller residual or values that rise, by more than this relative to their size, after which it stops.
PATIENCE, RISE = 8, 1e-9


@dataclass(frozen=True, eq=False)
class Answer:
    """The best (or soft-best) answer to a population.

    Attributes
    ----------
    value : array [K, T, S]
    q : array [K, T, S, B]
    policy : array [K, T, S, B]
        Uniform over the best actions, or the soft policy.
    residual : float
        Of the Bellman equation, in the units of the values.
    """

    value: Array
    q: Array
    policy: Array
    residual: float


def answer(reward: Array, kernel: Any, discount: float, *, cyclic: bool, temperature: float = 0.0, start: Array | None = None) -> Answer:
    """Optimal values (or soft ones, of max-ent followers) of rewards [K, T, S, B].

    Parameters
    ----------
    reward : array [K, T, S, B]
    kernel : Kernel
    discount : float
    cyclic : bool
        Whether the last stage is followed by the first.
    temperature : float
        0 for the optimum.
    start : array [K, T, S], optional
        Values to begin from, of a cyclic horizon.
    """

    def value_of(q: Array) -> Array:
        found: Array = operators.best_value(q) if temperature == 0.0 else operators.soft_value(q, temperature)
        return found

    def policy_of(q: Array) -> Array:
        found: Array = operators.greedy_policy(q) if temperature == 0.0 else operators.soft_policy(q, temperature)
        return found

    K, T, S, _ = reward.shape
    if not cyclic:
        value, q = np.zeros((K, T, S)), np.empty_like(reward)
        following = np.zeros((K, 1, S))
        for t in range(T - 1, -1, -1):
            q[:, t : t + 1] = operators.q_values(reward[:, t : t + 1], kernel.stages(np.array([t])).expect(following), discount)
            value[:, t] = value_of(q[:, t])
            following = value[:, t : t + 1]
        return Answer(value, q, policy_of(q), 0.0)
    value = np.zeros((K, T, S)) if start is None else start
    residual, best, failed, level = np.inf, value, 0, -np.inf
    for _ in range(ROUNDS):
        q = operators.q_values(reward, kernel.expect(np.roll(value, -1, axis=1)), discount)
        better = value_of(q)
        change = float(np.abs(better - value).max())
        mean = float(value.mean())  # values rise in every round, their residual need not fall: near a discount of 1 for twenty rounds
        failed = 0 if change < residual * 0.999 or mean > level + RISE * (1.0 + abs(level)) else failed + 1
        level = mean
        if change <= residual:
            residual, best = change, better
        if failed >= PATIENCE or change <= VALUE_TOLERANCE * (1.0 + float(np.abs(value).max())):
            break
        policy = policy_of(q)
        earned = operators.policy_average(policy, reward)
        if temperature > 0.0:
            earned = earned + temperature * operators.entropy(policy)
        value = policy_value(earned, kernel, policy, discount, cyclic=True, start=better)
    q = operators.q_values(reward, kernel.expect(np.roll(best, -1, axis=1)), discount)
    return Answer(value_of(q), q, policy_of(q), residual)


def policy_value(earned: Array, kernel: Any, policy: Array, discount: float, *, cyclic: bool, start: Array | None = None) -> Array:
    r""":math:`V=r^\pi+\gamma P^\pi V` [K, T, S] of what a policy earns at each state, `earned` [K, T, S]."""
    K, T, S = earned.shape

    def back(following: Array, t: int) -> Array:
        """Values at stage t [K, 1, S] from those of the next."""
        stage = kernel.stages(np.array([t]))
        mean = operators.policy_average(policy[:, t : t + 1], stage.expect(following))
        found: Array = earned[:, t : t + 1] + discount * mean
        return found

    def sweep(following: Array) -> Array:
        """All stages [K, T, S], from values [K, 1, S] after the last."""
        value = np.empty((K, T, S))
        for t in range(T - 1, -1, -1):
            following = back(following, t)
            value[:, t] = following[:, 0]
        return value

    if not cyclic:
        return sweep(np.zeros((K, 1, S)))
    if S <= DIRECT_STATES:
        matrix = stage_matrices(kernel, policy)
        first = sweep(np.zeros((K, 1, S)))[:, 0]
        period = product(discount * matrix)
        at_start: Array = np.linalg.solve(np.eye(S) - period, first[..., None])[..., 0].astype(np.float64, copy=False)
        return sweep(at_start[:, None])
    from scipy.sparse.linalg import LinearOperator, gmres

    offset = sweep(np.zeros((K, 1, S)))[:, 0]

    def residual_map(values: Array) -> Array:
        values = values.reshape(K, 1, S)
        moved: Array = values[:, 0] - (sweep(values)[:, 0] - offset)
        return moved.ravel()

    guess = None if start is None else start[:, 0].ravel()
    solved, _ = gmres(LinearOperator((K * S, K * S), matvec=residual_map, dtype=float), offset.ravel(), x0=guess, rtol=1e-13, atol=0.0, restart=60, maxiter=50)
    return sweep(solved.reshape(K, 1, S))


def stage_matrices(kernel: Any, policy: Array) -> Array:
    r""":math:`P^\pi_t` [K, T, S, S]."""
    from stackopt.games.mean_field.kernels import policy_matrix

    matrix: Array = policy_matrix(kernel, policy)
    return matrix


def product(matrices: Array) -> Array:
    """The product over stages of [K, T, S, S]: what a whole period does [K, S, S]."""
    total = matrices[:, 0]
    for t in range(1, matrices.shape[1]):
        total = total @ matrices[:, t]
    return total


def respond(game: MeanFieldStackelbergGame, y: Array, theta: Array, temperature: float = 0.0, start: Array | None = None) -> Answer:
    """The best (or soft) answer of all types to a population with statistics y [T, J] under theta [D]."""
    return answer(game.rewards(y, theta), game.kernel(y, theta), game.discount, cyclic=game.cyclic, temperature=temperature, start=start)


def mean_field(game: MeanFieldStackelbergGame, policy: Array, theta: Array, start: Array | None = None) -> Law:
    """The law [K, T, S] that a policy brings about, with its statistics; see `stackopt.games.mean_field.laws`."""
    return law(game, policy, theta, start)


@dataclass(frozen=True, eq=False)
class Exploited:
    """What followers could gain in the population that their own policies bring about.

    Attributes
    ----------
    total : float
        Finite: the population's average of :math:`V^*-V^\\pi` over the first state. Cyclic: (1 - discount) times its average over
        the law of stage 0, averaged over stages: what a follower loses per stage.
    by_type : array [K]
        The same for each type.
    law : Law
    answer : Answer
        The best answer to the population.
    value : array [K, T, S]
        Of the policy.
    """

    total: float
    by_type: Array
    law: Law
    answer: Answer
    value: Array


def exploitability(game: MeanFieldStackelbergGame, policy: Array, theta: Array, mean_field: Array | None = None) -> Exploited:
    """Recompute the law of `policy` [K, T, S, B], the best answer to it, and the difference; nothing else is trusted.

    Parameters
    ----------
    mean_field : array [K, T, S], optional
        Where to begin the search for a stationary law; where there are several, the one found from here.
    """
    induced = law(game, policy, theta, mean_field)
    best = respond(game, induced.y, theta)
    reward, kernel = game.rewards(induced.y, theta), game.kernel(induced.y, theta)
    own = policy_value(operators.policy_average(policy, reward), kernel, policy, game.discount, cyclic=game.cyclic, start=best.value)
    gain = (induced.mean_field * (best.value - own)).sum(-1)  # [K, T]
    by_type = (1.0 - game.discount) * gain.mean(-1) if game.cyclic else gain[:, 0]
    return Exploited(float(game.weights @ by_type), by_type, induced, best, own)
