"""Designs of a run that was stopped: each is in a file as soon as it is found, and the next run goes on from there.

What is read back is only where to look: every point is examined like one just found, so a file of another study costs time, never truth.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stackopt.comparison.compare import Interrupted
from stackopt.comparison.files import output
from stackopt.energy.designs.design import Design

Array = NDArray[np.float64]

#: Of the file.
SCHEMA = "stackopt.design-points/1"


class Unfinished:
    """The points of one run, in a file or, without one, nowhere.

    Attributes
    ----------
    path : Path or None
    known : dict of limit to array
        `Design.z` by limit; infinite for the design without the limit.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.known: dict[float, Array] = {}
        if path is None or not path.exists():
            return
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            if stored["schema"] == SCHEMA:
                self.known = {math.inf if p["limit"] is None else float(p["limit"]): np.array(p["z"], float) for p in stored["points"]}
        except (OSError, ValueError, KeyError, TypeError):
            self.known = {}  # nothing that can be read: everything is searched for

    def keep(self, limit: float, found: Design) -> None:
        """Store a design that converged.

        Raises
        ------
        InvalidOutput
            ``output`` where the file cannot be written.
        """
        if not found.status.success or found.z is None:
            return
        self.known[float(limit)] = found.z
        if self.path is not None:
            points = [{"limit": limit if math.isfinite(limit) else None, "z": z.tolist()} for limit, z in self.known.items()]
            output(self.path, (json.dumps({"schema": SCHEMA, "points": points}, allow_nan=False) + "\n").encode())

    def done(self) -> None:
        """Everything is found: the file is no longer needed."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


@contextlib.contextmanager
def resumable(path: Path | None) -> Iterator[Unfinished]:
    """Points of an earlier run that was stopped; the file goes when this one ends.

    Raises
    ------
    Interrupted
        On Ctrl-C, with how many points the file keeps.
    """
    run = Unfinished(path)
    try:
        yield run
    except KeyboardInterrupt:
        if path is None or not run.known:
            raise
        many = f"{len(run.known)} designs are" if len(run.known) > 1 else "one design is"
        raise Interrupted(f"Interrupted: {many} kept in {path}; the same command goes on from there.") from None
    run.done()
