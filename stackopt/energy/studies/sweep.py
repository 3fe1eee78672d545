"""Many studies and designs through any `map`, one immutable file per finished cell.

The process that computes a cell writes it, whole or not at all, under a key made from what the cell is and from this package's version, before it
answers. So whatever dies, a worker, the cluster or the session that started it, finished cells stay; a cell that is run twice is found and not computed
again; another version computes its own; and a table is made of files, one row for each key.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import stackopt
from stackopt.comparison.plain import digest, figure, plain
from stackopt.comparison.store import Store
from stackopt.display import Block
from stackopt.energy.criteria import Criteria
from stackopt.energy.designs.design import design
from stackopt.energy.equilibrium import Equilibrium
from stackopt.energy.exhibits.table import Table
from stackopt.energy.studies.run import solve
from stackopt.energy.studies.study import Study
from stackopt.energy.tariff import Tariff
from stackopt.errors import InvalidStudy, StackoptError
from stackopt.solution import Progress, Report, Status
from stackopt.solving import provenance

#: Applies a function to each of several cells, in order: the builtin, an executor's or a pool's `map`, or Dask's ``client.map``, which gives futures.
Map = Callable[..., Iterable[Any]]
#: Figures of a cell with their units.
FIGURES = (
    ("cost", "$/day"), ("gap", "share of income"), ("gini", ""), ("suits", ""), ("volumetric", "$/day"), ("fixed", "$/day"), ("wholesale", "$/day"),
    ("shortfall", "$/day"), ("peak", "MW"), ("ramp", "MW"), ("valley", "MW"), ("price_spread", "$/MWh"), ("load_factor", ""), ("residual", "$/kWh"),
    ("exploitability", "$/day"),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class SweepCell:
    """One computation of a sweep.

    Parameters
    ----------
    label : str
        In tables; no part of the key.
    study : Study
    tariff : str, optional
        One of the study's, named or its own. Without, rates are designed.
    gap : float
        Limit on the gap of burdens of a design, as a share of income.
    starts, seed : int
        Of a design.
    varied : mapping of name to value
        What the sweep varies, as columns of its table; no part of the key, for the study has it.
    """

    label: str
    study: Study
    tariff: str | None = None
    gap: float = math.inf
    starts: int = 4
    seed: int = 0
    varied: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Of what is computed, and by which version: the same for the same content, whoever asks."""
        s = self.study
        own = None if self.tariff is None else s.own.get(self.tariff)
        b = s.settings["benchmarks"]
        what: tuple[Any, ...] = (self.tariff, own, b["care"], b["fixed"], b["true_up"], s["population", "season"], s.required, s.temperature)
        if self.tariff is None:
            what = (s.problem(self.gap), self.starts, self.seed)
        return digest(["stackopt.sweep/2", stackopt.__version__, _content(what), _content(s.households), _content(s.market)])

    @property
    def what(self) -> str:
        """The tariff, or that it is designed."""
        limit = f" within a gap of {self.gap:g}" if math.isfinite(self.gap) else ""
        return self.tariff if self.tariff is not None else f"designed{limit}"


def _content(value: Any) -> Any:
    """Everything that a value holds, for its key."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [type(value).__name__, *(_content(getattr(value, f.name)) for f in dataclasses.fields(value))]
    if isinstance(value, np.ndarray):
        return [list(value.shape), hashlib.sha256(np.ascontiguousarray(value, float).tobytes()).hexdigest()]
    if isinstance(value, Mapping):
        return [[str(k), _content(v)] for k, v in value.items()]
    if isinstance(value, (list, tuple, range, set, frozenset)):
        return [_content(v) for v in (sorted(value) if isinstance(value, (set, frozenset)) else value)]
    return repr(float(value)) if isinstance(value, (int, float, np.number)) else repr(value)


def _record(cell: SweepCell, key: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the record of a cell, its arrays), computed."""
    began = time.process_time(), time.perf_counter()
    tariff: Tariff | None
    found: Equilibrium | None
    seen: Criteria | None
    if cell.tariff is not None:
        outcome = solve(cell.study, cell.tariff)
        tariff, found, seen, status, because, work = (
            outcome.tariff, outcome.equilibrium, outcome.criteria, outcome.status, outcome.because, outcome.equilibria,
        )  # fmt: skip
    else:
        made = design(cell.study.problem(cell.gap), starts=cell.starts, seed=cell.seed)
        tariff, found, seen, status, because, work = made.tariff, made.equilibrium, made.criteria, made.status, made.because, made.equilibria
    values: dict[str, Any] = {}
    arrays: dict[str, Any] = {}
    if status.success and tariff is not None and found is not None and seen is not None:  # what did not converge has no figures
        h = found.households
        values = {name: float(getattr(seen, name)) for name, _ in FIGURES[:-2]}
        values |= {"residual": found.residual, "exploitability": float(h.share @ found.response.exploitability())}
        values |= {f"incidence {g}": float(v) for g, v in zip(h.groups, seen.incidence, strict=True)}
        arrays = {
            "buy": np.asarray(tariff.buy), "sell": np.asarray(tariff.buy if tariff.net_metering else tariff.sell),  # [24] or [24, w]
            "fixed_per_day": tariff.fixed_per_day(h), "price": found.price, "load": found.response.load,
        }  # fmt: skip
    stats = {"cpu_seconds": time.process_time() - began[0], "seconds": time.perf_counter() - began[1], "equilibria": work, "process": os.getpid()}
    record = {
        "key": key, "problem": cell.study.name, "method": cell.what, "seed": cell.seed, "settings": {"gap": cell.gap, "starts": cell.starts},
        "family": "tariff", "concept": "mean-field equilibrium", "response": f"max-ent, temperature {cell.study.temperature:g}", "status": status.name,
        "certified": False, "verified": False, "because": because, "values": values, "objective": "cost", "bounds": [], "checks": [],
        "notes": [cell.study.basis], "stats": stats, "history": {}, "provenance": provenance(), "reproduce": {},
    }  # fmt: skip
    kept: dict[str, Any] = plain(record)
    return kept, arrays


