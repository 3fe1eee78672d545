"""The tree of a proof: branch and bound on the integer columns of a system whose columns are all bounded.

Every cell is closed by a multiplier of the rows that is a rational and that the checker's own arithmetic accepts, or it is
split. Floats decide where to look, never what holds.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from stackopt.proof.check import Rejected, check_point, leaf_bound
from stackopt.proof.games_elimination import Basis, dual, vertex
from stackopt.solution import Status

if TYPE_CHECKING:
    from stackopt.games.operators import Array
    from stackopt.proof.check import System

Row = dict[int, Fraction]
Cell = dict[int, int]
#: Why there is no proof when time ran out.
LATE = "the time for it ran out"
#: How often the search starts again when it meets something better than its incumbent.
RESTARTS = 5
#: Multipliers are rounded to multiples of one over these, in turn; a common denominator keeps sums short.
DENOMINATORS = (12, 240, 10**4, 10**6, 10**9)
#: Float bounds this close to the target, relative, call for an exact dual solution.
CLOSE = 1e-7
#: Float bounds this far above what is needed, relative, are not evaluated in rationals before the checker does it.
CLEAR = 1e-6
#: Integer columns closer to a whole number than this are whole.
WHOLE = 1e-6


@dataclass
class Tree:
    """Lines of a proof's tree, and the least bound of its leaves.

    Attributes
    ----------
    lines : list of str
        Preorder.
    lower : Fraction or None
        The least bound of a leaf, at most the target.
    finished : bool
        Whether all cells are covered.
    better : dict or None
        Integer columns at which the floats saw a cost below the target: the search starts again from there.
    """

    lines: list[str] = field(default_factory=list)
    lower: Fraction | None = None
    finished: bool = False
    better: Cell | None = None


class Relaxation:
    """The linear relaxation of a system in floats, kept warm."""

    def __init__(self, S: System) -> None:
        from scipy.sparse import csr_array

        from stackopt.backends.warm import WarmLp

        starts, columns, values = [0], list[int](), list[float]()
        for coefficients, _, _ in S.rows:
            columns += coefficients
            values += map(float, coefficients.values())
            starts.append(len(columns))
        cost = np.zeros(len(S.lb))
        for j, c in S.cost.items():
            cost[j] = float(c)
        low = np.array([float(b) for _, _, b in S.rows])
        high = np.where([equal for _, equal, _ in S.rows], low, np.inf)
        matrix = csr_array((values, columns, starts), shape=(len(S.rows), len(S.lb)))
        lower, upper = np.array([float(v) for v in S.lb if v is not None]), np.array([float(v) for v in S.ub if v is not None])
        self.S, self.lp = S, WarmLp(cost, matrix, low, high, lower, upper)
        self.cost, self.across, self.right, self.column_lower, self.column_upper = cost, matrix.T.tocsr(), low, lower, upper
        self.equations = np.array([equal for _, equal, _ in S.rows])
        self.ints = np.array(S.ints, np.int64)
        self.lower, self.upper = lower[self.ints], upper[self.ints]
        self.place = {j: k for k, j in enumerate(S.ints)}

    def solve(self, cell: Cell) -> Status:
        """Solve with some integer columns fixed."""
        lower, upper = self.lower.copy(), self.upper.copy()
        for j, v in cell.items():
            lower[self.place[j]] = upper[self.place[j]] = v
        if len(self.ints):
            self.lp.bounds(self.ints, lower, upper)
        return self.lp.solve()

    def basis(self) -> Basis:
        """The basis of the last solve."""
        of, basis = self.lp._h.HighsBasisStatus, self.lp.basis()
        at = {of.kBasic: 0, of.kUpper: 1}
        rows = [i for i, status in enumerate(basis.row_status) if status != of.kBasic]
        return Basis([at.get(status, -1) for status in basis.col_status], rows, self.lp.x.tolist(), self.lp.row_dual.tolist())

    def ray(self) -> Array:
        """Multipliers that show a cell to be empty, up to sign; zeros if HiGHS gives none."""
        found = self.lp.solver.getDualRay()
        values = np.array(found[2] if len(found) > 2 and found[1] else np.zeros(len(self.S.rows)))
        largest = float(np.abs(values).max(initial=0.0))
        return values / largest if largest > 0 else values

    def estimate(self, cell: Cell, t: int, multipliers: Array) -> float:
        """What the checker will find for these multipliers, in floats."""
        reduced = t * self.cost - self.across @ multipliers
        lower, upper = self.column_lower.copy(), self.column_upper.copy()
        for j, v in cell.items():
            lower[j] = upper[j] = v
        return float(multipliers @ self.right + np.where(reduced > 0, reduced * lower, reduced * upper).sum())

    def split_on(self, point: Array, cell: Cell) -> int | None:
        """The integer column to branch on: the most fractional one, else one not fixed yet."""
        values = point[self.ints]
        distance = np.abs(values - np.round(values))
        distance[[self.place[j] for j in cell]] = -1.0
        k = int(distance.argmax()) if len(distance) else -1
        return int(self.ints[k]) if k >= 0 and distance[k] >= 0 else None


def bounds_of(S: System, cell: Cell) -> tuple[list[Fraction], list[Fraction]]:
    """Lower and upper bounds of the columns in a cell."""
    lower, upper = [v for v in S.lb if v is not None], [v for v in S.ub if v is not None]
    for j, v in cell.items():
        lower[j] = upper[j] = Fraction(v)
    return lower, upper


def rounded(relaxation: Relaxation, multipliers: Array, denominator: int) -> tuple[Row, Array]:
    """Multipliers as multiples of a fraction, exactly and in floats; those of inequalities are at least 0."""
    whole = np.rint(np.nan_to_num(multipliers, posinf=0.0, neginf=0.0) * denominator)
    whole[~relaxation.equations & (whole < 0)] = 0.0
    return {int(i): Fraction(int(whole[i]), denominator) for i in np.flatnonzero(whole)}, whole / denominator


def find_point(relaxation: Relaxation, cell: Cell) -> list[Fraction] | None:
    """An exact vertex, optimal in floats, with these integer columns."""
    if relaxation.solve(cell) is not Status.OPTIMAL:
        return None
    return vertex(relaxation.S, *bounds_of(relaxation.S, cell), relaxation.basis())


def best_cell(relaxation: Relaxation, deadline: float, start: Cell | None = None) -> Cell | None:
    """Integer columns of the least cost that floats find by depth-first branch and bound; None if time ran out.

    Parameters
    ----------
    relaxation : Relaxation
    deadline : float
        Of `time.perf_counter`.
    start : dict, optional
        Integer columns that are known to be possible.
    """
    best, where, stack = np.inf, None, [Cell()]
    if start is not None and relaxation.solve(start) is Status.OPTIMAL:
        best, where = relaxation.lp.value, start
    while stack:
        if time.perf_counter() > deadline:
            return None
        cell = stack.pop()
        if relaxation.solve(cell) is not Status.OPTIMAL or relaxation.lp.value >= best - CLOSE * (1 + abs(best)):
            continue
        point = relaxation.lp.x
        values = point[relaxation.ints]
        whole = np.round(values)
        if not len(whole) or np.abs(values - whole).max() <= WHOLE:
            best, where = relaxation.lp.value, dict(zip(relaxation.S.ints, whole.astype(int).tolist()))
            continue
        j = relaxation.split_on(point, cell)
        assert j is not None
        near = round(float(point[j]))
        stack += [{**cell, j: 1 - near}, {**cell, j: near}]
    return where


@dataclass(frozen=True)
class Closed:
    """An exact point, a tree that bounds all others, and how long either took in seconds."""

    point: list[Fraction]
    upper: Fraction
    tree: Tree
    searched: float
    emitted: float

    def body(self, S: System) -> list[str]:
        """The lines of a proof about the system, as `check.verify` reads them."""
        point = " ".join(["point", *(f"{j}:{v}" for j, v in enumerate(self.point) if v)])
        head = ["stackopt-proof 1", f"problem {S.digest()}", "status optimal", f"upper {self.upper}", f"lower {self.tree.lower}", point]
        return [*head, "tree", *self.tree.lines, "end"]


def close(S: System, deadline: float, cell: Cell | None = None) -> Closed | str:
    """The least cost of a system with a tree that proves it, or in words why there is none.

    Parameters
    ----------
    S : System
        All columns bounded, no pairs; integer columns are 0 or 1.
    deadline : float
        Of `time.perf_counter`.
    cell : dict, optional
        Integer columns that are believed to be best: until the tree meets something better.
    """
    begun = time.perf_counter()
    relaxation = Relaxation(S)
    cell = best_cell(relaxation, deadline) if cell is None else cell
    searched = time.perf_counter() - begun
    for _ in range(RESTARTS):
        point = None if cell is None else find_point(relaxation, cell)
        if point is None:
            return LATE if time.perf_counter() > deadline else "no exact point near the optimum was found"
        try:
            upper = check_point(S, point)
        except Rejected as why:
            return f"no exact point near the optimum was found: {why}"
        tree = cover(relaxation, upper, deadline)
        if tree.finished:
            return Closed(point, upper, tree, searched, time.perf_counter() - begun - searched)
        if tree.better is None:
            return LATE if time.perf_counter() > deadline else "a cell could not be certified"
        cell = best_cell(relaxation, deadline, tree.better)
    return "the search met better points again and again"


def cover(relaxation: Relaxation, target: Fraction, deadline: float) -> Tree:
    """Cover all cells by leaves with bounds of at least the target, or as near to it as can be certified.

    Parameters
    ----------
    relaxation : Relaxation
    target : Fraction
        The cost of an exact point.
    deadline : float
        Of `time.perf_counter`.
    """
    return _Cover(relaxation, target, deadline).run()


class _Cover:
    def __init__(self, relaxation: Relaxation, target: Fraction, deadline: float) -> None:
        self.relaxation, self.S, self.target, self.deadline = relaxation, relaxation.S, target, deadline
        self.tree = Tree(lower=target)
        self.close = CLOSE * (1 + abs(float(target)))

    def run(self) -> Tree:
        self.tree.finished = self.at({})
        return self.tree

    def at(self, cell: Cell) -> bool:
        if time.perf_counter() > self.deadline:
            return False
        status = self.relaxation.solve(cell)
        lp = self.relaxation.lp
        decided: Any = tuple(("<", j, Fraction(0)) if v == 0 else (">", j, Fraction(1)) for j, v in cell.items())
        if status is Status.INFEASIBLE:
            leaf = self.empty(cell, decided)
            if leaf is not None:
                return self.leaf("f", leaf)
        if status is Status.OPTIMAL and lp.value >= float(self.target) - self.close:
            leaf = self.bounded(cell, decided)
            if leaf is not None:
                return self.leaf("d", leaf)
        solved = status is Status.OPTIMAL
        point = lp.x if solved else np.full(len(self.S.lb), 0.5)
        j = self.relaxation.split_on(point, cell)
        if j is None:
            if solved and lp.value < float(self.target) - self.close:
                self.tree.better = dict(cell)
                return False
            return solved and self.nearly(decided)
        self.tree.lines.append(f"i {j} 0")
        return self.at({**cell, j: 0}) and self.at({**cell, j: 1})

    def leaf(self, kind: str, multipliers: Row) -> bool:
        self.tree.lines.append(" ".join([kind, *(f"{i}:{w}" for i, w in sorted(multipliers.items()))]))
        return True

    def empty(self, cell: Cell, decided: Any) -> Row | None:
        ray = self.relaxation.ray()
        for denominator in DENOMINATORS:
            for sign in (1, -1):
                w, near = rounded(self.relaxation, sign * ray, denominator)
                estimate = self.relaxation.estimate(cell, 0, near)
                if estimate > CLEAR or (estimate > 0 and self.bound(decided, 0, w) > 0):
                    return w
        return None

    def bounded(self, cell: Cell, decided: Any) -> Row | None:
        multipliers, target = self.relaxation.lp.row_dual, float(self.target)
        for denominator in DENOMINATORS:
            w, near = rounded(self.relaxation, multipliers, denominator)
            above = (self.relaxation.estimate(cell, 1, near) - target) / (1 + abs(target))
            if above > CLEAR or (above > -1e-9 and self.bound(decided, 1, w) >= self.target):
                return w
        exact = dual(self.S, self.relaxation.basis())
        return exact if exact is not None and self.bound(decided, 1, exact) >= self.target else None

    def nearly(self, decided: Any) -> bool:
        """A leaf a little below the target: the proof will state its width."""
        w, _ = rounded(self.relaxation, self.relaxation.lp.row_dual, DENOMINATORS[-1])
        bound = self.bound(decided, 1, w)
        assert self.tree.lower is not None
        if float(bound) < float(self.target) - 100 * self.close:
            return False
        self.tree.lower = min(self.tree.lower, bound)
        return self.leaf("d", w)

    def bound(self, decided: Any, t: int, w: Row) -> Fraction:
        try:
            return leaf_bound(self.S, decided, t, w)
        except Rejected:
            return Fraction(-(10**30))
