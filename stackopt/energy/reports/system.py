"""Figures on the system: rates by hour, load and prices, the duck curve, prices by bus, and how load answers to rates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from stackopt.comparison.drawing import ABOVE, BELOW, COLOURS, GRID, INK, SOFT, look, plain
from stackopt.display import number
from stackopt.energy.reports.axes import HOURS, PAGE, SIZE, day, frame, grid, hours, leftmost, legend, lowest, same_scale, title
from stackopt.energy.reports.stored import Stored

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def rates_figure(stored: Stored) -> Figure:
    """Rates by hour, buying and selling: a panel for each tariff, steps from the start of an hour to its end, 24 included."""
    names = list(stored.summary)
    figure, axes = grid(names, height=1.5)
    for name, ax in zip(names, axes, strict=True):
        rows = sorted(stored.rows("rates", tariff=name), key=lambda r: r["hour"])
        for i, side in enumerate(("buy", "sell")):
            ax.stairs([r[side] for r in rows], range(len(rows) + 1), baseline=None, color=COLOURS[i], linestyle=("-", (0, (4, 1.5)))[i],
                      linewidth=(1.8, 1.6)[i], label=("price of a kWh bought", "price of a kWh sold")[i])  # fmt: skip
        hours(ax)
    same_scale(axes)
    for ax in leftmost(axes):
        ax.set_ylabel(plain("$/kWh"))
    for ax in lowest(axes):
        ax.set_xlabel("hour of the day")
    legend(figure, axes[:1])
    return figure


def seasonal_figure(stored: Stored) -> Figure:
    """Buying rates by hour, a step line for each season, a panel for each of a few tariffs."""
    names = stored.chosen(4)
    seasons = list(dict.fromkeys(r["season"] for r in stored.rows("seasonal_rates")))
    figure, axes = grid(names, height=1.6)
    for name, ax in zip(names, axes, strict=True):
        for i, season in enumerate(seasons):
            rows = sorted(stored.rows("seasonal_rates", tariff=name, season=season), key=lambda r: r["hour"])
            style = {key: look(i)[key] for key in ("color", "linestyle")}
            ax.stairs([r["buy"] for r in rows], range(len(rows) + 1), baseline=None, linewidth=1.6, label=season, **style)
        hours(ax)
    same_scale(axes)
    for ax in leftmost(axes):
        ax.set_ylabel(plain("$/kWh"))
    for ax in lowest(axes):
        ax.set_xlabel("hour of the day")
    legend(figure, axes[:1], 4)
    return figure


def _weathers(stored: Stored) -> list[str]:
    return list(dict.fromkeys(r["weather"] for r in stored.rows("load")))


def _by_weather(weathers: Sequence[str], views: Sequence[str], height: float) -> tuple[Figure, dict[tuple[str, str], Axes]]:
    """A panel for each view of each weather: views below each other, at most three weathers side by side, further ones below."""
    columns = min(3, len(weathers))
    blocks = [weathers[k : k + columns] for k in range(0, len(weathers), columns)]
    figure, axes = frame(columns, len(blocks) * len(views), width=PAGE if columns > 1 else 4.2, height=height)
    found = {}
    for b, block in enumerate(blocks):
        for v, view in enumerate(views):
            row = axes[(b * len(views) + v) * columns :][:columns]
            for weather, ax in zip(block, row, strict=False):
                found[view, weather] = ax
                title(ax, f"{weather}: {view}" if view else weather)
                hours(ax)
                if v == len(views) - 1 and weathers.index(weather) + columns >= len(weathers):
                    ax.set_xlabel("hour of the day")
            for ax in row[len(block) :]:
                ax.set_visible(False)
    return figure, found


def day_figure(stored: Stored) -> Figure:
    """System load and wholesale prices by hour, panels for each weather."""
    names, weathers, views = stored.chosen(4), _weathers(stored), ("load", "wholesale price")
    figure, panels = _by_weather(weathers, views, 1.8)
    for weather in weathers:
        for i, name in enumerate(names):
            style = {**look(i), "markersize": 3.5, "markevery": (2 * i, 6), "linewidth": 1.3}
            load = [r["system"] for r in stored.rows("load", tariff=name, weather=weather)]
            panels["load", weather].plot(*day(load), label=name, **style)
            panels["wholesale price", weather].plot(*day(mean_price(stored, name, weather)), label=name, **style)
    for view, unit in zip(views, ("MW", "$/MWh"), strict=True):
        axes = [panels[view, w] for w in weathers]
        same_scale(axes)
        for ax in leftmost(axes):
            ax.set_ylabel(plain(unit))
    legend(figure, [panels["load", weathers[0]]], 4)
    return figure


def mean_price(stored: Stored, tariff: str, weather: str) -> list[float]:
    """Price by hour, $/MWh, averaged over buses with equal weights."""
    by_hour: dict[int, list[float]] = {}
    for r in stored.rows("prices", tariff=tariff, weather=weather):
        by_hour.setdefault(r["hour"], []).append(r["price"])
    return [sum(by_hour[h]) / len(by_hour[h]) for h in sorted(by_hour)]


def duck_figure(stored: Stored) -> Figure:
    """Households' day under the study's tariff: what they use, less roofs, with batteries; what batteries move is shaded."""
    weathers, name = _weathers(stored), stored.focus
    figure, panels = _by_weather(weathers, ("",), 2.0)
    for weather in weathers:
        ax = panels["", weather]
        rows = stored.rows("load", tariff=name, weather=weather)
        use, roofs, final = ([r[c] for r in rows] for c in ("use", "roofs", "net of households"))
        bare = [u - s for u, s in zip(use, roofs, strict=True)]
        x, before = day(bare)
        after = day(final)[1]
        ax.fill_between(x, before, after, color=GRID, linewidth=0, label="moved by batteries")
        ax.plot(*day(use), color=SOFT, linewidth=1.1, linestyle=(0, (1.5, 1.5)), label="use")
        ax.plot(x, after, label="less roofs, with batteries", **{**look(0), "markersize": 3.5, "markevery": (3, 6), "linewidth": 2.0})
        ax.plot(x, before, label="less roofs", **{**look(1), "markersize": 3.5, "markevery": (0, 6), "linewidth": 1.2})
        if stored.before in stored.equal and stored.before != name:
            today = [r["net of households"] for r in stored.rows("load", tariff=stored.before, weather=weather)]
            ax.plot(*day(today), label=f"the same under {stored.before}", **{**look(2), "markersize": 3.5, "markevery": (1, 6), "linewidth": 1.1})
        ax.axhline(0.0, color=INK, linewidth=0.8)
    axes = list(panels.values())
    same_scale(axes)
    for ax in leftmost(axes):
        ax.set_ylabel("households, MW")
    legend(figure, axes[:1])
    return figure


def shown_buses(stored: Stored) -> list[str]:
    """At most four buses, those with the lowest and the highest mean price, then in order of the lowest hour's and the highest hour's price."""
    found: dict[str, list[float]] = {}
    for r in stored.rows("prices", tariff=stored.focus):
        found.setdefault(r["bus"], []).append(r["price"])
    mean = {bus: sum(values) / len(values) for bus, values in found.items()}
    if len(found) <= 4:
        return list(found)
    dearest = sorted(found, key=lambda b: -mean[b])
    picked = (dearest[-1], dearest[0], min(found, key=lambda b: min(found[b])), max(found, key=lambda b: max(found[b])))
    return list(dict.fromkeys([*picked, *dearest]))[:4]


def buses_figure(stored: Stored) -> Figure:
    """Wholesale prices at a few buses under the study's tariff, a panel for each weather."""
    weathers = _weathers(stored)
    figure, panels = _by_weather(weathers, ("",), 1.9)
    for weather in weathers:
        for i, bus in enumerate(shown_buses(stored)):
            rows = sorted(stored.rows("prices", tariff=stored.focus, weather=weather, bus=bus), key=lambda r: r["hour"])
            style = {**look(i), "markersize": 3.5, "markevery": (2 * i, 6), "linewidth": 1.3}
            panels["", weather].plot(*day([r["price"] for r in rows]), label=f"bus {bus}", **style)
    axes = list(panels.values())
    same_scale(axes)
    for ax in leftmost(axes):
        ax.set_ylabel(plain("$/MWh"))
    legend(figure, axes[:1], 4)
    return figure


