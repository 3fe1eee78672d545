"""Progress of a comparison: one redrawn line on a terminal or in a notebook, nothing where output is piped.

A bar appears after half a second, so that short work prints nothing. Elsewhere the log ``stackopt`` has one line per cell.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

from stackopt.solution import Progress

#: Seconds of work before anything is drawn, and between two drawings.
PATIENCE, REFRESH = 0.5, 0.1


def wanted() -> bool:
    """Whether somebody is watching: standard error is a terminal, or this is a notebook."""
    return "ipykernel" in sys.modules or (sys.stderr is not None and sys.stderr.isatty())


class Bar:
    """A context that draws the progress it is called with.

    Examples
    --------
    >>> from stackopt import Progress
    >>> with Bar() as bar:
    ...     bar(Progress("cells", 1, 6))
    """

    def __init__(self) -> None:
        self._display: Any = None
        self._started = self._drawn = time.monotonic()
        self._cells = self._detail = ""
        self._done, self._total = 0, 1

    def __enter__(self) -> Bar:
        return self

    def __call__(self, progress: Progress) -> None:
        """Draw the line anew, at most ten times a second."""
        if progress.stage.startswith("cells"):
            self._done, self._total = progress.done, progress.total or 1
            self._cells, self._detail = progress.stage.removeprefix("cells").strip(), ""
        else:
            residual = "" if progress.residual is None else f"  {progress.residual:.1e}"
            self._detail = f"{progress.stage} {progress.done}{residual}"
        now = time.monotonic()
        if now - self._started < PATIENCE or now - self._drawn < REFRESH:
            return
        self._drawn = now
        if self._display is None:
            self._display = self._open()
        self._display.update(0, completed=self._done, total=self._total, cells=self._cells, detail=self._detail)

    def _open(self) -> Any:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Display

        columns = (
            TextColumn("cells"), MofNCompleteColumn(), BarColumn(bar_width=12), TimeElapsedColumn(),
            TextColumn("{task.fields[cells]}", markup=False), TextColumn("{task.fields[detail]}", markup=False),
        )
        display = Display(*columns, console=Console(stderr=True), transient=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
        display.add_task("", total=self._total, cells="", detail="")
        display.start()
        return _Redrawn(display)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._display is not None:
            self._display.display.stop()


class _Redrawn:
    """A rich display that redraws on every update."""

    def __init__(self, display: Any) -> None:
        self.display = display

    def update(self, task: int, **fields: Any) -> None:
        self.display.update(task, **fields)
        self.display.refresh()
