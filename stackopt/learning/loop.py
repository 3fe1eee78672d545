"""The one loop for learners: step, measure the true residual, and stop for a reason that is said.

A learner is a frozen dataclass of settings with four pure methods: `init`, `step`, `residual`, `candidate`. Its state is
a frozen dataclass whose fields are arrays with the game's batch axes in front, so that one loop serves single games and
batches. In a batch every game has its own convergence; finished games are set aside and stop costing.
"""

from __future__ import annotations

import copy
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
class Ends:
    """How each row ended: why, at which residual, the period if it cycles, after how many steps."""

    outcome: np.ndarray
    residual: Array
    period: np.ndarray
    steps: np.ndarray

    @classmethod
    def none_yet(cls, batch: tuple[int, ...]) -> Ends:
        """Every row still running."""
        return cls(np.full(batch, _RUNNING), np.full(batch, np.nan), np.zeros(batch, int), np.zeros(batch, int))

    def record(self, rows: np.ndarray, why: np.ndarray, residual: Array, period: np.ndarray, steps: int) -> None:
        """Write down the ends of some rows."""
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
    state, ends, history = advance(learner, game, learner.init(game, seed), _throttled(report, learner))
    return _run(learner, state, ends, history)


def advance(
    learner: Learner[S], game: StackelbergGame, state: S, announce: Callable[[int, float], None] | None = None
) -> tuple[S, Ends, dict[str, list[float]]]:
    """Step every row of `state` until it has a reason to stop; finished rows are set aside and stop costing.

    The rows are the games of the batch, or, for a single game, any number of states of it (several starts).
    """
    whole, lead = state, np.shape(state.value)
    ends = Ends.none_yet(lead)
    rows = np.arange(ends.outcome.size)  # flat positions of what is in `state`
    history: dict[str, list[float]] = {"residual": [], "value": []}
    trail: list[Array] = []
    done = 0
    while True:
        measured = np.ravel(learner.residual(game, state))
        running = ends.outcome.ravel()[rows] == _RUNNING
        history["residual"].append(float(measured[running].max()))
        history["value"].append(float(np.mean(np.ravel(state.value)[running])))
        why, period = _verdicts(learner, state, measured, trail)
        finished = running & (why != _RUNNING)
        last = done >= learner.iterations
        save = running if last else finished
        if save.any():
            whole = put(whole, lead, rows[save], take(state, save))
            ends.record(rows[save], why[save], measured[save], period[save], done)
        if announce is not None:
            announce(done, history["residual"][-1])
        running = running & ~finished
        if last or not running.any():
            return whole, ends, history
        if running.sum() <= 0.75 * running.size:  # drop what is finished
            state, game, rows = take(state, running), part(game, running), rows[running]
            trail = [x.reshape(-1, *x.shape[-2:])[running] for x in trail]
        trail = [*trail[1 - LONGEST_CYCLE :], state.leader_policy]
        state = learner.step(game, state)
        done += 1


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


def _run(learner: Learner[S], state: S, ends: Ends, history: dict[str, list[float]]) -> Run[Profile]:
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


def _throttled(report: Report | None, learner: Learner[S]) -> Callable[[int, float], None] | None:
    if report is None:
        return None
    last = [-np.inf]

    def announce(done: int, residual: float) -> None:
        now = time.monotonic()
        if now - last[0] >= REPORT_EVERY:
            last[0] = now
            report(Progress(learner.name, done, learner.iterations, residual))

    return announce


# --- parts of a batch -------------------------------------------------------------------------------------------------


def part(game: StackelbergGame, keep: np.ndarray) -> StackelbergGame:
    """The games of a batch where the flat mask (or list of flat positions) `keep` says so; a single game serves all rows."""
    if not game.batch:
        return game
    chosen = copy.copy(game)  # its arrays are valid already: not validated and not normalised a second time
    for name, axes in (("leader_reward", 3), ("follower_reward", 3), ("transition", 4), ("initial", 1)):
        array = getattr(game, name)
        object.__setattr__(chosen, name, array.reshape(-1, *array.shape[array.ndim - axes :])[keep])
    return chosen


def take(state: S, keep: np.ndarray) -> S:
    """The rows of `state` where `keep` says so, with one leading axis; a state without leading axes is returned as it is."""
    lead = np.ndim(state.value)
    if lead == 0:
        return state
    fields = {f.name: np.asarray(getattr(state, f.name)) for f in dataclasses.fields(state)}
    return dataclasses.replace(state, **{name: array.reshape(-1, *array.shape[lead:])[keep] for name, array in fields.items()})


def put(whole: S, lead: tuple[int, ...], rows: np.ndarray, some: S) -> S:
    """`whole`, whose leading axes are `lead`, with its rows at flat positions `rows` replaced by those of `some`."""
    if not lead:
        return some
    fields = {}
    for f in dataclasses.fields(whole):
        array = np.array(getattr(whole, f.name))
        array.reshape(-1, *array.shape[len(lead) :])[rows] = getattr(some, f.name)
        fields[f.name] = array
    return dataclasses.replace(whole, **fields)
