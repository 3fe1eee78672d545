r"""The rows that every pair of a policy of a box and a best response to it satisfies, in occupancy form  [D8].

Columns: occupancies m(s, a, b), policy x(c, a), products z(s, a, t) = x(a|s) V_F(t), the follower's values V_F(s), responses y(s, b),
visits d(s). All rows but those of `PRODUCTS` are linear in them as they are; these are the McCormick envelopes of the two products,
x d and x V_F, over the ranges of the box. Rows and columns are the same for every box of a game, only numbers change.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stackopt.exact.occupancy.box import Box, extreme, follower_gain
from stackopt.games.operators import Array
from stackopt.reformulations.ranges import Choices, visit_ranges

if TYPE_CHECKING:
    from scipy.sparse import csr_array

#: The blocks that relax a product.
PRODUCTS = ("policy times visits", "policy times value")


@dataclass(frozen=True, eq=False)
class Block:
    """Rows of one kind.

    Attributes
    ----------
    name : str
    parts : tuple of (int array [k, w], array [k, w])
        Columns and coefficients.
    low, high : float or array [k]
    """

    name: str
    parts: tuple[tuple[Any, Any], ...]
    low: Any
    high: Any

    @property
    def count(self) -> int:
        """Number of rows."""
        return int(self.parts[0][0].shape[0])


class Rows:
    """Columns of a game's occupancy form, and its rows for any box.

    Parameters
    ----------
    game : Choices
        Normalised, its choices the leader's pure actions.

    Attributes
    ----------
    m, x, z, V, y, d : int array
        Columns [S, A, B], [C, A], [S, A, S], [S], [S, B], [S].
    mine : int array [S, A]
        Columns of the policy by state.
    count : int
    moving : array [S, S]
        How much the leader's action changes where the first state leads; 0 where no product with V_F is needed.
    """

    def __init__(self, game: Choices) -> None:
        self.game = game
        S, A, B = game.shape
        self.shape = (S, A, B, game.classes)
        count = 0

        def take(*shape: int) -> NDArray[np.int64]:
            nonlocal count
            size = int(np.prod(shape))
            found = np.arange(count, count + size).reshape(shape)
            count += size
            return found

        self.m, self.x, self.z, self.V, self.y, self.d = take(S, A, B), take(game.classes, A), take(S, A, S), take(S), take(S, B), take(S)
        self.count = count
        self.mine = self.x[game.observations]
        self.moving = np.abs(game.transition - game.transition.mean(1, keepdims=True)).sum((1, 2))
        self._visits = visit_ranges(game, game.initial, game.leader_discount)
        self._pattern: tuple[Any, Any, Any] | None = None

    def cost(self) -> Array:
        """Minus the leader's value, to be minimised; [count]."""
        cost = np.zeros(self.count)
        cost[self.m] = -self.game.leader_reward
        return cost

    def bounds(self, box: Box) -> tuple[Array, Array]:
        """Of the columns."""
        lower, upper = np.zeros(self.count), np.full(self.count, np.inf)
        lower[self.z] = -np.inf
        lower[self.x], upper[self.x] = box.lower, box.upper
        lower[self.V], upper[self.V] = box.value_low, box.value_high
        upper[self.y] = box.allowed.astype(float)
        lower[self.d], upper[self.d] = self.visits(box)
        return lower, upper

    def visits(self, box: Box) -> tuple[Array, Array]:
        """Range of the visits from the initial distribution."""
        low, high = self._visits
        start = self.game.initial
        return np.maximum(low, start @ box.visits_low), np.minimum(high, start @ box.visits_high)

    def matrix(self, box: Box) -> tuple[csr_array, Array, Array]:
        """(matrix, lower sides, upper sides) of all rows; entries that are zero are kept, so that the pattern is always the same."""
        from scipy import sparse

        blocks = list(self.blocks(box))
        values = np.concatenate([np.ravel(part[1]) for block in blocks for part in block.parts])
        if self._pattern is None:
            first = np.cumsum([0] + [block.count for block in blocks])
            rows = np.concatenate([np.repeat(np.arange(at, at + b.count), part[0].shape[1]) for at, b in zip(first, blocks) for part in b.parts])
            columns = np.concatenate([np.ravel(part[0]) for b in blocks for part in b.parts])
            order = np.lexsort((columns, rows))
            starts = np.searchsorted(rows[order], np.arange(first[-1] + 1))
            self._pattern = (order, columns[order].astype(np.int32), starts.astype(np.int32))
        order, columns, starts = self._pattern
        matrix = sparse.csr_array((values[order], columns, starts), shape=(len(starts) - 1, self.count))
        low, high = (np.concatenate([np.broadcast_to(np.asarray(getattr(b, side), float), b.count) for b in blocks]) for side in ("low", "high"))
        return matrix, low, high

    def blocks(self, box: Box) -> Iterator[Block]:
        """The rows for a box, by kind."""
        g = self.game
        S, A, B, C = self.shape
        m, x, z, V, y, d, mine = self.m, self.x, self.z, self.V, self.y, self.d, self.mine
        l, u = box.lower[g.observations], box.upper[g.observations]  # noqa: E741  # [S, A], as in the formula
        dl, du = self.visits(box)
        vl, vu = box.value_low, box.value_high
        flow = -g.leader_discount * np.moveaxis(g.transition, -1, 0)
        flow[np.arange(S), np.arange(S)] += 1.0
        yield Block("flow", ((np.broadcast_to(m, (S, S, A, B)).reshape(S, -1), flow.reshape(S, -1)),), g.initial, g.initial)
        yield Block("visits", ((m.reshape(S, -1), np.ones((S, A * B))), (d[:, None], -np.ones((S, 1)))), 0.0, 0.0)
        yield Block("policy", ((x, np.ones((C, A))),), 1.0, 1.0)
        # M(s, a) = sum_b m(s, a, b) = x(s, a) d(s)
        flat = (S * A, 1)
        mm, mx, md = (m.reshape(S * A, B), np.ones((S * A, B))), mine.reshape(flat), np.repeat(d, A).reshape(flat)
        L, U, DL, DU = l.reshape(-1), u.reshape(-1), np.repeat(dl, A), np.repeat(du, A)
        for a, b, sign in ((L, DL, 1.0), (U, DU, 1.0), (U, DL, -1.0), (L, DU, -1.0)):
            # sign (M - a d - b x + a b) >= 0
            yield Block(PRODUCTS[0], ((mm[0], sign * mm[1]), (md, -(sign * a).reshape(flat)), (mx, -(sign * b).reshape(flat))), -sign * a * b, np.inf)
        # by response: l D_b <= m(s, a, b) <= u D_b, D_b = sum_a m(s, a, b)
        every = np.broadcast_to(np.swapaxes(m, 1, 2)[:, None], (S, A, B, A))
        own = np.broadcast_to(np.eye(A)[None, :, None], (S, A, B, A))
        for a, sign in ((l, 1.0), (u, -1.0)):
            yield Block("policy by response", ((every.reshape(-1, A), (sign * (own - a[:, :, None, None])).reshape(-1, A)),), 0.0, np.inf)
        by_response = (np.swapaxes(m, 1, 2).reshape(S * B, A), np.ones((S * B, A)))
        yy = y.reshape(S * B, 1)
        yield Block("no visits without response", (by_response, (yy, -np.repeat(du, B)[:, None])), -np.inf, 0.0)
        yield Block("visits with response", (by_response, (yy, -np.repeat(dl, B)[:, None])), 0.0, np.inf)
        yield Block("one response", ((y, np.ones((S, B))),), 1.0, 1.0)
        # z(s, a, t) = x(s, a) V(t)
        zz = z.reshape(-1, 1)
        zx, zv = np.repeat(mine.reshape(-1), S)[:, None], np.broadcast_to(V, (S, A, S)).reshape(-1, 1)
        L, U = np.repeat(l.reshape(-1), S), np.repeat(u.reshape(-1), S)
        DL, DU = np.broadcast_to(vl, (S * A, S)).ravel(), np.broadcast_to(vu, (S * A, S)).ravel()
        one = np.ones((len(zz), 1))
        for a, b, sign in ((L, DL, 1.0), (U, DU, 1.0), (U, DL, -1.0), (L, DU, -1.0)):
            yield Block(PRODUCTS[1], ((zz, sign * one), (zv, -(sign * a)[:, None]), (zx, -(sign * b)[:, None])), -sign * a * b, np.inf)
        total = (np.swapaxes(z, 1, 2).reshape(S * S, A), np.ones((S * S, A)))
        yield Block("products add up", (total, (np.broadcast_to(V, (S, S)).reshape(-1, 1), -np.ones((S * S, 1)))), 0.0, 0.0)
        # the follower's Bellman equation
        gamma = g.follower_discount
        xs = np.broadcast_to(mine[:, None], (S, B, A)).reshape(S * B, A)
        rewards = np.swapaxes(g.follower_reward, 1, 2).reshape(S * B, A)
        zs = np.broadcast_to(z[:, None], (S, B, A, S)).reshape(S * B, A * S)
        kernel = np.swapaxes(g.transition, 1, 2).reshape(S * B, A * S)
        vs, unit = np.repeat(V, B)[:, None], np.ones((S * B, 1))
        yield Block("value at least", ((vs, unit), (xs, -rewards), (zs, -gamma * kernel)), 0.0, np.inf)
        q_low = extreme(np.swapaxes(g.follower_reward + gamma * g.transition @ vl, 1, 2), l[:, None], u[:, None], -1.0)
        big = np.maximum(vu[:, None] - q_low, 0.0).reshape(-1)
        yield Block("value at most", ((vs, unit), (xs, -rewards), (zs, -gamma * kernel), (yy, big[:, None])), -np.inf, big)
        # equal discounts: the follower's value is its own reward over the same visits
        same = np.inf if g.leader_discount != gamma else 0.0
        yield Block("value of the visits", ((m.reshape(1, -1), g.follower_reward.reshape(1, -1)), (V[None], -g.initial[None])), -same, same)
        # no response is visited where another is better for every value in the range
        gain = follower_gain(g, vl, vu)  # [S, A, B, B]
        weights = np.moveaxis(gain, 1, -1).reshape(-1, A)
        where = np.broadcast_to(np.swapaxes(m, 1, 2)[:, :, None], (S, B, B, A)).reshape(-1, A)
        yield Block("incentives", ((where, weights),), 0.0, np.inf)
