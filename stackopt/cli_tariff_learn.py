"""`stackopt tariff learn`: a tariff learned from meters and revenue, the model of households hidden behind them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stackopt.cli_tariff_end import AsJson, Exhibit, Figures, Out, StudyFile, Witness, end

#: Exit code of the command line, as in `stackopt.cli`.
INTERRUPTED = 130


def learn(
    ctx: typer.Context,
    study: StudyFile,
    trials: Annotated[int, typer.Option(min=4, metavar="N", help="Billing periods at most, today's not counted.")] = 40,
    sampled: Annotated[int, typer.Option(min=0, metavar="HOUSEHOLDS", help="Read that many households' meters; 0: everyone's, in the long run.")] = 0,
    days: Annotated[int, typer.Option(min=1, metavar="N", help="Of a billing period, with --sampled.")] = 30,
    seed: Annotated[int, typer.Option(metavar="N", help="Of samples and of directions that are tried.")] = 0,
    out: Out = None,
    as_json: AsJson = False,
    exhibit: Exhibit = "",
    witness: Witness = "",
    figures: Figures = "svg",
) -> None:
    """Learn a tariff from meters alone, within the study's limits, and see what knowing the model would have added.

    Every billing period is kept: after Ctrl-C, the same command goes on where it was.
    """
    from stackopt.cli_terminal import told, watching
    from stackopt.comparison.files import output
    from stackopt.energy.metering.study import Trials, examined, learn_study, trials_table
    from stackopt.energy.studies.study import read_study

    read = read_study(study)
    named = "tariff-" + "".join(c if c.isalnum() or c in "-_" else "-" for c in read.name)
    folder = out or Path(named) / "learn"
    with watching() as report:
        found, before = learn_study(read, Trials(trials, sampled, days, seed), folder / "readings", report=report)
    if found.interrupted:
        typer.echo(str(found))
        path = output(folder / "tables" / "trials.csv", trials_table(found).to_csv(read.basis).encode())
        told("kept", f"{folder}/readings/, {path}; the same command goes on from there")
        raise typer.Exit(INTERRUPTED)
    with watching() as report:
        result = examined(read, found, before, report=report)
    end(result, folder, as_json, exhibit, witness, figures, ctx)
