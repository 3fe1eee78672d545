"""What the commitment programs have in common: the game as choices, and a program with the way back to policies."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np

from stackopt.games.operators import Array
from stackopt.games.stackelberg import StackelbergGame
from stackopt.programs.milp import Ints, Milp, MilpBuilder
from stackopt.reformulations.ranges import Choices, visit_ranges


@dataclass(frozen=True, eq=False)
class Formulation:
    """A program whose solutions are leader policies.

    Attributes
    ----------
    milp : Milp
        Its optimum is the best leader value of the search.
    leader : int array [K, J]
        Columns of the leader's weights on its J choices, for each of K observation classes.
    response : int array [S, B]
        Binary columns: the response (strong) or the actions that may be played (weak).
    points : array [J, A]
        The mixed action of each choice.
    observations : int array [S]
    tag : str
        Where it is proved, e.g. ``"D1"``.
    pure : bool
        Whether the leader picks exactly one choice per class.
    optimality : int array [S, B] or None
        The rows V_F(s) >= Q_F(s, b), where there is one for each (s, b).
    """

    milp: Milp
    leader: Ints
    response: Ints
    points: Array
    observations: np.ndarray
    tag: str
    pure: bool
    optimality: Ints | None = None

    def lift(self, point: Array) -> Array:
        """The leader policy [S, A] of a solution vector: weights are projected to the simplex, or rounded if pure."""
        weights = np.clip(point[self.leader], 0.0, 1.0)
        if self.pure:
            weights = np.eye(weights.shape[1])[weights.argmax(-1)]
        policy = weights @ self.points
        policy = policy / policy.sum(-1, keepdims=True)
        result: Array = policy[self.observations]
        return result

    def polished(self, point: Array, slack: float) -> Milp:
        """The integer columns of `point` rounded and fixed; actions that are not flagged worse by `slack` (relative)."""
        whole = np.flatnonzero(self.milp.integer)
        rounded = self.milp.fixed(whole, np.round(point[whole]))
        if not slack or self.optimality is None:
            return rounded
        lower = rounded.row_lower.copy()
        lower[self.optimality[point[self.response] < 0.5]] += slack * (1.0 + float(np.abs(lower).max(where=np.isfinite(lower), initial=0.0)))
        return replace(rounded, row_lower=lower)

    def answered(self, response: Array) -> Milp | None:
        """The program for one deterministic response [S, B], or None if the leader's part would stay integer."""
        if not np.isin(np.flatnonzero(self.milp.integer), self.response).all():
            return None
        return self.milp.fixed(self.response.ravel(), response.ravel())


def simplex_grid(actions: int, grid: int) -> Array:
    """All mixed actions with weights in multiples of 1 / grid, [J, A]; ``grid=1`` gives the pure ones."""
    if grid == 1:
        return np.eye(actions)
    cuts = itertools.combinations(range(grid + actions - 1), actions - 1)
    parts = [np.diff((-1, *cut, grid + actions - 1)) - 1 for cut in cuts]
    return np.asarray(parts, float) / grid


def grid_size(actions: int, grid: int) -> int:
    """How many mixed actions `simplex_grid` has."""
    return math.comb(grid + actions - 1, actions - 1)


def choices_of(game: StackelbergGame, points: Array) -> Choices:
    """The game with the leader restricted to the mixed actions `points` [J, A]."""
    S, A, B = game.shape
    dense = game.transition.toarray().reshape(S, A, B, S) if game.sparse else game.transition
    return Choices(
        points,
        np.einsum("ja,sab->sjb", points, game.leader_reward),
        np.einsum("ja,sab->sjb", points, game.follower_reward),
        np.einsum("ja,sabt->sjbt", points, dense),
        game.leader_discount,
        game.follower_discount,
        game.initial,
        game.observations,
    )


def occupancy_columns(
    builder: MilpBuilder, name: str, choices: Choices, discount: float, leader: Ints, response: Ints
) -> Ints:
    r"""Discounted visits :math:`m(s,j,b)` of a policy pair, and rows that tie them to it; columns [S, J, B].

    Flow: :math:`\sum_{jb}m(t,j,b)-\gamma\sum P(t|s,j,b)m(s,j,b)=\rho(t)`. With :math:`d(s)=\sum_{jb}m(s,j,b)` in the proven range
    :math:`[d_-,d_+]` of `visit_ranges`: :math:`d_-y(s,b)\le\sum_jm(s,j,b)\le d_+y(s,b)`, and :math:`\sum_bm(s,j,b)=x(j|s)d(s)` by its
    four McCormick rows. The true visits of (x, y) satisfy every row, so the rows never cut off a policy pair. For binary x and
    y they admit nothing but the true visits; for mixed x they are a relaxation that tightens the bound.
    """
    S, J, B = choices.shape
    low, high = visit_ranges(choices, choices.initial, discount)
    m = builder.columns(name, (S, J, B), 0.0, np.broadcast_to(high[:, None, None], (S, J, B)))
    for t in range(S):
        flow = -discount * choices.transition[..., t]
        flow[t] += 1.0
        builder.row(f"{name}_flow_{t}", m, flow, choices.initial[t], choices.initial[t])
    for s in range(S):
        for b in range(B):
            columns, ones = [*m[s, :, b], response[s, b]], np.ones(J)
            builder.row(f"{name}_most_{s}_{b}", columns, [*ones, -high[s]], upper=0.0)
            if low[s] > 0:
                builder.row(f"{name}_least_{s}_{b}", columns, [*ones, -low[s]], lower=0.0)
        for j in range(J):
            x = leader[choices.observations[s], j]
            mine = np.zeros((J, B))
            mine[j] = 1.0
            builder.row(f"{name}_up_{s}_{j}", [*m[s, j], x], [*np.ones(B), -high[s]], upper=0.0)
            builder.row(f"{name}_joint_{s}_{j}", [*m[s].ravel(), x], [*(mine - 1).ravel(), -high[s]], lower=-high[s])
            if low[s] > 0:
                builder.row(f"{name}_down_{s}_{j}", [*m[s, j], x], [*np.ones(B), -low[s]], lower=0.0)
                builder.row(f"{name}_apart_{s}_{j}", [*m[s].ravel(), x], [*(mine - 1).ravel(), -low[s]], upper=-low[s])
    return m

