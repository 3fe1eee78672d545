r"""Strong commitment in a security game: one small linear program per attacked target  [D7.2].

If target :math:`t` is attacked, the best coverage solves

.. math::
    \max_{c\in[0,1]^T,\ \sum c\le m} c_tD_t+(1-c_t)d_t\quad\text{s.t.}\quad c_tA_t+(1-c_t)a_t\ \ge\ c_jA_j+(1-c_j)a_j+\epsilon\ \ \forall j\ne t,

with :math:`\epsilon=0`; the strong commitment is the best over :math:`t` (Conitzer and Sandholm's programs in marginals; Kiekintveld
et al. 2009). No integer variable and no big-M. With :math:`\epsilon>0` the attacked target is strictly best, so the value also holds
when ties go against the defender.

The weak commitment with a margin, in which several targets may be within the margin of the best, is `security_weak`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stackopt.games.operators import Array
from stackopt.games.security import Coverage, SecurityGame
from stackopt.programs.milp import Milp, MilpBuilder
from stackopt.reformulations.static_commitment import Affine, StaticProgram, weak_rows


@dataclass(frozen=True, eq=False)
class AttackedTarget:
    """The program of one attacked target and the way back.

    Attributes
    ----------
    milp : Milp
        A linear program; infeasible if no coverage makes the target a best one. Its columns are the coverage.
    target : int
    margin : float
        By how much the target must be better than any other; 0 for the strong concept.
    """

    milp: Milp
    target: int
    margin: float

    def lift(self, point: Array) -> Coverage:
        """The coverage of a solution vector, clipped to [0, 1]; the claim is the program's value at `point`."""
        concept = "weak" if self.margin else "strong"
        return Coverage(np.clip(point, 0.0, 1.0), self.target, concept, self.margin, self.milp.value(point))  # type: ignore[arg-type]


def attacked_target(game: SecurityGame, target: int, margin: float = 0.0) -> AttackedTarget:
    """The best coverage for which `target` is a best target of the attacker.

    Parameters
    ----------
    game : SecurityGame
    target : int
    margin : float
        In the attacker's payoff.
    """
    T = game.size
    gain = game.attacker_covered - game.attacker_uncovered
    helps = game.defender_covered - game.defender_uncovered
    objective = np.zeros(T)
    objective[target] = helps[target]
    m = MilpBuilder(f"coverage, target {target} attacked", offset=float(game.defender_uncovered[target]))
    c = m.columns("c", (T,), 0.0, 1.0, objective=objective)
    m.row("resources", c, 1.0, upper=float(game.resources))
    for j in range(T):
        if j != target:
            level = float(game.attacker_uncovered[j] - game.attacker_uncovered[target]) + margin
            m.row(f"best_{j}", [c[target], c[j]], [gain[target], -gain[j]], lower=level)
    return AttackedTarget(m.build(), target, margin)


def attacked_targets(game: SecurityGame, margin: float = 0.0) -> tuple[AttackedTarget, ...]:
    """One program per target; the strong commitment is the best of those that are feasible, and one always is.

    Parameters
    ----------
    game : SecurityGame
    margin : float
        0 for the strong concept.
    """
    return tuple(attacked_target(game, t, margin) for t in range(game.size))


def security_weak(game: SecurityGame, margin: float) -> StaticProgram:
    """The weak commitment with a margin: targets worse by less than `margin` for the attacker count as ties  [D7.3].

    Parameters
    ----------
    game : SecurityGame
    margin : float
        Positive, in the attacker's payoff.
    """
    T = game.size
    m = MilpBuilder("weak commitment, security game")
    c = m.columns("c", (T,), 0.0, 1.0)
    m.row("resources", c, 1.0, upper=float(game.resources))
    attacker, defender = (
        Affine(np.diag(covered - bare)[None], bare[None], np.minimum(covered, bare)[None], np.maximum(covered, bare)[None])
        for covered, bare in ((game.attacker_covered, game.attacker_uncovered), (game.defender_covered, game.defender_uncovered))
    )
    flags, optimality = weak_rows(m, c, attacker, defender, [1.0], margin)
    return StaticProgram(m.build(), c, flags, optimality, mixed=False, tag="D7.3", strong=False)
