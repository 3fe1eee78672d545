r"""Followers and leaders that are not convex, and followers with quadratic rows: globally, through SCIP, every follower re-solved.

Each follower is replaced by conditions that all of its optima satisfy:

- rows linear in its own variables: the conditions of Karush, Kuhn and Tucker, which linear rows need no qualification for; with an
  objective convex in its own variables they are sufficient as well, so the replacement is exact;
- rows curved in its own variables: the conditions of Fritz John, which need no qualification (`stackopt.reformulations.first_order`);
- whole numbers: its rows alone.

So the program that SCIP solves is a relaxation of the optimistic bilevel program, and its bound is valid. Its optimum counts only if
the followers, re-solved at it, confirm their answers: then the relaxation's value is attained. If a follower has a better answer
:math:`\hat y`, the rows of `stackopt.reformulations.value_function` for it are added (Mitsos, J. Global Optim. 47, 2010, in the form of
disjunctions), with an answer inside its rows where there is one, and the search repeats.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from stackopt.backends import scip
from stackopt.backends.answer import Answer
from stackopt.bilevel.certify import FEASIBLE, OPTIMAL, relative_residuals
from stackopt.bilevel.follower import follower_program, respond
from stackopt.bilevel.kkt import lower
from stackopt.bilevel.point import Array, Point
from stackopt.bilevel.program import BilevelProgram, convex
from stackopt.display import number
from stackopt.exact.diagnosis import unbounded_ray
from stackopt.exact.found import Found
from stackopt.exact.polish import AGREEMENT, accurate
from stackopt.reformulations.first_order import first_order
from stackopt.reformulations.sos1 import with_slacks
from stackopt.reformulations.value_function import value_cut
from stackopt.solution import Progress, Report, Status

if TYPE_CHECKING:
    from stackopt.programs.quadratic import QuadraticProgram

#: Rounds of value-function rows at most.
ROUNDS = 200
#: How often the relaxation's optimum may come back to the same point before the search gives up.
RETURNS = 3


def conditions(program: BilevelProgram, k: int) -> str:
    """Which conditions stand for follower `k`: ``exact``, ``necessary``, ``fritz john`` or ``none``; see the module."""
    mine, level = program.owned(k), program.followers[k]
    if program.integer[mine].any():
        return "none"
    if program.kind(k) != "QCQP":
        return "exact" if convex(level.objective, mine) else "necessary"
    return "fritz john" if _independent_equations(program, k) else "none"


def scip_global(program: BilevelProgram, *, time_limit: float, seed: int = 0, report: Report | None = None) -> Found:
    """Optimise over all followers' optimal responses; see the module for what is relaxed and what confirms it.

    Parameters
    ----------
    program : BilevelProgram
        Optimistic. Multipliers used by the leader must be those of followers with ``exact`` conditions.
    time_limit : float
        Seconds.
    seed : int
    report : callable, optional

    Returns
    -------
    Found
        OPTIMAL if the followers confirm the relaxation's optimum; INFEASIBLE or UNBOUNDED on SCIP's word about the relaxation, the former
        a proof for the bilevel program, the latter only for exact conditions; LIMIT with an incumbent and the bound.

    Raises
    ------
    MissingPackage
        If pyscipopt is not installed.
    """
    return _Search(program, time_limit, seed, report).run()


@dataclass(eq=False)
class _Incumbent:
    point: Point
    value: float


class _Search:
    def __init__(self, program: BilevelProgram, time_limit: float, seed: int, report: Report | None) -> None:
        self.program, self.seed, self.report = program, seed, report
        self.deadline = time.perf_counter() + time_limit
        self.kkt = lower(program)
        self.sense = program.leader.objective.sign
        self.classes = [conditions(program, k) for k in range(len(program.followers))]
        self.exact = all(c == "exact" for c in self.classes)
        self.bound = -self.sense * np.inf
        self.best: _Incumbent | None = None
        self.cuts, self.nodes = 0, 0
        self.feasibility = scip.FEASIBILITY

    def run(self) -> Found:
        target = self.relaxation()
        seen: list[tuple[int, Array, Array]] = []
        for rounds in range(1, ROUNDS + 1):
            if self.report:
                self.report(Progress("solving the relaxation in SCIP", rounds))
            found = scip.solve_program(target, time_limit=self.remaining(), seed=self.seed, feasibility=self.feasibility)
            self.nodes += found.nodes
            if found.status is Status.INFEASIBLE:
                return self.closed(found.because)
            if found.status is Status.UNBOUNDED:
                return self.unbounded(found)
            if found.status is not Status.FAILED and np.isfinite(found.bound):
                self.bound = self.tighter(found.bound)
            if found.status is not Status.OPTIMAL or found.point is None:
                if found.point is not None:
                    self.examine(self.lift(found.point))
                status = Status.FAILED if found.status is Status.FAILED and self.best is None else Status.LIMIT
                return self.found(status, self.best, f"{found.because}: {self.shown()}")
            point = accurate(self.kkt, found.point) if self.exact else self.lift(found.point)
            if self.feasibility > scip.FINE and self.exact and abs(point.claim - self.bound) > AGREEMENT * (1.0 + abs(self.bound)):
                self.feasibility, self.bound = scip.FINE, -self.sense * np.inf
                continue
            better = self.examine(point)
            if not better:
                said = f"every follower re-solved confirms the relaxation's optimum{self.rounds(rounds)}"
                return self.found(Status.OPTIMAL, _Incumbent(point, point.claim), said)
            if self.refuted():
                return self.found(Status.FAILED, self.best, f"solver fault: {found.because}, but {self.shown()}")
            if self.closes():
                return self.found(Status.OPTIMAL, self.best, f"the best answer found attains the relaxation's bound{self.rounds(rounds)}")
            if self.feasibility > scip.FINE and any(y is None or self.classes[k] == "exact" for k, y in better.items()):
                self.feasibility = scip.FINE  # the followers refute what SCIP's tolerance let through
                continue
            for k, y in better.items():
                who = f"follower `{self.program.followers[k].name}`"
                if self.classes[k] == "exact":
                    return self.found(Status.FAILED, self.best, f"solver fault: {who} is not optimal at SCIP's optimum")
                if y is None:
                    return self.found(Status.LIMIT, self.best, f"{who} has no optimum at the relaxation's optimum; {self.shown()}")
                if sum(j == k and _close(point.values, at) for j, _, at in seen) >= RETURNS:
                    said = f"the relaxation's optimum comes back although cut off, so it is attained only in the limit or by rounding; {self.shown()}"
                    return self.found(Status.LIMIT, self.best, said)
                y = self.inner(k, point, y)
                seen.append((k, y, point.values))
                target = value_cut(self.program, target, k, y)
                self.cuts += 1
        return self.found(Status.LIMIT, self.best, f"{ROUNDS} rounds: {self.shown()}")

    def unbounded(self, found: Answer) -> Found:
        """UNBOUNDED only with a half-line of answers that are optimal: SCIP's word is about a relaxation, or a large value."""
        if not self.exact or found.point is None:
            return self.found(Status.LIMIT, None, f"{found.because}: the relaxation is unbounded")
        point = self.lift(found.point)
        shown = unbounded_ray(self.program, point)
        status = Status.UNBOUNDED if shown.kind == "unbounded" else Status.LIMIT
        return self.found(status, _Incumbent(point, found.value), f"{found.because}; {shown.because}")

    # --- the relaxation --------------------------------------------------------------------------------------------

    def relaxation(self) -> QuadraticProgram:
        """First-order conditions with slacks and SOS1 sets, for the followers that have conditions."""
        without = [k for k, c in enumerate(self.classes) if c == "none"]
        kkt = self.kkt
        program = first_order(kkt, fritz_john=[k for k, c in enumerate(self.classes) if c == "fritz john"], without=without)
        target, members = with_slacks(kkt, program)
        n, mpec = kkt.mpec.variables, kkt.mpec
        sets = tuple(
            (f"complementarity({mpec.pair_label(p)})", np.array([members[p], n + p]))
            for p in range(mpec.pairs) if mpec.pair_follower[p] not in without
        )
        return replace(target, sos1=sets)

    def lift(self, v: Array) -> Point:
        return self.kkt.lift(v[: len(self.kkt.mpec.names)])

    # --- what followers say ----------------------------------------------------------------------------------------

    def examine(self, point: Point) -> dict[int, Array | None]:
        """Followers that have a better answer at `point`, with it (None: no optimum); feasible points become the incumbent."""
        better: dict[int, Array | None] = {}
        values = point.values.copy()
        for k, level in enumerate(self.program.followers):
            response = respond(self.program, k, point.values, time_limit=max(self.remaining(), 1.0), relaxed=FEASIBLE)
            if response.status is not Status.OPTIMAL or response.variables is None:
                better[k] = None
                continue
            gap = level.objective.sign * (level.objective.value(point.symbols) - response.value)
            if not gap <= 0.5 * OPTIMAL * (1.0 + abs(response.value)):
                better[k] = response.variables
                values[self.program.owned(k)] = response.variables
        if not better:
            self.offer(point)
        elif len(self.program.followers) == 1 and all(y is not None for y in better.values()) and not self.program.multipliers:
            self.offer(Point(values))
        return better

    def inner(self, k: int, point: Point, best: Array) -> Array:
        """An answer that wins half of what `best` wins over `point`, as far as possible inside the rows that others can move.

        Where it is inside them all it stays feasible around the decision, so the row made from it excludes a neighbourhood.
        """
        from scipy import sparse

        program, p = self.program, follower_program(self.program, k, point.values)
        moved = movable(program, k)
        if not len(moved):
            return best
        own = len(p.columns)
        level = 0.5 * (p.value(best) + p.value(point.values[p.columns])) - p.constant
        goal = sparse.csr_array(p.linear[None])
        upper, lower = moved[np.isfinite(p.row_upper[moved])], moved[np.isfinite(p.row_lower[moved])]
        matrix = sparse.vstack([p.matrix, goal, p.matrix[upper], -p.matrix[lower]], format="csr")
        margin = np.concatenate([np.zeros(len(p.row_lower) + 1), np.ones(len(upper) + len(lower))])
        wide = sparse.csr_array(sparse.hstack([matrix, sparse.csr_array(margin[:, None])], format="csr"))
        forms = dict(p.quadratic)
        at = len(p.row_lower) + 1
        forms |= {at + i: p.quadratic[int(row)] for i, row in enumerate(upper) if int(row) in p.quadratic}
        forms |= {at + len(upper) + i: -p.quadratic[int(row)] for i, row in enumerate(lower) if int(row) in p.quadratic}
        if p.hessian.nnz:
            forms[at - 1] = p.hessian
        found = scip.solve_quadratic(
            np.append(np.zeros(own), -1.0), wide,
            np.concatenate([p.row_lower, np.full(1 + len(upper) + len(lower), -np.inf)]),
            np.concatenate([p.row_upper, [level], p.row_upper[upper], -p.row_lower[lower]]),
            np.append(p.lower, 0.0), np.append(p.upper, 1.0), integer=np.append(p.integer, False),
            quadratic={row: sparse.csr_array(sparse.block_diag([form, np.zeros((1, 1))], format="csr")) for row, form in forms.items()},
            time_limit=min(max(self.remaining(), 1.0), 10.0),
        )
        if found.x is None or found.x[-1] <= 1e-6:
            return best
        return np.clip(np.where(p.integer, np.round(found.x[:own]), found.x[:own]), p.lower, p.upper)

    def offer(self, point: Point) -> None:
        rows, x = self.program.leader.rows, point.values
        mine = self.program.owner < 0
        outside = np.maximum(self.program.lower - x, x - self.program.upper)[mine].max(initial=0.0)
        if relative_residuals(rows, point.symbols).max(initial=0.0) > FEASIBLE or outside > FEASIBLE:
            return
        value = self.program.leader.objective.value(point.symbols)
        if self.best is None or self.sense * value < self.sense * self.best.value:
            self.best = _Incumbent(Point(point.values, point.multipliers, claim=value), value)

    # --- figures ---------------------------------------------------------------------------------------------------

    def tighter(self, bound: float) -> float:
        return max(self.bound, bound) if self.sense > 0 else min(self.bound, bound)

    def closes(self) -> bool:
        if self.best is None or not np.isfinite(self.bound):
            return False
        return self.sense * (self.best.value - self.bound) <= 5e-7 * max(1.0, abs(self.bound))

    def refuted(self) -> bool:
        """Whether a point found is better than the bound."""
        return self.best is not None and bool(self.sense * (self.best.value - self.bound) < -1e-6 * max(1.0, abs(self.bound)))

    def closed(self, because: str) -> Found:
        """The relaxation, with what was cut off, has no point."""
        if self.best is None:
            return self.found(Status.INFEASIBLE, None, f"{because}: no decision of the leader has responses that satisfy all rows")
        return self.found(Status.LIMIT, self.best, f"{because} although {self.shown()}: rounding in the value-function rows")

    def shown(self) -> str:
        return f"best {number(self.best.value) if self.best else 'none'}, bound {number(self.bound)}"

    def rounds(self, count: int) -> str:
        return f", after {count} rounds and {self.cuts} value-function rows" if self.cuts else ""

    def remaining(self) -> float:
        return self.deadline - time.perf_counter()

    def found(self, status: Status, incumbent: _Incumbent | None, because: str) -> Found:
        stats: dict[str, Any] = {"nodes": self.nodes, "value_rows": self.cuts, "conditions": ", ".join(dict.fromkeys(self.classes))}
        reference = "SCIP, " + ("optimality conditions with SOS1 sets" if self.exact else "a relaxation by necessary conditions")
        return Found(status, None if incumbent is None else incumbent.point, self.bound, because, reference, stats)


