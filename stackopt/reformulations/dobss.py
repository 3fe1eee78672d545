r"""Strong commitment against a follower of unknown type: DOBSS (Paruchuri et al. 2008).

Columns :math:`z_k(a,b)=x(a)\,y_k(b)\ge0` and binaries :math:`y_k(b)`, and the value :math:`v_k` of type :math:`k`:

.. math::
    \max\ \sum_kp_k\sum_{ab}R_k(a,b)z_k(a,b)\quad\text{s.t.}\quad
    \sum_bz_k(a,b)=x(a),\ \ \sum_az_k(a,b)=y_k(b),\ \ \sum_by_k(b)=1,\ \ \sum_ax(a)=1,

.. math::
    0\le v_k-\sum_aU_k(a,b)x(a)\le M_k(1-y_k(b)),\qquad v_k\le\sum_{ab}U_k(a,b)z_k(a,b).

For binary :math:`y` the transport rows force :math:`z=xy`, so the objective is the leader's payoff and the other rows say that
:math:`b_k` is a best response; the last row is implied by the one before and tightens the relaxation.
:math:`M_k=\max_{a,b,b'}\,[U_k(a,b')-U_k(a,b)]`, the largest value of :math:`\max_{b'}x^\top U_ke_{b'}-x^\top U_ke_b` over
:math:`x\in\Delta(A)`, attained at a vertex: proved, not guessed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stackopt.games.bayesian import BayesianGame
from stackopt.games.operators import Array, one_hot
from stackopt.games.profile import Profile
from stackopt.programs.milp import Ints, Milp, MilpBuilder


@dataclass(frozen=True, eq=False)
class Dobss:
    """The program and the way back.

    Attributes
    ----------
    milp : Milp
        Its optimum is the strong commitment value.
    game : BayesianGame
    x : int array [A]
        Columns of the leader's mixed action.
    y : int array [K, B]
        Binary columns of the types' responses.
    """

    milp: Milp
    game: BayesianGame
    x: Ints
    y: Ints

    def lift(self, point: Array) -> Profile:
        """The policies of a solution vector: x projected to the simplex, responses recomputed from x, ties for the leader.

        The claim is the objective of `point`; `game.certify` finds out whether the recomputed responses attain it.
        """
        x = np.clip(point[self.x], 0.0, None)[None]
        x /= x.sum()
        return Profile(x, one_hot(self.game.responses(x), self.game.shape[2]), concept="strong", claim=self.milp.value(point))


def dobss(game: BayesianGame) -> Dobss:
    """The strong commitment of a `BayesianGame` as a mixed-integer linear program with K * B binaries.

    Parameters
    ----------
    game : BayesianGame

    Returns
    -------
    Dobss
        Solve ``.milp`` with any back end; ``.lift(point)`` gives the candidate that ``game.certify`` checks.
    """
    K, A, B = game.shape
    U, R = game.follower_payoff, game.leader_payoff
    m = MilpBuilder("strong commitment against unknown types (DOBSS)")
    x = m.columns("x", (A,), 0.0, 1.0)
    y = m.columns("y", (K, B), 0.0, 1.0, integer=True)
    z = m.columns("z", (K, A, B), 0.0, 1.0, objective=game.probabilities[:, None, None] * R)
    v = m.columns("v", (K,), U.min((1, 2)), U.max((1, 2)))
    m.row("mixed", x, 1.0, 1.0, 1.0)
    for k in range(K):
        m.row(f"one_{k}", y[k], 1.0, 1.0, 1.0)
        m.row(f"attained_{k}", [v[k], *z[k].ravel()], [1.0, *-U[k].ravel()], upper=0.0)
        for a in range(A):
            m.row(f"leader_{k}_{a}", [*z[k, a], x[a]], [*np.ones(B), -1.0], 0.0, 0.0)
        for b in range(B):
            big = float((U[k].max(-1) - U[k, :, b]).max())
            m.row(f"follower_{k}_{b}", [*z[k, :, b], y[k, b]], [*np.ones(A), -1.0], 0.0, 0.0)
            m.row(f"best_{k}_{b}", [v[k], *x], [1.0, *-U[k, :, b]], lower=0.0)
            m.row(f"only_{k}_{b}", [v[k], *x, y[k, b]], [1.0, *-U[k, :, b], big], upper=big)
    return Dobss(m.build(), game, x, y)
