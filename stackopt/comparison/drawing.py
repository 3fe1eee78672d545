"""How every figure here is drawn: palette, markers, dashes, and the step from a Matplotlib figure to inline SVG.

Matplotlib is imported inside functions and without pyplot: a `Figure` belongs to its caller, nothing global changes.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from stackopt.errors import MissingPackage

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: The four Okabe-Ito colours with at least 3:1 contrast on white; each comes with its own marker and dash.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
#: Seven of each, so that up to seven series differ without their colours.
MARKERS = ("o", "s", "^", "D", "P", "X", "*")
DASHES: tuple[Any, ...] = (
    "-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)), (0, (9, 2)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 3)),
)  # fmt: skip
#: Ink, secondary ink and grid of a figure. Inline SVG replaces them by the page's own, so that dark themes and print work.
INK, SOFT, GRID = "#1c2126", "#5b6670", "#d9dee3"
#: Steps of a map from 0 (nearly paper) to large, blue for above 0 and vermillion for below; a page in dark has its own.
ABOVE = ("#d9e9f5", "#a9cfe8", "#6fb0d9", "#3a8cc4", "#0c66a3", "#074778")
BELOW = ("#fbe3d4", "#f6bf9c", "#ee965f", "#dc6c26", "#b14d0c", "#7d3405")
_PAGE = {
    INK: "ink", SOFT: "soft", GRID: "grid", "#ffffff": "paper", **{c: f"series-{i + 1}" for i, c in enumerate(COLOURS)},
    **{c: f"above-{i + 1}" for i, c in enumerate(ABOVE)}, **{c: f"below-{i + 1}" for i, c in enumerate(BELOW)},
}  # fmt: skip

_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "figure.facecolor": "#ffffff",
    "axes.facecolor": "#ffffff",
    "lines.linewidth": 1.6,
    "lines.markersize": 5.5,
    "svg.fonttype": "path",
}


def panels(
    columns: int, rows: int = 1, *, feature: str, width: float = 4.6, height: float = 3.7, size: float = 9.5, **rest: Any
) -> tuple[Figure, list[Axes]]:
    """A figure of `rows` x `columns` panels (inches each) and its axes, row by row; letters of `size` points, `rest` as of ``Figure.subplots``.

    Raises
    ------
    MissingPackage
        If Matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingPackage("package", feature=feature, package="stackopt[report]") from None
    with rc_context({**_STYLE, "font.size": size}):
        figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, **rest)
    return figure, [a for row in axes for a in row]


def look(series: int) -> dict[str, Any]:
    """Colour, marker and dash of the series with this number: never colour alone."""
    colour, i = COLOURS[series % len(COLOURS)], series % len(MARKERS)
    return {"color": colour, "marker": MARKERS[i], "linestyle": DASHES[i], "markeredgecolor": colour}


def plain(text: str) -> str:
    """Names and units as they are: a dollar starts no formula."""
    return text.replace("$", r"\$")


def title(axes: Axes, text: str, size: float = 10.5) -> None:
    """The title of a panel, flush left."""
    axes.set_title(plain(text), loc="left", fontsize=size, fontweight="bold")


def legend_below(figure: Figure, axes: Iterable[Axes], size: float = 9.0, columns: int | None = None) -> None:
    """One legend for all panels, under them, where it covers no data; marks without a line come last."""
    found = {label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    entries = dict(sorted(found.items(), key=lambda entry: getattr(entry[1], "get_linestyle", str)() == "None"))
    if entries:
        columns = columns or max(1, int(figure.get_figwidth() // 4))
        figure.legend(entries.values(), map(plain, entries.keys()), loc="outside lower left", ncols=columns, handlelength=3.2, frameon=False, fontsize=size,
                      labelcolor=INK)  # fmt: skip


def svg(figure: Figure, prefix: str, finding: str) -> str:
    """`figure` as inline SVG: identifiers prefixed, colours of the page, no date, a title that states the finding.

    Parameters
    ----------
    figure : matplotlib Figure
    prefix : str
        Unique in the page; part of every id.
    finding : str
        What the figure shows, for those who do not see it.
    """
    return inline(svg_file(figure, prefix), prefix, finding)


def svg_file(figure: Figure, salt: str) -> str:
    """`figure` as an SVG file of its own: real colours, letters as outlines, no date; the same figure and salt give the same text."""
    from matplotlib import rc_context

    buffer = io.StringIO()
    with rc_context({**_STYLE, "svg.hashsalt": salt}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return buffer.getvalue()


def pdf_file(figure: Figure) -> bytes:
    """`figure` as a PDF file of its own: fonts embedded, no date; the same figure gives the same bytes."""
    from matplotlib import rc_context

    buffer = io.BytesIO()
    with rc_context({**_STYLE, "pdf.fonttype": 42}):
        figure.savefig(buffer, format="pdf", metadata={"Creator": None, "Producer": None, "CreationDate": None})
    return buffer.getvalue()


def inline(text: str, prefix: str, finding: str) -> str:
    """What `svg_file` gave, to stand in a page; see `svg`."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<style[^>]*>.*?</style>\s*", "", text, flags=re.DOTALL)  # would style the whole page
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", text)
    for colour, variable in _PAGE.items():
        text = text.replace(colour, f"var(--{variable})")
    view_box = re.search(r'viewBox="([^"]+)"', text)
    assert view_box is not None
    width = 1.15 * float(view_box.group(1).split()[2]) * 4 / 3  # points to CSS pixels
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="{view_box.group(1)}" role="img" '
        f'aria-labelledby="{prefix}-finding" style="--wide:{width:.0f}px;max-width:{width:.0f}px">'
        f'<title id="{prefix}-finding">{html.escape(finding)}</title>'
    )
    return head + text[text.index(">", text.index("<svg")) + 1 :]


def again(drawn: str, prefix: str, name: str) -> str:
    """A second view of the inline SVG that `svg` made with `prefix`, without its weight; `name` is unique in the page."""
    head = drawn[: drawn.index("</title>") + len("</title>")]
    return head.replace(f'"{prefix}-finding"', f'"{name}-finding"') + f'<use href="#{prefix}-figure_1"/></svg>'
