"""Least cost at each limit on the gap of burdens, the peak or the spread of prices: what equity or stability costs.

Limits go from wide to narrow, each search begins where the last designs point to, and the narrowest is searched from fresh starts as well. Then it is
gone through from the other side: a wider limit can do at least as well as a narrower one, and what stands out above its neighbours is searched again
from both. All the same these are local optima.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from stackopt.energy.designs.design import Design, design, examine
from stackopt.energy.designs.problem import DesignProblem
from stackopt.energy.designs.reach import LIMITED, Smallest, smallest, told
from stackopt.errors import InvalidStudy
from stackopt.solution import Progress, Report, Status

Array = NDArray[np.float64]

#: Iterations from where the designs point to and from the last of them: what takes more lies round a corner, or nowhere.
SHORT, MIDDLE = 12, 30
#: $/day and household by which costs must differ to be searched again, or to be taken as better.
BETTER = 1e-7


def frontier(
    problem: DesignProblem,
    limits: Sequence[float],
    *,
    over: str = "gap",
    starts: int = 4,
    seed: int = 0,
    begin: Sequence[Array] = (),
    known: Mapping[float, Array] | None = None,
    keep: Callable[[float, Design], None] | None = None,
    report: Report | None = None,
) -> list[Design]:
    """The least cost at each limit.

    Parameters
    ----------
    problem : DesignProblem
        Its other limits hold at every point.
    limits : sequence of float
        In any order: shares of income, MW, or $/MWh.
    over : str
        ``"gap"``, ``"peak"`` or ``"price_spread"``.
    starts, seed : int
        Fresh starts of the widest and of the narrowest limit that can be met.
    begin : sequence of arrays, optional
        Further starts of the widest, e.g. of a design without the limit (`Design.z`).
    known : mapping of limit to array, optional
        `Design.z` of an earlier run: examined, and searched for only if they fail.
    keep : callable, optional
        Gets each limit with its design as soon as there is one, and again where a better one is found: to store for `known`, should the run be stopped.

    Returns
    -------
    list of Design
        In the order of `limits`. Points that fail examination are returned as they are, with their status, and belong in no picture. Below the smallest
        value that a search for it finds nothing is searched, and `because` tells it.

    Raises
    ------
    InvalidStudy
        ``setting-value`` for another criterion.
    """
    if over not in LIMITED:
        raise InvalidStudy("setting-value", name="over", law=f"one of {', '.join(LIMITED)}", got=repr(over))
    run = _Run(problem, over, starts, seed, keep)
    order = sorted(dict.fromkeys(float(v) for v in limits), reverse=True)
    for rank, limit in enumerate(order):
        run.settle(limit, list(begin), None if known is None else known.get(limit))
        if report is not None:
            report(Progress("frontier", rank + 1, len(order), None))
        if run.found[limit].status is Status.INFEASIBLE:  # the requirement, whatever the limit
            run.found.update({other: replace(run.found[limit], problem=run.limited(other)) for other in order[rank + 1 :]})
            break
    good = [limit for limit in order if run.found[limit].status.success]
    if starts and len(good) > 1:
        run.improve(good[-1], [], starts)
    for wide, narrow in reversed(list(itertools.pairwise(good))):
        if run.cost(narrow) < run.cost(wide) - BETTER:
            run.improve(wide, [run.z(narrow)])
    for left, limit, right in zip(good[:-2], good[1:-1], good[2:], strict=True):
        share = (left - limit) / (left - right)
        if run.cost(limit) > (1.0 - share) * run.cost(left) + share * run.cost(right) + BETTER:
            run.improve(limit, [run.z(left), run.z(right)])
    return [run.found[float(v)] for v in limits]


@dataclass(eq=False)
class _Run:
    """Designs by limit, and the path that they are on."""

    problem: DesignProblem
    over: str
    starts: int
    seed: int
    keep: Callable[[float, Design], None] | None
    found: dict[float, Design] = field(default_factory=dict)
    path: list[tuple[float, Array]] = field(default_factory=list)
    last: Array | None = None
    least: Smallest | None = None

    def limited(self, limit: float) -> DesignProblem:
        """The problem under a limit."""
        return replace(self.problem, limits=replace(self.problem.limits, **{self.over: limit}))

    def cost(self, limit: float) -> float:
        """Of a design that converged."""
        criteria = self.found[limit].criteria
        assert criteria is not None
        return criteria.cost

    def z(self, limit: float) -> Array:
        """Of a design that converged."""
        z = self.found[limit].z
        assert z is not None
        return z

    def put(self, limit: float, found: Design) -> None:
        """Take a design as that of its limit."""
        self.found[limit] = found
        if self.keep is not None:
            self.keep(limit, found)

    def improve(self, limit: float, begin: Sequence[Array], starts: int = 0) -> None:
        """Search again from elsewhere, and keep what is better."""
        again = design(self.limited(limit), starts=starts, seed=self.seed, begin=begin, explain=False)
        tried = self.found[limit].equilibria + again.equilibria
        if again.status.success and again.criteria is not None and again.criteria.cost < self.cost(limit) - BETTER:
            self.put(limit, replace(again, equilibria=tried))
        else:
            self.found[limit] = replace(self.found[limit], equilibria=tried)

    def settle(self, limit: float, begin: Sequence[Array], known: Array | None) -> None:
        """The design of the next narrower limit."""
        tried, found = 0, None
        if not self._beneath(limit):
            for found in self._attempts(self.limited(limit), limit, begin, known):
                tried += found.equilibria
                if found.status.success or found.status is Status.INFEASIBLE:
                    break
        if found is None or (not found.status.success and self._beneath(limit)):
            assert self.least is not None
            because = told(self.over, self.least.value, limit)
            found = Design(self.limited(limit), None, None, None, Status.LIMIT, because, math.nan, math.nan, (), tried)
        self.put(limit, replace(found, equilibria=tried))
        if found.status.success and found.z is not None:
            self.last, self.path = found.z, [*self.path[-2:], (limit, found.z)]
        else:
            self.path = []

    def _beneath(self, limit: float, asked: bool = False) -> bool:
        """Whether a search for the smallest value ended above a limit, or nowhere; it is made, once, if `asked`."""
        if asked and self.least is None:
            self.least = smallest(self.problem, self.over, self.last)
        return self.least is not None and not limit >= self.least.value

    def _attempts(self, problem: DesignProblem, limit: float, begin: Sequence[Array], known: Array | None) -> Iterator[Design]:
        """Designs from one start after another, the likeliest first, until one is taken."""
        if known is not None:
            yield examine(problem, known)
        ahead = extrapolated(self.path, limit)
        if ahead is not None:
            yield design(problem, starts=0, begin=[ahead], iterations=SHORT, explain=False)
        if self.last is not None:
            yield design(problem, starts=0, begin=[self.last], iterations=MIDDLE, explain=False)
        else:
            yield design(problem, starts=self.starts, seed=self.seed, begin=begin)
        if not self._beneath(limit, asked=True) and self.least is not None and self.least.z is not None:
            yield design(problem, starts=0, begin=[self.least.z], explain=False)


def extrapolated(path: Sequence[tuple[float, Array]], limit: float) -> Array | None:
    """Where the design of a limit should be, by the polynomial through those of the last limits; None from fewer than two."""
    if len(path) < 2:
        return None
    point = np.zeros_like(path[0][1])
    for at, z in path:  # Lagrange
        point += z * math.prod((limit - other) / (at - other) for other, _ in path if other != at)
    return point
