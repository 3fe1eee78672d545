r"""Finite-horizon populations whose rewards are the gradient of a concave potential: their equilibria are its maxima.

With fixed transitions, masses m of a finite horizon form a polytope, and an equilibrium is an m that maximises
:math:`\sum_t\gamma^t\langle w\,m'_t,r_0+R_1y_t(m)\rangle` over m'. If the matrix :math:`Q_t=w\,R_1H^\top w` of stage t is symmetric on changes of mass that
leave every type's total alone, this is the optimality condition of

.. math:: \Phi(m)=\sum_t\gamma^t\Big(\langle w\,r_0+CQ_tu,m_t\rangle+\tfrac12m_t^\top CQ_tC\,m_t\Big),

C the projection on such changes and u the uniform masses; if :math:`CQ_tC` is negative semidefinite as well, every equilibrium is a
maximum, all of them have the same :math:`CQ_tC\,m_t`, hence the same best answers, and they are a polytope. `LogCrowding` has the potential
:math:`-w\sum_s((y_s+\epsilon)\log(y_s+\epsilon)-y_s)`, strictly concave in y.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from stackopt.games.mean_field.game import MeanFieldStackelbergGame
from stackopt.games.mean_field.horizon import Finite
from stackopt.games.mean_field.terms import LogCrowding
from stackopt.games.operators import Array
from stackopt.reformulations.mean_field_arrays import AffineFollowers

#: Asymmetry and positive curvature up to this much, relative to the largest entry, are rounding.
ROUNDING = 1e-10
#: Masses of one stage at most: the curvature of a stage is a dense matrix.
MASSES = 1500


@dataclass(frozen=True, eq=False)
class Potential:
    """A concave potential.

    Attributes
    ----------
    linear : array [K, T, S, B]
        Its linear part.
    factors : tuple of array [K S B, r]
        By stage: the curvature is minus the factor times its transpose.
    crowding : LogCrowding or None
        Its logarithmic part, of the distribution of states at each stage.
    stages : array [T]
        Discounts.
    """

    linear: Array
    factors: tuple[Array, ...]
    crowding: LogCrowding | None
    stages: Array


def potential_of(followers: AffineFollowers, like: Potential | None = None) -> Potential | str:
    """The potential of followers under a fixed decision, or why there is none that is known.

    Parameters
    ----------
    followers : AffineFollowers
        With `theta` given; their units do not matter.
    like : Potential, optional
        Of the same followers under another decision: what bends the potential is taken from it.
    """
    game = followers.game
    if not isinstance(game.horizon, Finite):
        return f"the horizon is {game.horizon}: stationary laws weigh later stages more than a discount does"
    K, T, S, B = game.shape
    if K * S * B > MASSES:
        return f"a stage has {K * S * B} masses, more than {MASSES}"
    stages = np.power(game.discount, np.arange(T, dtype=float))
    weights = game.weights[:, None, None]
    if isinstance(game.reward, LogCrowding):
        if game.statistic != "states":
            return "the statistic of LogCrowding is the distribution of states"
        base = np.broadcast_to(game.reward.base, (K, T, S, B))
        return Potential(stages[:, None, None] * weights[:, None] * base, (), game.reward, stages)
    linear, factors = np.empty((K, T, S, B)), []
    n, size = K * S * B, S * B
    same = np.kron(np.eye(K), np.full((size, size), 1.0 / size))
    centre = np.eye(n) - same
    w = np.repeat(game.weights, size)
    for t in range(T):
        Q = followers.unit * (w[:, None] * followers.reward_population[:, t].reshape(n, -1)) @ (w[:, None] * followers.statistic[:, t].reshape(n, -1)).T
        linear[:, t] = stages[t] * (weights * followers.unit * followers.reward[:, t] + (centre @ Q @ np.full(n, 1.0 / size)).reshape(K, S, B))
        if like is not None:
            continue
        curvature = centre @ Q @ centre
        scale = float(np.abs(Q).max()) or 1.0
        if not float(np.abs(curvature - curvature.T).max()) <= ROUNDING * scale:
            i, j = np.unravel_index(int(np.abs(curvature - curvature.T).argmax()), curvature.shape)
            names = [np.unravel_index(index, (K, S, B)) for index in (i, j)]
            (a, b) = ("(" + ", ".join(str(int(v)) for v in name) + ")" for name in names)
            return f"stage {t}: masses at (type, state, action) {a} and {b} do not affect each other's rewards alike"
        values, vectors = np.linalg.eigh(0.5 * (curvature + curvature.T))
        if not values.max() <= ROUNDING * scale * n:
            return f"stage {t}: the potential is not concave, largest curvature {values.max():.3g}"
        bent = values < -ROUNDING * scale * n
        factors.append(vectors[:, bent] * np.sqrt(-values[bent]))
    return Potential(linear, tuple(factors) if like is None else like.factors, None, stages)


def maximum(game: MeanFieldStackelbergGame, transition: Array, potential: Potential) -> tuple[Array | None, str]:
    """Masses [K, T, S, B] that maximise a potential over the laws of the followers' policies, by CVXPY, and how its solver ended.

    Parameters
    ----------
    game : MeanFieldStackelbergGame
        Finite.
    transition : array [K, T, S, B, S]
    potential : Potential
    """
    import cvxpy

    cp: Any = cvxpy  # which has no complete types
    K, T, S, B = game.shape
    size = S * B
    m = [[cp.Variable(size, nonneg=True) for _ in range(T)] for _ in range(K)]
    leave = np.kron(np.eye(S), np.ones((1, B)))  # [S, S B]
    rules, value = [], 0.0
    for k in range(K):
        rules.append(leave @ m[k][0] == game.initial[k])
        rules += [leave @ m[k][t + 1] == transition[k, t].reshape(size, S).T @ m[k][t] for t in range(T - 1)]
    for t in range(T):
        value += sum(potential.linear[k, t].ravel() @ m[k][t] for k in range(K))
        if potential.factors and potential.factors[t].size:
            together = cp.hstack([m[k][t] for k in range(K)])
            value -= 0.5 * potential.stages[t] * cp.sum_squares(potential.factors[t].T @ together)
        if potential.crowding is not None:
            y = sum(game.weights[k] * (leave @ m[k][t]) for k in range(K))
            value += potential.stages[t] * potential.crowding.weight * cp.sum(cp.entr(y + potential.crowding.epsilon) + y)
    problem = cp.Problem(cp.Maximize(value), rules)
    accurate = {"tol_gap_abs": 1e-11, "tol_gap_rel": 1e-11, "tol_feas": 1e-11}
    try:
        problem.solve(solver=cp.CLARABEL, **accurate)
    except cp.SolverError as error:
        return None, str(error)
    if m[0][0].value is None:
        return None, str(problem.status)
    found = np.array([[m[k][t].value for t in range(T)] for k in range(K)]).reshape(K, T, S, B)
    return np.maximum(found, 0.0), str(problem.status)
