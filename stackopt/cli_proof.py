"""``stackopt solve --proof`` and ``stackopt check``: proofs to and from files."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import stackopt
from stackopt.errors import InvalidMethod, InvalidProgram


def verified(problem: Path, proof: Path) -> bool:
    """Print the theorem, or the place where the proof fails; whether the checker accepts it.

    Raises
    ------
    InvalidProgram
        If a file cannot be read.
    """
    import typer

    try:
        typer.echo(str(stackopt.check(problem, proof)))
        return True
    except InvalidProgram as error:
        if error.code != "proof-rejected":
            raise
        typer.echo(f"REJECTED: {error.where}")
        return False


def proving(method: Any, proof: Path | None) -> Any:
    """The method, asked for a proof if one is to be written.

    Raises
    ------
    InvalidMethod
        If the method gives none.
    """
    if proof is None:
        return method
    if not isinstance(method, stackopt.Exact):
        raise InvalidMethod("setting", name="--proof", law="for the method exact", got=method.name)
    return dataclasses.replace(method, proof=True)


def save_proof(solution: Any, path: Path | None) -> None:
    """Write a proof and the problem that it is of, or say on standard error why there is none; nothing if none is asked for."""
    import typer

    if path is None:
        return
    if solution.proof is None:
        typer.echo(f"no proof: {solution.stats.get('unproved', solution.because)}", err=True)
        return
    problem = path.with_name(f"{path.name.removesuffix('.txt')}.problem.json")
    solution.proof.save_problem(problem)
    solution.proof.save(path)
    typer.echo(f"wrote {path} and {problem}; anyone can check them: stackopt check {problem} {path}", err=True)
