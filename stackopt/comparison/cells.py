"""One cell of a comparison: a problem, a method and a seed, evaluated by a function that a process pool can call.

Whatever happens in a cell becomes a record: an answer, a refusal with its remedy, or a failure with the end of its
traceback. Only an interrupt and an unwritable store escape.
"""

from __future__ import annotations

import functools
import hashlib
import shlex
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import stackopt
from stackopt.bilevel.program import BilevelProgram
from stackopt.certificate import Bound, Certificate, Examination
from stackopt.comparison.plain import call, chosen, digest, plain, settings, thinned
from stackopt.comparison.store import CELL_SCHEMA, Store
from stackopt.errors import Refused
from stackopt.exact.found import OPTIMISTIC_VALUE
from stackopt.solution import STRONG_VALUE, Report, Solution, Status
from stackopt.solving import solve

#: Policies by name; kept out of the JSON.
Arrays = dict[str, np.ndarray]


#: Methods that `stackopt solve` has, and the fields it has options for.
COMMANDS = {
    "stackopt.exact.exact.Exact": ("exact", ("concept", "leader", "grid", "time_limit")),
    "stackopt.exact.enumeration.Enumeration": ("enumeration", ()),
    "stackopt.exact.reformulated.BigM": ("big-m", ("time_limit",)),
    "stackopt.exact.reformulated.StrongDuality": ("strong-duality", ("time_limit",)),
    "stackopt.exact.reformulated.Sos1": ("sos1", ("time_limit",)),
    "stackopt.exact.reformulated.Indicator": ("indicator", ("time_limit",)),
    "stackopt.exact.reformulated.Scip": ("scip", ("time_limit",)),
    "stackopt.learning.softmax_policy_iteration.SoftmaxPolicyIteration": ("softmax", ("temperature", "concept", "response", "damping", "iterations")),
}
#: Parts of the package that decide an answer; a change in one of their files is another key.
DECIDING = ("bounds", "programs", "bilevel", "games", "reformulations", "backends", "exact", "learning", "certificate.py", "solution.py", "solving.py")


@functools.cache
def code_digest() -> str:
    """SHA-256 of the source files that decide an answer: a store never serves answers of other code."""
    root = Path(stackopt.__file__).parent
    files = [f for part in DECIDING for f in ([root / part] if part.endswith(".py") else sorted((root / part).rglob("*.py")))]
    return digest([[str(f.relative_to(root).as_posix()), hashlib.sha256(f.read_bytes()).hexdigest()] for f in files])


@dataclass(frozen=True)
class Cell:
    """A problem, a method and a seed under the names they have in the comparison.

    Attributes
    ----------
    problem_name, method_label : str
    problem, method : Problem, Method
    seed : int
    about : mapping
        What the reader should know about the problem: title, source, model, parameters, known, unit.
    store : str or None
        Folder to write the finished cell to.
    """

    problem_name: str
    method_label: str
    problem: Any
    method: Any
    seed: int
    about: Mapping[str, Any] = field(default_factory=dict)
    store: str | None = None

    @property
    def key(self) -> str:
        """What identifies the answer: problem data, method settings, seed, schema, version and code of stackopt."""
        kind = type(self.method)
        return digest([
            CELL_SCHEMA, stackopt.__version__, code_digest(), type(self.problem).__name__, self.problem.fingerprint(),
            f"{kind.__module__}.{kind.__qualname__}", settings(self.method), self.seed,
        ])


def evaluate(cell: Cell, report: Report | None = None) -> tuple[dict[str, Any], Arrays]:
    """Solve one cell and store it.

    Returns
    -------
    record : dict
        Plain JSON data, see `stackopt.comparison.compare`.
    policies : dict of str to array
        The policies found; empty without a candidate.
    """
    record = blank(cell)
    policies: Arrays = {}
    try:
        solution = solve(cell.problem, cell.method, seed=cell.seed, report=report)
        record.update(answer(cell, solution))
        policies = arrays(solution.candidate)
    except Refused as refused:
        refusal = {"code": refused.code, "text": refused.law, "where": refused.where, "help": refused.help}
        record.update(status="REFUSED", because=refused.law, refusal=refusal)
    except Exception as error:  # whatever goes wrong in one cell must not lose the others
        record.update(failed(error))
    if cell.store is not None:
        record = Store(cell.store).write(record, describe_problem(cell), policies)
    return record, policies


def blank(cell: Cell) -> dict[str, Any]:
    """The record of a cell before it has run: who it is and how to repeat it."""
    chosen = settings(cell.method)
    concept, response = chosen.get("concept", ""), chosen.get("response", "best")
    return {
        "key": cell.key,
        "problem": cell.problem_name,
        "method": cell.method_label,
        "seed": cell.seed,
        "cached": False,
        "sense": "min" if getattr(cell.problem, "maximises", True) is False else "max",
        "quantity": OPTIMISTIC_VALUE if isinstance(cell.problem, BilevelProgram) else STRONG_VALUE,
        "settings": chosen,
        "family": " ".join(str(part) for part in (chosen["class"], concept, response if "response" in chosen else "") if part),
        "concept": concept,
        "response": response,
        "temperature": chosen.get("temperature"),
        "status": str(Status.FAILED),
        "certified": False,
        "verified": False,
        "because": "",
        "values": {},
        "objective": "",
        "claim": None,
        "bounds": [],
        "checks": [],
        "notes": [],
        "stats": {},
        "history": {},
        "history_step": 1,
        "policies": None,
        "provenance": {},
        "refusal": None,
        "failure": None,
        "reproduce": reproduce(cell),
    }


