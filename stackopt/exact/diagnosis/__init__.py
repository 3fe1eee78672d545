r"""Why a bilevel program has no solution: the first of the possible reasons that can be shown, with its witness.

The reasons, in the order they are looked for; each rules out the ones before it.

1. *leader rows*: the leader's rows without follower variables contradict each other.
2. *follower rows*: a follower has no feasible answer, whatever others decide or at every decision that keeps the leader's rows.
3. *follower unbounded*: a follower has no best answer whatever the leader decides, with the ray.
4. *coupling rows*: followers do answer, but leader rows that contain follower variables exclude every optimal response; with the
   proof where they exclude every feasible one already.
5. *all rows*: no point satisfies all rows, and searches did not settle which coupling rows are to blame.
6. *no response*: no such row, yet no decision at which all followers have optimal responses at once.

Sets of rows are irreducible, time permitting: without any one of them the contradiction is gone (deletion filter). The proofs of 1-3 and 5 are
infeasible linear programs over all integer and continuous decisions at once, so they need no search.
"""

from __future__ import annotations

import time
from dataclasses import replace

from stackopt.bilevel.program import BilevelProgram
from stackopt.exact.diagnosis.coupling import Search, coupling_rows
from stackopt.exact.diagnosis.ray import unbounded_ray
from stackopt.exact.diagnosis.reason import Diagnosis
from stackopt.exact.diagnosis.rows import System, all_rows, follower_rows, leader_rows, unbounded_follower

__all__ = ["Diagnosis", "diagnose", "unbounded_ray"]


def diagnose(program: BilevelProgram, *, search: Search | None = None, time_limit: float = 10.0) -> Diagnosis:
    """Why `program`, found infeasible by a search, is so.

    Parameters
    ----------
    program : BilevelProgram
    search : callable, optional
        Solves the programs with fewer rows that reason 4 needs; by default as `Exact`.
    time_limit : float
        Seconds in all; single systems of rows may take half a second more.

    Returns
    -------
    Diagnosis
        Of kind ``"unknown"`` if no reason could be shown: this function never concludes that the program is feasible.
    """
    system, begun = System(program, time_limit), time.perf_counter()
    found = leader_rows(system) or follower_rows(system) or unbounded_follower(system)
    if found is not None:
        return found
    contradiction = all_rows(system)
    excluded = coupling_rows(program, search, time_limit - (time.perf_counter() - begun))
    if contradiction is None:
        return excluded
    return replace(excluded, proof=contradiction.because) if excluded.kind == "coupling rows" else contradiction
