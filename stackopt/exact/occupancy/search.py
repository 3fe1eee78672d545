r"""Branch and bound for a randomised leader whose action moves the state  [D8].

Best bound first over boxes of leader policies and sets of allowed responses. A box is closed when its relaxation is infeasible or its bound is within the
gap of the incumbent. Branching is on the response of the state where the relaxation is least decided, weighted by visits, then on
the probability whose relaxed products are most wrong: once all responses are fixed and all probability ranges are points, the relaxation is exact, so the bound
converges. Incumbents are policies of relaxations, polished by sequential linear programming for their response and evaluated by the
game (theory A1); a box whose relaxation *looks* exact keeps its bound until it is closed.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np

from stackopt.display import number
from stackopt.exact.commitment import CommitmentValue
from stackopt.exact.guarded import Outcome, Worth
from stackopt.exact.occupancy.box import Box, tighten
from stackopt.exact.occupancy.polish import polished
from stackopt.exact.occupancy.relaxation import Relaxation, Relaxed
from stackopt.games.operators import Array
from stackopt.games.stackelberg import StackelbergGame
from stackopt.reformulations.formulation import choices_of
from stackopt.reformulations.ranges import Choices, value_ranges
from stackopt.solution import Progress, Report, Status

#: A response is decided when what is left of it, times the visits to its state, is below this.
DECIDED = 1e-6
#: Ranges of probabilities narrower than this are not split.
NARROW = 1e-9
#: Starts of the local search per response.
STARTS = 3
#: Boxes whose ranges are narrowed by linear programs: the first ones, below which everything inherits, and at most so much of the time.
NARROWED, NARROWING = 31, 1 / 6
#: Open boxes at most; beyond, the search stops and says so.
OPEN = 200_000


def occupancy_search(
    game: StackelbergGame, *, known: list[Array] | None = None, gap: float = 5e-7, time_limit: float = 60.0, report: Report | None = None
) -> Outcome:
    """The best commitment over all randomised policies, as an interval.

    Parameters
    ----------
    game : StackelbergGame
        A single, dense game; rewards of any size (they are normalised).
    known : list of array [S, A], optional
        Policies to begin with.
    gap : float
        Relative; the search stops when bound - value is at most ``gap * max(1, |value|)``.
    time_limit : float
        Seconds.
    report : callable, optional
    """
    search = OccupancySearch(game, known=known, gap=gap, time_limit=time_limit, report=report)
    search.advance(time_limit)
    return search.outcome()


class OccupancySearch:
    """The search of `occupancy_search`, to be advanced in several turns; what others find or prove between them may be told.

    Parameters
    ----------
    game, known, gap, time_limit, report
        As for `occupancy_search`; `time_limit` is of all turns together.

    Attributes
    ----------
    best : Worth or None
        The best policy so far.
    bound : float
        Upper bound on the strong value, in the game's own units.
    """

    def __init__(
        self, game: StackelbergGame, *, known: list[Array] | None = None, gap: float = 5e-7, time_limit: float = 60.0, report: Report | None = None
    ) -> None:
        self.game, self.gap, self.time_limit, self.report = game, gap, time_limit, report
        self.choices: Choices = choices_of(game, np.eye(game.shape[1])).normalised()
        self.relaxation = Relaxation(self.choices)
        self.value = CommitmentValue(game, "strong")
        self.scale, self.offset = self.choices.leader_unit[0], self.choices.leader_offset
        self.best: Worth | None = None
        self.told = self.bound = np.inf
        self.deadline = self.narrowing = 0.0
        self.heap: list[tuple[float, int, Box, Relaxed]] = []
        self.closed = -np.inf  # the largest bound among the boxes that were closed
        self.cut = -np.inf  # boxes hold only policies worth more than this: what is empty may have held policies worth as much
        self.order = itertools.count()
        self.nodes = 0
        self.polished = Counter[tuple[int, ...]]()
        for policy in known or []:
            self.offer(policy)

    def advance(self, seconds: float) -> None:
        """Go on for so long, or until the gap is closed."""
        self.deadline = time.perf_counter() + seconds
        if not self.nodes and seconds > 0:
            self.closed = self.visit(self.root(), None, np.inf)
        while self.heap and self.nodes:
            bound = -self.heap[0][0]
            if bound <= self.target() or self.closes() or time.perf_counter() > self.deadline or len(self.heap) > OPEN:
                break
            _, _, box, relaxed = heapq.heappop(self.heap)
            for child in self.children(box, relaxed):
                self.closed = max(self.closed, self.visit(child, relaxed.basis, bound))
            if self.report and self.nodes % 50 == 0:
                self.report(Progress("branch and bound", self.nodes, None, self.real(bound) - self.attained()))
        if self.nodes:
            proved = self.real(max(-self.heap[0][0] if self.heap else -np.inf, self.closed))
            self.bound = max(min(proved, self.told), self.attained())

    def tell(self, bound: float) -> None:
        """An upper bound on the strong value, in the game's own units, proved elsewhere."""
        self.told = min(self.told, bound)
        self.bound = min(self.bound, max(self.told, self.attained()))

    def closes(self) -> bool:
        """Whether what was told closes the gap to what is attained by now."""
        return self.told - self.attained() <= self.gap * max(1.0, abs(self.attained()))

    def outcome(self) -> Outcome:
        """What is established."""
        bound = self.bound
        stats: dict[str, float | int | str] = {"nodes": self.nodes, "linear_programs": self.relaxation.solves, "formulation": "occupancy measures"}
        attained = self.attained()
        gap = (bound - attained) / max(1.0, abs(attained))
        if self.best is None or not np.isfinite(bound):
            return Outcome(Status.LIMIT, self.best, np.inf, "no bound in the time given", stats)
        done = gap <= self.gap
        said = f"gap {gap:.2g}{' <=' if done else ' >'} {self.gap:.2g} after {self.nodes} boxes"
        if not done:
            said = f"time: {said}; the best commitment lies in [{number(attained, 9)}, {number(bound, 9)}]"
        return Outcome(Status.OPTIMAL if done else Status.LIMIT, self.best, bound, said, stats)

    def root(self) -> Box:
        """The box of all policies."""
        S, A, B = self.game.shape
        ranges = value_ranges(self.choices, mixed=True)
        most = np.full((S, S), 1.0 / (1.0 - self.choices.leader_discount))
        return Box(
            np.zeros((self.choices.classes, A)), np.ones((self.choices.classes, A)), np.ones((S, B), bool), ranges.follower_lower, ranges.follower_upper,
            np.eye(S), most,
        )

    def visit(self, box: Box, basis: Any, inherited: float) -> float:
        """Tighten and relax a box and push it if it may hold better; otherwise the bound with which it is closed."""
        self.nodes += 1
        box = tighten(self.choices, box, 400 if basis is None else 12)
        for _ in range(2 if self.nodes <= NARROWED and np.isfinite(self.attained()) else 0):
            begun = time.perf_counter()
            left = min(0.05 * self.time_limit, NARROWING * self.time_limit - self.narrowing, self.deadline - begun)
            if box.empty or left <= 0:
                break
            self.cut = self.target()
            box = tighten(self.choices, self.relaxation.narrowed(box, self.cut, time_limit=left))
            self.narrowing += time.perf_counter() - begun
        if box.empty:
            return self.cut
        status, relaxed = self.relaxation.solve(box, basis, time_limit=max(self.deadline - time.perf_counter(), 0.01))
        if status is Status.INFEASIBLE:
            return self.cut
        if relaxed is None:  # out of time, or HiGHS does not know: the box stays open
            heapq.heappush(self.heap, (-inherited, next(self.order), box, self.relaxation.unknown(box, inherited)))
            return -np.inf
        relaxed = replace(relaxed, bound=min(relaxed.bound, inherited))
        if relaxed.bound > self.target():
            self.improve(relaxed)
        if relaxed.bound <= self.target():
            return relaxed.bound
        if np.isfinite(self.attained()):
            self.cut = self.target()
            box = self.relaxation.reduced(box, relaxed, self.cut)
        heapq.heappush(self.heap, (-relaxed.bound, next(self.order), box, relaxed))
        return -np.inf

    def improve(self, relaxed: Relaxed) -> None:
        """Evaluate the policy of a relaxation, and the best one near it for each of two responses."""
        policy = np.clip(relaxed.policy, 0.0, 1.0)
        policy /= policy.sum(1, keepdims=True)
        found = self.offer(policy[self.choices.observations])
        for response in (relaxed.response.argmax(1), found.response.argmax(1)):
            key = tuple(response.tolist())
            if self.polished[key] >= STARTS or time.perf_counter() > self.deadline:
                continue
            self.polished[key] += 1
            self.polish(policy, (response,))

    def children(self, box: Box, relaxed: Relaxed) -> list[Box]:
        """The parts of a box: a response decided, or a probability's range cut in two."""
        played = np.where(box.allowed, relaxed.response, -1.0)
        undecided = relaxed.visits * (1.0 - played.max(1)) * (box.allowed.sum(1) > 1)
        s = int(undecided.argmax())
        if undecided[s] > DECIDED:
            only = np.zeros_like(box.allowed[s])
            only[played[s].argmax()] = True
            parts = []
            for kept in (only, ~only):
                allowed = box.allowed.copy()
                allowed[s] &= kept
                parts.append(replace(box, allowed=allowed))
            return parts
        width = box.upper - box.lower
        error = np.where(width > NARROW, relaxed.product_error, -1.0)
        if error.max() <= 1e-12:  # nothing looks wrong, yet the bound is open: cut the widest range
            error = np.where(width > NARROW, width, -1.0)
        c, a = np.unravel_index(int(error.argmax()), error.shape)
        if width[c, a] <= NARROW:
            open_responses = np.flatnonzero(box.allowed.sum(1) > 1)
            if not len(open_responses):
                return []  # a point: its policy has been evaluated, its bound is rounding
            s = int(open_responses[0])
            return [replace(box, allowed=_only(box.allowed, s, b)) for b in np.flatnonzero(box.allowed[s]).tolist()]
        at = float(np.clip(relaxed.policy[c, a], box.lower[c, a] + 0.2 * width[c, a], box.upper[c, a] - 0.2 * width[c, a]))
        below, above = box.upper.copy(), box.lower.copy()
        below[c, a], above[c, a] = at, at
        return [replace(box, upper=below), replace(box, lower=above)]

    def polish(self, policy: Array, responses: tuple[Any, ...]) -> None:
        """Evaluate the best policies near `policy` [C, A] for some responses."""
        for response in responses:
            better = polished(self.choices, policy, response)
            if better is not None:
                self.offer(better[self.choices.observations])

    # --- figures ---------------------------------------------------------------------------------------------------

    def offer(self, policy: Array) -> Worth:
        """Evaluate a policy [S, A] and keep it if it is the best so far."""
        found = self.value.worth(policy)
        if self.best is None or found.value > self.best.value:
            self.best = found
        return found

    def attained(self) -> float:
        """The value of the best policy so far, in the game's own units."""
        return -np.inf if self.best is None else self.best.value

    def real(self, normalised: float) -> float:
        """A value of the normalised game in the game's own units."""
        return self.offset + self.scale * normalised

    def normal(self, value: float) -> float:
        """A value of the game in the units of the normalised game."""
        return (value - self.offset) / self.scale

    def target(self) -> float:
        """Bounds of the normalised game up to this close a box."""
        attained = self.attained()
        if not np.isfinite(attained):
            return -np.inf
        return self.normal(attained + 0.9 * self.gap * max(1.0, abs(attained)))


def _only(allowed: Any, s: int, b: int) -> Any:
    found = allowed.copy()
    found[s] = False
    found[s, b] = True
    return found
