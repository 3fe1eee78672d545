"""`compare`: every method on every problem with every seed, side by side, measured errors beside proved bounds.

The JSON form, schema ``stackopt.comparison/1`` (`Comparison.to_json`), is all that reports and figures are made of. Numbers
are finite or ``null`` (NaN, or not known); an infinite one is the string ``"inf"`` or ``"-inf"``. Keys::

    schema      "stackopt.comparison/1"
    verdict     {"text": one sentence, "good": bool}      good is false when a bound is violated
    seeds       [int, ...]
    problems    {name: {"fingerprint", "text": printed form, "lower", "upper", "closed": bool, "reference": one sentence,
                        "weak_lower", "weak_upper", "weak_closed", "sense": "max" | "min" of the leader, "quantity": what the
                        bounds are of, "attained": lower (upper where the leader minimises), "proved": the other,
                        "weak_attained", "lower_by": method that attained, "upper_reference": tag of the proof,
                        "about": {"title", "source", "model", "parameters", "known", "unit",      about: what was passed
                                  "assumptions": [[item, value, unit, source, status], ...]}}}
    methods     {label: {"name", "class", ...settings}}   per-problem settings, where they differ, are in the cells
    cells       [cell, ...]        one per (problem, method, seed), in that order
    rows        [row, ...]         one per (problem, method), over seeds: the table
    bounds      [bound, ...]       every bound of every cell, flat
    failures    [failure, ...]     every cell that is not certified: refusals, limits, faults
    violations  [violation, ...]   measured above proved; empty when all is well
    provenance  {"python", "machine", "packages", "started" (ISO 8601, null under SOURCE_DATE_EPOCH), "command", "cpu_count",
                 "parallel": bool}

    cell        {"key", "problem", "method", "seed", "cached": bool, "sense", "quantity", "settings": {"class", ...}, "family", "concept",
                 "response", "temperature", "status", "certified": bool, "because", "verified": the problem's
                 checks all pass, whatever the status (a LIMIT can be verified, never certified),
                 "values": {"strong", "weak", "own_follower", "follower", "follower_regret", "leader_regret", ...},
                 "objective": key of values, "claim", "bounds": [bound without problem, method, seed, status],
                 "checks": [{"name", "residual", "tolerance", "passed", "because"}], "notes": [str],
                 "stats": {"seconds", "cpu_seconds", ...}, "history": {name: [number, ...]} thinned to 400 points,
                 "history_step": iterations between two points, "policies": file name in the store or null,
                 "provenance", "refusal": null | {"code", "text", "where", "help"},
                 "failure": null | {"type", "text", "traceback"}, "reproduce": {"python", "command"}}
                status is one of PROVED OPTIMAL CONVERGED LIMIT INFEASIBLE UNBOUNDED NOT ATTAINED FAILED REFUSED
    row         {"problem", "method", "family", "concept", "response", "temperature", "target": "strong" | "weak",
                 "status": worst over seeds, "agreeing": how many seeds have it, "certified": bool, "seeds": how many,
                 "finished": how many have a value,
                 "value", "value_low", "value_high"      certified: the follower best-responds (mean, least, greatest)
                 "soft_value"                            under the method's own soft follower; null for a best-responding one
                 "error"                                 measured gap to the exact value; to the best known one unless closed
                 "error_at_most"                         gap to the proved upper bound
                 "bound", "bound_reference"              proved bound on the gap, without looking at other methods
                 "follower_regret", "leader_regret", "cpu_seconds", "seconds" (medians), "cached": how many,
                 "violations": how many, "note": one line for refused and failed rows}
    bound       {"problem", "method", "seed", "status", "of", "reference", "sense": "upper" | "lower", "value", "applies": bool,
                 "measured": number | null, "verdict": "holds" | "violated" | "not applicable" | "not measured",
                 "tightness": number | null, "because": why it does not apply, "remedy", "origin": "search" | "certificate" |
                 "examination" | "comparison", "assumptions": [{"statement", "holds", "because"}]}
    failure     {"problem", "method", "seed", "status", "code", "reason", "remedy", "python", "command"}
    violation   {"problem", "method", "seed", "of", "reference", "measured", "bound", "text"}
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import logging
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from stackopt.comparison.cells import Cell, blank, describe_problem, evaluate, failed
from stackopt.comparison.comparison import Comparison
from stackopt.comparison.progress import Bar, wanted
from stackopt.comparison.store import Store
from stackopt.errors import InvalidGame, InvalidMethod, InvalidStore
from stackopt.solution import Progress, Report
from stackopt.solving import provenance, require_seed

log = logging.getLogger("stackopt")

#: Anything that maps a function over cells in order: the builtin, `Pool.imap`, `Executor.map`, a cluster's.
Map = Callable[[Callable[[Cell], Any], Iterable[Cell]], Iterable[Any]]
Methods = Mapping[str, Any]


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during a comparison: what is stored stays, and the same call continues from there."""

    def __init__(self, text: str) -> None:
        super().__init__(text)


