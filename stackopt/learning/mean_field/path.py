r"""Path following: from a heavily smoothed equilibrium to a true one, along the curve of solutions, by predictor and corrector.

The curve (beta, log k) may turn back in k; it is followed by arclength, so that turning points (folds) are passed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from stackopt.games.operators import Array
from stackopt.learning.mean_field.followers import Evaluated
from stackopt.learning.mean_field.path_condensed import Condensed
from stackopt.learning.mean_field.path_equations import Direction, Equations, Point, State
from stackopt.learning.mean_field.path_sparse import SparseBlocks, fits, transitions
from stackopt.learning.mean_field.search import Search

#: A corrected point's residual, relative to k.
ACCURACY = 1.0
#: The same where the curve is followed by arclength.
ALONG = 0.1
#: The same, and the smallest cosine between tangents, of a careful second attempt.
CAREFUL = 1e-3
CAREFUL_TURN = 0.9
#: Newton steps of a corrector.
CORRECTIONS = 8
#: Newton steps at a fixed k, and the shortest of them.
FIRST_CORRECTIONS = 30
SHORTEST_NEWTON = 1e-3
#: k is divided to this fraction at a time; where that fails to a larger one, up to the largest that is still worth it.
DIVIDE = 0.1
LEAST_DIVISION = 0.7
#: Statistics, over all stages, up to which the condensed system is used where a sparse one is possible.
DENSE = 500
#: Factors are kept for the next correction while each reduces the residual by this.
REUSE = 0.5
#: The same where the curve is followed by arclength.
REUSE_ALONG = 0.2
#: Factors serve for at most this many steps along the path.
OLD = 1
#: log k falls by at most this in one step.
LONGEST = 3.0
#: A step shorter than this is a failure.
SHORTEST = 1e-6
#: The path is turned around where k has grown by this.
BACK = 10.0
#: More turning points than this are a fold storm: following them is hopeless.
STORM = 200


@dataclass
class Followed:
    """How following a path ended."""

    reason: str
    k: float
    steps: int = 0
    factorisations: int = 0
    folds: int = 0
    turns: int = 0  # sign changes of the Jacobian's determinant


class Path:
    """One path of a game, from one start.

    Parameters
    ----------
    search : Search
        Gets every accepted policy; decides when to stop.
    equations : Equations
    careful : bool
        Smaller steps and tighter corrections.
    """

    def __init__(self, search: Search, equations: Equations, careful: bool = False) -> None:
        self.search, self.equations, self.careful = search, equations, careful
        self.accuracy = CAREFUL if careful else ACCURACY
        K, T, S, _ = search.followers.shape
        self._weight = 1.0 / (K * T * S)
        self.followed = Followed("", np.nan)
        self._sparse = T * search.followers.game.statistics > DENSE and fits(equations)
        self._transitions: Any = None

    def factorise(self, state: State) -> Any:
        """The linear system at a state."""
        self.followed.factorisations += 1
        if self._sparse:
            if self._transitions is None:
                self._transitions = transitions(self.equations, state)
            return SparseBlocks(self.equations, state, self._transitions)
        return Condensed(self.equations, state)

    # --- the curve -----------------------------------------------------------------------------------------------------

    def follow(self, start: Point, end_k: float, steps: int = 100_000) -> Followed:
        """Down the path from near `start` until solved, until k < end_k, or until nothing works."""
        followed = self.followed
        followed.k = start.k
        reached = self.descend(start, end_k)
        if self.search.over:
            followed.reason = "solved" if self.search.solved else "time"
        elif not reached:
            followed.reason = "no point of the path was found near its start"
        elif reached[-1].k <= end_k:
            followed.reason = f"the end of the path, k = {reached[-1].k:.1e}"
        else:  # steps down stop behind a turning point: back to where the path surely is
            exact = (self.onto(point, ALONG * CAREFUL) for point in reversed(reached))
            state = next((found for found in exact if found is not None), None)
            followed.reason = "no point of the path was found" if state is None else self._along(state, end_k, steps)
        return followed

    def _along(self, state: State, end_k: float, steps: int) -> str:
        """Follow the curve by arclength, past its turning points; returns why it stopped."""
        followed = self.followed
        system = self.factorise(state)
        tangent = self._tangent(system, None)
        length, age = 0.1, 0
        begun: tuple[State, Any, Direction] | None = (state, system, tangent)
        back = BACK * state.point.k
        for _ in range(steps):
            if self.search.over:
                return "solved" if self.search.solved else "time"
            if state.point.k < end_k:
                return f"the end of the path, k = {state.point.k:.1e}"
            if state.point.k > back:  # behind a turning point the way to smaller k may lead back to where the path came from
                if begun is None:
                    return f"both ways lead back to k > {back:.1e}"
                state, system, tangent = begun
                tangent, begun, length, age = tangent.times(-1.0), None, 0.1, 0
            length = min(length, LONGEST / max(abs(tangent.log_k), 1e-12))
            found = self._correct(state.point.moved(tangent, length), tangent, system)
            if found is not None:
                new_state, rounds, new_system = found
                turned = self._tangent(new_system, tangent)
                if self._inner(turned, tangent) < (CAREFUL_TURN if self.careful else 0.0):
                    found = None
            if found is None and age > 0:  # the factors are old: the same step with new ones
                system, age = self.factorise(state), 0
                tangent = self._tangent(system, tangent)
                continue
            if found is None:
                length *= 0.4
                if length < SHORTEST:
                    return f"no step succeeds at k = {state.point.k:.1e}"
                continue
            followed.steps += 1
            followed.folds += int(turned.log_k * tangent.log_k < 0)
            followed.turns += int(new_system.sign * system.sign < 0)
            age = age + 1 if new_system is system else 0
            state, system, tangent = new_state, new_system, turned
            if age >= OLD:
                system, age = self.factorise(state), 0
                tangent = self._tangent(system, tangent)
            followed.k = state.point.k
            length *= 2.0 if rounds <= 3 else 1.0 if rounds <= 5 else 0.6
            self._offer(state)
            if followed.folds > STORM:
                return f"a fold storm: more than {STORM} turning points, k = {state.point.k:.1e}"
        return f"{steps} steps ran out at k = {state.point.k:.1e}"

    def descend(self, start: Point, end_k: float) -> list[Point]:
        """Divide k again and again, each time with damped Newton steps at fixed k; cheap where it works, as in monotone games.

        Returns
        -------
        list of Point
            Those near the path that were reached, in this order; none if not even the first was.
        """
        state = self.onto(start, self.accuracy)
        reached: list[Point] = []
        ratio = DIVIDE
        while state is not None:
            if not reached or reached[-1] is not state.point:
                reached.append(state.point)
                self._offer(state)
            k = self.followed.k = state.point.k
            if self.search.over or k <= end_k or ratio > LEAST_DIVISION:
                break
            enough = 0.5 * k * self.search.tolerance / max(self.search.relative(self.search.best.exploitability), 1e-300)
            found = self.onto(self.equations.at_k(state.point, max(ratio * k, min(enough, LEAST_DIVISION * k), end_k)), self.accuracy)
            if found is None:
                ratio = math.sqrt(ratio)
            else:
                state, self.followed.steps = found, self.followed.steps + 1
        return reached

    def onto(self, point: Point, accuracy: float) -> State | None:
        """The path's point at the k of `point`, by damped Newton steps; None if there is none near."""
        state = self.equations.state(point)
        size, system, old = state.residuals.size, None, False
        for _ in range(FIRST_CORRECTIONS):
            if size <= accuracy * point.k:
                return state
            if not np.isfinite(size) or self.search.late:
                return None
            old = system is not None
            if system is None:
                system = self.factorise(state)
            step, length = system.solve(_negative(state), 0.0), 1.0
            trial = self.equations.state(state.point.moved(step))
            while not trial.residuals.size <= (1.0 - 0.1 * length) * size and not old:
                length *= 0.5
                if length < SHORTEST_NEWTON:
                    return None
                trial = self.equations.state(state.point.moved(step, length))
            if not trial.residuals.size <= REUSE * size:
                system = None
            if trial.residuals.size < size:
                state, size = trial, trial.residuals.size
        return None

    def _correct(self, point: Point, tangent: Direction, system: Any) -> tuple[State, int, Any] | None:
        """Newton steps across the tangent back to the curve."""
        state = self.equations.state(point)
        size, along = state.residuals.size, system.solve(None, 1.0)
        for rounds in range(CORRECTIONS + 1):
            if not np.isfinite(size):
                return None
            if system is None:
                system = self.factorise(state)
                along = system.solve(None, 1.0)
            if size <= min(self.accuracy, ALONG) * state.point.k:
                return state, rounds, system
            if rounds == CORRECTIONS:
                return None
            newton = system.solve(_negative(state), 0.0)
            shift = -self._inner(tangent, newton) / self._inner(tangent, along)
            state = self.equations.state(state.point.moved(along.times(shift, newton)))
            if not state.residuals.size <= 10.0 * size:
                return None
            if state.residuals.size > REUSE_ALONG * size:
                system = None
            size = state.residuals.size
        return None

    def _tangent(self, system: Any, last: Direction | None) -> Direction:
        """The unit tangent: towards smaller k at first, then onwards."""
        direction: Direction = system.solve(None, -1.0)
        direction = direction.times(1.0 / np.sqrt(self._inner(direction, direction)))
        return direction if last is None or self._inner(direction, last) >= 0 else direction.times(-1.0)

    def _inner(self, a: Direction, b: Direction) -> float:
        return float(self._weight * np.vdot(a.beta, b.beta) + a.log_k * b.log_k)

    def _offer(self, state: State) -> Evaluated:
        policy: Array = np.maximum(state.policy, 0.0)
        return self.search.offer(policy / policy.sum(-1, keepdims=True), np.maximum(state.point.mu, 0.0))


def _negative(state: State) -> Any:
    r = state.residuals
    return type(r)(-r.slack, -r.policy, -r.law, -r.statistics)
