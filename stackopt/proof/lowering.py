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


def pair_numbers(system: System, mpec: Mpec) -> list[int]:
    """For each pair of an `Mpec` the number that the checker gives it.

    A pair is a side of a follower's row or of the bounds of a follower's variable; both forms hold the same sides, in different orders.

    Parameters
    ----------
    system : System
    mpec : Mpec
        Of the same program, in whatever units.
    """
    place = {(kind, i): p for p, (kind, i, _) in enumerate(system.pairs)}
    row_of = row_numbers(mpec)
    found = list[int]()
    for row, column, side in zip(mpec.pair_row.tolist(), mpec.pair_column.tolist(), mpec.pair_side.tolist()):
        found.append(place["row", row_of[row, side]] if row >= 0 else place["lb" if side < 0 else "ub", column])
    return found


def row_numbers(mpec: Mpec) -> dict[tuple[int, int], int]:
    """The checker's number of each side (-1 lower, +1 upper, 0 equation) of each follower row of an `Mpec`."""
    found, at = dict[tuple[int, int], int](), 0
    for k in range(int(mpec.owner.max(initial=-1)) + 1 if not len(mpec.follower_of_row) else int(max(mpec.follower_of_row.max(), mpec.owner.max())) + 1):
        for row in np.flatnonzero(mpec.follower_of_row == k).tolist():
            low, high = mpec.follower_lower[row], mpec.follower_upper[row]
            sides = (0,) if low == high else tuple(s for s, b in ((-1, low), (1, high)) if np.isfinite(b))
            for side in sides:
                found[row, side], at = at, at + 1
        at += int((mpec.owner == k).sum())  # stationarity
    return found
