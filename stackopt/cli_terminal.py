"""What the commands share at the terminal: options read, lines written, progress shown, processes started."""

from __future__ import annotations

import ast
import contextlib
import io
import shutil
import signal
import textwrap
from collections.abc import Iterator
from typing import Any

import typer


def told(label: str, text: str) -> None:
    """One labelled line, wrapped to the terminal."""
    width = shutil.get_terminal_size((81, 24)).columns
    typer.echo(textwrap.fill(text, width, initial_indent=f"  {label:<5}  ", subsequent_indent=" " * 9, break_long_words=False, break_on_hyphens=False))


def parsed(settings: list[str] | None) -> dict[str, Any]:
    """``name=value`` options as a dict; values are Python literals where they parse, else text."""
    found: dict[str, Any] = {}
    for setting in settings or ():
        name, equals, value = setting.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{setting!r} is not NAME=VALUE", param_hint="--set")
        try:
            found[name.strip()] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            found[name.strip()] = {"true": True, "false": False}.get(value.lower(), value)
    return found


def numbers(text: str | None) -> tuple[float, ...] | None:
    """``0.5,0.1`` as numbers."""
    if text is None:
        return None
    try:
        return tuple(dict.fromkeys(float(part) for part in text.split(",")))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a list of numbers such as 0.5,0.1", param_hint="--temperatures") from None


def drawn(figure: Any) -> bytes:
    """A figure as SVG, equal bytes for equal figures."""
    import matplotlib

    stream = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "stackopt"}):
        figure.savefig(stream, format="svg", metadata={"Date": None}, bbox_inches="tight")
    return stream.getvalue()


@contextlib.contextmanager
def watching() -> Iterator[Any]:
    """A progress line where somebody is watching, else nothing."""
    from stackopt.comparison.progress import Bar, wanted

    if not wanted():
        yield None
        return
    with Bar() as bar:
        yield bar


@contextlib.contextmanager
def workers(jobs: int) -> Iterator[Any]:
    """A map over `jobs` processes; the builtin for one. Ctrl-C ends them at once: their files are whole or absent."""
    if jobs == 1:
        yield map
        return
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), initializer=_ignore_interrupts)
    try:
        yield pool.map
    except BaseException:
        for child in multiprocessing.active_children():
            child.terminate()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