def _independent_equations(program: BilevelProgram, k: int) -> bool:
    """Whether the follower's equations, fixed variables among them, have gradients that are constant and linearly independent."""
    mine, rows = program.owned(k), program.followers[k].rows
    equations = np.flatnonzero(rows.lower == rows.upper)
    if any(int(i) in rows.quadratic for i in equations):
        return False
    fixed = np.flatnonzero(program.lower[mine] == program.upper[mine])
    gradients = np.vstack([rows.matrix[equations][:, mine].toarray(), np.eye(len(mine))[fixed]])
    return bool(len(gradients) == 0 or np.linalg.matrix_rank(gradients) == len(gradients))


def movable(program: BilevelProgram, k: int) -> Any:
    """Rows of follower `k` that contain variables of others."""
    rows, others = program.followers[k].rows, program.owner != k
    found = np.diff(rows.matrix[:, : program.size][:, np.flatnonzero(others)].tocsr().indptr) > 0
    for i, form in rows.quadratic.items():
        entries = form.tocoo()
        found[i] |= bool(others[np.concatenate(entries.coords)].any())
    return np.flatnonzero(found)


def _close(a: Array, b: Array) -> bool:
    return bool(np.abs(a - b).max(initial=0.0) <= 1e-6 * (1.0 + np.abs(a).max(initial=0.0)))


