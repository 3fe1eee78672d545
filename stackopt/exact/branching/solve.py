"""`complementarity_branching`: the search on a program's optimality conditions, and what it established."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stackopt.bilevel.kkt import Kkt
from stackopt.bilevel.program import BilevelProgram
from stackopt.display import number
from stackopt.errors import Refused
from stackopt.exact.branching.cell import Array
from stackopt.exact.branching.clauses import Clauses
from stackopt.exact.branching.decoupled import Decoupled
from stackopt.exact.branching.processes import explore_together
from stackopt.exact.branching.relaxation import separable
from stackopt.exact.branching.search import CLOSED, NeedsCoupling, Search, Unbounded
from stackopt.exact.found import Found
from stackopt.programs.mpec import Mpec
from stackopt.solution import Report, Status

#: What proves the bound.
REFERENCE = "complementarity branching"


@dataclass(frozen=True, eq=False)
class Trace:
    """What a search leaves to a proof.

    Attributes
    ----------
    mpec : Mpec
        What was searched, in its units.
    clauses : Clauses or None
        What is known of multipliers that share no row with variables.
    ray : (point [n + M], direction [n + M]) or None
        The half-line of an unbounded program.
    """

    mpec: Mpec
    clauses: Clauses | None = None
    ray: tuple[Array, Array] | None = None


def complementarity_branching(
    program: BilevelProgram, kkt: Kkt, *, time_limit: float = 60.0, report: Report | None = None, seed: int = 0, processes: int = 1
) -> Found:
    """The optimistic optimum of a program whose followers are linear or convex quadratic.

    Parameters
    ----------
    program : BilevelProgram
    kkt : Kkt
        Its optimality conditions.
    time_limit : float
        Seconds. Reaching it is LIMIT, with the incumbent and the bound proved so far.
    report : callable, optional
    seed : int
        Of the local search.
    processes : int
        Open cells are dealt out to so many, where the system can fork.

    Returns
    -------
    Found
        OPTIMAL: bound and incumbent agree to 1e-7 relative to 1 + value. UNBOUNDED: with the half-line that shows it.

    Raises
    ------
    Refused
        If the leader's objective is not convex or its rows are not linear.

    Notes
    -----
    See `Search` for when a cell is closed and why that is valid.
    """
    mpec = kkt.mpec
    if mpec.leader_quadratic:
        raise Refused("needs-scip", what="the leader's rows are quadratic")
    kind = Decoupled if separable(mpec) and not mpec.curved else Search
    search = kind(mpec, time_limit=time_limit, report=report, seed=seed)
    try:
        try:
            status = explore_together(search, processes)
        except NeedsCoupling:
            search = Search(mpec, time_limit=search.remaining(), report=report, seed=seed, coupled=True)
            status = explore_together(search, processes)
    except Unbounded as found:
        moves = kkt.symbol_of @ np.pad(found.ray, (0, len(mpec.names) - len(found.ray)))  # multipliers that the leader uses may move, too
        way = _direction(kkt.program.symbols, np.asarray(moves))
        because = f"a half-line on which every follower stays optimal: along {way} the leader improves for ever"
        trace = Trace(mpec, ray=(found.point, np.pad(found.ray, (0, len(mpec.names) - len(found.ray)))))
        return Found(Status.UNBOUNDED, kkt.lift(found.point), -mpec.sign * np.inf, because, REFERENCE, search.stats(), trace)
    point = None if search.incumbent.w is None else kkt.lift(search.incumbent.w)
    bound = mpec.sign * search.bound
    trace = Trace(mpec, getattr(search, "clauses", None))
    return Found(status, point, bound if status is not Status.INFEASIBLE else np.nan, _because(status, search, mpec.sign), REFERENCE, search.stats(), trace)


def _because(status: Status, search: Search, sign: float) -> str:
    nodes = f"{search.nodes} cell{'s' * (search.nodes != 1)}"
    if status is Status.OPTIMAL:
        left = number(max(search.incumbent.value - search.bound, 0.0))
        return f"{nodes}, every one closed; the incumbent is within {left} of the bound ({CLOSED:g} relative is allowed)"
    if status is Status.INFEASIBLE:
        return f"{nodes}: no leader decision leaves a point that satisfies all rows with every follower optimal"
    if search.unresolved and not search.heap and not search.left_elsewhere:
        return f"{nodes}: {search.unresolved} of them could not be decided in floating point"
    still = len(search.heap) + search.left_elsewhere
    if search.incumbent.w is None:
        return f"time limit after {nodes}, {still} open; no feasible point yet"
    return f"time limit after {nodes}, {still} open; best {number(sign * search.incumbent.value)}, bound {number(sign * search.bound)}"


def _direction(names: tuple[str, ...], ray: Array) -> str:
    entries = [f"{number(float(ray[j]))} {names[j]}" for j in np.flatnonzero(ray[: len(names)])[:6]]
    return "(" + ", ".join(entries) + ")"
