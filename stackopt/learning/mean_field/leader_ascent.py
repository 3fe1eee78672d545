r"""The leader above a population that re-equilibrates: projected ascent with the exact gradient, and the frozen one that finds fixed points.

`ascend` climbs :math:`J_\tau(\theta)=F(y_\tau(\theta),\theta)`, where :math:`y_\tau(\theta)` is the soft equilibrium under :math:`\theta`: each step solves for
the equilibrium (warm), takes the gradient by adjoints [C2], and moves along it on the leader's set with a line search. With
`frozen` it follows :math:`F_\theta` alone, the population held still: where that stops, no decision is better against *this* population,
which is the fixed-point concept of theory A.4, not commitment  [C4].
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from stackopt.display import number
from stackopt.games.mean_field import operators
from stackopt.games.mean_field.game import MeanFieldStackelbergGame
from stackopt.games.mean_field.leaders import Menu
from stackopt.games.mean_field.population import Population
from stackopt.games.operators import Array
from stackopt.learning.mean_field.leader_gradient import leader_gradient
from stackopt.solution import Progress, Report, Run, Status

#: Sufficient increase asked of a step, as a fraction of what the linear model promises; each trial is shorter by so much.
SUFFICIENT, SHORTER, HALVINGS = 1e-4, 0.3, 25
#: Values that a step may fall below, but not all of them (non-monotone line search).
MEMORY = 4
#: Steps without a smaller residual or a higher value, beyond rounding, after which an ascent has stalled.
QUIET = 12
#: An adjoint equation solved worse than this gives no gradient.
ADJOINT = 1e-6


@dataclass(frozen=True, eq=False)
class Settled:
    """The followers' equilibrium under one decision.

    Attributes
    ----------
    policy, mean_field : arrays [K, T, S, B] and [K, T, S]
    settled : bool
        Whether it is one, to the tolerance asked for.
    because : str
        Why not.
    """

    policy: Array
    mean_field: Array
    settled: bool
    because: str = ""


#: How an equilibrium is found: from (game, theta, a policy to begin with).
Settle = Callable[[MeanFieldStackelbergGame, Array, Array | None], Settled]


@dataclass(eq=False)
class Point:
    """A decision, the population under it, the leader's value there and the gradient (total or frozen)."""

    theta: Array
    at: Settled
    value: float
    gradient: Array


class _Climb:
    """One ascent; counts what it costs."""

    def __init__(self, game: MeanFieldStackelbergGame, temperature: float, settle: Settle, frozen: bool) -> None:
        self.game, self.temperature, self.settle, self.frozen = game, temperature, settle, frozen
        self.equilibria = self.products = self.failures = 0
        self.because = ""

    def point(self, theta: Array, warm: Array | None) -> Point | None:
        """The population and the gradient at theta; None where followers do not settle or there is no gradient."""
        at = self.settle(self.game, theta, warm)
        self.equilibria += 1
        if not at.settled:
            self.failures += 1
            self.because = f"followers do not settle at theta = {_shown(theta)}: {at.because}"
            return None
        found = leader_gradient(self.game, at.policy, at.mean_field, theta, self.temperature)
        self.products += found.products
        if not self.frozen and not found.residual <= ADJOINT:
            self.failures += 1
            self.because = f"no gradient at theta = {_shown(theta)}: the response is singular there (adjoint residual {number(found.residual, 2)})"
            return None
        return Point(theta, at, found.value, found.direct if self.frozen else found.gradient)

    def value(self, theta: Array, warm: Array) -> tuple[Settled, float]:
        """The population and the leader's value alone; NaN where followers do not settle."""
        at = self.settle(self.game, theta, warm)
        self.equilibria += 1
        if not at.settled:
            self.failures += 1
            return at, float("nan")
        flows = operators.flow(at.mean_field, at.policy)
        return at, self.game.leader_value(flows, self.game.aggregate(flows), theta)


