"""What the commands of `stackopt tariff` share: their options, the files they write, how they end."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import shlex
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

#: Exit codes of the command line, as in `stackopt.cli`.
CERTIFIED, NOT_CERTIFIED, INFEASIBLE = 0, 1, 3

StudyFile = Annotated[Path, typer.Argument(metavar="STUDY.toml", help="`stackopt tariff --example` prints a documented one.")]


def writable(path: Path | None) -> Path | None:
    """Refuse a folder that cannot be written before minutes are spent on what belongs there; nothing is created yet."""
    from stackopt.errors import InvalidOutput

    if path is not None:
        there = next(place for place in (path.absolute(), *path.absolute().parents) if place.exists())
        if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
            raise InvalidOutput("output", path=path, where=f"{there.name or there} is " + ("no folder" if not there.is_dir() else "not to be written to"))
    return path


_out = typer.Option(metavar="DIR", help="Folder for tables, data and page; by default tariff-NAME/COMMAND.", callback=writable)
Out = Annotated[Path | None, _out]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Exhibit = Annotated[str, typer.Option(metavar="NUMBER", help='Of the page as an exhibit, such as "XYZ-01": on its head and on every printed sheet.')]
Witness = Annotated[str, typer.Option(metavar="NAME", help="Who sponsors the exhibit, on the head of the page.")]
FORMATS = ("svg", "pdf")


def formats_of(text: str) -> tuple[str, ...]:
    """``svg,pdf`` as formats; () for ``none``."""
    asked = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    if asked == ("none",):
        return ()
    if not set(asked) <= set(FORMATS):
        raise typer.BadParameter(f"{text!r} is not svg, pdf, svg,pdf or none", param_hint="--figures")
    return asked


def _formats(text: str) -> str:
    formats_of(text)  # before minutes are spent on what cannot be written then
    return text


_help = "Of the files in figures/: svg, pdf, or svg,pdf; none for no files."
Figures = Annotated[str, typer.Option(metavar="FORMATS", help=_help, callback=_formats)]

_META = "stackopt.tariff"  # what the group leaves for its commands


class Tariffs(TyperGroup):
    """Commands on a study file; a study file alone is compared. Remembers what was typed, and when."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `compare` before a lone study file, and keep the words for the provenance."""
        first = next((word for word in args if word in self.commands or word.endswith(".toml")), "")
        if first.endswith(".toml") and (args[0] == first or args[0].startswith("-")):  # else the first word is a command, mistyped
            args = ["compare", *args]
        ctx.meta[_META] = (tuple(args), datetime.datetime.now(datetime.UTC))
        return super().parse_args(ctx, args)


def asked(ctx: typer.Context | None) -> tuple[str, datetime.datetime | None]:
    """The command line of a context, and when it began; ("", None) without one."""
    words, started = ctx.meta.get(_META, ((), None)) if ctx is not None else ((), None)
    told = [Path(word).name if Path(word).is_absolute() else word for word in words]  # not where this machine keeps its files
    return (shlex.join(["stackopt", "tariff", *told]) if words else ""), started


def exhibit_of(number: str, witness: str) -> dict[str, str]:
    """What the head of the page says beside the verdict; empty parts are left out."""
    return {key: value.strip() for key, value in (("number", number), ("witness", witness)) if value.strip()}


def folder_of(study: str, command: str) -> Path:
    """Where a command writes what it found about a study; tables of two commands never mix."""
    named = "tariff-" + "".join(c if c.isalnum() or c in "-_" else "-" for c in study)
    return Path(named) / command


def end(found: Any, out: Path | None, as_json: bool, exhibit: str = "", witness: str = "", figures: str = "svg", ctx: typer.Context | None = None) -> None:
    """Write tables, data and page of a `StudyResult`, print it, and leave with the exit code of its verdict."""
    from stackopt.cli_terminal import told

    formats = formats_of(figures)
    folder = out or folder_of(found.study.name, found.command)
    command, started = asked(ctx)
    written = save(found, folder, exhibit=exhibit_of(exhibit, witness), formats=formats, command=command, started=started)
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=1, allow_nan=False))
    else:
        typer.echo(str(found))
        typer.echo()
        also = "; each also as .parquet" if any(path.suffix == ".parquet" for path in written) else ""
        told("wrote", f"{folder}/: data.json, provenance.json, tables/: {', '.join(path.name for path in written if path.suffix == '.csv')}{also}")
        if any(path.name == "report.html" for path in written):
            told("next", f"open {folder}/report.html" + "".join(f", figures/*.{form}" for form in formats))
        else:
            told("page", 'not written: it takes pip install "stackopt[report]"')
    raise typer.Exit(exit_code(str(found.status)))


