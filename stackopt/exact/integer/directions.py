r"""Direction branching: branch-and-bound whose branches are what stops the follower from improving.

The disjunctions of `pool` hold at every bilevel-feasible point. A node bounds columns and follower rows. In it, a direction
with no alternative left closes the node, one with a single alternative left tightens it. At the relaxation's point, among the
directions with no alternative satisfied, the one whose nearest alternative is farthest is branched on, child i with alternative i and
none of the earlier ones: a partition of the bilevel-feasible points of the node.

If no known direction is violated, a fractional point is branched on as usual. At a whole one the follower is solved. If its part is not
optimal, an integer follower's optimum gives a new direction, violated here. With continuous columns a direction need not be violated, and
each linking decision gives one at most; then the node is split by what the follower sees, its value bounded over each part
(`activities`), or the completed decision is split off. Every child loses a step of some bounded integer quantity, or settles one of
finitely many directions, so the search is finite.

Improving directions as sources of intersection cuts: Battista and Ralphs (2025), arXiv:2511.03566. Branching on them makes follower rows
tight, as complementarity branching does for linear followers.
"""

from __future__ import annotations

import heapq
import itertools
from typing import TYPE_CHECKING

import numpy as np

from stackopt.backends.warm import WarmLp
from stackopt.bilevel.point import Array
from stackopt.exact.integer.activities import Activities
from stackopt.exact.integer.form import SLIGHT
from stackopt.exact.integer.mip import WHOLE
from stackopt.exact.integer.pool import IMPROVES, ROUNDING, Pool, Sides, exchanges, pairs, triples
from stackopt.exact.integer.state import RelaxationUnbounded, SolverFault, State
from stackopt.solution import Status

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Node = tuple[Array, Array]
#: Nodes with the small pool before more directions are added.
SMALL = 400
#: Columns of a follower up to which exchanges of continuous columns are directions from the start.
SMALL_FOLLOWER = 20
#: Rounds of propagation in a node.
ROUNDS = 12


