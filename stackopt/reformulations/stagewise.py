r"""Strong commitment when the follower's response is stage-wise: one linear program over visits  [P1].

If the follower is myopic, or its action does not change where the state goes, its best action in a state depends on the
leader's mixed action there alone. With the visits :math:`m(s,a,b)\ge0` of the pair:

.. math::
    \max\ \langle m,r_L\rangle\quad\text{s.t.}\quad
    \sum_{ab}m(t,a,b)-\gamma_L\sum P(t|s,a,b)m(s,a,b)=\rho(t),\qquad
    \sum_am(s,a,b)\,[r_F(s,a,b)-r_F(s,a,b')]\ge0\ \ \forall s,b,b'.

*Proof.* A pair (x, y) with y a best response gives a feasible m of the same value. Conversely, m is a policy of the MDP whose
actions in s are the pairs (b, x_b) with b a best response to x_b; an MDP has a deterministic optimal policy, that is, one b and
one x_b in each state. The leader must see the state.

No integer variable, no big-M, polynomial.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stackopt.games.operators import Array
from stackopt.games.stackelberg import StackelbergGame
from stackopt.programs.milp import Ints, Milp, MilpBuilder
from stackopt.reformulations.formulation import choices_of


@dataclass(frozen=True, eq=False)
class StagewiseProgram:
    """The linear program and the way back.

    Attributes
    ----------
    milp : Milp
        Without integer columns; its value is v^S.
    visits : int array [S, A, B]
        Columns of m.
    incentives : int array [S, B, B]
        Rows "b is at least as good as b'" at [s, b, b']; -1 where b = b'.
    """

    milp: Milp
    visits: Ints
    incentives: Ints
    tag: str = "P1"

    def response(self, point: Array) -> np.ndarray:
        """The action of most weight in each state, int [S]; where an optimal m mixes, each of its actions is optimal."""
        chosen: np.ndarray = point[self.visits].sum(1).argmax(-1)
        return chosen

    def lift(self, point: Array) -> Array:
        """The leader policy [S, A] that goes with `response`; uniform in states that are never visited."""
        m = np.clip(point[self.visits], 0.0, None)
        weights = m[np.arange(len(m)), :, self.response(point)]
        weights = np.where(weights.sum(-1, keepdims=True) > 1e-12, weights, 1.0)
        policy: Array = weights / weights.sum(-1, keepdims=True)
        return policy

    def polished(self, point: Array, slack: float) -> Milp:
        """The program with the response of `point` prescribed, better than any other action by `slack` per visit."""
        return self._keeping(self.response(point), slack)

    def answered(self, response: Array) -> Milp | None:
        """Nothing to gain: the program itself is linear."""
        return None

    def _keeping(self, response: np.ndarray, slack: float) -> Milp:
        S, _, B = self.visits.shape
        others = self.visits.transpose(0, 2, 1)[np.arange(B) != response[:, None]].ravel()
        program = self.milp.fixed(others, np.zeros(len(others)))
        for s, b in np.ndindex(S, B):
            if slack and b != response[s]:
                program = program.plus(int(self.incentives[s, response[s], b]), self.visits[s, :, response[s]], -slack)
        return program


def stagewise_program(game: StackelbergGame) -> StagewiseProgram:
    """The program P1 of a game whose follower is myopic or cannot move the state, and whose leader sees the state.

    Parameters
    ----------
    game : StackelbergGame
    """
    S, A, B = game.shape
    P = choices_of(game, np.eye(A)).transition
    m = MilpBuilder("strong commitment, stage-wise responses")
    visits = m.columns("m", (S, A, B), 0.0, 1.0 / (1.0 - game.leader_discount) + 1e-6, objective=game.leader_reward)
    for t in range(S):
        flow = -game.leader_discount * P[..., t]
        flow[t] += 1.0
        m.row(f"flow_{t}", visits, flow, game.initial[t], game.initial[t])
    incentives = np.full((S, B, B), -1, np.int64)
    for s, b, c in np.ndindex(S, B, B):
        if b != c:
            better = game.follower_reward[s, :, b] - game.follower_reward[s, :, c]
            incentives[s, b, c] = m.row(f"incentive_{s}_{b}_{c}", visits[s, :, b], better, lower=0.0)
    return StagewiseProgram(m.build(), visits, incentives)
