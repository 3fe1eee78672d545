r"""All fixed points of a tiny game: stationary policy pairs in which each is a best response to the other  [A.3].

One support at a time. Where the leader plays :math:`A_s` and the follower :math:`B_s` in state s, both with positive probability, each is
indifferent over what it plays:

.. math::
    \sum_b y(b|s)[r_L+\gamma_LPV_L](s,a,b)=V_L(s)\ \ (a\in A_s),\qquad
    \sum_a x(a|s)[r_F+\gamma_FPV_F](s,a,b)=V_F(s)\ \ (b\in B_s),\qquad \sum x=\sum y=1 .

This square system is solved by Newton's method from several starts. A solution counts if its probabilities are non-negative and
the game itself finds no better response for either. With one state, or pure supports, the system is linear and its only solution is
found; with several states mixed fixed points may be missed, and the result says so. Supports of equal size in each state suffice
except in degenerate games, which have a continuum of fixed points or ties off the support; these are pointed out.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stackopt.display import Block, number
from stackopt.errors import Refused
from stackopt.games.dynamic_programming import optimal_value, policy_value
from stackopt.games.operators import Array, follower_mdp, leader_mdp
from stackopt.games.profile import Profile
from stackopt.games.stackelberg import StackelbergGame

#: Supports tried at most.
SUPPORTS = 20_000
#: Newton starts for supports that are not pure, in games of several states.
STARTS = 6
#: Regret of either player at most, relative to the size of its values.
REGRET = 1e-9


@dataclass(frozen=True, eq=False, repr=False)
class FixedPoints:
    """What the enumeration found.

    Attributes
    ----------
    game : StackelbergGame
    profiles : tuple of Profile
        With concept ``"fixed_point"`` and the leader's value as claim, best for the leader first.
    follower_values : array [k]
    complete : bool
        Whether there are no others: one state, and no degenerate support was met.
    because : str
        What decides that.
    supports : int
        Supports tried.
    """

    game: StackelbergGame
    profiles: tuple[Profile, ...]
    follower_values: Array
    complete: bool
    because: str
    supports: int

    def __len__(self) -> int:
        return len(self.profiles)

    def block(self) -> Block:
        """The printed form: one row per fixed point."""
        count = len(self.profiles)
        word = "all" if self.complete else "perhaps not all"
        title = f'{count} fixed point{"s" * (count != 1)} of "{self.game.name}" ({word})'
        rows = []
        for i, (profile, follower) in enumerate(zip(self.profiles, self.follower_values)):
            pure = (profile.leader_policy.max(-1) > 1 - 1e-9).all() and (profile.follower_policy.max(-1) > 1 - 1e-9).all()
            rows.append((str(i), f"leader {number(profile.claimed)}, follower {number(follower)}, {'pure' if pure else 'mixed'}"))
        return Block(title, (*rows, ("why", self.because)), good=self.complete)

    def __repr__(self) -> str:
        return self.block().text()

    def _repr_html_(self) -> str:
        return self.block().html()


def fixed_points(game: StackelbergGame, *, seed: int = 0) -> FixedPoints:
    """Every fixed point that support enumeration finds in a tiny game.

    Parameters
    ----------
    game : StackelbergGame
        A single, dense game whose leader sees the state; (supports per state) ** states at most `SUPPORTS`.
    seed : int
        Of the starts.

    Raises
    ------
    Refused
        ``single-game``, ``observation-fixed-point`` or ``too-large``.

    Examples
    --------
    >>> import stackopt as so
    >>> found = so.fixed_points(so.catalog.build("commitment_2x2"))
    >>> len(found), found.complete, round(found.profiles[0].claim, 6)
    (1, True, 2.0)
    """
    if game.batch:
        raise Refused("single-game", method="fixed_points", batch=game.batch)
    if not game.leader_sees_state:
        raise Refused("observation-fixed-point")
    S, A, B = game.shape
    per_state = [
        (a, b) for size in range(1, min(A, B) + 1) for a in itertools.combinations(range(A), size) for b in itertools.combinations(range(B), size)
    ]
    total = float(len(per_state)) ** S
    if total > SUPPORTS or game.sparse:
        raise Refused("too-large", what=f"{total:.3g} supports of {S} states x {A} x {B} actions to try; the limit is {SUPPORTS}")
    search = _Search(game, np.random.default_rng(seed))
    for supports in itertools.product(per_state, repeat=S):
        search.support(supports)
    return search.result(int(total))


Supports = tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]


class _Search:
    def __init__(self, game: StackelbergGame, rng: np.random.Generator) -> None:
        self.game, self.rng = game, rng
        self.found: list[tuple[Array, Array, float, float]] = []
        self.degenerate = False
        sizes = (np.abs(game.leader_reward).max(), game.leader_discount), (np.abs(game.follower_reward).max(), game.follower_discount)
        self.scale = tuple(float(size) / (1 - discount) or 1.0 for size, discount in sizes)

    def support(self, supports: Supports) -> None:
        """Solve one support's system and keep what the game confirms."""
        S, A, B = self.game.shape
        mine, theirs = np.zeros((S, A), bool), np.zeros((S, B), bool)
        for s, (a, b) in enumerate(supports):
            mine[s, list(a)], theirs[s, list(b)] = True, True
        linear = S == 1 or (mine.sum() == S and theirs.sum() == S)
        for start in range(1 if linear else STARTS):
            solution = self._newton(mine, theirs, start)
            if solution is not None:
                self._offer(*solution)

    def _newton(self, mine: NDArray[np.bool_], theirs: NDArray[np.bool_], start: int) -> tuple[Array, Array] | None:
        S, A, B = self.game.shape
        nx, ny = int(mine.sum()), int(theirs.sum())
        x, y = mine / mine.sum(1, keepdims=True), theirs / theirs.sum(1, keepdims=True)
        if start:
            x, y = mine * self.rng.exponential(size=(S, A)), theirs * self.rng.exponential(size=(S, B))
            x, y = x / x.sum(1, keepdims=True), y / y.sum(1, keepdims=True)
        v, w = policy_value(leader_mdp(self.game, y), x), policy_value(follower_mdp(self.game, x), y)
        for _ in range(60):
            residual, jacobian = self._system(x, y, v, w, mine, theirs)
            size = float(np.abs(residual).max())
            if not np.isfinite(size):
                return None
            if size <= 1e-13 * max(self.scale):
                break
            try:
                step = np.linalg.solve(jacobian, -residual)
            except np.linalg.LinAlgError:
                step = np.linalg.lstsq(jacobian, -residual, rcond=None)[0]
            x, y = x.copy(), y.copy()
            x[mine] += step[:nx]
            y[theirs] += step[nx : nx + ny]
            v, w = v + step[nx + ny : nx + ny + S], w + step[nx + ny + S :]
        else:
            return None
        if np.linalg.cond(jacobian) > 1e12:
            self.degenerate = True
        if x.min() < -1e-9 or y.min() < -1e-9:
            return None
        x, y = np.clip(x, 0.0, None), np.clip(y, 0.0, None)
        return x / x.sum(1, keepdims=True), y / y.sum(1, keepdims=True)

    def _system(self, x: Array, y: Array, v: Array, w: Array, mine: NDArray[np.bool_], theirs: NDArray[np.bool_]) -> tuple[Array, Array]:
        """Residual and Jacobian in (x on its support, y on its support, V_L, V_F)."""
        g = self.game
        S = g.shape[0]
        nx, ny = int(mine.sum()), int(theirs.sum())
        q_leader = g.leader_reward + g.leader_discount * g.transition @ v
        q_follower = g.follower_reward + g.follower_discount * g.transition @ w
        sa, aa = np.nonzero(mine)
        sb, bb = np.nonzero(theirs)
        leader = np.einsum("sab,sb->sa", q_leader, y)[mine] - v[sa]
        follower = np.einsum("sab,sa->sb", q_follower, x)[theirs] - w[sb]
        residual = np.concatenate([leader, follower, x.sum(1) - 1.0, y.sum(1) - 1.0])
        J = np.zeros((len(residual), nx + ny + 2 * S))
        J[:nx, nx : nx + ny] = np.where(sa[:, None] == sb, q_leader[sa[:, None], aa[:, None], bb], 0.0)
        J[:nx, nx + ny : nx + ny + S] = g.leader_discount * np.einsum("sabt,sb->sat", g.transition, y)[mine] - np.eye(S)[sa]
        J[nx : nx + ny, :nx] = np.where(sb[:, None] == sa, q_follower[sb[:, None], aa, bb[:, None]], 0.0)
        J[nx : nx + ny, nx + ny + S :] = g.follower_discount * np.einsum("sabt,sa->sbt", g.transition, x)[theirs] - np.eye(S)[sb]
        J[nx + ny : nx + ny + S, :nx] = np.arange(S)[:, None] == sa
        J[nx + ny + S :, nx : nx + ny] = np.arange(S)[:, None] == sb
        return residual, J

    def _offer(self, x: Array, y: Array) -> None:
        """Keep a pair if neither player has a better response and it is new."""
        g = self.game
        leader, follower = leader_mdp(g, y), follower_mdp(g, x)
        v, w = policy_value(leader, x), policy_value(follower, y)
        best = optimal_value(leader), optimal_value(follower)
        if (best[0].value - v).max() > REGRET * self.scale[0] or (best[1].value - w).max() > REGRET * self.scale[1]:
            return
        ties = [(b.action_values >= b.value[:, None] - 1e-9 * s).sum() for b, s in zip(best, self.scale)]
        if ties[0] > (x > 1e-9).sum() or ties[1] > (y > 1e-9).sum():
            self.degenerate = True
        if all(np.abs(x - other[0]).max() + np.abs(y - other[1]).max() > 1e-6 for other in self.found):
            self.found.append((x, y, float(g.initial @ v), float(g.initial @ w)))

    def result(self, tried: int) -> FixedPoints:
        ordered = sorted(self.found, key=lambda f: -f[2])
        profiles = tuple(Profile(x, y, concept="fixed_point", claim=v) for x, y, v, _ in ordered)
        one = self.game.shape[0] == 1
        complete = one and not self.degenerate
        because = (
            "one state and no degenerate support: every support's system is linear" if complete
            else "a degenerate support: there may be a continuum of fixed points" if self.degenerate
            else "pure ones are all here; mixed ones of several states are found by Newton's method from several starts"
        )
        return FixedPoints(self.game, profiles, np.array([f[3] for f in ordered]), complete, because, tried)
