"""The tariff study by its own method and by the learners of mean-field games, in one run: ``python -m benchmarks.tariff_as_game [--hard]``.

45 types of households, 24 hours, 2 regimes, 11 levels, one thread, no compiled code. Seconds are CPU seconds of the method, the certificate
not included; the ratio is to `stackopt.energy.equilibrium` (its gradient: `stackopt.energy.gradients`) on the same instance. Prices are
compared with the study's at its tightest tolerance. ``--hard`` adds hard players, without a temperature, beside the study at 0.0005 $: up to a minute each.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import stackopt as so
from stackopt.energy.designs.problem import DesignProblem
from stackopt.energy.equilibrium import equilibrium
from stackopt.energy.games.game import as_game, per_day, prices_of
from stackopt.energy.games.objective import Weights
from stackopt.energy.gradients import gradients
from stackopt.energy.market.supply import LinearSupply
from stackopt.energy.standard import standard_households
from stackopt.energy.tariff import Tariff
from stackopt.learning.mean_field.leader_gradient import leader_gradient
from stackopt.learning.mean_field.settling import settle_soft

THROUGH = Tariff("pass-through", pass_buy=1.0, pass_sell=1.0)


def timed(work: Callable[[], Any], repeats: int = 3) -> tuple[Any, float]:
    """(result, smallest CPU seconds)."""
    found, best = None, np.inf
    for _ in range(repeats):
        begun = time.process_time()
        found = work()
        best = min(best, time.process_time() - begun)
    return found, best


def damped(temperature: float, damping: float) -> so.SoftmaxPolicyIteration:
    """Softmax policy iteration of the population."""
    return so.SoftmaxPolicyIteration(temperature, "fixed_point", damping=damping, tolerance=1e-6, iterations=100 if damping else 40)


def row(what: str, seconds: float, own: float, away: float = np.nan, gain: float = np.nan, status: Any = "") -> None:
    """One line."""
    print(f"{what:58} {seconds:8.3f} s {seconds / own:7.1f} x  {away:9.1e}  {gain:9.5f}  {status}", flush=True)


def instance(slope: float, temperature: float, methods: list[Any]) -> None:
    """Equilibria of one instance."""
    households, market = standard_households(), LinearSupply(slope=slope)
    known, own = timed(lambda: equilibrium(households, market, THROUGH, temperature=temperature))
    best = equilibrium(households, market, THROUGH, temperature=temperature, tolerance=1e-11)
    print(f"\nsupply slope {slope:g} $/MWh per MW, temperature {temperature:g} $")
    gain = float(households.share @ known.response.exploitability())
    row("the study's own equilibrium", own, own, float(np.abs(known.price - best.price).max()), gain, known.status)
    game = as_game(households, market, THROUGH)
    for method in methods:
        found = so.solve(game, method)
        _, seconds = timed(lambda method=method: method.run(game), 1)
        away = float(np.abs(prices_of(game, found.candidate) - best.price).max())
        name = method.name_for(game) if hasattr(method, "name_for") else method.name
        damping = f", damping {method.damping:g}" if getattr(method, "damping", 0) else ""
        row(name + damping, seconds, own, away, per_day(game, found.certificate.values["exploitability"]), found.status)


def slopes() -> None:
    """The leader's gradient at one design."""
    households, market = standard_households(), LinearSupply()
    problem = DesignProblem(households, market)
    game = as_game(households, market, problem, weights=Weights(shortfall=0.0))
    theta = np.array([0.1, 0.08, 0.15, 0.1, 0.01, 0.0, 0.02, 0.0, *[0.2] * 5])
    announced = game.objective.market.announce(theta)  # type: ignore[union-attr]
    known = equilibrium(households, market, announced.tariff, temperature=0.02, tolerance=1e-11)
    exact, own = timed(lambda: gradients(known, announced.buy, announced.sell))
    at = settle_soft(game, theta, 0.02)
    found, seconds = timed(lambda: leader_gradient(game, at.policy, at.mean_field, theta, 0.02))
    away = float(np.abs(found.gradient + exact.cost).max() / np.abs(exact.cost).max())
    print("\ngradient of cost in 13 parameters")
    print(f"{'the study: of every criterion':58} {own:8.3f} s {1:7.1f} x")
    print(f"{'leader_gradient of the game: of one value':58} {seconds:8.3f} s {seconds / own:7.1f} x  {away:9.1e} relative, {found.products} products")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hard", action="store_true", help="hard players too")
    options = parser.parse_args()
    print(f"{'':58} {'CPU':>10} {'ratio':>9}  {'$/kWh off':>9}  {'$/day left':>9}")
    instance(0.045, 0.02, [so.MeanFieldEquilibrium(temperature=0.02, starts=1), damped(0.02, 0.5)])
    instance(0.2, 0.005, [so.MeanFieldEquilibrium(temperature=0.005, starts=1), damped(0.005, 0.0), damped(0.005, 0.5), damped(0.005, 0.8)])
    slopes()
    if options.hard:
        players = [so.MeanFieldEquilibrium(starts=1), so.MirrorDescent(time_limit=30), so.FictitiousPlay(time_limit=30)]
        for slope in (0.045, 0.2):
            instance(slope, 0.0005, players)


if __name__ == "__main__":
    main()
