"""The command line: ``stackopt compare``, ``solve``, ``check``, ``models``, ``verify``, ``report``, ``demo``, ``doctor``.

Exit codes: 0 certified, 1 not certified or a bound violated, 2 usage and bad input, 3 proved infeasible, unbounded or not attained,
4 refused (the method does not solve this problem), 130 interrupted. Results go to standard output, everything else to
standard error. For `compare` and `report`, 1 means a violated bound, a failed cell, or nothing certified; a limit or a
refusal beside certified answers is a row of the table.
"""

from __future__ import annotations

import io
import json
import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import stackopt
from stackopt.cli_population import population
from stackopt.cli_tariff import tariff
from stackopt.cli_tariff_end import Exhibit, Figures, Witness, rebuild
from stackopt.cli_terminal import drawn, numbers, parsed, told, watching, workers
from stackopt.errors import InvalidMethod, MissingPackage, Refused, StackoptError

CERTIFIED, NOT_CERTIFIED, USAGE, INFEASIBLE, REFUSED, INTERRUPTED = 0, 1, 2, 3, 4, 130


class Commands(TyperGroup):
    """Commands whose errors end as their own text and an exit code, never as a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; errors made on purpose become exit codes."""
        try:
            return super().invoke(ctx)
        except Refused as refused:
            typer.echo(f"stackopt.{refused}", err=True)
            raise typer.Exit(REFUSED) from None
        except StackoptError as error:
            typer.echo(f"stackopt.{error}", err=True)
            raise typer.Exit(USAGE) from None
        except KeyboardInterrupt as interrupt:
            typer.echo(str(interrupt) or "Interrupted.", err=True)
            raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    cls=Commands, no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False,
    help="Leader-follower (Stackelberg) problems: exact and approximate answers, one examination for both.",
    epilog="Exit codes: 0 certified, 1 not certified or a bound violated, 2 usage, 3 infeasible, unbounded or not attained, 4 refused.",
)

app.command()(population)
app.add_typer(tariff, name="tariff")
Setting = Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Change a parameter of a model; repeatable.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def main() -> None:
    """The entry point."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a label outside the terminal's alphabet is escaped, it does not end the run
            stream.reconfigure(errors="backslashreplace")
    app()


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    """Options of the program itself."""
    if version:
        typer.echo(f"stackopt {stackopt.__version__}")
        raise typer.Exit(0)


@app.command()
def compare(
    models: Annotated[list[str] | None, typer.Argument(metavar="MODEL", help="Models, or files; by default the built-in study.")] = None,
    method: Annotated[list[str] | None, typer.Option(metavar="KIND", help="exact, weak, softmax, boltzmann, fixed-point, big-m, ...; repeatable.")] = None,
    temperatures: Annotated[str | None, typer.Option(metavar="T,T,...", help="The ladder, in units of the follower's reward.")] = None,
    settings: Setting = None,
    seeds: Annotated[int, typer.Option(min=1, metavar="N", help="How many seeds.")] = 1,
    time_limit: Annotated[float, typer.Option(min=0.1, metavar="SECONDS", help="For each exact method.")] = 60.0,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for results and report.")] = Path("stackopt-compare"),
    store: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder for finished cells, to resume; by default OUT/runs.")] = None,
    retry: Annotated[str | None, typer.Option(metavar="WHICH", help="failed: compute failed, limited and unreadable cells again; all: everything.")] = None,
    jobs: Annotated[int, typer.Option(min=1, metavar="N", help="Processes.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Exact and approximate answers side by side, measured errors against proved bounds.

    Solves a built-in study, prints a table, and saves results, a figure and a report. Run it again to continue where it stopped.
    """
    from stackopt.comparison.compare import compare as run
    from stackopt.comparison.files import output
    from stackopt.comparison.suites import DEFAULT_MODELS, suite

    study = suite(models or DEFAULT_MODELS, parsed(settings), numbers(temperatures), method or None, time_limit)
    with workers(jobs) as over:
        result = run(study.problems, study.methods, range(seeds), store=store or out / "runs", map=over, retry=retry, about=study.about)
    written = result.save(out)
    notes = []
    try:
        written.append(output(out / "errors.svg", drawn(result.plot())))
        written.append(result.report(out / "report.html"))
    except MissingPackage as error:
        notes.append(f'no figure and report: {error.law}; pip install "stackopt[report]"')
    if as_json:
        typer.echo(json.dumps(result.to_json(), indent=1, allow_nan=False))
    else:
        width = shutil.get_terminal_size((81, 24)).columns
        typer.echo("\n\n".join(part for part in (result.text(width), result.bounds_text(width)) if part))
        ending(written, notes, models or DEFAULT_MODELS, store or out / "runs")
    raise typer.Exit(exit_code(result))


