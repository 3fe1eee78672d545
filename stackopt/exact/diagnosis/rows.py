"""Reasons that infeasible systems of linear rows prove: no search is needed for them."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np

from stackopt.backends.matrix import Solved, minimise
from stackopt.bilevel.follower import follower_program, recession
from stackopt.bilevel.program import BilevelProgram
from stackopt.exact.diagnosis.reason import SHOWN, Diagnosis, joined, ray_shown, values_shown
from stackopt.exact.response_patterns import conditions
from stackopt.programs.algebra import relation, terms
from stackopt.solution import Status

#: Seconds that a system of rows gets at least; linear ones need milliseconds.
AT_LEAST = 0.5


class System:
    """All linear rows of a program over its variables, with the bounds; rows with products or multipliers are left out."""

    def __init__(self, program: BilevelProgram, time_limit: float) -> None:
        from scipy import sparse

        self.program, self.ends = program, time.perf_counter() + time_limit
        n, names, levels, parts, low, high = program.size, list[str](), list[int](), [], list[float](), list[float]()
        for k, level in enumerate((program.leader, *program.followers), start=-1):
            beyond = np.abs(level.rows.matrix[:, n:]).sum(1)
            kept = [i for i in range(len(level.rows)) if i not in level.rows.quadratic and not beyond[i]]
            parts.append(level.rows.matrix[kept][:, :n])
            names += [level.rows.names[i] for i in kept]
            levels += [k] * len(kept)
            low += level.rows.lower[kept].tolist()
            high += level.rows.upper[kept].tolist()
        self.names, self.level = tuple(names), np.array(levels, int)
        self.matrix, self.low, self.high = sparse.csr_array(sparse.vstack(parts, format="csr")), np.array(low), np.array(high)
        self.own = (self.level < 0) & (np.abs(self.matrix[:, program.owner >= 0]).sum(1) == 0)

    def solve(self, which: Any) -> Solved:
        """Find a point of the rows `which`, given as a mask or as indices, within all bounds."""
        program = self.program
        at = np.flatnonzero(which) if np.asarray(which).dtype == bool else np.asarray(which, int)
        left = max(self.ends - time.perf_counter(), AT_LEAST)
        nothing = np.zeros(program.size)
        return minimise(nothing, self.matrix[at], self.low[at], self.high[at], program.lower, program.upper, integer=program.integer, time_limit=left)

    def core(self, which: Any) -> list[int]:
        """An infeasible set of rows among `which`, given the bounds, none of which can be left out, as far as the time allows; empty if
        there is none."""
        rows = [int(i) for i in np.flatnonzero(which)]
        if self.solve(rows).status is not Status.INFEASIBLE:
            return []
        for row in list(rows):
            rest = [i for i in rows if i != row]
            if time.perf_counter() < self.ends and self.solve(rest).status is Status.INFEASIBLE:
                rows = rest
        return rows

    def shown(self, rows: list[int]) -> str:
        """Rows as a person reads them."""
        several = len(set(self.level[rows].tolist())) > 1
        named = [f"`{self.names[i]}`{self._whose(i) if several else ''} ({self.text(i)})" for i in rows[:SHOWN]]
        rest = [f"{len(rows) - SHOWN} more"] if len(rows) > SHOWN else []
        return joined([*named, *rest]) if rows else "the bounds alone"

    def _whose(self, i: int) -> str:
        """Whose row it is, where a name occurs twice."""
        level = self.level[i]
        return f" of {self.program.followers[level].name if level >= 0 else 'the leader'}" if self.names.count(self.names[i]) > 1 else ""

    def text(self, i: int) -> str:
        """One row as algebra."""
        return relation(terms(self.program.names, self.matrix[[i]]), self.low[i], self.high[i])

    def named(self, rows: list[int]) -> tuple[str, ...]:
        """Their names."""
        return tuple(self.names[i] for i in rows)


def _infeasible(system: System, which: Any) -> bool:
    return bool(system.solve(which).status is Status.INFEASIBLE)


def leader_rows(system: System) -> Diagnosis | None:
    """The leader's rows without follower variables contradict each other."""
    if not _infeasible(system, system.own):
        return None
    rows = system.core(system.own)
    what = f"leader row {system.shown(rows)} cannot hold" if len(rows) == 1 else f"leader rows {system.shown(rows)} cannot hold together"
    return Diagnosis("leader rows", f"{what} within the bounds", system.named(rows))


