"""`solve`: refuse with a remedy, run, have the problem certify, wrap."""

from __future__ import annotations

import dataclasses
import functools
import logging
import platform
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from stackopt.certificate import Certificate, Check
from stackopt.errors import InvalidMethod
from stackopt.solution import Method, Problem, Report, Run, Solution, Status, with_checks

log = logging.getLogger("stackopt")

#: Relative tolerance of the comparison between a search's bound and the value the problem recomputed.
GAP_TOLERANCE = 1e-6


def solve(
    problem: Problem[Any], method: Method[Any, Any] | None = None, *, seed: int = 0, report: Report | None = None
) -> Solution[Any]:
    """Solve `problem` by `method` and have the problem certify the answer.

    Parameters
    ----------
    problem : Problem
        What to solve, e.g. a `StackelbergGame`.
    method : Method, optional
        How; by default `Exact()`.
    seed : int
        Source of all randomness of the run.
    report : callable, optional
        Receives `Progress` during long work.

    Returns
    -------
    Solution
        With the status *after* certification: a claimed optimum that the problem does not confirm is FAILED. A method with a function
        ``prove(problem, run, seconds)`` is asked for a proof first, in the user's units.

    Raises
    ------
    Refused
        If the method does not solve this problem; the error names what does.
    InvalidMethod
        If the seed is not an integer of at least 0.

    Examples
    --------
    >>> import stackopt as so
    >>> game = so.catalog.build("commitment_2x2")
    >>> solution = so.solve(game, so.Exact())
    >>> str(solution.status), round(float(solution.value), 4)
    ('PROVED', 3.5)
    """
    if method is None:
        from stackopt.exact import Exact

        method = Exact()
    require_seed(seed)
    normalise = getattr(problem, "normalised", None)
    units = normalise() if normalise else None
    posed = problem if units is None else units.program
    refusal = method.refuses(posed)
    if refusal is not None:
        raise refusal.error()
    started, started_cpu = time.perf_counter(), time.process_time()
    run = method.run(posed, seed=seed, report=report)
    if units is not None:
        run = units.back(run)
    prove = getattr(method, "prove", None)
    if prove is not None:
        run = prove(problem, run, time.perf_counter() - started)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - started_cpu
    status, certificate, because = examine(problem, run)
    beside = getattr(problem, "without_commitment", None)
    if beside is not None and run.candidate is not None and certificate.certified:
        certificate = dataclasses.replace(certificate, values={**certificate.values, **beside(run.candidate)})
    log.info("%s by %s: %s (%s)", problem.name, method.name, status, because)
    return Solution(
        problem=problem,
        method=method,
        status=status,
        candidate=run.candidate,
        certificate=certificate,
        bound=run.bound,
        stats={**run.stats, "seconds": seconds, "cpu_seconds": cpu_seconds},
        provenance={**provenance(), "seed": seed, "method": describe(method), "problem": problem.name, "fingerprint": problem.fingerprint()},
        because=because,
        history=run.history,
        further_bounds=run.further_bounds,
        explanation=run.explanation,
        proof=run.proof,
    )


def require_seed(seed: Any) -> None:
    """Refuse what numpy's generators do not take; raises InvalidMethod."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise InvalidMethod("setting", name="seed", law="an integer of at least 0", got=repr(seed), help="seed=0 is as good as any other")


def examine(problem: Problem[Any], run: Run[Any]) -> tuple[Status, Certificate, str]:
    """Certify a run's candidate and correct the status by what was found."""
    if run.candidate is None:
        if run.status.success:
            return Status.FAILED, Certificate(()), "the method claimed success without a candidate"
        return run.status, Certificate(()), run.because
    certificate = problem.certify(run.candidate)
    if run.bound is not None and run.bound.applies:
        certificate = with_checks(certificate, *_bound_checks(certificate, run, getattr(problem, "unit", 1.0)))
    if run.status.success and not certificate.certified:
        failed = ", ".join(c.name for c in certificate.failures)
        return Status.FAILED, certificate, f"the method claimed {run.status}, the problem does not confirm: {failed}"
    return run.status, certificate, run.because


def _bound_checks(certificate: Certificate, run: Run[Any], unit: float) -> tuple[Check, ...]:
    """A value above the proved bound refutes the bound; an optimum must meet it."""
    assert run.bound is not None
    value, bound = float(np.max(certificate.value)), run.bound.value
    tolerance = GAP_TOLERANCE * max(unit, abs(bound), abs(value))
    beyond, name = (value - bound, "value <= bound") if run.bound.sense == "upper" else (bound - value, "bound <= value")
    checks = [Check(name, beyond, tolerance, f"{value:.9g} recomputed, bound {bound:.9g}")]
    if run.status in (Status.OPTIMAL, Status.PROVED):
        checks.append(Check("gap closed", 0.0 - beyond, tolerance, f"value {value:.9g}, bound {bound:.9g}"))
    return tuple(checks)


def describe(method: Any) -> dict[str, Any]:
    """A method's settings as plain data: its class name and the fields of the dataclass."""
    fields: Mapping[str, Any] = dataclasses.asdict(method) if dataclasses.is_dataclass(method) else {}  # type: ignore[arg-type]
    return {"class": type(method).__name__, **fields}


def provenance() -> dict[str, Any]:
    """Versions of everything whose change can change a figure."""
    packages = {package: _version(package) for package in ("stackopt", "numpy", "scipy", "highspy", "pyscipopt")}
    return {"python": platform.python_version(), "machine": platform.machine(), "packages": packages}


@functools.cache
def _version(package: str) -> str:
    """Of an installed package; reading it costs as much as a small solve, so once a process."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
