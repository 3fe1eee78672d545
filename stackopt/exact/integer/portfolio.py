"""Which search fits a program with an integer follower, and what it established."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import numpy as np

from stackopt.bilevel.follower import follower_program, recession
from stackopt.bilevel.point import Array
from stackopt.bilevel.program import BilevelProgram
from stackopt.display import number
from stackopt.exact.found import Found
from stackopt.exact.integer.activity import ActivityBranching
from stackopt.exact.integer.attainment import Attainment, usable
from stackopt.exact.integer.covering import CoveringInterdiction
from stackopt.exact.integer.directions import DirectionBranching
from stackopt.exact.integer.form import Form, formed, linking_box, refusal
from stackopt.exact.integer.high_point import HighPoint
from stackopt.exact.integer.packing import PackingInterdiction
from stackopt.exact.integer.pool import Sides
from stackopt.exact.integer.state import FollowerUnbounded, LeaderUnbounded, OutOfTime, RelaxationUnbounded, SolverFault, State
from stackopt.exact.integer.structure import interdiction
from stackopt.exact.integer.value_pieces import Pieces
from stackopt.solution import Refusal, Report, Status

#: Followers with more columns than this are first tried as one program with the leader.
WIDE = 30


class Search(Protocol):
    """Closes the whole tree in `run`, or raises; `bound` is what the open nodes leave possible."""

    bound: float

    def run(self) -> None:
        """Search."""
        ...


def refuses(program: BilevelProgram) -> Refusal | None:
    """Why `integer_followers` does not solve a program, as far as its data tell."""
    return refusal(program)


def integer_followers(program: BilevelProgram, *, time_limit: float, report: Report | None = None, seed: int = 0, search: str = "") -> Found:
    """Search the program; see the package's modules for each rule and why it is valid.

    Parameters
    ----------
    program : BilevelProgram
        Linear, optimistic; one follower, or several that see nothing of each other; integer and continuous variables at both levels.
    time_limit : float
        Seconds.
    report : callable, optional
    seed : int
        Not used: the search is deterministic.
    search : str
        One of the names in `searches`, for comparisons; by default the one that fits.

    Returns
    -------
    Found
        OPTIMAL with a point whose follower part was optimal when re-solved and a bound equal to its value; INFEASIBLE, UNBOUNDED,
        or LIMIT with incumbent and bound.

    Raises
    ------
    Refused
        [integer-follower] or [continuous-linking].
    """
    if found := refusal(program):
        raise found.error()
    begun = time.perf_counter()
    form = formed(program)
    box = linking_box(form)
    if box is None:
        return Found(Status.INFEASIBLE, None, np.nan, "the rows of leader and follower together have no solution", "linear relaxation")
    if why := improves_for_ever(program):
        return Found(Status.INFEASIBLE, None, np.nan, why, "a direction of the follower")
    state = State(form, begun + time_limit, report)
    if not form.integer[form.linking].all():
        return infimum(state, *box)
    if found := linking_refusal(form, *box):
        raise found.error()
    name = search or fitting(state)
    return established(state, searches(state, *box)[name](), name) or finished(state, name)


def established(state: State, search: Search, name: str) -> Found | None:
    """Run a search: what it found if it did not close its tree, None if it did."""
    program = state.form.program
    try:
        search.run()
    except RelaxationUnbounded:
        return established(state, ActivityBranching(state, *linking_box(state.form) or (state.form.lower, state.form.upper)), name)
    except OutOfTime:
        return limited(state, search.bound, name)
    except FollowerUnbounded:
        why = f"{followers(program)} improves for ever at a leader decision"
        return Found(Status.INFEASIBLE, None, np.nan, why, name, state.stats())
    except LeaderUnbounded:
        return Found(Status.UNBOUNDED, None, np.nan, "the leader improves for ever with the follower at an optimum", name, state.stats())
    except SolverFault as fault:
        return Found(Status.FAILED, None, np.nan, str(fault), name, state.stats())
    return None


def fitting(state: State) -> str:
    """The name of the search that fits the program's structure."""
    structure = interdiction(state.form)
    if structure is not None and structure.packing:
        return "interdiction branch-and-cut"
    if structure is not None and CoveringInterdiction.usable(state, structure):
        return "covering branch-and-cut"
    if len(state.form.mine) > WIDE:
        return "high-point relaxation"
    return branching(state)


def branching(state: State) -> str:
    """Direction branching, but activity branching where the follower's costs depend on the leader."""
    return "direction branching" if Sides.usable(state.form) else "activity branching"


def searches(state: State, lower: Array, upper: Array) -> dict[str, Callable[[], Search]]:
    """Each search by name, those that apply."""
    found: dict[str, Callable[[], Search]] = {
        "activity branching": lambda: ActivityBranching(state, lower, upper),
        "high-point relaxation": lambda: Wide(state, lower, upper),
    }
    if Sides.usable(state.form):
        found["direction branching"] = lambda: DirectionBranching(state, lower, upper)
    if not Pieces.fit(state.form):
        found["value function by pieces"] = lambda: Attainment(state, lower, upper, Pieces(state.form, lower, upper))
    structure = interdiction(state.form)
    if structure is not None and CoveringInterdiction.usable(state, structure):
        found["covering branch-and-cut"] = lambda: CoveringInterdiction(state, structure)
    if structure is not None and structure.packing:
        found["interdiction branch-and-cut"] = lambda: PackingInterdiction(state, structure, lower, upper)
    return found