class DirectionBranching:
    """The search; `run` raises what `State` raises, and returns when the tree is empty.

    Parameters
    ----------
    state : State
    lower, upper : array [n]
    rows : (sparse [k, n], array [k]), optional
        Cuts: rows that every bilevel-feasible point satisfies, from below.
    bound : float
        Lower bound on the optimum that is known already.
    """

    def __init__(
        self, state: State, lower: Array, upper: Array, *, rows: tuple[csr_array, Array] | None = None, bound: float = -np.inf
    ) -> None:
        from scipy import sparse

        form = state.form
        self.state, self.form = state, form
        self.sides = Sides(form, state.replies, lower, upper)
        count = form.follower_rows
        self.activities = None if self.sides.whole else Activities(state.replies)
        if self.activities is not None:
            self.sides.watch(self.activities.wide())
        self.pool = Pool(self.sides)
        self.pool.extend(pairs(form))
        if self.activities is not None and len(form.mine) <= SMALL_FOLLOWER:
            self.pool.extend(exchanges(form, state.replies.own.toarray()))
        self._learnt: set[bytes] = set()
        self.rich = False
        matrix, row_lower, row_upper = form.matrix, form.row_lower.copy(), form.row_upper.copy()
        own = slice(len(lower), len(lower) + count)
        row_lower[:count], row_upper[:count] = self.sides.lower[own], self.sides.upper[own]
        if rows is not None:
            matrix = sparse.csr_array(sparse.vstack([matrix, rows[0]], format="csr"))
            row_lower, row_upper = np.concatenate([row_lower, rows[1]]), np.concatenate([row_upper, np.full(len(rows[1]), np.inf)])
        watched = np.arange(0)
        if self.activities is not None:  # activities, then the follower's value
            value = np.zeros((1, len(lower)))
            value[0, form.mine] = form.d
            watched = matrix.shape[0] + np.arange(len(self.activities.rhs) + 1)
            free = np.full(len(watched), np.inf)
            matrix = sparse.csr_array(sparse.vstack([matrix, sparse.csr_array(np.vstack([self.activities.wide(), value]))], format="csr"))
            row_lower, row_upper = np.concatenate([row_lower, -free]), np.concatenate([row_upper, free])
        self.lp = WarmLp(form.cost, matrix, row_lower, row_upper, lower, upper)
        self.columns, self.rows = np.arange(len(lower), dtype=np.int32), np.concatenate([np.arange(count), watched]).astype(np.int32)
        self.whole = np.flatnonzero(form.integer)
        self.bound = bound

    def run(self) -> None:
        """Search until nothing is left that could be better than the incumbent."""
        state, order = self.state, itertools.count()
        heap: list[tuple[float, int, int, Node]] = [(self.bound, 0, next(order), (self.sides.lower, self.sides.upper))]
        while heap:
            bound, depth, _, node = heapq.heappop(heap)
            self.bound = bound
            if state.closes(bound):
                break
            state.tick("direction branching", bound)
            if not self.rich and state.nodes > SMALL:
                self.enrich()
            value, children = self.children(node)
            for child in children:
                heapq.heappush(heap, (value, depth - 1, next(order), child))
        self.bound = np.inf

    def enrich(self) -> None:
        """More directions, once the small pool has not sufficed."""
        self.rich = True
        if len(self.form.mine) <= 14:
            self.pool.extend(pairs(self.form, largest=3))
            self.pool.extend(triples(self.form))

    def children(self, node: Node) -> tuple[float, list[Node]]:
        """The node's bound and what it leaves to be searched."""
        state, form = self.state, self.form
        tightened = self.propagate(node)
        if tightened is None:
            return np.inf, []
        low, high = node = tightened
        n = len(self.columns)
        solver = self.lp.solver
        solver.changeColsBounds(n, self.columns, low[:n], high[:n])
        most = np.zeros(0)
        if self.activities is None:
            solver.changeRowsBounds(len(self.rows), self.rows, low[n:], high[n:])
        else:
            most = np.minimum(self.activities.most(low[:n], high[:n]), high[n + form.follower_rows :])
            limit = self.activities.bound(most)
            side = limit + SLIGHT * (1.0 + abs(limit)) if np.isfinite(limit) else np.inf
            solver.changeRowsBounds(len(self.rows), self.rows, np.append(low[n:], -np.inf), np.append(high[n:], side))
        status = self.lp.solve()
        if status is Status.INFEASIBLE:
            return np.inf, []
        if status is Status.UNBOUNDED:
            raise RelaxationUnbounded
        if status is not Status.OPTIMAL:
            raise SolverFault(f"HiGHS answered {status} to a relaxation")
        value = self.lp.value
        if state.closes(value):
            return value, []
        x = self.lp.x
        chosen = self.violated(node, x)
        away = np.abs(x - np.round(x))[self.whole]
        whole = away.max(initial=0.0) <= WHOLE
        if whole:
            z = np.where(form.integer, np.round(x), x)
            reply = state.reply(z)
            if reply.status is Status.OPTIMAL:
                if chosen is None and state.offer(z, reply) and float(form.cost @ z) <= value + 1e-7 * (1.0 + abs(value)):
                    return value, []
                state.complete(z, reply)
                if (low[form.linking] == high[form.linking]).all():
                    return value, []
            if chosen is None and reply.y is not None:
                w = np.where(form.integer[form.mine], np.round(reply.y - z[form.mine]), reply.y - z[form.mine])
                # a point may be as good as the reply up to rounding and yet be refused: the difference is no direction, and nothing would stop it
                improves = float(form.d @ w) < -IMPROVES * (1.0 + np.abs(form.d).max(initial=0.0))
                chosen = None if not improves or self.learnt(z) else self.pool.add(self.shorter(w, z))
                if self.activities is not None and (chosen is None or chosen != self.violated(node, z)):
                    return value, self.by_activity(node, z, reply.y, most)
        if chosen is not None:
            return value, self.alternatives(node, x, chosen)
        if whole:
            return value, self.around(node, z)
        j = int(self.whole[away.argmax()])
        return value, [bounded(node, j, high=np.floor(x[j])), bounded(node, j, low=np.floor(x[j]) + 1.0)]

    def shorter(self, w: Array, z: Array) -> Array:
        """A direction with fewer or smaller entries than `w` that the follower could still take at `z`, and would: it is stopped by less."""
        form, sides = self.form, self.sides
        room_up, room_down = sides.side[: sides.count] - sides.values(z)[: sides.count], sides.side[sides.count :] + sides.values(z)[: sides.count]
        n, least = len(self.columns), -IMPROVES * (1.0 + np.abs(form.d).max(initial=0.0))

        def possible(v: Array) -> bool:
            effect = np.zeros(sides.count)
            effect[form.mine] = v
            effect[n:] = sides.own @ v
            return bool(float(form.d @ v) < least and (effect <= room_up + ROUNDING).all() and (-effect <= room_down + ROUNDING).all())

        shrunk = True
        while shrunk:
            shrunk = False
            for j in np.flatnonzero(w).tolist():
                for to in (0.0, w[j] - np.sign(w[j])) if form.integer[form.mine[j]] else (0.0,):
                    v = w.copy()
                    v[j] = to
                    if to != w[j] and possible(v):
                        w, shrunk = v, True
                        break
        return w

    def learnt(self, z: Array) -> bool:
        """Whether a linking decision has given a direction before; always False where directions alone suffice."""
        if self.activities is None:
            return False
        key = (z[self.form.linking] + 0.0).tobytes()
        if key in self._learnt:
            return True
        self._learnt.add(key)
        return False

    def propagate(self, node: Node) -> Node | None:
        """The node with what its directions imply; None if one of them has no alternative left."""
        pool, count = self.pool, self.sides.count
        if not len(pool.at):
            return node
        low, high = node[0].copy(), node[1].copy()
        for _ in range(ROUNDS):
            most = np.concatenate([high, -low, [-np.inf]])[pool.at]
            least = np.concatenate([low, -high, [-np.inf]])[pool.at]
            possible = most >= pool.slack
            settled = (least >= pool.slack).any(1)
            left = possible.sum(1)
            left[settled] = 2
            if (left == 0).any():
                return None
            single = np.flatnonzero(left == 1)
            if not len(single):
                break
            which = possible[single].argmax(1)
            for q, to in zip(pool.at[single, which].tolist(), pool.to[single, which].tolist()):
                if q < count:
                    low[q] = max(low[q], to)
                else:
                    high[q - count] = min(high[q - count], -to)
            if (low > high + ROUNDING).any():
                return None
        return low, high

    def violated(self, node: Node, x: Array) -> int | None:
        """The direction to branch on, or None if `x` satisfies all."""
        pool = self.pool
        if not len(pool.at):
            return None
        at = np.append(self.sides.values(x), -np.inf)[pool.at]
        broken = np.flatnonzero(~(at >= pool.slack).any(1))
        if not len(broken):
            return None
        where = pool.at[broken]
        possible = np.concatenate([node[1], -node[0], [-np.inf]])[where] >= pool.slack[broken]
        distance = np.where(possible, (pool.to[broken] - at[broken]) / pool.norms[where], np.inf).min(1)
        return int(broken[distance.argmax()])

    def alternatives(self, node: Node, x: Array, k: int) -> list[Node]:
        """Children by the first alternative of direction `k` that holds; nearer alternatives first."""
        pool, count = self.pool, self.sides.count
        used = pool.at[k] < 2 * count
        at, to = pool.at[k][used], pool.to[k][used]
        distance = (to - self.sides.values(x)[at]) / pool.norms[at]
        found, rest = list[Node](), node
        for i in np.argsort(distance, kind="stable").tolist():
            q, t, step, slight = int(at[i]), float(to[i]), float(pool.steps[at[i]]), float(pool.tolerance[at[i]])
            name = q % count
            if q < count:
                if rest[1][name] >= t - slight:
                    found.append(bounded(rest, name, low=max(t, rest[0][name])))
                rest = bounded(rest, name, high=min(t - step, rest[1][name]))
            else:
                if -rest[0][name] >= t - slight:
                    found.append(bounded(rest, name, high=min(-t, rest[1][name])))
                rest = bounded(rest, name, low=max(step - t, rest[0][name]))
            if rest[0][name] > rest[1][name] + ROUNDING:
                break
        return found

    def by_activity(self, node: Node, z: Array, y: Array, most: Array) -> list[Node]:
        """Children by the first activity that does not allow the follower's optimum `y`, and the one in which all do."""
        assert self.activities is not None
        need, short = self.activities.short(y, most)
        steps = self.activities.steps
        if not short or (steps[short] == 0).any():
            return self.around(node, z)
        found, rest, first = list[Node](), node, len(self.columns) + self.form.follower_rows
        for i in short:
            found.append(bounded(rest, first + i, low=max(rest[0][first + i], need[i] + steps[i] * (1.0 - WHOLE))))
            rest = bounded(rest, first + i, high=min(rest[1][first + i], need[i]))
        return [*found, rest]

    def around(self, node: Node, z: Array) -> list[Node]:
        """The node without the linking decision of `z`, which is completed, as boxes."""
        found, rest = list[Node](), node
        for j in self.form.linking.tolist():
            if z[j] > rest[0][j]:
                found.append(bounded(rest, j, high=z[j] - 1.0))
            if z[j] < rest[1][j]:
                found.append(bounded(rest, j, low=z[j] + 1.0))
            rest = bounded(rest, j, low=z[j], high=z[j])
        return found


def bounded(node: Node, at: int, *, low: float | None = None, high: float | None = None) -> Node:
    """A node with other bounds of one quantity."""
    lower, upper = node
    if low is not None:
        lower = lower.copy()
        lower[at] = low
    if high is not None:
        upper = upper.copy()
        upper[at] = high
    return lower, upper
