"""How far apart the equilibria under one decision lie: their statistics are pushed up and down by two programs each."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from stackopt.exact.guarded import guarded_search
from stackopt.exact.mean_field.value import EquilibriumValue
from stackopt.games.mean_field import operators
from stackopt.games.mean_field.population import Population
from stackopt.games.operators import Array
from stackopt.reformulations.mean_field_arrays import AffineFollowers
from stackopt.reformulations.mean_field_equilibrium import equilibrium_program
from stackopt.solution import Status

#: Statistics are pushed one by one up to this many; where there are more, some random directions are tried and nothing is proved.
STATISTICS = 24
#: Random directions then.
DIRECTIONS = 4
#: Equilibria whose masses differ by more than this are different.
DIFFERENT = 1e-6
#: Differences of statistics up to this are a solver's tolerance.
NEGLIGIBLE = 1e-6


@dataclass(frozen=True, eq=False)
class Spread:
    """What the programs found.

    Attributes
    ----------
    size : float
        The largest difference of a statistic between two equilibria: an upper bound if `proved`.
    proved : bool
        Whether every program ended with an equilibrium at its bound.
    others : tuple of Population
        Different from each other and from the known one.
    programs : int
        Solved.
    """

    size: float
    proved: bool
    others: tuple[Population, ...]
    programs: int

    @property
    def negligible(self) -> bool:
        """Whether all equilibria have the same statistics, proved."""
        return self.proved and self.size <= NEGLIGIBLE


def spread(
    followers: AffineFollowers, time_limit: float, seed: int = 0, *, known: Population | None = None, limit: int | None = STATISTICS
) -> Spread:
    """Maximise and minimise every statistic over the equilibria under a fixed decision.

    Parameters
    ----------
    followers : AffineFollowers
        With `theta` given.
    time_limit : float
        Seconds; when it is over, nothing is proved.
    known : Population, optional
        Not listed again.
    limit : int or None
        Of statistics; None for no limit.
    """
    deadline = time.perf_counter() + time_limit
    program = equilibrium_program(followers)
    T, J = program.statistics.shape
    all_of_them = limit is None or limit >= T * J
    rng = np.random.default_rng(seed)
    directions = np.eye(T * J).reshape(-1, T, J) if all_of_them else rng.standard_normal((DIRECTIONS, T, J))
    found: list[Population] = [] if known is None else [known]
    first, size, proved, programs = len(found), 0.0, all_of_them, 0
    for direction in directions:
        ends = []
        for sign in (1.0, -1.0):
            if time.perf_counter() >= deadline:
                return Spread(size, False, tuple(found[first:]), programs)
            value = EquilibriumValue(followers, direction=sign * direction)
            outcome = guarded_search(
                program.towards(sign * direction), value, time_limit=deadline - time.perf_counter(), confirm=False, seed=seed
            )
            programs += int(outcome.stats["solver_runs"])
            proved = proved and outcome.status is Status.OPTIMAL
            ends.append(outcome.bound)
            if outcome.best is not None and np.isfinite(outcome.best.value):
                _keep(found, outcome.best.response)
        size = max(size, float(sum(ends)))
    return Spread(size, proved, tuple(found[first:]), programs)


def _keep(found: list[Population], population: Population) -> None:
    """Append an equilibrium unless it is there."""
    if all(difference(population, other) > DIFFERENT for other in found):
        found.append(population)


def difference(a: Population, b: Population) -> float:
    """Largest difference between masses of states and actions."""
    flows: list[Array] = [operators.flow(p.mean_field, p.policy) for p in (a, b)]
    return float(np.abs(flows[0] - flows[1]).max())
