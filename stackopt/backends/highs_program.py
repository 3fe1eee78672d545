"""HiGHS on a `QuadraticProgram` that is a mixed-integer linear program."""

from __future__ import annotations

import time

import numpy as np

from stackopt.backends.answer import Answer, answer
from stackopt.backends.matrix import minimise
from stackopt.programs.quadratic import QuadraticProgram
from stackopt.solution import Status


def solve_program(program: QuadraticProgram, *, time_limit: float = 60.0) -> Answer:
    """Optimise a mixed-integer linear program; the arguments and the result are those of `stackopt.backends.scip.solve_program`."""
    assert program.linear_only
    begun = time.perf_counter()
    sign = 1.0 if program.sense == "min" else -1.0
    if time_limit <= 0:
        return Answer(Status.LIMIT, None, np.nan, -sign * np.inf, np.nan, 0, 0.0, "time limit 0")
    found = minimise(
        sign * program.linear, program.matrix.tocsr(), program.row_lower, program.row_upper, program.lower, program.upper,
        integer=program.integer, constant=sign * program.constant, time_limit=time_limit, presolve=True,
    )
    return answer(program, found.status, found.x, sign * found.bound, 0, time.perf_counter() - begun, f"HiGHS: {found.because}")