def exit_code(result: stackopt.Comparison) -> int:
    """Of a comparison: limits and refusals are rows of its table, unless there is nothing else."""
    statuses = [cell["status"] for cell in result.cells]
    if not result.good or "FAILED" in statuses:
        return NOT_CERTIFIED
    if set(statuses) == {"REFUSED"}:
        return REFUSED
    return CERTIFIED if any(cell["certified"] for cell in result.cells) else NOT_CERTIFIED


def ending(written: list[Path], notes: list[str], models: Sequence[str], store: Path) -> None:
    """Where everything went, and what to do next."""
    from stackopt import catalog

    folder, report = written[0].parent, written[0].parent / "report.html"
    typer.echo()
    told("wrote", f"{folder}/: {', '.join(path.name for path in written)}")
    told("", f"{store}/: one file per cell; the same command resumes from it")
    for note in notes:
        told("note", note)
    told("next", f"open {report}" if report in written else f"read {folder / 'results.csv'}")
    named = [catalog.model(name) for name in models if name in catalog.names()]
    changed = next(((m.name, key, value) for m in named for key, value in m.parameters.items() if isinstance(value, float)), None)
    if changed is not None:
        told("", f"stackopt models {changed[0]}    its algebra, its figures, and what --set can change")
        told("", f"stackopt compare {changed[0]} --set {changed[1]}={changed[2] / 2:g}    a number changed")


@app.command()
def solve(
    problem: Annotated[str, typer.Argument(metavar="PROBLEM", help="A model, a game file (.npz, .json) or a bilevel program (.mps and .aux, .json, name).")],
    method: Annotated[str, typer.Option(metavar="NAME", help="exact; games: softmax; bilevel: big-m, strong-duality, sos1, indicator, scip, ...")] = "exact",
    concept: Annotated[str | None, typer.Option(metavar="NAME", help="exact: strong, weak; softmax: commitment, fixed_point.")] = None,
    leader: Annotated[str, typer.Option(metavar="NAME", help="exact: auto, randomised, deterministic, net.")] = "auto",
    grid: Annotated[int, typer.Option(metavar="N", help="exact, --leader net: parts of a unit of probability.")] = 4,
    response: Annotated[str, typer.Option(metavar="NAME", help="softmax: max-ent or boltzmann.")] = "max-ent",
    temperature: Annotated[float, typer.Option(metavar="T", help="softmax: of the follower, in units of its reward.")] = 0.1,
    damping: Annotated[float, typer.Option(metavar="D", help="softmax, fixed_point: weight of the old policy.")] = 0.0,
    iterations: Annotated[int, typer.Option(metavar="N", help="softmax: the most steps.")] = 5000,
    time_limit: Annotated[float, typer.Option(metavar="SECONDS", help="All methods but softmax.")] = 60.0,
    seed: Annotated[int, typer.Option(metavar="N", help="Source of all randomness.")] = 0,
    settings: Setting = None,
    policies: Annotated[Path | None, typer.Option(metavar="FILE.npz", help="Save the policies found.")] = None,
    aux: Annotated[Path | None, typer.Option(metavar="FILE.aux", help="The AUX file, where it is not next to the MPS file.")] = None,
    proof: Annotated[Path | None, typer.Option(metavar="FILE", help="exact: prove the answer and write the proof, for `check`.")] = None,
    as_json: AsJson = False,
) -> None:
    """Solve one model, a game from a file, or a bilevel program, by one method.

    A game file has the arrays leader_reward and follower_reward [S, A, B], transition [S, A, B, S] and a number discount.
    """
    from stackopt import cli_bilevel, cli_proof

    program = cli_bilevel.program_of(problem, aux, parsed(settings))
    if program is not None:
        foreign = [name for name, given in (("--policies", policies), ("--concept", concept), ("--leader", leader != "auto")) if given]
        if foreign:
            raise typer.BadParameter(f"{foreign[0]} is for games; {program.name} is a bilevel program", param_hint=foreign[0])
        with watching() as report:
            solution = stackopt.solve(program, cli_proof.proving(cli_bilevel.method_of(method, time_limit), proof), seed=seed, report=report)
        found = cli_bilevel.record(problem, solution, time_limit, method) if as_json else None
    else:
        chosen = cli_proof.proving(game_method(method, concept, leader, grid, time_limit, response, temperature, damping, iterations), proof)
        solution, found = solve_game(problem, chosen, settings, seed)
        if policies is not None:
            from stackopt.comparison.cells import arrays

            save_policies(policies, arrays(solution.candidate))
    typer.echo(json.dumps(found, indent=1, allow_nan=False) if as_json else str(solution))
    if policies is not None and not as_json:
        told("wrote", str(policies))
    cli_proof.save_proof(solution, proof)
    if solution.status in ("INFEASIBLE", "UNBOUNDED", "NOT ATTAINED"):
        raise typer.Exit(INFEASIBLE)
    raise typer.Exit(CERTIFIED if solution.certified else NOT_CERTIFIED)


