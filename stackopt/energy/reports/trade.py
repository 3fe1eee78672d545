"""Figures on what trades off: revenue, loss of surplus, cost against fairness and stability, sensitivity, and whether the computation holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from stackopt.comparison.drawing import COLOURS, INK, SOFT, look, plain
from stackopt.comparison.figures import is_number
from stackopt.display import number
from stackopt.energy.reports.axes import LEGEND, PAGE, Point, frame, grid, leftmost, legend, lowest, numbered, title
from stackopt.energy.reports.stored import Row, Stored

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: A triangle of a smaller share of the largest has no area to be seen.
SEEN = 0.01
#: Smaller residuals, $/kWh, are drawn here: a logarithmic axis has no place for 0.
LEAST = 1e-16
#: What is smaller, in $/day, MW or $/MWh, is drawn at 0.
SMALL = 1e-6


def revenue_figure(stored: Stored) -> Figure:
    """Where the revenue comes from, beside what it must cover: bars of energy bills and fixed charges, a mark at requirement plus purchases."""
    names = list(stored.summary)
    figure, (ax,) = frame(1, width=PAGE, height=0.75 + 0.24 * len(names))
    rows = [stored.rows("revenue", tariff=n)[0] for n in names]
    at = range(len(names))
    energy, fixed = [r["energy bills"] for r in rows], [r["fixed charges"] for r in rows]
    ax.barh(at, energy, height=0.62, color=COLOURS[0], edgecolor=INK, linewidth=0.5, label="energy bills")
    starts = [max(e, 0.0) for e in energy]
    ax.barh(at, fixed, left=starts, height=0.62, color=COLOURS[1], edgecolor=INK, linewidth=0.5, hatch="////", label="fixed charges")
    needed = [r["fixed costs required"] + r["wholesale purchases"] for r in rows]
    ax.plot(needed, at, linestyle="none", marker="D", markersize=5, color=INK, markerfacecolor="#ffffff", markeredgecolor=INK,
            label="fixed costs required and wholesale purchases")  # fmt: skip
    rent = [r.get("congestion rent") or 0.0 for r in rows]
    if max(rent) > 0.005 * max(needed):
        ax.plot(rent, at, linestyle="none", marker="s", markersize=4.5, markerfacecolor="#ffffff", markeredgecolor=INK, label="congestion rent, of all loads")
    ax.set_yticks(at, [plain(n) for n in names])
    ax.invert_yaxis()
    ax.grid(visible=False, axis="y")
    ax.set_xlabel(plain("$ a day and household"))
    legend(figure, [ax], 2)
    return figure


def lossy(stored: Stored) -> list[Row]:
    """Rows of the table of losses whose triangle can be seen, largest first, at most six."""
    rows = [r for r in stored.rows("loss") if r["tariff"] in stored.summary and is_number(r["triangle"]) and is_number(r["rate"])]
    largest = max((r["triangle"] for r in rows), default=0.0)
    return sorted((r for r in rows if r["triangle"] > SEEN * largest), key=lambda r: -r["triangle"])[:6]


def loss_figure(stored: Stored) -> Figure:
    """Loss of surplus as a triangle: the line of demand between use at the rate and use at the wholesale price, a panel for each tariff."""
    rows = lossy(stored)
    figure, axes = grid([r["tariff"] for r in rows], height=1.75, sharex=True, sharey=True)
    for row, ax in zip(rows, axes, strict=True):
        title(ax, f"{row['tariff']}: {row['triangle']:.3f} $")
        used, wanted, rate, price = (row[c] for c in ("use at the rate", "use at the wholesale price", "rate", "wholesale price"))
        ax.fill([used, wanted, used], [rate, price, price], facecolor=COLOURS[1], alpha=0.35, edgecolor=COLOURS[1], hatch="////", label="loss of surplus")
        tilt = (price - rate) / (wanted - used) if wanted != used else 0.0
        reach = 0.35 * abs(wanted - used)
        ends = (min(used, wanted) - reach, max(used, wanted) + reach)
        ax.plot(ends, [rate + tilt * (x - used) for x in ends], color=COLOURS[0], linewidth=1.6, label="what one more kWh is worth")
        ax.axhline(price, color=INK, linewidth=1.0, linestyle=(0, (4, 2)), label="wholesale price")
        ax.plot([used, used], [0.0, rate], color=SOFT, linewidth=0.8, linestyle=(0, (1, 2)))
        ax.plot([used], [rate], linestyle="none", marker="o", color=COLOURS[0], label="use at the rate")
        ax.plot([wanted], [price], linestyle="none", marker="s", color=COLOURS[2], label="use at the wholesale price")
    axes[0].set_ylim(bottom=min(0.0, *(r[c] for r in rows for c in ("rate", "wholesale price"))))
    for ax in leftmost(axes):
        ax.set_ylabel(plain("$/kWh"))
    for ax in lowest(axes):
        ax.set_xlabel("kWh a day and household")
        ax.tick_params(labelbottom=True)
    legend(figure, axes[:1])
    return figure


def envelope(points: Sequence[Point]) -> list[Point]:
    """Those of the points (gap, cost) that no other one beats in both, by rising gap: no convexity assumed, nothing interpolated."""
    kept: list[Point] = []
    for gap, cost in sorted(points):
        if not kept or cost < kept[-1][1]:
            kept.append((gap, cost))
    return kept


def designed(stored: Stored) -> list[Row]:
    """Points of the frontier that hold: the free design and one for each limit."""
    named = {row["tariff"] for row in stored.rows("summary")} - {"designed"}
    return [r for r in stored.rows("frontier") if r["point"] not in named and is_number(r["cost"])]


def trade_off_figure(stored: Stored) -> Figure:
    """Cost against the gap of burdens and against the peak, and the frontier once more by itself: designed points as marks, named tariffs as numbers."""
    made = designed(stored)
    named = [(name, stored.summary[name]) for name in stored.equal]
    views = [("gap", "gap of burdens", "gap of burdens, points of income", "cost and fairness", False)]
    if len(made) > 2:
        views.append(("gap", "gap of burdens", "gap of burdens, points of income", "the frontier by itself", True))
    views.append(("peak", "peak", "peak, MW", "cost and stability", False))
    figure, axes = frame(len(views), width=PAGE if len(views) > 2 else 6.2, height=2.6)
    first = stored.equal.index(stored.before) if stored.before in stored.equal else -1
    for ax, (mine, theirs, label, head, near) in zip(axes, views, strict=True):
        title(ax, head)
        spots = [(r[mine], r["cost"]) for r in made]
        points = [(row[theirs], row["cost"]) for _, row in named]
        _limits(ax, spots if near else [*spots, *points])
        if made and mine == "gap":
            kept = envelope(spots)
            far = ax.get_xlim()[1]
            ax.step([*(g for g, _ in kept), far], [*(c for _, c in kept), kept[-1][1]], where="post", color=COLOURS[0], linewidth=1.0,
                    label="least cost found")  # fmt: skip
        if made:
            style: dict[str, Any] = {**look(0), "linestyle": "none", "markerfacecolor": "#ffffff", "markersize": 5}
            ax.plot(*zip(*spots, strict=True), label="designed points", **style)
        numbered(ax, points, spots, first, (PAGE * 72 / len(views) - 50, 2.6 * 72 - 55))
        ax.set_xlabel(label)
    axes[0].set_ylabel(plain("cost, $/day and household"))
    for k, (name, _) in enumerate(named):
        axes[0].plot([], [], linestyle="none", marker=f"${k + 1}$", color=INK, markersize=6 if k < 9 else 8, label=name)
    legend(figure, axes[:1], 4)
    return figure


def _limits(ax: Any, points: Sequence[Point]) -> None:
    """Around the points, with room for numbers."""
    for values, limit in zip(zip(*points, strict=True), (ax.set_xlim, ax.set_ylim), strict=True):
        room = 0.14 * (max(values) - min(values)) or 0.02 * abs(max(values)) or 1.0
        limit(min(values) - room, max(values) + room)


def sensitivity_figure(stored: Stored) -> Figure:
    """How far each assumption moves the change of cost: from the low to the high end, widest first, the base as a line."""
    rows = [r for r in stored.rows("sensitivity") if is_number(r["change of cost"])]
    base = next(r["change of cost"] for r in rows if r["assumption"] == "base")
    ends: dict[str, list[Any]] = {}
    for r in rows:
        if r["assumption"] != "base":
            ends.setdefault(r["assumption"], []).append(r)
    order = sorted(ends, key=lambda item: -max(abs(r["change of cost"] - base) for r in ends[item]))
    figure, (ax,) = frame(1, width=PAGE, height=0.95 + 0.26 * len(order))
    for at, item in enumerate(order):
        values = [r["change of cost"] for r in ends[item]]
        ax.hlines(at, min([*values, base]), max([*values, base]), color=SOFT, linewidth=5, alpha=0.35)
        for r in ends[item]:
            low = r["end"] == "low"
            ax.plot([r["change of cost"]], [at], linestyle="none", marker="o" if low else "s", color=COLOURS[0 if low else 1],
                    label="low end" if low else "high end")  # fmt: skip
    ax.axvline(base, color=INK, linewidth=1.0, label="base")
    ax.axvline(0.0, color=SOFT, linewidth=0.9, linestyle=(0, (1, 2)), label="no change")
    values_of = {item: ", ".join(number(r["value"], 4) for r in ends[item]) for item in order}
    ax.set_yticks(range(len(order)), [plain(f"{item}: {values_of[item]}") for item in order])
    ax.set_ylim(len(order) - 0.4, -0.6)
    ax.grid(visible=False, axis="y")
    ax.set_xlabel(plain("change of cost against today's tariff, $/day and household"))
    legend(figure, [ax], 4)
    return figure


#: What the last figure shows: column, unit, a limit with its meaning.
_CHECKS = (
    ("exploitability", "households could still gain, $/day"), ("spectral radius", "spectral radius: beyond 1 iteration cycles"),
    ("load by weather history", "load by weather history, MW std"), ("price by weather history", "price by weather history, $/MWh std"),
)  # fmt: skip


def convergence_figure(stored: Stored) -> Figure:
    """What households could still gain, whether undamped iteration of prices would cycle, and what weather's history would add: a mark for each tariff."""
    names = list(stored.summary)
    rows = [stored.rows("convergence", tariff=n)[0] for n in names]
    checks = [(column, text) for column, text in _CHECKS if any(is_number(r.get(column)) for r in rows)]
    columns = min(2, len(checks))
    figure, axes = frame(columns, -(-len(checks) // columns), width=PAGE, height=0.6 + 0.17 * len(names))
    for i, (ax, (column, text)) in enumerate(zip(axes, checks, strict=False)):
        known = [(r[column], k) for k, r in enumerate(rows) if is_number(r.get(column))]
        ax.plot([v for v, _ in known], [k for _, k in known], linestyle="none", marker="os^D"[i], markersize=4.5, color=COLOURS[i])
        ax.set_yticks(range(len(names)), [plain(n) for n in names] if i % columns == 0 else [""] * len(names))
        ax.set_ylim(len(names) - 0.5, -0.5)
        most = max([v for v, _ in known] + [1.0 if column == "spectral radius" else SMALL])
        ax.set_xlim(-0.03 * most, 1.07 * most)
        ax.locator_params(axis="x", nbins=5)
        ax.set_xlabel(plain(text))
        if column == "spectral radius":
            ax.axvline(1.0, color=INK, linewidth=1.0, linestyle=(0, (4, 2)))
    for ax in axes[len(checks) :]:
        ax.set_visible(False)
    return figure


def iterations_figure(stored: Stored) -> Figure:
    """How prices settle, the search beside undamped iteration: largest residual by step, logarithmic, a panel for each tariff."""
    rows = [r for r in stored.rows("iterations") if r["tariff"] in stored.summary and is_number(r["price residual"])]
    names = list(dict.fromkeys(r["tariff"] for r in rows))[:3]
    figure, axes = grid(names, height=1.9)
    for name, ax in zip(names, axes, strict=True):
        for i, way in enumerate(dict.fromkeys(r["way"] for r in rows)):
            of = [r for r in rows if (r["tariff"], r["way"]) == (name, way)]
            steps, values = [r["step"] + 1 for r in of], [max(r["price residual"], LEAST) for r in of]
            ax.plot(steps, values, label={"search": "the search used here", "undamped": "undamped iteration"}.get(way, way), **{**look(i), "markersize": 3.5})
            changes = [k for k in range(len(of)) if k and of[k]["temperature"] != of[k - 1]["temperature"]]
            for k in [0, *changes] if changes else []:  # one stage of the search after the other
                if k:
                    ax.axvline(steps[k] - 0.5, color=SOFT, linewidth=0.8, linestyle=(0, (1, 2)))
                ax.text(steps[k] - 0.3, 0.03, plain(f"{number(of[k]['temperature'])} $"), transform=ax.get_xaxis_transform(), fontsize=LEGEND, color=INK,
                        rotation=90, va="bottom", ha="left")  # fmt: skip
        ax.set_yscale("log")
        ax.margins(y=0.12)
        ax.locator_params(axis="x", integer=True, nbins=6)
        ax.set_xlabel("responses of all households")
    low, high = min(ax.get_ylim()[0] for ax in axes), max(ax.get_ylim()[1] for ax in axes)
    for ax in axes:
        ax.set_ylim(low, high)
    for ax in leftmost(axes):
        ax.set_ylabel(plain("price residual, $/kWh"))
    legend(figure, axes[:1])
    return figure