def steps_of(values: Sequence[float]) -> tuple[list[float], list[str]]:
    """Limits and colours of a map's steps: on one side of 0 if all values are, else on both; round numbers, finer towards 0 where most are small.

    Returns
    -------
    list of float, list of str
        ``n + 1`` rising limits and the colours between them.
    """
    largest = max(map(abs, values), default=0.0) or 1.0
    small = sorted(map(abs, values))[int(0.9 * len(values))] < largest / 5
    scale = 10.0 ** math.floor(math.log10(largest))
    top = next((m * scale for m in (1, 1.5, 2, 3, 4, 5, 6, 8) if m * scale >= largest * (1 - 1e-9)), 10 * scale)
    parts = (0.01, 0.03, 0.1, 0.3, 0.6, 1.0) if small else (0.1, 0.25, 0.4, 0.6, 0.8, 1.0)
    up = [float(number(top * p, 3)) for p in parts]
    signs = {v > 0 for v in values if abs(v) > 1e-9 * largest}
    above, below = list(ABOVE), list(BELOW)
    if signs == {True}:
        return [0.0, *up], above
    if signs == {False}:
        return [*(-v for v in reversed(up)), 0.0], below[::-1]
    return [*(-v for v in reversed(up)), *up], [*below[:0:-1], "#ffffff", *above[1:]]


