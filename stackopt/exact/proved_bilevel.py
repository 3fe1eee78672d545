"""A proof for what `Exact` found of a bilevel program: exact point, tree of certificates, the checker's word, and then another word for the status."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from fractions import Fraction
from typing import Any

import numpy as np

from stackopt.bilevel.kkt import kkt
from stackopt.bilevel.program import BilevelProgram
from stackopt.certificate import Bound
from stackopt.exact.branching.relaxation import separable
from stackopt.exact.branching.solve import Trace
from stackopt.exact.found import OPTIMISTIC_VALUE
from stackopt.exact.proving.apart import Apart, NeedsMultipliers
from stackopt.exact.proving.leaves import SHARES, Certifying, Unproved
from stackopt.exact.proving.together import Together
from stackopt.proof.check import Decision, Rejected
from stackopt.proof.floats import Floats, floats
from stackopt.proof.lowering import Lowered, columns, lowered, pair_numbers
from stackopt.proof.point import Exactly, exact_point, half_line
from stackopt.proof.proof import Proof, checked
from stackopt.proof.tree import Node, bound, lines
from stackopt.solution import Run, Status

#: With ``proof="auto"``, programs with at most so many pairs and coefficients get a proof ...
PAIRS, COEFFICIENTS = 300, 10_000
#: ... of at most so many cells, and so many for each cell of the search: the same on every machine ...
CELLS, PER_CELL = 60, 4
#: ... for which this many seconds, or as long as the search took, are spent at most.
SECONDS = 2.0
#: The share of the time for a proof of the optimum; the rest is for a part of the gap, should that not do.
WHOLE = 0.7
#: A proved interval this narrow, relative to 1 + the optimum, is an optimum.
WIDTH = 1e-6


def proved_bilevel(program: BilevelProgram, run: Run[Any], *, proof: bool | str, seconds: float, time_limit: float) -> Run[Any]:
    """`run` with a proof of what it found, if there is one within the time.

    Parameters
    ----------
    program : BilevelProgram
        In the user's units.
    run : Run
        Of a search, in the same units.
    proof : bool or ``"auto"``
        Auto: small programs, for as long as the search took. True: any, within what is left of the time limit.
    seconds : float
        What the search took.
    time_limit : float
        Of the method.

    Returns
    -------
    Run
        PROVED if the checker accepted a proof of the optimum, known to `WIDTH`, and the candidate attains it. An infeasible or unbounded
        program keeps its word and gets the proof. Else as it was, with the proof of an interval if there is one, and in ``stats["unproved"]`` why
        there is not.
    """
    trace = run.trace if isinstance(run.trace, Trace) else None
    run = dataclasses.replace(run, trace=None)
    if proof is False or trace is None or run.status not in (Status.OPTIMAL, Status.INFEASIBLE, Status.UNBOUNDED):
        return run
    mpec = trace.mpec
    if proof == "auto" and (mpec.pairs > PAIRS or mpec.leader_rows.nnz + mpec.follower_rows.nnz + mpec.stationarity.nnz > COEFFICIENTS):
        return run
    begun = time.perf_counter()
    left = max(time_limit - seconds, 0.0)
    limit = min(max(seconds, SECONDS), left) if proof == "auto" else left
    cells = CELLS + PER_CELL * int(run.stats.get("nodes", 0)) if proof == "auto" else None
    found = prove(program, run, trace, limit, cells)
    stats = {**run.stats, "proof_seconds": time.perf_counter() - begun}
    if isinstance(found, str):
        return dataclasses.replace(run, stats={**stats, "unproved": found})
    run = dataclasses.replace(run, proof=found.proof, stats={**stats, "proof_nodes": found.proof.nodes, "proof_bytes": len(found.proof.text)})
    return _worded(program, run, found)


@dataclasses.dataclass(frozen=True, eq=False)
class Proved:
    """A proof and the exact point in it; none where the program has no optimum."""

    proof: Proof
    best: Exactly | None = None


def prove(program: BilevelProgram, run: Run[Any], trace: Trace, time_limit: float, cells: int | None = None) -> Proved | str:
    """A proof that the checker has accepted, or why there is none within a time and a number of cells."""
    begun = time.perf_counter()
    low = lowered(program)
    if isinstance(low, str):
        return low
    try:
        return _proved(low, floats(low.system), run, trace, begun, time_limit, cells)
    except Unproved as why:
        return str(why)
    except Rejected as why:
        return f"the checker does not accept what was found: {why}"


def _proved(low: Lowered, f: Floats, run: Run[Any], trace: Trace, begun: float, time_limit: float, cells: int | None) -> Proved | str:
    if run.status is Status.UNBOUNDED:
        return _unbounded(low, f, trace, begun)
    best = None
    if run.status is Status.OPTIMAL and run.candidate is not None:
        best = exact_point(f, run.candidate.values)
        if best is None:
            return "no exact point near the optimum was found"
    search, tree = _searched(f, best, begun + WHOLE * time_limit, cells, trace, low)
    if search.out_of_time and search.best is not None:
        tree = search.short_of(tree, None if cells is None else cells // 8, (1.0 - WHOLE) / len(SHARES) * time_limit)
    best, least, head = search.best, bound(tree), list[str]()
    try:
        body = ["tree", *lines(tree), "end"]
        if best is not None:
            head = [f"upper {best.value}", f"lower {best.value if least is None else min(least, best.value)}", _vector("point", best.v)]
    except ValueError:  # Python writes and reads no integers of more digits than sys.get_int_max_str_digits()
        return "a number in the proof has thousands of digits"
    return Proved(_accepted(low, "infeasible" if best is None else "optimal", head, body, begun), best)


def _searched(f: Floats, best: Exactly | None, deadline: float, cells: int | None, trace: Trace, low: Lowered) -> tuple[Certifying, Node]:
    """The tree, and the search that found it, which may hold a better point."""
    if f.separable and separable(trace.mpec):
        search: Certifying = Apart(f, best, deadline, trace.mpec, pair_numbers(low.system, trace.mpec), trace.clauses)
        with contextlib.suppress(NeedsMultipliers):
            return search, search.tree(cells)
    search = Together(f, best, deadline)
    return search, search.tree(cells)


def _unbounded(low: Lowered, f: Floats, trace: Trace, begun: float) -> Proved | str:
    """The proof of a half-line: the piece of the search's own, put into rationals."""
    if trace.ray is None:
        return "the search left no half-line"
    w, ray = trace.ray
    mpec, n = trace.mpec, trace.mpec.variables
    slack = mpec.slack(w[:n])
    slope = mpec.slack(w[:n] + ray[:n]) - slack
    size = 1e-7 * (1.0 + np.abs(w).max(initial=0.0))
    tight = (slack <= size) & (np.abs(slope) <= size)
    order = pair_numbers(low.system, mpec)
    cell: list[Decision] = [("S" if t else "M", order[p], Fraction(0)) for p, t in enumerate(tight.tolist())]
    for j in low.system.ints:
        k = Fraction(round(float(w[j])))
        cell += [("<", j, k), (">", j, k)]
    found = half_line(f, cell)
    if found is None:
        return "no exact half-line was found"
    head = [_vector("point", found[0]), _vector("ray", found[1])]
    return Proved(_accepted(low, "unbounded", head, ["tree", "end"], begun))


