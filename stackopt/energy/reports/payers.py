"""Figures on who pays: changes of bills, winners and losers, burdens, Lorenz curves, cross-subsidies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stackopt.comparison.drawing import COLOURS, INK, SOFT, look, plain
from stackopt.comparison.figures import is_number
from stackopt.energy.reports.axes import COLUMN, HATCHES, KIND_MARKS, KIND_WORDS, MIDDLE, frame, grid, leftmost, legend, lowest, same_scale, title
from stackopt.energy.reports.stored import HIGH_BURDEN, Stored

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def _by_kind(stored: Stored, table: str, column: str, names: Sequence[str], ylabel: str) -> Figure:
    """One mark for each kind of household in each group, with a line at 0: a panel for each tariff."""
    figure, axes = grid(names)
    kinds = [k for k in dict.fromkeys(r["kind"] for r in stored.rows(table)) if k != "all"]
    for name, ax in zip(names, axes, strict=True):
        ax.axhline(0.0, color=INK, linewidth=0.9)
        for i, kind in enumerate(kinds):
            found = {r["group"]: r[column] for r in stored.rows(table, tariff=name, kind=kind) if is_number(r[column])}
            at = [(g + 0.24 * (i - (len(kinds) - 1) / 2), found[group]) for g, group in enumerate(stored.groups) if group in found]
            style = {**look(i), "linestyle": "none", "marker": KIND_MARKS.get(kind, "D"), "markersize": 4.5}
            ax.plot([x for x, _ in at], [y for _, y in at], label=KIND_WORDS.get(kind, kind), **style)
            ax.vlines([x for x, _ in at], 0.0, [y for _, y in at], color=style["color"], linewidth=1.1)
        _groups(ax, stored)
    for ax in leftmost(axes):
        ax.set_ylabel(plain(ylabel))
    same_scale(axes)
    legend(figure, axes[:1])
    return figure


def _groups(ax: Axes, stored: Stored) -> None:
    """Income groups from the poorest on; long names stand at a slant."""
    slanted = max(map(len, stored.groups)) * len(stored.groups) > 32
    ax.set_xticks(range(len(stored.groups)), [plain(g) for g in stored.groups], rotation=30 if slanted else 0, ha="right" if slanted else "center")
    ax.set_xlim(-0.6, len(stored.groups) - 0.4)


def bills_figure(stored: Stored) -> Figure:
    """Change of the monthly bill against today's, by income group and kind of household."""
    return _by_kind(stored, "bills", "change", stored.others, "change, $/month")


def subsidy_figure(stored: Stored) -> Figure:
    """Bill less cost of service by income group and kind, fixed costs shared per household."""
    return _by_kind(stored, "cross_subsidy", "over cost: fixed per household", stored.chosen(3), "over cost, $/month")


def winners_figure(stored: Stored) -> Figure:
    """How many households win and lose how much: bars stacked by kind over equal bins, a line at no change, the shares on both sides of it."""
    names = [name for name in stored.others if stored.rows("winners", tariff=name)]
    figure, axes = grid(names)
    for name, ax in zip(names, axes, strict=True):
        rows = stored.rows("winners", tariff=name)
        below: dict[float, float] = {}
        for i, kind in enumerate(dict.fromkeys(r["kind"] for r in rows)):
            of = [r for r in rows if r["kind"] == kind and r["households"] > 0]
            starts = [r["change from"] for r in of]
            ax.bar(starts, [r["households"] for r in of], width=[r["change to"] - r["change from"] for r in of], bottom=[below.get(s, 0.0) for s in starts],
                   align="edge", color=COLOURS[i % len(COLOURS)], edgecolor=INK, linewidth=0.4, hatch=HATCHES[i], label=KIND_WORDS.get(kind, kind))  # fmt: skip
            for r in of:
                below[r["change from"]] = below.get(r["change from"], 0.0) + r["households"]
        ax.axvline(0.0, color=INK, linewidth=1.2)
        title(ax, f"{name}: {sum(share for start, share in below.items() if start < 0):.0f} % less")
        ax.set_xlim(min((r["change from"] for r in rows), default=0.0), max((r["change to"] for r in rows), default=1.0))
        ax.locator_params(axis="x", nbins=4)
        ax.grid(visible=False, axis="x")
    same_scale(axes)
    for ax in leftmost(axes):
        ax.set_ylabel("% of households")
    for ax in lowest(axes):
        ax.set_xlabel(plain("change, $/month"))
    legend(figure, axes)
    return figure


def burden_figure(stored: Stored) -> Figure:
    """Change of each group's burden against today's, percentage points of income: levels rest on borrowed incomes, changes less so."""
    figure, axes = grid(stored.others, height=1.5)
    for name, ax in zip(stored.others, axes, strict=True):
        rows = {r["group"]: r for r in stored.rows("bills", tariff=name, kind="all")}
        change = [rows[g]["burden after"] - rows[g]["burden before"] for g in stored.groups]
        for g, c in enumerate(change):
            ax.bar([g], [c], width=0.7, color=COLOURS[1 if c > 0 else 0], edgecolor=INK, linewidth=0.5, hatch="////" if c > 0 else "")
        ax.axhline(0.0, color=INK, linewidth=0.9)
        _groups(ax, stored)
    for ax in leftmost(axes):
        ax.set_ylabel("points of income")
    same_scale(axes)
    return figure


def burdens_figure(stored: Stored) -> Figure:
    """Burden of each income group under a few tariffs, with the line above which a burden counts as high."""
    figure, (ax,) = frame(1, width=MIDDLE, height=2.5)
    names = stored.chosen(4)
    for i, name in enumerate(names):
        row = stored.rows("equity", tariff=name)[0]
        values = [row[f"burden {g}"] for g in stored.groups]
        at = [g + 0.17 * (i - (len(names) - 1) / 2) for g in range(len(values))]
        ax.plot(at, values, label=name, **{**look(i), "linestyle": "none"})
        ax.vlines(at, 0.0, values, color=look(i)["color"], linewidth=1.1)
    ax.axhline(HIGH_BURDEN, color=INK, linewidth=1.0, linestyle=(0, (4, 2)), label=f"{HIGH_BURDEN:g} % of income")
    ax.axhline(0.0, color=SOFT, linewidth=0.8)
    _groups(ax, stored)
    ax.grid(visible=False, axis="x")
    ax.set_ylabel("bills, % of income")
    legend(figure, [ax], 3)
    return figure


def lorenz_figure(stored: Stored) -> Figure:
    """Accumulated bills, and income, against accumulated households in order of income."""
    figure, (ax,) = frame(1, width=COLUMN, height=3.1)
    for i, name in enumerate(stored.curves):
        rows = stored.rows("lorenz", tariff=name)
        style = {**look(i), "markersize": 3.5}
        ax.plot([r["households"] for r in rows], [r["bills"] for r in rows], label=name, markevery=max(1, len(rows) // 8), **style)
    rows = stored.rows("lorenz", tariff=stored.chosen(1)[0])
    ax.plot([r["households"] for r in rows], [r["income"] for r in rows], color=SOFT, linewidth=2.0, label="income")
    ax.plot([0, 100], [0, 100], color=SOFT, linewidth=0.8, linestyle=(0, (1, 2)), label="equal shares")
    ax.set_xlim(0, 100)
    ax.set_xlabel("% of households, poorest first")
    ax.set_ylabel("% of all bills, of all income")
    legend(figure, [ax], 2)
    return figure