def first_order(game: MeanFieldStackelbergGame, point: Point) -> float:
    r""":math:`\|\Pi(\theta+g)-\theta\|_\infty` relative to the size of g and theta: zero exactly where first-order conditions hold."""
    assert game.leader is not None
    scale = float(np.abs(point.gradient).max(initial=0.0))
    if scale == 0.0:
        return 0.0
    moved = game.leader.project(point.theta + point.gradient / max(scale, 1.0)) - point.theta
    return float(np.abs(moved).max(initial=0.0))


def ascend(
    game: MeanFieldStackelbergGame,
    temperature: float,
    settle: Settle,
    *,
    frozen: bool = False,
    tolerance: float = 1e-6,
    iterations: int = 500,
    starts: int = 4,
    seed: int = 0,
    name: str = "",
    report: Report | None = None,
) -> Run[Population]:
    """Climb from several starts and keep the best end.

    Parameters
    ----------
    temperature : float
        Of the followers.
    settle : callable
        Finds the followers' equilibrium.
    frozen : bool
        Follow the gradient at a frozen population: fixed points instead of commitments.
    tolerance : float
        On the first-order residual `first_order`. It certifies a stationary point, not a global maximum.
    iterations : int
        The most steps from each start.
    starts : int
        The middle of the leader's set, then random members.

    Returns
    -------
    Run
        CONVERGED if the best end meets the tolerance; LIMIT otherwise, with the reason.
    """
    assert game.leader is not None
    if isinstance(game.leader, Menu):
        return _menu(game, temperature, settle, report, name)
    climb = _Climb(game, temperature, settle, frozen)
    rng = np.random.default_rng(seed)
    begin = [game.leader.center(), *(game.leader.sample(rng) for _ in range(starts - 1))]
    ends: list[tuple[Point, float, str]] = []
    history: dict[str, list[float]] = {"value": [], "residual": []}
    last_report = -np.inf
    for theta in begin:
        here = climb.point(theta, None)
        if here is None:
            continue
        recent, length, reason = [here.value], 1.0 / max(float(np.abs(here.gradient).max(initial=0.0)), 1e-300), f"{iterations} iterations ran out"
        size = float(np.abs(game.leader.project(theta + 1e3) - game.leader.project(theta - 1e3)).max(initial=1.0)) or 1.0
        length *= 0.1 * size
        residual = first_order(game, here)
        smallest, highest, quiet = residual, here.value, 0
        for _ in range(iterations):
            history["value"].append(here.value)
            history["residual"].append(residual)
            if residual <= tolerance:
                reason = ""
                break
            now = time.monotonic()
            if report is not None and now - last_report >= 0.1:
                last_report = now
                report(Progress(name or "leader ascent", len(history["value"]), None, residual))
            after = _step(game, climb, here, length, recent)
            if after is None:
                reason = climb.because or "no step along the gradient raises the value: rounding, or an equilibrium that jumps"
                break
            moved, change = after.theta - here.theta, after.gradient - here.gradient
            curvature = -float(moved @ change)
            length = float(moved @ moved) / curvature if curvature > 0 else 4.0 * length
            here, recent = after, [*recent[1 - MEMORY :], after.value]
            residual = first_order(game, here)
            quiet = 0 if residual < 0.9 * smallest or here.value > highest + 1e-11 * (1.0 + abs(highest)) else quiet + 1
            smallest, highest = min(residual, smallest), max(here.value, highest)
            if quiet >= QUIET:
                reason = "no step makes progress beyond rounding"
                break
        else:
            residual = first_order(game, here)
        ends.append((here, residual, reason if residual > tolerance else ""))
        climb.because = ""
    return _run(game, climb, ends, temperature, tolerance, history)


