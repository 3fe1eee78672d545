"""`Proof`: two texts that anyone can check, and what the checker said of them."""

from __future__ import annotations

import contextlib
import os
import tempfile
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from stackopt.errors import InvalidOutput, InvalidProgram
from stackopt.proof import check as checker
from stackopt.proof import check_boxes, check_games, check_integer, check_mean_field


class Texts:
    """What all proofs have in common: two texts, a statement, bounds and how to write them to files."""

    problem: str
    text: str
    statement: str
    lower: Fraction | None
    upper: Fraction | None

    @property
    def verified(self) -> bool:
        """True: what the checker rejects never becomes a proof."""
        return True

    @property
    def width(self) -> Fraction | None:
        """How far apart the proved bounds are; 0 if the optimum is exact, None if there is no optimum in between."""
        return None if self.lower is None or self.upper is None else self.upper - self.lower

    @property
    def line(self) -> str:
        """What a printed solution says."""
        return "verified, " + self.statement.removeprefix("VERIFIED: ")

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the proof's text; the problem's goes to a file of its own by `stackopt.write`, or by `save_problem`.

        Raises
        ------
        InvalidOutput
            If the file cannot be written; what was there before is still there.
        """
        return put(Path(path), self.text)

    def save_problem(self, path: str | os.PathLike[str]) -> Path:
        """Write the JSON of the problem that the proof is of; see `save`."""
        return put(Path(path), self.problem)

    def __str__(self) -> str:
        return self.statement


@dataclass(frozen=True)
class Proof(Texts):
    """A problem and a text that proves something about it; it exists only once the checker has accepted it.

    Attributes
    ----------
    problem, text : str
        The problem's JSON, and the proof: ``python check.py problem.json proof.txt`` needs these two and nothing else.
    statement : str
        The theorem, as the checker says it.
    status : str
        ``"optimal"``: the optimum lies in [lower, upper]. ``"bound"``: it is no better than `best`. ``"infeasible"``, ``"unbounded"``.
    lower, upper : Fraction or None
        Bounds on the leader's optimum, in the leader's own sense; equal if the optimum is known exactly.
    nodes : int
        Lines of the tree.
    seconds : dict
        Of ``search`` for the proof and of ``check``.
    """

    problem: str
    text: str
    statement: str
    status: str
    lower: Fraction | None
    upper: Fraction | None
    nodes: int
    seconds: dict[str, float] = field(default_factory=dict, compare=False)


def put(path: Path, content: str) -> Path:
    """Write beside, to the disk, and rename: a proof is whole or not there."""
    part = None
    try:
        handle, part = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(part).replace(path)
    except OSError as error:
        _removed(part)
        raise InvalidOutput("output", path=path, where=error.strerror or str(error)) from None
    except BaseException:
        _removed(part)
        raise
    return path


def _removed(part: str | None) -> None:
    if part is not None:
        with contextlib.suppress(OSError):
            Path(part).unlink()


def checked(problem: str, text: str, seconds: dict[str, float] | None = None) -> Proof:
    """The proof of a problem's JSON, if the checker accepts it.

    Raises
    ------
    Exception
        Of any kind, if it does not: `Rejected` with the reason, or what a malformed line leads to.
    """
    if text.startswith("stackopt-box-proof"):
        found, statement = check_boxes.check(problem, text), check_games.statement
    elif text.startswith("stackopt-mean-field-proof"):
        found, statement = check_mean_field.check(problem, text), check_mean_field.statement
    elif text.startswith("stackopt-integer-proof"):
        found, statement = check_integer.check(problem, text), checker.statement
    elif text.startswith("stackopt-game-proof"):
        found, statement = check_games.check(problem, text), check_games.statement
    else:
        found, statement = checker.check(problem, text), checker.statement
    ends = [None if end is None else found["sense"] * end for end in (found["lower"], found["upper"])]
    low, high = ends if found["sense"] == 1 else ends[::-1]
    return Proof(problem, text, statement(found), found["status"], low, high, found["nodes"], seconds or {})


def check(problem: Any, proof: Any) -> Proof:
    """Verify a proof in exact arithmetic.

    Parameters
    ----------
    problem : BilevelProgram, StackelbergGame, MeanFieldStackelbergGame or path
        A program is checked as `stackopt.write` writes it to JSON; a path is read as it is.
    proof : Proof or path

    Returns
    -------
    Proof
        With the theorem in `statement`.

    Raises
    ------
    InvalidProgram
        [proof-rejected] with the place where the proof fails; [bilevel-file] if a file cannot be read.

    Examples
    --------
    >>> import stackopt as so
    >>> program = so.read(so.catalog.data_file("bilevel", "bjm_moshirvaziri1996.json"))
    >>> solution = so.solve(program, so.Exact(proof=True))
    >>> print(so.check(program, solution.proof))
    VERIFIED: optimum = 129607/8416 exactly (5 nodes)
    """
    text = proof.text if hasattr(proof, "text") else _read(proof)
    stated = problem_text(problem)
    try:
        return checked(stated, text)
    except (checker.Rejected, ValueError, ArithmeticError, LookupError, TypeError, AttributeError, StopIteration, RecursionError) as why:
        kind = "" if isinstance(why, checker.Rejected) else f"{type(why).__name__}: "
        raise InvalidProgram("proof-rejected", where=f"{kind}{why}") from None


def problem_text(problem: Any) -> str:
    """The JSON that a proof of a problem is a proof of; the content of a file if `problem` is a path."""
    if isinstance(problem, str | os.PathLike):
        path = Path(problem)
        if path.name.lower().endswith((".mps", ".mps.gz", ".aux")):
            from stackopt.bilevel.files import read

            problem = read(path)
        else:
            return _read(path)
    if hasattr(problem, "followers"):
        from stackopt.bilevel.json_file import text, to_record

        return text(to_record(problem))
    if hasattr(problem, "horizon"):
        from stackopt.proof.mean_field import mean_field_text

        return mean_field_text(problem)
    from stackopt.proof.games import game_text

    return game_text(problem)


def _read(path: Any) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidProgram("bilevel-file", path=path, where=str(error)) from None
