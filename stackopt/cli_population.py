"""`stackopt population`: N followers in the place of a continuum, measured and held against theory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

import stackopt
from stackopt.errors import InvalidMethod

#: Exit codes of the command line, as in `stackopt.cli`.
GOOD, VIOLATED = 0, 1


def population(
    problem: Annotated[str, typer.Argument(metavar="MODEL", help="A model of a population.")],
    followers: Annotated[str, typer.Option(metavar="N,N,...", help="How many followers.")] = "100,1000,10000,100000,1000000",
    theta: Annotated[str | None, typer.Option(metavar="X,X,...", help="The leader's decision; its set's middle by default.")] = None,
    temperature: Annotated[float, typer.Option(metavar="T", help="0: an equilibrium; above: a soft one, in units of reward.")] = 0.0,
    runs: Annotated[int, typer.Option(metavar="N", help="Independent repetitions.")] = 64,
    seed: Annotated[int, typer.Option(metavar="N", help="Source of all randomness.")] = 0,
    settings: Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Change a parameter of the model; repeatable.")] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw measured against predicted, an SVG.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Let N followers play a population's equilibrium: errors of the law, of values and of a deviator's gain, with their bounds."""
    from stackopt import catalog
    from stackopt.cli_terminal import drawn, numbers, parsed, told, watching
    from stackopt.comparison.plain import plain
    from stackopt.games.mean_field.finite_population import finite_population
    from stackopt.games.mean_field.game import MeanFieldStackelbergGame

    game = catalog.build(problem, **parsed(settings))
    if not isinstance(game, MeanFieldStackelbergGame):
        raise InvalidMethod("setting", name="MODEL", law="a model of a population", got=f"{problem}, a {type(game).__name__}")
    sizes = [int(N) for N in numbers(followers) or ()]
    decision: Any = numbers(theta) if theta is not None else game.leader.center()  # type: ignore[union-attr]
    with watching() as report:
        solution = stackopt.solve(game, stackopt.MeanFieldEquilibrium(theta=decision, temperature=temperature), seed=seed, report=report)
        found = finite_population(game, solution.require(), sizes, runs=runs, seed=seed, report=report)
    examined = found.examinations()
    if as_json:
        figures = [{"of": e.bound.of, "reference": e.bound.reference, "measured": e.measured, "bound": e.bound.value, "verdict": e.verdict} for e in examined]
        names = ("followers", "law_error", "law_standard_error", "value_error", "value_standard_error", "deviation")
        rows = {name: getattr(found, name).tolist() for name in names}
        about = {"schema": "stackopt.population/1", "model": problem, "theta": list(decision), "runs": runs, "seed": seed}
        typer.echo(json.dumps(plain({**about, **rows, "exploitability": found.mean_field_deviation, "examinations": figures}), indent=1, allow_nan=False))
    else:
        typer.echo(str(found))
    if plot is not None:
        from stackopt.comparison.files import output
        from stackopt.plot_population import population_figure

        told("wrote", str(output(plot, drawn(population_figure(found)))))
    raise typer.Exit(VIOLATED if any(e.verdict == "violated" for e in examined) else GOOD)
