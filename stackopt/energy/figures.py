"""The figures of a tariff study, each a pure function of the stored tables. Only tariffs that hold are drawn.

Where figures of many tariffs would cover each other, each tariff has a panel, all on the same scale; where lines share a panel there are at most four.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from stackopt.comparison.drawing import COLOURS, INK, SOFT, legend_below, look, panels, plain, title
from stackopt.comparison.figures import is_number
from stackopt.display import number
from stackopt.energy.report_data import Stored

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Point = tuple[float, float]

#: Panels in a row, and hours at which a day is marked.
COLUMNS, HOURS = 3, (0, 6, 12, 18, 24)
_KIND_MARKS = {"C": "o", "PV": "s", "PVB": "^"}
_FEATURE = "a figure"


def day(values: Sequence[float]) -> tuple[list[int], list[float]]:
    """Hours 0 to 24 and 24 values with the first once more at the end: a day is cyclic, and its last hour is as wide as the others."""
    return list(range(len(values) + 1)), [*values, values[0]]


def _grid(names: Sequence[str], *, height: float, width: float = 3.1) -> tuple[Figure, list[Axes]]:
    """A panel for each name, titled; panels left over are hidden."""
    columns = min(COLUMNS, len(names)) or 1
    figure, axes = panels(columns, max(1, math.ceil(len(names) / columns)), feature=_FEATURE, width=width, height=height)
    for ax, name in zip(axes, names, strict=False):
        title(ax, name)
    for ax in axes[len(names) :]:
        ax.set_visible(False)
    return figure, axes[: len(names)]


def _same_scale(axes: Sequence[Axes], *, zero: bool = True) -> None:
    """One vertical scale for all panels; with 0 on it where a length is read."""
    low, high = min(ax.get_ylim()[0] for ax in axes), max(ax.get_ylim()[1] for ax in axes)
    for ax in axes:
        ax.set_ylim(min(low, 0.0) if zero else low, max(high, 0.0) if zero else high)


def _hours(ax: Axes) -> None:
    ax.set_xlim(0, 24)
    ax.set_xticks(HOURS)


def rates_figure(stored: Stored) -> Figure:
    """Rates by hour, buying and selling: a panel for each tariff, steps from the start of an hour to its end, 24 included."""
    names = list(stored.summary)
    figure, axes = _grid(names, height=2.2)
    for k, (name, ax) in enumerate(zip(names, axes, strict=True)):
        rows = sorted(stored.rows("rates", tariff=name), key=lambda r: r["hour"])
        for i, side in enumerate(("buy", "sell")):
            ax.stairs([r[side] for r in rows], range(len(rows) + 1), baseline=None, color=COLOURS[i], linestyle=("-", (0, (4, 1.5)))[i],
                      linewidth=(1.8, 1.6)[i], label=("price of a kWh bought", "price of a kWh sold")[i])  # fmt: skip
        _hours(ax)
        if k % COLUMNS == 0:
            ax.set_ylabel(plain("$/kWh"))
    _same_scale(axes)
    for ax in axes[-COLUMNS:]:
        ax.set_xlabel("hour of the day")
    legend_below(figure, axes[:1])
    return figure


def _by_kind(stored: Stored, table: str, column: str, names: Sequence[str], ylabel: str) -> Figure:
    """One mark for each kind of household in each group, with a line at 0: a panel for each tariff."""
    figure, axes = _grid(names, height=2.5)
    kinds = [k for k in dict.fromkeys(r["kind"] for r in stored.rows(table)) if k != "all"]
    for k, (name, ax) in enumerate(zip(names, axes, strict=True)):
        ax.axhline(0.0, color=INK, linewidth=0.9)
        for i, kind in enumerate(kinds):
            found = {r["group"]: r[column] for r in stored.rows(table, tariff=name, kind=kind) if is_number(r[column])}
            at = [(g + 0.22 * (i - (len(kinds) - 1) / 2), found[group]) for g, group in enumerate(stored.groups) if group in found]
            style = {**look(i), "linestyle": "none", "marker": _KIND_MARKS.get(kind, "D")}
            ax.plot([x for x, _ in at], [y for _, y in at], label=_kind(kind), **style)
            ax.vlines([x for x, _ in at], 0.0, [y for _, y in at], color=style["color"], linewidth=1.1)
        ax.set_xticks(range(len(stored.groups)), [plain(g) for g in stored.groups])
        ax.set_xlim(-0.6, len(stored.groups) - 0.4)
        if k % COLUMNS == 0:
            ax.set_ylabel(plain(ylabel))
    _same_scale(axes)
    legend_below(figure, axes[:1])
    return figure


def _kind(kind: str) -> str:
    return {"C": "consumer", "PV": "with panels", "PVB": "with panels and battery"}.get(kind, kind)


def bills_figure(stored: Stored) -> Figure:
    """Change of the monthly bill against today's, by income group and kind of household."""
    return _by_kind(stored, "bills", "change", [n for n in stored.equal if n != stored.before], "change, $/month")


