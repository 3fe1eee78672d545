"""Recorded bilevel cases: a program, its published value, and the value an independent global solve found.

The files lie in data/bilevel; its README describes what they record beside the program.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stackopt.bilevel.json_file import SCHEMA, from_record, load
from stackopt.bilevel.program import BilevelProgram
from stackopt.display import Block, number
from stackopt.errors import InvalidProgram


@dataclass(frozen=True, eq=False)
class Case:
    """A bilevel program with a known answer.

    Attributes
    ----------
    name, title : str
    kind : str
        Class of the leader's and the follower's program as published, e.g. ``LP-QP``.
    source : str
        Citation of the publication or collection.
    status : str
        ``optimal``, ``best-known`` or ``infeasible``, as published.
    published : float or None
        The leader's value as published, often rounded; None if infeasible.
    value : float or None
        The leader's optimal value, from an independent global solve; None if infeasible.
    tolerance : float
        How far `value` may be off, relative to max(1, abs(value)): 1e-6 unless the file says otherwise and why.
    record : mapping
        The whole file.
    program : BilevelProgram
    """

    name: str
    title: str
    kind: str
    source: str
    status: str
    published: float | None
    value: float | None
    tolerance: float
    record: Mapping[str, Any]
    program: BilevelProgram

    def block(self) -> Block:
        """The printed form: title, class, source, known answers, then the program."""
        rows = [("class", self.kind), ("source", self.source), ("status", self.status)]
        if self.value is not None:
            published = "" if self.published is None else f"   (published: {number(self.published)})"
            rows.append(("known", f"{number(self.value, 10)}{published}"))
        rows += [("notes", str(self.record["notes"]))] if self.record.get("notes") else []
        return Block(f"Case {self.name}: {self.title}", tuple(rows), (self.program.block(),))

    def __str__(self) -> str:
        return self.block().text()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.block().html()

    def agrees(self, value: float) -> bool:
        """Whether a leader's value is the known optimum, within the tolerance."""
        return self.value is not None and abs(value - self.value) <= self.tolerance * max(1.0, abs(self.value))


def read_case(path: Path) -> Case:
    """Read a recorded case.

    Raises
    ------
    InvalidProgram
        If the file cannot be read, breaks the schema, or lacks its source or known answer.
    """
    record = load(path)
    for key in ("schema", "name", "title", "class", "known", "verification", "source"):
        if key not in record:
            raise InvalidProgram("bilevel-json", path=path, where=f"the recorded case has no {key!r}", help=f'data/bilevel/README.md describes "{SCHEMA}"')
    known, verification = record["known"], record["verification"]
    return Case(
        name=record["name"],
        title=record["title"],
        kind=record["class"],
        source=record["source"]["citation"],
        status=known["status"],
        published=known.get("objective"),
        value=verification.get("computed_objective"),
        tolerance=float(verification.get("tolerance", 1e-6)),
        record=record,
        program=from_record(record, path),
    )