def follower_rows(system: System) -> Diagnosis | None:
    """A follower, or all together, have no feasible answer."""
    for k, level in enumerate(system.program.followers):
        mine = system.level == k
        if _infeasible(system, mine):
            rows = system.core(mine)
            why = f"follower `{level.name}` has no feasible answer whatever others decide: {system.shown(rows)} cannot hold"
            return Diagnosis("follower rows", why, system.named(rows))
    for k, level in enumerate(system.program.followers):
        both = (system.level == k) | system.own
        if _infeasible(system, both):
            rows = system.core(both)
            why = f"no decision that keeps the leader's rows leaves follower `{level.name}` a feasible answer: {system.shown(rows)} cannot hold together"
            return Diagnosis("follower rows", why, system.named(rows))
    together = (system.level >= 0) | system.own
    if _infeasible(system, together):
        rows = system.core(together)
        why = f"no decision that keeps the leader's rows leaves all followers feasible answers: {system.shown(rows)} cannot hold together"
        return Diagnosis("follower rows", why, system.named(rows))
    return None


def unbounded_follower(system: System) -> Diagnosis | None:
    """A follower improves for ever whatever the leader decides.

    Along a direction that keeps its rows, which is the same for every decision; where its objective has products with others'
    variables, because no decision leaves it multipliers.
    """
    program = system.program
    here = system.solve((system.level >= 0) | system.own)
    if here.x is None:
        return None
    for k, level in enumerate(program.followers):
        if level.rows.quadratic or program.kind(k) not in ("LP", "QP", "MILP"):
            continue
        ray = recession(follower_program(program, k, here.x))
        if ray is None:
            continue
        mine = program.owned(k)
        others = np.setdiff1d(np.arange(program.size), mine)
        form = level.objective.quadratic
        moving = form is not None and bool(abs((form + form.T)[mine][:, others]).sum())
        if moving and not _never_stationary(system, k):
            continue
        along = {program.names[j]: float(d) for j, d in zip(mine, ray) if d}
        where = f" (at {values_shown(program, here.x, others)})" if moving else ""
        why = f"follower `{level.name}` has no best answer whatever the leader decides: along {ray_shown(along)} its objective improves for ever{where}"
        return Diagnosis("follower unbounded", why, ray=along)
    return None


def _never_stationary(system: System, k: int) -> bool:
    """Whether no decision within the leader's own rows leaves follower `k` (linear or convex quadratic) multipliers: then, by
    duality, its program is infeasible or unbounded at every decision."""
    from scipy import sparse

    program = system.program
    if program.kind(k) == "MILP":
        return False
    form = conditions(replace(program, ties="optimistic"))
    n, width = form.size, len(form.linear)
    rows = system.own
    own = np.hstack([system.matrix[rows].toarray(), np.zeros((int(rows.sum()), width - n))])
    start = form.matrix.shape[0] - int((program.owner >= 0).sum())
    before = sum(len(program.owned(j)) for j in range(k))
    mine = slice(start + before, start + before + len(program.owned(k)))
    matrix = sparse.csr_array(np.vstack([own, form.matrix.toarray()[mine]]))
    low, high = np.concatenate([system.low[rows], form.row_lower[mine]]), np.concatenate([system.high[rows], form.row_upper[mine]])
    upper = form.upper.copy()
    upper[n : n + len(form.pairs)] = np.inf
    integer = np.concatenate([program.integer, np.zeros(width - n, bool)])
    return minimise(np.zeros(width), matrix, low, high, form.lower, upper, integer=integer).status is Status.INFEASIBLE


def all_rows(system: System) -> Diagnosis | None:
    """No point satisfies all rows, whoever decides."""
    everything = np.ones(len(system.names), bool)
    if not _infeasible(system, everything):
        return None
    rows = system.core(everything)
    why = f"{system.shown(rows)} cannot hold together, even if the leader decided for the followers"
    return Diagnosis("all rows", why, system.named(rows))