def subsidy_figure(stored: Stored) -> Figure:
    """Bill less cost of service by income group and kind, fixed costs shared per household."""
    return _by_kind(stored, "cross_subsidy", "over cost: fixed per household", stored.chosen(3), "over cost, $/month")


def burden_figure(stored: Stored) -> Figure:
    """Change of each group's burden against today's, percentage points of income: levels rest on borrowed incomes, changes less so."""
    names = [n for n in stored.equal if n != stored.before]
    figure, axes = _grid(names, height=2.1)
    for k, (name, ax) in enumerate(zip(names, axes, strict=True)):
        rows = {r["group"]: r for r in stored.rows("bills", tariff=name, kind="all")}
        change = [rows[g]["burden after"] - rows[g]["burden before"] for g in stored.groups]
        bars = ax.bar(range(len(change)), change, width=0.7, color=[COLOURS[1] if c > 0 else COLOURS[0] for c in change], edgecolor=INK, linewidth=0.5)
        for bar, c in zip(bars, change, strict=True):
            bar.set_hatch("///" if c > 0 else "")
        ax.axhline(0.0, color=INK, linewidth=0.9)
        ax.set_xticks(range(len(stored.groups)), [plain(g) for g in stored.groups])
        if k % COLUMNS == 0:
            ax.set_ylabel("points of income")
    _same_scale(axes)
    return figure