def response_figure(stored: Stored) -> Figure:
    """How the load of every hour moves with the rate of every hour: a map for each tariff, one scale for all, the own hours outlined."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import BoundaryNorm, ListedColormap

    rows = stored.rows("response")
    names = [n for n in dict.fromkeys(r["tariff"] for r in rows) if n in stored.summary][:3]
    limits, colours = steps_of([r["change"] for r in rows])
    figure, axes = frame(len(names), width=min(PAGE, 2.6 * len(names) + 1.2), height=2.9)
    for ax, name in zip(axes, names, strict=True):
        of = [r for r in rows if r["tariff"] == name]
        size = 1 + max(r["hour of load"] for r in of)
        for low, high, colour in zip(limits[:-1], limits[1:], colours, strict=True):
            cells = [(r["hour of rate"], r["hour of load"]) for r in of if low <= r["change"] < high or r["change"] == high == limits[-1]]
            if cells and colour != "#ffffff":
                ax.add_patch(_squares(cells, colour))
        stair = [k for k in range(size + 1) for _ in (0, 1)]
        for x, y in ((stair[1:], stair[:-1]), (stair[:-1], stair[1:])):
            ax.plot(x, y, color=INK, linewidth=0.5)
        title(ax, name)
        ax.set_aspect("equal")
        ax.grid(visible=False)
        ax.set_xlim(0, size)
        ax.set_ylim(0, size)
        ax.set_xticks(HOURS)
        ax.set_yticks(HOURS)
        ax.set_xlabel("hour whose rate rises")
    axes[0].set_ylabel("hour whose load changes")
    scale = ScalarMappable(BoundaryNorm(limits, len(colours)), ListedColormap(colours))
    bar = figure.colorbar(scale, ax=axes, location="right", shrink=0.92, aspect=16, spacing="uniform", ticks=limits)
    bar.ax.set_yticklabels([number(v, 3) for v in limits], fontsize=SIZE - 0.5, color=INK)
    bar.ax.tick_params(length=0)
    bar.outline.set_visible(False)
    bar.set_label("MW per cent/kWh", color=INK, fontsize=SIZE)
    return figure


def _squares(cells: Sequence[tuple[int, int]], colour: str) -> Any:
    """Unit squares as one outline: hundreds of cells stay a small file."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    corners = [(k + x, j + y) for k, j in cells for x, y in ((0, 0), (1, 0), (1, 1), (0, 1), (0, 0))]
    codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY] * len(cells)
    return PathPatch(Path(corners, codes), facecolor=colour, edgecolor=colour, linewidth=0.1)
