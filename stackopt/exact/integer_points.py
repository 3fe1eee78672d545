r"""Every value of the integer variables, one after another: tiny programs whose followers have integer variables.

Everything that a follower sees of others must be integer. Then its optimal value phi is a finite table over what it sees.
For each assignment of all integer variables that a follower decides or sees, followers whose part is not optimal are
thrown out, continuous parts are held to phi by a row f <= phi, and the rest is an ordinary program for the leader.

Against it (pessimistic ties) the leader's own remaining variables are chosen before the answer: each row and the objective
then hold for every optimal answer at once; for followers without continuous variables.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from stackopt.backends.matrix import Array, minimise
from stackopt.bilevel.point import Point
from stackopt.exact.response_patterns import Tried, hessian_of
from stackopt.solution import Progress, Report, Status

if TYPE_CHECKING:
    from stackopt.bilevel.program import BilevelProgram, Level

#: Rows and values within this of each other, relative to their size, are equal: data are small numbers here.
EQUAL = 1e-9


def seen(program: BilevelProgram, k: int) -> Any:
    """Variables of others that follower `k`'s rows, or products in its objective with its own variables, contain; indices."""
    level, mine = program.followers[k], program.owned(k)
    used = np.zeros(len(program.symbols), bool)
    used[level.rows.matrix.tocoo().coords[1][level.rows.matrix.tocoo().data != 0]] = True
    for form in level.rows.quadratic.values():
        used[np.concatenate(form.tocoo().coords)] = True
    used |= np.abs(hessian_of(level.objective)[mine]).sum(0) > 0
    used[mine] = False
    return np.flatnonzero(used[: program.size])


def enumerated(program: BilevelProgram) -> Any:
    """The integer variables whose values are tried: those that followers own or see."""
    used = np.zeros(program.size, bool)
    for k in range(len(program.followers)):
        used[seen(program, k)] = True
        mine = program.owned(k)
        used[mine[program.integer[mine]]] = True
    return np.flatnonzero(used)


def ranges(program: BilevelProgram) -> list[tuple[int, int]] | None:
    """Least and largest value of each tried variable: its bounds, or where one is missing what the followers' rows and the
    other bounds leave; None where nothing bounds it."""
    from scipy import sparse

    levels = program.followers
    matrix = sparse.csr_array(sparse.vstack([level.rows.matrix for level in levels], format="csr")[:, : program.size])
    low, high = (np.concatenate([getattr(level.rows, side) for level in levels]) for side in ("lower", "upper"))
    found = []
    for j in enumerated(program):
        ends = []
        for side, bound in ((1.0, program.lower[j]), (-1.0, program.upper[j])):
            if np.isinf(bound):
                cost = np.where(np.arange(program.size) == j, side, 0.0)
                solved = minimise(cost, matrix, low, high, program.lower, program.upper)
                if solved.status is Status.INFEASIBLE:
                    ends.append(0.0)  # nobody answers whatever the leader does; any value shows it
                    continue
                if solved.status is not Status.OPTIMAL:
                    return None
                bound = side * solved.value
            ends.append(bound)
        found.append((int(np.ceil(ends[0] - 1e-6)), int(np.floor(ends[1] + 1e-6))))
    return found


def point_count(program: BilevelProgram) -> float:
    """How many assignments there are; infinity if a variable is not bounded."""
    found = ranges(program)
    return float("inf") if found is None else float(prod(max(high - low + 1, 0) for low, high in found))