def exit_code(status: str) -> int:
    """Of a study's status."""
    from stackopt.solution import Status

    word = Status(status)
    return INFEASIBLE if word is Status.INFEASIBLE else CERTIFIED if word.success else NOT_CERTIFIED


def save(
    found: Any, folder: Path, *, exhibit: Mapping[str, str] | None = None, formats: Sequence[str] = ("svg",), command: str = "",
    started: datetime.datetime | None = None,
) -> list[Path]:  # fmt: skip
    """Write ``tables/*.csv``, ``data.json`` and ``provenance.json``, and from the data ``report.html`` and ``figures/*``, each whole or not at all.

    Without the packages of ``stackopt[report]`` the report is left out; with pyarrow there is ``tables/*.parquet`` beside each CSV. Tables and
    figures that an earlier run wrote here, and this one has not, are removed: they would be taken for its own.
    """
    from stackopt.comparison.files import output
    from stackopt.energy.reports.report import report
    from stackopt.energy.studies.provenance import provenance
    from stackopt.errors import MissingPackage

    seeds = {"[objective] seed": found.study["objective", "seed"]} if any(o.name == "designed" for o in found.outcomes) else {}
    origin = provenance(found.study, command=command, seeds=seeds, started=started)
    basis = found.study.basis
    _clear(folder, {table.name for table in found.tables})
    written = [output(folder / "tables" / f"{table.name}.csv", table.to_csv(basis).encode()) for table in found.tables]
    for table in found.tables:
        path = folder / "tables" / f"{table.name}.parquet"
        try:
            written.append(output(path, table.to_parquet(basis)))
        except MissingPackage:
            path.unlink(missing_ok=True)  # of an earlier run
    data = json.dumps({**found.to_json(), **({"exhibit": dict(exhibit)} if exhibit else {}), "provenance": origin}, indent=1, allow_nan=False) + "\n"
    written.append(output(folder / "data.json", data.encode()))
    written.append(output(folder / "provenance.json", (json.dumps(origin, indent=1) + "\n").encode()))
    try:
        written.append(report(json.loads(data), folder / "report.html", figures_in=folder / "figures" if formats else None, formats=formats))
    except MissingPackage:
        (folder / "report.html").unlink(missing_ok=True)  # of an earlier run: it would not show these tables
    return written


def _clear(folder: Path, kept: Collection[str]) -> None:
    """Remove the figures of the run whose data.json stands in a folder, and its tables beyond `kept`; nothing that was not its own."""
    from stackopt.energy.reports.layout import READ

    try:
        tables = json.loads((folder / "data.json").read_bytes())["tables"].keys()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return
    stale = [folder / "tables" / f"{name}.{form}" for name in tables - set(kept) for form in ("csv", "parquet") if name.isidentifier()]
    for path in (*stale, *(folder / "figures" / f"{name}.{form}" for name in READ for form in FORMATS)):
        with contextlib.suppress(OSError):  # an output that cannot be written is said where it is written
            path.unlink(missing_ok=True)


def rebuild(data: Path, out: Path | None, exhibit: str, witness: str, figures: str) -> int:
    """Write the page of a stored ``data.json`` once more, nothing computed; the exit code of its verdict."""
    from stackopt.cli_terminal import told
    from stackopt.energy.reports.report import report

    stored = json.loads(data.read_bytes())
    head = {**stored.get("exhibit", {}), **exhibit_of(exhibit, witness)}
    page, formats = out or data.parent / "report.html", formats_of(figures)
    if head:
        stored["exhibit"] = head
    written = report(stored, page, figures_in=page.parent / "figures" if formats else None, formats=formats)
    typer.echo(f'Tariff study "{stored["study"]}", {stored["command"]}: {stored["status"]}')
    told("wrote", f"{written}" + (", figures/" if formats else ""))
    return exit_code(stored["status"])
