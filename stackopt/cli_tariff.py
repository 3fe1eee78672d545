"""`stackopt tariff`: design, evaluate, compare and question electricity tariffs from one study file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

#: Exit codes of the command line, as in `stackopt.cli`.
CERTIFIED, NOT_CERTIFIED, INFEASIBLE = 0, 1, 3

tariff = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Electricity tariffs: design, evaluate, compare, sensitivity, from one study file (TOML).",
    epilog="Exit codes: 0 converged and within its limits, 1 not, 2 usage or a bad study file, 3 the requirement is out of reach.",
)  # fmt: skip
StudyFile = Annotated[Path, typer.Argument(metavar="STUDY.toml", help="`stackopt tariff --example` prints a documented one.")]
Out = Annotated[Path | None, typer.Option(metavar="DIR", help="Folder for tables and data; by default tariff-NAME/COMMAND.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@tariff.callback(invoke_without_command=True)
def root(example: Annotated[bool, typer.Option("--example", help="Print a documented study file and exit.")] = False) -> None:
    """Options of the group itself."""
    if example:
        from stackopt.energy.study_keys import example as text

        typer.echo(text(), nl=False)
        raise typer.Exit(0)


@tariff.command()
def design(
    study: StudyFile,
    points: Annotated[int | None, typer.Option(min=0, metavar="N", help="Of the frontier, instead of the study's; 0: the design alone.")] = None,
    starts: Annotated[int | None, typer.Option(min=1, metavar="N", help="Of the search, instead of the study's.")] = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Find the tariff of least cost within the study's limits, and the frontier of cost against the gap of burdens."""
    from stackopt.cli_terminal import watching
    from stackopt.energy.study import read_study
    from stackopt.energy.study_run import design_study

    read = read_study(study)
    changes = {f"objective__{key}": value for key, value in (("points", points), ("starts", starts)) if value is not None}
    with watching() as report:
        found = design_study(read.changed(**changes) if changes else read, report=report)
    _end(found, out, as_json)


@tariff.command()
def evaluate(
    study: StudyFile,
    name: Annotated[str, typer.Option("--tariff", metavar="NAME", help="A named tariff, or one of the study's own.")] = "flat_nb",
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """One tariff against today's: bills and burdens by group, revenue, cross-subsidies, loads and prices."""
    from stackopt.cli_terminal import watching
    from stackopt.energy.study import read_study
    from stackopt.energy.study_run import evaluate as run

    read = read_study(study)
    with watching() as report:
        found = run(read, name, report=report)
    _end(found, out, as_json)


@tariff.command()
def compare(study: StudyFile, out: Out = None, as_json: AsJson = False) -> None:
    """All tariffs that the study names, each made to recover the same revenue."""
    from stackopt.cli_terminal import watching
    from stackopt.energy.study import read_study
    from stackopt.energy.study_run import compare as run

    read = read_study(study)
    with watching() as report:
        found = run(read, report=report)
    _end(found, out, as_json)


@tariff.command()
def sensitivity(
    study: StudyFile,
    name: Annotated[str, typer.Option("--tariff", metavar="NAME", help="A named tariff, or one of the study's own.")] = "flat_nb",
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """One assumption moved at a time: what a tariff then changes against today's."""
    from stackopt.cli_terminal import watching
    from stackopt.energy.study import read_study
    from stackopt.energy.study_run import sensitivity as run

    read = read_study(study)
    with watching() as report:
        found = run(read, name, report=report)
    _end(found, out, as_json)


def _end(found: Any, out: Path | None, as_json: bool) -> None:
    """Write tables and data, print, and leave with the exit code of the verdict."""
    from stackopt.cli_terminal import told
    from stackopt.solution import Status

    named = "tariff-" + "".join(c if c.isalnum() or c in "-_" else "-" for c in found.study.name)
    folder = out or Path(named) / found.command  # tables of two commands never mix
    written = save(found, folder)
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=1, allow_nan=False))
    else:
        typer.echo(str(found))
        typer.echo()
        told("wrote", f"{folder}/: data.json, tables/: {', '.join(path.name for path in written if path.suffix == '.csv')}")
        made = any(path.name == "report.html" for path in written)
        told("page", f"{folder}/report.html, figures/*.svg" if made else 'not written: it takes pip install "stackopt[report]"')
    if found.status is Status.INFEASIBLE:
        raise typer.Exit(INFEASIBLE)
    raise typer.Exit(CERTIFIED if found.status.success else NOT_CERTIFIED)


def save(found: Any, folder: Path) -> list[Path]:
    """Write ``tables/*.csv`` and ``data.json``, and from the latter ``report.html`` and ``figures/*.svg``, each whole or not at all.

    Without the packages of ``stackopt[report]`` the report is left out.
    """
    from stackopt.comparison.files import output
    from stackopt.energy.report import report
    from stackopt.errors import MissingPackage
    from stackopt.solving import provenance

    basis = found.study.basis
    written = [output(folder / "tables" / f"{table.name}.csv", table.to_csv(basis).encode()) for table in found.tables]
    data = json.dumps({**found.to_json(), "provenance": provenance()}, indent=1, allow_nan=False) + "\n"
    written.append(output(folder / "data.json", data.encode()))
    try:
        written.append(report(json.loads(data), folder / "report.html", figures_in=folder / "figures"))
    except MissingPackage:
        (folder / "report.html").unlink(missing_ok=True)  # of an earlier run: it would not show these tables
    return written
