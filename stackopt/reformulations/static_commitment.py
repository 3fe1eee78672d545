r"""What the one-shot programs share: a leader polytope, followers whose payoffs are affine in it, binaries for responses.

The leader's decision is a vector :math:`x` of columns (a mixed action, or a coverage); type :math:`k` gets
:math:`U_{kb}\cdot x+U^0_{kb}` from action :math:`b` and the leader :math:`R_{kb}\cdot x+R^0_{kb}`. Nothing multiplies two unknowns, so
the weak commitment with a margin is a mixed-integer linear program, too (theory D7.3): :math:`f_k(b)` flags the actions that type
:math:`k` may play, :math:`t_k(b)` one that attains its best value :math:`v_k`, and :math:`u_k` is the worst flagged payoff.

.. math::
    v_k\ge U_{kb}(x),\quad v_k\le U_{kb}(x)+M_{kb}(1-t_k(b)),\quad v_k\ge U_{kb}(x)+\epsilon\,(1-f_k(b)),\quad
    u_k\le R_{kb}(x)+N_{kb}(1-f_k(b)).

:math:`M_{kb}=\max_{b'}\overline U_{kb'}-\underline U_{kb}` and :math:`N_{kb}=\max_{b'}\overline R_{kb'}-\underline R_{kb}` from the ranges of the
affine functions over the polytope: proved, not guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from stackopt.games.operators import Array
from stackopt.programs.milp import Ints, Milp, MilpBuilder


@dataclass(frozen=True, eq=False)
class StaticProgram:
    """A program over one-shot commitments and the way back.

    Attributes
    ----------
    milp : Milp
        Its optimum is the commitment value.
    leader : int array [n]
        Columns of the leader's decision.
    response : int array [K, B]
        Binary columns: the response of each type (strong), or the actions it may play (weak).
    optimality : int array [K, B]
        Rows ``v_k >= U_kb(x)``, with the margin for actions that are not flagged.
    mixed : bool
        Whether the decision is a mixed action (sums to 1), else a vector in the unit box.
    tag : str
        Where it is proved.
    strong : bool
    """

    milp: Milp
    leader: Ints
    response: Ints
    optimality: Ints
    mixed: bool
    tag: str
    strong: bool

    def lift(self, point: Array) -> Array:
        """The decision of a solution vector: a mixed action [1, A] projected to the simplex, or a vector [n] in the box."""
        x: Array = np.clip(point[self.leader], 0.0, 1.0)
        return (x / x.sum())[None] if self.mixed else x

    def polished(self, point: Array, slack: float) -> Milp:
        """The integer columns of `point` rounded and fixed; actions that are not flagged worse by `slack` (relative)."""
        whole = np.flatnonzero(self.milp.integer)
        rounded = self.milp.fixed(whole, np.round(point[whole]))
        if not slack:
            return rounded
        lower = rounded.row_lower.copy()
        lower[self.optimality[point[self.response] < 0.5]] += slack * (1.0 + float(np.abs(rounded.entry_value).max()))
        return replace(rounded, row_lower=lower)

    def answered(self, response: Array) -> Milp | None:
        """The program for one response [K, B]; None for the weak concept, where responses are sets."""
        return self.milp.fixed(self.response.ravel(), response.ravel()) if self.strong else None


@dataclass(frozen=True, eq=False)
class Affine:
    """Payoffs of all types and actions as affine functions of the leader's decision.

    Attributes
    ----------
    slope : array [K, B, n]
    constant : array [K, B]
    lower, upper : array [K, B]
        Ranges over the leader's polytope.
    """

    slope: Array
    constant: Array
    lower: Array
    upper: Array


def weak_rows(
    m: MilpBuilder, x: Ints, follower: Affine, leader: Affine, probabilities: Sequence[float] | Array, margin: float
) -> tuple[Ints, Ints]:
    """Add the rows above; returns the flags [K, B] and the optimality rows [K, B]."""
    K, B, _ = follower.slope.shape
    flags = m.columns("f", (K, B), 0.0, 1.0, integer=True)
    attained = m.columns("t", (K, B), 0.0, 1.0, integer=True)
    v = m.columns("v", (K,), follower.lower.min(1), follower.upper.max(1))
    u = m.columns("u", (K,), leader.lower.min(1), leader.upper.max(1), objective=np.asarray(probabilities, float))
    optimality = np.zeros((K, B), np.int64)
    for k in range(K):
        m.row(f"attained_{k}", attained[k], 1.0, 1.0, 1.0)
        for b in range(B):
            U, U0, R, R0 = follower.slope[k, b], float(follower.constant[k, b]), leader.slope[k, b], float(leader.constant[k, b])
            M = float(follower.upper[k].max() - follower.lower[k, b])
            N = float(leader.upper[k].max() - leader.lower[k, b])
            m.row(f"within_{k}_{b}", [flags[k, b], attained[k, b]], [1.0, -1.0], lower=0.0)  # what attains the best may be played
            optimality[k, b] = m.row(f"best_{k}_{b}", [v[k], *x, flags[k, b]], [1.0, *-U, margin], lower=U0 + margin)
            m.row(f"only_{k}_{b}", [v[k], *x, attained[k, b]], [1.0, *-U, M], upper=U0 + M)
            m.row(f"worst_{k}_{b}", [u[k], *x, flags[k, b]], [1.0, *-R, N], upper=R0 + N)
    return flags, optimality
