"""The cases that findings are looked for in: settings around those of a study, and what a sweep answers for each."""

from __future__ import annotations

import dataclasses
import itertools
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from stackopt.energy.households import HOURS
from stackopt.energy.own_tariff import OwnTariff
from stackopt.energy.studies.study import Study
from stackopt.energy.studies.sweep import Sweep, SweepCell, sweep
from stackopt.solution import Status

#: What computes cells.
Run = Callable[[Sequence[SweepCell]], Sweep]
#: Name of an axis to the setting, its values, and whether they multiply what the study has.
AXES: Mapping[str, tuple[tuple[str, str], tuple[float, ...], bool]] = {
    "elasticity": (("population", "elasticity"), (0.5, 1.0, 2.0), True),
    "slope": (("market", "slope"), (0.5, 1.0, 4.0), True),
    "attachment": (("population", "attachment"), (0.14, 0.30, 0.60), False),
    "required": (("revenue", "required"), (2.0 / 3.0, 1.0, 4.0 / 3.0), True),
}
UNITS = {"elasticity": "", "slope": "$/MWh per MW", "attachment": "share", "required": "$/day and household"}
#: Differences of a criterion that mean something, beside what households could still gain: $/day, share of income, MW, $/MWh.
COST, GAP, LOAD, PRICE = 1e-6, 1e-6, 1e-3, 1e-4


def settings(study: Study, *axes: str, quick: bool = False) -> list[tuple[dict[str, float], Study]]:
    """Every combination of the values of some axes, and the study changed so; `quick` leaves out the last value of each.

    An axis that has no part in the study is left out.
    """
    values: dict[str, list[float]] = {}
    for axis in axes:
        (section, key), points, scaled = AXES[axis]
        if (axis == "slope" and study["market", "kind"] != "linear") or (axis == "attachment" and study["population", "types"] is not None):
            continue
        some = points[:-1] if quick else points
        values[axis] = list(dict.fromkeys(round(p * study[section, key], 10) if scaled else p for p in some))
    found = []
    for chosen in itertools.product(*values.values()):
        varied = dict(zip(values, chosen, strict=True))
        found.append((varied, study.changed(**{"__".join(AXES[axis][0]): value for axis, value in varied.items()})))
    return found


def label(varied: Mapping[str, Any], *rest: str) -> str:
    """A case in words."""
    said = ", ".join(f"{name} {value:g}" for name, value in varied.items())
    return ": ".join(part for part in (said, *rest) if part)


def with_tariff(study: Study, name: str, buy: Any, **rest: Any) -> Study:
    """A study with one more tariff of its own, scaled to recover its requirement; `buy` is one number, [24] or [24, w]; `rest` as of `OwnTariff`."""
    rates = np.asarray(buy, float) + np.zeros(HOURS) if np.ndim(buy) < 2 else np.asarray(buy, float)
    return dataclasses.replace(study, own={**study.own, name: OwnTariff(name, rates, np.zeros_like(rates), **rest)})


class Asked:
    """Cells that are asked for by name, computed together, and looked up."""

    def __init__(self) -> None:
        self.cells: dict[Any, SweepCell] = {}
        self._rows: dict[str, dict[str, Any]] = {}
        self._missing: dict[str, str] = {}
        self._keys: dict[Any, str] = {}

    def ask(self, name: Any, study: Study, tariff: str, said: str) -> None:
        """For a cell; `name` is how it is looked up, `said` its label."""
        self.cells[name] = SweepCell(said, study, tariff)

    def answer(self, run: Run | None) -> None:
        """Compute all cells."""
        todo = list(self.cells.values())
        if run is None:
            with tempfile.TemporaryDirectory() as folder:
                found = sweep(todo, folder)
        else:
            found = run(todo)
        names = [name for name, _ in found.table.columns]
        self._rows = {row[-1]: dict(zip(names, row, strict=True)) for row in found.table.rows}
        self._missing = dict(found.missing)
        self._keys = {name: cell.key for name, cell in self.cells.items()}

    def __getitem__(self, name: Any) -> dict[str, Any] | None:
        """The figures of a cell, or None where it has none."""
        row = self._rows.get(self._keys[name])
        return row if row is not None and row["status"] == Status.CONVERGED.name else None

    def status(self, name: Any) -> str:
        """Of a cell."""
        row = self._rows.get(self._keys[name])
        return "MISSING" if row is None else str(row["status"])

    def figure(self, name: Any, key: str) -> float | None:
        """One figure."""
        row = self[name]
        return None if row is None else row[key]

    def silent(self) -> tuple[tuple[str, str], ...]:
        """Cells without figures: (label, reason)."""
        found = []
        for name, cell in self.cells.items():
            if self[name] is None:
                row = self._rows.get(self._keys[name])
                found.append((cell.label, f"{row['status']}: {row['because']}" if row else f"MISSING: {self._missing.get(cell.label, 'not computed')}"))
        return tuple(dict.fromkeys(found))

    def less(self, one: Any, other: Any, key: str, accuracy: float) -> tuple[float | None, float]:
        """(by how much `one` has less of a figure than `other`, how accurate that is); a cost also by what households could still gain in both."""
        a, b = self[one], self[other]
        if a is None or b is None:
            return None, accuracy
        gain = a["exploitability"] + b["exploitability"] if key == "cost" else 0.0
        return b[key] - a[key], accuracy + gain
