"""A figure for each finding, a pure function of what is stored. Every case that has an answer is drawn, the study's own settings stand out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from stackopt.comparison.drawing import INK, SOFT, legend_below, look, panels, plain, title
from stackopt.energy.findings import Findings
from stackopt.energy.findings_cases import AXES
from stackopt.energy.findings_counted import Finding

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = Mapping[str, Any]
_FEATURE = "a figure"
#: Welfare gaps below this are not told from 0, $/day.
TOLD = 2e-7


def figures(found: Findings) -> dict[str, Figure]:
    """Figures by name of the finding; none for a finding that was not examined.

    Raises
    ------
    MissingPackage
        Without Matplotlib.
    """
    return {f.name: DRAWN[f.name](f, found.settings) for f in found.findings if f.examined}


def _rows(finding: Finding, **wanted: Any) -> list[Row]:
    names = [name for name, _ in finding.table.columns]
    rows = [dict(zip(names, row, strict=True)) for row in finding.table.rows]
    return [r for r in rows if all(r[name] == value for name, value in wanted.items())]


def _own(row: Row, settings: Mapping[str, Any]) -> bool:
    """Whether a case has the study's own settings."""
    at = [(row[axis], settings[section][key]) for axis, ((section, key), _, _) in AXES.items() if row.get(axis) is not None]
    return all(math.isclose(a, b, rel_tol=1e-9) for a, b in at)


def _cases(rows: Iterable[Row]) -> list[list[Row]]:
    """Rows of one setting together, in their order."""
    kept: dict[Any, list[Row]] = {}
    for r in rows:
        kept.setdefault(tuple(r.get(axis) for axis in AXES), []).append(r)
    return list(kept.values())


def _path(ax: Axes, points: list[tuple[float, float]], own: bool, series: int, label: str, marks: list[str] | None = None) -> None:
    """A line through the steps of a case; the study's own is thick, and its steps are named."""
    style = look(series)
    if not own:
        style = {"color": style["color"], "linestyle": "-", "linewidth": 0.7, "alpha": 0.45, "marker": style["marker"], "markersize": 2.2}
    ax.plot([x for x, _ in points], [y for _, y in points], **style, label=f"{label}, the study's own settings" if own else label)
    for (x, y), text in zip(points if own else [], marks or [], strict=False):
        ax.annotate(text, (x, y), xytext=(5, -10), textcoords="offset points", fontsize=8, color=INK)


def net_billing_figure(finding: Finding, settings: Mapping[str, Any]) -> Figure:
    """Net billing against net metering, a mark for each case: below the line, net billing has less."""
    figure, axes = panels(2, feature=_FEATURE, width=4.2, height=4.0)
    for ax, key, unit in ((axes[0], "cost", "$/day and household"), (axes[1], "gap", "points of income")):
        title(ax, {"cost": "Cost", "gap": "Gap of burdens"}[key])
        values = []
        for i, (rate, name) in enumerate((("flat", "flat rate"), ("tou", "time of use"))):
            points = [(r[f"{key}, net metering"], r[f"{key}, net billing"], r) for r in _rows(finding, rate=rate)]
            points = [p for p in points if p[0] is not None and p[1] is not None]
            values += [v for x, y, _ in points for v in (x, y)]
            style = {**look(i), "linestyle": "none", "markerfacecolor": "none", "markersize": 5}
            ax.plot([p[0] for p in points], [p[1] for p in points], **style, label=name)
            own = [p for p in points if _own(p[2], settings)]
            ax.plot([p[0] for p in own], [p[1] for p in own], **{**style, "markerfacecolor": style["color"], "markersize": 8}, label=f"{name}, own settings")
        ends = [min(values), max(values)]
        ax.plot(ends, ends, color=INK, linewidth=1.0, label="equal")
        ax.set_xlabel(plain(f"net metering, {unit}"))
        ax.set_ylabel(plain(f"net billing, {unit}"))
    legend_below(figure, axes)
    return figure