@dataclass(frozen=True)
class _Run:
    """What a worker does with a cell: find it, or compute and store it. Answers (key, what went wrong or nothing)."""

    folder: str

    def __call__(self, cell: SweepCell) -> tuple[str, str]:
        key, store = cell.key, Store(self.folder)
        try:
            if store.path(key).exists():
                return key, ""
            record, arrays = _record(cell, key)
            store.write(record, {"name": cell.study.name, "fingerprint": key}, arrays)
        except StackoptError as error:
            return key, str(error)
        except Exception as error:  # one bad cell must not end a sweep of thousands
            return key, f"{type(error).__name__}: {error}"
        return key, ""


@dataclass(frozen=True, eq=False)
class Sweep:
    """What a sweep has, read back from its folder.

    Attributes
    ----------
    folder : str
    table : Table
        A row for each cell that is finished, in the order asked for.
    missing : tuple of (label, reason)
        Cells without a file: run the same sweep again to compute these and no others.
    computed : int
        Cells that had no file before.
    """

    folder: str
    table: Table
    missing: tuple[tuple[str, str], ...]
    computed: int

    def block(self) -> Block:
        """The printed form."""
        done, good = len(self.table.rows), sum(status == Status.CONVERGED.name for status in self.table.column("status"))
        rows = [("finished", f"{done} cells, {good} converged; {self.computed} computed now"), ("folder", self.folder)]
        if self.missing:
            rows.append(("missing", f"{len(self.missing)}, first {self.missing[0][0]}: {self.missing[0][1]}"))
        return Block("Sweep", tuple(rows), good=not self.missing and good == done)

    def __str__(self) -> str:
        return self.block().text()

    __repr__ = __str__


def sweep(cells: Sequence[SweepCell], folder: str | os.PathLike[str], *, map: Map = map, report: Report | None = None) -> Sweep:
    """Compute what is not there yet and read everything back.

    Parameters
    ----------
    cells : sequence of SweepCell
        Those of one content are computed once. They are one row, under the label of the first, unless what they say was varied differs.
    folder : path
        Of results; one that every worker sees.
    map : callable
        The builtin, an executor's or a pool's `map`, or ``client.map`` of Dask (extra ``distributed``).
    report : callable, optional
        Receives `Progress`.

    Raises
    ------
    InvalidStore
        ``store`` if the folder cannot be used or a file in it cannot be read.
    InvalidStudy
        ``setting-value`` for no cells.
    """
    if not cells:
        raise InvalidStudy("setting-value", name="cells", law="at least one", got="none")
    store = Store(os.path.abspath(folder))
    store.require_writable()
    wanted: dict[tuple[str, str], SweepCell] = {}
    for cell in cells:
        wanted.setdefault((cell.key, repr(sorted(cell.varied.items()))), cell)
    todo: dict[str, SweepCell] = {}
    for (key, _), cell in wanted.items():
        if not store.path(key).exists():
            todo.setdefault(key, cell)
    wrong, lost = _computed(todo, store, map, report)
    rows, missing = [], []
    groups = tuple(dict.fromkeys(g for cell in wanted.values() for g in cell.study.households.groups))
    varied = tuple(dict.fromkeys(name for cell in wanted.values() for name in cell.varied))
    for (key, _), cell in wanted.items():
        kept = store.read(key)
        if kept is None:
            missing.append((cell.label, wrong.get(key) or lost or "the map gave fewer answers than cells"))
            continue
        record = kept[0]
        values = {name: figure(record["values"].get(name)) for name in (*(n for n, _ in FIGURES), *(f"incidence {g}" for g in groups))}
        shown = tuple(v if math.isfinite(v) else None for v in values.values())
        where = (cell.varied.get(name) for name in varied)
        rows.append((cell.label, record["problem"], record["method"], record["status"], *where, *shown, record["because"], key))
    columns = (
        ("cell", ""), ("study", ""), ("tariff", ""), ("status", ""), *((name, "") for name in varied), *FIGURES,
        *((f"incidence {g}", "share of income") for g in groups), ("because", ""), ("key", ""),
    )  # fmt: skip
    table = Table("sweep", "Every cell of the sweep", columns, tuple(rows), "Cells that did not converge have no figures.")
    return Sweep(str(store.folder), table, tuple(missing), sum(store.path(key).exists() for key in todo))


def _computed(todo: Mapping[str, SweepCell], store: Store, map: Map, report: Report | None) -> tuple[dict[str, str], str]:
    """Have cells computed: (what went wrong with each, what became of the map)."""
    wrong: dict[str, str] = {}
    answers: list[Any] = []
    lost = ""

    def told(label: str) -> None:
        if report is not None:
            report(Progress(f"cells {label}", len(wrong), len(todo)))

    try:
        for answer in map(_Run(str(store.folder)), list(todo.values())) if todo else ():
            answers.append(answer)
            if not hasattr(answer, "result"):
                wrong[answer[0]] = answer[1]
                told(todo[answer[0]].label)
    except Exception as error:  # a pool whose workers died: what they finished is in the folder
        lost = f"the map ended early, {type(error).__name__}: {error}"
    for answer in answers:
        if hasattr(answer, "result"):  # a future
            try:
                key, said = answer.result()
                wrong[key] = said
                told(todo[key].label)
            except Exception as error:
                lost = f"lost with its worker, {type(error).__name__}: {error}"
    return wrong, lost