def _step(game: MeanFieldStackelbergGame, climb: _Climb, here: Point, length: float, recent: list[float]) -> Point | None:
    """One projected step that raises the value enough; frozen steps have no value to raise and are only shortened until they contract."""
    assert game.leader is not None
    move = game.leader.project(here.theta + length * here.gradient) - here.theta
    promised = float(move @ here.gradient)
    fraction, floor, rounding = 1.0, min(recent), 1e-13 * (1.0 + abs(here.value))
    residual = first_order(game, here)
    for _ in range(HALVINGS):
        theta = here.theta + fraction * move
        if climb.frozen:
            after = climb.point(theta, here.at.policy)
            if after is not None and first_order(game, after) <= (1.0 - 0.01 * fraction) * residual:
                return after
        else:
            at, value = climb.value(theta, here.at.policy)
            if value >= floor + SUFFICIENT * fraction * promised - rounding:
                return climb.point(theta, at.policy)
        fraction *= SHORTER
    return None


def _run(
    game: MeanFieldStackelbergGame, climb: _Climb, ends: list[tuple[Point, float, str]], temperature: float, tolerance: float, history: dict[str, list[float]]
) -> Run[Population]:
    stats: dict[str, Any] = {"equilibria": climb.equilibria, "products": climb.products, "failures": climb.failures, "starts": len(ends)}
    if not ends:
        return Run(Status.LIMIT, None, stats=stats, because=climb.because or "followers settle nowhere")
    good = [end for end in ends if end[1] <= tolerance]
    best, residual, reason = max(good or ends, key=lambda end: end[0].value)
    stats["residual"] = residual
    stats["values"] = [end[0].value for end in ends]
    concept = "fixed_point" if climb.frozen else "commitment"
    candidate = Population(best.theta, best.at.policy, best.at.mean_field, temperature, concept, 1e-6, best.value)  # type: ignore[arg-type]
    if good:
        higher = sum(end[0].value > best.value + 1e-9 * (1 + abs(best.value)) for end in ends)
        because = f"first-order residual {number(residual, 2)} <= {number(tolerance, 2)}; best of {len(ends)} starts, a local optimum"
        because += f" ({higher} start{'s' if higher > 1 else ''} stood higher without converging)" if higher else ""
        return Run(Status.CONVERGED, candidate, stats=stats, because=because, history=history)
    return Run(Status.LIMIT, candidate, stats=stats, because=f"first-order residual {number(residual, 2)} > {number(tolerance, 2)}: {reason}", history=history)


def _menu(game: MeanFieldStackelbergGame, temperature: float, settle: Settle, report: Report | None, name: str) -> Run[Population]:
    """Every point of a menu, each with its equilibrium."""
    assert isinstance(game.leader, Menu)
    climb = _Climb(game, temperature, settle, False)
    best: tuple[float, Array, Settled] | None = None
    warm: Array | None = None
    values = []
    for i, theta in enumerate(game.leader):
        at, value = climb.value(theta, game.uniform() if warm is None else warm)
        values.append(value)
        if at.settled:
            warm = at.policy
            if best is None or value > best[0]:
                best = (value, theta, at)
        if report is not None:
            report(Progress(name or "menu", i + 1, len(game.leader), value))
    stats = {"equilibria": climb.equilibria, "failures": climb.failures, "values": values}
    if best is None:
        return Run(Status.LIMIT, None, stats=stats, because="followers settle at no point of the menu")
    candidate = Population(best[1], best[2].policy, best[2].mean_field, temperature, "commitment", 1e-6, best[0])
    if climb.failures:
        return Run(Status.LIMIT, candidate, stats=stats, because=f"followers do not settle at {climb.failures} of {len(game.leader)} points of the menu")
    return Run(Status.CONVERGED, candidate, stats=stats, because=f"all {len(game.leader)} points of the menu compared, one soft equilibrium each")


def _shown(theta: Array) -> str:
    return "(" + ", ".join(number(x, 4) for x in theta[:6]) + (", ..." if len(theta) > 6 else "") + ")"