@app.command()
def check(
    problem: Annotated[Path, typer.Argument(metavar="PROBLEM", help="The problem: .json, or .mps with .aux.")],
    proof: Annotated[Path, typer.Argument(metavar="PROOF", help="The proof's text, as `solve --proof` writes it.")],
) -> None:
    """Verify a proof in exact arithmetic: 0 and the theorem, or 1 and the place where it fails."""
    from stackopt import cli_proof

    raise typer.Exit(CERTIFIED if cli_proof.verified(problem, proof) else NOT_CERTIFIED)


def game_method(
    method: str, concept: Any, leader: Any, grid: int, time_limit: float, response: Any, temperature: float, damping: float, iterations: int
) -> Any:
    """The method for a game that the options name."""
    if method == "exact":
        return stackopt.Exact(concept=concept or "strong", leader=leader, grid=grid, time_limit=time_limit)
    if method == "softmax":
        concept = (concept or "commitment").replace("-", "_")
        return stackopt.SoftmaxPolicyIteration(temperature, iterations=iterations, concept=concept, response=response, damping=damping)
    raise InvalidMethod("setting", name="method", law="exact or softmax for a game", got=repr(method))


def solve_game(problem: str, chosen: Any, settings: list[str] | None, seed: int) -> tuple[Any, dict[str, Any]]:
    """The solution of a model or a game file, and the same as JSON data."""
    from stackopt.comparison.cells import Cell, answer, arrays, blank, describe_problem
    from stackopt.comparison.suites import is_file

    about: dict[str, Any]
    if is_file(problem):
        from stackopt.games.file import load_game

        if settings:
            raise typer.BadParameter("--set changes parameters of a model, not of a file", param_hint="--set")
        game = load_game(problem)
        about = {"file": problem}
    else:
        from stackopt import catalog

        parameters = parsed(settings)
        game = catalog.build(problem, **parameters)
        about = {"model": problem, "parameters": parameters}
    with watching() as report:
        solution = stackopt.solve(game, chosen, seed=seed, report=report)
    cell = Cell(game.name, chosen.name, game, chosen, seed, about)
    described = {"schema": "stackopt.solution/1", "problem": describe_problem(cell), "solution": {**blank(cell), **answer(cell, solution)}}
    return solution, {**described, "policies": {name: array.tolist() for name, array in arrays(solution.candidate).items()}}


def save_policies(path: Path, found: dict[str, Any]) -> None:
    """Write policies as NPZ."""
    import numpy as np

    from stackopt.comparison.files import output

    buffer = io.BytesIO()
    np.savez(buffer, **found)
    output(path, buffer.getvalue())


@app.command()
def models(
    name: Annotated[str | None, typer.Argument(help="Show one: algebra, source, parameters, known answers.")] = None,
    cases: Annotated[bool, typer.Option("--cases", help="List the recorded bilevel programs.")] = False,
) -> None:
    """The catalogue: models that ship with the package, and recorded bilevel programs."""
    from stackopt import catalog

    if name in catalog.cases():
        typer.echo(str(catalog.case(name)))
        return
    if cases:
        listed = [catalog.case(one) for one in catalog.cases()]
        typer.echo(f"{len(listed)} recorded bilevel programs; `stackopt models NAME` shows one, `stackopt solve NAME` solves it")
        width, kinds = max(len(case.name) for case in listed), max(len(case.kind) for case in listed)
        for case in listed:
            typer.echo(f"  {case.name:<{width}}  {case.kind:<{kinds}}  {'infeasible' if case.value is None else f'{case.value:.6g}'}")
        return
    if name is not None:
        entry = catalog.model(name)
        typer.echo(f"{entry}\n\n{entry.text}")
        return
    entries = catalog.models()
    typer.echo(f"{len(entries)} models; `stackopt models NAME` shows one, `stackopt solve NAME` solves it")
    names, kinds = max(map(len, entries), default=0), max((len(e.kind) for e in entries.values()), default=0)
    for entry in entries.values():
        head = f"  {entry.name:<{names}}  {entry.kind:<{kinds}}  "
        width = max(shutil.get_terminal_size((81, 24)).columns, len(head) + 24)
        typer.echo(textwrap.fill(entry.title, width, initial_indent=head, subsequent_indent=" " * len(head), break_on_hyphens=False))
    typer.echo(f"and {len(catalog.cases())} recorded bilevel programs; `stackopt models --cases` lists them")


