"""Progress of a comparison: one redrawn line on a terminal or in a notebook, nothing where output is piped.

A bar appears after half a second, so that short work prints nothing. Elsewhere the log ``stackopt`` has one line per cell.
"""

from __future__ import annotations

import sys
import threading
from types import TracebackType
from typing import Any

from stackopt.solution import Progress

#: Seconds of work before anything is drawn, and drawings a second.
PATIENCE, REFRESH = 0.5, 8


def wanted() -> bool:
    """Whether somebody is watching: standard error is a terminal, or this is a notebook."""
    return "ipykernel" in sys.modules or (sys.stderr is not None and sys.stderr.isatty())


class Bar:
    """A context that draws the progress it is called with.

    Parameters
    ----------
    head : str
        Progress whose stage starts with this word moves the bar; other stages are shown as detail behind it. Empty: all
        progress moves the bar.

    Examples
    --------
    >>> from stackopt import Progress
    >>> with Bar("cells") as bar:
    ...     bar(Progress("cells", 1, 6))
    """

    def __init__(self, head: str = "") -> None:
        self._head = head
        self._display = _display(head)
        self._task = self._display.add_task("", total=None, stage="", detail="")
        self._lock = threading.Lock()
        self._closed = False
        self._patience = threading.Timer(PATIENCE, self._appear)
        self._patience.daemon = True

    def __enter__(self) -> Bar:
        self._patience.start()
        return self

    def _appear(self) -> None:
        with self._lock:
            if not self._closed:
                self._display.start()

    def __call__(self, progress: Progress) -> None:
        """Take note; the line is redrawn several times a second by itself, so that a long silent step shows its time."""
        residual = "" if progress.residual is None else f"residual {progress.residual:.1e}"
        if progress.stage.startswith(self._head):
            stage = progress.stage.removeprefix(self._head).strip()
            self._display.update(self._task, completed=progress.done, total=progress.total, stage=stage, detail=residual)
        else:
            self._display.update(self._task, detail=residual or f"step {progress.done}")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._patience.cancel()
        with self._lock:
            self._closed = True
            self._display.stop()


def _display(head: str) -> Any:
    """One line: count, bar, time, what is being done, its residual. It vanishes when the work is done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Display

    columns = (
        TextColumn(head, markup=False), MofNCompleteColumn(), BarColumn(bar_width=10), TimeElapsedColumn(),
        TextColumn("{task.fields[stage]}", markup=False), TextColumn("{task.fields[detail]}", markup=False),
    )
    return Display(*columns, console=Console(stderr=True), transient=True, refresh_per_second=REFRESH, redirect_stdout=False, redirect_stderr=False)