def lorenz_figure(stored: Stored) -> Figure:
    """Accumulated bills, and income, against accumulated households in order of income."""
    figure, (ax,) = panels(1, feature=_FEATURE, width=5.4, height=4.2)
    for i, name in enumerate(stored.curves):
        rows = stored.rows("lorenz", tariff=name)
        style = {**look(i), "markersize": 4.0}
        ax.plot([r["households"] for r in rows], [r["bills"] for r in rows], label=name, markevery=max(1, len(rows) // 8), **style)
    rows = stored.rows("lorenz", tariff=stored.chosen(1)[0])
    ax.plot([r["households"] for r in rows], [r["income"] for r in rows], color=SOFT, linewidth=2.2, label="income")
    ax.plot([0, 100], [0, 100], color=SOFT, linewidth=0.8, linestyle=(0, (1, 2)), label="equal shares")
    ax.set_xlim(0, 100)
    ax.set_xlabel("% of households, poorest first")
    ax.set_ylabel("% of all bills, of all income")
    legend_below(figure, [ax])
    return figure


def revenue_figure(stored: Stored) -> Figure:
    """Where the revenue comes from, beside what it must cover: bars of energy bills and fixed charges, a mark at requirement plus purchases."""
    names = list(stored.summary)
    figure, (ax,) = panels(1, feature=_FEATURE, width=7.0, height=0.9 + 0.38 * len(names))
    rows = [stored.rows("revenue", tariff=n)[0] for n in names]
    at = range(len(names))
    energy, fixed = [r["energy bills"] for r in rows], [r["fixed charges"] for r in rows]
    ax.barh(at, energy, height=0.62, color=COLOURS[0], edgecolor=INK, linewidth=0.5, label="energy bills")
    starts = [max(e, 0.0) for e in energy]
    ax.barh(at, fixed, left=starts, height=0.62, color=COLOURS[1], edgecolor=INK, linewidth=0.5, hatch="///", label="fixed charges")
    needed = [r["fixed costs required"] + r["wholesale purchases"] for r in rows]
    ax.plot(needed, at, linestyle="none", marker="D", markersize=6, color=INK, markerfacecolor="#ffffff", markeredgecolor=INK,
            label="fixed costs required and wholesale purchases")  # fmt: skip
    ax.set_yticks(at, [plain(n) for n in names])
    ax.invert_yaxis()
    ax.grid(visible=False, axis="y")
    ax.set_xlabel(plain("$ a day and household"))
    legend_below(figure, [ax])
    return figure


def day_figure(stored: Stored) -> Figure:
    """System load above, wholesale prices below, by hour: a column of panels for each weather."""
    names, weathers = stored.chosen(4), list(dict.fromkeys(r["weather"] for r in stored.rows("load")))
    figure, axes = panels(len(weathers), 2, feature=_FEATURE, width=4.2, height=2.9)
    for w, weather in enumerate(weathers):
        above, below = axes[w], axes[len(weathers) + w]
        title(above, f"{weather}: load")
        title(below, f"{weather}: wholesale price")
        for i, name in enumerate(names):
            style = {**look(i), "markersize": 4.0, "markevery": (2 * i, 6)}
            load = [r["system"] for r in stored.rows("load", tariff=name, weather=weather)]
            above.plot(*day(load), label=name, **style)
            below.plot(*day(mean_price(stored, name, weather)), label=name, **style)
        for ax in (above, below):
            _hours(ax)
        below.set_xlabel("hour of the day")
        if w == 0:
            above.set_ylabel("MW")
            below.set_ylabel(plain("$/MWh"))
    _same_scale(axes[: len(weathers)])
    _same_scale(axes[len(weathers) :])
    legend_below(figure, axes[:1])
    return figure


def mean_price(stored: Stored, tariff: str, weather: str) -> list[float]:
    """Price by hour, $/MWh, averaged over buses with equal weights."""
    by_hour: dict[int, list[float]] = {}
    for r in stored.rows("prices", tariff=tariff, weather=weather):
        by_hour.setdefault(r["hour"], []).append(r["price"])
    return [sum(by_hour[h]) / len(by_hour[h]) for h in sorted(by_hour)]


def envelope(points: Sequence[Point]) -> list[Point]:
    """Those of the points (gap, cost) that no other one beats in both, by rising gap: no convexity assumed, nothing interpolated."""
    kept: list[Point] = []
    for gap, cost in sorted(points):
        if not kept or cost < kept[-1][1]:
            kept.append((gap, cost))
    return kept


def trade_off_figure(stored: Stored) -> Figure:
    """Cost against the gap of burdens, and against the peak: designed points as marks, named tariffs as numbers."""
    figure, axes = panels(2, feature=_FEATURE, width=4.4, height=3.9)
    designed = [r for r in stored.rows("frontier") if is_number(r["limit on gap"]) and is_number(r["cost"])]
    named = [(name, stored.summary[name]) for name in stored.equal]
    for ax, mine, theirs, label in ((axes[0], "gap", "gap of burdens", "gap of burdens, points of income"), (axes[1], "peak", "peak", "peak, MW")):
        if designed:
            style: dict[str, Any] = {**look(0), "linestyle": "none", "markerfacecolor": "#ffffff"}
            ax.plot([r[mine] for r in designed], [r["cost"] for r in designed], label="designed, one for each limit on the gap", **style)
        if designed and mine == "gap":
            kept = envelope([(r["gap"], r["cost"]) for r in designed])
            ax.step([g for g, _ in kept], [c for _, c in kept], where="post", color=COLOURS[0], linewidth=1.0, label="least cost found within a gap")
        first = stored.equal.index(stored.before) if stored.before in stored.equal else -1
        _numbered(ax, [(row[theirs], row["cost"]) for _, row in named], [(r[mine], r["cost"]) for r in designed], first)
        ax.set_xlabel(label)
        ax.margins(0.12)
    axes[0].set_ylabel(plain("cost, $/day and household"))
    handles = [f"{k + 1} {name}" for k, (name, _) in enumerate(named)]
    for text in handles:
        axes[0].plot([], [], linestyle="none", marker=f"${text.split()[0]}$", color=INK, markersize=7, label=text.split(" ", 1)[1])
    legend_below(figure, axes[:1])
    return figure


#: Where a number may stand beside its mark, points to the right and up, best first.
_PLACES = ((9, 6), (-9, 6), (9, -7), (-9, -7), (0, 11), (0, -12), (16, 0), (-16, 0))


def _numbered(ax: Axes, points: Sequence[Point], others: Sequence[Point], first: int) -> None:
    """Marks with their numbers beside them, each where it is clear of other marks and numbers; a diamond for the one at `first`."""
    spans = [max(values) - min(values) or 1.0 for values in zip(*points, *others, strict=True)] if points else [1.0, 1.0]
    spots = [(240 * x / spans[0], 150 * y / spans[1]) for x, y in [*points, *others]]  # of a panel, in points
    taken = list(spots)
    for k, (x, y) in enumerate(points):
        ax.plot([x], [y], linestyle="none", marker="D" if k == first else "o", markersize=6, color=COLOURS[1] if k == first else INK)
        room = [min(9.0, *(math.hypot(spots[k][0] + dx - u, spots[k][1] + dy - v) for u, v in taken)) for dx, dy in _PLACES]
        dx, dy = _PLACES[room.index(max(room))]
        taken.append((spots[k][0] + dx, spots[k][1] + dy))
        ax.annotate(str(k + 1), (x, y), xytext=(dx, dy), textcoords="offset points", ha="center", va="center", fontsize=9, color=INK)


def sensitivity_figure(stored: Stored) -> Figure:
    """How far each assumption moves the change of cost: from the low to the high end, widest first, the base as a line."""
    rows = [r for r in stored.rows("sensitivity") if is_number(r["change of cost"])]
    base = next(r["change of cost"] for r in rows if r["assumption"] == "base")
    ends: dict[str, list[Any]] = {}
    for r in rows:
        if r["assumption"] != "base":
            ends.setdefault(r["assumption"], []).append(r)
    order = sorted(ends, key=lambda item: -max(abs(r["change of cost"] - base) for r in ends[item]))
    figure, (ax,) = panels(1, feature=_FEATURE, width=7.4, height=1.3 + 0.42 * len(order))
    for at, item in enumerate(order):
        values = [r["change of cost"] for r in ends[item]]
        ax.hlines(at, min([*values, base]), max([*values, base]), color=SOFT, linewidth=5, alpha=0.35)
        for r in ends[item]:
            low = r["end"] == "low"
            ax.plot([r["change of cost"]], [at], linestyle="none", marker="o" if low else "s", color=COLOURS[0 if low else 1],
                    label="low end" if low else "high end")  # fmt: skip
    ax.axvline(base, color=INK, linewidth=1.0)
    ax.axvline(0.0, color=SOFT, linewidth=0.9, linestyle=(0, (1, 2)))
    values_of = {item: ", ".join(number(r["value"], 4) for r in ends[item]) for item in order}
    ax.set_yticks(range(len(order)), [plain(f"{item}: {values_of[item]}") for item in order])
    ax.invert_yaxis()
    ax.grid(visible=False, axis="y")
    ax.set_xlabel(plain("change of cost against today's tariff, $/day and household"))
    legend_below(figure, [ax])
    return figure


def convergence_figure(stored: Stored) -> Figure:
    """What households could still gain, and whether undamped iteration of prices would cycle: a mark for each tariff."""
    names = list(stored.summary)
    rows = [stored.rows("convergence", tariff=n)[0] for n in names]
    figure, axes = panels(2, feature=_FEATURE, width=4.4, height=1.2 + 0.34 * len(names))
    for i, (ax, column) in enumerate(zip(axes, ("exploitability", "spectral radius"), strict=True)):
        values = [r[column] for r in rows]
        ax.plot(values, range(len(names)), linestyle="none", marker="os"[i], color=COLOURS[i])
        ax.set_yticks(range(len(names)), [plain(n) for n in names] if i == 0 else [""] * len(names))
        ax.invert_yaxis()
        ax.set_xlim(left=-0.03 * max([*values, 1e-12]))
        ax.locator_params(axis="x", nbins=4)
    axes[0].set_xlabel(plain("households could still gain, $/day"), fontsize=9)
    axes[1].axvline(1.0, color=INK, linewidth=1.0, linestyle=(0, (4, 2)))
    axes[1].set_xlim(-0.03, max(1.1, axes[1].get_xlim()[1]))
    axes[1].set_xlabel("spectral radius; beyond 1 (dashed) iteration cycles", fontsize=9)
    return figure


def figures(stored: Stored) -> dict[str, Callable[[Stored], Figure]]:
    """The figures for which the study has tables, by name."""
    found: dict[str, Callable[[Stored], Figure]] = {}
    others = [n for n in stored.equal if n != stored.before]
    if stored.summary:
        wanted = {"rates": rates_figure, "revenue": revenue_figure, "convergence": convergence_figure}
        found |= {name: draw for name, draw in wanted.items() if stored.has(name)}
    if stored.has("bills") and others:
        found |= {"bills": bills_figure, "burden": burden_figure}
    if stored.equal:
        wanted = {"lorenz": lorenz_figure, "cross_subsidy": subsidy_figure}
        found |= {name: draw for name, draw in wanted.items() if stored.has(name)}
        found |= {"day": day_figure} if stored.has("load") and stored.has("prices") else {}
        found["trade_off"] = trade_off_figure
    if any(is_number(r["change of cost"]) and r["assumption"] == "base" for r in stored.rows("sensitivity")):
        found["sensitivity"] = sensitivity_figure
    return found