class Answers:
    """Followers' optimal values and optimal integer parts, by what they see."""

    def __init__(self, program: BilevelProgram, span: dict[int, tuple[int, int]]) -> None:
        self.program = program
        self.grids, self.sees, self.fixed, self.free = [], [], [], []
        for k in range(len(program.followers)):
            mine = program.owned(k)
            whole = mine[program.integer[mine]]
            self.fixed.append(whole)
            self.free.append(mine[~program.integer[mine]])
            self.sees.append(seen(program, k))
            points = list(itertools.product(*(range(span[int(j)][0], span[int(j)][1] + 1) for j in whole)))
            self.grids.append(np.array(points, float).reshape(len(points), len(whole)))
        self.optimal = functools.cache(self._optimal)

    def at(self, k: int, values: Array) -> tuple[float, Array]:
        """The optimal value (minimised) and the optimal integer parts [answers, integers of k]; infinity if nobody answers.

        Minus infinity: the follower's objective is unbounded.
        """
        return self.optimal(k, tuple(values[self.sees[k]]))

    def _optimal(self, k: int, shown: tuple[float, ...]) -> tuple[float, Array]:
        values = np.zeros(len(self.program.symbols))
        values[self.sees[k]] = shown
        worth = np.array([self._value(k, values, part) for part in self.grids[k]])
        best = float(worth.min(initial=np.inf))
        if not np.isfinite(best):
            return best, self.grids[k][:0]
        return best, self.grids[k][worth <= best + EQUAL * max(1.0, abs(best))]

    def _value(self, k: int, values: Array, part: Array) -> float:
        level, v = self.program.followers[k], values.copy()
        v[self.fixed[k]] = part
        if not len(self.free[k]):
            return level.objective.sign * level.objective.value(v) if holds(level, v) else np.inf
        solved = remaining(self.program, [level], level, self.free[k], v)
        if solved.status is Status.UNBOUNDED:
            return -np.inf
        return solved.value if solved.status is Status.OPTIMAL else np.inf


def holds(level: Level, v: Array) -> bool:
    """Whether the rows of `level` hold at `v` [N]."""
    activity = level.rows.activity(v)
    room = EQUAL * np.maximum(1.0, np.abs(activity))
    return bool((activity >= level.rows.lower - room).all() and (activity <= level.rows.upper + room).all())


def linear_rows(level: Level, free: Any, v: Array) -> tuple[Array, Array, Array]:
    """Rows of `level` in the columns `free`, the others fixed at `v`: matrix [m, f], sides [m], [m]."""
    base = v.copy()
    base[free] = 0.0
    matrix = level.rows.matrix.toarray()[:, free]
    for i, form in level.rows.quadratic.items():  # products of a free with a fixed variable
        dense = form.toarray()
        matrix[i] += ((dense + dense.T) @ base)[free]
    constant = level.rows.activity(base)
    return matrix, level.rows.lower - constant, level.rows.upper - constant


def remaining(program: BilevelProgram, levels: list[Level], goal: Level, free: Any, v: Array, more: tuple[tuple[Array, float], ...] = ()) -> Any:
    """The program over the columns `free` with all others fixed at `v`, minimised; `more`: further rows (coefficients, upper)."""
    from scipy import sparse

    base = v.copy()
    base[free] = 0.0
    hessian = goal.objective.sign * hessian_of(goal.objective)
    linear = goal.objective.sign * goal.objective.gradient(base)[free]
    curved = hessian[np.ix_(free, free)]
    parts = [linear_rows(level, free, v) for level in levels]
    parts += [(row.reshape(1, -1), np.array([-np.inf]), np.array([upper])) for row, upper in more]
    matrix = np.vstack([np.zeros((0, len(free))), *(p[0] for p in parts)])
    low, high = np.concatenate([np.zeros(0), *(p[1] for p in parts)]), np.concatenate([np.zeros(0), *(p[2] for p in parts)])
    return minimise(
        linear, sparse.csr_array(matrix), low, high, program.lower[free], program.upper[free],
        hessian=sparse.csr_array(curved) if np.abs(curved).max(initial=0.0) > 0 else None,
        integer=program.integer[free], constant=goal.objective.sign * goal.objective.value(base),
    )  # fmt: skip


def try_points(program: BilevelProgram, report: Report | None = None) -> Tried:
    """The leader's best over all assignments."""
    tried_columns, span = enumerated(program), ranges(program)
    assert span is not None
    spans = dict(zip(tried_columns.tolist(), span))
    answers = Answers(program, spans)
    leaders = [j for j in tried_columns if program.owner[j] < 0]
    free = np.array([j for j in range(program.size) if j not in spans], int)
    best, where, tried, undecided = np.inf, None, 0, 0
    total = int(prod(high - low + 1 for low, high in (spans[int(j)] for j in leaders)))
    for decision in itertools.product(*(range(spans[int(j)][0], spans[int(j)][1] + 1) for j in leaders)):
        v = np.zeros(len(program.symbols))
        v[leaders] = decision
        responses = list(_equilibria(program, answers, v))
        cases = [responses] if program.ties == "pessimistic" else [[one] for one in responses]
        for case in cases:
            if not case:
                continue
            status, value, point = _leader(program, answers, free, case)
            if status is Status.UNBOUNDED:
                return Tried(status, None, -np.inf * program.leader.objective.sign, tried + 1, undecided, _shown(program, leaders, decision))
            undecided += status not in (Status.OPTIMAL, Status.INFEASIBLE)
            if status is Status.OPTIMAL and value < best:
                best, where = value, point
        tried += 1
        if report and tried % 100 == 0:
            report(Progress("enumerating decisions", tried, total))
    if where is None:
        return Tried(Status.FAILED if undecided else Status.INFEASIBLE, None, np.nan, tried, undecided)
    value = program.leader.objective.sign * best
    return Tried(Status.FAILED if undecided else Status.OPTIMAL, Point(where[: program.size], np.zeros(0), value), value, tried, undecided)


