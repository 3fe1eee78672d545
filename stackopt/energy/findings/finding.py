"""What the literature finds about tariffs, looked for in a study: each finding is a sweep, and a count of the cases in which its direction holds.

`findings` computes them all, `stored` are those of the built-in study that ship with the package.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stackopt.display import Block
from stackopt.energy.findings.charges import discounts, fixed_charges
from stackopt.energy.findings.counted import Finding
from stackopt.energy.findings.prices import net_billing, stability, welfare
from stackopt.energy.studies.provenance import provenance
from stackopt.energy.studies.study import Study
from stackopt.energy.studies.sweep import Map, sweep
from stackopt.errors import InvalidStudy
from stackopt.solution import Progress, Report

#: Of the stored JSON form.
SCHEMA = "stackopt.tariff-findings/1"
#: The built-in study, as TOML: every setting at its default. And over a whole year.
STANDARD = 'name = "standard"\n'
YEAR = 'name = "standard over a year"\n[population]\nseason = "year"\n'
#: By name; each takes a study and answers a `Finding`.
FINDINGS: Mapping[str, Callable[..., Finding]] = {
    "net_billing": net_billing, "fixed_charges": fixed_charges, "discounts": discounts, "welfare": welfare, "stability": stability,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Findings:
    """Findings of one study.

    Attributes
    ----------
    study, basis : str
        Its name, and what its figures rest on.
    quick : bool
        Whether fewer cases were swept.
    findings : tuple of Finding
    settings : mapping of section to key to value
        Of the study.
    provenance : mapping
        As of `stackopt.energy.studies.provenance`.
    """

    study: str
    basis: str
    quick: bool
    findings: tuple[Finding, ...]
    settings: Mapping[str, Any]
    provenance: Mapping[str, Any]

    @property
    def hold(self) -> bool:
        """Whether all hold that could be examined, and some could."""
        examined = [f for f in self.findings if f.examined]
        return bool(examined) and all(f.holds for f in examined)

    def __getitem__(self, name: str) -> Finding:
        """One by name."""
        return {f.name: f for f in self.findings}[name]

    def block(self) -> Block:
        """The printed form: one line for each finding."""
        held = sum(f.holds for f in self.findings)
        rows = tuple((f.name, f.verdict) for f in self.findings)
        title = f'Findings in study "{self.study}": {held} of {len(self.findings)} hold in every case that decides'
        return Block(title, (*rows, ("cases", "few, by --quick" if self.quick else "the full sweep"), ("assumptions", self.basis)), good=self.hold)

    def __str__(self) -> str:
        return self.block().text()

    __repr__ = __str__

    def to_json(self) -> dict[str, Any]:
        """Everything as plain JSON data."""
        from stackopt.comparison.plain import plain

        words = {"schema": SCHEMA, "study": self.study, "basis": self.basis, "quick": self.quick}
        found: dict[str, Any] = plain({**words, "settings": dict(self.settings), "provenance": dict(self.provenance)})
        return {**found, "findings": [f.to_json() for f in self.findings]}

    def to_text(self) -> str:
        """The JSON as text, a row of a table on each line."""
        text = json.dumps(self.to_json(), indent=1, allow_nan=False)
        rows = re.sub(r"\[\s+([^\[\]{}]*?)\s+\]", lambda row: "[" + re.sub(r"\s*\n\s*", " ", row.group(1)) + "]", text)
        return rows + "\n"

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Findings:
        """What `to_json` gave."""
        found = tuple(Finding.from_json(f) for f in data["findings"])
        return cls(data["study"], data["basis"], data["quick"], found, data["settings"], data["provenance"])


def findings(
    study: Study, only: Sequence[str] | None = None, *, quick: bool = False, folder: str | os.PathLike[str] | None = None, map: Map = map,
    report: Report | None = None, command: str = "",
) -> Findings:  # fmt: skip
    """Look for all findings in a study.

    Parameters
    ----------
    study : Study
        Its settings are the middle of what is swept. Settings that have no part in it (batteries' share where its tables say who there is, the slope of
        a market that is not linear) are not varied.
    only : sequence of str, optional
        Out of `FINDINGS`.
    quick : bool
        Fewer cases.
    folder : path, optional
        Of finished cells: the same call again computes only what is missing. By default they are kept nowhere.
    map : callable
        As of `sweep`.
    report : callable, optional
        Receives `Progress`.
    command : str
        The command line, for the provenance.

    Raises
    ------
    InvalidStudy
        ``study-key`` for a finding of another name.
    """
    names = list(dict.fromkeys(only)) if only else list(FINDINGS)
    for name in names:
        if name not in FINDINGS:
            close = difflib.get_close_matches(name, FINDINGS, n=1, cutoff=0.4)
            said = f"did you mean `{close[0]}`?" if close else f"there are {', '.join(FINDINGS)}"
            raise InvalidStudy("study-key", where="findings asked for", key=name, place="the findings", close=said)
    origin = provenance(study, command=command)
    with tempfile.TemporaryDirectory() as temporary:
        place = folder if folder is not None else temporary
        found = []
        for k, name in enumerate(names):
            if report is not None:
                report(Progress(f"finding {name}", k, len(names)))
            found.append(FINDINGS[name](study, quick=quick, run=lambda cells: sweep(cells, place, map=map, report=report)))
    return Findings(study.name, study.basis, quick, tuple(found), {s: dict(k) for s, k in study.settings.items()}, origin)


def stored(season: str = "summer") -> Findings:
    """Those that ship with the package: of the built-in study, or with ``"year"`` of the same over a whole year, in fewer cases."""
    from stackopt.catalog import data_file

    name = {"summer": "findings.json", "year": "findings_year.json"}[season]
    return Findings.from_json(json.loads(data_file("energy", name).read_text(encoding="utf-8")))
