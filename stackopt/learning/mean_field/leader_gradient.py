r"""The leader's gradient through the population's re-equilibration, by adjoints  [C2, for several stages].

The followers' soft equilibrium is a fixed point of the statistics, :math:`y=G(y,\theta)`: statistics give rewards and transitions, these the
soft policies and their law, these new statistics. With L the masses of states and actions and F the leader's value,

.. math:: u=F_y+L_y^\top(F_L+H^\top u),\qquad \nabla_\theta F=F_\theta+L_\theta^\top(F_L+H^\top u).

Each product with :math:`L_y^\top`, :math:`L_\theta^\top` costs one pass forward and one backward through the stages, whatever the number of
parameters; u is found by GMRES without forming a matrix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from stackopt.games.mean_field import operators
from stackopt.games.mean_field.derivatives import Partials
from stackopt.games.mean_field.dynamics import DIRECT_STATES, Answer, product, respond, stage_matrices
from stackopt.games.mean_field.game import MeanFieldStackelbergGame
from stackopt.games.operators import Array

#: Relative residual of the adjoint equation.
ADJOINT_TOLERANCE = 1e-11


@dataclass(frozen=True, eq=False)
class LeaderGradient:
    """The leader's value at a soft equilibrium and its derivatives.

    Attributes
    ----------
    value : float
    gradient : array [D]
        Total: the population re-equilibrates.
    direct : array [D]
        The part at a frozen population, :math:`F_\\theta`.
    residual : float
        Of the adjoint equation, relative; near 1 where 1 is in the spectrum of the response, and then there is no gradient.
    products : int
        Passes through the stages that it took.
    """

    value: float
    gradient: Array
    direct: Array
    residual: float
    products: int


class Adjoint:
    r"""Products with :math:`L_y^\top` and :math:`L_\theta^\top` at a soft equilibrium (theory C2, steps 1 to 4)."""

    def __init__(self, game: MeanFieldStackelbergGame, policy: Array, mean_field: Array, theta: Array, temperature: float) -> None:
        self.game, self.policy, self.mean_field, self.temperature = game, policy, mean_field, temperature
        self.flows = operators.flow(mean_field, policy)
        self.y = game.aggregate(self.flows)
        self.kernel = game.kernel(self.y, theta)
        self.answer: Answer = respond(game, self.y, theta, temperature)
        self.next_value = _after(game, self.answer.value)
        self.partials = Partials(game, self.y, theta)
        self.products = 0
        self._matrix: Any = None
        if game.cyclic and game.shape[2] <= DIRECT_STATES:
            self._matrix = product(stage_matrices(self.kernel, policy))  # [K, S, S]

    def cotangents(self, of_flow: Array) -> tuple[Array, list[tuple[Array, Array]]]:
        """What a cotangent [K, T, S, B] on the masses puts on rewards [K, T, S, B], and on transitions as pairs (C, v)."""
        self.products += 1
        policy, kernel, gamma = self.policy, self.kernel, self.game.discount
        bias = _after(self.game, self._bias(of_flow))  # xi of the next stage
        of_policy = self.mean_field[..., None] * (of_flow + kernel.expect(bias))
        of_q = policy * (of_policy - operators.policy_average(policy, of_policy)[..., None]) / self.temperature
        of_reward = of_q + self._inflow(of_q)[..., None] * policy
        return of_reward, [(gamma * of_reward, self.next_value), (self.flows, bias)]

    def in_y(self, of_flow: Array) -> Array:
        r""":math:`L_y^\top` of a cotangent [K, T, S, B]: [T, J]."""
        of_reward, on_kernel = self.cotangents(of_flow)
        return self.partials.reward_in_y(of_reward) + self.partials.kernel_in_y(on_kernel)

    def in_theta(self, of_flow: Array) -> Array:
        r""":math:`L_\theta^\top` of a cotangent [K, T, S, B]: [D]."""
        of_reward, on_kernel = self.cotangents(of_flow)
        return self.partials.reward_in_theta(of_reward) + self.partials.kernel_in_theta(on_kernel)

    def spread(self, of_y: Array) -> Array:
        r""":math:`H^\top` of [T, J]: a cotangent on the masses [K, T, S, B]."""
        game = self.game
        K, T, S, B = game.shape
        if isinstance(game.statistic, str):
            each = of_y[None, :, :, None] if game.statistic == "states" else of_y.reshape(1, T, S, B)
        else:
            each = operators.affine(np.zeros((1, 1, 1, 1)), game.statistic, of_y, None, None)
        spread: Array = game.weights[:, None, None, None] * np.broadcast_to(each, (K, T, S, B))
        return spread

    def _bias(self, of_flow: Array) -> Array:
        r""":math:`\xi_t=g^\pi_t+P^\pi_t\xi_{t+1}` up to a constant [K, T, S]; cyclic: the bias of the chain, zero on average over its law."""
        game = self.game
        K, T, S, _ = game.shape
        earned = operators.policy_average(self.policy, of_flow)
        if not game.cyclic:
            return self._backward(earned, np.zeros((K, S)), 1.0)
        earned = earned - ((self.mean_field * earned).sum(-1).sum(-1) / T)[:, None, None]
        first = self._backward(earned, np.zeros((K, S)), 1.0)[:, 0]
        law = self.mean_field[:, 0]
        if self._matrix is not None:
            system = np.eye(S) - self._matrix + law[:, None, :]
            start = np.linalg.solve(system, first[..., None])[..., 0]
        else:
            start = _krylov(lambda v: v - self._backward(np.zeros((K, T, S)), v, 1.0)[:, 0] + (law * v).sum(-1, keepdims=True), first)
        return self._backward(earned, start, 1.0)

    def _backward(self, earned: Array, last: Array, discount: float) -> Array:
        """Values [K, T, S] from those after the last stage [K, S]."""
        K, T, S = earned.shape
        value, following = np.empty((K, T, S)), last[:, None]
        for t in range(T - 1, -1, -1):
            mean = operators.policy_average(self.policy[:, t : t + 1], self.kernel.stages(np.array([t])).expect(following))
            following = earned[:, t : t + 1] + discount * mean
            value[:, t] = following[:, 0]
        return value

    def _inflow(self, of_q: Array) -> Array:
        r""":math:`\lambda_{t+1}=\gamma P_t^\top(g_{Q,t}+\lambda_t\pi_t)` [K, T, S], from nothing (finite) or from itself (cyclic)."""
        game = self.game
        K, _, S, _ = of_q.shape
        if not game.cyclic:
            return self._forward(of_q, np.zeros((K, S)))[0]
        constant = self._forward(of_q, np.zeros((K, S)))[1]
        # what moves from one action to another adds up to nothing; of rounding, a discount near 1 would make a multiple of the law
        constant = constant - self.mean_field[:, 0] * constant.sum(-1, keepdims=True)
        nothing = np.zeros_like(of_q)
        if self._matrix is not None:
            system = np.eye(S) - game.discount ** game.shape[1] * np.swapaxes(self._matrix, -1, -2)
            start = np.linalg.solve(system, constant[..., None])[..., 0]
        else:
            start = _krylov(lambda v: v - self._forward(nothing, v)[1], constant)
        return self._forward(of_q, start)[0]

    def _forward(self, of_q: Array, first: Array) -> tuple[Array, Array]:
        """lambda [K, T, S] from that of stage 0 [K, S], and what it is one period later [K, S]."""
        K, T, S, _ = of_q.shape
        inflow, here = np.empty((K, T, S)), first[:, None]
        for t in range(T):
            inflow[:, t] = here[:, 0]
            mass = of_q[:, t : t + 1] + here[..., None] * self.policy[:, t : t + 1]
            here = self.game.discount * self.kernel.stages(np.array([t])).push(mass)
        return inflow, here[:, 0]


def leader_gradient(game: MeanFieldStackelbergGame, policy: Array, mean_field: Array, theta: Array, temperature: float) -> LeaderGradient:
    """The leader's value and gradient at a soft equilibrium  [C2].

    Parameters
    ----------
    policy, mean_field : arrays [K, T, S, B] and [K, T, S]
        Of the equilibrium under `theta` at `temperature`; the gradient is as exact as they are.
    theta : array [D]
    temperature : float
        Above 0, in the units of the followers' rewards.
    """
    adjoint = Adjoint(game, policy, mean_field, theta, temperature)
    flows, y = adjoint.flows, adjoint.y
    value = game.leader_value(flows, y, theta)
    of_flow, direct = _own(game, flows, theta)
    objective_y, objective_theta = adjoint.partials.objective()
    direct = direct + objective_theta
    constant = objective_y + adjoint.in_y(of_flow)
    coupled = callable(game.reward) or callable(game.transition) or game.reward_population is not None or game.transition_population is not None
    u, residual = constant, 0.0
    if coupled:
        u = _krylov(lambda v: v - adjoint.in_y(adjoint.spread(v)), constant, ADJOINT_TOLERANCE)
        size = float(np.abs(constant).max())
        residual = float(np.abs(u - adjoint.in_y(adjoint.spread(u)) - constant).max()) / size if size > 0 else 0.0
    gradient = direct + adjoint.in_theta(of_flow + adjoint.spread(u))
    return LeaderGradient(value, gradient, direct, residual, adjoint.products)


def _own(game: MeanFieldStackelbergGame, flows: Array, theta: Array) -> tuple[Array, Array]:
    """Derivatives of the average of :math:`L_0+L_1\\theta` in the masses [K, T, S, B] and in theta [D]."""
    shape = game.shape
    earned, direct = np.zeros(shape), np.zeros(game.parameters)
    if game.leader_reward is not None:
        earned = earned + game.leader_reward
    if game.leader_reward_leader is not None:
        earned = earned + game.leader_reward_leader @ theta
        direct = (game.weights[:, None, None, None, None] * flows[..., None] * game.leader_reward_leader).sum((0, 1, 2, 3))
    return game.weights[:, None, None, None] * earned, direct


def _after(game: MeanFieldStackelbergGame, value: Array) -> Array:
    """Values of the next stage [K, T, S]."""
    following = np.roll(value, -1, axis=1)
    if not game.cyclic:
        following[:, -1] = 0.0
    return following


def _krylov(operator: Any, right: Array, tolerance: float = 1e-13) -> Array:
    """Solve a linear equation for an array of the shape of `right` by GMRES."""
    from scipy.sparse.linalg import LinearOperator, gmres

    shape, size = right.shape, right.size
    if not right.any():
        return np.zeros(shape)
    matrix = LinearOperator((size, size), matvec=lambda v: operator(v.reshape(shape)).ravel(), dtype=float)
    solved, _ = gmres(matrix, right.ravel(), rtol=tolerance, atol=0.0, restart=min(size, 80), maxiter=20)
    found: Array = solved.reshape(shape)
    return found
