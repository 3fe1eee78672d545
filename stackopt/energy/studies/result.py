"""What a study gave: a verdict, what was found, and every table, as text and as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stackopt.display import Block
from stackopt.energy.benchmarks_named import Outcome
from stackopt.energy.designs.design import Design
from stackopt.energy.exhibits.table import Table
from stackopt.energy.studies.study import Study
from stackopt.solution import Status

#: Of the stored JSON form.
SCHEMA = "stackopt.tariff-study/1"


@dataclass(frozen=True, eq=False)
class StudyResult:
    """What was computed, as tables.

    Attributes
    ----------
    study : Study
    command : str
        ``"compare"``, ``"evaluate"``, ``"design"`` or ``"sensitivity"``.
    outcomes : tuple of Outcome
    tables : tuple of Table
    status : Status
        CONVERGED if everything that was asked for holds; INFEASIBLE if a requirement is out of reach; LIMIT otherwise.
        A comparison asks for today's tariff and for any other: those whose requirement is out of reach are rows that say so, and are counted in `findings`.
    findings : tuple of (label, text)
    designs : tuple of Design
        The free one first, then the frontier.
    """

    study: Study
    command: str
    outcomes: tuple[Outcome, ...]
    tables: tuple[Table, ...]
    status: Status
    findings: tuple[tuple[str, str], ...]
    designs: tuple[Design, ...] = ()

    def __getitem__(self, name: str) -> Table:
        """A table by name."""
        return {table.name: table for table in self.tables}[name]

    def block(self) -> Block:
        """The printed form, verdict first."""
        h = self.study.households
        many = "one type" if len(h.types) == 1 else f"{len(h.types)} types"
        seasons = ", ".join(f"{season.name} {season.days} days" for season in dict.fromkeys(h.weather.seasons))
        people = f"{many}, {h.count:,} households" + (f", a year: {seasons}" if seasons else "")
        rows = (*self.findings, ("population", people), ("assumptions", self.study.basis))
        return Block(f'Tariff study "{self.study.name}", {self.command}: {self.status}', rows, good=self.status.success)

    def __str__(self) -> str:
        return self.block().text()

    __repr__ = __str__

    def to_json(self) -> dict[str, Any]:
        """Everything as plain JSON data."""
        from stackopt.comparison.plain import plain

        tables = {t.name: {"title": t.title, "columns": [{"name": n, "unit": u} for n, u in t.columns], "rows": t.rows, "note": t.note} for t in self.tables}
        data = {
            "schema": SCHEMA, "study": self.study.name, "command": self.command, "status": str(self.status), "findings": [list(pair) for pair in self.findings],
            "basis": self.study.basis, "settings": {s: dict(k) for s, k in self.study.settings.items()}, "tables": tables,
        }  # fmt: skip
        found: dict[str, Any] = plain(data)
        return found