def compare(
    problems: Mapping[str, Any] | Iterable[Any],
    methods: Methods | Callable[[Any], Methods],
    seeds: Iterable[int] = (0,),
    store: str | os.PathLike[str] | None = None,
    map: Map = map,
    report: Report | None = None,
    retry: str | None = None,
    about: Mapping[str, Mapping[str, Any]] | None = None,
) -> Comparison:
    """Solve every problem by every method with every seed and lay the answers side by side.

    Parameters
    ----------
    problems : mapping of name to Problem, or iterable of Problem
        Names must be distinct.
    methods : mapping of label to Method, or callable problem -> such a mapping
        A callable, or a mapping under a problem's name, gives each problem methods of its own.
    seeds : iterable of int
    store : path, optional
        Folder for finished cells. Cells already there are not computed again; running the same call again resumes.
    map : callable
        How cells are evaluated: the builtin, a pool's `map` or `imap`, or on a cluster a function that gathers, such as
        ``lambda f, cells: client.gather(client.map(f, cells))``. Cells and results are small and picklable.
    report : callable, optional
        Receives `Progress`. By default a line on a terminal or in a notebook, nothing elsewhere.
    retry : {"failed", "all"}, optional
        Stored cells to compute again: those that failed, hit a limit or cannot be read; or all.
    about : mapping of problem name to mapping, optional
        What a report should say about a problem: `title`, `source`, `known`, `unit`; `model` and `parameters` for the line
        that repeats a cell.

    Returns
    -------
    Comparison
        With a row for every cell: refusals, limits and failures too.

    Raises
    ------
    InvalidStore
        If the store cannot be written to, or a file in it cannot be read; checked before anything is computed.
    InvalidGame, InvalidMethod
        If problems share a name, are batches, or a method cannot be identified.
    Interrupted
        On Ctrl-C; finished cells are in the store.

    Examples
    --------
    >>> import stackopt as so
    >>> games = {"small": so.catalog.build("commitment_2x2")}
    >>> comparison = so.compare(games, {"exact": so.Exact(), "soft": so.SoftmaxPolicyIteration(0.1)})
    >>> print(comparison.verdict)
    Comparison: 1 problem, 2 methods, 1 seed: 2 of 2 cells certified, no bound violated
    """
    if retry not in (None, "failed", "all"):
        raise InvalidMethod("setting", name="retry", law='None, "failed" or "all"', got=repr(retry))
    started = None if "SOURCE_DATE_EPOCH" in os.environ else datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    folder = None if store is None else str(store)
    seeds = tuple(seeds)
    for seed in seeds:
        require_seed(seed)
    cells = _cells(_named(problems), methods, seeds, folder, about or {})
    described = {name: describe_problem(cell) for name, cell in {cell.problem_name: cell for cell in cells}.items()}
    shelf = None if folder is None else Store(folder)
    records: dict[int, dict[str, Any]] = {} if shelf is None else _stored(shelf, cells, retry)
    todo = [i for i in range(len(cells)) if i not in records]
    if shelf is not None and todo:
        shelf.require_writable()
    with contextlib.ExitStack() as stack:
        if report is None and wanted():
            report = stack.enter_context(Bar("cells"))
        try:
            for (record, policies), i in zip(_evaluated([cells[i] for i in todo], map, report, cached=len(records)), todo):
                records[i] = record
                if shelf is not None and not shelf.path(cells[i].key).exists():  # a worker elsewhere, with a disk of its own
                    records[i] = shelf.write(record, described[cells[i].problem_name], policies)
        except KeyboardInterrupt:
            stored = len(records) if shelf is None else sum(shelf.path(cell.key).exists() for cell in cells)  # workers may be ahead
            raise Interrupted(_continue(stored, len(cells), folder)) from None
    if shelf is not None and todo:
        shelf.write_index()
    made = {**provenance(), "started": started, "command": _command(), "cpu_count": os.cpu_count(), "parallel": map is not _builtin}
    return Comparison(tuple(records[i] for i in range(len(cells))), described, made)


