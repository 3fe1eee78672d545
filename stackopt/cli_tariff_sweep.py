"""`stackopt tariff sweep` and `stackopt tariff findings`: many studies, resumable, in processes or on a cluster."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from stackopt.cli_tariff_end import CERTIFIED, INFEASIBLE, NOT_CERTIFIED, AsJson, StudyFile, asked, writable

#: Columns of the printed table; the file has all.
SHOWN = ("tariff", "status", "cost", "gap", "peak", "ramp", "price_spread")

_out = typer.Option(metavar="DIR", help="Folder for tables and finished cells; by default tariff-NAME/COMMAND. Run again to resume.", callback=writable)
Out = Annotated[Path | None, _out]
Workers = Annotated[int, typer.Option(min=1, metavar="N", help="Processes on this machine.")]
Cluster = Annotated[str | None, typer.Option(metavar="ADDRESS", help='Of a running Dask scheduler (pip install "stackopt[distributed]").')]


def sweep(
    study: StudyFile,
    vary: Annotated[list[str] | None, typer.Option(metavar="SECTION.KEY=V1,V2", help="A setting and its values; repeatable: every combination.")] = None,
    tariff: Annotated[list[str] | None, typer.Option(metavar="NAME", help="A named tariff, or one of the study's own; repeatable.")] = None,
    design: Annotated[bool, typer.Option("--design", help="Design rates in every case too.")] = False,
    workers: Workers = 1,
    cluster: Cluster = None,
    out: Out = None,
) -> None:
    """Every combination of settings, each tariff made to recover its requirement; finished cells are kept and not computed again."""
    from stackopt.cli_terminal import told, watching
    from stackopt.comparison.files import output
    from stackopt.energy.studies.grid import grid
    from stackopt.energy.studies.study import read_study
    from stackopt.energy.studies.sweep import sweep as run
    from stackopt.solution import Status

    read = read_study(study)
    cells = grid(read, dict(_varied(setting) for setting in vary or ()), tuple(dict.fromkeys(tariff or ())), design=design)
    folder = _folder(read, "sweep", out)
    with _mapped(workers, cluster) as mapped, watching() as report:
        found = run(cells, folder / "cells", map=mapped, report=report)
    written = output(folder / "tables" / "sweep.csv", found.table.to_csv(read.basis).encode())
    typer.echo(_shown(found.table, [v.partition("=")[0] for v in vary or ()]))
    typer.echo()
    typer.echo(str(found))
    told("wrote", f"{written}")
    statuses = set(found.table.column("status"))
    if found.missing or not statuses <= {Status.CONVERGED.name, Status.INFEASIBLE.name}:
        raise typer.Exit(NOT_CERTIFIED)
    raise typer.Exit(INFEASIBLE if Status.INFEASIBLE.name in statuses else CERTIFIED)


def _varied(setting: str) -> tuple[str, list[Any]]:
    """``section.key=v1,v2`` as (section.key, values)."""
    place, equals, text = setting.partition("=")
    if not equals or not place.strip() or not text.strip():
        raise typer.BadParameter(f"{setting!r} is not SECTION.KEY=V1,V2", param_hint="--vary")
    try:
        values = list(ast.literal_eval(f"[{text}]"))
    except (ValueError, SyntaxError):  # words, inf, true
        values = [_value(part.strip()) for part in text.split(",")]
    return place.strip(), values


def _value(text: str) -> Any:
    for read in (ast.literal_eval, float):
        with contextlib.suppress(ValueError, SyntaxError):
            return read(text)
    return {"true": True, "false": False}.get(text.lower(), text)


def _folder(study: Any, command: str, out: Path | None) -> Path:
    named = "tariff-" + "".join(c if c.isalnum() or c in "-_" else "-" for c in study.name)
    return out or Path(named) / command


def _shown(table: Any, varied: list[str]) -> str:
    """The columns that are looked at first, as text."""
    from dataclasses import replace

    names = [name for name, _ in table.columns]
    at = [names.index(name) for name in (*varied, *SHOWN)]
    columns = tuple((name.partition(".")[2] or name, unit) for name, unit in (table.columns[k] for k in at))
    rows = tuple(tuple(row[k] for k in at) for row in table.rows)
    text: str = replace(table, columns=columns, rows=rows, note="").text()
    return text


@contextlib.contextmanager
def _mapped(jobs: int, cluster: str | None) -> Iterator[Any]:
    """The map of a sweep: a running cluster's, or that of processes here."""
    from stackopt.cli_terminal import workers

    if cluster is None:
        with workers(jobs) as mapped:
            yield mapped
        return
    if jobs != 1:
        raise typer.BadParameter("the cluster has its own workers", param_hint="--workers")
    try:
        from distributed import Client
    except ImportError:
        from stackopt.errors import MissingPackage

        raise MissingPackage("package", feature="a sweep on a cluster", package="stackopt[distributed]") from None
    try:
        client = Client(cluster, timeout=10)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as wrong:
        raise typer.BadParameter(f"no Dask scheduler answers at {cluster!r}: {type(wrong).__name__}", param_hint="--cluster") from None
    with client:
        yield client.map


def findings(
    ctx: typer.Context,
    study: Annotated[Path | None, typer.Argument(metavar="STUDY.toml", help="By default the built-in study.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer cases.")] = False,
    only: Annotated[list[str] | None, typer.Option("--only", metavar="NAME", help="One finding; repeatable.")] = None,
    workers: Workers = 1,
    cluster: Cluster = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """What the literature finds about tariffs, looked for in this study: in how many cases each direction holds, and where it does not."""
    from stackopt.cli_terminal import drawn, told, watching
    from stackopt.comparison.files import output
    from stackopt.energy.findings.finding import STANDARD
    from stackopt.energy.findings.finding import findings as run
    from stackopt.energy.studies.study import read_study, study_of
    from stackopt.errors import MissingPackage

    read = read_study(study) if study is not None else study_of(STANDARD)
    folder = _folder(read, "findings", out)
    with _mapped(workers, cluster) as mapped, watching() as report:
        found = run(read, only, quick=quick, folder=folder / "cells", map=mapped, report=report, command=asked(ctx)[0])
    text = found.to_text()
    output(folder / "findings.json", text.encode())
    for finding in found.findings:
        output(folder / "tables" / f"{finding.name}.csv", finding.table.to_csv(found.basis).encode())
    try:
        from stackopt.energy.findings.figures import figures

        pictures = [output(folder / "figures" / f"{name}.svg", drawn(figure)) for name, figure in figures(found).items()]
    except MissingPackage:
        pictures = []
    typer.echo(text.rstrip("\n") if as_json else str(found))
    if not as_json:
        typer.echo()
        told("wrote", f"{folder}/: findings.json, tables/*.csv" + (", figures/*.svg" if pictures else ""))
    raise typer.Exit(CERTIFIED if found.hold else NOT_CERTIFIED)
