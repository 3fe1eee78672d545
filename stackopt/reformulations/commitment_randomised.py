r"""Strong commitment to a randomised policy, when the leader's action does not move the state  [D3].

Columns: weights x(a|o) for each observation class o, binary responses y(s, b), values V_F(s) and V_L(s).

.. math::
    V_F(s)&\ge r_F^x(s,b)+\gamma_FP(s,b)V_F &&\forall b\\
    V_F(s)&\le r_F^x(s,b)+\gamma_FP(s,b)V_F+M_F(s,b)(1-y(s,b))\\
    V_L(s)&\le r_L^x(s,b)+\gamma_LP(s,b)V_L+M_L(s,b)(1-y(s,b))

Because P(s, b) is free of x, every row is linear, and the optimum is the best value over *all* randomised stationary policies.

Big-M. Every policy pair has its values inside the proven ranges of `ranges.value_ranges`, so M(s, b) is the largest value of
V(s) - r^x(s,b) - gamma P(s,b) V over that box and over all x: the exact range of the row, never a guess.

With a relaxation epsilon the second family is about U_F, the value of the response played, with :math:`U_F\ge V_F-\epsilon` (strong_epsilon
of D2).

Two families of rows only tighten the bound; they hold for every policy pair (proof in `occupancy_columns`): the visits m of
(x, y), with rho V_L <= <m, r_L>, and <m_F, r_F> = rho V_F, which is the follower's optimality without any big-M.
"""

from __future__ import annotations

import numpy as np

from stackopt.programs.milp import Ints, MilpBuilder
from stackopt.reformulations.formulation import Formulation, occupancy_columns
from stackopt.reformulations.ranges import Choices, Ranges, advantage_of, largest, value_ranges


def strong_randomised(choices: Choices, epsilon: float = 0.0) -> Formulation:
    """The program; its value is v^S over the class of policies that `choices.observations` allows  [D3].

    Parameters
    ----------
    choices : Choices
        With `points` the unit vectors and transitions that do not depend on j.
    epsilon : float
        How much the follower may lose in every state, in units of its value  [D2].
    """
    choices = choices.normalised()
    epsilon /= choices.follower_unit[0]
    S, J, B = choices.shape
    ranges = value_ranges(choices, mixed=True)
    m = MilpBuilder("strong commitment, randomised leader", choices.leader_offset)
    x = m.columns("x", (choices.classes, J), 0.0, 1.0)
    y = m.columns("y", (S, B), 0.0, 1.0, integer=True)
    V = m.columns("F", (S,), ranges.follower_lower, ranges.follower_upper)
    U = m.columns("L", (S,), ranges.leader_lower, ranges.leader_upper, objective=choices.leader_unit[0] * choices.initial)
    played = V
    if epsilon:
        played = m.columns("E", (S,), ranges.follower_lower - epsilon, ranges.follower_upper)
        for s in range(S):
            m.row(f"near_{s}", [played[s], V[s]], [1.0, -1.0], lower=-epsilon)
    for o in range(choices.classes):
        m.row(f"mixed_{o}", x[o], 1.0, 1.0, 1.0)
    for s in range(S):
        m.row(f"one_{s}", y[s], 1.0, 1.0, 1.0)
    optimality = follower_rows(m, choices, ranges, x, V, y, played=played, epsilon=epsilon)
    leader_rows(m, choices, ranges, x, U, y)
    tighten(m, choices, x, y, played, U)
    return Formulation(m.build(), x, y, choices.points, choices.observations, "D3", False, optimality)


def leader_rows(m: MilpBuilder, choices: Choices, ranges: Ranges, x: Ints, U: Ints, played: Ints) -> None:
    """V_L is at most the value of every action that is flagged as played."""
    S, _, B = choices.shape
    for s in range(S):
        weights = x[choices.observations[s]]
        for b in range(B):
            c = advantage_of(choices, s, 0, b, choices.leader_discount)
            M = float(largest(c, ranges.leader_lower, ranges.leader_upper) - choices.leader_reward[s, :, b].min())
            m.row(f"leader_{s}_{b}", [*U, *weights, played[s, b]], [*c, *-choices.leader_reward[s, :, b], M], upper=M)


def follower_rows(
    m: MilpBuilder, choices: Choices, ranges: Ranges, x: Ints, V: Ints, attained: Ints, *, flags: Ints | None = None, margin: float = 0.0,
    played: Ints | None = None, epsilon: float = 0.0,
) -> Ints:
    """V_F is at least every action's value, by a margin if it is not flagged, and at most that of the attained one.

    With `played`, the second is about these columns, which may be lower than the range by `epsilon`.

    Returns the numbers of the first kind of row, [S, B].
    """
    S, _, B = choices.shape
    optimality = np.zeros((S, B), np.int64)
    for s in range(S):
        weights = x[choices.observations[s]]
        for b in range(B):
            c = advantage_of(choices, s, 0, b, choices.follower_discount)
            M = float(largest(c, ranges.follower_lower, ranges.follower_upper) - choices.follower_reward[s, :, b].min())
            columns, coefficients = [*V, *weights], [*c, *-choices.follower_reward[s, :, b]]
            if flags is None:
                optimality[s, b] = m.row(f"best_{s}_{b}", columns, coefficients, lower=0.0)
            else:
                optimality[s, b] = m.row(f"best_{s}_{b}", [*columns, flags[s, b]], [*coefficients, margin], lower=margin)
            if epsilon:
                M = float(largest(c, ranges.follower_lower - epsilon, ranges.follower_upper) - choices.follower_reward[s, :, b].min())
            own = V if played is None else played
            m.row(f"attained_{s}_{b}", [*own, *weights, attained[s, b]], [*coefficients, M], upper=M)
    return optimality


def tighten(m: MilpBuilder, choices: Choices, x: Ints, attained: Ints, V: Ints, U: Ints) -> None:
    """The rows that hold for every policy pair and bring the relaxation close to the optimum."""
    visits = occupancy_columns(m, "m", choices, choices.leader_discount, x, attained)
    m.row("leader_visits", [*U, *visits.ravel()], [*choices.initial, *-choices.leader_reward.ravel()], upper=0.0)
    if choices.follower_discount != choices.leader_discount:
        visits = occupancy_columns(m, "n", choices, choices.follower_discount, x, attained)
    m.row("follower_visits", [*V, *visits.ravel()], [*choices.initial, *-choices.follower_reward.ravel()], 0.0, 0.0)
