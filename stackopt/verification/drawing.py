"""The figure of a sweep: what is predicted and what is measured, over temperature, discount and mixing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from stackopt.comparison.drawing import INK, legend_below, look, panels, title
from stackopt.verification.sweep import AXES, BASE, Reading

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: The rows of panels: the quantity, and the bounds on it.
PANELS = (
    ("follower's loss", ("B2.1", "B2.1 a posteriori")),
    ("change of the soft response", ("B3.4",)),
    ("distance to the fixed point", ("B4.2", "B4.4")),
    ("leader's regret", ("B11.3",)),
)
#: Smaller figures are drawn here: rounding.
FLOOR = 1e-12
#: Series of `look`: measured first, then the bounds of a panel, so that equal styles mean equal things in a row.
MEASURED = 0


def bounds_figure(readings: Sequence[Reading]) -> Figure:
    """Measured quantities and their bounds: a row of panels per quantity, a column per axis of the sweep.

    Lines are medians over games, bands run from the smallest to the largest; each game is held against its own bound. A bound is drawn where it applies on
    at least one game; where it does not apply on all of them the count is written, 2/6 for two of six. Distances are measured
    where a bound on them applies. A violation is a black cross.

    Parameters
    ----------
    readings : sequence of Reading
        Of `sweep`.

    Raises
    ------
    MissingPackage
        If Matplotlib is not installed.
    """
    figure, axes = panels(len(AXES), len(PANELS), feature="a figure of bounds", width=3.9, height=2.7)
    for row, (quantity, references) in enumerate(PANELS):
        for column, axis in enumerate(AXES):
            ax = axes[row * len(AXES) + column]
            _panel(ax, [r for r in readings if r.axis == axis and r.reference in references], references)
            _scale(ax, axis)
            others = ", ".join(f"{name} {value:g}" for name, value in BASE.items() if name != axis)
            title(ax, f"{quantity}  [{', '.join(references)}]" if column == 0 else "")
            if row == len(PANELS) - 1:
                name = {"mixing": "share of a common law in the transitions"}.get(axis, axis)
                ax.set_xlabel(f"{name}\n({others})")
    legend_below(figure, axes)
    return figure


def _panel(ax: Axes, readings: list[Reading], references: Sequence[str]) -> None:
    points = sorted({r.at for r in readings})
    measured = [[max(r.measured, FLOOR) for r in readings if r.at == at and np.isfinite(r.measured)] for at in points]
    low, middle, high = ([float(f(v)) if v else np.nan for v in measured] for f in (np.min, np.median, np.max))
    ax.fill_between(points, low, high, color=look(MEASURED)["color"], alpha=0.18, linewidth=0)
    ax.plot(points, middle, label="measured: median of the games; every band runs from the least to the most", **look(MEASURED))
    shown = list(middle)
    for i, reference in enumerate(references):
        shown += _predicted(ax, [r for r in readings if r.reference == reference], reference, i)
    wrong = [r for r in readings if r.violated]
    if wrong:
        ax.plot([r.at for r in wrong], [max(r.measured, FLOOR) for r in wrong], "x", color=INK, markersize=9, label="VIOLATED")
        shown += [r.measured for r in wrong]
    known = [v for v in shown if np.isfinite(v)]
    if known:  # a band that reaches down to rounding would flatten everything else
        ax.set_ylim(max(0.2 * min(known), FLOOR), 4.0 * max(known + [v for v in high if np.isfinite(v)]))


def _predicted(ax: Axes, readings: list[Reading], reference: str, number: int) -> list[float]:
    """Draw one bound; the medians drawn, NaN where it applies nowhere."""
    style = look(1 + number)
    points = sorted({r.at for r in readings})
    applying = [[r.predicted for r in readings if r.at == at and r.applies] for at in points]
    medians = [max(float(np.median(values)), FLOOR) if values else np.nan for values in applying]
    least, most = ([max(float(f(values)), FLOOR) if values else np.nan for values in applying] for f in (np.min, np.max))
    ax.fill_between(points, least, most, color=style["color"], alpha=0.10, linewidth=0)
    label = ("predicted, the first bound named" if number == 0 else "predicted, the second") + ": median where it applies"
    ax.plot(points, medians, label=label, **style)
    for at, values, median in zip(points, applying, medians):
        games = sum(r.at == at for r in readings)
        if len(values) < games:
            place, system = ((at, median), "data") if values else ((at, 0.03), ("data", "axes fraction"))
            text = f"{len(values)}/{games}"
            ax.annotate(text, place, xycoords=system, xytext=(0, 7 + 9 * number), textcoords="offset points", ha="center", fontsize=7, color=style["color"])
    return medians


def _scale(ax: Axes, axis: str) -> None:
    ax.set_yscale("log")
    if axis == "temperature":
        ax.set_xscale("log")
        ax.set_xlim(0.7 * min(AXES[axis]), 1.4 * max(AXES[axis]))
    else:
        ax.set_xlim(-0.05, 1.05)
