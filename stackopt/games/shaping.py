r"""Whether the follower's objective is the leader's up to a factor and potential-based shaping.

With equal discounts, :math:`r_F=k\,r_L+\varphi(s)-\gamma\sum_tP(t|s,a,b)\varphi(t)` implies :math:`V_F^{x,y}=k\,V_L^{x,y}+\varphi` for every pair of
policies. So the follower's best responses are the maximisers (k > 0, a team), the minimisers (k < 0, zero-sum), or all
responses (k = 0) of the leader's value, and the commitment is a Markov decision process or a zero-sum game  [D9].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stackopt.games.operators import Array
from stackopt.games.stackelberg import StackelbergGame

#: A fit is accepted if no reward is off by more than this, relative to the largest.
FIT = 1e-11
#: Entries of the dense least-squares matrix at most.
ENTRIES = 20_000_000


@dataclass(frozen=True, eq=False)
class Shaping:
    """The fit.

    Attributes
    ----------
    factor : float
        k; exactly 0 if the follower's reward is shaping alone.
    potential : array [S]
    error : float
        The largest reward left unexplained.
    """

    factor: float
    potential: Array
    error: float

    @property
    def kind(self) -> str:
        """``"team"``, ``"zero-sum"`` or ``"indifferent"``."""
        return "team" if self.factor > 0 else "zero-sum" if self.factor < 0 else "indifferent"


def shaping(game: StackelbergGame) -> Shaping | None:
    """The factor and potential, or None if there are none, or the game is a batch, too large, or of unequal discounts."""
    if game.batch or game.follower_discount != game.leader_discount:
        return None
    S, A, B = game.shape
    if S * A * B * (S + 1) > ENTRIES:
        return None
    P = game.transition.toarray() if game.sparse else game.transition.reshape(S * A * B, S)
    potential = np.repeat(np.eye(S), A * B, axis=0) - game.follower_discount * P
    target = game.follower_reward.ravel()
    scale = max(float(np.abs(target).max()), 1e-300)
    # the potential alone first: then k is not determined, and everything is a tie
    alone = np.linalg.lstsq(potential, target, rcond=None)[0]
    error = float(np.abs(potential @ alone - target).max())
    if error <= FIT * scale:
        return Shaping(0.0, alone, error)
    both = np.column_stack([potential, game.leader_reward.ravel()])
    fitted = np.linalg.lstsq(both, target, rcond=None)[0]
    error = float(np.abs(both @ fitted - target).max())
    if error > FIT * scale or fitted[-1] == 0.0:
        return None
    return Shaping(float(fitted[-1]), fitted[:-1], error)
