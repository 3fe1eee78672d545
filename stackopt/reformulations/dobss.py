r"""Commitment against a follower of unknown type: DOBSS (Paruchuri et al. 2008), and its weak form  [D7.1, D7.3].

Columns :math:`z_k(a,b)=x(a)\,y_k(b)\ge0` and binaries :math:`y_k(b)`, and the value :math:`v_k` of type :math:`k`:

.. math::
    \max\ \sum_kp_k\sum_{ab}R_k(a,b)z_k(a,b)\quad\text{s.t.}\quad
    \sum_bz_k(a,b)=x(a),\ \ \sum_az_k(a,b)=y_k(b),\ \ \sum_by_k(b)=1,\ \ \sum_ax(a)=1,

.. math::
    0\le v_k-\sum_aU_k(a,b)x(a)\le M_k(b)(1-y_k(b)),\qquad v_k\le\sum_{ab}U_k(a,b)z_k(a,b).

For binary :math:`y` the transport rows force :math:`z=xy`, so the objective is the leader's payoff and the other rows say that
:math:`b_k` is a best response; the last row is implied by the one before and tightens the relaxation.
:math:`M_k(b)=\max_{a,b'}\,[U_k(a,b')-U_k(a,b)]`, the largest value of :math:`\max_{b'}x^\top U_ke_{b'}-x^\top U_ke_b` over
:math:`x\in\Delta(A)`, attained at a vertex: proved, not guessed.
"""

from __future__ import annotations

import numpy as np

from stackopt.games.bayesian import BayesianGame
from stackopt.programs.milp import MilpBuilder
from stackopt.reformulations.static_commitment import Affine, StaticProgram, weak_rows


def dobss(game: BayesianGame) -> StaticProgram:
    """The strong commitment of a `BayesianGame`: a mixed-integer linear program with K * B binaries.

    Parameters
    ----------
    game : BayesianGame
    """
    K, A, B = game.shape
    U, R = game.follower_payoff, game.leader_payoff
    m = MilpBuilder("strong commitment against unknown types (DOBSS)")
    x = m.columns("x", (A,), 0.0, 1.0)
    y = m.columns("y", (K, B), 0.0, 1.0, integer=True)
    z = m.columns("z", (K, A, B), 0.0, 1.0, objective=game.probabilities[:, None, None] * R)
    v = m.columns("v", (K,), U.min((1, 2)), U.max((1, 2)))
    m.row("mixed", x, 1.0, 1.0, 1.0)
    optimality = np.zeros((K, B), np.int64)
    for k in range(K):
        m.row(f"one_{k}", y[k], 1.0, 1.0, 1.0)
        m.row(f"attained_{k}", [v[k], *z[k].ravel()], [1.0, *-U[k].ravel()], upper=0.0)
        for a in range(A):
            m.row(f"leader_{k}_{a}", [*z[k, a], x[a]], [*np.ones(B), -1.0], 0.0, 0.0)
        for b in range(B):
            big = float((U[k].max(-1) - U[k, :, b]).max())
            m.row(f"follower_{k}_{b}", [*z[k, :, b], y[k, b]], [*np.ones(A), -1.0], 0.0, 0.0)
            optimality[k, b] = m.row(f"best_{k}_{b}", [v[k], *x], [1.0, *-U[k, :, b]], lower=0.0)
            m.row(f"only_{k}_{b}", [v[k], *x, y[k, b]], [1.0, *-U[k, :, b], big], upper=big)
    return StaticProgram(m.build(), x, y, optimality, mixed=True, tag="D7.1", strong=True)


def dobss_weak(game: BayesianGame, margin: float) -> StaticProgram:
    """The weak commitment with a margin: responses worse by less than `margin` for a type count as ties  [D7.3].

    Parameters
    ----------
    game : BayesianGame
    margin : float
        Positive, in units of the followers' payoffs.
    """
    m = MilpBuilder("weak commitment against unknown types")
    x = m.columns("x", (game.shape[1],), 0.0, 1.0)
    m.row("mixed", x, 1.0, 1.0, 1.0)
    follower, leader = (
        Affine(payoff.transpose(0, 2, 1), np.zeros((payoff.shape[0], payoff.shape[2])), payoff.min(1), payoff.max(1))
        for payoff in (game.follower_payoff, game.leader_payoff)
    )
    flags, optimality = weak_rows(m, x, follower, leader, game.probabilities, margin)
    return StaticProgram(m.build(), x, flags, optimality, mixed=True, tag="D7.3", strong=False)
