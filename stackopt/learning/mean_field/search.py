"""What all solvers of an equilibrium share: the best policy so far by true exploitability, the clock, the history, and the verdict."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from stackopt.display import number
from stackopt.games.mean_field.population import Population
from stackopt.games.operators import Array
from stackopt.learning.mean_field.followers import Evaluated, Followers
from stackopt.solution import Progress, Report, Run, Status

#: Exploitability that rounding explains, relative to the size of the values.
ROUNDING = 1e-13
#: Policies closer than this, relative to a step, are the same.
CYCLE = 1e-8
#: Seconds between progress reports.
REPORT_EVERY = 0.1


class Search:
    """The best policy found so far, and when to stop.

    Parameters
    ----------
    followers : Followers
    tolerance : float
        On exploitability, relative to that of uniform policies.
    time_limit : float
        Seconds.
    report : callable, optional
        Gets `Progress`, at most every 0.1 s.

    Attributes
    ----------
    best : Evaluated
        Smallest exploitability so far; uniform policies at first.
    first : Evaluated
        Uniform policies.
    uniform : float
        Exploitability of uniform policies.
    found_by : str
        The stage that found `best`.
    """

    def __init__(self, followers: Followers, tolerance: float, time_limit: float, report: Report | None = None) -> None:
        self.followers, self.tolerance, self.time_limit, self._report = followers, tolerance, time_limit, report
        self.started = time.monotonic()
        self._reported = -np.inf
        self.history: dict[str, list[float]] = {"relative": [], "seconds": []}
        self.stats: dict[str, Any] = {}
        self.stage, self.found_by = "uniform policies", "uniform policies"
        self.best = followers.evaluate(followers.game.uniform())
        self.first = self.best
        self.uniform = self.best.exploitability
        self._note(self.best)

    def offer(self, policy: Array, start: Array | None = None) -> Evaluated:
        """Evaluate a policy [K, T, S, B] and keep it if it is the best so far."""
        return self.take(self.followers.evaluate(policy, start))

    def take(self, found: Evaluated) -> Evaluated:
        """Keep what was evaluated if it is the best so far."""
        if found.exploitability < self.best.exploitability or not np.isfinite(self.best.exploitability):
            self.best, self.found_by = found, self.stage
        self._note(found)
        return found

    def _note(self, found: Evaluated) -> None:
        self.history["relative"].append(self.relative(self.best.exploitability))
        self.history["seconds"].append(time.monotonic() - self.started)
        if self._report is not None and time.monotonic() - self._reported >= REPORT_EVERY:
            self._reported = time.monotonic()
            self._report(Progress(self.stage, self.followers.evaluations, None, self.relative(self.best.exploitability)))

    def relative(self, exploitability: float) -> float:
        """Over that of uniform policies; where theirs is 0, as it is."""
        return exploitability / self.uniform if self.uniform > 0 else exploitability

    def accepts(self, found: Evaluated) -> bool:
        """Whether its exploitability is within the tolerance."""
        allowed = self.tolerance * max(self.uniform, 0.0) + ROUNDING * (1.0 + float(np.abs(found.value).max()))
        return bool(found.exploitability <= allowed)

    @property
    def solved(self) -> bool:
        """Whether the best policy is an equilibrium, up to the tolerance."""
        return self.accepts(self.best)

    @property
    def late(self) -> bool:
        """Whether time is up."""
        return time.monotonic() - self.started > self.time_limit

    @property
    def over(self) -> bool:
        """Solved, or out of time."""
        return self.solved or self.late

    def run(self, reason: str, others: tuple[Population, ...] = (), suspected: str = "") -> Run[Population]:
        """The verdict: CONVERGED on true exploitability only, else LIMIT with the reason.

        Parameters
        ----------
        reason : str
            Why the method stopped, if it did not solve the game.
        others : tuple of Population
            Further equilibria.
        suspected : str
            Why there may be several although only one was found.
        """
        best, game, theta = self.best, self.followers.game, self.followers.theta
        flows = best.mean_field[..., None] * best.policy
        claim = game.leader_value(flows, best.y, theta)
        candidate = Population(theta, best.policy, best.mean_field, tolerance=self.tolerance, claim=claim, others=others, suspected=suspected)
        relative = number(self.relative(best.exploitability), 3)
        measured = f"exploitability {number(best.exploitability)}, {relative} of uniform policies'"
        stats = {
            "exploitability": best.exploitability,
            "relative": self.relative(best.exploitability),
            "uniform": self.uniform,
            "evaluations": self.followers.evaluations,
            "found_by": self.found_by,
            "multiplicity": f"found: {len(others) + 1} equilibria" if others else f"suspected: {suspected}" if suspected else "not detected",
            **self.stats,
        }
        if others:  # optimistic and pessimistic among those found
            values = [float(candidate.claimed), *(other.claimed for other in others)]
            stats |= {"leader_lowest": min(values), "leader_highest": max(values)}
        if self.solved:
            return Run(Status.CONVERGED, candidate, stats=stats, because=f"{measured} <= {number(self.tolerance)}, by {self.found_by}", history=self.history)
        late = f"the time limit of {number(self.time_limit)} s" if self.late else reason
        status = Status.LIMIT if np.isfinite(best.exploitability) else Status.FAILED
        return Run(status, candidate, stats=stats, because=f"{measured} > {number(self.tolerance)}, best by {self.found_by}: {late}", history=self.history)


class Trail:
    """The last policies of an iteration, to recognise cycles."""

    def __init__(self, longest: int = 8) -> None:
        self._longest = longest
        self._policies: list[Array] = []

    def period(self, policy: Array) -> int:
        """The period if `policy` was met before, though the iteration has moved since; else 0."""
        found = 0
        moved = bool(self._policies) and float(np.abs(policy - self._policies[-1]).max()) > CYCLE
        for lag in range(len(self._policies), 1, -1):
            if moved and float(np.abs(policy - self._policies[-lag]).max()) <= CYCLE * float(np.abs(policy - self._policies[-1]).max()):
                found = lag
        self._policies = [*self._policies[1 - self._longest :], policy]
        return found
