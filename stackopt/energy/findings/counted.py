"""A finding as it is kept: what is claimed, in how many of the swept cases it holds, in which it does not, and which cases have no answer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from stackopt.display import Block
from stackopt.energy.exhibits.table import Table


@dataclass(frozen=True)
class Direction:
    """One statement and the cases that decide it.

    Attributes
    ----------
    statement : str
    holds : int
        Cases in which it holds.
    against : tuple of str
        Those in which it does not.
    ties : tuple of str
        Those in which the difference is within the accuracy of the two figures: they decide nothing.
    """

    statement: str
    holds: int
    against: tuple[str, ...] = ()
    ties: tuple[str, ...] = ()

    @property
    def decided(self) -> int:
        """Cases for or against."""
        return self.holds + len(self.against)

    def __str__(self) -> str:
        tied = f", {len(self.ties)} too close to say" if self.ties else ""
        return f"{self.statement}: {self.holds} of {self.decided}{tied}"


def direction(statement: str, cases: Iterable[tuple[str, float | None, float]]) -> Direction:
    """Count cases.

    Parameters
    ----------
    statement : str
    cases : iterable of (label, margin, accuracy)
        A positive margin is for the statement, one within the accuracy a tie, NaN against it; None is no case.
    """
    holds, against, ties = 0, [], []
    for label, margin, accuracy in cases:
        if margin is None:
            continue
        if abs(margin) <= accuracy:
            ties.append(label)
        elif margin > 0.0:
            holds += 1
        else:
            against.append(label)
    return Direction(statement, holds, tuple(against), tuple(ties))


@dataclass(frozen=True, eq=False)
class Finding:
    """A published or measured direction, looked for in a sweep.

    Attributes
    ----------
    name, title, claim : str
    source : str
        Where it is from.
    directions : tuple of Direction
        What the claim says.
    also : tuple of Direction
        What was counted beside it, and is no part of the claim.
    unanswered : tuple of (case, reason)
        Cases that did not converge or whose revenue is out of reach: in no count and in no figure.
    table : Table
        The sweep.
    note : str
        What limits the finding, or why nothing was examined.
    """

    name: str
    title: str
    claim: str
    source: str
    directions: tuple[Direction, ...]
    also: tuple[Direction, ...]
    unanswered: tuple[tuple[str, str], ...]
    table: Table
    note: str = ""

    @property
    def examined(self) -> bool:
        """Whether any case decides."""
        return any(d.decided for d in self.directions)

    @property
    def holds(self) -> bool:
        """Whether every direction is decided by some case and held by all that decide."""
        return self.examined and all(d.decided and not d.against for d in self.directions)

    @property
    def status(self) -> str:
        """HOLDS, HOLDS IN PART, DOES NOT HOLD or NOT EXAMINED."""
        if not self.examined:
            return "NOT EXAMINED"
        return "HOLDS" if self.holds else "HOLDS IN PART" if any(d.holds for d in self.directions) else "DOES NOT HOLD"

    @property
    def verdict(self) -> str:
        """One line."""
        said = "; ".join(map(str, self.directions)) if self.examined else self.note
        silent = f"; {len(self.unanswered)} without an answer" if self.unanswered else ""
        return f"{self.status}: {said}{silent}"

    def rows(self, **wanted: Any) -> list[dict[str, Any]]:
        """Rows of the sweep by the names of columns, those with the wanted values."""
        names = [name for name, _ in self.table.columns]
        found = [dict(zip(names, row, strict=True)) for row in self.table.rows]
        return [row for row in found if all(row[name] == value for name, value in wanted.items())]

    def block(self) -> Block:
        """The printed form."""
        rows = [("claim", self.claim), ("source", self.source)]
        rows += [("counted", str(d)) for d in self.directions] + [("also", str(d)) for d in self.also]
        rows += [("against", f"{d.statement}: {_some(d.against)}") for d in (*self.directions, *self.also) if d.against]
        if self.unanswered:
            rows.append(("no answer", f"{len(self.unanswered)} cases: {_some([case for case, _ in self.unanswered])}"))
        return Block(f"{self.title}: {self.status}", (*rows, *([("note", self.note)] if self.note else [])), good=self.holds)

    def __str__(self) -> str:
        return self.block().text()

    __repr__ = __str__

    def to_json(self) -> dict[str, Any]:
        """As plain JSON data; figures to 8 digits."""
        t = self.table
        rows = [[float(f"{v:.8g}") if isinstance(v, float) and math.isfinite(v) else None if isinstance(v, float) else v for v in row] for row in t.rows]
        table = {"name": t.name, "title": t.title, "columns": [list(c) for c in t.columns], "rows": rows, "note": t.note}
        words = {key: getattr(self, key) for key in ("name", "title", "claim", "source", "status", "note")}
        return {
            **words, "directions": [_plain(d) for d in self.directions], "also": [_plain(d) for d in self.also],
            "unanswered": [list(pair) for pair in self.unanswered], "table": table,
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Finding:
        """What `to_json` gave."""
        t = data["table"]
        table = Table(t["name"], t["title"], tuple((n, u) for n, u in t["columns"]), tuple(tuple(row) for row in t["rows"]), t["note"])
        claimed, also = (
            tuple(Direction(d["statement"], d["holds"], tuple(d["against"]), tuple(d["ties"])) for d in data[key]) for key in ("directions", "also")
        )
        silent = tuple((case, why) for case, why in data["unanswered"])
        return cls(data["name"], data["title"], data["claim"], data["source"], claimed, also, silent, table, data["note"])


def _plain(found: Direction) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(found).items()}


def _some(cases: Sequence[str], most: int = 3) -> str:
    """The first few."""
    return " | ".join(cases[:most]) + (f" | and {len(cases) - most} more" if len(cases) > most else "")
