"""`stackopt tariff`: design, evaluate, compare and question electricity tariffs from one study file."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from stackopt.cli_tariff_end import AsJson, Exhibit, Figures, Out, StudyFile, Tariffs, Witness, end, exit_code, folder_of
from stackopt.cli_tariff_learn import learn
from stackopt.cli_tariff_sweep import findings, sweep

tariff = typer.Typer(
    cls=Tariffs, no_args_is_help=True, rich_markup_mode=None,
    help="Electricity tariffs: design, evaluate, compare, sensitivity, from one study file (TOML). `stackopt tariff STUDY.toml` compares.",
    epilog="Exit codes: 0 converged and within its limits, 1 not, 2 usage or a bad study file, 3 the requirement is out of reach.",
)  # fmt: skip


@tariff.callback(invoke_without_command=True)
def root(example: Annotated[bool, typer.Option("--example", help="Print a documented study file and exit.")] = False) -> None:
    """Options of the group itself."""
    if example:
        from stackopt.energy.studies.keys import example as text

        typer.echo(text(), nl=False)
        raise typer.Exit(0)


@tariff.command()
def design(
    ctx: typer.Context,
    study: StudyFile,
    points: Annotated[int | None, typer.Option(min=0, metavar="N", help="Of the frontier, instead of the study's; 0: the design alone.")] = None,
    starts: Annotated[int | None, typer.Option(min=1, metavar="N", help="Of the search, instead of the study's.")] = None,
    out: Out = None,
    as_json: AsJson = False,
    exhibit: Exhibit = "",
    witness: Witness = "",
    figures: Figures = "svg",
) -> None:
    """Find the tariff of least cost within the study's limits, and the frontier of cost against the gap of burdens.

    Designs are kept in points.json of the folder as they are found: after Ctrl-C the same command goes on from there.
    """
    from stackopt.cli_terminal import watching
    from stackopt.energy.studies.run import design_study
    from stackopt.energy.studies.study import read_study

    read = read_study(study)
    changes = {f"objective__{key}": value for key, value in (("points", points), ("starts", starts)) if value is not None}
    kept = (out or folder_of(read.name, "design")) / "points.json"
    with watching() as report:
        found = design_study(read.changed(**changes) if changes else read, points=kept, report=report)
    end(found, out, as_json, exhibit, witness, figures, ctx)


@tariff.command()
def evaluate(
    ctx: typer.Context,
    study: StudyFile,
    name: Annotated[str, typer.Option("--tariff", metavar="NAME", help="A named tariff, or one of the study's own.")] = "flat_nb",
    out: Out = None,
    as_json: AsJson = False,
    exhibit: Exhibit = "",
    witness: Witness = "",
    figures: Figures = "svg",
) -> None:
    """One tariff against today's: bills and burdens by group, revenue, cross-subsidies, loads and prices."""
    from stackopt.cli_terminal import watching
    from stackopt.energy.studies.run import evaluate as run
    from stackopt.energy.studies.study import read_study

    read = read_study(study)
    with watching() as report:
        found = run(read, name, report=report)
    end(found, out, as_json, exhibit, witness, figures, ctx)


@tariff.command()
def compare(
    ctx: typer.Context,
    study: StudyFile,
    out: Out = None,
    as_json: AsJson = False,
    exhibit: Exhibit = "",
    witness: Witness = "",
    figures: Figures = "svg",
) -> None:
    """All tariffs that the study names, each made to recover the same revenue."""
    from stackopt.cli_terminal import watching
    from stackopt.energy.studies.run import compare as run
    from stackopt.energy.studies.study import read_study

    read = read_study(study)
    with watching() as report:
        found = run(read, report=report)
    end(found, out, as_json, exhibit, witness, figures, ctx)


@tariff.command()
def sensitivity(
    ctx: typer.Context,
    study: StudyFile,
    name: Annotated[str, typer.Option("--tariff", metavar="NAME", help="A named tariff, one of the study's own, or `designed`: its rates stay.")] = "flat_nb",
    out: Out = None,
    as_json: AsJson = False,
    exhibit: Exhibit = "",
    witness: Witness = "",
    figures: Figures = "svg",
) -> None:
    """One assumption moved at a time: what a tariff then changes against today's."""
    from stackopt.cli_terminal import watching
    from stackopt.energy.studies.run import sensitivity as run
    from stackopt.energy.studies.study import read_study

    read = read_study(study)
    with watching() as report:
        found = run(read, name, report=report)
    end(found, out, as_json, exhibit, witness, figures, ctx)


@tariff.command()
def toy(
    program: Annotated[bool, typer.Option("--program", help='Solve the mixed-integer program too: a minute or less, pip install "stackopt[scip]".')] = False,
    as_json: AsJson = False,
) -> None:
    """A study small enough to be solved exactly: 162 tariffs, three kinds of households, every tariff bounded in exact arithmetic."""
    from stackopt.cli_terminal import watching
    from stackopt.energy.toy import built_in
    from stackopt.energy.toy_proof import answer

    with watching() as report:
        found = answer(built_in(), program=program, report=report)
    typer.echo(json.dumps(found.to_json(), indent=1, allow_nan=False) if as_json else str(found))
    if not as_json:
        typer.echo("\n  next  stackopt tariff --example > study.toml; stackopt tariff study.toml")
    raise typer.Exit(exit_code(str(found.status)))


tariff.command()(sweep)
tariff.command()(findings)
tariff.command()(learn)