@app.command()
def verify(
    instances: Annotated[int, typer.Option(min=1, metavar="N", help="Random games to examine.")] = 200,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the instances.")] = 0,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw predicted against measured, an SVG.")] = None,
    only: Annotated[str, typer.Option(metavar="TAGS", help="Predictions to evaluate, such as E4,E28; all by default.")] = "",
    as_json: AsJson = False,
) -> None:
    """Measure every bound on random games: violations (0 expected), how often each applied, how tight it was."""
    from stackopt.verification.verify import verify as run

    with watching() as report:
        result = run(instances, seed, report=report, only=tuple(filter(None, only.split(","))))
        if plot is not None:
            from stackopt.comparison.files import output
            from stackopt.verification.drawing import bounds_figure
            from stackopt.verification.sweep import sweep

            told("wrote", str(output(plot, drawn(bounds_figure(sweep(seed=seed, report=report))))))
    typer.echo(result.json() if as_json else str(result))
    raise typer.Exit(CERTIFIED if result.good else NOT_CERTIFIED)


@app.command()
def report(
    source: Annotated[Path, typer.Argument(metavar="STORE_OR_JSON", help="A store of cells, comparison.json, a tariff study's data.json, or a folder of one.")],
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="The report to write; by default report.html, of a tariff study beside its data.")] = None,
    exhibit: Exhibit = "",
    witness: Witness = "",
    figures: Figures = "svg",
) -> None:
    """Write the report of stored results again; nothing is computed."""
    from stackopt.comparison.comparison import Comparison
    from stackopt.energy.reports.stored import stored_studies

    studies = stored_studies(source)
    if studies:
        if out is not None and len(studies) > 1:
            raise typer.BadParameter(f"{source} holds {len(studies)} studies: name one of {', '.join(str(s.parent) for s in studies)}", param_hint="--out")
        raise typer.Exit(max(rebuild(data, out, exhibit, witness, figures) for data in studies))
    if exhibit or witness or figures != "svg":
        raise typer.BadParameter("only for tariff studies", param_hint="--exhibit, --witness, --figures")
    comparison = Comparison.open(source)
    typer.echo(comparison.verdict)
    told("wrote", str(comparison.report(out or Path("report.html"))))
    raise typer.Exit(exit_code(comparison))


@app.command()
def demo() -> None:
    """A tiny game solved exactly and by learning, explained."""
    from stackopt.doctor import small_game
    from stackopt.exact.exact import Exact
    from stackopt.learning.softmax_policy_iteration import SoftmaxPolicyIteration
    from stackopt.solving import solve as run

    game = small_game()
    exact, learned = run(game, Exact()), run(game, SoftmaxPolicyIteration(temperature=0.1))
    gap = float(exact.value) - float(learned.value)
    typer.echo(f"""\
{game!r}

Moving at once, the leader plays up (better for it whatever happens) and gets 2.
Committing first, it can do better: the follower answers what it sees.

{exact}

A softmax learner finds nearly that. Its follower is soft, so two values differ:

{learned}

Exact less learned, both certified by the game: {gap:.6f}.

  next  stackopt compare               a real tariff game and an inspection game
        stackopt models                games that ship with the package
        stackopt solve inspection --method softmax --temperature 0.05""")
    raise typer.Exit(CERTIFIED if exact.certified and learned.certified else NOT_CERTIFIED)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Versions, solvers, optional packages, and a self-test."""
    from stackopt.doctor import block, examine

    findings = examine()
    printed = block(findings)
    if as_json:
        typer.echo(json.dumps({"verdict": printed.title, "findings": [vars(f) for f in findings]}, indent=1))
    else:
        typer.echo(printed.text())
    raise typer.Exit(CERTIFIED if printed.good else NOT_CERTIFIED)


# --- options as values -------------------------------------------------------------------------------------------------
