r"""Soft equilibria: max-ent followers of a given temperature, found in the space of the statistics they couple through.

One evaluation sends statistics y (prices, or how many are where) through the followers' soft response and the law of this response,
under the transitions at y, to the statistics that come about, :math:`\Psi_\tau(y)`; an equilibrium is a fixed point. Plain iteration
converges only where :math:`\Psi` contracts. Newton's method does not need that: its matrix :math:`I-\Psi'` comes from one batch of
sweeps, is updated by Broyden's rule from step to step, and a ladder of temperatures leads to where it converges. Where statistics are too
many for a matrix, Anderson's acceleration goes first: it needs no derivatives, and few directions count where many statistics act through few prices.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from stackopt.errors import StackoptError
from stackopt.games.mean_field.dynamics import Answer
from stackopt.games.operators import Array
from stackopt.learning.mean_field.derivatives import Derivatives
from stackopt.learning.mean_field.followers import Followers
from stackopt.learning.mean_field.gauss_seidel import sweep
from stackopt.learning.mean_field.mirror_descent import span
from stackopt.learning.mean_field.path import DENSE
from stackopt.learning.mean_field.path_equations import KEPT
from stackopt.learning.mean_field.sweeps import Sweeps

#: A ladder of temperatures begins at this fraction of the span of action values at uniform policies, and divides by this factor.
HOT, RUNG = 0.5, 2.5
#: On rungs above the last, relative to the size of the statistics.
ROUGH = 1e-3
#: Plain iteration goes on while each round reduces the change by this factor.
CONTRACTS = 0.5
#: Broyden's updates go on while each step reduces the residual by this factor; else the matrix is computed anew.
UPDATED = 0.3
#: Steps of Newton's method on one rung, and halvings of a step.
STEPS, HALVINGS = 30, 8
#: Acceleration of many statistics: pairs remembered, weight of the answer, rounds on one rung, and rounds without a smaller gap that end it.
REMEMBERED, WEIGHT, ROUNDS, QUIET = 10, 0.5, 80, 15
#: Rewards enter a policy divided by the temperature: what rounding makes of it, relative to action values over the temperature.
LAST_DIGITS = 1e-14
#: Sweeps of Gauss-Seidel towards a hard equilibrium, where the ladder fails.
SWEEPS = 4
#: Times that a rung that fails is split.
SPLITS = 4


@dataclass(frozen=True, eq=False)
class Point:
    """Statistics y [T, J], the soft answer to them, and the law and statistics that this answer brings about."""

    y: Array
    answer: Answer
    mu: Array
    brought: Array

    @property
    def gap(self) -> float:
        """Largest difference between the statistics and those that come about; infinite if not finite."""
        size = float(np.abs(self.brought - self.y).max(initial=0.0))
        return size if math.isfinite(size) else math.inf


class OutOfTime(Exception):
    """The clock ran out inside a search."""


class SoftSearch:
    """A search for soft equilibria of one game at one decision.

    Parameters
    ----------
    followers : Followers
    tolerance : float
        On the largest L1 distance between a policy and the soft response to the population that it brings about.
    time_limit : float
        Seconds.
    report : callable, optional
        Gets (stage, responses so far, gap).

    Attributes
    ----------
    responses : int
        Soft responses computed: what the work is counted in.
    jacobians : int
    """

    def __init__(self, followers: Followers, tolerance: float, time_limit: float, report: Callable[[str, int, float], None] | None = None) -> None:
        self.followers, self.tolerance = followers, tolerance
        self.deadline = time.monotonic() + time_limit
        self.responses = self.jacobians = 0
        self.gaps: list[float] = []
        self.temperatures: list[float] = []
        self._report = report
        statistic = followers.game.statistic
        self._masses = isinstance(statistic, str) or bool((statistic >= 0).all())
        # so many that derivatives one by one are dear, or act through a few others, as a reward that brings its own products says
        self._many = followers.game.shape[1] * followers.game.statistics > DENSE or hasattr(followers.game.reward, "in_statistics")
        self._derivatives: Derivatives | None = None
        self.size = 1.0  # of the statistics, by which gaps are judged

    # --- evaluations -------------------------------------------------------------------------------------------------

    def at(self, y: Array, temperature: float, near: Point | None) -> Point:
        """One evaluation of the response."""
        if time.monotonic() > self.deadline:
            raise OutOfTime
        self.responses += 1
        answer = self.followers.respond(y, temperature, None if near is None else near.answer.value)
        mu = self.followers.frozen_law(answer.policy, y, None if near is None else near.mu)
        point = Point(y, answer, mu, self.followers.game.aggregate(mu[..., None] * answer.policy))
        self.gaps.append(point.gap)
        self.temperatures.append(temperature)
        if self._report is not None:
            self._report(f"soft response, temperature {temperature:g}", self.responses, point.gap)
        return point

    def distance(self, point: Point, temperature: float) -> float:
        """The residual that is certified: L1 distance between the policy and the soft response to what it brings about."""
        self.responses += 1
        _, y = self.followers.law(point.answer.policy, point.mu)
        soft = self.followers.respond(y, temperature, point.answer.value)
        return float(np.abs(soft.policy - point.answer.policy).sum(-1).max())

    # --- searches ------------------------------------------------------------------------------------------------------

    def solve(self, temperature: float, y: Array, mu: Array) -> tuple[Point, str]:
        """From statistics y to an equilibrium: plain iteration where it contracts, else a ladder of temperatures by Newton's method.

        Returns
        -------
        Point, str
            The best point at `temperature`, and "" or why it is not an equilibrium.
        """
        first = Point(y, _no_answer(self.followers, mu), mu, y)
        best: Point | None = None
        try:
            best = self.at(y, temperature, first)
            self._measure(best)
            found, why = self._iterate(best, temperature)
            best = min(best, found, key=lambda p: p.gap)
            if not why:
                return found, ""
            if self._many:
                found, why = self._accelerate(found, temperature, final=True)
                if not why:
                    return found, ""
            found, why = self._ladder(first, temperature)
            if why and not self.followers.game.cyclic:
                found, again = self._from_hard(temperature)
                why = again and f"{why}; from a hard equilibrium: {again}"
            return (found, "") if not why else (min(best, found, key=lambda p: p.gap), why)
        except OutOfTime:
            return best or first, "the time limit"

    def approach(self, temperature: float, y: Array, mu: Array) -> tuple[Point, str]:
        """As `solve`, by plain iteration and acceleration alone: no derivatives and no ladder, whatever the size of the game."""
        best = Point(y, _no_answer(self.followers, mu), mu, y)
        try:
            best = self.at(y, temperature, best)
            self._measure(best)
            best, why = self._iterate(best, temperature)
            return self._accelerate(best, temperature, final=True) if why else (best, "")
        except OutOfTime:
            return best, "the time limit"

    def _measure(self, point: Point) -> None:
        """The size of statistics by which gaps are judged: 1 of masses."""
        self.size = 1.0 if self._masses else max(float(np.abs(point.brought).max()), float(np.abs(point.y).max()), 1e-300)

    def _iterate(self, point: Point, temperature: float) -> tuple[Point, str]:
        """Plain iteration, as long as it contracts."""
        while True:
            if self._solved(point, temperature):
                return point, ""
            following = self.at(point.brought, temperature, point)
            if not following.gap <= CONTRACTS * point.gap:
                return min(point, following, key=lambda p: p.gap), "plain iteration does not contract"
            point = following

    def _accelerate(self, point: Point, temperature: float, final: bool) -> tuple[Point, str]:
        """Anderson's acceleration, from the best point on anew where it leads astray (Walker and Ni 2011, type II)."""
        best, quiet = point, 0
        points: list[Array] = []
        steps: list[Array] = []
        for _ in range(ROUNDS):
            if self._solved(point, temperature) if final else point.gap <= ROUGH * self.size:
                return point, ""
            points, steps = [*points[-REMEMBERED:], point.y.ravel()], [*steps[-REMEMBERED:], (point.brought - point.y).ravel()]
            y = points[-1] + WEIGHT * steps[-1]
            if len(points) > 1:
                moved, changed = (np.stack([rows[-1] - row for row in rows[:-1]], axis=1) for rows in (points, steps))
                y = y - (moved + WEIGHT * changed) @ np.linalg.lstsq(changed, steps[-1], rcond=1e-12)[0]
            if self._masses:
                y = np.maximum(y, KEPT * points[-1])
            try:
                with np.errstate(all="ignore"):
                    point = self.at(y.reshape(point.y.shape), temperature, point)
            except StackoptError:  # statistics that no population has
                point = Point(point.y, point.answer, point.mu, np.full_like(point.y, np.inf))
            quiet = 0 if point.gap < 0.9 * best.gap else quiet + 1
            best = min(best, point, key=lambda p: p.gap)
            if quiet >= QUIET:
                break
            if not point.gap <= 10.0 * best.gap:
                point, points, steps = best, [], []
        return best, f"acceleration stops at a gap of {best.gap:.2e}"

    def _ladder(self, start: Point, temperature: float) -> tuple[Point, str]:
        """Rungs of falling temperature, each begun where the last ended; a rung that fails is split."""
        uniform = self.followers.evaluate(self.followers.game.uniform())
        heat = max(temperature, HOT * max(span(uniform.q), span(uniform.own_q)))
        rungs = [temperature]
        while rungs[-1] * RUNG < heat:
            rungs.append(rungs[-1] * RUNG)
        if heat > rungs[-1] * 1.2:
            rungs.append(heat)
        splits, matrix, done = 0, None, math.inf
        point, last = start, start
        while rungs:
            rung = rungs[-1]
            point, why = self.at(last.y, rung, last), "not tried"
            if self._many:
                point, why = self._accelerate(point, rung, final=rung == temperature)
            if why:
                point, why, matrix = self._newton(point, rung, matrix, final=rung == temperature)
            if not why:
                last, done = point, rung
                rungs.pop()
            elif splits < SPLITS and math.isfinite(done):
                splits += 1
                rungs.append(math.sqrt(rung * done))
                matrix = None
            else:
                return point, f"{why} at temperature {rung:.3g}"
        return point, ""

    def _from_hard(self, temperature: float) -> tuple[Point, str]:
        """From (nearly) an equilibrium without temperature, by Gauss-Seidel: where cold soft equilibria do not connect to hot ones."""
        at = self.followers.evaluate(self.followers.game.uniform())
        for _ in range(SWEEPS):
            following = sweep(self.followers, at)
            if not following.exploitability < at.exploitability:
                break
            at = following
        start = Point(at.y, _no_answer(self.followers, at.mean_field), at.mean_field, at.y)
        found, why, _ = self._newton(self.at(at.y, temperature, start), temperature, None, final=True)
        return found, why

    def _newton(self, point: Point, temperature: float, matrix: Array | None, final: bool) -> tuple[Point, str, Array | None]:
        """Newton's method at one temperature with Broyden's updates; the matrix is that of I - Psi'."""
        fresh = False
        for _ in range(STEPS):
            if self._solved(point, temperature) if final else point.gap <= ROUGH * self.size:
                return point, "", matrix
            if matrix is None:
                matrix, fresh = self._matrix(point, temperature), True
            step = self._solve(matrix, point.brought - point.y)
            moved = self._trial(point, step, temperature, fresh)
            if moved is None:
                if fresh:
                    return point, f"no Newton step reduces the gap of {point.gap:.2e}", None
                matrix = None
                continue
            taken = (moved.y - point.y).ravel()
            change = (moved.y - moved.brought - point.y + point.brought).ravel()
            good = moved.gap <= UPDATED * point.gap
            point, fresh = moved, False
            if not good or not isinstance(matrix, np.ndarray):
                matrix = None
            elif taken @ taken > 0:
                matrix = matrix + np.outer(change - matrix @ taken, taken) / (taken @ taken)
        return point, f"{STEPS} Newton steps ran out", None

    def _trial(self, point: Point, step: Array, temperature: float, fresh: bool) -> Point | None:
        """The longest of ever shorter steps that reduces the gap."""
        length = 1.0
        for _ in range(HALVINGS if fresh else 1):
            y = point.y + length * step
            if self._masses:
                y = np.maximum(y, KEPT * point.y)
            try:
                with np.errstate(all="ignore"):
                    moved = self.at(y, temperature, point)
            except StackoptError:  # statistics that no population has
                moved = None
            if moved is not None and moved.gap <= (1.0 - 0.1 * length) * point.gap:
                return moved
            length *= 0.5
        return None

    def _solved(self, point: Point, temperature: float) -> bool:
        """Whether the policy is its own soft response; asked only where the gap is small enough to hope so."""
        allowed = max(self.tolerance, LAST_DIGITS * (1.0 + float(np.abs(point.answer.q).max())) / temperature)
        if point.gap > 10.0 * allowed * self.size + 1e-14:
            return False
        return self.distance(point, temperature) <= 0.9 * allowed  # room for the last digits: it is recomputed

    # --- Newton's matrix ----------------------------------------------------------------------------------------------

    def _matrix(self, point: Point, temperature: float) -> Any:
        self.jacobians += 1
        if self._derivatives is None:
            self._derivatives = Derivatives(self.followers)
        policy, following = point.answer.policy, np.roll(point.answer.value, -1, axis=1)
        if not self.followers.game.cyclic:
            following[:, -1] = 0.0
        kernels = self.followers.stage_kernels(point.y)
        own = Sweeps(self.followers, self._derivatives, point.y, policy, policy / temperature, point.mu, following, kernels)
        return own.matrix() if point.y.size <= DENSE else own

    def _solve(self, matrix: Any, right: Array) -> Array:
        if isinstance(matrix, np.ndarray):
            try:
                found: Any = np.linalg.solve(matrix, right.ravel())
                step: Array = found.reshape(right.shape)
                return step
            except np.linalg.LinAlgError:
                return right
        from scipy.sparse.linalg import LinearOperator, gmres

        n = right.size
        operator = LinearOperator((n, n), matvec=lambda v: (v.reshape(right.shape) - matrix.moved(v.reshape(right.shape))).ravel(), dtype=float)
        solved, _ = gmres(operator, right.ravel(), rtol=1e-4, atol=0.0, restart=60, maxiter=3)
        flat: Any = solved
        shaped: Array = flat.reshape(right.shape)
        return shaped


def _no_answer(followers: Followers, mu: Array) -> Answer:
    K, T, S, B = followers.shape
    return Answer(np.zeros((K, T, S)), np.zeros((K, T, S, B)), followers.game.uniform(), math.inf)
