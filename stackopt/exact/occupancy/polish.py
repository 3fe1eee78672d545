r"""The best leader policy for one response pattern, near a given policy: sequential linear programming.

With the response y fixed, J(x) and the follower's losses Q_F(s, b; x) - V_F^y(s; x) are smooth in x:

.. math:: \frac{\partial J}{\partial x(s,a)} = d_L(s)\,Q_L(s,a,y(s)),\qquad
          \frac{\partial V_F(t)}{\partial x(s,a)} = N(t,s)\,q_F(s,a,y(s)),\quad N=(I-\gamma P^{x,y})^{-1},\quad q_F = r_F+\gamma PV_F.

Each step solves the linearised program in a trust region and is kept only if the true merit improves. Nothing here is trusted:
the game evaluates every policy that comes out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackopt.backends.matrix import minimise
from stackopt.games.operators import Array
from stackopt.reformulations.ranges import Choices

#: Steps at most.
STEPS = 40


@dataclass(frozen=True, eq=False)
class Local:
    """The game around one policy, the response fixed.

    Attributes
    ----------
    value : float
    gradient : array [C, A]
    loss : array [k]
        What each other response would earn the follower more; feasible if none is positive.
    slope : array [k, C, A]
    """

    value: float
    gradient: Array
    loss: Array
    slope: Array


def local(game: Choices, policy: Array, response: NDArray[np.int64]) -> Local:
    """The leader's value and the follower's incentives at `policy` [C, A], with first derivatives."""
    S, A, B = game.shape
    at, states = policy[game.observations], np.arange(S)
    P = game.transition[states, :, response]  # [S, A, S]
    kernel = np.einsum("sa,sat->st", at, P)
    eye = np.eye(S)
    classes = game.observations

    def gathered(per_state: Array) -> Array:
        """Derivatives with respect to x(s, a), added up over the states of a class; [..., S, A] to [..., C, A]."""
        out = np.zeros((*per_state.shape[:-2], game.classes, A))
        np.add.at(np.moveaxis(out, -2, 0), classes, np.moveaxis(per_state, -2, 0))
        return out

    reward = game.leader_reward[states, :, response]
    value = np.linalg.solve(eye - game.leader_discount * kernel, np.einsum("sa,sa->s", at, reward))
    visits = np.linalg.solve((eye - game.leader_discount * kernel).T, game.initial)
    gradient = gathered(visits[:, None] * (reward + game.leader_discount * P @ value))
    gamma = game.follower_discount
    inverse = np.linalg.inv(eye - gamma * kernel)
    own = game.follower_reward[states, :, response]
    follower = inverse @ np.einsum("sa,sa->s", at, own)
    q = game.follower_reward + gamma * game.transition @ follower  # [S, A, B]
    loss = np.einsum("sa,sab->sb", at, q) - follower[:, None]
    moved = inverse[:, :, None] * q[states, :, response][None]  # dV(t) / dx(s, a): [S, S, A]
    mixed = np.einsum("sa,sabt->sbt", at, game.transition)
    slope = gamma * np.einsum("sbt,tua->sbua", mixed, moved) - moved[:, None]
    slope[states, :, states] += np.swapaxes(q, 1, 2)
    others = np.ones((S, B), bool)
    others[states, response] = False
    return Local(float(game.initial @ value), gradient, loss[others], gathered(slope[others]))


def polished(game: Choices, policy: Array, response: NDArray[np.int64], *, margin: float = 1e-10, radius: float = 0.3) -> Array | None:
    """A policy [C, A] near `policy` that keeps `response` a best response by `margin`; None if no step reaches one.

    Parameters
    ----------
    game : Choices
    policy : array [C, A]
    response : int array [S]
    margin : float
        By how much other responses must lose, in the follower's normalised units.
    radius : float
        Of the first trust region.
    """
    from scipy import sparse

    C, A = policy.shape
    n = C * A
    scale = float(np.abs(game.leader_reward).max()) / (1 - game.leader_discount)
    here = local(game, policy, response)

    def merit(point: Local) -> float:
        return point.value - 10.0 * scale * float(np.maximum(point.loss + margin, 0.0).sum())

    simplex = sparse.csr_array(np.concatenate([np.kron(np.eye(C), np.ones(A)), np.zeros((C, len(here.loss)))], axis=1))
    for _ in range(STEPS):
        # columns: the move [n], one shortfall per incentive row
        rows = sparse.csr_array(np.concatenate([here.slope.reshape(-1, n), -np.eye(len(here.loss))], axis=1))
        matrix: Any = sparse.csr_array(sparse.vstack([simplex, rows], format="csr"))
        low = np.concatenate([np.maximum(-policy.ravel(), -radius), np.zeros(len(here.loss))])
        high = np.concatenate([np.minimum(1 - policy.ravel(), radius), np.full(len(here.loss), np.inf)])
        found = minimise(
            np.concatenate([-here.gradient.ravel(), np.full(len(here.loss), 10.0 * scale)]), matrix,
            np.concatenate([np.zeros(C), np.full(len(here.loss), -np.inf)]), np.concatenate([np.zeros(C), -here.loss - margin]), low, high,
        )
        if found.x is None:
            break
        trial = np.clip(policy + found.x[:n].reshape(C, A), 0.0, 1.0)
        trial /= trial.sum(1, keepdims=True)
        there = local(game, trial, response)
        moved = float(np.abs(trial - policy).max())
        if merit(there) > merit(here):
            policy, here, radius = trial, there, min(2 * radius, 1.0)
        else:
            radius /= 4
        if moved < 1e-13 or radius < 1e-12:
            break
    return policy if here.loss.max(initial=-np.inf) <= 0.0 else None