class Wide:
    """The high-point probe, then branching with what it learnt."""

    def __init__(self, state: State, lower: Array, upper: Array) -> None:
        self.state, self.box, self.bound = state, (lower, upper), -np.inf

    def run(self) -> None:
        """Search; see `high_point` and `branching`."""
        probe = HighPoint(self.state, *self.box)
        try:
            closed = probe.run()
        finally:
            self.bound = probe.bound
        if closed:
            return
        search: Search
        if branching(self.state) == "direction branching":
            search = DirectionBranching(self.state, *self.box, rows=probe.cuts() if probe.rows else None, bound=probe.bound)
        else:
            search = ActivityBranching(self.state, *self.box)
        try:
            search.run()
        finally:
            self.bound = max(self.bound, search.bound)


def linking_refusal(form: Form, lower: Array, upper: Array) -> Refusal | None:
    """Why what the follower sees does not take finitely many values, if it does not."""
    names = form.program.names
    for j in form.linking.tolist():
        if not np.isfinite([lower[j], upper[j]]).all():
            why = f"the follower sees `{names[j]}`, which neither bounds nor rows keep finite"
            return Refusal("integer-follower", law={"why": why}, remedy=f"give `{names[j]}` bounds")
    return None


def improves_for_ever(program: BilevelProgram) -> str:
    """Which follower has no best answer anywhere, and along which direction; empty if none is known.

    Rational data: a direction that improves the relaxation for ever, scaled to whole numbers, improves every answer for ever, and
    neither directions nor costs depend on the leader's decision.
    """
    for k, level in enumerate(program.followers):
        mine = program.owned(k)
        if np.isfinite(program.lower[mine]).all() and np.isfinite(program.upper[mine]).all():
            continue
        if level.objective.quadratic is not None and level.objective.quadratic.nnz:
            continue
        ray = recession(follower_program(program, k, np.zeros(program.size)))
        if ray is not None:
            along = ", ".join(f"{program.names[j]} = {number(v)}" for j, v in zip(mine.tolist(), ray.tolist()) if v)
            return f"follower `{level.name}` improves for ever along {along}, wherever it has an answer"
    return ""


def infimum(state: State, lower: Array, upper: Array) -> Found:
    """A program whose follower sees continuous variables: its optimum, or its infimum with decisions that approach it.

    Raises
    ------
    Refused
        [continuous-linking] if the follower is too large for the value function to be written down.
    """
    form, name = state.form, "value function by pieces"
    seen = form.linking[~form.integer[form.linking]]
    pieces, why = usable(form, lower, upper)
    if pieces is None:
        raise Refusal("continuous-linking", law={"variable": form.program.names[int(seen[0])], "why": why}).error()
    search = Attainment(state, lower, upper, pieces)
    if found := established(state, search, name):
        return found
    limit = search.limit
    if limit is None:
        return finished(state, name)
    point = form.point(limit.path[-1])
    value = form.leader_value(limit.value)

    def decision(z: Array) -> str:
        return ", ".join(f"{form.program.names[j]} = {number(z[j], 7)}" for j in seen[:3].tolist())

    near = "; ".join(f"{decision(z)}: {number(form.leader_value(float(form.cost @ z)), 7)}" for z in limit.path)
    why = f"the infimum {number(value, 7)} is not attained: at {decision(limit.z)} the follower answers otherwise; approached by {near}"
    return Found(Status.NOT_ATTAINED, point, value, why, name, state.stats() | {"infimum": value, "attained": "no"})


def finished(state: State, name: str) -> Found:
    """The tree is empty: the incumbent is optimal, or there is no point at all."""
    counted = f"after {state.nodes} nodes"
    if state.best is None:
        why = f"no leader decision has an answer of the follower that satisfies all rows ({name}, {counted})"
        return Found(Status.INFEASIBLE, None, np.nan, why, name, state.stats())
    point = state.form.point(state.best)
    return Found(Status.OPTIMAL, point, point.claim, f"gap 0 {counted}", name, state.stats())


def limited(state: State, bound: float, name: str) -> Found:
    """The time ran out."""
    form = state.form
    point = None if state.best is None else form.point(state.best)
    known = form.leader_value(min(bound, state.value)) if np.isfinite(bound) else np.nan
    shown = "no point found" if point is None else f"best {number(point.claim)}"
    return Found(Status.LIMIT, point, known, f"time limit after {state.nodes} nodes: {shown}, bound {number(known)}", name, state.stats())


def followers(program: BilevelProgram) -> str:
    """The follower, or the followers, by name."""
    return ", ".join(f"follower `{level.name}`" for level in program.followers)

