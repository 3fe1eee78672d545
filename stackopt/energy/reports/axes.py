"""What figures of a tariff study share: their widths, panels on one scale, hours of a day, numbers beside marks.

Widths are those of a journal's column and page, letters are 8 points there, so that a file needs no scaling in print.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from stackopt.comparison import drawing
from stackopt.comparison.drawing import COLOURS, INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Point = tuple[float, float]

#: Inches: two columns of a journal, one and a half, one.
PAGE, MIDDLE, COLUMN = 7.16, 5.2, 3.5
#: Points: of letters, panel titles, legends.
SIZE, TITLE, LEGEND = 8.0, 8.5, 7.5
#: Hours at which a day is marked.
HOURS = (0, 6, 12, 18, 24)
#: Inches that legend and axis label take below a grid of panels.
LEGEND_HEIGHT = 0.5
#: Marks, fills and words of the kinds of household.
KIND_MARKS = {"C": "o", "PV": "s", "PVB": "^"}
KIND_WORDS = {"C": "consumer", "PV": "with panels", "PVB": "with panels and battery"}
HATCHES = ("", "////", "xx", "----", "\\\\\\\\", "||||", "++")  # no dots: each is a curve of its own in the file


def frame(columns: int, rows: int = 1, *, width: float = PAGE, height: float = 2.2, **rest: Any) -> tuple[Figure, list[Axes]]:
    """A figure `width` inches wide with panels `height` inches high, row by row."""
    figure, axes = drawing.panels(columns, rows, feature="a figure", width=width / columns, height=height, size=SIZE, **rest)
    for ax in axes:
        ax.tick_params(length=2.5, pad=2)
    return figure, axes


def title(ax: Axes, text: str) -> None:
    """The title of a panel, flush left, in lines that the panel has room for."""
    grid = ax.get_gridspec()
    width = ax.figure.get_figwidth() / (grid.ncols if grid is not None else 1) - 0.4  # type: ignore[union-attr]
    drawing.title(ax, textwrap.fill(text, max(8, int(width / (0.0085 * TITLE)))), TITLE)


def legend(figure: Figure, axes: Iterable[Axes], columns: int = 3) -> None:
    """One legend under all panels, in at most so many columns as its words leave room for."""
    axes = list(axes)
    longest = max((len(label) for ax in axes for label in ax.get_legend_handles_labels()[1]), default=1)
    room = int(figure.get_figwidth() / (0.65 + 0.0085 * LEGEND * longest))  # inches: the mark, and letters of average width
    drawing.legend_below(figure, axes, LEGEND, max(1, min(columns, room)))


def across(count: int) -> int:
    """Panels in a row: three, or two or four where that leaves less empty."""
    return min(count, 2 if count == 4 else 4 if count in (7, 8) or count > 9 else 3) or 1


def grid(names: Sequence[str], *, height: float = 1.75, **rest: Any) -> tuple[Figure, list[Axes]]:
    """A panel for each name, titled; panels left over are hidden. One or two panels take no more than their share of the page."""
    columns = across(len(names))
    rows = max(1, math.ceil(len(names) / columns))
    figure, axes = frame(columns, rows, width=PAGE if columns > 2 else MIDDLE, height=height + LEGEND_HEIGHT / rows, **rest)
    for ax, name in zip(axes, names, strict=False):
        title(ax, name)
    for ax in axes[len(names) :]:
        ax.set_visible(False)
    return figure, axes[: len(names)]


def lowest(axes: Sequence[Axes]) -> list[Axes]:
    """Panels of a grid with no panel below them."""
    return [ax for k, ax in enumerate(axes) if k + across(len(axes)) >= len(axes)]


def leftmost(axes: Sequence[Axes]) -> list[Axes]:
    """Panels at the left edge."""
    return [ax for ax in axes if ax.get_subplotspec().is_first_col()]  # type: ignore[union-attr]


def same_scale(axes: Sequence[Axes], *, zero: bool = True) -> None:
    """One vertical scale for all panels; with 0 on it where a length is read."""
    low, high = min(ax.get_ylim()[0] for ax in axes), max(ax.get_ylim()[1] for ax in axes)
    for ax in axes:
        ax.set_ylim(min(low, 0.0) if zero else low, max(high, 0.0) if zero else high)


def hours(ax: Axes) -> None:
    """A day from 0 to 24."""
    ax.set_xlim(0, 24)
    ax.set_xticks(HOURS)


def day(values: Sequence[float]) -> tuple[list[int], list[float]]:
    """Hours 0 to 24 and 24 values with the first once more at the end: a day is cyclic, and its last hour is as wide as the others."""
    return list(range(len(values) + 1)), [*values, values[0]]


#: Where a number may stand beside its mark, points to the right and up, best first.
_PLACES = ((8, 5), (-8, 5), (8, -6), (-8, -6), (0, 10), (0, -11), (14, 0), (-14, 0), (12, 11), (-12, 11), (12, -12), (-12, -12))


def numbered(ax: Axes, points: Sequence[Point], others: Sequence[Point], first: int, room: Point) -> None:
    """Marks with their numbers beside them, each where it is clear of other marks and numbers; a diamond for the one at `first`.

    Parameters
    ----------
    ax : Axes
    points, others : sequences of (x, y)
        What is numbered, and what else is drawn.
    first : int
        Of today's tariff; -1 for none.
    room : (width, height)
        Of the panel, points. Marks outside the limits that the axes have already are left out, with their numbers.
    """
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    spots = [(room[0] * (x - left) / ((right - left) or 1.0), room[1] * (y - low) / ((high - low) or 1.0)) for x, y in [*points, *others]]
    seen = [0.0 <= u <= room[0] and 0.0 <= v <= room[1] for u, v in spots]
    taken = [spot for spot, inside in zip(spots, seen, strict=True) if inside]
    for k, (x, y) in enumerate(points):
        if not seen[k]:
            continue
        ax.plot([x], [y], linestyle="none", marker="D" if k == first else "o", markersize=5, color=COLOURS[1] if k == first else INK)
        clear = []
        for dx, dy in _PLACES:
            u, v = spots[k][0] + dx, spots[k][1] + dy
            outside = not (4.0 <= u <= room[0] - 4.0 and 4.0 <= v <= room[1] - 4.0)
            clear.append(min(9.0, *(math.hypot(u - a, v - b) for a, b in taken)) - 20.0 * outside)
        dx, dy = _PLACES[clear.index(max(clear))]
        taken.append((spots[k][0] + dx, spots[k][1] + dy))
        ax.annotate(str(k + 1), (x, y), xytext=(dx, dy), textcoords="offset points", ha="center", va="center", fontsize=SIZE, color=INK)