def _accepted(low: Lowered, status: str, head: list[str], body: list[str], begun: float) -> Proof:
    """The proof, once the checker has accepted it."""
    text = "\n".join(["stackopt-proof 1", f"problem {low.system.digest()}", f"status {status}", *head, *body, ""])
    searched = time.perf_counter()
    found = checked(low.text, text)
    return dataclasses.replace(found, seconds={"search": searched - begun, "check": time.perf_counter() - searched})


def _vector(word: str, v: list[Fraction]) -> str:
    return " ".join([word, *(f"{j}:{x}" for j, x in enumerate(v) if x)])


def _worded(program: BilevelProgram, run: Run[Any], found: Proved) -> Run[Any]:
    """The status, candidate and bound that the proof allows."""
    proof, best = found.proof, found.best
    if best is None or proof.lower is None or proof.upper is None or proof.width is None:
        return run
    lower, upper = float(proof.lower), float(proof.upper)
    if float(proof.width) > WIDTH * (1.0 + abs(upper)):
        return run
    value = lower if program.maximises else upper  # what the exact point attains
    candidate = run.candidate
    if candidate is None:
        return run
    claimed = program.leader.objective.value(candidate.symbols)
    if abs(claimed - value) > WIDTH * (1.0 + abs(value)):  # the search was wrong; the point in the proof is not
        form = kkt(program)
        where, sign = columns(form.mpec)
        candidate = dataclasses.replace(form.lift(np.array([float(best.v[j]) for j in where]) * np.array(sign)), claim=value)
    bound_value, sense = (upper, "upper") if program.maximises else (lower, "lower")
    return dataclasses.replace(run, status=Status.PROVED, candidate=candidate, bound=Bound(bound_value, OPTIMISTIC_VALUE, "proof", sense=sense))
