r"""The linear relaxation of a box: occupancy measures of the leader, McCormick products for the follower's side  [D8].

With a fixed deterministic response the leader's value is linear in its discounted occupancy m(s, a, b), and so are the flow
equations: the leader's side is exact. What is relaxed are the products x(a|s) d(s), between policy and occupancy, and x(a|s) V_F(t), in
the follower's Bellman equation. Each is held by its four McCormick rows over the ranges of the box, and by the row that the
products with all actions of a state add up to the other factor. Both are exact once the box is a point, or where the
transitions do not depend on the leader's action.

Rows and columns are the same for every box of a game, only numbers change: a basis of one box starts the simplex method on another.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackopt.backends.warm import FEASIBILITY, linear_model, quiet
from stackopt.exact.occupancy.box import Box, extreme, follower_gain, widened
from stackopt.games.operators import Array
from stackopt.reformulations.ranges import Choices, visit_ranges
from stackopt.solution import Status

Entry = tuple[Any, Any, Any]


@dataclass(frozen=True, eq=False)
class Relaxed:
    """An optimum of the relaxation.

    Attributes
    ----------
    bound : float
        Upper bound on the leader's value (of the normalised game) over the box.
    policy : array [C, A]
    visits : array [S]
    response : array [S, B]
        Weights, not necessarily whole.
    product_error : array [C, A]
        How far the relaxed products are from the true ones, for the choice of a branch.
    basis : object
    """

    bound: float
    policy: Array
    visits: Array
    response: Array
    product_error: Array
    basis: Any


class Relaxation:
    """The relaxation of any box of one game; see the module.

    Parameters
    ----------
    game : Choices
        Normalised, its choices the leader's pure actions.
    """

    def __init__(self, game: Choices) -> None:
        import highspy

        self.game = game
        S, A, B = game.shape
        C = game.classes
        self.shape = (S, A, B, C)
        count = 0

        def take(*shape: int) -> NDArray[np.int64]:
            nonlocal count
            size = int(np.prod(shape))
            found = np.arange(count, count + size).reshape(shape)
            count += size
            return found

        self.m, self.x, self.z, self.V, self.y, self.d = take(S, A, B), take(C, A), take(S, A, S), take(S), take(S, B), take(S)
        self.count = count
        self.mine = self.x[game.observations]  # [S, A]
        self.visits = visit_ranges(game, game.initial, game.leader_discount)
        self.cost = np.zeros(count)
        self.cost[self.m] = -game.leader_reward
        self.moving = np.abs(game.transition - game.transition.mean(1, keepdims=True)).sum((1, 2))  # [S, S]: what x changes
        self._h = highspy
        self.solver = quiet(highspy)
        for option, value in (
            ("presolve", "off"), ("simplex_strategy", 1), ("primal_feasibility_tolerance", FEASIBILITY), ("dual_feasibility_tolerance", FEASIBILITY),
        ):
            self.solver.setOptionValue(option, value)
        self.solves = 0

    def solve(self, box: Box, basis: Any = None, *, time_limit: float = 60.0) -> tuple[Status, Relaxed | None]:
        """Maximise over the relaxation of `box`; INFEASIBLE means that the box holds no policy with an allowed response."""
        from scipy import sparse

        rows, columns, values, low, high = self._rows(box)
        matrix = sparse.csr_array((values, (rows, columns)), shape=(len(low), self.count))
        lower, upper = self._bounds(box)
        self.solver.passModel(linear_model(self._h, self.cost, matrix, low, high, lower, upper))
        if basis is not None:
            self.solver.setBasis(basis)
        self.solver.setOptionValue("time_limit", float(self.solver.getRunTime() + max(time_limit, 0.0)))
        self.solves += 1
        self.solver.run()
        of = self._h.HighsModelStatus
        status = self.solver.getModelStatus()
        if status not in (of.kOptimal, of.kInfeasible, of.kTimeLimit):
            self.solver.clearSolver()
            self.solver.run()
            status = self.solver.getModelStatus()
        if status == of.kInfeasible:
            return Status.INFEASIBLE, None
        if status != of.kOptimal:
            return (Status.LIMIT if status == of.kTimeLimit else Status.FAILED), None
        return Status.OPTIMAL, self._found(box, np.array(self.solver.getSolution().col_value))

    def narrowed(self, box: Box, least: float, *, time_limit: float) -> Box:
        """The box with the follower's value ranges cut to what policies worth at least `least` can have (bound tightening).

        Each end is the optimum of a linear program over the relaxation with the row <m, r_L> >= least, so nothing worth more is lost.
        Ends whose program is not solved to optimality stay.
        """
        from scipy import sparse

        rows, columns, values, low, high = self._rows(box)
        where = np.flatnonzero(self.cost)
        rows = np.concatenate([rows, np.full(len(where), len(low))])
        columns, values = np.concatenate([columns, where]), np.concatenate([values, -self.cost[where]])
        matrix = sparse.csr_array((values, (rows, columns)), shape=(len(low) + 1, self.count))
        self.solver.passModel(linear_model(
            self._h, np.zeros(self.count), matrix, np.append(low, least - 1e-7 * (1 + abs(least))), np.append(high, np.inf), *self._bounds(box)
        ))
        deadline = time.perf_counter() + time_limit
        ends = {1.0: box.value_low.copy(), -1.0: box.value_high.copy()}
        for s, column in enumerate(self.V):
            for sign, end in ends.items():
                left = deadline - time.perf_counter()
                if left <= 0:
                    break
                self.solver.changeColCost(int(column), sign)
                self.solver.setOptionValue("time_limit", float(self.solver.getRunTime() + left))
                self.solves += 1
                self.solver.run()
                if self.solver.getModelStatus() == self._h.HighsModelStatus.kOptimal:
                    found = widened(sign * float(self.solver.getObjectiveValue()), -sign * 10)
                    end[s] = max(end[s], found) if sign > 0 else min(end[s], found)
                self.solver.changeColCost(int(column), 0.0)
        return replace(box, value_low=ends[1.0], value_high=ends[-1.0])

    def _found(self, box: Box, w: Array) -> Relaxed:
        g = self.game
        x, d, m, z, V = w[self.x], w[self.d], w[self.m], w[self.z], w[self.V]
        mine = x[g.observations]
        leader = np.abs(m.sum(2) - mine * d[:, None])
        follower = (np.abs(z - mine[..., None] * V) * self.moving[:, None]).sum(2) * d[:, None]
        error = np.zeros_like(x)
        np.add.at(error, g.observations, leader + g.follower_discount * follower)
        bound = -float(self.solver.getObjectiveValue())
        return Relaxed(bound + 1e-9 * (1 + abs(bound)), x, d, w[self.y], error, self.solver.getBasis())

    def _bounds(self, box: Box) -> tuple[Array, Array]:
        lower, upper = np.zeros(self.count), np.full(self.count, np.inf)
        lower[self.z] = -np.inf
        lower[self.x], upper[self.x] = box.lower, box.upper
        lower[self.V], upper[self.V] = box.value_low, box.value_high
        upper[self.y] = box.allowed.astype(float)
        lower[self.d], upper[self.d] = self._visits(box)
        return lower, upper

    def _visits(self, box: Box) -> tuple[Array, Array]:
        low, high = self.visits
        start = self.game.initial
        return np.maximum(low, start @ box.visits_low), np.minimum(high, start @ box.visits_high)

    def _rows(self, box: Box) -> tuple[Any, Any, Any, Array, Array]:
        g = self.game
        S, A, B, C = self.shape
        R = _Rows()
        m, x, z, V, y, d, mine = self.m, self.x, self.z, self.V, self.y, self.d, self.mine
        l, u = box.lower[g.observations], box.upper[g.observations]  # noqa: E741  # [S, A], as in the formula
        dl, du = self._visits(box)
        vl, vu = box.value_low, box.value_high
        # flow and visits
        flow = -g.leader_discount * np.moveaxis(g.transition, -1, 0)
        flow[np.arange(S), np.arange(S)] += 1.0
        R.add(((np.broadcast_to(m, (S, S, A, B)).reshape(S, -1), flow.reshape(S, -1)),), g.initial, g.initial)
        R.add(((m.reshape(S, -1), np.ones((S, A * B))), (d[:, None], -np.ones((S, 1)))), np.zeros(S), np.zeros(S))
        R.add(((x, np.ones((C, A))),), np.ones(C), np.ones(C))
        # the product of policy and visits, M(s, a) = sum_b m(s, a, b)
        flat = (S * A, 1)
        mm, mx, md = (m.reshape(S * A, B), np.ones((S * A, B))), mine.reshape(flat), np.repeat(d, A).reshape(flat)
        L, U, DL, DU = l.reshape(-1), u.reshape(-1), np.repeat(dl, A), np.repeat(du, A)
        for a, b, sign in ((L, DL, 1.0), (U, DU, 1.0), (U, DL, -1.0), (L, DU, -1.0)):
            # sign (M - a d - b x + a b) >= 0
            R.add(((mm[0], sign * mm[1]), (md, -(sign * a).reshape(flat)), (mx, -(sign * b).reshape(flat))), -sign * a * b, np.inf)
        # by response: l D_b <= m(s, a, b) <= u D_b, D_b = sum_a m(s, a, b)
        every = np.broadcast_to(np.swapaxes(m, 1, 2)[:, None], (S, A, B, A))
        own = np.broadcast_to(np.eye(A)[None, :, None], (S, A, B, A))
        for a, sign in ((l, 1.0), (u, -1.0)):
            R.add(((every.reshape(-1, A), (sign * (own - a[:, :, None, None])).reshape(-1, A)),), np.zeros(S * A * B), np.inf)
        # only the response that is played has visits
        by_response = (np.swapaxes(m, 1, 2).reshape(S * B, A), np.ones((S * B, A)))
        yy = y.reshape(S * B, 1)
        R.add((by_response, (yy, -np.repeat(du, B)[:, None])), -np.inf, np.zeros(S * B))
        R.add((by_response, (yy, -np.repeat(dl, B)[:, None])), np.zeros(S * B), np.inf)
        R.add(((y, np.ones((S, B))),), np.ones(S), np.ones(S))
        # z(s, a, t) = x(s, a) V(t)
        zz = z.reshape(-1, 1)
        zx, zv = np.repeat(mine.reshape(-1), S)[:, None], np.broadcast_to(V, (S, A, S)).reshape(-1, 1)
        L, U = np.repeat(l.reshape(-1), S), np.repeat(u.reshape(-1), S)
        DL, DU = np.broadcast_to(vl, (S * A, S)).ravel(), np.broadcast_to(vu, (S * A, S)).ravel()
        one = np.ones((len(zz), 1))
        for a, b, sign in ((L, DL, 1.0), (U, DU, 1.0), (U, DL, -1.0), (L, DU, -1.0)):
            R.add(((zz, sign * one), (zv, -(sign * a)[:, None]), (zx, -(sign * b)[:, None])), -sign * a * b, np.inf)
        R.add(((np.swapaxes(z, 1, 2).reshape(S * S, A), np.ones((S * S, A))), (np.broadcast_to(V, (S, S)).reshape(-1, 1), -np.ones((S * S, 1)))), 0.0, 0.0)
        # the follower's Bellman equation
        gamma = g.follower_discount
        xs = np.broadcast_to(mine[:, None], (S, B, A)).reshape(S * B, A)
        rewards = np.swapaxes(g.follower_reward, 1, 2).reshape(S * B, A)
        zs = np.broadcast_to(z[:, None], (S, B, A, S)).reshape(S * B, A * S)
        kernel = np.swapaxes(g.transition, 1, 2).reshape(S * B, A * S)
        vs = np.repeat(V, B)[:, None]
        unit = np.ones((S * B, 1))
        R.add(((vs, unit), (xs, -rewards), (zs, -gamma * kernel)), np.zeros(S * B), np.inf)
        q_low = extreme(np.swapaxes(g.follower_reward + gamma * g.transition @ vl, 1, 2), l[:, None], u[:, None], -1.0)
        big = np.maximum(vu[:, None] - q_low, 0.0).reshape(-1)
        R.add(((vs, unit), (xs, -rewards), (zs, -gamma * kernel), (yy, big[:, None])), -np.inf, big)
        # equal discounts: the follower's value is its own reward over the same visits
        same = np.inf if g.leader_discount != gamma else 0.0
        R.add(((m.reshape(1, -1), g.follower_reward.reshape(1, -1)), (V[None], -g.initial[None])), -same, same)
        # no response is visited where another is better for every value in the range
        gain = follower_gain(g, vl, vu)  # [S, A, B, B]
        weights = np.moveaxis(gain, 1, -1).reshape(-1, A)
        where = np.broadcast_to(np.swapaxes(m, 1, 2)[:, :, None], (S, B, B, A)).reshape(-1, A)
        R.add(((where, weights),), np.zeros(S * B * B), np.inf)
        return R.done()


class _Rows:
    """Blocks of rows, collected as coordinates."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.low: list[Array] = []
        self.high: list[Array] = []
        self.count = 0

    def add(self, parts: tuple[tuple[Any, Any], ...], low: Any, high: Any) -> None:
        """A block: each part has columns [k, w] and values [k, w]; sides are numbers or [k]."""
        k = parts[0][0].shape[0]
        for columns, values in parts:
            rows = np.repeat(np.arange(self.count, self.count + k), columns.shape[1])
            self.entries.append((rows, np.ravel(columns), np.ravel(values)))
        self.low.append(np.broadcast_to(np.asarray(low, float), (k,)))
        self.high.append(np.broadcast_to(np.asarray(high, float), (k,)))
        self.count += k

    def done(self) -> tuple[Any, Any, Any, Array, Array]:
        """(rows, columns, values, lower sides, upper sides)."""
        rows, columns, values = (np.concatenate([entry[i] for entry in self.entries]) for i in range(3))
        return rows, columns, values, np.concatenate(self.low), np.concatenate(self.high)
