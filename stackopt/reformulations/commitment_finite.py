r"""Strong commitment to a policy from a finite set, the leader picking one mixed action per observation class  [D1].

Binary columns x(o, j), y(s, b) and z(s, j, b) with :math:`\sum_bz(s,j,b)=x(o_s,j)` and :math:`\sum_jz(s,j,b)=y(s,b)`, which forces
z = xy; values V_F(s) and visits m(s, j, b).

.. math::
    V_F(s)&\ge Q_F(s,j,b)-M(1-x(o_s,j)) &&\forall b\\
    U_F(s)&\le Q_F^U(s,j,b)+M(1-z(s,j,b)),\quad U_F\ge V_F-\epsilon\\
    d_-z(s,j,b)&\le m(s,j,b)\le d_+z(s,j,b),\quad m\text{ satisfies the flow of visits}

maximising :math:`\langle m,r_L\rangle`. For binary z the flow has one solution, the true visits, so the objective *is* the leader's
value; this replaces the third family of theory D1 and needs no big-M for the leader. With epsilon = 0, U_F is V_F and the
optimum is the best S_0 over the set; with epsilon > 0 the follower may lose up to epsilon in every state (strong_epsilon of D2).

z is implied binary but **declared integer**: with continuous z a presolve was seen to return a wrong "optimum".

Big-M: the exact range of each row over the box of `ranges.value_ranges`, which contains the values of every policy pair.
For U_F, the value of a response within epsilon of the best, the box is lowered by epsilon.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from stackopt.games.operators import Array
from stackopt.programs.milp import Ints, MilpBuilder
from stackopt.reformulations.formulation import Formulation
from stackopt.reformulations.ranges import Choices, advantage_of, largest, value_ranges, visit_ranges


def strong_finite(choices: Choices, epsilon: float = 0.0, *, whole: bool = True) -> Formulation:
    """The program over all picks of one choice per class  [D1, D2].

    Parameters
    ----------
    choices : Choices
        The mixed actions to pick from.
    epsilon : float
        How much the follower may lose in every state, in units of its value.
    whole : bool
        Declare z integer. False reproduces the formulation that a solver's presolve got wrong; for tests only.
    """
    label = f", epsilon {epsilon:.6g}" if epsilon else ""
    choices = choices.normalised()
    epsilon /= choices.follower_unit[0]
    S, J, B = choices.shape
    ranges = value_ranges(choices, mixed=False)
    m = MilpBuilder("strong commitment, finite set" + label, choices.leader_offset)
    x = m.columns("x", (choices.classes, J), 0.0, 1.0, integer=True)
    y = m.columns("y", (S, B), 0.0, 1.0, integer=True)
    z = m.columns("z", (S, J, B), 0.0, 1.0, integer=whole)
    V = m.columns("F", (S,), ranges.follower_lower, ranges.follower_upper)
    U, lower = V, ranges.follower_lower
    if epsilon:
        lower = ranges.follower_lower - epsilon
        U = m.columns("E", (S,), lower, ranges.follower_upper)
    transport(m, choices, x, y, z)
    if epsilon:
        for s in range(S):
            m.row(f"near_{s}", [U[s], V[s]], [1.0, -1.0], lower=-epsilon)
    best_response_rows(m, choices, x, V, ranges.follower_lower, ranges.follower_upper)
    for s, j, b in np.ndindex(S, J, B):
        c, r = advantage_of(choices, s, j, b, choices.follower_discount), choices.follower_reward[s, j, b]
        M = max(float(largest(c, lower, ranges.follower_upper) - r), 0.0)
        m.row(f"attained_{s}_{j}_{b}", [*U, z[s, j, b]], [*c, M], upper=r + M)
    visits = picked_visits(m, "m", choices, choices.leader_discount, z, choices.leader_unit[0] * choices.leader_reward)
    if choices.follower_discount != choices.leader_discount:
        visits = picked_visits(m, "n", choices, choices.follower_discount, z, 0.0)
    m.row("follower_visits", [*U, *visits.ravel()], [*choices.initial, *-choices.follower_reward.ravel()], 0.0, 0.0)
    return Formulation(m.build(), x, y, choices.points, choices.observations, "D1", pure=True)


def transport(m: MilpBuilder, choices: Choices, x: Ints, response: Ints, z: Ints) -> None:
    """One pick per class, one response per state, and z their product."""
    S, J, B = choices.shape
    for o in range(choices.classes):
        m.row(f"pick_{o}", x[o], 1.0, 1.0, 1.0)
    for s in range(S):
        m.row(f"one_{s}", response[s], 1.0, 1.0, 1.0)
        for j in range(J):
            m.row(f"zx_{s}_{j}", [*z[s, j], x[choices.observations[s], j]], [*np.ones(B), -1.0], 0.0, 0.0)
        for b in range(B):
            m.row(f"zy_{s}_{b}", [*z[s, :, b], response[s, b]], [*np.ones(J), -1.0], 0.0, 0.0)


def best_response_rows(m: MilpBuilder, choices: Choices, x: Ints, V: Ints, lower: Array, upper: Array) -> None:
    """V_F is at least the value of every follower action against the choice that is picked."""
    for s, j, b in np.ndindex(*choices.shape):
        c, r = advantage_of(choices, s, j, b, choices.follower_discount), choices.follower_reward[s, j, b]
        M = max(float(r + largest(-c, lower, upper)), 0.0)
        m.row(f"best_{s}_{j}_{b}", [*V, x[choices.observations[s], j]], [*c, -M], lower=r - M)


def picked_visits(m: MilpBuilder, name: str, choices: Choices, discount: float, z: Ints, objective: ArrayLike) -> Ints:
    """The visits of the pair that z picks, [S, J, B]."""
    S, J, B = choices.shape
    low, high = visit_ranges(choices, choices.initial, discount)
    visits = m.columns(name, (S, J, B), 0.0, np.broadcast_to(high[:, None, None], (S, J, B)), objective=objective)
    for t in range(S):
        flow = -discount * choices.transition[..., t]
        flow[t] += 1.0
        m.row(f"{name}_flow_{t}", visits, flow, choices.initial[t], choices.initial[t])
    for s, j, b in np.ndindex(S, J, B):
        m.row(f"{name}_most_{s}_{j}_{b}", [visits[s, j, b], z[s, j, b]], [1.0, -float(high[s])], upper=0.0)
        if low[s] > 0:
            m.row(f"{name}_least_{s}_{j}_{b}", [visits[s, j, b], z[s, j, b]], [1.0, -float(low[s])], lower=0.0)
    return visits
