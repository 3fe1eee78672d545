"""A linear programming solver that lies: each answer of HiGHS is corrupted with some probability, in one of twelve ways.

Whatever it says, nothing false may be verified: the search may go wrong, and then the word must be lower.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from stackopt.backends import matrix, warm
from stackopt.bilevel.json_file import from_record
from stackopt.exact.exact import Exact
from stackopt.proof import check
from stackopt.solution import Status
from stackopt.solving import solve
from stackopt.verification.proof_enumeration import Optimum
from stackopt.verification.proof_mutants import claims_truth

Random = np.random.Generator
LIES = (
    "feasible called infeasible", "infeasible called feasible", "optimum called unbounded", "bound + 1", "bound - 1", "bound infinite",
    "multipliers + noise 1e-6", "multipliers + noise 1", "multipliers NaN", "multipliers of another answer", "rays at random", "point + noise 1e-5",
)  # fmt: skip
#: Kinds of lies about multipliers: what stands there instead, given what stood there before.
_DUALS: dict[str, Callable[[Random, Any, Any], Any]] = {
    "multipliers + noise 1e-6": lambda rng, true, last: true + 1e-6 * rng.standard_normal(len(true)),
    "multipliers + noise 1": lambda rng, true, last: true + rng.standard_normal(len(true)),
    "multipliers NaN": lambda rng, true, last: np.full(len(true), np.nan),
    "multipliers of another answer": lambda rng, true, last: last if last is not None and len(last) == len(true) else 0.0 * true,
}
_VALUES = {"bound + 1": 1.0, "bound - 1": -1.0, "bound infinite": np.inf}
_WORDS = {
    "feasible called infeasible": (Status.OPTIMAL, Status.INFEASIBLE), "infeasible called feasible": (Status.INFEASIBLE, Status.OPTIMAL),
    "optimum called unbounded": (Status.OPTIMAL, Status.UNBOUNDED),
}  # fmt: skip


@contextlib.contextmanager
def lying(lie: str, rng: Random, share: float = 0.3) -> Iterator[Counter[str]]:
    """While this lasts, a share of the answers of `WarmLp` and `minimise` is corrupted; yields the count of lies told.

    Parameters
    ----------
    lie : str
        One of `LIES`.
    rng : Generator
    share : float
        Probability of a lie.
    """
    told, last = Counter[str](), dict[str, Any]()
    honest = {name: getattr(warm.WarmLp, name) for name in ("solve", "value", "x", "row_dual", "col_dual")}
    solved, quiet = matrix._solved, warm.quiet

    def corrupted(name: str, true: Any) -> Any:
        if name == "value" and lie in _VALUES:
            return true + _VALUES[lie]
        if name == "x" and lie == "point + noise 1e-5":
            return true + 1e-5 * rng.standard_normal(len(true))
        if name in ("row_dual", "col_dual") and lie in _DUALS:
            before, last[name] = last.get(name), true
            return _DUALS[lie](rng, true, before)
        return true

    def word(status: Status) -> Status:
        return _WORDS[lie][1] if lie in _WORDS and status is _WORDS[lie][0] else status

    def dishonest() -> bool:
        lies = bool(rng.random() < share)
        told["lies"] += lies
        return lies

    def solve_(self: Any, *arguments: Any, **settings: Any) -> Status:
        self.lies = dishonest()
        status = honest["solve"](self, *arguments, **settings)
        return word(status) if self.lies else status

    def field(name: str) -> property:
        return property(lambda self: corrupted(name, honest[name].fget(self)) if getattr(self, "lies", False) else honest[name].fget(self))

    def solved_(*arguments: Any) -> Any:
        found = solved(*arguments)
        if not dishonest():
            return found
        changes = {name: corrupted(name, getattr(found, name)) for name in ("x", "row_dual", "col_dual") if getattr(found, name) is not None}
        bound = found.bound + _VALUES[lie] if lie in _VALUES else found.bound
        return dataclasses.replace(found, status=word(found.status), value=corrupted("value", found.value), bound=bound, **changes)

    def quiet_(highspy: Any) -> Any:
        solver = quiet(highspy)
        if lie == "rays at random":
            true = solver.getDualRay

            def ray() -> Any:
                status, has, values = true()
                return status, has, rng.standard_normal(len(values)) if dishonest() else values

            solver.getDualRay = ray
        return solver

    replaced = {"solve": solve_, **{name: field(name) for name in ("value", "x", "row_dual", "col_dual")}}
    try:
        for name, instead in replaced.items():
            setattr(warm.WarmLp, name, instead)
        setattr(matrix, "_solved", solved_)  # noqa: B010
        warm.quiet = quiet_
        yield told
    finally:
        for name, before in honest.items():
            setattr(warm.WarmLp, name, before)
        setattr(matrix, "_solved", solved)  # noqa: B010
        warm.quiet = quiet


def under_lies(text: str, truth: Optimum, lie: str, rng: Random, time_limit: float = 5.0) -> tuple[str, str]:
    """Solve and prove a program with a lying solver; what came of it, and the details if it is false.

    Returns
    -------
    (outcome, detail)
        ``verified``: a proof of something true. ``FALSE``: a proof of something false. ``wrong word``: PROVED, INFEASIBLE or UNBOUNDED
        with a proof, of another value than the proof's. ``no proof, search wrong`` or ``no proof``: the word is the search's own.
        ``error``: an exception.
    """
    program = from_record(json.loads(text), Path("instance"))
    with lying(lie, rng):
        try:
            solution = solve(program, Exact(proof=True, time_limit=time_limit))
        except Exception as error:
            return "error", f"{type(error).__name__}: {error}".splitlines()[0]
    said = {"PROVED": "optimal", "OPTIMAL": "optimal", "INFEASIBLE": "infeasible", "UNBOUNDED": "unbounded"}.get(str(solution.status))
    right = said == truth.status and (said != "optimal" or abs(float(solution.value) - truth.value) <= 1e-5 * (1 + abs(truth.value)))
    if solution.proof is None:
        if solution.status == "PROVED":
            return "FALSE", "PROVED without a proof"
        return ("no proof", "") if right or said is None else ("no proof, search wrong", "")
    found = check.check(text, solution.proof.text)
    if not claims_truth(found, truth):
        return "FALSE", f"{check.statement(found)}, but {truth}"
    return ("verified", "") if right or solution.status != "PROVED" else ("wrong word", f"{solution.status} {solution.value}, {check.statement(found)}")
