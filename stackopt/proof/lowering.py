"""A `BilevelProgram` as the checker reads it: its JSON text, the system that `check.lower` makes of it, and which pair is which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stackopt.proof.check import Rejected, System, load, lower

if TYPE_CHECKING:
    from stackopt.bilevel.program import BilevelProgram
    from stackopt.programs.mpec import Mpec


@dataclass(frozen=True, eq=False)
class Lowered:
    """What a proof of a program speaks of.

    Attributes
    ----------
    text : str
        The program as `stackopt.write` writes it: every float as the shortest decimal that reads back as the same float.
    system : System
        What the checker makes of the text.
    """

    text: str
    system: System


def lowered(program: BilevelProgram) -> Lowered | str:
    """The text and the system, or why the checker does not cover the program.

    Returns
    -------
    Lowered or str
    """
    from stackopt.bilevel.json_file import text, to_record
    from stackopt.errors import InvalidProgram

    try:
        written = text(to_record(program))
        return Lowered(written, lower(load(written)))
    except Rejected as why:
        return str(why)
    except InvalidProgram:
        return "it has no JSON form"


@dataclass(frozen=True)
class Places:
    """Where the rows and multipliers of an `Mpec` are in the checker's system; a side is -1 lower, +1 upper, 0 equation.

    Attributes
    ----------
    follower_rows, leader_rows : dict of (row, side) to row
    stationarity : dict of variable to row
    multipliers : dict of (follower row or -1, variable or -1, side) to column
    """

    follower_rows: dict[tuple[int, int], int]
    leader_rows: dict[tuple[int, int], int]
    stationarity: dict[int, int]
    multipliers: dict[tuple[int, int, int], int]


def places(mpec: Mpec) -> Places:
    """The checker's order: of each follower its rows, then the bounds of its variables, then stationarity; the leader's rows last.

    Parameters
    ----------
    mpec : Mpec
        In whatever units.
    """
    found = Places({}, {}, {}, {})
    row, column = 0, mpec.variables
    for k in range(max(mpec.follower_of_row.max(initial=-1), mpec.owner.max(initial=-1)) + 1):
        for i in np.flatnonzero(mpec.follower_of_row == k).tolist():
            for side in _sides(mpec.follower_lower[i], mpec.follower_upper[i]):
                found.follower_rows[i, side], found.multipliers[i, -1, side] = row, column
                row, column = row + 1, column + 1
        mine = np.flatnonzero(mpec.owner == k).tolist()
        for j in mine:
            for side in _sides(mpec.lower[j], mpec.upper[j]):
                found.multipliers[-1, j, side], column = column, column + 1
        for j in mine:
            found.stationarity[j], row = row, row + 1
    for i, (low, high) in enumerate(zip(mpec.leader_lower.tolist(), mpec.leader_upper.tolist())):
        for side in _sides(low, high):
            found.leader_rows[i, side], row = row, row + 1
    return found


def columns(mpec: Mpec) -> tuple[list[int], list[float]]:
    """Where each column of an `Mpec` is in the checker's system, and its sign there: multipliers of equations have the other one."""
    where, n = places(mpec).multipliers, mpec.variables
    pairs = [where[key] for key in zip(mpec.pair_row.tolist(), mpec.pair_column.tolist(), mpec.pair_side.tolist())]
    free = [where[row, column, 0] for row, column in zip(mpec.free_row.tolist(), mpec.free_column.tolist())]
    return [*range(n), *pairs, *free], [1.0] * (n + len(pairs)) + [-1.0] * len(free)


def pair_numbers(system: System, mpec: Mpec) -> list[int]:
    """For each pair of an `Mpec` the number that the checker gives it: both forms have the same sides, in different orders."""
    number = {m: p for p, (_, _, m) in enumerate(system.pairs)}
    where = places(mpec).multipliers
    return [number[where[key]] for key in zip(mpec.pair_row.tolist(), mpec.pair_column.tolist(), mpec.pair_side.tolist())]


def _sides(low: float, high: float) -> tuple[int, ...]:
    if low == high:
        return (0,)
    return tuple(side for side, b in ((-1, low), (1, high)) if np.isfinite(b))
