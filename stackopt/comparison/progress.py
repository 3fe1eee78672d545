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
        self._display: Any = None
        self._started, self._drawn = time.monotonic(), -1.0
        self._fields: dict[str, Any] = {"completed": 0, "total": None, "stage": "", "detail": ""}

    def __enter__(self) -> Bar:
        return self

    def __call__(self, progress: Progress) -> None:
        """Draw the line anew, at most ten times a second."""
        residual = "" if progress.residual is None else f"residual {progress.residual:.1e}"
        if progress.stage.startswith(self._head):
            stage = progress.stage.removeprefix(self._head).strip()
            self._fields = {"completed": progress.done, "total": progress.total, "stage": stage, "detail": residual}
        else:
            self._fields["detail"] = residual or f"step {progress.done}"
        now = time.monotonic()
        if now - self._started >= PATIENCE and now - self._drawn >= REFRESH:
            self._drawn = now
            if self._display is None:
                self._display = _display(self._head)
                self._display.add_task("", stage="", detail="")
                self._display.start()
            self._display.update(0, **self._fields)
            self._display.refresh()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._display is not None:
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
    return Display(*columns, console=Console(stderr=True), transient=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