def failed(error: BaseException) -> dict[str, Any]:
    """The part of a record that says what went wrong: the error and where, without the paths of this machine."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    where = [f"{frame.filename.replace(chr(92), '/').rsplit('/', 1)[-1]}:{frame.lineno} in {frame.name}" for frame in frames]
    text = str(error) or type(error).__name__
    return {
        "status": str(Status.FAILED),
        "because": f"{type(error).__name__}: {text.splitlines()[0]}",
        "failure": {"type": type(error).__name__, "text": text, "traceback": where},
    }


def answer(cell: Cell, solution: Solution[Any]) -> dict[str, Any]:
    """The part of a record that a solution fills in."""
    certificate = solution.certificate
    history, step = thinned(solution.history)
    return {
        "status": str(solution.status),
        "certified": solution.certified,
        "verified": certificate.certified,
        "because": solution.because,
        "values": plain(dict(certificate.values)),
        "objective": certificate.objective,
        "claim": plain(getattr(solution.candidate, "claim", None)),
        "bounds": _bounds(cell.problem, solution, certificate),
        "checks": [plain({"name": c.name, "residual": c.residual, "tolerance": c.tolerance, "passed": c.passed, "because": c.because})
                   for c in certificate.checks],
        "notes": list(certificate.notes),
        "stats": plain(dict(solution.stats)),
        "history": history,
        "history_step": step,
        "provenance": plain(dict(solution.provenance)),
    }


def _bounds(problem: Any, solution: Solution[Any], certificate: Certificate) -> list[dict[str, Any]]:
    """Everything proved about the cell: by the search, by the certificate, and measured against by the problem."""
    found = [("search", b, None) for b in ((solution.bound,) if solution.bound else ()) + tuple(solution.further_bounds)]
    found += [("certificate", b, None) for b in certificate.bounds]
    if solution.candidate is not None and hasattr(problem, "examinations"):
        found += [("examination", e.bound, e) for e in problem.examinations(solution.candidate)]
    return [{**bound_record(bound, examination), "origin": origin} for origin, bound, examination in found]


def bound_record(bound: Bound, examination: Examination | None) -> dict[str, Any]:
    """A bound, and what was measured against it, as plain data."""
    if examination is not None:
        measured, verdict, tightness = examination.measured, examination.verdict, examination.tightness
    else:
        measured, verdict, tightness = None, "not measured" if bound.applies else "not applicable", None
    return plain({  # type: ignore[no-any-return]
        "of": bound.of,
        "reference": bound.reference,
        "sense": bound.sense,
        "value": bound.value,
        "applies": bound.applies,
        "measured": measured,
        "verdict": verdict,
        "tightness": tightness,
        "because": bound.because,
        "remedy": bound.remedy,
        "assumptions": [{"statement": a.statement, "holds": a.holds, "because": a.because} for a in bound.assumptions],
    })


def arrays(candidate: Any) -> Arrays:
    """The policies of a candidate: its array fields."""
    names = [n for n in getattr(candidate, "__dataclass_fields__", ()) if isinstance(getattr(candidate, n), np.ndarray)]
    return {n: getattr(candidate, n) for n in names}


def describe_problem(cell: Cell) -> dict[str, Any]:
    """What a report says about the problem of a cell."""
    block = getattr(cell.problem, "block", None)
    text = block().text() if block else repr(cell.problem)
    return {"name": cell.problem_name, "fingerprint": cell.problem.fingerprint(), "text": text, "about": plain(dict(cell.about))}


def reproduce(cell: Cell) -> dict[str, str]:
    """The one line of Python, and of the shell where there is one, that repeats the cell."""
    model, file, parameters = cell.about.get("model"), cell.about.get("file"), dict(cell.about.get("parameters", {}))
    case = cell.about.get("case")
    ours = type(cell.method).__module__.startswith("stackopt.")
    method = ("stackopt." if ours else "") + call(cell.method)
    if case:
        problem = f"stackopt.catalog.case({case!r}).program"
    elif model:
        problem = f"stackopt.catalog.build({', '.join([repr(model), *(f'{k}={v!r}' for k, v in parameters.items())])})"
    else:
        loader = "stackopt.read" if isinstance(cell.problem, BilevelProgram) else "load_game"
        problem = f"{loader}({file!r})" if file else f"problems[{cell.problem_name!r}]"
    python = f"import stackopt; print(stackopt.solve({problem}, {method}, seed={cell.seed}))"
    if file and not model and not isinstance(cell.problem, BilevelProgram):
        python = "from stackopt.games.file import load_game; " + python
    return {"python": python, "command": _command(cell, str(model or case or file), parameters) if model or case or file else ""}


def _command(cell: Cell, model: str, parameters: Mapping[str, Any]) -> str:
    """`stackopt solve ...`, or nothing when the method has settings that have no option there."""
    method, options = COMMANDS.get(f"{type(cell.method).__module__}.{type(cell.method).__name__}", ("", ()))
    given = chosen(cell.method) if method else {}
    if not method or any(name not in options for name in given):
        return ""
    words = ["stackopt", "solve", model, "--method", method]
    for name, value in given.items():
        words += [f"--{name.replace('_', '-')}", str(value)]
    for name, value in parameters.items():
        words += ["--set", f"{name}={value}"]
    return shlex.join([*words, *(["--seed", str(cell.seed)] if cell.seed else [])])
