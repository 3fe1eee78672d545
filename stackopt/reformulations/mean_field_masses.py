"""From masses to populations: the law that their policies bring about, and the last digits that a solver's tolerances leave open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stackopt.games.mean_field import operators
from stackopt.games.mean_field.dynamics import Answer, answer, respond
from stackopt.games.mean_field.game import MeanFieldStackelbergGame
from stackopt.games.mean_field.kernels import Dense
from stackopt.games.mean_field.laws import law
from stackopt.games.mean_field.leaders import Menu, Policies
from stackopt.games.mean_field.population import Concept, Population
from stackopt.games.operators import Array
from stackopt.reformulations.mean_field_arrays import AffineFollowers
from stackopt.reformulations.mean_field_equilibrium import Masses

#: Exploitability of what counts as an equilibrium, relative to that of uniform policies; near-ties of more are told apart.
TOLERANCE = 1e-9
#: The same where the system is too large to be solved again, so that a solver's tolerances are all there is.
COARSE = 1e-7
#: A state or action with less mass counts as not reached or not played.
EMPTY = 1e-9
#: Steps of Newton's method, where transitions are moved.
NEWTON = 6
#: Systems with more unknowns are not solved again for the last digits.
UNKNOWNS = 1500


def as_population(followers: AffineFollowers, masses: Masses, concept: Concept = "commitment") -> Population:
    """Policies out of masses; where there is no mass, a best answer. The law is the one these policies bring about."""
    game = followers.game
    flow = np.where(masses.flow > EMPTY * 1e-3, masses.flow, 0.0)
    mass = flow.sum(-1)
    start = mass / mass.sum(-1, keepdims=True)
    best = respond(game, game.aggregate(flow / mass.sum(-1)[..., None, None]), masses.theta)
    greedy = operators.greedy_policy(best.q, 1e-9 * (1.0 + float(np.abs(best.q).max())))
    reached = mass > EMPTY
    policy = np.where(reached[..., None], flow / np.where(reached, mass, 1.0)[..., None], greedy)
    induced = law(game, policy, masses.theta, start)
    return Population(masses.theta, policy, induced.mean_field, concept=concept, tolerance=tolerance(game))


def tolerance(game: MeanFieldStackelbergGame) -> float:
    """Exploitability of what counts as an equilibrium, relative to that of uniform policies."""
    K, T, S, B = game.shape
    return TOLERANCE if K * T * S * (B + 1) <= UNKNOWNS else COARSE


def refined(followers: AffineFollowers, masses: Masses) -> Masses:
    """The nearest masses that meet every equation of the support to rounding: a solver's tolerances are a thousand times coarser.

    Unknowns are the masses on the support, all values and, where it is continuous, the decision; equations are the law, and that what
    is played earns the value. The correction is the shortest one; where transitions are moved, Newton's method takes several.
    """
    for _ in range(NEWTON if followers.moved else 1):
        masses = _step(followers, masses)
    return masses


def _step(followers: AffineFollowers, masses: Masses) -> Masses:
    game = followers.game
    K, T, S, B = game.shape
    support = np.argwhere(masses.flow > EMPTY)
    free = game.parameters if followers.theta is None and not isinstance(game.leader, Menu) else 0
    n, states = len(support), K * T * S
    if n + states + free > UNKNOWNS:
        return masses
    V = n + np.arange(states).reshape(K, T, S)
    rows: list[Array] = []
    right: list[float] = []

    def row(value: float) -> Array:
        rows.append(np.zeros(n + states + free))
        right.append(value)
        return rows[-1]

    y, own = _statistics(followers, masses), masses.theta[: followers.parameters]
    kernel, values = followers.kernel(y, own), _values(followers, masses, y)
    law_row: dict[tuple[int, int, int], Array] = {}
    law_right: dict[tuple[int, int, int], int] = {}
    for k, t, s in np.ndindex(K, T, S):
        begins = not game.cyclic and t == 0
        law_right[k, t, s] = len(right)
        law_row[k, t, s] = row(float(game.initial[k, s]) if begins else 0.0)
    total = {(k, t): row(1.0) for k, t in np.ndindex(K, T) if game.cyclic}
    for i, (k, t, s, b) in enumerate(support):
        law_row[k, t, s][i] += 1.0
        if game.cyclic:
            total[k, t][i] = 1.0
        if game.cyclic or t + 1 < T:
            for after in np.flatnonzero(kernel[k, t, s, b]):
                law_row[k, (t + 1) % T, int(after)][i] -= kernel[k, t, s, b, after]
    measured = game.weights[support[:, 0], None] * followers.statistic[tuple(support.T)]  # [n, J]
    changes = _Changes(followers, masses, values, y)
    for (k, t, s), equation in law_row.items():
        if game.cyclic or t > 0:
            by_y, by_theta = changes.of_law(k, (t - 1) % T, s)
            here = support[:, 1] == (t - 1) % T
            equation[:n][here] -= measured[here] @ by_y
            right[law_right[k, t, s]] -= float(by_y @ y[(t - 1) % T])
            if free:
                equation[n + states :] -= by_theta
                right[law_right[k, t, s]] -= float(by_theta @ own)
    tied = {tuple(int(v) for v in index) for index in support}
    for k, t, s in np.argwhere(masses.flow.sum(-1) <= EMPTY):  # where nobody is, one best action defines the value
        tied.add((int(k), int(t), int(s), int(values.q[k, t, s].argmax())))
    for k, t, s, b in sorted(tied):
        by_y, by_theta = changes.of_value(k, t, s, b)
        fixed = 0.0 if free else followers.reward_leader[k, t, s, b] @ own
        carried = by_y @ y[t] + (by_theta @ own if free else 0.0)
        equation = row(float(followers.reward[k, t, s, b] + fixed - carried))
        equation[V[k, t, s]] += 1.0
        if game.cyclic or t + 1 < T:
            equation[V[k, (t + 1) % T]] -= game.discount * kernel[k, t, s, b]
        here = support[:, 1] == t
        equation[:n][here] -= measured[here] @ (followers.reward_population[k, t, s, b] + by_y)
        if free:
            equation[n + states :] -= followers.reward_leader[k, t, s, b] + by_theta
    if free and isinstance(game.leader, Policies):
        for d in np.arange(free).reshape(game.leader.states, game.leader.actions):
            row(1.0)[n + states + d] = 1.0
    x = np.concatenate([masses.flow[tuple(support.T)], values.value.ravel(), masses.theta[:free]])
    matrix, b_ = np.array(rows), np.array(right)
    for _ in range(2):
        x = x + np.linalg.lstsq(matrix, b_ - matrix @ x, rcond=1e-12)[0]
    flow = np.zeros((K, T, S, B))
    flow[tuple(support.T)] = np.maximum(x[:n], 0.0)
    theta = game.leader.project(x[n + states :]) if free else masses.theta  # type: ignore[union-attr]
    return Masses(theta, flow, masses.played)


@dataclass(frozen=True, eq=False)
class _Changes:
    """How moved transitions change the law and what is earned, at given masses and values: slopes in y [J] and in the decision [D]."""

    followers: AffineFollowers
    masses: Masses
    values: Answer
    y: Array

    def of_law(self, k: int, t: int, s: int) -> tuple[Array, Array]:
        """Of the mass that stage t sends to state s of the next."""
        f, flow = self.followers, self.masses.flow[k, t]
        by_y = np.zeros(self.y.shape[1]) if f.moved_population is None else (f.moved_population[k, t, :, :, :, s] * flow).sum((1, 2))
        by_theta = np.zeros(f.parameters) if f.moved_leader is None else (f.moved_leader[k, t, :, :, :, s] * flow).sum((1, 2))
        return by_y, by_theta

    def of_value(self, k: int, t: int, s: int, b: int) -> tuple[Array, Array]:
        """Of what an action earns beyond its reward."""
        f, T = self.followers, self.y.shape[0]
        by_y, by_theta = np.zeros(self.y.shape[1]), np.zeros(f.parameters)
        if f.game.cyclic or t + 1 < T:
            later = f.game.discount * self.values.value[k, (t + 1) % T]
            by_y = by_y if f.moved_population is None else f.moved_population[k, t, :, s, b] @ later
            by_theta = by_theta if f.moved_leader is None else f.moved_leader[k, t, :, s, b] @ later
        return by_y, by_theta


def _statistics(followers: AffineFollowers, masses: Masses) -> Array:
    y: Array = (followers.game.weights[:, None, None, None, None] * masses.flow[..., None] * followers.statistic).sum((0, 2, 3))
    return y


def _values(followers: AffineFollowers, masses: Masses, y: Array) -> Answer:
    """Optimal values against the masses, in the units of the program."""
    game, own = followers.game, masses.theta[: followers.parameters]
    reward = followers.reward + (followers.reward_population * y[None, :, None, None, :]).sum(-1) + followers.reward_leader @ own
    return answer(reward, Dense(followers.kernel(y, own), checked=False), game.discount, cyclic=game.cyclic)
