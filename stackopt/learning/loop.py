"""The one loop for learners: step, measure the true residual, and stop for a reason that is said.

A learner is a frozen dataclass of settings with four pure methods: `init`, `step`, `residual`, `candidate`. Its state is
a frozen dataclass whose fields are arrays with the game's batch axes in front, so that one loop serves single games and
batches. In a batch every game has its own convergence; finished games are set aside and stop costing.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np

from stackopt.display import number
from stackopt.games.operators import Array
from stackopt.games.profile import Profile
from stackopt.games.stackelberg import StackelbergGame
from stackopt.learning.simplex import distance
from stackopt.solution import Progress, Report, Run, Status

#: Periods up to this length are recognised as cycles.
LONGEST_CYCLE = 8
#: Seconds between progress reports.
REPORT_EVERY = 0.1

# why a game of the batch stopped
_RUNNING, _CONVERGED, _STALLED, _CYCLES, _NAN = range(5)


@dataclass(frozen=True, eq=False)
class State:
    """Where a learner is; fields are arrays with batch axes in front.

    Attributes
    ----------
    leader_policy : array [..., S, A]
    follower_policy : array [..., S, B]
        The follower's response to it.
    value : array [...]
        The leader's value under that follower.
    stalled : bool array [...]
        Whether the learner can make no further progress, e.g. because its line search is at rounding level.
    """

    leader_policy: Array
    follower_policy: Array
    value: Array
    stalled: Any


S = TypeVar("S", bound=State)


@dataclass(eq=False)
class _Ends:
    """How each game of the batch ended; all of the batch's shape."""

    outcome: np.ndarray
    residual: Array
    period: np.ndarray
    steps: np.ndarray

    @classmethod
    def none_yet(cls, batch: tuple[int, ...]) -> _Ends:
        return cls(np.full(batch, _RUNNING), np.full(batch, np.nan), np.zeros(batch, int), np.zeros(batch, int))

    def record(self, rows: np.ndarray, why: np.ndarray, residual: Array, period: np.ndarray, steps: int) -> None:
        for array, values in ((self.outcome, why), (self.residual, residual), (self.period, period), (self.steps, steps)):
            array.ravel()[rows] = values  # contiguous: ravel is a view


class Learner(Protocol[S]):
    """What `iterate` needs of a learner."""

    @property
    def name(self) -> str:
        """How it is called in tables."""
        ...

    @property
    def tolerance(self) -> float:
        """The residual to stop at."""
        ...

    @property
    def iterations(self) -> int:
        """The most steps made."""
        ...

    def init(self, game: StackelbergGame, seed: int) -> S:
        """The first state; all randomness comes from `seed`."""
        ...

    def step(self, game: StackelbergGame, state: S) -> S:
        """The next state. Pure: `game` and `state` are not modified."""
        ...

    def residual(self, game: StackelbergGame, state: S) -> Array:
        """How far `state` is from what the learner looks for, [...]; zero exactly at a solution."""
        ...

    def candidate(self, state: S) -> Profile:
        """What the learner would answer from `state`."""
        ...


def iterate(learner: Learner[S], game: StackelbergGame, *, seed: int = 0, report: Report | None = None) -> Run[Profile]:
    """Run `learner` on `game` until every game of the batch has a reason to stop.

    Returns
    -------
    Run
        CONVERGED if every residual, measured at the returned point, is within the tolerance; LIMIT if iterations ran
        out, progress ended at rounding level, or the iterates cycle; FAILED at the first NaN. `history` holds the largest
        ``residual`` and the mean ``value`` over the games still running, by iteration; `stats` the counts.
    """
    announce = _throttled(report, learner)
    state = whole = learner.init(game, seed)
    ends = _Ends.none_yet(game.batch)
    rows: Any = np.arange(ends.outcome.size)  # flat positions of the games in `state`
    history: dict[str, list[float]] = {"residual": [], "value": []}
    trail: list[Array] = []
    active, done = game, 0
    while True:
        measured = np.atleast_1d(learner.residual(active, state)).ravel()
        running = ends.outcome.ravel()[rows] == _RUNNING
        history["residual"].append(float(measured[running].max()))
        history["value"].append(float(np.mean(np.ravel(state.value)[running])))
        why, period = _verdicts(learner, state, measured, trail)
        finished = running & (why != _RUNNING)
        last = done >= learner.iterations
        save = running if last else finished
        if save.any():
            whole = _put(whole, game.batch, rows[save], _take(state, active.batch, save))
            ends.record(rows[save], why[save], measured[save], period[save], done)
        announce(done, history["residual"][-1])
        running = running & ~finished
        if last or not running.any():
            break
        if game.batch and running.sum() <= 0.75 * running.size:  # drop what is finished
            state, active = _take(state, active.batch, running), _part(active, running)
            trail = [x.reshape(-1, *x.shape[-2:])[running] for x in trail]
            rows = rows[running]
        trail = [*trail[-LONGEST_CYCLE:], state.leader_policy]
        state = learner.step(active, state)
        done += 1
    return _run(learner, whole, ends, history)