def fixed_charges_figure(finding: Finding, settings: Mapping[str, Any]) -> Figure:
    """What is lost against the share of fixed costs that fixed charges recover: a line for each case, by how energy is priced."""
    kinds = list(dict.fromkeys(r["energy at"] for r in _rows(finding)))
    figure, axes = panels(2, math.ceil(len(kinds) / 2), feature=_FEATURE, width=4.3, height=3.1)
    for i, (ax, kind) in enumerate(zip(axes, kinds, strict=False)):
        title(ax, kind)
        for case in _cases(_rows(finding, **{"energy at": kind})):
            some = [r for r in case if r["loss"] is not None]
            if kind.startswith("one hour"):
                ax.plot([r["share by fixed charges"] for r in some], [r["loss in closed form"] for r in some], color=INK, linewidth=1.0, label="closed form")
                ax.plot([r["share by fixed charges"] for r in some], [r["loss"] for r in some], **{**look(i), "linestyle": "none"}, label="welfare lost")
            elif len(some) > 1:
                points = [(r["share by fixed charges"], r["loss"]) for r in some]
                _path(ax, points, _own(case[0], settings), 0, "other settings" if not _own(case[0], settings) else "loss")
        ax.set_ylim(bottom=0.0)
        ax.set_xlim(0.0, 1.02)
        ax.set_xlabel("share recovered by fixed charges")
        if i % 2 == 0:
            ax.set_ylabel(plain("loss, $/day and household"))
    for ax in axes[len(kinds) :]:
        ax.set_visible(False)
    legend_below(figure, axes[: len(kinds)])
    return figure


def discounts_figure(finding: Finding, settings: Mapping[str, Any]) -> Figure:
    """What each discount adds to the cost, against by how much it narrows the gap: from no discount at 0, a line for each case."""
    figure, (ax,) = panels(1, feature=_FEATURE, width=7.0, height=4.4)
    ax.axhline(0.0, color=INK, linewidth=0.9)
    graded: list[tuple[float, float, bool]] = []
    for i, rate in enumerate(("flat", "tou")):
        for case in _cases(_rows(finding, rate=rate)):
            some = [r for r in case if r["cost"] is not None]
            if not some or some[0]["discount"] != 0.0:
                continue
            none, own = some[0], _own(case[0], settings)
            points = [(none["gap"] - r["gap"], r["cost"] - none["cost"]) for r in some]
            name = {"flat": "discount on a flat rate", "tou": "on a time-of-use rate"}[rate]
            if own or i == 0:
                marks = [f"{100 * r['discount']:.0f} %" for r in some] if i == 0 else None
                _path(ax, points, own, i, name if own else "flat rate, other settings", marks)
            if rate == "flat":
                for r in _rows(finding, rate="graded fixed charges (cpuc)"):
                    if all(r.get(axis) == none.get(axis) for axis in AXES) and r["cost"] is not None:
                        graded.append((none["gap"] - r["gap"], r["cost"] - none["cost"], own))
    style = {**look(2), "linestyle": "none"}
    ax.plot([x for x, _, own in graded if not own], [y for _, y, own in graded if not own], **{**style, "markersize": 3, "alpha": 0.6},
            label="graded fixed charges (cpuc), other settings")  # fmt: skip
    ax.plot([x for x, _, own in graded if own], [y for _, y, own in graded if own], **{**style, "markersize": 8}, label="graded fixed charges (cpuc)")
    ax.set_xlabel("gap of burdens narrowed by, points of income")
    ax.set_ylabel(plain("added cost, $/day and household"))
    legend_below(figure, [ax])
    return figure


