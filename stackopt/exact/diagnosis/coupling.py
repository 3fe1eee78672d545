"""Leader rows that contain follower variables, and which of them exclude every optimal response."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from stackopt.bilevel.point import Point
from stackopt.bilevel.program import BilevelProgram, Level, Objective, Rows
from stackopt.display import number
from stackopt.exact.diagnosis.reason import Diagnosis, joined, values_shown
from stackopt.programs.algebra import relation, terms
from stackopt.solution import Run, Status

if TYPE_CHECKING:
    from stackopt.bilevel.program import Sense

Search = Callable[[BilevelProgram], Run[Point]]
#: Leader rows with follower variables above which their sets are not looked into.
MOST = 40


def coupling(program: BilevelProgram) -> list[int]:
    """Leader rows that contain follower variables or multipliers."""
    far = np.append(program.owner >= 0, np.ones(len(program.multipliers), bool))
    found = set(np.flatnonzero(np.abs(program.leader.rows.matrix[:, far]).sum(1)).tolist())
    for i, form in program.leader.rows.quadratic.items():
        if far[np.concatenate(form.tocoo().coords)].any():
            found.add(i)
    return sorted(found)


def _keeping(program: BilevelProgram, rows: list[int]) -> BilevelProgram:
    """The program whose leader has the rows `rows` only."""
    from scipy import sparse

    old = program.leader.rows
    quadratic = {at: old.quadratic[i] for at, i in enumerate(rows) if i in old.quadratic}
    kept = Rows(tuple(old.names[i] for i in rows), sparse.csr_array(old.matrix[rows]), old.lower[rows], old.upper[rows], quadratic)
    return replace(program, leader=replace(program.leader, rows=kept))


def _without_goal(program: BilevelProgram) -> BilevelProgram:
    goal = Objective("min", np.zeros(len(program.symbols)))
    return replace(program, leader=replace(program.leader, objective=goal))


class _Budget:
    """Searches until the time is over; answers whether a program has a bilevel feasible point, or None."""

    def __init__(self, search: Search | None, time_limit: float) -> None:
        self.ends, self.search = time.perf_counter() + time_limit, search

    def run(self, program: BilevelProgram) -> Run[Point] | None:
        left = self.ends - time.perf_counter()
        if left <= 0:
            return None
        if self.search is not None:
            return self.search(program)
        from stackopt.exact.bilevel import search_bilevel

        return search_bilevel(program, time_limit=left)

    def feasible(self, program: BilevelProgram) -> bool | None:
        run = self.run(_without_goal(program))
        if run is None or (run.candidate is None and run.status is not Status.INFEASIBLE):
            return None
        return run.status is not Status.INFEASIBLE


def coupling_rows(program: BilevelProgram, search: Search | None, time_limit: float) -> Diagnosis:
    """An irreducible set of coupling rows that excludes every optimal response, and how near responses come; or no response at all."""
    rows, budget = coupling(program), _Budget(search, time_limit)
    others = [i for i in range(len(program.leader.rows)) if i not in rows]
    answered = budget.feasible(_keeping(program, others))
    if answered is False:
        who = f"follower `{program.followers[0].name}` has" if len(program.followers) == 1 else "all followers have"
        what = "an optimal response" if len(program.followers) == 1 else "optimal responses to each other"
        return Diagnosis("no response", f"no leader decision within its own rows at which {who} {what}")
    if not rows:
        return Diagnosis("unknown", "no reason was found" + (": a search found a feasible point" if answered else " in the time"))
    core = _core(program, rows, others, budget)
    if core is None:
        names = tuple(program.leader.rows.names[i] for i in rows)
        more = "" if len(rows) > MOST else "; which of them could not be settled in the time"
        return Diagnosis("unknown", f"among the leader rows that contain follower variables{more}", names)
    named = [f"`{program.leader.rows.names[i]}` ({_row_text(program, i)})" for i in core]
    rows_named = f"leader row{'s' * (len(core) > 1)} {joined(named)}"
    if program.ties == "optimistic":
        because = f"{rows_named} {'excludes' if len(core) == 1 else 'together exclude'} every optimal response"
    else:
        because = f"{rows_named}: at every decision some optimal response breaks {'it' if len(core) == 1 else 'one of them'}"
    nearest, point = _nearest(program, core, others, rows, budget)
    if point is not None and not nearest:
        return Diagnosis("unknown", f"no reason was found: optimal responses that keep {named[0]} exist", nearest_point=point)
    return Diagnosis("coupling rows", because, tuple(program.leader.rows.names[i] for i in core), nearest, point)


def _core(program: BilevelProgram, rows: list[int], others: list[int], budget: _Budget) -> list[int] | None:
    """An irreducible set of coupling rows that excludes every response; None if it cannot be found in the time."""
    if len(rows) > MOST:
        return None
    core = list(rows)
    for row in rows:
        if len(core) == 1:
            break
        rest = [i for i in core if i != row]
        answer = budget.feasible(_keeping(program, sorted(others + rest)))
        if answer is None:
            return None
        if not answer:
            core = rest
    return core


def _row_text(program: BilevelProgram, i: int) -> str:
    rows = program.leader.rows
    expression = terms(program.symbols, rows.matrix[[i]], rows.quadratic.get(i))
    return relation(expression, rows.lower[i], rows.upper[i])


def _nearest(program: BilevelProgram, core: list[int], others: list[int], rows: list[int], budget: _Budget) -> tuple[str, Point | None]:
    """How near optimal responses come to the first row of `core`, all other rows kept, or those of `core` if that is not possible.

    Without words, but with a point, if they keep it.
    """
    row, old = core[0], program.leader.rows
    best: tuple[float, str, Point, float] | None = None
    for rest in (sorted(set(others + rows) - {row}), sorted(set(others + core) - {row})):
        if best is not None:
            break
        kept = _keeping(program, rest)
        sides: tuple[tuple[float, Sense, str], ...] = ((old.lower[row], "max", "largest"), (old.upper[row], "min", "smallest"))
        for limit, sense, word in sides:
            if np.isinf(limit) or budget.ends < time.perf_counter():
                continue
            run = budget.run(_aimed(program, kept, row, sense, limit))
            if run is None or run.status is not Status.OPTIMAL or run.candidate is None:
                continue
            reached = float(old.activity(run.candidate.symbols)[row])
            if best is None or abs(reached - limit) < best[0]:
                best = (abs(reached - limit), _reached(program, row, reached, word, run.candidate), run.candidate, float(limit))
    if best is None:
        return "", None
    met = program.ties == "optimistic" and best[0] <= 1e-7 * (1.0 + abs(best[3]))
    return ("" if met else best[1]), best[2]


def _aimed(program: BilevelProgram, kept: BilevelProgram, row: int, sense: Sense, limit: float) -> BilevelProgram:
    """`kept` with the row's left-hand side as objective, towards its side and not beyond it; with ties against the leader its worst."""
    from scipy import sparse

    old = program.leader.rows
    goal = Objective(sense, np.asarray(old.matrix[[row]].toarray()[0], float), old.quadratic.get(row))
    rows = kept.leader.rows
    if program.ties == "pessimistic":
        return replace(kept, leader=Level(kept.leader.name, goal, rows))
    low, high = (-np.inf, limit) if sense == "max" else (limit, np.inf)
    quadratic = dict(rows.quadratic) | ({len(rows): old.quadratic[row]} if row in old.quadratic else {})
    more = Rows(
        (*rows.names, old.names[row]), sparse.csr_array(sparse.vstack([rows.matrix, old.matrix[[row]]], format="csr")),
        np.append(rows.lower, low), np.append(rows.upper, high), quadratic,
    )  # fmt: skip
    return replace(kept, leader=Level(kept.leader.name, goal, more))


def _reached(program: BilevelProgram, row: int, value: float, word: str, point: Point) -> str:
    rows = program.leader.rows
    entries = rows.matrix[[row]].toarray()[0]
    used = np.flatnonzero(entries)
    others = np.flatnonzero(program.owner < 0)
    if len(used) == 1 and row not in rows.quadratic:
        coefficient, name = entries[used[0]], program.symbols[used[0]]
        word = word if coefficient > 0 else {"largest": "smallest", "smallest": "largest"}[word]
        what = "multiplier" if used[0] >= program.size else "worst response" if program.ties == "pessimistic" else "response"
        return f"{word} {what} is {name} = {number(value / coefficient)}, at {values_shown(program, point.values, others)}"
    expression = terms(program.symbols, rows.matrix[[row]], rows.quadratic.get(row))
    worst = "worst " if program.ties == "pessimistic" else ""
    return f"{word} {worst}value of {expression} is {number(value)}, at {values_shown(program, point.values, np.arange(program.size))}"
