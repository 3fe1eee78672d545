r"""The linear relaxation of a box: occupancy measures of the leader, McCormick products for the follower's side  [D8].

With a fixed deterministic response the leader's value is linear in its discounted occupancy m(s, a, b), and so are the flow
equations: the leader's side is exact. What is relaxed are the products x(a|s) d(s), between policy and occupancy, and x(a|s) V_F(t), in
the follower's Bellman equation. Each is held by its four McCormick rows over the ranges of the box, and by the row that the
products with all actions of a state add up to the other factor. Both are exact once the box is a point, or where the
transitions do not depend on the leader's action.

Rows and columns (`stackopt.exact.occupancy.rows`) are the same for every box of a game, only numbers change: a basis of one box starts the
simplex method on another.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from stackopt.backends.warm import FEASIBILITY, linear_model, quiet
from stackopt.exact.occupancy.box import Box, widened
from stackopt.exact.occupancy.rows import Rows
from stackopt.games.operators import Array
from stackopt.reformulations.ranges import Choices
from stackopt.solution import Status

#: HiGHS's simplex strategies.
DUAL, PRIMAL = 1, 4


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
    duals : array [columns]
        Reduced costs: by how much the bound falls at least, per unit that a column moves off its bound.
    basis : object
    """

    bound: float
    policy: Array
    visits: Array
    response: Array
    product_error: Array
    duals: Array
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

        self.game, self.rows = game, Rows(game)
        self.cost = self.rows.cost()
        self._h = highspy
        self.solver = quiet(highspy)
        for option, value in (
            ("presolve", "off"), ("simplex_strategy", DUAL), ("primal_feasibility_tolerance", FEASIBILITY), ("dual_feasibility_tolerance", FEASIBILITY),
        ):
            self.solver.setOptionValue(option, value)
        self.solves = 0

    def solve(self, box: Box, basis: Any = None, *, time_limit: float = 60.0) -> tuple[Status, Relaxed | None]:
        """Maximise over the relaxation of `box`; INFEASIBLE means that the box holds no policy with an allowed response."""
        matrix, low, high = self.rows.matrix(box)
        lower, upper = self.rows.bounds(box)
        self.solver.passModel(linear_model(self._h, self.cost, matrix, low, high, lower, upper))
        if basis is not None:
            self.solver.setBasis(basis)
        self.solver.setOptionValue("time_limit", float(self.solver.getRunTime() + max(time_limit, 0.0)))
        self.solves += 1
        self.solver.run()
        of = self._h.HighsModelStatus
        status = self.solver.getModelStatus()
        for presolve in ("off", "on"):  # where HiGHS does not know from a basis, it may from scratch
            if status in (of.kOptimal, of.kInfeasible, of.kTimeLimit):
                break
            self.solver.clearSolver()
            self.solver.setOptionValue("presolve", presolve)
            self.solver.run()
            status = self.solver.getModelStatus()
        self.solver.setOptionValue("presolve", "off")
        if status == of.kInfeasible:
            return Status.INFEASIBLE, None
        if status != of.kOptimal:
            return (Status.LIMIT if status == of.kTimeLimit else Status.FAILED), None
        return Status.OPTIMAL, self._found()

    def narrowed(self, box: Box, least: float, *, time_limit: float) -> Box:
        """The box with the ranges of policy and values cut to what policies worth at least `least` can have (bound tightening).

        Each end is the optimum of a linear program over the relaxation with the row <m, r_L> >= least, so nothing worth more is lost.
        Ends whose program is not solved to optimality stay.
        """
        from scipy import sparse

        matrix, low, high = self.rows.matrix(box)
        lower, upper = self.rows.bounds(box)
        goal = sparse.csr_array(-self.cost[None])
        self.solver.passModel(linear_model(
            self._h, np.zeros(len(lower)), sparse.csr_array(sparse.vstack([matrix, goal], format="csr")),
            np.append(low, least - 1e-7 * (1 + abs(least))), np.append(high, np.inf), lower, upper,
        ))
        self.solver.setOptionValue("simplex_strategy", PRIMAL)  # only the objective changes, so the last point stays feasible
        deadline = time.perf_counter() + time_limit
        columns = np.concatenate([self.rows.V, self.rows.x.ravel()])
        reached = np.zeros((2, len(lower)), bool)  # ends that some point has: no program can move them
        for column in columns.tolist():
            for side, (sign, end) in enumerate(((1.0, lower), (-1.0, upper))):
                left = deadline - time.perf_counter()
                if left <= 0 or reached[side, column]:
                    continue
                self.solver.changeColCost(column, sign)
                self.solver.setOptionValue("time_limit", float(self.solver.getRunTime() + left))
                self.solves += 1
                self.solver.run()
                if self.solver.getModelStatus() == self._h.HighsModelStatus.kOptimal:
                    found = widened(sign * float(self.solver.getObjectiveValue()), -sign * 10)
                    end[column] = max(end[column], found) if sign > 0 else min(end[column], found)
                    w = np.array(self.solver.getSolution().col_value)
                    reached |= np.stack([w <= lower + 1e-6 * (1 + np.abs(w)), w >= upper - 1e-6 * (1 + np.abs(w))])
                self.solver.changeColCost(column, 0.0)
        self.solver.setOptionValue("simplex_strategy", DUAL)
        V, x = self.rows.V, self.rows.x
        return replace(box, lower=lower[x], upper=upper[x], value_low=lower[V], value_high=upper[V])

    def unknown(self, box: Box, bound: float) -> Relaxed:
        """Stands for an optimum where the solver found none, so that the box can still be branched on."""
        response = box.allowed / box.allowed.sum(1, keepdims=True)
        width = box.upper - box.lower
        return Relaxed(bound, box.lower + width / 2, np.ones(len(response)), response, width, np.zeros(self.rows.count), None)

    def reduced(self, box: Box, relaxed: Relaxed, least: float) -> Box:
        """The box with ranges cut to what reduced costs leave to policies worth at least `least`: nothing worth more is lost."""
        room = relaxed.bound - least
        if not 0.0 <= room < np.inf:
            return box
        lower, upper = self.rows.bounds(box)
        with np.errstate(divide="ignore"):
            step = (room + 1e-7 * (1.0 + abs(least))) / np.maximum(np.abs(relaxed.duals), 1e-12)
        of, rising, falling = self.rows, relaxed.duals > 1e-7, relaxed.duals < -1e-7  # at the lower, at the upper bound
        upper, lower = np.where(rising, np.minimum(upper, lower + step), upper), np.where(falling, np.maximum(lower, upper - step), lower)
        return replace(
            box, lower=lower[of.x], upper=upper[of.x], value_low=lower[of.V], value_high=upper[of.V], allowed=box.allowed & (upper[of.y] >= 1.0 - 1e-6)
        )

    def _found(self) -> Relaxed:
        g, of, solution = self.game, self.rows, self.solver.getSolution()
        w = np.array(solution.col_value)
        x, d, m, z, V = w[of.x], w[of.d], w[of.m], w[of.z], w[of.V]
        mine = x[g.observations]
        leader = np.abs(m.sum(2) - mine * d[:, None])
        follower = (np.abs(z - mine[..., None] * V) * of.moving[:, None]).sum(2) * d[:, None]
        error = np.zeros_like(x)
        np.add.at(error, g.observations, leader + g.follower_discount * follower)
        bound = -float(self.solver.getObjectiveValue())
        return Relaxed(bound + 1e-9 * (1 + abs(bound)), x, d, w[of.y], error, np.array(solution.col_dual), self.solver.getBasis())
