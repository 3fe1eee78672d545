"""`Diagnosis`: why a bilevel program has no solution, with its witness, and how the pieces of its sentence are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stackopt.bilevel.point import Array, Point
from stackopt.bilevel.program import BilevelProgram
from stackopt.display import number

#: Rows and variables named in a sentence; the rest is counted.
SHOWN = 6


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """Why there is no solution.

    Attributes
    ----------
    kind : str
        ``"leader rows"``, ``"follower rows"``, ``"follower unbounded"``, ``"coupling rows"``, ``"all rows"``, ``"no response"``,
        ``"unbounded"``, or ``"unknown"`` if nothing was shown in the time.
    because : str
        The reason in a sentence, in the user's names.
    rows : tuple of str
        The rows it names.
    nearest : str
        For coupling rows: the closest that optimal responses come, and where.
    nearest_point : Point or None
    ray : mapping of str to float
        Direction by variable, entries that are not zero.
    proof : str
        For coupling rows that exclude every feasible response: the rows that contradict each other whoever decides.
    """

    kind: str
    because: str
    rows: tuple[str, ...] = ()
    nearest: str = ""
    nearest_point: Point | None = None
    ray: Mapping[str, float] = field(default_factory=dict)
    proof: str = ""

    @property
    def lines(self) -> tuple[tuple[str, str], ...]:
        """The rows that a printed solution shows."""
        found = [("why", self.because)]
        found += [("nearest", self.nearest)] if self.nearest else []
        found += [("proof", self.proof)] if self.proof else []
        found += [("note", "as a row of the follower it would be a different problem")] if self.kind == "coupling rows" else []
        return tuple(found)

    def __str__(self) -> str:
        return self.because + (f"; nearest: {self.nearest}" if self.nearest else "")


def joined(parts: Sequence[str]) -> str:
    """A list in a sentence."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def values_shown(program: BilevelProgram, values: Array, columns: Any) -> str:
    """Variables and their values."""
    shown = [f"{program.names[j]} = {number(values[j] + 0.0)}" for j in columns[:SHOWN]]
    return ", ".join(shown) + (f" and {len(columns) - SHOWN} more" if len(columns) > SHOWN else "") if len(columns) else "no decision of others"


def ray_shown(along: Mapping[str, float]) -> str:
    """A direction."""
    shown = [f"{'+' if d > 0 else ''}{number(d)} {name}" for name, d in list(along.items())[:SHOWN]]
    return "(" + ", ".join(shown) + ")"
