"""Batteries of several types as the own part of a mean-field game: which moves there are, where they lead, and which cannot be made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stackopt.energy.households import Battery, Households
from stackopt.errors import InvalidStudy

Array = NDArray[np.float64]

#: $ that a move costs which the charge does not allow; a game offers every action in every state.
IMPOSSIBLE = 5.0
#: Per hour. Nearer to 1 adjoints lose digits that the equilibrium would gain.
DISCOUNT = 1.0 - 1e-6


@dataclass(frozen=True, eq=False)
class Moves:
    """Of the k types with a battery, on one grid of levels c and moves a that holds them all.

    Attributes
    ----------
    players, members : int arrays
        Types that play, and those of them with a battery (numbers of types).
    charge, worn : arrays [k, a]
        kWh from the meter, and $ of wear; a move that a battery does not have counts as idle.
    target : int array [k or 1, c, a]
        Levels that moves lead to; one row where all batteries are the same.
    cost : array [k or 1, c, a]
        0, or -`IMPOSSIBLE` where a move cannot be made: it leaves the charge as it is.
    names : tuple of str
        Of moves, by the first battery.
    """

    players: NDArray[np.int64]
    members: NDArray[np.int64]
    charge: Array
    worn: Array
    target: NDArray[np.int64]
    cost: Array
    names: tuple[str, ...]

    @classmethod
    def of(cls, households: Households, everyone: bool) -> Moves:
        """The moves of a population.

        Raises
        ------
        InvalidStudy
            ``setting-value`` without a battery anywhere, or where nobody has those that there are.
        """
        types = households.types
        members = np.array([i for i, t in enumerate(types) if t.battery is not None], int)
        batteries: list[Battery] = [t.battery for t in types if t.battery is not None]
        if not batteries or not households.share[members].sum() > 0.0:
            law = "types of which some have a battery and a share of the households: nobody else has anything to decide"
            raise InvalidStudy("setting-value", name="types", law=law, got=f"{len(types)} types, {len(batteries)} with a battery")
        reach, C = max(b.reach for b in batteries), max(b.levels for b in batteries)
        A = 2 * reach + 1
        charge, worn = np.zeros((len(batteries), A)), np.zeros((len(batteries), A))
        for k, battery in enumerate(batteries):
            own = slice(reach - battery.reach, reach + battery.reach + 1)
            charge[k, own], worn[k, own] = battery.metered, battery.worn
        kinds = [batteries[0]] if all(b == batteries[0] for b in batteries) else batteries
        target, cost = np.empty((len(kinds), C, A), np.int64), np.zeros((len(kinds), C, A))
        level, move = np.arange(C)[:, None], np.arange(A) - reach
        for k, battery in enumerate(kinds):
            to = level + move
            possible = (np.abs(move) <= battery.reach) & (to >= 0) & (to < battery.levels)
            target[k] = np.minimum(np.where(possible, to, level), battery.levels - 1)  # levels that a battery lacks are left at once
            cost[k] = np.where(possible | (move == 0), 0.0, -IMPOSSIBLE)
        step = batteries[0].step
        names = tuple(f"{'charge' if m > 0 else 'discharge'} {abs(m) * step:.4g} kWh" if m else "idle" for m in range(-reach, reach + 1))
        players = np.arange(len(types)) if everyone else members
        return cls(players, members, charge, worn, target, cost, names)

    @property
    def possible(self) -> NDArray[np.bool_]:
        """Whether a move can be made [k or 1, c, a]."""
        found: NDArray[np.bool_] = self.cost == 0.0
        return found

    @property
    def actions(self) -> int:
        """Moves."""
        return len(self.names)

    @property
    def idle(self) -> int:
        """The move of nothing."""
        return len(self.names) // 2

    @property
    def levels(self) -> int:
        """Of charge."""
        return int(self.target.shape[1])

    def target_of_all(self, types: int) -> NDArray[np.int64]:
        """`target` of all types [i or 1, c, a]; those without a battery move the first one, for nothing."""
        if len(self.target) == 1:
            return self.target
        row = np.zeros(types, int)
        row[self.members] = np.arange(len(self.members))
        return self.target[row]

    def cost_of_all(self, types: int) -> Array:
        """`cost` of all types [i, c, a]; nothing without a battery."""
        found = np.zeros((types, *self.cost.shape[1:]))
        found[self.members] = self.cost
        return found

    def states(self, households: Households) -> list[str]:
        """Names of (weather, charge), weather major."""
        top = self.levels - 1
        return [f"{100 * c / top:.4g} % charged, {w}" for w in households.weather.names for c in range(top + 1)]
