r"""Weak commitment with a margin: every follower action worse by less than it may be played, the worst for the leader is  [D2].

Binary flags y(s, b), "may be played", and one attained action a(s, b) among them:

.. math::
    V_F(s)&\ge Q_F(s,b)+\epsilon_0\,(1-y(s,b)),\qquad V_F(s)\le Q_F(s,b)+M(1-a(s,b)),\qquad a\le y,\\
    V_L(s)&\le Q_L(s,b)+M(1-y(s,b)).

The first two give the follower's optimal value, the flags may be off only where the gap is at least :math:`\epsilon_0`, and the
third bounds the leader's value by the worst flagged response. The optimum is
:math:`\max_x\min\{\rho^\top V_L^{x,y}:\mathrm{supp}\,y\subseteq\{\text{gap}<\epsilon_0\}\}`. Without a margin the weak value need not be attained.

With a finite set of leader actions every row also carries the pick x(o, j), as in D1; if the leader's action does not move the
state, x may be any mixed action, as in D3. The attained action is a best response, so its visits tighten the bound exactly as
in D1 and D3: :math:`\langle m,r_F\rangle=\rho^\top V_F` and :math:`\rho^\top V_L\le\langle m,r_L\rangle`.
"""

from __future__ import annotations

import numpy as np

from stackopt.programs.milp import MilpBuilder
from stackopt.reformulations.commitment_finite import picked_visits, transport
from stackopt.reformulations.commitment_randomised import follower_rows, leader_rows, tighten
from stackopt.reformulations.formulation import Formulation
from stackopt.reformulations.ranges import Choices, advantage_of, largest, value_ranges


def weak_randomised(choices: Choices, margin: float) -> Formulation:
    """The program over all mixed policies; transitions must not depend on the choice  [D2, D3].

    Parameters
    ----------
    choices : Choices
        With `points` the unit vectors.
    margin : float
        In units of the follower's value.
    """
    choices = choices.normalised()
    margin /= choices.follower_unit[0]
    S, J, B = choices.shape
    ranges = value_ranges(choices, mixed=True)
    m = MilpBuilder("weak commitment, randomised leader", choices.leader_offset)
    x = m.columns("x", (choices.classes, J), 0.0, 1.0)
    y = m.columns("y", (S, B), 0.0, 1.0, integer=True)
    a = m.columns("a", (S, B), 0.0, 1.0, integer=True)
    V = m.columns("F", (S,), ranges.follower_lower, ranges.follower_upper)
    U = m.columns("L", (S,), ranges.leader_lower, ranges.leader_upper, objective=choices.leader_unit[0] * choices.initial)
    for o in range(choices.classes):
        m.row(f"mixed_{o}", x[o], 1.0, 1.0, 1.0)
    for s in range(S):
        m.row(f"one_{s}", a[s], 1.0, 1.0, 1.0)
        for b in range(B):
            m.row(f"flagged_{s}_{b}", [a[s, b], y[s, b]], [1.0, -1.0], upper=0.0)
    optimality = follower_rows(m, choices, ranges, x, V, a, flags=y, margin=margin)
    leader_rows(m, choices, ranges, x, U, y)
    tighten(m, choices, x, a, V, U)
    return Formulation(m.build(), x, y, choices.points, choices.observations, "D2, D3", False, optimality)


def weak_finite(choices: Choices, margin: float) -> Formulation:
    """The program over all picks of one choice per class  [D2].

    Parameters
    ----------
    choices : Choices
    margin : float
        In units of the follower's value.
    """
    choices = choices.normalised()
    margin /= choices.follower_unit[0]
    S, J, B = choices.shape
    ranges = value_ranges(choices, mixed=False)
    m = MilpBuilder("weak commitment, finite set", choices.leader_offset)
    x = m.columns("x", (choices.classes, J), 0.0, 1.0, integer=True)
    y = m.columns("y", (S, B), 0.0, 1.0, integer=True)
    a = m.columns("a", (S, B), 0.0, 1.0, integer=True)
    z = m.columns("z", (S, J, B), 0.0, 1.0, integer=True)
    V = m.columns("F", (S,), ranges.follower_lower, ranges.follower_upper)
    U = m.columns("L", (S,), ranges.leader_lower, ranges.leader_upper, objective=choices.leader_unit[0] * choices.initial)
    transport(m, choices, x, a, z)
    for s, b in np.ndindex(S, B):
        m.row(f"flagged_{s}_{b}", [a[s, b], y[s, b]], [1.0, -1.0], upper=0.0)
    for s, j, b in np.ndindex(S, J, B):
        pick, r = x[choices.observations[s], j], choices.follower_reward[s, j, b]
        c = advantage_of(choices, s, j, b, choices.follower_discount)
        M = max(float(r + largest(-c, ranges.follower_lower, ranges.follower_upper)), 0.0) + margin
        m.row(f"best_{s}_{j}_{b}", [*V, pick, y[s, b]], [*c, -M, margin], lower=r + margin - M)
        M = max(float(largest(c, ranges.follower_lower, ranges.follower_upper) - r), 0.0)
        m.row(f"attained_{s}_{j}_{b}", [*V, z[s, j, b]], [*c, M], upper=r + M)
        c, r = advantage_of(choices, s, j, b, choices.leader_discount), choices.leader_reward[s, j, b]
        M = max(float(largest(c, ranges.leader_lower, ranges.leader_upper) - r), 0.0)
        m.row(f"leader_{s}_{j}_{b}", [*U, pick, y[s, b]], [*c, M, M], upper=r + 2 * M)
    visits = picked_visits(m, "m", choices, choices.leader_discount, z, 0.0)
    m.row("leader_visits", [*U, *visits.ravel()], [*choices.initial, *-choices.leader_reward.ravel()], upper=0.0)
    if choices.follower_discount != choices.leader_discount:
        visits = picked_visits(m, "n", choices, choices.follower_discount, z, 0.0)
    m.row("follower_visits", [*V, *visits.ravel()], [*choices.initial, *-choices.follower_reward.ravel()], 0.0, 0.0)
    return Formulation(m.build(), x, y, choices.points, choices.observations, "D2", pure=True)