def _shown(program: BilevelProgram, columns: Any, values: tuple[int, ...]) -> str:
    return "at " + ", ".join(f"{program.names[j]} = {value}" for j, value in zip(columns, values))


def _equilibria(program: BilevelProgram, answers: Answers, v: Array) -> Iterator[Array]:
    """Symbols [N] with integer parts that are optimal for every follower, given the leader's in `v`; continuous parts 0."""
    apart = all((program.owner[answers.sees[k]] < 0).all() for k in range(len(program.followers)))
    parts = [answers.at(k, v)[1] if apart else answers.grids[k] for k in range(len(program.followers))]
    for choice in itertools.product(*parts):
        point = v.copy()
        for k, part in enumerate(choice):
            point[answers.fixed[k]] = part
        if apart or all(any(np.array_equal(part, one) for one in answers.at(k, point)[1]) for k, part in enumerate(choice)):
            yield point


def _leader(program: BilevelProgram, answers: Answers, free: Any, case: list[Array]) -> tuple[Status, float, Array | None]:
    """The leader's best in the columns `free`; with several answers in `case`, for the worst of them."""
    if len(case) > 1:
        return _against(program, free, case)
    point, more, levels = case[0], list[tuple[Array, float]](), [program.leader]
    for k, level in enumerate(program.followers):
        if len(answers.free[k]):
            base = point.copy()
            base[free] = 0.0
            sign = level.objective.sign
            best = answers.at(k, point)[0]
            row = sign * level.objective.gradient(base)
            row[np.setdiff1d(np.arange(len(row)), answers.free[k])] = 0.0
            more.append((row[free], best + EQUAL * max(1.0, abs(best)) - sign * level.objective.value(base)))
            levels.append(level)
    if not len(free):
        value = program.leader.objective.sign * program.leader.objective.value(point)
        return (Status.OPTIMAL, value, point) if holds(program.leader, point) else (Status.INFEASIBLE, np.nan, None)
    solved = remaining(program, levels, program.leader, free, point, tuple(more))
    if solved.status is not Status.OPTIMAL:
        return solved.status, np.nan, None
    point = point.copy()
    point[free] = solved.x
    return solved.status, solved.value, point


def _against(program: BilevelProgram, free: Any, case: list[Array]) -> tuple[Status, float, Array | None]:
    """One more column t, at least the objective under each answer; rows under each answer."""
    from scipy import sparse

    sign, objective = program.leader.objective.sign, program.leader.objective
    blocks, low, high = list[Array](), list[Array](), list[Array]()
    for point in case:
        base = point.copy()
        base[free] = 0.0
        matrix, lower, upper = linear_rows(program.leader, free, point)
        blocks += [np.hstack([matrix, np.zeros((len(matrix), 1))]), np.append(sign * objective.gradient(base)[free], -1.0).reshape(1, -1)]
        low += [lower, np.array([-np.inf])]
        high += [upper, np.array([-sign * objective.value(base)])]
    solved = minimise(
        np.append(np.zeros(len(free)), 1.0), sparse.csr_array(np.vstack(blocks)), np.concatenate(low), np.concatenate(high),
        np.append(program.lower[free], -np.inf), np.append(program.upper[free], np.inf), integer=np.append(program.integer[free], False),
    )  # fmt: skip
    if solved.status is not Status.OPTIMAL or solved.x is None:
        return solved.status, np.nan, None
    worths = []
    for point in case:
        full = point.copy()
        full[free] = solved.x[:-1]
        worths.append((sign * objective.value(full), full))
    worth, worst = max(worths, key=lambda pair: pair[0])
    return solved.status, worth, worst