def welfare_figure(finding: Finding, settings: Mapping[str, Any]) -> Figure:
    """The welfare gap against the exploitability, a mark for each temperature and slope: on or below the line where both sides pay the wholesale price."""
    figure, (ax,) = panels(1, feature=_FEATURE, width=6.4, height=4.4)
    rows = [r for r in _rows(finding) if r["welfare gap"] is not None and r["welfare gap"] > TOLD and r["exploitability"] > TOLD]
    slopes = list(dict.fromkeys(r["slope"] for r in _rows(finding)))
    for i, slope in enumerate(slopes):
        for credit in (1.0, 0.5):
            some = [r for r in rows if r["slope"] == slope and r["export credit"] == credit]
            style = {**look(i), "linestyle": look(i)["linestyle"] if credit == 1.0 else "none"}
            if credit != 1.0:
                style["markerfacecolor"] = "none"
            words = "exports at the wholesale price" if credit == 1.0 else "at half of it"
            ax.plot([r["exploitability"] for r in some], [r["welfare gap"] for r in some], **style, label=f"slope {slope:g}, {words}")
    ends = [f(v for r in rows for v in (r["exploitability"], r["welfare gap"])) for f in (min, max)]
    ax.plot(ends, ends, color=INK, linewidth=1.0, label="gap = exploitability")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel(plain("exploitability, $/day and household"))
    ax.set_ylabel(plain("cost above the optimum, $/day and household"))
    legend_below(figure, [ax])
    return figure


def stability_figure(finding: Finding, settings: Mapping[str, Any]) -> Figure:
    """Cost against stability: named tariffs beside wholesale prices passed through, then what dearer peaks and more batteries do."""
    parts = list(dict.fromkeys(r["part"] for r in _rows(finding)))
    figure, axes = panels(len(parts), feature=_FEATURE, width=3.7, height=3.9)
    first = axes[0]
    title(first, "Against prices passed through")
    names = [n for n in dict.fromkeys(r["tariff"] for r in _rows(finding, part="tariffs")) if n != "lmp"]
    for case in _cases(_rows(finding, part="tariffs")):
        base = next(r for r in case if r["tariff"] == "lmp")
        own = _own(base, settings)
        for r in case:
            if r["tariff"] != "lmp" and r["cost"] is not None and base["cost"] is not None:
                style = {**look(names.index(r["tariff"])), "linestyle": "none", "markersize": 8 if own else 3, "alpha": 1.0 if own else 0.5}
                first.plot([r["cost"] - base["cost"]], [r["peak"] - base["peak"]], **style, label=r["tariff"] if own else None)
    first.plot([0.0], [0.0], marker="P", markersize=9, color=INK, linestyle="none", label="prices passed through")
    first.set_xlabel(plain("added cost, $/day"))
    first.set_ylabel("change of the peak, MW")
    for ax, part in zip(axes[1:], parts[1:], strict=True):
        title(ax, {"peak rate": "Dearer peak", "batteries": "More batteries"}[part])
        kinds = {"peak rate": ["net billing", "net metering"], "batteries": ["flat_nb", "tou_nb"]}[part]
        for i, kind in enumerate(kinds):
            for case in _cases(_rows(finding, part=part, tariff=kind)):
                some = list(itertools.takewhile(lambda r: r["cost"] is not None, case))
                own = _own(case[0], settings)
                if len(some) > 1 and (own or i == 0):
                    points = [(some[0]["price spread"] - r["price spread"], r["cost"] - some[0]["cost"]) for r in some]
                    marks = [f"{r['ratio or share']:g}" for r in some] if i == 0 else None
                    _path(ax, points, own, i, f"{kind}" if own else f"{kind}, other settings", marks)
        ax.axhline(0.0, color=SOFT, linewidth=0.8)
        ax.set_xlabel(plain("spread of prices less by, $/MWh"))
        ax.set_ylabel(plain("added cost, $/day"))
    legend_below(figure, axes)
    return figure


#: By name of the finding.
DRAWN: Mapping[str, Callable[[Finding, Mapping[str, Any]], Figure]] = {
    "net_billing": net_billing_figure, "fixed_charges": fixed_charges_figure, "discounts": discounts_figure, "welfare": welfare_figure,
    "stability": stability_figure,
}  # fmt: skip
