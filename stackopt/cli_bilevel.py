"""`stackopt solve` on a bilevel program: which argument is one, which method is meant, what is printed as JSON."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import stackopt
from stackopt import catalog
from stackopt.bilevel.json_file import holds_bilevel
from stackopt.bilevel.program import BilevelProgram
from stackopt.errors import InvalidMethod, UnknownModel

#: Names on the command line of the methods for bilevel programs; each is a class of the package.
METHODS = {
    "exact": "Exact",
    "big-m": "BigM",
    "strong-duality": "StrongDuality",
    "sos1": "Sos1",
    "indicator": "Indicator",
    "scip": "Scip",
    "enumeration": "Enumeration",
}


def program_of(problem: str, aux: Path | None = None, parameters: Mapping[str, Any] | None = None) -> BilevelProgram | None:
    """The bilevel program that the argument names, or None if it names a game.

    A file is told by its ending; a JSON file by what is in it; a name by the catalogue, in which models come before recorded
    bilevel programs. Only models have `parameters`.

    Raises
    ------
    InvalidProgram
        If it is a file of a bilevel program that cannot be read.
    UnknownModel
        If it is a name that nothing has.
    InvalidMethod
        If parameters are given for a bilevel program that is not a model.
    """
    from stackopt.comparison.suites import is_file

    if problem in catalog.names():
        return catalog.build(problem, **parameters or {}) if catalog.model(problem).kind == "BilevelProgram" else None
    path, name = Path(problem), problem.lower()
    found: BilevelProgram | None = None
    if aux is not None or name.endswith((".mps", ".mps.gz", ".aux")):
        found = stackopt.read(path, aux)
    elif name.endswith(".json") and holds_bilevel(path):
        found = stackopt.read(path)
    elif problem in catalog.cases():
        found = catalog.case(problem).program
    if found is not None and parameters:
        raise InvalidMethod("setting", name="--set", law="for a model of the catalogue, not for a file or a recorded program", got=", ".join(parameters))
    if found is not None or is_file(problem):
        return found
    close = difflib.get_close_matches(problem, [*catalog.names(), *catalog.cases()], n=1, cutoff=0.5)
    where = f"did you mean {close[0]!r}?" if close else f"models: {', '.join(catalog.names())}; and {len(catalog.cases())} recorded bilevel programs"
    raise UnknownModel("model", name=problem, where=where)


def method_of(name: str, time_limit: float) -> Any:
    """The method called `name` on the command line.

    Raises
    ------
    InvalidMethod
        If no method for bilevel programs is called so.
    """
    if name not in METHODS:
        raise InvalidMethod("setting", name="method", law=f"one of {', '.join(METHODS)} for a bilevel program", got=repr(name))
    kind = getattr(stackopt, METHODS[name])
    limited = "time_limit" in {field.name for field in dataclasses.fields(kind)}
    return kind(time_limit=time_limit) if limited else kind()


def record(problem: str, solution: Any, time_limit: float, method: str) -> dict[str, Any]:
    """A solution as plain JSON data, in the schema of stored cells, with the value of every symbol."""
    from stackopt.comparison.cells import Cell, answer, blank, describe_problem
    from stackopt.comparison.plain import plain

    program, seed = solution.problem, solution.provenance["seed"]
    cell = Cell(program.name, solution.method.name, program, solution.method, seed)
    words = ["stackopt", "solve", problem, "--method", method, "--time-limit", f"{time_limit:g}", "--seed", str(seed)]
    found = {**blank(cell), **answer(cell, solution), "reproduce": {"python": "", "command": " ".join(words)}}
    values = {} if solution.candidate is None else dict(zip(program.symbols, solution.candidate.symbols.tolist()))
    return {"schema": "stackopt.solution/1", "problem": describe_problem(cell), "solution": found, "values": plain(values)}
