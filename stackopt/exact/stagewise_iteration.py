r"""Strong commitment with stage-wise responses by policy iteration: the linear program P1, solved block by block  [P1].

Where the follower's comparison of two actions depends on the leader's mixed action in that state alone, v^S is the value of a Markov
decision process whose actions in s are the pairs (b, x) with b a best response to x. For given values of the next states the best x of
each pair (s, b) is a small linear program; all of them together are one block-diagonal program that is kept warm while only
its costs change. The dense flow rows of P1 never appear.

*Bound.* T is the optimal operator of that process, a contraction: if TV <= V + e everywhere then v^S <= V + e / (1 - discount). Tolerances of
the linear programs are added to e.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from stackopt.backends.warm import WarmLp
from stackopt.certificate import Bound
from stackopt.exact.commitment import CommitmentValue
from stackopt.games.dynamic_programming import solve_values
from stackopt.games.operators import Array
from stackopt.games.profile import Profile
from stackopt.games.stackelberg import StackelbergGame
from stackopt.solution import STRONG_VALUE, Run, Status

#: Below this many triples (s, a, b) the linear program P1 itself is solved, twice and with confirmation.
TRIPLES = 400
#: The gap that counts as closed, relative.
CLOSED = 5e-7
#: By how much, relative to the follower's rewards, a response of the returned policy is better than the others where it can be.
MARGIN = 1e-10
#: Incentives that fail by less than this, relative, count as kept in the bound; optima of the blocks are known to this.
ROUNDING = 2e-9
#: Policy improvements at most; a dozen is usual.
IMPROVEMENTS = 200


def run_stagewise(game: StackelbergGame) -> Run[Profile] | None:
    """The strong commitment over all policies; None if the gap stays open, which leaves it to the linear program.

    Parameters
    ----------
    game : StackelbergGame
        Its follower myopic or unable to move the state, its leader seeing the state.
    """
    blocks = _Blocks(game)
    value, bound = np.zeros(game.shape[0]), np.inf
    policy = response = None
    for step in range(1, IMPROVEMENTS + 1):
        best, policies = blocks.solve(value)
        if best is None:
            return None
        response = best.argmax(1)
        policy = policies[np.arange(len(response)), response]
        residual = float((best.max(1) - value).max()) + ROUNDING * float(np.abs(best[np.isfinite(best)]).max())
        bound = min(bound, float(game.initial @ value) + max(residual, 0.0) / (1.0 - game.leader_discount))
        new = _value(game, policy, response)
        if step > 1 and float(np.abs(new - value).max()) <= 1e-12 * (1.0 + float(np.abs(value).max())):
            break
        value = new
    assert policy is not None
    evaluate = CommitmentValue(game, "strong")
    worth = max((evaluate.worth(x) for x in (policy, blocks.apart(response, policy, value))), key=lambda w: w.value)
    gap = bound - worth.value
    if not gap <= CLOSED * max(1.0, abs(worth.value)):
        return None
    profile = Profile(worth.policy, worth.response, concept="strong", claim=worth.value)
    said = f"gap {max(gap, 0.0):.2g} after {step} policy improvements"
    return Run(Status.OPTIMAL, profile, Bound(max(bound, worth.value), STRONG_VALUE, "P1"), {"improvements": step, "formulation": "P1"}, said)


def _value(game: StackelbergGame, policy: Array, response: Any) -> Array:
    S, A, B = game.shape
    states = np.arange(S)
    reward = np.einsum("sa,sa->s", policy, game.leader_reward[states, :, response])
    if not game.sparse:
        return solve_values(np.einsum("sa,sat->st", policy, game.transition[states, :, response]), reward, game.leader_discount)
    from scipy import sparse

    rows = ((states[:, None] * A + np.arange(A)) * B + np.asarray(response)[:, None]).ravel()
    mix = sparse.csr_matrix((policy.ravel(), rows, np.arange(S + 1) * A), shape=(S, S * A * B))
    return solve_values((mix @ game.transition).tocsr(), reward, game.leader_discount)


class _Blocks:
    """For every (s, b) that can be a best response: max over x of the leader's continuation, b optimal against x."""

    def __init__(self, game: StackelbergGame) -> None:
        from scipy import sparse

        self.game = game
        S, A, B = game.shape
        self.scale = float(np.ptp(game.follower_reward)) or 1.0
        difference = (game.follower_reward[..., :, None] - game.follower_reward[..., None, :]) / self.scale  # [S, A, b, b']
        gains = np.moveaxis(difference, 1, -1)  # [S, b, b', A]
        most = self._margins(gains.reshape(S * B, B, A))
        self.room = most.reshape(S, B)
        keep = np.flatnonzero(most >= -ROUNDING)
        self.states, self.responses = np.divmod(keep, B)
        K = len(keep)
        rows = gains.reshape(S * B, B, A)[keep]  # [K, b', A]
        r, c = np.repeat(np.arange(K * B), A), (np.repeat(np.arange(K), B * A) * A + np.tile(np.arange(A), K * B))
        matrix = sparse.vstack([
            sparse.csr_array((rows.ravel(), (r, c)), shape=(K * B, K * A)), sparse.kron(sparse.eye_array(K), np.ones((1, A)), format="csr"),
        ], format="csr")
        matrix.eliminate_zeros()
        # an incentive may fail by rounding: a bound must not depend on a corner that tolerances cut off
        slack = np.minimum(np.repeat(most[keep], B), 0.0) - ROUNDING
        low, high = np.concatenate([slack, np.ones(K)]), np.concatenate([np.full(K * B, np.inf), np.ones(K)])
        self.lp = WarmLp(np.zeros(K * A), sparse.csr_array(matrix), low, high, np.zeros(K * A), np.ones(K * A), strategy=4)
        self.gains = rows

    @staticmethod
    def _margins(gains: Array) -> Array:
        """The most by which each b can be better than all others, over x, at most 1; [K], from gains [K, b', A], K = S * B."""
        from scipy import sparse

        K, B, A = gains.shape
        others = (np.arange(B) != (np.arange(K) % B)[:, None]).ravel().astype(float)  # t <= gains @ x for b' other than b
        r = np.repeat(np.arange(K * B), A)
        c = np.repeat(np.arange(K), B * A) * A + np.tile(np.arange(A), K * B)
        rows = sparse.csr_array((gains.ravel(), (r, c)), shape=(K * B, K * A))
        t = sparse.csr_array((-others, (np.arange(K * B), np.repeat(np.arange(K), B))), shape=(K * B, K))
        sums = sparse.hstack([sparse.kron(sparse.eye_array(K), np.ones((1, A))), sparse.csr_array((K, K))], format="csr")
        matrix = sparse.csr_array(sparse.vstack([sparse.hstack([rows, t], format="csr"), sums], format="csr"))
        lp = WarmLp(
            np.concatenate([np.zeros(K * A), -np.ones(K)]), matrix, np.concatenate([np.zeros(K * B), np.ones(K)]),
            np.concatenate([np.full(K * B, np.inf), np.ones(K)]), np.concatenate([np.zeros(K * A), np.full(K, -2.0)]), np.ones(K * A + K), strategy=1,
        )
        return lp.x[K * A :] if lp.solve() is Status.OPTIMAL else np.zeros(K)

    def solve(self, value: Array) -> tuple[Array | None, Array]:
        """(best continuation [S, B], -inf where b is never a best response; policies [S, B, A])."""
        S, A, B = self.game.shape
        future = (self.game.transition @ value).reshape(S, A, B)
        q = self.game.leader_reward + self.game.leader_discount * future
        cost = q[self.states, :, self.responses]  # [K, A]
        scale = float(np.abs(cost).max()) or 1.0
        self.lp.costs(np.arange(cost.size), -cost.ravel() / scale)
        best, policies = np.full((S, B), -np.inf), np.full((S, B, A), 1.0 / A)
        if self.lp.solve() is not Status.OPTIMAL:
            return None, policies
        x = np.clip(self.lp.x.reshape(-1, A), 0.0, 1.0)
        x /= x.sum(1, keepdims=True)
        policies[self.states, self.responses] = x
        best[self.states, self.responses] = (x * cost).sum(1)
        return best, policies

    def apart(self, response: Any, policy: Array, value: Array) -> Array:
        """The policy moved so that its responses are better than the others by a margin, where that is possible."""
        S, _, B = self.game.shape
        low = np.minimum(np.repeat(self.room[self.states, self.responses][:, None], B, axis=1), 0.0)
        apart = (self.responses == np.asarray(response)[self.states]) & (self.room[self.states, self.responses] > 2 * MARGIN)
        low[apart[:, None] & (np.arange(B) != self.responses[:, None])] = MARGIN
        self.lp.row_bounds(np.arange(low.size), low.ravel(), np.full(low.size, np.inf))
        best, policies = self.solve(value)
        return policy if best is None else policies[np.arange(S), response]
