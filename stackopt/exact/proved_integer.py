"""A proof for what `Exact` found of a program with one integer follower, and then another word for the status."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np

from stackopt.bilevel.point import Point
from stackopt.bilevel.program import BilevelProgram
from stackopt.certificate import Bound
from stackopt.exact.found import OPTIMISTIC_VALUE
from stackopt.proof.integer_followers import prove_integer
from stackopt.solution import Run, Status

#: A proved interval this narrow, relative to 1 + the optimum, is an optimum.
WIDTH = 5e-7


def proved_integer(program: BilevelProgram, run: Run[Any], *, seconds: float, time_limit: float) -> Run[Any]:
    """`run` with a proof of the optimum, if there is one within what is left of the time limit.

    Parameters
    ----------
    program : BilevelProgram
        In the user's units; its one follower is linear with integer variables.
    run : Run
        Of a search, in the same units.
    seconds : float
        What the search took.
    time_limit : float
        Of the method.

    Returns
    -------
    Run
        PROVED if the checker accepted a proof of the optimum, known to `WIDTH`; the candidate attains it. Else as it was, with the proof of an
        interval if there is one, and in ``stats["unproved"]`` why there is none.
    """
    candidate = run.candidate
    if run.status is not Status.OPTIMAL or candidate is None:
        return run
    begun = time.perf_counter()
    found = prove_integer(program, candidate.values, max(time_limit - seconds, 0.0))
    stats = {**run.stats, "proof_seconds": time.perf_counter() - begun}
    if isinstance(found, str):
        return dataclasses.replace(run, stats={**stats, "unproved": found})
    proof = found.proof
    run = dataclasses.replace(run, proof=proof, stats={**stats, "proof_nodes": proof.nodes, "proof_bytes": len(proof.text)})
    if proof.lower is None or proof.upper is None or proof.width is None:
        return run
    ends = float(proof.lower), float(proof.upper)
    attained, other = ends if program.maximises else ends[::-1]
    if float(proof.width) > WIDTH * (1.0 + abs(attained)):
        return run
    if abs(program.leader.objective.value(candidate.symbols) - attained) > WIDTH * (1.0 + abs(attained)):  # the search was wrong; the proof is not
        candidate = Point(np.array(found.point), claim=attained)
    bound = Bound(other, OPTIMISTIC_VALUE, "proof", sense="upper" if program.maximises else "lower")
    return dataclasses.replace(run, status=Status.PROVED, candidate=candidate, bound=bound)
