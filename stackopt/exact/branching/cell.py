"""A cell of the search: for each complementarity pair tight, zero or undecided, and ranges of the leader's integers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackopt.programs.mpec import Mpec

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Decisions = NDArray[np.int8]

#: What has been decided of a pair: nothing, that its slack is zero, that its multiplier is zero.
OPEN, TIGHT, ZERO = 0, 1, 2


@dataclass(eq=False, slots=True)
class Cell:
    """A part of the feasible set; the cells that are open and those that were closed cover all of it.

    Attributes
    ----------
    decisions : int8 array [P]
        OPEN, TIGHT or ZERO.
    lower, upper : array [I]
        Ranges of the integer columns.
    bound : float
        A lower bound on the (minimised) leader's value in the cell.
    depth : int
    basis : object
        Where the simplex method may begin.
    floor : array [P] or None
        Lower bounds on the parts of the cell in which each pair is tight.
    seen : (point [n], slacks [P], value) or None
        The optimum of the cell's relaxation, where it is known already.
    """

    decisions: Decisions
    lower: Array
    upper: Array
    bound: float = -np.inf
    depth: int = 0
    basis: Any = None
    floor: Array | None = None
    seen: tuple[Array, Array, float] | None = None

    def decided(self, pair: int, how: int) -> Cell:
        """The part in which a pair is TIGHT or ZERO."""
        decisions = self.decisions.copy()
        decisions[pair] = how
        return Cell(decisions, self.lower, self.upper, self.bound, self.depth + 1, self.basis)

    def split(self, column: int, value: float) -> tuple[Cell, Cell]:
        """The parts at or below the whole number under `value`, and above it; `column` counts integer columns."""
        below, above = self.upper.copy(), self.lower.copy()
        below[column], above[column] = np.floor(value), np.floor(value) + 1
        first = Cell(self.decisions, self.lower, below, self.bound, self.depth + 1, self.basis)
        return first, Cell(self.decisions, above, self.upper, self.bound, self.depth + 1, self.basis)


def root(mpec: Mpec) -> Cell:
    """The whole feasible set; bounds of integer columns are rounded inwards."""
    whole = np.flatnonzero(mpec.integer)
    return Cell(np.zeros(mpec.pairs, np.int8), np.ceil(mpec.lower[whole] - 1e-9), np.floor(mpec.upper[whole] + 1e-9))


class Sides:
    """Bounds of variables and follower rows in a cell.

    A tight upper side raises the lower bound to it, a tight lower side lowers the upper bound: two decisions about one row or
    variable cannot overwrite each other. Both sides tight cross the bounds, and the cell is empty.
    """

    def __init__(self, mpec: Mpec) -> None:
        n = mpec.variables
        self.lower, self.upper = mpec.lower[:n].copy(), mpec.upper[:n].copy()
        self.row_lower, self.row_upper = mpec.follower_lower.copy(), mpec.follower_upper.copy()
        self.whole = np.flatnonzero(mpec.integer)
        self.groups = []
        for rows in (True, False):
            for side in (1, -1):
                pairs = np.flatnonzero(((mpec.pair_row >= 0) == rows) & (mpec.pair_side == side))
                place = (mpec.pair_row if rows else mpec.pair_column)[pairs]
                low, high = (self.row_lower, self.row_upper) if rows else (self.lower, self.upper)
                self.groups.append((rows, side, pairs, place, (high if side > 0 else low)[place]))

    def of(self, cell: Cell) -> tuple[Array, Array, Array, Array, bool]:
        """(lower [n], upper [n], row lower [m_F], row upper [m_F], whether some cross)."""
        lower, upper = self.lower.copy(), self.upper.copy()
        row_lower, row_upper = self.row_lower.copy(), self.row_upper.copy()
        lower[self.whole], upper[self.whole] = cell.lower, cell.upper
        tight = cell.decisions == TIGHT
        for rows, side, pairs, place, at in self.groups:
            chosen = tight[pairs]
            if side > 0:
                (row_lower if rows else lower)[place[chosen]] = at[chosen]
            else:
                (row_upper if rows else upper)[place[chosen]] = at[chosen]
        return lower, upper, row_lower, row_upper, bool((lower > upper).any() or (row_lower > row_upper).any())