_builtin = map


def _named(problems: Any) -> dict[str, Any]:
    pairs: list[tuple[str, Any]] = list(problems.items()) if isinstance(problems, Mapping) else [(p.name, p) for p in list(problems)]
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise InvalidGame("labels", name="problems", expected=len(names), got=f"{twice!r} twice", help="pass a dict of name to problem")
    for name, problem in pairs:
        if getattr(problem, "batch", ()):
            raise InvalidGame("batch", what=f"compare takes single games; {name!r} is a batch of shape {problem.batch}")
    return dict(pairs)


def _cells(problems: Mapping[str, Any], methods: Any, seeds: Sequence[int], store: str | None, about: Mapping[str, Any]) -> list[Cell]:
    found = []
    for name, problem in problems.items():
        own = methods(problem) if callable(methods) else methods
        own = own[name] if isinstance(own.get(name), Mapping) else own
        for label, method in own.items():
            found += [Cell(name, label, problem, method, int(seed), about.get(name, {}), store) for seed in seeds]
    return found


def _stored(shelf: Store, cells: Sequence[Cell], retry: str | None) -> dict[int, dict[str, Any]]:
    """Finished cells by position, under the names they have in this comparison."""
    found = {}
    for i, cell in enumerate(cells if retry != "all" else ()):
        try:
            stored = shelf.read(cell.key)
        except InvalidStore:
            if retry is None:
                raise
            continue
        if stored is None or (retry == "failed" and stored[0]["status"] in ("FAILED", "LIMIT")):
            continue
        names = {"problem": cell.problem_name, "method": cell.method_label, "cached": True}
        found[i] = {**stored[0], **names}
    return found


def _evaluated(cells: Sequence[Cell], over: Map, report: Report | None, cached: int) -> Iterator[tuple[dict[str, Any], Any]]:
    """Results in the order of `cells`, whatever happens to the map: cells it lost are failures, not stored."""
    inside = report if over is _builtin else None  # a callback does not travel to another process
    total, note = cached + len(cells), f"{cached} cached  " if cached else ""
    several = len({cell.seed for cell in cells}) > 1
    results = iter(over(functools.partial(evaluate, report=inside) if inside else evaluate, cells)) if cells else iter(())
    lost: BaseException | None = None
    for done, cell in enumerate(cells):
        label = f"{cell.problem_name}: {cell.method_label}" + (f" seed {cell.seed}" if several else "")
        if report is not None:
            report(Progress(f"cells {note}{label}", cached + done, total))
        if lost is None:
            try:
                result = next(results)
            except InvalidStore:
                raise
            except StopIteration:
                lost = RuntimeError("the map returned fewer results than cells")
            except Exception as error:  # e.g. a worker that was killed
                lost = error
        if lost is not None:
            result = {**blank(cell), **failed(lost)}, {}
        log.info("cell %d of %d, %s: %s", cached + done + 1, total, label, result[0]["status"])
        yield result
    if report is not None:
        report(Progress("cells", total, total))


def _continue(done: int, total: int, store: str | None) -> str:
    if store is None:
        return f"Interrupted: {done} of {total} cells were finished and are lost. Give store= a folder to keep them."
    return f"Interrupted: {done} of {total} cells stored in {store.rstrip(os.sep)}/. Run the same call again to continue."


def _command() -> str:
    """The command line that made the comparison, without the folders of this machine; empty in a script or a notebook."""
    program = Path(sys.argv[0]).name if sys.argv else ""
    if program not in ("stackopt", "stackopt.exe", "__main__.py"):
        return ""
    return shlex.join(["stackopt", *(Path(word).name if os.path.isabs(word) else word for word in sys.argv[1:])])