def _verdicts(learner: Learner[S], state: S, residual: Array, trail: list[Array]) -> tuple[np.ndarray, np.ndarray]:
    """Why each game of `state` stops now, if it does, and the period of its cycle."""
    why = np.full(residual.shape, _RUNNING)
    period = np.zeros(residual.shape, int)
    for lag in range(len(trail), 1, -1):
        # back where it was `lag` steps ago, although a step still moves it
        back = np.ravel(distance(state.leader_policy, trail[-lag])) <= 1e-8 * residual
        back &= residual > 10 * learner.tolerance
        why[back], period[back] = _CYCLES, lag
    why[np.ravel(state.stalled)] = _STALLED
    why[residual <= learner.tolerance] = _CONVERGED
    why[~(np.isfinite(residual) & np.isfinite(np.ravel(state.value)))] = _NAN
    return why, period


def _run(learner: Learner[S], state: S, ends: _Ends, history: dict[str, list[float]]) -> Run[Profile]:
    outcome, residual, period, steps = ends.outcome, ends.residual, ends.period, ends.steps
    worst = f"residual {number(np.nanmax(residual)) if np.isfinite(residual).any() else 'nan'}"
    tolerance = f"tolerance {number(learner.tolerance)}"
    count, games = outcome.size, "" if outcome.ndim == 0 else " games"
    if (outcome == _NAN).any():
        status = Status.FAILED
        because = "values are not finite" if not games else f"values of {int((outcome == _NAN).sum())} of {count} games are not finite"
    elif (outcome == _CONVERGED).all():
        status, because = Status.CONVERGED, f"{worst} <= {tolerance}" + (f" in all {count} games" if games else "")
    else:
        status, reasons = Status.LIMIT, []
        cycling = outcome == _CYCLES
        if cycling.any():
            reasons.append(f"the iterates cycle with period {int(period[cycling].min())}; more damping or a higher temperature may break it")
        if (outcome == _STALLED).any():
            reasons.append("no step makes progress beyond rounding")
        if (outcome == _RUNNING).any():
            reasons.append(f"{learner.iterations} iterations ran out")
        because = f"{worst} > {tolerance}: " + "; ".join(reasons)
        because += f" ({int((outcome == _CONVERGED).sum())} of {count} games converged)" if games else ""
    stats = {"iterations": int(steps.max()), "residual": float(residual.max()), "converged": int((outcome == _CONVERGED).sum()), "games": count}
    return Run(status, learner.candidate(state), stats=stats, because=because, history=history)


def _throttled(report: Report | None, learner: Learner[S]) -> Callable[[int, float], None]:
    if report is None:
        return lambda done, residual: None
    last = [-np.inf]

    def announce(done: int, residual: float) -> None:
        now = time.monotonic()
        if now - last[0] >= REPORT_EVERY:
            last[0] = now
            report(Progress(learner.name, done, learner.iterations, residual))

    return announce


# --- parts of a batch -------------------------------------------------------------------------------------------------


def _part(game: StackelbergGame, keep: np.ndarray) -> StackelbergGame:
    return game[keep.reshape(game.batch)]


def _take(state: S, batch: tuple[int, ...], keep: np.ndarray) -> S:
    """The games of `state` where the flat mask `keep` is true, as a batch with one axis."""
    if not batch:
        return state
    mask = keep.reshape(batch)
    return dataclasses.replace(state, **{f.name: np.asarray(getattr(state, f.name))[mask] for f in dataclasses.fields(state)})


def _put(whole: S, batch: tuple[int, ...], rows: np.ndarray, part: S) -> S:
    """`whole` with the games at flat positions `rows` replaced by those of `part`."""
    if not batch:
        return part
    fields = {}
    for f in dataclasses.fields(whole):
        array = np.array(getattr(whole, f.name))
        array.reshape(-1, *array.shape[len(batch):])[rows] = getattr(part, f.name)
        fields[f.name] = array
    return dataclasses.replace(whole, **fields)
